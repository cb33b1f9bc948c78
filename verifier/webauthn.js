// @ts-check
// An approval by a passkey, judged from what stands in the log (docs/protocol/statements.md; Web Authentication Level 3, section 7.2).
import { concat, equal, hex, need, text, utf8 } from "./log/bytes.js";
import { sha256 } from "./log/tree.js";

/** @import {Approval, SigningKey} from "./statement.js" */
/** @typedef {{algorithm: string, credential: string, rp_id: string, origins: string[]}} Passkey */

/** A flat object of plain texts and flags: browsers write nothing else, and every reader reads the same. */
const MEMBERS = /^\{("\w+":("[ !#-[\]-~]*"|true|false)(,(?=")|(?=}$)))+}$/;
const [TOUCHED_BY_OWNER, MAY_BE_COPIED, COPIED, NOT_ASKED_FOR] = [0x05, 0x08, 0x10, 0xc0];
const CURVE = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Statements that one touch approves at most. */
const MOST_AT_ONCE = 32;

/**
 * Whether a passkey approved the statement with this hash. Throws where it did not.
 * @param {Approval} approval @param {SigningKey} key @param {Uint8Array} hash
 */
export async function verifyPasskey({ algorithm, among, authenticator_data, client_data, signature }, key, hash) {
  need(key.webauthn && algorithm === "webauthn" && authenticator_data !== undefined && client_data !== undefined, "algorithm");
  const hashes = among ?? [hex(hash)];
  need(hashes.includes(hex(hash)) && hashes.length <= MOST_AT_ONCE && among?.length !== 1, "challenge");
  const challenge = await challengeOf(hashes.map(unhex));
  await verifyAssertion(key.webauthn, key.public, challenge, { authenticator_data, client_data, signature });
}

/** What one touch approves: of one statement it is what a key file signs. @param {Uint8Array[]} hashes */
export async function challengeOf(hashes) {
  if (hashes.length === 1) return concat(utf8("usufruct/approval/v1\n"), hashes[0]);
  return concat(utf8("usufruct/approvals/v1\n"), await sha256(concat(...hashes)));
}

/**
 * Whether the passkey with this public key answered a challenge. Throws where it did not.
 * @param {Passkey} passkey @param {string} key base64url @param {Uint8Array} challenge
 * @param {{authenticator_data: string, client_data: string, signature: string}} answer base64url
 */
export async function verifyAssertion({ algorithm, rp_id, origins }, key, challenge, answer) {
  const [data, client, signature] = [answer.authenticator_data, answer.client_data, answer.signature].map(base64url);
  const written = text(client);
  need(client.length <= 1_024 && MEMBERS.test(written), "client-data");
  const said = JSON.parse(written);
  need(written.match(/"\w+":/g)?.length === Object.keys(said).length, "client-data");
  need(said.type === "webauthn.get", "type");
  need(said.challenge === toBase64url(challenge), "challenge");
  need(origins.includes(said.origin), "origin");
  need((said.crossOrigin ?? false) === false && !("topOrigin" in said), "cross-origin");
  need(data.length === 37, "length");
  need(equal(data.subarray(0, 32), await sha256(utf8(rp_id))), "rp-id");
  const flags = data[32];
  need((flags & TOUCHED_BY_OWNER) === TOUCHED_BY_OWNER && !(flags & NOT_ASKED_FOR) && (flags & (MAY_BE_COPIED | COPIED)) !== COPIED, "flags");
  const kind = algorithm === "EdDSA" ? "Ed25519" : algorithm === "ES256" ? CURVE : undefined;
  const bytes = base64url(key);
  need(kind && bytes.length === (kind === CURVE ? 65 : 32), "algorithm");
  const imported = await crypto.subtle.importKey("raw", bytes, kind, false, ["verify"]);
  const signed = concat(data, await sha256(client));
  need(await crypto.subtle.verify(kind, imported, kind === CURVE ? fromDer(signature) : signature, signed), "signature");
}

/** r and s in 32 bytes each, out of the one DER form of them. @param {Uint8Array} der */
function fromDer(der) {
  const number = (/** @type {number} */ at) => der.subarray(at + 2, at + 2 + der[at + 1]);
  const parts = [number(2), number(4 + der[3])];
  const encode = (/** @type {Uint8Array} */ part) => [2, part.length, ...part];
  const body = parts.flatMap(encode);
  const isShort = (/** @type {Uint8Array} */ part) => part.length > 0 && part[0] < 0x80 && !(part[0] === 0 && part[1] < 0x80);
  const whole = parts.map((part) => part.subarray(part[0] ? 0 : 1));
  need(parts.every(isShort) && whole.every(({ length }) => length <= 32) && equal(Uint8Array.from([0x30, body.length, ...body]), der), "signature");
  return concat(...whole.flatMap((part) => [new Uint8Array(32 - part.length), part]));
}

/** @param {string} text hex of a hash */
function unhex(text) {
  need(/^[0-9a-f]{64}$/.test(text), "challenge");
  return Uint8Array.from({ length: 32 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** Unpadded and strict: each value has one spelling. @param {string} encoded */
export function base64url(encoded) {
  const bytes = Uint8Array.from(atob(encoded.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  need(toBase64url(bytes) === encoded, "signature");
  return bytes;
}

/** @param {Uint8Array} bytes */
export const toBase64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
