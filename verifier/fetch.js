// @ts-check
// Reads files of a log over HTTP, in a browser and in node.
import { need } from "./log/bytes.js";

const PATIENCE_MILLIS = 30_000;

/** A file, or its bytes from `from` up to `to`; null when there is none. @type {import("./log/tree.js").FetchBytes} */
export async function fetchBytes(url, from = 0, to) {
  const response = await fetch(url, {
    cache: url.endsWith("/checkpoint") ? "no-store" : "default",
    credentials: "omit",
    headers: to === undefined ? {} : { range: `bytes=${from}-${to - 1}` },
    signal: AbortSignal.timeout(PATIENCE_MILLIS),
  });
  if (response.status === 404 || response.status === 416) return null;
  need(response.ok, "unreachable");
  const bytes = new Uint8Array(await response.arrayBuffer());
  return response.status === 206 ? bytes : bytes.subarray(from, to);
}
