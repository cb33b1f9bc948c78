//! What the burst brake counted, and which releases of it have been carried out.

use usufruct_core::brake::{DayCount, Stop, Stratum};
use usufruct_core::id::OrderId;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};

/// Stores the present day of a stratum.
pub fn put(conn: &mut dyn Connection, stratum: &Stratum, today: &DayCount) -> Result<(), Error> {
    let sql = "-- brake_put\nINSERT INTO brake_days (body, reason, officials, day, uses, refused, released, stop_day, stop_count) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (body, reason, officials, day) DO UPDATE SET \
               uses = excluded.uses, refused = excluded.refused, released = excluded.released, stop_day = excluded.stop_day, \
               stop_count = excluded.stop_count";
    let [one, other] = stratum.officials();
    let params = [
        stratum.body().as_str().into(),
        stratum.reason().into(),
        Value::from([one.0, other.0].concat()),
        today.day.into(),
        i64::from(today.uses).into(),
        i64::from(today.refused).into(),
        today.released.map(i64::from).into(),
        today.stop.map(|stop| stop.day).into(),
        today.stop.map(|stop| i64::from(stop.count)).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// All strata with their days, in order.
pub fn all(conn: &mut dyn Connection) -> Result<Vec<(Stratum, Vec<DayCount>)>, Error> {
    let sql = "-- brake_all\nSELECT body, reason, officials, day, uses, refused, released, stop_day, stop_count FROM brake_days \
               ORDER BY body, reason, officials, day";
    strata(conn, sql)
}

/// The strata that were ever stopped and not released on the same day, with all their days, in order.
pub fn stopped(conn: &mut dyn Connection) -> Result<Vec<(Stratum, Vec<DayCount>)>, Error> {
    let sql = "-- brake_stopped\nSELECT body, reason, officials, day, uses, refused, released, stop_day, stop_count FROM brake_days \
               WHERE (body, reason, officials) IN (SELECT body, reason, officials FROM brake_days WHERE stop_day IS NOT NULL) \
               ORDER BY body, reason, officials, day";
    strata(conn, sql)
}

fn strata(conn: &mut dyn Connection, sql: &str) -> Result<Vec<(Stratum, Vec<DayCount>)>, Error> {
    let mut strata: Vec<(Stratum, Vec<DayCount>)> = Vec::new();
    for row in conn.query(sql, &[])? {
        let (stratum, day) = read(&row)?;
        match strata.last_mut() {
            Some((last, days)) if *last == stratum => days.push(day),
            _ => strata.push((stratum, vec![day])),
        }
    }
    Ok(strata)
}

/// Notes that an order to release was carried out. False when it was before.
pub fn release(conn: &mut dyn Connection, order: &OrderId, now: Time) -> Result<bool, Error> {
    let sql =
        "-- brake_release\nINSERT INTO brake_releases (order_id, released_at) VALUES ($1, $2) ON CONFLICT (order_id) DO NOTHING";
    Ok(conn.execute(sql, &[order.as_str().into(), now.micros().into()])? == 1)
}

/// Orders to release that were carried out.
pub fn released(conn: &mut dyn Connection) -> Result<Vec<OrderId>, Error> {
    let rows = conn.query("-- brake_released\nSELECT order_id FROM brake_releases", &[])?;
    rows.iter().map(|row| row.text(0)?.parse().map_err(|_| crate::inconsistent("brake_releases.order_id"))).collect()
}

fn read(row: &Row) -> Result<(Stratum, DayCount), Error> {
    let small = |column: usize, name: &str| u32::try_from(row.integer(column)?).map_err(|_| crate::inconsistent(name));
    let optional = |column: usize, name: &str| {
        row.optional_integer(column)?.map(u32::try_from).transpose().map_err(|_| crate::inconsistent(name))
    };
    let officials: [u8; 64] = row.array(2)?;
    let (one, other) = officials.split_at(32);
    let digest = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map(Digest).map_err(|_| crate::inconsistent("brake_days.officials"));
    let body = row.text(0)?.parse().map_err(|_| crate::inconsistent("brake_days.body"))?;
    let stop = row.optional_integer(7)?.zip(optional(8, "brake_days.stop_count")?).map(|(day, count)| Stop { day, count });
    let day = DayCount {
        day: row.integer(3)?,
        uses: small(4, "brake_days.uses")?,
        refused: small(5, "brake_days.refused")?,
        released: optional(6, "brake_days.released")?,
        stop,
    };
    Ok((Stratum::new(body, row.text(1)?, [digest(one)?, digest(other)?]), day))
}
