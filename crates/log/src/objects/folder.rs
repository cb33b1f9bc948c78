//! Objects in a folder on a local disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Dir;

use super::{Objects, Stored, check_path};
use crate::disk::{fatal, io_error, make_durable_folder, make_folder, sync_folder};
use crate::error::{Error, Result};

/// A folder on a local disk, laid out so that any web server can serve it.
///
/// A process that writes holds the folder alone; reading needs no lock.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Open since before anything was written, because `syncfs` tells an opener only of errors since it opened.
    file_system: Option<File>,
    /// Folders whose names this process has made durable.
    durable: Mutex<BTreeSet<PathBuf>>,
    /// Set by the first sync that failed. From then on nothing here is certain, whoever asks.
    is_broken: AtomicBool,
    _lock: Option<File>,
}

/// A file that was written but does not have its name yet.
struct New {
    file: PathBuf,
    temporary: PathBuf,
    /// Where it has a sync of its own.
    handle: Option<File>,
}

impl New {
    fn sync(&self) -> Result<()> {
        self.handle.as_ref().map_or(Ok(()), File::sync_all).map_err(|source| fatal(&self.file, source))
    }
}

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        make_durable_folder(&root)?;
        make_durable_folder(&root.join(TEMPORARY))?;
        let file_system = File::open(&root).map_err(|source| io_error(&root, source))?;
        let file_system = confirms_syncfs(&file_system).then_some(file_system);
        Ok(Self { root, file_system, durable: Mutex::default(), is_broken: AtomicBool::new(false), _lock: None })
    }

    /// As [`Folder::open`], for the one process that writes: [`Error::Held`] if there is another one.
    pub fn hold(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self::open(root)?;
        let path = folder.root.join(TEMPORARY).join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| io_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => {
                folder.clear_temporary()?;
                Ok(Self { _lock: Some(file), ..folder })
            }
            Err(TryLockError::WouldBlock) => Err(Error::Held { path: folder.root.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
        }
    }

    /// Removes what killed processes left behind; nobody else is writing.
    fn clear_temporary(&self) -> Result<()> {
        let temporary = self.root.join(TEMPORARY);
        for name in names(&temporary)?.into_iter().filter(|name| name != LOCK) {
            fs::remove_file(temporary.join(name)).map_err(|source| io_error(&temporary, source))?;
        }
        Ok(())
    }

    /// Does something, unless a sync has failed before: then every call fails, so that the process ends even where the one
    /// that noticed could not end it.
    fn unless_broken<T>(&self, operation: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(fatal(&self.root, io::Error::other("an earlier sync failed")));
        }
        let outcome = operation();
        if let Err(Error::Fatal { .. }) = outcome {
            self.is_broken.store(true, Ordering::SeqCst);
        }
        outcome
    }

    /// The file of an object.
    fn file(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    /// Writes the bytes to a temporary file, makes them durable, and moves the file into place.
    fn write(&self, file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let folder = file.parent().unwrap_or(&self.root);
        self.make_folders(folder)?.iter().try_for_each(|parent| sync_folder(parent))?;
        self.remember(folder);
        let (temporary, handle) = self.write_temporary(bytes, mode)?;
        handle.sync_all().map_err(|source| fatal(file, source))?;
        drop(handle);
        fs::rename(&temporary, file).map_err(|source| io_error(file, source))?;
        sync_folder(folder)
    }

    /// Writes the bytes to a temporary file, which is not durable yet.
    fn write_temporary(&self, bytes: &[u8], mode: u32) -> Result<(PathBuf, File)> {
        let number = TEMPORARY_FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let temporary = self.root.join(TEMPORARY).join(name);
        // A killed process of this number may have left one behind, which nobody can write to.
        let _ = fs::remove_file(&temporary);
        let options = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
        let mut handle = options.map_err(|source| io_error(&temporary, source))?;
        if let Err(source) = handle.write_all(bytes) {
            let _ = fs::remove_file(&temporary);
            return Err(io_error(&temporary, source));
        }
        Ok((temporary, handle))
    }

    /// Makes a folder and those above it if they are not there, and tells the folders that hold their names, which are not
    /// durable yet.
    fn make_folders(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        if folder == self.root || self.durable().contains(folder) {
            return Ok(Vec::new());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        let mut holders = self.make_folders(parent)?;
        make_folder(folder)?;
        // Also of a folder that is there: an earlier process may have ended before it was durable.
        holders.push(parent.to_owned());
        Ok(holders)
    }

    /// Notes that the name of a folder, and of all above it, is durable.
    fn remember(&self, folder: &Path) {
        let mut durable = self.durable();
        if durable.len() >= MOST_KNOWN {
            durable.clear();
        }
        durable.extend(folder.ancestors().take_while(|above| *above != self.root).map(Path::to_owned));
    }

    fn durable(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Objects::put_all`], with two syncs of `file_system` if it is given. Notes in `written` what it writes.
    fn put_some(&self, objects: &[(String, Vec<u8>)], file_system: Option<&File>, written: &mut Vec<New>) -> Result<()> {
        let sync_all = |file_system| rustix::fs::syncfs(file_system).map_err(|source| fatal(&self.root, source.into()));
        let (mut folders, mut holders) = (BTreeSet::new(), BTreeSet::new());
        for (path, bytes) in objects {
            let file = self.file(path)?;
            folders.insert(file.parent().unwrap_or(&self.root).to_owned());
            match read(&file)? {
                Some(stored) if stored == *bytes => {}
                Some(_) => return Err(Error::Conflict { path: path.clone() }),
                None => {
                    let (temporary, handle) = self.write_temporary(bytes, IMMUTABLE)?;
                    written.push(New { file, temporary, handle: file_system.is_none().then_some(handle) });
                }
            }
        }
        for folder in &folders {
            holders.extend(self.make_folders(folder)?);
        }
        match file_system {
            Some(file_system) => sync_all(file_system)?,
            None => written.iter().try_for_each(New::sync)?,
        }
        for New { file, temporary, .. } in written {
            fs::rename(temporary, &*file).map_err(|source| io_error(file, source))?;
        }
        // Also of what was there: the rename may be all that a crash left undone.
        match file_system {
            Some(file_system) => sync_all(file_system)?,
            None => holders.union(&folders).try_for_each(|folder| sync_folder(folder))?,
        }
        folders.iter().for_each(|folder| self.remember(folder));
        Ok(())
    }

    /// Collects what is in a folder and below, in the order of names, beginning after the path `after` below it.
    fn walk(&self, path: &str, after: Option<&str>, limit: usize, found: &mut Vec<Stored>) -> Result<()> {
        let (name, rest) = after.map_or(("", None), |after| after.split_once('/').map_or((after, None), |(a, b)| (a, Some(b))));
        let mut names = names(&self.root.join(path))?;
        names.retain(|own| own.as_str() >= name);
        names.sort();
        for own in names {
            if found.len() == limit {
                break;
            }
            let rest = if after.is_some() && own == name { rest } else { Some("") };
            let Some(rest) = rest else { continue };
            let path = format!("{path}/{own}");
            let file = self.root.join(&path);
            match fs::metadata(&file) {
                Ok(data) if data.is_dir() => self.walk(&path, (!rest.is_empty()).then_some(rest), limit, found)?,
                Ok(data) if rest.is_empty() => found.push(Stored { path, time: u64::try_from(data.mtime()).unwrap_or(0) }),
                Ok(_) => {}
                Err(source) if is_absent(&source) => {}
                Err(source) => return Err(io_error(&file, source)),
            }
        }
        Ok(())
    }
}

impl Objects for Folder {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.unless_broken(|| {
            let file = self.file(path)?;
            match read(&file)? {
                None => self.write(&file, bytes, IMMUTABLE),
                // The rename may be all that a crash left undone, so the folder is made durable once more.
                Some(stored) if stored == bytes => sync_folder(file.parent().unwrap_or(&self.root)),
                Some(_) => Err(Error::Conflict { path: path.to_owned() }),
            }
        })
    }

    /// Costs two syncs of the file system where it confirms them, whatever the number of files; otherwise one sync for each
    /// file and each folder.
    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        let file_system = self.file_system.as_ref().filter(|_| objects.len() >= MANY);
        self.unless_broken(|| {
            for objects in objects.chunks(if file_system.is_some() { AT_ONCE } else { OPEN_FILES }) {
                let mut written = Vec::new();
                if let Err(error) = self.put_some(objects, file_system, &mut written) {
                    // On a full disk they would be in the way of the next attempt.
                    written.iter().for_each(|new| drop(fs::remove_file(&new.temporary)));
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.unless_broken(|| self.write(&self.file(path)?, bytes, MUTABLE))
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.unless_broken(|| read(&self.file(path)?))
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        self.unless_broken(|| {
            check_path(below)?;
            let mut found = Vec::new();
            let after = after.and_then(|after| after.strip_prefix(below)?.strip_prefix('/'));
            self.walk(below, after, limit, &mut found)?;
            Ok(found)
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.unless_broken(|| {
            let file = self.file(path)?;
            match fs::remove_file(&file) {
                Err(source) if !is_absent(&source) => Err(io_error(&file, source)),
                _ => {
                    // A folder that holds something stays.
                    if let Some(folder) = file.parent()
                        && fs::remove_dir(folder).is_ok()
                    {
                        self.durable().remove(folder);
                    }
                    Ok(())
                }
            }
        })
    }
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if is_absent(&source) => Ok(None),
        Err(source) => Err(io_error(file, source)),
    }
}

/// The names in a folder, none if it is not there. (The reader of the standard library panics if the folder cannot be
/// closed.)
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |source| io_error(folder, source);
    let handle = match File::open(folder) {
        Ok(handle) => handle,
        Err(source) if is_absent(&source) => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in Dir::new(OwnedFd::from(handle)).map_err(|source| failed(source.into()))? {
        match entry {
            // What has another name is none of ours.
            Ok(entry) => {
                names.extend(entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned))
            }
            Err(source) if is_absent(&source.into()) => return Ok(Vec::new()),
            Err(source) => return Err(failed(source.into())),
        }
    }
    Ok(names)
}

/// Whether `syncfs` on this file system tells of every error: the kernel does for files since version 5.8 and for names
/// since 5.17, and these file systems do their part.
fn confirms_syncfs(root: &File) -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|digits| digits.parse::<u32>().ok());
    let is_new = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 17);
    is_new && rustix::fs::fstatfs(root).is_ok_and(|found| FILE_SYSTEMS.iter().any(|(_, magic)| found.f_type == *magic))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Numbers the temporary files of this process, whichever folder they are in.
static TEMPORARY_FILES: AtomicU64 = AtomicU64::new(0);

/// Files between two syncs of the file system.
const AT_ONCE: usize = 10_000;
/// Of statfs(2).
const FILE_SYSTEMS: [(&str, rustix::fs::FsWord); 3] = [("btrfs", 0x9123_683E), ("ext4", 0xEF53), ("xfs", 0x5846_5342)];
/// Nobody writes an immutable file a second time, not even by mistake.
const IMMUTABLE: u32 = 0o444;
/// From so many files on, two syncs of the file system are cheaper than one for each file and each folder, although they
/// also write what others have not yet.
const MANY: usize = 3;
const LOCK: &str = "lock";
/// Folders that are remembered; a forgotten one costs one more sync.
const MOST_KNOWN: usize = 10_000;
const MUTABLE: u32 = 0o644;
/// Files that are open at once where each has its own sync.
const OPEN_FILES: usize = 128;
const TEMPORARY: &str = ".temporary";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_sync_that_failed_nothing_is_answered_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.put("tile/0/000", b"one").unwrap();
        let failed = folder.unless_broken(|| Err::<(), _>(fatal(dir.path(), io::Error::from_raw_os_error(5))));
        assert!(matches!(failed, Err(Error::Fatal { .. })));
        assert!(matches!(folder.fetch("tile/0/000"), Err(Error::Fatal { .. })));
        assert!(matches!(folder.put("tile/0/000", b"one"), Err(Error::Fatal { .. })));
        assert!(matches!(folder.put_all(&[]), Err(Error::Fatal { .. })));
        assert!(matches!(folder.replace("checkpoint", b"two"), Err(Error::Fatal { .. })));
        assert!(matches!(folder.list("tile", None, 1), Err(Error::Fatal { .. })));
        assert!(matches!(folder.remove("tile/0/000"), Err(Error::Fatal { .. })));
        assert_eq!(Folder::open(dir.path()).unwrap().fetch("tile/0/000").unwrap().as_deref(), Some(b"one".as_slice()));
        // An error that loses nothing does not break it.
        let folder = Folder::open(dir.path()).unwrap();
        assert!(matches!(folder.put("tile/0/000", b"other"), Err(Error::Conflict { .. })));
        assert!(folder.fetch("tile/0/000").is_ok());
    }

    #[test]
    fn a_batch_that_is_refused_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.put("tile/0/003", b"taken").unwrap();
        for count in [3, 4, 5, 9] {
            let batch: Vec<_> = (0..count).map(|n| (format!("tile/{}/00{n}", u8::from(n != 3)), vec![n])).collect();
            assert_eq!(folder.put_all(&batch).is_err(), count > 3);
            assert_eq!(fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0, "{count}");
        }
    }

    #[test]
    fn files_are_many_or_few_on_any_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let with = Folder::open(dir.path().join("with")).unwrap();
        let without = Folder { file_system: None, ..Folder::open(dir.path().join("without")).unwrap() };
        let batch: Vec<_> =
            (0..300_u32).map(|n| (format!("tile/{}/x{:03}/000.p/{}", n % 3, n / 10, n), n.to_be_bytes().to_vec())).collect();
        for folder in [&with, &without] {
            folder.put_all(&batch).unwrap();
            folder.put_all(&batch).unwrap();
            assert_eq!(folder.list("tile", None, 1_000).unwrap().len(), 300);
            for (path, bytes) in &batch {
                assert_eq!(folder.fetch(path).unwrap().as_ref(), Some(bytes));
                assert!(fs::metadata(folder.root.join(path)).unwrap().permissions().readonly());
            }
        }
    }
}
