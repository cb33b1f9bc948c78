// A service whose pseudonyms go through the key of a second keeper, by programs alone: the pass, three keepers, a resident and the
// service's own client. The keeper named "court" has the second key.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createCipheriv, createPrivateKey, randomBytes } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as client from "openid-client";
import { foundCity, publishService } from "../lib/city.js";
import { enrol } from "../lib/resident-of-city.js";
import { fourPorts, freshSchema, program, serve, serveKeeper, workDir } from "../lib/server.js";

const EXAMPLE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "taipei-like");
const ORIGIN = "pass.example.org/log";
const NAMES = ["office", "court", "archive"];
const CARD = "mdt_library-card";
const READERS = "mdt_garden-readers";
const TEXT = '{ en = "Readers enter the garden without a ticket.", zh-Hant = "讀者免票入園。" }';

for (const database of ["sqlite", "postgresql"]) {
  const skip = database === "postgresql" && !process.env.USUFRUCT_TEST_POSTGRES && "USUFRUCT_TEST_POSTGRES is not set";
  describe(`two keepers of pseudonyms on ${database}`, { skip }, () => walk(database));
}

function walk(database) {
  let work, city, server, schema, keys, cookie, garden, library, approved;
  const keepers = {};

  const run = (...args) => {
    const done = spawnSync(program(), args, { encoding: "utf8", cwd: work.dir, env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const at = (name) => join(work.dir, name);
  const start = async (name) => {
    keepers[name] = await serveKeeper(["keeper", "serve", "--data-dir", at(name), "--roster", at("keepers.toml"), "--listen", `127.0.0.1:${city.ports[name]}`]);
  };
  /** Lets work be done while the court does not answer. */
  const without = async (doing) => {
    await keepers.court.kill();
    try {
      await doing();
    } finally {
      await start("court");
    }
  };

  before(async () => {
    work = workDir();
    const port = await fourPorts();
    city = {
      url: `http://localhost:${port}`, data: at("data"), redirect: "http://localhost:9/callback", run, init: ["--keepers", at("keepers.toml")],
      ports: Object.fromEntries(NAMES.map((name, number) => [name, port + 1 + number])),
    };
    if (database === "postgresql") {
      schema = freshSchema(port);
      city.init.push("--database", schema.url);
    }
    writeFileSync(at("city.toml"), run("keeper", "city", "--data-dir", city.data, "--origin", ORIGIN));
    for (const name of NAMES) {
      writeFileSync(at(`${name}.toml`), run("keeper", "init", "--data-dir", at(name), "--name", name, "--vault", ORIGIN, "--url", `https://127.0.0.1:${city.ports[name]}`));
    }
    const entries = NAMES.flatMap((name) => ["--entry", at(`${name}.toml`)]);
    writeFileSync(at("keepers.toml"), run("keeper", "roster", "--vault", ORIGIN, "--threshold", "2", "--city", at("city.toml"), ...entries));
    for (const name of NAMES) await start(name);
    keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const jwk = { ...(await crypto.subtle.exportKey("jwk", keys.publicKey)), kid: "test" };
    approved = await foundCity(run, work.dir, city, jwk);

    const setup = join(city.data, "usufruct.toml");
    writeFileSync(setup, readFileSync(setup, "utf8").replace("[vault]\n", '[vault]\npseudonym_keeper = "court"\n'));
    // The garden is of two keepers, the library of one, and a mandate lets the library ask who of its readers is who in the garden.
    const mandates = (list) => (text) => text.replace(/^mandates = .*$/m, `mandates = ${JSON.stringify(list)}`);
    const two = (list) => (text) => mandates(list)(text).replace(/^sector = .*$/m, 'sector = "garden"\npseudonym_mode = "two_keeper"');
    const openGarden = (list) => publishService(run, work.dir, city, approved, { name: "garden", redirect: city.redirect, jwk, change: two(list) });
    // The mandate names the garden, so the garden comes first, under what there is already.
    openGarden([CARD]);
    const mandate = readFileSync(join(EXAMPLE, "mandates", "library-card.toml"), "utf8")
      .replace("bulk_limit = 1\n", `bulk_limit = 1\nconversions = [{ from = "svc_library", to = "svc_garden", why = ${TEXT} }]\n`)
      .replace(/^operations = .*$/m, 'operations = ["collect", "match", "store"]')
      .replace(/^rate_cap = .*$/m, 'rate_cap = { uses = 60, per = "P30D" }');
    writeFileSync(at("garden-readers.toml"), mandate);
    run("mandate", "publish", at("garden-readers.toml"), ...approved, "--data-dir", city.data);
    openGarden([READERS]);
    publishService(run, work.dir, city, approved, { name: "library", redirect: city.redirect, jwk, change: mandates([CARD, READERS]) });

    server = await serve(["serve", "--data-dir", city.data, "--listen", `127.0.0.1:${port}`, "--issuer", city.url], city.url);
    [garden, library] = [await relyingParty("svc_garden"), await relyingParty("svc_library")];
    cookie = await enrol(city, work.dir);
  });

  after(async () => {
    await server?.stop();
    for (const keeper of Object.values(keepers)) await keeper.kill();
    schema?.drop();
    work?.clean();
  });

  /** A service's own client, with a token of its own for the API. */
  async function relyingParty(id) {
    const config = await client.discovery(new URL(city.url), id, undefined, client.PrivateKeyJwt({ key: keys.privateKey, kid: "test" }), {
      execute: [client.allowInsecureRequests],
    });
    return { config, DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) };
  }

  /** Posts to the API as this service. */
  async function send(party, path, body) {
    const { config, DPoP } = party;
    party.own ??= (await client.clientCredentialsGrant(config, { scope: "release" }, { DPoP })).access_token;
    const headers = new Headers({ "content-type": "application/json" });
    return client.fetchProtectedResource(config, party.own, new URL(`${city.url}${path}`), "POST", JSON.stringify(body), headers, { DPoP });
  }

  /** Sends the resident to the service's sign-in; she agrees to everything. Answers where she is led back to, and the rest of the way. */
  async function ask({ config, DPoP }, mandate) {
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const address = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: city.redirect, scope: `openid ${mandate}`, code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256", state, nonce,
    }, { DPoP });
    const back = await agree(address);
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
    return { address, back, exchange: () => client.authorizationCodeGrant(config, back, checks, undefined, { DPoP }) };
  }

  async function agree(address) {
    let answer = await fetch(address, { headers: { cookie }, redirect: "manual" });
    while (answer.status === 200) {
      const html = await answer.text();
      const hidden = [...html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value.replaceAll("&#38;", "&").replaceAll("&amp;", "&")]);
      answer = await fetch(`${city.url}/oidc/authorize/decide`, { method: "POST", headers: { cookie }, body: new URLSearchParams([...hidden, ["decision", "agree"]]), redirect: "manual" });
    }
    assert.equal(answer.status, 303, await answer.clone().text());
    return new URL(answer.headers.get("location"));
  }

  const signIn = async (party, mandate) => (await (await ask(party, mandate)).exchange()).claims().sub;
  const wanted = (subject) => ({ subject, mandate: READERS, blocks: [{ block: "blk_name", form: "value" }], reason: "new-card" });
  const conversion = (subject) => ({ subjects: [subject], to: "svc_garden", mandate: READERS, reason: "renewal" });
  const lines = async (kind) => {
    const footprint = await (await fetch(`${city.url}/me/footprint.json`, { headers: { cookie } })).json();
    return footprint.lines.filter((line) => line.shown.kind === kind).length;
  };

  /** An answer of the API that says: not now, and when. */
  async function isTemporary(answer) {
    const text = await answer.text();
    assert.equal(answer.status, 503, text);
    assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/, text);
    assert.equal(JSON.parse(text).type, "urn:usufruct:problem:busy");
  }

  /** What the token endpoint says of it. */
  async function isTemporaryGrant(promise) {
    let answer = await promise.then(() => assert.fail("it was answered"), (error) => error);
    while (answer && !(answer instanceof Response)) answer = answer.response ?? answer.cause;
    assert.equal(answer?.status, 503);
    assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
    if (!answer.bodyUsed) assert.equal((await answer.json()).error, "temporarily_unavailable");
  }

  test("the same pseudonym at every sign-in, and a data request resolves it", async () => {
    const known = await signIn(garden, READERS);
    assert.match(known, /^[\w-]{22}$/);
    assert.equal(await signIn(garden, READERS), known);
    assert.notEqual(await signIn(library, CARD), known);
    const released = await send(garden, "/api/releases", wanted(known));
    assert.equal(released.status, 200, await released.clone().text());
    assert.equal((await released.json()).blocks[0].value, "Test Person");
    assert.equal((await send(garden, "/api/releases", wanted("A".repeat(22)))).status, 404);
  });

  test("another one after a withdrawal and a new consent", async () => {
    const before = await signIn(garden, READERS);
    const page = await (await fetch(`${city.url}/me/consents`, { headers: { cookie } })).text();
    const body = new URLSearchParams({ form_token: /name="form_token" value="([^"]+)"/.exec(page)[1] });
    const withdrawn = await fetch(`${city.url}/me/consents/${READERS}/withdraw`, { method: "POST", headers: { cookie }, body, redirect: "manual" });
    assert.ok(withdrawn.status < 400, await withdrawn.text());
    assert.equal((await send(garden, "/api/releases", wanted(before))).status, 404);
    const later = await signIn(garden, READERS);
    assert.notEqual(later, before);
    assert.equal((await send(garden, "/api/releases", wanted(later))).status, 200);
    assert.equal((await send(garden, "/api/releases", wanted(before))).status, 404);
  });

  test("the mandate's conversion leads from the library's pseudonym to the garden's, and not back", async () => {
    const [here, there] = [await signIn(library, READERS), await signIn(garden, READERS)];
    const answer = await send(library, "/api/conversions", conversion(here));
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.equal((await answer.json()).lines[0].converted, there);
    assert.equal((await send(garden, "/api/conversions", { ...conversion(there), to: "svc_library" })).status, 403);
  });

  test("with the second keeper away everything that needs it is put off, and nothing is lost", async () => {
    const [known, here] = [await signIn(garden, READERS), await signIn(library, READERS)];
    const [begun, uses, conversions] = [await ask(garden, READERS), await lines("use"), await lines("conversion")];
    let put_off;
    await without(async () => {
      put_off = await ask(garden, READERS);
      assert.equal(put_off.back.searchParams.get("error"), "temporarily_unavailable", put_off.back);
      await isTemporaryGrant(begun.exchange());
      await isTemporary(await send(garden, "/api/releases", wanted(known)));
      await isTemporary(await send(library, "/api/conversions", conversion(here)));
      assert.match(await signIn(library, CARD), /^[\w-]{22}$/, "the library needs no second keeper");
    });
    assert.equal((await begun.exchange()).claims().sub, known, "the code is still good");
    assert.equal((await agree(put_off.address)).searchParams.get("error"), null, "so is the pushed request");
    assert.deepEqual([await lines("use"), await lines("conversion")], [uses, conversions], "her footprint tells of nothing that did not happen");
    assert.equal((await send(garden, "/api/releases", wanted(known))).status, 200);
    assert.equal((await (await send(library, "/api/conversions", conversion(here))).json()).lines[0].converted, known);
  });

  test("a refresh that the keeper could not answer works later", async () => {
    const { config, DPoP } = garden;
    const tokens = await (await ask(garden, READERS)).exchange();
    await without(() => isTemporaryGrant(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })));
    assert.equal((await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })).claims().sub, tokens.claims().sub);
  });

  test("one that answers garbage, or with the key of another sector, is refused", async () => {
    const known = await signIn(garden, READERS);
    const other = randomBytes(32);
    const permuted = (request) => {
      const blocks = request.subarray(2 + request[1] + 8);
      const cipher = createCipheriv("aes-256-ecb", other, null).setAutoPadding(false);
      return Buffer.concat([cipher.update(blocks), cipher.final()]);
    };
    const answers = {
      nothing: () => [200, Buffer.alloc(0)],
      page: () => [200, Buffer.from("<!doctype html><title>Welcome</title>")],
      broken: () => [500, Buffer.from("oops")],
      longer: (request) => [200, randomBytes(request.length + 16)],
      noise: (request) => [200, randomBytes(request.length - 2 - request[1] - 8)],
      echo: (request) => [200, request.subarray(2 + request[1] + 8)],
      another: (request) => [200, permuted(request)],
    };
    await without(async () => {
      for (const [what, answer] of Object.entries(answers)) {
        const asked = [];
        const impostor = await imitate(at("court"), city.ports.court, (path, request) => {
          asked.push(path);
          return answer(request);
        });
        try {
          const { back } = await ask(garden, READERS);
          assert.equal(back.searchParams.get("error"), "temporarily_unavailable", `${what}: ${back}`);
          await isTemporary(await send(garden, "/api/releases", wanted(known)));
          assert.ok(asked.includes("/sectors"), `${what}: nobody asked it`);
        } finally {
          await impostor.close();
        }
      }
    });
    assert.equal(await signIn(garden, READERS), known, "the true one is believed again");
  });

  test("the end of the sector destroys both keys, whether the keeper is there or not", async () => {
    const [here, known] = [await signIn(library, READERS), await signIn(garden, READERS)];
    const sectors = () => {
      const names = readdirSync(at("court/sectors")).filter((name) => name.startsWith("sector-"));
      return names.map((name) => readFileSync(join(at("court/sectors"), name)));
    };
    assert.ok(sectors().length === 1 && sectors()[0].some((byte) => byte !== 0));
    // Nobody gets anything of it from the closing on, with the keeper or without.
    const isOver = async () => {
      await assert.rejects(send(garden, "/api/releases", wanted(known)), { code: "OAUTH_WWW_AUTHENTICATE_CHALLENGE" });
      await assert.rejects(signIn(garden, READERS));
      const converted = await send(library, "/api/conversions", conversion(here));
      assert.ok([403, 404].includes(converted.status), await converted.text());
    };
    await without(async () => {
      run("service", "close", "svc_garden", ...approved.slice(0, 2), "--data-dir", city.data, "--reason-en", "The garden is open to all.", "--reason-zh", "花園開放。");
      await isOver();
      await until(async () => (await certificates()).some((body) => body.cause === "sector"));
      await isOver();
    });
    await until(() => sectors()[0].every((byte) => byte === 0));
    await isOver();
    run("verify", city.url, "--state", at("seen.json"));
    assert.ok(!existsSync(join(city.data, "sectors")), "the pass itself never had the second key");
  });

  const certificates = async () => {
    const list = await (await fetch(`${city.url}/register/certificates.json`)).json();
    return Object.values(list).map((entry) => entry.body);
  };
}

async function until(isSo) {
  for (let tries = 0; !(await isSo()); tries++) {
    if (tries > 150) throw new Error(`It never came to be: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** A server with the certificate and key of a keeper that answers as it likes. @param {string} dir @param {number} port */
async function imitate(dir, port, answer) {
  const pem = (kind, bytes) => `-----BEGIN ${kind}-----\n${bytes.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END ${kind}-----\n`;
  const seed = readFileSync(join(dir, "keys", "keeper-tls.seed"));
  const key = createPrivateKey({ key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]), format: "der", type: "pkcs8" });
  const cert = pem("CERTIFICATE", readFileSync(join(dir, "keys", "keeper-tls.cert")));
  const options = { key: key.export({ format: "pem", type: "pkcs8" }), cert, minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, (request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const [status, body] = answer(request.url, Buffer.concat(chunks));
      response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(body);
    });
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
