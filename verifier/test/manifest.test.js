import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { manifest, servedFiles } from "../manifest.mjs";

const fileOf = (path) => new URL(`..${path.replace("/verifier", "")}`, import.meta.url);
const run = (...args) =>
  new Promise((resolve) => execFile(process.execPath, [fileURLToPath(new URL("../manifest.mjs", import.meta.url)), ...args], (error, out) => resolve({ code: error?.code ?? 0, out })));

test("every module that the page loads is in the manifest, with its hash", async () => {
  const { files } = manifest();
  assert.deepEqual(files.map(({ path }) => path), servedFiles().map((name) => `/verifier/${name}`));
  assert.ok(files.some(({ path }) => path === "/verifier/log/checkpoint.js"));
  assert.ok(!files.some(({ path }) => /cli|test/.test(path)));
  for (const { path, sha256 } of files) {
    const bytes = readFileSync(fileOf(path));
    assert.equal(sha256, createHash("sha256").update(bytes).digest("hex"));
    for (const [, name] of bytes.toString().matchAll(/^(?:import|export) .* from "(.+)";$/gm)) {
      assert.ok(files.some((file) => file.path === new URL(name, `https://x${path}`).pathname), `${path} imports ${name}`);
    }
  }
  assert.deepEqual(JSON.parse((await run()).out), { files });
});

test("own copy, statement and what is served are compared file by file", async () => {
  let [stated, tampered] = [manifest().files, ""];
  const server = createServer((request, response) => {
    if (request.url === "/register/log.json") return response.end(JSON.stringify({ verifier: stated && { body: { files: stated } } }));
    const file = fileOf(request.url);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.end(readFileSync(file).subarray(request.url === tampered ? 1 : 0));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const city = `http://127.0.0.1:${server.address().port}/`;
  const differing = async () => {
    const { code, out } = await run(city);
    const lines = out.split("\n").filter((line) => line.startsWith("DIFFERS"));
    assert.equal(code, lines.length > 0 ? 1 : 0);
    return lines;
  };
  assert.deepEqual(await differing(), []);
  tampered = "/verifier/tags.js";
  assert.match((await differing()).join("\n"), /^DIFFERS {2}\/verifier\/tags\.js: yours [0-9a-f]{64}, stated [0-9a-f]{64}, served [0-9a-f]{64}$/);
  tampered = "";
  stated = [...stated, { path: "/verifier/spy.js", sha256: "00" }];
  assert.match((await differing()).join("\n"), /^DIFFERS {2}\/verifier\/spy\.js: yours null, stated 00, served null$/);
  stated = null;
  assert.equal((await differing()).length, manifest().files.length);
  server.close();
});
