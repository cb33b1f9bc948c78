//! The root slots: one file of 4 KiB with two halves, overwritten in place (class E0, erasure.md 1.4).
//!
//! The root of epoch e stands in half e mod 2: `"UFROOT01" | epoch u64 | root 32 | SHA-256 of all that`. A half that is wiped
//! is all zeros; anything else in it is a write that a crash tore.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use usufruct_core::hash::{equal, sha256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::tree::{Epoch, Key};

/// A root and its epoch.
pub(super) struct Root {
    pub(super) epoch: Epoch,
    pub(super) secret: Key,
}

/// The slot file, held open and locked against other processes.
pub(super) struct Slots(File);

impl Slots {
    /// Makes the file with its first root. The file comes into being whole or not at all.
    pub(super) fn create(folder: &Path, root: &Root) -> Result<()> {
        let draft = folder.join("root.new");
        let io = Error::io("make the root slots");
        (|| {
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all_at(&[0; 2 * HALF], 0)?;
            file.write_all_at(&*encode(root), offset(root.epoch))?;
            file.sync_all()?;
            std::fs::rename(&draft, folder.join(NAME))?;
            File::open(folder)?.sync_all()
        })()
        .map_err(io)
    }

    pub(super) fn open(folder: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(folder.join(NAME)).map_err(Error::io("open the root slots"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Locked),
            Err(TryLockError::Error(source)) => Err(Error::Io { action: "lock the root slots", source }),
        }
    }

    /// The roots there are, highest epoch first.
    pub(super) fn roots(&self) -> Result<Vec<Root>> {
        let mut file = Zeroizing::new([0; 2 * HALF]);
        let len = self.0.metadata().map_err(Error::io("read the root slots"))?.len();
        if len != file.len() as u64 {
            return Err(Error::Damaged { what: "the root slots do not have 4,096 bytes" });
        }
        self.0.read_exact_at(&mut *file, 0).map_err(Error::io("read the root slots"))?;
        let mut roots = Vec::with_capacity(2);
        for (half, bytes) in file.chunks(HALF).enumerate() {
            let Some(root) = decode(bytes) else { continue };
            if offset(root.epoch) != (half * HALF) as u64 {
                return Err(Error::Damaged { what: "a root stands in the half that belongs to the other epoch" });
            }
            roots.push(root);
        }
        if let [a, b] = &roots[..]
            && a.epoch.0.abs_diff(b.epoch.0) != 1
        {
            return Err(Error::Damaged { what: "the two roots are not of neighbouring epochs" });
        }
        roots.sort_by_key(|root| std::cmp::Reverse(root.epoch));
        Ok(roots)
    }

    /// Writes a root into its half. When this returns, the root is durable.
    pub(super) fn write(&self, root: &Root) -> Result<()> {
        self.put(&*encode(root), offset(root.epoch)).map_err(Error::io("write the new root"))
    }

    /// Overwrites with zeros the half that does not belong to `epoch`, and checks that they arrived.
    pub(super) fn wipe_all_but(&self, epoch: Epoch) -> Result<()> {
        let other = offset(Epoch(epoch.0 + 1));
        let wipe = || {
            self.put(&[0; HALF], other)?;
            let mut back = Zeroizing::new([1; HALF]);
            self.0.read_exact_at(&mut *back, other)?;
            if back.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(io::Error::other("the old root is still there")) }
        };
        wipe().map_err(Error::io("overwrite the old root"))
    }

    fn put(&self, half: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(half, at)?;
        self.0.sync_data()
    }
}

/// Where the half for `epoch` begins.
fn offset(epoch: Epoch) -> u64 {
    epoch.0 % 2 * HALF as u64
}

fn encode(root: &Root) -> Zeroizing<[u8; HALF]> {
    let mut half = Zeroizing::new([0; HALF]);
    half[..8].copy_from_slice(MAGIC);
    half[8..16].copy_from_slice(&root.epoch.0.to_be_bytes());
    half[16..48].copy_from_slice(root.secret.bytes());
    let sum = sha256(&half[..48]);
    half[48..80].copy_from_slice(&sum.0);
    half
}

fn decode(half: &[u8]) -> Option<Root> {
    if half[..8] != *MAGIC || !equal(&half[48..80], &sha256(&half[..48]).0) {
        return None;
    }
    let epoch = Epoch(u64::from_be_bytes(half[8..16].try_into().ok()?));
    Some(Root { epoch, secret: Key::from_slice(&half[16..48])? })
}

/// Name of the slot file.
pub(super) const NAME: &str = "root";
const MAGIC: &[u8; 8] = b"UFROOT01";
/// Length of one half.
pub(super) const HALF: usize = 2048;
