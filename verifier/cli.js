#!/usr/bin/env node
// @ts-check
// The same checks for people who do not trust the page:
//   node verifier/cli.js footprint FILE.json --log https://city.example/log [--vkey VKEY] [--remember FILE]
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { verifyFootprint } from "./footprint.js";

const USAGE = `Usage: node cli.js footprint FILE.json --log URL [--vkey VKEY] [--remember FILE]

  FILE.json         the footprint you saved from your page
  --log URL         where to read the public log; a mirror will do
  --vkey VKEY       the log's key from a source you trust, in place of the one in FILE.json
  --remember FILE   keep the last checkpoint here and check that the log only grew

Exit code: 0 all lines verified, 1 something is broken, 2 wrong usage, 3 not all could be checked yet.`;

process.exitCode = await main(process.argv.slice(2)).catch((error) => {
  console.error(`${error.message}\n\n${USAGE}`);
  return 2;
});

/** @param {string[]} args */
async function main(args) {
  const option = /** @type {const} */ ({ type: "string" });
  const options = { log: option, vkey: option, remember: option };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [command, file] = positionals;
  if (command !== "footprint" || !file || !values.log) throw new Error("A command, a file and --log are needed.");
  const footprint = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(footprint.lines)) throw new Error(`${file} is no footprint.`);

  const { remember } = values;
  const storage = remember && {
    get: () => (existsSync(remember) ? readFileSync(remember, "utf8") : null),
    set: (/** @type {string} */ _, /** @type {string} */ note) => writeFileSync(remember, note),
  };
  const result = await verifyFootprint(
    { ...footprint, vkey: values.vkey ?? footprint.vkey, checkpointUrl: `${values.log.replace(/\/$/, "")}/checkpoint` },
    { fetchBytes, storage: storage || undefined },
  );
  print(footprint.origin, result);
  return { verified: 0, broken: 1, pending: 3 }[result.state];
}

/** @param {string} url */
async function fetchBytes(url) {
  const response = await fetch(url);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @param {string} origin @param {import("./footprint.js").Result} result */
function print(origin, { state, reason, size, lines }) {
  console.log(`Log ${plain(origin)}${size === null ? "" : `, ${size} entries`}\n`);
  for (const line of lines) {
    console.log(`${line.state.toUpperCase().padEnd(8)} ${describe(line)}`);
    if (line.reason) console.log(`         ${line.reason.text} (${details(line.reason)})`);
  }
  if (reason) console.log(`\n${reason.text} (${details(reason)})`);
  for (const note of /** @type {string[]} */ (reason?.evidence ?? [])) console.log(`\n${note}`);
  const count = (/** @type {string} */ s) => lines.filter((line) => line.state === s).length;
  console.log(`\n${state}: ${count("verified")} verified, ${count("pending")} pending, ${count("broken")} broken`);
}

/** In the words of the committed event, not of the page. @param {import("./footprint.js").LineResult} line */
function describe({ n, event }) {
  if (!event) return `#${n}`;
  const { kind, at, service, blocks, reason, clause } = event;
  const data = blocks.map(([block, form]) => `${block} as ${form}`).join(", ");
  const parts = [kind, service, data, reason && `reason: ${reason}`, clause && `refused by: ${clause}`];
  return plain(`#${n}  ${new Date(at / 1000).toISOString()}  ${parts.filter(Boolean).join("; ")}`);
}

/** @param {import("./footprint.js").Reason} reason */
function details({ text: _, evidence: __, ...rest }) {
  return Object.entries(rest).map(([key, value]) => `${key} ${value}`).join(", ");
}

/** Control characters could rewrite what a terminal shows. @param {string} text */
function plain(text) {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "\ufffd");
}
