//! `usufruct keeper`: shares of the root of a city's key tree, kept by others than the city.

mod adopt;
mod city;
mod init;
mod replace;
mod roster;
mod serve;
mod status;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Be a keeper of the root of a city's key tree, or, as a city, put the root into the hands of keepers.
///
/// Each keeper holds a share of the root and destroys it when the city erases something. Enough of them bring the root back;
/// fewer can do nothing with what they have. The city prints its certificate (`city`), each keeper makes its keys (`init`), all of
/// that becomes one roster (`roster`), the keepers serve (`serve`), and the city is founded with `usufruct init --keepers`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct keeper city --data-dir pass --origin pass.example.org/log > city.toml
  usufruct keeper init --data-dir keeper --name court --vault pass.example.org/log --url https://keeper.court.example:8443 > court.toml
  usufruct keeper roster --city city.toml --vault pass.example.org/log --threshold 2 \\
      --entry office.toml --entry court.toml --entry archive.toml > keepers.toml
  usufruct keeper serve --data-dir keeper --roster keepers.toml --listen 0.0.0.0:8443
  usufruct keeper status --data-dir pass")]
pub struct Keeper {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Adopt(adopt::Adopt),
    City(city::City),
    Init(init::Init),
    Replace(replace::Replace),
    Roster(roster::Roster),
    Serve(serve::Serve),
    Status(status::Status),
}

impl Keeper {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Adopt(verb) => verb.run(),
            Verb::City(verb) => verb.run(),
            Verb::Init(verb) => verb.run(),
            Verb::Replace(verb) => verb.run(),
            Verb::Roster(verb) => verb.run(),
            Verb::Serve(verb) => verb.run(),
            Verb::Status(verb) => verb.run(),
        }
    }
}

/// What a keeper is called, and for whom it keeps: the file `keeper.toml`, which makes a directory a keeper's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeeperFile {
    name: String,
    vault: String,
}

impl KeeperFile {
    /// The file in this directory; `None` if it is no keeper's.
    fn find(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|_| Failure::refused(format!("{} cannot be understood.", path.display()), "Restore it from a copy.")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file(&path, &error)),
        }
    }

    fn read(dir: &Path) -> Result<Self, Failure> {
        Self::find(dir)?.ok_or_else(|| {
            Failure::refused(format!("There is no keeper in {}.", dir.display()), "Make it with `usufruct keeper init`.")
        })
    }
}

const FILE: &str = "keeper.toml";
/// Name of the seed by which a keeper signs.
const SEED: &str = "keeper";
