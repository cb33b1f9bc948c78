// What a resident does in her browser.
import { addAuthenticator, openPage } from "./browser.js";

/** A browser of a fresh resident who enrolled with a clerk's code. */
export async function enrolled(browser, city) {
  const visit = await openPage(browser, { baseURL: city.url });
  await addAuthenticator(visit.page);
  await visit.page.goto("/demo/clerk");
  await visit.page.getByTestId("print-code").click();
  const code = await visit.page.getByTestId("invitation-code").innerText();
  await visit.page.goto("/enrol");
  await visit.page.fill("#code", code.toLowerCase().replaceAll("-", " "));
  await visit.page.getByTestId("make-passkey").click();
  await visit.page.waitForURL("**/me");
  return { ...visit, code };
}

/** Signs in to the sample library and agrees. */
export async function agree(city, page) {
  await page.goto(city.sampleLibrary);
  await page.getByTestId("sign-in").click();
  await page.waitForURL("**/oidc/authorize**");
  await page.getByTestId("agree").click();
  await page.waitForURL(`${city.sampleLibrary}/`);
}

/** Lets the sample library ask for a block. */
export async function read(city, page) {
  await page.goto(city.sampleLibrary);
  await page.getByTestId("read-block").click();
}

/** Opens the footprint and waits until the browser has checked every line. The newest line comes first. */
export async function checked(city, page) {
  await page.goto(`${city.url}/me/footprint`);
  await page.waitForFunction(
    () => {
      const rows = [...document.querySelectorAll("[data-line]")];
      return rows.length > 0 && rows.every((row) => ["verified", "broken"].includes(row.getAttribute("data-proof") ?? ""));
    },
    undefined,
    { timeout: 40_000 },
  );
  const rows = page.locator("[data-line]");
  return rows.evaluateAll((rows) =>
    rows.map((row) => ({
      n: Number(row.getAttribute("data-line")), proof: row.getAttribute("data-proof"), reason: row.getAttribute("data-proof-reason"), text: row.textContent,
    })),
  );
}

/** An insider serves hash tiles in which one bit is another, whatever checkpoint they belong to. */
export async function editTiles(context) {
  await context.route("**/log/tile/0/**", async (route) => {
    const answer = await route.fetch();
    const bytes = await answer.body();
    if (bytes.length > 0) bytes[bytes.length - 1] ^= 1;
    await route.fulfill({ response: answer, body: bytes });
  });
}
