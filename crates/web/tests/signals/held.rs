//! A service whose token ends while its call is on its way, or while it waits for events, neither changes nor learns anything by it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::calls::{polled, verify};
use crate::receiver::Street;
use crate::site::Answer;

/// Revokes the token of a service.
async fn revoke(street: &Street, token: &str) {
    let answer = street.site.oauth("/oidc/revoke", &[("token", token)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// Sends a call whose body comes after the token was revoked.
async fn call_held_open(street: &Street, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let (begin, has_begun) = oneshot::channel();
    let (end, may_end) = oneshot::channel::<()>();
    let text = body.to_string();
    let held = stream::once(async move {
        begin.send(()).unwrap();
        may_end.await.unwrap();
        Ok::<_, std::io::Error>(text)
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", street.site.proof(method, path, Some(token)))
        .header("content-type", "application/json");
    let cut_off = async {
        has_begun.await.unwrap();
        revoke(street, token).await;
        end.send(()).unwrap();
    };
    tokio::join!(street.site.send(request.body(Body::from_stream(held)).unwrap()), cut_off).0
}

#[tokio::test]
async fn a_call_held_open_is_of_no_token_that_ended() {
    let (street, id, token) = polled().await;
    let before = street.call("GET", &format!("/ssf/streams?stream_id={id}"), &token, None).await.json();
    verify(&street, &id, &token, "kept").await;
    let waiting = street.call("POST", &format!("/ssf/poll/{id}"), &token, Some("{\"returnImmediately\":true}")).await.json();
    let event = waiting["sets"].as_object().unwrap().keys().next().unwrap().clone();
    street.site.city.clock.advance(10 * usufruct_core::time::SECOND);
    for (method, path, body) in [
        ("PATCH", "/ssf/streams", json!({ "stream_id": id, "description": "Theirs" })),
        ("PUT", "/ssf/streams", json!({ "stream_id": id, "description": "Theirs" })),
        ("POST", "/ssf/status", json!({ "stream_id": id, "status": "disabled" })),
        ("POST", "/ssf/verify", json!({ "stream_id": id, "state": "lost" })),
        ("POST", &format!("/ssf/poll/{id}"), json!({ "returnImmediately": true, "ack": [event] })),
    ] {
        let ended = street.token(crate::common::SERVICE, "ssf.manage ssf.read").await;
        let answer = call_held_open(&street, method, path, &ended, &body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text());
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{method} {path}");
    }
    let after = street.call("GET", &format!("/ssf/streams?stream_id={id}"), &token, None).await.json();
    assert_eq!(after, before);
    let still = street.call("POST", &format!("/ssf/poll/{id}"), &token, Some("{\"returnImmediately\":true}")).await.json();
    assert_eq!(still["sets"].as_object().unwrap().keys().collect::<Vec<_>>(), [&event]);
}

#[tokio::test]
async fn a_long_body_is_read_for_nobody_without_a_token() {
    let (street, _, _) = polled().await;
    let request = Request::builder().method("PATCH").uri("/ssf/streams").header("content-type", "application/json");
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 60_000]));
    let answer = street.site.send(request.body(Body::from_stream(endless)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
}

#[tokio::test]
async fn who_waits_for_events_learns_nothing_more_when_the_token_has_ended() {
    let (street, id, token) = polled().await;
    let waits = street.token(crate::common::SERVICE, "ssf.read").await;
    let (path, body) = (format!("/ssf/poll/{id}"), "{\"returnImmediately\":false}");
    let happens = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        revoke(&street, &waits).await;
        verify(&street, &id, &token, "told to nobody").await;
    };
    let (answer, ()) = tokio::join!(street.call("POST", &path, &waits, Some(body)), happens);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
}

#[tokio::test]
async fn a_service_that_polls_again_and_again_waits_in_few_places() {
    let (street, id, token) = polled().await;
    let poll = async || {
        let answer = street.call("POST", &format!("/ssf/poll/{id}"), &token, Some("{}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["sets"].as_object().unwrap().len()
    };
    let happens = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        verify(&street, &id, &token, "told").await;
    };
    let (mut told, ()) = tokio::join!(join_all((0..6).map(|_| poll())), happens);
    told.sort_unstable();
    assert_eq!(told, [0, 0, 1, 1, 1, 1], "two were answered when others came");
}
