// A source whose log writer stands still is public within a minute; an official who decides too often is stopped until two people of the
// oversight body let her go on; and the days of the past are counted.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { demo, program } from "../lib/server.js";
import { release, releaseToken, service, signIn, subject } from "../lib/service.js";

const BODY = "agc_oversight";
const MANDATE = "mdt_library-card";
const FESTIVAL = "mdt_shopping-festival";
const PERSONA = "wu-chin-tsai";

let city;
let library;
let token;
let known;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  library = await service(city, "svc_library");
  token = await releaseToken(city, library);
  known = await subject(city, library, PERSONA, `openid ${MANDATE}`);
});

after(async () => city?.stop());

const text = (words) => ({ stringValue: words });

/** A line of the agency's own system. */
function line(number) {
  const attributes = {
    "dpl.core.processing_activity_id": text(`${city.url}/register/mandates/${MANDATE}`),
    "dpl.core.data_subject_id": text(known),
    "usufruct.number": { intValue: `${number}` },
    "usufruct.blocks": { arrayValue: { values: [text("blk_name")] } },
    "usufruct.reason": text("renewal"),
  };
  return { name: "renew", endTimeUnixNano: `${Date.now()}000000`, attributes: Object.entries(attributes).map(([key, value]) => ({ key, value })) };
}

const report = (...numbers) =>
  release(city, library, token, { resourceSpans: [{ scopeSpans: [{ spans: numbers.map(line) }] }] }, "/api/ldv/v1/traces");
const heard = (last, ends = false) => release(city, library, token, { mandate: MANDATE, last, ends }, "/api/ldv/sources");
const counts = async () => (await fetch(`${city.url}/register/counts.json`)).json();
const open = async () => Object.values((await counts()).incidents).filter(({ body }) => !body.ended_at);
const footprint = async () => {
  const cookie = await signIn(city, PERSONA);
  return (await fetch(`${city.url}/me/footprint`, { headers: { cookie: `${cookie}; lang=en`, accept: "text/html" } })).text();
};

/** Asks until it holds; the seconds that it took. */
async function within(seconds, holds) {
  const began = Date.now();
  while (!(await holds())) {
    assert.ok(Date.now() - began < seconds * 1000, `not within ${seconds} seconds`);
    await pause(500);
  }
  return (Date.now() - began) / 1000;
}

test("a writer that stands still is public within 60 seconds, and she is told since when", async () => {
  assert.deepEqual(await (await report(1, 2)).json(), {});
  assert.deepEqual(await (await heard(2)).json(), { received: 2 });
  assert.doesNotMatch(await footprint(), /may be incomplete since/);
  // The system gives out two more numbers, and its log writer sends nothing.
  await heard(4);
  await within(60, async () => (await open()).length > 0);
  const [incident] = await open();
  assert.equal(incident.body.fault, "missing");
  assert.equal(incident.body.missing, "1-9");
  assert.match(await footprint(), /may be incomplete since/);
  assert.match(await (await fetch(`${city.url}/register/counts`, { headers: { cookie: "lang=en" } })).text(), /Numbers are missing/);
  // The statement is a leaf that the next checkpoint covers.
  await within(30, async () => Number((await (await fetch(`${city.url}/log/checkpoint`)).text()).split("\n")[1]) > incident.index);
  // What was owed comes, and it is over.
  assert.deepEqual(await (await report(4, 3)).json(), {});
  await heard(4, true);
  await within(30, async () => (await open()).length === 0);
  assert.doesNotMatch(await footprint(), /may be incomplete since/);
});

test("an official who decides far too often is stopped until two people of the oversight body release her", async () => {
  const festival = await service(city, "svc_festival");
  const own = await releaseToken(city, festival);
  const who = await subject(city, festival, PERSONA, `openid ${FESTIVAL}`);
  const blocks = [{ block: "blk_residence-district", form: "predicate" }];
  const decide = () => release(city, festival, own, { subject: who, mandate: FESTIVAL, blocks, reason: "stamp", actor: "officer 17" });
  let taken = 0;
  let answer;
  while ((answer = await decide()).status === 200 && taken < 40) taken += 1;
  assert.ok(taken > 0 && taken < 15, `${taken} decisions on a first day`);
  assert.equal((await answer.json()).clauses[0].clause, "brake");
  const [stopped] = (await counts()).brakes;
  assert.equal(stopped.reason, `${FESTIVAL} stamp`);
  const desk = await (await fetch(`${city.url}/oversight/${BODY}`, { headers: { cookie: "lang=en" } })).text();
  assert.ok(desk.includes(stopped.mark));
  const folder = join(city.data, "..", "brake");
  mkdirSync(folder);
  const keys = ["head", "data-protection"].map((key) => {
    const seed = readFileSync(join(city.data, "keys", `${BODY}.${key}.seed`)).toString("base64url");
    writeFileSync(join(folder, `${key}.json`), JSON.stringify({ agency: BODY, key, seed }), { mode: 0o600 });
    return join(folder, `${key}.json`);
  });
  const file = join(folder, "release.toml");
  writeFileSync(file, `body = "${BODY}"\nkind = "release"\ntarget = "${FESTIVAL}"\nstrata = ["${stopped.mark}"]\nreasons = { en = "A loan day.", zh-Hant = "借閱日。" }\n`);
  const publish = (signers) =>
    spawnSync(program(), ["publish", "order", file, ...signers.flatMap((key) => ["--key", key]), "--data-dir", city.data], {
      encoding: "utf8", env: { ...process.env, USUFRUCT_ANY_DISK: "1" },
    });
  assert.notEqual(publish(keys.slice(0, 1)).status, 0);
  assert.equal((await decide()).status, 403);
  const released = publish(keys);
  assert.equal(released.status, 0, released.stderr);
  assert.equal((await decide()).status, 200);
  assert.deepEqual((await counts()).brakes, []);
});

test("the days before today are counted, one after the other", async () => {
  const tallies = async () => (await fetch(`${city.url}/register/mandates/${MANDATE}/tallies.json`)).json();
  await within(90, async () => (await tallies()).length > 0);
  const days = (await tallies()).map(({ body }) => body.day);
  for (let i = 1; i < days.length; i += 1) {
    assert.equal(Date.parse(days[i - 1]) - Date.parse(days[i]), 86_400_000, `${days[i - 1]} comes after ${days[i]}`);
  }
});
