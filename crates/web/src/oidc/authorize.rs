//! The authorization endpoint (OpenID Connect Core 3.1.2, RFC 7636, RFC 9207).

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::{ALLOW, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use usufruct_app::store::pushed_requests::PushedRequest;
use usufruct_app::{AuthorizeRequest, Error, GrantManagement, OpenSession};
use usufruct_core::Time;
use usufruct_core::hash::equal;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::means::{AskedSignIn, Means};
use usufruct_core::service::Profile;
use usufruct_core::time::{MINUTE, SECOND};

use super::claims::Demanded;
use super::fields::{Fields, OAuthError};
use super::{consent, delegate, details, form_post};
use crate::Site;
use crate::fault::Fault;
use crate::page::Page;
use crate::session::MaybeResident;
use crate::site::{blocking, scrubbed};

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
    /// Languages the service asks for, best first.
    pub locales: Option<String>,
}

impl Asked {
    /// The same request after she said yes to a mandate on its page.
    pub fn agreeing(mut self, site: &Site, session: &OpenSession, mandate: &MandateId) -> Result<Self, Fault> {
        if !self.request.agreed.contains(mandate) {
            self.request.agreed.push(mandate.clone());
        }
        let words: Vec<&str> = self.request.agreed.iter().map(MandateId::as_str).collect();
        let words = words.join(" ");
        let mark = agreed_mark(site, session, &words, &self.raw)?;
        let kept = url::form_urlencoded::parse(self.raw.as_bytes()).filter(|(key, _)| key != AGREED);
        let said = (Cow::from(AGREED), Cow::from(format!("{words}.{mark}")));
        self.raw = rewrite(kept.chain([said]));
        Ok(self)
    }
}

pub(crate) async fn by_query(
    State(site): State<Arc<Site>>,
    method: Method,
    page: Page,
    session: MaybeResident,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    // Who only asks for the headers must change nothing (RFC 9110 9.2.1), and a code would be made.
    if method == Method::HEAD {
        return Ok((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, POST")]).into_response());
    }
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
    Source::find(&site, &raw, false).await?;
    if raw.len() > LONGEST_ADDRESS {
        return Err(Fault::too_large());
    }
    Ok(see(&format!("/oidc/authorize?{raw}")))
}

async fn authorize(site: &Arc<Site>, page: Page, MaybeResident(session): MaybeResident, raw: String) -> Result<Response, Fault> {
    let since = since(site, &raw);
    let source = Source::find(site, &raw, since.is_some()).await?;
    match proceed(site, page, session, &source, since, &raw).await {
        Ok(response) => Ok(response),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Answer(error)) => Ok(refuse(site, &source.answer(), &error)),
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

async fn proceed(
    site: &Arc<Site>,
    page: Page,
    session: Option<OpenSession>,
    source: &Source,
    since: Option<Time>,
    raw: &str,
) -> Result<Response, Stop> {
    let fields = &source.fields;
    if source.pushed.is_none() && source.profile == Profile::Fapi2 {
        return Err(
            OAuthError::new("invalid_request", "push the request first, see pushed_authorization_request_endpoint").into()
        );
    }
    let request = read(site, source)?;
    lawful(site, &request)?;
    let prompt: Vec<&str> = fields.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    let silent = prompt.contains(&"none");
    if silent && prompt.len() > 1 {
        return Err(OAuthError::new("invalid_request", "prompt none stands alone").into());
    }
    let demanded = Demanded::read(fields)?;
    let named = named_sign_in(fields, &demanded)?;
    if !demanded.can_be_met() {
        return Err(too_weak());
    }
    let expected: Vec<String> = demanded.subject.clone().into_iter().chain(hinted(site, source)).collect();
    if !expected.is_empty()
        && let Some(session) = &session
    {
        let resident = session.acting.as_ref().map_or(session.resident, |acting| acting.person);
        let service = source.service.clone();
        let own = blocking(site, move |app| app.subject(resident, &service)).await?;
        if expected.iter().any(|subject| !equal(own.as_bytes(), subject.as_bytes())) {
            // Whoever signed in for this very request and is still another is not asked for ever.
            if silent || since.is_some_and(|since| session.proved_at >= since) {
                return Err(OAuthError::new("login_required", "another resident is signed in than the request is about").into());
            }
            return Err(Fault::sign_in(&format!("/oidc/authorize?{}", way_back(site, raw)?)).into());
        }
    }
    let wanted = wanted_sign_in(site, named, &request)?;
    let resident_of_weaker = session.as_ref().filter(|session| session.means < wanted.means).map(|session| session.resident);
    let session = session.filter(|session| {
        let age = site.app.now().micros().saturating_sub(session.proved_at.micros());
        let is_recent = !prompt.contains(&"login") && wanted.within.is_none_or(|longest| age <= longest);
        // She signed in for this very request, so neither `prompt=login` nor a short time asks twice.
        let is_made_for_it = since.is_some_and(|since| session.proved_at >= since);
        let is_enough = session.means >= wanted.means && demanded.takes(session.means);
        // Whether a delegate is enough is said on a page of its own.
        is_made_for_it || (is_recent && (session.acting.is_some() || is_enough))
    });
    let Some(session) = session else {
        if silent {
            return Err(OAuthError::new("login_required", "nobody is signed in, or not recently or strongly enough").into());
        }
        // Whoever has nothing stronger cannot step up here, and the service may offer her another way.
        if let Some(resident) = resident_of_weaker
            && blocking(site, move |app| app.passkeys(resident)).await?.is_empty()
        {
            return Err(too_weak());
        }
        return Err(Fault::sign_in(&format!("/oidc/authorize?{}", way_back(site, raw)?)).into());
    };
    if !session.is_active() {
        return Err(OAuthError::new("access_denied", "the pass is deactivated").into());
    }
    if session.acting.is_some() {
        if silent {
            return Err(OAuthError::new("interaction_required", "the resident has to choose").into());
        }
        let raw = if since.is_some() { raw.to_owned() } else { way_back(site, raw)? };
        let asked = Asked { request, again: false, raw, locales: fields.get("ui_locales").map(str::to_owned) };
        return delegate::page(site, page, &session, &asked, wanted.means).map_err(Stop::Fault);
    }
    if session.means < wanted.means || !demanded.takes(session.means) {
        return Err(too_weak());
    }
    let request = AuthorizeRequest { agreed: agreed(site, &session, raw)?, ..request };
    let (resident, wanted, again) = (session.resident, request.clone(), prompt.contains(&"consent"));
    let to_ask = blocking(site, move |app| {
        match app.declines(resident, &wanted, silent)? || !again && app.has_refused(resident, &wanted)? {
            true => Ok(None),
            false => consent::questions(app, resident, &wanted, again).map(Some),
        }
    });
    let Some(to_ask) = to_ask.await? else {
        if silent {
            // As of anybody who has not agreed.
            return Err(OAuthError::new("consent_required", "the resident has to agree first").into());
        }
        let asked = Asked { request, again: false, raw: raw.to_owned(), locales: None };
        return deny(site, &asked).await.map_err(Stop::Fault);
    };
    let Some(question) = to_ask.first() else {
        return complete(site, &session, request).await;
    };
    if silent {
        return Err(OAuthError::new("consent_required", "the resident has to agree first").into());
    }
    // She may read for longer than an unseen request waits, so the page says that it was shown in time.
    let raw = if since.is_some() { raw.to_owned() } else { way_back(site, raw)? };
    let asked = Asked { request, again, raw, locales: fields.get("ui_locales").map(str::to_owned) };
    consent::page(site, page, &session, &asked, question).map_err(Stop::Fault)
}

/// The subject whom the service expects (OpenID Connect Core 3.1.2.1): only a token of ours for this very service says it, expired or not.
/// Anything else is no hint.
fn hinted(site: &Site, source: &Source) -> Option<String> {
    let hint = site.provider_keys.hint(source.fields.get("id_token_hint")?, &site.settings.issuer)?;
    (hint.audience == source.service.as_str()).then_some(hint.subject)
}

/// The request as the service made it: pushed over its own line, or in the address.
struct Source {
    service: ServiceId,
    profile: Profile,
    may_omit_challenge: bool,
    redirect_uri: String,
    fields: Fields,
    pushed: Option<PushedRequest>,
}

impl Source {
    /// The service and its redirect URI. Until both are known nothing is sent anywhere. `was_seen` says that the request was shown to
    /// this browser before, so that its time to be taken up is over but she may still answer.
    async fn find(site: &Arc<Site>, raw: &str, was_seen: bool) -> Result<Self, Fault> {
        let outer = parse(raw)?;
        let service: ServiceId = outer.get("client_id").and_then(|id| id.parse().ok()).ok_or_else(unknown_service)?;
        if let Some(suspension) = site.app.suspension(&service) {
            return Err(Fault::suspended(service, suspension.since));
        }
        let profile = site.app.profile(&service).map_err(|_| unknown_service())?;
        if !site.serves(profile) {
            return Err(unknown_service());
        }
        let pushed = match outer.get("request_uri").map(str::to_owned) {
            Some(uri) => {
                let asked = service.clone();
                let found = blocking(site, move |app| app.pushed_request(&asked, &uri, was_seen)).await?;
                Some(found.ok_or_else(|| {
                    Fault::malformed(
                        "The request of the service has lapsed, was answered before, or is another's. Go back to the service and start again.",
                    )
                })?)
            }
            None => None,
        };
        // What stands beside a pushed request in the address counts for nothing.
        let fields = match &pushed {
            Some(pushed) => parse(&pushed.parameters)?,
            None => outer,
        };
        let redirect_uri = fields.get("redirect_uri").unwrap_or_default().to_owned();
        if !site.app.knows_redirect(&service, &redirect_uri) {
            return Err(Fault::malformed(
                "The service asks to be answered at an address that is not registered for it, so nothing was sent. Go back to the service and tell its operator.",
            ));
        }
        let may_omit_challenge = site.app.may_omit_challenge(&service).map_err(|_| unknown_service())?;
        Ok(Self { service, profile, may_omit_challenge, redirect_uri, fields, pushed })
    }

    fn answer(&self) -> Way {
        Way {
            redirect_uri: self.redirect_uri.clone(),
            state: self.fields.get("state").filter(|state| state.len() <= LONGEST_STATE).map(str::to_owned),
            by_form: self.fields.get("response_mode") == Some("form_post"),
        }
    }
}

/// Where an answer goes.
pub(crate) struct Way {
    redirect_uri: String,
    state: Option<String>,
    /// `response_mode=form_post`.
    by_form: bool,
}

impl Way {
    fn of(request: &AuthorizeRequest) -> Self {
        Self { redirect_uri: request.redirect_uri.clone(), state: request.state.clone(), by_form: request.by_form }
    }
}

/// The origin to which signing in may lead on from `next`, if that is a request of a service.
pub(crate) async fn origin_behind(site: &Arc<Site>, next: &str) -> Option<String> {
    let raw = next.strip_prefix("/oidc/authorize?")?;
    let source = Source::find(site, raw, since(site, raw).is_some()).await.ok()?;
    Some(url::Url::parse(&source.redirect_uri).ok()?.origin().ascii_serialization())
}

/// What the request names: the weakest of `acr_values` that is ours, what it demands by `claims`, and `max_age` (OpenID Connect Core 3.1.2.1).
fn named_sign_in(fields: &Fields, demanded: &Demanded) -> Result<AskedSignIn, OAuthError> {
    let classes = fields.get("acr_values").unwrap_or_default().split(' ').filter_map(Means::from_acr);
    let within = match fields.get("max_age").map(str::parse::<u32>) {
        Some(Err(_)) => return Err(OAuthError::new("invalid_request", "max_age is no number of seconds")),
        Some(Ok(seconds)) => Some(i64::from(seconds) * SECOND),
        None => None,
    };
    Ok(AskedSignIn { means: classes.min().unwrap_or(Means::Delegate).max(demanded.weakest()), within })
}

/// What meets the request, its service and its mandates.
fn wanted_sign_in(site: &Site, named: AskedSignIn, request: &AuthorizeRequest) -> Result<AskedSignIn, Fault> {
    Ok(site.app.asked_sign_in(request)?.and(named))
}

/// RFC 9470 and OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
fn too_weak() -> Stop {
    OAuthError::new("unmet_authentication_requirements", "the resident did not sign in that strongly").into()
}

/// Whether the mandates of a request can be asked for.
pub(crate) fn lawful(site: &Site, request: &AuthorizeRequest) -> Result<(), OAuthError> {
    let detailed: Vec<String> = request.details.iter().map(|(mandate, _)| mandate.to_string()).collect();
    if site.app.scope_mandates(&request.service, &detailed).is_err() {
        return Err(OAuthError::new(
            "invalid_authorization_details",
            "a detail names a mandate that is not in force, or not of this service",
        ));
    }
    if site.app.scope_mandates(&request.service, &request.scope).is_ok() {
        return Ok(());
    }
    Err(OAuthError::new("invalid_scope", "a mandate in the scope is unknown, not in force, or not of this service"))
}

fn unknown_service() -> Fault {
    Fault::malformed("The service is not named or not known. Go back to the service and tell its operator.")
}

/// Makes the code and leads back to the service.
async fn complete(site: &Arc<Site>, session: &OpenSession, request: AuthorizeRequest) -> Result<Response, Stop> {
    let (session, wanted) = (session.clone(), request.clone());
    let app = Arc::clone(&site.app);
    let joined = tokio::task::spawn_blocking(move || scrubbed(|| app.authorize(&session, &wanted)));
    let joined = joined.await.map_err(|_| Fault::internal())?;
    match joined {
        Ok(code) => Ok(lead(site, &Way::of(&request), &[("code", &code)])),
        Err(Error::NoAuthorization) => Err(OAuthError::new("invalid_grant_id", "there is no such grant of this resident").into()),
        // The service is told, since the address it asked at cannot answer it with a status (RFC 6749 4.1.2.1).
        Err(error) if error.is_temporary() => Err(OAuthError::from(error).into()),
        Err(error) => Err(Fault::from(error).into()),
    }
}

/// As [`complete`], after the last question was answered.
pub(crate) async fn answer(site: &Arc<Site>, session: &OpenSession, request: AuthorizeRequest) -> Result<Response, Fault> {
    let way = Way::of(&request);
    match complete(site, session, request).await {
        Ok(response) => Ok(response),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Answer(error)) => Ok(refuse(site, &way, &error)),
    }
}

/// As [`answer`], where a delegate may not agree to what has to be agreed to first.
pub(crate) async fn deny_agreeing(site: &Arc<Site>, asked: &Asked) -> Result<Response, Fault> {
    if let Some(pushed) = asked.request.pushed {
        blocking(site, move |app| app.drop_pushed(&pushed)).await?;
    }
    let error = OAuthError::new("access_denied", "the resident has to agree herself first");
    Ok(refuse(site, &Way::of(&asked.request), &error))
}

/// Whether her standing wishes, or what she refused before, say no before she is shown anything. The service reads what it reads of any no.
pub(crate) async fn declines(site: &Arc<Site>, resident: u64, asked: &Asked) -> Result<bool, Fault> {
    let (request, again) = (asked.request.clone(), asked.again);
    blocking(site, move |app| Ok(app.declines(resident, &request, false)? || !again && app.has_refused(resident, &request)?))
        .await
}

/// Leads back to the service because she said no.
pub(crate) async fn deny(site: &Arc<Site>, asked: &Asked) -> Result<Response, Fault> {
    if let Some(pushed) = asked.request.pushed {
        blocking(site, move |app| app.drop_pushed(&pushed)).await?;
    }
    let error = OAuthError::new("access_denied", "the resident did not agree");
    Ok(refuse(site, &Way::of(&asked.request), &error))
}

/// Leads back to the service with an error.
fn refuse(site: &Site, way: &Way, error: &OAuthError) -> Response {
    lead(site, way, &[("error", error.code), ("error_description", error.description)])
}

/// The weakest means that a request which was shown before can be met with.
pub(crate) async fn wanted(site: &Arc<Site>, raw: &str) -> Result<Means, Fault> {
    let source = Source::find(site, raw, true).await?;
    let request = read(site, &source).map_err(|_| Fault::bad_form())?;
    let demanded = Demanded::read(&source.fields).map_err(|_| Fault::bad_form())?;
    let named = named_sign_in(&source.fields, &demanded).map_err(|_| Fault::bad_form())?;
    Ok(wanted_sign_in(site, named, &request).map_err(|_| Fault::bad_form())?.means)
}

/// Reads a request again that was shown on the consent page.
pub(crate) async fn reread(site: &Arc<Site>, session: &OpenSession, raw: &str) -> Result<Asked, Fault> {
    let source = Source::find(site, raw, true).await?;
    let request = read(site, &source).map_err(|_| Fault::bad_form())?;
    let request = AuthorizeRequest { agreed: agreed(site, session, raw)?, ..request };
    let again = source.fields.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "consent"));
    Ok(Asked { request, again, raw: raw.to_owned(), locales: source.fields.get("ui_locales").map(str::to_owned) })
}

fn parse(raw: &str) -> Result<Fields, Fault> {
    Fields::parse(raw.as_bytes())
        .map_err(|_| Fault::malformed("The request has a parameter twice or too many. Go back to the service and start again."))
}

fn read(site: &Site, source: &Source) -> Result<AuthorizeRequest, OAuthError> {
    let mut request = read_fields(site, &source.fields, &source.service, source.may_omit_challenge)?;
    if let Some(pushed) = &source.pushed {
        request.pushed = Some(pushed.request_hash);
        request.jkt = pushed.jkt.clone();
    }
    Ok(request)
}

/// Reads the parameters of a request; `service` is known by now.
pub(crate) fn read_fields(
    site: &Site,
    fields: &Fields,
    service: &ServiceId,
    may_omit_challenge: bool,
) -> Result<AuthorizeRequest, OAuthError> {
    if fields.get("request").is_some() {
        return Err(OAuthError::new("request_not_supported", "request objects are not supported"));
    }
    if fields.get("request_uri").is_some() {
        return Err(OAuthError::new("invalid_request", "request_uri has no place in a pushed request"));
    }
    if fields.get("response_type") != Some("code") {
        return Err(OAuthError::new("unsupported_response_type", "only the response type code is supported"));
    }
    if !matches!(fields.get("response_mode"), None | Some("query" | "form_post")) {
        return Err(OAuthError::new("invalid_request", "only the response modes query and form_post are supported"));
    }
    if fields.get("state").is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(OAuthError::new("invalid_request", "state is longer than 2048 bytes"));
    }
    let nonce = fields.get("nonce");
    if nonce.is_some_and(|nonce| nonce.len() > LONGEST_NONCE) {
        return Err(OAuthError::new("invalid_request", "nonce is longer than 512 bytes"));
    }
    let mut scope: Vec<String> =
        fields.get("scope").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if !scope.iter().any(|word| word == "openid") {
        return Err(OAuthError::new("invalid_scope", "the scope lacks openid"));
    }
    scope.retain(|word| word == "openid" || word.starts_with("mdt_"));
    let details = match fields.get("authorization_details") {
        Some(text) => details::read(text, &site.app.register(), &site.settings.issuer)?,
        None => Vec::new(),
    };
    for (mandate, _) in &details {
        if !scope.iter().any(|word| word == mandate.as_str()) {
            scope.push(mandate.to_string());
        }
    }
    Ok(AuthorizeRequest {
        service: service.clone(),
        redirect_uri: fields.get("redirect_uri").unwrap_or_default().to_owned(),
        scope,
        details,
        state: fields.get("state").map(str::to_owned),
        nonce: nonce.map(str::to_owned),
        challenge: challenge(fields, may_omit_challenge)?,
        by_form: fields.get("response_mode") == Some("form_post"),
        jkt: named_key(fields)?,
        management: management(fields)?,
        pushed: None,
        agreed: Vec::new(),
    })
}

/// The PKCE challenge (RFC 7636 4.3).
fn challenge(fields: &Fields, may_be_omitted: bool) -> Result<Option<String>, OAuthError> {
    let Some(challenge) = fields.get("code_challenge") else {
        return match fields.get("code_challenge_method") {
            None if may_be_omitted => Ok(None),
            _ => Err(OAuthError::new("invalid_request", "code_challenge is missing")),
        };
    };
    if fields.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::new("invalid_request", "only the code challenge method S256 is supported"));
    }
    if !is_hash(challenge) {
        return Err(OAuthError::new("invalid_request", "code_challenge is malformed"));
    }
    Ok(Some(challenge.to_owned()))
}

/// The key that the code is to be bound to, by its thumbprint (RFC 9449 10).
fn named_key(fields: &Fields) -> Result<Option<String>, OAuthError> {
    match fields.get("dpop_jkt") {
        Some(named) if !is_hash(named) => Err(OAuthError::new("invalid_request", "dpop_jkt is no thumbprint of a key")),
        named => Ok(named.map(str::to_owned)),
    }
}

/// Whether a text may be SHA-256 in base64url.
fn is_hash(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn management(fields: &Fields) -> Result<GrantManagement, OAuthError> {
    let id = fields.get("grant_id").map(str::to_owned);
    let unknown = || OAuthError::new("invalid_grant_id", "merge and replace need the grant_id of an earlier grant");
    match (fields.get("grant_management_action"), id) {
        (None, None) => Ok(GrantManagement::Any),
        (Some("create"), None) => Ok(GrantManagement::Create),
        (Some("merge"), id) => Ok(GrantManagement::Merge(id.ok_or_else(unknown)?)),
        (Some("replace"), id) => Ok(GrantManagement::Replace(id.ok_or_else(unknown)?)),
        _ => Err(OAuthError::new("invalid_request", "grant_management_action is unknown, or grant_id stands without one")),
    }
}

/// Since when a sign-in counts as made for this very request, if we said so not long ago.
fn since(site: &Site, raw: &str) -> Option<Time> {
    let given = url::form_urlencoded::parse(raw.as_bytes()).find(|(key, _)| key == SINCE)?.1.into_owned();
    let (since, mark) = given.split_once('.')?;
    let known = site.app.mark(SINCE, None, &[since, &asked_for(raw)]).ok()?;
    let since = since.parse().ok().map(Time::from_micros)?;
    (equal(known.as_bytes(), mark.as_bytes()) && site.app.now() <= since.plus(WAY_BACK)).then_some(since)
}

/// Own parameter: since when a sign-in counts as made for this request, and the mark that we said so.
const SINCE: &str = "usufruct_since";

/// Own parameter: the mandates to which she said yes on the pages of this request, and the mark that she did.
const AGREED: &str = "usufruct_agreed";

/// The mandates to which this session said yes on the pages of this request, for the person for whom it acts.
fn agreed(site: &Site, session: &OpenSession, raw: &str) -> Result<Vec<MandateId>, Fault> {
    let given = url::form_urlencoded::parse(raw.as_bytes()).find(|(key, _)| key == AGREED).map(|(_, value)| value.into_owned());
    let Some((words, mark)) = given.as_deref().and_then(|given| given.rsplit_once('.')) else { return Ok(Vec::new()) };
    if !equal(agreed_mark(site, session, words, raw)?.as_bytes(), mark.as_bytes()) {
        return Ok(Vec::new());
    }
    Ok(words.split(' ').filter_map(|word| word.parse().ok()).collect())
}

fn agreed_mark(site: &Site, session: &OpenSession, words: &str, raw: &str) -> Result<String, Fault> {
    Ok(site.app.mark(AGREED, Some(session), &[&session.person().to_string(), words, &asked_for(raw)])?)
}

/// The request again, to be taken up after signing in.
fn way_back(site: &Site, raw: &str) -> Result<String, Fault> {
    let since = site.app.now().micros().to_string();
    let mark = site.app.mark(SINCE, None, &[&since, &asked_for(raw)])?;
    let kept = url::form_urlencoded::parse(raw.as_bytes()).filter(|(key, _)| key != SINCE);
    Ok(format!("{}&{SINCE}={since}.{mark}", rewrite(kept)))
}

/// What the service asked for: the request without what this site adds to it.
fn asked_for(raw: &str) -> String {
    rewrite(url::form_urlencoded::parse(raw.as_bytes()).filter(|(key, _)| key != SINCE && key != AGREED && key != "lang"))
}

fn rewrite<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Sends the browser back with an answer: by its address, or by a form that sends itself.
fn lead(site: &Site, way: &Way, answer: &[(&str, &str)]) -> Response {
    let state = way.state.as_deref().map(|state| ("state", state));
    let pairs = answer.iter().copied().chain(state).chain([("iss", site.settings.issuer.as_str())]);
    if way.by_form {
        return form_post::page(&way.redirect_uri, pairs);
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let separator = if way.redirect_uri.contains('?') { '&' } else { '?' };
    see(&format!("{}{separator}{query}", way.redirect_uri))
}

pub(crate) fn see(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_) => Fault::internal().into_response(),
    }
}
