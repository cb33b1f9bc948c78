//! Sharing agreement: that public bodies may learn each other's pseudonyms of the same people, for one purpose, until a date.

use serde::Serialize;
use serde_json::Value;

use crate::Text;
use crate::Time;
use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, AgreementId, BlockId, MandateId, ServiceId};
use crate::lifecycle::State;
use crate::mandate::{Conversion, Review, conversion, review};
use crate::register::{Entry, Step};

/// One revision of an agreement. Between its parties pass pseudonyms, by conversion, and what one of them deposited in the pass of the blocks
/// that it names. Without an agreement neither does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    pub title: Text,
    /// The public bodies that agree. The first one speaks for all.
    pub parties: Vec<AgencyId>,
    /// What it is for, and nothing else.
    pub purpose: Text,
    pub legal_gateway: LegalGateway,
    /// Under which mandates.
    pub mandates: Vec<MandateId>,
    /// What a party may ask for under the mandates: of what another one deposited, and where a transfer is between it and the body that
    /// answers for the mandate.
    pub blocks: Vec<BlockId>,
    /// Which service learns which other one's pseudonyms.
    pub transfers: Vec<Conversion>,
    pub frequency: Text,
    pub estimated_persons: i64,
    pub safeguards: Vec<Text>,
    /// What was looked at before it was signed.
    pub due_diligence: Vec<Document>,
    /// How it is kept from serving a business.
    pub commercial_firewall: Text,
    pub impact_assessment: String,
    pub summary: Text,
    pub oversight_body: AgencyId,
    pub in_force_from: Time,
    pub sunset_at: Time,
    /// When it has to be looked at again.
    pub review_due: Time,
    /// What was found when it was. Added by later revisions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<Review>,
    /// The agreement that it goes on from: a renewal is a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<AgreementId>,
}

/// The law that opens the way between the parties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegalGateway {
    pub instrument: Text,
    pub article: String,
    pub url: String,
}

impl Agreement {
    /// Reads an agreement, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let agreement = Self::fields(&mut draft);
        if let Some(agreement) = &agreement {
            agreement.check(&mut draft);
        }
        let problems = draft.finish();
        match agreement {
            Some(agreement) if problems.is_empty() => Ok(agreement),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let title = draft.text("title", 120, "Give the title in both languages.");
        let parties = draft.parses("parties", "List the public bodies that agree, as `agc_library`.");
        let purpose = draft.text("purpose", 300, "Say what it is for.");
        let legal_gateway = draft.object("legal_gateway", "Name the law that allows it.", |law| {
            let instrument = law.text("instrument", 160, "Name the act or ordinance.");
            let article = law.string("article", 40, "Give the article.");
            let url = law.string("url", 300, "Say where the text can be read.");
            Some(LegalGateway { instrument: instrument?, article: article?, url: url? })
        });
        let mandates = draft.parses("mandates", "List the mandates under which people are joined.");
        let blocks = draft.parses("blocks", "List the blocks that it is about.");
        let transfers = draft.objects("transfers", "Say which service learns which other one's pseudonyms.", conversion);
        let frequency = draft.text("frequency", 160, "Say how often.");
        let estimated_persons = draft.integer("estimated_persons", 1, 1_000_000_000, "Say how many people it concerns.");
        let safeguards = draft.objects("safeguards", "List the safeguards.", |safeguard| {
            let en = safeguard.string("en", 300, "Write it in English.");
            let zh = safeguard.string("zh-Hant", 300, "Write it in traditional Chinese.");
            Some(Text { en: en?, zh_hant: zh? })
        });
        let due_diligence = draft.objects("due_diligence", "Name the documents that were looked at, by their hashes.", document);
        let commercial_firewall = draft.text("commercial_firewall", 400, "Say how it is kept from serving a business.");
        let impact_assessment = draft.string("impact_assessment", 300, "Say where the impact assessment is published.");
        let summary = draft.text("summary", 600, "Say in words for everybody what is shared and why.");
        let oversight_body = draft.parse("oversight_body", "Name the body that watches it.");
        let in_force_from = draft.time("in_force_from", "Give the first day of its force.");
        let sunset_at = draft.time("sunset_at", "Give the last day; an agreement without an end cannot exist.");
        let review_due = draft.time("review_due", "Give the day by which it is looked at again.");
        let reviews = draft.optional_objects("reviews", review);
        let continues =
            draft.optional_parse("continues", "Name the agreement that it goes on from, as `agr_readers`, or leave it out.");
        Some(Self {
            title: title?,
            parties,
            purpose: purpose?,
            legal_gateway: legal_gateway?,
            mandates,
            blocks,
            transfers,
            frequency: frequency?,
            estimated_persons: estimated_persons?,
            safeguards,
            due_diligence,
            commercial_firewall: commercial_firewall?,
            impact_assessment: impact_assessment?,
            summary: summary?,
            oversight_body: oversight_body?,
            in_force_from: in_force_from?,
            sunset_at: sunset_at?,
            review_due: review_due?,
            reviews,
            continues,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        let mut parties: Vec<_> = self.parties.iter().collect();
        parties.sort_unstable();
        parties.dedup();
        if parties.len() != self.parties.len() {
            draft.note("parties", "duplicate", "A body stands in the list twice. Take one out.".into());
        }
        if parties.len() < 2 {
            draft.note("parties", "alone", "One body cannot agree with itself. Name at least two.".into());
        }
        if self.in_force_from >= self.sunset_at {
            draft.note("sunset_at", "before-start", "The agreement ends before it begins. Correct one of the days.".into());
        }
        if !(self.in_force_from..=self.sunset_at).contains(&self.review_due) {
            let message = "The review does not fall into the time of the agreement. Give a day between its first and its last.";
            draft.note("review_due", "outside", message.into());
        }
        for (i, transfer) in self.transfers.iter().enumerate() {
            if transfer.from == transfer.to {
                let message = "A service knows its own pseudonyms already. Take this out.";
                draft.note(&format!("transfers[{i}]"), "same-service", message.into());
            }
        }
    }

    /// Whether `other` agrees on the same: only what was found when it was looked at may differ.
    pub fn agrees_as(&self, other: &Self) -> bool {
        let terms = |agreement: &Self| Self { review_due: Time::default(), reviews: Vec::new(), ..agreement.clone() };
        terms(self) == terms(other)
    }

    /// The transfer from the one service to the other.
    pub fn transfer(&self, from: &ServiceId, to: &ServiceId) -> Option<&Conversion> {
        self.transfers.iter().find(|transfer| transfer.from == *from && transfer.to == *to)
    }
}

impl Entry<Agreement> {
    /// Whether it opens anything at `now`.
    pub fn is_in_force(&self, now: Time) -> bool {
        self.state == State::Active && self.body.in_force_from <= now && now < self.body.sunset_at
    }

    /// When its present terms were made public.
    pub fn published_at(&self) -> Option<Time> {
        self.publication().map(|step| step.at)
    }

    /// The step by which its present terms were made public.
    pub(crate) fn publication(&self) -> Option<&Step> {
        let drafted = self.history.iter().rposition(|step| step.to == State::Draft).unwrap_or(0);
        self.history.iter().skip(drafted).find(|step| step.to == State::Published)
    }

    /// Whether its review is late at `now`.
    pub fn is_review_late(&self, now: Time) -> bool {
        matches!(self.state, State::Active | State::Suspended) && self.body.review_due <= now
    }
}
