// Steps that the abuse drills share: a city with people in it, services with their keys, what a resident sees, what everybody sees.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeEvent } from "../../verifier/event.js";
import { fetchBytes } from "../../verifier/fetch.js";
import { verifyFootprint } from "../../verifier/footprint.js";
import { STORIES } from "../abuse/stories.js";
import { enrol } from "./resident-of-city.js";
import { demo, program } from "./server.js";
import { agree, exchange, push, releaseToken, service } from "./service.js";
import { BOTH, office } from "./statement.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const EXAMPLE = join(HERE, "..", "..", "examples", "taipei-like");
const OWN = join(HERE, "..", "abuse", "city");
/** Whether the city keeps its rows in a file, where an insider changes them; with USUFRUCT_E2E_DATABASE it does not. */
export const IS_FILE = !process.env.USUFRUCT_E2E_DATABASE;
/** How soon the resident and the public must see what could not be prevented. */
export const SECONDS = 60;
/** How many people the five officials of Zhengzhou turned. */
export const DEPOSITORS = 1_317;
/** The services through which the five decide. Their pseudonyms are those of one domain. */
export const DESKS = [1, 2, 3, 4, 5].map((number) => `svc_visitor-desk-${number}`);

/**
 * The tests of a story: `attempt` plays one of its attempts and holds it to the outcome that the table states; `onFile` says that it needs
 * the database as a file. `city` is there while they run.
 * @param {string} id @param {() => Promise<void>} [prepare] what comes before the first attempt
 */
export function drill(id, prepare) {
  const story = STORIES.find((one) => one.id === id);
  assert.ok(story, id);
  const city = {};
  const played = new Set();
  // One hook for both: hooks of a file run side by side.
  before(async () => {
    Object.assign(city, await openCity());
    await prepare?.();
  });
  after(async () => {
    await city.stop?.();
    assert.deepEqual([...played].sort(), Object.keys(story.attempts).sort(), "each attempt of the table is played");
  });
  const attempt = (key, play, { onFile = false } = {}) => {
    const told = story.attempts[key];
    assert.ok(told, `${id} has no attempt ${key}`);
    played.add(key);
    const skip = onFile && !IS_FILE && "somebody writes to the database as a file";
    test(`${told.attempt}: ${told.outcome}`, { skip, todo: told.hole }, async () => {
      const marks = new Set();
      await play(witness(city, marks));
      const needed = { impossible: ["refused"], visible: ["resident", "public"] }[told.outcome];
      for (const mark of needed) assert.ok(marks.has(mark), `nothing was asserted as ${mark}`);
    });
  };
  return { city, attempt };
}

/** Assertions by which an attempt shows its outcome. */
function witness(city, marks) {
  /** What `look` finds, once it finds something; fails when a minute has passed since `began`. */
  const within = async (who, began, look) => {
    for (;;) {
      const found = await look();
      const seconds = (performance.now() - began) / 1_000;
      assert.ok(seconds < SECONDS, `${who} saw nothing within ${SECONDS} s`);
      if (found) {
        marks.add(who);
        return found;
      }
      await pause(200);
    }
  };
  return {
    /** A request was refused: with this problem, and for exactly these clauses. */
    refused: async (answer, status, type, clauses = []) => {
      const problem = await told(answer);
      assert.deepEqual([problem.status, problem.type, problem.clauses], [status, `urn:usufruct:problem:${type}`, clauses], JSON.stringify(problem));
      marks.add("refused");
    },
    /** One line of a batch was refused. */
    refusedLine: ({ problem }, status, type, clauses = []) => {
      assert.ok(problem, "it was answered");
      const names = (problem.clauses ?? []).map(({ clause }) => clause);
      assert.deepEqual([problem.status, problem.type, names], [status, `urn:usufruct:problem:${type}`, clauses]);
      marks.add("refused");
    },
    /** A statement was not taken: for exactly these rules. */
    unlawful: (answer, ...rules) => {
      assert.deepEqual([answer.status, answer.rules], [422, rules], JSON.stringify(answer));
      marks.add("refused");
    },
    /** Something else shows that it was impossible. */
    impossible: (actual, expected, message) => {
      assert.deepEqual(actual, expected, message);
      marks.add("refused");
    },
    /** Lines of her footprint that match, as her own copy of the verifier proves them against the public log. */
    resident: (cookie, began, match) =>
      within("resident", began, async () => {
        const saved = await footprint(city, cookie);
        const found = linesOf(saved).filter(match);
        return found.length > 0 && (await verified(city, saved)).state === "verified" ? found : null;
      }),
    /** The same without the proof, which takes a second: lines of her footprint, and the public log is long enough to hold them. */
    listed: (cookie, began, match) =>
      within("resident", began, async () => {
        const found = linesOf(await footprint(city, cookie)).filter(match);
        const size = await publicSize(city);
        return found.length > 0 && found.every(({ index }) => index < size) ? found : null;
      }),
    /** What anybody sees without signing in. */
    public: (began, look) => within("public", began, look),
    /** What the resident sees in another way: in her browser, or as an answer to her. */
    hers: (began, look) => within("resident", began, look),
  };
}

/** A problem document and its clauses. @param {Response} answer */
export async function told(answer) {
  const body = await answer.json();
  return { status: answer.status, type: body.type, clauses: (body.clauses ?? []).map(({ clause }) => clause), body };
}

/** The city that is running for all tests of a folder, or one of its own. @param {() => Promise<any>} [found] @returns {Promise<Record<string, any>>} */
export async function openCity(found = foundCity) {
  const shared = process.env.USUFRUCT_DRILL_CITY;
  if (shared) return withCommands({ ...JSON.parse(readFileSync(shared, "utf8")), stop: async () => {} });
  return withCommands(await found());
}

/**
 * The example city with a block, a mandate, five desks and 1,317 depositors of a bank more. `change` has the last word about its folder.
 * @param {number} [depositors] @param {(folder: string) => void} [change]
 */
export async function foundCity(depositors = DEPOSITORS, change) {
  const folder = mkdtempSync(join(tmpdir(), "usufruct-drill-"));
  cpSync(EXAMPLE, folder, { recursive: true });
  cpSync(OWN, folder, { recursive: true });
  for (const desk of DESKS) writeFileSync(join(folder, "services", `${desk.slice(4)}.toml`), deskFile(desk.at(-1)));
  appendFileSync(join(folder, "people", "personas.toml"), Array.from({ length: depositors }, (_, i) => depositorFile(i)).join(""));
  change?.(folder);
  const city = await demo({ residents: 0, city: folder, database: process.env.USUFRUCT_E2E_DATABASE });
  return {
    ...city,
    stop: async () => {
      await city.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const deskFile = (number) => `agency = "agc_health"
name = { en = "Visitor desk ${number}", zh-Hant = "訪客窗口 ${number}" }
sector = "visitor-status"
redirect_uris = ["https://visitors.example.org/${number}"]
channels = ["card", "counter", "paper", "web"]
mandates = ["mdt_visitor-status"]
help = { en = "Tells care homes whether a visitor meets the rules.", zh-Hant = "告知長照機構訪客是否符合探視規定。" }
alternatives = [{ en = "A paper declaration at the door", zh-Hant = "於門口填寫紙本聲明書" }]
`;

/** When they agreed: the demo spreads the consents of one day, seventeen minutes for each resident. */
const DAYS_AGO = 20;

/** The word by which a depositor signs in. */
export const depositor = (i) => `depositor-${String(i + 1).padStart(4, "0")}`;

const depositorFile = (i) => `
[[personas]]
id = ${100 + i}
name = { en = "Depositor ${String(i + 1).padStart(4, "0")}", zh-Hant = "存戶 ${String(i + 1).padStart(4, "0")}" }
birth_year = 1970
district = "望潮區"
language = "zh-Hant"
holds = "passkey"
story = { en = "Has savings in a bank that pays nothing out.", zh-Hant = "存款的銀行停止提款。" }
consents = [{ mandate = "mdt_visitor-status", days_ago = ${DAYS_AGO} }]
`;

function withCommands(city) {
  const folder = mkdtempSync(join(tmpdir(), "usufruct-drill-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const typed = (input, ...args) =>
    spawnSync(program(), args, { encoding: "utf8", cwd: folder, input, env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });
  const run = (...args) => {
    const done = typed("", ...args);
    assert.equal(done.status, 0, `usufruct ${args.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  return { ...city, folder, typed, run };
}

/** The key files of both offices of a body, as arguments of a command. */
export function keyFiles(city, agency, roles = BOTH) {
  return roles.flatMap((role) => {
    const file = join(city.folder, `${agency}.${role}.json`);
    const { key, seed } = office(city, agency, role);
    writeFileSync(file, JSON.stringify({ agency, key, seed: seed.toString("base64url") }), { mode: 0o600 });
    return ["--key", file];
  });
}

/**
 * Publishes a file with the program itself, signed by both offices of each body; again when the house said something in between, or when
 * what the file names is not in the public log yet, which the program reads.
 */
export async function publish(city, verb, name, text, ...agencies) {
  const file = join(city.folder, `${name}.toml`);
  writeFileSync(file, text);
  const args = [...verb, file, ...agencies.flatMap((agency) => keyFiles(city, agency)), "--data-dir", city.data];
  for (let tries = 0; ; tries += 1) {
    const done = city.typed("", ...args);
    if (done.status === 0) return;
    const isEarly = /dated before the last one|in the register\. Publish it first/.test(done.stderr);
    assert.ok(isEarly && tries < 10, `${args.join(" ")}\n${done.stdout}${done.stderr}`);
    await pause(300);
  }
}

/** The city's law without the days for comments, which no test can wait for: a revision that two offices of the operator sign. */
export async function commentsAtOnce(city) {
  await publish(city, ["publish", "lawpack"], "tw", lawWithoutComments(), "agc_information");
}

/** The law of Taiwan as it ships, without that a draft stands in the log before it is approved. */
export function lawWithoutComments() {
  const whole = readFileSync(join(HERE, "..", "..", "crates", "core", "lawpacks", "tw.toml"), "utf8");
  const rest = whole.replace(/\[\[deadlines\]\]\nduty = "comment_public"[\s\S]*?(?=\[\[)/, "");
  assert.notEqual(rest, whole);
  return rest;
}

/** A mandate file of the city, changed. @param {string} name @param {[RegExp, string][]} changes */
export function mandateFile(name, changes) {
  const folder = [OWN, EXAMPLE].find((one) => existsSync(join(one, "mandates", `${name}.toml`)));
  let text = readFileSync(join(folder, "mandates", `${name}.toml`), "utf8");
  for (const [from, to] of changes) {
    assert.match(text, from);
    text = text.replace(from, to);
  }
  return text;
}

/** The body of an object of the register as it can be published again: what is not set is left out. */
export const plain = ({ body }) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));

/** Registers a service of a body of the city and answers its client. `more` are lines of its statement. */
export async function newService(city, name, { agency, mandates, more = "" }) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x, y } = publicKey.export({ format: "jwk" });
  const redirect = `https://${name}.example.org/callback`;
  await publish(city, ["publish", "service"], name, `agency = "${agency}"
name = { en = "Service ${name}", zh-Hant = "服務 ${name}" }
sector = "${name}"
redirect_uris = ["${redirect}"]
channels = ["card", "counter", "paper", "web"]
mandates = ${JSON.stringify(mandates)}
help = { en = "A service of a drill.", zh-Hant = "演練用服務。" }
alternatives = [{ en = "At the counter", zh-Hant = "臨櫃辦理" }]
${more}
[[jwks]]
kid = "drill"
kty = "EC"
crv = "P-256"
x = "${x}"
y = "${y}"
`, agency);
  return { id: `svc_${name}`, key: createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" })), kid: "drill", redirect, bound: generateKeyPairSync("ec", { namedCurve: "P-256" }) };
}

/** A service of the city with its own token. @returns {Promise<any>} */
export async function client(city, id) {
  const known = typeof id === "string" ? await service(city, id) : id;
  return { ...known, token: await releaseToken(city, known) };
}

/** Somebody new at the counter, with a passkey of her own: the cookie of her browser. */
export const resident = (city) => enrol(city, city.folder);

/**
 * Signs her in to a service; she agrees to all that it needs. Answers the pseudonym by which it knows her, and her tokens with `more`.
 * All the time it waits where the house says that there were too many requests.
 */
export async function signedIn(city, client, cookie, scope) {
  const verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  const { request_uri } = await (await patiently(() => push(city, client, scope, challenge))).json();
  const address = `${city.url}/oidc/authorize?${new URLSearchParams({ client_id: client.id, request_uri })}`;
  const asked = await patiently(() => fetch(address, { headers: { cookie }, redirect: "manual" }));
  const back = new URL(asked.headers.get("location") ?? (await agree(city, address, cookie)));
  const code = back.searchParams.get("code");
  assert.ok(code, back.href);
  const tokens = await (await patiently(() => exchange(city, client, { code, verifier }))).json();
  assert.ok(tokens.id_token, JSON.stringify(tokens));
  return { ...tokens, subject: JSON.parse(Buffer.from(tokens.id_token.split(".")[1], "base64url").toString()).sub };
}

/** The pseudonym by which a service knows her, once she has signed in and agreed. */
export const known = async (...asked) => (await signedIn(...asked)).subject;

/** Her footprint, as she downloads it. */
export async function footprint(city, cookie) {
  const answer = await fetch(`${city.url}/me/footprint.json`, { headers: { cookie } });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

/** The lines of a footprint, opened. */
export const linesOf = (saved) =>
  saved.lines.map((line) => ({ index: line.index, ...(line.event && decodeEvent(Buffer.from(line.event, "base64"))) }));

/** What her own copy of the verifier says of it. */
export const verified = (city, saved) =>
  verifyFootprint({ ...saved, checkpointUrl: `${city.url}/log/checkpoint` }, { fetchBytes });

/** How many entries the public log has. */
export async function publicSize(city) {
  return Number((await (await fetch(`${city.url}/log/checkpoint`)).text()).split("\n")[1]);
}

/** Withdraws her consent on her page. */
export async function withdraw(city, cookie, mandate) {
  const page = await (await fetch(`${city.url}/me/consents`, { headers: { cookie } })).text();
  const body = new URLSearchParams({ form_token: /name="form_token" value="([^"]+)"/.exec(page)[1] });
  const done = await fetch(`${city.url}/me/consents/${mandate}/withdraw`, { method: "POST", headers: { cookie }, body, redirect: "manual" });
  assert.ok(done.status < 400, await done.text());
}

/** Runs Python on the server's own database while the server runs: somebody who has the operator's disk. Prints come back. */
export function onDisk(city, script, ...args) {
  const whole = `import sqlite3, sys, json\ndb = sqlite3.connect(sys.argv[1], timeout=20)\n${script}\ndb.commit()\n`;
  const done = spawnSync("python3", ["-c", whole, join(city.data, "usufruct.db"), ...args], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
}

/** Does `work` for each of `items`, so many at once. */
export async function pool(items, width, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i], i);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** A request again while the answer is that there were too many. */
export async function patiently(ask) {
  for (;;) {
    const answer = await ask();
    if (answer.status !== 429) return answer;
    await pause(1_000 * Number(answer.headers.get("retry-after") ?? 1));
  }
}

export const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
