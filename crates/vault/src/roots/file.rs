//! Class E0: one file of 4 KiB with two halves, overwritten in place (erasure.md 1.4).
//!
//! The root of epoch e stands in half e mod 2: `"UFROOT01" | epoch u64 | root 32 | SHA-256 of all that`. A half that is wiped
//! is all zeros; anything else in it is a write that a crash tore.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use usufruct_core::hash::{equal, sha256};
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::{Root, RootSlots};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::halves::Halves;
use crate::tree::{Epoch, Key, SlotClass};

/// The slot file, held open and locked against other processes.
pub struct FileRoots(Halves<HALF>);

impl FileRoots {
    /// Makes the file with its first root in `folder`, which is made too if need be. The file comes into being whole or not
    /// at all. A tree that has its pages elsewhere may be older than the file, so the caller says which epoch is the first.
    pub fn create(folder: &Path, first: &Root, disk: Disk) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        if std::fs::exists(folder.join(NAME)).map_err(Error::io("look into its folder"))? {
            return Err(Error::FolderTaken);
        }
        Halves::create(folder, NAME, half_of(first.epoch), &encode(first), disk, "make the root slots")?;
        Self::open(folder, disk)
    }

    /// Opens the file in `folder`.
    pub fn open(folder: &Path, disk: Disk) -> Result<Self> {
        Ok(Self(Halves::open(&folder.join(NAME), disk, "open the root slots")?))
    }

    /// The epochs of the roots in `folder`, highest first, without a lock: the server may be writing. For messages only.
    pub fn epochs(folder: &Path) -> Result<Vec<Epoch>> {
        let file = Zeroizing::new(std::fs::read(folder.join(NAME)).map_err(Error::io("read the root slots"))?);
        let mut epochs: Vec<Epoch> = file.chunks_exact(HALF).filter_map(|half| decode(half).map(|root| root.epoch)).collect();
        epochs.sort_by_key(|epoch| std::cmp::Reverse(*epoch));
        Ok(epochs)
    }
}

impl RootSlots for FileRoots {
    fn class(&self) -> SlotClass {
        SlotClass::E0
    }

    fn roots(&self) -> Result<Vec<Root>> {
        if self.0.len().map_err(Error::io("read the root slots"))? != 2 * HALF as u64 {
            return Err(Error::Damaged { what: "the root slots do not have 4,096 bytes" });
        }
        let halves = self.0.read().map_err(Error::io("read the root slots"))?;
        let mut roots = Vec::with_capacity(2);
        for (half, bytes) in halves.iter().enumerate() {
            let Some(root) = decode(bytes) else { continue };
            if half_of(root.epoch) != half {
                return Err(Error::Damaged { what: "a root stands in the half that belongs to the other epoch" });
            }
            roots.push(root);
        }
        if roots.is_empty() {
            return Err(Error::Damaged { what: "there is no root" });
        }
        roots.sort_by_key(|root| std::cmp::Reverse(root.epoch));
        Ok(roots)
    }

    fn put(&self, root: &Root, _rng: &dyn Rng) -> Result<()> {
        self.0.write(half_of(root.epoch), &encode(root)).map_err(Error::io("write the new root"))
    }

    /// Overwrites with zeros the half that does not belong to `epoch`, and checks that they arrived.
    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        self.0.wipe(1 - half_of(epoch)).map_err(Error::io("overwrite the old root"))
    }

    fn statements(&self, _epoch: Epoch) -> Result<Vec<Destroyed>> {
        Ok(Vec::new())
    }

    fn heal(&self) -> Result<()> {
        Ok(())
    }
}

/// The half for `epoch`.
fn half_of(epoch: Epoch) -> usize {
    usize::from(epoch.0 % 2 == 1)
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
pub(crate) const NAME: &str = "root";
const MAGIC: &[u8; 8] = b"UFROOT01";
/// Length of one half.
const HALF: usize = 2_048;
