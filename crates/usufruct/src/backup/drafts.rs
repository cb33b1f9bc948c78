//! Backups that are being made, and those whose making was interrupted: folders with hidden names beside the whole ones.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use usufruct_core::Time;

use super::is_backup;
use crate::failure::Failure;

/// The name of the folder that a backup has until it is whole.
pub(super) fn name(stamp: &str) -> String {
    format!(".{stamp}{END}")
}

/// Takes the folder of backups for one that is to be made, until what is answered is dropped, and removes what interrupted ones left
/// there. `None` on a file system that knows no locks: there nobody can tell an interrupted one from one that is being made.
pub(super) fn hold(folder: &Path) -> Result<Option<File>, Failure> {
    let failed = |error: std::io::Error| Failure::file(folder, &error);
    let held = File::open(folder).map_err(failed)?;
    match held.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Failure::refused(
                format!("Another backup is being made in {}.", folder.display()),
                "Wait until it is done, or name another folder.",
            ));
        }
        Err(TryLockError::Error(_)) => return Ok(None),
    }
    for draft in all(folder).into_iter().filter(|path| is_ours(path)) {
        fs::remove_dir_all(&draft).map_err(|error| Failure::file(&draft, &error))?;
        tracing::info!(draft = %draft.display(), "removed, an interrupted backup");
    }
    Ok(Some(held))
}

/// Whether a backup is being made in this folder now, as far as that can be told.
pub fn is_being_made(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|folder| matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Folders with hidden names that hold a backup or a part of one. The same ciphertext is in them as in a whole one.
pub fn all(folder: &Path) -> Vec<PathBuf> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_draft = |path: &PathBuf| {
        let name = name(path);
        name.starts_with('.') && path.is_dir() && (name.ends_with(END) || is_backup(path))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = entries.filter(is_draft).collect();
    all.sort();
    all
}

/// Whether the name is one that [`name`] gives, so that nothing else is ever removed.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stamp = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(END)).map(|stamp| stamp.trim_end_matches('Z'));
    let time = stamp.and_then(|stamp| {
        let (day, clock) = stamp.split_once('T')?;
        let mut parts = clock.splitn(4, '-');
        let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
        let fraction = parts.next().map(|fraction| format!(".{fraction}")).unwrap_or_default();
        format!("{day}T{hour}:{minute}:{second}{fraction}Z").parse::<Time>().ok()
    });
    time.is_some()
}

const END: &str = ".part";

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[String]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("usufruct.db"), "rows").unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        all(folder).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_an_interrupted_backup_left_is_removed_and_nothing_else() {
        let stamps = ["2026-11-21T18:00:00Z", "2026-11-21T18:00:00.123456Z"];
        let left = stamps.map(|stamp| name(&super::super::stamp(stamp.parse().unwrap())));
        let others = [".copy".to_owned(), ".mine.part".to_owned()];
        let folder = folder_with(&[&left[..], &others[..], &["2026-11-20T18-00-00Z".to_owned()][..]].concat());
        assert_eq!(names(folder.path()).len(), 4, "a whole one is no draft: {:?}", names(folder.path()));
        let held = hold(folder.path()).unwrap();
        assert!(held.is_some());
        assert_eq!(names(folder.path()), others);
        assert!(folder.path().join("2026-11-20T18-00-00Z/usufruct.db").exists());
    }

    #[test]
    fn what_is_being_made_is_left_alone() {
        let folder = folder_with(&[]);
        let held = hold(folder.path()).unwrap();
        let draft = folder.path().join(name("2026-11-21T18-00-00Z"));
        fs::create_dir(&draft).unwrap();
        assert!(is_being_made(folder.path()));
        assert!(hold(folder.path()).unwrap_err().to_string().contains("Another backup is being made"));
        assert!(draft.exists());
        drop(held);
        assert!(!is_being_made(folder.path()));
        drop(hold(folder.path()).unwrap());
        assert!(!draft.exists());
    }
}
