//! Statements as bytes: the golden files, and that there is one form and no panic.

use std::collections::BTreeMap;

use crate::common::{cases, day, file_key, lawful, signer, vectors};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use usufruct_core::agreement::Agreement;
use usufruct_core::assessment::Assessment;
use usufruct_core::block::DataBlock;
use usufruct_core::body_audit::BodyAudit;
use usufruct_core::breach::Breach;
use usufruct_core::camera::Camera;
use usufruct_core::case_tally::CaseTally;
use usufruct_core::contract::Contract;
use usufruct_core::draft::Problem;
use usufruct_core::hash::{hex, unhex};
use usufruct_core::jcs;
use usufruct_core::order::Order;
use usufruct_core::rotation::Rotation;
use usufruct_core::ruling::Ruling;
use usufruct_core::statement::{LEAF_PREFIX, LONGEST, Statement, StatementKind};
use usufruct_core::status::StatusChange;

#[test]
fn the_golden_statements_are_read_as_their_files_say() {
    let (mut accepted, mut refused, mut verified) = (0, 0, 0);
    for (name, case) in vectors("statements") {
        let field = |field: &str| case[field].as_str();
        let leaf = match (field("json"), field("leaf_hex")) {
            (Some(text), None) => [&LEAF_PREFIX[..], text.as_bytes()].concat(),
            (Some(text), Some(leaf)) => {
                let leaf = unhex(leaf).unwrap();
                assert_eq!(leaf, [&LEAF_PREFIX[..], text.as_bytes()].concat(), "{name}");
                leaf
            }
            (None, Some(leaf)) => unhex(leaf).unwrap(),
            (None, None) => panic!("{name} has neither json nor leaf_hex"),
        };
        assert!(field("why").is_some_and(|why| why.ends_with('.')), "{name}");
        assert!(name.starts_with(field("expect").unwrap()), "{name}");
        let result = Statement::from_leaf(&leaf);
        if field("expect") == Some("accept") {
            let statement = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(hex(&statement.leaf().unwrap()), hex(&leaf), "{name}");
            let hash = statement.hash().unwrap();
            assert_eq!(hash.to_string(), field("hash").unwrap(), "{name}");
            if let Some(public) = field("public") {
                assert!(!statement.approvals.is_empty());
                for approval in &statement.approvals {
                    assert!(approval.verifies(&hash, &file_key(public)), "{name}");
                    verified += 1;
                }
            }
            accepted += 1;
        } else {
            let error = result.err().unwrap_or_else(|| panic!("{name} is accepted")).to_string();
            assert!(error.ends_with('.') && error.contains(". "), "{name}: {error}");
            refused += 1;
        }
    }
    assert!(accepted >= 11 && refused >= 70 && verified >= 4, "{accepted} accepted, {refused} refused, {verified} verified");
}

/// The body of a golden statement, read and written again; or what is wrong with it. What was left out is not written.
fn body_again(statement: &Statement) -> Option<Result<Value, Vec<Problem>>> {
    let body = &statement.body;
    let again = match statement.kind {
        StatementKind::Agreement => Agreement::read(body).map(|body| json!(body)),
        StatementKind::Assessment => Assessment::read(body).map(|body| json!(body)),
        StatementKind::BodyAudit => BodyAudit::read(body).map(|body| json!(body)),
        StatementKind::Breach => Breach::read(body).map(|body| json!(body)),
        StatementKind::Camera => Camera::read(body).map(|body| json!(body)),
        StatementKind::CaseTally => CaseTally::read(body).map(|body| json!(body)),
        StatementKind::Contract => Contract::read(body).map(|body| json!(body)),
        StatementKind::DataBlock => DataBlock::read(body).map(|body| json!(body)),
        StatementKind::Order => Order::read(body).map(|body| json!(body)),
        StatementKind::Rotation => Rotation::read(body).map(|body| json!(body)),
        StatementKind::Ruling => Ruling::read(body).map(|body| json!(body)),
        StatementKind::StatusChange => StatusChange::read(body).map(|body| json!(body)),
        _ => return None,
    };
    Some(again.map(without_nulls))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name, without_nulls(member))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[test]
fn the_golden_bodies_are_read_whole_or_refused_for_what_their_files_say() {
    let mut met = BTreeMap::<StatementKind, (usize, usize)>::new();
    for (name, case) in vectors("statements").into_iter().filter(|(_, case)| case["problem"].is_array()) {
        let leaf = [&LEAF_PREFIX[..], case["json"].as_str().unwrap().as_bytes()].concat();
        let statement = Statement::from_leaf(&leaf).unwrap();
        assert!(case["public"].is_string(), "{name} is not signed");
        let result = body_again(&statement).unwrap_or_else(|| panic!("{name} is of no kind that is read here"));
        let (read, refused) = met.entry(statement.kind).or_default();
        if case["problem"] == json!([]) {
            assert_eq!(result.unwrap_or_else(|problems| panic!("{name}: {problems:?}")), statement.body, "{name}");
            *read += 1;
        } else {
            let problems = result.err().unwrap_or_else(|| panic!("{name} is read"));
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert_eq!(json!([problems[0].field, problems[0].rule]), case["problem"], "{name}");
            *refused += 1;
        }
    }
    assert_eq!(met.len(), 12, "{met:?}");
    assert!(met.values().all(|(read, refused)| *read >= 2 && *refused >= 1), "{met:?}");
}

#[test]
fn a_signature_holds_for_one_hash_and_one_key() {
    let mut statement = lawful().statements[0].clone();
    statement.approvals.clear();
    statement.approve(&signer("agc_operator", "head")).unwrap();
    let hash = statement.hash().unwrap();
    let public = signer("agc_operator", "head").public();
    let approval = &statement.approvals[0];
    assert!(approval.verifies(&hash, &file_key(&public)));
    assert!(!approval.verifies(&usufruct_core::hash::sha256(b""), &file_key(&public)));
    for other in [signer("agc_operator", "privacy").public(), String::new(), format!("{public}="), "A".repeat(43), "é".into()] {
        assert!(!approval.verifies(&hash, &file_key(&other)), "{other}");
    }
    for at in 0..86 {
        let mut forged = approval.clone();
        let other = if forged.signature.as_bytes()[at] == b'A' { "Q" } else { "A" };
        forged.signature.replace_range(at..=at, other);
        assert!(!forged.verifies(&hash, &file_key(&public)), "character {at} of the signature does not count");
    }
}

#[test]
fn the_hash_covers_everything_but_the_approvals() {
    let statement = lawful().statements.last().unwrap().clone();
    let hash = statement.hash().unwrap();
    let mut same = statement.clone();
    same.approvals.clear();
    assert_eq!(same.hash().unwrap(), hash);
    let changes: [fn(&mut Statement); 7] = [
        |statement| statement.kind = StatementKind::Notice,
        |statement| statement.id.push('x'),
        |statement| statement.rev += 1,
        |statement| statement.prev = Some(usufruct_core::hash::sha256(b"")),
        |statement| statement.at = statement.at.plus(1),
        |statement| statement.by = "agc_parks".parse().unwrap(),
        |statement| statement.body["more"] = json!(1),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut other = statement.clone();
        change(&mut other);
        assert_ne!(other.hash().unwrap(), hash, "change {i}");
    }
}

#[test]
fn the_hash_and_the_leaf_are_those_of_the_canonical_form() {
    for statement in &lawful().statements {
        let mut value = serde_json::to_value(statement).unwrap();
        assert_eq!(statement.leaf().unwrap(), [&LEAF_PREFIX[..], &jcs::encode(&value).unwrap()].concat(), "{}", statement.id);
        value.as_object_mut().unwrap().remove("approvals");
        assert_eq!(statement.hash().unwrap(), usufruct_core::hash::sha256(&jcs::encode(&value).unwrap()), "{}", statement.id);
    }
}

#[test]
fn a_statement_that_is_too_long_makes_no_leaf() {
    let mut statement = lawful().statements[0].clone();
    statement.body = json!({"x": "x".repeat(LONGEST)});
    assert!(statement.leaf().is_err());
    assert!(LONGEST + LEAF_PREFIX.len() < 65_536, "a leaf must fit the length field of a tile");
}

#[test]
fn numbers_without_a_canonical_form_make_no_leaf_and_no_hash() {
    for body in [json!(0.5), json!(1u64 << 53), json!([{"x": -1.0}])] {
        let mut statement = lawful().statements[0].clone();
        statement.body = body;
        assert!(statement.leaf().is_err() && statement.hash().is_err());
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53) + 1..1i64 << 53).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn statements()(kind in prop::sample::select(KINDS.to_vec()), id in any::<String>(), rev in 0u64..1 << 53, prev in any::<Option<[u8; 32]>>(),
        at in 0i64..4_000_000_000_000_000, body in values(), signed in 0usize..3) -> Statement {
        let mut statement = Statement {
            kind, id, rev, prev: prev.map(usufruct_core::Digest), at: day(0).plus(at), by: "agc_library".parse().unwrap(), body,
            approvals: vec![],
        };
        for key in ["head", "privacy"].iter().take(signed) {
            statement.approve(&signer("agc_library", key)).unwrap();
        }
        statement
    }
}

const KINDS: [StatementKind; 8] = [
    StatementKind::Agency,
    StatementKind::Certificate,
    StatementKind::Contract,
    StatementKind::DataBlock,
    StatementKind::Mandate,
    StatementKind::Notice,
    StatementKind::Service,
    StatementKind::StatusChange,
];

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn what_is_written_is_read_back(statement in statements()) {
        let leaf = statement.leaf().unwrap();
        prop_assert_eq!(Statement::from_leaf(&leaf).unwrap(), statement);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), prefixed in any::<bool>()) {
        let leaf = if prefixed { [&LEAF_PREFIX[..], &bytes].concat() } else { bytes.clone() };
        prop_assert!(Statement::parse(&bytes).is_err());
        prop_assert!(Statement::from_leaf(&leaf).is_err());
    }

    #[test]
    fn any_json_is_read_without_panic(value in values()) {
        prop_assert!(Statement::parse(&jcs::encode(&value).unwrap()).is_err());
    }

    #[test]
    fn a_changed_leaf_is_another_statement_or_none(statement in statements(), at in any::<Index>(), byte in any::<u8>(), cut in any::<Index>()) {
        let leaf = statement.leaf().unwrap();
        let mut changed = leaf.clone();
        changed[at.index(leaf.len())] = byte;
        if let Ok(other) = Statement::from_leaf(&changed) {
            prop_assert_eq!(&other.leaf().unwrap(), &changed, "two forms of one statement");
            prop_assert_eq!(other == statement, changed == leaf);
        }
        let shorter = &leaf[..cut.index(leaf.len())];
        prop_assert!(Statement::from_leaf(shorter).is_err());
        prop_assert!(Statement::from_leaf(&[&leaf[..], b" "].concat()).is_err());
    }

    #[test]
    fn canonical_json_has_one_form(value in values()) {
        let bytes = jcs::encode(&value).unwrap();
        prop_assert_eq!(&jcs::decode(&bytes).unwrap(), &value);
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        if pretty != bytes {
            prop_assert!(jcs::decode(&pretty).is_err());
        }
    }
}
