//! Nonces of the pass in proofs of possession (RFC 9449 8 and 9): they say when a proof was made by our clock and not by the service's.
//!
//! A nonce is a mark over a window of five minutes, so nothing is kept and every node of a pass knows it. Nonces are asked for where the
//! operator wants them, and for a while after the clock of the machine has jumped: then `iat` says nothing, and the nonce counts instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use usufruct_app::App;
use usufruct_core::Time;
use usufruct_core::hash::equal;
use usufruct_core::time::MINUTE;

use crate::Site;

/// Whether proofs have to carry a nonce, and since when the clock is in doubt.
pub(crate) struct Nonces {
    is_wanted: bool,
    /// Until when, in microseconds.
    doubted_until: AtomicI64,
}

/// What is asked of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A nonce beside its `iat`.
    Beside,
    /// A nonce, and whatever `iat`: the clock is in doubt.
    Instead,
    /// No nonce.
    None,
}

impl Nonces {
    pub fn new(is_wanted: bool) -> Self {
        Self { is_wanted, doubted_until: AtomicI64::new(i64::MIN) }
    }

    /// Asks for nonces until `until`, because the clock has jumped.
    pub fn doubt(&self, until: Time) {
        self.doubted_until.fetch_max(until.micros(), Ordering::SeqCst);
    }

    /// What is asked of a proof at `now`.
    pub fn asked(&self, now: Time) -> Asked {
        match (now.micros() < self.doubted_until.load(Ordering::SeqCst), self.is_wanted) {
            (true, _) => Asked::Instead,
            (false, true) => Asked::Beside,
            (false, false) => Asked::None,
        }
    }
}

/// The nonce of the window that is open at `now`.
fn current(app: &App, now: Time) -> Option<String> {
    of_window(app, now.micros().div_euclid(WINDOW))
}

/// Whether a nonce is of the window that is open at `now` or of the one before.
pub(crate) fn holds(app: &App, nonce: &str, now: Time) -> bool {
    let window = now.micros().div_euclid(WINDOW);
    let is_of = |window| of_window(app, window).is_some_and(|known| equal(known.as_bytes(), nonce.as_bytes()));
    is_of(window) || is_of(window - 1)
}

fn of_window(app: &App, window: i64) -> Option<String> {
    app.mark("dpop-nonce", None, &[&window.to_string()]).ok()
}

/// Tells the next nonce with every answer to somebody who proves possession, while nonces are asked for.
pub(crate) async fn offer(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let is_proving = request.headers().contains_key("dpop");
    let mut response = next.run(request).await;
    let now = site.app.now();
    if is_proving
        && site.nonces.asked(now) != Asked::None
        && let Some(nonce) = current(&site.app, now).and_then(|nonce| HeaderValue::from_str(&nonce).ok())
    {
        response.headers_mut().insert(HeaderName::from_static("dpop-nonce"), nonce);
    }
    response
}

/// How long a nonce is the newest. It holds for as long again.
const WINDOW: i64 = 5 * MINUTE;
/// How long a nonce holds at most.
pub(crate) const LONGEST: i64 = 2 * WINDOW;
