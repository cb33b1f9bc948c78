//! What ends, or is due to be looked at again, in a quarter of a year.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::id::AgencyId;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::Month;

use super::derived::{Basis, Row};
use super::export::csv_of;
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

/// A quarter of a year in Taipei, counted from the first of 2020.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quarter(u16);

#[derive(Template)]
#[template(path = "ending.html")]
struct EndingPage {
    page: Page,
    basis: Basis,
    /// As `2026-Q4`.
    quarter: String,
    before: Option<String>,
    after: String,
    from: Time,
    /// Its last moment.
    to: Time,
    ends: Vec<(End, Link, Option<Link>)>,
}

/// Which quarter is asked for.
#[derive(Deserialize)]
pub(super) struct Asked {
    quarter: Option<String>,
}

/// One end or due date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct End {
    at: Time,
    what: What,
    #[serde(rename = "type")]
    kind: StatementKind,
    id: String,
    /// Who answers for it.
    agency: Option<AgencyId>,
    /// Leaf of the revision that says so.
    leaf: Option<u64>,
}

/// What happens on the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// It ends.
    End,
    /// It is looked at again.
    Review,
    /// A condition of an emergency was waived until then.
    Waiver,
    /// A vendor is looked at again.
    Check,
    /// The last evidence of what a vendor is able to do ends.
    Evidence,
    /// A body is audited again.
    Audit,
}

impl Quarter {
    fn of(time: Time) -> Self {
        Self(Month::of(time).0 / 3)
    }

    /// Reads `2026-Q4`.
    fn read(text: &str) -> Option<Self> {
        let (year, number) = text.split_once("-Q")?;
        let (year, number): (u16, u16) = (year.parse().ok()?, number.parse().ok()?);
        let count = year.checked_sub(2020)?.checked_mul(4)?.checked_add(number.checked_sub(1)?)?;
        Some(Self(count)).filter(|read| read.to_string() == text && count < u16::MAX / 3)
    }

    fn begins(self) -> Time {
        Month(self.0 * 3).begins()
    }

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Quarter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-Q{}", 2020 + self.0 / 4, self.0 % 4 + 1)
    }
}

impl What {
    fn code(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Review => "review",
            Self::Waiver => "waiver",
            Self::Check => "check",
            Self::Evidence => "evidence",
            Self::Audit => "audit",
        }
    }

    fn words(self, page: &Page) -> String {
        match self {
            Self::End => fl!(page.messages, "ending-end"),
            Self::Review => fl!(page.messages, "ending-review"),
            Self::Waiver => fl!(page.messages, "ending-waiver"),
            Self::Check => fl!(page.messages, "ending-check"),
            Self::Evidence => fl!(page.messages, "ending-evidence"),
            Self::Audit => fl!(page.messages, "ending-audit"),
        }
    }
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let (basis, register) = Basis::now(&site).await?;
    let quarter = quarter(&site, asked.quarter.as_deref())?;
    let link = |end: End| {
        let agency = end.agency.as_ref().map(|agency| Link::agency(&register, &page, agency));
        (end.clone(), Link::object(&register, &page, end.kind, &end.id), agency)
    };
    let ends = ends(&register, quarter).into_iter().map(link).collect();
    Ok(show(&EndingPage {
        basis,
        quarter: quarter.to_string(),
        before: quarter.0.checked_sub(1).map(|before| Quarter(before).to_string()),
        after: quarter.next().to_string(),
        from: quarter.begins(),
        to: quarter.next().begins().plus(-1),
        ends,
        page,
    }))
}

pub(super) async fn json(State(site): State<Arc<Site>>, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let quarter = quarter(&site, asked.quarter.as_deref())?;
    Ok(open_json(&json!({ "quarter": quarter.to_string(), "ends": ends(&site.app.register(), quarter) })))
}

pub(super) async fn csv(State(site): State<Arc<Site>>, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let quarter = quarter(&site, asked.quarter.as_deref())?;
    let lines = ends(&site.app.register(), quarter).into_iter().map(|end| {
        let agency = end.agency.map(|agency| agency.to_string()).unwrap_or_default();
        vec![
            end.at.to_string(),
            end.what.code().to_owned(),
            end.id,
            agency,
            end.leaf.map(|leaf| leaf.to_string()).unwrap_or_default(),
        ]
    });
    csv_of(&["at", "what", "id", "agency", "leaf"], lines)
}

/// One row for each end, which is as old as the revision that says so.
pub(super) fn rows(site: &Site, page: &Page, asked: Option<&str>) -> Result<Vec<Row>, Fault> {
    let (register, quarter) = (site.app.register(), quarter(site, asked)?);
    let row = |end: End| {
        let object = Link::object(&register, page, end.kind, &end.id);
        let since = register.outline(end.kind, &end.id).and_then(|outline| outline.history.last()).map(|step| step.at);
        Row {
            id: format!("{}-{}-{}", end.id, end.what.code(), end.at.day()),
            title: format!("{}: {}", page.thing(&end.kind), object.words),
            summary: format!("{}: {}", end.what.words(page), page.day(&end.at)),
            at: since.unwrap_or(end.at),
            about: object.to,
            leaves: end.leaf.into_iter().collect(),
            cells: vec![
                ("at", json!(end.at)),
                ("what", json!(end.what)),
                ("type", json!(end.kind)),
                ("id", json!(end.id)),
                ("agency", json!(end.agency)),
            ],
        }
    };
    Ok(ends(&register, quarter).into_iter().map(row).collect())
}

/// The quarter that is asked for; this one where none is.
fn quarter(site: &Site, asked: Option<&str>) -> Result<Quarter, Fault> {
    match asked {
        None => Ok(Quarter::of(site.app.now())),
        Some(text) => Quarter::read(text).ok_or_else(|| Fault::not_found("quarter")),
    }
}

/// Everything of the quarter, in the order of the days.
fn ends(register: &Register, quarter: Quarter) -> Vec<End> {
    let mut all = Vec::new();
    let mut note = |at: Time, what, kind, id: &str, agency: Option<&AgencyId>| {
        if (quarter.begins()..quarter.next().begins()).contains(&at) {
            let leaf = register.outline(kind, id).map(|outline| outline.index);
            all.push(End { at, what, kind, id: id.to_owned(), agency: agency.cloned(), leaf });
        }
    };
    for entry in register.mandates.values().filter(|entry| entry.state != Stage::Revoked) {
        let controller = Some(&entry.body.controller);
        note(entry.body.sunset_at, What::End, StatementKind::Mandate, &entry.id, controller);
        for (_, waiver) in entry.body.eight_conditions.iter().flat_map(|eight| eight.waivers()) {
            note(waiver.until, What::Waiver, StatementKind::Mandate, &entry.id, controller);
        }
    }
    for entry in register.agreements.values().filter(|entry| entry.state != Stage::Revoked) {
        let first = entry.body.parties.first();
        note(entry.body.sunset_at, What::End, StatementKind::Agreement, &entry.id, first);
        note(entry.body.review_due, What::Review, StatementKind::Agreement, &entry.id, first);
    }
    for entry in register.contracts.values() {
        let controller = Some(&entry.body.controller);
        note(entry.body.until, What::End, StatementKind::Contract, &entry.id, controller);
        if matches!(entry.state, Stage::Active | Stage::Suspended) {
            note(register.check_due(entry), What::Check, StatementKind::Contract, &entry.id, controller);
            if let Some(until) = entry.body.proven_until() {
                note(until, What::Evidence, StatementKind::Contract, &entry.id, controller);
            }
        }
    }
    for entry in register.assessments.values() {
        let mandate = register.mandates.get(&entry.body.mandate);
        let open = mandate.filter(|mandate| !mandate.state.is_over());
        if let Some(mandate) = open {
            let controller = Some(&mandate.body.controller);
            note(entry.body.review_due, What::Review, StatementKind::Assessment, &entry.id, controller);
        }
    }
    for (id, entry) in register.body_audits.iter().filter(|(id, entry)| register.is_latest_audit(id, entry)) {
        note(entry.body.next_due, What::Audit, StatementKind::BodyAudit, id.as_str(), Some(&entry.body.auditor));
    }
    for entry in register.cameras.values().filter(|entry| !entry.state.is_over()) {
        if let Some(until) = entry.body.permit_until {
            note(until, What::End, StatementKind::Camera, &entry.id, Some(&entry.body.authority));
        }
    }
    for entry in register.lawpacks.values() {
        if let Some(until) = entry.body.valid_until {
            note(until, What::End, StatementKind::Lawpack, &entry.id, None);
        }
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_those_of_taipei() {
        let of = |text: &str| Quarter::of(text.parse().unwrap()).to_string();
        assert_eq!((of("2026-09-30T15:59:59Z"), of("2026-09-30T16:00:00Z")), ("2026-Q3".into(), "2026-Q4".into()));
        let quarter = Quarter::read("2026-Q4").unwrap();
        assert_eq!(quarter.begins().day(), "2026-10-01");
        assert_eq!(quarter.next().to_string(), "2027-Q1");
        for bad in ["2026-Q5", "2026-Q0", "2019-Q4", "2026-4", "02026-Q1", "2026-Q01", "99999-Q1", ""] {
            assert_eq!(Quarter::read(bad), None, "{bad}");
        }
    }
}
