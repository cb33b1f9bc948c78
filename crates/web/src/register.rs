//! The public register: mandates, services, contracts, agreements, agencies, certificates, who is late. No sign-in; JSON beside each page, and
//! linked data and tables for other people's machines.

mod agencies;
mod algorithms;
mod assessments;
mod audits;
mod blocks;
pub(crate) mod breaches;
mod camera_map;
mod cameras;
mod cases;
pub(crate) mod contracts;
pub(crate) mod counting;
mod delayed;
pub(crate) mod derived;
mod drafts;
mod ending;
pub(crate) mod export;
mod feed;
mod history;
mod keys;
mod laws;
mod lists;
mod log;
mod mandates;
mod notices;
mod objects;
pub(crate) mod oversight;
mod refusals;
mod rulings;
mod statements;
mod statistics;
mod vault;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use usufruct_core::id::AgencyId;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;

use crate::Site;
use crate::page::Page;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .merge(derived::router())
        .merge(export::router())
        .merge(feed::router())
        .route("/register/statements/{leaf}", get(statements::page))
        .route("/register/history/{id}", get(history::page))
        .route("/register/blocks", get(blocks::list))
        .route("/register/blocks.json", get(blocks::list_json))
        .route("/register/blocks/{id}", get(blocks::one))
        .route("/register/ending", get(ending::page))
        .route("/register/ending.csv", get(ending::csv))
        .route("/register/ending.json", get(ending::json))
        .route("/register/laws", get(laws::list))
        .route("/register/laws.json", get(laws::list_json))
        .route("/register/laws/{id}", get(laws::one))
        .route("/register/refusals", get(refusals::page))
        .route("/register/refusals.csv", get(refusals::csv))
        .route("/register/refusals.json", get(refusals::json))
        .route("/register/assessments", get(assessments::list))
        .route("/register/audits", get(audits::list))
        .route("/register/audits.json", get(audits::list_json))
        .route("/register/audits/{id}", get(audits::one))
        .route("/register/cameras", get(cameras::list))
        .route("/register/cameras.json", get(cameras::list_json))
        .route("/register/cameras/{id}", get(cameras::one))
        .route("/register", get(mandates::list))
        .route("/register.json", get(mandates::list_json))
        .route("/register/mandates", get(mandates::list))
        .route("/register/mandates.json", get(mandates::list_json))
        .route("/register/mandates/{id}", get(mandates::one))
        .route("/register/assessments.json", get(assessments::all_json))
        .route("/register/mandates/{id}/assessment", get(assessments::page))
        .route("/register/mandates/{id}/assessment.json", get(assessments::json))
        .route("/register/mandates/{id}/notice", get(notices::page))
        .route("/register/mandates/{id}/notice.json", get(notices::json))
        .route("/register/mandates/{id}/notices/{revision}", get(notices::one))
        .route("/register/mandates/{id}/tallies", get(counting::tallies))
        .route("/register/mandates/{id}/tallies.json", get(counting::tallies_json))
        .route("/register/mandates/{id}/closed-matters.json", get(counting::closed_json))
        .route("/register/counts", get(counting::counts))
        .route("/register/counts.json", get(counting::counts_json))
        .route("/register/breaches", get(breaches::breaches))
        .route("/register/breaches.csv", get(breaches::breaches_csv))
        .route("/register/breaches.json", get(breaches::breaches_json))
        .route("/register/breaches/{id}", get(breaches::breach))
        .route("/register/cases", get(cases::page))
        .route("/register/case-tallies.json", get(cases::tallies_json))
        .route("/register/cases.csv", get(cases::csv))
        .route("/register/cases.json", get(cases::json))
        .route("/register/rulings", get(rulings::list))
        .route("/register/rulings.json", get(rulings::list_json))
        .route("/register/rulings/{id}", get(rulings::one))
        .route("/register/delayed", get(delayed::page))
        .route("/register/delayed.csv", get(delayed::csv))
        .route("/register/delayed.json", get(delayed::json))
        .route("/register/drafts", get(drafts::page))
        .route("/register/drafts.json", get(drafts::json))
        .route("/register/algorithms", get(algorithms::page))
        .route("/register/algorithms.csv", get(algorithms::csv))
        .route("/register/algorithms.json", get(algorithms::json))
        .route("/register/notices", get(notices::list))
        .route("/register/notices.json", get(notices::list_json))
        .route("/register/statistics", get(statistics::page))
        .route("/register/statistics.csv", get(statistics::csv))
        .route("/register/statistics.json", get(statistics::json))
        .route("/register/services", get(lists::services))
        .route("/register/services.json", get(lists::services_json))
        .route("/register/services/{id}", get(lists::service))
        .route("/register/contracts", get(contracts::contracts))
        .route("/register/contracts.json", get(contracts::contracts_json))
        .route("/register/contracts/{id}", get(contracts::contract))
        .route("/register/checks.json", get(contracts::checks_json))
        .route("/register/processors", get(contracts::processors))
        .route("/register/processors.json", get(contracts::contracts_json))
        .route("/register/agreements", get(contracts::agreements))
        .route("/register/agreements.json", get(contracts::agreements_json))
        .route("/register/agreements/{id}", get(contracts::agreement))
        .route("/register/late", get(contracts::late))
        .route("/register/late.csv", get(contracts::late_csv))
        .route("/register/late.json", get(contracts::late_json))
        .route("/register/agencies", get(agencies::list))
        .route("/register/agencies.json", get(agencies::list_json))
        .route("/register/agencies/{id}", get(agencies::one))
        .route("/register/keys", get(keys::page))
        .route("/register/keys.json", get(keys::json))
        .route("/register/vault", get(vault::page))
        .route("/register/vault.json", get(vault::json))
        .route("/register/meetings", get(oversight::meetings))
        .route("/register/meetings.json", get(oversight::meetings_json))
        .route("/register/meetings/{id}", get(oversight::meeting))
        .route("/register/orders", get(oversight::orders))
        .route("/register/orders.csv", get(oversight::orders_csv))
        .route("/register/orders.json", get(oversight::orders_json))
        .route("/register/orders/{id}", get(oversight::order))
        .route("/register/log", get(log::page))
        .route("/register/log.json", get(log::json))
        .route("/register/erasures.json", get(lists::erasures_json))
        .route("/register/certificates", get(lists::certificates))
        .route("/register/certificates.json", get(lists::certificates_json))
        .route("/register/certificates/{id}", get(lists::certificate))
}

/// Public JSON that any site may read.
fn open_json(value: &impl Serialize) -> Response {
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(value)).into_response()
}

/// A link to something in the register.
pub(crate) struct Link {
    pub to: String,
    pub words: String,
}

impl Link {
    pub(crate) fn agency(register: &Register, page: &Page, id: &AgencyId) -> Self {
        let words =
            register.agencies.get(id).map_or_else(|| id.to_string(), |entry| page.text(&entry.body.legal_name).to_owned());
        Self { to: format!("/register/agencies#{id}"), words }
    }

    pub(crate) fn mandate(page: &Page, entry: &Entry<Mandate>) -> Self {
        Self { to: format!("/register/mandates/{}", entry.id), words: page.text(&entry.body.title).to_owned() }
    }

    pub(crate) fn service(page: &Page, entry: &Entry<Service>) -> Self {
        Self { to: format!("/register/services/{}", entry.id), words: page.text(&entry.body.name).to_owned() }
    }
}
