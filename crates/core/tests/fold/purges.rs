//! What is said of erasures after their certificates, or in the place of one: that no ciphertext is left, or that nothing can be proved.

use std::collections::BTreeSet;

use super::certificates::{certificate, key, look};
use super::*;
use usufruct_core::Time;
use usufruct_core::late::LateDuty;
use usufruct_core::time::DAY;

const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

fn purge(city: &City, id: &str, through: usize, at: Time) -> Statement {
    let body = json!({"through": through, "purged_at": at.to_string()});
    city.draft(StatementKind::Purge, id, "agc_operator", body, &MACHINE)
}

/// Certifies the erasure of one resident more, and answers the leaf.
fn certify(city: &mut City, number: u64) -> usize {
    let (old, new) = (BTreeSet::from([key(number), key(99)]), BTreeSet::from([key(99)]));
    let statement = certificate(city, &format!("crt_{number}"), key(number), &look(7, &old), &look(9, &new));
    city.apply(statement).unwrap();
    city.statements.len() - 1
}

#[test]
fn one_statement_tells_the_purge_of_all_certificates_before_it_and_of_no_later_one() {
    let mut city = founded();
    let (first, began) = (certify(&mut city, 1), city.now);
    city.now = began.plus(DAY);
    let second = certify(&mut city, 2);
    let purged_at = |city: &City, number: u64| {
        city.register.purged_at(&city.register.certificates[&format!("crt_{number}").parse().unwrap()])
    };
    assert_eq!((purged_at(&city, 1), purged_at(&city, 2)), (None, None));
    assert_eq!(city.register.unpurged().map(|(number, _)| number as usize).collect::<Vec<_>>(), [first, second]);
    let now = city.now;
    for (through, at, field, rule) in [
        (first - 1, now, "through", "unknown"),
        (second + 1, now, "through", "unknown"),
        (first, now.plus(1), "purged_at", "not-then"),
        (second, now.plus(-1), "purged_at", "not-then"),
    ] {
        assert!(names(&refused(&city, purge(&city, "prg_1", through, at)), field, rule), "{through} {at}");
    }
    assert!(city.clone().apply(purge(&city, "prg_1", first, now.plus(-1))).is_ok(), "the second is none of its business");
    let foreign = city.draft(StatementKind::Purge, "prg_1", "agc_library", json!({}), &[("agc_library", "head")]);
    assert!(names(&refused(&city, foreign), "by", "not-the-owner"));

    city.now = now.plus(DAY);
    city.apply(purge(&city, "prg_1", first, city.now)).unwrap();
    assert_eq!((purged_at(&city, 1), purged_at(&city, 2)), (Some(city.now), None));
    let said = city.now;
    city.now = said.plus(DAY);
    assert!(names(&refused(&city, purge(&city, "prg_1", second, city.now)), "rev", "final"));
    assert!(names(&refused(&city, purge(&city, "prg_2", first, city.now)), "through", "goes-back"));
    city.apply(purge(&city, "prg_2", second, city.now)).unwrap();
    assert_eq!((purged_at(&city, 1), purged_at(&city, 2)), (Some(said), Some(city.now)), "the first one stays");
    assert_eq!(city.register.unpurged().count(), 0);
    certify(&mut city, 3);
    assert_eq!((purged_at(&city, 3), city.register.unpurged().count()), (None, 1));
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

fn uncertified(city: &City, id: &str, body: Value) -> Statement {
    city.draft(StatementKind::Uncertified, id, "agc_operator", body, &MACHINE)
}

#[test]
fn what_cannot_be_certified_is_said_once_and_stays_late() {
    let mut city = founded();
    let body = json!({"key_commitments": [], "reason": text("The proofs are not as they were written.")});
    let said = certify(&mut city, 1);
    assert!(names(&refused(&city, uncertified(&city, "crt_1", body.clone())), "id", "certified"), "{said}");
    let unknown = json!({"key_commitments": [key(5)], "reason": text("Lost.")});
    assert!(names(&refused(&city, uncertified(&city, "crt_2", unknown)), "key_commitments", "not-published"));
    assert!(names(&refused(&city, uncertified(&city, "aud_2", body.clone())), "id", "malformed"));
    let statement = uncertified(&city, "crt_2", body.clone());
    city.apply(statement).unwrap();
    assert!(names(&refused(&city, uncertified(&city, "crt_2", body)), "rev", "final"));
    let (old, new) = (BTreeSet::from([key(2), key(99)]), BTreeSet::from([key(99)]));
    let late = certificate(&city, "crt_2", key(2), &look(7, &old), &look(9, &new));
    assert!(names(&refused(&city, late), "id", "uncertified"), "it is not forged later");
    let late = city.register.late(city.now);
    assert_eq!((late.len(), late[0].duty, late[0].object.as_str()), (1, LateDuty::Certificate, "crt_2"));
    assert_eq!(late[0].agency.as_str(), "agc_operator");
}

#[test]
fn a_mandate_of_which_nothing_can_be_proved_ends_with_all_its_keys() {
    let mut city = lawful();
    let body = |keys: Value| json!({"mandate": CARD, "key_commitments": keys, "reason": text("Lost.")});
    let all = body(json!([commitment_of(CARD)]));
    assert!(names(&refused(&city, uncertified(&city, "crt_9", all.clone())), "mandate", "not-erasing"), "it is in force");
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    assert!(names(&refused(&city, uncertified(&city, "crt_9", body(json!([])))), "key_commitments", "not-all"));
    let statement = uncertified(&city, "crt_9", all.clone());
    city.apply(statement).unwrap();
    assert!(names(&refused(&city, uncertified(&city, "crt_8", all)), "key_commitments", "not-published"), "they are gone");
    city.steps(CARD, &[State::Erased]);
    assert!(city.register.certificate(&CARD.parse().unwrap()).is_none());
}
