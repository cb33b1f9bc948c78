//! Contracts, agreements, who is late, and the desk of a vendor: pages in both languages, and nothing of a resident where a vendor reads.

use axum::http::header::SET_COOKIE;
use usufruct_app::{Publication, TicketDesk, desk_ticket};
use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::HOUR;

use super::*;
use crate::common::{LIBRARY, VENDOR, text};
use crate::vendors::{CONTRACT, THEIRS, supervise, theirs};

const ISSUER: &str = "http://localhost:8080";

/// The city of the other tests with a vendor, whose service has met a resident who then withdrew, and an agreement that is a draft.
fn served() -> (Pages, String, u64) {
    let pages = Pages::new();
    let city = &pages.city;
    supervise(city);
    let reader = city.enrol(1)[0];
    city.app.consent(reader, &theirs(), &mandate(), &[]).unwrap();
    let subject = city.app.subject(reader, &theirs()).unwrap();
    let own = city.app.subject(reader, &common::service()).unwrap();
    assert_ne!(subject, own);
    city.app.withdraw(reader, &mandate()).unwrap();
    let now = city.app.now();
    let body = json!({"title": text("Garden <b>"), "parties": [LIBRARY, "agc_information"], "purpose": text("Readers enter."),
        "legal_gateway": {"instrument": text("Act"), "article": "9", "url": "https://law.example/9"}, "mandates": [CARD],
        "blocks": ["blk_name"], "transfers": [{"from": SERVICE, "to": THEIRS, "why": text("Readers enter.")}],
        "frequency": text("Daily"), "estimated_persons": 10, "safeguards": [text("Logged.")],
        "due_diligence": [{"title": text("Report"), "sha256": sha256(b"report")}], "commercial_firewall": text("None."),
        "impact_assessment": "https://example.org/dpia", "summary": text("Readers enter."), "oversight_body": "agc_oversight",
        "in_force_from": now.plus(15 * DAY).to_string(), "sunset_at": now.plus(100 * DAY).to_string(),
        "review_due": now.plus(60 * DAY).to_string()});
    let mut statement = city.app.statement(StatementKind::Agreement, "agr_garden", &LIBRARY.parse().unwrap(), body, now);
    for signer in [city.signer(LIBRARY), city.signer("agc_information")].concat() {
        statement.approve(signer).unwrap();
    }
    city.app.publish(&Publication { statements: vec![statement] }).unwrap();
    (pages, subject, reader)
}

impl Pages {
    fn ticket(&self, agency: &str, key: &str, issuer: &str, hours: i64) -> String {
        let signers = self.city.signer(agency);
        let signer = signers.into_iter().find(|signer| signer.key() == key).unwrap();
        desk_ticket(TicketDesk::Vendor, signer, issuer, self.city.app.now().plus(hours * HOUR), self.city.app.rng()).unwrap()
    }

    /// What the desk answers to a form, and the cookie that it sets.
    async fn vendor(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> (Answer, String) {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(ACCEPT, "text/html")
            .header(COOKIE, cookie)
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (parts, body) = self.router.clone().oneshot(request.body(Body::from(form)).unwrap()).await.unwrap().into_parts();
        let set = parts.headers.get(SET_COOKIE).map_or("", |value| value.to_str().unwrap());
        let cookie = set.split(';').next().unwrap().to_owned();
        assert!(set.is_empty() || set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        (Answer { status: parts.status, location: String::new(), text }, cookie)
    }

    async fn desk(&self, cookie: &str, lang: &str) -> Answer {
        let request = Request::get("/vendor").header(ACCEPT, "text/html").header(COOKIE, format!("{cookie}; lang={lang}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_agreements_and_who_is_late_in_both_languages() {
    let (pages, _, _) = served();
    pages.city.clock.advance(95 * DAY);
    let contract = format!("/register/contracts/{CONTRACT}");
    let paths = ["/register/contracts", &contract, "/register/agreements", "/register/agreements/agr_garden", "/register/late"];
    let mut wrong = Vec::new();
    for path in paths {
        for lang in ["en", "zh-Hant"] {
            let answer = pages.get(path, lang).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            assert!(!answer.text.contains("Garden <b>"), "{path}");
            wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("{path} {lang}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let one = pages.get(&contract, "en").await.text;
    assert!(one.contains("It says rights-help.") && one.contains("Before the signature, by the agency: passed"), "{one}");
    let late = pages.get("/register/late", "en").await.text;
    assert!(late.contains("Has not checked its vendor") && late.contains(&contract), "{late}");
    let csv = pages.get("/register/late.csv", "en").await.text;
    assert!(csv.contains(&format!("check,{CONTRACT},{LIBRARY},")), "{csv}");
    for path in ["/register/contracts.json", "/register/checks.json", "/register/agreements.json", "/register/late.json"] {
        let answer = pages.get(path, "en").await;
        assert!(serde_json::from_str::<Value>(&answer.text).is_ok_and(|json| json != json!({}) && json != json!([])), "{path}");
    }
    let csv = pages.get("/register/processors.csv", "en").await.text;
    assert!(csv.contains(&format!("{CONTRACT},active,{LIBRARY},{VENDOR},0,,TW,")), "{csv}");
    assert_eq!(pages.get("/register/processors", "en").await.location, "/register/contracts");
    for missing in ["/register/contracts/ctr_nowhere", "/register/agreements/agr_nowhere"] {
        assert_eq!(pages.get(missing, "en").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_sees_tokens_and_no_people_and_answers_what_it_has_to_delete() {
    let (pages, subject, reader) = served();
    let ticket = pages.ticket(VENDOR, "head", ISSUER, 8);
    let (answer, cookie) = pages.vendor("/vendor/sign-in", "", &[("ticket", &format!("  {ticket}\n"))]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    for lang in ["en", "zh-Hant"] {
        let desk = pages.desk(&cookie, lang).await;
        assert_eq!(desk.status, StatusCode::OK);
        let wrong = faults(&desk.text, lang);
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(desk.text.contains(&subject), "the token by which it knows her");
        // What is known of everybody in this city: names, districts, what was put or corrected, and her tokens elsewhere.
        let elsewhere = pages.city.app.subject(pages.resident, &common::service()).unwrap();
        let blocks = pages.city.app.own_blocks(reader).unwrap();
        assert!(!blocks.is_empty());
        let values = blocks.iter().map(|block| block.value.as_str());
        let seeded = ["Resident 0", "Harbour", "Seaside", "海濱", "大廳", "讀者", elsewhere.as_str()];
        for known in seeded.into_iter().chain(values) {
            assert!(!desk.text.contains(known), "{known} stands on the desk of a vendor");
        }
    }
    let desk = pages.desk(&cookie, "en").await.text;
    let token = between(&desk, "name=\"form_token\" value=\"", "\"");
    let id = between(&desk, "name=\"id\" value=\"", "\"");
    let fields = |token: &'static str| [("form_token", token), ("service", THEIRS), ("answer", "deleted")];
    let with_id = |token: &str| {
        let mut all = vec![("form_token".to_owned(), token.to_owned()), ("id".to_owned(), id.to_owned())];
        all.extend(fields("").into_iter().skip(1).map(|(name, value)| (name.to_owned(), value.to_owned())));
        all
    };
    let pairs = |all: &[(String, String)]| all.iter().map(|(a, b)| (a.clone(), b.clone())).collect::<Vec<_>>();
    async fn post(pages: &Pages, cookie: &str, all: &[(String, String)]) -> StatusCode {
        let fields: Vec<(&str, &str)> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        pages.vendor("/vendor/deletions", cookie, &fields).await.0.status
    }
    assert_eq!(post(&pages, &cookie, &pairs(&with_id("other"))).await, StatusCode::FORBIDDEN);
    assert_eq!(post(&pages, "", &pairs(&with_id(token))).await, StatusCode::UNAUTHORIZED);
    let mut foreign = with_id(token);
    foreign.retain(|(name, _)| name != "service");
    foreign.push(("service".to_owned(), SERVICE.to_owned()));
    assert_eq!(post(&pages, &cookie, &foreign).await, StatusCode::NOT_FOUND, "another body's notices");
    assert_eq!(post(&pages, &cookie, &with_id(token)).await, StatusCode::SEE_OTHER);
    assert!(!pages.desk(&cookie, "en").await.text.contains(&subject), "it is answered");
    let (_, ended) = pages.vendor("/vendor/sign-out", &cookie, &[("form_token", token)]).await;
    assert_eq!(ended, "usufruct-vendor=");
    assert!(!pages.desk(&cookie, "en").await.text.contains("/vendor/sign-out"), "a copy of the cookie opens nothing either");
    assert_eq!(post(&pages, &cookie, &pairs(&with_id(token))).await, StatusCode::UNAUTHORIZED, "and sends no form");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_present_key_of_a_vendor_opens_the_desk_once_and_for_a_while() {
    let (pages, _, _) = served();
    let fails = async |ticket: &str| {
        let (answer, cookie) = pages.vendor("/vendor/sign-in", "", &[("ticket", ticket)]).await;
        assert!(cookie.is_empty(), "{ticket}");
        answer.status
    };
    let good = pages.ticket(VENDOR, "head", ISSUER, 8);
    let (said, signature) = good.split_once('.').unwrap();
    let other = pages.ticket(VENDOR, "data-protection", ISSUER, 8);
    let swapped = format!("{said}.{}", other.split_once('.').unwrap().1);
    for bad in [
        String::new(),
        "nonsense".to_owned(),
        swapped,
        format!("{}.{signature}", &said[..said.len() - 2]),
        pages.ticket(VENDOR, "head", "https://other.example", 8),
        pages.ticket(VENDOR, "head", ISSUER, 13),
        pages.ticket(VENDOR, "head", ISSUER, -1),
        pages.ticket(LIBRARY, "head", ISSUER, 8),
        format!("{good}.AAAA"),
        "A".repeat(5_000),
    ] {
        assert_eq!(fails(&bad).await, StatusCode::CONFLICT, "{bad}");
    }
    let (_, cookie) = pages.vendor("/vendor/sign-in", "", &[("ticket", &good)]).await;
    assert_eq!(fails(&good).await, StatusCode::CONFLICT, "a ticket opens one session");
    let is_in = async |cookie: &str| pages.desk(cookie, "en").await.text.contains("/vendor/sign-out");
    assert!(is_in(&cookie).await);
    // A ticket alone is no session, and neither is one with a mark of somebody's own.
    assert!(!is_in(&format!("usufruct-vendor={other}")).await && !is_in(&format!("{cookie}A")).await);
    pages.city.clock.advance(8 * HOUR);
    assert!(!is_in(&cookie).await, "its time is over");
}
