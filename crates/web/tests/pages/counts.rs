//! Tallies, incidents, the brake and recounts on the pages, in both languages.

use usufruct_app::{OpenedCopy, ReportedUse};
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::SECOND;

use super::*;
use crate::common::{WATCH, text};

const WATCHED: &str = "mdt_watched";

/// A city in which an official was stopped, a source is behind, two days are counted and one was recounted.
fn counted() -> Pages {
    use base64::Engine;
    let mut pages = Pages::new();
    let city = &pages.city;
    city.publish_watch();
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    body["title"] = text("Watched card");
    let key = usufruct_app::vault::hpke::PrivateKey::from_bytes([7; 32]);
    body["audit_key"] = json!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.public().bytes()));
    city.publish_mandate(WATCHED, body);
    city.open_service_with("svc_watched", common::LIBRARY, "library", |body| body["mandates"] = json!([WATCHED]));
    let (service, watched) = ("svc_watched".parse().unwrap(), WATCHED.parse().unwrap());
    city.app.consent_at_counter(pages.resident, &service, &watched, &[]).unwrap();
    let subject = city.app.subject(pages.resident, &service).unwrap();
    let mut request = city.request(&subject);
    (request.service, request.mandate, request.actor) = (service.clone(), watched.clone(), Some([9; 32]));
    while city.app.release(&request).is_ok() {}
    let against = ReportedUse {
        mandate: watched.clone(),
        number: Some(2),
        operation: None,
        subject,
        blocks: vec![(block("district"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        happened_at: city.app.now(),
        third_party: false,
    };
    city.app.report(&service, &against).unwrap();
    let copies = city.app.recount_days(&watched, &[usufruct_core::tally::Day::of(city.app.now()).unwrap()]).unwrap();
    assert!(copies[0].copies.iter().all(|copy| OpenedCopy::open(&key, copy).is_some()));
    city.clock.advance(30 * SECOND);
    city.app.run_sources().unwrap();
    city.clock.advance(2 * DAY);
    city.app.run_tallies().unwrap();
    let secret = sha256(b"secret");
    let order = json!({"body": WATCH, "kind": "audit", "target": WATCHED, "reasons": text("Count again."),
        "comply_by": city.app.now().plus(DAY), "draw": {"from": "2026-01-01", "to": "2026-01-01", "days": 1, "chance": sha256(&secret.0), "next_tally": true}});
    city.watch(StatementKind::Order, "ord_recount", order, &city.watchers()).unwrap();
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    city.app.publish_log().unwrap();
    let register = city.app.register();
    let order = &register.orders[&"ord_recount".parse().unwrap()];
    let size = register.chosen_at(order, order.body.draw.as_ref().unwrap()).unwrap();
    let root = city.app.log_root(size).unwrap().unwrap();
    let recount = json!({"drill": "recount", "sampled": 1, "opened": 12, "closed": 0, "wrong": 2, "searched_bytes": 0, "recount": {
        "mandate": WATCHED, "order": "ord_recount", "secret": secret, "from": "2026-01-01", "to": "2026-01-01", "log_size": size,
        "log_root": root, "days": ["2026-01-01"]}});
    city.watch(StatementKind::Audit, "aud_recount", recount, &city.watchers()).unwrap();
    // Her session of two days ago is over.
    pages.cookie = format!("usufruct={}", city.app.open_session(pages.resident, "test").unwrap());
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_stands_on_the_pages() {
    let pages = counted();
    let desk = format!("/oversight/{WATCH}");
    let tallies = format!("/register/mandates/{WATCHED}/tallies");
    let paths = ["/register/counts", &tallies, "/register/mandates/mdt_watched", "/me/footprint", "/register/vault", &desk];
    let mut wrong = Vec::new();
    for path in paths {
        for lang in ["en", "zh-Hant"] {
            let answer = pages.get(path, lang).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("{path} {lang}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let page = async |path: &str| pages.get(path, "en").await.text;
    let counts = page("/register/counts").await;
    assert!(between(&counts, "id=\"open\"", "</section>").contains("Numbers are missing"));
    assert!(between(&counts, "id=\"brakes\"", "</section>").contains("Watched card: You borrowed a book."));
    let listed = page(&tallies).await;
    assert!(listed.contains("2026-01-01") && listed.contains("2026-01-02") && listed.contains("1-9"), "{listed}");
    assert!(listed.contains("was stopped"), "refusals by reason");
    let footprint = page("/me/footprint").await;
    let told = between(&footprint, "data-testid=\"incomplete\">", "</p>");
    assert!(told.contains("“Watched card” may be incomplete since 2026-01-0"), "{told}");
    assert!(footprint.contains("Against the rules") && footprint.contains("it happened on"));
    let desk = page(&desk).await;
    let draft = between(&desk, "kind = &#34;release&#34;", "</pre>");
    let mark = pages.city.app.brakes().unwrap()[0].mark.to_string();
    assert!(draft.contains(&mark) && draft.contains("mdt_watched"), "{draft}");
    assert!(desk.contains("usufruct audit draw mdt_watched") && desk.contains("usufruct audit recount"), "{desk}");
    assert!(between(&desk, "id=\"recounts\"", "</section>").contains("2 things are not as they must be."));
    // The draft, once reasons are written and two have signed, releases; and the page says so.
    let order = json!({"body": WATCH, "kind": "release", "target": WATCHED, "reasons": text("Seen."), "strata": [mark]});
    pages.city.watch(StatementKind::Order, "ord_release", order, &pages.city.watchers()).unwrap();
    let counts = page("/register/counts").await;
    assert!(!counts.contains(&mark), "{counts}");
    assert_eq!(pages.get("/register/orders/ord_release", "zh-Hant").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_as_json() {
    let pages = counted();
    let json = async |path: &str| -> Value { serde_json::from_str(&pages.get(path, "en").await.text).unwrap() };
    let counts = json("/register/counts.json").await;
    assert_eq!(counts["brakes"][0]["reason"], "mdt_watched lending");
    assert_eq!(counts["incidents"].as_object().unwrap().len(), 1);
    let tallies = json(&format!("/register/mandates/{WATCHED}/tallies.json")).await;
    assert_eq!(tallies.as_array().unwrap().last().unwrap()["body"]["irregular"], "1-9", "the first day");
    assert_eq!(pages.get("/register/mandates/mdt_nowhere/tallies", "en").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_covert_mandate_stands_on_the_pages_and_its_lines_from_their_day_on() {
    let mut pages = Pages::new();
    let none = pages.get("/register/delayed", "en").await.text;
    assert!(none.contains("Residents see every use at once."), "{none}");
    let city = &pages.city;
    city.publish_watch();
    let mut body = library_card();
    (body["kind"], body["gate"]) = (json!("covert"), json!("witnessed"));
    body["title"] = text("Lost books");
    body["legal_basis"]["code"] = json!("public_task");
    body["visibility"] = json!({"delayed": {"max_days": 30, "authority": WATCH}});
    let (id, watchers) = ("mdt_lost-books".parse().unwrap(), city.watchers());
    let signers: Vec<_> = city.signer(common::LIBRARY).into_iter().chain(&watchers).collect();
    let publication = city.app.mandate_publication(&id, body, &common::notice(), &signers, city.app.now()).unwrap();
    city.app.publish(&publication).unwrap();
    city.open_service_with("svc_lost", common::LIBRARY, "lost", |body| body["mandates"] = json!([id]));
    let mut request = city.request(&city.app.subject(pages.resident, &"svc_lost".parse().unwrap()).unwrap());
    (request.service, request.mandate) = ("svc_lost".parse().unwrap(), id.clone());
    // No witness is named here, so data does not leave; the line stands in the log.
    assert!(matches!(city.app.release(&request), Err(usufruct_app::Error::Unpublished)));
    let paths =
        ["/register/delayed", "/register/mandates/mdt_lost-books", "/register/mandates/mdt_lost-books/notice", "/me/footprint"];
    let faults_of = async |pages: &Pages| {
        let mut wrong = Vec::new();
        for path in paths {
            for lang in ["en", "zh-Hant"] {
                let answer = pages.get(path, lang).await;
                assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
                wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("{path} {lang}: {what}")));
            }
        }
        wrong
    };
    assert_eq!(faults_of(&pages).await, Vec::<String>::new());
    for path in ["/me/footprint", "/me/consents", "/me"] {
        let text = pages.get(path, "en").await.text;
        assert!(!text.contains("Lost books") && !text.contains("lost-books"), "{path}");
    }
    let mandate = pages.get("/register/mandates/mdt_lost-books", "en").await.text;
    assert!(mandate.contains("at most 30 days after each use") && mandate.contains("Commission"), "{mandate}");
    city.clock.advance(31 * DAY);
    city.app.run_tallies().unwrap();
    pages.cookie = format!("usufruct={}", pages.city.app.open_session(pages.resident, "test").unwrap());
    assert_eq!(faults_of(&pages).await, Vec::<String>::new());
    let footprint = pages.get("/me/footprint", "en").await.text;
    assert!(footprint.contains("data-testid=\"opened\""), "{footprint}");
    assert!(pages.get("/me/consents", "en").await.text.contains("Lost books"));
    let counts: Value = serde_json::from_str(&pages.get("/register/delayed.json", "en").await.text).unwrap();
    assert_eq!(counts["uses"][0]["opened"], "1-9");
    let csv = pages.get("/register/delayed.csv", "en").await.text;
    assert!(csv.contains("mdt_lost-books,2026-01,0,1-9,2026-0"), "{csv}");
}
