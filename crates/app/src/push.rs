//! Pushed authorization requests (RFC 9126): a service says over its own line what it will ask of the resident's browser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::Digest;
use usufruct_core::id::ServiceId;
use usufruct_core::ports::random;
use usufruct_core::time::{MINUTE, SECOND};
use usufruct_store::db::Pending;
use usufruct_store::pushed_requests::{self, PushedRequest};

use crate::session::hash;
use crate::{App, Error, Presented};

/// How long a pushed request waits for the resident. A change of device takes more than 30 seconds.
pub const PUSHED_LIFE_SECONDS: i64 = 90;
/// How long she may think about one that was shown to her.
const ANSWER_LIFE: i64 = 10 * MINUTE;
/// What every `request_uri` of this provider begins with.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

impl App {
    /// Keeps a request that was found lawful, and answers its `request_uri`: one transaction and no read.
    pub fn push_request(
        &self,
        service: &ServiceId,
        parameters: String,
        jkt: Option<String>,
        presented: Vec<Presented>,
    ) -> Pending<String, Error> {
        let uri = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>(self.rng())));
        let request = PushedRequest {
            request_hash: hash(&uri),
            service: service.clone(),
            parameters,
            jkt,
            expires_at: self.now().plus(PUSHED_LIFE_SECONDS * SECOND),
            used_at: None,
        };
        self.db.submit("push request", move |tx| {
            Presented::note(&presented, tx)?;
            pushed_requests::insert(tx, &request)?;
            Ok(uri.clone())
        })
    }

    /// A pushed request of this service that still waits for its answer. One that was shown in time (`was_seen`) may be answered
    /// for a while after its end.
    pub fn pushed_request(&self, service: &ServiceId, uri: &str, was_seen: bool) -> Result<Option<PushedRequest>, Error> {
        let (request_hash, now) = (hash(uri), self.now().plus(if was_seen { -ANSWER_LIFE } else { 0 }));
        let found = self.db.read(|conn| pushed_requests::find(conn, &request_hash))?;
        Ok(found.filter(|request| request.service == *service && request.used_at.is_none() && request.expires_at > now))
    }

    /// Uses up a pushed request that she has refused.
    pub fn drop_pushed(&self, request_hash: &Digest) -> Result<(), Error> {
        let (request_hash, now) = (*request_hash, self.now());
        self.db.transaction("drop pushed request", move |tx| {
            pushed_requests::take(tx, &request_hash, now)?;
            Ok::<_, Error>(())
        })
    }
}
