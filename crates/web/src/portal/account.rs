//! The account: devices, signing out, deactivating, deleting.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_app::store::residents::ResidentState;
use usufruct_core::id::ServiceId;

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::{Checked, CheckedOfAnybody, Empty, Proven};
use crate::page::{Page, show};
use crate::session::{Fresh, Resident, acting_cookie, cookie};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    page: Page,
    passkeys: usize,
    sessions: usize,
    codes: i64,
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    page: Page,
    /// Services that know her and are told to delete, and those that cannot be told.
    told: Vec<Known>,
    untold: Vec<Known>,
}

/// A service that knows her.
struct Known {
    id: ServiceId,
    name: String,
}

pub(crate) async fn page(State(site): State<Arc<Site>>, page: Page, Resident(session): Resident) -> Result<Response, Fault> {
    let resident = session.resident;
    let (passkeys, sessions, codes) = blocking(&site, move |app| {
        Ok((app.passkeys(resident)?.len(), app.sessions(&session)?.len(), app.recovery_codes_left(resident)?))
    })
    .await?;
    Ok(show(&AccountPage { page, passkeys, sessions, codes }))
}

pub(crate) async fn sign_out(
    State(site): State<Arc<Site>>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.close_session(&session)).await?;
    signed_out(&site, "/")
}

pub(crate) async fn sign_out_everywhere(
    State(site): State<Arc<Site>>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.sign_out_everywhere(session.herself()?)).await?;
    signed_out(&site, "/")
}

pub(crate) async fn deactivate(
    State(site): State<Arc<Site>>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.set_active(session.herself()?, ResidentState::Deactivated)).await?;
    see("/me/account")
}

pub(crate) async fn reactivate(
    State(site): State<Arc<Site>>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.set_active(session.herself()?, ResidentState::Active)).await?;
    see("/me/account")
}

/// "This was not me". Nobody is signed in afterwards, this browser neither.
pub(crate) async fn freeze(State(site): State<Arc<Site>>, Checked(session, Empty {}): Checked<Empty>) -> Result<Response, Fault> {
    blocking(&site, move |app| app.freeze(session.herself()?)).await?;
    signed_out(&site, "/freeze?done=yes")
}

pub(crate) async fn lift(State(site): State<Arc<Site>>, Proven(session, Empty {}): Proven<Empty>) -> Result<Response, Fault> {
    blocking(&site, move |app| app.lift_freeze(&session)).await?;
    see("/me/account")
}

pub(crate) async fn ask_delete(State(site): State<Arc<Site>>, page: Page, Fresh(session): Fresh) -> Result<Response, Fault> {
    let reached = blocking(&site, move |app| app.reached_by_deletion(session.resident)).await?;
    let register = site.app.register();
    let known = |ids: Vec<ServiceId>| -> Vec<Known> {
        let name = |id: &ServiceId| register.services.get(id).map(|entry| page.text(&entry.body.name).to_owned());
        ids.into_iter().filter_map(|id| Some(Known { name: name(&id)?, id })).collect()
    };
    let (told, untold) = (known(reached.told), known(reached.untold));
    Ok(show(&DeletePage { page, told, untold }))
}

pub(crate) async fn delete(State(site): State<Arc<Site>>, Proven(session, Empty {}): Proven<Empty>) -> Result<Response, Fault> {
    let certificate = blocking(&site, move |app| app.delete_resident(session.proven(app.now())?)).await?;
    signed_out(&site, &format!("/register/certificates/{certificate}"))
}

fn signed_out(site: &Site, target: &str) -> Result<Response, Fault> {
    let mut response = see(target)?;
    response.headers_mut().append(SET_COOKIE, cookie(site, ""));
    response.headers_mut().append(SET_COOKIE, acting_cookie(site, ""));
    Ok(response)
}
