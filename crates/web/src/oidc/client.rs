//! Client authentication by a signed assertion (RFC 7523, OpenID Connect Core 9), and proof of possession beside it. Programs in
//! browsers, which have no key, say who they are and no more (RFC 6749 3.2.1).

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use std::sync::Arc;
use usufruct_app::Presented;
use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::jwk::{Jwk, KeyUse};
use usufruct_core::lifecycle::State;
use usufruct_core::service::Profile;
use usufruct_core::time::{MINUTE, SECOND};

use super::cross_origin;
use super::fields::{Fields, OAuthError, Posted};
use super::jws::{self, NumericDate};
use super::possession::{Flaw, Possession, Target};
use crate::Site;

/// A form that a service posted, with the service that signed for it. The proofs in it count once the use case notes them.
pub(crate) struct FromService {
    pub service: ServiceId,
    pub profile: Profile,
    pub fields: Fields,
    /// Absent where the service has no key.
    assertion: Option<Presented>,
    possession: Option<Possession>,
}

impl FromService {
    /// Thumbprint of the key whose possession was proven.
    pub fn jkt(&self) -> Option<String> {
        self.possession.as_ref().map(|possession| possession.jkt.clone())
    }

    /// Everything that must be noted with what is asked.
    pub fn presented(&self) -> Vec<Presented> {
        let possession = self.possession.as_ref().map(|possession| possession.presented.clone());
        self.assertion.iter().cloned().chain(possession).collect()
    }

    /// Everything that a refusal uses up. Without an assertion nothing is: strangers could fill the store with proofs of keys they made up.
    pub fn spent(&self) -> Vec<Presented> {
        if self.assertion.is_some() { self.presented() } else { Vec::new() }
    }

    /// What came of the request. A refusal uses up the proofs as well, so that they are worth nothing to whoever sees them afterwards.
    pub async fn settle<T>(site: &Site, spent: Vec<Presented>, outcome: Result<T, OAuthError>) -> Result<T, OAuthError> {
        if outcome.is_err() && !spent.is_empty() {
            site.app.spend(spent).await?;
        }
        outcome
    }

    /// The key that a service of the profile fapi2 must prove to have (FAPI 2.0 5.3.2.1).
    pub fn require_possession(&self) -> Result<(), OAuthError> {
        match (self.profile, &self.possession) {
            (Profile::Fapi2, None) => Err(OAuthError::new("invalid_dpop_proof", "the DPoP proof is missing")),
            _ => Ok(()),
        }
    }
}

/// As [`FromService`], at endpoints that also take the word of a program in a browser: what it shows beside its name, a code with its
/// verifier or a token, is worth no more in its hands than in another's.
pub(crate) struct FromAnyService(pub FromService);

impl FromRequest<Arc<Site>> for FromService {
    type Rejection = OAuthError;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, OAuthError> {
        Self::read(request, site, false).await
    }
}

impl FromRequest<Arc<Site>> for FromAnyService {
    type Rejection = OAuthError;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, OAuthError> {
        FromService::read(request, site, true).await.map(Self)
    }
}

impl FromService {
    async fn read(request: Request, site: &Arc<Site>, takes_public: bool) -> Result<Self, OAuthError> {
        let headers = request.headers().clone();
        Self::proven(request, &headers, site, takes_public).await.map_err(|error| error.to(&headers))
    }

    async fn proven(request: Request, headers: &HeaderMap, site: &Arc<Site>, takes_public: bool) -> Result<Self, OAuthError> {
        let method = request.method().clone();
        let address = format!("{}{}", site.settings.issuer, request.uri().path());
        let Posted(fields) = Posted::from_request(request, site).await?;
        let (service, profile, assertion) = match public(site, &fields).filter(|_| takes_public) {
            // Nobody signed for it, so it is counted by network alone: a stranger could use up the share of the service.
            Some(service) => {
                let is_there = cross_origin::is_origin_of(site, &service, headers);
                is_there.then_some((service, Profile::Oidc, None)).ok_or_else(elsewhere)?
            }
            None => {
                let (service, profile, assertion) = authenticate(site, &fields).await?;
                site.limiters.count_service(&service).map_err(OAuthError::too_many)?;
                (service, profile, Some(assertion))
            }
        };
        let target = Target { method: &method, address: &address, access_token: None, now: site.app.now() };
        let possession = Possession::read(headers, &target, site).map_err(|flaw| match flaw {
            Flaw::Nonce => OAuthError::new("use_dpop_nonce", "sign the nonce of the header DPoP-Nonce"),
            Flaw::Other(description) => OAuthError::new("invalid_dpop_proof", description),
        });
        let is_named = fields.get("client_id").is_none_or(|id| id == service.as_str());
        let (possession, flaw) = match possession {
            Ok(possession) if proves_twice(headers, &fields) => (possession, Some(twice())),
            Ok(possession) => (possession, (!is_named).then(not_proven)),
            Err(error) => (None, Some(error)),
        };
        let from = Self { service, profile, fields, assertion, possession };
        Self::settle(site, from.spent(), flaw.map_or(Ok(()), Err)).await?;
        Ok(from)
    }
}

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest life of an assertion, and how far a client's clock may be ahead, as its own times say (FAPI 2.0 Security Profile 5.3.2.1, 13):
/// that makes no assertion live longer, beyond the ten seconds that have to be borne.
const LONGEST_LIFE: i64 = 5 * MINUTE;
const AHEAD: i64 = 60 * SECOND;
const BORNE: i64 = 10 * SECOND;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    #[serde(default)]
    iat: Option<NumericDate>,
    #[serde(default)]
    nbf: Option<NumericDate>,
    jti: String,
}

/// Whom an assertion is for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl Audience {
    /// By FAPI 2.0 (5.3.2.1) the issuer as a single string. OpenID Connect Core 9 names the token endpoint, and software for it may
    /// write a list of one.
    fn is_us(&self, issuer: &str, profile: Profile) -> bool {
        let is_endpoint = |audience: &str| audience.strip_prefix(issuer) == Some("/oidc/token");
        match (profile, self) {
            (Profile::Fapi2, Self::One(audience)) => audience == issuer,
            (Profile::Fapi2, Self::List(_)) => false,
            (Profile::Oidc, Self::One(audience)) => audience == issuer || is_endpoint(audience),
            (Profile::Oidc, Self::List(all)) => {
                matches!(all.as_slice(), [audience] if audience == issuer || is_endpoint(audience))
            }
        }
    }
}

/// The service without a key that the request names, if it shows no assertion.
fn public(site: &Site, fields: &Fields) -> Option<ServiceId> {
    if fields.get("client_assertion").is_some() || fields.get("client_assertion_type").is_some() {
        return None;
    }
    let service: ServiceId = fields.get("client_id")?.parse().ok()?;
    let register = site.app.register();
    let entry = register.services.get(&service)?;
    let is_open = entry.state == State::Active && entry.body.is_public() && site.serves(entry.body.profile);
    is_open.then_some(service)
}

fn not_proven() -> OAuthError {
    OAuthError::new("invalid_client", "the client assertion is missing or not valid")
}

/// Whether the request proves the service in another way too (RFC 6749 2.3: one at a time). No service here has a secret.
fn proves_twice(headers: &HeaderMap, fields: &Fields) -> bool {
    headers.contains_key(AUTHORIZATION) || fields.get("client_secret").is_some()
}

fn twice() -> OAuthError {
    OAuthError::new("invalid_client", "send the client assertion alone, without Authorization and client_secret")
}

fn elsewhere() -> OAuthError {
    OAuthError::new("invalid_client", "a page of another origin asks in the name of this service")
}

/// The service that signed the request's assertion.
async fn authenticate(site: &Site, fields: &Fields) -> Result<(ServiceId, Profile, Presented), OAuthError> {
    if fields.get("client_assertion_type") != Some(TYPE) {
        return Err(not_proven());
    }
    let assertion = fields.get("client_assertion").ok_or_else(not_proven)?;
    let header = jws::header(assertion).ok_or_else(not_proven)?;
    // Who claims to speak says which keys to try; nothing else is believed before the signature.
    let claimed: Claims = jws::unverified(assertion).ok_or_else(not_proven)?;
    let service: ServiceId = claimed.iss.parse().map_err(|_| not_proven())?;
    let register = site.app.register();
    let entry = register.services.get(&service).filter(|entry| entry.state == State::Active && site.serves(entry.body.profile));
    let body = &entry.ok_or_else(not_proven)?.body;
    let algorithm = header.assertion_algorithm(body.profile).ok_or_else(not_proven)?;
    let keys = site.service_keys.of(&service, body, header.kid.as_deref(), site.app.now()).await?;
    let claims = keys
        .iter()
        .filter(|key| key.key_use == KeyUse::Signature && header.kid.as_ref().is_none_or(|kid| *kid == key.kid))
        .find_map(|key| jws::verified::<Claims>(assertion, &decoding_key(key)?, algorithm));
    let claims =
        claims.filter(|claims| is_timely(site, claims) && is_whole(site, claims, body.profile)).ok_or_else(not_proven)?;
    let presented = Presented::assertion(&service, &claims.jti, Time::from_micros(claims.exp.0));
    Ok((service, body.profile, presented))
}

fn is_timely(site: &Site, claims: &Claims) -> bool {
    let now = site.app.now().micros();
    let ahead = now + AHEAD;
    claims.exp.0 > now
        // A clock that is ahead says so in iat.
        && claims.exp.0 <= claims.iat.map_or(now, |iat| iat.0.clamp(now, now + BORNE)) + LONGEST_LIFE
        && claims.iat.is_none_or(|iat| iat.0 <= ahead)
        && claims.nbf.is_none_or(|nbf| nbf.0 <= ahead)
}

fn is_whole(site: &Site, claims: &Claims, profile: Profile) -> bool {
    claims.iss == claims.sub && claims.aud.is_us(&site.settings.issuer, profile) && (1..=256).contains(&claims.jti.len())
}

fn decoding_key(key: &Jwk) -> Option<DecodingKey> {
    match (key.kty.as_str(), &key.x, &key.y, &key.n, &key.e) {
        ("EC", Some(x), Some(y), ..) => DecodingKey::from_ec_components(x, y).ok(),
        ("OKP", Some(x), ..) => DecodingKey::from_ed_components(x).ok(),
        ("RSA", _, _, Some(n), Some(e)) => DecodingKey::from_rsa_components(n, e).ok(),
        _ => None,
    }
}
