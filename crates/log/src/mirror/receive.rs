//! An upload as it comes in: each package is proven and stored before the next one is read.

use super::Mirror;
use super::copy::Copy;
use super::package::{Header, Package};
use crate::error::Result;
use crate::objects::Objects;
use crate::tile::FULL;
use crate::witness::{Answer, WitnessState};

/// An upload on its way. Feed it the body as it comes, then ask for the answer.
pub struct Upload<'a, O, S> {
    mirror: &'a Mirror<O, S>,
    buffer: Vec<u8>,
    stage: Stage<'a, O>,
}

enum Stage<'a, O> {
    Header,
    Packages {
        copy: &'a Copy<O>,
        /// The size of the pending checkpoint.
        size: u64,
        at: u64,
        is_begun: bool,
    },
    Answered(Answer),
}

impl<'a, O: Objects, S: WitnessState> Upload<'a, O, S> {
    pub(super) fn new(mirror: &'a Mirror<O, S>) -> Self {
        Self { mirror, buffer: Vec::new(), stage: Stage::Header }
    }

    /// Takes the next part of the body. `false`: the answer is ready, and more need not be sent.
    pub fn feed(&mut self, part: &[u8]) -> Result<bool> {
        self.buffer.extend_from_slice(part);
        let mut used = 0;
        let goes_on = loop {
            match self.step(used)? {
                Some((length, stage)) => {
                    used += length;
                    self.stage = stage;
                }
                None => break !self.is_ready(),
            }
        };
        self.buffer.drain(..used);
        Ok(goes_on)
    }

    /// The answer, once the body has ended or [`Upload::feed`] has said that it is ready. Signs at `now`, in seconds since
    /// 1970 UTC.
    pub fn finish(self, now: u64) -> Result<Answer> {
        match self.stage {
            Stage::Answered(answer) => Ok(answer),
            Stage::Header => Ok(plain(400, "The request ends within its header.\n")),
            Stage::Packages { copy, size, at, .. } if at >= size => copy.commit(size, &self.mirror.cosigners, now),
            Stage::Packages { is_begun: false, .. } => Ok(plain(400, "The request ends within its first package.\n")),
            Stage::Packages { copy, size, .. } => Ok(copy.accepted(size)),
        }
    }

    fn is_ready(&self) -> bool {
        match &self.stage {
            Stage::Header => false,
            Stage::Packages { size, at, .. } => at >= size,
            Stage::Answered(_) => true,
        }
    }

    /// Reads the header or a package at this place of the buffer, and answers its length and what comes after it; `None` if
    /// there is not enough of it yet, or nothing more is wanted.
    fn step(&self, from: usize) -> Result<Option<(usize, Stage<'a, O>)>> {
        let bytes = self.buffer.get(from..).unwrap_or_default();
        match &self.stage {
            _ if self.is_ready() => Ok(None),
            Stage::Header => match Header::read(bytes) {
                Ok(header) => Ok(header.map(|(header, used)| (used, self.begin(&header)))),
                Err(_) => Ok(Some((0, Stage::Answered(plain(400, "The request is not what tlog-mirror describes.\n"))))),
            },
            Stage::Packages { copy, size, at, is_begun } => {
                let end = (*size).min((at / u64::from(FULL) + 1) * u64::from(FULL));
                match Package::read(bytes, (end - at) as usize) {
                    Ok(None) => Ok(None),
                    Ok(Some((package, used))) => {
                        let answer = copy.take(*size, *at, end, &package)?;
                        let next = Stage::Packages { copy, size: *size, at: end, is_begun: true };
                        Ok(Some((used, answer.map_or(next, Stage::Answered))))
                    }
                    // What came before it is kept, and the next request will begin with it.
                    Err(_) if *is_begun => Ok(Some((0, Stage::Answered(copy.accepted(*size))))),
                    Err(_) => Ok(Some((0, Stage::Answered(plain(400, "A package is not what tlog-mirror describes.\n"))))),
                }
            }
            Stage::Answered(_) => Ok(None),
        }
    }

    fn begin(&self, header: &Header) -> Stage<'a, O> {
        let Some(copy) = self.mirror.copies.get(&header.origin) else {
            return Stage::Answered(plain(404, "This mirror does not know the log.\n"));
        };
        if header.start > header.end {
            return Stage::Answered(plain(400, "The upload ends before it starts.\n"));
        }
        let packages = Stage::Packages { copy, size: header.end, at: header.start, is_begun: false };
        copy.refuses(header).map_or(packages, Stage::Answered)
    }
}

pub(super) fn plain(status: u16, why: &str) -> Answer {
    Answer { status, content_type: PLAIN, body: why.as_bytes().to_vec() }
}

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
