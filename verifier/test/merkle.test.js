import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Tiles, equal, leafHash, openCheckpoint, parseVkey, tilePath, utf8, verifyConsistency, verifyInclusion } from "../index.js";
import { VECTORS, fromBase64, publish, signer, treeRoot, vectorsUnder } from "./support.js";

test("inclusion vectors", async () => {
  let count = 0;
  for (const [path, v] of vectorsUnder("merkle/inclusion")) {
    const proof = (v.proof ?? []).map(fromBase64);
    const ok = await verifyInclusion(v.leafIdx, v.treeSize, fromBase64(v.leafHash), proof, fromBase64(v.root));
    assert.equal(ok, !v.wantErr, path);
    count += 1;
  }
  assert.equal(count, 98);
});

test("consistency vectors", async () => {
  let count = 0;
  for (const [path, v] of vectorsUnder("merkle/consistency")) {
    const proof = (v.proof ?? []).map(fromBase64);
    const ok = await verifyConsistency(v.size1, v.size2, fromBase64(v.root1), fromBase64(v.root2), proof);
    assert.equal(ok, !v.wantErr, path);
    count += 1;
  }
  assert.equal(count, 98);
});

test("tile paths", () => {
  assert.equal(tilePath(0, 5), "tile/0/005");
  assert.equal(tilePath(0, 999), "tile/0/999");
  assert.equal(tilePath(1, 1000), "tile/1/x001/000");
  assert.equal(tilePath(0, 1234067), "tile/0/x001/x234/067");
  assert.equal(tilePath(2, 0, 17), "tile/2/000.p/17");
  assert.equal(tilePath(0, 1234067, 255), "tile/0/x001/x234/067.p/255");
});

const TESSERA = "example.com/log/testdata";
const TESSERA_VKEY = `${TESSERA}+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx`;
const WORDS = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split(" ");

async function fetchTessera(path) {
  try {
    return new Uint8Array(readFileSync(new URL(`tessera-log/${path}`, VECTORS)));
  } catch {
    return null;
  }
}

test("a log written by Tessera, at every size and from every size", async () => {
  const verifier = await parseVkey(TESSERA_VKEY);
  const checkpoints = [];
  for (let size = 0; size <= 15; size += 1) {
    checkpoints.push(await openCheckpoint(await fetchTessera(`checkpoint.${size}`), TESSERA, verifier));
    assert.equal(checkpoints[size].size, size);
  }
  for (const { size, root } of checkpoints) {
    const tiles = new Tiles(fetchTessera, size, "");
    assert.ok(equal(await tiles.root(), root));
    for (let index = 0; index < size; index += 1) {
      const leaf = await leafHash(utf8(WORDS[index]));
      assert.ok(await verifyInclusion(index, size, leaf, await tiles.inclusionProof(index), root));
      assert.equal(await verifyInclusion(index, size, await leafHash(utf8("none")), await tiles.inclusionProof(index), root), false);
    }
    for (const old of checkpoints.slice(1, size + 1)) {
      const proof = await tiles.consistencyProof(old.size);
      assert.ok(await verifyConsistency(old.size, size, old.root, root, proof));
      assert.equal(await verifyConsistency(old.size, size, checkpoints[0].root, root, proof), false);
    }
  }
});

test("proofs across tiles and levels", async () => {
  const leaves = Array.from({ length: 66_000 }, (_, i) => Buffer.from(String(i)));
  const sizes = [255, 256, 257, 512, 700, 65_535, 65_536, 66_000];
  const trees = [];
  for (const size of sizes) {
    const files = publish(leaves.slice(0, size), signer("x"), "x");
    const fetched = [];
    const tiles = new Tiles(async (path) => (fetched.push(path), files.get(path) ?? null), size);
    const root = await tiles.root();
    const note = new TextDecoder().decode(files.get("/log/checkpoint"));
    assert.equal(Buffer.from(root).toString("base64"), note.split("\n")[2]);
    assert.ok(fetched.length <= 4, `the root of ${size} entries needs few tiles: ${fetched}`);
    for (const index of [0, 1, 254, 255, 256, 511, 65_535, size - 1].filter((i) => i < size)) {
      assert.ok(await verifyInclusion(index, size, await leafHash(leaves[index]), await tiles.inclusionProof(index), root));
    }
    for (const old of trees) {
      assert.ok(await verifyConsistency(old.size, size, old.root, root, await tiles.consistencyProof(old.size)));
    }
    trees.push({ size, root });
  }
});

test("a partial tile that is gone is read from the full one", async () => {
  const leaves = Array.from({ length: 300 }, (_, i) => Buffer.from(String(i)));
  const files = publish(leaves.slice(0, 256), signer("x"), "x");
  const tiles = new Tiles(async (path) => files.get(path) ?? null, 100);
  const hashes = await Promise.all(leaves.slice(0, 100).map(leafHash));
  assert.deepEqual(Buffer.from(await tiles.root()), treeRoot(hashes.map((hash) => Buffer.from(hash))));
});

test("tiles that are missing, short or long are refused", async () => {
  const files = publish([Buffer.from("a"), Buffer.from("b")], signer("x"), "x");
  const root = (bytes) => new Tiles(async () => bytes, 2).root();
  const tile = files.get("/log/tile/0/000.p/2");
  await root(tile);
  for (const bytes of [null, tile.subarray(1), new Uint8Array(65), new Uint8Array(8192)]) {
    await assert.rejects(root(bytes), { code: "tile" });
  }
  await assert.rejects(new Tiles(async () => Promise.reject(new Error("offline")), 2).root(), { code: "unreachable" });
});
