// oidc-client-ts is a library for programs that run in the browser alone and have no key. The pass knows no such service: a page cannot
// prove who it is. What it does here shows where it stops: she signs in, and the page gets no token for the code.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { spawnSync } from "node:child_process";
import { openBrowser, openPage } from "../lib/browser.js";
import { foundCity, publishService } from "../lib/city.js";
import { enrol } from "../lib/resident-of-city.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";

const LIBRARY = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules", "oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js");

let work;
let server;
let shop;
let browser;
let city;

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback`, page: `http://localhost:${port + 2}` };
  city.run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
  const approved = await foundCity(city.run, work.dir, city, jwk);
  publishService(city.run, work.dir, city, approved, { name: "page", redirect: `${city.page}/back`, jwk: { ...jwk, kid: "page" }, profile: "oidc" });
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  shop = createServer((request, response) => {
    const isScript = request.url === "/oidc-client-ts.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? readFileSync(LIBRARY) : '<!doctype html><title>page</title><script src="/oidc-client-ts.js"></script>');
  });
  await new Promise((resolve) => shop.listen(port + 2, "127.0.0.1", resolve));
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  shop?.close();
  await server?.stop();
  work?.clean();
});

test("a page without a key signs her in and gets no token", async () => {
  const { context, page } = await openPage(browser);
  const [name, value] = (await enrol(city, work.dir)).split("=");
  await context.addCookies([{ name, value, url: city.url }]);
  const settings = { authority: city.url, client_id: "svc_page", redirect_uri: `${city.page}/back`, scope: "openid", loadUserInfo: false };
  await page.goto(city.page);
  await page.evaluate((settings) => void new oidc.UserManager(settings).signinRedirect(), settings);
  await page.waitForURL(`${city.page}/back?**`);
  const back = new URL(page.url());
  assert.ok(back.searchParams.get("code"), back.href);
  assert.equal(back.searchParams.get("iss"), city.url);
  const failed = await page.evaluate((settings) => new oidc.UserManager(settings).signinRedirectCallback().then(() => "signed in", String), settings);
  assert.match(failed, /Failed to fetch|NetworkError/, "the token endpoint answers no page of another site");

  // And outside of a browser, where no page is in the way, there is nothing that it could prove itself with.
  const form = { grant_type: "authorization_code", code: back.searchParams.get("code"), redirect_uri: `${city.page}/back`, client_id: "svc_page" };
  for (const more of [{}, { client_secret: "secret" }]) {
    const answer = await fetch(`${city.url}/oidc/token`, { method: "POST", body: new URLSearchParams({ ...form, ...more }) });
    assert.equal(answer.status, 401);
    assert.equal((await answer.json()).error, "invalid_client");
  }
});
