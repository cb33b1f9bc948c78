// A log that holds what the page does not show, and an index that tells something else than the log.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fetchBytes } from "../fetch.js";
import { verifyFootprint } from "../index.js";
import { City, fetchFrom, memory, recorded, vector, witness } from "./support.js";

const AT = 1_760_000_000_000_000;
const NOW_MILLIS = AT / 1000 + 1000;

const verify = (footprint, files, options = {}) => verifyFootprint(footprint, { fetchBytes: fetchFrom(files), nowMillis: NOW_MILLIS, ...options });
const findings = ({ search }) => search.findings.map(({ code, n, index }) => [code, n, index].filter((part) => part !== undefined));

/** A resident with `lines` lines, and as many entries of others after each as `between` says. */
function city(lines, between = 0, before = 0) {
  const city = new City();
  const [resident, other] = [city.resident(), city.resident()];
  city.fill(before);
  for (let i = 0; i < lines; i += 1) {
    resident.use(AT + i);
    other.use(AT + i);
    city.fill(between);
  }
  return { city, resident, other };
}

test("nothing is hidden: how much was searched, and how much of it is hers", async () => {
  const { city: town, resident } = city(5);
  const result = await verify(resident.footprint(), town.publish());
  assert.deepEqual(result.search, { state: "verified", searched: 10, yours: 5, findings: [] });
  assert.equal(result.state, "verified");
});

test("the newest line, any line, and all lines hidden", async () => {
  const { city: town, resident } = city(5);
  const files = town.publish();
  for (const [from, count] of [[4, 1], [3, 2], [0, 1], [2, 1], [0, 5]]) {
    const footprint = resident.footprint();
    footprint.lines.splice(from, count);
    const result = await verify(footprint, files);
    assert.equal(result.state, "broken");
    assert.deepEqual(findings(result), Array.from({ length: count }, (_, i) => ["hidden", from + i, 2 * (from + i)]));
    assert.equal(result.search.yours, 5);
  }
});

test("one number at two entries of the log", async () => {
  const { city: town, resident } = city(3);
  town.leaves.push(Buffer.concat([town.leaves[2].subarray(0, 2), Buffer.alloc(32, 7), town.leaves[2].subarray(34)]));
  const result = await verify(resident.footprint(), town.publish());
  assert.deepEqual(findings(result), [["duplicate", 1, 6]]);
  assert.deepEqual([result.state, result.search.findings[0].other], ["broken", 2]);
  assert.ok(result.lines.every(({ state }) => state === "verified"), "each line by itself is in the log");
});

test("a number that is left out beyond the last line", async () => {
  const { city: town, resident } = city(4);
  town.leaves[4] = Buffer.alloc(66, 1);
  const footprint = resident.footprint();
  footprint.lines.splice(2);
  assert.deepEqual(findings(await verify(footprint, town.publish())), [["hidden", 3, 6], ["gap", 2]]);
});

test("a line said to stand elsewhere is unlogged there, and found where it is", async () => {
  const { city: town, resident } = city(4);
  const footprint = resident.footprint();
  footprint.lines[3].index -= 1;
  const result = await verify(footprint, town.publish());
  assert.equal(result.lines[3].reason.code, "unlogged");
  assert.deepEqual(findings(result), [["hidden", 3, 6]]);
});

test("lines hidden far beyond the last one are found up to 64 on", async () => {
  const { city: town, resident } = city(70);
  const footprint = resident.footprint();
  footprint.lines.splice(1);
  const result = await verify(footprint, town.publish());
  assert.deepEqual(findings(result).map(([, n]) => n), Array.from({ length: 64 }, (_, i) => i + 1));
});

test("numbers out of all proportion do not make the search endless", async () => {
  const { city: town, resident } = city(2);
  const footprint = resident.footprint();
  footprint.lines[1].n = Number.MAX_SAFE_INTEGER;
  const result = await verify(footprint, town.publish());
  assert.equal(result.state, "broken");
  assert.deepEqual(findings(result), [["hidden", 1, 2]]);
});

test("what happened after the page was made is newer, and hidden only if the server does not hand it out now", async () => {
  const { city: town, resident } = city(3);
  const page = { ...resident.footprint(), size: 6 };
  resident.use(AT + 10);
  const files = town.publish();
  const stale = await verify(page, files);
  assert.deepEqual([stale.state, ...findings(stale)], ["pending", ["newer", 3, 6]]);

  const handedOut = await verify(page, files, { reload: async () => resident.footprint() });
  assert.deepEqual([handedOut.state, ...findings(handedOut)], ["pending", ["newer"]]);
  assert.deepEqual(handedOut.lines.map(({ state }) => state), Array(4).fill("verified"));

  for (const answer of [page, { ...page, size: 0 }, { ...page, tagKey: "AAAA", vkey: "x" }]) {
    const withheld = await verify(page, files, { reload: async () => answer });
    assert.deepEqual([withheld.state, ...findings(withheld)], ["broken", ["hidden", 3, 6]]);
  }
  for (const answer of [Promise.reject(new Error("offline")), {}, null]) {
    answer?.catch?.(() => {});
    assert.equal((await verify(page, files, { reload: async () => answer })).state, "pending");
  }

  page.lines.pop();
  const older = await verify(page, files, { reload: async () => resident.footprint() });
  assert.deepEqual([older.state, ...findings(older)], ["broken", ["hidden", 2, 4], ["newer", 3, 6]], "what was public before is hidden, whatever is handed out later");
});

test("without a size, whatever is missing is hidden", async () => {
  const { city: town, resident } = city(3);
  const footprint = resident.footprint();
  resident.use(AT + 10);
  assert.deepEqual(findings(await verify(footprint, town.publish())), [["hidden", 3, 6]]);
});

/** A log too long to be read whole: lines in the first, in some middle and in the last bundle. */
function longCity() {
  const town = new City();
  const [resident, other] = [town.resident(), town.resident()];
  resident.use(AT);
  other.use(AT);
  town.fill(3000);
  resident.use(AT + 1);
  town.fill(3000);
  for (const who of [other, resident, resident]) who.use(AT + 2);
  return { town, resident, other, files: town.publish() };
}
const long = longCity();

const bundlesOf = (asked) => asked.filter((path) => path.includes("entries")).map((path) => Number(/entries\/(\d+)/.exec(path)[1]));
const indexOf = (asked) => asked.filter((path) => path.includes("tags"));

test("a long log is searched by its index, which is the same for everybody", async () => {
  const { resident, other, files } = long;
  const [hers, his] = [recorded(files), recorded(files)];
  const result = await verify(resident.footprint(), files, hers);
  assert.deepEqual(result.search, { state: "verified", searched: 6006, yours: 4, findings: [] });
  assert.equal((await verify(other.footprint(), files, his)).search.yours, 2);
  assert.deepEqual(indexOf(hers.asked), ["/log/tags/000 0-24024"]);
  assert.deepEqual(indexOf(hers.asked), indexOf(his.asked));
  for (const { asked } of [hers, his]) assert.equal(new Set(bundlesOf(asked)).size, 8);
});

test("a line hidden in a long log is confirmed among random bundles", async () => {
  const { resident, files } = long;
  const footprint = resident.footprint();
  footprint.lines.splice(2);
  const seen = new Set();
  for (let i = 0; i < 4; i += 1) {
    const { fetchBytes, asked } = recorded(files);
    const result = await verify(footprint, files, { fetchBytes });
    assert.deepEqual(findings(result), [["hidden", 2, 6004], ["hidden", 3, 6005]]);
    const bundles = bundlesOf(asked);
    assert.deepEqual([new Set(bundles).size, bundles.includes(23)], [8, true]);
    assert.deepEqual(bundles, bundles.toSorted((a, b) => a - b), "their order does not tell which one matters");
    bundles.forEach((bundle) => seen.add(bundle));
  }
  assert.ok(seen.size > 8, "others each time");
});

test("many suspects: as many random ones beside them", async () => {
  const town = new City();
  const resident = town.resident();
  for (let i = 0; i < 12; i += 1) {
    resident.use(AT + i);
    town.fill(1000);
  }
  const { fetchBytes, asked } = recorded(town.publish());
  const result = await verify({ ...resident.footprint(), lines: [] }, null, { fetchBytes });
  assert.equal(result.search.findings.length, 12);
  assert.equal(new Set(bundlesOf(asked)).size, 24);
});

const withIndex = (change) => {
  const index = new Uint8Array(long.files.get("/log/tags/000"));
  return new Map(long.files).set("/log/tags/000", change(index) ?? index);
};

test("an index that leaves something out is noticed where somebody looks, and always when all is read", async () => {
  const footprint = long.resident.footprint();
  footprint.lines.splice(3);
  const files = withIndex((index) => index.fill(0, 6005 * 4, 6006 * 4));
  let turn = 0;
  const looksAt = (first) => (below) => (turn++ === 0 ? first : turn % below);
  const lucky = await verify(footprint, files, { random: looksAt(23) });
  assert.deepEqual([lucky.state, ...findings(lucky)], ["broken", ["hidden", 3, 6005], ["index", 6005]]);
  turn = 0;
  const unlucky = await verify(footprint, files, { random: looksAt(0) });
  assert.equal(unlucky.state, "verified", "one reader alone may miss a lie about one entry");
  const whole = await verify(footprint, files, { whole: true });
  assert.deepEqual(findings(whole), [["hidden", 3, 6005], ["index", 6005]]);
});

test("an index that lies about a line that is shown, or about others, is noticed", async () => {
  const hers = await verify(long.resident.footprint(), withIndex((index) => index.fill(9, 3002 * 4, 3003 * 4)));
  assert.deepEqual(findings(hers), [["index", 3002]]);
  const all = await verify(long.resident.footprint(), withIndex((index) => index.map((byte) => byte ^ 1)));
  assert.equal(all.search.findings[0].code, "index");
  assert.ok(all.search.findings[0].leaves >= 8 * 100);
  assert.equal(all.state, "broken");
});

test("an index that is not there or too short leaves the log unsearched, and nothing else", async () => {
  const short = withIndex((index) => index.subarray(0, -4));
  const missing = new Map(long.files);
  missing.delete("/log/tags/000");
  for (const files of [short, missing]) {
    const result = await verify(long.resident.footprint(), files);
    assert.deepEqual([result.state, result.search.state, result.search.searched, ...findings(result)], ["pending", "pending", 0, ["unsearched"]]);
    assert.ok(result.lines.every(({ state }) => state === "verified"));
    if (files === missing) assert.equal((await verify(long.resident.footprint(), files, { whole: true })).state, "verified");
  }
});

test("a bundle that is not the log's is no evidence", async () => {
  const files = new Map(long.files);
  for (const path of files.keys()) if (path.includes("entries")) files.set(path, files.get(path).map((byte, i) => (i === 40 ? byte ^ 1 : byte)));
  const result = await verify(long.resident.footprint(), files);
  assert.deepEqual([result.state, ...findings(result)], ["broken", ["tile"]]);
});

test("a search goes on from where the last one found nothing wrong", async () => {
  const { town, resident } = longCity();
  const storage = memory();
  const first = recorded(town.publish());
  await verify(resident.footprint(), null, { ...first, storage });
  town.fill(5000);
  resident.use(AT + 20);
  const second = recorded(town.publish());
  const result = await verify(resident.footprint(), null, { ...second, storage });
  assert.deepEqual(indexOf(second.asked), [`/log/tags/000 ${23 * 256 * 4}-${11_007 * 4}`]);
  assert.ok(bundlesOf(second.asked).every((bundle) => bundle >= 23));
  assert.deepEqual([result.search.searched, result.search.yours], [11_007, 5]);

  const again = recorded(town.publish());
  await verify(resident.footprint(), null, { ...again, storage });
  assert.deepEqual([indexOf(again.asked), bundlesOf(again.asked)], [[], [42]]);
});

test("a line that was there at the last search and is hidden since is looked for where it was", async () => {
  const last = long.resident.footprint().lines.length - 1;
  for (const hide of [(lines) => lines.splice(last, 1), (lines) => lines.splice(0, 1), (lines) => lines.splice(0)]) {
    const storage = memory();
    assert.equal((await verify(long.resident.footprint(), long.files, { storage })).search.state, "verified");
    const footprint = long.resident.footprint();
    const hidden = hide(footprint.lines).length;
    const { search } = await verify(footprint, long.files, { storage });
    assert.deepEqual([search.state, search.findings.filter(({ code }) => code === "hidden").length], ["broken", hidden]);
  }
});

test("what was found wrong is found again", async () => {
  const storage = memory();
  const footprint = long.resident.footprint();
  footprint.lines.pop();
  for (let i = 0; i < 2; i += 1) assert.equal((await verify(footprint, long.files, { storage })).state, "broken");
  assert.equal([...storage.texts.keys()].filter((name) => name.startsWith("searched:")).length, 0);
});

test("more lines than were looked for, or a log that is not remembered: from the beginning", async () => {
  const { town, resident } = longCity();
  const storage = memory();
  await verify(resident.footprint(), town.publish(), { storage });
  for (let i = 0; i < 65; i += 1) resident.use(AT + 30 + i);
  const later = recorded(town.publish());
  await verify(resident.footprint(), null, { ...later, storage });
  assert.match(indexOf(later.asked)[0], / 0-/);
  storage.texts.delete(`checkpoint:${town.origin}`);
  const forgotten = recorded(town.publish());
  await verify(resident.footprint(), null, { ...forgotten, storage });
  assert.match(indexOf(forgotten.asked)[0], / 0-/);
  storage.texts.forEach((_, name) => name.startsWith("searched:") && storage.set(name, "junk"));
  const junk = recorded(town.publish());
  await verify(resident.footprint(), null, { ...junk, storage });
  assert.match(indexOf(junk.asked)[0], / 0-/);
});

test("another resident on the same computer starts for herself", async () => {
  const storage = memory();
  await verify(long.resident.footprint(), long.files, { storage });
  const other = recorded(long.files);
  await verify(long.other.footprint(), null, { ...other, storage });
  assert.match(indexOf(other.asked)[0], / 0-/);
});

test("the index has a file for each 65,536 entries", async () => {
  const town = new City();
  const resident = town.resident();
  town.fill(65_530);
  for (let i = 0; i < 10; i += 1) resident.use(AT + i);
  town.fill(70_000);
  const { fetchBytes, asked } = recorded(town.publish());
  const footprint = resident.footprint();
  footprint.lines.splice(5);
  const result = await verify(footprint, null, { fetchBytes });
  assert.deepEqual(findings(result), Array.from({ length: 5 }, (_, i) => ["hidden", 5 + i, 65_535 + i]));
  assert.deepEqual(indexOf(asked), ["/log/tags/000 0-262144", "/log/tags/001 0-262144", `/log/tags/002 0-${(135_540 - 131_072) * 4}`]);
});

test("at most so many entries at once, the newest, and it is not called all", async () => {
  const town = new City();
  const resident = town.resident();
  resident.use(AT);
  town.fill(140_000);
  resident.use(AT + 1);
  const storage = memory();
  const first = recorded(town.publish());
  const result = await verify(resident.footprint(), null, { ...first, storage, most: 80_000 });
  assert.deepEqual(indexOf(first.asked).map((asked) => asked.split(" ")[0]), ["/log/tags/001", "/log/tags/002"]);
  assert.deepEqual([result.state, result.size, result.search.searched], ["verified", 140_002, 140_002 - 65_536]);

  town.fill(5000);
  const second = recorded(town.publish());
  const later = await verify(resident.footprint(), null, { ...second, storage, most: 80_000 });
  assert.equal(indexOf(second.asked).length, 1);
  assert.equal(later.search.searched, 145_002 - 65_536, "what was not searched then was not searched now");
  const all = await verify(resident.footprint(), town.publish(), { most: 80_000, whole: true });
  assert.equal(all.search.searched, 145_002);
});

let server;
let ranged = true;
before(async () => {
  server = createServer((request, response) => {
    const bytes = long.files.get(request.url);
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
    if (!bytes) response.writeHead(request.url === "/log/broken" ? 500 : 404).end();
    else if (from && ranged) response.writeHead(206).end(bytes.subarray(+from, +to + 1));
    else response.end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});
after(() => server.close());

test("over HTTP, from a server with and without ranges", async () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const index = long.files.get("/log/tags/000");
  for (ranged of [true, false]) {
    assert.deepEqual(await fetchBytes(`${base}/log/tags/000`, 8, 24), index.subarray(8, 24));
    assert.deepEqual(await fetchBytes(`${base}/log/tags/000`), index);
    const footprint = { ...long.resident.footprint(), checkpointUrl: `${base}/log/checkpoint` };
    assert.equal((await verifyFootprint(footprint, { fetchBytes, nowMillis: NOW_MILLIS })).state, "verified");
    footprint.lines.pop();
    assert.equal((await verifyFootprint(footprint, { fetchBytes, nowMillis: NOW_MILLIS })).state, "broken");
  }
  assert.equal(await fetchBytes(`${base}/log/nothing`), null);
  await assert.rejects(fetchBytes(`${base}/log/broken`), { code: "unreachable" });
});

test("witnesses: how many of the policy's have co-signed, and a quorum that is not met", async () => {
  const { city: town, resident } = city(2);
  const all = ["a", "b", "c"].map((name) => witness(`${name}.example`));
  const policy = [...all.map(({ vkey }, i) => `witness w${i} ${vkey}`), "group g 2 w0 w1 w2", "quorum g", ""].join("\n");
  const footprint = { ...resident.footprint(), policy };
  town.witnesses = all.slice(0, 2);
  const met = await verify(footprint, town.publish());
  assert.deepEqual([met.state, met.witnesses], ["verified", { cosigned: 2, unsupported: 0, of: 3 }]);
  town.witnesses = all.slice(0, 1);
  const unmet = await verify(footprint, town.publish());
  assert.deepEqual([unmet.state, unmet.reason.code, unmet.witnesses.cosigned], ["pending", "quorum", 1]);
  assert.ok(unmet.lines.every(({ state }) => state === "verified"));
  const mlDsa = vector("notes/mldsa44-cosignature-generated.json").cases[0].vkey;
  const both = `witness a ${all[0].vkey}\nwitness q ${mlDsa}\ngroup g all a q\nquorum g\n`;
  const half = await verify({ ...footprint, policy: both }, town.publish());
  assert.deepEqual([half.state, half.reason.code, half.witnesses], ["pending", "quorum", { cosigned: 1, unsupported: 0, of: 2 }]);
  const malformed = await verify({ ...footprint, policy: "quorum" }, town.publish());
  assert.deepEqual([malformed.state, malformed.reason.code], ["broken", "policy"]);
  assert.equal((await verify(resident.footprint(), town.publish())).witnesses, null);
});
