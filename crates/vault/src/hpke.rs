//! HPKE (RFC 9180), base mode, one message for each key: whoever has the public key seals, whoever has the private key opens.
//!
//! One suite: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002. `info` names the use, `aad` binds
//! what lies beside the seal.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::{hkdf, hmac};
use usufruct_core::ports::{Rng, random};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Error, Result};

/// The suite as it stands in file formats: KEM, KDF and AEAD, two bytes each, big-endian.
pub const SUITE: [u8; 6] = [0, 0x20, 0, 1, 0, 2];
/// By how much what is sealed is longer: the encapsulated key in front, the tag behind.
pub const OVERHEAD: usize = KEY + 16;

/// Opens what was sealed to its public half. Overwritten when dropped; has no `Debug` and no `Clone`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey([u8; KEY]);

/// Where something is sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY]);

/// Seals `plain` so that only the private half of `to` opens it. Answers the encapsulated key and the ciphertext with its tag.
pub fn seal(to: &PublicKey, info: &[u8], aad: &[u8], plain: &[u8], rng: &dyn Rng) -> Vec<u8> {
    seal_with(&PrivateKey::boxed(rng), to, info, aad, plain)
}

/// Opens what [`seal`] sealed to the public half of `key`, for the same `info` and `aad`.
pub fn open(key: &PrivateKey, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (encapsulated, ciphertext) = sealed.split_first_chunk::<KEY>().ok_or(Error::Unreadable)?;
    let shared = agree(key, encapsulated, encapsulated, &key.public().0).ok_or(Error::Unreadable)?;
    let (cipher, nonce) = schedule(&shared, info);
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let len = cipher.open_in_place(nonce, Aad::from(aad), &mut buffer).map_err(|_| Error::Unreadable)?.len();
    buffer.truncate(len);
    Ok(buffer)
}

impl PrivateKey {
    /// A fresh key. All 32-byte strings are keys.
    pub fn random(rng: &dyn Rng) -> Self {
        Self(random(rng))
    }

    /// A fresh key in a place of its own from the beginning, so that no copy is left where it was made.
    pub fn boxed(rng: &dyn Rng) -> Box<Self> {
        let mut key = Box::new(Self([0; KEY]));
        rng.fill(&mut key.0);
        key
    }

    /// The key in these bytes, as its holder keeps it.
    pub const fn from_bytes(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        // INVARIANT: every private key has a public half of 32 bytes.
        let public = self.pair().compute_public_key().expect("a private key has a public half");
        PublicKey(public.as_ref().try_into().expect("a public key has 32 bytes"))
    }

    fn pair(&self) -> agreement::PrivateKey {
        // INVARIANT: all 32-byte strings are private keys of X25519.
        agreement::PrivateKey::from_private_key(&X25519, &self.0).expect("32 bytes are a private key")
    }
}

impl PublicKey {
    /// The key in these bytes; `None` for one of the few that would give the same secret to everybody (RFC 7748, 6.1).
    pub fn new(bytes: [u8; KEY]) -> Option<Self> {
        let probe = PrivateKey::from_bytes([1; KEY]);
        agree(&probe, &bytes, &[], &[]).map(|_| Self(bytes))
    }

    pub const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

/// As [`seal`], with the private key whose public half is sent along. It must never be used again.
fn seal_with(fresh: &PrivateKey, to: &PublicKey, info: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let encapsulated = fresh.public().0;
    // INVARIANT: a public key that agrees with nobody was refused when it was read.
    let shared = agree(fresh, &to.0, &encapsulated, &to.0).expect("the public key was tried");
    let (cipher, nonce) = schedule(&shared, info);
    let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
    out.extend_from_slice(&encapsulated);
    out.extend_from_slice(plain);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[KEY..])
        // INVARIANT: sealing fails beyond 64 GiB only.
        .expect("the plaintext is short");
    out.extend_from_slice(tag.as_ref());
    out
}

/// The shared secret of the KEM (4.1). `None` when the peer's key is one that gives zeros.
fn agree(own: &PrivateKey, peer: &[u8; KEY], encapsulated: &[u8], recipient: &[u8]) -> Option<Secret> {
    agreement::agree(&own.pair(), UnparsedPublicKey::new(&X25519, peer), (), |secret| {
        let prk = extract(&KEM_ID, b"", b"eae_prk", secret);
        Ok(expand(&KEM_ID, &prk, b"shared_secret", &[encapsulated, recipient]))
    })
    .ok()
}

/// The key and the nonce of the only message (5.1, with neither a pre-shared key nor a sequence).
fn schedule(shared: &Secret, info: &[u8]) -> (LessSafeKey, Nonce) {
    let psk_id = extract(&HPKE_ID, b"", b"psk_id_hash", b"");
    let info = extract(&HPKE_ID, b"", b"info_hash", info);
    let secret = extract(&HPKE_ID, &shared[..], b"secret", b"");
    let context: [&[u8]; 3] = [&[MODE_BASE], &psk_id[..], &info[..]];
    let key: Secret = expand(&HPKE_ID, &secret, b"key", &context);
    let nonce: Zeroizing<[u8; 12]> = expand(&HPKE_ID, &secret, b"base_nonce", &context);
    // INVARIANT: the key has the 32 bytes the algorithm asks for.
    let key = UnboundKey::new(&AES_256_GCM, &key[..]).expect("the key has 32 bytes");
    (LessSafeKey::new(key), Nonce::assume_unique_for_key(*nonce))
}

/// LabeledExtract (4).
fn extract(suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]) -> Secret {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in [VERSION, suite, label, secret] {
        context.update(part);
    }
    let mut out = Zeroizing::new([0; KEY]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// LabeledExpand (4).
fn expand<const N: usize>(suite: &[u8], secret: &Secret, label: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let len = (N as u16).to_be_bytes();
    let parts: Vec<&[u8]> = [&len, VERSION, suite, label].into_iter().chain(info.iter().copied()).collect();
    let mut out = Zeroizing::new([0; N]);
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &secret[..])
        .expand(&parts, Length(N))
        .and_then(|okm| okm.fill(&mut out[..]))
        // INVARIANT: expansion fails for more than 255 blocks only, and this asks for one.
        .expect("32 bytes can be expanded");
    out
}

type Secret = Zeroizing<[u8; KEY]>;

/// Length of keys and hashes.
const KEY: usize = 32;
const VERSION: &[u8] = b"HPKE-v1";
const KEM_ID: [u8; 5] = *b"KEM\x00\x20";
const HPKE_ID: [u8; 10] = *b"HPKE\x00\x20\x00\x01\x00\x02";
const MODE_BASE: u8 = 0;

#[cfg(test)]
mod tests {
    use hpke::aead::AesGcm256;
    use hpke::kdf::HkdfSha256;
    use hpke::kem::X25519HkdfSha256;
    use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    type TheirPrivate = <X25519HkdfSha256 as Kem>::PrivateKey;
    type TheirPublic = <X25519HkdfSha256 as Kem>::PublicKey;
    type TheirEncapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

    #[test]
    fn the_vector_of_the_rfc() {
        let text = include_str!("../../../vectors/vault/hpke.json");
        let vector: serde_json::Value = serde_json::from_str(text).unwrap();
        let bytes = |name: &str| usufruct_core::hash::unhex(vector[name].as_str().unwrap()).unwrap();
        let key = |name: &str| <[u8; KEY]>::try_from(bytes(name)).unwrap();
        let (recipient, fresh) = (PrivateKey::from_bytes(key("skRm")), PrivateKey::from_bytes(key("skEm")));
        assert_eq!((recipient.public().0, fresh.public().0), (key("pkRm"), key("enc")));
        let shared = agree(&fresh, &key("pkRm"), &key("enc"), &key("pkRm")).unwrap();
        assert_eq!(shared[..], bytes("shared_secret"));

        let (info, aad, plain) = (bytes("info"), bytes("aad"), bytes("pt"));
        let sealed = seal_with(&fresh, &recipient.public(), &info, &aad, &plain);
        assert_eq!(sealed, [bytes("enc"), bytes("ct")].concat());
        assert_eq!(*open(&recipient, &info, &aad, &sealed).unwrap(), plain);
    }

    #[test]
    fn keys_that_agree_with_everybody_are_refused() {
        // The points of small order, RFC 7748 and Curve25519: 0, 1, p - 1, p, p + 1.
        let p = |low: u8| {
            let mut bytes = [0xff; KEY];
            (bytes[0], bytes[KEY - 1]) = (low, 0x7f);
            bytes
        };
        let one = std::array::from_fn(|i| u8::from(i == 0));
        for small in [[0; KEY], one, p(0xec), p(0xed), p(0xee)] {
            assert!(PublicKey::new(small).is_none());
            let sealed = [&small[..], &[0; 48]].concat();
            assert!(matches!(open(&PrivateKey::from_bytes([7; KEY]), b"", b"", &sealed), Err(Error::Unreadable)));
        }
        for short in 0..OVERHEAD {
            assert!(open(&PrivateKey::from_bytes([7; KEY]), b"", b"", &vec![9; short]).is_err());
        }
    }

    proptest! {
        #[test]
        fn another_implementation_opens_it_and_seals_it(
            seed in any::<u64>(),
            info in prop::collection::vec(any::<u8>(), 0..80),
            aad in prop::collection::vec(any::<u8>(), 0..80),
            plain in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let rng = Seeded::new(seed);
            let key = PrivateKey::random(&rng);
            let sealed = seal(&key.public(), &info, &aad, &plain, &rng);
            let (encapsulated, ciphertext) = sealed.split_at(KEY);
            let theirs = TheirPrivate::from_bytes(key.bytes()).unwrap();
            let opened = hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &theirs,
                &TheirEncapsulated::from_bytes(encapsulated).unwrap(),
                &info,
                ciphertext,
                &aad,
            );
            prop_assert_eq!(opened.unwrap(), plain.clone());

            let public = TheirPublic::from_bytes(key.public().bytes()).unwrap();
            let (encapsulated, ciphertext) =
                hpke::single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &public, &info, &plain, &aad).unwrap();
            let sealed = [&encapsulated.to_bytes()[..], &ciphertext].concat();
            prop_assert_eq!(&*open(&key, &info, &aad, &sealed).unwrap(), &plain);
        }

        #[test]
        fn seals_bind_everything(plain in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let rng = Seeded::new(1);
            let (key, other) = (PrivateKey::random(&rng), PrivateKey::random(&rng));
            let mut sealed = seal(&key.public(), b"info", b"aad", &plain, &rng);
            prop_assert_eq!(&*open(&key, b"info", b"aad", &sealed).unwrap(), &plain);
            prop_assert!(open(&other, b"info", b"aad", &sealed).is_err());
            prop_assert!(open(&key, b"other", b"aad", &sealed).is_err());
            prop_assert!(open(&key, b"info", b"other", &sealed).is_err());
            // The highest bit of a public key does not count (RFC 7748, 5), but it is hashed.
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&key, b"info", b"aad", &sealed).is_err());
        }
    }
}
