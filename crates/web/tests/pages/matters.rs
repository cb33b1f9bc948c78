//! What a line is about that concerns somebody else: on no page, in no file that she takes home and in no answer before its day, in both
//! languages; and on all of them from that day on.

use usufruct_app::ReleaseRequest;

use super::*;
use crate::common::text;

const NOTARY: &str = "mdt_notary";
const WORDS: [(&str, &str, &str); 2] = [
    ("en", "A notary drew up a deed.", "The matter concerns somebody else; it is shown from"),
    ("zh-Hant", "A notary drew up a deed.", "事涉他人，自"),
];
/// Where her lines are told in words.
const TELL: [&str; 4] = ["/me", "/me/footprint", "/me/cases/new", "/me/cases"];

/// A city whose notary asked about her in a matter of somebody else, and once more in vain; the numbers of the two lines.
fn asked() -> (Pages, [u64; 2]) {
    let pages = Pages::new();
    let city = &pages.city;
    let mut body = library_card();
    body["title"] = text("Enquiries of notaries");
    body["third_party"] = json!({"max_days": 20});
    body["reasons"] =
        json!([{"code": "deed", "text": text("A notary drew up a deed.")}, {"code": "sale", "text": text("A sale.")}]);
    city.publish_mandate(NOTARY, body);
    city.open_service_with("svc_notary", common::LIBRARY, "notary", |body| body["mandates"] = json!([NOTARY]));
    let (service, mandate) = ("svc_notary".parse().unwrap(), NOTARY.parse().unwrap());
    city.app.consent_at_counter(pages.resident, &service, &mandate, &[]).unwrap();
    let subject = city.app.subject(pages.resident, &service).unwrap();
    let request = ReleaseRequest { service, mandate, reason: "deed".into(), third_party: true, ..city.request(&subject) };
    city.app.release(&request).unwrap();
    let used = city.app.footprint(pages.resident).unwrap().lines.len() as u64 - 1;
    let mut in_vain = request;
    in_vain.blocks[0].0 = block("district");
    assert!(city.app.release(&in_vain).is_err(), "she did not agree to this block");
    (pages, [used, used + 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_somebody_else_is_on_no_page_before_its_day() {
    let (pages, lines) = asked();
    let day = pages.city.app.now().plus(20 * DAY);
    for (lang, reason, closed) in WORDS {
        let forms = lines.map(|line| format!("/me/footprint/{line}/case"));
        for path in TELL.into_iter().chain(forms.iter().map(String::as_str)).chain(["/me/consents", "/me/data"]) {
            let page = pages.get(path, lang).await;
            assert!(page.status.is_success(), "{path}");
            assert!(!page.text.contains(reason) && !page.text.contains("deed"), "{path} tells it in {lang}");
            assert!(faults(&page.text, lang).is_empty(), "{path}: {}", faults(&page.text, lang).join("\n"));
        }
        let page = pages.get("/me/footprint", lang).await.text;
        for line in lines {
            let row = between(&page, &format!("id=\"line-{line}\""), "</tr>");
            assert!(row.contains(closed), "{row}");
            assert!(row.contains(&format!("/register/mandates/{NOTARY}")), "under which mandate stands there: {row}");
        }
        assert!(pages.get(&forms[0], lang).await.text.contains(closed), "she objects to what she sees");
        let shown = pages.get(&format!("/register/mandates/{NOTARY}"), lang).await.text;
        assert!(between(&shown, "data-testid=\"closed\">", "</dd>").contains("20"), "{shown}");
        let notice = pages.get(&format!("/register/mandates/{NOTARY}/notice"), lang).await.text;
        assert!(between(&notice, "data-testid=\"closed-days\">", "</dd>").contains("20"), "{notice}");
    }
    assert!(pages.get("/me/footprint", "en").await.text.contains(&day.day()[..4]));
    let saved = pages.get("/me/footprint.json", "en").await.text;
    let saved: Value = serde_json::from_str(&saved).unwrap();
    let sealed: Value = serde_json::from_str(&pages.get("/me/footprint/sealed", "en").await.text).unwrap();
    for line in lines {
        assert!(saved["lines"][line as usize]["matter"].is_null() && sealed["lines"][line as usize]["matter"].is_null());
    }
    // What she files about it says nothing of it either.
    let filed = pages.post(&format!("/me/footprint/{}/case", lines[0]), &[("kind", "question"), ("words", "Why me?")]).await;
    assert!(filed.status.is_redirection(), "{}", filed.text);
    for path in ["/me/cases", "/me/footprint"] {
        assert!(!pages.get(path, "en").await.text.contains("deed"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_its_day_it_is_told_by_the_clock_alone() {
    let (mut pages, lines) = asked();
    pages.city.clock.advance(20 * DAY);
    pages.cookie = format!("usufruct={}", pages.city.app.open_session(pages.resident, "later").unwrap());
    for (lang, reason, closed) in WORDS {
        let page = pages.get("/me/footprint", lang).await.text;
        for line in lines {
            let row = between(&page, &format!("id=\"line-{line}\""), "</tr>");
            assert!(row.contains(reason) && !row.contains(closed), "{row}");
        }
        assert!(faults(&page, lang).is_empty(), "{}", faults(&page, lang).join("\n"));
    }
    let saved: Value = serde_json::from_str(&pages.get("/me/footprint.json", "en").await.text).unwrap();
    let sealed: Value = serde_json::from_str(&pages.get("/me/footprint/sealed", "en").await.text).unwrap();
    for line in lines {
        assert!(saved["lines"][line as usize]["matter"].is_string() && sealed["lines"][line as usize]["matter"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_were_closed_everybody_reads_by_month() {
    let (pages, _) = asked();
    let address = format!("/register/mandates/{NOTARY}");
    let counts = async || pages.get(&format!("{address}/closed-matters.json"), "en").await.text;
    assert_eq!(counts().await, "[]", "the month is not over");
    pages.city.clock.advance(40 * DAY);
    let told: Value = serde_json::from_str(&counts().await).unwrap();
    assert_eq!(told, json!([{"month": "2026-01", "lines": "1-9"}]));
    for lang in ["en", "zh-Hant"] {
        let page = pages.get(&format!("{address}/tallies"), lang).await.text;
        let section = page.split("id=\"closed\"").nth(1).unwrap();
        assert!(section.contains("2026-01") && section.contains("1-9"), "{section}");
        assert!(faults(&page, lang).is_empty(), "{}", faults(&page, lang).join("\n"));
        let other = pages.get(&format!("/register/mandates/{CARD}/tallies"), lang).await.text;
        assert!(!other.contains("id=\"closed\""), "a mandate that closes nothing has no such part");
    }
    assert_eq!(pages.get("/register/mandates/mdt_nowhere/closed-matters.json", "en").await.status, StatusCode::NOT_FOUND);
}
