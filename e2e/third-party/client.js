// The Go client, the example that publishes a log, and a plain file server to put between them.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");

/** Debian's Go and where its packages are; `null` where they are not installed. */
function go() {
  const program = ["/usr/lib/go-1.19/bin/go", "/usr/lib/go/bin/go", "/usr/bin/go"].find(existsSync);
  return program && existsSync("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog") ? program : null;
}

/** Why the Go client cannot run here, or `false`. */
export const withoutGo = go() ? false : "Go's tlog packages are not installed. `apt-get install golang-1.19-go golang-golang-x-mod-dev` brings them.";

/** Builds the Go client, unless that was done since it changed. @returns {string} */
export function goClient() {
  const [source, built] = [join(HERE, "tlog.go"), join(tmpdir(), `usufruct-tlog-${process.getuid?.() ?? 0}`, "tlog")];
  if (existsSync(built) && statSync(built).mtimeMs > statSync(source).mtimeMs) return built;
  mkdirSync(dirname(built), { recursive: true });
  const env = { ...process.env, GO111MODULE: "off", GOPATH: "/usr/share/gocode", GOFLAGS: "-buildvcs=false", GOCACHE: join(dirname(built), "cache") };
  const done = spawnSync(/** @type {string} */ (go()), ["build", "-o", built, source], { env, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`The Go client does not build: ${done.stderr}`);
  return built;
}

/**
 * Lets the Go client verify a log.
 * @param {Check} check
 * @returns {{ok: boolean, size: number, output: string}}
 */
export function verify(check) {
  const done = spawnSync(goClient(), words(check), { encoding: "utf8" });
  if (done.error) throw done.error;
  return { ok: done.status === 0, size: Number(/^size (\d+) /.exec(done.stdout)?.[1] ?? NaN), output: `${done.stdout}${done.stderr}`.trim() };
}

/** The same without stopping this process, which may be the server. @param {Check} check */
export async function verifyServed(check) {
  const child = spawn(goClient(), words(check));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const status = await new Promise((resolve, reject) => child.once("close", resolve).once("error", reject));
  return { ok: status === 0, size: Number(/^size (\d+) /m.exec(output)?.[1] ?? NaN), output: output.trim() };
}

/**
 * `log` is an address or a folder, the others are files: `older` checkpoints, `at` the one to verify at instead of the one that
 * is served, `entries` what gets the verified entries.
 * @typedef {{log: string, vkey: string, at?: string, older?: string[], entries?: string, samples?: number}} Check
 * @param {Check} check
 */
const words = ({ log, vkey, at, older = [], entries, samples = 20 }) =>
  ["-vkey", vkey, "-samples", `${samples}`, ...(at ? ["-at", at] : []), ...(entries ? ["-entries", entries] : []), log, ...older];

/** The example program of the log crate. */
export function publishProgram() {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
  const built = [process.env.USUFRUCT_PUBLISH_BIN, join(target, "debug/examples/publish")].find((path) => path && existsSync(path));
  if (!built) throw new Error("The example is not built. Run `cargo build -p usufruct-log --example publish` first.");
  return built;
}

/** Grows the log in `dir` to each of the sizes; answers exit status, signal and the lines printed. */
export function publish(dir, ...words) {
  const done = spawnSync(publishProgram(), [join(dir, "objects"), join(dir, "head"), ...words.map(String)], { encoding: "utf8" });
  const lines = done.stdout.split("\n");
  const vkey = lines[0].replace(/^vkey /, "");
  if (vkey && done.status === 0) writeFileSync(join(dir, "vkey"), `${vkey}\n`);
  const acknowledged = lines.filter((line) => line.startsWith("acknowledged ")).map((line) => Number(line.slice(13)));
  return { status: done.status, signal: done.signal, error: done.stderr.trim(), acknowledged };
}

const leafHash = (text) => createHash("sha256").update("\0").update(text).digest("hex");

/** The entry that the example makes up for an index, in hex. @param {number} index */
export const madeUp = (index) => `0102${leafHash(`first half ${index}`)}${leafHash(`second half ${index}`)}`;

/** All public files under a folder, relative to it. @param {string} folder @returns {string[]} */
export function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => !path.startsWith("."));
}

/** Deletes every partial tile and bundle whose full one is there; answers how many. @param {string} objects */
export function dropPartials(objects) {
  let dropped = 0;
  for (const path of files(objects)) {
    const full = path.replace(/\.p\/\d+$/, "");
    if (full === path || !existsSync(join(objects, full))) continue;
    rmSync(join(objects, path));
    dropped += 1;
  }
  return dropped;
}

/** Serves a folder over HTTP. @param {string} folder */
export async function serveFolder(folder) {
  const missed = [];
  const server = createServer((request, answer) => {
    const path = join(folder, new URL(request.url ?? "/", "http://localhost").pathname);
    if (!path.startsWith(folder) || !existsSync(path) || !statSync(path).isFile()) {
      missed.push(request.url);
      answer.writeHead(404).end();
      return;
    }
    createReadStream(path).pipe(answer);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, missed, stop: () => server.close() };
}

/** The verified entries that the Go client wrote, in hex. @param {string} file */
export const readEntries = (file) => readFileSync(file, "utf8").split("\n").filter(Boolean);
