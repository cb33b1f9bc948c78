//! Who has signed a checkpoint, who should have, and when.

use usufruct_app::log::{self, cosignature};
use usufruct_app::log::{Note, Policy, VerifierKey};
use usufruct_core::log_terms::LogTerms;

use super::finding::{Code, Finding, Severity};

/// Whose signatures are asked for, and how old they may be.
pub struct Asked<'a> {
    /// The keys the log is believed under.
    pub keys: &'a [VerifierKey],
    /// The terms of the log, once they are known.
    pub terms: Option<&'a LogTerms>,
    /// The witnesses. A policy of one's own is stricter than that of the terms: it knows no fail-open.
    pub policy: Option<&'a Policy>,
    pub is_own_policy: bool,
    /// Seconds after which a cosignature is late; `None` where nothing says how often there should be one.
    pub late_seconds: Option<u64>,
}

/// What was found about the signatures of a checkpoint.
#[derive(Default)]
pub struct Signed {
    pub findings: Vec<Finding>,
    /// Time of the newest right signature that carries one, in seconds since 1970 UTC.
    pub newest: Option<u64>,
    /// How many witnesses of the policy have cosigned, of how many.
    pub witnesses: (usize, usize),
}

/// Judges the signatures of a checkpoint that is known to be signed by the log. `now` is in seconds since 1970 UTC.
pub fn judge(note: &Note, asked: &Asked<'_>, now: u64) -> Signed {
    let mut signed = Signed::default();
    for key in asked.keys {
        let _ = signed.time_of(note, key, now);
    }
    if let Some(terms) = asked.terms {
        declared_keys(note, asked.keys, terms, now, &mut signed);
    }
    let Some(policy) = asked.policy else { return signed };
    let mut cosigned = Vec::new();
    for witness in policy.witnesses() {
        let name = &witness.name;
        match signed.time_of(note, &witness.key, now) {
            Err(()) => {
                let message = format!("The cosignature of {name} is wrong. Keep the checkpoint, and ask who put it there.");
                signed.findings.push(Finding::broken(Code::CosignatureWrong, message).about(name.as_str()));
            }
            Ok(None) => {
                let message = format!("{name} has not cosigned this checkpoint. Ask the operator and the witness why.");
                signed.findings.push(Finding::new(Severity::Warning, Code::WitnessLate, message).about(name.as_str()));
            }
            Ok(Some(time)) => {
                cosigned.push(name);
                let age = now.saturating_sub(time);
                if asked.late_seconds.is_some_and(|late| age > late) {
                    let message =
                        format!("The cosignature of {name} is {age} seconds old. Ask the operator and the witness why.");
                    signed.findings.push(Finding::new(Severity::Warning, Code::WitnessLate, message).about(name.as_str()));
                }
            }
        }
    }
    signed.witnesses = (cosigned.len(), policy.witnesses().len());
    if !policy.is_met(&|witness| cosigned.contains(&&witness.name)) {
        let may_fail_open = !asked.is_own_policy && asked.terms.is_some_and(|terms| terms.fail_open);
        let severity = if may_fail_open { Severity::Warning } else { Severity::Finding };
        let (some, all) = signed.witnesses;
        let message =
            format!("Only {some} of {all} cosignatures are there, too few for the policy. Do not rely on this checkpoint yet.");
        signed.findings.push(Finding::new(severity, Code::QuorumMissing, message));
    }
    signed
}

/// The log has to sign with every key that its terms declare, and to declare the key it is believed under.
fn declared_keys(note: &Note, keys: &[VerifierKey], terms: &LogTerms, now: u64, signed: &mut Signed) {
    let declared: Vec<VerifierKey> = terms.vkeys.iter().filter_map(|key| key.parse().ok()).collect();
    for key in &declared {
        let name = format!("{}+{:08x}", key.name(), key.id());
        match signed.time_of(note, key, now) {
            Err(()) => {
                let message = format!("The signature by the declared key {name} is wrong. Keep the checkpoint as evidence.");
                signed.findings.push(Finding::broken(Code::SignatureWrong, message).about(name));
            }
            Ok(None) if key.any_verifier().is_ok() => {
                let message = format!("The declared key {name} has not signed this checkpoint. Ask the operator why.");
                signed.findings.push(Finding::new(Severity::Warning, Code::SignatureMissing, message).about(name));
            }
            Ok(_) => {}
        }
    }
    for key in keys.iter().filter(|key| !declared.contains(key)) {
        let name = format!("{}+{:08x}", key.name(), key.id());
        let message = format!("The terms of the log do not declare the key {name}. Ask the operator which of them is right.");
        signed.findings.push(Finding::broken(Code::KeyUndeclared, message).about(name));
    }
}

impl Signed {
    /// Whether this key has signed, and when; the zero of 1970 for a signature that carries no time.
    fn time_of(&mut self, note: &Note, key: &VerifierKey, now: u64) -> Result<Option<u64>, ()> {
        let verifier = key.any_verifier().map_err(drop)?;
        if note.verified_by(&[&*verifier]).map_err(drop)?.is_empty() {
            return Ok(None);
        }
        let own = note.signatures().iter().filter(|line| (line.name(), line.id()) == (key.name(), key.id()));
        let time = match key.kind() {
            log::SignatureType::Ed25519 => 0,
            _ => own.filter_map(|line| cosignature::timestamp(line).ok()).max().unwrap_or_default(),
        };
        if time > now + CLOCKS_DIFFER_SECONDS {
            let name = key.name();
            let message = format!("The time in a signature by {name} lies {} seconds ahead. Check both clocks.", time - now);
            self.findings.retain(|finding| finding.object.as_deref() != Some(name) || finding.code != Code::ClockOff);
            self.findings.push(Finding::new(Severity::Warning, Code::ClockOff, message).about(name));
        } else if time > 0 {
            self.newest = self.newest.max(Some(time));
        }
        Ok(Some(time))
    }
}

/// How far another clock may be ahead of ours.
const CLOCKS_DIFFER_SECONDS: u64 = 300;
