//! The one place of an escrow, which is overwritten.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::HALF;
use crate::error::{Error, Result};
use crate::roots::{Disk, check_disk};

/// Keeps the two halves of an escrow.
pub trait EscrowPlace: Send + Sync {
    /// Both halves as they are.
    fn read(&self) -> Result<[[u8; HALF]; 2]>;

    /// Overwrites a half where it lies; durable and read back when it returns. A crash may tear it, and leaves the other as it was.
    fn write(&self, half: usize, bytes: &[u8; HALF]) -> Result<()>;
}

/// The place in a file of 8 KiB, held open and locked against other processes that would write.
pub struct EscrowFile(File);

impl EscrowFile {
    /// Opens the file in `folder`; makes it if it is not there.
    pub fn open(folder: &Path, disk: Disk) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make the folder of the escrow"))?;
        check_disk(folder, disk)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let file = options.open(Self::path(folder)).map_err(Error::io("open the escrow"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(source)) => return Err(Error::Io { action: "lock the escrow", source }),
        }
        if file.metadata().map_err(Error::io("read the escrow"))?.len() != 2 * HALF as u64 {
            let make = || {
                file.set_len(0)?;
                file.write_all_at(&[0; 2 * HALF], 0)?;
                file.sync_all()?;
                File::open(folder)?.sync_all()
            };
            make().map_err(Error::io("make the escrow"))?;
        }
        Ok(Self(file))
    }

    /// The file in `folder`.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("escrow")
    }
}

impl EscrowPlace for EscrowFile {
    fn read(&self) -> Result<[[u8; HALF]; 2]> {
        let mut halves = [[0; HALF]; 2];
        self.0.read_exact_at(halves.as_flattened_mut(), 0).map_err(Error::io("read the escrow"))?;
        Ok(halves)
    }

    fn write(&self, half: usize, bytes: &[u8; HALF]) -> Result<()> {
        let at = (half * HALF) as u64;
        let write = || {
            self.0.write_all_at(bytes, at)?;
            self.0.sync_data()?;
            let mut back = [1; HALF];
            self.0.read_exact_at(&mut back, at)?;
            if back == *bytes { Ok(()) } else { Err(io::Error::other("what was written is not there")) }
        };
        write().map_err(Error::io("write the escrow"))
    }
}
