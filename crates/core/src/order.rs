//! Order: what an oversight body commands about something it oversees. Suspensions and restrictions bind the machine by themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::certificate::Certificate;
use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::draw::Draw;
use crate::id::{AgencyId, AgreementId, BlockId, ContractId, MandateId, OrderId, ServiceId};
use crate::lifecycle::State;
use crate::payment::Payment;
use crate::register::{Entry, Register};
use crate::{Digest, Text, Time};

/// One revision of an order (governance 3.1). The command is said once; its revisions add what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The oversight body that gives it.
    pub body: AgencyId,
    pub kind: OrderKind,
    /// What it is about.
    pub target: Target,
    pub reasons: Text,
    /// From when it binds; without one, from its statement.
    pub effective_at: Option<Time>,
    /// Until when it must be done; of suspensions, restrictions and lifts there is none to wait for, and of compensations it may be left to
    /// the law ([`Register::due_at`]).
    pub comply_by: Option<Time>,
    /// The blocks that may still be used, of a restriction.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// Commitments of events whose actor is to be named, of a disclosure. They are noise to everybody but those concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Digest>,
    /// Marks of what the burst brake has stopped and may go on, of a release.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<Digest>,
    /// From which days chance chooses those that are recounted, of the audit of a mandate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<Draw>,
    /// The order that this one ends, of a lift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifts: Option<OrderId>,
    /// What shows that it was done. Added by a later revision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Document>,
    /// What shows that it was done by compulsion after its day had passed. Added by a later revision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compulsion: Vec<Document>,
    /// Where an appeal against it is pending. An appeal ends nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appeal_ref: Option<String>,
}

/// What is commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    Audit,
    Compensate,
    Correct,
    Delete,
    DiscloseActor,
    /// Ends an order.
    Lift,
    Notify,
    Publish,
    /// Lets go on what the burst brake has stopped.
    Release,
    /// Only certain blocks may still be used.
    Restrict,
    /// No use at all: keys are withheld.
    Suspend,
}

/// What an order is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Of releases only: a body whose clerks the burst brake has stopped.
    Agency(AgencyId),
    Agreement(AgreementId),
    Contract(ContractId),
    Mandate(MandateId),
    Service(ServiceId),
}

/// Where an order stands at a moment. Nobody sets it: it follows from statements and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It does not bind yet.
    Issued,
    InForce,
    /// It is in force, and an appeal against it is pending.
    Appealed,
    /// Its day has passed and nothing shows that it was done.
    Overdue,
    Complied,
    /// It was done without those whom it binds: by the machine, or by compulsion after its day had passed.
    Enforced,
    Lifted,
}

impl OrderKind {
    pub const WORDS: [(&'static str, Self); 11] = [
        ("audit", Self::Audit),
        ("compensate", Self::Compensate),
        ("correct", Self::Correct),
        ("delete", Self::Delete),
        ("disclose_actor", Self::DiscloseActor),
        ("lift", Self::Lift),
        ("notify", Self::Notify),
        ("publish", Self::Publish),
        ("release", Self::Release),
        ("restrict", Self::Restrict),
        ("suspend", Self::Suspend),
    ];

    /// The word for this kind.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// Whether the machine executes it by itself, so that there is nobody to wait for.
    pub fn is_executed(self) -> bool {
        matches!(self, Self::Lift | Self::Release | Self::Restrict | Self::Suspend)
    }
}

impl Standing {
    /// The word for it, as in addresses and tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::InForce => "in_force",
            Self::Appealed => "appealed",
            Self::Overdue => "overdue",
            Self::Complied => "complied",
            Self::Enforced => "enforced",
            Self::Lifted => "lifted",
        }
    }
}

impl Target {
    /// The id of the object.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Agency(id) => id.as_str(),
            Self::Agreement(id) => id.as_str(),
            Self::Contract(id) => id.as_str(),
            Self::Mandate(id) => id.as_str(),
            Self::Service(id) => id.as_str(),
        }
    }

    /// Whether it stands in the register.
    pub fn exists(&self, register: &Register) -> bool {
        match self {
            Self::Agency(id) => register.agencies.contains_key(id),
            Self::Agreement(id) => register.agreements.contains_key(id),
            Self::Contract(id) => register.contracts.contains_key(id),
            Self::Mandate(id) => register.mandates.contains_key(id),
            Self::Service(id) => register.services.contains_key(id),
        }
    }

    /// Whether `body` oversees it: a mandate that names it, or what works under one.
    pub fn is_overseen(&self, register: &Register, body: &AgencyId) -> bool {
        let by = |id: &MandateId| register.mandates.get(id).is_some_and(|entry| entry.body.oversight_body == *body);
        match self {
            // The operator works for every mandate.
            Self::Agency(id) => register.mandates.values().any(|entry| {
                entry.body.oversight_body == *body
                    && (entry.body.controller == *id || register.operator().is_some_and(|operator| operator.id == id.as_str()))
            }),
            Self::Agreement(id) => register.agreements.get(id).is_some_and(|entry| entry.body.oversight_body == *body),
            Self::Contract(id) => register.contracts.get(id).is_some_and(|entry| entry.body.mandates.iter().any(by)),
            Self::Mandate(id) => by(id),
            Self::Service(id) => register.services.get(id).is_some_and(|entry| entry.body.mandates.iter().any(by)),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mandate = text.parse().ok().map(Self::Mandate);
        let agreement = || text.parse().ok().map(Self::Agreement);
        let contract = || text.parse().ok().map(Self::Contract);
        let service = || text.parse().ok().map(Self::Service);
        let agency = || text.parse().ok().map(Self::Agency);
        let found = mandate.or_else(contract).or_else(service).or_else(agreement).or_else(agency);
        found.ok_or_else(|| "Name a mandate, a contract, an agreement or a service.".to_owned())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Order {
    /// Reads an order, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let order = Self::fields(&mut draft);
        if let Some(order) = &order {
            order.check(&mut draft);
        }
        let problems = draft.finish();
        match order {
            Some(order) if problems.is_empty() => Ok(order),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let body = draft.parse("body", "Name the oversight body that gives the order.");
        let kind = draft.word("kind", &OrderKind::WORDS, "Say what is ordered.");
        let target = draft.parse("target", "Name the mandate, contract, agreement or service it is about.");
        let reasons = draft.text("reasons", 2_000, "Give the reasons in both languages.");
        let effective_at = draft.optional_parse("effective_at", "Say from when it binds, or leave it out: it binds at once.");
        let comply_by = match kind {
            // Compensation is due within what the law gives for a remedy, where the order does not say it.
            Some(kind) if !kind.is_executed() && kind != OrderKind::Compensate => {
                draft.time("comply_by", "Say until when it must be done.")
            }
            _ => draft.optional_parse("comply_by", "Say until when it must be done, or leave it out."),
        };
        let blocks = match kind {
            Some(OrderKind::Restrict) => draft.parses("blocks", "List the blocks that may still be used."),
            _ => draft.optional_parses("blocks", "List the blocks that may still be used."),
        };
        let events = match kind {
            Some(OrderKind::DiscloseActor) => {
                draft.parses("events", "List the commitments of the events whose actor is to be named.")
            }
            _ => draft.optional_parses("events", "List the commitments of the events whose actor is to be named."),
        };
        let strata = match kind {
            Some(OrderKind::Release) => draft.parses("strata", "List the marks of what may go on."),
            _ => draft.optional_parses("strata", "List the marks of what may go on."),
        };
        let lifts = match kind {
            Some(OrderKind::Lift) => draft.parse("lifts", "Name the order that ends, as `ord_2026-4`."),
            _ => draft.optional_parse("lifts", "Name the order that ends, as `ord_2026-4`."),
        };
        let draw = draft.optional_object("draw", Draw::read);
        let evidence = draft.optional_objects("evidence", document);
        let compulsion = draft.optional_objects("compulsion", document);
        let appeal_ref = draft.optional_string("appeal_ref", 120);
        Some(Self {
            body: body?,
            kind: kind?,
            target: target?,
            reasons: reasons?,
            effective_at,
            comply_by,
            blocks,
            events,
            strata,
            draw,
            lifts,
            evidence,
            compulsion,
            appeal_ref,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        let belongs = [
            ("comply_by", self.comply_by.is_some() && self.kind.is_executed(), "an order that people carry out"),
            ("compulsion", !self.compulsion.is_empty() && self.kind.is_executed(), "an order that people carry out"),
            ("blocks", !self.blocks.is_empty() && self.kind != OrderKind::Restrict, "a restriction"),
            ("events", !self.events.is_empty() && self.kind != OrderKind::DiscloseActor, "the disclosure of an actor"),
            ("strata", !self.strata.is_empty() && self.kind != OrderKind::Release, "a release"),
            ("target", matches!(self.target, Target::Agency(_)) && self.kind != OrderKind::Release, "a release of clerks"),
            ("draw", self.draw.is_some() && !self.is_audit_of_mandate(), "the audit of a mandate"),
            ("lifts", self.lifts.is_some() && self.kind != OrderKind::Lift, "a lift"),
        ];
        for (field, is_stray, what) in belongs {
            if is_stray {
                draft.note(field, "other-kind", format!("This field belongs to {what}. Take it out, or change the kind."));
            }
        }
        if self.effective_at.zip(self.comply_by).is_some_and(|(from, by)| by < from) {
            draft.note("comply_by", "before-start", "The order is due before it binds. Correct one of the days.".into());
        }
        let mut blocks: Vec<_> = self.blocks.iter().collect();
        blocks.sort_unstable();
        if blocks.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("blocks", "duplicate", "A block stands in the list twice. Take one out.".into());
        }
    }

    fn is_audit_of_mandate(&self) -> bool {
        matches!((&self.target, self.kind), (Target::Mandate(_), OrderKind::Audit))
    }

    /// The mandate under which the machine deletes what is lent and deposited, of an order that says so.
    pub fn deletes_under(&self) -> Option<&MandateId> {
        match (&self.target, self.kind) {
            (Target::Mandate(id), OrderKind::Delete) => Some(id),
            _ => None,
        }
    }

    /// Whether `other` commands the same: only what was done about it may differ.
    pub fn commands_as(&self, other: &Self) -> bool {
        let command = |order: &Self| Self { evidence: Vec::new(), compulsion: Vec::new(), appeal_ref: None, ..order.clone() };
        command(self) == command(other)
    }
}

impl Entry<Order> {
    /// Leaf number of the statement that gave it.
    pub fn given_in(&self) -> u64 {
        self.history.first().map_or(self.index, |step| step.index)
    }

    /// From when it binds.
    pub fn effective_at(&self) -> Time {
        let given_at = self.history.first().map_or(self.since, |step| step.at);
        self.body.effective_at.unwrap_or(given_at)
    }
}

impl Register {
    /// When an order ends, if its body has said so.
    pub fn lifted_at(&self, order: &OrderId) -> Option<Time> {
        let lift = self.lifts.get(order)?;
        self.orders.get(lift).map(Entry::effective_at)
    }

    /// Until when an order has to be carried out: as it says, or as the law of its day does.
    pub fn due_at(&self, id: &OrderId, order: &Entry<Order>) -> Option<Time> {
        order.body.comply_by.or_else(|| self.remedies.get(id).copied())
    }

    /// The payment that answers an order, if its body has said that it paid.
    pub fn payment(&self, order: &OrderId) -> Option<&Entry<Payment>> {
        self.payments.get(self.paid.get(order)?)
    }

    /// Where an order stands at `now`.
    pub fn standing(&self, id: &OrderId, order: &Entry<Order>, now: Time) -> Standing {
        if self.lifted_at(id).is_some_and(|at| at <= now) {
            Standing::Lifted
        } else if now < order.effective_at() {
            Standing::Issued
        } else if matches!(order.body.kind, OrderKind::Lift | OrderKind::Release)
            // Days that were drawn are recounted; no other word answers that.
            || !order.body.evidence.is_empty() && !order.body.kind.is_executed() && order.body.draw.is_none()
            || self.paid.contains_key(id)
            || self.recounted.contains_key(id)
        {
            Standing::Complied
        } else if self.carried_out.contains_key(id) || !order.body.compulsion.is_empty() || self.is_over(&order.body) {
            Standing::Enforced
        } else if self.due_at(id, order).is_some_and(|by| by <= now) {
            Standing::Overdue
        } else if order.body.appeal_ref.is_some() {
            Standing::Appealed
        } else {
            Standing::InForce
        }
    }

    /// Whether what was ordered to be deleted has gone with its mandate, which ended first.
    fn is_over(&self, order: &Order) -> bool {
        let mandate = order.deletes_under().and_then(|id| self.mandates.get(id));
        mandate.is_some_and(|mandate| mandate.state == State::Erased)
    }

    /// The certificate that an order to delete was carried out by the machine, if it was.
    pub fn carried_out(&self, order: &OrderId) -> Option<&Entry<Certificate>> {
        self.certificates.get(self.carried_out.get(order)?)
    }

    /// The orders that bind at `now` to delete what is lent and deposited under a mandate, in the order in which they were given.
    pub fn deletions<'a>(&'a self, mandate: &str, now: Time) -> impl Iterator<Item = (&'a OrderId, &'a Entry<Order>)> + use<'a> {
        let about = self.deletions.get(mandate).map_or(&[][..], Vec::as_slice);
        about.iter().filter_map(move |id| {
            let is_over = self.lifted_at(id).is_some_and(|at| at <= now);
            self.orders.get(id).filter(|order| order.effective_at() <= now && !is_over).map(|order| (id, order))
        })
    }

    /// Whether an order to delete was about what was lent under a mandate at `given_at`. It is refused from the order's first moment on, also
    /// while its keys are still being destroyed.
    pub fn is_deleted_by_order(&self, mandate: &str, given_at: Time, now: Time) -> bool {
        self.deletions(mandate, now).any(|(_, order)| given_at <= order.effective_at())
    }

    /// Whether an order to delete waits for the machine. Until it was carried out nothing new is lent under the mandate.
    pub fn awaits_deletion(&self, mandate: &str, now: Time) -> bool {
        self.deletions(mandate, now).any(|(id, _)| !self.carried_out.contains_key(id))
    }

    /// The orders about an object that bind the machine at `now`.
    pub fn binding<'a>(&'a self, target: &str, now: Time) -> impl Iterator<Item = &'a Entry<Order>> + use<'a> {
        let about = self.bound.get(target).map_or(&[][..], Vec::as_slice);
        about.iter().filter_map(move |id| {
            let order = self.orders.get(id)?;
            let is_over = self.lifted_at(id).is_some_and(|at| at <= now);
            (order.effective_at() <= now && !is_over).then_some(order)
        })
    }

    /// Whether standing orders about an object leave room for a use of these blocks at `now`.
    pub fn orders_permit<'a>(&self, target: &str, blocks: impl Iterator<Item = &'a BlockId> + Clone, now: Time) -> bool {
        self.binding(target, now)
            .all(|order| order.body.kind != OrderKind::Suspend && blocks.clone().all(|block| order.body.blocks.contains(block)))
    }

    /// The orders that suspend an object and are not lifted at once, each with the later day on which it binds and that on which it is lifted, where
    /// there is one.
    pub fn suspensions(&self, target: &str) -> impl Iterator<Item = (Option<Time>, Option<Time>)> {
        let about = self.bound.get(target).map_or(&[][..], Vec::as_slice);
        about.iter().filter_map(|id| {
            let order = self.orders.get(id).filter(|order| order.body.kind == OrderKind::Suspend)?;
            let until = match self.lifts.get(id).and_then(|lift| self.orders.get(lift)) {
                Some(lift) => Some(lift.body.effective_at?),
                None => None,
            };
            Some((order.body.effective_at, until))
        })
    }

    /// Whether an order that is not lifted at `now` suspends an object.
    pub fn is_suspended_by_order(&self, target: &str, now: Time) -> bool {
        self.binding(target, now).any(|order| order.body.kind == OrderKind::Suspend)
    }

    /// The body that has to carry out an order about `target`.
    pub fn target_owner(&self, target: &Target) -> Option<AgencyId> {
        match target {
            Target::Agency(id) => Some(id.clone()),
            Target::Agreement(id) => self.agreements.get(id)?.body.parties.first().cloned(),
            Target::Contract(id) => self.contracts.get(id).map(|entry| entry.body.controller.clone()),
            Target::Mandate(id) => self.mandates.get(id).map(|entry| entry.body.controller.clone()),
            Target::Service(id) => self.services.get(id).map(|entry| entry.body.agency.clone()),
        }
    }

    /// The orders whose day has passed at `now` and about which nothing shows that they were carried out.
    pub fn overdue_orders(&self, now: Time) -> impl Iterator<Item = &Entry<Order>> {
        self.overdue(now).map(|(_, order)| order)
    }

    pub(crate) fn overdue(&self, now: Time) -> impl Iterator<Item = (&OrderId, &Entry<Order>)> {
        self.orders.iter().filter(move |(id, order)| self.standing(id, order, now) == Standing::Overdue)
    }
}
