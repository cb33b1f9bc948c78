//! Devices: the passkeys that open the pass, the card, and where somebody is signed in now.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::{CertificateCardView, SessionView};
use usufruct_core::{Text, Time};

use super::see;
use crate::Site;
use crate::certificate_card::{Purpose, errand};
use crate::fault::Fault;
use crate::form::{Checked, Empty, Proven};
use crate::headers::policy_with_form_target;
use crate::page::{Page, show};
use crate::session::{Fresh, Resident};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    page: Page,
    passkeys: Vec<ShownPasskey>,
    sessions: Vec<SessionView>,
    /// When each card was issued and last used.
    cards: Vec<(Time, Option<Time>)>,
    certificate_cards: Vec<CertificateCardView>,
    /// What certificate cards are called here; none where they are not taken.
    certificate_card: Option<Text>,
    codes: i64,
    /// Whether the only passkey is the only way back.
    is_last: bool,
    /// How many of the codes open the footprint key.
    codes_with_key: usize,
    /// The pass as passkeys know it, base64url.
    pass: String,
    signal: Option<Signal>,
}

struct ShownPasskey {
    /// Credential id, base64url.
    credential: String,
    label: String,
    added_at: Time,
    used_at: Option<Time>,
    /// Whether it keeps the footprint key too.
    keeps_key: bool,
}

/// What the browser is told after a removal, so that the device forgets the passkey too (WebAuthn 3, Signal API).
struct Signal {
    host: String,
    user: String,
    accepted: String,
}

#[derive(Template)]
#[template(path = "add-device.html")]
struct AddPage {
    page: Page,
}

#[derive(Deserialize)]
pub(crate) struct Changed {
    removed: Option<String>,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(changed): Query<Changed>,
) -> Result<Response, Fault> {
    let resident = session.resident;
    let (passkeys, sessions, cards, certificate_cards, codes, handle, wraps) = blocking(&site, move |app| {
        Ok((
            app.passkeys(resident)?,
            app.sessions(&session)?,
            app.cards(resident)?,
            app.certificate_cards(resident)?,
            app.recovery_codes_left(resident)?,
            app.user_handle(resident)?,
            app.footprint_wraps(resident)?,
        ))
    })
    .await?;
    let passkeys: Vec<_> = passkeys
        .into_iter()
        .map(|passkey| {
            let keeps_key = wraps.passkeys.iter().any(|(credential, _)| *credential == passkey.credential);
            shown(passkey, keeps_key)
        })
        .collect();
    let pass = URL_SAFE_NO_PAD.encode(handle);
    let signal = changed.removed.is_some().then(|| Signal {
        host: host(&site),
        user: pass.clone(),
        accepted: passkeys.iter().map(|passkey| passkey.credential.as_str()).collect::<Vec<_>>().join(" "),
    });
    let is_last = passkeys.len() == 1 && codes == 0;
    let certificate_card = site.card_place.as_ref().map(|place| place.name.clone());
    let codes_with_key = wraps.codes.len();
    let shown = DevicesPage {
        page,
        passkeys,
        sessions,
        cards,
        certificate_cards,
        certificate_card,
        codes,
        is_last,
        codes_with_key,
        pass,
        signal,
    };
    let mut response = show(&shown);
    if let Some(place) = &site.card_place {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy_with_form_target(&place.origin));
    }
    Ok(response)
}

pub(crate) async fn add(page: Page, Fresh(_): Fresh) -> Response {
    show(&AddPage { page })
}

#[derive(Deserialize)]
pub(crate) struct Named {
    credential: String,
    label: String,
}

pub(crate) async fn rename(State(site): State<Arc<Site>>, Checked(session, form): Checked<Named>) -> Result<Response, Fault> {
    let credential = credential(&form.credential)?;
    blocking(&site, move |app| app.rename_passkey(session.herself()?, &credential, &form.label)).await?;
    see("/me/account/devices")
}

#[derive(Deserialize)]
pub(crate) struct Chosen {
    credential: String,
}

pub(crate) async fn remove(State(site): State<Arc<Site>>, Proven(session, form): Proven<Chosen>) -> Result<Response, Fault> {
    let credential = credential(&form.credential)?;
    blocking(&site, move |app| app.remove_passkey(&session, &credential)).await?;
    see("/me/account/devices?removed=yes")
}

#[derive(Deserialize)]
pub(crate) struct ChosenSession {
    session: String,
}

pub(crate) async fn close_session(
    State(site): State<Arc<Site>>,
    Checked(session, form): Checked<ChosenSession>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.close_session_named(&session, &form.session)).await?;
    see("/me/account/devices")
}

pub(crate) async fn revoke_cards(
    State(site): State<Arc<Site>>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.revoke_cards(session.herself()?)).await?;
    see("/me/account/devices")
}

#[derive(Deserialize)]
pub(crate) struct Label {
    label: String,
}

/// Sends her to show the card. What she shows is registered when she comes back.
pub(crate) async fn add_certificate_card(
    State(site): State<Arc<Site>>,
    Proven(session, form): Proven<Label>,
) -> Result<Response, Fault> {
    let purpose = Purpose::Register { form_token: session.form_token, label: form.label };
    see(&errand(&site, purpose).await?)
}

#[derive(Deserialize)]
pub(crate) struct ChosenCard {
    card: String,
}

pub(crate) async fn remove_certificate_card(
    State(site): State<Arc<Site>>,
    Checked(session, form): Checked<ChosenCard>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.remove_certificate_card(session.herself()?, &form.card)).await?;
    see("/me/account/devices")
}

fn shown(passkey: Passkey, keeps_key: bool) -> ShownPasskey {
    ShownPasskey {
        credential: URL_SAFE_NO_PAD.encode(&passkey.credential),
        label: passkey.label,
        added_at: passkey.added_at,
        used_at: passkey.used_at,
        keeps_key,
    }
}

fn credential(text: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::bad_form())
}

/// The relying party of passkeys.
fn host(site: &Site) -> String {
    let issuer = url::Url::parse(&site.settings.issuer).ok();
    issuer.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
