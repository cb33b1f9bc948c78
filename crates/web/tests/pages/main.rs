//! Every page of the portal and the register in both languages, over a small city where everything has happened once.

mod audits;
mod breaches;
mod cameras;
mod comments;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod contracts;
mod counts;
mod drafts;
mod exports;
mod facets;
mod matters;
mod notices;
mod office;
mod ordered;
mod oversight;
mod reckoned;
mod revisions;
#[path = "../../../app/tests/common/vendors.rs"]
mod vendors;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use usufruct_app::{About, CaseRequest, DepositRequest, NewHelper};
use usufruct_core::Text;
use usufruct_core::case::CaseKind;
use usufruct_core::delegation::Powers;
use usufruct_core::key::KeyOf;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, MINUTE};
use usufruct_web::{DemoSettings, Persona, Settings, Site};

use crate::common::{CARD, City, OPERATOR, SERVICE, block, library_card, mandate};

struct Pages {
    city: City,
    router: Router,
    resident: u64,
    cookie: String,
    _dir: TempDir,
}

struct Answer {
    status: StatusCode,
    location: String,
    text: String,
}

impl Pages {
    /// A resident who agreed, was used, refused, corrected, objected, withdrew and agreed again, with a mandate of each sort.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let city = City::found(dir.path(), None);
        let mut short = library_card();
        short["sunset_at"] = json!("2026-01-10T00:00:00Z");
        short["operations"] = json!(["collect", "deposit", "match"]);
        city.publish_mandate("mdt_short", short);
        let mut coming = library_card();
        coming["starts_at"] = json!("2026-02-01T00:00:00Z");
        city.publish_mandate("mdt_coming", coming);
        let (resident, subject) = city.cardholder();
        let app = &city.app;
        app.release(&city.request(&subject)).unwrap();
        let mut wrong = city.request(&subject);
        wrong.blocks[0].0 = block("district");
        assert!(app.release(&wrong).is_err(), "she did not agree to this block");
        app.correct(resident, &block("district"), "海濱 <Seaside> & co").unwrap();
        app.file_case(resident, &CaseRequest::new(About::Line(1), CaseKind::Challenge, "<script>alert(1)</script>")).unwrap();
        app.withdraw(resident, &mandate()).unwrap();
        app.consent_at_counter(resident, &common::service(), &mandate(), &[block("district")]).unwrap();
        app.consent_at_counter(resident, &common::service(), &"mdt_short".parse().unwrap(), &[]).unwrap();
        let visit = DepositRequest {
            service: common::service(),
            mandate: "mdt_short".parse().unwrap(),
            subject: app.subject(resident, &common::service()).unwrap(),
            block: block("name"),
            value: "大廳 <script>alert(2)</script> & <Seaside>".into(),
            reason: "lending".into(),
            actor: None,
            sign_in: None,
            third_party: false,
        };
        app.deposit(&visit).unwrap();
        let cookie = format!("usufruct={}", app.open_session(resident, "test").unwrap());
        let persona =
            Persona {
                key: "reader".into(), resident, name: "讀者 Reader".into(), story: Text::new("Reads a lot.", "愛讀書。")
            };
        let demo = DemoSettings {
            personas: vec![persona],
            sample_urls: vec!["http://localhost:8081".into()],
            sandbox: None,
            desk: None,
        };
        let settings = Settings { issuer: "http://localhost:8080".into(), allows_oidc: true, demo: Some(demo) };
        let router = usufruct_web::router(Arc::new(Site::new(Arc::clone(app), settings).unwrap()));
        Self { city, router, resident, cookie, _dir: dir }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let location = parts.headers.get(LOCATION).map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, location, text: String::from_utf8(body).unwrap() }
    }

    async fn get(&self, path: &str, lang: &str) -> Answer {
        let cookie = format!("{}; lang={lang}", self.cookie);
        let request = Request::get(path).header(ACCEPT, "text/html").header(COOKIE, cookie);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get("/me/account", "en").await;
        let token = between(&page.text, "name=\"form_token\" value=\"", "\"");
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).append_pair("form_token", token).finish();
        let request = Request::post(path)
            .header(ACCEPT, "text/html")
            .header(COOKIE, format!("{}; lang=en", self.cookie))
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(form.into()).unwrap()).await
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}")).1.split(end).next().unwrap()
}

/// What is wrong with a page, whatever it says.
fn faults(html: &str, lang: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rule = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    rule(html.starts_with(&format!("<!doctype html>\n<html lang=\"{lang}\">")), "the language of the page");
    rule(html.matches("<h1").count() == 1, "one h1");
    rule(!html.contains("No localization for id"), "a message without words");
    rule(!html.contains("{ $") && !html.contains("{$"), "a variable that was not filled in");
    rule(!html.contains("<style") && !html.contains(" style="), "no inline style");
    let scripts = html.split("<script").skip(1).map(|rest| rest.split('>').next().unwrap());
    rule(
        scripts.into_iter().all(|tag| tag.contains(" src=\"/") || tag.contains("type=\"application/json\"")),
        "no inline script",
    );
    let handlers = [" onclick=", " onsubmit=", " onload=", " onchange=", "javascript:"];
    rule(handlers.iter().all(|handler| !html.contains(handler)), "no inline handler");
    rule(html.matches("<table").count() == html.matches("<caption>").count(), "a caption for each table");
    rule(!html.contains("<th>"), "a scope for each header cell");
    let ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    rule(ids.len() == ids.iter().collect::<BTreeSet<_>>().len(), "ids that stand once");
    for (attribute, what) in [(" for=\"", "label"), (" aria-labelledby=\"", "heading"), (" href=\"#", "target")] {
        for id in html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            rule(ids.contains(&id), &format!("the {what} {id}"));
        }
    }
    let levels =
        html.match_indices("<h").filter_map(|(at, _)| html.as_bytes().get(at + 2)).filter(|level| level.is_ascii_digit());
    let levels: Vec<_> = levels.map(|level| level - b'0').collect();
    let first = levels.iter().position(|level| *level == 1).unwrap_or_default();
    rule(levels[first..].windows(2).all(|pair| pair[1] <= pair[0] + 1), "headings in order");
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_in_both_languages() {
    let pages = Pages::new();
    pages.city.app.publish_log().unwrap();
    let certificate = pages.city.app.register().certificates.keys().next().unwrap().to_string();
    let mut paths: Vec<String> = [
        "/",
        "/sign-in",
        "/sign-in/card",
        "/recover",
        "/freeze",
        "/freeze?done=yes",
        "/enrol",
        "/demo/clerk",
        "/me",
        "/me/footprint",
        "/me/footprint?service=svc_library",
        "/me/footprint/1/case",
        "/me/cases",
        "/me/cases/new",
        "/me/cases/new?service=svc_library",
        "/me/wishes",
        "/me/wishes?saved=true",
        "/me/messages",
        "/me/messages?saved=true",
        "/me/consents",
        "/me/data",
        "/me/data?corrected=blk_district",
        "/me/preview",
        "/me/preview?service=svc_library",
        "/me/account",
        "/me/delegations",
        "/me/delegations?ended=yes",
        "/me/delegations/give",
        "/me/delegations/take-up",
        "/me/account/devices",
        "/me/account/devices?removed=yes",
        "/me/account/devices/add",
        "/me/account/recovery",
        "/me/account/delete",
        "/register",
        "/register/mandates/mdt_library-card",
        "/register/mandates/mdt_library-card/notice",
        "/register/mandates/mdt_library-card/notices/1",
        "/register/mandates/mdt_short",
        "/register/mandates/mdt_coming",
        "/register/services",
        "/register/services/svc_library",
        "/register/contracts",
        "/register/agreements",
        "/register/late",
        "/vendor",
        "/office",
        "/officials",
        "/officials/key",
        "/register/agencies",
        "/register/agencies/agc_library",
        "/register/certificates",
        "/register/breaches",
        "/me/breaches",
        "/register/algorithms",
        "/register/cases",
        "/register/delayed",
        "/register/notices",
        "/register/statistics",
        "/register/counts",
        "/register/drafts",
        "/register/mandates/mdt_library-card/tallies",
        "/register/keys",
        "/register/assessments",
        "/register/audits",
        "/register/cameras",
        "/register/blocks",
        "/register/blocks/blk_district",
        "/register/ending",
        "/register/ending?quarter=2030-Q2",
        "/register/history/mdt_library-card",
        "/register/laws",
        "/register/refusals",
        "/register/statements/0",
        "/register/log",
        "/register/meetings",
        "/register/orders",
        "/register/rulings",
        "/oversight",
        "/oversight/agc_oversight",
    ]
    .map(str::to_owned)
    .into();
    paths.push(format!("/me/consents?withdrawn={certificate}"));
    paths.push(format!("/register/certificates/{certificate}"));
    let mut wrong = Vec::new();
    for path in &paths {
        for lang in ["en", "zh-Hant"] {
            let answer = pages.get(path, lang).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("{path} {lang}: {what}")));
        }
    }
    for lang in ["en", "zh-Hant"] {
        let answer = pages.get("/nowhere", lang).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        wrong.extend(faults(&answer.text, lang).into_iter().map(|what| format!("/nowhere {lang}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_people_and_services_stay_words() {
    let pages = Pages::new();
    for path in ["/me/cases", "/me/data", "/me/preview?service=svc_library"] {
        let answer = pages.get(path, "en").await;
        assert!(!answer.text.contains("<script>alert") && !answer.text.contains("<Seaside>"), "{path}");
    }
    let footprint = pages.get("/me/footprint", "en").await.text;
    let island = between(&footprint, "id=\"footprint-data\">", "</script>");
    assert!(!island.contains('<'));
    let payload: Value = serde_json::from_str(island).unwrap();
    let lines = payload["lines"].as_array().unwrap();
    for line in lines {
        assert!(footprint.contains(&format!("<tr data-line=\"{}\"", line["n"])), "line {} has a row", line["n"]);
    }
    assert!(footprint.contains("Asked and refused"));
    let chosen = pages.get("/me/footprint?service=svc_nobody", "en").await.text;
    assert!(!chosen.contains("<tr data-line"));
    let same: Value = serde_json::from_str(between(&chosen, "id=\"footprint-data\">", "</script>")).unwrap();
    assert_eq!(same["lines"], payload["lines"], "whatever is shown, all lines are checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_withdraws_and_says_what_came_of_it() {
    let pages = Pages::new();
    let answer = pages.post(&format!("/me/consents/{CARD}/withdraw"), &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let receipt = pages.get(&answer.location, "en").await.text;
    assert!(receipt.contains("data-testid=\"certificate\""));
    assert!(between(&receipt, "class=\"done\"", "</div>").contains("Library card"), "the receipt names the mandate");
    let another = format!("/me/consents?withdrawn={}", "crt_00000000-0000-7000-8000-000000000000");
    let strange = pages.get(&another, "en").await.text;
    assert!(!strange.contains("class=\"done\""), "only one's own withdrawal is confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_pauses_and_one_resumes() {
    let pages = Pages::new();
    let (pause, resume) = (format!("/me/consents/{CARD}/pause"), format!("/me/consents/{CARD}/resume"));
    let before = pages.get("/me/consents", "en").await.text;
    assert!(before.contains(&format!("action=\"{pause}\"")) && !before.contains(&resume));
    let answer = pages.post(&pause, &[]).await;
    assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/me/consents"));
    for (language, words) in [("en", "You have paused it"), ("zh-Hant", "您已暫停")] {
        let paused = pages.get("/me/consents", language).await.text;
        assert!(paused.contains(words) && paused.contains(&format!("action=\"{resume}\"")) && !paused.contains(&pause));
        assert_eq!(faults(&paused, language), Vec::<String>::new());
    }
    assert!(pages.get("/me/footprint", "en").await.text.contains("You paused what you lend."));
    assert_eq!(pages.post(&resume, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(pages.get("/me/footprint", "zh-Hant").await.text.contains("您已恢復提供資料"));
    assert!(pages.get("/me/consents", "en").await.text.contains(&pause));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_field_is_named_and_nothing_is_lost() {
    let pages = Pages::new();
    let long = "長".repeat(201);
    let answer = pages.post("/me/data/blk_district", &[("value", &long)]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("href=\"#value-blk_district\"") && answer.text.contains(&long));
    assert_eq!(faults(&answer.text, "en"), Vec::<String>::new());
    let long = "x".repeat(2_001);
    let answer = pages.post("/me/footprint/1/case", &[("kind", "challenge"), ("words", &long)]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("href=\"#words\"") && answer.text.contains(&long));
    assert_eq!(faults(&answer.text, "en"), Vec::<String>::new());
    let answer = pages.post("/me/footprint/1/case", &[("kind", "challenge"), ("words", &"a\r\n".repeat(900))]).await;
    assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/me/cases"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivated_the_portal_works_and_says_so() {
    let pages = Pages::new();
    pages.post("/me/account/deactivate", &[]).await;
    for path in ["/me", "/me/footprint", "/me/consents", "/me/data", "/me/account"] {
        let answer = pages.get(path, "en").await;
        assert_eq!(answer.text.matches("action=\"/me/account/reactivate\"").count(), 1, "{path}");
    }
    assert!(!pages.get("/register", "en").await.text.contains("reactivate"));
    pages.post("/me/account/reactivate", &[]).await;
    assert!(!pages.get("/me", "en").await.text.contains("reactivate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_register_says_where_a_mandate_stands() {
    let pages = Pages::new();
    let register = pages.get("/register", "en").await.text;
    for (standing, title) in [("active", CARD), ("ending-soon", "mdt_short"), ("coming", "mdt_coming")] {
        let section = between(&register, &format!("<h2 id=\"{standing}\""), "</section>");
        assert!(section.contains(&format!("/register/mandates/{title}\"")), "{title} is {standing}");
    }
    pages.city.clock.advance(10 * DAY);
    pages.city.app.tick().unwrap();
    let register = pages.get("/register", "en").await.text;
    let ended = between(&register, "<h2 id=\"ended\"", "</section>");
    assert!(ended.contains("mdt_short") && ended.contains("/register/certificates/crt_"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_stands_beside_each_page() {
    let pages = Pages::new();
    let certificate = pages.city.app.register().certificates.keys().next().unwrap().to_string();
    let mandate = format!("/register/mandates/{CARD}");
    let service = format!("/register/services/{SERVICE}");
    let certificate = format!("/register/certificates/{certificate}");
    for path in [&mandate, &service, &certificate] {
        let html = pages.get(path, "en").await.text;
        assert!(html.contains(&format!("href=\"{path}.json\"")), "{path}");
        let entry: Value = serde_json::from_str(&pages.get(&format!("{path}.json"), "en").await.text).unwrap();
        assert!(path.ends_with(entry["id"].as_str().unwrap()) && entry["hash"].is_string() && entry["index"].is_u64());
        assert!(html.contains(entry["hash"].as_str().unwrap()), "{path}");
    }
    for path in [
        "/register",
        "/register/services",
        "/register/agreements",
        "/register/contracts",
        "/register/agencies",
        "/register/breaches",
        "/register/certificates",
        "/register/keys",
        "/register/assessments",
        "/register/audits",
        "/register/cameras",
        "/register/blocks",
        "/register/blocks/blk_district",
        "/register/history/mdt_library-card",
        "/register/laws",
        "/register/statements/0",
        "/register/log",
        "/register/meetings",
        "/register/orders",
        "/register/rulings",
    ] {
        assert!(pages.get(path, "en").await.text.contains(&format!("href=\"{path}.json\"")), "{path}");
        let list: Value = serde_json::from_str(&pages.get(&format!("{path}.json"), "en").await.text).unwrap();
        assert!(list.is_object(), "{path}");
    }
    assert_ne!(pages.resident, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn she_sees_the_commitment_that_her_next_certificate_must_name() {
    let pages = Pages::new();
    let page = pages.get("/me/data", "en").await.text;
    let shown = between(&page, "<code data-testid=\"own-key\">", "</code>").to_owned();
    let withdrawn = pages.city.app.withdraw(pages.resident, &mandate()).unwrap();
    let register = pages.city.app.register();
    let named = &register.certificates[&withdrawn.certificate].body.key_commitments;
    assert!(named.len() == 1 && named[0].to_string() == shown, "{named:?}");
    let page = pages.get("/me/data", "en").await.text;
    assert_ne!(between(&page, "<code data-testid=\"own-key\">", "</code>"), shown, "she has another key now");
}

#[tokio::test(flavor = "multi_thread")]
async fn published_keys_stand_with_what_they_belong_to_and_lead_to_their_certificates() {
    let pages = Pages::new();
    pages.city.clock.advance(10 * DAY);
    pages.city.app.tick().unwrap();
    let register = pages.city.app.register();
    let of = |mandate: &str| register.living_keys(&KeyOf::Mandate(mandate.parse().unwrap()));
    let own = of(CARD)[0].body.commitment.to_string();
    let list = pages.get("/register/keys", "en").await.text;
    let card = pages.get(&format!("/register/mandates/{CARD}"), "en").await.text;
    assert!(list.contains(&own) && card.contains(&own) && card.contains("lives"), "{card}");
    let ended = register.certificate(&"mdt_short".parse().unwrap()).unwrap();
    let gone = ended.body.key_commitments[0].to_string();
    let short = pages.get("/register/mandates/mdt_short", "en").await.text;
    for page in [&list, &short] {
        assert!(page.contains(&gone) && page.contains(&format!("/register/certificates/{}\">gone", ended.id)), "{page}");
    }
    let certificate = pages.get(&format!("/register/certificates/{}", ended.id), "en").await.text;
    assert!(certificate.contains("id=\"certificate-published\"") && certificate.contains("id=\"certificate-approved\""));
    // Its own key, and that of the month.
    let keys: Vec<u64> = ended.body.key_commitments.iter().map(|commitment| register.key(commitment).unwrap().index).collect();
    let payload: Value = serde_json::from_str(between(&certificate, "id=\"certificate-data\">", "</script>")).unwrap();
    assert_eq!((&payload["keys"], &payload["operator"], keys.len()), (&json!(keys), &json!([0]), 2));
    assert_eq!((payload["first"].as_u64(), payload["index"].as_u64()), (Some(ended.number), Some(ended.index)));
    let end = register.mandates[&"mdt_short".parse().unwrap()].history.iter().find(|step| step.to == State::Sunset).unwrap();
    assert_eq!((&payload["ends"], certificate.contains("id=\"certificate-dates\"")), (&json!([end.index]), true));
    // Of a resident's key the log knew nothing before.
    let hers = register.certificates.values().find(|entry| entry.body.mandate.is_none()).unwrap();
    let page = pages.get(&format!("/register/certificates/{}", hers.id), "en").await.text;
    assert!(!page.contains("id=\"certificate-published\"") && page.contains("first published here"), "{page}");
    let sector = pages.get(&format!("/register/services/{SERVICE}"), "en").await.text;
    let domain = register.living_keys(&KeyOf::Sector("library".into()))[0].body.commitment.to_string();
    assert!(sector.contains(&domain) && list.contains(&domain), "{sector}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_certificate_or_stands_in_its_place_is_shown() {
    let pages = Pages::new();
    let withdrawn = pages.city.app.withdraw(pages.resident, &mandate()).unwrap();
    let path = format!("/register/certificates/{}", withdrawn.certificate);
    assert!(!pages.get(&path, "en").await.text.contains("purged on"));
    let through = pages.city.app.register().certificates[&withdrawn.certificate].number;
    let said = json!({"through": through, "purged_at": pages.city.app.now().to_string()});
    pages.city.publish(StatementKind::Purge, "prg_first", OPERATOR, said);
    for (language, words) in [("en", "purged on"), ("zh-Hant", "已清除於")] {
        assert!(pages.get(&path, language).await.text.contains(words), "{language}");
    }
    let reason = json!({"en": "The proofs are <lost>.", "zh-Hant": "證明已佚失。"});
    let said = json!({"key_commitments": [], "reason": reason});
    pages.city.publish(StatementKind::Uncertified, "crt_nothing", OPERATOR, said);
    let page = pages.get("/register/certificates/crt_nothing", "en").await;
    assert!(page.text.contains("The proofs are &#60;lost&#62;.") && page.text.contains("without a certificate"), "{}", page.text);
    assert!(pages.get("/register/certificates/crt_nothing", "zh-Hant").await.text.contains("證明已佚失。"));
    assert!(pages.get("/register/certificates/crt_nothing.json", "en").await.text.contains("\"crt_nothing\""));
    let late = pages.get("/register/late", "en").await.text;
    assert!(late.contains("cannot prove it") && late.contains("/register/certificates/crt_nothing"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_that_has_ended_opens_nothing_to_a_page_from_before() {
    let mut pages = Pages::new();
    let app = Arc::clone(&pages.city.app);
    let person = pages.city.enrol(1)[0];
    app.consent_at_counter(person, &common::service(), &mandate(), &[]).unwrap();
    let session = |token: &str| app.session(token).unwrap().unwrap();
    let new = NewHelper {
        helper_called: "<b>Mei</b>".into(),
        person_called: "<i>Bao</i> & co".into(),
        powers: Powers::all(),
        ends_at: app.now().plus(10 * MINUTE),
    };
    let code = app.give_help(&session(&app.open_session(person, "test").unwrap()), &new).unwrap();
    let own = session(pages.cookie.strip_prefix("usufruct=").unwrap());
    app.take_up_help(&own, &code).unwrap();
    let id = app.delegations(&own).unwrap()[0].id.clone();
    let own_cookie = pages.cookie.clone();
    pages.cookie = format!("{own_cookie}; usufruct-acting={}", app.begin_acting(&own, &id).unwrap());

    for (path, lang) in [
        ("/me/acting", "en"),
        ("/me/acting", "zh-Hant"),
        ("/me/footprint", "zh-Hant"),
        ("/me/consents", "en"),
        ("/register", "en"),
    ] {
        let page = pages.get(path, lang).await;
        assert_eq!((page.status, faults(&page.text, lang)), (StatusCode::OK, Vec::new()), "{path}");
        assert!(page.text.contains("data-testid=\"acting\"") && !page.text.contains("<i>Bao"), "{path}");
    }
    for (path, status) in [
        ("/me/account", StatusCode::FORBIDDEN),
        ("/me/footprint/9999/case", StatusCode::NOT_FOUND),
        ("/nowhere", StatusCode::NOT_FOUND),
    ] {
        let page = pages.get(path, "en").await;
        assert_eq!((page.status, faults(&page.text, "en")), (status, Vec::new()), "{path}");
        assert!(page.text.contains("data-testid=\"acting\""), "what says no says for whom: {path}");
    }
    let before = pages.get("/me/consents", "en").await;
    let token = between(&before.text, "name=\"form_token\" value=\"", "\"").to_owned();
    pages.city.clock.advance(10 * MINUTE);

    let form = format!("form_token={token}");
    let request = Request::post("/me/consents/mdt_library-card/withdraw")
        .header(ACCEPT, "text/html")
        .header(COOKIE, format!("{}; lang=en", pages.cookie))
        .header("sec-fetch-site", "same-origin")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let late = pages.send(request.body(form.into()).unwrap()).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN, "neither for the person nor for the helper herself");
    for resident in [person, pages.resident] {
        let given = app.grants(resident).unwrap();
        assert!(given.iter().any(|stored| stored.grant.state == usufruct_core::grant::GrantState::Given), "{resident}");
    }
    let page = pages.get("/me/footprint", "en").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("data-testid=\"acting\""), "now she sees her own");
    assert_eq!(faults(&page.text, "en"), Vec::<String>::new());
}
