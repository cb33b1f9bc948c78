// Kills the server with SIGKILL at random points under load and checks after each restart what it had promised.
//   node e2e/kill/kill.js --kills 200 --seed 7 [--report FILE]
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Tree, equal, hex, openCheckpoint, parseKey, text, verifyFootprint, verifyNote, verifySubtree } from "../../verifier/index.js";
import { program, serve, fourPorts, workDir } from "../lib/server.js";
import { personas, release, releaseToken, service, signIn, subject } from "../lib/service.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const { values } = parseArgs({ options: { kills: { type: "string", default: "5" }, seed: { type: "string" }, report: { type: "string" } } });
const kills = Number(values.kills);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const CLIENTS = 16;

/** A repeatable source of chance (mulberry32). */
let state = seed >>> 0;
function chance() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const { dir, clean } = workDir();
const port = await fourPorts();
const city = { url: `http://localhost:${port}`, data: join(dir, "data") };
const folder = join(dir, "city");
cpSync(join(ROOT, "examples/taipei-like"), folder, { recursive: true });
const mandate = join(folder, "mandates/library-card.toml");
writeFileSync(mandate, readFileSync(mandate, "utf8").replace(/rate_cap = .*/, 'rate_cap = { uses = 1000000, per = "P1D" }'));
const args = ["demo", "--residents", "20", "--city", folder, "--data-dir", city.data, "--listen", `127.0.0.1:${port}`];
if (process.env.USUFRUCT_KILL_DATABASE) args.push("--database", process.env.USUFRUCT_KILL_DATABASE);

// A line for each transaction would be gigabytes.
process.env.RUST_LOG ??= "info";
let server = await serve(args, city.url);
const library = await service(city, "svc_library");
const people = await personas(city);
const subjects = [];
for (const persona of people) subjects.push(await subject(city, library, persona, "openid mdt_library-card"));
const receiptKey = await parseKey((await (await fetch(`${city.url}/log/receipt-vkey`)).text()).trim());

/** Every answered use: whose, leaf number and leaf hash of its receipt. @type {{person: number, index: number, hash: Uint8Array}[]} */
const acknowledged = [];
/** Every checkpoint seen. */
const seen = [];
let sent = 0;
let refused = 0;

async function load(token, running) {
  while (running.on) {
    const person = Math.floor(chance() * subjects.length);
    const body = { subject: subjects[person], mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" };
    sent++;
    try {
      const answer = await release(city, library, token, body);
      const released = await answer.json();
      // Whoever holds data holds a receipt: a release without one would end the campaign here.
      if (answer.ok) acknowledged.push({ person, ...(await receipt(released)) });
      else if (answer.status < 500) refused++;
    } catch (error) {
      // The server was killed while it answered: nothing was acknowledged.
      if (error instanceof Wrong) throw error;
    }
  }
}

class Wrong extends Error {}

/** The signed promise that came with the data. */
async function receipt(released) {
  const [head, promise] = split(released.receipt ?? "");
  const [, indexLine, leafLine, ...path] = head.split("\n");
  const index = Number(indexLine?.replace("index ", ""));
  const hash = Buffer.from(leafLine?.replace("leaf ", "") ?? "", "base64");
  const note = await verifyNote(promise, [receiptKey]).catch(() => null);
  const [, origin, start, leaves, root] = note?.signed.has(receiptKey) ? note.text.split("\n") : [];
  const proof = path.map((line) => Buffer.from(line, "base64"));
  const place = index - Number(start);
  const covered = root && (await verifySubtree(place, place + 1, Number(leaves), hash, proof, Buffer.from(root, "base64")));
  if (!covered || origin !== "localhost/lanwan" || index !== released.log.index) throw new Wrong(`Data came without a good receipt: ${JSON.stringify(released)}`);
  return { index, hash };
}

/** The text before the first empty line and the one after it. */
function split(text) {
  const gap = text.indexOf("\n\n");
  return gap < 0 ? ["", text] : [text.slice(0, gap), text.slice(gap + 2)];
}

const fetchBytes = async (path) => {
  const answer = await fetch(`${city.url}${path}`);
  return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
};

async function checkpoint() {
  const key = await parseKey((await (await fetch(`${city.url}/log/vkey`)).text()).trim());
  const note = await fetchBytes("/log/checkpoint");
  return note && openCheckpoint(text(note), { logs: [key], witnesses: [], quorum: () => true });
}

/** The log must extend every checkpoint seen before and hold the acknowledged uses from number `from` on. */
async function check(from) {
  const wanted = acknowledged.reduce((most, use) => Math.max(most, use.index + 1), 0);
  let now = await checkpoint();
  for (let tries = 0; (!now || now.size < wanted) && tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    now = await checkpoint();
  }
  if (now.size < wanted) throw new Error(`Acknowledged uses up to ${wanted} are missing: the log has ${now.size}.`);
  const tree = new Tree((path) => fetchBytes(`/log/${path}`), now);
  for (const old of seen) {
    if (old.size > now.size) throw new Error(`The log shrank from ${old.size} to ${now.size}.`);
    if (old.size > 0 && !equal(await tree.subtree(0, old.size), old.root)) throw new Error(`The log is not consistent with the checkpoint of size ${old.size}.`);
  }
  seen.push(now);
  for (const use of acknowledged.slice(from)) {
    if (!equal(await tree.subtree(use.index, use.index + 1), use.hash)) throw new Error(`Leaf ${use.index} is not what was acknowledged (${hex(use.hash)}).`);
  }
  const indices = new Set(acknowledged.map((use) => use.index));
  if (indices.size !== acknowledged.length) throw new Error("One leaf was acknowledged twice.");
  return now.size;
}

/** Most lines that a footprint shows at once. */
const SHOWN = 5_000;

/** What each resident sees: every line proven, no gap, and each acknowledged use of her data exactly once. */
async function checkFootprints() {
  let [uses, checkedUses] = [0, 0];
  for (const [person, key] of people.entries()) {
    const cookie = await signIn(city, key);
    const look = async () => {
      const footprint = await (await fetch(`${city.url}/me/footprint.json`, { headers: { cookie } })).json();
      return { footprint, result: await verifyFootprint({ ...footprint, checkpointUrl: "/log/checkpoint" }, { fetchBytes }) };
    };
    let { footprint, result } = await look();
    // What nobody was told of may still wait for its checkpoint.
    for (let tries = 0; result.state === "pending" && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      ({ footprint, result } = await look());
    }
    if (result.state !== "verified") throw new Error(`The footprint of ${key} is ${result.state}: ${JSON.stringify(result.lines.find((line) => line.reason)?.reason ?? result.reason)}`);
    const lines = new Map();
    for (const { index } of footprint.lines) lines.set(index, (lines.get(index) ?? 0) + 1);
    const whole = footprint.lines.length < SHOWN;
    const last = Math.max(...lines.keys());
    for (const use of acknowledged.filter((use) => use.person === person && (whole || use.index <= last))) {
      if (lines.get(use.index) !== 1) throw new Error(`${key} sees leaf ${use.index} ${lines.get(use.index) ?? 0} times.`);
      checkedUses += 1;
    }
    uses += footprint.lines.filter((line) => line.shown.kind === "use").length;
  }
  if (uses > sent + HISTORY) throw new Error(`${uses} uses stand in the footprints, and only ${sent} were asked for.`);
  return checkedUses;
}

/** More uses than the story of the personas has. */
const HISTORY = 50;

const began = Date.now();
console.log(`seed ${seed}, ${kills} kills, ${CLIENTS} clients, ${subjects.length} residents`);
for (let kill = 1; kill <= kills; kill++) {
  const token = await releaseToken(city, library);
  const before = acknowledged.length;
  const running = { on: true };
  const clients = Array.from({ length: CLIENTS }, () => load(token, running));
  await new Promise((resolve) => setTimeout(resolve, 50 + chance() * 900));
  await server.kill();
  running.on = false;
  await Promise.all(clients);
  server = await serve(args, city.url);
  // The uses of this round after each kill, all of them again after the last.
  const size = await check(kill === kills ? 0 : before);
  if (kill % 10 === 0 || kill === kills) console.log(`kill ${kill}: ${acknowledged.length} acknowledged uses in a log of ${size} leaves`);
}
const inFootprints = await checkFootprints();
await server.stop();
const verified = spawnSync(program(), ["verify", join(city.data, "log")], { encoding: "utf8" });
console.log(verified.stdout.trim());
if (verified.status !== 0) throw new Error(`The independent check failed: ${verified.stderr}`);
clean();
const seconds = Math.round((Date.now() - began) / 1000);
const database = process.env.USUFRUCT_KILL_DATABASE ? "PostgreSQL" : "SQLite";
const report = `# Kills under load

${new Date().toISOString().slice(0, 10)}, seed ${seed}, ${cpus().length} cores, ${database}.

The server was killed with SIGKILL ${kills} times at random points while ${CLIENTS} clients asked for releases.
After each restart the whole tree was checked against every checkpoint seen before and every receipt given.

| | |
|---|---:|
| kills | ${kills} |
| releases asked for | ${sent} |
| acknowledged uses, each with a signed receipt | ${acknowledged.length} |
| acknowledged uses missing from the log | 0 |
| leaves acknowledged twice | 0 |
| acknowledged uses found in the residents' proven footprints, each once | ${inFootprints} |
| checkpoints seen, all consistent | ${seen.length} |
| seconds | ${seconds} |
`;
if (values.report) writeFileSync(values.report, report);
console.log(`${acknowledged.length} acknowledged uses of ${sent} asked for, 0 missing, 0 twice, ${inFootprints} in proven footprints; ${seen.length} checkpoints, all consistent; ${refused} refused; ${seconds} s`);
if (acknowledged.length === 0) throw new Error("Nothing was acknowledged, so nothing was tested.");
