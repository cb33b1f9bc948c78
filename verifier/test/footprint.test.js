import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";
import { verifyFootprint } from "../index.js";
import { REASONS } from "../reasons.js";
import { City, encodeCbor, fetchFrom, memory, publish, signer } from "./support.js";

const AT = 1_760_000_000_000_000;
const NOW_MILLIS = AT / 1000 + 1000;

/** Three residents whose lines lie across two full tiles and a partial one. */
function city() {
  const city = new City();
  const residents = [city.resident(), city.resident(), city.resident()];
  for (let i = 0; i < 603; i += 1) residents[i % 3].use(AT + i);
  return { city, residents, files: city.publish(), footprint: residents[1].footprint() };
}
const shared = city();

const verify = (footprint, files, options = {}) =>
  verifyFootprint(footprint, { fetchBytes: fetchFrom(files), nowMillis: NOW_MILLIS, ...options });

const codes = (result) => [...new Set(result.lines.map((line) => line.reason?.code))];
const broken = (result) => result.lines.filter((line) => line.state === "broken").map((line) => [line.n, line.reason.code]);

/** Verifies a footprint after `change`, which may edit it. */
async function changed(change, options) {
  const footprint = structuredClone(shared.footprint);
  change(footprint.lines);
  return verify(footprint, shared.files, options);
}

/** The same bytes, one changed. */
function flip(bytes, at = 0) {
  const copy = new Uint8Array(bytes);
  copy[at] ^= 1;
  return copy;
}
const flipBase64 = (encoded, at) => Buffer.from(flip(Buffer.from(encoded, "base64"), at)).toString("base64");

test("every reason has words", () => {
  for (const [code, text] of Object.entries(REASONS)) assert.match(text, /^[A-Z].*\.$/, code);
});

test("all residents verify", async () => {
  for (const resident of shared.residents) {
    const result = await verify(resident.footprint(), shared.files);
    assert.equal(result.state, "verified");
    assert.equal(result.reason, null);
    assert.equal(result.size, 603);
    assert.equal(result.lines.length, 201);
    assert.deepEqual(codes(result), [undefined]);
    assert.equal(result.lines[7].event.service, "svc_library");
  }
});

test("lines verify in any order, and a resident without lines verifies", async () => {
  assert.equal((await changed((lines) => lines.reverse())).state, "verified");
  const bystander = shared.city.resident().footprint();
  assert.equal((await verify(bystander, shared.files)).state, "verified");
  const empty = new City();
  assert.equal((await verify(empty.resident().footprint(), empty.publish())).state, "verified");
});

test("a line without service and mandate may show null or nothing", async () => {
  const city = new City();
  const resident = city.resident();
  resident.use(AT);
  const footprint = resident.footprint();
  const map = (await verify(footprint, city.publish())).lines[0].event;
  assert.ok(map.mandate);
  footprint.lines[0].shown.mandate = null;
  assert.deepEqual(broken(await verify(footprint, city.publish())), [[0, "shown"]]);
});

test("an edited event, opening, tag key or index is broken", async () => {
  // The reason "loan" stands near the end: change a letter of it, and nothing that is shown.
  const edit = (lines) => {
    const at = Buffer.from(lines[90].event, "base64").indexOf("loan");
    lines[90].event = flipBase64(lines[90].event, at);
  };
  assert.deepEqual(broken(await changed(edit)), [[90, "unlogged"]]);
  assert.deepEqual(broken(await changed((lines) => (lines[90].r = flipBase64(lines[90].r, 3)))), [[90, "unlogged"]]);
  assert.deepEqual(broken(await changed((lines) => (lines[90].index += 1))), [[90, "unlogged"]]);
  const other = { ...shared.footprint, tagKey: flipBase64(shared.footprint.tagKey, 0) };
  assert.deepEqual(codes(await verify(other, shared.files)), ["unlogged"]);
});

test("bytes in no known form are broken, not a crash", async () => {
  for (const value of ["", "AA==", "****", 7, {}, undefined, "A"]) {
    for (const field of ["event", "r"]) {
      assert.deepEqual(broken(await changed((lines) => (lines[5][field] = value))), [[5, "malformed"]], `${field} ${value}`);
    }
  }
  for (const value of [null, -1, 1.5, "5", undefined]) {
    assert.deepEqual(broken(await changed((lines) => (lines[5].index = value))), [[5, "malformed"]]);
    assert.equal((await changed((lines) => (lines[5].n = value))).state, "broken");
  }
  assert.equal((await changed((lines) => delete lines[5].shown)).state, "broken");
});

test("a line that cannot be opened says so", async () => {
  for (const field of ["event", "r"]) {
    const result = await changed((lines) => (lines[200][field] = null));
    assert.deepEqual(broken(result), [[200, "unopened"]]);
    assert.equal(result.lines[200].reason.text, "The stored line can no longer be opened; it was changed or removed.");
  }
});

test("a missing line is a gap, at the start and in the middle", async () => {
  const middle = await changed((lines) => lines.splice(100, 2));
  assert.deepEqual(broken(middle), [[102, "gap"]]);
  assert.deepEqual([middle.lines[100].reason.from, middle.lines[100].reason.to], [100, 101]);
  assert.equal(middle.state, "broken");
  assert.deepEqual(broken(await changed((lines) => lines.splice(0, 1))), [[1, "gap"]]);
});

test("two lines of one number are both broken", async () => {
  const result = await changed((lines) => lines.push(structuredClone(lines[40])));
  assert.deepEqual(broken(result), [[40, "duplicate"], [40, "duplicate"]]);
});

test("a line may not carry another's number", async () => {
  assert.ok(broken(await changed((lines) => (lines[41].n = 40))).length > 0);
  const swapped = await changed((lines) => ([lines[40].n, lines[41].n] = [41, 40]));
  assert.deepEqual(broken(swapped).sort(), [[40, "number"], [41, "number"]]);
});

test("a line that does not follow the one before it is broken", async () => {
  const city = new City();
  const [resident, other] = [city.resident(), city.resident()];
  for (const at of [AT, AT + 1, AT + 2]) resident.use(at);
  other.use(AT, new Map([[3, new Uint8Array(32)]]));
  const forged = new City();
  const twin = forged.resident();
  twin.use(AT);
  twin.use(AT + 1, new Map([[3, new Uint8Array(32)]]));
  assert.deepEqual(broken(await verify(twin.footprint(), forged.publish())), [[1, "chain"]]);
  assert.deepEqual(broken(await verify(other.footprint(), city.publish())), [[0, "chain"]], "number 0 follows nothing");
});

test("each shown field must be the committed one", async () => {
  const edits = {
    kind: "refusal", mandate: "00".repeat(32), service: "svc_clinic", at: String(AT), blocks: ["blk_name:value"],
  };
  for (const [field, value] of Object.entries(edits)) {
    for (const other of [value, null, undefined]) {
      const result = await changed((lines) => (lines[60].shown[field] = other));
      assert.deepEqual(broken(result), [[60, "shown"]], field);
      assert.equal(result.lines[60].reason.field, field);
    }
  }
  const joined = await changed((lines) => (lines[60].shown.blocks = [lines[60].shown.blocks.join("\n")]));
  assert.deepEqual(broken(joined), [[60, "shown"]]);
});

test("an edited tile is broken", async () => {
  for (const path of ["/log/tile/0/000", "/log/tile/0/001", "/log/tile/0/002.p/91", "/log/tile/1/000.p/2"]) {
    const files = new Map(shared.files);
    assert.ok(files.has(path), path);
    files.set(path, flip(files.get(path), 40));
    const result = await verify(shared.footprint, files);
    assert.equal(result.state, "broken", path);
    assert.ok(broken(result).some(([, code]) => code === "tile"), path);
  }
  const missing = new Map(shared.files);
  missing.delete("/log/tile/0/001");
  const codesOfMissing = broken(await verify(shared.footprint, missing)).map(([, code]) => code);
  assert.deepEqual([...new Set(codesOfMissing)], ["tile"]);
});

test("a fresh line is pending, then verified; an old one that is not published is broken", async () => {
  const { city, residents, files } = await shiftedCity();
  const footprint = residents[0].footprint();
  const fresh = await verify(footprint, files);
  assert.equal(fresh.state, "pending");
  assert.deepEqual(fresh.lines.map(({ state }) => state), ["verified", "pending"]);
  assert.equal(fresh.lines[1].reason.code, "unpublished");
  const late = await verify(footprint, files, { nowMillis: NOW_MILLIS + 61_000 });
  assert.deepEqual(broken(late), [[1, "overdue"]]);
  assert.deepEqual(broken(await verify(footprint, files, { nowMillis: NOW_MILLIS - 120_000 })), [[1, "overdue"]], "dated ahead");
  assert.equal((await verify(footprint, city.publish())).state, "verified");
});

async function shiftedCity() {
  const city = new City();
  const residents = [city.resident(), city.resident()];
  residents[0].use(AT);
  residents[1].use(AT);
  const files = city.publish();
  residents[0].use(AT + 1);
  return { city, residents, files };
}

test("known lines are not looked up again, and the rest of them is still checked", async () => {
  const { city, residents } = await shiftedCity();
  const footprint = residents[0].footprint();
  const files = city.publish();
  const known = new Set([0]);
  const missing = new Map(files);
  const tileOfLines = [...files.keys()].find((path) => path.includes("tile/0/"));
  missing.delete(tileOfLines);
  assert.deepEqual((await verify(footprint, missing, { known })).lines.map(({ state }) => state), ["verified", "broken"]);
  footprint.lines[0].shown.kind = "refusal";
  assert.deepEqual(broken(await verify(footprint, files, { known })), [[0, "shown"]]);
});

test("a checkpoint signed with another key breaks everything", async () => {
  const files = publish(shared.city.leaves, signer(shared.city.origin), shared.city.origin);
  const result = await verify(shared.footprint, files);
  assert.equal(result.state, "broken");
  assert.equal(result.reason.code, "signature");
  assert.deepEqual(codes(result), ["signature"]);
});

test("a checkpoint of another log or in no known form breaks everything", async () => {
  const other = publish(shared.city.leaves, shared.city.key, "another.example/log");
  assert.deepEqual(codes(await verify(shared.footprint, other)), ["signature"]);
  assert.deepEqual(codes(await verify({ ...shared.footprint, origin: "another.example/log" }, other)), ["checkpoint"]);
  const files = new Map(shared.files).set("/log/checkpoint", Buffer.from("<html>"));
  assert.deepEqual(codes(await verify(shared.footprint, files)), ["note"]);
  const vkey = shared.footprint.vkey.replace("+", "+0");
  assert.deepEqual(codes(await verify({ ...shared.footprint, vkey }, shared.files)), ["vkey"]);
});

test("a log that does not answer leaves lines pending, but still shows what is wrong without it", async () => {
  const fetchBytes = async () => Promise.reject(new Error("offline"));
  const result = await changed((lines) => (lines[3].shown.kind = "refusal"), { fetchBytes });
  assert.equal(result.reason.code, "unreachable");
  assert.deepEqual(broken(result), [[3, "shown"]]);
  assert.equal(result.lines[4].state, "pending");
  const halfway = async (path) => (path.endsWith("checkpoint") ? fetchFrom(shared.files)(path) : fetchBytes());
  assert.deepEqual(codes(await changed(() => {}, { fetchBytes: halfway })), ["unreachable"]);
});

test("the last checkpoint is remembered, and the log may only grow", async () => {
  const { city, footprint } = shared;
  const storage = memory();
  for (const size of [1, 255, 256, 300, 602, 603, 603]) {
    await verify(footprint, city.publish(size), { storage });
    assert.match(storage.get(`checkpoint:${city.origin}`), new RegExp(`\n${size}\n`));
  }
  assert.equal((await verify(footprint, city.publish(), { storage })).state, "verified");

  const rewound = await verify(footprint, city.publish(602), { storage });
  assert.equal(rewound.state, "broken");
  assert.equal(rewound.reason.code, "rewound");
  assert.deepEqual(codes(rewound), ["rewound"]);
  assert.equal(rewound.reason.evidence.length, 2);
  assert.match(storage.get(`checkpoint:${city.origin}`), /\n603\n/, "the larger checkpoint stays remembered");
});

test("a forked log is named as one, also when it is signed well", async () => {
  const { city, footprint } = shared;
  for (const size of [1, 300, 603]) {
    const storage = memory();
    await verify(footprint, city.publish(size), { storage });
    const remembered = storage.get(`checkpoint:${city.origin}`);
    const leaves = [...city.leaves];
    leaves[0] = Buffer.alloc(66);
    const forked = await verify(footprint, publish(leaves, city.key, city.origin), { storage });
    assert.equal(forked.reason.code, "forked", `from ${size}`);
    assert.deepEqual(codes(forked), ["forked"]);
    assert.equal(storage.get(`checkpoint:${city.origin}`), remembered);
  }
});

test("a bad tile is not called a fork, and an unreadable memory is not held against the log", async () => {
  const { city, footprint, files } = shared;
  const storage = memory();
  await verify(footprint, city.publish(300), { storage });
  const bad = new Map(files);
  bad.set("/log/tile/0/001", flip(files.get("/log/tile/0/001"), 45 * 32));
  assert.equal((await verify(footprint, bad, { storage })).reason.code, "tile");
  storage.set(`checkpoint:${city.origin}`, "junk");
  assert.equal((await verify(footprint, files, { storage })).state, "verified");
});

/** A resident with one line whose matter is closed for `micros`, and what opens it. */
function closedLine(micros, matter = ["enquiry"]) {
  const city = new City();
  const resident = city.resident();
  const [r, encoded] = [randomBytes(32), encodeCbor(matter)];
  const length = Buffer.alloc(4);
  length.writeUInt32BE(encoded.length);
  const commitment = createHmac("sha256", r).update("usufruct/matter/v1").update(length).update(encoded).digest();
  resident.use(AT, new Map([[8, ""], [17, [commitment, AT + micros]]]));
  return { files: city.publish(), footprint: resident.footprint(), opened: Buffer.concat([r, encoded]).toString("base64") };
}
const HOUR = 3_600_000_000;

test("a matter that is closed is no fault before its day, and open on it", async () => {
  const { files, footprint, opened } = closedLine(HOUR);
  const before = await verify(footprint, files);
  assert.deepEqual([before.state, before.lines[0].event.reason, before.lines[0].event.closed[1]], ["verified", "", AT + HOUR]);
  footprint.lines[0].matter = opened;
  const after = await verify(footprint, files, { nowMillis: (AT + 2 * HOUR) / 1000 });
  assert.deepEqual([after.state, after.lines[0].event.reason], ["verified", "enquiry"]);
});

test("a matter that is not shown on its day is said to be withheld, and a false one is broken", async () => {
  const { files, footprint } = closedLine(HOUR);
  const late = await verify(footprint, files, { nowMillis: (AT + 2 * HOUR) / 1000 });
  assert.deepEqual([late.state, late.lines[0].reason.code, late.lines[0].event.reason], ["pending", "withheld", ""]);
  for (const matter of [closedLine(HOUR).opened, closedLine(HOUR, ["enquiry", "svc_wills"]).opened]) {
    footprint.lines[0].matter = matter;
    assert.deepEqual(broken(await verify(footprint, files)), [[0, "matter"]]);
  }
  footprint.lines[0].matter = "AAAA";
  assert.equal((await verify(footprint, files)).state, "broken");
});

test("a line that tells its reason has no matter to open", async () => {
  const [line] = structuredClone(shared.footprint.lines);
  const { opened } = closedLine(HOUR);
  const result = await changed((lines) => Object.assign(lines[0], { matter: opened }));
  assert.deepEqual(broken(result).slice(0, 1), [[line.n, "matter"]]);
});

test("a refused request that gave no reason of the mandate is told once its empty matter is", async () => {
  const { files, footprint, opened } = closedLine(HOUR, [""]);
  footprint.lines[0].matter = opened;
  assert.equal((await verify(footprint, files, { nowMillis: (AT + 2 * HOUR) / 1000 })).state, "verified");
});
