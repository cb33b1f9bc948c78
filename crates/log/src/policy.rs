//! Trust policies: which logs are accepted, and which witnesses must have cosigned (C2SP tlog-policy).

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::Checkpoint;
use crate::cosignature::CosignatureVerifier;
use crate::error::{Error, Result};
use crate::key::VerifierKey;
use crate::note::Note;
use crate::text;

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    /// Each after all that it names.
    groups: Vec<Group>,
    quorum: Option<Named>,
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
    /// Its name in this policy, which is not that of the key. No two witnesses of a policy have the same.
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
    members: Vec<Named>,
}

/// What a name of the policy stands for, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Group(usize),
    Witness(usize),
}

impl Policy {
    /// Reads a policy file. Names and addresses may hold any octets from 0x80 up; one that is not UTF-8 is kept in its
    /// escaped form, which changes nothing, as names mean nothing outside of the file.
    ///
    /// Files of more than a million bytes are refused, and so are more than 256 logs, witnesses or groups.
    pub fn parse(policy: &[u8]) -> Result<Self> {
        if policy.len() > MAX_BYTES {
            return Err(Error::TooLarge { what: "policy", limit: MAX_BYTES });
        }
        if policy.iter().any(|octet| !matches!(octet, b'\t' | b'\n' | 0x20..=0x7e | 0x80..)) {
            return Err(malformed("it holds a control character"));
        }
        let lines = policy.strip_suffix(b"\n").ok_or_else(|| malformed("the last line has no newline"))?;
        let mut reading = Reading::default();
        for (number, line) in (1..).zip(lines.split(|octet| *octet == b'\n')) {
            reading.line(line).map_err(|why| malformed(format!("line {number}: {why}")))?;
        }
        let Reading { logs, witnesses, groups, quorum, .. } = reading;
        let quorum = quorum.ok_or_else(|| malformed("it has no quorum line"))?;
        Ok(Self { logs, witnesses, groups, quorum })
    }

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
        let witnesses: Vec<bool> = self.witnesses.iter().map(cosigned).collect();
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let has = |named: &Named, groups: &[bool]| match *named {
            Named::Group(position) => groups.get(position) == Some(&true),
            Named::Witness(position) => witnesses.get(position) == Some(&true),
        };
        for group in &self.groups {
            groups.push(group.members.iter().filter(|member| has(member, &groups)).count() >= group.threshold);
        }
        self.quorum.is_none_or(|quorum| has(&quorum, &groups))
    }

    /// Whether the cosignatures on a checkpoint are enough. A wrong one by a listed witness is an error.
    pub fn is_met_by(&self, note: &Note) -> Result<bool> {
        let mut cosigned = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            if !note.verified_by(&[&CosignatureVerifier::new(witness.key.clone())?])?.is_empty() {
                cosigned.push(&witness.name);
            }
        }
        Ok(self.is_met(&|witness| cosigned.contains(&&witness.name)))
    }

    /// Verifies a checkpoint: signed by a listed log whose name is its origin (and that is `origin`, where one is
    /// given), no wrong signature by any listed key, and cosigned by the quorum.
    pub fn check(&self, note: &[u8], origin: Option<&str>) -> Result<(Checkpoint, Note)> {
        let note = Note::parse(note)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        if let Some(expected) = origin.filter(|expected| *expected != checkpoint.origin()) {
            return Err(Error::malformed("checkpoint", format!("it is for {:.255}, not for {expected}", checkpoint.origin())));
        }
        let mut is_signed = false;
        for log in &self.logs {
            let has_signed = !note.verified_by(&[&*log.key.any_verifier()?])?.is_empty();
            is_signed |= has_signed && log.key.name() == checkpoint.origin();
        }
        if !is_signed {
            return Err(Error::Unsigned);
        }
        if self.is_met_by(&note)? { Ok((checkpoint, note)) } else { Err(Error::Unwitnessed) }
    }

    fn name(&self, named: Named) -> &str {
        match named {
            Named::Group(position) => self.groups.get(position).map_or(NONE, |group| &group.name),
            Named::Witness(position) => self.witnesses.get(position).map_or(NONE, |witness| &witness.name),
        }
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Policy {
    /// A file of the same meaning: comments are left out, and thresholds are numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<String>| url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key, url(&log.url))?;
        }
        for witness in &self.witnesses {
            writeln!(f, "witness {} {}{}", witness.name, witness.key, url(&witness.url))?;
        }
        for group in &self.groups {
            write!(f, "group {} {}", group.name, group.threshold)?;
            group.members.iter().try_for_each(|member| write!(f, " {}", self.name(*member)))?;
            writeln!(f)?;
        }
        writeln!(f, "quorum {}", self.quorum.map_or(NONE, |quorum| self.name(quorum)))
    }
}

/// What the lines so far have defined.
#[derive(Default)]
struct Reading {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    quorum: Option<Option<Named>>,
    names: Vec<Name>,
}

/// A name is compared by its octets.
struct Name {
    octets: Vec<u8>,
    named: Named,
    is_member: bool,
}

impl Reading {
    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let mut words = line.split(|octet| matches!(octet, b' ' | b'\t')).filter(|word| !word.is_empty());
        let Some(keyword) = words.next().filter(|word| !word.starts_with(b"#")) else { return Ok(()) };
        let words: Vec<&[u8]> = words.take(MAX_WORDS + 1).collect();
        match (keyword, words.as_slice()) {
            (_, words) if words.len() > MAX_WORDS => Err("it has too many words"),
            (b"log", [key, url @ ..]) if url.len() <= 1 => self.log(key, url.first()),
            (b"witness", [name, key, url @ ..]) if url.len() <= 1 => self.witness(name, key, url.first()),
            (b"group", [name, threshold, members @ ..]) if !members.is_empty() => self.group(name, threshold, members),
            (b"quorum", [name]) => self.quorum(name),
            _ => Err("it is no log, witness, group or quorum"),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&&[u8]>) -> Result<(), &'static str> {
        let key = verifier_key(key)?;
        key.any_verifier().map_err(|_| "the key is of a type that cannot be verified here")?;
        if self.logs.iter().any(|log| log.key.key() == key.key()) {
            return Err("the key is that of a log above");
        }
        limit(self.logs.len())?;
        self.logs.push(PolicyLog { key, url: url.map(|url| label(url)) });
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&&[u8]>) -> Result<(), &'static str> {
        let key = verifier_key(key)?;
        CosignatureVerifier::new(key.clone()).map_err(|_| "the key is not that of a cosigner")?;
        if self.witnesses.iter().any(|witness| witness.key.key() == key.key()) {
            return Err("the key is that of a witness above");
        }
        limit(self.witnesses.len())?;
        let name = self.define(name, Named::Witness(self.witnesses.len()))?;
        self.witnesses.push(PolicyWitness { name, key, url: url.map(|url| label(url)) });
        Ok(())
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], words: &[&[u8]]) -> Result<(), &'static str> {
        let mut members = Vec::new();
        for member in words {
            let known = self.names.iter_mut().find(|known| known.octets == *member);
            let known = known.ok_or("a member of the group is not defined above")?;
            if std::mem::replace(&mut known.is_member, true) {
                return Err("a member of the group is a member already");
            }
            members.push(known.named);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => decimal(number).ok_or("the threshold is no plain decimal")?,
        };
        if !(1..=members.len()).contains(&threshold) {
            return Err("the threshold is not between one and the number of members");
        }
        limit(self.groups.len())?;
        let name = self.define(name, Named::Group(self.groups.len()))?;
        self.groups.push(Group { name, threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), &'static str> {
        if self.quorum.is_some() {
            return Err("it is the second quorum line");
        }
        let named = self.names.iter().find(|known| known.octets == name).map(|known| known.named);
        if named.is_none() && name != NONE.as_bytes() {
            return Err("the quorum is not defined above");
        }
        self.quorum = Some(named);
        Ok(())
    }

    /// Takes up a new name and gives the form in which it is shown.
    fn define(&mut self, octets: &[u8], named: Named) -> Result<String, &'static str> {
        let shown = label(octets);
        // The shown form of a name that is not UTF-8 could be another name.
        if shown == NONE || self.names.iter().any(|known| label(&known.octets) == shown) {
            return Err("the name is defined already");
        }
        self.names.push(Name { octets: octets.to_vec(), named, is_member: false });
        Ok(shown)
    }
}

fn label(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => octets.escape_ascii().to_string(),
    }
}

fn verifier_key(octets: &[u8]) -> Result<VerifierKey, &'static str> {
    std::str::from_utf8(octets).ok().and_then(|text| text.parse().ok()).ok_or("the key is malformed")
}

fn decimal(octets: &[u8]) -> Option<usize> {
    let number = std::str::from_utf8(octets).ok().and_then(|text| text::decimal("policy", text).ok())?;
    usize::try_from(number).ok()
}

fn limit(count: usize) -> Result<(), &'static str> {
    if count < MAX_LINES { Ok(()) } else { Err("there are too many lines of this kind") }
}

fn malformed(why: impl Into<String>) -> Error {
    Error::malformed("policy", why)
}

const MAX_BYTES: usize = 1_000_000;
/// Of each kind: logs, witnesses, groups. The specification asks for 32.
const MAX_LINES: usize = 256;
/// A group may have all other names as its members.
const MAX_WORDS: usize = 2 * MAX_LINES + 2;
const NONE: &str = "none";
