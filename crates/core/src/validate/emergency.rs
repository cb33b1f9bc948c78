//! Emergency: who may have a part in one, what it rests on, and how it goes on.

use super::mandate::was_published;
use super::{problem, unknown};
use crate::Time;
use crate::agency::AgencyKind;
use crate::agreement::Agreement;
use crate::condition::{EightConditions, Shown};
use crate::draft::Problem;
use crate::id::{AgencyId, MandateId};
use crate::lawpack::Duty;
use crate::mandate::{Mandate, MandateKind};
use crate::register::{Entry, Register};

/// A health authority found that the emergency needs the mandate.
pub(super) fn found_needed(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let Some(emergency) = &mandate.emergency else { return Vec::new() };
    let mut problems = Vec::new();
    let by = &emergency.finding.by;
    match register.agencies.get(by).map(|agency| agency.body.kind) {
        None => problems.push(unknown("emergency.finding.by", by, "agency")),
        Some(AgencyKind::HealthAuthority) => {}
        Some(_) => {
            let message = format!("`{by}` is no health authority. Name the one that found that the mandate is needed.");
            problems.push(problem("emergency.finding.by", "not-a-health-authority", message));
        }
    }
    if emergency.finding.at > at {
        let message = "Nothing has been found yet. Let the health authority look at it first, then publish.";
        problems.push(problem("emergency.finding.at", "future", message.into()));
    }
    problems
}

/// Only the body that watches a mandate can waive one of its conditions.
pub(super) fn waivers(mandate: &Mandate) -> Vec<Problem> {
    let eight = mandate.eight_conditions.iter();
    let foreign = eight.flat_map(EightConditions::waivers).filter(|(_, waiver)| waiver.by != mandate.oversight_body);
    foreign
        .map(|(field, waiver)| {
            let field = format!("eight_conditions.{field}.waived.by");
            let message = format!("`{}` does not watch this mandate. Name its oversight body.", waiver.by);
            problem(&field, "not-the-overseer", message)
        })
        .collect()
}

/// Statements that are named as evidence and are not there.
pub(super) fn unshown(register: &Register, mandate: &Mandate) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (field, condition) in mandate.eight_conditions.iter().flat_map(EightConditions::each) {
        for (i, shown) in condition.evidence().iter().enumerate() {
            let Shown::Statement { statement } = shown else { continue };
            if !register.has(statement) {
                let field = format!("eight_conditions.{field}.met.evidence[{i}].statement");
                problems.push(unknown(&field, statement, "statement"));
            }
        }
    }
    problems
}

/// An emergency goes on only after a new look at it, which cannot be older than what it looks at.
pub(super) fn renewal(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let Some(continues) = &mandate.continues else { return Vec::new() };
    let mut problems = Vec::new();
    let old = continues.parse().ok().and_then(|id: MandateId| register.mandates.get(&id));
    if old.is_none() {
        problems.push(unknown("continues", continues, "mandate"));
    }
    match &mandate.review {
        None => problems.push(problem(
            "review",
            "missing",
            "This mandate continues an emergency without a new review. Say when it was reviewed and what was found.".into(),
        )),
        Some(review) if review.at > at => {
            problems.push(problem("review.at", "future", "The review has not taken place. Review first, then publish.".into()))
        }
        Some(review) if old.is_some_and(|old| review.at <= old.body.starts_at) => problems.push(problem(
            "review.at",
            "old-review",
            "The review is older than the mandate it reviews. Review that mandate anew.".into(),
        )),
        Some(_) => {}
    }
    let (count, limit) = renewals(register, mandate);
    if let Some(limit) = limit.filter(|limit| count > *limit) {
        let message = format!(
            "The first mandate of this emergency lets {limit} others continue it, and this one would be number {count}. Let it end, or find another basis."
        );
        problems.push(problem("continues", "too-often", message));
    }
    problems
}

/// Where this mandate would have a block longer than another emergency mandate without continuing it, so that no review would be asked for and
/// no renewal counted: under the number of the same emergency, or of the same controller while one emergency can last.
pub(super) fn not_continued(register: &Register, id: &MandateId, mandate: &Mandate, at: Time) -> Vec<Problem> {
    if mandate.kind != MandateKind::Emergency {
        return Vec::new();
    }
    let longest = register.law(&mandate.controller, at).within(Duty::EmergencyLongest);
    let number = |mandate: &Mandate| mandate.emergency.as_ref().map(|emergency| emergency.id.clone());
    let is_same = |other: &Mandate| {
        let is_near = other.controller == mandate.controller && mandate.starts_at < other.sunset_at.plus(longest);
        other.kind == MandateKind::Emergency && (is_near || number(other) == number(mandate))
    };
    let before = register.mandates.iter().filter(|(other, entry)| *other != id && was_published(entry) && is_same(&entry.body));
    let before: Vec<(&MandateId, &Mandate)> = before.map(|(other, entry)| (other, &entry.body)).collect();
    let continued = before_it(register, mandate);
    let mut problems: Vec<Problem> = Vec::new();
    for asked in &mandate.blocks {
        let had = || before.iter().filter(|(_, other)| other.asked(&asked.block).is_some());
        let Some(until) = had().map(|(_, other)| other.sunset_at).max().filter(|until| *until < mandate.sunset_at) else {
            continue;
        };
        let mut last = had().filter(|(_, other)| other.sunset_at == until);
        if let Some((other, _)) = last.clone().next()
            && !last.any(|(other, _)| continued.contains(other))
        {
            let message = format!(
                "`{other}` has `{}` in an emergency until {}, and this mandate would have it longer. Name that one in `continues`, with a new review.",
                asked.block,
                until.day()
            );
            problems.push(problem("continues", "not-continued", message));
        }
    }
    problems
}

/// How many mandates of an emergency this one comes after, and what the first of them says of its renewal.
fn renewals(register: &Register, mandate: &Mandate) -> (i64, Option<i64>) {
    let before = before_it(register, mandate);
    let first = before.last().and_then(|id| register.mandates.get(id)).map_or(mandate, |entry| &entry.body);
    let count = i64::try_from(before.len()).unwrap_or(i64::MAX);
    (count, first.emergency.as_ref().map(|emergency| emergency.renewal_limit))
}

/// The emergency mandates that this one continues, the last one first. A chain that runs in a ring ends where it began.
fn before_it(register: &Register, mandate: &Mandate) -> Vec<MandateId> {
    let (mut first, mut before) = (mandate, Vec::new());
    while let Some(id) = first.continues.as_ref().and_then(|id| id.parse::<MandateId>().ok()) {
        let Some(entry) = register.mandates.get(&id).filter(|entry| entry.body.kind == MandateKind::Emergency) else { break };
        if before.contains(&id) {
            break;
        }
        before.push(id);
        first = &entry.body;
    }
    before
}

/// Agreements about a mandate to which a security body is a party.
pub(super) fn agreed_with_security(register: &Register, id: &MandateId) -> bool {
    let is_security = |party: &AgencyId| {
        register.agencies.get(party).is_some_and(|agency| agency.body.kind == AgencyKind::SecurityOrIntelligence)
    };
    let about = |agreement: &&Entry<Agreement>| agreement.body.mandates.contains(id) && !agreement.state.is_over();
    register.agreements.values().filter(about).any(|agreement| agreement.body.parties.iter().any(is_security))
}
