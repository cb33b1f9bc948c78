//! The past of the demo city as a list of things to do, each at its time.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use usufruct_app::House;
use usufruct_core::id::{AgencyId, ContractId, MandateId};
use usufruct_core::lawpack::SHIPPED;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::status::Grounds;
use usufruct_core::time::{DAY, HOUR, MINUTE};
use usufruct_core::{Text, Time};

use super::city::{City, PastAnswer, PastCase, PastConsent, PastUse};
use super::{audits, cameras, oversight};
use crate::compose::{self, MandateDays};
use crate::failure::Failure;
use crate::written;

/// One thing that happened.
pub enum Happening {
    Answer { persona: usize, mandate: MandateId, answer: PastAnswer },
    Case { persona: usize, case: PastCase },
    Consent { persona: usize, consent: PastConsent },
    EnrolPersonas,
    Publish(Vec<Statement>),
    Sunsets,
    Use { persona: usize, used: PastUse },
}

/// The people who sign for each body, by its id. Automata are not among them.
pub struct Offices(BTreeMap<AgencyId, Vec<Signer>>);

/// Name of the role by which the operator acts by the clock; it has a key and signs nothing here.
const AUTOMATION: &str = "automation";

impl Offices {
    /// Makes the keys of all offices of the city, or finds them where they were made.
    pub fn open(city: &City, house: &House, rng: &dyn Rng) -> Result<Self, Failure> {
        let mut offices = BTreeMap::new();
        for (id, agency) in &city.agencies {
            let people = agency.roles.iter().filter(|role| *role != AUTOMATION);
            let signers = people.map(|role| house.signer(id, role, rng)).collect::<Result<Vec<_>, _>>()?;
            offices.insert(id.clone(), signers);
        }
        Ok(Self(offices))
    }

    /// Who signs for a body.
    pub fn of(&self, agency: &AgencyId) -> Result<Vec<&Signer>, Failure> {
        let signers = self
            .0
            .get(agency)
            .ok_or_else(|| Failure::refused(format!("The city has no agency `{agency}`."), "Add it or correct the name."))?;
        Ok(signers.iter().collect())
    }
}

/// Everything that happened until `now`, in order.
pub fn tell(
    city: &City,
    offices: &Offices,
    house: &House,
    rng: &dyn Rng,
    services: &[(String, Value)],
    now: Time,
) -> Result<Vec<(Time, Happening)>, Failure> {
    let mut told: Vec<(Time, Happening)> = Vec::new();
    found(city, offices, house, rng, &mut told)?;
    told.push((city.head.begins.plus(2 * HOUR), Happening::EnrolPersonas));
    let (mut starts, mut lives) = (BTreeMap::new(), BTreeMap::new());
    for (id, draft) in &city.mandates {
        let mandate = Mandate::read(&draft.mandate).map_err(|problems| unlawful(id.as_str(), &problems))?;
        let mut signers = offices.of(&mandate.controller)?;
        if let Some(countersigner) = mandate.countersigner() {
            signers.extend(offices.of(countersigner)?);
        }
        let parts = compose::MandateParts {
            body: draft.mandate.clone(),
            notice: &draft.notice,
            assessment: Some(&draft.assessment).filter(|table| !table.is_null()),
        };
        let statements = compose::mandate(&Register::default(), id, parts, &signers, days(&mandate, now), rng)?;
        told.extend(statements.into_iter().map(|statement| (statement.at, Happening::Publish(vec![statement]))));
        if mandate.sunset_at < now {
            told.push((mandate.sunset_at.plus(5 * MINUTE), Happening::Sunsets));
        }
        starts.insert(id.clone(), mandate.starts_at);
        lives.insert(id.clone(), days(&mandate, now));
    }
    for (id, body) in &city.contracts {
        supervise(city, offices, rng, id, body, &mut told)?;
    }
    for (id, body) in &city.agreements {
        agree(offices, rng, id.as_str(), body.clone(), now, &mut told)?;
    }
    for (id, body) in &city.audits {
        audits::tell(offices, id.as_str(), body.clone(), &mut told)?;
    }
    for (id, body) in &city.cameras {
        cameras::Past { offices, rng, operator: &city.head.operator, now }.tell(id.as_str(), body.clone(), &mut told)?;
    }
    for (id, body) in &city.orders {
        oversight::tell(offices, StatementKind::Order, id.as_str(), body.clone(), &mut told)?;
    }
    for (id, body) in &city.meetings {
        oversight::tell(offices, StatementKind::Meeting, id.as_str(), body.clone(), &mut told)?;
    }
    for (id, body) in &city.rulings {
        oversight::tell(offices, StatementKind::Ruling, id.as_str(), body.clone(), &mut told)?;
    }
    for (id, body) in services {
        let agency = agency_of(id, &body["agency"])?;
        let at = opening(body, &starts, city.head.begins.plus(3 * HOUR), now);
        let signers = offices.of(&agency)?;
        let statements = compose::service(&Register::default(), id, under(body, &lives, at), &signers, at, rng)?;
        let mut last = statements.first().cloned();
        told.push((at, Happening::Publish(statements)));
        // It takes mandates up that were drafted after it opened, each when it begins.
        let mut later: Vec<Time> =
            named(body).filter_map(|id| lives.get(&id)).filter(|life| life.draft > at).map(|life| life.active).collect();
        later.sort_unstable();
        for at in later {
            let Some(before) = &last else { break };
            let next = compose::revision(before, under(body, &lives, at), &signers, at)?;
            last = Some(next.clone());
            told.push((at, Happening::Publish(vec![next])));
        }
    }
    live(city, now, &mut told);
    if let Some((at, _)) = told.iter().find(|(at, _)| *at > now || *at < city.head.begins) {
        return Err(Failure::refused(
            format!("The city's past has something on {}, outside its time.", at.day()),
            "Move `begins` in city.toml or the day.",
        ));
    }
    // Stable, so that what was written together at one moment stays in its order.
    told.sort_by_key(|(at, _)| *at);
    Ok(told)
}

/// The operator, the other bodies and the blocks.
fn found(city: &City, offices: &Offices, house: &House, rng: &dyn Rng, told: &mut Vec<(Time, Happening)>) -> Result<(), Failure> {
    let at = city.head.begins;
    let operator = offices.of(&city.head.operator)?;
    let none = Register::default();
    let mut agencies: Vec<_> = city.agencies.iter().collect();
    agencies.sort_by_key(|(id, _)| *id != city.head.operator);
    for (id, agency) in agencies {
        let mut body = agency.body.clone();
        let mut keys = Vec::new();
        for role in &agency.roles {
            keys.push(json!({ "id": role, "role": role, "public": house.signer(id, role, rng)?.public() }));
        }
        body["signing_keys"] = keys.into();
        let statement = compose::object(&none, StatementKind::Agency, id.as_str(), body, &operator, at)?;
        told.push((at, Happening::Publish(vec![statement])));
    }
    // The law that the city is under, so that its contracts are held to the clause library from the first day.
    for (id, pack) in SHIPPED.iter().filter(|(id, _)| ["law_generic-2026-12", "law_tw"].contains(id)) {
        let mut body = written::text(pack, id, at)?;
        body["valid_from"] = at.day().into();
        let statement = compose::object(&none, StatementKind::Lawpack, id, body, &operator, at.plus(30 * MINUTE))?;
        told.push((at.plus(30 * MINUTE), Happening::Publish(vec![statement])));
    }
    for (id, body) in &city.blocks {
        let statement = compose::object(&none, StatementKind::DataBlock, id.as_str(), body.clone(), &operator, at.plus(HOUR))?;
        told.push((at.plus(HOUR), Happening::Publish(vec![statement])));
    }
    Ok(())
}

/// A contract with the checks before its signature and those since. It is drafted twenty days before its first day.
fn supervise(
    city: &City,
    offices: &Offices,
    rng: &dyn Rng,
    id: &ContractId,
    body: &Value,
    told: &mut Vec<(Time, Happening)>,
) -> Result<(), Failure> {
    let controller = agency_of(id.as_str(), &body["controller"])?;
    let (own, operator) = (offices.of(&controller)?, offices.of(&city.head.operator)?);
    let from: Time = body["from"].as_str().and_then(|from| from.parse().ok()).unwrap_or(city.head.begins).plus(9 * HOUR);
    let drafted = from.plus(-20 * DAY);
    let draft = compose::object(&Register::default(), StatementKind::Contract, id.as_str(), body.clone(), &own, drafted)?;
    let revision = draft.hash()?;
    told.push((drafted, Happening::Publish(vec![draft])));
    for (check, found) in city.checks.iter().filter(|(_, found)| found["contract"] == id.as_str()) {
        let at = found["done_at"].as_str().and_then(|at| at.parse::<Time>().ok()).unwrap_or(from).plus(10 * HOUR);
        let signers = if found["kind"] == "city" { &operator } else { &own };
        let statement = compose::check(&Register::default(), check.as_str(), found.clone(), revision, signers, at)?;
        told.push((at, Happening::Publish(vec![statement])));
    }
    told.push((from, Happening::Publish(compose::contract_steps(id.as_str(), revision, State::Draft, &own, from, rng)?)));
    Ok(())
}

/// An agreement, made public on the day that its file gives and in force from its first day, if that has come.
fn agree(
    offices: &Offices,
    rng: &dyn Rng,
    id: &str,
    mut body: Value,
    now: Time,
    told: &mut Vec<(Time, Happening)>,
) -> Result<(), Failure> {
    let day = |value: &Value| value.as_str().and_then(|day| day.parse::<Time>().ok());
    let mut signers = Vec::new();
    for party in body["parties"].as_array().into_iter().flatten() {
        signers.extend(offices.of(&agency_of(id, party)?)?);
    }
    let published = body.as_object_mut().and_then(|members| members.remove("published_at")).as_ref().and_then(day);
    let published = published.unwrap_or(now.plus(-DAY)).plus(11 * HOUR);
    let force = day(&body["in_force_from"]).unwrap_or(now).plus(11 * HOUR);
    let draft = compose::object(&Register::default(), StatementKind::Agreement, id, body, &signers, published.plus(-DAY))?;
    let revision = draft.hash()?;
    told.push((published.plus(-DAY), Happening::Publish(vec![draft])));
    let step = |from, to, reason, at| {
        compose::step(&compose::Step { object: id, revision, from, to, reason, grounds: Grounds::default() }, &signers, at, rng)
    };
    let heard = step(State::Draft, State::Consulted, Text::new("Those concerned were heard.", "已徵詢意見。"), published)?;
    let public = step(State::Consulted, State::Published, Text::new("Both sides made it public.", "雙方公開。"), published)?;
    told.push((published, Happening::Publish(vec![heard, public])));
    if force <= now {
        let reason = Text::new("It has been public long enough.", "公開期滿生效。");
        told.push((force, Happening::Publish(vec![step(State::Published, State::Active, reason, force)?])));
    }
    Ok(())
}

/// What the personas agreed to, what happened to their data, and what they asked about it.
fn live(city: &City, now: Time, told: &mut Vec<(Time, Happening)>) {
    let today: Time = now.day().parse().unwrap_or(now);
    for (persona, person) in city.personas.iter().enumerate() {
        // Not everything at the stroke of midnight: consents in the morning, uses spread over the day.
        let minutes = persona as i64 * 17 * MINUTE;
        for consent in &person.consents {
            let at = today.plus(9 * HOUR + minutes - consent.days_ago * DAY);
            told.push((at, Happening::Consent { persona, consent: consent.clone() }));
        }
        for (number, used) in person.history.iter().enumerate() {
            let at = today.plus(10 * HOUR + minutes + (number as i64 * 37 % 360) * MINUTE - used.days_ago * DAY);
            told.push((at, Happening::Use { persona, used: used.clone() }));
        }
        for case in &person.cases {
            let at = |days_ago| today.plus(17 * HOUR + minutes - days_ago * DAY);
            told.push((at(case.days_ago), Happening::Case { persona, case: case.clone() }));
            if let Some(answer) = &case.answer {
                let happening = Happening::Answer { persona, mandate: case.mandate.clone(), answer: answer.clone() };
                told.push((at(answer.days_ago), happening));
            }
        }
    }
}

/// When a mandate's steps were taken: drafted when the comment period began, active on its first day or just now.
fn days(mandate: &Mandate, now: Time) -> MandateDays {
    let consulted = mandate.consultation.to.plus(9 * HOUR);
    let end = mandate.starts_at.min(now.plus(-HOUR));
    let gap = (end.micros() - consulted.micros()).max(0);
    MandateDays {
        draft: mandate.consultation.from.plus(9 * HOUR),
        consulted,
        approved: consulted.plus(gap / 4),
        published: consulted.plus(gap / 2),
        active: consulted.plus(gap / 4 * 3),
    }
}

/// A service opens the day before the first of its mandates begins, at the latest three days ago.
fn opening(body: &Value, starts: &BTreeMap<MandateId, Time>, begins: Time, now: Time) -> Time {
    let first = named(body).filter_map(|id| starts.get(&id)).min();
    first.map_or(begins, |first| first.plus(-14 * HOUR).min(now.plus(-3 * DAY)).max(begins))
}

/// The mandates that a service names.
fn named(body: &Value) -> impl Iterator<Item = MandateId> {
    let mandates = body["mandates"].as_array().map(Vec::as_slice).unwrap_or_default();
    mandates.iter().filter_map(|id| id.as_str()?.parse().ok())
}

/// A service as it was at a time: under the mandates that were drafted by then.
fn under(body: &Value, lives: &BTreeMap<MandateId, MandateDays>, at: Time) -> Value {
    let mut body = body.clone();
    if let Some(mandates) = body.get_mut("mandates").and_then(Value::as_array_mut) {
        let life = |id: &Value| lives.get(&id.as_str()?.parse().ok()?);
        mandates.retain(|id| life(id).is_none_or(|life| life.draft <= at));
    }
    body
}

/// A day that a file says for the demo alone, taken out of it.
pub(super) fn take_day(body: &mut Value, field: &str) -> Option<Time> {
    body.as_object_mut()?.remove(field)?.as_str()?.parse().ok()
}

pub(super) fn agency_of(id: &str, value: &Value) -> Result<AgencyId, Failure> {
    let named = value.as_str().and_then(|text| text.parse().ok());
    named.ok_or_else(|| Failure::refused(format!("`{id}` names no body that answers for it."), "Write one as `agc_library`."))
}

fn unlawful(id: &str, problems: &[usufruct_core::draft::Problem]) -> Failure {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    Failure::refused(format!("`{id}` is not lawful:\n{}\n", lines.join("\n")), "Correct every line and start again.")
}
