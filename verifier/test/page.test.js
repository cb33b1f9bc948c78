// The page glue on a stand-in for the DOM that has attributes and text and nothing else: no innerHTML to fall back on.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { run } from "../page.js";
import { servedFiles } from "../manifest.mjs";
import { City, fetchFrom, witness } from "./support.js";

const documentElement = { lang: "en" };

class Element {
  attributes = new Map();
  children = [];
  textContent = "";
  ownerDocument = { documentElement };
  constructor(attributes = {}, parent = null) {
    for (const [name, value] of Object.entries(attributes)) this.attributes.set(name, value);
    this.parent = parent;
  }
  getAttribute = (name) => this.attributes.get(name) ?? null;
  setAttribute = (name, value) => void this.attributes.set(name, value);
  closest = () => this.parent;
  toggleAttribute = (name, on) => void (on ? this.attributes.set(name, "") : this.attributes.delete(name));
  querySelector = () => this.child;
  append = (...children) => void this.children.push(...children);
  replaceChildren = (...children) => void (this.children = children);
}

function pageFor(footprint) {
  const table = new Element({
    "data-text-verified": "VERIFIED", "data-text-pending": "PENDING", "data-text-broken": "BROKEN", "data-reason-gap": "MISSING LINES",
  });
  const rows = footprint.lines.map(() => Object.assign(new Element({}, table), { child: new Element() }));
  const ids = {
    "footprint-data": Object.assign(new Element({ "data-reload": "/me/footprint.json" }), { textContent: JSON.stringify(footprint) }),
    "proof-summary": new Element({
      "data-text-verified": "{verified} of yours verified.", "data-text-broken": "{broken} wrong.", "data-text-searched": "{searched} searched, {yours} yours.",
      "data-text-witnesses": "{cosigned} of {witnesses} co-signed.", "data-reason-hidden": "HIDDEN!", "data-reason-newer": "NEWER!",
    }),
    "proof-evidence": new Element({ hidden: "", "data-evidence-hidden": "Line {n} is entry {index}." }),
  };
  const row = (selector) => rows[footprint.lines.findIndex(({ n }) => selector === `[data-line="${n}"]`)] ?? null;
  const page = { documentElement, createElement: () => new Element(), getElementById: (id) => ids[id] ?? null, querySelector: row };
  return { ...page, rows, summary: ids["proof-summary"], evidence: ids["proof-evidence"] };
}

/** Serves `files` by fetch and remembers in a localStorage, for the time of `body`. */
async function withBrowser(getFiles, body) {
  const notes = new Map();
  const storage = { getItem: (key) => notes.get(key) ?? null, setItem: (key, value) => notes.set(key, value) };
  Object.defineProperty(globalThis, "localStorage", { value: storage, configurable: true });
  const { fetch } = globalThis;
  globalThis.fetch = async (path) => {
    const bytes = await fetchFrom(getFiles())(path);
    return new Response(bytes, { status: bytes ? 200 : 404 });
  };
  try {
    await body(notes);
  } finally {
    globalThis.fetch = fetch;
    delete globalThis.localStorage;
  }
}

const proof = (row) => [row.getAttribute("data-proof"), row.child.textContent];

test("rows and summary say what was found", async () => {
  const city = new City();
  const resident = city.resident();
  for (let i = 0; i < 3; i += 1) resident.use(Date.now() * 1000);
  await withBrowser(() => city.publish(), async (notes) => {
    const page = pageFor(resident.footprint());
    await run(page);
    assert.deepEqual(page.rows.map(proof), Array(3).fill(["verified", "VERIFIED"]));
    assert.equal(page.summary.textContent, "3 of yours verified. 3 searched, 3 yours.");
    assert.deepEqual([page.evidence.children, page.evidence.getAttribute("hidden")], [[], ""]);
    assert.equal(page.summary.getAttribute("data-proof"), "verified");
    assert.match(notes.get(`usufruct-checkpoint:${city.origin}`), /\n3\n/);

    const footprint = resident.footprint();
    footprint.lines.splice(1, 1);
    const gap = pageFor(footprint);
    await run(gap);
    assert.deepEqual(gap.rows.map(proof), [["verified", "VERIFIED"], ["broken", "BROKEN MISSING LINES"]]);
    assert.equal(gap.rows[1].getAttribute("data-proof-reason"), "gap");
  });
});

test("a pending line is checked again until it is published", async () => {
  const city = new City();
  const resident = city.resident();
  resident.use(Date.now() * 1000);
  resident.use(Date.now() * 1000);
  let files = city.publish(1);
  await withBrowser(() => files, async () => {
    const page = pageFor(resident.footprint());
    const done = run(page);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.deepEqual(page.rows.map(proof), [["verified", "VERIFIED"], ["pending", "PENDING"]]);
    files = city.publish();
    await done;
    assert.deepEqual(page.rows.map(proof), [["verified", "VERIFIED"], ["verified", "VERIFIED"]]);
  });
});

test("a hidden line is loud, with evidence", async () => {
  const city = new City();
  const resident = city.resident();
  for (let i = 0; i < 3; i += 1) resident.use(Date.now() * 1000);
  await withBrowser(() => city.publish(), async () => {
    const page = pageFor({ ...resident.footprint(), lines: resident.footprint().lines.slice(0, 2) });
    await run(page);
    assert.deepEqual(page.rows.map(proof), Array(2).fill(["verified", "VERIFIED"]));
    assert.deepEqual([page.summary.textContent, page.summary.getAttribute("data-proof"), page.summary.getAttribute("role")], ["HIDDEN!", "broken", "alert"]);
    assert.deepEqual(page.evidence.children.map(({ textContent }) => textContent), ["Line 2 is entry 2."]);
    assert.equal(page.evidence.getAttribute("hidden"), null);
  });
});

test("a page that is older than the log asks for the footprint as it is now", async () => {
  const city = new City();
  const resident = city.resident();
  for (let i = 0; i < 3; i += 1) resident.use(Date.now() * 1000);
  const footprint = { ...resident.footprint(), lines: resident.footprint().lines.slice(0, 2), size: 2 };
  const json = (value) => new Uint8Array(Buffer.from(JSON.stringify(value)));
  for (const [answer, state, words] of [[resident.footprint(), "pending", "NEWER!"], [footprint, "broken", "HIDDEN!"]]) {
    await withBrowser(() => new Map([...city.publish(), ["/me/footprint.json", json(answer)]]), async () => {
      const page = pageFor(footprint);
      await run(page);
      assert.equal(page.summary.getAttribute("data-proof"), state);
      assert.ok(page.summary.textContent.includes(words), page.summary.textContent);
    });
  }
});

test("witnesses are counted on the page", async () => {
  const city = new City();
  const resident = city.resident();
  resident.use(Date.now() * 1000);
  city.witnesses = [witness("w.example")];
  const policy = `witness w ${city.witnesses[0].vkey}\nwitness v ${witness("v.example").vkey}\nquorum w\n`;
  await withBrowser(() => city.publish(), async () => {
    const page = pageFor({ ...resident.footprint(), policy });
    await run(page);
    assert.equal(page.summary.textContent, "1 of yours verified. 1 searched, 1 yours. 1 of 2 co-signed.");
  });
});

test("a forked log is loud", async () => {
  const city = new City();
  const resident = city.resident();
  resident.use(Date.now() * 1000);
  let files = city.publish();
  await withBrowser(() => files, async () => {
    await run(pageFor(resident.footprint()));
    city.leaves[0] = Buffer.alloc(66);
    files = city.publish();
    const page = pageFor(resident.footprint());
    await run(page);
    assert.equal(page.rows[0].getAttribute("data-proof"), "broken");
    assert.equal(page.summary.getAttribute("role"), "alert");
    assert.match(page.summary.textContent, /forked/);
    assert.equal(page.evidence.children.length, 2, "both checkpoints are shown");
    assert.match(page.evidence.children[1].children[0].textContent, /^city\.example\/log\n1\n/);
  });
});

test("a shorter log is looked at again before it is called rewound", async () => {
  const city = new City();
  const resident = city.resident();
  resident.use(Date.now() * 1000);
  resident.use(Date.now() * 1000);
  let files = city.publish();
  await withBrowser(() => files, async () => {
    await run(pageFor(resident.footprint()));
    files = city.publish(1);
    const page = pageFor(resident.footprint());
    const done = run(page);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(page.rows[0].getAttribute("data-proof"), null);
    files = city.publish();
    await done;
    assert.equal(page.summary.getAttribute("data-proof"), "verified");
  });
});

test("no module writes HTML or evaluates text", () => {
  for (const name of servedFiles()) {
    const source = readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|import\(["'`]http/, name);
  }
});
