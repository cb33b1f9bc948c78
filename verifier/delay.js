// @ts-check
// A resident's second chain: lines that a covert mandate shows her later. Each is numbered within the week on which it opens. The seeds of
// the weeks hang on one another, so that the one of the week that runs gives those of all weeks before it and of none after it, and a seed that she
// was given at the beginning binds them all.
import { decodeEvent, hmac } from "./event.js";
import { base64, concat, equal, need, utf8 } from "./log/bytes.js";
import { sha256 } from "./log/tree.js";
import { attempt } from "./reasons.js";

/** @import {Line} from "./footprint.js" */
/** @typedef {{week: number, seed: string | null}} Delay the week that runs, and its seed in base64 */
/** @typedef {Map<number, Uint8Array>} Seeds by week */

/** A number from here on is a place in a week, not in her own chain. */
export const FIRST_NUMBER = 2 ** 32;
/** No line opens after this week. */
const LAST_WEEK = 5218;
const WEEK_MICROS = 7 * 86_400_000_000;
/** Monday, 5 January 1970, midnight in Taipei. */
const BEGIN_MICROS = 4 * 86_400_000_000 - 8 * 3_600_000_000;

/** @param {number} micros UTC */
export const weekAt = (micros) => Math.max(0, Math.floor((micros - BEGIN_MICROS) / WEEK_MICROS));

/** The week on which a line opens; 0 for one of her own chain. @param {number} n */
export const weekOf = (n) => Math.floor(n / FIRST_NUMBER);

/** @param {Uint8Array} seed */
export const seedBefore = (seed) => sha256(concat(utf8("usufruct/delay-seed/v1"), seed));

/** Finds the tags of a week's lines. @param {Uint8Array} seed */
export const weekTagKey = (seed) => hmac(seed, utf8("usufruct/delayed-tag/v1"));

/** Opens a week's lines. @param {Uint8Array} lineKey her own @param {Uint8Array} seed */
export const weekLineKey = (lineKey, seed) => hmac(lineKey, utf8("usufruct/delayed-line/v1"), seed);

/** The seeds from `first` up to the week that runs. @param {Delay | null | undefined} delay @param {number} first @returns {Promise<Seeds>} */
export async function seedsFrom(delay, first) {
  const seeds = new Map();
  if (!delay?.seed) return seeds;
  let seed = base64(delay.seed);
  need(Number.isInteger(delay.week) && delay.week <= LAST_WEEK && seed.length === 32, "anchor");
  for (let week = delay.week; week >= first; week -= 1) {
    seeds.set(week, seed);
    seed = await seedBefore(seed);
  }
  return seeds;
}

/**
 * The tag keys of all weeks in which a line of hers may have opened, once the seed is known to be what she was given.
 * @param {Delay | null | undefined} delay @param {Line[]} lines @returns {Promise<Map<number, Uint8Array>>}
 */
export async function weekKeys(delay, lines) {
  /** @type {{week: number, seed: Uint8Array}[]} */
  const anchors = [];
  for (const { n, event } of lines) {
    if (weekOf(n) > 0 || event === null) continue;
    const { value } = await attempt(async () => decodeEvent(base64(event)));
    if (value?.anchor) anchors.push({ week: weekAt(value.at), seed: value.anchor });
  }
  const weeks = [...anchors.map(({ week }) => week), ...lines.map(({ n }) => weekOf(n)).filter((week) => week > 0)];
  if (weeks.length === 0) return new Map();
  need(delay?.seed, "anchor");
  const seeds = await seedsFrom(delay, Math.min(...weeks));
  for (const { week, seed } of anchors) need(equal(seeds.get(week) ?? new Uint8Array(), seed), "anchor");
  return new Map(await Promise.all([...seeds].map(async ([week, seed]) => /** @type {const} */ ([week, await weekTagKey(seed)]))));
}

/** Whether a week has begun whose seed is not there. @param {Delay | null | undefined} delay @param {number} nowMillis */
export const isBehind = (delay, nowMillis) => Boolean(delay && delay.week < Math.min(weekAt(nowMillis * 1000), LAST_WEEK));
