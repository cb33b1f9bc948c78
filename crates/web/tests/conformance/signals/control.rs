//! Shared Signals, as a transmitter: streams are made, read, changed and deleted by whoever may.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::sets;
use crate::calls::{POLL, PUSH, poll, polled, set_status};
use crate::common::SERVICE;
use crate::receiver::Street;
use crate::site::{Answer, ISSUER, OTHER};
use crate::{Case, case};

/// The modules of the list that speak of streams.
#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    vec![
        case!("openid-ssf-stream-control-happy-path", "A stream is made, read, changed, replaced, paused and deleted.", stream_life),
        case!("openid-ssf-stream-control-create-stream-without-delivery", "A stream made without a way of delivery is polled, and its address is told.", create_without_delivery),
        case!("openid-ssf-stream-control-error-create-stream-with-broken-input", "What cannot be read as a stream is refused with 400, and none is made.", create_broken),
        case!("openid-ssf-stream-control-error-create-stream-with-invalid-token", "A token that is none makes no stream.", create_invalid),
        case!("openid-ssf-stream-control-error-create-stream-with-duplicate-config", "A second stream of one service is refused with 409, and the first stays.", create_twice),
        case!("openid-ssf-stream-control-error-create-stream-with-read-only-token", "A token that may only read makes no stream, and is told which scope it lacks.", create_read_only),
        case!("openid-ssf-stream-control-error-read-stream-with-invalid-token", "A token that is none reads no stream.", read_invalid),
        case!("openid-ssf-stream-control-error-read-stream-without-token", "Without a token nothing is read, and the answer names the scheme.", read_without),
        case!("openid-ssf-stream-control-error-token-in-uri-query", "A token in the address counts for nothing.", token_in_query),
        case!("openid-ssf-stream-control-error-read-unknown-stream", "A stream that was deleted, never was or is another service's cannot be read.", read_unknown),
        case!("openid-ssf-stream-control-error-read-stream-status-with-invalid-token", "A token that is none reads no status.", status_invalid),
        case!("openid-ssf-stream-control-error-read-status-of-unknown-stream", "An unknown stream has no status.", status_unknown),
        case!("openid-ssf-stream-control-error-update-stream-with-invalid-token", "A token that is none changes no stream.", update_invalid),
        case!("openid-ssf-stream-control-error-update-stream-with-invalid-body", "What cannot be read, or contradicts the transmitter, changes nothing.", update_broken),
        case!("openid-ssf-stream-control-error-update-unknown-stream", "An unknown stream cannot be changed.", update_unknown),
        case!("openid-ssf-stream-control-error-replace-stream-with-invalid-token", "A token that is none replaces no stream.", replace_invalid),
        case!("openid-ssf-stream-control-error-replace-stream-with-invalid-body", "What cannot be read, or contradicts the transmitter, replaces nothing.", replace_broken),
        case!("openid-ssf-stream-control-error-replace-unknown-stream", "An unknown stream cannot be replaced.", replace_unknown),
        case!("openid-ssf-stream-control-error-delete-stream-with-invalid-token", "A token that is none deletes no stream.", delete_invalid),
        case!("openid-ssf-stream-control-error-delete-unknown-stream", "An unknown stream cannot be deleted.", delete_unknown),
        case!("openid-ssf-stream-subject-control", "Subjects are neither added nor removed, and no endpoint is named, where the suite skips: a stream is about those who signed in to its service, and nobody else.", subjects),
    ]
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
pub fn is_invalid(answer: &Answer) {
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

async fn create_without_delivery() {
    let street = Street::open("/good").await;
    let wanted = json!(["https://schemas.openid.net/secevent/caep/event-type/session-revoked"]);
    let made = street.stream(SERVICE, &json!({ "description": "Ours", "events_requested": wanted })).await;
    let id = made["stream_id"].as_str().unwrap();
    assert_eq!(made["delivery"], json!({ "method": POLL, "endpoint_url": format!("{ISSUER}/ssf/poll/{id}") }));
    assert_eq!((&made["events_delivered"], &made["description"]), (&wanted, &json!("Ours")));
}

async fn create_broken() {
    let street = Street::open("/good").await;
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    for broken in ["", "{", "[]", "{\"delivery\":\"x\"}", "{\"delivery\":{\"method\":\"urn:x\"}}", "{\"events_requested\":\"x\"}"]
    {
        let answer = street.call("POST", "/ssf/streams", &token, Some(broken)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}: {}", answer.text());
    }
    assert_eq!(streams(&street).await, json!([]));
}

async fn create_twice() {
    let street = Street::open("/good").await;
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    let asked = json!({ "delivery": { "method": POLL } }).to_string();
    let first = street.call("POST", "/ssf/streams", &token, Some(&asked)).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(street.call("POST", "/ssf/streams", &token, Some(&asked)).await.status, StatusCode::CONFLICT);
    assert_eq!(streams(&street).await, json!([first.json()]));
}

/// A call that bears no token.
async fn bare(street: &Street, path: &str) -> Answer {
    street.site.send(Request::get(path).body(Body::empty()).unwrap()).await
}

async fn read_without() {
    let (street, id, _) = polled().await;
    for path in ["/ssf/streams".to_owned(), format!("/ssf/streams?stream_id={id}")] {
        let answer = bare(&street, &path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.header("www-authenticate").starts_with("DPoP ") && !answer.text().contains(&id));
    }
}

async fn token_in_query() {
    let (street, id, token) = polled().await;
    let answer = bare(&street, &format!("/ssf/streams?stream_id={id}&access_token={token}")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.text().contains(&id));
}

async fn status_invalid() {
    let (street, id, _) = polled().await;
    is_invalid(&street.call("GET", &format!("/ssf/status?stream_id={id}"), "uft_nonsense", None).await);
}

/// Whether what is done by this method to a stream that was deleted, that never was and that is another service's gets 404, and changes nothing.
async fn is_unknown(method: &str, path: &str) {
    let (street, gone, token) = polled().await;
    let theirs = street.stream(OTHER, &json!({})).await;
    let deleted = street.call("DELETE", &format!("/ssf/streams?stream_id={gone}"), &token, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    for unknown in [gone.as_str(), "str_unknown", theirs["stream_id"].as_str().unwrap()] {
        let body = json!({ "stream_id": unknown, "description": "Changed" }).to_string();
        let (path, body) = match method {
            "GET" | "DELETE" => (format!("{path}?stream_id={unknown}"), None),
            _ => (path.to_owned(), Some(body.as_str())),
        };
        let answer = street.call(method, &path, &token, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.text());
    }
    let read = street.call("GET", "/ssf/streams", &street.token(OTHER, "ssf.read").await, None).await.json();
    assert_eq!(read, json!([theirs]), "another service's is as it was");
}

async fn read_unknown() {
    is_unknown("GET", "/ssf/streams").await;
}

async fn status_unknown() {
    is_unknown("GET", "/ssf/status").await;
}

async fn update_unknown() {
    is_unknown("PATCH", "/ssf/streams").await;
}

async fn replace_unknown() {
    is_unknown("PUT", "/ssf/streams").await;
}

async fn delete_unknown() {
    is_unknown("DELETE", "/ssf/streams").await;
}

/// Whether a token that is none does nothing to a stream by this method.
async fn changes_nothing(method: &str) {
    let (street, id, _) = polled().await;
    let before = streams(&street).await;
    let change = json!({ "stream_id": id, "description": "Changed" }).to_string();
    let (path, body) = match method {
        "DELETE" => (format!("/ssf/streams?stream_id={id}"), None),
        _ => ("/ssf/streams".to_owned(), Some(change.as_str())),
    };
    is_invalid(&street.call(method, &path, "uft_nonsense", body).await);
    assert_eq!(streams(&street).await, before);
}

async fn update_invalid() {
    changes_nothing("PATCH").await;
}

async fn replace_invalid() {
    changes_nothing("PUT").await;
}

async fn delete_invalid() {
    changes_nothing("DELETE").await;
}

/// Whether what is no stream is refused by this method, and the stream stays.
async fn refuses_broken(method: &str) {
    let (street, id, token) = polled().await;
    let before = streams(&street).await;
    for broken in [
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({ "stream_id": 1 }).to_string(),
        json!({ "stream_id": id, "description": 1 }).to_string(),
        json!({ "stream_id": id, "iss": "https://other.example" }).to_string(),
        json!({ "stream_id": id, "aud": "svc_other" }).to_string(),
        json!({ "stream_id": id, "delivery": { "method": PUSH } }).to_string(),
    ] {
        let answer = street.call(method, "/ssf/streams", &token, Some(&broken)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {broken}: {}", answer.text());
    }
    assert_eq!(streams(&street).await, before);
}

async fn update_broken() {
    refuses_broken("PATCH").await;
}

async fn replace_broken() {
    refuses_broken("PUT").await;
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
