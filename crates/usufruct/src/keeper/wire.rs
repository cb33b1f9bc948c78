//! The messages between city and keepers: small JSON objects, posted to the path of the call.

use std::num::NonZeroU8;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use usufruct_app::vault::Epoch;
use usufruct_app::vault::keeper::{Share, Standing};
use usufruct_core::Digest;
use zeroize::Zeroizing;

/// Paths of the calls.
pub const STANDING: &str = "/standing";
pub const PREPARE: &str = "/prepare";
pub const KEEP_ONLY: &str = "/keep-only";
pub const KEEP_FROM: &str = "/keep-from";
pub const SHARE: &str = "/share";
pub const COUNTER: &str = "/counter";
pub const SECTORS: &str = "/sectors";

/// Bytes of a question about pseudonyms and of its answer: 10,000 of them and room to spare.
pub const SECTORS_LIMIT: usize = 164_096;

/// A call without arguments.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Where a keeper stands.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stands {
    pub counter: u64,
    /// Whether it has compared its counter with another keeper's since its start, or never held anything.
    pub fresh: bool,
    /// The highest counter that another keeper says it is at; 0 if none has said anything.
    pub told: u64,
    pub held: Vec<HeldEpoch>,
}

/// An epoch of which a share is held.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldEpoch {
    pub epoch: u64,
    pub check: Digest,
}

/// A share for a keeper.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    pub vault: String,
    pub epoch: u64,
    /// Where the share lies on the polynomials; the root lies at 0.
    pub x: NonZeroU8,
    pub share: Secret,
    /// Commitment to the root.
    pub check: Digest,
}

/// Which root counts from now on: every share of an earlier one is to be destroyed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub vault: String,
    pub epoch: u64,
    /// Commitment to the root.
    pub check: Digest,
}

/// An epoch that a call is about.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfEpoch {
    pub vault: String,
    pub epoch: u64,
}

/// A share from a keeper.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Where the share lies on the polynomials; the root lies at 0.
    pub x: NonZeroU8,
    pub share: Secret,
    pub check: Digest,
}

/// A keeper asks another where it stands.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// 16 bytes in hexadecimal digits; the answer signs them.
    pub nonce: String,
}

/// Why a call was not answered.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub why: String,
}

/// 32 secret bytes, base64url. Overwritten when dropped; has no `Debug`.
pub struct Secret(pub Zeroizing<[u8; 32]>);

impl Secret {
    /// The secret half of a share.
    pub fn of(share: &Share) -> Self {
        Self(Zeroizing::new(share.y))
    }

    /// The share at `x`.
    pub fn share(&self, x: NonZeroU8) -> Share {
        Share { x: x.get(), y: *self.0 }
    }
}

/// Where a share lies; `None` for what is no share but the root itself.
pub fn place(share: &Share) -> Option<NonZeroU8> {
    NonZeroU8::new(share.x)
}

impl From<Standing> for Stands {
    fn from(standing: Standing) -> Self {
        let held = standing.held.iter().map(|(epoch, check)| HeldEpoch { epoch: epoch.0, check: *check }).collect();
        Self { counter: standing.counter.0, fresh: standing.is_fresh, told: standing.told.0, held }
    }
}

impl From<Stands> for Standing {
    fn from(stands: Stands) -> Self {
        let held = stands.held.iter().map(|held| (Epoch(held.epoch), held.check)).collect();
        Self { counter: Epoch(stands.counter), held, is_fresh: stands.fresh, told: Epoch(stands.told) }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.0)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SecretText)
    }
}

/// Reads a secret from where it stands, without a copy as text and without a word about it in an error.
struct SecretText;

impl Visitor<'_> for SecretText {
    type Value = Secret;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("32 bytes in base64url without padding")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
        // The decoder wants room for what it believes could come.
        let mut bytes = Zeroizing::new([0; 33]);
        match URL_SAFE_NO_PAD.decode_slice(text, &mut *bytes) {
            Ok(32) => {
                let mut secret = Zeroizing::new([0; 32]);
                secret.copy_from_slice(&bytes[..32]);
                Ok(Secret(secret))
            }
            _ => Err(E::invalid_value(Unexpected::Other("something else"), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_as_it_was_written_and_errors_keep_it() {
        let secret = Secret(Zeroizing::new([7; 32]));
        let text = serde_json::to_string(&secret).unwrap();
        let back: Secret = serde_json::from_str(&text).unwrap();
        assert_eq!(*back.0, [7; 32]);
        for wrong in [
            "\"\"".to_owned(),
            format!("\"{}\"", "B".repeat(42)),
            format!("\"{}\"", "B".repeat(44)),
            format!("\"{}=\"", "B".repeat(43)),
            format!("\"{}\"", "B".repeat(400)),
            "7".to_owned(),
        ] {
            let error = serde_json::from_str::<Secret>(&wrong).err().unwrap().to_string();
            assert!(!error.contains("BBB"), "{error}");
        }
    }
}
