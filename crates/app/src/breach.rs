//! Breach: what the machine sees by itself, it says in public at once: answers to deletions that have not come, and counters that do not
//! agree. What follows from it is for people to say.

use serde_json::json;
use usufruct_core::breach::{Breach, BreachCause, BreachKind, BreachState, Reporter, ThreatActor};
use usufruct_core::id::{AgencyId, BreachId, MandateId, ServiceId};
use usufruct_core::incident::{Fault, Incident};
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;
use usufruct_core::source::Source;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::{Text, Time};
use usufruct_store::{breaches, deletions};

use crate::{App, Error, Publication};

impl App {
    /// Opens breaches that the machine sees, tells residents of those for which people have found the words, looks at the log of those that are
    /// contained, and forgets who was told once the law no longer asks for it. Answers how many breaches were opened.
    pub fn run_breaches(&self) -> Result<usize, Error> {
        let seen = self.seen_breaches()?;
        for (id, breach) in &seen {
            let statement = self.say_breach(id.as_str(), breach, breach.aware_at.unwrap_or_else(|| self.now()))?;
            match self.publish(&Publication { statements: vec![statement] }) {
                Ok(_) => {
                    tracing::warn!(breach = %id, cause = breach.cause.code(), "a breach was opened, see `usufruct breach list`");
                }
                // Another process saw it first.
                Err(Error::Unlawful(_)) if self.register().breaches.contains_key(id) => {}
                Err(error) => return Err(error),
            }
        }
        // Each is done though another fails.
        let outcomes = [self.tell_breaches(), self.check_breach_logs(), self.forget_breaches()];
        outcomes.into_iter().collect::<Result<(), _>>()?;
        Ok(seen.len())
    }

    /// Deletes who was told of breaches whose records no law wants kept any longer. What is public of them stays.
    fn forget_breaches(&self) -> Result<(), Error> {
        let (register, now) = (self.register(), self.now());
        let is_old = |entry: &&Entry<Breach>| register.breach_records_until(entry).is_some_and(|until| until <= now);
        let mut old: Vec<u64> = Vec::new();
        for entry in register.breaches.values().filter(is_old) {
            if self.db.read(|conn| breaches::is_kept(conn, entry.number))? {
                old.push(entry.number);
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        self.db.transaction("forget who was told of breaches", move |tx| {
            old.iter().try_for_each(|number| breaches::purge(tx, *number).map(drop))?;
            Ok::<_, Error>(())
        })
    }

    /// What is to be seen and has not been said.
    fn seen_breaches(&self) -> Result<Vec<(BreachId, Breach)>, Error> {
        let (register, now) = (self.register(), self.now());
        let mut seen = Vec::new();
        for entry in register.undeleted_contracts(now) {
            // Of its end there is one breach, before and after the clock says that the contract is breached.
            let Some(ended_at) = entry.ended_at() else { continue };
            let id = BreachId::of(&format!("contract {} {ended_at}", entry.id));
            let Some(due_at) = entry.deletion_due().filter(|_| !register.breaches.contains_key(&id)) else { continue };
            let facts = Text::new(
                "A contract with a vendor has ended, and the vendor has not said in time that it deleted everything.",
                "委託契約已終止，廠商逾期未聲明已刪除全部資料。",
            );
            let mut breach = unanswered(&entry.body.controller, facts, due_at, now);
            breach.from = entry.body.from;
            breach.contract = entry.id.parse().ok();
            breach.mandates.clone_from(&entry.body.mandates);
            breach.services = services_of(&register, &entry.body.vendor, &breach.mandates);
            seen.push((id, breach));
        }
        for (service, _) in self.db.read(|conn| deletions::overdue_services(conn, now))? {
            if let Some(entry) = register.services.get(&service) {
                seen.extend(self.unanswered_by(&register, &service, entry, now)?);
            }
        }
        for (id, entry) in &register.incidents {
            let breach_id = BreachId::of(id.as_str());
            let is_old = entry.body.ended_at.is_some() || register.breaches.contains_key(&breach_id);
            // Of a source that is silent nothing is known to be missing.
            if !is_old && entry.body.fault != Fault::Silent {
                seen.extend(miscounted(&register, entry, now).map(|breach| (breach_id, breach)));
            }
        }
        Ok(seen.into_iter().map(|(id, breach)| (id, register.with_clocks(breach, None, now))).collect())
    }

    /// What a service has not answered and no breach has been opened for.
    fn unanswered_by(
        &self,
        register: &Register,
        id: &ServiceId,
        entry: &Entry<Service>,
        now: Time,
    ) -> Result<Option<(BreachId, Breach)>, Error> {
        let is_its = |breach: &&Entry<Breach>| {
            breach.body.cause == BreachCause::UnansweredDeletion
                && breach.body.contract.is_none()
                && breach.body.services.contains(id)
        };
        let before: Vec<_> = register.breaches.values().filter(is_its).collect();
        // What falls due while one is open belongs to that one.
        if before.iter().any(|breach| !breach.body.is_closed()) {
            return Ok(None);
        }
        let covered = before.iter().filter_map(|breach| breach.body.until).max().unwrap_or_default();
        let Some(overdue) = self.db.read(|conn| deletions::overdue_after(conn, id, covered, now))? else { return Ok(None) };
        let is_of = |(_, mandate): &(&MandateId, &Entry<_>)| overdue.mandates.contains(&mandate.number);
        let mandates: Vec<_> = register.mandates.iter().filter(is_of).collect();
        let body = mandates.first().map_or(&entry.body.agency, |(_, mandate)| register.principal(entry, mandate));
        // A vendor that works for nobody any more is a matter of whoever runs the pass.
        let operator = register.operator().and_then(|operator| operator.id.parse::<AgencyId>().ok());
        let Some(body) = Some(body.clone()).filter(|body| !register.is_vendor(body)).or(operator) else { return Ok(None) };
        let facts = if overdue.is_altered {
            Text::new(
                "Somebody wrote to the record of what a service was told to delete, so it is not known what the service answered.",
                "通知服務刪除資料之紀錄遭竄改，無從得知該服務之答覆。",
            )
        } else {
            Text::new("A service was told to delete data and has not answered in time.", "服務受通知刪除資料，逾期未回覆。")
        };
        let mut breach = unanswered(&body, facts, overdue.since, now);
        breach.services.push(id.clone());
        breach.mandates = mandates.into_iter().map(|(id, _)| id.clone()).collect();
        Ok(Some((BreachId::of(&format!("deletion {id} {}", before.len())), breach)))
    }

    /// A statement of the machine about a breach.
    pub(crate) fn say_breach(&self, id: &str, breach: &Breach, at: Time) -> Result<Statement, Error> {
        let mut statement = self.statement(StatementKind::Breach, id, self.automation.agency(), json!(breach), at);
        statement.approve(&self.automation)?;
        Ok(statement)
    }
}

fn unanswered(body: &AgencyId, facts: Text, due_at: Time, now: Time) -> Breach {
    Breach {
        body: body.clone(),
        state: BreachState::Detected,
        cause: BreachCause::UnansweredDeletion,
        kinds: vec![BreachKind::Confidentiality],
        threat_actor: ThreatActor::Unknown,
        reporter: Reporter::Machine,
        severity: None,
        title: Text::new("Deletion not confirmed", "未確認刪除"),
        facts,
        first_signal_at: due_at,
        aware_at: Some(now),
        from: due_at,
        until: None,
        mandates: Vec::new(),
        services: Vec::new(),
        blocks: Vec::new(),
        persons_estimate: None,
        records_estimate: None,
        contract: None,
        incident: None,
        unreadable: None,
        consequences: None,
        measures: None,
        advice: None,
        clocks: Vec::new(),
        told: None,
        notices: Vec::new(),
        log_check: None,
        lessons: None,
        closed_at: None,
    }
}

fn miscounted(register: &Register, entry: &Entry<Incident>, now: Time) -> Option<Breach> {
    let incident = &entry.body;
    let body = &register.mandates.get(&incident.mandate)?.body.controller;
    let facts = Text::new(
        "The counters show that the record of uses under a mandate is not whole. What was used is being found out.",
        "計數顯示某授權令之使用紀錄不完整，使用情形查明中。",
    );
    let mut breach = unanswered(body, facts, incident.since, now);
    (breach.cause, breach.kinds) = (BreachCause::Counters, vec![BreachKind::Integrity]);
    breach.title = Text::new("Record of uses not whole", "使用紀錄不完整");
    breach.mandates.push(incident.mandate.clone());
    breach.incident = entry.id.parse().ok();
    if let Source::Service(service) = &incident.source {
        breach.services.push(service.clone());
    }
    Some(breach)
}

/// The services of a vendor under some of these mandates.
fn services_of(register: &Register, vendor: &AgencyId, mandates: &[MandateId]) -> Vec<ServiceId> {
    let works = |service: &Service| service.agency == *vendor && service.mandates.iter().any(|id| mandates.contains(id));
    register.services.iter().filter(|(_, entry)| works(&entry.body)).map(|(id, _)| id.clone()).collect()
}
