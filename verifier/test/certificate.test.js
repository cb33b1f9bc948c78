// A certificate in a small log of our own, and what is wrong with the ones that are false.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { inSet, verifyCertificate } from "../certificate.js";
import { fetchFrom, publish, signer } from "./support.js";

const ORIGIN = "city.example/log";
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
    inclusion: [before.proof(handles[0])], absence: [after.proof(handles[0])], keepers: [],
  };
}

const leaf = (statement) => Buffer.concat([Buffer.of(1, 1), Buffer.from(JSON.stringify(statement))]);

/** Checks a certificate that stands in a log, between other statements. */
function check(body, { terms, id = "crt_1", index = 1, tamper, silent } = {}) {
  const key = signer(ORIGIN);
  const leaves = [leaf({ type: "Agency", id: "agc_a", body: {} }), leaf({ type: "Certificate", id: "crt_1", body })];
  if (terms) leaves.push(leaf({ type: "Vault", id: "vlt_a", body: terms }));
  const files = publish(leaves, key, ORIGIN);
  tamper?.(files);
  const asked = { origin: ORIGIN, vkey: key.vkey, checkpointUrl: "/log/checkpoint", id, index, terms: terms && 2, silent };
  return verifyCertificate(asked, { fetchBytes: fetchFrom(files) });
}

const codes = ({ checks }) => Object.fromEntries(checks.map(({ name, code }) => [name, code]));

test("a certificate whose proofs hold", async () => {
  for (const bits of [0, 1, 3, 9]) {
    const result = await check(certificate(bits));
    assert.deepEqual([result.state, codes(result)], ["verified", { log: null, before: null, after: null }]);
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
  assert.equal((await check(certificate(), { index: 0 })).state, "broken");
  assert.equal((await check(certificate(), { index: 7 })).state, "pending");
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
  const say = ({ name, privateKey }, epoch = 5, vault = ORIGIN) => {
    const message = `usufruct/keeper/v1\nvault ${vault}\nkeeper ${name}\ndestroyed below ${epoch}\nat 1790000000\n`;
    return { vault, keeper: name, epoch, at: 1_790_000_000, signature: sign(null, Buffer.from(message), privateKey).toString("base64url") };
  };
  const run = async (said, silent) => codes(await check({ ...certificate(), slot_class: "E3", keepers: said }, { terms, silent })).keepers;
  assert.equal(await run(keepers.slice(0, 2).map((keeper) => say(keeper))), null);
  assert.equal(await run(keepers.map((keeper) => say(keeper, 9))), null);
  assert.equal(await run([say(keepers[0])]), "signature");
  assert.equal(await run([say(keepers[0]), say(keepers[0])]), "signature", "one keeper twice");
  assert.equal(await run([say(keepers[0]), say(keepers[1], 4)]), "signature", "an older epoch");
  assert.equal(await run([say(keepers[0]), say(keepers[1], 5, "other.example")]), "signature", "another vault");
  assert.equal(await run([say(keepers[0]), { ...say(keepers[1]), at: 1 }]), "signature", "forged");
  assert.equal(await run([say(keepers[0]), { ...say(keepers[2]), keeper: "court" }]), "signature", "by another key");
  // What the page says of those that have not signed is counted too.
  const two = keepers.slice(0, 2).map((keeper) => say(keeper));
  assert.equal(await run(two, 1), null);
  assert.equal(await run([...two, say(keepers[2], 7)], null), null, "one that slept has signed later");
  for (const silent of [null, 0, 2]) assert.equal(await run(two, silent), "shown", `${silent} of one`);
  assert.equal(await run([...two, say(keepers[2])], 1), "shown", "it hides that the last one has signed");
  assert.equal(await run([...two, say(keepers[2], 4)], 0), "shown", "what is signed about an earlier epoch does not count");
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
