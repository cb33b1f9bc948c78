//! The log over HTTP: types, caching, validators, encodings, ranges, and that every site may read it.

#[path = "../../app/tests/common/mod.rs"]
mod common;

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use common::{City, OPERATOR};
use flate2::read::GzDecoder;
use serde_json::json;
use tower::ServiceExt;
use usufruct_app::log::tile::parse_bundle;
use usufruct_app::log::{Checkpoint, Note};
use usufruct_app::store::leaves;
use usufruct_core::event::tag_prefix;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::SECOND;
use usufruct_web::{Settings, Site};

struct Log {
    city: City,
    router: Router,
    subject: String,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let city = City::found(dir.path(), None);
        let (_, subject) = city.cardholder();
        for _ in 0..300 {
            city.app.release(&city.request(&subject)).unwrap();
        }
        city.app.publish_log().unwrap();
        let settings = Settings { issuer: "http://localhost:8080".into(), allows_oidc: true, demo: None };
        let router = usufruct_web::router(Arc::new(Site::new(Arc::clone(&city.app), settings).unwrap()));
        Self { city, router, subject, _dir: dir }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap().to_vec() }
    }

    /// One more leaf.
    fn use_data(&self) {
        self.city.app.release(&self.city.request(&self.subject)).unwrap();
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_their_types_and_caching_and_are_for_everybody() {
    let log = Log::new();
    for (path, kind, cache) in [
        ("/log/checkpoint", "text/plain; charset=utf-8", "no-store"),
        ("/log/tile/0/000", "application/octet-stream", "public, max-age=604800, immutable"),
        ("/log/tile/entries/000", "application/octet-stream", "public, max-age=604800, immutable"),
        ("/log/vkey", "text/plain; charset=utf-8", "public, max-age=300"),
        ("/log/tags/000", "application/octet-stream", "no-store"),
    ] {
        let answer = log.get(path, &[("origin", "https://elsewhere.example")]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), (kind, cache), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 30, "{path}: {tag}");
        let again = log.get(path, &[("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (StatusCode::NOT_MODIFIED, 0, tag.as_str()), "{path}");
        let head = log.ask(Method::HEAD, path, &[]).await;
        assert_eq!((head.status, head.body.len(), head.header("etag")), (StatusCode::OK, 0, tag.as_str()), "{path}");
        let options = log.ask(Method::OPTIONS, path, &[("access-control-request-method", "GET")]).await;
        assert_eq!((options.status, options.header("access-control-allow-origin")), (StatusCode::NO_CONTENT, "*"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_says_so_to_every_site() {
    let log = Log::new();
    for path in [
        "tile/0/001",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/8/0/000",
        "tile/entries/001",
        "tile/0/..%2f..%2fusufruct.db",
        "tile/0/%2e%2e",
        "tags/001",
        "tags/0",
        "tags/000.p/5",
    ] {
        let answer = log.get(&format!("/log/{path}"), &[]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::NOT_FOUND, "*"), "{path}");
    }
    // A partial tile is there for the size that was published, and only for that.
    let note = Note::parse(&log.get("/log/checkpoint", &[]).await.body).unwrap();
    let size = note.text().parse::<Checkpoint>().unwrap().size();
    assert!((257..512).contains(&size), "{size}");
    assert_eq!(log.get(&format!("/log/tile/0/001.p/{}", size - 256), &[]).await.status, StatusCode::OK);
    assert_eq!(log.get(&format!("/log/tile/0/001.p/{}", size - 255), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_travel_compressed_where_they_may() {
    let log = Log::new();
    let plain = log.get("/log/tile/entries/000", &[]).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    assert_eq!(parse_bundle(&plain.body, 256).unwrap().len(), 256);
    for accepted in ["gzip", "br, gzip;q=0.5", "*"] {
        let packed = log.get("/log/tile/entries/000", &[("accept-encoding", accepted)]).await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{accepted}");
        assert_ne!(packed.header("etag"), plain.header("etag"));
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    }
    for refused in ["identity", "gzip;q=0", "br"] {
        let answer = log.get("/log/tile/entries/000", &[("accept-encoding", refused)]).await;
        assert_eq!((answer.header("content-encoding"), answer.body == plain.body), ("", true), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_told_so_wherever_they_come_from() {
    let log = Log::new();
    for path in ["/log/checkpoint", "/log/tile/0/000", "/log/tags/000", "/log/vkey"] {
        let answer = log.ask(Method::POST, path, &[("origin", "https://elsewhere.example")]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert!(answer.header("allow").contains("GET") && answer.header("allow").contains("OPTIONS"), "{path}");
    }
    for path in ["/log/", "/log/tile", "/log/tile/", "/log/tile/0/", "/log/nothing", "/log/tags/", "/log/.temporary/lock"] {
        for method in [Method::GET, Method::OPTIONS, Method::HEAD] {
            let answer = log.ask(method, path, &[]).await;
            let is_preflight = answer.status == StatusCode::NO_CONTENT;
            assert!(answer.status == StatusCode::NOT_FOUND || is_preflight, "{path}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_of_sealed_events_travel_as_they_are() {
    let log = Log::new();
    for _ in 0..300 {
        log.use_data();
    }
    log.city.app.publish_log().unwrap();
    let plain = log.get("/log/tile/entries/001", &[]).await;
    let packed = log.get("/log/tile/entries/001", &[("accept-encoding", "gzip")]).await;
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("", "accept-encoding"));
    assert_eq!((packed.body, packed.headers.get("etag")), (plain.body, plain.headers.get("etag")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_index_is_a_function_of_the_public_leaves() {
    let log = Log::new();
    let size = log.city.app.published_size();
    // A leaf that is not public yet is not in it.
    log.use_data();
    let leaves = log.city.app.db().read(|conn| leaves::range(conn, 0, size as usize)).unwrap();
    let expected: Vec<u8> = leaves.iter().flat_map(|(_, leaf)| tag_prefix(leaf)).collect();
    assert!(expected.chunks(4).filter(|prefix| *prefix != [0; 4]).count() > 290);
    let whole = log.get("/log/tags/000", &[]).await;
    assert_eq!((whole.header("accept-ranges"), &whole.body), ("bytes", &expected));
    let length = expected.len();
    for (range, first, end) in [("bytes=0-3", 0, 4), ("bytes=1000-", 1000, length), ("bytes=4-99999999", 4, length)] {
        let part = log.get("/log/tags/000", &[("range", range)]).await;
        assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &expected[first..end]), "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {first}-{}/{length}", end - 1));
    }
    for range in [format!("bytes={length}-"), "bytes=9-3".into(), "bytes=-4".into(), "bytes=a-b".into(), "bytes=0-1,3-4".into()] {
        let answer = log.get("/log/tags/000", &[("range", &range)]).await;
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{length}"));
    }
    let part = log.get("/log/tags/000", &[("range", "bytes=0-3"), ("if-range", whole.header("etag"))]).await;
    assert_eq!((part.status, part.header("etag")), (StatusCode::PARTIAL_CONTENT, whole.header("etag")));
    log.city.app.publish_log().unwrap();
    let grown = log.get("/log/tags/000", &[("range", "bytes=0-3"), ("if-range", whole.header("etag"))]).await;
    assert_eq!((grown.status, grown.body.len()), (StatusCode::OK, length + 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_segment_is_stored_and_mended_from_the_leaves() {
    let log = Log::new();
    let terms = json!({"origin": "city.test/log", "vkeys": log.city.app.log_vkeys(), "receipt_vkey": log.city.app.receipt_vkey(),
        "policy": "quorum none", "merge_delay_seconds": 60, "checkpoint_seconds": 10, "fail_open": false,
        "filler": {"events": 10_000, "seconds": 2}});
    log.city.publish(StatementKind::Log, "log_city", OPERATOR, terms);
    while log.city.app.published_size() < 66_000 {
        log.city.clock.advance(2 * SECOND);
        log.city.app.publish_log().unwrap();
    }
    let leaves = log.city.app.db().read(|conn| leaves::range(conn, 0, 100_000)).unwrap();
    let expected: Vec<u8> = leaves.iter().flat_map(|(_, leaf)| tag_prefix(leaf)).collect();
    for _ in 0..2 {
        let full = log.get("/log/tags/000", &[]).await;
        assert_eq!(full.header("cache-control"), "public, max-age=604800, immutable");
        assert!(full.body == expected[..262_144]);
        let open = log.get("/log/tags/001", &[]).await;
        assert_eq!(open.header("cache-control"), "no-store");
        assert!(open.body == expected[262_144..]);
    }
    let objects = log.city.app.log_objects();
    let mut stored = objects.fetch("tags/000").unwrap().unwrap();
    assert!(stored == expected[..262_144]);
    // What an earlier process stored is believed only once it was compared with the leaves.
    stored[1_000] ^= 1;
    objects.replace("tags/000", &stored).unwrap();
    let Log { city, router, _dir: dir, .. } = log;
    drop((router, city));
    let city = City::try_open(dir.path(), None, "2026-06-01T00:00:00Z", 2, None).unwrap();
    assert!(city.app.tag_segment(0).unwrap().unwrap().bytes[..] == expected[..262_144]);
    assert!(city.app.log_objects().fetch("tags/000").unwrap().unwrap() == expected[..262_144]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_there_as_soon_as_the_checkpoint_is() {
    let log = Log::new();
    let size = log.city.app.published_size();
    let proof = log.get("/log/proof/7.tlog-proof", &[]).await;
    assert_eq!((proof.status, proof.header("access-control-allow-origin")), (StatusCode::OK, "*"));
    assert!(proof.body.starts_with(b"c2sp.org/tlog-proof@v1\nindex 7\n"));
    log.use_data();
    let early = log.get(&format!("/log/proof/{size}"), &[]).await;
    assert_eq!((early.status, early.header("retry-after")), (StatusCode::NOT_FOUND, "1"));
    assert_eq!(log.get("/log/proof/999999", &[]).await.header("retry-after"), "");
    assert_eq!(log.get("/log/proof/x", &[]).await.status, StatusCode::NOT_FOUND);
    log.city.app.publish_log().unwrap();
    assert_eq!(log.get(&format!("/log/proof/{size}"), &[]).await.status, StatusCode::OK);
}
