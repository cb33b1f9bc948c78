//! The register for other people's machines: linked data in the words of the Data Privacy Vocabulary (DPV 2.3) and of ODRL 2.2, and tables.
//!
//! Everything here is made of the same revisions as the pages, and names their hashes.

mod dpv;
mod odrl;
mod outlines;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::{Entry, Register};

use crate::Site;

use super::objects::LISTS;
use usufruct_core::statement::StatementKind;

pub(crate) use dpv::{basis, category, parties};
pub(super) use dpv::{moment, words};
pub(crate) use odrl::{Agreed, agreement};
pub(super) use table::{csv_of, word};

/// What other machines ask for instead of the page of a mandate.
#[derive(Clone, Copy)]
pub(super) enum Vocabulary {
    /// A `dpv:Process` as JSON-LD.
    Dpv,
    /// An offer or a set of rules as JSON-LD.
    Odrl,
}

pub(super) fn router() -> Router<Arc<Site>> {
    // Mandates have a vocabulary of their own.
    let lists = LISTS.iter().filter(|(name, _)| *name != "mandates").fold(Router::new(), |router, (name, kinds)| {
        let list = move |State(site): State<Arc<Site>>| async move { of_list(&site, kinds) };
        router.route(&format!("/register/{name}.jsonld"), get(list))
    });
    lists
        .route("/register/mandates.jsonld", get(mandates))
        .route("/register/agencies.csv", get(table::agencies))
        .route("/register/agreements.csv", get(table::agreements))
        .route("/register/assessments.csv", get(table::assessments))
        .route("/register/audits.csv", get(table::audits))
        .route("/register/blocks.csv", get(table::blocks))
        .route("/register/cameras.csv", get(table::cameras))
        .route("/register/certificates.csv", get(table::certificates))
        .route("/register/contracts.csv", get(table::contracts))
        .route("/register/counts.csv", get(table::incidents))
        .route("/register/drafts.csv", get(table::drafts))
        .route("/register/keys.csv", get(table::keys))
        .route("/register/laws.csv", get(table::laws))
        .route("/register/log.csv", get(table::log))
        .route("/register/meetings.csv", get(table::meetings))
        .route("/register/notices.csv", get(table::notices))
        .route("/register/tallies.csv", get(table::tallies))
        .route("/register/processors.csv", get(table::processors))
        .route("/register/mandates.csv", get(table::mandates))
        .route("/register/rulings.csv", get(table::rulings))
        .route("/register/services.csv", get(table::services))
}

impl Vocabulary {
    /// The vocabulary that the end of an address asks for, and what stands before it.
    pub(super) fn asked(path: &str) -> Option<(Self, &str)> {
        let of = |end, vocabulary| Some((vocabulary, path.strip_suffix(end)?));
        of(".odrl.jsonld", Self::Odrl).or_else(|| of(".jsonld", Self::Dpv))
    }

    /// One mandate in it.
    pub(super) fn answer(self, site: &Site, register: &Register, entry: &Entry<Mandate>) -> Response {
        let issuer = &site.settings.issuer;
        linked(&match self {
            Self::Dpv => dpv::document(register, issuer, [entry]),
            Self::Odrl => odrl::policy(register, issuer, entry),
        })
    }
}

async fn mandates(State(site): State<Arc<Site>>) -> Response {
    let register = site.app.register();
    linked(&dpv::document(&register, &site.settings.issuer, register.mandates.values()))
}

fn of_list(site: &Site, kinds: &[StatementKind]) -> Response {
    let register = site.app.register();
    let outlines: Vec<_> = kinds.iter().flat_map(|kind| register.outlines(*kind)).collect();
    linked(&outlines::document(&register, &site.settings.issuer, &outlines))
}

fn linked(document: &Value) -> Response {
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "application/ld+json")], document.to_string()).into_response()
}
