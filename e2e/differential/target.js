// One provider as a service meets it: the same request goes to each, and what comes back is a word.
import { createHash } from "node:crypto";
import { assertion, proof } from "../lib/service.js";

const TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const VERIFIER = "a-verifier-of-at-least-forty-three-characters";
export const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");

export class Target {
  /** @param {{url: string, paths: Record<string, string>}} provider @param {object} client @param {object} other @param {(address: string) => Promise<string>} walk */
  constructor({ url, paths }, client, other, walk) {
    Object.assign(this, { url, paths, client, other, walk });
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

  /** Posts a form with an assertion and a proof, or without where they are null. Pairs may repeat. */
  async post(name, form, { given = this.assertion(), dpop = this.proof("POST", name) } = {}) {
    const body = new URLSearchParams(Array.isArray(form) ? form : Object.entries(form).filter(([, value]) => value !== undefined));
    if (given !== null) [["client_assertion_type", TYPE], ["client_assertion", given]].forEach(([key, value]) => body.append(key, value));
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

  /** The address for the browser of a pushed request. */
  async pushed(change, client = this.client.id) {
    const { request_uri } = await (await this.post("par", this.ask(change))).json();
    return `${this.address("authorize")}?${new URLSearchParams({ client_id: client, request_uri })}`;
  }

  async code(change) {
    return new URL(await this.walk(await this.pushed(change))).searchParams.get("code");
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

/** What the browser is led to. */
export async function led(target, address) {
  const back = await target.walk(address);
  if (!back.startsWith(target.client.redirect) && !back.startsWith(target.other.redirect)) return `page ${back}`;
  const found = new URL(back).searchParams;
  return `led ${found.get("error") ?? (found.get("code") ? "code" : "nothing")}${found.get("iss") === target.url ? "" : " without iss"}`;
}
