//! Destroy keys that were marked for it, certify it, and only then forget the ciphertext. Every step can be repeated.

use std::sync::Arc;

use serde_json::json;
use usufruct_core::certificate::Cause;
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::CertificateId;
use usufruct_core::statement::StatementKind;
use usufruct_core::{Text, Time};
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::{blocks, codes, grants, keyrings, lines, passkeys, sessions, tokens};
use usufruct_vault::Erased;

use crate::ledger::{forget_chain, place};
use crate::{App, Error, Publication};

/// Unfinished erasures handled in one run.
const BATCH: usize = 100;

impl App {
    /// The resident deletes her pass: everything about her becomes noise. Answers the id of the certificate.
    pub fn delete_resident(&self, resident: u64) -> Result<CertificateId, Error> {
        let _guard = self.lock_resident(resident);
        let now = self.now();
        let certificate = CertificateId::fresh(now, self.rng());
        let keyring = Arc::new(self.keyring(resident)?);
        let erasure = Erasure {
            certificate: certificate.clone(),
            cause: "request".to_owned(),
            resident: Some(resident),
            mandate: None,
            commitments: self.vault.resident_commitment(resident)?.into_iter().collect(),
            requested_at: now,
        };
        let noted = erasure.clone();
        let event = plain_event(Kind::Erasure, "request", Some(certificate.to_string()), now);
        let rng = Arc::clone(&self.rng);
        self.db.transaction("delete resident", move |tx| {
            residents::set_state(tx, resident, ResidentState::Erased)?;
            grants::end_resident(tx, resident)?;
            tokens::delete_of_resident(tx, resident, None)?;
            codes::delete_of_resident(tx, resident, None)?;
            sessions::delete_all(tx, resident)?;
            passkeys::purge_resident(tx, resident)?;
            residents::delete_seed(tx, resident)?;
            erasures::insert(tx, &noted)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })?;
        self.finish_deletion(resident, &erasure)?;
        Ok(certificate)
    }

    /// Deactivates or reactivates a pass. Nothing is released about a resident whose pass is deactivated.
    pub fn set_active(&self, resident: u64, state: ResidentState) -> Result<(), Error> {
        if state == ResidentState::Erased {
            return Err(Error::refused("A pass is not erased this way.", "Delete it instead."));
        }
        let keyring = Arc::new(self.keyring(resident)?);
        let event = plain_event(Kind::Status, state.code(), None, self.now());
        let rng = Arc::clone(&self.rng);
        self.db.transaction("set resident state", move |tx| {
            residents::set_state(tx, resident, state)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })
    }

    /// Finishes erasures that a crash interrupted. Answers how many. Run at start-up and now and then.
    pub fn finish_erasures(&self) -> Result<usize, Error> {
        let pending = self.db.read(|conn| erasures::pending(conn, BATCH))?;
        for erasure in &pending {
            let Some(resident) = erasure.resident else { continue };
            let _guard = self.lock_resident(resident);
            // The one who asked may have finished it while we waited for the lock.
            if !self.db.read(|conn| erasures::is_pending(conn, &erasure.certificate))? {
                continue;
            }
            match erasure.mandate {
                Some(mandate) => self.finish_withdrawal(resident, mandate, erasure)?,
                None => self.finish_deletion(resident, erasure)?,
            }
        }
        Ok(pending.len())
    }

    /// Destroys the grant key of (resident, mandate). The new keyring is stored first; the key tree's commit decides; then
    /// the old keyring and the lent copies go.
    pub(crate) fn finish_withdrawal(&self, resident: u64, mandate: u64, erasure: &Erasure) -> Result<(), Error> {
        let candidates = self.db.read(|conn| keyrings::candidates(conn, resident))?;
        let newest = candidates.first().map_or(1, |(version, _)| *version);
        let keyring = self.open_keyring(resident, &candidates)?;
        let staged = self.vault.withdraw(keyring, &[mandate], self.rng())?;
        let (sealed, kept) = (staged.sealed().to_vec(), newest + 1);
        self.db.transaction("stage keyring", move |tx| Ok::<_, Error>(keyrings::put(tx, resident, kept, &sealed)?))?;
        let erased = self.vault.commit(staged, self.rng())?;
        self.certify(erasure, Cause::Withdrawal, None, &erased)?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("finish withdrawal", move |tx| {
            keyrings::delete_others(tx, resident, Some(kept))?;
            blocks::delete_lent(tx, resident, mandate)?;
            Ok::<_, Error>(erasures::done(tx, &certificate, now)?)
        })
    }

    fn finish_deletion(&self, resident: u64, erasure: &Erasure) -> Result<(), Error> {
        let erased = self.vault.erase_resident(resident, self.rng())?;
        self.certify(erasure, Cause::Request, None, &erased)?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("finish deletion", move |tx| {
            keyrings::delete_others(tx, resident, None)?;
            blocks::purge_resident(tx, resident)?;
            lines::purge_resident(tx, resident)?;
            forget_chain(tx, resident)?;
            Ok::<_, Error>(erasures::done(tx, &certificate, now)?)
        })
    }

    /// Publishes the certificate of an erasure, once.
    pub(crate) fn certify(&self, erasure: &Erasure, cause: Cause, mandate: Option<&str>, erased: &Erased) -> Result<(), Error> {
        if self.register().certificates.contains_key(&erasure.certificate) {
            return Ok(());
        }
        let now = self.now();
        let body = json!({
            "cause": cause,
            "mandate": mandate,
            "key_commitments": erasure.commitments,
            "epoch_before": erased.before.0,
            "epoch_after": erased.after.0,
            "root_before": erased.root_before,
            "root_after": erased.root_after,
            "slot_class": self.vault.class().to_string(),
            "erased_live_at": now,
            "erased_root_at": now,
            "method": "cryptographic erase, AES-256-GCM, SHA-256",
            "limits": limits(),
        });
        let id = erasure.certificate.as_str();
        let mut statement = self.statement(StatementKind::Certificate, id, self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }
}

/// What no certificate of class E0 claims (erasure.md 1.5).
fn limits() -> Text {
    Text::new(
        "After this moment no copy of our storage, of any age, opens what was erased for anyone who did not already hold the key or \
         the data. This does not claim that the ciphertext is physically gone, that a recipient who saw the data forgot it, that \
         nobody copied the key while it lived, or anything about the physical disk: the root was overwritten at file level (class E0).",
        "自此刻起，任何時期的儲存副本都無法再開啟已抹除的內容，除非有人事先已持有金鑰或資料。本證明不主張密文已自實體媒體消失、\
         看過資料的接收者已忘記、金鑰存續期間未曾遭複製，也不主張任何關於實體磁碟的事項：根金鑰是在檔案層級覆寫（E0 級）。",
    )
}

/// An event that rests on no mandate.
pub(crate) fn plain_event(kind: Kind, reason: &str, detail: Option<String>, now: Time) -> Event {
    Event {
        kind,
        n: 0,
        prev: None,
        at: now,
        mandate: None,
        service: None,
        blocks: Vec::new(),
        reason: reason.to_owned(),
        actor: None,
        batch: None,
        clause: None,
        detail,
        until: None,
    }
}
