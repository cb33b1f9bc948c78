// The page about the drills says what the drills do.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { STORIES } from "./stories.js";
import { FILE, page } from "./table.js";

const HERE = dirname(fileURLToPath(import.meta.url));

test("docs/abuse.md is what `node e2e/abuse/table.js` writes", () => {
  assert.ok(existsSync(FILE) && readFileSync(FILE, "utf8") === page(), "docs/abuse.md differs. Run `node e2e/abuse/table.js` and look at what changed.");
});

test("every story has a file of tests, and every file a story with a source", () => {
  const files = readdirSync(HERE).filter((name) => name.endsWith(".test.js") && name !== "table.test.js").map((name) => name.replace(".test.js", ""));
  assert.deepEqual(files.sort(), STORIES.map(({ id }) => id).sort());
  for (const { id, sources, attempts } of STORIES) {
    assert.ok(sources.length > 0 && sources.every(([name, url]) => name && new URL(url).protocol === "https:"), id);
    for (const { attempt, outcome, ends, fails } of Object.values(attempts)) assert.ok(attempt && ends && fails && ["impossible", "visible"].includes(outcome), id);
  }
});
