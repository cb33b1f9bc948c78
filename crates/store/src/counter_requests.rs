//! Requests at a counter that two clerks have to approve.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error};
use crate::number;

/// A request for a new way in.
#[derive(Clone, Debug)]
pub struct CounterRequest {
    pub id: String,
    pub resident: u64,
    /// What she is to get: `passkey` or `card`; `guardian` for what is said in `guardian`; `case` with the hash of a case that is to be filed.
    pub way: String,
    /// Who is to be her guardian and until when; `None` as the time where the guardianship is to end.
    pub guardian: Option<(u64, Option<Time>)>,
    pub expires_at: Time,
    /// Names of the keys of the clerks who approved, in their order.
    pub clerks: Vec<String>,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

/// Adds a request that nobody has approved.
pub fn insert(conn: &mut dyn Connection, request: &CounterRequest) -> Result<(), Error> {
    let sql = "-- counter_request_insert\nINSERT INTO counter_requests (request_id, resident, way, expires_at, guardian, guardian_ends_at, mark) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let params = [
        request.id.as_str().into(),
        number(request.resident).into(),
        request.way.as_str().into(),
        request.expires_at.micros().into(),
        request.guardian.map(|(guardian, _)| number(guardian)).into(),
        request.guardian.and_then(|(_, ends_at)| ends_at).map(Time::micros).into(),
        request.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The request with this id, if its time is not over and nothing was handed out for it.
pub fn find(conn: &mut dyn Connection, id: &str, now: Time) -> Result<Option<CounterRequest>, Error> {
    let sql = "-- counter_request_find\nSELECT resident, way, expires_at, first_clerk, second_clerk, guardian, guardian_ends_at, mark FROM counter_requests \
               WHERE request_id = $1 AND expires_at > $2 AND used_at IS NULL";
    let row = conn.query_one(sql, &[id.into(), now.micros().into()])?;
    row.map(|row| {
        let clerks = [row.optional_text(3)?, row.optional_text(4)?];
        Ok(CounterRequest {
            id: id.to_owned(),
            resident: row.integer(0)?.cast_unsigned(),
            way: row.text(1)?.to_owned(),
            guardian: match row.optional_integer(5)? {
                Some(guardian) => Some((guardian.cast_unsigned(), row.optional_integer(6)?.map(Time::from_micros))),
                None => None,
            },
            expires_at: Time::from_micros(row.integer(2)?),
            clerks: clerks.into_iter().flatten().map(str::to_owned).collect(),
            mark: crate::mark(&row, 7)?,
        })
    })
    .transpose()
}

/// Notes who approved, and the mark over it.
pub fn set_clerks(conn: &mut dyn Connection, request: &CounterRequest) -> Result<(), Error> {
    let sql = "-- counter_request_set_clerks\nUPDATE counter_requests SET first_clerk = $2, second_clerk = $3, mark = $4 WHERE request_id = $1";
    let clerk = |at: usize| request.clerks.get(at).map(String::as_str).into();
    let mark = request.mark.map(|mark| mark.0.to_vec()).into();
    conn.execute(sql, &[request.id.as_str().into(), clerk(0), clerk(1), mark])?;
    Ok(())
}

/// Uses a request up, and takes its mark away. False when it was used before.
pub fn redeem(conn: &mut dyn Connection, id: &str, now: Time) -> Result<bool, Error> {
    let sql = "-- counter_request_redeem\nUPDATE counter_requests SET used_at = $2, mark = NULL WHERE request_id = $1 AND used_at IS NULL";
    Ok(conn.execute(sql, &[id.into(), now.micros().into()])? == 1)
}

/// Deletes the requests of a resident for a way in, approved or not. Those about guardians stay.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- counter_request_purge\nDELETE FROM counter_requests WHERE resident = $1 AND guardian IS NULL";
    conn.execute(sql, &[number(resident).into()])
}

/// Deletes requests whose time was over before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute(
        "-- counter_request_delete_expired\nDELETE FROM counter_requests WHERE expires_at < $1",
        &[before.micros().into()],
    )
}
