// @ts-check
// What can be wrong, in English; a page may say it in other words.
import { Broken } from "./log/bytes.js";

export const REASONS = {
  unpublished: "Not yet in the public log. This takes less than a minute.",
  unreachable: "The public log does not answer. Try again later.",
  unsearched: "The tag index of the log does not answer, so the log was not searched. Try again later.",
  unsupported: "This program cannot check all signatures that are asked for. Use a newer one.",
  newer: "The log holds lines of yours that this footprint lacks. Load it again; if it still lacks them, they are hidden from you.",
  weeks: "A week has begun since this footprint was made. Load it again; if it stays so, lines are hidden from you.",
  quorum: "Too few witnesses have co-signed this state of the log.",
  withheld: "The day of this line has come, and what it is about is not shown. Load the footprint again; if it still lacks it, it is withheld from you.",

  anchor: "The key of the lines that are shown later is not the one that was given at the beginning.",
  chain: "This line does not follow from the line before it.",
  checkpoint: "The checkpoint is malformed or belongs to another log.",
  dates: "A date lies before what the log knew then, after the statement that gives it, or before one that it follows.",
  duplicate: "Two lines carry the same number.",
  forked: "The log was forked: it no longer holds what it held when you last looked. Keep both checkpoints.",
  gap: "Lines are missing before this one.",
  hidden: "The log holds a line of yours that is not shown to you.",
  index: "The tag index says something else than the log it belongs to.",
  malformed: "The line is not in the one form that lines have.",
  matter: "What is shown of the matter of this line is not what the log binds.",
  note: "The checkpoint is not a signed note.",
  number: "The stored line carries another number.",
  overdue: "The line is not in the public log, and it should be by now.",
  policy: "The policy on witnesses is malformed.",
  proof: "The proof is malformed, or proves something else.",
  rewound: "The log was rewound: it is shorter than when you last looked. Keep both checkpoints.",
  shown: "The page shows something else than the stored line says.",
  signature: "The checkpoint is not signed with the key of the log.",
  tile: "The log contradicts its own signed checkpoint.",
  unlogged: "The log holds something else in the place of this line.",
  unapproved: "The operator's people have not approved this, as far as the log's statements that were read say who they are.",
  unheard: "The log did not know a key of the certificate before, or knew it as another one's.",
  unopened: "The stored line can no longer be opened; it was changed or removed.",
  vkey: "The key of the log is malformed.",
};

const PENDING = ["unpublished", "unreachable", "unsearched", "unsupported", "newer", "weeks", "quorum", "withheld"];

/** @typedef {"verified" | "pending" | "broken"} State */
/** @typedef {{code: keyof typeof REASONS, text: string} & Record<string, unknown>} Reason */

/**
 * Nothing wrong is `null`.
 * @param {{code: string, details?: object} | null} broken @returns {{state: State, reason: Reason | null}}
 */
export function verdict(broken) {
  if (!broken) return { state: "verified", reason: null };
  const code = /** @type {keyof typeof REASONS} */ (broken.code in REASONS ? broken.code : "malformed");
  return { state: PENDING.includes(code) ? "pending" : "broken", reason: { code, text: REASONS[code], ...broken.details } };
}

/** The worst of them. @param {State[]} states @returns {State} */
export function worst(states) {
  if (states.includes("broken")) return "broken";
  return states.includes("pending") ? "pending" : "verified";
}

/**
 * Whatever goes wrong without saying why comes from bytes in no known form.
 * @template T @typedef {{value: T, broken: null} | {value: null, broken: Broken}} Attempt
 */
/** @template T @param {() => Promise<T>} check @returns {Promise<Attempt<T>>} */
export async function attempt(check) {
  try {
    return { value: await check(), broken: null };
  } catch (error) {
    return { value: null, broken: error instanceof Broken ? error : new Broken("malformed") };
  }
}
