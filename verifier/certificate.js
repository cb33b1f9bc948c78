// @ts-check
// The certificate of an erasure, as it stands in the public log: were its keys published before, were they in the tree, are they gone, can its
// dates be true, who has signed that the old root is destroyed, and did the operator's people approve what it rests on? The page says which
// leaves to read. What it leaves out (a later statement about keepers or keys, another key that should be gone, the end of another service) is
// for the command to find, which reads all of them. On the certificate's page it writes attributes and text only.
import { fetchBytes } from "./fetch.js";
import { readLog } from "./footprint.js";
import { concat, hex, need, uint64, utf8 } from "./log/bytes.js";
import { sha256 } from "./log/tree.js";
import { attempt, verdict, worst } from "./reasons.js";
import { Operator, isSigned, readStatement } from "./statement.js";

/** @import {Options} from "./footprint.js" */
/** @import {State} from "./reasons.js" */
/** @import {Statement} from "./statement.js" */

/**
 * @typedef {object} Asked
 * @property {string} origin @property {string} vkey @property {string} [policy] @property {string} checkpointUrl
 * @property {string} id of the certificate @property {number} index of its statement @property {number} first of its first revision
 * @property {number[]} operator indices of the operator's statements about itself
 * @property {number[]} keys indices of the statements that published its keys
 * @property {number[]} [ends] indices of the statements that ended what its keys were of
 * @property {number | null} [terms] index of the statement about the keepers of that time
 * @property {number | null} [silent] how many of them have not signed, as the page says
 */
/** @typedef {{count: number, bucket: string[], path: string[]}} HandleProof */
/** @typedef {{name: "log" | "before" | "after" | "published" | "dates" | "keepers" | "approved", state: State, code: string | null}} CertificateCheck */

/** States that end a mandate or a service, and the causes that are such an end. */
const MANDATE_ENDS = ["sunset", "revoked"];
const SERVICE_ENDS = ["sunset", "revoked", "erasing", "erased", "closed"];
const NEEDS_END = ["sunset", "revocation", "sector"];
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
    const { tree, checkpoint } = await readLog(/** @type {any} */ (asked), options);
    need(!checkpoint.lacks, checkpoint.lacks);
    const read = async (/** @type {number} */ index, /** @type {string} */ type) => {
      const statement = await readStatement(tree, index);
      need(statement.type === type, "unlogged");
      return statement;
    };
    const [certificate, first] = [await read(asked.index, "Certificate"), await read(asked.first, "Certificate")];
    need(certificate.id === asked.id && first.id === asked.id && first.rev === 1, "unlogged");
    const keys = await Promise.all(asked.keys.map((index) => read(index, "Key")));
    const ends = await Promise.all((asked.ends ?? []).map((index) => read(index, "StatusChange")));
    const beginning = await readStatement(tree, 0);
    return { tree, certificate, first, keys, ends, beginning, terms: typeof asked.terms !== "number" ? null : await read(asked.terms, "Vault") };
  });
  if (found) {
    const { tree, certificate, first, keys, ends, beginning, terms } = found;
    const body = certificate.body;
    await run("before", () => prove(body.key_commitments, body.inclusion, body.tree_root_before, true));
    await run("after", async () => {
      need(body.epoch_after > body.epoch_before, "proof");
      await prove(body.key_commitments, body.absence, body.tree_root_after, false);
    });
    // Keys of residents are published nowhere else.
    if (body.mandate || body.sector) await run("published", async () => published(body, first, keys));
    await run("dates", async () => datesFit(certificate, first, beginning, keys, ends));
    const hasKeepers = terms?.body.keepers?.length > 0;
    // Keepers that are claimed have to be named, and terms with keepers bind every certificate after them, none before.
    if (body.slot_class === "E3" || (hasKeepers && terms.index < first.index)) {
      await run("keepers", async () => {
        need(hasKeepers && body.slot_class === terms.body.slot_class, "signature");
        const silent = terms.body.keepers.length - (await keepersHaveSigned(body, terms.body));
        need(asked.silent === undefined || (asked.silent ?? 0) === silent, "shown");
      });
    }
    await run("approved", async () => {
      const operator = await Operator.read(tree, asked.operator);
      for (const statement of [first, certificate, ...keys]) await operator.approved(statement, 1);
      if (terms) await operator.approved(terms, 2);
    });
  }
  return { state: worst(checks.map(({ state }) => state)), checks, body: found?.certificate.body ?? null };
}

/**
 * Each key was published for exactly this mandate or pseudonym domain before anybody certified that it is gone.
 * @param {any} body @param {Statement} first @param {Statement[]} keys
 */
function published(body, first, keys) {
  need(JSON.stringify(first.body.key_commitments) === JSON.stringify(body.key_commitments), "unheard");
  for (const commitment of body.key_commitments) {
    const isIts = (/** @type {Statement} */ { index, body: key }) =>
      index < first.index && key.commitment === commitment && (body.mandate ? key.mandate === body.mandate : key.sector === body.sector);
    need(keys.some(isIts), "unheard");
  }
}

/**
 * The keys went after the log knew of them and of the end of what they were of, and the old root before that was said. Where in between is the
 * operator's word.
 * @param {Statement} certificate @param {Statement} first @param {Statement} beginning @param {Statement[]} keys @param {Statement[]} ends
 */
function datesFit({ at, body }, first, beginning, keys, ends) {
  const isEnd = (/** @type {Statement} */ { index, body: { object, to } }) =>
    index < first.index && (body.mandate ? object === body.mandate && MANDATE_ENDS.includes(to) : SERVICE_ENDS.includes(to));
  need(ends.every(isEnd) && (ends.length > 0 || !NEEDS_END.includes(body.cause)), "dates");
  const known = Math.max(...[beginning, ...keys, ...ends].map((statement) => moment(statement.at)));
  const [live, root] = [moment(body.erased_live_at), moment(body.erased_root_at)];
  need(known <= live && live <= root && root <= moment(first.at) && live <= moment(body.ciphertext_remains_until), "dates");
  need(!body.erased_escrow_at || root <= moment(body.erased_escrow_at), "dates");
  const purged = body.ciphertext_purged_at && moment(body.ciphertext_purged_at);
  need(!purged || (live <= purged && purged <= moment(at)), "dates");
}

/** Microseconds since 1970; a day alone is its first moment in Taipei. @param {string} written @returns {number} */
export function moment(written) {
  if (/^\d{4}-\d\d-\d\d$/.test(written)) return moment(`${written}T00:00:00+08:00`);
  const [, whole, fraction = "", zone] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(written) ?? [];
  const millis = Date.parse(`${whole}${zone}`);
  need(Number.isFinite(millis), "dates");
  return 1000 * millis + Number(fraction.padEnd(6, "0").slice(0, 6));
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
    const good = await Promise.all(own.map((/** @type {any} */ one) => hasSaid(one, key)));
    signed += good.some(Boolean) ? 1 : 0;
  }
  need(signed > terms.keepers.length - terms.threshold, "signature");
  return signed;
}

/** @param {{vault: string, keeper: string, epoch: number, at: number, signature: string}} said @param {string} key */
function hasSaid({ vault, keeper, epoch, at, signature }, key) {
  return isSigned(key, utf8(`usufruct/keeper/v1\nvault ${vault}\nkeeper ${keeper}\ndestroyed below ${epoch}\nat ${at}\n`), signature);
}

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
