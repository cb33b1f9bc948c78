//! What the router and its extractors refuse by themselves: in words for programs, as a page for browsers, headers kept.

#[path = "../../app/tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use common::City;
use futures_util::{StreamExt, stream};
use tower::ServiceExt;
use usufruct_web::{Settings, Site};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

struct Pass {
    app: Arc<usufruct_app::App>,
    resident: u64,
    router: axum::Router,
    _dir: tempfile::TempDir,
}

impl Pass {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let city = City::found(dir.path(), None);
        let settings = Settings { issuer: "http://localhost:8080".into(), allows_oidc: true, demo: None };
        let (app, resident) = (Arc::clone(&city.app), city.enrol(1)[0]);
        Self { app, resident, router: usufruct_web::router(Arc::new(Site::new(city.app, settings).unwrap())), _dir: dir }
    }

    /// Sends a form of the resident's session by `token`, of which `body` is what comes and when.
    async fn send(&self, path: &str, token: &str, body: Body) -> Answer {
        let request = Request::builder().method("POST").uri(path).header("cookie", format!("usufruct={token}"));
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem_document_or_a_page() {
    let pass = Pass::new();
    let large = format!("{{\"code\":\"{}\"}}", "x".repeat(100_000));
    let start = "/webauthn/register/start";
    for (method, path, headers, body, status, allow) in [
        ("POST", "/register", vec![], "", 405, "GET,HEAD"),
        ("DELETE", "/oidc/token", vec![], "", 405, "POST,OPTIONS"),
        ("PUT", "/me/footprint/3/case", vec![], "", 405, "GET,HEAD,POST"),
        ("GET", "/me/sign-out", vec![], "", 405, "POST"),
        ("POST", start, vec![JSON], "{", 400, ""),
        ("POST", start, vec![JSON], "{\"code\": 3}", 422, ""),
        ("POST", start, vec![JSON], &large, 413, ""),
        ("POST", start, vec![], "{}", 415, ""),
        ("GET", "/sign-in?next=%2Fme&next=%2Fme", vec![], "", 400, ""),
        ("POST", "/nowhere", vec![], "", 404, ""),
    ] {
        let answer = pass.ask(method, path, &headers, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (status, allow), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("urn:usufruct:problem:"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().matches(". ").count() == 1, "two sentences: {problem}");
        let page = pass.ask(method, path, &[&headers[..], &[HTML]].concat(), body).await;
        assert_eq!((page.status.as_u16(), page.header("allow")), (status, allow), "{method} {path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{method} {path}");
        assert!(page.body.contains("<h1") && page.headers.get_all("content-type").iter().count() == 1, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_a_session_leads_to_the_page_it_stands_on() {
    let pass = Pass::new();
    for (form, page) in [
        ("/me/consents/mdt_library-card/withdraw", "/me/consents"),
        ("/me/data/blk_name", "/me/data"),
        ("/me/footprint/3/case", "/me/footprint"),
        ("/me/account/deactivate", "/me/account"),
        ("/me/account/reactivate", "/me/account"),
        ("/me/account/delete", "/me/account/delete"),
        ("/me/account/recovery", "/me/account/recovery"),
        ("/me/account/devices/remove", "/me/account/devices"),
        ("/me/account/footprint-key/forget", "/me/account/devices"),
        ("/me/account/recovery/own", "/me/account/recovery"),
        ("/me/account/lift", "/me/account"),
        ("/me/sign-out", "/me"),
        ("/me/sign-out-everywhere", "/me"),
    ] {
        let sent = pass.ask("POST", form, &[HTML], "").await;
        let target = format!("/sign-in?next={}", page.replace('/', "%2F"));
        assert_eq!((sent.status.as_u16(), sent.header("location")), (303, target.as_str()), "{form}");
        // It is a page: without a session, it asks to sign in and comes back to itself.
        let opened = pass.ask("GET", page, &[HTML], "").await;
        assert_eq!((opened.status.as_u16(), opened.header("location")), (303, target.as_str()), "{page}");
    }
    let opened = pass.ask("GET", "/me/footprint?after=3", &[HTML], "").await;
    assert_eq!(opened.header("location"), "/sign-in?next=%2Fme%2Ffootprint%3Fafter%3D3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_held_open_is_of_no_session_that_ended() {
    let pass = Pass::new();
    for is_cut_off in [false, true] {
        let token = pass.app.open_session(pass.resident, "test").unwrap();
        let form = format!("form_token={}", pass.app.session(&token).unwrap().unwrap().form_token);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, may_end) = tokio::sync::oneshot::channel();
        let held = stream::once(async move {
            begun.send(()).unwrap();
            may_end.await.unwrap();
            Ok::<_, std::io::Error>(form)
        });
        let (app, resident) = (Arc::clone(&pass.app), pass.resident);
        let cut_off = async move {
            has_begun.await.unwrap();
            if is_cut_off {
                tokio::task::spawn_blocking(move || app.sign_out_everywhere(resident)).await.unwrap().unwrap();
            }
            end.send(()).unwrap();
        };
        let (answer, ()) = tokio::join!(pass.send("/me/account/recovery", &token, Body::from_stream(held)), cut_off);
        assert_eq!(answer.status.as_u16(), if is_cut_off { 401 } else { 200 }, "{}", answer.body);
        assert_eq!(pass.app.recovery_codes_left(pass.resident).unwrap(), 10, "only those that the open session made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_refused_is_read_to_its_end_so_that_the_answer_arrives() {
    let pass = Pass::new();
    let token = pass.app.open_session(pass.resident, "test").unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let parts = stream::iter(0..40).map(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::io::Error>(vec![b'x'; 65_536])
    });
    let answer = pass.send("/me/account/recovery", &token, Body::from_stream(parts)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.body);
    assert_eq!(read.load(Ordering::SeqCst), 40);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the time that a request takes is measured")]
async fn a_body_comes_within_ten_seconds_however_it_is_cut() {
    let pass = Pass::new();
    let token = pass.app.open_session(pass.resident, "test").unwrap();
    let drip = || {
        stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        })
    };
    let began = Instant::now();
    let answers = tokio::join!(
        pass.send("/me/account/recovery", &token, Body::from_stream(drip())),
        pass.send("/api/releases", &token, Body::from_stream(drip())),
        pass.send("/recover", &token, Body::from_stream(drip())),
        pass.send("/recover", &token, Body::from_stream(stream::pending::<Result<&str, std::io::Error>>())),
    );
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "nobody waits a second time for what does not come: {:?}",
        began.elapsed()
    );
    for (answer, is_read) in [(answers.0, true), (answers.1, false), (answers.2, true), (answers.3, true)] {
        // Without a token the API reads nothing that does not say how short it is.
        assert_eq!(answer.status.as_u16(), if is_read { 408 } else { 401 }, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the time that a request takes is measured")]
async fn a_program_is_told_by_an_error_of_oauth_that_its_body_did_not_come() {
    let pass = Pass::new();
    let ask = async |path: &'static str| {
        let silent = Body::from_stream(stream::pending::<Result<&str, std::io::Error>>());
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded").body(silent).unwrap();
        let began = Instant::now();
        let answer = pass.router.clone().oneshot(request).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(15), "{path}: {:?}", began.elapsed());
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        let body: serde_json::Value = serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap();
        assert_eq!(body["error"], "invalid_request", "{path}");
        let description = body["error_description"].as_str().unwrap();
        assert!(description.matches(". ").count() == 1 && description.ends_with('.'), "two sentences: {description}");
    };
    tokio::join!(ask("/oidc/introspect"), ask("/oidc/par"), ask("/oidc/revoke"), ask("/oidc/token"));
}
