//! `usufruct recover`: two clerks give a resident who has a pass in use a new way in.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use usufruct_app::{Approved, Way, counter_message};

use crate::access::Access;
use crate::command::enrol::slip;
use crate::command::key::KeyFile;
use crate::failure::Failure;

/// Give a resident who lost her devices, or needs a card, a new way in: two clerks look at the person and sign.
///
/// The first clerk begins a request, the second approves it within an hour. Their keys are those of two people in the
/// operator's entry of the register. One alone can do nothing, and it stands in the resident's footprint.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct recover 4503599627370495 --key first-clerk.json --data-dir pass
  usufruct recover 4503599627370495 --request REQUEST --key second-clerk.json --data-dir pass")]
pub struct Recover {
    /// The file number on the office copy of her first slip.
    #[arg(value_name = "NUMBER")]
    resident: u64,
    /// What she gets.
    #[arg(long, value_enum, default_value = "passkey")]
    way: WayWord,
    /// The request that the first clerk began.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The clerk's key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WayWord {
    /// A code to make a passkey with.
    Passkey,
    /// A printed card.
    Card,
}

impl Recover {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let signer = KeyFile::read(&self.key)?.signer()?;
        let way = match self.way {
            WayWord::Passkey => Way::Passkey,
            WayWord::Card => Way::Card,
        };
        let access = Access::open(&self.data_dir)?;
        let origin = access.log_keys()?.origin;
        let id = match self.request {
            Some(id) => id,
            None => access.begin_counter_request(self.resident, way)?,
        };
        // Signed is what this clerk typed, so a request about somebody else is not approved by mistake.
        let approval = signer.approve(&counter_message(&origin, &id, self.resident, way));
        // The clerk has the number before her already; the next command needs it.
        let (number, dir) = (self.resident, self.data_dir.display());
        match (access.approve_counter_request(&id, &approval)?, way) {
            (Approved::Once, _) => println!(
                "Approved once. Another clerk looks at the person and approves within an hour:\n  \
                 usufruct recover {number} --way {} --request {id} --key FILE --data-dir {dir}",
                way.code(),
            ),
            (Approved::Twice, Way::Passkey) => {
                let slip = slip(&access.invite(number, Some(&id))?);
                print!("{slip}");
            }
            (Approved::Twice, Way::Card) => println!(
                "Approved twice. Make the card:\n  usufruct card issue {number} --request {id} --out card.svg --issuer URL --data-dir {dir}"
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}
