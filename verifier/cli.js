#!/usr/bin/env node
// @ts-check
// The same checks for people who do not trust the page.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { commitment, decodeEvent, eventLeaf } from "./event.js";
import { fetchBytes } from "./fetch.js";
import { verifyFootprint } from "./footprint.js";
import { base64, hex, need, text } from "./log/bytes.js";
import { openCheckpoint, parsePolicy, parseProof, verifyProof } from "./log/checkpoint.js";
import { leafHash } from "./log/tree.js";
import { attempt, verdict } from "./reasons.js";

/** @import {Event} from "./event.js" */
/** @import {LineResult, Result} from "./footprint.js" */
/** @import {Key, Policy} from "./log/checkpoint.js" */
/** @import {Reason} from "./reasons.js" */

const USAGE = `Usage:
  node cli.js footprint FILE.json --log URL [--vkey VKEY] [--policy FILE] [--remember FILE] [--whole]
  node cli.js proof FILE.tlog-proof --policy FILE [--leaf FILE]
  node cli.js checkpoint URL --policy FILE

  FILE.json         the footprint you saved from your page
  --log URL         where to read the public log; a mirror will do
  --vkey VKEY       the log's key from a source you trust, in place of the one in FILE.json
  --policy FILE     whose signatures you ask for (c2sp.org/tlog-policy)
  --remember FILE   keep the last checkpoint here and check that the log only grew
  --whole           read every entry of the log, and check the tag index against them
  --leaf FILE       the leaf that is proven; without it, the one that the proof says it opens

Exit code: 0 all verified, 1 something is broken, 2 wrong usage, 3 not all could be checked yet.`;

const COMMANDS = { footprint, proof, checkpoint };
const EXIT = { verified: 0, broken: 1, pending: 3 };

process.exitCode = await main(process.argv.slice(2)).catch((error) => {
  console.error(`${error.message}\n\n${USAGE}`);
  return 2;
});

/** @param {string[]} args */
async function main(args) {
  const option = /** @type {const} */ ({ type: "string" });
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { log: option, vkey: option, policy: option, remember: option, leaf: option, whole: { type: "boolean" } },
  });
  const [command, file, ...more] = positionals;
  const known = Object.hasOwn(COMMANDS, command ?? "");
  if (!known || !file || more.length > 0) throw new Error("A command and a file or an address are needed.");
  return COMMANDS[/** @type {keyof typeof COMMANDS} */ (command)](file, values);
}

/** @param {string} file @param {{log?: string, vkey?: string, policy?: string, remember?: string, whole?: boolean}} options */
async function footprint(file, { log, vkey, policy, remember, whole }) {
  const saved = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(saved.lines)) throw new Error(`${file} is no footprint.`);
  if (!log) throw new Error("Say with --log where the log is.");
  const asked = {
    ...saved,
    checkpointUrl: `${log.replace(/\/$/, "")}/checkpoint`,
    ...(vkey && { vkey }),
    ...(policy && { policy: readFileSync(policy, "utf8") }),
  };
  // Only the checkpoint: each run searches the log from its beginning, like everybody else's first.
  const isKept = (/** @type {string} */ name) => name.startsWith("checkpoint:");
  const storage = remember
    ? {
        get: (/** @type {string} */ name) => (isKept(name) && existsSync(remember) ? readFileSync(remember, "utf8") : null),
        set: (/** @type {string} */ name, /** @type {string} */ note) => void (isKept(name) && writeFileSync(remember, note)),
      }
    : undefined;
  const result = await verifyFootprint(asked, { fetchBytes, whole, storage });
  printFootprint(saved.origin, result);
  return EXIT[result.state];
}

/** @param {string} file @param {{policy?: string, leaf?: string}} options */
async function proof(file, { policy: policyFile, leaf: leafFile }) {
  const policy = await readPolicy(policyFile);
  const [bytes, leaf] = [readFileSync(file), leafFile && readFileSync(leafFile)];
  const { value, broken } = await attempt(async () => {
    const proof = text(bytes);
    const { index, extra } = parseProof(proof);
    const opened = leaf ? { leaf, event: null } : await openExtra(extra);
    return { index, event: opened.event, checkpoint: await verifyProof(proof, await leafHash(opened.leaf), policy) };
  });
  if (value) {
    console.log(`Entry ${value.index} of ${plain(value.checkpoint.origin)}, in a log of ${value.checkpoint.size} entries.`);
    if (value.event) console.log(describe(value.event));
    printSigners(value.checkpoint, policy);
  }
  return conclude(verdict(broken));
}

/** The leaf that a resident's own proof opens: T, r, and the event. @param {Uint8Array} extra */
async function openExtra(extra) {
  need(extra.length > 64, "proof");
  const [tag, r, encoded] = [extra.subarray(0, 32), extra.subarray(32, 64), extra.subarray(64)];
  return { leaf: eventLeaf(await commitment(r, encoded), tag), event: decodeEvent(encoded) };
}

/** @param {string} url @param {{policy?: string}} options */
async function checkpoint(url, { policy: file }) {
  const policy = await readPolicy(file);
  const address = url.endsWith("/checkpoint") ? url : `${url.replace(/\/$/, "")}/checkpoint`;
  const { value, broken } = await attempt(async () => {
    const note = await fetchBytes(address).catch(() => null);
    need(note, "unreachable");
    return openCheckpoint(text(note), policy);
  });
  if (value) {
    console.log(`${plain(value.origin)}: ${value.size} entries, root ${hex(value.root)}`);
    printSigners(value, policy);
  }
  return conclude(verdict(broken ?? (value.lacks ? { code: value.lacks } : null)));
}

/** @param {string | undefined} file */
async function readPolicy(file) {
  if (!file) throw new Error("Say with --policy whose signatures you ask for.");
  const bytes = readFileSync(file);
  const { value, broken } = await attempt(() => parsePolicy(text(bytes)));
  if (broken) throw new Error(`${file}: ${verdict(broken).reason?.text}`);
  return value;
}

/** @param {{state: import("./reasons.js").State, reason: Reason | null}} verdict */
function conclude({ state: found, reason }) {
  // The policy is what was asked for, so too few signatures are an answer and no delay.
  const state = reason?.code === "quorum" ? "broken" : found;
  console.log(reason ? `${state}: ${explain(reason)}` : state);
  return EXIT[state];
}

/** @param {string} origin @param {Result} result */
function printFootprint(origin, { state, reason, size, lines, search, witnesses }) {
  console.log(`Log ${plain(origin)}${size === null ? "" : `, ${size} entries`}\n`);
  for (const line of lines) {
    console.log(`${line.state.toUpperCase().padEnd(8)} #${line.n}${line.event ? `  ${describe(line.event)}` : ""}`);
    if (line.reason) console.log(`         ${explain(line.reason)}`);
  }
  if (search?.searched) console.log(`\n${search.searched} entries were searched for your tags; ${search.yours} are yours.`);
  for (const finding of search?.findings ?? []) console.log(explain(finding));
  if (witnesses) console.log(`\nCo-signed by ${witnesses.cosigned} of ${witnesses.of} witnesses${uncheckable(witnesses)}.`);
  if (reason) console.log(`\n${explain(reason)}`);
  for (const note of /** @type {string[]} */ (reason?.evidence ?? [])) console.log(`\n${note}`);
  const count = (/** @type {string} */ s) => lines.filter((line) => line.state === s).length;
  console.log(`\n${state}: ${count("verified")} verified, ${count("pending")} pending, ${count("broken")} broken`);
}

/** @param {{signed: Map<Key, number>, unsupported: Set<Key>}} checkpoint @param {Policy} policy */
function printSigners({ signed, unsupported }, { logs, witnesses }) {
  for (const key of [...logs, ...witnesses]) {
    const time = signed.get(key);
    const when = time ? `, ${new Date(time * 1000).toISOString()}` : "";
    if (time !== undefined) console.log(`  signed: ${plain(key.id)}${when}`);
    else console.log(`  ${unsupported.has(key) ? "cannot be checked here" : "not signed"}: ${plain(key.id)}`);
  }
}

/** @param {{unsupported: number}} witnesses */
function uncheckable({ unsupported }) {
  return unsupported > 0 ? `; ${unsupported} more cannot be checked by this program` : "";
}

/** In the words of the committed event, not of the page. @param {Event} event */
function describe({ kind, at, service, blocks, reason, clause, closed }) {
  const data = blocks.map(([block, form]) => `${block} as ${form}`).join(", ");
  const day = closed && !reason && new Date(closed[1] / 1000).toISOString().slice(0, 10);
  const matter = day ? `the matter concerns somebody else; it is shown from ${day}` : reason && `reason: ${reason}`;
  const parts = [kind, service, data, matter, clause && `refused by: ${clause}`];
  return plain(`${new Date(at / 1000).toISOString()}  ${parts.filter(Boolean).join("; ")}`);
}

/** @param {Reason} reason */
function explain({ code: _, text, evidence: __, ...rest }) {
  const details = Object.entries(rest).map(([key, value]) => `${key} ${value}`).join(", ");
  return plain(details ? `${text} (${details})` : text);
}

/** Control characters could rewrite what a terminal shows. @param {string} text */
function plain(text) {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "\ufffd");
}
