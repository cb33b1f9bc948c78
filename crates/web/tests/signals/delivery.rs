//! Tokens on their way: what stands in them, and receivers of all kinds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use usufruct_app::store::residents::ResidentState;
use usufruct_core::time::{DAY, HOUR, MINUTE, SECOND};
use usufruct_web::{Outbound, Unsent};

use crate::calls::{POLL, poll, verify};
use crate::common::{CARD, SERVICE, library_card, mandate};
use crate::receiver::{Got, Street};
use crate::site::{ISSUER, OTHER, claims_of};

const MANDATE_ENDED: &str = "urn:usufruct:event:mandate-ended";
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn at<'a>(got: &'a [Got], path: &str) -> Vec<&'a Got> {
    got.iter().filter(|got| got.path == path).collect()
}

#[tokio::test]
async fn oidcc_backchannel_rp_initiated_logout() {
    let street = Street::open("/good").await;
    let (_, cookie) = street.site.resident();
    let id_token = street.sign_in(&cookie, SERVICE).await;
    street.sign_out(&cookie).await;
    assert_eq!(street.deliver().await, 1);
    let got = street.got();
    assert_eq!(got.len(), 1, "a service she did not sign in to hears nothing");
    let got = &got[0];
    assert_eq!(
        (got.path.as_str(), got.headers["content-type"].to_str().unwrap()),
        ("/good/logout", "application/x-www-form-urlencoded")
    );
    assert_eq!(url::form_urlencoded::parse(got.body.as_bytes()).count(), 1);
    assert!(got.headers.get("authorization").is_none());
    let header = street.verified(&got.token()).await;
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let claims = got.claims();
    assert_eq!(members(&claims), BTreeSet::from(["iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"]));
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(SERVICE)));
    assert_eq!((&claims["sub"], &claims["sid"]), (&id_token["sub"], &id_token["sid"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    assert_eq!(street.deliver().await, 0, "once is enough");
}

#[tokio::test]
async fn every_end_of_a_session_reaches_its_services_and_only_its_own() {
    let street = Street::open("/good").await;
    let (reader, cookie) = street.site.resident();
    let second_device = street.site.sign_in(reader);
    let first = street.sign_in(&cookie, SERVICE).await;
    let second = street.sign_in(&second_device, SERVICE).await;
    assert_eq!(first["sub"], second["sub"]);
    assert_ne!(first["sid"], second["sid"]);
    let sids =
        |got: &[Got]| got.iter().map(|got| got.claims()["sid"].clone()).map(|sid| sid.to_string()).collect::<BTreeSet<_>>();
    // One device.
    street.sign_out(&cookie).await;
    street.deliver().await;
    assert_eq!(sids(&street.got()), BTreeSet::from([first["sid"].to_string()]));
    // All of them.
    let third = street.sign_in(&street.site.sign_in(reader), SERVICE).await;
    street.site.city.app.sign_out_everywhere(reader).unwrap();
    street.deliver().await;
    assert_eq!(sids(&street.got()), BTreeSet::from([second["sid"].to_string(), third["sid"].to_string()]));
    // The end that nobody asked for.
    let fourth = street.sign_in(&street.site.sign_in(reader), SERVICE).await;
    street.site.city.clock.advance(31 * MINUTE);
    street.site.city.app.sweep().unwrap();
    street.deliver().await;
    assert_eq!(sids(&street.got()), BTreeSet::from([fourth["sid"].to_string()]));
    // A frozen pass.
    let fifth = street.sign_in(&street.site.sign_in(reader), SERVICE).await;
    street.site.city.app.set_active(reader, ResidentState::Deactivated).unwrap();
    street.deliver().await;
    assert_eq!(sids(&street.got()), BTreeSet::from([fifth["sid"].to_string()]));
}

#[tokio::test]
async fn a_receiver_that_misbehaves_is_tried_again_and_holds_up_nobody() {
    for (way, heard) in [("/slow", 1), ("/broken", 1), ("/elsewhere", 1), ("/large", 1), ("/endless", 1), ("http://10.0.0.1", 0)]
    {
        let street = Street::open("/good").await;
        // An address inside is no address for a service, but a statement may have been published all the same.
        street.told_at(SERVICE, if way.contains("://") { "https://10.0.0.1" } else { way });
        let (_, cookie) = street.site.resident();
        for service in [SERVICE, OTHER] {
            street.sign_in(&cookie, service).await;
        }
        street.sign_out(&cookie).await;
        let began = began();
        assert_eq!(street.deliver().await, 2, "{way}");
        assert!(began.elapsed() < Duration::from_secs(9), "{way}");
        let got = street.got();
        assert_eq!(at(&got, "/second/logout").len(), 1, "{way}");
        assert_eq!(got.len(), 1 + heard, "{way}: a redirect is not followed");
        // It waits, and comes again as soon as the receiver works.
        assert_eq!(street.deliver().await, 0, "{way}");
        street.told_at(SERVICE, "/good");
        street.site.city.clock.advance(5 * SECOND);
        assert_eq!(street.deliver().await, 1, "{way}");
        let again = street.got();
        assert_eq!(at(&again, "/good/logout").len(), 1, "{way}");
        if let Some(before) = got.iter().find(|got| got.path != "/second/logout") {
            assert_ne!(before.claims()["jti"], again[0].claims()["jti"], "a receiver may refuse a token that it has seen");
            assert_eq!(before.claims()["sid"], again[0].claims()["sid"]);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time that a request takes is measured")]
fn began() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_message_that_is_refused_holds_up_no_other() {
    let street = Street::open("/unwilling").await;
    for _ in 0..3 {
        let (_, cookie) = street.site.resident();
        street.sign_in(&cookie, SERVICE).await;
        street.sign_out(&cookie).await;
    }
    assert_eq!(street.deliver().await, 3);
    assert_eq!(street.got().len(), 3, "each was tried");
    street.told_at(SERVICE, "/broken");
    street.site.city.clock.advance(HOUR);
    assert_eq!(street.deliver().await, 3);
    assert_eq!(street.got().len(), 1, "a receiver in trouble is asked once");
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_caep_interop() {
    let street = Street::open("/good").await;
    street.push_stream(SERVICE).await;
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
    let session = app.session(cookie.trim_start_matches("usufruct=")).unwrap().unwrap();
    app.add_passkey(&session, &passkey).unwrap();
    street.sign_out(&cookie).await;
    app.sign_out_everywhere(reader).unwrap();
    street.deliver().await;
    let got = street.got();
    let sets: Vec<&Got> = at(&got, "/good/signals");
    let user = json!({ "format": "iss_sub", "iss": ISSUER, "sub": id_token["sub"] });
    let mut types = Vec::new();
    for got in &sets {
        assert_eq!(got.headers["content-type"], "application/secevent+jwt");
        assert_eq!(got.headers["authorization"], "Bearer of-the-receiver");
        assert_eq!(street.verified(&got.body).await.typ.as_deref(), Some("secevent+jwt"));
        let claims = got.claims();
        assert_eq!(members(&claims), BTreeSet::from(["iss", "aud", "iat", "jti", "txn", "sub_id", "events"]), "no sub, no exp");
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(SERVICE)));
        let events = claims["events"].as_object().unwrap();
        assert_eq!(events.len(), 1);
        let (name, content) = events.iter().next().unwrap();
        types.push(name.rsplit('/').next().unwrap().to_owned());
        assert!(content["event_timestamp"].is_i64());
        match claims["sub_id"]["format"].as_str().unwrap() {
            "complex" => {
                assert_eq!(claims["sub_id"]["user"], user);
                assert_eq!(claims["sub_id"]["session"], json!({ "format": "opaque", "id": id_token["sid"] }));
            }
            _ => assert_eq!(claims["sub_id"], user),
        }
        if name.ends_with("credential-change") {
            assert_eq!((&content["credential_type"], &content["change_type"]), (&json!("fido2-platform"), &json!("create")));
        }
        if name.ends_with("assurance-level-change") {
            assert_eq!(
                (&content["current_level"], &content["change_direction"]),
                (&json!("urn:usufruct:acr:passkey"), &json!("increase"))
            );
        }
        if name == SESSION_REVOKED {
            assert_eq!(content["initiating_entity"], "user");
        }
    }
    types.sort();
    assert_eq!(types, ["assurance-level-change", "credential-change", "session-revoked", "session-revoked"]);
}

#[tokio::test]
async fn an_event_that_was_lost_comes_again_under_its_name() {
    let street = Street::open("/good").await;
    let stream = street.push_stream(SERVICE).await;
    let token = street.token(SERVICE, "ssf.manage").await;
    let (_, cookie) = street.site.resident();
    street.sign_in(&cookie, SERVICE).await;
    street.sign_out(&cookie).await;
    street.told_at(SERVICE, "/broken");
    assert_eq!(street.deliver().await, 1, "the endpoint of the stream stands in the register no more");
    assert!(at(&street.got(), "/good/signals").is_empty());
    let broken = json!({ "stream_id": stream["stream_id"], "delivery": { "method": "urn:ietf:rfc:8935", "endpoint_url": format!("{}/broken/signals", street.base) } });
    assert_eq!(street.call("PATCH", "/ssf/streams", &token, Some(&broken.to_string())).await.status, 200);
    street.deliver().await;
    let first = at(&street.got(), "/broken/signals")[0].clone();
    street.told_at(SERVICE, "/good");
    let good = json!({ "stream_id": stream["stream_id"], "delivery": { "method": "urn:ietf:rfc:8935", "endpoint_url": format!("{}/good/signals", street.base) } });
    assert_eq!(
        street.call("PATCH", "/ssf/streams", &street.token(SERVICE, "ssf.manage").await, Some(&good.to_string())).await.status,
        200
    );
    street.deliver().await;
    let got = street.got();
    let again = at(&got, "/good/signals")[0];
    assert_eq!(first.claims(), again.claims());
    assert!(again.headers.get("authorization").is_none(), "the secret of another endpoint is not sent here");
}

#[tokio::test]
async fn a_mandate_that_ends_by_its_date_is_told_to_those_who_push_and_those_who_poll() {
    let street = Street::open("/good").await;
    let app = &street.site.city.app;
    let mut card = library_card();
    card["sunset_at"] = json!("2026-01-03T00:00:00Z");
    street.site.city.publish_mandate(CARD, card);
    street.push_stream(SERVICE).await;
    let polled = street.stream(OTHER, &json!({ "delivery": { "method": POLL } })).await["stream_id"].clone();
    let (_, cookie) = street.site.resident();
    street.sign_in(&cookie, SERVICE).await;
    street.site.city.clock.advance(2 * DAY);
    assert_eq!(app.run_sunsets().unwrap().ended, [mandate()]);
    while street.deliver().await > 0 {}
    let token = street.token(OTHER, "ssf.read").await;
    let polled = poll(&street, polled.as_str().unwrap(), &token, json!({ "returnImmediately": true })).await["sets"].take();
    let pushed: Vec<String> = at(&street.got(), "/good/signals").into_iter().map(|got| got.body.clone()).collect();
    let polled: Vec<String> = polled.as_object().unwrap().values().map(|set| set.as_str().unwrap().to_owned()).collect();
    for (service, sets) in [(SERVICE, pushed), (OTHER, polled)] {
        let mut ends = Vec::new();
        for set in sets.iter().filter(|set| claims_of(set)["events"].get(MANDATE_ENDED).is_some()) {
            assert_eq!(street.verified(set).await.typ.as_deref(), Some("secevent+jwt"));
            ends.push(claims_of(set));
        }
        assert_eq!(ends.len(), 1, "{service}");
        assert_eq!((&ends[0]["iss"], &ends[0]["aud"]), (&json!(ISSUER), &json!(service)));
        assert_eq!(ends[0]["sub_id"], json!({ "format": "uri", "uri": format!("{ISSUER}/register/mandates/{CARD}") }));
        let at = street.site.city.app.now().seconds();
        assert_eq!(ends[0]["events"][MANDATE_ENDED], json!({ "event_timestamp": at, "mandate": CARD, "cause": "sunset" }));
    }
}

#[tokio::test]
async fn events_are_signed_as_the_service_registered() {
    let street = Street::open("/good").await;
    let id = street.push_stream(SERVICE).await["stream_id"].as_str().unwrap().to_owned();
    let token = street.token(SERVICE, "ssf.manage").await;
    for (registered, algorithm) in [
        (json!({ "id_token_signed_response_alg": "ES256" }), Algorithm::ES256),
        (json!({ "id_token_signed_response_alg": "EdDSA" }), Algorithm::EdDSA),
        (json!({ "id_token_signed_response_alg": "EdDSA", "signals_signed_response_alg": "PS256" }), Algorithm::PS256),
        (json!({ "signals_signed_response_alg": "RS256" }), Algorithm::RS256),
    ] {
        street.told_with(SERVICE, "/good", |body| {
            body.as_object_mut().unwrap().extend(registered.as_object().unwrap().clone());
        });
        verify(&street, &id, &token, "signed").await;
        street.deliver().await;
        let got = street.got();
        assert_eq!((got.len(), street.verified(&got[0].body).await.alg), (1, algorithm), "{registered}");
    }
}

#[tokio::test]
async fn the_bytes_that_two_services_get_share_nothing_that_names_her() {
    let street = Street::open("/good").await;
    for service in [SERVICE, OTHER] {
        street.push_stream(service).await;
    }
    let (reader, cookie) = street.site.resident();
    for service in [SERVICE, OTHER] {
        street.sign_in(&cookie, service).await;
    }
    let app = &street.site.city.app;
    app.set_active(reader, ResidentState::Deactivated).unwrap();
    app.set_active(reader, ResidentState::Active).unwrap();
    for service in [SERVICE, OTHER] {
        street.sign_in(&cookie, service).await;
    }
    street.sign_out(&cookie).await;
    app.withdraw(reader, &crate::common::mandate()).unwrap();
    while street.deliver().await > 0 {}
    let got = street.got();
    let parts = |way: &str| -> BTreeSet<String> {
        let theirs: Vec<Value> = got.iter().filter(|got| got.path.starts_with(way)).map(Got::claims).collect();
        assert!(theirs.len() >= 7, "{}", theirs.len());
        let text = serde_json::to_string(&theirs).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        // The second in which it happened is a number, and everybody has it.
        words.filter(|word| word.parse::<i64>().is_err()).flat_map(windows).collect()
    };
    let known = [
        "localhost",
        "schemas",
        "backchannel-logout",
        "secevent",
        "event-type",
        "session-revoked",
        "event_timestamp",
        "initiating_entity",
        "reason_admin",
        "usufruct",
        "account-frozen",
        "account-unfrozen",
        "grant-withdrawn",
        "deletion-due",
        "deletion",
        "mdt_library-card",
        "iss_sub",
    ];
    let public: BTreeSet<String> = known.into_iter().flat_map(windows).collect();
    let shared: BTreeSet<String> = parts("/good").intersection(&parts("/second")).cloned().collect();
    let strange: Vec<&String> = shared.difference(&public).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Every eight letters in a row: 48 bits of base64url, or 32 of hex. Two random names do not have so many in common, and two names
/// that begin with one time do.
fn windows(word: &str) -> Vec<String> {
    word.as_bytes().windows(8).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

#[tokio::test]
async fn addresses_inside_are_not_called() {
    let outside = Outbound::new("https://pass.example.org").unwrap();
    let street = Street::open("/good").await;
    for url in [format!("{}/good/logout", street.base), street.base.replace("http://localhost", "https://127.0.0.1")] {
        assert_eq!(outside.post(&url, "text/plain", None, String::new()).await, Err(Unsent::Forbidden), "{url}");
    }
    assert!(street.got().is_empty());
}
