// Reads from the system calls what a loss of power could still take away at the moment something is acknowledged: nothing may be
// left, not even what a killed process before had written.
//   node e2e/faults/syncs.js [--sample N] [--seed N] [--report FILE]      without --sample a kill before every sync
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { workDir } from "../lib/server.js";
import { publishProgram } from "../third-party/client.js";
import { random, sample } from "./strace.js";

const { values } = parseArgs({ options: { sample: { type: "string" }, seed: { type: "string" }, report: { type: "string" } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const began = Date.now();
const { dir, clean } = workDir();
process.once("exit", clean);
const [log, trace] = ["log", "trace"].map((name) => join(dir, name));
const command = [publishProgram(), join(log, "objects"), join(log, "head"), "0", "3", "256", "257", "520", "5000"];
const CALLS = "openat,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?fsync,?fdatasync,?syncfs,?write,?ftruncate";

/** What is on the disk for certain. Only files and folders of the log are looked at. */
class Disk {
  /** Files whose content, and names whose entry in their folder, a loss of power could take away. */
  content = new Set();
  names = new Set();
  /** @type {Record<string, number>} */
  syncs = {};

  /** Follows one run; answers what was not durable at an acknowledgement. @param {string} text of the trace */
  follow(text) {
    const found = [];
    for (const line of text.split("\n")) {
      const call = /^\d+ +(\w+)\((.*)$/.exec(line);
      if (!call || !/ = \d/.test(line)) continue;
      const [, name, rest] = call;
      const paths = [...rest.matchAll(/"([^"]*)"/g)].map(([, path]) => path);
      const handle = /^\d+<([^>]*)>/.exec(rest)?.[1];
      if (name === "openat" && rest.includes("O_CREAT")) this.names.add(paths[0]);
      if (name.startsWith("mkdir")) this.names.add(paths[0]);
      if (name.startsWith("rename")) this.#move(paths[0], paths[1]);
      if (name.startsWith("unlink")) for (const kept of [this.names, this.content]) kept.delete(paths[0]);
      if ((name === "write" || name === "ftruncate") && handle?.startsWith(log)) this.content.add(handle);
      if (/sync/.test(name)) this.syncs[name] = (this.syncs[name] ?? 0) + 1;
      if (name === "syncfs") this.#syncAll();
      if ((name === "fsync" || name === "fdatasync") && handle) this.#sync(handle);
      if (name === "write" && paths[0]?.startsWith("acknowledged")) found.push(...this.#losable().map((what) => `at "${paths[0].replace("\\n", "")}" ${what}`));
    }
    return found;
  }

  #move(from, to) {
    for (const kept of [this.names, this.content]) if (kept.delete(from)) kept.add(to);
    this.names.add(to);
  }

  #sync(path) {
    this.content.delete(path);
    for (const name of this.names) if (dirname(name) === path) this.names.delete(name);
  }

  /** All that the file system of the log holds: the test keeps to one. */
  #syncAll() {
    this.content.clear();
    this.names.clear();
  }

  #losable() {
    const counts = (path) => path.startsWith(`${log}/`) && !path.includes("/.temporary") && !path.endsWith("/lock") && existsSync(path);
    return [...[...this.content].map((path) => [path, "the bytes of"]), ...[...this.names].map((path) => [path, "the name of"])]
      .filter(([path]) => counts(path))
      .map(([path, what]) => `${what} ${path.slice(log.length + 1)} could be lost`);
  }
}

function run(fault = []) {
  const done = spawnSync("strace", ["-f", "-y", "-s", "40", "-qq", "-o", trace, "-e", `trace=${CALLS}`, "-e", "signal=none", ...fault, ...command], { encoding: "utf8" });
  if (done.error) throw done.error;
  return { text: readFileSync(trace, "utf8"), done };
}

/** Begins with an empty folder, kills before one sync, if one is given, and lets the program finish. */
function findings(kill) {
  rmSync(log, { recursive: true, force: true });
  mkdirSync(log);
  const disk = new Disk();
  const found = [];
  if (kill) found.push(...disk.follow(run(["-e", `inject=${kill.name}:signal=KILL:when=${kill.when}`]).text));
  const { text, done } = run();
  if (done.status !== 0) found.push(`the next start ended with ${done.status}: ${done.stderr}`);
  found.push(...disk.follow(text));
  return { found, syncs: disk.syncs };
}

const whole = findings();
const syncs = Object.values(whole.syncs).reduce((sum, times) => sum + times, 0);
/** What could be lost, and after which kills. */
const wrong = new Map();
const note = (found, when) => {
  for (const what of found.map((line) => line.replace(/^at "[^"]*" /, ""))) wrong.set(what, new Set([...(wrong.get(what) ?? []), when]));
};
note(whole.found, "no kill");
const all = Object.entries(whole.syncs).flatMap(([name, times]) => Array.from({ length: times }, (_, at) => ({ name, when: at + 1 })));
const chosen = values.sample ? sample(all, Number(values.sample), random(seed)) : all;
for (const kill of chosen) note(findings(kill).found, `${kill.name} ${kill.when}`);
const seconds = Math.round((Date.now() - began) / 1000);
console.log(`seed ${seed}: ${syncs} syncs in a run, killed before ${chosen.length} of them; ${wrong.size} kinds of loss; ${seconds} s`);
for (const [what, whens] of wrong) console.error(`${what}: after ${[...whens].slice(0, 6).join(", ")}`);
if (values.report) {
  appendFileSync(values.report, `## What a loss of power could take away

From the system calls of a run with ${syncs} syncs, and of runs after a kill before each of ${chosen.length} of them: at every acknowledgement, all bytes and names that the
log had written were synced: files before they are moved into place, folders after. ${wrong.size === 0 ? "Nothing could be lost." : `${wrong.size} names could be lost.`} Seed ${seed}, ${seconds} s.

`);
}
process.exit(wrong.size > 0 ? 1 : 0);
