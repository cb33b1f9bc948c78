//! Certificate cards of residents, known by marks that only the house can make.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// A certificate card.
#[derive(Clone)]
pub struct CertificateCard {
    /// Mark over issuer and public key.
    pub mark: Digest,
    pub resident: u64,
    /// What she calls it.
    pub label: String,
    /// Mark over the name of the issuer.
    pub issuer: Digest,
    /// Mark over issuer and serial number.
    pub serial: Digest,
    /// The midnight after the last day of the certificate.
    pub ends_at: Time,
    pub added_at: Time,
    pub used_at: Option<Time>,
    /// Shows that the house registered it as it stands here.
    pub row_mark: Option<Digest>,
}

const COLUMNS: &str = "card_mark, resident, label, issuer_mark, serial_mark, ends_at, added_at, used_at, mark";

/// Adds a card.
pub fn insert(conn: &mut dyn Connection, card: &CertificateCard) -> Result<(), Error> {
    let sql = "-- certificate_card_insert\nINSERT INTO certificate_cards (card_mark, resident, label, issuer_mark, serial_mark, ends_at, added_at, mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let params = [
        bytes(&card.mark),
        number(card.resident).into(),
        card.label.as_str().into(),
        bytes(&card.issuer),
        bytes(&card.serial),
        card.ends_at.micros().into(),
        card.added_at.micros().into(),
        card.row_mark.as_ref().map(bytes).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The card with this mark.
pub fn find(conn: &mut dyn Connection, mark: &Digest) -> Result<Option<CertificateCard>, Error> {
    let sql = format!("-- certificate_card_find\nSELECT {COLUMNS} FROM certificate_cards WHERE card_mark = $1");
    conn.query_one(&sql, &[bytes(mark)])?.as_ref().map(read).transpose()
}

/// The cards of a resident, oldest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<CertificateCard>, Error> {
    let sql = format!(
        "-- certificate_card_of_resident\nSELECT {COLUMNS} FROM certificate_cards WHERE resident = $1 ORDER BY added_at, card_mark"
    );
    conn.query(&sql, &[number(resident).into()])?.iter().map(read).collect()
}

/// Up to `limit` cards with a mark above `after`, in the order of their marks.
pub fn page(conn: &mut dyn Connection, after: &Digest, limit: i64) -> Result<Vec<CertificateCard>, Error> {
    let sql = format!(
        "-- certificate_card_page\nSELECT {COLUMNS} FROM certificate_cards WHERE card_mark > $1 ORDER BY card_mark LIMIT $2"
    );
    conn.query(&sql, &[bytes(after), limit.into()])?.iter().map(read).collect()
}

/// Up to `limit` cards whose last day is over.
pub fn ended(conn: &mut dyn Connection, now: Time, limit: i64) -> Result<Vec<CertificateCard>, Error> {
    let sql = format!("-- certificate_card_ended\nSELECT {COLUMNS} FROM certificate_cards WHERE ends_at <= $1 LIMIT $2");
    conn.query(&sql, &[now.micros().into(), limit.into()])?.iter().map(read).collect()
}

/// Up to `limit` cards without a mark of their row that come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<CertificateCard>, Error> {
    let sql = format!(
        "-- certificate_card_unmarked\nSELECT {COLUMNS} FROM certificate_cards WHERE card_mark > $1 AND mark IS NULL ORDER BY card_mark LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a row that has none.
pub fn set_mark(conn: &mut dyn Connection, card: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- certificate_card_set_mark\nUPDATE certificate_cards SET mark = $2 WHERE card_mark = $1 AND mark IS NULL";
    conn.execute(sql, &[bytes(card), bytes(mark)])?;
    Ok(())
}

/// Notes that a card was used, with the certificate that it has now.
pub fn touch(conn: &mut dyn Connection, card: &CertificateCard, now: Time) -> Result<(), Error> {
    let sql = "-- certificate_card_touch\nUPDATE certificate_cards SET issuer_mark = $2, serial_mark = $3, ends_at = $4, used_at = $5, mark = $6 WHERE card_mark = $1";
    let params = [
        bytes(&card.mark),
        bytes(&card.issuer),
        bytes(&card.serial),
        card.ends_at.micros().into(),
        now.micros().into(),
        card.row_mark.as_ref().map(bytes).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Deletes the card of a resident. Whether there was one.
pub fn delete(conn: &mut dyn Connection, resident: u64, mark: &Digest) -> Result<bool, Error> {
    let sql = "-- certificate_card_delete\nDELETE FROM certificate_cards WHERE resident = $1 AND card_mark = $2";
    Ok(conn.execute(sql, &[number(resident).into(), bytes(mark)])? == 1)
}

/// Deletes the cards of a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- certificate_card_purge_resident\nDELETE FROM certificate_cards WHERE resident = $1";
    conn.execute(sql, &[number(resident).into()])
}

fn bytes(mark: &Digest) -> Value {
    Value::from(mark.0.to_vec())
}

fn read(row: &Row) -> Result<CertificateCard, Error> {
    Ok(CertificateCard {
        mark: Digest(row.array(0)?),
        resident: row.integer(1)?.cast_unsigned(),
        label: row.text(2)?.to_owned(),
        issuer: Digest(row.array(3)?),
        serial: Digest(row.array(4)?),
        ends_at: Time::from_micros(row.integer(5)?),
        added_at: Time::from_micros(row.integer(6)?),
        used_at: row.optional_integer(7)?.map(Time::from_micros),
        row_mark: crate::mark(row, 8)?,
    })
}
