//! Keys that a service publishes at an address: fetched when they are needed, kept for a while, and never from anywhere inside.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usufruct_core::time::{MINUTE, SECOND};
use usufruct_web::Outbound;

use crate::common::{CARD, SERVICE};
use crate::site::{Answer, CALLBACK, Key, TestSite, publish_body, service_body};

/// What names lead to that nobody may be led to; one address inside spoils the name.
const INSIDE: [&[&str]; 5] = [&["127.0.0.1"], &["10.0.0.1"], &["169.254.169.254"], &["::1"], &["1.1.1.1", "127.0.0.1"]];
const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "release")];

/// Where a service publishes its keys.
#[derive(Clone, Default)]
struct Place {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    status: Arc<Mutex<Option<StatusCode>>>,
}

impl Place {
    /// Answers the address that it is found at.
    async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        base
    }

    fn set(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = keys.to_vec();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(place): State<Place>, uri: Uri) -> Response {
    place.asked.fetch_add(1, Ordering::SeqCst);
    let set = json!({ "keys": *place.keys.lock().unwrap() }).to_string();
    match uri.path() {
        "/moved" => (StatusCode::FOUND, [(LOCATION, "/keys")]).into_response(),
        "/huge" => format!("{set}{}", " ".repeat(64 * 1024)).into_response(),
        "/slow" => {
            let first = stream::once(async move { Ok::<_, io::Error>(Bytes::from(set)) });
            let rest = stream::once(async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(Bytes::from(" "))
            });
            Body::from_stream(futures_util::StreamExt::chain(first, rest)).into_response()
        }
        "/words" => "no keys here".into_response(),
        "/none" => json!({ "keys": [] }).to_string().into_response(),
        _ => match *place.status.lock().unwrap() {
            Some(status) => status.into_response(),
            None => set.into_response(),
        },
    }
}

/// Registers the library with its keys at an address.
fn publish_at(site: &TestSite, uri: &str) {
    let mut body = service_body(SERVICE, CALLBACK, &[], "fapi2", &[CARD]);
    body.as_object_mut().unwrap().remove("jwks");
    body["jwks_uri"] = json!(uri);
    publish_body(&site.city, SERVICE, body);
}

async fn sign(site: &TestSite, key: &Key) -> Answer {
    site.oauth_with(&key.sign("ES256", &site.claims(SERVICE)), "/oidc/token", &OWN).await
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed_and_again_when_one_is_unknown() {
    let (site, place) = (TestSite::new(), Place::default());
    let (first, second, third) = (Key::new("first"), Key::new("second"), Key::new("third"));
    place.set(&[first.jwk()]);
    publish_at(&site, &format!("{}/keys", place.open().await));
    assert_eq!(place.asked(), 0, "nothing is fetched before somebody asks");
    for _ in 0..3 {
        assert_eq!(sign(&site, &first).await.status, StatusCode::OK);
    }
    assert_eq!(place.asked(), 1, "what was fetched is kept");
    // A new key is taken up at once, but strangers cannot make the pass ask again and again.
    place.set(&[first.jwk(), second.jwk()]);
    assert_eq!(sign(&site, &second).await.oauth_error(), "invalid_client");
    assert_eq!(place.asked(), 1, "not twice in a minute");
    site.city.clock.advance(MINUTE);
    assert_eq!(sign(&site, &second).await.status, StatusCode::OK);
    assert_eq!(place.asked(), 2);
    for _ in 0..5 {
        assert_eq!(sign(&site, &third).await.oauth_error(), "invalid_client");
    }
    assert_eq!(place.asked(), 2);
    site.city.clock.advance(MINUTE - SECOND);
    assert_eq!(sign(&site, &third).await.oauth_error(), "invalid_client");
    assert_eq!(place.asked(), 2);
    // A key that is there no more is not believed for longer than twenty minutes.
    place.set(&[second.jwk()]);
    site.city.clock.advance(19 * MINUTE);
    assert_eq!(sign(&site, &first).await.status, StatusCode::OK);
    assert_eq!(place.asked(), 2);
    site.city.clock.advance(SECOND);
    assert_eq!(sign(&site, &first).await.oauth_error(), "invalid_client");
    assert_eq!(place.asked(), 3);
    assert_eq!(sign(&site, &second).await.status, StatusCode::OK);
    // Nor is anything, when the place does not answer.
    *place.status.lock().unwrap() = Some(StatusCode::INTERNAL_SERVER_ERROR);
    site.city.clock.advance(20 * MINUTE);
    let answer = sign(&site, &second).await;
    assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert!(!answer.header("retry-after").is_empty());
    *place.status.lock().unwrap() = None;
    assert_eq!(sign(&site, &second).await.status, StatusCode::SERVICE_UNAVAILABLE, "it is left alone for a minute");
    site.city.clock.advance(MINUTE);
    assert_eq!(sign(&site, &second).await.status, StatusCode::OK);
    // Another address is another set.
    let other = Place::default();
    other.set(&[third.jwk()]);
    publish_at(&site, &format!("{}/keys", other.open().await));
    assert_eq!(sign(&site, &second).await.oauth_error(), "invalid_client");
    assert_eq!((sign(&site, &third).await.status, other.asked()), (StatusCode::OK, 1));
    let page = site.get(&format!("/register/services/{SERVICE}"), "").await;
    assert!(page.text().contains("Published by the service itself"), "{}", page.text());
}

#[tokio::test]
async fn many_who_ask_at_once_make_one_request() {
    let (site, place) = (Arc::new(TestSite::new()), Place::default());
    let key = Arc::new(Key::new("first"));
    place.set(&[key.jwk()]);
    publish_at(&site, &format!("{}/keys", place.open().await));
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let (site, key) = (Arc::clone(&site), Arc::clone(&key));
            tokio::spawn(async move { sign(&site, &key).await.status })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(place.asked(), 1);
}

#[tokio::test]
async fn what_is_no_set_of_keys_lets_nobody_in() {
    for path in ["moved", "huge", "words", "none", "slow"] {
        let (site, place) = (TestSite::new(), Place::default());
        let key = Key::new("first");
        place.set(&[key.jwk()]);
        publish_at(&site, &format!("{}/{path}", place.open().await));
        let answer = sign(&site, &key).await;
        assert_eq!(
            (answer.status, answer.oauth_error().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            "{path}"
        );
        assert_eq!(place.asked(), 1, "{path}: nobody is followed elsewhere");
    }
    // A key with its private part is nobody's any more, and one for encryption signs nothing.
    for (member, value) in [("d", json!("AAAA")), ("use", json!("enc"))] {
        let (site, place) = (TestSite::new(), Place::default());
        let (key, other) = (Key::new("first"), Key::new("other"));
        let mut jwk = key.jwk();
        jwk[member] = value;
        place.set(&[jwk, other.jwk()]);
        publish_at(&site, &format!("{}/keys", place.open().await));
        assert_eq!(sign(&site, &key).await.oauth_error(), "invalid_client", "{member}");
        assert_eq!(sign(&site, &other).await.status, StatusCode::OK, "{member}");
    }
}

#[tokio::test]
async fn nothing_inside_is_asked_for_keys() {
    let place = Place::default();
    let key = Key::new("first");
    place.set(&[key.jwk()]);
    let base = place.open().await;
    let port = base.rsplit(':').next().unwrap().to_owned();
    for addresses in INSIDE {
        let found = move |_: &str| Ok(addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect());
        let outbound = Outbound::resolving("https://pass.example.org", Arc::new(found)).unwrap();
        let site = TestSite::new().with_outbound(outbound);
        publish_at(&site, &format!("https://keys.example.org:{port}/keys"));
        assert_eq!(sign(&site, &key).await.status, StatusCode::SERVICE_UNAVAILABLE, "{addresses:?}");
    }
    // A name that is public when it is looked at and leads inside when it is called would have to be looked up twice.
    let (seen, inner) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, inward) = (Arc::clone(&seen), Arc::clone(&inner));
    let rebinding = move |_: &str| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        inward.fetch_add(usize::from(!first), Ordering::SeqCst);
        Ok(vec![if first { "203.0.114.1".parse().unwrap() } else { "127.0.0.1".parse().unwrap() }])
    };
    let site = TestSite::new().with_outbound(Outbound::resolving("https://pass.example.org", Arc::new(rebinding)).unwrap());
    publish_at(&site, &format!("https://keys.example.org:{port}/keys"));
    assert_eq!(sign(&site, &key).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((seen.load(Ordering::SeqCst), inner.load(Ordering::SeqCst)), (1, 0));
    // An address of this machine in the register of a public pass is not called either.
    let site = TestSite::new().with_outbound(Outbound::new("https://pass.example.org").unwrap());
    publish_at(&site, &format!("{base}/keys"));
    assert_eq!(sign(&site, &key).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(place.asked(), 0);
}
