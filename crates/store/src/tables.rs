//! Every table, and where its rows come from when a database is restored from a backup.

use crate::db::{Connection, Error, Row, Value};

/// A table of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    pub source: Source,
    /// The columns of its primary key.
    key: &'static [&'static str],
    /// Whether each row is about a resident, in a column of that name.
    pub is_of_residents: bool,
}

/// Where the rows of a restored database come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the backup, of any age.
    Backup,
    /// From the live copy alone: what ended since the backup must not come back. Without a live copy nothing of it counts.
    Live,
    /// From the live copy, and from what the log says where there is none.
    LiveOrLog,
    /// From the log and its copies.
    Log,
    /// From both, row by row: the backup's where nothing changed since.
    Both,
}

/// All tables but that of the migrations.
pub const ALL: [Table; 57] = [
    // Whoever gave one, or got it back, has an event in the log.
    of_residents("authorizations", Source::LiveOrLog, &["authorization_id"]),
    // Her lines say it too; a note that is lost leads to a second line, never to none.
    of_residents("breach_notices", Source::LiveOrLog, &["shard", "resident", "breach"]),
    of_residents("canaries", Source::LiveOrLog, &["resident"]),
    of_residents("cards", Source::LiveOrLog, &["secret_hash"]),
    of_residents("cases", Source::LiveOrLog, &["shard", "resident", "case_id"]),
    of_residents("certificate_cards", Source::LiveOrLog, &["card_mark"]),
    of_residents("codes", Source::Live, &["code_hash"]),
    of_residents("counter_requests", Source::Live, &["request_id"]),
    of_residents("deposits", Source::LiveOrLog, &["shard", "resident", "idx"]),
    of_residents("grants", Source::Both, &["shard", "resident", "mandate"]),
    of_residents("invitations", Source::Live, &["code_hash"]),
    of_residents("keyrings", Source::Both, &["shard", "resident", "version"]),
    of_residents("lent_blocks", Source::Both, &["shard", "resident", "mandate", "block"]),
    of_residents("lines", Source::Both, &["shard", "resident", "n"]),
    of_residents("message_wishes", Source::LiveOrLog, &["shard", "resident"]),
    // A message that is lost is one that the next one speaks for.
    of_residents("messages", Source::LiveOrLog, &["shard", "resident", "week"]),
    of_residents("own_blocks", Source::Backup, &["shard", "resident", "block"]),
    of_residents("passkeys", Source::LiveOrLog, &["credential"]),
    of_residents("posted_lists", Source::LiveOrLog, &["shard", "resident"]),
    of_residents("recovery_codes", Source::LiveOrLog, &["code_hash"]),
    of_residents("refresh_tokens", Source::Live, &["token_hash"]),
    of_residents("residents", Source::Both, &["shard", "resident"]),
    of_residents("seeds", Source::Backup, &["seed_index"]),
    of_residents("sessions", Source::Live, &["token_hash"]),
    of_nobody("assertions", Source::LiveOrLog, &["jti_hash"]),
    // The register says which days are counted; what is not counted yet and the history of officials live only here.
    of_nobody("audit_copies", Source::LiveOrLog, &["mandate", "day", "seq"]),
    of_nobody("attempts", Source::LiveOrLog, &["attempt_key"]),
    of_nobody("brake_days", Source::LiveOrLog, &["body", "reason", "officials", "day"]),
    of_nobody("brake_releases", Source::LiveOrLog, &["order_id"]),
    of_nobody("breach_walks", Source::Live, &["breach"]),
    of_nobody("case_counts", Source::LiveOrLog, &["agency", "kind", "what", "day"]),
    of_nobody("delayed_ended", Source::LiveOrLog, &["mandate", "month"]),
    of_nobody("delegated_codes", Source::Live, &["code_hash"]),
    // Whether one has ended stands in sealed lines, so without a live copy none counts.
    of_nobody("delegations", Source::Live, &["delegation_id"]),
    of_nobody("deletions", Source::LiveOrLog, &["deletion_id"]),
    of_nobody("deposit_months", Source::LiveOrLog, &["mandate", "month"]),
    of_nobody("erasures", Source::LiveOrLog, &["certificate_id"]),
    // The certificates in the log say the same with gaps, and the next start notes what it finds.
    of_nobody("key_epochs", Source::LiveOrLog, &["id"]),
    of_nobody("key_pages", Source::LiveOrLog, &["level", "idx", "version"]),
    of_nobody("leaves", Source::Log, &["idx"]),
    of_nobody("log_head", Source::Log, &["id"]),
    of_nobody("message_walk", Source::LiveOrLog, &["id"]),
    of_nobody("officers", Source::LiveOrLog, &["actor"]),
    of_nobody("outbox", Source::LiveOrLog, &["message_id"]),
    // One that was withdrawn since the backup must not come back with its approvals.
    of_nobody("proposals", Source::Live, &["proposal_id"]),
    of_nobody("pushed_requests", Source::Live, &["request_hash"]),
    of_nobody("sector_rotations", Source::LiveOrLog, &["rotation_id"]),
    of_nobody("session_services", Source::Live, &["token_hash", "service", "sid"]),
    of_nobody("shown_cards", Source::Live, &["ceremony_hash"]),
    of_nobody("source_ahead", Source::LiveOrLog, &["source", "mandate", "number"]),
    // A line that comes again after a restoration without a live copy is a second line, never none.
    of_nobody("source_operations", Source::Live, &["source", "operation"]),
    of_nobody("sources", Source::LiveOrLog, &["source", "mandate"]),
    of_nobody("streams", Source::LiveOrLog, &["stream_id"]),
    of_nobody("tally_counts", Source::LiveOrLog, &["mandate", "day", "what"]),
    of_nobody("tally_spans", Source::LiveOrLog, &["mandate", "day", "source"]),
    of_residents("tokens", Source::Live, &["token_hash"]),
    of_residents("wishes", Source::LiveOrLog, &["shard", "resident"]),
];

/// The tables with sealed values that go with an erasure.
pub const SEALED: &[&str] = &[
    "cases",
    "delegations",
    "deletions",
    "deposits",
    "keyrings",
    "lent_blocks",
    "lines",
    "message_wishes",
    "officers",
    "outbox",
    "own_blocks",
    "wishes",
];

impl Table {
    /// Up to `limit` rows after the row with the key `after`, in the order of the key. Answers them with the key of the last.
    pub fn rows(
        &self,
        conn: &mut dyn Connection,
        after: Option<&[Value]>,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<Vec<Value>>), Error> {
        let (name, key) = (self.name, self.key.join(", "));
        let places: Vec<String> = (1..=self.key.len()).map(|place| format!("${place}")).collect();
        let beyond = after.map_or_else(String::new, |_| format!("WHERE ({key}) > ({}) ", places.join(", ")));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = format!("-- table_rows\nSELECT * FROM {name} {beyond}ORDER BY {key} LIMIT {limit}");
        let rows = conn.query(&sql, after.unwrap_or_default())?;
        let last = rows.last().map(|row| self.key.iter().map(|column| row.named(column)).collect()).transpose()?;
        Ok((rows, last))
    }

    /// Adds rows as they are.
    pub fn insert(&self, conn: &mut dyn Connection, rows: &[Row]) -> Result<(), Error> {
        let Some(first) = rows.first() else { return Ok(()) };
        let columns = first.columns().to_vec();
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let (name, columns) = (self.name, columns.join(", "));
        let sql = format!("-- table_copy\nINSERT INTO {name} ({columns}) VALUES ({})", places.join(", "));
        let rows: Vec<Vec<Value>> = rows.iter().cloned().map(Row::into_values).collect();
        conn.execute_many(&sql, &rows).map(drop)
    }

    /// Removes all rows, and answers how many there were.
    pub fn clear(&self, conn: &mut dyn Connection) -> Result<u64, Error> {
        let name = self.name;
        conn.execute(&format!("-- table_clear\nDELETE FROM {name}"), &[])
    }

    /// Removes the rows of residents who are not there, or are erased.
    pub fn clear_strangers(&self, conn: &mut dyn Connection) -> Result<u64, Error> {
        let name = self.name;
        let sql = format!(
            "-- table_clear_strangers\nDELETE FROM {name} WHERE resident NOT IN (SELECT resident FROM residents WHERE state <> 'erased')"
        );
        conn.execute(&sql, &[])
    }
}

const fn of_residents(name: &'static str, source: Source, key: &'static [&'static str]) -> Table {
    Table { name, source, key, is_of_residents: true }
}

const fn of_nobody(name: &'static str, source: Source, key: &'static [&'static str]) -> Table {
    Table { name, source, key, is_of_residents: false }
}
