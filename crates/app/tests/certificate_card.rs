//! Certificate cards on both databases: shown in real handshakes, registered, used, removed, expired and revoked; and who is not
//! let in.

use std::path::Path;

use crate::authority::{Authority, Held, Trust, pem};
use crate::common;
use crate::common::City;
use usufruct_app::store::db::{Connection, Error as DbError, Tx, Value};
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::{CardIssuers, Earlier, Error, OpenSession};
use usufruct_core::event::Kind;
use usufruct_core::means::Means;
use usufruct_core::time::{DAY, HOUR, MINUTE, SECOND};

common::on_both!(
    a_card_is_a_way_in_below_a_passkey,
    a_card_written_into_the_database_opens_nothing,
    a_certificate_that_ends_takes_its_session_along,
    a_list_that_is_over_stops_cards_until_there_is_a_new_one,
    a_removed_card_opens_nothing_and_neither_do_frozen_and_deleted_passes,
    a_renewed_certificate_on_the_same_key_is_the_same_card,
    a_revoked_card_ends_with_what_it_opened,
    an_issuer_that_is_trusted_no_more_opens_nothing,
    nobody_else_is_let_in,
    nothing_of_a_certificate_is_kept,
);

/// Registers the card for a new resident.
fn registered(city: &City, trust: &Trust, card: &Held) -> u64 {
    let (resident, session) = enrolled(city);
    city.app.add_certificate_card(&session, &trust.proven(&city.app, card), "my card").unwrap();
    resident
}

fn sign_in(city: &City, trust: &Trust, card: &Held) -> Result<String, Error> {
    city.app.sign_in_with_certificate(&trust.proven(&city.app, card), None, "test")
}

fn enrolled(city: &City) -> (u64, OpenSession) {
    let resident = city.enrol(1)[0];
    let code = city.app.invite(resident, None).unwrap();
    let passkey = Passkey {
        credential: resident.to_be_bytes().to_vec(),
        resident,
        passkey: "{}".into(),
        label: "first".into(),
        added_at: city.app.now(),
        used_at: None,
    };
    city.app.redeem(&code, &passkey, Earlier::Keep).unwrap();
    let token = city.app.open_session(resident, "test").unwrap();
    (resident, city.app.session(&token).unwrap().unwrap())
}

fn is_open(city: &City, token: &str) -> bool {
    city.app.session(token).unwrap().is_some()
}

fn is_refused<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { .. }))
}

fn statuses(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    events.filter(|event| event.kind == Kind::Status).map(|event| event.reason).collect()
}

fn a_card_is_a_way_in_below_a_passkey(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    assert!(city.app.card_handshake().is_none(), "no door, no handshake");
    trust.open(&city.app, &[]);
    let card = trust.state.card("holder", 7);
    assert!(is_refused(sign_in(&city, &trust, &card)), "a card that nobody registered");

    let (resident, session) = enrolled(&city);
    let proven = trust.proven(&city.app, &card);
    city.clock.advance(5 * MINUTE + SECOND);
    assert!(matches!(city.app.add_certificate_card(&session, &proven, "late"), Err(Error::NotFresh)));
    let fresh = city.app.session(&city.app.open_session(resident, "test").unwrap()).unwrap().unwrap();
    city.app.add_certificate_card(&fresh, &proven, "my card").unwrap();
    assert!(is_refused(city.app.add_certificate_card(&fresh, &proven, "again")));
    let (_, stranger) = enrolled(&city);
    assert!(is_refused(city.app.add_certificate_card(&stranger, &proven, "hers")), "one card is one resident's");

    let before = city.app.open_session(resident, "test").unwrap();
    let earlier = city.app.session(&before).unwrap();
    let token = city.app.sign_in_with_certificate(&proven, earlier.as_ref(), "library").unwrap();
    assert!(!is_open(&city, &before), "one browser has one session");
    let opened = city.app.session(&token).unwrap().unwrap();
    assert_eq!((opened.resident, opened.means), (resident, Means::Certificate));
    assert_eq!((opened.means.acr(), opened.means.amr()), ("urn:usufruct:acr:certificate", &["hwk", "sc"][..]));
    assert!(!opened.is_fresh(city.app.now()), "no step-up without a verified user");
    assert!(matches!(city.app.make_recovery_codes(&opened), Err(Error::NotFresh)));
    assert!(matches!(city.app.add_certificate_card(&opened, &proven, "by itself"), Err(Error::NotFresh)));

    let cards = city.app.certificate_cards(resident).unwrap();
    assert_eq!(cards.len(), 1);
    assert_eq!((cards[0].label.as_str(), cards[0].used_at), ("my card", Some(city.app.now())));
    assert_eq!(statuses(&city, resident), ["certificate-card-added", "certificate-card-used"]);
    for serial in 20..24 {
        city.app.add_certificate_card(&fresh, &trust.proven(&city.app, &trust.state.card("holder", serial)), "").unwrap();
    }
    let sixth = trust.proven(&city.app, &trust.state.card("holder", 24));
    assert!(is_refused(city.app.add_certificate_card(&fresh, &sixth, "one too many")));
}

fn nobody_else_is_let_in(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[66]);
    let card = trust.state.card("holder", 7);
    registered(&city, &trust, &card);
    assert!(trust.shake(&city.app, None).unwrap().is_none(), "no card proves nothing");
    let turned_away = [
        ("of another issuer", trust.other.card("holder", 7)),
        ("of an issuer that took the name", Authority::new("State cards").card("holder", 7)),
        ("expired", trust.state.card_until("holder", 7, (2025, 12, 31))),
        ("revoked", trust.state.card("holder", 66)),
        ("self-signed", Held::self_signed("holder")),
        ("of a server", trust.state.server()),
        ("copied without its key", card.with_key_of(&trust.state.card("thief", 8))),
    ];
    for (what, shown) in &turned_away {
        assert!(trust.shake(&city.app, Some(shown)).is_err(), "a card {what} got through");
    }
    assert!(is_refused(sign_in(&city, &trust, &trust.state.card("holder", 7))), "the same name and number on another key");
    sign_in(&city, &trust, &card).unwrap();
}

fn a_revoked_card_ends_with_what_it_opened(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let (lost, kept) = (trust.state.card("holder", 7), trust.state.card("neighbour", 8));
    let (resident, neighbour) = (registered(&city, &trust, &lost), registered(&city, &trust, &kept));
    let proven = trust.proven(&city.app, &lost);
    let (opened, other) = (sign_in(&city, &trust, &lost).unwrap(), sign_in(&city, &trust, &kept).unwrap());
    assert_eq!(trust.open(&city.app, &[9]), 0, "the list names somebody else's card");
    assert!(is_open(&city, &opened) && is_open(&city, &other));

    assert_eq!(trust.open(&city.app, &[9, 7]), 1);
    assert!(!is_open(&city, &opened), "the session ends with the card");
    assert!(is_open(&city, &other));
    assert!(is_refused(city.app.sign_in_with_certificate(&proven, None, "test")), "a handshake from before is no way in");
    assert!(trust.shake(&city.app, Some(&lost)).is_err());
    assert!(city.app.certificate_cards(resident).unwrap().is_empty());
    assert_eq!(city.app.certificate_cards(neighbour).unwrap().len(), 1);
    let expected = ["certificate-card-added", "certificate-card-used", "certificate-card-revoked"];
    assert_eq!(statuses(&city, resident), expected);
    assert_eq!(trust.open(&city.app, &[9, 7]), 0, "once");
}

fn a_card_written_into_the_database_opens_nothing(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let card = trust.state.card("thief", 7);
    let thief = registered(&city, &trust, &card);
    let (victim, _) = enrolled(&city);
    let opened = sign_in(&city, &trust, &card).unwrap();
    let number = |resident: u64| Value::from(i64::try_from(resident).unwrap());
    let write = |city: &City, sql: &'static str, params: Vec<Value>| {
        let write = move |tx: &mut Tx<'_>| tx.execute(sql, &params);
        let written: Result<u64, DbError> = city.app.db().transaction("write", write);
        assert_eq!(written.unwrap(), 1, "{sql}");
    };
    let is_good = |city: &City| (sign_in(city, &trust, &card).is_ok(), is_open(city, &opened));
    // Her own card, so that its last day never comes, or made another's.
    for (sql, back) in [
        (
            "UPDATE certificate_cards SET ends_at = ends_at + 1 - 0 * $1",
            "UPDATE certificate_cards SET ends_at = ends_at - 1 - 0 * $1",
        ),
        ("UPDATE certificate_cards SET resident = $1", "UPDATE certificate_cards SET resident = $1"),
    ] {
        write(&city, sql, vec![number(victim)]);
        assert_eq!(is_good(&city), (false, false), "{sql}");
        write(&city, back, vec![number(thief)]);
        assert_eq!(is_good(&city), (true, true), "{back}");
    }

    // One from before there were marks gets its own at the next start, once.
    write(&city, "UPDATE certificate_cards SET mark = NULL", Vec::new());
    assert!(!is_open(&city, &opened));
    let at = city.app.now().to_string();
    drop(city);
    std::fs::remove_file(dir.join("keys/ways.marked")).unwrap();
    let city = City::open(dir, url, &at, 9);
    trust.open(&city.app, &[]);
    assert!(is_open(&city, &opened));
    sign_in(&city, &trust, &card).unwrap();
}

fn a_certificate_that_ends_takes_its_session_along(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let card = trust.state.card_until("holder", 7, (2026, 1, 2));
    let resident = registered(&city, &trust, &card);
    city.clock.advance(DAY - 10 * MINUTE);
    let opened = sign_in(&city, &trust, &card).unwrap();
    city.clock.advance(9 * MINUTE);
    assert!(is_open(&city, &opened));
    city.clock.advance(2 * MINUTE);
    assert!(!is_open(&city, &opened));
    city.app.sweep().unwrap();
    assert_eq!(city.app.session_count(resident).unwrap(), 0, "and its services are told");
    assert!(trust.shake(&city.app, Some(&card)).is_err());
    assert_eq!(city.app.certificate_cards(resident).unwrap().len(), 1, "the day is not over");
    city.clock.advance(DAY);
    city.app.sweep().unwrap();
    assert!(city.app.certificate_cards(resident).unwrap().is_empty());
    assert_eq!(statuses(&city, resident).last().unwrap(), "certificate-card-expired");
}

fn a_list_that_is_over_stops_cards_until_there_is_a_new_one(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    city.app.open_card_door(trust.door_for(&trust.state, trust.state.list_until(&[], (2026, 1, 2))));
    let card = trust.state.card("holder", 7);
    registered(&city, &trust, &card);
    sign_in(&city, &trust, &card).unwrap();
    let proven = trust.proven(&city.app, &card);
    city.clock.advance(DAY + HOUR);
    assert!(trust.shake(&city.app, Some(&card)).is_err());
    assert!(is_refused(city.app.sign_in_with_certificate(&proven, None, "test")));
    trust.open(&city.app, &[]);
    sign_in(&city, &trust, &card).unwrap();
}

fn an_issuer_that_is_trusted_no_more_opens_nothing(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let card = trust.state.card("holder", 7);
    let resident = registered(&city, &trust, &card);
    let opened = sign_in(&city, &trust, &card).unwrap();
    let sessions = city.app.session_count(resident).unwrap();
    city.app.open_card_door(trust.door_for(&trust.other, trust.other.list(&[])));
    assert!(!is_open(&city, &opened), "at the next request");
    assert_eq!(city.app.end_revoked_cards().unwrap(), 0);
    assert_eq!(city.app.session_count(resident).unwrap(), sessions - 1, "and its services are told");
    assert!(trust.shake(&city.app, Some(&card)).is_err());

    // After a restart without the section no card counts.
    trust.open(&city.app, &[]);
    let opened = sign_in(&city, &trust, &card).unwrap();
    let at = city.app.now().to_string();
    drop(city);
    let city = City::open(dir, url, &at, 9);
    assert!(!is_open(&city, &opened));
    trust.open(&city.app, &[]);
    assert!(is_open(&city, &opened));
}

fn a_renewed_certificate_on_the_same_key_is_the_same_card(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let card = trust.state.card("holder", 7);
    let resident = registered(&city, &trust, &card);
    let old = sign_in(&city, &trust, &card).unwrap();
    let renewed = trust.state.renewed(&card, "holder", 8);
    let new = sign_in(&city, &trust, &renewed).unwrap();
    assert!(!is_open(&city, &old), "what the old certificate opened could not be ended by the new number");
    assert_eq!(trust.open(&city.app, &[7]), 0, "the old certificate is not the card");
    assert!(is_open(&city, &new));
    assert_eq!(trust.open(&city.app, &[7, 8]), 1);
    assert!(!is_open(&city, &new));
    assert!(city.app.certificate_cards(resident).unwrap().is_empty());
}

fn a_removed_card_opens_nothing_and_neither_do_frozen_and_deleted_passes(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let card = trust.state.card("holder", 7);
    let resident = registered(&city, &trust, &card);
    let opened = sign_in(&city, &trust, &card).unwrap();
    let name = city.app.certificate_cards(resident).unwrap()[0].name.clone();
    let (stranger, _) = enrolled(&city);
    assert!(matches!(city.app.remove_certificate_card(stranger, &name), Err(Error::Unknown { .. })));
    assert!(is_open(&city, &opened));
    city.app.remove_certificate_card(resident, &name).unwrap();
    assert!(!is_open(&city, &opened));
    assert!(is_refused(sign_in(&city, &trust, &card)));
    assert!(matches!(city.app.remove_certificate_card(resident, &name), Err(Error::Unknown { .. })));
    assert_eq!(statuses(&city, resident).last().unwrap(), "certificate-card-removed");

    let second = trust.state.card("holder", 9);
    let resident = registered(&city, &trust, &second);
    let opened = sign_in(&city, &trust, &second).unwrap();
    city.app.freeze(resident).unwrap();
    assert!(!is_open(&city, &opened));
    assert!(is_refused(sign_in(&city, &trust, &second)));
    city.app.delete_resident(resident).unwrap();
    assert!(is_refused(sign_in(&city, &trust, &second)));
    assert!(city.app.certificate_cards(resident).unwrap().is_empty());
    // The card is free again for whoever holds it and has a pass.
    let (_, again) = enrolled(&city);
    city.app.add_certificate_card(&again, &trust.proven(&city.app, &second), "").unwrap();
}

fn nothing_of_a_certificate_is_kept(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let serial = 0x5e71_a150_4e1d_0b2c_u64;
    let card = trust.state.card("HOLDER NUMBER Q417-0582", serial);
    let resident = registered(&city, &trust, &card);
    sign_in(&city, &trust, &card).unwrap();
    let rows = city.app.db().read(|conn| usufruct_app::store::certificate_cards::of_resident(conn, resident)).unwrap();
    let key = card.public_key();
    let mut kept = vec![rows[0].mark.0.to_vec(), rows[0].issuer.0.to_vec(), rows[0].serial.0.to_vec()];
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        kept.push(std::fs::read(entry).unwrap());
    }
    let has = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|part| part == wanted);
    for wanted in [&b"Q417-0582"[..], &serial.to_be_bytes(), serial.to_string().as_bytes(), &key] {
        assert!(!kept.iter().any(|bytes| has(bytes, wanted)), "{wanted:02x?} is in the store");
    }
    assert_eq!(rows[0].ends_at.micros() % DAY, 0, "a second would point at one card");
}

#[test]
fn lists_and_issuers_that_do_not_fit_are_refused() {
    let trust = Trust::default();
    let state = pem("CERTIFICATE", &trust.state.certificate);
    let read = |issuers: &str, lists: &[Vec<u8>]| CardIssuers::read(issuers.as_bytes(), lists).map(drop);
    read(&state, &[trust.state.list(&[])]).unwrap();
    read(&state, &[pem("X509 CRL", &trust.state.list(&[1, 2])).into_bytes()]).unwrap();
    let both = state.clone() + &pem("CERTIFICATE", &trust.other.certificate);
    read(&both, &[trust.state.list(&[]), trust.other.list(&[])]).unwrap();

    assert!(is_refused(read(&state, &[])), "no list");
    assert!(is_refused(read(&both, &[trust.state.list(&[])])), "an issuer without a list");
    assert!(is_refused(read(&state, &[trust.state.list(&[]), trust.other.list(&[])])), "a list of a stranger");
    let imposter = Authority::new("State cards");
    assert!(is_refused(read(&state, &[imposter.list(&[])])), "a list by one who took the name");
    let mut bent = trust.state.list(&[5]);
    *bent.last_mut().unwrap() ^= 1;
    assert!(is_refused(read(&state, &[bent])), "a list with another signature");
    let card = pem("CERTIFICATE", &trust.state.card("holder", 7).certificate);
    assert!(is_refused(read(&card, &[trust.state.list(&[])])), "a card is no issuer");
    for nonsense in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(is_refused(read(nonsense, &[trust.state.list(&[])])), "{nonsense:?}");
    }
    assert!(is_refused(read(&state, &[trust.state.list(&[])[..40].to_vec()])), "half a list");
}
