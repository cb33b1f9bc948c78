//! Recovery codes: made on one page, shown once.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use i18n_embed_fl::fl;

use crate::Site;
use crate::fault::Fault;
use crate::form::{Empty, Proven};
use crate::page::{Page, show};
use crate::session::Fresh;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "recovery.html")]
struct RecoveryPage {
    page: Page,
    left: i64,
    /// The codes that were just made, because the browser could not make them. No later page shows them.
    codes: Vec<String>,
    /// The pass as passkeys know it, base64url.
    pass: String,
}

pub(crate) async fn page(State(site): State<Arc<Site>>, page: Page, Fresh(session): Fresh) -> Result<Response, Fault> {
    let (left, handle) =
        blocking(&site, move |app| Ok((app.recovery_codes_left(session.resident)?, app.user_handle(session.resident)?))).await?;
    Ok(show(&RecoveryPage { page, left, codes: Vec::new(), pass: URL_SAFE_NO_PAD.encode(handle) }))
}

pub(crate) async fn make(
    State(site): State<Arc<Site>>,
    page: Page,
    Proven(session, Empty {}): Proven<Empty>,
) -> Result<Response, Fault> {
    let codes = blocking(&site, move |app| app.make_recovery_codes(&session)).await?;
    Ok(show(&RecoveryPage { page, left: codes.len() as i64, codes, pass: String::new() }))
}
