// Lines of a system that knows nothing of the pass, sent by OpenTelemetry's own exporter for Python to a running server.
//
// USUFRUCT_PYTHON names a Python that has the packages of requirements.txt (.local/python/bin/python otherwise).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fourPorts, serve, workDir } from "../lib/server.js";
import { service, signIn, subject } from "../lib/service.js";
import { decodeEvent, hex } from "../../verifier/index.js";

const root = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PYTHON = process.env.USUFRUCT_PYTHON || root(".local/python/bin/python");
const ACTIVITY = "https://register.library.example/verwerkingen/12";
const PERSONA = "wu-chin-tsai";

/** What the exporter prints, line by line. */
function exported(city, key, words, more = {}) {
  const env = {
    ...process.env,
    OTEL_EXPORTER_OTLP_ENDPOINT: `${city.url}/api/ldv`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${key}`,
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    OTEL_SERVICE_NAME: "loans",
    ...more,
  };
  return new Promise((resolve, reject) => {
    const child = spawn(PYTHON, [root("e2e/third-party/otlp.py"), ...words], { env });
    let [out, err] = ["", ""];
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err += data));
    child.on("error", reject);
    child.on("close", (status) => (status === 0 ? resolve({ lines: out.trim().split("\n"), err }) : reject(new Error(err))));
  });
}

/** The events that her own system's lines became. */
async function reported(city) {
  const cookie = await signIn(city, PERSONA);
  const page = await (await fetch(`${city.url}/me/footprint`, { headers: { cookie, accept: "text/html" } })).text();
  const payload = JSON.parse(page.split('id="footprint-data">')[1].split("</script>")[0]);
  const encoded = payload.lines.map((line) => line.event).filter(Boolean);
  return encoded.map((event) => decodeEvent(new Uint8Array(Buffer.from(event, "base64")))).filter(({ foreign }) => foreign);
}

test("OpenTelemetry's exporter is taken as it is", async (t) => {
  const { dir, clean } = workDir();
  t.after(clean);
  const [folder, key, port] = [join(dir, "city"), randomBytes(32).toString("hex"), await fourPorts()];
  cpSync(root("examples/taipei-like"), folder, { recursive: true });
  const registration = `
[processing_log]
exporters = ["${createHash("sha256").update(key).digest("hex")}"]
activities = [{ activity = "${ACTIVITY}", mandate = "mdt_library-card", reason = "renewal", blocks = ["blk_name"] }]
`;
  appendFileSync(join(folder, "services/library.toml"), registration);
  const url = `http://localhost:${port}`;
  const server = await serve(["demo", "--residents", "1", "--city", folder, "--data-dir", join(dir, "data"), "--listen", `127.0.0.1:${port}`], url);
  const city = { ...server, url, data: join(dir, "data") };
  t.after(() => city.stop());
  const library = await service(city, "svc_library");
  const known = await subject(city, library, PERSONA, "openid mdt_library-card");

  const { lines, err } = await exported(city, key, [ACTIVITY, known, "2"]);
  assert.deepEqual(lines.slice(0, 2), ["SUCCESS", "SUCCESS"], err);
  const events = await reported(city);
  assert.equal(events.length, 2, "what was sent twice is taken once");
  const told = events.map(({ foreign }) => `${hex(foreign[0])} ${hex(foreign[1])} ${hex(foreign[2])}`);
  assert.deepEqual(told.sort(), lines.slice(2).sort());
  assert.deepEqual(events.map(({ source }) => source[1]).sort(), [1, 2]);
  assert.ok(events.every((event) => event.foreign[3] === "loans" && event.reason === "renewal" && event.blocks[0][0] === "blk_name" && !event.clause));

  // What is no activity of the registration is refused in the answer of the protocol, and the exporter says so; a wrong key is refused as a whole.
  const unknown = await exported(city, key, ["https://register.library.example/verwerkingen/13", known, "1"]);
  assert.equal(unknown.lines[0], "SUCCESS", "the request was taken, and no line of it");
  const stranger = await exported(city, randomBytes(32).toString("hex"), [ACTIVITY, known, "1"]);
  assert.deepEqual(stranger.lines.slice(0, 2), ["FAILURE", "FAILURE"]);
  assert.equal((await reported(city)).length, 2);
});
