//! The drills of the vault, which anybody may read the results of: an old backup opened with today's keys, and the search for
//! the keys of synthetic residents who were erased.

mod canary;
mod needles;
mod restore;
mod search;

use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::audit::Drill;
use usufruct_core::id::AuditId;
use usufruct_core::statement::StatementKind;
use usufruct_store::db::Db;
use usufruct_store::leaves;

pub use self::canary::Canaries;
pub use self::needles::Needles;
use crate::{App, Error, Publication};

/// What a drill found; the same as the statement it is published in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditReport {
    pub sampled: i64,
    pub opened: i64,
    pub closed: i64,
    pub wrong: i64,
    pub searched_bytes: i64,
    /// In words, where something is wrong. Names no resident.
    pub findings: Vec<String>,
}

impl App {
    /// Refuses a database whose log does not begin as that of this pass: its first leaf is signed by keys that no other pass has.
    fn refuse_other_pass(&self, backup: &Db) -> Result<(), Error> {
        let first = |db: &Db| db.read(|conn| leaves::range(conn, 0, 1));
        let theirs = first(backup)?;
        if !theirs.is_empty() && theirs == first(&self.db)? {
            return Ok(());
        }
        Err(Error::refused(
            "This is a backup of another pass: its log does not begin as the log of this one.",
            "Name a backup of this pass; of another one nothing can be shown with these keys.",
        ))
    }

    fn publish_audit(&self, drill: Drill, made_at: Option<Time>, report: &AuditReport) -> Result<(), Error> {
        let now = self.now();
        let body = json!({
            "drill": drill,
            "backup_made_at": made_at,
            "sampled": report.sampled,
            "opened": report.opened,
            "closed": report.closed,
            "wrong": report.wrong,
            "searched_bytes": report.searched_bytes,
        });
        let id = AuditId::fresh(now, self.rng());
        let mut statement = self.statement(StatementKind::Audit, id.as_str(), self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }
}

impl AuditReport {
    fn find(&mut self, what: &str) {
        self.find_many(1, what);
    }

    fn find_many(&mut self, count: i64, what: &str) {
        if count == 0 {
            return;
        }
        self.wrong += count;
        if !self.findings.iter().any(|known| known == what) {
            self.findings.push(what.to_owned());
        }
    }
}
