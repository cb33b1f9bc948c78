//! The signed head: the one value of a log that moves, and moves by compare-and-swap.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::checkpoint::Checkpoint;
use crate::disk::{fatal, io_error, make_durable_folder, sync_folder};
use crate::error::{Error, Result};
use crate::hash::{Hash, sha256};
use crate::note::Note;
use crate::text;

/// The latest signed state of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
    /// When it was signed, in seconds since 1970 UTC.
    pub time: u64,
    /// The signed checkpoint.
    pub note: Vec<u8>,
}

/// Where the head is kept: durable, and best on another medium than the objects, so that the two cannot be rolled
/// back together.
pub trait Head {
    /// The current head; `None` if nothing has ever been signed.
    fn load(&self) -> Result<Option<SignedHead>>;

    /// Replaces the head if it still is `old`, in one durable step. `false` if it is not.
    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool>;
}

impl<H: Head + ?Sized> Head for &H {
    fn load(&self) -> Result<Option<SignedHead>> {
        (**self).load()
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        (**self).swap(old, new)
    }
}

impl<H: Head + ?Sized> Head for std::sync::Arc<H> {
    fn load(&self) -> Result<Option<SignedHead>> {
        (**self).load()
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        (**self).swap(old, new)
    }
}

/// A head in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryHead(Mutex<Option<SignedHead>>);

impl Head for MemoryHead {
    fn load(&self) -> Result<Option<SignedHead>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        let mut head = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = head.as_ref() == old;
        if unchanged {
            *head = Some(new.clone());
        }
        Ok(unchanged)
    }
}

/// A head in a folder of its own on a local disk, for logs that have no database. As long as the value lives, no other
/// process can open the same folder.
///
/// The file `head` begins with the time of the signature and a SHA-256 of everything else, so that a torn write or a
/// flipped bit is found; after an empty line comes the signed checkpoint.
#[derive(Debug)]
pub struct FileHead {
    folder: PathBuf,
    /// Holds the lock. The mutex makes compare and swap one step among the threads of this process.
    lock: Mutex<File>,
}

impl FileHead {
    /// Opens the folder, makes it if it is not there, and locks it. [`Error::Held`] if another process has it open.
    ///
    /// A head that an earlier process left is made durable once more, because that process may have ended between
    /// moving it into place and the sync of the folder.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        make_durable_folder(&folder)?;
        let path = folder.join(LOCK);
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|source| io_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Held { path: folder.display().to_string() }),
            Err(TryLockError::Error(source)) => return Err(io_error(&path, source)),
        }
        let head = folder.join(HEAD);
        match File::open(&head) {
            Ok(file) => file.sync_all().map_err(|source| fatal(&head, source))?,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(io_error(&head, source)),
        }
        sync_folder(&folder)?;
        Ok(Self { folder, lock: Mutex::new(file) })
    }

    fn read(&self) -> Result<Option<SignedHead>> {
        let path = self.folder.join(HEAD);
        match fs::read(&path) {
            Ok(bytes) => decode(&bytes).map(Some),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error(&path, source)),
        }
    }
}

impl Head for FileHead {
    fn load(&self) -> Result<Option<SignedHead>> {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.read()
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.read()?.as_ref() != old {
            return Ok(false);
        }
        let (next, head) = (self.folder.join(NEXT), self.folder.join(HEAD));
        let mut file = File::create(&next).map_err(|source| io_error(&next, source))?;
        file.write_all(&encode(new)).map_err(|source| io_error(&next, source))?;
        file.sync_all().map_err(|source| fatal(&next, source))?;
        drop(file);
        fs::rename(&next, &head).map_err(|source| io_error(&head, source))?;
        sync_folder(&self.folder)?;
        Ok(true)
    }
}

fn encode(head: &SignedHead) -> Vec<u8> {
    let time = format!("time {}\n", head.time);
    let hash = sha256(&[time.as_bytes(), &head.note]);
    [time.as_bytes(), format!("sha256 {hash}\n\n").as_bytes(), &head.note].concat()
}

fn decode(bytes: &[u8]) -> Result<SignedHead> {
    let torn = || Error::malformed("head", "it was not written whole, or was changed afterwards");
    let content = std::str::from_utf8(bytes).map_err(|_| torn())?;
    let (lines, note) = content.split_once("\n\n").ok_or_else(torn)?;
    let (time, hash) = lines.split_once('\n').ok_or_else(torn)?;
    let digits = time.strip_prefix("time ").ok_or_else(torn)?;
    let hash = hash.strip_prefix("sha256 ").ok_or_else(torn)?;
    if Hash::from_base64(hash)? != sha256(&[time.as_bytes(), b"\n", note.as_bytes()]) {
        return Err(torn());
    }
    let checkpoint: Checkpoint = Note::parse(note.as_bytes())?.text().parse()?;
    let time = text::decimal("head", digits)?;
    Ok(SignedHead { size: checkpoint.size(), root: *checkpoint.root(), time, note: note.as_bytes().to_vec() })
}

const HEAD: &str = "head";
const LOCK: &str = "lock";
const NEXT: &str = "head.next";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ed25519Signer;
    use crate::hash::empty_root;

    fn signed(size: u64, root: Hash, time: u64) -> SignedHead {
        let signer = Ed25519Signer::from_seed("example.org/log", &[1; 32]).unwrap();
        let note = Checkpoint::new("example.org/log", size, root).unwrap().sign(&[&signer], time).unwrap();
        SignedHead { size, root, time, note: note.to_string().into_bytes() }
    }

    #[test]
    fn a_file_head_swaps_locks_and_survives_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let (one, two) = (signed(0, empty_root(), 7), signed(3, sha256(&[b"three"]), 8));
        let head = FileHead::open(&path).unwrap();
        assert_eq!(head.load().unwrap(), None);
        assert!(!head.swap(Some(&one), &two).unwrap());
        assert!(head.swap(None, &one).unwrap());
        assert!(!head.swap(None, &two).unwrap());
        assert!(matches!(FileHead::open(&path), Err(Error::Held { .. })));
        assert!(head.swap(Some(&one), &two).unwrap());
        drop(head);
        assert_eq!(FileHead::open(&path).unwrap().load().unwrap(), Some(two));
    }

    #[test]
    fn every_flipped_bit_and_every_torn_head_is_refused() {
        let bytes = encode(&signed(3, sha256(&[b"three"]), 1_790_000_000));
        assert!(decode(&bytes).is_ok());
        for position in 0..bytes.len() {
            assert!(decode(&bytes[..position]).is_err(), "torn at {position}");
            let zeroed = [&bytes[..position], &vec![0; bytes.len() - position]].concat();
            assert!(decode(&zeroed).is_err(), "zeroes from {position}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[position] ^= 1 << bit;
                assert!(decode(&flipped).is_err(), "bit {bit} of byte {position}");
            }
        }
        assert!(decode(&[bytes.as_slice(), b"\n"].concat()).is_err());
    }

    #[test]
    fn a_stale_swap_is_refused() {
        let head = MemoryHead::default();
        let one = SignedHead { size: 0, root: empty_root(), time: 7, note: b"one".to_vec() };
        let two = SignedHead { note: b"two".to_vec(), ..one.clone() };
        assert!(head.swap(None, &one).unwrap());
        assert!(!head.swap(None, &two).unwrap());
        assert!(!head.swap(Some(&two), &two).unwrap());
        assert!(head.swap(Some(&one), &two).unwrap());
        assert_eq!(head.load().unwrap(), Some(two));
    }
}
