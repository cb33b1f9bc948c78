//! Delayed lines: what a resident may know of a covert mandate at a time, and how many lines are kept back, for everybody to read.

use std::collections::{BTreeMap, BTreeSet};

use usufruct_core::Time;
use usufruct_core::delay::{FIRST_NUMBER, Week, visible_from};
use usufruct_core::event::{Event, Kind};
use usufruct_core::grant::GrantState;
use usufruct_core::id::MandateId;
use usufruct_core::mandate::Mandate;
use usufruct_core::recount::is_use;
use usufruct_core::register::{Entry, Register};
use usufruct_core::tally::Count;
use usufruct_core::time::Month;
use usufruct_store::db::{Connection, Tx};
use usufruct_store::delayed::{self, Ended};
use usufruct_store::grants::{self, StoredGrant};
use usufruct_store::lines;
use usufruct_vault::Keyring;

use crate::footprint::hidden_from;
use crate::{App, Error};

/// How many uses of a month residents see later, under one mandate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayedUses {
    pub mandate: MandateId,
    /// In which they happened.
    pub month: Month,
    /// Of those whose day has not come: at least so many, and at most. Sums of the published tallies, which say of a few only that they are few.
    pub waiting: (u64, u64),
    /// Of those whose day has come.
    pub opened: (u64, u64),
    /// When the last of the month open.
    pub last_opens_at: Time,
    /// How many lines ended with an erasure before their day, uses or not. `None` until the last of the month has opened: earlier it would tell
    /// who was erased that there was one.
    pub ended_unseen: Option<Count>,
}

/// Most lines read at once.
const PAGE: usize = 1_000;

impl App {
    /// The grants of a resident that she may know of, newest first. One under a covert mandate is among them once a line under it has opened, and
    /// says what her open lines say.
    pub fn grants(&self, resident: u64) -> Result<Vec<StoredGrant>, Error> {
        let (register, now) = (self.register(), self.now());
        let stored = self.db.read(|conn| grants::of_resident(conn, resident))?;
        let covert: BTreeSet<u64> =
            register.mandates.values().filter(|entry| is_covert(entry)).map(|entry| entry.number).collect();
        if covert.is_empty() {
            return Ok(stored);
        }
        let has_opened = self.db.read(|conn| lines::of_resident(conn, resident, FIRST_NUMBER..hidden_from(now), 1))?;
        let events: Vec<Event> = if has_opened.is_empty() {
            Vec::new()
        } else {
            self.footprint(resident)?.lines.into_iter().filter_map(|line| line.event).collect()
        };
        let mut known: Vec<StoredGrant> = stored
            .into_iter()
            .filter_map(|stored| {
                if !covert.contains(&stored.mandate) {
                    return Some(stored);
                }
                let is_under = |event: &&Event| {
                    let under = event.mandate.as_ref().and_then(|hash| register.revision(hash));
                    under.is_some_and(|(entry, _)| entry.number == stored.mandate)
                };
                as_opened(&stored, &events.iter().filter(is_under).collect::<Vec<_>>())
            })
            .collect();
        known.sort_by_key(|stored| (std::cmp::Reverse(stored.grant.given_at), stored.mandate));
        Ok(known)
    }

    /// The counts of all covert mandates by the month of use, the newest first.
    pub fn delayed_uses(&self) -> Result<Vec<DelayedUses>, Error> {
        let (register, now) = (self.register(), self.now());
        let ended = self.db.read(delayed::ended)?;
        let mut found = Vec::new();
        for (id, entry) in register.mandates.iter().filter(|(_, entry)| is_covert(entry)) {
            let Some(delay) = entry.body.visibility.delay() else { continue };
            let opens_at = |at: Time| Week::opening(at, delay.max_days).map(Week::begins);
            let mut months = BTreeMap::<Month, DelayedUses>::new();
            for tally in register.tallies.values().map(|entry| &entry.body).filter(|tally| tally.mandate == *id) {
                let month = Month::of(tally.day.begins());
                let Some((opens, last_opens_at)) = opens_at(tally.day.begins()).zip(opens_at(month.next().begins().plus(-1)))
                else {
                    continue;
                };
                let counts = months.entry(month).or_insert_with(|| DelayedUses {
                    mandate: id.clone(),
                    month,
                    waiting: (0, 0),
                    opened: (0, 0),
                    last_opens_at,
                    ended_unseen: (last_opens_at <= now).then(|| {
                        let of_month = ended.iter().filter(|ended| ended.mandate == entry.number && ended.month == month);
                        Count::of(of_month.map(|ended| ended.lines).sum())
                    }),
                });
                let sum = if opens <= now { &mut counts.opened } else { &mut counts.waiting };
                *sum = (sum.0 + tally.delayed.least(), sum.1 + tally.delayed.most());
            }
            found.extend(months.into_values());
        }
        found.sort_by(|one, other| other.month.cmp(&one.month).then_with(|| one.mandate.cmp(&other.mandate)));
        Ok(found)
    }
}

/// Whether residents see the lines under a mandate later.
pub(crate) fn is_covert(entry: &Entry<Mandate>) -> bool {
    entry.body.visibility.delay().is_some()
}

/// A grant under a covert mandate as open lines tell of it; `None` where none has opened. Its row says what happened last, which may not have.
fn as_opened(stored: &StoredGrant, opened: &[&Event]) -> Option<StoredGrant> {
    let told = opened.iter().rev().find(|event| event.kind == Kind::Consent)?;
    let uses: Vec<Time> = opened.iter().filter(|event| is_use(event.kind)).map(|event| event.at).collect();
    let last = opened.iter().rev().find(|event| matches!(event.kind, Kind::Consent | Kind::Withdrawal));
    let mut known = stored.clone();
    known.grant.mandate_hash = told.mandate?;
    known.grant.given_at = told.at;
    known.grant.blocks = told.blocks.iter().map(|(block, _)| block.clone()).collect();
    known.grant.valid_until = told.until.unwrap_or(stored.grant.valid_until);
    known.grant.uses = i64::try_from(uses.len()).unwrap_or(i64::MAX);
    (known.grant.window_start, known.grant.window_uses) = (told.at, 0);
    known.last_use_at = uses.last().copied();
    // That a mandate is over everybody may know.
    if !matches!(stored.grant.state, GrantState::Sunset | GrantState::Invalidated) {
        let is_ended = last.is_some_and(|event| event.kind == Kind::Withdrawal);
        known.grant.state = if is_ended { GrantState::Withdrawn } else { GrantState::Given };
    }
    Some(known)
}

/// Counts the lines of a resident that had not opened when she was erased. Called before her keys go; her rows stay until after that.
pub(crate) fn note_ended(tx: &mut Tx<'_>, register: &Register, keyring: &Keyring, now: Time) -> Result<(), Error> {
    let mut counts = BTreeMap::<(u64, Month), u64>::new();
    for event in unopened(tx, keyring, now)? {
        let under = event.mandate.as_ref().and_then(|hash| register.revision(hash));
        if let Some((entry, _)) = under {
            *counts.entry((entry.number, Month::of(event.at))).or_default() += 1;
        }
    }
    for ((mandate, month), lines) in counts {
        delayed::add_ended(tx, &Ended { mandate, month, lines })?;
    }
    Ok(())
}

/// The events of a resident whose day has not come, as far as they can be read.
fn unopened(conn: &mut dyn Connection, keyring: &Keyring, now: Time) -> Result<Vec<Event>, Error> {
    let (mut events, mut from) = (Vec::new(), hidden_from(now));
    loop {
        let page = lines::of_resident(conn, keyring.resident(), from..lines::END, PAGE)?;
        for line in &page {
            let body = keyring.open_line(line.n, &line.sealed).ok();
            let event = body.as_ref().and_then(|body| Event::decode(body.get(32..)?).ok());
            events.extend(event.filter(|event| visible_from(event.n).is_some_and(|opens| now < opens)));
        }
        match page.last() {
            Some(last) if page.len() == PAGE => from = last.n + 1,
            _ => return Ok(events),
        }
    }
}
