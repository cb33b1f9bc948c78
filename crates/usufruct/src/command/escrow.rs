//! `usufruct escrow`: the root in the hands of officers, for one period at a time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use usufruct_app::vault::escrow::{EscrowFile, HandedShare, OfficerFile, Sealed, recover, sealed_roots};
use usufruct_app::vault::hpke::PublicKey;
use usufruct_app::vault::roots::Disk;
use usufruct_app::{Config, EscrowSetup, House, OfficerEntry, published_terms, put_root_back};

use crate::chance::SystemRng;
use crate::clock::{self, SystemClock};
use crate::data_dir::{self, DataDir, Setup};
use crate::failure::Failure;

/// Keep the root of the key tree with officers who together can bring it back, until the end of a period.
///
/// Officers run officer, turn and open on machines of their own; the city runs appoint, prepare and recover. What was erased comes
/// back for nobody once the officers have destroyed the keys of its period, so a ceremony each period is part of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct escrow officer --officer /media/safe/officer --name 'Chief Archivist' --period 227
  usufruct escrow appoint --data-dir pass --officers officers.toml
  usufruct escrow status --data-dir pass")]
pub struct Escrow {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Officer(Officer),
    Turn(Turn),
    Appoint(Appoint),
    Prepare(Prepare),
    Open(Open),
    Recover(Recover),
    Status(Status),
}

/// Make an officer's folder with her key for a period, and show its public half.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct escrow officer --officer /media/safe/officer --name 'Chief Archivist' --period 227 >> officers.toml")]
struct Officer {
    /// The folder, which is made. It must be on ext4 or xfs, and never in a backup.
    #[arg(long, value_name = "DIR")]
    officer: PathBuf,
    /// Her office.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The number of the period, as the city's `usufruct escrow status` says it.
    #[arg(long, value_name = "N")]
    period: u32,
}

/// Make an officer's key for the next period, destroy the present one, and show the public half.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct escrow turn --officer /media/safe/officer >> officers.toml")]
struct Turn {
    /// The officer's folder.
    #[arg(long, value_name = "DIR")]
    officer: PathBuf,
    /// The number of a later period, at most 12 on [default: the one after the present key's].
    #[arg(long, value_name = "N")]
    period: Option<u32>,
}

/// Appoint officers for a period, and seal the root to their keys. The server must not be running.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct escrow appoint --data-dir pass --officers officers.toml")]
struct Appoint {
    /// The pass, whose set-up has a table [vault.escrow].
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The entries that the officers' machines printed, one below the other.
    #[arg(long, value_name = "FILE")]
    officers: PathBuf,
}

/// Make the key to which officers seal their shares when the root is lost, and show its public half.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct escrow prepare --data-dir pass")]
struct Prepare {
    /// The pass that lost its root.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Open an officer's share of the escrow, and seal it to the machine where the root is recovered.
///
/// A share is never written in clear: it would outlive the officer's key on whatever carried it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct escrow open --officer /media/safe/officer --escrow /media/copy/escrow --for 3JXA… --out chief.share")]
struct Open {
    /// The officer's folder.
    #[arg(long, value_name = "DIR")]
    officer: PathBuf,
    /// The file of the escrow, or a copy of it.
    #[arg(long, value_name = "FILE")]
    escrow: PathBuf,
    /// The key that `usufruct escrow prepare` showed. Hear it from somebody you know: whoever has its other half gets the share.
    #[arg(long = "for", value_name = "KEY", allow_hyphen_values = true)]
    recipient: String,
    /// Where to write it [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Put the root back from the shares of enough officers. The server must not be running, and no root may be left.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct escrow recover --data-dir pass --share chief.share --share court.share --share archive.share")]
struct Recover {
    /// The pass that lost its root. Its pages and its database must be the newest there are.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// A share that `usufruct escrow open` wrote; once for each officer.
    #[arg(long, value_name = "FILE", required = true)]
    share: Vec<PathBuf>,
}

/// Show how an escrow stands, or what an officer holds. It changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct escrow status --data-dir pass
  usufruct escrow status --officer /media/safe/officer")]
struct Status {
    /// The pass.
    #[arg(long, value_name = "DIR", required_unless_present = "officer")]
    data_dir: Option<PathBuf>,
    /// An officer's folder.
    #[arg(long, value_name = "DIR", conflicts_with = "data_dir")]
    officer: Option<PathBuf>,
}

/// What people pass around: the public entries of officers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    officers: Vec<OfficerEntry>,
}

impl Escrow {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Officer(verb) => verb.run(),
            Verb::Turn(verb) => verb.run(),
            Verb::Appoint(verb) => verb.run(),
            Verb::Prepare(verb) => verb.run(),
            Verb::Open(verb) => verb.run(),
            Verb::Recover(verb) => verb.run(),
            Verb::Status(verb) => verb.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Officer {
    fn run(self) -> Result<(), Failure> {
        let made = OfficerFile::create(&self.officer, &self.name, self.period, disk(), &SystemRng).map_err(Failure::of)?;
        print_entry(&made)
    }
}

impl Turn {
    fn run(self) -> Result<(), Failure> {
        let mut officer = OfficerFile::open(&self.officer, disk()).map_err(Failure::of)?;
        if officer.is_between() && self.period.is_none_or(|period| period == officer.period()) {
            officer.finish_turn().map_err(Failure::of)?;
            eprintln!("A turn that was interrupted is finished; the key of the period before is destroyed.");
        } else {
            let next = self.period.or_else(|| officer.period().checked_add(1)).ok_or_else(|| {
                Failure::refused(
                    format!("There is no period after {}, so this key cannot be turned.", officer.period()),
                    "Make a new officer's folder with `usufruct escrow officer` for the period of the city, and appoint her with that.",
                )
            })?;
            officer.turn(next, &SystemRng).map_err(Failure::of)?;
            eprintln!("The key of the period before is destroyed.");
        }
        print_entry(&officer)
    }
}

impl Appoint {
    fn run(self) -> Result<(), Failure> {
        let (setup, escrow) = set_up(&self.data_dir)?;
        let text = std::fs::read_to_string(&self.officers).map_err(|error| Failure::file(&self.officers, &error))?;
        let entries: Entries = toml::from_str(&text).map_err(|error| {
            Failure::refused(
                format!("{} does not list officers: {}.", self.officers.display(), error.message()),
                "Put the entries that the officers' machines printed into it, and nothing else.",
            )
        })?;
        let dir = DataDir::hold(&self.data_dir)?;
        let config = Config {
            origin: setup.origin.clone(),
            database: setup.database.clone(),
            operator: setup.operator.clone(),
            vault: setup.vault(),
        };
        let terms = published_terms(&config, &House::open(&self.data_dir)?)?;
        let appointed = escrow.appoint(&entries.officers, terms.as_ref(), clock::now())?;
        // Opening seals the root to them.
        dir.open(&setup, Arc::new(SystemClock))?;
        println!(
            "{} officers hold the root for period {}, until {}; {} of them bring it back.",
            appointed.officers,
            appointed.period,
            escrow.end_of(appointed.period).day(),
            appointed.threshold
        );
        Ok(())
    }
}

impl Prepare {
    fn run(self) -> Result<(), Failure> {
        data_dir::setup(&self.data_dir)?;
        let _dir = DataDir::hold(&self.data_dir)?;
        refuse_root(&self.data_dir)?;
        let folder = self.data_dir.join(RECOVERY);
        let own = match folder.join("key").exists() {
            true => OfficerFile::open(&folder, disk()),
            false => OfficerFile::create(&folder, "recovery", 0, disk(), &SystemRng),
        };
        let own = own.map_err(Failure::of)?;
        eprintln!("Tell this key to the officers in a way that nobody can change:");
        println!("{}", URL_SAFE_NO_PAD.encode(own.public().bytes()));
        Ok(())
    }
}

impl Open {
    fn run(self) -> Result<(), Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(self.recipient.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        let to = bytes.and_then(PublicKey::new).ok_or_else(|| {
            Failure::refused(
                "What is given with --for is no public key.",
                "Copy the line that `usufruct escrow prepare` printed.",
            )
        })?;
        let officer = OfficerFile::open(&self.officer, disk()).map_err(Failure::of)?;
        let sealed = newest(&self.escrow)?;
        let share = officer.hand_over(&sealed, &to, &SystemRng).map_err(Failure::of)?;
        eprintln!("The share of {} in the root of {}, epoch {}.", officer.name(), sealed.vault, sealed.epoch.0);
        let line = format!("{}\n", share.encode());
        match self.out {
            Some(path) => data_dir::write(&path, line.as_bytes()),
            None => {
                print!("{line}");
                Ok(())
            }
        }
    }
}

impl Recover {
    fn run(self) -> Result<(), Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        let _dir = DataDir::hold(&self.data_dir)?;
        refuse_root(&self.data_dir)?;
        let folder = self.data_dir.join(RECOVERY);
        let own = OfficerFile::open(&folder, disk()).map_err(|_| {
            Failure::refused(
                "This machine has no key that shares could be sealed to.",
                "Make it with `usufruct escrow prepare`, and have the officers open their shares for it.",
            )
        })?;
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
            HandedShare::parse(&text)
                .map_err(|error| Failure::refused(format!("{}: {error}", path.display()), "Have the officer open it again."))
        };
        let shares = self.share.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let root = recover(&setup.origin, &shares, &own).map_err(Failure::of)?;
        let config = Config {
            origin: setup.origin.clone(),
            database: setup.database.clone(),
            operator: setup.operator.clone(),
            vault: setup.vault(),
        };
        put_root_back(&config, &House::open(&self.data_dir)?, &root)?;
        own.destroy().map_err(Failure::of)?;
        println!(
            "The root of epoch {} is back in {}. Run `usufruct doctor`, then serve; the next erasure replaces it.",
            root.epoch.0,
            self.data_dir.join("vault").display()
        );
        Ok(())
    }
}

impl Status {
    fn run(self) -> Result<(), Failure> {
        if let Some(dir) = self.data_dir {
            return city(&dir);
        }
        let officer = OfficerFile::open(&self.officer.unwrap_or_default(), disk()).map_err(Failure::of)?;
        if officer.is_between() {
            eprintln!("A turn was interrupted, and the key of the period before is still there. Run `usufruct escrow turn`.");
        }
        print_entry(&officer)
    }
}

/// Says how the escrow of a pass stands.
fn city(dir: &Path) -> Result<(), Failure> {
    let (_, escrow) = set_up(dir)?;
    let present = escrow.period_at(clock::now());
    println!("present period   {present}, until {}", escrow.end_of(present).day());
    match escrow.appointed()? {
        None => println!("appointed        nobody yet"),
        Some(officers) => officers.iter().enumerate().for_each(|(place, officer)| {
            println!("officer {:<2}       {}, with a key of period {}", place + 1, officer.name, officer.period);
        }),
    }
    let path = EscrowFile::path(&escrow.folder);
    if !path.exists() {
        println!("sealed           nothing yet");
        return Ok(());
    }
    let sealed = newest(&path)?;
    println!(
        "sealed           the root of {}, epoch {}, to {} keys of period {}; {} bring it back, until {}",
        sealed.vault,
        sealed.epoch.0,
        sealed.keys().count(),
        sealed.period,
        sealed.threshold,
        escrow.end_of(sealed.period).day()
    );
    Ok(())
}

/// The newest root in the file of an escrow.
fn newest(path: &Path) -> Result<Sealed, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    Ok(sealed_roots(&bytes).map_err(Failure::of)?.swap_remove(0))
}

fn set_up(dir: &Path) -> Result<(Setup, EscrowSetup), Failure> {
    let setup = data_dir::setup(dir)?;
    let escrow = setup.vault().escrow.ok_or_else(|| {
        Failure::refused(
            "This pass has no escrow.",
            "Publish terms of the vault that name one, then write [vault.escrow] with folder, threshold and period_days into usufruct.toml.",
        )
    })?;
    Ok((setup, escrow))
}

/// A root that is there is newer than any that comes back.
fn refuse_root(dir: &Path) -> Result<(), Failure> {
    match dir.join("vault/root").exists() {
        true => Err(Failure::refused(
            format!("There is a root in {}.", dir.join("vault").display()),
            "Nothing has to be recovered; if it is damaged, move it aside first.",
        )),
        false => Ok(()),
    }
}

fn print_entry(officer: &OfficerFile) -> Result<(), Failure> {
    let entries = Entries { officers: vec![OfficerEntry::new(officer.name(), officer.period(), &officer.public())] };
    let text = toml::to_string(&entries).map_err(|error| {
        Failure::impossible(format!("The entry cannot be written: {error}."), "Make the key anew under a plainer name.")
    })?;
    print!("{text}");
    Ok(())
}

fn disk() -> Disk {
    if data_dir::any_disk() { Disk::Any } else { Disk::InPlace }
}

/// The folder of the key that shares are sealed to.
const RECOVERY: &str = "recovery";
