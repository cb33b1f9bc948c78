//! The terms of a log as one leaf of it, with the proof that the leaf is there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use usufruct_app::log::merkle::verify_inclusion;
use usufruct_app::log::{self, Checkpoint, Hash, Policy, Reader, VerifierKey, cosignature, leaf_hash};
use usufruct_core::log_terms::LogTerms;
use usufruct_core::statement::{LEAF_PREFIX, Statement, StatementKind};

use crate::failure::Failure;
use crate::public_log::PublicLog;

/// A leaf with its proof, as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// The index of the leaf.
    pub index: u64,
    /// The leaf in base64.
    pub leaf: String,
    /// The inclusion proof, base64.
    pub proof: Vec<String>,
}

impl Declared {
    /// The terms of a log; `None` if it declares none. A site says where they are, which is believed only as far as the
    /// leaf there proves it. A folder is read through.
    pub fn find(log: &PublicLog, reader: &Reader<'_, PublicLog>) -> Result<Option<(Self, LogTerms)>, Failure> {
        let hint = log.fetch_of_site("register/log.json")?.and_then(|bytes| {
            let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            value["terms"]["index"].as_u64()
        });
        let mut found = hint.filter(|index| *index < reader.checkpoint().size()).map(|index| (index, Vec::new()));
        match &mut found {
            Some((index, leaf)) => *leaf = reader.entry(*index)?,
            None if !log.is_live() => {
                reader.entries(0, |index, entry| {
                    if entry.starts_with(&LEAF_PREFIX) && terms(entry).is_some() {
                        found = Some((index, entry.to_vec()));
                    }
                    Ok(())
                })?;
            }
            None => {}
        }
        let Some((index, leaf)) = found else { return Ok(None) };
        let Some(terms) = terms(&leaf) else { return Ok(None) };
        let hashes = reader.inclusion(index, &leaf_hash(&leaf))?;
        let proof = hashes.iter().map(ToString::to_string).collect();
        Ok(Some((Self { index, leaf: STANDARD.encode(&leaf), proof }, terms)))
    }

    /// The terms, proven to be a leaf under this checkpoint.
    pub fn open(&self, head: &Checkpoint) -> log::Result<LogTerms> {
        let malformed = || log::Error::Malformed { what: "leaf of the terms", why: "it holds no terms".to_owned() };
        let leaf = STANDARD.decode(&self.leaf).map_err(|_| malformed())?;
        let proof = hashes(&self.proof)?;
        verify_inclusion(self.index, head.size(), &leaf_hash(&leaf), &proof, head.root())?;
        terms(&leaf).filter(|terms| terms.origin == head.origin()).ok_or_else(malformed)
    }
}

/// Who has signed a note later than `deadline`, in seconds since 1970 UTC, in words: the log itself, or as many of its
/// witnesses as its terms ask for. A single witness could be wrong about the time, or lie.
pub fn signed_after(note: &log::Note, deadline: u64, keys: &[VerifierKey], terms: Option<&LogTerms>) -> Option<&'static str> {
    let declared: Vec<VerifierKey> = terms.iter().flat_map(|terms| &terms.vkeys).filter_map(|key| key.parse().ok()).collect();
    let is_after = |key: &VerifierKey| signed_at(note, key).is_some_and(|time| time > deadline);
    if keys.iter().chain(&declared).any(is_after) {
        return Some("signed by the log itself");
    }
    let policy = terms.and_then(|terms| format!("{}\n", terms.policy.trim_end()).parse::<Policy>().ok())?;
    let asks_for_witnesses = !policy.is_met(&|_| false);
    (asks_for_witnesses && policy.is_met(&|witness| is_after(&witness.key))).then_some("signed by the witnesses it has declared")
}

/// The newest time in a right signature by this key, in seconds since 1970 UTC.
fn signed_at(note: &log::Note, key: &VerifierKey) -> Option<u64> {
    let verifier = key.any_verifier().ok().filter(|_| key.kind() != log::SignatureType::Ed25519)?;
    note.verified_by(&[&*verifier]).ok().filter(|known| !known.is_empty())?;
    let own = note.signatures().iter().filter(|line| (line.name(), line.id()) == (key.name(), key.id()));
    own.filter_map(|line| cosignature::timestamp(line).ok()).max()
}

/// Reads hashes in base64.
pub fn hashes(lines: &[String]) -> log::Result<Vec<Hash>> {
    lines.iter().map(|line| Hash::from_base64(line)).collect()
}

fn terms(leaf: &[u8]) -> Option<LogTerms> {
    let statement = Statement::from_leaf(leaf).ok().filter(|statement| statement.kind == StatementKind::Log)?;
    LogTerms::read(&statement.body).ok()
}
