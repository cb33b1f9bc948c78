//! Events as bytes, commitments and tags: the golden files, which were computed without this crate.

use std::fs;
use std::path::Path;

use serde_json::Value;
use usufruct_core::event::{Batch, Event, Form, Kind, commitment, leaf, tag};
use usufruct_core::hash::{hex, unhex};
use usufruct_core::matter::{Closed, Matter, OpenedMatter};
use usufruct_core::operation::ForeignOperation;
use usufruct_core::source::SourceMark;
use usufruct_core::{Digest, Time};

const KINDS: [Kind; 16] = [
    Kind::AuthorizationGivenBack,
    Kind::Breach,
    Kind::Case,
    Kind::Consent,
    Kind::Conversion,
    Kind::Correction,
    Kind::Delegation,
    Kind::Deposit,
    Kind::Erasure,
    Kind::Grant,
    Kind::Objection,
    Kind::Refusal,
    Kind::SignIn,
    Kind::Status,
    Kind::Use,
    Kind::Withdrawal,
];

fn vectors() -> Vec<(String, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/events");
    let mut found: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn number<T: std::str::FromStr>(value: &Value) -> T
where
    T::Err: std::fmt::Debug,
{
    value.as_str().unwrap().parse().unwrap()
}

fn given<T>(value: &Value, read: impl FnOnce(&Value) -> T) -> Option<T> {
    if value.is_null() { None } else { Some(read(value)) }
}

fn event(fields: &Value) -> Event {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let blocks = fields["blocks"].as_array().unwrap().iter();
    Event {
        kind: KINDS.into_iter().find(|kind| fields["kind"] == kind.code()).unwrap(),
        n: number(&fields["n"]),
        prev: given(&fields["prev"], bytes),
        at: Time::from_micros(number(&fields["at_micros"])),
        anchor: given(&fields["anchor"], bytes),
        mandate: given(&fields["mandate"], |value| Digest(bytes(value))),
        service: given(&fields["service"], |value| text(value).parse().unwrap()),
        blocks: blocks.map(|block| (text(&block[0]).parse().unwrap(), Form::from_code(&text(&block[1])).unwrap())).collect(),
        reason: text(&fields["reason"]),
        actor: given(&fields["actor"], bytes),
        batch: given(&fields["batch"], |batch| Batch { id: bytes(&batch["id"]), size: number(&batch["size"]) }),
        clause: given(&fields["clause"], text),
        detail: given(&fields["detail"], text),
        until: given(&fields["until_micros"], |value| Time::from_micros(number(value))),
        other: given(&fields["other"], text),
        source: given(&fields["source"], |source| SourceMark {
            source: text(&source["source"]).parse().unwrap(),
            number: number(&source["number"]),
            happened_at: given(&source["happened_at_micros"], |value| Time::from_micros(number(value))),
        }),
        closed: given(&fields["closed"], |closed| Closed {
            commitment: bytes(&closed["commitment"]),
            shown_from: Time::from_micros(number(&closed["shown_from_micros"])),
        }),
        foreign: given(&fields["foreign"], |foreign| {
            let id = |field: &str| unhex(foreign[field].as_str().unwrap_or_default()).unwrap();
            let (trace, operation, parent) = (id("trace_id"), id("operation_id"), id("parent_operation_id"));
            ForeignOperation::new(&trace, &operation, &parent, foreign["entity"].as_str().unwrap()).unwrap()
        }),
    }
}

#[test]
fn the_golden_events_are_read_as_their_files_say() {
    let (mut accepted, mut refused) = (0, 0);
    for (name, case) in vectors() {
        let cbor = unhex(case["cbor_hex"].as_str().unwrap()).unwrap();
        assert!(name.starts_with(case["expect"].as_str().unwrap()), "{name}");
        assert!(case["why"].as_str().is_some_and(|why| why.ends_with('.')), "{name}");
        if case["expect"] == "refuse" {
            let error = Event::decode(&cbor).expect_err(&name).to_string();
            assert!(error.ends_with('.') && error.contains(". "), "{name}: {error}");
            refused += 1;
            continue;
        }
        let event = event(&case["event"]);
        assert_eq!(hex(&event.encode()), hex(&cbor), "{name}");
        assert_eq!(Event::decode(&cbor).as_ref(), Ok(&event), "{name}");
        let commitment = commitment(&bytes(&case["opening_hex"]), &cbor);
        assert_eq!(hex(&commitment), case["commitment_hex"].as_str().unwrap(), "{name}");
        let tag = tag(&bytes(&case["tag_key_hex"]), number(&case["n"]));
        assert_eq!(hex(&tag), case["tag_hex"].as_str().unwrap(), "{name}");
        assert_eq!(hex(&leaf(&commitment, &tag)), case["leaf_hex"].as_str().unwrap(), "{name}");
        accepted += 1;
    }
    assert!(accepted >= 25 && refused >= 55, "{accepted} accepted, {refused} refused");
}

#[test]
fn the_golden_matters_open_what_their_events_bind() {
    let cases: Vec<_> = vectors().into_iter().filter(|(_, case)| !case["matter"].is_null()).collect();
    assert!(cases.len() >= 4);
    for (name, case) in &cases {
        let (fields, told) = (&case["event"], &case["matter"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let matter = Matter { reason: text(&told["reason"]), detail: given(&told["detail"], text) };
        assert_eq!(hex(&matter.encode()), told["cbor_hex"].as_str().unwrap(), "{name}");
        assert_eq!(Matter::decode(&matter.encode()), Ok(matter.clone()), "{name}");
        let opened = OpenedMatter { opening: bytes(&told["opening_hex"]), matter };
        let closed = event(fields);
        let whole = closed.with_matter(&opened).unwrap_or_else(|| panic!("{name}: it does not open"));
        assert_eq!((&whole.reason, whole.closed), (&opened.matter.reason, closed.closed), "{name}");
        assert_eq!(whole.detail, opened.matter.detail.clone().or(closed.detail.clone()), "{name}");
        for (_, other) in cases.iter().filter(|(other, _)| other != name) {
            assert!(event(&other["event"]).with_matter(&opened).is_none(), "{name} opens another");
        }
    }
}

#[test]
fn the_golden_chain_hangs_together() {
    let chain: Vec<_> =
        vectors().into_iter().filter(|(name, _)| name.starts_with("accept-chain-")).map(|(_, case)| case).collect();
    assert_eq!(chain.len(), 4);
    for (n, case) in (0u64..).zip(&chain) {
        let event = event(&case["event"]);
        assert_eq!(event.n, n);
        let before = n.checked_sub(1).map(|before| bytes(&chain[before as usize]["commitment_hex"]));
        assert_eq!(event.prev, before);
    }
    let tags: std::collections::BTreeSet<_> = chain.iter().map(|case| case["tag_hex"].as_str().unwrap()).collect();
    assert_eq!(tags.len(), 4, "the tags of one resident must all differ");
}

#[test]
fn every_kind_has_a_golden_event() {
    let cases = vectors();
    for kind in KINDS {
        assert!(cases.iter().any(|(_, case)| case["event"]["kind"] == kind.code()), "{kind:?}");
    }
}

#[test]
fn another_opening_event_key_or_number_gives_another_leaf() {
    let (_, case) = vectors().into_iter().find(|(name, _)| name == "accept-chain-1-use").unwrap();
    let cbor = unhex(case["cbor_hex"].as_str().unwrap()).unwrap();
    let (opening, key): ([u8; 32], [u8; 32]) = (bytes(&case["opening_hex"]), bytes(&case["tag_key_hex"]));
    let right = leaf(&commitment(&opening, &cbor), &tag(&key, 1));
    assert_eq!(hex(&right), case["leaf_hex"].as_str().unwrap());
    let mut other = opening;
    other[31] ^= 1;
    assert_ne!(leaf(&commitment(&other, &cbor), &tag(&key, 1)), right);
    assert_ne!(leaf(&commitment(&opening, &cbor[..cbor.len() - 1]), &tag(&key, 1)), right);
    assert_ne!(leaf(&commitment(&opening, &cbor), &tag(&key, 2)), right);
    let mut other = key;
    other[0] ^= 1;
    assert_ne!(leaf(&commitment(&opening, &cbor), &tag(&other, 1)), right);
}

#[test]
fn event_leaves_of_the_shared_vectors() {
    // The same file is read by the verifier in the browser.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/tlog/event-leaves.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let bytes = |field: &str| usufruct_core::hash::unhex(case[field].as_str().unwrap()).unwrap();
        let commitment = commitment(&bytes("r_hex").try_into().unwrap(), &bytes("event_hex"));
        let tag = tag(&bytes("tag_key_hex").try_into().unwrap(), case["n"].as_str().unwrap().parse().unwrap());
        assert_eq!((commitment.to_vec(), tag.to_vec()), (bytes("commitment_hex"), bytes("tag_hex")));
        assert_eq!(leaf(&commitment, &tag).to_vec(), bytes("leaf_hex"));
    }
}
