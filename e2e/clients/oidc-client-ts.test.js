// oidc-client-ts, unmodified, in a page that has no key: she signs in, is known again without being asked, and signs out. The service is
// registered with `auth = "none"`; the pages of other origins get nothing.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openBrowser, openPage } from "../lib/browser.js";
import { foundCity, publishService } from "../lib/city.js";
import { enrol } from "../lib/resident-of-city.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";

const LIBRARY = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules", "oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js");
const PAGE = `<!doctype html><title>page</title><script src="/oidc-client-ts.js"></script>
<script>if (parent !== window) new oidc.UserManager({}).signinSilentCallback();</script>`;

let work;
let server;
let shops;
let browser;
let city;
let settings;

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback`, page: `http://localhost:${port + 2}`, elsewhere: `http://localhost:${port + 3}` };
  city.run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
  const approved = await foundCity(city.run, work.dir, city, jwk);
  publishService(city.run, work.dir, city, approved, { name: "page", redirect: `${city.page}/back`, out: `${city.page}/out`, profile: "oidc" });
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  shops = [port + 2, port + 3].map((own) =>
    createServer((request, response) => {
      const isScript = request.url === "/oidc-client-ts.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? readFileSync(LIBRARY) : PAGE);
    }).listen(own, "127.0.0.1"),
  );
  settings = { authority: city.url, client_id: "svc_page", redirect_uri: `${city.page}/back`, post_logout_redirect_uri: `${city.page}/out`, scope: "openid", loadUserInfo: true };
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  shops?.forEach((shop) => shop.close());
  await server?.stop();
  work?.clean();
});

/** A browser of a new resident who is signed in to the pass. */
async function visit() {
  const opened = await openPage(browser);
  const [name, value] = (await enrol(city, work.dir)).split("=");
  await opened.context.addCookies([{ name, value, url: city.url }]);
  return opened;
}

/** Runs a method of the library's manager in the page. */
const manager = (page, method, ...args) =>
  page.evaluate(async ([settings, method, args]) => {
    const done = await new oidc.UserManager(settings)[method](...args);
    return done && { profile: done.profile, token: done.access_token, refresh: done.refresh_token, type: done.token_type };
  }, [settings, method, args]);

async function begin(page, change = {}) {
  await page.goto(city.page);
  await page.evaluate((settings) => void new oidc.UserManager(settings).signinRedirect(), { ...settings, ...change });
}

test("a page without a key signs her in, knows her again, and signs her out", async () => {
  const { page, problems } = await visit();
  await begin(page);
  await page.waitForURL(`${city.page}/back?**`);
  const user = await manager(page, "signinRedirectCallback");
  assert.match(user.profile.sub, /^[\w-]{22}$/);
  assert.deepEqual([user.refresh, user.type], [undefined, "Bearer"]);
  assert.deepEqual([user.profile.name, user.profile.email], [undefined, undefined], "a pseudonym and nothing else");

  const again = await manager(page, "signinSilent");
  assert.equal(again.profile.sub, user.profile.sub);
  assert.notEqual(again.token, user.token);

  const knows = (token) => page.evaluate(([url, token]) => fetch(`${url}/oidc/userinfo`, { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.status), [city.url, token]);
  assert.equal(await knows(again.token), 200);
  await manager(page, "revokeTokens", ["access_token"]);
  assert.equal(await knows(again.token), 401);

  await page.evaluate((settings) => void new oidc.UserManager(settings).signoutRedirect(), settings);
  await page.waitForURL(`${city.url}/oidc/end-session?**`);
  await page.locator('form[action="/oidc/end-session/confirm"] button').click();
  await page.waitForURL(`${city.page}/out**`);
  await begin(page, { prompt: "none" });
  await page.waitForURL(`${city.page}/back?**`);
  assert.equal(new URL(page.url()).searchParams.get("error"), "login_required");
  assert.deepEqual(problems, []);
});

test("a page of another origin can neither take the code nor read an answer", async () => {
  const { page } = await visit();
  await begin(page);
  await page.waitForURL(`${city.page}/back?**`);
  const code = new URL(page.url()).searchParams.get("code");
  const stored = await page.evaluate(() => Object.values({ ...localStorage, ...sessionStorage }).map((text) => JSON.parse(text)).find((state) => state.code_verifier));
  const form = { grant_type: "authorization_code", code, redirect_uri: settings.redirect_uri, client_id: "svc_page", code_verifier: stored.code_verifier };
  const exchange = (form) =>
    page.evaluate(([url, form]) => fetch(`${url}/oidc/token`, { method: "POST", body: new URLSearchParams(form) }).then((answer) => answer.status, String), [city.url, form]);
  await page.goto(city.elsewhere);
  assert.match(`${await exchange(form)}`, /Failed to fetch/);
  await page.goto(city.page);
  assert.equal(await exchange({ ...form, code_verifier: "x".repeat(43) }), 400, "nor does her own page without the verifier");
  assert.equal(await exchange(form), 400, "and a code is tried once");

  // A service with a key is not to be had by its name.
  const answer = await fetch(`${city.url}/oidc/token`, { method: "POST", body: new URLSearchParams({ ...form, client_id: "svc_library" }) });
  assert.deepEqual([answer.status, (await answer.json()).error], [401, "invalid_client"]);
});

test("without a challenge a page gets no code", async () => {
  const { page } = await visit();
  await begin(page, { disablePKCE: true });
  await page.waitForURL(`${city.page}/back?**`);
  const back = new URL(page.url()).searchParams;
  assert.deepEqual([back.get("error"), back.get("code")], ["invalid_request", null]);
});
