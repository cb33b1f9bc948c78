//! Connections to a keeper: those with a certificate of the roster, each with whom it belongs to.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use rustls::ServerConfig;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::roster::Roster;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    City,
    /// The keeper of this name.
    Keeper(String),
}

/// A listener that gives on only those who have shown who they are.
pub struct Listener(mpsc::Receiver<(TlsStream<TcpStream>, Caller)>);

impl Listener {
    /// Starts to listen. Handshakes go on beside each other, a few at a time and none for long, so that a stranger holds
    /// nobody up.
    pub fn start(tcp: TcpListener, config: ServerConfig, roster: Roster) -> Self {
        let (accepted, receiver) = mpsc::channel(BESIDE);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (roster, places) = (Arc::new(roster), Arc::new(Semaphore::new(BESIDE)));
        tokio::spawn(async move {
            // The semaphore is never closed.
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let stream = match tcp.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be taken");
                        sleep(TROUBLE).await;
                        continue;
                    }
                };
                let (acceptor, roster, accepted) = (acceptor.clone(), Arc::clone(&roster), accepted.clone());
                tokio::spawn(async move {
                    let outcome = timeout(HANDSHAKE, acceptor.accept(stream)).await;
                    drop(place);
                    if let Ok(Ok(stream)) = outcome
                        && let Some(caller) = caller(&stream, &roster)
                    {
                        let _ = accepted.send((stream, caller)).await;
                    }
                });
            }
        });
        Self(receiver)
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.0.recv().await {
            Some(accepted) => accepted,
            // The one who sends never ends before this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Err(io::Error::other("callers have names here, not addresses"))
    }
}

impl Connected<IncomingStream<'_, Listener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}

fn caller(stream: &TlsStream<TcpStream>, roster: &Roster) -> Option<Caller> {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates()?.first()?;
    if roster.city.certificate.0 == *shown {
        return Some(Caller::City);
    }
    let keeper = roster.keepers.iter().find(|entry| entry.certificate.0 == *shown)?;
    Some(Caller::Keeper(keeper.name.clone()))
}

/// Handshakes at a time.
const BESIDE: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(5);
const TROUBLE: Duration = Duration::from_millis(200);
