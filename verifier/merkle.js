// @ts-check
// RFC 6962 Merkle trees, and the tiles in which a log publishes them (c2sp.org/tlog-tiles).
// Tree sizes are ordinary numbers: exact up to 2^53 entries.
import { Broken, concat, equal, isCount } from "./bytes.js";

/** @typedef {(path: string) => Promise<Uint8Array | null>} FetchBytes null means "not found"; throws when the log does not answer */

/** @param {Uint8Array} bytes */
export const sha256 = async (bytes) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes)));

/** @param {Uint8Array} data */
export const leafHash = (data) => sha256(concat(Uint8Array.of(0), data));

/** @param {Uint8Array} left @param {Uint8Array} right */
export const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

const half = (/** @type {number} */ n) => Math.floor(n / 2);

/** The largest power of two below n, for n > 1. @param {number} n */
function split(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/**
 * RFC 9162, 2.1.3.2.
 * @param {number} index @param {number} size @param {Uint8Array} leaf the hash of the leaf
 * @param {Uint8Array[]} proof @param {Uint8Array} root
 */
export async function verifyInclusion(index, size, leaf, proof, root) {
  if (!isCount(index) || !isCount(size) || index >= size || leaf.length !== 32) return false;
  let [fn, sn, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (sn === 0 || sibling.length !== 32) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = await nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = await nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && equal(hash, root);
}

/**
 * RFC 9162, 2.1.4.2. Strict: there is no proof from the empty tree.
 * @param {number} size1 @param {number} size2 @param {Uint8Array} root1 @param {Uint8Array} root2
 * @param {Uint8Array[]} proof
 */
export async function verifyConsistency(size1, size2, root1, root2, proof) {
  if (!isCount(size1) || !isCount(size2) || size1 === 0 || size1 > size2) return false;
  if (size1 === size2) return proof.length === 0 && equal(root1, root2);
  if (proof.length === 0 || proof.some((hash) => hash.length !== 32)) return false;
  let [fn, sn] = [size1 - 1, size2 - 1];
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  const [first, ...rest] = fn === 0 ? [root1, ...proof] : proof;
  let [old, now] = [first, first];
  for (const sibling of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = await nodeHash(sibling, old);
      now = await nodeHash(sibling, now);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      now = await nodeHash(now, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && equal(old, root1) && equal(now, root2);
}

/** tile/0/x001/x234/067, tile/1/000.p/17. @param {number} level @param {number} index @param {number} [width] */
export function tilePath(level, index, width = 256) {
  const group = (/** @type {number} */ n) => String(n % 1000).padStart(3, "0");
  let path = group(index);
  for (let n = Math.floor(index / 1000); n > 0; n = Math.floor(n / 1000)) path = `x${group(n)}/${path}`;
  return `tile/${level}/${path}${width === 256 ? "" : `.p/${width}`}`;
}

/** The tree of one size, read from the tiles of a log. Nothing it returns is to be believed before it was verified. */
export class Tiles {
  /** @type {Map<string, Promise<Uint8Array>>} */
  #tiles = new Map();
  /** @type {Map<string, Promise<Uint8Array>>} */
  #nodes = new Map();

  /** @param {FetchBytes} fetchBytes @param {number} size @param {string} [prefix] where the log lives, as "/log/" */
  constructor(fetchBytes, size, prefix = "/log/") {
    this.fetchBytes = fetchBytes;
    this.size = size;
    this.prefix = prefix;
  }

  /** The root, or the root when the tree had `size` entries. */
  root(size = this.size) {
    return size === 0 ? sha256(new Uint8Array()) : this.#range(0, size);
  }

  /** The leaf hash the log holds at an index. @param {number} index */
  leaf(index) {
    return this.#node(0, index);
  }

  /** @param {number} index @returns {Promise<Uint8Array[]>} */
  async inclusionProof(index, start = 0, end = this.size) {
    if (end - start === 1) return [];
    const middle = start + split(end - start);
    return index < middle
      ? [...(await this.inclusionProof(index, start, middle)), await this.#range(middle, end)]
      : [...(await this.inclusionProof(index, middle, end)), await this.#range(start, middle)];
  }

  /** From the first `size` entries to this tree. @param {number} size @returns {Promise<Uint8Array[]>} */
  async consistencyProof(size, start = 0, end = this.size) {
    if (size === end) return start === 0 ? [] : [await this.#range(start, end)];
    const middle = start + split(end - start);
    return size <= middle
      ? [...(await this.consistencyProof(size, start, middle)), await this.#range(middle, end)]
      : [...(await this.consistencyProof(size, middle, end)), await this.#range(start, middle)];
  }

  /** Root over the entries from start up to end. @param {number} start @param {number} end @returns {Promise<Uint8Array>} */
  async #range(start, end) {
    const width = end - start;
    if (width > 1 && split(width) * 2 !== width) {
      const middle = start + split(width);
      return nodeHash(await this.#range(start, middle), await this.#range(middle, end));
    }
    return this.#node(Math.round(Math.log2(width)), start / width);
  }

  /** A complete node; every eighth height stands in the tiles. @param {number} height @param {number} index @returns {Promise<Uint8Array>} */
  #node(height, index) {
    return remember(this.#nodes, `${height}/${index}`, async () => {
      if (height % 8 !== 0) {
        return nodeHash(await this.#node(height - 1, index * 2), await this.#node(height - 1, index * 2 + 1));
      }
      const tile = await this.#tile(height / 8, Math.floor(index / 256));
      const at = (index % 256) * 32;
      return tile.subarray(at, at + 32);
    });
  }

  /** @param {number} level @param {number} index */
  #tile(level, index) {
    const width = Math.min(256, Math.floor(this.size / 256 ** level) - index * 256);
    return remember(this.#tiles, `${level}/${index}`, async () => {
      const bytes =
        (await this.#fetch(tilePath(level, index, width), width)) ??
        (width < 256 ? await this.#fetch(tilePath(level, index), 256) : null);
      if (!bytes) throw new Broken("tile", { tile: tilePath(level, index, width) });
      return bytes;
    });
  }

  /** @param {string} path @param {number} width */
  async #fetch(path, width) {
    const bytes = await this.fetchBytes(this.prefix + path).catch(() => {
      throw new Broken("unreachable");
    });
    if (bytes && bytes.length !== width * 32) throw new Broken("tile", { tile: path });
    return bytes;
  }
}

/** @template T @param {Map<string, Promise<T>>} map @param {string} key @param {() => Promise<T>} make */
function remember(map, key, make) {
  const known = map.get(key) ?? make();
  map.set(key, known);
  return known;
}
