// What officials of a demo city say in its register: statements signed with their real keys, sent by whoever holds the operator's door.
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { canonical } from "../../verifier/statement.js";

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const TRIES = 12;

/** The offices that sign for a body of the demo city. */
export const BOTH = ["head", "data-protection"];

/** The key of an office, as the demo keeps it. @param {{data: string}} city @param {string} agency @param {string} role */
export function office(city, agency, role) {
  const seed = readFileSync(join(city.data, "keys", `${agency}.${role}.seed`));
  return signer(agency, role, seed);
}

/** A key by its seed. @param {string} agency @param {string} key @param {Buffer} seed 32 bytes */
export function signer(agency, key, seed) {
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
  return { agency, key, seed, secret, public: createPublicKey(secret).export({ format: "jwk" }).x };
}

/** Both offices of a body. @param {{data: string}} city @param {string} agency */
export const offices = (city, agency) => BOTH.map((role) => office(city, agency, role));

/** An object of the register, as everybody reads it. @param {{url: string}} city @param {string} list as `mandates` @param {string} id */
export async function entry(city, list, id) {
  const whole = await (await fetch(`${city.url}/register/${list}.json`)).json();
  return Array.isArray(whole) ? whole.find((one) => one.id === id) : whole[id];
}

/**
 * Publishes a statement that `signers` approve; the body of the first one speaks. A body that is there already gets its next revision.
 * The clock of the house may have said something in between, as it does for a while after a start; then it is signed again.
 * @param {{url: string, data: string}} city
 * @param {{type: string, id: string, body: object, old?: {rev: number, hash: string}, at?: Date}} said
 * @param {ReturnType<typeof office>[]} signers
 * @returns {Promise<{status: number, rules: string[], problems: {field: string, rule: string, message: string}[]}>}
 */
export async function say(city, { type, id, body, old, at }, signers) {
  for (let tries = 0; ; tries += 1) {
    const statement = {
      type, id, rev: (old?.rev ?? 0) + 1, ...(old && { prev: old.hash }),
      at: written(at ?? new Date()), by: signers[0].agency, body,
    };
    const answer = await send(city, [{ ...statement, approvals: signers.map((one) => approval(one, statement)) }]);
    // The one rule that time itself breaks, unless the date was chosen.
    const isLate = !at && answer.rules.includes("at goes-back");
    if (!isLate || tries >= TRIES) return answer;
  }
}

/** Takes a step from one state to another. */
export function step(city, list, object, to, signers) {
  const body = {
    object: object.id, revision: object.hash, from: object.state, to, reason: { en: "It was decided.", "zh-Hant": "經決定。" },
    reason_code: "decision", law: "Rules of the city 1",
  };
  return say(city, { type: "StatusChange", id: `sta_${uuid7()}`, body }, signers);
}

/** A time as statements write it: no zero at the end of its fraction. @param {Date} at */
const written = (at) => at.toISOString().replace(/\.?0+Z$/, "Z");

function approval({ agency, key, secret }, statement) {
  const hash = createHash("sha256").update(canonical(statement)).digest();
  const signature = sign(null, Buffer.concat([Buffer.from("usufruct/approval/v1\n"), hash]), secret);
  return { agency, key, algorithm: "Ed25519", signature: signature.toString("base64url") };
}

async function send(city, statements) {
  const { url, token } = JSON.parse(readFileSync(join(city.data, "console.json"), "utf8"));
  const answer = await fetch(`${url}/console/api/publications`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(statements),
  });
  const { problems = [], detail } = await answer.json();
  const rules = problems.map(({ field, rule }) => `${field} ${rule}`.trim());
  return { status: answer.status, rules, problems, detail };
}

/** An id that sorts by time, as the register gives them. */
function uuid7() {
  const bytes = createHash("sha256").update(`${process.hrtime.bigint()}${Math.random()}`).digest().subarray(0, 16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
