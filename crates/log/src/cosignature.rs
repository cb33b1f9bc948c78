//! Cosignatures: timestamped statements that a checkpoint, or a subtree, is consistent with all that was seen before
//! (C2SP tlog-cosignature v1.1.0-rc.1, types 0x04 and 0x06).

use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::{SignatureType, VerifierKey};
use crate::note::{NoteSignature, Signer, Verifier};

/// Whoever cosigns checkpoints of logs: a witness, a mirror, or a log itself.
pub trait Cosigner: Send + Sync {
    /// The public key.
    fn verifier_key(&self) -> &VerifierKey;

    /// Cosigns a checkpoint at `time`, in seconds since 1970 UTC.
    fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<NoteSignature>;

    /// Cosigns the subtree `[start, end)` of a log, without a time; `None` if keys of this type cannot.
    fn cosign_subtree(&self, origin: &str, start: u64, end: u64, root: &Hash) -> Result<Option<NoteSignature>>;
}

/// Cosigns with Ed25519, type 0x04. The message does not name the cosigner, so a key must serve one cosigner only.
pub struct Ed25519Cosigner {
    pair: Ed25519KeyPair,
    verifier: CosignatureVerifier,
}

/// Cosigns with ML-DSA-44, type 0x06.
pub struct MlDsaCosigner {
    pair: PqdsaKeyPair,
    verifier: CosignatureVerifier,
}

/// Verifies cosignatures on checkpoints.
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
        let length = self.pair.sign(message, &mut signature).map_err(|_| Error::Unsigned)?;
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
    split(signature.bytes()).map(|(time, _)| time).ok_or_else(|| Error::malformed("cosignature", "it has no time"))
}

/// Verifies a cosignature on the subtree `[start, end)` of a log.
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
    let (time, bytes) = split(signature.bytes()).filter(|(time, _)| start == 0 || *time == 0).ok_or_else(wrong)?;
    let message = subtree_message(key.name(), time, origin, start, end, root).ok_or_else(wrong)?;
    UnparsedPublicKey::new(&ML_DSA_44, key.key()).verify(&message, bytes).map_err(|_| wrong())
}

impl Verifier for CosignatureVerifier {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn id(&self) -> u32 {
        self.key.id()
    }

    fn verify(&self, text: &str, signature: &[u8]) -> bool {
        let Some((time, signature)) = split(signature) else { return false };
        if self.key.kind() == SignatureType::Ed25519Cosignature {
            let message = checkpoint_message(text, time);
            return UnparsedPublicKey::new(&ED25519, self.key.key()).verify(message.as_bytes(), signature).is_ok();
        }
        let Ok(checkpoint) = text.parse::<Checkpoint>() else { return false };
        let message = subtree_message(self.key.name(), time, checkpoint.origin(), 0, checkpoint.size(), checkpoint.root());
        message.is_some_and(|message| UnparsedPublicKey::new(&ML_DSA_44, self.key.key()).verify(&message, signature).is_ok())
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

        impl Cosigner for $cosigner {
            fn verifier_key(&self) -> &VerifierKey {
                &self.verifier.key
            }

            fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<NoteSignature> {
                NoteSignature::new(self.name(), self.id(), self.sign(&checkpoint.to_string(), time)?)
            }

            fn cosign_subtree(&self, origin: &str, start: u64, end: u64, root: &Hash) -> Result<Option<NoteSignature>> {
                self.subtree_signature(origin, start, end, root)
            }
        }
    };
}

verifies!(Ed25519Cosigner);
verifies!(MlDsaCosigner);

impl Signer for Ed25519Cosigner {
    fn sign(&self, text: &str, time: u64) -> Result<Vec<u8>> {
        check_time(time)?;
        let signature = self.pair.sign(checkpoint_message(text, time).as_bytes());
        Ok([&time.to_be_bytes()[..], signature.as_ref()].concat())
    }
}

impl Signer for MlDsaCosigner {
    fn sign(&self, text: &str, time: u64) -> Result<Vec<u8>> {
        check_time(time)?;
        let checkpoint: Checkpoint = text.parse()?;
        let message = subtree_message(self.name(), time, checkpoint.origin(), 0, checkpoint.size(), checkpoint.root());
        self.sign_message(&message.ok_or_else(|| Error::malformed("checkpoint", "its origin is longer than 255 bytes"))?, time)
    }
}

impl Ed25519Cosigner {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the form is that of the other cosigner")]
    fn subtree_signature(&self, _: &str, _: u64, _: u64, _: &Hash) -> Result<Option<NoteSignature>> {
        Ok(None)
    }
}

impl MlDsaCosigner {
    fn subtree_signature(&self, origin: &str, start: u64, end: u64, root: &Hash) -> Result<Option<NoteSignature>> {
        let message = subtree_message(self.name(), 0, origin, start, end, root);
        let message = message.ok_or_else(|| Error::malformed("subtree", "the origin is longer than 255 bytes"))?;
        NoteSignature::new(self.name(), self.id(), self.sign_message(&message, 0)?).map(Some)
    }
}

fn checkpoint_message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// `cosigned_message` of the specification; `None` if a name has no room in it.
fn subtree_message(name: &str, time: u64, origin: &str, start: u64, end: u64, root: &Hash) -> Option<Vec<u8>> {
    let mut message = b"subtree/v1\n\0".to_vec();
    for (text, number) in [(name, time), (origin, start)] {
        message.push(u8::try_from(text.len()).ok().filter(|length| *length > 0)?);
        message.extend_from_slice(text.as_bytes());
        message.extend_from_slice(&number.to_be_bytes());
    }
    message.extend_from_slice(&end.to_be_bytes());
    message.extend_from_slice(&root.0);
    Some(message)
}

fn split(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, rest) = signature.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    (time <= LAST_TIME).then_some((time, rest))
}

fn check_time(time: u64) -> Result<()> {
    if time <= LAST_TIME { Ok(()) } else { Err(Error::malformed("cosignature", "the time is later than 2^63 - 1")) }
}

fn seed_refused() -> Error {
    Error::malformed("signing key", "the seed was refused")
}

const LAST_TIME: u64 = i64::MAX.cast_unsigned();
const MAX_NAME: usize = 255;
const ML_DSA_SIGNATURE: usize = 2420;
