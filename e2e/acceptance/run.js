#!/usr/bin/env node
// All acceptance tests on one city, which starts once: `node acceptance/run.js`, or with the names of tests. With --write the page
// docs/acceptance.md gets the seconds of this run.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { foundAcceptanceCity } from "../lib/acceptance.js";
import { FILE, outcome, page } from "./table.js";
import { TESTS } from "./tests.js";

const HERE = dirname(fileURLToPath(import.meta.url));

const isWritten = process.argv.includes("--write");
const asked = process.argv.slice(2).filter((word) => word !== "--write");
const names = asked.length > 0 ? asked : [...(isWritten ? [] : ["table"]), ...TESTS.map(({ id }) => id)];
const began = performance.now();
const city = await foundAcceptanceCity();
const folder = mkdtempSync(join(tmpdir(), "usufruct-acceptance-"));
try {
  const { url, data, sampleLibrary, sampleFestival } = city;
  const shared = join(folder, "city.json");
  const results = join(folder, "results");
  writeFileSync(shared, JSON.stringify({ url, data, sampleLibrary, sampleFestival }));
  const args = ["--test", "--test-reporter=spec", "--test-concurrency=1", ...names.map((name) => join(HERE, `${name}.test.js`))];
  const env = { ...process.env, USUFRUCT_DRILL_CITY: shared, USUFRUCT_ACCEPTANCE_RESULTS: results };
  const child = spawn(process.execPath, args, { stdio: "inherit", env });
  process.exitCode = await new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
  const noted = existsSync(results) ? readFileSync(results, "utf8").trim().split("\n").map((line) => JSON.parse(line)) : [];
  report(noted);
  if (isWritten) {
    if (asked.length > 0 || process.exitCode !== 0) throw new Error("The page is written of a whole run in which all is as expected.");
    writeFileSync(FILE, page(new Map(noted.map(({ id, key, seconds }) => [`${id} ${key}`, seconds.toFixed(1)]))));
  }
} finally {
  await city.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** Prints the table, and says where a part that is marked as open holds. */
function report(noted) {
  for (const { id, key, holds, seconds } of noted) {
    const part = TESTS.find((one) => one.id === id).parts[key];
    console.log(`${outcome(part, holds).padEnd(6)} ${seconds.toFixed(1).padStart(6)} s  ${id}: ${part.done}`);
    if (part.open && holds) {
      console.log(`       It is marked as open and holds. Take the mark out of acceptance/tests.js.`);
      process.exitCode = 1;
    }
  }
  console.log(`${Math.round((performance.now() - began) / 1_000)} s in all, with the start of the city.`);
}
