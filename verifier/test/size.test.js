// What a phone on a slow line has to fetch. Files are served as they are read: with comments, types and long names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const VERIFIER = ["bytes", "cbor", "checkpoint", "event", "footprint", "merkle", "note"];
const GLUE = ["page"];

const source = (name) => readFileSync(new URL(`../${name}.js`, import.meta.url), "utf8");
const gzipped = (text) => gzipSync(text, { level: 9 }).length;

/** Good enough for these files: block comments, and lines that are only a comment. */
const withoutComments = (text) => text.replace(/\/\*\*[\s\S]*?\*\//g, "").replace(/^\s*(\/\/.*)?\n/gm, "");
const codeSize = (names) => gzipped(names.map((name) => withoutComments(source(name))).join(""));

test("the modules stay small", (t) => {
  const all = [...VERIFIER, ...GLUE];
  const served = all.reduce((sum, name) => sum + gzipped(source(name)), 0);
  const together = gzipped(all.map(source).join(""));
  t.diagnostic(`gzipped bytes of code: verifier ${codeSize(VERIFIER)}, page glue ${codeSize(GLUE)}`);
  t.diagnostic(`with comments and types: ${together} as one file, ${served} as ${all.length} files`);
  assert.ok(codeSize(VERIFIER) < 6500 && codeSize(GLUE) < 1500 && served < 13_000);
});
