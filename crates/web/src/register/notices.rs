//! The notices of a mandate in their layers: to read, to print at a counter, and as JSON; those of before under addresses that stay.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Serialize;
use usufruct_app::{App, Error};
use usufruct_core::id::MandateId;
use usufruct_core::layers::Layers;
use usufruct_core::notice::Notice;
use usufruct_core::notice_life::{NoticeLife, NoticeState};
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::wording::{Difference, Ease, ReadingLevel};

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    page: Page,
    notices: Vec<ShownNotice>,
}

/// A notice as the list has it.
struct ShownNotice {
    entry: Entry<Notice>,
    mandate: Link,
    /// Whether it explains the present revision of its mandate.
    holds: bool,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    page: Page,
    shown: Shown,
}

/// One notice, and what stands beside it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    layers: Layers,
    life: NoticeLife,
    /// All notices of the mandate, the oldest first.
    notices: Vec<NoticeLife>,
    /// The revision whose notice came before, and what this one says otherwise.
    before: Option<u64>,
    differences: Vec<Difference>,
}

/// All of them: first those that hold, the newest first.
pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let shown = |entry: &Entry<Notice>| {
        let mandate = register.mandates.get(&entry.body.mandate);
        ShownNotice {
            mandate: Link::object(&register, &page, StatementKind::Mandate, entry.body.mandate.as_str()),
            holds: mandate.is_some_and(|mandate| mandate.hash == entry.body.mandate_hash),
            entry: entry.clone(),
        }
    };
    let mut notices: Vec<_> = register.notices.values().map(shown).collect();
    notices.sort_by_key(|shown| (!shown.holds, std::cmp::Reverse(shown.entry.index)));
    show(&NoticesPage { page, notices })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().notices.values().collect::<Vec<_>>())
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    Ok(show(&NoticePage { page, shown: find(&site, id, None).await? }))
}

pub(super) async fn json(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Fault> {
    Ok(open_json(&find(&site, id, None).await?))
}

/// The notice of one revision, under an address that stays.
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    page: Page,
    Path((id, revision)): Path<(String, String)>,
) -> Result<Response, Fault> {
    let (digits, is_json) = revision.strip_suffix(".json").map_or((&*revision, false), |digits| (digits, true));
    let number = digits.parse().map_err(|_| Fault::not_found("notice"))?;
    let shown = find(&site, id, Some(number)).await?;
    Ok(if is_json { open_json(&shown) } else { show(&NoticePage { page, shown }) })
}

/// The notice of a revision, or the last one that there is.
async fn find(site: &Arc<Site>, id: String, revision: Option<u64>) -> Result<Shown, Fault> {
    let id: MandateId = id.parse().map_err(|_| Fault::not_found("mandate"))?;
    blocking(site, move |app| read(app, &id, revision)).await?.ok_or_else(|| Fault::not_found("notice"))
}

fn read(app: &App, id: &MandateId, revision: Option<u64>) -> Result<Option<Shown>, Error> {
    let register = app.register();
    let notices = register.notices_of(id);
    let at = match revision {
        Some(revision) => notices.iter().position(|life| life.revision == revision),
        None => notices.len().checked_sub(1),
    };
    let Some(at) = at else { return Ok(None) };
    let Some(layers) = explained(app, &register, &notices[at])? else { return Ok(None) };
    let earlier = at.checked_sub(1).map(|at| &notices[at]);
    let before = match earlier {
        Some(life) => explained(app, &register, life)?,
        None => None,
    };
    Ok(Some(Shown {
        life: notices[at].clone(),
        before: before.as_ref().map(|before| before.revision),
        differences: before.map(|before| layers.text.differences(&before.text)).unwrap_or_default(),
        layers,
        notices,
    }))
}

/// A notice of the revision that it explains, as that read.
fn explained(app: &App, register: &Register, life: &NoticeLife) -> Result<Option<Layers>, Error> {
    let Some(notice) = register.notices.get(&life.mandate_hash) else { return Ok(None) };
    let Some(entry) = app.mandate_revision(&life.mandate_hash)? else { return Ok(None) };
    Ok(Some(Layers::explain(register, &entry, notice, app.now())))
}

impl Page {
    /// Where a notice stands.
    pub(super) fn notice_state(&self, state: &NoticeState) -> String {
        match state {
            NoticeState::Draft => fl!(self.messages, "notice-draft"),
            NoticeState::Published => fl!(self.messages, "notice-published"),
            NoticeState::Superseded => fl!(self.messages, "notice-superseded"),
        }
    }

    /// How easily a notice reads.
    pub fn reading_level(&self, level: &ReadingLevel) -> String {
        let ease = match level.ease() {
            Ease::VeryEasy => fl!(self.messages, "reading-very-easy"),
            Ease::Easy => fl!(self.messages, "reading-easy"),
            Ease::Medium => fl!(self.messages, "reading-medium"),
            Ease::Hard => fl!(self.messages, "reading-hard"),
            Ease::VeryHard => fl!(self.messages, "reading-very-hard"),
        };
        let (lix, characters) = (level.lix_en, level.characters_per_sentence_zh_hant);
        fl!(self.messages, "reading-level", ease = ease, lix = lix, characters = characters)
    }

    /// How often data was used on the strength of a notice, as far as tallies tell.
    pub(super) fn notice_used(&self, life: &NoticeLife) -> String {
        let used = &life.used;
        match used.since {
            None if used.most == 0 => fl!(self.messages, "notice-unused"),
            None => fl!(self.messages, "notice-perhaps-used", most = used.most),
            Some(since) => {
                let since = self.day(&since.begins());
                fl!(self.messages, "notice-used", since = since, least = used.least, most = used.most)
            }
        }
    }
}
