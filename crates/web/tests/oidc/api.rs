//! The release API.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use usufruct_app::store::db::{Connection, Tx};
use usufruct_core::time::DAY;

use crate::common::{CARD, SERVICE, library_card, mandate, service, text};
use crate::site::{Answer, LOGIN, OTHER, TestSite};

fn lawful(subject: &str) -> Value {
    json!({ "subject": subject, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending" })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

/// The problem document of a refusal: two sentences, never a page.
fn problem(answer: &Answer, status: StatusCode) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header(CONTENT_TYPE), "application/problem+json");
    let body = answer.json();
    assert!(body["type"].as_str().unwrap().starts_with("urn:usufruct:problem:"));
    assert!(body["detail"].as_str().unwrap().matches(". ").count() >= 1, "{body}");
    assert_eq!(body["status"], status.as_u16());
    body
}

#[tokio::test]
async fn a_block_comes_with_its_place_in_the_log() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    let token = site.client_token().await;
    let answer = site.api("/api/releases", &token, &with(lawful(&subject), "actor", json!("officer 17"))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["blocks", "deposits", "log", "mandate", "receipt", "subject", "until"]);
    assert_eq!(body["deposits"], json!([]));
    assert_eq!(body["blocks"], json!([{ "block": "blk_name", "form": "value", "value": "Resident 0" }]));
    assert_eq!(body["log"]["origin"], "city.test/log");
    let index = body["log"]["index"].as_u64().unwrap();
    assert!(body["receipt"].as_str().unwrap().contains(&format!("\n{index}\n")));
    assert_eq!(body["until"], "2026-01-31T00:00:00Z");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_refusal_names_the_clause_and_the_way_out() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    let token = site.client_token().await;
    let refused = async |body: Value| {
        let body = problem(&site.api("/api/releases", &token, &body).await, StatusCode::FORBIDDEN);
        let clause = &body["clauses"][0];
        assert!(clause["what"].is_string() && clause["remedy"].is_string());
        clause["clause"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(with(lawful(&subject), "mandate", json!("mdt_nothing"))).await, "mandate");
    assert_eq!(refused(with(lawful(&subject), "reason", json!("curiosity"))).await, "reason");
    assert_eq!(refused(with(lawful(&subject), "blocks", json!([]))).await, "blocks-in-mandate");
    assert_eq!(
        refused(with(lawful(&subject), "blocks", json!([{ "block": "blk_income", "form": "value" }]))).await,
        "blocks-in-mandate"
    );
    assert_eq!(
        refused(with(lawful(&subject), "blocks", json!([{ "block": "blk_district", "form": "value" }]))).await,
        "blocks-chosen"
    );
    assert_eq!(refused(with(lawful(&subject), "mandate", json!("mdt_short"))).await, "grant");
    for unknown in ["AAAAAAAAAAAAAAAAAAAAAA", "", "nonsense"] {
        problem(&site.api("/api/releases", &token, &lawful(unknown)).await, StatusCode::NOT_FOUND);
    }
    // After a withdrawal the old pseudonym leads nowhere, and the new one has no grant.
    site.city.app.withdraw(resident, &mandate()).unwrap();
    problem(&site.api("/api/releases", &site.client_token().await, &lawful(&subject)).await, StatusCode::NOT_FOUND);
    let (_, fresh) = site.tokens(&cookie, &[("scope", "openid")]).await;
    assert_ne!(fresh, subject);
    assert_eq!(refused(lawful(&fresh)).await, "grant");
}

#[tokio::test]
async fn only_a_services_own_token_opens_it() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let (of_resident, subject) = site.tokens(&cookie, &[]).await;
    let token = site.client_token().await;
    for path in ["/api/releases", "/api/releases/batch"] {
        for header in [
            None,
            Some("Bearer".to_owned()),
            Some(format!("DPoP {of_resident}")),
            Some("DPoP nonsense".to_owned()),
            Some(format!("Bearer {token}")),
            Some(format!("Basic {token}")),
            Some(token.clone()),
        ] {
            let mut request = Request::post(path).header(CONTENT_TYPE, "application/json");
            if let Some(header) = &header {
                let borne = header.strip_prefix("DPoP ").unwrap_or(&token);
                request = request.header(AUTHORIZATION, header).header("dpop", site.proof("POST", path, Some(borne)));
            }
            // Who does not prove itself is told so, whatever it sends.
            let answer = site.send(request.body("{".into()).unwrap()).await;
            // A token that a resident gave opens what is about her alone, and no batch.
            if path == "/api/releases" && header.as_ref().is_some_and(|header| header.ends_with(&of_resident)) {
                problem(&answer, StatusCode::BAD_REQUEST);
                continue;
            }
            problem(&answer, StatusCode::UNAUTHORIZED);
            assert!(answer.header("www-authenticate").starts_with("DPoP "), "{header:?}");
        }
        let unproven =
            Request::post(path).header(AUTHORIZATION, format!("DPoP {token}")).header(CONTENT_TYPE, "application/json");
        let answer = site.send(unproven.body("{".into()).unwrap()).await;
        problem(&answer, StatusCode::UNAUTHORIZED);
        assert!(answer.header("www-authenticate").contains("error=\"invalid_dpop_proof\""));
    }
    let lower = Request::post("/api/releases")
        .header(AUTHORIZATION, format!("dpop {token}"))
        .header("DPOP", site.proof("POST", "/api/releases", Some(&token)))
        .header(CONTENT_TYPE, "application/json");
    assert_eq!(site.send(lower.body(lawful(&subject).to_string().into()).unwrap()).await.status, StatusCode::OK);
    let revoked = site.client_token().await;
    site.oauth("/oidc/revoke", &[("token", &revoked)]).await;
    problem(&site.api("/api/releases", &revoked, &lawful(&subject)).await, StatusCode::UNAUTHORIZED);
    site.city.clock.advance(120 * usufruct_core::time::SECOND);
    problem(&site.api("/api/releases", &token, &lawful(&subject)).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_cannot_be_read_gets_a_clear_problem() {
    let site = TestSite::new();
    let token = site.client_token().await;
    let send = |path: &str, kind: &str, body: Vec<u8>| {
        let request = site.bearing("POST", path, &token).header(CONTENT_TYPE, kind);
        site.send(request.header("accept", "text/html").body(Body::from(body)).unwrap())
    };
    let wrong = [
        json!([]),
        json!("x"),
        with(lawful("x"), "extra", json!(1)),
        with(lawful("x"), "subject", json!(1)),
        with(lawful("x"), "mandate", json!("nonsense")),
        with(lawful("x"), "blocks", json!([{ "block": "blk_name", "form": "everything" }])),
        with(lawful("x"), "blocks", json!([{ "block": "blk_name", "form": "value", "extra": 1 }])),
        with(lawful("x"), "blocks", json!(vec![json!({ "block": "blk_name", "form": "token" }); 51])),
        json!({ "subject": "x" }),
    ];
    for body in wrong {
        problem(&send("/api/releases", "application/json", body.to_string().into()).await, StatusCode::BAD_REQUEST);
    }
    for broken in ["", "{", "{\"subject\":\"x\",\"subject\":\"y\"}", "nul", "{}{}"] {
        problem(&send("/api/releases", "application/json", broken.into()).await, StatusCode::BAD_REQUEST);
    }
    problem(&send("/api/releases", "application/json", vec![0xff, 0xfe, 0]).await, StatusCode::BAD_REQUEST);
    problem(&send("/api/releases", "application/json", "[".repeat(60_000).into()).await, StatusCode::BAD_REQUEST);
    for kind in ["", "text/plain", "application/x-www-form-urlencoded"] {
        problem(&send("/api/releases", kind, lawful("x").to_string().into()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    problem(&send("/api/releases", "application/json", vec![b' '; 100_000]).await, StatusCode::PAYLOAD_TOO_LARGE);
    problem(&send("/api/releases/batch", "application/json", vec![b' '; 3_000_000]).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_batch_answers_one_by_one() {
    let site = TestSite::new();
    let mut subjects = Vec::new();
    let mut first = None;
    for _ in 0..3 {
        let (resident, cookie) = site.resident();
        first.get_or_insert(resident);
        subjects.push(site.tokens(&cookie, &[]).await.1);
    }
    site.city.app.withdraw(first.unwrap(), &mandate()).unwrap();
    subjects.push("AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let body = |subjects: &[String]| json!({ "subjects": subjects, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending" });
    let token = site.client_token().await;
    let answer = site.api("/api/releases/batch", &token, &body(&subjects)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let answered = answer.json();
    let lines = answered["lines"].as_array().unwrap();
    assert_eq!(lines.iter().map(|line| line["subject"].as_str().unwrap()).collect::<Vec<_>>(), subjects);
    assert_eq!(lines[0]["problem"]["status"], 404);
    assert_eq!(lines[1]["blocks"][0]["value"], "Resident 0");
    assert!(lines[2]["receipt"].is_string() && lines[2]["log"]["index"].is_u64());
    assert_eq!(lines[3]["problem"]["status"], 404);

    let twice = vec![subjects[1].clone(), subjects[1].clone()];
    problem(&site.api("/api/releases/batch", &token, &body(&twice)).await, StatusCode::CONFLICT);
    for crowd in [vec![], vec!["A".repeat(22); 10_001]] {
        let refused = problem(&site.api("/api/releases/batch", &token, &body(&crowd)).await, StatusCode::FORBIDDEN);
        assert_eq!(refused["clauses"][0]["clause"], "bulk-limit");
    }
    let unreasoned = with(body(&subjects), "reason", json!("curiosity"));
    assert_eq!(
        problem(&site.api("/api/releases/batch", &token, &unreasoned).await, StatusCode::FORBIDDEN)["clauses"][0]["clause"],
        "reason"
    );
}

#[tokio::test]
async fn a_service_learns_what_to_delete_and_answers() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    let token = site.client_token().await;
    let list = async |token: &str| site.send(site.bearing("GET", "/api/deletions", token).body(Body::empty()).unwrap()).await;
    assert_eq!(list(&token).await.json(), json!({ "deletions": [] }));
    site.city.app.withdraw(resident, &mandate()).unwrap();
    let answer = list(&token).await;
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
    let notice = answer.json()["deletions"][0].clone();
    assert_eq!((&notice["subject"], &notice["mandate"]), (&json!(subject), &json!(CARD)));
    for time in ["noted_at", "due_at"] {
        let hour = notice[time].as_str().unwrap();
        assert!(hour.ends_with(":00:00Z"), "the exact time would be the same at every service she left: {hour}");
    }
    let path = format!("/api/deletions/{}", notice["id"].as_str().unwrap());
    for bad in [json!({}), json!({ "answer": "perhaps" }), json!({ "answer": "deleted", "more": 1 })] {
        problem(&site.api(&path, &token, &bad).await, StatusCode::BAD_REQUEST);
    }
    let deleted = json!({ "answer": "deleted" });
    problem(&site.api("/api/deletions/del_none", &token, &deleted).await, StatusCode::NOT_FOUND);
    assert_eq!(site.api("/api/deletions/%00", &token, &deleted).await.status, StatusCode::BAD_REQUEST);
    problem(&site.api(&path, "uft_forged", &deleted).await, StatusCode::UNAUTHORIZED);
    problem(&list("uft_forged").await, StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        assert_eq!(site.api(&path, &token, &deleted).await.status, StatusCode::NO_CONTENT);
    }
    problem(&site.api(&path, &token, &json!({ "answer": "kept" })).await, StatusCode::CONFLICT);
    assert_eq!(list(&token).await.json(), json!({ "deletions": [] }));
    let page = site.get("/me/consents", &cookie).await;
    assert!(page.text().contains("data-testid=\"told\"") && page.text().contains("deleted"), "she sees what it said");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_seen_by_her_and_by_everybody() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    site.tokens(&cookie, &[]).await;
    site.city.app.withdraw(resident, &mandate()).unwrap();
    let counts = async || site.get("/register/vault.json", "").await.json()["deletions"].clone();
    let before = counts().await;
    assert_eq!((&before["overdue"], &before["missed"]), (&json!(0), &json!(0)));
    let told = before["noted"].clone();
    site.city.clock.advance(31 * DAY);
    site.city.app.note_missed_deletions().unwrap();
    let cookie = site.sign_in(resident);
    for (language, words) in [("en", "Noted as missed on"), ("zh-Hant", "已登錄為逾期")] {
        let page = site.get(&format!("/me/consents?lang={language}"), &cookie).await;
        assert!(page.text().contains("data-testid=\"missed\"") && page.text().contains(words), "{language}");
        let public = site.get(&format!("/register/vault?lang={language}"), "").await;
        assert!(public.text().contains(&format!("data-testid=\"missed\">{told}<")), "{language}");
    }
    let token = site.client_token().await;
    let list = site.send(site.bearing("GET", "/api/deletions", &token).body(Body::empty()).unwrap()).await.json();
    let path = format!("/api/deletions/{}", list["deletions"][0]["id"].as_str().unwrap());
    assert_eq!(site.api(&path, &token, &json!({ "answer": "deleted" })).await.status, StatusCode::NO_CONTENT);
    let page = site.get("/me/consents", &cookie).await;
    assert!(page.text().contains("Late: it was due on"), "a late answer is known as one");
    let after = counts().await;
    assert_eq!((&after["missed"], after["overdue"].as_i64()), (&told, told.as_i64().map(|told| told - 1)));
}

#[tokio::test]
async fn an_answer_that_somebody_else_wrote_is_shown_to_her_and_to_everybody_as_altered() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    site.tokens(&cookie, &[]).await;
    site.city.app.withdraw(resident, &mandate()).unwrap();
    let now = site.city.app.now().micros();
    let sql = "UPDATE deletions SET answer = 'deleted', answered_at = $1 WHERE service = $2";
    let write = move |tx: &mut Tx<'_>| tx.execute(sql, &[now.into(), SERVICE.into()]);
    assert_eq!(site.city.app.db().transaction("insider", write).unwrap(), 1);
    let cookie = site.sign_in(resident);
    for (language, words, answer) in [("en", "Somebody wrote to this notice", "deleted"), ("zh-Hant", "遭竄改", "已刪除")] {
        let page = site.get(&format!("/me/consents?lang={language}"), &cookie).await;
        let shown = page.text().split("data-testid=\"told\"").find(|notice| notice.contains("data-testid=\"altered\"")).unwrap();
        let shown = shown.split("</li>").next().unwrap();
        assert!(shown.contains(words) && !shown.contains(answer), "{language}: {shown}");
    }
    site.city.app.note_altered_deletions().unwrap();
    let counts = site.get("/register/vault.json", "").await.json()["deletions"].clone();
    assert_eq!((&counts["altered"], &counts["answered"]), (&json!(1), &json!(0)));
    let public = site.get("/register/vault", "").await;
    assert!(public.text().contains("data-testid=\"altered\">1<"));
    let token = site.client_token().await;
    let list = site.send(site.bearing("GET", "/api/deletions", &token).body(Body::empty()).unwrap()).await.json();
    assert!(list["deletions"].as_array().unwrap().iter().all(|notice| notice["mandate"] != CARD), "{list}");
}

#[tokio::test]
async fn whoever_deletes_her_pass_reads_who_is_told_and_who_cannot_be() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.tokens(&cookie, &[]).await;
    site.plain_token_answer(&cookie, &[]).await;
    for language in ["en", "zh-Hant"] {
        let page = site.get(&format!("/me/account/delete?lang={language}"), &cookie).await;
        let list = |name: &str| {
            let rest = page.text().split_once(&format!("data-testid=\"{name}\"")).unwrap_or_else(|| panic!("{}", page.text())).1;
            rest.split("</ul>").next().unwrap().to_owned()
        };
        let of = |id: &str| format!("/register/services/{id}\"");
        assert!(list("told").contains(&of(SERVICE)) && !list("told").contains(&of(LOGIN)), "{language}");
        assert!(list("untold").contains(&of(LOGIN)) && !list("untold").contains(&of(SERVICE)), "{language}");
    }
}

/// What a mandate needs so that the library learns the pseudonyms of the second service.
fn joining(mut body: Value) -> Value {
    body["conversions"] = json!([{ "from": SERVICE, "to": OTHER, "why": text("Readers enter.") }]);
    body
}

#[tokio::test]
async fn pseudonyms_are_converted_one_by_one_and_the_resident_reads_it() {
    let site = TestSite::new();
    let mut joined = library_card();
    joined["sunset_at"] = json!("2026-01-10T00:00:00Z");
    site.city.publish_mandate("mdt_short", joining(joined));
    site.join_second("mdt_short");
    let (resident, cookie) = site.resident();
    site.city.app.consent_at_counter(resident, &service(), &"mdt_short".parse().unwrap(), &[]).unwrap();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    let token = site.client_token().await;
    let asked =
        json!({ "subjects": [subject, "AAAAAAAAAAAAAAAAAAAAAA"], "to": OTHER, "mandate": "mdt_short", "reason": "lending" });
    let answer = site.api("/api/conversions", &token, &asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&body), ["lines", "mandate", "to"]);
    let line = &body["lines"][0];
    assert_eq!(names(line), ["converted", "log", "receipt", "subject", "until"]);
    assert_eq!(line["subject"], json!(subject));
    assert_eq!(line["converted"], json!(site.city.app.subject(resident, &OTHER.parse().unwrap()).unwrap()));
    assert_eq!(body["lines"][1]["problem"]["status"], 404);

    let refused = async |body: Value| problem(&site.api("/api/conversions", &token, &body).await, StatusCode::FORBIDDEN);
    let clause = refused(with(asked.clone(), "mandate", json!(CARD))).await["clauses"][0].clone();
    assert_eq!(clause["clause"], "conversion");
    assert_eq!(refused(with(asked.clone(), "to", json!("svc_nowhere"))).await["clauses"][0]["clause"], "service");
    for bad in [with(asked.clone(), "to", json!("library")), with(asked.clone(), "extra", json!(1)), json!({})] {
        problem(&site.api("/api/conversions", &token, &bad).await, StatusCode::BAD_REQUEST);
    }
    problem(&site.api("/api/conversions", "nonsense", &asked).await, StatusCode::UNAUTHORIZED);

    for (language, told) in [("en", "Your pseudonym at"), ("zh-Hant", "的代碼；不含任何個人資料")] {
        let page = site.get("/me/footprint", &format!("{cookie}; lang={language}")).await;
        assert!(page.text().contains(told), "{language}");
    }
    let page = site.get("/register/mandates/mdt_short", "").await;
    assert!(page.text().contains("Readers enter.") || page.text().contains("Readers enter.（中文）"));
}

#[tokio::test]
async fn what_a_service_deposits_stands_in_her_data_until_its_day() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    let visit =
        json!({ "subject": subject, "mandate": "mdt_short", "block": "blk_name", "value": "Main <hall>", "reason": "lending" });
    let deposit = async |body: &Value| site.api("/api/deposits", &site.client_token().await, body).await;
    let refused = problem(&deposit(&with(visit.clone(), "mandate", json!(CARD))).await, StatusCode::FORBIDDEN);
    assert_eq!(refused["clauses"][0]["clause"], "operation", "{refused}");
    let mut body = library_card();
    body["sunset_at"] = json!("2026-01-10T00:00:00Z");
    body["operations"] = json!(["collect", "deposit", "match"]);
    body["retention"]["duration"] = json!("P3D");
    site.city.publish_mandate("mdt_short", body);
    let refused = problem(&deposit(&visit).await, StatusCode::FORBIDDEN);
    assert_eq!(refused["clauses"][0]["clause"], "grant", "{refused}");
    site.city.app.consent_at_counter(resident, &service(), &"mdt_short".parse().unwrap(), &[]).unwrap();
    let answer = deposit(&with(visit.clone(), "actor", json!("officer 17"))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["block", "log", "mandate", "receipt", "subject", "until"]);
    assert_eq!((&body["until"], &body["block"]), (&json!("2026-01-04T00:00:00Z"), &json!("blk_name")));
    let index = body["log"]["index"].as_u64().unwrap();
    assert!(body["receipt"].as_str().unwrap().contains(&format!("\n{index}\n")));
    assert_eq!(answer.header("cache-control"), "no-store");
    problem(&deposit(&with(visit.clone(), "value", json!("two\nlines"))).await, StatusCode::CONFLICT);
    problem(&deposit(&with(visit.clone(), "form", json!("value"))).await, StatusCode::BAD_REQUEST);
    problem(&deposit(&with(visit, "subject", json!("nonsense"))).await, StatusCode::NOT_FOUND);
    // The dry run says that the service gets it too.
    let preview = site.get("/me/preview?service=svc_library", &format!("{cookie}; lang=en")).await;
    assert!(
        preview.text().contains("Main &#60;hall&#62;</strong> <span class=\"hint\">put in by a service on"),
        "{}",
        preview.text()
    );
    // It comes back with the block, to whoever may have the value of the block under the same mandate.
    let deposits = async |mandate: &str, form: &str| {
        let body = with(lawful(&subject), "mandate", json!(mandate));
        let body = with(body, "blocks", json!([{ "block": "blk_name", "form": form }]));
        let answer = site.api("/api/releases", &site.client_token().await, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["deposits"].clone()
    };
    let given = json!([{
        "block": "blk_name", "value": "Main <hall>", "at": "2026-01-01", "until": "2026-01-04"
    }]);
    assert_eq!(deposits("mdt_short", "value").await, given);
    for (mandate, form) in [("mdt_short", "predicate"), ("mdt_short", "token"), (CARD, "value")] {
        assert_eq!(deposits(mandate, form).await, json!([]), "{mandate} {form}");
    }
    let batch = json!({
        "subjects": [&subject], "mandate": "mdt_short", "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending"
    });
    let answer = site.api("/api/releases/batch", &site.client_token().await, &batch).await;
    assert_eq!(answer.json()["lines"][0]["deposits"], given, "{}", answer.text());
    // She reads it, and in her footprint that it was deposited.
    let page = site.get("/me/data", &cookie).await;
    assert!(page.text().contains("Main &#60;hall&#62;"), "{}", page.text());
    let chinese = site.get("/me/data", &format!("{cookie}; lang=zh-Hant")).await;
    assert!(chinese.text().contains("由服務存入"));
    let footprint = site.get("/me/footprint", &format!("{cookie}; lang=en")).await;
    assert!(footprint.text().contains("A service put data about you into the pass"));
    site.city.clock.advance(3 * usufruct_core::time::DAY);
    assert_eq!(deposits("mdt_short", "value").await, json!([]));
    let cookie = site.sign_in(resident);
    assert!(!site.get("/me/data", &cookie).await.text().contains("hall"));
}

#[tokio::test]
async fn a_token_that_is_good_for_something_else_lacks_the_scope() {
    let site = TestSite::new();
    let body = json!({"subject": "AAAAAAAAAAAAAAAAAAAAAA", "mandate": CARD, "blocks": [], "reason": "lending"});
    for scope in ["ssf.manage", "grant_management_query"] {
        let token = site.own_token(SERVICE, scope).await;
        for path in ["/api/releases", "/api/releases/batch", "/api/deposits", "/api/conversions"] {
            let denied = site.api(path, &token, &body).await;
            assert_eq!(denied.status, StatusCode::FORBIDDEN, "{scope} {path}");
            let challenge = denied.header("www-authenticate");
            assert!(challenge.contains("error=\"insufficient_scope\", scope=\"release\""), "{challenge}");
        }
    }
    let denied = site.api("/api/releases", "uft_unknown", &body).await;
    assert_eq!(denied.status, StatusCode::UNAUTHORIZED, "and one that nobody made is no token");
}
