//! Covert mandates, and how many uses residents see later.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_app::DelayedUses;
use usufruct_core::Time;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::{Entry, Register};
use usufruct_core::tally::{Count, Tally};
use usufruct_core::time::Month;

use super::derived::{Basis, Row};
use super::export::csv_of;
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "delayed.html")]
struct DelayedPage {
    page: Page,
    basis: Basis,
    mandates: Vec<ShownDelay>,
    uses: Vec<ShownUses>,
}

/// A covert mandate as readers see it.
struct ShownDelay {
    mandate: Link,
    state: String,
    controller: Link,
    authority: Link,
    max_days: i64,
    leaf: u64,
}

/// The counts of a month as readers see them.
struct ShownUses {
    month: Month,
    mandate: Link,
    waiting: String,
    opened: String,
    last_opens_at: Time,
    ended: Option<Count>,
    /// Leaf of the last tally that was summed.
    leaf: Option<u64>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let uses = blocking(&site, |app| app.delayed_uses()).await?;
    let (basis, register) = Basis::now(&site).await?;
    let shown = |entry: &Entry<Mandate>| {
        let delay = entry.body.visibility.delay()?;
        Some(ShownDelay {
            mandate: Link::mandate(&page, entry),
            state: page.stage(&entry.state),
            controller: Link::agency(&register, &page, &entry.body.controller),
            authority: Link::agency(&register, &page, &delay.authority),
            max_days: delay.max_days,
            leaf: entry.index,
        })
    };
    let mandates = register.mandates.values().filter_map(shown).collect();
    let shown = |uses: DelayedUses| {
        Some(ShownUses {
            month: uses.month,
            mandate: Link::mandate(&page, register.mandates.get(&uses.mandate)?),
            waiting: range(uses.waiting),
            opened: range(uses.opened),
            last_opens_at: uses.last_opens_at,
            ended: uses.ended_unseen,
            leaf: leaves(&register, &uses).pop(),
        })
    };
    let uses = uses.into_iter().filter_map(shown).collect();
    Ok(show(&DelayedPage { page, basis, mandates, uses }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let uses = blocking(&site, |app| app.delayed_uses()).await?;
    let register = site.app.register();
    let covert = register.mandates.iter().filter_map(|(id, entry)| Some((id, entry, entry.body.visibility.delay()?)));
    let mandates: Vec<Value> = covert
        .map(|(id, entry, delay)| {
            json!({ "mandate": id, "state": entry.state, "controller": entry.body.controller, "authority": delay.authority, "max_days": delay.max_days, "leaf": entry.index })
        })
        .collect();
    let uses: Vec<Value> = uses
        .iter()
        .map(|uses| {
            json!({
                "mandate": uses.mandate,
                "month": uses.month,
                "waiting": range(uses.waiting),
                "opened": range(uses.opened),
                "last_opens_at": uses.last_opens_at,
                "ended_unseen": uses.ended_unseen,
                "leaves": leaves(&register, uses),
            })
        })
        .collect();
    Ok(open_json(&json!({ "mandates": mandates, "uses": uses })))
}

/// One line for each mandate and month.
pub(super) async fn csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let uses = blocking(&site, |app| app.delayed_uses()).await?;
    let register = site.app.register();
    let lines = uses.into_iter().map(|uses| {
        let leaves = leaves(&register, &uses).iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let DelayedUses { mandate, month, waiting, opened, last_opens_at, ended_unseen } = uses;
        let ended = ended_unseen.map(|count| count.to_string()).unwrap_or_default();
        vec![mandate.to_string(), month.to_string(), range(waiting), range(opened), last_opens_at.to_string(), ended, leaves]
    });
    csv_of(&["mandate", "month", "waiting", "opened", "last_opens_at", "ended_unseen", "leaves"], lines)
}

/// One row for each mandate and month, which is as old as the last tally in it.
pub(super) async fn rows(site: &Arc<Site>, page: &Page) -> Result<Vec<Row>, Fault> {
    let uses = blocking(site, |app| app.delayed_uses()).await?;
    let register = site.app.register();
    let row = |uses: DelayedUses| {
        let mandate = Link::mandate(page, register.mandates.get(&uses.mandate)?);
        let (waiting, opened) = (range(uses.waiting), range(uses.opened));
        let last = tallies(&register, &uses).map(|entry| entry.since).max();
        Some(Row {
            id: format!("{}-{}", uses.mandate, uses.month),
            title: format!("{}, {}", mandate.words, uses.month),
            summary: format!(
                "{}: {waiting}. {}: {opened}",
                fl!(page.messages, "delayed-waiting"),
                fl!(page.messages, "delayed-opened")
            ),
            at: last.unwrap_or_else(|| uses.month.begins()),
            about: format!("{}/tallies", mandate.to),
            leaves: leaves(&register, &uses),
            cells: vec![
                ("mandate", json!(uses.mandate)),
                ("month", json!(uses.month)),
                ("waiting", json!(waiting)),
                ("opened", json!(opened)),
                ("last_opens_at", json!(uses.last_opens_at)),
                ("ended_unseen", json!(uses.ended_unseen)),
            ],
        })
    };
    Ok(uses.into_iter().filter_map(row).collect())
}

/// The tallies that a month of a mandate is summed from.
fn tallies<'a>(register: &'a Register, uses: &DelayedUses) -> impl Iterator<Item = &'a Entry<Tally>> {
    let (mandate, month) = (uses.mandate.clone(), uses.month);
    let of = move |tally: &Tally| tally.mandate == mandate && Month::of(tally.day.begins()) == month;
    register.tallies.values().filter(move |entry| of(&entry.body))
}

/// The leaves of these, in the order of the log.
fn leaves(register: &Register, uses: &DelayedUses) -> Vec<u64> {
    let mut leaves: Vec<u64> = tallies(register, uses).map(|entry| entry.index).collect();
    leaves.sort_unstable();
    leaves
}

/// `17`, or `1-9` where no more is said.
fn range((least, most): (u64, u64)) -> String {
    if least == most { least.to_string() } else { format!("{least}-{most}") }
}
