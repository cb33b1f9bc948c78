//! Cosignatures: timestamped statements that a checkpoint, or a subtree, is consistent with all that was seen before
//! (C2SP tlog-cosignature v1.1.0-rc.1, types 0x04 and 0x06).

use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::{SignatureType, VerifierKey};
use crate::merkle::is_subtree;
use crate::note::{NoteSignature, Signer, Verifier};

/// Whoever cosigns checkpoints of logs: a witness, a mirror, or a log itself.
pub trait Cosigner: Signer + Send + Sync {
    /// The public key.
    fn verifier_key(&self) -> &VerifierKey;

    /// Cosigns a checkpoint at `time`, in seconds since 1970 UTC.
    fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<NoteSignature> {
        NoteSignature::new(self.name(), self.id(), self.sign(&checkpoint.to_string(), time)?)
    }

    /// Cosigns the subtree `[start, end)` of a log, without a time; `None` if keys of this type cannot. An error if the
    /// range is no subtree.
    fn cosign_subtree(&self, origin: &str, start: u64, end: u64, root: &Hash) -> Result<Option<NoteSignature>>;
}

/// Cosigns with Ed25519, type 0x04. The message does not name the cosigner, so a seed must serve one cosigner only, and
/// nothing but cosigning.
pub struct Ed25519Cosigner {
    pair: Ed25519KeyPair,
    verifier: CosignatureVerifier,
}

/// Cosigns with ML-DSA-44, type 0x06. Signing is hedged: two signatures of one message differ.
pub struct MlDsaCosigner {
    pair: PqdsaKeyPair,
    verifier: CosignatureVerifier,
}

/// Verifies cosignatures on checkpoints. One by ML-DSA-44 covers origin, size and root, but no extension lines.
#[derive(Debug, Clone)]
pub struct CosignatureVerifier {
    key: VerifierKey,
}

impl Ed25519Cosigner {
    /// A cosigner with the key that grows from this seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| seed_refused())?;
        let key = VerifierKey::new(name, SignatureType::Ed25519Cosignature, pair.public_key().as_ref())?;
        Ok(Self { pair, verifier: CosignatureVerifier::new(key)? })
    }
}

impl MlDsaCosigner {
    /// A cosigner with the key that grows from this seed (FIPS 204, the seed ξ).
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self> {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed).map_err(|_| seed_refused())?;
        let key = VerifierKey::new(name, SignatureType::MlDsaCosignature, pair.public_key().as_ref())?;
        Ok(Self { pair, verifier: CosignatureVerifier::new(key)? })
    }

    fn sign_message(&self, message: &[u8], time: u64) -> Result<Vec<u8>> {
        let mut signature = vec![0; ML_DSA_SIGNATURE];
        let length = self.pair.sign(message, &mut signature).map_err(|error| Error::outside("signing", error))?;
        signature.truncate(length);
        Ok([&time.to_be_bytes()[..], &signature].concat())
    }
}

impl CosignatureVerifier {
    /// A verifier of this key, which must be of type 0x04 or 0x06.
    pub fn new(key: VerifierKey) -> Result<Self> {
        match key.kind() {
            SignatureType::Ed25519Cosignature => Ok(Self { key }),
            SignatureType::MlDsaCosignature if key.name().len() <= MAX_NAME => Ok(Self { key }),
            _ => Err(Error::malformed("verifier key", "it is no key of a cosigner, or its name is too long")),
        }
    }
}

/// The time of a cosignature, in seconds since 1970 UTC.
pub fn timestamp(signature: &NoteSignature) -> Result<u64> {
    split(signature.bytes()).map(|(time, _)| time).ok_or_else(|| malformed("it has no time"))
}

/// Verifies a cosignature on the subtree `[start, end)` of a log, which may be a whole tree that begins at 0. One that is
/// by another key is [`Error::Unsigned`]; so are all by keys that are not of type 0x06.
pub fn verify_subtree(
    key: &VerifierKey,
    origin: &str,
    start: u64,
    end: u64,
    root: &Hash,
    signature: &NoteSignature,
) -> Result<()> {
    let wrong = || Error::WrongSignature { name: key.name().to_owned() };
    if (signature.name(), signature.id()) != (key.name(), key.id()) || key.kind() != SignatureType::MlDsaCosignature {
        return Err(Error::Unsigned);
    }
    let (time, bytes) = split(signature.bytes()).ok_or_else(wrong)?;
    let message = subtree_message(key.name(), time, origin, start, end, root)?;
    UnparsedPublicKey::new(&ML_DSA_44, key.key()).verify(&message, bytes).map_err(|_| wrong())
}

/// What an Ed25519 cosignature signs: two lines and the text of the checkpoint.
pub fn checkpoint_message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// What an ML-DSA-44 cosignature signs: the structure `cosigned_message` of the specification. Both names have 1 to 255
/// bytes, `time` is at most 2^63 - 1, the range is a subtree, and one that begins later than 0 has no time.
pub fn subtree_message(name: &str, time: u64, origin: &str, start: u64, end: u64, root: &Hash) -> Result<Vec<u8>> {
    check_time(time)?;
    if !is_subtree(start, end) || (start > 0 && (start == end || time > 0)) {
        return Err(malformed("the range is no subtree, or has a time and does not begin at 0"));
    }
    let mut message = b"subtree/v1\n\0".to_vec();
    for (text, number) in [(name, time), (origin, start)] {
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0);
        message.push(length.ok_or_else(|| malformed("a name does not have 1 to 255 bytes"))?);
        message.extend_from_slice(text.as_bytes());
        message.extend_from_slice(&number.to_be_bytes());
    }
    message.extend_from_slice(&end.to_be_bytes());
    message.extend_from_slice(&root.0);
    Ok(message)
}

impl Verifier for CosignatureVerifier {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn id(&self) -> u32 {
        self.key.id()
    }

    fn verify(&self, text: &str, signature: &[u8]) -> bool {
        let (Some((time, signature)), Ok(checkpoint)) = (split(signature), text.parse::<Checkpoint>()) else { return false };
        if self.key.kind() == SignatureType::Ed25519Cosignature {
            let message = checkpoint_message(text, time);
            return UnparsedPublicKey::new(&ED25519, self.key.key()).verify(message.as_bytes(), signature).is_ok();
        }
        let message = subtree_message(self.key.name(), time, checkpoint.origin(), 0, checkpoint.size(), checkpoint.root());
        message.is_ok_and(|message| UnparsedPublicKey::new(&ML_DSA_44, self.key.key()).verify(&message, signature).is_ok())
    }
}

macro_rules! verifies {
    ($cosigner:ty) => {
        impl Verifier for $cosigner {
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
    };
}

verifies!(Ed25519Cosigner);
verifies!(MlDsaCosigner);

impl Signer for Ed25519Cosigner {
    fn sign(&self, text: &str, time: u64) -> Result<Vec<u8>> {
        check_time(time)?;
        check_origin(&text.parse()?)?;
        let signature = self.pair.sign(checkpoint_message(text, time).as_bytes());
        Ok([&time.to_be_bytes()[..], signature.as_ref()].concat())
    }
}

impl Signer for MlDsaCosigner {
    fn sign(&self, text: &str, time: u64) -> Result<Vec<u8>> {
        let checkpoint: Checkpoint = text.parse()?;
        check_origin(&checkpoint)?;
        let message = subtree_message(self.name(), time, checkpoint.origin(), 0, checkpoint.size(), checkpoint.root())?;
        self.sign_message(&message, time)
    }
}

impl Cosigner for Ed25519Cosigner {
    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier.key
    }

    fn cosign_subtree(&self, _: &str, _: u64, _: u64, _: &Hash) -> Result<Option<NoteSignature>> {
        Ok(None)
    }
}

impl Cosigner for MlDsaCosigner {
    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier.key
    }

    fn cosign_subtree(&self, origin: &str, start: u64, end: u64, root: &Hash) -> Result<Option<NoteSignature>> {
        let message = subtree_message(self.name(), 0, origin, start, end, root)?;
        NoteSignature::new(self.name(), self.id(), self.sign_message(&message, 0)?).map(Some)
    }
}

fn split(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, rest) = signature.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    (time <= LAST_TIME).then_some((time, rest))
}

fn check_time(time: u64) -> Result<()> {
    if time <= LAST_TIME { Ok(()) } else { Err(malformed("the time is later than 2^63 - 1")) }
}

/// No cosignature of one type is made where one of the other could not be.
fn check_origin(checkpoint: &Checkpoint) -> Result<()> {
    if checkpoint.origin().len() <= MAX_NAME { Ok(()) } else { Err(malformed("the origin is longer than 255 bytes")) }
}

fn seed_refused() -> Error {
    Error::malformed("signing key", "the seed was refused")
}

fn malformed(why: &str) -> Error {
    Error::malformed("cosignature", why)
}

const LAST_TIME: u64 = i64::MAX.cast_unsigned();
const MAX_NAME: usize = 255;
const ML_DSA_SIGNATURE: usize = 2420;
