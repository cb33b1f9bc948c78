// @ts-check
// Checks a resident's whole footprint against the public log: that each line shown is the line that was committed, that
// the lines are all there from number 0 on, that no line is in the log and not shown, and that the log still holds what it
// held when this reader last looked.
import { FIRST_NUMBER, isBehind, weekKeys, weekOf } from "./delay.js";
import { commitment, decodeEvent, eventLeaf, isCount, shownOf, tag, withMatter } from "./event.js";
import { Broken, base64, equal, need } from "./log/bytes.js";
import { openLog, parseCheckpoint, parseKey, parseNote, parsePolicy } from "./log/checkpoint.js";
import { leafHash } from "./log/tree.js";
import { attempt, verdict, worst } from "./reasons.js";
import { searchLog } from "./search.js";

/** @import {Delay} from "./delay.js" */
/** @import {Event} from "./event.js" */
/** @import {Key} from "./log/checkpoint.js" */
/** @import {FetchBytes} from "./log/tree.js" */
/** @import {Attempt, Reason, State} from "./reasons.js" */
/** @import {Search} from "./search.js" */
/** @import {Random} from "./tags.js" */
/** @typedef {{kind: string, mandate?: string | null, service?: string | null, at: string, blocks: string[]}} Shown */
/** @typedef {{n: number, index: number, event: string | null, r: string | null, matter?: string | null, shown: Shown}} Line `matter`: what opens a matter that concerns somebody else, once its day has come */
/**
 * @typedef {object} Footprint
 * @property {string} origin
 * @property {string} vkey
 * @property {string | null} [policy] whose cosignatures the log should have (tlog-policy)
 * @property {string} tagKey base64
 * @property {Delay} [delay] what opens her delayed lines up to the week that runs
 * @property {string} checkpointUrl
 * @property {number} [size] entries of the log that were public before the lines were read; all of them, if it is not said
 * @property {Line[]} lines
 */
/** @typedef {{n: number, state: State, reason: Reason | null, event: Event | null}} LineResult */
/** @typedef {{cosigned: number, of: number, unsupported: number}} Witnesses of the policy; `unsupported`: signatures that cannot be checked here */
/**
 * @typedef {object} Result
 * @property {State} state the worst of all
 * @property {Reason | null} reason what is wrong with the log
 * @property {number | null} size
 * @property {LineResult[]} lines
 * @property {Search | null} search
 * @property {Witnesses | null} witnesses none, if the policy names none
 */
/** @typedef {{get: (name: string) => string | null, set: (name: string, text: string) => void}} Storage */
/** @typedef {Awaited<ReturnType<typeof openLog>> & {of: Key[], old: number}} Log with its witnesses, and its size when last looked at */
/** @typedef {{event: Event, isTold: boolean, c: Uint8Array, leaf: Uint8Array}} Opened `isTold`: its matter was handed out */

const PUBLISH_WITHIN_MICROS = 60_000_000;
/** Lines looked up at the same time. */
const BATCH = 16;

/**
 * @typedef {object} Options
 * @property {FetchBytes} fetchBytes
 * @property {Storage} [storage] remembers the last checkpoint of a log, and how far it was searched
 * @property {number} [nowMillis]
 * @property {Set<number>} [known] numbers of lines that an earlier call with the same storage found in the log
 * @property {boolean} [whole] reads every entry of the log
 * @property {number} [most] so many entries are searched at once, the newest; all, if it is not said
 * @property {Random} [random]
 * @property {() => Promise<Footprint>} [reload] the footprint as it is now, for when the log holds more lines than were shown
 */

/** @param {Footprint} footprint @param {Options} options @returns {Promise<Result>} */
export async function verifyFootprint(footprint, options) {
  const log = await attempt(() => readLog(footprint, options));
  const result = await examine(footprint, log, options);
  if (result.search?.state !== "pending" || !hasCode(result.search, "newer") || !options.reload) return result;

  // What happened since the page was made is not hidden. What the server does not hand out even now is.
  const { value } = await attempt(options.reload);
  if (!Array.isArray(value?.lines)) return result;
  const again = await examine({ ...footprint, lines: value.lines, delay: value.delay, size: undefined }, log, options);
  const newer = again.lines.filter(({ n }) => !footprint.lines.some((line) => line.n === n));
  if (newer.length === 0 || !again.search) return again;
  const { state, reason } = verdict(new Broken("newer", { lines: newer.length }));
  const findings = again.search.findings.concat(reason ?? []);
  const search = { ...again.search, state: worst([again.search.state, state]), findings };
  return { ...again, search, state: worst([again.state, state]) };
}

/** @param {Search} search @param {string} code */
const hasCode = ({ findings }, code) => findings.some((finding) => finding.code === code);

/** @param {Footprint} footprint @param {Attempt<Log>} log @param {Options} options @returns {Promise<Result>} */
async function examine(footprint, log, options) {
  const { lines, tagKey, delay } = footprint;
  const nowMillis = options.nowMillis ?? Date.now();
  const weeks = await attempt(() => weekKeys(delay, lines));
  /** @param {number} n */
  const keyOf = (n) => (weekOf(n) > 0 ? weeks.value?.get(weekOf(n)) : base64(tagKey));

  /** @param {Line} line */
  const check = async (line) => {
    const opened = await attempt(() => open(line, keyOf(line.n)));
    const found = await attempt(async () => {
      if (opened.broken ?? log.broken) throw opened.broken ?? log.broken;
      if (!options.known?.has(line.n)) await find(log.value, line.index, opened.value, nowMillis);
    });
    return { n: line.n, index: line.index, ...verdict(found.broken), isLate: Boolean(opened.value && isWithheld(opened.value, nowMillis)), event: opened.value?.event ?? null, c: opened.value?.c };
  };

  const checked = [];
  for (let i = 0; i < lines.length; i += BATCH) {
    checked.push(...(await Promise.all(lines.slice(i, i + BATCH).map(check))));
  }
  const proven = checked.filter(({ state }) => state === "verified");
  followChain(checked);
  const search = log.value && (await searchLog(footprint, weeks.value ?? new Map(), log.value, proven, options));

  // What is not shown on its day may be shown later, and the line is in the log all the same.
  for (const line of checked) if (line.isLate && line.state === "verified") Object.assign(line, verdict(new Broken("withheld")));

  const { value } = log;
  const lacks = value?.checkpoint.lacks;
  const behind = isBehind(delay, nowMillis) ? new Broken("weeks") : null;
  const overall = verdict(log.broken ?? weeks.broken ?? (lacks ? new Broken(lacks) : behind));
  return {
    state: worst([overall, search ?? overall, ...checked].map(({ state }) => state)),
    reason: overall.reason,
    size: value?.tree.size ?? null,
    lines: checked.map(({ n, state, reason, event }) => ({ n, state, reason, event })),
    search,
    witnesses: value && witnessed(value),
  };
}

/**
 * What a line says of itself, before the log is asked.
 * @param {Line} line @param {Uint8Array | undefined} tagKey that of its chain, if it is known @returns {Promise<Opened>}
 */
async function open({ n, index, event: encoded, r, matter, shown }, tagKey) {
  needCrypto();
  need(isCount(n) && isCount(index), "malformed");
  need(encoded !== null && r !== null, "unopened");
  const bytes = base64(encoded);
  const event = decodeEvent(bytes);
  need(event.n === n, "number");
  for (const [field, value] of Object.entries(shownOf(event))) {
    const shownValue = shown[/** @type {keyof Shown} */ (field)] ?? null;
    need(JSON.stringify(shownValue) === JSON.stringify(value), "shown", { field });
  }
  need(tagKey, "anchor");
  const c = await commitment(base64(r), bytes);
  const whole = matter ? await withMatter(event, base64(matter)) : event;
  return { event: whole, isTold: Boolean(matter), c, leaf: await leafHash(eventLeaf(c, await tag(tagKey, n))) };
}

/** Whether the day of a matter has come, by the clock of this reader, and nothing was handed out. @param {Opened} opened @param {number} nowMillis */
const isWithheld = ({ event, isTold }, nowMillis) =>
  event.closed !== undefined && !isTold && event.closed[1] + PUBLISH_WITHIN_MICROS < nowMillis * 1000;

/**
 * The log as it is now, once it is known to extend what is remembered.
 * @param {Footprint} footprint @param {Options} options @returns {Promise<Log>}
 */
export async function readLog({ origin, vkey, policy, checkpointUrl }, { fetchBytes, storage }) {
  needCrypto();
  const key = await parseKey(vkey);
  need(key.name === origin, "checkpoint");
  const { witnesses, quorum } = await parsePolicy(policy ?? "quorum none\n");
  const base = checkpointUrl.replace(/checkpoint$/, "");
  /** @type {FetchBytes} */
  const fetchLog = (path, from, to) =>
    fetchBytes(base + path, from, to).catch(() => {
      throw new Broken("unreachable");
    });

  const name = `checkpoint:${origin}`;
  const remembered = storage?.get(name);
  const old = await attempt(async () => remembered ? parseCheckpoint(parseNote(remembered).text) : null);
  const log = await openLog(fetchLog, { logs: [key], witnesses, quorum }, old.value && remembered);
  storage?.set(name, log.checkpoint.note);
  return { ...log, of: witnesses, old: old.value?.size ?? 0 };
}

/** @param {Log} log @param {number} index @param {Opened} opened @param {number} nowMillis */
async function find({ tree }, index, { event, leaf }, nowMillis) {
  if (index >= tree.size) {
    const fresh = Math.abs(nowMillis * 1000 - event.at) < PUBLISH_WITHIN_MICROS;
    throw new Broken(fresh ? "unpublished" : "overdue");
  }
  need(equal(await tree.subtree(index, index + 1), leaf), "unlogged");
}

/**
 * Numbers run from the first of each chain without gap or duplicate, and each line names the commitment of the one before. A line that is
 * broken already is not blamed on the line after it.
 * @param {(LineResult & {c?: Uint8Array})[]} lines
 */
function followChain(lines) {
  const chain = lines.filter(({ n }) => isCount(n)).sort((a, b) => a.n - b.n);
  chain.forEach((line, i) => {
    const before = chain[i - 1] && weekOf(chain[i - 1].n) === weekOf(line.n) ? chain[i - 1] : undefined;
    const expected = before ? before.n + 1 : weekOf(line.n) * FIRST_NUMBER;
    if (before && line.n < expected) {
      Object.assign(before, verdict(new Broken("duplicate")));
      Object.assign(line, verdict(new Broken("duplicate")));
    } else if (line.n > expected) {
      Object.assign(line, verdict(new Broken("gap", { from: expected, to: line.n - 1 })));
    } else if (line.state !== "broken" && before?.state !== "broken") {
      const prev = before?.c ?? new Uint8Array();
      if (!line.event || !equal(line.event.prev, prev)) Object.assign(line, verdict(new Broken("chain")));
    }
  });
}

/** A witness may have keys of several kinds. @param {Log} log @returns {Witnesses | null} */
function witnessed({ checkpoint: { signed, unsupported }, of }) {
  const names = (/** @type {Key[]} */ keys) => new Set(keys.map(({ name }) => name)).size;
  const cosigned = names(of.filter((key) => signed.has(key)));
  return of.length > 0 ? { cosigned, of: names(of), unsupported: of.filter((key) => unsupported.has(key)).length } : null;
}

function needCrypto() {
  need(globalThis.crypto?.subtle, "unsupported");
}
