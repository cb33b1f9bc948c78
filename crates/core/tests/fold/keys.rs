//! Published keys: what a certificate can be about, and what it must not leave out.

use super::*;
use usufruct_core::key::KeyOf;
use usufruct_core::order::Standing;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, handles};

const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

fn key_statement(city: &City, body: Value) -> Statement {
    let commitment: Digest = body["commitment"].as_str().unwrap().parse().unwrap();
    city.draft(StatementKind::Key, &key_id(commitment), "agc_operator", body, &MACHINE)
}

/// A certificate that these keys of a mandate are gone, whose proofs hold.
fn certificate(city: &City, cause: &str, keys: &[Digest]) -> Statement {
    let mut bucket = keys.to_vec();
    bucket.sort_unstable();
    bucket.dedup();
    let root = |bucket: &[Digest]| handles::set_root(0, bucket.len() as u64, &handles::leaf(bucket));
    let proof = |bucket: &[Digest]| json!({"count": bucket.len(), "bucket": bucket, "path": []});
    let mut body = certificate_body(CARD, city.now);
    let fields = [
        ("cause", json!(cause)),
        ("key_commitments", json!(keys)),
        ("tree_root_before", json!(root(&bucket))),
        ("tree_root_after", json!(root(&[]))),
        ("inclusion", json!(vec![proof(&bucket); keys.len()])),
        ("absence", json!(vec![proof(&[]); keys.len()])),
    ];
    fields.into_iter().for_each(|(field, value)| body[field] = value);
    city.draft(StatementKind::Certificate, &format!("crt_{}", city.statements.len()), "agc_operator", body, &MACHINE)
}

fn month_key(city: &mut City, month: &str) -> Digest {
    let commitment = commitment_of(month);
    let mut body = key_body(CARD, commitment);
    body["month"] = json!(month);
    city.apply(key_statement(city, body)).unwrap();
    commitment
}

#[test]
fn a_key_is_published_once_while_its_mandate_lives() {
    let mut city = drafts();
    let new = commitment_of("new");
    assert!(names(&refused(&city, key_statement(&city, key_body(CARD, new))), "mandate", "no-key"), "a draft");
    assert!(names(&refused(&city, key_statement(&city, key_body("mdt_nowhere", new))), "mandate", "unknown"));
    let of_sector = |sector: &str| json!({"sector": sector, "commitment": new, "epoch": 0});
    assert!(names(&refused(&city, key_statement(&city, of_sector("nowhere"))), "sector", "no-key"));
    assert!(city.clone().apply(key_statement(&city, of_sector("library"))).is_ok());
    activate(&mut city, CARD);
    city.clone().apply(key_statement(&city, key_body(CARD, new))).unwrap();
    let own = commitment_of(CARD);
    let again = city.draft(StatementKind::Key, &key_id(own), "agc_operator", key_body(MEALS, own), &MACHINE);
    assert!(names(&refused(&city, again), "rev", "final"));
    let other_name = city.draft(StatementKind::Key, "key_other", "agc_operator", key_body(CARD, new), &MACHINE);
    assert!(names(&refused(&city, other_name), "id", "other-commitment"));
    let mut ahead = key_body(CARD, new);
    ahead["month"] = json!("2026-02");
    assert!(names(&refused(&city, key_statement(&city, ahead)), "month", "ahead"));
    let stranger = city.draft(StatementKind::Key, &key_id(new), "agc_library", key_body(CARD, new), &[("agc_library", "head")]);
    assert!(names(&refused(&city, stranger), "by", "not-the-owner"));
    city.steps(CARD, &[State::Revoked]);
    assert!(names(&refused(&city, key_statement(&city, key_body(CARD, new))), "mandate", "no-key"), "invented at the end");
}

#[test]
fn a_certificate_of_a_mandate_is_about_all_its_published_keys_and_about_no_others() {
    let mut city = lawful();
    let (own, january) = (commitment_of(CARD), month_key(&mut city, "2026-01"));
    let of = KeyOf::Mandate(CARD.parse().unwrap());
    let living = |city: &City| city.register.living_keys(&of).iter().map(|key| key.body.commitment).collect::<Vec<_>>();
    assert_eq!(living(&city), [own, january]);
    // What is over for a month is no word about the mandate's own key, and a resident's certificate none about either.
    assert!(names(&refused(&city, certificate(&city, "retention", &[own])), "key_commitments", "not-all"));
    let mut of_resident = certificate(&city, "withdrawal", &[own]);
    of_resident.body["mandate"] = Value::Null;
    let of_resident = city.draft(StatementKind::Certificate, &of_resident.id, "agc_operator", of_resident.body, &MACHINE);
    assert!(names(&refused(&city, of_resident), "key_commitments", "of-another"));
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    for (what, keys, rule) in [
        ("invented out of nothing", vec![commitment_of("nothing")], "not-published"),
        ("another mandate's", vec![own, january, commitment_of(MEALS)], "not-published"),
        ("one invented beside them", vec![own, january, commitment_of("nothing")], "not-published"),
        ("one twice", vec![own, january, own], "not-published"),
        ("the month's is left out", vec![own], "not-all"),
        ("its own is left out", vec![january], "not-all"),
    ] {
        let problems = refused(&city, certificate(&city, "revocation", &keys));
        assert!(names(&problems, "key_commitments", rule), "{what}: {problems:?}");
    }
    // A month that ended by itself is done with.
    let mut ended = city.clone();
    ended.apply(certificate(&ended, "retention", &[january])).unwrap();
    assert_eq!(living(&ended), [own]);
    let twice = refused(&ended, certificate(&ended, "revocation", &[own, january]));
    assert!(names(&twice, "key_commitments", "not-published"), "{twice:?}");
    ended.apply(certificate(&ended, "revocation", &[own])).unwrap();
    city.apply(certificate(&city, "revocation", &[january, own])).unwrap();
    assert!(living(&city).is_empty() && city.register.key(&own).is_some());
    assert!(names(&refused(&city, certificate(&city, "revocation", &[own, january])), "key_commitments", "not-published"));
}

#[test]
fn a_key_is_replaced_by_one_that_is_published_before() {
    let mut city = lawful();
    let (own, next) = (commitment_of(CARD), commitment_of("next"));
    let january = month_key(&mut city, "2026-01");
    assert!(names(&refused(&city, certificate(&city, "rotation", &[own])), "key_commitments", "not-all"), "none would be left");
    city.say_key(CARD, next);
    assert!(names(&refused(&city, certificate(&city, "rotation", &[own, january])), "key_commitments", "not-all"));
    assert!(names(&refused(&city, certificate(&city, "rotation", &[own, next])), "key_commitments", "not-all"));
    city.apply(certificate(&city, "rotation", &[own])).unwrap();
    assert!(city.register.certificate(&CARD.parse().unwrap()).is_none(), "the mandate goes on");
    let again = refused(&city, certificate(&city, "rotation", &[own]));
    assert!(names(&again, "key_commitments", "not-published"), "{again:?}");
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    assert!(names(&refused(&city, certificate(&city, "revocation", &[own, january])), "key_commitments", "not-published"));
    city.apply(certificate(&city, "revocation", &[next, january])).unwrap();
}

#[test]
fn an_order_to_delete_is_certified_once_and_by_all_keys_that_were_there_before_it() {
    let mut city = lawful();
    let (own, next, later) = (commitment_of(CARD), commitment_of("next"), commitment_of("later"));
    let january = month_key(&mut city, "2026-01");
    let two = [("agc_oversight", "head"), ("agc_oversight", "privacy")];
    let give = |city: &mut City, id: &str, kind: &str, target: &str| {
        let body = json!({"body": "agc_oversight", "kind": kind, "target": target, "reasons": text("It goes beyond its purpose."),
            "comply_by": city.now.plus(DAY).to_string()});
        city.apply(city.draft(StatementKind::Order, id, "agc_oversight", body, &two)).unwrap();
    };
    let certified = |city: &City, keys: &[Digest], order: &str, grants: &Value| {
        let mut body = certificate(city, "order", keys).body;
        (body["order"], body["grants"]) = (json!(order), grants.clone());
        city.draft(StatementKind::Certificate, &format!("crt_{}", city.statements.len()), "agc_operator", body, &MACHINE)
    };
    let few = json!("1-9");
    assert!(names(&refused(&city, certified(&city, &[own], "ord_1", &few)), "order", "unknown"));
    give(&mut city, "ord_1", "delete", CARD);
    give(&mut city, "ord_2", "audit", CARD);
    give(&mut city, "ord_3", "delete", MEALS);
    assert!(city.register.awaits_deletion(CARD, city.now));
    city.say_key(CARD, next);
    city.say_key(CARD, later);
    for (what, keys, order, grants, field, rule) in [
        ("no count", vec![own, january], "ord_1", Value::Null, "order", "other-cause"),
        ("how few they were", vec![own, january], "ord_1", json!("3"), "grants", "malformed"),
        ("another command", vec![own, january], "ord_2", few.clone(), "order", "other-order"),
        ("another mandate", vec![own, january], "ord_3", few.clone(), "order", "other-order"),
        ("the month lives on", vec![own], "ord_1", few.clone(), "key_commitments", "not-all"),
        ("none is left", vec![own, january, next, later], "ord_1", few.clone(), "key_commitments", "not-all"),
    ] {
        let problems = refused(&city, certified(&city, &keys, order, &grants));
        assert!(names(&problems, field, rule), "{what}: {problems:?}");
    }
    let withdrawn = certified(&city, &[own, january], "ord_1", &few);
    let mut body = withdrawn.body.clone();
    body["cause"] = json!("rotation");
    let of_rotation = city.draft(StatementKind::Certificate, &withdrawn.id, "agc_operator", body, &MACHINE);
    assert!(names(&refused(&city, of_rotation), "order", "other-cause"));
    city.apply(withdrawn).unwrap();
    assert!(!city.register.awaits_deletion(CARD, city.now) && city.register.is_deleted_by_order(CARD, city.now, city.now));
    assert!(!city.register.is_deleted_by_order(CARD, city.now.plus(1), city.now.plus(1)), "what is lent after it");
    assert!(city.register.certificate(&CARD.parse().unwrap()).is_none(), "the mandate goes on");
    let (id, entry) = city.register.orders.first_key_value().unwrap();
    assert_eq!(city.register.standing(id, entry, city.now.plus(2 * DAY)), Standing::Enforced, "nobody is late");
    assert!(names(&refused(&city, certified(&city, &[next], "ord_1", &few)), "order", "carried-out"));
}

#[test]
fn keys_that_were_lost_with_the_root_are_no_longer_asked_for() {
    let mut city = lawful();
    let (lost, new) = (commitment_of(CARD), commitment_of("new"));
    let body = json!({"vault": "city.example/log", "slot_class": "E0", "threshold": 0, "backup_days": 30, "lost_before": 3});
    city.say(StatementKind::Vault, "vlt_city", "agc_operator", body);
    assert!(names(&refused(&city, key_statement(&city, key_body(CARD, new))), "epoch", "goes-back"), "of the lost tree");
    let mut body = key_body(CARD, new);
    body["epoch"] = json!(3);
    city.apply(key_statement(&city, body)).unwrap();
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    let at = |keys: &[Digest]| {
        let mut body = certificate(&city, "revocation", keys).body;
        (body["epoch_before"], body["epoch_after"]) = (json!(3), json!(4));
        city.draft(StatementKind::Certificate, "crt_card", "agc_operator", body, &MACHINE)
    };
    assert!(names(&refused(&city, at(&[lost, new])), "key_commitments", "not-published"));
    city.clone().apply(at(&[new])).unwrap();
}
