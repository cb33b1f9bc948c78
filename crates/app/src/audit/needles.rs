//! What a destroyed key is known by wherever it may have been left: the forms in which its bytes can stand in a file.

use usufruct_core::hash::hex;
use zeroize::Zeroizing;

/// What is searched for: halves of keys in every form in which they are written. Overwritten when dropped.
pub struct Needles {
    /// In order.
    all: Zeroizing<Vec<[u8; WINDOW]>>,
    /// Whether any begins with these two bytes, so that a look at two bytes is enough for nearly every place.
    begins: Vec<bool>,
}

impl Needles {
    /// Searches for what begins with these halves of keys.
    pub fn of<'a>(halves: impl ExactSizeIterator<Item = &'a [u8; HALF]>) -> Self {
        use base64::Engine as _;
        // Large enough never to grow: growing would leave them behind in freed memory.
        let mut all = Zeroizing::new(Vec::with_capacity(FORMS * halves.len()));
        for half in halves {
            let lower = Zeroizing::new(hex(half).into_bytes());
            let upper = Zeroizing::new(lower.to_ascii_uppercase());
            all.push(*half);
            all.extend((0..GROUP).map(|phase| compressed(half, phase)));
            all.extend([&lower, &upper].map(|text| window(text)));
            // Base64 of the same bytes looks in three ways, by where it begins.
            for skip in 0..3 {
                let part = &half[skip..skip + WINDOW * 3 / 4];
                let text = Zeroizing::new(base64::engine::general_purpose::STANDARD_NO_PAD.encode(part).into_bytes());
                let for_addresses = |sign: &u8| match sign {
                    b'+' => b'-',
                    b'/' => b'_',
                    other => *other,
                };
                let other = Zeroizing::new(text.iter().map(for_addresses).collect::<Vec<u8>>());
                all.extend([&text, &other].map(|text| window(text)));
            }
        }
        all.sort_unstable();
        let mut begins = vec![false; 1 << 16];
        all.iter().for_each(|needle| begins[begin(needle)] = true);
        Self { all, begins }
    }

    /// Whether any of it stands in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let is_one =
            |window: &[u8]| self.begins[begin(window)] && self.all.binary_search_by(|needle| needle[..].cmp(window)).is_ok();
        bytes.windows(WINDOW).any(is_one)
    }

    /// Whether each is found in noise that holds it.
    pub(super) fn finds_itself(&self, noise: &[u8; 64]) -> bool {
        !self.is_in(noise) && self.all.iter().all(|needle| self.is_in(&[noise, &needle[..], noise].concat()))
    }
}

/// A half of a key as PostgreSQL compresses it with pglz, which it does with long values and, where that is set, with pages in the write-ahead
/// log. Bytes of chance repeat nothing, so they stay as they are, but before each eight of them stands a byte that says so. `phase` of them
/// come before the first such byte. The other half of the key, which follows, is of chance too, so that all these bytes are zeros.
///
/// Source: postgres/src/common/pg_lzcompress.c.
fn compressed(half: &[u8; HALF], phase: usize) -> [u8; WINDOW] {
    let mut written = Zeroizing::new(Vec::with_capacity(HALF + HALF / GROUP + 1));
    for (at, byte) in half.iter().enumerate() {
        if at % GROUP == phase {
            written.push(ALL_AS_THEY_ARE);
        }
        written.push(*byte);
    }
    window(&written)
}

/// The front of a form that is longer.
fn window(text: &[u8]) -> [u8; WINDOW] {
    let mut front = [0; WINDOW];
    front.copy_from_slice(&text[..WINDOW]);
    front
}

fn begin(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}

/// Bytes of a half of a key.
const HALF: usize = usufruct_vault::Trace::LEN;
/// Bytes that are compared: half of a key as it is, a quarter of it in hexadecimal, three eighths in base64, and all but one or two of a half
/// where it was compressed.
pub(super) const WINDOW: usize = 16;
/// Forms in which a key may be written: as it is, compressed by PostgreSQL from eight places on, in hexadecimal with small and with large
/// letters, and in two kinds of base64, each from three places on.
const FORMS: usize = 9 + GROUP;
/// Bytes and references in a group of pglz.
const GROUP: usize = 8;
/// The front of a group in which none is a reference.
const ALL_AS_THEY_ARE: u8 = 0;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use usufruct_core::hash::sha256;
    use usufruct_store::db::{Connection, Db, Options};

    use super::*;

    /// A database of PostgreSQL whose server stands on this machine, and the folder of that server.
    fn server() -> Option<(Db, PathBuf)> {
        let Ok(url) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
            eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set");
            return None;
        };
        let db = Db::open(&url, &Options { readers: 1, queue: 1 }).unwrap();
        let folder = text(&db, "SELECT current_setting('data_directory')");
        Some((db, folder.into()))
    }

    fn text(db: &Db, sql: &str) -> String {
        let sql = format!("-- text\n{sql}");
        db.transaction("ask", move |tx| tx.query_one(&sql, &[])).unwrap().unwrap().text(0).unwrap().to_owned()
    }

    fn run(db: &Db, sql: &str) {
        let sql = format!("-- run\n{sql}");
        db.transaction("run", move |tx| tx.script(&sql)).unwrap();
    }

    /// Outside of a transaction.
    fn psql(sql: &[&str]) {
        let url = std::env::var("USUFRUCT_TEST_POSTGRES").unwrap();
        let commands = sql.iter().flat_map(|sql| ["-c", *sql]);
        let status = std::process::Command::new("psql").args([url.as_str(), "-q", "-o", "/dev/null"]).args(commands).status();
        assert!(status.is_ok_and(|status| status.success()), "{sql:?}");
    }

    /// Bytes that look like those of a key, another one for each run.
    fn key(name: &str, number: usize) -> [u8; 32] {
        sha256(format!("{name} {number} of {}", std::process::id()).as_bytes()).0
    }

    fn of(key: &[u8; 32]) -> Needles {
        Needles::of([key.first_chunk().unwrap()].into_iter())
    }

    fn is_plain(key: &[u8; 32], file: &[u8]) -> bool {
        file.windows(WINDOW).any(|window| window == &key[..WINDOW])
    }

    #[test]
    fn a_half_of_a_key_is_cut_by_a_byte_before_each_eight_of_it() {
        let half: [u8; HALF] = std::array::from_fn(|at| at as u8 + 1);
        assert_eq!(compressed(&half, 0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11, 12, 13, 14]);
        assert_eq!(compressed(&half, 3), [1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11, 0, 12, 13, 14]);
        assert_eq!(compressed(&half, 7), [1, 2, 3, 4, 5, 6, 7, 0, 8, 9, 10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn a_key_in_a_long_value_that_postgresql_compressed_is_found_on_the_disk() {
        let Some((db, folder)) = server() else { return };
        for method in ["pglz", "lz4"] {
            let table = format!("compressed_{method}_{}", std::process::id());
            run(&db, &format!("CREATE TABLE {table} (n BIGINT, value BYTEA COMPRESSION {method})"));
            // From wherever it begins, among what repeats itself.
            let keys: Vec<[u8; 32]> = (0..2 * GROUP).map(|number| key(&table, number)).collect();
            for (number, key) in keys.iter().enumerate() {
                let before: String = (0..number).map(|at| format!("{:02x}", sha256(&[at as u8, number as u8]).0[0])).collect();
                let value = format!("decode('{before}' || '{}' || repeat('6162', 6000), 'hex')", hex(key));
                run(&db, &format!("INSERT INTO {table} VALUES ({number}, {value})"));
            }
            let packed = text(&db, &format!("SELECT MAX(pg_column_size(value))::text FROM {table}"));
            assert!(packed.parse::<usize>().unwrap() < 2_000, "{method} compresses 12,000 bytes to {packed}");
            psql(&["CHECKPOINT"]);
            let file = std::fs::read(folder.join(text(&db, &format!("SELECT pg_relation_filepath('{table}')")))).unwrap();
            for (number, key) in keys.iter().enumerate() {
                assert!(of(key).is_in(&file), "{method}, {number} bytes of chance before it");
                assert_eq!(is_plain(key, &file), method == "lz4", "pglz cuts it and lz4 does not");
            }
            run(&db, &format!("DROP TABLE {table}"));
        }
    }

    #[test]
    fn a_key_in_a_page_that_postgresql_compressed_into_its_log_is_found_there() {
        let Some((db, folder)) = server() else { return };
        for method in ["pglz", "lz4"] {
            let (table, key) = (format!("logged_{method}_{}", std::process::id()), key(method, 0));
            let hex = hex(&key);
            psql(&[
                &format!("CREATE TABLE {table} (n BIGINT, value BYTEA)"),
                &format!("INSERT INTO {table} SELECT n, repeat('ab', 20)::bytea FROM generate_series(1, 40) n"),
                &format!("INSERT INTO {table} VALUES (0, decode('{hex}', 'hex'))"),
                "SELECT pg_switch_wal()",
                "CHECKPOINT",
                // The first change after a checkpoint writes the whole page.
                &format!("SET wal_compression = {method}"),
                &format!("UPDATE {table} SET n = 41 WHERE n = 40"),
            ]);
            let wal = folder.join("pg_wal").join(text(&db, "SELECT pg_walfile_name(pg_current_wal_lsn())"));
            assert!(is_found(&wal, &key), "{method}");
            run(&db, &format!("DROP TABLE {table}"));
        }
    }

    #[test]
    fn a_log_that_cannot_be_looked_into_is_told_apart() {
        let Some((db, _)) = server() else { return };
        assert!(!db.hides_log().unwrap(), "as it comes it is not compressed");
        let url = std::env::var("USUFRUCT_TEST_POSTGRES").unwrap();
        for (method, hides) in [("pglz", false), ("lz4", false), ("zstd", true)] {
            let url = format!("{url}?options=-c%20wal_compression%3D{method}");
            let db = Db::open(&url, &Options { readers: 1, queue: 1 }).unwrap();
            assert_eq!(db.hides_log().unwrap(), hides, "{method}");
        }
    }

    fn is_found(file: &Path, key: &[u8; 32]) -> bool {
        of(key).is_in(&std::fs::read(file).unwrap())
    }
}
