// July 2022: codes turned red and were green again within minutes, and nobody was told by whom (Sixth Tone, 8 July 2022).
// Here: with the keys of a desk of the health authority, and with those of the library's two offices.
import assert from "node:assert/strict";
import { bearing, release } from "../lib/service.js";
import { client, DESKS, drill, known, patiently, publicSize, resident } from "../lib/drill.js";
import { entry, office, offices, step } from "../lib/statement.js";

const MANDATE = "mdt_visitor-status";
const LENT = "mdt_library-card";

let desk;
let cookie;
let subject;

const { city, attempt } = drill("flips-back", async () => {
  desk = await client(city, DESKS[4]);
  cookie = await resident(city);
  subject = await known(city, desk, cookie, `openid ${MANDATE}`);
});

/** The official writes a status; answers where that stands in the log. */
async function write(value) {
  const body = { subject, mandate: MANDATE, block: "blk_visitor-status", value, reason: "visit", actor: "the-official" };
  const answer = await patiently(() => release(city, desk, desk.token, body, "/api/deposits"));
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).log.index;
}

attempt("status", async (t) => {
  const indices = [await write("red"), await write("green")];
  const began = performance.now();
  const lines = await t.resident(cookie, began, ({ index }) => indices.includes(index));
  assert.deepEqual(lines.map(({ kind, index, reason }) => [kind, index, reason]), indices.map((index) => ["deposit", index, "visit"]));
  assert.equal(lines[0].actor.length, 32);
  assert.deepEqual(lines[0].actor, lines[1].actor, "one official did both");
  const data = await (await fetch(`${city.url}/me/data`, { headers: { cookie } })).text();
  assert.ok(data.includes("red") && data.includes("green"), "both are among her data");
  await t.public(began, async () => (await publicSize(city)) > indices[1]);
});

attempt("undone", async ({ refused }) => {
  await write("red");
  for (const [method, path, status, type] of [["DELETE", "/api/deposits", 405, "wrong-method"], ["PUT", "/api/deposits", 405, "wrong-method"], ["POST", "/api/deposits/withdraw", 404, "not-found"]]) {
    const url = `${city.url}${path}`;
    const headers = { ...bearing(desk, desk.token, method, url), "content-type": "application/json", accept: "application/json" };
    await refused(await fetch(url, { method, headers, body: JSON.stringify({ subject, mandate: MANDATE }) }), status, type);
  }
});

attempt("mandate", async (t) => {
  const library = await client(city, "svc_library");
  const reader = await known(city, library, cookie, `openid ${LENT}`);
  const ask = () => release(city, library, library.token, { subject: reader, mandate: LENT, blocks: [{ block: "blk_name", form: "value" }], reason: "renewal" });
  const first = await entry(city, "mandates", LENT);
  const took = async (list, to, signers) => {
    const said = await step(city, list, await entry(city, list, LENT), to, signers);
    assert.equal(said.status, 201, JSON.stringify(said));
  };
  await took("mandates", "suspended", [office(city, "agc_library", "head")]);
  const began = performance.now();
  const refused = await ask();
  assert.deepEqual([refused.status, (await refused.json()).clauses.map(({ clause }) => clause)], [403, ["suspension"]]);
  await took("mandates", "active", offices(city, "agc_library"));
  assert.equal((await ask()).status, 200);
  await t.resident(cookie, began, ({ kind, service, clause }) => kind === "refusal" && service === "svc_library" && clause === "suspension");
  await t.public(began, async () => {
    const { history } = await entry(city, "mandates", LENT);
    const added = history.slice(first.history.length);
    return added.length === 2 && added.every(({ reason, index }) => reason.en === "It was decided." && index > 0) && added.map(({ to }) => to).join() === "suspended,active";
  });
});
