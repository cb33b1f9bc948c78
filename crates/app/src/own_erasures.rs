//! How far the deletions of a resident have come, as she reads it.

use usufruct_core::Time;
use usufruct_core::erasure::Erasure;
use usufruct_core::id::{CertificateId, MandateId};
use usufruct_store::erasures;

use crate::{App, Error};

/// A deletion of what a resident lent under one mandate.
#[derive(Clone, Debug)]
pub struct OwnErasure {
    /// Under this id the certificate stands, or will stand.
    pub certificate: CertificateId,
    pub mandate: Option<MandateId>,
    pub erasure: Erasure,
    /// Whether nothing can be proved of it, so that a statement stands in the place of the certificate.
    pub is_uncertified: bool,
}

impl App {
    /// The deletions that a resident asked for or that were decided for her, the newest first. Days come from certificates, and before there is
    /// one from the notes of the house, of which those count that nobody else has written.
    pub fn own_erasures(&self, resident: u64) -> Result<Vec<OwnErasure>, Error> {
        let register = self.register();
        let noted = self.db.read(|conn| erasures::of_resident(conn, resident))?;
        let mut own = Vec::with_capacity(noted.len());
        for noted in noted {
            let noted = self.with_true_dates(&noted)?;
            let scheduled_at = Some(noted.requested_at).filter(|at| *at > Time::default());
            let certified = register.certificates.get(&noted.certificate).map(|entry| register.erasure(entry));
            let pending =
                Erasure { keys_destroyed_at: noted.live_at, replicas_confirmed_at: noted.root_at, ..Erasure::default() };
            let mandate = register.mandates.values().find(|entry| Some(entry.number) == noted.mandate);
            own.push(OwnErasure {
                erasure: Erasure { scheduled_at, ..certified.unwrap_or(pending) },
                mandate: mandate.and_then(|entry| entry.id.parse().ok()),
                is_uncertified: register.uncertified.contains_key(&noted.certificate),
                certificate: noted.certificate,
            });
        }
        Ok(own)
    }
}
