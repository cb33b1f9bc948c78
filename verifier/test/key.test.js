// The footprint key: wraps against vectors that another program computed, and what must not open.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { codeHash, freshCode, isOwnCode, keyOfCode, keyOfPasskey, prfSalt, signInPart, toBase64url, base64url, unwrap, wrap } from "../key.js";
import { fromHex } from "./support.js";

const { passkeys, codes } = JSON.parse(readFileSync(new URL("../../vectors/vault/footprint-key.json", import.meta.url), "utf8"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const placeOf = (wrapped) =>
  wrapped.credential
    ? { pass: fromHex(wrapped.pass), means: "passkey", id: fromHex(wrapped.credential) }
    : { pass: fromHex(wrapped.pass), means: "code", id: fromHex(wrapped.hash) };
const keyOf = (wrapped) => (wrapped.credential ? keyOfPasskey(fromHex(wrapped.prf_output)) : keyOfCode(wrapped.code));

test("a passkey is asked for what the vectors say", async () => {
  for (const vector of passkeys) assert.equal(hex(await prfSalt(fromHex(vector.pass))), vector.prf_salt);
});

test("a code has the form, the part that signs in, and the hash that the vectors say", async () => {
  for (const vector of codes) {
    assert.equal(freshCode(fromHex(vector.random)), vector.code);
    assert.ok(isOwnCode(vector.code) && !isOwnCode(vector.sign_in_part));
    assert.equal(await signInPart(vector.code), vector.sign_in_part);
    const typed = vector.code.toLowerCase().replaceAll("-", " ");
    assert.equal(await signInPart(` ${typed} `), vector.sign_in_part);
    assert.equal(hex(await codeHash(typed)), vector.hash);
  }
});

for (const [i, vector] of [...passkeys, ...codes].entries()) {
  test(`wrap ${i}: it is the one of the vectors, and opens`, async () => {
    const sealed = await wrap(fromHex(vector.key), await keyOf(vector), placeOf(vector), fromHex(vector.nonce));
    assert.equal(hex(sealed), vector.wrap);
    assert.equal(hex(await unwrap(fromHex(vector.wrap), await keyOf(vector), placeOf(vector))), vector.key);
  });

  test(`wrap ${i}: it opens in no other place and with no other key`, async () => {
    const [sealed, place, key] = [fromHex(vector.wrap), placeOf(vector), await keyOf(vector)];
    const other = new Uint8Array(place.id);
    other[other.length - 1] ^= 1;
    const pass = new Uint8Array(place.pass);
    pass[0] ^= 1;
    const means = place.means === "passkey" ? "code" : "passkey";
    for (const wrong of [{ ...place, id: other }, { ...place, pass }, { ...place, means }]) await assert.rejects(unwrap(sealed, key, wrong));
    for (const another of [...passkeys, ...codes]) {
      if (another === vector) continue;
      await assert.rejects(unwrap(sealed, await keyOf(another), place), "the key of another");
      await assert.rejects(unwrap(fromHex(another.wrap), key, place), "the wrap of another");
    }
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = new Uint8Array(sealed);
      changed[at] ^= 1;
      await assert.rejects(unwrap(changed, key, place), `byte ${at}`);
    }
    for (const wrong of [sealed.slice(0, -1), new Uint8Array([...sealed, 0]), new Uint8Array(), new Uint8Array(93)]) {
      await assert.rejects(unwrap(wrong, key, place));
    }
  });
}

test("a wrapping key can be used and not read", async () => {
  for (const key of [await keyOf(passkeys[0]), await keyOf(codes[0])]) {
    assert.equal(key.extractable, false);
    await assert.rejects(crypto.subtle.exportKey("raw", key));
  }
});

test("only what has the right length is used", async () => {
  const key = await keyOf(passkeys[0]);
  for (const length of [0, 32, 63, 65]) await assert.rejects(wrap(new Uint8Array(length), key, placeOf(passkeys[0])));
  for (const length of [0, 16, 31, 33, 64]) await assert.rejects(keyOfPasskey(new Uint8Array(length)));
  for (const code of ["", "ABCD-EFGH", codes[0].sign_in_part, `${codes[0].code}A`]) await assert.rejects(keyOfCode(code));
  await assert.rejects(signInPart(codes[0].sign_in_part));
});

test("the same key is never wrapped to the same bytes, and no two codes are alike", async () => {
  const [key, place] = [await keyOf(passkeys[0]), placeOf(passkeys[0])];
  const wraps = await Promise.all(Array.from({ length: 8 }, async () => hex(await wrap(new Uint8Array(64), key, place))));
  assert.equal(new Set(wraps).size, 8);
  const made = Array.from({ length: 200 }, () => freshCode());
  assert.equal(new Set(made).size, 200);
  assert.ok(made.every((code) => /^([A-HJ-NP-Z2-9]{4}-){7}[A-HJ-NP-Z2-9]{4}$/.test(code)), made[0]);
});

test("base64url in both directions, and nothing else", () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 97 + length * 31) & 255);
    assert.equal(toBase64url(bytes), Buffer.from(bytes).toString("base64url"));
    assert.deepEqual(base64url(toBase64url(bytes)), bytes);
  }
  for (const wrong of ["+A", "AA==", "A A", "é"]) assert.throws(() => base64url(wrong));
});
