// What may be shown late is shown on its day (Estonia's `hidden`; Denmark). Nothing here is shown late, and nothing can be hidden.
import assert from "node:assert/strict";
import { client, footprint, known, linesOf, plain } from "../lib/drill.js";
import { acceptance } from "../lib/acceptance.js";
import { release, signIn } from "../lib/service.js";
import { entry, offices, say } from "../lib/statement.js";

const CARD = "mdt_library-card";
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
  const tallies = await (await fetch(`${city.url}/register/mandates/${CARD}/tallies.json`)).json();
  assert.ok(tallies.length > 0 && tallies.every(({ body }) => body.delayed === 0 || body.delayed === "0"), JSON.stringify(tallies[0]));
});

part("on-its-day", async () => {
  const said = await published("mdt_delayed", { visibility: { delayed: { max_days: 1, authority: "agc_oversight" } } });
  assert.equal(said.status, 201, JSON.stringify(said));
});
