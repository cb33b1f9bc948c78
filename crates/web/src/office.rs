//! The case desk of an office in the browser: what waits for it and what it watches, the late ones first, and forms to answer, take more time,
//! decide and say what was done. A ticket lets an official look; each act is signed with her key on her own machine, byte for byte.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Act, DeskAct, DeskCase, DeskSession, Task, TicketDesk};
use usufruct_core::Time;
use usufruct_core::case::{CaseState, Finding, Remedy};
use usufruct_core::id::CaseId;
use usufruct_core::statement::Approval;

use crate::Site;
use crate::desk::{SignOutForm, TicketForm, end_session, own_form, session, sign_in_cookie};
use crate::fault::Fault;
use crate::form::Public;
use crate::page::{Page, render, show};
use crate::register::Link;
use crate::site::blocking;

/// Longest reasons, in characters.
const MOST_CHARACTERS: usize = 2_000;

#[derive(Template)]
#[template(path = "office.html")]
struct DeskPage {
    page: Page,
    name: String,
    key: String,
    form_token: String,
    /// What waits for the office.
    own: Vec<Shown>,
    /// What other offices have to answer under its eyes.
    watched: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "office-case.html")]
struct CasePage {
    page: Page,
    form_token: String,
    shown: Shown,
    /// The act that was sent without reasons, or with too many.
    wrong: Option<&'static str>,
    reasons: String,
}

#[derive(Template)]
#[template(path = "office-sign.html")]
struct SignPage {
    page: Page,
    form_token: String,
    shown: Shown,
    /// The act as it is signed, and as one word for the command line.
    said: String,
    packed: String,
    origin: String,
    /// How many officials sign.
    signers: usize,
}

#[derive(Template)]
#[template(path = "office-sign-in.html")]
struct SignInPage {
    page: Page,
    issuer: String,
}

/// A case in the words of a page.
struct Shown {
    case: DeskCase,
    /// Who has to answer.
    office: Link,
    mandate: Option<Link>,
    service: Option<Link>,
    state: String,
    /// The day that runs now.
    due_at: Time,
    is_late: bool,
}

impl Shown {
    /// Whether the office has said that it has it.
    fn is_acknowledged(&self) -> bool {
        self.case.acknowledge_due_at.is_none()
    }
}

/// What is to be done in a case.
#[derive(Deserialize)]
struct DraftForm {
    form_token: String,
    act: String,
    #[serde(default)]
    reasons: String,
    #[serde(default)]
    finding: String,
    #[serde(default)]
    remedy: String,
    #[serde(default)]
    order: String,
}

/// An act, and the signatures under it: one a line, the name of the key, a dot and the signature.
#[derive(Deserialize)]
struct ActForm {
    form_token: String,
    packed: String,
    signatures: String,
}

/// Somebody of an office, or nobody.
struct MaybeOfficial(Option<DeskSession>);

impl FromRequestParts<Arc<Site>> for MaybeOfficial {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        session(site, TicketDesk::Office, &parts.headers).await.map(Self)
    }
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/office", get(desk))
        .route("/office/sign-in", post(sign_in))
        .route("/office/sign-out", post(sign_out))
        .route("/office/acts", post(act))
        .route("/office/cases/{id}", get(one).post(draft))
}

async fn desk(State(site): State<Arc<Site>>, MaybeOfficial(session): MaybeOfficial, page: Page) -> Result<Response, Fault> {
    let Some(session) = session else {
        let issuer = site.settings.issuer.clone();
        return Ok(show(&SignInPage { page, issuer }));
    };
    let (own, watched) = cases(&site, &page, &session).await?.into_iter().partition(|shown| shown.case.task != Task::Watch);
    let name = Link::agency(&site.app.register(), &page, &session.agency).words;
    Ok(unkept(show(&DeskPage { page, name, key: session.key, form_token: session.form_token, own, watched })))
}

async fn one(
    State(site): State<Arc<Site>>,
    MaybeOfficial(session): MaybeOfficial,
    page: Page,
    Path(id): Path<CaseId>,
) -> Result<Response, Fault> {
    let Some(session) = session else { return Ok(Redirect::to("/office").into_response()) };
    let shown = find(&site, &page, &session, &id).await?;
    let (form_token, reasons) = (session.form_token, String::new());
    Ok(unkept(show(&CasePage { page, form_token, shown, wrong: None, reasons })))
}

/// Shows what an official is about to sign. Nothing happens by it.
async fn draft(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    page: Page,
    Path(id): Path<CaseId>,
    Public(form): Public<DraftForm>,
) -> Result<Response, Fault> {
    let session = own_form(session(&site, TicketDesk::Office, &headers).await?, &form.form_token)?;
    let shown = find(&site, &page, &session, &id).await?;
    let reasons = form.reasons.replace("\r\n", "\n").trim().to_owned();
    let form_token = session.form_token.clone();
    let acts = ["acknowledge", "answer", "decide", "extend", "remedied"];
    let name = acts.into_iter().find(|act| *act == form.act).ok_or_else(Fault::bad_form)?;
    let needs_reasons = name != "acknowledge";
    if needs_reasons && reasons.is_empty() || reasons.chars().count() > MOST_CHARACTERS {
        let content = CasePage { page, form_token, shown, wrong: Some(name), reasons };
        return Ok(unkept(render(StatusCode::UNPROCESSABLE_ENTITY, &content)));
    }
    let finding = || Finding::from_code(&form.finding).ok_or_else(Fault::bad_form);
    let remedy = || match form.remedy.as_str() {
        "" => Ok(None),
        code => Remedy::from_code(code).map(Some).ok_or_else(Fault::bad_form),
    };
    let act = match name {
        "acknowledge" => Act::Acknowledge { case: id },
        "answer" => Act::Answer { case: id, finding: finding()?, remedy: remedy()?, reasons },
        "decide" => {
            let order = match form.order.trim() {
                "" => None,
                id => Some(id.parse().map_err(|_| Fault::not_found("order"))?),
            };
            Act::Decide { case: id, finding: finding()?, remedy: remedy()?, reasons, order }
        }
        "extend" => Act::Extend { case: id, reasons },
        _ => Act::Remedied { case: id, reasons },
    };
    let signers = if name == "decide" { 2 } else { 1 };
    let act = DeskAct { agency: session.agency, at: site.app.now(), act };
    let said = serde_json::to_string(&act).map_err(|_| Fault::internal())?;
    let (packed, origin) = (URL_SAFE_NO_PAD.encode(&said), site.app.config().origin.clone());
    Ok(unkept(show(&SignPage { page, form_token, shown, said, packed, origin, signers })))
}

/// Does what was signed.
async fn act(State(site): State<Arc<Site>>, headers: HeaderMap, Public(form): Public<ActForm>) -> Result<Response, Fault> {
    let session = own_form(session(&site, TicketDesk::Office, &headers).await?, &form.form_token)?;
    let said = URL_SAFE_NO_PAD.decode(form.packed.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let said = said.ok_or_else(Fault::bad_form)?;
    let signed = form.signatures.split_whitespace().filter_map(|line| line.rsplit_once('.'));
    let approvals: Vec<Approval> = signed
        .map(|(key, signature)| Approval {
            agency: session.agency.clone(),
            key: key.to_owned(),
            algorithm: "Ed25519".to_owned(),
            signature: signature.to_owned(),
            authenticator_data: None,
            client_data: None,
            among: Vec::new(),
        })
        .collect();
    blocking(&site, move |app| app.act_at_desk(&said, &approvals)).await?;
    Ok(Redirect::to("/office").into_response())
}

async fn sign_in(State(site): State<Arc<Site>>, Public(form): Public<TicketForm>) -> Result<Response, Fault> {
    Ok((sign_in_cookie(&site, TicketDesk::Office, form.ticket).await?, Redirect::to("/office")).into_response())
}

async fn sign_out(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Public(form): Public<SignOutForm>,
) -> Result<Response, Fault> {
    own_form(session(&site, TicketDesk::Office, &headers).await?, &form.form_token)?;
    Ok((end_session(&site, TicketDesk::Office, &headers).await?, Redirect::to("/office")).into_response())
}

/// Pages with what residents wrote are kept by no browser.
fn unkept(page: Response) -> Response {
    ([(CACHE_CONTROL, "no-store")], page).into_response()
}

/// The cases of an office in words, those first whose day comes first.
async fn cases(site: &Arc<Site>, page: &Page, session: &DeskSession) -> Result<Vec<Shown>, Fault> {
    let office = session.agency.clone();
    let waiting = blocking(site, move |app| app.waiting(&office)).await?;
    let mut shown: Vec<Shown> = waiting.into_iter().map(|case| in_words(site, page, case)).collect();
    shown.sort_by_key(|shown| shown.due_at);
    Ok(shown)
}

async fn find(site: &Arc<Site>, page: &Page, session: &DeskSession, id: &CaseId) -> Result<Shown, Fault> {
    let all = cases(site, page, session).await?;
    all.into_iter().find(|shown| shown.case.id == *id).ok_or_else(|| Fault::not_found("case at this office"))
}

fn in_words(site: &Site, page: &Page, case: DeskCase) -> Shown {
    let (register, now) = (site.app.register(), site.app.now());
    let due_at = case.remedy_due_at.filter(|_| case.task == Task::Remedy).unwrap_or(case.due_at);
    Shown {
        office: Link::agency(&register, page, &case.office),
        mandate: case.mandate.as_ref().and_then(|id| register.mandates.get(id)).map(|entry| Link::mandate(page, entry)),
        service: case.service.as_ref().and_then(|id| register.services.get(id)).map(|entry| Link::service(page, entry)),
        state: CaseState::from_code(&case.state).map(|state| page.case_state(&state)).unwrap_or_default(),
        is_late: due_at <= now,
        due_at,
        case,
    }
}
