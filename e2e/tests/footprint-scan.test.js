// The browser searches the public log for the resident's own tags, so that what is hidden from her page comes to light.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { compare } from "../../verifier/manifest.mjs";
import { City, fetchFrom } from "../../verifier/test/support.js";
import { overflow, violations } from "../lib/axe.js";
import { openBrowser, openPage } from "../lib/browser.js";
import { agree, checked, enrolled, read } from "../lib/resident.js";
import { demo } from "../lib/server.js";
import { personas, release, releaseToken, service, subject } from "../lib/service.js";

const OUT = join(dirname(fileURLToPath(import.meta.url)), "..", "out");
const LOOKS = [
  { name: "light" }, { name: "dark", dark: true }, { name: "narrow", width: 320 }, { name: "zh-Hant", lang: "zh-Hant" },
  { name: "zh-Hant-narrow-dark", lang: "zh-Hant", width: 320, dark: true },
];

/** Where the browser is stricter: sizes are exact up to 2^53, and ML-DSA is asked only about checkpoints. */
const LIMITS = ["two", "log"].flatMap((name) => [
  `${name}, type 0x06: the largest tree at the last time: valid, got malformed`,
  `${name}, type 0x06: a text that is no checkpoint: wrong signature, got malformed`,
]);

let city;
let browser;

before(async () => {
  browser = await openBrowser();
  mkdirSync(OUT, { recursive: true });
});
after(() => browser?.close());
beforeEach(async () => (city = await demo({ residents: 5 })));
afterEach(() => city?.stop());

/** Runs SQL on the server's own file while the server runs. `last` is the resident of the newest line. */
function edit(body) {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
last = db.execute("SELECT resident FROM lines ORDER BY idx DESC LIMIT 1").fetchone()[0]
${body}
db.commit()
`;
  const done = spawnSync("python3", ["-c", script, join(city.data, "usufruct.db")], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
}

/** A resident with three lines, all green: signed in, agreed, data read once. */
async function user() {
  const visit = await enrolled(browser, city);
  await agree(city, visit.page);
  await read(city, visit.page);
  await visit.page.getByTestId("released").waitFor();
  assert.deepEqual((await checked(city, visit.page)).map((line) => line.proof), ["verified", "verified", "verified"]);
  return visit;
}

/** The box above the lines, once the browser is done. */
async function verdict(page) {
  const summary = page.locator("#proof-summary[data-proof]");
  await summary.waitFor({ timeout: 40_000 });
  const evidence = await page.locator("#proof-evidence li").allInnerTexts();
  return { state: await summary.getAttribute("data-proof"), role: await summary.getAttribute("role"), text: await summary.innerText(), evidence };
}

/** Puts other data for the verifier into the page, as a server that lies would. */
async function withData(page, change) {
  await page.route("**/me/footprint", async (route) => {
    const answer = await route.fetch();
    const html = await answer.text();
    const body = html.replace(/(<script [^>]*id="footprint-data"[^>]*>)([^<]*)/, (_, open, json) => open + JSON.stringify(change(JSON.parse(json))).replaceAll("<", "\\u003c"));
    assert.notEqual(body, html);
    await route.fulfill({ response: answer, body });
  });
}

test("nothing hidden: the page says how much was searched", async () => {
  const { page, problems } = await user();
  const { state, text, evidence } = await verdict(page);
  assert.equal(state, "verified");
  assert.match(text, /All [\d,]+ entries of the public log were searched for your tags; 3 are yours, none is hidden from you\./);
  assert.deepEqual(evidence, []);
  assert.deepEqual(problems, []);
});

test("the newest line hidden from the page, but in the log: red, with its place in the log", async () => {
  const { page } = await user();
  edit('db.execute("DELETE FROM lines WHERE resident = ? AND n = 2", (last,))');
  assert.deepEqual((await checked(city, page)).map((line) => [line.n, line.proof]), [[1, "verified"], [0, "verified"]], "the lines that are left say nothing");
  const { state, role, text, evidence } = await verdict(page);
  assert.deepEqual([state, role], ["broken", "alert"]);
  assert.match(text, /hides from you/);
  assert.doesNotMatch(text, /without a gap/);
  assert.equal(evidence.length, 1);
  assert.match(evidence[0], /^Your line 2 is entry [\d,]+ of the log\.$/);
  await page.reload();
  assert.equal((await verdict(page)).state, "broken", "and it stays so");

  for (const { name, ...look } of LOOKS) {
    const visit = await openPage(browser, { baseURL: city.url, ...look });
    await visit.context.addCookies((await page.context().cookies()).filter((cookie) => !/lang/.test(cookie.name)));
    await visit.page.goto("/me/footprint");
    assert.equal((await verdict(visit.page)).state, "broken", name);
    assert.deepEqual(await violations(visit.page), [], name);
    assert.equal(await overflow(visit.page), 0, name);
    await visit.page.screenshot({ path: join(OUT, `hidden-${name}.png`), fullPage: true });
    assert.deepEqual(visit.problems, [], name);
    await visit.context.close();
  }
});

test("all lines hidden: a page without any line is red too", async () => {
  const { page } = await user();
  edit('db.execute("DELETE FROM lines WHERE resident = ?", (last,))');
  await page.goto(`${city.url}/me/footprint`);
  const { state, evidence } = await verdict(page);
  assert.equal(state, "broken");
  assert.equal(evidence.length, 3);
});

test("a line shown, but not logged: red, and the true one is found", async () => {
  const { page } = await user();
  await withData(page, (data) => {
    // The opening is the server's to choose: with another one the same event has another leaf, which nobody logged.
    const newest = data.lines.find(({ n }) => n === 2);
    newest.r = createHash("sha256").update(newest.r).digest("base64");
    return data;
  });
  const lines = await checked(city, page);
  assert.deepEqual(lines.map(({ n, proof, reason }) => [n, proof, reason]), [[2, "broken", "unlogged"], [1, "verified", ""], [0, "verified", ""]]);
  const { state, text, evidence } = await verdict(page);
  assert.equal(state, "broken");
  assert.match(text, /do not match/);
  assert.match(evidence.join(), /Your line 2 is entry/);
});

test("a line that came after the page was made is newer, not hidden", async () => {
  const { page, context } = await user();
  const html = await (await context.request.get(`${city.url}/me/footprint`)).text();
  await read(city, page);
  await page.getByTestId("released").waitFor();
  await checked(city, page);
  await page.route("**/me/footprint", (route) => route.fulfill({ body: html, contentType: "text/html; charset=utf-8" }));
  await page.goto(`${city.url}/me/footprint`);
  const { state, text } = await verdict(page);
  assert.equal(state, "pending");
  assert.match(text, /Load this page again/);
});

const AT = 1_760_000_000_000_000;

/** A city whose log is too long to be read whole, served to the browser in place of the real one. */
async function longLog(page, change = (files) => files) {
  const town = new City();
  const resident = town.resident();
  resident.use(AT);
  town.fill(3000);
  resident.use(AT + 1);
  town.fill(3000);
  resident.use(AT + 2);
  const files = change(town.publish());
  const asked = [];
  await page.route(`${city.url}/log/**`, async (route) => {
    const path = new URL(route.request().url()).pathname;
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec((await route.request().allHeaders()).range ?? "") ?? [];
    asked.push(from ? `${path} ${from}-${to}` : path);
    const bytes = await fetchFrom(files)(path, from && Number(from), to && Number(to) + 1);
    await route.fulfill(bytes ? { status: from ? 206 : 200, body: Buffer.from(bytes) } : { status: 404 });
  });
  await withData(page, () => resident.footprint());
  return { asked, resident };
}

/** A signed-in resident of the demo; which one does not matter here. */
async function anybody() {
  const visit = await openPage(browser, { baseURL: city.url });
  const [persona] = await personas(city);
  await visit.page.goto(`/demo/sign-in/${persona}`);
  return visit;
}

test("a long log is searched by its index: the browser asks for the same as everybody, and for a crowd of bundles", async () => {
  const { page, problems } = await anybody();
  const { asked } = await longLog(page);
  await page.goto("/me/footprint");
  const { state, text } = await verdict(page);
  assert.equal(state, "verified", text);
  assert.match(text, /All 6,003 entries of the public log were searched for your tags; 3 are yours/);
  assert.deepEqual(asked.filter((path) => path.includes("tags")), [`/log/tags/000 0-${6003 * 4 - 1}`]);
  assert.equal(new Set(asked.filter((path) => path.includes("entries"))).size, 8);
  asked.length = 0;
  await page.reload();
  assert.equal((await verdict(page)).state, "verified");
  assert.deepEqual(asked.filter((path) => path.includes("tags")), [], "only what is new is searched");
  assert.deepEqual(problems, []);
});

test("an index that lies is noticed by the browser: red", async () => {
  const { page } = await anybody();
  await longLog(page, (files) => files.set("/log/tags/000", files.get("/log/tags/000").map((byte) => byte ^ 255)));
  await page.goto("/me/footprint");
  const { state, role, text, evidence } = await verdict(page);
  assert.deepEqual([state, role], ["broken", "alert"]);
  assert.match(text, /tag index/);
  assert.match(evidence.join(), /^False for [\d,]+ of the entries that were compared, first for entry/);
});

test("a log whose index does not answer: not green", async () => {
  const { page } = await anybody();
  await longLog(page, (files) => (files.delete("/log/tags/000"), files));
  await page.goto("/me/footprint");
  const { state, text } = await verdict(page);
  assert.equal(state, "pending");
  assert.match(text, /could not be searched/);
});

test("the golden files of cosignatures, policies and proofs, in the browser", async (t) => {
  const { page } = await anybody();
  const serve = (path) => readFileSync(new URL(`../../verifier${path}`, import.meta.url));
  await page.route("**/verifier/test/golden.js", (route) => route.fulfill({ body: serve("/test/golden.js"), contentType: "text/javascript" }));
  const files = ["cosignature", "policy", "proof"].map((name) => JSON.parse(readFileSync(new URL(`../../vectors/tlog/${name}.json`, import.meta.url), "utf8")));
  const { all, cases } = await page.evaluate(async ([cosignature, policy, proof]) => {
    const golden = await import("/verifier/test/golden.js");
    const cases = [golden.checkpoints(cosignature), golden.subtrees(cosignature), golden.policies(policy), golden.checks(policy), golden.proofs(proof)];
    return { all: await golden.hasMlDsa(), cases: (await Promise.all(cases)).flat() };
  }, files);
  t.diagnostic(`this Chromium ${all ? "has" : "lacks"} ML-DSA-44`);
  assert.equal(cases.length, 151);
  const differing = cases.filter(([, expected, got]) => expected !== got).map(([name, expected, got]) => `${name}: ${expected}, got ${got}`);
  if (all) assert.deepEqual(differing, LIMITS);
  else assert.ok(cases.every(([, expected, got]) => got !== "valid" || expected === "valid"));
});

test("what is served is what the log states, and what lies here", async () => {
  for (const { path, own, stated, served } of await compare(city.url)) assert.deepEqual([stated, served], [own, own], path);
});

/** Asks for one persona's data until the public log has so many entries. Beyond the cap these are refusals, and logged. */
async function crowd(entries) {
  const client = await service(city, "svc_library");
  const [persona] = await personas(city);
  const who = await subject(city, client, persona, "openid mdt_library-card");
  const token = await releaseToken(city, client);
  const body = JSON.stringify({ subject: who, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "loan-overdue" });
  const isLong = async () => Number((await (await fetch(`${city.url}/log/checkpoint`)).text()).split("\n")[1]) > entries;
  const ask = async () => {
    for (let i = 0; i < 20; i += 1) await (await release(city, client, token, body)).arrayBuffer();
  };
  while (!(await isLong())) await Promise.all(Array.from({ length: 16 }, ask));
}

test("the city's own index, in a log of thousands: searched, and the hidden line is found", { timeout: 300_000 }, async () => {
  const { page } = await user();
  await crowd(4200);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.evaluate(() => localStorage.clear());
  assert.deepEqual((await checked(city, page)).map((line) => line.proof), ["verified", "verified", "verified"]);
  const before = await verdict(page);
  assert.equal(before.state, "verified", before.text);
  const searched = Number(/All ([\d,]+) entries/.exec(before.text)[1].replace(",", ""));
  assert.ok(searched > 4096, before.text);
  assert.ok(asked.includes("/log/tags/000") && asked.filter((path) => path.includes("entries")).length <= 9, asked.join(" "));

  edit('db.execute("DELETE FROM lines WHERE n = 2 AND resident = (SELECT resident FROM lines GROUP BY resident HAVING COUNT(*) = 3 ORDER BY MAX(idx) DESC LIMIT 1)")');
  await page.evaluate(() => localStorage.clear());
  await page.goto(`${city.url}/me/footprint`);
  const after = await verdict(page);
  assert.deepEqual([after.state, after.evidence.length], ["broken", 1]);
});
