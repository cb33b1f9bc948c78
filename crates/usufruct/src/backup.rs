//! A backup: the database as it was at one moment, how the pass is set up, and a list of both with their hashes.
//!
//! Never in it: the root and the file of the key tree, and the signing keys. Old copies of the tree open nothing that was
//! erased since, and must not be put back; signing keys belong into a sealed envelope.

pub mod drafts;
pub mod term;

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use usufruct_app::House;
use usufruct_app::store::db::{Db, Identity, Options};
use usufruct_app::store::{key_pages, log_head};
use usufruct_core::{Digest, Time};

use crate::backup_mark::BackupKey;
use crate::clock;
use crate::data_dir::{self, Setup};
use crate::drill_database;
use crate::failure::Failure;

/// The file `manifest.json` of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `usufruct/backup/v1`.
    pub form: String,
    pub origin: String,
    /// Nothing later than this is in it.
    pub made_at: Time,
    /// So many leaves of the log are in it at least.
    #[serde(default)]
    pub leaves: u64,
    pub files: Vec<BackupFile>,
    /// Over all of the above, under a key of the pass ([`BackupKey`]).
    #[serde(default)]
    pub mark: Option<Digest>,
}

/// A file of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    pub name: String,
    pub bytes: u64,
    pub sha256: Digest,
}

/// Makes a backup of the pass in `dir` in a new folder of `to`, while the server runs. Answers the folder. One is made there at a time,
/// and what earlier ones left that were interrupted is removed.
pub fn make(dir: &Path, to: &Path) -> Result<PathBuf, Failure> {
    let setup = data_dir::setup(dir)?;
    let key = BackupKey::of(&House::open(dir)?)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(|error| Failure::file(to, &error))?;
    let _held = drafts::hold(to)?;
    let made_at = clock::now();
    let name = stamp(made_at);
    let (folder, draft) = (to.join(&name), to.join(drafts::name(&name)));
    let outcome = fill(&draft, dir, setup, &key, made_at).and_then(|()| {
        // It gets its name when it is whole.
        let named = fs::rename(&draft, &folder).and_then(|()| File::open(to)?.sync_all());
        named.map_err(|error| Failure::file(&folder, &error))
    });
    if outcome.is_err() {
        // One that cannot be removed now is removed with the next backup, and nothing is purged until then.
        let _ = fs::remove_dir_all(&draft);
    }
    outcome.map(|()| folder)
}

/// Copies into the folder `draft` what belongs into a backup.
fn fill(draft: &Path, dir: &Path, setup: Setup, key: &BackupKey, made_at: Time) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| Failure::file(&path, &error)
    };
    // Sealed as they are, the rows say how many residents there are and when something happened: nobody else reads a backup.
    let closed = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed(path));
    fs::DirBuilder::new().mode(0o700).create(draft).map_err(failed(draft))?;
    closed(draft, 0o700)?;
    let url = match &setup.database {
        Some(url) => url.clone(),
        None => House::open(dir)?.database_url(),
    };
    // Counted before the copy is made, so that it holds no fewer.
    let leaves = Db::open(&url, &Options { readers: 1, queue: 1 }).and_then(|db| db.read(|conn| log_head::size(conn)));
    let leaves = leaves.map_err(Failure::of)?;
    let database = draft.join(SQLITE);
    if !Db::copy(&url, &database).map_err(Failure::of)? {
        dump(&url, &draft.join(POSTGRES))?;
    } else if setup.vault().pages_in_database {
        let copy = Db::open(&format!("sqlite:{}", database.display()), &Options { readers: 1, queue: 1 }).map_err(Failure::of)?;
        copy.transaction("leave key pages out", |tx| key_pages::clear(tx)).map_err(Failure::of)?;
        copy.checkpoint().map_err(Failure::of)?;
    }
    fs::copy(dir.join(SETUP), draft.join(SETUP)).map_err(failed(&dir.join(SETUP)))?;
    let mut files = Vec::new();
    for entry in fs::read_dir(draft).map_err(failed(draft))? {
        let entry = entry.map_err(failed(draft))?;
        closed(&entry.path(), 0o600)?;
        let (bytes, sha256) = hash(&entry.path())?;
        File::open(entry.path()).and_then(|file| file.sync_all()).map_err(failed(&entry.path()))?;
        files.push(BackupFile { name: entry.file_name().to_string_lossy().into_owned(), bytes, sha256 });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let manifest = key.mark(Manifest { form: FORM.to_owned(), origin: setup.origin, made_at, leaves, files, mark: None })?;
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Failure::impossible(format!("The manifest cannot be written: {error}."), "Report this as a defect."))?;
    let path = draft.join(MANIFEST);
    data_dir::write(&path, text.as_bytes())
}

/// Reads a backup that this pass made, and checks that every file in it is what was written, and that there is no other.
pub fn check(folder: &Path, key: &BackupKey) -> Result<Manifest, Failure> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
    let damaged = |what: &str| {
        Failure::refused(format!("The backup {} is damaged: {what}.", folder.display()), "Use another one; nothing was changed.")
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|_| damaged("its manifest cannot be read"))?;
    if manifest.form != FORM {
        return Err(damaged("it has a form that this release does not know"));
    }
    if !key.is_ours(&manifest) {
        return Err(damaged("its manifest is not as this pass wrote it"));
    }
    for file in &manifest.files {
        if file.name.contains('/') || file.name.starts_with('.') {
            return Err(damaged("a name in its manifest leads out of it"));
        }
        let (bytes, sha256) = hash(&folder.join(&file.name))?;
        if (bytes, sha256) != (file.bytes, file.sha256) {
            return Err(damaged(&format!("{} is not what was written", file.name)));
        }
    }
    // A file beside the others is read with them by whoever opens the database, as a write-ahead log is.
    for entry in fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))? {
        let name = entry.map_err(|error| Failure::file(folder, &error))?.file_name().to_string_lossy().into_owned();
        if name != MANIFEST && manifest.files.iter().all(|file| file.name != name) {
            return Err(Failure::refused(
                format!("The backup {} is damaged: {name} was put into it later.", folder.display()),
                "Find out by whom, and move that file out of it, or use another backup; nothing was changed.",
            ));
        }
    }
    Ok(manifest)
}

/// The backups in a folder, oldest first, as far as they are whole and their manifests are as this pass wrote them.
pub fn list(folder: &Path, key: &BackupKey) -> Vec<(PathBuf, Time)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<(PathBuf, Time)> = entries
        .filter(|entry| !is_hidden(&entry.path()))
        .filter_map(|entry| {
            let manifest = manifest(&entry.path())?;
            key.is_ours(&manifest).then(|| (entry.path(), manifest.made_at))
        })
        .collect();
    all.sort_by_key(|(_, made_at)| *made_at);
    all
}

/// When the oldest backup was made whose ciphertext is still in a folder; `None` if there is none. One of which nobody can tell, and one
/// that was interrupted or is being made, may be older than everything.
pub fn oldest(folder: &Path, key: &BackupKey) -> Option<Time> {
    if let Err(error) = fs::read_dir(folder)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "nothing is purged while nobody can tell which backups are there");
        return Some(Time::default());
    }
    if let Some(unknown) = unreadable(folder, key).into_iter().chain(drafts::all(folder)).next() {
        tracing::warn!(backup = %unknown.display(), "nothing is purged while nobody can tell when this backup was made");
        return Some(Time::default());
    }
    list(folder, key).first().map(|(_, made_at)| *made_at)
}

/// The backups in a folder that [`list`] leaves out because their manifests cannot be read or are not as they were written. Those of
/// [`drafts::all`] are not among them.
pub fn unreadable(folder: &Path, key: &BackupKey) -> Vec<PathBuf> {
    let readable: Vec<PathBuf> = list(folder, key).into_iter().map(|(folder, _)| folder).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = entries.filter(|path| !is_hidden(path) && is_backup(path) && !readable.contains(path)).collect();
    all.sort();
    all
}

/// What is in a folder that is to be opened in a drill.
pub enum Found {
    /// A whole backup of this pass, made then.
    Whole(Time),
    /// A backup that does not open, why, and when it was made if that can be told.
    Damaged(Failure, Option<Time>),
}

/// Looks at a backup that is to be opened in a drill of the pass `origin`. What is none, or one of another pass, is refused.
pub fn of_pass(folder: &Path, origin: &str, key: &BackupKey) -> Result<Found, Failure> {
    let manifest = manifest(folder);
    if let Some(other) = manifest.as_ref().map(|manifest| &manifest.origin).filter(|other| *other != origin) {
        return Err(Failure::refused(
            format!("{} is a backup of {other}, and this pass is {origin}.", folder.display()),
            "Name a backup of this pass; of another one nothing can be shown with these keys.",
        ));
    }
    if !is_backup(folder) {
        return Err(Failure::refused(
            format!("{} holds no backup.", folder.display()),
            "Name the folder of one, as `usufruct backup` made it.",
        ));
    }
    Ok(match check(folder, key) {
        Ok(manifest) => Found::Whole(manifest.made_at),
        Err(failure) => {
            Found::Damaged(failure, manifest.filter(|manifest| key.is_ours(manifest)).map(|manifest| manifest.made_at))
        }
    })
}

/// The address of the database in a backup, to be opened in a drill. A dump is restored for that to `database`, which is set aside for
/// drills; `own` is the database of the pass.
pub fn to_drill(folder: &Path, database: Option<&str>, own: Option<&Identity>) -> Result<String, Failure> {
    if is_dump(folder) {
        let url = database.ok_or_else(|| {
            Failure::refused(
                format!("{} holds a dump of PostgreSQL.", folder.display()),
                "Make an empty database for drills and name it with --database; the dump is restored into it.",
            )
        })?;
        drill_database::fill(folder, url, own)?;
        return Ok(url.to_owned());
    }
    if database.is_some() {
        return Err(Failure::refused(
            format!("{} holds no dump of PostgreSQL, and its database is opened where it lies.", folder.display()),
            "Leave --database out.",
        ));
    }
    let file = folder.join(SQLITE);
    let file = fs::canonicalize(&file).map_err(|error| Failure::file(&file, &error))?;
    Ok(format!("sqlite:{}", file.display()))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a folder holds a backup or a part of one. One that may not be looked into may hold anything.
fn is_backup(folder: &Path) -> bool {
    [MANIFEST, SQLITE, POSTGRES].iter().any(|name| match folder.join(name).try_exists() {
        Ok(is_there) => is_there,
        Err(error) => error.kind() != ErrorKind::NotADirectory,
    })
}

/// Whether a backup holds a dump of PostgreSQL, as its manifest says and not whatever lies there.
pub fn is_dump(folder: &Path) -> bool {
    let manifest = manifest(folder);
    manifest.is_some_and(|manifest| manifest.files.iter().any(|file| file.name == POSTGRES))
}

/// What the manifest of a backup says, whoever wrote it.
fn manifest(folder: &Path) -> Option<Manifest> {
    serde_json::from_str(&fs::read_to_string(folder.join(MANIFEST)).ok()?).ok()
}

/// A time as a name of a file.
pub fn stamp(time: Time) -> String {
    time.to_string().chars().map(|sign| if sign == ':' || sign == '.' { '-' } else { sign }).collect()
}

fn dump(url: &str, to: &Path) -> Result<(), Failure> {
    // An old copy of the key tree opens nothing, and must not be put back.
    // Not compressed, so that a search for keys sees what is in it.
    let arguments =
        ["--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--exclude-table-data=*.key_pages", "--file"];
    let outcome = Command::new("pg_dump").args(arguments).arg(to).arg(url).output();
    match outcome {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::impossible(
            format!("pg_dump failed: {}.", String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default()),
            "Check that this machine may dump the database, and that pg_dump is as new as the server.",
        )),
        Err(error) => Err(Failure::impossible(format!("pg_dump cannot run: {error}."), "Install the clients of PostgreSQL.")),
    }
}

fn hash(path: &Path) -> Result<(u64, Digest), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut context = usufruct_core::hash::Sha256::new();
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok((bytes, context.finish()));
        }
        bytes += read as u64;
        context.update(&buffer[..read]);
    }
}

/// The copy of a database of SQLite.
pub const SQLITE: &str = "usufruct.db";
/// The dump of a database of PostgreSQL.
pub const POSTGRES: &str = "database.dump";
const SETUP: &str = "usufruct.toml";
const MANIFEST: &str = "manifest.json";
const FORM: &str = "usufruct/backup/v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SystemRng;

    #[test]
    fn a_backup_that_was_interrupted_may_be_older_than_everything() {
        let (dir, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let house = House::open(dir.path()).unwrap();
        house.seed("log", &SystemRng).unwrap();
        let key = BackupKey::of(&house).unwrap();
        assert_eq!(oldest(backups.path(), &key), None);
        let made_at: Time = "2026-11-21T18:00:00Z".parse().unwrap();
        let manifest = Manifest { form: FORM.into(), origin: "x".into(), made_at, leaves: 0, files: Vec::new(), mark: None };
        let whole = backups.path().join(stamp(made_at));
        fs::create_dir(&whole).unwrap();
        fs::write(whole.join(MANIFEST), serde_json::to_string(&key.mark(manifest).unwrap()).unwrap()).unwrap();
        assert_eq!(oldest(backups.path(), &key), Some(made_at));
        let draft = backups.path().join(drafts::name("2026-11-22T18-00-00Z"));
        fs::create_dir(&draft).unwrap();
        fs::write(draft.join(SQLITE), "half of the rows").unwrap();
        assert_eq!(oldest(backups.path(), &key), Some(Time::default()));
        drop(drafts::hold(backups.path()).unwrap());
        assert_eq!(oldest(backups.path(), &key), Some(made_at));

        // What nobody can look into may be a backup, and so may what lies in a folder that nobody can look into.
        fs::write(backups.path().join("notes"), "no backup").unwrap();
        assert_eq!(oldest(backups.path(), &key), Some(made_at));
        let closed = backups.path().join("closed");
        std::os::unix::fs::symlink(&closed, &closed).unwrap();
        assert_eq!(oldest(backups.path(), &key), Some(Time::default()));
        assert_eq!(oldest(&closed, &key), Some(Time::default()));
        assert_eq!(unreadable(backups.path(), &key), [closed]);
        assert_eq!(oldest(&backups.path().join("never made"), &key), None);
    }
}
