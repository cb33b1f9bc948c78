// A real city from nothing, by the command line: operator, library, blocks, mandate, and one service with its key.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freshSchema } from "./server.js";

const EXAMPLE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "taipei-like");

let schemas = 0;

/**
 * Where the city keeps its rows: in a schema of its own until this process ends, with USUFRUCT_E2E_DATABASE, if the test names no database.
 * @param {string[]} asked
 */
function database(asked) {
  if (!process.env.USUFRUCT_E2E_DATABASE || asked.includes("--database")) return [];
  const schema = freshSchema(`${process.pid}_${(schemas += 1)}`);
  process.once("exit", schema.drop);
  return ["--database", schema.url];
}

/**
 * @param {(...args: string[]) => string} run runs the program and answers what it printed
 * @param {string} dir for key files and drafts
 * @param {{data: string, redirect: string, init?: string[]}} city with what else `init` is told
 * @param {JsonWebKey} jwk public key of the library's service
 * @returns the approval of the library's two officials, as arguments
 */
export async function foundCity(run, dir, city, jwk) {
  const data = ["--data-dir", city.data];
  run("init", ...data, "--origin", "pass.example.org/log", "--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市", ...(city.init ?? []), ...database(city.init ?? []));
  const operator = ["head", "data-protection"].flatMap((key) => ["--key", join(city.data, "officials", `agc_information.${key}.json`)]);
  const officials = (agency) =>
    ["head", "data-protection"].map((key) => {
      const file = join(dir, `${agency}.${key}.json`);
      run("key", "new", "--agency", agency, "--key", key, "--out", file);
      return file;
    });
  const agency = (name) => {
    const keys = officials(`agc_${name}`);
    const text = readFileSync(join(EXAMPLE, "agencies", `${name}.toml`), "utf8").replace(/^roles.*$/m, "");
    const file = join(dir, `${name}.toml`);
    writeFileSync(file, text + keys.map((key) => run("key", "public", key)).join(""));
    run("publish", "agency", file, ...operator, ...data);
    return keys.flatMap((key) => ["--key", key]);
  };
  agency("oversight");
  const approved = agency("library");
  agency("civil-affairs");
  for (const block of ["name", "over-18", "email", "preferred-language"]) {
    run("publish", "block", join(EXAMPLE, "blocks", `${block}.toml`), ...operator, ...data);
  }
  run("mandate", "publish", join(EXAMPLE, "mandates", "library-card.toml"), ...approved, ...data);
  publishService(run, dir, city, approved, { name: "library", redirect: city.redirect, jwk: { ...jwk, kid: "test" } });
  return approved;
}

/** Publishes the library's mandate once more, under another name and with a line of its own. @param {string} line */
export function publishMandate(run, dir, city, approved, name, line) {
  const text = readFileSync(join(EXAMPLE, "mandates", "library-card.toml"), "utf8").replace(/^gate = .*$/m, `$&\n${line}`);
  const file = join(dir, `${name}.toml`);
  writeFileSync(file, text);
  run("mandate", "publish", file, ...approved, "--data-dir", city.data);
}

/**
 * Publishes a service of the library. With a profile of its own it works under no mandate; without a key it is a program in a browser.
 * `change` has the last word about its file.
 * @param {{name: string, redirect: string, out?: string, jwk?: (JsonWebKey & {kid: string}) | null, profile?: string, mandates?: string[], change?: (text: string) => string}} service
 */
export function publishService(run, dir, city, approved, { name, redirect, out, jwk, profile, mandates, change = (text) => text }) {
  let text = readFileSync(join(EXAMPLE, "services", "library.toml"), "utf8")
    .replace(/^redirect_uris = .*$/m, `redirect_uris = ["${redirect}"]`)
    .replace(/^post_logout_redirect_uris.*$/m, out ? `post_logout_redirect_uris = ["${out}"]` : "");
  if (mandates) text = text.replace(/^mandates = .*$/m, `mandates = ${JSON.stringify(mandates)}`);
  if (profile) {
    text = text.replace(/^mandates = .*$/m, `profile = "${profile}"`).replace(/^sector = .*$/m, `sector = "${name}"`);
  }
  const file = join(dir, `${name}.toml`);
  if (jwk === null) {
    // Its keys are elsewhere, and `change` says where.
    writeFileSync(file, change(text));
    run("publish", "service", file, ...approved, "--data-dir", city.data);
    return;
  }
  if (!jwk) {
    writeFileSync(file, `auth = "none"\n${text}`);
    run("publish", "service", file, ...approved, "--data-dir", city.data);
    return;
  }
  const members = ["kid", "kty", "crv", "x", "y", "n", "e", "use"].filter((member) => jwk[member] !== undefined);
  const key = `\n[[jwks]]\n${members.map((member) => `${member} = "${jwk[member]}"\n`).join("")}`;
  writeFileSync(file, change(text) + key);
  run("publish", "service", file, ...approved, "--data-dir", city.data);
}
