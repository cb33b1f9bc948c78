import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { City, signer, witness } from "./support.js";

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

const run = (...args) =>
  new Promise((resolve) => execFile(process.execPath, [CLI, ...args], (error, out, err) => resolve({ code: error?.code ?? 0, out, err })));

/** Writes a file of the test. */
function written(name, text) {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const cli = (footprint, ...options) => run("footprint", written("footprint.json", JSON.stringify(footprint)), "--log", log, ...options);

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

test("a hidden line: exit code 1 and where it is", async () => {
  files = city.publish();
  const footprint = resident.footprint();
  footprint.lines.pop();
  for (const options of [[], ["--whole"]]) {
    const { code, out } = await cli(footprint, ...options);
    assert.equal(code, 1);
    assert.match(out, /3 entries were searched for your tags; 3 are yours\.\n.*not shown to you\. \(n 2, index 2\)/);
  }
  const older = await cli({ ...footprint, size: 2 });
  assert.equal(older.code, 3);
  assert.match(older.out, /that this footprint lacks/);
});

const [w, v] = [witness("w.example"), witness("v.example")];
const policy = (quorum) => `log ${city.key.vkey}\nwitness w ${w.vkey}\nwitness v ${v.vkey}\nquorum ${quorum}\n`;

test("a checkpoint against a policy", async () => {
  city.witnesses = [w];
  files = city.publish();
  const met = await run("checkpoint", log, "--policy", written("policy", policy("w")));
  assert.equal(met.code, 0, met.err);
  assert.match(met.out, /^city\.example\/log: 3 entries, root [0-9a-f]{64}\n {2}signed: city\.example.*\n {2}signed: w\.example\+.*, 2025-10-09T\S+\n {2}not signed: v\.example/);
  assert.equal((await run("checkpoint", `${log}/checkpoint`, "--policy", written("policy", policy("w")))).code, 0);
  const unmet = await run("checkpoint", log, "--policy", written("policy", policy("v")));
  assert.equal(unmet.code, 1);
  assert.match(unmet.out, /Too few witnesses/);
  assert.equal((await run("checkpoint", "http://127.0.0.1:9/log", "--policy", written("policy", policy("w")))).code, 3);
  assert.equal((await run("checkpoint", log, "--policy", written("policy", "quorum"))).code, 2);
  assert.equal((await run("checkpoint", log)).code, 2);
  assert.equal((await run("__proto__", log)).code, 2);
});

test("the footprint under a policy from elsewhere", async () => {
  city.witnesses = [w];
  files = city.publish();
  const { code, out } = await cli(resident.footprint(), "--policy", written("policy", policy("w")));
  assert.equal(code, 0, out);
  assert.match(out, /Co-signed by 1 of 2 witnesses\./);
  assert.equal((await cli(resident.footprint(), "--policy", written("policy", policy("v")))).code, 3);
});

test("a proof of one's own line, and of any leaf", async () => {
  city.witnesses = [w];
  files = city.publish();
  const { event, r } = resident.footprint().lines[2];
  const leaf = city.leaves[2];
  const hash = (data) => createHash("sha256").update(data).digest();
  const [a, b] = city.leaves.map((each) => hash(Buffer.concat([Buffer.of(0), each])));
  const extra = Buffer.concat([leaf.subarray(34), Buffer.from(r, "base64"), Buffer.from(event, "base64")]);
  const proof = (index, extra) =>
    `c2sp.org/tlog-proof@v1\n${extra ? `extra ${extra.toString("base64")}\n` : ""}index ${index}\n${hash(Buffer.concat([Buffer.of(1), a, b])).toString("base64")}\n\n${Buffer.from(files.get("/log/checkpoint"))}`;
  const check = (text, ...options) => run("proof", written("line.tlog-proof", text), "--policy", written("policy", policy("w")), ...options);

  const own = await check(proof(2, extra));
  assert.equal(own.code, 0, own.out + own.err);
  assert.match(own.out, /^Entry 2 of city\.example\/log, in a log of 3 entries\.\n2025-10-09T.*use; svc_library; .*\n {2}signed/);
  assert.equal((await check(proof(2), "--leaf", written("leaf", leaf))).code, 0);
  assert.equal((await check(proof(2), "--leaf", written("leaf", city.leaves[1]))).code, 1);
  assert.equal((await check(proof(2))).code, 1, "neither leaf nor opening");
  extra[70] ^= 1;
  assert.equal((await check(proof(2, extra))).code, 1);
  assert.equal((await check("no proof")).code, 1);
  assert.equal((await run("proof", join(folder, "absent"), "--policy", written("policy", policy("w")))).code, 2);
});
