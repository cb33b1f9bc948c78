// Officials with passkeys, in a real browser: they are entered in the register, approve a mandate with one touch each, and nothing else than
// what they saw is published.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { overflow, violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { foundCity } from "../lib/city.js";
import { demo, fourPorts, program, serve, workDir } from "../lib/server.js";

const LIBRARY = "agc_library";
const OPERATOR = "agc_information";

let browser;
let city;
let server;
let work;
/** @type {Record<string, Awaited<ReturnType<typeof openPage>>>} */
const people = {};

const attempt = (...args) => spawnSync(program(), args, { encoding: "utf8", cwd: work.dir, env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });

function run(...args) {
  const done = attempt(...args);
  assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

const data = () => ["--data-dir", city.data];
const operatorKeys = () => ["head", "data-protection"].flatMap((key) => ["--key", join(city.data, "officials", `${OPERATOR}.${key}.json`)]);
const libraryKey = (key) => ["--key", join(work.dir, `${LIBRARY}.${key}.json`)];

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback` };
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  await foundCity(run, work.dir, city, await crypto.subtle.exportKey("jwk", keys.publicKey));
  server = await serve(["serve", ...data(), "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  work?.clean();
});

/** What axe finds on the page as it is, in a window of 320 pixels too. */
async function faults(page) {
  const found = await violations(page);
  await page.setViewportSize({ width: 320, height: 800 });
  const wide = await overflow(page);
  await page.setViewportSize({ width: 1100, height: 800 });
  return wide > 0 ? [...found, `${wide} px wider than the window`] : found;
}

/** A browser with a device of its own, on which a passkey is made for an office. Answers the entry for the register. */
async function makeKey(name, body, role, holder = "") {
  const visit = (people[name] = await openPage(browser, { baseURL: city.url }));
  const { page } = visit;
  await addAuthenticator(page);
  await page.goto("/officials");
  await page.getByRole("link", { name: "Make a passkey for an office" }).click();
  await page.selectOption("#agency", body);
  await page.fill("#role", role);
  await page.fill("#name", name);
  await page.fill("#holder", holder);
  await page.getByTestId("official-key").click();
  await page.getByTestId("entry").waitFor();
  const entry = await page.getByTestId("entry").innerText();
  assert.deepEqual(await faults(page), []);
  return entry;
}

async function signIn(name) {
  const { page } = people[name];
  await page.goto("/officials");
  const button = page.getByTestId("official-sign-in");
  // Still signed in from before, or not.
  if ((await button.count()) > 0) await button.click();
  await page.getByRole("heading", { name: "Waiting for approvals" }).waitFor();
  return page;
}

/** Publishes the next revision of a body, as its file would say it, with entries of passkeys. */
async function enter(id, entries, approved) {
  const { body } = await entry("agencies", id);
  const table = ["kind", "contact", "protection_officer", "security_officer", "jurisdiction"].map((name) => `${name} = "${body[name]}"\n`).join("");
  const keys = body.signing_keys.map(({ id, role, public: key }) => `[[signing_keys]]\nid = "${id}"\nrole = "${role}"\npublic = "${key}"\n`);
  const folder = join(work.dir, "entries");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${id.replace("agc_", "")}.toml`);
  writeFileSync(file, `${table}legal_name = { en = "${body.legal_name.en}", zh-Hant = "${body.legal_name["zh-Hant"]}" }\n\n${[...keys, ...entries].join("\n")}`);
  run("publish", "agency", file, ...operatorKeys(), ...approved, ...data());
}

/** Proposes the library's mandate under another name. @param {string} name @param {string} wait as PT30S */
function propose(name, wait) {
  const file = join(work.dir, `${name}.toml`);
  copyFileSync(fileURLToPath(new URL("../../examples/taipei-like/mandates/library-card.toml", import.meta.url)), file);
  return run("proposal", "new", "mandate", file, "--by", LIBRARY, "--in", wait, ...data()).trim();
}

const look = (page, id) => page.goto(`/officials/proposals/${id}`);

async function entry(list, id) {
  const whole = await (await fetch(`${city.url}/register/${list}.json`)).json();
  return Array.isArray(whole) ? whole.find((one) => one.id === id) : whole[id];
}

/** Waits until `holds` answers something. */
async function until(holds, what) {
  for (let tries = 0; tries < 300; tries += 1) {
    const found = await holds();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`It did not come: ${what}`);
}

/** Sends an answer of the device to a proposal as the page would. */
async function sendAnswer(page, id, answer, among) {
  const form_token = await page.locator('input[name="form_token"]').first().inputValue();
  const sent = await page.request.post(`/officials/proposals/${id}/approvals`, { data: { form_token, answer, among } });
  return { status: sent.status(), ...(await sent.json()) };
}

/** Has the page's own device answer a challenge, in base64url. */
const answerOf = (page, challenge) =>
  page.evaluate(async (asked) => {
    const encode = (part) => btoa(String.fromCharCode(...new Uint8Array(part))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const bytes = Uint8Array.from(atob(asked.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const credential = await navigator.credentials.get({ publicKey: { challenge: bytes, rpId: location.hostname, userVerification: "required" } });
    const { authenticatorData, clientDataJSON, signature } = credential.response;
    return { authenticator_data: encode(authenticatorData), client_data: encode(clientDataJSON), signature: encode(signature) };
  }, challenge);

test("a passkey is entered by the register, and only then signs in", async () => {
  const entries = [
    await makeKey("head-phone", LIBRARY, "head", "the-head"),
    await makeKey("head-token", LIBRARY, "head", "the-head"),
    await makeKey("officer-phone", LIBRARY, "data-protection"),
  ];
  const { page } = people["head-phone"];
  await page.goto("/officials");
  assert.deepEqual(await faults(page), []);
  await page.getByTestId("official-sign-in").click();
  await page.getByText("stands in the register for nobody").waitFor();
  await enter(LIBRARY, entries, libraryKey("head"));
  await signIn("head-phone");
  assert.deepEqual(await faults(page), []);
  assert.match(await page.locator("h1").innerText(), /Library|圖書館/);
});

test("one official alone and one person with two keys do not suffice; two offices make the mandate active", async () => {
  const id = propose("second-card", "PT25S");
  const head = await signIn("head-phone");
  await head.getByTestId("proposal").first().click();
  await head.waitForURL(`**/officials/proposals/${id}`);
  assert.match(await head.locator("main").innerText(), /Mandate: .*Change of state/s);
  assert.deepEqual(await faults(head), []);
  await head.getByTestId("approve").click();
  await head.getByText("There is nothing for you to approve here").waitFor();
  assert.match(await head.getByTestId("standing").innerText(), /Approvals are missing\.[^]*1 of 2 roles/);
  assert.deepEqual(await faults(head), []);

  const token = await signIn("head-token");
  await look(token, id);
  await token.getByTestId("approve").click();
  await token.getByText("This office has approved the proposal already").waitFor();
  assert.equal(await entry("mandates", "mdt_second-card"), undefined);
  assert.match(run("proposal", "list", ...data()), new RegExp(`${id}  waiting`));

  const officer = await signIn("officer-phone");
  await officer.goto(`/officials/proposals/${id}?lang=zh-Hant`);
  assert.deepEqual(await faults(officer), []);
  await officer.getByTestId("approve").click();
  await officer.waitForLoadState();
  const mandate = await until(() => entry("mandates", "mdt_second-card"), "the mandate");
  assert.equal(mandate.state, "active");
  await look(officer, id);
  await officer.getByTestId("gone").waitFor();
  await officer.goto("/register/mandates/mdt_second-card?lang=en");
  assert.match(await officer.locator("main").innerText(), /In force/);
  // Anybody replays the log and finds every approval valid.
  await until(() => attempt("verify", city.url).status === 0, "a log without findings");
  assert.deepEqual(Object.values(people).flatMap(({ problems }) => problems), []);
});

test("nothing but what was shown is approved", async () => {
  const [first, second] = [propose("third-card", "PT1H"), propose("fourth-card", "PT1H")];
  const head = await signIn("head-phone");

  // The page shows another JSON than the one whose hash stands beside it: the browser refuses to ask.
  const address = `**/officials/proposals/${first}`;
  await look(head, first);
  await head.locator("[data-statement]").first().evaluate((shown) => (shown.textContent = shown.textContent.replace("ordinary", "emergency")));
  await head.getByTestId("approve").click();
  await head.getByText("has another hash than the one beside it").waitFor();

  // A whole page of another proposal under the address of this one: what is signed is what was seen, and the server has no use for it.
  const other = await (await head.request.get(`/officials/proposals/${second}`)).text();
  await head.route(address, async (route) => {
    await route.fulfill({ response: await route.fetch(), body: other.replace(`data-id="${second}"`, `data-id="${first}"`) });
  });
  await look(head, first);
  let sent;
  await head.route("**/approvals", async (route) => {
    sent = route.request().postDataJSON();
    await route.continue();
  });
  await head.getByTestId("approve").click();
  await head.getByText("does not fit what is proposed now").waitFor();
  await head.unroute(address);
  await head.unroute("**/approvals");
  assert.ok(sent.among.length > 1);

  // The same answer counts where it was meant to, and a copy of it nowhere else.
  await look(head, second);
  const replayed = await sendAnswer(head, first, sent.answer, sent.among);
  assert.ok(replayed.status >= 400 && /does not fit/.test(replayed.detail), JSON.stringify(replayed));

  // What the sign-in of residents asks, or that of officials, is no approval, whatever hashes are claimed.
  for (const [path, options] of [["/webauthn/sign-in/start", (one) => one.options], ["/officials/sign-in/start", (one) => one.options]]) {
    const started = await (await head.request.post(path, { data: {} })).json();
    const answer = await answerOf(head, options(started).challenge);
    const refused = await sendAnswer(head, second, answer, sent.among);
    assert.ok(refused.status >= 400 && /does not fit/.test(refused.detail), `${path}: ${JSON.stringify(refused)}`);
  }
  const waiting = JSON.parse(run("proposal", "list", "--json", ...data()));
  assert.ok(waiting.every(({ statements }) => statements.every(({ statement }) => statement.approvals.length === 0)));

  const accepted = await sendAnswer(head, second, sent.answer, sent.among);
  assert.equal(accepted.status, 200, JSON.stringify(accepted));
  // A key file stands beside the passkey, and the second office approves at the command line.
  assert.match(run("proposal", "approve", second, ...libraryKey("data-protection"), ...data()), /Approved\./);
  await look(head, second);
  assert.match(await head.getByTestId("standing").innerText(), /Everybody has approved/);

  // Another form, a foreign page, or nobody at all.
  const foreign = await head.request.post(`/officials/proposals/${first}/withdraw`, { form: { form_token: "x" }, maxRedirects: 0 });
  assert.equal(foreign.status(), 403);
  const { page: stranger } = await openPage(browser, { baseURL: city.url });
  assert.equal((await stranger.request.get(`/officials/proposals/${first}`)).status(), 401);
  await look(head, first);
  await head.getByTestId("withdraw").click();
  await head.waitForURL("**/officials");
  assert.equal((await head.getByTestId("proposal").count()), 1);
  assert.deepEqual(people["head-phone"].problems, []);
});

test("the operator's people approve by passkeys too, and a certificate leads back to them", async () => {
  const entries = [await makeKey("chief", OPERATOR, "head"), await makeKey("guard", OPERATOR, "data-protection")];
  const written = (said) => {
    const keys = Object.fromEntries([...said.matchAll(/^(\w+) = "(.+)"$/gm)].map(([, name, value]) => [name, value]));
    const [, algorithm, credential, rp_id, origin] = /algorithm = "(.+?)", credential = "(.+?)", rp_id = "(.+?)", origins = \["(.+?)"\]/.exec(said);
    return { ...keys, webauthn: { algorithm, credential, rp_id, origins: [origin] } };
  };
  await enter(OPERATOR, entries, []);

  // The next revision is approved by both passkeys alone, handed in as JSON.
  const present = await entry("agencies", OPERATOR);
  assert.deepEqual(present.body.signing_keys.slice(-2), entries.map(written));
  const at = new Date(Date.now() + 20_000).toISOString().replace(/\.?0+Z$/, "Z");
  const statement = {
    type: "Agency", id: OPERATOR, rev: present.rev + 1, prev: present.hash, at, by: OPERATOR, body: { ...present.body, contact: "1999, city hall" }, approvals: [],
  };
  const chief = await signIn("chief");
  await chief.fill("#statements", JSON.stringify([{ statement, bodies: [OPERATOR] }]));
  await chief.getByTestId("hand-in").click();
  await chief.waitForURL("**/officials/proposals/*");
  assert.match(await chief.locator("table").innerText(), /contact[^]*1999, city hall/);
  assert.deepEqual(await faults(chief), []);
  await chief.getByTestId("approve").click();
  await chief.getByText("There is nothing for you to approve here").waitFor();
  const guard = await signIn("guard");
  await guard.getByTestId("proposal").first().click();
  await guard.getByTestId("approve").click();
  await until(async () => (await entry("agencies", OPERATOR)).rev === statement.rev, "the operator's next revision");

  run("mandate", "end", "mdt_second-card", ...libraryKey("head"), "--reason-en", "It was a test.", "--reason-zh", "測試。", "--reason-code", "purpose_gone", ...data());
  const certificate = await until(async () => {
    const all = await (await fetch(`${city.url}/register/certificates.json`)).json();
    const list = Array.isArray(all) ? all : Object.values(all.certificates ?? all);
    return list.find((one) => one.body?.mandate === "mdt_second-card");
  }, "the certificate");
  await guard.goto(`/register/certificates/${certificate.id}?lang=en`);
  await guard.waitForSelector('#certificate-data[data-proof="verified"]', { state: "attached", timeout: 60_000 });
  await until(() => attempt("verify", city.url).status === 0, "a log without findings");
  run("verify", "certificate", certificate.id, "--log", city.url);
  assert.deepEqual(Object.values(people).flatMap(({ problems }) => problems), []);
});

test("without scripts the page says what to do instead", async () => {
  const { page } = await openPage(browser, { baseURL: city.url, javaScript: false });
  await page.goto("/officials");
  assert.match(await page.locator("main").innerText(), /Passkeys need JavaScript[^]*usufruct proposal approve/);
});

test("a visitor of the demo becomes an official by clicking", async () => {
  const sample = await demo({ residents: 5 });
  try {
    for (const [i, role] of ["head", "data-protection"].entries()) {
      const { page, problems } = await openPage(browser, { baseURL: sample.url });
      await addAuthenticator(page);
      await page.goto("/demo/officials");
      assert.deepEqual(await faults(page), []);
      await page.getByRole("link", { name: "Make a passkey for an office" }).click();
      assert.equal(await page.locator("#agency").inputValue(), LIBRARY);
      await page.fill("#role", role);
      await page.fill("#name", `visitor-${i}`);
      await page.getByTestId("official-key").click();
      await page.getByTestId("entry").waitFor();
      const said = await page.getByTestId("entry").innerText();
      await page.goto("/demo/officials");
      await page.fill("#entry", said);
      await page.getByTestId("enter").click();
      await page.getByTestId("entered").waitFor();
      await page.goto("/officials");
      await page.getByTestId("official-sign-in").click();
      await page.getByRole("heading", { name: "Waiting for approvals" }).waitFor();
      if (i === 0) {
        await page.goto("/demo/officials");
        await page.getByTestId("propose").click();
      } else {
        await page.getByTestId("proposal").click();
      }
      await page.getByTestId("approve").click();
      await page.getByText("There is nothing for you to approve here").waitFor();
      assert.match(await page.getByTestId("standing").innerText(), i === 0 ? /Approvals are missing/ : /Everybody has approved/);
      assert.deepEqual(problems, []);
    }
  } finally {
    await sample.stop();
  }
});
