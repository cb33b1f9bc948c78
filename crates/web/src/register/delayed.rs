//! Covert mandates, and how many uses residents see later.

use std::fmt::Write;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_app::DelayedUses;
use usufruct_core::Time;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::Entry;
use usufruct_core::tally::Count;
use usufruct_core::time::Month;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "delayed.html")]
struct DelayedPage {
    page: Page,
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
}

/// The counts of a month as readers see them.
struct ShownUses {
    month: Month,
    mandate: Link,
    waiting: String,
    opened: String,
    last_opens_at: Time,
    ended: Option<Count>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let uses = blocking(&site, |app| app.delayed_uses()).await?;
    let register = site.app.register();
    let shown = |entry: &Entry<Mandate>| {
        let delay = entry.body.visibility.delay()?;
        Some(ShownDelay {
            mandate: Link::mandate(&page, entry),
            state: page.stage(&entry.state),
            controller: Link::agency(&register, &page, &entry.body.controller),
            authority: Link::agency(&register, &page, &delay.authority),
            max_days: delay.max_days,
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
        })
    };
    let uses = uses.into_iter().filter_map(shown).collect();
    Ok(show(&DelayedPage { page, mandates, uses }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let uses = blocking(&site, |app| app.delayed_uses()).await?;
    let register = site.app.register();
    let covert = register.mandates.iter().filter_map(|(id, entry)| Some((id, entry, entry.body.visibility.delay()?)));
    let mandates: Vec<Value> = covert
        .map(|(id, entry, delay)| {
            json!({ "mandate": id, "state": entry.state, "controller": entry.body.controller, "authority": delay.authority, "max_days": delay.max_days })
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
            })
        })
        .collect();
    Ok(open_json(&json!({ "mandates": mandates, "uses": uses })))
}

/// One line for each mandate and month.
pub(super) async fn csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let uses = blocking(&site, |app| app.delayed_uses()).await?;
    let mut csv = String::from("mandate,month,waiting,opened,last_opens_at,ended_unseen\r\n");
    for uses in uses {
        let DelayedUses { mandate, month, waiting, opened, last_opens_at, ended_unseen } = uses;
        let ended = ended_unseen.map(|count| count.to_string()).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(csv, "{mandate},{month},{},{},{last_opens_at},{ended}\r\n", range(waiting), range(opened));
    }
    Ok(([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response())
}

/// `17`, or `1-9` where no more is said.
fn range((least, most): (u64, u64)) -> String {
    if least == most { least.to_string() } else { format!("{least}-{most}") }
}
