// Two people of the oversight body stop a mandate: the next request is refused, everybody can read why, and the same two let it go on.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { violations } from "../lib/axe.js";
import { openBrowser, openPage } from "../lib/browser.js";
import { demo, program } from "../lib/server.js";
import { release, releaseToken, service, subject } from "../lib/service.js";

const BODY = "agc_oversight";
const MANDATE = "mdt_shopping-festival";

let city;
let browser;
let ask;
let keys;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  browser = await openBrowser();
  const festival = await service(city, "svc_festival");
  const token = await releaseToken(city, festival);
  const known = await subject(city, festival, "wu-chin-tsai", `openid ${MANDATE}`);
  ask = () => release(city, festival, token, { subject: known, mandate: MANDATE, blocks: [{ block: "blk_residence-district", form: "predicate" }], reason: "stamp" });
  const folder = join(city.data, "..", "orders");
  mkdirSync(folder);
  keys = ["head", "data-protection"].map((key) => {
    const file = join(folder, `${key}.json`);
    const seed = readFileSync(join(city.data, "keys", `${BODY}.${key}.seed`)).toString("base64url");
    writeFileSync(file, JSON.stringify({ agency: BODY, key, seed }), { mode: 0o600 });
    return file;
  });
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

/** Publishes what the body says in `text`, signed with these key files. */
function publish(kind, name, text, signers) {
  const file = join(city.data, "..", "orders", `${name}.toml`);
  writeFileSync(file, text);
  const args = ["publish", kind, file, ...signers.flatMap((key) => ["--key", key]), "--data-dir", city.data];
  return spawnSync(program(), args, { encoding: "utf8", env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });
}

const ORDER = `body = "${BODY}"\nkind = "suspend"\ntarget = "${MANDATE}"\nreasons = { en = "Stamps were counted per person.", zh-Hant = "集章紀錄逐人統計。" }\n`;
const LIFT = ORDER.replace('"suspend"', '"lift"').replace("reasons", 'lifts = "ord_stop-festival"\nreasons');

test("one person alone stops nothing", async () => {
  assert.equal((await ask()).status, 200);
  const alone = publish("order", "stop-festival", ORDER, keys.slice(0, 1));
  assert.notEqual(alone.status, 0);
  assert.match(alone.stderr, /roles of `agc_oversight` approved/);
  assert.equal((await ask()).status, 200);
});

test("two people stop it at once, and the order is public", async () => {
  const given = publish("order", "stop-festival", ORDER, keys);
  assert.equal(given.status, 0, given.stderr);
  const refused = await ask();
  assert.equal(refused.status, 403);
  assert.deepEqual((await refused.json()).clauses.map(({ clause }) => clause), ["order"]);

  const { page, problems, context } = await openPage(browser, { lang: "en", baseURL: city.url });
  for (const path of ["/register/orders", "/register/orders/ord_stop-festival", `/register/mandates/${MANDATE}`, "/oversight", `/oversight/${BODY}`]) {
    assert.equal((await page.goto(path)).status(), 200, path);
    assert.deepEqual(await violations(page), [], path);
  }
  await page.goto(`/oversight/${BODY}`);
  await page.getByRole("link", { name: "Suspend: " }).first().click();
  await page.getByText("Stamps were counted per person.").waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("minutes stand beside it, and the lift of the same body lets uses go on", async () => {
  const minutes = `body = "${BODY}"\ntitle = { en = "Eighth meeting", zh-Hant = "第八次會議" }\nheld_at = "${new Date(Date.now() - 60_000).toISOString().replace(/\.\d+/, "")}"
[[agenda]]\ntext = { en = "The festival.", zh-Hant = "購物節。" }
[[attendance]]\noffice = { en = "Chair", zh-Hant = "主席" }\npart = "chair"
[[decisions]]\ntext = { en = "It is stopped.", zh-Hant = "予以暫停。" }\norders = ["ord_stop-festival"]
[[decisions.dissent]]\noffice = { en = "Member for trade", zh-Hant = "商業委員" }\nreasons = { en = "Shops lose income.", zh-Hant = "商家減少收入。" }\n`;
  const met = publish("meeting", "eighth", minutes, keys);
  assert.equal(met.status, 0, met.stderr);
  const page = await (await fetch(`${city.url}/register/meetings/mtg_eighth`, { headers: { cookie: "lang=en" } })).text();
  assert.ok(page.includes("Shops lose income.") && page.includes("/register/orders/ord_stop-festival"));

  assert.equal((await ask()).status, 403);
  const lifted = publish("order", "lift-the-stop", LIFT, keys);
  assert.equal(lifted.status, 0, lifted.stderr);
  assert.equal((await ask()).status, 200);
});
