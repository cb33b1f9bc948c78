// @ts-check
// Runs the verifier on the footprint page. It writes attributes and text only, so that it runs under Trusted Types.
import { fetchBytes } from "./fetch.js";
import { verifyFootprint } from "./footprint.js";
import { worst } from "./reasons.js";

/** @import {Footprint, Result} from "./footprint.js" */
/** @import {Reason} from "./reasons.js" */

const RECHECKS = 30;
const RECHECK_AFTER_MILLIS = 1000;
/** So many entries are searched at once: 16 MB of the tag index. */
const MOST = 4_194_304;
/** Nodes may serve a checkpoint some seconds old, so a shorter log is looked at again before it is called rewound. */
const REWIND_RECHECKS = 5;

/** What is remembered of logs; for as long as the page is open where the browser refuses to remember. */
function browserStorage() {
  const memory = new Map();
  return {
    get: (/** @type {string} */ name) => {
      try {
        return localStorage.getItem(`usufruct-${name}`) ?? memory.get(name) ?? null;
      } catch {
        return memory.get(name) ?? null;
      }
    },
    set: (/** @type {string} */ name, /** @type {string} */ text) => {
      memory.set(name, text);
      try {
        localStorage.setItem(`usufruct-${name}`, text);
      } catch {
        // Private windows may refuse; the memory above still holds for this page.
      }
    },
  };
}

/** @param {Document} page */
export async function run(page) {
  const data = page.getElementById("footprint-data");
  if (!data) return;
  /** @type {Footprint} */
  const footprint = JSON.parse(data.textContent ?? "");
  const url = data.getAttribute("data-reload");
  const reload = url ? async () => (await fetch(url, { cache: "no-store" })).json() : undefined;
  const storage = browserStorage();
  const known = new Set();
  for (let round = 0; ; round += 1) {
    const result = await verifyFootprint(footprint, { fetchBytes, storage, known, reload, most: MOST });
    const again = round < (result.reason?.code === "rewound" ? REWIND_RECHECKS : RECHECKS) && mayStillChange(result);
    if (!(again && result.reason?.code === "rewound")) show(page, result);
    if (!again) return;
    for (const line of result.lines) if (line.state === "verified") known.add(line.n);
    await new Promise((resolve) => setTimeout(resolve, RECHECK_AFTER_MILLIS));
  }
}

/** @param {Result} result */
const mayStillChange = ({ reason, lines }) =>
  reason?.code === "rewound" || [{ reason }, ...lines].some((part) => ["unpublished", "unreachable"].includes(part.reason?.code ?? ""));

/** @param {Document} page @param {Result} result */
function show(page, result) {
  for (const { n, state, reason } of result.lines) {
    const row = page.querySelector(`[data-line="${Number(n)}"]`);
    const words = row?.closest("[data-text-verified]");
    if (!row || !words) continue;
    row.setAttribute("data-proof", state);
    row.setAttribute("data-proof-reason", reason?.code ?? "");
    const target = row.querySelector("[data-proof-text]");
    const why = reason && (words.getAttribute(`data-reason-${reason.code}`) ?? (state === "broken" ? reason.text : ""));
    if (target) target.textContent = [words.getAttribute(`data-text-${state}`), why].filter(Boolean).join(" ");
  }
  const summary = page.getElementById("proof-summary");
  if (summary) summarise(summary, result);
  const evidence = page.getElementById("proof-evidence");
  if (evidence) present(page, evidence, result);
}

/**
 * One box for all of it: what stands in the lines, what is in the log beside them, and who else saw that log.
 * @param {HTMLElement} summary @param {Result} result
 */
function summarise(summary, { state, reason, size, lines, search, witnesses }) {
  const count = (/** @type {string} */ state) => lines.filter((line) => line.state === state).length;
  const numbers = {
    verified: count("verified"), pending: count("pending"), broken: count("broken"),
    size, searched: search?.searched, yours: search?.yours, cosigned: witnesses?.cosigned, witnesses: witnesses?.of,
  };
  const why = (/** @type {Reason} */ { code, text }) => summary.getAttribute(`data-reason-${code}`) ?? text;
  const text = (/** @type {string} */ name) => summary.getAttribute(`data-text-${name}`) ?? "";

  const found = new Map(search?.findings.map((finding) => [finding.code, why(finding)]));
  const sentences = [];
  if (reason) sentences.push(why(reason));
  if (!reason || size !== null) {
    const linesState = worst(lines.map((line) => line.state));
    // Nothing reassuring stands above an alarm.
    if (linesState !== "verified" || state !== "broken") sentences.push(text(linesState));
  }
  sentences.push(...found.values());
  if (search?.state === "verified" && state !== "broken") {
    sentences.push(text(search.searched === size ? "searched" : "searched-part"));
  }
  if (witnesses) sentences.push(text("witnesses"));

  const isAlarm = search?.state === "broken" || ["rewound", "forked"].includes(reason?.code ?? "");
  if (isAlarm) summary.setAttribute("role", "alert");
  summary.setAttribute("data-proof", state);
  const { lang } = summary.ownerDocument.documentElement;
  summary.textContent = join(sentences.map((sentence) => fill(sentence, numbers, lang)));
}

/** What anybody else can check, and what to keep. @param {Document} page @param {HTMLElement} list @param {Result} result */
function present(page, list, { reason, search }) {
  const { lang } = page.documentElement;
  const broken = search?.state === "broken" ? search.findings : [];
  const items = broken.map((finding) => {
    const item = page.createElement("li");
    item.textContent = fill(list.getAttribute(`data-evidence-${finding.code}`) ?? finding.text, finding, lang);
    return item;
  });
  for (const note of /** @type {string[]} */ (reason?.evidence ?? [])) {
    const [item, text] = [page.createElement("li"), page.createElement("pre")];
    text.textContent = note;
    text.setAttribute("tabindex", "0");
    item.append(text);
    items.push(item);
  }
  list.replaceChildren(...items);
  list.toggleAttribute("hidden", items.length === 0);
}

/** Puts numbers where "{name}" stands. @param {string} words @param {Record<string, unknown>} numbers @param {string} lang */
const fill = (words, numbers, lang) =>
  words.replace(/\{(\w+)\}/g, (place, name) => {
    const n = numbers[name];
    return typeof n === "number" ? n.toLocaleString(lang || "en") : place;
  });

/** Chinese sentences follow each other without a space. @param {string[]} sentences */
const join = (sentences) => sentences.filter(Boolean).join(" ").replace(/([。！？]) /g, "$1");

if (typeof document !== "undefined") run(document);
