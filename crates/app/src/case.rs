//! Cases of a resident: filed about a footprint line, a service or the pass itself, seen by her, and taken to the overseer. Every step is a line
//! in her footprint; what was written is sealed under her own key and stands in no log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use usufruct_core::case::{Case, CaseKind, CaseState, Ground, Misstep, Relief};
use usufruct_core::case_tally::Counted;
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::{AgencyId, BlockId, BreachId, CaseId, ServiceId};
use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_core::{Digest, Time};
use usufruct_store::cases::{self, StoredCase};
use usufruct_store::db::{Connection, Tx};
use usufruct_store::{counter_requests, grants};
use usufruct_vault::{Keyring, Vault};

use crate::actor::{keyring_in, place_by};
use crate::counter::lapsed;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::release::day;
use crate::row_mark::{is_true_case, of_case};
use crate::{Actor, App, Error};

/// What a resident asks for.
#[derive(Clone, Debug)]
pub struct CaseRequest {
    pub about: About,
    pub kind: CaseKind,
    /// In her own words; may be empty.
    pub words: String,
    /// Why, by a word of the list, where she says so.
    pub ground: Option<Ground>,
    /// What she wants to come of it, where she says so.
    pub relief: Option<Relief>,
}

/// What a case is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A line of her footprint, by its number.
    Line(u64),
    /// A service that did not use her data, as one that turned her away.
    Service(ServiceId),
    /// The pass itself: the operator answers.
    Pass,
}

/// A case as the resident sees it.
#[derive(Clone, Debug)]
pub struct FiledCase {
    pub id: CaseId,
    pub line: Option<u64>,
    pub service: Option<ServiceId>,
    /// Who has to answer.
    pub agency: Option<AgencyId>,
    pub overseer: Option<AgencyId>,
    pub case: Case,
    /// What was written, the oldest first.
    pub letters: Vec<Letter>,
}

/// What the law says of one kind of case about something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseTerm {
    pub kind: CaseKind,
    /// Days until the answer is due.
    pub days: i64,
    /// Whether what it is about rests until then.
    pub rests: bool,
}

/// Something that was written in a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    pub by: Party,
    pub at: Time,
    pub text: String,
    /// Why she files it; in the letter by which she does, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<Ground>,
    /// What she wants to come of it; there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relief: Option<Relief>,
}

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The office that answers.
    Office,
    Overseer,
    Resident,
}

/// Which case of whom.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub resident: u64,
    pub id: CaseId,
}

/// One step of a case: what it changes, who wrote what, and what the footprint says.
pub(crate) struct Step<C> {
    /// Changes the case, and answers what the public counts of that.
    pub change: C,
    pub letter: Option<Letter>,
    /// The reason of the line.
    pub reason: &'static str,
    /// Commitment to the official who did it.
    pub official: Option<[u8; 32]>,
    pub actor: Option<Actor>,
}

/// Longest text, in characters.
pub(crate) const MOST_CHARACTERS: usize = 2_000;
/// Cases of one resident that may be open at a time: more than anybody has, fewer than would flood an office.
const MOST_OPEN: usize = 50;
/// Reason of the status line of a case that clerks filed.
const COUNTER_CASE: &str = "counter-case";
/// The file of the house that says that every case has its mark.
const CASES_MARKED: &str = "cases.marked";

impl CaseRequest {
    /// A case in her own words alone.
    pub fn new(about: About, kind: CaseKind, words: impl Into<String>) -> Self {
        Self { about, kind, words: words.into(), ground: None, relief: None }
    }

    /// Why, and what she wants to come of it, each where she says so.
    #[must_use]
    pub fn asking(self, ground: Option<Ground>, relief: Option<Relief>) -> Self {
        Self { ground, relief, ..self }
    }

    /// What is kept of it, under her own key.
    fn letters(&self, at: Time) -> Result<Vec<Letter>, Error> {
        let letter =
            Letter { ground: self.ground, relief: self.relief, ..Letter::new(Party::Resident, at, checked(&self.words)?) };
        let is_empty = letter.text.is_empty() && letter.ground.is_none() && letter.relief.is_none();
        Ok(if is_empty { Vec::new() } else { vec![letter] })
    }
}

impl Letter {
    /// Words alone.
    pub fn new(by: Party, at: Time, text: impl Into<String>) -> Self {
        Self { by, at, text: text.into(), ground: None, relief: None }
    }
}

impl App {
    /// Files a case, by the resident or by a delegate for her.
    pub fn file_case(&self, actor: impl Into<Actor>, request: &CaseRequest) -> Result<FiledCase, Error> {
        self.file(actor.into(), request, None)
    }

    /// Files a case for a resident at a counter, by a request that two clerks have approved and that is used up with it.
    pub(crate) fn file_at_counter(&self, resident: u64, request: &CaseRequest, approved: &str) -> Result<FiledCase, Error> {
        self.file(resident.into(), request, Some(approved.to_owned()))
    }

    fn file(&self, actor: Actor, request: &CaseRequest, approved: Option<String>) -> Result<FiledCase, Error> {
        let resident = actor.resident;
        if let Some(ground) = request.ground {
            ground.require_for(request.kind)?;
        }
        let (register, now) = (self.register(), self.now());
        let event = match request.about {
            About::Line(n) => Some(self.line_event(resident, n)?),
            _ => None,
        };
        let target = Target::of(&register, &request.about, event.flatten().as_ref())?;
        let law = register.law(&target.agency, now);
        let letters = request.letters(now)?;
        let keyring = Arc::new(self.keyring(resident)?);
        let stored = StoredCase {
            resident,
            id: CaseId::fresh(now, self.rng()),
            line: match request.about {
                About::Line(n) => Some(n),
                _ => None,
            },
            mandate: target.mandate.map(|(number, _)| number),
            service: target.service,
            agency: Some(target.agency),
            overseer: target.overseer,
            case: Case::filed(request.kind, &law, target.mandate.is_some(), now),
            sealed: seal(&self.vault, &keyring, &letters, self.rng())?,
            mark: None,
        };
        let stored = marked(&self.vault, stored)?;
        let event = filed_event(&stored, target.mandate.map(|(_, hash)| hash), now);
        let filed = shown(stored.clone(), letters);
        let (rng, vault, counting) = (Arc::clone(&self.rng), Arc::clone(&self.vault), Arc::clone(&self.cases_open));
        self.db.transaction("file case", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            if let Some(id) = &approved {
                if !counter_requests::redeem(tx, id, now)? {
                    return Err(lapsed());
                }
                place(tx, &keyring, plain_event(Kind::Status, COUNTER_CASE, None, now), rng.as_ref())?;
            }
            let open = cases::of_resident(tx, resident)?.into_iter().filter(|stored| stored.case.is_open()).count();
            if open >= MOST_OPEN {
                return Err(Error::refused("Fifty cases of yours are open.", "Wait for an answer before you file another one."));
            }
            cases::put(tx, &stored)?;
            rest(tx, &stored)?;
            note(tx, &stored, Counted::Filed, counting.day(day(now)))?;
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })?;
        Ok(filed)
    }

    /// What a resident can ask for about something, and what the law of the office that answers says of it.
    pub fn case_terms(&self, resident: u64, about: &About) -> Result<Vec<CaseTerm>, Error> {
        let event = match about {
            About::Line(n) => self.line_event(resident, *n)?,
            _ => None,
        };
        let (register, now) = (self.register(), self.now());
        let target = Target::of(&register, about, event.as_ref())?;
        let law = register.law(&target.agency, now);
        let term = |(_, kind): (&str, CaseKind)| CaseTerm {
            kind,
            days: law.days(kind.duty()),
            rests: target.mandate.is_some() && law.suspends(kind.duty()),
        };
        Ok(CaseKind::WORDS.map(term).to_vec())
    }

    /// The resident, or a delegate for her, does not agree with an answer: the overseer decides.
    pub fn complain(&self, actor: impl Into<Actor>, id: &CaseId, words: &str) -> Result<(), Error> {
        let (actor, now) = (actor.into(), self.now());
        let text = checked(words)?.to_owned();
        let place = Place { resident: actor.resident, id: id.clone() };
        let letter = (!text.is_empty()).then(|| Letter::new(Party::Resident, now, text));
        let change = move |stored: &mut StoredCase, register: &Register| {
            if stored.overseer.is_none() {
                return Err(Error::refused(
                    "Nobody oversees this office.",
                    "Go to the court or the authority that the answer names.",
                ));
            }
            let law = register.law(agency(stored)?, now);
            stored.case.complain(&law, stored.mandate.is_some(), now)?;
            Ok(vec![Counted::Complained, Counted::Escalated])
        };
        self.step_case(&place, Step { change, letter, reason: "complained", official: None, actor: Some(actor) }).map(drop)
    }

    /// The resident, or a delegate for her, accepts an answer. What it promises is still owed.
    pub fn settle(&self, actor: impl Into<Actor>, id: &CaseId) -> Result<(), Error> {
        let (actor, now) = (actor.into(), self.now());
        let place = Place { resident: actor.resident, id: id.clone() };
        let change = move |stored: &mut StoredCase, _: &Register| {
            stored.case.settle(now)?;
            Ok(vec![Counted::Settled])
        };
        self.step_case(&place, Step { change, letter: None, reason: "settled", official: None, actor: Some(actor) }).map(drop)
    }

    /// The cases of a resident, newest first.
    pub fn cases(&self, resident: u64) -> Result<Vec<FiledCase>, Error> {
        let keyring = self.keyring(resident)?;
        let stored = self.db.read(|conn| cases::of_resident(conn, resident))?;
        stored
            .into_iter()
            .map(|stored| {
                require_true(&self.vault, &stored)?;
                let letters = open(&self.vault, &keyring, &stored)?;
                Ok(shown(stored, letters))
            })
            .collect()
    }

    /// Takes one step of a case in one transaction: the row, its line, what rests, and the counts.
    pub(crate) fn step_case<C>(&self, place: &Place, step: Step<C>) -> Result<StoredCase, Error>
    where
        C: Fn(&mut StoredCase, &Register) -> Result<Vec<Counted>, Error> + Send + 'static,
    {
        let (now, register, place) = (self.now(), self.register(), place.clone());
        let (vault, rng, counting) = (Arc::clone(&self.vault), Arc::clone(&self.rng), Arc::clone(&self.cases_open));
        self.db.transaction("step case", move |tx| {
            let both = step.actor.as_ref().map(|actor| actor.permit(tx, &vault, now)).transpose()?.flatten();
            let mut stored = cases::find(tx, place.resident, &place.id)?.ok_or(Error::Unknown { what: "case" })?;
            require_true(&vault, &stored)?;
            let before = stored.case.state();
            let counted = (step.change)(&mut stored, &register)?;
            let came = Some(stored.case.state()).filter(|state| *state != before).and_then(counted_as);
            let keyring = keyring_in(tx, &vault, place.resident)?;
            if let Some(letter) = &step.letter {
                let mut letters = open(&vault, &keyring, &stored)?;
                letters.push(letter.clone());
                stored.sealed = seal(&vault, &keyring, &letters, rng.as_ref())?;
            }
            let stored = marked(&vault, stored)?;
            cases::put(tx, &stored)?;
            rest(tx, &stored)?;
            counted.into_iter().chain(came).try_for_each(|what| note(tx, &stored, what, counting.day(day(now))))?;
            let mut event = event(Kind::Case, step.reason, &stored, mandate_hash(&register, &stored), now);
            event.actor = step.official;
            place_by(tx, &keyring, event, both.as_ref(), rng.as_ref())?;
            Ok(stored)
        })
    }

    /// The event of a footprint line; `None` where it opens no more.
    fn line_event(&self, resident: u64, n: u64) -> Result<Option<Event>, Error> {
        let mut lines = self.footprint(resident)?.lines.into_iter();
        let line = lines.find(|line| line.n == n).ok_or(Error::Unknown { what: "line in your footprint" })?;
        Ok(line.event)
    }

    /// Gives cases from before there were marks theirs, and says which office has to answer; once in the life of a house.
    pub(crate) fn mark_old_cases(&self) -> Result<(), Error> {
        if !self.house.secrets(CASES_MARKED)?.is_empty() {
            return Ok(());
        }
        loop {
            let part = self.db.read(|conn| cases::unmarked(conn, PART))?;
            if part.is_empty() {
                break;
            }
            let register = self.register();
            let mut done = Vec::with_capacity(part.len());
            for old in part {
                done.push(self.renewed(&register, old)?);
            }
            self.db.transaction("mark cases", move |tx| {
                done.iter().try_for_each(|done| match done {
                    Ok(stored) => cases::put(tx, stored),
                    Err(gone) => cases::purge_resident(tx, *gone).map(drop),
                })
            })?;
        }
        self.house.secret(CASES_MARKED, Vec::new).map(drop)
    }

    /// A case from before there were marks as it is kept now; the resident where she was erased.
    fn renewed(&self, register: &Register, old: StoredCase) -> Result<Result<StoredCase, u64>, Error> {
        let resident = old.resident;
        let keyring = match self.keyring(resident) {
            Err(Error::Vault(usufruct_vault::Error::NoKey { .. })) => return Ok(Err(resident)),
            keyring => keyring?,
        };
        let event = old.line.map(|n| self.line_event(resident, n)).transpose()?.flatten();
        let target = Target::of(register, &About::Line(old.line.unwrap_or_default()), event.as_ref())?;
        let letters = open(&self.vault, &keyring, &old)?;
        let stored = StoredCase {
            mandate: target.mandate.map(|(number, _)| number),
            service: target.service,
            agency: Some(target.agency),
            overseer: target.overseer,
            sealed: seal(&self.vault, &keyring, &letters, self.rng())?,
            ..old
        };
        marked(&self.vault, stored).map(Ok)
    }
}

/// Whom a case concerns.
struct Target {
    /// Number and revision hash.
    mandate: Option<(u64, Digest)>,
    service: Option<ServiceId>,
    agency: AgencyId,
    overseer: Option<AgencyId>,
}

impl Target {
    /// The office that answers: the one that the mandate of a line names, else the body of the service, else whoever runs the pass.
    fn of(register: &Register, about: &About, event: Option<&Event>) -> Result<Self, Error> {
        let service = match about {
            About::Service(id) => {
                register.services.get(id).ok_or(Error::Unknown { what: "service" })?;
                Some(id.clone())
            }
            _ => event.and_then(|event| event.service.clone()),
        };
        let mandate = event.and_then(|event| Some((register.revision(event.mandate.as_ref()?)?.0, event.mandate?)));
        let entry = service.as_ref().and_then(|id| register.services.get(id));
        let first = entry.and_then(|entry| register.mandates.get(entry.body.mandates.first()?));
        let of_service = entry.map(|entry| match first {
            Some(mandate) => register.principal(entry, mandate).clone(),
            None => entry.body.agency.clone(),
        });
        let breach = event.filter(|event| event.kind == Kind::Breach).and_then(|event| event.detail.as_ref()?.parse().ok());
        let of_breach = breach.and_then(|id: BreachId| Some(register.breaches.get(&id)?.body.body.clone()));
        let operator = || register.operator().and_then(|entry| entry.id.parse().ok());
        let agency = mandate.map(|(entry, _)| entry.body.controller.clone()).or(of_service).or(of_breach).or_else(operator);
        let agency = agency.ok_or(Error::Unknown { what: "office that could answer" })?;
        let of_mandate = mandate.map(|(entry, _)| entry).or(first).map(|entry| entry.body.oversight_body.clone());
        let overseer = of_mandate.filter(|id| register.agencies.contains_key(id)).or_else(|| register.overseer(&agency));
        Ok(Self { mandate: mandate.map(|(entry, hash)| (entry.number, hash)), service, agency, overseer })
    }
}

/// Decisions on what rests now are made anew.
fn rest(tx: &mut dyn Connection, stored: &StoredCase) -> Result<(), Error> {
    if let Some(mandate) = stored.mandate.filter(|_| stored.case.suspends) {
        grants::revise(tx, stored.resident, mandate)?;
    }
    Ok(())
}

/// What was stopped for good goes on where she herself agrees anew.
pub(crate) fn rest_no_more(tx: &mut Tx<'_>, vault: &Vault, resident: u64, mandate: u64) -> Result<(), Error> {
    for mut stored in cases::of_resident(tx, resident)? {
        if stored.mandate == Some(mandate) && stored.case.suspends && !stored.case.is_open() {
            require_true(vault, &stored)?;
            stored.case.suspends = false;
            cases::put(tx, &marked(vault, stored)?)?;
        }
    }
    Ok(())
}

/// Counts something for the public, on a day counted from 1970.
fn note(conn: &mut dyn Connection, stored: &StoredCase, what: Counted, day: i64) -> Result<(), Error> {
    Ok(cases::count(conn, agency(stored)?, stored.case.kind, what, day)?)
}

/// The office that has to answer.
pub(crate) fn agency(stored: &StoredCase) -> Result<&AgencyId, Error> {
    stored.agency.as_ref().ok_or(Error::Unknown { what: "office that could answer" })
}

/// Whether this house wrote the row as it stands there: what was changed behind its back moves nothing.
pub(crate) fn require_true(vault: &Vault, stored: &StoredCase) -> Result<(), Error> {
    if is_true_case(vault, stored)? {
        return Ok(());
    }
    Err(Error::refused(
        "A case was changed in the database by somebody else.",
        "Tell the operator; the footprint has every step.",
    ))
}

fn marked(vault: &Vault, stored: StoredCase) -> Result<StoredCase, Error> {
    let mark = Some(of_case(vault, &stored)?);
    Ok(StoredCase { mark, ..stored })
}

fn filed_event(stored: &StoredCase, mandate: Option<Digest>, now: Time) -> Event {
    match stored.case.kind {
        CaseKind::Challenge => event(Kind::Objection, "objection", stored, mandate, now),
        kind => event(Kind::Case, kind.code(), stored, mandate, now),
    }
}

fn event(kind: Kind, reason: &str, stored: &StoredCase, mandate: Option<Digest>, now: Time) -> Event {
    let mut event = plain_event(kind, reason, Some(stored.id.to_string()), now);
    (event.mandate, event.service) = (mandate, stored.service.clone());
    event
}

fn mandate_hash(register: &Register, stored: &StoredCase) -> Option<Digest> {
    let number = stored.mandate?;
    register.mandates.values().find(|entry| entry.number == number).map(|entry| entry.hash)
}

fn shown(stored: StoredCase, letters: Vec<Letter>) -> FiledCase {
    let StoredCase { id, line, service, agency, overseer, case, .. } = stored;
    FiledCase { id, line, service, agency, overseer, case, letters }
}

pub(crate) fn checked(text: &str) -> Result<&str, Error> {
    let text = text.trim();
    if text.chars().count() > MOST_CHARACTERS {
        return Err(Error::refused("The text is longer than 2,000 characters.", "Shorten it; you can send more later."));
    }
    Ok(text)
}

fn seal(vault: &Vault, keyring: &Keyring, letters: &[Letter], rng: &dyn Rng) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(letters).map_err(|error| Error::Corrupt { what: format!("a case: {error}") })?;
    Ok(vault.seal_own(keyring, &words_block()?, &json, rng)?)
}

pub(crate) fn open(vault: &Vault, keyring: &Keyring, stored: &StoredCase) -> Result<Vec<Letter>, Error> {
    let opened = vault.open_own(keyring, &words_block()?, &stored.sealed)?;
    Ok(letters(&opened, stored.case.filed_at))
}

/// What was written. Before there were answers it was the words of the resident alone, as they are.
fn letters(opened: &[u8], filed_at: Time) -> Vec<Letter> {
    serde_json::from_slice(opened).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(opened).into_owned();
        if text.is_empty() { Vec::new() } else { vec![Letter::new(Party::Resident, filed_at, text)] }
    })
}

/// Name under which what was written is sealed. No data block of the register has it: it lies in a reserved form.
fn words_block() -> Result<BlockId, Error> {
    "blk_case-words".parse().map_err(|_| Error::Unknown { what: "block" })
}

impl From<Misstep> for Error {
    fn from(misstep: Misstep) -> Self {
        let text = misstep.to_string();
        let (what, remedy) = text.split_once(". ").unwrap_or((&text, ""));
        Self::refused(&format!("{what}."), remedy)
    }
}

/// What is counted of a case that came to a state of what was promised or ordered.
fn counted_as(state: CaseState) -> Option<Counted> {
    match state {
        CaseState::RemedyDue => Some(Counted::RemedyDue),
        CaseState::Closed => Some(Counted::Closed),
        _ => None,
    }
}

/// Old cases handled in one transaction.
const PART: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_before_there_were_answers_are_a_letter_of_hers() {
        let at = Time::from_micros(1);
        let letter = |text: &str| Letter::new(Party::Resident, at, text);
        assert_eq!(letters(b"[] I was not there.", at), [letter("[] I was not there.")]);
        assert_eq!(letters(b"", at), []);
        let both = vec![letter("One."), Letter { by: Party::Office, ..letter("Two.") }];
        assert_eq!(letters(&serde_json::to_vec(&both).unwrap(), Time::default()), both);
    }
}
