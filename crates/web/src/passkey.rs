//! Passkeys: enrolment with a clerk's code, sign-in without a name, both WebAuthn ceremonies.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use i18n_embed_fl::fl;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usufruct_app::store::passkeys::Passkey as StoredPasskey;
use usufruct_app::{CEREMONY_SECONDS, CeremonyKind, Earlier, Error, OpenCeremony, passkey_label};
use usufruct_core::Text;
use usufruct_core::id::ServiceId;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Uuid,
};

use crate::Site;
use crate::ceremonies::{Browser, KnownBrowser};
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::session::{Device, MaybeResident, cookie};
use crate::site::blocking;

/// A passkey that is being made.
#[derive(Serialize, Deserialize)]
struct Registration {
    resident: u64,
    /// Invitation code; absent when a signed-in resident adds a device.
    code: Option<String>,
    /// Whether every way in from before is to go.
    removes_earlier: bool,
    state: PasskeyRegistration,
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/sign-in", get(sign_in_page))
        .route("/enrol", get(enrol_page))
        .route("/webauthn/register/start", post(start_register))
        .route("/webauthn/register/finish", post(finish_register))
        .route("/webauthn/sign-in/start", post(start_sign_in))
        .route("/webauthn/sign-in/finish", post(finish_sign_in))
        .route("/webauthn/freeze/start", post(start_freeze))
        .route("/webauthn/freeze/finish", post(finish_freeze))
}

/// Where requests of services wait for a sign-in.
const AUTHORIZE: &str = "/oidc/authorize?";

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage {
    page: Page,
    next: String,
    /// Whether a service waits behind it.
    is_for_service: bool,
    /// How to do without the pass there; empty where no service waits that the register knows.
    alternatives: Vec<Text>,
    /// What certificate cards are called here; none where they are not taken.
    certificate_card: Option<Text>,
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    page: Page,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn sign_in_page(State(site): State<Arc<Site>>, page: Page, Query(next): Query<Next>) -> Response {
    let next = own_path(&site, &next.next);
    let certificate_card = site.card_place.as_ref().map(|place| place.name.clone());
    let alternatives = waiting_service(&next).and_then(|id| {
        let register = site.app.register();
        register.services.get(&id).map(|entry| entry.body.alternatives.clone())
    });
    let is_for_service = next.starts_with(AUTHORIZE);
    show(&SignInPage { page, is_for_service, alternatives: alternatives.unwrap_or_default(), next, certificate_card })
}

/// The service whose request waits at this path.
fn waiting_service(next: &str) -> Option<ServiceId> {
    let query = next.strip_prefix(AUTHORIZE)?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(field, _)| field == "client_id")?.1.parse().ok()
}

async fn enrol_page(page: Page) -> Response {
    show(&EnrolPage { page })
}

#[derive(Deserialize)]
struct StartRegister {
    /// Invitation code; absent when a signed-in resident adds a device.
    code: Option<String>,
    /// `remove` when the passkeys from before are to go.
    earlier: Option<String>,
}

#[derive(Serialize)]
struct Started {
    ceremony: String,
    options: Value,
    /// How long it may take.
    seconds: i64,
}

async fn start_register(
    State(site): State<Arc<Site>>,
    MaybeResident(session): MaybeResident,
    browser: Browser,
    Json(start): Json<StartRegister>,
) -> Result<impl IntoResponse, Fault> {
    let removes_earlier = start.earlier.as_deref() == Some("remove");
    let (resident, code) = match (start.code, session) {
        (Some(code), _) => {
            let asked = code.clone();
            (blocking(&site, move |app| app.invited(&asked)).await?, Some(code))
        }
        (None, Some(session)) if session.is_fresh(site.app.now()) => (session.resident, None),
        (None, Some(_)) => return Err(Error::NotFresh.into()),
        (None, None) => return Err(Fault::malformed("An invitation code is needed. Type the code that a clerk gave you.")),
    };
    let (handle, known) = blocking(&site, move |app| Ok((app.user_handle(resident)?, app.passkeys(resident)?))).await?;
    let exclude = known.into_iter().map(|passkey| passkey.credential).collect();
    let (challenge, state) = site
        .webauthn
        .start_passkey_registration(Uuid::from_bytes(handle), "City Pass", "City Pass", Some(exclude))
        .map_err(|_| Fault::internal())?;
    let mut options = serde_json::to_value(&challenge).map_err(|_| Fault::internal())?["publicKey"].take();
    // Sign-in asks for no name, so the credential must be one the device can find by itself.
    options["authenticatorSelection"]["residentKey"] = json!("required");
    options["authenticatorSelection"]["requireResidentKey"] = json!(true);
    // Some devices evaluate a PRF only for passkeys that were made for it.
    options["extensions"]["prf"] = json!({});
    let registration = Registration { resident, code, removes_earlier, state };
    let ceremony = browser.begin(&site, CeremonyKind::Register, &registration).await?;
    Ok(([(SET_COOKIE, browser.cookie(&site))], Json(Started { ceremony, options, seconds: CEREMONY_SECONDS })))
}

#[derive(Deserialize)]
struct FinishRegister {
    ceremony: String,
    credential: Value,
    #[serde(default)]
    label: String,
}

async fn finish_register(
    State(site): State<Arc<Site>>,
    MaybeResident(session): MaybeResident,
    browser: KnownBrowser,
    device: Device,
    Json(finish): Json<FinishRegister>,
) -> Result<Response, Fault> {
    refuse_prf(&finish.credential)?;
    let opened = browser.open::<Registration>(&site, CeremonyKind::Register, finish.ceremony).await?;
    let (Registration { resident, code, removes_earlier, state }, ceremony) = opened.ok_or_else(lapsed)?;
    let credential: RegisterPublicKeyCredential = serde_json::from_value(finish.credential).map_err(|_| failed())?;
    let passkey = site.webauthn.finish_passkey_registration(&credential, &state).map_err(|_| failed())?;
    let stored = StoredPasskey {
        credential: passkey.cred_id().to_vec(),
        resident,
        passkey: serde_json::to_string(&passkey).map_err(|_| Fault::internal())?,
        label: passkey_label(&finish.label),
        added_at: site.app.now(),
        used_at: None,
    };
    spend(&site, ceremony).await?;
    let Some(code) = code else {
        let session = session.ok_or_else(lapsed)?;
        blocking(&site, move |app| app.add_passkey(&session, &stored)).await?;
        return Ok(Json(json!({ "next": "/me/account/devices" })).into_response());
    };
    let earlier = if removes_earlier { Earlier::Remove } else { Earlier::Keep };
    let token = blocking(&site, move |app| app.redeem_and_sign_in(&code, &stored, earlier, session.as_ref(), &device.0)).await?;
    Ok(([(SET_COOKIE, cookie(&site, &token))], Json(json!({ "next": "/me" }))).into_response())
}

async fn start_sign_in(State(site): State<Arc<Site>>, browser: Browser) -> Result<impl IntoResponse, Fault> {
    start_proof(&site, &browser, CeremonyKind::SignIn).await
}

async fn start_freeze(State(site): State<Arc<Site>>, browser: Browser) -> Result<impl IntoResponse, Fault> {
    start_proof(&site, &browser, CeremonyKind::Freeze).await
}

/// Asks for whichever passkey the device has, for this and nothing else.
async fn start_proof(site: &Arc<Site>, browser: &Browser, kind: CeremonyKind) -> Result<impl IntoResponse + use<>, Fault> {
    let (challenge, state) = site.webauthn.start_discoverable_authentication().map_err(|_| Fault::internal())?;
    // The page says whether its button or its field asks, so the mediation of the library is left out.
    let options = serde_json::to_value(&challenge).map_err(|_| Fault::internal())?["publicKey"].take();
    let ceremony = browser.begin(site, kind, &state).await?;
    Ok(([(SET_COOKIE, browser.cookie(site))], Json(Started { ceremony, options, seconds: CEREMONY_SECONDS })))
}

#[derive(Deserialize)]
struct FinishSignIn {
    ceremony: String,
    credential: Value,
    #[serde(default)]
    next: String,
}

async fn finish_sign_in(
    State(site): State<Arc<Site>>,
    MaybeResident(session): MaybeResident,
    browser: KnownBrowser,
    device: Device,
    Json(finish): Json<FinishSignIn>,
) -> Result<Response, Fault> {
    let next = own_path(&site, &finish.next);
    let (stored, updated) = proven(&site, browser, CeremonyKind::SignIn, finish).await?;
    let token = blocking(&site, move |app| app.prove_passkey(&stored, &updated, session.as_ref(), &device.0)).await?;
    let mut response = Json(json!({ "next": next })).into_response();
    if let Some(token) = token {
        response.headers_mut().insert(SET_COOKIE, cookie(&site, &token));
    }
    Ok(response)
}

/// "This was not me", shown by a passkey: nobody is signed in by it.
async fn finish_freeze(
    State(site): State<Arc<Site>>,
    MaybeResident(session): MaybeResident,
    browser: KnownBrowser,
    Json(finish): Json<FinishSignIn>,
) -> Result<Response, Fault> {
    let (stored, _) = proven(&site, browser, CeremonyKind::Freeze, finish).await?;
    blocking(&site, move |app| {
        app.freeze(stored.resident)?;
        // The cookie goes in any case, whoever was signed in by it.
        session.map_or(Ok(()), |session| app.close_session(&session))
    })
    .await?;
    let gone = [(SET_COOKIE, cookie(&site, ""))];
    Ok((gone, Json(json!({ "next": "/freeze?done=yes" }))).into_response())
}

/// The passkey that proved itself, and how it is to be kept from now on.
async fn proven(
    site: &Arc<Site>,
    browser: KnownBrowser,
    kind: CeremonyKind,
    finish: FinishSignIn,
) -> Result<(StoredPasskey, String), Fault> {
    refuse_prf(&finish.credential)?;
    let opened = browser.open::<DiscoverableAuthentication>(site, kind, finish.ceremony).await?;
    let (state, ceremony) = opened.ok_or_else(lapsed)?;
    let credential: PublicKeyCredential = serde_json::from_value(finish.credential).map_err(|_| failed())?;
    let id = credential.get_credential_id().to_vec();
    let found = blocking(site, move |app| match app.passkey(&id)? {
        Some(stored) => Ok(Some((app.user_handle(stored.resident)?, stored))),
        None => Ok(None),
    });
    let (handle, stored) = found.await?.ok_or_else(failed)?;
    // Nobody has said yet who she is, so the device has to (WebAuthn 7.2, 6).
    if credential.get_user_unique_id() != Some(handle.as_slice()) {
        return Err(failed());
    }
    let mut passkey: Passkey = serde_json::from_str(&stored.passkey).map_err(|_| Fault::internal())?;
    let result = site.webauthn.finish_discoverable_authentication_v2(&credential, state, &passkey).map_err(|_| failed())?;
    passkey.update_credential(&result);
    let updated = serde_json::to_string(&passkey).map_err(|_| Fault::internal())?;
    spend(site, ceremony).await?;
    Ok((stored, updated))
}

/// Uses up a ceremony in which a passkey has proven itself, before anything is done by it.
pub(crate) async fn spend(site: &Arc<Site>, ceremony: OpenCeremony) -> Result<(), Fault> {
    let is_first = blocking(site, move |app| app.spend_ceremony(&ceremony)).await?;
    if is_first { Ok(()) } else { Err(lapsed()) }
}

/// A path on this site, or the resident's front page. Nothing else, so that sign-in leads nowhere foreign.
pub(crate) fn own_path(site: &Site, next: &str) -> String {
    if is_own_path(&site.settings.issuer, next) { next.to_owned() } else { "/me".to_owned() }
}

/// Whether a browser that stands on a page of the issuer is led to another page of it. Browsers read `\` as `/` and leave out tabs and
/// ends of lines, so `/<tab>/evil.example` is another site.
fn is_own_path(issuer: &str, next: &str) -> bool {
    let is_plain =
        next.starts_with('/') && next.len() <= 16_000 && !next.contains(|letter: char| letter == '\\' || letter.is_control());
    let led = url::Url::parse(issuer).and_then(|issuer| Ok((issuer.join(next)?.origin(), issuer.origin())));
    is_plain && led.is_ok_and(|(led, own)| led == own)
}

/// The output of the PRF extension is a key that must never leave the page.
fn refuse_prf(credential: &Value) -> Result<(), Fault> {
    let results = &credential["clientExtensionResults"];
    if results["prf"]["results"].is_null() && results["hmacGetSecret"].is_null() {
        Ok(())
    } else {
        Err(Fault::malformed("The request holds a secret of the device that must stay there. Reload the page and try again."))
    }
}

pub(crate) fn lapsed() -> Fault {
    Fault::malformed("This attempt has lapsed or was finished before. Start again.")
}

fn failed() -> Fault {
    Fault::unauthenticated("The passkey did not prove itself. Try again, or ask a counter for help.")
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn sign_in_leads_nowhere_foreign() {
        for issuer in ["https://pass.example.org", "http://localhost:8080"] {
            for own in ["/", "/me/footprint?x=1", "/oidc/authorize?redirect_uri=https%3A%2F%2Flibrary.example%2F%09"] {
                assert!(is_own_path(issuer, own), "{own}");
            }
            for foreign in [
                "",
                "me",
                "https://evil.example",
                "//evil.example",
                "///evil.example",
                "/\\evil.example",
                "javascript:alert(1)",
                "/a\nb",
                "/\t/evil.example",
                "\t//evil.example",
                "/\r/evil.example",
                "/\0/evil.example",
                "/\u{85}/evil.example",
                "//localhost:8081/",
            ] {
                assert!(!is_own_path(issuer, foreign), "{foreign:?}");
            }
        }
    }
}
