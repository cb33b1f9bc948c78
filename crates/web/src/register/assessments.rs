//! The impact assessment of a mandate, as far as it is public: all of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::assessment::{Assessment, Decision, RiskKind, holding};
use usufruct_core::id::MandateId;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "assessments.html")]
struct AssessmentsPage {
    page: Page,
    assessments: Vec<ShownAssessment>,
}

/// An assessment as the list has it.
struct ShownAssessment {
    entry: Entry<Assessment>,
    mandate: Link,
    /// Whether it is the one by which its mandate is judged now.
    holds: bool,
    /// Whether it should have been looked at again by now.
    is_overdue: bool,
}

#[derive(Template)]
#[template(path = "assessment.html")]
struct AssessmentPage {
    page: Page,
    mandate: Link,
    entry: Entry<Assessment>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let (id, entry) = of(&register, &id)?;
    let mandate = register.mandates.get(&id).ok_or_else(|| Fault::not_found("mandate"))?;
    Ok(show(&AssessmentPage { mandate: Link::mandate(&page, mandate), page, entry: entry.clone() }))
}

pub(super) async fn json(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Fault> {
    Ok(open_json(of(&site.app.register(), &id)?.1))
}

/// All of them: first those that hold, by the day on which they are looked at again.
pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let shown = |entry: &Entry<Assessment>| {
        let mandate = register.mandates.get(&entry.body.mandate).filter(|mandate| !mandate.state.is_over());
        let held = mandate.and_then(|mandate| holding(&register, mandate));
        let holds = held.is_some_and(|held| held.id == entry.id);
        ShownAssessment {
            mandate: Link::object(&register, &page, StatementKind::Mandate, entry.body.mandate.as_str()),
            is_overdue: holds && entry.body.review_due <= now,
            holds,
            entry: entry.clone(),
        }
    };
    let mut assessments: Vec<_> = register.assessments.values().map(shown).collect();
    assessments.sort_by_key(|shown| (!shown.holds, shown.entry.body.review_due));
    show(&AssessmentsPage { page, assessments })
}

pub(super) async fn all_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().assessments)
}

/// The assessment that holds for the present revision of a mandate.
fn of<'a>(register: &'a Register, id: &str) -> Result<(MandateId, &'a Entry<Assessment>), Fault> {
    let id: MandateId = id.parse().map_err(|_| Fault::not_found("mandate"))?;
    let mandate = register.mandates.get(&id).ok_or_else(|| Fault::not_found("mandate"))?;
    let held = holding(register, mandate).ok_or_else(|| Fault::not_found("assessment"))?;
    Ok((id, held))
}

impl Page {
    /// A risk to people.
    pub fn risk(&self, kind: &RiskKind) -> String {
        match kind {
            RiskKind::Chilling => fl!(self.messages, "risk-chilling"),
            RiskKind::Discrimination => fl!(self.messages, "risk-discrimination"),
            RiskKind::Error => fl!(self.messages, "risk-error"),
            RiskKind::Exclusion => fl!(self.messages, "risk-exclusion"),
            RiskKind::FunctionCreep => fl!(self.messages, "risk-function-creep"),
        }
    }

    /// What came of an assessment.
    pub fn assessment_decision(&self, decision: &Decision) -> String {
        match decision {
            Decision::Continue => fl!(self.messages, "assessment-continue"),
            Decision::NotContinue => fl!(self.messages, "assessment-not-continue"),
            Decision::PriorConsultation => fl!(self.messages, "assessment-prior-consultation"),
        }
    }
}
