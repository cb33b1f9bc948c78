//! The certificate of an erasure: proofs from before and after, who destroyed the root, and what is not claimed.

use serde_json::json;
use usufruct_core::certificate::{Cause, Certificate};
use usufruct_core::id::MandateId;
use usufruct_core::keeper::Destroyed;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::{DAY, Month};
use usufruct_core::vault_terms::{KeeperTerms, VaultTerms};
use usufruct_core::{Text, Time};
use usufruct_store::deletions;
use usufruct_store::erasures::Erasure;
use usufruct_vault::SlotClass;

use crate::carry_out::Carried;
use crate::escrow::Promise;
use crate::{App, Error, Publication};

impl App {
    /// Publishes the certificates of erasures whose keys are destroyed, each once, and of those of which nothing can be proved, that there
    /// is none. Answers for each until when copies of the ciphertext may exist.
    pub(crate) fn certify(&self, erasures: &[&Erasure]) -> Result<Vec<Time>, Error> {
        // The epochs that certificates name stand in the log in their order.
        let _certifying = self.certifying();
        for part in erasures.chunks(PART) {
            let register = self.register();
            let is_said = |erasure: &&&Erasure| {
                let id = &erasure.certificate;
                register.certificates.contains_key(id) || register.uncertified.contains_key(id)
            };
            let new = part.iter().filter(|erasure| !is_said(erasure));
            let statements = new.map(|erasure| self.certificate(&register, erasure)).collect::<Result<Vec<_>, _>>()?;
            if !statements.is_empty() {
                self.publish(&Publication { statements })?;
            }
        }
        let register = self.register();
        let until = |erasure: &&Erasure| {
            let certified = register.certificates.get(&erasure.certificate).map(|entry| entry.body.ciphertext_remains_until);
            let uncertified =
                || register.uncertified.get(&erasure.certificate).map(|entry| remains_until(&register, entry.since));
            certified.or_else(uncertified).ok_or(Error::Unknown { what: "certificate" })
        };
        erasures.iter().map(until).collect()
    }

    /// Adds to certificates what keepers have signed that slept when they were written. Answers how many gained something; of many
    /// some are left for the next time. For the clock.
    pub fn publish_late_signatures(&self) -> Result<usize, Error> {
        let register = self.register();
        let mut due = register.certificates.values().filter_map(|entry| Some((entry, awaited(&register, entry)?))).peekable();
        if due.peek().is_none() {
            return Ok(0);
        }
        let signed = self.vault.statements()?;
        let mut statements = Vec::new();
        for (entry, terms) in due {
            let body = &entry.body;
            let is_late = |one: &&Destroyed| {
                !body.keepers.iter().any(|known| known.keeper == one.keeper)
                    && terms.signers(body.epoch_after, std::slice::from_ref(*one)).next().is_some()
            };
            let late: Vec<Destroyed> = signed.iter().filter(is_late).cloned().collect();
            if late.is_empty() {
                continue;
            }
            let body = Certificate { keepers: [body.keepers.clone(), late].concat(), ..body.clone() };
            let mut statement =
                self.statement(StatementKind::Certificate, &entry.id, self.automation.agency(), json!(body), self.now());
            statement.approve(&self.automation)?;
            statements.push(statement);
            if statements.len() == PART {
                break;
            }
        }
        let count = statements.len();
        if count > 0 {
            self.publish(&Publication { statements })?;
        }
        Ok(count)
    }

    fn certificate(&self, register: &Register, erasure: &Erasure) -> Result<Statement, Error> {
        let proven = self.evidence(erasure)?.zip(Cause::from_code(&erasure.cause));
        let Some((evidence, cause)) = proven.filter(|(_, cause)| self.names_all(register, *cause, erasure)) else {
            tracing::error!(certificate = %erasure.certificate, "the note of an erasure is not as it was written, so it cannot be certified");
            return self.uncertified(register, erasure);
        };
        // Of one resident's data neither mandate nor blocks are public.
        let mandate = erasure.mandate.filter(|_| erasure.resident.is_none());
        let mandate = mandate.and_then(|number| register.mandates.values().find(|entry| entry.number == number));
        let blocks = mandate.map(|entry| entry.body.blocks.iter().map(|block| block.block.clone()).collect::<Vec<_>>());
        let sector = erasure.sector.and_then(|number| register.services.values().find(|entry| entry.number == number));
        let (after, absence) = self.vault.proofs(&erasure.commitments);
        let told = self.db.read(|conn| deletions::of_certificate(conn, &erasure.certificate))?.len();
        let terms = register.vault.as_ref().map(|entry| &entry.body);
        let (now, class) = (self.now(), self.vault.class());
        // An erasure of which it is not known when it happened, because a crash came in between, has happened by now. So has one of
        // which the row says what cannot be, because somebody wrote to it or a clock was wrong.
        let ended: Option<MandateId> = mandate.and_then(|entry| entry.id.parse().ok());
        let domain = sector.map(|entry| entry.body.sector.as_str());
        let earliest = register.earliest_end(cause, ended.as_ref(), domain, &erasure.commitments).max(erasure.requested_at);
        let earliest = earliest.min(now);
        let live_at = erasure.live_at.filter(|at| (earliest..=now).contains(at)).unwrap_or(now);
        let root_at = erasure.root_at.filter(|at| (live_at..=now).contains(at)).unwrap_or(now);
        let promise = self.escrow_promise(terms, now)?;
        let keepers = self.vault.statements()?;
        let body = json!({
            "cause": cause,
            "mandate": mandate.map(|entry| &entry.id),
            "sector": sector.map(|entry| &entry.body.sector),
            "order": evidence.carried.as_ref().map(|carried| &carried.order),
            "grants": evidence.carried.as_ref().map(Carried::count),
            "blocks": blocks.unwrap_or_default(),
            "ground": ground(cause, &erasure.months),
            "key_commitments": erasure.commitments,
            "epoch_before": evidence.epoch,
            "epoch_after": after.epoch.0,
            "tree_root_before": evidence.root,
            "tree_root_after": after.root,
            "inclusion": evidence.proofs,
            "absence": absence,
            "slot_class": class.to_string(),
            "keepers": keepers,
            "erased_live_at": live_at,
            "erased_root_at": root_at,
            "erased_escrow_at": promise.date(),
            "ciphertext_remains_until": remains_until(register, now),
            "recipients_told": told,
            "method": "cryptographic erase, AES-256-GCM, SHA-256",
            "limits": limits(erasure.resident.is_some(), class, self.config().vault.any_disk, promise),
        });
        let id = erasure.certificate.as_str();
        let mut statement = self.statement(StatementKind::Certificate, id, self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        Ok(statement)
    }
}

/// The terms of a certificate that lacks the signature of one of its keepers who is a keeper still. Every certificate there is gets
/// looked at again and again, so no signature is tried here.
fn awaited<'a>(register: &'a Register, entry: &Entry<Certificate>) -> Option<&'a VaultTerms> {
    let (_, terms) = register.vault_terms_at(entry.number)?;
    let (signed, present) = (&entry.body.keepers, &register.vault.as_ref()?.body.keepers);
    let is_awaited = |keeper: &KeeperTerms| {
        present.iter().any(|now| now.name == keeper.name && now.public == keeper.public)
            && !signed.iter().any(|known| known.keeper == keeper.name)
    };
    (signed.len() < terms.keepers.len() && terms.keepers.iter().any(is_awaited)).then_some(terms)
}

/// Until when copies of ciphertext may exist whose keys went by `now`.
fn remains_until(register: &Register, now: Time) -> Time {
    let days = register.vault.as_ref().map_or(BACKUP_DAYS, |entry| entry.body.backup_days);
    now.plus(days * DAY)
}

fn ground(cause: Cause, months: &[Month]) -> Text {
    match cause {
        Cause::Drill => Text::new(
            "A synthetic resident of a drill was erased. No person is behind it.",
            "演練所用之虛擬市民已抹除，並非真實之人。",
        ),
        Cause::Order => Text::new(
            "An oversight body ordered to delete what is lent and deposited under the mandate.",
            "監督機關命令刪除依該授權借出及存入之資料。",
        ),
        Cause::Request => Text::new("The resident deleted her pass.", "市民刪除其通行證。"),
        Cause::Retention => {
            let months: Vec<String> = months.iter().map(ToString::to_string).collect();
            Text::new(
                &format!("The time is over for which was kept what was deposited in {}.", months.join(", ")),
                &format!("{} 所存入之資料保存期限屆滿。", months.join("、")),
            )
        }
        Cause::Revocation => Text::new("The mandate was revoked before its last day.", "授權於期滿前遭撤銷。"),
        Cause::Rotation => Text::new(
            "The mandate goes on under another key, for which everything that is lent under it was sealed again.",
            "授權繼續有效，並改用新金鑰；依該授權借出之內容均已以新金鑰重新封存。",
        ),
        Cause::Sector => {
            Text::new("The last service that knew people by these pseudonyms closed.", "使用此代碼領域的最後一項服務已關閉。")
        }
        Cause::Sunset => Text::new("The last day of the mandate is over.", "授權期滿。"),
        Cause::Withdrawal => Text::new("The resident withdrew her consent.", "市民撤回同意。"),
    }
}

/// What no certificate of this class claims (erasure.md 1.5).
fn limits(of_resident: bool, class: SlotClass, any_disk: bool, promise: Promise) -> Text {
    let (slot, slot_zh) = match class {
        SlotClass::E0 if any_disk => (
            "about the medium: the root was overwritten at file level, and nobody checked that old roots do not stay where it lies \
             (class E0, medium not checked)",
            "儲存媒體的事項：根金鑰是在檔案層級覆寫，惟未曾檢查該媒體是否留存舊的根金鑰（E0 級，媒體未經檢查）",
        ),
        SlotClass::E0 => (
            "about the physical disk: the root was overwritten at file level (class E0)",
            "實體磁碟的事項：根金鑰是在檔案層級覆寫（E0 級）",
        ),
        SlotClass::E1 => (
            "beyond what the token does: the key that wrapped the root was destroyed inside it (class E1)",
            "硬體權杖以外的事項：包裹根金鑰的金鑰已在權杖內銷毀（E1 級）",
        ),
        SlotClass::E2 => (
            "beyond what the TPM does: the root was overwritten inside it (class E2)",
            "TPM 以外的事項：根金鑰已在其中覆寫（E2 級）",
        ),
        SlotClass::E3 => (
            "should so many keepers have failed to destroy their share that together they could bring the root back; one whose signature \
             does not stand here may have its share still (class E3)",
            "若未銷毀份額的保管者多到足以共同復原根金鑰的情形；未於此簽署的保管者可能仍持有其份額（E3 級）",
        ),
    };
    let (escrow, escrow_zh) = match promise {
        Promise::NoEscrow => ("", ""),
        Promise::Until(_) => (
            " The date of the escrow is the one by which its officers are bound to have destroyed their keys; it does not claim that \
             they will.",
            "託管日期為託管人依約應銷毀其金鑰之期限，本證明不主張其必將履行。",
        ),
        Promise::Undated => (
            " The root is in escrow too, and no date is given for that: its officers still have keys of a period that is over, \
             or what is sealed to them is not where it should be.",
            "根金鑰另有託管，惟託管人仍持有已屆期期別之金鑰，或其託管檔案不在應在之處，故不載託管日期。",
        ),
    };
    let (keys, keys_zh) = match of_resident {
        true => (
            "the commitments and the roots of the set of keys, which are first published here and are our own word, belong to the keys of \
             that data",
            "首次公布於此且僅憑本機關陳述的承諾值與金鑰集合根值確屬該資料的金鑰",
        ),
        false => (
            "the keys whose commitments the log has held since they were made, and the roots of the set of keys, are those under which that \
             data was sealed, which is our own word",
            "自金鑰產生時起即載於日誌的承諾值所屬金鑰，以及僅憑本機關陳述的金鑰集合根值，確係封存該資料所用",
        ),
    };
    Text::new(
        &format!(
            "After the date of the root no copy of our storage, of any age, opens what was erased for anyone who did not already hold \
             the key or the data, and after the date of the escrow, if one is given, not for its officers either. This does not claim \
             that the ciphertext is physically gone, that a recipient who saw the data forgot it, that nobody copied the key while it \
             lived, that {keys}, that the number and the times of what was stored are unknown, that AES-256 and SHA-256 are never broken, or \
             anything {slot}.{escrow}"
        ),
        &format!(
            "自根金鑰銷毀之日起，任何時期的儲存副本都無法再開啟已抹除的內容，除非有人事先已持有金鑰或資料；若載有託管日期，則該日之後\
             託管人亦無法開啟。本證明不主張密文已自實體媒體消失、看過資料的接收者已忘記、金鑰存續期間未曾遭複製、{keys_zh}、儲存的筆數與時間無人知悉、\
             AES-256 與 SHA-256 永不遭破解，也不主張任何關於{slot_zh}。{escrow_zh}"
        ),
    )
}

/// For how many days copies are kept where no terms say so. A promise of whoever runs the house (`backup_days` of its published terms) and no law.
const BACKUP_DAYS: i64 = 35;
/// Certificates published in one transaction.
const PART: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_knew_before_is_told_apart_from_what_it_did_not() {
        let limits = |of_resident| limits(of_resident, SlotClass::E0, true, Promise::Undated);
        let (hers, mandate) = (limits(true), limits(false));
        assert!(hers.en.contains("first published here") && hers.zh_hant.contains("首次公布"), "{}", hers.en);
        assert!(mandate.en.contains("since they were made") && !mandate.en.contains("first published"), "{}", mandate.en);
        assert!(mandate.zh_hant.contains("自金鑰產生時起"), "{}", mandate.zh_hant);
        for longest in [hers, mandate] {
            assert!(longest.en.chars().count() <= 1_500 && longest.zh_hant.chars().count() <= 1_500, "{}", longest.en.len());
        }
    }

    #[test]
    fn a_medium_that_nobody_checked_is_named_in_the_limits() {
        let checked = limits(true, SlotClass::E0, false, Promise::NoEscrow);
        let unchecked = limits(true, SlotClass::E0, true, Promise::NoEscrow);
        assert!(!checked.en.contains("not checked") && unchecked.en.contains("medium not checked"), "{}", unchecked.en);
        assert!(!checked.zh_hant.contains("未經檢查") && unchecked.zh_hant.contains("未經檢查"), "{}", unchecked.zh_hant);
        for class in [SlotClass::E1, SlotClass::E3] {
            assert_eq!(
                limits(true, class, true, Promise::NoEscrow),
                limits(true, class, false, Promise::NoEscrow),
                "the root is not on that disk"
            );
        }
    }
}
