//! The second step of an erasure: when its date has come, no copy of the ciphertext is left either, and that is said in public.

use usufruct_core::Time;
use usufruct_core::statement::StatementKind;
use usufruct_store::erasures::{self, Remains};

use crate::{App, Error, Publication};

impl App {
    /// Finishes the purge of ciphertext whose date has come: rows went with the erasure, so what is left is room that the
    /// database has not used again, and older copies. `oldest_copy` is when the oldest backup that is still there was made; an
    /// erasure that it is older than waits. Certificates of mandates and sectors get the date; of residents none is published. Answers how
    /// many were finished.
    pub fn run_purges(&self, oldest_copy: Option<Time>) -> Result<usize, Error> {
        let now = self.now();
        let due = self.db.read(|conn| erasures::due_for_purge(conn, now, BATCH))?;
        let due: Vec<Remains> = due.into_iter().filter(|due| oldest_copy.is_none_or(|copy| copy >= due.destroyed_at)).collect();
        if due.is_empty() {
            return Ok(0);
        }
        // Freed room is overwritten by now; this empties the write-ahead log beside it.
        self.db.checkpoint()?;
        for remains in &due {
            self.publish_purge(remains, now)?;
            let certificate = remains.certificate.clone();
            self.db.transaction("note purge", move |tx| Ok::<_, Error>(erasures::purged(tx, &certificate, now)?))?;
        }
        Ok(due.len())
    }

    fn publish_purge(&self, remains: &Remains, now: Time) -> Result<(), Error> {
        let register = self.register();
        let Some(entry) = register.certificates.get(&remains.certificate) else { return Ok(()) };
        if entry.body.mandate.is_none() && entry.body.sector.is_none() || entry.body.ciphertext_purged_at.is_some() {
            return Ok(());
        }
        let mut body =
            serde_json::to_value(&entry.body).map_err(|error| Error::Corrupt { what: format!("a certificate: {error}") })?;
        body["ciphertext_purged_at"] = now.to_string().into();
        let id = remains.certificate.as_str();
        let mut statement = self.statement(StatementKind::Certificate, id, self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }
}

/// Erasures finished in one run.
const BATCH: usize = 100;
