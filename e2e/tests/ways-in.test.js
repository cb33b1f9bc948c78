// How residents get in, in a real browser: devices, recovery codes, freezing, a printed card; and the fresh proof before what
// cannot be taken back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { overflow, violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { agree, enrolled, read } from "../lib/resident.js";
import { demo } from "../lib/server.js";

let city;
let browser;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

/** Makes recovery codes and answers them. */
async function codes(page) {
  await page.goto("/me/account/recovery");
  await page.getByTestId("make-codes").click();
  await page.getByTestId("recovery-codes").locator("code").first().waitFor();
  return page.getByTestId("recovery-codes").locator("code").allInnerTexts();
}

/** What axe finds on the page as it is, in a window of 320 pixels too. */
async function faults(page) {
  const found = await violations(page);
  await page.setViewportSize({ width: 320, height: 800 });
  const wide = await overflow(page);
  await page.setViewportSize({ width: 1100, height: 800 });
  return wide > 0 ? [...found, `${wide} px wider than the window`] : found;
}

test("a second device is added, named and removed, and the device is told", async () => {
  const { page, problems } = await enrolled(browser, city);
  await page.goto("/me/account/devices");
  assert.equal(await page.getByTestId("device").count(), 1);
  assert.equal(await page.getByTestId("remove").count(), 0, "the last one cannot be removed");
  const second = await openPage(browser, { baseURL: city.url });
  await second.context.addCookies(await page.context().cookies());
  const { credentials } = await addAuthenticator(second.page);
  await second.page.goto("/me/account/devices/add");
  await second.page.fill("#label", "work phone");
  await second.page.getByTestId("make-passkey").click();
  await second.page.waitForURL("**/me/account/devices");
  assert.equal((await credentials()).length, 1);
  const device = second.page.getByTestId("device").filter({ hasText: "work phone" });
  await device.locator("summary").click();
  await device.getByLabel("Name").fill("old phone");
  await device.getByTestId("rename").click();
  const renamed = second.page.getByTestId("device").filter({ hasText: "old phone" });
  await renamed.locator("summary").click();
  assert.deepEqual(await faults(second.page), []);
  await renamed.getByTestId("remove").click();
  await second.page.waitForURL("**/me/account/devices?removed=yes");
  assert.equal(await second.page.getByTestId("device").count(), 1);
  const told = second.page.locator("[data-signal-user]");
  assert.match(await told.getAttribute("data-signal-user"), /^[\w-]{22}$/);
  assert.equal((await told.getAttribute("data-signal-accepted")).split(" ").length, 1);
  await page.goto("/me/footprint");
  assert.match(await page.locator("main").innerText(), /A passkey was added\.[^]*|A passkey was removed\./);
  assert.deepEqual([...problems, ...second.problems], []);
});

test("the browser offers the passkey by itself, without the button", async () => {
  const { page } = await openPage(browser, { baseURL: city.url });
  await addAuthenticator(page, { offers: true });
  await page.goto("/demo/clerk");
  await page.getByTestId("print-code").click();
  const code = await page.getByTestId("invitation-code").innerText();
  await page.goto("/enrol");
  await page.fill("#code", code);
  await page.getByTestId("make-passkey").click();
  await page.waitForURL("**/me");
  await page.context().clearCookies();
  await page.goto("/sign-in?next=/me/data");
  await page.waitForURL("**/me/data");
});

/** A resident whose browser offers her passkey in the field of the page to sign in, and who has no session. */
async function offeredOne() {
  const { page, problems } = await openPage(browser, { baseURL: city.url });
  const { cdp, authenticatorId } = await addAuthenticator(page, { offers: true });
  await page.goto("/demo/clerk");
  await page.getByTestId("print-code").click();
  const code = await page.getByTestId("invitation-code").innerText();
  await page.goto("/enrol");
  await page.fill("#code", code);
  await page.getByTestId("make-passkey").click();
  await page.waitForURL("**/me");
  await page.context().clearCookies();
  const choose = (enabled) => cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled });
  return { page, problems, choose };
}

test("what the field offers is begun anew before it lapses", async () => {
  const { page, problems, choose } = await offeredOne();
  await choose(false);
  const begun = [];
  let seconds = 1;
  await page.route("**/webauthn/sign-in/start", async (route) => {
    const response = await route.fetch();
    const start = await response.json();
    assert.equal(start.seconds, 300, "as long as the pass gives");
    begun.push(start.ceremony);
    // Short-lived for the page, until there is time for an answer.
    await route.fulfill({ response, json: { ...start, seconds } });
  });
  const finished = page.waitForRequest("**/webauthn/sign-in/finish");
  await page.goto("/sign-in?next=/me/data");
  await page.waitForFunction(() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/sign-in/start")).length >= 3);
  seconds = 5;
  await page.waitForResponse("**/webauthn/sign-in/start");
  await choose(true);
  await page.waitForURL("**/me/data");
  const { ceremony } = (await finished).postDataJSON();
  assert.ok(begun.length >= 4 && new Set(begun).size === begun.length, `${begun.length} ceremonies`);
  assert.ok(begun.indexOf(ceremony) >= 2, "by a later one than the first");
  assert.deepEqual(problems, []);
});

test("a sign-in from the field that fails says so", async () => {
  const { page } = await offeredOne();
  await page.route("**/webauthn/sign-in/start", async (route) => {
    const response = await route.fetch();
    const start = await response.json();
    await route.fulfill({ response, json: { ...start, ceremony: `A${start.ceremony}` } });
  });
  await page.goto("/sign-in");
  await page.waitForFunction(() => document.querySelector("[data-status]")?.textContent?.includes("This attempt has lapsed"));
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("data-testid")), "passkey", "the button is at hand");
  assert.deepEqual(await faults(page), []);
  await page.unroute("**/webauthn/sign-in/start");
  await page.getByTestId("passkey").click();
  await page.waitForURL("**/me");
});

test("a list of sign-ins, and one of them is closed", async () => {
  const { page } = await enrolled(browser, city);
  await page.goto("/me/account");
  await page.getByTestId("sign-out").click();
  const first = await page.context().cookies();
  await page.goto("/sign-in");
  await page.getByTestId("passkey").click();
  await page.waitForURL("**/me");
  const other = await openPage(browser, { baseURL: city.url });
  await other.context.addCookies(await page.context().cookies());
  assert.notDeepEqual(await page.context().cookies(), first);
  // A second browser with a session of its own, by the same passkey.
  await page.context().clearCookies();
  await page.goto("/sign-in");
  await page.getByTestId("passkey").click();
  await page.waitForURL("**/me");
  await page.goto("/me/account/devices");
  assert.equal(await page.getByTestId("session").count(), 2);
  await page.getByTestId("close-session").click();
  assert.equal(await page.getByTestId("session").count(), 1);
  await other.page.goto("/me");
  await other.page.waitForURL("**/sign-in?next=**");
});

test("a recovery code opens the pass once and leaves a line", async () => {
  const { page } = await enrolled(browser, city);
  const made = await codes(page);
  assert.equal(made.length, 10);
  assert.equal(new Set(made).size, 10);
  assert.deepEqual(await faults(page), []);
  const lost = await openPage(browser, { baseURL: city.url });
  await addAuthenticator(lost.page);
  await lost.page.goto("/recover");
  await lost.page.fill("#code", "ABCD EFGH");
  await lost.page.getByTestId("recover").click();
  assert.match(await lost.page.getByRole("alert").innerText(), /not valid or was used/);
  assert.deepEqual(await faults(lost.page), []);
  await lost.page.fill("#code", made[3].toLowerCase().replaceAll("-", " "));
  await lost.page.getByTestId("recover").click();
  assert.deepEqual(await faults(lost.page), []);
  await lost.page.getByRole("checkbox").check();
  await lost.page.getByTestId("make-passkey").click();
  await lost.page.waitForURL("**/me");
  await lost.page.goto("/me/footprint");
  assert.match(await lost.page.locator("main").innerText(), /A recovery code was used to get in\./);
  await page.goto("/me");
  await page.waitForURL("**/sign-in?next=**");
  await page.getByTestId("passkey").click();
  await page.waitForFunction(() => document.querySelector("[data-status]")?.textContent?.includes("passkey did not prove itself"));
});

test("this was not me: nothing is released until the passkey lifts it", async () => {
  const { page } = await enrolled(browser, city);
  await agree(city, page);
  await read(city, page);
  await page.getByTestId("released").waitFor();
  await page.goto(`${city.url}/me/account`);
  await page.getByTestId("freeze").click();
  await page.getByTestId("frozen").waitFor();
  assert.deepEqual(await faults(page), []);
  await read(city, page);
  assert.match(await page.getByTestId("refused").innerText(), /resident/);
  await page.goto(`${city.url}/me`);
  await page.waitForURL("**/sign-in?next=**");
  await page.getByTestId("passkey").click();
  await page.waitForURL("**/me");
  assert.deepEqual(await faults(page), []);
  await page.getByTestId("lift").click();
  await page.waitForURL("**/me/account");
  assert.equal(await page.getByTestId("lift").count(), 0);
  await read(city, page);
  await page.getByTestId("released").waitFor();

  // From the sign-in page, with the passkey and with a code, by somebody who is not signed in.
  await page.goto(`${city.url}/me/account`);
  await page.getByTestId("sign-out").click();
  await page.goto("/freeze");
  await page.getByTestId("freeze-passkey").click();
  await page.getByTestId("frozen").waitFor();
});

test("a recovery code freezes without JavaScript", async () => {
  const { page } = await enrolled(browser, city);
  const made = await codes(page);
  const plain = await openPage(browser, { baseURL: city.url, javaScript: false });
  await plain.page.goto("/sign-in");
  await plain.page.getByRole("link", { name: "This was not me" }).click();
  await plain.page.fill("#code", made[0]);
  await plain.page.getByTestId("freeze-code").click();
  await plain.page.getByTestId("frozen").waitFor();
  await page.goto("/me");
  await page.waitForURL("**/sign-in?next=**");
});

test("the code of a card comes from the fragment, and a wrong one says nothing more", async () => {
  const { page, problems } = await openPage(browser, { baseURL: city.url });
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto("/sign-in/card#ABCDEFGHJKLMNPQRSTUVWXYZ2345");
  assert.equal(await page.inputValue("#code"), "ABCDEFGHJKLMNPQRSTUVWXYZ2345");
  assert.equal(new URL(page.url()).hash, "");
  assert.ok(asked.every((url) => !url.includes("ABCDEFGH") || url.includes("#ABCDEFGH")));
  await page.fill("#pin", "204817");
  await page.getByTestId("card-sign-in").click();
  assert.match(await page.getByRole("alert").innerText(), /did not open a pass/);
  assert.equal(await page.inputValue("#pin"), "");
  assert.deepEqual(await faults(page), []);
  assert.deepEqual(problems, []);
});

test("too many guesses from one network are told when to come back", async () => {
  const guess = (from) =>
    fetch(`${city.url}/recover`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", "x-forwarded-for": from },
      body: "code=ABCD",
    });
  const answers = [];
  for (let i = 0; i < 40; i++) answers.push(await guess(`203.0.113.${i}`));
  const turned = answers.filter((answer) => answer.status === 429);
  assert.ok(turned.length > 0 && turned.length < 15, `${turned.length}`);
  assert.ok(turned.every((answer) => Number(answer.headers.get("retry-after")) >= 1));
  assert.equal((await guess("198.51.100.1")).status, 422, "another network is not held up");
});
