//! A mirror as a server (C2SP tlog-mirror): uploads under one prefix, and each copy as a tile log below the hash of its origin.

use std::fmt::Write as _;
use std::io::{Cursor, Read};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use usufruct_app::log;
use usufruct_app::log::mirror::Mirror;
use usufruct_app::log::witness::{Answer, WitnessState};
use usufruct_app::log::{Objects, Tile, tile::Kind};
use usufruct_core::ports::Clock;

use crate::log::{BINARY, File, IMMUTABLE, TEXT};

/// What the server needs.
pub struct MirrorSite<O, S> {
    pub mirror: Mirror<O, S>,
    pub clock: Arc<dyn Clock>,
    /// Told of the first error after which nothing may be signed any more.
    pub broken: Box<dyn Fn(log::Error) + Send + Sync>,
}

impl<O: Objects + 'static, S: WitnessState + 'static> MirrorSite<O, S> {
    /// The time, in seconds since 1970 UTC.
    pub fn now(&self) -> u64 {
        self.clock.now().micros().max(0).unsigned_abs() / 1_000_000
    }

    async fn run(self: Arc<Self>, work: impl FnOnce(&Self) -> log::Result<Answer> + Send + 'static) -> Response {
        let site = Arc::clone(&self);
        match tokio::task::spawn_blocking(move || work(&site)).await {
            Ok(Ok(answer)) => respond(answer),
            Ok(Err(error)) => {
                tracing::error!(%error, "the mirror cannot go on");
                (self.broken)(error);
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Everything a mirror serves.
pub fn mirror_router<O: Objects + 'static, S: WitnessState + 'static>(site: Arc<MirrorSite<O, S>>) -> Router {
    Router::new()
        .route("/", get(about::<O, S>))
        .route("/add-checkpoint", post(add_checkpoint::<O, S>).layer(DefaultBodyLimit::max(CHECKPOINT_LIMIT)))
        .route("/add-entries", post(add_entries::<O, S>).layer(DefaultBodyLimit::disable()))
        .route("/{hash}/{*path}", get(copy::<O, S>))
        .layer(map_response(any_origin))
        .with_state(site)
}

async fn any_origin(mut response: Response) -> Response {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

async fn add_checkpoint<O, S>(State(site): State<Arc<MirrorSite<O, S>>>, body: Bytes) -> Response
where
    O: Objects + 'static,
    S: WitnessState + 'static,
{
    site.run(move |site| site.mirror.add_checkpoint(&body, site.now())).await
}

/// The body is read as it comes, by a thread that verifies and stores each package before it takes the next.
async fn add_entries<O, S>(State(site): State<Arc<MirrorSite<O, S>>>, headers: HeaderMap, body: Body) -> Response
where
    O: Objects + 'static,
    S: WitnessState + 'static,
{
    let is_gzip = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, [(ACCEPT_ENCODING, "gzip")]).into_response(),
    };
    let (send, receive) = mpsc::channel(PARTS);
    let forward = async move {
        let mut body = body.into_data_stream();
        // A body that breaks off ends here; what came before is kept.
        while let Some(Ok(part)) = body.next().await {
            if send.send(part).await.is_err() {
                return;
            }
        }
    };
    let work = site.run(move |site| {
        let parts = Parts { receive, part: Cursor::default() };
        let mut reader: Box<dyn Read> = if is_gzip { Box::new(GzDecoder::new(parts)) } else { Box::new(parts) };
        let mut upload = site.mirror.add_entries(site.now());
        let mut part = vec![0; 64 * 1024];
        loop {
            // What cannot be unpacked is treated as the end.
            let length = reader.read(&mut part).unwrap_or(0);
            if length == 0 || !upload.feed(&part[..length])? {
                return upload.finish();
            }
        }
    });
    let (mut response, ()) = tokio::join!(work, forward);
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
    let is_bundle = path.parse::<Tile>().is_ok_and(|tile| tile.kind() == Kind::Entries);
    let is_checkpoint = path == "checkpoint";
    let found = tokio::task::spawn_blocking(move || site.mirror.fetch(&hash, &path)).await;
    let (kind, cache) = if is_checkpoint { (TEXT, "no-store") } else { (BINARY, IMMUTABLE) };
    match found {
        Ok(Ok(Some(bytes))) => {
            let file = File { kind, cache, bytes };
            if is_bundle { file.respond_compressed(&asked) } else { file.respond(&asked) }
        }
        Ok(Ok(None) | Err(log::Error::Malformed { .. })) => StatusCode::NOT_FOUND.into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Who this is, and what it holds.
async fn about<O: Objects + 'static, S: WitnessState + 'static>(State(site): State<Arc<MirrorSite<O, S>>>) -> Response {
    let mut text = "A mirror of transparency logs (c2sp.org/tlog-mirror).\n\nKeys:\n".to_owned();
    for key in site.mirror.keys() {
        let _ = writeln!(text, "{key}");
    }
    text += "\nLogs:\n";
    for (origin, size) in site.mirror.sizes() {
        let _ = writeln!(text, "{} {size} {origin}", log::witnessing::origin_hash(origin));
    }
    ([(CONTENT_TYPE, TEXT)], text).into_response()
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, answer.content_type), (CACHE_CONTROL, "no-store")], answer.body).into_response()
}

/// 63 hashes and a checkpoint with many post-quantum signatures.
const CHECKPOINT_LIMIT: usize = 200_000;
/// Parts of a body that wait for the thread that stores them.
const PARTS: usize = 16;
