//! Notice: what a resident is told before data is used (Taiwan Act 8).

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::id::MandateId;
use crate::{Digest, Text};

/// The layers of a notice. Facts such as recipients and end come from the mandate and are not repeated here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub mandate: MandateId,
    /// The exact mandate revision this notice explains.
    pub mandate_hash: Digest,
    /// One line, at most 80 characters.
    pub line: Text,
    /// Two or three sentences.
    pub short: Text,
    /// Manner of use.
    pub manner: Text,
    /// Which rights there are and how to use them.
    pub rights: Text,
    /// What happens to someone who says no.
    pub effect_of_refusal: Text,
}

impl Notice {
    /// Reads a notice, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let mandate = draft.parse("mandate", "Name the mandate it explains.");
        let mandate_hash = draft.parse("mandate_hash", "Give the hash of the mandate revision it explains.");
        let words = Self::words(&mut draft);
        let notice = (|| {
            let (line, short, manner, rights, effect_of_refusal) = words?;
            Some(Self { mandate: mandate?, mandate_hash: mandate_hash?, line, short, manner, rights, effect_of_refusal })
        })();
        let problems = draft.finish();
        match notice {
            Some(notice) if problems.is_empty() => Ok(notice),
            _ => Err(problems),
        }
    }

    /// Reads only the words of a notice, as they stand in the `[notice]` table of a mandate file.
    pub fn words(draft: &mut Draft<'_>) -> Option<(Text, Text, Text, Text, Text)> {
        let line = draft.text("line", 80, "Say in one line what the data is used for.");
        let short = draft.text("short", 400, "Explain it in two or three sentences.");
        let manner = draft.text("manner", 300, "Say how the data is used.");
        let rights = draft.text("rights", 400, "Say which rights people have and how to use them.");
        let effect = draft.text("effect_of_refusal", 300, "Say what happens to someone who says no.");
        Some((line?, short?, manner?, rights?, effect?))
    }
}
