// A national portal reads a resident's footprint by the protocol of the Estonian Data Tracker, with plain HTTP and its own keys.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { lawWithoutComments } from "../lib/drill.js";
import { demo, program } from "../lib/server.js";
import { bearing, release, releaseToken, service, subject } from "../lib/service.js";

const EXAMPLE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "taipei-like");
const CARD = "mdt_library-card";
const READS = "mdt_portal";
const PERSONA = "wu-chin-tsai";

let city;
let portal;
let token;
let known;
const work = mkdtempSync(join(tmpdir(), "portal-"));

/** A value as TOML writes it in one line. */
const toml = (value) => {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return `{ ${members.map(([key, member]) => `"${key}" = ${toml(member)}`).join(", ")} }`;
};

/** Publishes a file, signed by two officials of a body. */
function publish(words, name, text, body) {
  const file = join(work, `${name}.toml`);
  writeFileSync(file, text);
  const keys = ["head", "data-protection"].flatMap((key) => {
    const seed = readFileSync(join(city.data, "keys", `${body}.${key}.seed`)).toString("base64url");
    const official = join(work, `${body}.${key}.json`);
    writeFileSync(official, JSON.stringify({ agency: body, key, seed }), { mode: 0o600 });
    return ["--key", official];
  });
  const done = spawnSync(program(), [...words, file, ...keys, "--data-dir", city.data], {
    encoding: "utf8", env: { ...process.env, USUFRUCT_ANY_DISK: "1" },
  });
  assert.equal(done.status, 0, done.stderr);
}

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  const block = {
    name: { en: "Footprint", "zh-Hant": "足跡" }, category: "pd:Name", sensitivity: "sensitive", source_agency: "agc_information",
    attributes: [{ en: "Lines", "zh-Hant": "紀錄" }], forms_allowed: ["value"], correctable: false,
  };
  publish(["publish", "block"], "footprint", Object.entries(block).map(([key, value]) => `${key} = ${toml(value)}`).join("\n"), "agc_information");
  // The library's mandate once more, for its readers' footprints alone.
  const whole = readFileSync(join(EXAMPLE, "mandates", "library-card.toml"), "utf8");
  const asked = '\n[[mandate.blocks]]\nblock = "blk_footprint"\nnecessity = "required"\nform = "value"\nreason = { en = "To show it to you.", zh-Hant = "供您查看。" }\n';
  const blocks = /\n\[\[mandate\.blocks\]\][\s\S]*?(?=\n\[(?!\[mandate\.blocks\]\]))/;
  assert.match(whole, blocks);
  publish(["publish", "lawpack"], "tw", lawWithoutComments(), "agc_information");
  publish(["mandate", "publish"], "portal", whole.replace(blocks, asked), "agc_library");
  const { body } = await (await fetch(`${city.url}/register/services/svc_library.json`)).json();
  const more = { ...body, mandates: [...body.mandates, READS] };
  const lines = Object.entries(more).filter(([, value]) => value !== null).map(([key, value]) => `${key} = ${toml(value)}`);
  publish(["publish", "service"], "library", lines.join("\n"), body.agency);
  portal = await service(city, "svc_library");
  token = await releaseToken(city, portal);
  known = await subject(city, portal, PERSONA, `openid ${CARD} ${READS}`);
});

after(async () => {
  await city?.stop();
  rmSync(work, { recursive: true, force: true });
});

/** One request of the portal. */
function find(query, user = known) {
  const url = `${city.url}/api/v2/findUsage`;
  const headers = { ...bearing(portal, token, "GET", url), "x-road-userid": user, "accept-language": "en" };
  return fetch(`${url}?${new URLSearchParams(query)}`, { headers });
}

test("the portal tells her what was done, and that it looked", async () => {
  const before = await (await find({ userCode: known })).json();
  const yesterday = new Date(Date.now() - 86_400_000).toISOString();
  const used = await release(city, portal, token, { subject: known, mandate: CARD, blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" });
  assert.equal(used.status, 200, await used.clone().text());
  const told = await (await find({ userCode: known })).json();
  assert.equal(told.totalUsages, before.totalUsages + 2, "the use, and the reading before it");
  const [use, reading] = told.usages;
  assert.deepEqual(Object.keys(use).sort(), ["action", "logtime", "receiverCode", "receiverName", "receiverSystem"]);
  assert.equal(use.receiverCode, "agc_library");
  assert.match(use.action, /renew/);
  assert.match(use.logtime, /^\d{4}-\d\d-\d\dT00:00:00\+08:00$/, "the day, by which no receiver finds her in its own records");
  assert.equal(reading.receiverCode, "agc_library");
  // A portal that turns pages names a day that is over, so that what it reads itself moves nothing.
  const page = await (await find({ userCode: known, periodEnd: yesterday, limit: 1 })).json();
  assert.ok(page.totalUsages > 0 && page.totalUsages < told.totalUsages, `${page.totalUsages} of ${told.totalUsages}`);
  assert.deepEqual(await (await find({ userCode: known, periodEnd: yesterday, limit: 1 })).json(), page);
});

test("what does not fit is refused", async () => {
  for (const [query, user, status] of [
    [{}, known, 400],
    [{ userCode: known }, "EE12345678901", 400],
    [{ userCode: "EE12345678901" }, "EE12345678901", 404],
    [{ userCode: known, limit: "many" }, known, 400],
  ]) {
    const answer = await find(query, user);
    assert.equal(answer.status, status, await answer.clone().text());
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
  }
  assert.equal((await fetch(`${city.url}/api/v2/findUsage?userCode=${known}`, { headers: { "x-road-userid": known } })).status, 401);
});

test("since when everything is told, and whether it is", async () => {
  const { periodStart } = await (await fetch(`${city.url}/api/v2/usagePeriod`)).json();
  assert.ok(Date.parse(periodStart) < Date.now());
  const { status, message } = await (await fetch(`${city.url}/api/v2/heartbeat`)).json();
  const { incidents } = await (await fetch(`${city.url}/register/counts.json`)).json();
  const open = Object.values(incidents).filter(({ body }) => !body.ended_at);
  assert.equal(status, open.length ? "FAIL" : "OK", message);
});
