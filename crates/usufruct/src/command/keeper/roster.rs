//! `usufruct keeper roster`: one list of all, from what each has printed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;
use crate::keeper::roster;

/// Put the roster together from what the city and its keepers printed, or put one keeper in another's place.
///
/// The city and every keeper use the same file. It holds nothing secret, but whoever can change it chooses who is trusted: bring it
/// to each of them so that they can compare it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct keeper roster --city city.toml --vault pass.example.org/log --threshold 2 \\
      --entry office.toml --entry court.toml --entry archive.toml > keepers.toml
  usufruct keeper roster --from keepers.toml --replace court --entry university.toml > keepers-new.toml")]
pub struct Roster {
    /// What `usufruct keeper city` printed.
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    city: Option<PathBuf>,
    /// The key tree: the name of the city's log.
    #[arg(long, value_name = "ORIGIN", required_unless_present = "from")]
    vault: Option<String>,
    /// So many keepers bring the root back; more than half of them.
    #[arg(long, value_name = "N", required_unless_present = "from")]
    threshold: Option<usize>,
    /// What `usufruct keeper init` printed; once for each keeper.
    #[arg(long, value_name = "FILE", required = true)]
    entry: Vec<PathBuf>,
    /// The roster in force, in which one keeper is replaced.
    #[arg(long, value_name = "FILE", requires = "replace", conflicts_with_all = ["city", "vault", "threshold"])]
    from: Option<PathBuf>,
    /// Name of the keeper whose place is taken.
    #[arg(long, value_name = "NAME", requires = "from")]
    replace: Option<String>,
}

impl Roster {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let entries = |vault: &str| self.entry.iter().map(|path| roster::read_entry(path, vault)).collect::<Result<Vec<_>, _>>();
        let roster = match (self.from, self.replace, self.city, self.vault, self.threshold) {
            (Some(from), Some(name), ..) => {
                let mut roster = roster::Roster::read(&from)?;
                let mut entries = entries(&roster.vault)?;
                let place = roster.keepers.iter_mut().find(|entry| entry.name == name);
                let (Some(place), Some(entry), true) = (place, entries.pop(), entries.is_empty()) else {
                    return Err(Failure::refused(
                        format!("One keeper takes the place of {name}, who must be in the roster."),
                        "Give one --entry, and a name that stands in the roster.",
                    ));
                };
                *place = entry;
                roster
            }
            (_, _, Some(city), Some(vault), Some(threshold)) => {
                let (city, keepers) = (roster::read_city(&city, &vault)?, entries(&vault)?);
                roster::Roster { vault, threshold, city, keepers }
            }
            _ => {
                return Err(Failure::impossible(
                    "It is not clear what the roster is made from.",
                    "Give --city, --vault and --threshold, or --from and --replace.",
                ));
            }
        };
        let roster = roster
            .checked()
            .map_err(|what| Failure::refused(format!("This can be no roster: {what}."), "Correct it and try again."))?;
        print!("{}", roster.text()?);
        Ok(ExitCode::SUCCESS)
    }
}
