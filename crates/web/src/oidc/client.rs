//! Client authentication by a signed assertion (RFC 7523, OpenID Connect Core 9).

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::time::{MINUTE, SECOND};

use super::fields::{Fields, OAuthError};
use crate::Site;
use crate::site::blocking;

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest life of an assertion, and how far a client's clock may be ahead.
const LONGEST: i64 = 5 * MINUTE;
const AHEAD: i64 = 60 * SECOND;
const LONGEST_ASSERTION: usize = 8 * 1024;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    /// A single string: an array or another address is refused (FAPI 2.0 5.3.2.1).
    aud: String,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
}

/// The service that signed the request's assertion.
pub(crate) async fn authenticate(site: &Arc<Site>, fields: &Fields) -> Result<ServiceId, OAuthError> {
    let refused = || OAuthError::new("invalid_client", "the client assertion is missing or not valid");
    if fields.get("client_assertion_type") != Some(TYPE) {
        return Err(refused());
    }
    let assertion =
        fields.get("client_assertion").filter(|assertion| assertion.len() <= LONGEST_ASSERTION).ok_or_else(refused)?;
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| refused())?;
    if header.alg != Algorithm::ES256 || header.crit.is_some() {
        return Err(refused());
    }
    let (service, claims) = verify(site, assertion, header.kid.as_deref()).ok_or_else(refused)?;
    if fields.get("client_id").is_some_and(|id| id != service.as_str()) {
        return Err(refused());
    }
    let expires_at = Time::from_micros(claims.exp.saturating_mul(SECOND));
    let (client, jti) = (service.to_string(), claims.jti);
    let fresh = blocking(site, move |app| app.claim_assertion(&client, &jti, expires_at)).await.map_err(|_| refused())?;
    if fresh { Ok(service) } else { Err(OAuthError::new("invalid_client", "the client assertion was used before")) }
}

fn verify(site: &Site, assertion: &str, kid: Option<&str>) -> Option<(ServiceId, Claims)> {
    // Who claims to speak says which keys to try; nothing else is believed before the signature.
    let unverified: Claims = jsonwebtoken::dangerous::insecure_decode(assertion).ok()?.claims;
    let service: ServiceId = unverified.iss.parse().ok()?;
    let register = site.app.register();
    let entry = register.services.get(&service).filter(|entry| entry.state == State::Active)?;
    let mut validation = Validation::new(Algorithm::ES256);
    // Times are checked below against the house's own clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.set_audience(&[&site.settings.issuer]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    let claims = entry.body.jwks.iter().filter(|key| kid.is_none_or(|kid| kid == key.kid)).find_map(|key| {
        let key = DecodingKey::from_ec_components(&key.x, &key.y).ok()?;
        Some(jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok()?.claims)
    })?;
    let now = site.app.now().seconds();
    let ahead = now + AHEAD / SECOND;
    let timely = claims.exp > now
        && claims.exp <= now + (LONGEST + AHEAD) / SECOND
        && claims.iat.is_none_or(|iat| iat <= ahead)
        && claims.nbf.is_none_or(|nbf| nbf <= ahead);
    let whole = claims.iss == claims.sub && claims.aud == site.settings.issuer && (1..=256).contains(&claims.jti.len());
    (timely && whole).then_some((service, claims))
}
