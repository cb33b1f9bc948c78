//! The canary scan: synthetic residents are erased like any others, and then everything is searched for what they left.

use std::collections::BTreeSet;
use std::path::PathBuf;

use usufruct_core::audit::Drill;
use usufruct_core::certificate::Cause;
use usufruct_core::ports::random;
use usufruct_core::register::Register;
use usufruct_store::db::{Connection, Db};
use usufruct_store::residents::ResidentState;
use usufruct_store::{blocks, canaries, keyrings, lines, residents};
use usufruct_vault::Keyring;

use super::AuditReport;
use super::needles::Needles;
use super::search::scan;
use crate::{App, Error, block_names};

/// Synthetic residents who are in the pass like any others until [`App::scan_canaries`] erases them. What is kept of them here opens
/// nothing: sealed rows, and after the erasure halves of their keys.
pub struct Canaries {
    all: Vec<Canary>,
    /// What is searched for; `None` while any of their keys lives.
    needles: Option<Needles>,
}

struct Canary {
    resident: u64,
    /// Her rows as the database held them when she was about to be erased.
    rows: Option<Rows>,
}

/// Every sealed row of a synthetic resident, from wherever it was found.
#[derive(Default)]
struct Rows {
    keyrings: BTreeSet<Vec<u8>>,
    own: BTreeSet<(u64, Vec<u8>)>,
    lent: BTreeSet<(u64, u64, Vec<u8>)>,
    lines: BTreeSet<(u64, Vec<u8>)>,
}

impl App {
    /// Makes `count` synthetic residents, erases them as any others, and searches these files and folders for what they left.
    pub fn canary_scan(&self, count: usize, places: &[PathBuf]) -> Result<AuditReport, Error> {
        self.scan_canaries(&mut self.enrol_canaries(count)?, None, places)
    }

    /// Makes `count` synthetic residents, each with data of her own and some of it on loan under mandates that are in force. No service
    /// knows of them. Those that an earlier process left behind are erased first.
    pub fn enrol_canaries(&self, count: usize) -> Result<Canaries, Error> {
        if count == 0 {
            return Err(Error::refused(
                "A canary scan without synthetic residents looks at nobody and shows nothing.",
                "Ask for one or more.",
            ));
        }
        for resident in self.db.read(canaries::left)? {
            if !self.vault.is_canary(resident) {
                self.delete_for(resident.into(), Cause::Drill)?;
            }
        }
        let register = self.register();
        let all = (0..count).map(|_| self.enrol_canary(&register)).collect::<Result<_, Error>>()?;
        Ok(Canaries { all, needles: None })
    }

    /// Erases synthetic residents as any others; tries every sealed row of them that the database or `backup` held, none of which may
    /// open; and searches these files and folders for their keys, those in their keyrings, and the roots under which they lived: as they
    /// are, in hexadecimal and in base64. Files that cannot be read are findings too. Publishes the result.
    ///
    /// After an error it goes on where it stopped when it is called again.
    pub fn scan_canaries(&self, canaries: &mut Canaries, backup: Option<&Db>, places: &[PathBuf]) -> Result<AuditReport, Error> {
        if let Some(backup) = backup {
            self.refuse_other_pass(backup)?;
        }
        canaries.all.iter_mut().try_for_each(|canary| self.erase_canary(canary))?;
        let needles = match canaries.needles.take() {
            Some(needles) => needles,
            None => self.needles(canaries)?,
        };
        let needles = canaries.needles.insert(needles);
        let mut report = AuditReport { sampled: canaries.all.len() as i64, ..AuditReport::default() };
        let register = self.register();
        for canary in &canaries.all {
            self.try_rows(&register, canary, backup, &mut report)?;
        }
        // A search that finds nothing proves nothing unless it would have found something.
        if !needles.finds_itself(&random(self.rng())) {
            report.find("The search does not find what is there.");
        }
        if self.db.hides_log()? {
            report.find(
                "The write-ahead log of PostgreSQL is compressed with zstd and cannot be looked into. Set wal_compression to another method.",
            );
        }
        for place in places {
            scan(place, needles, &mut report);
        }
        self.publish_audit(Drill::CanaryScan, None, &report)?;
        Ok(report)
    }

    fn enrol_canary(&self, register: &Register) -> Result<Canary, Error> {
        let now = self.now();
        let enrolled = self.vault.enrol_canary(self.rng())?;
        let resident = enrolled.resident;
        let mut keyring = self.vault.keyring(resident, &[&enrolled.keyring])?;
        let (mut own, mut lent) = (Vec::new(), Vec::new());
        let in_force = register.mandates.values().filter(|entry| entry.is_in_force(now) && entry.has_key());
        for entry in in_force.take(LOANS) {
            let Some(block) = entry.body.blocks.first().map(|asked| &asked.block) else { continue };
            if self.vault.mandate_commitment(entry.number)?.is_none() {
                continue;
            }
            keyring.lend(entry.number, self.rng())?;
            let number = block_names::number(register, block)?;
            let loan = self.vault.lend_block(&keyring, resident, entry.number, block, VALUE, self.rng())?;
            lent.push((resident, entry.number, number, loan));
            own.push((resident, number, self.vault.seal_own(&keyring, block, VALUE, self.rng())?));
        }
        // Two mandates may ask for the same block.
        own.sort_unstable_by_key(|(_, block, _)| *block);
        own.dedup_by_key(|(_, block, _)| *block);
        self.vault.note_canary(&keyring)?;
        let sealed = (resident, self.vault.seal_keyring(&keyring, self.rng())?);
        let seed = (resident, enrolled.seed_index);
        self.db.transaction("enrol canary", move |tx| {
            residents::insert_many(tx, &[seed], now)?;
            canaries::insert_many(tx, &[resident])?;
            keyrings::insert_many(tx, std::slice::from_ref(&sealed))?;
            blocks::put_own(tx, &own, now)?;
            Ok::<_, Error>(blocks::put_lent(tx, &lent)?)
        })?;
        Ok(Canary { resident, rows: None })
    }

    /// Erases a synthetic resident, or finishes it.
    fn erase_canary(&self, canary: &mut Canary) -> Result<(), Error> {
        let resident = canary.resident;
        if canary.rows.is_none() {
            canary.rows = Some(self.db.snapshot(|conn| Rows::read(conn, resident))?);
        }
        match self.db.read(|conn| residents::state(conn, resident))? {
            Some(ResidentState::Erased) => self.finish_erasures().map(drop),
            _ => self.delete_for(resident.into(), Cause::Drill).map(drop),
        }
    }

    /// What is searched for, now that all of it is destroyed.
    fn needles(&self, canaries: &Canaries) -> Result<Needles, Error> {
        let mut traces = Vec::new();
        for canary in &canaries.all {
            let hers = self.vault.take_traces(canary.resident).ok_or(Error::Unknown { what: "synthetic resident" })?;
            traces.extend(hers);
        }
        Ok(Needles::of(traces.iter().map(|trace| trace.bytes())))
    }

    /// Tries every sealed row of a synthetic resident under the keys of today: as the database held it, as it holds it now, and as the
    /// backup does. A row opens under her keyring alone, so those that open are looked for first.
    fn try_rows(&self, register: &Register, canary: &Canary, backup: Option<&Db>, report: &mut AuditReport) -> Result<(), Error> {
        let resident = canary.resident;
        let mut rows = self.db.snapshot(|conn| Rows::read(conn, resident))?;
        if let Some(before) = &canary.rows {
            rows.extend(before);
        }
        if let Some(backup) = backup {
            let held = backup.snapshot(|conn| Rows::read(conn, resident))?;
            if held.keyrings.is_empty() {
                report.find("The backup does not hold a synthetic resident, so nothing was shown of it.");
            }
            rows.extend(&held);
        }
        let rings: Vec<Keyring> =
            rows.keyrings.iter().filter_map(|sealed| self.vault.keyring(resident, &[sealed]).ok()).collect();
        let id = |block: &u64| block_names::id(register, *block);
        let opens_own = |(block, sealed): &&(u64, Vec<u8>)| {
            id(block).is_some_and(|block| rings.iter().any(|ring| self.vault.open_own(ring, block, sealed).is_ok()))
        };
        let opens_lent = |(mandate, block, sealed): &&(u64, u64, Vec<u8>)| {
            id(block).is_some_and(|block| rings.iter().any(|ring| self.vault.opens_lent(ring, *mandate, block, sealed)))
        };
        let opens_line = |(n, sealed): &&(u64, Vec<u8>)| rings.iter().any(|ring| ring.open_line(*n, sealed).is_ok());
        let opened = rings.len()
            + rows.own.iter().filter(opens_own).count()
            + rows.lent.iter().filter(opens_lent).count()
            + rows.lines.iter().filter(opens_line).count();
        if rows.keyrings.is_empty() {
            report.find("No sealed row of a synthetic resident was found, so none was tried.");
        }
        report.closed += (rows.count() - opened) as i64;
        report.find_many(opened as i64, "A sealed row of a synthetic resident opens after her erasure.");
        Ok(())
    }
}

impl Rows {
    fn read(conn: &mut dyn Connection, resident: u64) -> Result<Self, Error> {
        Ok(Self {
            keyrings: keyrings::candidates(conn, resident)?.into_iter().map(|(_, sealed)| sealed).collect(),
            own: blocks::own(conn, resident)?.into_iter().collect(),
            lent: blocks::all_lent(conn, resident)?.into_iter().collect(),
            lines: lines::of_resident(conn, resident, 0..lines::END, LINES)?
                .into_iter()
                .map(|line| (line.n, line.sealed))
                .collect(),
        })
    }

    fn extend(&mut self, other: &Self) {
        self.keyrings.extend(other.keyrings.iter().cloned());
        self.own.extend(other.own.iter().cloned());
        self.lent.extend(other.lent.iter().cloned());
        self.lines.extend(other.lines.iter().cloned());
    }

    fn count(&self) -> usize {
        self.keyrings.len() + self.own.len() + self.lent.len() + self.lines.len()
    }
}

/// What a synthetic resident has in every block.
const VALUE: &[u8] = b"synthetic";
/// Mandates under which she lends at most.
const LOANS: usize = 3;
/// Lines of her footprint that are looked at; she has one for each thing that happens to her in a drill.
const LINES: usize = 100;
