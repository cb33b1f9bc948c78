// Whoever never looks is told (Denmark: 14 % know that the log exists).
import assert from "node:assert/strict";
import { after } from "node:test";
import { openBrowser, openPage } from "../lib/browser.js";
import { footprint, linesOf } from "../lib/drill.js";
import { acceptance, soon } from "../lib/acceptance.js";
import { violations } from "../lib/axe.js";

const PERSONA = "wu-chin-tsai";
const DAY = 86_400_000;

let browser;

const { city, part } = acceptance("awareness", async () => void (browser = await openBrowser()));
after(() => browser?.close());

part("digest", async () => {
  const { context, page, problems } = await openPage(browser, { baseURL: city.url });
  await page.goto(`/demo/sign-in/${PERSONA}`);
  const messages = page.getByTestId("message");
  await soon("the message of the week that is over", async () => {
    await page.goto("/me/messages");
    return (await messages.count()) > 0;
  });
  const newest = await messages.first().innerText();
  const [from, until] = [...newest.matchAll(/\d{4}-\d{2}-\d{2}/g)].map(([day]) => Date.parse(day));
  assert.equal((until - from) / DAY, 6, newest);
  assert.equal(new Date(until).getUTCDay(), 0, "it ends on a Sunday");
  // What it says is what her lines say, also where that is nothing.
  const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const taipei = (at) => Math.floor((Number(at) / 1_000 + 8 * 3_600_000) / DAY) * DAY;
  const told = linesOf(await footprint(city, cookie)).filter(({ at }) => taipei(at) >= from && taipei(at) <= until);
  assert.equal(/Nothing happened/.test(newest), told.length === 0, `${newest}\n${JSON.stringify(told)}`);
  assert.equal(Number(/used (\d+) times/.exec(newest)?.[1] ?? Number(/used once/.test(newest))), told.filter(({ kind }) => kind === "use").length);
  assert.deepEqual(await violations(page), []);
  await page.goto("/me");
  assert.equal(await page.getByTestId("news").count(), 1, "it stands on the first page that she sees");
  // Everybody gets it who has not said no, and saying no stands in her footprint.
  await page.goto("/me/messages");
  assert.ok(await page.locator("#weekly").isChecked());
  await page.locator("#weekly").uncheck();
  await page.getByTestId("save-messages").click();
  await page.waitForURL("**/me/messages?saved=true");
  assert.ok(!(await page.locator("#weekly").isChecked()));
  await page.goto("/me/footprint");
  assert.match(await page.locator("[data-line]").first().innerText(), /what you wish about messages/);
  await page.goto("/me/messages");
  await page.locator("#weekly").check();
  await page.getByTestId("save-messages").click();
  assert.deepEqual(problems, []);
});
