//! The escrow of the root with officers: who is appointed, what a certificate may promise, and how a lost root comes back.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use usufruct_core::Time;
use usufruct_core::ports::Rng;
use usufruct_core::time::DAY;
use usufruct_core::vault_terms::{Escrow, VaultTerms};
use usufruct_store::MIGRATIONS;
use usufruct_store::db::{Db, Options};
use usufruct_vault::escrow::{Appointment, EscrowFile, EscrowedRoots, Officers};
use usufruct_vault::hpke::PublicKey;
use usufruct_vault::keytree::PageTree;
use usufruct_vault::roots::{Disk, FileRoots, Root, RootSlots};

use crate::app::replay;
use crate::key_tree::Reached;
use crate::{App, Config, Error, House, key_tree};

/// How the escrow is set up.
#[derive(Clone, Debug)]
pub struct EscrowSetup {
    /// Name of the key tree: the origin of the log.
    pub vault: String,
    /// Holds the escrow and the list of its officers. It should lie on another disk than the root.
    pub folder: PathBuf,
    /// So many officers bring the root back.
    pub threshold: u8,
    /// Length of a period. Periods are counted from 1970.
    pub period_days: i64,
}

/// An officer of a period as the city knows her.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficerEntry {
    pub name: String,
    pub period: u32,
    /// Raw X25519 public key, base64url without padding.
    pub public: String,
}

/// What may be said of the moment from which no officer can bring back a root.
#[derive(Clone, Copy)]
pub(crate) enum Promise {
    NoEscrow,
    /// The end of the period to whose keys the escrow is sealed, which is not always the present one.
    Until(Time),
    /// The officers are late, and nobody knows when they will destroy keys that they should have destroyed already; or what is sealed to
    /// them is not where it should be.
    Undated,
}

impl Promise {
    /// The date for the certificate.
    pub(crate) const fn date(self) -> Option<Time> {
        match self {
            Self::Until(end) => Some(end),
            Self::NoEscrow | Self::Undated => None,
        }
    }
}

impl OfficerEntry {
    pub fn new(name: &str, period: u32, public: &PublicKey) -> Self {
        Self { name: name.to_owned(), period, public: URL_SAFE_NO_PAD.encode(public.bytes()) }
    }
}

impl EscrowSetup {
    /// The officers who are appointed, in the order of their numbers; `None` before the first time.
    pub fn appointed(&self) -> Result<Option<Vec<OfficerEntry>>, Error> {
        let path = self.list();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unusable(&path, &error))
    }

    /// Appoints officers for the present period or the next one, as the terms of the vault say. The next start seals the root to them
    /// and to nobody else.
    pub fn appoint(&self, entries: &[OfficerEntry], terms: Option<&VaultTerms>, now: Time) -> Result<Appointment, Error> {
        let appointment = self.officers(entries)?.appointment();
        let present = self.period_at(now);
        if appointment.period < present {
            return Err(Error::refused(
                &format!("Period {} is over; the present one has number {present}.", appointment.period),
                "Let every officer turn her key to the present period, and take the entries that are printed then.",
            ));
        }
        if appointment.period > present + 1 {
            return Err(Error::refused(
                &format!("Period {} is far ahead; the present one has number {present}.", appointment.period),
                "Take keys for this period or the next, or every erasure would end that much later.",
            ));
        }
        let before = self.appointed()?.and_then(|before| before.first().map(|officer| officer.period));
        if before.is_some_and(|before| appointment.period < before) {
            return Err(Error::refused(
                "The officers who are appointed have keys for a later period.",
                "Take keys for that period: those of an earlier one should be destroyed by now.",
            ));
        }
        self.refuse_other_terms(appointment, terms)?;
        let path = self.list();
        let text = serde_json::to_vec_pretty(entries).map_err(|error| unusable(&path, &error))?;
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let fresh = path.with_extension("fresh");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error: std::io::Error| unusable(&path, &error))?;
        Ok(appointment)
    }

    /// The number of the period that this moment lies in.
    pub fn period_at(&self, now: Time) -> u32 {
        u32::try_from(now.micros().div_euclid(self.period_days * DAY)).unwrap_or(0)
    }

    /// When a period ends, and with it the time its keys are for.
    pub fn end_of(&self, period: u32) -> Time {
        Time::from_micros((i64::from(period) + 1) * self.period_days * DAY)
    }

    /// Puts an escrow around root slots, if it is the one that the terms of the vault name. Nothing is sealed otherwise.
    pub(crate) fn around(
        &self,
        roots: Box<dyn RootSlots>,
        terms: Option<&VaultTerms>,
        disk: Disk,
        rng: &dyn Rng,
    ) -> Result<Box<dyn RootSlots>, Error> {
        let entries = self.appointed()?.ok_or_else(|| {
            Error::refused(
                "An escrow is set up, but no officers are appointed.",
                "Appoint them with `usufruct escrow appoint`, or take [vault.escrow] out of the set-up.",
            )
        })?;
        let officers = self.officers(&entries)?;
        self.refuse_other_terms(officers.appointment(), terms)?;
        let place = EscrowFile::open(&self.folder, disk)?;
        Ok(Box::new(EscrowedRoots::open(roots, Box::new(place), &self.vault, officers, rng)?))
    }

    /// Refuses an appointment that the public terms do not name as it is. A certificate that kept silent about it would be false.
    pub fn refuse_other_terms(&self, appointed: Appointment, terms: Option<&VaultTerms>) -> Result<(), Error> {
        let real =
            Escrow { period_days: self.period_days, officers: appointed.officers.into(), threshold: appointed.threshold.into() };
        if terms.and_then(|terms| terms.escrow) == Some(real) {
            return Ok(());
        }
        Err(Error::refused(
            &format!(
                "The root would be in escrow with {} officers of whom {} are needed, for periods of {} days, and the terms of the \
                 vault do not say so.",
                real.officers, real.threshold, real.period_days
            ),
            "Publish terms that do with `usufruct publish vault`, with the escrow taken out of the set-up until then.",
        ))
    }

    /// What the list of the appointed says, if there is one.
    pub fn appointment(&self) -> Result<Option<Appointment>, Error> {
        self.appointed()?.map(|entries| Ok(self.officers(&entries)?.appointment())).transpose()
    }

    fn officers(&self, entries: &[OfficerEntry]) -> Result<Officers, Error> {
        let period = entries.first().map_or(0, |officer| officer.period);
        if let Some(other) = entries.iter().find(|officer| officer.period != period) {
            return Err(Error::refused(
                &format!("The keys are for different periods; that of {} is for period {}.", other.name, other.period),
                "Let every officer turn her key to the same period.",
            ));
        }
        let key = |officer: &OfficerEntry| {
            let bytes = URL_SAFE_NO_PAD.decode(&officer.public).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.and_then(PublicKey::new).ok_or_else(|| {
                Error::refused(&format!("The key of {} is no public key.", officer.name), "Copy her entry as it was printed.")
            })
        };
        let keys = entries.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        Ok(Officers::new(period, self.threshold, keys)?)
    }

    fn list(&self) -> PathBuf {
        self.folder.join("officers.json")
    }
}

impl App {
    /// What a certificate may say at this moment about the escrow of a root that is destroyed now.
    pub(crate) fn escrow_promise(&self, terms: Option<&VaultTerms>, now: Time) -> Result<Promise, Error> {
        self.check_escrow(terms)?;
        let (Some(setup), Some(sealed)) = (&self.config.vault.escrow, self.vault.escrow()) else { return Ok(Promise::NoEscrow) };
        let end = setup.end_of(sealed.period);
        // What lies where nobody looks for it is not kept as the terms say, and the next start knows nothing of it.
        Ok(if end > now && self.vault.escrow_is_there() { Promise::Until(end) } else { Promise::Undated })
    }

    /// Refuses to go on with an escrow that the public terms do not name as it is.
    pub(crate) fn check_escrow(&self, terms: Option<&VaultTerms>) -> Result<(), Error> {
        let (Some(setup), Some(sealed)) = (&self.config.vault.escrow, self.vault.escrow()) else { return Ok(()) };
        setup.refuse_other_terms(sealed, terms)
    }
}

/// The terms of the vault in the register of a pass that is not open.
pub fn published_terms(config: &Config, house: &House) -> Result<Option<VaultTerms>, Error> {
    let url = config.database.clone().unwrap_or_else(|| house.database_url());
    let db = Db::open(&url, &Options::default())?;
    db.migrate(MIGRATIONS)?;
    Ok(replay(&db)?.vault.map(|entry| entry.body))
}

/// Puts a root that officers brought back into an empty slot of class E0. Refuses one under which the pages do not open, and one
/// that is older than a certificate says.
pub fn put_root_back(config: &Config, house: &House, root: &Root) -> Result<(), Error> {
    let url = config.database.clone().unwrap_or_else(|| house.database_url());
    let db = Db::open(&url, &Options::default())?;
    db.migrate(MIGRATIONS)?;
    Reached::of(&replay(&db)?, &db)?.refuse_older(root.epoch.0)?;
    let pages = key_tree::pages(&config.vault, house, &db)?;
    PageTree::<_, FileRoots>::check(&pages, root)?;
    FileRoots::create(&house.vault_dir(), root, key_tree::disk(&config.vault))?;
    Ok(())
}

fn unusable(path: &std::path::Path, error: &dyn std::fmt::Display) -> Error {
    Error::House { what: format!("{}: {error}", path.display()) }
}
