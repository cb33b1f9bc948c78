#!/usr/bin/env node
// The files of the verifier that browsers run, with their hashes.
//   node manifest.mjs                       prints {"files": [{"path", "sha256"}]} of this copy
//   node manifest.mjs https://city.example  compares this copy with what the city serves and with what it has stated in its
//                                           log; exit code 1 when they differ
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** @typedef {{path: string, sha256: string}} File */

const HERE = new URL(".", import.meta.url);

/** All modules but the command line and the tests. */
export function servedFiles() {
  const names = readdirSync(HERE, { recursive: true }).map(String).filter((name) => name.endsWith(".js"));
  return names.filter((name) => name !== "cli.js" && !/^(test|node_modules)\//.test(name)).sort();
}

/** @returns {{files: File[]}} */
export function manifest() {
  return { files: servedFiles().map((name) => ({ path: `/verifier/${name}`, sha256: sha256(readFileSync(new URL(name, HERE))) })) };
}

/**
 * Each file of this copy or of the city's statement; what is missing somewhere has no hash there.
 * @param {string} city as https://city.example
 */
export async function compare(city) {
  const base = city.replace(/\/$/, "");
  const { verifier } = await (await download(`${base}/register/log.json`)).json();
  /** @type {File[]} */
  const stated = verifier?.body.files ?? [];
  const own = manifest().files;
  const paths = [...new Set([...own, ...stated].map(({ path }) => path))].sort();
  return Promise.all(
    paths.map(async (path) => {
      const hashIn = (/** @type {File[]} */ files) => files.find((file) => file.path === path)?.sha256 ?? null;
      const answer = await fetch(base + path);
      const served = answer.ok ? sha256(new Uint8Array(await answer.arrayBuffer())) : null;
      return { path, own: hashIn(own), stated: hashIn(stated), served };
    }),
  );
}

/** @param {string} url */
async function download(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}. Is it the address of a city?`);
  return response;
}

/** @param {Uint8Array} bytes */
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const city = process.argv[2];
  if (!city) console.log(JSON.stringify(manifest(), null, 2));
  else {
    const files = await compare(city);
    for (const { path, own, stated, served } of files) {
      const same = own === stated && stated === served;
      console.log(same ? `same     ${path}` : `DIFFERS  ${path}: yours ${own}, stated ${stated}, served ${served}`);
      if (!same) process.exitCode = 1;
    }
  }
}
