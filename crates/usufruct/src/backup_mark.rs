//! The mark of a backup: over everything that its manifest says, under a key of the pass that is in no backup. Whoever can write to the folder of
//! backups changes neither what is in one nor when it was made without being seen.

use usufruct_app::House;
use usufruct_core::Digest;
use usufruct_core::hash::{equal, hmac_sha256};
use zeroize::Zeroizing;

use crate::backup::Manifest;
use crate::chance::SystemRng;
use crate::failure::Failure;

/// The key of the marks, made from that of the log: a pass that is put up again has it, and nobody else does.
pub struct BackupKey(Zeroizing<[u8; 32]>);

impl BackupKey {
    /// The key of the pass in this house. Refused where that of its log is missing, which is made at no such occasion.
    pub fn of(house: &House) -> Result<Self, Failure> {
        house.require_seeds(&["log"])?;
        let seed = house.seed("log", &SystemRng)?;
        Ok(Self(Zeroizing::new(hmac_sha256(&*seed, &[b"usufruct/backup-key/v1"]))))
    }

    /// The manifest with its mark.
    pub fn mark(&self, manifest: Manifest) -> Result<Manifest, Failure> {
        let mark = Some(self.mark_of(&manifest)?);
        Ok(Manifest { mark, ..manifest })
    }

    /// Whether this pass wrote a manifest as it stands there.
    pub fn is_ours(&self, manifest: &Manifest) -> bool {
        let stored = manifest.mark.unwrap_or(Digest([0; 32]));
        self.mark_of(manifest).is_ok_and(|mark| equal(&mark.0, &stored.0))
    }

    fn mark_of(&self, manifest: &Manifest) -> Result<Digest, Failure> {
        let bare = Manifest { mark: None, ..manifest.clone() };
        let text = serde_json::to_vec(&bare).map_err(|error| {
            Failure::impossible(format!("The manifest cannot be written: {error}."), "Report this as a defect.")
        })?;
        Ok(Digest(hmac_sha256(&*self.0, &[b"usufruct/backup-mark/v1", &text])))
    }
}
