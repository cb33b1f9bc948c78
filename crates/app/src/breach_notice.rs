//! Tell residents of a breach: each of whom the log says that her data is concerned gets a line in her footprint, once, and the register says how
//! many they were.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use usufruct_core::breach::{Breach, BreachCause, ClockAnswer, Told};
use usufruct_core::delay::Week;
use usufruct_core::document::Document;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::{BlockId, BreachId};
use usufruct_core::lawpack::Duty;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::{Entry, Register};
use usufruct_core::tally::Count;
use usufruct_core::{Digest, Text, Time};
use usufruct_store::breaches::{self, Channel, Done, Walk};
use usufruct_store::db::Tx;
use usufruct_store::{deletions, passkeys, residents};
use usufruct_vault::{Error as VaultError, Vault};

use crate::actor::keyring_in;
use crate::delayed::is_covert;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::{App, Error, Publication};

/// A breach of which a resident was told.
#[derive(Clone, Debug)]
pub struct BreachNotice {
    pub id: BreachId,
    pub breach: Breach,
    pub told_at: Time,
    /// Her blocks that are concerned, each once.
    pub blocks: Vec<BlockId>,
}

/// Whom a breach concerns, in numbers as they may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerned {
    pub residents: Count,
    pub blocks: BTreeSet<BlockId>,
}

/// A resident whom a breach concerns, and her blocks.
type Hit = (u64, Vec<(BlockId, Form)>);

impl App {
    /// The breaches of which a resident was told, the newest first.
    pub fn breach_notices(&self, resident: u64) -> Result<Vec<BreachNotice>, Error> {
        let register = self.register();
        let told = self.db.read(|conn| breaches::of_resident(conn, resident))?;
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let lines = self.footprint(resident)?.lines;
        let notice = |(number, told_at): (u64, Time)| {
            let (id, entry) = register.breaches.iter().find(|(_, entry)| entry.number == number)?;
            let is_it = |event: &&Event| event.kind == Kind::Breach && event.detail.as_deref() == Some(id.as_str());
            let events = lines.iter().filter_map(|line| line.event.as_ref()).filter(is_it);
            let blocks: BTreeSet<BlockId> = events.flat_map(|event| &event.blocks).map(|(block, _)| block.clone()).collect();
            let blocks = blocks.into_iter().collect();
            Some(BreachNotice { id: id.clone(), breach: entry.body.clone(), told_at, blocks })
        };
        Ok(told.into_iter().filter_map(notice).collect())
    }

    /// Up to a thousand residents after `after` who were told of a breach and have no passkey: for whoever posts letters. The numbers are those
    /// under which the office files them.
    pub fn breach_letters(&self, id: &BreachId, after: Option<u64>) -> Result<Vec<u64>, Error> {
        let register = self.register();
        let number = register.breaches.get(id).ok_or(Error::Unknown { what: "breach" })?.number;
        Ok(self.db.read(|conn| breaches::by_courier(conn, number, after, LETTERS))?)
    }

    /// Whom a breach concerns, whether or not anybody is told: counted in the log as it is now. Reads the lines of all residents.
    pub fn concerned(&self, breach: &Breach) -> Result<Concerned, Error> {
        let register = self.register();
        let (mut count, mut blocks, mut after) = (0, BTreeSet::new(), None);
        loop {
            let part = self.db.read(|conn| residents::list(conn, after, PART))?;
            let Some(last) = part.last().copied() else { break };
            for (_, hers) in self.hits(&register, breach, &part)? {
                count += 1;
                blocks.extend(hers.into_iter().map(|(block, _)| block));
            }
            after = Some(last);
        }
        Ok(Concerned { residents: Count::of(count), blocks })
    }

    /// Goes on with telling residents of breaches for which people have found the words, and says in the register when a walk is done. A line that
    /// opens later is looked at when it opens, also when the breach is closed by then.
    pub(crate) fn tell_breaches(&self) -> Result<(), Error> {
        let (register, week) = (self.register(), Week::of(self.now()));
        for entry in register.breaches.values().filter(|entry| entry.body.advice.is_some()) {
            let (scope, number) = (scope(&entry.body), entry.number);
            let known = self.db.read(|conn| breaches::walk(conn, number))?;
            let walked = known.as_ref().map(|walk| walk.week);
            let goes_on = !entry.body.is_closed() || walked.is_some_and(|walked| opens_after(&register, &entry.body, walked));
            if !goes_on {
                continue;
            }
            let is_new_week = walked.is_some_and(|walked| walked < week && opens_after(&register, &entry.body, walked));
            let known = known.filter(|walk| walk.scope == scope && !is_new_week);
            let begin = || Walk { breach: number, scope, after: None, blocks: BTreeSet::new(), done: Done::GoesOn, week };
            let mut walk = known.unwrap_or_else(begin);
            while walk.done == Done::GoesOn {
                walk = self.tell_part(&register, entry, walk)?;
            }
            if walk.done == Done::Walked {
                self.say_told(entry, walk)?;
            }
        }
        Ok(())
    }

    /// Tells those of the next residents whom it concerns, and moves on, in one transaction. After a crash it is as if it had not begun, or done.
    fn tell_part(&self, register: &Register, entry: &Entry<Breach>, mut walk: Walk) -> Result<Walk, Error> {
        let part = self.db.read(|conn| residents::list(conn, walk.after, PART))?;
        match part.last() {
            Some(last) => walk.after = Some(*last),
            None => walk.done = Done::Walked,
        }
        let hits = self.hits(register, &entry.body, &part)?;
        walk.blocks.extend(hits.iter().flat_map(|(_, hers)| hers).map(|(block, _)| block.clone()));
        let (now, id, number) = (self.now(), entry.id.clone(), entry.number);
        let (vault, rng, next) = (Arc::clone(&self.vault), Arc::clone(&self.rng), walk.clone());
        self.db.transaction("tell breach", move |tx| {
            for (resident, hers) in &hits {
                let mut event = plain_event(Kind::Breach, REASON, Some(id.clone()), now);
                event.blocks.clone_from(hers);
                tell(tx, &vault, *resident, number, event, rng.as_ref())?;
            }
            Ok::<_, Error>(breaches::put_walk(tx, &next)?)
        })?;
        Ok(walk)
    }

    /// Says how many were told. Where all of them have a passkey they are told by it, and the clocks that ask for that are answered.
    fn say_told(&self, entry: &Entry<Breach>, walk: Walk) -> Result<(), Error> {
        let now = self.now();
        // Of a closed breach no more is said: who is told later is not counted.
        if entry.body.is_closed() {
            return self.note_said(walk);
        }
        let (residents, by_courier) = self.db.read(|conn| breaches::told(conn, walk.breach))?;
        let blocks = i64::try_from(walk.blocks.len()).unwrap_or(i64::MAX);
        let told =
            Told { at: now, residents: Count::of(residents), by_courier: Count::of(by_courier), blocks, words: entry.hash };
        let mut breach = entry.body.clone();
        if told.is_all_in_pass() {
            let title = Text::new("The notice in the pass", "平台內之通知");
            let proof = Document { title, sha256: entry.hash, url: None };
            let answer = ClockAnswer { at: now, proof: Some(proof), reason: None };
            // Why it was late is for people to say.
            let asked = |clock: &usufruct_core::breach::LegalClock| {
                clock.duty == Duty::TellPersons && clock.answer.is_none() && now <= clock.due_at
            };
            for clock in breach.clocks.iter_mut().filter(|clock| asked(clock)) {
                clock.answer = Some(answer.clone());
            }
        }
        if !breach.told.as_ref().is_some_and(|before| hides(before, &told)) {
            breach.told = Some(told);
            let statement = self.say_breach(&entry.id, &breach, now)?;
            self.publish(&Publication { statements: vec![statement] })?;
        }
        self.note_said(walk)
    }

    fn note_said(&self, walk: Walk) -> Result<(), Error> {
        let said = Walk { done: Done::Said, ..walk };
        self.db.transaction("note that all are told", move |tx| Ok::<_, Error>(breaches::put_walk(tx, &said)?))
    }

    /// Those of `part` whom a breach concerns.
    fn hits(&self, register: &Register, breach: &Breach, part: &[u64]) -> Result<Vec<Hit>, Error> {
        let unanswered = self.unanswered(register, breach)?;
        let mut hits = Vec::new();
        for resident in part {
            let hit = match &unanswered {
                Some(whole) => self.hit_by_silence(register, breach, whole, *resident),
                None => self.hit(register, breach, *resident),
            };
            match hit {
                Ok(hit) => hits.extend(hit.map(|blocks| (*resident, blocks))),
                // She was erased meanwhile.
                Err(Error::Vault(VaultError::NoKey { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(hits)
    }

    /// The blocks of a resident that a breach concerns, by her lines in the log. Where one of them opens no more, what she lent decides.
    fn hit(&self, register: &Register, breach: &Breach, resident: u64) -> Result<Option<Vec<(BlockId, Form)>>, Error> {
        let mut found: Option<BTreeSet<(BlockId, Form)>> = None;
        let mut is_damaged = false;
        for event in self.whole_events(resident)? {
            let Some(event) = &event else {
                is_damaged = true;
                continue;
            };
            if let Some(blocks) = register.concerned(breach, event) {
                found.get_or_insert_default().extend(blocks.into_iter().cloned());
            }
        }
        if is_damaged {
            let is_concerned = |id: &usufruct_core::id::MandateId| register.mandates.get(id).map(|entry| entry.number);
            let numbers: BTreeSet<u64> = breach.mandates.iter().filter_map(is_concerned).collect();
            for stored in self.grants(resident)?.into_iter().filter(|stored| stored.grant.was_given()) {
                let is_then = breach.until.is_none_or(|until| stored.grant.given_at <= until);
                if is_then && numbers.contains(&stored.mandate) {
                    let blocks = stored.grant.blocks.into_iter().map(|block| (block, Form::Value));
                    found.get_or_insert_default().extend(blocks);
                }
            }
        }
        Ok(found.map(|blocks| blocks.into_iter().collect()))
    }

    /// For a breach that services have not answered what they were told to delete: the same breach over all that they were given under mandates
    /// of which they had to delete everything; `None` where it is another breach, or one of a contract, which names what was given.
    fn unanswered(&self, register: &Register, breach: &Breach) -> Result<Option<Breach>, Error> {
        if breach.cause != BreachCause::UnansweredDeletion || breach.contract.is_some() {
            return Ok(None);
        }
        let (from, until) = (breach.from, breach.until.unwrap_or(self.now()));
        let mut whole = Breach { mandates: Vec::new(), from: Time::default(), until: None, ..breach.clone() };
        for service in &breach.services {
            let numbers = self.db.read(|conn| deletions::missed_mandates(conn, service, from, until))?;
            let is_of = |entry: &Entry<_>| numbers.contains(&entry.number);
            whole.mandates.extend(register.mandates.iter().filter(|(_, entry)| is_of(entry)).map(|(id, _)| id.clone()));
        }
        Ok(Some(whole))
    }

    /// Whether services did not answer about this resident, or about everything under a mandate of hers.
    fn hit_by_silence(
        &self,
        register: &Register,
        breach: &Breach,
        whole: &Breach,
        resident: u64,
    ) -> Result<Option<Vec<(BlockId, Form)>>, Error> {
        let until = breach.until.unwrap_or(self.now());
        let is_named = self.db.read(|conn| {
            let mut services = breach.services.iter();
            services.try_fold(false, |is_named, id| {
                Ok::<_, Error>(is_named || deletions::has_missed(conn, resident, id, breach.from, until)?)
            })
        })?;
        if is_named {
            // Everything that these services got of hers.
            let all = Breach { mandates: Vec::new(), from: Time::default(), until: None, ..breach.clone() };
            return Ok(Some(self.hit(register, &all, resident)?.unwrap_or_default()));
        }
        if whole.mandates.is_empty() { Ok(None) } else { self.hit(register, whole, resident) }
    }
}

/// Whether saying `told` after `before` would tell apart how many lines have opened in between, fewer than a count that may be published.
fn hides(before: &Told, told: &Told) -> bool {
    let (before, now) = (before.residents, told.residents);
    now == before || now != Count::Few && now.least().saturating_sub(before.most()) <= Count::Few.most()
}

/// Notes that a resident is told, and places the line that tells her, unless she was told before or is gone.
fn tell(
    tx: &mut Tx<'_>,
    vault: &Vault,
    resident: u64,
    breach: u64,
    event: Event,
    rng: &dyn usufruct_core::ports::Rng,
) -> Result<(), Error> {
    let keyring = match keyring_in(tx, vault, resident) {
        Ok(keyring) => keyring,
        Err(Error::Vault(VaultError::NoKey { .. })) => return Ok(()),
        Err(error) => return Err(error),
    };
    let has_passkey = !passkeys::of_resident(tx, resident)?.is_empty();
    let channel = if has_passkey { Channel::Pass } else { Channel::Courier };
    if breaches::tell(tx, resident, breach, channel, event.at)? {
        place(tx, &keyring, event, rng)?;
    }
    Ok(())
}

/// Whether lines of a breach can open after `week` has begun: one of the mandates concerned delays what residents see, or all mandates are.
fn opens_after(register: &Register, breach: &Breach, week: Week) -> bool {
    let is_concerned =
        |entry: &Entry<Mandate>| breach.mandates.is_empty() || breach.mandates.iter().any(|id| id.as_str() == entry.id);
    let covert = register.mandates.values().filter(|entry| is_covert(entry) && is_concerned(entry));
    // A mandate may have delayed longer before its present revision, but never longer than the law lets it.
    let longest = covert.map(|entry| register.law(&entry.body.controller, entry.since).within(Duty::DelayLongest)).max();
    longest.is_some_and(|longest| breach.until.is_none_or(|until| week.begins() <= until.plus(longest)))
}

/// What decides whom a breach concerns.
fn scope(breach: &Breach) -> Digest {
    let scope = json!([breach.mandates, breach.services, breach.blocks, breach.from, breach.until, breach.contract]);
    sha256(scope.to_string().as_bytes())
}

/// Reason of the line that tells a resident.
const REASON: &str = "breach";
/// Residents listed at a time for letters.
const LETTERS: usize = 1_000;
/// Residents looked at, and told, in one transaction.
const PART: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_said_again_only_when_it_has_grown_by_ten() {
        let told = |residents: u64| Told {
            at: Time::default(),
            residents: Count::of(residents),
            by_courier: Count::of(0),
            blocks: 1,
            words: sha256(b"words"),
        };
        for (before, now, is_hidden) in [
            (57, 57, true),
            (57, 58, true),
            (57, 66, true),
            (57, 67, false),
            (0, 1, false),
            (3, 5, true),
            (3, 10, true),
            (3, 19, false),
        ] {
            assert_eq!(hides(&told(before), &told(now)), is_hidden, "{before} to {now}");
        }
    }
}
