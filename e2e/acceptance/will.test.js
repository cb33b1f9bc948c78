// Notaries ask about people in matters that concern others (Estonia's Data Tracker).
import assert from "node:assert/strict";
import { client, footprint, known, linesOf, publicSize, resident, verified } from "../lib/drill.js";
import { acceptance, read, soon } from "../lib/acceptance.js";
import { release } from "../lib/service.js";

const WILLS = "mdt_wills";

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
  const answer = await ask(heir, "enquiry", { third_party: true });
  assert.equal(answer.status, 200, await answer.clone().text());
  const { html } = await read(city, "/me/footprint", heir.cookie);
  assert.ok(html.includes("Notary") && !html.includes("in the matter of a will"), "her line says what it was about");
});
