//! Pushed authorization requests (RFC 9126).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use usufruct_app::PUSHED_LIFE_SECONDS;
use usufruct_core::service::Profile;

use super::authorize::{lawful, read_fields};
use super::claims::Demanded;
use super::client::FromService;
use super::fields::OAuthError;
use crate::Site;

/// Parameters that prove who pushes, and are kept out of what is pushed.
const OF_THE_CLIENT: [&str; 2] = ["client_assertion", "client_assertion_type"];

pub(crate) async fn push(State(site): State<Arc<Site>>, from: FromService) -> Result<Response, OAuthError> {
    let spent = from.spent();
    FromService::settle(&site, spent, keep(&site, from).await).await
}

async fn keep(site: &Site, from: FromService) -> Result<Response, OAuthError> {
    if site.app.suspension(&from.service).is_some() {
        return Err(OAuthError::new("unauthorized_client", "the service is suspended, see the public register"));
    }
    let redirect_uri = from.fields.required("redirect_uri", "redirect_uri is missing")?;
    if !site.app.knows_redirect(&from.service, redirect_uri) {
        return Err(OAuthError::new("invalid_request", "redirect_uri is not registered for this service"));
    }
    let request = read_fields(site, &from.fields, &from.service, from.profile == Profile::Oidc)?;
    lawful(site, &request)?;
    Demanded::read(&from.fields)?;
    // The code is bound to the key that is proven here, or to the one that is named (RFC 9449 10).
    let jkt = match (from.jkt(), from.fields.get("dpop_jkt")) {
        (Some(proven), Some(named)) if proven != named => {
            return Err(OAuthError::new("invalid_dpop_proof", "dpop_jkt names another key than the DPoP proof"));
        }
        (proven, named) => proven.or_else(|| named.map(str::to_owned)),
    };
    let kept = from.fields.iter().filter(|(name, _)| !OF_THE_CLIENT.contains(name));
    let parameters = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
    let uri = site.app.push_request(&from.service, parameters, jkt, from.presented()).await.map_err(OAuthError::from)?;
    let body = json!({ "request_uri": uri, "expires_in": PUSHED_LIFE_SECONDS });
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
