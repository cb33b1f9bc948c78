//! Outline: what every object of the register has, whatever it is about.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Entry, Register, Step};
use crate::id::{
    AgencyId, AgreementId, AssessmentId, AuditId, BlockId, BodyAuditId, BreachId, CameraId, CaseTallyId, CertificateId, CheckId,
    ContractId, IncidentId, KeyId, LawpackId, LogId, MandateId, MeetingId, NoticeId, OrderId, PaymentId, PurgeId, RotationId,
    RulingId, ServiceId, StoppageId, TallyId, VaultId, VerifierId,
};
use crate::lifecycle::State;
use crate::statement::StatementKind;
use crate::{Digest, Time};

/// An entry without its body.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    pub kind: StatementKind,
    pub id: &'a str,
    pub rev: u64,
    /// Hash of the present revision.
    pub hash: Digest,
    /// Leaf number of the first revision.
    pub number: u64,
    /// Leaf number of the present revision.
    pub index: u64,
    pub state: State,
    pub since: Time,
    pub history: &'a [Step],
}

impl Register {
    /// The object of this kind with this id.
    pub fn outline(&self, kind: StatementKind, id: &str) -> Option<Outline<'_>> {
        fn of<'a, K: Ord + FromStr, T>(kind: StatementKind, map: &'a BTreeMap<K, Entry<T>>, id: &str) -> Option<Outline<'a>> {
            map.get(&id.parse().ok()?).map(|entry| Outline::of(kind, entry))
        }
        match kind {
            StatementKind::Agency => of(kind, &self.agencies, id),
            StatementKind::Agreement => of(kind, &self.agreements, id),
            StatementKind::Assessment => of(kind, &self.assessments, id),
            StatementKind::Audit => of(kind, &self.audits, id),
            StatementKind::BodyAudit => of(kind, &self.body_audits, id),
            StatementKind::Breach => of(kind, &self.breaches, id),
            StatementKind::Camera => of(kind, &self.cameras, id),
            StatementKind::CaseTally => of(kind, &self.case_tallies, id),
            StatementKind::Certificate => of(kind, &self.certificates, id),
            StatementKind::Check => of(kind, &self.checks, id),
            StatementKind::Contract => of(kind, &self.contracts, id),
            StatementKind::DataBlock => of(kind, &self.blocks, id),
            StatementKind::Incident => of(kind, &self.incidents, id),
            StatementKind::Key => of(kind, &self.keys, id),
            StatementKind::Lawpack => of(kind, &self.lawpacks, id),
            StatementKind::Log => sole(kind, self.log.as_ref()).into_iter().find(|outline| outline.id == id),
            StatementKind::Mandate => of(kind, &self.mandates, id),
            StatementKind::Meeting => of(kind, &self.meetings, id),
            StatementKind::Notice => self.notices.values().find(|entry| entry.id == id).map(|entry| Outline::of(kind, entry)),
            StatementKind::Order => of(kind, &self.orders, id),
            StatementKind::Payment => of(kind, &self.payments, id),
            StatementKind::Purge => of(kind, &self.purges, id),
            StatementKind::Rotation => of(kind, &self.rotations, id),
            StatementKind::Ruling => of(kind, &self.rulings, id),
            StatementKind::Service => of(kind, &self.services, id),
            StatementKind::StatusChange => None,
            StatementKind::Stoppage => of(kind, &self.stoppages, id),
            StatementKind::Tally => of(kind, &self.tallies, id),
            StatementKind::Uncertified => of(kind, &self.uncertified, id),
            StatementKind::Vault => sole(kind, self.vault.as_ref()).into_iter().find(|outline| outline.id == id),
            StatementKind::Verifier => sole(kind, self.verifier.as_ref()).into_iter().find(|outline| outline.id == id),
        }
    }

    /// All objects of this kind, by their ids.
    pub fn outlines(&self, kind: StatementKind) -> Vec<Outline<'_>> {
        fn all<'a, K, T>(kind: StatementKind, map: &'a BTreeMap<K, Entry<T>>) -> Vec<Outline<'a>> {
            map.values().map(|entry| Outline::of(kind, entry)).collect()
        }
        match kind {
            StatementKind::Agency => all(kind, &self.agencies),
            StatementKind::Agreement => all(kind, &self.agreements),
            StatementKind::Assessment => all(kind, &self.assessments),
            StatementKind::Audit => all(kind, &self.audits),
            StatementKind::BodyAudit => all(kind, &self.body_audits),
            StatementKind::Breach => all(kind, &self.breaches),
            StatementKind::Camera => all(kind, &self.cameras),
            StatementKind::CaseTally => all(kind, &self.case_tallies),
            StatementKind::Certificate => all(kind, &self.certificates),
            StatementKind::Check => all(kind, &self.checks),
            StatementKind::Contract => all(kind, &self.contracts),
            StatementKind::DataBlock => all(kind, &self.blocks),
            StatementKind::Incident => all(kind, &self.incidents),
            StatementKind::Key => all(kind, &self.keys),
            StatementKind::Lawpack => all(kind, &self.lawpacks),
            StatementKind::Log => sole(kind, self.log.as_ref()),
            StatementKind::Mandate => all(kind, &self.mandates),
            StatementKind::Meeting => all(kind, &self.meetings),
            StatementKind::Notice => all(kind, &self.notices),
            StatementKind::Order => all(kind, &self.orders),
            StatementKind::Payment => all(kind, &self.payments),
            StatementKind::Purge => all(kind, &self.purges),
            StatementKind::Rotation => all(kind, &self.rotations),
            StatementKind::Ruling => all(kind, &self.rulings),
            StatementKind::Service => all(kind, &self.services),
            StatementKind::StatusChange => Vec::new(),
            StatementKind::Stoppage => all(kind, &self.stoppages),
            StatementKind::Tally => all(kind, &self.tallies),
            StatementKind::Uncertified => all(kind, &self.uncertified),
            StatementKind::Vault => sole(kind, self.vault.as_ref()),
            StatementKind::Verifier => sole(kind, self.verifier.as_ref()),
        }
    }

    /// Number, hash and leaf of the present revision of an object of this kind.
    pub fn present_revision(&self, kind: StatementKind, id: &str) -> Option<(u64, Digest, u64)> {
        // A notice of a later revision of its mandate is another one, even under the same id.
        let present = if kind == StatementKind::Notice { None } else { self.outline(kind, id) };
        present.map(|present| (present.rev, present.hash, present.index))
    }

    /// The next revision number and the hash it must name, for an object of this kind.
    pub fn next_revision(&self, kind: StatementKind, id: &str) -> (u64, Option<Digest>) {
        self.present_revision(kind, id).map_or((1, None), |(rev, hash, _)| (rev + 1, Some(hash)))
    }
}

fn sole<T>(kind: StatementKind, entry: Option<&Entry<T>>) -> Vec<Outline<'_>> {
    entry.map(|entry| Outline::of(kind, entry)).into_iter().collect()
}

impl<'a> Outline<'a> {
    fn of<T>(kind: StatementKind, entry: &'a Entry<T>) -> Self {
        let Entry { id, rev, hash, number, index, state, since, body: _, history } = entry;
        Self { kind, id, rev: *rev, hash: *hash, number: *number, index: *index, state: *state, since: *since, history }
    }
}

impl StatementKind {
    /// The kinds of which there are objects, in the order of their names.
    pub const OBJECTS: [Self; 30] = [
        Self::Agency,
        Self::Agreement,
        Self::Assessment,
        Self::Audit,
        Self::BodyAudit,
        Self::Breach,
        Self::Camera,
        Self::CaseTally,
        Self::Certificate,
        Self::Check,
        Self::Contract,
        Self::DataBlock,
        Self::Incident,
        Self::Key,
        Self::Lawpack,
        Self::Log,
        Self::Mandate,
        Self::Meeting,
        Self::Notice,
        Self::Order,
        Self::Payment,
        Self::Purge,
        Self::Rotation,
        Self::Ruling,
        Self::Service,
        Self::Stoppage,
        Self::Tally,
        Self::Uncertified,
        Self::Vault,
        Self::Verifier,
    ];

    /// The kind of the objects whose ids begin like this one. An erasure of which nothing can be proved has the id of a certificate.
    pub fn of_id(id: &str) -> Option<Self> {
        Some(match id.split_once('_')?.0 {
            AgencyId::PREFIX => Self::Agency,
            AgreementId::PREFIX => Self::Agreement,
            AssessmentId::PREFIX => Self::Assessment,
            AuditId::PREFIX => Self::Audit,
            BodyAuditId::PREFIX => Self::BodyAudit,
            BreachId::PREFIX => Self::Breach,
            CameraId::PREFIX => Self::Camera,
            CaseTallyId::PREFIX => Self::CaseTally,
            CertificateId::PREFIX => Self::Certificate,
            CheckId::PREFIX => Self::Check,
            ContractId::PREFIX => Self::Contract,
            BlockId::PREFIX => Self::DataBlock,
            IncidentId::PREFIX => Self::Incident,
            KeyId::PREFIX => Self::Key,
            LawpackId::PREFIX => Self::Lawpack,
            LogId::PREFIX => Self::Log,
            MandateId::PREFIX => Self::Mandate,
            MeetingId::PREFIX => Self::Meeting,
            NoticeId::PREFIX => Self::Notice,
            OrderId::PREFIX => Self::Order,
            PaymentId::PREFIX => Self::Payment,
            PurgeId::PREFIX => Self::Purge,
            RotationId::PREFIX => Self::Rotation,
            RulingId::PREFIX => Self::Ruling,
            ServiceId::PREFIX => Self::Service,
            StoppageId::PREFIX => Self::Stoppage,
            TallyId::PREFIX => Self::Tally,
            VaultId::PREFIX => Self::Vault,
            VerifierId::PREFIX => Self::Verifier,
            _ => return None,
        })
    }
}
