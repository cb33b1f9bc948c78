//! `POST /console/api/letters`: lists that residents want by post, sealed for the print house. `.../posted`: they are there. `.../orders`: clerks
//! order one for a resident who is at the counter.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usufruct_app::vault::hpke::PublicKey;
use usufruct_app::{App, Approved, DueList, Error, Posting};
use usufruct_core::statement::Approval;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::portal::printed_list;
use crate::site::blocking;

/// A list as the print house gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedList {
    pub due: DueList,
    /// base64url without padding.
    pub sealed: String,
}

/// For which print house, and after which file number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Raw X25519 key, base64url without padding.
    to: String,
    after: Option<u64>,
}

/// What clerks order, and for whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ordered {
    resident: u64,
    posting: String,
    language: String,
}

/// A clerk's signature under it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedOrder {
    request: String,
    posting: String,
    language: String,
    approval: Approval,
}

/// The next lists that are due, sealed for the print house. Residents who were erased meanwhile get none.
pub fn sealed_lists(app: &App, to: &PublicKey, after: Option<u64>) -> Result<Vec<SealedList>, Error> {
    let mut lists = Vec::new();
    for due in app.due_lists(after)? {
        let sealed = match printed_list(app, &due) {
            Ok(printed) => app.seal_list(&due, to, printed.as_bytes()),
            Err(Error::Vault(usufruct_app::vault::Error::NoKey { .. })) => continue,
            Err(error) => return Err(error),
        };
        lists.push(SealedList { due, sealed: URL_SAFE_NO_PAD.encode(sealed) });
    }
    Ok(lists)
}

pub(super) async fn sealed(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Vec<SealedList>>, Fault> {
    let malformed = || Fault::malformed("The body names no print house. Send {\"to\": X25519 key, \"after\": number or null}.");
    let Json(Wanted { to, after }) = body.map_err(|_| malformed())?;
    let key = URL_SAFE_NO_PAD.decode(to).ok().and_then(|bytes| bytes.try_into().ok()).and_then(PublicKey::new);
    let to = key.ok_or_else(malformed)?;
    Ok(Json(blocking(&site, move |app| sealed_lists(app, &to, after)).await?))
}

pub(super) async fn posted(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<DueList>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(due) = body.map_err(|_| Fault::malformed("The body is no list. Send it as it was given."))?;
    blocking(&site, move |app| app.list_posted(&due)).await?;
    Ok(Json(json!({ "posted": 1 })))
}

pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Ordered>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let wrong = || Fault::malformed("The body is no order. Send {\"resident\", \"posting\", \"language\"}.");
    let Json(Ordered { resident, posting, language }) = body.map_err(|_| wrong())?;
    let posting = Posting::from_code(&posting).ok_or_else(wrong)?;
    let id = blocking(&site, move |app| app.begin_counter_list(resident, posting, &language)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "request": id }))))
}

pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<SignedOrder>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let wrong = || Fault::malformed("The body is no approval. Send {\"request\", \"posting\", \"language\", \"approval\"}.");
    let Json(SignedOrder { request, posting, language, approval }) = body.map_err(|_| wrong())?;
    let posting = Posting::from_code(&posting).ok_or_else(wrong)?;
    let approved = blocking(&site, move |app| app.approve_counter_list(&request, posting, &language, &approval)).await?;
    Ok(Json(json!({ "approved": if approved == Approved::Twice { 2 } else { 1 } })))
}
