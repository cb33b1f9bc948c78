// The desk of officials: what is hashed is what is shown, and the entry of a passkey is its own.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { Broken } from "../log/bytes.js";
import { entryOf, hashOfShown } from "../officials-page.js";
import { canonical } from "../statement.js";

test("what is shown is what is hashed, in one form", async () => {
  const statement = { at: "2026-01-01T00:00:00Z", body: { list: [], title: { en: "A", "zh-Hant": "甲" } }, by: "agc_a", id: "mdt_a", rev: 1, type: "Mandate" };
  const stated = createHash("sha256").update(canonical(statement)).digest("hex");
  const shown = JSON.stringify(statement, null, 2);
  assert.equal(Buffer.from(await hashOfShown(shown, stated)).toString("hex"), stated);
  for (const [other, hash] of [
    [shown.replace('"A"', '"B"'), stated],
    [shown, stated.replace(/^./, (c) => (c === "0" ? "1" : "0"))],
    // A name twice: the reader sees the first, the hash has the last.
    [shown.replace('"by":', '"by": "agc_b",\n  "by":'), stated],
    [`${shown}\n`, stated],
    [JSON.stringify(statement), stated],
    [JSON.stringify({ approvals: [], ...statement }, null, 2), createHash("sha256").update(canonical({ approvals: [], ...statement })).digest("hex")],
  ]) await assert.rejects(hashOfShown(other, hash), (error) => error instanceof Broken && error.code === "other-hash");
});

test("the entry of a passkey is the end of what the device says of its key", () => {
  const about = { id: "head-phone", role: "head", holder: "", host: "pass.example.org", origin: "https://pass.example.org" };
  for (const [algorithm, name, pair] of [[-7, "ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })], [-8, "EdDSA", generateKeyPairSync("ed25519")]]) {
    const jwk = pair.publicKey.export({ format: "jwk" });
    const spki = new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" }));
    const entry = entryOf(about, { credential: Uint8Array.of(1, 2), spki, algorithm });
    const raw = Buffer.concat(jwk.y ? [Buffer.of(4), ...["x", "y"].map((part) => Buffer.from(jwk[part], "base64url"))] : [Buffer.from(jwk.x, "base64url")]);
    assert.equal(entry, `[[signing_keys]]
id = "head-phone"
role = "head"
public = "${raw.toString("base64url")}"
webauthn = { algorithm = "${name}", credential = "AQI", rp_id = "pass.example.org", origins = ["https://pass.example.org"] }
`);
    assert.match(entryOf({ ...about, holder: "the-head" }, { credential: Uint8Array.of(1), spki, algorithm }), /\nholder = "the-head"\n/);
  }
  assert.throws(() => entryOf(about, { credential: Uint8Array.of(1), spki: new Uint8Array(90), algorithm: -257 }));
});
