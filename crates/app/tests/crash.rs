//! Crashes in the middle of withdrawal, deletion and sunset: after a restart each is finished or never happened.
//!
//! Every step that matters draws random bytes, so a source that gives out after the n-th draw stops the process there. The
//! sweep does it for every n until the step completes undisturbed.

mod common;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{City, LIBRARY, OPERATOR, SeededRng, SetClock, library_card, mandate, service};
use serde_json::json;
use usufruct_app::{App, Config, Error, House, Open, VaultSetup};
use usufruct_core::lifecycle::State;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::time::DAY;
use usufruct_store::{blocks, erasures};

/// Gives out after so many draws.
struct Exhausted(Arc<SeededRng>, AtomicI64);

impl Rng for Exhausted {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(self.1.fetch_sub(1, Ordering::SeqCst) > 0, "the process stops here");
        self.0.fill(bytes);
    }
}

/// Runs `step` on copies of the city in `template`, stopping it at every draw, and `check`s each after a restart.
fn sweep(template: &Path, at: &str, step: impl Fn(&App) -> Result<(), Error>, check: impl Fn(&City)) {
    for draws in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(template, dir.path());
        let finished = {
            let clock = SetClock::new(at);
            let rng = Arc::new(Exhausted(SeededRng::new(1_000 + draws), AtomicI64::new(i64::MAX)));
            let house = House::open(dir.path()).unwrap();
            let config = Config {
                origin: "city.test/log".into(),
                database: None,
                operator: OPERATOR.parse().unwrap(),
                vault: VaultSetup { any_disk: true, ..VaultSetup::default() },
            };
            let open = Open {
                config,
                house,
                clock: clock as Arc<dyn Clock>,
                rng: Arc::clone(&rng) as Arc<dyn Rng>,
                root: None,
                objects: None,
                transport: None,
            };
            let app = App::open(open).unwrap();
            rng.1.store(i64::try_from(draws).unwrap(), Ordering::SeqCst);
            matches!(catch_unwind(AssertUnwindSafe(|| step(&app))), Ok(Ok(())))
        };
        let city = City::open(dir.path(), None, at, 2_000 + draws);
        city.app.run_sunsets().unwrap();
        city.app.finish_erasures().unwrap();
        check(&city);
        assert!(city.app.db().read(|conn| erasures::pending(conn, 10)).unwrap().is_empty());
        if finished {
            assert!(draws > 4, "the step was stopped at several places");
            return;
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_withdrawal_is_whole_or_nothing() {
    let template = tempfile::tempdir().unwrap();
    let (resident, subject) = City::found(template.path(), None).cardholder();
    sweep(
        template.path(),
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
            city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
            let fresh = city.app.subject(resident, &service()).unwrap();
            assert!(city.app.release(&city.request(&fresh)).is_ok());
        },
    );
}

#[test]
fn a_deletion_is_whole_or_nothing() {
    let template = tempfile::tempdir().unwrap();
    let (resident, subject) = City::found(template.path(), None).cardholder();
    sweep(
        template.path(),
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
}

#[test]
fn a_sunset_is_finished_whatever_stops_it() {
    let template = tempfile::tempdir().unwrap();
    let id = "mdt_short".parse().unwrap();
    let (resident, subject) = {
        let city = City::found(template.path(), None);
        let mut short = library_card();
        short["sunset_at"] = json!("2026-01-10T00:00:00Z");
        city.publish_mandate("mdt_short", short);
        let (resident, subject) = city.cardholder();
        city.app.consent(resident, &service(), &id, &[]).unwrap();
        city.clock.advance(DAY);
        (resident, subject)
    };
    sweep(
        template.path(),
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
            assert!(city.app.end_mandate(&mandate(), &city.signer(LIBRARY), usufruct_core::Text::new("Over.", "結束。")).is_ok());
        },
    );
}
