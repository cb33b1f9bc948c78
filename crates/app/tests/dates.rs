//! The dates of a certificate are those of the steps: when nothing opened any more in the running system, and when the old root was gone.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{City, OPERATOR, SeededRng, SetClock, mandate, on_postgres, vault_setup};
use usufruct_app::store::db::{Connection, Error as DbError, Tx};
use usufruct_app::vault::roots::{Root, RootSlots};
use usufruct_app::vault::{Epoch, Error as VaultError, Result as VaultResult, SlotClass};
use usufruct_app::{App, Config, House, Open, RootPlace};
use usufruct_core::Time;
use usufruct_core::certificate::Certificate;
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::time::DAY;

/// A place of the root that takes an hour to destroy an old one, and at times does not do it at all.
struct SlowPlace {
    file: Box<dyn RootPlace>,
    clock: Arc<SetClock>,
    is_away: Arc<AtomicBool>,
}

struct SlowRoots {
    file: Box<dyn RootSlots>,
    clock: Arc<SetClock>,
    is_away: Arc<AtomicBool>,
}

impl RootPlace for SlowPlace {
    fn open(&self) -> VaultResult<Option<Box<dyn RootSlots>>> {
        Ok(self.file.open()?.map(|file| self.around(file)))
    }

    fn create(&self, first: &Root, rng: &dyn Rng) -> VaultResult<Box<dyn RootSlots>> {
        Ok(self.around(self.file.create(first, rng)?))
    }
}

impl SlowPlace {
    fn around(&self, file: Box<dyn RootSlots>) -> Box<dyn RootSlots> {
        Box::new(SlowRoots { file, clock: Arc::clone(&self.clock), is_away: Arc::clone(&self.is_away) })
    }
}

impl RootSlots for SlowRoots {
    fn class(&self) -> SlotClass {
        self.file.class()
    }

    fn roots(&self) -> VaultResult<Vec<Root>> {
        self.file.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> VaultResult<()> {
        self.file.put(root, rng)
    }

    fn keep_only(&self, epoch: Epoch) -> VaultResult<()> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(VaultError::Keeper { name: "archive".into(), why: "it is away".into() });
        }
        self.clock.advance(HOUR);
        self.file.keep_only(epoch)
    }

    fn statements(&self, epoch: Epoch) -> VaultResult<Vec<Destroyed>> {
        self.file.statements(epoch)
    }

    fn heal(&self) -> VaultResult<()> {
        self.file.heal()
    }
}

/// The pass in `dir` over such a root, its clock, and whether the root is away.
fn open(dir: &Path, url: Option<&str>) -> (App, Arc<SetClock>, Arc<AtomicBool>) {
    let (clock, is_away) = (SetClock::new("2026-02-01T00:00:00Z"), Arc::new(AtomicBool::new(false)));
    let (house, vault) = (House::open(dir).unwrap(), vault_setup(url));
    let place = SlowPlace { file: Box::new(vault.file(&house)), clock: Arc::clone(&clock), is_away: Arc::clone(&is_away) };
    let config =
        Config { origin: "city.test/log".into(), database: url.map(str::to_owned), operator: OPERATOR.parse().unwrap(), vault };
    let ports = (Arc::clone(&clock) as Arc<dyn Clock>, SeededRng::new(5));
    let app = App::open(Open {
        config,
        house,
        clock: ports.0,
        rng: ports.1,
        root: Some(Box::new(place)),
        objects: None,
        second_hand: None,
        transport: None,
    });
    (app.unwrap(), clock, is_away)
}

/// The newest certificate.
fn newest(app: &App) -> Certificate {
    let register = app.register();
    register.certificates.values().max_by_key(|entry| entry.index).unwrap().body.clone()
}

fn dates(app: &App) -> (Time, Time) {
    let body = newest(app);
    (body.erased_live_at, body.erased_root_at)
}

#[test]
fn the_live_copy_is_closed_before_the_root_is_gone() {
    let test = |dir: &Path, url: Option<&str>| {
        let (first, second) = {
            let city = City::found(dir, url);
            (city.cardholder().0, city.enrol(1)[0])
        };
        let (app, clock, _) = open(dir, url);
        let began = app.now();
        app.withdraw(first, &mandate()).unwrap();
        assert_eq!(dates(&app), (began, began.plus(HOUR)), "a withdrawal");
        let began = app.now();
        app.delete_resident(second).unwrap();
        assert_eq!(dates(&app), (began, began.plus(HOUR)), "a deletion");
        clock.advance(700 * DAY);
        let began = app.now();
        assert_eq!(app.run_sunsets().unwrap().ended, [mandate()]);
        assert_eq!(dates(&app), (began, began.plus(HOUR)), "the end of a mandate");
    };
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres("dates", test);
}

#[test]
fn while_the_old_root_stands_nothing_is_certified_and_the_first_date_stays() {
    let test = |dir: &Path, url: Option<&str>| {
        let resident = City::found(dir, url).enrol(1)[0];
        let (app, clock, is_away) = open(dir, url);
        is_away.store(true, Ordering::SeqCst);
        let closed = app.now();
        assert!(app.delete_resident(resident).is_err());
        clock.advance(DAY);
        assert!(app.finish_erasures().is_err());
        assert!(app.register().certificates.is_empty(), "the old root would open it");
        clock.advance(DAY);
        is_away.store(false, Ordering::SeqCst);
        assert_eq!(app.finish_erasures().unwrap(), 1);
        // The root that was owed goes first, then that of the second attempt.
        assert_eq!(dates(&app), (closed, closed.plus(2 * DAY + 2 * HOUR)));
    };
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres("dates_away", test);
}

/// How many rows this query counts.
fn count(app: &App, sql: &'static str) -> i64 {
    let counted: Result<i64, DbError> = app.db().read(|conn| conn.query_one(sql, &[])?.expect("one row").integer(0));
    counted.unwrap()
}

#[test]
fn the_key_of_a_mandate_goes_before_anything_that_grows_with_its_use() {
    let test = |dir: &Path, url: Option<&str>| {
        drop({
            let city = City::found(dir, url);
            city.cardholder();
            city
        });
        let (app, clock, is_away) = open(dir, url);
        // More than one part of each, one of the service's own, and one that is given after the last day for another mandate of it.
        let rows = format!(
            "-- many_tokens\nWITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 5200) \
             INSERT INTO tokens (token_hash, service, resident, scope, issued_at, expires_at) \
             SELECT CAST('token ' || n AS {bytes}), '{service}', CASE WHEN n > 1 THEN n END, 'openid', \
             CASE WHEN n = 2 THEN {late} ELSE 0 END, {late} FROM counted",
            bytes = if url.is_some() { "BYTEA" } else { "BLOB" },
            service = common::service(),
            late = app.now().plus(1_000 * DAY).micros(),
        );
        let insert = move |tx: &mut Tx<'_>| tx.execute(&rows, &[]);
        let inserted: Result<u64, DbError> = app.db().transaction("many tokens", insert);
        assert_eq!(inserted.unwrap(), 5_200);
        let used = || {
            [
                count(&app, "-- count_tokens\nSELECT count(*) FROM tokens"),
                count(&app, "-- count_grants\nSELECT count(*) FROM grants WHERE state = 'given'"),
                count(&app, "-- count_lent\nSELECT count(*) FROM lent_blocks"),
            ]
        };
        let before = used();
        assert!(before[1] > 0 && before[2] > 0, "{before:?}");
        clock.advance(700 * DAY);
        is_away.store(true, Ordering::SeqCst);
        assert!(app.run_sunsets().is_err(), "its root is still there");
        assert_eq!(used(), before, "nothing comes before the key");
        is_away.store(false, Ordering::SeqCst);
        assert_eq!(app.run_sunsets().unwrap().ended, [mandate()]);
        assert_eq!(used(), [2, 0, 0], "its own, and the later one");
    };
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres("dates_order", test);
}

#[test]
fn a_date_that_was_written_into_the_database_is_not_certified() {
    let test = |dir: &Path, url: Option<&str>| {
        let resident = City::found(dir, url).enrol(1)[0];
        let (app, clock, is_away) = open(dir, url);
        let alter = |at: Time| {
            let sql = "-- alter_dates\nUPDATE erasures SET live_at = $1, root_at = $1 WHERE destroyed_at IS NULL";
            let alter = move |tx: &mut Tx<'_>| tx.execute(sql, &[at.micros().into()]);
            let altered: Result<u64, DbError> = app.db().transaction("alter dates", alter);
            assert_eq!(altered.unwrap(), 1);
        };
        let is_honest = |ended: Time| {
            let (live_at, root_at) = dates(&app);
            assert!(ended <= live_at && live_at <= root_at && root_at <= app.now(), "{live_at} {root_at}");
        };
        let began = app.now();
        is_away.store(true, Ordering::SeqCst);
        assert!(app.delete_resident(resident).is_err());
        alter(began.plus(5_000 * DAY));
        clock.advance(DAY);
        is_away.store(false, Ordering::SeqCst);
        app.finish_erasures().unwrap();
        is_honest(began);
        clock.advance(700 * DAY);
        let ended = app.now();
        is_away.store(true, Ordering::SeqCst);
        assert!(app.run_sunsets().is_err());
        alter("2020-01-01T00:00:00Z".parse().unwrap());
        clock.advance(DAY);
        is_away.store(false, Ordering::SeqCst);
        app.run_sunsets().unwrap();
        is_honest(ended);
    };
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres("dates_forged", test);
}

#[test]
fn a_scan_that_could_not_erase_goes_on_where_it_stopped() {
    let test = |dir: &Path, url: Option<&str>| {
        drop(City::found(dir, url));
        let (app, clock, is_away) = open(dir, url);
        let mut canaries = app.enrol_canaries(2).unwrap();
        let old = tempfile::tempdir().unwrap();
        std::fs::copy(dir.join("vault/root"), old.path().join("root")).unwrap();
        is_away.store(true, Ordering::SeqCst);
        assert!(app.scan_canaries(&mut canaries, None, &[]).is_err());
        assert!(app.scan_canaries(&mut canaries, None, &[]).is_err());
        assert!(app.register().audits.is_empty(), "nothing is said of a drill that was not done");
        clock.advance(DAY);
        is_away.store(false, Ordering::SeqCst);
        let report = app.scan_canaries(&mut canaries, None, &[old.path().to_owned()]).unwrap();
        // The root from before the first attempt is searched for too.
        assert_eq!((report.sampled, report.wrong), (2, 1), "{:?}", report.findings);
        assert_eq!(app.register().certificates.len(), 2);
    };
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres("dates_scan", test);
}

const HOUR: i64 = DAY / 24;
