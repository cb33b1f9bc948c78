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
    MayRead(service): MayRead,
    Path(id): Path<String>,
    Strict(poll): Strict<Poll>,
) -> Result<Response, Fault> {
    if poll.ack.len() + poll.set_errs.len() > MOST_ACKNOWLEDGED {
        return Err(Fault::malformed("More than 1,000 events are acknowledged at once. Send several requests."));
    }
    for error in poll.set_errs.values() {
        // Its description could hold anything, and is not kept.
        let code: String = error.err.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        tracing::warn!(%service, code, "a service cannot use an event");
    }
    let done: Vec<String> = poll.ack.into_iter().chain(poll.set_errs.into_keys()).collect();
    let most = poll.max_events.unwrap_or(MOST_EVENTS).min(MOST_EVENTS);
    let (caller, stream) = (service.clone(), id.clone());
    blocking(&site, move |app| app.acknowledge_events(&caller, &stream, done)).await?;
    let mut waited = Duration::ZERO;
    loop {
        let (caller, stream) = (service.clone(), id.clone());
        let found = blocking(&site, move |app| app.waiting_events(&caller, &stream, most)).await?;
        if poll.return_immediately || most == 0 || !found.events.is_empty() || waited >= LONGEST_WAIT {
            let mut body = json!({ "sets": sets(&site, &found.events)? });
            if found.has_more {
                body["moreAvailable"] = json!(true);
            }
            return Ok(answer(body));
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
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
