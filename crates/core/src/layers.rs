//! Layers: what a notice says, from pictures to the whole, made of the mandate revision it explains. Nothing in it is typed twice.
//!
//! The words that people wrote come with it in both languages; labels around them are the page's.

use serde::Serialize;

use crate::Text;
use crate::amendment::Amendment;
use crate::block::Sensitivity;
use crate::contract::Subprocessor;
use crate::event::Form;
use crate::id::{AgencyId, BlockId, ContractId, MandateId, ServiceId};
use crate::lawpack::{Law, Provision};
use crate::mandate::{
    AskedBlock, AutomatedDecision, Conversion, DataRange, Exception, LegalBasis, Mandate, MandateKind, Necessity, Recipient,
    Retention, Transfer,
};
use crate::notice::Notice;
use crate::register::{Entry, Register};
use crate::wording::{ReadingLevel, Wording};
use crate::{Digest, Time};

/// A notice in four layers: pictures, one line, two or three sentences, and everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layers {
    pub mandate: MandateId,
    pub revision: u64,
    /// The exact revision of the mandate that it explains.
    pub mandate_hash: Digest,
    pub notice_hash: Digest,
    /// [`Wording::hash`] of `text`.
    pub text_hash: Digest,
    /// How easily it reads.
    pub reading_level: ReadingLevel,
    /// Leaf number of the notice.
    pub notice_leaf: u64,
    pub title: Text,
    pub icons: Vec<Icon>,
    pub line: Text,
    pub short: Text,
    pub full: Full,
    /// How the present revision stands to the one before it, if there is one.
    pub amendment: Option<Amendment>,
    /// What the law of the controller asks a notice to say.
    pub law: Vec<LawItem>,
    /// Every word of it in every language.
    pub text: Wording,
}

/// A picture of the first layer. The first is of what leaves at most, the others are of what people should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Icon {
    /// A code stands for the person and nothing else leaves.
    Token,
    /// Yes or no is answered.
    Predicate,
    /// Data itself leaves.
    Value,
    /// Medical, genetic and other data that the law protects most.
    Special,
    Emergency,
    /// Residents see the lines only later.
    Delayed,
    /// A machine decides or helps to.
    Machine,
    /// Two services may learn that they know the same person.
    Joined,
    /// A vendor works on it.
    Vendor,
    /// It is used abroad.
    Abroad,
    /// It serves business.
    Business,
}

/// The last layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Full {
    pub controller: Party,
    pub purpose: Text,
    pub basis: LegalBasis,
    /// Why specially protected data may be used, or data for another purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<NamedException>,
    pub subjects: Text,
    pub categories: Vec<Category>,
    pub starts_at: Time,
    pub ends_at: Time,
    /// From which time data may be, where not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_range: Option<DataRange>,
    /// Countries where data is used.
    pub territory: Vec<String>,
    /// What protects data beyond the countries that the law allows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
    /// Those who receive data in their own name.
    pub recipients: Vec<NamedRecipient>,
    /// Services that may learn by which pseudonym another one knows her.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<NamedJoin>,
    /// Vendors, and theirs.
    pub processors: Vec<Processor>,
    pub manner: Text,
    pub automated_decision: AutomatedDecision,
    /// Where it is said how the machine works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_url: Option<String>,
    pub retention: Retention,
    /// For how many days a matter that concerns somebody else is closed to her at most, where it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_days: Option<i64>,
    pub rights: Text,
    pub effect_of_refusal: Text,
    pub overseer: Party,
    /// How long lines are kept from residents, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<NamedDelay>,
}

/// An exception of the law and the reason why it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedException {
    /// Its article, or its code where the law does not list it.
    pub article: String,
    /// What the law says, where it lists it.
    pub words: Option<Text>,
    pub written_reason: Text,
}

/// One service that learns the pseudonyms of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedJoin {
    pub from: ServiceId,
    pub from_name: Text,
    pub to: ServiceId,
    pub to_name: Text,
    pub why: Text,
}

/// A delay, and who answers for it beside the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedDelay {
    pub max_days: i64,
    pub authority: Party,
}

/// A body with the way to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    pub agency: AgencyId,
    pub name: Text,
    pub contact: String,
    pub protection_officer: String,
}

/// One kind of data, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Category {
    pub block: BlockId,
    pub name: Text,
    pub sensitivity: Option<Sensitivity>,
    pub necessity: Necessity,
    pub form: Form,
    pub reason: Text,
    /// Who keeps it.
    pub source: Option<Party>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedRecipient {
    pub party: Party,
    pub why: Text,
}

/// A vendor and the contract under which it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Processor {
    pub party: Party,
    pub why: Text,
    pub contract: ContractId,
    /// What it does, where the contract is public already.
    pub scope: Option<Text>,
    /// Countries where it keeps data.
    pub places: Vec<String>,
    pub until: Option<Time>,
    /// Until when after the end everything is deleted.
    pub delete_within_days: Option<i64>,
    pub behind: Vec<NamedSubprocessor>,
}

/// A vendor of a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedSubprocessor {
    pub party: Party,
    pub place: String,
    /// From when it works, where that is later than the contract.
    pub from: Option<Time>,
    /// The sub-processor whose vendor it is.
    pub under: Option<Party>,
}

/// Something that the law asks a notice to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LawItem {
    #[serde(flatten)]
    pub provision: Provision,
    /// Whether a notice of the pass has a place for it.
    pub is_answered: bool,
}

/// The items of a pack that the full layer has a place for.
const ANSWERED: [&str; 13] = [
    "basis",
    "categories",
    "controller",
    "effect_of_refusal",
    "manner",
    "overseer",
    "period",
    "processors",
    "purpose",
    "recipients",
    "rights",
    "source",
    "territory",
];

impl Layers {
    /// The notice of the present revision of a mandate, with the contracts as they stand and by the law at `at`. `None` until the notice is
    /// published.
    pub fn of(register: &Register, mandate: &MandateId, at: Time) -> Option<Self> {
        let entry = register.mandates.get(mandate)?;
        Some(Self::explain(register, entry, register.notice(entry)?, at))
    }

    /// The notice of any revision of a mandate, with bodies and contracts as they stand and by the law at `at`.
    pub fn explain(register: &Register, entry: &Entry<Mandate>, notice: &Entry<Notice>, at: Time) -> Self {
        let body = &entry.body;
        let law = register.law(&body.controller, at);
        let own = body.recipients.iter().filter(|recipient| recipient.contract.is_none());
        let full = Full {
            controller: party(register, &body.controller),
            purpose: body.purpose.sentence.clone(),
            basis: body.legal_basis.clone(),
            exception: body.exception.as_ref().map(|exception| named_exception(&law, exception)),
            subjects: body.subjects.clone(),
            categories: body.blocks.iter().map(|asked| category(register, asked)).collect(),
            starts_at: body.starts_at,
            ends_at: body.sunset_at,
            data_range: body.data_range.clone(),
            territory: body.locations.clone(),
            transfers: body.transfers.clone(),
            recipients: own
                .map(|recipient| NamedRecipient { party: party(register, &recipient.agency), why: recipient.why.clone() })
                .collect(),
            joins: body.conversions.iter().map(|conversion| join(register, conversion)).collect(),
            processors: body.recipients.iter().filter_map(|recipient| processor(register, recipient)).collect(),
            manner: notice.body.manner.clone(),
            automated_decision: body.automated_decision,
            algorithm_url: body.algorithm_url.clone(),
            retention: body.retention.clone(),
            closed_days: body.third_party.map(|third| third.max_days),
            rights: notice.body.rights.clone(),
            effect_of_refusal: notice.body.effect_of_refusal.clone(),
            overseer: party(register, &body.oversight_body),
            delay: body
                .visibility
                .delay()
                .map(|delay| NamedDelay { max_days: delay.max_days, authority: party(register, &delay.authority) }),
        };
        let items = law
            .notice_items()
            .iter()
            .map(|item| LawItem { is_answered: ANSWERED.contains(&item.code.as_str()), provision: item.clone() });
        let text = Wording::of(body, &notice.body);
        let present = register.mandates.get(&notice.body.mandate).filter(|present| present.hash == entry.hash);
        Self {
            mandate: notice.body.mandate.clone(),
            revision: entry.rev,
            mandate_hash: entry.hash,
            notice_hash: notice.hash,
            text_hash: text.hash(),
            reading_level: text.reading_level(),
            notice_leaf: notice.index,
            title: body.title.clone(),
            icons: icons(register, entry, &full),
            line: notice.body.line.clone(),
            short: notice.body.short.clone(),
            law: items.collect(),
            full,
            amendment: present.and_then(|_| register.amendments.get(&notice.body.mandate).cloned()),
            text,
        }
    }
}

fn icons(register: &Register, entry: &Entry<Mandate>, full: &Full) -> Vec<Icon> {
    let body = &entry.body;
    let richest = body.blocks.iter().map(|asked| asked.form).max();
    let form = richest.map(|form| match form {
        Form::Token => Icon::Token,
        Form::Predicate => Icon::Predicate,
        Form::Value => Icon::Value,
    });
    let home = register.agencies.get(&body.controller).map(|agency| agency.body.jurisdiction.as_str());
    let is_abroad = |place: &String| home.is_some_and(|home| !place.eq_ignore_ascii_case(home));
    let vendors = &full.processors;
    let mut places = body.locations.iter().chain(vendors.iter().flat_map(|vendor| &vendor.places));
    let behind = vendors.iter().flat_map(|vendor| &vendor.behind);
    let is_special = full.categories.iter().any(|category| category.sensitivity == Some(Sensitivity::Special));
    let more = [
        (Icon::Special, is_special),
        (Icon::Emergency, body.kind == MandateKind::Emergency),
        (Icon::Delayed, body.visibility.delay().is_some()),
        (Icon::Machine, body.automated_decision != AutomatedDecision::None),
        (Icon::Joined, !full.joins.is_empty()),
        (Icon::Vendor, !vendors.is_empty()),
        (Icon::Abroad, places.any(is_abroad) || behind.map(|sub| &sub.place).any(is_abroad)),
        (Icon::Business, body.purpose.commercial),
    ];
    form.into_iter().chain(more.into_iter().filter(|(_, holds)| *holds).map(|(icon, _)| icon)).collect()
}

fn party(register: &Register, id: &AgencyId) -> Party {
    match register.agencies.get(id) {
        Some(entry) => Party {
            agency: id.clone(),
            name: entry.body.legal_name.clone(),
            contact: entry.body.contact.clone(),
            protection_officer: entry.body.protection_officer.clone(),
        },
        None => Party {
            agency: id.clone(),
            name: Text::new(id.as_str(), id.as_str()),
            contact: String::new(),
            protection_officer: String::new(),
        },
    }
}

fn named_exception(law: &Law<'_>, exception: &Exception) -> NamedException {
    let listed = law.exceptions().iter().find(|listed| listed.code == exception.code);
    NamedException {
        article: listed.map_or_else(|| exception.code.clone(), |listed| listed.article.clone()),
        words: listed.map(|listed| listed.text.clone()),
        written_reason: exception.written_reason.clone(),
    }
}

fn join(register: &Register, conversion: &Conversion) -> NamedJoin {
    let name = |id: &ServiceId| match register.services.get(id) {
        Some(entry) => entry.body.name.clone(),
        None => Text::new(id.as_str(), id.as_str()),
    };
    let Conversion { from, to, why } = conversion;
    NamedJoin { from: from.clone(), from_name: name(from), to: to.clone(), to_name: name(to), why: why.clone() }
}

fn category(register: &Register, asked: &AskedBlock) -> Category {
    let block = register.blocks.get(&asked.block).map(|entry| &entry.body);
    Category {
        block: asked.block.clone(),
        name: block.map_or_else(|| Text::new(asked.block.as_str(), asked.block.as_str()), |block| block.name.clone()),
        sensitivity: block.map(|block| block.sensitivity),
        necessity: asked.necessity,
        form: asked.form,
        reason: asked.reason.clone(),
        source: block.map(|block| party(register, &block.source_agency)),
    }
}

fn processor(register: &Register, recipient: &Recipient) -> Option<Processor> {
    let id = recipient.contract.as_ref()?;
    let entry = register.contracts.get(id);
    let contract = entry.map(|entry| &entry.body);
    let behind = |sub: &Subprocessor| NamedSubprocessor {
        party: party(register, &sub.agency),
        place: sub.location.clone(),
        from: sub.from,
        under: sub.under.as_ref().map(|above| party(register, above)),
    };
    Some(Processor {
        party: party(register, &recipient.agency),
        why: recipient.why.clone(),
        contract: id.clone(),
        scope: contract.map(|contract| contract.scope.clone()),
        places: contract.map(|contract| contract.data_locations.clone()).unwrap_or_default(),
        until: contract.map(|contract| contract.until),
        delete_within_days: contract.map(|contract| contract.delete_within_days),
        behind: entry.iter().flat_map(|entry| register.subprocessors(entry)).map(behind).collect(),
    })
}
