//! `usufruct audit`: drills of the vault and recounts of uses, whose results stand in the public log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::{AuditReport, House};

use crate::access::Access;
use crate::backup::{self, Found};
use crate::backup_mark::BackupKey;
use crate::command::draw::Draw;
use crate::command::recount::{AuditKey, Recount};
use crate::data_dir;
use crate::failure::Failure;

/// Drill the vault: open an old backup with today's keys, or search for the keys of the erased. Or recount uses.
///
/// All work while the server runs, and publish what they found as a statement in the log, whether it pleases or not. Exit
/// code 0: all as it must be. 1: something is wrong. 2: it could not be done.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct audit draw mdt_library-card --until 2026-12-31T16:00:00Z --key chair.json --key member.json --out draw.json --data-dir pass
  usufruct audit recount --draw draw.json --audit-key audit.json --key chair.json --key member.json --data-dir pass
  usufruct audit restore-drill --data-dir pass --backup /srv/backups/2026-11-20T02-00-00
  usufruct audit canary-scan --data-dir pass --also /srv/backups --also /var/lib/postgresql --also /var/log")]
pub struct Audit {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Debug, Subcommand)]
enum Drill {
    RestoreDrill(RestoreDrill),
    CanaryScan(CanaryScan),
    Draw(Draw),
    Key(AuditKey),
    Recount(Recount),
}

/// Open a backup of any age with today's keys: the erased must stay closed, the living must open.
#[derive(Debug, Args)]
struct RestoreDrill {
    /// The pass.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The folder of the backup. It is only read.
    #[arg(long, value_name = "DIR")]
    backup: PathBuf,
    /// An empty database of PostgreSQL, or one that a drill filled before: a dump in the backup is restored into it.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// At most so many residents are looked at, one or more, from a random place on, besides those who were erased since.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    sample: usize,
}

/// Make synthetic residents, erase them, try what the database held of them, and search files for their keys.
#[derive(Debug, Args)]
struct CanaryScan {
    /// The pass. Everything in it is searched.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Search this too: backups, the folder of the database server, logs, core files. May be given again.
    #[arg(long, value_name = "PATH")]
    also: Vec<PathBuf>,
    /// How many synthetic residents, one or more.
    #[arg(long, value_name = "N", default_value_t = 3)]
    residents: usize,
}

impl Audit {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let (words, report) = match self.drill {
            Drill::Draw(draw) => return draw.run(),
            Drill::Key(key) => return key.run(),
            Drill::Recount(recount) => return recount.run(),
            Drill::RestoreDrill(drill) => {
                let setup = data_dir::setup(&drill.data_dir)?;
                let key = BackupKey::of(&House::open(&drill.data_dir)?)?;
                let made_at = match backup::of_pass(&drill.backup, &setup.origin, &key)? {
                    Found::Whole(made_at) => made_at,
                    Found::Damaged(failure, made_at) => {
                        eprintln!("{failure}");
                        let report = Access::open(&drill.data_dir)?.publish_unopened(made_at)?;
                        return Ok(say(&restored(&report), &report));
                    }
                };
                let own = match &setup.database {
                    Some(url) => {
                        Db::open(url, &Options { readers: 1, queue: 1 }).and_then(|db| db.identity()).map_err(Failure::of)?
                    }
                    None => None,
                };
                let url = backup::to_drill(&drill.backup, drill.database.as_deref(), own.as_ref())?;
                let report = Access::open(&drill.data_dir)?.restore_drill(&url, made_at, drill.sample)?;
                (restored(&report), report)
            }
            Drill::CanaryScan(scan) => {
                let places: Vec<PathBuf> =
                    std::iter::once(&scan.data_dir).chain(&scan.also).map(|path| absolute(path)).collect::<Result<_, _>>()?;
                let report = Access::open(&scan.data_dir)?.canary_scan(scan.residents, &places)?;
                (scanned(&report), report)
            }
        };
        Ok(say(&words, &report))
    }
}

/// Prints what a drill found.
fn say(words: &str, report: &AuditReport) -> ExitCode {
    println!("{words}");
    report.findings.iter().for_each(|finding| println!("  {finding}"));
    if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The server may stand elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(path).map_err(|error| Failure::file(path, &error))
}

fn restored(report: &AuditReport) -> String {
    let AuditReport { sampled, opened, closed, wrong, .. } = report;
    match (sampled, wrong) {
        (0, 0) => "There is nothing to look at yet; 0 wrong".to_owned(),
        _ => format!("{sampled} looked at: {opened} opened as they must, {closed} stayed closed as they must, {wrong} wrong"),
    }
}

fn scanned(report: &AuditReport) -> String {
    let AuditReport { sampled, closed, wrong, searched_bytes, .. } = report;
    format!(
        "{sampled} synthetic residents erased: {closed} of their sealed rows tried and closed, {wrong} wrong; {searched_bytes} bytes searched"
    )
}
