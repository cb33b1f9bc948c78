//! Wrong guesses in a row.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};

/// How many guesses were wrong, and before when no other is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    pub failures: i64,
    pub retry_at: Time,
}

/// What is known under a key.
pub fn find(conn: &mut dyn Connection, key: &Digest) -> Result<Option<Attempts>, Error> {
    let sql = "-- attempt_find\nSELECT failures, retry_at FROM attempts WHERE attempt_key = $1";
    let row = conn.query_one(sql, &[Value::from(key.0.to_vec())])?;
    row.map(|row| Ok(Attempts { failures: row.integer(0)?, retry_at: Time::from_micros(row.integer(1)?) })).transpose()
}

/// Stores what is known now.
pub fn put(conn: &mut dyn Connection, key: &Digest, attempts: Attempts) -> Result<(), Error> {
    let sql = "-- attempt_put\nINSERT INTO attempts (attempt_key, failures, retry_at) VALUES ($1, $2, $3) \
               ON CONFLICT (attempt_key) DO UPDATE SET failures = excluded.failures, retry_at = excluded.retry_at";
    conn.execute(sql, &[Value::from(key.0.to_vec()), attempts.failures.into(), attempts.retry_at.micros().into()])?;
    Ok(())
}

/// Forgets a key after a right guess.
pub fn delete(conn: &mut dyn Connection, key: &Digest) -> Result<(), Error> {
    conn.execute("-- attempt_delete\nDELETE FROM attempts WHERE attempt_key = $1", &[Value::from(key.0.to_vec())])?;
    Ok(())
}
