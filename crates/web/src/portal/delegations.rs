//! Helpers and guardians: who may act for me, and for whom I may act.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{DelegationView, Error, NewHelper, Offer};
use usufruct_core::Time;
use usufruct_core::delegation::{Power, Powers, Role};

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::{Checked, CheckedOfAnybody, Empty, Proven};
use crate::page::{Page, render, show};
use crate::session::{Anybody, Fresh, Resident, acting_cookie};
use crate::site::{attempt, blocking};

#[derive(Template)]
#[template(path = "delegations.html")]
struct DelegationsPage {
    page: Page,
    given: Vec<DelegationView>,
    received: Vec<DelegationView>,
    has_ended: bool,
    /// First and last day that help can be renewed to.
    first: String,
    last: String,
}

#[derive(Template)]
#[template(path = "give-help.html")]
struct GivePage {
    page: Page,
    form: Given,
    first: String,
    last: String,
    is_wrong: bool,
    /// The code that the helper types, once it was made. No later page shows it.
    code: Option<String>,
}

#[derive(Template)]
#[template(path = "take-up.html")]
struct TakeUpPage {
    page: Page,
    code: String,
    is_wrong: bool,
    offer: Option<Offer>,
}

#[derive(Template)]
#[template(path = "acting.html")]
struct ActingPage {
    page: Page,
}

#[derive(Deserialize)]
pub(crate) struct After {
    ended: Option<String>,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(after): Query<After>,
) -> Result<Response, Fault> {
    let all = blocking(&site, move |app| app.delegations(&session)).await?;
    let (given, received) = all.into_iter().partition(|delegation| delegation.is_given);
    let (first, last) = days(&site);
    Ok(show(&DelegationsPage { page, given, received, has_ended: after.ended.is_some(), first, last }))
}

/// What the resident gives. Powers are boxes of their own, so that a box that is not ticked sends nothing.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    helper: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    until: String,
    #[serde(flatten)]
    fields: std::collections::BTreeMap<String, String>,
}

impl Given {
    fn has(&self, power: &Power) -> bool {
        self.fields.contains_key(&format!("power_{}", power.code()))
    }

    fn powers(&self) -> Powers {
        Power::ALL.into_iter().filter(|power| self.has(power)).collect()
    }
}

pub(crate) async fn ask_give(State(site): State<Arc<Site>>, page: Page, Fresh(_): Fresh) -> Response {
    let (first, last) = days(&site);
    show(&GivePage { page, form: Given::default(), first, last, is_wrong: false, code: None })
}

pub(crate) async fn give(
    State(site): State<Arc<Site>>,
    page: Page,
    Proven(session, form): Proven<Given>,
) -> Result<Response, Fault> {
    let (first, last) = days(&site);
    let content = |code, is_wrong| GivePage { page, form: form.clone(), first, last, is_wrong, code };
    let Some(ends_at) = end_within(&form.until, &site) else {
        return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content(None, true)));
    };
    let new =
        NewHelper { helper_called: form.helper.clone(), person_called: form.person.clone(), powers: form.powers(), ends_at };
    match attempt(&site, move |app| app.give_help(&session, &new)).await {
        Ok(code) => Ok(show(&content(Some(code), false))),
        Err(Error::Refused { .. }) => Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content(None, true))),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn ask_take_up(page: Page, Fresh(_): Fresh) -> Response {
    show(&TakeUpPage { page, code: String::new(), is_wrong: false, offer: None })
}

#[derive(Deserialize)]
pub(crate) struct Taken {
    code: String,
    /// Set once she has read what is offered.
    confirm: Option<String>,
}

/// The first time what is offered is shown, the second time it is taken up.
pub(crate) async fn take_up(
    State(site): State<Arc<Site>>,
    page: Page,
    Proven(session, form): Proven<Taken>,
) -> Result<Response, Fault> {
    let code = form.code.clone();
    if form.confirm.is_some() {
        blocking(&site, move |app| app.take_up_help(&session, &code)).await?;
        return see("/me/delegations");
    }
    match attempt(&site, move |app| app.offered_help(&session, &code)).await {
        Ok(offer) => Ok(show(&TakeUpPage { page, code: form.code, is_wrong: false, offer: Some(offer) })),
        Err(Error::Refused { .. }) => {
            let content = TakeUpPage { page, code: form.code, is_wrong: true, offer: None };
            Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Until {
    until: String,
}

pub(crate) async fn renew(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Proven(session, form): Proven<Until>,
) -> Result<Response, Fault> {
    let ends_at = end_within(&form.until, &site).ok_or_else(Fault::bad_form)?;
    blocking(&site, move |app| app.renew_help(&session, &id, ends_at)).await?;
    see("/me/delegations")
}

#[derive(Deserialize)]
pub(crate) struct Called {
    person: String,
    guardian: String,
}

/// A guardian begins, and says how the two call each other.
pub(crate) async fn take_up_guardianship(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Proven(session, form): Proven<Called>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.take_up_guardianship(&session, &id, &form.person, &form.guardian)).await?;
    see("/me/delegations")
}

/// Either side ends help.
pub(crate) async fn end(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.end_delegation(&session, &id)).await?;
    see("/me/delegations?ended=yes")
}

/// The person ends a guardianship with a passkey that she has just shown.
pub(crate) async fn end_guardianship(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Proven(session, Empty {}): Proven<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.end_delegation(&session, &id)).await?;
    see("/me/delegations?ended=yes")
}

pub(crate) async fn act(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Checked(session, Empty {}): Checked<Empty>,
) -> Result<Response, Fault> {
    let token = blocking(&site, move |app| app.begin_acting(&session, &id)).await?;
    let mut response = see("/me/acting")?;
    response.headers_mut().append(SET_COOKIE, acting_cookie(&site, &token));
    Ok(response)
}

/// What a delegate may do, while she acts.
pub(crate) async fn acting(page: Page, Anybody(session): Anybody) -> Result<Response, Fault> {
    if session.acting.is_some() { Ok(show(&ActingPage { page })) } else { see("/me/delegations") }
}

pub(crate) async fn stop(
    State(site): State<Arc<Site>>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.stop_acting(&session)).await?;
    let mut response = see("/me/delegations")?;
    response.headers_mut().append(SET_COOKIE, acting_cookie(&site, ""));
    Ok(response)
}

/// The last moment of a day as a date field sends it, Taipei time; on the last day that there is, no later than help may last from now.
fn end_within(day: &str, site: &Site) -> Option<Time> {
    let ends_at: Time = format!("{day}T23:59:59+08:00").parse().ok()?;
    (day <= days(site).1.as_str()).then(|| ends_at.min(site.app.latest_help(site.app.now())))
}

/// The first and the last day that help can last to, as a date field wants them.
fn days(site: &Site) -> (String, String) {
    let now = site.app.now();
    (now.day(), site.app.latest_help(now).day())
}
