//! `POST /console/api/drills/…`: the operator drills the vault while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use usufruct_app::AuditReport;
use usufruct_core::Time;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// A backup to open, by the address of its database.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    database: String,
    made_at: Time,
    sample: usize,
}

/// A backup that does not open, and when it was made if that can be told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unopened {
    made_at: Option<Time>,
}

/// How many synthetic residents, and where to search for their keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    residents: usize,
    places: Vec<PathBuf>,
}

pub(super) async fn restore(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Restore>, JsonRejection>,
) -> Result<Json<AuditReport>, Fault> {
    let Json(Restore { database, made_at, sample }) =
        body.map_err(|_| Fault::malformed("The body is no drill. Send {\"database\", \"made_at\", \"sample\"}."))?;
    Ok(Json(blocking(&site, move |app| app.drill_backup(&database, made_at, sample)).await?))
}

pub(super) async fn unopened(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Unopened>, JsonRejection>,
) -> Result<Json<AuditReport>, Fault> {
    let Json(Unopened { made_at }) = body.map_err(|_| Fault::malformed("The body is no drill. Send {\"made_at\"}."))?;
    Ok(Json(blocking(&site, move |app| app.publish_unopened(made_at)).await?))
}

pub(super) async fn canary(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Canary>, JsonRejection>,
) -> Result<Json<AuditReport>, Fault> {
    let Json(Canary { residents, places }) =
        body.map_err(|_| Fault::malformed("The body is no drill. Send {\"residents\", \"places\"}."))?;
    if residents > MOST {
        return Err(Fault::malformed("That are too many synthetic residents. Ask for at most 100."));
    }
    Ok(Json(blocking(&site, move |app| app.canary_scan(residents, &places)).await?))
}

/// Each is erased in a commit of her own.
const MOST: usize = 100;
