//! The register for other people's machines, and receipts.

use std::collections::BTreeSet;
use std::path::Path;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;

use crate::common::{CARD, LIBRARY, SERVICE, library_card};
use crate::{Pages, between};

/// Terms that the vocabulary defines and that none of its lists beside this project hold.
const ELSEWHERE: [&str; 19] = [
    "DataController",
    "DataProcessor",
    "DataSubject",
    "LegalEntity",
    "Optional",
    "Process",
    "Recipient",
    "Required",
    "StorageDuration",
    "hasContact",
    "hasDataController",
    "hasDataProcessor",
    "hasDataSubject",
    "hasDuration",
    "hasLocation",
    "hasName",
    "hasNecessity",
    "hasRecipient",
    "hasStorageCondition",
];

async fn json(pages: &Pages, path: &str) -> Value {
    let answer = pages.get(path, "en").await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

/// All terms of the vocabulary in it.
fn terms(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| terms(item, found)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            terms(&Value::String(name.clone()), found);
            terms(value, found);
        }),
        Value::String(word) => found.extend(word.strip_prefix("dpv:").map(str::to_owned)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mandate_in_the_words_of_the_vocabulary() {
    let pages = Pages::new();
    let document = json(&pages, &format!("/register/mandates/{CARD}.jsonld")).await;
    let process = &document["@graph"][0];
    let entry = json(&pages, &format!("/register/mandates/{CARD}.json")).await;
    assert_eq!(process["dct:identifier"], format!("sha256:{}", entry["hash"].as_str().unwrap()));
    assert_eq!(process["dpv:hasLegalBasis"]["@type"], "dpv:Consent");
    assert_eq!(process["dpv:hasPersonalData"].as_array().unwrap().len(), entry["body"]["blocks"].as_array().unwrap().len());
    let ids = |value: &Value| value["@id"].as_str().unwrap().to_owned();
    let named: BTreeSet<String> = document["@graph"].as_array().unwrap()[1..].iter().map(ids).collect();
    assert!(named.contains(&ids(&process["dpv:hasDataController"])), "whoever is named is described: {named:?}");
    let all = json(&pages, "/register/mandates.jsonld").await;
    let processes = all["@graph"].as_array().unwrap().iter().filter(|node| node["@type"] == "dpv:Process").count();
    assert_eq!(processes, pages.city.app.register().mandates.len());

    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/register/dpv-2.3");
    let Ok(lists) = std::fs::read_dir(lists) else {
        eprintln!("skipped: the lists of the vocabulary are not here");
        return;
    };
    let mut known: BTreeSet<String> = ELSEWHERE.map(str::to_owned).into();
    for list in lists {
        let text = std::fs::read_to_string(list.unwrap().path()).unwrap();
        known.extend(text.lines().filter_map(|line| Some(line.split(',').next()?.trim_matches('"').to_owned())));
    }
    let mut used = BTreeSet::new();
    terms(&all, &mut used);
    terms(&receipt(&pages, "consent").await, &mut used);
    assert!(used.len() > 20, "{used:?}");
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mandate_as_rules() {
    let pages = Pages::new();
    let offer = json(&pages, &format!("/register/mandates/{CARD}.odrl.jsonld")).await;
    let body = json(&pages, &format!("/register/mandates/{CARD}.json")).await["body"].clone();
    assert_eq!(offer["@type"], "Offer");
    let permission = &offer["permission"][0];
    let ends = permission["constraint"].as_array().unwrap().iter().filter(|rule| rule["leftOperand"] == "dateTime");
    let ends: Vec<_> = ends.map(|rule| (rule["operator"].clone(), rule["rightOperand"]["@value"].clone())).collect();
    assert_eq!(ends, [("gteq".into(), body["starts_at"].clone()), ("lt".into(), body["sunset_at"].clone())]);
    let duties: Vec<_> = permission["duty"].as_array().unwrap().iter().map(|duty| duty["action"].as_str().unwrap()).collect();
    assert_eq!(duties, ["delete", "inform"]);
    assert_eq!(permission["duty"][0]["constraint"][0]["rightOperand"]["@value"], body["retention"]["duration"]);
    assert_eq!(offer["prohibition"][0]["action"], "commercialize");
    assert_eq!(pages.get("/register/mandates/mdt_none.odrl.jsonld", "en").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_hold_a_line_for_each_object() {
    let pages = Pages::new();
    let register = pages.city.app.register();
    for (name, objects) in [
        ("agencies", register.agencies.len()),
        ("agreements", register.agreements.len()),
        ("assessments", register.assessments.len()),
        ("audits", register.body_audits.len()),
        ("blocks", register.blocks.len()),
        ("cameras", register.cameras.len()),
        ("counts", register.incidents.len()),
        ("laws", register.lawpacks.len()),
        ("meetings", register.meetings.len()),
        ("tallies", register.tallies.len()),
        ("certificates", register.certificates.len()),
        ("contracts", register.contracts.len()),
        ("mandates", register.mandates.len()),
        ("rulings", register.rulings.len()),
        ("services", register.services.len()),
    ] {
        let text = pages.get(&format!("/register/{name}.csv"), "en").await.text;
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let columns = table.headers().unwrap().clone();
        assert_eq!((&columns[0], &columns[columns.len() - 1]), ("id", "leaf"), "{name}");
        let lines: Vec<csv::StringRecord> = table.records().map(|line| line.unwrap()).collect();
        assert_eq!(lines.len(), objects, "{name}");
        assert!(lines.iter().all(|line| line.len() == columns.len()), "{name}");
    }
    let page = pages.get("/register", "en").await.text;
    assert!(page.contains("href=\"/register/mandates.csv\"") && page.contains("href=\"/register/mandates.jsonld\""));
}

/// The first receipt of a line of this kind, with its signature checked against nothing yet.
async fn receipt(pages: &Pages, kind: &str) -> Value {
    json(pages, &format!("/me/footprint/{}/receipt.json", line(pages, kind).await)).await
}

/// Number of the first line of this kind at a service.
async fn line(pages: &Pages, kind: &str) -> u64 {
    let footprint = pages.get("/me/footprint", "en").await.text;
    let payload: Value = serde_json::from_str(between(&footprint, "id=\"footprint-data\">", "</script>")).unwrap();
    let lines = payload["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["shown"]["kind"] == kind && !line["shown"]["service"].is_null()).unwrap();
    line["n"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn her_word_has_a_receipt_that_the_house_signed() {
    let pages = Pages::new();
    let (resident, service) = (pages.resident, crate::common::service());
    let n = line(&pages, "consent").await;
    let given = receipt(&pages, "consent").await;
    assert_eq!(given["event"][0]["event_state"], "dpv:ConsentGiven");
    assert_eq!(given["processing"][0]["purposes"][0]["service"], SERVICE);
    let entry = json(&pages, &format!("/register/mandates/{CARD}.json")).await;
    assert_eq!(given["mandate"]["hash"], entry["hash"]);
    let notice = json(&pages, &format!("/register/mandates/{CARD}/notice.json")).await;
    assert_eq!(given["processing"][0]["privacy_notice_text_hash"], notice["text_hash"], "the same text, and the same hash of it");
    let known_as = pages.city.app.subject(resident, &service).unwrap();
    assert!(!given.to_string().contains(&known_as), "she withdrew since, so it does not say how she is known now");
    let last = {
        let footprint = pages.city.app.footprint(resident).unwrap();
        let mut consents = footprint.lines.iter().filter(|line| {
            line.event.as_ref().is_some_and(|event| event.kind == usufruct_core::event::Kind::Consent && event.service.is_some())
        });
        consents.next_back().unwrap().n
    };
    let again = json(&pages, &format!("/me/footprint/{last}/receipt.json")).await;
    assert_eq!(again["pii_principal_id"], known_as);

    let token = pages.get(&format!("/me/footprint/{n}/receipt"), "en").await.text;
    let keys = json(&pages, "/oidc/jwks").await;
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("consent-receipt+jwt"));
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *header.kid.as_ref().unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(key.clone()).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(header.alg);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    let signed = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap().claims;
    assert_eq!(signed, given);
    let forged = [&token[..token.len() - 4], "AAAA"].concat();
    assert!(jsonwebtoken::decode::<Value>(&forged, &key, &rules).is_err());

    let leaf_hash = given["log"]["leaf_hash"].as_str().unwrap();
    pages.city.app.publish_log().unwrap();
    let proof = pages.get(&format!("/me/footprint/{n}/proof"), "en").await.text;
    let extra = proof.lines().find_map(|line| line.strip_prefix("extra ")).unwrap();
    let extra = base64::engine::general_purpose::STANDARD.decode(extra).unwrap();
    let (tag, opening) = extra.split_first_chunk::<32>().unwrap();
    let (r, event) = opening.split_first_chunk::<32>().unwrap();
    let leaf = usufruct_core::event::leaf(&usufruct_core::event::commitment(r, event), tag);
    let hash = usufruct_core::hash::sha256(&[&[0][..], &leaf].concat());
    assert_eq!(leaf_hash, hash.to_string(), "the receipt names the leaf that the proof is of");
    assert!(URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_what_she_agreed_to_however_the_mandate_reads_now() {
    let pages = Pages::new();
    let before = receipt(&pages, "consent").await;
    let mut changed = library_card();
    changed["retention"]["duration"] = json!("P3D");
    changed["purpose"]["sentence"] = crate::common::text("Counts readers.");
    pages.city.publish_mandate(CARD, changed);
    let entry = json(&pages, &format!("/register/mandates/{CARD}.json")).await;
    assert_ne!(entry["hash"], before["mandate"]["hash"]);
    let after = receipt(&pages, "consent").await;
    assert_eq!(after, before, "not a word of it is another one");
    let n = line(&pages, "consent").await;
    assert_eq!(pages.get(&format!("/me/footprint/{n}/receipt"), "en").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_has_a_receipt_and_a_use_has_none() {
    let pages = Pages::new();
    let withdrawn = receipt(&pages, "withdrawal").await;
    assert_eq!(withdrawn["event"][0]["event_state"], "dpv:ConsentWithdrawn");
    let used = line(&pages, "use").await;
    assert_eq!(pages.get(&format!("/me/footprint/{used}/receipt"), "en").await.status, StatusCode::NOT_FOUND);
    assert_eq!(pages.get("/me/footprint/9999/receipt", "en").await.status, StatusCode::NOT_FOUND);
}

/// What reference governance.md 2.1 marks as mandatory of ISO/IEC TS 27560:2023.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_has_every_mandatory_field_of_the_standard() {
    let pages = Pages::new();
    for kind in ["consent", "withdrawal"] {
        let receipt = receipt(&pages, kind).await;
        let says = |value: &Value, fields: &[&str]| {
            for field in fields {
                let field = &value[*field];
                assert!(!field.is_null() && *field != json!("") && *field != json!([]), "{kind}: {fields:?} in {value}");
            }
        };
        says(&receipt, &["schema_version", "record_id", "receipt_id", "pii_principal_id", "processing", "parties", "event"]);
        let processing = &receipt["processing"][0];
        says(processing, &["privacy_notice", "privacy_notice_hash", "language", "purposes"]);
        let purpose = &processing["purposes"][0];
        let of_purpose = [
            "purpose",
            "pii_information",
            "pii_controllers",
            "storage_locations",
            "retention_period",
            "jurisdiction",
            "withdrawal_method",
        ];
        says(purpose, &of_purpose);
        assert!(purpose["recipient_third_parties"].is_array());
        for datum in purpose["pii_information"].as_array().unwrap() {
            says(datum, &["pii_type", "pii_attribute_id"]);
        }
        for party in receipt["parties"].as_array().unwrap() {
            says(party, &["party_id", "party_address", "party_name", "party_contact", "party_type"]);
        }
        let event = &receipt["event"][0];
        says(event, &["event_time", "validity_duration", "entity_id", "event_type", "event_state"]);
        // A length, and no day: it leads from the one to the other.
        let length = usufruct_core::time::parse_duration(event["validity_duration"].as_str().unwrap()).unwrap();
        let [at, until] =
            ["event_time", "valid_until"].map(|field| event[field].as_str().unwrap().parse::<usufruct_core::Time>().unwrap());
        assert_eq!(length / usufruct_core::time::SECOND, (until.micros() - at.micros()) / usufruct_core::time::SECOND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notice_of_a_receipt_is_the_one_that_she_was_shown() {
    let pages = Pages::new();
    let processing = receipt(&pages, "consent").await["processing"][0].clone();
    let mut changed = library_card();
    changed["retention"]["duration"] = json!("P3D");
    pages.city.publish_mandate(CARD, changed);
    let address = processing["privacy_notice"].as_str().unwrap();
    let path = &address[address.find("/register/").unwrap()..];
    let notice = json(&pages, &format!("{path}.json")).await;
    assert_eq!(notice["life"]["state"], "superseded");
    let statement = json(&pages, &format!("/register/statements/{}.json", notice["notice_leaf"])).await;
    assert_eq!(statement["type"], "Notice");
    let mut signed = statement.clone();
    signed.as_object_mut().unwrap().remove("approvals");
    let hash = usufruct_core::hash::sha256(&usufruct_core::jcs::encode(&signed).unwrap());
    assert_eq!(processing["privacy_notice_hash"], json!(hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_she_agreed_to_is_an_agreement_in_odrl() {
    let pages = Pages::new();
    let (given, n) = (receipt(&pages, "consent").await, line(&pages, "consent").await);
    let agreement = json(&pages, &format!("/me/footprint/{n}/agreement.jsonld")).await;
    assert_eq!((&agreement["@type"], &agreement["permission"][0]["action"]), (&json!("Agreement"), &json!("use")));
    assert_eq!(agreement["uid"], json!(format!("{}#agreement", given["receipt_id"].as_str().unwrap())));
    let assignee = agreement["assignee"]["@id"].as_str().unwrap();
    assert!(assignee.ends_with(given["event"][0]["entity_id"].as_str().unwrap()), "{assignee}");
    assert_eq!(agreement["assigner"], agreement["permission"][0]["assigner"]);
    assert_eq!(agreement["dpv:hasNotice"]["dct:identifier"], given["processing"][0]["privacy_notice_hash"]);
    let blocks = |permissions: &Value| {
        let ids = permissions
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["target"]["uid"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let lent = given["processing"][0]["purposes"][0]["pii_information"].as_array().unwrap();
    assert_eq!(
        blocks(&agreement["permission"]),
        lent.iter().map(|datum| datum["pii_attribute_id"].as_str().unwrap()).collect::<Vec<_>>()
    );
    let permission = &agreement["permission"][0];
    let limit = |left: &str, operator: &str| {
        let limits = permission["constraint"].as_array().unwrap().iter();
        let found: Vec<_> = limits.filter(|limit| limit["leftOperand"] == left && limit["operator"] == operator).collect();
        assert_eq!(found.len(), 1, "{left} {operator}");
        found[0]["rightOperand"].clone()
    };
    assert_eq!(limit("dateTime", "lt")["@value"], given["event"][0]["valid_until"]);
    assert_eq!(limit("purpose", "eq")["@id"], given["processing"][0]["purposes"][0]["purpose_type"]);
    assert_eq!(permission["duty"][0]["action"], "delete");
    assert_eq!(agreement["prohibition"][0]["action"], "commercialize");

    // The one that stands names her as the service knows her; the one from before she withdrew does not.
    let known_as = pages.city.app.subject(pages.resident, &crate::common::service()).unwrap();
    assert!(!agreement.to_string().contains(&known_as));
    let footprint = pages.city.app.footprint(pages.resident).unwrap();
    let is_consent =
        |event: &usufruct_core::event::Event| event.kind == usufruct_core::event::Kind::Consent && event.service.is_some();
    let last = footprint.lines.iter().rev().find(|line| line.event.as_ref().is_some_and(is_consent)).unwrap().n;
    let stands = json(&pages, &format!("/me/footprint/{last}/agreement.jsonld")).await;
    assert!(stands["assigner"]["uid"].as_str().unwrap().ends_with(&known_as));
    // Nothing is agreed where she withdrew, and a use is none; nobody else gets it.
    for kind in ["withdrawal", "use"] {
        let n = line(&pages, kind).await;
        assert_eq!(pages.get(&format!("/me/footprint/{n}/agreement.jsonld"), "en").await.status, StatusCode::NOT_FOUND);
    }
}

/// What the receipt and the agreement of a line say of how she is known.
async fn known_as(pages: &Pages, n: u64) -> [String; 2] {
    let receipt = json(pages, &format!("/me/footprint/{n}/receipt.json")).await;
    let agreement = json(pages, &format!("/me/footprint/{n}/agreement.jsonld")).await;
    [receipt["pii_principal_id"].as_str().unwrap().to_owned(), agreement["assigner"]["uid"].as_str().unwrap().to_owned()]
}

/// Pages with a second service under the card, in a domain of its own, where she agreed on the line that is answered.
fn agreed_at_second(mandate: &str) -> (Pages, ServiceId, u64) {
    let pages = Pages::new();
    pages.city.open_service_with("svc_second", LIBRARY, "second", |_| ());
    let second: ServiceId = "svc_second".parse().unwrap();
    pages.city.app.consent_at_counter(pages.resident, &second, &mandate.parse().unwrap(), &[]).unwrap();
    let n = pages.city.app.footprint(pages.resident).unwrap().lines.last().unwrap().n;
    (pages, second, n)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_receipt_does_not_tell_the_pseudonym_after_a_withdrawal_that_names_another_service() {
    // What is withdrawn is a mandate of both services, and that of the line or another one.
    for withdrawn in ["mdt_short", CARD] {
        let (pages, second, n) = agreed_at_second("mdt_short");
        let app = &pages.city.app;
        let before = app.subject(pages.resident, &second).unwrap();
        assert!(known_as(&pages, n).await.iter().all(|known| known.ends_with(&before)));
        app.withdraw(pages.resident, &withdrawn.parse().unwrap()).unwrap();
        let after = app.subject(pages.resident, &second).unwrap();
        assert_ne!(before, after);
        let known = known_as(&pages, n).await;
        assert!(known.iter().all(|known| !known.ends_with(&after) && !known.ends_with(&before)), "{withdrawn}: {known:?}");
        // Nor where the service is not under the mandate any more.
        let mut body = serde_json::json!(app.register().services[&second].body);
        body["mandates"] = json!([if withdrawn == CARD { "mdt_short" } else { CARD }]);
        pages.city.publish(StatementKind::Service, "svc_second", LIBRARY, body);
        assert!(known_as(&pages, n).await.iter().all(|known| !known.ends_with(&after)), "{withdrawn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_receipt_does_not_tell_the_pseudonym_after_a_rotation() {
    let (pages, second, n) = agreed_at_second("mdt_short");
    let app = &pages.city.app;
    pages.city.clock.advance(usufruct_core::time::SECOND);
    app.rotate_service(&second, None, &usufruct_core::Text::new("A leak.", "外洩。")).unwrap();
    let after = app.subject(pages.resident, &second).unwrap();
    assert!(known_as(&pages, n).await.iter().all(|known| !known.ends_with(&after)));
    // Elsewhere nobody has another pseudonym, so receipts go on saying it.
    let here = app.subject(pages.resident, &crate::common::service()).unwrap();
    assert!(known_as(&pages, n - 2).await.iter().all(|known| known.ends_with(&here)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_stays_where_its_service_is_suspended_or_closed() {
    let (pages, second, n) = agreed_at_second("mdt_short");
    let before = pages.city.app.subject(pages.resident, &second).unwrap();
    for state in [State::Suspended, State::Closed] {
        pages.city.step_service("svc_second", LIBRARY, state);
        let known = known_as(&pages, n).await;
        assert!(known.iter().all(|known| !known.ends_with(&before)), "{state:?}: {known:?}");
    }
}
