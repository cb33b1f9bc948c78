// London, 2015: a hospital trust and a company agreed on records of 1.6 million patients, and nobody could read the agreement (Powles and
// Hodson, Health and Technology, 2017). Here: with the keys of both bodies, of their services, and with the operator's door.
import assert from "node:assert/strict";
import { client, commentsAtOnce, drill, footprint, known, linesOf, mandateFile, newService, plain, publicSize, publish, resident } from "../lib/drill.js";
import { release } from "../lib/service.js";
import { entry, offices, say, step } from "../lib/statement.js";

const MANDATE = "mdt_reading-help";
const WHY = { en: "Pupils who read little get help.", "zh-Hant": "協助閱讀量較少的學生。" };
const DAY = 86_400_000;

let cookie;
let pupils;
let readers;
let subject;

/** Two bodies, a service of each, and a mandate that lets the one learn the pseudonyms of the other. Only an agreement is missing. */
const { city, attempt } = drill("unpublished-agreement", async () => {
  const [own, other] = [
    await newService(city, "pupils", { agency: "agc_education", mandates: ["mdt_school-card"] }),
    await newService(city, "readers", { agency: "agc_library", mandates: ["mdt_library-card"] }),
  ];
  const text = `{ en = "${WHY.en}", zh-Hant = "${WHY["zh-Hant"]}" }`;
  await commentsAtOnce(city);
  await publish(city, ["mandate", "publish"], "reading-help", mandateFile("school-card", [
    [/^operations = .*$/m, 'operations = ["collect", "deposit", "disclose", "match", "store"]'],
    [/^recipients = \[\n/m, `conversions = [{ from = "svc_pupils", to = "svc_readers", why = ${text} }]\nrecipients = [\n  { agency = "agc_library", why = ${text} },\n`],
  ]), "agc_education");
  for (const [id, agency] of [[own.id, "agc_education"], [other.id, "agc_library"]]) {
    const old = await entry(city, "services", id);
    const said = await say(city, { type: "Service", id, body: { ...plain(old), mandates: [...old.body.mandates, MANDATE] }, old }, offices(city, agency));
    assert.equal(said.status, 201, JSON.stringify(said));
  }
  cookie = await resident(city);
  [pupils, readers] = [await client(city, own), await client(city, other)];
  subject = await known(city, pupils, cookie, `openid ${MANDATE}`);
});

const both = () => [...offices(city, "agc_education"), ...offices(city, "agc_library")];
const ask = () => release(city, pupils, pupils.token, { subjects: [subject], to: "svc_readers", mandate: MANDATE, reason: "term-start" }, "/api/conversions");
const day = (days) => new Date(Math.floor(Date.now() / 1_000) * 1_000 + days * DAY).toISOString().replace(".000", "");

/** An agreement about exactly this, after the one of the demo city. */
async function agreement(days) {
  const { body } = await entry(city, "agreements", "agr_school-readers");
  const own = { mandates: [MANDATE], transfers: [{ from: "svc_pupils", to: "svc_readers", why: WHY }] };
  return { ...plain({ body }), ...own, in_force_from: day(days), sunset_at: day(days + 100), review_due: day(days + 50) };
}

attempt("unpublished", async ({ refused }) => {
  await refused(await ask(), 403, "agreement", ["agreement"]);
});

attempt("tried", async (t) => {
  const began = performance.now();
  const before = linesOf(await footprint(city, cookie)).length;
  await t.refused(await ask(), 403, "agreement", ["agreement"]);
  assert.equal(linesOf(await footprint(city, cookie)).length, before + 1, "she sees that it was tried");
  const [{ index }] = await t.resident(cookie, began, ({ kind, clause }) => kind === "refusal" && clause === "agreement");
  await t.public(began, async () => (await publicSize(city)) > index);
});

/** Those concerned were heard about an agreement, so that it can be published. */
async function heard(id) {
  const took = await step(city, "agreements", await entry(city, "agreements", id), "consulted", both());
  assert.equal(took.status, 201, JSON.stringify(took));
}

attempt("one-side", async ({ unlawful }) => {
  const body = await agreement(20);
  const said = await say(city, { type: "Agreement", id: "agr_one-side", body }, offices(city, "agc_education"));
  unlawful(said, "approvals too-few");
});

attempt("from-tomorrow", async ({ unlawful, refused }) => {
  const said = await say(city, { type: "Agreement", id: "agr_from-tomorrow", body: await agreement(1) }, both());
  assert.equal(said.status, 201, JSON.stringify(said));
  await heard("agr_from-tomorrow");
  unlawful(await step(city, "agreements", await entry(city, "agreements", "agr_from-tomorrow"), "published", both()), "to too-soon");
  await refused(await ask(), 403, "agreement", ["agreement"]);
});

attempt("backdated", async ({ unlawful }) => {
  const body = await agreement(-1);
  const said = await say(city, { type: "Agreement", id: "agr_backdated", body, at: new Date(Date.now() - 21 * DAY) }, both());
  unlawful(said, "at goes-back");
});

attempt("too-early", async (t) => {
  const id = "agr_proper";
  const said = await say(city, { type: "Agreement", id, body: await agreement(15) }, both());
  assert.equal(said.status, 201, JSON.stringify(said));
  await heard(id);
  const took = await step(city, "agreements", await entry(city, "agreements", id), "published", both());
  const began = performance.now();
  assert.equal(took.status, 201, JSON.stringify(took));
  t.unlawful(await step(city, "agreements", await entry(city, "agreements", id), "active", both()), "to too-soon");
  await t.refused(await ask(), 403, "agreement", ["agreement"]);
  await t.public(began, async () => {
    const page = await fetch(`${city.url}/register/agreements/${id}`);
    const { state, index } = await entry(city, "agreements", id);
    return page.status === 200 && state === "published" && (await publicSize(city)) > index;
  });
});

attempt("deposited", async ({ refused }) => {
  const what = { mandate: MANDATE, reason: "term-start" };
  const note = { ...what, subject, block: "blk_name", value: "Reads little" };
  const taken = await release(city, pupils, pupils.token, note, "/api/deposits");
  assert.equal(taken.status, 200, await taken.clone().text());
  const reader = await known(city, readers, cookie, `openid ${MANDATE}`);
  const wanted = { ...what, subject: reader, blocks: [{ block: "blk_name", form: "value" }] };
  await refused(await release(city, readers, readers.token, wanted), 403, "agreement", ["agreement"]);
});
