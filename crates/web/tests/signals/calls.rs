//! What a service says to the transmitter, and what it reads in the answers.

use axum::http::StatusCode;
use serde_json::{Value, json};
use usufruct_core::time::SECOND;

use crate::common::SERVICE;
use crate::receiver::Street;
use crate::site::claims_of;

pub const PUSH: &str = "urn:ietf:rfc:8935";
pub const POLL: &str = "urn:ietf:rfc:8936";
pub const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

/// A street with a stream of the library that is polled, its id, and a token that manages it.
pub async fn polled() -> (Street, String, String) {
    let street = Street::open("/good").await;
    let stream = street.stream(SERVICE, &json!({ "delivery": { "method": POLL } })).await;
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    (street, stream["stream_id"].as_str().unwrap().to_owned(), token)
}

pub async fn poll(street: &Street, id: &str, token: &str, body: Value) -> Value {
    let answer = street.call("POST", &format!("/ssf/poll/{id}"), token, Some(&body.to_string())).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

pub async fn verify(street: &Street, id: &str, token: &str, state: &str) {
    street.site.city.clock.advance(10 * SECOND);
    let body = json!({ "stream_id": id, "state": state }).to_string();
    let answer = street.call("POST", "/ssf/verify", token, Some(&body)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
}

/// The states of the verification events in an answer to a poll.
pub fn states(answer: &Value) -> Vec<String> {
    let sets = answer["sets"].as_object().unwrap();
    sets.iter()
        .map(|(jti, set)| {
            let claims = claims_of(set.as_str().unwrap());
            assert_eq!(claims["jti"], json!(jti));
            claims["events"][VERIFICATION]["state"].as_str().unwrap().to_owned()
        })
        .collect()
}

pub fn names(answer: &Value) -> Vec<String> {
    answer["sets"].as_object().unwrap().keys().cloned().collect()
}

pub async fn set_status(street: &Street, id: &str, token: &str, status: &str) -> Value {
    let body = json!({ "stream_id": id, "status": status, "reason": "Because." }).to_string();
    let answer = street.call("POST", "/ssf/status", token, Some(&body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}
