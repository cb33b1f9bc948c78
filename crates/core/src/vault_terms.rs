//! VaultTerms: who keeps the root of the key tree, and what a certificate of this city has to show.

use serde::Serialize;
use serde_json::Value;

use crate::Text;
use crate::draft::{Draft, Problem};
use crate::keeper::{Destroyed, is_name};
use crate::statement::public_key;

/// The keepers of the root, the escrow, and how long copies live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VaultTerms {
    /// Name of the key tree: the origin of the log. Never changes.
    pub vault: String,
    /// Class of the root's slot, as `E3`.
    pub slot_class: String,
    /// How many keepers together can bring back the root they keep; 0 without keepers.
    pub threshold: i64,
    pub keepers: Vec<KeeperTerms>,
    pub escrow: Option<Escrow>,
    /// For how many days copies of the ciphertext are kept, in backups and archives.
    pub backup_days: i64,
    /// The first epoch after the root was lost, if it ever was: what was sealed before it opens no more. No certificate says of
    /// those keys that they were destroyed, since nobody can know what became of a root that was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_before: Option<i64>,
}

/// One keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeeperTerms {
    pub name: String,
    /// Who runs it.
    pub institution: Text,
    /// Raw Ed25519 public key, base64url without padding.
    pub public: String,
}

/// Officers who together can bring back the newest root, until the end of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Escrow {
    /// Length of a period; the keys of the one before are destroyed at its end.
    pub period_days: i64,
    pub officers: i64,
    pub threshold: i64,
}

impl VaultTerms {
    /// Reads the terms, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let vault = draft.string("vault", 255, "Give the name of the key tree, which is that of the log.");
        let slot_class =
            draft.word("slot_class", &[("E0", "E0"), ("E1", "E1"), ("E3", "E3")], "Give the class of the root slot.");
        let threshold = draft.integer("threshold", 0, 16, "Say how many keepers bring back the root; 0 without keepers.");
        let keepers: Vec<KeeperTerms> = draft.optional_objects("keepers", |keeper| {
            let name = keeper.string("name", 255, "Give the name of the keeper.");
            if name.as_deref().is_some_and(|name| !is_name(name)) {
                keeper.note("name", "malformed", "The name has spaces or other signs. Use printable ASCII.".into());
            }
            let institution = keeper.text("institution", 200, "Say who runs it.");
            let public = keeper.string("public", 60, "Give the raw Ed25519 public key in base64url.");
            if public.as_deref().is_some_and(|public| public_key(public).is_none()) {
                keeper.note("public", "malformed", "This is no public key. Give 32 bytes in base64url.".into());
            }
            Some(KeeperTerms { name: name?, institution: institution?, public: public? })
        });
        let escrow = draft.optional_object("escrow", |escrow| {
            let period_days = escrow.integer("period_days", 1, 366, "Give the length of a period in days.");
            let officers = escrow.integer("officers", 1, 16, "Give the number of officers.");
            let threshold = escrow.integer("threshold", 1, 16, "Say how many of them are needed.");
            Some(Escrow { period_days: period_days?, officers: officers?, threshold: threshold? })
        });
        let backup_days = draft.integer("backup_days", 0, 3_660, "Say for how many days copies are kept.");
        let lost_before = draft
            .optional("lost_before")
            .is_some()
            .then(|| draft.integer("lost_before", 1, i64::MAX >> 11, "Give the first epoch after the root was lost."));
        let count = keepers.len() as i64;
        let is_kept = slot_class == Some("E3");
        if is_kept && !threshold.is_some_and(|threshold| (2..=count).contains(&threshold) && 2 * threshold > count) {
            draft.note(
                "threshold",
                "no-majority",
                "Class E3 needs two keepers or more and a threshold above half of them. Then two roots can never both be had."
                    .into(),
            );
        }
        if slot_class.is_some() && !is_kept && (count > 0 || threshold != Some(0)) {
            draft.note("keepers", "not-kept", "Only class E3 has keepers. Leave them out, or give class E3.".into());
        }
        let is_twice = |keeper: &KeeperTerms| {
            keepers.iter().filter(|other| other.name == keeper.name || other.public == keeper.public).count() > 1
        };
        if keepers.iter().any(is_twice) {
            draft.note("keepers", "twice", "Two keepers have one name or one key. Name each once.".into());
        }
        if escrow.is_some_and(|escrow| escrow.threshold > escrow.officers) {
            draft.note("escrow", "threshold", "More officers are needed than there are. Lower the threshold.".into());
        }
        let terms = (|| {
            Some(Self {
                vault: vault?,
                slot_class: slot_class?.to_owned(),
                threshold: threshold?,
                keepers,
                escrow,
                backup_days: backup_days?,
                lost_before: lost_before.flatten(),
            })
        })();
        let problems = draft.finish();
        match terms {
            Some(terms) if problems.is_empty() => Ok(terms),
            _ => Err(problems),
        }
    }

    /// The keepers that have signed that they hold nothing older than `epoch`, in the order of the terms.
    pub fn signers(&self, epoch: i64, statements: &[Destroyed]) -> impl Iterator<Item = &KeeperTerms> {
        self.keepers.iter().filter(move |keeper| {
            statements.iter().any(|statement| {
                statement.vault == self.vault
                    && statement.keeper == keeper.name
                    && i64::try_from(statement.epoch).is_ok_and(|reached| reached >= epoch)
                    && statement.is_signed_by(&keeper.public)
            })
        })
    }

    /// Whether enough keepers have signed that they hold nothing older than `epoch`, so that the rest cannot bring it back.
    pub fn is_destroyed(&self, epoch: i64, statements: &[Destroyed]) -> bool {
        self.signers(epoch, statements).count() as i64 > self.keepers.len() as i64 - self.threshold
    }

    /// Who has not signed yet, if anybody has not.
    pub fn silence(&self, epoch: i64, statements: &[Destroyed]) -> Option<Silence> {
        let (signed, all) = (self.signers(epoch, statements).count(), self.keepers.len());
        let liars = usize::try_from(self.threshold).ok()? + signed;
        (signed < all).then_some(Silence { signed, all, liars: liars.saturating_sub(all) })
    }
}

/// Keepers that have not signed that they destroyed their share, because they sleep or are gone for good: what a certificate does
/// not claim as long as that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    pub signed: usize,
    pub all: usize,
    /// So many of those that signed have to be dishonest for the old root to come back by means of those that have not.
    pub liars: usize,
}
