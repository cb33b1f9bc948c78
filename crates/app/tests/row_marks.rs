//! Whoever writes to the database opens nothing, on both databases: rows that let somebody in, planted or altered behind the back of the house.

use std::path::Path;

use crate::common;
use crate::common::{City, OPERATOR};
use usufruct_app::store::db::{Connection, Error as DbError, Tx, Value};
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::{
    Approved, CardAttempt, Earlier, Error, Guardianship, NewHelper, OpenSession, Way, counter_message, guardian_message,
};
use usufruct_core::delegation::Power;
use usufruct_core::hash::sha256;
use usufruct_core::means::Means;
use usufruct_core::time::{DAY, HOUR};
use zeroize::Zeroizing;

common::on_both!(
    a_planted_delegation_stops_no_freeze,
    a_written_approval_at_a_counter_counts_for_nothing,
    a_written_card_opens_nothing,
    a_written_delegation_lets_nobody_act,
    a_written_guardianship_is_taken_up_by_nobody,
    a_written_invitation_makes_no_passkey,
    a_written_recovery_code_opens_nothing,
    a_written_session_or_passkey_opens_nothing,
    rows_from_before_the_marks_get_theirs_once,
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
    let token = city.app.open_session(resident, "test").unwrap();
    (resident, city.app.session(&token).unwrap().unwrap())
}

fn is_refused<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { .. }))
}

fn is_unknown<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unknown { .. }))
}

/// Writes to one row of the database behind the back of the house.
fn write(city: &City, sql: &'static str, params: Vec<Value>) {
    assert_eq!(write_all(city, sql, params), 1, "{sql}");
}

fn write_all(city: &City, sql: &'static str, params: Vec<Value>) -> u64 {
    let write = move |tx: &mut Tx<'_>| tx.execute(sql, &params);
    let written: Result<u64, DbError> = city.app.db().transaction("write", write);
    written.unwrap()
}

fn number(resident: u64) -> Value {
    Value::from(i64::try_from(resident).unwrap())
}

/// The hash under which a code is kept.
fn kept(what: &str, code: &str) -> Value {
    Value::from(sha256(format!("usufruct/{what}/v1\n{}", code.replace('-', "")).as_bytes()).0.to_vec())
}

fn a_written_session_or_passkey_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ((thief, _), (victim, _)) = (enrolled(&city), enrolled(&city));
    let now = || Value::from(city.app.now().micros());
    let hashed = |token: &str| Value::from(sha256(token.as_bytes()).0.to_vec());
    let of_her_own = |means| city.app.open_session_by(thief, "test", means).unwrap();

    // A session for a token of her own choice, with a mark of another session or none.
    let own = of_her_own(Means::Passkey);
    let plant = "INSERT INTO sessions (token_hash, resident, opened_at, seen_at, device, means, proved_at, mark) \
                 VALUES ($1, $2, $4, $4, 'x', $5, $4, (SELECT mark FROM sessions WHERE token_hash = $3))";
    let chosen = vec![hashed("chosen"), number(victim), hashed(&own), now(), Value::from(Means::Passkey.code())];
    write(&city, plant, chosen);
    let bare = "INSERT INTO sessions (token_hash, resident, opened_at, seen_at, device) VALUES ($1, $2, $3, $3, 'x')";
    write(&city, bare, vec![hashed("bare"), number(victim), now()]);
    assert!(city.app.session("chosen").unwrap().is_none() && city.app.session("bare").unwrap().is_none());

    // Her own session, made another's, stronger, fresh again, or young again.
    for (sql, value) in [
        ("UPDATE sessions SET resident = $2 WHERE token_hash = $1", number(victim)),
        ("UPDATE sessions SET means = $2 WHERE token_hash = $1", Value::from(Means::Passkey.code())),
        ("UPDATE sessions SET proved_at = $2 WHERE token_hash = $1", Value::from(city.app.now().plus(HOUR).micros())),
        ("UPDATE sessions SET opened_at = $2 WHERE token_hash = $1", Value::from(city.app.now().plus(HOUR).micros())),
    ] {
        let token = of_her_own(Means::Card);
        assert!(city.app.session(&token).unwrap().is_some());
        write(&city, sql, vec![hashed(&token), value]);
        assert!(city.app.session(&token).unwrap().is_none(), "{sql}");
    }
    assert!(city.app.session(&own).unwrap().is_some(), "what nobody touched goes on");

    // Her own passkey, made another's, and one that nobody added.
    let own = passkey(&city, thief, "first");
    let known = |credential: &[u8]| city.app.passkey(credential).unwrap().is_some();
    assert!(known(&own.credential));
    write(&city, "UPDATE passkeys SET resident = $2 WHERE credential = $1", vec![own.credential.clone().into(), number(victim)]);
    let plant = "INSERT INTO passkeys (credential, resident, passkey, label, added_at) VALUES ($1, $2, '{}', 'x', $3)";
    write(&city, plant, vec![Value::from(&b"planted"[..]), number(victim), now()]);
    assert!(!known(&own.credential) && !known(b"planted"));
    // Another key in the place of hers.
    let hers = passkey(&city, victim, "first");
    write(&city, "UPDATE passkeys SET passkey = '{\"another\":1}' WHERE credential = $1", vec![hers.credential.clone().into()]);
    assert!(!known(&hers.credential));
}

fn a_written_recovery_code_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ((thief, session), (victim, _)) = (enrolled(&city), enrolled(&city));
    let codes = city.app.make_recovery_codes(&session).unwrap();
    let opens = |code: &str| !is_refused(city.app.recover(code)) || !is_refused(city.app.freeze_by_code(code));

    // A code of her own, used and made good again, or made another's.
    city.app.recover(&codes[0]).unwrap();
    write(&city, "UPDATE recovery_codes SET used_at = NULL WHERE code_hash = $1", vec![kept("recovery", &codes[0])]);
    assert!(!opens(&codes[0]), "a code that was used");
    assert_eq!(
        write_all(&city, "UPDATE recovery_codes SET resident = $2 WHERE resident = $1", vec![number(thief), number(victim)]),
        10
    );
    assert!(!opens(&codes[1]), "a code of her own, made another's");
    // One that she thought of, with the mark of a code that is good.
    let plant = "INSERT INTO recovery_codes (code_hash, resident, made_at, mark) VALUES ($1, $2, $3, \
                 (SELECT mark FROM recovery_codes WHERE code_hash = $4))";
    let chosen = "ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345";
    let now = Value::from(city.app.now().micros());
    write(&city, plant, vec![kept("recovery", chosen), number(victim), now, kept("recovery", &codes[2])]);
    assert!(!opens(chosen), "a code that she thought of");
    // What nobody touched works.
    write_all(&city, "UPDATE recovery_codes SET resident = $2 WHERE resident = $1", vec![number(victim), number(thief)]);
    city.app.recover(&codes[3]).unwrap();
}

fn a_written_invitation_makes_no_passkey(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (victim, _) = enrolled(&city);
    let newcomer = city.enrol(1)[0];
    let invite = || city.app.invite(newcomer, None).unwrap();
    let (own, late, used) = (invite(), invite(), invite());
    let hers = |name| passkey(&city, victim, name);
    let opens = |code: &str| city.app.invited(code).is_ok() || city.app.redeem(code, &hers("planted"), Earlier::Remove).is_ok();

    write(&city, "UPDATE invitations SET resident = $2 WHERE code_hash = $1", vec![kept("invitation", &own), number(victim)]);
    assert!(!opens(&own), "an invitation of her own, made another's");
    let plant = "INSERT INTO invitations (code_hash, resident, expires_at, mark) VALUES ($1, $2, $3, \
                 (SELECT mark FROM invitations WHERE code_hash = $4))";
    let soon = Value::from(city.app.now().plus(DAY).micros());
    let chosen = "ABCD-EFGH-JKLM";
    write(&city, plant, vec![kept("invitation", chosen), number(victim), soon, kept("invitation", &own)]);
    assert!(!opens(chosen), "one that she thought of");

    assert_eq!(city.app.invited(&used).unwrap(), newcomer);
    city.app.redeem(&used, &passkey(&city, newcomer, "first"), Earlier::Keep).unwrap();
    write(&city, "UPDATE invitations SET redeemed_at = NULL WHERE code_hash = $1", vec![kept("invitation", &used)]);
    assert!(is_refused(city.app.redeem(&used, &passkey(&city, newcomer, "again"), Earlier::Keep)), "one that was used");
    city.clock.advance(15 * DAY);
    let later = Value::from(city.app.now().plus(DAY).micros());
    write(&city, "UPDATE invitations SET expires_at = $2 WHERE code_hash = $1", vec![kept("invitation", &late), later]);
    assert!(is_refused(city.app.invited(&late)), "one that had lapsed");
    assert_eq!(city.app.passkeys(victim).unwrap().len(), 1);
}

fn a_written_card_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (victim, _) = enrolled(&city);
    let issue = |pin: &str| city.app.issue_card(city.enrol(1)[0], pin, None).unwrap();
    let sign_in = |code: &str| {
        let attempt = CardAttempt { code: code.to_owned(), pin: Zeroizing::new(PIN.to_owned()), device_mark: None };
        city.app.sign_in_with_card(&attempt, None, "kiosk")
    };
    let (own, forgotten, good) = (issue(PIN), issue("730912"), issue(PIN));
    write(&city, "UPDATE cards SET resident = $2 WHERE secret_hash = $1", vec![kept("card", &own), number(victim)]);
    assert!(is_refused(sign_in(&own)), "a card of her own, made another's");
    let copy = "UPDATE cards SET pin = (SELECT pin FROM cards WHERE secret_hash = $2) WHERE secret_hash = $1";
    write(&city, copy, vec![kept("card", &forgotten), kept("card", &own)]);
    assert!(is_refused(sign_in(&forgotten)), "a card that she found, with a PIN that she knows");
    let plant = "INSERT INTO cards (secret_hash, resident, pin, issued_at, mark) SELECT $1, $2, pin, issued_at, mark FROM cards WHERE secret_hash = $3";
    let chosen = "ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345";
    write(&city, plant, vec![kept("card", chosen), number(victim), kept("card", &own)]);
    assert!(is_refused(sign_in(chosen)), "one that she thought of");
    sign_in(&good).unwrap();
}

fn a_written_approval_at_a_counter_counts_for_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ((victim, _), (other, _)) = (enrolled(&city), enrolled(&city));
    let clerks = city.signer(OPERATOR);
    let approve = |id: &str, resident, clerk: usize| {
        let message = counter_message("city.test/log", id, resident, Way::Passkey);
        city.app.approve_counter_request(id, &clerks[clerk].approve(&message))
    };
    let begun = |resident| city.app.begin_counter_request(resident, Way::Passkey).unwrap();

    // One clerk approves, and writes the other one's name.
    let id = begun(victim);
    assert_eq!(approve(&id, victim, 0).unwrap(), Approved::Once);
    let write_clerk = "UPDATE counter_requests SET second_clerk = $2 WHERE request_id = $1";
    write(&city, write_clerk, vec![id.as_str().into(), clerks[1].public().into()]);
    assert!(is_refused(city.app.invite(victim, Some(&id))));
    assert!(is_refused(approve(&id, victim, 1)), "nor does anybody sign what was written");

    // A request that two approved, for another resident, once more, or after its time.
    let approved = || {
        let id = begun(other);
        assert_eq!((approve(&id, other, 0).unwrap(), approve(&id, other, 1).unwrap()), (Approved::Once, Approved::Twice));
        id
    };
    let id = approved();
    write(&city, "UPDATE counter_requests SET resident = $2 WHERE request_id = $1", vec![id.as_str().into(), number(victim)]);
    assert!(is_refused(city.app.invite(victim, Some(&id))));
    let id = approved();
    city.app.invite(other, Some(&id)).unwrap();
    write(&city, "UPDATE counter_requests SET used_at = NULL WHERE request_id = $1", vec![id.as_str().into()]);
    assert!(is_refused(city.app.invite(other, Some(&id))), "one that was used");
    let id = approved();
    city.clock.advance(2 * HOUR);
    let later = Value::from(city.app.now().plus(HOUR).micros());
    write(&city, "UPDATE counter_requests SET expires_at = $2 WHERE request_id = $1", vec![id.as_str().into(), later]);
    assert!(is_refused(city.app.invite(other, Some(&id))), "one that had lapsed");
    // One that nobody began.
    let plant = "INSERT INTO counter_requests (request_id, resident, way, expires_at, first_clerk, second_clerk) VALUES ($1, $2, 'passkey', $3, $4, $5)";
    let later = Value::from(city.app.now().plus(HOUR).micros());
    write(&city, plant, vec!["planted".into(), number(victim), later, clerks[0].public().into(), clerks[1].public().into()]);
    assert!(is_refused(city.app.invite(victim, Some("planted"))));
    city.app.invite(other, Some(&approved())).unwrap();
}

/// A person, her helper, and the id of the delegation between them, which gives nothing but the look at her footprint.
fn helped(city: &City) -> (OpenSession, OpenSession, String) {
    let ((_, person), (_, helper)) = (enrolled(city), enrolled(city));
    let given = NewHelper {
        helper_called: "my daughter".into(),
        person_called: "mother".into(),
        powers: [Power::Footprint].into_iter().collect(),
        ends_at: city.app.now().plus(20 * DAY),
    };
    let code = city.app.give_help(&person, &given).unwrap();
    city.app.take_up_help(&helper, &code).unwrap();
    let id = city.app.delegations(&helper).unwrap()[0].id.clone();
    (person, helper, id)
}

fn a_written_delegation_lets_nobody_act(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (victim, _) = enrolled(&city);
    let later = || Value::from(city.app.now().plus(300 * DAY).micros());
    for (sql, value) in [
        ("UPDATE delegations SET person = $2 WHERE delegation_id = $1", number(victim)),
        ("UPDATE delegations SET powers = $2 WHERE delegation_id = $1", Value::from("footprint consents cases sign-in")),
        ("UPDATE delegations SET ends_at = $2 WHERE delegation_id = $1", later()),
        ("UPDATE delegations SET role = $2 WHERE delegation_id = $1", Value::from("guardian")),
    ] {
        let (person, helper, id) = helped(&city);
        let token = city.app.begin_acting(&helper, &id).unwrap();
        let acting = city.app.acting(&helper, &token).unwrap().unwrap();
        assert_eq!(city.app.look(&acting, Power::Footprint).unwrap(), person.resident);
        write(&city, sql, vec![id.as_str().into(), value]);
        assert!(city.app.acting(&helper, &token).unwrap().is_none(), "{sql}");
        assert!(is_unknown(city.app.begin_acting(&helper, &id)), "{sql}");
        assert!(
            is_unknown(city.app.renew_help(&person, &id, city.app.now().plus(DAY))),
            "nor does anybody sign what was written: {sql}"
        );
        assert!(city.app.delegations(&helper).unwrap().is_empty());
    }
    // One that nobody gave, copied from one that somebody did.
    let (_, helper, id) = helped(&city);
    let plant = "INSERT INTO delegations (delegation_id, role, person, delegate, powers, given_at, taken_at, ends_at, delegate_called, person_called, mark) \
                 SELECT 'planted', role, $2, delegate, powers, given_at, taken_at, ends_at, delegate_called, person_called, mark \
                 FROM delegations WHERE delegation_id = $1";
    write(&city, plant, vec![id.as_str().into(), number(victim)]);
    assert!(is_unknown(city.app.begin_acting(&helper, "planted")));
    city.app.begin_acting(&helper, &id).unwrap();
}

fn a_written_guardianship_is_taken_up_by_nobody(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ((thief, session), (victim, _), (guardian, _)) = (enrolled(&city), enrolled(&city), enrolled(&city));
    let clerks = city.signer(OPERATOR);
    let ends_at = city.app.now().plus(1_000 * DAY);
    let approve = |id: &str, asked: &Guardianship, clerk: usize| {
        city.app.approve_guardian_request(id, &clerks[clerk].approve(&guardian_message("city.test/log", id, asked)))
    };
    // What two clerks are to decide is made about somebody else after the first.
    let asked = Guardianship { person: victim, guardian, ends_at: Some(ends_at) };
    let id = city.app.begin_guardian_request(&asked).unwrap();
    assert_eq!(approve(&id, &asked, 0).unwrap(), Approved::Once);
    write(&city, "UPDATE counter_requests SET guardian = $2 WHERE request_id = $1", vec![id.as_str().into(), number(thief)]);
    let changed = Guardianship { guardian: thief, ..asked };
    assert!(is_refused(approve(&id, &asked, 1)) && is_refused(approve(&id, &changed, 1)));

    let plant = "INSERT INTO delegations (delegation_id, role, person, delegate, powers, given_at, ends_at) \
                 VALUES ('planted', 'guardian', $1, $2, 'footprint consents cases sign-in', $3, $4)";
    let (now, end) = (Value::from(city.app.now().micros()), Value::from(ends_at.micros()));
    write(&city, plant, vec![number(victim), number(thief), now, end]);
    assert!(is_unknown(city.app.take_up_guardianship(&session, "planted", "her", "me")));
    // Two clerks who prolong what they take for one do not make it good.
    let asked = Guardianship { person: victim, guardian: thief, ends_at: Some(ends_at) };
    let id = city.app.begin_guardian_request(&asked).unwrap();
    assert_eq!((approve(&id, &asked, 0).unwrap(), approve(&id, &asked, 1).unwrap()), (Approved::Once, Approved::Twice));
    assert!(is_unknown(city.app.take_up_guardianship(&session, "planted", "her", "me")));
}

/// A row that cannot be read in the name of the house must not be in the way of the one thing that has to work.
fn a_planted_delegation_stops_no_freeze(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let ((victim, session), (thief, _)) = (enrolled(&city), enrolled(&city));
    let plant = "INSERT INTO delegations (delegation_id, role, person, delegate, powers, given_at, taken_at, ends_at, delegate_called, person_called) \
                 VALUES ('planted', 'helper', $1, $2, 'footprint', $3, $3, $4, $5, $5)";
    let (now, end) = (Value::from(city.app.now().micros()), Value::from(city.app.now().plus(DAY).micros()));
    write(&city, plant, vec![number(victim), number(thief), now, end, Value::from(&b"not sealed"[..])]);
    assert!(city.app.delegations(&session).unwrap().is_empty());
    city.app.freeze(victim).unwrap();
    let left = city.app.db().read(|conn| conn.query("-- test\nSELECT delegation_id FROM delegations", &[])).unwrap();
    assert!(left.is_empty(), "and it is gone");
}

fn rows_from_before_the_marks_get_theirs_once(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (person, helper, id) = helped(&city);
    let resident = person.resident;
    let token = city.app.open_session(resident, "test").unwrap();
    let credential = passkey(&city, resident, "first").credential;
    let codes = city.app.make_recovery_codes(&person).unwrap();
    let newcomer = city.enrol(1)[0];
    let (invitation, card) = (city.app.invite(newcomer, None).unwrap(), city.app.issue_card(newcomer, PIN, None).unwrap());
    drop(city);

    let forget = |city: &City| {
        for (sql, count) in [
            ("UPDATE passkeys SET mark = NULL", 2),
            ("UPDATE sessions SET mark = NULL WHERE parent IS NULL", 3),
            ("UPDATE recovery_codes SET mark = NULL WHERE used_at IS NULL", 9),
            ("UPDATE invitations SET mark = NULL WHERE redeemed_at IS NULL", 1),
            ("UPDATE cards SET mark = NULL", 1),
            ("UPDATE delegations SET mark = NULL", 1),
        ] {
            assert!(write_all(city, sql, Vec::new()) >= count, "{sql}");
        }
    };
    let is_known = |city: &City| {
        let attempt = CardAttempt { code: card.clone(), pin: Zeroizing::new(PIN.to_owned()), device_mark: None };
        [
            city.app.session(&token).unwrap().is_some(),
            city.app.passkey(&credential).unwrap().is_some(),
            city.app.delegations(&helper).unwrap().iter().any(|found| found.id == id),
            city.app.invited(&invitation).is_ok(),
            city.app.sign_in_with_card(&attempt, None, "kiosk").is_ok(),
        ]
    };
    let open = |seed| City::open(dir, url, "2026-01-01T00:01:00Z", seed);
    let city = open(2);
    assert_eq!(is_known(&city), [true; 5]);
    forget(&city);
    assert_eq!(is_known(&city), [false; 5]);
    assert!(is_refused(city.app.recover(&codes[0])));
    drop(city);
    // As the house was before the first upgrade; between the two the first of the files was there.
    std::fs::remove_file(dir.join("keys/rows.marked")).unwrap();
    std::fs::remove_file(dir.join("keys/ways.marked")).unwrap();
    let city = open(3);
    assert_eq!(is_known(&city), [true; 5]);
    city.app.recover(&codes[0]).unwrap();
    forget(&city);
    drop(city);
    std::fs::remove_file(dir.join("keys/ways.marked")).unwrap();
    let city = open(4);
    assert_eq!(is_known(&city), [false, false, true, true, true], "each of the files speaks for its own rows");
    forget(&city);
    drop(city);
    let city = open(5);
    assert_eq!(is_known(&city), [false; 5], "a row that lost its mark later was written by somebody else");
    assert!(is_refused(city.app.recover(&codes[1])));
}
