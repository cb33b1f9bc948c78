//! Why a command did not do what it was asked: what happened, what to do, and the exit code.

use std::fmt;
use std::io;
use std::path::Path;

/// Two sentences for a person and a number for a script.
#[derive(Debug)]
pub struct Failure {
    sentences: String,
    code: u8,
    is_overtaken: bool,
}

/// Something was refused, or there are findings.
const REFUSED: u8 = 1;
/// It could not be tried, or not to the end.
const IMPOSSIBLE: u8 = 2;
/// The field and the rule of a statement that is dated before the last one of the register.
const OVERTAKEN: (&str, &str) = ("at", "goes-back");

impl Failure {
    /// `what` happened, and the `remedy`. Each a sentence with its full stop.
    pub fn refused(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { sentences: format!("{what} {remedy}"), code: REFUSED, is_overtaken: false }
    }

    /// The same, for what could not be tried.
    pub fn impossible(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { sentences: format!("{what} {remedy}"), code: IMPOSSIBLE, is_overtaken: false }
    }

    /// An error whose text has its two sentences already.
    pub fn of(error: impl fmt::Display) -> Self {
        Self { sentences: error.to_string(), code: REFUSED, is_overtaken: false }
    }

    /// A file or folder that cannot be used.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        Self::impossible(format!("{} cannot be read or written: {error}.", path.display()), "Check the path and its permissions.")
    }

    /// Statements that the register does not accept: a line for each problem, and its field and rule.
    pub fn unlawful<'a>(lines: &[String], mut broken: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let what = format!("The register does not accept this:\n{}\n", lines.join("\n"));
        Self { is_overtaken: broken.any(|one| one == OVERTAKEN), ..Self::refused(what, "Correct every line and try again.") }
    }

    /// Whether somebody published something between the reading of the register and this.
    pub fn is_overtaken(&self) -> bool {
        self.is_overtaken
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
                Self::unlawful(&lines, problems.iter().map(|problem| (problem.field.as_str(), problem.rule)))
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
