//! A sample relying party and a pass, over real sockets.

use std::sync::Arc;

use axum::Router;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response};
use tokio::net::TcpListener;
use usufruct_core::event::Form;
use usufruct_web::sample::{self, SampleKind, SampleSettings};

use crate::common::{SeededRng, block, mandate, service};
use crate::site::TestSite;

struct Street {
    site: TestSite,
    pass: String,
    library: String,
    http: Client,
}

async fn open() -> Street {
    let (pass_port, library_port) = (bind().await, bind().await);
    let url = |listener: &TcpListener| format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let (pass, library) = (url(&pass_port), url(&library_port));
    let site = TestSite::at(&pass, &format!("{library}/callback"));
    let settings = SampleSettings {
        kind: SampleKind::Library,
        service: service(),
        mandate: mandate(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".to_owned(),
        key_pkcs8: site.library.pkcs8.clone(),
        kid: site.library.kid.to_owned(),
        own_url: library.clone(),
        issuer: pass.clone(),
        clock: Arc::clone(&site.city.clock) as _,
        rng: SeededRng::new(7),
    };
    serve(pass_port, site.router());
    serve(library_port, sample::router(settings).unwrap());
    let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Street { site, pass, library, http }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
}

fn location(answer: &Response) -> String {
    answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{}", answer.status())).to_str().unwrap().to_owned()
}

fn cookie(answer: &Response) -> String {
    answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

impl Street {
    async fn get(&self, url: &str, cookie: &str) -> Response {
        self.http.get(url).header(COOKIE, cookie).header("accept", "text/html").send().await.unwrap()
    }

    /// Starts a sign-in at the library: its cookie, and the answer of the pass to the request.
    async fn begin(&self, resident: &str) -> (String, Response) {
        let login = self.get(&format!("{}/login", self.library), "").await;
        (cookie(&login), self.get(&location(&login), resident).await)
    }

    async fn decide(&self, resident: &str, page: Response, decision: &str) -> String {
        let (status, body) = (page.status(), page.bytes().await.unwrap().to_vec());
        let page = crate::site::Answer { status, headers: Default::default(), body };
        location(&{
            let mut form = page.hidden();
            form.push(("decision".to_owned(), decision.to_owned()));
            let request = self.http.post(format!("{}{}", self.pass, page.action())).header(COOKIE, resident);
            request.form(&form).send().await.unwrap()
        })
    }
}

#[tokio::test]
async fn a_resident_signs_in_reads_and_withdraws() {
    let street = open().await;
    let (resident, pass_cookie) = street.site.resident();
    let front = street.get(&format!("{}/", street.library), "").await;
    assert!(front.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(front.text().await.unwrap().contains("data-testid=\"sign-in\""));

    let (own, page) = street.begin(&pass_cookie).await;
    let back = street.decide(&pass_cookie, page, "agree").await;
    let stolen = street.get(&back, "").await.text().await.unwrap();
    assert!(stolen.contains("data-testid=\"failed\""), "an answer without the browser that asked is refused");
    let signed_in = street.get(&back, &own).await;
    let session = cookie(&signed_in);
    assert_ne!(session, own, "signing in renews the cookie");
    let front = street.get(&format!("{}/", street.library), &session).await.text().await.unwrap();
    let subject = street.site.city.app.subject(resident, &service()).unwrap();
    assert!(front.contains(&format!("data-testid=\"subject\">{subject}<")), "{front}");

    let read = || street.http.post(format!("{}/read", street.library)).header(COOKIE, &session).send();
    let released = read().await.unwrap().text().await.unwrap();
    assert!(released.contains("data-testid=\"released\"") && released.contains("Resident 0"), "{released}");
    street.site.city.app.withdraw(resident, &mandate()).unwrap();
    let refused = read().await.unwrap().text().await.unwrap();
    assert!(refused.contains("data-testid=\"refused\""), "{refused}");

    let out = street.http.post(format!("{}/logout", street.library)).header(COOKIE, &session).send().await.unwrap();
    assert!(out.status().is_redirection());
    assert!(
        !street.get(&format!("{}/", street.library), &session).await.text().await.unwrap().contains("data-testid=\"subject\"")
    );
}

#[tokio::test]
async fn not_now_gets_a_friendly_page_and_forgeries_fail() {
    let street = open().await;
    let (_, pass_cookie) = street.site.resident();
    let (own, page) = street.begin(&pass_cookie).await;
    let back = street.decide(&pass_cookie, page, "not-now").await;
    assert!(street.get(&back, &own).await.text().await.unwrap().contains("data-testid=\"denied\""));

    let (own, page) = street.begin(&pass_cookie).await;
    let back = street.decide(&pass_cookie, page, "agree").await;
    let failed = async |url: String| street.get(&url, &own).await.text().await.unwrap().contains("data-testid=\"failed\"");
    assert!(failed(back.replace("state=", "state=x")).await, "another state");
    assert!(failed(back.replace("iss=", "iss=x")).await, "another issuer");
    assert!(failed(back.replace("code=", "code=x")).await, "another code");
    let (own, page) = street.begin(&pass_cookie).await;
    assert!(page.status().is_redirection());
    let broken = location(&page).split("code=").next().unwrap().to_owned();
    let state = location(&page).split("&state=").nth(1).unwrap().to_owned();
    let error = format!("{broken}error=server_error&state={state}");
    let text = street.get(&error, &own).await.text().await.unwrap();
    assert!(text.contains("data-testid=\"failed\"") && !text.contains("denied"), "not every error is a refusal of hers");
}
