// A real city from nothing, by the command line: operator, library, blocks, mandate, and one service with its key.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const EXAMPLE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "taipei-like");

/**
 * @param {(...args: string[]) => string} run runs the program and answers what it printed
 * @param {string} dir for key files and drafts
 * @param {{data: string, redirect: string}} city
 * @param {JsonWebKey} jwk public key of the library's service
 */
export async function foundCity(run, dir, city, jwk) {
  const data = ["--data-dir", city.data];
  run("init", ...data, "--origin", "pass.example.org/log", "--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市");
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
    run("publish", "block", join(EXAMPLE, "blocks", `${block}.toml`), ...operator.slice(0, 2), ...data);
  }
  run("mandate", "publish", join(EXAMPLE, "mandates", "library-card.toml"), ...approved, ...data);
  const service = readFileSync(join(EXAMPLE, "services", "library.toml"), "utf8").replace(/redirect_uris = .*/, `redirect_uris = ["${city.redirect}"]`);
  const key = `\n[[jwks]]\nkid = "test"\nkty = "EC"\ncrv = "P-256"\nx = "${jwk.x}"\ny = "${jwk.y}"\n`;
  const file = join(dir, "library.toml");
  writeFileSync(file, service.replace(/^post_logout_redirect_uris.*$/m, "") + key);
  run("publish", "service", file, ...approved, ...data);
}
