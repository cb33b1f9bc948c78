//! The vendor desk: what people of a vendor have to do, by tokens alone. Nothing on it names a resident or holds a value of hers.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Answered, DeskSession, TicketDesk};
use usufruct_core::certificate::Answer;
use usufruct_core::id::{DeletionId, ServiceId};
use usufruct_core::lawpack::Provision;
use usufruct_core::lifecycle::State as Stage;

use crate::Site;
use crate::desk::{SignOutForm, TicketForm, end_session, own_form, session, sign_in_cookie};
use crate::fault::Fault;
use crate::form::Public;
use crate::page::{Page, show};
use crate::register::Link;
use crate::register::contracts::{ShownContract, shown_contract};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "vendor.html")]
struct DeskPage {
    page: Page,
    name: String,
    office: String,
    form_token: String,
    contracts: Vec<ShownContract>,
    services: Vec<OwnService>,
    /// On which grounds data may be kept that was to be deleted.
    grounds: Vec<Provision>,
}

/// A service of the vendor and what it has to delete.
struct OwnService {
    link: Link,
    id: String,
    state: Stage,
    is_served: bool,
    notices: Vec<Due>,
}

/// A notice of deletion: a token, or everything under a mandate. The day alone, since the exact time would join what two services know.
struct Due {
    id: String,
    subject: Option<String>,
    mandate: Option<String>,
    day: String,
    is_late: bool,
}

#[derive(Template)]
#[template(path = "vendor-sign-in.html")]
struct SignInPage {
    page: Page,
    issuer: String,
}

#[derive(Deserialize)]
struct AnswerForm {
    form_token: String,
    service: ServiceId,
    id: DeletionId,
    answer: Answer,
    /// Code of the ground on which data is kept.
    #[serde(default)]
    ground: String,
}

/// Somebody of a vendor, or nobody.
struct MaybeVendor(Option<DeskSession>);

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/vendor", get(desk))
        .route("/vendor/sign-in", post(sign_in))
        .route("/vendor/sign-out", post(sign_out))
        .route("/vendor/deletions", post(answer))
}

impl FromRequestParts<Arc<Site>> for MaybeVendor {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        session(site, TicketDesk::Vendor, &parts.headers).await.map(Self)
    }
}

async fn desk(State(site): State<Arc<Site>>, MaybeVendor(session): MaybeVendor, page: Page) -> Result<Response, Fault> {
    let Some(session) = session else {
        let issuer = site.settings.issuer.clone();
        return Ok(show(&SignInPage { page, issuer }));
    };
    let asked = session.clone();
    let deletions = blocking(&site, move |app| app.vendor_deletions(&asked)).await?;
    let (register, now) = (site.app.register(), site.app.now());
    let own = register.contracts.values().filter(|entry| entry.body.vendor == session.agency);
    let contracts = own.map(|entry| shown_contract(&register, &page, entry, now)).collect();
    let services = deletions
        .into_iter()
        .filter_map(|(id, notices)| {
            let entry = register.services.get(&id)?;
            let mut notices: Vec<Due> = notices
                .into_iter()
                .map(|notice| Due {
                    subject: notice.subject,
                    mandate: notice.mandate.and_then(|id| Some(page.text(&register.mandates.get(&id)?.body.title).to_owned())),
                    day: page.day(&notice.due_at),
                    is_late: notice.due_at <= now,
                    id: notice.id.to_string(),
                })
                .collect();
            // In an order that says nothing of the time.
            notices.sort_by(|a, b| a.id.cmp(&b.id));
            Some(OwnService {
                link: Link::service(&page, entry),
                state: entry.state,
                is_served: register.is_served(entry, now),
                id: id.to_string(),
                notices,
            })
        })
        .collect();
    let name = Link::agency(&register, &page, &session.agency).words;
    let grounds = register.law(&session.agency, now).kept_when().to_vec();
    let shown = show(&DeskPage { page, name, office: session.key, form_token: session.form_token, contracts, services, grounds });
    Ok(([(CACHE_CONTROL, "no-store")], shown).into_response())
}

async fn sign_in(State(site): State<Arc<Site>>, Public(form): Public<TicketForm>) -> Result<Response, Fault> {
    Ok((sign_in_cookie(&site, TicketDesk::Vendor, form.ticket).await?, Redirect::to("/vendor")).into_response())
}

async fn sign_out(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Public(form): Public<SignOutForm>,
) -> Result<Response, Fault> {
    own_form(session(&site, TicketDesk::Vendor, &headers).await?, &form.form_token)?;
    Ok((end_session(&site, TicketDesk::Vendor, &headers).await?, Redirect::to("/vendor")).into_response())
}

/// The vendor's word about one notice, which stands.
async fn answer(State(site): State<Arc<Site>>, headers: HeaderMap, Public(form): Public<AnswerForm>) -> Result<Response, Fault> {
    let session = own_form(session(&site, TicketDesk::Vendor, &headers).await?, &form.form_token)?;
    let ground = Some(form.ground).filter(|ground| form.answer == Answer::Kept && !ground.is_empty());
    let said = Answered { answer: form.answer, ground };
    blocking(&site, move |app| app.answer_vendor_deletion(&session, &form.service, &form.id, said)).await?;
    Ok(Redirect::to("/vendor").into_response())
}
