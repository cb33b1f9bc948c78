//! The footprint: who used which data, why, until when, and a proof the browser checks by itself.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use i18n_embed_fl::fl;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{Footprint, FootprintLine, Incomplete, LineMatter, NamedOfficer, OpenedWeeks};
use usufruct_core::Time;
use usufruct_core::case::STEPS_OF_OTHERS;
use usufruct_core::delay::visible_from;
use usufruct_core::delegation::Power;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::grant::GrantKind;
use usufruct_core::hash::hex;
use usufruct_core::id::{BreachId, CertificateId, ServiceId};
use usufruct_core::register::Register;

use super::looked;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::register::counting::source_words;
use crate::session::{Anybody, Fresh};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "footprint.html")]
struct FootprintPage {
    page: Page,
    total: usize,
    services: Vec<Shortcut>,
    chosen: Option<ServiceId>,
    months: Vec<Month>,
    /// Sources whose record of her may be incomplete.
    incomplete: Vec<ShownGap>,
    /// Whether she looks at it herself.
    is_own: bool,
    /// The payload for the verifier, safe inside a script element; `None` for a delegate, and for her after a while.
    payload: Option<String>,
    issuer: String,
    vkey: String,
}

/// A source that may not have told everything.
struct ShownGap {
    source: String,
    mandate: String,
    since: Time,
}

/// One service in the footprint, and how often it was there.
struct Shortcut {
    id: ServiceId,
    name: String,
    lines: usize,
}

/// The lines of a month, newest first. Lines that cannot be opened stand with the line after them.
struct Month {
    at: Option<Time>,
    rows: Vec<Row>,
}

/// One line as the page shows it.
pub(super) struct Row {
    pub n: u64,
    /// Leaf number.
    pub index: u64,
    pub at: Option<Time>,
    /// `None` when the line can no longer be opened.
    pub kind: Option<Kind>,
    pub service: Option<ServiceId>,
    pub who: String,
    pub agency: String,
    pub why: String,
    /// Whose order asked for it, with its number and day, where the line says that there was one.
    pub order: String,
    pub blocks: Vec<(String, Form)>,
    pub until: Option<Time>,
    pub mandate: String,
    pub law: String,
    /// How many people the decision was about.
    pub batch: u64,
    pub refusal: String,
    pub certificate: Option<String>,
    /// The breach of which she was told.
    pub breach: Option<String>,
    /// The service whose pseudonym of her was asked for.
    pub joined: Option<String>,
    /// The other person of a delegation, as the resident calls her; empty where there is none.
    pub other: String,
    /// Whether it is what a court or an overseer ordered.
    pub is_ordered: bool,
    /// Whether that person acted for the resident.
    pub is_by_other: bool,
    /// Whether an office or the machine moved a case of hers on; who it was stands in `who`.
    pub is_by_office: bool,
    /// When it happened, of what a system outside reported afterwards.
    pub happened_at: Option<Time>,
    /// Whether the matter concerned somebody else and was closed to her until lately.
    pub was_closed: bool,
    /// Whom an order of the oversight body has named.
    pub officer: Option<NamedOfficer>,
    /// From when on it is shown, where it was kept back.
    pub opened_at: Option<Time>,
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    service: Option<ServiceId>,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    page: Page,
    Anybody(session): Anybody,
    Query(choice): Query<Choice>,
) -> Result<Response, Fault> {
    let resident = looked(&site, &session, Power::Footprint).await?;
    let is_own = session.acting.is_none();
    // A delegate sees the lines. The key by which the log is searched for them would outlast what she was given, and it would outlast a
    // session that somebody else has got hold of.
    let hands_out_key = session.is_recent(site.app.now());
    let look = move |app: &usufruct_app::App| {
        let footprint = if hands_out_key { app.footprint_to_check(&session)? } else { app.footprint(resident)? };
        Ok((app.published_size(), footprint, app.incomplete(resident)?))
    };
    let (size, footprint, incomplete) = blocking(&site, look).await?;
    let incomplete = incomplete.iter().map(|gap| shown_gap(&site.app.register(), &page, gap)).collect();
    let mut rows = rows(&site.app.register(), &page, &footprint);
    // `<` could end the script element early; in JSON it may always be written as an escape.
    let payload = hands_out_key.then(|| payload(&site, &footprint, size).to_string().replace('<', "\\u003c"));
    let (total, services) = (rows.len(), shortcuts(&rows));
    if let Some(chosen) = &choice.service {
        rows.retain(|row| row.service.as_ref() == Some(chosen) || row.kind.is_none());
    }
    let (issuer, vkey) = (site.settings.issuer.clone(), site.app.log_vkey());
    let (chosen, months) = (choice.service, months(rows));
    Ok(show(&FootprintPage { page, total, services, chosen, months, incomplete, is_own, payload, issuer, vkey }))
}

/// The same in one sentence, for paper.
pub(super) fn gap_words(register: &Register, page: &Page, gap: &Incomplete) -> String {
    let ShownGap { source, mandate, since } = shown_gap(register, page, gap);
    let words = fl!(page.messages, "footprint-incomplete", source = source, mandate = mandate);
    format!("{words} {}", page.day(&since))
}

fn shown_gap(register: &Register, page: &Page, gap: &Incomplete) -> ShownGap {
    let mandate = register.mandates.get(&gap.mandate);
    ShownGap {
        source: source_words(register, page, &gap.source),
        mandate: mandate.map_or_else(|| gap.mandate.to_string(), |mandate| page.text(&mandate.body.title).to_owned()),
        since: gap.since,
    }
}

/// The same payload as a file, for the verifier on one's own machine.
pub(crate) async fn download(State(site): State<Arc<Site>>, Fresh(session): Fresh) -> Result<Response, Fault> {
    let (size, footprint) = blocking(&site, move |app| Ok((app.published_size(), app.exported_footprint(&session)?))).await?;
    let body = payload(&site, &footprint, size).to_string();
    let headers = [(CONTENT_TYPE, "application/json"), (CONTENT_DISPOSITION, "attachment; filename=\"footprint.json\"")];
    Ok((headers, body).into_response())
}

/// All lines in words, newest first.
pub(super) fn rows(register: &Register, page: &Page, footprint: &Footprint) -> Vec<Row> {
    footprint.lines.iter().rev().map(|line| describe(register, page, line)).collect()
}

/// A line in words.
pub(super) fn describe(register: &Register, page: &Page, line: &FootprintLine) -> Row {
    let mut row = Row {
        n: line.n,
        index: line.index,
        at: None,
        kind: None,
        service: None,
        who: String::new(),
        agency: String::new(),
        why: String::new(),
        order: String::new(),
        blocks: Vec::new(),
        until: None,
        mandate: String::new(),
        law: String::new(),
        batch: 0,
        refusal: String::new(),
        certificate: None,
        breach: None,
        joined: None,
        other: event_other(line),
        is_ordered: false,
        is_by_other: false,
        is_by_office: false,
        happened_at: None,
        was_closed: false,
        officer: line.officer.clone(),
        opened_at: visible_from(line.n),
    };
    let Some(event) = &line.event else { return row };
    row.at = Some(event.at);
    row.kind = Some(event.kind);
    row.service.clone_from(&event.service);
    row.until = event.until;
    row.happened_at = event.source.as_ref().and_then(|mark| mark.happened_at);
    row.batch = event.batch.map_or(0, |batch| batch.size);
    row.certificate = event.detail.clone().filter(|_| event.kind == Kind::Withdrawal);
    row.breach = event.detail.clone().filter(|_| event.kind == Kind::Breach);
    if let Some(entry) = row.breach.as_ref().and_then(|id| register.breaches.get(&id.parse::<BreachId>().ok()?)) {
        let agency = register.agencies.get(&entry.body.body);
        row.who = agency.map(|agency| page.text(&agency.body.legal_name).to_owned()).unwrap_or_default();
        row.why = page.text(&entry.body.title).to_owned();
    }
    row.joined = joined(register, page, event);
    row.refusal = event.clause.as_deref().map(|code| page.clause(code)).unwrap_or_default();
    if let Some(id) = &event.service {
        let service = register.services.get(id);
        row.who = service.map_or_else(|| id.to_string(), |service| page.text(&service.body.name).to_owned());
        let agency = service.and_then(|service| register.agencies.get(&service.body.agency));
        row.agency = agency.map(|agency| page.text(&agency.body.legal_name).to_owned()).unwrap_or_default();
    }
    if let Some((mandate, _)) = event.mandate.as_ref().and_then(|hash| register.revision(hash)) {
        row.mandate = mandate.id.clone();
        row.law = mandate.body.legal_basis.url.clone();
        let reason = mandate.body.reason(&event.reason).unwrap_or(&mandate.body.purpose.sentence);
        row.why = page.text(reason).to_owned();
        // A later revision may rest on another order.
        let order = mandate.body.legal_basis.order.as_ref().filter(|_| event.mandate == Some(mandate.hash));
        row.order = order.map(|order| page.order(order)).unwrap_or_default();
    }
    row.is_ordered = event.kind == Kind::Consent && event.reason == GrantKind::Ordered.code();
    if let Some(reason) = event.detail.as_deref().filter(|_| event.kind == Kind::Use) {
        row.why = fl!(page.messages, "footprint-in-writing", why = row.why.as_str(), reason = reason);
    }
    if let Some(matter) = &line.matter {
        match matter {
            LineMatter::Closed { shown_from } => {
                row.why = fl!(page.messages, "footprint-closed", day = page.day(shown_from));
            }
            LineMatter::Lost => row.why = fl!(page.messages, "footprint-closed-lost"),
            LineMatter::Shown(_) => row.was_closed = true,
        }
    }
    if event.kind == Kind::Case {
        row.why = page.case_step(&event.reason);
        row.is_by_office = STEPS_OF_OTHERS.contains(&event.reason.as_str());
        if row.is_by_office && row.who.is_empty() {
            row.who = fl!(page.messages, "footprint-office");
        }
    }
    if event.kind == Kind::Refusal {
        row.refusal = page.own_will(event.detail.as_deref().unwrap_or_default()).unwrap_or(row.refusal);
    }
    if event.kind == Kind::Withdrawal {
        row.why = page.end_of_grant(&event.reason).unwrap_or(row.why);
        if let Some(overseer) = row.certificate.as_ref().and_then(|id| orderer(register, page, id)) {
            (row.who, row.is_by_office) = (overseer, true);
        }
    }
    if event.kind == Kind::Grant {
        row.why = page.grant_reason(&event.reason);
    }
    if event.kind == Kind::Status {
        row.why = page.status_reason(&event.reason);
        if let Some(n) = event.detail.as_deref().filter(|_| event.reason == "use-failed") {
            row.why = fl!(page.messages, "footprint-failed", why = row.why.as_str(), line = n);
        }
    }
    if event.kind == Kind::Delegation {
        row.why = page.delegation_reason(&event.reason, event.detail.as_deref().unwrap_or_default());
        row.is_by_other = event.reason == "looked";
    } else {
        row.is_by_other = !row.other.is_empty();
    }
    row.blocks = event
        .blocks
        .iter()
        .map(|(id, form)| {
            let name = register.blocks.get(id).map_or(id.as_str(), |block| page.text(&block.body.name));
            (name.to_owned(), *form)
        })
        .collect();
    row
}

/// The overseer by whose order it ended, which the certificate names.
fn orderer(register: &Register, page: &Page, certificate: &str) -> Option<String> {
    let certificate = register.certificates.get(&certificate.parse::<CertificateId>().ok()?)?;
    let order = register.orders.get(certificate.body.order.as_ref()?)?;
    let overseer = register.agencies.get(&order.body.body)?;
    Some(page.text(&overseer.body.legal_name).to_owned())
}

fn event_other(line: &FootprintLine) -> String {
    line.event.as_ref().and_then(|event| event.other.clone()).unwrap_or_default()
}

/// The name of the service whose pseudonym was told, or asked for in vain: only then does a line that somebody else caused
/// refer to a service in its detail.
fn joined(register: &Register, page: &Page, event: &Event) -> Option<String> {
    let id: ServiceId =
        event.detail.as_deref().filter(|_| matches!(event.kind, Kind::Conversion | Kind::Refusal))?.parse().ok()?;
    Some(register.services.get(&id).map_or_else(|| id.to_string(), |service| page.text(&service.body.name).to_owned()))
}

impl Row {
    /// With what the commitment to the officer whom an order has named can be recomputed.
    pub fn salt(&self) -> Option<String> {
        Some(hex(&self.officer.as_ref()?.salt?))
    }

    /// Whether somebody asked for data, with or without getting it. Everything else the resident did herself, but for
    /// what [`Row::is_given_back`] says.
    pub fn is_asked(&self) -> bool {
        matches!(self.kind, Some(Kind::Use | Kind::Deposit | Kind::Conversion | Kind::Refusal))
    }

    /// Whether a service did it about her authorization, and nobody asked for data.
    pub fn is_given_back(&self) -> bool {
        self.kind == Some(Kind::AuthorizationGivenBack)
    }

    /// Whether a service put data in, rather than getting some.
    pub fn is_deposit(&self) -> bool {
        self.kind == Some(Kind::Deposit)
    }

    pub fn is_refusal(&self) -> bool {
        self.kind == Some(Kind::Refusal)
    }

    /// Whether a system outside did it although a clause stood against it.
    pub fn is_irregular(&self) -> bool {
        self.kind == Some(Kind::Use) && !self.refusal.is_empty()
    }

    /// Whether it is her word to a service, or what she was told of a use in which she has no choice: of both she gets a receipt.
    pub fn has_receipt(&self) -> bool {
        matches!(self.kind, Some(Kind::Consent)) || self.kind == Some(Kind::Withdrawal) && self.service.is_some()
    }

    /// Whether she agreed at a service, which is there as an ODRL agreement.
    pub fn is_agreement(&self) -> bool {
        self.kind == Some(Kind::Consent) && self.service.is_some()
    }

    /// Whether somebody else ended what she lent.
    pub fn is_ended(&self) -> bool {
        self.kind == Some(Kind::Withdrawal) && self.is_by_office
    }

    /// The law itself notifies where no service took part.
    pub fn is_notified(&self) -> bool {
        self.kind == Some(Kind::Consent) && self.service.is_none()
    }
}

fn shortcuts(rows: &[Row]) -> Vec<Shortcut> {
    let mut services: Vec<Shortcut> = Vec::new();
    for row in rows {
        let Some(id) = &row.service else { continue };
        match services.iter_mut().find(|service| service.id == *id) {
            Some(service) => service.lines += 1,
            None => services.push(Shortcut { id: id.clone(), name: row.who.clone(), lines: 1 }),
        }
    }
    services.sort_by_key(|service| std::cmp::Reverse(service.lines));
    services
}

fn months(rows: Vec<Row>) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    let month = |at: &Time| at.day()[..7].to_owned();
    for row in rows {
        match months.last_mut() {
            Some(last) if row.at.is_none() || last.at.is_none() || row.at.as_ref().map(month) == last.at.as_ref().map(month) => {
                last.at = last.at.or(row.at);
                last.rows.push(row);
            }
            _ => months.push(Month { at: row.at, rows: vec![row] }),
        }
    }
    months
}

/// What the verifier in the browser gets. `shown` is what the page says; the verifier compares it with the log. `size` is how
/// many leaves were public before the lines were read: of those, no line of the resident's may be missing.
fn payload(site: &Site, footprint: &Footprint, size: u64) -> Value {
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
                "officer": line.officer.as_ref().map(|named| json!({ "order": named.order, "word": named.word, "salt": named.salt.map(|salt| hex(&salt)) })),
                "matter": line.matter.as_ref().and_then(shown_matter),
                "shown": known.map_or_else(|| json!({ "kind": "", "mandate": null, "service": null, "at": "0", "blocks": [] }), shown),
            })
        })
        .collect();
    json!({
        "origin": site.app.config().origin,
        "vkey": site.app.log_vkey(),
        "policy": site.app.register().log.as_ref().map(|entry| format!("{}\n", entry.body.policy.trim_end())),
        "size": size,
        "tagKey": STANDARD.encode(*footprint.tag_key),
        "delay": opened_weeks(&footprint.delay),
        "checkpointUrl": "/log/checkpoint",
        "lines": lines,
    })
}

/// What opens the commitment to a matter, once its day has come.
fn shown_matter(matter: &LineMatter) -> Option<String> {
    match matter {
        LineMatter::Shown(opened) => Some(STANDARD.encode(opened.encode())),
        LineMatter::Closed { .. } | LineMatter::Lost => None,
    }
}

/// What opens her delayed lines up to the week that runs, as the verifier reads it.
pub(super) fn opened_weeks(delay: &OpenedWeeks) -> Value {
    let seed = delay.seed.as_ref().map(|seed| STANDARD.encode(**seed));
    json!({ "week": delay.week.0, "seed": seed })
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
