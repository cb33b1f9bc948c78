//! What two listeners have in common: every piece of what they heard that carries more than 40 bits.
//!
//! A text is taken apart as far as it goes: JSON into its members, tokens (JWS, JWE) into their parts, addresses and forms into their fields. What is
//! left are runs of letters and digits. Of each run every piece counts that is just long enough, wherever it begins, so two runs have a piece in common
//! as soon as they have a row of letters in common that says more than 40 bits. Bytes count as bytes, so the same key in hex and in base64url is one.
//! Numbers of nine digits and more count as a whole, although a second since 1970 has 31 bits: two such seconds in common are a join as well.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use usufruct_core::Time;
use usufruct_core::time::SECOND;

use crate::service::{Channel, Heard};

/// What a piece has to carry.
const BITS: f64 = 40.0;
/// Bytes in a row: 48 bits.
const BYTES: usize = 6;
/// Digits of a number that counts as a whole: a second since 1970 has ten.
const SHORTEST_NUMBER: usize = 9;

/// Pieces, and by which ways they came.
pub type Pieces = BTreeMap<String, BTreeSet<Channel>>;

/// Every piece of what was heard.
pub fn pieces(heard: &[Heard]) -> Pieces {
    let mut pieces = Pieces::new();
    for Heard { channel, text } in heard {
        for piece in pieces_of(text) {
            pieces.entry(piece).or_default().insert(*channel);
        }
    }
    pieces
}

/// Every piece of one text.
pub fn pieces_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    take_apart(text, &mut found);
    found
}

/// What both have, with the ways by which the first and the second got it.
pub fn shared(one: &Pieces, other: &Pieces) -> BTreeMap<String, [BTreeSet<Channel>; 2]> {
    let both = one.iter().filter_map(|(piece, ways)| Some((piece.clone(), [ways.clone(), other.get(piece)?.clone()])));
    both.collect()
}

fn take_apart(text: &str, found: &mut BTreeSet<String>) {
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        return walk(&json, found);
    }
    for text in spellings(text) {
        for word in text.split(|letter: char| letter.is_whitespace() || "\"'<>,;()[]{}&?#|".contains(letter)) {
            let value = word.split_once('=').map_or("", |(_, value)| value);
            [word, value].into_iter().for_each(|word| bytes_of_base64(word, found));
            // The letters of a moment say no more than its number, and most of them are those of its day.
            if !time(word, found) && !time(value, found) {
                take_words(word, found);
            }
        }
    }
}

fn take_words(text: &str, found: &mut BTreeSet<String>) {
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-.".contains(letter)) {
        if !token(word, found) {
            word.split('.').for_each(|run| take_run(run, found));
        }
    }
}

fn walk(json: &Value, found: &mut BTreeSet<String>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                take_apart(name, found);
                walk(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
        Value::String(text) => take_apart(text, found),
        Value::Number(number) => take_run(&number.to_string(), found),
        Value::Bool(_) | Value::Null => {}
    }
}

/// The text, and the same text without the escapes of addresses and of pages.
fn spellings(text: &str) -> BTreeSet<String> {
    let fields: String = url::form_urlencoded::parse(text.as_bytes()).map(|(name, value)| format!("{name} {value} ")).collect();
    let plain = text.replace("&#34;", "\"").replace("&#38;", "&").replace("&amp;", "&");
    // What has no field is no form, and a plus in it is no blank.
    let fields = if text.contains('=') { fields } else { String::new() };
    BTreeSet::from([text.to_owned(), fields, plain])
}

/// A signed or encrypted token: what is readable is read, and the rest is bytes.
fn token(word: &str, found: &mut BTreeSet<String>) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let opened = |part: &str| {
        let text = URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        text.starts_with('{').then_some(text)
    };
    if parts.len() < 2 || opened(parts[0]).is_none() {
        return false;
    }
    for part in parts {
        match opened(part) {
            Some(text) => take_apart(&text, found),
            None => take_run(part, found),
        }
    }
    true
}

/// A moment as text counts as the number of its second and, if it is finer, of its microsecond.
fn time(word: &str, found: &mut BTreeSet<String>) -> bool {
    let Ok(time) = word.parse::<Time>() else { return false };
    take_run(&time.seconds().to_string(), found);
    if time.micros() % SECOND != 0 {
        take_run(&time.micros().to_string(), found);
    }
    true
}

fn take_run(run: &str, found: &mut BTreeSet<String>) {
    let bytes = run.as_bytes();
    found.extend((0..bytes.len()).filter_map(|start| piece(&bytes[start..])));
    let is_number = bytes.iter().all(u8::is_ascii_digit);
    if is_number && bytes.len() >= SHORTEST_NUMBER {
        found.insert(run.to_owned());
    }
    // A short name of the kind may stand before a value, as in `del_0123…`.
    let value = run.split_once('_').filter(|(kind, _)| kind.len() <= 4).map_or(run, |(_, value)| value);
    for value in BTreeSet::from([run, value]) {
        bytes_of(value, found);
    }
}

/// The shortest beginning that carries enough, if there is one.
fn piece(run: &[u8]) -> Option<String> {
    let [mut digit, mut hex, mut lower, mut upper, mut other] = [false; 5];
    for (place, letter) in run.iter().enumerate() {
        match letter {
            b'0'..=b'9' => digit = true,
            b'a'..=b'f' => hex = true,
            b'g'..=b'z' => lower = true,
            b'A'..=b'Z' => upper = true,
            _ => other = true,
        }
        let of_letters = if lower {
            26
        } else if hex {
            6
        } else {
            0
        };
        let alphabet = of_letters + if digit { 10 } else { 0 } + if upper { 26 } else { 0 } + if other { 2 } else { 0 };
        let length = u32::try_from(place).unwrap() + 1;
        if f64::from(length) * f64::from(alphabet).log2() > BITS {
            return Some(String::from_utf8_lossy(&run[..=place]).into_owned());
        }
    }
    None
}

/// The bytes that a run stands for, if it does not look like words.
fn bytes_of(run: &str, found: &mut BTreeSet<String>) {
    let plain = run.replace('-', "");
    let is_hex = plain.len().is_multiple_of(2) && plain.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'));
    let bytes = if is_hex {
        plain.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    } else if run.bytes().all(|letter| letter.is_ascii_lowercase() || b"_-".contains(&letter)) {
        return;
    } else {
        URL_SAFE_NO_PAD.decode(run).unwrap_or_default()
    };
    take_bytes(&bytes, found);
}

/// The bytes of base64 that has letters which base64url has not.
fn bytes_of_base64(word: &str, found: &mut BTreeSet<String>) {
    if word.len() >= 16 && word.contains(['+', '=']) {
        take_bytes(&STANDARD.decode(word).unwrap_or_default(), found);
    }
}

fn take_bytes(bytes: &[u8], found: &mut BTreeSet<String>) {
    found.extend(bytes.windows(BYTES).map(|window| format!("bytes:{}", usufruct_core::hash::hex(window))));
}

#[test]
fn a_piece_is_as_long_as_forty_bits() {
    let lengths = ["1234567890123456", "0123456789abcdef", "abcdefghijklmnop", "zB3_efGhijklmnop"]
        .map(|run| piece(run.as_bytes()).unwrap().len());
    assert_eq!(lengths, [13, 11, 9, 7]);
    assert_eq!(piece(b"123456789012"), None);
}

#[test]
fn bytes_are_the_same_in_every_spelling() {
    let bytes: Vec<u8> = (0xe0..0xf0).collect();
    let hex = usufruct_core::hash::hex(&bytes);
    let spelled = [
        hex.clone(),
        format!("del_{hex}"),
        URL_SAFE_NO_PAD.encode(&bytes),
        format!("root {}", STANDARD.encode(&bytes)),
        format!("https://a.test/back?code={}", URL_SAFE_NO_PAD.encode(&bytes)),
        serde_json::json!({ "a": [{ "b": URL_SAFE_NO_PAD.encode(&bytes) }] }).to_string(),
    ];
    for text in spelled {
        assert!(pieces_of(&text).contains("bytes:e0e1e2e3e4e5"), "{text}");
    }
}

#[test]
fn tokens_and_times_are_read() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = format!("logout_token={}.{}.c2lnbmF0dXJl", part(r#"{"alg":"ES256"}"#), part(r#"{"iat":1767225600}"#));
    assert!(pieces_of(&token).contains("1767225600"));
    for text in [
        r#"{"at":"2026-01-01T00:00:00.5Z"}"#,
        r#"{"at":"2026-01-01T08:00:00.5+08:00"}"#,
        "Expires at 2026-01-01T00:00:00.5Z, or later",
    ] {
        let found = pieces_of(text);
        assert!(found.contains("1767225600") && found.contains("1767225600500000"), "{found:?}");
        assert!(!found.iter().any(|piece| piece.contains("-01-")), "its letters say nothing more: {found:?}");
    }
}
