// Requests of a service that registered how its ID tokens and its userinfo are signed, and hints of all kinds.
import { userinfo } from "./fapi2.js";
import { led, outcome } from "./target.js";

/** What the header of a token says, and whether the published key that it names has that algorithm too. */
async function signature(target, token) {
  const { alg, kid } = JSON.parse(Buffer.from(token.split(".")[0], "base64url"));
  const { keys } = await (await fetch(target.address("jwks"))).json();
  return `${alg} by ${keys.find((key) => key.kid === kid)?.alg ?? "an unknown key"}`;
}

const read = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

/** Userinfo for a new token. */
async function asked(target) {
  const { access_token } = await target.tokens();
  return userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token));
}

/** A hint with one part changed. */
async function spoilt(target, change) {
  const parts = (await target.tokens()).id_token.split(".");
  return change(parts).join(".");
}

const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");

/** Every request as `[name, (target) => outcome]`. */
export const signed = () => [
  ["signed: the ID token", async (target) => signature(target, (await target.tokens()).id_token)],
  ["signed: userinfo", async (target) => { const answer = await asked(target); return `${answer.headers.get("content-type").split(";")[0]} ${await signature(target, await answer.text())}`; }],
  ["signed: what userinfo says", async (target) => Object.keys(read(await (await asked(target)).text())).sort().join(" ")],
  ["signed: whom userinfo is for", async (target) => (read(await (await asked(target)).text()).aud === target.client.id ? "the service" : "another")],
  ["signed: userinfo of an unknown token", async (target) => outcome(await userinfo(target, "DPoP unknown", target.proof("GET", "userinfo", "unknown")))],
  ["hint: her own", async (target) => led(target, await target.pushed({ id_token_hint: (await target.tokens()).id_token }))],
  ["hint: her own, without a page", async (target) => led(target, await target.pushed({ prompt: "none", id_token_hint: (await target.tokens()).id_token }))],
  ["hint: nobody is signed in, without a page", async (target) => led(target.ofNobody(), await target.pushed({ prompt: "none", id_token_hint: (await target.tokens()).id_token }))],
  ["hint: no token at all", async (target) => led(target, await target.pushed({ id_token_hint: "hint" }))],
  ["hint: three parts of nothing", async (target) => led(target, await target.pushed({ id_token_hint: "a.b.c" }))],
  ["hint: another signature", async (target) => led(target, await target.pushed({ id_token_hint: await spoilt(target, ([head, body]) => [head, body, "A".repeat(86)]) }))],
  ["hint: alg none", async (target) => led(target, await target.pushed({ id_token_hint: await spoilt(target, ([, body]) => [none, body, ""]) }))],
  ["hint: an access token", async (target) => led(target, await target.pushed({ id_token_hint: (await target.tokens()).access_token }))],
  ["hint: an assertion of the service", async (target) => led(target, await target.pushed({ id_token_hint: target.assertion() }))],
  ["nonce of proofs: none is asked for", async (target) => { const answer = await target.post("token", { grant_type: "client_credentials", scope: "release" }); return answer.headers.get("dpop-nonce") ?? "none"; }],
  ["nonce of proofs: one that nobody gave", async (target) => outcome(await target.post("token", { grant_type: "client_credentials", scope: "release" }, { dpop: target.proof("POST", "token", undefined, { nonce: "made-up" }) }))],
  ["assertion: by the name Ed25519 with a key of P-256", async (target) => outcome(await target.post("token", { grant_type: "client_credentials", scope: "release" }, { given: target.assertion({}, { alg: "Ed25519" }) }))],
  ["proof: by the name EdDSA with a key of P-256", async (target) => outcome(await target.post("token", { grant_type: "client_credentials", scope: "release" }, { dpop: target.proof("POST", "token", undefined, {}, { alg: "EdDSA" }) }))],
];
