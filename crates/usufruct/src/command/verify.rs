//! `usufruct verify`: checks a log, a receipt, a proof or a complaint from outside, trusting nothing but keys.

mod certificate;
mod complaint;
mod declared;
mod log;
pub mod proof;
mod receipt;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_app::log::Policy;

use crate::failure::Failure;

/// Check a log from outside, once or for ever; or a receipt, a proof or a complaint about it.
///
/// Checking a log is what it does when it is given only an address: signature, history, every leaf, every statement, every
/// end of a mandate, and what the log declares about itself. It remembers the key and the checkpoint of its last run and
/// proves that nothing written then has changed. Exit code 0: all is well. 1: there are findings. 2: it could not be
/// checked. All codes of findings are in docs/monitor.md.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  usufruct verify http://localhost:8080
  usufruct verify https://pass.example.org/log --vkey 'pass.example.org/log+5e0e6f0a+AdG…'
  usufruct verify ./a-copy-of-the-log --state last-seen.json
  usufruct verify https://pass.example.org --follow --json --webhook https://newsroom.example/hook
  usufruct verify receipt receipt.txt --log https://pass.example.org --complaint complaint.json
  usufruct verify proof line-3.tlog-proof --policy witnesses.policy
  usufruct verify certificate crt_0198c1f2 --log https://pass.example.org"
)]
pub struct Verify {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    log: Option<log::Log>,
}

#[derive(Debug, Subcommand)]
enum What {
    Certificate(certificate::Certificate),
    Complaint(complaint::Complaint),
    Log(log::Log),
    Proof(proof::Proof),
    Receipt(receipt::Receipt),
}

impl Verify {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match (self.what, self.log) {
            (Some(What::Certificate(certificate)), _) => certificate.run(),
            (Some(What::Complaint(complaint)), _) => complaint.run(),
            (Some(What::Proof(proof)), _) => proof.run(),
            (Some(What::Receipt(receipt)), _) => receipt.run(),
            (Some(What::Log(log)), _) | (None, Some(log)) => log.run(),
            (None, None) => Err(Failure::impossible("Nothing to check is given.", "Give an address, or see --help.")),
        }
    }
}

/// Reads a tlog-policy.
pub fn policy(path: &Path) -> Result<Policy, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    Policy::parse(&bytes).map_err(|error| Failure::of(error).into_impossible())
}

/// Something could be wrong later, but nothing can be said yet.
const NOT_YET: u8 = 3;
