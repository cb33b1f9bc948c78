//! Notes of destructions that are under way lie in the database, and somebody may write to it: a date that was moved is not certified, a proof
//! that was changed proves nothing, and neither holds anything else up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::common::{City, LIBRARY, mandate, on_postgres};
use crate::slow_root::{open, try_open};
use usufruct_app::App;
use usufruct_app::store::db::{Connection as _, Error as DbError, Tx, Value as SqlValue};
use usufruct_app::store::erasures::{self, Erasure};
use usufruct_core::id::CertificateId;
use usufruct_core::key::KeyOf;
use usufruct_core::late::LateDuty;
use usufruct_core::lifecycle::State;
use usufruct_core::time::DAY;
use usufruct_core::{Text, Time};

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

/// Writes to the notes that are not done, as somebody who has the database does.
fn alter(app: &App, set: &str, params: Vec<SqlValue>) {
    let sql = format!("-- alter_notes\nUPDATE erasures SET {set} WHERE destroyed_at IS NULL");
    let altered: Result<u64, DbError> = app.db().transaction("alter notes", move |tx: &mut Tx<'_>| tx.execute(&sql, &params));
    assert!(altered.unwrap() > 0);
}

/// The certificates of what is not done.
fn waiting(app: &App) -> Vec<CertificateId> {
    app.db().read(|conn| erasures::waiting(conn, 10)).unwrap().into_iter().map(|erasure| erasure.certificate).collect()
}

#[test]
fn the_dates_of_a_residents_erasure_cannot_be_moved_by_altering_the_request_too() {
    on_both("evidence_dates", |dir, url| {
        let resident = City::found(dir, url).enrol(1)[0];
        let (app, clock, is_away) = open(dir, url);
        let asked = app.now();
        is_away.store(true, Ordering::SeqCst);
        assert!(app.delete_resident(resident).is_err());
        // Between the first statement of the log and the request.
        let early: Time = "2026-01-10T00:00:00Z".parse().unwrap();
        alter(&app, "requested_at = $1, live_at = $1, root_at = $1", vec![early.micros().into()]);
        clock.advance(DAY);
        is_away.store(false, Ordering::SeqCst);
        assert_eq!(app.finish_erasures().unwrap(), 1);
        let register = app.register();
        let body = &register.certificates.values().next().unwrap().body;
        assert!(body.erased_live_at >= asked && body.erased_root_at >= asked, "{} {}", body.erased_live_at, body.erased_root_at);
        assert!(register.uncertified.is_empty(), "what it proves is whole");
    });
}

#[test]
fn a_date_that_was_noted_before_the_start_of_the_pass_is_still_believed() {
    on_both("evidence_kept", |dir, url| {
        let resident = City::found(dir, url).enrol(1)[0];
        let (app, _, is_away) = open(dir, url);
        let closed = app.now();
        is_away.store(true, Ordering::SeqCst);
        assert!(app.delete_resident(resident).is_err());
        drop(app);
        let (app, ..) = try_open(dir, url, "2026-02-05T00:00:00Z");
        let app = app.unwrap();
        assert_eq!(app.finish_erasures().unwrap(), 1);
        assert_eq!(app.register().certificates.values().next().unwrap().body.erased_live_at, closed);
    });
}

#[test]
fn one_note_that_was_spoiled_stops_no_start_and_is_certified_by_nothing() {
    let spoilings: [(&str, Vec<SqlValue>); 5] = [
        ("evidence = $1", vec!["{".into()]),
        ("evidence = $1", vec![r#"{"epoch":1,"root":"00","proofs":[]}"#.into()]),
        ("evidence = REPLACE(evidence, 'epoch\":', 'epoch\":1')", Vec::new()),
        ("commitments = $1", vec!["no commitment".into()]),
        ("cause = $1", vec!["request".into()]),
    ];
    for (number, (set, params)) in spoilings.into_iter().enumerate() {
        on_both(&format!("evidence_spoiled_{number}"), |dir, url| {
            let city = City::found(dir, url);
            let ((first, _), second) = (city.cardholder(), city.enrol(1)[0]);
            drop(city);
            let (app, _, is_away) = open(dir, url);
            is_away.store(true, Ordering::SeqCst);
            assert!(app.withdraw(first, &mandate()).is_err());
            alter(&app, set, params.clone());
            let [spoiled] = &waiting(&app)[..] else { panic!("one") };
            assert!(app.delete_resident(second).is_err());
            drop(app);
            let (app, ..) = try_open(dir, url, "2026-02-05T00:00:00Z");
            let app = Arc::new(app.expect("the start goes on"));
            let key = app.resident_key(first).unwrap();
            app.tick().unwrap();
            let register = app.register();
            assert!(register.uncertified.contains_key(spoiled) && !register.certificates.contains_key(spoiled), "{set}");
            assert_eq!(register.certificates.len(), 1, "the other one is certified");
            assert!(waiting(&app).is_empty() && app.db().read(|conn| erasures::pending(conn, 10)).unwrap().is_empty());
            assert!(app.resident_key(second).unwrap().is_none());
            assert_ne!(app.resident_key(first).unwrap(), key, "her old key is gone all the same");
            let mut late = app.late().unwrap();
            late.retain(|late| late.duty != LateDuty::CaseTally);
            assert_eq!((late.len(), late[0].duty, late[0].object.as_str()), (1, LateDuty::Certificate, spoiled.as_str()));
            app.tick().unwrap();
            assert_eq!(app.register().uncertified.len(), 1, "it is said once");
        });
    }
}

#[test]
fn a_name_that_was_spoiled_stops_no_start() {
    on_both("evidence_name", |dir, url| {
        let resident = City::found(dir, url).enrol(1)[0];
        let (app, _, is_away) = open(dir, url);
        is_away.store(true, Ordering::SeqCst);
        assert!(app.delete_resident(resident).is_err());
        alter(&app, "certificate_id = $1", vec!["nobody knows".into()]);
        drop(app);
        let (app, ..) = try_open(dir, url, "2026-02-05T00:00:00Z");
        let app = Arc::new(app.unwrap());
        app.tick().unwrap();
        assert_eq!(app.db().read(erasures::nameless).unwrap(), 1, "which the doctor says");
    });
}

#[test]
fn a_forged_note_of_the_end_of_a_mandate_is_written_anew_while_its_key_lives() {
    on_both("evidence_forged_end", |dir, url| {
        let city = City::found(dir, url);
        let forged = Erasure {
            certificate: "crt_00000000-0000-7000-8000-000000000000".parse().unwrap(),
            cause: "revocation".to_owned(),
            resident: None,
            mandate: Some(city.app.register().mandates[&mandate()].number),
            sector: None,
            months: Vec::new(),
            commitments: Vec::new(),
            evidence: r#"{"epoch":1}"#.to_owned(),
            requested_at: Time::default(),
            live_at: Some(Time::default()),
            root_at: None,
        };
        city.app.db().transaction("forge", move |tx| erasures::insert(tx, &forged)).unwrap();
        let ended = city.app.now();
        city.app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
        let register = city.app.register();
        let body = &register.certificate(&mandate()).expect("its end is certified").body;
        assert!(body.key_commitments.len() == 1 && body.erased_live_at >= ended && register.uncertified.is_empty());
        assert_eq!(register.mandates[&mandate()].state, State::Erased);
    });
}

#[test]
fn a_mandate_whose_note_was_spoiled_after_its_key_went_ends_without_a_certificate() {
    on_both("evidence_spoiled_end", |dir, url| {
        drop(City::found(dir, url));
        let (app, clock, is_away) = open(dir, url);
        clock.advance(700 * DAY);
        is_away.store(true, Ordering::SeqCst);
        assert!(app.run_sunsets().is_err());
        alter(&app, "evidence = $1", vec!["{}".into()]);
        drop(app);
        let (app, ..) = try_open(dir, url, "2028-02-05T00:00:00Z");
        let app = Arc::new(app.unwrap());
        app.tick().unwrap();
        let register = app.register();
        assert_eq!(register.mandates[&mandate()].state, State::Erased);
        assert!(register.certificate(&mandate()).is_none() && waiting(&app).is_empty());
        let said = &register.uncertified.values().next().unwrap().body;
        assert_eq!((said.mandate.as_ref(), said.key_commitments.len()), (Some(&mandate()), 1));
        assert!(register.living_keys(&KeyOf::Mandate(mandate())).is_empty(), "nobody takes it for a key that lives");
        assert!(app.late().unwrap().iter().any(|late| late.duty == LateDuty::Certificate));
    });
}
