//! Orders, meetings and waivers on the pages: who is late is public by the clock, and a desk shows what a body oversees.

use usufruct_app::officer_commitment;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;

use super::*;
use crate::common::{LIBRARY, WATCH, text};

/// The city of the other tests, with an overseer that has suspended a mandate, ordered a deletion and met.
fn watched() -> Pages {
    let pages = Pages::new();
    let city = &pages.city;
    city.publish_watch();
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    body["title"] = text("Watched card");
    city.publish_mandate("mdt_watched", body);
    let two = city.watchers();
    let order =
        |kind: &str| json!({"body": WATCH, "kind": kind, "target": "mdt_watched", "reasons": text("Beyond <b>purpose</b>.")});
    city.watch(StatementKind::Order, "ord_stop", order("suspend"), &two).unwrap();
    let mut delete = order("delete");
    delete["comply_by"] = json!(city.app.now().plus(DAY).to_string());
    city.watch(StatementKind::Order, "ord_delete", delete, &two).unwrap();
    let meeting = json!({"body": WATCH, "title": text("Seventh meeting"), "held_at": city.app.now().to_string(),
        "agenda": [{"text": text("The card.")}], "attendance": [{"office": text("The chair"), "part": "chair"}],
        "decisions": [{"text": text("It is suspended."), "orders": ["ord_stop"],
            "dissent": [{"office": text("A member"), "reasons": text("Too strict.")}]}],
        "attachments": [{"title": text("Minutes"), "sha256": sha256(b"minutes").to_string()}]});
    city.watch(StatementKind::Meeting, "mtg_seventh", meeting, &two).unwrap();
    let ruling = json!({"body": WATCH, "office": LIBRARY, "mandate": "mdt_watched", "kind": "complaint", "finding": "upheld", "remedy": "stop",
        "text": text("There has to be <b>another</b> way, \"soon\".")});
    city.watch(StatementKind::Ruling, "rul_doors", ruling, &two).unwrap();
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_meetings_and_the_desk_in_both_languages() {
    let pages = watched();
    let desk = format!("/oversight/{WATCH}");
    let paths = [
        "/",
        "/register",
        "/register/orders",
        "/register/orders/ord_stop",
        "/register/orders/ord_delete",
        "/register/meetings",
        "/register/meetings/mtg_seventh",
        "/register/rulings",
        "/register/rulings/rul_doors",
        "/register/mandates/mdt_watched",
        "/oversight",
        &desk,
    ];
    let mut wrong = Vec::new();
    for path in paths {
        for lang in ["en", "zh-Hant"] {
            let answer = pages.get(path, lang).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            assert!(!answer.text.contains("<b>purpose"), "{path}");
            wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("{path} {lang}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for path in [
        "/register/orders/ord_nowhere",
        "/register/meetings/mtg_nowhere",
        "/register/rulings/rul_nowhere",
        "/oversight/agc_nowhere",
        "/oversight/agc_library",
    ] {
        assert_eq!(pages.get(path, "en").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let meeting = pages.get("/register/meetings/mtg_seventh", "en").await.text;
    assert!(meeting.contains("Too strict.") && meeting.contains("href=\"/register/orders/ord_stop\""));
    let desk = pages.get(&desk, "en").await.text;
    assert!(desk.contains("Watched card") && desk.contains("usufruct publish order suspend-watched.toml"));
    assert!(desk.contains("Under an order"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_has_a_page_and_stands_in_tables() {
    let pages = watched();
    let list = pages.get("/register/rulings", "en").await.text;
    let card = between(&list, "id=\"rul_doors\"", "</li>");
    for part in ["href=\"/register/rulings/rul_doors\"", "href=\"/register/mandates/mdt_watched\"", "another", ".tlog-proof\""] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(list.contains("href=\"/register/rulings.csv\"") && list.contains("href=\"/register/rulings.jsonld\""));
    let one: Value = serde_json::from_str(&pages.get("/register/rulings/rul_doors.json", "en").await.text).unwrap();
    assert_eq!((&one["body"]["finding"], &one["body"]["office"]), (&json!("upheld"), &json!(LIBRARY)));
    let all: Value = serde_json::from_str(&pages.get("/register/rulings.json", "en").await.text).unwrap();
    assert_eq!(all["rul_doors"], one);
    let text = pages.get("/register/rulings.csv", "en").await.text;
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let columns = table.headers().unwrap().clone();
    let line = table.records().next().unwrap().unwrap();
    let cell = |name: &str| &line[columns.iter().position(|column| column == name).unwrap()];
    let named = ["id", "body", "office", "mandate", "kind", "finding", "remedy"].map(cell);
    assert_eq!(named, ["rul_doors", WATCH, LIBRARY, "mdt_watched", "complaint", "upheld", "stop"]);
    assert_eq!(cell("text_en"), "There has to be <b>another</b> way, \"soon\".");
    let graph: Value = serde_json::from_str(&pages.get("/register/rulings.jsonld", "en").await.text).unwrap();
    assert_eq!(graph["@graph"].as_array().unwrap().len(), 1);
    // Its statement leads there.
    let leaf = pages.city.app.register().rulings[&"rul_doors".parse().unwrap()].index;
    assert!(pages.get(&format!("/register/statements/{leaf}"), "en").await.text.contains("/register/rulings/rul_doors"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_late_is_public_by_the_clock() {
    let pages = watched();
    let group = async |id: &str| {
        let list = pages.get("/register/orders", "en").await.text;
        between(&list, &format!("<h2 id=\"{id}\""), "</section>").to_owned()
    };
    assert!(group("in-force").await.contains("ord_stop") && group("in-force").await.contains("ord_delete"));
    assert!(pages.get("/", "en").await.text.contains("0 orders are overdue."));
    pages.city.clock.advance(DAY);
    let overdue = group("overdue").await;
    assert!(overdue.contains("ord_delete") && !overdue.contains("ord_stop"), "{overdue}");
    assert!(pages.get("/", "en").await.text.contains("1 order is overdue."));
    let late = between(&pages.get(&format!("/oversight/{WATCH}"), "en").await.text, "<h2 id=\"late\"", "</section>").to_owned();
    assert!(late.contains("ord_delete"));
    let csv = pages.get("/register/orders.csv", "en").await.text;
    let line = csv.lines().find(|line| line.starts_with("ord_delete,")).unwrap();
    assert!(line.starts_with("ord_delete,agc_watch,delete,mdt_watched,overdue,"), "{line}");
    assert_eq!(line.split(',').count(), csv.lines().next().unwrap().split(',').count());
    let list: Value = serde_json::from_str(&pages.get("/register/orders.json", "en").await.text).unwrap();
    assert_eq!(list["ord_stop"]["body"]["kind"], "suspend");

    // The machine has its turn, and what it did is public.
    pages.city.app.run_orders().unwrap();
    let enforced = group("enforced").await;
    assert!(enforced.contains("ord_delete") && enforced.contains("data-testid=\"grants-ended\">0<"), "{enforced}");
    assert!(pages.get("/", "en").await.text.contains("0 orders are overdue."));
    let id = pages.city.app.register().carried_out(&"ord_delete".parse().unwrap()).unwrap().id.clone();
    for lang in ["en", "zh-Hant"] {
        for path in ["/register/orders/ord_delete", &format!("/register/certificates/{id}")] {
            let page = pages.get(path, lang).await;
            assert!(
                page.text.contains("/register/orders/ord_delete") || page.text.contains(&format!("/register/certificates/{id}"))
            );
            assert_eq!(faults(&page.text, lang), Vec::<String>::new(), "{path} {lang}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waivers_are_counted_in_front_while_they_run() {
    let pages = watched();
    let city = &pages.city;
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    body["kind"] = json!("emergency");
    body["operations"] = json!(["disclose", "store"]);
    body["sunset_at"] = json!("2026-02-01T00:00:00Z");
    city.publish_watched_over("agc_health", "health_authority");
    let reviewer = |speaks_for: &str| json!({"name": text("A group"), "speaks_for": speaks_for});
    body["emergency"] = json!({"id": "CDC-1", "declared_at": "2025-11-01T00:00:00Z", "url": "https://health.example.org/1",
        "renewal_limit": 1, "reviewers": [reviewer("public_health"), reviewer("marginalised")],
        "disparity_audit_due": "2026-01-20T00:00:00Z", "finding": {"by": "agc_health", "at": "2025-11-01T00:00:00Z",
            "title": text("Finding"), "sha256": "00".repeat(32)},
        "reach": {"groups": [text("Migrants")], "audit": {"title": text("Whom it burdens"), "sha256": "00".repeat(32)},
            "offline": text("Ask at the counter."), "languages": ["zh-Hant", "vi"]}});
    let met = json!({"met": {"text": text("It is met."), "evidence": [{"title": text("Report"), "sha256": "00".repeat(32)}]}});
    body["eight_conditions"] = json!({"necessity": met, "time_bound": met, "scope_lock": met, "security": met, "fairness": met,
        "sharing": met, "remedy": met, "participation": {"waived": {"by": WATCH, "until": "2026-01-05T00:00:00Z",
            "reason": text("There was no time to ask.")}}});
    let notice = json!({"line": text("A warning."), "short": text("A warning."), "manner": text("On a screen."),
        "rights": text("All five."), "effect_of_refusal": text("None.")});
    let publish = |also: &[usufruct_core::statement::Signer]| {
        let signers: Vec<_> = city.signer(LIBRARY).into_iter().chain(also).collect();
        let id = "mdt_alert".parse().unwrap();
        let publication = city.app.mandate_publication(&id, body.clone(), &notice, &signers, city.app.now()).unwrap();
        city.app.publish(&publication)
    };
    assert!(publish(&[]).is_err(), "the controller waives nothing by itself");
    let two = city.watchers();
    assert!(publish(&two[..1]).is_err(), "one person of the overseer waives nothing");
    publish(&two).unwrap();
    assert_eq!(city.app.register().mandates[&"mdt_alert".parse().unwrap()].state, State::Active);
    assert!(pages.get("/", "en").await.text.contains("1 condition of an emergency is waived for now."));
    let page = pages.get("/register/mandates/mdt_alert", "en").await.text;
    assert!(page.contains("There was no time to ask.") && page.contains("Waived"), "{page}");
    assert!(page.contains("CDC-1") && page.contains("for marginalised people") && page.contains("Report"), "{page}");
    assert!(page.contains("Migrants") && page.contains("Ask at the counter.") && page.contains("Whom it burdens"), "{page}");
    assert_eq!(faults(&page, "en"), Vec::<String>::new());
    city.clock.advance(5 * DAY);
    assert!(pages.get("/", "en").await.text.contains("0 conditions of emergencies are waived for now."));
    city.clock.advance(15 * DAY);
    assert!(pages.get("/register/late", "en").await.text.contains("Has not looked at whom an emergency burdens more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn her_footprint_names_an_officer_and_an_order_its_payment() {
    let pages = watched();
    let city = &pages.city;
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate("mdt_named", body);
    city.open_service_with("svc_named", LIBRARY, "library", |body| body["mandates"] = json!(["mdt_named"]));
    let (service, mandate) = ("svc_named".parse().unwrap(), "mdt_named".parse().unwrap());
    city.app.consent_at_counter(pages.resident, &service, &mandate, &[]).unwrap();
    let mut request = city.request(&city.app.subject(pages.resident, &service).unwrap());
    let subjects = std::slice::from_ref(&request.subject);
    request.actor = Some(city.app.officer(&service, &mandate, subjects, "Ms <Lin>, desk 3").unwrap());
    (request.service, request.mandate) = (service, mandate);
    city.app.release(&request).unwrap();
    let line = city.app.footprint(pages.resident).unwrap().lines.pop().unwrap();
    let event = usufruct_core::Digest(usufruct_core::event::commitment(&line.opening, &line.encoded));
    assert!(!pages.get("/me/footprint", "en").await.text.contains("data-testid=\"officer\""));
    let order = |kind: &str, more: Value| {
        let mut body = json!({"body": WATCH, "kind": kind, "target": "mdt_named", "reasons": text("She objected.")});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let until = city.app.now().plus(DAY).to_string();
    let named = order("disclose_actor", json!({"comply_by": until, "events": [event]}));
    city.watch(StatementKind::Order, "ord_name", named, &city.watchers()).unwrap();
    city.watch(StatementKind::Order, "ord_pay", order("compensate", json!({})), &city.watchers()).unwrap();
    let paid = json!({"order": "ord_pay", "paid_at": city.app.now().to_string(),
        "evidence": [{"title": text("Transfers"), "sha256": sha256(b"transfers").to_string()}]});
    let before = pages.get("/register/orders/ord_pay", "en").await.text;
    assert!(before.contains("To be done by") && !before.contains("Paid on"), "{before}");
    city.publish(StatementKind::Payment, "pay_1", LIBRARY, paid);
    for (lang, words, paid) in
        [("en", "The oversight body has named the officer:", "Paid on"), ("zh-Hant", "監督機關已揭露承辦人：", "給付日")]
    {
        let footprint = pages.get("/me/footprint", lang).await.text;
        let told = between(&footprint, "data-testid=\"officer\">", "</span>");
        assert!(told.contains(words) && told.contains("Ms &#60;Lin&#62;, desk 3"), "{told}");
        assert!(told.contains("href=\"/register/orders/ord_name\""), "{told}");
        let salt = between(told, "<code>", "</code>");
        let salt: [u8; 32] = usufruct_core::hash::unhex(salt).unwrap().try_into().unwrap();
        let actor = officer_commitment(&salt, &"svc_named".parse().unwrap(), "Ms <Lin>, desk 3");
        assert_eq!(line.event.as_ref().unwrap().actor, Some(actor), "everybody who has the line can recompute it");
        let order = pages.get("/register/orders/ord_pay", lang).await.text;
        assert!(order.contains(paid), "{order}");
        let wrong: Vec<String> = [faults(&footprint, lang), faults(&order, lang)].concat();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
