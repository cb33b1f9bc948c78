//! The footprint: who used which data, why, until when, and a proof the browser checks by itself.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_app::{Footprint, FootprintLine};
use usufruct_core::Time;
use usufruct_core::event::{Event, Kind};
use usufruct_core::register::Register;

use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "footprint.html")]
struct FootprintPage {
    page: Page,
    rows: Vec<Row>,
    /// The payload for the verifier, safe inside a script element.
    payload: String,
}

/// One line as the page shows it.
pub(super) struct Row {
    pub n: u64,
    pub at: Option<Time>,
    pub kind: &'static str,
    pub who: String,
    pub agency: String,
    pub why: String,
    /// Block name and form.
    pub blocks: Vec<(String, &'static str)>,
    pub until: Option<Time>,
    pub mandate: String,
    pub law: String,
    pub batch: u64,
    pub refusal: String,
    pub can_object: bool,
}

pub(crate) async fn page(State(site): State<Arc<Site>>, page: Page, Resident(session): Resident) -> Result<Response, Fault> {
    let footprint = blocking(&site, move |app| app.footprint(session.resident)).await?;
    let register = site.app.register();
    let mut rows: Vec<Row> = footprint.lines.iter().map(|line| describe(&register, &page, line)).collect();
    rows.reverse();
    // `<` could end the script element early; in JSON it may always be written as an escape.
    let payload = payload(&site, &footprint).to_string().replace('<', "\\u003c");
    Ok(show(&FootprintPage { page, rows, payload }))
}

/// The same payload as a file, for the verifier on one's own machine.
pub(crate) async fn download(State(site): State<Arc<Site>>, Resident(session): Resident) -> Result<Response, Fault> {
    let footprint = blocking(&site, move |app| app.footprint(session.resident)).await?;
    let body = payload(&site, &footprint).to_string();
    let headers = [(CONTENT_TYPE, "application/json"), (CONTENT_DISPOSITION, "attachment; filename=\"footprint.json\"")];
    Ok((headers, body).into_response())
}

/// A line in words.
pub(super) fn describe(register: &Register, page: &Page, line: &FootprintLine) -> Row {
    let mut row = Row {
        n: line.n,
        at: None,
        kind: "damaged",
        who: String::new(),
        agency: String::new(),
        why: String::new(),
        blocks: Vec::new(),
        until: None,
        mandate: String::new(),
        law: String::new(),
        batch: 0,
        refusal: String::new(),
        can_object: false,
    };
    let Some(event) = &line.event else { return row };
    row.at = Some(event.at);
    row.kind = event.kind.code();
    row.until = event.until;
    row.batch = event.batch.map_or(0, |batch| batch.size);
    row.can_object = matches!(event.kind, Kind::Use | Kind::Refusal);
    if let Some(service) = event.service.as_ref().and_then(|id| register.services.get(id)) {
        row.who = page.text(&service.body.name).to_owned();
        if let Some(agency) = register.agencies.get(&service.body.agency) {
            row.agency = page.text(&agency.body.legal_name).to_owned();
        }
    }
    if let Some((mandate, _)) = event.mandate.as_ref().and_then(|hash| register.revision(hash)) {
        row.mandate = mandate.id.clone();
        row.law = mandate.body.legal_basis.url.clone();
        let reason = mandate.body.reason(&event.reason).unwrap_or(&mandate.body.purpose.sentence);
        row.why = page.text(reason).to_owned();
    }
    if let Some(code) = &event.clause {
        row.refusal = page.clause(code);
    }
    row.blocks = event
        .blocks
        .iter()
        .map(|(id, form)| {
            let name = register.blocks.get(id).map_or(id.as_str(), |block| page.text(&block.body.name));
            (name.to_owned(), form.code())
        })
        .collect();
    row
}

/// What the verifier in the browser gets. `shown` is what the page says; the verifier compares it with the log.
fn payload(site: &Site, footprint: &Footprint) -> Value {
    let lines: Vec<Value> = footprint
        .lines
        .iter()
        .map(|line| {
            let known = line.event.as_ref();
            json!({
                "n": line.n,
                "index": line.index,
                "event": known.map(|_| STANDARD.encode(&line.encoded)),
                "r": known.map(|_| STANDARD.encode(line.opening)),
                "shown": known.map_or_else(|| json!({ "kind": "", "mandate": null, "service": null, "at": "0", "blocks": [] }), shown),
            })
        })
        .collect();
    json!({
        "origin": site.app.config().origin,
        "vkey": site.app.log_vkey(),
        "tagKey": STANDARD.encode(*footprint.tag_key),
        "checkpointUrl": "/log/checkpoint",
        "lines": lines,
    })
}

fn shown(event: &Event) -> Value {
    let blocks: Vec<String> = event.blocks.iter().map(|(id, form)| format!("{id}:{}", form.code())).collect();
    json!({
        "kind": event.kind.code(),
        "mandate": event.mandate,
        "service": event.service,
        "at": event.at.micros().to_string(),
        "blocks": blocks,
    })
}
