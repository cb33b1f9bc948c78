// @ts-check
// The footprint key on the page of devices: a passkey or a code wraps it, and opens it again to check the footprint with it. The page
// says all words in attributes of #footprint-key. What a passkey or a code gives stays in the memory of this page.
import { fetchBytes } from "./fetch.js";
import { verifyFootprint } from "./footprint.js";
import { equal } from "./log/bytes.js";
import { openFootprint } from "./sealed.js";
import { base64url, codeHash, isOwnCode, keyOfCode, keyOfPasskey, prfSalt, toBase64url, unwrap, wrap } from "./key.js";

/** @import {SealedFootprint} from "./sealed.js" */
/** @typedef {{id: string, sealed: string}} Wrap base64url */
/** @typedef {{passkeys: Wrap[], codes: Wrap[]}} Wraps */

/** A line is public a second after it was written; so often the log is looked at again. */
const RECHECKS = 20;
const RECHECK_AFTER_MILLIS = 1000;

/** A reason that the page has words for, in an attribute `data-text-` with its code. */
export class Told extends Error {}

/**
 * What the footprint key is, from the copy that the vault holds. The session must have shown its passkey just now.
 * @param {string} formToken
 */
export async function keyFromVault(formToken) {
  const { key } = await (await send("/me/account/footprint-key", { form_token: formToken })).json();
  return base64url(key);
}

/** Sends a form. @param {string} path @param {Record<string, string>} fields */
export async function send(path, fields) {
  const headers = { accept: "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: new URLSearchParams(fields), redirect: "manual" });
  if (response.ok) return response;
  throw await complaint(response);
}

/** Whoever has not shown a passkey lately is told so, and anything else in the words of the server. @param {Response} response */
async function complaint(response) {
  if (response.status === 401 || response.type === "opaqueredirect") return new Told("stale");
  return detailed(response);
}

/** @param {Response} response */
const detailed = async (response) => new Error((await response.json().catch(() => null))?.detail ?? "");

/** @param {string} path */
async function get(path) {
  const response = await fetch(path, { headers: { accept: "application/json" }, cache: "no-store", redirect: "manual" });
  if (!response.ok) throw await complaint(response);
  return response.json();
}

/** @param {string} path @param {unknown} body */
async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) throw await detailed(response);
  return response.json();
}

/**
 * Lets one of these passkeys prove itself. `output` is what it evaluates for the pass; `proof` is what the server may have, which
 * holds nothing of it.
 * @param {Uint8Array} pass @param {string[]} ids
 */
async function ask(pass, ids) {
  const start = await post("/webauthn/sign-in/start", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(start.options);
  publicKey.allowCredentials = ids.map((id) => ({ type: "public-key", id: source(base64url(id)) }));
  publicKey.extensions = { ...publicKey.extensions, prf: { eval: { first: source(await prfSalt(pass)) } } };
  const credential = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey }));
  const first = credential.getClientExtensionResults().prf?.results?.first;
  if (!first) throw new Told("no-prf");
  const output = ArrayBuffer.isView(first) ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength) : new Uint8Array(first);
  return { id: credential.id, output, proof: { ceremony: start.ceremony, credential: { ...credential.toJSON(), clientExtensionResults: {} } } };
}

/** Wraps the key under a passkey, and stores the wrap. @param {Uint8Array} pass @param {string} id @param {string} formToken */
async function keep(pass, id, formToken) {
  const { output, proof } = await ask(pass, [id]);
  const wrappingKey = await keyOfPasskey(output);
  output.fill(0);
  await post("/webauthn/sign-in/finish", { ...proof, next: "" });
  const key = await keyFromVault(formToken);
  const sealed = await wrap(key, wrappingKey, { pass, means: "passkey", id: base64url(id) });
  key.fill(0);
  await send("/me/account/footprint-key/keep", { form_token: formToken, credential: id, sealed: toBase64url(sealed) });
}

/** @param {Uint8Array} pass @returns {Promise<Uint8Array>} */
async function openWithPasskey(pass) {
  /** @type {Wraps} */
  const { passkeys } = await get("/me/account/footprint-key");
  if (passkeys.length === 0) throw new Told("no-wrap");
  const { id, output } = await ask(pass, passkeys.map((wrap) => wrap.id));
  const found = passkeys.find((wrap) => wrap.id === id);
  if (!found) throw new Told("no-wrap");
  const wrappingKey = await keyOfPasskey(output);
  output.fill(0);
  return opened(unwrap(base64url(found.sealed), wrappingKey, { pass, means: "passkey", id: base64url(id) }));
}

/** The code is not used up by this, and not sent. @param {Uint8Array} pass @param {string} code @returns {Promise<Uint8Array>} */
async function openWithCode(pass, code) {
  if (!isOwnCode(code)) throw new Told("no-wrap");
  const hash = await codeHash(code);
  /** @type {Wraps} */
  const { codes } = await get("/me/account/footprint-key");
  const found = codes.find((wrap) => equal(base64url(wrap.id), hash));
  if (!found) throw new Told("no-wrap");
  return opened(unwrap(base64url(found.sealed), await keyOfCode(code), { pass, means: "code", id: hash }));
}

/** @param {Promise<Uint8Array>} opening */
const opened = (opening) =>
  opening.catch(() => {
    throw new Told("changed");
  });

/**
 * Opens the lines with this key and checks them against the log, with nothing that the server says about them.
 * @param {Uint8Array} key
 */
async function check(key) {
  /** @type {SealedFootprint} */
  const sealed = await get("/me/footprint/sealed");
  const footprint = await openFootprint(sealed, key);
  key.fill(0);
  for (let round = 0; ; round += 1) {
    const result = await verifyFootprint(footprint, { fetchBytes });
    if (result.state !== "pending" || round === RECHECKS) return result;
    await new Promise((resolve) => setTimeout(resolve, RECHECK_AFTER_MILLIS));
  }
}

/** @param {Document} page */
export function run(page) {
  const section = page.getElementById("footprint-key");
  if (!section || !globalThis.crypto?.subtle || !globalThis.PublicKeyCredential) return;
  const pass = base64url(section.dataset.pass ?? "");
  const formToken = section.dataset.token ?? "";
  const status = /** @type {HTMLElement} */ (section.querySelector("[data-key-status]"));
  const say = (/** @type {string} */ state, /** @type {string} */ words) => {
    status.dataset.keyStatus = state;
    status.textContent = words;
  };
  const words = (/** @type {string} */ name) => section.getAttribute(`data-text-${name}`) ?? "";

  /** @param {() => Promise<void>} task */
  async function attempt(task) {
    say("working", words("working"));
    try {
      await task();
    } catch (error) {
      const known = error instanceof Told ? words(error.message) : "";
      const said = error instanceof Error && !(error instanceof TypeError) && !(error instanceof DOMException) ? error.message : "";
      say("failed", known || [words("failed"), said].filter(Boolean).join(" "));
    }
  }

  /** @param {Uint8Array} key */
  async function tell(key) {
    const { lines, state, reason, search } = await check(key);
    const count = (/** @type {string} */ state) => lines.filter((line) => line.state === state).length;
    const numbers = { lines: lines.length, verified: count("verified"), broken: count("broken") };
    const why = [reason, ...(search?.findings ?? [])].flatMap((finding) => (finding ? (section?.getAttribute(`data-reason-${finding.code}`) ?? finding.text) : []));
    const said = words(state).replace(/\{(\w+)\}/g, (place, name) => String(numbers[/** @type {keyof typeof numbers} */ (name)] ?? place));
    say(state, [said, ...why].join(" "));
  }

  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (page.querySelectorAll("button[data-keep]"))) {
    button.hidden = false;
    button.addEventListener("click", () =>
      attempt(async () => {
        await keep(pass, button.dataset.keep ?? "", formToken);
        location.reload();
      }),
    );
  }
  const openers = /** @type {HTMLElement | null} */ (section.querySelector("[data-openers]"));
  if (openers) openers.hidden = false;
  section.querySelector("[data-open]")?.addEventListener("click", () => attempt(async () => tell(await openWithPasskey(pass))));
  section.querySelector("form[data-open-code]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (section.querySelector("#footprint-key-code"));
    const code = field.value;
    field.value = "";
    attempt(async () => tell(await openWithCode(pass, code)));
  });
}

/** @param {Uint8Array} bytes */
const source = (bytes) => /** @type {BufferSource} */ (bytes);

if (typeof document !== "undefined") run(document);
