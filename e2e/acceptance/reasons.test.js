// Every line about a use has one sentence of its mandate and a link to the law (Belgium, Estonia, Denmark and Norway).
import assert from "node:assert/strict";
import { acceptance, read } from "../lib/acceptance.js";
import { signIn } from "../lib/service.js";

const PERSONAS = ["chou-yi-ching", "chen-a-man", "wu-chin-tsai"];

const { city, part } = acceptance("reasons");

const plain = (html) => html.replace(/<[^>]*>/g, " ").replaceAll("&#39;", "'").replaceAll("&#x27;", "'").replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll("&#38;", "&").replace(/\s+/g, " ").trim();

/** The lines of a page: what each says, and where its links lead. */
const linesOf = (html) =>
  [...html.matchAll(/<tr data-line="(\d+)"[\s\S]*?<\/tr>/g)].map(([row, n]) => ({
    n, why: plain(/<td[^>]*>[\s\S]*?<\/td>/g.exec(row.slice(row.search(/<td[^>]*data-label="(Why|為何|[^"]*原因[^"]*|[^"]*理由[^"]*)"/)))?.[0] ?? row),
    row: plain(row),
    mandate: /href="\/register\/mandates\/([^"]+)"/.exec(row)?.[1],
    links: [...row.matchAll(/href="([^"]+)"/g)].map(([, href]) => href.replaceAll("&amp;", "&").replaceAll("&#38;", "&")),
    isOfSomebody: row.includes("Object or ask") || row.includes("提出異議或詢問"),
  }));

part("every-line", async () => {
  const mandates = await (await fetch(`${city.url}/register/mandates.json`)).json();
  const of = (id) => (Array.isArray(mandates) ? mandates.find((one) => one.id === id) : mandates[id]).body;
  let seen = 0;
  for (const persona of PERSONAS) {
    const cookie = await signIn(city, persona);
    for (const lang of ["en", "zh-Hant"]) {
      const { status, html } = await read(city, "/me/footprint", cookie, lang);
      assert.equal(status, 200);
      for (const line of linesOf(html).filter(({ isOfSomebody }) => isOfSomebody)) {
        assert.ok(line.mandate, `${persona}, line ${line.n} leads to its mandate`);
        const { reasons, purpose, legal_basis: law } = of(line.mandate);
        const sentences = [...reasons.map(({ text }) => text[lang]), purpose.sentence[lang]];
        const said = sentences.find((sentence) => line.row.includes(sentence.replace(/\s+/g, " ")));
        assert.ok(said, `${persona}, line ${line.n} says ${line.row}`);
        assert.match(said, /^[^.。]*(?:[.;。][^.。]*)?[.。]$/, "a sentence");
        assert.ok(line.links.includes(law.url), `${persona}, line ${line.n}: ${line.links}`);
        seen += 1;
      }
    }
  }
  assert.ok(seen >= 30, `${seen} lines`);
});
