//! What can be wrong with a footprint. Codes and words are those of the verifier in the browser (`verifier/reasons.js`).

use std::fmt;

use serde::Serialize;
use usufruct_app::log;

use crate::monitor::outlet::plain;
use crate::public_log::is_outside;

/// How a check came out, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Verified,
    Pending,
    Broken,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    Anchor,
    Chain,
    Checkpoint,
    Duplicate,
    Forked,
    Gap,
    Hidden,
    Index,
    Malformed,
    Matter,
    Newer,
    Note,
    Number,
    Overdue,
    Policy,
    Quorum,
    Rewound,
    Shown,
    Signature,
    Tile,
    Unlogged,
    Unopened,
    Unpublished,
    Unreachable,
    Unsearched,
    Vkey,
    Weeks,
    Withheld,
}

/// A code with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub code: Code,
    details: Vec<(&'static str, String)>,
}

/// A verdict without details.
pub fn say(code: Code) -> Verdict {
    Verdict { code, details: Vec::new() }
}

/// What an error in reading the log means.
pub fn of(error: &log::Error) -> Verdict {
    match error {
        error if is_outside(error) => say(Code::Unreachable),
        log::Error::Unsigned | log::Error::WrongSignature { .. } => say(Code::Signature),
        log::Error::Malformed { what: "note", .. } => say(Code::Note),
        log::Error::Malformed { what: "checkpoint", .. } => say(Code::Checkpoint),
        error => say(Code::Tile).with("why", error.to_string()),
    }
}

impl Verdict {
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.details.push((name, value.to_string()));
        self
    }

    pub fn state(&self) -> State {
        match self.code {
            Code::Newer
            | Code::Quorum
            | Code::Unpublished
            | Code::Unreachable
            | Code::Unsearched
            | Code::Weeks
            | Code::Withheld => State::Pending,
            _ => State::Broken,
        }
    }
}

impl State {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Broken => 1,
            Self::Pending => 3,
        }
    }
}

impl Code {
    fn text(self) -> &'static str {
        match self {
            Self::Anchor => "The key of the lines that are shown later is not the one that was given at the beginning.",
            Self::Chain => "This line does not follow from the line before it.",
            Self::Checkpoint => "The checkpoint is malformed or belongs to another log.",
            Self::Duplicate => "Two lines carry the same number.",
            Self::Forked => "The log was forked: it no longer holds what it held when you last looked. Keep both checkpoints.",
            Self::Gap => "Lines are missing before this one.",
            Self::Hidden => "The log holds a line of yours that is not shown to you.",
            Self::Index => "The tag index says something else than the log it belongs to.",
            Self::Malformed => "The line is not in the one form that lines have.",
            Self::Matter => "What is shown of the matter of this line is not what the log binds.",
            Self::Newer => {
                "The log holds lines of yours that this footprint lacks. Load it again; if it still lacks them, they are hidden from you."
            }
            Self::Note => "The checkpoint is not a signed note.",
            Self::Number => "The stored line carries another number.",
            Self::Overdue => "The line is not in the public log, and it should be by now.",
            Self::Policy => "The policy on witnesses is malformed.",
            Self::Quorum => "Too few witnesses have co-signed this state of the log.",
            Self::Rewound => "The log was rewound: it is shorter than when you last looked. Keep both checkpoints.",
            Self::Shown => "The page shows something else than the stored line says.",
            Self::Signature => "The checkpoint is not signed with the key of the log.",
            Self::Tile => "The log contradicts its own signed checkpoint.",
            Self::Unlogged => "The log holds something else in the place of this line.",
            Self::Unopened => "The stored line can no longer be opened; it was changed or removed.",
            Self::Unpublished => "Not yet in the public log. This takes less than a minute.",
            Self::Unreachable => "The public log does not answer. Try again later.",
            Self::Unsearched => "The tag index of the log does not answer, so the log was not searched. Try again with --whole.",
            Self::Vkey => "The key of the log is malformed.",
            Self::Weeks => {
                "A week has begun since this footprint was made. Load it again; if it stays so, lines are hidden from you."
            }
            Self::Withheld => {
                "The day of this line has come, and what it is about is not shown. Load the footprint again; if it still lacks it, it is withheld from you."
            }
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.code.text())?;
        if !self.details.is_empty() {
            let details: Vec<String> = self.details.iter().map(|(name, value)| format!("{name} {value}")).collect();
            write!(f, " ({})", plain(&details.join(", ")))?;
        }
        Ok(())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::Pending => "pending",
            Self::Broken => "broken",
        })
    }
}
