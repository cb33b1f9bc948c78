//! What a monitor has to say: findings with stable codes, and which of them are open.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use usufruct_core::Time;
use usufruct_core::hash::sha256;

/// How much a report weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is wrong.
    Info,
    /// Something is not as it should be, but no promise is broken yet.
    Warning,
    /// A promise is broken, or a rule.
    Finding,
}

/// What a report is about. The words are stable; `docs/monitor.md` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    CertificateMissing,
    CertificateOverdue,
    Checkpoint,
    CheckpointMalformed,
    CheckpointStale,
    CheckpointUnsigned,
    ClockOff,
    CosignatureWrong,
    DrawForeseeable,
    FillerShort,
    History,
    KeyChanged,
    KeyTrusted,
    KeyUndeclared,
    KeyUnpublished,
    LeafUnknown,
    Leaves,
    LogForked,
    LogShrank,
    LogUnproven,
    LogUnreachable,
    OriginChanged,
    QuorumMissing,
    RecountMisdrawn,
    Register,
    SignatureMissing,
    SignatureWrong,
    StatementMalformed,
    StatementUnlawful,
    StillOpen,
    SunsetOverdue,
    TagIndexAbsent,
    TagIndexWrong,
    TallyByPerson,
    Terms,
    TileMissing,
    TileWrong,
    Verified,
    VerifierDiffers,
    WebhookFailing,
    WitnessLate,
}

/// What is judged together: a finding is cleared by a look that has judged its subject and no longer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// What was found in a signed leaf, or proven by two signed notes. It stays so.
    Evidence,
    Head,
    Index,
    Pace,
    Reach,
    Register,
    Tiles,
    Verifier,
    Witnesses,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    pub code: Code,
    /// The leaf it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leaf: Option<u64>,
    /// What else it is about: an id of the register, a witness of the policy, a file of the log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<String>,
    /// What happened, and what to do.
    pub message: String,
    /// Files that prove it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<String>,
}

/// A finding on its way to people and machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was found or cleared.
    pub time: Time,
    /// The name of the log.
    pub origin: String,
    /// The same for the same report, so that whoever receives it twice can tell.
    pub id: String,
    /// Whether this says that the finding is over.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cleared: bool,
    #[serde(flatten)]
    pub finding: Finding,
}

/// The findings that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ledger(Vec<Open>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    since: Time,
    #[serde(flatten)]
    finding: Finding,
}

impl Finding {
    /// Something of this weight. The message is two sentences.
    pub fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self { severity, code, leaf: None, object: None, message: message.into(), evidence: Vec::new() }
    }

    /// A broken promise or rule.
    pub fn broken(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Finding, code, message)
    }

    pub fn at_leaf(self, leaf: u64) -> Self {
        Self { leaf: Some(leaf), ..self }
    }

    pub fn about(self, object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    pub fn with_evidence(self, evidence: Vec<String>) -> Self {
        Self { evidence, ..self }
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.code, self.leaf, &self.object) == (other.code, other.leaf, &other.object)
    }
}

impl Report {
    pub fn new(time: Time, origin: &str, finding: Finding, since: Time, cleared: bool) -> Self {
        let Finding { severity, code, leaf, object, .. } = &finding;
        let identity = format!("{origin}\n{code}\n{leaf:?}\n{object:?}\n{severity:?}\n{}\n{cleared}", since.micros());
        let digest = sha256(identity.as_bytes());
        let id = digest.0.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { time, origin: origin.to_owned(), id, cleared, finding }
    }
}

impl Ledger {
    /// Takes up what a look found, and answers what is news: what was not open, or weighs more than before, and what is over
    /// among the subjects that were judged.
    pub fn settle(&mut self, now: Time, origin: &str, found: Vec<Finding>, judged: &BTreeSet<Subject>) -> Vec<Report> {
        let mut reports = Vec::new();
        let is_over = |open: &Open| {
            let subject = open.finding.code.subject();
            subject.is_some_and(|subject| subject != Subject::Evidence && judged.contains(&subject))
                && !found.iter().any(|finding| finding.is_same(&open.finding))
        };
        self.0.retain(|open| {
            if is_over(open) {
                let over = Finding { severity: Severity::Info, ..open.finding.clone() };
                reports.push(Report::new(now, origin, over, open.since, true));
                return false;
            }
            true
        });
        for finding in found {
            match self.0.iter_mut().find(|open| open.finding.is_same(&finding)) {
                Some(open) if open.finding.severity >= finding.severity => open.finding.message.clone_from(&finding.message),
                Some(open) => {
                    open.finding = finding.clone();
                    reports.push(Report::new(now, origin, finding, open.since, false));
                }
                None => {
                    // A log that is wrong everywhere must not fill the disk of whoever watches it.
                    if self.0.len() < MOST_OPEN {
                        self.0.push(Open { since: now, finding: finding.clone() });
                    }
                    reports.push(Report::new(now, origin, finding, now, false));
                }
            }
        }
        reports
    }

    /// Whether this is open already.
    pub fn has(&self, finding: &Finding) -> bool {
        self.open().any(|open| open.is_same(finding))
    }

    /// What is open, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().map(|open| &open.finding)
    }

    /// Whether anything that is open is a broken promise or rule.
    pub fn has_findings(&self) -> bool {
        self.open().any(|finding| finding.severity == Severity::Finding)
    }
}

impl Code {
    /// What has to be judged again to clear it; `None` for mere information.
    pub fn subject(self) -> Option<Subject> {
        use Code::*;
        Some(match self {
            DrawForeseeable | LeafUnknown | LogForked | RecountMisdrawn | StatementMalformed | StatementUnlawful
            | TallyByPerson => Subject::Evidence,
            CheckpointMalformed | CheckpointUnsigned | KeyChanged | LogShrank | LogUnproven | OriginChanged => Subject::Head,
            TagIndexWrong => Subject::Index,
            CheckpointStale | FillerShort => Subject::Pace,
            LogUnreachable => Subject::Reach,
            CertificateMissing | CertificateOverdue | KeyUnpublished | SunsetOverdue => Subject::Register,
            TileMissing | TileWrong => Subject::Tiles,
            VerifierDiffers => Subject::Verifier,
            ClockOff | CosignatureWrong | KeyUndeclared | QuorumMissing | SignatureMissing | SignatureWrong | WitnessLate => {
                Subject::Witnesses
            }
            Checkpoint | History | KeyTrusted | Leaves | Register | StillOpen | TagIndexAbsent | Terms | Verified
            | WebhookFailing => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Findings that are remembered at once.
const MOST_OPEN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "city.test/log";

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    fn late(severity: Severity) -> Finding {
        Finding::new(severity, Code::WitnessLate, "It is late. Ask it.").about("oversight")
    }

    #[test]
    fn a_finding_is_reported_once_and_again_when_it_is_over() {
        let mut ledger = Ledger::default();
        let judged = BTreeSet::from([Subject::Witnesses]);
        let first = ledger.settle(at(1), ORIGIN, vec![late(Severity::Warning)], &judged);
        assert_eq!((first.len(), first[0].cleared), (1, false));
        assert!(!ledger.has_findings());
        assert!(ledger.settle(at(2), ORIGIN, vec![late(Severity::Warning)], &judged).is_empty());
        let worse = ledger.settle(at(3), ORIGIN, vec![late(Severity::Finding)], &judged);
        assert_eq!(worse.len(), 1);
        assert_ne!(worse[0].id, first[0].id);
        assert!(ledger.has_findings());
        // A look that could not judge says nothing.
        assert!(ledger.settle(at(4), ORIGIN, Vec::new(), &BTreeSet::from([Subject::Pace])).is_empty());
        let over = ledger.settle(at(5), ORIGIN, Vec::new(), &judged);
        assert!(over[0].cleared && over[0].finding.severity == Severity::Info);
        assert!(ledger.open().next().is_none());
        assert_eq!(ledger.settle(at(6), ORIGIN, vec![late(Severity::Warning)], &judged).len(), 1);
    }

    #[test]
    fn what_stands_in_a_signed_leaf_is_never_over() {
        let mut ledger = Ledger::default();
        let all = BTreeSet::from([Subject::Evidence, Subject::Head, Subject::Tiles]);
        ledger.settle(at(1), ORIGIN, vec![Finding::broken(Code::LeafUnknown, "It is wrong. Ask.").at_leaf(3)], &all);
        assert!(ledger.settle(at(2), ORIGIN, Vec::new(), &all).is_empty());
        assert!(ledger.has_findings());
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
        assert!(text.contains("\"leaf-unknown\""));
    }
}
