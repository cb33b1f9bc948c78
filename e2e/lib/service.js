// A service that speaks to the pass with plain HTTP and its own keys, and a resident without a browser.
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const url64 = (bytes) => Buffer.from(bytes).toString("base64url");
const sha256 = (text) => createHash("sha256").update(text).digest("base64url");

/** A JWS by a P-256 key. */
function signed(head, body, key) {
  const text = `${url64(JSON.stringify(head))}.${url64(JSON.stringify(body))}`;
  return `${text}.${url64(sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }))}`;
}

/** A registered service of a demo or real city, and a new key that its tokens are bound to. @param {{url: string, data: string}} city @param {string} id */
export async function service(city, id) {
  const entry = await (await fetch(`${city.url}/register/services/${id}.json`)).json();
  const key = createPrivateKey({ key: readFileSync(join(city.data, "keys", `${id}.p8`)), format: "der", type: "pkcs8" });
  const bound = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { id, key, kid: entry.body.jwks[0].kid, redirect: entry.body.redirect_uris[0], bound };
}

/** A signed client assertion (RFC 7523). `claims` overrides members, `header` the header. */
export function assertion(city, client, claims = {}, header = {}) {
  const now = Math.floor(Date.now() / 1000);
  const head = { alg: "ES256", kid: client.kid, ...header };
  const body = { iss: client.id, sub: client.id, aud: city.url, iat: now, exp: now + 60, jti: url64(randomBytes(16)), ...claims };
  return signed(head, body, client.key);
}

/** A proof of possession of the key that the tokens of `client` are bound to (RFC 9449). `claims` overrides members, `header` the header. */
export function proof(client, method, url, token, claims = {}, header = {}) {
  const { crv, kty, x, y } = client.bound.publicKey.export({ format: "jwk" });
  const head = { typ: "dpop+jwt", alg: "ES256", jwk: { crv, kty, x, y }, ...header };
  const ath = token === undefined ? {} : { ath: sha256(token) };
  const body = { htm: method, htu: url, iat: Math.floor(Date.now() / 1000), jti: url64(randomBytes(16)), ...ath, ...claims };
  return signed(head, body, client.bound.privateKey);
}

/** Headers by which `client` shows a token and its key for one request. */
export function bearing(client, token, method, url) {
  return { authorization: `DPoP ${token}`, dpop: proof(client, method, url, token) };
}

/** Posts JSON to the release API. */
export function release(city, client, token, body, path = "/api/releases") {
  const url = `${city.url}${path}`;
  const headers = { ...bearing(client, token, "POST", url), "content-type": "application/json" };
  return fetch(url, { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
}

/** Posts to an OAuth endpoint as `client`. */
export function post(city, client, path, form, given) {
  const body = new URLSearchParams({
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: given ?? assertion(city, client),
    ...form,
  });
  const url = `${city.url}${path}`;
  return fetch(url, { method: "POST", headers: { dpop: proof(client, "POST", url) }, body });
}

/** Pushes an authorization request (RFC 9126); `change` overrides parameters, and leaves out what is undefined. */
export function push(city, client, scope, challenge, change = {}) {
  const asked = {
    response_type: "code", client_id: client.id, redirect_uri: client.redirect, scope, state: "s", nonce: "n",
    code_challenge: challenge, code_challenge_method: "S256", ...change,
  };
  return post(city, client, "/oidc/par", Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)));
}

/** The address that a pushed request leads the browser to. */
export async function pushed(city, client, scope, challenge, change) {
  const answer = await push(city, client, scope, challenge, change);
  if (answer.status !== 201) throw new Error(`The request was not taken: ${answer.status} ${await answer.text()}`);
  return `${city.url}/oidc/authorize?${new URLSearchParams({ client_id: client.id, request_uri: (await answer.json()).request_uri })}`;
}

/** The service's own token for the release API. */
export async function releaseToken(city, client) {
  const answer = await post(city, client, "/oidc/token", { grant_type: "client_credentials", scope: "release" });
  return (await answer.json()).access_token;
}

/** Signs a persona in by the demo's shortcut and answers the session cookie. */
export async function signIn(city, persona) {
  const entered = await fetch(`${city.url}/demo/sign-in/${persona}`, { redirect: "manual" });
  return entered.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
}

/** Signs a persona in to `client` and agrees to everything required. Answers code, verifier and cookie. */
export async function authorize(city, client, persona, scope) {
  const cookie = await signIn(city, persona);
  const verifier = url64(randomBytes(32));
  const location = await agree(city, await pushed(city, client, scope, sha256(verifier)), cookie);
  return { code: new URL(location).searchParams.get("code"), location, verifier, cookie };
}

/** Opens the address as her browser does, and agrees to everything required. Answers where that leads. */
export async function agree(city, address, cookie) {
  let answer = await fetch(address, { headers: { cookie }, redirect: "manual" });
  while (answer.status === 200) {
    const html = await answer.text();
    const hidden = [...html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, unescape(value)]);
    const body = new URLSearchParams([...hidden, ["decision", "agree"]]);
    answer = await fetch(`${city.url}/oidc/authorize/decide`, { method: "POST", headers: { cookie }, body, redirect: "manual" });
  }
  const location = answer.headers.get("location");
  if (!location) throw new Error(`No way back to the service: ${answer.status} ${await answer.text()}`);
  return location;
}

const unescape = (text) => text.replaceAll("&quot;", '"').replaceAll("&#34;", '"').replaceAll("&#39;", "'").replaceAll("&#x27;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&#38;", "&").replaceAll("&amp;", "&");

/** Exchanges a code. */
export function exchange(city, client, { code, verifier }) {
  return post(city, client, "/oidc/token", { grant_type: "authorization_code", code, redirect_uri: client.redirect, code_verifier: verifier });
}

/** The pseudonym of a persona at `client`, after she agreed. */
export async function subject(city, client, persona, scope) {
  const tokens = await (await exchange(city, client, await authorize(city, client, persona, scope))).json();
  return JSON.parse(Buffer.from(tokens.id_token.split(".")[1], "base64url")).sub;
}

/** Keys of the personas, from the front page. */
export async function personas(city) {
  const html = await (await fetch(`${city.url}/`, { headers: { accept: "text/html" } })).text();
  return [...html.matchAll(/\/demo\/sign-in\/([\w-]+)/g)].map(([, key]) => key);
}
