// Somebody with the operator's disk changes what was written. The resident's browser says so, line by line.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openBrowser, openPage } from "../lib/browser.js";
import { agree, checked, editTiles, enrolled, read } from "../lib/resident.js";
import { demo } from "../lib/server.js";

let city;
let browser;

before(async () => (browser = await openBrowser()));
after(() => browser?.close());
beforeEach(async () => (city = await demo({ residents: 5 })));
afterEach(() => city?.stop());

/** A resident whose data the library has read once; all lines are green. */
async function user() {
  const visit = await enrolled(browser, city);
  await agree(city, visit.page);
  await read(city, visit.page);
  await visit.page.getByTestId("released").waitFor();
  assert.deepEqual((await checked(city, visit.page)).map((line) => line.proof), ["verified", "verified", "verified"]);
  return visit;
}

/** Runs SQL on the server's own file while the server runs. `last` is the resident of the newest line. */
function edit(body) {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
last = db.execute("SELECT resident FROM lines ORDER BY idx DESC LIMIT 1").fetchone()[0]
def sealed(n):
    return db.execute("SELECT sealed FROM lines WHERE resident = ? AND n = ?", (last, n)).fetchone()[0]
${body}
db.commit()
`;
  const done = spawnSync("python3", ["-c", script, join(city.data, "usufruct.db")], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
}

const proofs = (lines) => Object.fromEntries(lines.map((line) => [line.n, line.proof === "broken" ? line.reason : line.proof]));

test("a changed use: that line turns red", async () => {
  const { page } = await user();
  edit(`
changed = sealed(2)[:-1] + bytes([sealed(2)[-1] ^ 1])
db.execute("UPDATE lines SET sealed = ? WHERE resident = ? AND n = 2", (changed, last))`);
  assert.deepEqual(proofs(await checked(city, page)), { 0: "verified", 1: "verified", 2: "unopened" });
  assert.match(await page.locator("#proof-summary").innerText(), /do not match/);
  assert.equal(await page.locator("#proof-summary").getAttribute("data-proof"), "broken");
});

test("two lines swapped: both turn red", async () => {
  const { page } = await user();
  edit(`
one, two = sealed(1), sealed(2)
db.execute("UPDATE lines SET sealed = ? WHERE resident = ? AND n = 1", (two, last))
db.execute("UPDATE lines SET sealed = ? WHERE resident = ? AND n = 2", (one, last))`);
  assert.deepEqual(proofs(await checked(city, page)), { 0: "verified", 1: "unopened", 2: "unopened" });
});

test("a use taken out: the gap shows", async () => {
  const { page } = await user();
  edit('db.execute("DELETE FROM lines WHERE resident = ? AND n = 1", (last,))');
  assert.deepEqual(proofs(await checked(city, page)), { 0: "verified", 2: "gap" });
});

test("a use said to stand elsewhere in the log: that line turns red", async () => {
  const { page } = await user();
  edit('db.execute("UPDATE lines SET idx = idx - 2 WHERE resident = ? AND n = 2", (last,))');
  assert.deepEqual(proofs(await checked(city, page)), { 0: "verified", 1: "verified", 2: "unlogged" });
});

test("a tile edited: the lines it proves turn red", async () => {
  const { page } = await user();
  const fresh = await openPage(browser, { baseURL: city.url });
  await fresh.context.addCookies(await page.context().cookies());
  await editTiles(fresh.context);
  const lines = await checked(city, fresh.page);
  assert.ok(lines.some((line) => line.proof === "broken"), JSON.stringify(lines));
});

test("the log set back: a browser that was here before raises the alarm", async () => {
  const { page } = await user();
  const older = await (await fetch(`${city.url}/log/checkpoint`)).text();
  await read(city, page);
  await page.getByTestId("released").waitFor();
  assert.ok((await checked(city, page)).every((line) => line.proof === "verified"));
  await page.route("**/log/checkpoint", (route) => route.fulfill({ body: older, contentType: "text/plain" }));
  await page.goto(`${city.url}/me/footprint`);
  const summary = page.locator("#proof-summary[data-proof=broken][role=alert]");
  await summary.waitFor({ timeout: 30_000 });
  assert.ok((await summary.innerText()).length > 20);
});
