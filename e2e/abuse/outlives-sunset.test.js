// Of 650 measures against the epidemic that journalists counted, 29 had ended a year later (De Correspondent, Track(ed) together).
// Here: with the keys of the library's two offices, with its service's key and token, and with the operator's database.
import assert from "node:assert/strict";
import { join } from "node:path";
import { client, commentsAtOnce, drill, IS_FILE, known, mandateFile, newService, onDisk, pause, plain, publish, resident } from "../lib/drill.js";
import { release } from "../lib/service.js";
import { entry, offices, say, step } from "../lib/statement.js";

const NAME = "pop-up-library";
const MANDATE = `mdt_${NAME}`;
/** From the writing of the mandate to its last moment: time to publish it, to register a service and to use it once. */
const LIFE_SECONDS = 20;

let cookie;
let tool;
let wanted;
let sunset;
/** Where the insider keeps the rows of before. */
let kept;

const { city, attempt } = drill("outlives-sunset", async () => {
  cookie = await resident(city);
  await commentsAtOnce(city);
  sunset = new Date(Math.ceil(Date.now() / 1_000 + LIFE_SECONDS) * 1_000);
  const end = `sunset_at = "${sunset.toISOString().replace(".000", "")}"`;
  await publish(city, ["mandate", "publish"], NAME, mandateFile("library-card", [[/^sunset_at = .*$/m, end], [/^rate_cap = .*$/m, 'rate_cap = { uses = 100000, per = "P30D" }']]), "agc_library");
  tool = await client(city, await newService(city, NAME, { agency: "agc_library", mandates: [MANDATE] }));
  const subject = await known(city, tool, cookie, `openid ${MANDATE}`);
  wanted = { subject, mandate: MANDATE, blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" };
  const answer = await ask();
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.equal((await answer.json()).blocks[0].value, "Test Person");
  kept = join(city.folder, "before.db");
  if (IS_FILE) onDisk(city, "db.backup(sqlite3.connect(sys.argv[2]))", kept);
  assert.ok(Date.now() < sunset.getTime(), "it is still in force");
});

const ask = () => release(city, tool, tool.token, wanted);

attempt("prolonged", async ({ unlawful }) => {
  const old = await entry(city, "mandates", MANDATE);
  const body = { ...plain(old), sunset_at: new Date(sunset.getTime() + 86_400_000).toISOString().replace(".000", "") };
  unlawful(await say(city, { type: "Mandate", id: MANDATE, body, old }, offices(city, "agc_library")), "sunset_at prolonged");
});

attempt("asked-after", async (t) => {
  const released = [];
  let refused;
  while (!refused) {
    const began = Date.now();
    const answer = await ask();
    if (answer.status === 200) released.push(began);
    else refused = { began, status: answer.status, clauses: (await answer.json()).clauses.map(({ clause }) => clause) };
    await pause(40);
  }
  const began = performance.now();
  assert.ok(released.length > 0 && released.every((at) => at < sunset.getTime()), "nothing was released that was asked for after the last moment");
  assert.ok(refused.began >= sunset.getTime() - 100 && refused.status === 403 && refused.clauses.includes("sunset"), JSON.stringify({ sunset, ...refused }));
  await t.resident(cookie, began, ({ kind, service, clause }) => kind === "refusal" && service === tool.id && refused.clauses.includes(clause));
  await t.public(began, async () => (await entry(city, "mandates", MANDATE)).state === "erased");
  await t.public(began, async () => {
    const certificates = Object.values(await (await fetch(`${city.url}/register/certificates.json`)).json());
    return certificates.some(({ body }) => body.cause === "sunset" && JSON.stringify(body).includes(MANDATE));
  });
});

attempt("revived", async ({ impossible, unlawful, refused }) => {
  const old = await entry(city, "mandates", MANDATE);
  unlawful(await step(city, "mandates", old, "active", offices(city, "agc_library")), "to no-such-step");
  const said = await say(city, { type: "Mandate", id: MANDATE, body: { ...plain(old), sunset_at: "2030-01-01" }, old }, offices(city, "agc_library"));
  unlawful(said, "id over", "sunset_at prolonged");
  const rows = onDisk(city, `
db.execute("ATTACH ? AS before", (sys.argv[2],))
number = db.execute("SELECT mandate FROM before.grants ORDER BY given_at DESC LIMIT 1").fetchone()[0]
print(number)
for table in ["grants", "lent_blocks"]:
    cursor = db.execute(f"INSERT OR REPLACE INTO main.{table} SELECT * FROM before.{table} WHERE mandate = ?", (number,))
    print(cursor.rowcount > 0)
db.execute("UPDATE grants SET valid_until = valid_until * 2 WHERE mandate = ?", (number,))`, kept);
  impossible(rows.trim().split("\n"), [String(old.number), "True", "True"], "the rows of before are back");
  await refused(await ask(), 403, "mandate", ["mandate", "sunset", "authorization"]);
}, { onFile: true });
