//! The operator's door: commands on the same machine change the register and enrol residents through the running server.
//!
//! It exists only where the server was given a [`Console`], answers only connections from this machine, and asks for the
//! token that only the owner of the data directory can read.

mod breaches;
mod cases;
mod clerk;
mod counter;
mod deletions;
mod drills;
mod guardian;
mod letters;
mod log;
mod proposals;
mod publications;
mod recounts;
mod residents;
mod rotations;

pub use letters::{SealedList, sealed_lists};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use usufruct_app::Error;

use crate::Site;

/// What opens the console. The server adds it to its routes as an extension.
pub struct Console {
    /// The bearer token.
    pub token: String,
    /// Finishes what a publication set off (the end of a mandate) and publishes the log.
    pub finish: Box<dyn Fn() -> Result<(), Error> + Send + Sync>,
}

/// A thousand statements of the longest kind are no publication but a mistake.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/console/api/publications", post(publications::publish))
        .route("/console/api/breaches/count", post(breaches::count))
        .route("/console/api/breaches/letters", post(breaches::letters))
        .route("/console/api/cases", post(cases::act))
        .route("/console/api/counter-cases", post(cases::begin))
        .route("/console/api/counter-cases/approve", post(cases::approve))
        .route("/console/api/drills/canary", post(drills::canary))
        .route("/console/api/drills/restore", post(drills::restore))
        .route("/console/api/drills/unopened", post(drills::unopened))
        .route("/console/api/letters", post(letters::sealed))
        .route("/console/api/letters/posted", post(letters::posted))
        .route("/console/api/letters/orders", post(letters::begin))
        .route("/console/api/letters/orders/approve", post(letters::approve))
        .route("/console/api/log", get(log::size))
        .route("/console/api/proposals", get(proposals::list).post(proposals::propose))
        .route("/console/api/proposals/approve", post(proposals::approve))
        .route("/console/api/proposals/withdraw", post(proposals::withdraw))
        .route("/console/api/recounts", post(recounts::days))
        .route("/console/api/rotations", post(rotations::rotate))
        .route("/console/api/residents", post(residents::enrol))
        .route("/console/api/invitations", post(residents::invite))
        .route("/console/api/counter-requests", post(counter::begin))
        .route("/console/api/counter-requests/approve", post(counter::approve))
        .route("/console/api/guardian-requests", post(guardian::begin))
        .route("/console/api/guardian-requests/approve", post(guardian::approve))
        .route("/console/api/cards", post(counter::issue_card))
        .route("/console/api/cards/revoke", post(counter::revoke_cards))
        .route("/console/api/deletions", get(deletions::overdue))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}
