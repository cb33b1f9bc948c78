// Sweden, 2015: the Transport Agency's registers went to a vendor, and from there to subcontractors abroad (The Local, 25 July 2017).
// Here: with the keys of the vendor, of the body that commissions it, of another company, and of the vendor's service.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { client, drill, footprint, known, linesOf, plain, publicSize } from "../lib/drill.js";
import { release, signIn } from "../lib/service.js";
import { BOTH, entry, offices, say, signer } from "../lib/statement.js";

const CONTRACT = "ctr_event";
const MANDATE = "mdt_shopping-festival";
const OTHER = "agc_cheap-hosting";

/** The two people of another company, which the operator has registered as a vendor. */
let others;

const { city, attempt } = drill("re-outsourcing", async () => {
  others = BOTH.map((role) => signer(OTHER, role, randomBytes(32)));
  const body = {
    legal_name: { en: "Cheap Hosting", "zh-Hant": "便宜代管" }, kind: "vendor", contact: "hosting.example.org", protection_officer: "Legal office",
    security_officer: "Technical office", jurisdiction: "TW", signing_keys: others.map((one) => ({ id: one.key, role: one.key, public: one.public })),
  };
  const said = await say(city, { type: "Agency", id: OTHER, body }, offices(city, "agc_information"));
  assert.equal(said.status, 201, JSON.stringify(said));
});

/** A revision of the contract with one sub-processor more. */
async function revised(sub, signers) {
  const old = await entry(city, "contracts", CONTRACT);
  assert.equal(old.state, "active");
  const body = plain(old);
  return say(city, { type: "Contract", id: CONTRACT, body: { ...body, subprocessors: [...body.subprocessors, sub] }, old }, signers);
}

const inAYear = () => new Date(Date.now() + 365 * 86_400_000).toISOString().slice(0, 10);

attempt("own-word", async ({ unlawful }) => {
  const sub = { agency: OTHER, location: "TW", approved_by: "agc_economy", from: inAYear() };
  unlawful(await revised(sub, offices(city, "agc_event-vendor")), "by not-the-owner");
});

attempt("in-a-hurry", async ({ unlawful }) => {
  const sub = { agency: OTHER, location: "RS", approved_by: "agc_economy", under: "agc_cloud-vendor" };
  const said = await revised(sub, offices(city, "agc_economy"));
  unlawful(said, "subprocessors[1].from too-soon", "subprocessors[1].location not-allowed", "subprocessors too-deep");
});

attempt("service", async ({ unlawful }) => {
  const { body } = await entry(city, "services", "svc_festival");
  const own = plain({ body: { ...body, agency: OTHER, sector: "cheap-hosting" } });
  unlawful(await say(city, { type: "Service", id: "svc_cheap-hosting", body: own }, others), "mandates[0] not-a-recipient");
});

attempt("token", async ({ refused }) => {
  const vendor = await client(city, "svc_festival");
  const thief = { ...vendor, bound: generateKeyPairSync("ec", { namedCurve: "P-256" }) };
  const subject = await known(city, vendor, await signIn(city, "wu-chin-tsai"), `openid ${MANDATE}`);
  const wanted = { subject, mandate: MANDATE, blocks: [{ block: "blk_residence-district", form: "predicate" }], reason: "stamp" };
  assert.equal((await release(city, vendor, vendor.token, wanted)).status, 200, "the token is good");
  await refused(await release(city, thief, vendor.token, wanted), 401, "unauthenticated");
});

attempt("all-keys", async (t) => {
  const vendor = await client(city, "svc_festival");
  const cookie = await signIn(city, "wu-chin-tsai");
  const subject = await known(city, vendor, cookie, `openid ${MANDATE}`);
  const ask = (blocks) => release(city, vendor, vendor.token, { subject, mandate: MANDATE, blocks, reason: "stamp" });
  // Other entries of the log may come between these lines, so they are told by their numbers in her footprint.
  const { n: last } = linesOf(await footprint(city, cookie)).at(-1);
  await t.refused(await ask([{ block: "blk_mobile-phone", form: "value" }]), 403, "form", ["form"]);
  await t.refused(await ask([{ block: "blk_name", form: "value" }]), 403, "form", ["form", "blocks-in-mandate", "blocks-chosen"]);
  const answer = await ask([{ block: "blk_residence-district", form: "predicate" }, { block: "blk_mobile-phone", form: "token" }]);
  const began = performance.now();
  const { blocks, log } = await answer.json();
  assert.deepEqual([blocks[0].value, /^[\w-]{22,}$/.test(blocks[1].value)], ["true", true], JSON.stringify(blocks));
  const lines = await t.resident(cookie, began, (line) => line.service === "svc_festival" && line.n > last && line.reason === "stamp");
  assert.deepEqual(lines.map(({ kind, clause }) => [kind, clause]), [["refusal", "form"], ["refusal", "form"], ["use", undefined]]);
  await t.public(began, async () => (await publicSize(city)) > log.index);
});
