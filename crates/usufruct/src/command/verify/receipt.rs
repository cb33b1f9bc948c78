//! `usufruct verify receipt`: has the log kept what it promised?

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::log::merkle::verify_inclusion;
use usufruct_app::log::{
    self, HashReader as _, Note, Policy, Reader, Receipt as Opened, ReceiptVerifier, Source, VerifierKey, proof,
};
use usufruct_core::Time;
use usufruct_core::log_terms::LogTerms;

use super::complaint::{ComplaintFile, Wrong, deadline, moment};
use super::declared::{Declared, signed_after};
use super::{NOT_YET, policy};
use crate::clock;
use crate::failure::Failure;
use crate::monitor::keys::{self, From, Keys};
use crate::monitor::state;
use crate::public_log::{PublicLog, is_outside};

/// Check a receipt against the log that gave it.
///
/// Exit code 0: the leaf is in the log, where and as it was promised. 1: the log has broken its promise. 2: it could not be
/// checked, or it is no receipt of this log. 3: not yet, and the promised delay is not over.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct verify receipt receipt.txt --log https://pass.example.org
  usufruct verify receipt receipt.txt --log https://pass.example.org --policy witnesses.policy --complaint complaint.json")]
pub struct Receipt {
    /// The receipt, as it came with the data.
    file: PathBuf,
    /// The site, the log, a mirror of it, or a folder with a copy.
    #[arg(long, value_name = "URL")]
    log: String,
    /// A key of the log, as its operator announced it; may be given again.
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    vkey: Vec<VerifierKey>,
    /// The key of receipts, as its operator announced it [default: what the terms in the log say, or else what it serves].
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    receipt_vkey: Option<VerifierKey>,
    /// The witnesses that must have cosigned (tlog-policy) [default: those that the terms in the log name].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where to write the complaint, if there is one.
    #[arg(long, value_name = "FILE")]
    complaint: Option<PathBuf>,
}

/// What has become of a promise.
enum Fate {
    Broken(String, Option<Wrong>),
    Kept,
    NotYet(String),
}

impl Receipt {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let text = fs::read_to_string(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
        let given = self.policy.as_deref().map(policy).transpose()?;
        let now = clock::now();
        let remembered = state::peek(&self.log)?;
        let log = PublicLog::open_for(&self.log, self.vkey.first().map(VerifierKey::name))?;
        let keys = Keys::choose(&log, &self.vkey, given.as_ref(), &remembered)?;
        if keys.from == From::FirstUse {
            println!("log key       trusted on first use: {}", keys.lines().concat());
        }
        let (head, note) = impossible(log.fetch("checkpoint"))?.map_or_else(
            || Err(Failure::impossible("The log has no checkpoint.", "Check the address.")),
            |bytes| impossible(keys.open(&bytes)),
        )?;
        let reader = Reader::new(&log, head);
        let declared = Declared::find(&log, &reader).map_err(Failure::into_impossible)?;
        let terms = declared.as_ref().map(|(_, terms)| terms);
        let key = self.receipt_key(&log, terms)?;
        let receipt = ReceiptVerifier::new(&keys.origin, &key).and_then(|verifier| verifier.open(text.as_bytes()));
        let receipt = receipt.map_err(|error| {
            Failure::impossible(format!("This is no receipt of {}. {error}", keys.origin), "Check which log gave it.")
        })?;
        let declared_policy = terms.and_then(|terms| format!("{}\n", terms.policy.trim_end()).parse().ok());
        let policy = given.or(declared_policy.filter(|_| terms.is_some_and(|terms| !terms.fail_open)));
        let fate = fate(&receipt, &reader, &note, policy.as_ref(), now)?;
        println!("receipt       leaf {} of {}, promised {}", receipt.index, receipt.origin, moment(receipt.time_us / 1_000_000));
        match fate {
            Fate::Kept => {
                println!("kept          the leaf is under the checkpoint of {} leaves", reader.checkpoint().size());
                Ok(ExitCode::SUCCESS)
            }
            Fate::NotYet(why) => {
                println!("not yet       {why}");
                Ok(ExitCode::from(NOT_YET))
            }
            Fate::Broken(why, wrong) => {
                println!("broken        {why}");
                if let Some(wrong) = wrong {
                    let terms = declared.as_ref().filter(|(_, terms)| terms.receipt_vkey == key.to_string());
                    if matches!(wrong, Wrong::Overdue)
                        && signed_after(&note, deadline(&receipt), &keys.keys, terms.map(|(_, terms)| terms)).is_none()
                    {
                        println!("              no signature tells that time: others have to believe yours");
                    }
                    let complaint = ComplaintFile::new(wrong, now, keys.lines(), &key, text, &note);
                    self.complain(&ComplaintFile { terms: terms.map(|(leaf, _)| leaf.clone()), ..complaint })?;
                } else {
                    println!("complaint     none that others could check: cosignatures can be cut off");
                }
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// The key of receipts: the one given, or declared in the log, or served beside it.
    fn receipt_key(&self, log: &PublicLog, terms: Option<&LogTerms>) -> Result<VerifierKey, Failure> {
        if let Some(key) = &self.receipt_vkey {
            return Ok(key.clone());
        }
        if let Some(terms) = terms {
            println!("receipt key   declared by the log itself");
            return impossible(terms.receipt_vkey.parse());
        }
        let served = impossible(log.fetch("receipt-vkey"))?.ok_or_else(|| {
            Failure::impossible("The log names no key of receipts.", "Ask its operator and give it with --receipt-vkey.")
        })?;
        let text = String::from_utf8_lossy(&served);
        println!("receipt key   trusted on first use: {}", text.trim());
        impossible(text.trim().parse())
    }

    fn complain(&self, complaint: &ComplaintFile) -> Result<(), Failure> {
        let Some(path) = &self.complaint else {
            println!("complaint     name a file with --complaint, and anybody can check it");
            return Ok(());
        };
        complaint.write(path)?;
        println!("complaint     {}; check it with `usufruct verify complaint`", path.display());
        Ok(())
    }
}

/// Compares the promise with the checkpoint of `reader`.
fn fate(
    receipt: &Opened,
    reader: &Reader<'_, PublicLog>,
    note: &Note,
    policy: Option<&Policy>,
    now: Time,
) -> Result<Fate, Failure> {
    let deadline = deadline(receipt);
    let is_over = now.seconds() > i64::try_from(deadline).unwrap_or(i64::MAX);
    let size = reader.checkpoint().size();
    if receipt.index >= size {
        let what = format!("the log shows {size} leaves, and leaf {} is promised until {}", receipt.index, moment(deadline));
        return Ok(if is_over { Fate::Broken(what, Some(Wrong::Overdue)) } else { Fate::NotYet(what) });
    }
    match reader.inclusion(receipt.index, &receipt.leaf_hash) {
        Ok(_) => {}
        Err(log::Error::Proof { .. }) => {
            let hashes = reader.hashes();
            let other = impossible(hashes.read(0, receipt.index))?;
            let proof = impossible(proof::inclusion(&hashes, receipt.index, size))?;
            impossible(verify_inclusion(receipt.index, size, &other, &proof, reader.checkpoint().root()))?;
            let what = format!("another leaf is in the place of leaf {}", receipt.index);
            let proof = proof.iter().map(ToString::to_string).collect();
            return Ok(Fate::Broken(what, Some(Wrong::Displaced { leaf_hash: other.to_string(), proof })));
        }
        Err(error) if is_outside(&error) => return Err(Failure::of(error).into_impossible()),
        Err(error) => return Err(Failure::of(error).into_impossible()),
    }
    let Some(policy) = policy else { return Ok(Fate::Kept) };
    if impossible(policy.is_met_by(note))? {
        return Ok(Fate::Kept);
    }
    let what = "the checkpoint that covers the leaf lacks cosignatures that the policy asks for".to_owned();
    Ok(if is_over { Fate::Broken(what, None) } else { Fate::NotYet(what) })
}

fn impossible<T>(result: log::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| Failure::of(error).into_impossible())
}
