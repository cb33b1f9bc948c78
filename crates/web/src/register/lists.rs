//! Services, processors, agencies and certificates.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use i18n_embed_fl::fl;
use usufruct_core::agency::Agency;
use usufruct_core::certificate::{Cause, Certificate};
use usufruct_core::contract::Contract;
use usufruct_core::id::{CertificateId, ServiceId};
use usufruct_core::register::Entry;
use usufruct_core::service::Service;

use super::open_json;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage {
    page: Page,
    services: Vec<Entry<Service>>,
}

#[derive(Template)]
#[template(path = "processors.html")]
struct ProcessorsPage {
    page: Page,
    contracts: Vec<ShownContract>,
}

struct ShownContract {
    entry: Entry<Contract>,
    vendor: String,
    controller: String,
    subprocessors: Vec<String>,
}

#[derive(Template)]
#[template(path = "agencies.html")]
struct AgenciesPage {
    page: Page,
    agencies: Vec<Entry<Agency>>,
}

#[derive(Template)]
#[template(path = "certificates.html")]
struct CertificatesPage {
    page: Page,
    certificates: Vec<Entry<Certificate>>,
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    page: Page,
    entry: Entry<Certificate>,
    cause: &'static str,
}

pub(super) async fn services(State(site): State<Arc<Site>>, page: Page) -> Response {
    show(&ServicesPage { page, services: site.app.register().services.values().cloned().collect() })
}

pub(super) async fn services_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().services)
}

/// One service as JSON; its page is its place in the list.
pub(super) async fn service(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<ServiceId>().ok().and_then(|id| register.services.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("service"))?;
    Ok(Redirect::to(&format!("/register/services#{}", entry.id)).into_response())
}

pub(super) async fn processors(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let name = |id| register.agencies.get(id).map(|agency| page.text(&agency.body.legal_name).to_owned()).unwrap_or_default();
    let contracts = register
        .contracts
        .values()
        .map(|entry| ShownContract {
            vendor: name(&entry.body.vendor),
            controller: name(&entry.body.controller),
            subprocessors: entry.body.subprocessors.iter().map(|sub| name(&sub.agency)).collect(),
            entry: entry.clone(),
        })
        .collect();
    show(&ProcessorsPage { page: page.clone(), contracts })
}

pub(super) async fn processors_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().contracts)
}

pub(super) async fn agencies(State(site): State<Arc<Site>>, page: Page) -> Response {
    show(&AgenciesPage { page, agencies: site.app.register().agencies.values().cloned().collect() })
}

pub(super) async fn agencies_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().agencies)
}

pub(super) async fn certificates(State(site): State<Arc<Site>>, page: Page) -> Response {
    let mut certificates: Vec<_> = site.app.register().certificates.values().cloned().collect();
    certificates.sort_by_key(|entry| std::cmp::Reverse(entry.index));
    show(&CertificatesPage { page, certificates })
}

pub(super) async fn certificates_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().certificates)
}

pub(super) async fn certificate(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<CertificateId>().ok().and_then(|id| register.certificates.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("certificate"))?;
    let cause = match entry.body.cause {
        Cause::Request => "request",
        Cause::Revocation => "revocation",
        Cause::Sunset => "sunset",
        Cause::Withdrawal => "withdrawal",
    };
    Ok(show(&CertificatePage { page, entry: entry.clone(), cause }))
}
