//! Mandates: active, coming, ending soon, ended with certificate.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::id::MandateId;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::mandate::{Mandate, MandateKind, Necessity};
use usufruct_core::notice::Notice;
use usufruct_core::register::{Entry, Register};
use usufruct_core::time::DAY;

use super::open_json;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage {
    page: Page,
    groups: Vec<Group>,
}

struct Group {
    code: &'static str,
    mandates: Vec<Shown>,
}

struct Shown {
    id: String,
    title: String,
    purpose: String,
    controller: String,
    sunset_at: Time,
    is_emergency: bool,
    certificate: Option<String>,
}

#[derive(Template)]
#[template(path = "mandate.html")]
struct MandatePage {
    page: Page,
    entry: Entry<Mandate>,
    notice: Option<Entry<Notice>>,
    controller: String,
    oversight: String,
    blocks: Vec<ShownBlock>,
    /// Name, why, contract.
    recipients: Vec<(String, String, Option<String>)>,
    certificate: Option<String>,
    /// Answers to the eight conditions of an emergency.
    eight: Vec<String>,
}

struct ShownBlock {
    name: String,
    is_required: bool,
    form: &'static str,
    reason: String,
}

pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let now = site.app.now();
    let groups = ["active", "ending-soon", "coming", "ended"]
        .into_iter()
        .map(|code| {
            let of = register.mandates.iter().filter(|(_, entry)| group(entry, now) == Some(code));
            Group { code, mandates: of.map(|(id, entry)| shown(&register, &page, id, entry)).collect() }
        })
        .collect();
    crate::page::show(&RegisterPage { page, groups })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().mandates)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<MandateId>().ok().and_then(|id| Some((register.mandates.get(&id)?, id)));
    if let Some((entry, _)) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let (entry, id) = find(&id).ok_or_else(|| Fault::not_found("mandate"))?;
    let agency = |id| register.agencies.get(id).map(|agency| page.text(&agency.body.legal_name).to_owned()).unwrap_or_default();
    let blocks = entry.body.blocks.iter().map(|asked| ShownBlock {
        name: register
            .blocks
            .get(&asked.block)
            .map_or_else(|| asked.block.to_string(), |block| page.text(&block.body.name).to_owned()),
        is_required: asked.necessity == Necessity::Required,
        form: asked.form.code(),
        reason: page.text(&asked.reason).to_owned(),
    });
    let recipients = entry.body.recipients.iter().map(|recipient| {
        (agency(&recipient.agency), page.text(&recipient.why).to_owned(), recipient.contract.as_ref().map(ToString::to_string))
    });
    let eight = entry.body.eight_conditions.iter().flat_map(|eight| {
        [
            &eight.necessity,
            &eight.time_bound,
            &eight.scope_lock,
            &eight.security,
            &eight.fairness,
            &eight.sharing,
            &eight.remedy,
            &eight.participation,
        ]
    });
    let content = MandatePage {
        eight: eight.map(|text| page.text(text).to_owned()).collect(),
        controller: agency(&entry.body.controller),
        oversight: agency(&entry.body.oversight_body),
        blocks: blocks.collect(),
        recipients: recipients.collect(),
        certificate: register.certificate(&id).map(|certificate| certificate.id.clone()),
        notice: register.notice(entry).cloned(),
        entry: entry.clone(),
        page: page.clone(),
    };
    Ok(show(&content))
}

/// Where a mandate stands on the page. What is not published yet does not stand there.
fn group(entry: &Entry<Mandate>, now: Time) -> Option<&'static str> {
    match entry.state {
        Stage::Sunset | Stage::Revoked | Stage::Erasing | Stage::Erased => Some("ended"),
        Stage::Published | Stage::Active | Stage::Suspended if entry.body.sunset_at <= now => Some("ended"),
        Stage::Published => Some("coming"),
        Stage::Active | Stage::Suspended if entry.body.starts_at > now => Some("coming"),
        Stage::Active | Stage::Suspended if entry.body.sunset_at < now.plus(30 * DAY) => Some("ending-soon"),
        Stage::Active | Stage::Suspended => Some("active"),
        _ => None,
    }
}

fn shown(register: &Register, page: &Page, id: &MandateId, entry: &Entry<Mandate>) -> Shown {
    let controller = register.agencies.get(&entry.body.controller);
    Shown {
        id: entry.id.clone(),
        title: page.text(&entry.body.title).to_owned(),
        purpose: page.text(&entry.body.purpose.sentence).to_owned(),
        controller: controller.map(|agency| page.text(&agency.body.legal_name).to_owned()).unwrap_or_default(),
        sunset_at: entry.body.sunset_at,
        is_emergency: entry.body.kind == MandateKind::Emergency,
        certificate: register.certificate(id).map(|certificate| certificate.id.clone()),
    }
}
