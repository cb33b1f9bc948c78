// @ts-check
// The part of deterministic CBOR (RFC 8949, 4.2.1) that events use: numbers, bytes, text, arrays, and maps with
// numbers as keys. Whatever has a second spelling is refused, so that bytes and meaning are one.
import { Broken, text } from "./log/bytes.js";

/** @typedef {number | string | Uint8Array | object} Value object is an Array of values or a Map from numbers to values */

const MAX_DEPTH = 8;

/** @param {Uint8Array} bytes @returns {Value} */
export function decodeCbor(bytes) {
  let at = 0;

  /** @param {number} length */
  const take = (length) => {
    if (length > bytes.length - at) throw new Broken("malformed");
    at += length;
    return bytes.subarray(at - length, at);
  };

  /** The number after the major type, in its shortest form. @param {number} info */
  const argument = (info) => {
    if (info < 24) return info;
    if (info > 27) throw new Broken("malformed");
    const width = 2 ** (info - 24);
    const n = take(width).reduce((high, byte) => high * 256 + byte, 0);
    if (n < (width === 1 ? 24 : 256 ** (width / 2)) || !Number.isSafeInteger(n)) throw new Broken("malformed");
    return n;
  };

  /** @param {number} depth @returns {Value} */
  const item = (depth) => {
    if (depth > MAX_DEPTH) throw new Broken("malformed");
    const [head] = take(1);
    const n = argument(head & 31);
    switch (head >> 5) {
      case 0:
        return n;
      case 2:
        return take(n);
      case 3:
        return text(take(n));
      case 4: {
        const array = [];
        while (array.length < n) array.push(item(depth + 1));
        return array;
      }
      case 5: {
        const map = new Map();
        for (let last = -1; map.size < n; ) {
          const key = item(depth + 1);
          if (typeof key !== "number" || key <= last) throw new Broken("malformed");
          map.set(key, item(depth + 1));
          last = key;
        }
        return map;
      }
    }
    throw new Broken("malformed");
  };

  const value = item(0);
  if (at !== bytes.length) throw new Broken("malformed");
  return value;
}
