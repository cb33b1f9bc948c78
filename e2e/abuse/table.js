#!/usr/bin/env node
// Writes docs/abuse.md: `node abuse/table.js`. With --print it goes to the screen.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { STORIES } from "./stories.js";

export const FILE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs", "abuse.md");

const HEAD = `# Abuse drills

What happened elsewhere, what is tried here with real credentials, and how it ends. Every attempt is a test in [\`e2e/abuse\`](../e2e/abuse), played by programs and browsers
against a running city with the keys of officials, the keys and tokens of services and, where it fits, the database of the operator; \`script/test abuse\` plays them all. An attempt
either is **impossible** (the test names the refusal) or **visible** to the resident and in public within 60 seconds (the test measures both). Where the product does not do that
yet it says **open**, with the reason, and its test is marked as not done. This page is written by \`node e2e/abuse/table.js\`, and a test compares it.

`;

/** The page. */
export function page() {
  const rows = STORIES.flatMap(({ id, title, sources, attempts }) =>
    Object.values(attempts).map(({ attempt, outcome, ends, hole }, i) => {
      const story = i === 0 ? `[${title}](#${id})` : "";
      const source = i === 0 ? sources.map(([name, url]) => `[${name}](${url})`).join("; ") : "";
      return `| ${story} | ${source} | ${attempt} | **${hole ? "open" : outcome}**. ${ends} |`;
    }),
  );
  const table = ["| story | source | attempt | outcome |", "|---|---|---|---|", ...rows].join("\n");
  return `${HEAD}${table}\n\n${STORIES.map(section).join("\n")}`;
}

function section({ id, title, happened, attempts, limit }) {
  const lines = Object.values(attempts).map(({ attempt, fails, hole }) => {
    const why = hole ? ` Open, because ${hole}.` : "";
    return `- *${attempt}*: fails if ${fails}.${why}`;
  });
  const stays = limit ? `\nNot stopped: ${limit}\n` : "";
  return `<a id="${id}"></a>
## ${title}

${happened}

What would make the tests of [\`${id}.test.js\`](../e2e/abuse/${id}.test.js) fail:

${lines.join("\n")}
${stays}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--print")) process.stdout.write(page());
  else writeFileSync(FILE, page());
}
