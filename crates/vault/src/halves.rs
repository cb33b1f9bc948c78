//! A small file of two halves that are overwritten in place, held open and locked against other processes. What comes next is put
//! beside what there is, and only then is the old half wiped.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::disk::{Disk, open_in_place};
use crate::error::{Error, Result};

/// The file; each half has `HALF` bytes. A wiped one is all zeros.
pub(crate) struct Halves<const HALF: usize> {
    file: File,
    path: PathBuf,
}

impl<const HALF: usize> Halves<HALF> {
    /// Makes the file with something in one half. It comes into being whole or not at all.
    pub(crate) fn create(
        folder: &Path,
        name: &str,
        half: usize,
        bytes: &[u8; HALF],
        disk: Disk,
        action: &'static str,
    ) -> Result<()> {
        let draft = folder.join(format!("{name}.new"));
        let file = open_in_place(&draft, OpenOptions::new().write(true).create(true).truncate(true), disk, action)?;
        let write = || {
            file.write_all_at(bytes, at::<HALF>(half))?;
            file.write_all_at(&[0; HALF], at::<HALF>(1 - half))?;
            file.sync_all()?;
            std::fs::rename(&draft, folder.join(name))?;
            File::open(folder)?.sync_all()
        };
        write().map_err(Error::io(action))
    }

    /// Opens a file that is there.
    pub(crate) fn open(path: &Path, disk: Disk, action: &'static str) -> Result<Self> {
        Self::locked(path, OpenOptions::new().read(true).write(true), disk, action)
    }

    /// Opens the file, which has no bytes yet if it was not there.
    pub(crate) fn open_or_touch(path: &Path, disk: Disk, action: &'static str) -> Result<Self> {
        Self::locked(path, OpenOptions::new().read(true).write(true).create(true).truncate(false), disk, action)
    }

    fn locked(path: &Path, options: &mut OpenOptions, disk: Disk, action: &'static str) -> Result<Self> {
        let file = open_in_place(path, options, disk, action)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path: path.to_owned() }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked),
            Err(TryLockError::Error(source)) => Err(Error::Io { action, source }),
        }
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Makes it two halves of zeros, whatever it was. `folder` is the one it lies in.
    pub(crate) fn clear(&self, folder: &Path) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at([[0; HALF]; 2].as_flattened(), 0)?;
        self.file.sync_all()?;
        File::open(folder)?.sync_all()
    }

    /// Both halves as they are.
    pub(crate) fn read(&self) -> io::Result<Zeroizing<[[u8; HALF]; 2]>> {
        self.in_its_place()?;
        let mut halves = Zeroizing::new([[0; HALF]; 2]);
        self.file.read_exact_at(halves.as_flattened_mut(), 0)?;
        Ok(halves)
    }

    /// Overwrites a half where it lies; durable and read back when it returns.
    pub(crate) fn write(&self, half: usize, bytes: &[u8; HALF]) -> io::Result<()> {
        self.in_its_place()?;
        self.file.write_all_at(bytes, at::<HALF>(half))?;
        self.file.sync_data()?;
        let mut back = Zeroizing::new([1; HALF]);
        self.file.read_exact_at(&mut *back, at::<HALF>(half))?;
        if *back != *bytes {
            return Err(io::Error::other("what was written is not there"));
        }
        // What was written to a file that was moved away meanwhile is not what the next start finds.
        self.in_its_place()
    }

    /// Overwrites a half with zeros.
    pub(crate) fn wipe(&self, half: usize) -> io::Result<()> {
        self.write(half, &[0; HALF])
    }

    /// Whether its name still leads to it: nobody moved it away, or put another file in its place.
    pub(crate) fn in_its_place(&self) -> io::Result<()> {
        let own = self.file.metadata()?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::other("the file is not where it was opened")),
        }
    }
}

const fn at<const HALF: usize>(half: usize) -> u64 {
    (half * HALF) as u64
}
