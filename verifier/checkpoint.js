// @ts-check
// Checkpoints (c2sp.org/tlog-checkpoint): origin, size, root and extension lines, one each per line.
import { Broken, base64 } from "./bytes.js";
import { openNote, parseNote } from "./note.js";

/** @typedef {{origin: string, size: number, root: Uint8Array, extensions: string[]}} Checkpoint */

const EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/** @param {string} body @returns {Checkpoint} */
export function parseCheckpoint(body) {
  const [origin, size, root, ...extensions] = body.split("\n");
  const malformed =
    !origin || !/^(0|[1-9]\d*)$/.test(size) || !Number.isSafeInteger(Number(size)) || !root ||
    extensions.pop() !== "" || extensions.includes("");
  if (malformed) throw new Broken("checkpoint");
  const hash = base64(root);
  if (hash.length !== 32 || (size === "0" && root !== EMPTY_ROOT)) throw new Broken("checkpoint");
  return { origin, size: Number(size), root: hash, extensions };
}

/**
 * The checkpoint of the log `origin`, signed by `verifier`.
 * @param {Uint8Array} note @param {string} origin @param {import("./note.js").Verifier} verifier
 */
export async function openCheckpoint(note, origin, verifier) {
  const checkpoint = parseCheckpoint(await openNote(note, [verifier]));
  if (checkpoint.origin !== origin) throw new Broken("checkpoint");
  return checkpoint;
}

/** A checkpoint whose signature was verified before. @param {Uint8Array} note */
export const readCheckpoint = (note) => parseCheckpoint(parseNote(note).body);
