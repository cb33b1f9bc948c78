//! `POST /api/ldv/v1/traces`: lines of the Dutch standard *Logboek Dataverwerkingen*, sent over OTLP/HTTP by systems that agencies have
//! already. `POST /api/ldv/sources`: such a system says that it is there, and how far it has come.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{App, Error, OwnCaller, ReportedUse};
use usufruct_core::Time;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::mandate::Mandate;
use usufruct_core::operation::{ENTITY_MOST, ForeignOperation};
use usufruct_core::processing_log::Activity;
use usufruct_core::register::Register;

use super::json::Strict;
use super::otlp::{Answer, Export, PartialSuccess, Span};
use super::otlp_parts::{MOST_LINES, Unread, count_binary, count_json};
use super::sent::Sent;
use super::{Caller, LINES_LIMIT};
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// The processing activity, as the standard names it: one that the registration of the service maps, or a mandate by its address or id.
const ACTIVITY: &str = "dpl.core.processing_activity_id";
/// The data subject, as the standard names it: her pseudonym at the service, or a URI that ends in it.
const SUBJECT: &str = "dpl.core.data_subject_id";
/// What the standard leaves out and a use cannot be without, where the registration of the service does not say it.
const NUMBER: &str = "usufruct.number";
const BLOCKS: &str = "usufruct.blocks";
const REASON: &str = "usufruct.reason";
const ACTOR: &str = "usufruct.actor";
/// Whether the matter concerns somebody else: `true` or `false`, which it is where it is left out.
const THIRD_PARTY: &str = "usufruct.third_party";
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

/// Who reports, by a token of the service or by the key of an exporter, and what it sends.
pub(super) struct Sender(OwnCaller, Bytes);

impl FromRequest<Arc<Site>> for Sender {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let header =
            request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| text.split_once(' '));
        let key = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        let Some(caller) = key.and_then(|key| site.app.exporting(key)) else {
            let Sent(Caller(service, token), body) = Sent::from_request(request, site).await?;
            return Ok(Self((service, token).into(), body));
        };
        site.limiters.count_call(&caller.service).map_err(|seconds| Fault::too_many(seconds).into_response())?;
        let body = Bytes::from_request(request, site).await.map_err(|rejection| too_large(rejection.status()).into_response())?;
        Ok(Self(caller, body))
    }
}

fn too_large(status: StatusCode) -> Fault {
    Fault::new(
        status,
        "too-large",
        "The lines cannot be read, or are more than 8 MiB when they are unpacked. Send fewer at once.",
    )
}

/// Takes lines. What is refused is counted and told; what is taken is in the log before the answer.
pub(super) async fn traces(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Sender(caller, body): Sender,
) -> Result<Response, Fault> {
    // What is sent packed takes far more room when it is unpacked, so there is one of each service at a time. An exporter sends again what
    // is answered with 429.
    let turn = site.line_turns.take(&caller.service).await?;
    let (answer, is_binary) = blocking(&site, move |app| {
        // It goes when the work is done, also where nobody waits for the answer any more.
        let _turn = turn;
        Ok(match read(&headers, &body) {
            Ok((export, is_binary)) => Ok((take(app, &caller, &export)?, is_binary)),
            Err(fault) => Err(fault),
        })
    })
    .await
    .map_err(to_repeat)??;
    if is_binary {
        return Ok(([(CONTENT_TYPE, PROTOBUF)], answer.encode_to_vec()).into_response());
    }
    Ok(Json(answer).into_response())
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Export, bool), Fault> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let body = match header(CONTENT_ENCODING).to_ascii_lowercase().as_str() {
        "" | "identity" => Cow::Borrowed(body),
        "gzip" => Cow::Owned(unpacked(body)?),
        _ => return Err(unsupported("The lines are packed in a way that is not read. Send them as they are, or with gzip.")),
    };
    let body: &[u8] = &body;
    let unreadable = || Fault::malformed(UNREADABLE);
    // Nothing is built before it is known how much it is.
    let (export, is_binary): (Export, bool) = match essence.as_str() {
        "application/json" => {
            count_json(body).map_err(unread)?;
            // A list would be read as the fields of a message in their order.
            if !body.trim_ascii_start().starts_with(b"{") {
                return Err(unreadable());
            }
            (serde_json::from_slice(body).map_err(|_| unreadable())?, false)
        }
        PROTOBUF => {
            count_binary(body).map_err(unread)?;
            (Export::decode(body).map_err(|_| unreadable())?, true)
        }
        _ => return Err(unsupported("The request is no OTLP. Send `application/json` or `application/x-protobuf`.")),
    };
    if export.spans().count() > MOST_LINES { Err(unread(Unread::TooManyLines)) } else { Ok((export, is_binary)) }
}

fn unread(unread: Unread) -> Fault {
    Fault::malformed(match unread {
        Unread::Malformed => UNREADABLE,
        Unread::TooManyLines => "The request holds more than 5,000 lines. Send fewer at once.",
        Unread::TooManyParts => {
            "The request holds more than 250,000 attributes, values and other parts. Send fewer lines at once."
        }
    })
}

/// What was packed with gzip. Reading ends where it is more than may be sent unpacked.
fn unpacked(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut whole = Vec::new();
    let read = MultiGzDecoder::new(body).take(LINES_LIMIT as u64 + 1).read_to_end(&mut whole);
    read.map_err(|_| Fault::malformed("The body is no gzip. Pack it again and send it again."))?;
    if whole.len() > LINES_LIMIT { Err(too_large(StatusCode::PAYLOAD_TOO_LARGE)) } else { Ok(whole) }
}

/// An exporter throws lines away on 500, and sends them again on 503.
fn to_repeat(fault: Fault) -> Fault {
    if fault.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return fault;
    }
    Fault::new(StatusCode::SERVICE_UNAVAILABLE, "not-taken", "The lines could not be taken now. Send the same request again.")
}

fn take(app: &App, caller: &OwnCaller, export: &Export) -> Result<Answer, Error> {
    let register = app.register();
    let (mut rejected, mut told) = (0, Vec::new());
    for (system, span) in export.spans() {
        let outcome = match line(&register, &caller.service, system, span) {
            Ok(reported) => match span.text(ACTOR) {
                Some(word) => app.report_of_officer(caller.clone(), &reported, word).map(drop),
                None => app.report(caller.clone(), &reported).map(drop),
            },
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

/// The use that a line of a system tells of, or what it lacks.
fn line(register: &Register, service: &ServiceId, system: Option<&str>, span: &Span) -> Result<ReportedUse, String> {
    let lacks = |key: &str, what: &str| format!("The line lacks `{key}`, {what}.");
    let activity = span.text(ACTIVITY).ok_or_else(|| lacks(ACTIVITY, "the mandate under which data was processed"))?;
    let registered = register.services.get(service).map(|entry| &entry.body);
    let mapped = registered.and_then(|body| body.processing_log.as_ref()?.activity(activity));
    let mandate = mapped.map(|mapped| mapped.mandate.clone()).or_else(|| last_part(activity).parse().ok());
    let known = mandate.and_then(|id| Some((register.mandates.get(&id)?, id)));
    let (entry, mandate) = known.ok_or("The processing activity is no mandate of the register; publish one for it first.")?;
    let number = span.integer(NUMBER).and_then(|number| u64::try_from(number).ok());
    let is_numbered_by_pass = registered.is_some_and(|body| body.is_numbered_by_pass(&mandate));
    if number.is_none() && !is_numbered_by_pass {
        return Err(lacks(NUMBER, "the number that the system gave it under the mandate, from 1"));
    }
    let subject = span.text(SUBJECT).ok_or_else(|| lacks(SUBJECT, "the pseudonym of the resident at this service"))?;
    let blocks = used(&entry.body, mapped, span)
        .ok_or_else(|| format!("A value of `{BLOCKS}` is no data block of the mandate, as `blk_name` or `blk_name:token`."))?;
    if blocks.is_empty() {
        return Err(lacks(BLOCKS, "the list of data blocks that were used"));
    }
    let only = entry.body.reasons.first().filter(|_| entry.body.reasons.len() == 1).map(|reason| reason.code.as_str());
    let usual = mapped.map(|mapped| mapped.reason.as_str());
    let reason = span.text(REASON).or(usual).or(only).ok_or_else(|| lacks(REASON, "the code of one of the mandate's reasons"))?;
    let third_party = span.flag(THIRD_PARTY).map_err(|()| format!("`{THIRD_PARTY}` is neither true nor false."))?;
    if span.end_time_unix_nano == 0 {
        return Err(lacks("endTimeUnixNano", "when it happened"));
    }
    // What a system calls itself could tell the matter.
    let name = system.filter(|name| !third_party && !name.is_empty() && name.len() <= ENTITY_MOST).unwrap_or(service.as_str());
    Ok(ReportedUse {
        mandate,
        number,
        operation: ForeignOperation::new(&span.trace_id, &span.span_id, &span.parent_span_id, name),
        subject: last_part(subject).to_owned(),
        blocks,
        reason: reason.to_owned(),
        // Her word is told beside it.
        actor: None,
        happened_at: Time::from_micros(i64::try_from(span.end_time_unix_nano / 1_000).unwrap_or(i64::MAX)),
        third_party,
    })
}

/// The blocks that a line says were used; where it says nothing, those of its activity, in the form for which the mandate asks.
fn used(mandate: &Mandate, mapped: Option<&Activity>, span: &Span) -> Option<Vec<(BlockId, Form)>> {
    let told = span.texts(BLOCKS);
    if told.is_empty() {
        let usual = mapped.map_or(&[][..], |mapped| &mapped.blocks);
        return usual.iter().map(|id| Some((id.clone(), mandate.asked(id)?.form))).collect();
    }
    let read = |text: &str| {
        let (id, form) = text.split_once(':').unwrap_or((text, ""));
        let id: BlockId = id.parse().ok()?;
        let form = if form.is_empty() { Some(mandate.asked(&id)?.form) } else { Form::from_code(form) };
        Some((id, form?))
    };
    told.into_iter().map(read).collect()
}

/// What stands at the end of a URI.
fn last_part(text: &str) -> &str {
    text.rsplit(['/', ':', '#']).next().unwrap_or(text)
}

fn unsupported(message: &str) -> Fault {
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-otlp", message)
}

const PROTOBUF: &str = "application/x-protobuf";
const UNREADABLE: &str = "The body is no ExportTraceServiceRequest. Compare it with the protocol and send it again.";
