// England, 2015 to 2018: 150,000 objections were stored and not passed on, and every job went on (House of Commons, 2 July 2018).
// Here: with the key and the tokens of the health department's service, and with the operator's database.
import assert from "node:assert/strict";
import { join } from "node:path";
import { client, drill, footprint, known, linesOf, onDisk, publicSize, resident, signedIn, withdraw } from "../lib/drill.js";
import { release } from "../lib/service.js";

const MANDATE = "mdt_flu-reminder";

let health;
/** Who goes on, and who withdraws: cookie, pseudonym and the token that she gave. */
let [stays, leaves] = [];
let withdrawnAt;

const { city, attempt } = drill("withdrawn-job", async () => {
  health = await client(city, "svc_health-notices");
  const join = async () => {
    const cookie = await resident(city);
    return { cookie, ...(await signedIn(city, health, cookie, `openid ${MANDATE}`)) };
  };
  [stays, leaves] = [await join(), await join()];
  const { lines } = await (await job()).json();
  assert.deepEqual(lines.map(({ blocks }) => blocks?.length), [1, 1], "yesterday the job was answered about both");
  await withdraw(city, leaves.cookie, MANDATE);
  withdrawnAt = performance.now();
});

const blocks = [{ block: "blk_mobile-phone", form: "token" }];
/** The nightly job, with the list of yesterday. */
const job = () => release(city, health, health.token, { subjects: [stays.subject, leaves.subject], mandate: MANDATE, blocks, reason: "season-open" }, "/api/releases/batch");
const count = async () => linesOf(await footprint(city, leaves.cookie)).length;

attempt("batch", async ({ impossible, refusedLine }) => {
  const before = await count();
  const { lines } = await (await job()).json();
  assert.equal(lines[0].blocks.length, 1, "the others are answered");
  refusedLine(lines[1], 404, "unknown");
  impossible(await count(), before, "nothing is added to her footprint");
});

attempt("own-token", async ({ refused }) => {
  const wanted = { subject: leaves.subject, mandate: MANDATE, blocks, reason: "season-open" };
  assert.equal((await release(city, health, stays.access_token, { ...wanted, subject: stays.subject })).status, 200, "a token of somebody who stays is good");
  await refused(await release(city, health, leaves.access_token, wanted), 401, "unauthenticated");
});

attempt("revived", async ({ impossible, refusedLine }) => {
  const rows = onDisk(city, `
last = db.execute("SELECT resident, mandate FROM grants WHERE state = 'withdrawn' ORDER BY given_at DESC LIMIT 1").fetchone()
db.execute("UPDATE grants SET state = 'given', valid_until = given_at * 2 WHERE resident = ? AND mandate = ?", last)
print(db.execute("SELECT state FROM grants WHERE resident = ? AND mandate = ?", last).fetchone()[0])`);
  impossible(rows.trim(), "given", "the row was changed");
  const { lines } = await (await job()).json();
  refusedLine(lines[1], 404, "unknown");
}, { onFile: true });

attempt("old-copy", async ({ impossible, refused }) => {
  const library = await client(city, "svc_library");
  const cookie = await resident(city);
  const subject = await known(city, library, cookie, "openid mdt_library-card");
  const wanted = { subject, mandate: "mdt_library-card", blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" };
  const ask = () => release(city, library, library.token, wanted);
  assert.equal((await (await ask()).json()).blocks[0].value, "Test Person");
  const old = join(city.folder, "before-withdrawal.db");
  onDisk(city, "db.backup(sqlite3.connect(sys.argv[2]))", old);
  await withdraw(city, cookie, "mdt_library-card");
  await refused(await ask(), 404, "unknown");
  const put = (from, stash) => `
db.execute("ATTACH ? AS old", (sys.argv[2],))
her = db.execute("SELECT resident FROM old.grants WHERE kind = 'consent' ORDER BY given_at DESC LIMIT 1").fetchone()
for table in ["grants", "lent_blocks", "keyrings"]:
    ${stash}
    db.execute(f"DELETE FROM main.{table} WHERE resident = ?", her)
    print(table, db.execute(f"INSERT INTO main.{table} SELECT * FROM old.${from}{table} WHERE resident = ?", her).rowcount > 0)`;
  const back = onDisk(city, put("", 'db.execute(f"CREATE TABLE old.now_{table} AS SELECT * FROM main.{table} WHERE resident = ?", her)'), old);
  impossible(back.trim().split("\n"), ["grants True", "lent_blocks True", "keyrings True"], "all rows of before are back");
  const answer = await ask();
  assert.ok(!(await answer.clone().text()).includes("Test Person"));
  await refused(answer, 500, "internal");
  onDisk(city, put("now_", "pass"), old);
  await refused(await ask(), 404, "unknown");
}, { onFile: true });

attempt("told", async (t) => {
  const [line] = await t.resident(leaves.cookie, withdrawnAt, ({ kind }) => kind === "withdrawal");
  await t.public(withdrawnAt, async () => (await publicSize(city)) > line.index);
  await t.public(withdrawnAt, async () => (await (await fetch(`${city.url}/register/certificates.json`)).text()).includes(line.detail));
  // The service reads it up to five minutes later, so that two services that are told of one event cannot join her by the time.
  const page = await (await fetch(`${city.url}/me/consents`, { headers: { cookie: `${leaves.cookie}; lang=en` } })).text();
  const notice = /<li data-testid="told">.*?<\/li>/s.exec(page)?.[0] ?? page;
  assert.match(notice, /Health notices/);
  assert.match(notice, /due by/);
});
