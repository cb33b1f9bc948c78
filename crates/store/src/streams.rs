//! Streams: where a service wants to be told what happens.

use usufruct_core::Time;
use usufruct_core::id::ServiceId;

use crate::db::{Connection, Error, Row, Value};

/// The stream of a service.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    pub id: String,
    pub service: ServiceId,
    pub status: Status,
    /// Why, in the words of the service.
    pub reason: Option<String>,
    pub method: Method,
    /// Where to push to.
    pub endpoint: Option<String>,
    /// What to send as `Authorization` with a push, sealed.
    pub authorization_header: Option<Vec<u8>>,
    /// Types of event it asked for; `None` for all.
    pub events: Option<Vec<String>>,
    pub description: Option<String>,
    pub created_at: Time,
    /// When the service last asked to have it verified.
    pub verified_at: Option<Time>,
}

/// Whether events flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Enabled,
    /// They are held.
    Paused,
    /// They are dropped.
    Disabled,
}

/// How events reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 8935.
    Push,
    /// RFC 8936.
    Poll,
}

impl Status {
    pub fn code(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Enabled, Self::Paused, Self::Disabled].into_iter().find(|status| status.code() == code)
    }
}

impl Method {
    pub fn code(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Poll => "poll",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Push, Self::Poll].into_iter().find(|method| method.code() == code)
    }
}

const COLUMNS: &str =
    "stream_id, service, status, reason, method, endpoint, authorization_header, events, description, created_at, verified_at";

/// Adds a stream. [`Error::Conflict`] when the service has one.
pub fn insert(conn: &mut dyn Connection, stream: &Stream) -> Result<(), Error> {
    let sql = format!("-- stream_insert\nINSERT INTO streams ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    conn.execute(&sql, &values(stream))?;
    Ok(())
}

/// Sets everything of a stream but its id, its service and when it was made. False when there is no such one.
pub fn update(conn: &mut dyn Connection, stream: &Stream) -> Result<bool, Error> {
    let sql = "-- stream_update\nUPDATE streams SET status = $3, reason = $4, method = $5, endpoint = $6, authorization_header = $7, \
               events = $8, description = $9, verified_at = $11 WHERE stream_id = $1 AND service = $2 AND created_at = $10";
    Ok(conn.execute(sql, &values(stream))? == 1)
}

/// The stream of a service.
pub fn of_service(conn: &mut dyn Connection, service: &ServiceId) -> Result<Option<Stream>, Error> {
    let sql = format!("-- stream_of_service\nSELECT {COLUMNS} FROM streams WHERE service = $1");
    conn.query_one(&sql, &[service.as_str().into()])?.as_ref().map(read).transpose()
}

/// Deletes the stream of a service, with what was waiting for it. False when there is no such one.
pub fn delete(conn: &mut dyn Connection, id: &str, service: &ServiceId) -> Result<bool, Error> {
    let sql = "-- stream_delete\nDELETE FROM streams WHERE stream_id = $1 AND service = $2";
    let is_gone = conn.execute(sql, &[id.into(), service.as_str().into()])? == 1;
    if is_gone {
        crate::outbox::delete_signals(conn, service)?;
    }
    Ok(is_gone)
}

fn values(stream: &Stream) -> [Value; 11] {
    [
        stream.id.as_str().into(),
        stream.service.as_str().into(),
        stream.status.code().into(),
        stream.reason.clone().into(),
        stream.method.code().into(),
        stream.endpoint.clone().into(),
        stream.authorization_header.clone().into(),
        stream.events.as_ref().map(|events| events.join(" ")).into(),
        stream.description.clone().into(),
        stream.created_at.micros().into(),
        stream.verified_at.map(Time::micros).into(),
    ]
}

fn read(row: &Row) -> Result<Stream, Error> {
    Ok(Stream {
        id: row.text(0)?.to_owned(),
        service: row.text(1)?.parse().map_err(|_| crate::inconsistent("streams.service"))?,
        status: Status::from_code(row.text(2)?).ok_or_else(|| crate::inconsistent("streams.status"))?,
        reason: row.optional_text(3)?.map(str::to_owned),
        method: Method::from_code(row.text(4)?).ok_or_else(|| crate::inconsistent("streams.method"))?,
        endpoint: row.optional_text(5)?.map(str::to_owned),
        authorization_header: row.optional_bytes(6)?.map(<[u8]>::to_vec),
        events: row.optional_text(7)?.map(|events| events.split_whitespace().map(str::to_owned).collect()),
        description: row.optional_text(8)?.map(str::to_owned),
        created_at: Time::from_micros(row.integer(9)?),
        verified_at: row.optional_integer(10)?.map(Time::from_micros),
    })
}
