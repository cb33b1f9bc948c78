// A source's log writer stands still: a gap in its numbers, or nothing at all (Denmark's Min Log, 2015 to 2017).
import assert from "node:assert/strict";
import { client, known, publicSize } from "../lib/drill.js";
import { acceptance, read, soon } from "../lib/acceptance.js";
import { release, signIn } from "../lib/service.js";

const LIBRARY = "mdt_library-card";
const SCHOOL = "mdt_school-card";
/** Somebody who uses both. */
const PERSONA = "chou-yi-ching";

let library;
let school;
let cookie;

const { city, part } = acceptance("silent-writer", async () => {
  cookie = await signIn(city, PERSONA);
  const prepared = async (id, mandate) => {
    const service = await client(city, id);
    return { ...service, mandate, subject: await known(city, service, cookie, `openid ${mandate}`) };
  };
  library = await prepared("svc_library", LIBRARY);
  school = await prepared("svc_school", SCHOOL);
  // What the other part waits for begins here, so that both wait at the same time.
  assert.deepEqual(await (await report(school, "blk_student-status", "term-start", 1)).json(), {});
  assert.deepEqual(await (await heard(school, 1)).json(), { received: 1 });
});

const text = (words) => ({ stringValue: words });

/** A line of a body's own system, as it sends it. */
function line({ mandate, subject }, block, reason, number) {
  const attributes = {
    "dpl.core.processing_activity_id": text(`${city.url}/register/mandates/${mandate}`),
    "dpl.core.data_subject_id": text(subject),
    "usufruct.number": { intValue: `${number}` },
    "usufruct.blocks": { arrayValue: { values: [text(block)] } },
    "usufruct.reason": text(reason),
  };
  return { name: "use", endTimeUnixNano: `${Date.now()}000000`, attributes: Object.entries(attributes).map(([key, value]) => ({ key, value })) };
}

const report = (source, block, reason, ...numbers) => {
  const spans = numbers.map((number) => line(source, block, reason, number));
  return release(city, source, source.token, { resourceSpans: [{ scopeSpans: [{ spans }] }] }, "/api/ldv/v1/traces");
};
const heard = (source, last, ends = false) => release(city, source, source.token, { mandate: source.mandate, last, ends }, "/api/ldv/sources");

/** The incident of a source that is not over. */
async function incident({ id }) {
  const { incidents } = await (await fetch(`${city.url}/register/counts.json`)).json();
  return Object.values(incidents).find(({ body }) => body.source === id && !body.ended_at);
}

/** What her page says of a service whose record of her may be incomplete. */
const incomplete = async (name) => {
  const { html } = await read(city, "/me/footprint", cookie);
  const said = [...html.matchAll(/data-testid="incomplete">([^<]*)/g)].map(([, words]) => words);
  return said.find((words) => words.includes(name) && /may be incomplete since .*\d{4}/.test(words));
};

part("gap", async () => {
  const send = (...numbers) => report(library, "blk_name", "renewal", ...numbers);
  assert.deepEqual(await (await send(1, 2)).json(), {});
  assert.deepEqual(await (await heard(library, 2)).json(), { received: 2 });
  assert.equal(await incomplete("City Library"), undefined);
  await heard(library, 4);
  const { body, index } = await soon("the incident", () => incident(library));
  assert.deepEqual([body.fault, body.missing], ["missing", "1-9"]);
  await soon("her page", () => incomplete("City Library"));
  await soon("the public log", async () => (await publicSize(city)) > index);
  assert.match((await read(city, "/register/counts")).html, /Numbers are missing/);
  assert.deepEqual(await (await send(4, 3)).json(), {});
  await heard(library, 4, true);
  await soon("the end", async () => !(await incident(library)));
  assert.equal(await incomplete("City Library"), undefined);
});

part("silence", async () => {
  const { body } = await soon("the incident", () => incident(school));
  assert.equal(body.fault, "silent");
  const { html } = await read(city, "/register/services/svc_school");
  const name = /<h1[^>]*>([^<]+)/.exec(html)[1];
  await soon("her page", () => incomplete(name.trim()));
  await heard(school, 1, true);
  await soon("the end", async () => !(await incident(school)));
});
