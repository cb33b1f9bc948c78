//! What changed last, as Atom (RFC 4287): of the whole register, of each list, of each object.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::register::{Outline, Register, Step};
use usufruct_core::statement::StatementKind;

use super::Link;
use super::derived::Row;
use super::objects::LISTS;
use crate::Site;
use crate::page::Page;

/// So many changes stand in a feed; whoever looks more seldom finds the rest in the histories.
const LONGEST: usize = 100;

pub(super) fn router() -> Router<Arc<Site>> {
    let whole = Router::new().route("/register.atom", get(all));
    LISTS.iter().fold(whole, |router, (name, kinds)| {
        let list = move |State(site): State<Arc<Site>>, page: Page| async move { of_list(&site, &page, name, kinds) };
        router.route(&format!("/register/{name}.atom"), get(list))
    })
}

/// Everything but the tallies, of which there is one for each mandate and day.
async fn all(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let kinds = StatementKind::OBJECTS.into_iter().filter(|kind| *kind != StatementKind::Tally);
    let outlines: Vec<_> = kinds.flat_map(|kind| register.outlines(kind)).collect();
    answer(&site, &register, &page, &fl!(page.messages, "nav-register"), "/register", &outlines)
}

fn of_list(site: &Site, page: &Page, name: &str, kinds: &[StatementKind]) -> Response {
    let register = site.app.register();
    let outlines: Vec<_> = kinds.iter().flat_map(|kind| register.outlines(*kind)).collect();
    let title = kinds.first().map(|kind| page.thing(kind)).unwrap_or_default();
    let title = format!("{}: {title}", fl!(page.messages, "nav-register"));
    answer(site, &register, page, &title, &format!("/register/{name}"), &outlines)
}

/// The last steps of these objects, the newest first. `to` is the page that the feed is of.
pub(super) fn answer(site: &Site, register: &Register, page: &Page, title: &str, to: &str, outlines: &[Outline<'_>]) -> Response {
    let mut steps: Vec<(&Outline<'_>, &Step)> =
        outlines.iter().flat_map(|outline| outline.history.iter().map(move |step| (outline, step))).collect();
    steps.sort_by_key(|(_, step)| std::cmp::Reverse(step.index));
    steps.truncate(LONGEST);
    let issuer = &site.settings.issuer;
    let updated = steps.first().map(|(_, step)| step.at).or(register.first_at()).unwrap_or_default();
    let mut feed = begin(site, register, page, (title, to), updated);
    for (outline, step) in steps {
        let object = Link::object(register, page, outline.kind, outline.id);
        let title = format!("{}: {} ({})", page.thing(&outline.kind), object.words, page.stage(&step.to));
        let address = escape(&format!("{issuer}/register/statements/{}", step.index));
        let (title, words, about) = (escape(&title), escape(page.text(&step.reason)), escape(&format!("{issuer}{}", object.to)));
        // Writing to a String cannot fail.
        let _ = writeln!(
            feed,
            "<entry><id>{address}</id><title>{title}</title><updated>{}</updated><link rel=\"alternate\" href=\"{address}\"/>\
             <link rel=\"related\" href=\"{about}\"/><summary>{words}</summary></entry>",
            step.at
        );
    }
    end(feed)
}

/// Rows of a page that is reckoned, in this order. `to` is the page that the feed is of.
pub(super) fn of_rows(site: &Site, register: &Register, page: &Page, title: &str, to: &str, rows: &[Row]) -> Response {
    let issuer = &site.settings.issuer;
    let updated = rows.first().map(|row| row.at).or(register.first_at()).unwrap_or_default();
    let mut feed = begin(site, register, page, (title, to), updated);
    for row in rows.iter().take(LONGEST) {
        let address = escape(&format!("{issuer}{to}#{}", row.id));
        let (title, words, about) = (escape(&row.title), escape(&row.summary), escape(&format!("{issuer}{}", row.about)));
        let mut sources = String::new();
        // Writing to a String cannot fail.
        for leaf in &row.leaves {
            let _ = write!(sources, "<link rel=\"via\" href=\"{}/register/statements/{leaf}\"/>", escape(issuer));
        }
        let _ = writeln!(
            feed,
            "<entry><id>{address}</id><title>{title}</title><updated>{}</updated><link rel=\"alternate\" href=\"{about}\"/>{sources}\
             <summary>{words}</summary></entry>",
            row.at
        );
    }
    end(feed)
}

/// What stands before the entries. `to` is the page that the feed is of.
fn begin(site: &Site, register: &Register, page: &Page, (title, to): (&str, &str), updated: Time) -> String {
    let issuer = &site.settings.issuer;
    let author = register.operator().map_or_else(String::new, |operator| page.text(&operator.body.legal_name).to_owned());
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{}\">\n<id>{}</id>\n\
         <title>{}</title>\n<updated>{updated}</updated>\n<author><name>{}</name></author>\n<link rel=\"alternate\" href=\"{}\"/>\n",
        page.tag(),
        escape(&format!("{issuer}{to}")),
        escape(title),
        escape(&author),
        escape(&format!("{issuer}{to}")),
    )
}

fn end(mut feed: String) -> Response {
    feed.push_str("</feed>\n");
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "application/atom+xml; charset=utf-8")], feed).into_response()
}

/// Text as XML has it. Control characters, which XML cannot hold at all, are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}
