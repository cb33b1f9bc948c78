// Clients that share no code with the log verify it at the sizes where trees and tiles change their shape.
//   USUFRUCT_LOG_SIZES=all node --test e2e/third-party/     also grows a running server to 70,000 leaves
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fourPorts, serve, workDir } from "../lib/server.js";
import { personas, release, releaseToken, service, subject } from "../lib/service.js";
import { dropPartials, files, madeUp, publish, readEntries, serveFolder, verifyServed, withoutGo } from "./client.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const SIZES = [0, 1, 255, 256, 257, 65_536, 70_000];

test("Go's tlog packages verify a folder at every size, with partials deleted", { skip: withoutGo }, async (t) => {
  const { dir, clean } = workDir();
  t.after(clean);
  const [objects, vkey, entries] = ["objects", "vkey", "entries"].map((name) => join(dir, name));
  const older = [];
  let [server, dropped] = [undefined, 0];
  t.after(() => server?.stop());
  for (const size of SIZES) {
    const published = publish(dir, size);
    assert.deepEqual([published.status, published.acknowledged], [0, [size]], published.error);
    server ??= await serveFolder(objects);
    dropped += dropPartials(objects);
    const checked = await verifyServed({ log: server.url, vkey, older, entries });
    assert.ok(checked.ok, checked.output);
    assert.equal(checked.size, size);
    const verified = readEntries(entries);
    assert.equal(verified.length, size);
    assert.ok(verified.every((entry, index) => entry === madeUp(index)), "the entries are not the ones published");
    older.push(join(dir, `checkpoint.${size}`));
    copyFileSync(join(objects, "checkpoint"), older[older.length - 1]);
  }
  // Bundle and tile of 1, 255, 257; the level 1 tile of 65,536 and every level 2 tile are still right edges.
  assert.ok(dropped >= 6, `${dropped} partial tiles were deleted`);
  assert.ok(server.missed.some((path) => path.endsWith(".p/255")), "no client ever asked for a deleted partial tile");
});

test("Go's tlog packages find what is wrong", { skip: withoutGo }, async (t) => {
  const { dir, clean } = workDir();
  t.after(clean);
  const [objects, vkey] = [join(dir, "objects"), join(dir, "vkey")];
  const longer = workDir();
  t.after(longer.clean);
  publish(longer.dir, 700);
  publish(dir, 600);
  const check = (older = []) => verifyServed({ log: objects, vkey, older });
  assert.ok((await check()).ok);
  for (const path of files(objects)) {
    const good = readFileSync(join(objects, path));
    const bad = Buffer.from(good);
    bad[good.length >> 1] ^= 1;
    writeFileSync(join(objects, path), bad);
    if (path !== "checkpoint") assert.ok(!(await check()).ok, `a bit of ${path} was flipped`);
    rmSync(join(objects, path));
    assert.ok(!(await check()).ok, `${path} is gone`);
    writeFileSync(join(objects, path), good);
  }
  assert.ok((await check()).ok);
  const rolledBack = await check([join(longer.dir, "objects", "checkpoint")]);
  assert.match(rolledBack.output, /shrank/);
});

test("Go's tlog packages verify a running server around the edge of a bundle, with partials deleted", { skip: withoutGo, timeout: 600_000 }, async (t) => {
  process.env.RUST_LOG ??= "info";
  // The server adds filler in every beat, so that one before, at and one after the edge cannot all be sizes of one log.
  const plans = [[-1], [0], [1, ...(process.env.USUFRUCT_LOG_SIZES === "all" ? [65_536, 70_000] : [])]];
  for (const plan of plans) {
    let reached = [];
    for (let tries = 0; reached.length < plan.length && tries < 6; tries++) reached = await grow(t, plan);
    assert.equal(reached.length, plan.length);
  }
});

/** Grows a fresh server to the sizes, small ones counted from the next edge, and lets the client verify it at each; answers those that it hit. */
async function grow(t, plan) {
  const { dir, clean } = workDir();
  const city = await uncapped(dir);
  try {
    const vkey = join(dir, "vkey");
    writeFileSync(vkey, await (await fetch(`${city.url}/log/vkey`)).text());
    const library = await service(city, "svc_library");
    const [persona] = await personas(city);
    const resident = await subject(city, library, persona, "openid mdt_library-card");
    const [older, reached] = [[], []];
    const edge = Math.ceil(((await settled(city)) + 30) / 256) * 256;
    for (const target of plan.map((size) => (size > 1 ? size : edge + size))) {
      const at = join(dir, `checkpoint.${target}`);
      const note = await reach(city, target, (count) => ask(city, library, resident, count));
      if (!note) break;
      writeFileSync(at, note);
      // The log has gone on when its partials are deleted: what the checkpoint needs comes from full tiles, or is still there.
      await nextCheckpoint(city, await currentCheckpoint(city));
      dropPartials(join(city.data, "log"));
      const checked = await verifyServed({ log: `${city.url}/log`, vkey, at, older });
      assert.ok(checked.ok, checked.output);
      assert.equal(checked.size, target);
      const now = await verifyServed({ log: `${city.url}/log`, vkey, older: [...older, at] });
      assert.ok(now.ok, now.output);
      t.diagnostic(`${checked.output}; then ${now.output}`);
      older.push(at);
      reached.push(target);
    }
    return reached;
  } finally {
    await city.stop();
    clean();
  }
}

/** A demo city in which the library may ask as often as it likes. */
async function uncapped(dir) {
  const port = await fourPorts();
  const [folder, data, url] = [join(dir, "city"), join(dir, "data"), `http://localhost:${port}`];
  cpSync(join(ROOT, "examples/taipei-like"), folder, { recursive: true });
  const mandate = join(folder, "mandates/library-card.toml");
  writeFileSync(mandate, readFileSync(mandate, "utf8").replace(/rate_cap = .*/, 'rate_cap = { uses = 1000000, per = "P1D" }'));
  const server = await serve(["demo", "--residents", "1", "--city", folder, "--data-dir", data, "--listen", `127.0.0.1:${port}`], url);
  return { ...server, url, data };
}

/** The size of the log once what the machine publishes after a start is in it. */
async function settled(city) {
  for (let note = await currentCheckpoint(city); ; ) {
    const next = await nextCheckpoint(city, note);
    if (sizeOf(next) - sizeOf(note) < 20) return sizeOf(next);
    note = next;
  }
}

/** The checkpoint of exactly this size, or `null` when the log went past it. Every answer is one leaf, and a beat has two at least. */
async function reach(city, target, ask) {
  for (let note = await currentCheckpoint(city); ; ) {
    // What is asked for right after a checkpoint comes into the next one, without filler.
    note = await nextCheckpoint(city, note);
    if (sizeOf(note) === target) return note;
    if (sizeOf(note) > target) return null;
    const committed = await ask(1);
    const gap = target - committed;
    if (gap > 0) await ask(gap > 250 ? gap - 200 : gap);
  }
}

const sizeOf = (note) => Number(note.split("\n")[1]);

const currentCheckpoint = async (city) => await (await fetch(`${city.url}/log/checkpoint`)).text();

/** The first checkpoint with another size than this one. */
async function nextCheckpoint(city, note) {
  for (let tries = 0; tries < 1_500; tries++) {
    const next = await currentCheckpoint(city);
    if (sizeOf(next) !== sizeOf(note)) return next;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`The log rests at ${sizeOf(note)}.`);
}

/** Asks `count` times for a name; answers how many leaves the log has then. */
async function ask(city, client, resident, count) {
  const body = JSON.stringify({ subject: resident, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" });
  let token = await releaseToken(city, client);
  let [left, committed] = [count, 0];
  const one = async () => {
    while (left-- > 0) {
      const answer = await release(city, client, token, body);
      const released = await answer.json();
      if (answer.status === 401) [token, left] = [await releaseToken(city, client), left + 1];
      else assert.equal(answer.status, 200, JSON.stringify(released));
      committed = Math.max(committed, (released.log?.index ?? -1) + 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 16) }, one));
  return committed;
}

/** A Python that has aics-tlog, whose package asks for 3.12 or newer. */
const python = [process.env.USUFRUCT_PYTHON, "python3.14", "python3.13", "python3.12", "python3"].find(
  (name) => name && spawnSync(name, ["-c", "import aics_tlog"]).status === 0,
);

test("aics-tlog verifies a folder at every size, with partials deleted", { skip: python ? false : "No Python here has aics-tlog. `pip install aics-tlog` brings it where Python is 3.12 or newer." }, async (t) => {
  const { dir, clean } = workDir();
  t.after(clean);
  const [objects, vkey] = ["objects", "vkey"].map((name) => join(dir, name));
  publish(dir, 0);
  const server = await serveFolder(objects);
  t.after(server.stop);
  const older = [];
  for (const size of SIZES) {
    publish(dir, size);
    dropPartials(objects);
    const picks = [0, 254, 255, 256, size - 1].filter((index) => index >= 0 && index < size);
    for (const command of [
      ["verify-checkpoint"],
      ...picks.map((index) => ["verify-inclusion", "--index", `${index}`]),
      ...older.map((file) => ["verify-consistency", "--old-checkpoint", file]),
    ]) {
      const child = spawn(/** @type {string} */ (python), ["-m", "aics_tlog", ...command, "--tiles", server.url, "--vkey-file", vkey]);
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
      assert.equal(await new Promise((resolve) => child.once("close", resolve)), 0, `${size}: ${command.join(" ")}: ${output}`);
    }
    if (size > 0) {
      older.push(join(dir, `checkpoint.${size}`));
      copyFileSync(join(objects, "checkpoint"), older[older.length - 1]);
    }
  }
});
