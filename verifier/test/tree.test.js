import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Tree, equal, indexPath, leafHash, openLog, parseKey, readBundle, text, utf8, verifySubtree } from "../index.js";
import { VECTORS, fetchFrom, fromBase64, publish, recorded, signer, treeRoot, vectorsUnder } from "./support.js";

const KINDS = {
  inclusion: { cases: 98, args: (v) => [v.leafIdx, v.leafIdx + 1, v.treeSize, v.leafHash, v.proof, v.root] },
  // An empty subtree is part of everything; a proof of consistency from the empty tree proves nothing, so none is made.
  consistency: { cases: 98, args: (v) => [0, v.size1, v.size2, v.root1, v.proof, v.root2], precondition: (v) => v.size1 > 0 },
  subtreeinclusion: {
    cases: 204,
    args: (v) => [v.leafIdx - v.start, v.leafIdx - v.start + 1, v.end - v.start, v.leafHash, v.proof, v.root],
    precondition: (v) => isSubtree(v.start, v.end),
  },
  subtreeconsistency: { cases: 118, args: (v) => [v.start, v.end, v.size, v.root1, v.proof, v.root2] },
};

function isSubtree(start, end) {
  let span = 1;
  while (span < end - start) span *= 2;
  return start % span === 0;
}

/** "don't care" stands for any hash. */
function hashOf(encoded) {
  const bytes = fromBase64(encoded);
  return Buffer.from(bytes).toString("latin1").startsWith("don't care") ? new Uint8Array([...bytes, ...new Uint8Array(32 - bytes.length)]) : bytes;
}

for (const [kind, { cases, args, precondition = () => true }] of Object.entries(KINDS)) {
  test(`${kind} vectors`, async () => {
    let count = 0;
    for (const [path, v] of vectorsUnder(`merkle/${kind}`)) {
      const [start, end, size, hash, proof, root] = args(v);
      const ok = precondition(v) && (await verifySubtree(start, end, size, hashOf(hash), (proof ?? []).map(hashOf), hashOf(root)));
      assert.equal(ok, !v.wantErr, path);
      count += 1;
    }
    assert.equal(count, cases);
  });
}

test("numbers that make no sense prove nothing", async () => {
  const [hash, root] = [new Uint8Array(32), new Uint8Array(32)];
  for (const [start, end, size] of [[0, 0, 0], [0, 0, 1], [-1, 0, 1], [-1, -1, 1], [1, 0, 1], [0, 2, 1], [0.5, 1, 1], [0, NaN, 1], [1, 3, 4], [0, 1, Infinity]]) {
    assert.equal(await verifySubtree(start, end, size, hash, [], root), start === 0 && end === 1 && size === 1);
  }
});

test("tile paths", () => {
  assert.deepEqual([5, 999, 1000, 1234067, 1000000].map(indexPath), ["005", "999", "x001/000", "x001/x234/067", "x001/x000/000"]);
});

const TESSERA = "example.com/log/testdata";
const TESSERA_VKEY = `${TESSERA}+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx`;
const WORDS = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split(" ");

/** Tessera's log as it was at one size. */
const tessera = (size) => async (path) => {
  try {
    return new Uint8Array(readFileSync(new URL(`tessera-log/${path === "checkpoint" ? `checkpoint.${size}` : path}`, VECTORS)));
  } catch {
    return null;
  }
};

test("a log written by Tessera, at every size and from every size", async () => {
  const key = await parseKey(TESSERA_VKEY);
  const policy = { logs: [key], witnesses: [], quorum: () => true };
  const notes = [];
  for (let size = 0; size <= 15; size += 1) {
    const { checkpoint, tree } = await openLog(tessera(size), policy);
    assert.equal(tree.size, size);
    for (let index = 0; index < size; index += 1) {
      assert.deepEqual(await tree.subtree(index, index + 1), await leafHash(utf8(WORDS[index])));
    }
    if (size > 0) assert.deepEqual((await readBundle(tree, 0)).map(text), WORDS.slice(0, size));
    for (const remembered of notes) assert.equal((await openLog(tessera(size), policy, remembered)).tree.size, size);
    notes.push(checkpoint.note);
    if (size > 0) await assert.rejects(openLog(tessera(size - 1), policy, checkpoint.note), { code: "rewound" });
  }
});

/** Logs whose leaves are numbers. */
const leaves = Array.from({ length: 66_000 }, (_, i) => Buffer.from(String(i)));
const hashes = leaves.map((leaf) => leafHash(leaf));

async function treeOf(size) {
  const files = publish(leaves.slice(0, size), signer("x"), "x");
  const { fetchBytes, asked } = recorded(files);
  const root = fromBase64(text(files.get("/log/checkpoint")).split("\n")[2]);
  return { files, asked, root, tree: new Tree((path) => fetchBytes(`/log/${path}`), { size, root }) };
}

test("inclusion and consistency across tiles and levels", async () => {
  const sizes = [1, 2, 255, 256, 257, 512, 700, 65_535, 65_536, 65_537, 66_000];
  const roots = new Map();
  for (const size of sizes) {
    const { tree, root, asked } = await treeOf(size);
    for (const index of [0, 1, 254, 255, 256, 511, 65_535, size - 1].filter((i) => i < size)) {
      assert.deepEqual(await tree.subtree(index, index + 1), await hashes[index], `${index} of ${size}`);
    }
    for (const [old, oldRoot] of roots) assert.deepEqual(await tree.subtree(0, old), oldRoot, `${old} to ${size}`);
    assert.ok(asked.length <= 16, `few tiles are needed: ${asked}`);
    roots.set(size, root);
  }
});

test("any subtree is what its leaves make", async () => {
  for (const size of [1, 7, 300, 700]) {
    const { tree } = await treeOf(size);
    for (let width = 1; width <= size; width += 1 + Math.floor(width / 7)) {
      for (let start = 0; start + width <= size; start += 1 + Math.floor(size / 50)) {
        if (!isSubtree(start, start + width)) continue;
        const expected = treeRoot((await Promise.all(hashes.slice(start, start + width))).map((hash) => Buffer.from(hash)));
        assert.deepEqual(Buffer.from(await tree.subtree(start, start + width)), expected, `${start} + ${width} of ${size}`);
      }
    }
  }
});

test("one bit changed in any tile that is read is noticed", async () => {
  const { files, root } = await treeOf(700);
  const tiles = [...files.keys()].filter((path) => /tile\/\d/.test(path));
  for (const path of tiles) {
    for (const at of [0, 33, files.get(path).length - 1]) {
      const bad = new Map(files);
      bad.set(path, files.get(path).map((byte, i) => (i === at ? byte ^ 1 : byte)));
      const read = async (index) => new Tree((name) => fetchFrom(bad)(`/log/${name}`), { size: 700, root }).subtree(index, index + 1);
      const first = path.includes("tile/0/") ? Number(/tile\/0\/(\d+)/.exec(path)[1]) * 256 : 600;
      await assert.rejects(read(first + 1), { code: "tile" }, `${path} ${at}`);
    }
  }
});

test("a partial tile that is gone is read from the full one", async () => {
  const { files } = await treeOf(256);
  const { root } = await treeOf(100);
  const tree = new Tree((path) => fetchFrom(files)(`/log/${path}`), { size: 100, root });
  assert.deepEqual(await tree.subtree(7, 8), await hashes[7]);
  assert.equal((await readBundle(tree, 0)).length, 100);
});

test("tiles that are missing or short are refused", async () => {
  const { files, root } = await treeOf(2);
  const read = (bytes) => new Tree(async () => bytes, { size: 2, root }).subtree(0, 1);
  const tile = files.get("/log/tile/0/000.p/2");
  assert.ok(equal(await read(tile), await hashes[0]));
  for (const bytes of [null, tile.subarray(1), tile.subarray(0, 63), new Uint8Array(), new Uint8Array(64)]) {
    await assert.rejects(read(bytes), { code: "tile" });
  }
});

test("bundles that are cut, lengthened or changed are refused", async () => {
  const { files, root } = await treeOf(300);
  const read = (bytes) => readBundle(new Tree(async (path) => (path.includes("entries") ? bytes : fetchFrom(files)(`/log/${path}`)), { size: 300, root }), 0);
  const bundle = files.get("/log/tile/entries/000");
  assert.equal((await read(bundle)).length, 256);
  for (const bytes of [bundle.subarray(1), bundle.subarray(0, -1), bundle.subarray(0, 100), new Uint8Array(), bundle.map((byte, i) => (i === 500 ? byte ^ 1 : byte)), Uint8Array.of(255, 255)]) {
    await assert.rejects(read(bytes), { code: "tile" });
  }
});
