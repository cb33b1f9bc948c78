// @ts-check
// The certificate of an erasure, as it stands in the public log: were the keys in the tree before, are they gone after, and
// who has signed that the old root is destroyed? Which leaf names the keepers the page says, and who approved that leaf is for the
// command to check, which reads all statements. On the certificate's page it writes attributes and text only.
import { fetchBytes } from "./fetch.js";
import { readBundle, BUNDLE } from "./bundle.js";
import { readLog } from "./footprint.js";
import { concat, hex, need, text, uint64, utf8 } from "./log/bytes.js";
import { verifySignature } from "./log/checkpoint.js";
import { sha256 } from "./log/tree.js";
import { attempt, verdict, worst } from "./reasons.js";

/** @import {Options} from "./footprint.js" */
/** @import {State} from "./reasons.js" */

/**
 * @typedef {object} Asked
 * @property {string} origin @property {string} vkey @property {string} [policy] @property {string} checkpointUrl
 * @property {string} id of the certificate @property {number} index of its statement
 * @property {number | null} [terms] index of the statement about the keepers of that time
 * @property {number | null} [silent] how many of them have not signed, as the page says
 */
/** @typedef {{count: number, bucket: string[], path: string[]}} HandleProof */
/** @typedef {{name: "log" | "before" | "after" | "keepers", state: State, code: string | null}} CertificateCheck */

const ED25519 = 1;
const RECHECKS = 60;
const RECHECK_AFTER_MILLIS = 1000;

/** @param {Asked} asked @param {Options} options @returns {Promise<{state: State, checks: CertificateCheck[], body: any}>} */
export async function verifyCertificate(asked, options) {
  /** @type {CertificateCheck[]} */
  const checks = [];
  const run = async (/** @type {CertificateCheck["name"]} */ name, /** @type {() => Promise<any>} */ work) => {
    const { value, broken } = await attempt(work);
    const { state, reason } = verdict(broken);
    checks.push({ name, state, code: reason?.code ?? null });
    return value;
  };
  const found = await run("log", async () => {
    const log = await readLog(/** @type {any} */ (asked), options);
    need(!log.checkpoint.lacks, log.checkpoint.lacks);
    const body = await statement(log.tree, asked.index, "Certificate", asked.id);
    return { body, terms: typeof asked.terms !== "number" ? null : await statement(log.tree, asked.terms, "Vault") };
  });
  if (found) {
    const { body, terms } = found;
    await run("before", () => prove(body.key_commitments, body.inclusion, body.tree_root_before, true));
    await run("after", async () => {
      need(body.epoch_after > body.epoch_before, "proof");
      await prove(body.key_commitments, body.absence, body.tree_root_after, false);
    });
    const hasKeepers = terms?.keepers?.length > 0;
    // Keepers that are claimed have to be named, and terms with keepers bind every certificate after them, none before.
    if (body.slot_class === "E3" || (hasKeepers && Number(asked.terms) < asked.index)) {
      await run("keepers", async () => {
        need(hasKeepers && body.slot_class === terms.slot_class, "signature");
        const silent = terms.keepers.length - (await keepersHaveSigned(body, terms));
        need(asked.silent === undefined || (asked.silent ?? 0) === silent, "shown");
      });
    }
  }
  return { state: worst(checks.map(({ state }) => state)), checks, body: found?.body ?? null };
}

/** The body of the statement at this leaf. @param {import("./log/tree.js").Tree} tree @param {number} index @param {string} kind @param {string} [id] */
async function statement(tree, index, kind, id) {
  need(index < tree.size, "unpublished");
  const leaf = (await readBundle(tree, Math.floor(index / BUNDLE)))[index % BUNDLE];
  need(leaf[0] === 1 && leaf[1] === 1, "unlogged");
  const stated = JSON.parse(text(leaf.subarray(2)));
  need(stated.type === kind && (id === undefined || stated.id === id), "unlogged");
  return stated.body;
}

/** Every commitment is in the set with this root, or none is. @param {string[]} handles @param {HandleProof[]} proofs @param {string} root @param {boolean} live */
async function prove(handles, proofs, root, live) {
  need(handles.length > 0 && handles.length === proofs.length, "proof");
  for (const [i, handle] of handles.entries()) need((await inSet(handle, proofs[i], root)) === live, "proof");
}

/** Whether a commitment is in the set that a proof leads to. @param {string} handle @param {HandleProof} proof @param {string} root */
export async function inSet(handle, { count, bucket = [], path = [] }, root) {
  const bits = path.length;
  need(bits <= 32, "proof");
  const place = (/** @type {string} */ digest) => (bits === 0 ? 0 : Number.parseInt(digest.slice(0, 8), 16) >>> (32 - bits));
  const number = place(handle);
  need(bucket.every((other, i) => (i === 0 || bucket[i - 1] < other) && place(other) === number), "proof");
  let top = await sha256(concat([0], ...bucket.map(digest)));
  for (const [level, sibling] of path.entries()) {
    const isLeft = ((number >>> level) & 1) === 0;
    top = await sha256(concat([1], ...(isLeft ? [top, digest(sibling)] : [digest(sibling), top])));
  }
  const found = await sha256(concat(utf8("usufruct/handles/v1"), [bits], uint64(count), top));
  need(hex(found) === root, "proof");
  return bucket.includes(handle);
}

/** 32 bytes in lower-case hex. @param {string} encoded */
function digest(encoded) {
  need(/^[0-9a-f]{64}$/.test(encoded), "proof");
  return Uint8Array.from(encoded.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** So many keepers have signed that the others cannot bring the old root back: how many. @param {any} body @param {any} terms */
async function keepersHaveSigned(body, terms) {
  let signed = 0;
  for (const { name, public: key } of terms.keepers) {
    const own = (body.keepers ?? []).filter((/** @type {any} */ one) => one.keeper === name && one.vault === terms.vault && one.epoch >= body.epoch_after);
    const good = await Promise.all(own.map((/** @type {any} */ one) => isSigned(one, key)));
    signed += good.some(Boolean) ? 1 : 0;
  }
  need(signed > terms.keepers.length - terms.threshold, "signature");
  return signed;
}

/** @param {{vault: string, keeper: string, epoch: number, at: number, signature: string}} said @param {string} key */
function isSigned({ vault, keeper, epoch, at, signature }, key) {
  const message = utf8(`usufruct/keeper/v1\nvault ${vault}\nkeeper ${keeper}\ndestroyed below ${epoch}\nat ${at}\n`);
  return verifySignature(/** @type {any} */ ({ type: ED25519, bytes: base64url(key) }), message, base64url(signature));
}

/** @param {string} encoded */
const base64url = (encoded) => Uint8Array.from(atob(encoded.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

/** @param {Document} page */
export async function run(page) {
  const data = page.getElementById("certificate-data");
  if (!data) return;
  for (let round = 0; ; round += 1) {
    const { state, checks } = await verifyCertificate(JSON.parse(data.textContent ?? ""), { fetchBytes });
    for (const { name, state, code } of checks) {
      const row = page.getElementById(`certificate-${name}`);
      row?.setAttribute("data-proof", state);
      row?.setAttribute("data-proof-reason", code ?? "");
      if (row) row.textContent = row.getAttribute(`data-text-${state}`) ?? state;
    }
    data.setAttribute("data-proof", state);
    // A certificate of this minute is on its way into the public log.
    if (round === RECHECKS || !checks.some(({ code }) => code === "unpublished" || code === "unreachable")) return;
    await new Promise((resolve) => setTimeout(resolve, RECHECK_AFTER_MILLIS));
  }
}

if (typeof document !== "undefined") run(document);
