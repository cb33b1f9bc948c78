import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const TSC = path("../../e2e/node_modules/typescript/bin/tsc");

test("the types in the comments hold", { skip: !existsSync(TSC) && "TypeScript is not installed: run `npm ci` in e2e" }, () => {
  const { status, stdout } = spawnSync(process.execPath, [TSC, "--project", path("..")], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
