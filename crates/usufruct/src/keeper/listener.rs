//! Connections to a keeper: those with a certificate of the roster, each with whom it belongs to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::roster::Roster;
use crate::connections::{Watched, Welcome};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    City,
    /// The keeper of this name.
    Keeper(String),
}

/// Lets in only those who have shown who they are. None takes long over it, so that a stranger holds nobody up.
pub struct KeeperListener {
    acceptor: TlsAcceptor,
    roster: Roster,
}

impl KeeperListener {
    pub fn new(config: ServerConfig, roster: Roster) -> Self {
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), roster }
    }
}

impl Welcome for KeeperListener {
    type Io = TlsStream<Watched>;
    type Caller = Caller;

    async fn welcome(&self, stream: Watched, _: SocketAddr) -> Option<(Self::Io, Caller)> {
        let stream = timeout(HANDSHAKE, self.acceptor.accept(stream)).await.ok()?.ok()?;
        let caller = caller(&stream, &self.roster)?;
        Some((stream, caller))
    }
}

fn caller(stream: &TlsStream<Watched>, roster: &Roster) -> Option<Caller> {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates()?.first()?;
    if roster.city.certificate.0 == *shown {
        return Some(Caller::City);
    }
    let keeper = roster.keepers.iter().find(|entry| entry.certificate.0 == *shown)?;
    Some(Caller::Keeper(keeper.name.clone()))
}

const HANDSHAKE: Duration = Duration::from_secs(5);
