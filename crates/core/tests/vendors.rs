//! Random histories of vendors and agreements: whatever people and the clock try, in whatever order, no vendor is served without a contract
//! that holds every clause and was looked at in time, and no pseudonym is converted without an agreement that was public for fourteen days.

use std::sync::LazyLock;

use crate::common::{
    BOTH, City, activate, agreement_body, cases, day, library_card, service_body, supervised, text, whole_contract,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use usufruct_core::clause;
use usufruct_core::decide::{Clause, ConversionRequest, Outcome, decide_conversion_without_resident};
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

const CONTRACT: &str = "ctr_cloud";
const AGREEMENT: &str = "agr_garden";
const JOINED: &str = "mdt_joined";
/// Days of grace and of notice, as the published law says them.
const FOURTEEN: i64 = 14;

/// One thing that somebody tries.
#[derive(Clone, Debug)]
enum Act {
    /// The contract anew, whole or without one of its clauses.
    Contract {
        without: Option<prop::sample::Index>,
        until: i64,
        /// When its evidence ends.
        proven: i64,
    },
    Check {
        kind: usize,
        is_passed: bool,
    },
    Step {
        of: usize,
        to: usize,
        signers: usize,
    },
    Agreement {
        from: i64,
        runs: i64,
    },
    /// A revision of the joined mandate that asks everybody again.
    Widen,
    Wait {
        days: i64,
    },
}

const KINDS: [&str; 4] = ["agency", "city", "periodic", "deletion"];
const OBJECTS: [&str; 3] = [CONTRACT, AGREEMENT, "svc_cloud"];
const STEPS: [State; 11] = [
    State::CheckedAgency,
    State::CheckedCity,
    State::Signed,
    State::Active,
    State::Suspended,
    State::Ending,
    State::Breached,
    State::Closed,
    State::Published,
    State::Sunset,
    State::Revoked,
];

fn acts() -> impl Strategy<Value = Act> {
    // The way to an active contract is long; without these few steps as one most histories would never see one.
    prop_oneof![
        1 => (prop::option::weighted(0.3, any::<prop::sample::Index>()), 100i64..500, 60i64..500)
            .prop_map(|(without, until, proven)| Act::Contract { without, until, proven }),
        1 => Just(Act::Widen),
        6 => (0usize..KINDS.len(), prop::bool::weighted(0.9)).prop_map(|(kind, is_passed)| Act::Check { kind, is_passed }),
        10 => (0usize..OBJECTS.len(), 0usize..STEPS.len(), 0usize..4).prop_map(|(of, to, signers)| Act::Step { of, to, signers }),
        2 => (0i64..40, 1i64..400).prop_map(|(from, runs)| Act::Agreement { from, runs }),
        3 => (0i64..25).prop_map(|days| Act::Wait { days }),
    ]
}

fn start() -> City {
    static CITY: LazyLock<City> = LazyLock::new(|| {
        let mut city = supervised();
        city.now = day(1);
        let services = [("svc_library", "agc_library"), ("svc_parks", "agc_parks"), ("svc_cloud", "agc_cloud")];
        for (id, agency) in services {
            city.say(StatementKind::Service, id, agency, service_body(agency, id, &[JOINED]));
        }
        city.say(StatementKind::Contract, CONTRACT, "agc_library", contract(None, 300, 150));
        city.say(StatementKind::Mandate, JOINED, "agc_library", joined(1));
        city.step("svc_library", State::Active);
        city.step("svc_parks", State::Active);
        activate(&mut city, JOINED);
        city.now = day(60);
        city
    });
    CITY.clone()
}

fn joined(bulk_limit: i64) -> Value {
    let mut body = library_card();
    body["bulk_limit"] = json!(bulk_limit);
    body["fetch"] = json!({"when": "periodic"});
    body["recipients"] = json!([
        {"agency": "agc_library", "why": text("It lends.")},
        {"agency": "agc_parks", "why": text("It opens the garden.")},
        {"agency": "agc_cloud", "contract": CONTRACT, "why": text("It sends letters.")},
    ]);
    body["conversions"] = json!([{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter.")}]);
    body
}

fn contract(without: Option<&prop::sample::Index>, until: i64, proven: i64) -> Value {
    let mut body = whole_contract();
    body["mandates"] = json!([JOINED]);
    body["until"] = json!(day(until).to_string());
    body["capability_evidence"][0]["expires"] = json!(day(proven).to_string());
    if let Some(index) = without {
        let clauses = body["clauses"].as_array_mut().unwrap();
        clauses.remove(index.index(clauses.len()));
    }
    body
}

/// Tries it; what is refused changes nothing.
fn attempt(city: &mut City, act: &Act) -> bool {
    let statement = match act {
        Act::Wait { days } => {
            city.now = city.now.plus(days * DAY);
            return true;
        }
        Act::Widen => {
            let body = joined(city.register.mandates[&JOINED.parse().unwrap()].body.bulk_limit + 1);
            let own = [("agc_library", "head"), ("agc_library", "privacy")];
            city.draft(StatementKind::Mandate, JOINED, "agc_library", body, &own)
        }
        Act::Contract { without, until, proven } => {
            let own = [("agc_library", "head"), ("agc_library", "privacy")];
            city.draft(StatementKind::Contract, CONTRACT, "agc_library", contract(without.as_ref(), *until, *proven), &own)
        }
        Act::Check { kind, is_passed } => {
            return city.check(CONTRACT, KINDS[*kind], if *is_passed { "passed" } else { "failed" }).is_ok();
        }
        Act::Agreement { from, runs } => {
            let begins = city.now.plus(from * DAY);
            let body = agreement_body(begins, begins.plus((runs + 1) * DAY));
            city.draft(StatementKind::Agreement, AGREEMENT, "agc_library", body, &BOTH)
        }
        Act::Step { of, to, signers } => {
            let (object, to) = (OBJECTS[*of], STEPS[*to]);
            let owner = if object == "svc_cloud" { "agc_cloud" } else { "agc_library" };
            let both = [(owner, "head"), (owner, "privacy")];
            if object == AGREEMENT && to == State::Published {
                // Whether anybody was heard changes nothing of what is tried here.
                let heard = city.step_draft(object, State::Consulted, "agc_library", &BOTH);
                city.apply(heard).ok();
            }
            match signers {
                0 => city.step_draft(object, to, "agc_operator", &[("agc_operator", "automation")]),
                1 => city.step_draft(object, to, owner, &both[..1]),
                _ if object == AGREEMENT => city.step_draft(object, to, owner, &BOTH),
                _ => city.step_draft(object, to, owner, &both),
            }
        }
    };
    city.apply(statement).is_ok()
}

/// What the statements say of the contract, told without the register: the clauses of its last revision, and the last day on which somebody
/// looked, both read off the list.
fn is_supervised(city: &City) -> bool {
    let told: Vec<_> = city.statements.iter().collect();
    let revision = told.iter().rposition(|statement| statement.kind == StatementKind::Contract).unwrap();
    let law = city.register.law(&"agc_library".parse().unwrap(), city.now);
    let body = usufruct_core::contract::Contract::read(&told[revision].body).unwrap();
    let is_whole = clause::missing(&body.clauses, &law).is_empty();
    let mut checks =
        told.iter().filter(|statement| statement.kind == StatementKind::Check && statement.body["kind"] == "periodic");
    let last = checks
        .next_back()
        .map(|check| (check.body["outcome"] == "passed", check.body["done_at"].as_str().unwrap().parse().unwrap()));
    let (is_passed, looked_at) = last.unwrap_or((true, body.from));
    let state =
        told.iter().rfind(|statement| statement.kind == StatementKind::StatusChange && statement.body["object"] == CONTRACT);
    let is_active = state.is_some_and(|change| change.body["to"] == "active");
    let limit = usufruct_core::Time::plus(looked_at, (90 + FOURTEEN) * DAY);
    let proven = body.capability_evidence.iter().map(|evidence| evidence.expires).max().unwrap();
    let limit = limit.min(proven.plus(FOURTEEN * DAY));
    is_whole && is_passed && is_active && city.now < limit && body.from <= city.now && city.now < body.until
}

/// Whether the agreement was public for fourteen days before now and its mandate is what it was then, and is not over, suspended or revoked,
/// read off the list.
fn is_agreed(city: &City) -> bool {
    let told = &city.statements;
    let Some(text) = told.iter().rposition(|statement| statement.kind == StatementKind::Agreement) else { return false };
    let steps: Vec<_> = told[text..].iter().filter(|statement| statement.body["object"] == AGREEMENT).collect();
    let published = steps.iter().find(|step| step.body["to"] == "published").map(|step| step.at);
    let is_active = steps.last().is_some_and(|step| step.body["to"] == "active");
    let time = |field: &str| told[text].body[field].as_str().unwrap().parse::<usufruct_core::Time>().unwrap();
    let is_public = published.is_some_and(|at| at.plus(FOURTEEN * DAY) <= city.now);
    let is_it = |step: &usufruct_core::statement::Statement| step.body["object"] == AGREEMENT && step.body["to"] == "published";
    let public = told.iter().rposition(is_it);
    let is_same = public > told.iter().rposition(|statement| statement.kind == StatementKind::Mandate);
    is_active && is_public && is_same && time("in_force_from") <= city.now && city.now < time("sunset_at")
}

fn holds(city: &City) -> Result<(), TestCaseError> {
    let service = &city.register.services[&"svc_cloud".parse().unwrap()];
    if city.register.is_served(service, city.now) {
        prop_assert!(is_supervised(city), "a vendor is served on day {:?}", city.now);
    }
    let reason = city.register.mandates[&JOINED.parse().unwrap()].body.reasons[0].code.clone();
    let (from, to) = ("svc_library".parse().unwrap(), "svc_parks".parse().unwrap());
    let request =
        ConversionRequest { from, to, mandate: JOINED.parse().unwrap(), reason, subjects: 1, sign_in: None, third_party: false };
    let decision = decide_conversion_without_resident(&city.register, &request, city.now);
    prop_assert_eq!(decision.outcome == Outcome::Refuse && decision.because.contains(&Clause::Agreement), !is_agreed(city));
    Ok(())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_history_serves_an_unsupervised_vendor_or_converts_without_notice(
        acts in prop::collection::vec(acts(), 1..80),
        is_signed in any::<bool>(),
    ) {
        let mut city = start();
        if is_signed {
            // Half of the histories begin with everything in force.
            city.sign(CONTRACT);
            city.step("svc_cloud", State::Active);
            let begins = city.now.plus(20 * DAY);
            let body = agreement_body(begins, begins.plus(300 * DAY));
            city.apply(city.draft(StatementKind::Agreement, AGREEMENT, "agc_library", body, &BOTH)).unwrap();
            city.apply(city.step_draft(AGREEMENT, State::Consulted, "agc_library", &BOTH)).unwrap();
            city.apply(city.step_draft(AGREEMENT, State::Published, "agc_library", &BOTH)).unwrap();
            city.now = begins;
            city.apply(city.step_draft(AGREEMENT, State::Active, "agc_library", &BOTH)).unwrap();
            let service = &city.register.services[&"svc_cloud".parse().unwrap()];
            prop_assert!(city.register.is_served(service, city.now) && is_agreed(&city));
        }
        holds(&city)?;
        for act in &acts {
            attempt(&mut city, act);
            holds(&city)?;
        }
        let again = Register::replay((0..).zip(&city.statements)).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
    }
}
