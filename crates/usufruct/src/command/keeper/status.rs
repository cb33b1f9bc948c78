//! `usufruct keeper status`: who answers, and where each stands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Args;
use usufruct_app::House;
use usufruct_app::vault::Result as VaultResult;
use usufruct_app::vault::keeper::Standing;
use usufruct_app::vault::roots::Link as _;
use usufruct_core::ports::random;

use super::KeeperFile;
use crate::chance::{SystemRng, chance};
use crate::data_dir;
use crate::failure::Failure;
use crate::keeper::link::{self, Line};
use crate::keeper::roster::{self, Entry, Roster};
use crate::keeper::standings::holders;
use crate::keeper::tls::Identity;
use crate::root;

/// Show which keepers answer, at which epoch they are, and of which they hold a share.
///
/// For a city all of that, and whether each gives its share out: not while it has heard from no other keeper (`no`), and not
/// while another one says that the epoch is over (`told` and of which epoch). For a keeper only the counters of the others, since
/// it may ask for no more. Exit code 1 when fewer have their share of the newest root than bring it back, or when fewer answer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct keeper status --data-dir pass
  usufruct keeper status --data-dir keeper --roster keepers.toml")]
pub struct Status {
    /// The data directory of the pass, or of a keeper.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The roster [default: keepers.toml in the data directory].
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
}

/// How a keeper is asked.
type Ask = fn(&Entry, &Line, &str) -> VaultResult<Row>;

/// What one keeper answered.
struct Row {
    counter: String,
    held: String,
    fresh: String,
    /// All it said, to the city.
    standing: Option<Standing>,
}

impl Status {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let roster = Roster::read(&self.roster.clone().unwrap_or_else(|| self.data_dir.join(roster::FILE)))?;
        let (identity, ask): (_, Ask) = match KeeperFile::find(&self.data_dir)? {
            Some(file) => (Identity::open(&House::open(&self.data_dir)?, &file.name, &SystemRng)?, as_keeper),
            None => (of_city(&self.data_dir, &roster)?, as_city),
        };
        let lines = link::lines(&roster, &identity, &chance())?;
        let rows: Vec<VaultResult<Row>> = thread::scope(|scope| {
            let call = |(entry, line): (_, &Arc<Line>)| {
                let (line, vault) = (Arc::clone(line), &roster.vault);
                scope.spawn(move || ask(entry, &line, vault))
            };
            let calls: Vec<_> = roster.keepers.iter().zip(&lines).map(call).collect();
            // INVARIANT: a call returns its error and does not panic.
            calls.into_iter().map(|call| call.join().expect("a call does not panic")).collect()
        });
        println!("{:<16} {:<9} {:>8} {:<12} {:<9} url", "keeper", "answers", "counter", "holds", "fresh");
        for (entry, row) in roster.keepers.iter().zip(&rows) {
            match row {
                Ok(row) => {
                    println!("{:<16} {:<9} {:>8} {:<12} {:<9} {}", entry.name, "yes", row.counter, row.held, row.fresh, entry.url)
                }
                Err(_) => println!("{:<16} {:<9} {:>8} {:<12} {:<9} {}", entry.name, "no", "-", "-", "-", entry.url),
            }
        }
        for error in rows.iter().filter_map(|row| row.as_ref().err()) {
            eprintln!("{error}");
        }
        let answered = rows.iter().flatten().count();
        let standings: Vec<Option<Standing>> =
            rows.iter().map(|row| row.as_ref().ok().and_then(|row| row.standing.clone())).collect();
        // A keeper may not ask the others what they hold.
        let is_known = answered == 0 || standings.iter().any(Option::is_some);
        let holders = holders(&standings).into_iter().filter(|holds| *holds).count();
        match is_known {
            true => println!(
                "{answered} of {} answer; {holders} have their share, and {} bring the root back.",
                rows.len(),
                roster.threshold
            ),
            false => println!("{answered} of {} answer; {} bring the root back.", rows.len(), roster.threshold),
        }
        let counted = if is_known { holders } else { answered };
        Ok(if counted < roster.threshold { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn of_city(dir: &Path, roster: &Roster) -> Result<Identity, Failure> {
    root::belongs(dir, &data_dir::setup(dir)?.origin, roster)
}

fn as_city(_: &Entry, line: &Line, _: &str) -> VaultResult<Row> {
    let standing = line.standing()?;
    let newest = standing.held.iter().map(|(epoch, _)| *epoch).max().unwrap_or(standing.counter);
    let held: Vec<String> = standing.held.iter().map(|(epoch, _)| epoch.0.to_string()).collect();
    Ok(Row {
        counter: standing.counter.0.to_string(),
        held: if held.is_empty() { "nothing".to_owned() } else { held.join(" ") },
        fresh: match standing.is_fresh {
            false => "no".to_owned(),
            true if standing.told > newest => format!("told {}", standing.told.0),
            true => "yes".to_owned(),
        },
        standing: Some(standing),
    })
}

fn as_keeper(entry: &Entry, line: &Line, vault: &str) -> VaultResult<Row> {
    let nonce = random(&SystemRng);
    let told = line.counter(&nonce)?;
    let is_right =
        told.vault == vault && told.keeper == entry.name && told.nonce_bytes() == nonce && told.is_signed_by(&entry.public);
    let counter = if is_right { told.counter.to_string() } else { "forged".to_owned() };
    Ok(Row { counter, held: "-".to_owned(), fresh: "-".to_owned(), standing: None })
}
