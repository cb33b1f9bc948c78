// The same requests, good and bad, to the pass and to npm oidc-provider. Where status or error differ, differences.json says why; an
// unexplained difference fails, and so does an explanation of something that no longer differs.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { demo, fourPorts } from "../lib/server.js";
import { personas, service, signIn } from "../lib/service.js";
import { startPeer } from "./peer.js";
import { requests } from "./requests.js";
import { Target } from "./target.js";

const TABLE = new URL("differences.json", import.meta.url);

let city;
let peer;
let targets;

before(async () => {
  city = await demo({ residents: 5 });
  const [client, other] = [await service(city, "svc_library"), await service(city, "svc_festival")];
  const jwks = await Promise.all([client, other].map(async ({ id }) => (await (await fetch(`${city.url}/register/services/${id}.json`)).json()).body.jwks[0]));
  peer = await startPeer(await fourPorts(), [client, other].map(({ id, redirect }, i) => ({ id, redirect, jwk: jwks[i] })));
  const paths = { par: "/oidc/par", token: "/oidc/token", userinfo: "/oidc/userinfo", introspect: "/oidc/introspect", revoke: "/oidc/revoke", authorize: "/oidc/authorize" };
  const [persona] = await personas(city);
  const own = new Target({ url: city.url, paths }, client, other, walker(city.url, await signIn(city, persona)));
  const theirs = new Target(peer, client, other, walker(peer.url, ""));
  targets = [own, theirs];
});

after(async () => {
  peer?.stop();
  await city?.stop();
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
  const [differing, wrong] = [{}, []];
  for (const [name, ask] of all) {
    const [own, theirs] = [await ask(targets[0]), await ask(targets[1])];
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
