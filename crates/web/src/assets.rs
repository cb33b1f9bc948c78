//! Style, scripts and the verifier's modules, from inside the binary.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::Site;
use crate::fault::Fault;

#[derive(RustEmbed)]
#[folder = "assets"]
struct Assets;

#[derive(RustEmbed)]
#[folder = "../../verifier"]
#[include = "*.js"]
#[exclude = "test/*"]
#[exclude = "cli.js"]
struct Verifier;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new().route("/assets/{*path}", get(asset)).route("/verifier/{*path}", get(verifier))
}

async fn asset(Path(path): Path<String>) -> Result<Response, Fault> {
    Ok(file(&path, Assets::get(&path).ok_or_else(|| Fault::not_found("file"))?))
}

async fn verifier(Path(path): Path<String>) -> Result<Response, Fault> {
    Ok(file(&path, Verifier::get(&path).ok_or_else(|| Fault::not_found("file"))?))
}

fn file(path: &str, file: EmbeddedFile) -> Response {
    let kind = match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], file.data.into_owned()).into_response()
}
