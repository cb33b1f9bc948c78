//! Events that a service fetches, and its word that it has them (RFC 8936).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use usufruct_app::Event;

use super::streams::answer;
use super::{MayRead, token};
use crate::Site;
use crate::api::json::Strict;
use crate::api::sent::Sent;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Poll {
    max_events: Option<usize>,
    #[serde(default)]
    return_immediately: bool,
    #[serde(default)]
    ack: Vec<String>,
    #[serde(default)]
    set_errs: BTreeMap<String, SetError>,
}

#[derive(Deserialize)]
struct SetError {
    err: String,
}

/// `POST /ssf/poll/{stream_id}`.
pub(super) async fn poll(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Sent(MayRead(caller), Strict(poll)): Sent<MayRead, Strict<Poll>>,
) -> Result<Response, Fault> {
    if poll.ack.len() + poll.set_errs.len() > MOST_ACKNOWLEDGED {
        return Err(Fault::malformed("More than 1,000 events are acknowledged at once. Send several requests."));
    }
    for error in poll.set_errs.values() {
        // Its description could hold anything, and is not kept.
        let code: String = error.err.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        tracing::warn!(service = %caller.service, code, "a service cannot use an event");
    }
    let done: Vec<String> = poll.ack.into_iter().chain(poll.set_errs.into_keys()).collect();
    let most = poll.max_events.unwrap_or(MOST_EVENTS).min(MOST_EVENTS);
    let (asker, stream) = (caller.clone(), id.clone());
    blocking(&site, move |app| app.acknowledge_events(asker, &stream, done)).await?;
    let place = (!poll.return_immediately && most > 0).then(|| site.waiting.begin(&caller.service));
    let mut left = LONGEST_WAIT;
    loop {
        let (asker, stream) = (caller.clone(), id.clone());
        let found = blocking(&site, move |app| app.waiting_events(asker, &stream, most)).await?;
        let Some(place) = place.as_ref().filter(|_| found.events.is_empty() && !left.is_zero()) else {
            let mut body = json!({ "sets": sets(&site, &found.events)? });
            if found.has_more {
                body["moreAvailable"] = json!(true);
            }
            return Ok(answer(body));
        };
        // Read again and again, because most events are told some time after they happened, and another process may have noted them.
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => left = left.saturating_sub(PAUSE),
            () = place.is_needed() => left = Duration::ZERO,
        }
    }
}

fn sets(site: &Site, events: &[Event]) -> Result<Map<String, Value>, Fault> {
    let sign = |event: &Event| token::security_event(site, event).map(|set| (event.id.clone(), set.into()));
    events.iter().map(|event| sign(event).ok_or_else(Fault::internal)).collect()
}

/// How long a request without `returnImmediately` waits for an event.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);
const MOST_ACKNOWLEDGED: usize = 1_000;
const MOST_EVENTS: usize = 100;
