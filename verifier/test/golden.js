// Runs the golden files of cosignatures, policies and proofs, in node and in a browser. Cases are [name, expected, got].
import { base64 } from "../log/bytes.js";
import { openCheckpoint, parseKey, parseNote, parsePolicy, parseProof } from "../log/checkpoint.js";
import { subtreeMessage, verifyNote, verifyProof, verifySignature } from "../log/checkpoint.js";

/** Whether Web Crypto has ML-DSA-44 here. */
export const hasMlDsa = () =>
  crypto.subtle.importKey("raw-public", new Uint8Array(1312), "ML-DSA-44", false, ["verify"]).then(() => true, () => false);

/** In the words of the golden files, what an error says. */
function outcomeOf({ code, details }) {
  if (code === "signature") return details?.id ? "wrong signature" : "unsigned";
  return { quorum: "unwitnessed", proof: "wrong proof", unsupported: "unsupported" }[code] ?? "malformed";
}

const attempt = (body) => body().catch(outcomeOf);

/** Signed notes with one cosignature each. */
export const checkpoints = ({ checkpoints }) =>
  Promise.all(
    checkpoints.map(async ({ name, text, line, vkey, outcome }) => {
      const key = await parseKey(vkey);
      const got = await attempt(async () => {
        const { signed, unsupported } = await verifyNote(`${text}\n${line}\n`, [key]);
        return signed.has(key) ? "valid" : unsupported.has(key) ? "unsupported" : "unsigned";
      });
      return [name, outcome, got];
    }),
  );

/** Cosignatures of subtrees. A range that is none is not refused for that, but has no valid signature. */
export const subtrees = ({ subtrees }) =>
  Promise.all(
    subtrees.map(async ({ name, line, vkey, origin, start, end, root, outcome, message_hex }) => {
      const key = await parseKey(vkey);
      const [{ id, signature }] = parseNote(`-\n\n${line}\n`).signatures;
      const time = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
      const message = subtreeMessage(key.name, time, origin, BigInt(start), BigInt(end), base64(root));
      const valid = await verifySignature(key, message, signature.subarray(8));
      const hex = Array.from(message, (byte) => byte.toString(16).padStart(2, "0")).join("");
      const isSame = !message_hex || message_hex === hex;
      const got = id !== key.id ? "unsigned" : !isSame ? "another message" : valid === undefined ? "unsupported" : valid ? "valid" : "wrong signature";
      return [name, outcome === "malformed" ? "wrong signature" : outcome, got];
    }),
  );

/** Policies, and which witnesses make their quorum. */
export const policies = ({ policies }) =>
  Promise.all(
    policies.map(async ({ name, policy, valid, met, unmet }) => {
      const parsed = await parsePolicy(policy).catch(() => null);
      if (!parsed || !valid) return [name, valid, parsed !== null];
      const names = [...policy.matchAll(/^[ \t]*witness[ \t]+(\S+)/gm)].map(([, name]) => name);
      const isMet = (set) => parsed.quorum(new Map(set.map((name) => [parsed.witnesses[names.indexOf(name)], 1])));
      return [name, JSON.stringify([met.map(() => true), unmet.map(() => false)]), JSON.stringify([met.map(isMet), unmet.map(isMet)])];
    }),
  );

/** Signed checkpoints under a policy. */
export async function checks({ check_policy, checks }, policy = check_policy) {
  const parsed = await parsePolicy(policy);
  return Promise.all(
    checks.map(async ({ name, note, origin, outcome }) => {
      const got = await attempt(async () => {
        const checkpoint = await openCheckpoint(note, parsed);
        if (origin && origin !== checkpoint.origin) return "malformed";
        return ["valid", "unwitnessed", "unsupported"][["", "quorum", "unsupported"].indexOf(checkpoint.lacks)];
      });
      return [name, outcome, got];
    }),
  );
}

/** Proof files under a policy. */
export async function proofs(file, policy = file.policy) {
  const parsed = await parsePolicy(policy);
  return Promise.all(
    file.proofs.map(async ({ name, proof, leaf_hash, outcome }) => {
      const got = await attempt(async () => {
        const isProof = await attempt(async () => parseProof(proof));
        if (typeof isProof === "string") return "malformed";
        await verifyProof(proof, base64(leaf_hash), parsed);
        return "valid";
      });
      return [name, outcome, got];
    }),
  );
}
