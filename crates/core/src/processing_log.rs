//! Processing log: how the lines of a system that an agency has already, and that knows nothing of the pass, are read as uses.
//!
//! It is part of the registration of a service, so everybody can read which activity of the agency counts as which mandate.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::Digest;
use crate::draft::Draft;
use crate::id::{BlockId, MandateId};

/// What the lines of a service's own systems mean here. The pass numbers the uses under its mandates in the order in which they come, since such
/// systems do not: a line that never comes leaves no gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessingLog {
    /// SHA-256 of the keys by which exporters prove themselves. Such a key writes lines and opens nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exporters: Vec<Digest>,
    pub activities: Vec<Activity>,
}

/// One activity of the agency's own register of processing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// As its lines name it (`dpl.core.processing_activity_id`), byte for byte.
    pub activity: String,
    pub mandate: MandateId,
    /// Code of one of the reasons of the mandate.
    pub reason: String,
    /// What such an action uses, each in the form for which the mandate asks.
    pub blocks: Vec<BlockId>,
}

impl ProcessingLog {
    /// Reads it, or notes what is missing.
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let exporters: Vec<Digest> =
            draft.optional_parses("exporters", "List the SHA-256 of the keys of the exporters, in hexadecimal.");
        let activities = draft.objects("activities", "Say which activity of the agency is which mandate.", |entry| {
            let activity = entry.string("activity", 500, "Give the activity as the lines name it.");
            let mandate = entry.parse("mandate", "Name the mandate, as `mdt_library-card`.");
            let reason = entry.string("reason", 60, "Give the code of one of the reasons of the mandate.");
            let blocks: Vec<BlockId> = entry.parses("blocks", "List the blocks that it uses, as `blk_name`.");
            if blocks.iter().collect::<BTreeSet<_>>().len() != blocks.len() {
                entry.note("blocks", "twice", "A block is there twice. Name each once.".into());
            }
            Some(Activity { activity: activity?, mandate: mandate?, reason: reason?, blocks })
        });
        let names: BTreeSet<&str> = activities.iter().map(|entry: &Activity| entry.activity.as_str()).collect();
        if names.len() != activities.len() {
            draft.note(
                "activities",
                "twice",
                "An activity is there twice, and its lines could mean either. Name each once.".into(),
            );
        }
        Some(Self { exporters, activities })
    }

    /// What the lines of this activity mean.
    pub fn activity(&self, name: &str) -> Option<&Activity> {
        self.activities.iter().find(|entry| entry.activity == name)
    }

    /// Whether the pass numbers the uses under this mandate.
    pub fn numbers(&self, mandate: &MandateId) -> bool {
        self.activities.iter().any(|entry| entry.mandate == *mandate)
    }
}
