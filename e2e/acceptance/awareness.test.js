// Whoever never looks is told (Denmark: 14 % know that the log exists).
import assert from "node:assert/strict";
import { resident } from "../lib/drill.js";
import { acceptance, read } from "../lib/acceptance.js";

let cookie;

const { city, part } = acceptance("awareness", async () => void (cookie = await resident(city)));

part("digest", async () => {
  const pages = await Promise.all(["/me", "/me/account", "/me/account/devices"].map(async (path) => (await read(city, path, cookie)).html));
  assert.ok(pages.some((html) => /every week|each week|weekly/i.test(html)), "her settings say nothing of a weekly message");
});
