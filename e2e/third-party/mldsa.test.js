// ML-DSA-44 cosignatures against OpenSSL, through Python's `cryptography`: each side verifies what the other has signed.
//
// USUFRUCT_PYTHON names a Python that has the package (.local/python/bin/python otherwise), USUFRUCT_COSIGN_BIN the example
// program `cosign` of the log crate.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";

const root = (/** @type {string} */ path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PYTHON = process.env.USUFRUCT_PYTHON || root(".local/python/bin/python");
const COSIGN = process.env.USUFRUCT_COSIGN_BIN || `${process.env.CARGO_TARGET_DIR || root("target")}/debug/examples/cosign`;
const NAME = "witness.example/ml-dsa";
const SEED = "07".repeat(32);
const TIME = "1790000000";
const CHECKPOINT = "log.example/2026\n7\nLY8QzFxBvQvEC9IVRqdNVxj8cZv9LmvwqPWWGWjrXNo=\n";

/** @param {string} program @param {string[]} words @param {string} input */
function run(program, words, input = "") {
  const { status, stdout, stderr, error } = spawnSync(program, words, { input, encoding: "utf8", maxBuffer: 1 << 24 });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** @param {string[]} words @param {string} [input] */
const python = (words, input) => run(PYTHON, [root("e2e/third-party/mldsa.py"), ...words], input);
/** @param {string[]} words @param {string} [input] */
const rust = (words, input) => run(COSIGN, words, input);

/** @param {ReturnType<typeof run>} result */
function good(result) {
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

const vkey = good(rust(["key", "ml-dsa", NAME, SEED])).trim();
const sides = {
  "the log crate": { sign: () => good(rust(["sign", "ml-dsa", NAME, SEED, TIME], CHECKPOINT)), verify: (/** @type {string} */ note) => rust(["verify", vkey], note) },
  OpenSSL: { sign: () => good(python(["sign", NAME, SEED, TIME], CHECKPOINT)), verify: (/** @type {string} */ note) => python(["verify", vkey], note) },
};

test("one seed, one public key", () => {
  assert.equal(good(python(["key", NAME, SEED])).trim(), vkey);
});

for (const [signer, { sign }] of Object.entries(sides)) {
  for (const [verifier, { verify }] of Object.entries(sides)) {
    test(`${signer} signs, ${verifier} verifies`, () => {
      const note = sign();
      assert.ok(note.startsWith(`${CHECKPOINT}\n\u2014 ${NAME} `));
      assert.equal(good(verify(note)).trim(), TIME);
      const [text, line] = note.split("\n\n");
      const position = line.lastIndexOf(" ") + 40;
      const flipped = line[position] === "A" ? "B" : "A";
      for (const damaged of [
        note.replace("\n7\n", "\n8\n"),
        note.replace("log.example", "log.example.org"),
        note.replace("LY8Q", "LY8R"),
        `${text}\n\n${line.slice(0, position)}${flipped}${line.slice(position + 1)}`,
        note.replace(NAME, "witness.example/another"),
      ]) {
        assert.notEqual(damaged, note);
        assert.notEqual(verify(damaged).status, 0);
      }
    });
  }
}

test("two cosigners on one note", () => {
  const first = good(rust(["sign", "ed25519", "witness.example/ed25519", SEED, TIME], CHECKPOINT));
  const both = good(python(["sign", NAME, SEED, TIME], first));
  const other = good(rust(["key", "ed25519", "witness.example/ed25519", SEED])).trim();
  assert.equal(good(rust(["verify", other], both)).trim(), TIME);
  assert.equal(good(rust(["verify", vkey], both)).trim(), TIME);
  assert.equal(good(python(["verify", vkey], both)).trim(), TIME);
});

test("our vectors, judged by OpenSSL", () => {
  const file = root("vectors/tlog/cosignature.json");
  const { checkpoints, subtrees } = JSON.parse(readFileSync(file, "utf8"));
  const own = checkpoints.filter((/** @type {{name: string}} */ { name }) => name.includes("type 0x06")).length;
  assert.ok(own > 30 && subtrees.length > 10);
  assert.equal(good(python(["vectors", file])).trim(), `${own} checkpoints and ${subtrees.length} subtrees`);
});
