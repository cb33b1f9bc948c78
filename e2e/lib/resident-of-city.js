// A resident of a real city: the clerk's code, a software passkey, and the session of her browser.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SoftPasskey } from "./soft-passkey.js";

/** Enrols somebody and signs her in; answers the session cookie. @param {{url: string, data: string, run: Function}} city @param {string} dir */
export async function enrol(city, dir) {
  const person = join(dir, "person.toml");
  writeFileSync(person, '[blocks]\nblk_name = "Test Person"\n');
  const slip = city.run("enrol", person, "--data-dir", city.data);
  const code = /[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}/.exec(slip)?.[0];
  assert.ok(code, slip);
  const passkey = new SoftPasskey(city.url);
  let browser = "";
  const send = async (path, body) => {
    const headers = { "content-type": "application/json", cookie: browser };
    const answer = await fetch(`${city.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.clone().text());
    if (path.endsWith("/start")) browser = answer.headers.getSetCookie()[0].split(";")[0];
    return answer;
  };
  const start = await (await send("/webauthn/register/start", { code })).json();
  await send("/webauthn/register/finish", { ceremony: start.ceremony, credential: passkey.create(start.options), label: "test" });
  const again = await (await send("/webauthn/sign-in/start", {})).json();
  const signed = await send("/webauthn/sign-in/finish", { ceremony: again.ceremony, credential: passkey.get(again.options), next: "/me" });
  return signed.headers.getSetCookie()[0].split(";")[0];
}
