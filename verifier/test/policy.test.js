import assert from "node:assert/strict";
import { test } from "node:test";
import { leafHash, openCheckpoint, parsePolicy, parseProof, text, verifyProof } from "../index.js";
import { publish, signer, treeRoot, witness } from "./support.js";

const log = signer("log.example");
const [w1, w2, w3, v1, v2] = ["w1", "w2", "w3", "v1", "v2"].map((name) => witness(`${name}.example`));
const TWO_CITIES = `# Two of the first, any of the second.
log ${log.vkey} https://log.example/
witness w1 ${w1.vkey}
\twitness   w2 ${w2.vkey}\thttps://w2.example/
witness w3 ${w3.vkey}

group first 2 w1 w2 w3
witness v1 ${v1.vkey}
witness v2 ${v2.vkey}
group second any v1 v2
group both all first second
  # comment
quorum both
`;

const ROOT = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=";
const BODY = `log.example\n3\n${ROOT}\n`;
const signedBy = (...witnesses) => log.note(BODY) + witnesses.map(({ line }) => line(BODY)).join("");

test("a quorum of quorums", async () => {
  const policy = await parsePolicy(TWO_CITIES);
  const met = async (...witnesses) => (await openCheckpoint(signedBy(...witnesses), policy)).lacks === "";
  assert.deepEqual([policy.logs.length, policy.witnesses.length], [1, 5]);
  for (const witnesses of [[w1, w2, v1], [w3, w1, v2], [w1, w2, w3, v1, v2]]) assert.equal(await met(...witnesses), true);
  for (const witnesses of [[], [w1], [w1, w2], [w1, v1, v2], [v1, v2], [w1, w1, v1], [w1, witness("w2.example"), v1]]) {
    assert.equal(await met(...witnesses), false);
  }
  await assert.rejects(openCheckpoint(signedBy(w1, w2, v1) + w3.line("another text\n"), policy), { code: "signature" });
  assert.equal((await openCheckpoint(signedBy(), await parsePolicy(`log ${log.vkey}\nquorum none\n`))).lacks, "");
  assert.equal((await openCheckpoint(signedBy(w2), await parsePolicy(`log ${log.vkey}\nwitness w ${w2.vkey}\nquorum w\n`))).lacks, "");
});

test("policies that are refused", async () => {
  const [w, v] = [`witness w ${w1.vkey}\n`, `witness v ${w2.vkey}\n`];
  const bad = {
    "no quorum": w, "two quorums": `${w}quorum w\nquorum w\n`, "unknown quorum": "quorum w\n", "quorum before its witness": `quorum w\n${w}`,
    "quorum of nothing": `${w}quorum\n`, "quorum of two": `${w}${v}quorum w v\n`, "second quorum after an unknown one": `${w}quorum x\nquorum w\n`,
    "unknown word": `${w}quorum w\nhello\n`, "word in capitals": `${w}QUORUM w\n`, "control character": `${w}quorum w\n#\u0007\n`, "carriage return": `${w}quorum w\r\n`,
    "delete": `${w}quorum w\n#\u007f\n`,
    "name twice": `${w}witness w ${w2.vkey}\nquorum w\n`, "witness named none": `witness none ${w1.vkey}\nquorum none\n`, "group named as a witness": `${w}${v}group w any v\nquorum w\n`,
    "key twice": `${w}witness v ${w1.vkey}\nquorum w\n`, "log twice": `log ${log.vkey}\nlog ${log.vkey}\nquorum none\n`,
    "log key as witness": `witness w ${log.vkey}\nquorum w\n`, "witness key as log": `log ${w1.vkey}\nquorum none\n`, "bad key": `log ${log.vkey}A\nquorum none\n`,
    "log without key": "log\nquorum none\n", "witness without key": "witness w\nquorum none\n", "log with too much": `log ${log.vkey} url more\nquorum none\n`,
    "witness with too much": `witness w ${w1.vkey} url more\nquorum w\n`,
    "empty group": `${w}group g all\nquorum w\n`, "group of none": `${w}group g any none\nquorum g\n`, "member twice": `${w}${v}group g 1 w w\nquorum g\n`,
    "member of two groups": `${w}${v}group g any w\ngroup h any w v\nquorum h\n`, "unknown member": `${w}group g any x\nquorum g\n`, "group of itself": `${w}group g any g\nquorum g\n`,
    "zero of": `${w}group g 0 w\nquorum g\n`, "more than there are": `${w}group g 2 w\nquorum g\n`, "less than none": `${w}group g -1 w\nquorum g\n`, "half": `${w}group g 0.5 w\nquorum g\n`,
    "leading zero": `${w}group g 01 w\nquorum g\n`, "no newline at the end": `${w}quorum w`, "hexadecimal": `${w}group g 0x1 w\nquorum g\n`, "exponent": `${w}group g 1e0 w\nquorum g\n`, "no-break space": `${w}quorum\u00a0w\n`,
  };
  for (const [name, policy] of Object.entries(bad)) await assert.rejects(parsePolicy(policy), Error, name);
  await parsePolicy(`${w}quorum w\n`);
});

test("32 logs, 32 witnesses, 32 groups", async () => {
  const logs = Array.from({ length: 32 }, (_, i) => `log ${signer(`log${i}.example`).vkey}`);
  const witnesses = Array.from({ length: 32 }, (_, i) => `witness w${i} ${witness(`w${i}.example`).vkey}`);
  const groups = Array.from({ length: 32 }, (_, i) => `group g${i} all w${i}${i > 0 ? ` g${i - 1}` : ""}`);
  const policy = await parsePolicy([...logs, ...witnesses, ...groups, "quorum g31", ""].join("\n"));
  const all = new Map(policy.witnesses.map((key) => [key, 1]));
  assert.equal(policy.quorum(all), true);
  all.delete(policy.witnesses[0]);
  assert.equal(policy.quorum(all), false);
});

const leaves = ["a", "b", "c"].map((leaf) => Buffer.from(leaf));
const checkpoint = text(publish(leaves, log, "log.example", [w1]).get("/log/checkpoint"));
const hashes = await Promise.all(leaves.map((leaf) => leafHash(leaf)));
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const PROOF = `c2sp.org/tlog-proof@v1
extra ${base64(Buffer.from("opening"))}
index 2
${base64(treeRoot(hashes.slice(0, 2).map((hash) => Buffer.from(hash))))}

${checkpoint}`;

test("a proof is verified without a network", async () => {
  const policy = await parsePolicy(`log ${log.vkey}\nwitness w ${w1.vkey}\nquorum w\n`);
  assert.equal((await verifyProof(PROOF, hashes[2], policy)).size, 3);
  assert.equal(text(parseProof(PROOF).extra), "opening");
  assert.equal(parseProof(PROOF.replace(/extra.*\n/, "")).extra.length, 0);
  await assert.rejects(verifyProof(PROOF, hashes[1], policy), { code: "proof" });
  await assert.rejects(verifyProof(PROOF.replace("index 2", "index 1"), hashes[2], policy), { code: "proof" });
  await assert.rejects(verifyProof(PROOF.replace("index 2", "index 3"), hashes[2], policy), { code: "proof" });
  await assert.rejects(verifyProof(PROOF, hashes[2], await parsePolicy(`log ${log.vkey}\nwitness w ${w2.vkey}\nquorum w\n`)), { code: "quorum" });
  await assert.rejects(verifyProof(PROOF, hashes[2], await parsePolicy(`log ${signer("log.example").vkey}\nquorum none\n`)), { code: "signature" });
});

test("proofs that are refused", () => {
  const hash = PROOF.split("\n")[3];
  const bad = [
    "", PROOF.slice(1), PROOF.replace("@v1", "@v2"), PROOF.replace("index 2", "index 02"), PROOF.replace("index 2", "index -2"), PROOF.replace("index 2", "index"), PROOF.replace("index 2\n", ""),
    PROOF.replace("index 2", "index 9007199254740992"), PROOF.replace("\nindex", "\n\nindex"), PROOF.replace(`${hash}\n\n`, `${hash}\n`), PROOF.replace(hash, `${hash}A`), PROOF.replace(hash, hash.slice(0, -1)),
    PROOF.replace(hash, Array(64).fill(hash).join("\n")), PROOF.replace("extra ", "extra  "), PROOF.replace("extra ", "Extra "), PROOF.replace(/\n/g, "\r\n"), PROOF.slice(0, PROOF.indexOf("\n\n") + 2),
    PROOF.replace("index 2", "index 2\nindex 2"),
  ];
  for (const proof of bad) assert.throws(() => parseProof(proof), JSON.stringify(proof));
});
