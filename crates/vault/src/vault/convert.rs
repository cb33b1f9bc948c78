//! Conversion: pseudonyms of one sector become those of another, for conversions that are in the log.

use usufruct_core::Digest;
use usufruct_core::event::Kind;
use usufruct_core::hash::equal;
use usufruct_core::id::ServiceId;
use usufruct_core::logged::Logged;

use super::Vault;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::pseudonym::{Seeds, Subject};

/// From whose pseudonyms to whose, and on which mandate it rests: what the logged conversions must say.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// Number of the mandate, and hash of its revision.
    pub mandate: (u64, Digest),
    /// The service that asks, and its sector.
    pub from: (&'a ServiceId, u64),
    /// The service whose pseudonyms it learns, and its sector.
    pub to: (&'a ServiceId, u64),
}

impl Vault {
    /// The pseudonyms of the same residents in the other sector, in the order of `subjects`, each for its conversion that is
    /// in the log. `conversions` has for each subject that event and the keyring of the resident.
    ///
    /// Each event must be a conversion, rest on that mandate, name these two services, and be about the resident of the
    /// keyring: its tag is recomputed; and the subject must be hers, in her present generation. The mandate must not be suspended
    /// ([`Vault::withhold`]). One that does not fit is refused by itself.
    ///
    /// Without logged conversions the call does not type-check:
    ///
    /// ```compile_fail,E0308
    /// # use usufruct_core::event::Event;
    /// # use usufruct_vault::{Keyring, Subject, Vault, Way};
    /// fn convert(vault: &Vault, way: &Way<'_>, subject: Subject, event: &Event, keyring: &Keyring) {
    ///     let _ = vault.convert(way, &[subject], &[(event, keyring)]);
    /// }
    /// ```
    ///
    /// With them it does:
    ///
    /// ```
    /// # use usufruct_core::logged::Logged;
    /// # use usufruct_vault::{Keyring, Subject, Vault, Way};
    /// fn convert(vault: &Vault, way: &Way<'_>, subject: Subject, logged: &Logged, keyring: &Keyring) {
    ///     let _ = vault.convert(way, &[subject], &[(logged, keyring)]);
    /// }
    /// ```
    pub fn convert(
        &self,
        way: &Way<'_>,
        subjects: &[Subject],
        conversions: &[(&Logged, &Keyring)],
    ) -> Result<Vec<Result<Subject>>> {
        if subjects.len() != conversions.len() {
            return Err(Error::Malformed { what: "as many conversions as pseudonyms" });
        }
        let admit = |(logged, keyring): &(&Logged, &Keyring)| self.admit_conversion(way, logged, keyring);
        let mut admitted: Vec<Result<()>> = conversions.iter().map(admit).collect();
        let among = |admitted: &[Result<()>]| {
            let admitted = conversions.iter().zip(admitted).filter(|(_, outcome)| outcome.is_ok());
            Seeds::of(&admitted.map(|((_, keyring), _)| *keyring).collect::<Vec<_>>())
        };
        let known = self.subjects(way.from.1, &among(&admitted))?;
        for ((outcome, subject), known) in admitted.iter_mut().zip(subjects).filter(|(outcome, _)| outcome.is_ok()).zip(known) {
            if *subject != known {
                *outcome = Err(Error::OtherResident);
            }
        }
        let mut converted = self.subjects(way.to.1, &among(&admitted))?.into_iter();
        // INVARIANT: there is one for each that is still admitted.
        Ok(admitted.into_iter().map(|outcome| outcome.map(|()| converted.next().expect("one for each"))).collect())
    }

    /// Whether a logged conversion is about this resident, under this mandate, which is not suspended, and between these services.
    fn admit_conversion(&self, way: &Way<'_>, logged: &Logged, keyring: &Keyring) -> Result<()> {
        let event = self.gate.admit(logged)?;
        if event.kind != Kind::Conversion {
            return Err(Error::NotConversion);
        }
        let (mandate, mandate_hash) = way.mandate;
        if event.mandate != Some(mandate_hash) {
            return Err(Error::OtherMandate);
        }
        self.refuse_withheld(mandate, event.at)?;
        if event.service.as_ref() != Some(way.from.0) || logged.detail() != Some(way.to.0.as_str()) {
            return Err(Error::OtherServices);
        }
        if !equal(&keyring.tag(event.n), logged.tag()) {
            return Err(Error::OtherResident);
        }
        self.current_key(keyring).map(drop)
    }
}
