//! What the resident agreed to, and how to take it back.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::store::grants::StoredGrant;
use usufruct_core::Time;
use usufruct_core::grant::{GrantKind, GrantState};
use usufruct_core::id::{CertificateId, MandateId};
use usufruct_core::register::Register;

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::{Checked, Empty};
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "consents.html")]
struct ConsentsPage {
    page: Page,
    current: Vec<Consent>,
    ended: Vec<Consent>,
    /// Certificate of a withdrawal that just happened.
    withdrawn: Option<CertificateId>,
}

struct Consent {
    mandate: String,
    title: String,
    purpose: String,
    blocks: Vec<String>,
    recipients: Vec<String>,
    since: Time,
    until: Time,
    uses: i64,
    state: &'static str,
    can_withdraw: bool,
    effect: String,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    withdrawn: Option<CertificateId>,
}

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(done): Query<Done>,
) -> Result<Response, Fault> {
    let grants = blocking(&site, move |app| app.grants(session.resident)).await?;
    let register = site.app.register();
    let now = site.app.now();
    let (current, ended): (Vec<_>, Vec<_>) = grants.iter().partition(|stored| {
        matches!(stored.grant.state, GrantState::Given | GrantState::Paused) && stored.grant.valid_until > now
    });
    let describe =
        |stored: Vec<&StoredGrant>| stored.into_iter().filter_map(|stored| consent(&register, &page, stored, now)).collect();
    let (current, ended) = (describe(current), describe(ended));
    Ok(show(&ConsentsPage { page, current, ended, withdrawn: done.withdrawn }))
}

/// One step: the button is the withdrawal.
pub(crate) async fn withdraw(
    State(site): State<Arc<Site>>,
    Path(mandate): Path<MandateId>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    let withdrawn = blocking(&site, move |app| app.withdraw(session.resident, &mandate)).await?;
    see(&format!("/me/consents?withdrawn={}", withdrawn.certificate))
}

fn consent(register: &Register, page: &Page, stored: &StoredGrant, now: Time) -> Option<Consent> {
    let entry = register.mandates.values().find(|entry| entry.number == stored.mandate)?;
    let name = |id| register.blocks.get(id).map(|block| page.text(&block.body.name).to_owned());
    let recipients = entry.body.recipients.iter().filter_map(|recipient| register.agencies.get(&recipient.agency));
    let expired = stored.grant.valid_until <= now && stored.grant.state == GrantState::Given;
    Some(Consent {
        mandate: entry.id.clone(),
        title: page.text(&entry.body.title).to_owned(),
        purpose: page.text(&entry.body.purpose.sentence).to_owned(),
        blocks: stored.grant.blocks.iter().filter_map(name).collect(),
        recipients: recipients.map(|agency| page.text(&agency.body.legal_name).to_owned()).collect(),
        since: stored.grant.given_at,
        until: stored.grant.valid_until,
        uses: stored.grant.uses,
        state: if expired { "sunset" } else { stored.grant.state.code() },
        can_withdraw: stored.grant.kind == GrantKind::Consent,
        effect: register.notice(entry).map(|notice| page.text(&notice.body.effect_of_refusal).to_owned()).unwrap_or_default(),
    })
}
