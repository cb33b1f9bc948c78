//! The oversight desk: what one body oversees, what it ordered, who is late, and drafts that its people sign with the command line.
//!
//! Everything on it stands in the public register, so it asks for no sign-in. It changes nothing: an order is a signed statement.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use i18n_embed_fl::fl;
use usufruct_app::BrakeView;
use usufruct_core::agency::{Agency, AgencyKind};
use usufruct_core::audit::Audit;
use usufruct_core::id::AgencyId;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::order::{Standing, Target};
use usufruct_core::register::{Entry, Register};

use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::register::counting::{ShownBrake, ShownIncident, shown_brake, shown_incidents};
use crate::register::oversight::{ShownMeeting, ShownOrder, shown_meetings, shown_orders};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "oversight.html")]
struct BodiesPage {
    page: Page,
    bodies: Vec<Body>,
}

struct Body {
    id: String,
    name: String,
    mandates: usize,
    overdue: usize,
}

#[derive(Template)]
#[template(path = "desk.html")]
struct DeskPage {
    page: Page,
    body: Entry<Agency>,
    mandates: Vec<Overseen>,
    overdue: Vec<ShownOrder>,
    orders: Vec<ShownOrder>,
    meetings: Vec<ShownMeeting>,
    incidents: Vec<ShownIncident>,
    brakes: Vec<Braked>,
    recounts: Vec<Recounted>,
}

/// Officials whom the brake has stopped, or whose decisions drift.
struct Braked {
    shown: ShownBrake,
    /// An order to release them, as a file for the command line; none where nothing is stopped.
    draft: Option<String>,
    command: String,
}

/// A recount that the body has published.
struct Recounted {
    mandate: String,
    title: String,
    entry: Entry<Audit>,
}

/// A mandate that the body oversees.
struct Overseen {
    id: String,
    title: String,
    state: Stage,
    is_ordered: bool,
    /// Conditions that are waived for now.
    waivers: usize,
    /// An order to suspend it, as a file for the command line.
    draft: String,
    command: String,
    /// How the body recounts its uses; none without an audit key.
    recount: Option<String>,
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new().route("/oversight", get(bodies)).route("/oversight/{id}", get(desk))
}

async fn bodies(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let overseers = register.agencies.values().filter(|entry| entry.body.kind == AgencyKind::Oversight);
    let bodies = overseers
        .map(|entry| Body {
            id: entry.id.clone(),
            name: page.text(&entry.body.legal_name).to_owned(),
            mandates: register.mandates.values().filter(|mandate| mandate.body.oversight_body.as_str() == entry.id).count(),
            overdue: register.overdue_orders(now).filter(|order| order.body.body.as_str() == entry.id).count(),
        })
        .collect();
    show(&BodiesPage { page, bodies })
}

async fn desk(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let stopped = blocking(&site, |app| app.brakes()).await?;
    let (register, now) = (site.app.register(), site.app.now());
    let id: AgencyId = id.parse().map_err(|_| Fault::not_found("oversight body"))?;
    let body = register.agencies.get(&id).filter(|entry| entry.body.kind == AgencyKind::Oversight);
    let body = body.ok_or_else(|| Fault::not_found("oversight body"))?.clone();
    let overseen = register.mandates.values().filter(|mandate| mandate.body.oversight_body == id);
    let mandates = overseen
        .map(|mandate| {
            let file = format!("suspend-{}.toml", mandate.id.trim_start_matches("mdt_"));
            let eight = mandate.body.eight_conditions.iter();
            Overseen {
                title: page.text(&mandate.body.title).to_owned(),
                state: mandate.state,
                is_ordered: register.binding(&mandate.id, now).next().is_some(),
                waivers: eight.flat_map(|eight| eight.waivers()).filter(|(_, waiver)| now < waiver.until).count(),
                draft: format!(
                    "body = \"{id}\"\nkind = \"suspend\"\ntarget = \"{}\"\nreasons = {{ en = \"\", zh-Hant = \"\" }}\n",
                    mandate.id
                ),
                command: format!("usufruct publish order {file} --key FIRST --key SECOND --data-dir DIR"),
                recount: mandate.body.audit_key.as_ref().map(|_| {
                    format!(
                        "usufruct audit draw {} --until TIME --out DRAW --key FIRST --key SECOND --data-dir DIR\nusufruct audit recount --draw DRAW --audit-key FILE --key FIRST --key SECOND --data-dir DIR",
                        mandate.id
                    )
                }),
                id: mandate.id.clone(),
            }
        })
        .collect();
    let own = shown_orders(&register, &page, now, |order| order.body == id);
    let (overdue, orders) = own.into_iter().partition(|order| order.standing == Standing::Overdue);
    let meetings = shown_meetings(&register, &page, |meeting| meeting.body == id);
    let incidents = shown_incidents(&register, &page, |incident| {
        let mandate = register.mandates.get(&incident.mandate);
        incident.ended_at.is_none() && mandate.is_some_and(|mandate| mandate.body.oversight_body == id)
    });
    let brakes = stopped.into_iter().filter_map(|view| braked(&register, &page, &id, view)).collect();
    let recounts = recounts(&register, &page, &id);
    Ok(show(&DeskPage { page, body, mandates, overdue, orders, meetings, incidents, brakes, recounts }))
}

/// What the brake says, where the body may release it: decisions under a mandate that it oversees, or of clerks who serve one.
fn braked(register: &Register, page: &Page, id: &AgencyId, view: BrakeView) -> Option<Braked> {
    let of_mandate = view.reason.split(' ').next().and_then(|first| first.parse().ok()).map(Target::Mandate);
    let target = of_mandate.unwrap_or_else(|| Target::Agency(view.body.clone()));
    if !target.is_overseen(register, id) {
        return None;
    }
    let draft = view.stopped_on.map(|_| {
        format!(
            "body = \"{id}\"\nkind = \"release\"\ntarget = \"{target}\"\nstrata = [\"{}\"]\nreasons = {{ en = \"\", zh-Hant = \"\" }}\n",
            view.mark
        )
    });
    let command = "usufruct publish order release.toml --key FIRST --key SECOND --data-dir DIR".to_owned();
    Some(Braked { shown: shown_brake(register, page, view), draft, command })
}

/// The recounts that the body has published, the newest first.
fn recounts(register: &Register, page: &Page, id: &AgencyId) -> Vec<Recounted> {
    let mut all: Vec<Recounted> = register
        .audits
        .values()
        .filter_map(|entry| {
            let mandate = register.mandates.get(&entry.body.recount.as_ref()?.mandate)?;
            (mandate.body.oversight_body == *id).then(|| Recounted {
                mandate: mandate.id.clone(),
                title: page.text(&mandate.body.title).to_owned(),
                entry: entry.clone(),
            })
        })
        .collect();
    all.sort_by_key(|recounted| std::cmp::Reverse(recounted.entry.index));
    all
}
