//! Lawpack: what a law asks of mandates, notices, answers and breaches, as dated data. No deadline stands in code.
//!
//! Packs are published like everything else, so a change of law is a statement. Where no pack of a jurisdiction is in force, and for
//! what a pack does not say, the pack `generic` holds; the one that ships with the program stands in until another is published.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;

use crate::amendment::{AskedAgain, Change};
use crate::assessment::AssessedWhen;
use crate::breach::{Breach, BreachCause};
use crate::clause::{ContractClause, Processors};
use crate::draft::{Draft, Problem};
use crate::mandate::{BASES, Basis, LegalBasis};
use crate::time::{DAY, Length};
use crate::{Text, Time};

/// One revision of a lawpack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lawpack {
    /// The law, as bodies name it in their own `jurisdiction`: `TW`, `EU`, `CN`, or [`GENERIC`].
    pub jurisdiction: String,
    pub title: Text,
    pub status: LawStatus,
    pub valid_from: Time,
    pub valid_until: Option<Time>,
    pub bases: Vec<LawBasis>,
    /// Doors beside the main rule that a mandate can name.
    pub exceptions: Vec<LawException>,
    /// What a notice has to say.
    pub notice_items: Vec<Provision>,
    /// Changes of a mandate after which those who agreed before are asked again. A pack that lists none leaves it to the generic one; where
    /// that lists none either, every revision asks again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks_again: Vec<AskedAgain>,
    /// What about a mandate asks for an impact assessment before it begins. A pack that lists nothing leaves it to the generic one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assessed_when: Vec<AssessedWhen>,
    /// What cameras may be for. A pack that lists nothing leaves it to the generic one, and where that lists nothing, what ships with the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub camera_purposes: Vec<Provision>,
    /// On which grounds a service may keep what it was told to delete. A pack that lists nothing leaves it to the generic one, and where that lists
    /// nothing, what ships with the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept_when: Vec<Provision>,
    pub deadlines: Vec<Deadline>,
    /// What the levels of a breach mean, the lightest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breach_levels: Vec<BreachLevel>,
    /// When a contract rests because of a breach at the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_suspension: Option<VendorSuspension>,
    /// What it asks of contracts with vendors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processors: Option<Processors>,
    pub sources: Vec<Source>,
}

/// Whether a pack counts. Drafts are shown and never applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LawStatus {
    Draft,
    InForce,
}

/// A basis of the law, and which of the kinds that the pass tells apart it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LawBasis {
    pub code: String,
    pub basis: Basis,
    pub article: String,
    pub text: Text,
    /// Whether it is what a court or an overseer ordered. What rests on it is told as that.
    #[serde(skip_serializing_if = "is_false")]
    pub is_order: bool,
}

/// An exception of the law, and which closed door it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LawException {
    pub code: String,
    pub article: String,
    pub text: Text,
    pub opens: Opens,
    /// Whether each use under it is given a reason in writing.
    #[serde(skip_serializing_if = "is_false")]
    pub reason_each_use: bool,
}

/// What an exception opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opens {
    /// Use for another purpose than that for which data was collected.
    OtherPurpose,
    /// Use of specially protected data.
    Special,
}

/// Something that an article says, in words for residents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provision {
    pub code: String,
    pub article: String,
    pub text: Text,
}

/// A length of time that the law sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deadline {
    pub duty: Duty,
    pub within: Length,
    /// By how much it can be prolonged, with reasons.
    pub extension: Option<Length>,
    /// Whether what a case is about rests until it is answered or decided; of the kinds of cases only.
    #[serde(skip_serializing_if = "is_false")]
    pub suspends: bool,
    /// From which moment, or under which condition.
    pub when: Option<Text>,
    /// The levels of a breach for which it holds; of duties of breaches only. Without any, all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<i64>,
    pub article: String,
}

/// What a level of a breach means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreachLevel {
    pub level: i64,
    pub text: Text,
    pub article: String,
}

/// At which breaches the contract of the vendor rests until they are contained, whether or not anybody has said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VendorSuspension {
    /// Breaches at the vendor of this level or a worse one.
    pub from_level: i64,
    /// Breaches that came about so, whatever their level.
    pub causes: Vec<BreachCause>,
    pub article: String,
}

/// Where it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    pub title: String,
    pub url: String,
}

macro_rules! duties {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What a length of time is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Duty { $($(#[$doc])* $name,)* }

        impl Duty {
            /// Every duty with its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$name),)*];
        }
    };
}

duties! {
    /// Until a case is acknowledged.
    Acknowledge = "acknowledge";
    /// Until a request to see one's data is answered.
    Access = "access";
    /// Until a request for a copy is answered.
    Copy = "copy";
    /// Until a request for correction is answered.
    Correct = "correct";
    /// Until a request to stop is answered.
    Stop = "stop";
    /// Until a request for deletion is answered.
    Delete = "delete";
    /// Until an objection to a use is answered.
    Challenge = "challenge";
    /// Until a complaint is answered.
    Complaint = "complaint";
    /// Until a question is answered.
    Question = "question";
    /// How long an answer can be taken to the overseer, after which it stands. Where no pack says so, for ever.
    Complain = "complain";
    /// Until the overseer decides what was escalated.
    Escalated = "escalated";
    /// Until a remedy is done.
    Remedy = "remedy";
    /// How long an ordinary mandate may run.
    MandateLongest = "mandate_longest";
    /// How long an emergency mandate may run.
    EmergencyLongest = "emergency_longest";
    /// How long people can comment on a mandate at least.
    CommentShortest = "comment_shortest";
    /// How long a draft has stood in the log before it is approved. Where no pack says so, nobody looks.
    CommentPublic = "comment_public";
    /// How long before its force an agreement is public at least.
    AgreementNotice = "agreement_notice";
    /// How long an agreement may run.
    AgreementLongest = "agreement_longest";
    /// How long an agreement of an emergency may run.
    EmergencyAgreementLongest = "emergency_agreement_longest";
    /// How long before a new processor of a processor it is said.
    SubprocessorNotice = "subprocessor_notice";
    /// How long a check of a processor may be overdue before the contract is suspended.
    CheckGrace = "check_grace";
    /// How old the last look at a camera may be before its pictures are withheld.
    CameraCheck = "camera_check";
    /// Until a service has answered a request to delete, where no contract says it.
    DeletionAnswer = "deletion_answer";
    /// How long a mandate may delay what residents see.
    DelayLongest = "delay_longest";
    /// How long the matter of a use that concerns somebody else may be closed to the resident.
    ClosedLongest = "closed_longest";
    /// How long a guardian may act before a clerk has to set her up anew.
    GuardianshipLongest = "guardianship_longest";
    /// How long a helper may act before the resident gives it anew.
    HelpLongest = "help_longest";
    /// How long after its making or change a register entry is public.
    PublishRegister = "publish_register";
    /// Until the authority has the report of a breach.
    ReportBreach = "report_breach";
    /// Until the people concerned are told of a breach.
    TellPersons = "tell_persons";
    /// Until a cyber incident is reported.
    ReportIncident = "report_incident";
    /// Until an incident is contained or the service restored.
    ContainIncident = "contain_incident";
    /// Until the final report of an incident.
    FinalReport = "final_report";
    /// How long the records of a breach are kept at least.
    KeepBreachRecords = "keep_breach_records";
    /// Until a vendor calls after the first sign of a breach; of contracts only.
    VendorCall = "vendor_call";
    /// Until a vendor reports a breach in writing; of contracts only.
    VendorReport = "vendor_report";
    /// How long a contract may give a vendor for its first call.
    VendorCallLongest = "vendor_call_longest";
    /// How long a contract may give a vendor for its written report.
    VendorReportLongest = "vendor_report_longest";
    /// How long a contract may give a vendor to delete everything after its end.
    VendorDeletionLongest = "vendor_deletion_longest";
}

impl Duty {
    /// Those that a generic pack can leave out.
    pub const OPTIONAL: [Self; 11] = [
        Self::CameraCheck,
        Self::ClosedLongest,
        Self::CommentPublic,
        Self::Complain,
        Self::GuardianshipLongest,
        Self::HelpLongest,
        Self::VendorCall,
        Self::VendorCallLongest,
        Self::VendorDeletionLongest,
        Self::VendorReport,
        Self::VendorReportLongest,
    ];
    /// Those whose length each contract says, and no pack.
    pub const OF_CONTRACTS: [Self; 2] = [Self::VendorCall, Self::VendorReport];
    /// Those that can have another length for another level of a breach.
    pub const OF_BREACHES: [Self; 5] =
        [Self::ReportBreach, Self::TellPersons, Self::ReportIncident, Self::ContainIncident, Self::FinalReport];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, duty)| *duty == self).map_or("", |(word, _)| word)
    }
}

/// The jurisdiction of the pack that holds where no other says anything.
pub const GENERIC: &str = "generic";

/// No emergency runs longer, whatever a pack says: the second of the eight conditions, which no law of a body can waive.
const LONGEST_EMERGENCY: i64 = 90 * DAY;

/// The packs that ship with the program, ready to be published: id and TOML.
pub const SHIPPED: [(&str, &str); 6] = [
    ("law_generic", include_str!("../lawpacks/generic.toml")),
    ("law_generic-2026-12", include_str!("../lawpacks/generic-2026-12.toml")),
    ("law_tw", include_str!("../lawpacks/tw.toml")),
    ("law_tw-2026", include_str!("../lawpacks/tw-2026.toml")),
    ("law_eu", include_str!("../lawpacks/eu.toml")),
    ("law_cn", include_str!("../lawpacks/cn.toml")),
];

/// Those of them that stand in, the oldest first. From their first day on they bind every register alike, so what a log says never depends
/// on which program reads it.
static SHIPPED_GENERIC: LazyLock<[Lawpack; 2]> = LazyLock::new(|| {
    [SHIPPED[0].1, SHIPPED[1].1].map(|text| {
        let body: Value = toml::from_str(text).expect("the shipped pack is TOML");
        Lawpack::read(&body).expect("the shipped pack is whole")
    })
});

/// What holds of vendors at whom there was a breach where no pack says anything: the packs that ship are never changed.
static HOUSE_SUSPENSION: LazyLock<VendorSuspension> = LazyLock::new(|| VendorSuspension {
    from_level: 3,
    causes: vec![BreachCause::UnansweredDeletion],
    article: "house 8".to_owned(),
});

/// What holds of some duties where no published pack names them.
static HOUSE: LazyLock<Vec<Deadline>> = LazyLock::new(|| {
    let body: Value = toml::from_str(include_str!("../lawpacks/house.toml")).expect("the shipped deadlines are TOML");
    let mut draft = Draft::new(&body);
    let deadlines = draft.objects("deadlines", "List them.", deadline);
    assert!(draft.finish().is_empty(), "the shipped deadlines are whole");
    deadlines
});

/// What holds for cameras where no published pack says anything of them.
const CAMERAS: &str = include_str!("../lawpacks/cameras.toml");

/// The same, read.
static CAMERA_TERMS: LazyLock<CameraTerms> = LazyLock::new(|| {
    let body: Value = toml::from_str(CAMERAS).expect("the shipped terms are TOML");
    CameraTerms::read(&body).expect("the shipped terms are whole")
});

/// What a law says of cameras.
struct CameraTerms {
    purposes: Vec<Provision>,
    check: Deadline,
}

impl CameraTerms {
    fn read(value: &Value) -> Option<Self> {
        let mut draft = Draft::new(value);
        let purposes = draft.objects("camera_purposes", "List what cameras may be for.", provision);
        let deadlines = draft.objects("deadlines", "Say how old the last look may be.", deadline);
        let check = deadlines.into_iter().find(|deadline| deadline.duty == Duty::CameraCheck);
        check.filter(|_| draft.finish().is_empty()).map(|check| Self { purposes, check })
    }
}

/// The grounds to keep something wherever no published pack lists any.
const KEEPING: &str = include_str!("../lawpacks/keeping.toml");

/// The same, read.
static KEEPING_GROUNDS: LazyLock<Vec<Provision>> = LazyLock::new(|| {
    let body: Value = toml::from_str(KEEPING).expect("the shipped grounds are TOML");
    let mut draft = Draft::new(&body);
    let grounds = draft.objects("kept_when", "List the grounds.", provision);
    assert!(draft.finish().is_empty(), "the shipped grounds are whole");
    grounds
});

/// The law that holds for one body: its own pack, and the generic one for what that does not say.
#[derive(Clone, Copy, Debug)]
pub struct Law<'a> {
    own: Option<&'a Lawpack>,
    generic: &'a Lawpack,
    /// What the house asks of contracts where neither pack says anything of them.
    standing_in: Option<&'a Processors>,
}

impl<'a> Law<'a> {
    /// The law of `jurisdiction` at `at`, out of published packs.
    pub fn of(packs: impl Iterator<Item = &'a Lawpack> + Clone, jurisdiction: &str, at: Time) -> Self {
        let newest = |jurisdiction: &str| {
            let holds = |pack: &&Lawpack| pack.jurisdiction.eq_ignore_ascii_case(jurisdiction) && pack.is_in_force(at);
            packs.clone().filter(holds).max_by_key(|pack| pack.valid_from)
        };
        let shipped = SHIPPED_GENERIC.iter().rev().find(|pack| pack.is_in_force(at)).unwrap_or(&SHIPPED_GENERIC[0]);
        let generic = newest(GENERIC).unwrap_or(shipped);
        let standing_in = if generic.processors.is_none() { shipped.processors.as_ref() } else { None };
        Self { own: newest(jurisdiction), generic, standing_in }
    }

    /// The deadline of a duty that not every generic pack has to name.
    pub fn deadline_if_any(&self, duty: Duty) -> Option<&'a Deadline> {
        self.own.and_then(|pack| pack.deadline(duty)).or_else(|| self.generic.deadline(duty))
    }

    /// Whether a mandate on this basis rests on the order of a court or an overseer: the body's own pack lists its provision as one.
    pub fn is_order(&self, basis: &LegalBasis) -> bool {
        self.bases().iter().any(|listed| listed.is_order && basis.provision.as_ref() == Some(&listed.code))
    }

    /// The bases that the body's own pack lists; where it lists none, anything is said of the provision or nothing.
    pub fn bases(&self) -> &'a [LawBasis] {
        self.own.map_or(&[], |pack| &pack.bases)
    }

    /// The exceptions that its own pack lists, or the generic one where that lists none.
    pub fn exceptions(&self) -> &'a [LawException] {
        let own = self.own.map(|pack| &*pack.exceptions).filter(|list| !list.is_empty());
        own.unwrap_or(&self.generic.exceptions)
    }

    /// The deadline of a duty. The generic pack has one for each but those of [`Duty::OPTIONAL`], and of those `house.toml` has some.
    pub fn deadline(&self, duty: Duty) -> &'a Deadline {
        let own = self.own.and_then(|pack| pack.deadline(duty)).or_else(|| self.generic.deadline(duty));
        // INVARIANT: `Lawpack::read` refuses a generic pack that lacks a duty.
        own.or_else(|| HOUSE.iter().find(|deadline| deadline.duty == duty)).expect("the generic pack is whole")
    }

    /// The deadline of a duty for a breach of `level`. Where the level is not known, the strictest.
    pub fn deadline_at(&self, duty: Duty, level: Option<i64>) -> &'a Deadline {
        let own = self.own.and_then(|pack| pack.deadline_at(duty, level));
        own.unwrap_or_else(|| self.generic.deadline_at(duty, level).unwrap_or_else(|| self.deadline(duty)))
    }

    /// Whether a duty has another length for another level of a breach.
    pub fn has_levels(&self, duty: Duty) -> bool {
        let pack = self.own.filter(|pack| pack.deadline(duty).is_some()).unwrap_or(self.generic);
        pack.deadlines.iter().any(|deadline| deadline.duty == duty && !deadline.levels.is_empty())
    }

    /// What a level of a breach means, where a pack says it.
    pub fn breach_level(&self, level: i64) -> Option<&'a BreachLevel> {
        let own = self.own.map(|pack| &*pack.breach_levels).filter(|levels| !levels.is_empty());
        own.unwrap_or(&self.generic.breach_levels).iter().find(|known| known.level == level)
    }

    /// At which breaches the contract of a vendor rests: by its own pack, the generic one, or the rule of the house.
    pub fn vendor_suspension(&self) -> &'a VendorSuspension {
        let said = self.own.and_then(|pack| pack.vendor_suspension.as_ref()).or(self.generic.vendor_suspension.as_ref());
        said.unwrap_or(&HOUSE_SUSPENSION)
    }

    /// Microseconds within which a duty is due.
    pub fn within(&self, duty: Duty) -> i64 {
        self.deadline(duty).within()
    }

    /// Whether what a case is about rests until it is decided. Where no pack says so nothing does.
    pub fn suspends(&self, duty: Duty) -> bool {
        self.deadline(duty).suspends
    }

    /// What a notice has to say: by its own pack if that says it, else by the generic one.
    pub fn notice_items(&self) -> &'a [Provision] {
        let own = self.own.map(|pack| &*pack.notice_items).filter(|items| !items.is_empty());
        own.unwrap_or(&self.generic.notice_items)
    }

    /// After which changes of a mandate those who agreed before are asked again. `None` where no pack says it, and every revision asks.
    pub fn asks_again(&self) -> Option<&'a [AskedAgain]> {
        [self.own, Some(self.generic)].into_iter().flatten().map(|pack| &*pack.asks_again).find(|list| !list.is_empty())
    }

    /// What about a mandate asks for an impact assessment: by its own pack if that lists anything, else by the generic one.
    pub fn assessed_when(&self) -> &'a [AssessedWhen] {
        let own = self.own.map(|pack| &*pack.assessed_when).filter(|list| !list.is_empty());
        own.unwrap_or(&self.generic.assessed_when)
    }

    /// What cameras may be for: by its own pack if that lists anything, else by the generic one or what ships with the program.
    pub fn camera_purposes(&self) -> &'a [Provision] {
        let listed = [self.own, Some(self.generic)].into_iter().flatten().map(|pack| &*pack.camera_purposes);
        let mut listed = listed.filter(|list| !list.is_empty());
        listed.next().unwrap_or(&CAMERA_TERMS.purposes)
    }

    /// On which grounds something may be kept that was to be deleted: by its own pack if that lists any, else by the generic one or what ships with
    /// the program.
    pub fn kept_when(&self) -> &'a [Provision] {
        let listed = [self.own, Some(self.generic)].into_iter().flatten().map(|pack| &*pack.kept_when);
        let mut listed = listed.filter(|list| !list.is_empty());
        listed.next().unwrap_or(&KEEPING_GROUNDS)
    }

    /// How old the last look at a camera may be.
    pub fn camera_check(&self) -> &'a Deadline {
        self.deadline_if_any(Duty::CameraCheck).unwrap_or(&CAMERA_TERMS.check)
    }

    /// Its own pack, if one is in force.
    pub fn pack(&self) -> Option<&'a Lawpack> {
        self.own
    }

    /// What it asks of contracts with vendors, its own pack's first.
    fn processors(&self) -> impl Iterator<Item = &'a Processors> + use<'a> {
        let own = self.own.and_then(|pack| pack.processors.as_ref());
        own.into_iter().chain(self.generic.processors.as_ref()).chain(self.standing_in)
    }

    /// Whether it asks anything of contracts with vendors beyond their own fields: clauses, checks and notice.
    pub fn supervises(&self) -> bool {
        self.processors().next().is_some()
    }

    /// The clause library: every clause that a contract has to hold. A pack's own stands for one of the same code in the generic pack.
    pub fn clauses(&self) -> impl Iterator<Item = &'a ContractClause> + use<'a> {
        let own = self.own.and_then(|pack| pack.processors.as_ref()).map_or(&[][..], |own| &own.clauses);
        let is_new = |clause: &&ContractClause| own.iter().all(|known| known.code != clause.code);
        let general = self.generic.processors.as_ref().or(self.standing_in).map_or(&[][..], |general| &general.clauses);
        own.iter().chain(general.iter().filter(is_new))
    }

    /// Countries where vendors may keep data. Where none is named, the mandates say it.
    pub fn data_locations(&self) -> &'a [String] {
        self.processors().map(|processors| &*processors.data_locations).find(|places| !places.is_empty()).unwrap_or_default()
    }

    /// A limit in days as people say it, rounded down.
    pub fn days(&self, duty: Duty) -> i64 {
        self.within(duty) / crate::time::DAY
    }
}

impl Deadline {
    /// In microseconds.
    pub fn within(&self) -> i64 {
        self.within.micros()
    }

    /// The prolongation in microseconds; 0 where there is none.
    pub fn extension(&self) -> i64 {
        self.extension.as_ref().map_or(0, Length::micros)
    }
}

impl Lawpack {
    /// Whether it counts at `at`.
    pub fn is_in_force(&self, at: Time) -> bool {
        self.status == LawStatus::InForce && self.valid_from <= at && self.valid_until.is_none_or(|until| at < until)
    }

    /// What it says of a duty: the strictest, where that depends on the level of a breach.
    pub fn deadline(&self, duty: Duty) -> Option<&Deadline> {
        self.deadline_at(duty, None)
    }

    /// What it says of a duty for a breach of `level`, or where that is not known, the strictest.
    pub fn deadline_at(&self, duty: Duty, level: Option<i64>) -> Option<&Deadline> {
        let holds = |deadline: &&Deadline| {
            deadline.duty == duty && level.is_none_or(|level| deadline.levels.is_empty() || deadline.levels.contains(&level))
        };
        self.deadlines.iter().filter(holds).min_by_key(|deadline| deadline.within())
    }

    /// Reads a pack, or lists everything that is missing or wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let pack = Self::fields(&mut draft);
        if let Some(pack) = &pack {
            pack.check(&mut draft);
        }
        let problems = draft.finish();
        match pack {
            Some(pack) if problems.is_empty() => Ok(pack),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let jurisdiction = draft.string("jurisdiction", 40, "Give the code that bodies name, as `TW`.");
        let title = draft.text("title", 160, "Name the law in both languages.");
        let statuses = [("draft", LawStatus::Draft), ("in_force", LawStatus::InForce)];
        let status = draft.word("status", &statuses, "Say whether it is in force or a draft.");
        let valid_from = draft.time("valid_from", "Give the first day of its force.");
        let valid_until = draft.optional_parse("valid_until", "Give the day on which it ends, or leave it out.");
        let bases = draft.optional_objects("bases", |basis| {
            let provision = provision(basis);
            let kind = basis.word("basis", &BASES, "Say which kind of basis it is.");
            let is_order = basis.optional_flag("is_order").unwrap_or(false);
            if is_order && kind == Some(Basis::Consent) {
                basis.note("is_order", "consent", "Nobody agrees to an order. Take one of the two out.".into());
            }
            let Provision { code, article, text } = provision?;
            Some(LawBasis { code, basis: kind?, article, text, is_order })
        });
        let exceptions = draft.optional_objects("exceptions", |exception| {
            let provision = provision(exception);
            let doors = [("other_purpose", Opens::OtherPurpose), ("special", Opens::Special)];
            let opens = exception.word("opens", &doors, "Say what it opens: specially protected data, or another purpose.");
            let reason_each_use = exception.optional_flag("reason_each_use").unwrap_or(false);
            let Provision { code, article, text } = provision?;
            Some(LawException { code, article, text, opens: opens?, reason_each_use })
        });
        let notice_items = draft.optional_objects("notice_items", provision);
        let asks_again = draft.optional_objects("asks_again", AskedAgain::read);
        let assessed_when = draft.optional_objects("assessed_when", AssessedWhen::read);
        let camera_purposes = draft.optional_objects("camera_purposes", provision);
        let kept_when = draft.optional_objects("kept_when", provision);
        let deadlines = draft.objects("deadlines", "List what the law sets a time for.", deadline);
        let breach_levels = draft.optional_objects("breach_levels", breach_level);
        let vendor_suspension = draft.optional_object("vendor_suspension", vendor_suspension);
        let processors = draft.optional_object("processors", Processors::read);
        let sources = draft.objects("sources", "Name where it can be read.", |source| {
            let title = source.string("title", 200, "Name the text.");
            let url = source.string("url", 300, "Give its address.");
            Some(Source { title: title?, url: url? })
        });
        Some(Self {
            jurisdiction: jurisdiction?,
            title: title?,
            status: status?,
            valid_from: valid_from?,
            valid_until,
            bases,
            exceptions,
            notice_items,
            asks_again,
            assessed_when,
            camera_purposes,
            kept_when,
            deadlines,
            breach_levels,
            vendor_suspension,
            processors,
            sources,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        if self.valid_until.is_some_and(|until| until <= self.valid_from) {
            draft.note("valid_until", "before-start", "The pack ends before it begins. Correct one of the days.".into());
        }
        let asks = |change: Change| self.asks_again.iter().any(|asked| asked.change == change);
        for change in Change::ALWAYS.into_iter().filter(|change| !self.asks_again.is_empty() && !asks(*change)) {
            let message = format!("Nobody would be asked again after a change of `{}`. Add it to the list.", change.code());
            draft.note("asks_again", "missing", message);
        }
        let is_too_long = |deadline: &Deadline| deadline.duty == Duty::EmergencyLongest && deadline.within() > LONGEST_EMERGENCY;
        if self.deadlines.iter().any(is_too_long) {
            let message =
                "No pack lets an emergency run longer than 90 days. Shorten it; what goes on is a new mandate after a review.";
            draft.note("deadlines", "too-long", message.into());
        }
        for (i, level) in self.breach_levels.iter().enumerate() {
            if self.breach_levels.iter().take(i).any(|other| other.level >= level.level) {
                let message = "The levels are not in order, the lightest first. Sort them, each once.";
                draft.note(&format!("breach_levels[{i}]"), "not-sorted", message.into());
            }
        }
        for (word, duty) in Duty::WORDS {
            let said: Vec<&Deadline> = self.deadlines.iter().filter(|deadline| deadline.duty == *duty).collect();
            if !said.is_empty() && Duty::OF_CONTRACTS.contains(duty) {
                draft.note("deadlines", "of-contracts", format!("Each contract says how long `{word}` takes. Take it out."));
            }
            let mut levels: Vec<i64> = said.iter().flat_map(|deadline| &deadline.levels).copied().collect();
            levels.sort_unstable();
            if !levels.is_empty() && (!Duty::OF_BREACHES.contains(duty) || levels != (1..=Breach::WORST).collect::<Vec<i64>>()) {
                let message =
                    format!("`{word}` does not say for each level of a breach, once, how long it takes. Name all or none.");
                draft.note("deadlines", "levels", message);
            }
            match said.iter().filter(|deadline| deadline.levels.is_empty()).count() + usize::from(!levels.is_empty()) {
                0 if self.jurisdiction == GENERIC && !Duty::OPTIONAL.contains(duty) => {
                    let message = format!("The generic pack says nothing of `{word}`. Give every duty a time in it.");
                    draft.note("deadlines", "missing", message);
                }
                0 | 1 => {}
                _ => draft.note("deadlines", "duplicate", format!("`{word}` has two times. Keep one.")),
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn provision(draft: &mut Draft<'_>) -> Option<Provision> {
    let code = draft.string("code", 40, "Give it a short code.");
    let article = draft.string("article", 80, "Name the article.");
    let text = draft.text("text", 400, "Say it in words for residents.");
    Some(Provision { code: code?, article: article?, text: text? })
}

fn deadline(draft: &mut Draft<'_>) -> Option<Deadline> {
    let duty = draft.word("duty", Duty::WORDS, "Say what it is about.");
    let within = draft.duration("within", "Give the length, as `P30D`.");
    let extension = draft.optional_duration("extension");
    let suspends = draft.optional_flag("suspends").unwrap_or(false);
    let when = draft.optional_text("when", 200);
    let levels = levels(draft);
    let article = draft.string("article", 120, "Name the article, or the rule of the house.");
    Some(Deadline { duty: duty?, within: within?, extension, suspends, when, levels, article: article? })
}

/// The levels for which a deadline holds, written `[1, 2]`.
fn levels(draft: &mut Draft<'_>) -> Vec<i64> {
    let Some(value) = draft.optional("levels") else { return Vec::new() };
    let is_level = |level: &i64| (1..=Breach::WORST).contains(level);
    let levels: Option<Vec<i64>> =
        value.as_array().and_then(|items| items.iter().map(|item| item.as_i64().filter(is_level)).collect());
    if levels.is_none() {
        let message = format!("This is no list of levels from 1 to {}. Write it as `[1, 2]`, or leave it out.", Breach::WORST);
        draft.note("levels", "not-levels", message);
    }
    levels.unwrap_or_default()
}

fn breach_level(draft: &mut Draft<'_>) -> Option<BreachLevel> {
    let level = draft.integer("level", 1, Breach::WORST, "Number it, the lightest 1.");
    let text = draft.text("text", 400, "Say what it means.");
    let article = draft.string("article", 120, "Name the article.");
    Some(BreachLevel { level: level?, text: text?, article: article? })
}

fn vendor_suspension(draft: &mut Draft<'_>) -> Option<VendorSuspension> {
    let from_level = draft.integer("from_level", 1, Breach::WORST, "Say from which level on.");
    let causes = draft.words("causes", &BreachCause::WORDS, "List the causes, or an empty list.");
    let article = draft.string("article", 120, "Name the article, or the rule of the house.");
    Some(VendorSuspension { from_level: from_level?, causes, article: article? })
}
