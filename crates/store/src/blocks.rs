//! Sealed blocks: the resident's own copies and the copies on loan under a grant.

use usufruct_core::Time;

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// The own copies of a resident: block number and sealed value.
pub fn own(conn: &mut dyn Connection, resident: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let sql = "-- own_block_list\nSELECT block, sealed FROM own_blocks WHERE shard = $1 AND resident = $2 ORDER BY block";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into()])?;
    rows.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), row.bytes(1)?.to_vec()))).collect()
}

/// Sets own copies: resident, block number, sealed value.
pub fn put_own(conn: &mut dyn Connection, blocks: &[(u64, u64, Vec<u8>)], now: Time) -> Result<(), Error> {
    let rows: Vec<_> = blocks
        .iter()
        .map(|(resident, block, sealed)| {
            vec![
                shard(*resident).into(),
                number(*resident).into(),
                block.cast_signed().into(),
                Value::from(sealed.clone()),
                now.micros().into(),
            ]
        })
        .collect();
    let sql = "-- own_block_put\nINSERT INTO own_blocks (shard, resident, block, sealed, updated_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (shard, resident, block) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at";
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// The copies on loan of a resident under a mandate: block number and sealed value.
pub fn lent(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let sql = "-- lent_block_list\nSELECT block, sealed FROM lent_blocks WHERE shard = $1 AND resident = $2 AND mandate = $3";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])?;
    rows.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), row.bytes(1)?.to_vec()))).collect()
}

/// The copies on loan of a resident: mandate number, block number and sealed value.
pub fn all_lent(conn: &mut dyn Connection, resident: u64) -> Result<Vec<(u64, u64, Vec<u8>)>, Error> {
    let sql = "-- lent_block_list_all\nSELECT mandate, block, sealed FROM lent_blocks WHERE shard = $1 AND resident = $2";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into()])?;
    rows.iter()
        .map(|row| Ok((row.integer(0)?.cast_unsigned(), row.integer(1)?.cast_unsigned(), row.bytes(2)?.to_vec())))
        .collect()
}

/// Up to `limit` residents who have copies on loan under a mandate, from the one after `after` on.
pub fn lending(conn: &mut dyn Connection, mandate: u64, after: Option<u64>, limit: usize) -> Result<Vec<u64>, Error> {
    let sql = "-- lent_block_residents\nSELECT DISTINCT shard, resident FROM lent_blocks WHERE mandate = $1 \
               AND (shard, resident) > ($2, $3) ORDER BY shard, resident LIMIT $4";
    let (from, resident) = after.map_or((Value::from(-1), Value::from(-1)), |last| (shard(last).into(), number(last).into()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = conn.query(sql, &[mandate.cast_signed().into(), from, resident, limit.into()])?;
    rows.iter().map(|row| Ok(row.integer(1)?.cast_unsigned())).collect()
}

/// Sets copies on loan: resident, mandate number, block number, sealed value.
pub fn put_lent(conn: &mut dyn Connection, blocks: &[(u64, u64, u64, Vec<u8>)]) -> Result<(), Error> {
    let rows: Vec<_> = blocks
        .iter()
        .map(|(resident, mandate, block, sealed)| {
            vec![
                shard(*resident).into(),
                number(*resident).into(),
                mandate.cast_signed().into(),
                block.cast_signed().into(),
                Value::from(sealed.clone()),
            ]
        })
        .collect();
    let sql = "-- lent_block_put\nINSERT INTO lent_blocks (shard, resident, mandate, block, sealed) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (shard, resident, mandate, block) DO UPDATE SET sealed = excluded.sealed";
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// Deletes the copies on loan of a resident under a mandate.
pub fn delete_lent(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<(), Error> {
    let sql = "-- lent_block_delete\nDELETE FROM lent_blocks WHERE shard = $1 AND resident = $2 AND mandate = $3";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])?;
    Ok(())
}

/// Deletes up to `limit` copies on loan under a mandate. The keys are gone before; this frees the room.
pub fn purge_mandate(conn: &mut dyn Connection, mandate: u64, limit: usize) -> Result<u64, Error> {
    let sql = "-- lent_block_purge\nDELETE FROM lent_blocks WHERE mandate = $1 AND (shard, resident, block) IN \
               (SELECT shard, resident, block FROM lent_blocks WHERE mandate = $1 LIMIT $2)";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])
}

/// Deletes everything sealed about a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<(), Error> {
    for sql in [
        "-- own_block_purge_resident\nDELETE FROM own_blocks WHERE shard = $1 AND resident = $2",
        "-- lent_block_purge_resident\nDELETE FROM lent_blocks WHERE shard = $1 AND resident = $2",
    ] {
        conn.execute(sql, &[shard(resident).into(), number(resident).into()])?;
    }
    Ok(())
}
