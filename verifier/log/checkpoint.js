// Checkpoints (c2sp.org/tlog-checkpoint) and who vouches for them: the log that signs, witnesses that co-sign
// (c2sp.org/tlog-cosignature), as a policy asks (c2sp.org/tlog-policy), and what one remembers oneself.
import { base64, concat, equal, hex, need, text, uint64, utf8 } from "./bytes.js";
import { Tree, sha256, verifySubtree } from "./tree.js";

/** @import {FetchBytes} from "./tree.js" */
/** @typedef {{id: string, name: string, type: number, bytes: Uint8Array<ArrayBuffer>}} Key whose id is "name+0123abcd" */
/** @typedef {(signed: {has: (key: Key) => boolean}) => boolean} Rule */
/** @typedef {{logs: Key[], witnesses: Key[], quorum: Rule}} Policy */

const [LOG, COSIGNER, ML_DSA] = [1, 4, 6];
const EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/**
 * The last checkpoint of a log, and its tree, which must extend the one remembered.
 * @param {FetchBytes} fetchBytes @param {Policy} policy @param {string | null} [remembered]
 */
export async function openLog(fetchBytes, policy, remembered) {
  const bytes = await fetchBytes("checkpoint");
  need(bytes, "unreachable");
  const checkpoint = await openCheckpoint(text(bytes), policy);
  const tree = new Tree(fetchBytes, checkpoint);
  if (remembered) {
    const { size, root } = parseCheckpoint(parseNote(remembered).text);
    const evidence = [remembered, checkpoint.note];
    need(size <= tree.size, "rewound", { evidence });
    need(!size || equal(await tree.subtree(0, size), root), "forked", { evidence });
  }
  return { checkpoint, tree };
}

/**
 * The checkpoint under which a leaf is proven to stand.
 * @param {string} file @param {Uint8Array} leaf its hash @param {Policy} policy
 */
export async function verifyProof(file, leaf, policy) {
  const { index, proof, note } = parseProof(file);
  const checkpoint = await openCheckpoint(note, policy);
  need(!checkpoint.lacks, checkpoint.lacks);
  need(await verifySubtree(index, index + 1, checkpoint.size, leaf, proof, checkpoint.root), "proof");
  return checkpoint;
}

/** @param {string} file */
export function parseProof(file) {
  const [, extra, index, hashes, note] =
    /^c2sp\.org\/tlog-proof@v1\n(?:extra (.*)\n)?index (0|[1-9]\d*)\n((?:.+\n){0,63})\n([^]+)$/.exec(file) ?? [];
  const proof = hashes?.split("\n").slice(0, -1).map(base64);
  need(proof?.every((hash) => hash.length === 32) && Number.isSafeInteger(+index), "proof");
  return { extra: base64(extra ?? ""), index: +index, proof, note };
}

/** Signed by a log of the policy; `lacks` says whether a quorum is missing, too. @param {string} note @param {Policy} policy */
export async function openCheckpoint(note, { logs, witnesses, quorum }) {
  const { text, signed, unsupported } = await verifyNote(note, [...logs, ...witnesses]);
  const checkpoint = parseCheckpoint(text);
  const own = logs.filter(({ name }) => name === checkpoint.origin);
  need(own.some((key) => signed.has(key)), own.some((key) => unsupported.has(key)) ? "unsupported" : "signature");
  const lacks = quorum(signed) ? "" : quorum({ has: (key) => signed.has(key) || unsupported.has(key) }) ? "unsupported" : "quorum";
  return { ...checkpoint, note, signed, unsupported, lacks };
}

/** @param {string} text of a note */
export function parseCheckpoint(text) {
  const [, origin, size, encoded] = /^(.+)\n(0|[1-9]\d*)\n(.+)\n(.+\n)*$/.exec(text) ?? [];
  need(origin && Number.isSafeInteger(+size), "checkpoint");
  const root = base64(encoded);
  need(root.length === 32 && (+size || encoded === EMPTY_ROOT), "checkpoint");
  return { origin, size: +size, root };
}

/** @param {string} file @returns {Promise<Policy>} */
export async function parsePolicy(file) {
  /** @type {[Key[], Key[], Rule?]} */
  let [logs, witnesses, quorum] = [[], []];
  /** @type {Map<string, Rule>} */
  const rules = new Map([["none", () => true]]);
  const free = new Set();

  /** @param {string} name @param {Rule} rule */
  const define = (name, rule) => {
    need(!rules.has(name), "policy");
    rules.set(name, rule);
    free.add(name);
  };
  /** @param {Key[]} keys @param {number} type @param {string} vkey */
  const add = async (keys, type, vkey) => {
    const key = await parseKey(vkey);
    need([type, ML_DSA].includes(key.type) && !keys.some(({ bytes }) => equal(bytes, key.bytes)), "policy");
    keys.push(key);
    return key;
  };

  for (const line of file.split("\n")) {
    const [word = "#", name, value, ...more] = line.split(/[ \t]+/).filter(Boolean);
    let ok = word[0] === "#";
    if (word === "log") {
      await add(logs, LOG, name);
      ok = !more.length;
    } else if (word === "witness") {
      const key = await add(witnesses, COSIGNER, value);
      define(name, (signed) => signed.has(key));
      ok = more.length < 2;
    } else if (word === "group") {
      const least = value === "all" ? more.length : value === "any" ? 1 : +(/^[1-9]\d*$/.exec(value) ?? 0);
      ok = 0 < least && least <= more.length && more.every((member) => free.delete(member));
      define(name, (signed) => more.filter((member) => rules.get(member)?.(signed)).length >= least);
    } else if (word === "quorum") {
      ok = !quorum && !value && rules.has(name);
      quorum = rules.get(name);
    }
    need(ok && !/[\0-\b\v-\x1f\x7f]/.test(line), "policy");
  }
  need(quorum && file.endsWith("\n"), "policy");
  return { logs, witnesses, quorum };
}

/**
 * Which keys have signed, and when in seconds. Other keys' signatures are ignored; a bad one of these refuses the note.
 * @param {string} note @param {Key[]} keys
 */
export async function verifyNote(note, keys) {
  const { text, signatures } = parseNote(note);
  /** @type {[Map<Key, number>, Set<Key>]} */
  const [signed, unsupported] = [new Map(), new Set()];
  for (const { id, signature } of signatures) {
    for (const key of keys.filter((key) => key.id === id)) {
      const stated = signature.subarray(0, key.type === LOG ? 0 : 8);
      const time = BigInt(`0x0${hex(stated)}`);
      const valid = await verifySignature(key, message(key, time, text), signature.subarray(stated.length));
      need(valid !== false && time < 2n ** 63n, "signature", { id });
      if (valid) signed.set(key, Number(time));
      else unsupported.add(key);
    }
  }
  return { text, signed, unsupported };
}

/** What a key signs. @param {Key} key @param {bigint} time @param {string} text */
function message({ name, type }, time, text) {
  if (type === LOG) return utf8(text);
  if (type === COSIGNER) return utf8(`cosignature/v1\ntime ${time}\n${text}`);
  const { origin, size, root } = parseCheckpoint(text);
  return subtreeMessage(name, time, origin, 0, size, root);
}

/**
 * @param {string} name @param {bigint} time @param {string} origin @param {number} start @param {number} end
 * @param {Uint8Array} hash
 */
export function subtreeMessage(name, time, origin, start, end, hash) {
  const [who, log] = [utf8(name), utf8(origin)];
  need(who.length < 256 && log.length < 256, "signature");
  return concat(utf8("subtree/v1\n\0"), [who.length], who, uint64(time), [log.length], log, uint64(start), uint64(end), hash);
}

/**
 * Undefined where the algorithm is missing, as ML-DSA often is.
 * @param {Key} key @param {BufferSource} message @param {BufferSource} signature
 */
export async function verifySignature({ type, bytes }, message, signature) {
  const [format, algorithm] = type === ML_DSA ? ["raw-public", "ML-DSA-44"] : ["raw", "Ed25519"];
  const key = await crypto.subtle.importKey(/** @type {any} */ (format), bytes, algorithm, false, ["verify"]).catch(() => {});
  return key && crypto.subtle.verify(algorithm, key, signature, message);
}

/** @param {string} note */
export function parseNote(note) {
  const end = note.lastIndexOf("\n\n") + 1;
  need(end && note.endsWith("\n") && !/[\0-\t\v-\x1f]/.test(note), "note");
  const signatures = note.slice(end + 1, -1).split("\n").map((line) => {
    const [, name, encoded = ""] = /^\u2014 ([^+\s\x85]+) (\S+)$/.exec(line) ?? [];
    const raw = base64(encoded);
    need(raw.length > 4, "note");
    return { id: keyId(name, raw), signature: raw.subarray(4) };
  });
  need(signatures.length <= 100, "note");
  return { text: note.slice(0, end), signatures };
}

/** "name+0123abcd+base64(type || key)". @param {string} vkey @returns {Promise<Key>} */
export async function parseKey(vkey) {
  const [, id, name, encoded = ""] = /^(([^+\s\x85]+)\+[0-9a-f]{8})\+(.+)$/.exec(vkey) ?? [];
  const typed = base64(encoded);
  const [type, bytes] = [typed[0], typed.subarray(1)];
  need([LOG, COSIGNER, ML_DSA].includes(type) && bytes.length === (type === ML_DSA ? 1312 : 32), "vkey");
  need(id === keyId(name, await sha256(concat(utf8(`${name}\n`), typed))), "vkey");
  return { id, name, type, bytes };
}

/** @param {string} name @param {Uint8Array} bytes */
const keyId = (name, bytes) => `${name}+${hex(bytes.subarray(0, 4))}`;
