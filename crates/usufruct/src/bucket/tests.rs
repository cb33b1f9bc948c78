//! The bucket against a server of the S3 protocol (moto), which keeps to `If-Match` and `If-None-Match`. It is installed by
//! `need_moto` of `script/lib/install.sh`; without it the tests say so and pass.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use usufruct_app::log::{Ed25519Signer, Error, MemoryHead, Objects, Publisher, Reader, Tile, VerifierKey, checkpoint, collect};

use super::{Bucket, open};

/// A server with the bucket `city`, ended with the value.
struct S3Server {
    process: Child,
    port: u16,
}

impl S3Server {
    /// `None` when no server is installed.
    fn start() -> Option<Self> {
        let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.local/moto/bin/moto_server"));
        let program = std::env::var_os("USUFRUCT_MOTO").map_or(own, PathBuf::from);
        if !program.exists() {
            eprintln!("{} is not there, so buckets are not tested. `script/test rust` installs it.", program.display());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, port };
        for _ in 0..300 {
            if server.ask("PUT", "/city").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server did not come up on port {port}");
    }

    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let credential = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {credential}\r\nContent-Length: 0\r\n");
        write!(stream, "{head}Connection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn open(&self, address: &str) -> Arc<dyn Objects> {
        open(&bucket(address, &format!("http://127.0.0.1:{}", self.port)), keys()).unwrap()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn bucket(address: &str, endpoint: &str) -> Bucket {
    Bucket { bucket: address.into(), endpoint: Some(endpoint.into()), region: Some("us-east-1".into()) }
}

fn keys() -> impl Iterator<Item = (String, String)> {
    [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]
        .map(|(name, value)| (name.into(), value.into()))
        .into_iter()
}

const ORIGIN: &str = "example.org/log";

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

type OnBucket<'a> = Publisher<Arc<dyn Objects>, &'a MemoryHead>;

fn publisher<'a>(objects: &Arc<dyn Objects>, head: &'a MemoryHead) -> Result<OnBucket<'a>, Error> {
    Publisher::open(Arc::clone(objects), head, vec![Box::new(signer())], ORIGIN, None)
}

fn grow(publisher: &mut OnBucket<'_>, size: u64) -> Result<(), Error> {
    let from = publisher.size()?;
    publisher.publish((from..size).map(|index| (index, index.to_be_bytes().repeat(8))), 1).map(drop)
}

fn entries(source: &Arc<dyn Objects>) -> u64 {
    let key: VerifierKey = signer().verifier_key().clone();
    let (public, _) = checkpoint::fetch(source, ORIGIN, &[&key.verifier().unwrap()]).unwrap();
    let mut read = 0;
    Reader::new(source, public)
        .entries(0, |index, entry| {
            assert_eq!(entry, index.to_be_bytes().repeat(8));
            read += 1;
            Ok(())
        })
        .unwrap();
    read
}

#[test]
fn a_bucket_keeps_what_is_immutable_and_pages_its_lists() {
    let Some(server) = S3Server::start() else { return };
    let objects = server.open("s3://city/pass/log");
    assert_eq!(objects.fetch("tile/0/000").unwrap(), None);
    objects.put("tile/0/000", b"one").unwrap();
    objects.put("tile/0/000", b"one").unwrap();
    assert!(matches!(objects.put("tile/0/000", b"two"), Err(Error::Conflict { .. })));
    assert_eq!(objects.fetch("tile/0/000").unwrap().as_deref(), Some(b"one".as_slice()));
    let many: Vec<_> = (0..50).map(|n| (format!("tile/1/{n:03}.p/{}", n + 1), vec![n; 10])).collect();
    objects.put_all(&many).unwrap();
    objects.put_all(&many).unwrap();
    let other = [("tile/2/000".to_owned(), b"new".to_vec()), ("tile/1/007.p/8".to_owned(), b"other".to_vec())];
    assert!(matches!(objects.put_all(&other), Err(Error::Conflict { .. })));
    let (mut found, mut after) = (Vec::new(), None::<String>);
    while let page @ [_, ..] = &objects.list("tile/1", after.as_deref(), 7).unwrap()[..] {
        assert!(page.len() <= 7 && page.iter().all(|stored| stored.time > 1_700_000_000), "{page:?}");
        after = page.last().map(|stored| stored.path.clone());
        found.extend(page.iter().map(|stored| stored.path.clone()));
        assert!(found.len() <= many.len(), "the pages do not end");
    }
    assert_eq!(found, many.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>());
    objects.remove_all(&found[..20]).unwrap();
    objects.remove_all(&found[..21]).unwrap();
    assert_eq!(objects.list("tile/1", None, 1_000).unwrap().len(), 29);
    for bad in ["", "../checkpoint", "/a", "a//b", "a b"] {
        assert!(objects.put(bad, b"").is_err() && objects.fetch(bad).is_err() && objects.remove(bad).is_err(), "{bad:?}");
    }
    // Another prefix is another log.
    let beside = server.open("s3://city/pass");
    assert_eq!(beside.fetch("tile/0/000").unwrap(), None);
    assert_eq!(beside.fetch("log/tile/0/000").unwrap().as_deref(), Some(b"one".as_slice()));
    // Whoever serves the bucket to the public sends the right headers.
    objects.replace("checkpoint", b"text").unwrap();
    for (path, kind, cache) in
        [("tile/0/000", "application/octet-stream", "immutable"), ("checkpoint", "text/plain; charset=utf-8", "no-store")]
    {
        let answer = server.ask("GET", &format!("/city/pass/log/{path}")).unwrap();
        assert!(answer.contains(kind) && answer.contains(cache), "{answer}");
    }
}

#[test]
fn a_log_lives_in_a_bucket_and_loses_only_partial_tiles_that_are_superseded() {
    let Some(server) = S3Server::start() else { return };
    let (objects, head) = (server.open("s3://city"), MemoryHead::default());
    let mut first = publisher(&objects, &head).unwrap();
    for size in [0, 1, 200, 256, 300, 600] {
        grow(&mut first, size).unwrap();
    }
    drop((first, objects));
    let objects = server.open("s3://city/");
    let mut again = publisher(&objects, &head).unwrap();
    grow(&mut again, 700).unwrap();
    assert_eq!(entries(&objects), 700);
    let now = objects.list("tile", None, 1).unwrap()[0].time + 100;
    assert_eq!(collect(&objects, None, 700, now, 1_000, 1_000).unwrap().removed, 0);
    // Widths 1 and 200 of tile 0, 44 of tile 1, 88 of tile 2; of hashes and of entries.
    assert_eq!(collect(&objects, None, 700, now, 10, 1_000).unwrap().removed, 6);
    let partials: Vec<_> = objects.list("tile", None, 1_000).unwrap().into_iter().map(|stored| stored.path).collect();
    let partials = partials.iter().filter(|path| path.parse::<Tile>().is_ok_and(|tile| !tile.is_full()));
    assert_eq!(partials.filter(|path| !path.starts_with("tile/1/")).count(), 4, "widths 88 and 188 of tile 2");
    assert_eq!(entries(&objects), 700);
    grow(&mut publisher(&objects, &head).unwrap(), 1_000).unwrap();
    assert_eq!(entries(&objects), 1_000);
}

#[test]
fn of_two_publishers_on_one_bucket_one_is_refused() {
    let Some(server) = S3Server::start() else { return };
    let (one, other) = (server.open("s3://city/log"), server.open("s3://city/log"));
    let heads = (MemoryHead::default(), MemoryHead::default());
    let (mut first, mut second) = (publisher(&one, &heads.0).unwrap(), publisher(&other, &heads.1).unwrap());
    grow(&mut first, 3).unwrap();
    // The same leaves, so the same tiles; but the checkpoint was signed at another time.
    let from = (0..3).map(|index: u64| (index, index.to_be_bytes().repeat(8)));
    let committed = second.commit(from.chain([(3, vec![7])]), 2).unwrap();
    assert!(matches!(second.announce(&committed.note), Err(Error::Moved)));
    assert_eq!(entries(&one), 3);
    // Other leaves are noticed before anything is signed.
    let third = server.open("s3://city/log");
    let mut third = publisher(&third, &heads.0).unwrap();
    assert!(matches!(third.publish([(3, vec![8])], 2), Err(Error::Conflict { .. })));
    // The last to open the bucket is the one that is meant; what it has read since does not make the first one so again.
    let last = server.open("s3://city/log");
    last.replace("checkpoint", b"by the last").unwrap();
    assert_eq!(one.fetch("checkpoint").unwrap().as_deref(), Some(b"by the last".as_slice()));
    assert!(matches!(one.replace("checkpoint", b"by the first"), Err(Error::Moved)));
    last.replace("checkpoint", b"by the last again").unwrap();
    last.replace("checkpoint", b"and again").unwrap();
    // A damaged tile may be mended by whoever proved it.
    last.replace("tile/0/000.p/3", b"mended").unwrap();
    last.replace("tile/0/000.p/3", b"mended").unwrap();
    assert_eq!(last.fetch("tile/0/000.p/3").unwrap().as_deref(), Some(b"mended".as_slice()));
}

#[test]
fn a_checkpoint_whose_answer_got_lost_is_no_foreign_one() {
    let Some(server) = S3Server::start() else { return };
    let proxy = Proxy::before(server.port, "nothing");
    let objects = open(&bucket("s3://city/log", &format!("http://127.0.0.1:{}", proxy.port)), keys()).unwrap();
    objects.replace("checkpoint", b"first").unwrap();
    proxy.lose(true);
    assert!(matches!(objects.replace("checkpoint", b"second"), Err(Error::Outside { .. })));
    proxy.lose(false);
    assert_eq!(objects.fetch("checkpoint").unwrap().as_deref(), Some(b"second".as_slice()));
    objects.replace("checkpoint", b"third").unwrap();
    objects.replace("checkpoint", b"fourth").unwrap();
    assert_eq!(objects.fetch("checkpoint").unwrap().as_deref(), Some(b"fourth".as_slice()));
}

#[test]
fn what_cannot_be_opened_is_said_in_two_sentences() {
    for address in ["", "city", "http://city", "s3://", "s3:///x", "s3://city/../other", "s3://city//x"] {
        let failure = open(&bucket(address, "http://127.0.0.1:1"), keys()).err().unwrap().to_string();
        assert!(failure.contains("no address of a bucket"), "{address}: {failure}");
    }
    let failure = open(&bucket("s3://city", "http://127.0.0.1:1"), keys()).err().unwrap().to_string();
    assert!(failure.starts_with("The bucket s3://city cannot be used") && !failure.contains("secret"), "{failure}");
    let Some(server) = S3Server::start() else { return };
    let failure = open(&bucket("s3://nothing", &format!("http://127.0.0.1:{}", server.port)), keys());
    assert!(failure.err().unwrap().to_string().contains("the bucket failed"));
}

#[test]
fn a_service_that_ignores_conditions_is_refused() {
    let Some(server) = S3Server::start() else { return };
    let good = server.open("s3://city/log");
    assert_eq!(good.fetch("conditions").unwrap().as_deref(), Some(b"It is kept.\n".as_slice()));
    for ignored in ["if-none-match", "if-match"] {
        let proxy = Proxy::before(server.port, ignored);
        let at = bucket("s3://city/log", &format!("http://127.0.0.1:{}", proxy.port));
        let failure = open(&at, keys()).err().unwrap().to_string();
        assert!(failure.contains("although it was asked not to"), "{ignored}: {failure}");
        assert!(super::read(&at, keys()).is_ok());
    }
}

/// Hands requests on without one of their headers, and does not hand back the answers to PUT while it loses them.
struct Proxy {
    port: u16,
    losing: Arc<AtomicBool>,
}

impl Proxy {
    fn before(target: u16, dropped: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let losing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&losing);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let flag = Arc::clone(&flag);
                std::thread::spawn(move || pass_on(client.ok()?, target, dropped, &flag));
            }
        });
        Self { port, losing }
    }

    fn lose(&self, losing: bool) {
        self.losing.store(losing, Ordering::SeqCst);
    }
}

/// One request a connection: the head is changed so that the server ends the connection after its answer.
fn pass_on(mut client: TcpStream, target: u16, dropped: &str, losing: &AtomicBool) -> Option<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()).unwrap_or(0);
    while request.len() < end + length {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
    }
    let mut server = TcpStream::connect(("127.0.0.1", target)).ok()?;
    for line in String::from_utf8_lossy(&request[..end - 4]).lines() {
        if line.split(':').next().is_some_and(|name| !name.eq_ignore_ascii_case(dropped)) {
            write!(server, "{line}\r\n").ok()?;
        }
    }
    server.write_all(b"Connection: close\r\n\r\n").ok()?;
    server.write_all(&request[end..]).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    if head.starts_with("put") && losing.load(Ordering::SeqCst) {
        return None;
    }
    client.write_all(&answer).ok()
}
