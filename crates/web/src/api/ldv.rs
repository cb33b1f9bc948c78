//! `POST /api/ldv/v1/traces`: lines of the Dutch standard *Logboek Dataverwerkingen*, sent over OTLP/HTTP by systems that agencies have
//! already. `POST /api/ldv/sources`: such a system says that it is there, and how far it has come.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{App, Error, OwnCaller, ReportedUse};
use usufruct_core::Time;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId};
use usufruct_core::register::Register;

use super::Caller;
use super::json::Strict;
use super::otlp::{Answer, Export, PartialSuccess, Span};
use super::sent::Sent;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// The processing activity, as the standard names it: the address of a mandate in this register, or its id.
const ACTIVITY: &str = "dpl.core.processing_activity_id";
/// The data subject, as the standard names it: her pseudonym at the service.
const SUBJECT: &str = "dpl.core.data_subject_id";
/// What the standard leaves out and a use cannot be without.
const NUMBER: &str = "usufruct.number";
const BLOCKS: &str = "usufruct.blocks";
const REASON: &str = "usufruct.reason";
const ACTOR: &str = "usufruct.actor";
/// Whether the matter concerns somebody else: `true` or `false`, which it is where it is left out.
const THIRD_PARTY: &str = "usufruct.third_party";
/// Most lines in one request.
const MOST_LINES: usize = 5_000;
/// Refusals that are told in words.
const TOLD: usize = 10;

/// How far a source has come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heard {
    mandate: MandateId,
    last: u64,
    #[serde(default)]
    ends: bool,
}

/// A source is heard; it learns up to which number everything is in the log.
pub(super) async fn hear(
    State(site): State<Arc<Site>>,
    Sent(Caller(service, token), Strict(body)): Sent<Caller, Strict<Heard>>,
) -> Result<Json<Value>, Fault> {
    let received = blocking(&site, move |app| app.hear_source((service, token), &body.mandate, body.last, body.ends)).await?;
    Ok(Json(json!({ "received": received })))
}

/// Takes lines. What is refused is counted and told; what is taken is in the log before the answer.
pub(super) async fn traces(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Sent(Caller(service, token), body): Sent<Caller, Bytes>,
) -> Result<Response, Fault> {
    let (export, is_binary) = read(&headers, &body)?;
    if export.spans().count() > MOST_LINES {
        return Err(Fault::malformed("The request holds more than 5,000 lines. Send fewer at once."));
    }
    let answer = blocking(&site, move |app| take(app, &(service, token).into(), &export)).await?;
    if is_binary {
        return Ok(([(CONTENT_TYPE, PROTOBUF)], answer.encode_to_vec()).into_response());
    }
    Ok(Json(answer).into_response())
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Export, bool), Fault> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(header(CONTENT_ENCODING), "" | "identity") {
        return Err(unsupported("The lines are compressed. Send them as they are."));
    }
    match essence.as_str() {
        "application/json" => {
            // A list would be read as the fields of a message in their order.
            let object = serde_json::from_slice(body).map(Value::Object);
            let export = object.and_then(serde_json::from_value);
            export.map(|export| (export, false)).map_err(|_| Fault::malformed(UNREADABLE))
        }
        PROTOBUF => Export::decode(body).map(|export| (export, true)).map_err(|_| Fault::malformed(UNREADABLE)),
        _ => Err(unsupported("The request is no OTLP. Send `application/json` or `application/x-protobuf`.")),
    }
}

fn take(app: &App, caller: &OwnCaller, export: &Export) -> Result<Answer, Error> {
    let register = app.register();
    let (mut rejected, mut told) = (0, Vec::new());
    for span in export.spans() {
        let outcome = match line(&register, span) {
            Ok(reported) => {
                let officer = span.text(ACTOR).map(|word| app.officer(caller.clone(), word)).transpose();
                officer.and_then(|actor| app.report(caller.clone(), &ReportedUse { actor, ..reported }).map(drop))
            }
            Err(what) => Err(Error::Refused { what, remedy: "Add it and send the line again.".to_owned() }),
        };
        match outcome {
            Ok(()) => {}
            Err(error @ (Error::Refused { .. } | Error::Unknown { .. } | Error::Unpermitted(_))) => {
                rejected += 1;
                if told.len() < TOLD {
                    let number = span.integer(NUMBER).map(|number| format!("{number}: ")).unwrap_or_default();
                    told.push(format!("{number}{error}"));
                }
            }
            // The whole request is sent again then, and what was taken is not taken twice.
            Err(error) => return Err(error),
        }
    }
    let partial = PartialSuccess { rejected_spans: rejected, error_message: told.join("\n") };
    Ok(Answer { partial_success: (rejected > 0).then_some(partial) })
}

/// The use that a line tells of, or what it lacks.
fn line(register: &Register, span: &Span) -> Result<ReportedUse, String> {
    let lacks = |key: &str, what: &str| format!("The line lacks `{key}`, {what}.");
    let activity = span.text(ACTIVITY).ok_or_else(|| lacks(ACTIVITY, "the mandate under which data was processed"))?;
    let mandate: Option<MandateId> = activity.rsplit(['/', ':', '#']).next().and_then(|id| id.parse().ok());
    let known = mandate.and_then(|id| Some((register.mandates.get(&id)?, id)));
    let (entry, mandate) = known.ok_or("The processing activity is no mandate of the register; publish one for it first.")?;
    let number = span.integer(NUMBER).and_then(|number| u64::try_from(number).ok());
    let number = number.ok_or_else(|| lacks(NUMBER, "the number that the system gave it under the mandate, from 1"))?;
    let subject = span.text(SUBJECT).ok_or_else(|| lacks(SUBJECT, "the pseudonym of the resident at this service"))?;
    let blocks: Vec<(BlockId, Form)> = span
        .texts(BLOCKS)
        .into_iter()
        .map(|text| {
            let (id, form) = text.split_once(':').unwrap_or((text, ""));
            let id: BlockId = id.parse().ok()?;
            let form = if form.is_empty() { Some(entry.body.asked(&id)?.form) } else { Form::from_code(form) };
            Some((id, form?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("A value of `{BLOCKS}` is no data block of the mandate, as `blk_name` or `blk_name:token`."))?;
    if blocks.is_empty() {
        return Err(lacks(BLOCKS, "the list of data blocks that were used"));
    }
    let only = entry.body.reasons.first().filter(|_| entry.body.reasons.len() == 1).map(|reason| reason.code.as_str());
    let reason = span.text(REASON).or(only).ok_or_else(|| lacks(REASON, "the code of one of the mandate's reasons"))?;
    let third_party = span.flag(THIRD_PARTY).map_err(|()| format!("`{THIRD_PARTY}` is neither true nor false."))?;
    if span.end_time_unix_nano == 0 {
        return Err(lacks("endTimeUnixNano", "when it happened"));
    }
    Ok(ReportedUse {
        mandate,
        number,
        subject: subject.to_owned(),
        blocks,
        reason: reason.to_owned(),
        // The commitment to the officer is made where her word is kept.
        actor: None,
        happened_at: Time::from_micros(i64::try_from(span.end_time_unix_nano / 1_000).unwrap_or(i64::MAX)),
        third_party,
    })
}

fn unsupported(message: &str) -> Fault {
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-otlp", message)
}

const PROTOBUF: &str = "application/x-protobuf";
const UNREADABLE: &str = "The body is no ExportTraceServiceRequest. Compare it with the protocol and send it again.";
