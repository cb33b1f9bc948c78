//! How a resident gets in, on both databases: devices, recovery, two clerks, freezing, cards; and who does not get in.

use std::path::Path;

use crate::common;
use crate::common::{City, OPERATOR, mandate, service};
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::{Approved, CardAttempt, Earlier, Error, OpenSession, Way, counter_message};
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::means::Means;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, HOUR, MINUTE, SECOND};
use zeroize::Zeroizing;

common::on_both!(
    a_card_is_known_where_it_was_used,
    a_card_opens_little_and_ends_when_it_is_lost,
    a_freeze_stops_everything_until_a_passkey_lifts_it,
    a_lost_device_is_removed_and_the_last_one_stays,
    a_recovery_code_works_once_and_is_seen,
    a_session_is_fresh_for_five_minutes_and_again_after_a_proof,
    a_stranger_locks_nobody_out,
    one_clerk_alone_can_do_nothing,
    a_clerk_whose_key_was_replaced_counts_once_and_one_who_left_not_at_all,
    ten_thousand_guesses_get_nowhere,
    two_clerks_let_a_resident_in_again,
    what_a_deleted_pass_leaves_opens_nothing,
);

const PIN: &str = "204817";

fn passkey(city: &City, resident: u64, name: &str) -> Passkey {
    Passkey {
        credential: format!("{resident}/{name}").into_bytes(),
        resident,
        passkey: "{}".into(),
        label: name.into(),
        added_at: city.app.now(),
        used_at: None,
    }
}

/// A resident who enrolled with a first passkey, and her session.
fn enrolled(city: &City) -> (u64, OpenSession) {
    let resident = city.enrol(1)[0];
    let code = city.app.invite(resident, None).unwrap();
    city.app.redeem(&code, &passkey(city, resident, "first"), Earlier::Keep).unwrap();
    (resident, signed_in(city, resident))
}

fn signed_in(city: &City, resident: u64) -> OpenSession {
    let token = city.app.open_session(resident, "test").unwrap();
    city.app.session(&token).unwrap().unwrap()
}

fn is_open(city: &City, token: &str) -> bool {
    city.app.session(token).unwrap().is_some()
}

/// The reasons of the status lines in a footprint, oldest first.
fn statuses(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    events.filter(|event| event.kind == Kind::Status).map(|event| event.reason).collect()
}

fn is_refused<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { .. }))
}

fn a_session_is_fresh_for_five_minutes_and_again_after_a_proof(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, _) = enrolled(&city);
    let token = city.app.open_session(resident, "test").unwrap();
    let session = || city.app.session(&token).unwrap().unwrap();
    assert!(session().is_fresh(city.app.now()));
    city.clock.advance(5 * MINUTE + SECOND);
    assert!(!session().is_fresh(city.app.now()));
    assert!(matches!(city.app.make_recovery_codes(&session()), Err(Error::NotFresh)));
    assert!(matches!(city.app.add_passkey(&session(), &passkey(&city, resident, "second")), Err(Error::NotFresh)));
    assert!(matches!(city.app.remove_passkey(&session(), b"any"), Err(Error::NotFresh)));

    let first = passkey(&city, resident, "first");
    assert_eq!(city.app.prove_passkey(&first, "{}", Some(&session()), "test").unwrap(), None, "the same session goes on");
    assert!(session().is_fresh(city.app.now()));
    assert_eq!(city.app.passkeys(resident).unwrap()[0].used_at, Some(city.app.now()));
    assert_eq!(city.app.make_recovery_codes(&session()).unwrap().len(), 10);

    // Another resident in the same browser gets a session of her own, and the one before ends.
    let (other, _) = enrolled(&city);
    let fresh = city.app.prove_passkey(&passkey(&city, other, "first"), "{}", Some(&session()), "test").unwrap().unwrap();
    assert_eq!(city.app.session(&fresh).unwrap().unwrap().resident, other);
    assert!(!is_open(&city, &token));
    // A proof never makes the whole session live longer than it may.
    for _ in 0..13 {
        city.clock.advance(HOUR - 31 * MINUTE);
        let Some(open) = city.app.session(&fresh).unwrap() else { break };
        city.app.prove_passkey(&passkey(&city, other, "first"), "{}", Some(&open), "test").unwrap();
        city.clock.advance(29 * MINUTE);
    }
    assert!(!is_open(&city, &fresh));
}

fn a_lost_device_is_removed_and_the_last_one_stays(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let elsewhere = city.app.open_session(resident, "lost").unwrap();
    let first = passkey(&city, resident, "first").credential;
    assert!(is_refused(city.app.remove_passkey(&session, &first)), "the last one");
    assert_eq!(city.app.passkeys(resident).unwrap().len(), 1, "and it is still there");
    city.app.add_passkey(&session, &passkey(&city, resident, "second")).unwrap();
    let (other, _) = enrolled(&city);
    let strange = passkey(&city, other, "first").credential;
    assert!(matches!(city.app.remove_passkey(&session, &strange), Err(Error::Unknown { .. })), "somebody else's");
    assert!(city.app.rename_passkey(resident, &strange, "mine").is_err());
    assert!(is_refused(city.app.add_passkey(&session, &passkey(&city, other, "third"))));
    city.app.rename_passkey(resident, &first, "  old\u{7} phone ").unwrap();
    assert_eq!(city.app.passkeys(resident).unwrap()[0].label, "old phone");

    let list = city.app.sessions(&session).unwrap();
    assert_eq!((list.len(), list.iter().filter(|session| session.is_own).count()), (2, 1));
    city.app.remove_passkey(&session, &first).unwrap();
    assert!(!is_open(&city, &elsewhere), "what may have been opened with it is closed");
    assert_eq!(city.app.sessions(&session).unwrap().len(), 1);
    assert!(matches!(city.app.prove_passkey(&passkey(&city, resident, "first"), "{}", None, "x"), Err(Error::Unknown { .. })));
    assert_eq!(statuses(&city, resident), ["passkey-added", "passkey-removed"]);

    // With recovery codes the last one may go.
    city.app.make_recovery_codes(&session).unwrap();
    city.app.remove_passkey(&session, &passkey(&city, resident, "second").credential).unwrap();
    assert!(city.app.passkeys(resident).unwrap().is_empty());

    let third = city.app.open_session(resident, "third").unwrap();
    let named = city.app.sessions(&session).unwrap().into_iter().find(|session| !session.is_own).unwrap().name;
    let stranger = signed_in(&city, other);
    assert!(city.app.close_session_named(&stranger, &named).is_err(), "only one's own");
    city.app.close_session_named(&session, &named).unwrap();
    assert!(!is_open(&city, &third));
}

fn a_recovery_code_works_once_and_is_seen(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let elsewhere = city.app.open_session(resident, "lost").unwrap();
    let old = city.app.make_recovery_codes(&session).unwrap();
    let codes = city.app.make_recovery_codes(&session).unwrap();
    assert!(is_refused(city.app.recover(&old[0])), "new codes replace the old");
    let typed = codes[0].to_lowercase().replace('-', " ");
    let invitation = city.app.recover(&typed).unwrap();
    assert!(is_refused(city.app.recover(&codes[0])), "once");
    assert_eq!(city.app.recovery_codes_left(resident).unwrap(), 9);

    city.app.redeem(&invitation, &passkey(&city, resident, "new"), Earlier::Remove).unwrap();
    assert!(is_refused(city.app.redeem(&invitation, &passkey(&city, resident, "newer"), Earlier::Keep)));
    assert_eq!(city.app.passkeys(resident).unwrap().iter().map(|passkey| passkey.label.as_str()).collect::<Vec<_>>(), ["new"]);
    assert!(!is_open(&city, &elsewhere));
    assert_eq!(
        statuses(&city, resident),
        ["recovery-codes-made", "recovery-codes-made", "recovery-code-used", "ways-in-removed", "passkey-added"]
    );

    assert!(is_refused(city.app.recover(&codes[1])), "the other codes went with the passkeys");
    let codes = city.app.make_recovery_codes(&signed_in(&city, resident)).unwrap();
    city.app.recover(&codes[0]).unwrap();
    let late = city.app.recover(&codes[1]).unwrap();
    city.clock.advance(16 * MINUTE);
    assert!(is_refused(city.app.redeem(&late, &passkey(&city, resident, "late"), Earlier::Keep)));
    // The answer does not tell a used code from one that never was.
    let words = |code: &str| city.app.recover(code).unwrap_err().to_string();
    assert_eq!(words(&codes[0]), words("ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345"));
    // A restart remembers what was used.
    drop(city);
    let city = City::open(dir, url, "2026-01-02T00:00:00Z", 9);
    assert!(is_refused(city.app.recover(&codes[0])));
    assert_eq!(city.app.recovery_codes_left(resident).unwrap(), 8);
}

fn a_clerk_whose_key_was_replaced_counts_once_and_one_who_left_not_at_all(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, _) = enrolled(&city);
    let operator: Vec<_> = city.signer(OPERATOR);
    let begin = || {
        let id = city.app.begin_counter_request(resident, Way::Passkey).unwrap();
        let message = counter_message("city.test/log", &id, resident, Way::Passkey);
        (id, message)
    };
    let (id, message) = begin();
    let (whole, approved) = begin();
    assert_eq!(city.app.approve_counter_request(&id, &operator[0].approve(&message)).unwrap(), Approved::Once);
    for clerk in &operator[..2] {
        city.app.approve_counter_request(&whole, &clerk.approve(&approved)).unwrap();
    }

    let fresh = city.app.house().signer(&OPERATOR.parse().unwrap(), "fresh", city.app.rng()).unwrap();
    let mut body = serde_json::to_value(&city.app.register().agencies[&OPERATOR.parse().unwrap()].body).unwrap();
    for key in body["signing_keys"].as_array_mut().unwrap() {
        if key["public"] == operator[0].public() {
            key["public"] = fresh.public().into();
            key["id"] = fresh.key().into();
        }
    }
    city.publish(StatementKind::Agency, OPERATOR, OPERATOR, body);

    assert_eq!(city.app.approve_counter_request(&id, &fresh.approve(&message)).unwrap(), Approved::Once, "the same clerk");
    assert!(is_refused(city.app.invite(resident, Some(&id))));
    assert!(is_refused(city.app.invite(resident, Some(&whole))), "one of the two has left");
    assert_eq!(city.app.approve_counter_request(&id, &operator[1].approve(&message)).unwrap(), Approved::Twice);
    assert!(city.app.invite(resident, Some(&id)).is_ok());
}

fn one_clerk_alone_can_do_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, _) = enrolled(&city);
    assert!(is_refused(city.app.invite(resident, None)), "her pass is in use");
    assert!(is_refused(city.app.issue_card(resident, PIN, None)));
    let operator: Vec<_> = city.signer(OPERATOR);
    let id = city.app.begin_counter_request(resident, Way::Passkey).unwrap();
    let message = counter_message("city.test/log", &id, resident, Way::Passkey);
    assert!(is_refused(city.app.invite(resident, Some(&id))), "nobody approved");
    assert_eq!(city.app.approve_counter_request(&id, &operator[0].approve(&message)).unwrap(), Approved::Once);
    assert!(is_refused(city.app.invite(resident, Some(&id))), "one approved");
    assert!(is_refused(city.app.approve_counter_request(&id, &operator[0].approve(&message))), "the same person twice");

    // A signature for something else, by another body, by the automaton, or under another's name.
    let automaton = city.app.house().signer(&OPERATOR.parse().unwrap(), "automation", city.app.rng()).unwrap();
    let elsewhere = counter_message("city.test/log", &id, resident, Way::Card);
    let mut borrowed = operator[0].approve(&message);
    borrowed.key = operator[1].key().to_owned();
    for approval in [
        operator[1].approve(&elsewhere),
        city.signer(common::LIBRARY)[0].approve(&message),
        automaton.approve(&message),
        borrowed,
    ] {
        assert!(is_refused(city.app.approve_counter_request(&id, &approval)));
    }
    city.clock.advance(HOUR);
    assert!(is_refused(city.app.approve_counter_request(&id, &operator[1].approve(&message))), "too late");
    assert!(statuses(&city, resident).is_empty());
}

fn two_clerks_let_a_resident_in_again(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, _) = enrolled(&city);
    let (other, _) = enrolled(&city);
    let approved = |resident, way| {
        let id = city.app.begin_counter_request(resident, way).unwrap();
        let message = counter_message("city.test/log", &id, resident, way);
        let outcomes: Vec<_> = city
            .signer(OPERATOR)
            .into_iter()
            .map(|clerk| city.app.approve_counter_request(&id, &clerk.approve(&message)).unwrap())
            .collect();
        assert_eq!(outcomes, [Approved::Once, Approved::Twice]);
        id
    };
    let id = approved(resident, Way::Passkey);
    assert!(is_refused(city.app.invite(other, Some(&id))), "for nobody else");
    assert!(is_refused(city.app.issue_card(resident, PIN, Some(&id))), "and for nothing else");
    let code = city.app.invite(resident, Some(&id)).unwrap();
    assert!(is_refused(city.app.invite(resident, Some(&id))), "once");
    city.app.redeem(&code, &passkey(&city, resident, "new"), Earlier::Keep).unwrap();
    assert_eq!(city.app.passkeys(resident).unwrap().len(), 2, "the old ones go by choice only");
    assert_eq!(statuses(&city, resident), ["counter-recovery", "passkey-added"]);

    let id = approved(other, Way::Card);
    city.app.issue_card(other, PIN, Some(&id)).unwrap();
    assert_eq!(statuses(&city, other), ["counter-recovery", "card-issued"]);
    let nobody = city.app.begin_counter_request(u64::MAX >> 12, Way::Card);
    assert!(matches!(nobody, Err(Error::Unknown { .. })));
}

fn a_freeze_stops_everything_until_a_passkey_lifts_it(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    city.app.release(&city.request(&subject)).unwrap();
    let codes = city.app.make_recovery_codes(&session).unwrap();
    let token = city.app.open_session(resident, "thief").unwrap();

    assert!(is_refused(city.app.freeze_by_code("ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345")));
    assert!(is_open(&city, &token), "a guess stops nothing");
    city.app.freeze_by_code(&codes[0]).unwrap();
    assert!(is_refused(city.app.freeze_by_code(&codes[0])), "once");
    assert!(!is_open(&city, &token));
    match city.app.release(&city.request(&subject)) {
        Err(Error::Unpermitted(clauses)) => assert!(clauses.contains(&Clause::Resident), "{clauses:?}"),
        _ => panic!("it was released"),
    }
    // Neither the switch for pausing nor an old proof ends it.
    assert!(is_refused(city.app.set_active(resident, ResidentState::Active)));
    assert!(is_refused(city.app.set_active(resident, ResidentState::Deactivated)));
    city.clock.advance(10 * MINUTE);
    assert!(matches!(city.app.lift_freeze(&session), Err(Error::NotFresh)));
    let again = signed_in(&city, resident);
    assert_eq!(again.state, ResidentState::Frozen);
    city.app.lift_freeze(&again).unwrap();
    assert!(is_refused(city.app.lift_freeze(&again)), "there is nothing to lift");
    city.app.release(&city.request(&subject)).unwrap();
    assert_eq!(statuses(&city, resident), ["recovery-codes-made", "frozen", "lifted"]);
}

fn with_card(city: &City) -> (u64, String) {
    let resident = city.enrol(1)[0];
    (resident, city.app.issue_card(resident, PIN, None).unwrap())
}

fn attempt(code: &str, pin: &str, device_mark: Option<&str>) -> CardAttempt {
    CardAttempt { code: code.to_owned(), pin: Zeroizing::new(pin.to_owned()), device_mark: device_mark.map(str::to_owned) }
}

fn a_card_opens_little_and_ends_when_it_is_lost(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, code) = with_card(&city);
    let scanned = format!("https://pass.example.org/sign-in/card#{}", code.replace('-', "").to_lowercase());
    let opened = city.app.sign_in_with_card(&attempt(&scanned, PIN, None), None, "kiosk").unwrap();
    let session = city.app.session(&opened.token).unwrap().unwrap();
    assert_eq!((session.resident, session.means), (resident, Means::Card));
    assert_eq!(session.means.acr(), "urn:usufruct:acr:card");
    assert!(!session.is_fresh(city.app.now()), "no step-up with paper");
    assert!(matches!(city.app.make_recovery_codes(&session), Err(Error::NotFresh)));
    assert!(matches!(city.app.lift_freeze(&session), Err(Error::NotFresh)));

    // Whatever is wrong, the words are the same.
    let words = |code: &str, pin: &str| match city.app.sign_in_with_card(&attempt(code, pin, None), None, "kiosk") {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it opened"),
    };
    assert_eq!(words(&code, "204818"), words("ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345", PIN));
    city.app.freeze(resident).unwrap();
    assert!(!is_open(&city, &opened.token));
    assert_eq!(words(&code, PIN), words(&code, "204818"), "a frozen pass opens to no card");

    let (other, lost) = with_card(&city);
    let opened = city.app.sign_in_with_card(&attempt(&lost, PIN, None), None, "kiosk").unwrap();
    assert_eq!(city.app.revoke_cards(other).unwrap(), 1);
    assert!(!is_open(&city, &opened.token));
    assert_eq!(words(&lost, PIN), words(&lost, "204818"));
    assert_eq!(city.app.revoke_cards(other).unwrap(), 0);
    assert_eq!(statuses(&city, other), ["card-issued", "card-revoked"]);
    assert!(is_refused(city.app.issue_card(other, "111111", None)), "a PIN that everybody tries first");
}

/// Whoever found the card tries 10,000 PINs, one a second, with restarts in between. The right one is among them, and late. Almost none of them
/// is looked at, so hardly any costs a hash.
fn ten_thousand_guesses_get_nowhere(dir: &Path, url: Option<&str>) {
    let mut city = City::found(dir, url);
    let (_, code) = with_card(&city);
    for guess in 0..10_000 {
        if guess % 2_000 == 1_999 {
            let at = city.app.now();
            drop(city);
            city = City::open(dir, url, &at.to_string(), 100 + guess);
        }
        let pin = if guess % 100 == 50 { PIN.to_owned() } else { format!("{:06}", 300_000 + guess) };
        let outcome = city.app.sign_in_with_card(&attempt(&code, &pin, None), None, "thief");
        assert!(outcome.is_err(), "guess {guess} opened the pass");
        city.clock.advance(SECOND);
    }
    // A guess is counted before it is looked at. Six at once, then one after 1, 2, 4, ... minutes: within 10,000 seconds that is 13.
    let counted = city.app.db().read(|conn| conn.query("-- test\nSELECT failures FROM attempts", &[])).unwrap();
    let counted: Vec<i64> = counted.iter().map(|row| row.integer(0).unwrap()).collect();
    assert_eq!(counted, [13], "so many of 10,000 reached the hash");
    // She has the card and the PIN, and waits a day.
    city.clock.advance(DAY);
    city.app.sign_in_with_card(&attempt(&code, PIN, None), None, "kiosk").unwrap();
}

/// By its mark a browser is known for the card that was used in it, and for no other; a revoked card is nobody's.
fn a_card_is_known_where_it_was_used(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ((resident, code), (_, other)) = (with_card(&city), with_card(&city));
    let sign_in = |code: &str| city.app.sign_in_with_card(&attempt(code, PIN, None), None, "library").unwrap().device_mark;
    let (mark, other_mark) = (sign_in(&code), sign_in(&other));
    let known = |code: &str, mark: Option<&str>| city.app.known_card(&attempt(code, "", mark)).unwrap();
    let name = known(&code, Some(&mark)).unwrap();
    assert_eq!(known(&code, Some(&mark)), Some(name));
    assert_ne!(known(&other, Some(&other_mark)), Some(name));
    for wrong in [None, Some(""), Some("a mark that nobody made"), Some(other_mark.as_str()), Some(&mark[1..])] {
        assert_eq!(known(&code, wrong), None, "{wrong:?}");
    }
    city.app.revoke_cards(resident).unwrap();
    assert_eq!(known(&code, Some(&mark)), None);
}

/// Who has a picture of her card guesses without end. Where she has been before she gets in all the while, and elsewhere after a day.
fn a_stranger_locks_nobody_out(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, code) = with_card(&city);
    let mark = city.app.sign_in_with_card(&attempt(&code, PIN, None), None, "library").unwrap().device_mark;
    for guess in 0..40 {
        let pin = format!("{:06}", 300_000 + guess);
        assert!(city.app.sign_in_with_card(&attempt(&code, &pin, Some("a mark that nobody made")), None, "thief").is_err());
    }
    assert!(city.app.sign_in_with_card(&attempt(&code, PIN, None), None, "elsewhere").is_err(), "a new place waits");
    city.app.sign_in_with_card(&attempt(&code, PIN, Some(&mark)), None, "library").unwrap();
    city.clock.advance(DAY);
    city.app.sign_in_with_card(&attempt(&code, PIN, None), None, "elsewhere").unwrap();
    // Without the card there is nothing to guess at.
    for _ in 0..20 {
        assert!(city.app.sign_in_with_card(&attempt("ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345", PIN, None), None, "stranger").is_err());
    }
    city.app.sign_in_with_card(&attempt(&code, PIN, None), None, "elsewhere").unwrap();
}

fn what_a_deleted_pass_leaves_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let resident = city.enrol(1)[0];
    let unused = city.app.invite(resident, None).unwrap();
    let card = city.app.issue_card(resident, PIN, None).unwrap();
    let session = signed_in(&city, resident);
    let codes = city.app.make_recovery_codes(&session).unwrap();
    city.app.delete_resident(resident).unwrap();
    assert!(is_refused(city.app.recover(&codes[0])));
    assert!(is_refused(city.app.freeze_by_code(&codes[0])));
    assert!(is_refused(city.app.invited(&unused)));
    assert!(city.app.sign_in_with_card(&attempt(&card, PIN, None), None, "kiosk").is_err());
}
