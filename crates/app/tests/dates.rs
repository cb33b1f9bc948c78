//! The dates of a certificate are those of the steps: when nothing opened any more in the running system, and when the old root was gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::common;
use crate::common::{City, library_card, mandate, on_postgres, service};
use crate::slow_root::open;
use serde_json::json;
use usufruct_app::store::db::{Connection, Error as DbError, Tx};
use usufruct_app::store::erasures;
use usufruct_app::{App, DepositRequest};
use usufruct_core::Time;
use usufruct_core::certificate::{Cause, Certificate};
use usufruct_core::id::MandateId;
use usufruct_core::time::{DAY, HOUR};

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
fn the_key_of_a_mandate_goes_before_months_whose_end_was_under_way() {
    let test = |dir: &Path, url: Option<&str>| {
        let visits: MandateId = "mdt_short".parse().unwrap();
        {
            let city = City::found(dir, url);
            let mut body = library_card();
            body["operations"] = json!(["collect", "deposit", "match"]);
            body["sunset_at"] = json!("2026-06-30T16:00:00Z");
            city.publish_mandate(visits.as_str(), body);
            let (resident, subject) = city.cardholder();
            city.app.consent_at_counter(resident, &service(), &visits, &[]).unwrap();
            let request = DepositRequest {
                service: service(),
                mandate: visits.clone(),
                subject,
                block: common::block("name"),
                value: "Main hall".into(),
                reason: "lending".into(),
                actor: None,
                sign_in: None,
                third_party: false,
            };
            city.app.deposit(&request).unwrap();
        }
        let (app, clock, is_away) = open(dir, url);
        // January and what was kept of it is over; its root cannot be destroyed. Then the mandate is over too.
        clock.advance(40 * DAY);
        is_away.store(true, Ordering::SeqCst);
        assert!(app.run_retention().is_err());
        assert_eq!(app.db().read(erasures::of_months).unwrap().len(), 1, "the end of January is under way");
        clock.advance(110 * DAY);
        is_away.store(false, Ordering::SeqCst);
        let ended = app.now();
        let app = Arc::new(app);
        app.tick().unwrap();
        let register = app.register();
        let mut certificates: Vec<_> = register.certificates.values().collect();
        certificates.retain(|entry| entry.body.mandate.as_deref() == Some(visits.as_str()));
        certificates.sort_by_key(|entry| entry.index);
        let causes: Vec<Cause> = certificates.iter().map(|entry| entry.body.cause).collect();
        assert_eq!(causes, [Cause::Retention, Cause::Sunset], "each by itself");
        // The root that was owed takes its hour; nothing else comes before the mandate's key.
        assert_eq!(certificates[1].body.erased_live_at, ended.plus(HOUR));
        assert!(app.db().read(erasures::of_months).unwrap().is_empty());
    };
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres("dates_months", test);
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
