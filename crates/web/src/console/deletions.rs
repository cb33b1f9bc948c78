//! `GET /console/api/deletions`: what services have not answered in time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use usufruct_app::OverdueDeletion;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

pub(super) async fn overdue(State(site): State<Arc<Site>>, _: Clerk) -> Result<Json<Vec<OverdueDeletion>>, Fault> {
    Ok(Json(blocking(&site, |app| app.overdue_deletions()).await?))
}
