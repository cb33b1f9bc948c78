//! The other bodies of statements: every field removed, mistyped, overlong and misspelt in turn.

use crate::common;
use crate::common::walk::{spoil_everything, spoil_everything_but};
use crate::common::{agency_body, block_body, certificate_body, contract_body, day, names, notice_body, service_body, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use usufruct_core::agency::Agency;
use usufruct_core::block::DataBlock;
use usufruct_core::certificate::Certificate;
use usufruct_core::contract::Contract;
use usufruct_core::hash::sha256;
use usufruct_core::key::PublishedKey;
use usufruct_core::notice::Notice;
use usufruct_core::purge::Purge;
use usufruct_core::service::{Profile, Service};
use usufruct_core::status::StatusChange;
use usufruct_core::tally::{Count, Tally};
use usufruct_core::uncertified::Uncertified;

/// The coordinates of the base point of P-256 (SEC 2, 2.4.2).
const X: &str = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
const Y: &str = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

#[test]
fn agency() {
    let mut whole = agency_body("agc_library", "agency");
    whole["parent"] = json!("agc_city");
    whole["source_systems"] = json!([{"name": text("Loans"), "log_complete_since": day(0).to_string()}]);
    spoil_everything(&whole, &["parent", "source_systems"], &|body| Agency::read(body).map(drop));
    let mut body = agency_body("agc_library", "agency");
    body["signing_keys"][1]["id"] = json!("head");
    assert!(names(&Agency::read(&body).unwrap_err(), "signing_keys", "duplicate"));
    for bad in ["AA", "A".repeat(44).as_str(), "+".repeat(43).as_str(), "é"] {
        body["signing_keys"][1]["public"] = json!(bad);
        assert!(names(&Agency::read(&body).unwrap_err(), "signing_keys[1].public", "malformed"), "{bad}");
    }
}

#[test]
fn block() {
    let mut whole = block_body("Name", "special", &["token", "value"]);
    (whole["attributes"], whole["refresh"]) = (json!([text("Given name"), text("Family name")]), json!("P1D"));
    spoil_everything(&whole, &["attributes", "refresh"], &|body| DataBlock::read(body).map(drop));
}

#[test]
fn what_is_said_after_a_certificate_or_in_its_place() {
    let purge = json!({"through": 7, "purged_at": day(1).to_string()});
    spoil_everything(&purge, &[], &|body| Purge::read(body).map(drop));
    let uncertified =
        json!({"mandate": "mdt_library-card", "key_commitments": [sha256(b"key")], "reason": text("The proofs are lost.")});
    spoil_everything(&uncertified, &["mandate", "key_commitments"], &|body| Uncertified::read(body).map(drop));
}

#[test]
fn certificate() {
    let body = certificate_body("mdt_library-card", day(0));
    spoil_everything_but(&body, &["absence", "inclusion"], &[], &|body| Certificate::read(body).map(drop));
    let other = sha256(b"other");
    for (field, place, value) in [
        ("inclusion", "bucket", json!([])),
        ("inclusion", "bucket", json!([other])),
        ("inclusion", "count", json!(2)),
        ("inclusion", "path", json!([other])),
        ("absence", "bucket", body["inclusion"][0]["bucket"].clone()),
        ("absence", "bucket", json!([other])),
    ] {
        let mut body = body.clone();
        body[field][0][place] = value;
        assert!(names(&Certificate::read(&body).unwrap_err(), field, "false-proof"), "{field}.{place}");
    }
    let mut swapped = body.clone();
    swapped["tree_root_after"] = body["tree_root_before"].clone();
    swapped["absence"] = body["inclusion"].clone();
    assert!(names(&Certificate::read(&swapped).unwrap_err(), "absence", "false-proof"), "it lives still");
    for field in ["inclusion", "absence"] {
        let mut body = body.clone();
        body[field] = json!([body[field][0], body[field][0]]);
        assert!(names(&Certificate::read(&body).unwrap_err(), field, "count"));
    }
    for after in [0, 1] {
        let mut body = body.clone();
        body["epoch_after"] = json!(after);
        assert!(names(&Certificate::read(&body).unwrap_err(), "epoch_after", "no-progress"));
    }
}

#[test]
fn key() {
    let commitment = common::commitment_of("mdt_library-card");
    let mut body = common::key_body("mdt_library-card", commitment);
    body["month"] = json!("2026-11");
    spoil_everything(&body, &["month"], &|body| PublishedKey::read(body).map(drop));
    for bad in ["2026-13", "2026-00", "2019-12", "2026-1", "02026-11", "2026-11-01"] {
        body["month"] = json!(bad);
        assert!(names(&PublishedKey::read(&body).unwrap_err(), "month", "malformed"), "{bad}");
    }
    body["month"] = json!("2020-01");
    assert!(PublishedKey::read(&body).is_ok());
    body["sector"] = json!("library");
    assert!(names(&PublishedKey::read(&body).unwrap_err(), "mandate", "one-of-two"));
    body.as_object_mut().unwrap().remove("mandate");
    assert!(names(&PublishedKey::read(&body).unwrap_err(), "month", "of-no-mandate"));
    body.as_object_mut().unwrap().remove("month");
    assert!(PublishedKey::read(&body).is_ok());
}

#[test]
fn contract() {
    let mut body = contract_body();
    body["cloud_provider"] = json!("A data centre in Taipei");
    body["subprocessors"] = json!([{"agency": "agc_cloud", "location": "TW", "approved_by": "agc_library"}]);
    let optional = ["cloud_provider", "subprocessors", "value_blocks"];
    spoil_everything(&body, &optional, &|body| Contract::read(body).map(drop));
}

#[test]
fn notice() {
    let body = notice_body("mdt_library-card", sha256(b""));
    spoil_everything(&body, &[], &|body| Notice::read(body).map(drop));
}

#[test]
fn service() {
    let mut body = service_body("agc_library", "library", &["mdt_library-card"]);
    body["post_logout_redirect_uris"] = json!(["https://library.example/bye"]);
    body["jwks"] = json!([{"kid": "one", "kty": "EC", "crv": "P-256", "x": X, "y": Y}]);
    body["backchannel_logout_uri"] = json!("https://library.example/signed-out");
    body["profile"] = json!("fapi2");
    body["id_token_signed_response_alg"] = json!("EdDSA");
    body["userinfo_signed_response_alg"] = json!("PS256");
    body["means"] = json!("passkey");
    body["sign_in_within"] = json!("PT5M");
    let optional = [
        "backchannel_logout_uri",
        "id_token_signed_response_alg",
        "jwks",
        "mandates",
        "means",
        "post_logout_redirect_uris",
        "profile",
        "sign_in_within",
        "userinfo_signed_response_alg",
    ];
    spoil_everything(&body, &optional, &|body| Service::read(body).map(drop));
    for bad in [
        "http://library.example/back",
        "https://",
        "https://library.example/#back",
        "javascript:alert(1)",
        "http://localhost.evil.example/",
    ] {
        for field in ["redirect_uris", "post_logout_redirect_uris"] {
            let mut body = body.clone();
            body[field] = json!([bad]);
            let problems = Service::read(&body).expect_err(bad);
            assert!(names(&problems, &format!("{field}[0]"), "not-https"), "{bad}: {problems:?}");
        }
        let mut body = body.clone();
        body["backchannel_logout_uri"] = json!(bad);
        assert!(names(&Service::read(&body).expect_err(bad), "backchannel_logout_uri[0]", "not-https"), "{bad}");
    }
}

#[test]
fn a_service_that_only_signs_in_gets_no_data() {
    let mut body = service_body("agc_library", "library", &["mdt_library-card"]);
    assert_eq!(Service::read(&body).unwrap().profile, Profile::Fapi2, "unless it says otherwise");
    body["profile"] = json!("oidc");
    assert!(names(&Service::read(&body).unwrap_err(), "profile", "login-only"));
    body["mandates"] = json!([]);
    assert_eq!(Service::read(&body).unwrap().profile, Profile::Oidc);
}

#[test]
fn only_a_service_that_only_signs_in_may_have_no_key() {
    let mut body = service_body("agc_library", "library", &["mdt_library-card"]);
    assert!(!Service::read(&body).unwrap().is_public(), "unless it says so");
    body["auth"] = json!("none");
    assert!(names(&Service::read(&body).unwrap_err(), "auth", "keyless"), "never under the profile fapi2");
    body["profile"] = json!("oidc");
    assert!(names(&Service::read(&body).unwrap_err(), "profile", "login-only"), "and never under a mandate");
    body["mandates"] = json!([]);
    let public = Service::read(&body).unwrap();
    assert!(public.is_public() && serde_json::to_value(&public).unwrap()["auth"] == "none");
    body["jwks"] = json!([{"kid": "one", "kty": "EC", "crv": "P-256", "x": X, "y": Y}]);
    assert!(names(&Service::read(&body).unwrap_err(), "jwks", "unused"));
    body["auth"] = json!("private_key_jwt");
    let keyed = Service::read(&body).unwrap();
    assert!(!keyed.is_public() && serde_json::to_value(&keyed).unwrap().get("auth").is_none());
    body["auth"] = json!("client_secret_basic");
    assert!(Service::read(&body).is_err(), "there are no secrets");
}

/// Nothing of a service is fetched: its keys stand in its statement, where everybody reads the same ones.
#[test]
fn keys_of_a_service() {
    let body = service_body("agc_library", "library", &["mdt_library-card"]);
    let with = |keys: serde_json::Value| {
        let mut body = body.clone();
        body["jwks"] = keys;
        Service::read(&body)
    };
    let coordinate = "A".repeat(43);
    // A modulus of `bits` bits: its first byte is what is left over, and the rest are ones.
    let modulus = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] = 0xff >> (bytes.len() * 8 - bits);
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let ec = json!({"kid": "one", "kty": "EC", "crv": "P-256", "x": X, "y": Y});
    let ed25519 = json!({"kid": "two", "kty": "OKP", "crv": "Ed25519", "x": coordinate});
    let rsa = |bits| json!({"kid": "three", "kty": "RSA", "n": modulus(bits), "e": "AQAB"});
    let read = with(json!([ec, ed25519, rsa(2_048), {"kid": "four", "kty": "RSA", "n": modulus(4_096), "e": "AQAB"}])).unwrap();
    assert_eq!(read.jwks.iter().map(|key| key.kty.as_str()).collect::<Vec<_>>(), ["EC", "OKP", "RSA", "RSA"]);
    assert_eq!(serde_json::to_value(&read.jwks[1]).unwrap(), ed25519, "what is written is what was read");

    assert!(names(&with(json!([ec, ec])).unwrap_err(), "jwks", "twice"));
    let padded = URL_SAFE_NO_PAD.encode([vec![0; 128], vec![0xff; 128]].concat());
    for short in [modulus(1_024), modulus(2_047), padded] {
        let key = json!({"kid": "three", "kty": "RSA", "n": short, "e": "AQAB"});
        assert!(names(&with(json!([key])).unwrap_err(), "jwks[0].n", "too-short"), "{short}");
    }
    for (member, value) in [("d", "AQAB"), ("p", "AQAB"), ("k", "AQAB"), ("x5u", "https://evil.example/")] {
        for mut key in [ec.clone(), ed25519.clone(), rsa(2_048)] {
            key[member] = json!(value);
            assert!(names(&with(json!([key])).unwrap_err(), &format!("jwks[0].{member}"), "unknown-field"), "{member}");
        }
    }
    for (kty, crv) in [("EC", "P-384"), ("EC", "secp256k1"), ("OKP", "X25519"), ("OKP", "Ed448"), ("oct", "P-256")] {
        assert!(with(json!([{"kid": "one", "kty": kty, "crv": crv, "x": coordinate, "y": coordinate}])).is_err(), "{kty} {crv}");
    }
    let off = json!({"kid": "one", "kty": "EC", "crv": "P-256", "x": X, "y": X});
    assert!(names(&with(json!([off])).unwrap_err(), "jwks[0].y", "off-curve"));
    for broken in ["AA", "A".repeat(44).as_str(), "+".repeat(43).as_str(), "é"] {
        let mut key = ed25519.clone();
        key["x"] = json!(broken);
        assert!(names(&with(json!([key])).unwrap_err(), "jwks[0].x", "malformed"), "{broken}");
    }
    for (member, broken) in [("n", "!"), ("e", "AA"), ("e", "AQ==")] {
        let mut key = rsa(2_048);
        key[member] = json!(broken);
        assert!(names(&with(json!([key])).unwrap_err(), &format!("jwks[0].{member}"), "malformed"), "{member} {broken}");
    }
    // What a key is for stands in it, and only a key of P-256 can be encrypted to.
    let with_use = |key: &serde_json::Value, word: &str| {
        let mut key = key.clone();
        key["use"] = json!(word);
        key
    };
    assert!(names(&with(json!([with_use(&ed25519, "enc")])).unwrap_err(), "jwks[0].kty", "no-agreement"));
    assert!(names(&with(json!([with_use(&ec, "wrap")])).unwrap_err(), "jwks[0].use", "unknown-word"));
    assert!(names(&with(json!([with_use(&ec, "enc")])).unwrap_err(), "userinfo_signed_response_alg", "missing"));
    assert_eq!(with(json!([with_use(&ec, "sig")])).unwrap().jwks, with(json!([ec])).unwrap().jwks);
    // Keys stand in the log or at an address of the log, never in two places.
    let mut elsewhere = body.clone();
    elsewhere["jwks_uri"] = json!("https://library.example/jwks");
    assert_eq!(Service::read(&elsewhere).unwrap().jwks_uri.as_deref(), Some("https://library.example/jwks"));
    elsewhere["jwks"] = json!([ec]);
    assert!(names(&Service::read(&elsewhere).unwrap_err(), "jwks_uri", "both"));
    elsewhere["jwks"] = json!([]);
    elsewhere["jwks_uri"] = json!("http://library.example/jwks");
    assert!(names(&Service::read(&elsewhere).unwrap_err(), "jwks_uri[0]", "not-https"));
}

#[test]
fn status_change() {
    let body = json!({"object": "mdt_library-card", "revision": sha256(b"").to_string(), "from": "draft", "to": "consulted",
        "reason": text("The comment period is over.")});
    spoil_everything(&body, &[], &|body| StatusChange::read(body).map(drop));
}

#[test]
fn tally() {
    let body = json!({"mandate": "mdt_library-card", "day": "2026-03-02", "uses": "1317", "delayed": "1-9", "irregular": "0",
        "batches": "0", "residents": "900", "refusals": [{"clause": "grant", "count": "12"}, {"clause": "rate-cap", "count": "1-9"}],
        "sources": [{"source": "pass", "span": "00".repeat(32)}, {"source": "svc_clinic", "span": "11".repeat(32)}]});
    spoil_everything(&body, &["refusals", "sources"], &|body| Tally::read(body).map(drop));
    let read = Tally::read(&body).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), body);
    for bad in ["1", "9", "-1", "+12", "012", "00", "1-8", "ten", "99999999999999999999"] {
        let mut body = body.clone();
        body["uses"] = json!(bad);
        assert!(names(&Tally::read(&body).unwrap_err(), "uses", "malformed"), "{bad}");
    }
    for bad in ["2026-3-2", "2026-02-30", "2026-03-02T00:00:00Z", "20260302", "2026-03-2x"] {
        let mut body = body.clone();
        body["day"] = json!(bad);
        assert!(names(&Tally::read(&body).unwrap_err(), "day", "malformed"), "{bad}");
    }
    for field in ["delayed", "irregular", "residents"] {
        let mut many = body.clone();
        (many["uses"], many["residents"], many[field]) = (json!("1-9"), json!("1-9"), json!("10"));
        assert!(names(&Tally::read(&many).unwrap_err(), field, "too-many"), "{field}");
    }
    let mut swapped = body.clone();
    swapped["refusals"].as_array_mut().unwrap().reverse();
    assert!(names(&Tally::read(&swapped).unwrap_err(), "refusals", "not-sorted"));
    let mut swapped = body.clone();
    swapped["sources"].as_array_mut().unwrap().reverse();
    assert!(names(&Tally::read(&swapped).unwrap_err(), "sources", "not-sorted"));
    let mut nothing = body.clone();
    nothing["refusals"][0]["count"] = json!("0");
    assert!(names(&Tally::read(&nothing).unwrap_err(), "refusals[0].count", "nothing"));
    // What is published never tells one small count from another.
    for number in 0..200 {
        let count = Count::of(number);
        assert_eq!(count == Count::of(5), (1..10).contains(&number), "{number}");
        assert!((count.least()..=count.most()).contains(&number), "{number}");
        assert_eq!(count.to_string().parse::<Count>().unwrap(), count);
    }
}
