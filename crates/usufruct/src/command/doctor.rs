//! `usufruct doctor`: looks at a data directory and says what is wrong and what to do.

mod cards;
mod drills;
mod erasures;
mod escrow;
mod root;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use usufruct_app::House;
use usufruct_app::log::{Checkpoint, Note, Reader, VerifierKey, checkpoint, leaf_hash};
use usufruct_app::store::db::{Connection, Db, Error, Options};
use usufruct_app::store::{MIGRATIONS, deletions, leaves, log_head};
use usufruct_app::vault::roots::{Disk, check_disk};
use usufruct_core::Time;
use usufruct_core::hash::sha256;

use crate::clock;
use crate::data_dir::{self, Setup};
use crate::failure::Failure;
use crate::memory::{self, Swap};
use crate::public_log::PublicLog;

/// Look at a data directory and say what is wrong and what to do.
///
/// It changes nothing, and a server may be running. Exit code 1 when something failed.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct doctor --data-dir /var/lib/usufruct")]
pub struct Doctor {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// How something stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fail,
    Ok,
    Warn,
}

/// One line of the table.
struct Line {
    what: &'static str,
    verdict: Verdict,
    words: String,
}

impl Doctor {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        let now = clock::now();
        let mut lines = vec![permissions(&self.data_dir, &setup), keys(&self.data_dir)];
        lines.extend(root::lines(&self.data_dir, &setup));
        lines.extend(setup.vault().escrow.map(|escrow| escrow::line(&self.data_dir, &escrow, now)));
        lines.extend(setup.certificate_cards.as_ref().map(|table| cards::line(&self.data_dir, table, now)));
        lines.extend(store(&self.data_dir, &setup, now));
        lines.push(machine(now));
        lines.extend(memory_lines(&self.data_dir)?);
        for line in &lines {
            let verdict = match line.verdict {
                Verdict::Fail => "FAIL",
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
            };
            println!("{:<12} {verdict:<5} {}", line.what, line.words);
        }
        let failed = lines.iter().any(|line| line.verdict == Verdict::Fail);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Line {
    fn ok(what: &'static str, words: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, words: words.into() }
    }

    fn warn(what: &'static str, words: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Warn, words: words.into() }
    }

    fn fail(what: &'static str, words: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fail, words: words.into() }
    }
}

/// Nobody but the owner may read the directory and its keys.
fn permissions(dir: &Path, setup: &Setup) -> Line {
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    if let Some(nightly) = setup.nightly.as_ref().filter(|nightly| is_open(&nightly.backups)) {
        // A folder that only its owner enters closes what is in it.
        let open: Vec<String> = folders(&nightly.backups)
            .into_iter()
            .filter(|folder| is_open(folder) && files(folder).iter().any(|file| is_open(file)))
            .map(|folder| folder.display().to_string())
            .collect();
        if !open.is_empty() {
            return Line::fail(
                "permissions",
                format!("Others can read the backups {}. Run `chmod -R go= {}`.", open.join(", "), nightly.backups.display()),
            );
        }
    }
    let mut open = Vec::new();
    for path in [dir.to_owned(), dir.join("keys"), dir.join("vault"), dir.join("vault/root"), dir.join("usufruct.db")] {
        if let Ok(metadata) = fs::metadata(&path)
            && metadata.permissions().mode() & 0o077 != 0
        {
            open.push(path.display().to_string());
        }
    }
    for file in files(&dir.join("keys")).into_iter().chain(files(&dir.join("officials"))) {
        if fs::metadata(&file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            open.push(file.display().to_string());
        }
    }
    let officials = files(&dir.join("officials")).len();
    // What lies in a directory that only the owner enters is closed whatever its own mode.
    let closed = fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0);
    match (open.is_empty(), closed, officials) {
        (true, _, 0) => Line::ok("permissions", "Only the owner can read the data directory."),
        (false, false, _) => {
            Line::fail("permissions", format!("Others can read {}. Run `chmod -R go= {}`.", open.join(", "), dir.display()))
        }
        (_, true, 0) => Line::ok("permissions", "Only the owner can enter the data directory."),
        (_, _, officials) => Line::warn(
            "permissions",
            format!(
                "{officials} key files of officials lie in officials/. Hand them over and delete them here: the machine must not be able to sign."
            ),
        ),
    }
}

/// The house's own keys.
fn keys(dir: &Path) -> Line {
    for name in ["log.seed", "receipt.seed"] {
        let path = dir.join("keys").join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() == 32 => {}
            Ok(_) => return Line::fail("keys", format!("{} has not 32 bytes. Restore it from the sealed copy.", path.display())),
            Err(_) => {
                return Line::fail(
                    "keys",
                    format!("{} is missing. Restore it from the sealed copy; a new key would be another log.", path.display()),
                );
            }
        }
    }
    Line::ok("keys", "The keys of the log and of receipts are there.")
}

/// Whether keys could reach a disk from the memory of the server that runs here.
fn memory_lines(dir: &Path) -> Result<[Line; 2], Failure> {
    let server = data_dir::memory(dir)?;
    let memory = match &server {
        None => Line::ok("memory", "No server runs here, so nothing is in its memory. Look again while one does."),
        Some(server) if !server.is_undumpable => Line::fail(
            "memory",
            "The server could not turn core dumps off, so its keys could be written to one. Set LimitCORE=0 for the service.",
        ),
        Some(server) if server.is_locked => {
            Line::ok("memory", "What the server has in memory is locked there, and no core dump is written.")
        }
        Some(_) => Line::warn(
            "memory",
            "The server writes no core dump, but may not lock its memory. Set LimitMEMLOCK=infinity for the service, or turn swap off.",
        ),
    };
    let is_locked = server.is_some_and(|server| server.is_locked);
    let swap = match memory::swap() {
        Swap::None => Line::ok("swap", "There is none."),
        Swap::Sealed => Line::ok("swap", "It is in memory or encrypted."),
        Swap::Open if is_locked => Line::ok("swap", "There is some, but the locked memory of the server does not go there."),
        Swap::Open => Line::warn("swap", "Keys could be written to it. Turn it off, or encrypt it with a random key."),
    };
    Ok([memory, swap])
}

/// The key tree's root slots.
fn vault(dir: &Path) -> Line {
    let root = dir.join("vault/root");
    match fs::symlink_metadata(&root) {
        Ok(metadata) if metadata.is_symlink() => {
            Line::fail("vault", "The root slots are a symbolic link, and no server opens them. Put the file itself there.")
        }
        Ok(metadata) if metadata.len() == 4_096 => Line::ok("vault", "The root slots are there."),
        Ok(_) => {
            Line::fail("vault", "The root slots have not 4,096 bytes. Keep a copy of the folder and start from a live replica.")
        }
        Err(_) => Line::fail("vault", "There is no root. Without it no data opens; start from a live replica."),
    }
}

/// Whether overwriting in place means anything on this file system (class E0).
fn disk(dir: &Path) -> Line {
    let (folder, root) = (dir.join("vault"), dir.join("vault/root"));
    match check_disk(if root.exists() { &root } else { &folder }, Disk::InPlace) {
        Ok(()) => Line::ok("disk", "It overwrites files in place, as class E0 asks. What the disk below does, nobody claims."),
        Err(error) => Line::warn("disk", error.to_string()),
    }
}

/// The database, what waits in it, and whether it agrees with the tiles.
fn store(dir: &Path, setup: &Setup, now: Time) -> Vec<Line> {
    let sqlite = dir.join("usufruct.db");
    if setup.database.is_none() && !sqlite.exists() {
        return vec![Line::fail("database", "usufruct.db is missing. Restore it from a copy; its keys are still here.")];
    }
    let url = match (&setup.database, House::open(dir)) {
        (Some(url), _) => url.clone(),
        (None, Ok(house)) => house.database_url(),
        (None, Err(error)) => return vec![Line::fail("database", error.to_string())],
    };
    let db = match Db::open(&url, &Options { readers: 1, queue: 1 }) {
        Ok(db) => db,
        Err(error) => return vec![Line::fail("database", error.to_string())],
    };
    let mut lines = vec![migrated(&db)];
    if lines[0].verdict == Verdict::Fail {
        return lines;
    }
    lines.push(erasures::waiting(&db, now));
    lines.push(erasures::proofs(&db));
    lines.push(erasures::purges(dir, &db, now));
    lines.push(answers(&db, now));
    lines.extend(root::set_back(dir, setup, &db));
    lines.extend(root::ahead(dir, setup, &db));
    lines.extend(escrow::terms(&db, setup));
    if let Some(nightly) = &setup.nightly {
        lines.extend([drills::line(dir, &db, nightly, now), drills::drafts(nightly)]);
    }
    lines.push(match log(dir, &db) {
        Ok(line) => line,
        Err(words) => Line::fail("log", words),
    });
    lines
}

fn migrated(db: &Db) -> Line {
    let sql = "-- doctor_migrations\nSELECT number, checksum FROM migrations ORDER BY number";
    let applied = db.read(|conn: &mut dyn Connection| {
        let rows = conn.query(sql, &[])?;
        rows.iter().map(|row| Ok::<_, Error>((row.integer(0)?, row.array::<32>(1)?))).collect::<Result<Vec<_>, _>>()
    });
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) => return Line::fail("database", error.to_string()),
    };
    for (number, checksum) in &applied {
        match MIGRATIONS.iter().find(|migration| migration.number == *number) {
            None => {
                return Line::fail(
                    "database",
                    format!("It has migration {number}, which this release does not know. Run a newer release."),
                );
            }
            Some(migration) if sha256(migration.sql.as_bytes()).0 != *checksum => {
                return Line::fail(
                    "database",
                    format!("Its migration {number} differs from this release's. Run the release that made the database."),
                );
            }
            Some(_) => {}
        }
    }
    if applied.len() < MIGRATIONS.len() {
        return Line::fail(
            "database",
            format!("It has {} of {} migrations. Run `usufruct migrate`.", applied.len(), MIGRATIONS.len()),
        );
    }
    Line::ok("database", format!("Reachable, with all {} migrations of this release.", applied.len()))
}

/// Whether services have said that they deleted what they had to.
fn answers(db: &Db, now: Time) -> Line {
    match db.read(|conn| deletions::counts(conn, now)) {
        Ok(counts) if counts.altered > 0 => Line::fail(
            "deletions",
            format!(
                "Somebody wrote to {} notices to delete in the database. `usufruct deletions` lists them; ask their services what they \
                 answered, and find out who can write to the database.",
                counts.altered
            ),
        ),
        Ok(counts) if counts.overdue == 0 => Line::ok("deletions", "Every answer of a service that is due has come."),
        Ok(counts) => {
            Line::warn("deletions", format!("{} answers of services are late. `usufruct deletions` lists them.", counts.overdue))
        }
        Err(error) => Line::fail("deletions", error.to_string()),
    }
}

/// Head, tiles and leaves must tell one story.
fn log(dir: &Path, db: &Db) -> Result<Line, String> {
    let committed = db.read(|conn| log_head::size(conn)).map_err(|error| error.to_string())?;
    let Some(head) = db.read(|conn| log_head::published(conn)).map_err(|error| error.to_string())? else {
        return Ok(Line::warn("log", format!("{committed} leaves and no checkpoint yet. Start the server once.")));
    };
    let source = PublicLog::in_data_dir(dir).map_err(|failure| failure.to_string())?;
    let key: VerifierKey =
        source.own_key().map_err(|failure| failure.to_string())?.ok_or("log/vkey is missing. Start the server once.")?;
    let verifier = key.verifier().map_err(|error| error.to_string())?;
    let signed: Checkpoint = Note::open(&head.note, &[&verifier])
        .and_then(|note| note.text().parse())
        .map_err(|error| format!("The head in the database is not signed by the log's key. {error}"))?;
    if signed.size() != head.size || signed.root().0 != head.root || committed < head.size {
        return Err(format!("The head has {} leaves and the database {committed}. Restore the database from a copy.", head.size));
    }
    let (public, _) = checkpoint::fetch(&source, key.name(), &[&verifier]).map_err(|error| error.to_string())?;
    if public.size() > head.size {
        return Err(format!(
            "The public checkpoint has {} leaves and the head {}. The database was rolled back; restore it.",
            public.size(),
            head.size
        ));
    }
    let reader = Reader::new(&source, signed);
    reader.consistency(&public).map_err(|error| format!("The tiles do not lead from the checkpoint to the head. {error}"))?;
    if let Some(last) = head.size.checked_sub(1) {
        let stored = db.read(|conn| leaves::range(conn, last, 1)).map_err(|error| error.to_string())?;
        let leaf = stored
            .first()
            .map(|(_, leaf)| leaf_hash(leaf))
            .ok_or_else(|| format!("Leaf {last} is missing. Restore the database from a copy."))?;
        reader.inclusion(last, &leaf).map_err(|error| format!("Leaf {last} is not the one in the tiles. {error}"))?;
    }
    let behind = committed - public.size();
    let words = format!(
        "{committed} leaves, {} public; head, tiles and leaves agree at their ends. `usufruct verify` reads all of them.",
        public.size()
    );
    Ok(if behind > 100_000 {
        Line::warn("log", format!("{words} {behind} wait to be published; start the server."))
    } else {
        Line::ok("log", words)
    })
}

/// The clock of the machine.
fn machine(now: Time) -> Line {
    let earliest = Time::from_micros(BUILT_AFTER);
    if now < earliest {
        return Line::fail(
            "clock",
            format!("The machine believes that it is {}. Set its clock and keep it set by NTP.", now.day()),
        );
    }
    let kept = Path::new("/run/systemd/timesync/synchronized").exists()
        || Path::new("/run/chrony").exists()
        || Path::new("/run/ntpd.pid").exists();
    if kept {
        Line::ok("clock", format!("{}, kept by a time service.", now.minute()))
    } else {
        Line::warn(
            "clock",
            format!("{}, and no time service was found. Sunsets happen by this clock: keep it set by NTP.", now.minute()),
        )
    }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect()
}

/// 2026-01-01: no machine runs this before.
const BUILT_AFTER: i64 = 1_767_225_600_000_000;
