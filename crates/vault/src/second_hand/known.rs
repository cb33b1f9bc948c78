//! A second keeper whose answers are held against its first one.
//!
//! When a sector begins, the house notes what the second key makes of a block that everybody knows, forwards and backwards. Every later
//! call carries that block along. A keeper that answers with another key, as that of another sector, another city or an imitation, would
//! make everybody somebody else; it is refused.
//!
//! Against a keeper that has the right key and lies about some blocks this is no help: the noted block is the same each time.

use std::sync::Arc;

use usufruct_core::hash::equal;
use zeroize::Zeroizing;

use super::wire::MOST_BLOCKS;
use super::{SecondHand, failed};
use crate::error::{Error, Result};
use crate::tree::Key;

/// The second keeper of one sector.
pub(crate) struct Second {
    hand: Arc<dyn SecondHand>,
    /// The number it knows the sector by.
    sector: u64,
    noted: Key,
}

impl Second {
    pub(crate) fn new(hand: Arc<dyn SecondHand>, sector: u64, noted: Key) -> Self {
        Self { hand, sector, noted }
    }

    /// What the keeper's key of a sector makes of the known block, to be noted: forwards, then backwards.
    pub(crate) fn look(hand: &dyn SecondHand, sector: u64) -> Result<Key> {
        let (mut forwards, mut backwards) = ([KNOWN], [KNOWN]);
        hand.permute(sector, &mut forwards)?;
        hand.reverse(sector, &mut backwards)?;
        let mut noted = Zeroizing::new([0; 32]);
        noted[..16].copy_from_slice(&forwards[0]);
        noted[16..].copy_from_slice(&backwards[0]);
        Ok(Key::from_bytes(*noted))
    }

    /// As [`SecondHand::permute`].
    pub(crate) fn permute(&self, blocks: &mut [[u8; 16]]) -> Result<()> {
        let forwards = &self.noted.bytes()[..16];
        blocks
            .chunks_mut(MOST_BLOCKS - 1)
            .try_for_each(|part| self.ask(part, forwards, |all| self.hand.permute(self.sector, all)))
    }

    /// As [`SecondHand::reverse`].
    pub(crate) fn reverse(&self, blocks: &mut [[u8; 16]]) -> Result<()> {
        let backwards = &self.noted.bytes()[16..];
        blocks
            .chunks_mut(MOST_BLOCKS - 1)
            .try_for_each(|part| self.ask(part, backwards, |all| self.hand.reverse(self.sector, all)))
    }

    /// Whether it answers now, with the right key.
    pub(crate) fn stands(&self) -> Result<()> {
        self.ask(&mut [], &self.noted.bytes()[..16], |all| self.hand.permute(self.sector, all))
    }

    fn ask(&self, part: &mut [[u8; 16]], noted: &[u8], call: impl FnOnce(&mut [[u8; 16]]) -> Result<()>) -> Result<()> {
        let mut all = Zeroizing::new(Vec::with_capacity(part.len() + 1));
        all.extend_from_slice(part);
        all.push(KNOWN);
        call(&mut all).map_err(|error| match error {
            // The house has its key of the sector, so the sector has not ended: nobody is told that its residents are unknown.
            Error::NoKey { .. } => failed("it has no key of this sector, or has destroyed it"),
            other => other,
        })?;
        let (answers, known) = all.split_at(part.len());
        if !equal(known.as_flattened(), noted) {
            return Err(failed("it answers with another key than this sector began with"));
        }
        part.copy_from_slice(answers);
        Ok(())
    }
}

/// A block that is no input of anybody, but by a chance of 1 in 2^128.
const KNOWN: [u8; 16] = *b"usufruct/second/";
