//! Every leaf of a log once, in order: each well-formed, each statement lawful after those before it.

use usufruct_app::log::{self, Reader, Source};
use usufruct_core::Digest;
use usufruct_core::audit::Audit;
use usufruct_core::event::{LEAF_LEN, LEAF_PREFIX as EVENT_PREFIX};
use usufruct_core::order::Order;
use usufruct_core::publication::is_by_person;
use usufruct_core::register::Register;
use usufruct_core::statement::{LEAF_PREFIX, Statement, StatementKind};

use super::finding::{Code, Finding, Severity};

/// What the leaves that were read make.
#[derive(Default)]
pub struct Replay {
    /// The register, as its statements make it.
    pub register: Register,
    /// Leaves that were read, which is the index of the next one.
    pub size: u64,
    pub statements: u64,
    pub events: u64,
    /// Recounts that were not held against the log yet.
    recounts: Vec<Claim>,
}

/// By which root of the log a recount says that its days were chosen.
struct Claim {
    leaf: u64,
    id: String,
    size: u64,
    root: Digest,
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

    /// Holds the roots by which recounts say that their days were chosen against the log itself.
    pub fn check_recounts<S: Source>(&mut self, reader: &Reader<'_, S>, findings: &mut Vec<Finding>) -> log::Result<()> {
        while let Some(Claim { leaf, id, size, root }) = self.recounts.first() {
            let is_so = *size <= reader.checkpoint().size() && reader.root_at(*size)?.0 == root.0;
            if !is_so {
                let message = format!(
                    "The recount {id} says that its days were chosen by a root that the log never had at {size} leaves. Ask the overseer who chose them."
                );
                findings.push(Finding::broken(Code::RecountMisdrawn, message).at_leaf(*leaf).about(id.clone()));
            }
            self.recounts.remove(0);
        }
        Ok(())
    }

    /// Keeps what a recount says of the log, and warns of a draw that its overseer could have reckoned ahead, and of a count that a person signed.
    fn look_at(&mut self, statement: Statement, index: u64) -> Option<Finding> {
        match statement.kind {
            StatementKind::Audit => {
                let recount = Audit::read(&statement.body).ok()?.recount?;
                let size = recount.log_size.unsigned_abs();
                self.recounts.push(Claim { leaf: index, id: statement.id, size, root: recount.log_root });
                None
            }
            StatementKind::Order if statement.rev == 1 => {
                let draw = Order::read(&statement.body).ok()?.draw.filter(|draw| !draw.next_tally)?;
                let message = format!(
                    "The order {} draws {} days by a log that whoever gave it could reckon ahead. See whether another leaf came before it.",
                    statement.id, draw.days
                );
                let finding = Finding::new(Severity::Warning, Code::DrawForeseeable, message);
                Some(finding.at_leaf(index).about(statement.id))
            }
            StatementKind::CaseTally | StatementKind::Tally if is_by_person(&self.register, &statement) => {
                let message = format!(
                    "The tally {} is signed by a person and not by the machine alone. Ask the operator who counted, and from what.",
                    statement.id
                );
                let finding = Finding::new(Severity::Warning, Code::TallyByPerson, message);
                Some(finding.at_leaf(index).about(statement.id))
            }
            _ => None,
        }
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
        let Err(problems) = self.register.apply(&statement, index) else { return self.look_at(statement, index) };
        let why: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let message = format!("Leaf {index} ({:?} {}) is not lawful. {}", statement.kind, statement.id, why.join(" "));
        Some(Finding::broken(Code::StatementUnlawful, message).at_leaf(index).about(statement.id))
    }
}

/// A log that is wrong everywhere is known to be so after this many leaves.
const MOST_FOUND: usize = 10_000;

#[cfg(test)]
mod tests {
    use usufruct_app::log::{Checkpoint, Hash, leaf_hash, node_hash};

    use super::*;

    /// A log of three leaves, as its one tile has it.
    struct Three([Hash; 3]);

    impl Source for Three {
        fn fetch(&self, path: &str) -> log::Result<Option<Vec<u8>>> {
            Ok((path == "tile/0/000.p/3").then(|| self.0.iter().flat_map(|hash| hash.0).collect()))
        }
    }

    #[test]
    fn a_recount_whose_root_the_log_never_had_is_found() {
        let hashes = [b"one", b"two", b"tri"].map(|leaf| leaf_hash(leaf));
        let two = node_hash(&hashes[0], &hashes[1]);
        let head = Checkpoint::new("city.test/log", 3, node_hash(&two, &hashes[2])).unwrap();
        let log = Three(hashes);
        let reader = Reader::new(&log, head.clone());
        let claim = |leaf, size, root: Hash| Claim { leaf, id: format!("aud_{leaf}"), size, root: Digest(root.0) };
        let claims = vec![claim(7, 2, two), claim(8, 3, *head.root()), claim(9, 2, *head.root()), claim(10, 4, two)];
        let mut replay = Replay { recounts: claims, ..Replay::default() };
        let mut findings = Vec::new();
        replay.check_recounts(&reader, &mut findings).unwrap();
        let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.leaf, finding.severity)).collect();
        let wrong = |leaf| (Code::RecountMisdrawn, Some(leaf), Severity::Finding);
        assert_eq!(found, [wrong(9), wrong(10)], "of another size, and of one that there never was");
        replay.check_recounts(&reader, &mut findings).unwrap();
        assert_eq!(findings.len(), 2, "each once");
    }
}
