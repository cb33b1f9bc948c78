// One provider as a service meets it: the same request goes to each, and what comes back is a word.
import { createHash } from "node:crypto";
import { assertion, proof } from "../lib/service.js";

const TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const VERIFIER = "a-verifier-of-at-least-forty-three-characters";
export const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");

export class Target {
  /**
   * @param {{url: string, paths: Record<string, string>}} provider
   * @param {object} client who asks @param {object} other a service with a key of the same kind
   * @param {(address: string) => Promise<string>} walk her browser @param {() => (address: string) => Promise<string>} another a browser of nobody
   * @param {"fapi2" | "oidc" | "page"} kind how it asks: pushed and proven, by assertion alone, or without a key
   */
  constructor({ url, paths }, client, other, walk, another, kind) {
    Object.assign(this, { url, paths, client, other, walk, another, kind });
  }

  /** The same, with a browser in which nobody is signed in. */
  ofNobody() {
    return new Target(this, this.client, this.other, this.another(), this.another, this.kind);
  }

  address(name) {
    return `${this.url}${this.paths[name]}`;
  }

  assertion(claims, header, client = this.client) {
    return assertion({ url: this.url }, client, claims, header);
  }

  proof(method, name, token, claims, header, client = this.client) {
    return proof(client, method, this.address(name), token, claims, header);
  }

  /** Posts a form with what its kind of service shows, or without where that is null. Pairs may repeat. */
  async post(name, form, { given = this.kind === "page" ? null : this.assertion(), dpop = this.kind === "fapi2" ? this.proof("POST", name) : null } = {}) {
    const body = new URLSearchParams(Array.isArray(form) ? form : Object.entries(form).filter(([, value]) => value !== undefined));
    if (given !== null) [["client_assertion_type", TYPE], ["client_assertion", given]].forEach(([key, value]) => body.append(key, value));
    if (this.kind === "page" && !body.has("client_id")) body.append("client_id", this.client.id);
    const headers = new Headers();
    for (const one of [dpop].flat()) if (one !== null) headers.append("dpop", one);
    return fetch(this.address(name), { method: "POST", headers, body });
  }

  ask(change = {}) {
    return {
      response_type: "code", client_id: this.client.id, redirect_uri: this.client.redirect, scope: "openid", state: "s", nonce: "n",
      code_challenge: CHALLENGE, code_challenge_method: "S256", ...change,
    };
  }

  /** The address for the browser of a plain request. */
  begun(change) {
    const asked = Object.entries(this.ask(change)).filter(([, value]) => value !== undefined);
    return `${this.address("authorize")}?${new URLSearchParams(asked)}`;
  }

  /** The address for the browser of a pushed request. */
  async pushed(change, client = this.client.id) {
    const { request_uri } = await (await this.post("par", this.ask(change))).json();
    return `${this.address("authorize")}?${new URLSearchParams({ client_id: client, request_uri })}`;
  }

  async code(change) {
    const back = await this.walk(this.kind === "fapi2" ? await this.pushed(change) : this.begun(change));
    return new URL(back).searchParams.get("code");
  }

  form(code, change = {}) {
    return { grant_type: "authorization_code", code, redirect_uri: this.client.redirect, code_verifier: VERIFIER, ...change };
  }

  async tokens() {
    return (await this.post("token", this.form(await this.code()))).json();
  }
}

/** Status and error of an answer over a service's own line. */
export async function outcome(answer) {
  const text = await answer.text();
  let error = /error="([^"]+)"/.exec(answer.headers.get("www-authenticate") ?? "")?.[1];
  try {
    error = JSON.parse(text).error ?? error;
  } catch {
    // Not JSON: the status says it.
  }
  return [answer.status, error].filter(Boolean).join(" ");
}

/**
 * What the browser is led to. A page that asks her to sign in, or a code once she did, is `again` where that is given: one provider
 * signs her in by itself, the other waits for her passkey.
 */
export async function led(target, address, again) {
  const back = await target.walk(address);
  const isOwn = [target.client, target.other].some(({ redirect, out }) => back.startsWith(redirect) || (out && back.startsWith(out)));
  if (!isOwn) return again && back === "200" ? again : `page ${back}`;
  // Some answers come in the fragment.
  const { search, hash } = new URL(back);
  const found = new URLSearchParams(search.length > 1 ? search : hash.slice(1));
  if (target.client.out && back.startsWith(target.client.out)) return `led out${found.get("state") ? " with state" : ""}`;
  if (again && found.get("code")) return again;
  return `led ${found.get("error") ?? (found.get("code") ? "code" : "nothing")}${found.get("iss") === target.url ? "" : " without iss"}`;
}
