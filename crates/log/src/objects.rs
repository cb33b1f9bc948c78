//! Where the public files of a log are kept: tiles, bundles and the checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// A store of files by path. When a call returns `Ok`, its effect survives a loss of power.
pub trait Objects: Send + Sync {
    /// Stores an immutable object. Storing the same bytes again is fine, other bytes are an [`Error::Conflict`].
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Stores immutable objects, all of them durable when it returns.
    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        objects.iter().try_for_each(|(path, bytes)| self.put(path, bytes))
    }

    /// Stores or overwrites an object in one step. Only for the `checkpoint`, and for a tile that was proven to be
    /// damaged.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Reads an object.
    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// What is stored below a path, in no order.
    fn list(&self, below: &str) -> Result<Vec<Stored>>;

    /// Removes an object, or does nothing if it is not there. Only for partial tiles that nobody needs any more.
    fn remove(&self, path: &str) -> Result<()>;
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Its path.
    pub path: String,
    /// When it was stored, in seconds since 1970 UTC.
    pub time: u64,
}

/// A folder on a local disk, laid out so that any web server can serve it.
///
/// A process that writes holds the folder alone; reading needs no lock.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let temporary = root.join(TEMPORARY);
        fs::create_dir_all(&temporary).map_err(|source| io_error(&temporary, source))?;
        sync_folder(&root)?;
        Ok(Self { root, _lock: None })
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

    /// Makes a folder durable together with every new folder above it.
    fn make_folder(&self, folder: &Path) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folder(parent)?;
            match fs::create_dir(folder) {
                Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(io_error(folder, source));
                }
                _ => sync_folder(parent)?,
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

    /// Costs a sync for each new file and one for each folder, all files being written before the first sync.
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
                        if !folders.contains(&folder) {
                            self.make_folder(&folder)?;
                        }
                        written.push((file, self.write_temporary(bytes, IMMUTABLE)?));
                    }
                }
                folders.insert(folder);
            }
            for (file, (_, handle)) in &written {
                handle.sync_all().map_err(|source| fatal(file, source))?;
            }
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
            Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(io_error(&file, source)),
        }
    }

    fn list(&self, below: &str) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        let mut folders = vec![(self.file(below)?, below.to_owned())];
        while let Some((folder, path)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(io_error(&folder, source)),
            };
            for entry in entries {
                let entry = entry.map_err(|source| io_error(&folder, source))?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{path}/{name}");
                match entry.metadata() {
                    Ok(data) if data.is_dir() => folders.push((entry.path(), path)),
                    Ok(data) => found.push(Stored { path, time: u64::try_from(data.mtime()).unwrap_or(0) }),
                    Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(io_error(&entry.path(), source)),
                }
            }
        }
        Ok(found)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let file = self.file(path)?;
        match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error(&file, source)),
            _ => {
                // A folder that holds something stays.
                let _ = file.parent().map(fs::remove_dir);
                Ok(())
            }
        }
    }
}

/// Objects in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    /// The paths of all objects.
    pub fn paths(&self) -> BTreeSet<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects for Memory {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        match self.lock().entry(path.to_owned()).or_insert_with(|| bytes.to_vec()) == bytes {
            true => Ok(()),
            false => Err(Error::Conflict { path: path.to_owned() }),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        self.lock().insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        check_path(path)?;
        Ok(self.lock().get(path).cloned())
    }

    fn list(&self, below: &str) -> Result<Vec<Stored>> {
        check_path(below)?;
        let prefix = format!("{below}/");
        let paths = self.paths().into_iter().filter(|path| path.starts_with(&prefix));
        Ok(paths.map(|path| Stored { path, time: 0 }).collect())
    }

    fn remove(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.lock().remove(path);
        Ok(())
    }
}

impl<O: Objects + ?Sized> Objects for &O {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).put(path, bytes)
    }

    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        (**self).put_all(objects)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).replace(path, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        (**self).fetch(path)
    }

    fn list(&self, below: &str) -> Result<Vec<Stored>> {
        (**self).list(below)
    }

    fn remove(&self, path: &str) -> Result<()> {
        (**self).remove(path)
    }
}

impl<O: Objects + ?Sized> Objects for std::sync::Arc<O> {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).put(path, bytes)
    }

    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        (**self).put_all(objects)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).replace(path, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        (**self).fetch(path)
    }

    fn list(&self, below: &str) -> Result<Vec<Stored>> {
        (**self).list(below)
    }

    fn remove(&self, path: &str) -> Result<()> {
        (**self).remove(path)
    }
}

/// Only plain relative paths: nothing hidden, nothing that leads out of the folder.
fn check_path(path: &str) -> Result<()> {
    let plain = |component: &str| {
        !component.is_empty()
            && !component.starts_with('.')
            && component.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    if path.len() <= MAX_PATH_BYTES && path.split('/').all(plain) {
        Ok(())
    } else {
        Err(Error::malformed("object path", "it is not a plain relative path"))
    }
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

/// Nobody writes an immutable file a second time, not even by mistake.
const IMMUTABLE: u32 = 0o444;
const MUTABLE: u32 = 0o644;
/// Files that are open at once.
const OPEN_FILES: usize = 128;
const TEMPORARY: &str = ".temporary";
const MAX_PATH_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn behaves_like_objects(objects: &dyn Objects) {
        assert_eq!(objects.fetch("tile/0/000.p/1").unwrap(), None);
        objects.put("tile/0/000.p/1", b"one").unwrap();
        objects.put("tile/0/000.p/1", b"one").unwrap();
        assert!(matches!(objects.put("tile/0/000.p/1", b"two"), Err(Error::Conflict { .. })));
        assert_eq!(objects.fetch("tile/0/000.p/1").unwrap().as_deref(), Some(b"one".as_slice()));
        objects.put("tile/0/000", b"full").unwrap();
        let many = [("tile/1/000", b"a"), ("tile/1/001", b"b")].map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
        objects.put_all(&many).unwrap();
        objects.put_all(&many).unwrap();
        let other = [("tile/1/002".to_owned(), b"c".to_vec()), ("tile/1/001".to_owned(), b"x".to_vec())];
        assert!(matches!(objects.put_all(&other), Err(Error::Conflict { .. })));
        let mut paths: Vec<_> = objects.list("tile/1").unwrap().into_iter().map(|stored| stored.path).collect();
        paths.retain(|path| path != "tile/1/002");
        paths.sort();
        assert_eq!(paths, ["tile/1/000", "tile/1/001"]);
        objects.remove("tile/1/000").unwrap();
        objects.remove("tile/1/000").unwrap();
        assert_eq!(objects.fetch("tile/1/000").unwrap(), None);
        assert!(objects.list("nothing").unwrap().is_empty());
        objects.replace("checkpoint", b"1").unwrap();
        objects.replace("checkpoint", b"2").unwrap();
        assert_eq!(objects.fetch("checkpoint").unwrap().as_deref(), Some(b"2".as_slice()));
        assert_eq!(objects.fetch("checkpoint/below").unwrap(), None);
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", ".", "a/.hidden", "a\\b", "a\0b", "ä", &"a".repeat(300)] {
            assert!(objects.put(bad, b"").is_err(), "{bad:?}");
            assert!(objects.replace(bad, b"").is_err(), "{bad:?}");
            assert!(objects.fetch(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_behaves() {
        behaves_like_objects(&Memory::default());
    }

    #[test]
    fn a_folder_behaves_and_survives_reopening() {
        let root = std::env::temp_dir().join(format!("usufruct-log-folder-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        behaves_like_objects(&Folder::open(&root).unwrap());
        let again = Folder::open(&root).unwrap();
        assert_eq!(again.fetch("tile/0/000").unwrap().as_deref(), Some(b"full".as_slice()));
        assert!(fs::metadata(root.join("tile/0/000")).unwrap().permissions().readonly());
        let held = Folder::hold(&root).unwrap();
        assert!(matches!(Folder::hold(&root), Err(Error::Held { .. })));
        drop(held);
        Folder::hold(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
}
