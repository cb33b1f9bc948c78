//! The certificate of an erasure, checked from outside: the city's own, and those of an insider who has all its keys.

use crate::common::{Folder, fails, ok, out, run};
use crate::insider::{Insider, now};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::keeper::Destroyed;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::{Digest, handles};

#[test]
fn what_follows_a_certificate_or_stands_in_its_place_is_told() {
    let folder = Folder::new("certificate-after");
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "5", "--data-dir", &dir, "--load-only"]);
    let city = Insider::of(&dir);
    let (log, mut leaves) = (folder.at("log"), city.leaves.clone());
    let register = city.register(&leaves);
    let known = register.certificates.values().find(|entry| entry.body.ciphertext_purged_at.is_none()).expect("one of the demo");
    let verify = ["verify", "certificate", &known.id, "--log", &log];
    city.publish(&log, &leaves, now());
    assert!(ok(&verify).contains("ciphertext    may remain in copies until"));
    let said = json!({"through": known.number, "purged_at": register.last_at().to_string()});
    leaves.push(city.statement(&leaves, StatementKind::Purge, "prg_first", said, &["automation"]));
    let said = json!({"key_commitments": [], "reason": {"en": "The proofs are lost.", "zh-Hant": "證明已佚失。"}});
    leaves.push(city.statement(&leaves, StatementKind::Uncertified, "crt_nothing", said, &["automation"]));
    city.publish(&log, &leaves, now());
    let told = ok(&verify);
    assert!(told.contains(&format!("ciphertext    purged {}", register.last_at())), "{told}");
    let told = fails(&["verify", "certificate", "crt_nothing", "--log", &log], 1);
    assert!(told.contains("uncertified") && told.contains("The proofs are lost."), "{told}");
}

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
    assert!(said.contains("not shown     that data ever hung on these keys"), "{said}");
    assert!(said.contains("the dates of live and root lie: that is the operator's word"), "{said}");
    assert!(said.contains(&format!("{commitment} published ")) && !said.contains("first published here"), "{said}");
    // What is invented out of nothing passes, and binds whoever invented it.
    let mut leaves = city.leaves.clone();
    let mut invent = |id: &str, key: &[u8], before: i64, after: i64| {
        let key = sha256(key);
        let root = |bucket: &[Digest]| handles::set_root(0, bucket.len() as u64, &handles::leaf(bucket));
        let proof = |bucket: &[Digest]| json!([{"count": bucket.len(), "bucket": bucket, "path": []}]);
        let mut body = honest.body.clone();
        let members = body.as_object_mut().unwrap();
        ["mandate", "blocks", "recipients"].iter().for_each(|field| drop(members.remove(*field)));
        members.extend(
            [
                ("cause", json!("withdrawal")),
                ("key_commitments", json!([key])),
                ("epoch_before", json!(before)),
                ("epoch_after", json!(after)),
                ("tree_root_before", json!(root(&[key]))),
                ("tree_root_after", json!(root(&[]))),
                ("inclusion", proof(&[key])),
                ("absence", proof(&[])),
            ]
            .map(|(field, value)| (field.to_owned(), value)),
        );
        leaves.push(city.statement(&leaves, StatementKind::Certificate, id, body, &["automation"]));
        city.publish(&log, &leaves, now());
        let output = run(&["verify", "certificate", id, "--log", &log]);
        if !output.status.success() {
            leaves.pop();
        }
        (output.status.code(), out(&output))
    };
    let (code, said) = invent("crt_invented", b"one", 7_000_000, 9_000_000);
    assert!(code == Some(0) && said.contains("not shown") && said.contains("first published here"), "{said}");
    for (key, before, after, why) in [
        (b"two", 1, 2, "never goes back"),
        (b"two", 7_000_000, 8_999_999, "never goes back"),
        (b"one", 9_000_000, 9_000_001, "gone by then"),
    ] {
        let (code, said) = invent(&format!("crt_again{after}"), key, before, after);
        assert!(code == Some(1) && said.contains("broken") && said.contains(why), "{said}");
    }
    // Of a mandate's end only what the log knew before can be certified, whoever signs, and all of it.
    let invented = sha256(b"a key of nothing");
    let own: Digest = commitment.parse().unwrap();
    for (what, keys) in [("invented", vec![invented]), ("invented beside the true one", vec![own, invented])] {
        let mut bucket = keys.clone();
        bucket.sort_unstable();
        let root = |bucket: &[Digest]| handles::set_root(0, bucket.len() as u64, &handles::leaf(bucket));
        let proofs = |bucket: &[Digest]| vec![json!({"count": bucket.len(), "bucket": bucket, "path": []}); keys.len()];
        let mut body = honest.body.clone();
        (body["key_commitments"], body["inclusion"], body["absence"]) = (json!(keys), json!(proofs(&bucket)), json!(proofs(&[])));
        (body["tree_root_before"], body["tree_root_after"]) = (json!(root(&bucket)), json!(root(&[])));
        let mut leaves = city.leaves[..at].to_vec();
        leaves.push(city.statement(&leaves, StatementKind::Certificate, &honest.id, body, &["automation"]));
        city.publish(&log, &leaves, now());
        let said = fails(&verify, 1);
        assert!(said.contains("not published for this mandate"), "{what}: {said}");
    }
    city.publish(&log, &city.leaves, now());
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

    // Keepers are claimed, and no terms say who they are.
    city.publish(&log, &with(&|body| body["slot_class"] = json!("E3")), now());
    assert!(fails(&verify, 1).contains("no terms"));

    // With keepers in the terms, those who have not signed are missed.
    let names = ["city", "court", "archive"];
    let pairs = names.map(|_| Ed25519KeyPair::generate().unwrap());
    let public = |pair: &Ed25519KeyPair| URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let keepers: Vec<Value> = names
        .iter()
        .zip(&pairs)
        .map(|(name, pair)| json!({"name": name, "institution": {"en": name, "zh-Hant": name}, "public": public(pair)}))
        .collect();
    let terms = json!({"vault": city.origin, "slot_class": "E3", "threshold": 2, "keepers": keepers, "backup_days": 30});
    let mut before = city.leaves[..at].to_vec();
    before.push(city.statement(&before, StatementKind::Vault, "vlt_city", terms, &["head", "data-protection"]));
    let epoch = honest.body["epoch_after"].as_u64().unwrap();
    let said = |keeper: usize, vault: &str, epoch: u64| Destroyed::sign(vault, names[keeper], epoch, now(), &pairs[keeper]);
    let own = |keeper: usize| said(keeper, &city.origin, epoch);
    let verdict = |keepers: Vec<Destroyed>| {
        let mut body = honest.body.clone();
        (body["slot_class"], body["keepers"]) = (json!("E3"), json!(keepers));
        let mut leaves = before.clone();
        leaves.push(city.statement(&leaves, StatementKind::Certificate, &honest.id, body, &["automation"]));
        city.publish(&log, &leaves, now());
        let output = run(&verify);
        (output.status.code(), out(&output))
    };
    let forged = Destroyed { at: 1, ..own(1) };
    let other_key = Destroyed::sign(&city.origin, names[1], epoch, now(), &pairs[2]);
    for (what, second) in [
        ("nobody", None),
        ("forged", Some(forged)),
        ("by another key", Some(other_key)),
        ("the same keeper twice", Some(own(0))),
        ("replayed from another vault", Some(said(1, "other.example/log", epoch))),
        ("replayed from an older epoch", Some(said(1, &city.origin, epoch - 1))),
    ] {
        let (code, text) = verdict([own(0)].into_iter().chain(second).collect());
        assert!(code == Some(1) && text.contains("Too few keepers"), "{what}: {text}");
    }
    let (code, text) = verdict(vec![own(0), own(1), said(2, &city.origin, epoch - 1)]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("has signed that its share is destroyed").count(), 2, "{text}");
    assert!(text.contains("(archive) has not signed"), "{text}");

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
