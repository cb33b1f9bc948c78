//! Parts of the register as comma-separated values (RFC 4180), one line for each object, lists within a cell parted by spaces.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use usufruct_app::elsewhere_counts;
use usufruct_core::body_audit::FindingStatus;
use usufruct_core::id::AgencyId;
use usufruct_core::key::KeyOf;
use usufruct_core::register::Entry;
use usufruct_core::statement::StatementKind;
use usufruct_core::{Text, Time};

use crate::Site;
use crate::fault::Fault;
use crate::register::keys::destroyed;
use crate::site::blocking;

type Answer = Result<Response, Fault>;

pub(super) async fn agencies(State(site): State<Arc<Site>>) -> Answer {
    answer(site.app.register().agencies.values(), &["name_en", "name_zh_hant", "kind", "jurisdiction", "contact"], |body| {
        let [en, zh] = words(&body.legal_name);
        vec![en, zh, word(&body.kind), body.jurisdiction.clone(), body.contact.clone()]
    })
}

pub(super) async fn agreements(State(site): State<Arc<Site>>) -> Answer {
    answer(site.app.register().agreements.values(), &["parties", "in_force_from", "sunset_at"], |body| {
        vec![list(&body.parties), body.in_force_from.to_string(), body.sunset_at.to_string()]
    })
}

pub(super) async fn assessments(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["mandate", "mandate_hash", "decision", "review_due"];
    answer(site.app.register().assessments.values(), &columns, |body| {
        vec![body.mandate.to_string(), body.mandate_hash.to_string(), word(&body.decision), body.review_due.to_string()]
    })
}

pub(super) async fn audits(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["auditor", "audited", "standard", "done_at", "next_due", "findings", "open", "report"];
    answer(site.app.register().body_audits.values(), &columns, |body| {
        let open = body.findings.iter().filter(|finding| finding.status == FindingStatus::Open).count();
        let (auditor, audited) = (body.auditor.to_string(), body.audited.to_string());
        let (done_at, next_due) = (body.done_at.to_string(), body.next_due.to_string());
        let report = body.report.url.clone().unwrap_or_default();
        let counts = [body.findings.len(), open].map(|count| count.to_string());
        [&[auditor, audited, body.standard.clone(), done_at, next_due], &counts[..], &[report]].concat()
    })
}

pub(super) async fn blocks(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["name_en", "name_zh_hant", "category", "sensitivity", "source_agency", "forms_allowed", "correctable"];
    answer(site.app.register().blocks.values(), &columns, |body| {
        let [en, zh] = words(&body.name);
        let forms = list(body.forms_allowed.iter().map(word));
        let (sensitivity, source) = (word(&body.sensitivity), body.source_agency.to_string());
        vec![en, zh, body.category.clone(), sensitivity, source, forms, body.correctable.to_string()]
    })
}

pub(super) async fn cameras(State(site): State<Arc<Site>>) -> Answer {
    let columns = [
        "place_en",
        "place_zh_hant",
        "latitude",
        "longitude",
        "precision_m",
        "direction",
        "authority",
        "installer",
        "applicant",
        "purpose_code",
        "permit_no",
        "permit_until",
        "px_per_m",
        "recording_days",
        "live_view_roles",
        "last_check",
    ];
    answer(site.app.register().cameras.values(), &columns, |body| {
        let [en, zh] = words(&body.location.place);
        let moment = |at: Option<Time>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            en,
            zh,
            body.location.latitude.to_string(),
            body.location.longitude.to_string(),
            body.location.precision_m.to_string(),
            word(&body.direction),
            body.authority.to_string(),
            body.installer.to_string(),
            body.applicant.to_string(),
            body.purpose_code.clone(),
            body.permit_no.clone().unwrap_or_default(),
            moment(body.permit_until),
            body.px_per_m.to_string(),
            body.recording.days.unwrap_or(0).to_string(),
            body.live_view.as_ref().map(|view| view.roles.join("; ")).unwrap_or_default(),
            moment(body.last_check),
        ]
    })
}

pub(super) async fn certificates(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["cause", "mandate", "epoch_before", "epoch_after"];
    answer(site.app.register().certificates.values(), &columns, |body| {
        let mandate = body.mandate.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![word(&body.cause), mandate, body.epoch_before.to_string(), body.epoch_after.to_string()]
    })
}

pub(super) async fn contracts(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["controller", "vendor", "mandates", "from", "until", "data_locations", "subprocessors", "delete_within_days"];
    let register = site.app.register();
    answer_of(register.contracts.values(), &columns, |entry| {
        let body = &entry.body;
        vec![
            body.controller.to_string(),
            body.vendor.to_string(),
            list(&body.mandates),
            body.from.to_string(),
            body.until.to_string(),
            list(&body.data_locations),
            list(register.subprocessors(entry).map(|sub| &sub.agency)),
            body.delete_within_days.to_string(),
        ]
    })
}

/// One line for each vendor of a contract and each vendor behind it: where it works, how deep, and from when.
pub(super) async fn processors(State(site): State<Arc<Site>>) -> Answer {
    let register = site.app.register();
    let columns = [
        "contract",
        "state",
        "controller",
        "processor",
        "depth",
        "under",
        "locations",
        "from",
        "until",
        "objection",
        "hash",
        "leaf",
    ];
    let lines = register.contracts.values().flat_map(|entry| {
        let body = &entry.body;
        let line = |processor: &AgencyId, depth: usize, under: &str, places: String, from: Time, objection: &str| {
            let (contract, state, hash) = (entry.id.clone(), entry.state.code().to_owned(), entry.hash.to_string());
            let (controller, until, leaf) = (body.controller.to_string(), body.until.to_string(), entry.index.to_string());
            let (processor, depth, from) = (processor.to_string(), depth.to_string(), from.to_string());
            let (under, objection) = (under.to_owned(), objection.to_owned());
            vec![contract, state, controller, processor, depth, under, places, from, until, objection, hash, leaf]
        };
        let own = line(&body.vendor, 0, "", list(&body.data_locations), body.from, "");
        let behind = body.subprocessors.iter().map(|sub| {
            let under = sub.under.as_ref().unwrap_or(&body.vendor);
            let objection = register.objection_above(entry, sub).map_or("", |check| check.id.as_str());
            // A chain that leads to nobody has no depth; nobody signs such a contract.
            let depth = body.depth_of(sub).unwrap_or_default();
            line(&sub.agency, depth, under.as_str(), sub.location.clone(), sub.from.unwrap_or(body.from), objection)
        });
        std::iter::once(own).chain(behind).collect::<Vec<_>>()
    });
    csv_of(&columns, lines)
}

/// One line for each thing that a register of elsewhere lacks.
pub(super) async fn drafts(State(site): State<Arc<Site>>) -> Answer {
    let counted = blocking(&site, |_| Ok(elsewhere_counts())).await?.map_err(|_| Fault::internal())?;
    let lines = counted.iter().flat_map(|count| {
        let lacks = count.shortfall.lacks.iter();
        lacks.map(|lack| vec![word(&count.origin), lack.field.clone(), lack.rule.to_string(), lack.entries.to_string()])
    });
    csv_of(&["register", "field", "rule", "entries"], lines)
}

/// Sources whose record is incomplete.
pub(super) async fn incidents(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["source", "mandate", "fault", "from", "missing", "ended_at"];
    answer(site.app.register().incidents.values(), &columns, |body| {
        let ended = body.ended_at.map(|at| at.to_string()).unwrap_or_default();
        let (source, missing) = (body.source.as_str().to_owned(), body.missing.to_string());
        vec![source, body.mandate.to_string(), body.fault.code().to_owned(), body.since.to_string(), missing, ended]
    })
}

/// One line for each published key of a mandate or a pseudonym domain, with the certificate that says that it is gone.
pub(super) async fn keys(State(site): State<Arc<Site>>) -> Answer {
    let register = site.app.register();
    let gone = destroyed(&register);
    answer(register.keys.values(), &["of", "month", "commitment", "epoch", "gone_by"], |body| {
        let month = body.month.map(|month| month.to_string()).unwrap_or_default();
        let gone = gone.get(&body.commitment).map(|certificate| (*certificate).to_owned()).unwrap_or_default();
        let of = match &body.of {
            KeyOf::Mandate(mandate) => mandate.to_string(),
            KeyOf::Sector(sector) => sector.clone(),
        };
        vec![of, month, body.commitment.to_string(), body.epoch.to_string(), gone]
    })
}

pub(super) async fn laws(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["jurisdiction", "title_en", "title_zh_hant", "status", "valid_from", "valid_until", "deadlines", "sources"];
    answer(site.app.register().lawpacks.values(), &columns, |body| {
        let [en, zh] = words(&body.title);
        let until = body.valid_until.map(|until| until.to_string()).unwrap_or_default();
        let deadlines = list(body.deadlines.iter().map(|deadline| format!("{}={}", deadline.duty.code(), deadline.within)));
        let sources = list(body.sources.iter().map(|source| &source.url));
        vec![body.jurisdiction.clone(), en, zh, word(&body.status), body.valid_from.to_string(), until, deadlines, sources]
    })
}

/// The terms of the log and the verifier that is served, each in its present revision.
pub(super) async fn log(State(site): State<Arc<Site>>) -> Answer {
    let register = site.app.register();
    let outlines = [StatementKind::Log, StatementKind::Verifier].into_iter().flat_map(|kind| register.outlines(kind));
    let lines = outlines.map(|outline| {
        let (rev, hash, leaf) = (outline.rev.to_string(), outline.hash.to_string(), outline.index.to_string());
        vec![
            outline.id.to_owned(),
            rev,
            outline.state.code().to_owned(),
            outline.since.to_string(),
            word(&outline.kind),
            hash,
            leaf,
        ]
    });
    csv_of(&["id", "revision", "state", "since", "type", "hash", "leaf"], lines)
}

pub(super) async fn mandates(State(site): State<Arc<Site>>) -> Answer {
    let columns = [
        "title_en",
        "title_zh_hant",
        "controller",
        "kind",
        "purpose_en",
        "purpose_zh_hant",
        "dpv",
        "local_code",
        "basis",
        "instrument_en",
        "instrument_zh_hant",
        "article",
        "law",
        "blocks",
        "operations",
        "recipients",
        "locations",
        "bulk_limit",
        "retention",
        "starts_at",
        "sunset_at",
        "automated_decision",
        "oversight_body",
    ];
    answer(site.app.register().mandates.values(), &columns, |body| {
        let [[title, title_zh], [purpose, purpose_zh], [instrument, instrument_zh]] =
            [&body.title, &body.purpose.sentence, &body.legal_basis.instrument].map(words);
        vec![
            title,
            title_zh,
            body.controller.to_string(),
            word(&body.kind),
            purpose,
            purpose_zh,
            body.purpose.dpv.clone(),
            body.purpose.local_code.clone(),
            word(&body.legal_basis.code),
            instrument,
            instrument_zh,
            body.legal_basis.article.clone(),
            body.legal_basis.url.clone(),
            list(body.blocks.iter().map(|asked| &asked.block)),
            list(body.operations.iter().map(word)),
            list(body.recipients.iter().map(|recipient| &recipient.agency)),
            list(&body.locations),
            body.bulk_limit.to_string(),
            body.retention.duration.clone(),
            body.starts_at.to_string(),
            body.sunset_at.to_string(),
            word(&body.automated_decision),
            body.oversight_body.to_string(),
        ]
    })
}

pub(super) async fn meetings(State(site): State<Arc<Site>>) -> Answer {
    answer(site.app.register().meetings.values(), &["body", "title_en", "title_zh_hant", "held_at", "decisions"], |body| {
        let [en, zh] = words(&body.title);
        vec![body.body.to_string(), en, zh, body.held_at.to_string(), body.decisions.len().to_string()]
    })
}

/// The notices of all revisions of mandates.
pub(super) async fn notices(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["mandate", "mandate_hash", "line_en", "line_zh_hant"];
    answer(site.app.register().notices.values(), &columns, |body| {
        let [en, zh] = words(&body.line);
        vec![body.mandate.to_string(), body.mandate_hash.to_string(), en, zh]
    })
}

/// One line for each mandate and day.
pub(super) async fn tallies(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["mandate", "day", "uses", "delayed", "irregular", "batches", "residents", "refusals"];
    answer(site.app.register().tallies.values(), &columns, |body| {
        let counts = [body.uses, body.delayed, body.irregular, body.batches, body.residents].map(|count| count.to_string());
        let refusals = list(body.refusals.iter().map(|line| format!("{}={}", line.clause, line.count)));
        [body.mandate.to_string(), body.day.to_string()].into_iter().chain(counts).chain([refusals]).collect()
    })
}

pub(super) async fn rulings(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["body", "office", "mandate", "kind", "finding", "remedy", "text_en", "text_zh_hant"];
    answer(site.app.register().rulings.values(), &columns, |body| {
        let [en, zh] = words(&body.text);
        let mandate = body.mandate.as_ref().map(ToString::to_string).unwrap_or_default();
        let remedy = body.remedy.as_ref().map(word).unwrap_or_default();
        let (by, office) = (body.body.to_string(), body.office.to_string());
        vec![by, office, mandate, word(&body.kind), word(&body.finding), remedy, en, zh]
    })
}

pub(super) async fn services(State(site): State<Arc<Site>>) -> Answer {
    answer(
        site.app.register().services.values(),
        &["name_en", "name_zh_hant", "agency", "sector", "mandates", "channels"],
        |body| {
            let [en, zh] = words(&body.name);
            let channels = list(body.channels.iter().map(word));
            vec![en, zh, body.agency.to_string(), body.sector.clone(), list(&body.mandates), channels]
        },
    )
}

/// A table of these objects: what stands in every entry, with the cells of its body between.
fn answer<'a, T: 'a>(entries: impl Iterator<Item = &'a Entry<T>>, columns: &[&str], cells: impl Fn(&T) -> Vec<String>) -> Answer {
    answer_of(entries, columns, |entry| cells(&entry.body))
}

fn answer_of<'a, T: 'a>(
    entries: impl Iterator<Item = &'a Entry<T>>,
    columns: &[&str],
    cells: impl Fn(&'a Entry<T>) -> Vec<String>,
) -> Answer {
    let columns = [&["id", "revision", "state", "since"], columns, &["hash", "leaf"]].concat();
    let lines = entries.map(|entry| {
        let first = [entry.id.clone(), entry.rev.to_string(), entry.state.code().to_owned(), entry.since.to_string()];
        let last = [entry.hash.to_string(), entry.index.to_string()];
        [&first[..], &cells(entry), &last].concat()
    });
    csv_of(&columns, lines)
}

/// A table with these lines, each with as many cells as there are columns.
pub(in crate::register) fn csv_of(columns: &[&str], lines: impl IntoIterator<Item = Vec<String>>) -> Answer {
    let unwritten = |_| Fault::internal();
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    table.write_record(columns).map_err(unwritten)?;
    for line in lines {
        table.write_record(&line).map_err(unwritten)?;
    }
    let bytes = table.into_inner().map_err(|_| Fault::internal())?;
    Ok(([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "text/csv; charset=utf-8")], bytes).into_response())
}

fn words(text: &Text) -> [String; 2] {
    [text.en.clone(), text.zh_hant.clone()]
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

/// The word for it in statements.
pub(in crate::register) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
