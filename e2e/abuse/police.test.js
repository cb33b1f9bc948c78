// Mainz, November 2021: police and the health office simulated an infection to learn who had been in a restaurant (Homeland Security News
// Wire, 13 January 2022). Here: with the keys of the police, of the operator, of a security body and of the health department.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { client, drill, known, plain, publicSize } from "../lib/drill.js";
import { release, signIn } from "../lib/service.js";
import { BOTH, entry, offices, say, signer } from "../lib/statement.js";

const MANDATE = "mdt_venue-check-in";
const SECURITY = "agc_state-security";

/** The two people of a security body, which the operator has registered as what it is. */
let agents;

const { city, attempt } = drill("police", async () => {
  agents = BOTH.map((role) => signer(SECURITY, role, randomBytes(32)));
  const said = await say(city, { type: "Agency", id: SECURITY, body: body("security_or_intelligence") }, offices(city, "agc_information"));
  assert.equal(said.status, 201, JSON.stringify(said));
});

const body = (kind) => ({
  legal_name: { en: "State security office", "zh-Hant": "國家安全單位" }, kind, contact: "security.example.org", protection_officer: "Legal office",
  security_officer: "Technical office", jurisdiction: "TW", signing_keys: agents.map((one) => ({ id: one.key, role: one.key, public: one.public })),
});

attempt("service", async ({ unlawful }) => {
  const { body: lost } = await entry(city, "services", "svc_lost-property");
  const { body: health } = await entry(city, "services", "svc_check-in");
  const own = { ...lost, profile: "fapi2", sector: "police-lookup", jwks: health.jwks, mandates: [MANDATE] };
  const said = await say(city, { type: "Service", id: "svc_police-lookup", body: plain({ body: own }) }, offices(city, "agc_police"));
  unlawful(said, "mandates[0] not-a-recipient");
});

attempt("emergency", async ({ unlawful }) => {
  const alert = plain(await entry(city, "mandates", "mdt_dengue-alert"));
  const held = { ...alert, controller: SECURITY };
  unlawful(await say(city, { type: "Mandate", id: "mdt_state-alert", body: held }, agents), "controller security-body");
  const shared = { ...alert, recipients: [...alert.recipients, { agency: SECURITY, why: { en: "It looks too.", "zh-Hant": "一併查看。" } }] };
  const said = await say(city, { type: "Mandate", id: "mdt_shared-alert", body: shared }, offices(city, "agc_health"));
  unlawful(said, "recipients[1].agency security-body");
});

attempt("relabelled", async ({ unlawful }) => {
  const old = await entry(city, "agencies", SECURITY);
  const said = await say(city, { type: "Agency", id: SECURITY, body: body("agency"), old }, [...offices(city, "agc_information"), agents[0]]);
  unlawful(said, "kind changed");
});

attempt("faked-infection", async (t) => {
  const health = await client(city, "svc_check-in");
  const guests = await Promise.all(["chou-yi-ching", "wu-chin-tsai"].map(async (persona) => {
    const cookie = await signIn(city, persona);
    const data = await (await fetch(`${city.url}/me/data`, { headers: { cookie } })).text();
    return { cookie, number: /0900-\d{3}-\d{3}/.exec(data)[0], subject: await known(city, health, cookie, `openid ${MANDATE}`) };
  }));
  const ask = (form) => {
    const wanted = { subjects: guests.map(({ subject }) => subject), mandate: MANDATE, blocks: [{ block: "blk_mobile-phone", form }], reason: "exposure", actor: "for-the-police" };
    return release(city, health, health.token, wanted, "/api/releases/batch");
  };
  await t.refused(await ask("value"), 403, "form", ["form"]);
  const answer = await ask("token");
  const began = performance.now();
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  const { lines } = JSON.parse(text);
  for (const [i, { cookie, number }] of guests.entries()) {
    assert.ok(lines[i].blocks[0].value.length > 20 && !text.includes(number) && !text.includes(number.replaceAll("-", "")), "no number leaves");
    const [line] = await t.resident(cookie, began, (line) => line.kind === "use" && line.index === lines[i].log.index);
    assert.deepEqual([line.service, line.reason, line.blocks, line.batch[1]], ["svc_check-in", "exposure", [["blk_mobile-phone", "token"]], 2]);
  }
  const page = await (await fetch(`${city.url}/me/footprint`, { headers: { cookie: `${guests[0].cookie}; lang=en` } })).text();
  assert.ok(page.includes("Someone with a listed disease was there at the same time"), "she reads what was claimed");
  await t.public(began, async () => (await publicSize(city)) > lines[1].log.index);
});
