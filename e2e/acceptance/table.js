// The page docs/acceptance.md: `node acceptance/run.js --write` makes it of a run; without one the seconds stay as they are.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TESTS } from "./tests.js";

export const FILE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs", "acceptance.md");

const HEAD = `# Acceptance tests

Where the systems of other cities and countries failed, and what must hold here instead. Each is a test in [\`e2e/acceptance\`](../e2e/acceptance), played by programs and browsers against
a running city with the keys of officials and services, and, where it fits, with the operator's database; \`script/test acceptance\` plays them all. A part that the product cannot do yet
is **open**: its test is played, fails, and is counted as not done, with the reason below. This page is written by \`node e2e/acceptance/run.js --write\`, and a test compares all of it but
the seconds.

`;

/** What the table says of a part. @param {import("./tests.js").Part} part @param {boolean} [holds] what came of it, when it was played */
export const outcome = (part, holds = !part.open) => (holds ? "holds" : part.open ? "open" : "failed");

/** The page. @param {Map<string, string>} seconds of each part, by test and key */
export function page(seconds) {
  const rows = TESTS.flatMap(({ id, title, parts }, i) =>
    Object.entries(parts).map(([key, part], j) => {
      const test = j === 0 ? `${i + 1}. [${title}](../e2e/acceptance/${id}.test.js)` : "";
      const says = part.open ? `**open**: ${part.open}. It would hold: ${part.holds}` : `**holds**. ${part.holds}`;
      return `| ${test} | ${part.done} | ${says} | ${seconds.get(`${id} ${key}`) ?? ""} |`;
    }),
  );
  const why = TESTS.map(({ title, elsewhere }, i) => `${i + 1}. *${title}.* ${elsewhere}`);
  return `${HEAD}${["| test | what is done | outcome | seconds |", "|---|---|---|---|", ...rows].join("\n")}

## Whose failures these are

${why.join("\n")}

## What they do not show

- The draw of test 2 has a thousand people here (\`USUFRUCT_ENTRANTS=10000\` plays it with ten thousand); with ten thousand it is played on SQLite and without a network in \`crates/app/tests/tallies.rs\`.
- One decision about many is a line for each of them with the number of the batch, not one line with a Merkle root over all: the log grows by as many entries as there are people. [Why that promises no less](law.md#batches).
- The insider of test 3 has the database and the log of one server. What one who also has the keys of the log can do is said in the [threat model](threat-model.md).
`;
}

/** The seconds that the page has now. */
export function written() {
  const seconds = new Map();
  if (!existsSync(FILE)) return seconds;
  const rows = readFileSync(FILE, "utf8").split("\n").filter((line) => /^\| .* \|$/.test(line)).slice(1);
  const keys = TESTS.flatMap(({ id, parts }) => Object.keys(parts).map((key) => `${id} ${key}`));
  rows.forEach((row, i) => {
    const said = /\| ([\d.]+) \|$/.exec(row);
    if (said && keys[i]) seconds.set(keys[i], said[1]);
  });
  return seconds;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(FILE, page(written()));
