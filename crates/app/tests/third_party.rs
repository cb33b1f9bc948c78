//! Uses in a matter that concerns somebody else, on both databases: the resident sees at once who used what of hers and when, and nothing that
//! the house hands out tells her what for before the day that the line names; from that day on it is told by the clock alone.

use std::cell::Cell;
use std::path::Path;

use crate::common;
use crate::common::{CARD, City, LIBRARY, OPERATOR, SERVICE, block, library_card, on_both, service, text};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::json;
use usufruct_app::{BatchRequest, ConversionBatch, DepositRequest, Error, LineMatter, ReleaseRequest, ReportedUse, UsageRequest};
use usufruct_core::Time;
use usufruct_core::decide::Clause;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::mandate::MOST_CLOSED_DAYS;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Count;
use usufruct_core::time::{DAY, HOUR, SECOND};
use usufruct_store::db::Connection as _;
use usufruct_store::log_head;

on_both!(
    invariant_13_what_concerns_somebody_else_is_told_on_its_day_and_not_before,
    who_is_not_allowed_to_close_a_matter_is_refused_and_tells_nothing,
    a_service_that_met_her_in_a_closed_matter_is_told_to_delete_and_not_named_to_her,
    a_portal_reads_that_the_matter_concerns_somebody_else,
    closed_matters_are_counted_in_public_by_month,
    a_matter_that_somebody_took_away_is_said_to_be_lost,
    what_is_reported_is_closed_only_where_its_mandate_lets_it_be,
);

/// A mandate whose matters may be closed, and the library card, whose may not.
const CLOSES: &str = "mdt_short";
const CLOSED_DAYS: i64 = 5;
const GARDEN: &str = "svc_garden";
const PEOPLE: usize = 2;
/// The first is a reason of both mandates, the second of the one that closes, the third of none.
const REASONS: [&str; 3] = ["lending", "estate", "curiosity"];

fn closes() -> MandateId {
    CLOSES.parse().unwrap()
}

fn garden() -> ServiceId {
    GARDEN.parse().unwrap()
}

fn found(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service(GARDEN, LIBRARY, "garden");
    let mut body = library_card();
    body["third_party"] = json!({ "max_days": CLOSED_DAYS });
    body["operations"] = json!(["disclose", "store", "deposit", "match"]);
    body["conversions"] = json!([{"from": SERVICE, "to": GARDEN, "why": text("Books are handed out in the garden.")}]);
    body["reasons"] = json!([
        {"code": "lending", "text": text("You borrowed a book.")},
        {"code": "estate", "text": text("Somebody settles an estate.")},
    ]);
    city.publish_mandate(CLOSES, body);
    city
}

/// A resident who agreed to both mandates.
fn reader(city: &City) -> u64 {
    let resident = city.enrol(1)[0];
    for mandate in [CARD, CLOSES] {
        city.app.consent_at_counter(resident, &service(), &mandate.parse().unwrap(), &[]).unwrap();
    }
    resident
}

fn request(city: &City, resident: u64, reason: &str) -> ReleaseRequest {
    let subject = city.app.subject(resident, &service()).unwrap();
    ReleaseRequest { mandate: closes(), reason: reason.into(), third_party: true, ..city.request(&subject) }
}

fn conversion(city: &City, resident: u64) -> ConversionBatch {
    ConversionBatch {
        service: service(),
        to: garden(),
        mandate: closes(),
        subjects: vec![city.app.subject(resident, &service()).unwrap()],
        reason: "estate".into(),
        actor: None,
        sign_in: None,
        third_party: true,
    }
}

fn last(city: &City, resident: u64) -> usufruct_app::FootprintLine {
    city.app.footprint(resident).unwrap().lines.pop().unwrap()
}

fn says(encoded: &[u8], word: &str) -> bool {
    encoded.windows(word.len()).any(|part| part == word.as_bytes())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Batch,
    Convert,
    Deposit,
    Release,
    Report,
}

const WAYS: [Way; 5] = [Way::Batch, Way::Convert, Way::Deposit, Way::Release, Way::Report];

#[derive(Clone, Debug)]
enum Act {
    Ask { way: usize, who: usize, closes: bool, third_party: bool, reason: usize },
    Wait(i64),
    Withdraw(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let ask = (0..WAYS.len(), 0..PEOPLE, any::<bool>(), prop::bool::weighted(0.7), 0..REASONS.len())
        .prop_map(|(way, who, closes, third_party, reason)| Act::Ask { way, who, closes, third_party, reason });
    let one = prop_oneof![8 => ask, 2 => (1i64..4).prop_map(Act::Wait), 1 => (0..PEOPLE).prop_map(Act::Withdraw)];
    prop::collection::vec(one, 1..20)
}

/// What is true of a line, whatever the house says of it.
struct Told {
    resident: u64,
    n: u64,
    reason: String,
    to: Option<&'static str>,
    /// From when on it may be told; `None` where it concerns nobody else.
    shown_from: Option<Time>,
}

struct Played<'a> {
    city: &'a City,
    residents: Vec<u64>,
    told: Vec<Told>,
    numbers: &'a Cell<u64>,
    /// Lines that were closed, opened, and refused and closed, over all histories.
    seen: &'a [Cell<usize>; 3],
}

impl Played<'_> {
    fn lines(&self, resident: u64) -> u64 {
        self.city.app.footprint(resident).unwrap().lines.len() as u64
    }

    fn ask(&mut self, way: Way, who: usize, mandate: &MandateId, third_party: bool, reason: &str) {
        let (app, resident) = (&self.city.app, self.residents[who]);
        let before = self.lines(resident);
        let subject = app.subject(resident, &service()).unwrap();
        let blocks = vec![(block("name"), Form::Value)];
        let (service, mandate, reason) = (service(), mandate.clone(), reason.to_owned());
        let known = app.register().mandates[&mandate].body.reason(&reason).is_some();
        let mut expected = if known { reason.clone() } else { String::new() };
        let mut to = None;
        match way {
            Way::Batch => {
                let subjects = vec![subject];
                drop(app.release_batch(&BatchRequest {
                    service,
                    mandate: mandate.clone(),
                    subjects,
                    blocks,
                    reason,
                    actor: None,
                    third_party,
                }));
            }
            Way::Convert => {
                to = Some(GARDEN);
                let subjects = vec![subject];
                let (to, sign_in) = (garden(), None);
                let mandate = mandate.clone();
                drop(app.convert(&ConversionBatch { service, to, mandate, subjects, reason, actor: None, sign_in, third_party }));
            }
            Way::Deposit => {
                let (block, value, sign_in) = (block("name"), "Main hall".to_owned(), None);
                let mandate = mandate.clone();
                let asked = DepositRequest { service, mandate, subject, block, value, reason, actor: None, sign_in, third_party };
                drop(app.deposit(&asked));
            }
            Way::Release => {
                let mandate = mandate.clone();
                let request = self.city.request(&subject);
                drop(app.release(&ReleaseRequest { mandate, reason, third_party, ..request }));
            }
            Way::Report => {
                self.numbers.set(self.numbers.get() + 1);
                let (number, operation, happened_at) = (Some(self.numbers.get()), None, app.now().plus(-SECOND));
                let mandate = mandate.clone();
                let use_ =
                    ReportedUse { mandate, number, operation, subject, blocks, reason, actor: None, happened_at, third_party };
                drop(app.report(&service, &use_));
            }
        }
        let days = if mandate == closes() { CLOSED_DAYS } else { MOST_CLOSED_DAYS };
        // What is reported has happened, and is closed only where the mandate lets it be.
        let is_closed = third_party && (way != Way::Report || mandate == closes());
        let shown_from = is_closed.then(|| app.now().plus(days * DAY));
        for n in before..self.lines(resident) {
            let told = Told { resident, n, reason: std::mem::take(&mut expected), to, shown_from };
            self.told.push(told);
        }
    }

    /// Everything that the house hands to the residents now.
    fn look(&self) -> Result<(), TestCaseError> {
        let (app, now) = (&self.city.app, self.city.app.now());
        let size = || app.db().read(|conn| log_head::size(conn)).unwrap();
        let before = size();
        for resident in &self.residents {
            let (lines, sealed) = (app.footprint(*resident).unwrap().lines, app.sealed_footprint(*resident).unwrap().lines);
            for told in self.told.iter().filter(|told| told.resident == *resident) {
                let (line, sealed) = (&lines[told.n as usize], &sealed[told.n as usize]);
                let Some(event) = &line.event else { return Err(TestCaseError::fail("a line does not open")) };
                prop_assert_eq!(event.service.as_ref(), Some(&service()));
                prop_assert!(event.mandate.is_some());
                let committed = Event::decode(&line.encoded).unwrap();
                let Some(shown_from) = told.shown_from else {
                    prop_assert!(line.matter.is_none() && sealed.matter.is_none() && committed.closed.is_none());
                    prop_assert_eq!((&event.reason, event.detail.as_deref()), (&told.reason, told.to));
                    continue;
                };
                prop_assert_eq!(committed.closed.map(|closed| closed.shown_from), Some(shown_from));
                prop_assert!(REASONS.iter().all(|reason| !says(&line.encoded, reason)) && !says(&line.encoded, GARDEN));
                if now < shown_from {
                    prop_assert!(line.matter == Some(LineMatter::Closed { shown_from }), "closed until {}", shown_from);
                    prop_assert_eq!((event.reason.as_str(), event.detail.as_deref()), ("", None));
                    prop_assert!(sealed.matter.is_none(), "it was handed out sealed, and she has the key");
                    self.see(usize::from(event.kind == Kind::Refusal) * 2);
                } else {
                    let Some(LineMatter::Shown(opened)) = &line.matter else {
                        return Err(TestCaseError::fail("its day has come, and it is not shown"));
                    };
                    prop_assert!(committed.closed.is_some_and(|closed| opened.opens(&closed)));
                    prop_assert_eq!((&event.reason, event.detail.as_deref()), (&told.reason, told.to));
                    prop_assert!(sealed.matter.is_some());
                    self.see(1);
                }
            }
        }
        prop_assert_eq!(size(), before, "looking wrote something");
        Ok(())
    }

    fn see(&self, what: usize) {
        self.seen[what].set(self.seen[what].get() + 1);
    }
}

fn invariant_13_what_concerns_somebody_else_is_told_on_its_day_and_not_before(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (numbers, seen) = (Cell::new(0), <[Cell<usize>; 3]>::default());
    let config = Config { cases: 8, failure_persistence: None, ..Config::default() };
    // The first histories are the same each time, so that they always come to what the test speaks of.
    let same = TestRng::deterministic_rng(config.rng_algorithm);
    for mut runner in [TestRunner::new_with_rng(config.clone(), same), TestRunner::new(config)] {
        let result = runner.run(&acts(), |acts| {
            let residents = (0..PEOPLE).map(|_| reader(&city)).collect();
            let mut played = Played { city: &city, residents, told: Vec::new(), numbers: &numbers, seen: &seen };
            for act in &acts {
                match *act {
                    Act::Ask { way, who, closes: may, third_party, reason } => {
                        let mandate = if may { closes() } else { common::mandate() };
                        played.ask(WAYS[way], who, &mandate, third_party, REASONS[reason]);
                    }
                    Act::Wait(days) => city.clock.advance(days * DAY),
                    Act::Withdraw(who) => drop(city.app.withdraw(played.residents[who], &closes())),
                }
                played.look()?;
            }
            city.clock.advance(CLOSED_DAYS * DAY);
            played.look()
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }
    let [closed, opened, refused] = seen.each_ref().map(Cell::get);
    assert!(closed > 0 && opened > 0 && refused > 0, "{closed} closed, {opened} opened, {refused} refused and closed");
}

fn who_is_not_allowed_to_close_a_matter_is_refused_and_tells_nothing(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = reader(&city);
    let subject = city.app.subject(resident, &service()).unwrap();
    let asked = ReleaseRequest { third_party: true, ..city.request(&subject) };
    match city.app.release(&asked) {
        Err(Error::Unpermitted(clauses)) => assert_eq!(clauses, [Clause::ThirdParty]),
        _ => panic!("it was not refused for that"),
    }
    let line = last(&city, resident);
    let event = line.event.unwrap();
    assert_eq!((event.kind, event.clause.as_deref(), event.reason.as_str()), (Kind::Refusal, Some("third-party"), ""));
    let shown_from = city.app.now().plus(MOST_CLOSED_DAYS * DAY);
    assert!(line.matter == Some(LineMatter::Closed { shown_from }));
    assert_eq!(event.blocks, [(block("name"), Form::Value)], "what was asked for she sees at once");
    // The same request without it is lawful, and told at once.
    city.app.release(&ReleaseRequest { third_party: false, ..asked }).unwrap();
    assert_eq!(last(&city, resident).event.unwrap().reason, "lending");
}

fn what_is_reported_is_closed_only_where_its_mandate_lets_it_be(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = reader(&city);
    let report = |mandate: MandateId| {
        let line = ReportedUse {
            mandate,
            number: Some(1),
            operation: None,
            subject: city.app.subject(resident, &service()).unwrap(),
            blocks: vec![(block("name"), Form::Value)],
            reason: "lending".into(),
            actor: None,
            happened_at: city.app.now().plus(-SECOND),
            third_party: true,
        };
        city.app.report(&service(), &line).unwrap().unwrap();
        last(&city, resident)
    };
    let line = report(common::mandate());
    let event = line.event.unwrap();
    assert!(line.matter.is_none(), "it is taken as it happened, and open");
    assert_eq!((event.kind, event.clause.as_deref(), event.reason.as_str()), (Kind::Use, Some("third-party"), "lending"));
    let line = report(closes());
    assert!(line.matter == Some(LineMatter::Closed { shown_from: city.app.now().plus(CLOSED_DAYS * DAY) }));
    assert_eq!(line.event.unwrap().clause, None);
}

fn a_service_that_met_her_in_a_closed_matter_is_told_to_delete_and_not_named_to_her(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = reader(&city);
    let answer = city.app.convert(&conversion(&city, resident)).unwrap();
    assert!(answer.lines[0].outcome.is_ok(), "the vault takes what is closed for what it is");
    let named = |services: Vec<ServiceId>| services.contains(&garden());
    let reached = || {
        let reached = city.app.reached_by_deletion(resident).unwrap();
        [reached.told, reached.untold].concat()
    };
    assert!(!named(reached()) && reached().contains(&service()));
    city.app.withdraw(resident, &closes()).unwrap();
    let shown = || city.app.deletions_of(resident).unwrap().into_iter().map(|deletion| deletion.service).collect::<Vec<_>>();
    let all = || {
        let rows = city.app.db().read(|conn| usufruct_store::deletions::of_resident(conn, resident)).unwrap();
        rows.into_iter().map(|deletion| deletion.service).collect::<Vec<_>>()
    };
    assert!(named(all()), "it has to delete like any other");
    assert!(!named(shown()) && shown().contains(&service()));
    city.clock.advance(CLOSED_DAYS * DAY);
    assert!(named(shown()) && named(reached()));
}

fn a_portal_reads_that_the_matter_concerns_somebody_else(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let footprint = json!({
        "name": text("Footprint"), "category": "pd:Name", "sensitivity": "sensitive", "source_agency": OPERATOR,
        "attributes": [text("Lines")], "forms_allowed": ["value"], "correctable": false,
    });
    city.publish(StatementKind::DataBlock, "blk_footprint", OPERATOR, footprint);
    let mut body = library_card();
    body["blocks"] = json!([{"block": "blk_footprint", "necessity": "required", "form": "value", "reason": text("To show it.")}]);
    city.publish_mandate("mdt_portal", body);
    city.open_service_with("svc_portal", LIBRARY, "portal", |body| body["mandates"] = json!(["mdt_portal"]));
    let resident = reader(&city);
    let (portal, mandate): (ServiceId, MandateId) = ("svc_portal".parse().unwrap(), "mdt_portal".parse().unwrap());
    city.app.consent_at_counter(resident, &portal, &mandate, &[]).unwrap();
    city.app.release(&request(&city, resident, "estate")).unwrap();
    let subject = city.app.subject(resident, &portal).unwrap();
    let read = || {
        let (service, mandate, subject) = (portal.clone(), mandate.clone(), subject.clone());
        let asked = UsageRequest { service, mandate, subject, sign_in: None, from: None, until: None, offset: 0, limit: 100 };
        let usages = city.app.find_usage(&asked).unwrap().usages;
        usages.into_iter().rev().map(|usage| (usage.action.en, usage.action.zh_hant)).next().unwrap()
    };
    let day = city.app.now().plus(CLOSED_DAYS * DAY).day();
    let (en, zh_hant) = read();
    assert_eq!(en, format!("The matter concerns somebody else; it is shown from {day}."));
    assert!(zh_hant.contains(&day));
    city.clock.advance(CLOSED_DAYS * DAY);
    assert_eq!(read().0, "Somebody settles an estate.");
}

fn closed_matters_are_counted_in_public_by_month(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let people: Vec<u64> = (0..11).map(|_| reader(&city)).collect();
    let counts = || -> Vec<(String, String)> {
        let counts = city.app.closed_matters(&closes()).unwrap();
        counts.into_iter().map(|(month, count): (_, Count)| (month.to_string(), count.to_string())).collect()
    };
    for resident in &people {
        city.app.release(&request(&city, *resident, "estate")).unwrap();
    }
    city.app.release(&ReleaseRequest { third_party: false, ..request(&city, people[0], "estate") }).unwrap();
    assert_eq!(counts(), [], "the month is not over");
    city.clock.advance(31 * DAY);
    // What is refused is a line as well.
    assert!(city.app.release(&request(&city, people[0], "curiosity")).is_err());
    let (january, february) = (("2026-01".to_owned(), "11".to_owned()), ("2026-02".to_owned(), "1-9".to_owned()));
    assert_eq!(counts(), std::slice::from_ref(&january));
    city.clock.advance(31 * DAY);
    assert_eq!(counts(), [february, january]);
    assert_eq!(city.app.closed_matters(&common::mandate()).unwrap(), []);
}

fn a_matter_that_somebody_took_away_is_said_to_be_lost(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (hers, other) = (reader(&city), reader(&city));
    for (resident, reason) in [(hers, "estate"), (hers, "lending"), (other, "estate")] {
        city.app.release(&request(&city, resident, reason)).unwrap();
    }
    let matters = |resident: u64| -> Vec<LineMatter> {
        city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.matter).collect()
    };
    // What opens one line is put in the place of what opens another, and one is taken away.
    let first = city.app.sealed_footprint(hers).unwrap().lines.len() - 2;
    let swap = format!(
        "-- swap\nUPDATE lines SET matter = (SELECT matter FROM lines AS other WHERE other.resident = {hers} AND other.n = {}) \
         WHERE resident = {hers} AND n = {first}",
        first + 1
    );
    let take = format!("-- take\nUPDATE lines SET matter = NULL WHERE resident = {other}");
    city.app.db().transaction("insider", move |tx| tx.script(&format!("{swap};\n{take}"))).unwrap();
    let is_closed = |matter: &LineMatter| matches!(matter, LineMatter::Closed { .. });
    assert!(matters(hers).iter().chain(&matters(other)).all(is_closed), "before its day nobody looks");
    city.clock.advance(CLOSED_DAYS * DAY + HOUR);
    assert!(matches!(&matters(hers)[..], [LineMatter::Lost, LineMatter::Shown(_)]));
    assert!(matches!(&matters(other)[..], [LineMatter::Lost]));
    assert!(city.app.sealed_footprint(hers).unwrap().lines[first].matter.is_none());
}
