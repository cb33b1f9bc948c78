// npm openid-client, a certified relying-party library, against `usufruct serve`: a city built from nothing by the CLI.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as client from "openid-client";
import { enrol } from "../lib/resident-of-city.js";
import { program, serve, fourPorts, workDir } from "../lib/server.js";
import { foundCity } from "../lib/city.js";

let server;
let city;
let work;
let keys;

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback` };
  keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  await foundCity(run, work.dir, city, await crypto.subtle.exportKey("jwk", keys.publicKey));
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
  city.run = run;
});

after(async () => {
  await server?.stop();
  work?.clean();
});

/** Opens the address as her browser does, and agrees to everything. */
async function agree(address, cookie) {
  let answer = await fetch(address, { headers: { cookie }, redirect: "manual" });
  while (answer.status === 200) {
    const html = await answer.text();
    const hidden = [...html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value.replaceAll("&#38;", "&").replaceAll("&amp;", "&")]);
    answer = await fetch(`${city.url}/oidc/authorize/decide`, { method: "POST", headers: { cookie }, body: new URLSearchParams([...hidden, ["decision", "agree"]]), redirect: "manual" });
  }
  assert.equal(answer.status, 303, await answer.clone().text());
  return new URL(answer.headers.get("location"));
}

test("pushed request with PKCE, tokens bound to a key, ID token, userinfo, refresh, introspection, grant, release, revocation", async () => {
  const config = await client.discovery(new URL(city.url), "svc_library", undefined, client.PrivateKeyJwt({ key: keys.privateKey, kid: "test" }), {
    execute: [client.allowInsecureRequests],
  });
  const metadata = config.serverMetadata();
  assert.deepEqual(metadata.subject_types_supported, ["pairwise"]);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  const cookie = await enrol(city, work.dir);
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const details = [{ type: "https://usufruct.org/rar/use-v1", mandate: "mdt_library-card", datatypes: ["blk_name"] }];
  const address = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: city.redirect, scope: "openid mdt_library-card", code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256", state, nonce, authorization_details: JSON.stringify(details), grant_management_action: "create",
  }, { DPoP });
  assert.deepEqual([...address.searchParams.keys()].sort(), ["client_id", "request_uri"]);
  const back = await agree(address, cookie);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP });
  assert.equal(tokens.token_type, "dpop");
  const claims = tokens.claims();
  assert.match(claims.sub, /^[\w-]{22}$/);
  assert.equal(claims.name, undefined);
  assert.deepEqual(tokens.authorization_details[0].datatypes, ["blk_name", "blk_over-18"], "what the mandate requires comes along");
  assert.deepEqual(await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP }), { sub: claims.sub });

  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  assert.equal(fresh.claims().sub, claims.sub);
  assert.equal(fresh.claims().auth_time, claims.auth_time);
  const known = await client.tokenIntrospection(config, fresh.access_token);
  assert.equal(known.active, true);
  assert.equal(known.sub, claims.sub);
  assert.equal(known.cnf.jkt, await DPoP.calculateThumbprint());

  const own = await client.clientCredentialsGrant(config, { scope: "release grant_management_query" }, { DPoP });
  const send = (path, method, body) =>
    client.fetchProtectedResource(config, own.access_token, new URL(`${city.url}${path}`), method, body && JSON.stringify(body), new Headers({ "content-type": "application/json" }), { DPoP });
  const grant = await (await send(`/oidc/grants/${tokens.grant_id}`, "GET")).json();
  assert.equal(grant.authorization_details[0].type, details[0].type);
  const wanted = { subject: claims.sub, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "new-card" };
  const released = await send("/api/releases", "POST", wanted);
  assert.equal(released.status, 200, await released.clone().text());
  assert.equal((await released.json()).blocks[0].value, "Test Person");

  await client.tokenRevocation(config, tokens.refresh_token);
  assert.equal((await client.tokenIntrospection(config, fresh.access_token)).active, false);
  await assert.rejects(client.fetchUserInfo(config, fresh.access_token, claims.sub, { DPoP }));
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }), /invalid_grant|error/);
  await assert.rejects(client.authorizationCodeGrant(config, back, checks, undefined, { DPoP }));
});

test("the demo's shortcuts are not there, and a demo directory is refused", async () => {
  for (const path of ["/demo/sign-in/anybody", "/demo/clerk"]) assert.equal((await fetch(`${city.url}${path}`)).status, 404);
  const demo = workDir();
  const made = spawnSync(program(), ["demo", "--residents", "5", "--data-dir", join(demo.dir, "d"), "--load-only"], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const refused = spawnSync(program(), ["serve", "--data-dir", join(demo.dir, "d"), "--listen", "127.0.0.1:0", "--issuer", city.url], { encoding: "utf8" });
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /demo/);
  demo.clean();
});
