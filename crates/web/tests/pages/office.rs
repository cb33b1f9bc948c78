//! The case desk in the browser: an official answers in forms and by her own key, an overseer sees what waits and reads none of it, and nobody
//! else gets in.

use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_app::{Act, DeskAct, TicketDesk, desk_message, desk_ticket};
use usufruct_core::case::{CaseState, Finding};
use usufruct_core::id::CaseId;
use usufruct_core::statement::Signer;
use usufruct_core::time::HOUR;

use super::*;
use crate::common::{LIBRARY, WATCH, text};

const ISSUER: &str = "http://localhost:8080";
const WORDS: &str = "I was <b>not</b> there.";

/// The city of the other tests, with a mandate that a body with keys of its own oversees, and a resident who objected to a use under it.
fn objected() -> (Pages, CaseId, String) {
    let pages = Pages::new();
    let city = &pages.city;
    city.publish_watch();
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    body["title"] = text("Watched card");
    city.publish_mandate("mdt_watched", body);
    let mut service = serde_json::to_value(&city.app.register().services[&common::service()].body).unwrap();
    service["mandates"].as_array_mut().unwrap().push(json!("mdt_watched"));
    city.publish(StatementKind::Service, SERVICE, LIBRARY, service);
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &common::service(), &"mdt_watched".parse().unwrap(), &[]).unwrap();
    let subject = city.app.subject(resident, &common::service()).unwrap();
    let mut request = city.request(&subject);
    request.mandate = "mdt_watched".parse().unwrap();
    city.app.release(&request).unwrap();
    let line = city.app.footprint(resident).unwrap().lines.last().unwrap().n;
    let asked = CaseRequest::new(About::Line(line), CaseKind::Challenge, WORDS);
    let filed = city.app.file_case(resident, &asked).unwrap();
    (pages, filed.id, subject)
}

impl Pages {
    fn office_ticket(&self, signer: &Signer, hours: i64) -> String {
        let until = self.city.app.now().plus(hours * HOUR);
        desk_ticket(TicketDesk::Office, signer, ISSUER, until, self.city.app.rng()).unwrap()
    }

    async fn office(&self, cookie: &str, path: &str, lang: &str) -> Answer {
        let request = Request::get(path).header(ACCEPT, "text/html").header(COOKIE, format!("{cookie}; lang={lang}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// What the desk answers to a form, and the cookie that it sets.
    async fn office_form(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> (Answer, String) {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(ACCEPT, "text/html")
            .header(COOKIE, format!("{cookie}; lang=en"))
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (parts, body) = self.router.clone().oneshot(request.body(Body::from(form)).unwrap()).await.unwrap().into_parts();
        let set = parts.headers.get(SET_COOKIE).map_or("", |value| value.to_str().unwrap());
        let cookie = set.split(';').next().unwrap().to_owned();
        assert!(set.is_empty() || set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
        let location = parts.headers.get(LOCATION).map_or("", |value| value.to_str().unwrap()).to_owned();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        (Answer { status: parts.status, location, text }, cookie)
    }

    async fn signed_in(&self, signer: &Signer) -> String {
        let ticket = self.office_ticket(signer, 8);
        let (answer, cookie) = self.office_form("/office/sign-in", "", &[("ticket", &ticket)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        cookie
    }
}

/// The line that a command prints for an act.
fn line(signer: &Signer, packed: &str) -> String {
    let said = String::from_utf8(URL_SAFE_NO_PAD.decode(packed).unwrap()).unwrap();
    format!("{}.{}", signer.key(), signer.approve(&desk_message("city.test/log", &said)).signature)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_official_answers_in_forms_and_by_her_own_key() {
    let (pages, id, subject) = objected();
    let signer = pages.city.signer(LIBRARY)[0];
    let cookie = pages.signed_in(signer).await;
    let one = format!("/office/cases/{id}");
    for lang in ["en", "zh-Hant"] {
        for path in ["/office", one.as_str()] {
            let answer = pages.office(&cookie, path, lang).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            let wrong = faults(&answer.text, lang);
            assert!(wrong.is_empty(), "{path} {lang}: {wrong:?}");
        }
    }
    let list = pages.office(&cookie, "/office", "en").await.text;
    assert!(list.contains(&format!("href=\"{one}\"")) && list.contains("Watched card") && list.contains(&subject));
    let page = pages.office(&cookie, &one, "en").await.text;
    assert!(page.contains("I was &#60;b&#62;not&#60;/b&#62; there.") && !page.contains(WORDS), "{page}");
    let token = between(&page, "name=\"form_token\" value=\"", "\"").to_owned();
    let answer = |reasons: &'static str| {
        [
            ("form_token", token.clone()),
            ("act", "answer".into()),
            ("finding", "upheld".into()),
            ("remedy", "stop".into()),
            ("reasons", reasons.into()),
        ]
    };
    let send = async |fields: &[(&str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pages.office_form(&one, &cookie, &fields).await.0
    };
    let without = send(&answer("  ")).await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(faults(&without.text, "en").is_empty() && without.text.contains("#reasons-answer"), "{}", without.text);
    let mut foreign = answer("You are right.");
    foreign[0].1 = "other".into();
    assert_eq!(send(&foreign).await.status, StatusCode::FORBIDDEN);
    let drafted = send(&answer("You are <right>.\r\nWe stop.")).await;
    assert_eq!(drafted.status, StatusCode::OK, "{}", drafted.text);
    assert!(faults(&drafted.text, "en").is_empty());
    let packed = between(&drafted.text, "name=\"packed\" value=\"", "\"").to_owned();
    assert!(drafted.text.contains(&format!("usufruct case sign {packed} --origin city.test/log")));
    let case = || pages.city.app.waiting(&LIBRARY.parse().unwrap()).unwrap().into_iter().find(|case| case.id == id);
    let act = async |signature: &str| {
        let fields = [("form_token", token.as_str()), ("packed", packed.as_str()), ("signatures", signature)];
        pages.office_form("/office/acts", &cookie, &fields).await.0
    };
    // Whoever has the session alone answers nothing, and neither does the key of another body.
    let other = &pages.city.watchers()[0];
    for bad in ["", "head.AAAA", &line(other, &packed), &line(signer, &URL_SAFE_NO_PAD.encode("something else"))] {
        assert_eq!(act(bad).await.status, StatusCode::CONFLICT, "{bad}");
        assert_eq!(case().unwrap().state, CaseState::Filed.code());
    }
    let done = act(&format!(" {}\r\n", line(signer, &packed))).await;
    assert_eq!((done.status, done.location.as_str()), (StatusCode::SEE_OTHER, "/office"), "{}", done.text);
    assert!(case().is_none(), "answered, and the machine has stopped it");
    assert_eq!(act(&line(signer, &packed)).await.status, StatusCode::CONFLICT, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_official_says_by_her_own_key_that_the_office_has_it() {
    let (pages, id, _) = objected();
    let signer = pages.city.signer(LIBRARY)[0];
    let cookie = pages.signed_in(signer).await;
    let one = format!("/office/cases/{id}");
    let page = pages.office(&cookie, &one, "en").await.text;
    assert!(page.contains("data-testid=\"draft-acknowledge\""), "{page}");
    let token = between(&page, "name=\"form_token\" value=\"", "\"");
    let drafted = pages.office_form(&one, &cookie, &[("form_token", token), ("act", "acknowledge")]).await.0;
    assert_eq!(drafted.status, StatusCode::OK, "without reasons: {}", drafted.text);
    let packed = between(&drafted.text, "name=\"packed\" value=\"", "\"");
    let signed = line(signer, packed);
    let fields = [("form_token", token), ("packed", packed), ("signatures", signed.as_str())];
    assert_eq!(pages.office_form("/office/acts", &cookie, &fields).await.0.status, StatusCode::SEE_OTHER);
    let page = pages.office(&cookie, &one, "en").await.text;
    assert!(!page.contains("draft-acknowledge") && page.contains("draft-answer"), "{page}");
    let waiting = pages.city.app.waiting(&LIBRARY.parse().unwrap()).unwrap();
    assert_eq!(waiting.iter().find(|case| case.id == id).unwrap().state, CaseState::Acknowledged.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_office_keeps_stands_as_exempt_and_an_answer_is_accepted_by_a_press() {
    let pages = Pages::new();
    let app = &pages.city.app;
    let filed = app.file_case(pages.resident, &CaseRequest::new(About::Line(1), CaseKind::Delete, "Delete it.")).unwrap();
    assert!(!pages.get("/me/consents", "en").await.text.contains("data-testid=\"exempt\""));
    let (case, reasons) = (filed.id.clone(), "The law keeps it for five years.".to_owned());
    let act = Act::Answer { case, finding: Finding::Dismissed, remedy: None, reasons };
    let said = serde_json::to_string(&DeskAct { agency: LIBRARY.parse().unwrap(), at: app.now(), act }).unwrap();
    let signer = pages.city.signer(LIBRARY)[0];
    app.act_at_desk(&said, &[signer.approve(&desk_message("city.test/log", &said))]).unwrap();
    for lang in ["en", "zh-Hant"] {
        let page = pages.get("/me/consents", lang).await.text;
        let wrong = faults(&page, lang);
        assert!(wrong.is_empty(), "{lang}: {wrong:?}");
        assert!(page.contains("data-testid=\"exempt\"") && page.contains("data-state=\"escrow_final\""), "{page}");
    }
    let settle = format!("/me/cases/{}/settle", filed.id);
    assert_eq!(pages.post(&settle, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(pages.get("/me/cases", "en").await.text.contains("data-state=\"settled\""));
    assert_eq!(pages.post(&settle, &[]).await.status, StatusCode::CONFLICT, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overseer_sees_what_waits_and_reads_it_once_it_is_its_own() {
    let (pages, id, subject) = objected();
    let watchers = pages.city.watchers();
    let cookie = pages.signed_in(&watchers[0]).await;
    let desk = pages.office(&cookie, "/office", "en").await.text;
    assert!(
        desk.contains(id.as_str()) && desk.contains("Watched card") && desk.contains("data-testid=\"watched-case\""),
        "{desk}"
    );
    let one = pages.office(&cookie, &format!("/office/cases/{id}"), "en").await.text;
    for page in [&desk, &one] {
        assert!(!page.contains("there.") && !page.contains(&subject) && !page.contains("data-testid=\"draft-"), "{page}");
    }
    pages.city.clock.advance(60 * DAY);
    pages.city.app.run_cases().unwrap();
    let cookie = pages.signed_in(&watchers[0]).await;
    let one = pages.office(&cookie, &format!("/office/cases/{id}"), "en").await.text;
    assert!(one.contains("there.") && one.contains("data-testid=\"draft-decide\""), "{one}");
    let token = between(&one, "name=\"form_token\" value=\"", "\"");
    let fields =
        [("form_token", token), ("act", "decide"), ("finding", "dismissed"), ("remedy", ""), ("order", ""), ("reasons", "No.")];
    let drafted = pages.office_form(&format!("/office/cases/{id}"), &cookie, &fields).await.0;
    let packed = between(&drafted.text, "name=\"packed\" value=\"", "\"");
    let both = watchers.iter().map(|signer| line(signer, packed)).collect::<Vec<_>>();
    let act = async |signatures: &str| {
        let fields = [("form_token", token), ("packed", packed), ("signatures", signatures)];
        pages.office_form("/office/acts", &cookie, &fields).await.0.status
    };
    assert_eq!(act(&both[0]).await, StatusCode::CONFLICT, "two decide");
    assert_eq!(act(&both.join("\n")).await, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn her_own_page_says_who_watches() {
    let (pages, _, _) = objected();
    let page = pages.get("/me/cases", "en").await.text;
    assert!(page.contains("data-testid=\"watched-by\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_for_the_vendor_desk_opens_no_case_desk() {
    let (pages, _, _) = objected();
    let signer = pages.city.signer(LIBRARY)[0];
    let until = pages.city.app.now().plus(HOUR);
    let vendors = desk_ticket(TicketDesk::Vendor, signer, ISSUER, until, pages.city.app.rng()).unwrap();
    let good = pages.office_ticket(signer, 8);
    for bad in [vendors.as_str(), "", "nonsense", &format!("{good}A")] {
        let (answer, cookie) = pages.office_form("/office/sign-in", "", &[("ticket", bad)]).await;
        assert!(answer.status == StatusCode::CONFLICT && cookie.is_empty(), "{bad}: {}", answer.status);
    }
    let (_, cookie) = pages.office_form("/office/sign-in", "", &[("ticket", &good)]).await;
    assert!(pages.office(&cookie, "/office", "en").await.text.contains("/office/sign-out"));
    let as_vendor = cookie.replace("usufruct-office", "usufruct-vendor");
    assert!(!pages.office(&as_vendor, "/vendor", "en").await.text.contains("/vendor/sign-out"));
    pages.city.clock.advance(9 * HOUR);
    assert!(!pages.office(&cookie, "/office", "en").await.text.contains("/office/sign-out"), "its time is over");
    assert_eq!(pages.office(&cookie, "/office/cases/cas_one", "en").await.location, "/office");
}
