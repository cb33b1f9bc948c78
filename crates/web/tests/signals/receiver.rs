//! A receiver on this machine that keeps what it gets, and a pass whose services are told there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usufruct_core::statement::StatementKind;
use usufruct_web::Outbound;

use crate::common::{CARD, LIBRARY, SERVICE};
use crate::site::{Answer, CALLBACK, ISSUER, Key, OTHER, OTHER_CALLBACK, TestSite, claims_of, encode};

/// What came, oldest first.
type Kept = Arc<Mutex<Vec<Got>>>;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    /// The token in it.
    pub fn token(&self) -> String {
        self.body.strip_prefix("logout_token=").unwrap_or(&self.body).to_owned()
    }

    pub fn claims(&self) -> Value {
        claims_of(&self.token())
    }
}

/// A pass with two services, both told at one receiver.
pub struct Street {
    pub site: TestSite,
    pub base: String,
    pub outbound: Outbound,
    kept: Kept,
}

impl Street {
    /// The library is told at `<way>/logout` and `<way>/signals`; the other service at paths below `/second`.
    pub async fn open(way: &str) -> Self {
        let site = TestSite::new();
        let kept = Kept::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let router = Router::new().fallback(receive).with_state(Arc::clone(&kept));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let street = Self { site, base, outbound: Outbound::new(ISSUER).unwrap(), kept };
        street.told_at(SERVICE, way);
        street.told_at(OTHER, "/second");
        street
    }

    /// Registers where a service is told.
    pub fn told_at(&self, service: &str, way: &str) {
        self.told_with(service, way, |_| {});
    }

    /// As [`Street::told_at`], with something else in its statement.
    pub fn told_with(&self, service: &str, way: &str, change: impl FnOnce(&mut Value)) {
        let base = if way.contains("://") { way.to_owned() } else { format!("{}{way}", self.base) };
        let (key, callback): (&Key, &str) = match service {
            OTHER => (&self.site.second, OTHER_CALLBACK),
            _ => (&self.site.library, CALLBACK),
        };
        let text = |en: &str| json!({ "en": en, "zh-Hant": en });
        let mut body = json!({
            "agency": LIBRARY, "name": text(service), "sector": service.trim_start_matches("svc_"), "redirect_uris": [callback],
            "channels": ["web", "counter"], "alternatives": [text("Ask at the counter.")], "mandates": [CARD], "help": text("Lends books."),
            "jwks": [key.jwk()], "post_logout_redirect_uris": ["http://localhost:8081/"],
            "backchannel_logout_uri": format!("{base}/logout"), "signals_uri": format!("{base}/signals"),
        });
        change(&mut body);
        self.site.city.publish(StatementKind::Service, service, LIBRARY, body);
    }

    pub async fn deliver(&self) -> usize {
        usufruct_web::deliver(&self.site.site, &self.outbound).await.unwrap()
    }

    /// What came since the last call.
    pub fn got(&self) -> Vec<Got> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }

    /// The header of a token that is signed with a published key of the provider.
    pub async fn verified(&self, token: &str) -> jsonwebtoken::Header {
        let keys: JwkSet = serde_json::from_value(self.site.get("/oidc/jwks", "").await.json()).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let key = keys.find(header.kid.as_ref().unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims::<&str>(&[]);
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
        header
    }

    /// A service's own token.
    pub async fn token(&self, service: &str, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let answer = self.site.oauth_as(service, "/oidc/token", &form).await;
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    /// A request to an endpoint of the transmitter.
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Option<&str>) -> Answer {
        let plain = path.split('?').next().unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", self.site.proof(method, plain, Some(token)))
            .header(CONTENT_TYPE, "application/json");
        self.site.send(request.body(body.map_or_else(Body::empty, |body| body.to_owned().into())).unwrap()).await
    }

    /// Makes the stream of a service and answers it.
    pub async fn stream(&self, service: &str, body: &Value) -> Value {
        let token = self.token(service, "ssf.manage").await;
        let answer = self.call("POST", "/ssf/streams", &token, Some(&body.to_string())).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }

    /// A stream of a service that pushes to its registered address.
    pub async fn push_stream(&self, service: &str) -> Value {
        let way = if service == OTHER { "/second" } else { "/good" };
        let endpoint = format!("{}{way}/signals", self.base);
        let delivery =
            json!({ "method": "urn:ietf:rfc:8935", "endpoint_url": endpoint, "authorization_header": "Bearer of-the-receiver" });
        self.stream(service, &json!({ "delivery": delivery })).await
    }

    /// Signs a resident in at a service and answers the claims of the ID token.
    pub async fn sign_in(&self, cookie: &str, service: &str) -> Value {
        let callback = if service == OTHER { OTHER_CALLBACK } else { CALLBACK };
        let code = self.site.code(cookie, &[("client_id", service), ("redirect_uri", callback)]).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", callback),
            ("code_verifier", crate::site::VERIFIER),
        ];
        let answer = self.site.oauth_as(service, "/oidc/token", &form).await;
        claims_of(answer.json()["id_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())))
    }

    /// She signs out of the pass.
    pub async fn sign_out(&self, cookie: &str) {
        let page = self.site.get(&format!("/oidc/end-session?{}", encode(&[("state", "s")])), cookie).await;
        let hidden = page.hidden();
        let form: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = self.site.post("/oidc/end-session/confirm", cookie, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    }
}

/// Behaves as the path says.
async fn receive(State(kept): State<Kept>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    kept.lock().unwrap().push(Got { path: path.clone(), headers, body: String::from_utf8(body.to_vec()).unwrap() });
    match path.split('/').nth(1).unwrap_or_default() {
        "slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK.into_response()
        }
        "broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "elsewhere" => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/good/logout")]).into_response(),
        "large" => (StatusCode::OK, vec![b'x'; 70_000]).into_response(),
        "endless" => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1_000]));
            Body::from_stream(chunks).into_response()
        }
        "unwilling" => (StatusCode::BAD_REQUEST, axum::Json(json!({ "err": "invalid_key" }))).into_response(),
        _ if path.ends_with("/signals") => StatusCode::ACCEPTED.into_response(),
        _ => StatusCode::OK.into_response(),
    }
}
