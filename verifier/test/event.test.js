import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { commitment, decodeCbor, decodeEvent, eventLeaf, hex, leafHash, tag, withMatter } from "../index.js";
import { VECTORS, encodeCbor, fromHex, vector } from "./support.js";

const LEAVES = "event-leaves.json";

test("event leaf vectors", { skip: !existsSync(new URL(LEAVES, VECTORS)) }, async () => {
  const { cases } = vector(LEAVES);
  assert.ok(cases.length > 0);
  for (const v of cases) {
    const c = await commitment(fromHex(v.r_hex), fromHex(v.event_hex));
    const t = await tag(fromHex(v.tag_key_hex), BigInt(v.n));
    assert.equal(hex(c), v.commitment_hex);
    assert.equal(hex(t), v.tag_hex);
    assert.equal(hex(eventLeaf(c, t)), v.leaf_hex);
    assert.equal(hex(await leafHash(eventLeaf(c, t))), v.leaf_hash_hex);
    assert.equal(eventLeaf(c, t).length, 66);
  }
});

test("CBOR in its shortest form", () => {
  for (const n of [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    assert.equal(decodeCbor(encodeCbor(n)), n);
  }
  assert.deepEqual(decodeCbor(encodeCbor(["三", [], new Map([[0, "a"], [24, 1]])])), ["三", [], new Map([[0, "a"], [24, 1]])]);
  assert.deepEqual(decodeCbor(fromHex("4201ff")), Uint8Array.of(1, 255));
});

const BAD_CBOR = {
  "nothing": "",
  "trailing byte": "0000",
  "number cut short": "19ff",
  "23 in two bytes": "1817",
  "255 in three bytes": "1900ff",
  "65535 in five bytes": "1a0000ffff",
  "2^32-1 in nine bytes": "1b00000000ffffffff",
  "2^53": "1b0020000000000000",
  "2^64-1": "1bffffffffffffffff",
  "reserved length 28": "1c",
  "reserved length 30": "1e00",
  "indefinite bytes": "5f4101ff",
  "indefinite text": "7f6161ff",
  "indefinite array": "9f00ff",
  "indefinite map": "bf0000ff",
  "break alone": "ff",
  "negative number": "20",
  "tag": "c000",
  "false": "f4",
  "null": "f6",
  "undefined": "f7",
  "half float": "f93c00",
  "float": "fa3f800000",
  "double": "fb3ff0000000000000",
  "bytes cut short": "4201",
  "bytes longer than memory": "5b001fffffffffffff",
  "text cut short": "6261",
  "text not UTF-8": "61ff",
  "surrogate in text": "63eda080",
  "overlong text": "62c080",
  "length of text not shortest": "780161",
  "array cut short": "8200",
  "array longer than memory": "9b001fffffffffffff",
  "map cut short": "a100",
  "map without value": "a20000",
  "duplicate key": "a200000000",
  "keys out of order": "a201000000",
  "text key": "a1616100",
  "bytes key": "a1410000",
  "key not shortest": "a1180000",
  "nested too deep": `${"81".repeat(9)}00`,
  "nested far too deep": `${"81".repeat(100_000)}00`,
};

for (const [name, bytes] of Object.entries(BAD_CBOR)) {
  test(`CBOR refused: ${name}`, () => assert.throws(() => decodeCbor(fromHex(bytes))));
}

const full = () =>
  new Map([
    [0, 1], [1, "use"], [2, 1], [3, new Uint8Array(32)], [4, 1_700_000_000_000_000], [5, new Uint8Array(32)], [6, "svc_library"],
    [7, [["blk_name", "value"]]], [8, "loan"], [9, new Uint8Array(32)], [10, "immediate"], [11, [new Uint8Array(16), 2]],
    [12, "sunset"], [13, "cas_1"], [14, 1_700_000_000_000_001],
  ]);

test("events, with and without what may be absent", () => {
  const event = decodeEvent(encodeCbor(full()));
  assert.equal(event.clause, "sunset");
  assert.equal(hex(event.batch[0]), "00".repeat(16));
  assert.equal(event.batch[1], 2);
  const least = full();
  for (const key of [5, 6, 9, 11, 12, 13, 14]) least.delete(key);
  assert.equal(decodeEvent(encodeCbor(least)).mandate, undefined);
});

test("events refused: a field missing, of the wrong type, or unknown", () => {
  for (const key of [0, 1, 2, 3, 4, 7, 8, 10]) {
    const event = full();
    event.delete(key);
    assert.throws(() => decodeEvent(encodeCbor(event)), { code: "malformed" }, `without ${key}`);
  }
  const wrong = [
    [0, 2], [1, "peek"], [1, 1], [2, "1"], [3, new Uint8Array(31)], [4, "now"], [5, new Uint8Array(31)], [6, 6], [7, "blk_name"], [7, [["blk_name"]]],
    [7, [["blk_name", "all"]]], [8, 8], [9, new Uint8Array()], [10, "never"], [11, [new Uint8Array(15), 1]], [11, [new Uint8Array(16)]], [12, 1],
    [13, []], [14, "later"], [15, 0], [16, 0], [17, new Uint8Array(32)], [17, [new Uint8Array(32), 1]],
  ];
  for (const [key, value] of wrong) {
    assert.throws(() => decodeEvent(encodeCbor(full().set(key, value))), { code: "malformed" }, `${key}: ${value}`);
  }
  assert.throws(() => decodeEvent(encodeCbor([1, "use"])), { code: "malformed" });
});

const EVENTS = new URL("../../vectors/events/", import.meta.url);
const golden = readdirSync(EVENTS).filter((name) => name.endsWith(".json")).map((name) => [name, JSON.parse(readFileSync(new URL(name, EVENTS), "utf8"))]);

test("golden events are taken and refused as their files say", async () => {
  const count = { accept: 0, refuse: 0 };
  for (const [name, { expect, cbor_hex, event, opening_hex, commitment_hex }] of golden) {
    // A page cannot hold whole numbers beyond 2^53, and does not pretend to.
    const isLarge = event && [event.n, event.at_micros].some((n) => !Number.isSafeInteger(Number(n)));
    count[expect] += 1;
    if (expect === "refuse" || isLarge) {
      // What service and block are called, and which times there are, the log's writer answers for.
      if (!/of-another-kind|too-late/.test(name)) assert.throws(() => decodeEvent(fromHex(cbor_hex)), Error, name);
      continue;
    }
    const read = decodeEvent(fromHex(cbor_hex));
    assert.deepEqual([read.kind, read.reason, read.detail ?? null], [event.kind, event.reason, event.detail], name);
    assert.equal(hex(await commitment(fromHex(opening_hex), fromHex(cbor_hex))), commitment_hex, name);
  }
  assert.ok(count.accept >= 25 && count.refuse >= 55);
});

test("golden matters open what their events bind, and no other", async () => {
  const closed = golden.filter(([, { matter }]) => matter);
  assert.ok(closed.length >= 4);
  for (const [name, { cbor_hex, event, matter }] of closed) {
    const opened = fromHex(matter.opening_hex + matter.cbor_hex);
    const read = decodeEvent(fromHex(cbor_hex));
    assert.equal(String(read.closed[1]), event.closed.shown_from_micros);
    const whole = await withMatter(read, opened);
    assert.deepEqual([whole.reason, whole.detail ?? null], [matter.reason, matter.detail ?? event.detail], name);
    for (const [other, { cbor_hex }] of closed.filter(([other]) => other !== name)) {
      await assert.rejects(withMatter(decodeEvent(fromHex(cbor_hex)), opened), { code: "matter" }, `${name} opens ${other}`);
    }
    const changed = opened.slice();
    changed[0] ^= 1;
    await assert.rejects(withMatter(read, changed), { code: "matter" });
    await assert.rejects(withMatter({ ...read, closed: undefined }, opened), { code: "matter" });
  }
});

test("keys of a wrong length are refused", async () => {
  await assert.rejects(commitment(new Uint8Array(31), new Uint8Array()), { code: "malformed" });
  await assert.rejects(tag(new Uint8Array(33), 0), { code: "malformed" });
});

test("the operation of a system outside", () => {
  const event = (foreign) => new Map([[0, 1], [1, "use"], [2, 0], [3, new Uint8Array(0)], [4, 5], [7, []], [8, "loan"], [10, "immediate"], [19, foreign]]);
  const [trace, operation, none] = [new Uint8Array(16).fill(1), new Uint8Array(8).fill(2), new Uint8Array(0)];
  const read = (...foreign) => decodeEvent(encodeCbor(event(foreign)));
  assert.deepEqual(read(trace, operation, none, "loans").foreign?.map((part) => (typeof part === "string" ? part : hex(part))), [hex(trace), hex(operation), "", "loans"]);
  assert.equal(hex(read(trace, operation, operation, "loans").foreign?.[2] ?? none), hex(operation));
  const bad = [
    [trace, operation, none], [new Uint8Array(16), operation, none, "loans"], [trace, new Uint8Array(8), none, "loans"], [operation, operation, none, "loans"],
    [trace, operation, new Uint8Array(8), "loans"], [trace, operation, none, ""], [trace, operation, none, "x".repeat(201)],
  ];
  for (const foreign of bad) assert.throws(() => read(...foreign), undefined, JSON.stringify(foreign));
});
