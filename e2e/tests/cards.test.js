// Printed cards in a real city and a real browser: made at a counter, scanned, signed in with, and ended. They open little.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { overflow, violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { foundCity, publishMandate, publishService } from "../lib/city.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";
import { exchange, pushed } from "../lib/service.js";

const PIN = "204817";
const VERIFIER = "a-verifier-of-at-least-forty-three-characters";
const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");

let work;
let city;
let server;
let shop;
let browser;
let library;

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback` };
  city.run = (...args) => typed("", ...args);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = publicKey.export({ format: "jwk" });
  const approved = await foundCity(city.run, work.dir, city, jwk);
  publishMandate(city.run, work.dir, city, approved, "reading-room", 'means = "passkey"');
  const mandates = ["mdt_library-card", "mdt_reading-room"];
  publishService(city.run, work.dir, city, approved, { name: "library", redirect: city.redirect, jwk: { ...jwk, kid: "test" }, mandates });
  library = { id: "svc_library", key: privateKey, kid: "test", redirect: city.redirect, bound: generateKeyPairSync("ec", { namedCurve: "P-256" }) };
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  shop = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>Back</title><p>Back at the library.</p>"));
  await new Promise((resolve) => shop.listen(port + 1, "127.0.0.1", resolve));
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  shop?.close();
  await server?.stop();
  work?.clean();
});

/** Runs a command of the program, with what somebody types into it. */
function typed(input, ...args) {
  const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir, input });
  assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

/** As [`typed`], for what is refused; answers what was said. */
function refused(input, ...args) {
  const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir, input });
  assert.equal(done.status, 1, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stderr;
}

/** Two clerks look at the person and sign. Answers the request and what the second one reads. */
function clerks(number, way) {
  const approve = (key, ...more) => ["recover", number, "--way", way, ...more, "--key", join(city.data, "officials", `agc_information.${key}.json`), "--data-dir", city.data];
  const request = /--request (\S+)/.exec(city.run(...approve("head")))[1];
  refused("", ...approve("head", "--request", request));
  return { request, said: city.run(...approve("data-protection", "--request", request)) };
}

let cards = 0;

/** Somebody without a phone, at the counter: her file number, her card, and the address behind its square. */
function atTheCounter() {
  const person = join(work.dir, "person.toml");
  writeFileSync(person, '[blocks]\nblk_name = "Test Person"\n');
  const number = /file number (\d+)/.exec(city.run("enrol", person, "--data-dir", city.data))[1];
  return { number, ...printed(number) };
}

/** The command that makes a card, and where it draws it. */
function issue(number, request) {
  const out = join(work.dir, `card-${(cards += 1)}.svg`);
  return { out, args: ["card", "issue", number, ...(request ? ["--request", request] : []), "--issuer", city.url, "--out", out, "--data-dir", city.data] };
}

/** A card as it is printed: its code, and the address behind its square. */
function printed(number, request) {
  const { out, args } = issue(number, request);
  typed(`${PIN}\n`, ...args);
  const code = [...readFileSync(out, "utf8").matchAll(/>([A-Z2-9]{4}(?: [A-Z2-9]{4})?)<\/text>/g)].map(([, pair]) => pair).join(" ").replaceAll(" ", "");
  assert.match(code, /^[A-Z2-9]{28}$/);
  return { code, link: `${city.url}/sign-in/card#${code}` };
}

/** A browser of 320 pixels in this language. */
const small = (lang) => openPage(browser, { baseURL: city.url, width: 320, lang });

async function fine({ page, problems }) {
  assert.deepEqual(await violations(page), []);
  assert.equal(await overflow(page), 0);
  assert.deepEqual(problems, []);
}

async function enter(page, { code, pin = PIN }) {
  await page.fill("#code", code);
  await page.fill("#pin", pin);
  await page.getByTestId("card-sign-in").click();
}

/** The address by which the library asks her to sign in. */
const asked = (scope, change) => pushed(city, library, scope, CHALLENGE, { ui_locales: undefined, ...change });

for (const lang of ["en", "zh-Hant"]) {
  test(`the square on the card and a PIN open the pass (${lang})`, async () => {
    const card = atTheCounter();
    const visit = await small(lang);
    const sent = [];
    visit.page.on("request", (request) => sent.push(request.url()));
    await visit.page.goto(card.link);
    assert.equal(await visit.page.inputValue("#code"), card.code);
    assert.equal(await visit.page.getAttribute("html", "lang"), lang);
    await fine(visit);
    await visit.page.fill("#pin", PIN);
    await visit.page.getByTestId("card-sign-in").click();
    await visit.page.waitForURL("**/me");
    assert.ok(sent.every((url) => !new URL(url).search.includes(card.code) && !new URL(url).pathname.includes(card.code)));
    await fine(visit);
    await visit.page.goto("/me/account/devices");
    assert.match(await visit.page.locator("main").innerText(), lang === "en" ? /Card and PIN/ : /卡片/);
    await fine(visit);
  });
}

test("a service signs her in by card, learns how sure that is, and gets her back without a page in between", async () => {
  const card = atTheCounter();
  const visit = await small("zh-Hant");
  const { page } = visit;
  for (const isFirst of [true, false]) {
    await page.context().clearCookies();
    await page.goto(await asked("openid mdt_library-card"));
    await page.waitForURL("**/sign-in?next=**");
    await fine(visit);
    await page.locator('a[href^="/sign-in/card?next="]').click();
    await fine(visit);
    await enter(page, card);
    if (isFirst) {
      await page.getByTestId("agree").waitFor();
      await fine(visit);
      await page.getByTestId("agree").click();
    }
    await page.waitForURL(`${city.redirect}?**`);
    const code = new URL(page.url()).searchParams.get("code");
    const tokens = await (await exchange(city, library, { code, verifier: VERIFIER })).json();
    const claims = JSON.parse(Buffer.from(tokens.id_token.split(".")[1], "base64url"));
    assert.deepEqual([claims.acr, claims.amr], ["urn:usufruct:acr:card", ["pin"]]);
  }
  assert.deepEqual(visit.problems, []);
});

test("what asks for more is not to be had by card", async () => {
  const card = atTheCounter();
  const visit = await small("en");
  const { page } = visit;
  for (const [scope, change] of [["openid mdt_library-card mdt_reading-room", {}], ["openid", { acr_values: "urn:usufruct:acr:passkey" }]]) {
    await page.context().clearCookies();
    await page.goto(await asked(scope, change));
    await page.locator('a[href^="/sign-in/card?next="]').click();
    await enter(page, card);
    await page.waitForURL(`${city.redirect}?**`);
    const back = new URL(page.url()).searchParams;
    assert.deepEqual([back.get("error"), back.get("iss"), back.get("code")], ["unmet_authentication_requirements", city.url, null], scope);
  }
  await page.goto(`${city.url}/me/consents`);
  assert.equal(await page.locator('[data-testid^="withdraw-"]').count(), 0, "nobody asked her to agree");
  // What cannot be taken back asks for a passkey, too.
  await page.goto(`${city.url}/me/account/delete`);
  await page.waitForURL("**/sign-in?next=**");
  await fine(visit);
});

test("wrong PINs slow a stranger down, and not her", async () => {
  const card = atTheCounter();
  const her = await small("en");
  await her.page.goto(card.link);
  await her.page.fill("#pin", PIN);
  await her.page.getByTestId("card-sign-in").click();
  await her.page.waitForURL("**/me");
  const stranger = await small("zh-Hant");
  await stranger.page.goto(card.link);
  const words = new Set();
  for (let tries = 0; tries < 6; tries += 1) {
    await enter(stranger.page, { code: card.code, pin: `20481${tries}` });
    words.add(await stranger.page.getByRole("alert").innerText());
  }
  await fine(stranger);
  await enter(stranger.page, card);
  words.add(await stranger.page.getByRole("alert").innerText());
  assert.equal(words.size, 1, "the right PIN is not known from a wrong one while it waits");
  assert.equal(await stranger.page.inputValue("#pin"), "");
  await her.page.getByRole("link").first().waitFor();
  await her.page.goto("/me/account");
  await her.page.getByTestId("sign-out").click();
  await her.page.goto(card.link);
  await enter(her.page, card);
  await her.page.waitForURL("**/me");
  await fine(her);
});

test("a card that was lost opens nothing any more, and what it opened is closed", async () => {
  const card = atTheCounter();
  const visit = await small("zh-Hant");
  await visit.page.goto(card.link);
  await enter(visit.page, card);
  await visit.page.waitForURL("**/me");
  assert.match(city.run("card", "revoke", card.number, "--data-dir", city.data), /Ended: 1\./);
  await visit.page.goto("/me");
  await visit.page.waitForURL("**/sign-in?next=**");
  await visit.page.goto(card.link);
  await enter(visit.page, card);
  await visit.page.getByRole("alert").waitFor();
  await fine(visit);
});

test("two clerks give her another card, and the one before ends", async () => {
  const first = atTheCounter();
  refused(`${PIN}\n`, ...issue(first.number).args);
  const { request } = clerks(first.number, "card");
  const second = printed(first.number, request);
  refused(`${PIN}\n`, ...issue(first.number, request).args);
  const visit = await small("zh-Hant");
  await visit.page.goto(first.link);
  await enter(visit.page, first);
  await visit.page.getByRole("alert").waitFor();
  await enter(visit.page, second);
  await visit.page.waitForURL("**/me");
  await visit.page.goto("/me/footprint");
  assert.match(await visit.page.locator("main").innerText(), /櫃檯兩位承辦人核准了新的登入方式。/, "what was done at the counter stands in her footprint");
  await fine(visit);
});

test("a passkey made at the counter opens what a card does not", async () => {
  const card = atTheCounter();
  const code = /[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}/.exec(clerks(card.number, "passkey").said)[0];
  const visit = await small("zh-Hant");
  const { page } = visit;
  await addAuthenticator(page);
  await page.goto("/enrol");
  await page.fill("#code", code);
  await page.getByTestId("make-passkey").click();
  await page.waitForURL("**/me");
  await page.context().clearCookies();
  await page.goto(card.link);
  await enter(page, card);
  await page.waitForURL("**/me");
  // She is known by her card, which is not enough, and has a passkey: she is asked for it, not sent away.
  await page.goto(await asked("openid mdt_reading-room"));
  await page.waitForURL("**/sign-in?next=**");
  await fine(visit);
  await page.getByTestId("passkey").click();
  await page.getByTestId("agree").click();
  await page.waitForURL(`${city.redirect}?**`);
  const tokens = await (await exchange(city, library, { code: new URL(page.url()).searchParams.get("code"), verifier: VERIFIER })).json();
  assert.equal(JSON.parse(Buffer.from(tokens.id_token.split(".")[1], "base64url")).acr, "urn:usufruct:acr:passkey");
  assert.deepEqual(visit.problems, []);
});
