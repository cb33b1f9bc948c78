//! What a witness must never forget: the last checkpoint it cosigned of each log.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::checkpoint::Checkpoint;
use crate::disk::{io_error, make_durable_folder};
use crate::error::{Error, Result};
use crate::head::SignedHead;
use crate::note::Note;
use crate::witnessing::origin_hash;

/// The last checkpoint of each log, durable.
pub trait WitnessState: Send + Sync {
    /// The last checkpoint cosigned of the log of this origin.
    fn load(&self, origin: &str) -> Result<Option<SignedHead>>;

    /// Replaces it if it still is `old`, durable when it returns. `false` if it is not.
    fn swap(&self, origin: &str, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool>;
}

impl<S: WitnessState + ?Sized> WitnessState for std::sync::Arc<S> {
    fn load(&self, origin: &str) -> Result<Option<SignedHead>> {
        (**self).load(origin)
    }

    fn swap(&self, origin: &str, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        (**self).swap(origin, old, new)
    }
}

/// One file for each log in a folder that this process holds alone.
///
/// A file is the time in seconds, an empty line, and the note. It must never be restored from an older copy: the witness
/// would then cosign a second history.
#[derive(Debug)]
pub struct FolderState {
    folder: PathBuf,
    heads: Mutex<BTreeMap<String, SignedHead>>,
    _lock: File,
}

impl FolderState {
    /// Opens the folder, made if it is not there, and reads every file in it.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        make_durable_folder(&folder)?;
        let lock = hold(&folder)?;
        let mut heads = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|source| io_error(&folder, source))? {
            let path = entry.map_err(|source| io_error(&folder, source))?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let (origin, head) = read(&path)?;
                heads.insert(origin, head);
            }
        }
        Ok(Self { folder, heads: Mutex::new(heads), _lock: lock })
    }

    fn file(&self, origin: &str) -> PathBuf {
        self.folder.join(format!("{}.{EXTENSION}", origin_hash(origin)))
    }
}

impl WitnessState for FolderState {
    fn load(&self, origin: &str) -> Result<Option<SignedHead>> {
        Ok(self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned())
    }

    fn swap(&self, origin: &str, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.get(origin) != old {
            return Ok(false);
        }
        let file = self.file(origin);
        let fresh = file.with_extension("fresh");
        let bytes = [format!("{}\n\n", new.time).as_bytes(), &new.note].concat();
        let mut handle = File::create(&fresh).map_err(|source| io_error(&fresh, source))?;
        handle.write_all(&bytes).map_err(|source| io_error(&fresh, source))?;
        let make_durable = || {
            handle.sync_all()?;
            fs::rename(&fresh, &file)?;
            File::open(&self.folder)?.sync_all()
        };
        make_durable().map_err(|source: io::Error| Error::Fatal { path: file.display().to_string(), source })?;
        heads.insert(origin.to_owned(), new.clone());
        Ok(true)
    }
}

/// A state in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryState(Mutex<BTreeMap<String, SignedHead>>);

impl WitnessState for MemoryState {
    fn load(&self, origin: &str) -> Result<Option<SignedHead>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned())
    }

    fn swap(&self, origin: &str, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = heads.get(origin) == old;
        if unchanged {
            heads.insert(origin.to_owned(), new.clone());
        }
        Ok(unchanged)
    }
}

fn hold(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(|source| io_error(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Held { path: folder.display().to_string() }),
        Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
    }
}

fn read(path: &Path) -> Result<(String, SignedHead)> {
    let bytes = fs::read(path).map_err(|source| io_error(path, source))?;
    let damaged = |why: &str| Error::Damaged { path: path.display().to_string(), why: why.to_owned() };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not UTF-8"))?;
    let (time, note) = text.split_once("\n\n").ok_or_else(|| damaged("it has no time"))?;
    let time = time.parse().map_err(|_| damaged("its time is no number"))?;
    let checkpoint = Note::parse(note.as_bytes()).and_then(|note| note.text().parse::<Checkpoint>());
    let checkpoint = checkpoint.map_err(|_| damaged("its checkpoint cannot be read"))?;
    let is_its_own = path.file_stem().is_some_and(|stem| *stem == *origin_hash(checkpoint.origin()));
    if !is_its_own {
        return Err(damaged("it belongs to another log"));
    }
    let head = SignedHead { size: checkpoint.size(), root: *checkpoint.root(), time, note: note.as_bytes().to_vec() };
    Ok((checkpoint.origin().to_owned(), head))
}

const EXTENSION: &str = "checkpoint";
