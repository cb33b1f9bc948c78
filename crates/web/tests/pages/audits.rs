//! Audits of bodies on the register's pages: what was found, what is late, and every form of it.

use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;

use super::*;
use crate::common::{LIBRARY, WATCH, text};

fn audit(pages: &Pages) -> Value {
    let now = pages.city.app.now();
    json!({"auditor": WATCH, "audited": LIBRARY, "scope": text("Who sees loans."), "standard": "ISO/IEC 27001:2022",
        "done_at": "2026-01-01", "next_due": now.plus(90 * DAY).to_string(),
        "findings": [
            {"id": "open-door", "severity": "high", "text": text("A door stood open."), "due": now.plus(10 * DAY).to_string(),
                "status": "open", "answer": text("It has a lock now.")},
            {"id": "old-list", "severity": "low", "text": text("A list lay about."), "due": now.plus(40 * DAY).to_string(), "status": "open"}],
        "report": {"title": text("Report"), "sha256": sha256(b"report"), "url": "https://commission.example/report"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_says_what_was_found_and_the_late_list_what_was_not_mended() {
    let pages = Pages::new();
    let body = audit(&pages);
    let two = pages.city.watchers();
    pages.city.publish_watch();
    let say = |body: &Value| {
        pages.city.watch(StatementKind::BodyAudit, "bau_library", body.clone(), &two).unwrap();
    };
    say(&body);
    let path = "/register/audits/bau_library";
    for lang in ["en", "zh-Hant"] {
        for path in ["/register/audits", path, "/register/late", "/register/history/bau_library", "/register/ending"] {
            let html = pages.get(path, lang).await.text;
            assert_eq!(faults(&html, lang), Vec::<String>::new(), "{path}");
        }
    }
    let page = pages.get(path, "en").await.text;
    for said in ["A door stood open.", "High", "A list lay about.", "https://commission.example/report", "ISO/IEC 27001:2022"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("tag-overdue"), "nothing is late yet");
    let entry: Value = serde_json::from_str(&pages.get(&format!("{path}.json"), "en").await.text).unwrap();
    assert!(page.contains(entry["hash"].as_str().unwrap()));

    pages.city.clock.advance(11 * DAY);
    let late = pages.get("/register/late", "en").await.text;
    assert!(
        late.contains(&format!("href=\"{path}\"")) && late.contains("Has not mended what a check or an audit found"),
        "{late}"
    );
    let finding = between(&pages.get(path, "en").await.text, "data-status=\"open\"", "</li>").to_owned();
    assert!(finding.contains("A door stood open.") && finding.contains("tag-overdue"), "the heaviest first: {finding}");
    let mut mended = body;
    mended["findings"][0]["status"] = json!("mended");
    say(&mended);
    assert!(!pages.get("/register/late", "en").await.text.contains(path));
    let page = pages.get(path, "en").await.text;
    assert!(between(&page, "data-status=\"mended\"", "</li>").contains("It has a lock now."), "{page}");
    let table = pages.get("/register/audits.csv", "en").await.text;
    let line = table.lines().nth(1).unwrap();
    assert!(line.starts_with("bau_library,2,published,") && line.contains(",2,1,https://commission.example/report,"), "{table}");
    let linked = pages.get("/register/audits.jsonld", "en").await.text;
    assert!(linked.contains(path) && linked.contains("schema:DigitalDocument"), "{linked}");

    pages.city.clock.advance(100 * DAY);
    let list = pages.get("/register/audits", "en").await.text;
    assert!(between(&list, "id=\"bau_library\"", "</li>").contains("tag-overdue"), "the next audit is overdue");
    assert!(pages.get("/register/late", "en").await.text.contains("Has not audited again"));
    assert_eq!(pages.get("/register/audits/bau_nothing", "en").await.status, StatusCode::NOT_FOUND);
}
