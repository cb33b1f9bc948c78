//! The history of a log: nothing that was there before may have changed.

use usufruct_app::log::{self, Checkpoint, Frontier, Note, Reader, leaf_hash};

use super::finding::{Code, Finding, Subject};
use super::{Found, Halt, Monitor, tile};
use crate::public_log::{PublicLog, is_outside};

impl Monitor {
    /// Compares the checkpoint of `reader` with the one that was believed before. An error if the log is not to be read on.
    pub(super) fn history(
        &self,
        reader: &Reader<'_, PublicLog>,
        note: &Note,
        older: &Checkpoint,
        older_note: &Note,
        found: &mut Found,
    ) -> Result<(), Halt> {
        let head = reader.checkpoint();
        let (finding, outcome) = if head.size() < older.size() {
            let message = format!(
                "The log had {} leaves before and shows {} now: something was taken back. Keep both checkpoints, and ask the operator.",
                older.size(),
                head.size()
            );
            (Finding::broken(Code::LogShrank, message), Err(Halt::Wrong))
        } else if head.size() == older.size() && head.root() != older.root() {
            (forked("two trees of one size are signed"), Err(Halt::Wrong))
        } else {
            match reader.consistency(older) {
                Ok(_) => return Ok(()),
                Err(error) if is_outside(&error) => return Err(Halt::Unreached(error.to_string())),
                Err(log::Error::Proof { .. }) => match self.prefix_root(reader, older.size()) {
                    Ok(root) if root != *older.root() => (forked("it has other leaves than before"), Err(Halt::Wrong)),
                    // The leaves are the same, so a tile that the proof was made of is not.
                    Ok(_) => {
                        found.judged.insert(Subject::Tiles);
                        let message = "The tiles prove no growth, though the leaves do. Ask the operator to rebuild the tiles.";
                        (Finding::broken(Code::TileWrong, message), Ok(()))
                    }
                    Err(Halt::Wrong) => (unproven(), Err(Halt::Wrong)),
                    Err(halt) => return Err(halt),
                },
                Err(error) => {
                    found.findings.push(tile(&error));
                    found.judged.insert(Subject::Tiles);
                    (unproven(), Err(Halt::Wrong))
                }
            }
        };
        // What it departed from tells one fork from another; where it went meanwhile does not.
        let mut finding = finding.about(format!("{} {}", older.size(), older.root()));
        if !self.remembered.open.has(&finding) {
            for (checkpoint, note) in [(older, older_note), (head, note)] {
                let root: String = checkpoint.root().0.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                let name = format!("checkpoint-{}-{root}.txt", checkpoint.size());
                finding.evidence.push(self.file.keep_evidence(&name, &note.to_string())?);
            }
        }
        found.findings.push(finding);
        outcome
    }

    /// The root of the first leaves, each proven under the checkpoint of `reader`.
    fn prefix_root(&self, reader: &Reader<'_, PublicLog>, size: u64) -> Result<log::Hash, Halt> {
        let mut frontier = Frontier::new();
        let read = reader.entries(0, |_, leaf| {
            self.go_on()?;
            if frontier.size() < size {
                frontier.append(leaf_hash(leaf));
            }
            Ok(())
        });
        match read {
            Err(_) if (self.should_stop)() => Err(Halt::Stopped),
            Err(error) if is_outside(&error) => Err(Halt::Unreached(error.to_string())),
            _ if frontier.size() == size => Ok(frontier.root()),
            _ => Err(Halt::Wrong),
        }
    }
}

fn forked(how: &str) -> Finding {
    let message = format!("The log was forked: {how}. Keep both checkpoints; together they convict whoever signed them.");
    Finding::broken(Code::LogForked, message)
}

fn unproven() -> Finding {
    let message = "The log cannot prove that it only grew. Keep both checkpoints, and ask the operator for the missing tiles.";
    Finding::broken(Code::LogUnproven, message)
}
