//! Check the log over the time of a breach: whether the leaves that are kept give the public tree, and whether the counters had gaps.

use usufruct_core::Digest;
use usufruct_core::breach::{Breach, BreachState, LogCheck};
use usufruct_core::register::{Entry, Register};
use usufruct_log::merkle::verify_consistency;
use usufruct_log::{Checkpoint, Frontier, HashReader, Note, TileHashes, checkpoint, leaf_hash, proof};
use usufruct_store::leaves;

use crate::{App, Error, Publication};

/// Leaves read at once.
const BATCH: usize = 10_000;

impl App {
    /// Looks at the log once for each breach that is contained, and says in the register what it found. What fails for one holds up no other.
    pub(crate) fn check_breach_logs(&self) -> Result<(), Error> {
        let register = self.register();
        let mut outcome = Ok(());
        let is_due = |entry: &&Entry<Breach>| {
            matches!(entry.body.state, BreachState::Contained | BreachState::Mitigated) && entry.body.log_check.is_none()
        };
        for entry in register.open_breaches().iter().filter(|entry| is_due(entry)) {
            outcome = outcome.and(self.say_breach_log(&register, entry));
        }
        outcome
    }

    fn say_breach_log(&self, register: &Register, entry: &Entry<Breach>) -> Result<(), Error> {
        let Some(found) = self.check_breach_log(register, entry)? else { return Ok(()) };
        if !found.is_whole() {
            tracing::warn!(breach = %entry.id, "the log of this breach is not whole, see its page in the register");
        }
        let at = found.at;
        let breach = Breach { log_check: Some(found), ..entry.body.clone() };
        let statement = self.say_breach(&entry.id, &breach, at)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }

    /// What is in the log over the time of a breach; `None` until all of that time is public.
    fn check_breach_log(&self, register: &Register, entry: &Entry<Breach>) -> Result<Option<LogCheck>, Error> {
        let Some(note) = self.objects.fetch(checkpoint::PATH)? else { return Ok(None) };
        let public: Checkpoint = Note::parse(&note)?.text().parse()?;
        let (from, to) = register.log_range(&entry.body);
        let (from_size, to_size) = (from.unsigned_abs(), to.map_or(public.size(), i64::unsigned_abs));
        // Where nothing after its end is known, all up to its present revision is looked at.
        if public.size() < to.map_or(entry.index + 1, i64::unsigned_abs) {
            return Ok(None);
        }
        let tiles = TileHashes::new(&self.objects, public.size());
        let mut grown = frontier(&tiles, from_size)?;
        let from_root = grown.root();
        while grown.size() < to_size {
            let size = grown.size();
            let limit = usize::try_from(to_size - size).unwrap_or(BATCH).min(BATCH);
            let part = self.db.read(|conn| leaves::range(conn, size, limit))?;
            if part.is_empty() {
                break;
            }
            part.iter().for_each(|(_, leaf)| grown.append(leaf_hash(leaf)));
        }
        let to_root = proof::root(&tiles, to_size)?;
        let continues = match to_size {
            0 => true,
            size => {
                let steps = proof::consistency(&tiles, size, public.size())?;
                verify_consistency(size, public.size(), &steps, &to_root, public.root()).is_ok()
            }
        };
        let ends = [(signed(from_size), Digest(from_root.0)), (signed(to_size), Digest(to_root.0))];
        let is_as_before = ends.iter().all(|(size, root)| register.checked_root(*size).is_none_or(|known| known == *root));
        let now = self.now();
        Ok(Some(LogCheck {
            at: now,
            from_size: ends[0].0,
            to_size: ends[1].0,
            from_root: ends[0].1,
            to_root: ends[1].1,
            consistent: is_as_before && continues && grown.size() == to_size && grown.root() == to_root,
            gaps: register.gaps_of(&entry.body, now),
        }))
    }
}

/// The frontier of the tree with `size` leaves, out of its tiles.
fn frontier(tiles: &impl HashReader, size: u64) -> Result<Frontier, Error> {
    let (mut nodes, mut start) = (Vec::new(), 0_u64);
    for level in (0..u64::BITS).rev().filter(|level| (size >> level) & 1 == 1) {
        nodes.push(tiles.read(level, start >> level)?);
        start += 1 << level;
    }
    // INVARIANT: there is a node for each bit of the size.
    Ok(Frontier::from_nodes(size, nodes).expect("a node for each bit"))
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
