// Kills the example program with SIGKILL at random moments while it publishes, and checks each time what it had promised.
//   node e2e/faults/kills.js [--kills N] [--seed N] [--report FILE]
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { workDir } from "../lib/server.js";
import { goClient, madeUp, publish, publishProgram, readEntries, verify } from "../third-party/client.js";
import { random } from "./strace.js";

const { values } = parseArgs({ options: { kills: { type: "string", default: "25" }, seed: { type: "string" }, report: { type: "string" } } });
const kills = Number(values.kills);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const chance = random(seed);
/** When a log has this many leaves, a new one is begun. */
const LARGE = 40_000;

const began = Date.now();
const { dir, clean } = workDir();
process.once("exit", clean);
goClient();
const log = join(dir, "log");
const total = { acknowledged: 0, checkpoints: 0, logs: 0, unpublished: 0, early: 0 };
let [size, older] = [0, []];

/** A new log, with the key it will have. */
function begin() {
  rmSync(log, { recursive: true, force: true });
  mkdirSync(log);
  publish(log, 0);
  [size, older] = [0, []];
  total.logs += 1;
}

/** Lets the program publish until it is killed; answers the largest size it had acknowledged. */
async function killed() {
  const sizes = [];
  for (let next = size; sizes.length < 3000; ) sizes.push(`${(next += 1 + Math.floor(chance() ** 6 * 900))}`);
  const child = spawn(publishProgram(), [join(log, "objects"), join(log, "head"), ...sizes], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", (status, signal) => resolve({ status, signal })));
  let [acknowledged, error] = [size, ""];
  child.stderr.on("data", (chunk) => (error += chunk));
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    const [word, number] = line.split(" ");
    if (word === "acknowledged") acknowledged = Number(number);
  });
  // Some end while they still open the log.
  const moment = chance() < 0.2 ? chance() * 12 : 12 + chance() * 150;
  setTimeout(() => child.kill("SIGKILL"), moment);
  const { status, signal } = await ended;
  if (signal !== "SIGKILL") throw new Error(`It ended by itself with ${status}: ${error}`);
  return acknowledged;
}

begin();
for (let kill = 1; kill <= kills; kill++) {
  const acknowledged = await killed();
  if (acknowledged === size) total.early += 1;
  total.acknowledged += acknowledged - size;
  // As the kill left it: whatever is public is whole and holds all that was promised.
  check(acknowledged, kill);
  const again = publish(log);
  if (again.status !== 0) throw new Error(`Seed ${seed}, kill ${kill}: the log does not open: ${again.error}`);
  // An interrupted step goes on where it was left: one more entry shows that the log still grows.
  const grown = publish(log, check(acknowledged, kill) + 1);
  if (grown.status !== 0) throw new Error(`Seed ${seed}, kill ${kill}: the log does not grow: ${grown.error}`);
  size = check(acknowledged + 1, kill);
  if (size > acknowledged + 1) total.unpublished += 1;
  const kept = join(log, `checkpoint.${kill}`);
  copyFileSync(join(log, "objects", "checkpoint"), kept);
  older.push(kept);
  total.checkpoints += 1;
  if (kill % 100 === 0) console.log(`kill ${kill}: ${total.acknowledged} entries acknowledged, log of ${size}`);
  if (size > LARGE) begin();
}

/** The size of the public log, after all of it was checked. */
function check(acknowledged, kill) {
  const entries = join(log, "entries");
  const checked = verify({ log: join(log, "objects"), vkey: join(log, "vkey"), older: older.slice(-20), entries, samples: 4 });
  const fail = (what) => {
    throw new Error(`Seed ${seed}, kill ${kill}: ${what}`);
  };
  if (!checked.ok) fail(checked.output);
  if (checked.size < acknowledged) fail(`${acknowledged} entries were acknowledged and ${checked.size} are public`);
  readEntries(entries).forEach((entry, index) => entry === madeUp(index) || fail(`entry ${index} is not the one given`));
  return checked.size;
}

const seconds = Math.round((Date.now() - began) / 1000);
console.log(`seed ${seed}: ${kills} kills, ${total.acknowledged} entries acknowledged, 0 lost; ${total.checkpoints} checkpoints of ${total.logs} logs, all consistent; ${seconds} s`);
if (total.acknowledged === 0) throw new Error("Nothing was acknowledged, so nothing was tested.");
if (values.report) {
  writeFileSync(values.report, `# Kills of the log

${new Date().toISOString().slice(0, 10)}, seed ${seed}, ${cpus().length} cores shared with other work.

The example program of the log crate (\`crates/log/examples/publish.rs\`) published in steps of 1 to 900 entries and was killed with SIGKILL ${kills} times, 0 to 160 ms
after its start. After each kill, after the next start, and after one more entry, Go's tlog packages compared every entry with what was given, and
the checkpoint with the last 20 before.

| | |
|---|---:|
| kills | ${kills} |
| of these, before anything was acknowledged | ${total.early} |
| of these, between the head and its acknowledgement | ${total.unpublished} |
| entries acknowledged | ${total.acknowledged} |
| acknowledged entries missing or altered | 0 |
| checkpoints kept, all consistent | ${total.checkpoints} |
| logs | ${total.logs} |
| seconds | ${seconds} |
`);
}
