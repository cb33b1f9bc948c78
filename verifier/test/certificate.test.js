// A certificate in a small log of our own, and what is wrong with the ones that are false.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { inSet, moment, verifyCertificate } from "../certificate.js";
import { canonical as canonicalForm, isApproved } from "../statement.js";
import { fetchFrom, fromHex, publish, signer } from "./support.js";

const ORIGIN = "city.example/log";
const NEW_YEAR = "2026-01-01T00:00:00Z";
const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const bytes = (hex) => Buffer.from(hex, "hex");

/** The set of commitments with so many bits, written from its description and not from the verifier. */
function setOf(handles, bits) {
  const buckets = Array.from({ length: 2 ** bits }, () => []);
  for (const handle of [...handles].sort()) buckets[bits === 0 ? 0 : Number(BigInt(`0x${handle}`) >> BigInt(256 - bits))].push(handle);
  const levels = [buckets.map((bucket) => sha(Buffer.of(0), ...bucket.map(bytes)))];
  while (levels.at(-1).length > 1) {
    const below = levels.at(-1);
    levels.push(below.filter((_, i) => i % 2 === 0).map((left, i) => sha(Buffer.of(1), left, below[2 * i + 1])));
  }
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(handles.length));
  const root = sha("usufruct/handles/v1", Buffer.of(bits), count, levels.at(-1)[0]).toString("hex");
  const proof = (handle) => {
    const number = bits === 0 ? 0 : Number(BigInt(`0x${handle}`) >> BigInt(256 - bits));
    const path = levels.slice(0, -1).map((level, i) => level[(number >> i) ^ 1].toString("hex"));
    return { count: handles.length, bucket: buckets[number], path };
  };
  return { root, proof };
}

const handles = Array.from({ length: 40 }, (_, i) => sha(`key ${i}`).toString("hex"));

function certificate(bits = 3) {
  const [before, after] = [setOf(handles, bits), setOf(handles.slice(1), bits)];
  return {
    epoch_before: 4, epoch_after: 5, key_commitments: [handles[0]],
    tree_root_before: before.root, tree_root_after: after.root,
    inclusion: [before.proof(handles[0])], absence: [after.proof(handles[0])], keepers: [], cause: "request",
    erased_live_at: NEW_YEAR, erased_root_at: NEW_YEAR, ciphertext_remains_until: "2026-02-05T00:00:00Z",
  };
}

/** RFC 8785 for these statements, written from its description. */
const sorted = (value) =>
  Array.isArray(value) ? value.map(sorted) : value && typeof value === "object" ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])])) : value;
const canonical = (value) => Buffer.from(JSON.stringify(sorted(value)));
const hashOf = ({ approvals, ...signed }) => sha(canonical(signed));

/** Offices of the operator, each with a key. */
const offices = (...roles) => Object.fromEntries(roles.map((role) => [role, { role, ...generateKeyPairSync("ed25519") }]));
const OFFICES = offices("head", "data-protection", "automation");
const publicOf = ({ publicKey }) => publicKey.export({ format: "jwk" }).x;
const signingKeys = (some) => Object.values(some).map((office) => ({ id: office.role, role: office.role, public: publicOf(office) }));

/** A statement of the operator that these offices approve. */
function say(fields, by = [OFFICES.automation]) {
  const statement = { at: NEW_YEAR, by: "agc_a", rev: 1, approvals: [], ...fields };
  const message = Buffer.concat([Buffer.from("usufruct/approval/v1\n"), hashOf(statement)]);
  statement.approvals = by.map(({ role, privateKey }) => ({ agency: "agc_a", key: role, algorithm: "Ed25519", signature: sign(null, message, privateKey).toString("base64url") }));
  return statement;
}

const leaf = (statement) => Buffer.concat([Buffer.of(1, 1), canonical(statement)]);
const PEOPLE = [OFFICES.head, OFFICES["data-protection"]];
const operator = () => say({ type: "Agency", id: "agc_a", body: { kind: "operator", signing_keys: signingKeys(OFFICES) } }, PEOPLE);

/** Checks a certificate that stands in a log, after other statements; `change` may replace any of these. */
function check(body, { terms, id = "crt_1", at = {}, keys = [], tamper, silent, change } = {}) {
  const key = signer(ORIGIN);
  const statements = [operator(), ...keys.map((body, i) => say({ type: "Key", id: `key_${i}`, body }))];
  if (terms) statements.push(say({ type: "Vault", id: "vlt_a", body: terms }, PEOPLE));
  statements.push(say({ type: "Certificate", id: "crt_1", body }));
  change?.(statements);
  const of = (type) => statements.flatMap((statement, i) => (statement.type === type ? [i] : []));
  const files = publish(statements.map(leaf), key, ORIGIN);
  tamper?.(files);
  const asked = {
    origin: ORIGIN, vkey: key.vkey, checkpointUrl: "/log/checkpoint", id, operator: of("Agency"), keys: of("Key"),
    ends: of("StatusChange"), first: of("Certificate")[0], index: of("Certificate").at(-1), terms: of("Vault").at(-1), silent, ...at,
  };
  return verifyCertificate(asked, { fetchBytes: fetchFrom(files) });
}

const codes = ({ checks }) => Object.fromEntries(checks.map(({ name, code }) => [name, code]));

test("a certificate whose proofs hold", async () => {
  for (const bits of [0, 1, 3, 9]) {
    const result = await check(certificate(bits));
    assert.deepEqual([result.state, codes(result)], ["verified", { log: null, before: null, after: null, dates: null, approved: null }]);
  }
});

test("every proof that is false is refused", async () => {
  const good = certificate();
  const [before, after] = [setOf(handles, 3), setOf(handles.slice(1), 3)];
  const changes = {
    "still there": { tree_root_after: before.root, absence: [before.proof(handles[0])] },
    "never there": { tree_root_before: after.root, inclusion: [after.proof(handles[0])] },
    "hidden from its bucket": { tree_root_after: before.root, absence: [{ ...before.proof(handles[0]), bucket: before.proof(handles[0]).bucket.filter((one) => one !== handles[0]) }] },
    "another bucket": { absence: [after.proof(handles.find((one) => one[0] !== handles[0][0]))] },
    "a longer path": { absence: [{ ...good.absence[0], path: [...good.absence[0].path, handles[3]] }] },
    "another count": { absence: [{ ...good.absence[0], count: 38 }] },
    "disorder": { absence: [{ ...good.absence[0], bucket: [...good.absence[0].bucket].reverse().concat(handles[9]) }] },
    "no proof": { absence: [] },
    "nothing destroyed": { key_commitments: [], inclusion: [], absence: [] },
    "no progress": { epoch_after: 4 },
    "no hex": { absence: [{ ...good.absence[0], path: ["x", "y", "z"] }] },
  };
  for (const [name, change] of Object.entries(changes)) {
    assert.equal((await check({ ...good, ...change })).state, "broken", name);
  }
});

test("it must stand in the log, under its own name", async () => {
  assert.equal((await check(certificate(), { id: "crt_2" })).state, "broken");
  assert.equal((await check(certificate(), { at: { index: 0 } })).state, "broken");
  assert.equal((await check(certificate(), { at: { first: 0 } })).state, "broken");
  assert.equal((await check(certificate(), { at: { index: 7 } })).state, "pending");
  const tamper = (files) => {
    for (const [path, bytes] of files) if (path.includes("entries")) bytes[40] ^= 1;
  };
  assert.equal((await check(certificate(), { tamper })).state, "broken");
});

test("enough keepers must have signed", async () => {
  const keepers = ["city", "court", "archive"].map((name) => ({ name, ...generateKeyPairSync("ed25519") }));
  const terms = {
    vault: ORIGIN, threshold: 2, slot_class: "E3",
    keepers: keepers.map(({ name, publicKey }) => ({ name, public: publicKey.export({ format: "jwk" }).x })),
  };
  const destroyed = ({ name, privateKey }, epoch = 5, vault = ORIGIN) => {
    const message = `usufruct/keeper/v1\nvault ${vault}\nkeeper ${name}\ndestroyed below ${epoch}\nat 1790000000\n`;
    return { vault, keeper: name, epoch, at: 1_790_000_000, signature: sign(null, Buffer.from(message), privateKey).toString("base64url") };
  };
  const run = async (said, silent) => codes(await check({ ...certificate(), slot_class: "E3", keepers: said }, { terms, silent })).keepers;
  assert.equal(await run(keepers.slice(0, 2).map((keeper) => destroyed(keeper))), null);
  assert.equal(await run(keepers.map((keeper) => destroyed(keeper, 9))), null);
  assert.equal(await run([destroyed(keepers[0])]), "signature");
  assert.equal(await run([destroyed(keepers[0]), destroyed(keepers[0])]), "signature", "one keeper twice");
  assert.equal(await run([destroyed(keepers[0]), destroyed(keepers[1], 4)]), "signature", "an older epoch");
  assert.equal(await run([destroyed(keepers[0]), destroyed(keepers[1], 5, "other.example")]), "signature", "another vault");
  assert.equal(await run([destroyed(keepers[0]), { ...destroyed(keepers[1]), at: 1 }]), "signature", "forged");
  assert.equal(await run([destroyed(keepers[0]), { ...destroyed(keepers[2]), keeper: "court" }]), "signature", "by another key");
  // What the page says of those that have not signed is counted too.
  const two = keepers.slice(0, 2).map((keeper) => destroyed(keeper));
  assert.equal(await run(two, 1), null);
  assert.equal(await run([...two, destroyed(keepers[2], 7)], null), null, "one that slept has signed later");
  for (const silent of [null, 0, 2]) assert.equal(await run(two, silent), "shown", `${silent} of one`);
  assert.equal(await run([...two, destroyed(keepers[2])], 1), "shown", "it hides that the last one has signed");
  assert.equal(await run([...two, destroyed(keepers[2], 4)], 0), "shown", "what is signed about an earlier epoch does not count");
});

test("keepers that are claimed must be named by terms", async () => {
  const body = { ...certificate(), slot_class: "E3" };
  for (const terms of [undefined, { vault: ORIGIN, threshold: 0, slot_class: "E0", keepers: [] }]) {
    const result = await check(body, { terms });
    assert.deepEqual([result.state, codes(result).keepers], ["broken", "signature"]);
  }
  assert.equal((await check({ ...certificate(), slot_class: "E0" })).state, "verified");
});

test("the bucket of a commitment is that of its first bits", async () => {
  const all = setOf(handles, 5);
  for (const handle of handles) assert.equal(await inSet(handle, all.proof(handle), all.root), true);
});

test("the keys of a mandate were published for it before", async () => {
  const body = { ...certificate(), mandate: "mdt_card" };
  const own = { mandate: "mdt_card", commitment: handles[0], epoch: 3 };
  const run = async (keys, more = {}) => codes(await check(more.body ?? body, { keys, ...more })).published;
  assert.equal(await run([own]), null);
  assert.equal(await run([{ ...own, month: "2026-01" }]), null);
  assert.equal(await run([]), "unheard", "invented out of nothing");
  assert.equal(await run([{ ...own, commitment: handles[1] }]), "unheard", "another key");
  assert.equal(await run([{ ...own, mandate: "mdt_other" }]), "unheard", "another mandate's");
  assert.equal(await run([{ sector: "mdt_card", commitment: handles[0], epoch: 3 }]), "unheard", "a domain's");
  const late = (statements) => statements.push(statements.splice(1, 1)[0]);
  assert.equal(await run([own], { change: late }), "unheard", "published after it was certified to be gone");
  const before = { type: "Certificate", id: "crt_1", body: { ...body, key_commitments: [handles[3]] } };
  assert.equal(await run([own], { change: (statements) => statements.splice(2, 1, say(before), say({ ...before, rev: 2, body })) }), "unheard", "changed since");
  const domain = { ...certificate(), sector: "library" };
  assert.equal(await run([{ sector: "library", commitment: handles[0], epoch: 3 }], { body: domain }), null);
  assert.equal(await run([own], { body: domain }), "unheard");
});

/** A log in which a mandate was published on the 1st, its key on the 2nd, its end on the 3rd, and its certificate on the 5th. */
async function dated(change = {}, { end = {}, key = {}, said = "2026-01-05T00:00:00Z", late } = {}) {
  const at = (day) => `2026-01-0${day}T00:00:00Z`;
  const times = { erased_live_at: at(3), erased_root_at: at(4), ciphertext_remains_until: at(9) };
  const body = { ...certificate(), cause: "sunset", mandate: "mdt_card", ...times, ...change };
  const statements = [
    operator(),
    say({ type: "Key", id: "key_0", at: at(2), body: { mandate: "mdt_card", commitment: handles[0], epoch: 3 }, ...key }),
    ...(end ? [say({ type: "StatusChange", id: "sts_0", at: at(3), body: { object: "mdt_card", from: "active", to: "sunset", ...end } })] : []),
    say({ type: "Certificate", id: "crt_1", at: said, body }),
  ];
  if (late) statements.push(say({ type: "Certificate", id: "crt_1", rev: 2, at: at(8), body: { ...body, ...late } }));
  return codes(await check(body, { change: (all) => all.splice(0, all.length, ...statements) })).dates;
}

test("dates lie between what the log knew and the certificate", async () => {
  const day = (text) => `2026-01-${text}`;
  assert.equal(await dated(), null);
  const { erased_live_at: live, erased_root_at: root } = { erased_live_at: day("03T00:00:00.000001Z"), erased_root_at: day("05T08:00:00+08:00") };
  assert.equal(await dated({ erased_live_at: live, erased_root_at: root, erased_escrow_at: day("31") }), null);
  for (const [what, change] of Object.entries({
    "before the mandate ended": { erased_live_at: "2026-01-02T23:59:59.999999Z" },
    "before its key was there": { erased_live_at: day("01T12:00:00Z") },
    "the root before the keys": { erased_live_at: day("04T00:00:00.000001Z") },
    "the root after the certificate": { erased_root_at: day("05T00:00:00.000001Z") },
    "the escrow before the root": { erased_escrow_at: day("03T12:00:00Z") },
    "copies that are gone before the keys": { ciphertext_remains_until: day("02") },
    "purged before the keys are gone": { ciphertext_purged_at: day("02") },
    "purged after it was said": { ciphertext_purged_at: day("06") },
    "no moment": { erased_root_at: "soon" },
    "no such day": { erased_root_at: day("32T00:00:00Z") },
    "no date": { erased_live_at: undefined },
  })) {
    assert.equal(await dated(change), "dates", what);
  }
  assert.equal(await dated({}, { late: { ciphertext_purged_at: day("06") } }), null, "a later revision says that it was purged");
  assert.equal(await dated({}, { late: { ciphertext_purged_at: day("09") } }), "dates");
  assert.equal(await dated({}, { key: { at: day("04T00:00:00Z") } }), "dates", "the key was published after it went");
});

test("what its keys were of had ended", async () => {
  assert.equal(await dated({}, { end: null }), "dates", "no end is named");
  assert.equal(await dated({ cause: "rotation" }, { end: null }), null, "a mandate that goes on has none");
  assert.equal(await dated({}, { end: { object: "mdt_other" } }), "dates", "the end of another one");
  assert.equal(await dated({}, { end: { to: "suspended" } }), "dates", "no end");
  assert.equal(await dated({ cause: "revocation" }, { end: { to: "revoked" } }), null);
  const closing = say({ type: "StatusChange", id: "sts_0", body: { object: "svc_a", from: "active", to: "closed" } });
  const domain = { ...certificate(), cause: "sector", sector: "library" };
  const key = { sector: "library", commitment: handles[0], epoch: 3 };
  const of = async (change) => codes(await check(domain, { keys: [key], change })).dates;
  assert.equal(await of((statements) => statements.splice(2, 0, closing)), null);
  assert.equal(await of((statements) => statements.push(closing)), "dates", "closed after its certificate");
  assert.equal(await of(() => {}), "dates", "no service closed");
});

test("moments are compared to the microsecond", () => {
  assert.equal(moment("1970-01-01T00:00:00.000001Z"), 1);
  assert.equal(moment("2026-01-01T08:00:00.5+08:00"), moment("2026-01-01T00:00:00.500000Z"));
  assert.equal(moment("2026-01-01"), moment("2025-12-31T16:00:00Z"));
  assert.ok(moment("2199-12-31T23:59:59.999998Z") < moment("2199-12-31T23:59:59.999999Z"));
  for (const wrong of ["", "2026", "2026-01-01T00:00Z", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"]) assert.throws(() => moment(wrong), wrong);
});

const KEEPERS = { vault: ORIGIN, threshold: 0, slot_class: "E0", keepers: [] };
const approved = async (change, more) => codes(await check(certificate(), { terms: KEEPERS, change, ...more })).approved;

test("two people of the operator must have approved who the keepers are", async () => {
  const vault = (by) => (statements) => statements.splice(1, 1, say({ type: "Vault", id: "vlt_a", body: KEEPERS }, by));
  const stranger = offices("head", "data-protection");
  const namesake = { ...OFFICES.head, privateKey: stranger.head.privateKey };
  assert.equal(await approved(vault(PEOPLE)), null);
  assert.equal(await approved(vault([...PEOPLE, OFFICES.automation])), null);
  for (const [what, by] of Object.entries({
    nobody: [],
    "one alone": [OFFICES.head],
    "one twice": [OFFICES.head, OFFICES.head],
    "one and the machine": [OFFICES.head, OFFICES.automation],
    "two strangers": Object.values(stranger),
    "a forged name beside a true one": [OFFICES["data-protection"], namesake],
    "two and a forged third": [...PEOPLE, namesake],
    "an office that is not there": [...PEOPLE, offices("mayor").mayor],
  })) {
    assert.equal(await approved(vault(by)), "unapproved", what);
  }
  const tampered = (field, value) => (statements) => (statements[1] = { ...statements[1], [field]: value });
  assert.equal(await approved(tampered("body", { ...KEEPERS, threshold: 1 })), "unapproved", "changed after it was approved");
  assert.equal(await approved(tampered("by", "agc_b")), "unapproved", "another body speaks");
  const other = (name, value) => (statements) => statements[1].approvals.forEach((approval) => (approval[name] = value));
  assert.equal(await approved(other("agency", "agc_b")), "unapproved");
  assert.equal(await approved(other("algorithm", "none")), "unapproved");
});

test("the machine's word is enough for a certificate and a key, and a stranger's is not", async () => {
  const stranger = [{ ...offices("automation").automation }];
  const last = (statements) => statements.splice(-1, 1, say({ type: "Certificate", id: "crt_1", body: certificate() }, stranger));
  assert.equal(await approved(() => {}), null);
  assert.equal(await approved(last), "unapproved");
  const body = { ...certificate(), mandate: "mdt_card" };
  const key = { type: "Key", id: "key_0", body: { mandate: "mdt_card", commitment: handles[0], epoch: 3 } };
  const result = await check(body, { change: (statements) => statements.splice(1, 0, say(key, stranger)) });
  assert.deepEqual([codes(result).published, codes(result).approved], [null, "unapproved"]);
});

test("the operator's keys are followed from the first entry of the log on", async () => {
  const NEW = offices("head", "data-protection", "automation");
  const [old, people] = [operator(), [NEW.head, NEW["data-protection"]]];
  const next = (fields = {}, by = PEOPLE) =>
    say({ type: "Agency", id: "agc_a", rev: 2, prev: hashOf(old).toString("hex"), body: { kind: "operator", signing_keys: signingKeys(NEW) }, ...fields }, by);
  const vault = say({ type: "Vault", id: "vlt_a", body: KEEPERS }, people);
  const certified = say({ type: "Certificate", id: "crt_1", body: certificate() }, [NEW.automation]);
  const log = (...between) => (statements) => statements.splice(0, 9, old, ...between, vault, certified);
  assert.equal(await approved(log(next())), null);
  assert.equal(await approved(log()), "unapproved", "keys that no statement names");
  for (const [what, revision] of Object.entries({
    "by its own new keys": next({}, people),
    "by one person": next({}, [OFFICES.head]),
    "by one person and the machine": next({}, [OFFICES.head, OFFICES.automation]),
    "after nothing": next({ prev: undefined }),
    "after another one": next({ prev: "00".repeat(32) }),
    "out of turn": next({ rev: 3 }),
    "of another body": next({ id: "agc_b" }),
    "of no operator": next({ body: { kind: "agency", signing_keys: signingKeys(NEW) } }),
  })) {
    assert.equal(await approved(log(revision)), "unapproved", what);
  }
  // A key that was replaced speaks no more.
  const late = say({ type: "Vault", id: "vlt_a", body: KEEPERS }, PEOPLE);
  assert.equal(await approved((statements) => statements.splice(0, 9, old, next(), late, certified)), "unapproved");
  // The first entry of the log, and no later one, says who the operator is.
  const usurper = (statements) => statements.unshift(say({ type: "Block", id: "blk_a", body: {} }));
  assert.equal(await approved(usurper), "unapproved");
  assert.equal(await approved(log(next()), { at: { operator: [] } }), "unapproved");
  assert.equal(await approved(log(next()), { at: { operator: [1] } }), "unapproved");
  const unsigned = { ...old, approvals: [] };
  assert.equal(await approved((statements) => (statements[0] = unsigned)), "unapproved");
  const self = say({ type: "Agency", id: "agc_a", body: old.body }, people);
  assert.equal(await approved((statements) => (statements[0] = self)), "unapproved", "by keys that it does not name");
});

test("a statement has one form, and its hash is that of what stands there", async () => {
  const key = signer(ORIGIN);
  const loose = Buffer.concat([Buffer.of(1, 1), Buffer.from(JSON.stringify(say({ type: "Certificate", id: "crt_1", body: certificate() })))]);
  const files = publish([leaf(operator()), loose], key, ORIGIN);
  const asked = { origin: ORIGIN, vkey: key.vkey, checkpointUrl: "/log/checkpoint", id: "crt_1", operator: [0], keys: [], first: 1, index: 1 };
  assert.deepEqual(codes(await verifyCertificate(asked, { fetchBytes: fetchFrom(files) })), { log: "unlogged" });
});

test("the canonical form, the hash and the signatures are those of the shared vectors", async () => {
  const folder = new URL("../../vectors/statements/", import.meta.url);
  const names = readdirSync(folder).filter((name) => name.startsWith("accept-"));
  assert.ok(names.length > 50);
  let signed_by = 0;
  for (const name of names) {
    const { json, hash, public: key } = JSON.parse(readFileSync(new URL(name, folder), "utf8"));
    const { approvals, ...signed } = JSON.parse(json);
    assert.equal(canonicalForm({ approvals, ...signed }), json, name);
    assert.equal(sha(canonicalForm(signed)).toString("hex"), hash, name);
    if (!key) continue;
    for (const approval of approvals) {
      assert.equal(await isApproved(approval, { public: key }, fromHex(hash)), true, name);
      assert.equal(await isApproved(approval, { public: key }, fromHex(hash).reverse()), false, name);
      signed_by += 1;
    }
  }
  assert.ok(signed_by > 50);
});
