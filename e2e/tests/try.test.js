// The walk on /developers/try in a real browser: a key, a service, a code, a released block, each shown; and what goes wrong on the way.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations } from "../lib/axe.js";
import { openBrowser, openPage } from "../lib/browser.js";
import { demo } from "../lib/server.js";
import { personas } from "../lib/service.js";

/** @type {Awaited<ReturnType<typeof demo>>} */
let city;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  city = await demo({ residents: 5 });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await city?.stop();
});

/** What came back in a step. */
const came = (page, step) => page.locator(`[data-step=${step}] [data-part=came]`).innerText();

/** Opens the walk as a resident of the demo and goes to the question. */
async function begun(look) {
  const visit = await openPage(browser, { baseURL: city.url, ...look });
  const [persona] = await personas(city);
  await visit.page.goto(`/demo/sign-in/${persona}`);
  // The residents of the demo have agreed before, and whoever has is not asked again.
  await visit.page.goto("/me/consents");
  const agreed = visit.page.getByTestId("withdraw-mdt_library-card");
  if (await agreed.count()) await agreed.click();
  await visit.page.goto("/developers");
  await visit.page.locator('a[href="/developers/try"]').click();
  await visit.page.locator("#try button").click();
  await visit.page.getByTestId("go").waitFor();
  return visit;
}

for (const look of [{ lang: "en" }, { lang: "zh-Hant", width: 320 }]) {
  test(`a block is released and every message is shown (${look.lang})`, async () => {
    const { page, problems, context } = await begun(look);
    const registered = JSON.parse(await came(page, "registered"));
    assert.ok(registered.kid.length > 10 && registered.client_id.startsWith("svc_sandbox-"), JSON.stringify(registered));
    assert.match(await page.locator("[data-step=pushed] [data-part=assertion]").innerText(), new RegExp(registered.kid));
    assert.match(await came(page, "pushed"), /^201\n/);
    await page.getByTestId("go").click();
    await page.getByTestId("agree").click();
    await page.locator("[data-step=released]").waitFor();
    assert.equal(page.url(), `${city.url}/developers/try`, "the code is not left in the address");
    const steps = await page.locator("[data-step]").evaluateAll((all) => all.map((step) => /** @type {HTMLElement} */ (step).dataset.step));
    assert.deepEqual(steps, ["registered", "pushed", "returned", "exchanged", "known", "released"], "the whole walk, from its beginning");
    assert.equal(JSON.parse(await came(page, "registered")).client_id, registered.client_id);
    assert.match(await page.locator("[data-step=returned] [data-part=sent]").innerText(), /^GET \/oidc\/authorize\?client_id=/);
    const claims = JSON.parse(await came(page, "known"));
    const released = await came(page, "released");
    assert.match(released, /^200\n/);
    const answer = JSON.parse(released.slice(4));
    assert.equal(answer.subject, claims.sub);
    assert.ok(answer.blocks[0].value.length > 1 && answer.receipt);
    assert.deepEqual(await violations(page), []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the page");
    await page.goto("/me/footprint");
    assert.ok(await page.locator(`a[href="/me/footprint?service=${registered.client_id}"]`).count(), "the use is in her footprint");
    assert.deepEqual(problems, []);
    await context.close();
  });
}

test("who says no is told so, and no block is asked for", async () => {
  const { page, context } = await begun({});
  await page.getByTestId("go").click();
  await page.getByTestId("not-now").click();
  await page.locator("[data-step=failed]").waitFor();
  assert.equal(await came(page, "failed"), "access_denied");
  assert.ok((await page.locator("[data-step=failed] [data-part=means]").innerText()).length > 20);
  assert.equal(await page.locator("[data-step=pushed]").count(), 1, "what came before stays");
  assert.equal(await page.locator("[data-step=released]").count(), 0);
  await context.close();
});

test("whoever comes back in another tab is told so, and the code does not stay in the address", async () => {
  const { page, problems, context } = await openPage(browser, { baseURL: city.url });
  await page.goto("/developers/try?code=abc&state=def");
  await page.getByText("This walk was begun in another tab, or is over.").waitFor();
  assert.equal(page.url(), `${city.url}/developers/try`);
  await page.locator("#try button").waitFor();
  await page.locator('main a[href="/"]').waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("a refusal is in the language of the page", async () => {
  const { page, context } = await openPage(browser, { baseURL: city.url, lang: "zh-Hant" });
  // In the place of the walk's own address one that is not on this machine.
  await page.route("**/developers", async (route) => {
    const body = new URLSearchParams(route.request().postData() ?? "");
    body.set("redirect_uri", "https://elsewhere.example/");
    await route.continue({ postData: body.toString() });
  });
  await page.goto("/developers/try");
  await page.locator("#try button").click();
  await page.locator("[data-step=failed]").waitFor();
  assert.match(await page.locator("[data-step=failed] [data-part=means]").innerText(), /返回網址不在此電腦上/);
  await context.close();
});

test("when the sandbox is full the oldest service goes", async () => {
  const register = async () => {
    const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    const body = new URLSearchParams({ jwk: JSON.stringify({ kty, crv, x, y }), redirect_uri: "http://localhost:9000/callback" });
    const answer = await fetch(`${city.url}/developers`, { method: "POST", body, headers: { accept: "application/json" } });
    assert.equal(answer.status, 201);
    return (await answer.json()).client_id;
  };
  const stateOf = async (id) => (await (await fetch(`${city.url}/register/services/${id}.json`)).json()).state;
  const first = await register();
  const second = await register();
  assert.equal(await stateOf(first), "active");
  for (let more = 0; more < 99; more += 1) await register();
  assert.equal(await stateOf(first), "closed");
  assert.equal(await stateOf(second), "active");
});

test("another site's page cannot register a service", async () => {
  const body = new URLSearchParams({ jwk: "{}", redirect_uri: "http://localhost:1/" });
  const answer = await fetch(`${city.url}/developers`, { method: "POST", body, headers: { "sec-fetch-site": "cross-site" } });
  assert.equal(answer.status, 403);
});
