//! The page for those who connect a service: addresses, samples, a place to try, every error in words.

mod errors;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use i18n_embed_fl::fl;
use serde::{Deserialize, Serialize};
use usufruct_core::decide::Clause;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, ServiceId};
use usufruct_core::mandate::Necessity;
use usufruct_core::service::Profile;

use crate::Site;
use crate::fault::Fault;
use crate::form::Public;
use crate::page::{Page, render, show};
use crate::site::Unregistered;
use errors::{Explained, OAUTH, PROBLEMS};

#[derive(Template)]
#[template(path = "developers.html")]
struct DevelopersPage {
    page: Page,
    issuer: String,
    serves_oidc: bool,
    /// Where a sample service runs that shows every message; empty outside the demo.
    samples: Vec<String>,
    has_sandbox: bool,
    registered: Option<Registered>,
    refused: Option<Refused>,
    sources: [Source; 3],
    oauth: &'static [Explained],
    problems: &'static [Explained],
    clauses: Vec<Clause>,
}

/// A sandbox service that was just registered, and what it may ask for.
#[derive(Serialize)]
struct Registered {
    client_id: ServiceId,
    /// The name of its key in the register, which goes into the header of each assertion.
    kid: String,
    redirect_uri: String,
    mandate: String,
    /// A reason of the mandate.
    reason: String,
    /// The blocks that the mandate cannot do without.
    blocks: Vec<AskedFor>,
}

/// Why nothing was registered, in the language of the page, and what the register says of it.
struct Refused {
    words: String,
    detail: String,
}

#[derive(Serialize)]
struct AskedFor {
    block: BlockId,
    form: Form,
}

/// The page that walks the way of a service.
#[derive(Template)]
#[template(path = "try.html")]
struct TryPage {
    page: Page,
    issuer: String,
    oauth: &'static [Explained],
    problems: &'static [Explained],
    clauses: Vec<Clause>,
}

/// What is registered in the sandbox.
#[derive(Deserialize)]
struct New {
    #[serde(default)]
    jwk: String,
    #[serde(default)]
    redirect_uri: String,
}

/// A sample, as it stands in `examples/developers` and as the tests run it.
struct Source {
    name: &'static str,
    file: &'static str,
    text: &'static str,
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new().route("/developers", get(page).post(register)).route("/developers/try", get(walk))
}

async fn page(State(site): State<Arc<Site>>, page: Page) -> Response {
    show(&content(&site, page))
}

/// Walks the way of a service in the browser. Where nobody can register one there is no such page.
async fn walk(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    if site.settings.demo.as_ref().is_none_or(|demo| demo.sandbox.is_none()) {
        return Err(Fault::not_found("page"));
    }
    let (issuer, clauses) = (site.settings.issuer.clone(), Clause::ALL.to_vec());
    Ok(show(&TryPage { page, issuer, oauth: &OAUTH, problems: &PROBLEMS, clauses }))
}

/// Registers a sandbox service. Only a demo has offices that would sign for strangers. A program gets what was registered as JSON.
async fn register(
    State(site): State<Arc<Site>>,
    page: Page,
    headers: HeaderMap,
    Public(New { jwk, redirect_uri }): Public<New>,
) -> Result<Response, Fault> {
    let Some(sandbox) = site.settings.demo.as_ref().and_then(|demo| demo.sandbox.clone()) else {
        return Ok(render(StatusCode::NOT_FOUND, &content(&site, page)));
    };
    let (key, asked) = (jwk.trim().to_owned(), redirect_uri.trim().to_owned());
    let outcome = tokio::task::spawn_blocking(move || sandbox(&key, &asked)).await.map_err(|_| Fault::internal())?;
    let is_program = headers.get(ACCEPT).is_some_and(|kind| kind.as_bytes() == b"application/json");
    match outcome {
        Ok(id) => {
            let registered = registered(&site, id)?;
            if is_program {
                return Ok((StatusCode::CREATED, Json(registered)).into_response());
            }
            Ok(render(StatusCode::CREATED, &DevelopersPage { registered: Some(registered), ..content(&site, page) }))
        }
        Err(why) => {
            let refused = refused(&page, why);
            if is_program {
                return Err(Fault::unregistered(format!("{} {}", refused.words, refused.detail).trim_end()));
            }
            let page = DevelopersPage { refused: Some(refused), ..content(&site, page) };
            Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

fn refused(page: &Page, why: Unregistered) -> Refused {
    let (words, detail) = match why {
        Unregistered::Elsewhere => (fl!(page.messages, "developers-refused-address"), String::new()),
        Unregistered::NoJson => (fl!(page.messages, "developers-refused-key"), String::new()),
        Unregistered::Unlawful(detail) => (fl!(page.messages, "developers-refused-register"), detail),
    };
    Refused { words, detail }
}

/// What the register says of a service, and of the mandate that it works under.
fn registered(site: &Site, id: ServiceId) -> Result<Registered, Fault> {
    let register = site.app.register();
    let service = &register.services.get(&id).ok_or_else(Fault::internal)?.body;
    let mandate = service.mandates.first().and_then(|id| register.mandates.get(id)).ok_or_else(Fault::internal)?;
    let required = mandate.body.blocks.iter().filter(|asked| asked.necessity == Necessity::Required);
    Ok(Registered {
        kid: service.jwks.first().map(|key| key.kid.clone()).unwrap_or_default(),
        redirect_uri: service.redirect_uris.first().cloned().unwrap_or_default(),
        mandate: mandate.id.clone(),
        reason: mandate.body.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default(),
        blocks: required.map(|asked| AskedFor { block: asked.block.clone(), form: asked.form }).collect(),
        client_id: id,
    })
}

fn content(site: &Site, page: Page) -> DevelopersPage {
    let demo = site.settings.demo.as_ref();
    DevelopersPage {
        page,
        issuer: site.settings.issuer.clone(),
        serves_oidc: site.serves(Profile::Oidc),
        samples: demo.map(|demo| demo.sample_urls.clone()).unwrap_or_default(),
        has_sandbox: demo.is_some_and(|demo| demo.sandbox.is_some()),
        registered: None,
        refused: None,
        sources: [
            Source {
                name: "Node.js, openid-client",
                file: "examples/developers/node/sign-in.mjs",
                text: include_str!("../../../examples/developers/node/sign-in.mjs"),
            },
            Source {
                name: "Python, joserfc",
                file: "examples/developers/python/sign_in.py",
                text: include_str!("../../../examples/developers/python/sign_in.py"),
            },
            Source {
                name: "Apache, mod_auth_openidc",
                file: "examples/developers/apache/pass.conf",
                text: include_str!("../../../examples/developers/apache/pass.conf"),
            },
        ],
        oauth: &OAUTH,
        problems: &PROBLEMS,
        clauses: Clause::ALL.to_vec(),
    }
}
