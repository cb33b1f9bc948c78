// Lets every system call on the commit path of the log fail in turn, and kills the program before every one of them.
//   node e2e/faults/calls.js [--sample N] [--seed N] [--report FILE]      without --sample all of them
import { appendFileSync, copyFileSync, cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { workDir } from "../lib/server.js";
import { goClient, publish, publishProgram } from "../third-party/client.js";
import { problems, reference, saysWhy } from "./judge.js";
import { count, ERRORS, inject, random, sample, SYNCS } from "./strace.js";

const { values } = parseArgs({ options: { sample: { type: "string" }, seed: { type: "string" }, report: { type: "string" } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const chance = random(seed);

/** A new log, one that has to be read before it grows, and a step of many tiles at once. */
const SCENARIOS = [
  { name: "new", before: [], sizes: [0, 3, 256, 257] },
  { name: "grown", before: [0, 200, 300], sizes: [301, 513, 768] },
  { name: "large", before: [0, 300], sizes: [5_000] },
];

const began = Date.now();
const { dir, clean } = workDir();
process.once("exit", clean);
goClient();
const known = reference(join(dir, "reference"), SCENARIOS.flatMap(({ before, sizes }) => [...before, ...sizes]).sort((a, b) => a - b));
const [trace, log, template] = ["trace", "log", "template"].map((name) => join(dir, name));

/** The log of a scenario before it meets a fault. */
function prepare(scenario, to) {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to);
  if (scenario.before.length > 0) publish(to, ...scenario.before);
}

const commandOf = (scenario, at) => [publishProgram(), join(at, "objects"), join(at, "head"), ...scenario.sizes.map(String)];
const total = {};
const faults = [];
for (const scenario of SCENARIOS) {
  prepare(scenario, log);
  const counts = count(commandOf(scenario, log), trace);
  for (const [name, times] of Object.entries(counts)) {
    total[name] = (total[name] ?? 0) + times;
    for (let when = 1; when <= times; when++) {
      for (const fault of [...ERRORS[name], "KILL"]) faults.push({ scenario, name, when, fault });
    }
  }
}
const chosen = values.sample ? sample(faults, Number(values.sample), chance) : faults;
console.log(`seed ${seed}: ${chosen.length} of ${faults.length} faults at ${Object.values(total).reduce((sum, times) => sum + times, 0)} system calls`);

const tally = { errors: 0, kills: 0, ended: 0, harmless: 0, recovered: 0, refused: 0 };
const wrong = [];
const refusals = new Set();
chosen.sort((a, b) => SCENARIOS.indexOf(a.scenario) - SCENARIOS.indexOf(b.scenario));
let prepared;
for (const { scenario, name, when, fault } of chosen) {
  if (prepared !== scenario) prepare(scenario, template);
  prepared = scenario;
  rmSync(log, { recursive: true, force: true });
  cpSync(template, log, { recursive: true });
  const complain = (what) => wrong.push(`${scenario.name} log, ${fault} at ${name} ${when}: ${what}`);

  const met = inject(commandOf(scenario, log), name, when, fault, trace);
  if (!met.injected) complain("the fault did not happen");
  if (fault === "KILL") {
    tally.kills += 1;
    if (!met.killed) complain("it survived");
  } else {
    tally.errors += 1;
    if (met.status === 0) tally.harmless += 1;
    else tally.ended += 1;
    if (met.status === 0 && SYNCS.includes(name)) complain("it went on after a failed sync");
    if (met.status !== 0 && !met.stderr.trim()) complain(`it ended with ${met.status} and said nothing`);
    if (/panicked/.test(met.stderr)) complain(`it panicked: ${met.stderr}`);
  }
  const acknowledged = [...scenario.before, ...[...met.stdout.matchAll(/^acknowledged (\d+)$/gm)].map(([, size]) => Number(size))];
  if (met.status === 0 && acknowledged.at(-1) !== scenario.sizes.at(-1)) complain("it ended well and did not finish");
  const seen = [];
  const checkpoint = join(log, "objects", "checkpoint");
  if (existsSync(checkpoint)) copyFileSync(checkpoint, (seen[0] = join(log, "seen")));
  for (const problem of problems(log, known, acknowledged)) complain(`right after it, ${problem}`);

  const again = publish(log, ...scenario.sizes);
  if (again.status === 0) tally.recovered += 1;
  else if (saysWhy(again.error)) {
    tally.refused += 1;
    refusals.add(again.error);
  } else complain(`the next start ended with ${again.status} and did not say why: ${again.error}`);
  const promised = again.status === 0 ? [...acknowledged, ...scenario.sizes] : acknowledged;
  for (const problem of problems(log, known, promised, seen)) complain(`after the next start, ${problem}`);
}
const seconds = Math.round((Date.now() - began) / 1000);
const summary = `${tally.errors} errors (${tally.ended} ended the program, ${tally.harmless} had no effect), ${tally.kills} kills; ${tally.recovered} recovered, ${tally.refused} refused; ${wrong.length} wrong; ${seconds} s`;
console.log(summary);
for (const refusal of refusals) console.log(`refused: ${refusal}`);
for (const line of wrong) console.error(line);
if (values.report) {
  const rows = Object.keys(total).sort().map((name) => `| ${name} | ${total[name]} | ${chosen.filter((fault) => fault.name === name && fault.fault !== "KILL").length} | ${chosen.filter((fault) => fault.name === name && fault.fault === "KILL").length} |`);
  appendFileSync(values.report, `## The log alone

The example program of the log crate (\`crates/log/examples/publish.rs\`) grew a new log to ${SCENARIOS[0].sizes.join(", ")} leaves, one of ${SCENARIOS[1].before.at(-1)} leaves
to ${SCENARIOS[1].sizes.join(", ")}, and one of ${SCENARIOS[2].before.at(-1)} to ${SCENARIOS[2].sizes.join(", ")}. In each run one system call failed with EIO or ENOSPC, or the program was killed before it. Then the program ran again without faults.
After both runs Go's tlog packages checked the public files, with every entry, against every checkpoint that had been acknowledged or seen. Seed ${seed}.

| call | made in clean runs | errors | kills |
|---|---:|---:|---:|
${rows.join("\n")}

| | |
|---|---:|
| errors injected | ${tally.errors} |
| of these, ended the program with a message | ${tally.ended} |
| of these, had no effect | ${tally.harmless} |
| kills injected | ${tally.kills} |
| next start went on | ${tally.recovered} |
| next start refused and said why | ${tally.refused} |
| acknowledged entries lost, inconsistent checkpoints, syncs that failed unnoticed | ${wrong.length} |
| seconds | ${seconds} |

`);
}
process.exit(wrong.length > 0 ? 1 : 0);
