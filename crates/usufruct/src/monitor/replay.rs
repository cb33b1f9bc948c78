//! Every leaf of a log once, in order: each well-formed, each statement lawful after those before it.

use usufruct_app::log::{self, Reader, Source};
use usufruct_core::event::{LEAF_LEN, LEAF_PREFIX as EVENT_PREFIX};
use usufruct_core::register::Register;
use usufruct_core::statement::{LEAF_PREFIX, Statement};

use super::finding::{Code, Finding};

/// What the leaves that were read make.
#[derive(Default)]
pub struct Replay {
    /// The register, as its statements make it.
    pub register: Register,
    /// Leaves that were read, which is the index of the next one.
    pub size: u64,
    pub statements: u64,
    pub events: u64,
}

impl Replay {
    /// Reads the leaves from where the last reading ended up to the checkpoint of `reader`. Each was proven under that
    /// checkpoint before it is taken up, so what was read before an error stays read. `each` sees every leaf, and may end
    /// the reading.
    pub fn read<S: Source>(
        &mut self,
        reader: &Reader<'_, S>,
        findings: &mut Vec<Finding>,
        mut each: impl FnMut(u64, &[u8]) -> log::Result<()>,
    ) -> log::Result<()> {
        reader.entries(self.size, |index, leaf| {
            each(index, leaf)?;
            let found = self.take(index, leaf);
            if findings.len() < MOST_FOUND {
                findings.extend(found);
            }
            self.size = index + 1;
            Ok(())
        })
    }

    fn take(&mut self, index: u64, leaf: &[u8]) -> Option<Finding> {
        if leaf.starts_with(&EVENT_PREFIX) && leaf.len() == LEAF_LEN {
            self.events += 1;
            return None;
        }
        if !leaf.starts_with(&LEAF_PREFIX) {
            let what = format!("Leaf {index} is neither a statement nor an event of {LEAF_LEN} bytes.");
            return Some(Finding::broken(Code::LeafUnknown, format!("{what} Ask the operator what it hides.")).at_leaf(index));
        }
        self.statements += 1;
        let statement = match Statement::from_leaf(leaf) {
            Ok(statement) => statement,
            Err(error) => {
                let message = format!("Leaf {index} is no statement. {error}");
                return Some(Finding::broken(Code::StatementMalformed, message).at_leaf(index));
            }
        };
        let problems = self.register.apply(&statement, index).err()?;
        let why: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let message = format!("Leaf {index} ({:?} {}) is not lawful. {}", statement.kind, statement.id, why.join(" "));
        Some(Finding::broken(Code::StatementUnlawful, message).at_leaf(index).about(statement.id))
    }
}

/// A log that is wrong everywhere is known to be so after this many leaves.
const MOST_FOUND: usize = 10_000;
