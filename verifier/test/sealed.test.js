// Lines that her own key opens: against the vectors of the vault, and in a log where somebody changed them.
import assert from "node:assert/strict";
import { createCipheriv, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { verifyFootprint } from "../footprint.js";
import { openFootprint, openLine } from "../sealed.js";
import { City, fetchFrom, fromHex, memory } from "./support.js";

const { cases } = JSON.parse(readFileSync(new URL("../../vectors/vault/sealed.json", import.meta.url), "utf8"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

test("the lines of the vault's vectors open with the key in their keyring", async () => {
  for (const { keyring_content, n, line, line_body } of cases) {
    const [, lineKey] = /035820.{64}045820(.{64})05/.exec(keyring_content);
    assert.equal(hex(await openLine(fromHex(lineKey), BigInt(n), fromHex(line))), line_body);
  }
  assert.ok(cases.length > 2);
});

const uint64 = (n) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(n));
  return bytes;
};

/** As the vault seals lines, of resident 7. */
function seal(lineKey, n, body, part = "line") {
  const salt = randomBytes(16);
  const key = createHmac("sha256", lineKey).update(`usufruct/${part}/v1`).update(uint64(n)).update(salt).update(Buffer.of(1)).digest();
  const padded = Buffer.alloc(Math.ceil((4 + body.length) / 64) * 64);
  padded.writeUInt32BE(body.length);
  body.copy(padded, 4);
  const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(12)).setAAD(Buffer.concat([uint64(7), uint64(n)]));
  return Buffer.concat([salt, cipher.update(padded), cipher.final(), cipher.getAuthTag()]);
}

/** A resident with some lines in a log, and what the server stores of them. */
function resident(count) {
  const city = new City();
  city.fill(20);
  const person = city.resident();
  for (let i = 0; i < count; i += 1) person.use(1_760_000_000_000_000 + i);
  const { tagKey, lines, ...rest } = person.footprint();
  const lineKey = randomBytes(32);
  const bytes = (text) => Buffer.from(text, "base64");
  const sealed = lines.map(({ n, index, r, event }) => ({
    n, index, sealed: seal(lineKey, n, Buffer.concat([bytes(r), bytes(event)])).toString("base64"),
  }));
  const key = new Uint8Array(Buffer.concat([bytes(tagKey), lineKey]));
  const options = { fetchBytes: fetchFrom(city.publish()), storage: memory(), nowMillis: 1_760_000_000_000 };
  return { key, sealed: { ...rest, lines: sealed }, options };
}

test("a footprint that her own key opened is the one of the log", async () => {
  const { key, sealed, options } = resident(5);
  const result = await verifyFootprint(await openFootprint(sealed, key), options);
  assert.equal(result.state, "verified");
  assert.deepEqual(result.lines.map(({ event }) => event.kind), Array(5).fill("use"));
  assert.equal(result.search.yours, 5);
});

test("no bit of a line can be changed without being seen", async () => {
  const { key, sealed, options } = resident(2);
  const original = Buffer.from(sealed.lines[1].sealed, "base64");
  // All of it but the tag, which the commitment makes up for.
  for (let at = 0; at < original.length - 16; at += 7) {
    const changed = Buffer.from(original);
    changed[at] ^= 1;
    const lines = [sealed.lines[0], { ...sealed.lines[1], sealed: changed.toString("base64") }];
    const { state, lines: results } = await verifyFootprint(await openFootprint({ ...sealed, lines }, key), options);
    assert.deepEqual([state, results[0].state, results[1].state], ["broken", "verified", "broken"], `byte ${at}`);
  }
});

test("a line that is not handed out is found, and the key of another opens nothing", async () => {
  const { key, sealed, options } = resident(3);
  const fewer = { ...sealed, lines: sealed.lines.slice(0, 2) };
  const { search } = await verifyFootprint(await openFootprint(fewer, key), options);
  assert.deepEqual(search.findings.map(({ code }) => code), ["hidden"]);
  const strange = await openFootprint(sealed, new Uint8Array(randomBytes(64)));
  assert.ok(strange.lines.every(({ event, r }) => event === null && r === null));
  assert.equal((await verifyFootprint(strange, options)).state, "broken");
});

test("garbage in the place of a line is a line that does not open", async () => {
  const { key, sealed } = resident(1);
  for (const garbage of ["", "AAAA", "?", randomBytes(32).toString("base64"), randomBytes(96).toString("base64")]) {
    const { lines } = await openFootprint({ ...sealed, lines: [{ n: 0, index: 20, sealed: garbage }] }, key);
    assert.equal(lines[0].event, null);
  }
  await assert.rejects(openFootprint(sealed, key.subarray(1)));
});

test("a matter that is handed out opens with her own key, in the place of its own line only", async () => {
  const { key, sealed } = resident(2);
  const lineKey = Buffer.from(key.subarray(32));
  const matter = randomBytes(40);
  const part = seal(lineKey, 1, matter, "line-matter").toString("base64");
  const lines = sealed.lines.map((line) => ({ ...line, matter: part }));
  const opened = (await openFootprint({ ...sealed, lines }, key)).lines;
  assert.equal(opened[1].matter, matter.toString("base64"));
  assert.notEqual(opened[0].matter, matter.toString("base64"));
  const body = sealed.lines.map((line) => ({ ...line, matter: line.sealed }));
  assert.ok((await openFootprint({ ...sealed, lines: body }, key)).lines.every(({ matter }) => matter === undefined));
  assert.ok((await openFootprint(sealed, key)).lines.every((line) => line.matter === undefined));
});
