//! Cases: file one from a footprint line in two clicks or about a service, see where each stands, and take an answer to the overseer.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{About, Actor, CaseRequest, CaseTerm, FiledCase, OpenSession};
use usufruct_core::Time;
use usufruct_core::case::{CaseKind, CaseState, Ground, Relief, Remedy};
use usufruct_core::delegation::Power;
use usufruct_core::id::{CaseId, ServiceId};
use usufruct_core::lifecycle::State as Stage;

use super::footprint::{Row, describe, rows};
use super::{looked, see};
use crate::Site;
use crate::fault::Fault;
use crate::form::{CheckedOfAnybody, Empty};
use crate::page::{Page, render, show};
use crate::session::Anybody;
use crate::site::blocking;

/// Longest text, in characters.
const MOST_CHARACTERS: usize = 2_000;

#[derive(Template)]
#[template(path = "file-case.html")]
struct FilePage {
    page: Page,
    /// The line it is about; `None` for a case about a service or the pass.
    row: Option<Row>,
    /// Services to choose from, where it is about no line.
    services: Vec<(ServiceId, String)>,
    chosen: Option<ServiceId>,
    /// What she can ask for. Each is a button that sends.
    terms: Vec<CaseTerm>,
    /// What was sent that could not be taken.
    said: Said,
    wrong: Option<Wrong>,
}

/// What she said beside what she asks for.
#[derive(Clone, Default)]
struct Said {
    words: String,
    ground: Option<Ground>,
    relief: Option<Relief>,
}

/// Why a form comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// The ground does not go with what she asks for.
    Ground,
    /// The text is too long.
    Words,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    page: Page,
    cases: Vec<ShownCase>,
}

struct ShownCase {
    filed: FiledCase,
    /// Who has to answer.
    office: String,
    overseer: String,
    /// What it is about, in words.
    title: String,
    state: CaseState,
    is_complaint_possible: bool,
    /// When the page was made.
    now: Time,
}

impl FilePage {
    fn grounds(&self) -> [Ground; 12] {
        Ground::WORDS.map(|(_, ground)| ground)
    }

    fn reliefs(&self) -> [Relief; 5] {
        Relief::WORDS.map(|(_, relief)| relief)
    }
}

impl ShownCase {
    fn is_open(&self) -> bool {
        self.filed.case.is_open()
    }

    fn is_answered(&self) -> bool {
        self.state == CaseState::Answered
    }

    /// Whether the office has let the day go by on which it should have said that it has it.
    fn is_unacknowledged(&self) -> bool {
        let case = &self.filed.case;
        case.acknowledged_at.is_none() && case.is_acknowledged_late(self.now)
    }

    /// Whether the overseer sees that it was filed, and none of its words.
    fn is_watched(&self) -> bool {
        let FiledCase { agency, overseer, case, .. } = &self.filed;
        case.is_with_office() && overseer.is_some() && overseer != agency
    }

    /// Whether she corrects it herself, on the page of her data.
    fn is_to_correct(&self) -> bool {
        self.filed.case.remedy == Some(Remedy::Correct) && self.filed.case.awaits_remedy()
    }
}

pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    page: Page,
    Anybody(session): Anybody,
    Path(n): Path<u64>,
) -> Result<Response, Fault> {
    may_file(&session, &About::Line(n))?;
    Ok(show(&line_page(&site, page, &session, n, (Said::default(), None)).await?))
}

#[derive(Deserialize)]
pub(crate) struct Filed {
    kind: String,
    words: String,
    /// Why, and what she wants to come of it: words of the lists, or nothing.
    #[serde(default)]
    ground: String,
    #[serde(default)]
    relief: String,
    /// Where it is about no line: the id of a service, or nothing for the pass.
    #[serde(default)]
    service: String,
}

pub(crate) async fn file(
    State(site): State<Arc<Site>>,
    page: Page,
    Path(n): Path<u64>,
    CheckedOfAnybody(session, form): CheckedOfAnybody<Filed>,
) -> Result<Response, Fault> {
    let about = About::Line(n);
    let actor = may_file(&session, &about)?;
    let (kind, said, wrong) = read(&form)?;
    if wrong.is_some() {
        let content = line_page(&site, page, &session, n, (said, wrong)).await?;
        return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content));
    }
    let asked = CaseRequest::new(about, kind, said.words).asking(said.ground, said.relief);
    blocking(&site, move |app| app.file_case(actor, &asked)).await?;
    see("/me/cases")
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    service: Option<String>,
}

/// A case about no line: she was turned away, or something else went wrong.
pub(crate) async fn ask(
    State(site): State<Arc<Site>>,
    page: Page,
    Anybody(session): Anybody,
    Query(choice): Query<Choice>,
) -> Result<Response, Fault> {
    may_file(&session, &About::Pass)?;
    let chosen = choice.service.and_then(|id| id.parse().ok());
    Ok(show(&open_page(&site, page, &session, chosen, (Said::default(), None)).await?))
}

pub(crate) async fn file_open(
    State(site): State<Arc<Site>>,
    page: Page,
    CheckedOfAnybody(session, form): CheckedOfAnybody<Filed>,
) -> Result<Response, Fault> {
    let service: Option<ServiceId> = match form.service.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|_| Fault::bad_form())?),
    };
    let about = service.clone().map_or(About::Pass, About::Service);
    let actor = may_file(&session, &about)?;
    let (kind, said, wrong) = read(&form)?;
    if wrong.is_some() {
        let content = open_page(&site, page, &session, service, (said, wrong)).await?;
        return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content));
    }
    let asked = CaseRequest::new(about, kind, said.words).asking(said.ground, said.relief);
    blocking(&site, move |app| app.file_case(actor, &asked)).await?;
    see("/me/cases")
}

#[derive(Deserialize)]
pub(crate) struct Words {
    words: String,
}

/// She does not agree with an answer.
pub(crate) async fn complain(
    State(site): State<Arc<Site>>,
    Path(id): Path<CaseId>,
    CheckedOfAnybody(session, form): CheckedOfAnybody<Words>,
) -> Result<Response, Fault> {
    let actor = session.actor(&[Power::Cases])?;
    let words = plain(&form.words);
    blocking(&site, move |app| app.complain(actor, &id, &words)).await?;
    see("/me/cases")
}

/// She accepts an answer.
pub(crate) async fn settle(
    State(site): State<Arc<Site>>,
    Path(id): Path<CaseId>,
    CheckedOfAnybody(session, Empty {}): CheckedOfAnybody<Empty>,
) -> Result<Response, Fault> {
    let actor = session.actor(&[Power::Cases])?;
    blocking(&site, move |app| app.settle(actor, &id)).await?;
    see("/me/cases")
}

pub(crate) async fn list(State(site): State<Arc<Site>>, page: Page, Anybody(session): Anybody) -> Result<Response, Fault> {
    let resident = looked(&site, &session, Power::Cases).await?;
    let (cases, footprint) = blocking(&site, move |app| Ok((app.cases(resident)?, app.footprint(resident)?))).await?;
    let register = site.app.register();
    let (mut rows, now) = (rows(&register, &page, &footprint), site.app.now());
    let office = |id: Option<&usufruct_core::id::AgencyId>| {
        let entry = id.and_then(|id| register.agencies.get(id));
        entry.map(|entry| page.text(&entry.body.legal_name).to_owned()).unwrap_or_default()
    };
    let cases = cases
        .into_iter()
        .map(|filed| {
            let row = rows.iter().position(|row| filed.line == Some(row.n)).map(|at| rows.swap_remove(at));
            let service = filed.service.as_ref().and_then(|id| register.services.get(id));
            let title = match (row.filter(Row::is_asked), service) {
                (Some(row), _) => format!("{}: {}", row.who, row.why),
                (None, Some(service)) => page.text(&service.body.name).to_owned(),
                (None, None) => office(filed.agency.as_ref()),
            };
            ShownCase {
                office: office(filed.agency.as_ref()),
                overseer: office(filed.overseer.as_ref()),
                title,
                is_complaint_possible: filed.overseer.is_some() && filed.case.complain_until.is_none_or(|until| now < until),
                now,
                state: filed.case.state(),
                filed,
            }
        })
        .collect();
    Ok(show(&CasesPage { page, cases }))
}

/// To file a case about a line, a delegate has to see it and to be given cases; about anything else, to be given cases.
fn may_file(session: &OpenSession, about: &About) -> Result<Actor, Fault> {
    let powers: &[Power] = if matches!(about, About::Line(_)) { &[Power::Footprint, Power::Cases] } else { &[Power::Cases] };
    Ok(session.actor(powers)?)
}

/// What was sent, and what is wrong with it.
fn read(form: &Filed) -> Result<(CaseKind, Said, Option<Wrong>), Fault> {
    let kind = CaseKind::from_code(&form.kind).ok_or_else(Fault::bad_form)?;
    let said = Said {
        words: plain(&form.words),
        ground: chosen(&form.ground, Ground::from_code)?,
        relief: chosen(&form.relief, Relief::from_code)?,
    };
    let wrong = if said.words.chars().count() > MOST_CHARACTERS {
        Some(Wrong::Words)
    } else {
        said.ground.and_then(|ground| ground.require_for(kind).err()).map(|_| Wrong::Ground)
    };
    Ok((kind, said, wrong))
}

/// One of a list, or nothing.
fn chosen<T>(code: &str, from_code: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
    if code.is_empty() { Ok(None) } else { from_code(code).map(Some).ok_or_else(Fault::bad_form) }
}

/// Browsers count a line break as one character and send two.
fn plain(words: &str) -> String {
    words.replace("\r\n", "\n").trim().to_owned()
}

async fn line_page(
    site: &Arc<Site>,
    page: Page,
    session: &OpenSession,
    n: u64,
    (said, wrong): (Said, Option<Wrong>),
) -> Result<FilePage, Fault> {
    let resident = looked(site, session, Power::Footprint).await?;
    let look = move |app: &usufruct_app::App| Ok((app.footprint(resident)?, app.case_terms(resident, &About::Line(n))?));
    let (footprint, terms) = blocking(site, look).await?;
    let line = footprint.lines.iter().find(|line| line.n == n).ok_or_else(|| Fault::not_found("line in your footprint"))?;
    let row = Some(describe(&site.app.register(), &page, line));
    Ok(FilePage { page, row, services: Vec::new(), chosen: None, terms, said, wrong })
}

async fn open_page(
    site: &Arc<Site>,
    page: Page,
    session: &OpenSession,
    chosen: Option<ServiceId>,
    (said, wrong): (Said, Option<Wrong>),
) -> Result<FilePage, Fault> {
    let register = site.app.register();
    let is_there = |stage: Stage| matches!(stage, Stage::Active | Stage::Suspended);
    let there = register.services.iter().filter(|(_, entry)| is_there(entry.state));
    let mut services: Vec<_> = there.map(|(id, entry)| (id.clone(), page.text(&entry.body.name).to_owned())).collect();
    services.sort_by(|one, other| one.1.cmp(&other.1));
    let (resident, about) = (session.person(), chosen.clone().map_or(About::Pass, About::Service));
    let mut terms = blocking(site, move |app| app.case_terms(resident, &about)).await?;
    // Where nothing was used there is no use to challenge.
    terms.retain(|term| term.kind != CaseKind::Challenge);
    terms.sort_by_key(|term| term.kind != CaseKind::Complaint);
    Ok(FilePage { page, row: None, services, chosen, terms, said, wrong })
}
