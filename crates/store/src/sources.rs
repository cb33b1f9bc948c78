//! Sources: how far each gateway that counts its uses has come under each mandate, and what of it is missing.

use usufruct_core::Time;
use usufruct_core::source::Source;

use crate::db::{Connection, Error, Row, Value};

/// Where one source stands under one mandate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub source: Source,
    /// Number of the mandate.
    pub mandate: u64,
    /// Every number from 1 up to this one is in the log.
    pub received: u64,
    /// The highest number that is known to be given out.
    pub highest: u64,
    pub heard_at: Time,
    /// Since when a number has been missing.
    pub behind_since: Option<Time>,
    /// Whether the source has said that it reports no more.
    pub is_ended: bool,
}

const COLUMNS: &str = "source, mandate, received, highest, heard_at, behind_since, ended";

/// Where a source stands under a mandate.
pub fn find(conn: &mut dyn Connection, source: &Source, mandate: u64) -> Result<Option<Standing>, Error> {
    let sql = format!("-- source_find\nSELECT {COLUMNS} FROM sources WHERE source = $1 AND mandate = $2");
    conn.query_one(&sql, &[source.as_str().into(), mandate.cast_signed().into()])?.as_ref().map(read).transpose()
}

/// Where every source stands.
pub fn all(conn: &mut dyn Connection) -> Result<Vec<Standing>, Error> {
    let sql = format!("-- source_all\nSELECT {COLUMNS} FROM sources ORDER BY source, mandate");
    conn.query(&sql, &[])?.iter().map(read).collect()
}

/// Stores where a source stands.
pub fn put(conn: &mut dyn Connection, standing: &Standing) -> Result<(), Error> {
    let sql = "-- source_put\nINSERT INTO sources (source, mandate, received, highest, heard_at, behind_since, ended) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source, mandate) DO UPDATE SET received = excluded.received, \
               highest = excluded.highest, heard_at = excluded.heard_at, behind_since = excluded.behind_since, \
               ended = excluded.ended";
    let params = [
        standing.source.as_str().into(),
        standing.mandate.cast_signed().into(),
        standing.received.cast_signed().into(),
        standing.highest.cast_signed().into(),
        standing.heard_at.micros().into(),
        standing.behind_since.map(Time::micros).into(),
        i64::from(standing.is_ended).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Takes a number of a source as logged. False when it was logged before.
pub fn take(conn: &mut dyn Connection, source: &Source, mandate: u64, number: u64, now: Time) -> Result<bool, Error> {
    let mut standing = find(conn, source, mandate)?.unwrap_or_else(|| Standing::begin(source.clone(), mandate, now));
    if number <= standing.received || is_ahead(conn, source, mandate, number)? {
        return Ok(false);
    }
    if number == standing.received + 1 {
        standing.received = number;
        while drop_ahead(conn, source, mandate, standing.received + 1)? {
            standing.received += 1;
        }
    } else {
        let sql = "-- source_ahead\nINSERT INTO source_ahead (source, mandate, number) VALUES ($1, $2, $3)";
        conn.execute(sql, &key(source, mandate, number))?;
    }
    standing.hear(number, now);
    put(conn, &standing)?;
    Ok(true)
}

/// Takes the next line of a source that does not count for itself, and answers its number. The source is not waited for: nobody knows how many
/// lines it has. `None` when the operation was logged before.
pub fn take_next(
    conn: &mut dyn Connection,
    source: &Source,
    mandate: u64,
    operation: &[u8; 24],
    happened_at: Time,
    now: Time,
) -> Result<Option<u64>, Error> {
    let sql = "-- source_operation\nINSERT INTO source_operations (source, operation, happened_at) VALUES ($1, $2, $3) \
               ON CONFLICT (source, operation) DO NOTHING";
    if conn.execute(sql, &[source.as_str().into(), operation.to_vec().into(), happened_at.micros().into()])? == 0 {
        return Ok(None);
    }
    let number = find(conn, source, mandate)?.map_or(0, |standing| standing.highest) + 1;
    take(conn, source, mandate, number, now)?;
    if let Some(standing) = find(conn, source, mandate)? {
        put(conn, &Standing { is_ended: true, ..standing })?;
    }
    Ok(Some(number))
}

/// Whether an operation of a source was logged before.
pub fn is_operation_taken(conn: &mut dyn Connection, source: &Source, operation: &[u8; 24]) -> Result<bool, Error> {
    let sql = "-- source_operation_find\nSELECT 1 FROM source_operations WHERE source = $1 AND operation = $2";
    Ok(conn.query_one(sql, &[source.as_str().into(), operation.to_vec().into()])?.is_some())
}

/// Whether there are operations that happened before a time.
pub fn has_operations_before(conn: &mut dyn Connection, before: Time) -> Result<bool, Error> {
    let sql = "-- source_operation_old\nSELECT 1 FROM source_operations WHERE happened_at < $1 LIMIT 1";
    Ok(conn.query_one(sql, &[before.micros().into()])?.is_some())
}

/// Forgets the operations that happened before a time. Answers how many.
pub fn forget_operations(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    let sql = "-- source_operation_forget\nDELETE FROM source_operations WHERE happened_at < $1";
    conn.execute(sql, &[before.micros().into()])
}

/// How many numbers of a source are in the log although an earlier one is missing.
pub fn ahead(conn: &mut dyn Connection, source: &Source, mandate: u64) -> Result<u64, Error> {
    let sql = "-- source_count_ahead\nSELECT COUNT(*) FROM source_ahead WHERE source = $1 AND mandate = $2";
    let row = conn.query_one(sql, &[source.as_str().into(), mandate.cast_signed().into()])?;
    row.map_or(Ok(0), |row| Ok(row.integer(0)?.cast_unsigned()))
}

/// Whether a number was logged before.
pub fn is_taken(conn: &mut dyn Connection, source: &Source, mandate: u64, number: u64) -> Result<bool, Error> {
    let received = find(conn, source, mandate)?.map_or(0, |standing| standing.received);
    Ok(number <= received || is_ahead(conn, source, mandate, number)?)
}

impl Standing {
    /// A source that has given out nothing.
    pub fn begin(source: Source, mandate: u64, now: Time) -> Self {
        Self { source, mandate, received: 0, highest: 0, heard_at: now, behind_since: None, is_ended: false }
    }

    /// The source was heard, and has given out numbers up to `highest`.
    pub fn hear(&mut self, highest: u64, now: Time) {
        self.highest = self.highest.max(highest);
        self.heard_at = self.heard_at.max(now);
        self.is_ended = false;
        self.behind_since = (self.highest > self.received).then(|| self.behind_since.unwrap_or(now));
    }
}

fn is_ahead(conn: &mut dyn Connection, source: &Source, mandate: u64, number: u64) -> Result<bool, Error> {
    let sql = "-- source_is_ahead\nSELECT 1 FROM source_ahead WHERE source = $1 AND mandate = $2 AND number = $3";
    Ok(conn.query_one(sql, &key(source, mandate, number))?.is_some())
}

fn drop_ahead(conn: &mut dyn Connection, source: &Source, mandate: u64, number: u64) -> Result<bool, Error> {
    let sql = "-- source_drop_ahead\nDELETE FROM source_ahead WHERE source = $1 AND mandate = $2 AND number = $3";
    Ok(conn.execute(sql, &key(source, mandate, number))? == 1)
}

fn key(source: &Source, mandate: u64, number: u64) -> [Value; 3] {
    [source.as_str().into(), mandate.cast_signed().into(), number.cast_signed().into()]
}

fn read(row: &Row) -> Result<Standing, Error> {
    Ok(Standing {
        source: row.text(0)?.parse().map_err(|_| crate::inconsistent("sources.source"))?,
        mandate: row.integer(1)?.cast_unsigned(),
        received: row.integer(2)?.cast_unsigned(),
        highest: row.integer(3)?.cast_unsigned(),
        heard_at: Time::from_micros(row.integer(4)?),
        behind_since: row.optional_integer(5)?.map(Time::from_micros),
        is_ended: row.integer(6)? != 0,
    })
}
