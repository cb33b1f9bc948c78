// Merkle trees (RFC 6962). One check serves all proofs: that the leaves from start to end are a subtree of a tree
// (draft-ietf-plants-merkle-tree-certs, 4.4). Of one leaf it proves inclusion, of the first leaves consistency.
import { concat, equal, need } from "./bytes.js";

/** @typedef {(path: string, from?: number, to?: number) => Promise<Uint8Array | null>} FetchBytes below the log; null: no such file */

/** @param {Uint8Array} bytes */
export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes)));

/** @param {Uint8Array} data */
export const leafHash = (data) => sha256(concat([0], data));

/** @param {Uint8Array} left @param {Uint8Array} right */
export const nodeHash = (left, right) => sha256(concat([1], left, right));

/** The smallest power of two that is not below n. @param {number} n */
export function span(n) {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}

/**
 * @param {number} start @param {number} end @param {number} size @param {Uint8Array} hash @param {Uint8Array[]} proof
 * @param {Uint8Array} root
 */
export async function verifySubtree(start, end, size, hash, proof, root) {
  if (!(0 <= start && start <= end && end <= size && root.length === 32) || start % span(end - start)) return false;
  if (start === end) return !proof.length && equal(hash, await sha256(concat()));
  let [first, last, border] = [start, end - 1, size - 1];
  const up = () => ([first, last, border] = [first, last, border].map((n) => Math.floor(n / 2)));

  while (first < last && (last === border || last % 2)) up();
  const [seed, ...siblings] = first < last ? proof : [hash, ...proof];
  let [part, whole] = [seed, seed];
  for (const sibling of siblings) {
    if (!border) return false;
    if (last % 2 || last === border) {
      if (first < last) part = await nodeHash(sibling, part);
      whole = await nodeHash(sibling, whole);
      while (last && last % 2 === 0) up();
    } else {
      whole = await nodeHash(whole, sibling);
    }
    up();
  }
  return !border && !!seed && equal(part, hash) && equal(whole, root);
}

/** 1234067 is x001/x234/067. @param {number} index */
export function indexPath(index) {
  const digits = String(index);
  return digits.padStart(Math.ceil(digits.length / 3) * 3, "0").replace(/...(?=.)/g, "x$&/");
}

/** The tree of a checkpoint, read from the tiles of its log (c2sp.org/tlog-tiles). */
export class Tree {
  /** @type {Map<string, Promise<Uint8Array>>} */
  #known = new Map();

  /** @param {FetchBytes} fetchBytes @param {{size: number, root: Uint8Array}} checkpoint */
  constructor(fetchBytes, { size, root }) {
    this.fetchBytes = fetchBytes;
    this.size = size;
    this.root = root;
  }

  /**
   * The hash over these leaves. The root, made of the same hashes, must come out right.
   * @param {number} start @param {number} end
   */
  async subtree(start, end) {
    if (end - start === this.size) return this.root;
    const hash = await this.#hash(start, end);
    need(equal(await this.#hash(0, this.size, start, end), this.root), "tile");
    return hash;
  }

  /**
   * Level "entries" holds the leaves. A partial tile may be gone once the full one is there.
   * @param {number | string} level @param {number} index
   */
  async tile(level, index, width = 256) {
    const path = `tile/${level}/${indexPath(index)}`;
    const bytes = (width < 256 && (await this.fetchBytes(`${path}.p/${width}`))) || (await this.fetchBytes(path));
    need(bytes, "tile", { path });
    return bytes;
  }

  /**
   * Over [low, high), made of hashes over ranges that neither start nor end divides.
   * @param {number} low @param {number} high @returns {Promise<Uint8Array>}
   */
  async #hash(low, high, start = low, end = high) {
    const width = high - low;
    const half = low + span(width) / 2;
    const join = async () => nodeHash(await this.#hash(low, half, start, end), await this.#hash(half, high, start, end));
    if ((low < start && start < high) || (low < end && end < high)) return join();
    let level = 0;
    while (256 ** level < width) level += 1;
    if (256 ** level > width) return this.#once(`${low}-${high}`, join);

    const [index, wide] = [low / width, Math.floor(this.size / width)];
    const n = Math.floor(index / 256);
    const tile = await this.#once(`${level}/${n}`, () => this.tile(level, n, Math.min(256, wide - n * 256)));
    return tile.subarray((index % 256) * 32).subarray(0, 32);
  }

  /** @param {string} key @param {() => Promise<Uint8Array>} read */
  #once(key, read) {
    const known = this.#known.get(key) ?? read();
    this.#known.set(key, known);
    return known;
  }
}
