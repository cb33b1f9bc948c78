//! Parts of the register as comma-separated values (RFC 4180), one line for each object, lists within a cell parted by spaces.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use usufruct_core::Text;
use usufruct_core::register::Entry;

use crate::Site;
use crate::fault::Fault;

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

pub(super) async fn certificates(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["cause", "mandate", "epoch_before", "epoch_after"];
    answer(site.app.register().certificates.values(), &columns, |body| {
        let mandate = body.mandate.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![word(&body.cause), mandate, body.epoch_before.to_string(), body.epoch_after.to_string()]
    })
}

pub(super) async fn contracts(State(site): State<Arc<Site>>) -> Answer {
    let columns = ["controller", "vendor", "mandates", "from", "until", "data_locations", "subprocessors", "delete_within_days"];
    answer(site.app.register().contracts.values(), &columns, |body| {
        vec![
            body.controller.to_string(),
            body.vendor.to_string(),
            list(&body.mandates),
            body.from.to_string(),
            body.until.to_string(),
            list(&body.data_locations),
            list(body.subprocessors.iter().map(|sub| &sub.agency)),
            body.delete_within_days.to_string(),
        ]
    })
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
    let unwritten = |_| Fault::internal();
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    table.write_record([&["id", "revision", "state", "since"], columns, &["hash", "leaf"]].concat()).map_err(unwritten)?;
    for entry in entries {
        let first = [entry.id.clone(), entry.rev.to_string(), entry.state.code().to_owned(), entry.since.to_string()];
        let last = [entry.hash.to_string(), entry.index.to_string()];
        table.write_record([&first[..], &cells(&entry.body), &last].concat()).map_err(unwritten)?;
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
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
