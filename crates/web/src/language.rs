//! Which of the two languages a page is in, and its messages.

use std::sync::OnceLock;

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::request::Parts;
use i18n_embed::LanguageLoader;
use i18n_embed::fluent::{FluentLanguageLoader, fluent_language_loader};
use rust_embed::RustEmbed;
pub(crate) use usufruct_core::text::Language;

#[derive(RustEmbed)]
#[folder = "locales"]
struct Catalogues;

/// Name of the cookie that remembers the choice.
pub(crate) const COOKIE_NAME: &str = "lang";

/// The language of a request: `?lang=`, then the cookie, then what the browser prefers.
pub(crate) struct Chosen(pub Language);

impl<S: Send + Sync> FromRequestParts<S> for Chosen {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(of_request(parts.uri.query(), &parts.headers)))
    }
}

/// The language that the query, the cookie or the browser asks for; English when none does.
pub(crate) fn of_request(query: Option<&str>, headers: &axum::http::HeaderMap) -> Language {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let asked = pairs.into_iter().find(|(key, _)| key == "lang").and_then(|(_, value)| from_tag(&value));
    let cookie = || {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == COOKIE_NAME)
            .and_then(|(_, value)| from_tag(value))
    };
    let accepted = || {
        let header = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
        header.split(',').find_map(|range| from_tag(range.split(';').next().unwrap_or_default().trim()))
    };
    asked.or_else(cookie).or_else(accepted).unwrap_or(Language::English)
}

/// The messages of a language.
pub(crate) fn messages(language: Language) -> &'static FluentLanguageLoader {
    static ENGLISH: OnceLock<FluentLanguageLoader> = OnceLock::new();
    static CHINESE: OnceLock<FluentLanguageLoader> = OnceLock::new();
    let cell = match language {
        Language::English => &ENGLISH,
        Language::TraditionalChinese => &CHINESE,
    };
    cell.get_or_init(|| {
        let loader = fluent_language_loader!();
        let tag = language.tag().parse().unwrap_or_default();
        // INVARIANT: both catalogues are embedded and a test loads them.
        loader.load_languages(&Catalogues, &[tag]).expect("the embedded catalogue loads");
        // Isolation marks would be copied along with names and codes.
        loader.set_use_isolating(false);
        loader
    })
}

/// The language of a BCP 47 tag, if it is one of the two.
pub(crate) fn from_tag(tag: &str) -> Option<Language> {
    let tag = tag.to_ascii_lowercase();
    if tag.starts_with("zh") {
        Some(Language::TraditionalChinese)
    } else if tag.starts_with("en") {
        Some(Language::English)
    } else {
        None
    }
}
