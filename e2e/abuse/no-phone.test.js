// Taipei, January 2022: public services that only the city's app opened; more than 10,000 people signed against it within five days (TVBS
// and NTD, 25 January 2022). Here: somebody with a printed card and no phone, and with the keys of the library's two offices.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { openBrowser, openPage } from "../lib/browser.js";
import { client, drill, known, newService, plain, publicSize } from "../lib/drill.js";
import { checked } from "../lib/resident.js";
import { pushed, release } from "../lib/service.js";
import { entry, offices, say } from "../lib/statement.js";

const PIN = "204817";

let browser;
/** Her card's address, and the browser at the library that is not hers. */
let card;
let visit;

const { city, attempt } = drill("no-phone", async () => {
  browser = await openBrowser();
  const person = join(city.folder, "person.toml");
  writeFileSync(person, '[blocks]\nblk_name = "Test Person"\n');
  const number = /file number (\d+)/.exec(city.run("enrol", person, "--data-dir", city.data))[1];
  const out = join(city.folder, "card.svg");
  const made = city.typed(`${PIN}\n`, "card", "issue", number, "--issuer", city.url, "--out", out, "--data-dir", city.data);
  assert.equal(made.status, 0, made.stderr);
  const code = [...readFileSync(out, "utf8").matchAll(/>([A-Z2-9]{4}(?: [A-Z2-9]{4})?)<\/text>/g)].map(([, pair]) => pair).join("").replaceAll(" ", "");
  assert.match(code, /^[A-Z2-9]{28}$/);
  card = { code, link: `${city.url}/sign-in/card#${code}` };
  visit = await openPage(browser, { baseURL: city.url });
});
after(() => browser?.close());

async function enter(page) {
  await page.fill("#code", card.code);
  await page.fill("#pin", PIN);
  await page.getByTestId("card-sign-in").click();
}

const cookieOf = async ({ context }) => (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");

attempt("only-door", async ({ unlawful }) => {
  const { body } = await entry(city, "services", "svc_library");
  const own = { ...plain({ body }), sector: "app-only" };
  const published = (more) => say(city, { type: "Service", id: "svc_app-only", body: { ...own, ...more } }, offices(city, "agc_library"));
  unlawful(await published({ alternatives: [] }), "alternatives missing");
  unlawful(await published({ requires_phone: true }), "requires_phone unknown-field");
});

/** The newest line of her page is about this service, and all are proven. A footprint to save asks for a passkey, the page does not. */
async function seesNewest(t, began, service) {
  const lines = await t.hers(began, async () => {
    const shown = await checked(city, visit.page);
    return shown.every(({ proof }) => proof === "verified") && shown[0].text.includes(service) ? shown : null;
  });
  // What the browser has proven stands in the public log.
  await t.public(began, async () => (await publicSize(city)) > lines.length);
}

attempt("card", async (t) => {
  const { page, problems } = visit;
  await page.goto(city.sampleLibrary);
  await page.getByTestId("sign-in").click();
  await page.waitForURL("**/sign-in?next=**");
  await page.locator('a[href^="/sign-in/card?next="]').click();
  await enter(page);
  await page.getByTestId("agree").click();
  await page.waitForURL(`${city.sampleLibrary}/`);
  await page.getByTestId("read-block").click();
  await page.getByTestId("released").waitFor();
  const began = performance.now();
  await seesNewest(t, began, "City Library");
  assert.deepEqual(problems, []);
});

attempt("no-number", async (t) => {
  const health = await client(city, "svc_check-in");
  const { body } = await entry(city, "mandates", "mdt_venue-check-in");
  assert.equal(body.blocks.find(({ block }) => block === "blk_mobile-phone").necessity, "required");
  const cookie = await cookieOf(visit);
  const subject = await known(city, health, cookie, "openid mdt_venue-check-in");
  const wanted = { subject, mandate: "mdt_venue-check-in", blocks: [{ block: "blk_mobile-phone", form: "token" }], reason: "check-in" };
  const answer = await release(city, health, health.token, wanted);
  const began = performance.now();
  assert.equal(answer.status, 200, await answer.clone().text());
  const { blocks, log } = await answer.json();
  assert.match(blocks[0].value, /^[\w-]{22,}$/);
  await seesNewest(t, began, "Venue check-in");
  await t.public(began, async () => (await publicSize(city)) > log.index);
});

/** She tries to sign in, by card, to a service that asks for a passkey. Answers the service's id. */
async function turnedAway() {
  const id = "svc_passkey-only";
  if (!(await entry(city, "services", id))) {
    turnedAway.service = await newService(city, "passkey-only", { agency: "agc_library", mandates: ["mdt_library-card"], more: 'means = "passkey"' });
  }
  const address = await pushed(city, turnedAway.service, "openid mdt_library-card", "A".repeat(43), {});
  const answer = await fetch(address, { headers: { cookie: await cookieOf(visit) }, redirect: "manual" });
  const back = new URL(answer.headers.get("location"));
  assert.deepEqual([back.origin, back.searchParams.get("error")], ["https://passkey-only.example.org", "unmet_authentication_requirements"]);
  return id;
}

attempt("passkey", async (t) => {
  const began = performance.now();
  let id;
  await t.hers(began, async () => (id = await turnedAway()));
  await t.public(began, async () => {
    const { body } = await entry(city, "services", id);
    const page = await (await fetch(`${city.url}/register/services/${id}`, { headers: { cookie: "lang=en" } })).text();
    return body.means === "passkey" && body.alternatives.length === 1 && page.includes("At the counter");
  });
});

attempt("complaint", async (t) => {
  const began = performance.now();
  const id = await turnedAway();
  const cookie = await cookieOf(visit);
  const page = await (await fetch(`${city.url}/me/cases`, { headers: { cookie } })).text();
  assert.ok(/<form[^>]+action="[^"]*(case|complain)/.test(page), "she can complain about something else than a line");
  const shown = await (await fetch(`${city.url}/me/cases/new?service=${id}`, { headers: { cookie } })).text();
  const body = new URLSearchParams({ form_token: /name="form_token" value="([^"]+)"/.exec(shown)[1], service: id, words: "I have no phone.", kind: "complaint" });
  const filed = await fetch(`${city.url}/me/cases/new`, { method: "POST", headers: { cookie }, body, redirect: "manual" });
  assert.equal(filed.status, 303, await filed.text());
  const lines = await t.hers(began, async () => {
    const own = await checked(city, visit.page);
    return own.every(({ proof }) => proof === "verified") && own[0].text.includes("I complain") ? own : null;
  });
  const cases = await (await fetch(`${city.url}/me/cases`, { headers: { cookie } })).text();
  assert.ok(cases.includes("I have no phone.") && cases.includes('data-state="filed"'));
  await t.public(began, async () => (await publicSize(city)) > lines.length);
});
