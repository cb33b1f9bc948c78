import assert from "node:assert/strict";
import { test } from "node:test";
import { openCheckpoint, openNote, parseCheckpoint, parseVkey, utf8 } from "../index.js";
import { signer, vector } from "./support.js";

const open = async (note, ...vkeys) => openNote(utf8(note), await Promise.all(vkeys.map(parseVkey)));

test("note vectors", async () => {
  for (const { name, note, vkey, verified } of vector("notes/ed25519-notes.json")) {
    assert.ok(verified);
    assert.equal(await open(note, vkey), note.slice(0, note.lastIndexOf("\n\n") + 1), name);
    await assert.rejects(open(`x${note}`, vkey), { code: "signature" }, name);
    await assert.rejects(open(note, signer("other").vkey), { code: "signature" }, name);
  }
});

const BODY = "a text\n\nwith an empty line\n";

test("unknown keys are ignored, a known key that fails refuses, and so does none", async () => {
  const [a, b] = [signer("a"), signer("b")];
  const line = (note) => note.slice(note.lastIndexOf("\n\n") + 2);
  const both = a.note(BODY) + line(b.note(BODY));
  assert.equal(await open(both, a.vkey), BODY);
  assert.equal(await open(both, b.vkey), BODY);
  const halfBad = a.note(BODY) + line(b.note("another text\n"));
  assert.equal(await open(halfBad, a.vkey), BODY);
  await assert.rejects(open(halfBad, a.vkey, b.vkey), { code: "signature" });
  await assert.rejects(open(both), { code: "signature" });
  await assert.rejects(open(both, signer("a").vkey), { code: "signature" }, "same name, other key");
});

test("a cosignature of a kind this verifier does not know does no harm", async () => {
  const a = signer("a");
  const postQuantum = Buffer.alloc(4 + 8 + 2420, 7).toString("base64");
  const foreign = Array.from({ length: 16 }, (_, i) => `— witness${i}.example ${postQuantum}\n`).join("");
  assert.equal(await open(a.note(BODY) + foreign, a.vkey), BODY);
  await assert.rejects(open(`${BODY}\n${foreign}`, a.vkey), { code: "signature" });
});

test("what is no signed note is refused", async () => {
  const a = signer("a");
  const good = a.note(BODY);
  const signature = good.slice(good.lastIndexOf("\n\n") + 2);
  const bad = [
    "", "\n", "text\n", BODY, `${BODY}\n`, good.slice(0, -1), good.replace("—", "-"), good.replace("— a", "—  a"), `${good}\n`,
    good.replace("a text", "a\ttext"), good.replace("a text", "a\rtext"), good.replace("— a ", "— a+b "), good.replace("— a ", "— "),
    `${good}junk\n`, `${good.slice(0, -2)}\n`, good + "— b AAAA\n", BODY + signature, `${BODY}\n${signature.repeat(101)}`,
  ];
  for (const note of bad) await assert.rejects(open(note, a.vkey), JSON.stringify(note));
  await assert.rejects(openNote(Uint8Array.of(0xff, 10, 10), []));
});

test("vkeys", async () => {
  const { vkey } = signer("log.example");
  assert.equal((await parseVkey(vkey)).name, "log.example");
  const [name, id, key] = vkey.split("+", 2).concat(vkey.split("+").slice(2).join("+"));
  const bad = [
    "", name, `${name}+${id}`, `${name}+00000000+${key}`, `other+${id}+${key}`, `${name}+${id.toUpperCase()}x+${key}`, `${name}+${id}+${key}A`,
    ` ${vkey}`, `${vkey}\n`, `+${id}+${key}`,
  ];
  for (const text of bad) await assert.rejects(parseVkey(text), JSON.stringify(text));
});

const ROOT = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=";
const EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

test("checkpoints", async () => {
  assert.deepEqual(parseCheckpoint(`o\n3\n${ROOT}\n`).extensions, []);
  assert.deepEqual(parseCheckpoint(`o\n3\n${ROOT}\nx\ny\n`).extensions, ["x", "y"]);
  assert.equal(parseCheckpoint(`o\n0\n${EMPTY}\n`).size, 0);
  const bad = [
    "", "o\n", "o\n3\n", `\n3\n${ROOT}\n`, `o\n03\n${ROOT}\n`, `o\n-1\n${ROOT}\n`, `o\n\n${ROOT}\n`, `o\n3 \n${ROOT}\n`, `o\n3\n${ROOT}`, `o\n3\n\n`,
    `o\n0\n${ROOT}\n`, `o\n3\n${ROOT.slice(0, -1)}\n`, `o\n3\n${ROOT.slice(4)}\n`, `o\n3\n${ROOT}\n\nx\n`, `o\n3\n${ROOT}\n\n`,
    `o\n9007199254740992\n${ROOT}\n`, `o\n0x3\n${ROOT}\n`, `o\n3\n ${ROOT}\n`, `o\n3\n${ROOT.replace("Kk=", "Kl=")}\n`,
  ];
  for (const body of bad) assert.throws(() => parseCheckpoint(body), JSON.stringify(body));

  const key = signer("o");
  const verifier = await parseVkey(key.vkey);
  assert.equal((await openCheckpoint(utf8(key.note(`o\n3\n${ROOT}\n`)), "o", verifier)).size, 3);
  await assert.rejects(openCheckpoint(utf8(key.note(`p\n3\n${ROOT}\n`)), "o", verifier), { code: "checkpoint" });
});
