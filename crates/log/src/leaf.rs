//! The two kinds of leaves: public statements and sealed events.
//!
//! A sealed event is a commitment and a tag, 66 bytes that look random to everybody who holds neither the blinding
//! nor the tag key. Destroying both makes the leaf noise for good; the tree stays as it is.

use aws_lc_rs::hmac;

use crate::error::{Error, Result};
use crate::tile::MAX_ENTRY_BYTES;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// `0x01 0x02 || commitment || tag`, exactly 66 bytes.
    Event {
        /// What happened, sealed; see [`commitment`].
        commitment: [u8; 32],
        /// The place in the sequence of one person, sealed; see [`tag`].
        tag: [u8; 32],
    },
    /// `0x01 0x01 || text`: a public statement in canonical JSON. The text is not examined here.
    Statement(Vec<u8>),
}

/// The length of an event leaf.
pub const EVENT_BYTES: usize = 66;

/// The largest statement, without the two bytes before it.
pub const MAX_STATEMENT_BYTES: usize = MAX_ENTRY_BYTES - 2;

/// Commits to an event: `HMAC-SHA256(r, "usufruct/event/v1" || u32be length || event)`.
///
/// `r` must be 32 fresh random bytes for every event, derived from nothing that outlives it.
pub fn commitment(r: &[u8; 32], event: &[u8]) -> Result<[u8; 32]> {
    let length = u32::try_from(event.len()).map_err(|_| Error::TooLarge { what: "event", limit: u32::MAX as usize })?;
    Ok(hmac(r, &[b"usufruct/event/v1", &length.to_be_bytes(), event]))
}

/// The tag of the n-th event of the person who holds `key`: `HMAC-SHA256(key, "usufruct/tag/v1" || u64be n)`.
pub fn tag(key: &[u8; 32], n: u64) -> [u8; 32] {
    hmac(key, &[b"usufruct/tag/v1", &n.to_be_bytes()])
}

impl Leaf {
    /// A statement leaf.
    pub fn statement(text: impl Into<Vec<u8>>) -> Result<Self> {
        let text = text.into();
        if text.is_empty() {
            return Err(Error::malformed("leaf", "a statement is empty"));
        }
        if text.len() > MAX_STATEMENT_BYTES {
            return Err(Error::TooLarge { what: "statement", limit: MAX_STATEMENT_BYTES });
        }
        Ok(Self::Statement(text))
    }

    /// The bytes that enter the log.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Event { commitment, tag } => [&[VERSION, EVENT], commitment.as_slice(), tag].concat(),
            Self::Statement(text) => [&[VERSION, STATEMENT], text.as_slice()].concat(),
        }
    }

    /// Reads the bytes of a leaf.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        match bytes {
            [VERSION, STATEMENT, text @ ..] => Self::statement(text),
            [VERSION, EVENT, rest @ ..] => {
                let halves = rest.split_first_chunk::<32>().and_then(|(first, second)| Some((*first, second.try_into().ok()?)));
                let (commitment, tag) = halves.ok_or_else(|| Error::malformed("leaf", "an event does not have 66 bytes"))?;
                Ok(Self::Event { commitment, tag })
            }
            _ => Err(Error::malformed("leaf", "its version or kind is unknown")),
        }
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

const VERSION: u8 = 0x01;
const STATEMENT: u8 = 0x01;
const EVENT: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_round_trip() {
        let event = Leaf::Event { commitment: commitment(&[1; 32], b"event").unwrap(), tag: tag(&[2; 32], 3) };
        assert_eq!(event.encode().len(), EVENT_BYTES);
        for leaf in [event, Leaf::statement("{}").unwrap(), Leaf::statement(vec![b' '; MAX_STATEMENT_BYTES]).unwrap()] {
            assert!(leaf.encode().len() <= MAX_ENTRY_BYTES);
            assert_eq!(Leaf::parse(&leaf.encode()).unwrap(), leaf);
        }
    }

    #[test]
    fn malformed_leaves_are_refused() {
        let event = [1, 2].into_iter().chain([0; 64]).collect::<Vec<u8>>();
        assert!(Leaf::parse(&event).is_ok());
        for bad in [
            vec![],
            vec![1],
            vec![1, 1],
            vec![1, 3, 0],
            vec![2, 1, 0],
            vec![1, 2],
            event[..65].to_vec(),
            [event, vec![0]].concat(),
            {
                let mut long = vec![b' '; 65_536];
                (long[0], long[1]) = (1, 1);
                long
            },
        ] {
            assert!(Leaf::parse(&bad).is_err());
        }
    }
}
