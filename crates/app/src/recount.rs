//! What an oversight body needs in order to recount a day: the copies that were sealed to its key, and what its tallies bind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use usufruct_core::event::{Event, commitment};
use usufruct_core::hash::{hex, unhex};
use usufruct_core::id::MandateId;
use usufruct_core::recount::OpenedSpan;
use usufruct_core::tally::{Day, Span};
use usufruct_store::{audit_copies, tallies};
use usufruct_vault::hpke::{self, PrivateKey};

use crate::books::COPY_INFO;
use crate::{App, Error};

/// One day of a mandate, for whoever holds the audit key. To everybody else the copies are noise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecountDay {
    pub day: String,
    /// Sealed copies of the lines, base64.
    pub copies: Vec<String>,
    /// Copies of the last lines before the day, newest first.
    pub before: Vec<String>,
    pub spans: Vec<RecountSpan>,
}

/// What a tally binds about a source, opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecountSpan {
    pub source: String,
    pub first: u64,
    pub last: u64,
    pub lines: u64,
    /// Hexadecimal; empty when it was never noted.
    pub salt: String,
}

/// A line as its copy says.
#[derive(Clone, Debug)]
pub struct OpenedCopy {
    /// Leaf number.
    pub index: u64,
    pub opening: [u8; 32],
    pub encoded: Vec<u8>,
    pub event: Event,
}

/// Copies before a day that are looked at: enough to meet every source that was at work.
const BEFORE: usize = 100;

impl App {
    /// What belongs to these days of a mandate.
    pub fn recount_days(&self, mandate: &MandateId, days: &[Day]) -> Result<Vec<RecountDay>, Error> {
        let register = self.register();
        let number = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?.number;
        let look = |day: &Day| {
            self.db.snapshot(|conn| {
                let encode = |copies: Vec<Vec<u8>>| copies.iter().map(|copy| STANDARD.encode(copy)).collect();
                let spans = tallies::spans(conn, number, day.number())?.into_iter().map(|stored| RecountSpan {
                    source: stored.source.to_string(),
                    first: stored.span.first,
                    last: stored.span.last,
                    lines: stored.span.lines,
                    salt: stored.salt.map(|salt| hex(&salt)).unwrap_or_default(),
                });
                Ok(RecountDay {
                    day: day.to_string(),
                    spans: spans.collect(),
                    copies: encode(audit_copies::of_day(conn, number, day.number())?),
                    before: encode(audit_copies::before_day(conn, number, day.number(), BEFORE)?),
                })
            })
        };
        days.iter().map(look).collect()
    }
}

impl RecountSpan {
    /// The span, if it is well-formed.
    pub fn opened(&self) -> Option<OpenedSpan> {
        Some(OpenedSpan {
            source: self.source.parse().ok()?,
            span: Span { first: self.first, last: self.last, lines: self.lines },
            salt: unhex(&self.salt)?.try_into().ok()?,
        })
    }
}

impl OpenedCopy {
    /// Opens a copy with the audit key; `None` for anything that was not sealed to it.
    pub fn open(key: &PrivateKey, copy: &str) -> Option<Self> {
        let sealed = STANDARD.decode(copy).ok()?;
        let plain = hpke::open(key, COPY_INFO, &[], &sealed).ok()?;
        let (index, rest) = plain.split_first_chunk::<8>()?;
        let (opening, encoded) = rest.split_first_chunk::<32>()?;
        Some(Self {
            index: u64::from_be_bytes(*index),
            opening: *opening,
            event: Event::decode(encoded).ok()?,
            encoded: encoded.to_vec(),
        })
    }

    /// Whether `leaf` of the log is the one of this line.
    pub fn is_in(&self, leaf: &[u8]) -> bool {
        leaf.len() == usufruct_core::event::LEAF_LEN
            && leaf[..2] == usufruct_core::event::LEAF_PREFIX
            && leaf[2..34] == commitment(&self.opening, &self.encoded)
    }
}
