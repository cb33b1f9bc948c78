#!/usr/bin/env node
// All drills on one city, which starts once: `node abuse/run.js`, or with the names of stories.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { foundCity } from "../lib/drill.js";
import { STORIES } from "./stories.js";

const HERE = dirname(fileURLToPath(import.meta.url));

const asked = process.argv.slice(2);
const names = asked.length > 0 ? asked : ["table", ...STORIES.map(({ id }) => id)];
const city = await foundCity();
const folder = mkdtempSync(join(tmpdir(), "usufruct-drills-"));
try {
  const { url, data, sampleLibrary, sampleFestival } = city;
  const shared = join(folder, "city.json");
  writeFileSync(shared, JSON.stringify({ url, data, sampleLibrary, sampleFestival }));
  const args = ["--test", "--test-reporter=spec", "--test-concurrency=1", ...names.map((name) => join(HERE, `${name}.test.js`))];
  const child = spawn(process.execPath, args, { stdio: "inherit", env: { ...process.env, USUFRUCT_DRILL_CITY: shared } });
  process.exitCode = await new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
} finally {
  await city.stop();
  rmSync(folder, { recursive: true, force: true });
}
