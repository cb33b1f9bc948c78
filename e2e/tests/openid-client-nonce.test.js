// npm openid-client against a pass that asks for nonces in proofs of possession: it is told, tries again by itself, and gets on. Beside it, npm
// jose opens userinfo that was signed and encrypted for a service which publishes its keys by itself.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { compactDecrypt, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import * as client from "openid-client";
import { foundCity, publishService } from "../lib/city.js";
import { enrol } from "../lib/resident-of-city.js";
import { fourPorts, program, serve, workDir } from "../lib/server.js";

let [server, city, work, place] = [];
/** Requests to the pass, as status and error. */
const seen = [];
let keys;
let decryption;
let published = [];
let fetched = 0;

before(async () => {
  work = workDir();
  const port = await fourPorts();
  city = { url: `http://localhost:${port}`, data: join(work.dir, "data"), redirect: `http://localhost:${port + 1}/callback` };
  const run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  city.run = run;
  const first = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const approved = await foundCity(run, work.dir, city, first.publicKey.export({ format: "jwk" }));
  keys = await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]);
  decryption = await generateKeyPair("ECDH-ES", { crv: "P-256", extractable: true });
  published = [
    { ...(await crypto.subtle.exportKey("jwk", keys.publicKey)), kid: "signs", use: "sig", alg: "EdDSA" },
    { ...(await exportJWK(decryption.publicKey)), kid: "opens", use: "enc", alg: "ECDH-ES" },
  ];
  place = createServer((_, answer) => {
    fetched += 1;
    answer.setHeader("content-type", "application/jwk-set+json");
    answer.end(JSON.stringify({ keys: published }));
  });
  await new Promise((resolve) => place.listen(port + 2, "127.0.0.1", resolve));
  const change = (text) => `jwks_uri = "http://localhost:${port + 2}/keys"\nuserinfo_signed_response_alg = "PS256"\nid_token_signed_response_alg = "EdDSA"\n${text}`;
  publishService(run, work.dir, city, approved, { name: "library", redirect: city.redirect, jwk: null, change });
  appendFileSync(join(city.data, "usufruct.toml"), "\n[provider]\ndpop_nonce = true\n");
  server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
});

after(async () => {
  await server?.stop();
  place?.close();
  work?.clean();
});

/** Notes what the pass answers, and leaves it as it is. */
async function noting(url, options) {
  const answer = await fetch(url, options);
  const error = /error="([^"]+)"/.exec(answer.headers.get("www-authenticate") ?? "")?.[1] ?? (await answer.clone().json().catch(() => ({}))).error;
  seen.push([new URL(url).pathname, answer.status, error].filter(Boolean).join(" "));
  return answer;
}

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

test("an unmodified client takes up the nonce, at the provider and at resources", async () => {
  const config = await client.discovery(new URL(city.url), "svc_library", { id_token_signed_response_alg: "EdDSA" }, client.PrivateKeyJwt({ key: keys.privateKey, kid: "signs" }), {
    execute: [client.allowInsecureRequests], [client.customFetch]: noting,
  });
  config[client.customFetch] = noting;
  const cookie = await enrol(city, work.dir);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  seen.length = 0;
  const address = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: city.redirect, scope: "openid mdt_library-card", code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256", state, nonce,
  }, { DPoP });
  assert.deepEqual(seen.splice(0), ["/oidc/par 400 use_dpop_nonce", "/oidc/par 201"]);
  assert.equal(fetched, 1, "the keys of the service were fetched once");
  const back = await agree(address, cookie);
  // A handle of its own has seen no nonce yet, and is bound to the same key only where the code is; so the code goes with the first.
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP });
  assert.deepEqual(seen.splice(0).filter((line) => line.startsWith("/oidc/token")), ["/oidc/token 200"]);
  const fresh = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  const own = await client.clientCredentialsGrant(config, { scope: "release" }, { DPoP: fresh });
  assert.deepEqual(seen.splice(0), ["/oidc/token 400 use_dpop_nonce", "/oidc/token 200"]);
  const wanted = { subject: tokens.claims().sub, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "new-card" };
  const send = (DPoP, token) => client.fetchProtectedResource(config, token, new URL(`${city.url}/api/releases`), "POST", JSON.stringify(wanted), new Headers({ "content-type": "application/json" }), { DPoP });
  assert.equal((await send(fresh, own.access_token)).status, 200);
  assert.equal((await send(DPoP, tokens.access_token)).status, 200, "the token that she gave opens it as well");
  // Userinfo is for the service alone: encrypted to its key, signed with a published one.
  seen.length = 0;
  const answer = await client.fetchProtectedResource(config, tokens.access_token, new URL(`${city.url}/oidc/userinfo`), "GET", undefined, undefined, { DPoP });
  assert.equal(answer.headers.get("content-type"), "application/jwt");
  assert.ok(Math.abs(Date.parse(answer.headers.get("date")) - Date.now()) < 10_000, "a service can see what time it is here");
  const { plaintext, protectedHeader } = await compactDecrypt(await answer.text(), decryption.privateKey);
  assert.deepEqual([protectedHeader.alg, protectedHeader.enc, protectedHeader.cty, protectedHeader.kid], ["ECDH-ES", "A256GCM", "JWT", "opens"]);
  const { payload } = await jwtVerify(new TextDecoder().decode(plaintext), createRemoteJWKSet(new URL(`${city.url}/oidc/jwks`)), { issuer: city.url, audience: "svc_library", algorithms: ["PS256"] });
  assert.equal(payload.sub, tokens.claims().sub);
  assert.equal(fetched, 1);
});
