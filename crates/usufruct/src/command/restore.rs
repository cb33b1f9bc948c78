//! `usufruct restore`: puts a database back from a backup, and nothing that must never be old.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::Args;
use usufruct_app::log::{Folder, Objects, Source, checkpoint};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::store::{MIGRATIONS, log_head};
use usufruct_app::{Comparison, Config, House, RestoredDatabase, Settled, rebuild_log, renew_keyrings, restore_log};

use crate::backup_mark::BackupKey;
use crate::chance::SystemRng;
use crate::clock::{self, SystemClock};
use crate::data_dir::{self, DataDir, Setup};
use crate::failure::Failure;
use crate::public_log::PublicLog;
use crate::root::{self, RootKind};
use crate::{backup, bucket};

/// Put the database of a pass back from a backup of any age.
///
/// The key tree and the signing keys of the pass must be there, as new as they were: they are never restored. Keyrings, consents,
/// ways in and erasures since the backup are taken from the database that was lost, if it still opens, or from its replica
/// (--live); the log since then from its own files, or from a mirror (--log-from). The live copy is compared with the log and the
/// key tree before anything is touched, and an old copy is refused. What was erased stays erased.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct restore --data-dir pass --from /srv/backups/2026-11-20T02-00-00
  usufruct restore --data-dir pass --from /srv/backups/2026-11-20T02-00-00 --live sqlite:/srv/replica/usufruct.db --log-from https://mirror.example
  usufruct restore --data-dir pass --from /srv/backups/2026-11-20T02-00-00 --without-live")]
pub struct Restore {
    /// The pass, which must not be running.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The folder of the backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The newest copy of the database there is, for keyrings and erasures: sqlite:FILE or postgres://… [default: with SQLite the
    /// database that is replaced, if it opens; with PostgreSQL none, since the restored one has to be empty].
    #[arg(long, value_name = "URL")]
    live: Option<String>,
    /// A copy of the log that has what came after the backup, such as a mirror [default: the log's own files].
    #[arg(long, value_name = "URL")]
    log_from: Option<String>,
    /// Go on with a live copy that is an old one, on the safe side: whoever did something since has to be asked again.
    #[arg(long)]
    live_is_old: bool,
    /// Go on although no live copy is left, on the safe side: whoever did something since the backup has to be asked again.
    #[arg(long, conflicts_with_all = ["live", "live_is_old"])]
    without_live: bool,
}

/// Whether a database is there and holds a pass. One that a start in vain has left behind is empty.
fn has_pass(url: &str) -> bool {
    let is_there = url.strip_prefix("sqlite:").is_none_or(|path| std::path::Path::new(path.trim_start_matches("//")).exists());
    is_there && open_live(url).is_ok_and(|db| db.read(|conn| log_head::size(conn)).is_ok_and(|size| size > 0))
}

/// Says what is wrong with a copy that was named and holds no pass. Opening it would make a file that is not there.
fn refuse_no_live_copy(url: &str) -> Result<(), Failure> {
    let refused = |what: String, remedy: &str| Err(Failure::refused(what, remedy));
    if !url.contains(':') {
        return refused(
            format!("{url} is no address of a database."),
            "Give the live copy with --live as sqlite: and the path of its file, or as postgres://…",
        );
    }
    if let Some(path) = url.strip_prefix("sqlite:").map(|path| Path::new(path.strip_prefix("//").unwrap_or(path))) {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return refused(format!("There is no live copy at {}.", path.display()), "Correct the path that --live names.");
            }
            Err(error) => return Err(Failure::file(path, &error)),
            Ok(metadata) if metadata.is_dir() => {
                return refused(
                    format!("{} is a folder and no database.", path.display()),
                    "Name the file in it with --live, such as sqlite:/srv/replica/usufruct.db.",
                );
            }
            Ok(_) => {}
        }
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::refused(
            format!("The live copy cannot be read: {error}"),
            "Check the address and the rights; a file that is no database of a pass is no live copy.",
        )
    };
    let db = Db::open(url, &Options { readers: 1, queue: 1 }).map_err(|error| unreadable(&error))?;
    match db.read(|conn| log_head::size(conn)) {
        Ok(0) => refused(format!("The database at {url} holds no pass."), "Name the replica of this pass with --live."),
        Ok(_) => Ok(()),
        Err(error) => Err(unreadable(&error)),
    }
}

fn open_live(url: &str) -> Result<Db, Failure> {
    Db::open(url, &Options { readers: 1, queue: 1 }).map_err(Failure::of)
}

impl Restore {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        let house = House::open(&self.data_dir)?;
        house.require_seeds(&["log", "log-ml-dsa", "receipt"])?;
        let manifest = backup::check(&self.from, &BackupKey::of(&house)?)?;
        if manifest.origin != setup.origin {
            return Err(Failure::refused(
                format!("This is a backup of {}, and {} is {}.", manifest.origin, self.data_dir.display(), setup.origin),
                "Choose a backup of the same pass.",
            ));
        }
        let dir = DataDir::hold(&self.data_dir)?;
        if dir.unfinished().is_some_and(|verb| verb != VERB) {
            return Err(Failure::refused(
                "The pass is being founded anew, and that was interrupted.",
                "Run `usufruct refound` again first, to its end.",
            ));
        }
        if setup.root() == RootKind::File && !house.vault_dir().join("root").exists() {
            return Err(Failure::refused(
                format!("The key tree is not in {}.", house.vault_dir().display()),
                "Bring the newest one from its live replica first; a backup of it opens nothing that counts.",
            ));
        }
        // Asked before anything is touched.
        let own = house.database_url();
        // What an interrupted restore left behind is no live copy.
        let replaced = setup.database.is_none() && !self.without_live && dir.unfinished().is_none() && has_pass(&own);
        let live = self.live.as_deref().or(replaced.then_some(own.as_str()));
        if let Some(url) = &self.live {
            refuse_no_live_copy(url)?;
        }
        if live.is_none() && !self.without_live {
            return Err(Failure::refused(
                "There is no live copy of the keyrings, so residents who did something since the backup would have to be asked again.",
                "Name a replica with --live, or accept it with --without-live.",
            ));
        }
        if live.is_none() && setup.vault().pages_in_database {
            return Err(Failure::refused(
                "The pages of the key tree are in the database, and no live copy of it is left.",
                "Name a replica with --live; without the newest pages nothing opens, and the pass has to be founded anew.",
            ));
        }
        let log = self.log()?;
        let config = config(&setup);
        let is_live = match live {
            Some(url) => self.compare(dir.path(), &setup, &house, &open_live(url)?, log.as_ref(), manifest.leaves)?,
            None => false,
        };
        dir.begin(VERB)?;
        let (restored, aside) = match &setup.database {
            None => self.put_file(&house)?,
            Some(url) => (self.put_dump(url)?, None),
        };
        let db = Db::open(&restored, &Options::default()).map_err(Failure::of)?;
        db.migrate(MIGRATIONS).map_err(Failure::of)?;
        let aside = aside.as_ref().filter(|_| replaced).map(|path| format!("sqlite:{}", path.display()));
        if let Some(url) = self.live.as_ref().or(aside.as_ref()) {
            let renewed = renew_keyrings(&db, &open_live(url)?)?;
            println!(
                "{} residents; newer in the live copy were {} keyrings and {} footprint lines; {} residents were erased since, {} came since and are not in the backup.",
                renewed.residents, renewed.keyrings, renewed.lines, renewed.erased, renewed.newcomers
            );
        }
        let size = db.read(|conn| log_head::size(conn)).map_err(Failure::of)?;
        Self::bring_log(&config, &setup, &house, log, size)?;
        let root = root::place(dir.path(), &setup)?.place;
        let restored = RestoredDatabase { config: &config, house: &house, root, db: &db, has_live: is_live };
        let settled = restored.settle(clock::now(), &SystemRng)?;
        if live.is_none() {
            println!("No live copy: what happened since {} is known from the log alone.", manifest.made_at);
        }
        if !is_live {
            println!("{}", describe(&settled));
        }
        db.checkpoint().map_err(Failure::of)?;
        drop(db);
        dir.finish()?;
        // Opening checks that database, log, witnesses and key tree agree.
        let app = dir.open(&setup, Arc::new(SystemClock))?;
        app.tick()?;
        println!("The pass of {} is whole again. Check it with `usufruct doctor`, then serve it.", manifest.made_at);
        Ok(ExitCode::SUCCESS)
    }

    /// Whether the live copy is one. An old one is refused, or is taken for what it is where that was asked for.
    fn compare(
        &self,
        dir: &Path,
        setup: &Setup,
        house: &House,
        live: &Db,
        log: Option<&PublicLog>,
        backup: u64,
    ) -> Result<bool, Failure> {
        let (config, root) = (config(setup), root::place(dir, setup)?.place);
        let log = log.map(|log| log as &dyn Source);
        let doubts = Comparison { config: &config, house, root, log, backup }.doubts(live, &SystemRng)?;
        match doubts.iter().find(|doubt| doubt.is_final()).or(doubts.first()) {
            None => Ok(true),
            Some(doubt) if self.live_is_old && !doubt.is_final() => Ok(false),
            Some(_) => Err(Failure::of(doubts.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))),
        }
    }

    /// Puts the file of SQLite in its place and the old one aside. Answers the address and what lies aside.
    fn put_file(&self, house: &House) -> Result<(String, Option<PathBuf>), Failure> {
        let file = house.dir().join(backup::SQLITE);
        let parts = ["", "-wal", "-shm"];
        let mut aside = None;
        // A write-ahead log that is left alone would be taken for that of the file that comes.
        if parts.iter().any(|end| PathBuf::from(format!("{}{end}", file.display())).exists()) {
            let stamp: String =
                clock::now().to_string().chars().take(19).map(|sign| if sign == ':' { '-' } else { sign }).collect();
            let path = house.dir().join(format!("{}.before-{stamp}", backup::SQLITE));
            for end in parts {
                let from = PathBuf::from(format!("{}{end}", file.display()));
                if from.exists() {
                    let to = PathBuf::from(format!("{}{end}", path.display()));
                    std::fs::rename(&from, &to).map_err(|error| Failure::file(&from, &error))?;
                }
            }
            println!("The old database lies aside as {}.", path.display());
            aside = Some(path);
        }
        let from = self.from.join(backup::SQLITE);
        std::fs::copy(&from, &file).map_err(|error| Failure::file(&from, &error))?;
        Ok((house.database_url(), aside))
    }

    /// Fills an empty database of PostgreSQL from a dump.
    fn put_dump(&self, url: &str) -> Result<String, Failure> {
        let dump = self.from.join(backup::POSTGRES);
        let arguments = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", "--dbname"];
        match Command::new("pg_restore").args(arguments).arg(url).arg(&dump).output() {
            Ok(output) if output.status.success() => Ok(url.to_owned()),
            Ok(output) => Err(Failure::refused(
                format!("pg_restore failed: {}.", String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default()),
                "Give an empty database in usufruct.toml; nothing is restored over another one.",
            )),
            Err(error) => {
                Err(Failure::impossible(format!("pg_restore cannot run: {error}."), "Install the clients of PostgreSQL."))
            }
        }
    }

    /// The copy of the log that has what came after the backup: the one that is named, or the log's own files, in their folder or
    /// their bucket. `None` when those are gone too.
    fn log(&self) -> Result<Option<PublicLog>, Failure> {
        if let Some(place) = &self.log_from {
            return PublicLog::open_for(place, Some(&data_dir::setup(&self.data_dir)?.origin)).map(Some);
        }
        let own = PublicLog::in_data_dir(&self.data_dir)?;
        // A log that only cannot be reached is not gone, and what is here may be shorter than it.
        let has_checkpoint = own.fetch(checkpoint::PATH).map_err(|error| Failure::of(error).into_impossible())?.is_some();
        Ok(has_checkpoint.then_some(own))
    }

    /// Brings the leaves that came after the backup, and the files of the log.
    fn bring_log(config: &Config, setup: &Setup, house: &House, log: Option<PublicLog>, size: u64) -> Result<(), Failure> {
        let objects: Arc<dyn Objects> = match &setup.log {
            Some(place) => bucket::open(place, bucket::environment())?,
            None => Arc::new(Folder::hold(house.log_dir())?),
        };
        match log {
            Some(log) => {
                let restored = restore_log(config, house, &objects, &log, None, &SystemRng)?;
                println!("The log had {size} leaves in the database, and has {} now.", restored.size);
            }
            None => {
                let files = rebuild_log(config, house, &objects, &SystemRng)?;
                println!("The log has {size} leaves; {files} of its files were made anew.");
            }
        }
        Ok(())
    }
}

fn config(setup: &Setup) -> Config {
    Config {
        origin: setup.origin.clone(),
        database: setup.database.clone(),
        operator: setup.operator.clone(),
        vault: setup.vault(),
    }
}

const VERB: &str = "restore";

/// What was done on the safe side, for the operator.
pub fn describe(settled: &Settled) -> String {
    let Settled { erased, closed, held, lines } = settled;
    format!(
        "On the safe side: {erased} residents were erased since and stay so. {closed} have other keys since; their passes are closed, \
         and they have to be enrolled again. To {held} something else happened, {lines} lines of whose footprints are lost: their \
         consents have ended, their passes rest, and they need a new way in (`usufruct invite`). Everybody has to sign in again."
    )
}
