//! `usufruct verify proof`: a proof of one leaf (C2SP tlog-proof), checked without the log.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::log::{SignatureType, TlogProof, cosignature, leaf_hash};
use usufruct_core::event::{self, Event};

use super::complaint::moment;
use super::policy;
use crate::failure::Failure;
use crate::monitor::outlet::plain;

/// Check a proof of one leaf, without asking anybody.
///
/// Exit code 0: the leaf is in a log that the policy trusts, cosigned as it asks for. 1: the proof does not show that. 2: it
/// could not be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct verify proof line-3.tlog-proof --policy witnesses.policy
  usufruct verify proof 17.tlog-proof --policy witnesses.policy --leaf leaf-17")]
pub struct Proof {
    /// The proof, as .tlog-proof.
    file: PathBuf,
    /// The logs and witnesses you trust (tlog-policy).
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The leaf that is proven, byte for byte.
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    leaf: Option<PathBuf>,
    /// The opened event that is proven: tag (32 bytes), opening (32 bytes) and the event in CBOR. Without it, what the proof
    /// itself carries.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
}

impl Proof {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let read = |path: &PathBuf| fs::read(path).map_err(|error| Failure::file(path, &error));
        let policy = policy(&self.policy)?;
        let bytes = read(&self.file)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::impossible(format!("{} is no proof.", self.file.display()), "Ask for the file again."))?;
        let proof: TlogProof = text.parse()?;
        let (leaf, event) = match (&self.leaf, &self.event) {
            (Some(leaf), _) => (read(leaf)?, None),
            (None, Some(opened)) => open(&read(opened)?)?,
            (None, None) => match &proof.extra {
                Some(extra) => open(extra)?,
                None => {
                    return Err(Failure::impossible("The proof does not say what it proves.", "Give the leaf with --leaf."));
                }
            },
        };
        let head = proof.check(&leaf_hash(&leaf), &policy, None)?;
        println!("leaf {} of {}, in a log of {} leaves", proof.index, plain(head.origin()), head.size());
        if let Some(event) = event {
            println!("{}", describe(&event));
        }
        let logs = policy.logs().iter().map(|log| &log.key);
        for key in logs.chain(policy.witnesses().iter().map(|witness| &witness.key)) {
            let line = proof.checkpoint.signatures().iter().find(|line| (line.name(), line.id()) == (key.name(), key.id()));
            let Some(line) = line else { continue };
            let time =
                Some(line).filter(|_| key.kind() != SignatureType::Ed25519).and_then(|line| cosignature::timestamp(line).ok());
            let when = time.map(|time| format!(", {}", moment(time))).unwrap_or_default();
            println!("  signed: {}+{:08x}{when}", plain(key.name()), key.id());
        }
        println!("verified");
        Ok(ExitCode::SUCCESS)
    }
}

/// The leaf that an opened event makes: `T || r || event`.
fn open(opened: &[u8]) -> Result<(Vec<u8>, Option<Event>), Failure> {
    let no_event = || Failure::refused("What is said to be proven is no opened event.", "Give the leaf with --leaf.");
    let (tag, rest) = opened.split_first_chunk::<32>().ok_or_else(no_event)?;
    let (opening, encoded) = rest.split_first_chunk::<32>().ok_or_else(no_event)?;
    let event = Event::decode(encoded).map_err(|_| no_event())?;
    Ok((event::leaf(&event::commitment(opening, encoded), tag).to_vec(), Some(event)))
}

/// An event in words.
pub fn describe(event: &Event) -> String {
    let data: Vec<String> = event.blocks.iter().map(|(block, form)| format!("{block} as {}", form.code())).collect();
    let parts = [
        Some(event.kind.code().to_owned()),
        event.service.as_ref().map(ToString::to_string),
        Some(data.join(", ")).filter(|data| !data.is_empty()),
        Some(&event.reason).filter(|reason| !reason.is_empty()).map(|reason| format!("reason: {reason}")),
        event
            .closed
            .filter(|_| event.reason.is_empty())
            .map(|closed| format!("the matter concerns somebody else; it is shown from {}", closed.shown_from.day())),
        event.clause.as_ref().map(|clause| format!("refused by: {clause}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    plain(&format!("{}  {}", event.at, parts.join("; "))).replace('\n', "\u{fffd}")
}
