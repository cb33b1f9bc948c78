//! Shared Signals, as a transmitter: what is delivered, and how.

mod control;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::calls::{POLL, PUSH, VERIFICATION, names, poll, polled, set_status, states, verify};
use crate::common::SERVICE;
use crate::receiver::Street;
use crate::site::{ISSUER, OTHER, claims_of};
use crate::{Case, case, not_applicable};
use control::is_invalid;

/// The modules of the list.
#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    let mut cases = control::cases();
    cases.extend([
        case!("openid-ssf-transmitter-metadata", "The metadata names endpoints that answer, ways of delivery and published keys.", metadata),
        case!("openid-ssf-transmitter-events", "A session that ended and a changed credential come as signed events of one type about the pseudonym of the ID token.", events),
        case!("openid-ssf-transmitter-stream-verification-poll-only", "What is fetched and not acknowledged comes again.", poll_only),
        case!("openid-ssf-transmitter-stream-verification-poll-and-ack", "One request acknowledges and fetches what is next.", poll_and_ack),
        case!("openid-ssf-transmitter-stream-verification-ack-only", "A request that acknowledges and asks for nothing gets nothing, and what it named is gone.", ack_only),
        case!("openid-ssf-transmitter-stream-verification-set-errs", "What a receiver reports as unusable is taken as an answer and not offered again.", set_errs),
        case!("openid-ssf-transmitter-stream-verification-long-poll", "A request that does not ask for an answer at once gets the event that comes while it waits.", long_poll),
        case!("openid-ssf-transmitter-stream-verification-push", "The verification event is pushed with its state and the receiver's secret, once.", push),
        case!("openid-ssf-transmitter-stream-verification-error-push-no-auth", "A receiver that gave no secret is pushed to without an Authorization header.", push_no_auth),
        case!("openid-ssf-transmitter-stream-verification-error-invalid-body", "What is no request for verification is refused with 400, and nothing is sent.", verify_malformed),
        case!("openid-ssf-transmitter-stream-verification-error-invalid-token", "A token that is none verifies no stream, and nothing is sent.", verify_invalid),
        case!("openid-ssf-transmitter-stream-verification-error-unknown-stream", "An unknown stream cannot be verified.", verify_unknown),
        case!("openid-ssf-transmitter-poll-endpoint-authorization", "Events are fetched with a token that is good and of the stream's own service; without one the schemes are named.", poll_authorization),
        not_applicable("openid-ssf-transmitter-poll-endpoint-url-unique-per-stream", "The suite skips it where a second stream of one receiver is refused with 409, and it is."),
        case!("openid-ssf-transmitter-paused-stream-holds-events", "A paused stream gives and pushes nothing, and what happened meanwhile comes when it is enabled.", paused),
        case!("openid-ssf-transmitter-disabled-stream-drops-events", "A disabled stream gives and pushes nothing and keeps nothing; enabled again it sends what happens then.", disabled),
        case!("openid-ssf-transmitter-stream-caep-interop", "A service that registered RS256 for its events gets them signed so, by an RSA key of 2,048 bits, each with its reason for administrators.", caep_interop),
    ]);
    cases
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

/// The claims of the events in an answer to a poll.
fn sets(answer: &Value) -> impl Iterator<Item = Value> {
    answer["sets"].as_object().unwrap().values().map(|set| claims_of(set.as_str().unwrap()))
}

/// A passkey that a resident adds.
fn passkey(street: &Street, resident: u64) -> usufruct_app::store::passkeys::Passkey {
    usufruct_app::store::passkeys::Passkey {
        credential: vec![1],
        resident,
        passkey: "{}".to_owned(),
        label: "phone".to_owned(),
        added_at: street.site.city.app.now(),
        used_at: None,
    }
}

async fn events() {
    let (street, id, token) = polled().await;
    let (reader, cookie) = street.site.resident();
    let id_token = street.sign_in(&cookie, SERVICE).await;
    let app = &street.site.city.app;
    app.add_passkey(&app.session(cookie.trim_start_matches("usufruct=")).unwrap().unwrap(), &passkey(&street, reader)).unwrap();
    street.sign_out(&cookie).await;
    let answer = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    for set in answer["sets"].as_object().unwrap().values() {
        let header = street.verified(set.as_str().unwrap()).await;
        assert_eq!((header.typ.as_deref(), header.alg), (Some("secevent+jwt"), Algorithm::ES256));
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

async fn push_no_auth() {
    let street = Street::open("/good").await;
    let delivery = json!({ "method": PUSH, "endpoint_url": format!("{}/good/signals", street.base) });
    let made = street.stream(SERVICE, &json!({ "delivery": delivery })).await;
    verify(&street, made["stream_id"].as_str().unwrap(), &street.token(SERVICE, "ssf.manage").await, "open").await;
    assert_eq!(street.deliver().await, 1);
    let got = street.got();
    assert!(got.len() == 1 && got[0].headers.get("authorization").is_none());
    assert_eq!(got[0].claims()["events"][VERIFICATION]["state"], "open");
}

async fn set_errs() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "one").await;
    let first = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    assert_eq!(states(&first), ["one"]);
    let report = json!({ "err": "invalid_key", "description": "No such key." });
    let errors: serde_json::Map<String, Value> = names(&first).into_iter().map(|jti| (jti, report.clone())).collect();
    assert_eq!(poll(&street, &id, &token, json!({ "setErrs": errors, "maxEvents": 0 })).await, json!({ "sets": {} }));
    assert_eq!(poll(&street, &id, &token, json!({ "returnImmediately": true })).await, json!({ "sets": {} }));
}

async fn long_poll() {
    let (street, id, token) = polled().await;
    let (answer, ()) = tokio::join!(poll(&street, &id, &token, json!({ "returnImmediately": false })), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        verify(&street, &id, &token, "late").await;
    });
    assert_eq!(states(&answer), ["late"]);
}

async fn poll_authorization() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "ours").await;
    let (path, body) = (format!("/ssf/poll/{id}"), json!({ "returnImmediately": true }).to_string());
    let bare = Request::post(&path).header("content-type", "application/json").body(Body::from(body.clone())).unwrap();
    let answer = street.site.send(bare).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("www-authenticate").starts_with("DPoP ") && !answer.text().contains("ours"));
    is_invalid(&street.call("POST", &path, "uft_nonsense", Some(&body)).await);
    let theirs = street.token(OTHER, "ssf.manage ssf.read").await;
    assert_eq!(street.call("POST", &path, &theirs, Some(&body)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await), ["ours"]);
}

/// A stream by each way of delivery that has this status, and for which verification was asked: what is pushed and what is fetched. The states
/// of both when they are enabled, and after one more verification.
async fn stopped(status: &str) -> [Vec<String>; 2] {
    let street = Street::open("/good").await;
    let pushed = street.push_stream(SERVICE).await["stream_id"].as_str().unwrap().to_owned();
    let polled = street.stream(OTHER, &json!({ "delivery": { "method": POLL } })).await["stream_id"].as_str().unwrap().to_owned();
    let (ours, theirs) = (street.token(SERVICE, "ssf.manage ssf.read").await, street.token(OTHER, "ssf.manage ssf.read").await);
    let both = [(&pushed, &ours), (&polled, &theirs)];
    let pushed_states = || -> Vec<String> {
        street.got().iter().map(|got| got.claims()["events"][VERIFICATION]["state"].as_str().unwrap().to_owned()).collect()
    };
    let at_once = json!({ "returnImmediately": true });
    for (id, token) in both {
        let read = street.call("GET", &format!("/ssf/status?stream_id={id}"), token, None).await.json();
        assert_eq!(read["status"], "enabled");
        assert_eq!(set_status(&street, id, token, status).await["status"], status);
        verify(&street, id, token, "meanwhile").await;
    }
    street.deliver().await;
    assert!(pushed_states().is_empty(), "{status}");
    assert!(states(&poll(&street, &polled, &theirs, at_once.clone()).await).is_empty(), "{status}");
    for (id, token) in both {
        set_status(&street, id, token, "enabled").await;
        verify(&street, id, token, "after").await;
    }
    while street.deliver().await > 0 {}
    [pushed_states(), states(&poll(&street, &polled, &theirs, at_once).await)].map(|mut states| {
        states.sort_unstable();
        states
    })
}

async fn paused() {
    assert_eq!(stopped("paused").await, [["after", "meanwhile"], ["after", "meanwhile"]]);
}

async fn disabled() {
    assert_eq!(stopped("disabled").await, [["after"], ["after"]]);
}

async fn caep_interop() {
    let street = Street::open("/good").await;
    street.told_with(SERVICE, "/good", |body| body["signals_signed_response_alg"] = json!("RS256"));
    let made = street.push_stream(SERVICE).await;
    let id = made["stream_id"].as_str().unwrap();
    let caep = |name: &str| format!("https://schemas.openid.net/secevent/caep/event-type/{name}");
    let wanted = [caep("session-revoked"), caep("credential-change")];
    assert!(wanted.iter().all(|name| made["events_delivered"].as_array().unwrap().contains(&json!(name))));
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    let named = format!("/ssf/streams?stream_id={id}");
    assert_eq!(street.call("GET", &named, &token, None).await.json(), made);
    assert_eq!(street.call("GET", &format!("/ssf/status?stream_id={id}"), &token, None).await.json()["status"], "enabled");
    verify(&street, id, &token, "interop").await;
    let (reader, cookie) = street.site.resident();
    let id_token = street.sign_in(&cookie, SERVICE).await;
    let app = &street.site.city.app;
    app.add_passkey(&app.session(cookie.trim_start_matches("usufruct=")).unwrap().unwrap(), &passkey(&street, reader)).unwrap();
    app.sign_out_everywhere(reader).unwrap();
    while street.deliver().await > 0 {}
    let keys = street.site.get("/oidc/jwks", "").await.json();
    let mut types = BTreeSet::new();
    for got in street.got().iter().filter(|got| got.path == "/good/signals") {
        let header = street.verified(&got.body).await;
        assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("secevent+jwt")));
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == json!(header.kid)).unwrap();
        assert!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap().len() >= 256, "2,048 bits");
        let claims = got.claims();
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(SERVICE)));
        assert!(claims.get("sub").is_none() && claims.get("exp").is_none() && claims["txn"].is_string());
        assert!(claims["iat"].as_i64().unwrap() <= app.now().seconds());
        let [(name, content)] = claims["events"].as_object().unwrap().iter().collect::<Vec<_>>()[..] else { panic!("{claims}") };
        types.insert(name.clone());
        if name == VERIFICATION {
            assert_eq!((&claims["sub_id"], &content["state"]), (&json!({ "format": "opaque", "id": id }), &json!("interop")));
            continue;
        }
        if !wanted.contains(name) {
            continue;
        }
        assert_eq!(claims["sub_id"], json!({ "format": "iss_sub", "iss": ISSUER, "sub": id_token["sub"] }));
        assert!(content["event_timestamp"].is_i64());
        assert!(content["reason_admin"]["en"].as_str().is_some_and(|why| !why.is_empty()), "{name}");
    }
    assert!(wanted.iter().chain([&VERIFICATION.to_owned()]).all(|name| types.contains(name)), "{types:?}");
    assert_eq!(street.call("DELETE", &named, &token, None).await.status, StatusCode::NO_CONTENT);
}

async fn verify_malformed() {
    let (street, id, token) = polled().await;
    for body in ["{", "[]", "{}", "{\"stream_id\":1}", "{\"stream_id\":null}"] {
        let answer = street.call("POST", "/ssf/verify", &token, Some(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text());
    }
    assert_eq!(poll(&street, &id, &token, json!({ "returnImmediately": true })).await, json!({ "sets": {} }));
}

async fn verify_invalid() {
    let (street, id, token) = polled().await;
    let body = json!({ "stream_id": id, "state": "s" }).to_string();
    is_invalid(&street.call("POST", "/ssf/verify", "uft_nonsense", Some(&body)).await);
    assert_eq!(poll(&street, &id, &token, json!({ "returnImmediately": true })).await, json!({ "sets": {} }));
}

async fn verify_unknown() {
    let (street, _, token) = polled().await;
    let body = json!({ "stream_id": "str_unknown", "state": "s" }).to_string();
    assert_eq!(street.call("POST", "/ssf/verify", &token, Some(&body)).await.status, StatusCode::NOT_FOUND);
}
