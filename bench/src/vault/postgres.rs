//! What people do instead: they delete the row of the key and rewrite the table, so that at least the table has it no more. The
//! log of the database and every copy of it have it still.

use std::process::{Command, Stdio};

use crate::residents::Row;
use crate::seconds;

pub fn print(rows: &[Row]) {
    let Ok(url) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        println!("\nPostgreSQL was not measured: USUFRUCT_TEST_POSTGRES is not set.");
        return;
    };
    println!(
        "\n| rows in PostgreSQL | DELETE 1 and VACUUM FULL s | the key tree is faster by | DELETE 10,000 and VACUUM FULL s | by |"
    );
    println!("|---:|---:|---:|---:|---:|");
    for row in rows.iter().filter(|row| row.residents <= 2_400_000 || std::env::var_os("USUFRUCT_BENCH_ALL").is_some()) {
        let make = format!(
            "DROP TABLE IF EXISTS bench_keys; CREATE TABLE bench_keys (resident BIGINT PRIMARY KEY, key BYTEA NOT NULL); \
             INSERT INTO bench_keys SELECT n, sha256(n::text::bytea) FROM generate_series(1, {}) AS n; VACUUM ANALYZE bench_keys;",
            row.residents
        );
        run(&url, &make);
        let one = seconds(|| run(&url, "DELETE FROM bench_keys WHERE resident = 4711; VACUUM FULL bench_keys; CHECKPOINT;"));
        let many = seconds(|| run(&url, "DELETE FROM bench_keys WHERE resident <= 10000; VACUUM FULL bench_keys; CHECKPOINT;"));
        run(&url, "DROP TABLE bench_keys;");
        println!("| {} | {one:.2} | {:.0} | {many:.2} | {:.0} |", row.residents, one / row.erase_one, many / row.erase_many);
    }
}

/// Each statement is a transaction of its own, as VACUUM asks.
fn run(url: &str, sql: &str) {
    for statement in sql.split_inclusive(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        let status = Command::new("psql").args([url, "-q", "-c", statement]).stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "psql cannot run {statement}");
    }
}
