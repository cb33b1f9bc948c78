// Faults under the whole server: SQLite, vault and log on one data directory, with releases asked for meanwhile.
//   node e2e/faults/server.js [--sample N] [--seed N] [--report FILE]      without --sample all of them
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fourPorts, program, serve, workDir } from "../lib/server.js";
import { personas, release, releaseToken, service, subject } from "../lib/service.js";
import { goClient, readEntries, verifyServed } from "../third-party/client.js";
import { saysWhy } from "./judge.js";
import { injecting, random, sample, SYNCS } from "./strace.js";

const { values } = parseArgs({ options: { sample: { type: "string" }, seed: { type: "string" }, report: { type: "string" } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const chance = random(seed);
/** Calls and the error that each gets. A failed `write` would mostly hit a socket, so there it is kills only; calls.js has the files. */
const KINDS = { fsync: "EIO", fdatasync: "EIO", rename: "EIO", mkdir: "ENOSPC", pwrite64: "EIO", ftruncate: "EIO", write: null };
const CLIENTS = 3;
/** How long clients ask, so that more than one checkpoint falls into it. */
const LOAD_MS = 1_800;
/** Calls of one kind that get a fault in turn. */
const MOST = 60;
/** A process whose disk does not confirm has to be gone by then. */
const PATIENCE_MS = 5_000;

process.env.RUST_LOG = "info";
const began = Date.now();
const { dir, clean } = workDir();
process.once("exit", clean);
goClient();
const port = await fourPorts();
const city = { url: `http://localhost:${port}`, data: join(dir, "data") };
const [template, trace, vkey, entries] = ["template", "trace", "vkey", "entries"].map((name) => join(dir, name));
const args = ["demo", "--residents", "1", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`];

const first = await serve(args, city.url);
const library = await service(city, "svc_library");
const [persona] = await personas(city);
const resident = await subject(city, library, persona, "openid mdt_library-card");
writeFileSync(vkey, await (await fetch(`${city.url}/log/vkey`)).text());
await first.stop();
cpSync(city.data, template, { recursive: true });

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts the server under strace; the tracer stands aside, so that the child is the server itself. */
function traced(words) {
  // With --seccomp-bpf strace 6.1 delivers no signals.
  const quick = words.some((word) => word.includes("signal=KILL")) ? [] : ["--seccomp-bpf"];
  const child = spawn("strace", ["-D", ...quick, ...words, program(), ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const state = { child, output: "", ended: false, status: null, signal: null, exit: Promise.resolve() };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (state.output += chunk));
  state.exit = new Promise((resolve) => child.once("exit", (status, signal) => resolve(Object.assign(state, { ended: true, status, signal }))));
  return state;
}

/** Asks for releases until time is up or the server is gone. Answers what was acknowledged and every checkpoint seen. */
async function load(server) {
  const promised = [];
  const seen = new Map();
  const until = Date.now() + LOAD_MS;
  const look = async () => {
    const note = await (await fetch(`${city.url}/log/checkpoint`)).text();
    if (note.includes("\n\n")) seen.set(note.split("\n\n")[0], note);
  };
  const ask = async () => {
    const token = await releaseToken(city, library);
    const body = JSON.stringify({ subject: resident, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" });
    while (Date.now() < until && !server.ended) {
      const answer = await release(city, library, token, body);
      const released = await answer.json();
      if (answer.ok) promised.push({ index: released.log.index, leaf: /^leaf (.+)$/m.exec(released.receipt)?.[1] });
      await look();
      await pause(25);
    }
  };
  // A server that ends in the middle of an answer has promised nothing with it.
  await Promise.allSettled(Array.from({ length: CLIENTS }, ask));
  return { promised, seen };
}

async function up(server) {
  for (let tries = 0; tries < 400 && !server.ended; tries++) {
    if (await fetch(`${city.url}/log/vkey`).then((answer) => answer.ok, () => false)) return true;
    await pause(50);
  }
  return false;
}

/** The calls of each thread in a run without faults: the most that one thread makes of each kind. */
async function withoutFaults() {
  const server = traced(["-f", "-qq", "-o", trace, "-e", `trace=${Object.keys(KINDS).map((name) => `?${name}`).join(",")}`, "-e", "signal=none"]);
  if (!(await up(server))) throw new Error(`The server did not come up under strace: ${server.output}`);
  const { promised } = await load(server);
  server.child.kill("SIGTERM");
  await server.exit;
  if (promised.length === 0) throw new Error(`Without any fault nothing was released: ${server.output}`);
  const threads = {};
  for (const [, thread, name] of readFileSync(trace, "utf8").matchAll(/^(\d+) +(\w+)\(/gm)) {
    threads[name] ??= {};
    threads[name][thread] = (threads[name][thread] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(threads).map(([name, counts]) => [name, Math.max(...Object.values(counts).map(Number))]));
}

function restore() {
  rmSync(city.data, { recursive: true, force: true });
  cpSync(template, city.data, { recursive: true });
}

const most = await withoutFaults();
/** Each thread of a server counts for itself: a fault may happen in more than one of them. The last calls are not reached every time. */
const reached = (name) => Math.min(MOST, Math.max(1, Math.floor(most[name] * 0.6)));
const faults = Object.keys(most).flatMap((name) => Array.from({ length: reached(name) }, (_, at) => [{ name, when: at + 1, fault: KINDS[name] }, { name, when: at + 1, fault: "KILL" }]).flat()).filter(({ fault }) => fault);
const chosen = values.sample ? balanced(Number(values.sample)) : faults;

/** Every second one a failed sync, the others from all kinds in turn. */
function balanced(count) {
  const groups = [faults.filter(({ name, fault }) => SYNCS.includes(name) && fault !== "KILL")];
  for (const name of sample(Object.keys(most), Infinity, chance)) groups.push(...["KILL", KINDS[name]].filter(Boolean).map((fault) => faults.filter((one) => one.name === name && one.fault === fault)));
  const others = groups.slice(1);
  return Array.from({ length: count }, (_, at) => sample(at % 2 ? others[(at >> 1) % others.length] : groups[0], 1, chance)[0]);
}

console.log(`seed ${seed}: ${chosen.length} of ${faults.length} faults; calls of the busiest thread: ${JSON.stringify(most)}`);

const tally = { ended: 0, survived: 0, unmet: 0, kills: 0, promised: 0, checkpoints: 0, recovered: 0, refused: 0 };
const wrong = [];
for (const { name, when, fault } of chosen) {
  const complain = (what) => wrong.push(`${fault} at ${name} ${when}: ${what}`);
  restore();
  rmSync(trace, { force: true });
  const server = traced(injecting(name, when, fault, trace));
  const { promised, seen } = (await up(server)) ? await load(server) : { promised: [], seen: new Map() };
  const met = () => existsSync(trace) && readFileSync(trace, "utf8").includes("(INJECTED)");
  if (fault !== "KILL" && SYNCS.includes(name) && met()) {
    await Promise.race([server.exit, pause(PATIENCE_MS)]);
    if (!server.ended) complain("the server goes on after a failed sync");
    else if (server.status === 0) complain("the server ended as if nothing had happened");
  }
  const byItself = server.ended;
  if (!server.ended) server.child.kill("SIGTERM");
  await Promise.race([server.exit, pause(PATIENCE_MS).then(() => server.child.kill("SIGKILL"))]);
  await server.exit;
  if (server.signal === "SIGKILL" && fault === "KILL") tally.kills += 1;
  else if (!met()) tally.unmet += 1;
  else if (byItself) tally.ended += 1;
  else tally.survived += 1;
  if (/panicked/.test(server.output)) complain(`it panicked: ${server.output.match(/.*panicked.*\n.*/)?.[0]}`);
  tally.promised += promised.length;
  tally.checkpoints += seen.size;

  let again;
  try {
    again = await serve(args, city.url);
    tally.recovered += 1;
  } catch (error) {
    tally.refused += 1;
    if (!saysWhy(String(error))) complain(`the next start failed and did not say why: ${error}`);
    else complain(`the next start refused: ${String(error).trim().split("\n").at(-1)}`);
    continue;
  }
  const older = [...seen.values()].map((note, number) => {
    const file = join(dir, `seen.${number}`);
    writeFileSync(file, note);
    return file;
  });
  const wanted = Math.max(0, ...promised.map(({ index }) => index + 1));
  let checked = await verifyServed({ log: `${city.url}/log`, vkey, older, entries });
  for (let tries = 0; tries < 40 && checked.ok && checked.size < wanted; tries++) {
    await pause(250);
    checked = await verifyServed({ log: `${city.url}/log`, vkey, older, entries });
  }
  if (!checked.ok) complain(checked.output);
  else if (checked.size < wanted) complain(`leaf ${wanted - 1} was acknowledged and the log has ${checked.size} leaves`);
  else {
    const leaves = readEntries(entries);
    const hash = (index) => createHash("sha256").update("\0").update(Buffer.from(leaves[index], "hex")).digest("base64");
    for (const { index, leaf } of promised) if (hash(index) !== leaf) complain(`leaf ${index} is not the one acknowledged`);
    if (new Set(promised.map(({ index }) => index)).size !== promised.length) complain("one leaf was acknowledged twice");
  }
  await again.stop();
}
const seconds = Math.round((Date.now() - began) / 1000);
console.log(`${tally.ended} errors ended the server, ${tally.survived} did not, ${tally.kills} kills, ${tally.unmet} calls were not reached; ${tally.recovered} recovered, ${tally.refused} refused; ${tally.promised} acknowledged uses, ${tally.checkpoints} checkpoints; ${wrong.length} wrong; ${seconds} s`);
for (const line of wrong) console.error(line);
if (values.report) {
  appendFileSync(values.report, `## The whole server

\`usufruct demo\` on SQLite, with three witnesses in the same process and ${CLIENTS} clients that ask for releases. Each thread counts its own calls, so a fault may happen in more
than one of them. The server then starts again without faults; Go's tlog packages check the log it serves against every checkpoint seen and every receipt given. Seed ${seed}.

| call | of the busiest thread | runs with an error | runs with a kill |
|---|---:|---:|---:|
${Object.keys(most).sort().map((name) => `| ${name} | ${most[name]} | ${chosen.filter((one) => one.name === name && one.fault !== "KILL").length} | ${chosen.filter((one) => one.name === name && one.fault === "KILL").length} |`).join("\n")}

| | |
|---|---:|
| runs | ${chosen.length} |
| errors that ended the server | ${tally.ended} |
| errors that it lived with | ${tally.survived} |
| kills | ${tally.kills} |
| calls that were not reached in that run | ${tally.unmet} |
| next start went on | ${tally.recovered} |
| acknowledged uses, all in the log | ${tally.promised} |
| checkpoints seen, all consistent | ${tally.checkpoints} |
| acknowledged uses lost, inconsistent checkpoints, syncs that failed unnoticed, starts that failed | ${wrong.length} |
| seconds | ${seconds} |

`);
}
process.exit(wrong.length > 0 ? 1 : 0);
