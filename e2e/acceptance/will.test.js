// Notaries ask about people in matters that concern others (Estonia's Data Tracker).
import assert from "node:assert/strict";
import { client, footprint, known, linesOf, publicSize, resident, verified } from "../lib/drill.js";
import { acceptance, read, soon } from "../lib/acceptance.js";
import { release } from "../lib/service.js";

const WILLS = "mdt_wills";
const ENQUIRIES = "mdt_notary-enquiries";

let notary;
let testator;
let heir;

const { city, part } = acceptance("will", async () => {
  notary = await client(city, "svc_notary");
  const somebody = async () => {
    const cookie = await resident(city);
    return { cookie, subject: await known(city, notary, cookie, `openid ${WILLS}`) };
  };
  testator = await somebody();
  heir = await somebody();
});

const ask = (about, reason, more = {}) =>
  release(city, notary, notary.token, { subject: about.subject, mandate: WILLS, blocks: [{ block: "blk_name", form: "value" }], reason, ...more });

part("testator", async () => {
  const before = linesOf(await footprint(city, heir.cookie));
  const answer = await ask(testator, "noted");
  assert.equal(answer.status, 200, await answer.clone().text());
  const { log } = await answer.json();
  await soon("the public log", async () => (await publicSize(city)) > log.index);
  const hers = linesOf(await footprint(city, testator.cookie));
  assert.deepEqual(hers.filter(({ reason }) => reason === "noted").map(({ index }) => index), [log.index]);
  // The search of the whole log finds what a page leaves out, so "verified" says that nothing more is hers.
  const saved = await footprint(city, heir.cookie);
  assert.equal((await verified(city, saved)).state, "verified");
  assert.deepEqual(linesOf(saved).map(({ index }) => index), before.map(({ index }) => index));
  assert.ok(saved.size > log.index, "she searched beyond that entry");
});

part("heir", async () => {
  // She has never agreed to anything of the notary: the law lets him ask.
  const cookie = await resident(city);
  const subject = await known(city, notary, cookie, "openid");
  const about = { subject, mandate: ENQUIRIES, blocks: [{ block: "blk_name", form: "value" }], reason: "will" };
  const answer = await release(city, notary, notary.token, { ...about, third_party: true });
  assert.equal(answer.status, 200, await answer.clone().text());
  const { log } = await answer.json();
  const day = new Date(Date.now() + 60 * 86_400_000 + 8 * 3_600_000);
  for (const lang of ["en", "zh-Hant"]) {
    const { html } = await read(city, "/me/footprint", cookie, lang);
    assert.ok(html.includes(lang === "en" ? "Notary" : "公證人"), "who asked stands in her line");
    assert.ok(html.includes(lang === "en" ? "The matter concerns somebody else; it is shown from" : "事涉他人"), "that it is closed, and until when");
    assert.ok(html.includes(String(day.getUTCFullYear())));
    assert.ok(!/\bwill\b that|drew up|遺囑/.test(html.replaceAll(/<script[^]*?<\/script>/g, "")), "her page says what it was about");
  }
  // Neither do the lines that she takes home, opened, nor those that her own key opens.
  await soon("the public log", async () => (await publicSize(city)) > log.index);
  const saved = await footprint(city, cookie);
  const line = linesOf(saved).find(({ index }) => index === log.index);
  assert.deepEqual([line.kind, line.service, line.reason, line.detail], ["use", "svc_notary", "", undefined]);
  assert.equal(saved.lines.find(({ index }) => index === log.index).matter, null);
  const sealed = await (await fetch(`${city.url}/me/footprint/sealed`, { headers: { cookie } })).json();
  assert.ok(sealed.lines.every(({ matter }) => matter === null));
  assert.equal((await verified(city, saved)).state, "verified");
  // Under the register of wills, whose name tells it all, nobody may say that a matter concerns somebody else, and what is refused tells nothing.
  const refused = await ask(heir, "enquiry", { third_party: true });
  assert.equal(refused.status, 403);
  assert.deepEqual((await refused.json()).clauses.map(({ clause }) => clause), ["third-party"]);
  const last = linesOf(await footprint(city, heir.cookie)).at(-1);
  assert.deepEqual([last.kind, last.clause, last.reason], ["refusal", "third-party", ""]);
  // That such lines exist, and for how long they are closed, everybody reads.
  const { html } = await read(city, `/register/mandates/${ENQUIRIES}`);
  assert.ok(html.includes("60 days later what for"));
});
