//! What the objects of the register are called, where each is shown, and which of them a list is about.

use i18n_embed_fl::fl;
use usufruct_core::id::{AgencyId, MandateId};
use usufruct_core::register::{Outline, Register};
use usufruct_core::statement::StatementKind;

use super::Link;
use crate::page::Page;

/// The lists of the register by the last part of their addresses, each with the kinds of objects that it tells about.
pub(super) static LISTS: [(&str, &[StatementKind]); 20] = [
    ("agencies", &[StatementKind::Agency]),
    ("agreements", &[StatementKind::Agreement]),
    ("assessments", &[StatementKind::Assessment]),
    ("audits", &[StatementKind::BodyAudit]),
    ("blocks", &[StatementKind::DataBlock]),
    ("breaches", &[StatementKind::Breach]),
    ("cameras", &[StatementKind::Camera]),
    ("cases", &[StatementKind::CaseTally]),
    ("certificates", &[StatementKind::Certificate, StatementKind::Uncertified]),
    ("contracts", &[StatementKind::Contract, StatementKind::Check]),
    ("counts", &[StatementKind::Incident, StatementKind::Stoppage]),
    ("keys", &[StatementKind::Key, StatementKind::Rotation]),
    ("laws", &[StatementKind::Lawpack]),
    ("log", &[StatementKind::Log, StatementKind::Verifier]),
    ("mandates", &[StatementKind::Mandate, StatementKind::Notice]),
    ("meetings", &[StatementKind::Meeting]),
    ("notices", &[StatementKind::Notice]),
    ("orders", &[StatementKind::Order, StatementKind::Payment]),
    ("rulings", &[StatementKind::Ruling]),
    ("services", &[StatementKind::Service]),
];

/// The object with this id, whatever it is.
pub(super) fn find<'a>(register: &'a Register, id: &str) -> Option<Outline<'a>> {
    let kind = StatementKind::of_id(id)?;
    // What nothing can be proved of has the id that its certificate would have had.
    register.outline(kind, id).or_else(|| register.outline(StatementKind::Uncertified, id))
}

impl Link {
    /// An object by its kind: its page, or that of its history where it has no page of its own.
    pub(super) fn object(register: &Register, page: &Page, kind: StatementKind, id: &str) -> Self {
        let named = match kind {
            StatementKind::Agency => agency(register, page, id),
            StatementKind::Agreement => id
                .parse()
                .ok()
                .and_then(|key| register.agreements.get(&key))
                .map(|entry| Self { to: format!("/register/agreements/{id}"), words: page.text(&entry.body.title).to_owned() }),
            StatementKind::Assessment => id.parse().ok().and_then(|key| register.assessments.get(&key)).map(|entry| Self {
                to: format!("/register/assessments#{id}"),
                words: mandate_title(register, page, &entry.body.mandate),
            }),
            StatementKind::BodyAudit => id
                .parse()
                .ok()
                .and_then(|key| register.body_audits.get(&key))
                .map(|entry| Self::body_audit(register, page, entry)),
            StatementKind::Breach => id
                .parse()
                .ok()
                .and_then(|key| register.breaches.get(&key))
                .map(|entry| Self { to: format!("/register/breaches/{id}"), words: page.text(&entry.body.title).to_owned() }),
            StatementKind::Camera => {
                id.parse().ok().and_then(|key| register.cameras.get(&key)).map(|entry| Self::camera(page, entry))
            }
            StatementKind::CaseTally => id.parse().ok().and_then(|key| register.case_tallies.get(&key)).map(|entry| Self {
                to: format!("/register/cases#{id}"),
                words: format!("{}, {}", Self::agency(register, page, &entry.body.agency).words, entry.body.month),
            }),
            StatementKind::Certificate => id.parse().ok().and_then(|key| register.certificates.get(&key)).map(|entry| {
                let about = entry.body.mandate.as_ref().and_then(|mandate| mandate.parse().ok());
                let about = about.map(|mandate| mandate_title(register, page, &mandate));
                let cause = page.cause(&entry.body.cause);
                let words = about.map_or_else(|| cause.clone(), |about| format!("{cause}: {about}"));
                Self { to: format!("/register/certificates/{id}"), words }
            }),
            StatementKind::Contract => id.parse().ok().and_then(|key| register.contracts.get(&key)).map(|entry| Self {
                to: format!("/register/contracts/{id}"),
                words: Self::agency(register, page, &entry.body.vendor).words,
            }),
            StatementKind::DataBlock => id
                .parse()
                .ok()
                .and_then(|key| register.blocks.get(&key))
                .map(|entry| Self { to: format!("/register/blocks/{id}"), words: page.text(&entry.body.name).to_owned() }),
            StatementKind::Lawpack => id
                .parse()
                .ok()
                .and_then(|key| register.lawpacks.get(&key))
                .map(|entry| Self { to: format!("/register/laws/{id}"), words: page.text(&entry.body.title).to_owned() }),
            StatementKind::Mandate => {
                id.parse().ok().and_then(|key| register.mandates.get(&key)).map(|entry| Self::mandate(page, entry))
            }
            StatementKind::Meeting => id
                .parse()
                .ok()
                .and_then(|key| register.meetings.get(&key))
                .map(|entry| Self { to: format!("/register/meetings/{id}"), words: page.text(&entry.body.title).to_owned() }),
            StatementKind::Notice => register.notices.values().find(|entry| entry.id == id).map(|entry| Self {
                to: format!("/register/mandates/{}/notice", entry.body.mandate),
                words: mandate_title(register, page, &entry.body.mandate),
            }),
            StatementKind::Order => id
                .parse()
                .ok()
                .and_then(|key| register.orders.get(&key))
                .map(|entry| Self { to: format!("/register/orders/{id}"), words: page.order_kind(&entry.body.kind) }),
            StatementKind::Ruling => id
                .parse()
                .ok()
                .and_then(|key| register.rulings.get(&key))
                .map(|entry| Self { to: format!("/register/rulings/{id}"), words: page.case_kind(&entry.body.kind) }),
            StatementKind::Service => {
                id.parse().ok().and_then(|key| register.services.get(&key)).map(|entry| Self::service(page, entry))
            }
            _ => None,
        };
        named.unwrap_or_else(|| Self { to: format!("/register/history/{id}"), words: id.to_owned() })
    }
}

fn agency(register: &Register, page: &Page, id: &str) -> Option<Link> {
    let id: AgencyId = id.parse().ok()?;
    register.agencies.contains_key(&id).then(|| Link::agency(register, page, &id))
}

fn mandate_title(register: &Register, page: &Page, id: &MandateId) -> String {
    register.mandates.get(id).map_or_else(|| id.to_string(), |entry| page.text(&entry.body.title).to_owned())
}

impl Page {
    /// What a statement of this kind is about.
    pub fn thing(&self, kind: &StatementKind) -> String {
        match kind {
            StatementKind::Agency => fl!(self.messages, "thing-agency"),
            StatementKind::Agreement => fl!(self.messages, "thing-agreement"),
            StatementKind::Assessment => fl!(self.messages, "thing-assessment"),
            StatementKind::Audit => fl!(self.messages, "thing-audit"),
            StatementKind::BodyAudit => fl!(self.messages, "thing-body-audit"),
            StatementKind::Breach => fl!(self.messages, "thing-breach"),
            StatementKind::Camera => fl!(self.messages, "thing-camera"),
            StatementKind::CaseTally => fl!(self.messages, "thing-case-tally"),
            StatementKind::Certificate => fl!(self.messages, "thing-certificate"),
            StatementKind::Check => fl!(self.messages, "thing-check"),
            StatementKind::Contract => fl!(self.messages, "thing-contract"),
            StatementKind::DataBlock => fl!(self.messages, "thing-block"),
            StatementKind::Incident => fl!(self.messages, "thing-incident"),
            StatementKind::Key => fl!(self.messages, "thing-key"),
            StatementKind::Lawpack => fl!(self.messages, "thing-lawpack"),
            StatementKind::Log => fl!(self.messages, "thing-log"),
            StatementKind::Mandate => fl!(self.messages, "thing-mandate"),
            StatementKind::Meeting => fl!(self.messages, "thing-meeting"),
            StatementKind::Notice => fl!(self.messages, "thing-notice"),
            StatementKind::Order => fl!(self.messages, "thing-order"),
            StatementKind::Payment => fl!(self.messages, "thing-payment"),
            StatementKind::Purge => fl!(self.messages, "thing-purge"),
            StatementKind::Rotation => fl!(self.messages, "thing-rotation"),
            StatementKind::Ruling => fl!(self.messages, "thing-ruling"),
            StatementKind::Service => fl!(self.messages, "thing-service"),
            StatementKind::StatusChange => fl!(self.messages, "thing-status-change"),
            StatementKind::Stoppage => fl!(self.messages, "thing-stoppage"),
            StatementKind::Tally => fl!(self.messages, "thing-tally"),
            StatementKind::Uncertified => fl!(self.messages, "thing-uncertified"),
            StatementKind::Vault => fl!(self.messages, "thing-vault"),
            StatementKind::Verifier => fl!(self.messages, "thing-verifier"),
        }
    }
}
