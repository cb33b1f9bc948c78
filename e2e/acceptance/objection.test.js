// From a line to an objection in two clicks (Norway's printed form; Belgium, Spain and NHS England without a button).
import assert from "node:assert/strict";
import { after } from "node:test";
import { openBrowser, openPage } from "../lib/browser.js";
import { acceptance, read } from "../lib/acceptance.js";

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
  const { html } = await read(city, "/oversight/agc_oversight");
  assert.ok(html.includes(receipt), "the desk says nothing of it");
});
