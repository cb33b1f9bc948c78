//! The one place of an escrow, which is overwritten.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::HALF;
use crate::error::{Error, Result};
use crate::halves::Halves;
use crate::roots::Disk;

/// Keeps the two halves of an escrow.
pub trait EscrowPlace: Send + Sync {
    /// Both halves as they are.
    fn read(&self) -> Result<[[u8; HALF]; 2]>;

    /// Whether the place is where it was opened. What is kept anywhere else is no escrow that anybody finds.
    fn is_there(&self) -> bool {
        true
    }

    /// Overwrites a half where it lies; durable and read back when it returns. A crash may tear it, and leaves the other as it was.
    fn write(&self, half: usize, bytes: &[u8; HALF]) -> Result<()>;
}

/// The place in a file of 8 KiB, held open and locked against other processes that would write.
pub struct EscrowFile(Halves<HALF>);

impl EscrowFile {
    /// Opens the file in `folder`; makes it if it is not there.
    pub fn open(folder: &Path, disk: Disk) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make the folder of the escrow"))?;
        let file = Halves::<HALF>::open_or_touch(&Self::path(folder), disk, "open the escrow")?;
        if file.len().map_err(Error::io("read the escrow"))? != 2 * HALF as u64 {
            file.clear(folder).map_err(Error::io("make the escrow"))?;
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
        Ok(*self.0.read().map_err(Error::io("read the escrow"))?)
    }

    fn is_there(&self) -> bool {
        self.0.in_its_place().is_ok()
    }

    fn write(&self, half: usize, bytes: &[u8; HALF]) -> Result<()> {
        self.0.write(half, bytes).map_err(Error::io("write the escrow"))
    }
}
