//! Weekly messages of a resident, whether she wants them, and her list by post.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Error, MessageWish, PostOrder, Posting, WeeklyMessage};

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::Checked;
use crate::page::{Page, render, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "messages.html")]
struct MessagesPage {
    page: Page,
    messages: Vec<WeeklyMessage>,
    wish: MessageWish,
    /// What stands in the field of the address.
    address: String,
    is_wrong: bool,
    /// Whether letters can leave the house at all.
    has_courier: bool,
    order: Option<PostOrder>,
    is_saved: bool,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    saved: bool,
}

#[derive(Deserialize)]
pub(crate) struct Wished {
    /// A ticked box.
    weekly: Option<String>,
    #[serde(default)]
    address: String,
}

#[derive(Deserialize)]
pub(crate) struct Ordered {
    posting: String,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(done): Query<Done>,
) -> Result<Response, Fault> {
    Ok(show(&content(&site, page, session.resident, done.saved).await?))
}

pub(crate) async fn set(
    State(site): State<Arc<Site>>,
    page: Page,
    Checked(session, form): Checked<Wished>,
) -> Result<Response, Fault> {
    let address = form.address.trim().to_owned();
    let is_weekly = form.weekly.is_some();
    let wish = MessageWish { is_weekly, address: (!address.is_empty()).then(|| address.clone()) };
    let (resident, actor) = (session.resident, session.herself()?);
    let outcome = blocking(&site, move |app| match app.wish_messages(actor, &wish) {
        // Nothing else of the form can be wrong.
        Err(Error::Refused { .. }) if wish.address.is_some() => Ok(false),
        other => other.map(|()| true),
    });
    if outcome.await? {
        return see("/me/messages?saved=true");
    }
    let mut content = content(&site, page, resident, false).await?;
    (content.address, content.is_wrong, content.wish.is_weekly) = (address, true, is_weekly);
    Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content))
}

/// She orders her list by post, or no more of them.
pub(crate) async fn post(
    State(site): State<Arc<Site>>,
    page: Page,
    Checked(session, form): Checked<Ordered>,
) -> Result<Response, Fault> {
    let posting = Posting::from_code(&form.posting).ok_or_else(Fault::bad_form)?;
    let (actor, language) = (session.herself()?, page.tag());
    blocking(&site, move |app| app.order_list(actor, posting, language)).await?;
    see("/me/messages?saved=true")
}

async fn content(site: &Arc<Site>, page: Page, resident: u64, is_saved: bool) -> Result<MessagesPage, Fault> {
    let look =
        move |app: &usufruct_app::App| Ok((app.messages(resident)?, app.message_wish(resident)?, app.post_order(resident)?));
    let (messages, wish, order) = blocking(site, look).await?;
    let address = wish.address.clone().unwrap_or_default();
    let has_courier = site.app.has_courier();
    Ok(MessagesPage { page, messages, wish, address, is_wrong: false, has_courier, order, is_saved })
}
