// @ts-check
// Searches the public log for a resident's tags, so that a line that was logged and is not shown comes to light. Everybody
// fetches the same: the tag index, or all leaves. What is looked for does not leave this program.
import { BUNDLE, readBundle } from "./bundle.js";
import { tagOf } from "./event.js";
import { equal, need } from "./log/bytes.js";
import { indexPath } from "./log/tree.js";

/** @import {Tree} from "./log/tree.js" */
/** @typedef {(below: number) => number} Random a whole number from 0 on */
/** @typedef {{n: number, index: number}} Place a tag and the leaf that carries it */
/** @typedef {{strays: Place[], lies: number[]}} Findings tags where none is known; leaves of which the index is wrong */

/** So few bundles are read whole, without the index. */
const FEW = 16;
/** Bundles are fetched in groups of so many, so that one that matters hides among random ones. */
const CROWD = 8;
/** Leaves in one file of the tag index. */
export const SEGMENT = 65_536;
/** Bytes in the index for each leaf: the first of its tag, or zeros. */
const PREFIX = 4;

/**
 * @param {Tree} tree
 * @param {Map<number, Uint8Array>} tags by number
 * @param {Map<number, number>} known leaves that are proven to be the resident's, and the numbers of their tags
 * @param {{from?: number, whole?: boolean, random?: Random}} [options] `from`: an earlier search came so far and found
 *   nothing wrong; `whole`: read all leaves, and compare all of the index with them
 * @returns {Promise<Findings>}
 */
export async function searchTags(tree, tags, known, { from = 0, whole = false, random = randomBelow } = {}) {
  const [start, end] = [whole ? 0 : Math.floor(from / BUNDLE), Math.ceil(tree.size / BUNDLE)];
  const wanted = byPrefix(tags);
  /** @type {Findings} */
  const findings = { strays: [], lies: [] };

  const readsAll = whole || end - start <= FEW;
  const index = readsAll && !whole ? null : await readIndex(tree, start * BUNDLE);
  need(index || readsAll, "unsearched");
  const bundles = new Set(readsAll || !index ? range(start, end) : suspects(index));
  if (!readsAll) hide(bundles, start, end, random);

  await inGroups([...bundles].sort((a, b) => a - b), async (n) => {
    (await readBundle(tree, n)).forEach((leaf, i) => {
      const at = n * BUNDLE + i;
      const tag = tagOf(leaf);
      if (index && index(at) !== (tag ? prefix(tag) : 0)) findings.lies.push(at);
      for (const n of (tag && wanted.get(prefix(tag))) ?? []) {
        if (tag && equal(tag, tags.get(n) ?? tag.subarray(1)) && known.get(at) !== n) findings.strays.push({ n, index: at });
      }
    });
  });
  return { ...findings, lies: [...new Set(findings.lies)] };

  /** Bundles in which the index has a tag that is looked for and not known to be there. @param {(at: number) => number} index */
  function suspects(index) {
    const found = [];
    for (let at = start * BUNDLE; at < tree.size; at += 1) {
      const [mine, is] = [known.get(at), index(at)];
      if (mine !== undefined) {
        const expected = tags.get(mine);
        if (!expected || is !== prefix(expected)) findings.lies.push(at);
      } else if (wanted.has(is)) found.push(Math.floor(at / BUNDLE));
    }
    return found;
  }
}

/** The prefixes that the index has from a leaf on; nothing when there is no index. @param {Tree} tree @param {number} from */
async function readIndex(tree, from) {
  const bytes = new DataView(new ArrayBuffer((tree.size - from) * PREFIX));
  const segments = range(Math.floor(from / SEGMENT), Math.ceil(tree.size / SEGMENT));
  let complete = true;
  await inGroups(segments, async (segment) => {
    const first = segment * SEGMENT;
    const [low, high] = [Math.max(from, first), Math.min(tree.size, first + SEGMENT)];
    const part = await tree.fetchBytes(`tags/${indexPath(segment)}`, (low - first) * PREFIX, (high - first) * PREFIX);
    if (part?.length === (high - low) * PREFIX) new Uint8Array(bytes.buffer).set(part, (low - from) * PREFIX);
    else complete = false;
  });
  return complete ? (/** @type {number} */ at) => bytes.getUint32((at - from) * PREFIX) : null;
}

/**
 * Adds random bundles: as many as there are, and so that their number says little.
 * @param {Set<number>} bundles @param {number} start @param {number} end @param {Random} random
 */
function hide(bundles, start, end, random) {
  const crowd = Math.min(end - start, Math.ceil((2 * bundles.size || 1) / CROWD) * CROWD);
  while (bundles.size < crowd) bundles.add(start + random(end - start));
}

/** @param {Map<number, Uint8Array>} tags */
function byPrefix(tags) {
  /** @type {Map<number, number[]>} */
  const wanted = new Map();
  tags.forEach((tag, n) => wanted.set(prefix(tag), [...(wanted.get(prefix(tag)) ?? []), n]));
  return wanted;
}

/** @param {Uint8Array} tag */
const prefix = (tag) => new DataView(tag.buffer, tag.byteOffset).getUint32(0);

/** @param {number} start @param {number} end */
const range = (start, end) => Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);

/** @param {number[]} items @param {(item: number) => Promise<void>} task */
async function inGroups(items, task) {
  for (let i = 0; i < items.length; i += CROWD) await Promise.all(items.slice(i, i + CROWD).map(task));
}

/** @param {number} below */
const randomBelow = (below) => Math.floor((crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32) * below);
