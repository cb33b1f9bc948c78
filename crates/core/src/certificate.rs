//! Certificate: the public proof that keys were destroyed, and what that does not prove.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::handles::HandleProof;
use crate::id::{BlockId, OrderId, ServiceId};
use crate::keeper::Destroyed;
use crate::tally::Count;
use crate::{Digest, Text, Time};

/// What was destroyed when, and how far the claim goes (reference: NIST SP 800-88r2, cryptographic erase).
///
/// A certificate checks itself: it cannot be read unless its proofs hold. Later revisions may add what recipients answered,
/// what keepers that slept have signed since, and when the ciphertext was purged, and change nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub cause: Cause,
    /// The mandate whose key was destroyed; `None` when the certificate is about residents' keys.
    pub mandate: Option<String>,
    /// The pseudonym domain whose key was destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    /// The order to delete that was carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// How many grants ended with the keys, of an order to delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Count>,
    /// What the keys opened; empty when that would tell something about one resident.
    pub blocks: Vec<BlockId>,
    /// Why the law asks for it or allows it.
    pub ground: Text,
    /// Commitments of the destroyed keys: SHA-256 over label, handle and key. One found later proves a breach.
    pub key_commitments: Vec<Digest>,
    pub epoch_before: i64,
    pub epoch_after: i64,
    /// Root of the set of live keys at the epoch before ([`crate::handles`]).
    pub tree_root_before: Digest,
    pub tree_root_after: Digest,
    /// For each commitment, that it was in the set.
    pub inclusion: Vec<HandleProof>,
    /// For each commitment, that it is in the set no more.
    pub absence: Vec<HandleProof>,
    /// Class of the root's slot, as `E0`.
    pub slot_class: String,
    /// What the keepers of the root have signed, in the order in which it came; needed for class E3.
    pub keepers: Vec<Destroyed>,
    /// When nothing could be opened any more by the running system.
    pub erased_live_at: Time,
    /// When the old root was destroyed, after which no copy opens.
    pub erased_root_at: Time,
    /// When the keys of the last escrow that could bring the old root back are destroyed. May lie ahead. `None` without an
    /// escrow, or when no date is promised because its officers were late.
    pub erased_escrow_at: Option<Time>,
    /// How long copies of the ciphertext may still exist, which nothing opens.
    pub ciphertext_remains_until: Time,
    /// When the ciphertext was purged.
    pub ciphertext_purged_at: Option<Time>,
    /// How many services have to delete what they received.
    pub recipients_told: i64,
    /// Those that have read it, and their own answers; of one resident's data only the number is public.
    pub recipients: Vec<Recipient>,
    pub method: String,
    /// What the certificate does not claim.
    pub limits: Text,
}

/// A service that was told to delete, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub service: ServiceId,
    pub told_at: Time,
    pub answer: Option<Answer>,
    pub answered_at: Option<Time>,
    /// On which ground of its law it keeps the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<String>,
}

/// A service's own word, which nobody but it vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Deleted,
    /// It keeps the data because a law says so.
    Kept,
    /// It had received nothing.
    Nothing,
}

impl Cause {
    pub const ALL: [Self; 9] = [
        Self::Drill,
        Self::Order,
        Self::Request,
        Self::Retention,
        Self::Revocation,
        Self::Rotation,
        Self::Sector,
        Self::Sunset,
        Self::Withdrawal,
    ];

    /// Whether the mandate goes on after it, with a key of its own or under another one.
    pub fn is_survived(self) -> bool {
        matches!(self, Self::Order | Self::Retention | Self::Rotation)
    }

    /// Whether keys of a mandate go for it. For the others go those of a pseudonym domain or of a resident.
    pub fn is_of_mandate(self) -> bool {
        matches!(self, Self::Order | Self::Retention | Self::Revocation | Self::Rotation | Self::Sunset)
    }

    /// The word for it in the store.
    pub fn code(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Order => "order",
            Self::Request => "request",
            Self::Retention => "retention",
            Self::Revocation => "revocation",
            Self::Rotation => "rotation",
            Self::Sector => "sector",
            Self::Sunset => "sunset",
            Self::Withdrawal => "withdrawal",
        }
    }

    /// The cause with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }
}

impl Answer {
    /// The word for it in the store and in requests.
    pub fn code(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Kept => "kept",
            Self::Nothing => "nothing",
        }
    }

    /// The answer with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Deleted, Self::Kept, Self::Nothing].into_iter().find(|answer| answer.code() == code)
    }
}

/// Why keys were destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A synthetic resident was erased, whose keys are searched for. No person is behind it.
    Drill,
    /// An overseer ordered to delete what is lent and deposited under the mandate, which goes on under another key.
    Order,
    Request,
    /// What was kept for its months is over.
    Retention,
    Revocation,
    /// The mandate goes on under another key.
    Rotation,
    /// The last service of a pseudonym domain closed.
    Sector,
    Sunset,
    Withdrawal,
}

impl Certificate {
    /// Reads a certificate, or lists everything that is missing, unlawful or false.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let words = Cause::ALL.map(|cause| (cause.code(), cause));
        let cause = draft.word("cause", &words, "Say why the keys were destroyed.");
        let mandate = draft.optional_string("mandate", 80);
        let sector = draft.optional_string("sector", 60);
        if cause.is_some_and(|cause| (cause == Cause::Sector) != sector.is_some()) {
            let message = "The pseudonym domain and the cause `sector` belong together. Give both, or neither.";
            draft.note("sector", "other-cause", message.into());
        }
        if cause.is_some_and(|cause| cause.is_of_mandate() != mandate.is_some()) {
            let message = "A mandate is named where its keys went, and nowhere else. Name it, or leave it out.";
            draft.note("mandate", "other-cause", message.into());
        }
        let order = draft.optional_parse("order", "Name the order to delete, as `ord_2026-4`.");
        let grants = draft.optional_parse("grants", "Say how many grants ended: 0, `1-9`, or a number from 10 on, as a text.");
        if cause.is_some_and(|cause| (cause == Cause::Order) != order.is_some() || order.is_some() != grants.is_some()) {
            let message =
                "An order, how many grants ended by it, and the cause `order` belong together. Give all three, or none.";
            draft.note("order", "other-cause", message.into());
        }
        let blocks = draft.optional_parses("blocks", "Name the data blocks.");
        let ground = draft.text("ground", 500, "Say on which ground the keys were destroyed.");
        let key_commitments: Vec<Digest> = draft.parses("key_commitments", "List the commitments of the destroyed keys.");
        let epoch_before = draft.integer("epoch_before", 0, i64::MAX >> 11, "Give the epoch before.");
        let epoch_after = draft.integer("epoch_after", 0, i64::MAX >> 11, "Give the epoch after.");
        if epoch_before.zip(epoch_after).is_some_and(|(before, after)| before >= after) {
            draft.note(
                "epoch_after",
                "no-progress",
                "The epoch did not advance, so no root was replaced. Destroy the keys first.".into(),
            );
        }
        let tree_root_before = draft.parse("tree_root_before", "Give the root of the set of live keys before.");
        let tree_root_after = draft.parse("tree_root_after", "Give the root of the set of live keys after.");
        let inclusion = proofs(&mut draft, "inclusion", &key_commitments, tree_root_before.as_ref(), true);
        let absence = proofs(&mut draft, "absence", &key_commitments, tree_root_after.as_ref(), false);
        let slot_class = draft.word(
            "slot_class",
            &[("E0", "E0"), ("E1", "E1"), ("E2", "E2"), ("E3", "E3")],
            "Give the class of the root slot.",
        );
        let keepers = draft.optional_objects("keepers", destroyed);
        let erased_live_at = draft.time("erased_live_at", "Give the moment the keys left the live system.");
        let erased_root_at = draft.time("erased_root_at", "Give the moment the old root was destroyed.");
        let erased_escrow_at = draft.optional_parse("erased_escrow_at", "Give the moment the last escrow is destroyed.");
        let ciphertext_remains_until = draft.time("ciphertext_remains_until", "Say how long ciphertext may remain.");
        let ciphertext_purged_at = draft.optional_parse("ciphertext_purged_at", "Give the moment of the purge.");
        let dates = [erased_live_at, erased_root_at, erased_escrow_at.or(erased_root_at)];
        if !dates.is_sorted() || ciphertext_remains_until < erased_live_at {
            draft.note(
                "erased_root_at",
                "order",
                "The dates are not in their order. Live comes first, then root, then escrow.".into(),
            );
        }
        let recipients_told = draft.integer("recipients_told", 0, 1_000_000, "Say how many services were told.");
        let recipients = draft.optional_objects("recipients", recipient);
        if recipients_told.is_some_and(|told| told < recipients.len() as i64) {
            draft.note("recipients_told", "too-few", "More services are listed than were told. Count them again.".into());
        }
        let method = draft.string("method", 200, "Name the method.");
        let limits = draft.text("limits", 1_500, "Say what the certificate does not claim.");
        let certificate = (|| {
            Some(Self {
                cause: cause?,
                mandate,
                sector,
                order,
                grants,
                blocks,
                ground: ground?,
                key_commitments,
                epoch_before: epoch_before?,
                epoch_after: epoch_after?,
                tree_root_before: tree_root_before?,
                tree_root_after: tree_root_after?,
                inclusion,
                absence,
                slot_class: slot_class?.to_owned(),
                keepers,
                erased_live_at: erased_live_at?,
                erased_root_at: erased_root_at?,
                erased_escrow_at,
                ciphertext_remains_until: ciphertext_remains_until?,
                ciphertext_purged_at,
                recipients_told: recipients_told?,
                recipients,
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

    /// Whether `later` is this certificate with more answers, with more that keepers have signed, or with its purge.
    pub fn may_become(&self, later: &Self) -> bool {
        let core = |certificate: &Self| Self {
            recipients_told: 0,
            recipients: Vec::new(),
            keepers: Vec::new(),
            ciphertext_purged_at: None,
            ..certificate.clone()
        };
        let keeps = |old: &Recipient| {
            let new = later.recipients.iter().find(|new| new.service == old.service);
            new.is_some_and(|new| new.told_at == old.told_at && (old.answer.is_none() || new == old))
        };
        core(self) == core(later)
            && self.recipients_told <= later.recipients_told
            && self.recipients.iter().all(keeps)
            && later.keepers.starts_with(&self.keepers)
            && (self.ciphertext_purged_at.is_none() || self.ciphertext_purged_at == later.ciphertext_purged_at)
    }
}

/// The proofs of a field, one for each commitment, all of which must hold.
fn proofs(draft: &mut Draft<'_>, field: &'static str, handles: &[Digest], root: Option<&Digest>, live: bool) -> Vec<HandleProof> {
    let proofs: Vec<HandleProof> = draft.optional_objects(field, proof);
    if proofs.len() != handles.len() {
        let message = "There is not one proof for each commitment. Give them in the same order.";
        draft.note(field, "count", message.into());
    } else if let Some(root) = root
        && !proofs.iter().zip(handles).all(|(proof, handle)| proof.check(handle, root) == Some(live))
    {
        let message = match live {
            true => "A proof does not show the key in the tree before. Prove it under `tree_root_before`.",
            false => "A proof does not show that the key is gone. Prove it under `tree_root_after`.",
        };
        draft.note(field, "false-proof", message.into());
    }
    proofs
}

fn proof(draft: &mut Draft<'_>) -> Option<HandleProof> {
    let count = draft.integer("count", 0, i64::MAX >> 11, "Say how many keys there are.");
    let bucket = draft.optional_parses("bucket", "List the commitments of the bucket in hex.");
    let path = draft.optional_parses("path", "List the hashes of the path in hex.");
    Some(HandleProof { count: count?.cast_unsigned(), bucket, path })
}

fn destroyed(draft: &mut Draft<'_>) -> Option<Destroyed> {
    let vault = draft.string("vault", 255, "Give the name of the key tree.");
    let keeper = draft.string("keeper", 255, "Give the name of the keeper.");
    let epoch = draft.integer("epoch", 0, i64::MAX >> 11, "Give the counter of the keeper.");
    let at = draft.integer("at", 0, i64::MAX >> 11, "Give the time of the signature in seconds.");
    let signature = draft.string("signature", 100, "Give the signature in base64url.");
    let (epoch, at) = (epoch?.cast_unsigned(), at?.cast_unsigned());
    Some(Destroyed { vault: vault?, keeper: keeper?, epoch, at, signature: signature? })
}

fn recipient(draft: &mut Draft<'_>) -> Option<Recipient> {
    let service = draft.parse("service", "Name the service.");
    let told_at = draft.time("told_at", "Say when it was told.");
    let answers = [("deleted", Answer::Deleted), ("kept", Answer::Kept), ("nothing", Answer::Nothing)];
    let answer = draft.optional("answer").is_some().then(|| draft.word("answer", &answers, "Give its answer.")).flatten();
    let answered_at = draft.optional_parse("answered_at", "Say when it answered.");
    if answer.is_some() != answered_at.is_some() {
        draft.note("answered_at", "incomplete", "An answer and its date belong together. Give both, or none.".into());
    }
    let ground = draft.optional_string("ground", 60);
    if ground.is_some() && answer != Some(Answer::Kept) {
        draft.note("ground", "other-answer", "A ground belongs to data that is kept. Take it out.".into());
    }
    Some(Recipient { service: service?, told_at: told_at?, answer, answered_at, ground })
}
