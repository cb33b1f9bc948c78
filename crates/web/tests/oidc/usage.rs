//! The protocol of the Estonian Data Tracker, as a national portal speaks it.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::ACCEPT_LANGUAGE;
use serde_json::{Value, json};
use usufruct_app::FOOTPRINT;
use usufruct_core::Time;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, SECOND};

use crate::common::{CARD, LIBRARY, OPERATOR, SERVICE, library_card, mandate, service, text};
use crate::site::{Answer, TestSite, encode};

const FIND: &str = "/api/v2/findUsage";
const READS: &str = "mdt_portal";

struct Portal {
    site: TestSite,
    resident: u64,
    cookie: String,
    subject: String,
    /// The portal's own token, and the one that she gave it.
    own: String,
    given: String,
}

impl Portal {
    /// A portal to which a resident signed in and lent her footprint.
    async fn new() -> Self {
        let site = TestSite::new();
        let block = json!({
            "name": text("Footprint"), "category": "pd:Name", "sensitivity": "sensitive", "source_agency": OPERATOR,
            "attributes": [text("Lines")], "forms_allowed": ["value"], "correctable": false,
        });
        site.city.publish(StatementKind::DataBlock, FOOTPRINT, OPERATOR, block);
        let mut body = library_card();
        body["blocks"] = json!([{"block": FOOTPRINT, "necessity": "required", "form": "value", "reason": text("To show it.")}]);
        body["reasons"] = json!([{"code": "shown", "text": text("You looked at the portal.")}]);
        site.city.publish_mandate(READS, body);
        let mut known = serde_json::to_value(&site.city.app.register().services[&service()].body).unwrap();
        known["mandates"] = json!([CARD, READS]);
        site.city.publish(StatementKind::Service, SERVICE, LIBRARY, known);
        let (resident, cookie) = site.resident();
        let scope = format!("openid {CARD} {READS}");
        let (given, subject) = site.tokens(&cookie, &[("scope", &scope)]).await;
        let own = site.client_token().await;
        Self { site, resident, cookie, subject, own, given }
    }

    async fn ask(&self, token: &str, user: Option<&str>, fields: &[(&str, &str)]) -> Answer {
        let query = if fields.is_empty() { String::new() } else { format!("?{}", encode(fields)) };
        let mut request =
            self.site.bearing_with("GET", &format!("{FIND}{query}"), token, &self.site.proof("GET", FIND, Some(token)));
        if let Some(user) = user {
            request = request.header("X-Road-UserId", user);
        }
        self.site.send(request.header(ACCEPT_LANGUAGE, "en").body(Body::empty()).unwrap()).await
    }

    async fn find(&self, more: &[(&str, &str)]) -> Value {
        let fields = [&[("userCode", self.subject.as_str())][..], more].concat();
        // A token to data lives two minutes, and some of these tests take longer.
        let own = self.site.client_token().await;
        let answer = self.ask(&own, Some(&self.subject), &fields).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    }

    fn use_card(&self) -> Time {
        self.site.city.clock.advance(20 * SECOND);
        self.site.city.app.release(&self.site.city.request(&self.subject)).unwrap();
        self.site.city.app.now()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.site.get(path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }
}

#[tokio::test]
async fn a_portal_shows_her_what_was_done_with_her_data() {
    let portal = Portal::new().await;
    let (first, second) = (portal.use_card(), portal.use_card());
    portal.site.city.clock.advance(20 * SECOND);
    let told = portal.find(&[]).await;
    let usage = |at: Time| {
        json!({
            "logtime": format!("{}T00:00:00+08:00", at.day()), "action": "You borrowed a book.", "receiverCode": LIBRARY, "receiverName": "Body",
            "receiverSystem": portal.site.city.app.register().services[&service()].body.name.en,
        })
    };
    assert_eq!(told, json!({ "totalUsages": 2, "usages": [usage(second), usage(first)] }));
    let lines = portal.site.city.app.footprint(portal.resident).unwrap().lines;
    let reading = lines.last().unwrap().event.clone().unwrap();
    assert_eq!((reading.reason.as_str(), reading.blocks[0].0.as_str()), ("shown", FOOTPRINT), "each reading is a line of hers");
    // The total says how many there are, whatever is told of them; a moment without an offset is in UTC. The reading before is one of that day.
    let until = second.to_string();
    let page = portal.find(&[("periodEnd", until.trim_end_matches('Z')), ("offset", "2"), ("limit", "1")]).await;
    assert_eq!(page, json!({ "totalUsages": 3, "usages": [usage(first)] }));
    // Of a moment counts the day alone, at both ends.
    let later = portal.find(&[("periodStart", &until), ("periodEnd", &first.to_string()), ("offset", "2")]).await;
    assert_eq!(later, json!({ "totalUsages": 4, "usages": [usage(second), usage(first)] }));
    let before = portal.find(&[("periodEnd", &first.plus(-DAY).to_string())]).await;
    assert_eq!(before, json!({ "totalUsages": 0, "usages": [] }));
    // The token that she gave the portal reads hers, and nobody else's.
    let fields = [("userCode", portal.subject.as_str())];
    let given = portal.ask(&portal.given, Some(&portal.subject), &fields).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    let (_, cookie) = portal.site.resident();
    let scope = format!("openid {CARD} {READS}");
    let (_, other) = portal.site.tokens(&cookie, &[("scope", &scope)]).await;
    let foreign = portal.ask(&portal.given, Some(&other), &[("userCode", other.as_str())]).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{}", foreign.text());
}

#[tokio::test]
async fn what_the_protocol_does_not_allow_is_refused() {
    let portal = Portal::new().await;
    portal.use_card();
    let code = [("userCode", portal.subject.as_str())];
    let own = portal.own.as_str();
    let subject = portal.subject.as_str();
    let long = [code[0], ("limit", "10001")];
    let negative = [code[0], ("offset", "-1")];
    let vague = [code[0], ("periodStart", "yesterday")];
    let cases = [
        ("no-token", Some(subject), &code[..], StatusCode::UNAUTHORIZED),
        (own, None, &code[..], StatusCode::BAD_REQUEST),
        (own, Some("EE12345678901"), &code[..], StatusCode::BAD_REQUEST),
        (own, Some(subject), &[][..], StatusCode::BAD_REQUEST),
        (own, Some(subject), &long[..], StatusCode::BAD_REQUEST),
        (own, Some(subject), &negative[..], StatusCode::BAD_REQUEST),
        (own, Some(subject), &vague[..], StatusCode::BAD_REQUEST),
        (own, Some("EE12345678901"), &[("userCode", "EE12345678901")][..], StatusCode::NOT_FOUND),
    ];
    let before = portal.site.city.app.footprint(portal.resident).unwrap().lines.len();
    for (token, user, fields, status) in cases {
        let answer = portal.ask(token, user, fields).await;
        assert_eq!(answer.status, status, "{user:?} {fields:?}: {}", answer.text());
        assert!(!answer.text().contains("You borrowed"), "{fields:?}");
    }
    assert_eq!(portal.site.city.app.footprint(portal.resident).unwrap().lines.len(), before);
    // What she has withdrawn is not told any more, and a service that stands under no such mandate is told nothing.
    portal.site.city.app.withdraw(portal.resident, &READS.parse().unwrap()).unwrap();
    let (_, fresh) = portal.site.tokens(&portal.cookie, &[]).await;
    let refused = portal.ask(own, Some(&fresh), &[("userCode", &fresh)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    let mut known = serde_json::to_value(&portal.site.city.app.register().services[&service()].body).unwrap();
    known["mandates"] = json!([CARD]);
    portal.site.city.publish(StatementKind::Service, SERVICE, LIBRARY, known);
    let closed = portal.ask(own, Some(&fresh), &[("userCode", &fresh)]).await;
    assert!(closed.status.is_client_error() && closed.text().contains("blk_footprint"), "{}", closed.text());
}

#[tokio::test]
async fn period_and_heartbeat_are_open_and_true() {
    let portal = Portal::new().await;
    assert_eq!(portal.get("/api/v2/usagePeriod").await, json!({ "periodStart": "2026-01-01T00:00:00Z" }));
    assert_eq!(portal.get("/api/v2/heartbeat").await, json!({ "status": "OK" }));
    // A system outside that has come further than its lines makes the record incomplete.
    let app = &portal.site.city.app;
    app.hear_source(&service(), &mandate(), 4, false).unwrap();
    portal.site.city.clock.advance(30 * SECOND);
    app.run_sources().unwrap();
    let beat = portal.get("/api/v2/heartbeat").await;
    assert_eq!(beat["status"], "FAIL");
    assert!(beat["message"].as_str().unwrap().contains(SERVICE), "{beat}");
}
