//! What was put into the pass before deposits had their name is still there after the tables are renamed.

use usufruct_core::Time;
use usufruct_core::time::Month;
use usufruct_store::db::{Connection, Db, Options};
use usufruct_store::{MIGRATIONS, deposits, shard};

fn check(db: &Db) {
    let before = MIGRATIONS.iter().position(|migration| migration.name == "deposits").unwrap();
    db.migrate(&MIGRATIONS[..before]).unwrap();
    let row = format!(
        "-- collected_insert\nINSERT INTO collected_blocks (shard, resident, idx, mandate, month, block, collected_at, keep_until, sealed) \
         VALUES ({}, 5, 7, 3, 72, 2, 1000, 2000, $1)",
        shard(5)
    );
    db.transaction("insert", move |tx| {
        tx.execute(&row, &[vec![1_u8, 2, 3].into()])?;
        tx.execute("-- collected_month_insert\nINSERT INTO collected_months (mandate, month) VALUES (3, 72)", &[])
    })
    .unwrap();
    db.migrate(MIGRATIONS).unwrap();
    let found = db.read(|conn| deposits::of_resident(conn, 5, Time::from_micros(1_999))).unwrap();
    let [deposit] = &found[..] else { panic!("{found:?}") };
    assert_eq!((deposit.resident, deposit.index, deposit.mandate, deposit.month, deposit.block), (5, 7, 3, Month(72), 2));
    assert_eq!(
        (deposit.at, deposit.until, &deposit.sealed[..]),
        (Time::from_micros(1_000), Time::from_micros(2_000), &[1, 2, 3][..])
    );
    assert_eq!(db.read(deposits::months).unwrap(), [(3, Month(72))]);

    // What is asked for one mandate is before the leaf, within its time, and of that mandate.
    let under = |mandate, index, at| {
        let found = db.read(|conn| deposits::under_mandate(conn, 5, mandate, index, Time::from_micros(at))).unwrap();
        found.iter().map(|deposit| deposit.index).collect::<Vec<_>>()
    };
    assert_eq!(deposit.depositor, None, "nobody wrote down who put it in");
    let library = "agc_library".parse().ok();
    let second = deposits::Deposit { index: 9, depositor: library.clone(), until: Time::from_micros(3_000), ..deposit.clone() };
    let foreign = deposits::Deposit { index: 8, mandate: 4, ..deposit.clone() };
    db.transaction("insert", move |tx| {
        deposits::insert(tx, &second)?;
        deposits::insert(tx, &foreign)
    })
    .unwrap();
    assert_eq!((under(3, 10, 1_999), under(3, 9, 1_999), under(3, 10, 2_000)), (vec![9, 7], vec![7], vec![9]));
    let found = db.read(|conn| deposits::of_resident(conn, 5, Time::from_micros(1_000))).unwrap();
    assert_eq!(found.iter().map(|deposit| deposit.depositor.clone()).collect::<Vec<_>>(), [library, None, None]);
    assert_eq!((under(4, 10, 1_999), under(5, 10, 1_999)), (vec![8], vec![]));
}

#[test]
fn nothing_is_lost_when_deposits_get_their_name() {
    let dir = tempfile::tempdir().unwrap();
    check(&Db::open(&format!("sqlite:{}", dir.path().join("store.db").display()), &Options::default()).unwrap());
}

#[test]
fn nothing_is_lost_in_postgres_when_deposits_get_their_name() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: deposits on PostgreSQL, because USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let schema = format!("deposits_{}", std::process::id());
    let admin = Db::open(&base, &Options::default()).unwrap();
    let make = format!("-- schema_make\nCREATE SCHEMA {schema}");
    admin.transaction("make schema", move |tx| tx.script(&make)).unwrap();
    let separator = if base.contains('?') { '&' } else { '?' };
    check(&Db::open(&format!("{base}{separator}options=-csearch_path%3D{schema}"), &Options::default()).unwrap());
    let drop = format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE");
    admin.transaction("drop schema", move |tx| tx.script(&drop)).unwrap();
}
