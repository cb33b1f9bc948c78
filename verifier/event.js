// @ts-check
// What happened to one resident's data, and the 66 bytes by which the public log knows it.
import { decodeCbor } from "./cbor.js";
import { Broken, concat, equal, hex, need, uint64, utf8 } from "./log/bytes.js";

/**
 * @typedef {object} Event
 * @property {1} v
 * @property {string} kind
 * @property {number} n number in the resident's own chain, from 0; from 2^32 on a place in the week on which it opens
 * @property {Uint8Array} prev commitment of the event before in its chain; empty for the first
 * @property {number} at microseconds UTC
 * @property {Uint8Array} [anchor] the seed of her delayed lines for the week of this event
 * @property {Uint8Array} [mandate] hash of the mandate revision
 * @property {string} [service]
 * @property {[string, string][]} blocks data block and form
 * @property {string} reason
 * @property {Uint8Array} [actor] commitment to the officer who acted
 * @property {string} disclosure
 * @property {[Uint8Array, number]} [batch] id of one decision over several residents, and how many
 * @property {string} [clause] the clause that refused
 * @property {string} [detail]
 * @property {number} [until] microseconds UTC
 * @property {string} [other] the other person of a delegation, as the resident calls her
 * @property {[Uint8Array, number]} [closed] commitment to a matter that concerns somebody else, and from when it is shown, microseconds UTC
 * @property {[string, number, number?]} [source] gateway, its number of the event, and when it happened if reported afterwards
 * @property {[Uint8Array, Uint8Array, Uint8Array, string]} [foreign] trace, operation and calling operation (may be empty) at that gateway, and its name
 */

const KINDS = "use refusal sign-in consent withdrawal objection grant correction status erasure conversion deposit delegation authorization-given-back breach-notified case".split(" ");
const FORMS = ["token", "predicate", "value"];

/** @param {unknown} n @returns {n is number} */
export const isCount = (n) => Number.isSafeInteger(n) && Number(n) >= 0;

/** @typedef {(value: any) => boolean} Check */
/** @type {Check} */
const isText = (value) => typeof value === "string";
/** @param {number} length @returns {Check} */
const isBytes = (length) => (value) => value instanceof Uint8Array && value.length === length;
/** @type {Check} */
const isBlock = (value) => Array.isArray(value) && value.length === 2 && isText(value[0]) && FORMS.includes(value[1]);

/** @type {Check} */
const isSource = (value) => isText(value) && /^(pass|svc_[a-z0-9-]{1,60})$/.test(value);

/** Not all zeros. @param {number} length @returns {Check} */
const isId = (length) => (value) => isBytes(length)(value) && value.some(Boolean);
/** @type {Check} */
const isForeign = (value) =>
  Array.isArray(value) && value.length === 4 && isId(16)(value[0]) && isId(8)(value[1]) && (isBytes(0)(value[2]) || isId(8)(value[2])) &&
  isText(value[3]) && value[3] && utf8(value[3]).length <= 200;

/** Name, check, and whether it may be absent; the CBOR key is the position. @type {[string, Check, boolean?][]} */
const FIELDS = [
  ["v", (value) => value === 1],
  ["kind", (value) => KINDS.includes(value)],
  ["n", isCount],
  ["prev", (value) => isBytes(0)(value) || isBytes(32)(value)],
  ["at", isCount],
  ["mandate", isBytes(32), true],
  ["service", isText, true],
  ["blocks", (value) => Array.isArray(value) && value.every(isBlock)],
  ["reason", isText],
  ["actor", isBytes(32), true],
  ["disclosure", (value) => value === "immediate" || value === "delayed"],
  ["batch", (value) => Array.isArray(value) && value.length === 2 && isBytes(16)(value[0]) && isCount(value[1]), true],
  ["clause", isText, true],
  ["detail", isText, true],
  ["until", isCount, true],
  ["other", isText, true],
  ["source", (value) => Array.isArray(value) && (value.length === 2 || value.length === 3) && isSource(value[0]) && value.slice(1).every(isCount), true],
  ["closed", (value) => Array.isArray(value) && value.length === 2 && isBytes(32)(value[0]) && isCount(value[1]), true],
  ["anchor", isBytes(32), true],
  ["foreign", isForeign, true],
];

/** @param {Uint8Array} bytes @returns {Event} */
export function decodeEvent(bytes) {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new Broken("malformed");
  /** @type {Record<string, unknown>} */
  const event = {};
  FIELDS.forEach(([name, check, optional], key) => {
    const value = map.get(key);
    if (value === undefined ? !optional : !check(value)) throw new Broken("malformed", { field: name });
    if (map.delete(key)) event[name] = value;
  });
  if (map.size > 0 || (event.closed && event.reason)) throw new Broken("malformed");
  // A line is delayed by its number, and by nothing else.
  if ((Number(event.n) < 2 ** 32) !== (event.disclosure === "immediate")) throw new Broken("malformed", { field: "disclosure" });
  return /** @type {Event} */ (/** @type {unknown} */ (event));
}

/** C: binds the event and hides it behind 32 random bytes. @param {Uint8Array} r @param {Uint8Array} event */
export const commitment = (r, event) => hmac(r, utf8("usufruct/event/v1"), uint64(event.length).subarray(4), event);

/** Binds a matter and hides it behind 32 random bytes. @param {Uint8Array} r @param {Uint8Array} matter */
export const matterCommitment = (r, matter) => hmac(r, utf8("usufruct/matter/v1"), uint64(matter.length).subarray(4), matter);

/**
 * The event with what it is about, which is shown once its day has come: 32 random bytes, then the reason and, if there is one, the detail.
 * @param {Event} event @param {Uint8Array} opened @returns {Promise<Event>}
 */
export async function withMatter(event, opened) {
  const [r, encoded] = [opened.subarray(0, 32), opened.subarray(32)];
  need(event.closed && r.length === 32, "matter");
  const parts = decodeCbor(encoded);
  need(Array.isArray(parts) && (parts.length === 1 || parts.length === 2) && parts.every(isText), "matter");
  need(equal(await matterCommitment(r, encoded), event.closed[0]), "matter");
  const [reason, detail] = /** @type {string[]} */ (parts);
  return { ...event, reason, ...(detail !== undefined && { detail }) };
}

/** T: noise to all who do not hold the resident's tag key. @param {Uint8Array} key @param {number | bigint} n */
export const tag = (key, n) => hmac(key, utf8("usufruct/tag/v1"), uint64(n));

/** @param {Uint8Array} c @param {Uint8Array} t */
export const eventLeaf = (c, t) => concat([1, 2], c, t);

/** T of an event leaf, nothing for any other leaf. @param {Uint8Array} leaf */
export const tagOf = (leaf) => (leaf.length === 66 && leaf[0] === 1 && leaf[1] === 2 ? leaf.subarray(34) : null);

/** What a page that shows the event has to say of it. @param {Event} event @returns {import("./footprint.js").Shown} */
export const shownOf = ({ kind, mandate, service, at, blocks }) => ({
  kind, mandate: mandate ? hex(mandate) : null, service: service ?? null, at: String(at), blocks: blocks.map((block) => block.join(":")),
});

/** HMAC-SHA256 under a key of 32 bytes. @param {Uint8Array} key @param {Uint8Array[]} parts */
export async function hmac(key, ...parts) {
  if (key.length !== 32) throw new Broken("malformed");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const [raw, data] = /** @type {BufferSource[]} */ ([key, concat(...parts)]);
  const imported = await crypto.subtle.importKey("raw", raw, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}
