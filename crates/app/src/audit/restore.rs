//! The restore drill: a backup of any age under today's keys. What was erased must stay closed, and what lives must open.

use std::collections::BTreeSet;
use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::audit::Drill;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::random;
use usufruct_core::register::Register;
use usufruct_core::time::Month;
use usufruct_store::db::{Connection, Db};
use usufruct_store::deposits::{self, Deposit};
use usufruct_store::residents::ResidentState;
use usufruct_store::{blocks, canaries, erasures, keyrings, residents};
use usufruct_vault::{Error as VaultError, Keyring};

use super::AuditReport;
use crate::app::replay;
use crate::{App, Error, block_names};

impl App {
    /// Opens a backup of the database, of any age, with today's keys: what was erased since must stay closed, and what lives must
    /// open: keyrings, own blocks, what is on loan, and deposits. Looks at those who were erased since, and at up to `sample` others, from a
    /// random place on; nobody is a finding if anybody had a pass when the backup was made. Publishes the result. A backup of another pass
    /// is refused, and so are the database of this one and a time at which there can have been no backup.
    pub fn restore_drill(&self, backup: &Db, made_at: Time, sample: usize) -> Result<AuditReport, Error> {
        if sample == 0 {
            return Err(Error::refused(
                "A drill of at most no residents looks at nobody and shows nothing.",
                "Say how many are to be looked at, one or more.",
            ));
        }
        self.refuse_live(backup)?;
        self.refuse_other_pass(backup)?;
        let register = self.register();
        self.refuse_time(&register, made_at)?;
        let is_lost = self.is_from_before_loss(&register, backup)?;
        let drill = RestoreDrill { app: self, backup, months: self.db.read(deposits::months)?, register, is_lost };
        let mut report = AuditReport::default();
        for resident in self.sample(backup, made_at, sample)? {
            drill.look_at(resident, &mut report)?;
        }
        // Before anybody has a pass there is nothing to show. Afterwards to look at nobody is no drill.
        if report.sampled == 0 && self.db.read(|conn| residents::lived_at(conn, made_at))? {
            report.find("No resident was looked at, so nothing was shown.");
        }
        self.publish_audit(Drill::RestoreDrill, Some(made_at), &report)?;
        Ok(report)
    }

    /// The same for the backup whose database has this address. A file that does not open is a finding; a database on a server that does
    /// not answer may be the server's fault, and is an error.
    pub fn drill_backup(&self, url: &str, made_at: Time, sample: usize) -> Result<AuditReport, Error> {
        let drilled = Db::open_backup(url).map_err(Error::from).and_then(|backup| self.restore_drill(&backup, made_at, sample));
        match drilled {
            Err(error @ Error::Store(_)) if url.starts_with("sqlite:") && !error.is_temporary() => {
                tracing::error!(%error, "a backup does not open");
                self.publish_unopened(Some(made_at))
            }
            outcome => outcome,
        }
    }

    /// Says in public that a backup does not open at all, for a drill that could not begin.
    pub fn publish_unopened(&self, made_at: Option<Time>) -> Result<AuditReport, Error> {
        let mut report = AuditReport::default();
        report.find("A backup does not open at all.");
        self.publish_audit(Drill::RestoreDrill, made_at, &report)?;
        Ok(report)
    }

    fn refuse_live(&self, backup: &Db) -> Result<(), Error> {
        match self.db.identity()? {
            Some(own) if backup.identity()? == Some(own.clone()) => Err(Error::refused(
                "This is the database of this pass and no backup.",
                "Name a database into which a drill restored the backup.",
            )),
            _ => Ok(()),
        }
    }

    fn refuse_time(&self, register: &Register, made_at: Time) -> Result<(), Error> {
        let began_at = register.agencies.values().filter_map(|entry| entry.history.first()).map(|step| step.at).min();
        if made_at <= self.now() && began_at.is_none_or(|began_at| began_at <= made_at) {
            return Ok(());
        }
        Err(Error::refused(
            "The backup cannot have been made at the time that it names: this pass was not there yet, or that time is to come.",
            "Look at its manifest and at the clock of the machine, or name another backup.",
        ))
    }

    /// Whether the root was lost since a backup was made. Then nothing in it opens, and its numbers are those of other people now.
    fn is_from_before_loss(&self, register: &Register, backup: &Db) -> Result<bool, Error> {
        let lost = |register: &Register| register.vault.as_ref().and_then(|entry| entry.body.lost_before);
        match lost(register) {
            None => Ok(false),
            now => Ok(lost(&replay(backup)?) != now),
        }
    }

    /// Those who were erased since the backup was made, and up to `sample` others in it, from a random place on. Synthetic ones are no
    /// sample of anybody.
    fn sample(&self, backup: &Db, made_at: Time, sample: usize) -> Result<BTreeSet<u64>, Error> {
        let erased = self.erased_since(made_at)?;
        let from = u64::from_be_bytes(random(self.rng())) % self.vault.state().count.max(1);
        let mut found = BTreeSet::new();
        for begin in [Some(from), None] {
            let mut after = begin;
            while found.len() < sample {
                let page = backup.read(|conn| residents::list(conn, after, PAGE))?;
                let Some(last) = page.last() else { break };
                after = Some(*last);
                for resident in page {
                    if found.len() < sample
                        && !erased.contains(&resident)
                        && !self.db.read(|conn| canaries::is_one(conn, resident))?
                    {
                        found.insert(resident);
                    }
                }
            }
        }
        found.extend(erased);
        Ok(found)
    }

    /// The residents who were erased since `made_at`, from a random one on where there are too many.
    fn erased_since(&self, made_at: Time) -> Result<BTreeSet<u64>, Error> {
        let chance = u64::from_be_bytes(random(self.rng()));
        self.db.snapshot(|conn| {
            let count = erasures::count_erased_since(conn, made_at)?;
            let spare = count.saturating_sub(ERASED) as u64;
            let from = usize::try_from(chance % (spare + 1)).unwrap_or(0);
            Ok(erasures::erased_since(conn, made_at, from, ERASED)?.into_iter().collect())
        })
    }
}

/// One drill, while it goes on.
struct RestoreDrill<'a> {
    app: &'a App,
    backup: &'a Db,
    register: Arc<Register>,
    /// Months that have a key now.
    months: Vec<(u64, Month)>,
    is_lost: bool,
}

impl RestoreDrill<'_> {
    fn look_at(&self, resident: u64, report: &mut AuditReport) -> Result<(), Error> {
        // Nothing of hers changes while she is looked at.
        let _guard = self.app.lock_resident(resident);
        let old = self.backup.snapshot(|conn| Holding::read(conn, resident))?;
        let (state, is_pending, now) = self.app.db.snapshot(|conn| {
            let is_pending = erasures::is_resident_pending(conn, resident)?;
            Ok::<_, Error>((residents::state(conn, resident)?, is_pending, Holding::read(conn, resident)?))
        })?;
        let is_erased = self.is_lost || state.is_none_or(|state| state == ResidentState::Erased);
        // Of somebody whose keys are about to go nothing is said before they are gone.
        if old.keyrings.is_empty() || is_erased && is_pending && !self.is_lost {
            return Ok(());
        }
        report.sampled += 1;
        let sealed: Vec<&[u8]> = old.keyrings.iter().map(|(_, sealed)| sealed.as_slice()).collect();
        let keyring = match self.app.vault.keyring(resident, &sealed) {
            Ok(keyring) => Some(keyring),
            Err(VaultError::Malformed { .. } | VaultError::NoKey { .. } | VaultError::Unreadable) => None,
            Err(error) => return Err(error.into()),
        };
        if !is_erased && now.keyrings.is_empty() {
            report.find("A resident who lives has no keyring any more.");
        }
        match keyring {
            Some(_) if is_erased => report.find("A resident who was erased opens in the backup."),
            None if is_erased => report.closed += 1,
            // Her key was replaced since, by a withdrawal or by a rotation: with that her keyring gets the next number.
            None if now.version() > old.version() => report.closed += 1,
            None => report.find("A resident who lives and whose key was not replaced does not open in the backup."),
            Some(keyring) => self.look_inside(&keyring, &old, &now, report),
        }
        Ok(())
    }

    /// Looks at what a resident holds whose keyring opens.
    fn look_inside(&self, keyring: &Keyring, old: &Holding, now: &Holding, report: &mut AuditReport) {
        let (vault, register) = (&self.app.vault, &self.register);
        let opens_own = |(block, sealed): &(u64, Vec<u8>)| {
            block_names::id(register, *block).is_some_and(|block| vault.open_own(keyring, block, sealed).is_ok())
        };
        match old.own.iter().all(opens_own) {
            true => report.opened += 1,
            false => report.find("What a resident who lives has of her own does not open in the backup."),
        }
        // With every withdrawal the keyring is sealed anew under another key.
        if now.has_withdrawn_since(old) {
            report.find("A keyring from before a withdrawal opens in the backup.");
        }
        for row in &old.lent {
            let (mandate, block, sealed) = row;
            let ended = register.mandates.values().any(|entry| entry.number == *mandate && entry.state == State::Erased);
            let block = block_names::id(register, *block);
            let opens = block.is_some_and(|block| vault.opens_lent(keyring, *mandate, block, sealed));
            report.judge_lent(opens, ended, now.lent.contains(row));
        }
        for row in &old.deposits {
            let ended = !self.months.contains(&(row.mandate, row.month));
            let block = block_names::id(register, row.block);
            let by = row.depositor.as_ref();
            let opens = block
                .is_some_and(|block| vault.open_own_deposit(keyring, row.mandate, row.month.0, block, by, &row.sealed).is_ok());
            report.judge_lent(opens, ended, now.deposits.iter().any(|live| live.sealed == row.sealed));
        }
    }
}

/// What a database holds of a resident, as far as a drill looks at it.
struct Holding {
    keyrings: Vec<(i64, Vec<u8>)>,
    own: Vec<(u64, Vec<u8>)>,
    lent: Vec<(u64, u64, Vec<u8>)>,
    deposits: Vec<Deposit>,
    withdrawals: Vec<(String, bool)>,
}

impl Holding {
    fn read(conn: &mut dyn Connection, resident: u64) -> Result<Self, Error> {
        Ok(Self {
            keyrings: keyrings::candidates(conn, resident)?,
            own: blocks::own(conn, resident)?,
            lent: blocks::all_lent(conn, resident)?,
            deposits: deposits::of_resident(conn, resident, Time::default())?,
            withdrawals: erasures::withdrawals(conn, resident)?,
        })
    }

    /// The number of her newest keyring, which grows with each key that she gets.
    fn version(&self) -> i64 {
        self.keyrings.first().map_or(0, |(version, _)| *version)
    }

    /// Whether keys went for a withdrawal that `old` knows nothing of. One that was under way then may have changed the keyring.
    fn has_withdrawn_since(&self, old: &Self) -> bool {
        self.withdrawals.iter().any(|(id, done)| *done && !old.withdrawals.iter().any(|(known, _)| known == id))
    }
}

impl AuditReport {
    /// Judges a copy on loan, or a deposit, of a resident whose keyring opens.
    fn judge_lent(&mut self, opens: bool, has_ended: bool, is_unchanged: bool) {
        match (opens, has_ended, is_unchanged) {
            (true, true, _) => self.find("What was lent under a mandate that has ended opens in the backup."),
            (false, false, true) => self.find("What is on loan and has not changed does not open in the backup."),
            _ => {}
        }
    }
}

/// So many of the erased are looked at in one drill.
const ERASED: usize = 10_000;
/// Residents of a backup that are listed at once.
const PAGE: usize = 500;
