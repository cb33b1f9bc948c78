//! What durability on a local disk takes, and how it is told apart from an error that loses nothing.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// Makes a folder if it is not there, and its name durable together with those of all folders above it that are new.
pub(crate) fn make_durable_folder(folder: &Path) -> Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if !folder.is_dir() {
        if let Some(parent) = parent {
            make_durable_folder(parent)?;
        }
        make_folder(folder)?;
    }
    // Also of a folder that is there: an earlier process may have ended before this sync.
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Makes a folder in a folder that is there. Its name is not durable yet.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(io_error(folder, source)),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(|source| fatal(folder, source))
}

/// Something could not be read or written; whatever was there is still there.
pub(crate) fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io { path: path.display().to_string(), source }
}

/// Something could not be made durable, after which nothing that is read back is certain.
pub(crate) fn fatal(path: &Path, source: io::Error) -> Error {
    Error::Fatal { path: path.display().to_string(), source }
}
