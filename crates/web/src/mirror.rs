//! A mirror as a server (C2SP tlog-mirror): uploads under one prefix, and each copy as a tile log below the hash of its origin.

use std::fmt::Write as _;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use usufruct_app::log;
use usufruct_app::log::mirror::Mirror;
use usufruct_app::log::witness::{Answer, WitnessState};
use usufruct_app::log::{Objects, Tile, checkpoint, tile::Kind};
use usufruct_core::ports::Clock;

use crate::body_time;
use crate::log::{BINARY, File, IMMUTABLE, TEXT, any_origin, open};

/// What the server needs.
pub struct MirrorSite<O, S> {
    pub mirror: Mirror<O, S>,
    clock: Arc<dyn Clock>,
    /// Told of the first error after which nothing may be signed any more.
    broken: Box<dyn Fn(log::Error) + Send + Sync>,
    /// How long the next part of an upload may take.
    patience: Duration,
    /// Places for uploads, each of which may hold a package in memory.
    places: Arc<Semaphore>,
}

impl<O: Objects + 'static, S: WitnessState + 'static> MirrorSite<O, S> {
    /// Serves this mirror. An upload whose next part takes longer than `patience` ends there.
    pub fn new(
        mirror: Mirror<O, S>,
        clock: Arc<dyn Clock>,
        patience: Duration,
        broken: impl Fn(log::Error) + Send + Sync + 'static,
    ) -> Self {
        Self { mirror, clock, broken: Box::new(broken), patience, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// The time, in seconds since 1970 UTC.
    pub fn now(&self) -> u64 {
        self.clock.now().micros().max(0).unsigned_abs() / 1_000_000
    }

    /// Says that nothing may be signed any more.
    pub fn give_up(&self, error: log::Error) {
        tracing::error!(%error, "the mirror cannot go on");
        (self.broken)(error);
    }

    async fn run(self: Arc<Self>, work: impl FnOnce(&Self) -> log::Result<Answer> + Send + 'static) -> Response {
        let site = Arc::clone(&self);
        match tokio::task::spawn_blocking(move || work(&site)).await {
            Ok(Ok(answer)) => respond(answer),
            Ok(Err(error)) => {
                self.give_up(error);
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Everything a mirror serves.
pub fn mirror_router<O: Objects + 'static, S: WitnessState + 'static>(site: Arc<MirrorSite<O, S>>) -> Router {
    let checkpoint = post(add_checkpoint::<O, S>).layer(DefaultBodyLimit::max(CHECKPOINT_LIMIT)).layer(from_fn(body_time::limit));
    Router::new()
        .route("/", get(about::<O, S>))
        .route("/add-checkpoint", checkpoint)
        .route("/add-entries", post(add_entries::<O, S>).layer(DefaultBodyLimit::disable()))
        .route("/{hash}/{*path}", open(get(copy::<O, S>)))
        .layer(map_response(any_origin))
        .with_state(site)
}

async fn add_checkpoint<O, S>(State(site): State<Arc<MirrorSite<O, S>>>, body: Bytes) -> Response
where
    O: Objects + 'static,
    S: WitnessState + 'static,
{
    site.run(move |site| site.mirror.add_checkpoint(&body, site.now())).await
}

/// The body is read as it comes, by a thread that verifies and stores each package before it takes the next. The answer
/// does not wait for the end of a body that is refused.
async fn add_entries<O, S>(State(site): State<Arc<MirrorSite<O, S>>>, headers: HeaderMap, body: Body) -> Response
where
    O: Objects + 'static,
    S: WitnessState + 'static,
{
    let encoding = headers.get(CONTENT_ENCODING).map_or("identity", |encoding| encoding.to_str().unwrap_or_default());
    let is_gzip = encoding.eq_ignore_ascii_case("gzip");
    if !is_gzip && !encoding.eq_ignore_ascii_case("identity") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, [(ACCEPT_ENCODING, "gzip")]).into_response();
    }
    let Ok(place) = Arc::clone(&site.places).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], "Too many uploads at once. Try again.\n").into_response();
    };
    let (send, receive) = mpsc::channel(PARTS);
    let (patience, until) = (site.patience, Instant::now() + LONGEST);
    let work = site.run(move |site| {
        let _place = place;
        let parts = Parts { receive, part: Cursor::default() };
        let mut reader: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(parts)) } else { Box::new(parts) };
        let mut upload = site.mirror.add_entries();
        let mut part = vec![0; 64 * 1024];
        loop {
            // What cannot be unpacked is treated as the end.
            let length = reader.read(&mut part).unwrap_or(0);
            if length == 0 || !upload.feed(&part[..length])? {
                return upload.finish(site.now());
            }
        }
    });
    tokio::pin!(work);
    let (mut body, mut send) = (body.into_data_stream(), Some(send));
    let mut response = loop {
        tokio::select! {
            response = &mut work => break response,
            part = timeout_at(until, timeout(patience, body.next())), if send.is_some() => {
                // A body that breaks off or pauses ends here; what came before is kept.
                let part = part.ok().and_then(Result::ok).flatten().and_then(Result::ok);
                let is_taken = match (part, &send) {
                    (Some(part), Some(to)) => to.send(part).await.is_ok(),
                    _ => false,
                };
                if !is_taken {
                    send = None;
                }
            }
        }
    };
    tokio::spawn(async move {
        // Whoever is still sending could not read the answer if the connection broke.
        let mut left = DRAINED;
        let drain = async {
            while let Some(Ok(part)) = body.next().await
                && left > part.len()
            {
                left -= part.len();
            }
        };
        timeout(patience, drain).await.ok()
    });
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

/// The parts of a body as a reader for a thread that may block.
struct Parts {
    receive: mpsc::Receiver<Bytes>,
    part: Cursor<Bytes>,
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let length = self.part.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            match self.receive.blocking_recv() {
                Some(part) => self.part = Cursor::new(part),
                None => return Ok(0),
            }
        }
    }
}

/// A file of a copy.
async fn copy<O, S>(
    State(site): State<Arc<MirrorSite<O, S>>>,
    Path((hash, path)): Path<(String, String)>,
    asked: HeaderMap,
) -> Response
where
    O: Objects + 'static,
    S: WitnessState + 'static,
{
    // Compressing the largest bundle takes a second.
    let find = move || {
        let found = site.mirror.fetch(&hash, &path);
        found.map(|found| {
            found.map(|bytes| {
                if path == checkpoint::PATH {
                    return File { kind: TEXT, cache: "no-store", bytes }.respond(&asked);
                }
                let file = File { kind: BINARY, cache: IMMUTABLE, bytes };
                let is_bundle = path.parse::<Tile>().is_ok_and(|tile| tile.kind() == Kind::Entries);
                if is_bundle { file.respond_compressed(&asked) } else { file.respond(&asked) }
            })
        })
    };
    match tokio::task::spawn_blocking(find).await {
        Ok(Ok(Some(response))) => response,
        Ok(Ok(None) | Err(log::Error::Malformed { .. })) => StatusCode::NOT_FOUND.into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Who this is, and what it holds.
async fn about<O: Objects + 'static, S: WitnessState + 'static>(State(site): State<Arc<MirrorSite<O, S>>>) -> Response {
    let describe = move || {
        let mut text = "A mirror of transparency logs (c2sp.org/tlog-mirror).\n\nKeys:\n".to_owned();
        for key in site.mirror.keys() {
            let _ = writeln!(text, "{key}");
        }
        text += "\nLogs:\n";
        for (origin, size) in site.mirror.sizes() {
            let _ = writeln!(text, "{} {size} {origin}", log::witnessing::origin_hash(origin));
        }
        text
    };
    match tokio::task::spawn_blocking(describe).await {
        Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, answer.content_type), (CACHE_CONTROL, "no-store")], answer.body).into_response()
}

/// 63 hashes and a checkpoint with many post-quantum signatures.
const CHECKPOINT_LIMIT: usize = 200_000;
/// Bytes of a body that are read after the answer.
const DRAINED: usize = 32 << 20;
/// How long an upload may take.
const LONGEST: Duration = Duration::from_secs(600);
/// Parts of a body that wait for the thread that stores them.
const PARTS: usize = 16;
/// Uploads at once.
const PLACES: usize = 16;
