//! Recounted: what the register cannot see of a recount, since it has the statements and not the log, is looked at before it is published.

use usufruct_core::Digest;
use usufruct_core::audit::{Audit, Recount};
use usufruct_core::draft::Problem;
use usufruct_core::id::OrderId;
use usufruct_core::order::Order;
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_log::{Checkpoint, Note, Reader, checkpoint};

use crate::proposal::BEHIND;
use crate::{App, Error};

impl App {
    /// Refuses an order whose draw its overseer can reckon ahead, and a recount whose days were not chosen by this log. Each statement is looked
    /// at as it stands behind those that are published before it.
    pub(crate) fn check_draws(&self, statements: &[Statement]) -> Result<(), Error> {
        if !statements.iter().any(|statement| matches!(statement.kind, StatementKind::Audit | StatementKind::Order)) {
            return Ok(());
        }
        let present = self.register();
        let mut register = (*present).clone();
        for (statement, index) in statements.iter().zip(BEHIND..) {
            // What is chosen by a leaf that comes only now was never public, whichever number it gets.
            if let Some(recount) = recount_of(statement)
                && is_chosen(&register, &recount.order)
                && !is_chosen(&present, &recount.order)
            {
                return Err(not_yet());
            }
            // What the register refuses it explains itself.
            if register.apply(statement, index).is_err() {
                return Ok(());
            }
            self.check_drawn(statement)?;
        }
        Ok(())
    }

    /// The same of one statement of which the register lacks approvals at most.
    pub(crate) fn check_drawn(&self, statement: &Statement) -> Result<(), Error> {
        match statement.kind {
            StatementKind::Audit => recount_of(statement).map_or(Ok(()), |recount| self.check_root(&recount)),
            StatementKind::Order if statement.rev == 1 => {
                let draw = Order::read(&statement.body).ok().and_then(|order| order.draw);
                if draw.is_none_or(|draw| draw.next_tally) {
                    return Ok(());
                }
                let message = "Whoever gives the order could reckon ahead which days it draws. Say `next_tally = true`, so that the log chooses that comes after.";
                Err(unlawful("draw.next_tally", "foreseeable", message))
            }
            _ => Ok(()),
        }
    }

    /// The root hash of the public log as it stood with so many leaves; `None` while it has fewer.
    pub fn log_root(&self, size: u64) -> Result<Option<Digest>, Error> {
        let Some(note) = self.objects.fetch(checkpoint::PATH)? else { return Ok(None) };
        let public: Checkpoint = Note::parse(&note)?.text().parse()?;
        if public.size() < size {
            return Ok(None);
        }
        Ok(Some(Digest(Reader::new(&self.objects, public).root_at(size)?.0)))
    }

    /// The register holds the size and the days of a recount against the order; that the root is the one of that size the log alone can tell.
    fn check_root(&self, recount: &Recount) -> Result<(), Error> {
        let root = self.log_root(recount.log_size.unsigned_abs())?.ok_or_else(not_yet)?;
        if root == recount.log_root {
            return Ok(());
        }
        let message = "The log never had this root at that size, so it chose other days. Recount with `usufruct audit recount`, which reads it from the log.";
        Err(unlawful("recount.log_root", "other-root", message))
    }
}

/// What a statement recounts, if it is a recount that can be read.
fn recount_of(statement: &Statement) -> Option<Recount> {
    let audit = Some(&statement.body).filter(|_| statement.kind == StatementKind::Audit)?;
    Audit::read(audit).ok()?.recount
}

/// Whether the log has chosen the days of an order.
fn is_chosen(register: &Register, order: &OrderId) -> bool {
    let given = register.orders.get(order).and_then(|order| Some((order, order.body.draw.as_ref()?)));
    given.is_some_and(|(order, draw)| register.chosen_at(order, draw).is_some())
}

fn not_yet() -> Error {
    let message = "The log has not published so many leaves yet. Wait a moment and try again.";
    unlawful("recount.log_size", "not-published", message)
}

fn unlawful(field: &str, rule: &'static str, message: &str) -> Error {
    Error::Unlawful(vec![Problem { field: field.to_owned(), rule, message: message.to_owned() }])
}
