//! Connections of every listener of the program: who gets a place, for how long, and what is served on it.
//!
//! A connection costs a file and some memory whether anything is said on it or not. So each holds a place until it ends, a network has a part
//! of the places only, and whoever says nothing, says it byte by byte, or takes nothing of an answer loses the place in time. Only HTTP/1.1
//! is spoken.

mod places;
mod pulse;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tower::ServiceExt as _;

pub use places::Places;
pub use pulse::Watched;

use crate::clock::stopwatch;
use places::Place;
use pulse::Pulse;

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of the process at once, whoever has them.
    pub all: usize,
    /// Those from elsewhere. A web server in front on this machine, and the operator, find a place when strangers have taken all of theirs.
    pub strangers: usize,
    /// Those of one network.
    pub network: usize,
    /// For the head of a request, from its first byte, and for the first byte of a new connection.
    pub head: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// Without a byte of an answer being taken.
    pub stall: Duration,
}

/// What is done on a new connection before requests are read from it.
pub trait Welcome: Send + Sync + 'static {
    /// What requests are read from.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Who calls, as each request of the connection says it in its `ConnectInfo`.
    type Caller: Clone + Send + Sync + 'static;

    /// `None` when nothing is served to whoever has come. What it waits for, it waits for a limited time.
    fn welcome(&self, stream: Watched, address: SocketAddr) -> impl Future<Output = Option<(Self::Io, Self::Caller)>> + Send;
}

/// Requests in clear, from an address.
pub struct Plain;

impl Welcome for Plain {
    type Io = Watched;
    type Caller = SocketAddr;

    async fn welcome(&self, stream: Watched, address: SocketAddr) -> Option<(Watched, SocketAddr)> {
        Some((stream, address))
    }
}

impl Limits {
    /// What a process that may have so many files open can give away. The rest is for the store, the log and its own requests.
    pub fn of_files(files: usize) -> Self {
        let all = files.saturating_sub((files / 4).clamp(64, 1_024)).clamp(16, MOST);
        let strangers = all - all / 4;
        Self { all, strangers, network: (strangers / 12).max(6), head: HEAD, idle: IDLE, stall: STALL }
    }
}

/// Lets the process have as many files open as the system allows it, and answers how many that are.
pub fn raise_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, "the limit of open files stays");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Serves `router` on a listener until `until` is over, and then until the requests under way are answered. A caller for whom there is no
/// place is turned away; nobody who has one loses it to another.
pub async fn serve<W: Welcome>(
    listener: TcpListener,
    welcome: W,
    router: Router,
    places: Arc<Places>,
    until: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let (welcome, mut open, mut until) = (Arc::new(welcome), JoinSet::new(), pin!(until));
    loop {
        tokio::select! {
            () = &mut until => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match places.take(address.ip()) {
                    Some(place) => {
                        let connection = Connection { welcome: Arc::clone(&welcome), router: router.clone(), place };
                        open.spawn(connection.attend(stream, address, stopped.clone()));
                    }
                    None => tracing::debug!("a caller was turned away, for there is no place"),
                },
                Err(error) if BROKEN_OFF.contains(&error.kind()) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection could be taken");
                    sleep(TROUBLE).await;
                }
            }
        }
    }
    drop(listener);
    let _ = stop.send(true);
    while open.join_next().await.is_some() {}
}

/// A connection that has a place.
struct Connection<W> {
    welcome: Arc<W>,
    router: Router,
    place: Place,
}

impl<W: Welcome> Connection<W> {
    async fn attend(self, stream: TcpStream, address: SocketAddr, mut stopped: watch::Receiver<bool>) {
        let pulse = Arc::new(Pulse::new());
        let greeted = tokio::select! {
            greeted = self.welcome.welcome(Watched::new(stream, Arc::clone(&pulse)), address) => greeted,
            () = told(&mut stopped) => None,
        };
        let Some((io, caller)) = greeted else { return };
        let limits = self.place.limits();
        pulse.begin();
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            let work = pulse.work();
            request.extensions_mut().insert(ConnectInfo(caller.clone()));
            let answer = self.router.clone().oneshot(request.map(Body::new));
            async move { answer.await.map(|answer| answer.map(|body| work.until_end_of(body))) }
        });
        let mut served = pin!(http1::Builder::new().serve_connection(TokioIo::new(io), service));
        let mut looks = interval(limits.head.min(limits.idle).min(limits.stall) / 4);
        let mut is_stopping = false;
        loop {
            tokio::select! {
                outcome = served.as_mut() => {
                    if let Err(error) = outcome {
                        tracing::trace!(%error, "a connection broke off");
                    }
                    break;
                }
                () = told(&mut stopped), if !is_stopping => {
                    is_stopping = true;
                    served.as_mut().graceful_shutdown();
                }
                _ = looks.tick() => if pulse.is_over(limits, stopwatch()) { break },
            }
        }
    }
}

/// Until the listener is told to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await.map(drop);
}

/// Connections of a process at most: each costs some ten thousand bytes, more with TLS.
const MOST: usize = 8_192;
const HEAD: Duration = Duration::from_secs(10);
/// Longer than web servers in front keep a connection, so that they end it and no request is lost between the two.
const IDLE: Duration = Duration::from_secs(75);
/// A slow line empties the buffers of the system in steps, so it is long between two of them.
const STALL: Duration = Duration::from_secs(120);
const TROUBLE: Duration = Duration::from_millis(200);
/// What a caller does who goes away before being taken.
const BROKEN_OFF: [ErrorKind; 3] = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
