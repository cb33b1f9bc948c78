// Clients off the shelf, unmodified, sign a resident in: authlib, idpyoidc, and Apache with mod_auth_openidc, each as a service of the
// profile oidc; and how far the two libraries get under the profile fapi2.
//
// Those that USUFRUCT_CLIENTS_NEEDED names, which `script/test` sets once it has installed them, fail where they are missing and are not left out.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { foundCity, publishService } from "../lib/city.js";
import { enrol } from "../lib/resident-of-city.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.USUFRUCT_CLIENTS_PYTHON ?? join(HERE, "..", "..", ".local", "clients", "bin", "python3");
const SAMPLE = join(HERE, "..", "..", "examples", "developers", "apache", "pass.conf");
const APACHE = "/usr/sbin/apache2";
const MODULES = "/usr/lib/apache2/modules";

let work;
let server;
let city;
let cookie;
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback`, apache: port + 2 };
  city.run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const approved = await foundCity(city.run, work.dir, city, ec.publicKey.export({ format: "jwk" }));
  const desk = { name: "desk", redirect: city.redirect, jwk: { ...ec.publicKey.export({ format: "jwk" }), kid: "desk" }, profile: "oidc" };
  publishService(city.run, work.dir, city, approved, desk);
  city.intranet = `http://localhost:${city.apache}/callback`;
  const intranet = { name: "intranet", redirect: city.intranet, jwk: { ...rsa.publicKey.export({ format: "jwk" }), kid: "intranet" }, profile: "oidc" };
  publishService(city.run, work.dir, city, approved, intranet);
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  cookie = await enrol(city, work.dir);
});

after(async () => {
  await server?.stop();
  work?.clean();
});

/** Opens an address of the pass as her browser does; answers where it leads. */
async function signIn(address) {
  const answer = await fetch(address, { headers: { cookie, accept: "text/html" }, redirect: "manual" });
  assert.equal(answer.status, 303, await answer.clone().text());
  return answer.headers.get("location");
}

const DESK = { client_id: "svc_desk", kid: "desk" };
const LIBRARY = { client_id: "svc_library", kid: "test" };

/** Runs a client in Python that prints where it sends the browser, reads where it came back, and prints what it learnt. */
async function python(script, service = DESK) {
  writeFileSync(join(work.dir, "desk.pem"), ec.privateKey.export({ format: "pem", type: "pkcs8" }));
  const settings = { issuer: city.url, redirect_uri: city.redirect, key: join(work.dir, "desk.pem"), ...service };
  const child = spawn(PYTHON, [join(HERE, script), JSON.stringify(settings)], { stdio: ["pipe", "pipe", "pipe"] });
  let [out, error] = ["", ""];
  child.on("error", (cause) => (error += `${cause}`));
  child.stderr.on("data", (data) => (error += data));
  const ended = new Promise((resolve) => child.on("close", resolve));
  const lines = (async function* () {
    for await (const data of child.stdout) {
      out += data;
      while (out.includes("\n")) {
        yield out.slice(0, out.indexOf("\n"));
        out = out.slice(out.indexOf("\n") + 1);
      }
    }
  })();
  const { value: address } = await lines.next();
  assert.ok(address, error);
  child.stdin.end(`${await signIn(address)}\n`);
  const { value: learnt } = await lines.next();
  assert.ok(learnt, error);
  await ended;
  return JSON.parse(learnt);
}

const needed = (process.env.USUFRUCT_CLIENTS_NEEDED ?? "").split(" ");
const withoutPython = needed.includes("python") || existsSync(PYTHON) ? false : "Python with e2e/clients/requirements.txt is not there";

test("authlib", { skip: withoutPython }, async () => {
  const learnt = await python("authlib_client.py");
  assert.match(learnt.sub, /^[\w-]{22}$/);
  assert.deepEqual(learnt.userinfo, { sub: learnt.sub });
  assert.equal(learnt.replayed, "invalid_grant");
});

test("idpyoidc", { skip: withoutPython }, async () => {
  const learnt = await python("idpyoidc_client.py");
  assert.match(learnt.sub, /^[\w-]{22}$/);
  assert.equal(learnt.userinfo, learnt.sub);
});

test("authlib under fapi2 gets as far as it can prove possession", { skip: withoutPython }, async () => {
  assert.deepEqual(await python("authlib_fapi2_client.py", LIBRARY), { pushed: 201, outcome: "invalid_dpop_proof" });
});

test("idpyoidc under fapi2 gets a bound token", { skip: withoutPython }, async () => {
  const learnt = await python("idpyoidc_fapi2_client.py", LIBRARY);
  assert.match(learnt.sub, /^[\w-]{22}$/);
  assert.equal(learnt.type, "DPoP");
  assert.equal(learnt.own_assertion, "invalid_client", "the library names one audience as a string by now: let it sign for itself");
  assert.notEqual(learnt.userinfo, "taken", "the library writes `ath` as it should by now: walk the whole way");
});

const hasApache = existsSync(APACHE) && existsSync(join(MODULES, "mod_auth_openidc.so"));
const withoutApache = needed.includes("apache") || hasApache ? false : "Apache with mod_auth_openidc is not there";

test("Apache with mod_auth_openidc lets her in and nobody else", { skip: withoutApache }, async (t) => {
  const apache = await startApache(t);
  const cookies = (answer) => (answer.headers["set-cookie"] ?? []).map((line) => line.split(";")[0]).filter((pair) => !pair.endsWith("=")).join("; ");
  const first = await browse(`${apache}/`);
  assert.equal(first.status, 302, apacheLog());
  const back = await signIn(first.headers.location);
  assert.ok(back.startsWith(city.intranet), back);
  const stolen = await browse(back);
  assert.ok(stolen.status >= 400, "an answer without the browser that asked");
  const entered = await browse(back, cookies(first));
  assert.equal(entered.status, 302, apacheLog());
  const page = await browse(`${apache}/`, cookies(entered));
  assert.deepEqual([page.status, page.text.trim()], [200, "protected"]);
  assert.match(page.headers["x-subject"], /^[\w-]{22}$/);
});

/** Opens an address as a browser navigates to it; `fetch` would say that a script does. */
function browse(url, cookie = "") {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers: { accept: "text/html", "sec-fetch-mode": "navigate", cookie } }, (answer) => {
      let text = "";
      answer.on("data", (data) => (text += data));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    asked.on("error", (error) => reject(new Error(`${error.message}\n${apacheLog()}`))).end();
  });
}

let apacheLog = () => "";

/** Starts Apache on a port of its own, with the sample that developers copy as it stands; answers its address. */
async function startApache(t) {
  const dir = work.dir;
  mkdirSync(join(dir, "htdocs"), { recursive: true });
  writeFileSync(join(dir, "htdocs", "index.html"), "protected\n");
  writeFileSync(join(dir, "intranet.pem"), rsa.privateKey.export({ format: "pem", type: "pkcs1" }));
  // Without the public key beside the private one this version of the module ends with a fault of memory.
  writeFileSync(join(dir, "intranet.pub.pem"), rsa.publicKey.export({ format: "pem", type: "spki" }));
  const loaded = ["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "mime", "headers", "auth_openidc"];
  const places = {
    ISSUER: city.url, CLIENT_ID: "svc_intranet", KID: "intranet", CERTIFICATE: join(dir, "intranet.pub.pem"), KEY: join(dir, "intranet.pem"),
    PORT: city.apache, PASSPHRASE: "only-for-this-test",
  };
  const settings = `
ServerRoot ${dir}
ServerName localhost
PidFile ${dir}/apache.pid
ErrorLog ${dir}/apache.log
Listen 127.0.0.1:${city.apache}
${loaded.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join("\n")}
DocumentRoot ${dir}/htdocs
DirectoryIndex index.html
TypesConfig /etc/mime.types
${Object.entries(places).map(([name, value]) => `Define ${name} ${value}`).join("\n")}
Include ${SAMPLE}
OIDCCacheType file
OIDCCacheDir ${dir}
<Location "/">
  Header set x-subject "expr=%{REMOTE_USER}"
</Location>
`;
  writeFileSync(join(dir, "apache.conf"), settings);
  const child = spawn(APACHE, ["-X", "-f", join(dir, "apache.conf")], { stdio: ["ignore", "ignore", "pipe"] });
  let error = "";
  child.stderr.on("data", (data) => (error += data));
  child.on("exit", (code, signal) => (error += `Apache ended: ${code ?? signal}\n`));
  apacheLog = () => `${error}${existsSync(join(dir, "apache.log")) ? readFileSync(join(dir, "apache.log"), "utf8").slice(-3_000) : ""}`;
  t.after(() => child.kill());
  const url = `http://localhost:${city.apache}`;
  for (let tries = 0; tries < 50; tries++) {
    if (await fetch(url, { redirect: "manual" }).then(() => true, () => false)) return url;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Apache did not start.\n${apacheLog()}`);
}
