//! Ceremonies of browsers, on both databases: none is pushed out by others, each counts once, and only as what it is, in the browser that
//! began it, in time.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::authority::Trust;
use crate::common;
use crate::common::City;
use usufruct_app::store::tables;
use usufruct_app::{CeremonyKind, OpenCeremony};
use usufruct_core::time::MINUTE;

common::on_both!(
    a_ceremony_counts_once,
    a_ceremony_is_of_one_kind_one_browser_and_five_minutes,
    a_ceremony_that_one_node_began_ends_on_another,
    a_shown_card_is_for_one_ceremony_and_one_ticket,
    fifty_thousand_ceremonies_of_others_push_out_none,
);

const HERS: &str = "her browser";

fn begin(city: &City) -> String {
    city.app.begin_ceremony(CeremonyKind::SignIn, HERS, b"state").unwrap()
}

fn open(city: &City, ceremony: &str) -> Option<OpenCeremony> {
    city.app.open_ceremony(CeremonyKind::SignIn, HERS, ceremony).unwrap()
}

/// Rows of a table.
fn rows(city: &City, name: &str) -> usize {
    let table = tables::ALL.iter().find(|table| table.name == name).unwrap();
    city.app.db().read(|conn| table.rows(conn, None, 100_000)).unwrap().0.len()
}

fn fifty_thousand_ceremonies_of_others_push_out_none(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (ceremony, before) = (begin(&city), rows(&city, "assertions"));
    for n in 0..50_000 {
        city.app.begin_ceremony(CeremonyKind::SignIn, &format!("browser {n}"), b"state").unwrap();
    }
    assert_eq!(rows(&city, "assertions"), before, "nothing is kept of what has begun");
    let open = open(&city, &ceremony).unwrap();
    assert_eq!(&open.state[..], b"state");
    assert!(city.app.spend_ceremony(&open).unwrap());
    assert_eq!(rows(&city, "assertions"), before + 1, "one that succeeded is noted");
    city.clock.advance(16 * MINUTE);
    city.app.sweep().unwrap();
    assert_eq!(rows(&city, "assertions"), before, "and forgotten when it is over");
}

fn a_ceremony_counts_once(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ceremony = begin(&city);
    let start = Arc::new(Barrier::new(20));
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (app, start, ceremony) = (Arc::clone(&city.app), Arc::clone(&start), ceremony.clone());
            thread::spawn(move || {
                let open = app.open_ceremony(CeremonyKind::SignIn, HERS, &ceremony).unwrap().unwrap();
                start.wait();
                app.spend_ceremony(&open).unwrap()
            })
        })
        .collect();
    let counted = tries.into_iter().map(|one| one.join().unwrap()).filter(|counted| *counted).count();
    assert_eq!(counted, 1);
    let other = begin(&city);
    assert!(
        other != ceremony && city.app.spend_ceremony(&open(&city, &other).unwrap()).unwrap(),
        "another one counts for itself"
    );
}

fn a_ceremony_is_of_one_kind_one_browser_and_five_minutes(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ceremony = begin(&city);
    let opens = |kind, browser, ceremony: &str| city.app.open_ceremony(kind, browser, ceremony).unwrap().is_some();
    assert!(opens(CeremonyKind::SignIn, HERS, &ceremony));
    for (kind, browser) in [
        (CeremonyKind::SignIn, "another browser"),
        (CeremonyKind::SignIn, ""),
        (CeremonyKind::Register, HERS),
        (CeremonyKind::Freeze, HERS),
        (CeremonyKind::Official, HERS),
        (CeremonyKind::Card, HERS),
    ] {
        assert!(!opens(kind, browser, &ceremony), "{kind:?} {browser}");
    }
    for at in 0..ceremony.len() {
        let mut bytes = ceremony.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(!opens(CeremonyKind::SignIn, HERS, std::str::from_utf8(&bytes).unwrap()), "another byte at {at}");
    }
    for bad in ["", "AAAA", &ceremony[..ceremony.len() - 4], &format!("{ceremony}AAAA"), "not base64url!"] {
        assert!(!opens(CeremonyKind::SignIn, HERS, bad), "{bad}");
    }
    city.clock.advance(5 * MINUTE - 1);
    assert!(opens(CeremonyKind::SignIn, HERS, &ceremony));
    city.clock.advance(1);
    assert!(!opens(CeremonyKind::SignIn, HERS, &ceremony), "its time is over");
    let other = tempfile::tempdir().unwrap();
    let foreign = City::found_in(City::open(other.path(), None, "2026-01-01T00:00:00Z", 9));
    assert!(foreign.app.open_ceremony(CeremonyKind::SignIn, HERS, &begin(&city)).unwrap().is_none(), "of another house");
}

fn a_ceremony_that_one_node_began_ends_on_another(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (ceremony, used) = (begin(&city), begin(&city));
    assert!(city.app.spend_ceremony(&open(&city, &used).unwrap()).unwrap());
    let at = city.app.now().to_string();
    drop(city);
    let next = City::open(dir, url, &at, 2);
    assert!(next.app.spend_ceremony(&open(&next, &ceremony).unwrap()).unwrap());
    assert!(!next.app.spend_ceremony(&open(&next, &used).unwrap()).unwrap(), "what was used there is used here");
}

/// While two nodes of a pass run, the later one is the one that writes, and whatever the earlier one still does counts for nothing. Only on
/// PostgreSQL are there two: the embedded database has one data directory.
#[test]
fn a_ceremony_counts_once_over_two_nodes_that_run() {
    common::on_postgres("two_nodes", |dir, url| ended_on_two_nodes(dir, url.unwrap()));
}

fn ended_on_two_nodes(dir: &Path, url: &str) {
    let first = City::found(dir, Some(url));
    let (begun, ended) = (begin(&first), begin(&first));
    assert!(first.app.spend_ceremony(&open(&first, &ended).unwrap()).unwrap());
    let place = tempfile::tempdir().unwrap();
    let second = first.beside(dir, place.path(), url, 2);
    let begun_beside = begin(&second);
    assert!(!second.app.spend_ceremony(&open(&second, &ended).unwrap()).unwrap(), "what counted on the one counts on the other");
    for (ceremony, at_once) in [(begun, 10), (begun_beside, 10)] {
        let start = Arc::new(Barrier::new(2 * at_once));
        let tries: Vec<_> = [&first, &second]
            .into_iter()
            .flat_map(|node| std::iter::repeat_n(Arc::clone(&node.app), at_once))
            .map(|app| {
                let (start, ceremony) = (Arc::clone(&start), ceremony.clone());
                thread::spawn(move || {
                    let open = app.open_ceremony(CeremonyKind::SignIn, HERS, &ceremony).unwrap().unwrap();
                    start.wait();
                    app.spend_ceremony(&open).is_ok_and(|is_first| is_first)
                })
            })
            .collect();
        let counted = tries.into_iter().map(|one| one.join().unwrap()).filter(|counted| *counted).count();
        assert_eq!(counted, 1, "of twenty at once, half of them on each node");
        let again = open(&second, &ceremony).unwrap();
        assert!(!second.app.spend_ceremony(&again).unwrap());
        assert!(!first.app.spend_ceremony(&again).is_ok_and(|is_first| is_first));
    }
}

fn a_shown_card_is_for_one_ceremony_and_one_ticket(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let (hers, thiefs) = (trust.state.card("holder", 7), trust.state.card("thief", 8));
    let (hers, thiefs) = (trust.proven(&city.app, &hers), trust.proven(&city.app, &thiefs));
    let (first, second) = (open(&city, &begin(&city)).unwrap(), open(&city, &begin(&city)).unwrap());
    let ticket = city.app.note_shown_card(&first, &hers).unwrap().unwrap();
    assert!(city.app.note_shown_card(&first, &thiefs).unwrap().is_none(), "a second card for one ceremony");
    let other = city.app.note_shown_card(&second, &thiefs).unwrap().unwrap();
    let takes = |ceremony: &OpenCeremony, ticket: &str| city.app.take_shown_card(ceremony, ticket).unwrap();
    assert!(takes(&first, &other).is_none() && takes(&first, "").is_none() && takes(&second, &ticket).is_none());
    let taken = takes(&first, &ticket).unwrap();
    let session = city.app.open_session(city.enrol(1)[0], "test").unwrap();
    let session = city.app.session(&session).unwrap().unwrap();
    city.app.add_certificate_card(&session, &taken, "hers").unwrap();
    assert!(city.app.add_certificate_card(&session, &hers, "again").is_err(), "it is the card that was shown");
    assert!(takes(&first, &ticket).is_none(), "once");
    assert!(city.app.note_shown_card(&first, &hers).unwrap().is_none(), "a ceremony that was used takes no card");
    // Nobody came back for the other one.
    assert_eq!(rows(&city, "shown_cards"), 1);
    city.clock.advance(5 * MINUTE + 1);
    city.app.sweep().unwrap();
    assert_eq!(rows(&city, "shown_cards"), 0, "no certificate stays when the ceremony is over");
    assert!(takes(&second, &other).is_none());
}
