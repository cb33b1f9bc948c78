//! The page for those who connect a service: addresses, samples, a place to try, every error in words.

mod errors;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use i18n_embed_fl::fl;
use usufruct_core::decide::Clause;
use usufruct_core::service::Profile;

use crate::Site;
use crate::page::{Page, render, show};
use errors::{Explained, OAUTH};

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
    refused: String,
    sources: [Source; 3],
    oauth: &'static [Explained],
    clauses: Vec<Clause>,
}

/// A sandbox service that was just registered.
struct Registered {
    id: String,
    redirect_uri: String,
}

/// A sample, as it stands in `examples/developers` and as the tests run it.
struct Source {
    name: &'static str,
    file: &'static str,
    text: &'static str,
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new().route("/developers", get(page).post(register))
}

async fn page(State(site): State<Arc<Site>>, page: Page) -> Response {
    show(&content(&site, page))
}

/// Registers a sandbox service. Only a demo has offices that would sign for strangers.
async fn register(State(site): State<Arc<Site>>, page: Page, body: String) -> Response {
    let field = |name: &str| {
        url::form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.trim().to_owned())
    };
    let (jwk, redirect_uri) = (field("jwk").unwrap_or_default(), field("redirect_uri").unwrap_or_default());
    let Some(sandbox) = site.settings.demo.as_ref().and_then(|demo| demo.sandbox.clone()) else {
        return render(StatusCode::NOT_FOUND, &content(&site, page));
    };
    let asked = redirect_uri.clone();
    let outcome = tokio::task::spawn_blocking(move || sandbox(&jwk, &asked)).await;
    let mut shown = content(&site, page);
    match outcome {
        Ok(Ok(id)) => {
            shown.registered = Some(Registered { id: id.to_string(), redirect_uri });
            render(StatusCode::CREATED, &shown)
        }
        Ok(Err(why)) => {
            shown.refused = why;
            render(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        Err(_) => render(StatusCode::INTERNAL_SERVER_ERROR, &shown),
    }
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
        refused: String::new(),
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
        clauses: Clause::ALL.to_vec(),
    }
}
