//! Crashes in the middle of withdrawal, deletion, sunset and the end of a month or a sector: after a restart each is finished or never happened.
//!
//! Every step that matters draws random bytes or looks at the clock, so ports that give out after the n-th call stop the process there.
//! The sweep does it for every n until the step completes undisturbed. On PostgreSQL the pages of the key tree are in the database.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::common;
use crate::common::{City, LIBRARY, OPERATOR, SeededRng, SetClock, WATCH, library_card, mandate, service, vault_setup};
use serde_json::json;
use usufruct_app::{About, App, CaseRequest, Config, DepositRequest, Error, House, Open, ReleaseRequest};
use usufruct_core::case::CaseKind;
use usufruct_core::certificate::Cause;
use usufruct_core::event::Kind;
use usufruct_core::id::MandateId;
use usufruct_core::key::KeyOf;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Text, Time};
use usufruct_store::{blocks, deposits, erasures, grants, keyrings};

/// Ports that give out after so many calls.
struct Exhausted {
    rng: Arc<SeededRng>,
    clock: Arc<SetClock>,
    left: AtomicI64,
}

impl Exhausted {
    fn count(&self) {
        assert!(self.left.fetch_sub(1, Ordering::SeqCst) > 0, "the process stops here");
    }
}

impl Rng for Exhausted {
    fn fill(&self, bytes: &mut [u8]) {
        self.count();
        self.rng.fill(bytes);
    }
}

impl Clock for Exhausted {
    fn now(&self) -> Time {
        self.count();
        self.clock.now()
    }
}

/// A city to be copied: its folder and, if it is not the embedded one, its database.
struct Template {
    dir: tempfile::TempDir,
    database: Option<Database>,
}

/// A database of PostgreSQL that is dropped with the value.
struct Database {
    base: String,
    name: String,
}

/// Runs the test on both databases.
fn on_both(test: impl Fn(&Template)) {
    test(&Template { dir: tempfile::tempdir().unwrap(), database: None });
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: PostgreSQL, because USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    test(&Template { dir: tempfile::tempdir().unwrap(), database: Some(Database::make(&base, "template1")) });
}

impl Template {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn url(&self) -> Option<String> {
        self.database.as_ref().map(Database::url)
    }

    /// What a job of the writer does last, it may do a moment after the city is gone: a copy that a file vanishes from is made again.
    fn copy(&self) -> Self {
        let dir = (0..100).find_map(|_| {
            let dir = tempfile::tempdir().unwrap();
            match copy(self.path(), dir.path()) {
                Ok(()) => Some(dir),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => panic!("{error}"),
            }
        });
        let dir = dir.expect("a copy of a template that nobody changes");
        let database = self.database.as_ref().map(|database| Database::make(&database.base, &database.name));
        Self { dir, database }
    }
}

impl Database {
    /// A copy of the database `from`, which nobody may be using.
    fn make(base: &str, from: &str) -> Self {
        static NUMBER: AtomicI64 = AtomicI64::new(0);
        let name = format!("crash_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        psql(base, &format!("CREATE DATABASE {name} TEMPLATE {from}"));
        Self { base: base.to_owned(), name }
    }

    fn url(&self) -> String {
        let (server, _) = self.base.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        psql(&self.base, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// Runs a statement that may not stand in a transaction.
fn psql(url: &str, sql: &str) {
    let status = Command::new("psql").args([url, "-q", "-c", sql]).status();
    assert!(status.is_ok_and(|status| status.success()), "{sql}");
}

/// How far a step that was stopped had come, as the store tells after the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stopped {
    /// Nothing was noted: it never happened.
    Before,
    /// It was noted what has to go: it has to be finished.
    Noted,
    Done,
}

fn stopped(city: &City) -> Stopped {
    let sql = "-- erasure_open\nSELECT COUNT(*), COUNT(destroyed_at) FROM erasures";
    let rows = city.app.db().read(|conn| conn.query(sql, &[])).unwrap();
    match (rows[0].integer(0).unwrap(), rows[0].integer(1).unwrap()) {
        (0, _) => Stopped::Before,
        (noted, done) if noted > done => Stopped::Noted,
        _ => Stopped::Done,
    }
}

/// Whether `step` was done before it had called so often, and not stopped there.
fn stop_after(calls: i64, template: &Template, at: &str, step: &impl Fn(&App) -> Result<(), Error>) -> bool {
    let url = template.url();
    let ports = Exhausted { rng: SeededRng::new(1_000), clock: SetClock::new(at), left: AtomicI64::new(i64::MAX) };
    let ports = Arc::new(ports);
    let config = Config {
        origin: "city.test/log".into(),
        database: url.clone(),
        operator: OPERATOR.parse().unwrap(),
        vault: vault_setup(url.as_deref()),
    };
    let open = Open {
        config,
        house: House::open(template.path()).unwrap(),
        clock: Arc::clone(&ports) as Arc<dyn Clock>,
        rng: Arc::clone(&ports) as Arc<dyn Rng>,
        root: None,
        objects: None,
        second_hand: None,
        transport: None,
    };
    let app = App::open(open).unwrap();
    ports.left.store(calls, Ordering::SeqCst);
    matches!(catch_unwind(AssertUnwindSafe(|| step(&app))), Ok(Ok(())))
}

/// Runs `step` on copies of the city in `template`, stopping it at every call, and `check`s each after a restart. Every call has the
/// same seed before it, so the step is stopped at the same places each time; they must lie on both sides of the note.
fn sweep(template: &Template, at: &str, step: impl Fn(&App) -> Result<(), Error>, check: impl Fn(&City)) {
    let mut seen = BTreeSet::new();
    for calls in 0_i64.. {
        let copy = template.copy();
        let (dir, url) = (copy.path(), copy.url());
        let finished = stop_after(calls, &copy, at, &step);
        let city = City::open(dir, url.as_deref(), at, 2_000);
        if !finished {
            seen.insert(stopped(&city));
        }
        city.app.run_retention().unwrap();
        city.app.run_sunsets().unwrap();
        city.app.finish_erasures().unwrap();
        check(&city);
        assert!(city.app.db().read(|conn| erasures::pending(conn, 10)).unwrap().is_empty());
        if finished {
            assert_eq!(stopped(&city), Stopped::Done);
            assert!(seen.contains(&Stopped::Before) && seen.contains(&Stopped::Noted), "stopped at {seen:?}");
            return;
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[test]
fn a_withdrawal_is_whole_or_nothing() {
    on_both(|template| {
        let (resident, subject) = City::found(template.path(), template.url().as_deref()).cardholder();
        sweep(
            template,
            "2026-01-02T00:00:00Z",
            |app| app.withdraw(resident, &mandate()).map(drop),
            |city| {
                let number = city.app.register().mandates[&mandate()].number;
                let lent = city.app.db().read(|conn| blocks::lent(conn, resident, number)).unwrap();
                let certificates = city.app.register().certificates.len();
                match city.app.release(&city.request(&subject)) {
                    // It never happened, and she can withdraw again.
                    Ok(_) => {
                        assert_eq!((lent.len(), certificates), (1, 0));
                        city.app.withdraw(resident, &mandate()).unwrap();
                        assert!(city.app.release(&city.request(&subject)).is_err());
                    }
                    Err(_) => assert_eq!((lent.len(), certificates), (0, 1)),
                }
                // She can come back in any case.
                city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
                let fresh = city.app.subject(resident, &service()).unwrap();
                assert!(city.app.release(&city.request(&fresh)).is_ok());
            },
        );
    });
}

#[test]
fn a_deletion_is_whole_or_nothing() {
    on_both(|template| {
        let (resident, subject) = City::found(template.path(), template.url().as_deref()).cardholder();
        sweep(
            template,
            "2026-01-02T00:00:00Z",
            |app| app.delete_resident(resident).map(drop),
            |city| {
                let certificates = city.app.register().certificates.len();
                match city.app.release(&city.request(&subject)) {
                    Ok(_) => assert_eq!(certificates, 0),
                    Err(_) => {
                        assert_eq!(certificates, 1);
                        assert!(city.app.footprint(resident).is_err(), "her keyring is gone");
                    }
                }
            },
        );
    });
}

#[test]
fn a_sunset_is_finished_whatever_stops_it() {
    on_both(|template| {
        let id = "mdt_short".parse().unwrap();
        let (resident, subject) = {
            let city = City::found(template.path(), template.url().as_deref());
            let mut short = library_card();
            short["sunset_at"] = json!("2026-01-10T00:00:00Z");
            city.publish_mandate("mdt_short", short);
            let (resident, subject) = city.cardholder();
            city.app.consent_at_counter(resident, &service(), &id, &[]).unwrap();
            city.clock.advance(DAY);
            (resident, subject)
        };
        sweep(
            template,
            "2026-01-11T00:00:00Z",
            |app| app.run_sunsets().map(drop),
            |city| {
                let register = city.app.register();
                assert_eq!(register.mandates[&id].state, State::Erased);
                assert!(register.certificate(&id).is_some());
                assert_eq!(register.certificates.len(), 1, "one ending, one certificate");
                let number = register.mandates[&id].number;
                assert!(city.app.db().read(|conn| blocks::lent(conn, resident, number)).unwrap().is_empty());
                let mut request = city.request(&subject);
                request.mandate = id.clone();
                assert!(city.app.release(&request).is_err());
                assert!(city.app.release(&city.request(&subject)).is_ok());
                assert!(city.app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).is_ok());
            },
        );
    });
}

#[test]
fn the_end_of_a_month_is_finished_whatever_stops_it() {
    on_both(|template| {
        let id: MandateId = "mdt_short".parse().unwrap();
        let (resident, subject) = {
            let city = City::found(template.path(), template.url().as_deref());
            let mut visits = library_card();
            visits["operations"] = json!(["collect", "deposit", "match"]);
            city.publish_mandate("mdt_short", visits);
            let (resident, subject) = city.cardholder();
            city.app.consent_at_counter(resident, &service(), &id, &[]).unwrap();
            for (days, place) in [(1, "Main hall"), (31, "Annex")] {
                city.clock.advance(days * DAY);
                let (value, reason) = (place.to_owned(), "lending".to_owned());
                let (subject, block) = (subject.clone(), common::block("name"));
                let request = DepositRequest {
                    service: service(),
                    mandate: id.clone(),
                    subject,
                    block,
                    value,
                    reason,
                    actor: None,
                    sign_in: None,
                    third_party: false,
                };
                city.app.deposit(&request).unwrap();
            }
            (resident, subject)
        };
        // January and its 30 days are over, February is not.
        sweep(
            template,
            "2026-03-03T00:00:00Z",
            |app| app.run_retention().map(drop),
            |city| {
                let register = city.app.register();
                let causes: Vec<Cause> = register.certificates.values().map(|entry| entry.body.cause).collect();
                assert_eq!(causes, [Cause::Retention], "one ending, one certificate");
                assert_eq!(register.mandates[&id].state, State::Active);
                assert_eq!(city.app.own_deposits(resident).unwrap().len(), 1);
                let request = ReleaseRequest { mandate: id.clone(), ..city.request(&subject) };
                let given: Vec<String> =
                    city.app.release(&request).unwrap().deposits.iter().map(|deposit| deposit.value.to_string()).collect();
                assert_eq!(given, ["Annex"], "what was deposited in February, and nothing of January");
                assert!(city.app.db().read(erasures::of_months).unwrap().is_empty());
                let months = city.app.db().read(deposits::months).unwrap();
                assert_eq!(months.iter().map(|(_, month)| month.to_string()).collect::<Vec<_>>(), ["2026-02", "2026-03"]);
            },
        );
    });
}

#[test]
fn a_month_of_cases_is_published_once_wherever_it_stops() {
    on_both(|template| {
        {
            let city = City::found(template.path(), template.url().as_deref());
            let resident = city.enrol(1)[0];
            for about in [About::Service(service()), About::Pass] {
                city.app.file_case(resident, &CaseRequest::new(about, CaseKind::Question, "Why?")).unwrap();
            }
        }
        let at = "2026-03-02T00:00:00Z";
        let mut seen = BTreeSet::new();
        for calls in 0_i64.. {
            let copy = template.copy();
            let finished = stop_after(calls, &copy, at, &|app| app.run_case_tallies().map(drop));
            let city = City::open(copy.path(), copy.url().as_deref(), at, 2_000);
            seen.insert(city.app.register().case_tallies.len());
            city.app.run_case_tallies().unwrap();
            let register = city.app.register();
            let told: BTreeSet<_> = register.case_tallies.values().map(|entry| (&entry.body.agency, entry.body.month)).collect();
            assert_eq!((told.len(), register.case_tallies.len()), (4, 4), "two bodies and two months, each once");
            if finished {
                break;
            }
        }
        assert_eq!(seen, BTreeSet::from([0, 2, 4]), "of each body all or nothing, and it was stopped before");
    });
}

#[test]
fn the_end_of_a_sector_is_finished_whatever_stops_it() {
    on_both(|template| {
        let garden = "svc_garden".parse().unwrap();
        let (resident, sector) = {
            let city = City::found(template.path(), template.url().as_deref());
            city.open_service("svc_garden", LIBRARY, "garden");
            let (resident, _) = city.cardholder();
            city.app.subject(resident, &garden).unwrap();
            city.step_service("svc_garden", LIBRARY, State::Closed);
            (resident, city.app.register().services[&garden].number)
        };
        sweep(
            template,
            "2026-01-02T00:00:00Z",
            |app| app.run_sunsets().map(drop),
            |city| {
                let register = city.app.register();
                assert_eq!(register.certificates.len(), 1, "one ending, one certificate");
                let erasure = city.app.db().read(|conn| erasures::of_sector(conn, sector)).unwrap().unwrap();
                assert!(!city.app.db().read(|conn| erasures::is_pending(conn, &erasure.certificate)).unwrap());
                assert!(city.app.subject(resident, &garden).is_err());
                assert!(city.app.subject(resident, &service()).is_ok());
                assert!(city.app.run_sunsets().unwrap().dissolved.is_empty());
            },
        );
    });
}

#[test]
fn a_new_key_of_a_resident_opens_what_the_old_one_did_and_the_old_one_nothing() {
    on_both(|template| {
        let (resident, subject) = City::found(template.path(), template.url().as_deref()).cardholder();
        let mut stopped_between = false;
        for draws in 0_i64.. {
            let copy = template.copy();
            let finished = stop_after(draws, &copy, "2026-01-02T00:00:00Z", &|app: &App| app.rotate_resident(resident));
            let city = City::open(copy.path(), copy.url().as_deref(), "2026-01-02T00:00:00Z", 2_000);
            let rows = || city.app.db().read(|conn| keyrings::candidates(conn, resident)).unwrap();
            stopped_between |= rows().len() == 2;
            assert!(city.app.release(&city.request(&subject)).is_ok(), "after a stop at draw {draws}");
            let (old, before) = (rows(), city.app.vault_state().0);
            city.app.rotate_resident(resident).unwrap();
            let after = city.app.vault_state().0;
            assert_eq!((after.epoch.0, after.count, rows().len()), (before.epoch.0 + 1, before.count, 1));
            assert_ne!(after.root, before.root, "another key");
            assert!(city.app.release(&city.request(&subject)).is_ok());
            assert!(city.app.register().certificates.is_empty(), "nothing was erased");
            if finished {
                assert!(stopped_between, "it was stopped with both keyrings in place");
                assert!(city.app.rotate_resident(resident + 1_000).is_err(), "nobody");
                let put = |versions: Vec<(i64, Vec<u8>)>| {
                    let put = move |tx: &mut usufruct_store::db::Tx<'_>| keyrings::replace(tx, resident, &versions);
                    city.app.db().transaction("put back", put).unwrap();
                };
                put(old);
                assert!(city.app.release(&city.request(&subject)).is_err(), "a copy of the old keyring opens nothing");
                return;
            }
        }
    });
}

/// How far the replacement of a mandate's key had come: whether it was noted, whether the new key was there, and whether the old one was gone.
type Came = (bool, bool, bool);

/// Checks that everything opens and that the log knows every key, finishes the replacement by the clock or by another command, and checks what
/// has come of it. Answers how far it had come before.
fn finish_replacement(city: &City, old: &Digest, readers: &[(u64, String)]) -> Came {
    let number = city.app.register().mandates[&mandate()].number;
    let living = || -> Vec<Digest> {
        let register = city.app.register();
        register.living_keys(&KeyOf::Mandate(mandate())).iter().map(|key| key.body.commitment).collect()
    };
    let pending = || city.app.db().read(erasures::of_rotations).unwrap().len();
    let all_open = || readers.iter().all(|(_, subject)| city.app.release(&city.request(subject)).is_ok());
    let certified = || city.app.register().certificates.values().filter(|entry| entry.body.cause == Cause::Rotation).count();
    assert!(all_open(), "after the restart");
    let before = living();
    let came = (pending() > 0 || certified() > 0, before.iter().any(|key| key != old), !city.app.key_lives(old));
    city.app.tick().unwrap();
    assert!(all_open(), "after the clock went on");
    assert_eq!(pending(), 0, "what was noted is finished");
    if !came.0 {
        assert_eq!((living(), certified()), (vec![*old], 0), "it never began");
        city.app.rotate_mandate(&mandate()).unwrap();
    }
    assert_eq!((living().len(), certified(), pending()), (1, 1, 0));
    assert!(!living().contains(old) && city.app.key_lives(&living()[0]) && !city.app.key_lives(old));
    assert!(all_open(), "in the end");
    let rows: Vec<_> =
        readers.iter().flat_map(|(reader, _)| city.app.db().read(|conn| blocks::lent(conn, *reader, number)).unwrap()).collect();
    assert_eq!(rows.len(), readers.len(), "no copy was lost or came to it");
    came
}

#[test]
fn a_new_key_of_a_mandate_opens_what_the_old_one_did_wherever_it_stops() {
    on_both(|template| {
        let (readers, old, number, rows) = {
            let city = City::found(template.path(), template.url().as_deref());
            let readers = [city.cardholder(), city.cardholder()];
            let register = city.app.register();
            let number = register.mandates[&mandate()].number;
            let old = register.living_keys(&KeyOf::Mandate(mandate()))[0].body.commitment;
            let lent = |(reader, _): &(u64, String)| {
                let rows = city.app.db().read(|conn| blocks::lent(conn, *reader, number)).unwrap();
                rows.into_iter().map(|(block, sealed)| (*reader, number, block, sealed)).collect::<Vec<_>>()
            };
            let rows: Vec<_> = readers.iter().flat_map(lent).collect();
            (readers, old, number, rows)
        };
        let at = "2026-01-02T00:00:00Z";
        let mut seen = BTreeSet::new();
        for calls in 0_i64.. {
            let copy = template.copy();
            let finished = stop_after(calls, &copy, at, &|app: &App| app.rotate_mandate(&mandate()).map(drop));
            let city = City::open(copy.path(), copy.url().as_deref(), at, 2_000);
            seen.insert(finish_replacement(&city, &old, &readers));
            if !finished {
                continue;
            }
            let all = [(false, false, false), (true, false, false), (true, true, false), (true, true, true)];
            assert!(all.iter().all(|came| seen.contains(came)), "stopped at {seen:?}");
            // What was copied with the old key opens no more.
            city.app.db().transaction("put back", move |tx| blocks::put_lent(tx, &rows)).unwrap();
            assert!(readers.iter().all(|(_, subject)| city.app.release(&city.request(subject)).is_err()));
            let lent = city.app.db().read(|conn| blocks::lent(conn, readers[0].0, number)).unwrap();
            assert_eq!(lent.len(), 1);
            city.app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
            assert_eq!(city.app.register().mandates[&mandate()].state, State::Erased);
            return;
        }
    });
}

/// A city in which what two residents lend under a mandate is ordered to be deleted: the mandate, they, its key and its number.
fn ordered(template: &Template) -> (MandateId, Vec<u64>, Digest, u64) {
    let watched: MandateId = "mdt_short".parse().unwrap();
    let city = City::found(template.path(), template.url().as_deref());
    city.publish_watch();
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate(watched.as_str(), body);
    let readers = city.enrol(2);
    for reader in &readers {
        city.app.consent_at_counter(*reader, &service(), &watched, &[]).unwrap();
    }
    let order = json!({"body": WATCH, "kind": "delete", "target": watched, "reasons": common::text("It was looked into."),
        "comply_by": "2026-03-01T00:00:00Z"});
    city.watch(StatementKind::Order, "ord_1", order, &city.watchers()).unwrap();
    let register = city.app.register();
    let old = register.living_keys(&KeyOf::Mandate(watched.clone()))[0].body.commitment;
    let number = register.mandates[&watched].number;
    (watched, readers, old, number)
}

#[test]
fn an_order_that_is_lifted_while_it_is_carried_out_is_finished_or_never_began() {
    on_both(|template| {
        let (watched, readers, old, number) = ordered(template);
        let at = "2026-01-02T00:00:00Z";
        let mut seen = BTreeSet::new();
        for calls in 0_i64.. {
            let copy = template.copy();
            let finished = stop_after(calls, &copy, at, &|app: &App| app.run_orders().map(drop));
            let city = City::open(copy.path(), copy.url().as_deref(), at, 2_000);
            let pending = || city.app.db().read(erasures::of_orders).unwrap().len();
            let certificates = || city.app.register().certificates.len();
            let (has_begun, is_gone) = (pending() + certificates() > 0, !city.app.key_lives(&old));
            seen.insert((has_begun, is_gone));
            city.clock.advance(1);
            let lift = json!({"body": WATCH, "kind": "lift", "target": watched, "lifts": "ord_1",
                "reasons": common::text("It was a mistake.")});
            city.watch(StatementKind::Order, "ord_2", lift, &city.watchers()).unwrap();
            city.clock.advance(1);
            // What is lent again once its key is gone lies under the next one, and nobody ordered that to be deleted.
            if is_gone {
                city.app.consent_at_counter(readers[1], &service(), &watched, &[]).unwrap();
            }
            city.app.tick().unwrap();
            assert_eq!((pending(), certificates()), (0, usize::from(has_begun)), "after a stop at call {calls}");
            assert_eq!(city.app.key_lives(&old), !has_begun);
            let standing = city.app.db().read(|conn| grants::count_standing(conn, number, city.app.now())).unwrap();
            assert_eq!(standing, if has_begun { u64::from(is_gone) } else { 2 });
            for reader in &readers {
                let subject = city.app.subject(*reader, &service()).unwrap();
                let opened = city.app.release(&ReleaseRequest { mandate: watched.clone(), ..city.request(&subject) });
                let lends = !has_begun || is_gone && *reader == readers[1];
                assert_eq!(opened.is_ok(), lends, "after a stop at call {calls}: {:?}", opened.err());
            }
            if finished {
                assert_eq!(seen, BTreeSet::from([(false, false), (true, false), (true, true)]));
                return;
            }
        }
    });
}

#[test]
fn an_order_to_delete_is_carried_out_once_wherever_it_stops() {
    on_both(|template| {
        let (watched, readers, old, number) = ordered(template);
        let at = "2026-01-02T00:00:00Z";
        // Whether it was noted, whether the old key was gone, and how many grants still stood when it stopped.
        let mut seen = BTreeSet::new();
        for calls in 0_i64.. {
            let copy = template.copy();
            let finished = stop_after(calls, &copy, at, &|app: &App| app.run_orders().map(drop));
            let city = City::open(copy.path(), copy.url().as_deref(), at, 2_000);
            let pending = || city.app.db().read(erasures::of_orders).unwrap().len();
            let standing = || city.app.db().read(|conn| grants::count_standing(conn, number, city.app.now())).unwrap();
            let refused = |reader: u64| {
                let subject = city.app.subject(reader, &service()).unwrap();
                city.app.release(&ReleaseRequest { mandate: watched.clone(), ..city.request(&subject) }).is_err()
            };
            seen.insert((pending() > 0, !city.app.key_lives(&old), standing()));
            assert!(readers.iter().all(|reader| refused(*reader)), "nothing is opened at any step");
            // Once the certificate is published people lend anew, also before the machine has noted that it is done.
            let is_anew = city.app.consent_at_counter(readers[1], &service(), &watched, &[]).is_ok();
            city.app.tick().unwrap();
            let register = city.app.register();
            let certificates = || register.certificates.values().filter(|entry| entry.body.cause == Cause::Order);
            let stands = u64::from(is_anew);
            assert_eq!((pending(), standing(), certificates().count()), (0, stands, 1), "after a stop at call {calls}");
            assert_eq!(certificates().next().unwrap().body.grants.map(|grants| grants.to_string()).as_deref(), Some("1-9"));
            assert!(!city.app.key_lives(&old));
            for reader in &readers {
                let events = city.app.footprint(*reader).unwrap().lines.into_iter().filter_map(|line| line.event);
                assert_eq!(events.filter(|event| event.kind == Kind::Withdrawal).count(), 1, "one line for one end");
                let lends = is_anew && *reader == readers[1];
                assert_eq!(city.app.db().read(|conn| blocks::lent(conn, *reader, number)).unwrap().is_empty(), !lends);
            }
            assert_eq!(city.app.deletion_notices(&service()).unwrap().len(), 1);
            city.app.consent_at_counter(readers[0], &service(), &watched, &[]).unwrap();
            assert!(!refused(readers[0]), "who agrees anew lends anew");
            if finished {
                for came in [(false, false, 2), (true, false, 2), (true, true, 2), (true, true, 1), (true, true, 0)] {
                    assert!(seen.contains(&came), "{came:?} is not among {seen:?}");
                }
                return;
            }
        }
    });
}

#[test]
fn a_mandate_that_ends_while_its_key_is_replaced_takes_both_keys_with_it() {
    on_both(|template| {
        let (_, subject) = City::found(template.path(), template.url().as_deref()).cardholder();
        let at = "2026-01-02T00:00:00Z";
        let mut numbers = BTreeSet::new();
        for calls in 0_i64.. {
            let copy = template.copy();
            let finished = stop_after(calls, &copy, at, &|app: &App| app.rotate_mandate(&mandate()).map(drop));
            let city = City::open(copy.path(), copy.url().as_deref(), at, 2_000);
            city.app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
            city.app.tick().unwrap();
            let register = city.app.register();
            assert_eq!(register.mandates[&mandate()].state, State::Erased);
            assert!(register.living_keys(&KeyOf::Mandate(mandate())).is_empty());
            assert!(city.app.db().read(erasures::of_rotations).unwrap().is_empty());
            assert!(
                register
                    .keys
                    .values()
                    .filter(|key| key.body.of == KeyOf::Mandate(mandate()))
                    .all(|key| !city.app.key_lives(&key.body.commitment))
            );
            assert!(city.app.release(&city.request(&subject)).is_err());
            assert!(city.app.rotate_mandate(&mandate()).is_err(), "it is over");
            let end = register.certificate(&mandate()).unwrap();
            numbers.insert((end.body.key_commitments.len(), register.certificates.len()));
            if finished {
                // One key ended; both did; or the old one before and the new one now.
                assert_eq!(numbers, BTreeSet::from([(1, 1), (2, 1), (1, 2)]));
                return;
            }
        }
    });
}
