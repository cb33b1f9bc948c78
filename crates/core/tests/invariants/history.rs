//! Random histories: what officials, machines and strangers try to say in the register of a small city, lawful or not.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::HOUR;

use crate::bodies::{LAWS, Shape, breach, contract, joined, law, mandate, next_of_breach};
use crate::common::{
    BOTH, City, activate, agency_body, agreement_body, announce, block_body, camera_body, day, library_card, outbreak,
    school_meals, service_body, supervised, text,
};
use crate::said::Said;
use crate::watch;
use crate::ways::{advance, agree, another_key, assess, continue_emergency, end, look_at_camera};

pub const CARD: &str = "mdt_library-card";
pub const MEALS: &str = "mdt_school-meals";
pub const OUTBREAK: &str = "mdt_outbreak";
pub const CONTRACT: &str = "ctr_cloud";
pub const SERVICE: &str = "svc_library";
pub const CLOUD: &str = "svc_cloud";
pub const HEALTH: &str = "svc_health";
/// A camera that the police permit and the parks asked for.
pub const CAMERA: &str = "cam_gate";
/// A mandate by which readers of the library enter the park, the service of the park, and the agreement about it.
pub const JOINED: &str = "mdt_joined";
pub const PARK: &str = "svc_parks";
pub const GARDEN: &str = "agr_garden";
/// What continues the emergency. It is not there at first.
pub const AGAIN: &str = "mdt_outbreak-2";
pub const OVERSEER: &str = "agc_oversight";
pub const LIBRARY: &str = "agc_library";
pub const PARKS: &str = "agc_parks";
pub const OPERATOR: &str = "agc_operator";
pub const POLICE: &str = "agc_police";
pub const MANDATES: [&str; 5] = [CARD, MEALS, OUTBREAK, JOINED, AGAIN];
/// What moves through states; those that are ended on purpose stand first.
pub const OBJECTS: [&str; 12] = [CARD, MEALS, OUTBREAK, CONTRACT, CAMERA, JOINED, GARDEN, AGAIN, SERVICE, CLOUD, HEALTH, PARK];
/// Bodies that are registered or registered anew; the last one is not there at first.
pub const BODIES: [&str; 5] = ["agc_cloud", "agc_health", "agc_library", "agc_police", "agc_secret"];
const KINDS: [&str; 4] = ["agency", "health_authority", "security_or_intelligence", "vendor"];
const ORDERS: [&str; 5] = ["delete", "disclose_actor", "restrict", "suspend", "suspend"];

/// One thing that somebody tries.
#[derive(Clone, Debug)]
pub enum Act {
    /// What brings the object further on its way, with what that step needs before.
    Advance {
        object: usize,
    },
    Agency {
        body: usize,
        kind: usize,
    },
    /// Other terms of the agreement, soon or late enough in force, or what was found when it was looked at.
    Agreement {
        is_review: bool,
        is_soon: bool,
        blocks: usize,
        days: i64,
    },
    /// A sub-processor that the contract does not name yet.
    Announce {
        sub: usize,
    },
    /// Another word about an order: that it was appealed, done, or done by compulsion; or another order under its name.
    Answer {
        order: usize,
        how: usize,
    },
    Assessment {
        object: usize,
        decision: usize,
        days: i64,
    },
    /// What an auditor found, or another word about it.
    BodyAudit {
        how: usize,
    },
    /// A block that is new, or one that mandates name already, in other forms.
    Block {
        is_new: bool,
        is_source_known: bool,
    },
    /// A breach, or the next step of one that is open: the first that can follow, or the last.
    Breach {
        is_new: bool,
        is_worse: bool,
        severity: Option<i64>,
    },
    /// The camera again, as it was looked at now, or turned to another side.
    Camera {
        is_turned: bool,
    },
    /// A mandate that continues the emergency, with a new review or without.
    Continue {
        is_reviewed: bool,
        is_named: bool,
        days: i64,
    },
    /// What brings an object nearer to its end, with what that step needs before.
    End {
        object: usize,
    },
    Contract {
        is_whole: bool,
        gives_values: bool,
        days: i64,
        /// Who works for the vendor.
        sub: Option<usize>,
        is_for_all: bool,
    },
    /// Another law of the city, which asks for assessments in other cases.
    Lawpack {
        which: usize,
    },
    /// The machine makes another key for a mandate.
    Key {
        object: usize,
    },
    Lift {
        order: usize,
    },
    Mandate {
        object: usize,
        shape: Shape,
    },
    /// An objection to a sub-processor.
    Object {
        by: usize,
        sub: usize,
    },
    Order {
        kind: usize,
        target: usize,
    },
    Rotate,
    Ruling {
        by: usize,
        office: usize,
        has_mandate: bool,
    },
    Service {
        service: usize,
        ways_in: usize,
    },
    Step {
        object: usize,
        to: usize,
        is_automatic: bool,
    },
    Wait {
        days: i64,
    },
}

/// Who signs; the last two are two people who sign what is dated back, or names another revision than the present one.
#[derive(Clone, Copy, Debug)]
pub enum Signers {
    TwoRoles,
    SameRole,
    OnePerson,
    /// Two people of the body that speaks, and nobody of another one whose people have to sign as well.
    OneBody,
    Machine,
    PersonAndMachine,
    Strangers,
    Nobody,
    DatedBack,
    OfAnotherRevision,
}

/// Whether the contract gives the vendor a value at first, and what is tried.
pub type History = (bool, Vec<(Act, Signers)>);

/// What a test sees of each statement that was tried.
pub struct Seen<'a> {
    pub before: &'a City,
    pub after: &'a City,
    /// What the log says afterwards.
    pub said: &'a Said,
    pub statement: &'a Statement,
    pub is_taken: bool,
}

pub fn histories() -> impl Strategy<Value = History> {
    // Each is about one object more than about the others, or none would come far.
    (any::<bool>(), 0usize..OBJECTS.len())
        .prop_flat_map(|(gives_values, first)| (Just(gives_values), prop::collection::vec((acts(first), signers()), 1..60)))
}

fn acts(first: usize) -> impl Strategy<Value = Act> {
    // The way of a contract is the longest.
    let object = || prop_oneof![3 => 0usize..3, 4 => Just(3usize), 5 => 4usize..OBJECTS.len()];
    let body = || 0usize..BODIES.len();
    let flag = || prop::bool::weighted(0.3);
    let ends = prop::option::weighted(0.4, prop_oneof![Just(100i64), Just(119), Just(424), Just(500)]);
    let shape = (flag(), flag(), prop::option::weighted(0.3, body()), prop::option::weighted(0.4, body()), ends).prop_map(
        |(is_emergency, is_commercial, controller, also_receives, ends)| Shape {
            is_emergency,
            is_commercial,
            controller,
            also_receives,
            ends,
        },
    );
    prop_oneof![
        20 => object().prop_map(|object| Act::Advance { object }),
        20 => Just(Act::Advance { object: first }),
        2 => (body(), 0usize..KINDS.len()).prop_map(|(body, kind)| Act::Agency { body, kind }),
        2 => (any::<bool>(), flag(), 0usize..3, 30i64..400)
            .prop_map(|(is_review, is_soon, blocks, days)| Act::Agreement { is_review, is_soon, blocks, days }),
        2 => body().prop_map(|sub| Act::Announce { sub }),
        3 => (0usize..8, 0usize..watch::ANSWERS).prop_map(|(order, how)| Act::Answer { order, how }),
        2 => (0usize..MANDATES.len(), 0usize..4, 0i64..300)
            .prop_map(|(object, decision, days)| Act::Assessment { object, decision, days }),
        3 => (0usize..watch::FINDINGS).prop_map(|how| Act::BodyAudit { how }),
        2 => (any::<bool>(), prop::bool::weighted(0.8)).prop_map(|(is_new, is_source_known)| Act::Block { is_new, is_source_known }),
        2 => (prop::bool::weighted(0.4), any::<bool>(), prop::option::of(1i64..5))
            .prop_map(|(is_new, is_worse, severity)| Act::Breach { is_new, is_worse, severity }),
        1 => prop::bool::weighted(0.3).prop_map(|is_turned| Act::Camera { is_turned }),
        1 => (prop::bool::weighted(0.7), prop::bool::weighted(0.8), 30i64..100)
            .prop_map(|(is_reviewed, is_named, days)| Act::Continue { is_reviewed, is_named, days }),
        3 => (0usize..8).prop_map(|object| Act::End { object }),
        2 => (prop::bool::weighted(0.8), any::<bool>(), 90i64..500, prop::option::weighted(0.4, body()), any::<bool>())
            .prop_map(|(is_whole, gives_values, days, sub, is_for_all)| Act::Contract { is_whole, gives_values, days, sub, is_for_all }),
        1 => (0usize..LAWS).prop_map(|which| Act::Lawpack { which }),
        2 => (0usize..MANDATES.len()).prop_map(|object| Act::Key { object }),
        2 => (0usize..8).prop_map(|order| Act::Lift { order }),
        4 => (0usize..MANDATES.len(), shape).prop_map(|(object, shape)| Act::Mandate { object, shape }),
        3 => (0usize..ORDERS.len(), 0usize..OBJECTS.len()).prop_map(|(kind, target)| Act::Order { kind, target }),
        3 => (0usize..3, body()).prop_map(|(by, sub)| Act::Object { by, sub }),
        1 => Just(Act::Rotate),
        1 => (0usize..3, 0usize..2, any::<bool>()).prop_map(|(by, office, has_mandate)| Act::Ruling { by, office, has_mandate }),
        3 => (0usize..5, 0usize..5).prop_map(|(service, ways_in)| Act::Service { service, ways_in }),
        6 => (0usize..OBJECTS.len(), 0usize..State::WORDS.len(), any::<bool>())
            .prop_map(|(object, to, is_automatic)| Act::Step { object, to, is_automatic }),
        3 => prop_oneof![6 => 0i64..20, 1 => 60i64..120, 1 => 300i64..400].prop_map(|days| Act::Wait { days }),
    ]
}

fn signers() -> impl Strategy<Value = Signers> {
    use Signers::*;
    prop_oneof![
        14 => Just(TwoRoles), 1 => Just(SameRole), 1 => Just(OnePerson), 1 => Just(OneBody), 1 => Just(Machine),
        1 => Just(PersonAndMachine), 1 => Just(Strangers), 1 => Just(Nobody), 1 => Just(DatedBack), 1 => Just(OfAnotherRevision),
    ]
}

/// A city under supervised law: three mandates in force, an emergency that is in force in one of two such cities and public in the other, as is an
/// agreement, a vendor under contract, four services.
pub fn begun(gives_values: bool) -> City {
    static CITIES: LazyLock<[City; 2]> = LazyLock::new(|| [false, true].map(made));
    CITIES[usize::from(gives_values)].clone()
}

fn made(gives_values: bool) -> City {
    let mut city = supervised();
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, LIBRARY, library_card());
    city.say(StatementKind::Mandate, MEALS, LIBRARY, school_meals());
    city.say(StatementKind::Mandate, OUTBREAK, "agc_health", outbreak());
    city.say(StatementKind::Contract, CONTRACT, LIBRARY, contract(true, gives_values, 400));
    city.say(StatementKind::Service, SERVICE, LIBRARY, service_body(LIBRARY, "library", &[CARD, MEALS, JOINED]));
    city.say(StatementKind::Service, PARK, PARKS, service_body(PARKS, "parks", &[JOINED]));
    city.say(StatementKind::Mandate, JOINED, LIBRARY, joined());
    city.say(StatementKind::Service, CLOUD, "agc_cloud", service_body("agc_cloud", "cloud", &[CARD]));
    city.say(StatementKind::Service, HEALTH, "agc_health", service_body("agc_health", "health", &[OUTBREAK]));
    city.say(StatementKind::Camera, CAMERA, POLICE, camera_body());
    city.sign(CONTRACT);
    city.step(SERVICE, State::Active);
    city.step(PARK, State::Active);
    let agreement = agreement_body(day(60), day(300));
    city.apply(city.draft(StatementKind::Agreement, GARDEN, LIBRARY, agreement, &BOTH)).unwrap();
    activate(&mut city, CARD);
    activate(&mut city, MEALS);
    activate(&mut city, JOINED);
    for to in [State::Consulted, State::Published] {
        city.apply(city.step_draft(GARDEN, to, LIBRARY, &BOTH)).unwrap();
    }
    city.step(CLOUD, State::Active);
    if gives_values {
        activate(&mut city, OUTBREAK);
        city.step(HEALTH, State::Active);
    } else {
        // Public, and the machine has its key still to make.
        announce(&mut city, OUTBREAK);
    }
    city.now = day(61);
    if gives_values {
        city.apply(city.step_draft(GARDEN, State::Active, LIBRARY, &BOTH)).unwrap();
    }
    city
}

/// Tries everything of `history`, one after the other, and lets `look` see each.
pub fn play(history: &History, mut look: impl FnMut(&Seen<'_>) -> Result<(), TestCaseError>) -> Result<City, TestCaseError> {
    let (gives_values, tries) = history;
    let mut city = begun(*gives_values);
    let mut said = Said::by(&city);
    for (act, signers) in tries {
        let Some(statement) = next(&mut city, act, *signers) else { continue };
        let before = city.clone();
        let is_taken = city.apply(statement.clone()).is_ok();
        if is_taken {
            said.push(&statement);
        }
        look(&Seen { before: &before, after: &city, said: &said, statement: &statement, is_taken })?;
    }
    Ok(city)
}

fn next(city: &mut City, act: &Act, signers: Signers) -> Option<Statement> {
    let number = city.statements.len();
    let by = |city: &City, kind, id: &str, owner: &str, body| Some(signed(city, kind, id, owner, body, signers));
    match act {
        Act::Advance { object } => advance(city, OBJECTS[*object], signers),
        Act::Agency { body, kind } => {
            by(city, StatementKind::Agency, BODIES[*body], OPERATOR, agency_body(BODIES[*body], KINDS[*kind]))
        }
        Act::Agreement { is_review, is_soon, blocks, days } => Some(agree(city, *is_review, *is_soon, *blocks, *days, signers)),
        Act::Announce { sub } => Some(watch::announce(city, BODIES[*sub], signers)),
        Act::Answer { order, how } => watch::answer(city, *order, *how, signers),
        Act::Assessment { object, decision, days } => assess(city, MANDATES[*object], *decision, *days, signers),
        Act::BodyAudit { how } => Some(watch::body_audit(city, *how, signers)),
        Act::Continue { is_reviewed, is_named, days } => continue_emergency(city, *is_reviewed, *is_named, *days, signers),
        Act::Lawpack { which } => by(city, StatementKind::Lawpack, "law_tw", OPERATOR, law(*which)),
        Act::Object { by, sub } => Some(watch::object(city, *by, BODIES[*sub], signers)),
        Act::Ruling { by, office, has_mandate } => Some(watch::ruling(city, *by, *office, *has_mandate, signers)),
        Act::Block { is_new, is_source_known } => {
            let mut body = block_body("a block", "ordinary", &["token", "predicate", "value"]);
            body["source_agency"] = json!(if *is_source_known { LIBRARY } else { "agc_nowhere" });
            by(city, StatementKind::DataBlock, if *is_new { "blk_new" } else { "blk_name" }, OPERATOR, body)
        }
        Act::End { object } => end(city, OBJECTS[*object], signers),
        Act::Breach { is_new, is_worse, severity } => {
            let open = city.register.open_breaches().last().map(|entry| (entry.id.clone(), entry.body.clone()));
            match open.filter(|_| !is_new) {
                Some((id, open)) => by(city, StatementKind::Breach, &id, LIBRARY, next_of_breach(city, open, *is_worse)),
                None => by(city, StatementKind::Breach, &format!("brc_{number}"), LIBRARY, breach(city, *severity)),
            }
        }
        Act::Camera { is_turned } => Some(look_at_camera(city, *is_turned, signers)),
        Act::Contract { is_whole, gives_values, days, sub, is_for_all } => {
            let mut body = contract(*is_whole, *gives_values, *days);
            if let Some(sub) = sub {
                body["subprocessors"] = json!([{"agency": BODIES[*sub], "location": "TW", "approved_by": LIBRARY,
                    "from": city.now.plus(30 * 24 * HOUR).to_string()}]);
            }
            if *is_for_all {
                body["mandates"] = json!(MANDATES);
            }
            by(city, StatementKind::Contract, CONTRACT, LIBRARY, body)
        }
        Act::Key { object } => another_key(city, MANDATES[*object]),
        Act::Lift { order } => {
            let given: Vec<_> = city.statements.iter().filter(|statement| statement.kind == StatementKind::Order).collect();
            let order = given.get(order % given.len().max(1))?;
            let body = json!({"body": OVERSEER, "kind": "lift", "target": order.body["target"], "lifts": order.id,
                "reasons": text("It was looked into.")});
            by(city, StatementKind::Order, &format!("ord_{number}"), OVERSEER, body)
        }
        Act::Mandate { object, shape } => {
            // What continues an emergency says more than the others, by an act of its own.
            let id = Some(MANDATES[*object]).filter(|id| *id != AGAIN).unwrap_or("mdt_new");
            let body = mandate(id, shape);
            let owner = body["controller"].as_str()?.to_owned();
            by(city, StatementKind::Mandate, id, &owner, body)
        }
        Act::Order { kind, target } => {
            let mut body = json!({"body": OVERSEER, "kind": ORDERS[*kind], "target": OBJECTS[*target],
                "reasons": text("It goes beyond its purpose.")});
            match ORDERS[*kind] {
                "suspend" => {}
                "restrict" => body["blocks"] = json!(["blk_name"]),
                _ => body["comply_by"] = json!(city.now.plus(240 * HOUR).to_string()),
            }
            if ORDERS[*kind] == "disclose_actor" {
                body["events"] = json!([sha256(b"an event").to_string()]);
            }
            by(city, StatementKind::Order, &format!("ord_{number}"), OVERSEER, body)
        }
        Act::Rotate => {
            let body = json!({"sector": "library", "services": [SERVICE], "reason": text("A list got out.")});
            by(city, StatementKind::Rotation, &format!("rot_{number}"), OPERATOR, body)
        }
        Act::Service { service, ways_in } => {
            let is_continued = city.state(AGAIN).is_some();
            let (id, agency, sector, mandates) = [
                (SERVICE, LIBRARY, "library", &[CARD, MEALS, JOINED][..]),
                (CLOUD, "agc_cloud", "cloud", &[CARD]),
                (HEALTH, "agc_health", "health", if is_continued { &[OUTBREAK, AGAIN] } else { &[OUTBREAK] }),
                ("svc_new", LIBRARY, "new", &[CARD]),
                (PARK, PARKS, "parks", &[JOINED]),
            ][*service];
            let mut body = service_body(agency, sector, mandates);
            match ways_in {
                0 => body["alternatives"] = json!([]),
                1 => drop(body.as_object_mut()?.remove("alternatives")),
                2 => body["alternatives"] = json!([{"en": " ", "zh-Hant": ""}]),
                _ => {}
            }
            by(city, StatementKind::Service, id, agency, body)
        }
        Act::Step { object, to, is_automatic } => {
            let owner = if *is_automatic { OPERATOR.to_owned() } else { city.owner(OBJECTS[*object])? };
            Some(step(city, OBJECTS[*object], State::WORDS[*to].1, &owner, signers))
        }
        Act::Wait { days } => {
            city.now = city.now.plus(days * 24 * HOUR);
            None
        }
    }
}

pub fn step(city: &City, object: &str, to: State, by: &str, signers: Signers) -> Statement {
    let mut statement = city.step_draft(object, to, by, &[]);
    approve(&mut statement, by, signers);
    if let Some(overseer) = city.begins_emergency(object, to)
        && matches!(signers, Signers::TwoRoles)
    {
        approve(&mut statement, &overseer, signers);
    }
    statement
}

pub fn signed(city: &City, kind: StatementKind, id: &str, by: &str, body: Value, signers: Signers) -> Statement {
    let mut statement = city.draft(kind, id, by, body, &[]);
    approve(&mut statement, by, signers);
    statement
}

fn approve(statement: &mut Statement, by: &str, signers: Signers) {
    match signers {
        Signers::DatedBack => statement.at = day(20),
        Signers::OfAnotherRevision => {
            for field in ["revision", "mandate_hash"] {
                if let Some(named) = statement.body.get_mut(field) {
                    *named = json!(sha256(b"another revision").to_string());
                }
            }
        }
        _ => {}
    }
    // A body that is registered anew agrees to it with one key of its own.
    let own = [(statement.id.clone(), "head")];
    let own = own.iter().filter(|(id, _)| statement.kind == StatementKind::Agency && id != "agc_secret");
    let keys: &[&str] = match signers {
        Signers::TwoRoles | Signers::OneBody | Signers::Strangers | Signers::DatedBack | Signers::OfAnotherRevision => {
            &["head", "privacy"]
        }
        Signers::SameRole => &["head", "deputy"],
        Signers::OnePerson => &["head"],
        Signers::Machine => &["automation"],
        Signers::PersonAndMachine => &["head", "automation"],
        Signers::Nobody => &[],
    };
    let stranger = if by == PARKS { POLICE } else { PARKS };
    let bodies = match signers {
        Signers::Strangers => vec![stranger],
        // An agreement is said by both parties.
        _ if !matches!(signers, Signers::OneBody) && is_agreed(statement) => vec![LIBRARY, PARKS],
        _ => vec![by],
    };
    let all: Vec<_> = bodies.iter().flat_map(|by| keys.iter().map(|key| ((*by).to_owned(), *key))).chain(own.cloned()).collect();
    for (agency, key) in all {
        statement.approve(&crate::common::signer(&agency, key)).unwrap();
    }
}

/// Whether it is the agreement that speaks, or a step of it that the parties take.
fn is_agreed(statement: &Statement) -> bool {
    let is_step = statement.body["object"] == GARDEN && statement.by.as_str() != OPERATOR;
    statement.kind == StatementKind::Agreement || is_step
}
