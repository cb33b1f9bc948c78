//! The keys of signed notes: their text form, and plain Ed25519 (C2SP signed-note v1.0.0 "Verifier keys").

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::cosignature::CosignatureVerifier;
use crate::error::{Error, Result};
use crate::hash::sha256;
use crate::note::{Signer, Verifier, check_name};

/// The algorithm and meaning of a signature, as its key states it in one byte. The types that this crate can verify have a
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureType {
    /// 0x01: Ed25519 over the text of the note.
    Ed25519,
    /// 0x04: a timestamped Ed25519 cosignature (tlog-cosignature).
    Ed25519Cosignature,
    /// 0x06: a timestamped ML-DSA-44 cosignature of a tree or subtree (tlog-cosignature).
    MlDsaCosignature,
    /// Any other type: keys of it are read and written, and their signatures are left alone.
    Other(u8),
}

impl From<u8> for SignatureType {
    fn from(byte: u8) -> Self {
        match byte {
            0x01 => Self::Ed25519,
            0x04 => Self::Ed25519Cosignature,
            0x06 => Self::MlDsaCosignature,
            other => Self::Other(other),
        }
    }
}

impl From<SignatureType> for u8 {
    fn from(kind: SignatureType) -> Self {
        match kind {
            SignatureType::Ed25519 => 0x01,
            SignatureType::Ed25519Cosignature => 0x04,
            SignatureType::MlDsaCosignature => 0x06,
            SignatureType::Other(byte) => byte,
        }
    }
}

/// A public key in its text form, the "vkey": `<name>+<key id in hex>+<base64 of type and key>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: SignatureType,
    key: Vec<u8>,
}

impl VerifierKey {
    /// Names a public key. For types that this crate cannot verify the key id is the one that signed-note recommends, or
    /// for 0x02 and 0x05 the one that is laid down for them.
    pub fn new(name: &str, kind: SignatureType, key: &[u8]) -> Result<Self> {
        Self::with_id(name, key_id(name, kind, key), kind, key)
    }

    fn with_id(name: &str, id: u32, kind: SignatureType, key: &[u8]) -> Result<Self> {
        check_name(name)?;
        let has_form = match kind {
            SignatureType::Ed25519 | SignatureType::Ed25519Cosignature => is_canonical(key),
            SignatureType::MlDsaCosignature => key.len() == 1312,
            SignatureType::Other(_) => !key.is_empty() && key.len() <= MAX_KEY_BYTES,
        };
        if !has_form {
            return Err(Error::malformed("verifier key", "the key has the wrong length, or is not in its canonical form"));
        }
        Ok(Self { name: name.to_owned(), id, kind, key: key.to_vec() })
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: for the types that can be verified, the first four bytes of `SHA-256(name || 0x0A || type || key)`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The signature type of the key.
    pub fn kind(&self) -> SignatureType {
        self.kind
    }

    /// The public key itself.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The verifier of this key, of type 0x01, 0x04 or 0x06.
    pub fn any_verifier(&self) -> Result<Box<dyn Verifier + Send + Sync>> {
        match self.kind {
            SignatureType::Ed25519 => Ok(Box::new(Ed25519Verifier::new(self.clone())?)),
            _ => Ok(Box::new(CosignatureVerifier::new(self.clone())?)),
        }
    }

    /// The verifier of this key; an error if the type is not plain Ed25519.
    pub fn verifier(&self) -> Result<Ed25519Verifier> {
        Ed25519Verifier::new(self.clone())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[u8::from(self.kind)], self.key.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(vkey: &str) -> Result<Self> {
        let malformed = |why: &str| Error::malformed("verifier key", why);
        if vkey.len() > MAX_VKEY_BYTES {
            return Err(malformed("it is too long"));
        }
        let (name, rest) = vkey.split_once('+').ok_or_else(|| malformed("it has no key id"))?;
        let (id, key) = rest.split_once('+').ok_or_else(|| malformed("it has no key"))?;
        let bytes = STANDARD.decode(key).map_err(|_| malformed("the key is not base64"))?;
        let (kind, key) = bytes.split_first().ok_or_else(|| malformed("the key is empty"))?;
        let kind = SignatureType::from(*kind);
        let parsed = Self::with_id(name, hex_id(id).ok_or_else(|| malformed("the key id is not eight hex digits"))?, kind, key)?;
        // The rule of an unknown type is unknown.
        if has_id_rule(kind) && parsed.id != key_id(name, kind, key) {
            return Err(malformed("the key id does not belong to the key"));
        }
        Ok(parsed)
    }
}

/// Verifies plain Ed25519 signatures, type 0x01.
#[derive(Debug, Clone)]
pub struct Ed25519Verifier {
    key: VerifierKey,
}

impl Ed25519Verifier {
    /// A verifier of this key, which must be of type 0x01.
    pub fn new(key: VerifierKey) -> Result<Self> {
        match key.kind {
            SignatureType::Ed25519 => Ok(Self { key }),
            _ => Err(Error::malformed("verifier key", "it is not an Ed25519 key")),
        }
    }
}

impl Verifier for Ed25519Verifier {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn id(&self) -> u32 {
        self.key.id()
    }

    fn verify(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key.key()).verify(text.as_bytes(), signature).is_ok()
    }
}

/// Makes plain Ed25519 signatures, type 0x01. The key is parsed once.
pub struct Ed25519Signer {
    pair: Ed25519KeyPair,
    verifier: Ed25519Verifier,
}

impl Ed25519Signer {
    /// A signer of the key that grows from this seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::malformed("signing key", "the seed was refused"))?;
        let key = VerifierKey::new(name, SignatureType::Ed25519, pair.public_key().as_ref())?;
        Ok(Self { pair, verifier: Ed25519Verifier { key } })
    }

    /// The public key.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier.key
    }
}

impl Verifier for Ed25519Signer {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn id(&self) -> u32 {
        self.verifier.id()
    }

    fn verify(&self, text: &str, signature: &[u8]) -> bool {
        self.verifier.verify(text, signature)
    }
}

impl Signer for Ed25519Signer {
    fn sign(&self, text: &str, _time: u64) -> Result<Vec<u8>> {
        Ok(self.pair.sign(text.as_bytes()).as_ref().to_vec())
    }
}

/// Keys of type 0x02 are an SPKI structure whose hash is the id (signed-note, "Signature types"). Those of type 0x05 are one
/// too, and its hash, the log id of RFC 6962, goes into the id (static-ct-api, "Checkpoints").
fn key_id(name: &str, kind: SignatureType, key: &[u8]) -> u32 {
    let named = |key: &[u8]| sha256(&[name.as_bytes(), &[0x0a, u8::from(kind)], key]);
    let hash = match kind {
        SignatureType::Other(ECDSA) => sha256(&[key]),
        SignatureType::Other(TREE_HEAD) => named(&sha256(&[key]).0),
        _ => named(key),
    };
    let [a, b, c, d, ..] = hash.0;
    u32::from_be_bytes([a, b, c, d])
}

/// Whether 32 bytes are an Ed25519 point in the one form that RFC 8032 section 5.1.3 decodes: y below the prime, and no sign
/// where x is zero. Libraries differ in whether they look, so the rule is kept here.
fn is_canonical(key: &[u8]) -> bool {
    let [low, middle @ .., high] = key else { return false };
    let has_y_of =
        |low_is: u8, rest: u8| *low == low_is && middle.iter().all(|byte| *byte == rest) && *high & 0x7f == rest & 0x7f;
    let is_reduced = *high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed;
    let has_no_x = has_y_of(0x01, 0x00) || has_y_of(0xec, 0xff);
    key.len() == 32 && is_reduced && !(has_no_x && *high & 0x80 != 0)
}

fn has_id_rule(kind: SignatureType) -> bool {
    !matches!(kind, SignatureType::Other(byte) if byte != ECDSA && byte != TREE_HEAD)
}

/// Reads the eight digits, in lower case only.
fn hex_id(digits: &str) -> Option<u32> {
    let id = u32::from_str_radix(digits, 16).ok()?;
    (format!("{id:08x}") == digits).then_some(id)
}

const ECDSA: u8 = 0x02;
const TREE_HEAD: u8 = 0x05;
const MAX_KEY_BYTES: usize = 16_384;
const MAX_VKEY_BYTES: usize = 2 * MAX_KEY_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_keys_round_trip_and_carry_their_id() {
        let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
        for bad in [
            "",
            "a",
            "a+b",
            &text.replace("530d", "530e"),
            &text.replace("530d", "530D"),
            &text.replace("foo", "fo o"),
            "+530d903a+AekyeRrm",
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
        let mldsa = VerifierKey::new("w", SignatureType::MlDsaCosignature, &[1; 1312]).unwrap();
        assert_eq!(mldsa.to_string().parse::<VerifierKey>().unwrap(), mldsa);
        assert!(mldsa.verifier().is_err() && mldsa.any_verifier().is_ok());
        for byte in 0..=255 {
            assert_eq!(u8::from(SignatureType::from(byte)), byte);
        }
    }

    #[test]
    fn keys_of_types_that_cannot_be_verified_are_read() {
        for byte in (0..=255).filter(|byte| ![0x01, 0x04, 0x06].contains(byte)) {
            let key = VerifierKey::new("log.example", SignatureType::Other(byte), &[9; 91]).unwrap();
            let text = key.to_string();
            assert_eq!(text.parse::<VerifierKey>().unwrap(), key);
            assert!(key.any_verifier().is_err());
            let other_id = text.replacen(&format!("{:08x}", key.id()), "00c0ffee", 1);
            assert_eq!(other_id.parse::<VerifierKey>().is_ok(), ![0x02, 0x05].contains(&byte), "{byte}");
        }
        let id = |byte| VerifierKey::new("log.example", SignatureType::Other(byte), &[9; 91]).unwrap().id().to_be_bytes();
        assert_eq!(id(0x02), sha256(&[&[9; 91]]).0[..4]);
        assert_eq!(id(0x05), sha256(&[b"log.example\n\x05", &sha256(&[&[9; 91]]).0]).0[..4]);
        assert_eq!(id(0xff), sha256(&[b"log.example\n\xff", &[9; 91]]).0[..4]);
    }
}
