//! Lawpacks: what ships can be read, drafts do not count, a published pack takes the place of the one before it, and nothing else sets a time.

use crate::common;
use crate::common::{City, day, founded, library_card, names, well_said};
use proptest::prelude::*;
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::lawpack::{Duty, GENERIC, Law, LawStatus, Lawpack, SHIPPED};
use usufruct_core::mandate::Mandate;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_core::validate;

fn shipped(id: &str) -> Value {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == id).unwrap();
    toml::from_str(text).unwrap()
}

/// A pack of one deadline.
fn pack(jurisdiction: &str, status: &str, from: i64, duty: &str, within: &str) -> Value {
    json!({"jurisdiction": jurisdiction, "title": common::text("A law"), "status": status, "valid_from": day(from).to_string(),
        "deadlines": [{"duty": duty, "within": within, "article": "1"}], "sources": [{"title": "A law", "url": "https://law.example"}]})
}

fn publish(city: &mut City, id: &str, body: Value) {
    city.say(StatementKind::Lawpack, id, "agc_operator", body);
}

/// Why a statement with two approvals is refused.
fn refused(city: &City, kind: StatementKind, id: &str, by: &str, body: Value) -> Vec<Problem> {
    let statement = city.draft(kind, id, by, body, &[(by, "head"), (by, "privacy")]);
    city.register.check(&statement).unwrap_err()
}

/// Whether the library card may run for as long as it does.
fn is_too_long(register: &Register) -> bool {
    let mandate = Mandate::read(&library_card()).unwrap();
    names(&validate::mandate_lengths(register, &mandate, day(5)), "sunset_at", "too-long")
}

#[test]
fn what_ships_can_be_published() {
    let mut city = founded();
    for (id, text) in SHIPPED {
        let body: Value = toml::from_str(text).unwrap();
        Lawpack::read(&body).unwrap_or_else(|problems| panic!("{id}: {problems:#?}"));
        publish(&mut city, id, body);
    }
    assert_eq!(city.register.lawpacks.len(), SHIPPED.len());
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn no_pack_lets_an_emergency_last() {
    let longest = |within: &str| Lawpack::read(&pack("TW", "in_force", 1, "emergency_longest", within));
    assert!(longest("P90D").is_ok());
    let problems = longest("P91D").unwrap_err();
    assert!(names(&problems, "deadlines", "too-long"), "{problems:?}");
    problems.iter().for_each(|problem| well_said(problem).unwrap());
}

/// Logs were made under it: it changes by a statement and never by a release of the program.
#[test]
fn the_generic_pack_that_ships_is_never_changed() {
    let later = sha256(SHIPPED[1].1.as_bytes()).to_string();
    assert_eq!(
        (SHIPPED[1].0, later.as_str()),
        ("law_generic-2026-12", "7a8a3f974646485afc65a383329c2435ce8aa128551c2dcd1e7724608f23ecd2")
    );
    let hash = sha256(SHIPPED[0].1.as_bytes()).to_string();
    assert_eq!(
        (SHIPPED[0].0, hash.as_str()),
        ("law_generic", "015b275e0a72f1fce180fe92f4aae0c2952b8d28d92f23741df5b649d200a90c")
    );
}

/// What holds where no published pack says anything: cameras were permitted, contracts, mandates and delegations made, and deletions answered under it.
#[test]
fn what_the_house_says_where_no_pack_does_is_never_changed() {
    let hash = |text: &str| sha256(text.as_bytes()).to_string();
    assert_eq!(
        hash(include_str!("../lawpacks/cameras.toml")),
        "9d4f05fbbc2a9304c8be41feaf1e52a59dfe64a3adc35f6c0f11e1a301ee6cdc"
    );
    assert_eq!(hash(include_str!("../lawpacks/house.toml")), "076aea405f02c43f69c7b2442f2f582785c2b93a337f277311180f3839327e5e");
    assert_eq!(
        hash(include_str!("../lawpacks/keeping.toml")),
        "44fb4a3f8d43a9871f5fa605b1cbde17d9d3f6dd6088bd2b8a44fa8da9a04960"
    );
}

#[test]
fn every_duty_has_a_time_in_the_generic_pack() {
    let register = Register::default();
    let law = register.law(&"agc_nobody".parse().unwrap(), day(0));
    for (word, duty) in Duty::WORDS.iter().filter(|(_, duty)| !Duty::OPTIONAL.contains(duty)) {
        assert!(law.within(*duty) > 0, "{word}");
        let mut body = shipped("law_generic");
        body["deadlines"].as_array_mut().unwrap().retain(|deadline| deadline["duty"] != *word);
        let problems = Lawpack::read(&body).unwrap_err();
        assert!(names(&problems, "deadlines", "missing"), "{word}");
        problems.iter().for_each(|problem| well_said(problem).unwrap());
    }
}

/// What the program had as numbers, before packs could say it. Registers were made under these.
#[test]
fn what_no_pack_names_is_what_it_always_was() {
    let register = Register::default();
    let law = register.law(&"agc_nobody".parse().unwrap(), day(0));
    let longest = [
        (Duty::ClosedLongest, 365 * DAY),
        (Duty::GuardianshipLongest, 20 * 366 * DAY),
        (Duty::HelpLongest, 365 * DAY),
        (Duty::VendorCallLongest, 3 * DAY),
        (Duty::VendorReportLongest, 7 * DAY),
        (Duty::VendorDeletionLongest, 90 * DAY),
    ];
    for (duty, within) in longest {
        assert_eq!(law.within(duty), within, "{}", duty.code());
    }
    let mut city = founded();
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "help_longest", "P30D"));
    assert_eq!(city.register.house_law(day(1)).within(Duty::HelpLongest), 30 * DAY);
    assert_eq!(city.register.house_law(day(1)).within(Duty::ClosedLongest), 365 * DAY);
}

#[test]
fn a_pack_can_close_matters_for_a_shorter_time() {
    let mut city = founded();
    city.now = day(1);
    let mut body = library_card();
    body["third_party"] = json!({"max_days": 60});
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "closed_longest", "P60D"));
    let problems = |city: &City| {
        let keys = [("agc_library", "head"), ("agc_library", "privacy")];
        let draft = city.draft(StatementKind::Mandate, "mdt_closed", "agc_library", body.clone(), &keys);
        city.register.check(&draft).err().unwrap_or_default()
    };
    assert!(!names(&problems(&city), "third_party.max_days", "too-long"));
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "closed_longest", "P59D"));
    assert!(names(&problems(&city), "third_party.max_days", "too-long"));
}

#[test]
fn a_pack_in_force_sets_the_time_and_a_draft_does_not() {
    let mut city = founded();
    assert!(!is_too_long(&city.register));
    publish(&mut city, "law_tw", pack("TW", "draft", 0, "mandate_longest", "P1D"));
    assert!(!is_too_long(&city.register), "a draft counts for nothing");
    publish(&mut city, "law_tw", pack("TW", "in_force", 6, "mandate_longest", "P1D"));
    assert!(!is_too_long(&city.register), "it is not in force yet");
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "mandate_longest", "P1D"));
    assert!(is_too_long(&city.register));
    // A later law takes its place, and a pack that does not speak of it leaves it to the generic one.
    publish(&mut city, "law_tw-2", pack("TW", "in_force", 1, "access", "P10D"));
    assert!(!is_too_long(&city.register));
    let law = city.register.law(&"agc_library".parse().unwrap(), day(5));
    assert_eq!((law.days(Duty::Access), law.days(Duty::Delete)), (10, 30));
}

#[test]
fn what_a_pack_says_binds_statements() {
    let mut city = founded();
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "mandate_longest", "P1D"));
    let problems = refused(&city, StatementKind::Mandate, "mdt_library-card", "agc_library", library_card());
    assert!(names(&problems, "sunset_at", "too-long"), "{problems:#?}");
    // The same word for word, with another law.
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "mandate_longest", "P3650D"));
    city.say(StatementKind::Mandate, "mdt_library-card", "agc_library", library_card());
}

#[test]
fn one_person_and_other_bodies_cannot_change_the_law() {
    let city = founded();
    let body = pack("TW", "in_force", 0, "access", "P1D");
    let problems = refused(&city, StatementKind::Lawpack, "law_tw", "agc_library", body.clone());
    assert!(names(&problems, "by", "not-the-owner"), "{problems:#?}");
    let statement = city.draft(StatementKind::Lawpack, "law_tw", "agc_operator", body, &[("agc_operator", "head")]);
    let problems = city.register.check(&statement).unwrap_err();
    assert!(names(&problems, "approvals", "too-few"), "{problems:#?}");
}

#[test]
fn a_pack_keeps_its_jurisdiction() {
    let mut city = founded();
    publish(&mut city, "law_tw", pack("TW", "in_force", 0, "access", "P1D"));
    let problems = refused(&city, StatementKind::Lawpack, "law_tw", "agc_operator", pack("EU", "in_force", 0, "access", "P1D"));
    assert!(names(&problems, "jurisdiction", "changed"), "{problems:#?}");
}

#[test]
fn nothing_is_left_out_and_nothing_is_said_twice() {
    let whole = pack("TW", "in_force", 0, "access", "P1D");
    for field in ["jurisdiction", "title", "status", "valid_from", "deadlines", "sources"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(field);
        assert!(names(&Lawpack::read(&body).unwrap_err(), field, "missing"), "{field}");
    }
    let mut twice = whole.clone();
    twice["deadlines"].as_array_mut().unwrap().push(whole["deadlines"][0].clone());
    assert!(names(&Lawpack::read(&twice).unwrap_err(), "deadlines", "duplicate"));
    let mut ended = whole.clone();
    ended["valid_until"] = json!(day(0).to_string());
    assert!(names(&Lawpack::read(&ended).unwrap_err(), "valid_until", "before-start"));
    let mut wordless = whole;
    wordless["deadlines"][0]["duty"] = json!("whenever");
    assert!(names(&Lawpack::read(&wordless).unwrap_err(), "deadlines[0].duty", "unknown-word"));
}

proptest! {
    /// Of all packs that are in force the one that came into force last holds, whatever the order of their statements.
    #[test]
    fn the_newest_law_in_force_holds(packs in prop::collection::vec((0i64..40, 1i64..900, any::<bool>()), 0..6), at in 0i64..40) {
        let packs: Vec<Lawpack> = packs.iter().enumerate().map(|(i, (from, days, in_force))| {
            let status = if *in_force { "in_force" } else { "draft" };
            // No two begin on one day.
            Lawpack::read(&pack("TW", status, from * 6 + i as i64, "access", &format!("P{days}D"))).unwrap()
        }).collect();
        let now = day(at * 6);
        let law = usufruct_core::lawpack::Law::of(packs.iter(), "tw", now);
        let newest = packs.iter().filter(|pack| pack.status == LawStatus::InForce && pack.valid_from <= now)
            .max_by_key(|pack| pack.valid_from);
        let expected = newest.map_or(15 * DAY, |pack| pack.deadlines[0].within());
        prop_assert_eq!(law.within(Duty::Access), expected);
        prop_assert!(packs.iter().all(|pack| pack.jurisdiction != GENERIC));
    }
}

#[test]
fn a_deadline_for_levels_names_each_level_once_and_only_for_breaches() {
    let whole = shipped("law_tw");
    let place = |duty: &str| {
        let deadlines = whole["deadlines"].as_array().unwrap();
        deadlines.iter().position(|deadline| deadline["duty"] == duty).unwrap()
    };
    let contain = place("contain_incident");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut pack = whole.clone();
        change(&mut pack);
        Lawpack::read(&pack).unwrap_err()
    };
    for levels in [json!([1]), json!([1, 2, 3]), json!([1, 1, 2])] {
        let found = refused(&|pack| pack["deadlines"][contain]["levels"] = levels.clone());
        assert!(names(&found, "deadlines", "levels"), "{levels}: {found:?}");
    }
    let found = refused(&|pack| pack["deadlines"][contain]["levels"] = json!([0, 5]));
    assert!(names(&found, &format!("deadlines[{contain}].levels"), "not-levels"), "{found:?}");
    let found = refused(&|pack| pack["deadlines"][place("delete")]["levels"] = json!([1, 2, 3, 4]));
    assert!(names(&found, "deadlines", "levels"), "no case has a level: {found:?}");
    let found = refused(&|pack| pack["breach_levels"][1]["level"] = json!(1));
    assert!(names(&found, "breach_levels[1]", "not-sorted"), "{found:?}");
    let found = refused(&|pack| pack["vendor_suspension"]["from_level"] = json!(5));
    assert!(names(&found, "vendor_suspension.from_level", "out-of-range"), "{found:?}");
    // Where no pack says when the contract of a vendor rests, the house does.
    let generic = Lawpack::read(&shipped("law_generic-2026-12")).unwrap();
    assert!(generic.vendor_suspension.is_none());
    let law = Law::of(std::iter::once(&generic), "XX", "2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!((law.vendor_suspension().from_level, law.vendor_suspension().causes.len()), (3, 1));
}

#[test]
fn a_clause_is_bounded_only_by_what_every_law_sets() {
    for duty in Duty::OPTIONAL {
        let mut pack = shipped("law_tw");
        let parameters = json!([{"name": "days", "kind": "number", "at_least": duty.code()}]);
        pack["processors"]["clauses"][0]["parameters"] = parameters;
        let found = Lawpack::read(&pack).unwrap_err();
        assert!(names(&found, "processors.clauses[0].parameters[0].at_least", "not-everywhere"), "{found:?}");
    }
}
