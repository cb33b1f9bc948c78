//! How long the body of a request may be on its way. Who is let in is looked up when it has come; nobody holds a request open for longer.
//! What is left of a body that is refused is read too, within bounds: whoever still sends when a connection ends never reads the answer.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};

use crate::fault::Fault;
use crate::oidc;
use crate::oidc::fields::OAuthError;

/// For all of it, however it is cut.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Bytes that are read of a body that was refused already.
const MOST_DRAINED: usize = 16 * 1024 * 1024;

/// Breaks off a body that takes too long, and answers 408 whatever was made of the part that came. What is read of one that is refused is
/// read within the same time.
pub(crate) async fn limit(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let clock = tokio::time::sleep(BODY_TIME);
    let over = clock.deadline();
    let is_for_programs = oidc::answers_programs(request.uri().path());
    let is_late = Arc::new(AtomicBool::new(false));
    // Who waits to be told to go on is not made to send what was refused.
    let is_waiting = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    let late = Arc::clone(&is_late);
    let broken_off = stream::once(async move {
        clock.await;
        late.store(true, Ordering::SeqCst);
        Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))
    });
    // The end of the body ends the stream, and not the clock beside it.
    let parts_in_time = coming(Arc::clone(&body)).map(Some).chain(stream::once(async { None }));
    let timed = stream::select(parts_in_time, broken_off.map(Some)).take_while(|part| std::future::ready(part.is_some()));
    let timed = Body::from_stream(timed.filter_map(std::future::ready));
    let response = next.run(Request::from_parts(parts, timed)).await;
    if response.status().is_client_error() && !is_waiting {
        let _ = tokio::time::timeout_at(over, drain(coming(body))).await;
    }
    match is_late.load(Ordering::SeqCst) {
        true if is_for_programs => OAuthError::too_slow().into_response(),
        true => Fault::too_slow().into_response(),
        false => response,
    }
}

/// The parts of a body that has two readers, one after the other.
fn coming(body: Arc<Mutex<BodyDataStream>>) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    stream::poll_fn(move |context| body.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context))
}

/// Reads what is left, up to [`MOST_DRAINED`] bytes.
async fn drain(left: impl Stream<Item = Result<Bytes, axum::Error>>) {
    let mut left = pin!(left);
    let mut bytes = 0;
    while bytes < MOST_DRAINED
        && let Some(Ok(part)) = left.next().await
    {
        bytes += part.len();
    }
}
