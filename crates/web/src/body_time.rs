//! How long the body of a request may be on its way. Who is let in is looked up when it has come; nobody holds a request open for longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};

use crate::fault::Fault;

/// For all of it, however it is cut.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Breaks off a body that takes too long, and answers 408 whatever was made of the part that came.
pub(crate) async fn limit(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let is_late = Arc::new(AtomicBool::new(false));
    let (parts, body) = request.into_parts();
    let (late, clock) = (Arc::clone(&is_late), tokio::time::sleep(BODY_TIME));
    let over = stream::once(async move {
        clock.await;
        late.store(true, Ordering::SeqCst);
        Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))
    });
    // The end of the body ends the stream, and not the clock beside it.
    let parts_in_time = body.into_data_stream().map(Some).chain(stream::once(async { None }));
    let timed = stream::select(parts_in_time, over.map(Some)).take_while(|part| std::future::ready(part.is_some()));
    let timed = Body::from_stream(timed.filter_map(std::future::ready));
    let response = next.run(Request::from_parts(parts, timed)).await;
    if is_late.load(Ordering::SeqCst) { Fault::too_slow().into_response() } else { response }
}
