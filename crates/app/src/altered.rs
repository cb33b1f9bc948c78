//! Notices to delete that somebody wrote to behind the back of the house. What they said of an answer counts for nothing from then on: nobody knows
//! what the service said, so it stands as not answered, and as altered, to the resident, in public, and to those who look after breaches.

use std::sync::{Arc, PoisonError};

use usufruct_core::Time;
use usufruct_store::deletions::{self, Deletion};
use usufruct_vault::Vault;

use crate::row_mark::{is_true_deletion, marked_deletion};
use crate::{App, Error};

/// Notices looked at in one call.
const PART: usize = 10_000;

impl App {
    /// Looks at the next part of all notices, from the beginning again after the last, and notes those that somebody wrote to. Answers how many
    /// that were. For the clock: a part at a time, so that a city of any size is looked at without a pause for anybody.
    pub fn note_altered_deletions(&self) -> Result<usize, Error> {
        let after = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let part = self.db.read(|conn| deletions::list(conn, &after, PART))?;
        let next = part.last().filter(|_| part.len() == PART).map(|last| last.id.to_string()).unwrap_or_default();
        let suspects = suspects(&self.vault, part)?;
        let (now, vault, count) = (self.now(), Arc::clone(&self.vault), suspects.len());
        if count > 0 {
            for deletion in &suspects {
                tracing::error!(
                    service = %deletion.service, deletion = %deletion.id,
                    "a notice to delete was written to by somebody else; what the service answered is not known"
                );
            }
            self.db.transaction("note altered deletions", move |tx| {
                for suspect in &suspects {
                    let Some(found) = deletions::find(tx, &suspect.id, &suspect.service)? else { continue };
                    // Another process may have noted it.
                    if is_true_deletion(&vault, &found)? {
                        continue;
                    }
                    let noted = Deletion { due_at: now, missed_at: Some(now), ..doubted(found, now) };
                    deletions::set(tx, &[marked_deletion(&vault, noted)?])?;
                }
                Ok::<_, Error>(())
            })?;
        }
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(count)
    }

    /// Notices as they are to be believed now.
    pub(crate) fn believed(&self, found: Vec<Deletion>) -> Result<Vec<Deletion>, Error> {
        let now = self.now();
        let believed =
            |deletion: Deletion| Ok(if is_true_deletion(&self.vault, &deletion)? { deletion } else { doubted(deletion, now) });
        found.into_iter().map(believed).collect()
    }
}

fn suspects(vault: &Vault, found: Vec<Deletion>) -> Result<Vec<Deletion>, Error> {
    let mut suspects = Vec::new();
    for deletion in found {
        if !is_true_deletion(vault, &deletion)? {
            suspects.push(deletion);
        }
    }
    Ok(suspects)
}

/// A notice without all that only its service could have said.
fn doubted(deletion: Deletion, now: Time) -> Deletion {
    Deletion { told_at: None, answer: None, ground: None, altered_at: Some(now), ..deletion }
}
