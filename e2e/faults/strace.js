// Runs a program under strace: to count its system calls, to let one of them fail, or to end it with SIGKILL just before one.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Calls by which a log changes or reads its files, with the errors that a disk may answer. */
export const ERRORS = {
  openat: ["EIO"], openat2: ["EIO"], link: ["EIO"], linkat: ["EIO"], symlink: ["EIO"], mkdir: ["EIO", "ENOSPC"], mkdirat: ["EIO", "ENOSPC"],
  rename: ["EIO", "ENOSPC"], renameat: ["EIO", "ENOSPC"], renameat2: ["EIO", "ENOSPC"], fsync: ["EIO"], fdatasync: ["EIO"], syncfs: ["EIO"],
  sync_file_range: ["EIO"], close: ["EIO"], write: ["EIO", "ENOSPC"], writev: ["EIO", "ENOSPC"], pwrite64: ["EIO", "ENOSPC"], pwritev: ["EIO", "ENOSPC"],
  read: ["EIO"], pread64: ["EIO"], unlink: ["EIO"], unlinkat: ["EIO"], flock: ["EIO"], fcntl: ["EIO"], ftruncate: ["EIO", "ENOSPC"], fallocate: ["EIO", "ENOSPC"],
  copy_file_range: ["EIO"], sendfile: ["EIO"], statx: ["EIO"], newfstatat: ["EIO"], getdents64: ["EIO"], chmod: ["EIO"], fchmod: ["EIO"],
};

/** Calls whose failure leaves it uncertain what is on the disk: the process has to end. */
export const SYNCS = ["fsync", "fdatasync", "syncfs", "sync_file_range"];

const NAMES = Object.keys(ERRORS).map((name) => `?${name}`).join(",");

/** How often a program makes each call. @param {string[]} command @param {string} trace a file @returns {Record<string, number>} */
export function count(command, trace) {
  const done = spawnSync("strace", ["-f", "-qq", "-o", trace, "-e", `trace=${NAMES}`, "-e", "signal=none", ...command], { encoding: "utf8" });
  if (done.error) throw done.error;
  if (done.status !== 0) throw new Error(`Without any fault it ended with ${done.status}: ${done.stderr}`);
  const counts = {};
  for (const [, name] of readFileSync(trace, "utf8").matchAll(/^\d+ +(\w+)\(/gm)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** The part of strace's command line that makes the `when`-th call `name` fail, or kills before it. `fault` is an error or "KILL". */
export const injecting = (name, when, fault, trace) => [
  "-f", "-qq", "-o", trace, "-e", `trace=${name}`, "-e", "signal=none", "-e", `inject=${name}:${fault === "KILL" ? "signal=KILL" : `error=${fault}`}:when=${when}`,
];

/** Runs a program with one fault. @param {string[]} command @returns {{status: number | null, killed: boolean, injected: boolean, stdout: string, stderr: string}} */
export function inject(command, name, when, fault, trace) {
  const done = spawnSync("strace", [...injecting(name, when, fault, trace), ...command], { encoding: "utf8", timeout: 60_000 });
  if (done.error) throw done.error;
  const killed = done.signal === "SIGKILL" || done.status === 137;
  return { status: done.status, killed, injected: killed || readFileSync(trace, "utf8").includes("(INJECTED)"), stdout: done.stdout, stderr: done.stderr };
}

/** A repeatable source of chance (mulberry32). @param {number} seed @returns {() => number} from 0 up to 1 */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** At most `most` of the items, by chance. @template T @param {T[]} items @param {number} most @param {() => number} chance @returns {T[]} */
export function sample(items, most, chance) {
  const left = [...items];
  const picked = [];
  while (left.length > 0 && picked.length < most) picked.push(...left.splice(Math.floor(chance() * left.length), 1));
  return picked;
}
