//! Statement: a public log leaf in clear. Canonical JSON, approved by keys that an earlier statement names.

mod read;
mod tried;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agency::SigningKey;
use crate::hash::sha256;
use crate::id::AgencyId;
use crate::jcs::{self, NotCanonical};
use crate::webauthn::{Assertion, Flaw};
use crate::{Digest, Time};

pub use tried::{SigningKeys, Tried};

/// First bytes of every statement leaf.
pub const LEAF_PREFIX: [u8; 2] = [1, 1];
/// Longest statement, in bytes of canonical JSON.
pub const LONGEST: usize = 65_000;
/// Statements that one touch of a passkey approves at most.
pub const MOST_AT_ONCE: usize = 32;

/// A statement as it stands in the log: `{type, id, rev, prev, at, by, body, approvals}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "type")]
    pub kind: StatementKind,
    /// Id of the object.
    pub id: String,
    /// Number of the revision, from 1.
    pub rev: u64,
    /// Hash of the revision before this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prev: Option<Digest>,
    pub at: Time,
    /// The agency that speaks.
    pub by: AgencyId,
    pub body: Value,
    #[serde(default)]
    pub approvals: Vec<Approval>,
}

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StatementKind {
    Agency,
    Agreement,
    Assessment,
    Audit,
    BodyAudit,
    Breach,
    Camera,
    CaseTally,
    Certificate,
    Check,
    Contract,
    DataBlock,
    Incident,
    Key,
    Lawpack,
    Log,
    Mandate,
    Meeting,
    Notice,
    Order,
    Payment,
    Purge,
    Rotation,
    Ruling,
    Service,
    StatusChange,
    Stoppage,
    Tally,
    Uncertified,
    Vault,
    Verifier,
}

/// One signature over a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Whose key: the id of an agency.
    pub agency: AgencyId,
    /// Which key of that agency.
    pub key: String,
    /// `Ed25519` of a key file, `webauthn` of a passkey.
    pub algorithm: String,
    /// base64url without padding, as all that follows.
    pub signature: String,
    /// Of a passkey: what the device signed, 37 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authenticator_data: Option<String>,
    /// Of a passkey: what the browser wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_data: Option<String>,
    /// Of a passkey: the hashes of all statements that were approved by the same touch, in order, where they are more than one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub among: Vec<Digest>,
}

/// Why bytes are not a statement.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("The statement is not canonical JSON. {0}")]
    Json(#[from] NotCanonical),
    #[error(
        "The statement lacks a field or has one too many: {0}. Send exactly type, id, rev, prev, at, by, body and approvals."
    )]
    Shape(#[source] serde_json::Error),
    #[error("The statement is longer than {LONGEST} bytes. Move long texts to a document and name its hash.")]
    TooLong,
    #[error("The bytes do not begin as a statement leaf. Send 0x01 0x01 and then the canonical JSON.")]
    Prefix,
}

impl Statement {
    /// Reads a statement from canonical JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        match read::in_one_pass(bytes) {
            Some((statement, _)) => Ok(statement),
            None => Self::parse_slowly(bytes),
        }
    }

    /// Reads it, writes it again and compares, which also says what is wrong.
    fn parse_slowly(bytes: &[u8]) -> Result<Self, Malformed> {
        // A value that parses in more than one spelling (a time, an absent list) must still have one byte form.
        if let Ok(statement) = serde_json::from_slice::<Self>(bytes)
            && statement.canonical(true).is_ok_and(|canonical| canonical == bytes)
        {
            return Ok(statement);
        }
        let value = jcs::decode_slowly(bytes)?;
        serde_json::from_value::<Self>(value).map_err(Malformed::Shape)?;
        Err(NotCanonical::Form.into())
    }

    /// Reads a statement from a log leaf.
    pub fn from_leaf(leaf: &[u8]) -> Result<Self, Malformed> {
        Self::parse(leaf.strip_prefix(&LEAF_PREFIX).ok_or(Malformed::Prefix)?)
    }

    /// The log leaf: prefix and canonical JSON.
    pub fn leaf(&self) -> Result<Vec<u8>, Malformed> {
        let json = self.canonical(true)?;
        if json.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        Ok([&LEAF_PREFIX[..], &json].concat())
    }

    /// SHA-256 over the statement without its approvals: what approvers sign, and the hash of the revision.
    pub fn hash(&self) -> Result<Digest, Malformed> {
        Ok(sha256(&self.canonical(false)?))
    }

    /// The canonical JSON, the approvals in it or left out. The body, by far the longest part, is not copied.
    fn canonical(&self, has_approvals: bool) -> Result<Vec<u8>, NotCanonical> {
        let value = |part: serde_json::Result<Value>| part.map_err(NotCanonical::from);
        let approvals = if has_approvals { value(serde_json::to_value(&self.approvals))? } else { Value::Null };
        let (at, by) = (value(serde_json::to_value(self.at))?, value(serde_json::to_value(&self.by))?);
        let (kind, id) = (value(serde_json::to_value(self.kind))?, Value::from(self.id.as_str()));
        let (prev, rev) = (value(serde_json::to_value(self.prev))?, Value::from(self.rev));
        let members = [
            ("approvals", &approvals),
            ("at", &at),
            ("body", &self.body),
            ("by", &by),
            ("id", &id),
            ("prev", &prev),
            ("rev", &rev),
            ("type", &kind),
        ];
        let is_there = |name: &str| match name {
            "approvals" => has_approvals,
            "prev" => self.prev.is_some(),
            _ => true,
        };
        let members: Vec<_> = members.into_iter().filter(|(name, _)| is_there(name)).collect();
        jcs::encode_members(&members)
    }

    /// Adds the approval of `signer`.
    pub fn approve(&mut self, signer: &Signer) -> Result<(), Malformed> {
        self.approvals.push(signer.approve(&self.hash()?));
        Ok(())
    }
}

impl Approval {
    /// Whether this approval is a signature over `hash` by this key.
    pub fn verifies(&self, hash: &Digest, key: &SigningKey) -> bool {
        self.check(hash, key).is_ok()
    }

    /// The same, with what is wrong. A key of one kind makes no approval of the other.
    pub fn check(&self, hash: &Digest, key: &SigningKey) -> Result<(), Flaw> {
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Flaw::Signature);
        match (&key.webauthn, &*self.algorithm, &self.authenticator_data, &self.client_data) {
            (None, "Ed25519", None, None) if self.among.is_empty() => {
                let public = public_key(&key.public).ok_or(Flaw::Algorithm)?;
                let verified =
                    UnparsedPublicKey::new(&ED25519, public).verify(&approval_message(hash), &decoded(&self.signature)?);
                verified.map_err(|_| Flaw::Signature)
            }
            (Some(passkey), "webauthn", Some(authenticator_data), Some(client_data)) => {
                let hashes = if self.among.is_empty() { std::slice::from_ref(hash) } else { &self.among };
                let is_among = hashes.contains(hash) && hashes.len() <= MOST_AT_ONCE && (self.among.len() != 1);
                let challenge = approval_challenge(hashes).filter(|_| is_among).ok_or(Flaw::Challenge)?;
                let (authenticator_data, client_data) = (decoded(authenticator_data)?, decoded(client_data)?);
                let signature = decoded(&self.signature)?;
                let assertion =
                    Assertion { authenticator_data: &authenticator_data, client_data: &client_data, signature: &signature };
                passkey.verify(&key.public, &challenge, assertion)
            }
            _ => Err(Flaw::Algorithm),
        }
    }
}

/// What a passkey is asked when its owner approves the statements with these hashes by one touch: of one statement it is what a key file
/// signs. It begins with words and is longer than 32 bytes, so that no sign-in asks the same. `None` for no statement.
pub fn approval_challenge(hashes: &[Digest]) -> Option<Vec<u8>> {
    match hashes {
        [] => None,
        [hash] => Some(approval_message(hash)),
        several => {
            let joined: Vec<u8> = several.iter().flat_map(|hash| hash.0).collect();
            Some([&b"usufruct/approvals/v1\n"[..], &sha256(&joined).0].concat())
        }
    }
}

/// An official's or automaton's signing key.
pub struct Signer {
    agency: AgencyId,
    key: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// A signer for key `key` of `agency`, from its 32-byte seed. `None` when the seed is refused.
    pub fn new(agency: AgencyId, key: &str, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(Self { agency, key: key.to_owned(), pair })
    }

    /// Approves what has this hash.
    pub fn approve(&self, hash: &Digest) -> Approval {
        Approval {
            agency: self.agency.clone(),
            key: self.key.clone(),
            algorithm: "Ed25519".to_owned(),
            signature: URL_SAFE_NO_PAD.encode(self.pair.sign(&approval_message(hash))),
            authenticator_data: None,
            client_data: None,
            among: Vec::new(),
        }
    }

    /// The agency the signer speaks for.
    pub fn agency(&self) -> &AgencyId {
        &self.agency
    }

    /// The name of the key within the agency.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The public key, base64url without padding.
    pub fn public(&self) -> String {
        use aws_lc_rs::signature::KeyPair;
        URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref())
    }
}

/// The 32 bytes of an Ed25519 public key in base64url.
pub fn public_key(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn approval_message(hash: &Digest) -> Vec<u8> {
    [b"usufruct/approval/v1\n", &hash.0[..]].concat()
}
