//! Pages of the key tree, for cities that keep them in the database.

use crate::db::{Connection, Error, Row, Value};

/// Level, index and version of a page.
pub type Id = (u32, u64, u32);

/// Up to `limit` pages after `after`, in the order of their ids.
pub fn list(conn: &mut dyn Connection, after: Option<Id>, limit: usize) -> Result<Vec<(Id, Vec<u8>)>, Error> {
    let (level, index, version) = after.unwrap_or_default();
    let sql = "-- key_page_list\nSELECT level, idx, version, data FROM key_pages WHERE (level, idx, version) > ($1, $2, $3) OR CAST($4 AS BIGINT) = 1 \
               ORDER BY level, idx, version LIMIT $5";
    let mut params = id_values((level, index, version));
    params.push(i64::from(after.is_none()).into());
    params.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    conn.query(sql, &params)?.iter().map(|row| Ok((read_id(row)?, row.bytes(3)?.to_vec()))).collect()
}

/// A page.
pub fn find(conn: &mut dyn Connection, id: Id) -> Result<Option<Vec<u8>>, Error> {
    let sql = "-- key_page_find\nSELECT data FROM key_pages WHERE level = $1 AND idx = $2 AND version = $3";
    conn.query_one(sql, &id_values(id))?.map(|row| Ok(row.bytes(0)?.to_vec())).transpose()
}

/// Adds pages.
pub fn insert(conn: &mut dyn Connection, pages: &[(Id, Vec<u8>)]) -> Result<(), Error> {
    let rows: Vec<Vec<Value>> = pages
        .iter()
        .map(|(id, data)| {
            let mut row = id_values(*id);
            row.push(Value::from(data.clone()));
            row
        })
        .collect();
    conn.execute_many("-- key_page_insert\nINSERT INTO key_pages (level, idx, version, data) VALUES ($1, $2, $3, $4)", &rows)?;
    Ok(())
}

/// Removes all pages.
pub fn clear(conn: &mut dyn Connection) -> Result<u64, Error> {
    conn.execute("-- key_page_clear\nDELETE FROM key_pages", &[])
}

/// Removes pages.
pub fn delete(conn: &mut dyn Connection, ids: &[Id]) -> Result<(), Error> {
    let rows: Vec<Vec<Value>> = ids.iter().map(|id| id_values(*id)).collect();
    conn.execute_many("-- key_page_delete\nDELETE FROM key_pages WHERE level = $1 AND idx = $2 AND version = $3", &rows)?;
    Ok(())
}

fn id_values((level, index, version): Id) -> Vec<Value> {
    // The salt of a top page takes all 64 bits, which SQL holds as a signed number.
    vec![i64::from(level).into(), index.cast_signed().into(), i64::from(version).into()]
}

fn read_id(row: &Row) -> Result<Id, Error> {
    let bad = |_| crate::inconsistent("key_pages.level");
    let level = u32::try_from(row.integer(0)?).map_err(bad)?;
    Ok((level, row.integer(1)?.cast_unsigned(), u32::try_from(row.integer(2)?).map_err(bad)?))
}
