//! The other bodies of statements: every field removed, mistyped, overlong and misspelt in turn.

mod common;

use common::walk::{spoil_everything, spoil_everything_but};
use common::{agency_body, block_body, certificate_body, contract_body, day, names, notice_body, service_body, text};
use serde_json::json;
use usufruct_core::agency::Agency;
use usufruct_core::block::DataBlock;
use usufruct_core::certificate::Certificate;
use usufruct_core::contract::Contract;
use usufruct_core::hash::sha256;
use usufruct_core::notice::Notice;
use usufruct_core::service::Service;
use usufruct_core::status::StatusChange;

#[test]
fn agency() {
    spoil_everything(&agency_body("agc_library", "agency"), &[], &|body| Agency::read(body).map(drop));
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
    spoil_everything(&block_body("Name", "special", &["token", "value"]), &[], &|body| DataBlock::read(body).map(drop));
}

#[test]
fn certificate() {
    let body = certificate_body("mdt_library-card", day(0));
    spoil_everything_but(&body, &["absence", "inclusion"], &["mandate"], &|body| Certificate::read(body).map(drop));
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
    body["jwks"] = json!([{"kid": "one", "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43)}]);
    let optional = ["jwks", "mandates", "post_logout_redirect_uris"];
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
    }
}

#[test]
fn status_change() {
    let body = json!({"object": "mdt_library-card", "revision": sha256(b"").to_string(), "from": "draft", "to": "consulted",
        "reason": text("The comment period is over.")});
    spoil_everything(&body, &[], &|body| StatusChange::read(body).map(drop));
}
