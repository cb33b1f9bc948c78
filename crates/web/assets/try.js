// @ts-check
// Walks the way of a service to one block, from a page: a key of its own, a pushed request, a code, a token, a released block. Every message is
// shown as it is sent and as it comes back. The keys live in this tab until the walk ends.

/**
 * What the walk has to know again when the browser comes back.
 * @typedef {object} Walk
 * @property {JsonWebKey} key the key by which the service proves itself
 * @property {JsonWebKey} bound the key that the tokens are bound to
 * @property {{client_id: string, kid: string, redirect_uri: string, mandate: string, reason: string, blocks: {block: string, form: string}[]}} service
 * @property {string} verifier
 * @property {string} state
 * @property {string} nonce
 * @property {string} address where the browser was sent to sign in
 * @property {[string, [string, unknown][]][]} steps what was shown so far
 */

const NAME = "usufruct-try";
const EC = { name: "ECDSA", namedCurve: "P-256" };
const ES256 = { name: "ECDSA", hash: "SHA-256" };

/** What was shown, so that it stands there again when the browser comes back. @type {Walk["steps"]} */
let steps = [];

const root = /** @type {HTMLElement} */ (document.querySelector("#try"));
const issuer = root.dataset.issuer ?? "";

/** @param {BufferSource} bytes */
function base64url(bytes) {
  const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
  return btoa(String.fromCharCode(...view)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text */
function fromBase64url(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

const utf8 = (/** @type {string} */ text) => new TextEncoder().encode(text);
const word = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const hash = async (/** @type {string} */ text) => base64url(await crypto.subtle.digest("SHA-256", utf8(text)));
const seconds = () => Math.floor(Date.now() / 1000);
const publicPart = ({ kty, crv, x, y }) => ({ kty, crv, x, y });

/** A signed token (RFC 7515). @param {JsonWebKey} key @param {object} header @param {object} claims */
async function sign(key, header, claims) {
  const pair = await crypto.subtle.importKey("jwk", key, EC, false, ["sign"]);
  const text = [header, claims].map((part) => base64url(utf8(JSON.stringify(part)))).join(".");
  return `${text}.${base64url(await crypto.subtle.sign(ES256, pair, utf8(text)))}`;
}

/** What a signed token says. @param {string} token */
function claimsOf(token) {
  return JSON.parse(new TextDecoder().decode(fromBase64url(token.split(".")[1])));
}

/** Adds a step to the page. @param {string} what @param {[string, unknown][]} parts */
function show(what, parts) {
  const step = document.createElement("li");
  const title = document.createElement("h2");
  title.textContent = root.dataset[what] ?? what;
  step.append(title);
  for (const [name, value] of parts) {
    const label = document.createElement("p");
    label.textContent = root.dataset[name] ?? name;
    const shown = document.createElement("pre");
    shown.tabIndex = 0;
    shown.dataset.part = name;
    shown.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    step.append(label, shown);
  }
  step.dataset.step = what;
  root.querySelector("ol")?.append(step);
  steps.push([what, parts]);
  return step;
}

/** What an error code or a problem type means, in the language of the page. @param {string | undefined} code */
function meaning(code) {
  const known = [...root.querySelectorAll("dt")].find((term) => term.textContent === code);
  return known?.nextElementSibling?.textContent ?? "";
}

/** What went wrong, by its code, and in words where there are any. @param {string} code @param {string} [words] */
function refusal(code, words = meaning(code)) {
  return Object.assign(new Error(code), { words });
}

/** @param {string} what */
function say(what) {
  const status = root.querySelector("[role=status]");
  if (status) status.textContent = root.dataset[what] ?? what;
}

/** Sends a form as the service: with an assertion and a proof of possession. @param {Walk} walk @param {string} step @param {string} path @param {Record<string, string>} form */
async function post(walk, step, path, form) {
  const address = `${issuer}${path}`;
  const { client_id, kid } = walk.service;
  const claims = { iss: client_id, sub: client_id, aud: issuer, iat: seconds(), exp: seconds() + 60, jti: word() };
  const proven = { htm: "POST", htu: address, iat: seconds(), jti: word() };
  const assertion = await sign(walk.key, { alg: "ES256", kid }, claims);
  const proof = await sign(walk.bound, { alg: "ES256", typ: "dpop+jwt", jwk: publicPart(walk.bound) }, proven);
  const body = {
    ...form, client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", client_assertion: assertion,
  };
  const answer = await fetch(path, { method: "POST", headers: { dpop: proof }, body: new URLSearchParams(body) });
  const content = await answer.json();
  show(step, [
    ["sent", `POST ${path}\n${Object.entries(form).map(([name, value]) => `${name}=${value}`).join("\n")}`],
    ["assertion", { kid, ...claims }],
    ["proof", proven],
    ["came", `${answer.status}\n${JSON.stringify(content, null, 2)}`],
  ]);
  if (!answer.ok) throw refusal(content.error);
  return content;
}

async function begin() {
  const pair = async () => {
    const made = await crypto.subtle.generateKey(EC, true, ["sign", "verify"]);
    return crypto.subtle.exportKey("jwk", made.privateKey);
  };
  const [key, bound] = [await pair(), await pair()];
  const jwk = publicPart(key);
  const redirect = `${issuer}/developers/try`;
  const form = new URLSearchParams({ jwk: JSON.stringify({ ...jwk, kid: await hash(JSON.stringify(jwk)) }), redirect_uri: redirect });
  const answer = await fetch("/developers", { method: "POST", headers: { accept: "application/json" }, body: form });
  const service = await answer.json();
  show("registered", [["sent", { jwk, redirect_uri: redirect }], ["came", service]]);
  // What the register says against it is in the language of the page; everything else has words here.
  if (!answer.ok) throw refusal(service.type, answer.status === 422 ? service.detail : undefined);
  /** @type {Walk} */
  const walk = { key, bound, service, verifier: word(), state: word(), nonce: word(), address: "", steps };
  const pushed = await post(walk, "pushed", "/oidc/par", {
    response_type: "code", client_id: service.client_id, redirect_uri: service.redirect_uri, scope: `openid ${service.mandate}`, state: walk.state,
    nonce: walk.nonce, code_challenge: await hash(walk.verifier), code_challenge_method: "S256",
  });
  const query = new URLSearchParams({ client_id: service.client_id, request_uri: pushed.request_uri });
  walk.address = `/oidc/authorize?${query}`;
  sessionStorage.setItem(NAME, JSON.stringify(walk));
  const link = document.createElement("a");
  link.href = walk.address;
  link.className = "button";
  link.dataset.testid = "go";
  link.textContent = root.dataset.go ?? "";
  root.querySelector("[role=status]")?.replaceChildren(link);
  link.focus();
}

/** The claims of an ID token, if its signature and what it says hold (OpenID Connect Core 3.1.3.7). @param {string} token @param {Walk} walk */
async function verified(token, walk) {
  const header = JSON.parse(new TextDecoder().decode(fromBase64url(token.split(".")[0])));
  const { keys } = await (await fetch("/oidc/jwks")).json();
  const jwk = keys.find((/** @type {{kid: string}} */ key) => key.kid === header.kid);
  const key = await crypto.subtle.importKey("jwk", publicPart(jwk), EC, false, ["verify"]);
  const [text, signature] = [token.slice(0, token.lastIndexOf(".")), token.slice(token.lastIndexOf(".") + 1)];
  const claims = claimsOf(token);
  const holds = header.alg === "ES256" && (await crypto.subtle.verify(ES256, key, fromBase64url(signature), utf8(text)));
  if (!holds || claims.iss !== issuer || claims.aud !== walk.service.client_id || claims.nonce !== walk.nonce || claims.exp <= seconds()) {
    throw new Error("id_token");
  }
  return claims;
}

/** @param {URLSearchParams} answer @param {Walk} walk */
async function goOn(answer, walk) {
  walk.steps.forEach(([what, parts]) => show(what, parts));
  show("returned", [["sent", `GET ${walk.address}`], ["came", Object.fromEntries(answer)]]).scrollIntoView();
  // An answer to another request, or of another issuer, is not for us (RFC 9207).
  if (answer.get("state") !== walk.state || answer.get("iss") !== issuer) throw new Error("state");
  const code = answer.get("code");
  if (!code) throw refusal(answer.get("error") ?? "code");
  const { service } = walk;
  const tokens = await post(walk, "exchanged", "/oidc/token", {
    grant_type: "authorization_code", code, redirect_uri: service.redirect_uri, code_verifier: walk.verifier,
  });
  const claims = await verified(tokens.id_token, walk);
  show("known", [["came", claims]]);
  const asked = { subject: claims.sub, mandate: service.mandate, blocks: service.blocks, reason: service.reason };
  const path = "/api/releases";
  const proven = { htm: "POST", htu: `${issuer}${path}`, iat: seconds(), jti: word(), ath: await hash(tokens.access_token) };
  const proof = await sign(walk.bound, { alg: "ES256", typ: "dpop+jwt", jwk: publicPart(walk.bound) }, proven);
  const headers = { authorization: `DPoP ${tokens.access_token}`, dpop: proof, "content-type": "application/json" };
  const released = await fetch(path, { method: "POST", headers, body: JSON.stringify(asked) });
  const content = await released.json();
  show("released", [
    ["sent", `POST ${path}\n${JSON.stringify(asked, null, 2)}`],
    ["proof", proven],
    ["came", `${released.status}\n${JSON.stringify(content, null, 2)}`],
  ]);
  if (!released.ok) throw refusal(content.type);
  say("done");
}

/** Runs a part of the walk; what goes wrong stands where the next step would. @param {() => Promise<void>} part */
async function run(part) {
  say("working");
  try {
    await part();
  } catch (error) {
    say("failed");
    /** @type {[string, unknown][]} */
    const parts = [["came", String(error instanceof Error ? error.message : error)]];
    const words = error instanceof Error && "words" in error ? error.words : "";
    show("failed", words ? [...parts, ["means", words]] : parts);
  }
}

const kept = sessionStorage.getItem(NAME);
const answer = new URLSearchParams(location.search);
if (kept && answer.has("state")) {
  sessionStorage.removeItem(NAME);
  // The code works once; a reload begins anew.
  history.replaceState(null, "", "/developers/try");
  run(() => goOn(answer, JSON.parse(kept)));
}
if (!kept && answer.has("state")) {
  // The key of the walk is in the tab in which it was begun.
  history.replaceState(null, "", "/developers/try");
  say("lost");
}
// Under another name of this machine the browser would come back to a page that knows nothing of the walk.
if (location.origin !== issuer) location.replace(`${issuer}/developers/try`);
const button = /** @type {HTMLButtonElement} */ (root.querySelector("button"));
button.hidden = false;
button.addEventListener("click", () => {
  button.hidden = true;
  root.querySelector("ol")?.replaceChildren();
  steps = [];
  run(begin);
});
