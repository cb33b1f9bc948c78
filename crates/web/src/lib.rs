//! The faces of Usufruct on the web: provider, release API, portal, public register, console, log.
//!
//! Handlers parse, call one use case of `usufruct-app`, and render. Everything works without JavaScript except passkeys and
//! the verification in the browser.

mod api;
mod assets;
mod body_time;
mod case_words;
mod ceremonies;
mod certificate_card;
pub mod console;
mod deliver;
mod desk;
mod developers;
mod fair_turns;
mod fault;
mod form;
mod headers;
mod language;
mod limit_keys;
mod limits;
mod log;
mod mirror;
mod notice_words;
mod office;
mod officials;
mod oidc;
mod outbound;
mod oversight;
mod page;
mod passkey;
mod portal;
mod proof;
mod register;
pub mod sample;
mod session;
mod site;
mod ssf;
mod turns;
mod vendor;
mod ways_in;
mod witness;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;

pub use assets::verifier_files;
pub use certificate_card::{CardCaller, card_router};
pub use console::{SealedList, sealed_lists};
pub use deliver::deliver;
pub use limits::{Limit, Limits, network_of};
pub use mirror::{MirrorSite, mirror_router};
pub use outbound::{Outbound, Unsent};
pub use site::{CardPlace, DemoDesk, DemoSettings, Persona, Sandbox, Settings, Site, Unregistered};
pub use witness::{WitnessSite, witness_router};

/// Longest request body but for batches, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Everything a pass serves.
pub fn router(site: Arc<Site>) -> Router {
    let mut router = Router::new()
        .merge(portal::router())
        .merge(register::router())
        .merge(oversight::router())
        .merge(oidc::router())
        .merge(api::router())
        .merge(ssf::router())
        .merge(log::router())
        .merge(proof::router())
        .merge(passkey::router())
        .merge(ways_in::router())
        .merge(certificate_card::router())
        .merge(assets::router())
        .merge(console::router())
        .merge(developers::router())
        .merge(officials::router())
        .merge(office::router())
        .merge(vendor::router());
    if site.settings.demo.is_some() {
        router = router.merge(portal::demo::router());
    }
    router
        .fallback(fault::not_found)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(body_time::limit))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), oidc::nonce::offer))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), limits::by_address))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), oidc::cross_origin::share))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), headers::secure))
        .with_state(site)
}
