// The golden files that the Rust side writes. Where Web Crypto has no ML-DSA, its cosignatures are never counted; e2e runs the
// same files in Chromium, which has it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpoints, checks, hasMlDsa, policies, proofs, subtrees } from "./golden.js";
import { vector } from "./support.js";

const all = await hasMlDsa();
/** Sizes are exact up to 2^53 here. */
const isTooLarge = (name) => name.includes("0x06: the largest tree");
const [cosignature, policy, proof] = ["cosignature", "policy", "proof"].map((name) => vector(`${name}.json`));

test("cosignatures of checkpoints", async () => {
  const cases = await checkpoints(cosignature);
  assert.equal(cases.length, 63);
  for (const [name, expected, got] of cases) {
    if (isTooLarge(name)) assert.equal(got, "malformed", name);
    else if (name.includes("no checkpoint") && got === "malformed") assert.equal(expected, "wrong signature");
    else if (all || name.includes("0x04") || expected === "unsigned") assert.equal(got, expected, name);
    else assert.ok(["unsupported", "malformed", "wrong signature"].includes(got), `${name}: ${got}`);
  }
});

test("cosignatures of subtrees", async () => {
  const cases = await subtrees(cosignature);
  assert.equal(cases.length, 12);
  for (const [name, expected, got] of cases) assert.equal(got, all || expected === "unsigned" ? expected : "unsupported", name);
});

test("policies", async () => {
  const cases = await policies(policy);
  assert.equal(cases.length, 36);
  for (const [name, expected, got] of cases) assert.equal(got, expected, name);
});

/** Without ML-DSA, what is valid only with it is not; and nothing is valid that should not be. */
function agree(cases) {
  for (const [name, expected, got] of cases) {
    if (all) assert.equal(got, expected, name);
    else if (got !== expected) assert.ok(["unwitnessed", "unsupported", "unsigned"].includes(got), `${name}: ${expected}, got ${got}`);
  }
}

/** The same policy without the witness that signs with ML-DSA. */
const withoutMlDsa = (text) => text.replace("quorum both", "quorum ones");

test("checkpoints under a policy", async () => {
  const cases = await checks(policy);
  assert.equal(cases.length, 12);
  agree(cases);
  for (const [name, expected, got] of await checks(policy, withoutMlDsa(policy.check_policy))) {
    if (expected === "valid") assert.equal(got, "valid", name);
    else if (expected !== "unwitnessed" && all) assert.equal(got, expected, name);
    else assert.ok(expected === "unwitnessed" || got !== "valid", `${name}: ${got}`);
  }
});

test("proof files under a policy", async () => {
  const cases = await proofs(proof);
  assert.equal(cases.length, 28);
  agree(cases);
  for (const [name, expected, got] of await proofs(proof, withoutMlDsa(proof.policy))) {
    if (expected === "unwitnessed") continue;
    if (expected === "valid" || expected === "malformed" || expected === "wrong proof") assert.equal(got, expected, name);
    else assert.notEqual(got, "valid", name);
  }
});
