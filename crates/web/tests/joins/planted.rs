//! The comparison can fail: a value that is planted in what two services heard, by any way and in any spelling, is found, and the way is named.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::hash::{hex, sha256};
use usufruct_core::time::SECOND;

use crate::allowed::Allowed;
use crate::compared::{Told, joined, strange, tell};
use crate::search::{Pieces, pieces, pieces_of};
use crate::service::{Channel, Heard};
use crate::town::Town;

/// Makes a text of 48 random bits and more.
type Spelling = fn(&[u8; 32]) -> String;

/// Spellings of one value, each at another service. Numbers are as long as a second and as a microsecond since 1970.
const SPELLINGS: [[Spelling; 2]; 6] = [
    [|value| URL_SAFE_NO_PAD.encode(&value[..16]), |value| URL_SAFE_NO_PAD.encode(&value[..16])],
    [|value| URL_SAFE_NO_PAD.encode(&value[..16]), |value| hex(&value[..16])],
    [|value| format!("evt_{}", hex(&value[..8])), |value| STANDARD.encode(&value[..16])],
    // One begins as the other ends.
    [|value| hex(&value[..16]), |value| hex(&value[8..24])],
    [|value| second(value).to_string(), |value| second(value).to_string()],
    [|value| (second(value) * SECOND + 1).to_string(), |value| Time::from_micros(second(value) * SECOND + 1).to_string()],
];

/// A second of the year 2023.
fn second(value: &[u8; 32]) -> i64 {
    1_690_000_000 + i64::from(u16::from_be_bytes([value[0], value[1]]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_planted_in_any_way_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::open(dir.path(), None).await;
    let allowed = Allowed::before_anybody_came(&town).await;
    let told = tell(&town).await;
    let [hers, of_another] = [&told.hers, &told.of_another].map(|heard| heard.each_ref().map(|heard| pieces(heard)));
    let mut unseen = Vec::new();
    for (place, spelling) in SPELLINGS.iter().enumerate() {
        // Each way gets a value of its own, so that what is found says by which way it came.
        let mut planted = hers.clone();
        for (number, channel) in Channel::ALL.into_iter().enumerate() {
            let value = sha256(format!("{number} {place}").as_bytes()).0;
            for (service, way) in ways(channel, &told).into_iter().enumerate() {
                plant(&mut planted[service], &told.hers[service], way, &spelling[service](&value));
            }
        }
        for found in [joined(&planted, &of_another, &told), strange(&planted.each_ref(), &allowed, &told)] {
            for channel in Channel::ALL {
                let [one, other] = ways(channel, &told);
                if !found.iter().any(|found| found.ends_with(&format!("by {{{one:?}}} and {{{other:?}}}"))) {
                    unseen.push(format!("{channel:?} in spelling {place}"));
                }
            }
        }
    }
    assert!(unseen.is_empty(), "not found:\n{}", unseen.join("\n"));
}

/// By which way each of them is told what the channel brings.
fn ways(channel: Channel, told: &Told) -> [Channel; 2] {
    [0, 1].map(|service| {
        let other = match channel {
            Channel::Push => Channel::Poll,
            Channel::Poll => Channel::Push,
            same => same,
        };
        let heard: BTreeSet<Channel> = told.hers[service].iter().map(|heard| heard.channel).collect();
        if heard.contains(&channel) { channel } else { other }
    })
}

/// Adds the pieces of the last message of this way with a value inside it: as a member, a claim, a field of an address, a word of a page, or of a
/// header.
fn plant(pieces: &mut Pieces, heard: &[Heard], channel: Channel, value: &str) {
    let of_way = || heard.iter().filter(move |heard| heard.channel == channel);
    // An answer to a poll that brought something, rather than the one that says that there is no more.
    let last = of_way().rfind(|heard| heard.text.contains("\"sets\":{\"")).or_else(|| of_way().next_back()).unwrap();
    for piece in pieces_of(&with(&last.text, value)) {
        pieces.entry(piece).or_default().insert(channel);
    }
}

/// The text with the value inside.
fn with(text: &str, value: &str) -> String {
    if let Ok(mut json @ Value::Object(_)) = serde_json::from_str::<Value>(text) {
        let is_of_tokens = json["sets"].as_object().is_some_and(|sets| !sets.is_empty());
        if is_of_tokens {
            let token = json["sets"].as_object_mut().unwrap().values_mut().next().unwrap();
            *token = json!(with(token.as_str().unwrap(), value));
        } else {
            json["more"] = json!([{ "value": value }]);
        }
        return json.to_string();
    }
    let (before, token) = text.split_once('=').filter(|(name, _)| *name == "logout_token").unwrap_or(("", text));
    let parts: Vec<&str> = token.split('.').collect();
    let claims = parts.get(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    if let Some(mut claims) = claims.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
        claims["more"] = json!(value);
        let joint = if before.is_empty() { "" } else { "=" };
        return format!("{before}{joint}{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    }
    if text.starts_with("http") {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        return format!("{text}&more={value}");
    }
    if text.contains("</main>") {
        text.replace("</main>", &format!("<p title=\"{value}\"></p></main>"))
    } else {
        format!("{text} x-more: {value}")
    }
}
