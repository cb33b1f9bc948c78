//! Mandate: the published power to use certain data for one purpose until a date. No use exists without one.

mod basis;
mod fit;

use serde::Serialize;
use serde_json::Value;

use crate::block::FORMS;
use crate::condition::{EightConditions, eight_conditions};
use crate::delay::{SHORTEST_DAYS, Week};
use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::emergency::{Emergency, emergency};
use crate::event::Form;
use crate::id::{AgencyId, BlockId, ContractId, ServiceId};
use crate::means::{AskedSignIn, Means};
use crate::time::Month;
use crate::{Text, Time};

pub(crate) use basis::BASES;
pub use basis::{Basis, Exception, LegalBasis, Ordered};
use basis::{exception, legal_basis};

/// One revision of a mandate. Immutable; every change is a new revision with a new hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mandate {
    pub title: Text,
    pub controller: AgencyId,
    pub kind: MandateKind,
    pub purpose: Purpose,
    pub legal_basis: LegalBasis,
    /// The door that the law leaves open where its main rule is closed: to specially protected data, or to another purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
    /// Whose data.
    pub subjects: Text,
    /// About whom it is, in so far as the law asks for an assessment because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concerns: Option<Concerns>,
    pub blocks: Vec<AskedBlock>,
    pub operations: Vec<Operation>,
    pub mode: Mode,
    pub fetch: Fetch,
    pub rate_cap: RateCap,
    /// How many residents one request may name; 1 means single requests only.
    pub bulk_limit: i64,
    pub recipients: Vec<Recipient>,
    /// Whose pseudonyms may become whose; none unless it says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conversions: Vec<Conversion>,
    /// Countries where data is used, as `TW`.
    pub locations: Vec<String>,
    /// Of those countries the ones beyond what the law of the controller allows, each with what protects the data there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
    /// How far back it reaches; without one, as far as its blocks hold anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_range: Option<DataRange>,
    pub retention: Retention,
    pub starts_at: Time,
    pub sunset_at: Time,
    pub automated_decision: AutomatedDecision,
    /// Where the machine that decides, or helps to, is described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_url: Option<String>,
    pub gate: GateLevel,
    /// When residents see the lines under it; at once unless it says so.
    #[serde(skip_serializing_if = "Visibility::is_immediate")]
    pub visibility: Visibility,
    /// The weakest means by which she must have signed in where a service asks under it. Anything will do unless it says so.
    #[serde(skip_serializing_if = "is_any")]
    pub means: Means,
    /// How long ago she may have signed in for it, where a service asks or uses data under it: an ISO 8601 duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_within: Option<String>,
    /// Codes of the reasons an official can give for a use, and what the resident reads.
    pub reasons: Vec<Reason>,
    /// Impact assessment: where it is published.
    pub impact_assessment: Option<String>,
    pub consultation: Consultation,
    pub oversight_body: AgencyId,
    /// The oversight body's public key (X25519, base64url), to which a second copy of each line is sealed, so that it can recount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_key: Option<String>,
    /// Whether a use may be in a matter that concerns somebody else, and how long that is closed to the resident. Without it none may say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub third_party: Option<ThirdParty>,
    pub eight_conditions: Option<EightConditions>,
    /// What an emergency rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
    /// The mandate this one continues after its sunset.
    pub continues: Option<String>,
    /// The review that an emergency mandate rests on which continues another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
}

/// What sort of mandate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MandateKind {
    /// Its lines are shown to residents only later, on a day that the clock brings.
    Covert,
    Emergency,
    Ordinary,
    Research,
}

/// Exactly one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Purpose {
    /// At most 140 characters.
    pub sentence: Text,
    /// Term of the Data Privacy Vocabulary, as `dpv:ServiceProvision`.
    pub dpv: String,
    pub local_code: String,
    pub commercial: bool,
    /// Codes of purposes that it excludes: nobody has the same block for it and for one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incompatible_with: Vec<String>,
}

/// A country beyond those that the law allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// As `JP`.
    pub country: String,
    /// What protects the data there.
    pub safeguard: Text,
}

/// From which time data may be: so far back from the use, between two moments, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataRange {
    /// ISO 8601 duration, back from the use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// The first moment that is too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// How many people it is about at most, and what about them or their data the law looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Concerns {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persons: Option<i64>,
    /// Whether children are among them.
    #[serde(skip_serializing_if = "is_false")]
    pub children: bool,
    /// Whether pictures of cameras are used.
    #[serde(skip_serializing_if = "is_false")]
    pub cameras: bool,
}

/// No mandate is about more people: more than there are.
pub(crate) const MOST_PERSONS: i64 = 10_000_000_000;

/// One block a mandate asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedBlock {
    pub block: BlockId,
    pub necessity: Necessity,
    /// The richest form allowed.
    pub form: Form,
    /// Why it is needed, in words for the resident.
    pub reason: Text,
    /// The weakest means by which she must have signed in for its use, where that is more than the mandate asks for.
    #[serde(skip_serializing_if = "is_any")]
    pub means: Means,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Necessity {
    Optional,
    Required,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Collect,
    Decide,
    /// To put data about the resident into the pass; `Collect` is to take it from there.
    Deposit,
    Disclose,
    Match,
    Statistics,
    Store,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Query,
    Store,
    Stream,
    View,
}

/// When data may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "when")]
pub enum Fetch {
    /// Once for each resident.
    Once,
    /// Once for each resident, and not before a date (a draw after its closing day).
    OnceAfter { after: Time },
    /// Whenever there is a reason, within the rate cap.
    Periodic,
}

/// How often data about one resident may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateCap {
    pub uses: i64,
    /// ISO 8601 duration.
    pub per: String,
}

/// Who may receive data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recipient {
    pub agency: AgencyId,
    /// The contract under which a vendor receives; required when the recipient is a vendor.
    pub contract: Option<ContractId>,
    pub why: Text,
}

/// A way from the pseudonyms of one service to those of another, for the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conversion {
    /// The service that asks, with pseudonyms of its own.
    pub from: ServiceId,
    /// The service whose pseudonyms it learns.
    pub to: ServiceId,
    /// Why it is needed, in words for the resident.
    pub why: Text,
}

/// How long a recipient may keep what it received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    pub from_event: Text,
    /// ISO 8601 duration.
    pub duration: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AutomatedDecision {
    None,
    Sole,
    Support,
}

/// How far the log must be before data leaves (design.md section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateLevel {
    Durable,
    Published,
    Witnessed,
}

/// When a resident sees the lines that are written about her under a mandate. It is a property of the whole mandate; no line and no request has
/// a place for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    #[default]
    Immediate,
    Delayed(Delay),
}

/// How long lines are kept back, and who answers for that beside the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delay {
    /// Within so many days after it was written a line opens, on the last Monday.
    pub max_days: i64,
    /// The oversight body without whose people the mandate cannot become active.
    pub authority: AgencyId,
}

impl Visibility {
    /// The delay, if there is one.
    pub fn delay(&self) -> Option<&Delay> {
        match self {
            Self::Immediate => None,
            Self::Delayed(delay) => Some(delay),
        }
    }

    fn is_immediate(&self) -> bool {
        *self == Self::Immediate
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub code: String,
    pub text: Text,
}

/// Uses in a matter that concerns somebody else: an heir, a spouse, who complained. The resident sees at once who used which data of hers and
/// when, and what for only afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ThirdParty {
    /// For how many days at most the matter is closed to her, 1 to [`MOST_CLOSED_DAYS`].
    pub max_days: i64,
}

/// A matter is closed for a year at most, whatever a law says, and a law can say less (`closed_longest`). It bounds what is promised of a request
/// that no mandate allows, before any law is known. Whoever wants to object to a use has to learn of it while those who know are there, and what
/// has to stay closed for longer is to be noted without asking about her.
pub const MOST_CLOSED_DAYS: i64 = 365;

/// The public comment period before publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consultation {
    pub from: Time,
    pub to: Time,
    /// What people said. A draft can be without, a mandate that is approved not; that of an emergency until comments have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Text>,
}

/// What was found when it was looked at whether an emergency has to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    pub at: Time,
    pub finding: Text,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
}

/// What is asked of residents where a mandate does not say: nothing, so that somebody may act for them.
const WEAKEST: Means = Means::Delegate;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_any(means: &Means) -> bool {
    *means == WEAKEST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Mandate {
    /// Reads a mandate, or lists everything that is missing or unlawful in it. What depends on other objects of the
    /// register (does the controller exist, may the block leave in this form) is checked by [`crate::validate`].
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let mandate = Self::fields(&mut draft);
        if let Some(mandate) = &mandate {
            mandate.check(&mut draft);
        }
        let problems = draft.finish();
        match mandate {
            Some(mandate) if problems.is_empty() => Ok(mandate),
            _ => Err(problems),
        }
    }

    /// The body whose two people approve beside the controller's that it becomes active: the overseer of an emergency, or who answers for a
    /// delay. No mandate has both.
    pub fn countersigner(&self) -> Option<&AgencyId> {
        let delay = self.visibility.delay().map(|delay| &delay.authority);
        delay.or_else(|| (self.kind == MandateKind::Emergency).then_some(&self.oversight_body))
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let kinds = [
            ("covert", MandateKind::Covert),
            ("emergency", MandateKind::Emergency),
            ("ordinary", MandateKind::Ordinary),
            ("research", MandateKind::Research),
        ];
        let title = draft.text("title", 60, "Give the mandate a short title in both languages.");
        let controller = draft.parse("controller", "Name the agency that answers for it, as `agc_library`.");
        let kind = draft.word("kind", &kinds, "Say whether it is ordinary, research, emergency or covert.");
        let purpose = draft.object("purpose", "State the one purpose.", purpose);
        let legal_basis = draft.object("legal_basis", "State the law it rests on; without one it cannot exist.", legal_basis);
        let exception = draft.optional_object("exception", exception);
        let subjects = draft.text("subjects", 200, "Say whose data it is about.");
        let concerns = draft.optional_object("concerns", |concerns| {
            let persons = match concerns.optional("persons") {
                Some(_) => concerns.integer("persons", 1, MOST_PERSONS, "Say about how many people it is at most."),
                None => None,
            };
            let children = concerns.optional_flag("children").unwrap_or(false);
            let cameras = concerns.optional_flag("cameras").unwrap_or(false);
            Some(Concerns { persons, children, cameras })
        });
        let blocks = draft.objects("blocks", "List the data blocks, each with its reason.", asked_block);
        let operations = draft.words("operations", &OPERATIONS, "List what is done with the data.");
        let mode = draft.word("mode", &MODES, "Say whether data is viewed, stored, queried or streamed.");
        let fetch = draft.object("fetch", "Say when data may be fetched.", fetch);
        let rate_cap = draft.object("rate_cap", "Say how often data about one person may be used at most.", |cap| {
            let uses = cap.integer("uses", 1, 1_000_000, "Give the number of uses.");
            let per = cap.duration("per", "Give the period, as `P30D`.");
            Some(RateCap { uses: uses?, per: per?.to_string() })
        });
        let bulk_limit =
            draft.integer("bulk_limit", 1, 10_000, "Say how many people one request may name; 1 means one at a time.");
        let recipients = draft.objects("recipients", "Name everyone who receives data.", recipient);
        let conversions = draft.optional_objects("conversions", conversion);
        let locations = draft.parses::<String>("locations", "List the countries where the data is used, as `TW`.");
        let transfers = draft.optional_objects("transfers", transfer);
        let data_range = draft.optional_object("data_range", data_range);
        let retention = draft.object("retention", "Say how long recipients keep the data.", |retention| {
            let from_event = retention.text("from_event", 120, "Say from which event the time runs.");
            let duration = retention.duration("duration", "Give the length, as `P30D`.");
            Some(Retention { from_event: from_event?, duration: duration?.to_string() })
        });
        let starts_at = draft.time("starts_at", "Give the first day.");
        let sunset_at = draft.time("sunset_at", "Give the last day; a mandate without an end cannot exist.");
        let automated =
            [("none", AutomatedDecision::None), ("sole", AutomatedDecision::Sole), ("support", AutomatedDecision::Support)];
        let automated_decision = draft.word("automated_decision", &automated, "Say whether a machine decides.");
        let algorithm_url = draft.optional_string("algorithm_url", 300);
        let gates = [("durable", GateLevel::Durable), ("published", GateLevel::Published), ("witnessed", GateLevel::Witnessed)];
        let gate = draft.word("gate", &gates, "Say how far the log must be before data leaves.");
        let visibility = visibility(draft);
        let means = asked_means(draft);
        let sign_in_within = draft.optional_duration("sign_in_within").map(|length| length.to_string());
        let reasons = draft.objects("reasons", "List the reasons an official may give for a use.", |reason| {
            let code = reason.string("code", 40, "Give the reason a short code.");
            let text = reason.text("text", 140, "Say it in words the resident will read.");
            Some(Reason { code: code?, text: text? })
        });
        let impact_assessment = draft.optional_string("impact_assessment", 300);
        let consultation = draft.object("consultation", "Say when people could comment and what they said.", |consultation| {
            let from = consultation.time("from", "Give the first day.");
            let to = consultation.time("to", "Give the last day.");
            let summary = consultation.optional_text("summary", 600);
            Some(Consultation { from: from?, to: to?, summary })
        });
        let oversight_body = draft.parse("oversight_body", "Name the independent body that watches it.");
        let audit_key = draft.optional_string("audit_key", 43);
        if audit_key.as_deref().is_some_and(|key| crate::statement::public_key(key).is_none()) {
            let message = "This is no public key: 32 bytes in base64url. Give the one that `usufruct audit key` prints.";
            draft.note("audit_key", "malformed", message.into());
        }
        let third_party = draft.optional_object("third_party", |third| {
            let remedy = "Say for how many days at most the matter is closed to the resident, up to a year.";
            Some(ThirdParty { max_days: third.integer("max_days", 1, MOST_CLOSED_DAYS, remedy)? })
        });
        let eight_conditions = match kind {
            Some(MandateKind::Emergency) => {
                draft.object("eight_conditions", "An emergency mandate answers all eight conditions.", eight_conditions)
            }
            _ => draft.optional_object("eight_conditions", eight_conditions),
        };
        let emergency = match kind {
            Some(MandateKind::Emergency) => {
                draft.object("emergency", "An emergency mandate names the emergency that was declared.", emergency)
            }
            _ => draft.optional_object("emergency", emergency),
        };
        let is_grave = automated_decision.is_some_and(|decision| decision != AutomatedDecision::None)
            || matches!(kind, Some(MandateKind::Covert | MandateKind::Emergency))
            || bulk_limit.is_some_and(|people| people > 1);
        // Noted here, so that a draft that lacks more than this is told of it too.
        if is_grave && impact_assessment.is_none() {
            draft.note(
                "impact_assessment",
                "missing",
                "This mandate decides by machine, is an emergency, is covert or names many people at once, so it needs an impact assessment. Say where it is published.".into(),
            );
        }
        let continues = draft.optional_string("continues", 80);
        let review = draft.optional_object("review", review);
        Some(Self {
            title: title?,
            controller: controller?,
            kind: kind?,
            purpose: purpose?,
            legal_basis: legal_basis?,
            exception,
            subjects: subjects?,
            concerns,
            blocks,
            operations,
            mode: mode?,
            fetch: fetch?,
            rate_cap: rate_cap?,
            bulk_limit: bulk_limit?,
            recipients,
            conversions,
            locations,
            transfers,
            data_range,
            retention: retention?,
            starts_at: starts_at?,
            sunset_at: sunset_at?,
            automated_decision: automated_decision?,
            algorithm_url,
            gate: gate?,
            visibility,
            means,
            sign_in_within,
            reasons,
            impact_assessment,
            consultation: consultation?,
            oversight_body: oversight_body?,
            audit_key,
            third_party,
            eight_conditions,
            emergency,
            continues,
            review,
        })
    }

    /// The week on which a line opens that is written at `at`; `None` where it is shown at once. An error where the time is beyond what can be
    /// delayed.
    pub fn opens(&self, at: Time) -> Result<Option<Week>, TooLate> {
        self.visibility.delay().map(|delay| Week::opening(at, delay.max_days).ok_or(TooLate)).transpose()
    }

    /// The asked block with this id.
    pub fn asked(&self, block: &BlockId) -> Option<&AskedBlock> {
        self.blocks.iter().find(|asked| asked.block == *block)
    }

    /// From when the resident is shown what a use at `now` is about, where the request says that it concerns somebody else. The matter of a
    /// request that says so under a mandate that does not allow it is closed as long as any may be: it is refused, and told nobody by mistake.
    pub fn matter_shown_from(&self, now: Time) -> Time {
        let days = self.third_party.map_or(MOST_CLOSED_DAYS, |third| third.max_days);
        now.plus(days.saturating_mul(crate::time::DAY))
    }

    /// The conversion of the pseudonyms of `from` into those of `to`, if it is named.
    pub fn conversion(&self, from: &ServiceId, to: &ServiceId) -> Option<&Conversion> {
        self.conversions.iter().find(|conversion| conversion.from == *from && conversion.to == *to)
    }

    /// The words for a reason code.
    pub fn reason(&self, code: &str) -> Option<&Text> {
        self.reasons.iter().find(|reason| reason.code == code).map(|reason| &reason.text)
    }

    /// Whether services may put data into the pass under it.
    pub fn lets_deposit(&self) -> bool {
        self.operations.contains(&Operation::Deposit)
    }

    /// Whether it names one of these operations.
    pub fn does(&self, operations: &[Operation]) -> bool {
        self.operations.iter().any(|operation| operations.contains(operation))
    }

    /// Whether each of the two purposes leaves room for the other.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        let excludes = |one: &Self, other: &Self| one.purpose.incompatible_with.contains(&other.purpose.local_code);
        !excludes(self, other) && !excludes(other, self)
    }

    /// Whether data of this time may be used at `now`.
    pub fn reaches(&self, of: Time, now: Time) -> bool {
        self.data_range.as_ref().is_none_or(|range| range.holds(of, now))
    }

    /// When what people say of an emergency has to be summed up and is not; `None` where it is, and for what is no emergency.
    pub fn summary_due(&self) -> Option<Time> {
        let is_open = self.kind == MandateKind::Emergency && self.consultation.summary.is_none();
        is_open.then_some(self.consultation.to)
    }

    /// When the last of what was deposited in a month has been kept for its time.
    pub fn month_until(&self, month: Month) -> Time {
        self.keep_until(month.next().begins())
    }

    /// What a sign-in has to be for a service to work under it.
    pub fn asked_sign_in(&self) -> AskedSignIn {
        AskedSignIn { means: self.means, within: self.sign_in_within.as_deref().and_then(crate::time::parse_duration) }
    }

    /// What a sign-in has to be for a use of these blocks.
    pub fn asked_for(&self, blocks: &[(BlockId, Form)]) -> AskedSignIn {
        let asked = blocks.iter().filter_map(|(block, _)| self.asked(block));
        asked.fold(self.asked_sign_in(), |all, asked| all.and(AskedSignIn { means: asked.means, within: None }))
    }

    /// Length of the rate period in microseconds.
    pub fn rate_period(&self) -> i64 {
        crate::time::parse_duration(&self.rate_cap.per).unwrap_or(i64::MAX)
    }

    /// When data released at `now` must be gone: after its retention, at the sunset at the latest.
    pub fn keep_until(&self, now: Time) -> Time {
        let retention = crate::time::parse_duration(&self.retention.duration).unwrap_or(0);
        now.plus(retention).min(self.sunset_at)
    }
}

/// No week is left in which a line could open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Lines cannot be delayed any more. Use a mandate whose lines are shown at once.")]
pub struct TooLate;

fn visibility(draft: &mut Draft<'_>) -> Visibility {
    // Written as one word, or as an object with one field, which is the form in which it is published.
    if draft.optional("visibility").and_then(Value::as_str) == Some("immediate") {
        return Visibility::Immediate;
    }
    let delayed = draft.optional_object("visibility", |visibility| {
        visibility.object("delayed", "Write `immediate`, or give `delayed`.", |delay| {
            let max_days = delay.integer("max_days", SHORTEST_DAYS, 3_650, "Give the number of days, at least 7.");
            let authority = delay.parse("authority", "Name the oversight body that answers for the delay.");
            Some(Delay { max_days: max_days?, authority: authority? })
        })
    });
    delayed.map_or(Visibility::Immediate, Visibility::Delayed)
}

impl DataRange {
    /// Whether data of the time `of` lies in it at `now`.
    pub fn holds(&self, of: Time, now: Time) -> bool {
        let back = self.back.as_deref().and_then(crate::time::parse_duration);
        back.is_none_or(|back| of >= now.plus(-back))
            && self.from.is_none_or(|from| from <= of)
            && self.until.is_none_or(|until| of < until)
    }
}

const OPERATIONS: [(&str, Operation); 7] = [
    ("collect", Operation::Collect),
    ("decide", Operation::Decide),
    ("deposit", Operation::Deposit),
    ("disclose", Operation::Disclose),
    ("match", Operation::Match),
    ("statistics", Operation::Statistics),
    ("store", Operation::Store),
];

const MODES: [(&str, Mode); 4] = [("query", Mode::Query), ("store", Mode::Store), ("stream", Mode::Stream), ("view", Mode::View)];

fn purpose(draft: &mut Draft<'_>) -> Option<Purpose> {
    let sentence = draft.text("sentence", 140, "Say in one sentence of at most 140 characters what the data is for.");
    let dpv = draft.string("dpv", 80, "Give the term of the Data Privacy Vocabulary, as `dpv:ServiceProvision`.");
    let local_code = draft.string("local_code", 40, "Give the code of the national purpose list, as `TW-095`.");
    let commercial = draft.flag("commercial", "Say whether it serves business.");
    let incompatible_with = draft.optional_strings("incompatible_with", 40);
    Some(Purpose { sentence: sentence?, dpv: dpv?, local_code: local_code?, commercial: commercial?, incompatible_with })
}

fn transfer(draft: &mut Draft<'_>) -> Option<Transfer> {
    let country = draft.string("country", 40, "Give the country, as `JP`.");
    let safeguard = draft.text("safeguard", 300, "Say what protects the data there.");
    Some(Transfer { country: country?, safeguard: safeguard? })
}

fn data_range(draft: &mut Draft<'_>) -> Option<DataRange> {
    let back = draft.optional_duration("back").map(|length| length.to_string());
    let from = draft.optional_parse("from", "Give the first moment, or leave it out.");
    let until = draft.optional_parse("until", "Give the first moment that is too late, or leave it out.");
    if from.zip(until).is_some_and(|(from, until): (Time, Time)| from >= until) {
        draft.note("until", "before-start", "The range ends before it begins. Correct one of the days.".into());
    }
    Some(DataRange { back, from, until })
}

fn asked_block(draft: &mut Draft<'_>) -> Option<AskedBlock> {
    let block = draft.parse("block", "Name the block, as `blk_name`.");
    let words = [("optional", Necessity::Optional), ("required", Necessity::Required)];
    let necessity = draft.word("necessity", &words, "Say whether it is required or optional.");
    let form = draft.word("form", &FORMS, "Say in which form at most: token, predicate or value.");
    let reason = draft.text("reason", 140, "Say why it is needed.");
    let means = asked_means(draft);
    Some(AskedBlock { block: block?, necessity: necessity?, form: form?, reason: reason?, means })
}

/// The weakest means of signing in that will do.
fn asked_means(draft: &mut Draft<'_>) -> Means {
    draft.optional_word("means", &Means::PROOFS.map(|means| (means.code(), means))).unwrap_or(WEAKEST)
}

fn fetch(draft: &mut Draft<'_>) -> Option<Fetch> {
    let words = [("once", 0), ("once_after", 1), ("periodic", 2)];
    match draft.word("when", &words, "Choose `once`, `once_after` or `periodic`.")? {
        0 => Some(Fetch::Once),
        1 => Some(Fetch::OnceAfter { after: draft.time("after", "Give the day from which data may be fetched.")? }),
        _ => Some(Fetch::Periodic),
    }
}

fn recipient(draft: &mut Draft<'_>) -> Option<Recipient> {
    let agency = draft.parse("agency", "Name the recipient, as `agc_library`.");
    let contract = draft.optional_parse("contract", "Name the contract, as `ctr_cloud`.");
    let why = draft.text("why", 140, "Say why it receives data.");
    Some(Recipient { agency: agency?, contract, why: why? })
}

pub(crate) fn conversion(draft: &mut Draft<'_>) -> Option<Conversion> {
    let from = draft.parse("from", "Name the service that holds pseudonyms, as `svc_library`.");
    let to = draft.parse("to", "Name the service whose pseudonyms it learns.");
    let why = draft.text("why", 140, "Say why the two have to be joined.");
    Some(Conversion { from: from?, to: to?, why: why? })
}

pub(crate) fn review(draft: &mut Draft<'_>) -> Option<Review> {
    let at = draft.time("at", "Say when the review was done.");
    let finding = draft.text("finding", 1_000, "Say what the review found.");
    let documents = draft.optional_objects("documents", document);
    Some(Review { at: at?, finding: finding?, documents })
}
