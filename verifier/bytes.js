// @ts-check
// Bytes and text, and the one error that carries a verdict.

/** Something was checked and does not hold; `code` names it (see REASONS in footprint.js). */
export class Broken extends Error {
  /** @param {string} code @param {Record<string, unknown>} [details] */
  constructor(code, details = {}) {
    super(code);
    this.code = code;
    this.details = details;
  }
}

/** @param {string} text */
export const utf8 = (text) => new TextEncoder().encode(text);

/** Throws when the bytes are not UTF-8. @param {Uint8Array} bytes */
export const text = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

/** Strict, padded base64: each value has one spelling. @param {string} encoded @returns {Uint8Array} */
export function base64(encoded) {
  const binary = atob(encoded);
  if (btoa(binary) !== encoded) throw new Broken("malformed");
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** @param {Uint8Array[]} parts @returns {Uint8Array} */
export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The low `width` bytes of a number, big-endian. @param {number | bigint} n @param {number} width */
export function bigEndian(n, width) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n));
  return bytes.subarray(8 - width);
}

/** @param {unknown} n @returns {n is number} */
export const isCount = (n) => Number.isSafeInteger(n) && Number(n) >= 0;
