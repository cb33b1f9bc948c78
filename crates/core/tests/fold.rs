//! The register as a fold over statements: what it accepts, what it refuses, and that replay gives the same bytes.

mod common;

use common::{City, activate, agency_body, block_body, certificate_body, contract_body, day, founded, lawful, library_card, names};
use common::{notice_body, outbreak, school_meals, service_body, signer, text, well_said};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::{Lifecycle, State, guard};
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};

const CARD: &str = "mdt_library-card";
const MEALS: &str = "mdt_school-meals";
const CONTRACT: &str = "ctr_cloud";
const SERVICE: &str = "svc_library";
const OBJECTS: [&str; 4] = [CARD, MEALS, CONTRACT, SERVICE];

// Replay

#[test]
fn replay_gives_the_same_bytes() {
    let mut city = lawful();
    city.step(CARD, State::Suspended);
    city.step(CARD, State::Active);
    let mut body = library_card();
    body["title"] = text("Library card, second edition");
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    city.step(MEALS, State::Revoked);
    city.step(MEALS, State::Erasing);
    let certificate = certificate_body(MEALS, city.now);
    city.say(StatementKind::Certificate, "crt_meals", "agc_operator", certificate);
    city.step(MEALS, State::Erased);

    let leaves: Vec<_> = city.statements.iter().map(|statement| statement.leaf().unwrap()).collect();
    let read: Vec<_> = leaves.iter().map(|leaf| Statement::from_leaf(leaf).unwrap()).collect();
    assert_eq!(read, city.statements);
    let again = Register::replay((0..).zip(&read)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn replay_stops_at_the_first_unlawful_statement_and_names_its_leaf() {
    let mut statements = lawful().statements;
    statements.swap(8, 11);
    let (index, problems) = Register::replay((100..).zip(&statements)).unwrap_err();
    assert!((108..=111).contains(&index), "{index}");
    assert!(!problems.is_empty());
}

#[test]
fn the_short_number_of_an_object_stays_and_its_history_grows() {
    let mut city = lawful();
    let before = city.register.mandates[&CARD.parse().unwrap()].clone();
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    let after = &city.register.mandates[&CARD.parse().unwrap()];
    assert_eq!((after.number, after.index), (before.number, city.statements.len() as u64 - 1));
    assert_eq!(after.history.len(), before.history.len() + 1);
    assert_eq!(city.register.revision(&before.hash).map(|(entry, rev)| (entry.id.as_str(), rev)), Some((CARD, 1)));
    assert_eq!(city.register.revision(&after.hash).map(|(entry, rev)| (entry.id.as_str(), rev)), Some((CARD, 2)));
}

// The steps, as governance 3.2 tells them: from, to, how many roles, and whether the operator's automation may do it alone.

const MANDATE_STEPS: &[(State, State, usize, bool)] = &[
    (State::Draft, State::Consulted, 1, false),
    (State::Consulted, State::Approved, 2, false),
    (State::Approved, State::Published, 1, false),
    (State::Published, State::Active, 2, false),
    (State::Active, State::Suspended, 1, true),
    (State::Suspended, State::Active, 2, false),
    (State::Published, State::Sunset, 1, true),
    (State::Active, State::Sunset, 1, true),
    (State::Suspended, State::Sunset, 1, true),
    (State::Draft, State::Revoked, 1, false),
    (State::Consulted, State::Revoked, 1, false),
    (State::Approved, State::Revoked, 1, false),
    (State::Published, State::Revoked, 1, false),
    (State::Active, State::Revoked, 1, false),
    (State::Suspended, State::Revoked, 1, false),
    (State::Sunset, State::Erasing, 1, true),
    (State::Revoked, State::Erasing, 1, true),
    (State::Erasing, State::Erased, 1, true),
];

const CONTRACT_STEPS: &[(State, State, usize, bool)] = &[
    (State::Draft, State::CheckedAgency, 1, false),
    (State::CheckedAgency, State::CheckedCity, 1, false),
    (State::CheckedCity, State::Signed, 2, false),
    (State::Signed, State::Active, 2, false),
    (State::Active, State::Suspended, 1, true),
    (State::Suspended, State::Active, 2, false),
    (State::Active, State::Ending, 1, true),
    (State::Suspended, State::Ending, 1, true),
    (State::Ending, State::Closed, 1, false),
];

const SERVICE_STEPS: &[(State, State, usize, bool)] = &[
    (State::Draft, State::Active, 2, false),
    (State::Active, State::Suspended, 1, true),
    (State::Suspended, State::Active, 2, false),
    (State::Draft, State::Closed, 1, false),
    (State::Active, State::Closed, 1, false),
    (State::Suspended, State::Closed, 1, false),
];

fn steps_of(object: &str) -> (Lifecycle, &'static [(State, State, usize, bool)]) {
    match &object[..4] {
        "mdt_" => (Lifecycle::Mandate, MANDATE_STEPS),
        "ctr_" => (Lifecycle::Contract, CONTRACT_STEPS),
        _ => (Lifecycle::Service, SERVICE_STEPS),
    }
}

#[test]
fn the_table_of_steps_is_the_one_in_the_design() {
    for object in [CARD, CONTRACT, SERVICE] {
        let (lifecycle, steps) = steps_of(object);
        for (_, from) in State::WORDS {
            for (_, to) in State::WORDS {
                let expected = steps.iter().find(|step| (step.0, step.1) == (from, to)).map(|step| (step.2, step.3));
                let found = guard(lifecycle, from, to).map(|guard| (guard.approvals, guard.automatic));
                assert_eq!(found, expected, "{lifecycle:?}: {from:?} to {to:?}");
            }
        }
    }
}

// Random sequences

/// One thing that someone tries.
#[derive(Clone, Debug)]
enum Act {
    Certify { mandate: usize },
    Notify { mandate: usize },
    Revise { object: usize },
    Step { object: usize, lawful: Option<Index>, to: usize, automatic: bool },
    Wait { days: i64 },
}

/// What is wrong with the statement, so that it must be refused whatever it says.
#[derive(Clone, Copy, Debug)]
enum Damage {
    BackInTime,
    ByStranger,
    ChangedAfterSigning,
    Forged,
    OtherPrevious,
    OtherRevision,
    SignedByStranger,
}

const DAMAGES: [Damage; 7] = [
    Damage::BackInTime,
    Damage::ByStranger,
    Damage::ChangedAfterSigning,
    Damage::Forged,
    Damage::OtherPrevious,
    Damage::OtherRevision,
    Damage::SignedByStranger,
];

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        9 => (0usize..4, prop::option::weighted(0.8, any::<Index>()), 0usize..15, prop::bool::weighted(0.2))
            .prop_map(|(object, lawful, to, automatic)| Act::Step { object, lawful, to, automatic }),
        2 => (0usize..2).prop_map(|mandate| Act::Notify { mandate }),
        1 => (0usize..2).prop_map(|mandate| Act::Certify { mandate }),
        1 => (0usize..4).prop_map(|object| Act::Revise { object }),
        2 => prop_oneof![4 => 0i64..15, 1 => 300i64..500].prop_map(|days| Act::Wait { days }),
    ]
}

fn signed_by() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        6 => Just(vec!["head", "privacy"]),
        1 => Just(vec!["privacy", "automation", "head"]),
        1 => Just(vec!["head", "deputy"]),
        1 => Just(vec!["head", "head"]),
        1 => Just(vec!["automation"]),
        1 => Just(vec!["head"]),
        1 => Just(vec![]),
    ]
}

fn roles(keys: &[&str]) -> usize {
    let mut roles: Vec<_> = keys.iter().map(|key| if *key == "deputy" { "head" } else { key }).collect();
    roles.sort_unstable();
    roles.dedup();
    roles.len()
}

/// The statement that `act` makes, and whether it is lawful as far as the prose of the design says.
fn statement_of(city: &City, act: &Act, keys: &[&str]) -> Option<(Statement, bool)> {
    let by = |agency: &'static str| keys.iter().map(|key| (agency, *key)).collect::<Vec<_>>();
    match act {
        Act::Wait { .. } => None,
        Act::Certify { mandate } => {
            let (_, state) = city.state(OBJECTS[*mandate])?;
            let body = certificate_body(OBJECTS[*mandate], city.now);
            let id = format!("crt_{}", city.statements.len());
            let lawful = state == State::Erasing && roles(keys) >= 1;
            Some((city.draft(StatementKind::Certificate, &id, "agc_operator", body, &by("agc_operator")), lawful))
        }
        Act::Notify { mandate } => {
            let (hash, _) = city.state(OBJECTS[*mandate])?;
            let id = format!("ntc_{}", city.statements.len());
            let lawful = !city.register.notices.contains_key(&hash) && roles(keys) >= 1;
            let body = notice_body(OBJECTS[*mandate], hash);
            Some((city.draft(StatementKind::Notice, &id, "agc_library", body, &by("agc_library")), lawful))
        }
        Act::Revise { object } => {
            let (kind, body) = match OBJECTS[*object] {
                CARD => (StatementKind::Mandate, library_card()),
                MEALS => (StatementKind::Mandate, school_meals()),
                CONTRACT => (StatementKind::Contract, contract_body()),
                _ => (StatementKind::Service, service_body("agc_library", "library", &[CARD])),
            };
            let (_, state) = city.state(OBJECTS[*object])?;
            let in_force = matches!(state, State::Published | State::Active | State::Suspended);
            let past = kind == StatementKind::Mandate && in_force && city.now >= day(424) || kind == StatementKind::Contract && city.now >= day(400);
            let over = matches!(state, State::Sunset | State::Revoked | State::Erasing | State::Erased | State::Ending | State::Closed);
            let lawful = !past && !over && roles(keys) >= 2;
            Some((city.draft(kind, OBJECTS[*object], "agc_library", body, &by("agc_library")), lawful))
        }
        Act::Step { object, lawful, to, automatic } => {
            let object = OBJECTS[*object];
            let (hash, from) = city.state(object)?;
            let steps: Vec<_> = steps_of(object).1.iter().filter(|step| step.0 == from).collect();
            let to = match lawful {
                // The first step of each state leads on; it is the likeliest, or few lives would come far.
                Some(index) if !steps.is_empty() => steps[index.index(steps.len() + 4).saturating_sub(4)].1,
                _ => State::WORDS[*to].1,
            };
            let speaker = if *automatic { "agc_operator" } else { "agc_library" };
            let step = steps.iter().find(|step| step.1 == to);
            let approved = step.is_some_and(|step| if *automatic { step.3 && roles(keys) >= 1 } else { roles(keys) >= step.2 });
            let mandate = object.starts_with("mdt_");
            let timely = match to {
                State::Consulted if mandate => city.now >= day(24),
                State::Published if mandate => city.register.notices.contains_key(&hash),
                State::Active if mandate => city.now < day(424),
                State::Sunset if mandate => city.now >= day(424),
                State::Erased if mandate => {
                    city.statements.iter().any(|s| s.kind == StatementKind::Certificate && s.body["mandate"] == object)
                }
                _ => true,
            };
            Some((city.step_draft(object, to, speaker, &by(speaker)), approved && timely))
        }
    }
}

/// Spoils `statement`; false when this damage does not change it.
fn spoil(statement: &mut Statement, damage: Damage) -> bool {
    match damage {
        Damage::BackInTime => {
            let keys: Vec<_> = statement.approvals.drain(..).map(|approval| (approval.agency, approval.key)).collect();
            statement.at = day(0).plus(-1);
            for (agency, key) in keys {
                statement.approve(&signer(agency.as_str(), &key)).unwrap();
            }
            true
        }
        Damage::ByStranger => {
            statement.by = "agc_parks".parse().unwrap();
            statement.approvals.clear();
            statement.approve(&signer("agc_parks", "head")).unwrap();
            statement.approve(&signer("agc_parks", "privacy")).unwrap();
            true
        }
        Damage::ChangedAfterSigning => {
            statement.at = statement.at.plus(1);
            !statement.approvals.is_empty()
        }
        Damage::Forged => match statement.approvals.last_mut() {
            Some(approval) => {
                let first = if approval.signature.starts_with('A') { "B" } else { "A" };
                approval.signature.replace_range(..1, first);
                true
            }
            None => false,
        },
        Damage::OtherPrevious => {
            statement.prev = Some(sha256(b"something else"));
            true
        }
        Damage::OtherRevision => {
            statement.rev += 1;
            true
        }
        Damage::SignedByStranger => {
            statement.approve(&signer("agc_parks", "privacy")).unwrap();
            true
        }
    }
}

fn drafts() -> City {
    let mut city = founded();
    city.now = day(20);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    city.say(StatementKind::Mandate, MEALS, "agc_library", school_meals());
    city.say(StatementKind::Contract, CONTRACT, "agc_library", contract_body());
    city.say(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "library", &[CARD]));
    city
}

/// Tries `act` and checks everything that must hold afterwards. The answer is whether it was accepted.
fn try_act(city: &mut City, act: &Act, keys: &[&str], damage: Option<Damage>) -> Result<bool, TestCaseError> {
    if let Act::Wait { days } = act {
        city.now = day((city.now.micros() - day(0).micros()) / usufruct_core::time::DAY + days);
        return Ok(false);
    }
    let Some((mut statement, mut lawful)) = statement_of(city, act, keys) else { return Ok(false) };
    if damage.is_some_and(|damage| spoil(&mut statement, damage)) {
        lawful = false;
    }
    let before: Vec<_> = OBJECTS.iter().map(|object| city.state(object).unwrap()).collect();
    let json = city.json();
    prop_assert_eq!(city.register.check(&statement).is_ok(), lawful, "{:?} {:?} {:?}", act, keys, damage);
    let result = city.apply(statement);
    prop_assert_eq!(result.is_ok(), lawful);
    if let Err(problems) = &result {
        prop_assert!(!problems.is_empty());
        for problem in problems {
            well_said(problem).map_err(TestCaseError::fail)?;
        }
        prop_assert_eq!(city.json(), json, "a refused statement changed the register");
        return Ok(false);
    }
    for (object, (old_hash, old)) in OBJECTS.iter().zip(before) {
        let (hash, new) = city.state(object).unwrap();
        let lifecycle = steps_of(object).0;
        if hash != old_hash {
            let expected = if lifecycle == Lifecycle::Service { old } else { State::Draft };
            prop_assert_eq!(new, expected, "a revision of {} moved it", object);
        } else if new != old {
            let step = guard(lifecycle, old, new);
            prop_assert!(step.is_some(), "{} went from {:?} to {:?}", object, old, new);
        }
        if new == State::Active && (old != State::Active || hash != old_hash) {
            prop_assert!(roles(keys) >= 2, "{} became active with {:?}", object, keys);
        }
        prop_assert!(!old.is_over() || new.is_over(), "{} came back from {:?}", object, old);
    }
    Ok(true)
}

type Try = (Act, Vec<&'static str>, Option<usize>);

fn tries() -> impl Strategy<Value = Vec<Try>> {
    prop::collection::vec((acts(), signed_by(), prop::option::weighted(0.12, 0..DAMAGES.len())), 1..60)
}

proptest! {
    #![proptest_config(common::cases(96))]

    #[test]
    fn only_lawful_statements_change_the_register(finished in any::<bool>(), tries in tries()) {
        let mut city = if finished { lawful() } else { drafts() };
        for (act, keys, damage) in &tries {
            try_act(&mut city, act, keys, damage.map(|damage| DAMAGES[damage]))?;
        }
        let again = Register::replay((0..).zip(&city.statements)).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
    }
}

/// The property above says little when almost everything is refused; so the sequences must reach the end of a life.
#[test]
fn the_random_sequences_accept_refuse_and_reach_the_end() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut tried, mut reached) = (0, 0, std::collections::BTreeSet::new());
    for round in 0..60 {
        let mut city = if round % 2 == 0 { lawful() } else { drafts() };
        for (act, keys, damage) in tries().new_tree(&mut runner).unwrap().current() {
            tried += 1;
            if try_act(&mut city, &act, &keys, damage.map(|damage| DAMAGES[damage])).unwrap() {
                accepted += 1;
            }
            reached.extend(OBJECTS.iter().filter_map(|object| city.state(object)).map(|(_, state)| state.code()));
        }
    }
    assert!(accepted * 5 > tried, "only {accepted} of {tried} accepted");
    assert!(accepted * 5 < tried * 4, "{accepted} of {tried} accepted");
    assert_eq!(reached.len(), State::WORDS.len(), "states reached: {reached:?}");
}

// Who may speak

fn refused(city: &City, statement: Statement) -> Vec<Problem> {
    let mut copy = city.clone();
    let problems = copy.apply(statement).expect_err("the statement must be refused");
    assert_eq!(copy.json(), city.json());
    for problem in &problems {
        well_said(problem).unwrap();
    }
    problems
}

fn draft_card(city: &City, approvals: &[(&str, &str)]) -> Statement {
    city.draft(StatementKind::Mandate, "mdt_other", "agc_library", library_card(), approvals)
}

#[test]
fn two_roles_of_the_own_body_must_approve() {
    let city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    assert!(city.clone().apply(draft_card(&city, &own)).is_ok());
    for (approvals, field, rule) in [
        (vec![], "approvals", "too-few"),
        (vec![own[0]], "approvals", "too-few"),
        (vec![own[0], own[0]], "approvals", "too-few"),
        (vec![own[0], ("agc_library", "deputy")], "approvals", "too-few"),
        (vec![own[0], ("agc_parks", "privacy")], "approvals[1]", "not-valid"),
        (vec![own[0], ("agc_operator", "privacy")], "approvals[1]", "not-valid"),
        (vec![own[0], own[1], ("agc_parks", "privacy")], "approvals[2]", "not-valid"),
        (vec![own[0], ("agc_library", "nobody")], "approvals[1]", "not-valid"),
    ] {
        let problems = refused(&city, draft_card(&city, &approvals));
        assert!(names(&problems, field, rule), "{approvals:?}: {problems:?}");
    }
}

#[test]
fn a_forged_approval_is_refused() {
    let city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let lawful = draft_card(&city, &own);

    let mut other_key = lawful.clone();
    other_key.approvals[1].key = "automation".into();
    let mut borrowed = lawful.clone();
    borrowed.approvals[1].signature = borrowed.approvals[0].signature.clone();
    let mut other_name = lawful.clone();
    other_name.approvals[1].agency = "agc_parks".parse().unwrap();
    let mut other_algorithm = lawful.clone();
    other_algorithm.approvals[1].algorithm = "none".into();
    let mut empty = lawful.clone();
    empty.approvals[1].signature.clear();
    let mut padded = lawful.clone();
    padded.approvals[1].signature.push_str("==");
    let mut from_elsewhere = lawful.clone();
    from_elsewhere.approvals[1] = city.statements.last().unwrap().approvals[1].clone();
    for forged in [other_key, borrowed, other_name, other_algorithm, empty, padded, from_elsewhere] {
        let problems = refused(&city, forged);
        assert!(names(&problems, "approvals[1]", "not-valid"), "{problems:?}");
    }
    let mut changed = lawful.clone();
    changed.body["rate_cap"]["uses"] = json!(1_000);
    assert!(names(&refused(&city, changed), "approvals[0]", "not-valid"));
}

#[test]
fn one_key_cannot_speak_for_two_roles() {
    let city = founded();
    let mut body = agency_body("agc_museum", "agency");
    body["signing_keys"][1]["public"] = body["signing_keys"][0]["public"].clone();
    let statement = city.draft(StatementKind::Agency, "agc_museum", "agc_operator", body, &[("agc_operator", "head")]);
    let problems = refused(&city, statement);
    assert!(names(&problems, "signing_keys", "duplicate"), "{problems:?}");
}

#[test]
fn the_first_statement_is_the_operators_own() {
    let city = City { now: day(0), ..City::default() };
    let operator = agency_body("agc_operator", "operator");
    let own = [("agc_operator", "head")];
    let first = city.draft(StatementKind::Agency, "agc_operator", "agc_operator", operator.clone(), &own);
    assert!(city.clone().apply(first.clone()).is_ok());

    let library = agency_body("agc_library", "agency");
    let other = city.draft(StatementKind::Agency, "agc_library", "agc_library", library, &[("agc_library", "head")]);
    assert!(names(&refused(&city, other), "kind", "no-operator"));
    let unsigned = Statement { approvals: vec![], ..first.clone() };
    assert!(names(&refused(&city, unsigned), "approvals", "missing"));
    let mut forged = first.clone();
    forged.approvals[0].key = "privacy".into();
    assert!(names(&refused(&city, forged), "approvals", "missing"));
    let mut half = first;
    half.approve(&signer("agc_library", "head")).unwrap();
    assert!(names(&refused(&city, half), "approvals", "missing"), "one good signature does not excuse a bad one");
    let block = city.draft(StatementKind::DataBlock, "blk_name", "agc_operator", block_body("n", "ordinary", &["token"]), &own);
    assert!(names(&refused(&city, block), "by", "no-operator"));

    let city = founded();
    let second = city.draft(StatementKind::Agency, "agc_usurper", "agc_operator", agency_body("agc_usurper", "operator"), &own);
    assert!(names(&refused(&city, second), "kind", "second-operator"));
}

#[test]
fn only_the_operator_names_bodies_and_blocks() {
    let city = founded();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let body = city.draft(StatementKind::Agency, "agc_library", "agc_library", agency_body("agc_library", "agency"), &own);
    assert!(names(&refused(&city, body), "by", "not-the-owner"));
    let block = block_body("n", "ordinary", &["token"]);
    let block = city.draft(StatementKind::DataBlock, "blk_new", "agc_library", block, &own);
    assert!(names(&refused(&city, block), "by", "not-the-owner"));
    let mut body = block_body("n", "ordinary", &["token"]);
    body["source_agency"] = json!("agc_nowhere");
    let block = city.draft(StatementKind::DataBlock, "blk_new", "agc_operator", body, &[("agc_operator", "head")]);
    assert!(names(&refused(&city, block), "source_agency", "unknown"));
}

#[test]
fn nobody_takes_over_what_another_body_answers_for() {
    let city = lawful();
    let parks = [("agc_parks", "head"), ("agc_parks", "privacy")];
    let mut mandate = library_card();
    mandate["controller"] = json!("agc_parks");
    let mandate = city.draft(StatementKind::Mandate, CARD, "agc_parks", mandate, &parks);
    assert!(names(&refused(&city, mandate), "controller", "moved"));
    let mut contract = contract_body();
    contract["controller"] = json!("agc_parks");
    let contract = city.draft(StatementKind::Contract, CONTRACT, "agc_parks", contract, &parks);
    assert!(names(&refused(&city, contract), "controller", "moved"));
    let service = service_body("agc_parks", "library", &[CARD]);
    let service = city.draft(StatementKind::Service, SERVICE, "agc_parks", service, &parks);
    assert!(names(&refused(&city, service), "agency", "moved"));
    let notice = notice_body(CARD, city.state(CARD).unwrap().0);
    let notice = city.draft(StatementKind::Notice, "ntc_other", "agc_parks", notice, &parks);
    assert!(names(&refused(&city, notice), "by", "not-the-owner"));
    let step = city.step_draft(CARD, State::Revoked, "agc_parks", &parks);
    assert!(names(&refused(&city, step), "by", "not-the-owner"));
}

#[test]
fn nobody_enters_the_pseudonym_domain_of_another_body() {
    let city = lawful();
    let parks = [("agc_parks", "head"), ("agc_parks", "privacy")];
    let joined = city.draft(StatementKind::Service, "svc_parks", "agc_parks", service_body("agc_parks", "library", &[]), &parks);
    assert!(names(&refused(&city, joined), "sector", "taken"));
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let second = city.draft(StatementKind::Service, "svc_reading", "agc_library", service_body("agc_library", "library", &[]), &own);
    let mut city = city;
    city.apply(second).unwrap();
    let number = |id: &str| &city.register.services[&id.parse().unwrap()];
    assert_eq!(city.register.sector(number("svc_reading")), number(SERVICE).number);
}

#[test]
fn automation_may_withhold_power_and_never_give_it() {
    let mut city = lawful();
    let automation = [("agc_operator", "automation")];
    for object in [CARD, CONTRACT, SERVICE] {
        city.apply(city.step_draft(object, State::Suspended, "agc_operator", &automation)).unwrap();
        let both = [("agc_operator", "head"), ("agc_operator", "privacy")];
        for approvals in [&automation[..], &both] {
            let problems = refused(&city, city.step_draft(object, State::Active, "agc_operator", approvals));
            assert!(names(&problems, "by", "not-the-owner"), "{problems:?}");
        }
    }
    city.now = day(424);
    city.apply(city.step_draft(CARD, State::Sunset, "agc_operator", &automation)).unwrap();
}

// Order and revisions

#[test]
fn statements_do_not_go_back_in_time() {
    let city = lawful();
    let mut earlier = city.clone();
    earlier.now = city.register.last_at().plus(-1);
    let problems = refused(&city, earlier.step_draft(CARD, State::Suspended, "agc_library", &[("agc_library", "head")]));
    assert!(names(&problems, "at", "goes-back"), "{problems:?}");
}

#[test]
fn a_revision_names_the_one_before() {
    let city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let next = city.draft(StatementKind::Mandate, CARD, "agc_library", library_card(), &[]);
    assert_eq!((next.rev, next.prev), (2, Some(city.state(CARD).unwrap().0)));
    for (rev, prev) in [(1, None), (2, None), (2, Some(sha256(b""))), (1, next.prev), (3, next.prev)] {
        let mut statement = Statement { rev, prev, ..next.clone() };
        for (agency, key) in own {
            statement.approve(&signer(agency, key)).unwrap();
        }
        assert!(names(&refused(&city, statement), "rev", "not-next"), "{rev} {prev:?}");
    }
}

#[test]
fn a_second_revision_has_another_hash_and_begins_as_a_draft() {
    let mut city = lawful();
    let (first, state) = city.state(CARD).unwrap();
    assert_eq!(state, State::Active);
    assert!(city.register.mandates[&CARD.parse().unwrap()].is_in_force(day(100)));
    let mut body = library_card();
    body["retention"]["duration"] = json!("P60D");
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    let (second, state) = city.state(CARD).unwrap();
    assert_ne!(first, second);
    assert_eq!(state, State::Draft);
    let entry = &city.register.mandates[&CARD.parse().unwrap()];
    assert!(!entry.is_in_force(day(100)));
    assert!(city.register.notice(entry).is_none(), "the old notice does not explain the new revision");
    city.steps(CARD, &[State::Consulted, State::Approved]);
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = refused(&city, city.step_draft(CARD, State::Published, "agc_library", &own));
    assert!(names(&problems, "to", "no-notice"), "{problems:?}");
    let old = city.draft(StatementKind::Notice, "ntc_old", "agc_library", notice_body(CARD, first), &own);
    assert!(names(&refused(&city, old), "mandate_hash", "other-revision"));
}

#[test]
fn a_revision_that_changes_nothing_still_has_another_hash() {
    let mut city = lawful();
    let (first, _) = city.state(CARD).unwrap();
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    assert_ne!(city.state(CARD).unwrap().0, first);
}

#[test]
fn a_step_names_the_present_state_and_revision() {
    let city = lawful();
    for (field, value) in [("from", json!("suspended")), ("revision", json!(sha256(b"").to_string())), ("object", json!("mdt_nowhere"))] {
        let mut step = city.step_draft(CARD, State::Revoked, "agc_library", &[]);
        step.body[field] = value;
        step.approve(&signer("agc_library", "head")).unwrap();
        assert!(refused(&city, step).iter().any(|problem| problem.field == field), "{field}");
    }
}

#[test]
fn a_revision_has_one_notice() {
    let city = lawful();
    let own = [("agc_library", "head")];
    let body = notice_body(CARD, city.state(CARD).unwrap().0);
    let second = city.draft(StatementKind::Notice, "ntc_second", "agc_library", body, &own);
    assert!(names(&refused(&city, second), "mandate_hash", "second-notice"));
}

#[test]
fn ids_fit_the_type_of_the_statement() {
    let city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    for id in ["svc_card", "mdt_", "mdt_Card", "", "mdt_card card"] {
        let statement = city.draft(StatementKind::Mandate, id, "agc_library", library_card(), &own);
        assert!(names(&refused(&city, statement), "id", "malformed"), "{id}");
    }
}

#[test]
fn a_service_keeps_its_domain_and_its_state() {
    let mut city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let moved = city.draft(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "elsewhere", &[]), &own);
    assert!(names(&refused(&city, moved), "sector", "moved"));
    let alone = city.draft(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "library", &[]), &own[..1]);
    assert!(names(&refused(&city, alone), "approvals", "too-few"));
    city.say(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "library", &[]));
    assert_eq!(city.state(SERVICE).unwrap().1, State::Active);
}

// Ends

#[test]
fn what_has_ended_never_comes_back() {
    let over: [(&str, i64, &[State]); 6] = [
        (CARD, 30, &[State::Revoked]),
        (CARD, 424, &[State::Sunset]),
        (CARD, 30, &[State::Revoked, State::Erasing]),
        (CONTRACT, 30, &[State::Ending]),
        (CONTRACT, 30, &[State::Ending, State::Closed]),
        (SERVICE, 30, &[State::Closed]),
    ];
    for (object, when, path) in over {
        let mut city = lawful();
        city.now = day(when);
        city.steps(object, path);
        let own = [("agc_library", "head"), ("agc_library", "privacy")];
        let (kind, mut body) = match &object[..3] {
            "mdt" => (StatementKind::Mandate, library_card()),
            "ctr" => (StatementKind::Contract, contract_body()),
            _ => (StatementKind::Service, service_body("agc_library", "library", &[CARD])),
        };
        if kind == StatementKind::Mandate {
            body["sunset_at"] = json!(day(800).to_string());
        }
        let revision = city.draft(kind, object, "agc_library", body, &own);
        let problems = refused(&city, revision);
        assert!(names(&problems, "id", "over"), "{object} {path:?}: {problems:?}");
        for (_, to) in State::WORDS {
            let by = city.step_draft(object, to, "agc_library", &own);
            if city.register.check(&by).is_ok() {
                assert!(to.is_over(), "{object} goes from {path:?} to {to:?}");
            }
        }
    }
}

#[test]
fn a_mandate_past_its_last_day_cannot_be_prolonged() {
    let mut city = lawful();
    city.now = day(424);
    let mut body = library_card();
    body["sunset_at"] = json!(day(800).to_string());
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let prolonged = city.draft(StatementKind::Mandate, CARD, "agc_library", body, &own);
    assert!(names(&refused(&city, prolonged), "id", "over"));
    city.now = day(424).plus(-1);
    let typo = city.draft(StatementKind::Mandate, CARD, "agc_library", library_card(), &own);
    assert!(city.clone().apply(typo).is_ok());
}

#[test]
fn the_sunset_comes_on_its_day_and_not_before() {
    let mut city = lawful();
    let automation = [("agc_operator", "automation")];
    city.now = day(424).plus(-1);
    let problems = refused(&city, city.step_draft(CARD, State::Sunset, "agc_operator", &automation));
    assert!(names(&problems, "to", "before-sunset"), "{problems:?}");
    city.now = day(424);
    assert!(city.clone().apply(city.step_draft(CARD, State::Sunset, "agc_operator", &automation)).is_ok());
    city.now = day(423);
    city.step(CARD, State::Suspended);
    city.now = day(424);
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = refused(&city, city.step_draft(CARD, State::Active, "agc_library", &own));
    assert!(names(&problems, "to", "past-sunset"), "{problems:?}");
}

#[test]
fn nothing_is_erased_without_a_certificate_of_its_own() {
    let mut city = lawful();
    let certificate = |city: &City, mandate: &str| {
        let id = format!("crt_{}", city.statements.len());
        city.draft(StatementKind::Certificate, &id, "agc_operator", certificate_body(mandate, city.now), &[("agc_operator", "head")])
    };
    assert!(names(&refused(&city, certificate(&city, CARD)), "mandate", "not-erasing"));
    assert!(names(&refused(&city, certificate(&city, "mdt_nowhere")), "mandate", "not-erasing"));
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    city.steps(MEALS, &[State::Revoked, State::Erasing]);
    city.apply(certificate(&city, MEALS)).unwrap();
    let automation = [("agc_operator", "automation")];
    let problems = refused(&city, city.step_draft(CARD, State::Erased, "agc_operator", &automation));
    assert!(names(&problems, "to", "no-certificate"), "{problems:?}");
    city.apply(certificate(&city, CARD)).unwrap();
    let id = &city.statements.last().unwrap().id;
    let again = city.draft(StatementKind::Certificate, id, "agc_operator", certificate_body(CARD, city.now), &[("agc_operator", "head")]);
    assert!(names(&refused(&city, again), "rev", "final"));
    city.apply(city.step_draft(CARD, State::Erased, "agc_operator", &automation)).unwrap();
    assert!(city.register.certificate(&CARD.parse().unwrap()).is_some());
}

#[test]
fn people_can_comment_until_the_last_day() {
    let mut city = drafts();
    let own = [("agc_library", "head")];
    city.now = day(24).plus(-1);
    let problems = refused(&city, city.step_draft(CARD, State::Consulted, "agc_library", &own));
    assert!(names(&problems, "to", "consultation-open"), "{problems:?}");
    city.now = day(24);
    assert!(city.apply(city.step_draft(CARD, State::Consulted, "agc_library", &own)).is_ok());
}

// Who may hold and receive

fn mandate_refused(city: &City, body: Value, field: &str, rule: &str) {
    let controller = body["controller"].as_str().unwrap().to_owned();
    let approvals = [(controller.as_str(), "head"), (controller.as_str(), "privacy")];
    let problems = refused(city, city.draft(StatementKind::Mandate, "mdt_new", &controller, body, &approvals));
    assert!(names(&problems, field, rule), "{problems:?}");
}

#[test]
fn security_bodies_neither_hold_nor_receive_in_an_emergency() {
    let mut city = founded();
    let mut held = outbreak();
    held["controller"] = json!("agc_police");
    mandate_refused(&city, held.clone(), "controller", "security-body");
    let mut received = outbreak();
    received["recipients"].as_array_mut().unwrap().push(json!({"agency": "agc_police", "why": text("To enforce.")}));
    mandate_refused(&city, received, "recipients[1].agency", "security-body");

    city.now = day(1);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", outbreak());
    activate(&mut city, "mdt_outbreak");
    held["kind"] = json!("ordinary");
    city.say(StatementKind::Mandate, "mdt_ordinary", "agc_police", held);
}

#[test]
fn a_body_keeps_its_kind() {
    // Otherwise a body named in an emergency mandate becomes a security body afterwards, or a vendor sheds its contract.
    let city = lawful();
    for (id, kind) in [("agc_library", "security_or_intelligence"), ("agc_cloud", "agency"), ("agc_operator", "vendor")] {
        let statement = city.draft(StatementKind::Agency, id, "agc_operator", agency_body(id, kind), &[("agc_operator", "head")]);
        let problems = refused(&city, statement);
        assert!(names(&problems, "kind", "changed"), "{problems:?}");
    }
}

#[test]
fn nobody_replaces_the_keys_of_a_body_without_it() {
    // Otherwise the operator could name keys of its own for an agency and then speak as two of its people.
    let mut city = lawful();
    let body = agency_body("agc_library", "agency");
    let by = [("agc_operator", "head"), ("agc_operator", "privacy")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", body.clone(), &by);
    assert!(names(&refused(&city, statement), "approvals", "too-few"));
    let alone = [("agc_operator", "head"), ("agc_library", "head"), ("agc_library", "privacy")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", body.clone(), &alone);
    assert!(names(&refused(&city, statement), "approvals", "too-few"));
    let together = [("agc_operator", "head"), ("agc_operator", "privacy"), ("agc_library", "head")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", body, &together);
    city.apply(statement).unwrap();
}

#[test]
fn what_a_mandate_refers_to_must_exist_and_fit() {
    let city = founded();
    let with = |pointer: &str, value: &str| {
        let mut body = library_card();
        *body.pointer_mut(pointer).unwrap() = json!(value);
        body
    };
    mandate_refused(&city, with("/controller", "agc_cloud"), "controller", "vendor-controller");
    mandate_refused(&city, with("/controller", "agc_nowhere"), "controller", "unknown");
    mandate_refused(&city, with("/oversight_body", "agc_parks"), "oversight_body", "not-oversight");
    mandate_refused(&city, with("/oversight_body", "agc_nowhere"), "oversight_body", "unknown");
    mandate_refused(&city, with("/blocks/1/block", "blk_nowhere"), "blocks[1].block", "unknown");
    mandate_refused(&city, with("/blocks/1/form", "value"), "blocks[1].form", "form-too-rich");
    mandate_refused(&city, with("/recipients/1/agency", "agc_nowhere"), "recipients[1].agency", "unknown");
    let mut bare = library_card();
    bare["recipients"][1].as_object_mut().unwrap().remove("contract");
    mandate_refused(&city, bare, "recipients[1].contract", "missing");
}

#[test]
fn a_service_has_a_way_in_without_the_pass() {
    let city = founded();
    for alternatives in [json!([]), json!(null), json!([""]), json!([{"en": "", "zh-Hant": ""}])] {
        let mut body = service_body("agc_library", "library", &[]);
        body["alternatives"] = alternatives;
        let own = [("agc_library", "head"), ("agc_library", "privacy")];
        let problems = refused(&city, city.draft(StatementKind::Service, SERVICE, "agc_library", body, &own));
        assert!(problems.iter().any(|problem| problem.field.starts_with("alternatives")), "{problems:?}");
    }
}

#[test]
fn a_contract_is_with_a_vendor_whose_evidence_is_valid() {
    let city = founded();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let check = |pointer: &str, value: Value, field: &str, rule: &str| {
        let mut body = contract_body();
        body["subprocessors"] = json!([{"agency": "agc_cloud", "location": "TW", "approved_by": "agc_library"}]);
        let fine = city.draft(StatementKind::Contract, CONTRACT, "agc_library", body.clone(), &own);
        assert!(city.register.check(&fine).is_ok());
        *body.pointer_mut(pointer).unwrap() = value;
        let problems = refused(&city, city.draft(StatementKind::Contract, CONTRACT, "agc_library", body, &own));
        assert!(names(&problems, field, rule), "{problems:?}");
    };
    check("/vendor", json!("agc_parks"), "vendor", "not-a-vendor");
    check("/vendor", json!("agc_nowhere"), "vendor", "unknown");
    check("/capability_evidence/0/expires", json!(day(0).to_string()), "capability_evidence", "expired");
    check("/subprocessors/0/agency", json!("agc_nowhere"), "subprocessors[0].agency", "unknown");
    check("/no_own_purpose", json!(false), "no_own_purpose", "own-purpose");
    check("/until", json!(day(0).to_string()), "until", "before-start");
}

#[test]
fn unreadable_bodies_are_refused_with_words_and_change_nothing() {
    let city = lawful();
    let kinds = [
        (StatementKind::Agency, "agc_new", "agc_operator"),
        (StatementKind::Certificate, "crt_new", "agc_operator"),
        (StatementKind::Contract, "ctr_new", "agc_library"),
        (StatementKind::DataBlock, "blk_new", "agc_operator"),
        (StatementKind::Mandate, "mdt_new", "agc_library"),
        (StatementKind::Notice, "ntc_new", "agc_library"),
        (StatementKind::Service, "svc_new", "agc_library"),
        (StatementKind::StatusChange, "sta_new", "agc_library"),
    ];
    for (kind, id, by) in kinds {
        for body in [json!(null), json!([]), json!({}), json!("text"), json!({"surprise": 1})] {
            refused(&city, city.draft(kind, id, by, body, &[(by, "head"), (by, "privacy")]));
        }
    }
    let body = json!({"amount": 1.5});
    let mut statement = city.draft(StatementKind::Mandate, "mdt_new", "agc_library", json!({}), &[]);
    statement.body = body;
    assert!(names(&refused(&city, statement), "", "malformed"));
}
