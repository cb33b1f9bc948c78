// The main path in a real browser: enrol, sign in, agree, read, see it verified, withdraw, certificate. Then insiders.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { identities } from "../lib/identities.js";
import { editTiles } from "../lib/resident.js";
import { demo } from "../lib/server.js";

const IMAGES = new URL("../../docs/images", import.meta.url).pathname;

/** @type {Awaited<ReturnType<typeof demo>>} */
let city;
/** @type {import("playwright-core").Browser} */
let browser;
const opened = [];

before(async () => {
  city = await demo({ database: process.env.USUFRUCT_E2E_DATABASE });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

/** A browser of a fresh resident who enrolled with a clerk's code. */
async function enrolled() {
  const visit = await openPage(browser, { baseURL: city.url });
  opened.push(visit.problems);
  await addAuthenticator(visit.page);
  await visit.page.goto("/demo/clerk");
  await visit.page.getByTestId("print-code").click();
  const code = await visit.page.getByTestId("invitation-code").innerText();
  await visit.page.goto("/enrol");
  await visit.page.fill("#code", code.toLowerCase().replaceAll("-", " "));
  await visit.page.getByTestId("make-passkey").click();
  await visit.page.waitForURL("**/me");
  return { ...visit, code };
}

/** Signs in to the sample library and agrees. */
async function agree(page) {
  await page.goto(city.sampleLibrary);
  await page.getByTestId("sign-in").click();
  await page.waitForURL("**/oidc/authorize**");
  await page.getByTestId("agree").click();
  await page.waitForURL(`${city.sampleLibrary}/`);
}

async function read(page) {
  await page.goto(city.sampleLibrary);
  await page.getByTestId("read-block").click();
}

/** Opens the footprint and waits until the browser has checked every line. */
async function checked(page) {
  await page.goto(`${city.url}/me/footprint`);
  await page.waitForFunction(
    () => {
      const rows = [...document.querySelectorAll("[data-line]")];
      return rows.length > 0 && rows.every((row) => ["verified", "broken"].includes(row.getAttribute("data-proof") ?? ""));
    },
    undefined,
    { timeout: 40_000 },
  );
  const rows = page.locator("[data-line]");
  return rows.evaluateAll((rows) => rows.map((row) => ({ n: row.getAttribute("data-line"), proof: row.getAttribute("data-proof"), text: row.textContent })));
}

test("enrol, sign in, agree, read, verified, withdraw, refused, certificate", async () => {
  const { page, code } = await enrolled();

  // The code works once.
  const again = await fetch(`${city.url}/webauthn/register/start`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  assert.equal(again.status, 409);

  await page.goto(city.sampleLibrary);
  await page.getByTestId("sign-in").click();
  await page.waitForURL("**/oidc/authorize**");
  const answers = ["agree", "not-now", "refuse"];
  const boxes = await Promise.all(answers.map((id) => page.getByTestId(id).boundingBox()));
  for (const box of boxes) assert.deepEqual([box.width, box.height, box.y], [boxes[0].width, boxes[0].height, boxes[0].y]);
  const looks = await Promise.all(
    answers.map((id) => page.getByTestId(id).evaluate((node) => getComputedStyle(node).backgroundColor + getComputedStyle(node).color)),
  );
  assert.equal(new Set(looks).size, 1);
  assert.ok((await page.getByTestId("alternatives").locator("li").count()) >= 1);
  assert.equal(await page.locator("input[type=checkbox]:checked").count(), 0);
  assert.deepEqual(await violations(page), []);
  if (process.env.UPDATE_SCREENSHOTS) await page.screenshot({ path: join(IMAGES, "consent.png"), fullPage: true });
  await page.getByTestId("agree").click();
  await page.waitForURL(`${city.sampleLibrary}/`);
  const subject = await page.getByTestId("subject").innerText();
  assert.match(subject, /^[\w-]{22}$/);

  await read(page);
  const released = await page.getByTestId("released").innerText();
  assert.match(released, /Chen Demo/);
  assert.match(released, /true/, "the date of birth leaves as yes or no");
  assert.doesNotMatch(released, /1990-05-04/);

  const lines = await checked(page);
  assert.deepEqual(lines.map((line) => line.proof), lines.map(() => "verified"));
  assert.ok(lines.some((line) => /City Library/.test(line.text)));
  assert.equal(lines.length, 3);

  await page.goto(`${city.url}/me/consents`);
  await page.getByTestId("withdraw-mdt_library-card").click();
  await page.getByTestId("certificate").click();
  await page.waitForURL("**/register/certificates/**");
  assert.match(await page.getByTestId("cause").innerText(), /withdrew/);
  // Her browser does the sums itself, once the certificate is public.
  await page.waitForSelector('#certificate-data[data-proof="verified"]', { state: "attached", timeout: 60_000 });
  for (const check of ["log", "before", "after", "dates", "approved"]) {
    assert.equal(await page.locator(`#certificate-${check}`).innerText(), "Yes, checked");
  }
  assert.deepEqual(await violations(page), []);
  const certificate = await (await page.request.get(`${page.url().split("?")[0]}.json`)).json();
  assert.equal(certificate.body.cause, "withdrawal");

  await read(page);
  await page.getByTestId("refused").waitFor();

  // Coming back means a new pseudonym and a new question.
  await page.goto(city.sampleLibrary);
  await page.getByRole("button", { name: "Sign out" }).click();
  await agree(page);
  assert.notEqual(await page.getByTestId("subject").innerText(), subject);
});

test("of a mandate that ended the log knew the key, and the browser follows the operator's people to the first entry", async () => {
  const { page } = await enrolled();
  const list = await (await page.request.get(`${city.url}/register/certificates.json`)).json();
  const { id, body } = Object.values(list).find(({ body }) => body.cause === "sunset");
  await page.goto(`${city.url}/register/certificates/${id}`);
  await page.waitForSelector('#certificate-data[data-proof="verified"]', { state: "attached", timeout: 60_000 });
  for (const check of ["log", "published", "before", "after", "dates", "approved"]) {
    assert.equal(await page.locator(`#certificate-${check}`).innerText(), "Yes, checked");
  }
  assert.deepEqual(await violations(page), []);
  await page.goto(`${city.url}/register/mandates/${body.mandate}`);
  assert.ok((await page.getByTestId("key").allInnerTexts()).some((text) => text.includes(body.key_commitments[0])));
});

test("not now leads back without anything, and she reads what she said", async () => {
  const { page } = await enrolled();
  await page.goto(city.sampleFestival);
  await page.getByTestId("sign-in").click();
  await page.getByTestId("not-now").click();
  await page.getByTestId("denied").waitFor();
  await page.goto(`${city.url}/me/footprint`);
  const lines = page.locator("[data-line]");
  assert.equal(await lines.count(), 1);
  assert.match(await lines.innerText(), /not now/);
});

test("the passkey signs in again, and signing out everywhere ends every session", async () => {
  const { page, context } = await enrolled();
  await page.goto("/me/account");
  await page.getByTestId("sign-out").click();
  await page.goto("/me");
  await page.waitForURL("**/sign-in?next=**");
  await page.getByTestId("passkey").click();
  await page.waitForURL("**/me");
  const other = await context.newPage();
  await other.goto("/me/account");
  await other.getByTestId("sign-out-everywhere").click();
  await page.goto("/me");
  await page.waitForURL("**/sign-in?next=**");
});

test("complain, correct, deactivate, delete", async () => {
  const { page } = await enrolled();
  await agree(page);
  await read(page);
  await page.goto(`${city.url}/me/footprint`);
  await page.getByRole("link", { name: "Object" }).first().click();
  await page.fill("#words", "I did not ask for a card.");
  await page.getByTestId("send-complaint").click();
  assert.match(await page.getByTestId("case").innerText(), /I did not ask for a card/);
  assert.deepEqual(await violations(page), []);

  await page.goto("/me/data");
  const field = page.locator("#value-blk_email");
  if (await field.count()) {
    await field.fill("new@example.org");
    await field.locator("xpath=ancestor::form").getByRole("button").click();
    assert.match(await page.locator("main").innerText(), /new@example\.org/);
  }

  await page.goto("/me/preview?service=svc_library");
  assert.match(await page.locator("main").innerText(), /Chen Demo/);

  await page.goto("/me/account");
  await page.getByTestId("deactivate").click();
  await read(page);
  assert.match(await page.getByTestId("refused").innerText(), /resident/);
  await page.goto(`${city.url}/me/account`);
  await page.getByTestId("reactivate").click();

  await page.goto("/me/account/delete");
  await page.getByTestId("delete").click();
  await page.waitForURL("**/register/certificates/**");
  await page.goto("/me");
  await page.waitForURL("**/sign-in?next=**");
  await read(page);
  await page.getByTestId("refused").waitFor();
});

test("an insider edits the stored use: the line turns red", { skip: process.env.USUFRUCT_E2E_DATABASE && "edits a SQLite file" }, async () => {
  const { page } = await enrolled();
  await agree(page);
  await read(page);
  assert.ok((await checked(page)).every((line) => line.proof === "verified"));
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
shard, resident, n, sealed = db.execute("SELECT shard, resident, n, sealed FROM lines ORDER BY idx DESC LIMIT 1").fetchone()
changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
db.execute("UPDATE lines SET sealed = ? WHERE shard = ? AND resident = ? AND n = ?", (changed, shard, resident, n))
db.commit()
`;
  const edit = spawnSync("python3", ["-c", script, join(city.data, "usufruct.db")], { encoding: "utf8" });
  assert.equal(edit.status, 0, edit.stderr);
  const lines = await checked(page);
  assert.equal(lines[0].proof, "broken");
  assert.match(await page.locator("#proof-summary").innerText(), /do not match/);
  assert.equal(await page.locator("#proof-summary").getAttribute("data-proof"), "broken");
});

test("an insider edits a tile: the lines turn red", async () => {
  const { page } = await enrolled();
  await agree(page);
  assert.ok((await checked(page)).every((line) => line.proof === "verified"));
  const fresh = await openPage(browser, { baseURL: city.url });
  await fresh.context.addCookies(await page.context().cookies());
  await editTiles(fresh.context);
  const lines = await checked(fresh.page);
  assert.ok(lines.some((line) => line.proof === "broken"), JSON.stringify(lines));
});

test("no page broke the content security policy or failed", () => {
  assert.deepEqual(opened.flat(), []);
});

test("the server's own log holds nobody's name, number or address", () => {
  assert.deepEqual(identities(city.output()), []);
  assert.doesNotMatch(city.output(), /panicked/);
});
