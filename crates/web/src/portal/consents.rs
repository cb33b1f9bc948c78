//! What the resident agreed to, and how to take it back.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::store::deletions::Deletion;
use usufruct_app::store::grants::StoredGrant;
use usufruct_app::{FiledCase, OwnErasure};
use usufruct_core::Time;
use usufruct_core::agency::AgencyKind;
use usufruct_core::case::{CaseKind, Finding};
use usufruct_core::certificate::Answer;
use usufruct_core::delegation::Power;
use usufruct_core::erasure::ErasureState;
use usufruct_core::grant::{GrantKind, GrantState};
use usufruct_core::id::{AgencyId, CertificateId, MandateId};
use usufruct_core::mandate::Mandate;
use usufruct_core::register::Register;

use super::footprint::{Row, rows};
use super::{looked, see};
use crate::Site;
use crate::fault::Fault;
use crate::form::{CheckedOfAnybody, Empty};
use crate::page::{Page, show};
use crate::session::Anybody;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "consents.html")]
struct ConsentsPage {
    page: Page,
    current: Vec<Consent>,
    ended: Vec<Consent>,
    /// What she was asked for and did not agree to.
    declined: Vec<Consent>,
    /// A withdrawal that just happened.
    withdrawn: Option<Done>,
    erasures: Vec<ShownErasure>,
    exempt: Vec<Exempt>,
    told: Vec<Told>,
}

/// What she asked to be deleted in a case, and an office or an overseer found that it is kept.
struct Exempt {
    /// Who keeps it.
    office: String,
    /// When that was found.
    at: Time,
}

/// A deletion of hers.
struct ShownErasure {
    certificate: CertificateId,
    /// Title of the mandate; empty when that is gone.
    mandate: String,
    state: ErasureState,
    steps: [(ErasureState, Option<Time>); 5],
    is_certified: bool,
    is_uncertified: bool,
}

/// A service that has to delete what it received.
struct Told {
    service: String,
    /// Title of the mandate; empty when that is gone.
    mandate: String,
    noted_at: Time,
    due_at: Time,
    told_at: Option<Time>,
    answer: Option<(Answer, Time)>,
    /// Why it keeps the data, in words.
    ground: Option<String>,
    is_overdue: bool,
    /// When it was noted that no answer had come in time.
    missed_at: Option<Time>,
    /// Whether somebody wrote to it behind the back of the house.
    is_altered: bool,
}

struct Consent {
    mandate: String,
    title: String,
    purpose: String,
    blocks: Vec<String>,
    recipients: Vec<String>,
    processors: Vec<String>,
    since: Time,
    until: Time,
    uses: i64,
    last_use_at: Option<Time>,
    reaffirmed_at: Option<Time>,
    state: GrantState,
    is_consent: bool,
    /// Whose order it rests on, with its number and day, and what that asks for; where it rests on one.
    order: Option<(String, String)>,
    /// Whether the mandate was revised after she agreed, and if so whether her consent still holds.
    revised: Option<bool>,
    /// What withdrawing means for her.
    effect: String,
    law: String,
    law_url: String,
}

/// The receipt of a withdrawal.
struct Done {
    certificate: CertificateId,
    /// Title of the mandate.
    title: String,
    /// The footprint line of the withdrawal.
    row: Row,
}

#[derive(Deserialize)]
pub(crate) struct After {
    withdrawn: Option<CertificateId>,
}

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    page: Page,
    Anybody(session): Anybody,
    Query(after): Query<After>,
) -> Result<Response, Fault> {
    let resident = looked(&site, &session, Power::Consents).await?;
    let has_withdrawn = after.withdrawn.is_some();
    // A helper who was given consents alone reads nothing of her cases.
    let may_see_cases = session.actor(&[Power::Cases]).is_ok();
    let (grants, footprint, deletions, erasures, cases) = blocking(&site, move |app| {
        let footprint = if has_withdrawn { Some(app.footprint(resident)?) } else { None };
        let cases = if may_see_cases { app.cases(resident)? } else { Vec::new() };
        Ok((app.grants(resident)?, footprint, app.deletions_of(resident)?, app.own_erasures(resident)?, cases))
    })
    .await?;
    let register = site.app.register();
    let now = site.app.now();
    let is_declined = |stored: &&StoredGrant| matches!(stored.grant.state, GrantState::Deferred | GrantState::Refused);
    let (declined, grants): (Vec<_>, Vec<_>) = grants.iter().partition(is_declined);
    let (current, ended): (Vec<_>, Vec<_>) = grants.into_iter().partition(|stored| {
        matches!(stored.grant.state, GrantState::Given | GrantState::Paused) && stored.grant.valid_until > now
    });
    let describe =
        |stored: Vec<&StoredGrant>| stored.into_iter().filter_map(|stored| consent(&register, &page, stored, now)).collect();
    // What she lends or lent and refuses in another revision stands in both lists.
    let both = current.iter().chain(&ended);
    let anew: Vec<_> = both.filter(|stored| stored.refused.is_some()).map(|stored| refused(stored)).collect();
    let declined = declined.into_iter().chain(&anew).collect();
    let (current, ended, declined) = (describe(current), describe(ended), describe(declined));
    let withdrawn = after.withdrawn.and_then(|certificate| {
        let mut rows = footprint.iter().flat_map(|footprint| rows(&register, &page, footprint));
        let row = rows.find(|row| row.certificate.as_deref() == Some(certificate.as_str()))?;
        let mandate = register.mandates.get(&row.mandate.parse().ok()?)?;
        Some(Done { title: page.text(&mandate.body.title).to_owned(), row, certificate })
    });
    let told = deletions.iter().map(|deletion| told(&register, &page, deletion, now)).collect();
    let erasures = erasures.into_iter().map(|own| shown_erasure(&register, &page, own, now)).collect();
    let exempt = cases.iter().filter_map(|filed| exempt(&register, &page, filed)).collect();
    Ok(show(&ConsentsPage { page, current, ended, declined, withdrawn, erasures, exempt, told }))
}

fn refused(stored: &StoredGrant) -> StoredGrant {
    let mut refused = stored.clone();
    refused.grant.state = GrantState::Refused;
    refused
}

/// A case in which it was found last that what she wants deleted is kept.
fn exempt(register: &Register, page: &Page, filed: &FiledCase) -> Option<Exempt> {
    let case = &filed.case;
    let (found, at) = case.decision.zip(case.decided_at).or_else(|| case.finding.zip(case.answered_at))?;
    let is_kept = case.kind == CaseKind::Delete && found == Finding::Dismissed && !case.is_open();
    let office = filed.agency.as_ref().and_then(|id| register.agencies.get(id));
    is_kept.then(|| Exempt { office: office.map(|entry| page.text(&entry.body.legal_name).to_owned()).unwrap_or_default(), at })
}

fn shown_erasure(register: &Register, page: &Page, own: OwnErasure, now: Time) -> ShownErasure {
    let mandate = own.mandate.as_ref().and_then(|id| register.mandates.get(id));
    ShownErasure {
        mandate: mandate.map(|entry| page.text(&entry.body.title).to_owned()).unwrap_or_default(),
        state: own.erasure.state(now),
        steps: own.erasure.steps(),
        is_certified: own.erasure.certified_at.is_some(),
        is_uncertified: own.is_uncertified,
        certificate: own.certificate,
    }
}

/// One step: the button is the withdrawal.
pub(crate) async fn withdraw(
    State(site): State<Arc<Site>>,
    Path(mandate): Path<MandateId>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    let actor = session.actor(&[Power::Consents])?;
    let withdrawn = blocking(&site, move |app| app.withdraw(actor, &mandate)).await?;
    see(&format!("/me/consents?withdrawn={}", withdrawn.certificate))
}

/// One step: she holds back what she lends.
pub(crate) async fn pause(
    State(site): State<Arc<Site>>,
    Path(mandate): Path<MandateId>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    let actor = session.actor(&[Power::Consents])?;
    blocking(&site, move |app| app.pause(actor, &mandate)).await?;
    see("/me/consents")
}

/// One step: she lets herself be asked again about what she refused.
pub(crate) async fn ask_again(
    State(site): State<Arc<Site>>,
    Path(mandate): Path<MandateId>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    let actor = session.actor(&[Power::Consents])?;
    blocking(&site, move |app| app.ask_again(actor, &mandate)).await?;
    see("/me/consents")
}

/// One step: she lets it go on.
pub(crate) async fn resume(
    State(site): State<Arc<Site>>,
    Path(mandate): Path<MandateId>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    let actor = session.actor(&[Power::Consents])?;
    blocking(&site, move |app| app.resume(actor, &mandate)).await?;
    see("/me/consents")
}

fn consent(register: &Register, page: &Page, stored: &StoredGrant, now: Time) -> Option<Consent> {
    let entry = register.mandates.values().find(|entry| entry.number == stored.mandate)?;
    let name = |id| register.blocks.get(id).map(|block| page.text(&block.body.name).to_owned());
    let expired = stored.grant.valid_until <= now && matches!(stored.grant.state, GrantState::Given | GrantState::Paused);
    let (recipients, processors) = receivers(register, page, &entry.body);
    let basis = &entry.body.legal_basis;
    Some(Consent {
        mandate: entry.id.clone(),
        title: page.text(&entry.body.title).to_owned(),
        purpose: page.text(&entry.body.purpose.sentence).to_owned(),
        blocks: stored.grant.blocks.iter().filter_map(name).collect(),
        recipients,
        processors,
        since: stored.grant.given_at,
        until: stored.grant.valid_until,
        uses: stored.grant.uses,
        last_use_at: stored.last_use_at,
        reaffirmed_at: stored.reaffirmed_at,
        state: if expired { GrantState::Sunset } else { stored.grant.state },
        is_consent: stored.grant.kind == GrantKind::Consent,
        order: basis
            .order
            .as_ref()
            .filter(|_| stored.grant.kind == GrantKind::Ordered)
            .map(|order| (page.order(order), page.text(&order.why).to_owned())),
        revised: (stored.grant.mandate_hash != entry.hash).then(|| register.still_holds(&stored.grant.mandate_hash, entry)),
        effect: register.notice(entry).map(|notice| page.text(&notice.body.effect_of_refusal).to_owned()).unwrap_or_default(),
        law: format!("{}, {}", page.text(&basis.instrument), basis.article),
        law_url: basis.url.clone(),
    })
}

fn told(register: &Register, page: &Page, deletion: &Deletion, now: Time) -> Told {
    let mandate = register.mandates.values().find(|entry| Some(entry.number) == deletion.mandate);
    let service = register.services.get(&deletion.service);
    Told {
        service: service.map_or_else(|| deletion.service.to_string(), |entry| page.text(&entry.body.name).to_owned()),
        mandate: mandate.map(|entry| page.text(&entry.body.title).to_owned()).unwrap_or_default(),
        noted_at: deletion.noted_at,
        due_at: deletion.due_at,
        told_at: deletion.told_at,
        answer: deletion.answer,
        ground: ground(register, page, deletion),
        is_overdue: deletion.answer.is_none() && deletion.due_at < now,
        missed_at: deletion.missed_at,
        is_altered: deletion.altered_at.is_some(),
    }
}

/// On which ground of which article the service keeps the data; the code alone where the law does not list it any more.
fn ground(register: &Register, page: &Page, deletion: &Deletion) -> Option<String> {
    let (code, (_, at)) = (deletion.ground.as_ref()?, deletion.answer?);
    let agency = register.services.get(&deletion.service).map(|entry| &entry.body.agency);
    let known = agency.and_then(|agency| register.law(agency, at).kept_when().iter().find(|ground| ground.code == *code));
    Some(known.map_or_else(|| code.clone(), |known| format!("{} ({})", page.text(&known.text), known.article)))
}

/// Names of the public bodies that receive, and of the vendors that work for them.
fn receivers(register: &Register, page: &Page, mandate: &Mandate) -> (Vec<String>, Vec<String>) {
    let contracts = mandate.recipients.iter().filter_map(|recipient| register.contracts.get(recipient.contract.as_ref()?));
    let behind = contracts.flat_map(|contract| register.subprocessors(contract)).map(|sub| &sub.agency);
    let named = mandate.recipients.iter().map(|recipient| &recipient.agency);
    let is_vendor = |id: &AgencyId| register.agencies.get(id).is_some_and(|agency| agency.body.kind == AgencyKind::Vendor);
    let (mut recipients, mut processors) = (Vec::new(), Vec::new());
    for id in named.chain(behind) {
        let Some(agency) = register.agencies.get(id) else { continue };
        let list = if is_vendor(id) { &mut processors } else { &mut recipients };
        let name = page.text(&agency.body.legal_name).to_owned();
        if !list.contains(&name) {
            list.push(name);
        }
    }
    (recipients, processors)
}
