// An insider changes the database of the log: the browser of a resident says so, and asks the server for nothing that it could lie about.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { compare } from "../../verifier/manifest.mjs";
import { openBrowser, openPage } from "../lib/browser.js";
import { onDisk } from "../lib/drill.js";
import { acceptance } from "../lib/acceptance.js";
import { checked, editTiles } from "../lib/resident.js";

const PERSONA = "amara-delgado";

let browser;
let visit;
let number;

const { city, part } = acceptance("changed-log", async () => {
  browser = await openBrowser();
  visit = await openPage(browser, { baseURL: city.url });
  await visit.page.goto(`/demo/sign-in/${PERSONA}`);
  number = JSON.parse(readFileSync(join(city.data, "demo.json"), "utf8")).personas.find(([key]) => key === PERSONA)[1];
  const lines = await checked(city, visit.page);
  assert.ok(lines.length > 3 && lines.every(({ proof }) => proof === "verified"), "all was green before");
});
after(() => browser?.close());

/** Turns the last bit of one of her lines, as it is kept. */
const turn = (n) => onDisk(city, `
sealed = db.execute("SELECT sealed FROM lines WHERE resident = ? AND n = ?", (${number}, ${n})).fetchone()[0]
db.execute("UPDATE lines SET sealed = ? WHERE resident = ? AND n = ?", (sealed[:-1] + bytes([sealed[-1] ^ 1]), ${number}, ${n}))`);

part("lines", async () => {
  turn(2);
  try {
    const lines = await checked(city, visit.page);
    const red = lines.filter(({ proof }) => proof === "broken").map(({ n, reason }) => [n, reason]);
    assert.deepEqual(red, [[2, "unopened"]]);
    assert.match(await visit.page.locator("#proof-summary").innerText(), /do not match/);
  } finally {
    turn(2);
  }
  assert.ok((await checked(city, visit.page)).every(({ proof }) => proof === "verified"));
});

part("log", async () => {
  const elsewhere = await openPage(browser, { baseURL: city.url });
  await elsewhere.page.goto(`/demo/sign-in/${PERSONA}`);
  await editTiles(elsewhere.context);
  const lines = await checked(city, elsewhere.page);
  assert.ok(lines.length > 3);
  assert.deepEqual(lines.filter(({ proof }) => proof === "verified"), []);
  await elsewhere.context.close();
});

part("served", async () => {
  const files = await compare(city.url);
  assert.ok(files.length > 0);
  for (const { path, own, stated, served } of files) assert.deepEqual([stated, served], [own, own], path);
});
