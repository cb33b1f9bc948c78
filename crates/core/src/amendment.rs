//! Amendment: what a new revision of a mandate changes for residents, and whether those who agreed before are asked again.
//!
//! What narrows a mandate, and what only words it anew, is no change. The machine cannot tell a slip of the pen from a new meaning, so where
//! words say what data is for (the purpose, the reasons of a use, whose data it is), other words are a change.

use serde::Serialize;

use crate::Time;
use crate::condition::EightConditions;
use crate::draft::Draft;
use crate::lawpack::Law;
use crate::mandate::{AskedBlock, AutomatedDecision, Concerns, DataRange, Fetch, Mandate, Necessity, Recipient};
use crate::time::parse_duration;

macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// Something that a revision changes beyond narrowing it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Change { $($(#[$doc])* $name,)* }

        impl Change {
            /// Every change with its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$name),)*];
        }
    };
}

changes! {
    /// The law it rests on.
    Basis = "basis";
    /// A block more, in a richer form, or required where it was optional.
    Block = "block";
    /// A way more from the pseudonyms of one service to those of another.
    Conversion = "conversion";
    /// Who watches it.
    Overseer = "overseer";
    /// How long data is kept, or the mandate lasts.
    Period = "period";
    /// A country more.
    Place = "place";
    /// A vendor more, or another contract with one.
    Processor = "processor";
    /// What it is for: the purpose, its kind, a reason of a use.
    Purpose = "purpose";
    /// Somebody more who receives data in its own name.
    Recipient = "recipient";
    /// Weaker protection: of the log, of the sign-in, by a waived condition, by a matter that is closed to her for longer.
    Safeguard = "safeguard";
    /// Whose data it is about.
    Subjects = "subjects";
    /// What is done with the data, how often, and about how many at once.
    Use = "use";
}

impl Change {
    /// Those of which no law of a pack may say that nobody is asked again.
    pub const ALWAYS: [Self; 6] = [Self::Basis, Self::Block, Self::Conversion, Self::Period, Self::Purpose, Self::Recipient];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, change)| *change == self).map_or("", |(word, _)| word)
    }
}

/// A change of which the law says that those who agreed before are asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedAgain {
    pub change: Change,
    pub article: String,
}

impl AskedAgain {
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let change = draft.word("change", Change::WORDS, "Say which change it is.");
        let article = draft.string("article", 120, "Name the article, or the rule of the house.");
        Some(Self { change: change?, article: article? })
    }
}

/// How the present revision of a mandate stands to those before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amendment {
    /// What it changes of the revision before it.
    pub changes: Vec<Change>,
    /// Whether who agreed to the revision before is asked again.
    pub asks_again: bool,
    /// The first revision of those to which a consent still holds.
    pub holds_since: u64,
    /// Since when the log has said in substance what the present revision says.
    pub open_since: Time,
}

impl Amendment {
    /// What revision `rev` does to `old`, by the law that holds for the body that answers for it. Where no pack in force lists what asks
    /// again, every revision does. `before` is how the old one stood.
    /// `open_since` is since when the log had said what the old one says, and `at` the time of the new one.
    pub fn of(
        old: &Mandate,
        new: &Mandate,
        law: Law<'_>,
        rev: u64,
        before: Option<&Self>,
        (open_since, at): (Time, Time),
    ) -> Self {
        let changes = changes(old, new);
        let asks_again = law.asks_again().is_none_or(|list| list.iter().any(|asked| changes.contains(&asked.change)));
        let holds_since = if asks_again { rev } else { before.map_or(1, |before| before.holds_since) };
        let open_since = if changes.is_empty() { open_since } else { at };
        Self { changes, asks_again, holds_since, open_since }
    }
}

/// What `new` changes of `old`, each once and in the order of [`Change::WORDS`].
pub fn changes(old: &Mandate, new: &Mandate) -> Vec<Change> {
    let found = |change: Change| match change {
        Change::Basis => {
            let law = |mandate: &Mandate| {
                let basis = mandate.legal_basis.clone();
                let exception = mandate.exception.clone().map(|exception| exception.code);
                let order = basis.order.map(|order| order.reference);
                (basis.code, basis.provision, basis.article, basis.instrument, order, exception)
            };
            law(old) != law(new)
        }
        Change::Block => new.blocks.iter().any(|asked| old.asked(&asked.block).is_none_or(|before| is_more(before, asked))),
        Change::Conversion => new.conversions.iter().any(|way| old.conversion(&way.from, &way.to).is_none()),
        Change::Overseer => old.oversight_body != new.oversight_body || old.audit_key.is_some() && old.audit_key != new.audit_key,
        Change::Period => {
            if is_wider_range(old.data_range.as_ref(), new.data_range.as_ref()) {
                return true;
            }
            let kept = |mandate: &Mandate| parse_duration(&mandate.retention.duration);
            kept(new) > kept(old)
                || old.retention.from_event != new.retention.from_event
                || new.sunset_at > old.sunset_at
                || new.starts_at < old.starts_at
        }
        Change::Place => new.locations.iter().any(|place| !old.locations.contains(place)),
        Change::Processor => new_recipients(old, new).any(|recipient| recipient.contract.is_some()),
        Change::Purpose => {
            old.purpose != new.purpose || old.kind != new.kind || new.reasons.iter().any(|reason| !old.reasons.contains(reason))
        }
        Change::Recipient => new_recipients(old, new).any(|recipient| recipient.contract.is_none()),
        Change::Safeguard => is_weaker(old, new),
        Change::Subjects => old.subjects != new.subjects || concerns_more(old, new),
        Change::Use => is_wider_use(old, new),
    };
    Change::WORDS.iter().map(|(_, change)| *change).filter(|change| found(*change)).collect()
}

/// Whether data of a time is reached that was not.
fn is_wider_range(old: Option<&DataRange>, new: Option<&DataRange>) -> bool {
    let Some(old) = old else { return false };
    let Some(new) = new else { return true };
    let back = |range: &DataRange| range.back.as_deref().and_then(parse_duration).unwrap_or(i64::MAX);
    let is_later = |old: Option<Time>, new: Option<Time>| old.is_some_and(|old| new.is_none_or(|new| new > old));
    let is_earlier = |old: Option<Time>, new: Option<Time>| old.is_some_and(|old| new.is_none_or(|new| new < old));
    back(new) > back(old) || is_earlier(old.from, new.from) || is_later(old.until, new.until)
}

/// Whether it is about more people than it said, or about children or pictures of cameras of which it did not speak. What is not said any more
/// is more than what was said.
fn concerns_more(old: &Mandate, new: &Mandate) -> bool {
    let Some(new) = new.concerns else { return old.concerns.is_some() };
    let old = old.concerns.unwrap_or_default();
    let persons = |concerns: Concerns| concerns.persons.unwrap_or(i64::MAX);
    persons(new) > persons(old) || new.children && !old.children || new.cameras && !old.cameras
}

fn is_more(before: &AskedBlock, now: &AskedBlock) -> bool {
    now.form > before.form || now.necessity == Necessity::Required && before.necessity == Necessity::Optional
}

/// Recipients that were not there, or under another contract.
fn new_recipients<'a>(old: &'a Mandate, new: &'a Mandate) -> impl Iterator<Item = &'a Recipient> {
    let was_there = |recipient: &&Recipient| {
        old.recipients.iter().any(|before| before.agency == recipient.agency && before.contract == recipient.contract)
    };
    new.recipients.iter().filter(move |recipient| !was_there(recipient))
}

fn is_weaker(old: &Mandate, new: &Mandate) -> bool {
    let waived = |mandate: &Mandate| -> Vec<&'static str> {
        mandate.eight_conditions.iter().flat_map(EightConditions::waivers).map(|(field, _)| field).collect()
    };
    let within = |mandate: &Mandate| mandate.sign_in_within.as_deref().and_then(parse_duration).unwrap_or(i64::MAX);
    let closed_days = |mandate: &Mandate| mandate.third_party.map_or(0, |third| third.max_days);
    let delayed = |mandate: &Mandate| mandate.visibility.delay().map_or(0, |delay| delay.max_days);
    let weaker_block = |asked: &AskedBlock| old.asked(&asked.block).is_some_and(|before| asked.means < before.means);
    new.gate < old.gate
        || delayed(new) > delayed(old)
        || new.means < old.means
        || within(new) > within(old)
        || closed_days(new) > closed_days(old)
        || new.blocks.iter().any(weaker_block)
        || waived(new).iter().any(|field| !waived(old).contains(field))
        || old.eight_conditions.is_some() && new.eight_conditions.is_none()
}

fn is_wider_use(old: &Mandate, new: &Mandate) -> bool {
    let is_narrower_fetch = match (old.fetch, new.fetch) {
        (Fetch::Periodic, _) | (Fetch::Once, Fetch::Once | Fetch::OnceAfter { .. }) => true,
        (Fetch::OnceAfter { after: before }, Fetch::OnceAfter { after }) => after >= before,
        _ => false,
    };
    new.operations.iter().any(|operation| !old.operations.contains(operation))
        || old.mode != new.mode
        || !is_narrower_fetch
        || new.rate_cap.uses > old.rate_cap.uses
        || new.rate_period() < old.rate_period()
        || new.bulk_limit > old.bulk_limit
        || old.automated_decision != new.automated_decision && new.automated_decision != AutomatedDecision::None
}
