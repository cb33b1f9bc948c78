//! The second of two keepers of a sector: pseudonyms go through the house's key and then through one that somebody else holds.
//!
//! ```text
//! P = AES-256(K_2, AES-256(K_1, seed | generation))        K_1 in the house's tree, K_2 with the second keeper
//! ```
//!
//! The house alone gets as far as the block between, which is no pseudonym and leads to none; the keeper alone sees that block and
//! the pseudonym, and no seed. If either destroys its key, the sector's pseudonyms are noise to both.

mod file;
mod known;
mod wire;

use std::sync::Arc;

use crate::error::{Error, Result};

pub use file::SectorKeys;
pub(crate) use known::Second;
pub use wire::{Call, Remote, serve};

/// Whoever holds the second key of sectors. Every call blocks, with a limit of its own in time, and may be repeated.
pub trait SecondHand: Send + Sync {
    /// Makes the key of a sector, unless there is one. Refused where one was destroyed: what ended stays ended.
    fn create(&self, sector: u64) -> Result<()>;

    /// Puts each block in the place that the sector's key gives it, in order.
    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()>;

    /// The other way round from [`SecondHand::permute`].
    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()>;

    /// Destroys the key of a sector. When it returns, nobody can have it any more. A sector without a key is no mistake.
    fn destroy(&self, sector: u64) -> Result<()>;
}

/// A second keeper did not do what it must. It may do so later.
fn failed(why: &str) -> Error {
    Error::Keeper { name: "of pseudonyms".to_owned(), why: why.to_owned() }
}

/// It has not been there since the sector began, so there is nothing to hold its answers against.
pub(crate) fn unknown() -> Error {
    failed("it has not answered since this sector began")
}

impl<H: SecondHand + ?Sized> SecondHand for Arc<H> {
    fn create(&self, sector: u64) -> Result<()> {
        (**self).create(sector)
    }

    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        (**self).permute(sector, blocks)
    }

    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        (**self).reverse(sector, blocks)
    }

    fn destroy(&self, sector: u64) -> Result<()> {
        (**self).destroy(sector)
    }
}
