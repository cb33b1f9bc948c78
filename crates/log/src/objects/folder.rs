//! Objects in a folder on a local disk.

use std::cmp::Ordering as Order;
use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        Ok(Self { root, file_system, durable: Mutex::default(), _lock: None })
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
        let failed = |source| io_error(&temporary, source);
        for entry in fs::read_dir(&temporary).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() != LOCK {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
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
            match self.fetch(path)? {
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
        let folder = self.root.join(path);
        let failed = |source| io_error(&folder, source);
        let mut entries: Vec<(String, DirEntry)> = Vec::new();
        let (name, rest) = after.map_or(("", None), |after| after.split_once('/').map_or((after, None), |(a, b)| (a, Some(b))));
        match fs::read_dir(&folder) {
            Ok(all) => {
                for entry in all {
                    let entry = entry.map_err(failed)?;
                    // What has another name is none of ours.
                    if let Ok(own) = entry.file_name().into_string()
                        && own.as_str() >= name
                    {
                        entries.push((own, entry));
                    }
                }
            }
            Err(source) if is_absent(&source) => return Ok(()),
            Err(source) => return Err(failed(source)),
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (own, entry) in entries {
            if found.len() == limit {
                break;
            }
            let is_after = match own.as_str().cmp(name) {
                Order::Equal if after.is_some() => rest,
                _ => Some(""),
            };
            let Some(rest) = is_after else { continue };
            let path = format!("{path}/{own}");
            match entry.metadata() {
                Ok(data) if data.is_dir() => self.walk(&path, (!rest.is_empty()).then_some(rest), limit, found)?,
                Ok(data) if rest.is_empty() => found.push(Stored { path, time: u64::try_from(data.mtime()).unwrap_or(0) }),
                Ok(_) => {}
                Err(source) if is_absent(&source) => {}
                Err(source) => return Err(io_error(&entry.path(), source)),
            }
        }
        Ok(())
    }
}

impl Objects for Folder {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.file(path)?;
        match self.fetch(path)? {
            None => self.write(&file, bytes, IMMUTABLE),
            // The rename may be all that a crash left undone, so the folder is made durable once more.
            Some(stored) if stored == bytes => sync_folder(file.parent().unwrap_or(&self.root)),
            Some(_) => Err(Error::Conflict { path: path.to_owned() }),
        }
    }

    /// Costs two syncs of the file system where it confirms them, whatever the number of files; otherwise one sync for each
    /// file and each folder.
    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        let file_system = self.file_system.as_ref().filter(|_| objects.len() >= MANY);
        for objects in objects.chunks(if file_system.is_some() { AT_ONCE } else { OPEN_FILES }) {
            let mut written = Vec::new();
            if let Err(error) = self.put_some(objects, file_system, &mut written) {
                // On a full disk they would be in the way of the next attempt.
                written.iter().for_each(|new| drop(fs::remove_file(&new.temporary)));
                return Err(error);
            }
        }
        Ok(())
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write(&self.file(path)?, bytes, MUTABLE)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let file = self.file(path)?;
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) if is_absent(&source) => Ok(None),
            Err(source) => Err(io_error(&file, source)),
        }
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        check_path(below)?;
        let mut found = Vec::new();
        let after = after.and_then(|after| after.strip_prefix(below)?.strip_prefix('/'));
        self.walk(below, after, limit, &mut found)?;
        Ok(found)
    }

    fn remove(&self, path: &str) -> Result<()> {
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
    }
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
