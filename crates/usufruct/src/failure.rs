//! Why a command did not do what it was asked: what happened, what to do, and the exit code.

use std::fmt;
use std::io;
use std::path::Path;

/// Two sentences for a person and a number for a script.
#[derive(Debug)]
pub struct Failure {
    sentences: String,
    code: u8,
}

/// Something was refused, or there are findings.
const REFUSED: u8 = 1;
/// It could not be tried, or not to the end.
const IMPOSSIBLE: u8 = 2;

impl Failure {
    /// `what` happened, and the `remedy`. Each a sentence with its full stop.
    pub fn refused(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { sentences: format!("{what} {remedy}"), code: REFUSED }
    }

    /// The same, for what could not be tried.
    pub fn impossible(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { sentences: format!("{what} {remedy}"), code: IMPOSSIBLE }
    }

    /// An error whose text has its two sentences already.
    pub fn of(error: impl fmt::Display) -> Self {
        Self { sentences: error.to_string(), code: REFUSED }
    }

    /// A file or folder that cannot be used.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        Self::impossible(format!("{} cannot be read or written: {error}.", path.display()), "Check the path and its permissions.")
    }

    /// The same failure as one that kept the command from being tried.
    pub fn into_impossible(self) -> Self {
        Self { code: IMPOSSIBLE, ..self }
    }

    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences)
    }
}

impl From<usufruct_app::Error> for Failure {
    fn from(error: usufruct_app::Error) -> Self {
        match error {
            usufruct_app::Error::Unlawful(problems) => {
                let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
                Self::refused(
                    format!("The register does not accept this:\n{}\n", lines.join("\n")),
                    "Correct every line and try again.",
                )
            }
            other => Self::of(other),
        }
    }
}

impl From<usufruct_app::log::Error> for Failure {
    fn from(error: usufruct_app::log::Error) -> Self {
        Self::of(error)
    }
}

impl From<usufruct_core::statement::Malformed> for Failure {
    fn from(error: usufruct_core::statement::Malformed) -> Self {
        Self::of(error)
    }
}
