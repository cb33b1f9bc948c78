// What the providers say of themselves, and signing out.
import { led, outcome } from "./target.js";

/** Members that a provider of this kind must have, and some that it must not have (Discovery 1.0, RFC 8414, FAPI 2.0). */
const MEMBERS = [
  "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "pushed_authorization_request_endpoint", "introspection_endpoint",
  "revocation_endpoint", "end_session_endpoint", "response_types_supported", "response_modes_supported", "grant_types_supported", "subject_types_supported",
  "id_token_signing_alg_values_supported", "token_endpoint_auth_methods_supported", "dpop_signing_alg_values_supported", "code_challenge_methods_supported",
  "authorization_response_iss_parameter_supported", "scopes_supported", "claims_supported", "registration_endpoint", "check_session_iframe",
];

/** Members whose value is compared, not only that they are there. */
const VALUES = ["response_types_supported", "code_challenge_methods_supported", "subject_types_supported", "authorization_response_iss_parameter_supported", "claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported", "id_token_signing_alg_values_supported"];

const metadata = async (target) => (await fetch(target.address("discovery"))).json();

/** Every request as `[name, (target) => outcome]`. */
export function session() {
  const present = MEMBERS.map((name) => [`discovery: ${name}`, async (target) => ((await metadata(target))[name] === undefined ? "absent" : "there")]);
  const values = VALUES.map((name) => [`discovery: what ${name} says`, async (target) => JSON.stringify([(await metadata(target))[name]].flat().sort())]);
  return [...present, ...values, ...SINGLE];
}

const ended = (target, fields, walker = target) => led(walker, `${target.address("end")}?${new URLSearchParams(fields)}`);
const hint = async (target) => (await target.tokens()).id_token;
const out = (target) => target.client.out;

const SINGLE = [
  ["discovery: by POST", async (target) => outcome(await fetch(target.address("discovery"), { method: "POST" }))],
  ["discovery: the issuer", async (target) => ((await metadata(target)).issuer === target.url ? "its own" : "another")],
  ["keys: as they should be", async (target) => {
    const { keys } = await (await fetch(target.address("jwks"))).json();
    return keys.every((key) => key.kid && key.alg && !key.d && !key.p) ? "public" : "not public";
  }],
  ["keys: by POST", async (target) => outcome(await fetch(target.address("jwks"), { method: "POST" }))],
  ["an unknown address", async (target) => outcome(await fetch(`${target.url}/nowhere`))],
  ["sign out: nothing", async (target) => ended(target, {})],
  ["sign out: a state alone", async (target) => ended(target, { state: "s" })],
  ["sign out: a hint", async (target) => ended(target, { id_token_hint: await hint(target) })],
  ["sign out: a hint and an address", async (target) => ended(target, { id_token_hint: await hint(target), post_logout_redirect_uri: out(target), state: "s" })],
  ["sign out: a hint and another address", async (target) => ended(target, { id_token_hint: await hint(target), post_logout_redirect_uri: "https://evil.example/" })],
  ["sign out: a hint and an address with a query", async (target) => ended(target, { id_token_hint: await hint(target), post_logout_redirect_uri: `${out(target)}?x=1` })],
  ["sign out: an address without a hint", async (target) => ended(target, { post_logout_redirect_uri: out(target) })],
  ["sign out: a name and an address", async (target) => ended(target, { client_id: target.client.id, post_logout_redirect_uri: out(target) })],
  ["sign out: a hint that is none", async (target) => ended(target, { id_token_hint: "a.b.c" })],
  ["sign out: a hint with another signature", async (target) => ended(target, { id_token_hint: (await hint(target)).replace(/\.[^.]+$/, `.${"A".repeat(86)}`), post_logout_redirect_uri: out(target) })],
  ["sign out: a hint and the name of another", async (target) => ended(target, { id_token_hint: await hint(target), client_id: target.other.id, post_logout_redirect_uri: out(target) })],
  ["sign out: nobody is signed in", async (target) => ended(target, {}, target.ofNobody())],
  ["sign out: nobody, with a hint and an address", async (target) => ended(target, { id_token_hint: await hint(target), post_logout_redirect_uri: out(target), state: "s" }, target.ofNobody())],
  ["sign out: by POST", async (target) => outcome(await fetch(target.address("end"), { method: "POST", body: new URLSearchParams({ state: "s" }) }))],
  ["sign out: a parameter twice", async (target) => led(target, `${target.address("end")}?state=a&state=b`)],
];
