//! All pseudonyms of a service replaced at once, on both databases: the old ones are dead from the first moment on, services hear of it each under
//! its own, and a crash at any step is finished without anybody being moved twice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::common;
use crate::common::{CARD, City, LIBRARY, SERVICE, on_both, service};
use serde_json::json;
use usufruct_app::{App, AuthorizeRequest, Error, GrantManagement, Happening, StreamRequest};
use usufruct_core::Text;
use usufruct_core::event::Kind;
use usufruct_core::id::ServiceId;
use usufruct_core::statement::StatementKind;

on_both!(
    old_pseudonyms_are_dead_and_services_learn_the_new_ones,
    a_crash_at_any_step_is_finished_and_moves_nobody_twice,
    other_domains_stay_as_they_are,
);

const OTHER: &str = "svc_archive";

fn reason() -> Text {
    Text::new("A list got out.", "名單外洩。")
}

/// A city whose service of the library wants to be told of everything.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service(OTHER, LIBRARY, "archive");
    let mut body = serde_json::to_value(&city.app.register().services[&service()].body).unwrap();
    body["signals_uri"] = json!("https://library.example.org/signals");
    city.publish(StatementKind::Service, SERVICE, LIBRARY, body);
    let endpoint = Some("https://library.example.org/signals".to_owned());
    let stream = StreamRequest { endpoint, authorization_header: None, events: None, description: None };
    city.app.create_stream(&service(), stream).unwrap();
    city
}

fn authorize(app: &App, resident: u64) {
    let session = app.session(&app.open_session(resident, "test").unwrap()).unwrap().unwrap();
    let request = AuthorizeRequest {
        service: service(),
        redirect_uri: "http://localhost:8081/callback".to_owned(),
        scope: vec!["openid".to_owned(), CARD.to_owned()],
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Any,
        pushed: None,
        agreed: vec![CARD.parse().unwrap()],
    };
    app.authorize(&session, &request).unwrap();
}

fn codes(city: &City) -> i64 {
    let count = city.app.db().read(|conn| conn.query_one("-- code_count\nSELECT COUNT(*) FROM codes", &[])).unwrap();
    count.unwrap().integer(0).unwrap()
}

fn replaced(city: &City, resident: u64) -> usize {
    let lines = city.app.footprint(resident).unwrap().lines;
    let is_it = |event: &usufruct_core::event::Event| event.kind == Kind::Status && event.reason == "pseudonym-replaced";
    lines.into_iter().filter_map(|line| line.event).filter(is_it).count()
}

fn old_pseudonyms_are_dead_and_services_learn_the_new_ones(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (reader, old) = city.cardholder();
    let quiet = city.enrol(1)[0];
    let old_quiet = city.app.subject(quiet, &service()).unwrap();
    authorize(&city.app, reader);
    city.app.release(&city.request(&old)).unwrap();
    assert_eq!(codes(&city), 1);
    let rotated = city.app.rotate_service(&service(), None, &reason()).unwrap();
    assert_eq!((rotated.residents, rotated.services.as_slice()), (2, &[service()][..]));
    for dead in [&old, &old_quiet] {
        let refused = city.app.release(&city.request(dead)).map(drop).unwrap_err();
        assert!(matches!(refused, Error::Unknown { .. }), "{refused}");
    }
    assert_eq!(codes(&city), 0, "what waited to be exchanged is dead");
    let new = city.app.subject(reader, &service()).unwrap();
    assert_ne!(new, old);
    // Her consent stays: under the new pseudonym everything goes on.
    city.app.release(&city.request(&new)).unwrap();
    let told = city.app.due_messages(100).unwrap();
    let told: Vec<_> = told
        .into_iter()
        .filter_map(|sent| match sent.event.told.happening {
            Happening::PseudonymReplaced { next } => Some((sent.event.told.subject, next)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(Some(old), Some(new))], "of whom it never met it hears nothing");
    assert_eq!((replaced(&city, reader), replaced(&city, quiet)), (1, 0));
    let register = city.app.register();
    assert_eq!(register.rotations.len(), 1);
    let entry = &register.rotations[&rotated.rotation];
    assert_eq!((entry.body.sector.as_str(), entry.body.reason.clone()), ("library", reason()));
    // Again is another one.
    let again = city.app.rotate_service(&service(), None, &reason()).unwrap();
    assert_ne!(again.rotation, rotated.rotation);
}

fn a_crash_at_any_step_is_finished_and_moves_nobody_twice(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let residents = city.enrol(430);
    for resident in residents.iter().take(5) {
        city.app.consent(*resident, &service(), &common::mandate(), &[]).unwrap();
        authorize(&city.app, *resident);
    }
    let old: Vec<String> = residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect();
    let rotate = |city: &City| city.app.rotate_service(&service(), None, &reason()).unwrap();
    let mut crashes = 0;
    let done = loop {
        city.clock.after(crashes, || panic!("the process stops here"));
        match catch_unwind(AssertUnwindSafe(|| rotate(&city))) {
            Ok(done) => break done,
            Err(_) if city.app.register().rotations.is_empty() => {}
            // From the statement on every old pseudonym is dead, also of residents whose turn has not come.
            Err(_) => {
                for subject in [&old[0], &old[4]] {
                    let refused = city.app.release(&city.request(subject)).map(drop).unwrap_err();
                    assert!(matches!(refused, Error::Rotating | Error::Unknown { .. }), "{refused}");
                }
            }
        }
        crashes += 1;
    };
    city.clock.after(usize::MAX, || {});
    assert!(crashes >= 4, "{crashes}");
    assert_eq!((done.residents, city.app.register().rotations.len()), (430, 1));
    for resident in residents.iter().take(5) {
        assert_eq!(replaced(&city, *resident), 1);
    }
    let new: Vec<String> = residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect();
    assert!(old.iter().zip(&new).all(|(old, new)| old != new));
    // One that a restart interrupted is finished by the clock.
    city.clock.after(2, || panic!("the process stops here"));
    assert!(catch_unwind(AssertUnwindSafe(|| rotate(&city))).is_err());
    city.clock.after(usize::MAX, || {});
    let (at, begun) = (city.app.now().to_string(), city.app.register().rotations.len());
    drop(city);
    let city = City::open(dir, url, &at, 9);
    if begun == 2 {
        assert!(matches!(city.app.release(&city.request(&new[0])), Err(Error::Rotating | Error::Unknown { .. })));
    }
    city.app.tick().unwrap();
    let third = city.app.subject(residents[0], &service()).unwrap();
    assert_eq!(third != new[0], begun == 2);
    city.app.release(&city.request(&third)).unwrap();
}

fn other_domains_stay_as_they_are(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let other: ServiceId = OTHER.parse().unwrap();
    let (reader, _) = city.cardholder();
    let before = city.app.subject(reader, &other).unwrap();
    city.app.rotate_service(&service(), None, &reason()).unwrap();
    assert_eq!(city.app.subject(reader, &other).unwrap(), before);
    let unknown = city.app.rotate_service(&"svc_nowhere".parse().unwrap(), None, &reason()).unwrap_err();
    assert!(matches!(unknown, Error::Unknown { .. }), "{unknown}");
    let no_breach = city.app.rotate_service(&service(), Some(&"brc_none".parse().unwrap()), &reason()).unwrap_err();
    assert!(matches!(no_breach, Error::Unlawful(_)), "{no_breach}");
    city.app.tick().unwrap();
    assert!(city.app.register().rotations.len() == 1);
    assert!(city.app.release(&city.request(&city.app.subject(reader, &service()).unwrap())).is_ok());
}
