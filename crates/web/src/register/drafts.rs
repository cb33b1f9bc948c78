//! Registers of elsewhere, read as drafts of mandates and of cameras: how many entries could be one, and what the others lack.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::json;
use usufruct_app::{ElsewhereCount, elsewhere_counts};
use usufruct_core::foreign::{Lack, Origin};

use super::derived::Row;
use super::open_json;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "drafts.html")]
struct DraftsPage {
    page: Page,
    registers: Vec<ShownRegister>,
}

/// A register of elsewhere as readers see it.
struct ShownRegister {
    /// For the anchor of its heading.
    anchor: &'static str,
    title: String,
    source: String,
    /// How many entries it has, and how many of them are complete, in words.
    entries: String,
    /// What the table of lacks is about, and what stands in its first column.
    caption: String,
    asked: String,
    lacks: Vec<ShownLack>,
}

struct ShownLack {
    lack: &'static Lack,
    field: String,
    rule: String,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let registers = counted(&site).await?.iter().map(|count| shown(&page, count)).collect();
    Ok(show(&DraftsPage { page, registers }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    Ok(open_json(&counted(&site).await?))
}

/// The counts; whoever asks first waits on a thread that may block.
async fn counted(site: &Arc<Site>) -> Result<&'static [ElsewhereCount], Fault> {
    let counted = blocking(site, |_| Ok(elsewhere_counts())).await?;
    counted.map_err(|error| {
        tracing::error!("{error}");
        Fault::internal()
    })
}

/// One row for each register of elsewhere. They come with the program, so they are as old as the register here.
pub(super) async fn rows(site: &Arc<Site>, page: &Page) -> Result<Vec<Row>, Fault> {
    let at = site.app.register().first_at().unwrap_or_default();
    let row = |count: &'static ElsewhereCount| {
        let register = shown(page, count);
        Row {
            id: register.anchor.to_owned(),
            title: register.title,
            summary: register.entries,
            at,
            about: format!("/register/drafts#{}", register.anchor),
            leaves: Vec::new(),
            cells: vec![("entries", json!(count.shortfall.entries)), ("complete", json!(count.shortfall.complete))],
        }
    };
    Ok(counted(site).await?.iter().map(row).collect())
}

fn shown(page: &Page, count: &'static ElsewhereCount) -> ShownRegister {
    let (anchor, title, source) = match count.origin {
        Origin::DutchAlgorithms => ("dutch", fl!(page.messages, "drafts-dutch"), fl!(page.messages, "drafts-dutch-source")),
        Origin::PandemicMeasures => {
            ("measures", fl!(page.messages, "drafts-measures"), fl!(page.messages, "drafts-measures-source"))
        }
        Origin::TraffordCameras => ("cameras", fl!(page.messages, "drafts-cameras"), fl!(page.messages, "drafts-cameras-source")),
    };
    let is_camera = count.origin == Origin::TraffordCameras;
    let (entries, complete) = (count.shortfall.entries, count.shortfall.complete);
    let lacks = count.shortfall.lacks.iter();
    ShownRegister {
        anchor,
        title,
        source,
        entries: if is_camera {
            fl!(page.messages, "drafts-cameras-entries", entries = entries, complete = complete)
        } else {
            fl!(page.messages, "drafts-entries", entries = entries, complete = complete)
        },
        caption: if is_camera { fl!(page.messages, "drafts-cameras-caption") } else { fl!(page.messages, "drafts-caption") },
        asked: if is_camera { fl!(page.messages, "drafts-cameras-field") } else { fl!(page.messages, "drafts-field") },
        lacks: lacks.map(|lack| ShownLack { lack, field: field(page, &lack.field), rule: rule(page, lack.rule) }).collect(),
    }
}

/// What a field of a mandate or a camera says; the field itself where there are no words for it.
fn field(page: &Page, field: &str) -> String {
    match field {
        "title" => fl!(page.messages, "draft-field-title"),
        "controller" => fl!(page.messages, "draft-field-controller"),
        "purpose.sentence" => fl!(page.messages, "draft-field-purpose-sentence"),
        "purpose.dpv" => fl!(page.messages, "draft-field-purpose-dpv"),
        "purpose.local_code" => fl!(page.messages, "draft-field-purpose-local-code"),
        "purpose.commercial" => fl!(page.messages, "draft-field-purpose-commercial"),
        "legal_basis" => fl!(page.messages, "draft-field-legal-basis"),
        "legal_basis.code" => fl!(page.messages, "draft-field-legal-basis-code"),
        "legal_basis.instrument" => fl!(page.messages, "draft-field-legal-basis-instrument"),
        "legal_basis.article" => fl!(page.messages, "draft-field-legal-basis-article"),
        "legal_basis.url" => fl!(page.messages, "draft-field-legal-basis-url"),
        "subjects" => fl!(page.messages, "draft-field-subjects"),
        "blocks" => fl!(page.messages, "draft-field-blocks"),
        "operations" => fl!(page.messages, "draft-field-operations"),
        "mode" => fl!(page.messages, "draft-field-mode"),
        "fetch" => fl!(page.messages, "draft-field-fetch"),
        "rate_cap" => fl!(page.messages, "draft-field-rate-cap"),
        "bulk_limit" => fl!(page.messages, "draft-field-bulk-limit"),
        "recipients" => fl!(page.messages, "draft-field-recipients"),
        "locations" => fl!(page.messages, "draft-field-locations"),
        "retention" => fl!(page.messages, "draft-field-retention"),
        "starts_at" => fl!(page.messages, "draft-field-starts-at"),
        "sunset_at" => fl!(page.messages, "draft-field-sunset-at"),
        "automated_decision" => fl!(page.messages, "draft-field-automated-decision"),
        "gate" => fl!(page.messages, "draft-field-gate"),
        "reasons" => fl!(page.messages, "draft-field-reasons"),
        "impact_assessment" => fl!(page.messages, "draft-field-impact-assessment"),
        "consultation" => fl!(page.messages, "draft-field-consultation"),
        "oversight_body" => fl!(page.messages, "draft-field-oversight-body"),
        "third_party" | "third_party.max_days" => fl!(page.messages, "draft-field-third-party"),
        "emergency" => fl!(page.messages, "draft-field-emergency"),
        "eight_conditions" => fl!(page.messages, "draft-field-eight-conditions"),
        other => camera_field(page, other),
    }
}

fn camera_field(page: &Page, field: &str) -> String {
    match field {
        "authority" => fl!(page.messages, "camera-authority"),
        "installer" => fl!(page.messages, "camera-installer"),
        "applicant" => fl!(page.messages, "camera-applicant"),
        "location.latitude" | "location.longitude" => fl!(page.messages, "camera-coordinates"),
        "location.place" => fl!(page.messages, "camera-place"),
        "location.precision_m" => fl!(page.messages, "draft-field-precision"),
        "direction" => fl!(page.messages, "draft-field-direction"),
        "field" => fl!(page.messages, "draft-field-view"),
        "purpose_code" => fl!(page.messages, "camera-purpose"),
        "px_per_m" => fl!(page.messages, "camera-fineness"),
        "recording" => fl!(page.messages, "camera-recording"),
        "audio" => fl!(page.messages, "draft-field-audio"),
        "face_recognition" => fl!(page.messages, "draft-field-face-recognition"),
        "joined_with_personal_data" => fl!(page.messages, "draft-field-joined"),
        "view_request_url" => fl!(page.messages, "camera-ask"),
        other => other.to_owned(),
    }
}

/// What is wrong with it.
fn rule(page: &Page, rule: &str) -> String {
    match rule {
        "missing" => fl!(page.messages, "draft-rule-missing"),
        "one-language" => fl!(page.messages, "draft-rule-one-language"),
        "malformed" => fl!(page.messages, "draft-rule-malformed"),
        other => other.to_owned(),
    }
}
