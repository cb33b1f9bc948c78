//! Random histories: what officials, machines and strangers try to say in the register of a small city, lawful or not.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::MandateKind;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::HOUR;

use crate::bodies::{Shape, breach, contract, mandate, next_of_breach};
use crate::common::{
    City, activate, agency_body, announce, block_body, camera_body, certificate_body, check_body, commitment_of, day, key_body,
    key_id, library_card, notice_body, open_long_enough, outbreak, school_meals, service_body, supervised, text,
};
use crate::said::Said;

pub const CARD: &str = "mdt_library-card";
pub const MEALS: &str = "mdt_school-meals";
pub const OUTBREAK: &str = "mdt_outbreak";
pub const CONTRACT: &str = "ctr_cloud";
pub const SERVICE: &str = "svc_library";
pub const CLOUD: &str = "svc_cloud";
pub const HEALTH: &str = "svc_health";
/// A camera that the police permit and the parks asked for.
pub const CAMERA: &str = "cam_gate";
pub const OVERSEER: &str = "agc_oversight";
pub const LIBRARY: &str = "agc_library";
const OPERATOR: &str = "agc_operator";
const POLICE: &str = "agc_police";
pub const MANDATES: [&str; 3] = [CARD, MEALS, OUTBREAK];
pub const OBJECTS: [&str; 8] = [CARD, MEALS, OUTBREAK, CONTRACT, SERVICE, CLOUD, HEALTH, CAMERA];
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
    /// What brings a mandate, a contract or the camera nearer to its end, with what that step needs before.
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
    Lift {
        order: usize,
    },
    Mandate {
        object: usize,
        shape: Shape,
    },
    Order {
        kind: usize,
        target: usize,
    },
    Rotate,
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
    (any::<bool>(), prop::collection::vec((acts(), signers()), 1..60))
}

fn acts() -> impl Strategy<Value = Act> {
    // The way of a contract is the longest.
    let object = || prop_oneof![3 => 0usize..3, 4 => Just(3usize), 3 => 4usize..OBJECTS.len()];
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
        2 => (body(), 0usize..KINDS.len()).prop_map(|(body, kind)| Act::Agency { body, kind }),
        2 => (any::<bool>(), prop::bool::weighted(0.8)).prop_map(|(is_new, is_source_known)| Act::Block { is_new, is_source_known }),
        2 => (prop::bool::weighted(0.4), any::<bool>(), prop::option::of(1i64..5))
            .prop_map(|(is_new, is_worse, severity)| Act::Breach { is_new, is_worse, severity }),
        1 => prop::bool::weighted(0.3).prop_map(|is_turned| Act::Camera { is_turned }),
        2 => prop_oneof![4 => 0usize..4, 1 => Just(OBJECTS.len() - 1)].prop_map(|object| Act::End { object }),
        2 => (prop::bool::weighted(0.8), any::<bool>(), 90i64..500, prop::option::weighted(0.4, body()), any::<bool>())
            .prop_map(|(is_whole, gives_values, days, sub, is_for_all)| Act::Contract { is_whole, gives_values, days, sub, is_for_all }),
        2 => (0usize..8).prop_map(|order| Act::Lift { order }),
        4 => (0usize..MANDATES.len() + 1, shape).prop_map(|(object, shape)| Act::Mandate { object, shape }),
        3 => (0usize..ORDERS.len(), 0usize..OBJECTS.len()).prop_map(|(kind, target)| Act::Order { kind, target }),
        1 => Just(Act::Rotate),
        3 => (0usize..4, 0usize..5).prop_map(|(service, ways_in)| Act::Service { service, ways_in }),
        6 => (0usize..OBJECTS.len(), 0usize..State::WORDS.len(), any::<bool>())
            .prop_map(|(object, to, is_automatic)| Act::Step { object, to, is_automatic }),
        3 => prop_oneof![6 => 0i64..20, 1 => 60i64..120, 1 => 300i64..400].prop_map(|days| Act::Wait { days }),
    ]
}

fn signers() -> impl Strategy<Value = Signers> {
    use Signers::*;
    prop_oneof![
        14 => Just(TwoRoles), 1 => Just(SameRole), 1 => Just(OnePerson), 1 => Just(Machine), 1 => Just(PersonAndMachine),
        1 => Just(Strangers), 1 => Just(Nobody), 1 => Just(DatedBack), 1 => Just(OfAnotherRevision),
    ]
}

/// A city under supervised law: two mandates in force, an emergency that is in force in one of two such
/// cities and a draft in the other, a vendor under contract, three services.
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
    city.say(StatementKind::Service, SERVICE, LIBRARY, service_body(LIBRARY, "library", &[CARD, MEALS]));
    city.say(StatementKind::Service, CLOUD, "agc_cloud", service_body("agc_cloud", "cloud", &[CARD]));
    city.say(StatementKind::Service, HEALTH, "agc_health", service_body("agc_health", "health", &[OUTBREAK]));
    city.say(StatementKind::Camera, CAMERA, POLICE, camera_body());
    city.sign(CONTRACT);
    city.step(SERVICE, State::Active);
    activate(&mut city, CARD);
    activate(&mut city, MEALS);
    city.step(CLOUD, State::Active);
    if gives_values {
        activate(&mut city, OUTBREAK);
        city.step(HEALTH, State::Active);
    } else {
        // Public, and the machine has its key still to make.
        announce(&mut city, OUTBREAK);
    }
    city.now = day(61);
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
        Act::Lift { order } => {
            let given: Vec<_> = city.statements.iter().filter(|statement| statement.kind == StatementKind::Order).collect();
            let order = given.get(order % given.len().max(1))?;
            let body = json!({"body": OVERSEER, "kind": "lift", "target": order.body["target"], "lifts": order.id,
                "reasons": text("It was looked into.")});
            by(city, StatementKind::Order, &format!("ord_{number}"), OVERSEER, body)
        }
        Act::Mandate { object, shape } => {
            let id = MANDATES.get(*object).copied().unwrap_or("mdt_new");
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
            let (id, agency, sector, mandates) = [
                (SERVICE, LIBRARY, "library", &[CARD, MEALS][..]),
                (CLOUD, "agc_cloud", "cloud", &[CARD]),
                (HEALTH, "agc_health", "health", &[OUTBREAK]),
                ("svc_new", LIBRARY, "new", &[CARD]),
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

/// The statement that the object needs next on its way from a draft to its end.
fn advance(city: &mut City, object: &str, signers: Signers) -> Option<Statement> {
    let (hash, state) = city.state(object)?;
    let owner = city.owner(object)?;
    if object.starts_with("mdt_") {
        return advance_mandate(city, object, signers);
    }
    if object == CAMERA {
        return advance_camera(city, signers);
    }
    let is_contract = object.starts_with("ctr_");
    let looked = |kind: &str| {
        let is_it = |statement: &&Statement| statement.kind == StatementKind::Check && statement.body["kind"] == kind;
        city.statements.iter().filter(is_it).any(|statement| statement.body["revision"] == hash.to_string())
    };
    let check = |by: &str, kind: &str| {
        let id = format!("chk_{}", city.statements.len());
        Some(signed(city, StatementKind::Check, &id, by, check_body(city, object, kind, "passed"), signers))
    };
    let to = match state {
        State::Draft if is_contract && !looked("agency") => return check(&owner, "agency"),
        State::CheckedAgency if !looked("city") => return check(OPERATOR, "city"),
        State::Ending if !looked("deletion") => return check("agc_cloud", "deletion"),
        State::Draft if is_contract => State::CheckedAgency,
        State::CheckedAgency => State::CheckedCity,
        State::CheckedCity => State::Signed,
        State::Draft | State::Signed | State::Suspended => State::Active,
        State::Active => State::Suspended,
        State::Ending => State::Closed,
        _ => return None,
    };
    Some(step(city, object, to, &owner, signers))
}

/// The camera as it stands, looked at now; turned to another side if asked.
fn look_at_camera(city: &City, is_turned: bool, signers: Signers) -> Statement {
    let mut body = serde_json::to_value(&city.register.cameras[&CAMERA.parse().unwrap()].body).unwrap();
    body["last_check"] = json!(city.now.to_string());
    if is_turned {
        body["direction"] = json!(if body["direction"] == "north" { "south" } else { "north" });
    }
    signed(city, StatementKind::Camera, CAMERA, POLICE, body, signers)
}

fn advance_camera(city: &City, signers: Signers) -> Option<Statement> {
    let camera = &city.register.cameras[&CAMERA.parse().unwrap()];
    let is_over = camera.body.permit_until.is_some_and(|until| until <= city.now);
    let to = match camera.state {
        State::Permitted | State::Active | State::Withheld if is_over => {
            return Some(step(city, CAMERA, State::PermitExpired, OPERATOR, Signers::Machine));
        }
        State::Proposed if is_over => State::Removed,
        State::Proposed => State::Permitted,
        State::Permitted | State::Withheld if city.register.is_unchecked(&camera.body, city.now) => {
            return Some(look_at_camera(city, false, signers));
        }
        State::Permitted | State::Withheld => State::Active,
        State::Active => State::Withheld,
        State::PermitExpired => State::Removed,
        _ => return None,
    };
    Some(step(city, CAMERA, to, POLICE, signers))
}

/// The statement that leads to the end of a mandate, a contract or the camera.
fn end(city: &mut City, object: &str, signers: Signers) -> Option<Statement> {
    let (_, state) = city.state(object)?;
    let is_contract = object.starts_with("ctr_");
    let to = match state {
        State::Active | State::Suspended if is_contract => State::Ending,
        _ if object == CAMERA && !state.is_over() => State::Removed,
        _ if is_contract || state.is_over() => return advance(city, object, signers),
        _ => State::Revoked,
    };
    let owner = city.owner(object)?;
    Some(step(city, object, to, &owner, signers))
}

fn advance_mandate(city: &mut City, id: &str, signers: Signers) -> Option<Statement> {
    let entry = city.register.mandates[&id.parse().unwrap()].clone();
    let owner = entry.body.controller.to_string();
    let machine = |city: &City, kind, id: &str, body| Some(signed(city, kind, id, OPERATOR, body, Signers::Machine));
    let commitment = commitment_of(id);
    if entry.has_key() && city.register.key(&commitment).is_none() {
        let mut body = key_body(id, commitment);
        body["epoch"] = json!(city.register.certified_epoch().max(2));
        return machine(city, StatementKind::Key, &key_id(commitment), body);
    }
    let is_over = city.now >= entry.body.sunset_at;
    let to = match entry.state {
        State::Draft => {
            if entry.body.kind != MandateKind::Emergency {
                city.now = city.now.max(entry.body.consultation.to);
            }
            city.now = city.now.max(open_long_enough(city, id));
            State::Consulted
        }
        State::Consulted => State::Approved,
        State::Approved if !city.register.notices.contains_key(&entry.hash) => {
            let notice = format!("ntc_{}", city.statements.len());
            return Some(signed(city, StatementKind::Notice, &notice, &owner, notice_body(id, entry.hash), signers));
        }
        State::Approved => State::Published,
        State::Published | State::Suspended if !is_over => State::Active,
        State::Active if !is_over => State::Suspended,
        State::Published | State::Active | State::Suspended => State::Sunset,
        State::Sunset | State::Revoked => State::Erasing,
        State::Erasing if city.register.certificate(&id.parse().unwrap()).is_none() => {
            let mut body = certificate_body(id, city.now);
            let ended = entry.history.iter().any(|step| step.to == State::Revoked);
            body["cause"] = json!(if ended { "revocation" } else { "sunset" });
            let epoch = city.register.certified_epoch().max(1);
            (body["epoch_before"], body["epoch_after"]) = (json!(epoch), json!(epoch + 1));
            return machine(city, StatementKind::Certificate, &format!("crt_{}", city.statements.len()), body);
        }
        State::Erasing => State::Erased,
        _ => return None,
    };
    let is_clock = matches!(to, State::Sunset | State::Erasing | State::Erased);
    Some(if is_clock { step(city, id, to, OPERATOR, Signers::Machine) } else { step(city, id, to, &owner, signers) })
}

fn step(city: &City, object: &str, to: State, by: &str, signers: Signers) -> Statement {
    let mut statement = city.step_draft(object, to, by, &[]);
    approve(&mut statement, by, signers);
    if let Some(overseer) = city.begins_emergency(object, to)
        && matches!(signers, Signers::TwoRoles)
    {
        approve(&mut statement, &overseer, signers);
    }
    statement
}

fn signed(city: &City, kind: StatementKind, id: &str, by: &str, body: Value, signers: Signers) -> Statement {
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
        Signers::TwoRoles | Signers::Strangers | Signers::DatedBack | Signers::OfAnotherRevision => &["head", "privacy"],
        Signers::SameRole => &["head", "deputy"],
        Signers::OnePerson => &["head"],
        Signers::Machine => &["automation"],
        Signers::PersonAndMachine => &["head", "automation"],
        Signers::Nobody => &[],
    };
    let by = if matches!(signers, Signers::Strangers) { "agc_parks" } else { by };
    let all: Vec<_> = keys.iter().map(|key| (by.to_owned(), *key)).chain(own.cloned()).collect();
    for (agency, key) in all {
        statement.approve(&crate::common::signer(&agency, key)).unwrap();
    }
}
