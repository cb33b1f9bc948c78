//! What can go wrong, in two sentences each: what happened, and what to do.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A witness says that it has seen more of this log than there is, and does not show it.
    #[error(
        "{witness} says that it has cosigned {size} leaves of this log, but the head has {head}. Find out whether this log was rolled back before it signs anything."
    )]
    Ahead {
        /// The address of the witness.
        witness: String,
        /// The size it says it has cosigned.
        size: u64,
        /// The size of the head.
        head: u64,
    },

    /// The clock shows less than at the last signature.
    #[error(
        "The clock shows {now}, but the last checkpoint was signed at {last} (seconds since 1970). Set the clock right, then start again."
    )]
    ClockBack {
        /// When the last checkpoint was signed, in seconds since 1970 UTC.
        last: u64,
        /// What the clock shows.
        now: u64,
    },

    /// An immutable object was to be written with other bytes than it already has.
    #[error(
        "The object {path} is already stored with other bytes. Find out which of the two is right before anything is published."
    )]
    Conflict {
        /// The object.
        path: String,
    },

    /// Two parts of the log disagree, so nothing may be signed.
    #[error("The {one} and the {other} contradict each other: {detail}. Nothing will be signed until {remedy}.", remedy = remedy(*.one, *.other))]
    Contradiction {
        /// The part that was taken as given.
        one: Part,
        /// The part that disagrees with it.
        other: Part,
        /// Where they disagree.
        detail: String,
    },

    /// The state of a witness is not what it wrote.
    #[error(
        "{path} is damaged: {why}. Put back this very file if it is anywhere; an older one would let this witness sign a second history, so without it its keys have to be retired."
    )]
    Damaged {
        /// The file, or the state of a log.
        path: String,
        /// What is wrong.
        why: String,
    },

    /// Durability is no longer certain: after a failed fsync, what was read back may not be on the disk.
    #[error(
        "The disk did not confirm {path}: {source}. Stop this process, check the disk, and start again so that everything is read anew."
    )]
    Fatal {
        /// What was being made durable.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },

    /// A leaf did not have the next index.
    #[error("The leaf {found} came where leaf {expected} was due. Hand over the leaves in order and without gaps.")]
    Gap {
        /// The index that was due.
        expected: u64,
        /// The index that came.
        found: u64,
    },

    /// Another process works on the same folder.
    #[error("Another process holds {path}. Stop it first, or choose another folder.")]
    Held {
        /// The folder.
        path: String,
    },

    /// Reading or writing failed; nothing is known to be damaged.
    #[error("{path} could not be read or written: {source}. Check the storage and try again.")]
    Io {
        /// The object or folder.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },

    /// A text or byte string does not have the form that its specification asks for.
    #[error("The {what} is malformed: {why}. Fetch it again, or tell the operator of the log.")]
    Malformed {
        /// Which format.
        what: &'static str,
        /// Where it departs from the format.
        why: String,
    },

    /// An object that the log must have is not there.
    #[error("The object {path} is missing. Fetch it again later, or rebuild the tiles from the leaves.")]
    Missing {
        /// The object.
        path: String,
    },

    /// Another writer has moved the head in the meantime.
    #[error("Another writer has moved the head of this log. Stop this one and see that only one publisher runs.")]
    Moved,

    /// A collaborator outside this crate (database, network) failed.
    #[error("{what} failed: {source}. Try again once it works.")]
    Outside {
        /// Which collaborator.
        what: &'static str,
        /// Its own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A proof does not lead to the root.
    #[error("The proof does not hold: {why}. Do not rely on the statement it was meant to prove.")]
    Proof {
        /// Why it does not.
        why: &'static str,
    },

    /// An earlier failure left the publisher without a certain state.
    #[error("The publisher stopped after an earlier failure. Reload it before publishing again.")]
    Stopped,

    /// More than a limit allows.
    #[error("The {what} is larger than {limit}. Make it smaller, or refuse it.")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in the unit of the thing.
        limit: usize,
    },

    /// No signature of a known key is there.
    #[error("The note carries no signature by a known key. Check which key you trust, or fetch the note again.")]
    Unsigned,

    /// Too few witnesses have signed.
    #[error(
        "The checkpoint lacks cosignatures that the policy asks for. Fetch it again later, or ask the operator which witnesses are late."
    )]
    Unwitnessed,

    /// A signature of a known key is wrong.
    #[error("The signature by {name} is wrong. Do not use this note, and keep a copy of it.")]
    WrongSignature {
        /// The name of the key.
        name: String,
    },
}

/// The parts of a log that have to agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The public `checkpoint` object.
    Checkpoint,
    /// The signed head in the lock store.
    Head,
    /// The entries: in the bundles, or in the database they came from.
    Leaves,
    /// The hash tiles.
    Tiles,
    /// What a witness has seen.
    Witness,
}

impl Error {
    pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { what, why: why.into() }
    }

    pub(crate) fn contradiction(one: Part, other: Part, detail: impl Into<String>) -> Self {
        Self::Contradiction { one, other, detail: detail.into() }
    }

    /// Wraps the error of a collaborator, for implementations of the traits of this crate.
    pub fn outside(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Outside { what, source: source.into() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkpoint => "public checkpoint",
            Self::Head => "head",
            Self::Leaves => "leaves",
            Self::Tiles => "tiles",
            Self::Witness => "witness",
        })
    }
}

fn remedy(one: Part, other: Part) -> &'static str {
    match (one, other) {
        (_, Part::Tiles) | (Part::Tiles, _) => "the tiles are rebuilt from the leaves",
        (_, Part::Leaves) | (Part::Leaves, _) => "the lost or altered leaves are restored from a copy",
        _ => "it is known which of the two was rolled back",
    }
}
