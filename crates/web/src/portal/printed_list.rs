//! The list of a resident's lines as it is printed: the same lines in the same words as on her page, without what only a browser can do.

use askama::Template;
use i18n_embed_fl::fl;
use usufruct_app::{App, DueList, Error};
use usufruct_core::Time;

use super::footprint::{Row, gap_words, rows};
use crate::language::{Language, from_tag};
use crate::page::Page;

#[derive(Template)]
#[template(path = "printed-list.html")]
struct PrintedPage {
    page: Page,
    rows: Vec<Row>,
    /// Sources whose record of her may be incomplete, in words.
    incomplete: Vec<String>,
    printed_at: Time,
    vkey: String,
}

/// The list that is due, as a file of HTML for a printer. It stands alone: it refers to no file and to no address but the log's key.
pub fn printed_list(app: &App, due: &DueList) -> Result<String, Error> {
    let page = Page::plain(from_tag(&due.language).unwrap_or(Language::TraditionalChinese));
    let (footprint, register) = (app.footprint(due.resident)?, app.register());
    let gaps = app.incomplete(due.resident)?;
    let incomplete = gaps.iter().map(|gap| gap_words(&register, &page, gap)).collect();
    let (rows, printed_at, vkey) = (rows(&register, &page, &footprint), app.now(), app.log_vkey());
    let printed = PrintedPage { page, rows, incomplete, printed_at, vkey }.render();
    printed.map_err(|error| Error::Corrupt { what: format!("a list for the printer: {error}") })
}
