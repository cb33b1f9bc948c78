//! Contracts with vendors, their clauses and checks; agreements between bodies; and who is late.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Redirect, Response};
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::agreement::Agreement;
use usufruct_core::check::ContractCheck;
use usufruct_core::contract::Contract;
use usufruct_core::id::{AgreementId, BodyAuditId, BreachId, ContractId, MandateId, OrderId, ServiceId};
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;

use super::derived::{Basis, Row};
use super::export::csv_of;
use super::{Link, objects, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "contracts.html")]
struct ContractsPage {
    page: Page,
    contracts: Vec<ShownContract>,
}

#[derive(Template)]
#[template(path = "contract.html")]
struct ContractPage {
    page: Page,
    shown: ShownContract,
}

/// A contract as readers see it. It holds no price and names people by their office alone.
pub(crate) struct ShownContract {
    pub entry: Entry<Contract>,
    pub vendor: Link,
    pub controller: Link,
    pub mandates: Vec<Link>,
    pub subprocessors: Vec<ShownSubprocessor>,
    /// Names of blocks the vendor may receive as values, and why.
    pub value_blocks: Vec<(String, String)>,
    /// The clauses of the library in the words of this contract, each with its article.
    pub clauses: Vec<(String, String)>,
    pub checks: Vec<Entry<ContractCheck>>,
    /// When the vendor has to be looked at next, while it works.
    pub check_due: Option<Time>,
    pub is_check_late: bool,
    pub deletion_due: Option<Time>,
    pub is_deleted: bool,
}

/// A vendor of the vendor.
pub(crate) struct ShownSubprocessor {
    pub agency: Link,
    pub place: String,
    pub from: Option<Time>,
    /// Whether it has not begun.
    pub is_coming: bool,
    /// Whether somebody objected, so that it never begins.
    pub is_objected: bool,
}

#[derive(Template)]
#[template(path = "agreements.html")]
struct AgreementsPage {
    page: Page,
    agreements: Vec<ShownAgreement>,
}

#[derive(Template)]
#[template(path = "agreement.html")]
struct AgreementPage {
    page: Page,
    shown: ShownAgreement,
}

/// An agreement as readers see it.
struct ShownAgreement {
    entry: Entry<Agreement>,
    parties: Vec<Link>,
    mandates: Vec<Link>,
    blocks: Vec<String>,
    /// From which service to which, and why.
    transfers: Vec<(Link, Link, String)>,
    oversight_body: Link,
    published_at: Option<Time>,
    is_in_force: bool,
    /// Mandates that say more than what was agreed about, so that it opens nothing under them.
    outgrown: Vec<Link>,
}

#[derive(Template)]
#[template(path = "late.html")]
struct LatePage {
    page: Page,
    basis: Basis,
    late: Vec<ShownLate>,
}

struct ShownLate {
    late: Late,
    agency: Link,
    object: Link,
    /// Leaf of the present revision of what it is about.
    leaf: Option<u64>,
}

pub(super) async fn contracts(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let contracts = register.contracts.values().map(|entry| shown_contract(&register, &page, entry, now)).collect();
    show(&ContractsPage { page, contracts })
}

pub(super) async fn contracts_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().contracts)
}

/// The address before contracts had pages of their own.
pub(super) async fn processors() -> Redirect {
    Redirect::permanent("/register/contracts")
}

pub(super) async fn contract(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let (register, now) = (site.app.register(), site.app.now());
    let find = |id: &str| id.parse::<ContractId>().ok().and_then(|id| register.contracts.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("contract"))?;
    let shown = shown_contract(&register, &page, entry, now);
    Ok(show(&ContractPage { page, shown }))
}

pub(super) async fn checks_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().checks)
}

pub(super) async fn agreements(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let agreements = register.agreements.values().map(|entry| shown_agreement(&register, &page, entry, now)).collect();
    show(&AgreementsPage { page, agreements })
}

pub(super) async fn agreements_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().agreements)
}

pub(super) async fn agreement(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let (register, now) = (site.app.register(), site.app.now());
    let find = |id: &str| id.parse::<AgreementId>().ok().and_then(|id| register.agreements.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("agreement"))?;
    let shown = shown_agreement(&register, &page, entry, now);
    Ok(show(&AgreementPage { page, shown }))
}

pub(super) async fn late(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let late = blocking(&site, |app| app.late()).await?;
    let (basis, register) = Basis::now(&site).await?;
    let shown = |late: Late| ShownLate {
        agency: Link::agency(&register, &page, &late.agency),
        object: object(&register, &page, &late),
        leaf: late_leaf(&register, &late),
        late,
    };
    let late = late.into_iter().map(shown).collect();
    Ok(show(&LatePage { page, basis, late }))
}

pub(super) async fn late_json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let late = blocking(&site, |app| app.late()).await?;
    let register = site.app.register();
    let line = |late: &Late| {
        let mut line = json!(late);
        line["leaf"] = json!(late_leaf(&register, late));
        line
    };
    Ok(open_json(&late.iter().map(line).collect::<Vec<Value>>()))
}

pub(super) async fn late_csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let late = blocking(&site, |app| app.late()).await?;
    let register = site.app.register();
    let lines = late.into_iter().map(|late| {
        let leaf = late_leaf(&register, &late).map(|leaf| leaf.to_string()).unwrap_or_default();
        vec![late.duty.code().to_owned(), late.object, late.agency.to_string(), late.due_at.to_string(), leaf]
    });
    csv_of(&["duty", "object", "agency", "due_at", "leaf"], lines)
}

pub(super) async fn late_rows(site: &Arc<Site>, page: &Page) -> Result<Vec<Row>, Fault> {
    let late = blocking(site, |app| app.late()).await?;
    let register = site.app.register();
    let row = |late: Late| {
        let (object, agency) = (object(&register, page, &late), Link::agency(&register, page, &late.agency));
        let (duty, day) = (late.duty.code(), late.due_at.day());
        Row {
            id: format!("{duty}-{}-{day}", late.object),
            title: format!("{}: {}", agency.words, page.late_duty(&late.duty)),
            summary: format!("{}, {} {}", object.words, fl!(page.messages, "late-since"), page.day(&late.due_at)),
            at: late.due_at,
            about: object.to,
            leaves: late_leaf(&register, &late).into_iter().collect(),
            cells: vec![
                ("duty", json!(duty)),
                ("object", json!(late.object)),
                ("agency", json!(late.agency)),
                ("due_at", json!(late.due_at)),
            ],
        }
    };
    Ok(late.into_iter().map(row).collect())
}

fn late_leaf(register: &Register, late: &Late) -> Option<u64> {
    objects::find(register, &late.object).map(|outline| outline.index)
}

pub(crate) fn shown_contract(register: &Register, page: &Page, entry: &Entry<Contract>, now: Time) -> ShownContract {
    let body = &entry.body;
    let subprocessors = body.subprocessors.iter().map(|sub| ShownSubprocessor {
        agency: Link::agency(register, page, &sub.agency),
        place: page.place(&sub.location),
        from: sub.from,
        is_coming: sub.from.is_some_and(|from| now < from),
        is_objected: register.objection_above(entry, sub).is_some(),
    });
    let value_blocks = body.value_blocks.iter().filter_map(|value| {
        let name = page.text(&register.blocks.get(&value.block)?.body.name).to_owned();
        Some((name, page.text(&value.why).to_owned()))
    });
    let law = register.law(&body.controller, now);
    let named = law.clauses().filter(|clause| body.clauses.iter().any(|named| named.clause == clause.code));
    let clauses = named.map(|clause| (clause.article.clone(), page.text(&body.words(clause)).to_owned()));
    let is_running = matches!(entry.state, Stage::Active | Stage::Suspended);
    let check_due = is_running.then(|| register.check_due(entry));
    ShownContract {
        vendor: Link::agency(register, page, &body.vendor),
        controller: Link::agency(register, page, &body.controller),
        mandates: mandates(register, page, &body.mandates),
        subprocessors: subprocessors.collect(),
        value_blocks: value_blocks.collect(),
        clauses: clauses.collect(),
        checks: register.checks_of(&entry.id).rev().cloned().collect(),
        check_due,
        is_check_late: check_due.is_some_and(|due| due <= now),
        deletion_due: entry.deletion_due(),
        is_deleted: register.is_deleted(entry),
        entry: entry.clone(),
    }
}

fn shown_agreement(register: &Register, page: &Page, entry: &Entry<Agreement>, now: Time) -> ShownAgreement {
    let body = &entry.body;
    let service = |id| register.services.get(id).map(|entry| Link::service(page, entry));
    let transfers = body
        .transfers
        .iter()
        .filter_map(|transfer| Some((service(&transfer.from)?, service(&transfer.to)?, page.text(&transfer.why).to_owned())));
    let block = |id| register.blocks.get(id).map(|block| page.text(&block.body.name).to_owned());
    ShownAgreement {
        parties: body.parties.iter().map(|party| Link::agency(register, page, party)).collect(),
        mandates: mandates(register, page, &body.mandates),
        blocks: body.blocks.iter().filter_map(block).collect(),
        transfers: transfers.collect(),
        oversight_body: Link::agency(register, page, &body.oversight_body),
        published_at: entry.published_at(),
        is_in_force: entry.is_in_force(now),
        outgrown: if entry.is_in_force(now) { outgrown(register, page, entry) } else { Vec::new() },
        entry: entry.clone(),
    }
}

fn outgrown(register: &Register, page: &Page, entry: &Entry<Agreement>) -> Vec<Link> {
    let named = entry.body.mandates.iter().filter_map(|id| register.mandates.get(id));
    named.filter(|mandate| !register.is_as_agreed(entry, mandate)).map(|mandate| Link::mandate(page, mandate)).collect()
}

fn mandates(register: &Register, page: &Page, ids: &[MandateId]) -> Vec<Link> {
    ids.iter().filter_map(|id| register.mandates.get(id)).map(|entry| Link::mandate(page, entry)).collect()
}

/// What is late, with words where the register has some.
fn object(register: &Register, page: &Page, late: &Late) -> Link {
    let found = match late.duty {
        LateDuty::Acknowledgement | LateDuty::Answer | LateDuty::Decision | LateDuty::Remedy => {
            Some(Link { to: "/register/cases".to_owned(), words: fl!(page.messages, "register-cases") })
        }
        LateDuty::CameraCheck => Some(Link::object(register, page, StatementKind::Camera, &late.object)),
        LateDuty::Finding | LateDuty::NextAudit if late.object.starts_with(BodyAuditId::PREFIX) => {
            Some(Link::object(register, page, StatementKind::BodyAudit, &late.object))
        }
        LateDuty::Breach(_) => late.object.parse().ok().and_then(|id: BreachId| {
            let entry = register.breaches.get(&id)?;
            Some(Link { to: format!("/register/breaches/{id}"), words: page.text(&entry.body.title).to_owned() })
        }),
        LateDuty::CaseTally => late.object.parse().ok().map(|id| Link::agency(register, page, &id)),
        LateDuty::Certificate => Some(Link { to: format!("/register/certificates/{}", late.object), words: late.object.clone() }),
        LateDuty::Assessment | LateDuty::Measure => Some(Link::object(register, page, StatementKind::Assessment, &late.object)),
        LateDuty::Check | LateDuty::Deletion | LateDuty::Evidence | LateDuty::Finding | LateDuty::NextAudit => late
            .object
            .parse()
            .ok()
            .and_then(|id: ContractId| {
                let vendor = &register.contracts.get(&id)?.body.vendor;
                Some(Link { to: format!("/register/contracts/{id}"), words: Link::agency(register, page, vendor).words })
            })
            .or_else(|| {
                late.object.parse().ok().and_then(|id: ServiceId| {
                    let name = &register.services.get(&id)?.body.name;
                    Some(Link { to: format!("/register/services/{id}"), words: page.text(name).to_owned() })
                })
            }),
        LateDuty::Consultation | LateDuty::DisparityAudit | LateDuty::Waiver => {
            late.object.parse().ok().and_then(|id: MandateId| Some(Link::mandate(page, register.mandates.get(&id)?)))
        }
        LateDuty::Order => late.object.parse().ok().and_then(|id: OrderId| {
            let order = register.orders.get(&id)?;
            Some(Link { to: format!("/register/orders/{id}"), words: page.order_kind(&order.body.kind) })
        }),
        LateDuty::Review => late.object.parse().ok().and_then(|id: AgreementId| {
            let title = &register.agreements.get(&id)?.body.title;
            Some(Link { to: format!("/register/agreements/{id}"), words: page.text(title).to_owned() })
        }),
    };
    found.unwrap_or_else(|| Link { to: "/register".to_owned(), words: late.object.clone() })
}
