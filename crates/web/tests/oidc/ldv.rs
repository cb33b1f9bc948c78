//! Lines of an agency's own system, as OTLP exporters send them.

use std::io::Write;

use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use usufruct_core::event::{Event, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::source::Source;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::SECOND;

use crate::common::{CARD, LIBRARY, SERVICE, mandate, service};
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
    // Something that is not packed although it says so, and a way of packing that is not read.
    for (coding, status) in [("gzip", StatusCode::BAD_REQUEST), ("br", StatusCode::UNSUPPORTED_MEDIA_TYPE)] {
        let request = source.site.bearing("POST", TRACES, &source.token).header(CONTENT_TYPE, "application/json");
        let request = request.header(CONTENT_ENCODING, coding).body(body.to_string().into()).unwrap();
        assert_eq!(source.site.send(request).await.status, status, "{coding}");
    }
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

/// The key of an exporter, as somebody types it into its environment.
const KEY: &str = "3f1b7c0de9a84e5f8a1d2c6b7e9f0a1b3f1b7c0de9a84e5f8a1d2c6b7e9f0a1b";
const ACTIVITY: &str = "https://register.library.example/verwerkingen/12";

/// The library registers what its own system does.
async fn registered() -> Reporter {
    let source = Reporter::new().await;
    let mut body = json!(source.site.city.app.register().services[&service()].body);
    body["processing_log"] = json!({"exporters": [sha256(KEY.as_bytes())], "activities": [
        {"activity": ACTIVITY, "mandate": CARD, "reason": "lending", "blocks": ["blk_name"]}]});
    source.site.city.publish(StatementKind::Service, SERVICE, LIBRARY, body);
    source
}

/// A span of a system that knows nothing of the pass.
fn plain_span(subject: &str, id: &str) -> Value {
    json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": id, "parentSpanId": "aaaaaaaaaaaaaaaa", "flags": 257,
        "name": "uitlenen", "kind": 2, "startTimeUnixNano": "1767225500000000000", "endTimeUnixNano": "1767225540000000000",
        "attributes": [{"key": "dpl.core.processing_activity_id", "value": text(ACTIVITY)},
            {"key": "dpl.core.data_subject_id", "value": text(subject)},
            {"key": "dpl.core.data_subject_id_type", "value": text("pseudonym")},
            {"key": "http.response.status_code", "value": {"intValue": 200}}, {"key": "ratio", "value": {"doubleValue": 0.5}}],
        "droppedAttributesCount": 0, "events": [], "status": {}})
}

impl Reporter {
    async fn export(&self, key: &str, path: &str, packed: Vec<u8>) -> Answer {
        let request = Request::post(path).header(AUTHORIZATION, format!("Bearer {key}"));
        let request = request.header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "gzip");
        self.site.send(request.body(packed.into()).unwrap()).await
    }
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(body).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn an_exporter_that_knows_nothing_of_the_pass_is_read() {
    let source = registered().await;
    let other = format!("urn:library:{}", source.subject);
    let spans = [plain_span(&source.subject, "eee19b7ec3c1b174"), plain_span(&other, "eee19b7ec3c1b175")];
    let body = packed(export(&spans).to_string().as_bytes());
    for _ in 0..2 {
        // What is sent again is taken once.
        let answer = source.export(KEY, TRACES, body.clone()).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({})));
    }
    let events = source.events();
    let marks: Vec<_> = events.iter().filter_map(|event| event.source.clone()).collect();
    assert_eq!(marks.iter().map(|mark| mark.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(marks[1].happened_at.unwrap().to_string(), "2025-12-31T23:59:00Z");
    let event = &events[1];
    assert_eq!((event.reason.as_str(), event.blocks.len(), event.clause.as_deref()), ("lending", 1, None));
    let foreign = event.foreign.clone().unwrap();
    assert_eq!(
        foreign.trace_id.to_vec(),
        [0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c]
    );
    assert_eq!(foreign.operation_id.to_vec(), [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x75]);
    assert_eq!((foreign.parent_operation_id, foreign.entity.as_str()), (Some([0xaa; 8]), "loans"));
    // Nobody waits for a system that does not say how many lines it has.
    source.site.city.clock.advance(300 * SECOND);
    source.site.city.app.run_sources().unwrap();
    assert!(source.site.city.app.register().open_incident(&Source::Service(service()), &mandate()).is_none());
}

#[tokio::test]
async fn what_an_exporter_sends_wrongly_is_told_and_the_rest_is_taken() {
    let source = registered().await;
    let mut nameless = plain_span(&source.subject, "0000000000000000");
    nameless["spanId"] = json!("");
    let mut unknown = plain_span(&source.subject, "eee19b7ec3c1b180");
    unknown["attributes"][0]["value"] = text("https://register.library.example/verwerkingen/13");
    let mut numbered = plain_span(&source.subject, "eee19b7ec3c1b181");
    numbered["attributes"].as_array_mut().unwrap().push(json!({"key": "usufruct.number", "value": {"intValue": "9"}}));
    let good = plain_span(&source.subject, "eee19b7ec3c1b182");
    let body = packed(export(&[nameless, unknown, numbered, good]).to_string().as_bytes());
    let partial = source.export(KEY, TRACES, body).await.json()["partialSuccess"].clone();
    assert_eq!(partial["rejectedSpans"], "3");
    let told = partial["errorMessage"].as_str().unwrap();
    for what in ["no trace id", "no mandate of the register", "as its registration says"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert_eq!(source.events().len(), 1);
    // Lines of a service that numbers its uses itself have no number without one.
    let heard = source.site.api("/api/ldv/sources", &source.token, &json!({"mandate": CARD, "last": 4})).await;
    assert!(heard.status.is_client_error(), "{}", heard.text());
}

#[tokio::test]
async fn a_bomb_and_a_wrong_key_are_kept_out() {
    let source = registered().await;
    // 64 MiB of nothing in 64 kB.
    let bomb = packed(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    assert_eq!(source.export(KEY, TRACES, bomb).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let body = packed(export(&[plain_span(&source.subject, "eee19b7ec3c1b174")]).to_string().as_bytes());
    for wrong in ["", "x", &KEY[1..], &sha256(KEY.as_bytes()).to_string()] {
        assert_eq!(source.export(wrong, TRACES, body.clone()).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    // It writes lines and opens nothing.
    for path in ["/api/releases", "/api/releases/batch", "/api/ldv/sources", "/api/deposits"] {
        assert_eq!(source.export(KEY, path, body.clone()).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(source.events().is_empty());
    assert_eq!(source.export(KEY, TRACES, body).await.status, StatusCode::OK);
    assert_eq!(source.events().len(), 1);
}

#[tokio::test]
async fn a_bomb_within_the_limit_of_bytes_is_counted_and_not_built() {
    let source = registered().await;
    let spans = bytes(1, &bytes(2, &[0x12_u8, 0].repeat(4_000_000)));
    let maps = format!("{{\"resourceSpans\":[],\"x\":[{}]}}", vec!["{\"\":0}"; 1_000_000].join(","));
    for (kind, body, told) in
        [("application/x-protobuf", spans, "more than 5,000 lines"), ("application/json", maps.into_bytes(), "more than 250,000")]
    {
        let body = packed(&body);
        assert!(body.len() < 64 * 1024, "{}", body.len());
        let request = Request::post(TRACES).header(AUTHORIZATION, format!("Bearer {KEY}"));
        let request = request.header(CONTENT_TYPE, kind).header(CONTENT_ENCODING, "gzip");
        let answer = source.site.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{kind}");
        assert!(answer.text().contains(told), "{kind}: {}", answer.text());
    }
    // Neither keeps the service from sending what is right.
    let body = packed(export(&[plain_span(&source.subject, "eee19b7ec3c1b174")]).to_string().as_bytes());
    assert_eq!(source.export(KEY, TRACES, body).await.json(), json!({}));
    assert_eq!(source.events().len(), 1);
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
