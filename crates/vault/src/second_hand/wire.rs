//! A second keeper at the other end of a wire: what is asked and answered, as bytes. Who asks, and over which wire, is settled before.
//!
//! ```text
//! request    act u8 | length of the name u8 | name of the key tree | sector u64 | blocks of 16 bytes, at most 10,000
//! act        1 create    2 permute    3 reverse    4 destroy; only 2 and 3 have blocks
//! answer     as many blocks
//! ```

use std::sync::Arc;

use super::{SecondHand, failed};
use crate::error::{Error, Result};

/// One call: the bytes of a request go out, those of the answer come back.
pub trait Call: Send + Sync {
    fn call(&self, request: &[u8]) -> Result<Vec<u8>>;
}

impl<C: Call + ?Sized> Call for Arc<C> {
    fn call(&self, request: &[u8]) -> Result<Vec<u8>> {
        (**self).call(request)
    }
}

/// The house's side.
pub struct Remote<C> {
    vault: String,
    call: C,
}

impl<C: Call> Remote<C> {
    /// A second keeper that is reached by `call`, for the key tree `vault` (at most 255 bytes).
    pub fn new(vault: &str, call: C) -> Result<Self> {
        let is_short = u8::try_from(vault.len()).is_ok();
        if is_short { Ok(Self { vault: vault.to_owned(), call }) } else { Err(malformed()) }
    }

    fn ask(&self, act: u8, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        let mut request = Vec::with_capacity(10 + self.vault.len() + 16 * blocks.len());
        request.push(act);
        // INVARIANT: the length was checked when this was made.
        request.push(u8::try_from(self.vault.len()).expect("the name is short"));
        request.extend_from_slice(self.vault.as_bytes());
        request.extend_from_slice(&sector.to_be_bytes());
        request.extend_from_slice(blocks.as_flattened());
        let answer = self.call.call(&request)?;
        if answer.len() != 16 * blocks.len() {
            return Err(failed("its answer is not as long as the question"));
        }
        blocks.as_flattened_mut().copy_from_slice(&answer);
        Ok(())
    }
}

impl<C: Call> SecondHand for Remote<C> {
    fn create(&self, sector: u64) -> Result<()> {
        self.ask(CREATE, sector, &mut [])
    }

    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        blocks.chunks_mut(MOST_BLOCKS).try_for_each(|part| self.ask(PERMUTE, sector, part))
    }

    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        blocks.chunks_mut(MOST_BLOCKS).try_for_each(|part| self.ask(REVERSE, sector, part))
    }

    fn destroy(&self, sector: u64) -> Result<()> {
        self.ask(DESTROY, sector, &mut [])
    }
}

/// The keeper's side: does what a request asks with the keys of the key tree `vault`, and answers the bytes to send back.
pub fn serve(hand: &dyn SecondHand, vault: &str, request: &[u8]) -> Result<Vec<u8>> {
    let Request { act, name, sector, blocks } = Request::read(request).ok_or_else(malformed)?;
    if name != vault.as_bytes() {
        return Err(Error::Keeper { name: vault.to_owned(), why: "it keeps the sectors of another key tree".to_owned() });
    }
    let mut blocks = blocks.to_vec();
    match act {
        CREATE if blocks.is_empty() => hand.create(sector)?,
        PERMUTE => hand.permute(sector, &mut blocks)?,
        REVERSE => hand.reverse(sector, &mut blocks)?,
        DESTROY if blocks.is_empty() => hand.destroy(sector)?,
        _ => return Err(malformed()),
    }
    Ok(blocks.into_flattened())
}

struct Request<'a> {
    act: u8,
    /// Of the key tree.
    name: &'a [u8],
    sector: u64,
    blocks: &'a [[u8; 16]],
}

impl<'a> Request<'a> {
    fn read(request: &'a [u8]) -> Option<Self> {
        let ([act, len], rest) = request.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        let (sector, rest) = rest.split_first_chunk()?;
        let (blocks, odd) = rest.as_chunks();
        let request = Self { act: *act, name, sector: u64::from_be_bytes(*sector), blocks };
        (odd.is_empty() && blocks.len() <= MOST_BLOCKS).then_some(request)
    }
}

fn malformed() -> Error {
    Error::Malformed { what: "what went over the wire to the second keeper of a sector" }
}

const CREATE: u8 = 1;
const PERMUTE: u8 = 2;
const REVERSE: u8 = 3;
const DESTROY: u8 = 4;
/// Blocks of one request.
pub(super) const MOST_BLOCKS: usize = 10_000;
