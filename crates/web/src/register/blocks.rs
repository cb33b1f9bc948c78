//! Pieces of data: what each is, and which bodies may see it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Serialize;
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::agency::AgencyKind;
use usufruct_core::block::{DataBlock, Sensitivity};
use usufruct_core::event::Form;
use usufruct_core::id::{AgencyId, AgreementId, BlockId, ContractId, MandateId};
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::mandate::{Mandate, Necessity};
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;

use super::export::{csv_of, word};
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "blocks.html")]
struct BlocksPage {
    page: Page,
    blocks: Vec<ShownBlock>,
}

#[derive(Template)]
#[template(path = "block.html")]
struct BlockPage {
    page: Page,
    block: ShownBlock,
    now: Vec<ShownSight>,
    later: Vec<ShownSight>,
    agreements: Vec<Link>,
}

struct ShownBlock {
    entry: Entry<DataBlock>,
    source: Link,
    /// How many bodies may see it now.
    bodies: usize,
}

/// That a body may see a block under a mandate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sight {
    pub block: BlockId,
    pub agency: AgencyId,
    pub part: Part,
    pub mandate: MandateId,
    /// The richest form in which the mandate asks for it.
    pub form: Form,
    /// Whether a vendor's contract keeps the value itself from it.
    pub without_value: bool,
    pub required: bool,
    pub contract: Option<ContractId>,
    pub state: Stage,
    pub starts_at: Time,
    pub sunset_at: Time,
    /// Whether it may see it at this moment.
    pub now: bool,
}

/// What the table of a block says of each body that may see it.
const COLUMNS: [&str; 12] = [
    "block",
    "agency",
    "part",
    "mandate",
    "form",
    "without_value",
    "required",
    "contract",
    "state",
    "starts_at",
    "sunset_at",
    "now",
];

impl Sight {
    fn cells(&self) -> Vec<String> {
        vec![
            self.block.to_string(),
            self.agency.to_string(),
            word(&self.part),
            self.mandate.to_string(),
            word(&self.form),
            self.without_value.to_string(),
            self.required.to_string(),
            self.contract.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.state.code().to_owned(),
            self.starts_at.to_string(),
            self.sunset_at.to_string(),
            self.now.to_string(),
        ]
    }
}

/// What a body does with a block that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Recipient,
    Processor,
    Subprocessor,
}

struct ShownSight {
    sight: Sight,
    agency: Link,
    mandate: Link,
    why: String,
}

impl Page {
    /// What a body is for the data.
    pub(super) fn part(&self, part: &Part) -> String {
        match part {
            Part::Recipient => fl!(self.messages, "block-part-recipient"),
            Part::Processor => fl!(self.messages, "block-part-processor"),
            Part::Subprocessor => fl!(self.messages, "block-part-subprocessor"),
        }
    }

    /// How much protection a block needs.
    pub fn protection(&self, sensitivity: &Sensitivity) -> String {
        match sensitivity {
            Sensitivity::Ordinary => fl!(self.messages, "block-ordinary"),
            Sensitivity::Sensitive => fl!(self.messages, "block-sensitive"),
            Sensitivity::Special => fl!(self.messages, "block-special"),
        }
    }
}

/// Who may see which block, under every mandate that has not ended, those that are only planned among them.
pub(super) fn sights(register: &Register, now: Time) -> Vec<Sight> {
    let open = register.mandates.iter().filter(|(_, entry)| !entry.state.is_over() && now < entry.body.sunset_at);
    open.flat_map(|(id, entry)| under(register, id, entry, now)).collect()
}

/// The same under one mandate.
fn under(register: &Register, id: &MandateId, entry: &Entry<Mandate>, now: Time) -> Vec<Sight> {
    let is_open = entry.is_in_force(now) && !register.is_suspended_by_order(id.as_str(), now);
    let mut sights = Vec::new();
    for asked in &entry.body.blocks {
        let mut note = |agency: &AgencyId, part, contract: Option<&ContractId>, without_value, may: bool| {
            sights.push(Sight {
                block: asked.block.clone(),
                agency: agency.clone(),
                part,
                mandate: id.clone(),
                form: asked.form,
                without_value,
                required: asked.necessity == Necessity::Required,
                contract: contract.cloned(),
                state: entry.state,
                starts_at: entry.body.starts_at,
                sunset_at: entry.body.sunset_at,
                now: is_open && may,
            });
        };
        for recipient in &entry.body.recipients {
            let vendor = &recipient.agency;
            if register.agencies.get(vendor).is_none_or(|agency| agency.body.kind != AgencyKind::Vendor) {
                note(vendor, Part::Recipient, None, false, true);
                continue;
            }
            // A vendor sees nothing without a contract that is in force and covers the mandate, and the value only where that lists it.
            let named = recipient.contract.as_ref();
            let contract = named.and_then(|id| register.contracts.get(id));
            let covers = contract.is_some_and(|contract| register.contract_covers(contract, vendor, entry, now));
            let listed = contract.iter().flat_map(|contract| &contract.body.value_blocks).any(|value| value.block == asked.block);
            note(vendor, Part::Processor, named, !listed, covers);
            for sub in contract.iter().flat_map(|contract| register.subprocessors(contract)) {
                let has_begun = sub.from.is_none_or(|from| from <= now);
                note(&sub.agency, Part::Subprocessor, named, !listed, covers && has_begun);
            }
        }
    }
    sights
}

pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let sights = sights(&register, now);
    let blocks = register.blocks.iter().map(|(id, entry)| shown(&register, &page, id, entry, &sights)).collect();
    show(&BlocksPage { page, blocks })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().blocks)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let (register, now) = (site.app.register(), site.app.now());
    let find = |id: &str| id.parse::<BlockId>().ok().and_then(|id| Some((register.blocks.get(&id)?, id)));
    let of = |id: &BlockId| -> Vec<Sight> { sights(&register, now).into_iter().filter(|sight| sight.block == *id).collect() };
    if let Some((_, id)) = id.strip_suffix(".csv").and_then(find) {
        return csv_of(&COLUMNS, of(&id).iter().map(Sight::cells));
    }
    if let Some((entry, id)) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(&json!({ "block": entry, "seen_by": of(&id) })));
    }
    let (entry, id) = find(&id).ok_or_else(|| Fault::not_found("block"))?;
    let sights = of(&id);
    let block = shown(&register, &page, &id, entry, &sights);
    let (now, later) = sights.into_iter().map(|sight| shown_sight(&register, &page, sight)).partition(|shown| shown.sight.now);
    let agreed = register.agreements.iter().filter(|(_, entry)| !entry.state.is_over() && entry.body.blocks.contains(&id));
    let link = |(id, _): (&AgreementId, _)| Link::object(&register, &page, StatementKind::Agreement, id.as_str());
    let agreements = agreed.map(link).collect();
    Ok(show(&BlockPage { block, now, later, agreements, page }))
}

fn shown(register: &Register, page: &Page, id: &BlockId, entry: &Entry<DataBlock>, sights: &[Sight]) -> ShownBlock {
    let seeing = sights.iter().filter(|sight| sight.now && sight.block == *id).map(|sight| &sight.agency);
    ShownBlock {
        source: Link::agency(register, page, &entry.body.source_agency),
        bodies: seeing.collect::<std::collections::BTreeSet<_>>().len(),
        entry: entry.clone(),
    }
}

fn shown_sight(register: &Register, page: &Page, sight: Sight) -> ShownSight {
    let mandate = register.mandates.get(&sight.mandate);
    let asked = mandate.and_then(|entry| entry.body.blocks.iter().find(|asked| asked.block == sight.block));
    ShownSight {
        agency: Link::agency(register, page, &sight.agency),
        mandate: Link::object(register, page, StatementKind::Mandate, sight.mandate.as_str()),
        why: asked.map(|asked| page.text(&asked.reason).to_owned()).unwrap_or_default(),
        sight,
    }
}
