//! Drafts are open for comments where everybody sees them, and what a mandate says of itself stands on its page.

use super::*;
use crate::common::{LIBRARY, text};

/// Publishes the draft of a mandate, and nothing more of it.
fn draft(city: &City, id: &str, body: Value) {
    let mut statement = city.app.statement(StatementKind::Mandate, id, &LIBRARY.parse().unwrap(), body, city.app.now());
    for signer in city.signer(LIBRARY) {
        statement.approve(signer).unwrap();
    }
    city.app.publish(&usufruct_app::Publication { statements: vec![statement] }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_listed_with_the_day_until_when_people_can_comment() {
    let pages = Pages::new();
    let mut body = library_card();
    body["title"] = text("Readers' survey");
    body["starts_at"] = json!("2026-03-01T00:00:00Z");
    body["consultation"] = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-20T00:00:00Z"});
    draft(&pages.city, "mdt_survey", body);
    for (lang, open, comment) in [("en", "Open for comments", "Comments until"), ("zh-Hant", "徵詢意見中", "意見徵詢至")]
    {
        let list = pages.get("/register", lang).await.text;
        let section = between(&list, "<section aria-labelledby=\"open\"", "</section>");
        assert!(section.contains(open) && section.contains("mdt_survey") && section.contains(comment), "{lang}: {section}");
        assert!(section.contains("1999"), "where they write to: {section}");
        assert!(!section.contains(CARD));
        let page = pages.get("/register/mandates/mdt_survey", lang).await.text;
        assert!(page.contains("data-testid=\"comments\""), "{page}");
        assert_eq!(faults(&list, lang), Vec::<String>::new());
        assert_eq!(faults(&page, lang), Vec::<String>::new());
    }
    pages.city.clock.advance(20 * DAY);
    let list = pages.get("/register", "en").await.text;
    assert!(list.contains("mdt_survey") && !list.contains("Comments until"), "the time is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mandate_says_how_far_it_reaches_and_what_it_rests_on() {
    let pages = Pages::new();
    let mut body = library_card();
    body["data_range"] = json!({"back": "P30D", "from": "2026-01-01T00:00:00Z"});
    body["exception"] = json!({"code": "TW6.2", "written_reason": text("It has to be <b>so</b>.")});
    body["legal_basis"]["quote"] = text("Within what is necessary.");
    body["locations"] = json!(["TW", "JP"]);
    body["transfers"] = json!([{"country": "JP", "safeguard": text("A treaty.")}]);
    body["purpose"]["incompatible_with"] = json!(["TW-200"]);
    body["operations"] = json!(["collect", "decide", "store"]);
    body["automated_decision"] = json!("support");
    body["algorithm_url"] = json!("https://library.example/algorithm");
    pages.city.publish_mandate("mdt_whole", body);
    for lang in ["en", "zh-Hant"] {
        let page = pages.get("/register/mandates/mdt_whole", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        for said in ["TW6.2", "Within what is necessary.", "A treaty.", "TW-200", "https://library.example/algorithm"] {
            let said = if lang == "en" || !said.ends_with('.') { said } else { said.trim_end_matches('.') };
            assert!(page.contains(said), "{lang}: {said}");
        }
        assert!(page.contains("data-testid=\"range\"") && !page.contains("<b>so</b>"), "{lang}");
    }
}
