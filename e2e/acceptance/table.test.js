// The page about the acceptance tests says what they do.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FILE, page, written } from "./table.js";
import { TESTS } from "./tests.js";

const HERE = dirname(fileURLToPath(import.meta.url));

test("docs/acceptance.md is what `node e2e/acceptance/table.js` writes", () => {
  assert.ok(existsSync(FILE) && readFileSync(FILE, "utf8") === page(written()), "docs/acceptance.md differs. Run `node e2e/acceptance/table.js` and look at what changed.");
});

test("there are nine, each has a file, and each part says what is done and what holds", () => {
  const files = readdirSync(HERE).filter((name) => name.endsWith(".test.js") && name !== "table.test.js").map((name) => name.replace(".test.js", ""));
  assert.deepEqual(files.sort(), TESTS.map(({ id }) => id).sort());
  assert.equal(TESTS.length, 9);
  const seconds = written();
  for (const { id, elsewhere, parts } of TESTS) {
    assert.ok(elsewhere, id);
    for (const [key, { done, holds }] of Object.entries(parts)) assert.ok(done && holds && Number(seconds.get(`${id} ${key}`)) >= 0, `${id} ${key}`);
  }
});
