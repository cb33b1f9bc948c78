//! The invariants that need the store, over random histories on both databases: what is released stands in the log first, counters have no
//! gap, a resident's scan finds her lines and no other, and what she takes back holds for the next request. Numbered as in docs/law.md.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{City, WATCH, block, library_card, on_both, service, text};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::json;
use usufruct_app::{BatchRequest, Error, FootprintLine, ReleaseRequest};
use usufruct_core::event::{Event, Form, Kind, LEAF_LEN, commitment, leaf, tag};
use usufruct_core::id::MandateId;
use usufruct_core::source::Source;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::HOUR;
use usufruct_store::leaves;
use usufruct_store::residents::ResidentState;

on_both!(
    invariant_01_what_is_released_stands_in_the_log_first,
    invariant_02_the_numbers_of_the_pass_are_its_lines_without_a_gap,
    invariant_03_her_scan_of_the_log_finds_every_line_and_no_other,
    invariant_04_a_batch_is_one_decision_in_the_footprint_of_everybody_in_it,
    invariant_12_what_is_taken_back_holds_for_the_next_request,
);

const WATCHED: &str = "mdt_short";
/// How many residents a history has.
const PEOPLE: usize = 2;

/// What happens in a city.
#[derive(Clone, Debug)]
enum Act {
    Agree(usize),
    /// The order that stands is appealed.
    Appeal,
    Batch,
    /// The machine carries out what was ordered to be deleted.
    CarryOut,
    Deactivate(usize),
    /// An order to delete what is lent under the mandate.
    Delete,
    Lift,
    Pause(usize),
    Reactivate(usize),
    Resume(usize),
    Suspend,
    Use(usize),
    Wait(i64),
    /// A use by the pseudonym that she had before she last withdrew.
    UseByOldName(usize),
    Withdraw(usize),
    WrongReason(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = || 0..PEOPLE;
    let one = prop_oneof![
        4 => who().prop_map(Act::Agree),
        1 => Just(Act::Appeal),
        2 => Just(Act::Batch),
        2 => Just(Act::CarryOut),
        1 => who().prop_map(Act::Deactivate),
        1 => Just(Act::Delete),
        3 => Just(Act::Lift),
        1 => who().prop_map(Act::Pause),
        2 => who().prop_map(Act::Reactivate),
        2 => who().prop_map(Act::Resume),
        1 => Just(Act::Suspend),
        6 => who().prop_map(Act::Use),
        1 => (1i64..30).prop_map(Act::Wait),
        2 => who().prop_map(Act::UseByOldName),
        1 => who().prop_map(Act::Withdraw),
        2 => who().prop_map(Act::WrongReason),
    ];
    prop::collection::vec(one, 1..24)
}

/// A city in which one history after the other is played, and what is known of it without asking it.
struct Town {
    city: City,
    /// Everybody who was ever enrolled.
    all: RefCell<Vec<u64>>,
    orders: Cell<u64>,
    size: Cell<u64>,
}

struct Played<'a> {
    town: &'a Town,
    residents: Vec<u64>,
    agreed: [bool; PEOPLE],
    paused: [bool; PEOPLE],
    active: [bool; PEOPLE],
    old_names: [Option<String>; PEOPLE],
    /// The order that stands.
    order: Option<String>,
    /// Whether an order to delete waits for the machine.
    awaits: bool,
}

/// One request, and what stood before it.
struct Asked {
    who: usize,
    /// Whether the history allows it.
    is_lawful: bool,
    /// Leaf number and receipt of what was released.
    released: Option<(u64, String)>,
    lines_before: usize,
    leaves_before: u64,
}

impl Town {
    fn found(dir: &Path, url: Option<&str>) -> Self {
        let city = City::found(dir, url);
        city.publish_watch();
        let mut watched = library_card();
        watched["oversight_body"] = json!(WATCH);
        city.publish_mandate(WATCHED, watched);
        Self { city, all: RefCell::default(), orders: Cell::new(0), size: Cell::new(0) }
    }

    /// Plays random histories, and lets `look` see every request and `end` every history.
    fn play(
        &self,
        look: impl Fn(&Played<'_>, &Asked) -> Result<(), TestCaseError>,
        end: impl Fn(&Played<'_>) -> Result<(), TestCaseError>,
    ) {
        let config = Config { cases: 10, failure_persistence: None, ..Config::default() };
        // The first histories are the same each time, so that they always come to what a test speaks of.
        let same = TestRng::deterministic_rng(config.rng_algorithm);
        let runners = [TestRunner::new_with_rng(config.clone(), same), TestRunner::new(config)];
        for mut runner in runners {
            let result = runner.run(&acts(), |acts| {
                let mut played = Played::begin(self);
                for act in &acts {
                    if let Some(asked) = played.act(act)? {
                        look(&played, &asked)?;
                    }
                }
                // The next history begins with nothing withheld.
                played.act(&Act::Lift)?;
                played.act(&Act::CarryOut)?;
                end(&played)
            });
            result.unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// How many leaves the log has.
    fn size(&self) -> u64 {
        let known = self.size.get();
        let more = self.city.app.db().read(|conn| leaves::range(conn, known, 1_000_000)).unwrap().len();
        self.size.set(known + more as u64);
        self.size.get()
    }

    fn lines(&self, resident: u64) -> Vec<FootprintLine> {
        self.city.app.footprint(resident).unwrap().lines
    }

    fn events(&self, resident: u64) -> Vec<Event> {
        self.lines(resident).into_iter().filter_map(|line| line.event).collect()
    }

    fn subject(&self, resident: u64) -> String {
        self.city.app.subject(resident, &service()).unwrap()
    }

    fn request(&self, subject: &str) -> ReleaseRequest {
        ReleaseRequest { mandate: mandate(), ..self.city.request(subject) }
    }
}

impl<'a> Played<'a> {
    fn begin(town: &'a Town) -> Self {
        let residents = town.city.enrol(PEOPLE);
        town.all.borrow_mut().extend(&residents);
        Self {
            town,
            residents,
            agreed: [false; PEOPLE],
            paused: [false; PEOPLE],
            active: [true; PEOPLE],
            old_names: Default::default(),
            order: None,
            awaits: false,
        }
    }

    fn is_lawful(&self, who: usize) -> bool {
        self.agreed[who] && !self.paused[who] && self.active[who] && self.order.is_none() && !self.awaits
    }

    /// Asks for the name of `who`, by this pseudonym and for this reason.
    fn ask(&self, who: usize, subject: &str, reason: &str) -> Result<Asked, TestCaseError> {
        let (town, resident) = (self.town, self.residents[who]);
        let (lines_before, leaves_before) = (town.lines(resident).len(), town.size());
        let request = ReleaseRequest { reason: reason.to_owned(), ..town.request(subject) };
        let released = match town.city.app.release(&request) {
            Ok(released) => Some((released.index, released.receipt)),
            Err(Error::Unpermitted(_) | Error::Unknown { .. }) => None,
            Err(other) => return Err(TestCaseError::fail(format!("another error: {other}"))),
        };
        let is_lawful = self.is_lawful(who) && reason == "lending";
        Ok(Asked { who, is_lawful, released, lines_before, leaves_before })
    }

    fn act(&mut self, act: &Act) -> Result<Option<Asked>, TestCaseError> {
        let town = self.town;
        let app = &town.city.app;
        match *act {
            Act::Agree(who) => {
                if app.consent_at_counter(self.residents[who], &service(), &mandate(), &[]).is_ok() {
                    (self.agreed[who], self.paused[who]) = (true, false);
                }
            }
            Act::Appeal => {
                // It stays in force, so nothing of what is lawful changes.
                if let Some(order) = &self.order {
                    let mut body =
                        json!({"body": WATCH, "kind": "suspend", "target": WATCHED, "reasons": text("It was looked into.")});
                    body["appeal_ref"] = json!("Court 2026-4");
                    town.city.watch(StatementKind::Order, order, body, &town.city.watchers()).unwrap();
                }
            }
            Act::Batch => {
                let size_before = town.size();
                let subjects = self.residents.iter().map(|resident| town.subject(*resident)).collect();
                let blocks = vec![(block("name"), Form::Value)];
                let (mandate, reason) = (mandate(), "lending".to_owned());
                let asked = app.release_batch(&BatchRequest {
                    service: service(),
                    mandate,
                    subjects,
                    blocks,
                    reason,
                    actor: None,
                    third_party: false,
                });
                let Ok(answer) = asked else {
                    prop_assert!(self.order.is_some() || self.awaits, "a lawful batch was refused as a whole");
                    return Ok(None);
                };
                for (who, line) in answer.lines.iter().enumerate() {
                    prop_assert_eq!(line.outcome.is_ok(), self.is_lawful(who), "{} in a batch", who);
                    // Whoever was decided about has the line, and what went out is that line.
                    let footprint = app.footprint(self.residents[who]).unwrap();
                    let last = footprint.lines.last().unwrap();
                    let event = last.event.as_ref().unwrap();
                    prop_assert_eq!(event.batch.as_ref().map(|batch| batch.size), Some(PEOPLE as u64));
                    prop_assert!(last.index >= size_before && last.index < town.size());
                    let released = line.outcome.as_ref().ok().map(|released| released.index);
                    prop_assert_eq!(released, (event.kind == Kind::Use).then_some(last.index));
                }
            }
            Act::Deactivate(who) => {
                app.set_active(self.residents[who], ResidentState::Deactivated).unwrap();
                self.active[who] = false;
            }
            Act::Reactivate(who) => {
                app.set_active(self.residents[who], ResidentState::Active).unwrap();
                self.active[who] = true;
            }
            Act::Pause(who) => {
                let is_paused = app.pause(self.residents[who], &mandate()).is_ok();
                prop_assert_eq!(is_paused, self.agreed[who] && !self.paused[who]);
                self.paused[who] |= is_paused;
            }
            Act::Resume(who) => {
                let is_resumed = app.resume(self.residents[who], &mandate()).is_ok();
                prop_assert_eq!(is_resumed, self.paused[who]);
                self.paused[who] = false;
            }
            Act::Delete => {
                self.order("delete", None);
                self.awaits = true;
            }
            Act::CarryOut => {
                app.run_orders().unwrap();
                if std::mem::take(&mut self.awaits) {
                    (self.agreed, self.paused) = ([false; PEOPLE], [false; PEOPLE]);
                }
                // Who agrees after it does not do so in the moment of the order.
                town.city.clock.advance(1);
            }
            Act::Suspend => {
                if self.order.is_none() {
                    self.order = Some(self.order("suspend", None));
                }
            }
            Act::Lift => {
                if let Some(standing) = self.order.take() {
                    self.order("lift", Some(&standing));
                }
            }
            Act::Use(who) => return self.ask(who, &town.subject(self.residents[who]), "lending").map(Some),
            Act::WrongReason(who) => return self.ask(who, &town.subject(self.residents[who]), "curiosity").map(Some),
            Act::UseByOldName(who) => {
                if let Some(name) = &self.old_names[who] {
                    let asked = self.ask(who, name, "lending")?;
                    prop_assert!(asked.released.is_none(), "a pseudonym from before her withdrawal opened something");
                    prop_assert_eq!(town.lines(self.residents[who]).len(), asked.lines_before);
                }
            }
            Act::Wait(hours) => town.city.clock.advance(hours * HOUR),
            Act::Withdraw(who) => {
                let name = town.subject(self.residents[who]);
                if app.withdraw(self.residents[who], &mandate()).is_ok() {
                    (self.agreed[who], self.paused[who]) = (false, false);
                    self.old_names[who] = Some(name);
                }
            }
        }
        Ok(None)
    }

    /// Two people of the overseer give an order about the mandate; its id.
    fn order(&self, kind: &str, lifts: Option<&str>) -> String {
        let town = self.town;
        town.orders.set(town.orders.get() + 1);
        let id = format!("ord_{}", town.orders.get());
        let mut body = json!({"body": WATCH, "kind": kind, "target": WATCHED, "reasons": text("It was looked into.")});
        if kind == "delete" {
            body["comply_by"] = json!(town.city.app.now().plus(24 * HOUR).to_string());
        }
        if let Some(lifts) = lifts {
            body["lifts"] = json!(lifts);
        }
        town.city.watch(StatementKind::Order, &id, body, &town.city.watchers()).unwrap();
        id
    }
}

fn mandate() -> MandateId {
    WATCHED.parse().unwrap()
}

fn nothing(_: &Played<'_>, _: &Asked) -> Result<(), TestCaseError> {
    Ok(())
}

/// What leaves has a line, the line a leaf that was not there before, and the leaf is what the line opens to; what is refused has a line too.
fn invariant_01_what_is_released_stands_in_the_log_first(dir: &Path, url: Option<&str>) {
    let (permitted, refused) = (Cell::new(0), Cell::new(0));
    let town = Town::found(dir, url);
    let look = |played: &Played<'_>, asked: &Asked| {
        let footprint = town.city.app.footprint(played.residents[asked.who]).unwrap();
        let new = &footprint.lines[asked.lines_before..];
        let Some((index, receipt)) = &asked.released else {
            prop_assert!(!asked.is_lawful, "a lawful request was refused");
            let kinds: Vec<_> = new.iter().filter_map(|line| line.event.as_ref()).map(|event| event.kind).collect();
            prop_assert_eq!(kinds, [Kind::Refusal]);
            refused.set(refused.get() + 1);
            return Ok(());
        };
        prop_assert!(asked.is_lawful, "an unlawful request was permitted");
        let [line] = new else { return Err(TestCaseError::fail("not one line of one use")) };
        prop_assert_eq!((line.index, line.event.as_ref().map(|event| event.kind)), (*index, Some(Kind::Use)));
        prop_assert!(*index >= asked.leaves_before && *index < town.size());
        let stored = town.city.app.db().read(|conn| leaves::range(conn, *index, 1)).unwrap();
        let mark = tag(&footprint.tag_key, line.n);
        prop_assert_eq!(&stored[0], &(*index, leaf(&commitment(&line.opening, &line.encoded), &mark).to_vec()));
        prop_assert!(receipt.contains(&format!("\n{index}\n")), "the receipt names another entry");
        permitted.set(permitted.get() + 1);
        Ok(())
    };
    town.play(look, |_| Ok(()));
    assert!(permitted.get() > 0 && refused.get() > 0, "{} permitted, {} refused", permitted.get(), refused.get());
}

fn invariant_02_the_numbers_of_the_pass_are_its_lines_without_a_gap(dir: &Path, url: Option<&str>) {
    let town = Town::found(dir, url);
    town.play(nothing, |_| {
        let events = town.all.borrow().iter().flat_map(|resident| town.events(*resident)).collect::<Vec<_>>();
        let counted = events.iter().filter(|event| matches!(event.kind, Kind::Use | Kind::Refusal));
        let marks = events.iter().filter_map(|event| event.source.as_ref()).filter(|mark| mark.source == Source::Pass);
        let mut numbers: Vec<u64> = marks.map(|mark| mark.number).collect();
        numbers.sort_unstable();
        prop_assert_eq!(&numbers, &(1..=counted.count() as u64).collect::<Vec<_>>());
        Ok(())
    });
}

fn invariant_03_her_scan_of_the_log_finds_every_line_and_no_other(dir: &Path, url: Option<&str>) {
    let town = Town::found(dir, url);
    town.play(nothing, |played| {
        let all = town.city.app.db().read(|conn| leaves::range(conn, 0, 1_000_000)).unwrap();
        let events = all.iter().filter(|(_, leaf)| leaf.len() == LEAF_LEN && leaf[..2] == [1, 2]);
        let mut places = BTreeMap::<&[u8], Vec<u64>>::new();
        for (index, leaf) in events {
            places.entry(&leaf[34..]).or_default().push(*index);
        }
        for resident in &played.residents {
            let footprint = town.city.app.footprint(*resident).unwrap();
            let found = |n: u64| places.get(&tag(&footprint.tag_key, n)[..]).cloned().unwrap_or_default();
            for (n, line) in footprint.lines.iter().enumerate() {
                prop_assert_eq!((line.n, found(line.n)), (n as u64, vec![line.index]));
            }
            let beyond = footprint.lines.len() as u64;
            prop_assert!((beyond..beyond + 32).all(|n| found(n).is_empty()), "the log has a line that she is not shown");
        }
        Ok(())
    });
}

fn invariant_04_a_batch_is_one_decision_in_the_footprint_of_everybody_in_it(dir: &Path, url: Option<&str>) {
    let seen = Cell::new(0);
    let town = Town::found(dir, url);
    town.play(nothing, |played| {
        let mut named = BTreeMap::<[u8; 16], Vec<u64>>::new();
        for resident in &played.residents {
            for batch in town.events(*resident).into_iter().filter_map(|event| event.batch) {
                prop_assert_eq!(batch.size, PEOPLE as u64);
                named.entry(batch.id).or_default().push(*resident);
            }
        }
        for people in named.values() {
            prop_assert_eq!(people, &played.residents, "somebody in the batch has no line of it, or two");
        }
        seen.set(seen.get() + named.len());
        Ok(())
    });
    assert!(seen.get() > 0, "no batch was ever made");
}

/// The clock of these histories stands still but for the waiting, so "the next" is the same moment.
fn invariant_12_what_is_taken_back_holds_for_the_next_request(dir: &Path, url: Option<&str>) {
    let taken_back = Cell::new(0);
    let town = Town::found(dir, url);
    town.play(
        |played, _| {
            for who in 0..PEOPLE {
                let subject = town.subject(played.residents[who]);
                let asked = played.ask(who, &subject, "lending")?;
                prop_assert_eq!(asked.released.is_some(), asked.is_lawful);
                taken_back.set(taken_back.get() + usize::from(!asked.is_lawful && played.agreed[who]));
            }
            Ok(())
        },
        |_| Ok(()),
    );
    assert!(taken_back.get() > 0, "nothing was ever taken back");
}
