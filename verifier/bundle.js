// @ts-check
// The leaves of a log, 256 in a bundle (c2sp.org/tlog-tiles), believed only when they give the hash that the signed root
// asks for.
import { equal, need } from "./log/bytes.js";
import { leafHash, nodeHash, span } from "./log/tree.js";

/** @import {Tree} from "./log/tree.js" */

/** Leaves of a full bundle. */
export const BUNDLE = 256;

/** The leaves from 256 n on, as far as the tree reaches. @param {Tree} tree @param {number} n @returns {Promise<Uint8Array[]>} */
export async function readBundle(tree, n) {
  const start = n * BUNDLE;
  const end = Math.min(start + BUNDLE, tree.size);
  const leaves = split(await tree.tile("entries", n, end - start)).slice(0, end - start);
  const hash = await treeHash(await Promise.all(leaves.map(leafHash)));
  need(equal(hash, await tree.subtree(start, end)), "tile", { bundle: n });
  return leaves;
}

/** Each leaf follows its length in two bytes. @param {Uint8Array} bytes */
function split(bytes) {
  const leaves = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at + 2;
    at = start + bytes[at] * 256 + bytes[at + 1];
    need(at <= bytes.length, "tile");
    leaves.push(bytes.subarray(start, at));
  }
  return leaves;
}

/** @param {Uint8Array[]} hashes of leaves @returns {Promise<Uint8Array>} */
async function treeHash(hashes) {
  if (hashes.length < 2) return hashes[0] ?? new Uint8Array();
  const half = span(hashes.length) / 2;
  return nodeHash(await treeHash(hashes.slice(0, half)), await treeHash(hashes.slice(half)));
}
