//! Notices in their layers, and impact assessments: one document for the page, the consent and the machine.

use axum::http::StatusCode;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;

use crate::common::{CARD, LIBRARY, VENDOR, library_card, mandate, text};
use crate::{Pages, between, common, faults};

fn path(rest: &str) -> String {
    format!("/register/mandates/{CARD}{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_says_the_same_to_people_and_machines() {
    let pages = Pages::new();
    let city = &pages.city;
    city.publish_agency(VENDOR, "vendor");
    let contract = json!({"controller": LIBRARY, "vendor": VENDOR, "mandates": [CARD], "scope": text("Prints <b>cards</b>."),
        "from": "2025-12-01", "until": "2027-06-01", "capability_evidence": [{"kind": "ISO 27001", "issuer": "An auditor", "expires": "2027-01-01",
            "sha256": "00".repeat(32)}],
        "measures": [text("Encryption.")], "data_locations": ["TW"], "cloud_provider": "none", "breach_first_ping_hours": 1, "breach_report_hours": 24,
        "check_every": "P90D", "next_check_due": "2026-06-01", "penalty": text("One million."),
        "penalties": [{"trigger": text("A day late"), "amount": "TWD 1,000"}], "no_own_purpose": true, "delete_within_days": 30,
        "subprocessors": [{"agency": "agc_oversight", "location": "JP", "approved_by": LIBRARY}]});
    city.publish(StatementKind::Contract, "ctr_printer", LIBRARY, contract);
    city.clock.advance(1_000_000);
    let mut body = library_card();
    let vendor = json!({"agency": VENDOR, "contract": "ctr_printer", "why": text("Prints the cards.")});
    body["recipients"].as_array_mut().unwrap().push(vendor);
    city.publish_mandate(CARD, body);

    let said: Value = serde_json::from_str(&pages.get(&path("/notice.json"), "en").await.text).unwrap();
    let entry = &city.app.register().mandates[&mandate()];
    assert_eq!(said["mandate_hash"], json!(entry.hash));
    assert_eq!(said["icons"], json!(["value", "vendor", "abroad"]));
    assert_eq!(said["full"]["processors"][0]["behind"][0]["place"], "JP");
    assert_eq!(
        said["amendment"],
        json!({"changes": ["processor"], "asks_again": true, "holds_since": 2, "open_since": entry.since.to_string()})
    );
    for (lang, words) in [
        (
            "en",
            [
                "The data itself leaves",
                "A company works on it",
                "Used or kept abroad",
                "Prints the cards.",
                "A company that works on it",
            ],
        ),
        ("zh-Hant", ["資料本身會提供出去", "有廠商受託處理", "在境外使用或保存", "Prints the cards.（中文）", "受託處理的廠商"]),
    ] {
        let page = pages.get(&path("/notice"), lang).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(faults(&page.text, lang), Vec::<String>::new());
        for word in words {
            assert!(page.text.contains(word), "{lang}: {word}");
        }
        assert!(page.text.contains(&entry.hash.to_string()) && !page.text.contains("<b>cards"));
        let mandate = pages.get(&path(""), lang).await.text;
        assert!(mandate.contains(words[0]) && mandate.contains(&path("/notice")), "the page of the mandate shows its layers");
    }
    // She agreed before the vendor came, and no pack lets that pass here.
    let consents = pages.get("/me/consents", "en").await.text;
    assert!(consents.contains("Nothing is used under it until you agree again."), "{consents}");
    for nowhere in
        ["/register/mandates/mdt_nothing/notice", "/register/mandates/x/notice.json", "/register/mandates/mdt_nothing/assessment"]
    {
        assert_eq!(pages.get(nowhere, "en").await.status, StatusCode::NOT_FOUND, "{nowhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_is_read_from_the_page_of_its_mandate() {
    let pages = Pages::new();
    let city = &pages.city;
    assert_eq!(pages.get(&path("/assessment"), "en").await.status, StatusCode::NOT_FOUND);
    assert!(!pages.get(&path(""), "en").await.text.contains(&path("/assessment")));
    let level = |likelihood: i64| json!({"likelihood": likelihood, "severity": 4});
    let risk = |kind: &str| json!({"kind": kind, "what": text("It <i>could</i>."), "before": level(3), "after": level(1)});
    let kinds = ["chilling", "discrimination", "error", "exclusion", "function_creep"];
    let hash = city.app.register().mandates[&mandate()].hash;
    let body = json!({"mandate": CARD, "mandate_hash": hash, "summary": text("Cards for readers."), "description": text("A name is printed."),
        "necessity": text("Books come back."), "alternatives": [{"what": text("A deposit."), "rejected_because": text("The poor could not borrow.")}],
        "people": text("Readers."), "risks": kinds.map(risk),
        "measures": [{"what": text("Names go."), "owner": "The office of readers", "due": "2026-06-01"}],
        "anonymity": [{"what": text("Counts."), "evidence": [{"title": text("Report"), "sha256": sha256(b"report")}]}],
        "residents": text("Forty wrote."), "advice": text("Keep it short."), "dissent": text("One would keep nothing."),
        "residual": text("A leak."), "decision": "continue", "review_due": "2027-01-01", "review_trigger": text("A breach.")});
    city.publish(StatementKind::Assessment, "dpi_card", LIBRARY, body);
    for (lang, words) in
        [("en", ["The mandate may begin", "likelihood 3, severity 4"]), ("zh-Hant", ["授權令得啟用", "可能性 3，嚴重性 4"])]
    {
        let page = pages.get(&path("/assessment"), lang).await;
        assert_eq!((page.status, faults(&page.text, lang)), (StatusCode::OK, Vec::new()));
        assert!(
            words.iter().all(|word| page.text.contains(word)) && page.text.contains("One would keep nothing."),
            "{}",
            page.text
        );
        assert!(!page.text.contains("<i>could"));
        assert!(pages.get(&path(""), lang).await.text.contains(&path("/assessment")));
    }
    let said: Value = serde_json::from_str(&pages.get(&path("/assessment.json"), "en").await.text).unwrap();
    assert_eq!(said["body"]["mandate_hash"], json!(hash));
    let all: Value = serde_json::from_str(&pages.get("/register/assessments.json", "en").await.text).unwrap();
    assert_eq!(all["dpi_card"]["hash"], said["hash"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_notice_keeps_its_address_and_says_what_stands_in_its_place() {
    let pages = Pages::new();
    let city = &pages.city;
    let get = async |rest: &str| -> Value { serde_json::from_str(&pages.get(&path(rest), "en").await.text).unwrap() };
    let before = get("/notice.json").await;
    assert_eq!((&before["life"]["state"], &before["notices"].as_array().unwrap().len()), (&json!("published"), &1));
    city.clock.advance(1_000_000);
    let mut body = library_card();
    body["subjects"] = text("Readers of <every> age.");
    city.publish_mandate(CARD, body);
    let (old, new) = (get("/notices/1.json").await, get("/notice.json").await);
    assert_eq!(old["text_hash"], before["text_hash"], "not a word of it is another one");
    assert_eq!(old["mandate_hash"], before["mandate_hash"]);
    assert_eq!((&old["life"]["state"], &old["life"]["superseded_by"]), (&json!("superseded"), &json!(2)));
    assert_eq!((&new["life"]["state"], &new["revision"], &new["before"]), (&json!("published"), &json!(2), &json!(1)));
    assert_ne!(new["text_hash"], old["text_hash"]);
    let differences = new["differences"].as_array().unwrap();
    assert_eq!((differences.len(), &differences[0]["place"]), (1, &json!("subjects")));
    for (lang, words) in [("en", ["Replaced", "Published", "LIX"]), ("zh-Hant", ["已被取代", "已公開", "LIX"])] {
        let page = pages.get(&path("/notices/1"), lang).await;
        assert_eq!((page.status, faults(&page.text, lang)), (StatusCode::OK, Vec::new()));
        assert!(page.text.contains(words[0]) && page.text.contains(words[2]));
        let link = between(&page.text, "<a href=\"", "data-testid=\"superseded-by\"");
        assert!(link.ends_with(&format!("{}\" ", path("/notices/2"))), "{link}");
        assert!(page.text.contains(old["text_hash"].as_str().unwrap()));
        let page = pages.get(&path("/notice"), lang).await;
        assert_eq!((page.status, faults(&page.text, lang)), (StatusCode::OK, Vec::new()));
        assert!(page.text.contains(words[1]) && page.text.contains(&format!("href=\"{}\"", path("/notices/1"))));
        let changes = between(&page.text, "id=\"differences\"", "</section>");
        assert!(changes.contains("<code>subjects</code>") && changes.contains("Readers of &#60;every&#62; age."), "{changes}");
        let mandate = pages.get(&path(""), lang).await.text;
        let hash = new["text_hash"].as_str().unwrap();
        assert!(page.text.contains(hash) && mandate.contains(hash), "the same hash on both");
        assert!(mandate.contains(&format!("href=\"{}\"", path("/notices/1"))));
    }
    for nowhere in ["/notices/0", "/notices/3", "/notices/x", "/notices/3.json"] {
        assert_eq!(pages.get(&path(nowhere), "en").await.status, StatusCode::NOT_FOUND, "{nowhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_revision_has_no_notice_the_last_one_is_shown() {
    let pages = Pages::new();
    let city = &pages.city;
    let mut body = library_card();
    body["subjects"] = text("Readers of every age.");
    city.publish(StatementKind::Mandate, CARD, LIBRARY, body);
    let page = pages.get(&path("/notice"), "en").await;
    assert_eq!((page.status, faults(&page.text, "en")), (StatusCode::OK, Vec::new()));
    assert!(between(&page.text, "data-testid=\"notice-state\">", "</strong>").contains("Published"));
    let mandate = pages.get(&path(""), "en").await.text;
    assert!(mandate.contains(&format!("href=\"{}\" data-testid=\"notice\"", path("/notices/1"))), "{mandate}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_people_approved_stands_among_what_is_coming() {
    let pages = Pages::new();
    let city = &pages.city;
    let id = "mdt_approved".parse().unwrap();
    let mut body = library_card();
    body["title"] = text("Card of the archive");
    let publication = city.app.mandate_publication(&id, body, &common::notice(), &city.signer(LIBRARY), city.app.now()).unwrap();
    let all = publication.statements;
    let last = all.iter().position(|statement| statement.body["to"] == "approved").unwrap();
    let statements = all[..=last].to_vec();
    city.app.publish(&usufruct_app::Publication { statements }).unwrap();
    assert_eq!(city.app.register().mandates[&id].state.code(), "approved");
    for (lang, words) in [("en", "Approved by two people of two offices on"), ("zh-Hant", "經兩個單位的兩人核可")] {
        let page = pages.get("/register", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        let coming = between(&page, "<h2 id=\"coming\">", "</section>");
        assert!(coming.contains("Card of the archive") && coming.contains(words), "{coming}");
        assert!(coming.contains("href=\"/register/history/mdt_approved\""), "who approved it is a step away");
        let own = pages.get("/register/mandates/mdt_approved", lang).await.text;
        assert!(own.contains(words) && faults(&own, lang).is_empty());
    }
}
