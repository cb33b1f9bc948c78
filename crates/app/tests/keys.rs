//! Keys of mandates and pseudonym domains: each is in the log from when it is made, and a mandate's can be replaced while it is used.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{CARD, City, LIBRARY, OPERATOR, block, library_card, looked_into, mandate, on_both, service};
use serde_json::json;
use usufruct_app::{Error, Publication};
use usufruct_core::certificate::Cause;
use usufruct_core::id::MandateId;
use usufruct_core::key::KeyOf;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Text};
use usufruct_store::{blocks, erasures};

on_both!(
    every_key_is_in_the_log_from_when_it_is_made,
    a_certificate_of_keys_that_nobody_heard_of_is_refused,
    a_key_is_replaced_under_load_and_everything_opens_all_the_time,
    a_replacement_goes_on_part_by_part,
);

fn of(mandate: &str) -> KeyOf {
    KeyOf::Mandate(mandate.parse().unwrap())
}

/// The commitments of the living keys, and of which month each is.
fn keys(city: &City, of: &KeyOf) -> Vec<(Digest, Option<String>)> {
    let register = city.app.register();
    register.living_keys(of).iter().map(|key| (key.body.commitment, key.body.month.map(|month| month.to_string()))).collect()
}

fn every_key_is_in_the_log_from_when_it_is_made(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let before = city.app.register();
    assert_eq!(keys(&city, &of(CARD)).len(), 1);
    assert_eq!(keys(&city, &KeyOf::Sector("library".into())).len(), 1);
    assert_eq!(before.keys.len(), 2);
    // A mandate that services deposit under has a key for the month from its first day on, whether anybody deposits or not.
    let mut visits = library_card();
    visits["operations"] = json!(["collect", "deposit", "match"]);
    city.publish_mandate("mdt_short", visits);
    let short = of("mdt_short");
    let months = || keys(&city, &short).into_iter().map(|(_, month)| month).collect::<Vec<_>>();
    assert_eq!(months(), [None, Some("2026-01".to_owned())]);
    assert!(keys(&city, &short).iter().all(|(commitment, _)| city.app.key_lives(commitment)));
    city.clock.advance(31 * DAY);
    city.app.tick().unwrap();
    assert_eq!(months(), [None, Some("2026-01".to_owned()), Some("2026-02".to_owned())]);
    // Nothing is published twice.
    let count = city.app.register().keys.len();
    city.app.tick().unwrap();
    drop(city);
    let city = City::open(dir, url, "2026-02-02T00:00:00Z", 5);
    assert_eq!(city.app.register().keys.len(), count);
    // The end of the mandate is certified for all of them.
    city.app.end_mandate(&"mdt_short".parse().unwrap(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
    let register = city.app.register();
    assert_eq!(register.certificate(&"mdt_short".parse().unwrap()).unwrap().body.key_commitments.len(), 3);
    assert!(register.living_keys(&short).is_empty());
}

fn a_certificate_of_keys_that_nobody_heard_of_is_refused(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.publish_mandate("mdt_short", library_card());
    let short: MandateId = "mdt_short".parse().unwrap();
    city.app.end_mandate(&short, &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
    let honest = city.app.register().certificate(&short).unwrap().clone();
    // The same proofs, which hold, said of another mandate that is being erased.
    let over = Text::new("Over.", "結束。");
    city.app.move_mandate(&mandate(), State::Revoked, &city.signer(LIBRARY), over.clone(), looked_into()).unwrap();
    let machine = city.app.house().signer(&OPERATOR.parse().unwrap(), "automation", city.app.rng()).unwrap();
    city.app.move_mandate(&mandate(), State::Erasing, &[&machine], over, looked_into()).unwrap();
    let mut body = serde_json::to_value(&honest.body).unwrap();
    body["mandate"] = json!(CARD);
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let mut statement =
        city.app.statement(StatementKind::Certificate, "crt_invented", &OPERATOR.parse().unwrap(), body, city.app.now());
    statement.approve(&machine).unwrap();
    let Err(Error::Unlawful(problems)) = city.app.publish(&Publication { statements: vec![statement] }) else {
        panic!("it is taken");
    };
    assert!(problems.iter().any(|problem| problem.rule == "not-published"), "{problems:?}");
    city.app.run_sunsets().unwrap();
    assert_eq!(city.app.register().mandates[&mandate()].state, State::Erased, "the honest one is taken");
}

fn a_key_is_replaced_under_load_and_everything_opens_all_the_time(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let readers: Vec<(u64, String)> = (0..12).map(|_| city.cardholder()).collect();
    let newcomers = city.enrol(60);
    let app = Arc::clone(&city.app);
    let is_over = AtomicBool::new(false);
    let old = keys(&city, &of(CARD));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut count = 0_u64;
            while !is_over.load(Ordering::SeqCst) || count < 12 {
                let (_, subject) = &readers[count as usize % readers.len()];
                city.app.release(&city.request(subject)).unwrap();
                count += 1;
            }
            count
        });
        scope.spawn(|| {
            newcomers.iter().for_each(|resident| drop(app.consent_at_counter(*resident, &service(), &mandate(), &[]).unwrap()))
        });
        scope.spawn(|| {
            let correct = |(resident, _): &(u64, String)| app.correct(*resident, &block("district"), "Hill").unwrap();
            readers.iter().for_each(correct);
        });
        for _ in 0..3 {
            let rotated = city.app.rotate_mandate(&mandate()).unwrap();
            assert!(rotated.closed == 0 && rotated.sealed > 0, "{rotated:?}");
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(reading.join().unwrap() > 0);
    });
    let new = keys(&city, &of(CARD));
    assert!(new.len() == 1 && new != old);
    let all = readers.into_iter().chain(newcomers.iter().map(|resident| {
        let subject = city.app.subject(*resident, &service()).unwrap();
        (*resident, subject)
    }));
    for (_, subject) in all {
        assert_eq!(city.app.release(&city.request(&subject)).unwrap().blocks.len(), 1);
    }
    let register = city.app.register();
    assert_eq!(register.certificates.values().filter(|entry| entry.body.cause == Cause::Rotation).count(), 3);
    assert!(city.app.rotate_mandate(&"mdt_nowhere".parse().unwrap()).is_err());
}

fn a_replacement_goes_on_part_by_part(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let residents = city.enrol(430);
    for resident in &residents {
        city.app.consent_at_counter(*resident, &service(), &mandate(), &[]).unwrap();
    }
    let number = city.app.register().mandates[&mandate()].number;
    let row = |resident: u64| city.app.db().read(|conn| blocks::lent(conn, resident, number)).unwrap();
    let before: Vec<_> = residents.iter().map(|resident| row(*resident)).collect();
    // Somebody's copy is spoilt: it opens under no key, and keeps nothing up.
    let spoilt = vec![(residents[7], number, before[7][0].0, vec![0; 80])];
    city.app.db().transaction("spoil", move |tx| blocks::put_lent(tx, &spoilt)).unwrap();
    let rotated = city.app.rotate_mandate(&mandate()).unwrap();
    assert_eq!((rotated.sealed, rotated.closed), (429, 1));
    assert!(residents.iter().zip(&before).all(|(resident, old)| row(*resident) != *old));
    for resident in residents.iter().filter(|resident| **resident != residents[7]).step_by(40) {
        let subject = city.app.subject(*resident, &service()).unwrap();
        city.app.release(&city.request(&subject)).unwrap();
    }
    assert!(city.app.db().read(erasures::of_rotations).unwrap().is_empty());
}
