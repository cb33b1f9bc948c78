// Denmark, 2015 to 2017: the log of who had looked did not show some citizens all of it, for up to 21 months (Sundhedsdatastyrelsen,
// 22 March 2017). Here: with the operator's database, against the browser of a resident whose lines go back for months.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { openBrowser, openPage } from "../lib/browser.js";
import { drill, footprint, linesOf, onDisk, verified } from "../lib/drill.js";
import { checked } from "../lib/resident.js";
import { signIn } from "../lib/service.js";

const PERSONA = "amara-delgado";
const DAY_MICROS = 86_400_000_000;

let browser;
let page;
let cookie;
let number;
/** Her footprint before anything was hidden, as she saved it, and its lines. */
let saved;
let lines;

const { city, attempt } = drill("hidden-lines", async () => {
  browser = await openBrowser();
  cookie = await signIn(city, PERSONA);
  number = JSON.parse(readFileSync(join(city.data, "demo.json"), "utf8")).personas.find(([key]) => key === PERSONA)[1];
  ({ page } = await openPage(browser, { baseURL: city.url }));
  await page.goto(`/demo/sign-in/${PERSONA}`);
  saved = await footprint(city, cookie);
  lines = linesOf(saved);
  assert.ok((await checked(city, page)).every(({ proof }) => proof === "verified"), "her browser has seen all of it green");
});
after(() => browser?.close());

/** Changes her rows, lets her look, and puts them back. `hidden` are the lines that are taken out. */
async function played(hidden, then, look) {
  const rows = onDisk(city, `
rows = db.execute("SELECT rowid, * FROM lines WHERE resident = ? ORDER BY n", (${number},)).fetchall()
names = [column[0] for column in db.execute("SELECT rowid, * FROM lines LIMIT 0").description]
print(json.dumps([names, [[v.hex() if isinstance(v, bytes) else v for v in row] for row in rows]]))
for n in json.loads(sys.argv[2]):
    db.execute("DELETE FROM lines WHERE resident = ? AND n = ?", (${number}, n))
${then}`, JSON.stringify(hidden.map(({ n }) => n)));
  try {
    await look();
  } finally {
    onDisk(city, `
names, rows = json.loads(sys.stdin.read() if sys.argv[2] == "-" else sys.argv[2])
db.execute("DELETE FROM lines WHERE resident = ?", (${number},))
sealed = names.index("sealed")
for row in rows:
    row[sealed] = bytes.fromhex(row[sealed])
    db.execute(f"INSERT INTO lines ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})", row)`, rows.trim());
  }
  assert.equal((await verified(city, await footprint(city, cookie))).state, "verified", "her rows are back");
}

/** What the page says above her lines: red or green, and which entries of the log it says are hidden from her. */
async function verdict(page) {
  const summary = page.locator("#proof-summary[data-proof]");
  await summary.waitFor({ timeout: 40_000 });
  const items = await page.locator("#proof-evidence li").allInnerTexts();
  const found = items.map((item) => /^Your line ([\d,]+) is entry ([\d,]+) of the log\.$/.exec(item)?.slice(1).map((n) => Number(n.replaceAll(",", ""))));
  return { state: await summary.getAttribute("data-proof"), role: await summary.getAttribute("role"), found };
}

/** Another browser of hers that was never here before. */
async function elsewhere() {
  const visit = await openPage(browser, { baseURL: city.url });
  await visit.page.goto(`/demo/sign-in/${PERSONA}`);
  return visit.page;
}

/** Her browser finds exactly these lines, and what she saved proves to anybody that the log still holds them. */
async function finds(t, page, hidden, began) {
  const shown = await checked(city, page);
  const said = await verdict(page);
  assert.deepEqual([said.state, said.role], ["broken", "alert"]);
  assert.deepEqual(said.found.toSorted(([a], [b]) => a - b), hidden.map(({ n, index }) => [n, index]));
  await t.hers(began, async () => true);
  await t.public(began, async () => (await verified(city, saved)).lines.every(({ state }) => state === "verified"));
  return shown;
}

const age = ({ at }) => (Date.now() * 1_000 - at) / DAY_MICROS;

attempt("months", async (t) => {
  const hidden = lines.filter((line) => age(line) > 25 && age(line) < 210);
  assert.ok(hidden.length >= 4 && age(hidden[0]) > 90, "some of them are months old");
  await played(hidden, "", async () => {
    const began = performance.now();
    const shown = await finds(t, page, hidden, began);
    const red = shown.filter(({ proof }) => proof === "broken").map(({ n, reason }) => [n, reason]);
    assert.deepEqual(red, [[hidden.at(-1).n + 1, "gap"]], "the line after the gap is red");
    await finds(t, await elsewhere(), hidden, began);
  });
}, { onFile: true });

attempt("renumbered", async (t) => {
  const hidden = lines.filter((line) => age(line) > 25 && age(line) < 210);
  const gap = hidden.length;
  const after = hidden.at(-1).n;
  const close = `
for (n,) in db.execute("SELECT n FROM lines WHERE resident = ? AND n > ${after} ORDER BY n", (${number},)).fetchall():
    db.execute("UPDATE lines SET n = ? WHERE resident = ? AND n = ?", (n - ${gap}, ${number}, n))`;
  await played(hidden, close, async () => {
    const began = performance.now();
    const mine = await elsewhere();
    const shown = await checked(city, mine);
    const moved = lines.length - 1 - after;
    const red = shown.filter(({ proof }) => proof === "broken");
    assert.deepEqual(red.map(({ reason }) => reason), Array(moved).fill("unopened"), "no line opens under another number");
    const { state, found } = await verdict(mine);
    assert.equal(state, "broken");
    for (const { n, index } of hidden) assert.ok(found.some((one) => one && one[0] === n && one[1] === index), `line ${n} is found`);
    await t.hers(began, async () => true);
    await t.public(began, async () => (await verified(city, saved)).lines.every(({ state }) => state === "verified"));
  });
}, { onFile: true });

attempt("newest", async (t) => {
  const hidden = lines.slice(-2);
  await played(hidden, "", async () => {
    const began = performance.now();
    const shown = await finds(t, page, hidden, began);
    assert.ok(shown.every(({ proof }) => proof === "verified"), "the lines that are left say nothing");
  });
}, { onFile: true });
