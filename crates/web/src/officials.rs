//! The desk of officials: they make a passkey that the register can name, sign in with it, and approve what their body is about to say.
//!
//! Passkeys need scripts; the page says so and what the command line does instead. Nothing here counts by itself: an approval is a signature
//! that the log keeps and anybody can check.

mod shown;

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use i18n_embed_fl::fl;
use serde::Deserialize;
use serde_json::json;
use usufruct_app::{CeremonyKind, Error, OfficialSession, Proposal, Proposed, sign_in_challenge};
use usufruct_core::Digest;
use usufruct_core::agency::AUTOMATION;
use usufruct_core::hash::equal;
use usufruct_core::statement::Approval;
use usufruct_core::webauthn::Assertion;

use self::shown::{ShownProposal, ShownStatement};
use crate::Site;
use crate::ceremonies::{Browser, KnownBrowser};
use crate::fault::Fault;
use crate::form::Public;
use crate::page::{Page, show};
use crate::passkey::{lapsed, spend};
use crate::register::Link;
use crate::site::{attempt, blocking};

#[derive(Template)]
#[template(path = "officials.html")]
struct DeskPage {
    page: Page,
    name: String,
    office: String,
    form_token: String,
    waiting: Vec<ShownProposal>,
}

#[derive(Template)]
#[template(path = "officials-sign-in.html")]
struct SignInPage {
    page: Page,
}

#[derive(Template)]
#[template(path = "officials-key.html")]
struct KeyPage {
    page: Page,
    host: String,
    origin: String,
    /// Id and name.
    bodies: Vec<(String, String)>,
    /// The body that is chosen already.
    body: String,
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    body: String,
}

#[derive(Template)]
#[template(path = "officials-proposal.html")]
struct ProposalPage {
    page: Page,
    form_token: String,
    proposal: ShownProposal,
    statements: Vec<ShownStatement>,
    /// What her passkey is asked with; none where her office has approved already.
    asked: Option<Asked>,
}

struct Asked {
    host: String,
    credential: String,
    /// How many statements one touch approves.
    count: usize,
}

/// A proposal that ended while it was looked at: published, or taken back.
#[derive(Template)]
#[template(path = "officials-gone.html")]
struct GonePage {
    page: Page,
}

/// Longest list of statements that is handed in, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/officials", get(desk))
        .route("/officials/key", get(key))
        .route("/officials/sign-in/start", post(start_sign_in))
        .route("/officials/sign-in/finish", post(finish_sign_in))
        .route("/officials/sign-out", post(sign_out))
        .route("/officials/proposals", post(propose))
        .route("/officials/proposals/{id}", get(proposal))
        .route("/officials/proposals/{id}/statements.json", get(download))
        .route("/officials/proposals/{id}/approvals", post(approve))
        .route("/officials/proposals/{id}/withdraw", post(withdraw))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// An official who is signed in.
struct Official(OfficialSession);

impl FromRequestParts<Arc<Site>> for Official {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        session(&parts.headers, site).await?.map(Self).ok_or_else(over)
    }
}

/// Whose session the cookie is now.
async fn session(headers: &HeaderMap, site: &Arc<Site>) -> Result<Option<OfficialSession>, Fault> {
    let Some(session) = shown_cookie(headers, site) else { return Ok(None) };
    blocking(site, move |app| app.official_session(&session)).await
}

/// What the cookie says.
fn shown_cookie(headers: &HeaderMap, site: &Site) -> Option<String> {
    let name = format!("{}=", cookie_name(site));
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(&*name)).map(str::to_owned)
}

async fn desk(State(site): State<Arc<Site>>, headers: HeaderMap, page: Page) -> Result<Response, Fault> {
    let Some(session) = session(&headers, &site).await? else { return Ok(show(&SignInPage { page })) };
    let body = session.agency.clone();
    let proposals = blocking(&site, move |app| {
        let concerned = app.proposals(Some(&body))?;
        Ok(concerned.into_iter().map(|proposal| (app.standing(&proposal), proposal)).collect::<Vec<_>>())
    });
    let register = site.app.register();
    let waiting =
        proposals.await?.iter().map(|(standing, proposal)| ShownProposal::of(&register, &page, proposal, standing)).collect();
    let name = Link::agency(&register, &page, &session.agency).words;
    let shown = show(&DeskPage { page, name, office: session.key.role, form_token: session.form_token, waiting });
    Ok(([(CACHE_CONTROL, "no-store")], shown).into_response())
}

async fn key(State(site): State<Arc<Site>>, page: Page, Query(chosen): Query<Chosen>) -> Result<Response, Fault> {
    let origin = site.settings.issuer.clone();
    let host = url::Url::parse(&origin).ok().and_then(|url| url.host_str().map(str::to_owned)).ok_or_else(Fault::internal)?;
    let register = site.app.register();
    let bodies = register.agencies.keys().map(|id| (id.to_string(), Link::agency(&register, &page, id).words)).collect();
    Ok(show(&KeyPage { page, host, origin, bodies, body: chosen.body }))
}

async fn start_sign_in(State(site): State<Arc<Site>>, browser: Browser) -> Result<impl IntoResponse, Fault> {
    let challenge = sign_in_challenge(site.app.rng());
    let host = url::Url::parse(&site.settings.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
    let options = json!({ "challenge": URL_SAFE_NO_PAD.encode(&challenge), "rpId": host, "userVerification": "required" });
    let ceremony = browser.begin(&site, CeremonyKind::Official, &challenge).await?;
    Ok(([(SET_COOKIE, browser.cookie(&site))], Json(json!({ "ceremony": ceremony, "options": options }))))
}

/// What a device answered, in base64url without padding.
#[derive(Deserialize)]
struct Answer {
    authenticator_data: String,
    client_data: String,
    signature: String,
}

#[derive(Deserialize)]
struct FinishSignIn {
    ceremony: String,
    credential: String,
    answer: Answer,
}

async fn finish_sign_in(
    State(site): State<Arc<Site>>,
    browser: KnownBrowser,
    body: Result<Json<FinishSignIn>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(FinishSignIn { ceremony, credential, answer }) = body.map_err(|_| lapsed())?;
    let opened = browser.open::<Vec<u8>>(&site, CeremonyKind::Official, ceremony).await?;
    let (challenge, ceremony) = opened.ok_or_else(lapsed)?;
    let bytes = [&answer.authenticator_data, &answer.client_data, &answer.signature].map(|text| URL_SAFE_NO_PAD.decode(text));
    let [Ok(authenticator_data), Ok(client_data), Ok(signature)] = bytes else { return Err(lapsed()) };
    spend(&site, ceremony).await?;
    let session = blocking(&site, move |app| {
        let answer = Assertion { authenticator_data: &authenticator_data, client_data: &client_data, signature: &signature };
        app.official_sign_in(&challenge, &credential, answer)
    });
    Ok(([(SET_COOKIE, cookie(&site, &session.await?))], Json(json!({ "next": "/officials" }))).into_response())
}

#[derive(Deserialize)]
struct TokenForm {
    form_token: String,
}

async fn sign_out(State(site): State<Arc<Site>>, headers: HeaderMap, Public(form): Public<TokenForm>) -> Result<Response, Fault> {
    own_form(&site, &headers, &form.form_token).await?;
    if let Some(session) = shown_cookie(&headers, &site) {
        blocking(&site, move |app| app.official_sign_out(&session)).await?;
    }
    Ok(([(SET_COOKIE, cookie(&site, ""))], Redirect::to("/officials")).into_response())
}

#[derive(Deserialize)]
struct ProposeForm {
    form_token: String,
    statements: String,
}

/// Statements as `usufruct proposal new --out` writes them. Only the body that speaks hands them in.
async fn propose(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Public(form): Public<ProposeForm>,
) -> Result<Response, Fault> {
    let session = own_form(&site, &headers, &form.form_token).await?;
    let statements: Vec<Proposed> = serde_json::from_str(&form.statements)
        .map_err(|_| Fault::malformed("This is no list of statements. Hand in what `usufruct proposal new --out FILE` wrote."))?;
    if statements.first().is_none_or(|one| one.statement.by != session.agency) {
        return Err(Fault::malformed("The statements are of another body. Hand in what your own body is to say."));
    }
    let id = blocking(&site, move |app| app.propose(statements)).await?;
    Ok(Redirect::to(&format!("/officials/proposals/{id}")).into_response())
}

async fn proposal(
    State(site): State<Arc<Site>>,
    Official(session): Official,
    page: Page,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let body = session.agency.clone();
    let found = blocking(&site, move |app| {
        let Some(proposal) = app.proposal(&id)?.filter(|proposal| proposal.concerns(&body)) else { return Ok(None) };
        let before = |one: &Proposed| app.revision_before(&one.statement);
        let before = proposal.statements.iter().map(before).collect::<Result<Vec<_>, _>>()?;
        Ok(Some((app.standing(&proposal), proposal, before)))
    });
    let Some((standing, proposal, before)) = found.await? else { return Ok(show(&GonePage { page })) };
    let register = site.app.register();
    let own: Vec<&Proposed> = proposal.statements.iter().filter(|one| one.bodies.contains(&session.agency)).collect();
    let passkey = session.key.webauthn.as_ref().filter(|_| !has_approved(&proposal, &session));
    let asked =
        passkey.map(|passkey| Asked { host: passkey.rp_id.clone(), credential: passkey.credential.clone(), count: own.len() });
    let statements = proposal.statements.iter().zip(&before);
    let statements = statements
        .map(|(one, before)| ShownStatement::of(&register, &page, one, before.as_ref(), &session.agency))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(Fault::internal)?;
    let proposal = ShownProposal::of(&register, &page, &proposal, &standing);
    let shown = show(&ProposalPage { page, form_token: session.form_token, proposal, statements, asked });
    Ok(([(CACHE_CONTROL, "no-store")], shown).into_response())
}

/// Whether somebody of her office has approved all that her body has to approve.
fn has_approved(proposal: &Proposal, session: &OfficialSession) -> bool {
    let mut own = proposal.statements.iter().filter(|one| one.bodies.contains(&session.agency));
    own.all(|one| {
        let mut approvals = one.statement.approvals.iter();
        approvals.any(|approval| approval.agency == session.agency && approval.key == session.key.id)
    })
}

async fn download(State(site): State<Arc<Site>>, Official(session): Official, Path(id): Path<String>) -> Result<Response, Fault> {
    let found = blocking(&site, move |app| app.proposal(&id)).await?;
    let found = found.filter(|proposal| proposal.concerns(&session.agency)).ok_or_else(|| Fault::not_found("proposal"))?;
    let text = serde_json::to_string_pretty(&found.statements).map_err(|_| Fault::internal())?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"proposal.json\""),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text).into_response())
}

#[derive(Deserialize)]
struct Signed {
    form_token: String,
    answer: Answer,
    /// The hashes of all statements that the page showed, where they are more than one.
    among: Vec<Digest>,
}

async fn approve(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Result<Json<Signed>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(Signed { form_token, answer, among }) =
        body.map_err(|_| Fault::malformed("The answer of the device cannot be read. Open the page again and try again."))?;
    let session = own_form(&site, &headers, &form_token).await?;
    let approval = Approval {
        agency: session.agency.clone(),
        key: session.key.id.clone(),
        algorithm: "webauthn".to_owned(),
        signature: answer.signature,
        authenticator_data: Some(answer.authenticator_data),
        client_data: Some(answer.client_data),
        among,
    };
    let next = format!("/officials/proposals/{id}");
    let approved = attempt(&site, move |app| app.approve_proposal(&id, &session.agency, &session.key.id, vec![approval]));
    match approved.await {
        Ok(_) => Ok(Json(json!({ "next": next })).into_response()),
        // Somebody else was quicker.
        Err(Error::Unknown { .. }) => Err(Fault::not_found("proposal")),
        Err(error) => Err(error.into()),
    }
}

async fn withdraw(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Public(form): Public<TokenForm>,
) -> Result<Response, Fault> {
    let session = own_form(&site, &headers, &form.form_token).await?;
    blocking(&site, move |app| app.withdraw_proposal(&id, &session.agency)).await?;
    Ok(Redirect::to("/officials").into_response())
}

/// The session of the form, asked once all of it has come, since it may end while the form is on its way.
async fn own_form(site: &Arc<Site>, headers: &HeaderMap, token: &str) -> Result<OfficialSession, Fault> {
    let session = session(headers, site).await?.ok_or_else(over)?;
    if session.key.role == AUTOMATION || !equal(session.form_token.as_bytes(), token.as_bytes()) {
        return Err(Fault::foreign_form());
    }
    Ok(session)
}

fn over() -> Fault {
    Fault::unauthenticated("The session of this desk is over. Sign in again on the page of officials.")
}

fn cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-usufruct-official" } else { "usufruct-official" }
}

/// The `Set-Cookie` value of a session, or of its end when `session` is empty.
fn cookie(site: &Site, session: &str) -> HeaderValue {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let age = if session.is_empty() { "; Max-Age=0" } else { "" };
    let value = format!("{}={session}; Path=/; HttpOnly; SameSite=Strict{secure}{age}", cookie_name(site));
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}
