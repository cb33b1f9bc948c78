// The footprint key in a real browser: a passkey wraps it, another device opens it, a recovery code opens it; and in everything that the
// browsers send meanwhile there is no trace of what a passkey or a code gives, nor of the key.
import assert from "node:assert/strict";
import { createHash, hkdfSync } from "node:crypto";
import { after, before, test } from "node:test";
import { overflow, violations } from "../lib/axe.js";
import { addAuthenticator, openBrowser, openPage } from "../lib/browser.js";
import { agree, read } from "../lib/resident.js";
import { demo } from "../lib/server.js";
import { formsOf, record } from "../lib/recorder.js";

let city;
let browser;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

/** A browser of its own that is recorded from its first request on, and keeps what its passkeys evaluate for the test to look for. */
async function device({ javaScript = true, hasPrf = true } = {}) {
  const visit = await openPage(browser, { baseURL: city.url, javaScript });
  const sent = await record(visit.page);
  const authenticator = await addAuthenticator(visit.page, { hasPrf });
  const [outputs, keys] = [[], []];
  await visit.page.exposeFunction("testOutput", (output) => void outputs.push(Buffer.from(output)));
  await visit.page.exposeFunction("testKey", (key) => void keys.push(Buffer.from(key, "base64url")));
  await visit.page.addInitScript(() => {
    const ask = globalThis.fetch.bind(globalThis);
    globalThis.fetch = async (path, options) => {
      const answer = await ask(path, options);
      if (path === "/me/account/footprint-key" && options?.method === "POST" && answer.ok) await globalThis.testKey((await answer.clone().json()).key);
      return answer;
    };
    const original = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = async (options) => {
      const credential = await original(options);
      const first = credential?.getClientExtensionResults().prf?.results?.first;
      // A copy, because the page wipes its own.
      if (first) await globalThis.testOutput([...new Uint8Array(first)]);
      return credential;
    };
  });
  return { ...visit, ...authenticator, outputs, keys, sent };
}

async function enrol(visit) {
  const { page } = visit;
  await page.goto("/demo/clerk");
  await page.getByTestId("print-code").click();
  const code = await page.getByTestId("invitation-code").innerText();
  await page.goto("/enrol");
  await page.fill("#code", code);
  await page.getByTestId("make-passkey").click();
  await page.waitForURL("**/me");
  return visit;
}

/** Wraps the key for the only passkey that is not yet an owner, and answers the key as the vault gave it to the page. */
async function keep({ page, keys }) {
  await page.goto("/me/account/devices");
  const stored = page.waitForResponse((answer) => answer.url().endsWith("/footprint-key/keep"));
  await page.getByTestId("keep-key").click();
  assert.equal((await stored).status(), 204);
  await page.getByTestId("keep-key").waitFor({ state: "detached" });
  return keys.at(-1);
}

const verdict = async (page) => {
  const status = page.locator('[data-key-status="verified"], [data-key-status="pending"], [data-key-status="broken"], [data-key-status="failed"]');
  await status.waitFor({ timeout: 40_000 });
  return { state: await status.getAttribute("data-key-status"), text: await status.innerText() };
};

const custody = (page) => page.getByTestId("custody").allInnerTexts();

const hkdf = (secret, info) => Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), info, 32));
const wrappingKeyOf = (output) => hkdf(output, "usufruct/footprint-key/passkey/v1");
const plain = (code) => code.replaceAll("-", "");

/** Fails if any of these secrets is in anything that was sent, in any form that it could be written in. */
function assertUnsent(requests, secrets) {
  for (const [name, secret] of Object.entries(secrets)) {
    for (const [form, needle] of formsOf(secret)) {
      const found = requests.find((request) => request.bytes.includes(needle));
      assert.equal(found?.what, undefined, `${name} as ${form}`);
    }
  }
}

test("a key that was wrapped on one device is opened after signing in again, and nothing that opens it was ever sent", async () => {
  const first = await enrol(await device());
  const { page } = first;
  await agree(city, page);
  await read(city, page);
  await page.getByTestId("released").waitFor();

  await page.goto(`${city.url}/me/account/devices`);
  assert.match((await custody(page))[0], /^Assisted/);
  assert.match(await page.getByTestId("vault-copy").innerText(), /could open them/);
  const key = await keep(first);
  assert.equal(key.length, 64);
  assert.match((await custody(page))[0], /^Own/);
  assert.deepEqual(await violations(page), []);
  await page.setViewportSize({ width: 320, height: 800 });
  assert.equal(await overflow(page), 0);
  await page.setViewportSize({ width: 1100, height: 800 });

  // Recovery codes are made in the page.
  await page.goto("/me/account/recovery");
  await page.getByTestId("make-codes").click();
  await page.getByTestId("recovery-codes").locator("code").first().waitFor();
  const codes = await page.getByTestId("recovery-codes").locator("code").allInnerTexts();
  assert.equal(new Set(codes).size, 10);
  assert.ok(codes.every((code) => plain(code).length === 32), codes[0]);
  assert.deepEqual(await violations(page), []);

  await page.goto("/me/account");
  await page.getByTestId("sign-out").click();
  // A virtual authenticator gives its PRF secret to no other browser, so this one forgets all it has but the passkey.
  await page.context().clearCookies();
  await page.evaluate(() => localStorage.clear());
  await page.goto("/sign-in?next=/me/account/devices");
  await page.getByTestId("passkey").click();
  await page.waitForURL("**/me/account/devices");
  const given = first.keys.length;
  await page.getByTestId("open-key").click();
  const opened = await verdict(page);
  assert.equal(opened.state, "verified", opened.text);
  assert.match(opened.text, /Your own key opened \d+ lines/);
  assert.equal(first.keys.length, given, "the vault was not asked for the key");
  assert.equal(first.outputs.length, 2, "asked once to wrap and once to open");
  assert.deepEqual(first.outputs[0], first.outputs[1]);

  const second = await device();
  // Elsewhere, without any passkey: the code opens it, and is not used up by that.
  await second.context.addCookies(await page.context().cookies());
  await second.page.goto("/me/account/devices");
  assert.match(await second.page.locator("#footprint-key").innerText(), /10 of your recovery codes open it/);
  await second.page.fill("#footprint-key-code", codes[7].toLowerCase().replaceAll("-", " "));
  await second.page.getByTestId("open-key-code").click();
  assert.equal((await verdict(second.page)).state, "verified");
  await second.page.reload();
  assert.match(await second.page.locator("#footprint-key").innerText(), /10 of your recovery codes open it/);
  await second.page.fill("#footprint-key-code", codes[7].replace(/^./, (letter) => (letter === "A" ? "B" : "A")));
  await second.page.getByTestId("open-key-code").click();
  assert.match((await verdict(second.page)).text, /Nothing is sealed for this/);

  // A code is used to get in: the browser sends a part of it, and the wrap is gone with it.
  const lost = await device();
  await lost.page.goto("/recover");
  await lost.page.fill("#code", codes[3].toLowerCase().replaceAll("-", " "));
  await lost.page.getByTestId("recover").click();
  await lost.page.getByTestId("make-passkey").click();
  await lost.page.waitForURL("**/me");
  await lost.page.goto("/me/account/devices");
  assert.match(await lost.page.locator("#footprint-key").innerText(), /9 of your recovery codes open it/);
  assert.deepEqual((await custody(lost.page)).map((words) => words.split(/\s/)[0]), ["Own", "Assisted"]);
  await keep(lost);
  assert.deepEqual((await custody(lost.page)).map((words) => words.split(/\s/)[0]), ["Own", "Own"]);
  assert.equal(lost.outputs.length, 1);
  assert.notDeepEqual(lost.outputs[0], first.outputs[0], "each passkey answers something else");

  const requests = [first, second, lost].flatMap(({ sent }) => sent.requests());
  const paths = new Set(requests.map(({ what }) => what.split(" ")[1]));
  for (const path of ["/webauthn/sign-in/finish", "/me/account/footprint-key/keep", "/me/account/recovery/own", "/recover"]) {
    assert.ok([...paths].some((asked) => asked?.endsWith(path)), `${path} was recorded`);
  }
  assertUnsent(requests, {
    "the PRF output": first.outputs[0],
    "the PRF output of the second passkey": lost.outputs[0],
    "the wrapping key": wrappingKeyOf(first.outputs[0]),
    "the wrapping key of the second passkey": wrappingKeyOf(lost.outputs[0]),
    "the footprint key": key,
    "the tag key": key.subarray(0, 32),
    "the line key": key.subarray(32),
    ...Object.fromEntries(codes.map((code) => [`the wrapping key of ${code}`, hkdf(plain(code), "usufruct/footprint-key/code/v1")])),
    ...Object.fromEntries(codes.map((code) => [`the code ${code}`, Buffer.from(plain(code))])),
  });
  for (const code of codes) {
    for (const form of [code, code.toLowerCase(), code.toLowerCase().replaceAll("-", " "), code.toLowerCase().replaceAll("-", "+")]) {
      assert.equal(requests.find(({ bytes }) => bytes.includes(form))?.what, undefined, form);
    }
  }
  // The search finds what is there: the wraps, and the part of the code that signed in.
  const part = Buffer.from(hkdfSync("sha256", plain(codes[3]), "", "usufruct/recovery/sign-in/v1", 32)).subarray(0, 28);
  const letters = [...part].map((byte) => "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"[byte & 31]).join("").match(/.{4}/g).join("-");
  assert.ok(requests.some(({ bytes }) => bytes.includes(letters)), "the part of the code was sent");
  assert.deepEqual([...first.problems, ...second.problems, ...lost.problems], []);
});

test("the search of what was sent would find a key in any of its forms, wherever it is", async () => {
  const visit = await device();
  await visit.page.goto("/");
  const secret = createHash("sha256").update("a secret").digest();
  const forms = formsOf(secret);
  assert.ok(forms.length >= 6);
  await visit.page.evaluate(async (bytes) => {
    const raw = Uint8Array.from(bytes);
    const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const base64 = btoa(String.fromCharCode(...raw));
    await fetch("/sign-in", { method: "POST", body: raw });
    await fetch(`/sign-in?key=${hex.toUpperCase()}`);
    await fetch(`/sign-in?key=${hex}`);
    await fetch("/sign-in", { headers: { "x-key": base64 } });
    await fetch("/sign-in", { method: "POST", body: new URLSearchParams({ key: base64 }) });
    await fetch("/sign-in", { method: "POST", body: JSON.stringify({ key: [...raw] }) });
    await fetch("/sign-in", { method: "POST", body: JSON.stringify({ key: base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") }) });
  }, [...secret]);
  const requests = visit.sent.requests();
  const seen = forms.filter(([, needle]) => requests.some(({ bytes }) => bytes.includes(needle))).map(([form]) => form);
  for (const form of ["raw", "hex", "HEX", "base64", "base64url", "numbers"]) assert.ok(seen.includes(form), `${form} is found: ${seen}`);
});

test("a passkey without PRF stays assisted and says so", async () => {
  const visit = await enrol(await device({ hasPrf: false }));
  await visit.page.goto("/me/account/devices");
  await visit.page.getByTestId("keep-key").click();
  assert.match((await verdict(visit.page)).text, /cannot seal a key\. Its device stays assisted/);
  await visit.page.reload();
  assert.match((await custody(visit.page))[0], /^Assisted/);
  await visit.page.getByTestId("open-key").click();
  assert.match((await verdict(visit.page)).text, /Nothing is sealed for this/);
});

test("a wrap that somebody changed or swapped does not open, and a hidden line is found with her own key", async () => {
  const visit = await enrol(await device());
  const other = await enrol(await device());
  await keep(visit);
  await keep(other);
  const [hers] = (await (await other.page.request.get("/me/account/footprint-key")).json()).passkeys;
  const wraps = "**/me/account/footprint-key";
  for (const change of [
    (own) => ({ ...own, sealed: hers.sealed }),
    (own) => ({ ...own, sealed: `${own.sealed.slice(0, -2)}${own.sealed.endsWith("AA") ? "BA" : "AA"}` }),
    (own) => ({ ...own, sealed: "" }),
  ]) {
    await visit.page.route(wraps, async (route) => {
      const answer = await route.fetch();
      const { passkeys } = await answer.json();
      await route.fulfill({ response: answer, json: { passkeys: passkeys.map(change), codes: [] } });
    });
    await visit.page.goto("/me/account/devices");
    await visit.page.getByTestId("open-key").click();
    assert.match((await verdict(visit.page)).text, /sealed key does not open/);
    await visit.page.unroute(wraps);
  }
  // The insider leaves out her last line, or shows her the lines of somebody else.
  const stranger = await (await other.page.request.get("/me/footprint/sealed")).json();
  for (const [change, words] of [
    [(footprint) => ({ ...footprint, lines: footprint.lines.slice(0, -1) }), /hides from you/],
    [(footprint) => ({ ...footprint, lines: stranger.lines }), /Something is wrong/],
  ]) {
    await visit.page.goto("/me/account/devices");
    // First as it is, so that all lines are public when one of them is left out.
    await visit.page.getByTestId("open-key").click();
    assert.equal((await verdict(visit.page)).state, "verified");
    await visit.page.route("**/me/footprint/sealed", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: change(await answer.json()) });
    });
    await visit.page.reload();
    await visit.page.getByTestId("open-key").click();
    const found = await verdict(visit.page);
    assert.equal(found.state, "broken");
    assert.match(found.text, words);
    await visit.page.unroute("**/me/footprint/sealed");
  }
});

test("forgetting the key, and removing its device, take the wrap away", async () => {
  const visit = await enrol(await device());
  await keep(visit);
  const wraps = async () => (await (await visit.page.request.get("/me/account/footprint-key")).json()).passkeys.length;
  assert.equal(await wraps(), 1);
  await visit.page.getByTestId("forget-key").click();
  await visit.page.getByTestId("keep-key").waitFor();
  assert.equal(await wraps(), 0);
  await keep(visit);
  const second = await device();
  await second.context.addCookies(await visit.context.cookies());
  await second.page.goto("/me/account/devices/add");
  await second.page.fill("#label", "phone");
  await second.page.getByTestId("make-passkey").click();
  await second.page.waitForURL("**/me/account/devices");
  await keep(second);
  assert.equal(await wraps(), 2);
  const phone = second.page.getByTestId("device").filter({ hasText: "phone" });
  await phone.locator("summary").click();
  await phone.getByTestId("remove").click();
  await second.page.waitForURL("**/me/account/devices?removed=yes");
  assert.equal(await wraps(), 1);
  await visit.page.goto("/me/footprint");
  assert.match(await visit.page.locator("main").innerText(), /The footprint key was sealed for a passkey\.[^]*|forgotten/);
});

test("without scripts the page says that the vault keeps the key, and codes still come", async () => {
  const visit = await enrol(await device());
  const quiet = await openPage(browser, { baseURL: city.url, javaScript: false });
  await quiet.context.addCookies(await visit.context.cookies());
  await quiet.page.goto("/me/account/devices");
  assert.match(await quiet.page.locator("#footprint-key").innerText(), /Without scripts the vault alone keeps it/);
  assert.equal(await quiet.page.getByTestId("keep-key").isVisible(), false);
  assert.equal(await quiet.page.getByTestId("open-key").isVisible(), false);
  await quiet.page.goto("/me/account/recovery");
  await quiet.page.getByTestId("make-codes").click();
  const codes = await quiet.page.getByTestId("recovery-codes").locator("code").allInnerTexts();
  assert.equal(codes.length, 10);
  assert.ok(codes.every((code) => plain(code).length === 28));
});

test("nobody else's form, no garbage and no old form changes what is kept", async () => {
  const visit = await enrol(await device());
  await keep(visit);
  const token = await visit.page.locator("#footprint-key").getAttribute("data-token");
  const { passkeys: [own] } = await (await visit.page.request.get("/me/account/footprint-key")).json();
  const cookies = (await visit.context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const send = (fields, headers = {}) =>
    fetch(`${city.url}/me/account/footprint-key/keep`, {
      method: "POST", redirect: "manual", headers: { cookie: cookies, accept: "application/json", ...headers },
      body: new URLSearchParams({ form_token: token, credential: own.id, sealed: own.sealed, ...fields }),
    });
  const other = await enrol(await device());
  await keep(other);
  const { passkeys: [hers] } = await (await other.page.request.get("/me/account/footprint-key")).json();
  for (const [fields, headers, status] of [
    [{ credential: hers.id }, {}, 404],
    [{ credential: hers.id, sealed: hers.sealed }, {}, 404],
    [{ credential: "?" }, {}, 400],
    [{ sealed: "?" }, {}, 400],
    [{ sealed: "" }, {}, 409],
    [{ sealed: own.sealed.slice(0, -4) }, {}, 409],
    [{ sealed: `${own.sealed}AAAA` }, {}, 409],
    [{ sealed: `B${own.sealed.slice(1)}` }, {}, 409],
    [{ sealed: "A".repeat(2_000_000) }, {}, 413],
    [{ form_token: "x" }, {}, 403],
    [{ form_token: await other.page.locator("#footprint-key").getAttribute("data-token") }, {}, 403],
    [{}, { "sec-fetch-site": "cross-site" }, 403],
    [{}, { cookie: "" }, 401],
  ]) {
    const answer = await send(fields, headers);
    assert.equal(answer.status, status, JSON.stringify([Object.keys(fields), headers]));
  }
  const now = await (await visit.page.request.get("/me/account/footprint-key")).json();
  assert.deepEqual(now.passkeys, [own]);
  assert.equal((await send({})).status, 204, "and her own form is taken");
  // What was sent is worth nothing once she has signed out.
  await visit.page.goto("/me/account");
  await visit.page.getByTestId("sign-out").click();
  assert.equal((await send({})).status, 401);
});
