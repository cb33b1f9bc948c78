// @ts-check
// Opens a resident's lines with her own footprint key, as the server stores them, without asking the server what they say.
import { seedsFrom, weekLineKey, weekOf } from "./delay.js";
import { decodeEvent, hmac, shownOf } from "./event.js";
import { base64, concat, need, uint64, utf8 } from "./log/bytes.js";
import { attempt } from "./reasons.js";

/** @import {Footprint, Line} from "./footprint.js" */
/** @typedef {{n: number, index: number, sealed: string, matter?: string | null}} SealedLine base64 */
/** @typedef {Omit<Footprint, "tagKey" | "lines"> & {lines: SealedLine[]}} SealedFootprint */

/** What is sealed by itself of a line: what opens its commitment and the event, and what the event is about. */
const BODY = "usufruct/line/v1";
const MATTER = "usufruct/line-matter/v1";
const SALT_BYTES = 16;
const TAG_BYTES = 16;
/** The first block of the text in AES-GCM under a nonce of zeros. */
const COUNTER = Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 2 : 0));

/**
 * The footprint that the key opens, to be checked against the log. Where a line does not open it says so.
 * @param {SealedFootprint} sealed @param {Uint8Array} key @returns {Promise<Footprint>}
 */
export async function openFootprint(sealed, key) {
  need(key.length === 64, "malformed");
  const own = key.subarray(32);
  const weeks = sealed.lines.map(({ n }) => weekOf(n)).filter((week) => week > 0);
  const { value: seeds } = await attempt(() => seedsFrom(sealed.delay, Math.min(...weeks)));
  /** @param {number} n */
  const keyOf = async (n) => {
    const seed = seeds?.get(weekOf(n));
    return seed ? weekLineKey(own, seed) : own;
  };
  const lines = await Promise.all(sealed.lines.map(async (line) => openOne(line, await keyOf(line.n))));
  return { ...sealed, tagKey: toBase64(key.subarray(0, 32)), lines };
}

/** @param {SealedLine} line @param {Uint8Array} lineKey @returns {Promise<Line>} */
async function openOne({ n, index, sealed, matter }, lineKey) {
  const { value: opened } = await attempt(async () => (matter ? toBase64(await openLine(lineKey, n, base64(matter), MATTER)) : null));
  const { value } = await attempt(async () => {
    const body = await openLine(lineKey, n, base64(sealed));
    const [r, event] = [body.subarray(0, 32), body.subarray(32)];
    return { r: toBase64(r), event: toBase64(event), shown: shownOf(decodeEvent(event)) };
  });
  return { n, index, ...(opened && { matter: opened }), ...(value ?? { r: null, event: null, shown: { kind: "", at: "0", blocks: [] } }) };
}

/**
 * The body of a line: 32 bytes that open its commitment, and the event. Its seal is not checked here, because that names the
 * resident by a number that stays in the house. The commitment in the log binds every byte of the body instead, so what this gives
 * must be checked against the log before it is believed.
 * @param {Uint8Array} lineKey @param {number | bigint} n @param {Uint8Array} sealed @param {string} [part]
 */
export async function openLine(lineKey, n, sealed, part = BODY) {
  need(sealed.length >= SALT_BYTES + TAG_BYTES, "unopened");
  const info = concat(utf8(part), uint64(n), sealed.subarray(0, SALT_BYTES));
  // HKDF-Expand (RFC 5869, 2.3) of one block.
  const raw = /** @type {BufferSource} */ (await hmac(lineKey, info, Uint8Array.of(1)));
  const key = await crypto.subtle.importKey("raw", raw, "AES-CTR", false, ["decrypt"]);
  const algorithm = { name: "AES-CTR", counter: COUNTER, length: 32 };
  const padded = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, sealed.slice(SALT_BYTES, -TAG_BYTES)));
  need(padded.length >= 4, "unopened");
  const length = new DataView(padded.buffer).getUint32(0);
  need(length <= padded.length - 4 && padded.subarray(4 + length).every((byte) => byte === 0), "unopened");
  return padded.subarray(4, 4 + length);
}

/** @param {Uint8Array} bytes */
const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
