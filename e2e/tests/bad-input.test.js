// Garbage, replays and foreign words: each gets a clear answer, nothing is lost, nothing breaks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { identities } from "../lib/identities.js";
import { demo } from "../lib/server.js";
import { assertion, authorize, bearing, exchange, personas, post, proof, push, pushed, releaseToken, service, signIn, subject } from "../lib/service.js";

let city;
let library;
let persona;
let known;
let token;
const SCOPE = "openid mdt_library-card";

before(async () => {
  city = await demo({ residents: 10 });
  library = await service(city, "svc_library");
  [persona] = await personas(city);
  known = await subject(city, library, persona, SCOPE);
  token = await releaseToken(city, library);
});

after(async () => city?.stop());

const lawful = () => ({ subject: known, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" });

function release(body, headers = {}, path = "/api/releases") {
  const url = `${city.url}${path}`;
  return fetch(url, {
    method: "POST",
    headers: { ...bearing(library, token, "POST", url), "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** A problem document with two sentences. */
async function problem(answer, status) {
  assert.equal(answer.status, status, await answer.clone().text());
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  const body = await answer.json();
  assert.match(body.type, /^urn:usufruct:problem:/);
  assert.match(body.detail, /^[^.]+\. .+\.$/s, body.detail);
  return body;
}

test("the release API answers every kind of garbage with a problem document", async () => {
  await problem(await release("{"), 400);
  await problem(await release("[]"), 400);
  await problem(await release({ ...lawful(), extra: 1 }), 400);
  await problem(await release({ ...lawful(), mandate: "nonsense" }), 400);
  await problem(await release({ ...lawful(), blocks: [{ block: "blk_name", form: "everything" }] }), 400);
  await problem(await release(lawful(), { "content-type": "text/plain" }), 415);
  await problem(await release(lawful(), { authorization: "DPoP nonsense" }), 401);
  await problem(await release(lawful(), { authorization: `Bearer ${token}` }), 401);
  await problem(await release(lawful(), { authorization: "Basic eDp5" }), 401);
  await problem(await release(JSON.stringify({ ...lawful(), reason: "x".repeat(100_000) })), 413);
  await problem(await release(Buffer.from([0xff, 0xfe, 0x00]).toString("latin1")), 400);
  assert.equal((await release(lawful())).status, 200);
});

test("a refusal names the clause and what would make it lawful", async () => {
  const clause = async (change) => (await problem(await release({ ...lawful(), ...change }), 403)).clauses[0];
  assert.equal((await clause({ mandate: "mdt_nothing" })).clause, "mandate");
  assert.equal((await clause({ reason: "curiosity" })).clause, "reason");
  assert.equal((await clause({ mandate: "mdt_clinic-booking" })).clause, "service");
  assert.equal((await clause({ blocks: [{ block: "blk_national-number", form: "value" }] })).clause, "blocks-in-mandate");
  assert.equal((await clause({ blocks: [{ block: "blk_over-18", form: "value" }] })).clause, "form");
  assert.ok((await clause({ blocks: [] })).remedy);
  await problem(await release({ ...lawful(), subject: "AAAAAAAAAAAAAAAAAAAAAA" }), 404);
});

test("a batch answers line by line", async () => {
  const crowd = { subjects: [known, "AAAAAAAAAAAAAAAAAAAAAA"], mandate: "mdt_library-card", blocks: lawful().blocks, reason: "renewal" };
  const answer = await release(crowd, {}, "/api/releases/batch");
  const body = await answer.json();
  if (answer.status === 403) assert.equal(body.clauses[0].clause, "bulk-limit");
  else assert.equal(body.lines[1].problem.status, 404);
});

test("a code works once; a second try kills its tokens", async () => {
  const way = await authorize(city, library, persona, SCOPE);
  const tokens = await (await exchange(city, library, way)).json();
  const url = `${city.url}/oidc/userinfo`;
  const userinfo = () => fetch(url, { headers: bearing(library, tokens.access_token, "GET", url) });
  assert.equal((await userinfo()).status, 200);
  const again = await exchange(city, library, way);
  assert.equal(again.status, 400);
  assert.equal((await again.json()).error, "invalid_grant");
  assert.equal((await userinfo()).status, 401);
  const wrong = await authorize(city, library, persona, SCOPE);
  assert.equal((await exchange(city, library, { ...wrong, verifier: "x".repeat(43) })).status, 400);
  assert.equal((await exchange(city, library, wrong)).status, 400, "a code is used up by a wrong verifier");
});

test("client assertions: only fresh, only for us, only once, only ES256", async () => {
  const form = { grant_type: "client_credentials", scope: "release" };
  const now = Math.floor(Date.now() / 1000);
  const refused = async (given) => {
    const answer = await post(city, library, "/oidc/token", form, given);
    assert.equal(answer.status, 401, given);
    const body = await answer.json();
    assert.equal(body.error, "invalid_client");
    assert.match(body.error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  };
  await refused("");
  await refused("a.b.c");
  await refused(assertion(city, library, { aud: [city.url] }));
  await refused(assertion(city, library, { aud: `${city.url}/oidc/token` }));
  await refused(assertion(city, library, { exp: now - 1 }));
  await refused(assertion(city, library, { exp: now + 3_600 }));
  await refused(assertion(city, library, { iat: now + 120 }));
  await refused(assertion(city, library, { sub: "svc_festival" }));
  await refused(assertion(city, library, {}, { alg: "none" }));
  await refused(assertion(city, library, {}, { alg: "HS256" }));
  await refused(assertion(city, library, { jti: undefined }));
  const once = assertion(city, library);
  assert.equal((await post(city, library, "/oidc/token", form, once)).status, 200);
  await refused(once);
});

test("a wrong request is not taken, and the authorization endpoint sends nothing to a stranger", async () => {
  const [state, nonce] = ["x".repeat(1_000), "n".repeat(384)];
  const challenge = "a".repeat(43);
  for (const redirect_uri of [`${library.redirect}?x=1`, `${library.redirect}#x`, "https://evil.example/", undefined, `${library.redirect}/`]) {
    const refused = await push(city, library, SCOPE, challenge, { redirect_uri });
    assert.deepEqual([refused.status, (await refused.json()).error], [400, "invalid_request"]);
    const query = new URLSearchParams({ response_type: "code", client_id: library.id, redirect_uri: redirect_uri ?? "", scope: SCOPE });
    const answer = await fetch(`${city.url}/oidc/authorize?${query}`, { redirect: "manual", headers: { accept: "text/html" } });
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.get("location"), null);
  }
  const taken = async (change, expected) => {
    const answer = await push(city, library, SCOPE, challenge, { state, nonce, ...change });
    assert.equal((await answer.json()).error, expected);
  };
  await taken({ code_challenge: undefined }, "invalid_request");
  await taken({ code_challenge_method: "plain" }, "invalid_request");
  await taken({ response_type: "token" }, "unsupported_response_type");
  await taken({ scope: "profile" }, "invalid_scope");
  await taken({ scope: "openid mdt_clinic-booking" }, "invalid_scope");
  await taken({ request_uri: "urn:x" }, "invalid_request");
  await taken({}, undefined);
  const open = async (change, service = library.id) => {
    const address = (await pushed(city, library, SCOPE, challenge, { state, nonce, ...change })).replace(library.id, service);
    return fetch(address, { redirect: "manual", headers: { accept: "text/html" } });
  };
  for (const stranger of ["svc_nobody", "svc_festival"]) assert.equal((await open({}, stranger)).status, 400);
  const silent = new URL((await open({ prompt: "none" })).headers.get("location"));
  assert.equal(silent.searchParams.get("error"), "login_required");
  assert.equal(silent.searchParams.get("iss"), city.url);
  assert.equal(silent.searchParams.get("state"), state);
  const plain = new URLSearchParams({ response_type: "code", client_id: library.id, redirect_uri: library.redirect, scope: SCOPE, state });
  const told = await fetch(`${city.url}/oidc/authorize?${plain}`, { redirect: "manual" });
  assert.equal(new URL(told.headers.get("location")).searchParams.get("error"), "invalid_request");
  assert.match((await open({})).headers.get("location"), /^\/sign-in\?next=/);
});

test("a token is worth nothing without its key", async () => {
  const url = `${city.url}/api/releases`;
  const asked = (dpop) => release(lawful(), { dpop });
  const now = Math.floor(Date.now() / 1000);
  const thief = await service(city, "svc_library");
  await problem(await asked(proof(thief, "POST", url, token)), 401);
  await problem(await asked(proof(library, "GET", url, token)), 401);
  await problem(await asked(proof(library, "POST", `${city.url}/oidc/token`, token)), 401);
  await problem(await asked(proof(library, "POST", url, "uft_other")), 401);
  await problem(await asked(proof(library, "POST", url, token, { iat: now - 3_600 })), 401);
  await problem(await asked(proof(library, "POST", url, token, {}, { alg: "none" })), 401);
  const once = proof(library, "POST", url, token);
  assert.equal((await asked(once)).status, 200);
  await problem(await asked(once), 401);
});

test("odd addresses, forms and tokens break nothing", async () => {
  for (const path of ["/nowhere", "/me/footprint/99999999999999999999/case", "/register/mandates/mdt_%00", "/register/mandates/x", "/log/tile/../../keys/log.seed", "/log/tile/0/%2e%2e/x", "/log/tile/x", "/verifier/..%2fCargo.toml", "/%ff"]) {
    const answer = await fetch(`${city.url}${path}`, { redirect: "manual" });
    assert.ok(answer.status >= 300 && answer.status < 500, `${path}: ${answer.status}`);
  }
  const forged = await fetch(`${city.url}/me/consents/mdt_library-card/withdraw`, { method: "POST", body: new URLSearchParams({ form_token: "x" }), redirect: "manual" });
  assert.equal(forged.status, 401);
  const { cookie } = await authorize(city, library, persona, SCOPE);
  for (const headers of [{ cookie }, { cookie, "sec-fetch-site": "cross-site" }]) {
    const answer = await fetch(`${city.url}/me/consents/mdt_library-card/withdraw`, { method: "POST", headers, body: new URLSearchParams({ form_token: "x" }), redirect: "manual" });
    assert.equal(answer.status, 403);
  }
  for (const body of ["", "{}", '{"ceremony":1}', '{"code":"AAAA-BBBB-CCCC"}']) {
    const answer = await fetch(`${city.url}/webauthn/register/start`, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.ok(answer.status >= 400 && answer.status < 500);
  }
  for (const value of ["", "x", `uft_${"a".repeat(43)}`, "x".repeat(5_000)]) {
    const url = `${city.url}/oidc/userinfo`;
    const answer = await fetch(url, { headers: bearing(library, value, "GET", url) });
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("www-authenticate"), /^DPoP /);
  }
  assert.equal((await post(city, library, "/oidc/token", { grant_type: "password" })).status, 400);
  const introspected = await post(city, library, "/oidc/introspect", { token: "foreign" });
  assert.deepEqual(await introspected.json(), { active: false });
  assert.equal((await release(lawful())).status, 200);
});

test("wrong methods, broken bodies and odd queries get a problem document too, and browsers a page", async () => {
  const json = { "content-type": "application/json" };
  const cookie = await signIn(city, persona);
  const wrong = [
    ["/register", 405, { method: "POST" }],
    ["/oidc/token", 405, {}],
    ["/api/releases", 405, {}],
    ["/me/sign-out", 405, { headers: { cookie } }],
    ["/webauthn/register/start", 400, { method: "POST", headers: json, body: "{" }],
    ["/webauthn/register/start", 413, { method: "POST", headers: json, body: "x".repeat(100_000) }],
    ["/webauthn/register/start", 415, { method: "POST", body: "{}" }],
    ["/sign-in?next=%2Fme&next=%2Fme", 400, {}],
    ["/me/footprint/nonsense/case", 404, { headers: { cookie } }],
    ["/me/preview?service=nonsense", 400, { headers: { cookie } }],
  ];
  const found = [];
  for (const [path, status, init] of wrong) {
    const asked = `${init.method ?? "GET"} ${path}`;
    const answer = await fetch(`${city.url}${path}`, { ...init, redirect: "manual" });
    const close = (status === 400 && answer.status === 404) || (status === 404 && answer.status === 400);
    if (answer.status !== status && !close) found.push(`${asked}: ${answer.status}, not ${status}`);
    if (answer.headers.get("content-type") !== "application/problem+json") found.push(`${asked}: ${answer.headers.get("content-type")}`);
    if (path.startsWith("/api/")) continue;
    const page = await fetch(`${city.url}${path}`, { ...init, headers: { ...init.headers, accept: "text/html" }, redirect: "manual" });
    if (!(await page.text()).includes("<h1")) found.push(`${asked}: no page for a browser`);
  }
  assert.deepEqual(found, []);
});

test("a form sent after the session ended leads, by way of the sign-in, to a page", async () => {
  const sent = await fetch(`${city.url}/me/consents/mdt_library-card/withdraw`, { method: "POST", headers: { accept: "text/html" }, redirect: "manual" });
  const next = new URL(sent.headers.get("location"), city.url).searchParams.get("next");
  const cookie = await signIn(city, persona);
  assert.equal((await fetch(`${city.url}${next}`, { headers: { accept: "text/html", cookie } })).status, 200, next);
});

test("the server's own log holds nobody's name, number or address", () => {
  const output = city.output();
  assert.deepEqual(identities(output), []);
  assert.ok(!output.includes(known), "the log holds a pseudonym");
  assert.doesNotMatch(output, /panicked/);
});
