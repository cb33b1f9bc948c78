// What a phone on a slow line has to fetch. Files are served as they are read: with comments, types and long names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { servedFiles } from "../manifest.mjs";

/** Gzipped bytes of all files of a part. */
const BUDGETS = { log: 6_000, usufruct: 19_000, certificate: 8_300, key: 8_500, officials: 2_700 };
const CERTIFICATE = ["certificate.js", "statement.js", "webauthn.js"];
const KEY = ["key.js", "key-page.js", "codes-page.js", "sealed.js"];

const OFFICIALS = ["officials-page.js"];

const gzipped = (name) => gzipSync(readFileSync(new URL(`../${name}`, import.meta.url)), { level: 9 }).length;
const partOf = (name) => (name.startsWith("log/") ? "log" : CERTIFICATE.includes(name) ? "certificate" : OFFICIALS.includes(name) ? "officials" : KEY.includes(name) ? "key" : "usufruct");

for (const [part, budget] of Object.entries(BUDGETS)) {
  test(`${part}: under ${budget} bytes`, (t) => {
    const sizes = servedFiles().filter((name) => partOf(name) === part).map((name) => [name, gzipped(name)]);
    const sum = sizes.reduce((sum, [, size]) => sum + size, 0);
    t.diagnostic(`${sum} bytes gzipped: ${sizes.map(([name, size]) => `${name} ${size}`).join(", ")}`);
    assert.ok(sizes.length > 0 && sum < budget, `${sum}`);
  });
}

test("the log verifier stands alone", () => {
  for (const name of servedFiles().filter((name) => partOf(name) === "log")) {
    const imports = [...readFileSync(new URL(`../${name}`, import.meta.url), "utf8").matchAll(/from "(.+?)"/g)].map(([, path]) => path);
    assert.ok(imports.every((path) => /^\.\/\w+\.js$/.test(path)), `${name}: ${imports}`);
  }
});
