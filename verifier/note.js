// @ts-check
// Signed notes (c2sp.org/signed-note): text, an empty line, and lines "— name base64(key id || signature)".
import { Broken, base64, concat, equal, text, utf8 } from "./bytes.js";
import { sha256 } from "./merkle.js";

/** @typedef {{name: string, id: Uint8Array, key: Uint8Array}} Verifier an Ed25519 key that signs notes */
/** @typedef {{name: string, id: Uint8Array, signature: Uint8Array}} Signature */

const ED25519 = 1;

/** "name+0123abcd+base64(type || key)". @param {string} vkey @returns {Promise<Verifier>} */
export async function parseVkey(vkey) {
  const [, name, id, rest] = /^([^+\s\x85]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? [];
  if (!name) throw new Broken("vkey");
  const typed = base64(rest);
  if (typed[0] !== ED25519 || typed.length !== 33) throw new Broken("vkey");
  const expected = (await sha256(concat(utf8(`${name}\n`), typed))).subarray(0, 4);
  const given = Uint8Array.from(id.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  if (!equal(expected, given)) throw new Broken("vkey");
  return { name, id: expected, key: typed.subarray(1) };
}

/** @param {Uint8Array} bytes @returns {{body: string, signatures: Signature[]}} */
export function parseNote(bytes) {
  const note = text(bytes);
  const end = note.lastIndexOf("\n\n") + 1;
  if (end < 1 || /[\0-\x09\x0b-\x1f]/.test(note) || !note.endsWith("\n")) throw new Broken("note");
  const lines = note.slice(end + 1, -1).split("\n");
  if (lines.length > 100) throw new Broken("note");
  const signatures = lines.map((line) => {
    const [, name, encoded] = /^\u2014 ([^+\s\x85]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? [];
    if (!name) throw new Broken("note");
    const raw = base64(encoded);
    if (raw.length < 5) throw new Broken("note");
    return { name, id: raw.subarray(0, 4), signature: raw.subarray(4) };
  });
  return { body: note.slice(0, end), signatures };
}

/**
 * The text of a note, once at least one of the known keys has signed it. Signatures of unknown keys are ignored; one
 * bad signature of a known key refuses the note.
 * @param {Uint8Array} bytes @param {Verifier[]} verifiers @returns {Promise<string>}
 */
export async function openNote(bytes, verifiers) {
  const { body, signatures } = parseNote(bytes);
  let valid = 0;
  for (const { name, id, signature } of signatures) {
    const known = verifiers.find((verifier) => verifier.name === name && equal(verifier.id, id));
    if (!known) continue;
    if (!(await verifyEd25519(known.key, signature, utf8(body)))) throw new Broken("signature");
    valid += 1;
  }
  if (valid === 0) throw new Broken("signature");
  return body;
}

/** @param {Uint8Array} key @param {Uint8Array} signature @param {Uint8Array} message */
export async function verifyEd25519(key, signature, message) {
  const [raw, sig, data] = /** @type {BufferSource[]} */ ([key, signature, message]);
  const imported = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]).catch((error) => {
    throw new Broken(error.name === "NotSupportedError" ? "unsupported" : "vkey");
  });
  return crypto.subtle.verify("Ed25519", imported, sig, data);
}
