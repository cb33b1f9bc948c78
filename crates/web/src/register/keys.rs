//! Published keys of mandates and pseudonym domains: since when the log knows them, and which certificate says that they are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::key::{KeyOf, PublishedKey};
use usufruct_core::register::{Entry, Register};
use usufruct_core::{Digest, Time};

use super::{Link, open_json};
use crate::Site;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    page: Page,
    keys: Vec<ShownKey>,
}

/// A key on a page of the register.
pub(super) struct ShownKey {
    /// The mandate, or a service of the pseudonym domain.
    pub owner: Option<Link>,
    pub month: Option<String>,
    pub commitment: String,
    pub published_at: Time,
    pub index: u64,
    pub standing: Standing,
}

/// Whether a key lives, as far as the register goes.
pub(super) enum Standing {
    Lives,
    /// By the certificate with this id.
    Gone(String),
    /// With the root of the key tree.
    Lost,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let mut keys = shown(&register, &page, |_| true);
    keys.sort_by_key(|key| std::cmp::Reverse(key.index));
    show(&KeysPage { page, keys })
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().keys)
}

/// The published keys that `is_meant`, in the order of the log.
pub(super) fn shown(register: &Register, page: &Page, is_meant: impl Fn(&PublishedKey) -> bool) -> Vec<ShownKey> {
    let gone = destroyed(register);
    let lost_before = register.vault.as_ref().and_then(|entry| entry.body.lost_before).unwrap_or(0);
    let stand = |key: &PublishedKey| match gone.get(&key.commitment) {
        Some(certificate) => Standing::Gone((*certificate).to_owned()),
        None if key.epoch < lost_before => Standing::Lost,
        None => Standing::Lives,
    };
    let mut entries: Vec<&Entry<PublishedKey>> = register.keys.values().filter(|entry| is_meant(&entry.body)).collect();
    entries.sort_by_key(|entry| entry.index);
    let show = |entry: &Entry<PublishedKey>| ShownKey {
        owner: owner(register, page, &entry.body.of),
        month: entry.body.month.map(|month| month.to_string()),
        commitment: entry.body.commitment.to_string(),
        published_at: entry.since,
        index: entry.index,
        standing: stand(&entry.body),
    };
    entries.into_iter().map(show).collect()
}

/// The keys that are gone, each with the id of what says so.
pub(super) fn destroyed(register: &Register) -> BTreeMap<Digest, &str> {
    let mut gone: BTreeMap<Digest, &str> = BTreeMap::new();
    for certificate in register.certificates.values() {
        if certificate.body.mandate.is_some() || certificate.body.sector.is_some() {
            gone.extend(certificate.body.key_commitments.iter().map(|commitment| (*commitment, certificate.id.as_str())));
        }
    }
    for uncertified in register.uncertified.values() {
        gone.extend(uncertified.body.key_commitments.iter().map(|commitment| (*commitment, uncertified.id.as_str())));
    }
    gone
}

fn owner(register: &Register, page: &Page, of: &KeyOf) -> Option<Link> {
    match of {
        KeyOf::Mandate(mandate) => register.mandates.get(mandate).map(|entry| Link::mandate(page, entry)),
        KeyOf::Sector(sector) => {
            let mut services = register.services.values();
            services.find(|service| service.body.sector == *sector).map(|service| Link::service(page, service))
        }
    }
}
