//! Document: a paper that a statement rests on, held to by its hash wherever it lies.

use serde::Serialize;

use crate::draft::Draft;
use crate::{Digest, Text};

/// A paper named by its hash, so that nobody can put another one in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    pub title: Text,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Where it can be read, if it is public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

pub(crate) fn document(draft: &mut Draft<'_>) -> Option<Document> {
    let title = draft.text("title", 160, "Name the document in both languages.");
    let sha256 = draft.parse("sha256", "Give the SHA-256 of the file in hexadecimal digits.");
    let url = draft.optional_string("url", 300);
    Some(Document { title: title?, sha256: sha256?, url })
}
