// The second chain of a resident: what opens on its day is found, and what is kept back after it comes to light.
import assert from "node:assert/strict";
import { createCipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  FIRST_NUMBER, hex, openFootprint, seedBefore, seedsFrom, tag, verifyFootprint, weekAt, weekLineKey, weekOf, weekTagKey,
} from "../index.js";
import { City, encodeCbor, fetchFrom, fromHex, memory } from "./support.js";

const vector = (name) => JSON.parse(readFileSync(new URL(`../../vectors/delay/accept-${name}.json`, import.meta.url), "utf8"));

test("weeks of the shared vectors", async () => {
  const { weeks, footprint_key_hex } = vector("weeks");
  assert.ok(weeks.length >= 5);
  for (const week of weeks) {
    const seed = fromHex(week.seed_hex);
    const key = await weekTagKey(seed);
    assert.equal(hex(key), week.tag_key_hex);
    assert.equal(hex(await weekLineKey(fromHex(footprint_key_hex), seed)), week.line_key_hex);
    assert.equal(weekAt(Number(week.begins_micros)), week.week);
    assert.equal(weekAt(Number(week.begins_micros) - 1), week.week - 1);
    for (const { n, tag_hex } of week.tags) {
      assert.equal(hex(await tag(key, Number(n))), tag_hex);
      assert.equal(weekOf(Number(n)), week.week);
    }
  }
  const last = weeks.at(-1);
  const seeds = await seedsFrom({ week: last.week, seed: Buffer.from(last.seed_hex, "hex").toString("base64") }, weeks[0].week);
  for (const week of weeks) assert.equal(hex(seeds.get(week.week)), week.seed_hex);
  assert.deepEqual(await seedBefore(seeds.get(2941)), seeds.get(2940));
});

const NOW = 1_767_225_600_000_000;
const WEEK = weekAt(NOW);
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const mac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const uint64 = (n) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(n));
  return bytes;
};

/** A resident whose lines may be delayed; her first line binds her weeks. */
function resident(city) {
  const known = city.resident();
  const seeds = new Map([[WEEK + 60, randomBytes(32)]]);
  for (let week = WEEK + 59; week > WEEK - 5; week -= 1) seeds.set(week, sha256(Buffer.from("usufruct/delay-seed/v1"), seeds.get(week + 1)));
  const [lines, prev] = [[], new Map()];
  known.use(NOW, new Map([[18, seeds.get(WEEK)]]));
  return {
    own: known,
    /** A line that opens so many weeks later. */
    delayed(weeks, key = seeds.get(WEEK + weeks)) {
      const week = WEEK + weeks;
      const n = week * FIRST_NUMBER + lines.filter((line) => weekOf(line.n) === week).length;
      const event = encodeCbor(new Map([[0, 1], [1, "use"], [2, n], [3, prev.get(week) ?? new Uint8Array()], [4, NOW], [7, []], [8, "inquiry"], [10, "delayed"]]));
      const r = randomBytes(32);
      const c = mac(r, Buffer.from("usufruct/event/v1"), uint64(event.length).subarray(4), event);
      const t = mac(mac(key, Buffer.from("usufruct/delayed-tag/v1")), Buffer.from("usufruct/tag/v1"), uint64(n));
      prev.set(week, c);
      const index = city.leaves.push(Buffer.concat([Buffer.of(1, 2), c, t])) - 1;
      const shown = { kind: "use", mandate: null, service: null, at: String(NOW), blocks: [] };
      lines.push({ n, index, event: event.toString("base64"), r: r.toString("base64"), shown });
    },
    /** What an honest page hands out so many weeks later. */
    footprint(weeks) {
      const week = WEEK + weeks;
      const all = known.footprint();
      return { ...all, size: city.leaves.length, lines: [...all.lines, ...lines.filter((line) => weekOf(line.n) <= week)], delay: { week, seed: seeds.get(week).toString("base64") } };
    },
  };
}

const at = (weeks) => (NOW + weeks * 7 * 86_400_000_000) / 1000;
const verify = (city, footprint, weeks, more = {}) =>
  verifyFootprint(footprint, { fetchBytes: fetchFrom(city.publish()), nowMillis: at(weeks), ...more });

/** A log of others, and one resident with two lines that open in four weeks. */
function story() {
  const city = new City();
  city.fill(700);
  const her = resident(city);
  her.delayed(4);
  her.delayed(4);
  city.fill(40);
  her.own.use(NOW + 1000);
  return { city, her };
}

test("what is delayed is found by nothing before its day, and proven on it", async () => {
  const { city, her } = story();
  const before = await verify(city, her.footprint(3), 3);
  assert.deepEqual([before.state, before.lines.length, before.search.yours], ["verified", 2, 2]);
  const after = await verify(city, her.footprint(4), 4);
  assert.deepEqual([after.state, after.lines.length, after.search.yours], ["verified", 4, 4]);
  assert.equal((await verify(city, her.footprint(9), 9, { whole: true })).state, "verified");
});

test("a line that is kept back after its day is hidden", async () => {
  const { city, her } = story();
  for (const gone of [0, 1]) {
    const footprint = her.footprint(5);
    footprint.lines = footprint.lines.filter((line) => weekOf(line.n) === 0 || line.n % FIRST_NUMBER !== gone);
    const result = await verify(city, footprint, 5);
    assert.equal(result.state, "broken", `${gone}`);
    assert.ok(result.search.findings.some(({ code }) => code === "hidden"), JSON.stringify(result.search));
  }
  const none = her.footprint(5);
  none.lines = none.lines.filter((line) => weekOf(line.n) === 0);
  assert.equal((await verify(city, none, 5)).search.findings[0].code, "hidden");
});

test("an earlier search does not keep a week that has begun since from being looked for", async () => {
  const { city, her } = story();
  const storage = memory();
  assert.equal((await verify(city, her.footprint(3), 3, { storage })).state, "verified");
  city.fill(300);
  const forgotten = her.footprint(4);
  forgotten.lines = forgotten.lines.filter((line) => weekOf(line.n) === 0);
  assert.equal((await verify(city, forgotten, 4, { storage })).state, "broken");
});

test("other seeds than the one of the beginning, or none, are found out", async () => {
  const { city, her } = story();
  const other = her.footprint(4);
  other.delay.seed = randomBytes(32).toString("base64");
  assert.deepEqual([(await verify(city, other, 4)).state, (await verify(city, other, 4)).reason.code], ["broken", "anchor"]);
  const none = her.footprint(4);
  delete none.delay;
  assert.equal((await verify(city, none, 4)).reason.code, "anchor");
  // A page that stays in an older week says so.
  const behind = await verify(city, her.footprint(3), 4);
  assert.deepEqual([behind.state, behind.reason.code], ["pending", "weeks"]);
});

test("a line under another key than that of its week, or out of its chain, is broken", async () => {
  const { city, her } = story();
  her.delayed(4, randomBytes(32));
  const result = await verify(city, her.footprint(4), 4);
  assert.equal(result.lines.at(-1).reason.code, "unlogged");
  const cut = story();
  const footprint = cut.her.footprint(4);
  const [first, second] = footprint.lines.filter((line) => weekOf(line.n) > 0);
  second.n = first.n;
  assert.equal((await verify(cut.city, footprint, 4)).state, "broken");
});

test("delayed lines open with her key and the week's, and with neither alone", async () => {
  const [key, seed, salt, n] = [randomBytes(64), randomBytes(32), randomBytes(16), (WEEK + 4) * FIRST_NUMBER];
  const event = encodeCbor(new Map([[0, 1], [1, "use"], [2, n], [3, new Uint8Array()], [4, NOW], [7, []], [8, "inquiry"], [10, "delayed"]]));
  const body = Buffer.concat([randomBytes(32), event]);
  const padded = Buffer.concat([uint64(body.length).subarray(4), body, Buffer.alloc(60)]);
  const lineKey = mac(key.subarray(32), Buffer.from("usufruct/delayed-line/v1"), seed);
  const once = mac(lineKey, Buffer.from("usufruct/line/v1"), uint64(n), salt, Buffer.of(1));
  const cipher = createCipheriv("aes-256-gcm", once, Buffer.alloc(12));
  const sealed = Buffer.concat([salt, cipher.update(padded), cipher.final(), cipher.getAuthTag()]).toString("base64");
  const open = async (seed, own) => {
    const delay = { week: WEEK + 4, seed: seed?.toString("base64") ?? null };
    return (await openFootprint({ delay, lines: [{ n, index: 7, sealed }] }, own)).lines[0];
  };
  assert.equal((await open(seed, key)).event, event.toString("base64"));
  for (const [otherSeed, otherKey] of [[randomBytes(32), key], [null, key], [seed, randomBytes(64)]]) {
    assert.equal((await open(otherSeed, otherKey)).event, null);
  }
});
