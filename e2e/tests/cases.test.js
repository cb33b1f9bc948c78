// A resident objects in two presses, the office answers, she takes it to the overseer; another case is answered by nobody, and the clock takes it there by itself.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { overflow, violations } from "../lib/axe.js";
import { openBrowser, openPage } from "../lib/browser.js";
import { agree, checked, enrolled, read } from "../lib/resident.js";
import { demo, program } from "../lib/server.js";

const OFFICE = "agc_library";
const OVERSEER = "agc_oversight";

let city;
let browser;
let folder;
let resident;
let keys;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  browser = await openBrowser();
  folder = join(city.data, "..", "cases");
  mkdirSync(folder);
  keys = (agency) =>
    ["head", "data-protection"].map((key) => {
      const file = join(folder, `${agency}.${key}.json`);
      const seed = readFileSync(join(city.data, "keys", `${agency}.${key}.seed`)).toString("base64url");
      writeFileSync(file, JSON.stringify({ agency, key, seed }), { mode: 0o600 });
      return file;
    });
  resident = await enrolled(browser, city);
  await agree(city, resident.page);
  await read(city, resident.page);
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

function run(...args) {
  return spawnSync(program(), [...args, "--data-dir", city.data], { encoding: "utf8", env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });
}

const signed = (signers) => signers.flatMap((key) => ["--key", key]);
const desk = (signers, ...args) => run("case", ...args, ...signed(signers));
const waiting = (signers) => JSON.parse(desk(signers, "list", "--json").stdout);

/** Two presses: the line, and what she wants. */
async function file(kind) {
  const { page } = resident;
  await page.goto(`${city.url}/me/footprint`);
  await page.locator("tr", { hasText: "Library" }).getByRole("link", { name: "Object or ask" }).first().click();
  await page.getByTestId(`send-${kind}`).click();
  await page.waitForURL("**/me/cases");
}

test("she objects in two presses, and nothing is used until it is decided", async () => {
  const { page } = resident;
  await page.goto(`${city.url}/me/footprint`);
  await page.getByRole("link", { name: "Object or ask" }).first().click();
  assert.deepEqual(await violations(page), []);
  await file("challenge");
  const shown = page.getByTestId("case").first();
  assert.equal(await shown.getAttribute("data-state"), "filed");
  assert.equal(await shown.getByTestId("rests").count(), 1);
  assert.deepEqual(await violations(page), []);
  await read(city, page);
  const rows = await checked(city, page);
  assert.match(rows[0].text, /refused A case of yours is open/);
  assert.ok(rows.every(({ proof }) => proof === "verified"), "every step is in the public log");
});

test("the office sees it without her number, answers by its own key, and she goes on to the overseer", async () => {
  const office = keys(OFFICE);
  const [own] = waiting(office.slice(0, 1));
  assert.equal(own.kind, "challenge");
  assert.ok(own.subject && !("resident" in own));
  assert.equal(desk(keys(OVERSEER).slice(0, 1), "answer", own.id, "--finding", "upheld", "--reasons", "So.").status, 1);
  const { page } = resident;
  assert.equal(desk(office.slice(0, 1), "acknowledge", own.id).status, 0);
  await page.goto(`${city.url}/me/cases`);
  assert.equal(await page.getByTestId("case").first().getAttribute("data-state"), "acknowledged");
  assert.deepEqual(await violations(page), []);
  const answered = desk(office.slice(0, 1), "answer", own.id, "--finding", "dismissed", "--reasons", "You were at the desk.");
  assert.equal(answered.status, 0, answered.stderr);

  await page.goto(`${city.url}/me/cases`);
  await page.getByText("You were at the desk.").waitFor();
  await page.getByTestId("case").first().locator("textarea").fill("I was not.");
  await page.getByTestId("complain").click();
  assert.equal(await page.getByTestId("case").first().getAttribute("data-state"), "escalated");

  const overseer = keys(OVERSEER);
  const decide = ["decide", own.id, "--finding", "upheld", "--remedy", "stop", "--reasons", "Nobody saw her."];
  assert.equal(desk(overseer.slice(0, 1), ...decide).status, 1, "one person alone");
  const decided = desk(overseer, ...decide);
  assert.equal(decided.status, 0, decided.stderr);
  await page.goto(`${city.url}/me/cases`);
  assert.equal(await page.getByTestId("case").first().getAttribute("data-state"), "closed", "the machine has stopped it");
  await page.getByText("Nobody saw her.").waitFor();
  assert.deepEqual(await violations(page), []);
});

test("what nobody answers goes to the overseer by itself, and who is late is public", async () => {
  // The law says how long: a pack by which questions are answered within three seconds.
  const law = join(folder, "tw-quick.toml");
  writeFileSync(law, `jurisdiction = "TW"\ntitle = { en = "A quick law", zh-Hant = "速辦法" }\nstatus = "in_force"\nvalid_from = "2026-01-02"
[[deadlines]]\nduty = "question"\nwithin = "PT3S"\narticle = "1"\n[[sources]]\ntitle = "A quick law"\nurl = "https://law.example"\n`);
  const operator = run("publish", "lawpack", law, ...signed(keys("agc_information")));
  assert.equal(operator.status, 0, operator.stderr);
  await file("question");
  const { page } = resident;
  const newest = page.getByTestId("case").first();
  for (let tries = 0; (await newest.getAttribute("data-state")) !== "escalated"; tries += 1) {
    assert.ok(tries < 60, "the clock takes it there");
    await page.waitForTimeout(500);
    await page.reload();
  }
  const rows = await checked(city, page);
  assert.match(rows[0].text, /Nobody answered in time/);
  const late = await (await fetch(`${city.url}/register/late.json`)).json();
  assert.ok(late.some(({ duty, agency }) => duty === "answer" && agency === OFFICE), JSON.stringify(late));
  assert.equal(waiting(keys(OVERSEER).slice(0, 1)).filter(({ kind }) => kind === "question").length, 1);

  for (const lang of ["en", "zh-Hant"]) {
    const visit = await openPage(browser, { lang, width: 320, baseURL: city.url });
    assert.equal((await visit.page.goto("/register/cases")).status(), 200);
    assert.equal(await visit.page.getByTestId("late-case").count(), 1);
    assert.deepEqual(await violations(visit.page), []);
    assert.equal(await overflow(visit.page), 0);
    assert.deepEqual(visit.problems, []);
    await visit.context.close();
  }
  assert.ok(Array.isArray(await (await fetch(`${city.url}/register/cases.json`)).json()));
});

test("she says why and what she wants, accepts the answer, and an overseer publishes what it decided", async () => {
  const { page } = resident;
  await page.goto(`${city.url}/me/cases/new`);
  await page.selectOption("#service", "svc_library");
  await page.selectOption("#ground", "no_other_way");
  await page.selectOption("#relief", "explanation");
  await page.getByTestId("send-delete").click();
  await page.locator("#ground-wrong").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByTestId("send-complaint").click();
  await page.waitForURL("**/me/cases");
  const newest = page.getByTestId("case").first();
  assert.equal(await newest.getByTestId("relief").innerText(), "An explanation");
  const id = await newest.locator("code").innerText();
  const answered = desk(keys(OFFICE).slice(0, 1), "answer", id, "--finding", "upheld", "--reasons", "We were wrong.");
  assert.equal(answered.status, 0, answered.stderr);
  await page.reload();
  assert.deepEqual(await violations(page), []);
  await newest.getByTestId("settle").click();
  await page.waitForURL("**/me/cases");
  assert.equal(await newest.getAttribute("data-state"), "settled");
  assert.equal(await newest.getByTestId("complain").count(), 0);

  const ruling = join(folder, "doors.toml");
  writeFileSync(ruling, `body = "${OVERSEER}"\noffice = "${OFFICE}"\nkind = "complaint"\nfinding = "upheld"
text = { en = "There has to be another way in.", zh-Hant = "應提供其他方式。" }\n`);
  assert.equal(run("publish", "ruling", ruling, ...signed(keys(OVERSEER).slice(0, 1))).status, 1, "one person alone");
  const published = run("publish", "ruling", ruling, ...signed(keys(OVERSEER)));
  assert.equal(published.status, 0, published.stderr);
  await page.goto(`${city.url}/register/rulings`);
  await page.getByText("There has to be another way in.").waitFor();
  assert.deepEqual(await violations(page), []);
});

test("a case about no line, and a standing wish that declines an office before it asks", async () => {
  const { page } = resident;
  await page.goto(`${city.url}/me/cases`);
  await page.getByTestId("new-case").click();
  assert.deepEqual(await violations(page), []);
  await page.selectOption("#service", "svc_library");
  await page.fill("#words", "I have no telephone.");
  await page.getByTestId("send-complaint").click();
  await page.waitForURL("**/me/cases");
  await page.getByText("I have no telephone.").waitFor();

  await page.goto(`${city.url}/me/wishes`);
  assert.deepEqual(await violations(page), []);
  await page.check(`#not_${OFFICE}`);
  await page.getByTestId("save-wishes").click();
  assert.ok(await page.isChecked(`#not_${OFFICE}`));
  const other = await enrolled(browser, city);
  await other.page.goto(`${city.url}/me/wishes`);
  await other.page.check(`#not_${OFFICE}`);
  await other.page.getByTestId("save-wishes").click();
  await other.page.goto(city.sampleLibrary);
  await other.page.getByTestId("sign-in").click();
  await other.page.waitForURL(`${city.sampleLibrary}/**`);
  assert.equal(await other.page.getByTestId("agree").count(), 0, "she is shown nothing");
  const rows = await checked(city, other.page);
  assert.match(rows[0].text, /You wish that this office gets nothing/);
  assert.deepEqual(other.problems, []);
  assert.deepEqual(resident.problems, []);
});
