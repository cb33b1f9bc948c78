//! Signed proofs that services present: each works once.

use usufruct_core::hash::sha256;
use usufruct_core::id::ServiceId;
use usufruct_core::{Digest, Time};
use usufruct_store::assertions;
use usufruct_store::db::Connection;

use crate::Error;

/// A client assertion (RFC 7523) or a proof of possession (RFC 9449) whose signature holds. It counts once it is noted.
#[derive(Clone, Debug)]
pub struct Presented {
    name: Digest,
    expires_at: Time,
    what: &'static str,
}

impl Presented {
    /// A client assertion with the name `jti`.
    pub fn assertion(service: &ServiceId, jti: &str, expires_at: Time) -> Self {
        Self { name: sha256(format!("{service}\n{jti}").as_bytes()), expires_at, what: "client assertion" }
    }

    /// A proof of possession of the key with the thumbprint `jkt`.
    pub fn possession(jkt: &str, jti: &str, expires_at: Time) -> Self {
        Self { name: sha256(format!("dpop\n{jkt}\n{jti}").as_bytes()), expires_at, what: "proof of possession" }
    }

    /// Notes these proofs, inside the transaction of what they are presented for.
    pub(crate) fn note(all: &[Self], conn: &mut dyn Connection) -> Result<(), Error> {
        for presented in all {
            if !assertions::claim(conn, &presented.name, presented.expires_at)? {
                return Err(Error::Replayed { what: presented.what });
            }
        }
        Ok(())
    }

    /// Uses these proofs up, whether they were seen before or not.
    pub(crate) fn spend(all: &[Self], conn: &mut dyn Connection) -> Result<(), Error> {
        for presented in all {
            assertions::claim(conn, &presented.name, presented.expires_at)?;
        }
        Ok(())
    }
}
