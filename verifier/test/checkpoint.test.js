import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { openCheckpoint, parseCheckpoint, parseKey, parseNote, subtreeMessage, utf8, verifyNote, verifySignature } from "../index.js";
import { VECTORS, bodyOf, fromBase64, fromHex, signer, vector, witness } from "./support.js";

/** The text of a note that one of these keys has signed. */
async function open(note, ...vkeys) {
  const { text, signed } = await verifyNote(note, await Promise.all(vkeys.map(parseKey)));
  if (signed.size === 0) throw Object.assign(new Error("unsigned"), { code: "unsigned" });
  return text;
}

test("note vectors", async () => {
  for (const { name, note, vkey, verified } of vector("notes/ed25519-notes.json")) {
    assert.ok(verified);
    assert.equal(await open(note, vkey), bodyOf(note), name);
    await assert.rejects(open(`x${note}`, vkey), { code: "signature" }, name);
    await assert.rejects(open(note, signer("other").vkey), { code: "unsigned" }, name);
  }
});

const BODY = "a text\n\nwith an empty line\n";

test("unknown keys are ignored, a known key that fails refuses", async () => {
  const [a, b] = [signer("a"), signer("b")];
  const line = (note) => note.slice(bodyOf(note).length + 1);
  const both = a.note(BODY) + line(b.note(BODY));
  assert.equal(await open(both, a.vkey), BODY);
  assert.equal(await open(both, b.vkey), BODY);
  const halfBad = a.note(BODY) + line(b.note("another text\n"));
  assert.equal(await open(halfBad, a.vkey), BODY);
  await assert.rejects(open(halfBad, a.vkey, b.vkey), { code: "signature" });
  await assert.rejects(open(line(b.note(BODY)) && halfBad.replace("— b", "— a"), b.vkey), { code: "unsigned" }, "an id without its name");
  await assert.rejects(open(both), { code: "unsigned" });
  await assert.rejects(open(both, signer("a").vkey), { code: "unsigned" }, "a name without its id");
  const twice = a.note(BODY) + line(a.note("another text\n"));
  await assert.rejects(open(twice, a.vkey), { code: "signature" }, "one good and one bad signature of one key");
});

test("sixteen post-quantum cosignatures of strangers do no harm", async () => {
  const a = signer("a");
  const postQuantum = Buffer.alloc(4 + 8 + 2420, 7).toString("base64");
  const foreign = Array.from({ length: 16 }, (_, i) => `— witness${i}.example ${postQuantum}\n`).join("");
  assert.equal(await open(a.note(BODY) + foreign, a.vkey), BODY);
  await assert.rejects(open(`${BODY}\n${foreign}`, a.vkey), { code: "unsigned" });
});

test("what is no signed note is refused", () => {
  const good = signer("a").note(BODY);
  const signature = good.slice(bodyOf(good).length + 1);
  const bad = [
    "", "\n", "text\n", BODY, `${BODY}\n`, good.slice(0, -1), good.replace("—", "-"), good.replace("— a", "—  a"), `${good}\n`,
    good.replace("a text", "a\ttext"), good.replace("a text", "a\rtext"), good.replace("a text", "a\0text"), good.replace("— a ", "— a+b "),
    good.replace("— a ", "— "), good.replace("— a ", "— a\u00a0b "), `${good}junk\n`, `${good.slice(0, -2)}\n`, `${good}— b AAAA\n`, `${good}— b AAAAAAA\n`,
    BODY + signature, `${BODY}\n${signature.repeat(101)}`, good.replace(/=\n$/, "\n"),
  ];
  assert.equal(parseNote(good).text, BODY);
  for (const note of bad) assert.throws(() => parseNote(note), JSON.stringify(note));
});

test("vkeys", async () => {
  const { vkey } = signer("log.example");
  assert.equal((await parseKey(vkey)).name, "log.example");
  const [name, id, ...rest] = vkey.split("+");
  const key = rest.join("+");
  const typed = (type, length) => Buffer.from([type, ...new Uint8Array(length)]).toString("base64");
  const bad = [
    "", name, `${name}+${id}`, `${name}+00000000+${key}`, `other+${id}+${key}`, `${name}+${id}x+${key}`, `${name}+${id}+${key}A`, ` ${vkey}`, `${vkey}\n`, `+${id}+${key}`,
    `${name}+${id}+${typed(1, 31)}`, `${name}+${id}+${typed(2, 32)}`, `${name}+${id}+${typed(6, 32)}`, undefined,
  ];
  for (const text of bad) await assert.rejects(parseKey(text), JSON.stringify(text));
});

const ROOT = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=";
const EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

test("checkpoints", () => {
  assert.deepEqual(parseCheckpoint(`o\n3\n${ROOT}\n`), { origin: "o", size: 3, root: fromBase64(ROOT) });
  assert.equal(parseCheckpoint(`o p\n3\n${ROOT}\nx\ny\n`).origin, "o p");
  assert.equal(parseCheckpoint(`o\n0\n${EMPTY}\n`).size, 0);
  assert.equal(parseCheckpoint(`o\n9007199254740991\n${ROOT}\n`).size, Number.MAX_SAFE_INTEGER);
  const bad = [
    "", "o\n", "o\n3\n", `\n3\n${ROOT}\n`, `o\n03\n${ROOT}\n`, `o\n-1\n${ROOT}\n`, `o\n+1\n${ROOT}\n`, `o\n\n${ROOT}\n`, `o\n3 \n${ROOT}\n`, `o\n3\n${ROOT}`, `o\n3\n\n`,
    `o\n0\n${ROOT}\n`, `o\n3\n${ROOT.slice(0, -1)}\n`, `o\n3\n${ROOT.slice(4)}\n`, `o\n3\n${ROOT}\n\nx\n`, `o\n3\n${ROOT}\n\n`, `o\n3\n${ROOT}\nx`,
    `o\n9007199254740992\n${ROOT}\n`, `o\n0x3\n${ROOT}\n`, `o\n1e3\n${ROOT}\n`, `o\n3\n ${ROOT}\n`, `o\n3\n${ROOT.replace("Kk=", "Kl=")}\n`,
  ];
  for (const body of bad) assert.throws(() => parseCheckpoint(body), JSON.stringify(body));
});

test("a checkpoint is signed by a log that is named like its origin", async () => {
  const [o, p] = [signer("o"), signer("p")];
  const policy = async (...vkeys) => ({ logs: await Promise.all(vkeys.map(parseKey)), witnesses: [], quorum: () => true });
  const body = `o\n3\n${ROOT}\n`;
  assert.equal((await openCheckpoint(o.note(body), await policy(p.vkey, o.vkey))).size, 3);
  await assert.rejects(openCheckpoint(p.note(body), await policy(p.vkey, o.vkey)), { code: "signature" });
  await assert.rejects(openCheckpoint(o.note(body), await policy(p.vkey)), { code: "signature" });
  await assert.rejects(openCheckpoint(o.note("hello\n"), await policy(o.vkey)), { code: "checkpoint" });
});

test("a cosignature states its time, and counts for that time only", async () => {
  const w = witness("w.example");
  const body = `o\n3\n${ROOT}\nextension\n`;
  const key = await parseKey(w.vkey);
  const { signed } = await verifyNote(`${body}\n${w.line(body, 1_700_000_000)}`, [key]);
  assert.deepEqual([...signed], [[key, 1_700_000_000]]);
  const raw = (line) => Buffer.from(line.split(" ")[2], "base64");
  const altered = (line, at) => `— w.example ${Buffer.from(raw(line).map((byte, i) => (i === at ? byte ^ 1 : byte))).toString("base64")}\n`;
  for (const at of [4, 11, 12, 75]) {
    await assert.rejects(verifyNote(`${body}\n${altered(w.line(body), at)}`, [key]), { code: "signature" }, `byte ${at}`);
  }
  await assert.rejects(verifyNote(`${body}\n${w.line(body.replace("3", "4"))}`, [key]), { code: "signature" });
  await assert.rejects(verifyNote(`${body}\n${w.line(body, 2n ** 63n)}`, [key]), { code: "signature" }, "a time beyond 2^63");
  const short = `— w.example ${raw(w.line(body)).subarray(0, 9).toString("base64")}\n`;
  await assert.rejects(verifyNote(`${body}\n${short}`, [key]), { code: "signature" });
});

const hasMlDsa = await crypto.subtle.importKey("raw-public", new Uint8Array(1312), "ML-DSA-44", false, ["verify"]).then(() => true, () => false);

test(`ML-DSA-44 cosignatures: ${hasMlDsa ? "verified" : "reported as unsupported, since this runtime has none"}`, async () => {
  for (const v of vector("notes/mldsa44-cosignature-generated.json").cases) {
    const key = await parseKey(v.vkey);
    const message = subtreeMessage(v.cosigner_name, BigInt(v.timestamp), v.log_origin, v.start, v.end, fromBase64(v.hash_b64));
    assert.deepEqual(message, fromHex(v.cosigned_message_hex));
    const signature = fromBase64(v.signature_line.trim().split(" ")[2]).subarray(12);
    assert.equal(await verifySignature(key, message, signature), hasMlDsa ? true : undefined);
    if (v.start > 0) continue;
    const body = `${v.log_origin}\n${v.end}\n${v.hash_b64}\n`;
    const note = `${body}\n${v.signature_line.trim()}\n`;
    const { signed, unsupported } = await verifyNote(note, [key]);
    assert.deepEqual([...(hasMlDsa ? signed.keys() : unsupported)], [key]);
    assert.equal(signed.size + unsupported.size, 1);
    const policy = { logs: [{ ...key, name: v.log_origin }], witnesses: [], quorum: () => true };
    if (!hasMlDsa) await assert.rejects(openCheckpoint(note, policy), { code: "unsupported" });
    if (hasMlDsa) await assert.rejects(verifyNote(note.replace(`\n${v.end}\n`, `\n${v.end + 1}\n`), [key]));
  }
});

// OpenSSL (node) and BoringSSL (Chromium) follow one rule: the equation without the cofactor, and R compared as bytes. The text of Web
// Crypto would also refuse A and R of small order, which neither does. The server's rule differs in one point: it refuses a
// key that is not in its canonical form. Such a key would have to stand in the policy.
test("Ed25519 at its edges: the rule of Web Crypto, and where the server's differs", async () => {
  const cases = vector("notes/ed25519vectors.json");
  const server = existsSync(new URL("ed25519-rule.json", VECTORS)) ? new Set(vector("ed25519-rule.json").accepted) : null;
  assert.equal(cases.length, 914);
  for (const { number, key, sig, msg, flags } of cases) {
    const has = (flag) => flags?.includes(flag) ?? false;
    const valid = await verifySignature({ type: 1, bytes: fromHex(key) }, utf8(msg), fromHex(sig));
    assert.equal(valid, !has("low_order_residue") && !has("non_canonical_R"), `${number}: ${flags}`);
    if (server) assert.equal(server.has(number), valid && !has("non_canonical_A"), `${number}: ${flags}`);
  }
});
