// Bytes and text, and the one error that carries a verdict.

/** Something was checked and does not hold; `code` says what. */
export class Broken extends Error {
  /** @param {string} code @param {object} [details] */
  constructor(code, details) {
    super(code);
    this.code = code;
    this.details = details;
  }
}

/** @param {unknown} holds @param {string} code @param {object} [details] @returns {asserts holds} */
export function need(holds, code, details) {
  if (!holds) throw new Broken(code, details);
}

/** @param {string} text */
export const utf8 = (text) => new TextEncoder().encode(text);

/** Throws when it is not UTF-8. @param {Uint8Array} bytes */
export const text = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

/** Strict and padded: each value has one spelling. @param {string} encoded */
export function base64(encoded) {
  const binary = atob(encoded);
  need(btoa(binary) === encoded, "malformed");
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** @param {Uint8Array} a @param {Uint8Array} b */
export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** @param {(Uint8Array | number[])[]} parts */
export const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

/** Eight bytes, big-endian. @param {number | bigint} n */
export function uint64(n) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n));
  return bytes;
}
