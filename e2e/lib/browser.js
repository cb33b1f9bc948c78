// Debian's Chromium, driven by playwright-core without downloads; and what a page did wrong while a test looked at it.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PROGRAMS = [process.env.USUFRUCT_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-features=Translate,MediaRouter",
];

export async function openBrowser() {
  const executablePath = PROGRAMS.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("There is no Chromium. Install the Debian package chromium.");
  return chromium.launch({ executablePath, args: FLAGS });
}

/**
 * A page in a fresh profile. `problems` collects policy violations, script errors and answers of 500 or more.
 * @param {import("playwright-core").Browser} browser
 * @param {{lang?: "en" | "zh-Hant", dark?: boolean, width?: number, javaScript?: boolean, baseURL?: string}} [options]
 */
export async function openPage(browser, { lang = "en", dark = false, width = 1100, javaScript = true, baseURL } = {}) {
  const context = await browser.newContext({
    baseURL,
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: javaScript,
    locale: lang === "en" ? "en-GB" : "zh-TW",
    reducedMotion: "reduce",
    viewport: { width, height: 800 },
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  /** @type {string[]} */
  const problems = [];
  page.on("console", (message) => {
    if (/content security policy|trusted ?type|refused to/i.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 500) problems.push(`${response.status()} ${response.url()}`);
  });
  return { context, page, problems };
}

/**
 * A virtual authenticator with a resident key, user verification and PRF. It answers at once when the sign-in page offers passkeys in
 * its field, before anybody could press the button, so the page is told that this browser cannot offer them unless `offers` says so.
 * @param {import("playwright-core").Page} page @param {{offers?: boolean, hasPrf?: boolean}} [options]
 */
export async function addAuthenticator(page, { offers = false, hasPrf = true } = {}) {
  if (!offers) {
    await page.addInitScript(() => {
      if (globalThis.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false;
    });
  }
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable", { enableUI: false });
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      hasPrf, isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  const credentials = async () => (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
  return { cdp, authenticatorId, credentials };
}
