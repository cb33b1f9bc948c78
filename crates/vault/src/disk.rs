//! Which file systems overwrite in place: on others what is overwritten may still be there. It is asked of the opened file, since a name
//! may lead to another disk than the folder it stands in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{IFlags, OFlags, fstatfs, ioctl_getflags, major, minor};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Which file systems a file may lie on that is to be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// It must overwrite in place; others are refused.
    InPlace,
    /// Any, for demonstrations: what is overwritten may still be there.
    Any,
}

/// Opens a file and no symbolic link, and refuses it where its file system may keep what is overwritten.
pub(crate) fn open_in_place(path: &Path, options: &mut OpenOptions, disk: Disk, action: &'static str) -> Result<File> {
    let file = options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path).map_err(|source| {
        match source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            true => Error::Link { path: path.display().to_string() },
            false => Error::Io { action, source },
        }
    })?;
    check_file(&file, disk)?;
    Ok(file)
}

/// The same of what lies at a path, for a look.
pub fn check_disk(path: &Path, disk: Disk) -> Result<()> {
    check_file(&File::open(path).map_err(Error::io("ask for its file system"))?, disk)
}

/// Refuses every file system of which it is not known that it overwrites in place and keeps no copy in a journal.
fn check_file(file: &File, disk: Disk) -> Result<()> {
    if disk == Disk::Any {
        return Ok(());
    }
    let failed = || Error::io("ask for its file system");
    let magic = fstatfs(file).map_err(|error| failed()(io::Error::from(error)))?.f_type;
    let device = file.metadata().map_err(failed())?.dev();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(Error::io("read the list of file systems"))?;
    let number = format!("{}:{}", major(device), minor(device));
    let Some(mount) = mounts.lines().find_map(|line| Mount::read(line, &number)) else {
        return Err(Error::CopyOnWrite { name: "a file system that the system does not list".to_owned() });
    };
    // The options in force, with those that the list leaves out because they are the disk's own defaults.
    let name = std::fs::read_link(format!("/sys/dev/block/{number}")).ok();
    let name = name.as_ref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    let all = std::fs::read_to_string(format!("/proc/fs/{}/{name}/options", mount.kind)).unwrap_or_default();
    // `chattr +j` journals the content of a file, or of all files that are made in a folder.
    let is_marked = ioctl_getflags(file).is_ok_and(|flags| flags.contains(IFlags::JOURNALING));
    if let Some(name) = mount.refusal(&all, is_marked) {
        return Err(Error::CopyOnWrite { name });
    }
    match magic {
        EXT | XFS => Ok(()),
        // What stands on top of another file system answers for itself.
        other => Err(Error::CopyOnWrite { name: format!("a file system with the number {other:#x} on top of {}", mount.kind) }),
    }
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

/// Of statfs(2); ext2, ext3 and ext4 have one in common.
const EXT: i64 = 0xef53;
const XFS: i64 = 0x5846_5342;

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
        assert_eq!(refused("ext4", "rw", "", true), journal, "the mark of the file");
        let folder = Folder::new();
        check_disk(folder.path(), Disk::Any).unwrap();
        assert!(matches!(check_disk(&folder.path().join("nowhere"), Disk::InPlace), Err(Error::Io { .. })));
        let said = Error::CopyOnWrite { name: "btrfs".to_owned() }.to_string();
        assert!(said.contains("btrfs") && said.contains("ext4"), "{said}");
    }

    #[test]
    fn the_file_is_asked_and_not_the_folder_in_which_its_name_stands() {
        let memory = Path::new("/dev/shm");
        if !memory.is_dir() {
            eprintln!("skipped: there is no disk in memory");
            return;
        }
        let (folder, path) = (Folder::new(), memory.join(format!("usufruct-disk-{}", std::process::id())));
        std::fs::write(&path, "x").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let said = check_disk(&link, Disk::InPlace).unwrap_err().to_string();
        let opened = open_in_place(&path, OpenOptions::new().read(true), Disk::InPlace, "open it").map(drop).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(said.contains("on tmpfs"), "{said}");
        assert!(opened.to_string().contains("on tmpfs"), "{opened}");
    }
}
