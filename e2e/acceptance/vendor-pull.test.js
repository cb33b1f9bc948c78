// A vendor's program fetches everybody's entry by itself (NHS England's portals; Estonia's rule of more than 100 people).
import assert from "node:assert/strict";
import { client, footprint, known, linesOf, pool, publicSize, verified } from "../lib/drill.js";
import { acceptance, DRAW, ENTRANTS, entrant, soon } from "../lib/acceptance.js";
import { release, signIn } from "../lib/service.js";

const VENDOR = "svc_bear-voucher";

let vendor;
let people;

const { city, part } = acceptance("vendor-pull", async () => {
  vendor = await client(city, VENDOR);
  // With ten thousand of them this takes longer than a token of the vendor lives, and than a sign-in opens a whole footprint.
  people = await pool(Array.from({ length: ENTRANTS }, (_, i) => i), 16, async (i) => {
    const cookie = await signIn(city, entrant(i));
    return { name: entrant(i), subject: await known(city, vendor, cookie, `openid ${DRAW}`) };
  });
});

/** The lines of the pull that somebody has. */
const pulls = (saved) => linesOf(saved).filter(({ kind, service, reason }) => kind === "use" && service === VENDOR && reason === "draw");

part("everybody", async () => {
  const subjects = people.map(({ subject }) => subject);
  assert.equal(new Set(subjects).size, ENTRANTS);
  vendor = await client(city, VENDOR);
  const wanted = { subjects, mandate: DRAW, blocks: [{ block: "blk_over-18", form: "predicate" }], reason: "draw" };
  const answer = await release(city, vendor, vendor.token, wanted, "/api/releases/batch");
  assert.equal(answer.status, 200, await answer.clone().text());
  const { lines } = await answer.json();
  assert.ok(lines.length === ENTRANTS && lines.every(({ problem }) => !problem), JSON.stringify(lines.find(({ problem }) => problem)));
  const batches = new Set();
  let last = 0;
  await pool(people, 16, async ({ name }) => {
    const [line, ...more] = pulls(await footprint(city, await signIn(city, name)));
    assert.deepEqual([line?.blocks, more], [[["blk_over-18", "predicate"]], []]);
    batches.add(`${Buffer.from(line.batch[0]).toString("hex")} of ${line.batch[1]}`);
    last = Math.max(last, line.index);
  });
  assert.equal(batches.size, 1, "one decision");
  assert.match([...batches][0], new RegExp(` of ${ENTRANTS}$`));
  await soon("the public log", async () => (await publicSize(city)) > last);
});

part("proven", async () => {
  for (const { name } of [people[0], people[Math.floor(ENTRANTS / 2)], people[ENTRANTS - 1]]) {
    const cookie = await signIn(city, name);
    const { n } = await soon("her proof", async () => {
      const saved = await footprint(city, cookie);
      return (await verified(city, saved)).state === "verified" ? pulls(saved)[0] : null;
    });
    assert.ok(n > 0);
  }
});
