//! Certificate cards that were shown for a ceremony, until it is finished or over.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};

/// Notes a card that was shown. False when one was shown for this ceremony already.
pub fn insert(conn: &mut dyn Connection, ceremony_hash: &Digest, sealed: &[u8], expires_at: Time) -> Result<bool, Error> {
    let sql = "-- shown_card_insert\nINSERT INTO shown_cards (ceremony_hash, sealed, expires_at) VALUES ($1, $2, $3) \
               ON CONFLICT (ceremony_hash) DO NOTHING";
    let params = [Value::from(ceremony_hash.0.to_vec()), sealed.to_vec().into(), expires_at.micros().into()];
    Ok(conn.execute(sql, &params)? == 1)
}

/// The card that was shown for a ceremony, sealed.
pub fn find(conn: &mut dyn Connection, ceremony_hash: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let sql = "-- shown_card_find\nSELECT sealed FROM shown_cards WHERE ceremony_hash = $1";
    let row = conn.query_one(sql, &[Value::from(ceremony_hash.0.to_vec())])?;
    row.map(|row| Ok(row.bytes(0)?.to_vec())).transpose()
}

/// Forgets the card of a ceremony. False when there is none.
pub fn delete(conn: &mut dyn Connection, ceremony_hash: &Digest) -> Result<bool, Error> {
    let sql = "-- shown_card_delete\nDELETE FROM shown_cards WHERE ceremony_hash = $1";
    Ok(conn.execute(sql, &[Value::from(ceremony_hash.0.to_vec())])? == 1)
}

/// Forgets the cards of ceremonies that were over before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- shown_card_delete_expired\nDELETE FROM shown_cards WHERE expires_at < $1", &[before.micros().into()])
}
