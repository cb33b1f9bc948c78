//! Dissolve a pseudonym sector: when its last service has closed, its key is destroyed and a certificate says so. What the
//! services still hold then leads to nobody, for them, for us and for anybody who gets hold of both.

use std::collections::BTreeMap;

use usufruct_core::certificate::Cause;
use usufruct_core::id::{CertificateId, ServiceId};
use usufruct_core::register::Entry;
use usufruct_core::service::{PseudonymMode, Service};
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::officers;
use usufruct_vault::Error as VaultError;

use crate::{App, Error};

impl App {
    /// Dissolves every sector that has no service left, and finishes what a crash or an absent keeper interrupted. Answers
    /// which were finished. A domain that ended gets no new service, so none comes back meanwhile.
    pub(crate) fn dissolve_sectors(&self) -> Result<Vec<String>, Error> {
        let register = self.register();
        let mut sectors: BTreeMap<&str, Vec<&Entry<Service>>> = BTreeMap::new();
        for service in register.services.values() {
            sectors.entry(&service.body.sector).or_default().push(service);
        }
        sectors.retain(|_, services| services.iter().all(|service| service.state.is_over()));
        let mut dissolved = Vec::new();
        for (name, services) in sectors {
            if self.dissolve(register.sector(services[0]), &services)? {
                dissolved.push(name.to_owned());
            }
        }
        Ok(dissolved)
    }

    /// Whether the sector was finished now. Every step can be repeated after a crash.
    fn dissolve(&self, sector: u64, services: &[&Entry<Service>]) -> Result<bool, Error> {
        let Some(mut erasure) = self.sector_erasure(sector)? else { return Ok(false) };
        if !self.db.read(|conn| erasures::is_pending(conn, &erasure.certificate))? {
            return Ok(false);
        }
        if !self.register().certificates.contains_key(&erasure.certificate) {
            erasure = self.destroying_one(&erasure, || self.vault.dissolve_sector(sector, self.rng()))?;
        }
        let until = self.certify(&[&erasure])?.pop().ok_or(Error::Unknown { what: "certificate" })?;
        // A service that closed is served with none of them.
        let ids: Vec<ServiceId> = services.iter().filter_map(|service| service.id.parse().ok()).collect();
        self.end_tokens(&ids, self.now())?;
        if services.iter().any(|service| service.body.pseudonym_mode == PseudonymMode::TwoKeeper) {
            match self.vault.dissolve_second(sector) {
                // Without the house's key the other one is of no use to anybody. It is asked again until it is gone too.
                Err(VaultError::Keeper { .. } | VaultError::NoSecondHand) => return Ok(false),
                outcome => outcome?,
            }
        }
        let (certificate, now) = (erasure.certificate, self.now());
        self.db.transaction("note end of key", move |tx| {
            officers::end_sector(tx, sector)?;
            Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?)
        })?;
        Ok(true)
    }

    /// The note that a sector's key must go, made while the key lives. `None` when there never was a key.
    fn sector_erasure(&self, sector: u64) -> Result<Option<Erasure>, Error> {
        if let Some(erasure) = self.db.read(|conn| erasures::of_sector(conn, sector))? {
            return Ok(Some(erasure));
        }
        let Some(commitment) = self.vault.sector_commitment(sector)? else { return Ok(None) };
        let now = self.now();
        let erasure = self.with_evidence(Erasure {
            certificate: CertificateId::fresh(now, self.rng()),
            cause: Cause::Sector.code().to_owned(),
            resident: None,
            mandate: None,
            sector: Some(sector),
            months: Vec::new(),
            commitments: vec![commitment],
            evidence: String::new(),
            requested_at: now,
            live_at: None,
            root_at: None,
        })?;
        let noted = erasure.clone();
        self.db.transaction("note sector erasure", move |tx| Ok::<_, Error>(erasures::insert(tx, &noted)?))?;
        Ok(Some(erasure))
    }
}
