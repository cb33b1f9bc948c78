//! What a restored database cannot know is decided on the safe side: nothing that ended comes back, and no number of a
//! footprint line is used twice. The log says that something happened and not what, so whoever it happened to is asked again.

use std::collections::{BTreeSet, HashMap};

use usufruct_core::Time;
use usufruct_core::certificate::{Cause, Certificate};
use usufruct_core::delay::Week;
use usufruct_core::event::tag;
use usufruct_core::grant::GrantState;
use usufruct_core::id::MandateId;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::Rng;
use usufruct_core::register::{Entry, Register};
use usufruct_core::time::Month;
use usufruct_store::db::{Db, Tx};
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::lines::Line;
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::tables::{self, Source};
use usufruct_store::{authorizations, blocks, deposits, grants, keyrings, leaves, lines};
use usufruct_vault::{Keyring, Vault};

use crate::app::replay;
use crate::delayed::is_covert;
use crate::erase::forget_ways_in;
use crate::key_tree::look;
use crate::live_copy::event_of;
use crate::renew::forget;
use crate::sunset::PART;
use crate::{Config, Error, House, RootPlace, block_names};

/// What was done with residents whose state is in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Their keys are gone: they were erased, and stay so.
    pub erased: u64,
    /// Their keys were replaced since: what is here of them opens no more, and they have to be enrolled again.
    pub closed: u64,
    /// Something happened to them since: their consents have ended, their passes rest, and they need a new way in.
    pub held: u64,
    /// Events of the last group whose lines are lost.
    pub lines: u64,
}

/// Where the keys and the restored database of a pass are.
pub struct Restored<'a> {
    pub config: &'a Config,
    pub house: &'a House,
    /// Where the root of the key tree lies; `None` for the file in the data directory.
    pub root: Option<Box<dyn RootPlace>>,
    pub db: &'a Db,
    /// Whether everything that must not be old came from a live copy.
    pub has_live: bool,
}

impl Restored<'_> {
    /// Holds a restored database, with its whole log, against the key tree and that log, and closes what is in doubt. Can be
    /// repeated.
    pub fn settle(self, now: Time, rng: &dyn Rng) -> Result<Settled, Error> {
        let (db, register) = (self.db, replay(self.db)?);
        if !self.has_live {
            db.transaction("end what was open", |tx| {
                tables::ALL.iter().filter(|table| table.source == Source::Live).try_for_each(|table| table.clear(tx).map(drop))
            })?;
        }
        note_certificates(db, &register)?;
        end_mandates(db, &register)?;
        let vault = look(&self.config.vault, self.root, self.house, db, rng)?;
        note_months(db, &register, &vault, now)?;
        let settled = settle_residents(db, &register, &vault, now, rng)?;
        let of_residents = tables::ALL.iter().filter(|table| table.is_of_residents && table.source == Source::LiveOrLog);
        for table in of_residents {
            db.transaction("clear strangers", move |tx| table.clear_strangers(tx))?;
        }
        Ok(settled)
    }
}

/// Erasures that certificates prove and the database does not know are noted as done.
fn note_certificates(db: &Db, register: &Register) -> Result<(), Error> {
    for (id, entry) in &register.certificates {
        if db.read(|conn| erasures::is_known(conn, id))? {
            continue;
        }
        let body = &entry.body;
        let erasure = Erasure {
            certificate: id.clone(),
            cause: body.cause.code().to_owned(),
            // Of residents a certificate names none.
            resident: None,
            mandate: mandate_of(register, entry),
            sector: body.sector.as_ref().and_then(|name| {
                let service = register.services.values().find(|service| service.body.sector == *name)?;
                Some(register.sector(service))
            }),
            months: Vec::new(),
            commitments: body.key_commitments.clone(),
            evidence: String::new(),
            requested_at: body.erased_live_at,
            live_at: Some(body.erased_live_at),
            root_at: Some(body.erased_root_at),
        };
        let (done, until) = (body.erased_root_at, body.ciphertext_remains_until);
        db.transaction("note certificate", move |tx| {
            erasures::insert(tx, &erasure)?;
            Ok::<_, Error>(erasures::done(tx, &erasure.certificate, done, until)?)
        })?;
    }
    Ok(())
}

fn mandate_of(register: &Register, certificate: &Entry<Certificate>) -> Option<u64> {
    let id: MandateId = certificate.body.mandate.as_ref()?.parse().ok()?;
    register.mandates.get(&id).map(|mandate| mandate.number)
}

/// Grants and copies under mandates that have ended since are none any more.
fn end_mandates(db: &Db, register: &Register) -> Result<(), Error> {
    for mandate in register.mandates.values().filter(|mandate| mandate.state == State::Erased) {
        let number = mandate.number;
        let was_revoked = mandate.history.iter().any(|step| step.to == State::Revoked);
        let ended_as = if was_revoked { GrantState::Terminated } else { GrantState::Sunset };
        while db.transaction("end grants", move |tx| grants::end_mandate(tx, number, ended_as, PART))? > 0 {}
        while db.transaction("purge lent blocks", move |tx| blocks::purge_mandate(tx, number, PART))? > 0 {}
    }
    Ok(())
}

/// Months that have a key in the tree are known again, or nobody would ever destroy it.
fn note_months(db: &Db, register: &Register, vault: &Vault, now: Time) -> Result<(), Error> {
    for mandate in register.mandates.values().filter(|mandate| mandate.state != State::Erased) {
        let number = mandate.number;
        for month in (0..=Month::of(now).0).map(Month) {
            if vault.month_commitment(number, month.0)?.is_some() {
                db.transaction("note month", move |tx| deposits::note_month(tx, number, month))?;
            }
        }
    }
    Ok(())
}

fn settle_residents(db: &Db, register: &Register, vault: &Vault, now: Time, rng: &dyn Rng) -> Result<Settled, Error> {
    let since = events_since(db)?;
    let may_delay = register.mandates.values().any(is_covert);
    let rotated = rotated(register);
    let mut settled = Settled::default();
    let mut after = None;
    loop {
        let batch = db.read(|conn| residents::list(conn, after, BATCH))?;
        let Some(last) = batch.last() else { return Ok(settled) };
        after = Some(*last);
        for resident in batch {
            let (sealed, last) =
                db.snapshot(|conn| Ok::<_, Error>((keyrings::candidates(conn, resident)?, lines::last(conn, resident)?)))?;
            let sealed: Vec<&[u8]> = sealed.iter().map(|(_, sealed)| sealed.as_slice()).collect();
            let is_gone = vault.resident_commitment(resident)?.is_none();
            let Some(keyring) = (!is_gone).then(|| vault.keyring(resident, &sealed).ok()).flatten() else {
                settled.erased += u64::from(is_gone);
                settled.closed += u64::from(!is_gone);
                db.transaction("close", move |tx| forget(tx, resident))?;
                continue;
            };
            lend_again(db, register, vault, &keyring, &rotated, rng)?;
            let from = last.map_or(0, |(n, _)| n + 1);
            let lost: Vec<(Line, [u8; 32])> = (from..)
                .map_while(|n| {
                    let (index, commitment) = since.get(&keyring.tag(n))?;
                    Some((Line { n, index: *index, sealed: Vec::new(), matter: None }, *commitment))
                })
                .collect();
            if !lost.is_empty() {
                settled.held += 1;
                settled.lines += lost.len() as u64;
                db.transaction("hold", move |tx| hold(tx, resident, &lost))?;
            }
            if may_delay && !since.is_empty() {
                settled.lines += keep_delayed(db, &keyring, &since, now)?;
            }
        }
    }
}

/// The mandates that ever got another key, by their numbers.
fn rotated(register: &Register) -> BTreeSet<u64> {
    let certificates = register.certificates.values().filter(|entry| entry.body.cause == Cause::Rotation);
    certificates.filter_map(|entry| mandate_of(register, entry)).collect()
}

/// Copies on loan that were sealed for a key of the mandate that is gone are made anew from the resident's own.
fn lend_again(
    db: &Db,
    register: &Register,
    vault: &Vault,
    keyring: &Keyring,
    rotated: &BTreeSet<u64>,
    rng: &dyn Rng,
) -> Result<(), Error> {
    let resident = keyring.resident();
    for mandate in rotated.iter().copied().filter(|mandate| keyring.lends(*mandate)) {
        let lent = db.read(|conn| blocks::lent(conn, resident, mandate))?;
        let named = |number: u64| block_names::id(register, number);
        let is_closed = |(number, sealed): &(u64, Vec<u8>)| {
            named(*number).is_some_and(|block| !vault.opens_lent(keyring, mandate, block, sealed))
        };
        let closed: Vec<u64> = lent.iter().filter(|row| is_closed(row)).map(|(number, _)| *number).collect();
        if closed.is_empty() {
            continue;
        }
        let mut rows = Vec::with_capacity(closed.len());
        for (number, sealed) in db.read(|conn| blocks::own(conn, resident))? {
            let Some(block) = named(number).filter(|_| closed.contains(&number)) else { continue };
            let value = vault.open_own(keyring, block, &sealed)?;
            rows.push((resident, mandate, number, vault.lend_block(keyring, resident, mandate, block, &value, rng)?));
        }
        db.transaction("lend again", move |tx| blocks::put_lent(tx, &rows))?;
    }
    Ok(())
}

/// Takes the places of delayed lines that are lost, so that none is used twice. Nothing else is done about them, since that would tell of them.
fn keep_delayed(db: &Db, keyring: &Keyring, since: &Events, now: Time) -> Result<u64, Error> {
    let (resident, mut lost) = (keyring.resident(), Vec::new());
    let this = Week::of(now);
    for (week, tag_key) in keyring.delayed_tag_keys(Week(this.0.saturating_sub(WEEKS_BACK)), Week(this.0 + WEEKS_AHEAD)) {
        let last = db.read(|conn| lines::last_of_week(conn, resident, week))?;
        let from = last.map_or(week.first_number(), |(n, _)| n + 1);
        lost.extend((from..).map_while(|n| {
            let (index, commitment) = since.get(&tag(&tag_key, n))?;
            Some((Line { n, index: *index, sealed: Vec::new(), matter: None }, *commitment))
        }));
    }
    let count = lost.len() as u64;
    if count > 0 {
        db.transaction("keep delayed lines", move |tx| {
            lost.iter().try_for_each(|(line, commitment)| lines::insert(tx, resident, line, commitment))?;
            Ok::<_, Error>(())
        })?;
    }
    Ok(count)
}

/// Weeks before the one that runs in which a lost line may have opened, and after it in which one may open: the most that a mandate can say.
const WEEKS_BACK: u32 = 60;
const WEEKS_AHEAD: u32 = 522;

/// Leaf number and commitment of events, by their marks.
type Events = HashMap<[u8; 32], (u64, [u8; 32])>;

/// The events that no line here is about.
fn events_since(db: &Db) -> Result<Events, Error> {
    let mut from = db.read(|conn| lines::last_index(conn))?.map_or(0, |index| index + 1);
    let mut events = HashMap::new();
    loop {
        let batch = db.read(|conn| leaves::range(conn, from, LEAVES))?;
        let Some((last, _)) = batch.last() else { return Ok(events) };
        from = last + 1;
        for (index, leaf) in &batch {
            events.extend(event_of(leaf).map(|(commitment, tag)| (tag, (*index, commitment))));
        }
    }
}

/// Ends a resident's consents, what she authorized services for, and her ways in, lets her pass rest, and notes the numbers that are used.
fn hold(tx: &mut Tx<'_>, resident: u64, lost: &[(Line, [u8; 32])]) -> Result<(), Error> {
    for stored in grants::of_resident(tx, resident)? {
        if stored.grant.kind == usufruct_core::grant::GrantKind::Consent {
            blocks::delete_lent(tx, resident, stored.mandate)?;
        }
    }
    grants::end_consents(tx, resident)?;
    for authorization in authorizations::of_resident(tx, resident, None)? {
        authorizations::end(tx, &authorization.id)?;
    }
    grants::revise_resident(tx, resident)?;
    if residents::state(tx, resident)? == Some(ResidentState::Active) {
        residents::set_state(tx, resident, ResidentState::Deactivated)?;
    }
    forget_ways_in(tx, resident)?;
    // Their content is lost; their numbers and what the next event names as its predecessor stand in the log.
    lost.iter().try_for_each(|(line, commitment)| lines::insert(tx, resident, line, commitment))?;
    Ok(())
}

/// Residents looked at in one go.
const BATCH: usize = 500;
/// Leaves read at once.
const LEAVES: usize = 5_000;
