// Requests of a service by the FAPI 2.0 security profile: a name, and what a target makes of it.
import { led, outcome } from "./target.js";

const OWN = { grant_type: "client_credentials", scope: "release" };
const seconds = () => Math.floor(Date.now() / 1000);

/** Changes to a lawful request, pushed or in the address. */
export const ASKED = {
  "as it should be": {}, "without response_type": { response_type: undefined }, "response_type token": { response_type: "token" },
  "response_type code id_token": { response_type: "code id_token" }, "response_type none": { response_type: "none" }, "without redirect_uri": { redirect_uri: undefined },
  "another redirect_uri": { redirect_uri: "https://evil.example/" }, "redirect_uri with a fragment": { redirect_uri: "http://localhost:8081/callback#x" },
  "redirect_uri with a query": { redirect_uri: "http://localhost:8081/callback?x=1" }, "without scope": { scope: undefined }, "scope without openid": { scope: "profile" },
  "an unknown scope": { scope: "openid unknown" }, "scope in another order": { scope: "offline_access openid" }, "without state": { state: undefined }, "without nonce": { nonce: undefined },
  "state of 1,000": { state: "x".repeat(1_000) }, "nonce of 384": { nonce: "n".repeat(384) }, "without challenge": { code_challenge: undefined, code_challenge_method: undefined },
  "challenge without a method": { code_challenge_method: undefined }, "method plain": { code_challenge_method: "plain" }, "method S512": { code_challenge_method: "S512" },
  "a short challenge": { code_challenge: "short" }, "a challenge with other letters": { code_challenge: "!".repeat(43) }, "response_mode query": { response_mode: "query" },
  "response_mode form_post": { response_mode: "form_post" }, "response_mode fragment": { response_mode: "fragment" }, "an unknown response_mode": { response_mode: "smoke" },
  "prompt login": { prompt: "login" }, "prompt none login": { prompt: "none login" }, "an unknown prompt": { prompt: "later" }, "max_age 100": { max_age: "100" },
  "max_age in words": { max_age: "soon" }, "max_age below zero": { max_age: "-1" }, "ui_locales": { ui_locales: "xx zh-Hant" }, "display popup": { display: "popup" },
  "login_hint": { login_hint: "me" }, "acr_values": { acr_values: "1 2" }, "an unknown parameter": { extra: "x" }, "request_uri": { request_uri: "urn:x" },
  "a request object": { request: "a.b.c" }, "another dpop_jkt": { dpop_jkt: "A".repeat(43) }, "another client_id": { client_id: "svc_other" },
  "an empty state": { state: "" }, "claims that are no JSON": { claims: "{" }, "registration": { registration: "{}" }, "claims_locales": { claims_locales: "se" },
};

/** Changes to the claims and the header of a lawful assertion. */
export const ASSERTED = {
  "aud in a list": (target) => [{ aud: [target.url] }], "aud is the token endpoint": (target) => [{ aud: target.address("token") }], "aud is another": () => [{ aud: "https://elsewhere.example" }],
  "aud with a slash": (target) => [{ aud: `${target.url}/` }], "without aud": () => [{ aud: undefined }], "iss is another": () => [{ iss: "svc_other" }], "sub is another": () => [{ sub: "svc_other" }],
  "without iss": () => [{ iss: undefined }], "without sub": () => [{ sub: undefined }], "without jti": () => [{ jti: undefined }], "without exp": () => [{ exp: undefined }],
  "exp five minutes ago": () => [{ exp: seconds() - 300 }], "exp in an hour": () => [{ exp: seconds() + 3_600 }], "exp in words": () => [{ exp: "soon" }], "iat 8 seconds ahead": () => [{ iat: seconds() + 8 }],
  "iat 2 minutes ahead": () => [{ iat: seconds() + 120 }], "nbf 8 seconds ahead": () => [{ nbf: seconds() + 8 }], "nbf 2 minutes ahead": () => [{ nbf: seconds() + 120 }],
  "alg none": () => [{}, { alg: "none" }], "alg HS256": () => [{}, { alg: "HS256" }], "alg RS256": () => [{}, { alg: "RS256" }], "an unknown kid": () => [{}, { kid: "unknown" }],
  "crit": () => [{}, { crit: ["exp"] }], "as it should be": () => [{}],
};

/** Changes to the claims and the header of a lawful proof. */
const PROVEN = {
  "as it should be": () => [], "another method": () => [{ htm: "PUT" }], "another address": () => [{ htu: "https://elsewhere.example/" }], "an address with a query": (address) => [{ htu: `${address}?a=1#b` }],
  "an address in capitals": (address) => [{ htu: address.replace("http://localhost", "HTTP://LOCALHOST") }], "iat ten seconds ago": () => [{ iat: seconds() - 10 }], "iat ten seconds ahead": () => [{ iat: seconds() + 10 }],
  "iat an hour ago": () => [{ iat: seconds() - 3_600 }], "iat an hour ahead": () => [{ iat: seconds() + 3_600 }], "without iat": () => [{ iat: undefined }], "without jti": () => [{ jti: undefined }],
  "without htm": () => [{ htm: undefined }], "without htu": () => [{ htu: undefined }], "nbf and exp": () => [{ nbf: seconds(), exp: seconds() + 60 }], "typ JWT": () => [{}, { typ: "JWT" }],
  "without typ": () => [{}, { typ: undefined }], "alg none": () => [{}, { alg: "none" }], "alg RS256": () => [{}, { alg: "RS256" }], "without jwk": () => [{}, { jwk: undefined }],
  "jwk with a private part": (_, jwk) => [{}, { jwk: { ...jwk, d: "AAAA" } }], "another jwk": (_, jwk) => [{}, { jwk: { ...jwk, x: jwk.y, y: jwk.x } }],
};

/** Every request as `[name, (target) => outcome]`. */
export function fapi2() {
  const all = [];
  for (const [name, change] of Object.entries(ASKED)) all.push([`push: ${name}`, async (target) => outcome(await target.post("par", target.ask(change)))]);
  for (const [name, make] of Object.entries(ASSERTED)) {
    for (const place of ["token", "par", "introspect", "revoke"]) {
      const form = (target) => ({ token: OWN, par: target.ask(), introspect: { token: "unknown" }, revoke: { token: "unknown" } })[place];
      all.push([`assertion at ${place}: ${name}`, async (target) => outcome(await target.post(place, form(target), { given: target.assertion(...make(target)) }))]);
    }
  }
  for (const [name, make] of Object.entries(PROVEN)) {
    const jwk = (target) => target.client.bound.publicKey.export({ format: "jwk" });
    all.push([`proof at token: ${name}`, async (target) => outcome(await target.post("token", OWN, { dpop: target.proof("POST", "token", undefined, ...make(target.address("token"), jwk(target))) }))]);
    all.push([`proof at userinfo: ${name}`, async (target) => {
      const { access_token } = await target.tokens();
      return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token, ...make(target.address("userinfo"), jwk(target)))));
    }]);
  }
  return [...all, ...SINGLE];
}

/** Userinfo with this header and these proofs. */
export function userinfo(target, authorization, ...proofs) {
  const headers = new Headers(authorization ? { authorization } : {});
  proofs.forEach((proof) => headers.append("dpop", proof));
  return fetch(target.address("userinfo"), { headers });
}

/** What the second of two requests comes to. */
export async function twice(make) {
  await make();
  return outcome(await make());
}

const SINGLE = [
  ["push: a parameter twice", async (target) => outcome(await target.post("par", [...Object.entries(target.ask()), ["state", "again"]]))],
  ["push: without an assertion", async (target) => outcome(await target.post("par", target.ask(), { given: null }))],
  ["push: by GET", async (target) => outcome(await fetch(target.address("par")))],
  ["push: as JSON", async (target) => outcome(await fetch(target.address("par"), { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }))],
  ["token: by GET", async (target) => outcome(await fetch(target.address("token")))],
  ["token: as JSON", async (target) => outcome(await fetch(target.address("token"), { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }))],
  ["token: nothing", async (target) => outcome(await target.post("token", {}))],
  ["token: without an assertion", async (target) => outcome(await target.post("token", OWN, { given: null }))],
  ["token: without a proof", async (target) => outcome(await target.post("token", OWN, { dpop: null }))],
  ["token: two proofs", async (target) => outcome(await target.post("token", OWN, { dpop: [target.proof("POST", "token"), target.proof("POST", "token")] }))],
  ["token: an assertion twice", async (target) => { const given = target.assertion(); return twice(() => target.post("token", OWN, { given })); }],
  ["token: a proof twice", async (target) => { const dpop = target.proof("POST", "token"); return twice(() => target.post("token", OWN, { dpop })); }],
  ["token: another client_id", async (target) => outcome(await target.post("token", { ...OWN, client_id: "svc_other" }))],
  ["token: a parameter twice", async (target) => outcome(await target.post("token", [...Object.entries(OWN), ["scope", "release"]]))],
  ["token: grant_type password", async (target) => outcome(await target.post("token", { grant_type: "password" }))],
  ["token: an unknown scope", async (target) => outcome(await target.post("token", { grant_type: "client_credentials", scope: "unknown" }))],
  ["token: an unknown code", async (target) => outcome(await target.post("token", target.form("unknown")))],
  ["token: without a code", async (target) => outcome(await target.post("token", target.form(undefined)))],
  ["token: a code", async (target) => outcome(await target.post("token", target.form(await target.code())))],
  ["token: a code twice", async (target) => { const form = target.form(await target.code()); return twice(() => target.post("token", form)); }],
  ["token: another verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: "x".repeat(43) })))],
  ["token: without the verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: undefined })))],
  ["token: another redirect_uri", async (target) => outcome(await target.post("token", target.form(await target.code(), { redirect_uri: "https://evil.example/" })))],
  ["token: without redirect_uri", async (target) => outcome(await target.post("token", target.form(await target.code(), { redirect_uri: undefined })))],
  ["token: the code of another", async (target) => outcome(await target.post("token", target.form(await target.code()), { given: target.assertion({}, {}, target.other) }))],
  ["token: the code with another key", async (target) => outcome(await target.post("token", target.form(await target.code()), { dpop: target.proof("POST", "token", undefined, {}, {}, target.other) }))],
  ["refresh: as it should be", async (target) => outcome(await refresh(target, await target.tokens()))],
  ["refresh: twice", async (target) => { const tokens = await target.tokens(); return twice(() => refresh(target, tokens)); }],
  ["refresh: without the token", async (target) => outcome(await target.post("token", { grant_type: "refresh_token" }))],
  ["refresh: an unknown token", async (target) => outcome(await refresh(target, { refresh_token: "unknown" }))],
  ["refresh: by another", async (target) => outcome(await refresh(target, await target.tokens(), { given: target.assertion({}, {}, target.other) }))],
  ["refresh: with another key", async (target) => outcome(await refresh(target, await target.tokens(), { dpop: target.proof("POST", "token", undefined, {}, {}, target.other) }))],
  ["refresh: a wider scope", async (target) => outcome(await target.post("token", { grant_type: "refresh_token", refresh_token: (await target.tokens()).refresh_token, scope: "openid release" }))],
  ["userinfo: without a token", async (target) => outcome(await userinfo(target))],
  ["userinfo: as a bearer token", async (target) => outcome(await userinfo(target, `Bearer ${(await target.tokens()).access_token}`))],
  ["userinfo: without a proof", async (target) => outcome(await userinfo(target, `DPoP ${(await target.tokens()).access_token}`))],
  ["userinfo: an unknown token", async (target) => outcome(await userinfo(target, "DPoP unknown", target.proof("GET", "userinfo", "unknown")))],
  ["userinfo: the scheme in small letters", async (target) => { const { access_token } = await target.tokens(); return outcome(await userinfo(target, `dpop ${access_token}`, target.proof("GET", "userinfo", access_token))); }],
  ["userinfo: the hash of another token", async (target) => { const { access_token } = await target.tokens(); return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", "another"))); }],
  ["userinfo: another key", async (target) => { const { access_token } = await target.tokens(); return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token, {}, {}, target.other))); }],
  ["userinfo: a proof twice", async (target) => { const { access_token } = await target.tokens(); const dpop = target.proof("GET", "userinfo", access_token); return twice(() => userinfo(target, `DPoP ${access_token}`, dpop)); }],
  ["userinfo: after a code was used twice", async (target) => {
    const form = target.form(await target.code());
    const { access_token } = await (await target.post("token", form)).json();
    await target.post("token", form);
    return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token)));
  }],
  ["userinfo: by PUT", async (target) => outcome(await fetch(target.address("userinfo"), { method: "PUT" }))],
  ["userinfo: by POST", async (target) => {
    const { access_token } = await target.tokens();
    const headers = { authorization: `DPoP ${access_token}`, dpop: target.proof("POST", "userinfo", access_token) };
    return outcome(await fetch(target.address("userinfo"), { method: "POST", headers }));
  }],
  ["userinfo: with the token in the address", async (target) => {
    const { access_token } = await target.tokens();
    return outcome(await fetch(`${target.address("userinfo")}?access_token=${access_token}`, { headers: { dpop: target.proof("GET", "userinfo", access_token) } }));
  }],
  ["userinfo: two proofs", async (target) => {
    const { access_token } = await target.tokens();
    const proof = () => target.proof("GET", "userinfo", access_token);
    return outcome(await userinfo(target, `DPoP ${access_token}`, proof(), proof()));
  }],
  ["userinfo: a token of the service's own", async (target) => {
    const { access_token } = await (await target.post("token", OWN)).json();
    return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token)));
  }],
  ["userinfo: after the token was revoked", async (target) => {
    const { access_token } = await target.tokens();
    await target.post("revoke", { token: access_token });
    return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token)));
  }],
  ["userinfo: after the refresh token was revoked", async (target) => {
    const { access_token, refresh_token } = await target.tokens();
    await target.post("revoke", { token: refresh_token, token_type_hint: "refresh_token" });
    return outcome(await userinfo(target, `DPoP ${access_token}`, target.proof("GET", "userinfo", access_token)));
  }],
  ["refresh: after the token was revoked", async (target) => {
    const tokens = await target.tokens();
    await target.post("revoke", { token: tokens.refresh_token });
    return outcome(await refresh(target, tokens));
  }],
  ["refresh: without a proof", async (target) => outcome(await refresh(target, await target.tokens(), { dpop: null }))],
  ["refresh: without an assertion", async (target) => outcome(await refresh(target, await target.tokens(), { given: null }))],
  ["refresh: a narrower scope", async (target) => outcome(await target.post("token", { grant_type: "refresh_token", refresh_token: (await target.tokens()).refresh_token, scope: "openid" }))],
  ["refresh: an access token", async (target) => outcome(await refresh(target, { refresh_token: (await target.tokens()).access_token }))],
  ["refresh: after the code was used twice", async (target) => {
    const form = target.form(await target.code());
    const tokens = await (await target.post("token", form)).json();
    await target.post("token", form);
    return outcome(await refresh(target, tokens));
  }],
  ["token: the refresh token as a code", async (target) => outcome(await target.post("token", target.form((await target.tokens()).refresh_token)))],
  ["token: without grant_type", async (target) => outcome(await target.post("token", { code: "x" }))],
  ["token: grant_type of devices", async (target) => outcome(await target.post("token", { grant_type: "urn:ietf:params:oauth:grant-type:device_code" }))],
  ["token: a secret in the header", async (target) => {
    const headers = { authorization: `Basic ${btoa(`${target.client.id}:secret`)}`, dpop: target.proof("POST", "token") };
    return outcome(await fetch(target.address("token"), { method: "POST", headers, body: new URLSearchParams(OWN) }));
  }],
  ["token: a secret in the form", async (target) => outcome(await target.post("token", { ...OWN, client_id: target.client.id, client_secret: "secret" }, { given: null }))],
  ["token: the assertion of another type", async (target) => outcome(await target.post("token", { ...OWN, client_assertion_type: "urn:x", client_assertion: target.assertion() }, { given: null }))],
  ["token: a short verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: "short" })))],
  ["introspect: an unknown token", async (target) => active(await target.post("introspect", { token: "unknown" }))],
  ["introspect: an own token", async (target) => active(await target.post("introspect", { token: (await target.tokens()).access_token }))],
  ["introspect: nothing", async (target) => outcome(await target.post("introspect", {}))],
  ["introspect: without an assertion", async (target) => outcome(await target.post("introspect", { token: "unknown" }, { given: null }))],
  ["introspect: by another", async (target) => active(await target.post("introspect", { token: (await target.tokens()).access_token }, { given: target.assertion({}, {}, target.other) }))],
  ["introspect: by GET", async (target) => outcome(await fetch(target.address("introspect")))],
  ["introspect: a refresh token", async (target) => active(await target.post("introspect", { token: (await target.tokens()).refresh_token }))],
  ["introspect: a token that was revoked", async (target) => {
    const { access_token } = await target.tokens();
    await target.post("revoke", { token: access_token });
    return active(await target.post("introspect", { token: access_token }));
  }],
  ["introspect: a token twice in the form", async (target) => outcome(await target.post("introspect", [["token", "a"], ["token", "b"]]))],
  ["introspect: with an unknown hint", async (target) => active(await target.post("introspect", { token: (await target.tokens()).access_token, token_type_hint: "smoke" }))],
  ["introspect: as JSON", async (target) => outcome(await fetch(target.address("introspect"), { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }))],
  ["revoke: by GET", async (target) => outcome(await fetch(target.address("revoke")))],
  ["revoke: an own token", async (target) => outcome(await target.post("revoke", { token: (await target.tokens()).access_token }))],
  ["revoke: a token twice", async (target) => { const token = (await target.tokens()).access_token; return twice(() => target.post("revoke", { token })); }],
  ["revoke: with an unknown hint", async (target) => outcome(await target.post("revoke", { token: (await target.tokens()).access_token, token_type_hint: "smoke" }))],
  ["revoke: as JSON", async (target) => outcome(await fetch(target.address("revoke"), { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }))],
  ["revoke: an unknown token", async (target) => outcome(await target.post("revoke", { token: "unknown" }))],
  ["revoke: nothing", async (target) => outcome(await target.post("revoke", {}))],
  ["revoke: without an assertion", async (target) => outcome(await target.post("revoke", { token: "unknown" }, { given: null }))],
  ["revoke: by another", async (target) => outcome(await target.post("revoke", { token: (await target.tokens()).access_token }, { given: target.assertion({}, {}, target.other) }))],
  ["authorize: pushed", async (target) => led(target, await target.pushed())],
  ["authorize: not pushed", async (target) => led(target, `${target.address("authorize")}?${new URLSearchParams(target.ask())}`)],
  ["authorize: an unknown client", async (target) => led(target, `${target.address("authorize")}?${new URLSearchParams(target.ask({ client_id: "svc_nobody" }))}`)],
  ["authorize: an unknown request_uri", async (target) => led(target, `${target.address("authorize")}?${new URLSearchParams({ client_id: target.client.id, request_uri: "urn:ietf:params:oauth:request_uri:x" })}`)],
  ["authorize: the request of another", async (target) => led(target, await target.pushed({}, target.other.id))],
  ["authorize: answered twice", async (target) => { const address = await target.pushed(); await target.walk(address); return led(target, address); }],
  ["authorize: prompt none, signed in", async (target) => led(target, await target.pushed({ prompt: "none" }))],
  ["authorize: prompt login", async (target) => led(target, await target.pushed({ prompt: "login" }), "signs in again")],
  ["authorize: prompt none, nobody signed in", async (target) => led(target.ofNobody(), await target.pushed({ prompt: "none" }))],
  ["authorize: max_age 0", async (target) => led(target, await target.pushed({ max_age: "0" }), "signs in again")],
  ["authorize: without anything", async (target) => led(target, target.address("authorize"))],
  ["authorize: the request_uri alone", async (target) => led(target, `${target.address("authorize")}?${new URLSearchParams({ request_uri: new URL(await target.pushed()).searchParams.get("request_uri") })}`)],
  ["authorize: a request object beside it", async (target) => led(target, `${await target.pushed()}&request=a.b.c`)],
  ["authorize: loaded twice before it is answered", async (target) => { const address = await target.pushed(); await fetch(address, { redirect: "manual" }); return led(target, address); }],
  ["authorize: a parameter twice", async (target) => led(target, `${await target.pushed()}&client_id=${target.client.id}`)],
  ["authorize: another redirect_uri beside it", async (target) => led(target, `${await target.pushed()}&redirect_uri=https://evil.example/`)],
  ["authorize: by PUT", async (target) => outcome(await fetch(target.address("authorize"), { method: "PUT" }))],
  ["authorize: a state beside it", async (target) => led(target, `${await target.pushed()}&state=outside`)],
];

/** Another access token for the refresh token. */
export function refresh(target, { refresh_token }, more) {
  return target.post("token", { grant_type: "refresh_token", refresh_token }, more);
}

/** As [`outcome`], with what introspection says. */
export async function active(answer) {
  const body = await answer.clone().json().catch(() => ({}));
  return `${await outcome(answer)}${body.active === undefined ? "" : ` active ${body.active}`}`;
}
