// @ts-check
// The desk of officials: making a passkey that the register can name, signing in with it, and approving what the page shows and nothing
// else. The hashes are computed here from the JSON that stands on the page, so a server that shows one statement and has another one
// signed would have to serve another script; which scripts it serves stands in the log.
import { concat, hex, need, utf8 } from "./log/bytes.js";
import { sha256 } from "./log/tree.js";
import { canonical } from "./statement.js";
import { base64url, challengeOf, toBase64url } from "./webauthn.js";

const [ES256, EDDSA] = [-7, -8];
/** Bytes of a public key at the end of its SubjectPublicKeyInfo. */
const KEY_BYTES = { [ES256]: 65, [EDDSA]: 32 };

/**
 * The hash of a statement as it stands on the page. The text must be the one form of it, so that nothing can be read there that is not
 * hashed: no name twice, no space for another view.
 * @param {string} shown @param {string} stated hex
 */
export async function hashOfShown(shown, stated) {
  const statement = JSON.parse(shown);
  need(JSON.stringify(statement, null, 2) === shown && !("approvals" in statement), "other-hash");
  const hash = await sha256(utf8(canonical(statement)));
  need(hex(hash) === stated, "other-hash");
  return hash;
}

/**
 * The entry of a passkey in an agency's file.
 * @param {{id: string, role: string, holder: string, host: string, origin: string}} about
 * @param {{credential: Uint8Array, spki: Uint8Array, algorithm: number}} made
 */
export function entryOf({ id, role, holder, host, origin }, { credential, spki, algorithm }) {
  const length = KEY_BYTES[algorithm];
  need(length && spki.length > length, "algorithm");
  const webauthn = { algorithm: algorithm === ES256 ? "ES256" : "EdDSA", credential: toBase64url(credential), rp_id: host };
  const lines = Object.entries({ id, role, public: toBase64url(spki.subarray(-length)), ...(holder && { holder }) });
  const inner = [...Object.entries(webauthn).map(([name, value]) => `${name} = "${value}"`), `origins = ["${origin}"]`];
  return `[[signing_keys]]\n${lines.map(([name, value]) => `${name} = "${value}"\n`).join("")}webauthn = { ${inner.join(", ")} }\n`;
}

/** @param {HTMLFormElement} form */
async function makeKey(form) {
  const value = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name)).value.trim();
  const { host = "", origin = "" } = form.dataset;
  const [agency, id, role, holder] = ["agency", "name", "role", "holder"].map(value);
  const random = () => crypto.getRandomValues(new Uint8Array(32));
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.create({
    publicKey: {
      challenge: random(),
      rp: { id: host, name: host },
      user: { id: random(), name: `${agency} ${id}`, displayName: `${agency} ${id}` },
      pubKeyCredParams: [ES256, EDDSA].map((alg) => ({ type: "public-key", alg })),
      // Sign-in asks for no name, so the device must find the passkey by itself; and whoever touches it must be its owner.
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
    },
  }));
  const response = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  const spki = response.getPublicKey();
  need(spki, "algorithm");
  const bytes = { credential: new Uint8Array(made.rawId), spki: new Uint8Array(spki), algorithm: response.getPublicKeyAlgorithm() };
  const section = /** @type {HTMLElement} */ (document.querySelector("[data-entry]"));
  /** @type {HTMLElement} */ (section.querySelector("[data-toml]")).textContent = entryOf({ id, role, holder, host, origin }, bytes);
  section.hidden = false;
  section.querySelector("h2")?.focus();
}

/** @param {PublicKeyCredentialRequestOptions} publicKey */
async function ask(publicKey) {
  const credential = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey }));
  const { authenticatorData, clientDataJSON, signature } = /** @type {AuthenticatorAssertionResponse} */ (credential.response);
  const [authenticator_data, client_data, signed] = [authenticatorData, clientDataJSON, signature].map((part) => toBase64url(new Uint8Array(part)));
  return { credential: toBase64url(new Uint8Array(credential.rawId)), answer: { authenticator_data, client_data, signature: signed } };
}

async function signIn() {
  const { ceremony, options } = await post("/officials/sign-in/start", {});
  const said = await ask({ ...options, challenge: base64url(options.challenge) });
  location.assign((await post("/officials/sign-in/finish", { ceremony, ...said })).next);
}

/** @param {HTMLFormElement} form */
async function approve(form) {
  const { id = "", token, host, credential = "" } = form.dataset;
  const shown = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-statement]")]);
  const hashes = await Promise.all(shown.map((one) => hashOfShown(one.textContent ?? "", one.dataset.statement ?? "")));
  const challenge = await challengeOf(hashes);
  const { answer } = await ask({
    challenge: concat(challenge), rpId: host, allowCredentials: [{ type: "public-key", id: base64url(credential) }], userVerification: "required",
  });
  const among = hashes.length > 1 ? hashes.map(hex) : [];
  location.assign((await post(`/officials/proposals/${encodeURIComponent(id)}/approvals`, { form_token: token, answer, among })).next);
}

/** @param {string} path @param {unknown} body */
async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

const ACTS = { key: makeKey, "sign-in": signIn, approve };

for (const form of /** @type {Iterable<HTMLFormElement>} */ (globalThis.document?.querySelectorAll("form[data-official]") ?? [])) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = /** @type {HTMLElement} */ (form.querySelector("[data-status]"));
    const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
    status.textContent = form.dataset.working ?? "";
    button.disabled = true;
    try {
      await ACTS[/** @type {keyof typeof ACTS} */ (form.dataset.official)](form);
      status.textContent = "";
    } catch (error) {
      const isOther = error instanceof Error && "code" in error && error.code === "other-hash";
      const detail = error instanceof Error && !(error instanceof TypeError) && error.name === "Error" ? error.message : "";
      status.textContent = isOther ? form.dataset.other ?? "" : `${form.dataset.failed} ${detail}`;
    }
    button.disabled = false;
  });
}
