//! What a monitor remembers from one run to the next: the last checkpoint it believed, and what it has reported.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use usufruct_app::log::{Checkpoint, Note};
use usufruct_core::Time;
use usufruct_core::hash::sha256;

use super::finding::{Ledger, Report};
use crate::data_dir;
use crate::failure::Failure;

/// The file of one log.
pub struct StateFile {
    path: PathBuf,
    written: Option<String>,
    _lock: File,
}

/// What stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The keys the log was believed under.
    pub vkeys: Vec<String>,
    /// The largest checkpoint that was believed, signed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<String>,
    /// When that checkpoint, with its cosignatures, was first seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen_at: Option<Time>,
    /// What is wrong and has been reported.
    #[serde(default)]
    pub open: Ledger,
    /// Reports that the webhook has not taken yet.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub outbox: Vec<Report>,
}

impl StateFile {
    /// The given file, or the one for this place under the user's state folder. Only one process at a time may have it.
    pub fn hold(path: Option<&Path>, place: &str) -> Result<Self, Failure> {
        let path = path.map_or_else(|| default_path(place), |path| Ok(path.to_owned()))?;
        let folder = folder(&path);
        fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
        let file = path.with_extension("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&file);
        let lock = lock.map_err(|error| Failure::file(&file, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, written: None, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure::impossible(
                format!("Another process watches with the state {}.", path.display()),
                "Give another file with --state, or ask that process.",
            )),
            Err(TryLockError::Error(error)) => Err(Failure::file(&file, &error)),
        }
    }

    /// What is remembered; nothing before the first run.
    pub fn recall(&self) -> Result<Remembered, Failure> {
        read(&self.path)
    }

    /// Writes what is to be remembered; when this returns it outlives a crash.
    pub fn remember(&mut self, remembered: &Remembered) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(remembered)
            .map_err(|error| Failure::impossible(format!("The state cannot be written: {error}."), "Report this as a defect."))?;
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        let folder = folder(&self.path);
        let failed = |error: std::io::Error| Failure::file(&folder, &error);
        data_dir::write(&self.path, text.as_bytes())?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        self.written = Some(text);
        Ok(())
    }

    /// Keeps a file as evidence, beside the state, and answers its path. One that is there already stays.
    pub fn keep_evidence(&self, name: &str, text: &str) -> Result<String, Failure> {
        let folder = self.path.with_extension("evidence");
        fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
        let path = folder.join(name);
        if !path.exists() {
            data_dir::write(&path, text.as_bytes())?;
        }
        Ok(path.display().to_string())
    }
}

impl Remembered {
    /// The checkpoint as it was signed, and what it says; `None` before the first.
    pub fn head(&self) -> usufruct_app::log::Result<Option<(Checkpoint, Note)>> {
        let Some(text) = &self.checkpoint else { return Ok(None) };
        let note = Note::parse(text.as_bytes())?;
        Ok(Some((note.text().parse()?, note)))
    }
}

fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// What a monitor of this place remembers, for those who only look into it.
pub fn peek(place: &str) -> Result<Remembered, Failure> {
    read(&default_path(place)?)
}

fn read(path: &Path) -> Result<Remembered, Failure> {
    let unreadable = || {
        let what = format!("{} cannot be understood.", path.display());
        Failure::impossible(what, "Give another file with --state, and keep this one.")
    };
    match fs::read(path) {
        Ok(bytes) => {
            let remembered: Remembered = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
            remembered.head().map_err(|_| unreadable())?;
            Ok(remembered)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Remembered::default()),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

/// One file for each place, in the user's state folder.
fn default_path(place: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME")
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .ok_or_else(|| Failure::impossible("There is no home folder to remember this run in.", "Name a file with --state."))?;
    let place = match fs::canonicalize(place) {
        Ok(path) if !place.contains("://") => path.display().to_string(),
        _ => place.trim_end_matches('/').trim_end_matches("/log").to_owned(),
    };
    let digest = sha256(place.as_bytes()).to_string();
    let name: String = digest.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    Ok(base.join("usufruct").join(format!("{name}.json")))
}
