//! `usufruct keeper city`: the certificate by which keepers know the city.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::House;

use crate::chance::SystemRng;
use crate::failure::Failure;
use crate::keeper::roster::{self, CityEntry, CityFile};
use crate::keeper::tls::Identity;

/// Print the certificate by which keepers know the city, and make it first if there is none.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct keeper city --data-dir pass --origin pass.example.org/log > city.toml")]
pub struct City {
    /// The data directory of the pass, which may still have to be made.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The log's name, as for `usufruct init`.
    #[arg(long, value_name = "NAME")]
    origin: String,
}

impl City {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let identity = Identity::make(&House::open(&self.data_dir)?, &self.origin, &SystemRng)?;
        print!("{}", roster::text(&CityFile { vault: self.origin, city: CityEntry { certificate: identity.certificate() } })?);
        Ok(ExitCode::SUCCESS)
    }
}
