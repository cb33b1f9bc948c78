// What may be shown late is shown on its day (Estonia's `hidden`; Denmark), and nothing else can be hidden.
import assert from "node:assert/strict";
import { hex } from "../../verifier/log/bytes.js";
import { WATCHED, acceptance, read, soon } from "../lib/acceptance.js";
import { client, commentsAtOnce, footprint, known, linesOf, plain, publicSize, verified } from "../lib/drill.js";
import { release, signIn } from "../lib/service.js";
import { entry, offices, say, step } from "../lib/statement.js";

const CARD = "mdt_library-card";
const INQUIRY = "mdt_inquiry";
const PERSONA = "wu-chin-tsai";

let library;
let cookie;
let subject;

const { city, part } = acceptance("delayed", async () => {
  library = await client(city, "svc_library");
  cookie = await signIn(city, PERSONA);
  subject = await known(city, library, cookie, `openid ${CARD}`);
});

const ask = (more = {}) => {
  const wanted = { subject, mandate: CARD, blocks: [{ block: "blk_name", form: "value" }], reason: "new-card" };
  return release(city, library, library.token, { ...wanted, ...more });
};

/** What is said when two people publish the library's mandate under another name, with these fields more. */
async function published(id, more) {
  const { body } = await entry(city, "mandates", CARD);
  return say(city, { type: "Mandate", id, body: { ...plain({ body }), ...more } }, offices(city, "agc_library"));
}

part("hidden", async () => {
  for (const more of [{ hidden: true }, { disclosure: "delayed" }, { visible_from: "2030-01-01T00:00:00Z" }]) {
    const answer = await ask(more);
    assert.deepEqual([answer.status, (await answer.json()).type], [400, "urn:usufruct:problem:malformed"], JSON.stringify(more));
  }
  const said = await published("mdt_hidden", { hidden: true });
  assert.deepEqual([said.status, said.rules], [422, ["hidden unknown-field"]]);
  const answer = await ask();
  assert.equal(answer.status, 200, await answer.clone().text());
  const { log } = await answer.json();
  const line = linesOf(await footprint(city, cookie)).find(({ index }) => index === log.index);
  assert.equal(line.disclosure, "immediate");
  const tallies = await soon("the tallies", async () => {
    const found = await (await fetch(`${city.url}/register/mandates/${CARD}/tallies.json`)).json();
    return found.length > 0 && found;
  });
  assert.ok(tallies.every(({ body }) => body.delayed === "0"), JSON.stringify(tallies[0]));
});

part("on-its-day", async () => {
  const hers = await signIn(city, WATCHED);
  const inquiries = (saved) => linesOf(saved).filter(({ mandate }) => mandate && hex(mandate) === inquiry.hash);
  const inquiry = await entry(city, "mandates", INQUIRY);
  const saved = await footprint(city, hers);
  const [told, used, ...more] = inquiries(saved);
  assert.deepEqual([told.kind, used.kind, used.disclosure, more], ["consent", "use", "delayed", []], JSON.stringify(saved.lines));
  const days = (micros) => (Date.now() * 1000 - micros) / 86_400_000_000;
  assert.ok(days(used.at) > 58 && days(used.at) < 62, `${days(used.at)} days ago`);
  assert.equal((await verified(city, saved)).state, "verified");
  const { html } = await read(city, "/me/footprint", hers);
  assert.ok(html.includes("Kept from you under this mandate until"), "the line says that it was kept back");

  // Their office drafts another mandate today, and people have said what they think of it.
  await commentsAtOnce(city);
  const bailiffs = await client(city, "svc_inquiry-desk");
  const at = await known(city, bailiffs, hers, "openid");
  const wanted = { subject: at, mandate: INQUIRY, blocks: [{ block: "blk_name", form: "value" }], reason: "order" };
  const before = inquiries(await footprint(city, hers));
  const answer = await release(city, bailiffs, bailiffs.token, wanted);
  assert.equal(answer.status, 200, await answer.clone().text());
  const { log } = await answer.json();
  assert.ok((await publicSize(city)) > log.index, "a witness has seen it");
  const now = await footprint(city, hers);
  assert.deepEqual(inquiries(now), before);
  assert.equal((await verified(city, now)).state, "verified", "and nothing in the log tells her of it");
  const { html: consents } = await read(city, "/me/consents", hers);
  assert.ok(consents.includes("Search for runaway debtors") && !/[23]\s+times/.test(consents));

  // Counted are whole days, and the machine counts them a while after it has started.
  await soon("the counts", async () => {
    const { mandates, uses } = await (await fetch(`${city.url}/register/delayed.json`)).json();
    assert.deepEqual(mandates.map(({ mandate, max_days, authority }) => [mandate, max_days, authority]), [[INQUIRY, 14, "agc_oversight"]]);
    const all = (field) => uses.filter(({ mandate }) => mandate === INQUIRY).map((month) => month[field]);
    return all("waiting").includes("1-9") && all("opened").includes("1-9");
  });
  assert.match(await (await fetch(`${city.url}/register/delayed.csv`)).text(), /^mandate,month,waiting,opened,/);

  // Nobody delays alone, and no office does.
  const [own, watching] = [offices(city, "agc_civil-affairs"), offices(city, "agc_oversight")];
  const second = "mdt_inquiry-again";
  const { body } = inquiry;
  assert.equal((await say(city, { type: "Mandate", id: second, body: plain({ body }) }, own)).status, 201);
  const { hash } = await entry(city, "mandates", second);
  // What the law asks to be weighed before is weighed for each mandate.
  const weighed = Object.values(await (await fetch(`${city.url}/register/assessments.json`)).json()).find(({ body }) => body.mandate === INQUIRY);
  const assessment = { ...plain({ body: weighed.body }), mandate: second, mandate_hash: hash };
  assert.equal((await say(city, { type: "Assessment", id: "dpi_inquiry-again", body: assessment }, own)).status, 201);
  for (const to of ["consulted", "approved"]) await stepped(second, to, own);
  const words = (text) => ({ en: text, "zh-Hant": text });
  const notice = {
    mandate: second, mandate_hash: hash, line: words("You learn of it later."), short: words("You learn of it later."), manner: words("By a bailiff."),
    rights: words("You can object."), effect_of_refusal: words("It rests on a court order."),
  };
  assert.equal((await say(city, { type: "Notice", id: "ntc_inquiry-again", body: notice }, own)).status, 201);
  await stepped(second, "published", own);
  for (const signers of [own, [...own, watching[0]]]) {
    const refused = await step(city, "mandates", await entry(city, "mandates", second), "active", signers);
    assert.deepEqual([refused.status, refused.rules], [422, ["approvals too-few"]]);
  }
  await stepped(second, "active", [...own, ...watching]);
});

async function stepped(id, to, signers) {
  const said = await step(city, "mandates", await entry(city, "mandates", id), to, signers);
  assert.equal(said.status, 201, JSON.stringify(said));
}
