//! The vault in public: where its root is kept, by whom, what was destroyed last, and what the drills have found.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::json;
use usufruct_app::Kept;
use usufruct_app::store::deletions::Counts;
use usufruct_core::audit::{Audit, Drill};
use usufruct_core::certificate::Cause;
use usufruct_core::register::{Entry, Register};
use usufruct_core::tally::Count;
use usufruct_core::vault_terms::KeeperTerms;

use super::open_json;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "vault.html")]
struct VaultPage {
    page: Page,
    epoch: u64,
    keys: u64,
    root: String,
    class: String,
    /// About residents, mandates and pseudonym domains.
    certificates: usize,
    /// About synthetic residents.
    drilled: usize,
    published: usize,
    keepers: Vec<KeeperTerms>,
    threshold: i64,
    backup_days: Option<i64>,
    lost_before: Option<i64>,
    drills: Vec<Entry<Audit>>,
    deletions: Counts,
    /// What services keep of what they were to delete, and on which grounds.
    kept: Kept,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let (deletions, kept) = blocking(&site, |app| Ok((app.deletion_counts()?, app.kept_deletions()?))).await?;
    let register = site.app.register();
    let drilled = drilled(&register);
    let (state, class) = site.app.vault_state();
    let terms = register.vault.as_ref().map(|entry| &entry.body);
    Ok(show(&VaultPage {
        page,
        epoch: state.epoch.0,
        keys: state.count,
        root: state.root.to_string(),
        class: class.to_string(),
        certificates: register.certificates.len() - drilled,
        drilled,
        published: register.keys.len(),
        keepers: terms.map(|terms| terms.keepers.clone()).unwrap_or_default(),
        threshold: terms.map_or(0, |terms| terms.threshold),
        backup_days: terms.map(|terms| terms.backup_days),
        lost_before: terms.and_then(|terms| terms.lost_before),
        drills: drills(register.audits.values()),
        deletions,
        kept,
    }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let (deletions, kept) = blocking(&site, |app| Ok((app.deletion_counts()?, app.kept_deletions()?))).await?;
    let grounds: BTreeMap<String, Count> = kept.grounds.into_iter().collect();
    let register = site.app.register();
    let (state, class) = site.app.vault_state();
    Ok(open_json(&json!({
        "epoch": state.epoch.0,
        "keys": state.count,
        "tree_root": state.root,
        "slot_class": class.to_string(),
        "terms": register.vault,
        "certificates": { "of_drills": drilled(&register), "others": register.certificates.len() - drilled(&register) },
        "drills": drills(register.audits.values()),
        "deletions": {
            "noted": deletions.noted,
            "told": deletions.told,
            "answered": deletions.answered,
            "overdue": deletions.overdue,
            "missed": deletions.missed,
            "altered": deletions.altered,
            "kept": kept.all,
            "kept_on_grounds": grounds,
        },
    })))
}

/// How many certificates are about synthetic residents.
fn drilled(register: &Register) -> usize {
    register.certificates.values().filter(|entry| entry.body.cause == Cause::Drill).count()
}

/// The last drills, newest first.
fn drills<'a>(all: impl Iterator<Item = &'a Entry<Audit>>) -> Vec<Entry<Audit>> {
    let mut all: Vec<Entry<Audit>> =
        all.filter(|entry| !matches!(entry.body.drill, Drill::BreachDrill | Drill::Recount)).cloned().collect();
    all.sort_by_key(|entry| std::cmp::Reverse(entry.index));
    all.truncate(SHOWN);
    all
}

const SHOWN: usize = 60;
