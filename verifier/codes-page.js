// @ts-check
// Recovery codes that are made in the page. The server gets a hash of the part of each that signs in, and the footprint key wrapped
// under the rest; when a code is typed, it gets that part. It never has the code itself.
import { codeHash, freshCode, isOwnCode, keyOfCode, signInPart, toBase64url, base64url, wrap } from "./key.js";
import { Told, keyFromVault, send } from "./key-page.js";

const CODES = 10;

/** @param {Uint8Array} pass @param {string} formToken */
async function makeCodes(pass, formToken) {
  const key = await keyFromVault(formToken);
  const codes = Array.from({ length: CODES }, () => freshCode());
  const stored = await Promise.all(
    codes.map(async (code) => {
      const id = await codeHash(code);
      const sealed = await wrap(key, await keyOfCode(code), { pass, means: "code", id });
      return `${toBase64url(id)}.${toBase64url(sealed)}`;
    }),
  );
  key.fill(0);
  await send("/me/account/recovery/own", { form_token: formToken, codes: stored.join(" ") });
  return codes;
}

/** @param {HTMLFormElement} form */
function makeHere(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = /** @type {HTMLElement} */ (form.querySelector("[data-status]"));
    const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
    const token = /** @type {HTMLInputElement} */ (form.elements.namedItem("form_token"));
    button.disabled = true;
    try {
      const codes = await makeCodes(base64url(form.dataset.pass ?? ""), token.value);
      show(form.ownerDocument, codes);
    } catch (error) {
      const why = error instanceof Told ? form.dataset.textStale : error instanceof Error && !(error instanceof TypeError) ? error.message : "";
      status.textContent = [form.dataset.textFailed, why].filter(Boolean).join(" ");
      button.disabled = false;
    }
  });
}

/** @param {Document} page @param {string[]} codes */
function show(page, codes) {
  const items = codes.map((code) => {
    const [item, text] = [page.createElement("li"), page.createElement("code")];
    text.textContent = code;
    item.append(text);
    return item;
  });
  page.querySelector("[data-codes]")?.replaceChildren(...items);
  page.querySelector("[data-before]")?.toggleAttribute("hidden", true);
  const after = page.querySelector("[data-after]");
  after?.toggleAttribute("hidden", false);
  if (after instanceof HTMLElement) after.focus();
}

/** Sends the part that signs in, in place of the code. @param {HTMLFormElement} form */
function sendPart(form) {
  form.addEventListener("submit", async (event) => {
    const typed = /** @type {HTMLInputElement} */ (form.elements.namedItem("code"));
    if (!isOwnCode(typed.value)) return;
    event.preventDefault();
    const part = form.ownerDocument.createElement("input");
    Object.assign(part, { type: "hidden", name: "code", value: await signInPart(typed.value) });
    typed.removeAttribute("name");
    form.append(part);
    form.submit();
  });
}

if (typeof document !== "undefined" && globalThis.crypto?.subtle) {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-own-codes]"))) makeHere(form);
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-recovery-code]"))) sendPart(form);
}
