//! What services have to be told, until they have it.

use usufruct_core::id::ServiceId;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};

/// Something a service has to be told.
#[derive(Clone, Debug)]
pub struct Message {
    /// Random, and the `jti` of a signal.
    pub id: String,
    pub service: ServiceId,
    pub channel: Channel,
    /// What happened and under which pseudonym, sealed.
    pub sealed: Vec<u8>,
    pub noted_at: Time,
    /// Before this the service is not told; `None` for at once.
    pub ready_at: Option<Time>,
    /// Joins the messages of a service about one resident; `None` where it is about nobody.
    pub line: Option<Digest>,
    /// When it is tried next.
    pub due_at: Time,
    pub attempts: i64,
    /// When it is given up.
    pub ends_at: Time,
}

/// In what form it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A logout token (OpenID Connect Back-Channel Logout 1.0).
    Logout,
    /// A security event token (RFC 8417) on the stream of the service.
    Signal,
}

impl Channel {
    pub fn code(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Signal => "signal",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Logout, Self::Signal].into_iter().find(|channel| channel.code() == code)
    }
}

const COLUMNS: &str = "message_id, service, channel, sealed, noted_at, due_at, attempts, ends_at, ready_at, line";

/// Adds messages.
pub fn insert(conn: &mut dyn Connection, messages: &[Message]) -> Result<(), Error> {
    let sql = format!("-- outbox_insert\nINSERT INTO outbox ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    let rows: Vec<Vec<Value>> = messages
        .iter()
        .map(|message| {
            vec![
                message.id.as_str().into(),
                message.service.as_str().into(),
                message.channel.code().into(),
                Value::from(&message.sealed),
                message.noted_at.micros().into(),
                message.due_at.micros().into(),
                message.attempts.into(),
                message.ends_at.micros().into(),
                message.ready_at.map(Time::micros).into(),
                message.line.map(|line| line.0.to_vec()).into(),
            ]
        })
        .collect();
    conn.execute_many(&sql, &rows)?;
    Ok(())
}

/// Up to `limit` messages that are to be sent now, the longest due first: logout tokens, and signals of streams that are pushed to.
/// They are due again at `until`, unless they are settled before.
pub fn lease(conn: &mut dyn Connection, now: Time, until: Time, limit: usize) -> Result<Vec<Message>, Error> {
    let sql = format!(
        "-- outbox_due\nSELECT {COLUMNS} FROM outbox o WHERE due_at <= $1 AND ends_at > $1 AND (ready_at IS NULL OR ready_at <= $1) AND (channel = 'logout' OR EXISTS \
         (SELECT 1 FROM streams s WHERE s.service = o.service AND s.status = 'enabled' AND s.method = 'push')) \
         ORDER BY due_at, noted_at, message_id LIMIT $2"
    );
    let rows = conn.query(&sql, &[now.micros().into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])?;
    let mut messages: Vec<Message> = rows.iter().map(read).collect::<Result<_, _>>()?;
    let leases: Vec<Vec<Value>> = messages
        .iter_mut()
        .map(|message| {
            message.attempts += 1;
            message.due_at = until;
            vec![message.id.as_str().into(), until.micros().into(), message.attempts.into()]
        })
        .collect();
    conn.execute_many("-- outbox_lease\nUPDATE outbox SET due_at = $2, attempts = $3 WHERE message_id = $1", &leases)?;
    Ok(messages)
}

/// Up to `limit` signals that wait for a service and may be told by now, oldest first.
pub fn waiting(conn: &mut dyn Connection, service: &ServiceId, now: Time, limit: usize) -> Result<Vec<Message>, Error> {
    let sql = format!(
        "-- outbox_waiting\nSELECT {COLUMNS} FROM outbox WHERE service = $1 AND channel = 'signal' AND ends_at > $2 \
         AND (ready_at IS NULL OR ready_at <= $2) ORDER BY noted_at, message_id LIMIT $3"
    );
    let params = [service.as_str().into(), now.micros().into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    conn.query(&sql, &params)?.iter().map(read).collect()
}

/// When the last message of a line that waits is ready.
pub fn last_of_line(conn: &mut dyn Connection, line: &Digest) -> Result<Option<Time>, Error> {
    let sql = "-- outbox_last_of_line\nSELECT MAX(ready_at) FROM outbox WHERE line = $1";
    let row = conn.query_one(sql, &[Value::from(line.0.to_vec())])?;
    row.map_or(Ok(None), |row| Ok(row.optional_integer(0)?.map(Time::from_micros)))
}

/// Makes the messages of a line ready by `now`, in their order.
pub fn ready_line(conn: &mut dyn Connection, line: &Digest, now: Time) -> Result<(), Error> {
    let sql = "-- outbox_ready_line\nUPDATE outbox SET ready_at = $2 WHERE line = $1 AND ready_at > $2";
    conn.execute(sql, &[Value::from(line.0.to_vec()), now.micros().into()])?;
    Ok(())
}

/// Removes a message that its service has.
pub fn settle(conn: &mut dyn Connection, id: &str) -> Result<(), Error> {
    conn.execute("-- outbox_settle\nDELETE FROM outbox WHERE message_id = $1", &[id.into()])?;
    Ok(())
}

/// Removes signals that a service says it has; those of others stay.
pub fn acknowledge(conn: &mut dyn Connection, service: &ServiceId, ids: &[String]) -> Result<(), Error> {
    let rows: Vec<Vec<Value>> = ids.iter().map(|id| vec![id.as_str().into(), service.as_str().into()]).collect();
    let sql = "-- outbox_acknowledge\nDELETE FROM outbox WHERE message_id = $1 AND service = $2 AND channel = 'signal'";
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// Puts a message off until `due_at`, unless somebody else has tried it since its `attempts`-th time.
pub fn put_off(conn: &mut dyn Connection, id: &str, attempts: i64, due_at: Time) -> Result<(), Error> {
    let sql = "-- outbox_put_off\nUPDATE outbox SET due_at = $3 WHERE message_id = $1 AND attempts = $2";
    conn.execute(sql, &[id.into(), attempts.into(), due_at.micros().into()])?;
    Ok(())
}

/// Puts everything off that would be sent to a service on a channel before `due_at`.
pub fn put_off_all(conn: &mut dyn Connection, service: &ServiceId, channel: Channel, due_at: Time) -> Result<(), Error> {
    let sql = "-- outbox_put_off_all\nUPDATE outbox SET due_at = $3 WHERE service = $1 AND channel = $2 AND due_at < $3";
    conn.execute(sql, &[service.as_str().into(), channel.code().into(), due_at.micros().into()])?;
    Ok(())
}

/// Makes everything due that waits for the stream of a service. What is not ready yet waits on, or a service could ask for word of the moment.
pub fn hasten(conn: &mut dyn Connection, service: &ServiceId, now: Time) -> Result<(), Error> {
    let sql = "-- outbox_hasten\nUPDATE outbox SET due_at = $2 WHERE service = $1 AND channel = 'signal' AND due_at > $2";
    conn.execute(sql, &[service.as_str().into(), now.micros().into()])?;
    Ok(())
}

/// Removes every signal that waits for a service.
pub fn delete_signals(conn: &mut dyn Connection, service: &ServiceId) -> Result<u64, Error> {
    let sql = "-- outbox_delete_signals\nDELETE FROM outbox WHERE service = $1 AND channel = 'signal'";
    conn.execute(sql, &[service.as_str().into()])
}

/// Gives up what could not be told in time, and answers how much that was.
pub fn give_up(conn: &mut dyn Connection, now: Time) -> Result<u64, Error> {
    conn.execute("-- outbox_give_up\nDELETE FROM outbox WHERE ends_at <= $1", &[now.micros().into()])
}

fn read(row: &Row) -> Result<Message, Error> {
    Ok(Message {
        id: row.text(0)?.to_owned(),
        service: row.text(1)?.parse().map_err(|_| crate::inconsistent("outbox.service"))?,
        channel: Channel::from_code(row.text(2)?).ok_or_else(|| crate::inconsistent("outbox.channel"))?,
        sealed: row.bytes(3)?.to_vec(),
        noted_at: Time::from_micros(row.integer(4)?),
        due_at: Time::from_micros(row.integer(5)?),
        attempts: row.integer(6)?,
        ends_at: Time::from_micros(row.integer(7)?),
        ready_at: row.optional_integer(8)?.map(Time::from_micros),
        line: crate::mark(row, 9)?,
    })
}
