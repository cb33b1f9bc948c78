//! Proofs of single leaves (C2SP tlog-proof), as soon as the public checkpoint covers them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use usufruct_app::log::TlogProof;

use crate::Site;
use crate::fault::Fault;
use crate::session::Resident;
use crate::site::blocking;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new().route("/log/proof/{index}", get(public)).route("/me/footprint/{line}/proof", get(own))
}

/// The proof of any leaf. It says nothing about what the leaf means.
async fn public(State(site): State<Arc<Site>>, Path(index): Path<String>) -> Result<Response, Fault> {
    let digits = index.strip_suffix(EXTENSION).unwrap_or(&index);
    let index: u64 = digits.parse().map_err(|_| Fault::not_found("leaf"))?;
    let (proof, committed) = blocking(&site, move |app| Ok((app.log_proof(index, None)?, app.committed_size()?))).await?;
    match proof {
        Some(proof) => Ok((public_headers("no-store"), proof.to_string()).into_response()),
        None if index < committed => {
            Ok((StatusCode::NOT_FOUND, [(RETRY_AFTER, "1")], public_headers("no-store"), NOT_YET).into_response())
        }
        None => Err(Fault::not_found("leaf")),
    }
}

/// The proof of one line of the resident's own footprint, with its opening: `T || r || event` in `extra`.
async fn own(State(site): State<Arc<Site>>, Resident(session): Resident, Path(line): Path<u64>) -> Result<Response, Fault> {
    let proof: Option<TlogProof> = blocking(&site, move |app| app.footprint_proof(session.resident, line)).await?;
    let Some(proof) = proof else {
        return Ok((StatusCode::NOT_FOUND, [(RETRY_AFTER, "1"), (CACHE_CONTROL, "no-store")], NOT_YET).into_response());
    };
    let name = format!("attachment; filename=\"line-{line}{EXTENSION}\"");
    let headers = [(CONTENT_TYPE, PLAIN.to_owned()), (CACHE_CONTROL, "no-store".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, proof.to_string()).into_response())
}

fn public_headers(cache: &'static str) -> impl axum::response::IntoResponseParts {
    [(CONTENT_TYPE, PLAIN), (CACHE_CONTROL, cache), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")]
}

const EXTENSION: &str = ".tlog-proof";
const NOT_YET: &str = "No public checkpoint covers this leaf yet. Ask again in a second.\n";
const PLAIN: &str = "text/plain; charset=utf-8";
