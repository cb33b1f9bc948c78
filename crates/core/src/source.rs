//! Source: a gateway through which data of residents is used, and that counts its uses without a gap.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::Time;
use crate::id::ServiceId;

/// Where uses come from. Each source counts by itself for every mandate, from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The pass itself.
    Pass,
    /// A system of an agency that reports what it did, by the service under which it is registered.
    Service(ServiceId),
}

/// The place of one event among those of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMark {
    pub source: Source,
    /// Counts up by one with each event of the source under one mandate, from 1.
    pub number: u64,
    /// When it happened, of what is reported afterwards; else it happened when it was logged.
    pub happened_at: Option<Time>,
}

/// Why a text names no source.
#[derive(Debug, thiserror::Error)]
#[error("This names no source. Write `pass` or the id of a service.")]
pub struct NoSource;

const PASS: &str = "pass";

impl Source {
    /// The name, as in events, statements and rows.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pass => PASS,
            Self::Service(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Source {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        if text == PASS { Ok(Self::Pass) } else { text.parse().map(Self::Service).map_err(|_| NoSource) }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
