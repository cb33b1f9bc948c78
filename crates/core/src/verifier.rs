//! VerifierRelease: the hashes of the program that checks footprints in the browser, so that nobody is served another one.

use serde::Serialize;
use serde_json::Value;

use crate::Digest;
use crate::draft::{Draft, Problem};

/// The files of the verifier as they are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifierRelease {
    pub files: Vec<VerifierFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifierFile {
    /// Where it is served, as `/assets/verifier/index.js`.
    pub path: String,
    pub sha256: Digest,
}

impl VerifierRelease {
    /// Reads a release, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let files: Vec<VerifierFile> = draft.objects("files", "List each file that is served.", |file| {
            let path = file.string("path", 200, "Give the path it is served under.");
            let sha256 = file.parse("sha256", "Give its hash in hex.");
            Some(VerifierFile { path: path?, sha256: sha256? })
        });
        if !files.is_sorted_by(|one, other| one.path < other.path) {
            draft.note("files", "not-sorted", "The files are not sorted by path, or one is there twice. Sort them.".into());
        }
        let problems = draft.finish();
        if problems.is_empty() { Ok(Self { files }) } else { Err(problems) }
    }
}
