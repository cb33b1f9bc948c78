//! Bodies, and all that one of them has to do with.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::agency::Agency;
use usufruct_core::id::AgencyId;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::time::Month;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "agencies.html")]
struct AgenciesPage {
    page: Page,
    agencies: Vec<Entry<Agency>>,
}

#[derive(Template)]
#[template(path = "agency.html")]
struct AgencyPage {
    page: Page,
    agency: Entry<Agency>,
    /// Each with its heading; without what there is none of.
    parts: Vec<Part>,
    /// Months that are over and whose cases the operator has not counted.
    uncounted: Vec<Month>,
}

/// What a body has to do with objects of one kind.
struct Part {
    /// For the anchor of its heading.
    anchor: &'static str,
    words: String,
    objects: Vec<(Link, String)>,
}

pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    show(&AgenciesPage { page, agencies: site.app.register().agencies.values().cloned().collect() })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().agencies)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<AgencyId>().ok().and_then(|id| Some((register.agencies.get(&id)?, id)));
    if let Some((entry, _)) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let (entry, id) = find(&id).ok_or_else(|| Fault::not_found("agency"))?;
    let uncounted = register.uncounted_months(site.app.now()).remove(&id).unwrap_or_default();
    Ok(show(&AgencyPage { agency: entry.clone(), parts: parts(&register, &page, &id), uncounted, page }))
}

fn parts(register: &Register, page: &Page, id: &AgencyId) -> Vec<Part> {
    fn of<'a, T: 'a>(
        register: &Register,
        page: &Page,
        kind: StatementKind,
        entries: impl Iterator<Item = &'a Entry<T>>,
    ) -> Vec<(Link, String)> {
        entries.map(|entry| (Link::object(register, page, kind, &entry.id), page.stage(&entry.state))).collect()
    }
    let mandates = register.mandates.values();
    let receives = |entry: &&Entry<_>| {
        let body: &usufruct_core::mandate::Mandate = &entry.body;
        body.controller != *id && body.recipients.iter().any(|recipient| recipient.agency == *id)
    };
    let contracts = || register.contracts.values();
    let behind = |entry: &&Entry<usufruct_core::contract::Contract>| register.subprocessors(entry).any(|sub| sub.agency == *id);
    let messages = page.messages;
    let (mandate, contract) = (StatementKind::Mandate, StatementKind::Contract);
    let all = [
        (
            "answers",
            fl!(messages, "agency-answers"),
            of(register, page, mandate, mandates.clone().filter(|entry| entry.body.controller == *id)),
        ),
        ("receives", fl!(messages, "agency-receives"), of(register, page, mandate, mandates.clone().filter(receives))),
        (
            "watches",
            fl!(messages, "agency-watches"),
            of(register, page, mandate, mandates.filter(|entry| entry.body.oversight_body == *id)),
        ),
        (
            "services",
            fl!(messages, "register-services"),
            of(register, page, StatementKind::Service, register.services.values().filter(|entry| entry.body.agency == *id)),
        ),
        (
            "commissions",
            fl!(messages, "agency-commissions"),
            of(register, page, contract, contracts().filter(|entry| entry.body.controller == *id)),
        ),
        (
            "works",
            fl!(messages, "agency-works"),
            of(register, page, contract, contracts().filter(|entry| entry.body.vendor == *id || behind(entry))),
        ),
        (
            "agreements",
            fl!(messages, "register-agreements"),
            of(
                register,
                page,
                StatementKind::Agreement,
                register.agreements.values().filter(|entry| entry.body.parties.contains(id)),
            ),
        ),
        (
            "blocks",
            fl!(messages, "agency-keeps"),
            of(
                register,
                page,
                StatementKind::DataBlock,
                register.blocks.values().filter(|entry| entry.body.source_agency == *id),
            ),
        ),
        (
            "breaches",
            fl!(messages, "register-breaches"),
            of(register, page, StatementKind::Breach, register.breaches.values().filter(|entry| entry.body.body == *id)),
        ),
        (
            "orders",
            fl!(messages, "agency-orders"),
            of(
                register,
                page,
                StatementKind::Order,
                register.orders.values().filter(|entry| register.target_owner(&entry.body.target).as_ref() == Some(id)),
            ),
        ),
    ];
    let some = all.into_iter().filter(|(.., objects)| !objects.is_empty());
    some.map(|(anchor, words, objects)| Part { anchor, words, objects }).collect()
}
