// Whom the demo city knows: what must never stand in a server's log or on another resident's page.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PEOPLE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "taipei-like", "people");
const read = (name) => readFileSync(join(PEOPLE, name), "utf8");
const words = (name) => read(name).split("\n").filter((line) => line && !line.startsWith("#"));

/** Names of the personas in both languages, in the order of their file. @type {string[][]} */
export const personaNames = [...read("personas.toml").matchAll(/^name = \{ en = "([^"]+)", zh-Hant = "([^"]+)" \}/gm)].map(([, ...names]) => names);

/** Surname and given name of an invented resident. */
const invented = new RegExp(`(?:${words("surnames.txt").join("|")})(?:${words("given-names.txt").join("|")})`);

const PATTERNS = [
  ["a telephone number", /0900-?\d{3}-?\d{3}/],
  ["an e-mail address", /(?:r\d{9}|demo\d+)@example\.org/],
  ["a national number", /\bA[12]\d{8}\b/],
  ["a library card", /\bLW\d{8}\b/],
  ["an invented name", invented],
  ["the name of a clerk's resident", /Chen Demo|陳示範/],
  ["an access token", /uft_[\w-]{43}/],
  ["a code or a pseudonym in an address", /[?&](?:code|sub|subject|login_hint)=/],
];

/** Which identities a text holds, one line each. @param {string} text */
export function identities(text) {
  const found = PATTERNS.flatMap(([what, pattern]) => pattern.exec(text)?.slice(0, 1).map((match) => `${what}: ${match}`) ?? []);
  return [...found, ...personaNames.flat().filter((name) => text.includes(name)).map((name) => `a persona: ${name}`)];
}
