//! The certificate of an erasure, checked from outside: the city's own, and those of an insider who has all its keys.

mod common;
mod insider;

use common::{Folder, fails, ok};
use insider::{Insider, now};
use serde_json::{Value, json};
use usufruct_core::statement::{Statement, StatementKind};

#[test]
fn a_false_certificate_is_refused_whoever_signs_it() {
    let folder = Folder::new("certificate");
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "5", "--data-dir", &dir, "--load-only"]);
    let city = Insider::of(&dir);
    let at = city.find(StatementKind::Certificate, "\"cause\":\"sunset\"");
    let honest = Statement::from_leaf(&city.leaves[at]).unwrap();
    let log = folder.at("log");
    let verify = ["verify", "certificate", &honest.id, "--log", &log];

    city.publish(&log, &city.leaves, now());
    let said = ok(&verify);
    let commitment = honest.body["key_commitments"][0].as_str().unwrap();
    assert!(said.contains(commitment) && said.contains("class E0") && said.contains("verified"), "{said}");
    assert!(fails(&["verify", "certificate", "crt_nobody", "--log", &log], 2).contains("There is no certificate"));
    ok(&["verify", "certificate", &honest.id, "--log", &dir]);

    let with = |change: &dyn Fn(&mut Value)| {
        let mut statement = Statement { approvals: vec![], ..honest.clone() };
        change(&mut statement.body);
        let leaves = &city.leaves[..at];
        let forged = city.statement(leaves, StatementKind::Certificate, &honest.id, statement.body, &["automation"]);
        let mut leaves = leaves.to_vec();
        leaves.push(forged);
        leaves
    };
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 7] = [
        (
            "the key is still in the tree",
            |body| {
                body["tree_root_after"] = body["tree_root_before"].clone();
                body["absence"] = body["inclusion"].clone();
            },
            "absence",
        ),
        (
            "the key never was in the tree",
            |body| {
                body["tree_root_before"] = body["tree_root_after"].clone();
                body["inclusion"] = body["absence"].clone();
            },
            "inclusion",
        ),
        (
            "the bucket hides it",
            |body| {
                let handle = body["key_commitments"][0].clone();
                let mut proof = body["inclusion"][0].clone();
                proof["bucket"].as_array_mut().unwrap().retain(|other| *other != handle);
                body["tree_root_after"] = body["tree_root_before"].clone();
                body["absence"] = json!([proof]);
            },
            "absence",
        ),
        ("another key's proof", |body| body["key_commitments"] = json!(["00".repeat(32)]), "inclusion"),
        ("no proof at all", |body| body["absence"] = json!([]), "absence"),
        ("the epoch stands still", |body| body["epoch_after"] = body["epoch_before"].clone(), "epoch_after"),
        ("the dates go back", |body| body["erased_root_at"] = json!("2001-01-01T00:00:00Z"), "erased_root_at"),
    ];
    for (what, change, field) in cases {
        city.publish(&log, &with(&change), now());
        let said = fails(&verify, 1);
        assert!(said.contains("broken") && said.contains(field), "{what}: {said}");
    }

    // With keepers in the terms, those who have not signed are missed.
    let keepers: Vec<Value> = [("city", "B"), ("court", "C"), ("archive", "D")]
        .map(|(name, sign)| json!({"name": name, "institution": {"en": name, "zh-Hant": name}, "public": format!("{}{sign}A", "A".repeat(41))}))
        .into();
    let terms = json!({"vault": city.origin, "slot_class": "E3", "threshold": 2, "keepers": keepers, "backup_days": 30});
    let mut leaves = city.leaves[..at].to_vec();
    leaves.push(city.statement(&leaves, StatementKind::Vault, "vlt_city", terms, &["head", "data-protection"]));
    let mut body = honest.body.clone();
    body["slot_class"] = json!("E3");
    leaves.push(city.statement(&leaves, StatementKind::Certificate, &honest.id, body, &["automation"]));
    city.publish(&log, &leaves, now());
    assert!(fails(&verify, 1).contains("Too few keepers"));

    // A date for an escrow that the terms do not name is invented; none for one that they do name promises nothing.
    let under = |terms: Value, date: Value| {
        let mut leaves = city.leaves[..at].to_vec();
        let mut terms = terms;
        terms["vault"] = json!(city.origin);
        leaves.push(city.statement(&leaves, StatementKind::Vault, "vlt_city", terms, &["head", "data-protection"]));
        let mut body = honest.body.clone();
        body["erased_escrow_at"] = date;
        leaves.push(city.statement(&leaves, StatementKind::Certificate, &honest.id, body, &["automation"]));
        city.publish(&log, &leaves, now());
    };
    let plain = json!({"slot_class": "E0", "threshold": 0, "backup_days": 30});
    let mut with_escrow = plain.clone();
    with_escrow["escrow"] = json!({"period_days": 90, "officers": 5, "threshold": 3});
    under(plain, json!("2090-01-01T00:00:00Z"));
    assert!(fails(&verify, 1).contains("name no escrow"));
    under(with_escrow.clone(), Value::Null);
    assert!(ok(&verify).contains("no date is promised"));
    under(with_escrow, json!("2090-01-01T00:00:00Z"));
    assert!(ok(&verify).contains("which lies ahead"));
}
