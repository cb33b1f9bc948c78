// Taipei, 2021: what people had left when they checked in against the epidemic came back as proportions on a dashboard (statement of the
// city's Department of Information Technology). Here: with the keys and tokens of the library and of the shopping festival.
import assert from "node:assert/strict";
import { client, drill, known, resident } from "../lib/drill.js";
import { release } from "../lib/service.js";

const MANDATE = "mdt_library-card";

let library;
let cookie;
let subject;

const { city, attempt } = drill("second-purpose", async () => {
  library = await client(city, "svc_library");
  cookie = await resident(city);
  subject = await known(city, library, cookie, `openid ${MANDATE}`);
});

const ask = (service, body, path) => release(city, service, service.token, body, path);

attempt("reason", async ({ refused, listed }) => {
  const wanted = { subject, mandate: MANDATE, blocks: [{ block: "blk_birth-date", form: "value" }], reason: "dashboard" };
  const began = performance.now();
  await refused(await ask(library, wanted), 403, "reason", ["reason", "blocks-in-mandate", "blocks-chosen"]);
  const [line] = await listed(cookie, began, ({ kind }) => kind === "refusal");
  // A reason that no mandate has is nobody's to read.
  assert.deepEqual([line.service, line.reason, line.clause], ["svc_library", "", "reason"]);
  const named = { ...wanted, blocks: [{ block: "blk_name", form: "value" }] };
  await refused(await ask(library, named), 403, "reason", ["reason"]);
});

attempt("other-mandate", async ({ refused }) => {
  const wanted = { subject, mandate: "mdt_clinic-booking", blocks: [{ block: "blk_name", form: "value" }], reason: "booking" };
  await refused(await ask(library, wanted), 403, "service", ["service", "recipient", "operation", "grant"]);
});

attempt("pseudonym", async ({ impossible, refused }) => {
  const festival = await client(city, "svc_festival");
  const wanted = { mandate: "mdt_shopping-festival", blocks: [{ block: "blk_residence-district", form: "predicate" }], reason: "stamp" };
  const answers = [];
  for (const copied of [subject, "A".repeat(22)]) {
    const answer = await ask(festival, { subject: copied, ...wanted });
    answers.push(await answer.clone().text());
    await refused(answer, 404, "unknown");
  }
  impossible(answers[0], answers[1], "nothing tells that it is somebody's at another service");
});

attempt("joined", async ({ refused }) => {
  const wanted = { subjects: [subject], to: "svc_festival", mandate: MANDATE, reason: "renewal" };
  await refused(await ask(library, wanted, "/api/conversions"), 403, "service", ["service", "operation", "conversion", "agreement", "recipient"]);
});
