// Every page: axe in light, dark, 320 px, both languages; no policy violation; usable without JavaScript.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { COLOUR, overflow, violations } from "../lib/axe.js";
import { openBrowser, openPage } from "../lib/browser.js";
import { personaNames } from "../lib/identities.js";
import { demo } from "../lib/server.js";
import { personas } from "../lib/service.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "..", "out");
const IMAGES = join(HERE, "..", "..", "docs", "images");
// Pictures of every page for people to look at.
const SHOTS = Boolean(process.env.USUFRUCT_SHOTS || process.env.UPDATE_SCREENSHOTS);
const PUBLIC = ["/", "/sign-in", "/sign-in/card", "/recover", "/freeze", "/freeze?done=yes", "/enrol", "/register", "/register/mandates/mdt_library-card", "/register/mandates/mdt_dengue-alert", "/register/mandates/mdt_library-card/notice", "/register/mandates/mdt_itinerary-card", "/register/mandates", "/register/services", "/register/contracts", "/register/contracts/ctr_event", "/register/agreements", "/register/agreements/agr_school-readers", "/register/audits", "/register/audits/bau_information-2", "/register/cameras", "/register/cameras/cam_ferry-pier", "/register/late", "/vendor", "/office", "/officials", "/officials/key", "/register/agencies", "/register/agencies/agc_library", "/register/certificates", "/register/vault", "/register/keys", "/register/orders", "/register/meetings", "/register/rulings", "/oversight", "/oversight/agc_oversight", "/register/log", "/developers", "/developers/try", "/demo/clerk", "/demo/officials", "/register/counts", "/register/drafts", "/register/assessments", "/register/blocks", "/register/blocks/blk_name", "/register/ending", "/register/history/mdt_library-card", "/register/laws", "/register/laws/law_tw", "/register/refusals", "/register/statements/0", "/register/mandates/mdt_library-card/tallies", "/nowhere"];
const OWN = ["/me", "/me/footprint", "/me/footprint/1/case", "/me/cases", "/me/cases/new", "/me/wishes", "/me/messages", "/me/consents", "/me/data", "/me/preview?service=svc_library", "/me/account", "/me/account/devices", "/me/account/devices/add", "/me/account/recovery", "/me/account/delete"];
const LANGUAGES = [{ lang: "en", narrowIsDark: false }, { lang: "zh-Hant", narrowIsDark: true }];

let city;
let browser;
let persona;

before(async () => {
  city = await demo({ residents: 20 });
  browser = await openBrowser();
  [persona] = await personas(city);
  mkdirSync(OUT, { recursive: true });
  if (process.env.UPDATE_SCREENSHOTS) mkdirSync(IMAGES, { recursive: true });
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

const shot = (path) => path.replace(/[^\w-]+/g, "_").replace(/^_|_$/g, "") || "home";

/** Each page is loaded once in each language and looked at in a wide window, light and dark, and in one of 320 pixels. */
const looks = (narrowIsDark) => [
  { name: "light", dark: false, width: 1100 },
  { name: "dark", dark: true, width: 1100, only: COLOUR },
  { name: narrowIsDark ? "narrow-dark" : "narrow", dark: narrowIsDark, width: 320 },
];

for (const { lang, narrowIsDark } of LANGUAGES) {
  test(`axe finds nothing: ${lang}`, async () => {
    const { page, problems, context } = await openPage(browser, { lang, baseURL: city.url });
    const found = [];
    const look = async (name) => {
      for (const { name: how, dark, width, only } of looks(narrowIsDark)) {
        await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
        await page.setViewportSize({ width, height: 800 });
        for (const line of await violations(page, only)) found.push(`${name} (${how}): ${line}`);
        const wide = await overflow(page);
        if (wide > 0) found.push(`${name} (${how}): ${wide} px wider than the window`);
        if (SHOTS) await page.screenshot({ path: join(OUT, `${lang}-${how}-${shot(name)}.png`), fullPage: true });
      }
    };
    const visit = async (path) => {
      const answer = await page.goto(path);
      assert.equal(answer.status(), path === "/nowhere" ? 404 : 200, path);
      if (path === "/me/footprint") await page.waitForFunction(() => document.querySelector("#proof-summary[data-proof]"), undefined, { timeout: 30_000 });
      assert.equal(await page.locator("html").getAttribute("lang"), lang);
      await look(path);
    };
    for (const path of PUBLIC) await visit(path);
    await page.goto("/register/certificates");
    await visit(await page.locator('main a[href^="/register/certificates/"]').first().getAttribute("href"));
    await page.goto(`/demo/sign-in/${persona}`);
    for (const path of OWN) await visit(path);
    for (const [path, name] of [[city.sampleLibrary, "library"], [city.sampleFestival, "festival"]]) {
      await page.goto(path);
      await look(name);
    }
    await page.getByTestId("sign-in").click();
    await page.waitForURL(/oidc\/authorize|callback|:\d+\/$/);
    if (page.url().includes("/oidc/authorize")) {
      await look("consent");
      if (process.env.UPDATE_SCREENSHOTS && lang === "en") await picture(page, { name: "consent.png", fullPage: true });
    }
    if (process.env.UPDATE_SCREENSHOTS && lang === "en") {
      await page.goto(`${city.url}/me/footprint`);
      await page.waitForFunction(() => document.querySelector('#proof-summary[data-proof="verified"]'), undefined, { timeout: 30_000 });
      await picture(page, { name: "footprint.png", fullPage: false });
    }
    await context.close();
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
}

/** A picture for the documents: light and wide. */
async function picture(page, { name, fullPage }) {
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1100, height: 800 });
  await page.screenshot({ path: join(IMAGES, name), fullPage });
}

test("each public register page has its JSON", async () => {
  for (const path of PUBLIC.filter((path) => path.startsWith("/register"))) {
    const answer = await fetch(`${city.url}${path}.json`);
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), /^application\/json/, path);
    assert.ok(await answer.json(), path);
  }
});

test("a resident's pages name no other resident", async () => {
  const { page, context } = await openPage(browser, { baseURL: city.url });
  const keys = await personas(city);
  for (const [at, key] of keys.entries()) {
    await context.clearCookies();
    await page.goto(`/demo/sign-in/${key}`);
    const others = personaNames.filter((_, other) => other !== at).flat();
    for (const path of OWN) {
      await page.goto(path);
      const html = await page.content();
      assert.deepEqual(others.filter((name) => html.includes(name)), [], `${key} on ${path}`);
    }
  }
});

test("without JavaScript every page but the passkey works, agreeing and withdrawing too", async () => {
  const { page } = await openPage(browser, { javaScript: false, baseURL: city.url });
  await page.goto(`/demo/sign-in/${persona}`);
  for (const path of [...PUBLIC.slice(0, -1), ...OWN]) {
    const answer = await page.goto(path);
    assert.equal(answer.status(), 200, path);
    assert.equal(await page.locator("h1").count(), 1, path);
  }
  await page.goto("/me/consents");
  await page.getByTestId("withdraw-mdt_library-card").click();
  await page.getByTestId("certificate").click();
  assert.equal(await page.locator("h1").count(), 1);
  await page.goto(city.sampleLibrary);
  await page.getByTestId("sign-in").click();
  await page.getByTestId("agree").click();
  await page.getByTestId("subject").waitFor();
  await page.getByTestId("read-block").click();
  await page.getByTestId("released").waitFor();
});

test("keyboard: the skip link comes first and leads to the content", async () => {
  const { page } = await openPage(browser, { baseURL: city.url });
  await page.goto("/register");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
});
