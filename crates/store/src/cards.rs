//! Printed cards of residents.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// A card. It has no `Debug`: the hash of a PIN is soon guessed.
#[derive(Clone)]
pub struct Card {
    pub secret_hash: Digest,
    pub resident: u64,
    /// PHC string.
    pub pin: String,
    pub issued_at: Time,
    pub used_at: Option<Time>,
    /// Shows that the house issued it as it stands here.
    pub mark: Option<Digest>,
}

const COLUMNS: &str = "secret_hash, resident, pin, issued_at, used_at, mark";

/// Adds a card.
pub fn insert(conn: &mut dyn Connection, card: &Card) -> Result<(), Error> {
    let sql = "-- card_insert\nINSERT INTO cards (secret_hash, resident, pin, issued_at, mark) VALUES ($1, $2, $3, $4, $5)";
    let params = [
        Value::from(card.secret_hash.0.to_vec()),
        number(card.resident).into(),
        card.pin.as_str().into(),
        card.issued_at.micros().into(),
        card.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The card with this secret.
pub fn find(conn: &mut dyn Connection, secret_hash: &Digest) -> Result<Option<Card>, Error> {
    let sql = format!("-- card_find\nSELECT {COLUMNS} FROM cards WHERE secret_hash = $1");
    conn.query_one(&sql, &[Value::from(secret_hash.0.to_vec())])?.as_ref().map(read).transpose()
}

/// The cards of a resident, oldest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Card>, Error> {
    let sql = format!("-- card_of_resident\nSELECT {COLUMNS} FROM cards WHERE resident = $1 ORDER BY issued_at");
    conn.query(&sql, &[number(resident).into()])?.iter().map(read).collect()
}

/// Up to `limit` cards without a mark whose hashes come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<Card>, Error> {
    let sql = format!(
        "-- card_unmarked\nSELECT {COLUMNS} FROM cards WHERE secret_hash > $1 AND mark IS NULL ORDER BY secret_hash LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a card that has none.
pub fn set_mark(conn: &mut dyn Connection, secret_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- card_set_mark\nUPDATE cards SET mark = $2 WHERE secret_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(secret_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

/// Notes that a card was used.
pub fn touch(conn: &mut dyn Connection, secret_hash: &Digest, now: Time) -> Result<(), Error> {
    let sql = "-- card_touch\nUPDATE cards SET used_at = $2 WHERE secret_hash = $1";
    conn.execute(sql, &[Value::from(secret_hash.0.to_vec()), now.micros().into()])?;
    Ok(())
}

/// Deletes the cards of a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    conn.execute("-- card_purge_resident\nDELETE FROM cards WHERE resident = $1", &[number(resident).into()])
}

fn read(row: &Row) -> Result<Card, Error> {
    Ok(Card {
        secret_hash: Digest(row.bytes(0)?.try_into().map_err(|_| crate::inconsistent("cards.secret_hash"))?),
        resident: row.integer(1)?.cast_unsigned(),
        pin: row.text(2)?.to_owned(),
        issued_at: Time::from_micros(row.integer(3)?),
        used_at: row.optional_integer(4)?.map(Time::from_micros),
        mark: crate::mark(row, 5)?,
    })
}
