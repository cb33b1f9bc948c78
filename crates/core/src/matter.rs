//! Matter: what a use is about where that concerns somebody else (an heir, a spouse, who complained). It stands apart from the event, bound
//! and hidden by it, and is shown to the resident from a day on that the event names.

use crate::Time;
use crate::cbor::{Malformed, read};
use crate::hash::{equal, hmac_sha256};

/// What an event does not say until its day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    /// Code of the reason; the words come from the mandate.
    pub reason: String,
    /// The service whose pseudonyms were asked for.
    pub detail: Option<String>,
}

/// What an event says of a matter that is closed: the commitment to it, and from when the resident is shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub commitment: [u8; 32],
    pub shown_from: Time,
}

/// A matter with the 32 fresh random bytes that hide it. Whoever has it can show that an event was about it.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedMatter {
    pub opening: [u8; 32],
    pub matter: Matter,
}

impl Matter {
    /// Deterministic CBOR: the reason, and the detail where there is one, in a list.
    pub fn encode(&self) -> Vec<u8> {
        let mut cbor = minicbor::Encoder::new(Vec::new());
        // Writing to a Vec cannot fail, so the results carry nothing.
        (|| {
            cbor.array(1 + u64::from(self.detail.is_some()))?.str(&self.reason)?;
            if let Some(detail) = &self.detail {
                cbor.str(detail)?;
            }
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })()
        .ok();
        cbor.into_writer()
    }

    /// Reads a matter; anything but its one deterministic form is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut d = minicbor::Decoder::new(bytes);
        let parts = read(d.array(), "matter")?;
        let reason = read(d.str(), "reason")?.to_owned();
        let detail = match parts {
            Some(1) => None,
            Some(2) => Some(read(d.str(), "detail")?.to_owned()),
            _ => return Err(Malformed { what: "matter" }),
        };
        let matter = Self { reason, detail };
        if matter.encode() == bytes { Ok(matter) } else { Err(Malformed { what: "it is not in its one shortest form" }) }
    }
}

impl OpenedMatter {
    /// What the event binds.
    pub fn commitment(&self) -> [u8; 32] {
        commitment(&self.opening, &self.matter.encode())
    }

    /// Whether an event that says this is about it.
    pub fn opens(&self, closed: &Closed) -> bool {
        equal(&self.commitment(), &closed.commitment)
    }

    /// The random bytes, then the matter.
    pub fn encode(&self) -> Vec<u8> {
        [&self.opening[..], &self.matter.encode()].concat()
    }

    /// Reads what [`OpenedMatter::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (opening, matter) = bytes.split_first_chunk().ok_or(Malformed { what: "matter" })?;
        Ok(Self { opening: *opening, matter: Matter::decode(matter)? })
    }
}

/// Binds a matter and hides it behind 32 fresh random bytes.
pub fn commitment(opening: &[u8; 32], matter: &[u8]) -> [u8; 32] {
    let len = u32::try_from(matter.len()).unwrap_or(u32::MAX).to_be_bytes();
    hmac_sha256(opening, &[b"usufruct/matter/v1", &len, matter])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(opening in any::<[u8; 32]>(), reason in ".{0,40}", detail in any::<Option<String>>()) {
            let opened = OpenedMatter { opening, matter: Matter { reason, detail } };
            let back = OpenedMatter::decode(&opened.encode()).unwrap();
            prop_assert!(back == opened);
        }

        #[test]
        fn it_opens_what_was_closed_with_it_and_nothing_else(opening in any::<[u8; 32]>(), other in any::<[u8; 32]>(), reason in "[a-z]{0,9}", another in "[a-z]{0,9}") {
            let opened = OpenedMatter { opening, matter: Matter { reason: reason.clone(), detail: None } };
            let closed = Closed { commitment: opened.commitment(), shown_from: Time::default() };
            prop_assert!(opened.opens(&closed));
            let elsewhere = OpenedMatter { opening: other, ..opened.clone() };
            prop_assert_eq!(elsewhere.opens(&closed), other == opening);
            let about_else = OpenedMatter { matter: Matter { reason: another.clone(), detail: None }, ..opened };
            prop_assert_eq!(about_else.opens(&closed), another == reason);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = OpenedMatter::decode(&bytes);
        }
    }
}
