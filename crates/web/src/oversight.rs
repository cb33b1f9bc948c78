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
use usufruct_core::agency::{Agency, AgencyKind};
use usufruct_core::id::AgencyId;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::order::Standing;
use usufruct_core::register::Entry;

use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::register::oversight::{ShownMeeting, ShownOrder, shown_meetings, shown_orders};

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
                id: mandate.id.clone(),
            }
        })
        .collect();
    let own = shown_orders(&register, &page, now, |order| order.body == id);
    let (overdue, orders) = own.into_iter().partition(|order| order.standing == Standing::Overdue);
    let meetings = shown_meetings(&register, &page, |meeting| meeting.body == id);
    Ok(show(&DeskPage { page, body, mandates, overdue, orders, meetings }))
}
