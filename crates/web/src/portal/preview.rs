//! Dry run: what would this service get about me?

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{OwnDeposit, Preview};
use usufruct_core::decide::Clause;
use usufruct_core::event::Form;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::mandate::Necessity;
use usufruct_core::register::Register;

use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewPage {
    page: Page,
    services: Vec<(ServiceId, String)>,
    chosen: Option<ServiceId>,
    /// The chosen service.
    about: Option<About>,
    previews: Vec<Shown>,
}

struct About {
    name: String,
    agency: String,
}

struct Shown {
    title: String,
    purpose: String,
    mandate: String,
    blocks: Vec<ShownBlock>,
    clauses: Vec<Clause>,
}

struct ShownBlock {
    name: String,
    form: Form,
    is_required: bool,
    value: String,
    deposits: Vec<OwnDeposit>,
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    service: Option<ServiceId>,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(choice): Query<Choice>,
) -> Result<Response, Fault> {
    let register = site.app.register();
    let active = register.services.iter().filter(|(_, entry)| entry.state == Stage::Active);
    let services = active.map(|(id, entry)| (id.clone(), page.text(&entry.body.name).to_owned())).collect();
    let previews = match choice.service.clone() {
        Some(service) => blocking(&site, move |app| app.preview(session.resident, &service)).await?,
        None => Vec::new(),
    };
    let about = choice.service.as_ref().and_then(|id| {
        let entry = register.services.get(id)?;
        let agency = register.agencies.get(&entry.body.agency)?;
        Some(About { name: page.text(&entry.body.name).to_owned(), agency: page.text(&agency.body.legal_name).to_owned() })
    });
    let previews = previews.iter().filter_map(|preview| shown(&register, &page, preview)).collect();
    Ok(show(&PreviewPage { page, services, chosen: choice.service, about, previews }))
}

fn shown(register: &Register, page: &Page, preview: &Preview) -> Option<Shown> {
    let entry = register.mandates.get(&preview.mandate)?;
    let blocks = preview.blocks.iter().map(|block| ShownBlock {
        name: register.blocks.get(&block.block).map_or_else(String::new, |entry| page.text(&entry.body.name).to_owned()),
        form: block.form,
        is_required: block.necessity == Necessity::Required,
        value: block.value.clone().unwrap_or_default(),
        deposits: block.deposits.clone(),
    });
    Some(Shown {
        title: page.text(&entry.body.title).to_owned(),
        purpose: page.text(&entry.body.purpose.sentence).to_owned(),
        mandate: entry.id.clone(),
        blocks: blocks.collect(),
        clauses: preview.clauses.clone(),
    })
}
