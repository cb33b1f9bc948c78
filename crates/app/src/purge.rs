//! The second step of an erasure: when its date has come, no copy of the ciphertext is left either, and that is said in public.

use serde_json::json;
use usufruct_core::Time;
use usufruct_core::id::PurgeId;
use usufruct_core::statement::StatementKind;
use usufruct_store::erasures::{self, Remains};
use usufruct_store::tables::SEALED;

use crate::{App, Error, Publication};

impl App {
    /// Finishes the purge of ciphertext whose date has come: rows went with the erasure, so what is left is room in the files of the
    /// database, its write-ahead log, and older copies. `oldest_copy` is when the oldest backup that is still there was made; an
    /// erasure that it is older than waits, and so does one from after which the write-ahead log of PostgreSQL goes back. Archived
    /// write-ahead logs are not seen here: they must be kept no longer than backups are. Certificates of mandates and sectors get the date;
    /// for those of residents one statement says it of all at once, so that it tells about none of them. Answers how many were finished. Where the database may not or cannot write its tables anew, none is; nor while a
    /// database lies there that a restoration put aside.
    pub fn run_purges(&self, oldest_copy: Option<Time>) -> Result<usize, Error> {
        let now = self.now();
        if self.purgeable(oldest_copy, now)?.is_empty() {
            // A crash may have come between the note of a purge and its statement.
            self.publish_purged(now)?;
            return Ok(0);
        }
        let aside = self.house.set_aside()?;
        if let Some(first) = aside.first() {
            tracing::warn!(file = %first.display(), "nothing is purged while a database that was put aside is there");
            return Ok(0);
        }
        let oldest_log = self.db.log_horizon()?.map(Time::from_micros);
        let oldest = oldest_copy.into_iter().chain(oldest_log).min();
        if self.purgeable(oldest, now)?.is_empty() {
            return Ok(0);
        }
        self.db.purge(SEALED)?;
        let mut count = 0;
        loop {
            let due = self.purgeable(oldest, now)?;
            if due.is_empty() {
                self.publish_purged(now)?;
                return Ok(count);
            }
            for remains in &due {
                self.publish_purge(remains, now)?;
                let certificate = remains.certificate.clone();
                self.db.transaction("note purge", move |tx| Ok::<_, Error>(erasures::purged(tx, &certificate, now)?))?;
            }
            count += due.len();
        }
    }

    /// Erasures whose date has come and that no older copy keeps waiting.
    fn purgeable(&self, oldest: Option<Time>, now: Time) -> Result<Vec<Remains>, Error> {
        Ok(self.db.read(|conn| erasures::due_for_purge(conn, now, oldest, BATCH))?)
    }

    /// Says of all certificates up to the first one whose ciphertext is still there that none of theirs is, if that is news.
    fn publish_purged(&self, now: Time) -> Result<(), Error> {
        let register = self.register();
        let through = self.db.read(|conn| {
            let mut through = None;
            for (number, certificate) in register.unpurged() {
                if !erasures::is_purged(conn, certificate)? {
                    break;
                }
                through = Some(number);
            }
            Ok::<_, Error>(through)
        })?;
        let Some(through) = through else { return Ok(()) };
        let id = PurgeId::fresh(now, self.rng());
        let body = json!({ "through": through, "purged_at": now });
        let mut statement = self.statement(StatementKind::Purge, id.as_str(), self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
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

/// Erasures finished at once.
const BATCH: usize = 100;
