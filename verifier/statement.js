// @ts-check
// Statements of a log (docs/protocol/statements.md), and who approved them: keys that the operator's own statements name, from the
// first entry of the log on. Whether a later statement about those keys was left out only a reader of all entries can tell.
import { readBundle, BUNDLE } from "./bundle.js";
import { concat, equal, hex, need, text, utf8 } from "./log/bytes.js";
import { verifySignature } from "./log/checkpoint.js";
import { sha256 } from "./log/tree.js";
import { base64url, verifyPasskey } from "./webauthn.js";

/** @import {Tree} from "./log/tree.js" */
/** @import {Passkey} from "./webauthn.js" */
/**
 * @typedef {{agency: string, key: string, algorithm: string, signature: string, authenticator_data?: string, client_data?: string, among?: string[]}} Approval
 *   the last three of a passkey alone
 */
/** @typedef {{type: string, id: string, rev: number, prev?: string, at: string, by: string, body: any, approvals: Approval[]}} Written */
/** @typedef {Written & {index: number, hash: Uint8Array}} Statement as it stands in a leaf, with what its approvals sign */
/** @typedef {{id: string, role: string, public: string, webauthn?: Passkey}} SigningKey */

const ED25519 = 1;
/** The role of keys that no person holds. */
const AUTOMATION = "automation";

/** @param {Tree} tree @param {number} index @returns {Promise<Statement>} */
export async function readStatement(tree, index) {
  need(Number.isSafeInteger(index) && index >= 0, "unlogged");
  need(index < tree.size, "unpublished");
  const leaf = (await readBundle(tree, Math.floor(index / BUNDLE)))[index % BUNDLE];
  need(leaf[0] === 1 && leaf[1] === 1, "unlogged");
  const { approvals, ...signed } = /** @type {Written} */ (JSON.parse(text(leaf.subarray(2))));
  // One form only, so that the hash is that of what stands there.
  need(equal(utf8(canonical({ approvals, ...signed })), leaf.subarray(2)), "unlogged");
  return { approvals, ...signed, index, hash: await sha256(utf8(canonical(signed))) };
}

/** RFC 8785 for what statements hold. @param {any} value @returns {string} */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}

/** The operator of a log, as its statements about itself make it known. */
export class Operator {
  /** @type {Statement[]} its revisions, in order */
  revisions = [];

  /**
   * Follows the operator's statements about itself from the first entry of the log on: each is approved by keys of the one before.
   * @param {Tree} tree @param {number[]} indices @returns {Promise<Operator>}
   */
  static async read(tree, indices) {
    const operator = new Operator();
    need(Array.isArray(indices) && indices[0] === 0 && indices.every((index, i) => i === 0 || indices[i - 1] < index), "unapproved");
    for (const index of indices) {
      const statement = await readStatement(tree, index);
      const { id, by, rev, body, prev, approvals } = statement;
      const before = operator.revisions.at(-1);
      need(statement.type === "Agency" && body.kind === "operator" && by === id && rev === operator.revisions.length + 1, "unapproved");
      if (before) {
        need(id === before.id && prev === hex(before.hash), "unapproved");
        await operator.approved(statement, 2);
      } else {
        need(approvals.length > 0, "unapproved");
        await roles(statement, body.signing_keys);
      }
      operator.revisions.push(statement);
    }
    return operator;
  }

  /** So many offices of it must have approved; where two are needed, an automaton is none. @param {Statement} statement @param {number} needed */
  async approved(statement, needed) {
    const present = this.revisions.filter(({ index }) => index < statement.index).at(-1);
    need(present && statement.by === present.id, "unapproved");
    const approving = await roles(statement, present.body.signing_keys);
    if (needed > 1) approving.delete(AUTOMATION);
    need(approving.size >= needed, "unapproved");
  }
}

/** The offices that approved. Every approval must be a signature by one of these keys. @param {Statement} statement @param {SigningKey[]} keys */
async function roles({ by, hash, approvals }, keys) {
  const found = new Set();
  for (const approval of approvals) {
    const key = keys.find(({ id }) => id === approval.key);
    need(key && approval.agency === by && (await isApproved(approval, key, hash)), "unapproved");
    found.add(key.role);
  }
  return found;
}

/** Whether an approval is by this key; a key of one kind makes no approval of the other. @param {Approval} approval @param {SigningKey} key @param {Uint8Array} hash */
export async function isApproved(approval, key, hash) {
  if (key.webauthn) return verifyPasskey(approval, key, hash).then(() => true, () => false);
  const { algorithm, signature, authenticator_data, client_data, among } = approval;
  const isPlain = algorithm === "Ed25519" && !authenticator_data && !client_data && !among;
  return isPlain && (await isSigned(key.public, concat(utf8("usufruct/approval/v1\n"), hash), signature));
}

/** @param {string} key base64url @param {Uint8Array<ArrayBuffer>} message @param {string} signature base64url */
export function isSigned(key, message, signature) {
  return verifySignature(/** @type {any} */ ({ type: ED25519, bytes: base64url(key) }), message, base64url(signature));
}
