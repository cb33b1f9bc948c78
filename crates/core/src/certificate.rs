//! Certificate: the public proof that keys were destroyed, and what that does not prove.

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::{Digest, Text, Time};

/// What was destroyed when, and how far the claim goes (reference: NIST SP 800-88r2, cryptographic erase).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub cause: Cause,
    /// The mandate whose key was destroyed; `None` when the certificate is about residents' keys.
    pub mandate: Option<String>,
    /// Commitments of the destroyed keys: SHA-256 over label, handle and key. One found later proves a breach.
    pub key_commitments: Vec<Digest>,
    pub epoch_before: i64,
    pub epoch_after: i64,
    pub root_before: Digest,
    pub root_after: Digest,
    /// Class of the root's slot, as `E0`.
    pub slot_class: String,
    pub erased_live_at: Time,
    pub erased_root_at: Time,
    pub method: String,
    /// What the certificate does not claim.
    pub limits: Text,
}

/// Why keys were destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Request,
    Revocation,
    Sunset,
    Withdrawal,
}

impl Certificate {
    /// Reads a certificate, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let words = [
            ("request", Cause::Request),
            ("revocation", Cause::Revocation),
            ("sunset", Cause::Sunset),
            ("withdrawal", Cause::Withdrawal),
        ];
        let cause = draft.word("cause", &words, "Say why the keys were destroyed.");
        let mandate = draft.optional_string("mandate", 80);
        let key_commitments = draft.parses("key_commitments", "List the commitments of the destroyed keys.");
        let epoch_before = draft.integer("epoch_before", 0, i64::MAX >> 11, "Give the epoch before.");
        let epoch_after = draft.integer("epoch_after", 0, i64::MAX >> 11, "Give the epoch after.");
        if epoch_before.zip(epoch_after).is_some_and(|(before, after)| before >= after) {
            draft.note(
                "epoch_after",
                "no-progress",
                "The epoch did not advance, so no root was replaced. Destroy the keys first.".into(),
            );
        }
        let root_before = draft.parse("root_before", "Give the commitment of the old root.");
        let root_after = draft.parse("root_after", "Give the commitment of the new root.");
        let slot_class = draft.word(
            "slot_class",
            &[("E0", "E0"), ("E1", "E1"), ("E2", "E2"), ("E3", "E3")],
            "Give the class of the root slot.",
        );
        let erased_live_at = draft.time("erased_live_at", "Give the moment the keys left the live system.");
        let erased_root_at = draft.time("erased_root_at", "Give the moment the old root was destroyed.");
        let method = draft.string("method", 200, "Name the method.");
        let limits = draft.text("limits", 1_000, "Say what the certificate does not claim.");
        let certificate = (|| {
            Some(Self {
                cause: cause?,
                mandate,
                key_commitments,
                epoch_before: epoch_before?,
                epoch_after: epoch_after?,
                root_before: root_before?,
                root_after: root_after?,
                slot_class: slot_class?.to_owned(),
                erased_live_at: erased_live_at?,
                erased_root_at: erased_root_at?,
                method: method?,
                limits: limits?,
            })
        })();
        let problems = draft.finish();
        match certificate {
            Some(certificate) if problems.is_empty() => Ok(certificate),
            _ => Err(problems),
        }
    }
}
