//! Lines of an agency's own system, as OTLP exporters send them.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};
use usufruct_core::event::{Event, Kind};
use usufruct_core::source::Source;
use usufruct_core::time::SECOND;

use crate::common::{CARD, SERVICE, mandate, service};
use crate::site::{Answer, TestSite};

const TRACES: &str = "/api/ldv/v1/traces";

/// A span with these attributes, as the JSON of the protocol has it.
fn span(attributes: &[(&str, Value)]) -> Value {
    let attributes: Vec<Value> = attributes.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "lend", "kind": 1,
        "startTimeUnixNano": "1767225500000000000", "endTimeUnixNano": "1767225540000000000", "attributes": attributes,
        "status": {"code": 1}, "somethingNew": [1, 2, 3],
    })
}

fn export(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "loans"}}]},
        "scopeSpans": [{"scope": {"name": "ldv"}, "spans": spans}]}]})
}

fn text(text: &str) -> Value {
    json!({"stringValue": text})
}

/// A whole line about `subject`.
fn line(subject: &str, number: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("dpl.core.processing_activity_id", text(&format!("https://pass.example.org/register/mandates/{CARD}"))),
        ("dpl.core.data_subject_id", text(subject)),
        ("usufruct.number", json!({"intValue": number.to_string()})),
        ("usufruct.blocks", json!({"arrayValue": {"values": [text("blk_name")]}})),
        ("usufruct.actor", text("clerk 7")),
    ]
}

struct Reporter {
    site: TestSite,
    resident: u64,
    subject: String,
    token: String,
}

impl Reporter {
    async fn new() -> Self {
        let site = TestSite::new();
        let (resident, cookie) = site.resident();
        let (_, subject) = site.tokens(&cookie, &[]).await;
        let token = site.client_token().await;
        Self { site, resident, subject, token }
    }

    async fn send(&self, body: &Value) -> Answer {
        self.site.api(TRACES, &self.token, body).await
    }

    async fn send_bytes(&self, kind: &str, body: Vec<u8>) -> Answer {
        let request = self.site.bearing("POST", TRACES, &self.token).header(CONTENT_TYPE, kind);
        self.site.send(request.body(body.into()).unwrap()).await
    }

    fn events(&self) -> Vec<Event> {
        let lines = self.site.city.app.footprint(self.resident).unwrap().lines;
        lines.into_iter().filter_map(|line| line.event).filter(|event| event.kind == Kind::Use).collect()
    }
}

#[tokio::test]
async fn lines_become_uses_with_the_numbers_of_their_source() {
    let source = Reporter::new().await;
    let spans: Vec<Value> = (1..=3).map(|number| span(&line(&source.subject, number))).collect();
    let answer = source.send(&export(&spans)).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({})));
    // An exporter that heard no answer sends the same again.
    assert_eq!(source.send(&export(&spans)).await.json(), json!({}));
    let events = source.events();
    let marks: Vec<_> = events.iter().filter_map(|event| event.source.clone()).collect();
    assert_eq!(marks.iter().map(|mark| mark.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(marks.iter().all(|mark| mark.source == Source::Service(service())));
    assert_eq!(marks[0].happened_at.unwrap().to_string(), "2025-12-31T23:59:00Z");
    assert_eq!((events[0].reason.as_str(), events[0].actor.is_some(), events[0].clause.clone()), ("lending", true, None));
    let heard = source.site.api("/api/ldv/sources", &source.token, &json!({"mandate": CARD, "last": 4})).await;
    assert_eq!(heard.json(), json!({"received": 3}));
    source.site.city.clock.advance(30 * SECOND);
    source.site.city.app.run_sources().unwrap();
    let register = source.site.city.app.register();
    assert!(register.open_incident(&Source::Service(service()), &mandate()).is_some());
}

#[tokio::test]
async fn a_line_that_lacks_something_is_told_what() {
    let source = Reporter::new().await;
    let whole = line(&source.subject, 1);
    let without = |key: &str| whole.iter().filter(|(name, _)| *name != key).cloned().collect::<Vec<_>>();
    let with = |key: &'static str, value: Value| [without(key), vec![(key, value)]].concat();
    let cases: [(Vec<(&str, Value)>, &str); 11] = [
        (without("dpl.core.processing_activity_id"), "`dpl.core.processing_activity_id`"),
        (without("dpl.core.data_subject_id"), "`dpl.core.data_subject_id`"),
        (without("usufruct.number"), "`usufruct.number`"),
        (without("usufruct.blocks"), "`usufruct.blocks`"),
        (with("dpl.core.processing_activity_id", text("https://register.example/activities/12")), "no mandate of the register"),
        (with("dpl.core.processing_activity_id", text("mdt_coming-soon")), "no mandate of the register"),
        (with("dpl.core.data_subject_id", text("somebody")), "no such subject"),
        (with("usufruct.number", json!({"intValue": 0})), "no number of a source"),
        (with("usufruct.blocks", json!({"arrayValue": {"values": [text("blk_income")]}})), "no data block of the mandate"),
        (with("usufruct.blocks", json!({"arrayValue": {}})), "`usufruct.blocks`"),
        (with("usufruct.reason", text("curiosity")), "reason is not one of the mandate's"),
    ];
    for (attributes, told) in &cases {
        let answer = source.send(&export(&[span(attributes)])).await;
        assert_eq!(answer.status, StatusCode::OK);
        let partial = answer.json()["partialSuccess"].clone();
        assert_eq!(partial["rejectedSpans"], "1", "{told}");
        let message = partial["errorMessage"].as_str().unwrap();
        assert!(message.contains(told) && message.contains(". "), "{told}: {message}");
    }
    assert!(source.events().is_empty());
    // One bad line keeps no good one out.
    let mixed = source.send(&export(&[span(&without("usufruct.blocks")), span(&whole)])).await;
    assert_eq!(mixed.json()["partialSuccess"]["rejectedSpans"], "1");
    assert_eq!(source.events().len(), 1);
}

#[tokio::test]
async fn only_a_service_with_its_token_is_heard() {
    let source = Reporter::new().await;
    let body = export(&[span(&line(&source.subject, 1))]);
    let wrong = source.site.api(TRACES, "no-token", &body).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    for (kind, sent) in [
        ("text/plain", "{}"),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "{\"resourceSpans\": 1}"),
    ] {
        let answer = source.send_bytes(kind, sent.as_bytes().to_vec()).await;
        assert!(answer.status.is_client_error(), "{kind} {sent}: {}", answer.status);
    }
    let packed = source
        .site
        .bearing("POST", TRACES, &source.token)
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_ENCODING, "gzip");
    let answer = source.site.send(packed.body(body.to_string().into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for wrong in [json!({"mandate": "mdt_nothing", "last": 1}), json!({"mandate": CARD}), json!({"mandate": CARD, "last": -1})] {
        let answer = source.site.api("/api/ldv/sources", &source.token, &wrong).await;
        assert!(answer.status.is_client_error(), "{wrong}");
    }
    assert!(source.events().is_empty());
}

#[tokio::test]
async fn protobuf_says_the_same() {
    let source = Reporter::new().await;
    let spans: Vec<u8> = (1..=2).flat_map(|number| bytes(2, &binary_span(&source.subject, number))).collect();
    // A resource and a scope that are not read, and a field of a later version.
    let scope = [bytes(1, &bytes(1, b"ldv")), spans, bytes(99, b"later")].concat();
    let body = bytes(1, &[bytes(1, &attribute("service.name", &bytes(1, b"loans"))), bytes(2, &scope)].concat());
    let answer = source.send_bytes("application/x-protobuf", body).await;
    assert_eq!((answer.status, answer.header(CONTENT_TYPE), answer.text()), (StatusCode::OK, "application/x-protobuf", ""));
    let marks: Vec<_> = source.events().into_iter().filter_map(|event| event.source).collect();
    assert_eq!(marks.iter().map(|mark| mark.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(marks[0].happened_at.unwrap().to_string(), "2025-12-31T23:59:00Z");
    assert_eq!(marks[0].source.as_str(), SERVICE);
    // A refusal stands in the answer as a message of the protocol: one rejected, and why.
    let lacking = bytes(1, &bytes(2, &bytes(2, &bytes(5, b"lend"))));
    let answer = source.send_bytes("application/x-protobuf", lacking).await;
    let told = String::from_utf8_lossy(&answer.body);
    assert!(told.contains("`dpl.core.processing_activity_id`"), "{told}");
    let broken = source.send_bytes("application/x-protobuf", vec![0x0a, 0xff, 0xff]).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
}

// Protobuf by its wire format alone: a key, a length, the bytes.

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
    bytes(1, &[bytes(1, key.as_bytes()), bytes(2, value)].concat())
}

fn binary_span(subject: &str, number: u64) -> Vec<u8> {
    let pair = |key: &str, value: Vec<u8>| bytes(9, &[bytes(1, key.as_bytes()), bytes(2, &value)].concat());
    let list = bytes(5, &bytes(1, &bytes(1, b"blk_name:value")));
    [
        bytes(1, &[1; 16]),
        bytes(2, &[2; 8]),
        bytes(5, b"lend"),
        [varint(6 << 3), varint(1)].concat(),
        [varint(8 << 3 | 1), 1_767_225_540_000_000_000_u64.to_le_bytes().to_vec()].concat(),
        pair("dpl.core.processing_activity_id", bytes(1, format!("urn:register:{CARD}").as_bytes())),
        pair("dpl.core.data_subject_id", bytes(1, subject.as_bytes())),
        pair("usufruct.number", [varint(3 << 3), varint(number)].concat()),
        pair("usufruct.blocks", list),
        bytes(15, &[varint(3 << 3), varint(1)].concat()),
    ]
    .concat()
}
