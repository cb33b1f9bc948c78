// The samples of /developers, as they stand: registered in the sandbox of a demo, each signs a resident in and reads a block.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { demo, fourPorts } from "../lib/server.js";
import { agree, personas, signIn } from "../lib/service.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const EXAMPLES = join(HERE, "..", "..", "examples", "developers");
const PYTHON = process.env.USUFRUCT_CLIENTS_PYTHON ?? join(HERE, "..", "..", ".local", "clients", "bin", "python3");
// Beside the packages of these tests, so that the sample finds its library.
const OUT = join(HERE, "..", "out", "developers");

let city;
let persona;
before(async () => {
  mkdirSync(OUT, { recursive: true });
  city = await demo({ residents: 5 });
  [persona] = await personas(city);
});
after(async () => {
  await city?.stop();
  rmSync(OUT, { recursive: true, force: true });
});

/** Registers a service by the form of the page. */
async function register(jwk, redirect) {
  const body = new URLSearchParams({ jwk, redirect_uri: redirect });
  const answer = await fetch(`${city.url}/developers`, { method: "POST", body });
  return { status: answer.status, id: /data-testid="client-id">([^<]+)</.exec(await answer.text())?.[1] };
}

async function runs(command, file) {
  const port = await fourPorts();
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "mine" };
  const registered = await register(JSON.stringify(jwk), `http://localhost:${port}/callback`);
  assert.equal(registered.status, 201);
  const key = join(OUT, `${port}.pem`);
  writeFileSync(key, privateKey.export({ format: "pem", type: "pkcs8" }));
  const env = {
    ...process.env, ISSUER: city.url, CLIENT_ID: registered.id, KEY: key, KID: "mine", MANDATE: "mdt_library-card", BLOCK: "blk_name",
    REASON: "new-card", PORT: String(port),
  };
  const child = spawn(command, [file], { env, stdio: ["ignore", "pipe", "inherit"] });
  try {
    await new Promise((resolve, reject) => {
      child.stdout.once("data", resolve);
      child.once("exit", () => reject(new Error("the sample ended")));
    });
    const begun = await fetch(`http://localhost:${port}/`, { redirect: "manual" });
    assert.equal(begun.status, 303, await begun.text());
    const back = await agree(city, begun.headers.get("location"), await signIn(city, persona));
    const answer = await fetch(back);
    const body = await answer.json();
    assert.equal(answer.status, 200, JSON.stringify(body));
    assert.match(body.subject, /^[\w-]{22}$/);
    assert.equal(body.answer.blocks[0].block, "blk_name");
    assert.ok(body.answer.blocks[0].value.length > 1 && body.answer.receipt);
  } finally {
    child.kill("SIGKILL");
  }
}

test("Node.js with openid-client", async () => {
  const file = join(OUT, "sign-in.mjs");
  copyFileSync(join(EXAMPLES, "node", "sign-in.mjs"), file);
  await runs(process.execPath, file);
});

test("Python with joserfc", async (t) => {
  const has = existsSync(PYTHON) && spawnSync(PYTHON, ["-c", "import joserfc, requests"]).status === 0;
  const isNeeded = (process.env.USUFRUCT_CLIENTS_NEEDED ?? "").split(" ").includes("python");
  if (!has && !isNeeded) return t.skip("joserfc and requests are not installed; script/test clients brings them");
  await runs(PYTHON, join(EXAMPLES, "python", "sign_in.py"));
});

test("the sandbox refuses what must not be registered", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const good = JSON.stringify(publicKey.export({ format: "jwk" }));
  for (const [jwk, redirect] of [
    ["{", "http://localhost:9000/callback"],
    [JSON.stringify(privateKey.export({ format: "jwk" })), "http://localhost:9000/callback"],
    [good, "https://evil.example/callback"],
    [good, "javascript:alert(1)"],
    [good, ""],
  ]) {
    assert.equal((await register(jwk, redirect)).status, 422, `${jwk} ${redirect}`);
  }
});
