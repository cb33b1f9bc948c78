//! Two services that put together when they heard of what find no moment in common, on both databases; and what happened is done at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::common;
use crate::common::{CARD, City, LIBRARY};
use serde_json::json;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::{AuthorizeRequest, GrantManagement, Happening, OpenSession, SPREAD, StreamRequest};
use usufruct_core::Time;
use usufruct_core::grant::GrantState;
use usufruct_core::id::ServiceId;
use usufruct_core::time::{DAY, MINUTE, SECOND};

common::on_both!(
    a_freeze_is_told_everywhere_in_the_moment_it_happens,
    notices_of_one_withdrawal_come_and_end_apart,
    what_is_public_or_asked_for_does_not_wait,
    word_of_one_event_comes_at_no_common_moment,
);

const SERVICES: [&str; 2] = ["svc_theatre", "svc_archive"];
const RESIDENTS: usize = 40;
const STEP: i64 = 5 * SECOND;

/// A city whose two services want to be told: one by push, the other asks.
fn city(dir: &Path, url: Option<&str>) -> (City, String) {
    let city = City::found(dir, url);
    let mut polled = String::new();
    for id in SERVICES {
        let signals = format!("https://{id}.example.org/signals");
        city.open_service_with(id, LIBRARY, id.trim_start_matches("svc_"), |body| body["signals_uri"] = json!(signals));
        let endpoint = (id == SERVICES[0]).then(|| signals.clone());
        let told = StreamRequest { endpoint, authorization_header: None, events: None, description: None };
        polled = city.app.create_stream(&id.parse().unwrap(), told).unwrap().id;
    }
    city.app.spread_word(SPREAD);
    (city, polled)
}

fn services() -> [ServiceId; 2] {
    SERVICES.map(|id| id.parse().unwrap())
}

/// A resident who is signed in at both.
fn resident(city: &City) -> (u64, OpenSession) {
    let resident = city.enrol(1)[0];
    let session = city.app.session(&city.app.open_session(resident, "test").unwrap()).unwrap().unwrap();
    for service in services() {
        city.app.consent(resident, &service, &CARD.parse().unwrap(), &[]).unwrap();
        let request = AuthorizeRequest {
            service,
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
        city.app.authorize(&session, &request).unwrap();
    }
    (resident, session)
}

/// What a service heard: when, what time the message gives, about whom, and what.
struct Heard {
    at: Time,
    says: Time,
    subject: String,
    what: Happening,
}

/// What came to either service since it was asked last.
fn hear(city: &City, polled: &str) -> [Vec<Heard>; 2] {
    let at = city.app.now();
    let heard = |event: &usufruct_app::Event| Heard {
        at,
        says: event.ready_at,
        subject: event.told.subject.clone().unwrap_or_default(),
        what: event.told.happening.clone(),
    };
    let pushed = city.app.due_messages(1_000).unwrap();
    pushed.iter().for_each(|sent| city.app.message_taken(sent).unwrap());
    let waiting = city.app.waiting_events(&services()[1], polled, 1_000).unwrap().events;
    let ids = waiting.iter().map(|event| event.id.clone()).collect();
    city.app.acknowledge_events(&services()[1], polled, ids).unwrap();
    [pushed.iter().map(|sent| heard(&sent.event)).collect(), waiting.iter().map(heard).collect()]
}

fn word_of_one_event_comes_at_no_common_moment(dir: &Path, url: Option<&str>) {
    let (city, polled) = city(dir, url);
    let residents: Vec<u64> = (0..RESIDENTS).map(|_| resident(&city).0).collect();
    assert!(hear(&city, &polled).iter().all(Vec::is_empty));
    let began = city.app.now();
    // All of them pause their passes at one moment and go on soon after, and all of it counts at once.
    for state in [ResidentState::Deactivated, ResidentState::Active] {
        for resident in &residents {
            city.app.set_active(*resident, state).unwrap();
        }
        city.clock.advance(STEP);
    }
    let last = city.app.now();
    let mut all: [Vec<Heard>; 2] = [Vec::new(), Vec::new()];
    while city.app.now() <= last.plus(SPREAD) {
        for (service, heard) in hear(&city, &polled).into_iter().enumerate() {
            all[service].extend(heard);
        }
        city.clock.advance(STEP);
    }
    city.clock.advance(10 * MINUTE);
    assert!(hear(&city, &polled).iter().all(Vec::is_empty), "nothing comes later than it may");

    // When word of the pause came to each of them, by pseudonym.
    let frozen = |service: usize| -> BTreeMap<&str, &Heard> {
        let about = all[service].iter().filter(|heard| matches!(heard.what, Happening::AccountFrozen));
        about.map(|heard| (heard.subject.as_str(), heard)).collect()
    };
    for (service, heard) in all.iter().enumerate() {
        assert_eq!(heard.len(), 2 * RESIDENTS);
        for paused in frozen(service).values() {
            let goes_on = |heard: &&Heard| matches!(heard.what, Happening::AccountUnfrozen) && heard.subject == paused.subject;
            let goes_on = heard.iter().find(goes_on).unwrap();
            assert!(paused.says <= goes_on.says, "word of one resident stays in its order");
        }
        for heard in heard {
            assert!(heard.says >= began && heard.says <= heard.at && heard.at <= last.plus(SPREAD));
            assert!(heard.at.micros() - heard.says.micros() < 2 * STEP, "a message says no time but that of its coming");
        }
        let at: BTreeSet<Time> = frozen(service).values().map(|heard| heard.says).collect();
        assert_eq!(at.len(), RESIDENTS, "no two residents at one moment");
        let spread = at.last().unwrap().micros() - at.first().unwrap().micros();
        assert!(spread > SPREAD * 3 / 4, "over all of the time: {spread}");
    }
    let [theatre, archive] = [0, 1].map(|service| frozen(service).values().map(|heard| heard.says).collect::<BTreeSet<_>>());
    assert_eq!(theatre.intersection(&archive).count(), 0, "no time is in both streams");

    // Who puts the streams together pairs what came one after the other, and is about as often right as by chance.
    let own = |service: &ServiceId| -> BTreeMap<String, u64> {
        residents.iter().map(|resident| (city.app.subject(*resident, service).unwrap(), *resident)).collect()
    };
    let [names, others] = services().map(|service| own(&service));
    let in_order = |service: usize, names: &BTreeMap<String, u64>| -> Vec<u64> {
        let mut heard: Vec<_> = frozen(service).into_iter().collect();
        heard.sort_by_key(|(_, heard)| heard.says);
        heard.iter().map(|(subject, _)| names[*subject]).collect()
    };
    let pairs = in_order(0, &names).into_iter().zip(in_order(1, &others));
    let right = pairs.filter(|(one, another)| one == another).count();
    assert!(right <= 4, "{right} of {RESIDENTS} were joined");
    let difference = |resident: &u64| {
        let says = |service: usize, names: &BTreeMap<String, u64>| {
            frozen(service).into_iter().find(|(subject, _)| names[*subject] == *resident).unwrap().1.says.micros()
        };
        says(0, &names) - says(1, &others)
    };
    let near = residents.iter().filter(|resident| difference(resident).abs() < 10 * SECOND).count();
    assert!(near <= RESIDENTS / 5, "{near} of {RESIDENTS} within ten seconds");
}

fn notices_of_one_withdrawal_come_and_end_apart(dir: &Path, url: Option<&str>) {
    let (city, polled) = city(dir, url);
    let residents: Vec<u64> = (0..10).map(|_| resident(&city).0).collect();
    let (began, mut seen) = (city.app.now(), BTreeMap::<String, Vec<(Time, Time)>>::new());
    let subjects: Vec<[String; 2]> =
        residents.iter().map(|resident| services().map(|service| city.app.subject(*resident, &service).unwrap())).collect();
    for resident in &residents {
        city.app.withdraw(*resident, &CARD.parse().unwrap()).unwrap();
        assert!(city.app.grants(*resident).unwrap().iter().all(|stored| stored.grant.state != GrantState::Given), "at once");
    }
    let (mut listed, mut signalled) = (BTreeSet::new(), 0);
    while city.app.now() <= began.plus(SPREAD + MINUTE) {
        for service in services() {
            for notice in city.app.deletion_notices(&service).unwrap() {
                listed.insert(notice.id.clone());
                let of = seen.entry(notice.subject.clone().unwrap()).or_default();
                if of.is_empty() {
                    of.push((city.app.now(), notice.noted_at));
                }
                assert_eq!(notice.due_at.micros() % DAY, 0, "a day and no time");
                assert!(notice.due_at >= notice.noted_at.plus(30 * DAY), "whoever hears later has not less time");
            }
        }
        for heard in hear(&city, &polled).iter().flatten() {
            if let Happening::DeletionDue { deletion, .. } = &heard.what {
                assert!(listed.contains(deletion), "who is told of a notice finds it");
                signalled += 1;
            }
        }
        city.clock.advance(SECOND * 2);
    }
    assert_eq!(signalled, 20);
    let mut together = 0;
    for [one, another] in &subjects {
        let [one, another] = [one, another].map(|subject| seen[subject][0]);
        assert!(one.1 != another.1, "no time is in both");
        assert!(one.1 >= began && one.0 <= began.plus(SPREAD + 2 * SECOND));
        together += usize::from((one.1.micros() - another.1.micros()).abs() < 10 * SECOND);
    }
    assert!(together <= 3, "{together} of 10 within ten seconds");
}

/// "This was not me": whoever uses her pass has to be shut out at the services too, and not five minutes later.
fn a_freeze_is_told_everywhere_in_the_moment_it_happens(dir: &Path, url: Option<&str>) {
    let (city, polled) = city(dir, url);
    let (resident, session) = resident(&city);
    // Word that waits is not overtaken, or what she lifted before would undo the freeze at a service.
    for state in [ResidentState::Deactivated, ResidentState::Active] {
        city.app.set_active(resident, state).unwrap();
        city.clock.advance(SECOND);
    }
    city.app.close_session(&session).unwrap();
    city.clock.advance(SECOND);
    assert!(hear(&city, &polled).iter().all(Vec::is_empty), "all of that is spread");
    let at = city.app.now();
    city.app.freeze(resident).unwrap();
    for heard in hear(&city, &polled) {
        let told: Vec<bool> = heard.iter().map(|heard| matches!(heard.what, Happening::AccountFrozen)).collect();
        assert_eq!(told.iter().filter(|is_frozen| **is_frozen).count(), 2, "{told:?}");
        assert_eq!((told.last(), heard.last().map(|heard| heard.says)), (Some(&true), Some(at)));
        assert!(heard.iter().all(|heard| heard.at == at));
    }
    city.clock.advance(2 * SPREAD);
    assert!(hear(&city, &polled).iter().all(Vec::is_empty), "and no more of it later");
    // What is no emergency stays spread.
    let token = city.app.open_session(resident, "phone").unwrap();
    city.app.lift_freeze(&city.app.session(&token).unwrap().unwrap()).unwrap();
    assert!(hear(&city, &polled).iter().all(Vec::is_empty));
    city.clock.advance(SPREAD);
    assert!(hear(&city, &polled).iter().all(|heard| matches!(heard[..], [Heard { what: Happening::AccountUnfrozen, .. }])));
}

fn what_is_public_or_asked_for_does_not_wait(dir: &Path, url: Option<&str>) {
    let (city, polled) = city(dir, url);
    city.app.verify_stream(&services()[1], &polled, Some("word".into())).unwrap();
    let [_, heard] = hear(&city, &polled);
    assert!(matches!(&heard[..], [Heard { what: Happening::Verification { .. }, .. }]));
    // To ask for the stream anew does not bring word of a resident any sooner.
    let (resident, session) = resident(&city);
    city.app.close_session(&session).unwrap();
    assert_eq!(city.app.session_count(resident).unwrap(), 0, "it has ended");
    let again = StreamRequest { endpoint: None, authorization_header: None, events: None, description: None };
    city.app.change_stream(&services()[1], &polled, again).unwrap();
    assert!(hear(&city, &polled).iter().all(Vec::is_empty));
    city.clock.advance(SPREAD);
    let heard = hear(&city, &polled);
    assert!(heard.iter().all(|heard| heard.len() == 1), "each has word of the session");
}
