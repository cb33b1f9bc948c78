//! Shared Signals, as a transmitter.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::Case;
use crate::calls::{POLL, PUSH, VERIFICATION, names, poll, polled, set_status, states, verify};
use crate::case;
use crate::common::SERVICE;
use crate::receiver::Street;
use crate::site::{Answer, ISSUER, claims_of};

/// The modules of the list.
#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    vec![
        case!("openid-ssf-transmitter-metadata", "The metadata names endpoints that answer, ways of delivery and published keys.", metadata),
        case!("openid-ssf-stream-control-happy-path", "A stream is made, read, changed, replaced, paused and deleted.", stream_life),
        case!("openid-ssf-stream-control-error-create-stream-with-invalid-token", "A token that is none makes no stream.", create_invalid),
        case!("openid-ssf-stream-control-error-create-stream-with-read-only-token", "A token that may only read makes no stream, and is told which scope it lacks.", create_read_only),
        case!("openid-ssf-stream-control-error-read-stream-with-invalid-token", "A token that is none reads no stream.", read_invalid),
        case!("openid-ssf-stream-control-error-update-stream-with-invalid-token", "A token that is none changes no stream.", update_invalid),
        case!("openid-ssf-transmitter-subject-control", "Subjects are neither added nor removed, and no endpoint is named: a stream is about those who signed in to its service, and nobody else.", subjects),
        case!("openid-ssf-transmitter-events", "A session that ended and a changed credential come as signed events of one type about the pseudonym of the ID token.", events),
        case!("openid-ssf-transmitter-stream-verification-poll-only", "What is fetched and not acknowledged comes again.", poll_only),
        case!("openid-ssf-transmitter-stream-verification-poll-and-ack", "One request acknowledges and fetches what is next.", poll_and_ack),
        case!("openid-ssf-transmitter-stream-verification-ack-only", "A request that acknowledges and asks for nothing gets nothing, and what it named is gone.", ack_only),
        case!("openid-ssf-transmitter-stream-verification-push", "The verification event is pushed with its state and the receiver's secret, once.", push),
        case!("openid-ssf-transmitter-stream-verification-error-invalid-body", "What is no request for verification is refused with 400, and nothing is sent.", verify_malformed),
        case!("openid-ssf-transmitter-stream-verification-error-unknown-stream", "An unknown stream cannot be verified.", verify_unknown),
    ]
}

async fn metadata() {
    let site = Street::open("/good").await.site;
    let answer = site.get("/.well-known/ssf-configuration", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let metadata = answer.json();
    assert_eq!((&metadata["issuer"], &metadata["spec_version"]), (&json!(ISSUER), &json!("1_0")));
    assert_eq!(metadata["delivery_methods_supported"], json!([PUSH, POLL]));
    assert!(!metadata["authorization_schemes"].as_array().unwrap().is_empty());
    for name in ["configuration_endpoint", "status_endpoint", "verification_endpoint"] {
        let path = metadata[name].as_str().unwrap().strip_prefix(ISSUER).unwrap();
        assert!([401, 405].contains(&site.get(path, "").await.status.as_u16()), "{name} is there, and not for everybody");
    }
    let keys = site.get(metadata["jwks_uri"].as_str().unwrap().strip_prefix(ISSUER).unwrap(), "").await.json();
    assert!(!keys["keys"].as_array().unwrap().is_empty());
}

async fn stream_life() {
    let street = Street::open("/good").await;
    let made = street.push_stream(SERVICE).await;
    let id = made["stream_id"].as_str().unwrap();
    assert_eq!((&made["iss"], &made["aud"], &made["delivery"]["method"]), (&json!(ISSUER), &json!(SERVICE), &json!(PUSH)));
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    let named = format!("/ssf/streams?stream_id={id}");
    assert_eq!(street.call("GET", &named, &token, None).await.json(), made);
    assert_eq!(street.call("GET", "/ssf/streams", &token, None).await.json(), json!([made]));
    let wanted = made["events_supported"][0].clone();
    let patch = json!({ "stream_id": id, "events_requested": [wanted] });
    let patched = street.call("PATCH", "/ssf/streams", &token, Some(&patch.to_string())).await.json();
    assert_eq!((&patched["events_delivered"], &patched["delivery"]), (&json!([wanted]), &made["delivery"]));
    let put = json!({ "stream_id": id, "delivery": { "method": POLL } });
    let replaced = street.call("PUT", "/ssf/streams", &token, Some(&put.to_string())).await.json();
    assert_eq!((&replaced["delivery"]["method"], &replaced["events_delivered"]), (&json!(POLL), &made["events_supported"]));
    let status = format!("/ssf/status?stream_id={id}");
    assert_eq!(street.call("GET", &status, &token, None).await.json(), json!({ "stream_id": id, "status": "enabled" }));
    for word in ["paused", "disabled", "enabled"] {
        set_status(&street, id, &token, word).await;
        assert_eq!(street.call("GET", &status, &token, None).await.json()["status"], word);
    }
    assert_eq!(street.call("DELETE", &named, &token, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(street.call("GET", &named, &token, None).await.status, StatusCode::NOT_FOUND);
}

/// What a request with a token that is none gets.
fn is_invalid(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
}

/// The streams that the service has.
async fn streams(street: &Street) -> Value {
    street.call("GET", "/ssf/streams", &street.token(SERVICE, "ssf.read").await, None).await.json()
}

async fn create_invalid() {
    let street = Street::open("/good").await;
    is_invalid(&street.call("POST", "/ssf/streams", "uft_nonsense", Some("{}")).await);
    assert_eq!(streams(&street).await, json!([]));
}

async fn create_read_only() {
    let street = Street::open("/good").await;
    let token = street.token(SERVICE, "ssf.read").await;
    let answer = street.call("POST", "/ssf/streams", &token, Some("{}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\", scope=\"ssf.manage\""));
    assert_eq!(streams(&street).await, json!([]));
}

async fn read_invalid() {
    let (street, id, _) = polled().await;
    for path in ["/ssf/streams".to_owned(), format!("/ssf/streams?stream_id={id}")] {
        is_invalid(&street.call("GET", &path, "uft_nonsense", None).await);
    }
}

async fn update_invalid() {
    let (street, id, _) = polled().await;
    let before = streams(&street).await;
    let change = json!({ "stream_id": id, "description": "Changed" }).to_string();
    for method in ["PATCH", "PUT"] {
        is_invalid(&street.call(method, "/ssf/streams", "uft_nonsense", Some(&change)).await);
    }
    assert_eq!(streams(&street).await, before);
}

async fn subjects() {
    let (street, id, token) = polled().await;
    let metadata = street.site.get("/.well-known/ssf-configuration", "").await.json();
    assert_eq!(metadata["default_subjects"], "ALL");
    assert!(["add_subject_endpoint", "remove_subject_endpoint"].iter().all(|name| metadata.get(*name).is_none()));
    // Nobody named either of them to the stream.
    let (_, hers) = street.site.resident();
    let (stranger, _) = street.site.resident();
    let known = street.sign_in(&hers, SERVICE).await;
    street.sign_out(&hers).await;
    street.site.city.app.sign_out_everywhere(stranger).unwrap();
    let answer = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    let subjects: Vec<Value> = sets(&answer).map(|claims| claims["sub_id"]["user"]["sub"].clone()).collect();
    assert_eq!(subjects, [known["sub"].clone()]);
}

/// The claims of the events in an answer to a poll.
fn sets(answer: &Value) -> impl Iterator<Item = Value> {
    answer["sets"].as_object().unwrap().values().map(|set| claims_of(set.as_str().unwrap()))
}

async fn events() {
    let (street, id, token) = polled().await;
    let (reader, cookie) = street.site.resident();
    let id_token = street.sign_in(&cookie, SERVICE).await;
    let app = &street.site.city.app;
    let passkey = usufruct_app::store::passkeys::Passkey {
        credential: vec![1],
        resident: reader,
        passkey: "{}".to_owned(),
        label: "phone".to_owned(),
        added_at: app.now(),
        used_at: None,
    };
    app.add_passkey(&app.session(cookie.trim_start_matches("usufruct=")).unwrap().unwrap(), &passkey).unwrap();
    street.sign_out(&cookie).await;
    let answer = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    for set in answer["sets"].as_object().unwrap().values() {
        assert_eq!(street.verified(set.as_str().unwrap()).await.typ.as_deref(), Some("secevent+jwt"));
    }
    let mut types = BTreeSet::new();
    for claims in sets(&answer) {
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(SERVICE)));
        assert!(claims.get("sub").is_none() && claims.get("exp").is_none());
        let user = if claims["sub_id"]["format"] == "complex" { &claims["sub_id"]["user"] } else { &claims["sub_id"] };
        assert_eq!(*user, json!({ "format": "iss_sub", "iss": ISSUER, "sub": id_token["sub"] }));
        let events = claims["events"].as_object().unwrap();
        let [(name, content)] = events.iter().collect::<Vec<_>>()[..] else { panic!("{events:?}") };
        assert!(content["event_timestamp"].is_i64());
        types.insert(name.clone());
    }
    let caep = |name: &str| types.contains(&format!("https://schemas.openid.net/secevent/caep/event-type/{name}"));
    assert!(caep("session-revoked") && caep("credential-change"), "{types:?}");
}

async fn poll_only() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "one").await;
    let first = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    assert_eq!(states(&first), ["one"]);
    let again = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    assert_eq!(sets(&again).collect::<Vec<_>>(), sets(&first).collect::<Vec<_>>());
}

async fn poll_and_ack() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "one").await;
    verify(&street, &id, &token, "two").await;
    let first = poll(&street, &id, &token, json!({ "maxEvents": 1, "returnImmediately": true })).await;
    assert_eq!((states(&first), &first["moreAvailable"]), (vec!["one".to_owned()], &json!(true)));
    let second = poll(&street, &id, &token, json!({ "ack": names(&first), "returnImmediately": true })).await;
    assert_eq!((states(&second), second.get("moreAvailable")), (vec!["two".to_owned()], None));
}

async fn ack_only() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "one").await;
    verify(&street, &id, &token, "two").await;
    let first = poll(&street, &id, &token, json!({ "maxEvents": 1, "returnImmediately": true })).await;
    let none = poll(&street, &id, &token, json!({ "ack": names(&first), "maxEvents": 0 })).await;
    assert_eq!((&none["sets"], &none["moreAvailable"]), (&json!({}), &json!(true)));
    assert_eq!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await), ["two"]);
}

async fn push() {
    let street = Street::open("/good").await;
    let id = street.push_stream(SERVICE).await["stream_id"].as_str().unwrap().to_owned();
    verify(&street, &id, &street.token(SERVICE, "ssf.manage").await, "a state").await;
    assert_eq!(street.deliver().await, 1);
    let got = street.got();
    assert_eq!((got.len(), got[0].path.as_str()), (1, "/good/signals"));
    assert_eq!(got[0].headers["content-type"], "application/secevent+jwt");
    assert_eq!(got[0].headers["authorization"], "Bearer of-the-receiver");
    assert_eq!(street.verified(&got[0].body).await.typ.as_deref(), Some("secevent+jwt"));
    let claims = got[0].claims();
    assert_eq!(claims["events"], json!({ VERIFICATION: { "state": "a state" } }));
    assert_eq!((&claims["sub_id"], &claims["aud"]), (&json!({ "format": "opaque", "id": id }), &json!(SERVICE)));
    assert_eq!(street.deliver().await, 0);
}

async fn verify_malformed() {
    let (street, id, token) = polled().await;
    for body in ["{", "[]", "{}", "{\"stream_id\":1}", "{\"stream_id\":null}"] {
        let answer = street.call("POST", "/ssf/verify", &token, Some(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text());
    }
    assert_eq!(poll(&street, &id, &token, json!({ "returnImmediately": true })).await, json!({ "sets": {} }));
}

async fn verify_unknown() {
    let (street, _, token) = polled().await;
    let body = json!({ "stream_id": "str_unknown", "state": "s" }).to_string();
    assert_eq!(street.call("POST", "/ssf/verify", &token, Some(&body)).await.status, StatusCode::NOT_FOUND);
}
