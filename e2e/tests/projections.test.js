// A revision of a mandate is one thing: its page, its exports, the receipt of a consent and the lines of a footprint name the same hash
// (invariant 11). And the name of an official stands nowhere: a line has a commitment, which only who knows the name can open (invariant 14).
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { footprint, linesOf } from "../lib/drill.js";
import { demo } from "../lib/server.js";
import { release, releaseToken, service, signIn, subject } from "../lib/service.js";
import { entry } from "../lib/statement.js";

const MANDATE = "mdt_library-card";
const PERSONA = "wu-chin-tsai";
const OFFICIAL = "Official Lin Mei-hua, desk 4711";

let city;
let cookie;
let lines;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  const library = await service(city, "svc_library");
  const token = await releaseToken(city, library);
  const known = await subject(city, library, PERSONA, `openid ${MANDATE}`);
  const asked = { subject: known, mandate: MANDATE, blocks: [{ block: "blk_name", form: "value" }], reason: "new-card", actor: OFFICIAL };
  const answer = await release(city, library, token, asked);
  assert.equal(answer.status, 200, await answer.clone().text());
  cookie = await signIn(city, PERSONA);
  lines = linesOf(await footprint(city, cookie)).filter(({ kind, service }) => ["consent", "use"].includes(kind) && service === "svc_library");
});

after(async () => city?.stop());

const page = async (path) => {
  const answer = await fetch(`${city.url}${path}`, { headers: { cookie: `${cookie}; lang=en`, accept: "*/*" } });
  assert.equal(answer.status, 200, path);
  return answer.text();
};

test("page, exports, receipt and lines of a mandate name one hash", async () => {
  const { hash } = await entry(city, "mandates", MANDATE);
  assert.match(hash, /^[0-9a-f]{64}$/);
  for (const suffix of ["", ".json", ".jsonld", ".odrl.jsonld", "/notice", "/notice.json"]) {
    assert.ok((await page(`/register/mandates/${MANDATE}${suffix}`)).includes(hash), `${suffix || "the page"} names another revision`);
  }
  const newest = (kind) => lines.filter((line) => line.kind === kind).at(-1);
  for (const line of [newest("consent"), newest("use")]) assert.equal(Buffer.from(line.mandate).toString("hex"), hash, line.kind);
  const receipt = JSON.parse(Buffer.from((await page(`/me/footprint/${newest("consent").n}/receipt`)).split(".")[1], "base64url"));
  assert.ok(JSON.stringify(receipt).includes(hash), "the receipt names another revision");
});

test("an official's name is in no line, no page and no file of the operator", async () => {
  const { actor } = lines.filter(({ kind }) => kind === "use").at(-1);
  assert.equal(actor.length, 32);
  // Who guesses the name has to guess the salt as well; made of the name alone, under the label of today or of before, it is another one.
  for (const key of [OFFICIAL, ""]) {
    for (const label of ["usufruct/actor/v1", "usufruct/officer/v1"]) {
      const guess = createHmac("sha256", key).update(label).update("svc_library").update(key ? "" : OFFICIAL).digest();
      assert.notDeepEqual(Buffer.from(actor), guess, "who guesses the name sees that it was right");
    }
  }
  assert.ok(!(await page("/me/footprint")).includes(OFFICIAL));
  assert.ok(!city.output().includes(OFFICIAL));
  let files = 0;
  const search = (folder) => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const kind = statSync(path);
      if (kind.isDirectory()) search(path);
      else if (kind.isFile()) {
        files += 1;
        assert.ok(!readFileSync(path).includes("Lin Mei-hua"), path);
      }
    }
  };
  search(city.data);
  assert.ok(files > 10, `${files} files`);
});
