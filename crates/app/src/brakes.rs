//! The burst brake: which officials it has stopped, and their release by an order of the oversight body.

use std::collections::BTreeSet;

use serde_json::json;
use usufruct_core::brake::{Brake, Gauge, HISTORY, Stratum, WINDOW, burst};
use usufruct_core::decide::Clause;
use usufruct_core::id::{AgencyId, MandateId, OrderId, ServiceId, StoppageId};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::AutomatedDecision;
use usufruct_core::order::OrderKind;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::stoppage::Stoppage;
use usufruct_core::tally::{Count, Day};
use usufruct_core::{Digest, Time};
use usufruct_store::{brakes, tallies};
use usufruct_vault::Vault;

use crate::books::restored;
use crate::ledger::Head;
use crate::release::day;
use crate::{App, Error};

/// What the brake says about two officials of one body who decide for one reason. It names neither of them.
#[derive(Clone, Debug)]
pub struct BrakeView {
    /// The name by which an order releases it.
    pub mark: Digest,
    pub body: AgencyId,
    /// What they decide, as `mdt_library-card lending` or `counter card`.
    pub reason: String,
    /// Whether it is about decisions for which no official is named.
    pub is_nobody: bool,
    /// Since which day it is stopped.
    pub stopped_on: Option<Day>,
    /// Leaf number of the stoppage that says so.
    pub leaf: Option<u64>,
    /// The day on which a slow drift was seen; nothing is stopped by it.
    pub drifted_on: Option<Day>,
    /// Decisions on the last day with any, and how many of them were refused.
    pub day: Day,
    pub decisions: Count,
    pub refused: Count,
}

/// A day on which a mandate was used far more than in the four weeks before. It is a sign for the public and stops nothing.
#[derive(Clone, Debug)]
pub struct Burst {
    pub mandate: MandateId,
    pub day: Day,
    pub uses: Count,
}

/// Who decides, and since which day the register says that nobody may.
#[derive(Clone, Debug)]
pub(crate) struct Decider {
    pub stratum: Stratum,
    /// The day, counted from 1970, of a stoppage that binds. It holds whatever the rows say.
    pub stopped_on: Option<i64>,
}

/// Days for which bursts are shown.
const SHOWN: i64 = 7;

impl Decider {
    pub fn new(register: &Register, stratum: Stratum, now: Time) -> Self {
        let stopped_on = register.stoppage(&stratum.mark(), now).map(|entry| entry.body.day.number());
        Self { stratum, stopped_on }
    }
}

impl App {
    /// What the brake has stopped, and where it sees a drift; in the order of bodies and reasons.
    pub fn brakes(&self) -> Result<Vec<BrakeView>, Error> {
        let (brake, register, now) = (self.db.read(restored)?, self.register(), self.now());
        let shown = brake.strata().filter(|(_, gauge)| gauge.stop().is_some() || gauge.drifted().is_some());
        let mut views: Vec<BrakeView> = shown.filter_map(|(stratum, gauge)| view(stratum, gauge)).collect();
        // What the register says is stopped is, though its rows are gone.
        let known: BTreeSet<Digest> = views.iter().filter(|view| view.stopped_on.is_some()).map(|view| view.mark).collect();
        let held: Vec<&Entry<Stoppage>> =
            register.binding_stoppages(now).filter(|entry| !known.contains(&entry.body.mark)).collect();
        views.retain(|view| held.iter().all(|entry| entry.body.mark != view.mark));
        views.extend(held.into_iter().map(|entry| held_view(entry, &brake)));
        for view in &mut views {
            view.leaf = register.stoppage(&view.mark, now).map(|entry| entry.index);
        }
        views.sort_by(|one, other| (&one.body, &one.reason, one.mark.0).cmp(&(&other.body, &other.reason, other.mark.0)));
        Ok(views)
    }

    /// Says in the register what the brake has stopped and the register does not know yet. From then on it is stopped whatever becomes of
    /// the rows. Answers how many.
    pub fn say_stoppages(&self) -> Result<usize, Error> {
        let _guard = self.publishing();
        // An order whose time has come just now is carried out first, or a stop that it has ended would be said anew.
        self.release_brakes()?;
        let (register, now) = (self.register(), self.now());
        let mut statements = Vec::new();
        for (stratum, days) in self.db.read(brakes::stopped)? {
            let Some(day) = Gauge::restore(&days).and_then(|gauge| gauge.stop()).and_then(|stop| Day::from_number(stop.day))
            else {
                continue;
            };
            let mark = stratum.mark();
            if register.stoppage(&mark, now).is_some() {
                continue;
            }
            let body = json!(Stoppage { mark, body: stratum.body().clone(), reason: stratum.reason().to_owned(), day });
            let id = StoppageId::fresh(now, self.rng());
            let mut statement = self.statement(StatementKind::Stoppage, id.as_str(), self.automation.agency(), body, now);
            statement.approve(&self.automation)?;
            statements.push(statement);
        }
        let said = statements.len();
        if said > 0 {
            self.place_statements(statements)?;
        }
        Ok(said)
    }

    /// Days of the last seven on which a mandate was used far more than in the four weeks before it; the newest first.
    pub fn bursts(&self) -> Result<Vec<Burst>, Error> {
        let (register, today) = (self.register(), day(self.now()));
        let window = WINDOW as i64;
        let uses = self.db.read(|conn| tallies::uses_since(conn, today - SHOWN - window))?;
        let mut bursts = Vec::new();
        for (id, entry) in &register.mandates {
            let Some(first) = entry.history.iter().find(|step| step.to == State::Active).map(|step| day(step.at)) else {
                continue;
            };
            let of_day = |day: i64| uses.get(&(entry.number, day)).copied().unwrap_or_default();
            for number in (today - SHOWN + 1..=today).filter(|number| number - first >= i64::from(HISTORY)) {
                let days = (number - first).min(window);
                let sum = (number - days..number).map(of_day).sum();
                if let Some(day) = Day::from_number(number).filter(|_| burst(of_day(number), sum, days.unsigned_abs() as u32)) {
                    bursts.push(Burst { mandate: id.clone(), day, uses: Count::of(of_day(number)) });
                }
            }
        }
        bursts.sort_by_key(|burst| std::cmp::Reverse(burst.day));
        Ok(bursts)
    }

    /// Carries out orders to release, each once. Called when one is published, and now and then for those that bind later.
    pub fn release_brakes(&self) -> Result<usize, Error> {
        let (register, now) = (self.register(), self.now());
        let binds = |(id, entry): &(&OrderId, &usufruct_core::register::Entry<usufruct_core::order::Order>)| {
            entry.body.kind == OrderKind::Release
                && entry.effective_at() <= now
                && register.lifted_at(id).is_none_or(|at| now < at)
        };
        let orders: Vec<(OrderId, Vec<Digest>)> =
            register.orders.iter().filter(binds).map(|(id, entry)| (id.clone(), entry.body.strata.clone())).collect();
        if orders.is_empty() {
            return Ok(0);
        }
        let done = self.db.read(brakes::released)?;
        let mut released = 0;
        for (order, marks) in orders.into_iter().filter(|(order, _)| !done.contains(order)) {
            let target = register.orders.get(&order).map(|entry| entry.body.target.to_string()).unwrap_or_default();
            let overseen: Vec<Digest> = {
                let brake = self.db.read(restored)?;
                // What was stopped after the order was given stays stopped.
                let is_about = |mark: &&Digest| {
                    register.stoppage(mark, now).is_none() && brake.find(mark).is_some_and(|stratum| is_about(stratum, &target))
                };
                marks.iter().filter(is_about).copied().collect()
            };
            released += self.db.transaction("release brake", move |tx| {
                if !brakes::release(tx, &order, now)? {
                    return Ok::<_, Error>(0);
                }
                let mut released = 0;
                for mark in &overseen {
                    let (head, connection) = tx.group_and_connection::<Head>()?;
                    released += usize::from(head.books.release(connection, mark, day(now))?);
                }
                Ok(released)
            })?;
        }
        Ok(released)
    }

    /// Who decides, of officials who work for a service; `None` where no official decides.
    pub(crate) fn decider(
        &self,
        register: &Register,
        service: &ServiceId,
        mandate: &MandateId,
        reason: &str,
        actor: Option<&[u8; 32]>,
    ) -> Result<Option<Decider>, Error> {
        let Some((actor, service)) = actor.zip(register.services.get(service)) else { return Ok(None) };
        let official = masked(&self.vault, actor)?;
        let stratum = Stratum::new(service.body.agency.clone(), &format!("{mandate} {reason}"), [official, official]);
        Ok(Some(Decider::new(register, stratum, self.now())))
    }

    /// Who decides where something is written about a resident in her absence. Without an official it is nobody's decision, which counts
    /// with all others of nobody under the mandate, unless the mandate says that a machine decides by itself.
    pub(crate) fn writer(
        &self,
        register: &Register,
        service: &ServiceId,
        mandate: &MandateId,
        reason: &str,
        actor: Option<&[u8; 32]>,
    ) -> Result<Option<Decider>, Error> {
        if actor.is_some() {
            return self.decider(register, service, mandate, reason, actor);
        }
        let is_by_people =
            register.mandates.get(mandate).is_some_and(|entry| entry.body.automated_decision != AutomatedDecision::Sole);
        let service = register.services.get(service).filter(|_| is_by_people);
        let stratum = service.map(|service| Stratum::of_nobody(service.body.agency.clone(), &format!("{mandate} {reason}")));
        Ok(stratum.map(|stratum| Decider::new(register, stratum, self.now())))
    }

    /// Says a stop in the register that it does not know yet.
    pub(crate) fn say_stoppage_of(&self, decider: &Decider) -> Result<(), Error> {
        if decider.stopped_on.is_none() {
            self.say_stoppages()?;
        }
        Ok(())
    }

    /// Takes a decision about many residents, which counts once. Answers the clause that refuses it where the official is stopped.
    pub(crate) fn brake_decision(
        &self,
        register: &Register,
        service: &ServiceId,
        mandate: &MandateId,
        reason: &str,
        actor: Option<&[u8; 32]>,
    ) -> Result<Vec<Clause>, Error> {
        let Some(decider) = self.decider(register, service, mandate, reason, actor)? else { return Ok(Vec::new()) };
        let (today, counted) = (day(self.now()), decider.clone());
        let taken = self.db.transaction("brake", move |tx| {
            let (head, connection) = tx.group_and_connection::<Head>()?;
            Ok::<_, Error>(head.books.brake(connection, &counted, today)?)
        })?;
        if taken.is_ok() {
            return Ok(Vec::new());
        }
        self.say_stoppage_of(&decider)?;
        Ok(vec![Clause::Brake])
    }
}

/// An official as rows know her. Commitments are made of short words that a thief of the database could try, and this is not.
pub(crate) fn masked(vault: &Vault, official: &[u8]) -> Result<Digest, Error> {
    Ok(Digest(vault.session_mark(&[b"usufruct/brake/v1", official])?))
}

/// Whether an order about `target` reaches a stratum: the mandate under which is decided, or the body for which.
fn is_about(stratum: &Stratum, target: &str) -> bool {
    stratum.body().as_str() == target || stratum.reason().split(' ').next() == Some(target)
}

fn view(stratum: &Stratum, gauge: &Gauge) -> Option<BrakeView> {
    let today = gauge.today();
    Some(BrakeView {
        mark: stratum.mark(),
        body: stratum.body().clone(),
        reason: stratum.reason().to_owned(),
        is_nobody: is_nobody(stratum.body(), stratum.reason(), &stratum.mark()),
        leaf: None,
        stopped_on: gauge.stop().and_then(|stop| Day::from_number(stop.day)),
        drifted_on: gauge.drifted().and_then(Day::from_number),
        day: Day::from_number(today.day)?,
        decisions: Count::of(today.uses.into()),
        refused: Count::of(today.refused.into()),
    })
}

/// What the register says is stopped, with what is left of its counts.
fn held_view(entry: &Entry<Stoppage>, brake: &Brake) -> BrakeView {
    let Stoppage { mark, body, reason, day } = &entry.body;
    let today = brake.find(mark).and_then(|stratum| brake.gauge(stratum)).map(Gauge::today);
    BrakeView {
        mark: *mark,
        body: body.clone(),
        reason: reason.clone(),
        is_nobody: is_nobody(body, reason, mark),
        stopped_on: Some(*day),
        leaf: None,
        drifted_on: None,
        day: today.and_then(|today| Day::from_number(today.day)).unwrap_or(*day),
        decisions: Count::of(today.map_or(0, |today| today.uses.into())),
        refused: Count::of(today.map_or(0, |today| today.refused.into())),
    }
}

fn is_nobody(body: &AgencyId, reason: &str, mark: &Digest) -> bool {
    Stratum::of_nobody(body.clone(), reason).mark() == *mark
}
