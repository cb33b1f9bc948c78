//! Approvals by key files and passkeys: the golden files, what a body may name, and how the register counts them.

use std::slice::from_ref;

use crate::common;
use crate::common::passkey::SoftPasskey;
use crate::common::walk::spoil_everything;
use crate::common::{City, agency_body, cases, lawful, library_card, names, vectors};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::agency::{Agency, SigningKey};
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::statement::{Approval, SigningKeys, Statement, StatementKind, Tried};
use usufruct_core::time::DAY;
use usufruct_core::webauthn::{Member, client_data_members};

/// A key as an agency's statement names it.
fn read(entry: &Value) -> Result<SigningKey, Vec<Problem>> {
    let mut body = agency_body("agc_library", "agency");
    body["signing_keys"] = json!([entry]);
    Agency::read(&body).map(|agency| agency.signing_keys[0].clone())
}

#[test]
fn the_golden_approvals_hold_or_fail_as_their_files_say() {
    let (mut accepted, mut refused, mut keyless) = (0, 0, 0);
    for (name, case) in vectors("approvals") {
        assert!(name.starts_with(case["expect"].as_str().unwrap()), "{name}");
        let approval: Approval = serde_json::from_value(case["approval"].clone()).unwrap();
        let key = match read(&case["key"]) {
            Ok(key) => key,
            Err(problems) => {
                // A key that contradicts itself never comes into the register.
                assert_eq!(
                    (case["flaw"].as_str(), &*problems[0].field),
                    (Some("algorithm"), "signing_keys[0].webauthn.algorithm")
                );
                keyless += 1;
                continue;
            }
        };
        let found = approval.check(&case["hash"].as_str().unwrap().parse().unwrap(), &key).err().map(|flaw| flaw.code());
        assert_eq!(found, case["flaw"].as_str(), "{name}: {}", case["why"]);
        if found.is_none() { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted >= 17 && refused >= 70 && keyless == 1, "{accepted} accepted, {refused} refused, {keyless} without a key");
}

#[test]
fn a_body_names_passkeys_whole_or_not_at_all() {
    let mut body = agency_body("agc_library", "agency");
    let (_, case) = vectors("approvals").into_iter().find(|(name, _)| name == "accept-passkey-ed25519").unwrap();
    body["signing_keys"] = json!([case["key"]]);
    body["signing_keys"][0]["holder"] = json!("the head");
    // Without it, it is the key of a file.
    let optional = ["signing_keys[0].holder", "signing_keys[0].webauthn"];
    spoil_everything(&body, &optional, &|body| Agency::read(body).map(drop));
    let good = SoftPasskey::new().entry("head", "head");
    assert_eq!(json!(read(&good).unwrap()), good, "it is written as it was read");
    for (pointer, bad, rule) in [
        ("/public", json!("KPxyWVDtYreo_XRnt5LgxpRWYuGSNvhhbBYZAOA6ob0"), "other-key"),
        ("/public", json!(URL_SAFE_NO_PAD.encode([4; 65])), "other-key"),
        ("/webauthn/algorithm", json!("EdDSA"), "other-key"),
        ("/webauthn/algorithm", json!("RS256"), "unknown-word"),
        ("/webauthn/credential", json!("a+b="), "malformed"),
        ("/webauthn/rp_id", json!("https://pass.example.org"), "malformed"),
        ("/webauthn/rp_id", json!("other.example"), "malformed"),
        ("/webauthn/origins", json!(["http://pass.example.org"]), "malformed"),
        ("/webauthn/origins", json!(["https://pass.example.org", "https://evil.example"]), "malformed"),
        ("/webauthn/origins", json!(vec!["https://pass.example.org"; 5]), "malformed"),
        ("/role", json!("automation"), "automation"),
    ] {
        let mut entry = good.clone();
        *entry.pointer_mut(pointer).unwrap() = bad.clone();
        let problems = read(&entry).unwrap_err();
        assert!(problems.iter().any(|problem| problem.rule == rule), "{pointer} {bad}: {problems:?}");
    }
}

/// The lawful city, where the library's offices hold passkeys: `phone` and `token` are the head's, `officer` is somebody's of data protection.
fn city() -> (City, SoftPasskey, SoftPasskey, SoftPasskey) {
    let (phone, token, officer) = (SoftPasskey::new(), SoftPasskey::new(), SoftPasskey::new());
    let mut city = lawful();
    let mut body = agency_body("agc_library", "agency");
    let keys = body["signing_keys"].as_array_mut().unwrap();
    for mut entry in [phone.entry("phone", "head"), token.entry("token", "head")] {
        entry["holder"] = json!("the head");
        keys.push(entry);
    }
    keys.push(officer.entry("officer", "data-protection"));
    let approvals = [("agc_operator", "head"), ("agc_operator", "privacy"), ("agc_library", "head")];
    city.apply(city.draft(StatementKind::Agency, "agc_library", "agc_operator", body, &approvals)).unwrap();
    (city, phone, token, officer)
}

fn draft(city: &City, id: &str) -> Statement {
    city.draft(StatementKind::Mandate, id, "agc_library", library_card(), &[])
}

#[test]
fn two_offices_approve_by_passkeys_by_files_or_by_one_of_each() {
    let (city, phone, token, officer) = city();
    let statement = draft(&city, "mdt_other");
    let hash = [statement.hash().unwrap()];
    let by = |approvals: &[Approval], files: &[&str]| {
        let mut statement = statement.clone();
        statement.approvals.extend_from_slice(approvals);
        for key in files {
            statement.approve(&common::signer("agc_library", key)).unwrap();
        }
        city.register.check(&statement).err()
    };
    let (head, second, protection) = (
        phone.approve("agc_library", "phone", &hash),
        token.approve("agc_library", "token", &hash),
        officer.approve("agc_library", "officer", &hash),
    );
    assert_eq!(by(&[head.clone(), protection.clone()], &[]), None);
    assert_eq!(by(from_ref(&head), &["privacy"]), None);
    assert_eq!(by(from_ref(&protection), &["deputy"]), None);
    let too_few = |found: Option<Vec<Problem>>| found.is_some_and(|found| names(&found, "approvals", "too-few"));
    assert!(too_few(by(from_ref(&head), &[])), "one official alone");
    assert!(too_few(by(&[head.clone(), second.clone()], &[])), "one person with two passkeys");
    assert!(too_few(by(&[head.clone(), second], &["head"])), "one office by three keys");
    let invalid =
        |approval: Approval| by(&[head.clone(), approval], &[]).is_some_and(|found| names(&found, "approvals[1]", "not-valid"));
    let other = [draft(&city, "mdt_third").hash().unwrap()];
    assert!(invalid(officer.approve("agc_library", "officer", &other)), "replayed from another statement");
    assert!(invalid(Approval { key: "phone".into(), ..protection.clone() }), "under the name of another passkey");
    assert!(invalid(Approval { key: "privacy".into(), ..protection.clone() }), "under the name of a key file");
    assert!(invalid(Approval { agency: "agc_parks".parse().unwrap(), ..protection }), "for another body");
}

#[test]
fn one_touch_approves_several_statements_and_nothing_beside_them() {
    let (city, phone, _, officer) = city();
    let statements = ["mdt_other", "mdt_third", "mdt_fourth"].map(|id| draft(&city, id));
    let hashes = statements.each_ref().map(|statement| statement.hash().unwrap());
    let (head, protection) =
        (phone.approve("agc_library", "phone", &hashes[..2]), officer.approve("agc_library", "officer", &hashes[..2]));
    let mut outcomes = statements.into_iter().map(|mut statement| {
        statement.approvals = vec![head.clone(), protection.clone()];
        let leaf = statement.leaf().unwrap();
        assert_eq!(Statement::from_leaf(&leaf).unwrap(), statement);
        city.register.check(&statement).is_ok()
    });
    assert_eq!(std::array::from_fn(|_| outcomes.next().unwrap()), [true, true, false]);
}

#[test]
fn what_a_key_file_has_not_is_left_out_and_not_empty() {
    let mut statement = lawful().statements[0].clone();
    let hash = [statement.hash().unwrap()];
    statement.approvals = vec![SoftPasskey::new().approve("agc_operator", "head", &hash)];
    let leaf = String::from_utf8(statement.leaf().unwrap()[2..].to_vec()).unwrap();
    assert_eq!(Statement::parse(leaf.as_bytes()).unwrap(), statement);
    for (from, to) in [
        (r#""algorithm""#, r#""among":[],"algorithm""#),
        (r#""algorithm":"webauthn""#, r#""algorithm":"webauthn","among":[]"#),
        (r#""algorithm":"webauthn""#, r#""algorithm":"webauthn","among":null"#),
        (r#""algorithm":"webauthn""#, r#""algorithm":"webauthn","attestation":"none""#),
    ] {
        let other = leaf.replacen(from, to, 1);
        assert!(other != leaf && Statement::parse(other.as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn the_keys_of_one_holder_speak_for_one_office() {
    let mut body = agency_body("agc_library", "agency");
    body["signing_keys"][0]["holder"] = json!("the head");
    body["signing_keys"][2]["holder"] = json!("the head");
    assert_eq!(Agency::read(&body).unwrap().key("deputy").unwrap().person(), "the head");
    body["signing_keys"][1]["holder"] = json!("the head");
    assert!(names(&Agency::read(&body).unwrap_err(), "signing_keys", "two-roles"));
}

#[test]
fn an_approval_tried_before_the_key_lost_its_page_is_tried_again() {
    let (mut city, phone, _, officer) = city();
    let mut statement = draft(&city, "mdt_other");
    let hash = [statement.hash().unwrap()];
    statement.approvals = vec![phone.approve("agc_library", "phone", &hash), officer.approve("agc_library", "officer", &hash)];
    let tried = Tried::new(statement.clone(), &SigningKeys::of(&city.register)).unwrap();
    assert!(city.register.clone().apply_tried(&tried, 100).is_ok());
    let mut body = json!(city.register.agencies[&"agc_library".parse().unwrap()].body);
    body["signing_keys"][4]["webauthn"]["origins"] = json!(["https://pass.example.org:8443"]);
    let approvals = [("agc_operator", "head"), ("agc_operator", "privacy"), ("agc_library", "head")];
    city.apply(city.draft(StatementKind::Agency, "agc_library", "agc_operator", body, &approvals)).unwrap();
    let problems = city.register.apply_tried(&tried, 100).unwrap_err();
    assert!(names(&problems, "approvals[0]", "not-valid"), "{problems:?}");
}

/// A city that demands passkeys of the people of a body: key files of people approve nothing for it from that day on, those of machines do.
#[test]
fn from_its_day_on_the_city_takes_passkeys_alone() {
    let (mut city, phone, _, officer) = city();
    let operator = |city: &City, change: &dyn Fn(&mut Value)| {
        let mut body = json!(city.register.agencies[&"agc_operator".parse().unwrap()].body);
        change(&mut body);
        city.draft(
            StatementKind::Agency,
            "agc_operator",
            "agc_operator",
            body,
            &[("agc_operator", "head"), ("agc_operator", "privacy")],
        )
    };
    let now = draft(&city, "mdt_other").at;
    let demand = |body: &str, from: Time| json!([{"body": body, "from": from}]);
    let refused = |city: &City, demand: Value| {
        let statement = operator(city, &|body| body["passkeys_from"] = demand.clone());
        city.register.check(&statement).unwrap_err()
    };
    assert!(names(&refused(&city, demand("agc_parks", now)), "passkeys_from[0].body", "no-passkeys"), "nobody is locked out");
    assert!(names(&refused(&city, demand("agc_operator", now)), "passkeys_from[0].body", "no-passkeys"));
    assert!(!refused(&city, demand("agc_nobody", now)).is_empty());
    assert!(names(&refused(&city, demand("agc_library", now.plus(-DAY))), "passkeys_from[0].from", "past"));
    // Only the operator says so.
    let mut own = json!(city.register.agencies[&"agc_library".parse().unwrap()].body);
    own["passkeys_from"] = demand("agc_library", now);
    assert!(names(&Agency::read(&own).unwrap_err(), "passkeys_from", "not-the-operator"));

    let files = |city: &City, at: Time| {
        let mut statement = draft(city, "mdt_other");
        statement.at = at;
        for key in ["head", "privacy"] {
            statement.approve(&common::signer("agc_library", key)).unwrap();
        }
        city.register.check(&statement)
    };
    let from = now.plus(DAY);
    let statement = operator(&city, &|body| body["passkeys_from"] = demand("agc_library", from));
    city.apply(statement).unwrap();
    assert!(files(&city, from.plus(-1)).is_ok(), "its day has not come");
    let problems = files(&city, from).unwrap_err();
    assert!(names(&problems, "approvals[0]", "key-file") && names(&problems, "approvals", "too-few"), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.message.contains(&from.to_string())), "it says since when");
    let mut statement = draft(&city, "mdt_other");
    statement.at = from;
    let hash = [statement.hash().unwrap()];
    statement.approvals = vec![phone.approve("agc_library", "phone", &hash), officer.approve("agc_library", "officer", &hash)];
    assert!(city.register.check(&statement).is_ok());
    // The body cannot come to be without passkeys, and others go on as before.
    let mut without = json!(city.register.agencies[&"agc_library".parse().unwrap()].body);
    without["signing_keys"].as_array_mut().unwrap().truncate(4);
    let approvals = [("agc_operator", "head"), ("agc_operator", "privacy"), ("agc_library", "head")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", without, &approvals);
    assert!(names(&city.register.check(&statement).unwrap_err(), "signing_keys", "no-passkeys"));
    // What the operator demanded it can take back.
    let statement = operator(&city, &|body| drop(body.as_object_mut().unwrap().remove("passkeys_from")));
    city.apply(statement).unwrap();
    assert!(files(&city, from).is_ok());
}

/// `text` in base64url with one bit of what it means turned over.
fn turned(text: &str, at: Index, bit: u8) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
    let at = at.index(bytes.len());
    bytes[at] ^= 1 << bit;
    URL_SAFE_NO_PAD.encode(bytes)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_bit_of_an_approval_can_be_another(field in 0..3, at in any::<Index>(), bit in 0u8..8) {
        let passkey = SoftPasskey::new();
        let (key, hash) = (read(&passkey.entry("head", "head")).unwrap(), sha256(b"a statement"));
        let good = passkey.approve("agc_library", "head", &[hash]);
        prop_assert_eq!(good.check(&hash, &key), Ok(()));
        let mut forged = good;
        match field {
            0 => forged.signature = turned(&forged.signature, at, bit),
            1 => forged.client_data = forged.client_data.map(|text| turned(&text, at, bit)),
            _ => forged.authenticator_data = forged.authenticator_data.map(|text| turned(&text, at, bit)),
        }
        prop_assert!(forged.check(&hash, &key).is_err());
    }

    #[test]
    fn client_data_is_read_as_any_reader_of_json_does(text in r#"\{("[a-b_]{0,2}":("[ -~]{0,3}"|true|false|1),?){0,3}\}?"#) {
        let read = client_data_members(text.as_bytes());
        if let Some(members) = read {
            let whole: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(members.len(), whole.len());
            for (name, member) in members {
                let same = match member {
                    Member::Flag(flag) => whole[name] == json!(flag),
                    Member::Text(text) => whole[name] == json!(text),
                };
                prop_assert!(same, "{name}");
            }
        }
    }

    #[test]
    fn any_bytes_of_client_data_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = client_data_members(&bytes);
    }
}
