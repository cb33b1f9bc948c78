// Garbage, replays and foreign words: each gets a clear answer, nothing is lost, nothing breaks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { identities } from "../lib/identities.js";
import { demo } from "../lib/server.js";
import { assertion, authorize, exchange, personas, post, releaseToken, service, signIn, subject } from "../lib/service.js";

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

function release(body, headers = {}) {
  return fetch(`${city.url}/api/releases`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
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
  await problem(await release(lawful(), { authorization: "Bearer nonsense" }), 401);
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
  const answer = await fetch(`${city.url}/api/releases/batch`, {
    method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ subjects: [known, "AAAAAAAAAAAAAAAAAAAAAA"], mandate: "mdt_library-card", blocks: lawful().blocks, reason: "renewal" }),
  });
  const body = await answer.json();
  if (answer.status === 403) assert.equal(body.clauses[0].clause, "bulk-limit");
  else assert.equal(body.lines[1].problem.status, 404);
});

test("a code works once; a second try kills its tokens", async () => {
  const way = await authorize(city, library, persona, SCOPE);
  const tokens = await (await exchange(city, library, way)).json();
  const userinfo = () => fetch(`${city.url}/oidc/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
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

test("the authorization endpoint sends nothing to a stranger and tells errors with iss", async () => {
  const ask = (change) => {
    const query = new URLSearchParams({
      response_type: "code", client_id: library.id, redirect_uri: library.redirect, scope: SCOPE, state: "x".repeat(1_000), nonce: "n".repeat(384),
      code_challenge: "a".repeat(43), code_challenge_method: "S256", ...change,
    });
    for (const [key, value] of [...query]) if (value === "undefined") query.delete(key);
    return fetch(`${city.url}/oidc/authorize?${query}`, { redirect: "manual", headers: { accept: "text/html" } });
  };
  for (const redirect_uri of [`${library.redirect}?x=1`, `${library.redirect}#x`, "https://evil.example/", "", `${library.redirect}/`]) {
    const answer = await ask({ redirect_uri });
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.get("location"), null);
  }
  assert.equal((await ask({ client_id: "svc_nobody" })).status, 400);
  const error = async (change, expected) => {
    const answer = await ask(change);
    assert.equal(answer.status, 303);
    const back = new URL(answer.headers.get("location"));
    assert.equal(back.searchParams.get("error"), expected);
    assert.equal(back.searchParams.get("iss"), city.url);
    assert.equal(back.searchParams.get("state"), "x".repeat(1_000));
  };
  await error({ code_challenge: undefined }, "invalid_request");
  await error({ code_challenge_method: "plain" }, "invalid_request");
  await error({ response_type: "token" }, "unsupported_response_type");
  await error({ scope: "profile" }, "invalid_scope");
  await error({ scope: "openid mdt_clinic-booking" }, "invalid_scope");
  await error({ request_uri: "urn:x" }, "request_uri_not_supported");
  await error({ prompt: "none" }, "login_required");
  const login = await ask({});
  assert.match(login.headers.get("location"), /^\/sign-in\?next=/);
});

test("odd addresses, forms and tokens break nothing", async () => {
  for (const path of ["/nowhere", "/me/footprint/99999999999999999999/object", "/register/mandates/mdt_%00", "/register/mandates/x", "/log/tile/../../keys/log.seed", "/log/tile/0/%2e%2e/x", "/log/tile/x", "/verifier/..%2fCargo.toml", "/%ff"]) {
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
    const answer = await fetch(`${city.url}/oidc/userinfo`, { headers: { authorization: `Bearer ${value}` } });
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("www-authenticate"), /^Bearer/);
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
    ["/me/footprint/nonsense/object", 404, { headers: { cookie } }],
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
