//! Breaches on the pages: clocks that run by themselves, whom it concerns in public, and what a resident is told in her own pass.

use usufruct_app::Publication;
use usufruct_core::breach::Breach;
use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::HOUR;

use super::*;
use crate::common::{LIBRARY, text};

const BREACH: &str = "brc_lost-laptop";

fn say(pages: &Pages, body: &Value) {
    let city = &pages.city;
    let register = city.app.register();
    let old = register.breaches.get(&BREACH.parse().unwrap()).map(|entry| &entry.body);
    let breach = register.with_clocks(Breach::read(body).unwrap(), old, pages.city.app.now());
    let by = LIBRARY.parse().unwrap();
    let mut statement = city.app.statement(StatementKind::Breach, BREACH, &by, json!(breach), city.app.now());
    for signer in city.signer(LIBRARY) {
        statement.approve(signer).unwrap();
    }
    city.app.publish(&Publication { statements: vec![statement] }).unwrap();
}

fn present(pages: &Pages) -> Value {
    json!(pages.city.app.register().breaches[&BREACH.parse().unwrap()].body)
}

/// The city of the other tests with a lost laptop, of which nobody has been told.
fn lost() -> Pages {
    let pages = Pages::new();
    let now = pages.city.app.now();
    say(
        &pages,
        &json!({"body": LIBRARY, "cause": "loss", "state": "detected", "kinds": ["confidentiality"], "threat_actor": "nobody", "reporter": "staff", "title": text("Lost <b>laptop"), "facts": text("Left in a <b>train."),
        "first_signal_at": now.plus(-HOUR), "aware_at": now, "from": "2026-01-01", "mandates": [CARD]}),
    );
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breach_in_both_languages_from_its_opening_to_its_end() {
    let pages = lost();
    let public = format!("/register/breaches/{BREACH}");
    let own = format!("/me/breaches/{BREACH}");
    assert_eq!(pages.get(&own, "en").await.status, StatusCode::NOT_FOUND, "she was not told");
    assert!(pages.get(&public, "en").await.text.contains("They are not told yet."));
    let mut body = present(&pages);
    body["advice"] = text("Watch your <b>mail.");
    body["unreadable"] = text("It is sealed.");
    body["measures"] = text("We asked the <b>railway.");
    body["consequences"] = text("Somebody may <b>call.");
    (body["severity"], body["persons_estimate"], body["records_estimate"]) = (json!(2), json!(14), json!(30));
    body["notices"] = json!([{"audience": "press", "channel": "web", "count": 1, "at": pages.city.app.now(),
        "text": {"title": text("To the <b>papers"), "sha256": sha256(b"papers").to_string()}}]);
    say(&pages, &body);
    assert!(pages.get(&public, "en").await.text.contains("They are being told."));
    pages.city.app.run_breaches().unwrap();

    let mut body = present(&pages);
    for clock in body["clocks"].as_array_mut().unwrap() {
        let proof = json!({"title": text("Letter"), "sha256": sha256(b"letter").to_string()});
        clock["answer"] = json!({"at": pages.city.app.now(), "proof": proof, "reason": text("It took <b>long.")});
    }
    body["clocks"][0]["answer"]["proof"] = Value::Null;
    say(&pages, &body);
    let mut wrong = Vec::new();
    for path in ["/register/breaches", &public, "/me", "/me/breaches", &own, "/me/footprint", "/register/late"] {
        for lang in ["en", "zh-Hant"] {
            let answer = pages.get(path, lang).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            for raw in ["<b>laptop", "<b>train", "<b>mail", "<b>long", "<b>railway", "<b>call", "<b>papers"] {
                assert!(!answer.text.contains(raw), "{path}: {raw}");
            }
            wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("{path} {lang}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let page = pages.get(&public, "en").await.text;
    assert_eq!(between(&page, "data-testid=\"residents\">", "<"), "1-9", "small counts stay small");
    assert!(page.contains("Not done, with a reason") && page.contains("Done in time"));
    assert!(page.contains("data-state=\"detected\">Detected") && page.contains("Level 2") && page.contains("The press"));
    assert!(page.contains("Somebody saw it who may not") && page.contains("The machine looks at it once"));
    assert!(page.contains(&sha256(b"letter").to_string()));
    let page = pages.get(&own, "en").await.text;
    assert!(page.contains("Watch your &#60;b&#62;mail.") && page.contains("<li>name</li>"), "{page}");
    assert!(pages.get("/me", "en").await.text.contains(&format!("href=\"{own}\"")));
    assert!(pages.get("/me/footprint", "en").await.text.contains(&format!("href=\"{own}\"")));
    let csv = pages.get("/register/breaches.csv", "en").await.text;
    assert_eq!(csv.lines().count(), 6, "{csv}");
    assert!(
        csv.contains("brc_lost-laptop,agc_library,detected,2,false,loss,\"generic\",report_breach,\"house 8\",agc_library,"),
        "{csv}"
    );
    for path in ["/register/breaches/brc_nowhere", "/me/breaches/brc_nowhere"] {
        assert_eq!(pages.get(path, "en").await.status, StatusCode::NOT_FOUND, "{path}");
    }

    let mut body = present(&pages);
    body["state"] = json!("halted");
    say(&pages, &body);
    (body["state"], body["until"], body["told"]) = (json!("contained"), json!(pages.city.app.now()), Value::Null);
    pages.city.clock.advance(1);
    say(&pages, &body);
    pages.city.app.tick().unwrap();
    pages.city.app.run_breaches().unwrap();
    let page = pages.get(&public, "en").await;
    assert!(page.text.contains("Nothing is missing, nothing was changed"), "{}", page.text);
    assert!(faults(&page.text, "en").is_empty());
    let mut body = present(&pages);
    body["state"] = json!("mitigated");
    say(&pages, &body);
    body["state"] = json!("closed");
    body["closed_at"] = json!(pages.city.app.now());
    body["lessons"] = text("Disks are sealed.");
    say(&pages, &body);
    let page = pages.get(&public, "en").await.text;
    assert!(page.contains("Disks are sealed.") && page.contains("Records are kept until at least"));
    let home = pages.get("/me", "en").await.text;
    assert!(!home.contains("data-testid=\"own-breach\""), "what is closed is on its own page only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_has_run_out_is_public_at_once() {
    let pages = lost();
    let late = async |pages: &Pages| pages.get("/register/late", "en").await.text.contains("Report the incident");
    assert!(!late(&pages).await);
    pages.city.clock.advance(4 * HOUR);
    assert!(late(&pages).await, "nobody wrote it");
    let list = pages.get("/register/breaches", "en").await.text;
    assert!(list.contains("One clock has run out"), "{list}");
    let page = pages.get(&format!("/register/breaches/{BREACH}"), "en").await.text;
    assert_eq!(page.matches("data-standing=\"late\"").count(), 1);
    assert_eq!(page.matches("data-standing=\"running\"").count(), 4);
    let json: Value = serde_json::from_str(&pages.get("/register/late.json", "en").await.text).unwrap();
    assert!(json.as_array().unwrap().iter().any(|late| late["duty"] == "report_incident" && late["object"] == BREACH), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspicion_is_public_and_has_no_clocks() {
    let pages = Pages::new();
    let now = pages.city.app.now();
    say(
        &pages,
        &json!({"body": LIBRARY, "state": "suspected", "cause": "attack", "kinds": ["integrity"], "threat_actor": "unknown",
            "reporter": "outside", "title": text("A strange letter"), "facts": text("Somebody says that she has a list."),
            "first_signal_at": now.plus(-HOUR), "from": "2026-01-01", "mandates": [CARD]}),
    );
    for lang in ["en", "zh-Hant"] {
        for path in [format!("/register/breaches/{BREACH}"), "/register/breaches".to_owned()] {
            let page = pages.get(&path, lang).await;
            assert!(faults(&page.text, lang).is_empty(), "{path} {lang}");
        }
    }
    let page = pages.get(&format!("/register/breaches/{BREACH}"), "en").await.text;
    assert!(page.contains("data-state=\"suspected\"") && page.contains("Nobody has learned of data"), "{page}");
    assert!(!page.contains("data-testid=\"clock\"") && !page.contains("The body learned of it"));
}
