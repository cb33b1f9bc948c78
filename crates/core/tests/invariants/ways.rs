//! The ways of objects from a draft to their end: what each needs next, and what brings it nearer to its end.

use serde_json::{Value, json};
use usufruct_core::Digest;
use usufruct_core::assessment::{Before, Decision, asked_of, holding};
use usufruct_core::key::KeyOf;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::MandateKind;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::DAY;

use crate::bodies::{certificate, continued};
use crate::common::{
    City, agreement_body, assessment_body, check_body, commitment_of, day, key_body, key_id, notice_body, open_long_enough, text,
};
use crate::history::{AGAIN, CAMERA, GARDEN, LIBRARY, OPERATOR, OUTBREAK, POLICE, Signers, signed, step};

/// The statement that the object needs next on its way from a draft to its end.
pub fn advance(city: &mut City, object: &str, signers: Signers) -> Option<Statement> {
    if object == AGAIN && city.state(object).is_none() {
        return continue_emergency(city, true, true, 60, signers);
    }
    let (hash, state) = city.state(object)?;
    let owner = city.owner(object)?;
    if object == GARDEN {
        return Some(advance_agreement(city, signers));
    }
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
pub fn look_at_camera(city: &City, is_turned: bool, signers: Signers) -> Statement {
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

/// The statement that leads to the end of an object.
pub fn end(city: &mut City, object: &str, signers: Signers) -> Option<Statement> {
    let (_, state) = city.state(object)?;
    let is_contract = object.starts_with("ctr_");
    let to = match state {
        State::Active | State::Suspended if is_contract => State::Ending,
        _ if object == CAMERA && !state.is_over() => State::Removed,
        _ if object == GARDEN && state.is_over() => return None,
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
    let asked = asked_of(&city.register, &entry.body, city.now);
    let needs = match entry.state {
        State::Consulted => asked.iter().any(|asked| asked.before == Before::Approved),
        _ => !asked.is_empty(),
    };
    let holds = holding(&city.register, &entry)
        .is_some_and(|assessment| assessment.body.decision == Decision::Continue && city.now < assessment.body.review_due);
    let to = match entry.state {
        State::Consulted | State::Published | State::Suspended if !is_over && needs && !holds => {
            return assess(city, id, 0, 100, signers);
        }
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
            // What one person would sign for two leaves newer keys out.
            let mut keys = keys_of(city, id);
            let is_left = matches!(signers, Signers::SameRole | Signers::OnePerson) && keys.len() > 1;
            let left = if is_left { keys.split_off(1) } else { Vec::new() };
            let mut body = certificate(id, &keys, &left, city.now);
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

/// The keys of a mandate that live by the register, the oldest first.
fn keys_of(city: &City, mandate: &str) -> Vec<Digest> {
    let living = city.register.living_keys(&KeyOf::Mandate(mandate.parse().unwrap()));
    living.iter().map(|key| key.body.commitment).collect()
}

/// The machine publishes another key of a mandate.
pub fn another_key(city: &City, mandate: &str) -> Option<Statement> {
    let commitment = commitment_of(&format!("{mandate} {}", city.statements.len()));
    let mut body = key_body(mandate, commitment);
    body["epoch"] = json!(city.register.certified_epoch().max(2));
    Some(signed(city, StatementKind::Key, &key_id(commitment), OPERATOR, body, Signers::Machine))
}

fn advance_agreement(city: &mut City, signers: Signers) -> Statement {
    let agreement = &city.register.agreements[&GARDEN.parse().unwrap()];
    let (first_day, is_over) = (agreement.body.in_force_from, agreement.body.sunset_at <= city.now);
    let to = match agreement.state {
        State::Published | State::Active | State::Suspended if is_over => {
            return step(city, GARDEN, State::Sunset, OPERATOR, Signers::Machine);
        }
        // It has to be public for two weeks before its first day.
        State::Draft | State::Consulted if first_day < city.now.plus(14 * DAY) => {
            return agree(city, false, false, 0, 100, signers);
        }
        State::Draft => State::Consulted,
        State::Consulted => State::Published,
        State::Published | State::Suspended => {
            city.now = city.now.max(first_day);
            State::Active
        }
        _ => State::Suspended,
    };
    step(city, GARDEN, to, LIBRARY, signers)
}

/// The agreement with other terms, or as it stands with what was found when it was looked at.
pub fn agree(city: &City, is_review: bool, is_soon: bool, blocks: usize, days: i64, signers: Signers) -> Statement {
    let mut body: Value = if is_review {
        let present = city.statements.iter().rfind(|statement| statement.id == GARDEN);
        present.map_or(Value::Null, |statement| statement.body.clone())
    } else {
        let from = city.now.plus(if is_soon { 5 } else { 20 } * DAY);
        // It ends with the mandate at the latest.
        agreement_body(from, from.plus(days * DAY).min(day(420)).max(from.plus(2 * DAY)))
    };
    if is_review {
        let review = json!({"at": city.now.to_string(), "finding": text("It works.")});
        match body["reviews"].as_array_mut() {
            Some(reviews) => reviews.push(review),
            None => body["reviews"] = json!([review]),
        }
    } else if blocks > 0 {
        body["blocks"] = json!([["blk_age"].as_slice(), &["blk_name", "blk_age"]][blocks - 1]);
    }
    signed(city, StatementKind::Agreement, GARDEN, LIBRARY, body, signers)
}

/// An assessment of the present revision of a mandate. `decision` 0 lets it begin, the last one has no word.
pub fn assess(city: &City, mandate: &str, decision: usize, days: i64, signers: Signers) -> Option<Statement> {
    let (hash, _) = city.state(mandate)?;
    let mut body = assessment_body(mandate, hash, city.now.plus(days * DAY));
    body["decision"] = json!(["continue", "not_continue", "prior_consultation", "unknown"][decision]);
    let owner = city.owner(mandate)?;
    Some(signed(city, StatementKind::Assessment, &format!("dpi_{}", &mandate[4..]), &owner, body, signers))
}

/// The emergency goes on under another mandate.
pub fn continue_emergency(city: &City, is_reviewed: bool, is_named: bool, days: i64, signers: Signers) -> Option<Statement> {
    let body = continued(OUTBREAK, city.now, is_reviewed, is_named, days);
    Some(signed(city, StatementKind::Mandate, AGAIN, "agc_health", body, signers))
}
