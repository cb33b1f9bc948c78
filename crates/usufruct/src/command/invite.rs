//! `usufruct invite`: a new one-time code for a resident who has a pass.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::access::Access;
use crate::command::enrol::slip;
use crate::failure::Failure;

/// Print a slip with a new one-time code, for a resident who has not begun to use her pass.
///
/// Check who she is first: the code opens her pass. For a pass that is in use two clerks are needed; see `usufruct recover`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct invite 4503599627370495 --data-dir pass")]
pub struct Invite {
    /// The file number on the office copy of her first slip.
    #[arg(value_name = "NUMBER")]
    resident: u64,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Invite {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let invited = Access::open(&self.data_dir)?.invite(self.resident, None)?;
        print!("{}", slip(&invited));
        Ok(ExitCode::SUCCESS)
    }
}
