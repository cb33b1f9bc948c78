//! What a court ordered: the pages and the receipt of whoever is concerned say so, with the number of the order and why there is no choice.

use usufruct_app::ReleaseRequest;

use super::*;
use crate::common::text;

const ORDERED: &str = "mdt_estate";

fn ordered() -> Pages {
    let pages = Pages::new();
    let city = &pages.city;
    let law = json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2020-01-01",
        "bases": [{"code": "order", "basis": "legal_obligation", "is_order": true, "article": "16", "text": text("A court ordered it.")}],
        "deadlines": [{"duty": "access", "within": "P15D", "article": "10"}], "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw", OPERATOR, law);
    let mut body = library_card();
    body["title"] = text("Search for heirs");
    body["legal_basis"]["code"] = json!("legal_obligation");
    body["legal_basis"]["provision"] = json!("order");
    body["legal_basis"]["order"] = json!({"by": text("District <court>"), "reference": "115-civ-12", "at": "2025-11-20T00:00:00Z",
        "why": text("Who inherits has to be found.")});
    city.publish_mandate(ORDERED, body);
    city.open_service_with("svc_estate", common::LIBRARY, "estate", |body| body["mandates"] = json!([ORDERED]));
    let service = "svc_estate".parse().unwrap();
    let subject = city.app.subject(pages.resident, &service).unwrap();
    city.app.release(&ReleaseRequest { service, mandate: ORDERED.parse().unwrap(), ..city.request(&subject) }).unwrap();
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_shown_with_its_number_and_why_there_is_no_choice() {
    let pages = ordered();
    for (lang, no_choice, told) in [
        ("en", "because a court or an overseer ordered this use", "You were told about a use that was ordered:"),
        ("zh-Hant", "法院或監督機關所命令", "已告知您一項依命令進行的使用："),
    ] {
        let consents = pages.get("/me/consents", lang).await;
        assert_eq!((consents.status, faults(&consents.text, lang)), (StatusCode::OK, Vec::new()));
        let own = between(&consents.text, "data-testid=\"ordered\">", "</p>");
        for words in [no_choice, "115-civ-12", "Who inherits has to be found.", "District &#60;court&#62;"] {
            assert!(own.contains(words), "{lang}: {words}: {own}");
        }
        assert!(!consents.text.contains(&format!("/me/consents/{ORDERED}/withdraw")), "there is nothing to withdraw from");
        let footprint = pages.get("/me/footprint", lang).await.text;
        assert!(footprint.contains(told) && footprint.contains("115-civ-12"), "{footprint}");
        assert_eq!(faults(&footprint, lang), Vec::<String>::new());
        for path in [format!("/register/mandates/{ORDERED}"), format!("/register/mandates/{ORDERED}/notice")] {
            let page = pages.get(&path, lang).await.text;
            assert!(between(&page, "data-testid=\"order\">", "</dd>").contains("115-civ-12"), "{path}");
            assert_eq!(faults(&page, lang), Vec::<String>::new());
        }
        let law = pages.get("/register/laws/law_tw", lang).await.text;
        assert!(law.contains(if lang == "en" {
            "ordered by a court or an overseer"
        } else {
            "出於法院或監督機關的命令"
        }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_names_the_order() {
    let pages = ordered();
    let footprint = pages.get("/me/footprint", "en").await.text;
    let payload: Value = serde_json::from_str(between(&footprint, "id=\"footprint-data\">", "</script>")).unwrap();
    let lines = payload["lines"].as_array().unwrap();
    let line = lines.iter().rfind(|line| line["shown"]["kind"] == "consent" && line["shown"]["service"].is_null()).unwrap();
    let n = line["n"].as_u64().unwrap();
    assert!(footprint.contains(&format!("href=\"/me/footprint/{n}/receipt\"")), "she gets it from the line");
    let receipt: Value = serde_json::from_str(&pages.get(&format!("/me/footprint/{n}/receipt.json"), "en").await.text).unwrap();
    let purpose = &receipt["processing"][0]["purposes"][0];
    assert_eq!((&purpose["order"]["reference"], &purpose["order"]["by"]), (&json!("115-civ-12"), &json!("District <court>")));
    assert_eq!(purpose["order"]["why"], "Who inherits has to be found.");
    assert!(purpose["withdrawal_method"].is_null() && purpose["service"].is_null());
    assert_eq!(receipt["event"][0]["event_type"], "urn:usufruct:grant:ordered");
    let notice: Value =
        serde_json::from_str(&pages.get(&format!("/register/mandates/{ORDERED}/notice.json"), "en").await.text).unwrap();
    assert_eq!(receipt["processing"][0]["privacy_notice_text_hash"], notice["text_hash"]);
    assert_eq!(pages.get(&format!("/me/footprint/{n}/receipt"), "en").await.status, StatusCode::OK);
}
