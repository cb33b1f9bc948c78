//! Contracts with vendors: every clause of the library before a signature, two looks before it, one at every interval after it, and the
//! vendor's word at the end.

use crate::common;
use crate::common::{
    City, activate, check_body, contract_body, day, library_card, names, service_body, supervised, text, well_said,
    whole_contract,
};
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::check::ContractCheck;
use usufruct_core::clause;
use usufruct_core::contract::Contract;
use usufruct_core::draft::Problem;
use usufruct_core::late::LateDuty;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

const CONTRACT: &str = "ctr_cloud";
const OWN: [(&str, &str); 2] = [("agc_library", "head"), ("agc_library", "privacy")];

fn city(body: Value) -> City {
    let mut city = supervised();
    city.now = day(1);
    city.say(StatementKind::Contract, CONTRACT, "agc_library", body);
    city
}

/// The city with the contract active since day 1.
fn running() -> City {
    let mut city = city(whole_contract());
    city.sign(CONTRACT);
    city
}

fn contract(city: &City) -> &Entry<Contract> {
    &city.register.contracts[&CONTRACT.parse().unwrap()]
}

fn binds(city: &City, at: Time) -> bool {
    city.register.contract_binds(contract(city), &"agc_cloud".parse().unwrap(), at)
}

/// Why the library cannot take this step.
fn refused(city: &City, to: State) -> Vec<Problem> {
    let problems = city.register.check(&city.step_draft(CONTRACT, to, "agc_library", &OWN)).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn revision(city: &City, body: Value) -> Vec<Problem> {
    city.register.check(&city.draft(StatementKind::Contract, CONTRACT, "agc_library", body, &OWN)).err().unwrap_or_default()
}

#[test]
fn a_contract_is_signed_only_with_every_line_of_every_clause() {
    let whole = whole_contract();
    let clauses = whole["clauses"].as_array().unwrap();
    let mut lines: Vec<(String, Value)> = Vec::new();
    for (i, clause) in clauses.iter().enumerate() {
        let code = clause["clause"].as_str().unwrap();
        let mut without = whole.clone();
        without["clauses"].as_array_mut().unwrap().remove(i);
        lines.push((format!("clauses.{code}"), without));
        for name in clause["parameters"].as_object().unwrap().keys() {
            for empty in [json!(null), json!(""), json!({"en": "Only English", "zh-Hant": ""})] {
                let mut without = whole.clone();
                without["clauses"][i]["parameters"][name] = empty;
                lines.push((format!("clauses.{code}.{name}"), without));
            }
        }
    }
    assert!(lines.len() > 40, "the walk is over {} lines", lines.len());
    let register = supervised().register;
    let law = register.law(&"agc_library".parse().unwrap(), day(1));
    assert_eq!(law.clauses().count(), clauses.len(), "the fixture fills the whole library and nothing else");
    for (field, body) in lines {
        let body = Contract::read(&body).unwrap();
        let problems = clause::missing(&body.clauses, &law);
        let found: Vec<_> = problems.iter().map(|problem| (problem.field.as_str(), problem.rule)).collect();
        assert_eq!(found, [(field.as_str(), "missing")]);
    }
    // All of them at a time, and in the step itself.
    let mut bare = city(contract_body());
    bare.check(CONTRACT, "agency", "passed").unwrap();
    bare.step(CONTRACT, State::CheckedAgency);
    bare.check(CONTRACT, "city", "passed").unwrap();
    bare.step(CONTRACT, State::CheckedCity);
    let problems = refused(&bare, State::Signed);
    assert_eq!(problems.len(), clauses.len(), "{problems:#?}");
    assert!(names(&problems, "clauses.insolvency", "missing") && names(&problems, "clauses.tw-remedy", "missing"));
    assert!(running().register.contracts[&CONTRACT.parse().unwrap()].state == State::Active);
}

#[test]
fn a_clause_says_what_the_law_lets_it_say() {
    let spoil = |code: &str, name: &str, value: Value| {
        let mut body = whole_contract();
        let clauses = body["clauses"].as_array_mut().unwrap();
        let clause = clauses.iter_mut().find(|clause| clause["clause"] == code).unwrap();
        clause["parameters"][name] = value;
        let register = supervised().register;
        let law = register.law(&"agc_library".parse().unwrap(), day(1));
        clause::missing(&Contract::read(&body).unwrap().clauses, &law)
    };
    for (code, name, value, rule) in [
        ("rights-help", "within_days", json!(16), "out-of-range"),
        ("rights-help", "within_days", json!(0), "out-of-range"),
        ("rights-help", "within_days", json!("five"), "malformed"),
        ("rights-help", "within_days", text("five"), "malformed"),
        ("liability", "cover", json!(3), "malformed"),
        // Fourteen days stand in the law and in no program.
        ("sub-processors", "notice_days", json!(13), "out-of-range"),
        ("change-notice", "notice_days", json!(13), "out-of-range"),
        ("penalty", "surprise", json!(1), "unknown-field"),
    ] {
        let problems = spoil(code, name, value.clone());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(names(&problems, &format!("clauses.{code}.{name}"), rule), "{code}.{name} {value}: {problems:?}");
        well_said(&problems[0]).unwrap();
    }
    assert!(spoil("sub-processors", "notice_days", json!(14)).is_empty());
    let mut strange = whole_contract();
    strange["clauses"].as_array_mut().unwrap().push(json!({"clause": "anything-goes"}));
    let register = supervised().register;
    let law = register.law(&"agc_library".parse().unwrap(), day(1));
    let last = strange["clauses"].as_array().unwrap().len() - 1;
    let problems = clause::missing(&Contract::read(&strange).unwrap().clauses, &law);
    assert!(names(&problems, &format!("clauses[{last}].clause"), "unknown"), "{problems:?}");
    let twice = json!([{"clause": "penalty"}, {"clause": "penalty"}]);
    strange["clauses"] = twice;
    assert!(names(&Contract::read(&strange).unwrap_err(), "clauses", "duplicate"));
    // Whoever reads the contract reads the number in the sentence.
    let body = Contract::read(&whole_contract()).unwrap();
    let words = |code: &str| body.words(law.clauses().find(|clause| clause.code == code).unwrap());
    assert_eq!(words("rights-help").en, "The vendor helps to answer people who use their rights within 5 days.");
    assert!(words("breach-notice").en.contains("within 1 hours") && words("breach-notice").zh_hant.contains("72 小時"));
    assert!(law.clauses().all(|clause| !body.words(clause).en.contains('{') && !body.words(clause).zh_hant.contains('{')));
}

#[test]
fn a_vendor_gets_no_more_time_than_the_law_lets_it_have() {
    let too_long = |city: &City, field: &str, value: i64| {
        let mut body = whole_contract();
        body[field] = json!(value);
        let keys = [("agc_library", "head"), ("agc_library", "privacy")];
        let draft = city.draft(StatementKind::Contract, "ctr_slow", "agc_library", body, &keys);
        let problems = city.register.check(&draft).err().unwrap_or_default();
        problems.iter().for_each(|problem| well_said(problem).unwrap());
        names(&problems, field, "too-long")
    };
    let mut city = common::supervised();
    city.now = day(1);
    for (field, most) in [("breach_first_ping_hours", 72), ("breach_report_hours", 168), ("delete_within_days", 90)] {
        assert!(
            !too_long(&city, field, most) && too_long(&city, field, most + 1),
            "{field}: as it was before packs could say it"
        );
    }
    let mut law: Value =
        toml::from_str(usufruct_core::lawpack::SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap().1).unwrap();
    let shorter = json!({"duty": "vendor_call_longest", "within": "PT1H", "article": "12"});
    law["deadlines"].as_array_mut().unwrap().push(shorter);
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", law);
    assert!(!too_long(&city, "breach_first_ping_hours", 1) && too_long(&city, "breach_first_ping_hours", 2));
}

#[test]
fn two_bodies_look_before_anybody_signs() {
    let mut city = city(whole_contract());
    assert!(names(&refused(&city, State::CheckedAgency), "to", "not-checked"));
    // Another's people, one person alone and an automaton do not look for the library.
    let body = check_body(&city, CONTRACT, "agency", "passed");
    for (by, approvals) in [
        ("agc_library", vec![("agc_library", "head")]),
        ("agc_library", vec![("agc_library", "head"), ("agc_library", "deputy")]),
        ("agc_library", vec![("agc_library", "head"), ("agc_library", "automation")]),
        ("agc_cloud", vec![("agc_cloud", "head"), ("agc_cloud", "privacy")]),
        ("agc_operator", vec![("agc_operator", "head"), ("agc_operator", "privacy")]),
    ] {
        let statement = city.draft(StatementKind::Check, "chk_one", by, body.clone(), &approvals);
        assert!(city.register.check(&statement).is_err(), "{by} {approvals:?}");
    }
    city.check(CONTRACT, "agency", "failed").unwrap();
    assert!(names(&refused(&city, State::CheckedAgency), "to", "not-checked"), "a failed check opens nothing");
    city.check(CONTRACT, "agency", "passed").unwrap();
    city.step(CONTRACT, State::CheckedAgency);
    assert!(names(&refused(&city, State::CheckedCity), "to", "not-checked"));
    let own = city.draft(StatementKind::Check, "chk_two", "agc_library", check_body(&city, CONTRACT, "city", "passed"), &OWN);
    assert!(names(&city.register.check(&own).unwrap_err(), "by", "not-the-owner"), "the library does not look for the city");
    city.check(CONTRACT, "city", "passed").unwrap();
    city.step(CONTRACT, State::CheckedCity);
    // A look at another revision is none at this one.
    city.say(StatementKind::Contract, CONTRACT, "agc_library", whole_contract());
    assert!(names(&refused(&city, State::CheckedAgency), "to", "not-checked"));
    city.sign(CONTRACT);
    assert!(binds(&city, city.now));
}

#[test]
fn a_check_is_told_as_it_was() {
    let mut city = running();
    let problems = |city: &City, change: &dyn Fn(&mut Value)| {
        let mut body = check_body(city, CONTRACT, "periodic", "passed");
        change(&mut body);
        let statement = city.draft(StatementKind::Check, "chk_new", "agc_library", body, &OWN);
        city.register.check(&statement).err().unwrap_or_default()
    };
    assert!(problems(&city, &|_| {}).is_empty());
    assert!(names(&problems(&city, &|body| body["done_at"] = json!(day(2).to_string())), "done_at", "future"));
    assert!(names(&problems(&city, &|body| body["done_at"] = json!(day(0).to_string())), "done_at", "before-start"));
    assert!(names(&problems(&city, &|body| body["revision"] = json!("00".repeat(32))), "revision", "other-revision"));
    assert!(names(&problems(&city, &|body| body["contract"] = json!("ctr_nowhere")), "contract", "unknown"));
    assert!(names(&problems(&city, &|body| body["kind"] = json!("agency")), "kind", "other-state"));
    assert!(names(&problems(&city, &|body| body["evidence"] = json!([])), "evidence", "missing"));
    city.now = day(30);
    city.check(CONTRACT, "periodic", "passed").unwrap();
    city.now = day(31);
    assert!(names(&problems(&city, &|body| body["done_at"] = json!(day(29).to_string())), "done_at", "goes-back"));
    let again = city.statements.last().unwrap().id.clone();
    let statement =
        city.draft(StatementKind::Check, &again, "agc_library", check_body(&city, CONTRACT, "periodic", "passed"), &OWN);
    assert!(names(&city.register.check(&statement).unwrap_err(), "rev", "final"));
    common::walk::spoil_everything(&with_findings(&city), &["findings"], &|body| ContractCheck::read(body).map(drop));
}

fn with_findings(city: &City) -> Value {
    let mut body = check_body(city, CONTRACT, "periodic", "passed");
    body["findings"] = json!([{"text": text("A door stood open."), "due": day(60).to_string()}]);
    body
}

#[test]
fn an_overdue_check_ends_what_the_contract_lets_the_vendor_do() {
    let mut city = running();
    let (due, grace) = (day(90), 14);
    let instant = Time::from_micros(1);
    assert_eq!(city.register.check_due(contract(&city)), due);
    assert!(binds(&city, due) && binds(&city, due.plus(grace * DAY - instant.micros())));
    assert!(!binds(&city, due.plus(grace * DAY)), "nobody had to say so");
    assert!(city.register.late(due.plus(-1)).is_empty());
    let late = city.register.late(due);
    assert_eq!((late.len(), late[0].duty, late[0].agency.as_str(), late[0].due_at), (1, LateDuty::Check, "agc_library", due));
    // A check in time moves the day by one interval from the day on which it was done.
    city.now = day(80);
    city.check(CONTRACT, "periodic", "passed").unwrap();
    assert_eq!(city.register.check_due(contract(&city)), day(170));
    // The clock suspends; only a later check and two people bring it back.
    city.now = day(200);
    assert!(!binds(&city, city.now));
    let clock = [("agc_operator", "automation")];
    city.apply(city.step_draft(CONTRACT, State::Suspended, "agc_operator", &clock)).unwrap();
    assert!(names(&refused(&city, State::Active), "to", "check-overdue"));
    city.check(CONTRACT, "periodic", "passed").unwrap();
    assert!(city.register.check(&city.step_draft(CONTRACT, State::Active, "agc_operator", &clock)).is_err());
    assert!(city.register.check(&city.step_draft(CONTRACT, State::Active, "agc_library", &OWN[..1])).is_err());
    city.step(CONTRACT, State::Active);
    assert!(binds(&city, city.now));
    // A vendor that fails stops at once.
    city.now = day(210);
    city.check(CONTRACT, "periodic", "failed").unwrap();
    assert!(!binds(&city, city.now));
    city.step(CONTRACT, State::Suspended);
    assert!(names(&refused(&city, State::Active), "to", "failed-check"));
    city.now = day(220);
    city.check(CONTRACT, "periodic", "passed").unwrap();
    city.step(CONTRACT, State::Active);
    assert!(binds(&city, city.now));
}

#[test]
fn a_sub_processor_is_approved_announced_and_not_too_deep() {
    let mut city = running();
    city.now = day(10);
    let sub = |from: Option<i64>, place: &str| json!([{"agency": "agc_parks", "location": place, "approved_by": "agc_library", "from": from.map(|at| day(at).to_string())}]);
    let with = |subs: Value| {
        let mut body = whole_contract();
        body["subprocessors"] = subs;
        body
    };
    let early = day(10 + common::NOTICE_DAYS - 1);
    assert!(names(&revision(&city, with(sub(None, "TW"))), "subprocessors[0].from", "too-soon"));
    assert!(names(&revision(&city, with(sub(Some(29), "TW"))), "subprocessors[0].from", "too-soon"), "{early}");
    assert!(names(&revision(&city, with(sub(Some(30), "US"))), "subprocessors[0].location", "not-allowed"));
    let mut other = sub(Some(30), "TW");
    other[0]["approved_by"] = json!("agc_cloud");
    assert!(names(&revision(&city, with(other)), "subprocessors[0].approved_by", "not-approved"));
    let mut deep = sub(Some(30), "TW");
    deep[0]["under"] = json!("agc_health");
    assert!(names(&revision(&city, with(deep.clone())), "subprocessors", "no-chain"));
    deep.as_array_mut()
        .unwrap()
        .push(json!({"agency": "agc_health", "location": "TW", "approved_by": "agc_library", "from": day(30).to_string()}));
    assert!(names(&revision(&city, with(deep.clone())), "subprocessors", "too-deep"));
    deep[1]["under"] = json!("agc_parks");
    assert!(names(&revision(&city, with(deep)), "subprocessors", "no-chain"), "a ring");
    // Announced in time it changes nothing else: the contract runs on.
    city.say(StatementKind::Contract, CONTRACT, "agc_library", with(sub(Some(30), "TW")));
    assert!(binds(&city, city.now) && contract(&city).rev == 2);
    // Whatever else changes is a new contract to look at, and the notice holds for it too.
    let mut more = with(sub(Some(30), "TW"));
    more["delete_within_days"] = json!(60);
    city.say(StatementKind::Contract, CONTRACT, "agc_library", more.clone());
    assert_eq!(contract(&city).state, State::Draft);
    more["subprocessors"] = sub(Some(29), "TW");
    assert!(names(&revision(&city, more), "subprocessors[0].from", "too-soon"), "nor is its day moved forward");
}

#[test]
fn data_stays_where_the_law_and_the_mandate_allow() {
    let mut body = whole_contract();
    body["data_locations"] = json!(["TW", "SG"]);
    let mut abroad = city(body);
    for (kind, to) in [("agency", State::CheckedAgency), ("city", State::CheckedCity)] {
        abroad.check(CONTRACT, kind, "passed").unwrap();
        abroad.step(CONTRACT, to);
    }
    assert!(names(&refused(&abroad, State::Signed), "data_locations[1]", "not-allowed"));
    let mut late = whole_contract();
    late["next_check_due"] = json!(day(91).to_string());
    let mut late = city(late);
    for (kind, to) in [("agency", State::CheckedAgency), ("city", State::CheckedCity)] {
        late.check(CONTRACT, kind, "passed").unwrap();
        late.step(CONTRACT, to);
    }
    assert!(names(&refused(&late, State::Signed), "next_check_due", "too-late"), "the first check cannot be put off");
}

#[test]
fn at_the_end_the_vendor_says_that_all_is_deleted_or_is_late() {
    let mut city = running();
    assert_eq!(contract(&city).deletion_due(), None);
    city.now = day(50);
    city.step(CONTRACT, State::Ending);
    assert!(!binds(&city, city.now));
    assert_eq!(contract(&city).deletion_due(), Some(day(80)));
    assert!(names(&refused(&city, State::Closed), "to", "not-deleted"));
    assert_eq!(city.register.undeleted_contracts(day(80).plus(-1)).count(), 0);
    assert_eq!(city.register.undeleted_contracts(day(80)).count(), 1);
    let late = city.register.late(day(80));
    assert_eq!((late[0].duty, late[0].agency.as_str(), late[0].object.as_str()), (LateDuty::Deletion, "agc_cloud", CONTRACT));
    city.now = day(81);
    // Nobody says it for the vendor.
    let word = check_body(&city, CONTRACT, "deletion", "passed");
    let by_library = city.draft(StatementKind::Check, "chk_word", "agc_library", word, &OWN);
    assert!(names(&city.register.check(&by_library).unwrap_err(), "by", "not-the-owner"));
    city.check(CONTRACT, "deletion", "failed").unwrap();
    assert_eq!(city.register.undeleted_contracts(city.now).count(), 1);
    city.check(CONTRACT, "deletion", "passed").unwrap();
    assert!(city.register.late(city.now).is_empty());
    city.step(CONTRACT, State::Closed);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_vendors_service_is_served_only_while_a_contract_binds() {
    let mut city = city(whole_contract());
    let mut card = library_card();
    card["recipients"] = json!([{"agency": "agc_cloud", "contract": CONTRACT, "why": text("It sends letters.")}]);
    city.say(StatementKind::Mandate, "mdt_library-card", "agc_library", card);
    city.say(StatementKind::Service, "svc_cloud", "agc_cloud", service_body("agc_cloud", "cloud", &["mdt_library-card"]));
    let vendor = [("agc_cloud", "head"), ("agc_cloud", "privacy")];
    let open = |city: &City| city.register.check(&city.step_draft("svc_cloud", State::Active, "agc_cloud", &vendor));
    assert!(names(&open(&city).unwrap_err(), "mandates[0]", "no-contract"));
    city.sign(CONTRACT);
    city.step("svc_cloud", State::Active);
    activate(&mut city, "mdt_library-card");
    let served = |city: &City, at| city.register.is_served(&city.register.services[&"svc_cloud".parse().unwrap()], at);
    assert!(served(&city, city.now));
    assert!(!served(&city, day(104)), "the check is overdue");
    city.step(CONTRACT, State::Suspended);
    assert!(!served(&city, city.now));
}

#[test]
fn where_no_law_supervises_vendors_contracts_are_as_before() {
    let mut city = common::founded();
    city.now = day(1);
    city.say(StatementKind::Contract, CONTRACT, "agc_library", contract_body());
    city.steps(CONTRACT, &[State::CheckedAgency, State::CheckedCity, State::Signed, State::Active]);
    assert!(binds(&city, day(300)));
    // From December 2026 on the rules of the house hold without being published.
    assert!(!city.register.law(&"agc_library".parse().unwrap(), day(333)).supervises());
    assert!(city.register.law(&"agc_library".parse().unwrap(), day(334)).supervises());
    assert!(!binds(&city, day(334)));
}

#[test]
fn evidence_that_has_ended_ends_what_the_contract_lets_the_vendor_do() {
    let mut body = whole_contract();
    body["capability_evidence"][0]["expires"] = json!(day(60).to_string());
    let mut city = city(body);
    city.sign(CONTRACT);
    assert!(binds(&city, day(60)) && binds(&city, day(74).plus(-1)), "within the grace of a check");
    assert!(!binds(&city, day(74)), "nobody had to say so");
    assert!(city.register.late(day(60).plus(-1)).is_empty());
    let late = city.register.late(day(60));
    assert_eq!((late.len(), late[0].duty, late[0].agency.as_str()), (1, LateDuty::Evidence, "agc_cloud"));
    // One that is still valid is enough.
    let mut more = whole_contract();
    more["capability_evidence"][0]["expires"] = json!(day(60).to_string());
    let valid = json!({"kind": "ISO 27701", "issuer": "An auditor", "expires": day(300).to_string(), "sha256": "11".repeat(32)});
    more["capability_evidence"].as_array_mut().unwrap().push(valid);
    city.say(StatementKind::Contract, CONTRACT, "agc_library", more);
    city.sign(CONTRACT);
    assert!(binds(&city, day(80)) && city.register.late(day(80)).is_empty());
}

#[test]
fn what_a_check_found_is_owed_until_somebody_looks_again() {
    let mut city = running();
    city.now = day(20);
    let own = |city: &City, body: Value, id: &str| city.draft(StatementKind::Check, id, "agc_library", body, &OWN);
    city.apply(own(&city, with_findings(&city), "chk_found")).unwrap();
    assert!(city.register.late(day(60).plus(-1)).is_empty());
    let late = city.register.late(day(60));
    assert_eq!((late.len(), late[0].duty, late[0].agency.as_str()), (1, LateDuty::Finding, "agc_cloud"));
    city.now = day(61);
    city.check(CONTRACT, "periodic", "passed").unwrap();
    assert!(city.register.late(city.now).is_empty());
}

#[test]
fn a_contract_is_breached_by_the_clock_and_closed_after_the_vendors_word() {
    let mut city = running();
    city.now = day(50);
    city.step(CONTRACT, State::Ending);
    let clock = [("agc_operator", "automation")];
    let breach = |city: &City| city.step_draft(CONTRACT, State::Breached, "agc_operator", &clock);
    city.now = day(80).plus(-1);
    assert!(names(&city.register.check(&breach(&city)).unwrap_err(), "to", "not-due"));
    city.now = day(80);
    city.apply(breach(&city)).unwrap();
    assert_eq!((contract(&city).state, contract(&city).deletion_due()), (State::Breached, Some(day(80))));
    assert_eq!(city.register.undeleted_contracts(city.now).count(), 1, "it is owed as before");
    assert_eq!(city.register.late(city.now)[0].duty, LateDuty::Deletion);
    assert!(names(&revision(&city, whole_contract()), "id", "over"));
    assert!(names(&refused(&city, State::Closed), "to", "not-deleted"));
    assert!(!refused(&city, State::Active).is_empty() && !refused(&city, State::Ending).is_empty());
    city.check(CONTRACT, "deletion", "passed").unwrap();
    assert!(city.register.late(city.now).is_empty());
    city.step(CONTRACT, State::Closed);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_sub_processor_to_which_somebody_objects_in_time_never_begins() {
    let mut city = running();
    city.say(StatementKind::Mandate, "mdt_library-card", "agc_library", library_card());
    city.now = day(10);
    let mut body = whole_contract();
    let announced = |agency: &str, from: i64| json!({"agency": agency, "location": "TW", "approved_by": "agc_library", "from": day(from).to_string()});
    body["subprocessors"] = json!([announced("agc_parks", 30), announced("agc_health", 40)]);
    city.say(StatementKind::Contract, CONTRACT, "agc_library", body.clone());
    let objection = |city: &City, against: &str, by: &str| {
        let mut body = check_body(city, CONTRACT, "objection", "failed");
        body["subprocessor"] = json!(against);
        city.draft(StatementKind::Check, &format!("chk_no-{}", &against[4..]), by, body, &[(by, "head"), (by, "privacy")])
    };
    let problems = |city: &City, statement| city.register.check(&statement).err().unwrap_or_default();
    // By the body that commissions or the overseer of the mandate, against somebody who was announced, before the first day.
    for by in ["agc_library", "agc_oversight"] {
        assert!(problems(&city, objection(&city, "agc_parks", by)).is_empty(), "{by}");
    }
    assert!(names(&problems(&city, objection(&city, "agc_parks", "agc_cloud")), "by", "not-the-owner"), "not by the vendor");
    assert!(names(&problems(&city, objection(&city, "agc_police", "agc_library")), "subprocessor", "not-announced"));
    let mut late = city.clone();
    late.now = day(30);
    assert!(
        names(&problems(&late, objection(&late, "agc_parks", "agc_library")), "subprocessor", "not-announced"),
        "it has begun"
    );
    for (kind, outcome, against) in
        [("objection", "failed", None), ("periodic", "failed", Some("agc_parks")), ("objection", "passed", Some("agc_parks"))]
    {
        let mut wrong = check_body(&city, CONTRACT, kind, outcome);
        wrong["subprocessor"] = json!(against);
        assert!(ContractCheck::read(&wrong).is_err(), "{kind} {outcome} {against:?}");
    }
    city.apply(objection(&city, "agc_parks", "agc_oversight")).unwrap();
    let works = |city: &City| city.register.subprocessors(contract(city)).map(|sub| sub.agency.to_string()).collect::<Vec<_>>();
    assert_eq!(works(&city), ["agc_health"]);
    // Nor does a vendor of that vendor.
    let mut chained = contract(&city).clone();
    chained.body.subprocessors[1].under = chained.body.subprocessors.first().map(|sub| sub.agency.clone());
    assert_eq!(city.register.subprocessors(&chained).count(), 0);
    city.now = day(50);
    assert_eq!(works(&city), ["agc_health"]);
    assert!(binds(&city, city.now), "the vendor itself works on");
    assert!(names(&revision(&city, body.clone()), "subprocessors[0].agency", "objected"));
    body["subprocessors"].as_array_mut().unwrap().remove(0);
    city.say(StatementKind::Contract, CONTRACT, "agc_library", body);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}
