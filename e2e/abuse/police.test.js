// Mainz, November 2021: police and the health office simulated an infection to learn who had been in a restaurant (Homeland Security News
// Wire, 13 January 2022). Here: with the keys of the police, of the operator and of the health department.
import assert from "node:assert/strict";
import { client, drill, known, plain, publicSize } from "../lib/drill.js";
import { release, signIn } from "../lib/service.js";
import { entry, offices, say } from "../lib/statement.js";

const MANDATE = "mdt_venue-check-in";
const POLICE = "agc_police";

const { city, attempt } = drill("police");

attempt("service", async ({ unlawful }) => {
  const { body: lost } = await entry(city, "services", "svc_lost-property");
  const { body: health } = await entry(city, "services", "svc_check-in");
  const own = { ...lost, profile: "fapi2", sector: "police-lookup", jwks: health.jwks, mandates: [MANDATE] };
  const said = await say(city, { type: "Service", id: "svc_police-lookup", body: plain({ body: own }) }, offices(city, POLICE));
  unlawful(said, "mandates[0] not-a-recipient");
});

attempt("emergency", async ({ unlawful }) => {
  const alert = plain(await entry(city, "mandates", "mdt_dengue-alert"));
  const held = { ...alert, controller: POLICE };
  unlawful(await say(city, { type: "Mandate", id: "mdt_state-alert", body: held }, offices(city, POLICE)), "controller security-body");
  const shared = { ...alert, recipients: [...alert.recipients, { agency: POLICE, why: { en: "It looks too.", "zh-Hant": "一併查看。" } }] };
  const said = await say(city, { type: "Mandate", id: "mdt_shared-alert", body: shared }, offices(city, "agc_health"));
  unlawful(said, "recipients[1].agency security-body");
});

attempt("relabelled", async ({ unlawful }) => {
  const old = await entry(city, "agencies", POLICE);
  const body = { ...plain(old), kind: "agency" };
  const said = await say(city, { type: "Agency", id: POLICE, body, old }, [...offices(city, "agc_information"), ...offices(city, POLICE)]);
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
