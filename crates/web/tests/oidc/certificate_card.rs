//! Certificate cards as browsers and services meet them: the way to the listener and back, who comes back in whose place, and what a
//! service reads in the ID token.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_SECURITY_POLICY, LOCATION, SET_COOKIE};
use axum::http::{Request, StatusCode};
use tower::ServiceExt;
use usufruct_app::ProvenCertificate;
use usufruct_core::Text;
use usufruct_core::means::Means;
use usufruct_web::{CardCaller, CardPlace};

use crate::authority::{Held, Trust};
use crate::means::add_passkey;
use crate::site::{Answer, ISSUER, TestSite, claims_of};

const PLACE: &str = "https://cards.localhost:8443";

struct Town {
    site: TestSite,
    trust: Trust,
}

impl Town {
    fn new() -> Self {
        let place = CardPlace { origin: PLACE.into(), name: Text::new("State card", "國民憑證卡") };
        let (site, trust) = (TestSite::new().with_card_place(place), Trust::default());
        trust.open(&site.city.app, &[]);
        Self { site, trust }
    }

    fn proven(&self, card: &Held) -> Option<Arc<ProvenCertificate>> {
        Some(Arc::new(self.trust.proven(&self.site.city.app, card)))
    }

    /// A request to the listener for cards, after this handshake.
    async fn show(&self, path: &str, proven: Option<Arc<ProvenCertificate>>) -> Answer {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        let caller = CardCaller { address: "203.0.113.7:4000".parse().unwrap(), proven };
        request.extensions_mut().insert(ConnectInfo(caller));
        let answer = usufruct_web::card_router(Arc::clone(&self.site.site)).oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap().to_vec() }
    }

    /// A browser leaves to show a card: its cookie, and the path on the listener.
    async fn leave(&self, next: &str) -> (String, String) {
        let answer = self.site.get(&format!("/sign-in/certificate/start?next={next}"), "").await;
        (cookie_of(&answer, "usufruct-errand"), path_of(&answer, PLACE))
    }

    /// A resident with a registered card, and the cookie of the session in which she registered it.
    async fn registered(&self, card: &Held) -> (u64, String) {
        let (resident, cookie) = self.site.resident();
        let answer = self.register(&cookie).await;
        let back = self.show(&path_of(&answer, PLACE), self.proven(card)).await;
        let done = self.site.get(&path_of(&back, ISSUER), &cookie).await;
        assert_eq!((done.status, done.header(LOCATION)), (StatusCode::SEE_OTHER, "/me/account/devices"), "{}", done.text());
        (resident, cookie)
    }

    async fn register(&self, cookie: &str) -> Answer {
        let page = self.site.get("/me/account/devices", cookie).await;
        assert!(page.header(CONTENT_SECURITY_POLICY).contains(&format!("form-action 'self' {PLACE};")));
        let token = page.text().split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        self.site.post("/me/account/devices/certificate", cookie, &[("form_token", &token), ("label", "my card")]).await
    }

    async fn sign_in(&self, card: &Held) -> String {
        let (errand, path) = self.leave("/me").await;
        let back = self.show(&path, self.proven(card)).await;
        cookie_of(&self.site.get(&path_of(&back, ISSUER), &errand).await, "usufruct")
    }
}

/// A cookie that the answer sets, as a browser sends it; empty if it sets none.
fn cookie_of(answer: &Answer, name: &str) -> String {
    let set = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let mut pairs = set.filter_map(|value| value.split(';').next());
    pairs.find(|pair| pair.starts_with(&format!("{name}="))).unwrap_or_default().to_owned()
}

fn path_of(answer: &Answer, origin: &str) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let location = answer.header(LOCATION);
    location.strip_prefix(origin).unwrap_or_else(|| panic!("{location} is not at {origin}")).to_owned()
}

#[tokio::test]
async fn a_card_signs_in_and_the_service_reads_how() {
    let town = Town::new();
    let card = town.trust.state.card("holder", 7);
    let (resident, first) = town.registered(&card).await;
    assert!(town.site.get("/me/account/devices", &first).await.text().contains("my card"));
    let (errand, path) = town.leave("/me/data").await;
    let back = town.show(&path, town.proven(&card)).await;
    assert_eq!(back.header("connection"), "close");
    let done = town.site.get(&path_of(&back, ISSUER), &errand).await;
    assert_eq!((done.status, done.header(LOCATION)), (StatusCode::SEE_OTHER, "/me/data"));
    let cookie = cookie_of(&done, "usufruct");
    let session = town.site.city.app.session(cookie.strip_prefix("usufruct=").unwrap()).unwrap().unwrap();
    assert_eq!((session.resident, session.means), (resident, Means::Certificate));

    for asked in ["urn:usufruct:acr:certificate", "urn:usufruct:acr:card", "unknown"] {
        let answer = town.site.plain_token_answer(&cookie, &[("acr_values", asked)]).await;
        let claims = claims_of(answer["id_token"].as_str().unwrap());
        assert_eq!(claims["acr"], "urn:usufruct:acr:certificate", "{asked}");
        assert_eq!(claims["amr"], serde_json::json!(["hwk", "sc"]));
    }
    let ask_for_more = async || town.site.plain(&cookie, &[("acr_values", "urn:usufruct:acr:passkey")]).await;
    assert_eq!(ask_for_more().await.led_error(), "unmet_authentication_requirements", "she has nothing stronger");
    add_passkey(&town.site, resident);
    let stronger = ask_for_more().await;
    assert!(stronger.header(LOCATION).starts_with("/sign-in?next="), "{}", stronger.header(LOCATION));
    let silent = town.site.plain(&cookie, &[("acr_values", "urn:usufruct:acr:passkey"), ("prompt", "none")]).await;
    assert_eq!(silent.led_error(), "login_required");
    // What cannot be taken back asks for a passkey.
    for path in ["/me/account/delete", "/me/account/devices/add", "/me/account/recovery"] {
        assert!(town.site.get(path, &cookie).await.header(LOCATION).starts_with("/sign-in?next="), "{path}");
    }
    let page = town.site.get("/me/footprint", &cookie).await;
    assert!(page.text().contains("certificate card") || page.text().contains("憑證卡"), "{}", page.text());
}

#[tokio::test]
async fn nobody_comes_back_in_the_place_of_another() {
    let town = Town::new();
    let (hers, thiefs) = (town.trust.state.card("holder", 7), town.trust.state.card("thief", 8));
    town.registered(&hers).await;
    let (_, thief) = town.registered(&thiefs).await;
    let opened = |answer: &Answer| !cookie_of(answer, "usufruct").is_empty();
    let lapsed = "/sign-in/certificate?failure=lapsed";

    // The thief begins, and talks her into showing her card: the ticket is in her browser and not in his.
    let (errand, path) = town.leave("/me").await;
    let back = path_of(&town.show(&path, town.proven(&hers)).await, ISSUER);
    let guessed = format!("{}&ticket=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", back.split("&ticket=").next().unwrap());
    let answer = town.site.get(&guessed, &errand).await;
    assert!(!opened(&answer) && answer.header(LOCATION) == lapsed, "without the ticket");
    let (_, path) = town.leave("/me").await;
    let back = path_of(&town.show(&path, town.proven(&hers)).await, ISSUER);
    let (other, _) = town.leave("/me").await;
    assert!(!opened(&town.site.get(&back, &other).await), "in the browser of another errand");
    assert!(!opened(&town.site.get(&back, "").await), "in a browser without one");

    // The thief sends her the way back of his own card: she would use his pass without knowing.
    let (_, path) = town.leave("/me").await;
    let back = path_of(&town.show(&path, town.proven(&thiefs)).await, ISSUER);
    let (her_errand, _) = town.leave("/me").await;
    assert!(!opened(&town.site.get(&back, &her_errand).await));

    // Once is once, on the listener and on the site.
    let (errand, path) = town.leave("/me").await;
    let back = path_of(&town.show(&path, town.proven(&hers)).await, ISSUER);
    assert_eq!(path_of(&town.show(&path, town.proven(&thiefs)).await, ISSUER), lapsed, "a second card for one errand");
    assert!(opened(&town.site.get(&back, &errand).await));
    assert!(!opened(&town.site.get(&back, &errand).await));

    // Registering counts in the session that began it.
    let fresh = town.trust.state.card("holder", 9);
    let (resident, victim) = town.site.resident();
    let begun = town.register(&thief).await;
    let back = path_of(&town.show(&path_of(&begun, PLACE), town.proven(&fresh)).await, ISSUER);
    let answer = town.site.get(&back, &victim).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(town.site.city.app.certificate_cards(resident).unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_said_on_the_site() {
    let town = Town::new();
    let unknown = town.trust.state.card("holder", 7);
    let (errand, path) = town.leave("/me").await;
    assert_eq!(path_of(&town.show(&path, None).await, ISSUER), "/sign-in/certificate?failure=no-card");
    let back = path_of(&town.show(&path, town.proven(&unknown)).await, ISSUER);
    assert_eq!(town.site.get(&back, &errand).await.header(LOCATION), "/sign-in/certificate?failure=unknown");
    for failure in ["no-card", "unknown", "lapsed"] {
        let page = town.site.get(&format!("/sign-in/certificate?failure={failure}"), "").await;
        assert!(page.status == StatusCode::OK && page.text().contains("role=\"alert\""), "{failure}");
    }
    assert!(town.site.get("/sign-in", "").await.text().contains("/sign-in/certificate?next="));
    // A ceremony of five minutes is over after six.
    let (errand, path) = town.leave("/me").await;
    town.site.city.clock.advance(6 * usufruct_core::time::MINUTE);
    assert_eq!(path_of(&town.show(&path, town.proven(&unknown)).await, ISSUER), "/sign-in/certificate?failure=lapsed");
    drop(errand);
    // The listener has one address.
    for path in ["/", "/me", "/sign-in", "/sign-in/certificate/finish?ceremony=a&ticket=b", "/log/vkey"] {
        assert_eq!(town.show(path, town.proven(&unknown)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn no_header_makes_a_certificate() {
    let town = Town::new();
    let card = town.trust.state.card("holder", 7);
    town.registered(&card).await;
    let (errand, path) = town.leave("/me").await;
    let pem = crate::authority::pem("CERTIFICATE", &card.certificate).replace('\n', " ");
    for header in
        ["x-ssl-client-cert", "x-client-cert", "ssl-client-cert", "x-forwarded-client-cert", "client-cert", "x-ssl-client-verify"]
    {
        let request = Request::get(&path).header(header, &pem).header("cookie", &errand).body(Body::empty()).unwrap();
        assert_eq!(town.site.send(request).await.status, StatusCode::NOT_FOUND, "{header}: the plain listener has no such page");
    }
    let mut request = Request::get(&path).header("x-ssl-client-cert", &pem).body(Body::empty()).unwrap();
    let caller = CardCaller { address: "203.0.113.7:4000".parse().unwrap(), proven: None };
    request.extensions_mut().insert(ConnectInfo(caller));
    let answer = usufruct_web::card_router(Arc::clone(&town.site.site)).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()[LOCATION], format!("{ISSUER}/sign-in/certificate?failure=no-card"));
}

#[tokio::test]
async fn a_pass_that_takes_no_cards_says_nothing_of_them() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    for path in ["/sign-in/certificate", "/sign-in/certificate/start"] {
        assert_eq!(site.get(path, "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!site.get("/sign-in", "").await.text().contains("/sign-in/certificate"));
    assert!(!site.get("/me/account/devices", &cookie).await.text().contains("/certificate"));
}

#[tokio::test]
async fn a_revoked_card_signs_out_at_the_next_request() {
    let town = Town::new();
    let card = town.trust.state.card("holder", 7);
    town.registered(&card).await;
    let cookie = town.sign_in(&card).await;
    assert_eq!(town.site.get("/me", &cookie).await.status, StatusCode::OK);
    assert_eq!(town.trust.open(&town.site.city.app, &[7]), 1);
    assert!(town.site.get("/me", &cookie).await.header(LOCATION).starts_with("/sign-in?next="));
}
