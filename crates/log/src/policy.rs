//! Trust policies: which logs are accepted, and which witnesses must have cosigned (C2SP tlog-policy).

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{self, Checkpoint};
use crate::cosignature::CosignatureVerifier;
use crate::error::{Error, Result};
use crate::key::{SignatureType, VerifierKey};
use crate::note::{Note, Verifier};

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    quorum: Option<String>,
}

/// A log that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key, whose name is the origin.
    pub key: VerifierKey,
    /// Where it is read.
    pub url: Option<String>,
}

/// A witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in this policy, which is not that of the key.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Its submission prefix.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    threshold: usize,
    members: Vec<String>,
}

impl Policy {
    /// The logs, in order.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in order.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether the quorum is met when exactly the witnesses that `cosigned` says have cosigned.
    pub fn is_met(&self, cosigned: &dyn Fn(&PolicyWitness) -> bool) -> bool {
        let Some(quorum) = &self.quorum else { return true };
        let mut met: Vec<&str> =
            self.witnesses.iter().filter(|witness| cosigned(witness)).map(|witness| witness.name.as_str()).collect();
        // Groups stand after what they name, so one pass is enough.
        for group in &self.groups {
            if group.members.iter().filter(|member| met.contains(&member.as_str())).count() >= group.threshold {
                met.push(&group.name);
            }
        }
        met.contains(&quorum.as_str())
    }

    /// Verifies a checkpoint: signed by a listed log whose name is its origin (and that is `origin`, where one is
    /// given), no wrong signature by any listed key, and cosigned by the quorum.
    pub fn check(&self, note: &[u8], origin: Option<&str>) -> Result<(Checkpoint, Note)> {
        let parsed: Checkpoint = Note::parse(note)?.text().parse()?;
        let expected = origin.unwrap_or(parsed.origin());
        let keys = self.logs.iter().map(|log| &log.key).filter(|key| key.name() == expected);
        let verifiers: Vec<_> = keys.map(VerifierKey::any_verifier).collect::<Result<_>>()?;
        let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
        let (checkpoint, note) = checkpoint::open(note, expected, &verifiers)?;
        let mut cosigned = Vec::new();
        for witness in &self.witnesses {
            if !note.verified_by(&[&CosignatureVerifier::new(witness.key.clone())?])?.is_empty() {
                cosigned.push(&witness.name);
            }
        }
        if self.is_met(&|witness| cosigned.contains(&&witness.name)) { Ok((checkpoint, note)) } else { Err(Error::Unwitnessed) }
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::TooLarge { what: "policy", limit: MAX_BYTES });
        }
        if text.bytes().any(|byte| byte != b'\n' && byte != b'\t' && (byte < 0x20 || byte == 0x7f)) {
            return Err(malformed("it holds a control character"));
        }
        let body = text.strip_suffix('\n').ok_or_else(|| malformed("the last line has no newline"))?;
        let mut reading = Reading::default();
        for line in body.split('\n') {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if !words.first().is_none_or(|word| word.starts_with('#')) {
                reading.line(&words)?;
            }
        }
        let Reading { policy, quorum, .. } = reading;
        let quorum = quorum.ok_or_else(|| malformed("it has no quorum line"))?;
        Ok(Self { quorum, ..policy })
    }
}

struct Reading {
    policy: Policy,
    quorum: Option<Option<String>>,
    /// Names that are a member of a group already.
    grouped: Vec<String>,
}

impl Default for Reading {
    fn default() -> Self {
        let policy = Policy { logs: Vec::new(), witnesses: Vec::new(), groups: Vec::new(), quorum: None };
        Self { policy, quorum: None, grouped: Vec::new() }
    }
}

impl Reading {
    fn line(&mut self, words: &[&str]) -> Result<()> {
        match words {
            ["log", key, url @ ..] if url.len() <= 1 => self.log(key, url.first()),
            ["witness", name, key, url @ ..] if url.len() <= 1 => self.witness(name, key, url.first()),
            ["group", name, threshold, members @ ..] if !members.is_empty() => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            _ => Err(malformed("a line is no log, witness, group or quorum")),
        }
    }

    fn log(&mut self, key: &str, url: Option<&&str>) -> Result<()> {
        let key: VerifierKey = key.parse()?;
        let fits = matches!(key.kind(), SignatureType::Ed25519 | SignatureType::MlDsaCosignature);
        if !fits || self.policy.logs.iter().any(|log| log.key.key() == key.key()) {
            return Err(malformed("a log's key is of a type that logs do not sign with, or is listed twice"));
        }
        limit(self.policy.logs.len())?;
        self.policy.logs.push(PolicyLog { key, url: url.map(|url| (*url).to_owned()) });
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<()> {
        self.fresh(name)?;
        let key: VerifierKey = key.parse()?;
        CosignatureVerifier::new(key.clone())?;
        if self.policy.witnesses.iter().any(|witness| witness.key.key() == key.key()) {
            return Err(malformed("a witness's key is listed twice"));
        }
        limit(self.policy.witnesses.len())?;
        self.policy.witnesses.push(PolicyWitness { name: name.to_owned(), key, url: url.map(|url| (*url).to_owned()) });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<()> {
        self.fresh(name)?;
        for member in members {
            if !self.is_known(member) || self.grouped.iter().any(|grouped| grouped == member) {
                return Err(malformed("a member of a group is not defined above, or is a member already"));
            }
            self.grouped.push((*member).to_owned());
        }
        let threshold = match threshold {
            "all" => members.len(),
            "any" => 1,
            number => usize::try_from(crate::text::decimal("policy", number)?).unwrap_or(0),
        };
        if !(1..=members.len()).contains(&threshold) {
            return Err(malformed("the threshold of a group is not between one and the number of its members"));
        }
        limit(self.policy.groups.len())?;
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.policy.groups.push(Group { name: name.to_owned(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<()> {
        if self.quorum.is_some() || (name != NONE && !self.is_known(name)) {
            return Err(malformed("there are two quorum lines, or one names what is not defined above"));
        }
        self.quorum = Some((name != NONE).then(|| name.to_owned()));
        Ok(())
    }

    fn fresh(&self, name: &str) -> Result<()> {
        if name == NONE || self.is_known(name) { Err(malformed("a name is defined twice")) } else { Ok(()) }
    }

    fn is_known(&self, name: &str) -> bool {
        self.policy.witnesses.iter().any(|witness| witness.name == name)
            || self.policy.groups.iter().any(|group| group.name == name)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<String>| url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        self.logs.iter().try_for_each(|log| writeln!(f, "log {}{}", log.key, url(&log.url)))?;
        let mut witnesses = self.witnesses.iter();
        witnesses.try_for_each(|witness| writeln!(f, "witness {} {}{}", witness.name, witness.key, url(&witness.url)))?;
        let mut groups = self.groups.iter();
        groups.try_for_each(|group| writeln!(f, "group {} {} {}", group.name, group.threshold, group.members.join(" ")))?;
        writeln!(f, "quorum {}", self.quorum.as_deref().unwrap_or(NONE))
    }
}

fn limit(count: usize) -> Result<()> {
    if count < MAX_LINES { Ok(()) } else { Err(Error::TooLarge { what: "number of lines of one kind", limit: MAX_LINES }) }
}

fn malformed(why: &str) -> Error {
    Error::malformed("policy", why)
}

const MAX_BYTES: usize = 1_000_000;
const MAX_LINES: usize = 256;
const NONE: &str = "none";
