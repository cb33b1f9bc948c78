// Zhengzhou, June 2022: five officials had the health codes of 1,317 depositors turned red (Shanghai Daily and Reuters, 22 June 2022).
// Here: five officials at five desks of the health authority, with the keys of their desks and all 1,317 depositors known to them.
import assert from "node:assert/strict";
import { client, commentsAtOnce, depositor, DEPOSITORS, DESKS, drill, foundCity, known, mandateFile, onDisk, patiently, pool, publicSize, publish } from "../lib/drill.js";
import { serve } from "../lib/server.js";
import { release, signIn } from "../lib/service.js";
import { entry } from "../lib/statement.js";

const MANDATE = "mdt_visitor-status";
const BLOCK = "blk_visitor-status";
/** How many decisions the brake lets an official make who never made any. */
const FIRST_DAY = 11;

/** Of each depositor: her cookie, her pseudonym, and the number of the official who has her on the list. */
let people;
let desks;

const { city, attempt } = drill("five-officials", async () => {
  desks = await Promise.all(DESKS.map((desk) => client(city, desk)));
  people = await pool(Array.from({ length: DEPOSITORS }, (_, i) => i), 16, async (i) => {
    const cookie = await signIn(city, depositor(i));
    return { cookie, official: i % DESKS.length, subject: await known(city, desks[i % DESKS.length], cookie, `openid ${MANDATE}`) };
  });
  assert.equal(new Set(people.map(({ subject }) => subject)).size, 1_317);
});

const status = (subject, value, more = {}) => ({ subject, mandate: MANDATE, block: BLOCK, value, reason: "visit", ...more });
const write = (desk, body) => patiently(() => release(city, desk, desk.token, body, "/api/deposits"));
const all = (more = {}) => ({ subjects: people.map(({ subject }) => subject), mandate: MANDATE, blocks: [{ block: BLOCK, form: "value" }], reason: "visit", ...more });

attempt("one-request", async ({ refused }) => {
  const [desk] = desks;
  await refused(await release(city, desk, desk.token, all({ actor: "official-1" }), "/api/releases/batch"), 403, "bulk-limit", ["bulk-limit"]);
  await refused(await release(city, desk, desk.token, { ...status("", "red"), subject: all().subjects }, "/api/deposits"), 400, "malformed");
  await refused(await release(city, desk, desk.token, { ...status("", "red"), subjects: all().subjects }, "/api/deposits/batch"), 404, "not-found");
});

attempt("one-by-one", async (t) => {
  const looks = [];
  const proven = new Set();
  const outcomes = await pool(people, 16, async ({ cookie, official, subject }, i) => {
    const answer = await write(desks[official], status(subject, "red", { actor: `official-${official + 1}` }));
    const began = performance.now();
    const isWritten = answer.status === 200;
    const body = await answer.json();
    // Whose status was written looks, all of them, and one of each official's list proves it; of the others every hundredth looks.
    if (isWritten || i % 100 === 99) {
      const look = proven.has(official) ? t.listed : t.resident;
      proven.add(official);
      const isHers = isWritten ? (line) => line.kind === "deposit" && line.index === body.log.index : (line) => line.kind === "refusal" && line.clause === "brake";
      looks.push(look(cookie, began, isHers).then(([line]) => line));
    }
    return { official, isWritten, body };
  });
  const last = performance.now();
  const written = DESKS.map((_, official) => outcomes.filter((one) => one.official === official && one.isWritten).length);
  assert.deepEqual(written, DESKS.map(() => FIRST_DAY), "the same brake holds for all five");
  const stopped = outcomes.filter(({ isWritten }) => !isWritten).map(({ body }) => body);
  assert.equal(stopped.length, DEPOSITORS - DESKS.length * FIRST_DAY);
  assert.deepEqual([...new Set(stopped.map(({ clauses }) => clauses.map(({ clause }) => clause).join()))], ["brake"]);
  for (const { blocks, reason, actor, kind } of await Promise.all(looks)) {
    assert.deepEqual([blocks, reason, actor.length], [[[BLOCK, "value"]], "visit", 32], kind);
  }
  await t.public(last, async () => {
    const { brakes } = await (await fetch(`${city.url}/register/counts.json`)).json();
    return brakes.filter(isOurs).length === DESKS.length;
  });
  await t.public(last, async () => (await (await fetch(`${city.url}/register/counts`)).text()).includes('data-testid="brake"'));
});

const isOurs = ({ body, reason, stopped_on: day }) => body === "agc_health" && reason === `${MANDATE} visit` && day;

attempt("erased-counts", async (t) => {
  const deleted = Number(onDisk(city, `print(db.execute("DELETE FROM brake_days WHERE reason = '${MANDATE} visit'").rowcount)`));
  assert.equal(deleted, DESKS.length);
  const began = performance.now();
  for (const [official, desk] of desks.entries()) {
    const { subject } = people[official];
    await t.refused(await write(desk, status(subject, "red", { actor: `official-${official + 1}` })), 403, "brake", ["brake"]);
  }
  await t.public(began, async () => {
    const { brakes } = await (await fetch(`${city.url}/register/counts.json`)).json();
    return brakes.filter(isOurs).length === DESKS.length;
  });
}, { onFile: true });

attempt("restarted", async (t) => {
  const own = await foundCity(3);
  let again;
  try {
    const desk = await client(own, DESKS[0]);
    const subjects = await pool([0, 1, 2], 1, async (i) => known(own, desk, await signIn(own, depositor(i)), `openid ${MANDATE}`));
    const decide = (i) => release(own, desk, desk.token, status(subjects[i % 3], "red", { actor: "official-1" }), "/api/deposits");
    const statuses = await pool(Array.from({ length: 15 }, (_, i) => i), 1, async (i) => (await decide(i)).status);
    assert.deepEqual([statuses[0], statuses.at(-1)], [200, 403], "she is stopped");
    await own.kill();
    onDisk(own, 'db.execute("DELETE FROM brake_days")');
    again = await serve(own.args, own.url);
    const { brakes } = await (await fetch(`${own.url}/register/counts.json`)).json();
    assert.equal(brakes.filter(isOurs).length, 1, "the register shows it before she asks again");
    await t.refused(await decide(2), 403, "brake", ["brake"]);
  } finally {
    await again?.stop();
    await own.stop();
  }
}, { onFile: true });

const NAMELESS = 3;

attempt("nameless", async (t) => {
  for (const { cookie, official, subject } of people.slice(-NAMELESS)) {
    const answer = await write(desks[official], status(subject, "red"));
    const began = performance.now();
    assert.equal(answer.status, 200, await answer.clone().text());
    const { log } = await answer.json();
    const [line] = await t.resident(cookie, began, (line) => line.kind === "deposit" && line.index === log.index);
    assert.equal(line.actor, undefined);
    await t.public(began, async () => (await publicSize(city)) > log.index);
  }
});

attempt("nameless-in-public", async (t) => {
  const some = people.slice(-100, -50);
  const outcomes = await pool(some, 8, async ({ cookie, official, subject }) => {
    const answer = await write(desks[official], status(subject, "red"));
    const began = performance.now();
    return { cookie, began, status: answer.status, body: await answer.json() };
  });
  const began = performance.now();
  const written = outcomes.filter(({ status }) => status === 200);
  const stopped = outcomes.filter(({ status }) => status !== 200);
  assert.equal(written.length, FIRST_DAY - NAMELESS, "nobody can write as often as somebody");
  assert.deepEqual([...new Set(stopped.map(({ body }) => body.clauses.map(({ clause }) => clause).join()))], ["brake"]);
  const index = written[0].body.log.index;
  await t.listed(written[0].cookie, written[0].began, (line) => line.kind === "deposit" && line.index === index);
  await t.resident(stopped[0].cookie, stopped[0].began, ({ kind, clause }) => kind === "refusal" && clause === "brake");
  await t.public(began, async () => {
    const { brakes } = await (await fetch(`${city.url}/register/counts.json`)).json();
    return brakes.filter(isOurs).length === DESKS.length + 1 && brakes.filter(isOurs).filter(({ nobody }) => nobody).length === 1;
  });
});

attempt("raised-limit", async ({ refusedLine }) => {
  const assessment = 'gate = "durable"\nimpact_assessment = "https://documents.lanwan.example.org/impact/visitor-status.html"';
  const file = mandateFile("visitor-status", [[/^bulk_limit = 1$/m, "bulk_limit = 1317"], [/^gate = "durable"$/m, assessment]]);
  await commentsAtOnce(city);
  await publish(city, ["mandate", "publish"], "visitor-status", file, "agc_health");
  const { rev, state, body } = await entry(city, "mandates", MANDATE);
  assert.deepEqual([rev, state, body.bulk_limit], [2, "active", 1_317], "the revision is public, and in force");
  const [desk] = desks;
  const answer = await release(city, desk, desk.token, all({ actor: "somebody-else" }), "/api/releases/batch");
  assert.equal(answer.status, 200, await answer.clone().text());
  const { lines } = await answer.json();
  assert.equal(lines.length, DEPOSITORS);
  for (const line of lines) refusedLine(line, 403, "grant", ["grant", "notice"]);
});
