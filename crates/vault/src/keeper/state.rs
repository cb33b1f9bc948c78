//! What a keeper must never forget, and what it must: a file of 4 KiB with two shares that are overwritten in place, and a
//! counter that only grows.
//!
//! ```text
//! half    "UFSHARE1" | epoch u64 | x u8 | zeros 7 | check 32 | share 32 | SHA-256 of all that     zeros when it is wiped
//! ```
//! The share that was signed for stands in one half and is never overwritten but by an order; every other one comes into the other half.
//! The counter is a file of its own, replaced whole: `<epoch>`, or `<epoch> signed <check>` where the city has ordered that of this epoch
//! the root with this commitment counts.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use usufruct_core::Digest;
use usufruct_core::hash::{equal, hex, sha256, unhex};
use zeroize::Zeroizing;

use super::Share;
use crate::error::{Error, Result};
use crate::halves::Halves;
use crate::roots::Disk;
use crate::tree::Epoch;

/// A share and what it belongs to.
pub struct Held {
    pub epoch: Epoch,
    pub share: Share,
    /// Commitment to the root.
    pub check: Digest,
}

/// The state of a keeper in a folder, held open and locked against other processes.
pub struct KeeperFile {
    folder: PathBuf,
    file: Halves<HALF>,
    /// Each in a place of its own, so that no copy of a share stays where this struct was moved from.
    held: [Option<Box<Held>>; 2],
    counter: Epoch,
    /// The root of the epoch of the counter that the city has ordered to keep.
    signed: Option<Digest>,
}

impl KeeperFile {
    /// Opens the state in `folder`; makes it if it is not there.
    pub fn open(folder: &Path, disk: Disk) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        let file = Halves::<HALF>::open_or_touch(&folder.join(SHARES), disk, "open the shares")?;
        let io = || Error::io("read the shares");
        if file.len().map_err(io())? == 0 {
            file.clear(folder).map_err(Error::io("make the shares"))?;
        }
        let mut held = [None, None];
        for (half, bytes) in file.read().map_err(io())?.iter().enumerate() {
            // What does not read is what a crash tore, and belongs to no root.
            held[half] = decode(bytes).map(Box::new);
        }
        let (counter, signed) = read_counter(&folder.join(COUNTER))?;
        Ok(Self { folder: folder.to_owned(), file, held, counter, signed })
    }

    pub(super) fn counter(&self) -> Epoch {
        self.counter
    }

    /// The commitment to the root that was signed for at the epoch of the counter; `None` where other keepers alone raised it, or none was.
    pub(super) fn signed(&self) -> Option<Digest> {
        self.signed
    }

    /// The share of an epoch.
    pub(super) fn of(&self, epoch: Epoch) -> Option<&Held> {
        self.held.iter().flatten().map(|held| &**held).find(|held| held.epoch == epoch)
    }

    /// The epoch whose share a new one of `epoch` would overwrite; `None` if it is none or the same epoch.
    pub(super) fn overwritten_by(&self, epoch: Epoch) -> Option<Epoch> {
        self.held[self.half_for(epoch)].as_ref().map(|held| held.epoch).filter(|held| *held != epoch)
    }

    /// The shares there are, by epoch.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        let mut held: Vec<&Held> = self.held.iter().flatten().map(|held| &**held).collect();
        held.sort_by_key(|held| held.epoch);
        held.into_iter()
    }

    /// Keeps a share, durable when it returns.
    pub(super) fn put(&mut self, held: Held) -> Result<()> {
        let half = self.half_for(held.epoch);
        self.file.write(half, &encode(&held)).map_err(Error::io("write its shares"))?;
        self.held[half] = Some(Box::new(held));
        Ok(())
    }

    /// Where a share of `epoch` comes: never into the half of the one that was signed for.
    fn half_for(&self, epoch: Epoch) -> usize {
        let epochs = self.held.each_ref().map(|held| held.as_ref().map(|held| held.epoch));
        let place = |wanted: Option<Epoch>| epochs.iter().position(|held| *held == wanted);
        let signed = self.signed.and_then(|_| place(Some(self.counter)));
        let beside = || signed.map(|half| 1 - half);
        // Where none was signed for, the older one is the one that can be spared.
        place(Some(epoch)).or_else(beside).or_else(|| place(None)).unwrap_or(usize::from(epochs[1] < epochs[0]))
    }

    /// Overwrites every share of an epoch that does not stay, and then raises the counter, with what was `signed` for at it; both durable
    /// when it returns.
    pub(super) fn keep(&mut self, stays: impl Fn(Epoch) -> bool, epoch: Epoch, signed: Option<Digest>) -> Result<()> {
        for half in 0..2 {
            if self.held[half].as_ref().is_none_or(|held| !stays(held.epoch)) {
                self.file.wipe(half).map_err(Error::io("overwrite its shares"))?;
                self.held[half] = None;
            }
        }
        if epoch > self.counter || (epoch == self.counter && signed.is_some() && signed != self.signed) {
            write_counter(&self.folder, epoch, signed).map_err(Error::io("raise its counter"))?;
            (self.counter, self.signed) = (epoch, signed);
        }
        Ok(())
    }
}

fn encode(held: &Held) -> Zeroizing<[u8; HALF]> {
    let mut half = Zeroizing::new([0; HALF]);
    half[..8].copy_from_slice(MAGIC);
    half[8..16].copy_from_slice(&held.epoch.0.to_be_bytes());
    half[16] = held.share.x;
    half[24..56].copy_from_slice(&held.check.0);
    half[56..88].copy_from_slice(&held.share.y);
    let sum = sha256(&half[..88]);
    half[88..120].copy_from_slice(&sum.0);
    half
}

fn decode(half: &[u8]) -> Option<Held> {
    if half[..8] != *MAGIC || !equal(&half[88..120], &sha256(&half[..88]).0) {
        return None;
    }
    Some(Held {
        epoch: Epoch(u64::from_be_bytes(half[8..16].try_into().ok()?)),
        share: Share { x: half[16], y: half[56..88].try_into().ok()? },
        check: Digest(half[24..56].try_into().ok()?),
    })
}

fn read_counter(path: &Path) -> Result<(Epoch, Option<Digest>)> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_counter(&text).ok_or(Error::Damaged { what: "the counter of the keeper is no number" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Epoch(0), None)),
        Err(source) => Err(Error::Io { action: "read its counter", source }),
    }
}

fn parse_counter(text: &str) -> Option<(Epoch, Option<Digest>)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let epoch = Epoch(words.first()?.parse().ok()?);
    match words[1..] {
        [] => Some((epoch, None)),
        ["signed", check] => Some((epoch, Some(Digest(unhex(check)?.try_into().ok()?)))),
        _ => None,
    }
}

fn write_counter(folder: &Path, epoch: Epoch, signed: Option<Digest>) -> io::Result<()> {
    use std::io::Write as _;
    let fresh = folder.join("counter.new");
    let mut file = File::create(&fresh)?;
    match signed {
        Some(check) => writeln!(file, "{} signed {}", epoch.0, hex(&check.0))?,
        None => writeln!(file, "{}", epoch.0)?,
    }
    file.sync_all()?;
    std::fs::rename(&fresh, folder.join(COUNTER))?;
    File::open(folder)?.sync_all()
}

const SHARES: &str = "shares";
const COUNTER: &str = "counter";
const MAGIC: &[u8; 8] = b"UFSHARE1";
/// Length of one half.
const HALF: usize = 2048;
