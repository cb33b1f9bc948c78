// Readers ask at full speed while the resident withdraws, or deletes everything: an answer lies before or is a refusal.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { demo } from "../lib/server.js";
import { release, releaseToken, service, signIn, subject } from "../lib/service.js";

const READERS = 40;
const MANDATE = "mdt_shopping-festival";

let city;
let festival;
let token;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  festival = await service(city, "svc_festival");
  token = await releaseToken(city, festival);
});

after(() => city?.stop());

/** Asks with many readers until a while after the resident sent the form at `path`. The mandate allows 30 uses a month. */
async function underLoad(persona, path, fields = {}) {
  const known = await subject(city, festival, persona, `openid ${MANDATE}`);
  const cookie = await signIn(city, persona);
  const page = await (await fetch(`${city.url}/me/consents`, { headers: { cookie } })).text();
  const formToken = /name="form_token" value="([^"]+)"/.exec(page)[1];
  const released = [];
  const statuses = {};
  let on = true;
  const reader = async () => {
    while (on) {
      const began = performance.now();
      const wanted = { subject: known, mandate: MANDATE, blocks: [{ block: "blk_residence-district", form: "predicate" }], reason: "stamp" };
      const answer = await release(city, festival, token, wanted);
      const body = await answer.json();
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      if (answer.ok) released.push({ began, index: body.log.index });
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const readers = Array.from({ length: READERS }, () => reader());
  while (released.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  const body = new URLSearchParams({ form_token: formToken, ...fields });
  const done = await fetch(`${city.url}${path}`, { method: "POST", headers: { cookie }, body, redirect: "manual" });
  const ended = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 300));
  on = false;
  await Promise.all(readers);
  assert.ok(done.status < 400, await done.text());
  assert.deepEqual(released.filter(({ began }) => began > ended), [], "data left for a request that began afterwards");
  assert.ok(statuses[403] || statuses[404], "somebody asked afterwards");
  const strange = Object.keys(statuses).filter((status) => !["200", "403", "404"].includes(status));
  const errors = city.output().split("\n").filter((line) => / (WARN|ERROR) /.test(line));
  assert.deepEqual(strange, [], `${JSON.stringify(statuses)}\n${errors.slice(-3).join("\n")}`);
  return { cookie, released };
}

test("withdrawing: no release stands behind it in the log, and each before it is in the footprint", async () => {
  const { cookie, released } = await underLoad("wu-chin-tsai", `/me/consents/${MANDATE}/withdraw`);
  const footprint = await (await fetch(`${city.url}/me/footprint.json`, { headers: { cookie } })).json();
  const withdrawal = footprint.lines.findLast((line) => line.shown.kind === "withdrawal");
  assert.ok(withdrawal, "the withdrawal is a line of its own");
  assert.deepEqual(released.filter(({ index }) => index > withdrawal.index), []);
  const uses = new Set(footprint.lines.filter((line) => line.shown.kind === "use").map((line) => line.index));
  assert.ok(released.every(({ index }) => uses.has(index)), "each release is a line of the footprint");
});

test("deleting everything", async () => {
  const { cookie } = await underLoad("hsu-ya-chu", "/me/account/delete");
  const gone = await fetch(`${city.url}/me/footprint.json`, { headers: { cookie }, redirect: "manual" });
  assert.equal(gone.status, 401);
});
