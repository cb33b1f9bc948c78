// @ts-check
// The WebAuthn ceremonies: making a passkey, signing in with one by button or from the field, freezing the pass with one; and
// telling the device which passkeys are left.

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
  const earlier = form.elements.namedItem("earlier");
  const label = form.elements.namedItem("label");
  const start = await post("/webauthn/register/start", {
    ...(code instanceof HTMLInputElement && { code: code.value }),
    ...(earlier instanceof HTMLInputElement && earlier.checked && { earlier: "remove" }),
  });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(start.options);
  const credential = await navigator.credentials.create({ publicKey });
  const system = /Android|iPhone|iPad|Mac|Windows|Linux/.exec(navigator.userAgent)?.[0] ?? "";
  return post("/webauthn/register/finish", {
    ceremony: start.ceremony,
    credential: withoutSecrets(credential),
    label: (label instanceof HTMLInputElement && label.value.trim()) || system,
  });
}

/** @type {AbortController | undefined} */
let waiting;

/** @param {HTMLFormElement} form @param {"conditional" | "optional"} mediation */
async function prove(form, mediation = "optional") {
  const start = await post("/webauthn/sign-in/start", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(start.options);
  waiting?.abort();
  waiting = new AbortController();
  const credential = await navigator.credentials.get({ publicKey, mediation, signal: waiting.signal });
  return post(`/webauthn/${form.dataset.passkey}/finish`, {
    ceremony: start.ceremony,
    credential: withoutSecrets(credential),
    next: form.dataset.next ?? "",
  });
}

/** The browser offers passkeys in the field itself. Whatever goes wrong here, the button is still there. @param {HTMLFormElement} form */
async function offerInField(form) {
  if (!form.querySelector("[autocomplete~=webauthn]")) return;
  if (!(await globalThis.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  try {
    location.assign((await prove(form, "conditional")).next);
  } catch {
    // Chosen by the button instead, or not at all.
  }
}

/** After a removal the device is told which passkeys still open the pass (WebAuthn 3, Signal API). */
function signalAccepted(/** @type {HTMLElement} */ told) {
  const { signalHost, signalUser, signalAccepted } = told.dataset;
  /** @type {any} */ (globalThis.PublicKeyCredential)
    ?.signalAllAcceptedCredentials?.({
      rpId: signalHost,
      userId: signalUser,
      allAcceptedCredentialIds: (signalAccepted ?? "").split(" ").filter(Boolean),
    })
    .catch(() => {});
}

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-passkey]"))) {
  if (form.dataset.passkey === "sign-in") offerInField(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = /** @type {HTMLElement} */ (form.querySelector("[data-status]"));
    const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
    status.textContent = form.dataset.working ?? "";
    button.disabled = true;
    try {
      const { next } = await (form.dataset.passkey === "enrol" ? enrol(form) : prove(form));
      location.assign(next);
    } catch (error) {
      status.textContent = `${form.dataset.failed} ${error instanceof TypeError || !(error instanceof Error) ? "" : error.message}`;
      button.disabled = false;
      button.focus();
    }
  });
}

const told = document.querySelector("[data-signal-user]");
if (told instanceof HTMLElement) signalAccepted(told);
