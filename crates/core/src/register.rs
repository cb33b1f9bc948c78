//! The register: what exists and in which state, as a fold over the log's public statements.
//!
//! There is no table behind it. Replaying the statements of the log gives the same register, byte for byte.

mod entry;
mod life;
mod outline;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::agency::{Agency, AgencyKind, SigningKey};
use crate::agreement::Agreement;
use crate::amendment::{Amendment, changes};
use crate::assessment::Assessment;
use crate::audit::Audit;
use crate::block::DataBlock;
use crate::body_audit::BodyAudit;
use crate::breach::Breach;
use crate::camera::Camera;
use crate::case_tally::CaseTally;
use crate::certificate::{Cause, Certificate};
use crate::check::ContractCheck;
use crate::contract::Contract;
use crate::draft::Problem;
use crate::id::{
    AgencyId, AgreementId, AssessmentId, AuditId, BlockId, BodyAuditId, BreachId, CameraId, CaseTallyId, CertificateId, CheckId,
    ContractId, IncidentId, KeyId, LawpackId, MandateId, MeetingId, OrderId, PaymentId, PurgeId, RotationId, RulingId, ServiceId,
    StoppageId, TallyId,
};
use crate::incident::Incident;
use crate::key::{KeyOf, PublishedKey};
use crate::lawpack::{Duty, Law, Lawpack};
use crate::lifecycle::State;
use crate::log_terms::LogTerms;
use crate::mandate::{Mandate, MandateKind};
use crate::meeting::Meeting;
use crate::notice::Notice;
use crate::order::{Order, OrderKind};
use crate::payment::Payment;
use crate::purge::Purge;
use crate::rotation::Rotation;
use crate::ruling::Ruling;
use crate::service::Service;
use crate::source::Source;
use crate::statement::{Statement, Tried};
use crate::status::StatusChange;
use crate::stoppage::Stoppage;
use crate::tally::{Day, Tally};
use crate::time::Month;
use crate::uncertified::Uncertified;
use crate::validate;
use crate::vault_terms::VaultTerms;
use crate::verifier::VerifierRelease;
use crate::{Digest, Time};

pub use entry::{Entry, Step};
use entry::{Make, put, put_sole};
pub use life::Life;
pub use outline::Outline;

/// Everything the log's statements say exists.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Register {
    pub agencies: BTreeMap<AgencyId, Entry<Agency>>,
    pub blocks: BTreeMap<BlockId, Entry<DataBlock>>,
    pub services: BTreeMap<ServiceId, Entry<Service>>,
    pub mandates: BTreeMap<MandateId, Entry<Mandate>>,
    /// How the present revision of each mandate that was revised stands to those before it.
    pub amendments: BTreeMap<MandateId, Amendment>,
    /// The leaf of the last revision of each mandate that asks people again.
    pub(crate) widened: BTreeMap<String, u64>,
    /// Notices by the hash of the mandate revision they explain.
    pub notices: BTreeMap<Digest, Entry<Notice>>,
    pub contracts: BTreeMap<ContractId, Entry<Contract>>,
    pub agreements: BTreeMap<AgreementId, Entry<Agreement>>,
    /// Impact assessments of mandates.
    pub assessments: BTreeMap<AssessmentId, Entry<Assessment>>,
    pub checks: BTreeMap<CheckId, Entry<ContractCheck>>,
    pub audits: BTreeMap<AuditId, Entry<Audit>>,
    /// What auditors found at bodies.
    pub body_audits: BTreeMap<BodyAuditId, Entry<BodyAudit>>,
    pub breaches: BTreeMap<BreachId, Entry<Breach>>,
    pub cameras: BTreeMap<CameraId, Entry<Camera>>,
    /// How many cases each body had in each month.
    pub case_tallies: BTreeMap<CaseTallyId, Entry<CaseTally>>,
    pub certificates: BTreeMap<CertificateId, Entry<Certificate>>,
    pub incidents: BTreeMap<IncidentId, Entry<Incident>>,
    /// Keys of mandates and pseudonym domains, whether they live or not.
    pub keys: BTreeMap<KeyId, Entry<PublishedKey>>,
    pub lawpacks: BTreeMap<LawpackId, Entry<Lawpack>>,
    pub meetings: BTreeMap<MeetingId, Entry<Meeting>>,
    pub orders: BTreeMap<OrderId, Entry<Order>>,
    pub payments: BTreeMap<PaymentId, Entry<Payment>>,
    pub purges: BTreeMap<PurgeId, Entry<Purge>>,
    pub rotations: BTreeMap<RotationId, Entry<Rotation>>,
    pub rulings: BTreeMap<RulingId, Entry<Ruling>>,
    pub stoppages: BTreeMap<StoppageId, Entry<Stoppage>>,
    pub tallies: BTreeMap<TallyId, Entry<Tally>>,
    /// Erasures of which nothing can be proved, under the ids that their certificates would have had.
    pub uncertified: BTreeMap<CertificateId, Entry<Uncertified>>,
    /// The terms of the log, once they are published.
    pub log: Option<Entry<LogTerms>>,
    /// The verifier that is served, once its hashes are published.
    pub vault: Option<Entry<VaultTerms>>,
    pub verifier: Option<Entry<VerifierRelease>>,
    /// Which mandate a revision hash belongs to, the number of the revision and its leaf number, for every revision ever.
    revisions: BTreeMap<Digest, (MandateId, u64, u64)>,
    /// Breaches that can still do harm.
    pub(crate) harmful: BTreeSet<BreachId>,
    /// Orders that withhold something, by what they are about, in the order in which they were given.
    pub(crate) bound: BTreeMap<String, Vec<OrderId>>,
    /// Orders to delete what is lent and deposited under a mandate, by the mandate, in the order in which they were given.
    pub(crate) deletions: BTreeMap<String, Vec<OrderId>>,
    /// Which order to delete was carried out by which certificate.
    pub(crate) carried_out: BTreeMap<OrderId, CertificateId>,
    /// The agreements that name a mandate in their present revision, by the mandate.
    pub(crate) agreed: BTreeMap<String, BTreeSet<AgreementId>>,
    /// The checks of each contract, in the order in which they were published.
    pub(crate) looked_at: BTreeMap<ContractId, Vec<CheckId>>,
    /// Which order was ended by which lift.
    pub(crate) lifts: BTreeMap<OrderId, OrderId>,
    /// The orders that name the officer of an event, by the commitment of the event, in the order in which they were given.
    pub disclosures: BTreeMap<Digest, Vec<OrderId>>,
    /// When what an order commands has to be done where the order does not say it, by the law of its day.
    pub(crate) remedies: BTreeMap<OrderId, Time>,
    /// Which order was answered by which payment.
    pub(crate) paid: BTreeMap<OrderId, PaymentId>,
    /// The recount that an order asked for, for each that was published.
    pub(crate) recounted: BTreeMap<OrderId, AuditId>,
    /// The orders that release what the brake has stopped, by the marks that they name, in the order in which they were given.
    pub(crate) releases: BTreeMap<Digest, Vec<OrderId>>,
    /// The last stoppage of each mark.
    pub(crate) stopped: BTreeMap<Digest, StoppageId>,
    /// The last day that was counted, by mandate.
    tallied: BTreeMap<MandateId, Day>,
    /// The last month whose cases were counted, by body.
    cases_tallied: BTreeMap<AgencyId, Month>,
    /// The terms of the vault, all that ever were, each with its leaf: a certificate is judged by those of its time.
    vault_terms: Vec<(u64, VaultTerms)>,
    /// Certificates in the order of the log, each with the latest date of a root that it or an earlier one names.
    certified: Vec<(u64, CertificateId, Time)>,
    /// Purges in the order of the log.
    purged: Vec<Purge>,
    /// The highest epoch that a certificate names as the one after.
    certified_epoch: i64,
    /// Commitments of destroyed keys, each with the first epoch in which it was shown to be gone.
    gone: BTreeMap<Digest, i64>,
    /// Which key a commitment belongs to.
    published: BTreeMap<Digest, KeyId>,
    operator: Option<AgencyId>,
    first_at: Option<Time>,
    last_at: Time,
    /// Leaf of the last statement.
    last_index: Option<u64>,
}

/// A statement whose content was read and found lawful against the register.
pub(crate) enum Content {
    Agency(AgencyId, Agency),
    Agreement(AgreementId, Box<Agreement>),
    Assessment(AssessmentId, Box<Assessment>),
    Block(BlockId, DataBlock),
    Audit(AuditId, Audit),
    BodyAudit(BodyAuditId, Box<BodyAudit>),
    Breach(BreachId, Box<Breach>),
    Camera(CameraId, Box<Camera>),
    CaseTally(CaseTallyId, CaseTally),
    Certificate(CertificateId, Certificate),
    Check(CheckId, ContractCheck),
    Contract(ContractId, Contract),
    Incident(IncidentId, Incident),
    Key(KeyId, PublishedKey),
    Lawpack(LawpackId, Lawpack),
    Log(LogTerms),
    Mandate(MandateId, Box<Mandate>),
    Meeting(MeetingId, Box<Meeting>),
    Notice(Notice),
    Order(OrderId, Box<Order>),
    Payment(PaymentId, Payment),
    Purge(PurgeId, Purge),
    Rotation(RotationId, Rotation),
    Ruling(RulingId, Ruling),
    Service(ServiceId, Service),
    Status(StatusChange),
    Stoppage(StoppageId, Stoppage),
    Tally(TallyId, Tally),
    Uncertified(CertificateId, Uncertified),
    Vault(VaultTerms),
    Verifier(VerifierRelease),
}

impl Register {
    /// Whether `statement` may be the next one, with every reason why not.
    pub fn check(&self, statement: &Statement) -> Result<(), Vec<Problem>> {
        validate::statement(self, statement, validate::hash(statement)?, &[]).map(drop)
    }

    /// Applies the statement in leaf `index`, or says why it is unlawful and changes nothing.
    pub fn apply(&mut self, statement: &Statement, index: u64) -> Result<(), Vec<Problem>> {
        self.apply_parts(statement, validate::hash(statement)?, &[], index)
    }

    /// The same for a statement whose signatures were tried before. Those that were tried under keys replaced since are tried again.
    pub fn apply_tried(&mut self, tried: &Tried, index: u64) -> Result<(), Vec<Problem>> {
        let (statement, hash, valid) = tried.parts();
        self.apply_parts(statement, hash, valid, index)
    }

    fn apply_parts(
        &mut self,
        statement: &Statement,
        hash: Digest,
        valid: &[Option<Arc<SigningKey>>],
        index: u64,
    ) -> Result<(), Vec<Problem>> {
        let content = validate::statement(self, statement, hash, valid)?;
        let make = Make { statement, hash, index };
        match content {
            Content::Agency(id, body) => {
                if body.kind == AgencyKind::Operator && self.operator.is_none() {
                    self.operator = Some(id.clone());
                }
                put(&mut self.agencies, id, body, &make, State::Active);
            }
            Content::Block(id, body) => put(&mut self.blocks, id, body, &make, State::Active),
            Content::Assessment(id, body) => put(&mut self.assessments, id, *body, &make, State::Published),
            Content::Audit(id, body) => {
                if let Some(recount) = &body.recount {
                    self.recounted.insert(recount.order.clone(), id.clone());
                }
                put(&mut self.audits, id, body, &make, State::Published);
            }
            Content::BodyAudit(id, body) => put(&mut self.body_audits, id, *body, &make, State::Published),
            Content::Breach(id, body) => {
                if body.state.does_harm() {
                    self.harmful.insert(id.clone());
                } else {
                    self.harmful.remove(&id);
                }
                put(&mut self.breaches, id, *body, &make, State::Published);
            }
            Content::Camera(id, body) => {
                // That somebody looked at it changes nothing that was permitted.
                let same = self.cameras.get(&id).filter(|old| body.is_permitted_as(&old.body));
                let state = same.map_or(State::Proposed, |old| old.state);
                put(&mut self.cameras, id, *body, &make, state);
            }
            Content::CaseTally(id, body) => {
                self.cases_tallied.insert(body.agency.clone(), body.month);
                put(&mut self.case_tallies, id, body, &make, State::Published);
            }
            Content::Certificate(id, body) => {
                self.certified_epoch = self.certified_epoch.max(body.epoch_after);
                for commitment in &body.key_commitments {
                    self.gone.entry(*commitment).or_insert(body.epoch_after);
                }
                if !self.certificates.contains_key(&id) {
                    if let Some(order) = &body.order {
                        self.carried_out.insert(order.clone(), id.clone());
                    }
                    let before = self.certified.last().map_or(body.erased_root_at, |(_, _, root_at)| *root_at);
                    self.certified.push((index, id.clone(), before.max(body.erased_root_at)));
                }
                put(&mut self.certificates, id, body, &make, State::Published);
            }
            Content::Agreement(id, body) => {
                // What was found when it was looked at changes nothing that was agreed.
                let same = self.agreements.get(&id).filter(|old| old.body.agrees_as(&body));
                let state = same.map_or(State::Draft, |old| old.state);
                self.index_agreement(&id, &body);
                put(&mut self.agreements, id, *body, &make, state);
            }
            Content::Check(id, body) => {
                self.looked_at.entry(body.contract.clone()).or_default().push(id.clone());
                put(&mut self.checks, id, body, &make, State::Published);
            }
            Content::Contract(id, body) => {
                let state = self.contract_state(&id, &body, statement.at);
                put(&mut self.contracts, id, body, &make, state);
            }
            Content::Incident(id, body) => put(&mut self.incidents, id, body, &make, State::Published),
            Content::Key(id, body) => {
                self.published.insert(body.commitment, id.clone());
                put(&mut self.keys, id, body, &make, State::Published);
            }
            Content::Lawpack(id, body) => put(&mut self.lawpacks, id, body, &make, State::Published),
            Content::Log(body) => put_sole(&mut self.log, body, &make),
            Content::Mandate(id, body) => {
                self.amend(&id, &body, statement, index);
                self.revisions.insert(hash, (id.clone(), statement.rev, index));
                put(&mut self.mandates, id, *body, &make, State::Draft);
            }
            Content::Meeting(id, body) => put(&mut self.meetings, id, *body, &make, State::Published),
            Content::Order(id, body) => self.take_order(id, *body, &make),
            Content::Notice(body) => put(&mut self.notices, body.mandate_hash, body, &make, State::Published),
            Content::Payment(id, body) => {
                self.paid.insert(body.order.clone(), id.clone());
                put(&mut self.payments, id, body, &make, State::Published);
            }
            Content::Purge(id, body) => {
                self.purged.push(body.clone());
                put(&mut self.purges, id, body, &make, State::Published);
            }
            Content::Rotation(id, body) => put(&mut self.rotations, id, body, &make, State::Published),
            Content::Ruling(id, body) => put(&mut self.rulings, id, body, &make, State::Published),
            Content::Service(id, body) => {
                // A service stays in its state across revisions: its statement needs the same two people as its activation.
                let state = self.services.get(&id).map_or(State::Draft, |entry| entry.state);
                put(&mut self.services, id, body, &make, state);
            }
            Content::Status(change) => self.step(&change, statement.at, index),
            Content::Stoppage(id, body) => {
                self.stopped.insert(body.mark, id.clone());
                put(&mut self.stoppages, id, body, &make, State::Published);
            }
            Content::Tally(id, body) => {
                self.tallied.insert(body.mandate.clone(), body.day);
                put(&mut self.tallies, id, body, &make, State::Published);
            }
            Content::Uncertified(id, body) => {
                for commitment in &body.key_commitments {
                    self.gone.entry(*commitment).or_insert(self.certified_epoch);
                }
                put(&mut self.uncertified, id, body, &make, State::Published);
            }
            Content::Vault(body) => {
                self.vault_terms.push((index, body.clone()));
                put_sole(&mut self.vault, body, &make);
            }
            Content::Verifier(body) => put_sole(&mut self.verifier, body, &make),
        }
        self.first_at.get_or_insert(statement.at);
        self.last_at = statement.at;
        self.last_index = Some(index);
        Ok(())
    }

    fn amend(&mut self, id: &MandateId, body: &Mandate, statement: &Statement, index: u64) {
        let Some(old) = self.mandates.get(id) else { return };
        let law = self.law(&body.controller, statement.at);
        let open = (self.open_since(old), statement.at);
        let amendment = Amendment::of(&old.body, body, law, statement.rev, self.amendments.get(id), open);
        if amendment.asks_again {
            self.widened.insert(id.to_string(), index);
        }
        self.amendments.insert(id.clone(), amendment);
    }

    fn index_agreement(&mut self, id: &AgreementId, body: &Agreement) {
        for mandate in self.agreements.get(id).into_iter().flat_map(|old| &old.body.mandates) {
            if let Some(agreed) = self.agreed.get_mut(mandate.as_str()) {
                agreed.remove(id);
            }
        }
        for mandate in &body.mandates {
            self.agreed.entry(mandate.to_string()).or_default().insert(id.clone());
        }
    }

    fn take_order(&mut self, id: OrderId, body: Order, make: &Make<'_>) {
        if let Some(lifted) = &body.lifts {
            self.lifts.insert(lifted.clone(), id.clone());
        }
        if matches!(body.kind, OrderKind::Restrict | OrderKind::Suspend) && !self.orders.contains_key(&id) {
            self.bound.entry(body.target.as_str().to_owned()).or_default().push(id.clone());
        }
        if !self.orders.contains_key(&id) {
            if let Some(mandate) = body.deletes_under() {
                self.deletions.entry(mandate.to_string()).or_default().push(id.clone());
            }
            for mark in &body.strata {
                self.releases.entry(*mark).or_default().push(id.clone());
            }
            for event in &body.events {
                self.disclosures.entry(*event).or_default().push(id.clone());
            }
            if body.kind == OrderKind::Compensate && body.comply_by.is_none() {
                let binds_from = body.effective_at.unwrap_or(make.statement.at);
                let owner = self.target_owner(&body.target).unwrap_or_else(|| body.body.clone());
                let within = self.law(&owner, make.statement.at).within(Duty::Remedy);
                self.remedies.insert(id.clone(), binds_from.plus(within));
            }
        }
        put(&mut self.orders, id, body, make, State::Published);
    }

    fn step(&mut self, change: &StatusChange, at: Time, index: u64) {
        let (reason, grounds) = (change.reason.clone(), change.grounds.clone());
        let step = Step { to: change.to, at, index, reason, grounds };
        if let Some(entry) = change.object.parse().ok().and_then(|id: MandateId| self.mandates.get_mut(&id)) {
            entry.take(step);
        } else if let Some(entry) = change.object.parse().ok().and_then(|id: ContractId| self.contracts.get_mut(&id)) {
            entry.take(step);
        } else if let Some(entry) = change.object.parse().ok().and_then(|id: ServiceId| self.services.get_mut(&id)) {
            entry.take(step);
        } else if let Some(entry) = change.object.parse().ok().and_then(|id: AgreementId| self.agreements.get_mut(&id)) {
            entry.take(step);
        } else if let Some(entry) = change.object.parse().ok().and_then(|id: CameraId| self.cameras.get_mut(&id)) {
            entry.take(step);
        }
    }

    /// Rebuilds the register from statements with their leaf numbers.
    pub fn replay<'a>(statements: impl IntoIterator<Item = (u64, &'a Statement)>) -> Result<Self, (u64, Vec<Problem>)> {
        let mut register = Self::default();
        for (index, statement) in statements {
            register.apply(statement, index).map_err(|problems| (index, problems))?;
        }
        Ok(register)
    }

    /// The operator: the agency of the first statement.
    pub fn operator(&self) -> Option<&Entry<Agency>> {
        self.agencies.get(self.operator.as_ref()?)
    }

    /// Time of the first statement.
    pub fn first_at(&self) -> Option<Time> {
        self.first_at
    }

    /// From when on every use is in the log, the pass's own and those of the systems that bodies name: the first statement, or the last day of
    /// which a body says that one of its systems logs everything from then on.
    pub fn log_complete_since(&self) -> Option<Time> {
        let systems = self.agencies.values().flat_map(|agency| &agency.body.source_systems);
        self.first_at.into_iter().chain(systems.map(|system| system.log_complete_since)).max().filter(|_| self.first_at.is_some())
    }

    /// Time of the last statement.
    pub fn last_at(&self) -> Time {
        self.last_at
    }

    /// The moment before which keys that go for this cause cannot have gone: when the last of them was published, and what they are of
    /// had ended. Of residents' keys the log knows nothing before, and so no more than its own first statement.
    pub fn earliest_end(&self, cause: Cause, mandate: Option<&MandateId>, sector: Option<&str>, keys: &[Digest]) -> Time {
        let published = keys.iter().filter_map(|commitment| self.key(commitment)).map(|key| key.since);
        let ended = self.ends(cause, mandate, sector).into_iter().map(|step| step.at);
        published.chain(ended).chain(self.first_at).max().unwrap_or_default()
    }

    /// The ends for which keys go: that of the mandate, where the cause is one, or those of the services of a pseudonym domain.
    pub fn ends(&self, cause: Cause, mandate: Option<&MandateId>, sector: Option<&str>) -> Vec<&Step> {
        let is_end = |state| matches!(state, State::Sunset | State::Revoked);
        let has_ended = matches!(cause, Cause::Sunset | Cause::Revocation);
        let mandate = mandate.filter(|_| has_ended).and_then(|id| self.mandates.get(id));
        let closed = self.services.values().filter(|service| sector == Some(service.body.sector.as_str()));
        let closed = closed.filter_map(|service| service.history.iter().find(|step| step.to.is_over()));
        let ended = mandate.and_then(|entry| entry.history.iter().find(|step| is_end(step.to)));
        closed.chain(ended).collect()
    }

    /// The highest epoch of the key tree that a certificate names: the tree was there when it was published. 0 without one.
    pub fn certified_epoch(&self) -> i64 {
        self.certified_epoch
    }

    /// When no ciphertext was left of what a certificate is about: by its own word, or by that of the first purge that is about it.
    pub fn purged_at(&self, certificate: &Entry<Certificate>) -> Option<Time> {
        let first = self.purged.partition_point(|purge| purge.through < certificate.number);
        certificate.body.ciphertext_purged_at.or_else(|| self.purged.get(first).map(|purge| purge.purged_at))
    }

    /// The last purge that was said.
    pub fn last_purge(&self) -> Option<&Purge> {
        self.purged.last()
    }

    /// The certificates after the last purge, in the order of the log, each with the leaf number of its first revision.
    pub fn unpurged(&self) -> impl Iterator<Item = (u64, &CertificateId)> {
        let first = self.last_purge().map_or(0, |last| self.certified.partition_point(|(number, ..)| *number <= last.through));
        self.certified[first..].iter().map(|(number, id, _)| (*number, id))
    }

    /// The latest date of a root that any certificate names up to the one whose first revision is in leaf `number`. `None` where none is.
    pub(crate) fn latest_root(&self, number: u64) -> Option<Time> {
        let at = self.certified.binary_search_by_key(&number, |(number, ..)| *number).ok()?;
        Some(self.certified[at].2)
    }

    /// The terms of the vault by which the statement in leaf `index` was judged, and their own leaf.
    pub fn vault_terms_at(&self, index: u64) -> Option<(u64, &VaultTerms)> {
        let later = self.vault_terms.partition_point(|(leaf, _)| *leaf < index);
        self.vault_terms[..later].last().map(|(leaf, terms)| (*leaf, terms))
    }

    /// The first epoch in which a certificate shows that the key of this commitment is gone.
    pub fn gone_since(&self, commitment: &Digest) -> Option<i64> {
        self.gone.get(commitment).copied()
    }

    /// The key that was published under this commitment.
    pub fn key(&self, commitment: &Digest) -> Option<&Entry<PublishedKey>> {
        self.keys.get(self.published.get(commitment)?)
    }

    /// The published keys of a mandate or a pseudonym domain, those of its months among them, that no certificate shows to be gone and
    /// that were not lost with the root, in the order in which they were published.
    pub fn living_keys(&self, of: &KeyOf) -> Vec<&Entry<PublishedKey>> {
        let lost_before = self.vault.as_ref().and_then(|entry| entry.body.lost_before).unwrap_or(0);
        let lives = |body: &PublishedKey| !self.gone.contains_key(&body.commitment) && body.epoch >= lost_before;
        let mut keys: Vec<_> = self.keys.values().filter(|entry| entry.body.of == *of && lives(&entry.body)).collect();
        keys.sort_by_key(|entry| entry.index);
        keys
    }

    /// The law that holds for `agency` at `at`. A body that is not in the register is under the generic one.
    pub fn law(&self, agency: &AgencyId, at: Time) -> Law<'_> {
        let jurisdiction = self.agencies.get(agency).map_or("", |entry| entry.body.jurisdiction.as_str());
        Law::of(self.lawpacks.values().map(|entry| &entry.body), jurisdiction, at)
    }

    /// The law that the house itself is under: that of its operator.
    pub fn house_law(&self, at: Time) -> Law<'_> {
        let jurisdiction = self.operator().map_or("", |operator| operator.body.jurisdiction.as_str());
        Law::of(self.lawpacks.values().map(|entry| &entry.body), jurisdiction, at)
    }

    /// The mandate a revision hash belongs to, and the number of the revision.
    pub fn revision(&self, hash: &Digest) -> Option<(&Entry<Mandate>, u64)> {
        let (id, rev, _) = self.revisions.get(hash)?;
        Some((self.mandates.get(id)?, *rev))
    }

    /// The leaf of a mandate revision, where all of what it said can be read again.
    pub fn revision_leaf(&self, hash: &Digest) -> Option<u64> {
        self.revisions.get(hash).map(|(_, _, index)| *index)
    }

    /// Whether a consent to the revision `agreed` holds for the present one of a mandate: it is that one, or no revision since asks again.
    pub fn still_holds(&self, agreed: &Digest, mandate: &Entry<Mandate>) -> bool {
        if *agreed == mandate.hash {
            return true;
        }
        let Some((id, rev, _)) = self.revisions.get(agreed).filter(|(id, ..)| id.as_str() == mandate.id) else { return false };
        self.amendments.get(id).is_some_and(|amendment| *rev >= amendment.holds_since)
    }

    /// Since when the log has said in substance what the present revision of a mandate says: people can comment on it from then on.
    pub fn open_since(&self, mandate: &Entry<Mandate>) -> Time {
        let amended = mandate.id.parse().ok().and_then(|id: MandateId| self.amendments.get(&id));
        let drafted = mandate.history.first().map_or(mandate.since, |step| step.at);
        amended.map_or(drafted, |amendment| amendment.open_since)
    }

    /// Until when people can comment on a mandate before it is approved, if it says now what `body` says. `None` where the law asks for no
    /// time, or it is over.
    pub fn open_until(&self, id: &MandateId, body: &Mandate, now: Time) -> Option<Time> {
        let asked = self.law(&body.controller, now).deadline_if_any(Duty::CommentPublic);
        let within = asked.filter(|_| body.kind != MandateKind::Emergency)?.within();
        let same = self.mandates.get(id).filter(|old| changes(&old.body, body).is_empty());
        Some(same.map_or(now, |old| self.open_since(old)).plus(within)).filter(|until| now < *until)
    }

    /// Whether there is an assessment, an agreement, an audit of the vault or of a body, a check, a contract, a mandate or a meeting of this id:
    /// what can be named as evidence.
    pub fn has(&self, id: &str) -> bool {
        fn is_in<K: Ord + std::str::FromStr, T>(map: &BTreeMap<K, Entry<T>>, id: &str) -> bool {
            id.parse().is_ok_and(|id: K| map.contains_key(&id))
        }
        is_in(&self.assessments, id)
            || is_in(&self.agreements, id)
            || is_in(&self.audits, id)
            || is_in(&self.body_audits, id)
            || is_in(&self.checks, id)
            || is_in(&self.contracts, id)
            || is_in(&self.mandates, id)
            || is_in(&self.meetings, id)
    }

    /// The notice for the present revision of a mandate.
    pub fn notice(&self, mandate: &Entry<Mandate>) -> Option<&Entry<Notice>> {
        self.notices.get(&mandate.hash)
    }

    /// The number of a pseudonym sector: that of the first service in it.
    pub fn sector(&self, service: &Entry<Service>) -> u64 {
        self.services_beside(&service.body).map(|other| other.number).min().unwrap_or(service.number)
    }

    /// The services of the sector that a service works in, itself among them.
    pub fn services_beside<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Entry<Service>> {
        self.services.values().filter(|other| other.body.sector == service.sector)
    }

    /// Leaf of the last statement.
    pub fn last_index(&self) -> Option<u64> {
        self.last_index
    }

    /// The last month of a body whose cases were counted.
    pub fn last_case_tally(&self, agency: &AgencyId) -> Option<Month> {
        self.cases_tallied.get(agency).copied()
    }

    /// The bodies whose cases were counted, each with its last month.
    pub fn case_months(&self) -> impl Iterator<Item = (&AgencyId, Month)> {
        self.cases_tallied.iter().map(|(agency, month)| (agency, *month))
    }

    /// The last day of a mandate that was counted.
    pub fn last_tally(&self, mandate: &MandateId) -> Option<Day> {
        self.tallied.get(mandate).copied()
    }

    /// The incident of a source under a mandate that is not over.
    pub fn open_incident(&self, source: &Source, mandate: &MandateId) -> Option<&Entry<Incident>> {
        self.incidents
            .values()
            .find(|entry| entry.body.ended_at.is_none() && entry.body.source == *source && entry.body.mandate == *mandate)
    }

    /// The certificate about the end of a mandate; those of its months and of keys that were replaced are others.
    pub fn certificate(&self, mandate: &MandateId) -> Option<&Entry<Certificate>> {
        let ends = |body: &Certificate| body.mandate.as_deref() == Some(mandate.as_str()) && !body.cause.is_survived();
        self.certificates.values().find(|entry| ends(&entry.body))
    }
}
