// Requests of software off the shelf, by plain OpenID Connect: a service with a key that neither pushes nor proves possession.
import { ASKED, ASSERTED, active, refresh, twice, userinfo } from "./fapi2.js";
import { led, outcome } from "./target.js";

/** What a page that asks her again comes to: whoever drives the target cannot sign in twice. */
const AGAIN = { "prompt login": "signs in again", "prompt none login": "signs in again" };

/** Every request as `[name, (target) => outcome]`. */
export function oidc() {
  const all = [];
  for (const [name, change] of Object.entries(ASKED)) all.push([`plain: ${name}`, async (target) => led(target, target.begun(change), AGAIN[name])]);
  for (const [name, make] of Object.entries(ASSERTED)) {
    all.push([`plain assertion at token: ${name}`, async (target) => outcome(await target.post("token", target.form(await target.code()), { given: target.assertion(...make(target)) }))]);
  }
  return [...all, ...SINGLE];
}

const SINGLE = [
  ["plain: posted", async (target) => {
    const answer = await fetch(target.address("authorize"), { method: "POST", body: new URLSearchParams(target.ask()), redirect: "manual" });
    return [302, 303].includes(answer.status) ? "led on" : outcome(answer);
  }],
  ["plain: a parameter twice", async (target) => led(target, `${target.begun()}&nonce=again`)],
  ["plain: nothing", async (target) => led(target, target.address("authorize"))],
  ["plain: prompt none, signed in", async (target) => led(target, target.begun({ prompt: "none" }))],
  ["plain: prompt none, nobody signed in", async (target) => led(target.ofNobody(), target.begun({ prompt: "none" }))],
  ["plain: max_age 0", async (target) => led(target, target.begun({ max_age: "0" }), "signs in again")],
  ["plain: max_age 10,000", async (target) => led(target, target.begun({ max_age: "10000" }))],
  ["plain: pushed", async (target) => led(target, await target.pushed())],
  ["plain: the mandate of another", async (target) => led(target, target.begun({ scope: "openid mdt_library-card" }))],
  ["plain token: a code", async (target) => outcome(await target.post("token", target.form(await target.code())))],
  ["plain token: a code without a challenge", async (target) => {
    const bare = { code_challenge: undefined, code_challenge_method: undefined };
    return outcome(await target.post("token", target.form(await target.code(bare), { code_verifier: undefined })));
  }],
  ["plain token: a verifier without a challenge", async (target) => {
    const bare = { code_challenge: undefined, code_challenge_method: undefined };
    return outcome(await target.post("token", target.form(await target.code(bare))));
  }],
  ["plain token: without the verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: undefined })))],
  ["plain token: another verifier", async (target) => outcome(await target.post("token", target.form(await target.code(), { code_verifier: "x".repeat(43) })))],
  ["plain token: a code twice", async (target) => { const form = target.form(await target.code()); return twice(() => target.post("token", form)); }],
  ["plain token: another redirect_uri", async (target) => outcome(await target.post("token", target.form(await target.code(), { redirect_uri: "https://evil.example/" })))],
  ["plain token: without redirect_uri", async (target) => outcome(await target.post("token", target.form(await target.code(), { redirect_uri: undefined })))],
  ["plain token: without an assertion", async (target) => outcome(await target.post("token", { ...target.form(await target.code()), client_id: target.client.id }, { given: null }))],
  ["plain token: by another", async (target) => outcome(await target.post("token", target.form(await target.code()), { given: target.assertion({}, {}, target.other) }))],
  ["plain token: with a proof", async (target) => outcome(await target.post("token", target.form(await target.code()), { dpop: target.proof("POST", "token") }))],
  ["plain token: of its own", async (target) => outcome(await target.post("token", { grant_type: "client_credentials", scope: "release" }))],
  ["plain refresh: none is given", async (target) => ((await target.tokens()).refresh_token === undefined ? "none" : "one")],
  ["plain refresh: an unknown token", async (target) => outcome(await refresh(target, { refresh_token: "unknown" }))],
  ["plain userinfo: as it should be", async (target) => outcome(await userinfo(target, `Bearer ${(await target.tokens()).access_token}`))],
  ["plain userinfo: the scheme in small letters", async (target) => outcome(await userinfo(target, `bearer ${(await target.tokens()).access_token}`))],
  ["plain userinfo: under DPoP without a proof", async (target) => outcome(await userinfo(target, `DPoP ${(await target.tokens()).access_token}`))],
  ["plain userinfo: an unknown token", async (target) => outcome(await userinfo(target, "Bearer unknown"))],
  ["plain userinfo: by POST", async (target) => outcome(await fetch(target.address("userinfo"), { method: "POST", headers: { authorization: `Bearer ${(await target.tokens()).access_token}` } }))],
  ["plain userinfo: by POST in the form", async (target) => {
    const body = new URLSearchParams({ access_token: (await target.tokens()).access_token });
    return outcome(await fetch(target.address("userinfo"), { method: "POST", body }));
  }],
  ["plain introspect: an own token", async (target) => active(await target.post("introspect", { token: (await target.tokens()).access_token }))],
  ["plain revoke: an own token", async (target) => outcome(await target.post("revoke", { token: (await target.tokens()).access_token }))],
  ["plain userinfo: after the token was revoked", async (target) => {
    const { access_token } = await target.tokens();
    await target.post("revoke", { token: access_token });
    return outcome(await userinfo(target, `Bearer ${access_token}`));
  }],
  ["plain ID token: its algorithm", async (target) => JSON.parse(Buffer.from((await target.tokens()).id_token.split(".")[0], "base64url")).alg],
];
