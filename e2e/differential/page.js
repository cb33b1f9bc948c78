// Requests of a program in a browser, which has no key.
import { led, outcome } from "./target.js";

/** Every request as `[name, (target) => outcome]`. */
export const page = () => [
  ["page: as it should be", async (target) => led(target, target.begun())],
  ["page: without challenge", async (target) => led(target, target.begun({ code_challenge: undefined, code_challenge_method: undefined }))],
  ["page: method plain", async (target) => led(target, target.begun({ code_challenge_method: "plain" }))],
  ["page: another redirect_uri", async (target) => led(target, target.begun({ redirect_uri: "https://evil.example/" }))],
  ["page: redirect_uri with a query", async (target) => led(target, target.begun({ redirect_uri: `${target.client.redirect}?x=1` }))],
  ["page token: a code", async (target) => outcome(await target.post("token", target.form(await target.code())))],
  ["page token: a code twice", async (target) => {
    const form = target.form(await target.code());
    await target.post("token", form);
    return outcome(await target.post("token", form));
  }],
  ["page token: without the verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: undefined })))],
  ["page token: another verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: "x".repeat(43) })))],
  ["page token: by the name of nobody", async (target) => outcome(await target.post("token", { ...target.form(await target.code()), client_id: "svc_nobody" }))],
  ["page token: by the name of one with a key", async (target) => outcome(await target.post("token", { ...target.form(await target.code()), client_id: target.other.id }))],
  ["page token: without a name", async (target) => outcome(await target.post("token", { ...target.form(await target.code()), client_id: "" }))],
  ["page token: of its own", async (target) => outcome(await target.post("token", { grant_type: "client_credentials", scope: "release" }))],
  ["page refresh: none is given", async (target) => ((await target.tokens()).refresh_token === undefined ? "none" : "one")],
  ["page: pushed", async (target) => outcome(await target.post("par", target.ask()))],
  ["page introspect: an own token", async (target) => outcome(await target.post("introspect", { token: (await target.tokens()).access_token }))],
  ["page revoke: an own token", async (target) => outcome(await target.post("revoke", { token: (await target.tokens()).access_token }))],
  ["page userinfo: as it should be", async (target) => shared(target, await fetch(target.address("userinfo"), { headers: { authorization: `Bearer ${(await target.tokens()).access_token}`, origin: origin(target) } }))],
  ["page token: from its own origin", async (target) => shared(target, await called(target, "token", origin(target), target.form(await target.code())))],
  ["page token: from another origin", async (target) => shared(target, await called(target, "token", "https://evil.example", target.form(await target.code())))],
  ["page preflight: from its own origin", async (target) => shared(target, await preflight(target, origin(target)))],
  ["page preflight: from another origin", async (target) => shared(target, await preflight(target, "https://evil.example"))],
  ["page discovery: from another origin", async (target) => shared(target, await fetch(target.address("discovery"), { headers: { origin: "https://evil.example" } }))],
  ["page keys: from another origin", async (target) => shared(target, await fetch(target.address("jwks"), { headers: { origin: "https://evil.example" } }))],
];

const origin = (target) => new URL(target.client.redirect).origin;

const called = (target, name, from, form) =>
  fetch(target.address(name), { method: "POST", headers: { origin: from }, body: new URLSearchParams({ ...form, client_id: target.client.id }) });

const preflight = (target, from) =>
  fetch(target.address("token"), { method: "OPTIONS", headers: { origin: from, "access-control-request-method": "POST", "access-control-request-headers": "dpop" } });

/** Whether the page may read the answer. */
async function shared(target, answer) {
  const allowed = answer.headers.get("access-control-allow-origin");
  return `${await outcome(answer)} ${allowed === "*" || (allowed && allowed !== "null") ? "for the page" : "for no page"}`;
}
