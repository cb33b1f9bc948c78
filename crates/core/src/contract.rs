//! Contract: what a vendor agreed to before it may process anything (Taiwan Enforcement Rule 8, GDPR 28(3)).

use serde::Serialize;
use serde_json::Value;

use crate::clause::{ContractClause, Filled, NamedClause};
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, BlockId, MandateId};
use crate::time::Length;
use crate::{Digest, Text, Time};

/// A contract between a controller and a vendor. Every line is required, and every clause of the library before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contract {
    pub controller: AgencyId,
    pub vendor: AgencyId,
    pub mandates: Vec<MandateId>,
    pub scope: Text,
    pub from: Time,
    pub until: Time,
    pub capability_evidence: Vec<Evidence>,
    pub measures: Vec<Text>,
    /// Country codes; the city allows `TW` by default.
    pub data_locations: Vec<String>,
    pub cloud_provider: Option<String>,
    pub subprocessors: Vec<Subprocessor>,
    pub breach_first_ping_hours: i64,
    pub breach_report_hours: i64,
    pub check_every: Length,
    pub next_check_due: Time,
    pub penalty: Text,
    /// The same line by line: what costs the vendor how much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub penalties: Vec<Penalty>,
    pub no_own_purpose: bool,
    pub delete_within_days: i64,
    /// The clauses of the library that it holds, with what it put in their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<NamedClause>,
    /// Blocks the vendor may receive as values instead of tokens, each with its justification.
    pub value_blocks: Vec<ValueBlock>,
}

/// A justified exception from "vendors hold tokens, not people".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueBlock {
    pub block: BlockId,
    pub why: Text,
}

/// What the vendor pays for one kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Penalty {
    pub trigger: Text,
    /// With its currency, as `TWD 1,000,000`.
    pub amount: String,
}

/// Proof of a capability, with an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub kind: String,
    pub issuer: String,
    pub expires: Time,
    /// SHA-256 of the certificate or report, so that nobody can put another one in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// A vendor of the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subprocessor {
    pub agency: AgencyId,
    pub location: String,
    pub approved_by: AgencyId,
    /// From when it works; without a day, as long as the contract runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// The sub-processor whose vendor it is; without one, the vendor's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under: Option<AgencyId>,
}

/// A year, which no contract reaches.
const MOST_HOURS: i64 = 366 * 24;
/// Ten years, which no contract reaches.
const MOST_DAYS: i64 = 3_660;

impl Contract {
    /// Reads a contract, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let contract = Self::fields(&mut draft);
        let problems = draft.finish();
        match contract {
            Some(contract) if problems.is_empty() => Ok(contract),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let controller = draft.parse("controller", "Name the agency that commissions, as `agc_library`.");
        let vendor = draft.parse("vendor", "Name the vendor, as `agc_cloud`.");
        let mandates = draft.parses("mandates", "List the mandates it serves.");
        let scope = draft.text("scope", 400, "Say what the vendor does with which data.");
        let from = draft.time("from", "Give the first day.");
        let until = draft.time("until", "Give the last day; a contract without an end cannot exist.");
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            draft.note("until", "before-start", "The contract ends before it begins. Correct one of the days.".into());
        }
        let capability_evidence =
            draft.objects("capability_evidence", "Attach evidence that the vendor can protect data.", |evidence| {
                let kind = evidence.string("kind", 80, "Name the certificate or audit.");
                let issuer = evidence.string("issuer", 120, "Name who issued it.");
                let expires = evidence.time("expires", "Give the day it ends.");
                let sha256 = evidence.optional_parse("sha256", "Give the SHA-256 of the document in hexadecimal digits.");
                Some(Evidence { kind: kind?, issuer: issuer?, expires: expires?, sha256 })
            });
        let measures: Vec<Text> = draft.objects("measures", "List the security measures.", |measure| {
            let en = measure.string("en", 300, "Write it in English.");
            let zh = measure.string("zh-Hant", 300, "Write it in traditional Chinese.");
            Some(Text { en: en?, zh_hant: zh? })
        });
        let data_locations = draft.parses::<String>("data_locations", "List the countries where data is kept, as `TW`.");
        let cloud_provider = draft.optional_string("cloud_provider", 120);
        let subprocessors = draft.optional_objects("subprocessors", |sub| {
            let agency = sub.parse("agency", "Name the sub-processor.");
            let location = sub.string("location", 40, "Give the country.");
            let approved_by = sub.parse("approved_by", "Name who approved it.");
            let from = sub.optional_parse("from", "Say from when it works, or leave it out.");
            let under = sub.optional_parse("under", "Name the sub-processor whose vendor it is, or leave it out.");
            Some(Subprocessor { agency: agency?, location: location?, approved_by: approved_by?, from, under })
        });
        // How much time a contract may give is law; here is what a number of hours or days can be at all.
        let ping = draft.integer("breach_first_ping_hours", 1, MOST_HOURS, "Give the hours until the first call after a breach.");
        let report = draft.integer("breach_report_hours", 1, MOST_HOURS, "Give the hours until the report after a breach.");
        let check_every = draft.duration("check_every", "Give how often the vendor is checked, as `P90D`.");
        let next_check_due = draft.time("next_check_due", "Give the day of the next check.");
        let penalty = draft.text("penalty", 400, "Say what a breach costs the vendor.");
        let penalties = draft.optional_objects("penalties", |penalty| {
            let trigger = penalty.text("trigger", 200, "Say what it is paid for.");
            let amount = penalty.string("amount", 60, "Say how much, with the currency.");
            Some(Penalty { trigger: trigger?, amount: amount? })
        });
        let no_own_purpose = draft.flag("no_own_purpose", "State that the vendor has no purpose of its own.");
        if no_own_purpose == Some(false) {
            draft.note(
                "no_own_purpose",
                "own-purpose",
                "A vendor may not use the data for itself. Set this to `true` or find another vendor.".into(),
            );
        }
        let delete_within_days =
            draft.integer("delete_within_days", 1, MOST_DAYS, "Give the days until everything is deleted after the end.");
        let clauses = draft.optional_objects("clauses", NamedClause::read);
        let mut names: Vec<_> = clauses.iter().map(|named| &named.clause).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("clauses", "duplicate", "A clause stands in the contract twice. Take one out.".into());
        }
        let value_blocks = draft.optional_objects("value_blocks", |value| {
            let block = value.parse("block", "Name the block.");
            let why = value.text("why", 300, "Say why a token is not enough.");
            Some(ValueBlock { block: block?, why: why? })
        });
        Some(Self {
            controller: controller?,
            vendor: vendor?,
            mandates,
            scope: scope?,
            from: from?,
            until: until?,
            capability_evidence,
            measures,
            data_locations,
            cloud_provider,
            subprocessors,
            breach_first_ping_hours: ping?,
            breach_report_hours: report?,
            check_every: check_every?,
            next_check_due: next_check_due?,
            penalty: penalty?,
            penalties,
            no_own_purpose: no_own_purpose?,
            delete_within_days: delete_within_days?,
            clauses,
            value_blocks,
        })
    }

    /// How deep the chain of sub-processors is: 0 without any, 1 where only the vendor has some. `None` where it leads to nobody.
    pub fn depth(&self) -> Option<usize> {
        self.subprocessors.iter().map(|sub| self.depth_of(sub)).try_fold(0, |deepest, depth| Some(deepest.max(depth?)))
    }

    /// How deep a sub-processor of it is: 1 for the vendor's own.
    pub fn depth_of(&self, sub: &Subprocessor) -> Option<usize> {
        let (mut depth, mut above) = (1, sub.under.as_ref());
        while let Some(agency) = above {
            depth += 1;
            if depth > self.subprocessors.len() {
                return None;
            }
            above = self.subprocessors.iter().find(|other| other.agency == *agency)?.under.as_ref();
        }
        Some(depth)
    }

    /// A sub-processor of it and those whose vendor it is, one above the other, up to the vendor's own.
    pub fn chain_of<'a>(&'a self, sub: &'a Subprocessor) -> impl Iterator<Item = &'a Subprocessor> {
        let above = |sub: &&'a Subprocessor| {
            let above = sub.under.as_ref()?;
            self.subprocessors.iter().find(|other| other.agency == *above)
        };
        // A contract may be kept whose chain runs in a circle; nobody signs it.
        std::iter::successors(Some(sub), above).take(self.subprocessors.len())
    }

    /// Until when something shows that the vendor is able to do what it does: the day of the last evidence. `None` without any.
    pub fn proven_until(&self) -> Option<Time> {
        self.capability_evidence.iter().map(|evidence| evidence.expires).max()
    }

    /// A number that one of its clauses gives.
    pub fn number(&self, clause: &str, parameter: &str) -> Option<i64> {
        match self.clauses.iter().find(|named| named.clause == clause)?.parameters.get(parameter)? {
            Filled::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A clause of the library in the words of this contract. What is not filled keeps its braces.
    pub fn words(&self, clause: &ContractClause) -> Text {
        let own = [
            ("breach_first_ping_hours", self.breach_first_ping_hours),
            ("breach_report_hours", self.breach_report_hours),
            ("delete_within_days", self.delete_within_days),
        ];
        let own = own.into_iter().map(|(name, number)| (name.to_owned(), Filled::Number(number)));
        let named = self.clauses.iter().find(|named| named.clause == clause.code);
        let given = named.into_iter().flat_map(|named| named.parameters.clone());
        let mut words = clause.text.clone();
        for (name, filled) in own.chain(given) {
            let (place, filled) = (format!("{{{name}}}"), filled.words());
            words.en = words.en.replace(&place, filled.en.trim_end_matches('.'));
            words.zh_hant = words.zh_hant.replace(&place, filled.zh_hant.trim_end_matches('。'));
        }
        words
    }

    /// Whether `other` says the same but for sub-processors.
    pub fn differs_in_subprocessors_only(&self, other: &Self) -> bool {
        let rest = |contract: &Self| Self { subprocessors: Vec::new(), ..contract.clone() };
        rest(self) == rest(other)
    }
}
