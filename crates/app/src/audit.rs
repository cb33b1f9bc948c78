//! The drills of the vault, which anybody may read the results of: an old backup opened with today's keys, and the search for
//! the keys of synthetic residents who were erased.

mod search;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::audit::Drill;
use usufruct_core::certificate::Cause;
use usufruct_core::id::AuditId;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::random;
use usufruct_core::statement::StatementKind;
use usufruct_store::db::{Connection, Db};
use usufruct_store::deposits::{self, Deposit};
use usufruct_store::residents::ResidentState;
use usufruct_store::{blocks, erasures, keyrings, residents};

use self::search::{Needles, scan};
use crate::{App, Error, Publication, block_names};

/// What a drill found; the same as the statement it is published in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditReport {
    pub sampled: i64,
    pub opened: i64,
    pub closed: i64,
    pub wrong: i64,
    pub searched_bytes: i64,
    /// In words, where something is wrong. Names no resident.
    pub findings: Vec<String>,
}

impl App {
    /// Opens a backup of the database, of any age, with today's keys: what was erased since must stay closed, and what lives must
    /// open: keyrings, own blocks, what is on loan, and deposits. Looks at up to `sample` residents, from a random place on; none is a
    /// finding if anybody had a pass when the backup was made. Publishes the result.
    pub fn restore_drill(&self, backup: &Db, made_at: Time, sample: usize) -> Result<AuditReport, Error> {
        let register = self.register();
        let mut report = AuditReport::default();
        let months = self.db.read(deposits::months)?;
        for resident in self.sample(backup, sample)? {
            let old = backup.snapshot(|conn| Holding::read(conn, resident))?;
            let (state, now) =
                self.db.snapshot(|conn| Ok::<_, Error>((residents::state(conn, resident)?, Holding::read(conn, resident)?)))?;
            if old.keyrings.is_empty() {
                continue;
            }
            report.sampled += 1;
            let is_erased = state.is_none_or(|state| state == ResidentState::Erased) || now.keyrings.is_empty();
            let is_unchanged =
                old.keyrings.first().is_some_and(|(_, sealed)| now.keyrings.iter().any(|(_, live)| live == sealed));
            let sealed: Vec<&[u8]> = old.keyrings.iter().map(|(_, sealed)| sealed.as_slice()).collect();
            let keyring = self.vault.keyring(resident, &sealed);
            let opens = keyring.as_ref().is_ok_and(|keyring| {
                old.own.iter().all(|(block, sealed)| {
                    let block = block_names::id(&register, *block);
                    block.is_some_and(|block| self.vault.open_own(keyring, block, sealed).is_ok())
                })
            });
            match (opens, is_erased, is_unchanged) {
                (true, true, _) => report.find("A resident who was erased opens in the backup."),
                (false, false, true) => report.find("A resident who lives and has changed nothing does not open in the backup."),
                (true, ..) => report.opened += 1,
                (false, ..) => report.closed += 1,
            }
            let Ok(keyring) = keyring else { continue };
            if is_erased {
                continue;
            }
            // With every withdrawal the keyring is sealed anew under another key.
            if now.has_withdrawn_since(&old) {
                report.find("A keyring from before a withdrawal opens in the backup.");
            }
            for row in &old.lent {
                let (mandate, block, sealed) = row;
                let ended = register.mandates.values().any(|entry| entry.number == *mandate && entry.state == State::Erased);
                let block = block_names::id(&register, *block);
                let opens = block.is_some_and(|block| self.vault.opens_lent(&keyring, *mandate, block, sealed));
                report.judge_lent(opens, ended, now.lent.contains(row));
            }
            for row in &old.deposits {
                let ended = !months.contains(&(row.mandate, row.month));
                let block = block_names::id(&register, row.block);
                let opens = block.is_some_and(|block| {
                    self.vault.open_own_deposit(&keyring, row.mandate, row.month.0, block, &row.sealed).is_ok()
                });
                report.judge_lent(opens, ended, now.deposits.iter().any(|live| live.sealed == row.sealed));
            }
        }
        // Before anybody has a pass there is nothing to show. Afterwards to look at nobody is no drill.
        if report.sampled == 0 && self.db.read(|conn| residents::lived_at(conn, made_at))? {
            report.find("No resident was looked at, so nothing was shown.");
        }
        self.publish_audit(Drill::RestoreDrill, Some(made_at), &report)?;
        Ok(report)
    }

    /// Makes `count` synthetic residents, erases them as any others, and searches these files and folders for their keys: as they
    /// are, in hexadecimal and in base64. Publishes the result. Files that cannot be read are findings too.
    pub fn canary_scan(&self, count: usize, places: &[PathBuf]) -> Result<AuditReport, Error> {
        let mut needles = Needles::default();
        for _ in 0..count {
            let (enrolled, key) = self.vault.enrol_canary(self.rng())?;
            needles.add(&key);
            let (now, seed) = (self.now(), (enrolled.resident, enrolled.seed_index));
            let sealed = (enrolled.resident, enrolled.keyring);
            self.db.transaction("enrol canary", move |tx| {
                residents::insert_many(tx, &[seed], now)?;
                Ok::<_, Error>(keyrings::insert_many(tx, std::slice::from_ref(&sealed))?)
            })?;
            self.delete_for(seed.0, Cause::Drill)?;
        }
        let mut report = AuditReport { sampled: count as i64, closed: count as i64, ..AuditReport::default() };
        // A search that finds nothing proves nothing unless it would have found something.
        if !needles.finds_itself(&random(self.rng())) {
            report.find("The search does not find what is there.");
        }
        for place in places {
            scan(place, &needles, &mut report);
        }
        self.publish_audit(Drill::CanaryScan, None, &report)?;
        Ok(report)
    }

    fn sample(&self, backup: &Db, sample: usize) -> Result<Vec<u64>, Error> {
        let from = u64::from_be_bytes(random(self.rng())) % self.vault.state().count.max(1);
        let mut found = backup.read(|conn| residents::list(conn, Some(from), sample))?;
        if found.len() < sample {
            let rest = backup.read(|conn| residents::list(conn, None, sample - found.len()))?;
            let rest: Vec<u64> = rest.into_iter().filter(|resident| !found.contains(resident)).collect();
            found.extend(rest);
        }
        Ok(found)
    }

    fn publish_audit(&self, drill: Drill, made_at: Option<Time>, report: &AuditReport) -> Result<(), Error> {
        let now = self.now();
        let body = json!({
            "drill": drill,
            "backup_made_at": made_at,
            "sampled": report.sampled,
            "opened": report.opened,
            "closed": report.closed,
            "wrong": report.wrong,
            "searched_bytes": report.searched_bytes,
        });
        let id = AuditId::fresh(now, self.rng());
        let mut statement = self.statement(StatementKind::Audit, id.as_str(), self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
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

    fn find(&mut self, what: &str) {
        self.wrong += 1;
        if !self.findings.iter().any(|known| known == what) {
            self.findings.push(what.to_owned());
        }
    }
}
