//! Whom a breach concerns, whom the machine has told of it, and whom people have.

use serde::Serialize;

use super::Breach;
use crate::document::{Document, document};
use crate::draft::Draft;
use crate::event::{Event, Form, Kind};
use crate::id::{BlockId, MandateId, ServiceId};
use crate::register::Register;
use crate::tally::Count;
use crate::{Digest, Time};

/// Whom the machine has told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    pub at: Time,
    /// Residents concerned, by the rule of small counts.
    pub residents: Count,
    /// Of them those with no passkey, who get a letter.
    pub by_courier: Count,
    /// How many different blocks of theirs.
    pub blocks: i64,
    /// Hash of the revision whose words they read.
    pub words: Digest,
}

/// A notice that people gave to somebody else than the residents whom the machine tells: an authority, the press, the public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutsideNotice {
    pub audience: Audience,
    pub channel: NoticeChannel,
    /// How many were sent or shown.
    pub count: i64,
    pub at: Time,
    /// What it said, by its hash.
    pub text: Document,
}

/// To whom a notice went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Authority,
    /// Another public body, as one that receives the same data.
    Body,
    Police,
    Press,
    /// Everybody: by a public notice.
    Public,
    Vendor,
}

/// By which way a notice went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeChannel {
    /// The form or the portal of an authority.
    Form,
    Letter,
    Mail,
    Phone,
    /// A newspaper, a broadcaster, or a conference for them.
    Press,
    /// A page that everybody can read.
    Web,
}

impl Audience {
    pub const WORDS: [(&'static str, Self); 6] = [
        ("authority", Self::Authority),
        ("body", Self::Body),
        ("police", Self::Police),
        ("press", Self::Press),
        ("public", Self::Public),
        ("vendor", Self::Vendor),
    ];
}

impl NoticeChannel {
    pub const WORDS: [(&'static str, Self); 6] = [
        ("form", Self::Form),
        ("letter", Self::Letter),
        ("mail", Self::Mail),
        ("phone", Self::Phone),
        ("press", Self::Press),
        ("web", Self::Web),
    ];
}

impl Told {
    /// Whether nobody waits for a letter.
    pub fn is_all_in_pass(&self) -> bool {
        self.by_courier == Count::of(0)
    }
}

impl Register {
    /// The blocks of an event of a resident that a breach concerns, or nothing where it does not. What is said to be concerned bounds it, and
    /// what is not said bounds nothing.
    pub fn concerned<'a>(&self, breach: &Breach, event: &'a Event) -> Option<Vec<&'a (BlockId, Form)>> {
        let tells = matches!(event.kind, Kind::Consent | Kind::Conversion | Kind::Deposit | Kind::SignIn | Kind::Use);
        let is_then = breach.from <= event.at && breach.until.is_none_or(|until| event.at <= until);
        if !tells || !is_then {
            return None;
        }
        let mandate = event.mandate.and_then(|hash| self.revision(&hash)).map(|(mandate, _)| mandate.id.as_str());
        let is_under = |id: &MandateId| mandate == Some(id.as_str());
        if !breach.mandates.is_empty() && !breach.mandates.iter().any(is_under) {
            return None;
        }
        // What was lent waits for every service of its mandate; all else went to one.
        let services = [event.service.as_ref().map(ServiceId::as_str), event.detail.as_deref()];
        let went_to = |id: &ServiceId| services.contains(&Some(id.as_str()));
        let is_lent = event.kind == Kind::Consent && !breach.mandates.is_empty();
        if !breach.services.is_empty() && !is_lent && !breach.services.iter().any(went_to) {
            return None;
        }
        let blocks: Vec<_> =
            event.blocks.iter().filter(|(block, _)| breach.blocks.is_empty() || breach.blocks.contains(block)).collect();
        // Who lost a token of hers is concerned too, unless only certain blocks are.
        (!blocks.is_empty() || breach.blocks.is_empty()).then_some(blocks)
    }
}

/// Reads whom the machine has told.
pub(super) fn told(draft: &mut Draft<'_>) -> Option<Told> {
    const REMEDY: &str = "Write 0, `1-9`, or a number from 10 on, as a text.";
    let at = draft.time("at", "Say when the last of them was told.");
    let residents: Option<Count> = draft.parse("residents", REMEDY);
    let by_courier: Option<Count> = draft.parse("by_courier", REMEDY);
    let blocks = draft.integer("blocks", 0, 1_000, "Give the number of blocks.");
    let words = draft.parse("words", "Give the hash of the revision that they read.");
    if residents.zip(by_courier).is_some_and(|(all, some)| some.least() > all.most()) {
        draft.note("by_courier", "too-many", "There are more of them than residents. Count them among the residents.".into());
    }
    Some(Told { at: at?, residents: residents?, by_courier: by_courier?, blocks: blocks?, words: words? })
}

/// Reads a notice to somebody else.
pub(super) fn outside_notice(draft: &mut Draft<'_>) -> Option<OutsideNotice> {
    let audience = draft.word("audience", &Audience::WORDS, "Say to whom it went.");
    let channel = draft.word("channel", &NoticeChannel::WORDS, "Say by which way it went.");
    let count = draft.integer("count", 1, 100_000_000, "Say how many were sent or shown.");
    let at = draft.time("at", "Say when it went out.");
    let text = draft.object("text", "Name what it said, by its title and hash.", document);
    Some(OutsideNotice { audience: audience?, channel: channel?, count: count?, at: at?, text: text? })
}
