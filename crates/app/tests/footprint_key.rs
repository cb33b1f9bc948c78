//! Wraps of the footprint key on both databases: kept beside a passkey or a code, gone with it, and refused from anybody else.

use std::path::Path;

use crate::common;
use crate::common::City;
use usufruct_app::core::Digest;
use usufruct_app::core::event::Kind;
use usufruct_app::core::hash::sha256;
use usufruct_app::core::time::{MINUTE, SECOND};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::{Earlier, Error, OpenSession, Wrap};

common::on_both!(
    a_code_takes_its_wrap_along_when_it_is_used_or_replaced,
    a_wrap_goes_with_its_passkey,
    a_wrap_is_kept_replaced_and_forgotten,
    an_erased_pass_leaves_no_wrap,
    codes_of_a_browser_open_the_pass_by_a_part_of_them,
    nobody_else_and_nothing_else_is_taken,
    the_key_is_the_one_of_the_lines_and_only_for_a_fresh_session,
    wraps_outlive_withdrawals_and_restarts,
);

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

/// Something with the form of a wrap. What is in it, only her browser knows.
fn wrap(seed: u8) -> Wrap {
    let mut bytes = vec![seed; 93];
    bytes[0] = 1;
    Wrap::parse(&bytes).unwrap()
}

/// Ten codes as her browser sends them: the hash of each, and a wrap. The parts that sign in are "PART0" and so on.
fn codes(resident: u64) -> Vec<(Digest, Wrap)> {
    (0..10).map(|i| (part_hash(&part(resident, i)), wrap(100 + i))).collect()
}

fn part(resident: u64, i: u8) -> String {
    format!("PART{i}OF{resident}")
}

fn part_hash(part: &str) -> Digest {
    sha256(format!("usufruct/recovery/v1\n{part}").as_bytes())
}

fn statuses(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    events.filter(|event| event.kind == Kind::Status).map(|event| event.reason).collect()
}

fn is_refused<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { .. }))
}

/// How many wraps the tables hold, whoever's they are.
fn stored(dir: &Path, url: Option<&str>) -> i64 {
    let embedded = format!("sqlite:{}", dir.join("usufruct.db").display());
    let db = Db::open(url.unwrap_or(&embedded), &Options::default()).unwrap();
    let count = |sql: &str| db.read(|conn| conn.query_one(sql, &[])).unwrap().unwrap().integer(0).unwrap();
    count("-- wrap_count\nSELECT COUNT(*) FROM passkeys WHERE wrap IS NOT NULL")
        + count("-- wrap_count\nSELECT COUNT(*) FROM recovery_codes WHERE wrap IS NOT NULL")
}

fn a_wrap_is_kept_replaced_and_forgotten(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let first = passkey(&city, resident, "first").credential;
    assert!(city.app.footprint_wraps(resident).unwrap().passkeys.is_empty());
    city.app.keep_footprint_wrap(&session, &first, &wrap(1)).unwrap();
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(first.clone(), wrap(1))]);
    // Sending it once more changes nothing but the footprint; another one takes its place.
    city.app.keep_footprint_wrap(&session, &first, &wrap(1)).unwrap();
    city.app.keep_footprint_wrap(&session, &first, &wrap(2)).unwrap();
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(first.clone(), wrap(2))]);
    // Signing in with the passkey and renaming it leave the wrap alone.
    city.app.prove_passkey(&passkey(&city, resident, "first"), "{\"counter\":2}", None, "test").unwrap();
    city.app.rename_passkey(resident, &first, "phone").unwrap();
    city.app.add_passkey(&session, &passkey(&city, resident, "second")).unwrap();
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(first.clone(), wrap(2))], "the second one is assisted");
    city.app.drop_footprint_wrap(&session, &first).unwrap();
    assert!(city.app.footprint_wraps(resident).unwrap().passkeys.is_empty());
    assert_eq!(stored(dir, url), 0);
    let kept = "footprint-key-kept";
    assert_eq!(statuses(&city, resident), [kept, kept, kept, "passkey-added", "footprint-key-dropped"]);
}

fn a_wrap_goes_with_its_passkey(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let [first, second] = ["first", "second"].map(|name| passkey(&city, resident, name).credential);
    city.app.add_passkey(&session, &passkey(&city, resident, "second")).unwrap();
    city.app.keep_footprint_wrap(&session, &first, &wrap(1)).unwrap();
    city.app.keep_footprint_wrap(&session, &second, &wrap(2)).unwrap();
    city.app.remove_passkey(&session, &first).unwrap();
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(second.clone(), wrap(2))]);
    // What was sent for it before does not bring it back, nor does a passkey made anew under the same name.
    assert!(matches!(city.app.keep_footprint_wrap(&session, &first, &wrap(1)), Err(Error::Unknown { .. })));
    city.app.add_passkey(&session, &passkey(&city, resident, "first")).unwrap();
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys.len(), 1);

    // A code that removes all passkeys removes their wraps.
    let made = city.app.make_recovery_codes(&session).unwrap();
    let invitation = city.app.recover(&made[0]).unwrap();
    city.app.redeem(&invitation, &passkey(&city, resident, "new"), Earlier::Remove).unwrap();
    assert!(city.app.footprint_wraps(resident).unwrap().passkeys.is_empty());
    assert_eq!(stored(dir, url), 0);
}

fn a_code_takes_its_wrap_along_when_it_is_used_or_replaced(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    city.app.take_recovery_codes(&session, &codes(resident)).unwrap();
    assert_eq!(city.app.recovery_codes_left(resident).unwrap(), 10);
    let mut expected = codes(resident);
    expected.sort_by_key(|(hash, _)| *hash);
    assert_eq!(city.app.footprint_wraps(resident).unwrap().codes, expected);

    city.app.recover(&part(resident, 3)).unwrap();
    assert!(is_refused(city.app.recover(&part(resident, 3))), "once");
    assert_eq!(stored(dir, url), 9);
    assert!(!city.app.footprint_wraps(resident).unwrap().codes.iter().any(|(hash, _)| *hash == part_hash(&part(resident, 3))));
    city.app.freeze_by_code(&part(resident, 4)).unwrap();
    assert_eq!(stored(dir, url), 8);

    // New codes replace the old ones and their wraps, whoever makes them.
    let again = signed_in(&city, resident);
    city.app.lift_freeze(&again).unwrap();
    assert_eq!(city.app.make_recovery_codes(&again).unwrap().len(), 10);
    assert!(city.app.footprint_wraps(resident).unwrap().codes.is_empty(), "the server cannot wrap anything");
    assert_eq!(stored(dir, url), 0);
    assert!(is_refused(city.app.recover(&part(resident, 5))));
    assert_eq!(
        statuses(&city, resident),
        ["recovery-codes-made", "recovery-code-used", "frozen", "lifted", "recovery-codes-made"]
    );
}

fn codes_of_a_browser_open_the_pass_by_a_part_of_them(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, session) = enrolled(&city);
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../../../vectors/vault/footprint-key.json")).unwrap();
    let text = |i: usize, field: &str| vectors["codes"][i][field].as_str().unwrap().to_owned();
    let mut made = codes(0);
    for (i, code) in made.iter_mut().take(2).enumerate() {
        code.0 = text(i, "hash").parse().unwrap();
    }
    city.app.take_recovery_codes(&session, &made).unwrap();
    // A browser with scripts sends the part, one without them what was typed.
    city.app.recover(&text(0, "sign_in_part")).unwrap();
    assert!(is_refused(city.app.recover(&text(0, "code"))), "they are one code");
    city.app.recover(&text(1, "code").to_lowercase().replace('-', " ")).unwrap();
    assert!(is_refused(city.app.recover(&text(1, "sign_in_part"))));
    assert!(is_refused(city.app.recover(&text(2, "code"))), "it was never handed in");
}

fn an_erased_pass_leaves_no_wrap(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let (other, hers) = enrolled(&city);
    for (resident, session) in [(resident, &session), (other, &hers)] {
        city.app.keep_footprint_wrap(session, &passkey(&city, resident, "first").credential, &wrap(1)).unwrap();
        city.app.take_recovery_codes(session, &codes(resident)).unwrap();
    }
    assert_eq!(stored(dir, url), 22);
    city.app.delete_resident(resident).unwrap();
    let left = city.app.footprint_wraps(resident).unwrap();
    assert!(left.passkeys.is_empty() && left.codes.is_empty());
    assert_eq!(stored(dir, url), 11, "the other's are still there");
    assert!(city.app.keep_footprint_wrap(&session, &passkey(&city, resident, "first").credential, &wrap(1)).is_err());
    assert!(city.app.take_recovery_codes(&session, &codes(resident)).is_err());
    assert!(city.app.footprint_key(&session).is_err());
    assert_eq!(stored(dir, url), 11);
}

fn nobody_else_and_nothing_else_is_taken(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let (other, hers) = enrolled(&city);
    let own = passkey(&city, resident, "first").credential;
    city.app.keep_footprint_wrap(&session, &own, &wrap(1)).unwrap();

    // Another resident can neither put hers there, nor take it away, nor see it.
    assert!(matches!(city.app.keep_footprint_wrap(&hers, &own, &wrap(2)), Err(Error::Unknown { .. })));
    assert!(matches!(city.app.drop_footprint_wrap(&hers, &own), Err(Error::Unknown { .. })));
    assert!(city.app.footprint_wraps(other).unwrap().passkeys.is_empty());
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(own.clone(), wrap(1))]);
    assert!(statuses(&city, other).is_empty(), "what was refused leaves no line");
    // Nor can she claim a code of somebody else's: the whole set is refused, and both keep what they had.
    city.app.take_recovery_codes(&session, &codes(resident)).unwrap();
    assert!(city.app.take_recovery_codes(&hers, &codes(resident)).is_err());
    assert_eq!(city.app.recovery_codes_left(resident).unwrap(), 10);
    assert_eq!(city.app.recovery_codes_left(other).unwrap(), 0);

    // Only the form of a wrap is known here, and nothing else is taken for one.
    for length in [0, 1, 92, 94, 4096, 1 << 20] {
        assert!(is_refused(Wrap::parse(&vec![1; length])), "{length}");
    }
    for version in [0, 2, 255] {
        assert!(is_refused(Wrap::parse(&[version; 93])), "{version}");
    }
    // Nine codes, eleven, none, or one of them twice.
    let mut eleven = codes(other);
    eleven.push((part_hash("ELEVENTH"), wrap(9)));
    let mut twice = codes(other);
    twice[4] = twice[5].clone();
    for wrong in [codes(other)[..9].to_vec(), eleven, Vec::new(), twice] {
        assert!(is_refused(city.app.take_recovery_codes(&hers, &wrong)), "{}", wrong.len());
    }
    // An unknown passkey.
    assert!(matches!(city.app.keep_footprint_wrap(&session, b"no such", &wrap(3)), Err(Error::Unknown { .. })));
}

fn the_key_is_the_one_of_the_lines_and_only_for_a_fresh_session(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let own = passkey(&city, resident, "first").credential;
    let key = city.app.footprint_key(&session).unwrap();
    assert_eq!(key[..32], *city.app.footprint(resident).unwrap().tag_key);
    assert_ne!(key[..32], key[32..]);
    let (_, hers) = enrolled(&city);
    assert_ne!(*city.app.footprint_key(&hers).unwrap(), *key);

    // What is stored of her lines is what the vault stored, and is not what they say.
    city.app.keep_footprint_wrap(&session, &own, &wrap(1)).unwrap();
    let sealed = city.app.sealed_footprint(resident).unwrap();
    let open = city.app.footprint(resident).unwrap();
    assert_eq!(sealed.lines.len(), 1);
    assert_eq!((sealed.lines[0].n, sealed.lines[0].index), (open.lines[0].n, open.lines[0].index));
    assert!(!sealed.lines[0].sealed.windows(8).any(|part| open.lines[0].encoded.windows(8).any(|said| said == part)));

    city.clock.advance(5 * MINUTE + SECOND);
    assert!(matches!(city.app.footprint_key(&session), Err(Error::NotFresh)));
    assert!(matches!(city.app.keep_footprint_wrap(&session, &own, &wrap(2)), Err(Error::NotFresh)));
    assert!(matches!(city.app.drop_footprint_wrap(&session, &own), Err(Error::NotFresh)));
    assert!(matches!(city.app.take_recovery_codes(&session, &codes(resident)), Err(Error::NotFresh)));
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(own, wrap(1))], "sent too late, it changes nothing");
}

fn wraps_outlive_withdrawals_and_restarts(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, session) = enrolled(&city);
    let own = passkey(&city, resident, "first").credential;
    let before = city.app.footprint_key(&session).unwrap();
    city.app.keep_footprint_wrap(&session, &own, &wrap(1)).unwrap();
    city.app.consent(resident, &common::service(), &common::mandate(), &[]).unwrap();
    city.app.withdraw(resident, &common::mandate()).unwrap();
    assert_eq!(*city.app.footprint_key(&signed_in(&city, resident)).unwrap(), *before, "the wrap still opens to the key");
    drop(city);
    let city = City::open(dir, url, "2026-01-02T00:00:00Z", 9);
    assert_eq!(city.app.footprint_wraps(resident).unwrap().passkeys, [(own, wrap(1))]);
    assert_eq!(*city.app.footprint_key(&signed_in(&city, resident)).unwrap(), *before);
}
