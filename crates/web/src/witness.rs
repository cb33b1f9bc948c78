//! A witness as a server (C2SP tlog-witness): submission and monitoring under one prefix.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use usufruct_app::log;
use usufruct_app::log::witness::{Answer, Witness, WitnessState};
use usufruct_core::ports::Clock;

use crate::body_time;

/// What the server needs.
pub struct WitnessSite<S> {
    witness: RwLock<Witness<S>>,
    clock: Arc<dyn Clock>,
    /// Told of the first error after which nothing may be signed any more.
    broken: Box<dyn Fn(log::Error) + Send + Sync>,
}

impl<S: WitnessState + 'static> WitnessSite<S> {
    pub fn new(witness: Witness<S>, clock: Arc<dyn Clock>, broken: impl Fn(log::Error) + Send + Sync + 'static) -> Self {
        Self { witness: RwLock::new(witness), clock, broken: Box::new(broken) }
    }

    /// Replaces what the witness knows, such as its list of logs, when no request is on its way. It must keep its keys and
    /// its state.
    pub fn reload(&self, witness: Witness<S>) {
        *self.witness.write().unwrap_or_else(PoisonError::into_inner) = witness;
    }

    fn witness(&self) -> RwLockReadGuard<'_, Witness<S>> {
        self.witness.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a request where it may block, and tells when nothing can be trusted any more.
    async fn run(self: Arc<Self>, work: impl FnOnce(&Witness<S>, u64) -> log::Result<Answer> + Send + 'static) -> Response {
        let now = self.clock.now().micros().max(0).unsigned_abs() / 1_000_000;
        let site = Arc::clone(&self);
        let outcome = tokio::task::spawn_blocking(move || work(&site.witness(), now)).await;
        match outcome {
            Ok(Ok(answer)) => respond(answer),
            Ok(Err(error)) => {
                tracing::error!(%error, "the witness cannot go on");
                (self.broken)(error);
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Everything a witness serves.
pub fn witness_router<S: WitnessState + 'static>(site: Arc<WitnessSite<S>>) -> Router {
    Router::new()
        .route("/", get(about::<S>))
        .route("/add-checkpoint", post(add_checkpoint::<S>))
        .route("/sign-subtree", post(sign_subtree::<S>))
        .route("/{hash}/checkpoint", get(latest::<S>))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(body_time::limit))
        .with_state(site)
}

async fn add_checkpoint<S: WitnessState + 'static>(State(site): State<Arc<WitnessSite<S>>>, body: Bytes) -> Response {
    site.run(move |witness, now| witness.add_checkpoint(&body, now)).await
}

async fn sign_subtree<S: WitnessState + 'static>(State(site): State<Arc<WitnessSite<S>>>, body: Bytes) -> Response {
    site.run(move |witness, _| witness.sign_subtree(&body)).await
}

async fn latest<S: WitnessState + 'static>(State(site): State<Arc<WitnessSite<S>>>, Path(hash): Path<String>) -> Response {
    let mut response = site.run(move |witness, now| witness.latest(&hash, now)).await;
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Who this is, for people and for those who write a policy.
async fn about<S: WitnessState + 'static>(State(site): State<Arc<WitnessSite<S>>>) -> Response {
    let witness = site.witness();
    let mut text = "A witness of transparency logs (c2sp.org/tlog-witness).\n\nKeys:\n".to_owned();
    for key in witness.keys() {
        let _ = writeln!(text, "{key}");
    }
    text += "\nLogs:\n";
    for origin in witness.origins() {
        let _ = writeln!(text, "{} {origin}", log::witnessing::origin_hash(origin));
    }
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], text).into_response()
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, answer.content_type), (CACHE_CONTROL, "no-store")], answer.body).into_response()
}

/// 63 hashes and a checkpoint with many post-quantum signatures.
const BODY_LIMIT: usize = 200_000;
