//! The keys of a second keeper: a folder with one file for each sector, overwritten in place when its key is destroyed.
//!
//! ```text
//! sector-N    "UFSECTOR" | N u64 | key 32 | SHA-256 of all that | zeros to 512        all zeros when it is destroyed
//! ```
//! A file comes into being whole, by its name. So what is neither whole nor zeros is a destruction that a crash tore, and is
//! finished at the start. Files of zeros stay: what was destroyed is not made again.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use usufruct_core::hash::{equal, sha256};
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::SecondHand;
use crate::disk::{Disk, open_in_place};
use crate::error::{Error, Result};
use crate::pseudonym::Permutation;
use crate::tree::Key;

/// The sector keys of one house with its second keeper, held open and locked against other processes.
pub struct SectorKeys {
    folder: PathBuf,
    disk: Disk,
    rng: Arc<dyn Rng>,
    sectors: RwLock<HashMap<u64, Standing>>,
    _lock: File,
}

/// Where the key of a sector stands.
enum Standing {
    // In a box, so that a growing map leaves no copies of keys behind.
    Live(Box<Permutation>),
    Destroyed,
}

impl SectorKeys {
    /// Opens the keys in `folder`, which is made if it is not there, and finishes destructions that a crash interrupted.
    pub fn open(folder: &Path, disk: Disk, rng: Arc<dyn Rng>) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        let options = &mut OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let lock = open_in_place(&folder.join("lock"), options, disk, "open the lock of the sector keys")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(source)) => return Err(Error::Io { action: "lock the sector keys", source }),
        }
        let keys = Self { folder: folder.to_owned(), disk, rng, sectors: RwLock::default(), _lock: lock };
        let list = || {
            let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect::<io::Result<Vec<String>>>()
        };
        for name in list().map_err(Error::io("list the sector keys"))? {
            let Some(sector) = name.strip_prefix(PREFIX).and_then(|number| number.parse().ok()) else { continue };
            let standing = keys.read(sector)?;
            keys.sectors.write().unwrap_or_else(PoisonError::into_inner).insert(sector, standing);
        }
        Ok(keys)
    }

    fn read(&self, sector: u64) -> Result<Standing> {
        let mut bytes = Zeroizing::new([0; LEN]);
        let file = open_in_place(&self.path(sector), OpenOptions::new().read(true), self.disk, "open a sector key")?;
        match file.read_exact_at(&mut *bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::Damaged { what: "a sector key does not have 512 bytes" });
            }
            Err(source) => return Err(Error::Io { action: "read a sector key", source }),
        }
        match decode(sector, &bytes) {
            Some(key) => Ok(Standing::Live(Box::new(Permutation::new(&key)))),
            None => self.wipe(sector).map(|()| Standing::Destroyed),
        }
    }

    fn write(&self, sector: u64, key: &Key) -> Result<()> {
        let draft = self.folder.join("draft");
        let options = &mut OpenOptions::new();
        let file = open_in_place(&draft, options.write(true).create(true).truncate(true), self.disk, "write a sector key")?;
        let write = || {
            file.write_all_at(&*encode(sector, key), 0)?;
            file.sync_all()?;
            std::fs::rename(&draft, self.path(sector))?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(Error::io("write a sector key"))
    }

    /// Overwrites a key where it stands, and sees that it is gone.
    fn wipe(&self, sector: u64) -> Result<()> {
        let options = &mut OpenOptions::new();
        let file = open_in_place(&self.path(sector), options.read(true).write(true), self.disk, "overwrite a sector key")?;
        let wipe = || {
            file.write_all_at(&[0; LEN], 0)?;
            file.sync_data()?;
            let mut back = Zeroizing::new([1; LEN]);
            file.read_exact_at(&mut *back, 0)?;
            if back.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(io::Error::other("the key is still there")) }
        };
        wipe().map_err(Error::io("overwrite a sector key"))
    }

    fn path(&self, sector: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{sector}"))
    }

    fn with(&self, sector: u64, work: impl FnOnce(&Permutation)) -> Result<()> {
        match self.sectors.read().unwrap_or_else(PoisonError::into_inner).get(&sector) {
            Some(Standing::Live(permutation)) => {
                work(permutation);
                Ok(())
            }
            Some(Standing::Destroyed) | None => Err(Error::NoKey { noun: "sector" }),
        }
    }
}

impl SecondHand for SectorKeys {
    fn create(&self, sector: u64) -> Result<()> {
        let mut sectors = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
        match sectors.get(&sector) {
            Some(Standing::Live(_)) => Ok(()),
            Some(Standing::Destroyed) => Err(Error::NoKey { noun: "sector" }),
            None => {
                let key = Key::random(self.rng.as_ref());
                self.write(sector, &key)?;
                sectors.insert(sector, Standing::Live(Box::new(Permutation::new(&key))));
                Ok(())
            }
        }
    }

    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        self.with(sector, |permutation| permutation.permute(blocks))
    }

    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        self.with(sector, |permutation| permutation.reverse(blocks))
    }

    fn destroy(&self, sector: u64) -> Result<()> {
        let mut sectors = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
        match sectors.get(&sector) {
            Some(Standing::Live(_)) => {
                // It permutes nothing any more, even if the disk says no.
                sectors.insert(sector, Standing::Destroyed);
                self.wipe(sector)
            }
            Some(Standing::Destroyed) => self.wipe(sector),
            None => Ok(()),
        }
    }
}

fn encode(sector: u64, key: &Key) -> Zeroizing<[u8; LEN]> {
    let mut bytes = Zeroizing::new([0; LEN]);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&sector.to_be_bytes());
    bytes[16..48].copy_from_slice(key.bytes());
    let sum = sha256(&bytes[..48]);
    bytes[48..80].copy_from_slice(&sum.0);
    bytes
}

fn decode(sector: u64, bytes: &[u8; LEN]) -> Option<Key> {
    let is_whole = bytes[..8] == *MAGIC && bytes[8..16] == sector.to_be_bytes() && equal(&bytes[48..80], &sha256(&bytes[..48]).0);
    is_whole.then(|| Key::from_slice(&bytes[16..48])).flatten()
}

const PREFIX: &str = "sector-";
const MAGIC: &[u8; 8] = b"UFSECTOR";
/// Length of a file.
const LEN: usize = 512;
