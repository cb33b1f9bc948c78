// Approvals by key files and passkeys, as the shared vectors say they hold or not.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { Broken } from "../log/bytes.js";
import { isApproved } from "../statement.js";
import { verifyPasskey } from "../webauthn.js";
import { fromHex } from "./support.js";

const FOLDER = new URL("../../vectors/approvals/", import.meta.url);
const cases = readdirSync(FOLDER).filter((name) => name.endsWith(".json")).map((name) => [name, JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"))]);

for (const [name, { expect, why, hash, key, approval, flaw }] of cases) {
  test(`${name}: ${why}`, async () => {
    assert.equal(await isApproved(approval, key, fromHex(hash)).catch(() => false), expect === "accept");
    if (!key.webauthn) return;
    const error = await verifyPasskey(approval, key, fromHex(hash)).then(() => undefined, (error) => error);
    // What is no text or no key at all is said by the platform.
    if (error instanceof Broken || !error) assert.equal(error?.code, flaw);
  });
}

test("there are enough of them", () => assert.ok(cases.filter(([, { expect }]) => expect === "refuse").length >= 70 && cases.length >= 90));
