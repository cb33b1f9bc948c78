//! What two services may have in common, each with its reason.
//!
//! Three kinds, and no more: what the pass says to everybody, which is read before anybody has signed in; the words of the protocols and of the pass,
//! which stand in `allowed.toml`; and moments, which stand there as rules and come from the story.

use std::collections::BTreeSet;

use serde::Deserialize;
use usufruct_core::time::{HOUR, SECOND};

use crate::common::CARD;
use crate::search::pieces_of;
use crate::town::{READS, SUMMER, Town};

/// Addresses that everybody may read.
const PUBLIC: [&str; 8] = [
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/ssf-configuration",
    "/oidc/jwks",
    "/register/mandates.json",
    "/register/services.json",
    "/log/vkey",
    "/log/receipt-vkey",
];

#[derive(Deserialize)]
struct File {
    words: Vec<Words>,
}

/// Words of one kind, and why both services may read them.
#[derive(Deserialize)]
struct Words {
    why: String,
    texts: Vec<String>,
}

pub struct Allowed {
    public: BTreeSet<String>,
    words: Vec<Words>,
}

impl Allowed {
    /// Reads what is public in a town in which nobody has signed in yet.
    pub async fn before_anybody_came(town: &Town) -> Self {
        let mut public = BTreeSet::new();
        let of_mandates = [CARD, READS, SUMMER].map(|mandate| format!("/register/mandates/{mandate}"));
        for path in PUBLIC.into_iter().map(str::to_owned).chain(of_mandates) {
            let answer = town.site.get(&path, "").await;
            assert!(answer.status.is_success(), "{path}: {}", answer.status);
            public.extend(pieces_of(answer.text()));
            for (name, value) in &answer.headers {
                public.extend(pieces_of(&format!("{name}: {}", value.to_str().unwrap())));
            }
        }
        // The page without anybody's desk on it, in both languages.
        for language in ["en", "zh-Hant"] {
            public.extend(pieces_of(town.site.get("/vendor", &format!("lang={language}")).await.text()));
        }
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/joins/allowed.toml")).unwrap();
        let file: File = toml::from_str(&file).unwrap();
        Self { public, words: file.words }
    }

    /// What is in common and may not be. `moments` are seconds of which the story says that both hear of them.
    pub fn strange<'a>(&self, shared: impl IntoIterator<Item = &'a String>, moments: &BTreeSet<i64>) -> Vec<&'a String> {
        let words: BTreeSet<String> = self.words.iter().flat_map(|words| &words.texts).flat_map(|text| pieces_of(text)).collect();
        let is_known = |piece: &&String| self.public.contains(*piece) || words.contains(*piece) || is_moment(piece, moments);
        shared.into_iter().filter(|piece| !is_known(piece)).collect()
    }

    /// Words that nobody heard, so that nobody needs them to be allowed.
    pub fn idle<'a>(&'a self, shared: &BTreeSet<String>) -> Vec<&'a str> {
        let texts = self.words.iter().inspect(|words| assert!(!words.why.is_empty())).flat_map(|words| &words.texts);
        let is_needed = |text: &str| pieces_of(text).iter().any(|piece| shared.contains(piece) && !self.public.contains(piece));
        texts.map(String::as_str).filter(|text| !is_needed(text)).collect()
    }
}

/// A moment that the story names, or one that is cut to the hour or the day: what is due and when a notice could be read.
pub fn is_moment(piece: &str, moments: &BTreeSet<i64>) -> bool {
    piece.parse::<i64>().is_ok_and(|second| piece.len() == 10 && (moments.contains(&second) || second % (HOUR / SECOND) == 0))
}
