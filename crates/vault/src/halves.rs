//! A small file of two halves that are overwritten in place, held open and locked against other processes. What comes next is put
//! beside what there is, and only then is the old half wiped.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;

/// The file; each half has `HALF` bytes. A wiped one is all zeros.
pub(crate) struct Halves<const HALF: usize>(File);

impl<const HALF: usize> Halves<HALF> {
    /// Makes the file with something in one half. It comes into being whole or not at all.
    pub(crate) fn create(folder: &Path, name: &str, half: usize, bytes: &[u8; HALF]) -> io::Result<()> {
        let draft = folder.join(format!("{name}.new"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all_at(bytes, at::<HALF>(half))?;
        file.write_all_at(&[0; HALF], at::<HALF>(1 - half))?;
        file.sync_all()?;
        std::fs::rename(&draft, folder.join(name))?;
        File::open(folder)?.sync_all()
    }

    /// Opens a file that is there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::locked(OpenOptions::new().read(true).write(true).open(path)?)
    }

    /// Opens the file, which has no bytes yet if it was not there.
    pub(crate) fn open_or_touch(path: &Path) -> io::Result<Self> {
        Self::locked(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?)
    }

    fn locked(file: File) -> io::Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Makes it two halves of zeros, whatever it was. `folder` is the one it lies in.
    pub(crate) fn clear(&self, folder: &Path) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.write_all_at([[0; HALF]; 2].as_flattened(), 0)?;
        self.0.sync_all()?;
        File::open(folder)?.sync_all()
    }

    /// Both halves as they are.
    pub(crate) fn read(&self) -> io::Result<Zeroizing<[[u8; HALF]; 2]>> {
        let mut halves = Zeroizing::new([[0; HALF]; 2]);
        self.0.read_exact_at(halves.as_flattened_mut(), 0)?;
        Ok(halves)
    }

    /// Overwrites a half where it lies; durable and read back when it returns.
    pub(crate) fn write(&self, half: usize, bytes: &[u8; HALF]) -> io::Result<()> {
        self.0.write_all_at(bytes, at::<HALF>(half))?;
        self.0.sync_data()?;
        let mut back = Zeroizing::new([1; HALF]);
        self.0.read_exact_at(&mut *back, at::<HALF>(half))?;
        if *back == *bytes { Ok(()) } else { Err(io::Error::other("what was written is not there")) }
    }

    /// Overwrites a half with zeros.
    pub(crate) fn wipe(&self, half: usize) -> io::Result<()> {
        self.write(half, &[0; HALF])
    }
}

/// What opening says of `action` when it fails: that another process has the file, or why it is not to be had.
pub(crate) fn refused(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Locked,
        _ => Error::Io { action, source },
    }
}

const fn at<const HALF: usize>(half: usize) -> u64 {
    (half * HALF) as u64
}
