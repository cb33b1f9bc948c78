//! The case desk of an office: its officials see what waits for them, take more time, answer and decide, each by a signature over exactly that.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use usufruct_core::case::{Case, CaseKind, CaseState, Finding, Misstep, Remedy};
use usufruct_core::case_tally::Counted;
use usufruct_core::hash::sha256;
use usufruct_core::id::{AgencyId, CaseId, MandateId, OrderId, ServiceId};
use usufruct_core::order::OrderKind;
use usufruct_core::register::Register;
use usufruct_core::statement::Approval;
use usufruct_core::time::HOUR;
use usufruct_core::{Digest, Time};
use usufruct_store::cases::{self, StoredCase};
use usufruct_vault::Error as VaultError;

use crate::app::AUTOMATION;
use crate::brakes::masked;
use crate::case::{Letter, Party, Place, Step, agency, checked, open, require_true};
use crate::counter::needs_passkey;
use crate::{App, Error};

/// What officials of an office do at the desk. They sign its JSON, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskAct {
    pub agency: AgencyId,
    /// When it was signed.
    pub at: Time,
    pub act: Act,
}

/// One of the acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// See what waits.
    List {},
    /// Say, as the office, that it has the case.
    Acknowledge { case: CaseId },
    /// Take more time, once and with a reason.
    Extend { case: CaseId, reasons: String },
    /// Answer, as the office.
    Answer { case: CaseId, finding: Finding, remedy: Option<Remedy>, reasons: String },
    /// Decide, as the overseer; two officials sign. A compensation can name the order that says what and by when in public.
    Decide { case: CaseId, finding: Finding, remedy: Option<Remedy>, reasons: String, order: Option<OrderId> },
    /// Say that people have done what was promised or ordered.
    Remedied { case: CaseId, reasons: String },
}

/// What an office has to do with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// It answers.
    Answer,
    /// It decides, as the overseer.
    Decide,
    /// It does what was promised or ordered.
    Remedy,
    /// Another office answers, and this one sees to it that it does.
    Watch,
}

/// A case as an official sees it. It holds no number of the resident: where her data was used, the name by which the service knows her. Whoever
/// only watches learns what it is about and by when, and neither a word of hers nor a name for her.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskCase {
    pub id: CaseId,
    pub task: Task,
    pub kind: CaseKind,
    /// Who has to answer.
    pub office: AgencyId,
    pub state: String,
    pub filed_at: Time,
    /// By when the office says that it has it; `None` once it has.
    pub acknowledge_due_at: Option<Time>,
    pub due_at: Time,
    /// Whether the office has taken more time.
    pub is_extended: bool,
    pub remedy: Option<Remedy>,
    pub remedy_due_at: Option<Time>,
    pub mandate: Option<MandateId>,
    pub service: Option<ServiceId>,
    /// Her pseudonym at the service, for the office that has to answer.
    pub subject: Option<String>,
    /// Whether everything under the mandate rests until it is decided.
    pub rests: bool,
    pub letters: Vec<Letter>,
}

/// How long an official's signature can be used.
const ACT_LIFE: i64 = HOUR;
/// Cases shown at once.
const MOST_SHOWN: usize = 500;

/// What officials sign: no statement and no request at a counter begins with these words.
pub fn desk_message(origin: &str, said: &str) -> Digest {
    sha256(format!("usufruct/case-desk/v1\n{origin}\n{said}").as_bytes())
}

impl App {
    /// Does what officials signed, and answers what waits for their office after it.
    pub fn act_at_desk(&self, said: &str, approvals: &[Approval]) -> Result<Vec<DeskCase>, Error> {
        let act: DeskAct = serde_json::from_str(said).map_err(|_| Error::Unknown { what: "act at the desk of cases" })?;
        let now = self.now();
        if act.at.plus(ACT_LIFE) < now || act.at > now.plus(ACT_LIFE) {
            return Err(Error::refused("The signature is too old, or the clocks differ.", "Sign it again."));
        }
        let officials = self.officials(&act.agency, said, approvals)?;
        match act.act {
            Act::List {} => {}
            Act::Acknowledge { case } => self.acknowledge_case(&act.agency, &case, &officials)?,
            Act::Extend { case, reasons } => self.extend_case(&act.agency, &case, &reasons, &officials)?,
            Act::Answer { case, finding, remedy, reasons } => {
                self.answer_case(&act.agency, &case, (finding, remedy), &reasons, &officials)?;
            }
            Act::Decide { case, finding, remedy, reasons, order } => {
                self.decide_case(&act.agency, &case, (finding, remedy, order), &reasons, &officials)?;
            }
            Act::Remedied { case, reasons } => self.say_remedied(&act.agency, &case, &reasons, &officials)?,
        }
        self.waiting(&act.agency)
    }

    /// Those who signed, each person once: her public key, or the holder of all her keys. One at least.
    fn officials(&self, office: &AgencyId, said: &str, approvals: &[Approval]) -> Result<Vec<String>, Error> {
        let register = self.register();
        let message = desk_message(&self.config.origin, said);
        let keys = register.agencies.get(office).map(|entry| entry.body.signing_keys.as_slice()).unwrap_or_default();
        let mut officials = BTreeSet::new();
        for approval in approvals {
            let key = keys.iter().find(|key| key.id == approval.key && key.role != AUTOMATION && key.id != AUTOMATION);
            let key = key.filter(|key| approval.agency == *office && approval.verifies(&message, key));
            let key = key.ok_or_else(not_an_official)?;
            if register.refuses_key(office, key, self.now()).is_some() {
                return Err(needs_passkey());
            }
            officials.insert(key.person().to_owned());
        }
        if officials.is_empty() { Err(not_an_official()) } else { Ok(officials.into_iter().collect()) }
    }

    fn acknowledge_case(&self, office: &AgencyId, id: &CaseId, officials: &[String]) -> Result<(), Error> {
        let (place, now, office) = (self.place_of(office, id)?, self.now(), office.clone());
        let change = move |stored: &mut StoredCase, _: &Register| {
            answers(stored, &office)?;
            let before = stored.case.clone();
            stored.case.acknowledge(stored.overseer.is_some(), now)?;
            Ok(acknowledgement(&before, &stored.case, now).into_iter().collect())
        };
        let official = self.masked_official(officials)?;
        self.step_case(&place, Step { change, letter: None, reason: "acknowledged", official, actor: None }).map(drop)
    }

    fn extend_case(&self, office: &AgencyId, id: &CaseId, reasons: &str, officials: &[String]) -> Result<(), Error> {
        let (place, now, office) = (self.place_of(office, id)?, self.now(), office.clone());
        let change = move |stored: &mut StoredCase, register: &Register| {
            answers(stored, &office)?;
            let before = stored.case.clone();
            stored.case.extend(&register.law(&office, now), now)?;
            Ok(acknowledgement(&before, &stored.case, now).into_iter().collect())
        };
        let letter = Some(written(Party::Office, reasons, now)?);
        let official = self.masked_official(officials)?;
        self.step_case(&place, Step { change, letter, reason: "extended", official, actor: None }).map(drop)
    }

    fn answer_case(
        &self,
        office: &AgencyId,
        id: &CaseId,
        (finding, remedy): (Finding, Option<Remedy>),
        reasons: &str,
        officials: &[String],
    ) -> Result<(), Error> {
        let (place, now, office) = (self.place_of(office, id)?, self.now(), office.clone());
        let change = move |stored: &mut StoredCase, register: &Register| {
            answers(stored, &office)?;
            possible(stored, remedy)?;
            let (before, is_overseen) = (stored.case.clone(), stored.overseer.is_some());
            stored.case.answer(finding, remedy, is_overseen, &register.law(&office, now), now)?;
            let when = if before.is_late(now) { Counted::Late } else { Counted::InTime };
            let right = if finding == Finding::Dismissed { Counted::Dismissed } else { Counted::Upheld };
            Ok([when, right].into_iter().chain(acknowledgement(&before, &stored.case, now)).collect())
        };
        let letter = Some(written(Party::Office, reasons, now)?);
        let official = self.masked_official(officials)?;
        let stored = self.step_case(&place, Step { change, letter, reason: "answered", official, actor: None })?;
        self.carry_out(&stored)
    }

    fn decide_case(
        &self,
        office: &AgencyId,
        id: &CaseId,
        (finding, remedy, order): (Finding, Option<Remedy>, Option<OrderId>),
        reasons: &str,
        officials: &[String],
    ) -> Result<(), Error> {
        if officials.len() < 2 {
            return Err(Error::refused("An overseer decides by two officials, and one signed.", "Let another one sign too."));
        }
        let (place, now, office) = (self.place_of(office, id)?, self.now(), office.clone());
        let change = move |stored: &mut StoredCase, register: &Register| {
            if stored.overseer.as_ref() != Some(&office) {
                return Err(Error::Unknown { what: "case at this office" });
            }
            possible(stored, remedy)?;
            let due_at = order.as_ref().map(|order| compensation(register, &office, remedy, order)).transpose()?;
            let law = register.law(agency(stored)?, now);
            stored.case.decide(finding, remedy, &law, now)?;
            if let Some(due_at) = due_at {
                stored.case.remedy_due_at = Some(due_at);
            }
            let right = match finding {
                Finding::Dismissed => Counted::DecidedDismissed,
                Finding::Partly | Finding::Upheld => Counted::DecidedUpheld,
                Finding::Settled => Counted::DecidedSettled,
            };
            Ok(vec![right])
        };
        let letter = Some(written(Party::Overseer, reasons, now)?);
        let official = self.masked_official(officials)?;
        let stored = self.step_case(&place, Step { change, letter, reason: "decided", official, actor: None })?;
        self.carry_out(&stored)
    }

    fn say_remedied(&self, office: &AgencyId, id: &CaseId, reasons: &str, officials: &[String]) -> Result<(), Error> {
        let (place, now, office) = (self.place_of(office, id)?, self.now(), office.clone());
        let change = move |stored: &mut StoredCase, _: &Register| {
            answers(stored, &office)?;
            stored.case.remedied(now)?;
            Ok(Vec::new())
        };
        let letter = Some(written(Party::Office, reasons, now)?);
        let official = self.masked_official(officials)?;
        self.step_case(&place, Step { change, letter, reason: "remedied", official, actor: None }).map(drop)
    }

    /// What waits for an office, and then what it watches as the overseer; of each what is due first comes first. Cases of residents who were
    /// erased meanwhile are none any more.
    pub fn waiting(&self, office: &AgencyId) -> Result<Vec<DeskCase>, Error> {
        let register = self.register();
        let stored = self.db.read(|conn| {
            let mut stored = cases::of_office(conn, office, MOST_SHOWN)?;
            stored.extend(cases::watched(conn, office, MOST_SHOWN)?);
            Ok::<_, Error>(stored)
        })?;
        let mut shown = Vec::with_capacity(stored.len());
        for stored in stored {
            match self.at_desk(&register, office, stored) {
                Ok(case) => shown.push(case),
                Err(Error::Vault(VaultError::NoKey { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(shown)
    }

    fn at_desk(&self, register: &Register, office: &AgencyId, stored: StoredCase) -> Result<DeskCase, Error> {
        require_true(&self.vault, &stored)?;
        let (keyring, task) = (self.keyring(stored.resident)?, task(office, &stored));
        let letters = if task == Task::Watch { Vec::new() } else { open(&self.vault, &keyring, &stored)? };
        let mandate = stored.mandate.and_then(|number| register.mandates.iter().find(|(_, entry)| entry.number == number));
        // A complaint about a service that used nothing names nobody to it.
        let known = stored.service.as_ref().filter(|_| stored.line.is_some() && stored.agency.as_ref() == Some(office));
        let subject = known.and_then(|service| self.subject(stored.resident, service).ok());
        Ok(DeskCase {
            office: agency(&stored)?.clone(),
            id: stored.id,
            task,
            kind: stored.case.kind,
            state: stored.case.state().code().to_owned(),
            filed_at: stored.case.filed_at,
            acknowledge_due_at: stored.case.acknowledge_due_at.filter(|_| stored.case.state() == CaseState::Filed),
            due_at: stored.case.due_at,
            is_extended: stored.case.extended_at.is_some(),
            remedy: stored.case.remedy.filter(|_| stored.case.awaits_remedy()),
            remedy_due_at: stored.case.remedy_due_at.filter(|_| stored.case.awaits_remedy()),
            mandate: mandate.map(|(id, _)| id.clone()),
            service: stored.service,
            subject,
            rests: stored.case.suspends,
            letters,
        })
    }

    fn place_of(&self, office: &AgencyId, id: &CaseId) -> Result<Place, Error> {
        let found = self.db.read(|conn| cases::at_office(conn, office, id))?;
        let found = found.ok_or(Error::Unknown { what: "case at this office" })?;
        Ok(Place { resident: found.resident, id: id.clone() })
    }

    /// Who signed first, as a commitment that nobody else can open.
    fn masked_official(&self, officials: &[String]) -> Result<Option<[u8; 32]>, Error> {
        officials.first().map(|public| Ok(masked(&self.vault, public.as_bytes())?.0)).transpose()
    }
}

/// What an office has to do with a case that waits for it, or that it watches.
fn task(office: &AgencyId, stored: &StoredCase) -> Task {
    let (is_own, is_overseers) = (stored.agency.as_ref() == Some(office), stored.overseer.as_ref() == Some(office));
    match stored.case.state() {
        CaseState::Filed | CaseState::Acknowledged if is_own => Task::Answer,
        CaseState::Escalated if is_overseers => Task::Decide,
        _ if is_own && stored.case.awaits_remedy() => Task::Remedy,
        _ => Task::Watch,
    }
}

/// What is counted when the office does something for the first time; nothing where it had done so before, or nobody asked for it.
fn acknowledgement(before: &Case, after: &Case, now: Time) -> Option<Counted> {
    let is_first = before.acknowledged_at.is_none() && after.acknowledge_due_at.is_some();
    is_first.then(|| if after.is_acknowledged_late(now) { Counted::AcknowledgedLate } else { Counted::Acknowledged })
}

fn answers(stored: &StoredCase, office: &AgencyId) -> Result<(), Error> {
    if agency(stored)? == office { Ok(()) } else { Err(Error::Unknown { what: "case that this office answers" }) }
}

/// The machine stops and deletes what lies under a mandate; anything else people do.
fn possible(stored: &StoredCase, remedy: Option<Remedy>) -> Result<(), Error> {
    if remedy.is_some_and(Remedy::is_by_machine) && stored.mandate.is_none() { Err(Misstep::NoMandate.into()) } else { Ok(()) }
}

/// The day of an order of this overseer to compensate.
fn compensation(register: &Register, overseer: &AgencyId, remedy: Option<Remedy>, order: &OrderId) -> Result<Time, Error> {
    let found = register.orders.get(order).filter(|entry| {
        remedy == Some(Remedy::Compensate) && entry.body.kind == OrderKind::Compensate && entry.body.body == *overseer
    });
    found.and_then(|entry| register.due_at(order, entry)).ok_or_else(|| {
        Error::refused(
            "This is no order of the overseer to compensate, or the remedy is another one.",
            "Publish the order first with `usufruct publish order`, or leave it out.",
        )
    })
}

fn written(by: Party, reasons: &str, at: Time) -> Result<Letter, Error> {
    let text = checked(reasons)?.to_owned();
    if text.is_empty() {
        return Err(Error::refused("There are no reasons.", "Give them in words that the resident understands."));
    }
    Ok(Letter::new(by, at, text))
}

fn not_an_official() -> Error {
    Error::refused(
        "This is not signed by an official of the office.",
        "Sign with the key of a person that stands in the entry of the office in the register.",
    )
}
