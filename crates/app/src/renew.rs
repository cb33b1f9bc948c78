//! A database that comes from a backup is brought up to date in what must never be old: who was erased, the keyrings, the
//! consents that hang on them, the ways in, the leaves of the log, and the numbers of the footprint lines.
//!
//! An old keyring opens nothing once the resident's key was replaced, whoever was erased must not come back as a row, a consent
//! that was withdrawn or a device that was removed must not stand again, and a line's number is never used twice. So all of
//! that is taken from a live copy: the database that was lost, if it still opens, or its replica.

use std::collections::BTreeSet;

use usufruct_core::delay::FIRST_NUMBER;
use usufruct_store::db::Db;
use usufruct_store::grants::StoredGrant;
use usufruct_store::residents::ResidentState;
use usufruct_store::tables::{self, Source, Table};
use usufruct_store::{blocks, deposits, grants, keyrings, leaves, lines, log_head, residents, sessions, tokens};

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

/// Brings `restored` up to date from `live`, which was compared with the log and the key tree before ([`crate::Comparison`]).
/// Can be repeated.
pub fn renew_keyrings(restored: &Db, live: &Db) -> Result<Renewed, Error> {
    bring_leaves(restored, live)?;
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
            if let Some(state) = state {
                restored.transaction("renew state", move |tx| residents::set_state(tx, resident, state))?;
            }
            refuse_fewer_lines(restored, live, resident)?;
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
        let Some(last) = batch.last() else { break };
        after = Some(*last);
        for resident in batch {
            let known = restored.read(|conn| residents::state(conn, resident))?;
            renewed.newcomers += u64::from(known.is_none());
        }
    }
    for table in tables::ALL.iter().filter(|table| matches!(table.source, Source::Live | Source::LiveOrLog)) {
        bring_table(restored, live, *table)?;
    }
    Ok(renewed)
}

/// Puts the rows of the live copy in the place of the backup's, but for residents who are not in it.
fn bring_table(restored: &Db, live: &Db, table: Table) -> Result<(), Error> {
    restored.transaction("clear table", move |tx| table.clear(tx))?;
    let mut after: Option<Vec<_>> = None;
    loop {
        let (rows, last) = live.read(|conn| table.rows(conn, after.as_deref(), BATCH))?;
        let Some(last) = last else { break };
        after = Some(last);
        restored.transaction("bring table", move |tx| table.insert(tx, &rows))?;
    }
    if table.is_of_residents {
        restored.transaction("clear strangers", move |tx| table.clear_strangers(tx))?;
    }
    Ok(())
}

/// Brings leaves that are in the live copy alone, and its signed head: what was signed once must never be missing.
fn bring_leaves(restored: &Db, live: &Db) -> Result<(), Error> {
    let (old, published) = restored.read(|conn| Ok::<_, Error>((log_head::size(conn)?, log_head::published(conn)?)))?;
    let (size, head) = live.snapshot(|conn| Ok::<_, Error>((log_head::size(conn)?, log_head::published(conn)?)))?;
    let mut from = old;
    while from < size {
        let batch = live.read(|conn| leaves::range(conn, from, BATCH))?;
        let Some((last, _)) = batch.last() else { break };
        from = last + 1;
        restored.transaction("bring leaves", move |tx| {
            batch.iter().try_for_each(|(index, leaf)| leaves::insert(tx, *index, leaf))?;
            log_head::advance(tx, old.max(batch.first().map_or(old, |(index, _)| *index)), from)
        })?;
    }
    let before = published.map(|published| published.size);
    if let Some(head) = head.filter(|head| before.is_none_or(|before| before < head.size)) {
        restored.transaction("bring head", move |tx| log_head::publish(tx, before, &head))?;
    }
    Ok(())
}

/// Refuses a copy that knows less of a resident than the backup, whatever its log says.
fn refuse_fewer_lines(restored: &Db, live: &Db, resident: u64) -> Result<(), Error> {
    let last = |db: &Db| db.read(|conn| lines::last(conn, resident)).map(|last| last.map(|(n, _)| n));
    if last(live)? >= last(restored)? {
        return Ok(());
    }
    Err(Error::refused(
        "The copy knows fewer events of a resident than the backup, so it is the older of the two.",
        "Leave it out, and use --without-live.",
    ))
}

fn bring_lines(restored: &Db, live: &Db, resident: u64) -> Result<u64, Error> {
    let mut brought = 0;
    loop {
        let last = restored.read(|conn| lines::last(conn, resident))?;
        let from = last.map_or(0, |(n, _)| n + 1);
        let newer = live.read(|conn| lines::committed(conn, resident, from..FIRST_NUMBER, BATCH))?;
        if newer.is_empty() {
            return Ok(brought + bring_delayed(restored, live, resident)?);
        }
        brought += newer.len() as u64;
        restored.transaction("bring lines", move |tx| {
            newer.iter().try_for_each(|(line, commitment)| lines::insert(tx, resident, line, commitment))?;
            Ok::<_, Error>(())
        })?;
    }
}

/// Brings delayed lines, which are new in the middle of their numbers too: each week has a chain of its own.
fn bring_delayed(restored: &Db, live: &Db, resident: u64) -> Result<u64, Error> {
    let (mut brought, mut from) = (0, FIRST_NUMBER);
    loop {
        let page = live.read(|conn| lines::committed(conn, resident, from..lines::END, BATCH))?;
        let Some((last, _)) = page.last() else { return Ok(brought) };
        let numbers = from..last.n + 1;
        from = numbers.end;
        let known = restored.read(|conn| lines::of_resident(conn, resident, numbers, BATCH))?;
        let known: BTreeSet<u64> = known.into_iter().map(|line| line.n).collect();
        let newer: Vec<_> = page.into_iter().filter(|(line, _)| !known.contains(&line.n)).collect();
        brought += newer.len() as u64;
        restored.transaction("bring delayed lines", move |tx| {
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
        let is_known = known.is_some_and(|known| known.id == stored.id);
        if is_known && known.is_some_and(|known| is_as(known, &stored)) {
            continue;
        }
        let mandate = stored.mandate;
        let lent = live.read(|conn| blocks::lent(conn, resident, mandate))?;
        let lent: Vec<_> = lent.into_iter().map(|(block, sealed)| (resident, mandate, block, sealed)).collect();
        restored.transaction("bring grant", move |tx| {
            blocks::delete_lent(tx, resident, mandate)?;
            if !is_known {
                grants::put(tx, &stored)?;
            }
            grants::bring(tx, &stored)?;
            Ok::<_, Error>(blocks::put_lent(tx, &lent)?)
        })?;
    }
    Ok(())
}

/// Whether nothing became of a grant between two copies of it.
fn is_as(old: &StoredGrant, new: &StoredGrant) -> bool {
    let said = |stored: &StoredGrant| (stored.grant.state, stored.reaffirmed_at, stored.refused);
    let used =
        |stored: &StoredGrant| (stored.grant.uses, stored.grant.window_start, stored.grant.window_uses, stored.last_use_at);
    said(old) == said(new) && used(old) == used(new)
}

/// Removes everything about a resident who is erased, or of whom nothing opens any more.
pub(crate) fn forget(tx: &mut usufruct_store::db::Tx<'_>, resident: u64) -> Result<(), Error> {
    residents::set_state(tx, resident, ResidentState::Erased)?;
    residents::delete_seed(tx, resident)?;
    grants::end_resident(tx, resident)?;
    tokens::delete_of_resident(tx, resident, None)?;
    sessions::delete_all(tx, resident)?;
    forget_ways_in(tx, resident)?;
    keyrings::delete_others(tx, resident, None)?;
    blocks::purge_resident(tx, resident)?;
    deposits::purge_resident(tx, resident)?;
    lines::purge_resident(tx, resident)?;
    Ok(())
}

/// Residents looked at in one go.
const BATCH: usize = 500;
