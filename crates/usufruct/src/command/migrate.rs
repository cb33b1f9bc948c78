//! `usufruct migrate`: brings the database to the form of this release.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::House;
use usufruct_app::store::MIGRATIONS;
use usufruct_app::store::db::{Db, Options};

use crate::data_dir::{self, DataDir};
use crate::failure::Failure;

/// Bring the database to the form of this release.
///
/// `serve` does the same at its start. Run it apart when you want to see it happen, before the new release serves.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct migrate --data-dir /var/lib/usufruct
  usufruct migrate --data-dir pass --database postgres://usufruct@localhost/usufruct")]
pub struct Migrate {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The database, when it is not the one the pass was set up with.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Migrate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        let dir = DataDir::hold(&self.data_dir)?;
        let url = match self.database.or(setup.database) {
            Some(url) => url,
            None => House::open(dir.path())?.database_url(),
        };
        let db = Db::open(&url, &Options::default()).map_err(Failure::of)?;
        let applied = db.migrate(MIGRATIONS).map_err(Failure::of)?;
        println!("{applied} of {} migrations were applied now; the database has the form of this release.", MIGRATIONS.len());
        Ok(ExitCode::SUCCESS)
    }
}
