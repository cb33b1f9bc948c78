// @ts-check
// Runs the verifier on the footprint page. It writes attributes and text only, so that it runs under Trusted Types.
import { verifyFootprint } from "./footprint.js";

/** @typedef {import("./footprint.js").Result} Result */

const RECHECKS = 30;
const RECHECK_AFTER_MILLIS = 1000;
/** Nodes may serve a checkpoint some seconds old, so a shorter log is looked at again before it is called rewound. */
const REWIND_RECHECKS = 5;

/** @param {string} path */
async function fetchBytes(path) {
  const mutable = path.endsWith("/checkpoint");
  const response = await fetch(path, { cache: mutable ? "no-store" : "default", credentials: "omit" });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The last checkpoint of each log; for as long as the page is open where the browser refuses to remember. */
function browserStorage() {
  const memory = new Map();
  const key = (/** @type {string} */ origin) => `usufruct-checkpoint:${origin}`;
  return {
    get: (/** @type {string} */ origin) => {
      try {
        return localStorage.getItem(key(origin)) ?? memory.get(origin) ?? null;
      } catch {
        return memory.get(origin) ?? null;
      }
    },
    set: (/** @type {string} */ origin, /** @type {string} */ note) => {
      memory.set(origin, note);
      try {
        localStorage.setItem(key(origin), note);
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
  const footprint = JSON.parse(data.textContent ?? "");
  const storage = browserStorage();
  const known = new Set();
  for (let round = 0; ; round += 1) {
    const result = await verifyFootprint(footprint, { fetchBytes, storage, known });
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
  summarise(page.getElementById("proof-summary"), result);
}

/** @param {HTMLElement | null} summary @param {Result} result */
function summarise(summary, { state, reason, lines }) {
  if (!summary) return;
  const count = (/** @type {string} */ s) => String(lines.filter((line) => line.state === s).length);
  const loud = reason?.code === "rewound" || reason?.code === "forked";
  if (loud) summary.setAttribute("role", "alert");
  summary.setAttribute("data-proof", state);
  const words =
    (reason && (summary.getAttribute(`data-reason-${reason.code}`) ?? reason.text)) ??
    summary.getAttribute(`data-text-${state}`) ??
    "{verified} verified, {pending} pending, {broken} broken";
  summary.textContent = words.replace(/\{(verified|pending|broken)\}/g, (_, s) => count(s));
}

if (typeof document !== "undefined") run(document);
