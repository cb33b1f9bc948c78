//! The footprint key: given to her browser, and kept as what her browser made of it. Scripts of the devices page ask for these; a
//! form without a script can only forget.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{Error, Wrap};
use usufruct_core::Digest;

use super::footprint::opened_weeks;
use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::{Empty, Proven};
use crate::session::Resident;
use crate::site::blocking;

/// The key from the vault, for a browser that is about to seal it.
pub(crate) async fn take(State(site): State<Arc<Site>>, Proven(session, Empty {}): Proven<Empty>) -> Result<Json<Value>, Fault> {
    let key = blocking(&site, move |app| app.footprint_key(&session)).await?;
    Ok(Json(json!({ "key": URL_SAFE_NO_PAD.encode(*key) })))
}

/// What her passkeys and codes open.
pub(crate) async fn wraps(State(site): State<Arc<Site>>, Resident(session): Resident) -> Result<Json<Value>, Fault> {
    let wraps = blocking(&site, move |app| app.footprint_wraps(session.resident)).await?;
    let entry =
        |id: &[u8], wrap: &Wrap| json!({ "id": URL_SAFE_NO_PAD.encode(id), "sealed": URL_SAFE_NO_PAD.encode(wrap.bytes()) });
    let passkeys: Vec<Value> = wraps.passkeys.iter().map(|(credential, wrap)| entry(credential, wrap)).collect();
    let codes: Vec<Value> = wraps.codes.iter().map(|(hash, wrap)| entry(&hash.0, wrap)).collect();
    Ok(Json(json!({ "passkeys": passkeys, "codes": codes })))
}

#[derive(Deserialize)]
pub(crate) struct Kept {
    credential: String,
    sealed: String,
}

pub(crate) async fn keep(State(site): State<Arc<Site>>, Proven(session, form): Proven<Kept>) -> Result<StatusCode, Fault> {
    let (credential, sealed) = (decoded(&form.credential)?, decoded(&form.sealed)?);
    blocking(&site, move |app| app.keep_footprint_wrap(&session, &credential, &Wrap::parse(&sealed)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(crate) struct Dropped {
    credential: String,
}

pub(crate) async fn forget(State(site): State<Arc<Site>>, Proven(session, form): Proven<Dropped>) -> Result<Response, Fault> {
    let credential = decoded(&form.credential)?;
    blocking(&site, move |app| app.drop_footprint_wrap(&session, &credential)).await?;
    see("/me/account/devices")
}

#[derive(Deserialize)]
pub(crate) struct OwnCodes {
    /// `hash.wrap` of each, separated by spaces.
    codes: String,
}

/// Recovery codes that her browser made.
pub(crate) async fn take_codes(
    State(site): State<Arc<Site>>,
    Proven(session, form): Proven<OwnCodes>,
) -> Result<StatusCode, Fault> {
    let mut codes = Vec::new();
    for entry in form.codes.split(' ') {
        let (hash, sealed) = entry.split_once('.').ok_or_else(Fault::bad_form)?;
        codes.push((Digest(decoded(hash)?.try_into().map_err(|_| Fault::bad_form())?), decoded(sealed)?));
    }
    blocking(&site, move |app| {
        let codes =
            codes.into_iter().map(|(hash, sealed)| Ok((hash, Wrap::parse(&sealed)?))).collect::<Result<Vec<_>, Error>>()?;
        app.take_recovery_codes(&session, &codes)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Her lines as they are stored, for the key that her browser has. What finds those that were delayed goes with them and outlasts the session, so
/// she has signed in or shown a passkey within five minutes.
pub(crate) async fn sealed(State(site): State<Arc<Site>>, Resident(session): Resident) -> Result<Json<Value>, Fault> {
    let footprint = blocking(&site, move |app| {
        session.recent(app.now())?;
        app.sealed_footprint(session.resident)
    });
    let footprint = footprint.await?;
    let line = |line: &usufruct_app::store::lines::Line| {
        json!({
            "n": line.n,
            "index": line.index,
            "sealed": STANDARD.encode(&line.sealed),
            "matter": line.matter.as_ref().map(|matter| STANDARD.encode(matter)),
        })
    };
    Ok(Json(json!({
        "origin": site.app.config().origin,
        "vkey": site.app.log_vkey(),
        "policy": site.app.register().log.as_ref().map(|entry| format!("{}\n", entry.body.policy.trim_end())),
        "size": footprint.published_size,
        "delay": opened_weeks(&footprint.delay),
        "checkpointUrl": "/log/checkpoint",
        "lines": footprint.lines.iter().map(line).collect::<Vec<_>>(),
    })))
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::bad_form())
}
