// Steps that the acceptance tests share: the city of the abuse drills with a draw and a register of wills more, and what each part is held to.
import assert from "node:assert/strict";
import { appendFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { TESTS } from "../acceptance/tests.js";
import { foundCity, openCity, pause } from "./drill.js";

const OWN = join(dirname(fileURLToPath(import.meta.url)), "..", "acceptance", "city");
/** How soon everybody must see what went wrong. */
export const SECONDS = 60;
export const DRAW = "mdt_monthly-draw";
/** How many people enter the draw; USUFRUCT_ENTRANTS=10000 plays it with as many as a request may name. */
export const ENTRANTS = Number(process.env.USUFRUCT_ENTRANTS ?? 1_000);

/** When the first of them agreed: the demo lets seventeen minutes pass from one resident to the next. */
const DAYS_AGO = 130;

/** The word by which somebody in the draw signs in. */
export const entrant = (i) => `entrant-${String(i + 1).padStart(5, "0")}`;

/** The city of the acceptance tests. */
export const foundAcceptanceCity = () =>
  foundCity(0, (folder) => {
    cpSync(OWN, folder, { recursive: true });
    changed(join(folder, "contracts", "event.toml"), /^mandates = \[/m, `mandates = ["${DRAW}", `);
    changed(join(folder, "services", "bear-voucher.toml"), /^mandates = \[/m, `mandates = ["${DRAW}", `);
    appendFileSync(join(folder, "people", "personas.toml"), WATCHED_FILE + Array.from({ length: ENTRANTS }, (_, i) => entrantFile(i)).join(""));
  });

/** Somebody whom bailiffs looked for in secret: long ago, and lately. */
export const WATCHED = "lo-mei-hua";
const WATCHED_FILE = `
[[personas]]
id = 4900
name = { en = "Lo Mei-hua", zh-Hant = "羅美華" }
birth_year = 1975
district = "望潮區"
language = "en"
holds = "card"
story = { en = "A court had her looked for.", zh-Hant = "法院曾裁定查訪她。" }
consents = []
history = [
  { mandate = "mdt_inquiry", service = "svc_inquiry-desk", reason = "order", days_ago = 60, blocks = ["blk_name"] },
  { mandate = "mdt_inquiry", service = "svc_inquiry-desk", reason = "order", days_ago = 3, blocks = ["blk_name"] },
]
`;

function changed(file, from, to) {
  const text = readFileSync(file, "utf8");
  assert.match(text, from);
  writeFileSync(file, text.replace(from, to));
}

const entrantFile = (i) => `
[[personas]]
id = ${5_000 + i}
name = { en = "Entrant ${String(i + 1).padStart(5, "0")}", zh-Hant = "報名者 ${String(i + 1).padStart(5, "0")}" }
birth_year = 1970
district = "望潮區"
language = "zh-Hant"
holds = "card"
story = { en = "Entered the draw of the month.", zh-Hant = "報名每月抽獎。" }
consents = [{ mandate = "${DRAW}", days_ago = ${DAYS_AGO} }]
`;

/**
 * The parts of a test: `part` plays one of them and notes how long it took. `city` is there while they run.
 * @param {string} id @param {() => Promise<void>} [prepare] what comes before the first part
 */
export function acceptance(id, prepare) {
  const told = TESTS.find((one) => one.id === id);
  assert.ok(told, id);
  const city = {};
  const played = new Set();
  before(async () => {
    Object.assign(city, await openCity(foundAcceptanceCity));
    await prepare?.();
  });
  after(async () => {
    await city.stop?.();
    assert.deepEqual([...played].sort(), Object.keys(told.parts).sort(), "each part of the table is played");
  });
  const part = (key, play) => {
    assert.ok(told.parts[key], `${id} has no part ${key}`);
    played.add(key);
    const { done, open } = told.parts[key];
    test(done, { todo: open }, async () => {
      const began = performance.now();
      let holds = false;
      try {
        await play();
        holds = true;
      } finally {
        note({ id, key, holds, seconds: (performance.now() - began) / 1_000 });
      }
    });
  };
  return { city, part };
}

function note(result) {
  const file = process.env.USUFRUCT_ACCEPTANCE_RESULTS;
  if (file) appendFileSync(file, `${JSON.stringify(result)}\n`);
}

/** What `look` finds, once it finds something; fails when it does not within so many seconds. */
export async function soon(what, look, seconds = SECONDS) {
  const began = performance.now();
  for (;;) {
    const found = await look();
    assert.ok((performance.now() - began) / 1_000 < seconds, `${what}: not within ${seconds} s`);
    if (found) return found;
    await pause(300);
  }
}

/** A page of the city as somebody reads it, in English unless said otherwise. */
export async function read(city, path, cookie = "", lang = "en") {
  const answer = await fetch(`${city.url}${path}`, { headers: { accept: "text/html", cookie: `${cookie}; lang=${lang}` } });
  return { status: answer.status, html: await answer.text() };
}
