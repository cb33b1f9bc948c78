// Axe on a page under our strict policy: its source is evaluated by the debugger, which no page policy stops.
import { readFileSync } from "node:fs";

const source = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** The rules whose outcome changes with the colours alone. */
export const COLOUR = ["color-contrast", "link-in-text-block"];

/**
 * What axe finds wrong, one line each.
 * @param {import("playwright-core").Page} page @param {string[]} [only] the rules to look at, where not at all of them @returns {Promise<string[]>}
 */
export async function violations(page, only) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(source);
  const runOnly = only ? { type: "rule", values: only } : { type: "tag", values: TAGS };
  const found = await page.evaluate((rules) => globalThis.axe.run(document, { runOnly: rules, resultTypes: ["violations"] }), runOnly);
  return found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`);
}

/** How far the page is wider than the window, in pixels. @param {import("playwright-core").Page} page */
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
