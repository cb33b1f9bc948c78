//! The log: what it promises, who witnesses it, how far the public has been told, and which verifier browsers are served.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::json;
use usufruct_app::Announced;
use usufruct_app::log::Policy;
use usufruct_core::log_terms::LogTerms;
use usufruct_core::register::Entry;
use usufruct_core::verifier::VerifierRelease;

use super::open_json;
use crate::Site;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    page: Page,
    origin: String,
    vkey: String,
    announced: Announced,
    terms: Option<Entry<LogTerms>>,
    witnesses: Vec<Witness>,
    verifier: Option<Entry<VerifierRelease>>,
}

/// A witness of the policy, which may have several keys.
struct Witness {
    name: String,
    /// Ids of its keys in hex.
    keys: Vec<String>,
    url: Option<String>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let terms = register.log.clone();
    show(&LogPage {
        page,
        origin: site.app.config().origin.clone(),
        vkey: site.app.log_vkey(),
        announced: site.app.announced(),
        witnesses: terms.as_ref().map(|entry| witnesses(&entry.body)).unwrap_or_default(),
        terms,
        verifier: register.verifier.clone(),
    })
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Response {
    let register = site.app.register();
    let Announced { size, witnessed, at } = site.app.announced();
    open_json(&json!({
        "origin": site.app.config().origin,
        "vkeys": site.app.log_vkeys(),
        "receipt_vkey": site.app.receipt_vkey(),
        "public": { "size": size, "witnessed": witnessed, "at": at },
        "terms": register.log,
        "verifier": register.verifier,
    }))
}

fn witnesses(terms: &LogTerms) -> Vec<Witness> {
    let Ok(policy) = format!("{}\n", terms.policy).parse::<Policy>() else { return Vec::new() };
    let mut shown: Vec<Witness> = Vec::new();
    for witness in policy.witnesses() {
        let (name, id) = (witness.key.name(), format!("{:08x}", witness.key.id()));
        match shown.iter_mut().find(|known| known.name == name) {
            Some(known) => known.keys.push(id),
            None => shown.push(Witness { name: name.to_owned(), keys: vec![id], url: witness.url.clone() }),
        }
    }
    shown
}
