//! The resident portal: what happened to my data, what I agreed to, what I can do.

mod account;
mod breaches;
mod cases;
mod consents;
mod data;
mod delegations;
pub(crate) mod demo;
mod devices;
mod footprint;
mod footprint_key;
mod home;
mod messages;
mod preview;
mod printed_list;
mod receipt;
mod recovery;
mod wishes;

pub use printed_list::printed_list;

use std::sync::Arc;

use axum::Router;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use usufruct_app::OpenSession;
use usufruct_core::delegation::Power;

use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(home::front))
        .route("/me", get(home::overview))
        .route("/me/footprint", get(footprint::page))
        .route("/me/footprint.json", get(footprint::download))
        .route("/me/footprint/sealed", get(footprint_key::sealed))
        .route("/me/footprint/{n}/agreement.jsonld", get(receipt::agreed))
        .route("/me/footprint/{n}/receipt", get(receipt::token))
        .route("/me/footprint/{n}/receipt.json", get(receipt::readable))
        .route("/me/footprint/{n}/case", get(cases::form).post(cases::file))
        .route("/me/breaches", get(breaches::list))
        .route("/me/breaches/{id}", get(breaches::one))
        .route("/me/cases", get(cases::list))
        .route("/me/cases/new", get(cases::ask).post(cases::file_open))
        .route("/me/cases/{id}/complain", post(cases::complain))
        .route("/me/cases/{id}/settle", post(cases::settle))
        .route("/me/consents", get(consents::list))
        .route("/me/consents/{mandate}/ask-again", post(consents::ask_again))
        .route("/me/consents/{mandate}/pause", post(consents::pause))
        .route("/me/consents/{mandate}/resume", post(consents::resume))
        .route("/me/consents/{mandate}/withdraw", post(consents::withdraw))
        .route("/me/data", get(data::list))
        .route("/me/data/{block}", post(data::correct))
        .route("/me/preview", get(preview::page))
        .route("/me/account", get(account::page))
        .route("/me/account/devices", get(devices::page))
        .route("/me/account/devices/add", get(devices::add))
        .route("/me/account/devices/rename", post(devices::rename))
        .route("/me/account/devices/remove", post(devices::remove))
        .route("/me/account/devices/close", post(devices::close_session))
        .route("/me/account/devices/revoke-cards", post(devices::revoke_cards))
        .route("/me/account/footprint-key", get(footprint_key::wraps).post(footprint_key::take))
        .route("/me/account/footprint-key/keep", post(footprint_key::keep))
        .route("/me/account/footprint-key/forget", post(footprint_key::forget))
        .route("/me/account/recovery/own", post(footprint_key::take_codes))
        .route("/me/account/devices/certificate", post(devices::add_certificate_card))
        .route("/me/account/devices/certificate/remove", post(devices::remove_certificate_card))
        .route("/me/account/recovery", get(recovery::page).post(recovery::make))
        .route("/me/account/freeze", post(account::freeze))
        .route("/me/account/lift", post(account::lift))
        .route("/me/account/delete", get(account::ask_delete).post(account::delete))
        .route("/me/account/deactivate", post(account::deactivate))
        .route("/me/account/reactivate", post(account::reactivate))
        .route("/me/delegations", get(delegations::page))
        .route("/me/delegations/give", get(delegations::ask_give).post(delegations::give))
        .route("/me/delegations/take-up", get(delegations::ask_take_up).post(delegations::take_up))
        .route("/me/delegations/{id}/act", post(delegations::act))
        .route("/me/delegations/{id}/end", post(delegations::end))
        .route("/me/delegations/{id}/end-guardianship", post(delegations::end_guardianship))
        .route("/me/delegations/{id}/renew", post(delegations::renew))
        .route("/me/delegations/{id}/take-up", post(delegations::take_up_guardianship))
        .route("/me/acting", get(delegations::acting))
        .route("/me/acting/stop", post(delegations::stop))
        .route("/me/messages", get(messages::page).post(messages::set))
        .route("/me/messages/post", post(messages::post))
        .route("/me/wishes", get(wishes::page).post(wishes::set))
        .route("/me/sign-out", post(account::sign_out))
        .route("/me/sign-out-everywhere", post(account::sign_out_everywhere))
}

/// After a form: the page to look at next.
pub(crate) fn see(target: &str) -> Result<Response, Fault> {
    let target = HeaderValue::from_str(target).map_err(|_| Fault::internal())?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response())
}

/// The resident whose things a page shows. When a delegate looks, it is noted for both before anything is shown.
async fn looked(site: &Arc<Site>, session: &OpenSession, power: Power) -> Result<u64, Fault> {
    let own = session.clone();
    blocking(site, move |app| app.look(&own, power)).await
}
