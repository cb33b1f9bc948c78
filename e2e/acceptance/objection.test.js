// From a line to an objection in two clicks (Norway's printed form; Belgium, Spain and NHS England without a button).
import assert from "node:assert/strict";
import { after } from "node:test";
import { openBrowser, openPage } from "../lib/browser.js";
import { keyFiles } from "../lib/drill.js";
import { acceptance, read } from "../lib/acceptance.js";
import { violations } from "../lib/axe.js";

const PERSONA = "wu-chin-tsai";
const DAY = 86_400_000;

let browser;
/** The number of the receipt. */
let receipt;

const { city, part } = acceptance("objection", async () => void (browser = await openBrowser()));
after(() => browser?.close());

part("two-clicks", async () => {
  const { page, problems } = await openPage(browser, { baseURL: city.url });
  await page.goto(`/demo/sign-in/${PERSONA}`);
  await page.goto("/me/footprint");
  let clicks = 0;
  const click = async (where) => {
    clicks += 1;
    await where.click();
  };
  const line = page.locator("[data-line]", { has: page.getByRole("link", { name: "Object or ask" }) }).first();
  const about = await line.getAttribute("data-line");
  await click(line.getByRole("link", { name: "Object or ask" }));
  await click(page.getByTestId("send-challenge"));
  await page.waitForURL("**/me/cases");
  assert.equal(clicks, 2);
  const filed = page.getByTestId("case").filter({ has: page.locator(`a[href="/me/footprint#line-${about}"]`) }).first();
  const facts = await filed.locator("dl").innerText();
  receipt = await filed.locator("code").innerText();
  assert.match(receipt, /\S{8,}/);
  const due = Date.parse(/Answer due by\s+(.+)/.exec(facts)[1]);
  const days = Math.round((due - Date.now()) / DAY);
  assert.ok(days >= 29 && days <= 31, `${days} days: ${facts}`);
  assert.deepEqual(problems, []);
});

part("overseer", async () => {
  const [, key] = keyFiles(city, "agc_oversight", ["head"]);
  const { page, problems } = await openPage(browser, { baseURL: city.url });
  await page.goto("/office");
  assert.ok(!(await page.content()).includes(receipt), "only with a key of the overseer");
  await page.fill("#ticket", city.run("key", "ticket", key, "--desk", "office", "--issuer", city.url));
  await page.getByTestId("office-sign-in").click();
  const filed = page.getByTestId("watched-case").filter({ hasText: receipt });
  assert.equal(await filed.count(), 1, "the desk says nothing of it");
  const said = await filed.innerText();
  assert.match(said, /Due by\s+\d{4}-\d{2}-\d{2}/);
  assert.match(said, /Mandate\s+\S/);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(problems, []);
  // And in public, where there is no sign-in, nobody sees a single one.
  for (const path of ["/oversight/agc_oversight", "/register/cases", "/register/cases.json"]) {
    assert.ok(!(await read(city, path)).html.includes(receipt), path);
  }
});
