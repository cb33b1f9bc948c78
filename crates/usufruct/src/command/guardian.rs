//! `usufruct guardian`: two clerks set up a guardian for a child or for somebody who cannot act, or end the guardianship.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::{Approved, Guardianship, guardian_message};
use usufruct_core::Time;

use crate::access::Access;
use crate::command::key::KeyFile;
use crate::failure::Failure;

/// Set up a guardian until the day of majority, or the day that a decision says: two clerks look at the papers and sign.
///
/// The first clerk begins a request, the second approves it within an hour. Their keys are those of two people in the
/// operator's entry of the register. It stands in the footprints of both residents, and the guardian takes it up in the
/// portal with a passkey of her own. The same with --end ends it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct guardian 4503599627370495 4503599627370496 --until 2031-05-01 --key first-clerk.json --data-dir pass
  usufruct guardian 4503599627370495 4503599627370496 --until 2031-05-01 --request REQUEST --key second-clerk.json --data-dir pass")]
pub struct Guardian {
    /// The file number of the person.
    #[arg(value_name = "PERSON")]
    person: u64,
    /// The file number of the guardian.
    #[arg(value_name = "GUARDIAN")]
    guardian: u64,
    /// The day on which it ends, as 2031-05-01; it ends as this day begins.
    #[arg(long, value_name = "DAY", required_unless_present = "end", conflicts_with = "end")]
    until: Option<Time>,
    /// End the guardianship now.
    #[arg(long)]
    end: bool,
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

impl Guardian {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let signer = KeyFile::read(&self.key)?.signer()?;
        let asked = Guardianship { person: self.person, guardian: self.guardian, ends_at: self.until };
        let access = Access::open(&self.data_dir)?;
        let origin = access.log_keys()?.origin;
        let id = match self.request {
            Some(id) => id,
            None => access.begin_guardian_request(&asked)?,
        };
        // Signed is what this clerk typed, so a request about other people or another day is not approved by mistake.
        let approval = signer.approve(&guardian_message(&origin, &id, &asked));
        let (person, guardian, dir) = (self.person, self.guardian, self.data_dir.display());
        let what = self.until.map_or_else(|| "--end".to_owned(), |until| format!("--until {}", as_typed(until)));
        match (access.approve_guardian_request(&id, &approval)?, self.end) {
            (Approved::Once, _) => println!(
                "Approved once. Another clerk looks at the papers and approves within an hour:\n  \
                 usufruct guardian {person} {guardian} {what} --request {id} --key FILE --data-dir {dir}"
            ),
            (Approved::Twice, false) => println!(
                "Approved twice. It stands in both footprints. The guardian signs in with a passkey and begins under \"Helpers and guardians\"."
            ),
            (Approved::Twice, true) => println!("Approved twice. The guardianship has ended, and it stands in both footprints."),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A day where it is the first moment of one.
fn as_typed(until: Time) -> String {
    let day = until.day();
    if day.parse().is_ok_and(|begins: Time| begins == until) { day } else { until.to_string() }
}
