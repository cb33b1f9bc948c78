//! Pages that are no list of statements but reckoned from them: from which ones and up to where, and each of their rows for other machines, as
//! linked data and as a feed.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::register::Register;
use usufruct_core::text::{Language, Text};

use super::export::{moment, words};
use super::{algorithms, contracts, delayed, drafts, ending, feed, refusals, statistics};
use crate::Site;
use crate::fault::Fault;
use crate::page::Page;
use crate::site::blocking;

/// Up to where the log was read for a page, and under which public checkpoint whoever reads it finds the same.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    /// The last leaf with a statement.
    pub leaf: u64,
    /// Leaves under the public checkpoint.
    pub size: u64,
    /// Its root hash in base64, as it stands in the checkpoint; empty before there is one.
    pub root: String,
}

/// One row of a page that is reckoned.
pub(super) struct Row {
    /// What tells it from the other rows of its page, for ever.
    pub id: String,
    pub title: String,
    /// What the row says, in words.
    pub summary: String,
    /// When it came to be so.
    pub at: Time,
    /// The page of what it is about.
    pub about: String,
    /// The leaves from which it follows.
    pub leaves: Vec<u64>,
    /// Its cells by the names that they have in JSON.
    pub cells: Vec<(&'static str, Value)>,
}

/// A page that is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reckoned {
    Algorithms,
    Delayed,
    Drafts,
    Ending,
    Late,
    Refusals,
    Statistics,
}

/// Each with the last part of its address.
const PAGES: [(&str, Reckoned); 7] = [
    ("algorithms", Reckoned::Algorithms),
    ("delayed", Reckoned::Delayed),
    ("drafts", Reckoned::Drafts),
    ("ending", Reckoned::Ending),
    ("late", Reckoned::Late),
    ("refusals", Reckoned::Refusals),
    ("statistics", Reckoned::Statistics),
];

/// What was asked for in the address.
type Asked = HashMap<String, String>;

pub(super) fn router() -> Router<Arc<Site>> {
    PAGES.into_iter().fold(Router::new(), |router, (name, reckoned)| {
        let atom = move |State(site): State<Arc<Site>>, page: Page, Query(asked): Query<Asked>| async move {
            as_feed(&site, &page, (name, reckoned), &asked).await
        };
        let linked = move |State(site): State<Arc<Site>>, Query(asked): Query<Asked>| async move {
            as_linked_data(&site, (name, reckoned), &asked).await
        };
        router.route(&format!("/register/{name}.atom"), get(atom)).route(&format!("/register/{name}.jsonld"), get(linked))
    })
}

impl Basis {
    /// What a page that is made now is made from, and the register up to there.
    pub(crate) async fn now(site: &Arc<Site>) -> Result<(Self, Arc<Register>), Fault> {
        let public = blocking(site, |app| app.public_checkpoint()).await?;
        let register = site.app.register();
        let basis = Self {
            leaf: register.last_index().unwrap_or_default(),
            size: public.as_ref().map_or(0, usufruct_app::log::Checkpoint::size),
            root: public.map(|public| public.root().to_string()).unwrap_or_default(),
        };
        Ok((basis, register))
    }

    /// Whether the public checkpoint covers all of it.
    pub(crate) fn is_covered(&self) -> bool {
        self.leaf < self.size
    }
}

impl Reckoned {
    fn title(self, page: &Page) -> String {
        match self {
            Self::Algorithms => fl!(page.messages, "register-algorithms"),
            Self::Delayed => fl!(page.messages, "register-delayed"),
            Self::Drafts => fl!(page.messages, "register-drafts"),
            Self::Ending => fl!(page.messages, "register-ending-quarter"),
            Self::Late => fl!(page.messages, "register-late"),
            Self::Refusals => fl!(page.messages, "register-refusals"),
            Self::Statistics => fl!(page.messages, "register-statistics"),
        }
    }

    async fn rows(self, site: &Arc<Site>, page: &Page, asked: &Asked) -> Result<Vec<Row>, Fault> {
        let register = site.app.register();
        let mut rows = match self {
            Self::Algorithms => algorithms::rows(&register, page),
            Self::Delayed => delayed::rows(site, page).await?,
            Self::Drafts => drafts::rows(site, page).await?,
            Self::Ending => ending::rows(site, page, asked.get("quarter").map(String::as_str))?,
            Self::Late => contracts::late_rows(site, page).await?,
            Self::Refusals => refusals::rows(&register, page),
            Self::Statistics => statistics::rows(&register, page),
        };
        tell_apart(&mut rows);
        Ok(rows)
    }
}

/// Two things of one object can be due on one day: the second of them is named as that.
fn tell_apart(rows: &mut [Row]) {
    let mut seen: HashMap<String, u64> = HashMap::new();
    for row in rows {
        let times = seen.entry(row.id.clone()).or_default();
        *times += 1;
        if *times > 1 {
            row.id = format!("{}-{times}", row.id);
        }
    }
}

/// The rows as Atom, the newest first.
async fn as_feed(site: &Arc<Site>, page: &Page, (name, reckoned): (&str, Reckoned), asked: &Asked) -> Result<Response, Fault> {
    let mut rows = reckoned.rows(site, page, asked).await?;
    rows.sort_by(|one, other| other.at.cmp(&one.at).then_with(|| one.id.cmp(&other.id)));
    let register = site.app.register();
    let title = format!("{}: {}", fl!(page.messages, "nav-register"), reckoned.title(page));
    Ok(feed::of_rows(site, &register, page, &title, &format!("/register/{name}"), &rows))
}

/// The rows as linked data, with the checkpoint under which they can be reckoned again.
async fn as_linked_data(site: &Arc<Site>, (name, reckoned): (&str, Reckoned), asked: &Asked) -> Result<Response, Fault> {
    let [english, chinese] = [Language::English, Language::TraditionalChinese].map(Page::plain);
    let rows = reckoned.rows(site, &english, asked).await?;
    let other = reckoned.rows(site, &chinese, asked).await?;
    let (basis, _) = Basis::now(site).await?;
    let (issuer, to) = (&site.settings.issuer, format!("{}/register/{name}", site.settings.issuer));
    let both = |english: &str, chinese: &str| words(&Text::new(english, chinese));
    let node = |row: &Row| {
        let same = other.iter().find(|other| other.id == row.id).unwrap_or(row);
        let sources = row.leaves.iter().map(|leaf| json!({ "@id": format!("{issuer}/register/statements/{leaf}.json") }));
        let proofs = row.leaves.iter().map(|leaf| json!({ "@id": format!("{issuer}/log/proof/{leaf}.tlog-proof") }));
        let cells = row.cells.iter();
        let cells =
            cells.map(|(name, value)| json!({ "@type": "schema:PropertyValue", "schema:name": name, "schema:value": value }));
        json!({
            "@id": format!("{to}#{}", row.id),
            "@type": "schema:DataFeedItem",
            "dct:title": both(&row.title, &same.title),
            "dct:description": both(&row.summary, &same.summary),
            "dct:modified": moment(&row.at.to_string()),
            "schema:about": { "@id": format!("{issuer}{}", row.about) },
            "dct:source": sources.collect::<Vec<_>>(),
            "dct:provenance": proofs.collect::<Vec<_>>(),
            "schema:variableMeasured": cells.collect::<Vec<_>>(),
        })
    };
    let document = json!({
        "@context": {
            "dct": "http://purl.org/dc/terms/",
            "prov": "http://www.w3.org/ns/prov#",
            "schema": "https://schema.org/",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": to,
        "@type": "schema:DataFeed",
        "dct:title": both(&reckoned.title(&english), &reckoned.title(&chinese)),
        "dct:created": moment(&site.app.now().to_string()),
        "prov:wasDerivedFrom": {
            "@id": format!("{issuer}/log/checkpoint"),
            "schema:size": basis.size,
            "dct:identifier": basis.root,
            "schema:position": basis.leaf,
        },
        "prov:qualifiedDerivation": { "dct:description": both(&fl!(english.messages, "basis-how"), &fl!(chinese.messages, "basis-how")) },
        "schema:dataFeedElement": rows.iter().map(node).collect::<Vec<_>>(),
    });
    Ok(([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "application/ld+json")], document.to_string()).into_response())
}
