// @ts-check
// What of a resident is in the log, and not on the page.
import { FIRST_NUMBER, weekOf } from "./delay.js";
import { isCount, tag } from "./event.js";
import { Broken, base64, hex } from "./log/bytes.js";
import { sha256 } from "./log/tree.js";
import { attempt, verdict, worst } from "./reasons.js";
import { SEGMENT, searchTags } from "./tags.js";

/** @import {Footprint, Log, Options} from "./footprint.js" */
/** @import {Reason, State} from "./reasons.js" */
/** @import {Place} from "./tags.js" */
/** @typedef {{state: State, searched: number, yours: number, findings: Reason[]}} Search entries of the log, how many are hers, what is wrong */

/** How many numbers beyond the last line are looked for. */
const LOOK_AHEAD = 64;
/** As many beyond the last line of each week: most weeks have none at all. */
const LOOK_AHEAD_IN_WEEK = 8;
/** So many numbers may be missing between lines, beside as many as there are lines, and are still looked for. */
const MOST_GAPS = 1000;

/**
 * Looks in the whole log for tags that no proven line has.
 * @param {Footprint} footprint @param {Map<number, Uint8Array>} weeks tag keys of the weeks in which delayed lines may have opened
 * @param {Log} log @param {Place[]} proven lines that are in the log where they say @param {Options} options
 * @returns {Promise<Search>}
 */
export async function searchLog(footprint, weeks, log, proven, options) {
  const { value, broken } = await attempt(() => look(footprint, weeks, log, proven, options));
  const numbers = new Set([...proven, ...(value?.strays ?? [])].map(({ n }) => n));
  const verdicts = (broken ? [broken] : judge(footprint, proven, value)).map(verdict);
  return {
    state: worst(verdicts.map(({ state }) => state)),
    searched: broken ? 0 : log.tree.size - value.since,
    yours: numbers.size,
    findings: verdicts.flatMap(({ reason }) => reason ?? []),
  };
}

/**
 * From where an earlier search ended, if that one knew the tags of all lines there are now. `since` is where it all began.
 * @param {Footprint} footprint @param {Map<number, Uint8Array>} weeks @param {Log} log @param {Place[]} proven @param {Options} options
 */
async function look({ origin, tagKey, lines: all, delay }, weeks, { tree, old }, proven, { storage, whole, most = Infinity, random }) {
  const key = base64(tagKey);
  const lines = inWeek(all, 0);
  const count = Math.min(lastOf(lines) + 1, MOST_GAPS + 2 * lines.length) + LOOK_AHEAD;
  /** @type {{key: Uint8Array, n: number}[]} */
  const wanted = Array.from({ length: count }, (_, n) => ({ key, n }));
  for (const [week, key] of weeks) {
    const first = week * FIRST_NUMBER;
    const [last, known] = [Math.max(lastOf(inWeek(all, week)), first - 1), inWeek(all, week).length];
    const count = Math.min(last - first + 1, MOST_GAPS + 2 * known) + LOOK_AHEAD_IN_WEEK;
    wanted.push(...Array.from({ length: count }, (_, place) => ({ key, n: first + place })));
  }
  const tags = new Map(await Promise.all(wanted.map(async ({ key, n }) => /** @type {const} */ ([n, await tag(key, n)]))));

  const name = `searched:${origin}:${hex(await sha256(key)).slice(0, 16)}`;
  const [size, known, began, seen = 0, lacked = 0, week = 0] = (storage?.get(name) ?? "0 0 0").split(" ").map(Number);
  // Lines that have gone since are looked for from the beginning, and so are those of a week that has begun: they may be older than any look.
  const now = delay?.week ?? 0;
  const lacks = lastOf(lines) + 1 + (all.length - lines.length) - proven.length;
  const isGone = proven.length < seen || lacks > lacked;
  let [from, since] = !whole && size <= old && lastOf(lines) < known && !isGone && week === now ? [size, began] : [0, 0];
  if (!whole && tree.size - from > most) from = since = Math.ceil((tree.size - most) / SEGMENT) * SEGMENT;
  const places = new Map(proven.map(({ n, index }) => [index, n]));
  const findings = await searchTags(tree, tags, places, { from, whole, random });
  if (findings.strays.length + findings.lies.length === 0) storage?.set(name, `${tree.size} ${count} ${since} ${proven.length} ${lacks} ${now}`);
  return { ...findings, since };
}

/** @param {Footprint} footprint @param {Place[]} proven @param {import("./tags.js").Findings} findings */
function judge({ lines, size = Infinity }, proven, { strays, lies }) {
  const broken = strays.map(({ n, index }) => {
    const other = proven.find((line) => line.n === n);
    if (other) return new Broken("duplicate", { n, index, other: other.index });
    const isOlder = index < size || lines.some((line) => line.n === n);
    return new Broken(isOlder ? "hidden" : "newer", { n, index });
  });
  for (const week of new Set(strays.map(({ n }) => weekOf(n)))) {
    const [found, first] = [inWeek(strays, week), week * FIRST_NUMBER];
    for (let n = Math.max(lastOf(inWeek(lines, week)) + 1, first); n < lastOf(found); n += 1) {
      if (!found.some((stray) => stray.n === n)) broken.push(new Broken("gap", { n }));
    }
  }
  if (lies.length > 0) broken.push(new Broken("index", { index: lies[0], leaves: lies.length }));
  return broken;
}

/** @param {{n: number}[]} lines */
const lastOf = (lines) => lines.reduce((last, { n }) => (isCount(n) ? Math.max(last, n) : last), -1);

/** Those of her own chain for week 0. @template {{n: number}} T @param {T[]} lines @param {number} week */
const inWeek = (lines, week) => lines.filter(({ n }) => weekOf(n) === week);
