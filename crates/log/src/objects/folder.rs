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

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let temporary = root.join(TEMPORARY);
        fs::create_dir_all(&temporary).map_err(|source| io_error(&temporary, source))?;
        sync_folder(&root)?;
        let file_system = File::open(&root).map_err(|source| io_error(&root, source))?;
        let file_system = confirms_syncfs(&file_system).then_some(file_system);
        Ok(Self { root, file_system, durable: Mutex::default(), _lock: None })
    }

    /// As [`Folder::open`], for the one process that writes: [`Error::Held`] if there is another one.
    pub fn hold(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self::open(root)?;
        let path = folder.root.join(TEMPORARY).join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| io_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(file), ..folder }),
            Err(TryLockError::WouldBlock) => Err(Error::Held { path: folder.root.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
        }
    }

    /// The file of an object.
    fn file(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    /// Writes the bytes to a temporary file, makes them durable, and moves the file into place.
    fn write(&self, file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let folder = file.parent().unwrap_or(&self.root);
        self.make_folder(folder)?;
        let (temporary, handle) = self.write_temporary(bytes, mode)?;
        handle.sync_all().map_err(|source| fatal(file, source))?;
        drop(handle);
        fs::rename(&temporary, file).map_err(|source| io_error(file, source))?;
        sync_folder(folder)
    }

    /// Writes the bytes to a temporary file, which is not durable yet.
    fn write_temporary(&self, bytes: &[u8], mode: u32) -> Result<(PathBuf, File)> {
        let number = TEMPORARY_FILES.fetch_add(1, Ordering::Relaxed);
        // A crash may leave a file behind, to which nothing refers; the next process of this number overwrites it.
        let name = format!("{}-{number}", std::process::id());
        let temporary = self.root.join(TEMPORARY).join(name);
        // What a killed process left behind may be there, and be read-only.
        let _ = fs::remove_file(&temporary);
        let options = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
        let mut handle = options.map_err(|source| io_error(&temporary, source))?;
        if let Err(source) = handle.write_all(bytes) {
            let _ = fs::remove_file(&temporary);
            return Err(io_error(&temporary, source));
        }
        Ok((temporary, handle))
    }

    /// Makes files durable that were written to, in one sync when they are many.
    fn sync_all(&self, written: &[(PathBuf, (PathBuf, File))]) -> Result<()> {
        match &self.file_system {
            Some(file_system) if written.len() >= MANY => {
                rustix::fs::syncfs(file_system).map_err(|source| fatal(&self.root, source.into()))
            }
            _ => written.iter().try_for_each(|(file, (_, handle))| handle.sync_all().map_err(|source| fatal(file, source))),
        }
    }

    /// Makes a folder if it is not there, and its name durable, together with all folders above it.
    fn make_folder(&self, folder: &Path) -> Result<()> {
        if folder == self.root || self.durable().contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        self.make_folder(parent)?;
        match fs::create_dir(folder) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(io_error(folder, source)),
            // Also of a folder that is there: an earlier process may have ended before this sync.
            _ => sync_folder(parent)?,
        }
        let mut durable = self.durable();
        if durable.len() >= MOST_KNOWN {
            durable.clear();
        }
        durable.insert(folder.to_owned());
        Ok(())
    }

    fn durable(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Costs one sync for the files if they are many and the file system confirms such a sync, otherwise one for each of
    /// them, and one for each folder.
    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        for objects in objects.chunks(OPEN_FILES) {
            let mut folders = BTreeSet::new();
            let mut written = Vec::new();
            for (path, bytes) in objects {
                let file = self.file(path)?;
                let folder = file.parent().unwrap_or(&self.root).to_owned();
                match self.fetch(path)? {
                    Some(stored) if stored == *bytes => {}
                    Some(_) => return Err(Error::Conflict { path: path.clone() }),
                    None => {
                        self.make_folder(&folder)?;
                        written.push((file, self.write_temporary(bytes, IMMUTABLE)?));
                    }
                }
                folders.insert(folder);
            }
            self.sync_all(&written)?;
            for (file, (temporary, _)) in &written {
                fs::rename(temporary, file).map_err(|source| io_error(file, source))?;
            }
            folders.iter().try_for_each(|folder| sync_folder(folder))?;
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

/// Whether `syncfs` on this file system tells of every error: the kernel does since version 5.8, and these do their part.
fn confirms_syncfs(root: &File) -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|digits| digits.parse::<u32>().ok());
    let is_new = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8);
    is_new && rustix::fs::fstatfs(root).is_ok_and(|found| FILE_SYSTEMS.iter().any(|(_, magic)| found.f_type == *magic))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(|source| fatal(folder, source))
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io { path: path.display().to_string(), source }
}

fn fatal(path: &Path, source: io::Error) -> Error {
    Error::Fatal { path: path.display().to_string(), source }
}

/// Numbers the temporary files of this process, whichever folder they are in.
static TEMPORARY_FILES: AtomicU64 = AtomicU64::new(0);

/// Of statfs(2).
const FILE_SYSTEMS: [(&str, rustix::fs::FsWord); 3] = [("btrfs", 0x9123_683E), ("ext4", 0xEF53), ("xfs", 0x5846_5342)];
/// Nobody writes an immutable file a second time, not even by mistake.
const IMMUTABLE: u32 = 0o444;
/// From so many files on, one sync of the file system is cheaper than one for each, although it also writes what others
/// have not yet.
const MANY: usize = 8;
/// Folders that are remembered; a forgotten one costs one more sync.
const MOST_KNOWN: usize = 10_000;
const MUTABLE: u32 = 0o644;
/// Files that are open at once.
const OPEN_FILES: usize = 128;
const TEMPORARY: &str = ".temporary";
