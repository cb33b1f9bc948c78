//! Ways in for those who have no device that knows them, and the way out for those whose device knows a stranger.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use axum::response::Response;
use axum::routing::get;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{CardAttempt, Error};
use zeroize::Zeroizing;

use crate::Site;
use crate::fault::Fault;
use crate::form::Public;
use crate::headers::policy_with_form_target;
use crate::limits::Caller;
use crate::oidc::origin_behind;
use crate::page::{Page, render, show};
use crate::passkey::own_path;
use crate::portal::see;
use crate::session::{CardMark, Device, MaybeResident, card_cookie, cookie};
use crate::site::{attempt, blocking};

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/recover", get(recover_page).post(recover))
        .route("/freeze", get(freeze_page).post(freeze))
        .route("/sign-in/card", get(card_page).post(card))
}

#[derive(Template)]
#[template(path = "recover.html")]
struct RecoverPage {
    page: Page,
    is_wrong: bool,
    /// The code to make a passkey with, once a recovery code was accepted.
    invitation: Option<String>,
}

#[derive(Template)]
#[template(path = "freeze.html")]
struct FreezePage {
    page: Page,
    is_wrong: bool,
    is_done: bool,
}

#[derive(Template)]
#[template(path = "card.html")]
struct CardPage {
    page: Page,
    is_wrong: bool,
    code: String,
    next: String,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn recover_page(page: Page) -> Response {
    show(&RecoverPage { page, is_wrong: false, invitation: None })
}

async fn recover(State(site): State<Arc<Site>>, page: Page, Public(form): Public<Code>) -> Result<Response, Fault> {
    match attempt(&site, move |app| app.recover(&form.code)).await {
        Ok(invitation) => Ok(show(&RecoverPage { page, is_wrong: false, invitation: Some(invitation) })),
        Err(Error::Refused { .. }) => {
            Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &RecoverPage { page, is_wrong: true, invitation: None }))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
struct Done {
    done: Option<String>,
}

async fn freeze_page(page: Page, Query(done): Query<Done>) -> Response {
    show(&FreezePage { page, is_wrong: false, is_done: done.done.is_some() })
}

async fn freeze(State(site): State<Arc<Site>>, page: Page, Public(form): Public<Code>) -> Result<Response, Fault> {
    match attempt(&site, move |app| app.freeze_by_code(&form.code)).await {
        Ok(()) => see("/freeze?done=yes"),
        Err(Error::Refused { .. }) => {
            Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &FreezePage { page, is_wrong: true, is_done: false }))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

/// What the card page posts. It has no `Debug`, so that no PIN is printed by mistake.
#[derive(Deserialize)]
struct CardForm {
    code: String,
    pin: String,
    #[serde(default)]
    next: String,
}

async fn card_page(State(site): State<Arc<Site>>, page: Page, Query(next): Query<Next>) -> Response {
    show_card(&site, &CardPage { page, is_wrong: false, code: String::new(), next: own_path(&site, &next.next) }).await
}

/// The page, whose form may lead on to the service that waits behind it: browsers count where an answer redirects to as a target of
/// the form.
async fn show_card(site: &Arc<Site>, content: &CardPage) -> Response {
    let status = if content.is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = render(status, content);
    if let Some(origin) = origin_behind(site, &content.next).await {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy_with_form_target(&origin));
    }
    response
}

async fn card(
    State(site): State<Arc<Site>>,
    page: Page,
    MaybeResident(session): MaybeResident,
    device: Device,
    CardMark(device_mark): CardMark,
    Caller(network): Caller,
    Public(form): Public<CardForm>,
) -> Result<Response, Fault> {
    let CardForm { code, pin, next } = form;
    let next = own_path(&site, &next);
    let asked = Arc::new(CardAttempt { code: code.clone(), pin: Zeroizing::new(pin), device_mark });
    let known = Arc::clone(&asked);
    let card = blocking(&site, move |app| app.known_card(&known)).await?;
    let turn = site.pins.take(card, network).await?;
    let outcome = attempt(&site, move |app| {
        // The work goes on when the browser hangs up, and so does its turn.
        let _turn = turn;
        app.sign_in_with_card(&asked, session.as_ref(), &device.0)
    })
    .await;
    match outcome {
        Ok(signed_in) => {
            let mut response = see(&next)?;
            response.headers_mut().append(SET_COOKIE, cookie(&site, &signed_in.token));
            response.headers_mut().append(SET_COOKIE, card_cookie(&site, &signed_in.device_mark));
            Ok(response)
        }
        Err(Error::Refused { .. }) => Ok(show_card(&site, &CardPage { page, is_wrong: true, code, next }).await),
        Err(error) => Err(error.into()),
    }
}
