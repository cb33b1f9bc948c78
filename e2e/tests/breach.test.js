// A laptop is lost: two people open the breach, its clocks are public at once, the resident is told in her footprint, and two people close it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { overflow, violations } from "../lib/axe.js";
import { openBrowser, openPage } from "../lib/browser.js";
import { agree, checked, enrolled, read } from "../lib/resident.js";
import { demo, program } from "../lib/server.js";

const BODY = "agc_library";
const BREACH = "brc_lost-laptop";

let city;
let browser;
let keys;
let folder;
let resident;

before(async () => {
  city = await demo({ residents: 5, database: process.env.USUFRUCT_E2E_DATABASE });
  browser = await openBrowser();
  folder = join(city.data, "..", "breach");
  mkdirSync(folder);
  keys = ["head", "data-protection"].map((key) => {
    const file = join(folder, `${key}.json`);
    const seed = readFileSync(join(city.data, "keys", `${BODY}.${key}.seed`)).toString("base64url");
    writeFileSync(file, JSON.stringify({ agency: BODY, key, seed }), { mode: 0o600 });
    return file;
  });
  resident = await enrolled(browser, city);
  await agree(city, resident.page);
  await read(city, resident.page);
});

after(async () => {
  await browser?.close();
  await city?.stop();
});

/** Runs the desk with these key files. */
async function desk(args, signers) {
  const all = ["breach", ...args, ...signers.flatMap((key) => ["--key", key]), "--data-dir", city.data];
  for (let tries = 0; ; tries += 1) {
    const done = spawnSync(program(), all, { encoding: "utf8", env: { ...process.env, USUFRUCT_ANY_DISK: "1" } });
    // The machine may have published something after this was dated, and the log shows what was said a moment later.
    if (!/dated before the last one|not the next revision|There is no breach|Keep it/.test(done.stderr) || tries > 19) return done;
    await new Promise((wait) => setTimeout(wait, 300));
  }
}

function written(name, text) {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

test("one person opens nothing, two do, and the clocks are public", async () => {
  const file = written("lost-laptop.toml", `body = "${BODY}"\ncause = "loss"\nkinds = ["confidentiality"]\nthreat_actor = "nobody"\nreporter = "staff"\ntitle = { en = "Lost laptop", zh-Hant = "筆電遺失" }
facts = { en = "A laptop was left in a train.", zh-Hant = "筆電遺留於列車上。" }\nfrom = "2020-01-01"\nmandates = ["mdt_library-card"]\nservices = ["svc_library"]\n`);
  assert.match((await desk(["count", file], [])).stdout, /Residents concerned: /);
  const alone = await desk(["open", file], keys.slice(0, 1));
  assert.notEqual(alone.status, 0);
  assert.match(alone.stderr, /roles of `agc_library` approved/);
  const opened = await desk(["open", file], keys);
  assert.equal(opened.status, 0, opened.stderr);
  assert.match(opened.stdout, /report_breach .* running/);

  for (const lang of ["en", "zh-Hant"]) {
    const { page, problems, context } = await openPage(browser, { lang, width: 320, baseURL: city.url });
    for (const path of ["/register/breaches", `/register/breaches/${BREACH}`]) {
      assert.equal((await page.goto(path)).status(), 200, path);
      assert.deepEqual(await violations(page), [], path);
      assert.equal(await overflow(page), 0, path);
    }
    assert.ok((await page.getByTestId("clock").count()) >= 5);
    assert.equal(await page.getByTestId("breach-state").getAttribute("data-state"), "detected");
    assert.deepEqual(problems, []);
    await context.close();
  }
});

test("once people found the words, the resident is told, and her browser finds the line in the log", async () => {
  const advice = written("advice.toml", `advice = { en = "Watch your mail.", zh-Hant = "請留意郵件。" }\n`);
  const revised = await desk(["revise", BREACH, advice], keys);
  assert.equal(revised.status, 0, revised.stderr);
  const { page } = resident;
  const link = page.getByTestId("own-breach").getByRole("link");
  for (let tries = 0; tries < 40; tries += 1) {
    await page.goto(`${city.url}/me`);
    if (await link.count()) break;
    await page.waitForTimeout(500);
  }
  await link.click();
  await page.waitForURL(`**/me/breaches/${BREACH}`);
  await page.getByText("Watch your mail.").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.goto(`${city.url}/me/breaches`);
  assert.deepEqual(await violations(page), []);
  await checked(city, page);
  const row = page.locator("[data-line]").filter({ hasText: "You were told of a breach" });
  assert.equal(await row.count(), 1);
  assert.equal(await row.getAttribute("data-proof"), "verified");
  assert.deepEqual(resident.problems, []);
});

test("one person answers the clocks, two close it, and the proofs stay public", async () => {
  const letter = written("letter.txt", "Dear ministry");
  for (const duty of ["report_incident", "contain_incident", "report_breach", "tell_persons", "final_report"]) {
    const proof = ["--proof", letter, "--title-en", "Letter", "--title-zh", "函"];
    const done = await desk(["step", BREACH, "--duty", duty, ...proof], keys.slice(0, 1));
    assert.ok(done.status === 0 || /No clock/.test(done.stderr), done.stderr);
  }
  const until = new Date(Date.now() - 1000).toISOString().replace(/\.\d+/, "");
  for (const step of [["halted"], ["contained", "--until", until]]) {
    const moved = await desk(["move", BREACH, "--to", ...step], keys);
    assert.equal(moved.status, 0, moved.stderr);
  }
  let present;
  for (let tries = 0; tries < 60; tries += 1) {
    present = (await (await fetch(`${city.url}/register/breaches/${BREACH}.json`)).json()).body;
    if (present.told && present.log_check) break;
    await new Promise((done) => setTimeout(done, 500));
  }
  assert.equal(present.log_check.consistent, true, JSON.stringify(present.log_check));
  const measures = written("measures.toml", `measures = { en = "It was erased.", zh-Hant = "已抹除。" }\n`);
  for (const args of [["revise", BREACH, measures], ["move", BREACH, "--to", "mitigated"]]) {
    const done = await desk(args, keys);
    assert.equal(done.status, 0, done.stderr);
  }
  const closed = await desk(["close", BREACH, "--lessons-en", "Disks are sealed.", "--lessons-zh", "磁碟一律加密。"], keys);
  assert.equal(closed.status, 0, closed.stderr);
  const page = await (await fetch(`${city.url}/register/breaches/${BREACH}`, { headers: { cookie: "lang=en" } })).text();
  assert.ok(page.includes("Nothing is missing, nothing was changed") && page.includes("Records are kept until at least"));
  assert.ok(page.includes("Disks are sealed.") && page.includes("Letter <code>"));
  assert.ok(!page.includes('data-standing="running"') && !page.includes('data-standing="late"'));
  assert.equal((await desk(["list"], [])).status, 0);
});
