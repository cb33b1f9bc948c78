//! The transmitter, in the words of the conformance suite's modules where it has them (plan openid-ssf-transmitter-test-plan).

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::calls::{POLL, PUSH, VERIFICATION, names, poll, polled, set_status, states, verify};
use crate::common::SERVICE;
use crate::receiver::Street;
use crate::site::{ISSUER, OTHER};

#[tokio::test]
async fn openid_ssf_transmitter_metadata() {
    let street = Street::open("/good").await;
    let answer = street.site.get("/.well-known/ssf-configuration", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let metadata = answer.json();
    assert_eq!((&metadata["issuer"], &metadata["spec_version"]), (&json!(ISSUER), &json!("1_0")));
    assert_eq!(metadata["delivery_methods_supported"], json!([PUSH, POLL]));
    assert_eq!(metadata["default_subjects"], "ALL");
    assert!(metadata["authorization_schemes"].as_array().unwrap().iter().any(|scheme| scheme["spec_urn"] == "urn:ietf:rfc:6749"));
    for name in ["configuration_endpoint", "status_endpoint", "verification_endpoint", "jwks_uri"] {
        let path = metadata[name].as_str().unwrap().strip_prefix(ISSUER).unwrap();
        assert_ne!(street.site.get(path, "").await.status, StatusCode::NOT_FOUND, "{name}");
    }
    let resource = street.site.get("/.well-known/oauth-protected-resource", "").await.json();
    assert!(
        ["ssf.read", "ssf.manage"].iter().all(|scope| resource["scopes_supported"].as_array().unwrap().contains(&json!(scope)))
    );
    let provider = street.site.get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(
        (&provider["backchannel_logout_supported"], &provider["backchannel_logout_session_supported"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn openid_ssf_stream_control_happy_path() {
    let street = Street::open("/good").await;
    let made = street.push_stream(SERVICE).await;
    let id = made["stream_id"].as_str().unwrap();
    assert_eq!((&made["iss"], &made["aud"]), (&json!(ISSUER), &json!(SERVICE)));
    assert_eq!(made["delivery"]["method"], PUSH);
    assert!(made["events_delivered"].as_array().unwrap().len() == made["events_supported"].as_array().unwrap().len());
    assert!(!made.to_string().contains("of-the-receiver"), "the secret is not repeated");
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    let read = street.call("GET", &format!("/ssf/streams?stream_id={id}"), &token, None).await;
    assert_eq!(read.json(), made);
    assert_eq!(street.call("GET", "/ssf/streams", &token, None).await.json(), json!([made]));

    // PATCH keeps what it does not name.
    let patch = json!({ "stream_id": id, "events_requested": ["urn:usufruct:event:account-frozen", "urn:unheard-of"], "description": "Ours" });
    let patched = street.call("PATCH", "/ssf/streams", &token, Some(&patch.to_string())).await.json();
    assert_eq!(patched["events_delivered"], json!(["urn:usufruct:event:account-frozen"]));
    assert_eq!(patched["events_requested"], patch["events_requested"]);
    assert_eq!((&patched["delivery"], &patched["description"]), (&made["delivery"], &json!("Ours")));
    verify(&street, id, &token, "kept").await;
    street.deliver().await;
    assert_eq!(street.got()[0].headers["authorization"], "Bearer of-the-receiver", "the secret too");

    // PUT drops it. What the transmitter says may come back as it was.
    let mut put = patched.clone();
    put.as_object_mut().unwrap().remove("description");
    put["delivery"] = json!({ "method": POLL });
    let replaced = street.call("PUT", "/ssf/streams", &token, Some(&put.to_string())).await.json();
    assert_eq!(replaced["delivery"], json!({ "method": POLL, "endpoint_url": format!("{ISSUER}/ssf/poll/{id}") }));
    assert!(replaced.get("description").is_none());

    let status = street.call("GET", &format!("/ssf/status?stream_id={id}"), &token, None).await.json();
    assert_eq!(status, json!({ "stream_id": id, "status": "enabled" }));
    assert_eq!(
        set_status(&street, id, &token, "paused").await,
        json!({ "stream_id": id, "status": "paused", "reason": "Because." })
    );

    let gone = street.call("DELETE", &format!("/ssf/streams?stream_id={id}"), &token, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(street.call("GET", "/ssf/streams", &token, None).await.json(), json!([]));
    assert_eq!(street.call("GET", &format!("/ssf/streams?stream_id={id}"), &token, None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn openid_ssf_stream_control_create_stream_without_delivery() {
    let street = Street::open("/good").await;
    let made = street.stream(SERVICE, &json!({ "description": "Ours", "events_requested": [] })).await;
    let id = made["stream_id"].as_str().unwrap();
    assert_eq!(made["delivery"], json!({ "method": POLL, "endpoint_url": format!("{ISSUER}/ssf/poll/{id}") }));
    assert_eq!(made["events_delivered"], json!([]));
}

#[tokio::test]
async fn openid_ssf_stream_control_error_path() {
    let street = Street::open("/good").await;
    let token = street.token(SERVICE, "ssf.manage ssf.read").await;
    // error-create-stream-with-broken-input
    let elsewhere = format!("{}/other/signals", street.base);
    for broken in [
        "{", "[]", "{\"delivery\":\"x\"}", "{\"delivery\":{\"method\":\"urn:x\"}}", "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\"}}",
        "{\"events_requested\":\"x\"}", "{\"events_requested\":[\"a b\"]}", "{\"description\":1}",
        &json!({ "delivery": { "method": PUSH, "endpoint_url": elsewhere } }).to_string(),
        &json!({ "delivery": { "method": PUSH, "endpoint_url": "http://169.254.169.254/latest" } }).to_string(),
        &json!({ "delivery": { "method": PUSH, "endpoint_url": format!("{}/good/signals", street.base), "authorization_header": "a\r\nb" } }).to_string(),
        &json!({ "description": "x".repeat(501) }).to_string(),
    ] {
        let answer = street.call("POST", "/ssf/streams", &token, Some(broken)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}: {}", answer.text());
    }
    assert_eq!(street.call("GET", "/ssf/streams", &token, None).await.json(), json!([]), "nothing was made");
    // error-create-stream-with-duplicate-config
    let made = street.stream(SERVICE, &json!({})).await;
    let id = made["stream_id"].as_str().unwrap();
    assert_eq!(street.call("POST", "/ssf/streams", &token, Some("{}")).await.status, StatusCode::CONFLICT);
    // error-update-stream-with-invalid-body, error-replace-stream-with-invalid-body
    for method in ["PATCH", "PUT"] {
        for broken in [
            "{".to_owned(),
            "{}".to_owned(),
            json!({ "stream_id": id, "iss": "https://other.example" }).to_string(),
            json!({ "stream_id": id, "aud": "svc_other" }).to_string(),
        ] {
            let answer = street.call(method, "/ssf/streams", &token, Some(&broken)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {broken}");
        }
    }
    // error-*-unknown-stream: what is another service's is as unknown.
    let theirs = street.stream(OTHER, &json!({})).await["stream_id"].as_str().unwrap().to_owned();
    for unknown in ["str_unknown", &theirs] {
        let body = json!({ "stream_id": unknown, "status": "paused" }).to_string();
        for (method, path) in [
            ("GET", format!("/ssf/streams?stream_id={unknown}")),
            ("PATCH", "/ssf/streams".to_owned()),
            ("PUT", "/ssf/streams".to_owned()),
            ("DELETE", format!("/ssf/streams?stream_id={unknown}")),
            ("GET", format!("/ssf/status?stream_id={unknown}")),
            ("POST", "/ssf/status".to_owned()),
            ("POST", "/ssf/verify".to_owned()),
            ("POST", format!("/ssf/poll/{unknown}")),
        ] {
            let answer = street.call(method, &path, &token, Some(&body)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        }
    }
    // transmitter-stream-verification-error-invalid-body
    for broken in ["{", "{}", "{\"stream_id\":1}"] {
        assert_eq!(street.call("POST", "/ssf/verify", &token, Some(broken)).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(street.call("POST", "/ssf/status", &token, Some(broken)).await.status, StatusCode::BAD_REQUEST);
    }
    let status = json!({ "stream_id": id, "status": "resting" }).to_string();
    assert_eq!(street.call("POST", "/ssf/status", &token, Some(&status)).await.status, StatusCode::BAD_REQUEST);
    // Often is too often.
    verify(&street, id, &token, "a").await;
    let again = json!({ "stream_id": id }).to_string();
    let often = street.call("POST", "/ssf/verify", &token, Some(&again)).await;
    assert_eq!((often.status, often.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "10"));
}

#[tokio::test]
async fn openid_ssf_stream_control_error_tokens() {
    let (street, id, _) = polled().await;
    let all = [
        ("POST", "/ssf/streams".to_owned(), true),
        ("GET", format!("/ssf/streams?stream_id={id}"), false),
        ("PATCH", "/ssf/streams".to_owned(), true),
        ("PUT", "/ssf/streams".to_owned(), true),
        ("DELETE", format!("/ssf/streams?stream_id={id}"), true),
        ("GET", format!("/ssf/status?stream_id={id}"), false),
        ("POST", "/ssf/status".to_owned(), true),
        ("POST", "/ssf/verify".to_owned(), true),
        ("POST", format!("/ssf/poll/{id}"), false),
    ];
    let body = json!({ "stream_id": id, "status": "enabled", "returnImmediately": true }).to_string();
    let (release, read) = (street.token(SERVICE, "release").await, street.token(SERVICE, "ssf.read").await);
    let (_, cookie) = street.site.resident();
    let (hers, _) = street.site.tokens(&cookie, &[]).await;
    for (method, path, must_manage) in &all {
        // with-invalid-token, and a token that speaks for a resident
        for token in ["uft_nonsense", &hers] {
            let answer = street.call(method, path, token, Some(&body)).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{method} {path}");
        }
        // without-token, token-in-uri-query
        let joint = if path.contains('?') { '&' } else { '?' };
        for path in [path.clone(), format!("{path}{joint}access_token={read}")] {
            let request = Request::builder().method(*method).uri(&path).header("content-type", "application/json");
            let answer = street.site.send(request.body(Body::from(body.clone())).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert!(answer.header("www-authenticate").starts_with("DPoP "), "{method} {path}");
        }
        // with-read-only-token, and one that is for something else
        let answer = street.call(method, path, &release, Some(&body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        let answer = street.call(method, path, &read, Some(&body)).await;
        match must_manage {
            true => {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
                assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\", scope=\"ssf.manage\""));
            }
            false => assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {}", answer.text()),
        }
    }
    // A token without its key.
    let request = Request::get("/ssf/streams").header("authorization", format!("Bearer {read}"));
    assert_eq!(street.site.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_push() {
    let street = Street::open("/good").await;
    let id = street.push_stream(SERVICE).await["stream_id"].as_str().unwrap().to_owned();
    let token = street.token(SERVICE, "ssf.manage").await;
    verify(&street, &id, &token, "a state").await;
    assert_eq!(street.deliver().await, 1);
    let got = street.got();
    assert_eq!((got.len(), got[0].path.as_str()), (1, "/good/signals"));
    let claims = got[0].claims();
    assert_eq!(claims["events"], json!({ VERIFICATION: { "state": "a state" } }));
    assert_eq!(claims["sub_id"], json!({ "format": "opaque", "id": id }));
    assert_eq!(street.deliver().await, 0);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_poll_and_ack() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "one").await;
    verify(&street, &id, &token, "two").await;
    // poll-only: what is not acknowledged comes again.
    for _ in 0..2 {
        let answer = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
        assert_eq!((states(&answer).len(), answer.get("moreAvailable")), (2, None));
    }
    let first = poll(&street, &id, &token, json!({ "maxEvents": 1, "returnImmediately": true })).await;
    assert_eq!((states(&first), &first["moreAvailable"]), (vec!["one".to_owned()], &json!(true)));
    // poll-and-ack
    let second = poll(&street, &id, &token, json!({ "ack": names(&first), "returnImmediately": true })).await;
    assert_eq!(states(&second), ["two"]);
    // ack-only
    let none = poll(&street, &id, &token, json!({ "ack": names(&second), "maxEvents": 0 })).await;
    assert_eq!(none, json!({ "sets": {} }));
    assert_eq!(poll(&street, &id, &token, json!({ "returnImmediately": true })).await, json!({ "sets": {} }));
    assert_eq!(street.deliver().await, 0, "nothing is pushed");
    let many: Vec<String> = (0..1_001).map(|n| format!("evt_{n}")).collect();
    let body = json!({ "ack": many }).to_string();
    assert_eq!(street.call("POST", &format!("/ssf/poll/{id}"), &token, Some(&body)).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_set_errs() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "one").await;
    let first = poll(&street, &id, &token, json!({ "returnImmediately": true })).await;
    let errors: Value = names(&first)
        .into_iter()
        .map(|jti| (jti, json!({ "err": "invalid_key", "description": "?" })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(poll(&street, &id, &token, json!({ "setErrs": errors, "maxEvents": 0 })).await, json!({ "sets": {} }));
    assert!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await).is_empty());
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_long_poll() {
    let (street, id, token) = polled().await;
    let late = street.token(SERVICE, "ssf.manage").await;
    let (answer, ()) = tokio::join!(poll(&street, &id, &token, json!({})), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        verify(&street, &id, &late, "late").await;
    });
    assert_eq!(states(&answer), ["late"]);
}

#[tokio::test]
async fn openid_ssf_transmitter_paused_stream_holds_events() {
    let (street, id, token) = polled().await;
    set_status(&street, &id, &token, "paused").await;
    verify(&street, &id, &token, "held").await;
    assert!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await).is_empty());
    set_status(&street, &id, &token, "enabled").await;
    assert_eq!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await), ["held"]);
}

#[tokio::test]
async fn openid_ssf_transmitter_disabled_stream_drops_events() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "before").await;
    set_status(&street, &id, &token, "disabled").await;
    verify(&street, &id, &token, "dropped").await;
    set_status(&street, &id, &token, "enabled").await;
    assert!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await).is_empty());
    verify(&street, &id, &token, "after").await;
    assert_eq!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await), ["after"]);
}

#[tokio::test]
async fn openid_ssf_transmitter_poll_endpoint_authorization() {
    let (street, id, token) = polled().await;
    verify(&street, &id, &token, "ours").await;
    let body = json!({ "returnImmediately": true }).to_string();
    let theirs = street.token(OTHER, "ssf.manage ssf.read").await;
    assert_eq!(street.call("POST", &format!("/ssf/poll/{id}"), &theirs, Some(&body)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(states(&poll(&street, &id, &token, json!({ "returnImmediately": true })).await), ["ours"]);
}
