//! The authorization endpoint (OpenID Connect Core 3.1.2, RFC 7636, RFC 9207).

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use usufruct_app::{AuthorizeRequest, OpenSession};
use usufruct_core::Time;
use usufruct_core::hash::equal;
use usufruct_core::id::ServiceId;
use usufruct_core::time::{MINUTE, SECOND};

use super::consent;
use super::fields::{Fields, OAuthError};
use crate::Site;
use crate::fault::Fault;
use crate::page::Page;
use crate::session::MaybeResident;
use crate::site::blocking;

/// Lengths that are kept unchanged, and no more.
const LONGEST_STATE: usize = 2_048;
const LONGEST_NONCE: usize = 512;
/// Longest posted request that is taken up again as an address.
const LONGEST_ADDRESS: usize = 12 * 1024;
/// How long the way back from signing in is open.
const WAY_BACK: i64 = 15 * MINUTE;

/// A request that may be answered at its redirect URI.
pub(crate) struct Asked {
    pub request: AuthorizeRequest,
    /// `prompt=consent`: to be asked also about what was agreed to before.
    pub again: bool,
    /// The request as it came, so that it can be taken up again after signing in.
    pub raw: String,
}

pub(crate) async fn by_query(
    State(site): State<Arc<Site>>,
    page: Page,
    session: MaybeResident,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    authorize(&site, page, session, query.unwrap_or_default()).await
}

pub(crate) async fn by_form(
    State(site): State<Arc<Site>>,
    page: Page,
    session: MaybeResident,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let body = body.map_err(|_| Fault::too_large())?;
    let raw = rewrite(url::form_urlencoded::parse(&body));
    if session.0.is_some() {
        return authorize(&site, page, session, raw).await;
    }
    // Browsers keep the session's cookie back when another site posts, and send it along a redirect.
    target(&site, &parse(&raw)?)?;
    if raw.len() > LONGEST_ADDRESS {
        return Err(Fault::too_large());
    }
    Ok(see(&format!("/oidc/authorize?{raw}")))
}

async fn authorize(site: &Arc<Site>, page: Page, MaybeResident(session): MaybeResident, raw: String) -> Result<Response, Fault> {
    let fields = parse(&raw)?;
    let (service, redirect_uri) = target(site, &fields)?;
    let state = fields.get("state").filter(|state| state.len() <= LONGEST_STATE).map(str::to_owned);
    match proceed(site, page, session, &fields, &service, &redirect_uri, state.clone(), &raw).await {
        Ok(response) => Ok(response),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Answer(error)) => Ok(refuse(site, &redirect_uri, state.as_deref(), &error)),
    }
}

enum Stop {
    Fault(Fault),
    /// Told to the service at its redirect URI.
    Answer(OAuthError),
}

impl From<OAuthError> for Stop {
    fn from(error: OAuthError) -> Self {
        Self::Answer(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

#[expect(clippy::too_many_arguments, reason = "one request, taken apart once")]
async fn proceed(
    site: &Arc<Site>,
    page: Page,
    session: Option<OpenSession>,
    fields: &Fields,
    service: &ServiceId,
    redirect_uri: &str,
    state: Option<String>,
    raw: &str,
) -> Result<Response, Stop> {
    let request = read(fields, service, redirect_uri, state)?;
    let asked = request.clone();
    let lawful = blocking(site, move |app| Ok(app.scope_mandates(&asked.service, &asked.scope).is_ok())).await?;
    if !lawful {
        return Err(
            OAuthError::new("invalid_scope", "a mandate in the scope is unknown, not in force, or not of this service").into()
        );
    }
    let prompt: Vec<&str> = fields.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    let silent = prompt.contains(&"none");
    if silent && prompt.len() > 1 {
        return Err(OAuthError::new("invalid_request", "prompt none stands alone").into());
    }
    let max_age = match fields.get("max_age").map(str::parse::<u32>) {
        Some(Err(_)) => return Err(OAuthError::new("invalid_request", "max_age is no number of seconds").into()),
        Some(Ok(seconds)) => Some(i64::from(seconds) * SECOND),
        None => None,
    };
    let session = session.filter(|session| {
        let age = site.app.now().micros().saturating_sub(session.opened_at.micros());
        let is_recent = !prompt.contains(&"login") && max_age.is_none_or(|longest| age <= longest);
        is_recent || is_made_for(site, session, fields, raw)
    });
    let Some(session) = session else {
        if silent {
            return Err(OAuthError::new("login_required", "nobody is signed in, or not recently enough").into());
        }
        return Err(Fault::sign_in(&format!("/oidc/authorize?{}", way_back(site, raw)?)).into());
    };
    if !session.active {
        return Err(OAuthError::new("access_denied", "the pass is deactivated").into());
    }
    let (resident, wanted, again) = (session.resident, request.clone(), prompt.contains(&"consent"));
    let to_ask = blocking(site, move |app| consent::questions(app, resident, &wanted, again)).await?;
    let Some(mandate) = to_ask.first() else {
        return complete(site, &session, request).await.map_err(Stop::Fault);
    };
    if silent {
        return Err(OAuthError::new("consent_required", "the resident has to agree first").into());
    }
    let asked = Asked { request, again, raw: raw.to_owned() };
    consent::page(site, page, &session, &asked, mandate).map_err(Stop::Fault)
}

/// Makes the code and leads back to the service.
pub(crate) async fn complete(site: &Arc<Site>, session: &OpenSession, request: AuthorizeRequest) -> Result<Response, Fault> {
    let (resident, auth_time, wanted) = (session.resident, session.opened_at, request.clone());
    let code = blocking(site, move |app| app.authorize(resident, auth_time, &wanted)).await?;
    Ok(redirect(site, &request.redirect_uri, request.state.as_deref(), &[("code", &code)]))
}

/// Leads back to the service with an error.
pub(crate) fn refuse(site: &Site, redirect_uri: &str, state: Option<&str>, error: &OAuthError) -> Response {
    redirect(site, redirect_uri, state, &[("error", error.code), ("error_description", error.description)])
}

/// Reads a request again that was shown on the consent page.
pub(crate) fn reread(site: &Site, raw: &str) -> Result<Asked, Fault> {
    let fields = parse(raw)?;
    let (service, redirect_uri) = target(site, &fields)?;
    let state = fields.get("state").filter(|state| state.len() <= LONGEST_STATE).map(str::to_owned);
    let request = read(&fields, &service, &redirect_uri, state).map_err(|_| Fault::bad_form())?;
    let again = fields.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "consent"));
    Ok(Asked { request, again, raw: raw.to_owned() })
}

fn parse(raw: &str) -> Result<Fields, Fault> {
    Fields::parse(raw.as_bytes())
        .map_err(|_| Fault::malformed("The request has a parameter twice or too many. Go back to the service and start again."))
}

/// The service and its redirect URI. Until both are known nothing is sent anywhere.
fn target(site: &Site, fields: &Fields) -> Result<(ServiceId, String), Fault> {
    let service: ServiceId = fields.get("client_id").and_then(|id| id.parse().ok()).ok_or_else(|| {
        Fault::malformed("The service is not named or not known. Go back to the service and tell its operator.")
    })?;
    let redirect_uri = fields.get("redirect_uri").unwrap_or_default();
    if !site.app.knows_redirect(&service, redirect_uri) {
        return Err(Fault::malformed(
            "The service asks to be answered at an address that is not registered for it, so nothing was sent. Go back to the service and tell its operator.",
        ));
    }
    Ok((service, redirect_uri.to_owned()))
}

fn read(fields: &Fields, service: &ServiceId, redirect_uri: &str, state: Option<String>) -> Result<AuthorizeRequest, OAuthError> {
    if fields.get("request").is_some() {
        return Err(OAuthError::new("request_not_supported", "request objects are not supported"));
    }
    if fields.get("request_uri").is_some() {
        return Err(OAuthError::new("request_uri_not_supported", "request_uri is not supported"));
    }
    if fields.get("response_type") != Some("code") {
        return Err(OAuthError::new("unsupported_response_type", "only the response type code is supported"));
    }
    if !matches!(fields.get("response_mode"), None | Some("query")) {
        return Err(OAuthError::new("invalid_request", "only the response mode query is supported"));
    }
    if fields.get("state").is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(OAuthError::new("invalid_request", "state is longer than 2048 bytes"));
    }
    let challenge = fields.required("code_challenge", "code_challenge is missing")?;
    if fields.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::new("invalid_request", "only the code challenge method S256 is supported"));
    }
    if challenge.len() != 43 || !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(OAuthError::new("invalid_request", "code_challenge is malformed"));
    }
    let scope: Vec<String> =
        fields.get("scope").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if !scope.iter().any(|word| word == "openid") {
        return Err(OAuthError::new("invalid_scope", "the scope lacks openid"));
    }
    let nonce = fields.get("nonce");
    if nonce.is_some_and(|nonce| nonce.len() > LONGEST_NONCE) {
        return Err(OAuthError::new("invalid_request", "nonce is longer than 512 bytes"));
    }
    Ok(AuthorizeRequest {
        service: service.clone(),
        redirect_uri: redirect_uri.to_owned(),
        scope: scope.into_iter().filter(|word| word == "openid" || word.starts_with("mdt_")).collect(),
        state,
        nonce: nonce.map(str::to_owned),
        challenge: challenge.to_owned(),
    })
}

/// Whether she signed in for this very request, not long ago. So neither `prompt=login` nor a short `max_age` asks twice.
fn is_made_for(site: &Site, session: &OpenSession, fields: &Fields, raw: &str) -> bool {
    let Some((since, given)) = fields.get(SINCE).and_then(|text| text.split_once('.')) else { return false };
    let known = site.app.mark(SINCE, None, &[since, &asked_for(raw)]);
    let is_ours = known.is_ok_and(|known| equal(known.as_bytes(), given.as_bytes()));
    let Some(since) = since.parse().ok().map(Time::from_micros).filter(|_| is_ours) else { return false };
    session.opened_at >= since && site.app.now() <= since.plus(WAY_BACK)
}

/// Own parameter: since when a sign-in counts as made for this request, and the mark that we said so.
const SINCE: &str = "usufruct_since";

/// The request again, to be taken up after signing in.
fn way_back(site: &Site, raw: &str) -> Result<String, Fault> {
    let since = site.app.now().micros().to_string();
    let mark = site.app.mark(SINCE, None, &[&since, &asked_for(raw)])?;
    let kept = url::form_urlencoded::parse(raw.as_bytes()).filter(|(key, _)| key != SINCE);
    Ok(format!("{}&{SINCE}={since}.{mark}", rewrite(kept)))
}

/// What the service asked for: the request without what this site adds to it.
fn asked_for(raw: &str) -> String {
    rewrite(url::form_urlencoded::parse(raw.as_bytes()).filter(|(key, _)| key != SINCE && key != "lang"))
}

fn rewrite<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn redirect(site: &Site, redirect_uri: &str, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &site.settings.issuer);
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    let location = format!("{redirect_uri}{separator}{}", query.finish());
    see(&location)
}

pub(crate) fn see(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_) => Fault::internal().into_response(),
    }
}
