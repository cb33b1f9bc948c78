// Two people, one of whom acts for the other: what was given and no more, in both footprints, and an end that is one. Then a guardian, by two
// clerks on the command line.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { overflow, violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { foundCity } from "../lib/city.js";
import { enrolled } from "../lib/resident.js";
import { demo, fourPorts, program, serve, workDir } from "../lib/server.js";

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

/** What axe finds on the page as it is, in a window of 320 pixels too. */
async function faults(page) {
  const found = await violations(page);
  await page.setViewportSize({ width: 320, height: 800 });
  const wide = await overflow(page);
  await page.setViewportSize({ width: 1100, height: 800 });
  return wide > 0 ? [...found, `${wide} px wider than the window`] : found;
}

/** A day so many days from now, as a date field has it. */
const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

/** The person names the helper, and the helper takes it up. */
async function help(person, helper, powers) {
  await person.goto("/me/delegations");
  assert.deepEqual(await faults(person), []);
  await person.getByTestId("give").click();
  await person.fill("#helper", "my daughter");
  await person.fill("#person", "mother");
  for (const power of powers) await person.check(`#power_${power}`);
  await person.fill("#until", day(100));
  assert.deepEqual(await faults(person), []);
  await person.getByTestId("give-help").click();
  const code = await person.getByTestId("delegation-code").innerText();
  assert.deepEqual(await faults(person), []);
  await helper.goto("/me/delegations/take-up");
  await helper.fill("#code", code.toLowerCase().replaceAll("-", " "));
  await helper.getByTestId("look-at-offer").click();
  assert.match(await helper.locator("main").innerText(), /mother asks you to help/);
  assert.deepEqual(await faults(helper), []);
  await helper.getByTestId("confirm-take-up").click();
  await helper.waitForURL("**/me/delegations");
  assert.deepEqual(await faults(helper), []);
  return code;
}

async function act(helper) {
  await helper.goto("/me/delegations");
  await helper.getByTestId("act").click();
  await helper.waitForURL("**/me/acting");
}

const text = (page) => page.locator("main").innerText();

/** Posts a form as the page's browser would. */
function post(page, path, form, headers = {}) {
  return page.request.post(path, { form, headers: { accept: "text/html", ...headers }, maxRedirects: 0 });
}

const get = (page, path) => page.request.get(path, { headers: { accept: "text/html" }, maxRedirects: 0 });

const formToken = (page) => page.locator('input[name="form_token"]').first().inputValue();

test("a helper signs in, looks and withdraws for a person, and both see each act", async () => {
  const mother = await enrolled(browser, city);
  const daughter = await enrolled(browser, city);
  const [person, helper] = [mother.page, daughter.page];
  const code = await help(person, helper, ["footprint", "consents", "cases", "sign-in"]);
  await helper.goto("/me/delegations/take-up");
  await helper.fill("#code", code);
  await helper.getByTestId("look-at-offer").click();
  assert.match(await helper.getByRole("alert").innerText(), /not valid, has lapsed or was used/);
  assert.deepEqual(await faults(helper), []);

  await act(helper);
  assert.deepEqual(await faults(helper), []);
  for (const path of ["/me/acting", "/me/footprint", "/me/consents", "/me/cases", "/register"]) {
    await helper.goto(path);
    assert.match(await helper.getByTestId("acting").innerText(), /You act for mother\./, path);
    assert.deepEqual(await faults(helper), [], path);
  }
  await helper.goto("/me/footprint");
  assert.equal(await helper.locator("#footprint-data").count(), 0, "the key to search the log by is not the helper's");

  // The service is asked for the person, who is named on each page.
  await helper.goto(city.sampleLibrary);
  await helper.getByTestId("sign-in").click();
  await helper.waitForURL("**/oidc/authorize**");
  assert.match(await text(helper), /For whom do you sign in\? You act for mother now\./);
  assert.deepEqual(await faults(helper), []);
  await helper.getByTestId("for-person").click();
  assert.match(await helper.getByTestId("consent-for").innerText(), /You decide for mother\./);
  assert.deepEqual(await faults(helper), []);
  await helper.getByTestId("agree").click();
  await helper.waitForURL(`${city.sampleLibrary}/`);

  await helper.goto(`${city.url}/me/consents`);
  await helper.getByTestId("withdraw-mdt_library-card").click();
  await helper.waitForURL("**/me/consents?withdrawn=**");
  await helper.getByTestId("certificate").waitFor();

  await person.goto("/me/footprint");
  const seen = await text(person);
  for (const words of [/my daughter\s+for you/, /Looked at the footprint\./, /Looked at the consents\./, /Looked at the cases\./]) {
    assert.match(seen, words);
  }
  assert.doesNotMatch(seen, /mother/);
  assert.deepEqual(await faults(person), []);
  // Each line of the person is there to object to, and its proof holds.
  await person.waitForFunction(() => document.querySelectorAll('[data-proof="broken"]').length === 0 && document.querySelectorAll('[data-proof="verified"]').length > 5, undefined, { timeout: 40_000 });
  await person.getByRole("link", { name: /Object/ }).first().click();
  assert.match(await text(person), /my daughter\s+for you/);

  await helper.getByTestId("stop-acting").click();
  await helper.waitForURL("**/me/delegations");
  assert.equal(await helper.getByTestId("acting").count(), 0);
  await helper.goto("/me/footprint");
  const own = await text(helper);
  for (const words of [/about: mother/, /Looked at the footprint\./, /Agreed\./, /Signed in to a service\./, /Withdrew\./]) assert.match(own, words);
  assert.doesNotMatch(own, /my daughter/);
  await helper.goto("/me/consents");
  assert.match(await text(helper), /nothing|no consent|none/i, "the helper has agreed to nothing");

  // The person ends it while the helper acts.
  await act(helper);
  await person.goto("/me/delegations");
  await person.getByTestId("end-help").click();
  await person.waitForURL("**/me/delegations?ended=yes");
  assert.deepEqual(await faults(person), []);
  await helper.goto("/me/footprint");
  assert.equal(await helper.getByTestId("acting").count(), 0);
  assert.match(await text(helper), /Your helping ended: the person ended it\./);
  assert.deepEqual([...mother.problems, ...daughter.problems], []);
});

test("a helper in Chinese, on a small screen, without a fault", async () => {
  const people = [];
  for (let at = 0; at < 2; at++) {
    const one = await enrolled(browser, city);
    await one.page.goto("/me?lang=zh-Hant");
    await one.page.setViewportSize({ width: 320, height: 800 });
    people.push(one.page);
  }
  const [person, helper] = people;
  await person.goto("/me/delegations/give");
  await person.fill("#helper", "女兒");
  await person.fill("#person", "媽媽");
  await person.check("#power_footprint");
  await person.fill("#until", day(30));
  await person.getByTestId("give-help").click();
  const code = await person.getByTestId("delegation-code").innerText();
  await helper.goto("/me/delegations/take-up");
  await helper.fill("#code", code);
  await helper.getByTestId("look-at-offer").click();
  await helper.getByTestId("confirm-take-up").click();
  await act(helper);
  assert.match(await helper.getByTestId("acting").innerText(), /您正在代媽媽辦理。/);
  await helper.goto("/me/footprint");
  await person.goto("/me/footprint");
  assert.match(await text(person), /女兒\s+代您辦理/);
  for (const path of ["/me/acting", "/me/footprint"]) {
    await helper.goto(path);
    assert.deepEqual([...(await violations(helper)), await overflow(helper)], [0], path);
  }
  for (const path of ["/me", "/me/footprint", "/me/delegations", "/me/delegations/give", "/me/delegations/take-up", "/me/account"]) {
    await person.goto(path);
    assert.equal(await person.locator("html").getAttribute("lang"), "zh-Hant");
    assert.deepEqual([...(await violations(person)), await overflow(person)], [0], path);
  }
});

test("what was not given is refused by address, by form and by service", async () => {
  const { page: person } = await enrolled(browser, city);
  const { page: helper } = await enrolled(browser, city);
  await help(person, helper, ["cases"]);
  await helper.goto("/me/delegations");
  const own = await formToken(helper);
  await act(helper);
  const acting = await formToken(helper);
  assert.notEqual(own, acting);

  const pages = ["/me/footprint", "/me/footprint/0/case", "/me/footprint/0/proof", "/me/footprint.json", "/me/consents", "/me/data", "/me/preview", "/me/wishes", "/me/account",
    "/me/account/devices", "/me/account/devices/add", "/me/account/recovery", "/me/account/delete", "/me/delegations", "/me/delegations/give", "/me/delegations/take-up"];
  for (const path of pages) {
    const answer = await get(helper, path);
    assert.equal(answer.status(), 403, path);
    const html = await answer.text();
    assert.match(html, /You act for mother\./, path);
    assert.doesNotMatch(html, /footprint-data/, path);
  }
  const forms = ["/me/consents/mdt_library-card/withdraw", "/me/footprint/0/case", "/me/wishes", "/me/data/blk_name", "/me/account/devices/rename", "/me/account/devices/remove",
    "/me/account/devices/close", "/me/account/devices/revoke-cards", "/me/account/recovery", "/me/account/freeze", "/me/account/lift", "/me/account/delete",
    "/me/account/deactivate", "/me/account/reactivate", "/me/sign-out-everywhere", "/me/delegations/give", "/me/delegations/take-up"];
  const fields = { kind: "question", words: "x", value: "x", credential: "eA", label: "x", session: "x", code: "ABCD", helper: "x", person: "x", until: day(3), "power_sign-in": "yes" };
  for (const path of forms) {
    for (const form_token of [acting, own]) {
      const answer = await post(helper, path, { ...fields, form_token });
      assert.equal(answer.status(), 403, path);
    }
  }
  // A form of her own is none of the person's, and one from elsewhere none of either.
  assert.equal((await post(helper, "/me/acting/stop", { form_token: own })).status(), 403);
  assert.equal((await post(helper, "/me/acting/stop", { form_token: acting }, { "sec-fetch-site": "cross-site" })).status(), 403);
  assert.equal((await post(helper, "/me/acting/stop", {})).status(), 403);
  await helper.goto("/me/acting");
  assert.equal(await helper.getByTestId("acting").count(), 1);

  // Signing in was not given: the page says so, and a forged choice is refused.
  await helper.goto(city.sampleLibrary);
  await helper.getByTestId("sign-in").click();
  await helper.getByTestId("not-given").waitFor();
  assert.equal(await helper.getByTestId("for-person").count(), 0);
  assert.deepEqual(await faults(helper), []);
  const hidden = await helper.locator("form[action^='/oidc/authorize/delegate'] input[type=hidden]").evaluateAll((all) => all.map((one) => [one.name, one.value]));
  const forged = Object.fromEntries(hidden);
  assert.equal((await post(helper, "/oidc/authorize/delegate", { ...forged, choice: "person" })).status(), 403);
  assert.equal((await post(helper, "/oidc/authorize/delegate", { ...forged, mark: `${forged.mark}x`, choice: "self" })).status(), 403);
  const agreed = { ...forged, mandate: "mdt_library-card", decision: "agree" };
  assert.equal((await post(helper, "/oidc/authorize/decide", agreed)).status(), 403, "a mark for one question is none for another");
  await helper.getByTestId("for-myself").click();
  await helper.getByTestId("agree").waitFor();
  assert.equal(await helper.getByTestId("consent-for").count(), 0, "now it is for herself");

  await person.goto("/me/footprint");
  assert.doesNotMatch(await text(person), /my daughter\s+for you/, "nothing of it has happened");
  await person.goto("/me/consents");
  await person.goto("/me/delegations");
  assert.equal(await person.getByTestId("given").count(), 1);
});

test("a token of acting opens nothing in another browser, and none that was planted", async () => {
  const { page: person } = await enrolled(browser, city);
  const { page: helper } = await enrolled(browser, city);
  const { page: stranger } = await enrolled(browser, city);
  await help(person, helper, ["footprint"]);
  await act(helper);
  const cookies = await helper.context().cookies();
  const acting = cookies.find((one) => one.name === "usufruct-acting");
  assert.ok(acting.httpOnly && acting.sameSite === "Lax" && acting.path === "/");
  // A stranger, and the person herself, with the helper's token beside their own.
  for (const page of [stranger, person]) {
    await page.context().addCookies([acting]);
    await page.goto("/me/footprint");
    assert.equal(await page.getByTestId("acting").count(), 0);
    await page.context().clearCookies({ name: "usufruct-acting" });
  }
  // In the place of a session it is none.
  const { page: nobody } = await openPage(browser, { baseURL: city.url });
  await nobody.context().addCookies([{ ...acting, name: "usufruct" }, acting]);
  await nobody.goto("/me/footprint");
  await nobody.waitForURL("**/sign-in?next=**");
  // Somebody else signs in at the browser of the helper: she acts for nobody.
  const { page: shared } = await openPage(browser, { baseURL: city.url });
  await shared.context().addCookies((await stranger.context().cookies()).concat(acting));
  await shared.goto("/me");
  assert.equal(await shared.getByTestId("acting").count(), 0);
  // The helper signs out, and with her session goes what hung on it.
  await helper.goto("/me/acting");
  const own = cookies.find((one) => one.name === "usufruct");
  assert.equal((await post(helper, "/me/sign-out", { form_token: await formToken(helper) })).status(), 303);
  await helper.context().addCookies([own, acting]);
  await helper.goto("/me/footprint");
  await helper.waitForURL("**/sign-in?next=**");
});

test("a form that cannot be taken says so and keeps what was typed; the proof before it is asked for anew", async () => {
  const { page } = await enrolled(browser, city);
  await page.goto("/me/delegations/give");
  await page.fill("#helper", "a friend");
  await page.fill("#person", "neighbour");
  await page.fill("#until", day(20));
  await page.getByTestId("give-help").click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.inputValue("#helper"), "a friend");
  assert.deepEqual(await faults(page), []);
  const token = await formToken(page);
  const late = await post(page, "/me/delegations/give", { form_token: token, helper: "a", person: "b", power_cases: "yes", until: day(400) });
  assert.equal(late.status(), 422, "more than a year");
  assert.equal((await post(page, "/me/delegations/none-such/act", { form_token: token })).status(), 404);
  assert.equal((await post(page, "/me/delegations/none-such/end", { form_token: token })).status(), 404);
});

test("a guardian is set up by two clerks, seen by the person, and ended by her passkey", async () => {
  const work = workDir();
  const port = await fourPorts();
  const real = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback` };
  const attempt = (...args) => spawnSync(program(), args, { encoding: "utf8", cwd: work.dir, env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });
  const run = (...args) => {
    const done = attempt(...args);
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  await foundCity(run, work.dir, real, await crypto.subtle.exportKey("jwk", keys.publicKey));
  const server = await serve(["serve", "--data-dir", real.data, "--listen", `127.0.0.1:${port}`, "--issuer", real.url], real.url);
  try {
    const people = [];
    for (const name of ["First", "Second"]) {
      const file = join(work.dir, `${name}.toml`);
      writeFileSync(file, `[blocks]\nblk_name = "${name} Resident"\n`);
      const slip = run("enrol", file, "--data-dir", real.data);
      const [code, number] = [/[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}/.exec(slip)[0], /file number (\d+)/.exec(slip)[1]];
      const visit = await openPage(browser, { baseURL: real.url });
      await addAuthenticator(visit.page);
      await visit.page.goto("/enrol");
      await visit.page.fill("#code", code);
      await visit.page.getByTestId("make-passkey").click();
      await visit.page.waitForURL("**/me");
      people.push({ page: visit.page, number });
    }
    const [person, guardian] = people;
    const clerk = (key) => ["--key", join(real.data, "officials", `agc_information.${key}.json`), "--data-dir", real.data];
    const asked = ["guardian", person.number, guardian.number, "--until", "2031-05-01"];
    const first = run(...asked, ...clerk("head"));
    const request = /--request (\S+)/.exec(first)[1];
    assert.notEqual(attempt(...asked, "--request", request, ...clerk("head")).status, 0, "the same clerk twice");
    assert.notEqual(attempt(...asked.slice(0, 4), "2031-05-02", "--request", request, ...clerk("data-protection")).status, 0, "another day");
    await person.page.goto("/me");
    assert.equal(await person.page.getByTestId("guardian").count(), 0);
    run(...asked, "--request", request, ...clerk("data-protection"));

    await person.page.goto("/me");
    assert.match(await person.page.getByTestId("guardian").innerText(), /two clerks set up a guardian/);
    assert.deepEqual(await faults(person.page), []);
    await guardian.page.goto("/me/delegations");
    assert.deepEqual(await faults(guardian.page), []);
    await guardian.page.getByLabel("What do you call the person?").fill("aunt");
    await guardian.page.getByLabel("What does the person call you?").fill("nephew");
    await guardian.page.getByTestId("take-up-guardianship").click();
    await guardian.page.getByTestId("act").click();
    await guardian.page.waitForURL("**/me/acting");
    assert.match(await guardian.page.getByTestId("acting").innerText(), /You act for aunt\./);
    await guardian.page.goto("/me/cases");
    await person.page.goto("/me/footprint");
    assert.match(await text(person.page), /nephew\s+for you[^]*Looked at the cases\./);
    assert.match(await text(person.page), /At a counter, two clerks set up a guardian\./);

    await person.page.goto("/me/delegations");
    assert.deepEqual(await faults(person.page), []);
    await person.page.getByTestId("end-guardianship").click();
    await person.page.waitForURL("**/me/delegations?ended=yes");
    await guardian.page.goto("/me/delegations");
    assert.equal(await guardian.page.getByTestId("received").count(), 0);
    const end = ["guardian", person.number, guardian.number, "--end"];
    assert.notEqual(attempt(...end, ...clerk("head")).status, 0, "there is none left to end");
  } finally {
    await server.stop();
    work.clean();
  }
});
