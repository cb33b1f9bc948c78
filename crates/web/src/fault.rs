//! What went wrong, as a problem document (RFC 9457) for programs and as a page for people.

use askama::Template;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use i18n_embed_fl::fl;
use serde_json::json;
use usufruct_app::log::Error as LogError;
use usufruct_app::store::db;
use usufruct_app::vault::Error as VaultError;
use usufruct_app::{Error, OpenSession};
use usufruct_core::Time;
use usufruct_core::decide::Clause;
use usufruct_core::id::ServiceId;

use crate::language::Language;
use crate::oidc::borne::{self, Unborne};
use crate::page::{Page, render};

/// Something that went wrong. Two sentences: what happened, what to do.
#[derive(Clone, Debug)]
pub struct Fault {
    status: StatusCode,
    /// Last part of the problem type, as `grant` in `urn:usufruct:problem:grant`.
    kind: &'static str,
    message: String,
    clauses: Vec<Clause>,
    /// Where to send a browser instead.
    redirect: Option<String>,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
    about: Option<Box<About>>,
}

/// What more there is to say about a fault.
#[derive(Clone, Debug)]
enum About {
    /// The service that is suspended, and since when.
    Suspension(ServiceId, Option<Time>),
    /// What is wrong with the token that came with the request.
    Token(Unborne),
}

/// The page for a fault.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    page: Page,
    kind: &'static str,
    message: String,
    clauses: Vec<Clause>,
    about: Option<Box<About>>,
}

impl Fault {
    pub fn new(status: StatusCode, kind: &'static str, message: &str) -> Self {
        Self { status, kind, message: message.to_owned(), clauses: Vec::new(), redirect: None, retry_after: None, about: None }
    }

    /// The request cannot be understood.
    pub fn malformed(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// The caller did not prove who it is.
    pub fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// The same, with what is wrong with the token: its status, and the header that says how it has to be done.
    #[must_use]
    pub(crate) fn of_token(self, unborne: Unborne) -> Self {
        Self { status: unborne.status(), about: Some(Box::new(About::Token(unborne))), ..self }
    }

    /// Something broke inside. Details are in the operator's log and never in the answer.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something broke on our side. Try again in a moment.")
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            &format!("There is no such {what}. Check the address or start from the front page."),
        )
    }

    pub(crate) fn sign_in(next: &str) -> Self {
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let mut fault = Self::unauthenticated("This page is for signed-in residents. Sign in first.");
        fault.redirect = Some(format!("/sign-in?next={next}"));
        fault
    }

    /// The page needs a passkey that has just been shown (the idea of RFC 9470 on our own pages).
    pub(crate) fn step_up(next: &str) -> Self {
        Self { redirect: Self::sign_in(next).redirect, ..Error::NotFresh.into() }
    }

    /// Who acts for somebody else was not given this.
    pub(crate) fn not_given() -> Self {
        Error::NotGiven.into()
    }

    /// A service is suspended to which a resident was sent.
    pub(crate) fn suspended(service: ServiceId, since: Option<Time>) -> Self {
        let message =
            "The service is suspended, so nobody can sign in to it. Use another way to it, which the public register names.";
        let about = Some(Box::new(About::Suspension(service, since)));
        Self { about, ..Self::new(StatusCode::FORBIDDEN, "suspended", message) }
    }

    /// Too many requests; `seconds` until the next one is taken.
    pub(crate) fn too_many(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many",
                "There were too many requests from here. Wait a moment and try again.",
            )
        }
    }

    /// Not now; the same request may be granted in a moment.
    fn later(kind: &'static str, message: &str) -> Self {
        Self { retry_after: Some(LATER), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, message) }
    }

    pub(crate) fn foreign_form() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-form",
            "The form did not come from your own session, so nothing was done. Open the page again and repeat the step.",
        )
    }

    pub(crate) fn bad_form() -> Self {
        Self::malformed("A field of the form is missing or cannot be read. Go back and fill in the form again.")
    }

    /// A sandbox service was not registered: `why` in two sentences.
    pub(crate) fn unregistered(why: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unregistered", why)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is larger than accepted here. Send less at once.")
    }

    /// The body did not come in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The body of the request did not come within ten seconds, so nothing was done. Send the request again.",
        )
    }

    /// The fault that an answer of the router or of an extractor means, which have no words of their own worth showing.
    fn of_plain(status: StatusCode) -> Option<Self> {
        Some(match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self {
                status,
                ..Self::malformed(
                    "A part of the request is missing, repeated or cannot be read. Check the address and what was sent.",
                )
            },
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "wrong-method",
                "This address does not take requests of this kind. Open it as a page, or use a method that the header Allow names.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                status,
                "wrong-type",
                "The request has a content type that is not taken here. Send the one that the documentation names.",
            ),
            _ => return None,
        })
    }

    /// The status, for answers in other formats.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The problem document.
    pub fn problem(&self) -> serde_json::Value {
        let mut problem = json!({
            "type": format!("urn:usufruct:problem:{}", self.kind),
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.message,
        });
        if !self.clauses.is_empty() {
            problem["clauses"] = self
                .clauses
                .iter()
                .map(|clause| json!({ "clause": clause.code(), "what": clause.what(), "remedy": clause.remedy() }))
                .collect();
        }
        // Where the answers to many stand in one document they have no headers.
        if let Some(About::Token(Unborne::SignIn(asked))) = self.about.as_deref() {
            let (class, age) = borne::wanted(*asked);
            class.inspect(|class| problem["acr_values"] = json!(class));
            age.inspect(|age| problem["max_age"] = json!(age));
        }
        problem
    }
}

/// Seconds after which to try again what could not be done now: as long as a keeper that let a call run out is left alone.
pub(crate) const LATER: u64 = 5;

impl ErrorPage {
    /// `acting` says for whom the resident acts who is told this.
    pub fn response(fault: &Fault, language: Language, acting: Option<OpenSession>) -> Response {
        if let Some(target) = &fault.redirect {
            let mut response = StatusCode::SEE_OTHER.into_response();
            if let Ok(target) = HeaderValue::from_str(target) {
                response.headers_mut().insert(LOCATION, target);
            }
            return response;
        }
        let page = Self {
            page: Page::plain(language).acting_for(acting),
            kind: fault.kind,
            message: fault.message.clone(),
            clauses: fault.clauses.clone(),
            about: fault.about.clone(),
        };
        render(fault.status, &page)
    }
}

impl IntoResponse for Fault {
    /// A problem document. The headers layer makes a page of it for browsers.
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(About::Token(unborne)) = self.about.as_deref() {
            response.headers_mut().insert(WWW_AUTHENTICATE, unborne.challenge());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unpermitted(clauses) => {
                let first = clauses.first().copied().unwrap_or(Clause::Mandate);
                let message = format!("{} {}", first.what(), first.remedy());
                Self { clauses: clauses.clone(), ..Self::new(StatusCode::FORBIDDEN, first.code(), &message) }
            }
            Error::Unknown { .. } => Self::new(StatusCode::NOT_FOUND, "unknown", &error.to_string()),
            Error::Refused { .. } => Self::new(StatusCode::CONFLICT, "refused", &error.to_string()),
            Error::TooSoon { seconds } => Self {
                retry_after: Some(seconds.unsigned_abs()),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-soon", &error.to_string())
            },
            Error::Unopened { .. } => Self::new(StatusCode::CONFLICT, "unopened", &error.to_string()),
            Error::Altered => Self::new(StatusCode::CONFLICT, "altered", &error.to_string()),
            Error::Unlawful(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unlawful", &error.to_string()),
            Error::Statement(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed-statement", &error.to_string()),
            Error::Replayed { .. } => Self::unauthenticated(&error.to_string()),
            Error::Unborne => Self::unauthenticated(&error.to_string()).of_token(Unborne::Invalid),
            Error::NotFresh => Self::new(StatusCode::UNAUTHORIZED, "step-up", &error.to_string()),
            Error::NotGiven => Self::new(StatusCode::FORBIDDEN, "not-given", &error.to_string()),
            Error::NoAuthorization | Error::WiderScope | Error::ForeignAddress => Self::malformed(&error.to_string()),
            Error::Rotating | Error::Stale | Error::Unpublished => Self::later("busy", &error.to_string()),
            Error::Store(db::Error::Busy {} | db::Error::Contended { .. }) => Self::later("busy", &error.to_string()),
            Error::Log(LogError::Outside { .. }) => {
                tracing::error!(%error, "the store of the log cannot be reached");
                let message = "The store of the public log cannot be reached. Try again in a moment.";
                Self::later("busy", message)
            }
            Error::Vault(VaultError::TooFewKeepers { .. }) => {
                tracing::error!(%error, "the keepers of the root cannot be reached");
                let message = "Too few keepers of the root answer, so no key can be made or destroyed now. Try again in a moment; an \
                               erasure that was asked for is done by itself once they are back.";
                Self::later("keepers", message)
            }
            Error::Vault(VaultError::Keeper { .. }) => {
                tracing::error!(%error, "a keeper cannot be reached");
                let message = "A keeper of a key that this needs cannot be reached. Try again in a moment.";
                Self::later("busy", message)
            }
            Error::Store(_) | Error::Vault(_) | Error::Log(_) | Error::Corrupt { .. } | Error::House { .. } => {
                tracing::error!(%error, "request failed");
                Self::internal()
            }
        }
    }
}

/// Gives what the router or an extractor answered by itself the form of all other faults. Its headers, as `Allow`, stay.
pub(crate) fn with_words(answer: Response) -> Response {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_wordless = kind.is_none_or(|kind| kind.starts_with("text/plain")) && answer.extensions().get::<Fault>().is_none();
    match Fault::of_plain(answer.status()).filter(|_| is_wordless) {
        Some(fault) => with_headers_of(answer.headers(), fault.into_response()),
        None => answer,
    }
}

/// Adds to an answer the headers of the one that it replaces, but for those about its body.
pub(crate) fn with_headers_of(replaced: &HeaderMap, mut answer: Response) -> Response {
    for (name, value) in replaced {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

/// For every address that leads nowhere.
pub(crate) async fn not_found() -> Fault {
    Fault::not_found("page")
}
