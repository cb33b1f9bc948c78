//! The books of a commit: what is counted with each line inside the transaction that stores it. The pass's own numbers, the tallies of
//! days, copies for the auditor, and the burst brake. They are kept in memory and written once for all lines of a commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use usufruct_core::Time;
use usufruct_core::brake::{Brake, Gauge, Stop, Stratum};
use usufruct_core::decide::Clause;
use usufruct_core::delay::visible_from;
use usufruct_core::event::{Event, Kind};
use usufruct_core::recount::is_use;
use usufruct_core::source::{Source, SourceMark};
use usufruct_core::tally::{Day, Span};
use usufruct_store::db::{self, Connection};
use usufruct_store::sources::Standing;
use usufruct_store::{audit_copies, brakes, sources, tallies};
use usufruct_vault::hpke::PublicKey;

use crate::Error;
use crate::brakes::Decider;

/// For which use copies are sealed, and nothing else.
pub const COPY_INFO: &[u8] = b"usufruct/audit-copy/v1";
/// The word in the rows for lines whose matter is closed to the resident.
pub(crate) const CLOSED: &str = "closed";
/// Batches that are remembered, so that each counts once. Many more than run at a time.
const BATCHES: usize = 1_024;

/// Under which mandate a line counts, and how.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    /// Number of the mandate.
    pub mandate: u64,
    /// Where it comes from when it was reported; else the pass gives the next number of its own.
    pub reported: Option<SourceMark>,
    /// Whether it is the first use of the resident's data on the day.
    pub is_first: bool,
    /// The key of the oversight body, if the mandate names one.
    pub audit_key: Option<PublicKey>,
}

/// What is counted of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Batch,
    /// A line whose matter is closed to the resident.
    Closed,
    Delayed,
    Irregular,
    Refusal(Clause),
    Resident,
    Use,
}

type DayKey = (u64, i64);

#[derive(Default)]
pub(crate) struct Books {
    /// The last number that the pass gave under each mandate, and when.
    numbers: HashMap<u64, (u64, Time)>,
    /// Mandates whose numbers moved since they were written.
    moved: BTreeSet<u64>,
    copies: HashMap<u64, u64>,
    /// Counts and numbers that are not written yet.
    counts: BTreeMap<(DayKey, What), i64>,
    spans: BTreeMap<(DayKey, Source), Span>,
    batches: VecDeque<[u8; 16]>,
    /// How many of them are of the running commit.
    new_batches: usize,
    brake: Option<Brake>,
    /// Strata that changed since they were written.
    braked: BTreeSet<Stratum>,
    /// What to take back when the running job fails.
    undo: Vec<Undo>,
}

enum Undo {
    Batch,
    Copy(u64, u64),
    Count((DayKey, What)),
    Gauge(Box<(Stratum, Option<Gauge>)>),
    Number(u64, (u64, Time)),
    Span((DayKey, Source), Option<Span>),
}

impl What {
    /// The word for it in the rows.
    pub fn code(self) -> String {
        match self {
            Self::Batch => "batch".to_owned(),
            Self::Closed => CLOSED.to_owned(),
            Self::Delayed => "delayed".to_owned(),
            Self::Irregular => "irregular".to_owned(),
            Self::Refusal(clause) => format!("refusal:{}", clause.code()),
            Self::Resident => "resident".to_owned(),
            Self::Use => "use".to_owned(),
        }
    }
}

impl Books {
    /// Begins a commit.
    pub fn begin(&mut self) {
        self.new_batches = 0;
        while self.batches.len() > BATCHES {
            self.batches.pop_front();
        }
    }

    /// Forgets what is not written, and everything that another writer may have changed.
    pub fn forget(&mut self) {
        self.batches.truncate(self.batches.len() - self.new_batches);
        // The others stay: a batch that is under way goes on counting as the one it is.
        *self = Self { batches: std::mem::take(&mut self.batches), ..Self::default() };
    }

    pub fn savepoint(&mut self) {
        self.undo.clear();
    }

    pub fn rollback(&mut self) {
        for undo in std::mem::take(&mut self.undo).into_iter().rev() {
            match undo {
                Undo::Batch => {
                    self.batches.pop_back();
                    self.new_batches -= 1;
                }
                Undo::Copy(mandate, seq) => drop(self.copies.insert(mandate, seq)),
                Undo::Count(key) => *self.counts.entry(key).or_default() -= 1,
                Undo::Gauge(before) => {
                    let (stratum, gauge) = *before;
                    if let Some(brake) = &mut self.brake {
                        brake.put_back(&stratum, gauge);
                    }
                }
                Undo::Number(mandate, before) => drop(self.numbers.insert(mandate, before)),
                Undo::Span(key, Some(span)) => drop(self.spans.insert(key, span)),
                Undo::Span(key, None) => drop(self.spans.remove(&key)),
            }
        }
    }

    /// Gives a line its number, and counts it.
    pub fn enter(&mut self, conn: &mut dyn Connection, event: &mut Event, counted: &Counted) -> Result<(), Error> {
        let Some(day) = Day::of(event.at).map(Day::number) else { return Ok(()) };
        let (mandate, key) = (counted.mandate, (counted.mandate, day));
        let mark = match &counted.reported {
            Some(mark) => mark.clone(),
            None => SourceMark { source: Source::Pass, number: self.next_number(conn, mandate, event.at)?, happened_at: None },
        };
        self.extend((key, mark.source.clone()), mark.number);
        event.source = Some(mark);
        if is_use(event.kind) {
            self.count((key, What::Use));
            if visible_from(event.n).is_some() {
                self.count((key, What::Delayed));
            }
            if event.clause.is_some() {
                self.count((key, What::Irregular));
            }
            if counted.is_first {
                self.count((key, What::Resident));
            }
        } else if event.kind == Kind::Refusal {
            let clause = Clause::ALL.into_iter().find(|clause| event.clause.as_deref() == Some(clause.code()));
            clause.into_iter().for_each(|clause| self.count((key, What::Refusal(clause))));
        }
        if event.closed.is_some() {
            self.count((key, What::Closed));
        }
        if let Some(batch) = event.batch.filter(|batch| !self.batches.contains(&batch.id)) {
            self.batches.push_back(batch.id);
            self.new_batches += 1;
            self.undo.push(Undo::Batch);
            self.count((key, What::Batch));
        }
        Ok(())
    }

    /// The number of the next copy for the auditor.
    pub fn next_copy(&mut self, conn: &mut dyn Connection, mandate: u64) -> Result<u64, db::Error> {
        let last = match self.copies.get(&mandate) {
            Some(last) => *last,
            None => audit_copies::last(conn, mandate)?,
        };
        self.undo.push(Undo::Copy(mandate, last));
        self.copies.insert(mandate, last + 1);
        Ok(last + 1)
    }

    /// Takes one decision of two officials, or says since when there are none.
    pub fn brake(&mut self, conn: &mut dyn Connection, decider: &Decider, day: i64) -> Result<Result<(), Stop>, db::Error> {
        let stratum = &decider.stratum;
        self.note_gauge(conn, stratum)?;
        let brake = self.brake.get_or_insert_default();
        if let Some(since) = decider.stopped_on {
            brake.hold(stratum, day, since);
        }
        Ok(brake.take(stratum, day))
    }

    /// Lets the stratum with this mark go on. False when there is none that is stopped.
    pub fn release(&mut self, conn: &mut dyn Connection, mark: &usufruct_core::Digest, day: i64) -> Result<bool, db::Error> {
        let Some(stratum) = self.open_brake(conn)?.find(mark).cloned() else { return Ok(false) };
        self.note_gauge(conn, &stratum)?;
        Ok(self.brake.get_or_insert_default().release(&stratum, day))
    }

    /// What was counted of a day and is not written yet.
    pub fn pending(&self, mandate: u64, day: i64) -> impl Iterator<Item = (String, i64)> {
        let of_day = self.counts.iter().filter(move |((key, _), _)| *key == (mandate, day));
        of_day.map(|((_, what), count)| (what.code(), *count))
    }

    /// Writes everything that changed.
    pub fn write(&mut self, conn: &mut dyn Connection) -> Result<(), db::Error> {
        let counts = std::mem::take(&mut self.counts).into_iter().filter(|(_, count)| *count != 0);
        let counts = counts.map(|(((mandate, day), what), more)| tallies::Counted { mandate, day, what: what.code(), more });
        let counts: Vec<_> = counts.collect();
        if !counts.is_empty() {
            tallies::add(conn, &counts)?;
        }
        for ((key, source), span) in std::mem::take(&mut self.spans) {
            tallies::extend(conn, key.0, key.1, &source, span)?;
        }
        for mandate in std::mem::take(&mut self.moved) {
            let Some((number, at)) = self.numbers.get(&mandate).copied().filter(|(number, _)| *number > 0) else { continue };
            let mut standing = Standing::begin(Source::Pass, mandate, at);
            (standing.received, standing.highest) = (number, number);
            sources::put(conn, &standing)?;
        }
        for stratum in std::mem::take(&mut self.braked) {
            if let Some(gauge) = self.brake.as_ref().and_then(|brake| brake.gauge(&stratum)) {
                brakes::put(conn, &stratum, gauge.today())?;
            }
        }
        Ok(())
    }

    fn next_number(&mut self, conn: &mut dyn Connection, mandate: u64, now: Time) -> Result<u64, Error> {
        let before = match self.numbers.get(&mandate) {
            Some(before) => *before,
            None => sources::find(conn, &Source::Pass, mandate)?.map_or((0, now), |found| (found.received, found.heard_at)),
        };
        // The numbers of a day are one run: what was decided before midnight is not written after a line of the new day.
        if Day::of(now) < Day::of(before.1) {
            return Err(Error::Stale);
        }
        self.undo.push(Undo::Number(mandate, before));
        self.numbers.insert(mandate, (before.0 + 1, now));
        self.moved.insert(mandate);
        Ok(before.0 + 1)
    }

    fn extend(&mut self, key: (DayKey, Source), number: u64) {
        let before = self.spans.get(&key).copied();
        let span = before.map_or(Span { first: number, last: number, lines: 1 }, |span| Span {
            first: span.first.min(number),
            last: span.last.max(number),
            lines: span.lines + 1,
        });
        self.spans.insert(key.clone(), span);
        self.undo.push(Undo::Span(key, before));
    }

    fn count(&mut self, key: (DayKey, What)) {
        *self.counts.entry(key).or_default() += 1;
        self.undo.push(Undo::Count(key));
    }

    fn open_brake(&mut self, conn: &mut dyn Connection) -> Result<&mut Brake, db::Error> {
        if self.brake.is_none() {
            self.brake = Some(restored(conn)?);
        }
        Ok(self.brake.get_or_insert_default())
    }

    /// Remembers how a stratum stands, before it changes.
    fn note_gauge(&mut self, conn: &mut dyn Connection, stratum: &Stratum) -> Result<(), db::Error> {
        let before = self.open_brake(conn)?.gauge(stratum).cloned();
        self.undo.push(Undo::Gauge(Box::new((stratum.clone(), before))));
        self.braked.insert(stratum.clone());
        Ok(())
    }
}

/// The brake as its rows say.
pub(crate) fn restored(conn: &mut dyn Connection) -> Result<Brake, db::Error> {
    let mut brake = Brake::default();
    for (stratum, days) in brakes::all(conn)? {
        brake.restore(stratum, &days);
    }
    Ok(brake)
}
