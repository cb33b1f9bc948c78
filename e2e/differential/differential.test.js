// The same requests, good and bad, to the pass and to npm oidc-provider. Where status or error differ, differences.json says why; an
// unexplained difference fails, and so does an explanation of something that no longer differs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { foundCity, publishService } from "../lib/city.js";
import { enrol } from "../lib/resident-of-city.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";
import { patient } from "./patient.js";
import { startPeer } from "./peer.js";
import { requests } from "./requests.js";
import { Target } from "./target.js";

const TABLE = new URL("differences.json", import.meta.url);
const PATHS = {
  par: "/oidc/par", token: "/oidc/token", userinfo: "/oidc/userinfo", introspect: "/oidc/introspect", revoke: "/oidc/revoke", authorize: "/oidc/authorize",
  discovery: "/.well-known/openid-configuration", jwks: "/oidc/jwks", end: "/oidc/end-session",
};
/** What one service registered beside its key. */
const SIGNED = { id_token_signed_response_alg: "EdDSA", userinfo_signed_response_alg: "PS256" };
/** Least number of requests. */
const LEAST = 300;

let work;
let server;
let peer;
/** By kind of service: the pass, and the other provider. */
const targets = {};

before(async () => {
  work = workDir();
  const port = await fourPorts();
  const shop = `http://localhost:${port + 1}`;
  const city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `${shop}/callback` };
  city.run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const approved = await foundCity(city.run, work.dir, city, key.publicKey.export({ format: "jwk" }));
  const clients = ["library", "second", "desk", "office", "page", "signed"].map((name) => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const kind = { library: "fapi2", second: "fapi2", desk: "oidc", office: "oidc", page: "page", signed: "fapi2" }[name];
    const registered = name === "signed" ? SIGNED : {};
    const jwk = kind === "page" ? undefined : { ...publicKey.export({ format: "jwk" }), kid: name };
    const [redirect, out] = [`${shop}/${name}/back`, `${shop}/${name}/out`];
    const profile = kind === "fapi2" ? undefined : "oidc";
    publishService(city.run, work.dir, city, approved, { name, redirect, out, jwk, profile, change: (text) => Object.entries(registered).map(([member, word]) => `${member} = "${word}"\n`).join("") + text });
    return { id: `svc_${name}`, kind, registered, redirect, out, jwk, key: privateKey, kid: name, bound: generateKeyPairSync("ec", { namedCurve: "P-256" }) };
  });
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  globalThis.fetch = patient(globalThis.fetch, city.url);
  peer = await startPeer(await fourPorts(), clients);
  const own = { url: city.url, paths: PATHS };
  const [ownWalk, theirWalk] = [walker(city.url, await enrol(city, work.dir)), walker(peer.url, "")];
  const [library, second, desk, office, page, signed] = clients;
  for (const [kind, client, other] of [["fapi2", library, second], ["oidc", desk, office], ["page", page, desk], ["signed", signed, second]]) {
    targets[kind] = [
      new Target(own, client, other, ownWalk, () => walker(city.url, ""), client.kind),
      new Target(peer, client, other, theirWalk, () => walker(peer.url, ""), client.kind),
    ];
  }
});

after(async () => {
  peer?.stop();
  await server?.stop();
  work?.clean();
});

/** Follows an address as a browser does until it leaves the provider; answers where to, or the status of the page it stays on. */
function walker(url, cookie) {
  const jar = new Map(cookie.split("; ").filter(Boolean).map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
  return async (address) => {
    for (let steps = 0; steps < 12; steps += 1) {
      const answer = await fetch(address, { redirect: "manual", headers: { accept: "text/html", cookie: [...jar].map((pair) => pair.join("=")).join("; ") } });
      for (const line of answer.headers.getSetCookie()) {
        const [name, value] = line.split(";")[0].split(/=(.*)/s);
        if (value) jar.set(name, value);
        else jar.delete(name);
      }
      const location = answer.headers.get("location");
      if (!location) return String(answer.status);
      address = new URL(location, url).href;
      if (!address.startsWith(url)) return address;
    }
    throw new Error(`No end at ${address}.`);
  };
}

test("two providers answer alike, or we know why not", async (t) => {
  const explained = JSON.parse(readFileSync(TABLE, "utf8"));
  const all = requests();
  assert.equal(new Set(all.map(([name]) => name)).size, all.length, "every request has a name of its own");
  assert.ok(all.length >= LEAST, `${all.length} requests`);
  const [differing, wrong] = [{}, []];
  for (const [name, ask, kind] of all) {
    const said = [];
    for (const target of targets[kind]) said.push(await ask(target).catch((error) => `broke: ${error.message}`));
    const [own, theirs] = said;
    assert.ok(!said.some((word) => word.startsWith("broke")), `${name}: ${said.join(", ")}`);
    if (own !== theirs) differing[name] = { own, theirs, why: explained[name]?.why ?? "" };
  }
  t.diagnostic(`${all.length} requests, ${Object.keys(differing).length} differences`);
  if (process.env.USUFRUCT_WRITE_DIFFERENCES) writeFileSync(TABLE, `${JSON.stringify(differing, null, 2)}\n`);
  for (const [name, { own, theirs, why }] of Object.entries(differing)) {
    const known = explained[name];
    if (!why || known.own !== own || known.theirs !== theirs) wrong.push(`${name}: ${own} here, ${theirs} there`);
  }
  for (const name of Object.keys(explained)) if (!differing[name]) wrong.push(`${name}: no difference any more`);
  assert.deepEqual(wrong, []);
});
