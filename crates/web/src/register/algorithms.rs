//! Algorithms: mandates under which a machine decides, or helps to, who answers for it and who oversees it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_core::Text;
use usufruct_core::assessment::{Assessment, holding};
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::mandate::{AutomatedDecision, Mandate};
use usufruct_core::register::{Entry, Register};
use usufruct_core::text::Language;

use super::derived::{Basis, Row};
use super::export::{csv_of, word};
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "algorithms.html")]
struct AlgorithmsPage {
    page: Page,
    basis: Basis,
    algorithms: Vec<Shown>,
}

/// A mandate with an algorithm as readers see it.
struct Shown {
    entry: Entry<Mandate>,
    mandate: Link,
    controller: Link,
    oversight: Link,
    /// The impact assessment that holds for it.
    assessment: Option<Assessment>,
}

impl Shown {
    /// Whether an official decides, with the help of the machine.
    fn has_human(&self) -> bool {
        self.entry.body.automated_decision != AutomatedDecision::Sole
    }
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let (basis, register) = Basis::now(&site).await?;
    let shown = |entry: &Entry<Mandate>| Shown {
        mandate: Link::mandate(&page, entry),
        controller: Link::agency(&register, &page, &entry.body.controller),
        oversight: Link::agency(&register, &page, &entry.body.oversight_body),
        assessment: holding(&register, entry).map(|held| held.body.clone()),
        entry: entry.clone(),
    };
    let algorithms = automated(&register).map(shown).collect();
    Ok(show(&AlgorithmsPage { page, basis, algorithms }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Response {
    let register = site.app.register();
    let entries = automated(&register).map(|entry| {
        let mut fields: serde_json::Map<String, Value> =
            cells(entry).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let held = holding(&register, entry).map(|held| &held.body);
        fields.insert("proportionality".to_owned(), json!(held.map(|held| &held.necessity)));
        fields.insert("risks".to_owned(), json!(held.map(|held| &held.risks)));
        fields.insert("title".to_owned(), json!(entry.body.title));
        fields.insert("purpose".to_owned(), json!(entry.body.purpose.sentence));
        Value::Object(fields)
    });
    open_json(&entries.collect::<Vec<_>>())
}

pub(super) async fn csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let register = site.app.register();
    let columns = [
        "mandate",
        "state",
        "automated_decision",
        "algorithm_url",
        "controller",
        "oversight_body",
        "starts_at",
        "sunset_at",
        "title_en",
        "title_zh_hant",
        "purpose_en",
        "purpose_zh_hant",
        "official_decides",
        "assessment",
        "proportionality_en",
        "proportionality_zh_hant",
        "risks_en",
        "risks_zh_hant",
        "hash",
        "leaf",
    ];
    let lines = automated(&register).map(|entry| {
        let mut line: Vec<String> =
            cells(entry).into_iter().map(|(_, value)| value.as_str().map_or_else(|| plain(&value), str::to_owned)).collect();
        let last = line.split_off(line.len() - 2);
        [line, weighed(&register, entry), last].concat()
    });
    csv_of(&columns, lines)
}

/// What the page says of it beside what stands in every row: its words, who decides, and what its impact assessment weighs.
fn weighed(register: &Register, entry: &Entry<Mandate>) -> Vec<String> {
    let both = |text: &Text| [text.en.clone(), text.zh_hant.clone()];
    let held = holding(register, entry);
    let necessity = held.map(|held| both(&held.body.necessity)).unwrap_or_default();
    let risks = [Language::English, Language::TraditionalChinese].map(|language| {
        let risks = held.iter().flat_map(|held| &held.body.risks);
        risks.map(|risk| format!("{}: {}", word(&risk.kind), risk.what.within(language))).collect::<Vec<_>>().join("; ")
    });
    let [title, purpose] = [&entry.body.title, &entry.body.purpose.sentence].map(both);
    let official = (entry.body.automated_decision != AutomatedDecision::Sole).to_string();
    let assessment = held.map(|held| held.id.clone()).unwrap_or_default();
    [&title[..], &purpose, &[official, assessment], &necessity, &risks].concat()
}

/// One row for each, in the order of the columns.
pub(super) fn rows(register: &Register, page: &Page) -> Vec<Row> {
    let row = |entry: &Entry<Mandate>| {
        let mandate = Link::mandate(page, entry);
        let summary = format!(
            "{}: {}. {}: {}",
            fl!(page.messages, "mandate-automated"),
            page.automated(&entry.body.automated_decision),
            fl!(page.messages, "mandate-state"),
            page.stage(&entry.state)
        );
        Row {
            id: entry.id.clone(),
            title: mandate.words,
            summary,
            at: entry.since,
            about: mandate.to,
            leaves: vec![entry.index],
            cells: cells(entry),
        }
    };
    automated(register).map(row).collect()
}

fn cells(entry: &Entry<Mandate>) -> Vec<(&'static str, Value)> {
    let body = &entry.body;
    vec![
        ("mandate", json!(entry.id)),
        ("state", json!(entry.state.code())),
        ("automated_decision", json!(word(&body.automated_decision))),
        ("algorithm_url", json!(body.algorithm_url)),
        ("controller", json!(body.controller)),
        ("oversight_body", json!(body.oversight_body)),
        ("starts_at", json!(body.starts_at)),
        ("sunset_at", json!(body.sunset_at)),
        ("hash", json!(entry.hash)),
        ("leaf", json!(entry.index)),
    ]
}

/// A cell that is no text: a number, or nothing.
fn plain(value: &Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}

/// The mandates under which a machine decides, or helps to: those in force first, drafts left out.
fn automated(register: &Register) -> impl Iterator<Item = &Entry<Mandate>> {
    let is_automated =
        |entry: &&Entry<Mandate>| entry.body.automated_decision != AutomatedDecision::None && entry.state != Stage::Draft;
    let mut found: Vec<_> = register.mandates.values().filter(is_automated).collect();
    found.sort_by(|one, other| (one.state.is_over(), &one.id).cmp(&(other.state.is_over(), &other.id)));
    found.into_iter()
}
