// @ts-check
// The footprint key, as the resident's own devices keep it: 32 bytes by which her events are recognised in the log, and 32 that open her
// lines. It leaves the page only sealed, under a key that a passkey (WebAuthn PRF) or a printed recovery code gives. Neither that
// key nor what it is derived from is ever sent.
import { concat, need, utf8 } from "./log/bytes.js";

/** @typedef {{pass: Uint8Array, means: "passkey" | "code", id: Uint8Array}} Place whose wrap it is, and what opens it: a credential id, or the hash of a code */

/** Bytes of the key: tag key, line key. */
export const KEY_BYTES = 64;
/** Version, nonce, ciphertext, tag. */
export const WRAP_BYTES = 1 + 12 + KEY_BYTES + 16;

const VERSION = 1;
const NONCE_BYTES = 12;
/** Letters and digits that are not mistaken for each other on paper. */
const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/** Letters of a code that was made in the page, 160 bits; and of the part of it that signs in, 140 bits. */
const OWN_CODE = 32;
const SIGN_IN_PART = 28;

/** What a passkey is asked to evaluate: the same for all passkeys of a pass, each of which answers something else. @param {Uint8Array} pass */
export const prfSalt = (pass) => sha256(concat(utf8("usufruct/footprint-key/prf/v1\n"), pass));

/** The wrapping key that a passkey gives. @param {Uint8Array} output 32 bytes of the PRF extension */
export async function keyOfPasskey(output) {
  need(output.length === 32, "malformed");
  return aesKey(await hkdf(output, "usufruct/footprint-key/passkey/v1"));
}

/** The wrapping key that a code gives which was made in the page. @param {string} code */
export const keyOfCode = async (code) => aesKey(await hkdf(utf8(ownCode(code)), "usufruct/footprint-key/code/v1"));

/**
 * The footprint key, sealed. Where it belongs is sealed with it, so that no wrap opens in the place of another.
 * @param {Uint8Array} key @param {CryptoKey} wrappingKey @param {Place} place @param {Uint8Array} [nonce] random, unless it is said
 */
export async function wrap(key, wrappingKey, place, nonce = randomBytes(NONCE_BYTES)) {
  need(key.length === KEY_BYTES, "malformed");
  return concat([VERSION], nonce, new Uint8Array(await crypto.subtle.encrypt(gcm(nonce, place), wrappingKey, buffer(key))));
}

/** Opens a wrap. Throws for one of another passkey, code or pass. @param {Uint8Array} sealed @param {CryptoKey} wrappingKey @param {Place} place */
export async function unwrap(sealed, wrappingKey, place) {
  need(sealed.length === WRAP_BYTES && sealed[0] === VERSION, "malformed");
  const nonce = sealed.slice(1, 1 + NONCE_BYTES);
  return new Uint8Array(await crypto.subtle.decrypt(gcm(nonce, place), wrappingKey, buffer(sealed.subarray(1 + NONCE_BYTES))));
}

/** A recovery code of 160 bits, in groups of four. @param {Uint8Array} [bytes] 32, random unless they are said */
export const freshCode = (bytes = randomBytes(OWN_CODE)) => grouped(letters(bytes));

/** A code as it is meant: case, spaces and hyphens do not matter. @param {string} code */
export const plainCode = (code) => code.replace(/[^A-Za-z0-9]/g, "").toUpperCase();

/** Whether it was made in a page, and may hold a wrap. Shorter ones come from the server. @param {string} code */
export const isOwnCode = (code) => plainCode(code).length === OWN_CODE;

/** The part of a code that the server may see: it signs in, and nothing can be opened with it. @param {string} code */
export async function signInPart(code) {
  return grouped(letters((await hkdf(utf8(ownCode(code)), "usufruct/recovery/sign-in/v1")).subarray(0, SIGN_IN_PART)));
}

/** What the server keeps of a code. @param {string} code */
export async function codeHash(code) {
  return sha256(utf8(`usufruct/recovery/v1\n${plainCode(await signInPart(code))}`));
}

/** @param {string} text base64url without padding */
export function base64url(text) {
  need(/^[\w-]*$/.test(text), "malformed");
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
export const toBase64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** @param {string} code */
function ownCode(code) {
  need(isOwnCode(code), "malformed");
  return plainCode(code);
}

/** @param {Uint8Array} bytes */
const letters = (bytes) => Array.from(bytes, (byte) => ALPHABET[byte & 31]).join("");
/** @param {string} text */
const grouped = (text) => (text.match(/.{1,4}/g) ?? []).join("-");

/** HKDF-SHA-256 (RFC 5869) without salt, 32 bytes. @param {Uint8Array} secret @param {string} info */
async function hkdf(secret, info) {
  const key = await crypto.subtle.importKey("raw", buffer(secret), "HKDF", false, ["deriveBits"]);
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: buffer(utf8(info)) };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 256));
}

/** A key that can be used and not read. @param {Uint8Array} raw */
async function aesKey(raw) {
  const key = await crypto.subtle.importKey("raw", buffer(raw), "AES-GCM", false, ["encrypt", "decrypt"]);
  raw.fill(0);
  return key;
}

/** @param {Uint8Array} nonce @param {Place} place */
function gcm(nonce, { pass, means, id }) {
  const additionalData = concat(utf8("usufruct/footprint-key/wrap/v1"), [means === "passkey" ? 1 : 2], pass, id);
  return { name: "AES-GCM", iv: buffer(nonce), additionalData: buffer(additionalData) };
}

/** @param {Uint8Array} bytes */
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", buffer(bytes)));
/** @param {number} length */
const randomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));
/** What Web Crypto takes. @param {Uint8Array} bytes */
const buffer = (bytes) => /** @type {BufferSource} */ (bytes);
