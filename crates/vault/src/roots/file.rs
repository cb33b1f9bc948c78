//! Class E0: one file of 4 KiB with two halves, overwritten in place (erasure.md 1.4).
//!
//! The root of epoch e stands in half e mod 2: `"UFROOT01" | epoch u64 | root 32 | SHA-256 of all that`. A half that is wiped
//! is all zeros; anything else in it is a write that a crash tore.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
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

/// Refuses every file system of which it is not known that it overwrites in place and keeps no copy in a journal.
pub fn check_disk(folder: &Path, disk: Disk) -> Result<()> {
    if disk == Disk::Any {
        return Ok(());
    }
    let failed = Error::io("ask for its file system");
    let device = std::fs::metadata(folder).map_err(failed)?.dev();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(Error::io("read the list of file systems"))?;
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let Some(mount) = mounts.lines().find_map(|line| Mount::read(line, &number)) else {
        return Err(Error::CopyOnWrite { name: "a file system that the system does not list".to_owned() });
    };
    // The options in force, with those that the list leaves out because they are the disk's own defaults.
    let name = std::fs::read_link(format!("/sys/dev/block/{number}")).ok();
    let name = name.as_ref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    let all = std::fs::read_to_string(format!("/proc/fs/{}/{name}/options", mount.kind)).unwrap_or_default();
    // `chattr +j` journals the content of what is in one folder.
    let is_marked = File::open(folder).is_ok_and(|folder| {
        rustix::fs::ioctl_getflags(&folder).is_ok_and(|flags| flags.contains(rustix::fs::IFlags::JOURNALING))
    });
    mount.refusal(&all, is_marked).map_or(Ok(()), |name| Err(Error::CopyOnWrite { name }))
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct Mount<'a> {
    kind: &'a str,
    /// Of the file system, not of the mount.
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// Reads the line if it is about the device `number`, as "254:0".
    fn read(line: &'a str, number: &str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        if mount.split(' ').nth(2) != Some(number) {
            return None;
        }
        let mut words = system.split(' ');
        Some(Self { kind: words.next()?, options: words.nth(1)? })
    }

    /// What it is, if old content may stay on it. `all` are the options in force, one a line.
    fn refusal(&self, all: &str, is_marked: bool) -> Option<String> {
        let is_journaled = is_marked || self.options.split(',').chain(all.lines()).any(|option| option.trim() == "data=journal");
        match self.kind {
            "ext3" | "ext4" if is_journaled => Some(format!("{} with data=journal", self.kind)),
            "ext2" | "ext3" | "ext4" | "xfs" => None,
            other => Some(other.to_owned()),
        }
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
#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn only_file_systems_that_overwrite_in_place_are_taken() {
        let refused = |kind: &str, options: &str, all: &str, is_marked: bool| {
            let line = format!("36 35 254:0 / /srv rw,relatime shared:1 - {kind} /dev/vda {options}");
            assert!(Mount::read(&line, "254:1").is_none());
            Mount::read(&line, "254:0").unwrap().refusal(all, is_marked)
        };
        for kind in ["ext2", "ext3", "ext4", "xfs"] {
            assert_eq!(refused(kind, "rw,errors=remount-ro", "rw\ndata=ordered\n", false), None, "{kind}");
        }
        for kind in ["btrfs", "zfs", "overlay", "f2fs", "bcachefs", "nfs4", "fuse.sshfs", "tmpfs", "9p"] {
            assert_eq!(refused(kind, "rw", "", false).as_deref(), Some(kind));
        }
        let journal = Some("ext4 with data=journal".to_owned());
        assert_eq!(refused("ext4", "rw,data=journal", "", false), journal);
        assert_eq!(refused("ext4", "rw", "rw\ndata=journal\n", false), journal, "the default of the disk");
        assert_eq!(refused("ext4", "rw", "", true), journal, "the mark of the folder");
        let folder = Folder::new();
        check_disk(folder.path(), Disk::Any).unwrap();
        assert!(matches!(check_disk(&folder.path().join("nowhere"), Disk::InPlace), Err(Error::Io { .. })));
        let said = Error::CopyOnWrite { name: "btrfs".to_owned() }.to_string();
        assert!(said.contains("btrfs") && said.contains("ext4"), "{said}");
    }
}
