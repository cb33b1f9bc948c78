//! What an officer keeps: the private key of the present period, in a file of 4 KiB that is overwritten in place.
//!
//! ```text
//! half    "UFOFFCR1" | period u32 | name length u8 | name | private key 32 | zeros | SHA-256 of all that 32      2,048 bytes
//! ```
//! A turn writes the key of the next period into the free half and then wipes the other, so a crash leaves one key or both.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use usufruct_core::hash::{equal, sha256};
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::sealed::Reader;
use super::{HandedShare, Sealed};
use crate::error::{Error, Result};
use crate::halves::Halves;
use crate::hpke::{PrivateKey, PublicKey};
use crate::roots::Disk;

/// An officer's folder, held open and locked against other processes. It has no `Debug`.
pub struct OfficerFile {
    folder: PathBuf,
    file: Halves<HALF>,
    /// By half.
    held: [Option<Held>; 2],
}

struct Held {
    period: u32,
    name: String,
    key: PrivateKey,
}

impl OfficerFile {
    /// Makes the folder and the key of a period. The file comes into being whole or not at all.
    pub fn create(folder: &Path, name: &str, period: u32, disk: Disk, rng: &dyn Rng) -> Result<Self> {
        if name.is_empty() || name.len() > 255 {
            return Err(Error::Escrow { what: "the name of an officer has 1 to 255 bytes" });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        if std::fs::exists(folder.join(NAME)).map_err(Error::io("look into its folder"))? {
            return Err(Error::FolderTaken);
        }
        let held = Held { period, name: name.to_owned(), key: PrivateKey::random(rng) };
        Halves::create(folder, NAME, 0, &encode(&held), disk, "make the key of the officer")?;
        Self::open(folder, disk)
    }

    /// Opens the folder.
    pub fn open(folder: &Path, disk: Disk) -> Result<Self> {
        let file = Halves::open(&folder.join(NAME), disk, "open the key of the officer")?;
        let halves = file.read().map_err(Error::io("read the key of the officer"))?;
        let held = halves.each_ref().map(|half| decode(half));
        if held.iter().all(Option::is_none) {
            return Err(Error::Escrow { what: "there is no key in the folder of the officer" });
        }
        Ok(Self { folder: folder.to_owned(), file, held })
    }

    pub fn name(&self) -> &str {
        &self.present().1.name
    }

    /// The period of the newest key.
    pub fn period(&self) -> u32 {
        self.present().1.period
    }

    /// The public half of the newest key.
    pub fn public(&self) -> PublicKey {
        self.present().1.key.public()
    }

    /// Whether a turn was begun and the key of the period before is still there.
    pub fn is_between(&self) -> bool {
        self.held.iter().all(Option::is_some)
    }

    /// Makes the key of a later period, at most 12 on, and destroys the present one: it is overwritten, and that is read back.
    pub fn turn(&mut self, period: u32, rng: &dyn Rng) -> Result<()> {
        if self.is_between() {
            self.finish_turn()?;
        }
        let (half, present) = self.present();
        if period <= present.period {
            return Err(Error::Escrow { what: "a key is turned to a later period only" });
        }
        // No key comes back from a slip of the hand.
        if period - present.period > LEAP {
            return Err(Error::Escrow { what: "a key is turned by at most 12 periods at once" });
        }
        let next = Held { period, name: present.name.clone(), key: PrivateKey::random(rng) };
        self.file.write(1 - half, &encode(&next)).map_err(Error::io("write the key of the officer"))?;
        self.held[1 - half] = Some(next);
        self.finish_turn()
    }

    /// Destroys the older of two keys, after a turn that was interrupted.
    pub fn finish_turn(&mut self) -> Result<()> {
        let (half, _) = self.present();
        self.wipe(1 - half)?;
        self.held[1 - half] = None;
        Ok(())
    }

    /// Opens the share that is sealed to one of the officer's keys, and seals it to `to`, where the root is recovered.
    pub fn hand_over(&self, sealed: &Sealed, to: &PublicKey, rng: &dyn Rng) -> Result<HandedShare> {
        let has = |held: &&Held| sealed.keys().any(|key| *key == held.key.public());
        let held = self.held.iter().flatten().find(has);
        let held = held.ok_or(Error::Escrow { what: "no share in it is sealed to the key of this officer" })?;
        Ok(HandedShare::seal(sealed, &sealed.open(&held.key)?, to, rng))
    }

    /// The newest private key.
    pub(super) fn key(&self) -> &PrivateKey {
        &self.present().1.key
    }

    /// Destroys every key and removes the folder.
    pub fn destroy(self) -> Result<()> {
        (0..2).try_for_each(|half| self.wipe(half))?;
        let remove = || {
            std::fs::remove_file(self.folder.join(NAME))?;
            std::fs::remove_dir(&self.folder)
        };
        remove().map_err(Error::io("remove the folder of the key"))
    }

    /// The newest key and its half.
    fn present(&self) -> (usize, &Held) {
        let held = self.held.iter().enumerate().filter_map(|(half, held)| Some((half, held.as_ref()?)));
        // INVARIANT: one of the halves holds a key from the opening on.
        held.max_by_key(|(_, held)| held.period).expect("one half holds a key")
    }

    fn wipe(&self, half: usize) -> Result<()> {
        self.file.wipe(half).map_err(Error::io("overwrite the key of the officer"))
    }
}

fn encode(held: &Held) -> Zeroizing<[u8; HALF]> {
    let mut half = Zeroizing::new([0; HALF]);
    let key_at = 13 + held.name.len();
    half[..8].copy_from_slice(MAGIC);
    half[8..12].copy_from_slice(&held.period.to_be_bytes());
    half[12] = held.name.len() as u8;
    half[13..key_at].copy_from_slice(held.name.as_bytes());
    half[key_at..key_at + 32].copy_from_slice(held.key.bytes());
    let sum = sha256(&half[..HALF - 32]);
    half[HALF - 32..].copy_from_slice(&sum.0);
    half
}

/// `None` for what is wiped or torn.
fn decode(half: &[u8]) -> Option<Held> {
    let (content, sum) = half.split_last_chunk::<32>()?;
    let mut rest = Reader(content);
    if rest.take(8).ok()? != MAGIC || !equal(sum, &sha256(content).0) {
        return None;
    }
    let period = u32::from_be_bytes(rest.array().ok()?);
    let [name_len] = rest.array().ok()?;
    let name = String::from_utf8(rest.take(name_len.into()).ok()?.to_vec()).ok()?;
    let key = Zeroizing::new(rest.array::<32>().ok()?);
    Some(Held { period, name, key: PrivateKey::from_bytes(*key) })
}

const NAME: &str = "key";
const MAGIC: &[u8; 8] = b"UFOFFCR1";
/// Length of one half.
/// A key is turned by so many periods at most.
pub(super) const LEAP: u32 = 12;
const HALF: usize = 2_048;
