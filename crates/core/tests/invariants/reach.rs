//! Properties say little of histories in which nothing happens: these must come to every state, be refused and taken, and leave something
//! to be permitted and something to be forbidden.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use usufruct_core::event::Form;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;

use crate::history::{AGAIN, CLOUD, CONTRACT, HEALTH, OBJECTS, PARK, histories, play};
use crate::uses::{ASKED, JOININGS, is_joinable, is_permitted, whole_grant};

#[test]
fn the_random_histories_reach_what_the_invariants_speak_of() {
    let mut runner = TestRunner::deterministic();
    let mut met = BTreeMap::<String, usize>::new();
    for _ in 0..500 {
        let history = histories().new_tree(&mut runner).unwrap().current();
        let mut count = |what: String| *met.entry(what).or_default() += 1;
        play(&history, |seen| {
            let said = if seen.is_taken { "taken" } else { "refused" };
            count(said.to_owned());
            count(format!("{:?} {said}", seen.statement.kind));
            if seen.is_taken && seen.statement.body["kind"].is_string() {
                count(format!("{} {said}", seen.statement.body["kind"].as_str().unwrap()));
            }
            for object in OBJECTS {
                if let Some((_, state)) = seen.after.state(object) {
                    count(format!("{} {}", &object[..3], state.code()));
                }
            }
            if seen.is_taken && seen.statement.rev > 1 {
                count(format!("another {:?}", seen.statement.kind));
                for word in ["appeal_ref", "compulsion", "evidence"] {
                    if seen.statement.kind == StatementKind::Order && !seen.statement.body[word].is_null() {
                        count(format!("order with {word}"));
                    }
                }
            }
            if let Some((_, state)) = seen.after.state(AGAIN) {
                count(format!("the emergency goes on, {}", state.code()));
            }
            for joining in &JOININGS {
                if is_joinable(seen.after, joining, whole_grant(seen.after, joining.2).as_ref(), seen.after.now) {
                    count(format!("joined with {}", joining.1));
                }
            }
            for asked in &ASKED {
                if is_permitted(seen.after, asked, whole_grant(seen.after, asked.1).as_ref(), seen.after.now) {
                    count(format!("permitted to {}", asked.0));
                    let contract = &seen.after.register.contracts[&CONTRACT.parse().unwrap()].body;
                    if asked.0 == CLOUD && contract.value_blocks.is_empty() {
                        count("a vendor without values is served".to_owned());
                    }
                    if asked.0 == CLOUD && asked.3 == Form::Value {
                        count("a value to a vendor".to_owned());
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    }
    let times = |what: &str| met.get(what).copied().unwrap_or(0);
    let (taken, refused) = (times("taken"), times("refused"));
    assert!(taken * 4 > refused && refused * 4 > taken, "{taken} taken, {refused} refused");
    for kind in [
        "Agency",
        "Agreement",
        "Assessment",
        "BodyAudit",
        "Breach",
        "Camera",
        "Check",
        "Contract",
        "DataBlock",
        "Lawpack",
        "Mandate",
        "Order",
        "Rotation",
        "Ruling",
        "Service",
        "StatusChange",
    ] {
        for said in ["taken", "refused"] {
            assert!(times(&format!("{kind} {said}")) > 0, "no {kind} was {said}: {met:#?}");
        }
    }
    for what in [
        "Certificate taken",
        "Certificate refused",
        "Key taken",
        "Notice taken",
        "lift taken",
        "suspend taken",
        "restrict taken",
        "disclose_actor taken",
        "objection taken",
        "another Agreement",
        "another Assessment",
        "another BodyAudit",
        "another Order",
        "order with appeal_ref",
        "order with compulsion",
        "order with evidence",
        "the emergency goes on, published",
        "joined with svc_parks",
    ] {
        assert!(times(what) > 0, "never: {what}: {met:#?}");
    }
    for (prefix, states) in [
        (
            "mdt",
            &["draft", "consulted", "approved", "published", "active", "suspended", "sunset", "revoked", "erasing", "erased"][..],
        ),
        ("ctr", &["draft", "checked_agency", "checked_city", "signed", "active", "suspended", "ending", "closed"]),
        ("svc", &["draft", "active", "suspended", "closed"]),
        ("agr", &["draft", "consulted", "published", "active", "suspended", "sunset", "revoked"]),
        ("cam", &["proposed", "permitted", "active", "withheld", "permit_expired", "removed"]),
    ] {
        for state in states {
            assert!(State::WORDS.iter().any(|(word, _)| word == state));
            assert!(times(&format!("{prefix} {state}")) > 0, "no {prefix} was ever {state}: {met:#?}");
        }
    }
    for what in [
        "permitted to svc_library",
        "permitted to svc_cloud",
        "a value to a vendor",
        "a vendor without values is served",
        "emergency taken",
    ] {
        assert!(times(what) > 0, "never: {what}: {met:#?}");
    }
    assert!(times(&format!("permitted to {PARK}")) > 0, "no agreement ever opened a block: {met:#?}");
    assert!(times(&format!("permitted to {HEALTH}")) > 0, "no emergency was ever in force: {met:#?}");
}
