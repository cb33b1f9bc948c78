// Somebody with a printed card gets the same list as everybody, at the counter (the Dutch and Nordic portals).
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { client, known, pause } from "../lib/drill.js";
import { acceptance } from "../lib/acceptance.js";
import { checked } from "../lib/resident.js";
import { release } from "../lib/service.js";

const PIN = "204817";
const CARD = "mdt_library-card";

let browser;
let counter;
/** Her file number. */
let number;

const { city, part } = acceptance("paper-card", async () => void (browser = await openBrowser()));
after(() => browser?.close());

const cookieOf = async ({ context }) => (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");

/** What a list says, without how it was looked at: the two sign-ins are lines of their own. */
const said = (lines) => lines.map(({ n, proof, text }) => [n, proof, text.replace(/\s+/g, " ").trim()]);

part("counter", async () => {
  const person = join(city.folder, "card-holder.toml");
  writeFileSync(person, '[blocks]\nblk_name = "Test Person"\nblk_birth-date = "1950-01-01"\n');
  const slip = city.run("enrol", person, "--data-dir", city.data);
  [, number] = /file number (\d+)/.exec(slip);
  const [invitation] = /[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}/.exec(slip);
  const out = join(city.folder, "paper-card.svg");
  const made = city.typed(`${PIN}\n`, "card", "issue", number, "--issuer", city.url, "--out", out, "--data-dir", city.data);
  assert.equal(made.status, 0, made.stderr);
  const code = [...readFileSync(out, "utf8").matchAll(/>([A-Z2-9]{4}(?: [A-Z2-9]{4})?)<\/text>/g)].map(([, pair]) => pair).join("").replaceAll(" ", "");

  const home = await openPage(browser, { baseURL: city.url });
  await addAuthenticator(home.page);
  await home.page.goto("/enrol");
  await home.page.fill("#code", invitation);
  await home.page.getByTestId("make-passkey").click();
  await home.page.waitForURL("**/me");
  const library = await client(city, "svc_library");
  const subject = await known(city, library, await cookieOf(home), `openid ${CARD}`);
  const wanted = { subject, mandate: CARD, blocks: [{ block: "blk_name", form: "value" }], reason: "new-card" };
  assert.equal((await release(city, library, library.token, wanted)).status, 200);

  counter = await openPage(browser, { baseURL: city.url });
  await counter.page.goto(`/sign-in/card#${code}`);
  await counter.page.fill("#pin", PIN);
  await counter.page.getByTestId("card-sign-in").click();
  await counter.page.waitForURL("**/me");
  await pause(1_500);
  const [atCounter, atHome] = [await checked(city, counter.page), await checked(city, home.page)];
  assert.ok(atCounter.length >= 2 && atCounter.every(({ proof }) => proof === "verified"));
  assert.ok(atCounter.some(({ text }) => /City Library/.test(text)));
  assert.deepEqual(said(atCounter), said(atHome));

  await counter.page.emulateMedia({ media: "print" });
  const printed = counter.page.locator("[data-line]");
  assert.equal(await printed.count(), atHome.length);
  for (let i = 0; i < atHome.length; i += 1) assert.ok(await printed.nth(i).isVisible(), `line ${i} is printed`);
  assert.deepEqual([...counter.problems, ...home.problems], []);
});

part("post", async () => {
  const { page } = counter;
  await page.emulateMedia({ media: "screen" });
  await page.goto("/me/account");
  await page.getByRole("link", { name: /by post/ }).click();
  await page.getByTestId("post-once").click();
  await page.waitForURL("**/me/messages?saved=true");
  assert.equal(await page.getByTestId("post-order").count(), 1);
  const [house, letters] = [join(city.folder, "print-house.json"), join(city.folder, "letters")];
  const to = city.run("letters", "key", "--out", house).trim();
  const posted = city.run("letters", "post", "--to", to, "--folder", letters, "--data-dir", city.data);
  assert.equal(posted, "1 lists.\n");
  const [name] = readdirSync(letters);
  const carried = readFileSync(join(letters, name), "utf8");
  assert.ok(name.startsWith(number) && !/library|new-card|<t[rd]/i.test(carried));
  const html = city.run("letters", "open", join(letters, name), "--key", house);
  const printed = [...html.matchAll(/<tr data-line="(\d+)">/g)].map(([, n]) => n);
  await page.goto("/me/footprint");
  const shown = await page.locator("[data-line]").evaluateAll((rows) => rows.map((row) => row.dataset.line));
  assert.deepEqual(printed, shown.slice(1), "each line is on it, but for the one that says that it was posted");
  assert.match(html, /City Library/);
  assert.equal(city.run("letters", "post", "--to", to, "--folder", letters, "--data-dir", city.data), "0 lists.\n", "once");
});
