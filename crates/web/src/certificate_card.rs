//! Certificate cards: from this site to the listener where a card is shown, and back.
//!
//! The listener makes no session. It notes what a handshake proved for the ceremony that the browser brings, and sends the browser
//! back with a ticket. What is noted counts only in the browser that left, which has a cookie or a session to show for it, and only
//! with the ticket: so nobody is signed in by a card that somebody else was talked into showing, nor as somebody else.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, SET_COOKIE};
use axum::middleware::{self, Next as Further};
use axum::response::Response;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use i18n_embed_fl::fl;
use serde::{Deserialize, Serialize};
use usufruct_app::{CeremonyKind, Error, OpenCeremony, ProvenCertificate};
use usufruct_core::Text;
use usufruct_core::hash::equal;
use usufruct_core::ports::random;

use crate::fault::{self, Fault};
use crate::page::{Page, show};
use crate::passkey::{lapsed, own_path};
use crate::portal::see;
use crate::session::{Device, ErrandMark, MaybeResident, cookie, errand_cookie};
use crate::site::{CardPlace, attempt, blocking};
use crate::{Site, ceremonies, headers, limits};

/// What a card is shown for, and in which browser.
#[derive(Serialize, Deserialize)]
pub(crate) enum Purpose {
    SignIn { errand: String, next: String },
    Register { form_token: String, label: String },
}

/// Who calls the listener for cards.
#[derive(Clone)]
pub struct CardCaller {
    pub address: SocketAddr,
    /// What the handshake proved; none where no card was shown.
    pub proven: Option<Arc<ProvenCertificate>>,
}

impl fmt::Debug for CardCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardCaller")
    }
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/sign-in/certificate", get(page))
        .route("/sign-in/certificate/start", get(start))
        .route("/sign-in/certificate/finish", get(finish))
}

/// What the listener for cards serves, and it serves nothing else. Each request has the `ConnectInfo` of a [`CardCaller`].
pub fn card_router(site: Arc<Site>) -> Router {
    Router::new()
        .route(SHOW, get(show_card))
        .fallback(fault::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&site), limits::by_address))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), headers::secure))
        .layer(middleware::from_fn(note_address))
        .with_state(site)
}

/// The address of a browser's errand: where it shows a card, for this purpose.
pub(crate) async fn errand(site: &Arc<Site>, purpose: Purpose) -> Result<String, Fault> {
    let place = place(site)?;
    // The listener for cards is another host perhaps and sees no cookie of this one, so the purpose itself says which browser it is.
    let ceremony = ceremonies::begin(site, CeremonyKind::Card, String::new(), &purpose).await?;
    Ok(format!("{}{SHOW}?ceremony={ceremony}", place.origin))
}

fn place(site: &Site) -> Result<&CardPlace, Fault> {
    site.card_place.as_ref().ok_or_else(|| Fault::not_found("page"))
}

#[derive(Template)]
#[template(path = "certificate-card.html")]
struct CertificateCardPage {
    page: Page,
    name: Text,
    next: String,
    failure: Option<Failure>,
}

/// Why no card opened anything.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    NoCard,
    Unknown,
    Lapsed,
}

impl Failure {
    /// The page that says so.
    fn page(self) -> &'static str {
        match self {
            Self::NoCard => "/sign-in/certificate?failure=no-card",
            Self::Unknown => "/sign-in/certificate?failure=unknown",
            Self::Lapsed => "/sign-in/certificate?failure=lapsed",
        }
    }
}

impl Page {
    /// Why no card opened anything, in words.
    fn card_failure(&self, failure: &Failure) -> String {
        match failure {
            Failure::NoCard => fl!(self.messages, "certificate-card-none"),
            Failure::Unknown => fl!(self.messages, "certificate-card-unknown"),
            Failure::Lapsed => fl!(self.messages, "certificate-card-lapsed"),
        }
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
    failure: Option<Failure>,
}

async fn page(State(site): State<Arc<Site>>, page: Page, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let name = place(&site)?.name.clone();
    Ok(show(&CertificateCardPage { page, name, next: own_path(&site, &asked.next), failure: asked.failure }))
}

async fn start(State(site): State<Arc<Site>>, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let mark = URL_SAFE_NO_PAD.encode(random::<24>(site.app.rng()));
    let purpose = Purpose::SignIn { errand: mark.clone(), next: own_path(&site, &asked.next) };
    let mut response = see(&errand(&site, purpose).await?)?;
    response.headers_mut().insert(SET_COOKIE, errand_cookie(&site, &mark));
    Ok(response)
}

#[derive(Deserialize)]
struct Showing {
    ceremony: String,
}

/// On the listener for cards. Whatever happens, the browser goes back to the site.
async fn show_card(
    State(site): State<Arc<Site>>,
    ConnectInfo(caller): ConnectInfo<CardCaller>,
    Query(showing): Query<Showing>,
) -> Result<Response, Fault> {
    let back = match caller.proven {
        None => Failure::NoCard.page().to_owned(),
        Some(proven) => match note(&site, showing.ceremony.clone(), proven).await? {
            None => Failure::Lapsed.page().to_owned(),
            Some(ticket) => format!("/sign-in/certificate/finish?ceremony={}&ticket={ticket}", showing.ceremony),
        },
    };
    let mut response = see(&format!("{}{back}", site.settings.issuer))?;
    // The card may be another the next time.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// The ticket for a card that was shown for a ceremony; `None` when there is nothing to show one for.
async fn note(site: &Arc<Site>, ceremony: String, proven: Arc<ProvenCertificate>) -> Result<Option<String>, Fault> {
    let Some((_, ceremony)) = opened(site, ceremony).await? else { return Ok(None) };
    blocking(site, move |app| app.note_shown_card(&ceremony, &proven)).await
}

async fn opened(site: &Arc<Site>, ceremony: String) -> Result<Option<(Purpose, OpenCeremony)>, Fault> {
    ceremonies::open(site, CeremonyKind::Card, String::new(), ceremony).await
}

/// The card that was shown for a ceremony, once.
async fn shown(site: &Arc<Site>, ceremony: OpenCeremony, ticket: String) -> Result<Option<ProvenCertificate>, Fault> {
    blocking(site, move |app| app.take_shown_card(&ceremony, &ticket)).await
}

#[derive(Deserialize)]
struct Finishing {
    ceremony: String,
    ticket: String,
}

async fn finish(
    State(site): State<Arc<Site>>,
    MaybeResident(session): MaybeResident,
    ErrandMark(mark): ErrandMark,
    device: Device,
    Query(finishing): Query<Finishing>,
) -> Result<Response, Fault> {
    let Some((purpose, ceremony)) = opened(&site, finishing.ceremony).await? else { return see(Failure::Lapsed.page()) };
    match purpose {
        Purpose::SignIn { errand, next } => {
            if !mark.is_some_and(|mark| equal(mark.as_bytes(), errand.as_bytes())) {
                return see(Failure::Lapsed.page());
            }
            let Some(proven) = shown(&site, ceremony, finishing.ticket).await? else { return see(Failure::Lapsed.page()) };
            let signed_in = attempt(&site, move |app| app.sign_in_with_certificate(&proven, session.as_ref(), &device.0)).await;
            let token = match signed_in {
                Ok(token) => token,
                Err(Error::Refused { .. }) => return see(Failure::Unknown.page()),
                Err(error) => return Err(error.into()),
            };
            let mut response = see(&next)?;
            response.headers_mut().append(SET_COOKIE, cookie(&site, &token));
            response.headers_mut().append(SET_COOKIE, errand_cookie(&site, ""));
            Ok(response)
        }
        Purpose::Register { form_token, label } => {
            let is_hers = |token: &str| equal(token.as_bytes(), form_token.as_bytes());
            let session = session.filter(|session| is_hers(&session.form_token)).ok_or_else(lapsed)?;
            let Some(proven) = shown(&site, ceremony, finishing.ticket).await? else { return see(Failure::Lapsed.page()) };
            blocking(&site, move |app| app.add_certificate_card(&session, &proven, &label)).await?;
            see("/me/account/devices")
        }
    }
}

/// What counts requests knows callers by their address.
async fn note_address(mut request: Request, further: Further) -> Response {
    let caller = request.extensions().get::<ConnectInfo<CardCaller>>().map(|caller| caller.0.address);
    if let Some(address) = caller {
        request.extensions_mut().insert(ConnectInfo(address));
    }
    further.run(request).await
}

/// The one address on the listener for cards.
const SHOW: &str = "/sign-in/certificate/show";
