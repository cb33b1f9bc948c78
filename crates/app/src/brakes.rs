//! The burst brake: which officials it has stopped, and their release by an order of the oversight body.

use usufruct_core::Digest;
use usufruct_core::brake::{Gauge, Stratum};
use usufruct_core::decide::Clause;
use usufruct_core::id::{AgencyId, MandateId, OrderId, ServiceId};
use usufruct_core::order::OrderKind;
use usufruct_core::register::Register;
use usufruct_core::tally::{Count, Day};
use usufruct_store::brakes;
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
    /// Since which day it is stopped.
    pub stopped_on: Option<Day>,
    /// The day on which a slow drift was seen; nothing is stopped by it.
    pub drifted_on: Option<Day>,
    /// Decisions on the last day with any, and how many of them were refused.
    pub day: Day,
    pub decisions: Count,
    pub refused: Count,
}

impl App {
    /// What the brake has stopped, and where it sees a drift; in the order of bodies and reasons.
    pub fn brakes(&self) -> Result<Vec<BrakeView>, Error> {
        let brake = self.db.read(restored)?;
        let views = brake.strata().filter(|(_, gauge)| gauge.stop().is_some() || gauge.drifted().is_some());
        Ok(views.filter_map(|(stratum, gauge)| view(stratum, gauge)).collect())
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
                let is_about = |mark: &&Digest| brake.find(mark).is_some_and(|stratum| is_about(stratum, &target));
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

    /// The stratum of a decision of an official who works for a service; `None` where no official decides.
    pub(crate) fn stratum(
        &self,
        register: &Register,
        service: &ServiceId,
        mandate: &MandateId,
        reason: &str,
        actor: Option<&[u8; 32]>,
    ) -> Result<Option<Stratum>, Error> {
        let Some((actor, service)) = actor.zip(register.services.get(service)) else { return Ok(None) };
        let official = masked(&self.vault, actor)?;
        Ok(Some(Stratum::new(service.body.agency.clone(), &format!("{mandate} {reason}"), [official, official])))
    }

    /// Takes a decision about many residents, which counts once, or refuses it because the official is stopped.
    pub(crate) fn brake_decision(
        &self,
        register: &Register,
        service: &ServiceId,
        mandate: &MandateId,
        reason: &str,
        actor: Option<&[u8; 32]>,
    ) -> Result<(), Error> {
        let Some(stratum) = self.stratum(register, service, mandate, reason, actor)? else { return Ok(()) };
        let today = day(self.now());
        let taken = self.db.transaction("brake", move |tx| {
            let (head, connection) = tx.group_and_connection::<Head>()?;
            Ok::<_, Error>(head.books.brake(connection, &stratum, today)?)
        })?;
        taken.map_err(|_| Error::Unpermitted(vec![Clause::Brake]))
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
        stopped_on: gauge.stop().and_then(|stop| Day::from_number(stop.day)),
        drifted_on: gauge.drifted().and_then(Day::from_number),
        day: Day::from_number(today.day)?,
        decisions: Count::of(today.uses.into()),
        refused: Count::of(today.refused.into()),
    })
}
