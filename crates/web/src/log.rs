//! The log as C2SP tlog-tiles serves it: static files with their types, caching and validators, and the tag index.

mod packed;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use usufruct_app::log::tile::Kind;
use usufruct_app::log::{Objects, Tile, checkpoint};

use crate::Site;
use crate::fault::{self, Fault};
use crate::site::blocking;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/log/checkpoint", open(get(public_checkpoint)))
        .route("/log/vkey", open(get(vkey)))
        .route("/log/vkeys", open(get(vkeys)))
        .route("/log/receipt-vkey", open(get(receipt_vkey)))
        .route("/log/tile/{*path}", open(get(tile)))
        .route("/log/tags/{*path}", open(get(tags)))
        .route("/log/", any(fault::not_found))
        .route("/log/{*path}", any(fault::not_found))
        .layer(map_response(any_origin))
}

/// Browsers of other sites may ask first.
pub(crate) fn open<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    route.options(|| async {
        let headers = [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "range, if-none-match, if-range"),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        (StatusCode::NO_CONTENT, headers)
    })
}

/// The log is everybody's, errors included.
pub(crate) async fn any_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("content-range, etag, retry-after"));
    response
}

async fn public_checkpoint(State(site): State<Arc<Site>>, asked: HeaderMap) -> Result<Response, Fault> {
    let bytes = blocking(&site, |app| Ok(app.log_objects().fetch(checkpoint::PATH)?)).await?;
    let bytes = bytes.ok_or_else(|| Fault::not_found("file in the log"))?;
    Ok(File { kind: TEXT, cache: "no-store", bytes }.respond(&asked))
}

async fn tile(State(site): State<Arc<Site>>, Path(path): Path<String>, asked: HeaderMap) -> Result<Response, Fault> {
    let path = format!("tile/{path}");
    // Only addresses of tiles reach the folder.
    let tile: Tile = path.parse().map_err(|_| Fault::not_found("tile"))?;
    let bytes = blocking(&site, move |app| Ok(app.log_objects().fetch(&path)?)).await?;
    let file = File { kind: BINARY, cache: IMMUTABLE, bytes: bytes.ok_or_else(|| Fault::not_found("file in the log"))? };
    if tile.kind() != Kind::Entries {
        return Ok(file.respond(&asked));
    }
    // Compressing the largest bundle takes a second.
    tokio::task::spawn_blocking(move || file.respond_compressed(&asked)).await.map_err(|_| Fault::internal())
}

/// A segment of the tag index. Everybody fetches the same ranges, so what is fetched does not say who asks.
async fn tags(State(site): State<Arc<Site>>, Path(path): Path<String>, asked: HeaderMap) -> Result<Response, Fault> {
    let segment = format!("tile/entries/{path}").parse::<Tile>().ok().filter(Tile::is_full);
    let number = segment.ok_or_else(|| Fault::not_found("segment"))?.index();
    let found = blocking(&site, move |app| app.tag_segment(number)).await?;
    let found = found.ok_or_else(|| Fault::not_found("segment"))?;
    let cache = if found.is_full { IMMUTABLE } else { "no-store" };
    let file = File { kind: BINARY, cache, bytes: found.bytes.to_vec() };
    Ok(file.respond_range(&asked))
}

async fn vkey(State(site): State<Arc<Site>>, asked: HeaderMap) -> Response {
    keys(&[site.app.log_vkey()], &asked)
}

async fn vkeys(State(site): State<Arc<Site>>, asked: HeaderMap) -> Response {
    keys(&site.app.log_vkeys(), &asked)
}

async fn receipt_vkey(State(site): State<Arc<Site>>, asked: HeaderMap) -> Response {
    keys(&[site.app.receipt_vkey()], &asked)
}

fn keys(keys: &[String], asked: &HeaderMap) -> Response {
    let bytes = format!("{}\n", keys.join("\n")).into_bytes();
    File { kind: TEXT, cache: "public, max-age=300", bytes }.respond(asked)
}

/// A file on its way out.
pub(crate) struct File {
    pub kind: &'static str,
    pub cache: &'static str,
    pub bytes: Vec<u8>,
}

impl File {
    /// The whole file, or 304 to whoever has it.
    pub fn respond(self, asked: &HeaderMap) -> Response {
        let tag = tag(&self.hash(), "");
        self.finish(asked, &tag, [])
    }

    /// The same, compressed for whoever takes it so.
    pub fn respond_compressed(self, asked: &HeaderMap) -> Response {
        let hash = self.hash();
        if takes_gzip(asked)
            && let Some(packed) = packed::gzip(&hash, &self.bytes)
        {
            let (tag, bytes) = (tag(&hash, "-gzip"), packed.to_vec());
            return Self { bytes, ..self }.finish(asked, &tag, [(VARY, "accept-encoding"), (CONTENT_ENCODING, "gzip")]);
        }
        self.finish(asked, &tag(&hash, ""), [(VARY, "accept-encoding")])
    }

    /// The whole file, or the one range that is asked for.
    fn respond_range(self, asked: &HeaderMap) -> Response {
        let tag = tag(&self.hash(), "");
        // Whoever has a part of an older content gets the whole of this one (RFC 9110 13.1.5).
        let is_current = asked.get(IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
        let range = asked.get(RANGE).filter(|_| is_current);
        let Some(range) = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")) else {
            return self.finish(asked, &tag, [(ACCEPT_RANGES, "bytes")]);
        };
        let length = self.bytes.len();
        let bounds = range.split_once('-').and_then(|(first, last)| {
            let first: usize = first.parse().ok()?;
            let last = if last.is_empty() { length } else { last.parse::<usize>().ok()?.checked_add(1)? };
            (first < last.min(length)).then_some((first, last.min(length)))
        });
        let Some((first, end)) = bounds else {
            let headers = [(CONTENT_RANGE, format!("bytes */{length}")), (CACHE_CONTROL, "no-store".to_owned())];
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        };
        let headers = [
            (CONTENT_TYPE, self.kind.to_owned()),
            (CACHE_CONTROL, self.cache.to_owned()),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_RANGE, format!("bytes {first}-{}/{length}", end - 1)),
            (ETAG, tag),
        ];
        (StatusCode::PARTIAL_CONTENT, headers, self.bytes[first..end].to_vec()).into_response()
    }

    fn finish<const N: usize>(self, asked: &HeaderMap, tag: &str, more: [(HeaderName, &'static str); N]) -> Response {
        let known = asked.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
        let is_known = known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*");
        let headers = [(ETAG, tag.to_owned()), (CACHE_CONTROL, self.cache.to_owned())];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers, more).into_response();
        }
        (headers, [(CONTENT_TYPE, self.kind)], more, self.bytes).into_response()
    }

    fn hash(&self) -> Vec<u8> {
        digest(&SHA256, &self.bytes).as_ref().to_vec()
    }
}

/// A strong validator: the hash of the content, told apart by its encoding.
fn tag(hash: &[u8], encoding: &str) -> String {
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}{encoding}\"")
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let encodings = asked.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    encodings.split(',').any(|encoding| {
        let mut parts = encoding.split(';').map(str::trim);
        let is_gzip = matches!(parts.next(), Some("gzip" | "*"));
        is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

pub(crate) const BINARY: &str = "application/octet-stream";
pub(crate) const IMMUTABLE: &str = "public, max-age=604800, immutable";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
