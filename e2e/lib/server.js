// Starts the program on free ports with a data directory of its own.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const BUILT = ["target/release/usufruct", "target/debug/usufruct"].map((path) => join(ROOT, path));

/** The program under test: the one named by USUFRUCT_BIN, else the one built last. */
export function program() {
  const named = process.env.USUFRUCT_BIN;
  const found = (named ? [resolve(named)] : BUILT).filter((path) => existsSync(path));
  if (found.length === 0) throw new Error(`${named ?? "The program"} is not there. Run \`cargo build -p usufruct\` first.`);
  return found.sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs)[0];
}

/** A port with two free ports after it. */
export async function fourPorts() {
  for (let tries = 0; tries < 200; tries++) {
    const base = 20_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all([base, base + 1, base + 2, base + 3].map(isFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error("No four free ports in a row.");
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** An empty directory that `clean` removes. */
export function workDir() {
  const dir = mkdtempSync(join(tmpdir(), "usufruct-e2e-"));
  return { dir, clean: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * Runs a subcommand that serves until it is stopped. It tells all it can, so that a test sees what a log might hold.
 * @param {string[]} args
 * @param {string} base URL that answers when the server is up
 */
export async function serve(args, base) {
  const env = { ...process.env, USUFRUCT_ANY_DISK: "1", RUST_LOG: process.env.RUST_LOG ?? "debug" };
  // A file and no pipe: nobody empties a pipe while a test waits for a command, and a server whose pipe is full stands still.
  const { dir, clean } = workDir();
  const file = join(dir, "output");
  const sink = openSync(file, "a");
  const child = spawn(program(), args, { cwd: ROOT, env, stdio: ["ignore", sink, sink] });
  closeSync(sink);
  let kept;
  const output = () => kept ?? readFileSync(file, "utf8");
  const abandon = () => child.kill("SIGKILL");
  process.once("exit", abandon);
  const ended = new Promise((resolve) => child.once("exit", resolve)).then(() => {
    process.off("exit", abandon);
    kept = output();
    clean();
  });
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null) throw new Error(`The server ended: ${output()}`);
    if (await fetch(`${base}/log/vkey`).then((answer) => answer.ok, () => false)) break;
    if (tries > 600) throw new Error(`The server did not come up: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return {
    output,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/**
 * Starts a subcommand that says on which address it serves, and waits until it does.
 * @param {string[]} args
 */
export async function serveKeeper(args) {
  const env = { ...process.env, USUFRUCT_ANY_DISK: "1", RUST_LOG: process.env.RUST_LOG ?? "debug" };
  const child = spawn(program(), args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  const abandon = () => child.kill("SIGKILL");
  process.once("exit", abandon);
  const ended = new Promise((resolve) => child.once("exit", resolve)).then(() => process.off("exit", abandon));
  let output = "";
  await new Promise((resolve, reject) => {
    child.stdout.on("data", (chunk) => (output += chunk).includes(" on ") && resolve());
    child.stderr.on("data", (chunk) => (output += chunk));
    child.once("exit", () => reject(new Error(`${args.join(" ")} ended: ${output}`)));
  });
  return {
    output: () => output,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** A schema of its own in the PostgreSQL of USUFRUCT_TEST_POSTGRES. @param {number | string} number */
export function freshSchema(number) {
  const base = process.env.USUFRUCT_TEST_POSTGRES;
  if (!base) throw new Error("USUFRUCT_TEST_POSTGRES is not set. `script/postgres start` prints it.");
  const name = `e2e_${number}`;
  const run = (sql) => {
    const done = spawnSync("psql", [base, "-qc", sql], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`psql: ${done.stderr}`);
  };
  run(`CREATE SCHEMA ${name}`);
  return { url: `${base}${base.includes("?") ? "&" : "?"}options=-csearch_path%3D${name}`, drop: () => run(`DROP SCHEMA ${name} CASCADE`) };
}

/** A demo city on free ports; `city` is the folder of another one than the example. @param {{residents?: number, database?: string, city?: string}} [options] */
export async function demo({ residents = 50, database, city } = {}) {
  const port = await fourPorts();
  const { dir, clean } = workDir();
  const data = join(dir, "data");
  const url = `http://localhost:${port}`;
  const args = ["demo", "--residents", `${residents}`, "--data-dir", data, "--listen", `127.0.0.1:${port}`];
  if (city) args.push("--city", city);
  const schema = database ? freshSchema(port) : undefined;
  if (schema) args.push("--database", schema.url);
  const server = await serve(args, url);
  const stop = async () => {
    await server.stop();
    schema?.drop();
    clean();
  };
  return { ...server, stop, url, data, sampleLibrary: `http://localhost:${port + 1}`, sampleFestival: `http://localhost:${port + 2}`, args };
}
