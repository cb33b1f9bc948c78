//! A database that comes from a backup is brought up to date in what must never be old: who was erased, the keyrings, the
//! consents that hang on them, and the numbers of the footprint lines.
//!
//! An old keyring opens nothing once the resident's key was replaced, whoever was erased must not come back as a row, a consent
//! that was withdrawn must not stand again, and a line's number is never used twice. So all of that is taken from a live copy:
//! the database that was lost, if it still opens, or its replica.

use usufruct_store::db::Db;
use usufruct_store::residents::ResidentState;
use usufruct_store::{blocks, grants, key_pages, keyrings, lines, residents, sessions, tokens};

use crate::Error;
use crate::erase::forget_ways_in;

/// What was done to a restored database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    pub residents: u64,
    /// Keyrings that had changed since the backup and were taken from the live copy.
    pub keyrings: u64,
    /// Footprint lines since the backup.
    pub lines: u64,
    /// Residents who were erased since the backup, and whose rows are gone again.
    pub erased: u64,
    /// Residents who came after the backup: their keys live, their data is not in it.
    pub newcomers: u64,
}

/// Brings `restored` up to date from `live`. Can be repeated.
pub fn renew_keyrings(restored: &Db, live: &Db) -> Result<Renewed, Error> {
    bring_key_pages(restored, live)?;
    let mut renewed = Renewed::default();
    let mut after = None;
    loop {
        let batch = restored.read(|conn| residents::list(conn, after, BATCH))?;
        let Some(last) = batch.last() else { break };
        after = Some(*last);
        for resident in batch {
            renewed.residents += 1;
            let (state, now) =
                live.snapshot(|conn| Ok::<_, Error>((residents::state(conn, resident)?, keyrings::candidates(conn, resident)?)))?;
            if state.is_none_or(|state| state == ResidentState::Erased) || now.is_empty() {
                renewed.erased += 1;
                restored.transaction("forget erased", move |tx| forget(tx, resident))?;
                continue;
            }
            let old = restored.read(|conn| keyrings::candidates(conn, resident))?;
            if old != now {
                renewed.keyrings += 1;
                restored.transaction("renew keyring", move |tx| Ok::<_, Error>(keyrings::replace(tx, resident, &now)?))?;
            }
            renewed.lines += bring_lines(restored, live, resident)?;
            bring_grants(restored, live, resident)?;
        }
    }
    let mut after = None;
    loop {
        let batch = live.read(|conn| residents::list(conn, after, BATCH))?;
        let Some(last) = batch.last() else { return Ok(renewed) };
        after = Some(*last);
        for resident in batch {
            let known = restored.read(|conn| residents::state(conn, resident))?;
            renewed.newcomers += u64::from(known.is_none());
        }
    }
}

/// Pages of the key tree are never old: whatever a backup holds of them, the live ones take its place.
fn bring_key_pages(restored: &Db, live: &Db) -> Result<(), Error> {
    restored.transaction("clear key pages", |tx| Ok::<_, Error>(key_pages::clear(tx)?))?;
    let mut after = None;
    loop {
        let batch = live.read(|conn| key_pages::list(conn, after, BATCH))?;
        let Some((last, _)) = batch.last() else { return Ok(()) };
        after = Some(*last);
        restored.transaction("bring key pages", move |tx| Ok::<_, Error>(key_pages::insert(tx, &batch)?))?;
    }
}

fn bring_lines(restored: &Db, live: &Db, resident: u64) -> Result<u64, Error> {
    let mut brought = 0;
    loop {
        let last = restored.read(|conn| lines::last(conn, resident))?;
        let from = last.map_or(0, |(n, _)| n + 1);
        let newer = live.read(|conn| lines::committed(conn, resident, from, BATCH))?;
        if newer.is_empty() {
            return Ok(brought);
        }
        brought += newer.len() as u64;
        restored.transaction("bring lines", move |tx| {
            newer.iter().try_for_each(|(line, commitment)| lines::insert(tx, resident, line, commitment))?;
            Ok::<_, Error>(())
        })?;
    }
}

/// Takes over consents given since, with what was lent under them, and ends those that have ended.
fn bring_grants(restored: &Db, live: &Db, resident: u64) -> Result<(), Error> {
    let old = restored.read(|conn| grants::of_resident(conn, resident))?;
    for stored in live.read(|conn| grants::of_resident(conn, resident))? {
        let known = old.iter().find(|old| old.mandate == stored.mandate);
        if known.is_some_and(|known| known.id == stored.id && known.grant.state == stored.grant.state) {
            continue;
        }
        let mandate = stored.mandate;
        let lent = live.read(|conn| blocks::lent(conn, resident, mandate))?;
        let lent: Vec<_> = lent.into_iter().map(|(block, sealed)| (resident, mandate, block, sealed)).collect();
        restored.transaction("bring grant", move |tx| {
            blocks::delete_lent(tx, resident, mandate)?;
            grants::put(tx, &stored)?;
            Ok::<_, Error>(blocks::put_lent(tx, &lent)?)
        })?;
    }
    Ok(())
}

fn forget(tx: &mut usufruct_store::db::Tx<'_>, resident: u64) -> Result<(), Error> {
    residents::set_state(tx, resident, ResidentState::Erased)?;
    residents::delete_seed(tx, resident)?;
    grants::end_resident(tx, resident)?;
    tokens::delete_of_resident(tx, resident, None)?;
    sessions::delete_all(tx, resident)?;
    forget_ways_in(tx, resident)?;
    keyrings::delete_others(tx, resident, None)?;
    blocks::purge_resident(tx, resident)?;
    lines::purge_resident(tx, resident)?;
    Ok(())
}

/// Residents looked at in one go.
const BATCH: usize = 500;
