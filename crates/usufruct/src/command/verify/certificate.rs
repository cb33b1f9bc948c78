//! `usufruct verify certificate`: is what was destroyed gone, as far as the public log can show?

use std::process::ExitCode;

use clap::Args;
use usufruct_app::log::{Policy, Reader, Source as _, VerifierKey, checkpoint};
use usufruct_core::certificate::Certificate as Body;
use usufruct_core::hash::hex;
use usufruct_core::id::CertificateId;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::{LEAF_PREFIX, Statement, StatementKind};
use usufruct_core::vault_terms::{KeeperTerms, Silence};

use super::policy;
use crate::clock;
use crate::failure::Failure;
use crate::monitor::keys::{self, From, Keys};
use crate::monitor::outlet::plain;
use crate::monitor::state;
use crate::public_log::PublicLog;

/// Check the certificate of an erasure against the public log.
///
/// Every leaf is read and every statement judged, so that nobody has to be believed about the keepers either: the proofs that
/// the keys were in the tree before and are gone after, the advance of the epoch over all earlier certificates, the signatures of
/// the keepers, and that the keys of a mandate or a pseudonym domain were published for it before and are all that were. Keys of residents
/// are published nowhere else. That data hung on the keys is the operator's word, and no log can show it. Exit code 0: it holds.
/// 1: it does not. 2: it could not be checked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct verify certificate crt_0198c1f2 --log https://pass.example.org
  usufruct verify certificate crt_0198c1f2 --log ./a-copy-of-the-log --vkey 'pass.example.org/log+5e0e6f0a+AdG…'")]
pub struct Certificate {
    /// Its id, as on its page in the register.
    id: CertificateId,
    /// The site, the log, a mirror of it, or a folder with a copy.
    #[arg(long, value_name = "URL")]
    log: String,
    /// A key of the log, as its operator announced it; may be given again.
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    vkey: Vec<VerifierKey>,
    /// The witnesses that must have cosigned (tlog-policy).
    #[arg(long, value_name = "FILE")]
    policy: Option<std::path::PathBuf>,
}

impl Certificate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let given = self.policy.as_deref().map(policy).transpose()?;
        let remembered = state::peek(&self.log)?;
        let log = PublicLog::open_for(&self.log, self.vkey.first().map(VerifierKey::name))?;
        let keys = Keys::choose(&log, &self.vkey, given.as_ref(), &remembered)?;
        if keys.from == From::FirstUse {
            println!("log key       trusted on first use: {}", keys.lines().concat());
        }
        let impossible = |error| Failure::of(error).into_impossible();
        let bytes = log.fetch(checkpoint::PATH).map_err(impossible)?;
        let bytes = bytes.ok_or_else(|| Failure::impossible("The log has no checkpoint.", "Check the address."))?;
        let (head, note) = keys.open(&bytes).map_err(impossible)?;
        if let Some(policy) = &given
            && !cosigned(policy, &bytes)
        {
            println!("broken        the checkpoint lacks cosignatures that the policy asks for");
            return Ok(ExitCode::FAILURE);
        }
        let size = head.size();
        drop(note);
        let mut scan = Scan { id: self.id, register: Register::default(), unlawful: None };
        Reader::new(&log, head)
            .entries(0, |index, entry| {
                scan.leaf(index, entry);
                Ok(())
            })
            .map_err(impossible)?;
        println!("log           {size} leaves, all under the signed root");
        match (scan.register.certificates.get(&scan.id), scan.unlawful) {
            (Some(entry), _) => {
                describe(&scan.register, entry);
                println!("verified      at {}", clock::now());
                Ok(ExitCode::SUCCESS)
            }
            (None, Some(why)) => {
                println!("broken        {}", plain(&why));
                Ok(ExitCode::FAILURE)
            }
            (None, None) if scan.register.uncertified.contains_key(&scan.id) => {
                let said = &scan.register.uncertified[&scan.id];
                println!("uncertified   in leaf {}: {}", said.index, plain(&said.body.reason.en));
                Ok(ExitCode::FAILURE)
            }
            (None, None) => Err(Failure::impossible(
                format!("There is no certificate {} in this log.", scan.id),
                "Check the id; a certificate of the last minute may not be public yet.",
            )),
        }
    }
}

/// Whether a checkpoint has the cosignatures that a policy asks for.
fn cosigned(policy: &Policy, note: &[u8]) -> bool {
    policy.check(note, None).is_ok()
}

/// The register of all leaves, and what was said of one certificate.
struct Scan {
    id: CertificateId,
    register: Register,
    /// Why the statement that carries the certificate is refused.
    unlawful: Option<String>,
}

impl Scan {
    fn leaf(&mut self, index: u64, entry: &[u8]) {
        if !entry.starts_with(&LEAF_PREFIX) {
            return;
        }
        let Ok(statement) = Statement::from_leaf(entry) else { return };
        let Err(problems) = self.register.apply(&statement, index) else { return };
        if statement.kind == StatementKind::Certificate && statement.id == self.id.as_str() {
            let problem = problems.first().map(ToString::to_string).unwrap_or_default();
            self.unlawful = Some(format!("the certificate in leaf {index} is refused: {problem}"));
        }
    }
}

fn describe(register: &Register, entry: &Entry<Body>) {
    let body = &entry.body;
    println!("certificate   {} in leaf {}, revision {}", entry.id, entry.index, entry.rev);
    println!("cause         {}", plain(&body.ground.en));
    println!(
        "keys          {} destroyed; in the tree at epoch {}, gone at epoch {}",
        body.key_commitments.len(),
        body.epoch_before,
        body.epoch_after
    );
    for commitment in &body.key_commitments {
        let known = match register.key(commitment) {
            Some(key) => format!("published {} in leaf {}", key.since, key.index),
            None => "of a resident, first published here".to_owned(),
        };
        println!("              {} {known}", hex(&commitment.0));
    }
    println!("live          {}", body.erased_live_at);
    println!("root          {}, class {}", body.erased_root_at, body.slot_class);
    let terms = register.vault_terms_at(entry.number).map(|(_, terms)| terms);
    if let Some(terms) = terms {
        let signers: Vec<&KeeperTerms> = terms.signers(body.epoch_after, &body.keepers).collect();
        for keeper in &terms.keepers {
            let word = if signers.contains(&keeper) { "has signed that its share is destroyed" } else { "has not signed" };
            println!("keeper        {} ({}) {word}", plain(&keeper.name), plain(&keeper.institution.en));
        }
    }
    let has_escrow = terms.is_some_and(|terms| terms.escrow.is_some());
    match body.erased_escrow_at {
        Some(at) => println!("escrow        {at}{}", if at > clock::now() { ", which lies ahead" } else { "" }),
        None if has_escrow => println!("escrow        no date is promised, although the terms of the vault name an escrow"),
        None => {}
    }
    match register.purged_at(entry) {
        Some(at) => println!("ciphertext    purged {at}"),
        None => println!("ciphertext    may remain in copies until {}", body.ciphertext_remains_until),
    }
    let answered = body.recipients.iter().filter(|recipient| recipient.answer.is_some()).count();
    println!("recipients    {} were told, {answered} answered in public", body.recipients_told);
    println!("not claimed   {}", plain(&body.limits.en));
    if let Some(Silence { signed, all, liars }) = terms.and_then(|terms| terms.silence(body.epoch_after, &body.keepers)) {
        println!(
            "              {signed} of {all} keepers have signed; until the others have destroyed their share too, {liars} dishonest of \
             those that signed are enough to bring the old root back together with them"
        );
    }
    let unshown = match body.mandate.is_some() || body.sector.is_some() {
        true => "that data ever hung on these keys: that, and the roots, are the operator's word",
        false => "that data ever hung on these keys: commitments and roots are the operator's word, first published here",
    };
    println!("not shown     {unshown}");
    let mandate = body.mandate.as_ref().and_then(|mandate| mandate.parse().ok());
    let earliest = register.earliest_end(body.cause, mandate.as_ref(), body.sector.as_deref(), &body.key_commitments);
    let latest = entry.history.first().map_or(entry.since, |step| step.at);
    println!("              where between {earliest} and {latest} the dates of live and root lie: that is the operator's word");
}
