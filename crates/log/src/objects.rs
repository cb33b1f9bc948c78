//! Where the public files of a log are kept: tiles, bundles and the checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
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
}

/// A folder on a local disk, laid out so that any web server can serve it.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let temporary = root.join(TEMPORARY);
        fs::create_dir_all(&temporary).map_err(|source| io_error(&temporary, source))?;
        sync_folder(&root)?;
        Ok(Self { root })
    }

    /// The file of an object.
    fn file(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    /// Writes the bytes to a temporary file, makes them durable, and moves the file into place.
    fn write(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        let folder = file.parent().unwrap_or(&self.root);
        self.make_folder(folder)?;
        let number = TEMPORARY_FILES.fetch_add(1, Ordering::Relaxed);
        // A crash may leave a file behind, to which nothing refers; the next process of this number overwrites it.
        let name = format!("{}-{number}", std::process::id());
        let temporary = self.root.join(TEMPORARY).join(name);
        let mut handle = File::create(&temporary).map_err(|source| io_error(&temporary, source))?;
        handle.write_all(bytes).map_err(|source| io_error(&temporary, source))?;
        handle.sync_all().map_err(|source| fatal(file, source))?;
        drop(handle);
        fs::rename(&temporary, file).map_err(|source| io_error(file, source))?;
        sync_folder(folder)
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
            None => self.write(&file, bytes),
            // The rename may be all that a crash left undone, so the folder is made durable once more.
            Some(stored) if stored == bytes => sync_folder(file.parent().unwrap_or(&self.root)),
            Some(_) => Err(Error::Conflict { path: path.to_owned() }),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write(&self.file(path)?, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let file = self.file(path)?;
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(io_error(&file, source)),
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
}

impl<O: Objects + ?Sized> Objects for &O {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).put(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).replace(path, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        (**self).fetch(path)
    }
}

impl<O: Objects + ?Sized> Objects for std::sync::Arc<O> {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).put(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        (**self).replace(path, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        (**self).fetch(path)
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
        assert_eq!(fs::read_dir(root.join(TEMPORARY)).unwrap().count(), 0);
        fs::remove_dir_all(&root).unwrap();
    }
}
