// The independent check after a fault: Go's tlog packages, the known roots of the example's tree, and what it had promised.
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { madeUp, publish, readEntries, verify } from "../third-party/client.js";

/** Publishes the same log without faults and keeps its checkpoints. @param {string} dir @param {number[]} sizes */
export function reference(dir, sizes) {
  const checkpoints = new Map();
  mkdirSync(dir, { recursive: true });
  for (const size of sizes) {
    const done = publish(dir, size);
    if (done.status !== 0) throw new Error(`Without any fault it ended with ${done.status}: ${done.error}`);
    checkpoints.set(size, join(dir, `checkpoint.${size}`));
    copyFileSync(join(dir, "objects", "checkpoint"), checkpoints.get(size));
  }
  return { vkey: join(dir, "vkey"), checkpoints };
}

/**
 * What is wrong with the public files of a log in `dir`; nothing if they are whole, hold every acknowledged entry, and are
 * consistent with every checkpoint acknowledged or seen before.
 * @param {string} dir
 * @param {{vkey: string, checkpoints: Map<number, string>}} known
 * @param {number[]} acknowledged sizes
 * @param {string[]} seen files of checkpoints that were public at some time
 */
export function problems(dir, known, acknowledged, seen = []) {
  const objects = join(dir, "objects");
  const least = Math.max(-1, ...acknowledged);
  if (!existsSync(join(objects, "checkpoint"))) return least < 0 ? [] : [`size ${least} was acknowledged and there is no checkpoint`];
  const older = acknowledged.map((size) => /** @type {string} */ (known.checkpoints.get(size)));
  const entries = join(dir, "entries");
  const checked = verify({ log: objects, vkey: known.vkey, older: [...older, ...seen], entries, samples: 4 });
  if (!checked.ok) return [checked.output];
  const found = [];
  if (checked.size < least) found.push(`size ${least} was acknowledged and the checkpoint has ${checked.size}`);
  readEntries(entries).forEach((entry, index) => entry === madeUp(index) || found.push(`entry ${index} is not the one given`));
  return found;
}

/** Whether a program that refused to go on said what happened and what to do. @param {string} message */
export const saysWhy = (message) => /^[^\n]+\. [^\n]+\.$/m.test(message.trim());
