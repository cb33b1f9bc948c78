// A certificate card in a real browser: registered on the page of devices, a way in, and none any more once its issuer revokes it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser } from "../lib/browser.js";
import { authority } from "../lib/card-authority.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";

let browser;
let work;
let server;
let city;
let state;

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, cards: `https://localhost:${port + 1}`, data: join(work.dir, "data") };
  city.run = (...args) => {
    const env = { ...process.env, USUFRUCT_ANY_DISK: "1" };
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir, env });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  city.run("init", "--data-dir", city.data, "--origin", "pass.example.org/log", "--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市");
  state = authority(work.dir, "state");
  const own = authority(work.dir, "servers").server();
  chmodSync(own.key, 0o600);
  appendFileSync(
    join(city.data, "usufruct.toml"),
    `\n[certificate_cards]\nlisten = "127.0.0.1:${port + 1}"\norigin = "${city.cards}"\ncertificate = "${own.cert}"\nkey = "${own.key}"\n` +
      `issuers = "${state.certificate}"\nrevoked = ["${state.revoked}"]\nname = { en = "State card", zh-Hant = "憑證卡" }\n`,
  );
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  work?.clean();
});

/** A browser with this card in its reader, or with none. */
async function open(card) {
  const clientCertificates = card ? [state.forBrowser(city.cards, card)] : undefined;
  const context = await browser.newContext({ baseURL: city.url, ignoreHTTPSErrors: true, locale: "en-GB", clientCertificates });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (/content security policy|refused to/i.test(message.text())) problems.push(message.text());
  });
  return { context, page, problems };
}

async function signIn(page) {
  await page.goto("/sign-in?next=/me/account/devices");
  await page.getByTestId("certificate-card").click();
  await page.getByTestId("show-certificate-card").click();
}

test("a card is registered with a passkey, opens the pass without one, and ends when it is revoked", async () => {
  const card = state.card("holder");
  const first = await open(card);
  await addAuthenticator(first.page);
  const person = join(work.dir, "person.toml");
  writeFileSync(person, "[blocks]\n");
  const slip = city.run("enrol", person, "--data-dir", city.data);
  const code = slip.match(/\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b/)[0];
  await first.page.goto("/enrol");
  await first.page.fill("#code", code);
  await first.page.getByTestId("make-passkey").click();
  await first.page.waitForURL("**/me");
  await first.page.goto("/me/account/devices");
  assert.deepEqual(await violations(first.page), []);
  await first.page.fill("#certificate-card-label", "card at home");
  await first.page.getByTestId("add-certificate-card").click();
  await first.page.waitForURL(`${city.url}/me/account/devices`);
  assert.match(await first.page.locator("li[data-testid=certificate-card]").innerText(), /card at home/);

  const second = await open(card);
  await second.page.goto("/sign-in/certificate");
  assert.deepEqual(await violations(second.page), []);
  await signIn(second.page);
  await second.page.waitForURL(`${city.url}/me/account/devices`);
  assert.match(await second.page.locator("main").innerText(), /Certificate card/);
  await second.page.goto("/me/account/delete");
  await second.page.waitForURL("**/sign-in?next=**");
  await second.page.goto("/me/footprint");
  assert.match(await second.page.locator("main").innerText(), /A certificate card opened the pass\./);

  state.revoke(card);
  await assert.doesNotReject(async () => {
    for (let tries = 0; ; tries++) {
      await second.page.goto("/me");
      if (second.page.url().includes("/sign-in")) return;
      if (tries > 40) throw new Error("a revoked card's session is still open");
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  });
  await first.page.goto("/me/account/devices");
  assert.equal(await first.page.locator("li[data-testid=certificate-card]").count(), 0);
  assert.deepEqual([...first.problems, ...second.problems], []);
});

test("a browser without a card comes back to a page that says so", async () => {
  const { page, problems } = await open(undefined);
  await signIn(page);
  await page.waitForURL("**/sign-in/certificate?failure=no-card");
  assert.match(await page.getByTestId("certificate-card-failed").innerText(), /No card was shown/);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(problems, []);
});

test("a card that nobody registered opens nothing", async () => {
  const { page } = await open(state.card("stranger"));
  await signIn(page);
  await page.waitForURL("**/sign-in/certificate?failure=unknown");
  assert.match(await page.getByTestId("certificate-card-failed").innerText(), /does not open a pass/);
});
