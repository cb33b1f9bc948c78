//! The token by which a service asks, looked at again where something is done by it: it may have ended since the request came. So may the session
//! of somebody of its vendor.

use usufruct_core::id::ServiceId;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Connection;
use usufruct_store::tokens::{self, Token};

use crate::Error;
use crate::ticket::HeldDesk;

/// A token that was good when the request came.
#[derive(Clone, Debug)]
pub struct HeldToken {
    token_hash: Digest,
    mark: Option<Digest>,
}

impl HeldToken {
    /// Refuses what was asked by a token that has ended, inside the transaction of what is done. One read by the key of the row; it is the
    /// same row as long as it has the same mark.
    pub(crate) fn permit(&self, conn: &mut dyn Connection, now: Time) -> Result<(), Error> {
        let found = tokens::find(conn, &self.token_hash)?.filter(|found| found.mark == self.mark && now < found.expires_at);
        found.map(drop).ok_or(Error::Unborne)
    }
}

/// A service that calls for itself, and by what it does: a token of its own, the session of somebody of its vendor at a desk, or the key of
/// an exporter.
#[derive(Clone, Debug)]
pub struct OwnCaller {
    pub service: ServiceId,
    held: Option<Held>,
}

#[derive(Clone, Debug)]
enum Held {
    Desk(Box<HeldDesk>),
    /// SHA-256 of the key.
    Exporter(Digest),
    Token(HeldToken),
}

impl OwnCaller {
    /// The service by the session of somebody at a desk, which was good when the request came.
    pub(crate) fn at_desk(service: &ServiceId, desk: HeldDesk) -> Self {
        Self { service: service.clone(), held: Some(Held::Desk(Box::new(desk))) }
    }

    /// The service by the key of an exporter, of which this is the SHA-256.
    pub(crate) fn by_exporter(service: &ServiceId, key: Digest) -> Self {
        Self { service: service.clone(), held: Some(Held::Exporter(key)) }
    }

    /// The SHA-256 of the key of the exporter that calls.
    pub(crate) fn exporter(&self) -> Option<&Digest> {
        match &self.held {
            Some(Held::Exporter(key)) => Some(key),
            _ => None,
        }
    }

    /// Refuses what was asked by what has ended, inside the transaction of what is done. The key of an exporter is good for lines alone, which
    /// look at it in the register.
    pub(crate) fn permit(&self, conn: &mut dyn Connection, now: Time) -> Result<(), Error> {
        match &self.held {
            Some(Held::Desk(desk)) => desk.permit(conn, now),
            Some(Held::Exporter(_)) => Err(Error::Unborne),
            Some(Held::Token(token)) => token.permit(conn, now),
            None => Ok(()),
        }
    }
}

impl From<&ServiceId> for OwnCaller {
    /// The service by no token: somebody who may act for it is known otherwise.
    fn from(service: &ServiceId) -> Self {
        Self { service: service.clone(), held: None }
    }
}

impl From<(ServiceId, HeldToken)> for OwnCaller {
    fn from((service, token): (ServiceId, HeldToken)) -> Self {
        Self { service, held: Some(Held::Token(token)) }
    }
}

impl From<&Token> for HeldToken {
    fn from(token: &Token) -> Self {
        Self { token_hash: token.token_hash, mark: token.mark }
    }
}
