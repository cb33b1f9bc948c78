// @ts-check
// The two WebAuthn ceremonies: making a passkey with an invitation code, and signing in with one.

/** @param {string} path @param {unknown} body */
async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

/** The credential as JSON, without the output of the PRF extension, which is a key of the resident's alone. */
function withoutSecrets(/** @type {any} */ credential) {
  const json = credential.toJSON();
  if (json.clientExtensionResults?.prf) delete json.clientExtensionResults.prf.results;
  return json;
}

/** @param {HTMLFormElement} form */
async function enrol(form) {
  const code = form.elements.namedItem("code");
  const start = await post("/webauthn/register/start", code instanceof HTMLInputElement ? { code: code.value } : {});
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(start.options);
  const credential = await navigator.credentials.create({ publicKey });
  const label = /Android|iPhone|iPad|Mac|Windows|Linux/.exec(navigator.userAgent)?.[0] ?? "";
  return post("/webauthn/register/finish", { ceremony: start.ceremony, credential: withoutSecrets(credential), label });
}

/** @param {HTMLFormElement} form */
async function signIn(form) {
  const start = await post("/webauthn/sign-in/start", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(start.options);
  const credential = await navigator.credentials.get({ publicKey });
  return post("/webauthn/sign-in/finish", {
    ceremony: start.ceremony,
    credential: withoutSecrets(credential),
    next: form.dataset.next ?? "",
  });
}

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-passkey]"))) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = /** @type {HTMLElement} */ (form.querySelector("[data-status]"));
    const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
    status.textContent = form.dataset.working ?? "";
    button.disabled = true;
    try {
      const { next } = await (form.dataset.passkey === "sign-in" ? signIn(form) : enrol(form));
      location.assign(next);
    } catch (error) {
      status.textContent = `${form.dataset.failed} ${error instanceof TypeError || !(error instanceof Error) ? "" : error.message}`;
      button.disabled = false;
      button.focus();
    }
  });
}
