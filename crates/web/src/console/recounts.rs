//! `POST /console/api/recounts`: what an oversight body needs in order to recount. Without its key the copies are noise.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use usufruct_app::RecountDay;
use usufruct_core::id::MandateId;
use usufruct_core::tally::Day;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    mandate: MandateId,
    days: Vec<String>,
}

pub(super) async fn days(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Vec<RecountDay>>, Fault> {
    let malformed = || Fault::malformed("The body names no days. Send {\"mandate\", \"days\"}.");
    let Json(Asked { mandate, days }) = body.map_err(|_| malformed())?;
    let days: Vec<Day> = days.iter().map(|day| day.parse().ok()).collect::<Option<_>>().ok_or_else(malformed)?;
    Ok(Json(blocking(&site, move |app| app.recount_days(&mandate, &days)).await?))
}
