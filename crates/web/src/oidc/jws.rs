//! Signatures of services (RFC 7515): which algorithms count, and the one place where they are checked.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::DeserializeOwned;
use usufruct_core::service::Profile;

/// What services may sign with (FAPI 2.0 Security Profile 5.4.1).
const ALGORITHMS: [Algorithm; 3] = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256];
/// Their names, for the metadata.
pub(crate) const ALGORITHM_NAMES: [&str; 3] = ["ES256", "EdDSA", "PS256"];
/// Longest signed token that is looked at, in bytes.
pub(crate) const LONGEST: usize = 8 * 1024;

/// The algorithm a token says it is signed with, if it is one of ours and the header asks for nothing we do not understand.
pub(crate) fn algorithm(token: &str) -> Option<Algorithm> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    (token.len() <= LONGEST && header.crit.is_none() && ALGORITHMS.contains(&header.alg)).then_some(header.alg)
}

/// As [`algorithm`], for the assertion by which a service proves itself. What is sold for plain OpenID Connect often signs with RS256 and
/// nothing else.
pub(crate) fn assertion_algorithm(token: &str, profile: Profile) -> Option<Algorithm> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let is_plain = profile == Profile::Oidc && header.alg == Algorithm::RS256 && header.crit.is_none() && token.len() <= LONGEST;
    if is_plain { Some(Algorithm::RS256) } else { algorithm(token) }
}

/// The claims, if the signature is made with this key. Names and times are the caller's to check.
pub(crate) fn verified<T: DeserializeOwned>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<T> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims::<&str>(&[]);
    jsonwebtoken::decode::<T>(token, key, &validation).ok().map(|token| token.claims)
}
