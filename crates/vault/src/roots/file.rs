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
use crate::error::{Error, Result};
use crate::halves::{Halves, refused};
use crate::tree::{Epoch, Key, SlotClass};

/// The slot file, held open and locked against other processes.
pub struct FileRoots(Halves<HALF>);

/// What is known of the file system the slot file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// It must overwrite in place; others are refused.
    InPlace,
    /// Any, for demonstrations: what is overwritten may still be there.
    Any,
}

impl FileRoots {
    /// Makes the file with its first root in `folder`, which is made too if need be. The file comes into being whole or not
    /// at all. A tree that has its pages elsewhere may be older than the file, so the caller says which epoch is the first.
    pub fn create(folder: &Path, first: &Root, disk: Disk) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        if std::fs::exists(folder.join(NAME)).map_err(Error::io("look into its folder"))? {
            return Err(Error::FolderTaken);
        }
        check_disk(folder, disk)?;
        Halves::create(folder, NAME, half_of(first.epoch), &encode(first)).map_err(Error::io("make the root slots"))?;
        Self::open(folder, disk)
    }

    /// Opens the file in `folder`.
    pub fn open(folder: &Path, disk: Disk) -> Result<Self> {
        let file = Halves::open(&folder.join(NAME)).map_err(refused("open the root slots"))?;
        check_disk(folder, disk)?;
        Ok(Self(file))
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

/// Refuses file systems that write elsewhere what overwrites something.
pub(crate) fn check_disk(folder: &Path, disk: Disk) -> Result<()> {
    if disk == Disk::Any {
        return Ok(());
    }
    let kind =
        rustix::fs::statfs(folder).map_err(|error| Error::Io { action: "ask for its file system", source: error.into() })?.f_type;
    // The type differs in width between machines.
    copying(kind as u64 & 0xffff_ffff).map_or(Ok(()), |name| Err(Error::CopyOnWrite { name }))
}

fn copying(kind: u64) -> Option<&'static str> {
    COPYING.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
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
/// File systems whose overwriting leaves the old bytes where they were, by the number that statfs(2) gives.
const COPYING: [(u64, &str); 7] = [
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "ZFS"),
    (0xca45_1a4e, "bcachefs"),
    (0xf2f5_2010, "F2FS"),
    (0x3434, "NILFS"),
    (0x794c_7630, "overlayfs"),
    (0x6969, "NFS"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn file_systems_that_write_elsewhere_are_refused() {
        // Numbers from linux/magic.h: btrfs, overlayfs, F2FS; ext4, XFS, tmpfs.
        for (kind, refused) in [
            (0x9123_683e, true),
            (0x794c_7630, true),
            (0xf2f5_2010, true),
            (0xef53, false),
            (0x5846_5342, false),
            (0x0102_1994, false),
        ] {
            assert_eq!(copying(kind).is_some(), refused, "{kind:x}");
        }
        let folder = Folder::new();
        check_disk(folder.path(), Disk::Any).unwrap();
        assert!(matches!(check_disk(&folder.path().join("nowhere"), Disk::InPlace), Err(Error::Io { .. })));
        let said = Error::CopyOnWrite { name: "btrfs" }.to_string();
        assert!(said.contains("btrfs") && said.contains("ext4"), "{said}");
    }
}
