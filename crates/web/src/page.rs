//! What every page has around its content.

use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use i18n_embed::fluent::FluentLanguageLoader;
use i18n_embed_fl::fl;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::{Acting, OpenSession};
use usufruct_core::delegation::Power;
use usufruct_core::time::{DAY, HOUR, MINUTE, parse_duration};
use usufruct_core::{Text, Time};

use crate::Site;
use crate::fault::Fault;
use crate::language::{Chosen, Language, messages};
use crate::session::MaybeResident;

/// The frame of a page: language, navigation, form token. Every template has one as its field `page`.
#[derive(Clone)]
pub(crate) struct Page {
    pub language: Language,
    pub messages: &'static FluentLanguageLoader,
    /// Path and query of this page without `lang`, for the language links.
    pub here: String,
    /// Token for the forms of a signed-in resident; empty when nobody is signed in.
    pub form_token: String,
    /// Whether the signed-in resident has deactivated the pass.
    pub is_deactivated: bool,
    /// Whether the pass is frozen.
    pub is_frozen: bool,
    pub is_demo: bool,
    /// For whom the signed-in resident acts.
    pub acting: Option<Acting>,
}

impl FromRequestParts<Arc<Site>> for Page {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        // An extractor of a page never fails on the language; on the session only when the store does.
        let Chosen(language) = match Chosen::from_request_parts(parts, site).await {
            Ok(chosen) => chosen,
            Err(never) => match never {},
        };
        let MaybeResident(session) = MaybeResident::from_request_parts(parts, site).await?;
        Ok(Self {
            language,
            messages: messages(language),
            here: link_to(parts.uri.path(), parts.uri.query().unwrap_or_default()),
            is_deactivated: session.as_ref().is_some_and(|session| session.state == ResidentState::Deactivated),
            is_frozen: session.as_ref().is_some_and(|session| session.state == ResidentState::Frozen),
            is_demo: site.settings.demo.is_some(),
            acting: session.as_ref().and_then(|session| session.acting.clone()),
            form_token: session.map(|session| session.form_token).unwrap_or_default(),
        })
    }
}

impl Page {
    /// A frame for nobody, for error pages.
    pub fn plain(language: Language) -> Self {
        Self {
            language,
            messages: messages(language),
            here: "/?".to_owned(),
            form_token: String::new(),
            is_deactivated: false,
            is_frozen: false,
            is_demo: false,
            acting: None,
        }
    }

    /// The frame for a resident who acts for somebody; for anybody else as it was.
    #[must_use]
    pub fn acting_for(self, session: Option<OpenSession>) -> Self {
        match session {
            Some(OpenSession { acting: acting @ Some(_), form_token, .. }) => Self { acting, form_token, ..self },
            _ => self,
        }
    }

    /// Whether a page that needs this is open to who looks: always to the resident herself.
    pub fn may(&self, power: &str) -> bool {
        let power = Power::from_code(power);
        self.acting.as_ref().is_none_or(|acting| power.is_some_and(|power| acting.powers.have(&[power])))
    }

    /// A content text in the page's language.
    pub fn text<'a>(&self, text: &'a Text) -> &'a str {
        text.within(self.language)
    }

    /// Whether an address that a statement gives is shown as a link. Statements from before there was a rule may hold anything.
    pub fn is_link(&self, url: &str) -> bool {
        usufruct_core::link::is_lawful(url)
    }

    /// A day in the page's language: Gregorian, and the Minguo year beside it in Chinese.
    pub fn day(&self, time: &Time) -> String {
        match self.language {
            Language::English => time.day(),
            Language::TraditionalChinese => format!("{}（民國 {} 年）", time.day(), time.minguo_year()),
        }
    }

    /// The day of the last moment before one.
    pub fn day_before(&self, time: &Time) -> String {
        self.day(&time.plus(-1))
    }

    /// An ISO 8601 duration in words.
    pub fn length(&self, duration: &str) -> String {
        let Some(micros) = parse_duration(duration) else { return duration.to_owned() };
        let (days, hours, minutes): (i64, i64, i64) = (micros / DAY, micros / HOUR, (micros + MINUTE - 1) / MINUTE);
        if micros % DAY == 0 {
            fl!(self.messages, "length-days", count = days)
        } else if micros % HOUR == 0 {
            fl!(self.messages, "length-hours", count = hours)
        } else {
            fl!(self.messages, "length-minutes", count = minutes)
        }
    }

    /// Why a clause refused, in words.
    pub fn clause(&self, code: &str) -> String {
        match code {
            "agreement" => fl!(self.messages, "clause-agreement"),
            "authorization" => fl!(self.messages, "clause-authorization"),
            "blocks-chosen" => fl!(self.messages, "clause-blocks-chosen"),
            "blocks-in-mandate" => fl!(self.messages, "clause-blocks-in-mandate"),
            "brake" => fl!(self.messages, "clause-brake"),
            "bulk-limit" => fl!(self.messages, "clause-bulk-limit"),
            "condition" => fl!(self.messages, "clause-condition"),
            "consultation" => fl!(self.messages, "clause-consultation"),
            "contract" => fl!(self.messages, "clause-contract"),
            "conversion" => fl!(self.messages, "clause-conversion"),
            "data-range" => fl!(self.messages, "clause-data-range"),
            "fetch" => fl!(self.messages, "clause-fetch"),
            "form" => fl!(self.messages, "clause-form"),
            "grant" => fl!(self.messages, "clause-grant"),
            "mandate" => fl!(self.messages, "clause-mandate"),
            "notice" => fl!(self.messages, "clause-notice"),
            "operation" => fl!(self.messages, "clause-operation"),
            "order" => fl!(self.messages, "clause-order"),
            "rate-cap" => fl!(self.messages, "clause-rate-cap"),
            "reason" => fl!(self.messages, "clause-reason"),
            "recipient" => fl!(self.messages, "clause-recipient"),
            "resident" => fl!(self.messages, "clause-resident"),
            "service" => fl!(self.messages, "clause-service"),
            "sign-in" => fl!(self.messages, "clause-sign-in"),
            "start" => fl!(self.messages, "clause-start"),
            "sunset" => fl!(self.messages, "clause-sunset"),
            "suspension" => fl!(self.messages, "clause-suspension"),
            "third-party" => fl!(self.messages, "clause-third-party"),
            "written-reason" => fl!(self.messages, "clause-written-reason"),
            _ => String::new(),
        }
    }

    /// Whether somebody is signed in.
    pub fn is_signed_in(&self) -> bool {
        !self.form_token.is_empty()
    }

    /// BCP 47 tag of the page's language.
    pub fn tag(&self) -> &'static str {
        self.language.tag()
    }
}

/// Renders a template as a page with a status.
pub(crate) fn render(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => Fault::internal().into_response(),
    }
}

/// Renders a template as a page.
pub(crate) fn show(template: &impl Template) -> Response {
    render(StatusCode::OK, template)
}

/// The address of a page, ready for `lang=`.
pub(crate) fn link_to(path: &str, query: &str) -> String {
    let pairs = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "lang");
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { format!("{path}?") } else { format!("{path}?{query}&") }
}
