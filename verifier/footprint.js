// @ts-check
// Checks a resident's whole footprint against the public log: that each line shown is the line that was committed, that
// the lines are all there from number 0 on, and that the log still holds what it held when this reader last looked.
import { Broken, base64, equal, hex, isCount, text, utf8 } from "./bytes.js";
import { openCheckpoint, readCheckpoint } from "./checkpoint.js";
import { commitment, decodeEvent, eventLeaf, tag } from "./event.js";
import { Tiles, leafHash, verifyConsistency, verifyInclusion } from "./merkle.js";
import { parseVkey } from "./note.js";

/** @typedef {{kind: string, mandate?: string | null, service?: string | null, at: string, blocks: string[]}} Shown */
/** @typedef {{n: number, index: number, event: string | null, r: string | null, shown: Shown}} Line */
/** @typedef {{origin: string, vkey: string, tagKey: string, checkpointUrl: string, lines: Line[]}} Footprint */
/** @typedef {"verified" | "pending" | "broken"} State */
/** @typedef {{code: string, text: string} & Record<string, unknown>} Reason */
/** @typedef {{n: number, state: State, reason: Reason | null, event: import("./event.js").Event | null}} LineResult */
/** @typedef {{state: State, reason: Reason | null, size: number | null, lines: LineResult[]}} Result */
/** @typedef {{get: (origin: string) => string | null, set: (origin: string, note: string) => void}} Storage */
/** @typedef {{event: import("./event.js").Event, c: Uint8Array, leaf: Uint8Array}} Opened */
/** @typedef {{size: number, root: Uint8Array, tiles: Tiles}} Log */

/** What a code says in English; a page may say it in other words. */
export const REASONS = {
  unpublished: "Not yet in the public log. This takes less than a minute.",
  unreachable: "The public log does not answer. Try again later.",
  unsupported: "This program cannot check Ed25519 signatures. Use a newer one.",

  chain: "This line does not follow from the line before it.",
  checkpoint: "The checkpoint is malformed or belongs to another log.",
  duplicate: "Two lines carry the same number.",
  forked: "The log was forked: it no longer holds what it held when you last looked. Keep both checkpoints.",
  gap: "Lines are missing before this one.",
  malformed: "The line is not in the one form that lines have.",
  note: "The checkpoint is not a signed note.",
  number: "The stored line carries another number.",
  overdue: "The line is not in the public log, and it should be by now.",
  rewound: "The log was rewound: it is shorter than when you last looked. Keep both checkpoints.",
  shown: "The page shows something else than the stored line says.",
  signature: "The checkpoint is not signed with the key of the log.",
  tile: "The log contradicts its own signed checkpoint.",
  unlogged: "The log holds something else in the place of this line.",
  unopened: "The stored line can no longer be opened; it was changed or removed.",
  vkey: "The key of the log is malformed.",
};

const PENDING = ["unpublished", "unreachable", "unsupported"];
const PUBLISH_WITHIN_MICROS = 60_000_000;
/** Lines looked up at the same time. */
const BATCH = 16;

/**
 * @typedef {object} Options
 * @property {import("./merkle.js").FetchBytes} fetchBytes
 * @property {Storage} [storage] remembers the last checkpoint of a log
 * @property {number} [nowMillis]
 * @property {Set<number>} [known] numbers of lines that an earlier call with the same storage found in the log
 */

/** @param {Footprint} footprint @param {Options} options @returns {Promise<Result>} */
export async function verifyFootprint(footprint, options) {
  const { lines, tagKey } = footprint;
  const nowMillis = options.nowMillis ?? Date.now();
  const log = await attempt(() => readLog(footprint, options));

  /** @param {Line} line */
  const check = async (line) => {
    const opened = await attempt(() => open(line, tagKey));
    const found = await attempt(async () => {
      if (opened.broken ?? log.broken) throw opened.broken ?? log.broken;
      if (!options.known?.has(line.n)) await find(log.value, line.index, opened.value, nowMillis);
    });
    return { n: line.n, ...verdict(found.broken), event: opened.value?.event ?? null, c: opened.value?.c };
  };

  const checked = [];
  for (let i = 0; i < lines.length; i += BATCH) {
    checked.push(...(await Promise.all(lines.slice(i, i + BATCH).map(check))));
  }
  followChain(checked);

  const overall = verdict(log.broken);
  const states = [overall, ...checked].map(({ state }) => state);
  return {
    state: states.find((state) => state === "broken") ?? states.find((state) => state === "pending") ?? "verified",
    reason: overall.reason,
    size: log.value?.size ?? null,
    lines: checked.map(({ n, state, reason, event }) => ({ n, state, reason, event })),
  };
}

/** What a line says of itself, before the log is asked. @param {Line} line @param {string} tagKey @returns {Promise<Opened>} */
async function open({ n, index, event: encoded, r, shown }, tagKey) {
  needCrypto();
  if (!isCount(n) || !isCount(index)) throw new Broken("malformed");
  if (encoded === null || r === null) throw new Broken("unopened");
  const bytes = base64(encoded);
  const event = decodeEvent(bytes);
  if (event.n !== n) throw new Broken("number");
  const said = {
    kind: event.kind,
    mandate: event.mandate ? hex(event.mandate) : null,
    service: event.service ?? null,
    at: String(event.at),
    blocks: event.blocks.map((block) => block.join(":")),
  };
  for (const [field, value] of Object.entries(said)) {
    const shownValue = shown[/** @type {keyof Shown} */ (field)] ?? null;
    if (JSON.stringify(shownValue) !== JSON.stringify(value)) throw new Broken("shown", { field });
  }
  const c = await commitment(base64(r), bytes);
  return { event, c, leaf: await leafHash(eventLeaf(c, await tag(base64(tagKey), n))) };
}

/**
 * The tree of the signed checkpoint, once it is known to extend the one remembered.
 * @param {Footprint} footprint @param {Options} options @returns {Promise<Log>}
 */
async function readLog({ origin, vkey, checkpointUrl }, { fetchBytes, storage }) {
  needCrypto();
  const note = await fetchBytes(checkpointUrl).catch(() => null);
  if (!note) throw new Broken("unreachable");
  const { size, root } = await openCheckpoint(note, origin, await parseVkey(vkey));
  const tiles = new Tiles(fetchBytes, size, checkpointUrl.replace(/checkpoint$/, ""));

  const remembered = storage?.get(origin);
  const { value: old } = await attempt(async () => remembered ? readCheckpoint(utf8(remembered)) : null);
  if (old) {
    const evidence = [remembered, text(note)];
    if (old.size > size) throw new Broken("rewound", { evidence });
    if (!equal(await rootAt(old.size, { size, root, tiles }), old.root)) throw new Broken("forked", { evidence });
  }
  storage?.set(origin, text(note));
  return { size, root, tiles };
}

/**
 * The root the log had at an earlier size, proven from its present root: tiles that do not prove it are bad tiles and no
 * fork.
 * @param {number} oldSize @param {Log} log
 */
async function rootAt(oldSize, { size, root, tiles }) {
  if (oldSize === size) return root;
  const oldRoot = await tiles.root(oldSize);
  if (oldSize === 0) return oldRoot;
  const proof = await tiles.consistencyProof(oldSize);
  if (!(await verifyConsistency(oldSize, size, oldRoot, root, proof))) throw new Broken("tile");
  return oldRoot;
}

/** @param {Log} log @param {number} index @param {Opened} opened @param {number} nowMillis */
async function find({ size, root, tiles }, index, { event, leaf }, nowMillis) {
  if (index >= size) {
    const fresh = Math.abs(nowMillis * 1000 - event.at) < PUBLISH_WITHIN_MICROS;
    throw new Broken(fresh ? "unpublished" : "overdue");
  }
  if (!equal(await tiles.leaf(index), leaf)) throw new Broken("unlogged");
  const proof = await tiles.inclusionProof(index);
  if (!(await verifyInclusion(index, size, leaf, proof, root))) throw new Broken("tile");
}

/**
 * Numbers run from 0 without gap or duplicate, and each line names the commitment of the one before. A line that is
 * broken already is not blamed on the line after it.
 * @param {(LineResult & {c?: Uint8Array})[]} lines
 */
function followChain(lines) {
  const chain = lines.filter(({ n }) => isCount(n)).sort((a, b) => a.n - b.n);
  chain.forEach((line, i) => {
    const before = chain[i - 1];
    const expected = before ? before.n + 1 : 0;
    if (line.n < expected) {
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

/** @param {Broken | null} broken @returns {{state: State, reason: Reason | null}} */
function verdict(broken) {
  if (!broken) return { state: "verified", reason: null };
  const code = /** @type {keyof typeof REASONS} */ (broken.code);
  return { state: PENDING.includes(code) ? "pending" : "broken", reason: { code, text: REASONS[code], ...broken.details } };
}

/**
 * Whatever goes wrong without saying why comes from bytes in no known form.
 * @template T @param {() => Promise<T>} check @returns {Promise<{value: T, broken: null} | {value: null, broken: Broken}>}
 */
async function attempt(check) {
  try {
    return { value: await check(), broken: null };
  } catch (error) {
    return { value: null, broken: error instanceof Broken ? error : new Broken("malformed") };
  }
}

function needCrypto() {
  if (!globalThis.crypto?.subtle) throw new Broken("unsupported");
}
