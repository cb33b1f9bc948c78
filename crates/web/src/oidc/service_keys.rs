//! The keys of services: those of their statements, and those that they publish at an address of their statement (`jwks_uri`).
//!
//! What is fetched is kept for 20 minutes at most, and asked for again when a name of a key is unknown, at most once a minute. An address is
//! fetched through the guard for everything that goes out: nothing inside is asked, and nobody is followed elsewhere.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;
use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::jwk::Jwk;
use usufruct_core::service::Service;
use usufruct_core::time::MINUTE;

use super::fields::OAuthError;
use crate::outbound::Outbound;

/// The keys that were fetched.
pub(crate) struct ServiceKeys {
    outbound: Outbound,
    /// By service. Whoever waits for a turn finds what the one before has fetched.
    fetched: Mutex<HashMap<ServiceId, Arc<Turn<Fetched>>>>,
}

#[derive(Default)]
struct Fetched {
    uri: String,
    keys: Vec<Jwk>,
    /// When the keys came.
    fetched_at: Option<Time>,
    /// When they were last asked for.
    asked_at: Option<Time>,
}

impl ServiceKeys {
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, fetched: Mutex::default() }
    }

    /// The keys of a service. `kid` is the one that is looked for: where it is unknown they may have been replaced.
    pub async fn of<'a>(
        &self,
        id: &ServiceId,
        service: &'a Service,
        kid: Option<&str>,
        now: Time,
    ) -> Result<Cow<'a, [Jwk]>, OAuthError> {
        let Some(uri) = &service.jwks_uri else { return Ok(Cow::Borrowed(&service.jwks)) };
        let turn = Arc::clone(self.fetched.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default());
        let mut fetched = turn.lock().await;
        if fetched.uri != *uri {
            *fetched = Fetched { uri: uri.clone(), ..Fetched::default() };
        }
        let is_known = kid.is_none_or(|kid| fetched.keys.iter().any(|key| key.kid == kid));
        let is_enough = fetched.is_fresh(now) && is_known;
        if !is_enough && !is_within(fetched.asked_at, PAUSE, now) {
            fetched.asked_at = Some(now);
            match self.fetch(uri).await {
                Ok(keys) => (fetched.keys, fetched.fetched_at) = (keys, Some(now)),
                Err(why) => tracing::warn!(service = %id, why, "the keys of a service could not be fetched"),
            }
        }
        if fetched.is_fresh(now) { Ok(Cow::Owned(fetched.keys.clone())) } else { Err(unavailable()) }
    }

    async fn fetch(&self, uri: &str) -> Result<Vec<Jwk>, String> {
        let body = self.outbound.get(uri).await.map_err(|error| error.to_string())?;
        let set = serde_json::from_slice(&body).map_err(|_| "the answer is no JSON".to_owned())?;
        let keys = Jwk::read_set(&set);
        if keys.is_empty() { Err("there is no key in the answer that can be used".to_owned()) } else { Ok(keys) }
    }
}

impl Fetched {
    fn is_fresh(&self, now: Time) -> bool {
        is_within(self.fetched_at, LONGEST, now)
    }
}

/// Whether something was no longer ago. A time to come is none, for the clock was set back.
fn is_within(at: Option<Time>, length: i64, now: Time) -> bool {
    at.is_some_and(|at| (0..length).contains(&now.micros().saturating_sub(at.micros())))
}

fn unavailable() -> OAuthError {
    OAuthError::later("the keys of the service cannot be had from its jwks_uri, try again in a minute")
}

/// How long keys are believed.
const LONGEST: i64 = 20 * MINUTE;
/// How long an address is left alone.
const PAUSE: i64 = MINUTE;
