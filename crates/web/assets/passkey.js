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

/** @param {HTMLFormElement} form */
const begin = (form) => post(`/webauthn/${form.dataset.passkey}/start`, {});

/** @param {HTMLFormElement} form @param {any} start @param {CredentialRequestOptions} [how] */
async function chosen(form, start, how) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(start.options);
  const credential = await navigator.credentials.get({ publicKey, ...how });
  return { ceremony: start.ceremony, credential: withoutSecrets(credential), next: form.dataset.next ?? "" };
}

/** @param {HTMLFormElement} form @param {unknown} proof */
const finish = (form, proof) => post(`/webauthn/${form.dataset.passkey}/finish`, proof);

/** By the button. What the field offers ends, since a browser asks for one thing at a time. @param {HTMLFormElement} form */
async function prove(form) {
  offer.abort();
  return finish(form, await chosen(form, await begin(form)));
}

/** Ends what the field offers. */
const offer = new AbortController();

/**
 * The browser offers passkeys in the field itself, for as long as the page is looked at: before a ceremony lapses another one takes its
 * place. Until she chooses one, whatever goes wrong is nothing to her, since the button is still there. @param {HTMLFormElement} form
 */
async function offerInField(form) {
  if (!form.querySelector("[autocomplete~=webauthn]")) return;
  if (!(await globalThis.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  while (!offer.signal.aborted) {
    await lookedAt();
    const proof = await offered(form);
    if (!proof) continue;
    try {
      location.assign((await finish(form, proof)).next);
    } catch (error) {
      tellFailure(form, error);
    }
    return;
  }
}

/** What she chose in the field; nothing when it is time for another ceremony. @param {HTMLFormElement} form */
async function offered(form) {
  try {
    const start = await begin(form);
    const lapsing = AbortSignal.timeout(start.seconds * LAPSING_AFTER);
    return await chosen(form, start, { mediation: "conditional", signal: AbortSignal.any([offer.signal, lapsing]) });
  } catch (error) {
    const isOver = error instanceof DOMException && (error.name === "AbortError" || error.name === "TimeoutError");
    if (!isOver) await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

/** Milliseconds for each second that a ceremony may take: the rest is for her to choose and for the answer to arrive. */
const LAPSING_AFTER = 800;
/** Milliseconds until passkeys are offered again after that was not possible. */
const PAUSE = 60_000;

/** Until the page is in front. */
async function lookedAt() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

/** @param {HTMLFormElement} form @param {unknown} error */
function tellFailure(form, error) {
  const status = /** @type {HTMLElement} */ (form.querySelector("[data-status]"));
  status.textContent = `${form.dataset.failed} ${error instanceof TypeError || !(error instanceof Error) ? "" : error.message}`;
  form.querySelector("button")?.focus();
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
      button.disabled = false;
      tellFailure(form, error);
    }
  });
}

const told = document.querySelector("[data-signal-user]");
if (told instanceof HTMLElement) signalAccepted(told);
