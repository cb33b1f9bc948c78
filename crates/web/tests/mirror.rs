//! The mirror over HTTP: the statuses, bodies in pieces and compressed, answers that do not wait, uploads that pause, and
//! the copy with the headers of a log.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::timeout;
use tower::ServiceExt;
use usufruct_app::log::mirror::{Header, Mirror, Package};
use usufruct_app::log::witness::{AddCheckpoint, MemoryState};
use usufruct_app::log::witnessing::origin_hash;
use usufruct_app::log::{self, Ed25519Cosigner, Ed25519Signer, Memory, MemoryHead, Note, Objects, Publisher, TileHashes, proof};
use usufruct_core::Time;
use usufruct_core::ports::Clock;
use usufruct_web::{MirrorSite, mirror_router};

const ORIGIN: &str = "example.org/log";
const SIZE: u64 = 700;
const INFO: &str = "text/x.tlog.mirror-info";

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time::from_micros(1_790_000_000_000_000)
    }
}

struct Served {
    router: Router,
    copy: Arc<Memory>,
    log: Memory,
    note: Note,
    broken: Arc<Mutex<Vec<String>>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn parts(&self) -> (u16, &str, &str) {
        (self.status, self.header("content-type"), std::str::from_utf8(&self.body).unwrap())
    }
}

fn leaf(index: u64) -> Vec<u8> {
    format!("leaf {index}").into_bytes()
}

impl Served {
    async fn new(patience: Duration) -> Self {
        let log = Memory::default();
        let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
        let key = signer.verifier_key().clone();
        let mut publisher = Publisher::open(&log, MemoryHead::default(), vec![Box::new(signer)], ORIGIN, None).unwrap();
        let head = publisher.publish((0..SIZE).map(|index| (index, leaf(index))), 1).unwrap();
        let note = Note::parse(&head.note).unwrap();
        let copy = Arc::new(Memory::default());
        let mirror = Mirror::open(
            vec![(ORIGIN.to_owned(), vec![key], Arc::clone(&copy))],
            vec![Box::new(Ed25519Cosigner::from_seed("mirror.example", &[2; 32]).unwrap())],
            MemoryState::default(),
        );
        let broken = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&broken);
        let tell = move |error: log::Error| told.lock().unwrap().push(error.to_string());
        let router = mirror_router(Arc::new(MirrorSite::new(mirror.unwrap(), Arc::new(Still), patience, tell)));
        Self { router, copy, log, note, broken }
    }

    /// With a pending checkpoint.
    async fn pending(patience: Duration) -> Self {
        let served = Self::new(patience).await;
        let request = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: served.note.clone() };
        let answer = served.post("/add-checkpoint", &[], request.to_string()).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        served
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(body).unwrap());
        let answer = timeout(Duration::from_secs(20), answer).await.expect("it answers").unwrap();
        let (parts, body) = answer.into_parts();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap().to_vec() }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        self.ask(Method::POST, path, headers, body.into()).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers, Body::empty()).await
    }

    /// The body of an upload: its header, and each package from `start` on.
    fn upload(&self, start: u64) -> Vec<Vec<u8>> {
        let hashes = TileHashes::new(&self.log, SIZE);
        let mut parts = vec![header(ORIGIN, start, SIZE)];
        let mut at = start;
        while at < SIZE {
            let (first, end) = (at / 256 * 256, SIZE.min((at / 256 + 1) * 256));
            let proof = proof::subtree_consistency(&hashes, first, end, SIZE).unwrap();
            parts.push(Package { entries: (at..end).map(leaf).collect(), proof }.encode().unwrap());
            at = end;
        }
        parts
    }

    fn served(&self) -> bool {
        Objects::fetch(&self.copy, "checkpoint").unwrap().is_some()
    }
}

fn header(origin: &str, start: u64, end: u64) -> Vec<u8> {
    Header { origin: origin.to_owned(), start, end, ticket: Vec::new() }.encode().unwrap()
}

/// A body that is sent in these parts and then never ends.
fn endless(parts: Vec<Vec<u8>>) -> Body {
    let parts = stream::iter(parts).map(|part| Ok::<_, Infallible>(Bytes::from(part)));
    Body::from_stream(parts.chain(stream::pending()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_answered_as_the_specification_says() {
    let mirror = Served::new(LONG).await;
    let add = async |body: Vec<u8>| mirror.post("/add-entries", &[("content-type", "application/octet-stream")], body).await;
    assert_eq!(add(header("other.example", 0, 0)).await.status, 404);
    assert_eq!(add(header(ORIGIN, 0, 0)).await.parts(), (409, INFO, "0\n0\n\n"));
    assert_eq!(add(header(ORIGIN, 0, SIZE)).await.parts(), (409, INFO, "0\n0\n\n"));
    let checkpoint = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: mirror.note.clone() }.to_string();
    assert_eq!(
        mirror.post("/add-checkpoint", &[], checkpoint.replacen("old 0", "old 5", 1)).await.parts(),
        (409, "text/x.tlog.size", "0\n")
    );
    assert_eq!(mirror.post("/add-checkpoint", &[], checkpoint.replace("example.org/log\n", "example.org\n")).await.status, 404);
    assert_eq!(mirror.post("/add-checkpoint", &[], "old 0\n").await.status, 400);
    assert_eq!(mirror.post("/add-checkpoint", &[], vec![b'a'; 300_000]).await.status, 413);
    let answer = mirror.post("/add-checkpoint", &[], checkpoint).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));

    assert_eq!(add(header(ORIGIN, SIZE, SIZE)).await.parts(), (409, INFO, "700\n0\n\n"));
    assert_eq!(add(header(ORIGIN, 0, SIZE)).await.status, 400);
    assert_eq!(add(Vec::new()).await.status, 400);
    let parts = mirror.upload(0);
    let mut changed = parts[..2].concat();
    changed[parts[0].len() + 3] ^= 1;
    assert_eq!(add(changed).await.status, 422);
    let answer = add(parts[..2].concat()).await;
    assert_eq!((answer.parts(), answer.header("accept-encoding")), ((202, INFO, "700\n256\n\n"), "gzip"));
    assert!(!mirror.served());
    let answer = add(mirror.upload(256).concat()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert!(answer.body.starts_with("— mirror.example ".as_bytes()) && answer.body.ends_with(b"\n"));
    assert!(mirror.served());
    assert!(mirror.broken.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_compressed_or_not_and_in_any_pieces() {
    for pieces in [1, 7, 4_096, 1 << 20] {
        for encoding in ["gzip", "GZIP", "identity", "twice"] {
            let mirror = Served::pending(LONG).await;
            let parts = mirror.upload(0);
            let bytes = match encoding {
                "identity" => parts.concat(),
                // Two members one after the other are one file (RFC 1952 2.2).
                "twice" => [gzip(&parts[0]), gzip(&parts[1..].concat())].concat(),
                _ => gzip(&parts.concat()),
            };
            let pieces: Vec<_> = bytes.chunks(pieces).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
            let name = if encoding == "twice" { "gzip" } else { encoding };
            let answer =
                mirror.post("/add-entries", &[("content-encoding", name)], Body::from_stream(stream::iter(pieces))).await;
            assert_eq!(answer.status, 200, "{encoding}");
        }
    }
    let mirror = Served::pending(LONG).await;
    let answer = mirror.post("/add-entries", &[("content-encoding", "br")], Body::empty()).await;
    assert_eq!((answer.status, answer.header("accept-encoding")), (415, "gzip"));
    // What cannot be unpacked any further ends there.
    let mut packed = gzip(&mirror.upload(0).concat());
    packed.truncate(packed.len() - 300);
    let answer = mirror.post("/add-entries", &[("content-encoding", "gzip")], packed).await;
    assert!(matches!(answer.status, 202 | 400), "{}", answer.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_wait_for_the_rest_of_the_body() {
    let mirror = Served::pending(LONG).await;
    assert_eq!(mirror.post("/add-entries", &[], endless(vec![header("other.example", 0, 9)])).await.status, 404);
    assert_eq!(mirror.post("/add-entries", &[], endless(vec![header(ORIGIN, 0, 9)])).await.status, 409);
    let mut changed = mirror.upload(0)[..2].to_vec();
    changed[1][5] ^= 1;
    assert_eq!(mirror.post("/add-entries", &[], endless(changed)).await.status, 422);
    // Nothing more is needed for this one.
    assert_eq!(mirror.post("/add-entries", &[], endless(mirror.upload(0))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_pauses_ends_there_and_others_are_not_kept_waiting() {
    let mirror = Served::pending(Duration::from_secs(2)).await;
    let paused = mirror.post("/add-entries", &[], endless(mirror.upload(0)[..2].to_vec()));
    let silent = mirror.post("/add-entries", &[], endless(Vec::new()));
    let other = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        timeout(Duration::from_secs(1), mirror.post("/add-entries", &[], mirror.upload(0).concat())).await.expect("at once")
    };
    let (paused, silent, other) = tokio::join!(paused, silent, other);
    assert_eq!(other.status, 200);
    assert_eq!(paused.parts(), (202, INFO, "700\n700\n\n"));
    assert_eq!(silent.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_uploads_at_once_are_told_to_come_again() {
    let mirror = Served::pending(Duration::from_secs(2)).await;
    let silent = (0..16).map(|_| mirror.post("/add-entries", &[], endless(Vec::new())));
    let other = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        (mirror.post("/add-entries", &[], header(ORIGIN, 0, SIZE)).await, mirror.get("/", &[]).await)
    };
    let (silent, (other, about)) = tokio::join!(futures_util::future::join_all(silent), other);
    assert_eq!((other.status, other.header("retry-after"), about.status), (503, "5", 200));
    assert!(silent.iter().all(|answer| answer.status == 400));
    assert_eq!(mirror.post("/add-entries", &[], mirror.upload(0).concat()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_is_served_as_a_log_is() {
    let mirror = Served::pending(LONG).await;
    assert_eq!(mirror.post("/add-entries", &[], mirror.upload(0).concat()).await.status, 200);
    let copy = format!("/{}", origin_hash(ORIGIN));
    for (path, kind, cache) in [
        ("checkpoint", "text/plain; charset=utf-8", "no-store"),
        ("tile/0/000", "application/octet-stream", "public, max-age=604800, immutable"),
        ("tile/0/002.p/188", "application/octet-stream", "public, max-age=604800, immutable"),
        ("tile/entries/002.p/188", "application/octet-stream", "public, max-age=604800, immutable"),
        ("tile/1/000.p/2", "application/octet-stream", "public, max-age=604800, immutable"),
    ] {
        let path = format!("{copy}/{path}");
        let answer = mirror.get(&path, &[("origin", "https://elsewhere.example")]).await;
        assert_eq!((answer.status, answer.header("content-type"), answer.header("cache-control")), (200, kind, cache), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        if !path.ends_with("checkpoint") {
            let original = Objects::fetch(&mirror.log, path.strip_prefix(&format!("{copy}/")).unwrap()).unwrap().unwrap();
            assert_eq!(answer.body, original, "{path}");
        }
        let tag = answer.header("etag").to_owned();
        assert_eq!(mirror.get(&path, &[("if-none-match", &tag)]).await.status, 304, "{path}");
        let head = mirror.ask(Method::HEAD, &path, &[], Body::empty()).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let options = mirror.ask(Method::OPTIONS, &path, &[("access-control-request-method", "GET")], Body::empty()).await;
        assert_eq!((options.status, options.header("access-control-allow-origin")), (204, "*"), "{path}");
    }
    let packed = mirror.get(&format!("{copy}/tile/entries/000"), &[("accept-encoding", "gzip")]).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    for path in
        ["tile/0/003", "tile/0/0", "tile/8/0/000", "lock", ".temporary/lock", "tile/0/..%2f..%2fcheckpoint", "tile/entries/002"]
    {
        let answer = mirror.get(&format!("{copy}/{path}"), &[]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (404, "*"), "{path}");
    }
    assert_eq!(mirror.get("/0000/checkpoint", &[]).await.status, StatusCode::NOT_FOUND.as_u16());
    let about = mirror.get("/", &[]).await;
    assert!(String::from_utf8(about.body).unwrap().contains(&format!("{} 700 {ORIGIN}", origin_hash(ORIGIN))));
}
