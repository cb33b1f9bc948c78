//! Callers who open connections and say nothing, little, or too slowly, and the others beside them. Addresses of `127.0.0.0/8` stand for
//! networks, but for `127.0.0.1`, which is this machine.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::routing::get;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

const PATIENT: Limits = Limits { all: 16, strangers: 12, network: 4, head: LONG, idle: LONG, stall: LONG };
/// More than the buffers of both ends hold.
const LARGE: usize = 16 << 20;

struct Served {
    address: SocketAddr,
    places: Arc<Places>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Served {
    async fn new(limits: Limits) -> Self {
        Self::by(Plain, limits).await
    }

    async fn by<W: Welcome>(welcome: W, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_own = |peer: IpAddr| (peer != IpAddr::from([127, 0, 0, 1])).then_some(peer);
        let places = Places::new(limits, is_own);
        let router = Router::new()
            .route("/", get(|ConnectInfo(caller): ConnectInfo<SocketAddr>| async move { caller.ip().to_string() }))
            .route(
                "/slow",
                get(|| async {
                    sleep(3 * SHORT).await;
                    "at last"
                }),
            )
            .route("/large", get(|| async { Bytes::from(vec![7; LARGE]) }));
        let (stop, stopped) = oneshot::channel();
        let until = async move { stopped.await.unwrap_or_default() };
        let ended = tokio::spawn(serve(listener, welcome, router, Arc::clone(&places), until));
        Self { address, places, stop: Some(stop), ended }
    }

    /// A connection from `127.0.0.n`.
    async fn connect(&self, n: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, n], 0))).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    async fn has(&self, count: usize) {
        let reached = async {
            while self.places.count() != count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let outcome = timeout(PATIENCE, reached).await;
        outcome.unwrap_or_else(|_| panic!("{} places are taken and not {count}", self.places.count()));
    }
}

async fn ask(stream: &mut TcpStream, path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    let mut part = [0; 1_024];
    // Until the last byte of a short answer with its length.
    loop {
        let length = timeout(PATIENCE, stream.read(&mut part)).await.unwrap()?;
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
        let whole =
            text.split_once("\r\n\r\n").is_some_and(|(head, body)| head.contains(&format!("content-length: {}", body.len())));
        if whole || length == 0 {
            return Ok(text);
        }
    }
}

/// Whether the other end closes the connection before long.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut rest)).await {
        Ok(Ok(_)) => rest.is_empty(),
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

#[tokio::test]
async fn idle_connections_of_one_network_leave_the_others_their_places() {
    let served = Served::new(PATIENT).await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(served.connect(2).await);
    }
    let mut other = served.connect(3).await;
    assert!(ask(&mut other, "/").await.unwrap().ends_with("127.0.0.3"), "another network");
    served.has(5).await;
    let mut closed = 0;
    for stream in &mut idle[4..] {
        closed += usize::from(is_closed(stream).await);
    }
    assert_eq!(closed, 46, "those for whom there was no place");
    assert!(ask(&mut idle[0], "/").await.unwrap().ends_with("127.0.0.2"), "those who had one keep it");

    // Many networks together take what strangers have, and this machine finds a place still.
    let mut more = Vec::new();
    for n in 3..20 {
        more.push(served.connect(n).await);
    }
    served.has(12).await;
    let mut here = served.connect(1).await;
    assert!(ask(&mut here, "/").await.unwrap().ends_with("127.0.0.1"));
    assert!(ask(&mut other, "/").await.unwrap().ends_with("127.0.0.3"), "and who has a place is served on it");
    drop((idle, more, here, other));
    served.has(0).await;
    assert!(ask(&mut served.connect(2).await, "/").await.unwrap().ends_with("127.0.0.2"), "every place is given back");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let served = Served::new(Limits { head: SHORT, ..PATIENT }).await;
    let (mut silent, mut slow) = (served.connect(2).await, served.connect(3).await);
    let start = stopwatch();
    let mut sent = 0;
    for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
        if slow.write_all(&[*byte]).await.is_err() || start.elapsed() > PATIENCE {
            break;
        }
        sent += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(sent > 5 && start.elapsed() >= SHORT && start.elapsed() < PATIENCE, "{sent} bytes in {:?}", start.elapsed());
    assert!(is_closed(&mut silent).await, "one on which nothing comes");
    served.has(0).await;
}

#[tokio::test]
async fn a_connection_between_two_requests_waits_for_a_while() {
    let served = Served::new(Limits { head: SHORT, idle: 4 * SHORT, ..PATIENT }).await;
    let mut kept = served.connect(2).await;
    for _ in 0..3 {
        assert!(ask(&mut kept, "/").await.unwrap().ends_with("127.0.0.2"));
        sleep(2 * SHORT).await;
    }
    assert!(is_closed(&mut kept).await);
    served.has(0).await;
}

#[tokio::test]
async fn a_long_answer_and_a_slow_reader_are_waited_for_and_one_who_takes_nothing_is_not() {
    let served = Served::new(Limits { head: SHORT, idle: SHORT, stall: 4 * SHORT, ..PATIENT }).await;
    assert!(
        ask(&mut served.connect(2).await, "/slow").await.unwrap().ends_with("at last"),
        "the work takes longer than every limit"
    );

    let mut slow = served.connect(3).await;
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let (start, mut read, mut part) = (stopwatch(), 0, vec![0; 128 << 10]);
    while let length @ 1.. = slow.read(&mut part).await.unwrap() {
        read += length;
        sleep(Duration::from_millis(15)).await;
    }
    assert!(read > LARGE && start.elapsed() > 5 * SHORT, "{read} bytes in {:?}", start.elapsed());

    let mut stuck = served.connect(4).await;
    stuck.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    served.has(1).await;
    served.has(0).await;
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "the answer broke off");
}

/// TLS by a certificate of its own.
struct Sealed(TlsAcceptor);

impl Welcome for Sealed {
    type Io = TlsStream<Watched>;
    type Caller = SocketAddr;

    async fn welcome(&self, stream: Watched, address: SocketAddr) -> Option<(Self::Io, SocketAddr)> {
        Some((self.0.accept(stream).await.ok()?, address))
    }
}

#[tokio::test]
async fn whoever_shakes_hands_and_says_nothing_gives_the_place_back() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let served = Served::by(Sealed(TlsAcceptor::from(Arc::new(config))), Limits { network: 1, head: 2 * SHORT, ..PATIENT }).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let shake = async || connector.connect("localhost".try_into().unwrap(), served.connect(2).await).await;

    let silent = shake().await.unwrap();
    served.has(1).await;
    assert!(shake().await.is_err(), "the one place of this network is taken, handshake or not");
    served.has(0).await;
    drop(silent);
    let mut next = shake().await.unwrap();
    next.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    let _ = timeout(PATIENCE, next.read_to_end(&mut text)).await.unwrap();
    assert!(String::from_utf8_lossy(&text).ends_with("127.0.0.2"));
}

#[tokio::test]
async fn a_listener_that_stops_gives_the_answers_that_are_under_way() {
    let mut served = Served::new(PATIENT).await;
    let (mut idle, mut busy) = (served.connect(2).await, served.connect(3).await);
    ask(&mut idle, "/").await.unwrap();
    let answer = tokio::spawn(async move { ask(&mut busy, "/slow").await.unwrap() });
    served.has(2).await;
    sleep(SHORT).await;
    served.stop.take().unwrap().send(()).unwrap();
    assert!(is_closed(&mut idle).await);
    assert!(answer.await.unwrap().ends_with("at last"));
    timeout(PATIENCE, served.ended).await.unwrap().unwrap();
}

#[test]
fn limits_leave_files_for_everything_else() {
    for files in [64, 256, 1_024, 4_096, 1 << 20, usize::MAX] {
        let limits = Limits::of_files(files);
        assert!(limits.all < files && limits.strangers < limits.all && limits.network * 2 <= limits.strangers, "{limits:?}");
    }
    assert_eq!(Limits::of_files(1_024).all, 768);
    assert_eq!(Limits::of_files(1 << 20).network, 512);
}
