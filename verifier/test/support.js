// What several tests need: the shared vectors, and a small log and residents of our own.
// The tile writer hashes with node:crypto and builds every level anew, so that it shares no code with the verifier.
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";

export const VECTORS = new URL("../../vectors/tlog/", import.meta.url);

export const vector = (path) => JSON.parse(readFileSync(new URL(path, VECTORS), "utf8"));

/** Every JSON file under a folder of the vectors. */
export function* vectorsUnder(folder) {
  for (const entry of readdirSync(new URL(folder, VECTORS), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* vectorsUnder(path);
    else if (path.endsWith(".json")) yield [path, vector(path)];
  }
}

export const fromBase64 = (encoded) => new Uint8Array(Buffer.from(encoded, "base64"));
export const fromHex = (encoded) => new Uint8Array(Buffer.from(encoded, "hex"));
const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

const uint64 = (n) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(n));
  return bytes;
};

/** A key of one type, its vkey, and the lines it signs with. */
function keyOf(type, name, message) {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const typed = Buffer.concat([Buffer.of(type), publicKey.export({ format: "der", type: "spki" }).subarray(-32)]);
  const id = sha(`${name}\n`, typed).subarray(0, 4);
  const vkey = `${name}+${id.toString("hex")}+${typed.toString("base64")}`;
  const line = (body, time) => {
    const [stated, text] = message(body, time);
    return `— ${name} ${Buffer.concat([id, stated, sign(null, Buffer.from(text), privateKey)]).toString("base64")}\n`;
  };
  return { vkey, line };
}

/** A signing key of a log. */
export function signer(name) {
  const { vkey, line } = keyOf(1, name, (body) => [Buffer.alloc(0), body]);
  return { vkey, note: (body) => `${body}\n${line(body)}` };
}

/** A witness; `line` co-signs the text of a checkpoint. */
export const witness = (name) => keyOf(4, name, (body, time = 1_760_000_000) => [uint64(time), `cosignature/v1\ntime ${time}\n${body}`]);

/** The text before the signatures. */
export const bodyOf = (note) => note.slice(0, note.lastIndexOf("\n\n") + 1);

/** RFC 6962, 2.1, to the letter. */
export function treeRoot(hashes) {
  if (hashes.length === 0) return sha("");
  if (hashes.length === 1) return hashes[0];
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return sha(Buffer.of(1), treeRoot(hashes.slice(0, k)), treeRoot(hashes.slice(k)));
}

const indexPath = (n) => (n < 1000 ? String(n).padStart(3, "0") : `x${String(Math.floor(n / 1000)).padStart(3, "0")}/${String(n % 1000).padStart(3, "0")}`);

/** A log below /log/, as a Map from path to bytes, with the partial tiles of the given size only. */
export function publish(leaves, key, origin, witnesses = []) {
  const files = new Map();
  for (let i = 0; i * 256 < leaves.length; i += 1) {
    const bundle = leaves.slice(i * 256, i * 256 + 256);
    const bytes = bundle.flatMap((leaf) => [Buffer.of(leaf.length >> 8, leaf.length & 255), leaf]);
    files.set(`/log/tile/entries/${indexPath(i)}${bundle.length === 256 ? "" : `.p/${bundle.length}`}`, new Uint8Array(Buffer.concat(bytes)));
  }
  for (let i = 0; i * 65_536 < leaves.length; i += 1) {
    const segment = leaves.slice(i * 65_536, (i + 1) * 65_536);
    const isEvent = (leaf) => leaf.length === 66 && leaf[0] === 1 && leaf[1] === 2;
    files.set(`/log/tags/${indexPath(i)}`, new Uint8Array(Buffer.concat(segment.map((leaf) => (isEvent(leaf) ? leaf.subarray(34, 38) : Buffer.alloc(4))))));
  }
  let hashes = leaves.map((leaf) => sha(Buffer.of(0), leaf));
  const root = treeRoot(hashes);
  for (let level = 0; hashes.length > 0; level += 1) {
    const above = [];
    for (let i = 0; i * 256 < hashes.length; i += 1) {
      const tile = hashes.slice(i * 256, i * 256 + 256);
      const full = tile.length === 256;
      files.set(`/log/tile/${level}/${indexPath(i)}${full ? "" : `.p/${tile.length}`}`, new Uint8Array(Buffer.concat(tile)));
      if (full) above.push(treeRoot(tile));
    }
    hashes = above;
  }
  const body = `${origin}\n${leaves.length}\n${root.toString("base64")}\n`;
  files.set("/log/checkpoint", new Uint8Array(Buffer.from(key.note(body) + witnesses.map(({ line }) => line(body)).join(""))));
  return files;
}

/** What a log that has `files` answers. */
export const fetchFrom = (files) => async (path, from, to) => files.get(path)?.subarray(from, to) ?? null;

/** The same, and which files were asked for, with their ranges. */
export function recorded(files) {
  const asked = [];
  const fetchBytes = async (path, from, to) => {
    asked.push(to === undefined ? path : `${path} ${from}-${to}`);
    return fetchFrom(files)(path, from, to);
  };
  return { fetchBytes, asked };
}

/** Shortest-form CBOR of numbers, bytes, text, arrays and Maps. */
export function encodeCbor(value) {
  const head = (major, n) => {
    if (n < 24) return Buffer.of((major << 5) | n);
    const width = [1, 2, 4, 8].find((bytes) => n < 256 ** bytes);
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(n));
    return Buffer.concat([Buffer.of((major << 5) | (24 + Math.log2(width))), bytes.subarray(8 - width)]);
  };
  if (typeof value === "number") return head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(encodeCbor)]);
  return Buffer.concat([head(5, value.size), ...[...value].flat().map(encodeCbor)]);
}

/** Residents who write events into one log; their lines are what the portal would hand out. */
export class City {
  leaves = [];

  constructor(origin = "city.example/log") {
    this.origin = origin;
    this.key = signer(origin);
    this.witnesses = [];
  }

  /** Leaves that look like events of others. */
  fill(count) {
    for (let i = 0; i < count; i += 1) this.leaves.push(Buffer.concat([Buffer.of(1, 2), randomBytes(64)]));
  }

  resident() {
    const [tagKey, lines, city] = [randomBytes(32), [], this];
    let prev = new Uint8Array();
    return {
      use(at, fields = new Map()) {
        const n = lines.length;
        const mandate = randomBytes(32);
        const blocks = [["blk_name", "value"], ["blk_age", "predicate"]];
        const event = encodeCbor(
          new Map([
            [0, 1], [1, "use"], [2, n], [3, prev], [4, at], [5, mandate], [6, "svc_library"], [7, blocks], [8, "loan"],
            [10, "immediate"], ...fields,
          ]),
        );
        const r = randomBytes(32);
        const [length, number] = [uint64(event.length).subarray(4), uint64(n)];
        const c = createHmac("sha256", r).update("usufruct/event/v1").update(length).update(event).digest();
        const t = createHmac("sha256", tagKey).update("usufruct/tag/v1").update(number).digest();
        const index = city.leaves.push(Buffer.concat([Buffer.of(1, 2), c, t])) - 1;
        prev = c;
        const shown = {
          kind: "use", mandate: mandate.toString("hex"), service: "svc_library", at: String(at),
          blocks: blocks.map((block) => block.join(":")),
        };
        lines.push({ n, index, event: event.toString("base64"), r: r.toString("base64"), shown });
      },
      /** A payload of its own, safe to change. */
      footprint: () =>
        structuredClone({
          origin: city.origin, vkey: city.key.vkey, tagKey: tagKey.toString("base64"), checkpointUrl: "/log/checkpoint", lines,
        }),
    };
  }

  publish(size = this.leaves.length) {
    return publish(this.leaves.slice(0, size), this.key, this.origin, this.witnesses);
  }
}

/** Remembers texts by name, as a browser would. */
export function memory() {
  const texts = new Map();
  return { get: (name) => texts.get(name) ?? null, set: (name, text) => texts.set(name, text), texts };
}
