//! Deterministic CBOR (RFC 8949 4.2.1) for events: a map from small whole numbers to values, each key once and in order.

use minicbor::{Decoder, Encoder};

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The bytes are not an event in deterministic CBOR: {what}. Take the event as the server gave it, unchanged.")]
pub struct Malformed {
    pub(crate) what: &'static str,
}

/// Writes a map of `len` entries; the caller writes the entries in ascending key order.
pub(crate) fn map(len: u64) -> Encoder<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::with_capacity(256));
    // Writing to a Vec cannot fail; the same holds for every `ok()` on an encoder below.
    encoder.map(len).ok();
    encoder
}

pub(crate) fn read<'b, T>(result: Result<T, minicbor::decode::Error>, what: &'static str) -> Result<T, Malformed>
where
    T: 'b,
{
    result.map_err(|_| Malformed { what })
}

pub(crate) fn bytes32(decoder: &mut Decoder<'_>, what: &'static str) -> Result<[u8; 32], Malformed> {
    read(decoder.bytes(), what)?.try_into().map_err(|_| Malformed { what })
}
