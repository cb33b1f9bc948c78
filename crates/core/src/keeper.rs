//! Destroyed: what a keeper of the root has signed when it overwrote its share of an old one.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::hash::{hex, unhex};
use crate::statement::public_key;

/// A keeper says: I hold nothing of any epoch before this one, and I will never hold it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destroyed {
    /// Name of the key tree: the origin of the city's log.
    pub vault: String,
    /// Name of the keeper.
    pub keeper: String,
    /// Its counter: the epoch it is at. It only ever grows.
    pub epoch: u64,
    /// When it signed, in seconds since 1970 UTC, by its own clock.
    pub at: u64,
    /// Ed25519, base64url.
    pub signature: String,
}

impl Destroyed {
    /// Signs the statement.
    pub fn sign(vault: &str, keeper: &str, epoch: u64, at: u64, pair: &Ed25519KeyPair) -> Self {
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(&message(vault, keeper, epoch, at)));
        Self { vault: vault.to_owned(), keeper: keeper.to_owned(), epoch, at, signature }
    }

    /// Whether it was signed with this key (base64url).
    pub fn is_signed_by(&self, public: &str) -> bool {
        let (Some(public), Ok(signature)) = (public_key(public), URL_SAFE_NO_PAD.decode(&self.signature)) else {
            return false;
        };
        let message = message(&self.vault, &self.keeper, self.epoch, self.at);
        UnparsedPublicKey::new(&ED25519, public).verify(&message, &signature).is_ok()
    }
}

/// What is signed: five lines. Names have no newline, which [`is_name`] sees to.
fn message(vault: &str, keeper: &str, epoch: u64, at: u64) -> Vec<u8> {
    format!("usufruct/keeper/v1\nvault {vault}\nkeeper {keeper}\ndestroyed below {epoch}\nat {at}\n").into_bytes()
}

/// A keeper tells another one, which has just started, where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    pub vault: String,
    pub keeper: String,
    pub counter: u64,
    /// What the other one asked with, in hexadecimal digits.
    pub nonce: String,
    /// Ed25519, base64url.
    pub signature: String,
}

impl Counter {
    /// Signs the counter.
    pub fn sign(vault: &str, keeper: &str, counter: u64, nonce: &[u8; 16], pair: &Ed25519KeyPair) -> Self {
        let nonce = hex(nonce);
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(&counter_message(vault, keeper, counter, &nonce)));
        Self { vault: vault.to_owned(), keeper: keeper.to_owned(), counter, nonce, signature }
    }

    /// Whether it was signed with this key (base64url).
    pub fn is_signed_by(&self, public: &str) -> bool {
        let (Some(public), Ok(signature)) = (public_key(public), URL_SAFE_NO_PAD.decode(&self.signature)) else {
            return false;
        };
        let message = counter_message(&self.vault, &self.keeper, self.counter, &self.nonce);
        UnparsedPublicKey::new(&ED25519, public).verify(&message, &signature).is_ok()
    }

    /// The nonce as bytes; empty if it is none.
    pub fn nonce_bytes(&self) -> Vec<u8> {
        unhex(&self.nonce).unwrap_or_default()
    }
}

fn counter_message(vault: &str, keeper: &str, counter: u64, nonce: &str) -> Vec<u8> {
    format!("usufruct/keeper-counter/v1\nvault {vault}\nkeeper {keeper}\ncounter {counter}\nnonce {nonce}\n").into_bytes()
}

/// Whether this can be the name of a keeper or a vault: 1 to 255 printable ASCII characters without a space.
pub fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}
