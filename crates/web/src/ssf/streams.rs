//! The stream of a service: made, read, changed, deleted (OpenID Shared Signals Framework 1.0, 8.1.1).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::store::streams::{Method, Stream};
use usufruct_app::{EVENT_TYPES, StreamRequest, VERIFY_EVERY_SECONDS};

use super::{MayManage, MayRead};
use crate::Site;
use crate::api::json::Strict;
use crate::api::sent::Sent;
use crate::fault::Fault;
use crate::site::blocking;

pub(super) const PUSH: &str = "urn:ietf:rfc:8935";
pub(super) const POLL: &str = "urn:ietf:rfc:8936";

/// Which stream is meant; a service has one at most.
#[derive(Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub stream_id: Option<String>,
}

/// What a service says of its stream. What the transmitter says of it may stand beside it, and must then be right.
#[derive(Deserialize)]
pub(super) struct Asked {
    stream_id: Option<String>,
    iss: Option<Value>,
    aud: Option<Value>,
    events_supported: Option<Value>,
    events_requested: Option<Vec<String>>,
    delivery: Option<Delivery>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Delivery {
    method: String,
    endpoint_url: Option<String>,
    authorization_header: Option<String>,
}

/// `POST /ssf/streams`.
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    Sent(MayManage(caller), Strict(asked)): Sent<MayManage, Strict<Asked>>,
) -> Result<Response, Fault> {
    let request = asked.request(None)?;
    let stream = blocking(&site, move |app| app.create_stream(caller, request)).await?;
    asked.agrees_with(&site, &stream)?;
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(document(&site, &stream))).into_response())
}

/// `GET /ssf/streams`: the stream that is named, or a list of all there are.
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    MayRead(caller): MayRead,
    Query(named): Query<Named>,
) -> Result<Response, Fault> {
    let stream = blocking(&site, move |app| app.stream(&caller.service)).await?;
    let body = match named.stream_id {
        Some(id) => {
            let stream = stream.filter(|stream| stream.id == id).ok_or_else(|| Fault::not_found("stream"))?;
            document(&site, &stream)
        }
        None => stream.iter().map(|stream| document(&site, stream)).collect(),
    };
    Ok(answer(body))
}

/// `PATCH /ssf/streams`: what is left out stays as it is.
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    Sent(MayManage(caller), Strict(asked)): Sent<MayManage, Strict<Asked>>,
) -> Result<Response, Fault> {
    let id = asked.stream_id()?.to_owned();
    let service = caller.service.clone();
    let (stream, authorization_header) =
        blocking(&site, move |app| Ok((app.stream(&service)?, app.push_authorization(&service)?))).await?;
    let stream = stream.filter(|stream| stream.id == id).ok_or_else(|| Fault::not_found("stream"))?;
    asked.agrees_with(&site, &stream)?;
    let before =
        StreamRequest { endpoint: stream.endpoint, authorization_header, events: stream.events, description: stream.description };
    let request = asked.request(Some(before))?;
    let stream = blocking(&site, move |app| app.change_stream(caller, &id, request)).await?;
    Ok(answer(document(&site, &stream)))
}

/// `PUT /ssf/streams`: what is left out is gone.
pub(super) async fn replace(
    State(site): State<Arc<Site>>,
    Sent(MayManage(caller), Strict(asked)): Sent<MayManage, Strict<Asked>>,
) -> Result<Response, Fault> {
    let id = asked.stream_id()?.to_owned();
    let service = caller.service.clone();
    let stream = blocking(&site, move |app| app.stream(&service)).await?;
    let stream = stream.filter(|stream| stream.id == id).ok_or_else(|| Fault::not_found("stream"))?;
    asked.agrees_with(&site, &stream)?;
    let request = asked.request(None)?;
    let stream = blocking(&site, move |app| app.change_stream(caller, &id, request)).await?;
    Ok(answer(document(&site, &stream)))
}

/// `DELETE /ssf/streams`.
pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    MayManage(caller): MayManage,
    Query(named): Query<Named>,
) -> Result<StatusCode, Fault> {
    let id = named.stream_id.ok_or_else(unnamed)?;
    blocking(&site, move |app| app.delete_stream(caller, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Asked {
    fn stream_id(&self) -> Result<&str, Fault> {
        self.stream_id.as_deref().ok_or_else(unnamed)
    }

    /// Refuses what contradicts the transmitter's own part.
    fn agrees_with(&self, site: &Site, stream: &Stream) -> Result<(), Fault> {
        let own = document(site, stream);
        let said = [("iss", &self.iss), ("aud", &self.aud), ("events_supported", &self.events_supported)];
        match said.into_iter().all(|(name, value)| value.as_ref().is_none_or(|value| own[name] == *value)) {
            true => Ok(()),
            false => Err(Fault::malformed(
                "A part of the stream that the transmitter decides is not as it decided. Leave it out, or send it as it was read.",
            )),
        }
    }

    /// The stream as the service wants it. What it does not say is as `before`.
    fn request(&self, before: Option<StreamRequest>) -> Result<StreamRequest, Fault> {
        let mut request =
            before.unwrap_or(StreamRequest { endpoint: None, authorization_header: None, events: None, description: None });
        if let Some(delivery) = &self.delivery {
            (request.endpoint, request.authorization_header) = delivery.read()?;
        }
        if let Some(events) = &self.events_requested {
            let is_type = |event: &String| (1..=500).contains(&event.len()) && event.bytes().all(|byte| byte.is_ascii_graphic());
            if events.len() > MOST_TYPES || !events.iter().all(is_type) {
                return Err(Fault::malformed(
                    "events_requested is not a list of at most 50 URIs. Name the types of event that the stream is to have.",
                ));
            }
            request.events = Some(events.clone());
        }
        if let Some(description) = &self.description {
            if description.len() > 500 {
                return Err(Fault::malformed("The description is longer than 500 bytes. Shorten it."));
            }
            request.description = Some(description.clone());
        }
        Ok(request)
    }
}

impl Delivery {
    /// Where to push to and with what secret; neither for a service that polls.
    fn read(&self) -> Result<(Option<String>, Option<String>), Fault> {
        match (self.method.as_str(), &self.endpoint_url) {
            (POLL, _) => Ok((None, None)),
            (PUSH, Some(endpoint)) => {
                let fits = |secret: &String| secret.len() <= 2_000 && HeaderValue::from_str(secret).is_ok();
                if !self.authorization_header.as_ref().is_none_or(fits) {
                    return Err(Fault::malformed(
                        "authorization_header is longer than 2,000 bytes or no value of a header. Send what the receiver expects in `Authorization`.",
                    ));
                }
                Ok((Some(endpoint.clone()), self.authorization_header.clone()))
            }
            (PUSH, None) => Err(Fault::malformed("endpoint_url is missing. Give the service's signals_uri of the register.")),
            _ => Err(Fault::malformed("There is no such way of delivery. Use urn:ietf:rfc:8935 or urn:ietf:rfc:8936.")),
        }
    }
}

/// The stream as its service sees it. The secret that goes with pushes is not repeated.
pub(super) fn document(site: &Site, stream: &Stream) -> Value {
    let issuer = &site.settings.issuer;
    let delivered: Vec<&str> = EVENT_TYPES
        .iter()
        .copied()
        .filter(|known| stream.events.as_ref().is_none_or(|events| events.iter().any(|asked| asked == known)))
        .collect();
    let delivery = match stream.method {
        Method::Push => json!({ "method": PUSH, "endpoint_url": stream.endpoint }),
        Method::Poll => json!({ "method": POLL, "endpoint_url": format!("{issuer}/ssf/poll/{}", stream.id) }),
    };
    let mut document = json!({
        "stream_id": stream.id,
        "iss": issuer,
        "aud": stream.service,
        "events_supported": EVENT_TYPES,
        "events_delivered": delivered,
        "delivery": delivery,
        "min_verification_interval": VERIFY_EVERY_SECONDS,
    });
    if let Some(events) = &stream.events {
        document["events_requested"] = json!(events);
    }
    if let Some(description) = &stream.description {
        document["description"] = json!(description);
    }
    document
}

pub(super) fn answer(body: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

pub(super) fn unnamed() -> Fault {
    Fault::malformed("stream_id is missing. Name the stream that is meant.")
}

const MOST_TYPES: usize = 50;
