//! The API for services: ask for blocks of a pseudonym under a mandate, put some in, and learn what has to be deleted.

mod conversion;
mod deletions;
mod deposit;
pub(crate) mod json;
mod ldv;
mod otlp;
mod otlp_parts;
mod release;
pub(crate) mod sent;
pub(crate) mod turn;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use usufruct_app::{DataBearer, DataCaller, Error, HeldToken};
use usufruct_core::decide::Clause;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::means::{AskedSignIn, SignIn};

use self::sent::Bearer;
use crate::Site;
use crate::fault::Fault;
use crate::oidc::borne::{self, Unborne};
use crate::site::attempt;

/// Scope of a service's own token for all of it.
const SCOPE: &str = "release";
/// Longest batch, in bytes: 10,000 pseudonyms and room to spare.
const BATCH_LIMIT: usize = 2 * 1024 * 1024;
/// Most lines of a system outside at once, in bytes.
const LINES_LIMIT: usize = 8 * 1024 * 1024;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/deposits", post(deposit::deposit))
        .route("/api/conversions", post(conversion::batch).layer(DefaultBodyLimit::max(BATCH_LIMIT)))
        .route("/api/deletions", get(deletions::list))
        .route("/api/deletions/{id}", post(deletions::answer))
        .route("/api/ldv/sources", post(ldv::hear))
        .route("/api/ldv/v1/traces", post(ldv::traces).layer(DefaultBodyLimit::max(LINES_LIMIT)))
        .route("/api/v2/findUsage", get(usage::find_usage))
        .route("/api/v2/heartbeat", get(usage::heartbeat))
        .route("/api/v2/usagePeriod", get(usage::usage_period))
        .route("/api/releases", post(release::single))
        .route("/api/releases/batch", post(release::batch).layer(DefaultBodyLimit::max(BATCH_LIMIT)))
}

/// The service whose own token the request carries, and the token.
struct Caller(ServiceId, HeldToken);

impl FromRequestParts<Arc<Site>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let bearing = borne::read(parts, site).map_err(refuse)?;
        match attempt(site, move |app| app.own_held_token(&bearing)).await {
            Ok(Some((service, scopes, token))) if scopes.split(' ').any(|word| word == SCOPE) => {
                match site.limiters.count_call(&service) {
                    Ok(()) => Ok(Self(service, token)),
                    Err(seconds) => Err(Fault::too_many(seconds).into_response()),
                }
            }
            Ok(Some(_)) => Err(refuse(Unborne::Scope(SCOPE))),
            Ok(None) => Err(refuse(Unborne::Invalid)),
            Err(Error::Replayed { .. }) => Err(refuse(Unborne::Proof("the DPoP proof was used before"))),
            Err(error) => Err(Fault::from(error).into_response()),
        }
    }
}

impl Bearer for Caller {
    fn refuse(unborne: Unborne) -> Response {
        refuse(unborne)
    }
}

/// The service whose token the request carries, its own or one that a resident gave it.
struct Asker(DataCaller);

impl FromRequestParts<Arc<Site>> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let bearing = borne::read(parts, site).map_err(refuse)?;
        match attempt(site, move |app| app.data_caller(&bearing)).await {
            Ok(Some(DataBearer::Asks(caller))) => match site.limiters.count_call(&caller.service) {
                Ok(()) => Ok(Self(caller)),
                Err(seconds) => Err(Fault::too_many(seconds).into_response()),
            },
            Ok(Some(DataBearer::LacksScope)) => Err(refuse(Unborne::Scope(SCOPE))),
            Ok(None) => Err(refuse(Unborne::Invalid)),
            Err(Error::Replayed { .. }) => Err(refuse(Unborne::Proof("the DPoP proof was used before"))),
            Err(error) => Err(Fault::from(error).into_response()),
        }
    }
}

impl Bearer for Asker {
    fn refuse(unborne: Unborne) -> Response {
        refuse(unborne)
    }
}

impl Asker {
    fn service(&self) -> &ServiceId {
        &self.0.service
    }

    /// The service, its token, and the sign-in behind the token if a resident gave it: then it is for her alone, and for the mandates that she gave it
    /// for.
    fn about(self, subjects: &[String], mandate: &MandateId) -> Result<(ServiceId, HeldToken, Option<SignIn>), Fault> {
        let DataCaller { service, token, resident } = self.0;
        let Some(presence) = resident else { return Ok((service, token, None)) };
        if !presence.covers(mandate) {
            let message = "The token was not given for this mandate. Ask the resident for it, with the mandate in the scope.";
            return Err(Fault::unauthenticated(message).of_token(Unborne::Mandate));
        }
        if subjects.iter().any(|subject| *subject != presence.subject) {
            return Err(Error::Unknown { what: "subject at this service" }.into());
        }
        Ok((service, token, Some(presence.sign_in)))
    }
}

/// What came of a use. One that only wants another sign-in says which (RFC 9470 3).
fn answered(error: Error, asked: AskedSignIn) -> Fault {
    match error {
        Error::Unpermitted(clauses) if clauses == [Clause::SignIn] => {
            Fault::from(Error::Unpermitted(clauses)).of_token(Unborne::SignIn(asked))
        }
        other => other.into(),
    }
}

/// What a caller is told who did not prove that it may call.
fn refuse(unborne: Unborne) -> Response {
    let fault = Fault::unauthenticated(match unborne {
        Unborne::Nonce => {
            "The proof of possession lacks the nonce of the pass. Sign it again with the nonce of the header `DPoP-Nonce`."
        }
        Unborne::Proof(_) => {
            "The proof of possession is missing or does not hold. Sign one for this request with the key of the token."
        }
        Unborne::Scope(_) => "The access token is good for something else. Get a token with the scope `release`.",
        _ => {
            "The access token is missing, has ended, or is not for this API. Get a token with the scope `release` and send it as `Authorization: DPoP` with a proof."
        }
    });
    fault.of_token(unborne).into_response()
}
