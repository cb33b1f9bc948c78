//! The log as C2SP tlog-tiles: static files with their caching rules.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use usufruct_app::log::{Objects, Tile};

use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

const IMMUTABLE: &str = "public, max-age=604800, immutable";

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/vkey", get(vkey))
        .route("/log/receipt-vkey", get(receipt_vkey))
        .route("/log/tile/{*path}", get(tile))
}

async fn checkpoint(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let bytes = fetch(&site, "checkpoint".to_owned()).await?;
    Ok(answer("text/plain; charset=utf-8", "no-store", bytes))
}

async fn tile(State(site): State<Arc<Site>>, Path(path): Path<String>) -> Result<Response, Fault> {
    let path = format!("tile/{path}");
    // Only addresses of tiles reach the folder.
    path.parse::<Tile>().map_err(|_| Fault::not_found("tile"))?;
    let bytes = fetch(&site, path).await?;
    Ok(answer("application/octet-stream", IMMUTABLE, bytes))
}

async fn vkey(State(site): State<Arc<Site>>) -> Response {
    answer("text/plain; charset=utf-8", "public, max-age=300", format!("{}\n", site.app.log_vkey()).into_bytes())
}

async fn receipt_vkey(State(site): State<Arc<Site>>) -> Response {
    answer("text/plain; charset=utf-8", "public, max-age=300", format!("{}\n", site.app.receipt_vkey()).into_bytes())
}

async fn fetch(site: &Arc<Site>, path: String) -> Result<Vec<u8>, Fault> {
    blocking(site, move |app| Ok(app.log_objects().fetch(&path)?)).await?.ok_or_else(|| Fault::not_found("file in the log"))
}

fn answer(kind: &'static str, cache: &'static str, bytes: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, cache), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], bytes).into_response()
}
