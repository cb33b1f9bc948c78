//! What a connection does now and since when, as far as its bytes say it.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Limits;
use crate::clock::stopwatch;

/// The state of one connection, which its reader, its writer and whoever looks after it share.
pub struct Pulse(Mutex<Beat>);

struct Beat {
    phase: Phase,
    since: Instant,
    /// Since when nothing of what is to be written has been taken.
    stuck_since: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is on its way, or nothing has come yet.
    Head,
    /// An answer is given, and the next request has not begun.
    Idle,
    /// A request is being answered, for as long as that takes.
    Work,
}

impl Pulse {
    /// Of a connection that is new.
    pub fn new() -> Self {
        Self(Mutex::new(Beat { phase: Phase::Head, since: stopwatch(), stuck_since: None }))
    }

    /// The first head is waited for from now on.
    pub fn begin(&self) {
        self.turn(Phase::Head);
    }

    /// Whether whoever is at the other end has taken too long.
    pub fn is_over(&self, limits: &Limits, now: Instant) -> bool {
        let beat = self.beat();
        if let Some(stuck) = beat.stuck_since {
            return now.duration_since(stuck) >= limits.stall;
        }
        match beat.phase {
            Phase::Head => now.duration_since(beat.since) >= limits.head,
            Phase::Idle => now.duration_since(beat.since) >= limits.idle,
            Phase::Work => false,
        }
    }

    /// A head has come. The work lasts until the value is dropped.
    pub fn work(self: &Arc<Self>) -> Work {
        self.turn(Phase::Work);
        Work(Arc::clone(self))
    }

    fn turn(&self, phase: Phase) {
        let mut beat = self.beat();
        (beat.phase, beat.since) = (phase, stopwatch());
    }

    fn read(&self) {
        if self.beat().phase == Phase::Idle {
            self.turn(Phase::Head);
        }
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        let mut beat = self.beat();
        if outcome.is_pending() {
            beat.stuck_since.get_or_insert_with(stopwatch);
            return;
        }
        beat.stuck_since = None;
        // The end of an answer is on its way long after it was made.
        if beat.phase == Phase::Idle {
            beat.since = stopwatch();
        }
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
pub struct Work(Arc<Pulse>);

impl Work {
    /// The body, which ends the work with its own end.
    pub fn until_end_of(self, body: Body) -> WorkedBody {
        WorkedBody { body, _work: self }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.turn(Phase::Idle);
    }
}

/// The body of an answer that is being given.
pub struct WorkedBody {
    body: Body,
    _work: Work,
}

impl HttpBody for WorkedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose bytes are felt as the system takes and gives them, below any TLS.
pub struct Watched {
    tcp: TcpStream,
    pulse: Arc<Pulse>,
}

impl Watched {
    pub fn new(tcp: TcpStream, pulse: Arc<Pulse>) -> Self {
        Self { tcp, pulse }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pulse.read();
        }
        outcome
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.pulse.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write_vectored(context, parts);
        self.pulse.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
