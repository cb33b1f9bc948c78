//! Style, scripts and the verifier's modules, from inside the binary.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};
use usufruct_core::hash::sha256;
use usufruct_core::verifier::VerifierFile;

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

/// The verifier as it is served: the path of each file and its SHA-256, sorted by path.
pub fn verifier_files() -> Vec<VerifierFile> {
    let mut paths: Vec<_> = Verifier::iter().collect();
    paths.sort();
    let file = |path: Cow<'static, str>| {
        let bytes = Verifier::get(&path)?.data;
        Some(VerifierFile { path: format!("/verifier/{path}"), sha256: sha256(&bytes) })
    };
    paths.into_iter().filter_map(file).collect()
}

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
