//! One way to seal: AES-256-GCM under a key that is used for one message only, so the nonce is zero.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::tree::Key;

/// Length of the tag at the end of everything sealed.
pub(crate) const TAG_LEN: usize = 16;

/// HKDF-Expand with SHA-256 (RFC 5869 2.3): the key that `key` gives for `info`.
pub(crate) fn expand(key: &Key, info: &[&[u8]]) -> Key {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.bytes())
        .expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *out))
        // INVARIANT: expansion fails for more than 255 blocks only, and this asks for one.
        .expect("32 bytes can be expanded");
    Key::from_bytes(*out)
}

/// `front` in clear, then `plain` sealed. `key` must never seal anything else.
pub(crate) fn seal(key: &Key, aad: &[u8], front: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(front.len() + plain.len() + TAG_LEN);
    out.extend_from_slice(front);
    out.extend_from_slice(plain);
    let tag = cipher(key)
        .seal_in_place_separate_tag(zero_nonce(), Aad::from(aad), &mut out[front.len()..])
        // INVARIANT: sealing fails beyond 64 GiB only.
        .expect("the plaintext is short");
    out.extend_from_slice(tag.as_ref());
    out
}

/// What [`seal`] sealed, given without its front.
pub(crate) fn open(key: &Key, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let len = cipher(key).open_in_place(zero_nonce(), Aad::from(aad), &mut buffer).map_err(|_| Error::Unreadable)?.len();
    buffer.truncate(len);
    Ok(buffer)
}

/// `body` with its length in front and zeros behind, a multiple of `step` bytes long.
pub(crate) fn pad(body: &[u8], step: usize) -> Zeroizing<Vec<u8>> {
    // INVARIANT: blocks, lines and keyrings are far below 4 GiB.
    let len = u32::try_from(body.len()).expect("the plaintext is short");
    let mut padded = Zeroizing::new(Vec::with_capacity((4 + body.len()).next_multiple_of(step)));
    padded.extend_from_slice(&len.to_be_bytes());
    padded.extend_from_slice(body);
    padded.resize((4 + body.len()).next_multiple_of(step), 0);
    padded
}

/// What [`pad`] padded.
pub(crate) fn unpad(padded: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (len, rest) = padded.split_first_chunk::<4>().ok_or(Error::Malformed { what: "the length is missing" })?;
    let (body, zeros) =
        rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or(Error::Malformed { what: "the length is wrong" })?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(Error::Malformed { what: "the padding is not zero" });
    }
    Ok(Zeroizing::new(body.to_vec()))
}

fn cipher(key: &Key) -> LessSafeKey {
    // INVARIANT: the key has the 32 bytes the algorithm asks for.
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.bytes()).expect("the key has 32 bytes"))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn padding_hides_the_length_and_comes_off(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let padded = pad(&body, 64);
            prop_assert_eq!(padded.len() % 64, 0);
            prop_assert!(padded.len() < body.len() + 68);
            prop_assert_eq!(&*unpad(&padded).unwrap(), &body);
        }

        #[test]
        fn seals_bind_everything(plain in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let key = Key::from_bytes([7; 32]);
            let mut sealed = seal(&key, b"aad", b"front", &plain);
            prop_assert_eq!(&*open(&key, b"aad", &sealed[5..]).unwrap(), &plain);
            prop_assert!(open(&key, b"other", &sealed[5..]).is_err());
            let at = 5 + at.index(sealed.len() - 5);
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&key, b"aad", &sealed[5..]).is_err());
        }
    }

    #[test]
    fn bad_padding_is_refused() {
        for bad in [&[][..], &[0, 0, 0], &[0, 0, 0, 2, 1], &[0, 0, 0, 1, 1, 1]] {
            assert!(matches!(unpad(bad), Err(Error::Malformed { .. })));
        }
    }
}
