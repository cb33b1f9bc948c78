//! A complaint: a broken promise of a log in one file, and `usufruct verify complaint`, which checks it without the log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use usufruct_app::log::merkle::verify_inclusion;
use usufruct_app::log::{self, Checkpoint, Hash, Note, Receipt, ReceiptVerifier, Verifier, VerifierKey, checkpoint};
use usufruct_core::Time;
use usufruct_core::time::SECOND;

use super::NOT_YET;
use super::declared::{Declared, hashes, signed_after};
use crate::failure::Failure;
use crate::monitor::keys;

/// Check a complaint about a receipt, without asking anybody.
///
/// Exit code 0: the log has broken its promise, and these keys convict it. 1: the file does not show that. 2: it could not be
/// read. 3: it shows that, if the time is believed at which the complaint was made.
#[derive(Debug, Args)]
#[command(
    name = "complaint",
    after_help = "Example:
  usufruct verify complaint complaint.json --vkey 'pass.example.org/log+5e0e6f0a+AdG…'"
)]
pub struct Complaint {
    /// The file, as `usufruct verify receipt` writes it.
    file: PathBuf,
    /// A key of the log from a source you trust, in place of those in the file; may be given again.
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    vkey: Vec<VerifierKey>,
    /// The key of receipts from a source you trust, in place of the one in the file.
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    receipt_vkey: Option<VerifierKey>,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComplaintFile {
    /// `usufruct/complaint/v1`.
    pub format: String,
    pub wrong: Wrong,
    /// When the complaint was made, by the clock of whoever made it.
    pub at: Time,
    /// The keys of the log, as the complaint believed them.
    pub vkeys: Vec<String>,
    pub receipt_vkey: String,
    /// The receipt, as it was handed over.
    pub receipt: String,
    /// The public checkpoint, with all its signatures.
    pub checkpoint: String,
    /// The terms of the log, a leaf under that checkpoint: they name the key of receipts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub terms: Option<Declared>,
}

/// What is wrong.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Another leaf is in the place of the one that was promised.
    Displaced { leaf_hash: String, proof: Vec<String> },
    /// No checkpoint covers the leaf, although the promised delay is over.
    Overdue,
}

/// How far a complaint goes.
enum Verdict {
    /// The log's own signatures prove it.
    Proven(String),
    /// It holds if the time of the complaint is believed.
    ByWord(String),
}

impl Complaint {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let text = fs::read(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
        let file: ComplaintFile = serde_json::from_slice(&text).map_err(|error| {
            Failure::impossible(format!("{} is no complaint: {error}.", self.file.display()), "Ask for the file again.")
        })?;
        match self.check(&file) {
            Ok(Verdict::Proven(what)) => {
                println!("the complaint holds: {what}");
                Ok(ExitCode::SUCCESS)
            }
            Ok(Verdict::ByWord(what)) => {
                println!("the complaint holds if its time is believed: {what}");
                Ok(ExitCode::from(NOT_YET))
            }
            Err(error) => {
                Err(Failure::refused(format!("The complaint does not hold: {error}"), "Nothing is proven against the log."))
            }
        }
    }

    fn check(&self, file: &ComplaintFile) -> log::Result<Verdict> {
        if file.format != FORMAT {
            return Err(malformed("its format is unknown"));
        }
        let vkeys = match self.vkey.as_slice() {
            [] => file.vkeys.iter().map(|key| key.parse()).collect::<log::Result<Vec<VerifierKey>>>()?,
            given => given.to_vec(),
        };
        let origin = vkeys.first().map(|key| key.name().to_owned()).ok_or_else(|| malformed("it names no key of the log"))?;
        let verifiers = vkeys.iter().map(VerifierKey::any_verifier).collect::<log::Result<Vec<_>>>()?;
        let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
        let (head, note) = checkpoint::open(file.checkpoint.as_bytes(), &origin, &verifiers)?;
        let receipt_key = self.receipt_vkey.clone().map_or_else(|| file.receipt_vkey.parse(), Ok)?;
        let receipt = ReceiptVerifier::new(&origin, &receipt_key)?.open(file.receipt.as_bytes())?;
        let terms = file.terms.as_ref().map(|declared| declared.open(&head)).transpose()?;
        if let (Some(declared), Some(terms)) = (&file.terms, &terms) {
            if terms.receipt_vkey != receipt_key.to_string() {
                return Err(malformed("the terms of the log name another key of receipts"));
            }
            println!("receipt key   declared by the log itself, in leaf {}", declared.index);
        } else if self.receipt_vkey.is_none() {
            println!("receipt key   {}; only the file says that it is the log's", file.receipt_vkey);
        }
        if self.vkey.is_empty() {
            println!("log key       {}; compare it with what the operator has announced", shorten(&file.vkeys.concat()));
        }
        match &file.wrong {
            Wrong::Displaced { leaf_hash, proof } => displaced(&receipt, &head, leaf_hash, proof),
            Wrong::Overdue => {
                let signed = signed_after(&note, deadline(&receipt), &vkeys, terms.as_ref());
                overdue(&receipt, &head, signed, file.at)
            }
        }
    }
}

impl ComplaintFile {
    /// A complaint with what it rests on.
    pub fn new(wrong: Wrong, at: Time, vkeys: Vec<String>, receipt_vkey: &VerifierKey, receipt: String, note: &Note) -> Self {
        Self {
            format: FORMAT.to_owned(),
            wrong,
            at,
            vkeys,
            receipt_vkey: receipt_vkey.to_string(),
            receipt,
            checkpoint: note.to_string(),
            terms: None,
        }
    }

    /// Writes it where everybody can find it.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            Failure::impossible(format!("The complaint cannot be written: {error}."), "Report this as a defect.")
        })?;
        fs::write(path, format!("{text}\n")).map_err(|error| Failure::file(path, &error))
    }
}

/// The moment at which the promised delay of a receipt is over, in seconds since 1970 UTC.
pub fn deadline(receipt: &Receipt) -> u64 {
    receipt.time_us.div_ceil(SECOND.unsigned_abs()).saturating_add(receipt.mmd_seconds)
}

fn displaced(receipt: &Receipt, head: &Checkpoint, leaf_hash: &str, proof: &[String]) -> log::Result<Verdict> {
    let other = Hash::from_base64(leaf_hash)?;
    if other == receipt.leaf_hash {
        return Err(malformed("the leaf that is there is the one that was promised"));
    }
    verify_inclusion(receipt.index, head.size(), &other, &hashes(proof)?, head.root())?;
    let Receipt { index, leaf_hash, .. } = receipt;
    Ok(Verdict::Proven(format!("leaf {index} was promised as {leaf_hash}, and is {other} under the signed checkpoint")))
}

fn overdue(receipt: &Receipt, head: &Checkpoint, signed: Option<&str>, at: Time) -> log::Result<Verdict> {
    if receipt.index < head.size() {
        return Err(malformed("the checkpoint covers the leaf"));
    }
    let deadline = deadline(receipt);
    let what =
        format!("leaf {} was promised until {}, and the log shows {} leaves", receipt.index, moment(deadline), head.size());
    match signed {
        Some(who) => Ok(Verdict::Proven(format!("{what} after that, {who}"))),
        None if at > seconds(deadline) => Ok(Verdict::ByWord(format!("{what} at {at}, as the complaint says"))),
        None => Err(malformed("the promised delay was not over")),
    }
}

/// A moment in seconds since 1970 UTC, in words.
pub fn moment(at: u64) -> String {
    seconds(at).to_string()
}

fn seconds(at: u64) -> Time {
    Time::from_micros(i64::try_from(at).unwrap_or(i64::MAX).saturating_mul(SECOND))
}

fn malformed(why: &str) -> log::Error {
    log::Error::Malformed { what: "complaint", why: why.to_owned() }
}

fn shorten(key: &str) -> String {
    key.chars().take(120).collect()
}

const FORMAT: &str = "usufruct/complaint/v1";
