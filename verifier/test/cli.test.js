import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { City, signer } from "./support.js";

const CLI = fileURLToPath(new URL("../cli.js", import.meta.url));
const city = new City();
const resident = city.resident();
for (let i = 0; i < 3; i += 1) resident.use(1_760_000_000_000_000 + i);
let files = city.publish();
let [folder, server, log] = ["", null, ""];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "footprint-"));
  server = createServer((request, response) => {
    const bytes = files.get(request.url);
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  log = `http://127.0.0.1:${server.address().port}/log`;
});

after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

function cli(footprint, ...options) {
  const file = join(folder, "footprint.json");
  writeFileSync(file, JSON.stringify(footprint));
  return new Promise((resolve) => {
    const args = [CLI, "footprint", file, "--log", log, ...options];
    execFile(process.execPath, args, (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
  });
}

test("a report, and exit code 0 when all is well", async () => {
  const { code, out } = await cli(resident.footprint());
  assert.equal(code, 0, out);
  assert.match(out, /VERIFIED #1 .*use; svc_library; blk_name as value, blk_age as predicate; reason: loan/);
  assert.match(out, /verified: 3 verified, 0 pending, 0 broken/);
});

test("exit code 1 when a line is broken, 2 on wrong usage, 3 when the log does not answer", async () => {
  const footprint = resident.footprint();
  footprint.lines[1].event = null;
  const { code, out } = await cli(footprint);
  assert.equal(code, 1);
  assert.match(out, /BROKEN {3}#1\n.*can no longer be opened/);
  assert.equal((await cli({})).code, 2);
  assert.equal((await cli(resident.footprint(), "--colour")).code, 2);
  assert.equal((await cli(resident.footprint(), "--log", "http://127.0.0.1:9/log")).code, 3);
});

test("a key from elsewhere, and a remembered checkpoint", async () => {
  assert.equal((await cli(resident.footprint(), "--vkey", signer(city.origin).vkey)).code, 1);
  const remember = join(folder, "checkpoint");
  assert.equal((await cli(resident.footprint(), "--remember", remember)).code, 0);
  assert.match(readFileSync(remember, "utf8"), /\n3\n/);
  files = city.publish(2);
  const { code, out } = await cli(resident.footprint(), "--remember", remember);
  assert.equal(code, 1);
  assert.match(out, /rewound/);
  assert.equal(out.match(/^— /gm).length, 2, "both signed checkpoints are printed");
});
