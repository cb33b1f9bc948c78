//! The messages between city and keepers: small JSON objects, posted to the path of the call.

use std::num::NonZeroU8;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use usufruct_app::vault::Epoch;
use usufruct_app::vault::hpke::PublicKey;
use usufruct_app::vault::keeper::{SEALED, Share, Standing};
use usufruct_core::Digest;

/// Paths of the calls.
pub const STANDING: &str = "/standing";
pub const KEY: &str = "/key";
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

/// A key that a keeper has made for one share, which is to be sealed to it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneTime {
    pub key: Fixed<32>,
}

/// A share for a keeper.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    pub vault: String,
    pub epoch: u64,
    /// Where the share lies on the polynomials; the root lies at 0.
    pub x: NonZeroU8,
    /// The key that the keeper gave for it.
    pub key: Fixed<32>,
    pub sealed: Fixed<SEALED>,
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

/// An epoch whose share is asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfEpoch {
    pub vault: String,
    pub epoch: u64,
    /// A key that the city has made for this one answer.
    pub key: Fixed<32>,
}

/// A share from a keeper.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Where the share lies on the polynomials; the root lies at 0.
    pub x: NonZeroU8,
    pub sealed: Fixed<SEALED>,
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

/// So many bytes, base64url. Nothing secret: keys are public, and shares are sealed.
pub struct Fixed<const N: usize>(pub [u8; N]);

impl Fixed<32> {
    /// The key in these bytes, if it is one.
    pub fn key(&self) -> Option<PublicKey> {
        PublicKey::new(self.0)
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

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom(format_args!("not {N} bytes in base64url without padding")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_they_were_written_and_in_no_other_number() {
        let text = serde_json::to_string(&Fixed([7; 32])).unwrap();
        assert_eq!(serde_json::from_str::<Fixed<32>>(&text).unwrap().0, [7; 32]);
        assert!(serde_json::from_str::<Fixed<SEALED>>(&text).is_err());
        for wrong in [
            "\"\"".to_owned(),
            format!("\"{}\"", "B".repeat(42)),
            format!("\"{}\"", "B".repeat(44)),
            format!("\"{}=\"", "B".repeat(43)),
            "7".to_owned(),
        ] {
            assert!(serde_json::from_str::<Fixed<32>>(&wrong).is_err(), "{wrong}");
        }
    }
}
