//! The drills of the vault, which anybody may read the results of: an old backup opened with today's keys, and the search for
//! the keys of synthetic residents who were erased.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::audit::Drill;
use usufruct_core::hash::hex;
use usufruct_core::id::AuditId;
use usufruct_core::ports::random;
use usufruct_core::statement::StatementKind;
use usufruct_store::db::Db;
use usufruct_store::residents::ResidentState;
use usufruct_store::{blocks, keyrings, residents};
use zeroize::{Zeroize, Zeroizing};

use crate::{App, Error, Publication, block_names};

/// What a drill found; the same as the statement it is published in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditReport {
    pub sampled: i64,
    pub opened: i64,
    pub closed: i64,
    pub wrong: i64,
    pub searched_bytes: i64,
    /// In words, where something is wrong. Names no resident.
    pub findings: Vec<String>,
}

impl App {
    /// Opens a backup of the database, of any age, with today's keys: what was erased since must stay closed, and what lives must
    /// open. Looks at up to `sample` residents, from a random place on. Publishes the result.
    pub fn restore_drill(&self, backup: &Db, made_at: Time, sample: usize) -> Result<AuditReport, Error> {
        let register = self.register();
        let mut report = AuditReport::default();
        for resident in self.sample(backup, sample)? {
            let (old, own) =
                backup.snapshot(|conn| Ok::<_, Error>((keyrings::candidates(conn, resident)?, blocks::own(conn, resident)?)))?;
            let (state, now) = self
                .db
                .snapshot(|conn| Ok::<_, Error>((residents::state(conn, resident)?, keyrings::candidates(conn, resident)?)))?;
            if old.is_empty() {
                continue;
            }
            report.sampled += 1;
            let is_erased = state.is_none_or(|state| state == ResidentState::Erased) || now.is_empty();
            let is_unchanged = old.first().is_some_and(|(_, sealed)| now.iter().any(|(_, live)| live == sealed));
            let sealed: Vec<&[u8]> = old.iter().map(|(_, sealed)| sealed.as_slice()).collect();
            let keyring = self.vault.keyring(resident, &sealed);
            let opens = keyring.as_ref().is_ok_and(|keyring| {
                own.iter().all(|(block, sealed)| {
                    let block = block_names::id(&register, *block);
                    block.is_some_and(|block| self.vault.open_own(keyring, block, sealed).is_ok())
                })
            });
            match (opens, is_erased, is_unchanged) {
                (true, true, _) => report.find("A resident who was erased opens in the backup."),
                (false, false, true) => report.find("A resident who lives and has changed nothing does not open in the backup."),
                (true, ..) => report.opened += 1,
                (false, ..) => report.closed += 1,
            }
        }
        self.publish_audit(Drill::RestoreDrill, Some(made_at), &report)?;
        Ok(report)
    }

    /// Makes `count` synthetic residents, erases them as any others, and searches these files and folders for their keys: as they
    /// are, in hexadecimal and in base64. Publishes the result. Files that cannot be read are findings too.
    pub fn canary_scan(&self, count: usize, places: &[PathBuf]) -> Result<AuditReport, Error> {
        let mut needles = Needles::default();
        for _ in 0..count {
            let (enrolled, key) = self.vault.enrol_canary(self.rng())?;
            needles.add(&key);
            let (now, seed) = (self.now(), (enrolled.resident, enrolled.seed_index));
            let sealed = (enrolled.resident, enrolled.keyring);
            self.db.transaction("enrol canary", move |tx| {
                residents::insert_many(tx, &[seed], now)?;
                Ok::<_, Error>(keyrings::insert_many(tx, std::slice::from_ref(&sealed))?)
            })?;
            self.delete_resident(seed.0)?;
        }
        let mut report = AuditReport { sampled: count as i64, closed: count as i64, ..AuditReport::default() };
        // A search that finds nothing proves nothing unless it would have found something.
        if !needles.finds_itself(&random(self.rng())) {
            report.find("The search does not find what is there.");
        }
        for place in places {
            scan(place, &needles, &mut report);
        }
        self.publish_audit(Drill::CanaryScan, None, &report)?;
        Ok(report)
    }

    fn sample(&self, backup: &Db, sample: usize) -> Result<Vec<u64>, Error> {
        let from = u64::from_be_bytes(random(self.rng())) % self.vault.state().count.max(1);
        let mut found = backup.read(|conn| residents::list(conn, Some(from), sample))?;
        if found.len() < sample {
            let rest = backup.read(|conn| residents::list(conn, None, sample - found.len()))?;
            let rest: Vec<u64> = rest.into_iter().filter(|resident| !found.contains(resident)).collect();
            found.extend(rest);
        }
        Ok(found)
    }

    fn publish_audit(&self, drill: Drill, made_at: Option<Time>, report: &AuditReport) -> Result<(), Error> {
        let now = self.now();
        let body = json!({
            "drill": drill,
            "backup_made_at": made_at,
            "sampled": report.sampled,
            "opened": report.opened,
            "closed": report.closed,
            "wrong": report.wrong,
            "searched_bytes": report.searched_bytes,
        });
        let id = AuditId::fresh(now, self.rng());
        let mut statement = self.statement(StatementKind::Audit, id.as_str(), self.automation.agency(), body, now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }
}

impl AuditReport {
    fn find(&mut self, what: &str) {
        self.wrong += 1;
        if !self.findings.iter().any(|known| known == what) {
            self.findings.push(what.to_owned());
        }
    }
}

/// What is searched for. Overwritten when dropped.
#[derive(Default)]
struct Needles(Vec<Zeroizing<Vec<u8>>>);

impl Needles {
    fn add(&mut self, key: &[u8; 32]) {
        use base64::Engine as _;
        let mut text = hex(&key[..16]);
        self.0.push(Zeroizing::new(key[..16].to_vec()));
        self.0.push(Zeroizing::new(text.to_uppercase().into_bytes()));
        self.0.push(Zeroizing::new(std::mem::take(&mut text).into_bytes()));
        // Base64 of the same bytes looks in three ways, by where it begins.
        for skip in 0..3 {
            let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&key[skip..skip + 15]);
            self.0.push(Zeroizing::new(text.replace('+', "-").replace('/', "_").into_bytes()));
            self.0.push(Zeroizing::new(text.into_bytes()));
        }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|needle| memchr::memmem::find(bytes, needle).is_some())
    }

    /// Whether each is found in noise that holds it.
    fn finds_itself(&self, noise: &[u8; 64]) -> bool {
        !self.is_in(noise) && self.0.iter().all(|needle| self.is_in(&[noise, &needle[..], noise].concat()))
    }

    fn longest(&self) -> usize {
        self.0.iter().map(|needle| needle.len()).max().unwrap_or(0)
    }
}

/// Searches a file, or everything below a folder. Links are not followed.
fn scan(place: &Path, needles: &Needles, report: &mut AuditReport) {
    let unreadable = |report: &mut AuditReport| report.find("Something could not be read, so it was not searched.");
    let Ok(metadata) = std::fs::symlink_metadata(place) else { return };
    if metadata.is_dir() {
        let Ok(entries) = std::fs::read_dir(place) else { return unreadable(report) };
        entries.flatten().for_each(|entry| scan(&entry.path(), needles, report));
    } else if metadata.is_file() {
        match scan_file(place, needles) {
            Ok(Scanned { bytes, is_found, is_packed }) => {
                report.searched_bytes += bytes;
                if is_found {
                    report.find("A file holds bytes of a destroyed key.");
                }
                if is_packed {
                    report.find("A file is compressed in a form that cannot be looked into. Unpack it and search again.");
                }
            }
            // A file may go while everything is read.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => unreadable(report),
        }
    }
}

/// What was seen of a file.
struct Scanned {
    bytes: i64,
    is_found: bool,
    /// It is compressed, so that a key in it would not be seen.
    is_packed: bool,
}

/// Searches a file, and what is in it if it is compressed with gzip, as logs are.
fn scan_file(path: &Path, needles: &Needles) -> std::io::Result<Scanned> {
    let mut front = Vec::with_capacity(FRONT);
    File::open(path)?.take(FRONT as u64).read_to_end(&mut front)?;
    let (bytes, is_found) = scan_stream(File::open(path)?, needles)?;
    if !front.starts_with(GZIP) {
        return Ok(Scanned { bytes, is_found, is_packed: is_packed(&front) });
    }
    // What only begins like gzip, or was cut short, has been searched as far as it goes.
    match scan_stream(MultiGzDecoder::new(BufReader::new(File::open(path)?)), needles) {
        Ok((unpacked, is_inside)) => Ok(Scanned { bytes: bytes + unpacked, is_found: is_found || is_inside, is_packed: false }),
        Err(_) => Ok(Scanned { bytes, is_found, is_packed: true }),
    }
}

/// Whether a file begins as one that is compressed in another way, or as a compressed dump of PostgreSQL.
fn is_packed(front: &[u8]) -> bool {
    let Some(dump) = front.strip_prefix(b"PGDMP") else { return PACKED.iter().any(|form| front.starts_with(form)) };
    // Version 1.15 and later name the method in one byte; before, it is a level: its sign, then the number.
    match dump {
        [1, 15..=255, _, _, _, _, method, ..] => *method != 0,
        [1, _, _, _, _, _, _, level, ..] => *level != 0,
        _ => true,
    }
}

fn scan_stream(mut file: impl Read, needles: &Needles) -> std::io::Result<(i64, bool)> {
    let (mut buffer, mut kept, mut bytes) = (vec![0; CHUNK], 0, 0);
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 {
            buffer.zeroize();
            return Ok((bytes, false));
        }
        bytes += read as i64;
        if needles.is_in(&buffer[..kept + read]) {
            buffer.zeroize();
            return Ok((bytes, true));
        }
        // What stands across two chunks is found in the second.
        let end = kept + read;
        kept = end.min(needles.longest());
        buffer.copy_within(end - kept..end, 0);
    }
}

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// Bytes that tell what a file is.
const FRONT: usize = 16;
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
/// How files begin that zstd, xz, bzip2, lz4, zip and 7z made.
const PACKED: [&[u8]; 6] = [
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    b"BZh",
    &[4, 0x22, 0x4d, 0x18],
    &[b'P', b'K', 3, 4],
    &[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_stands_and_however_it_is_written() {
        use base64::Engine as _;
        let dir = tempfile::tempdir().unwrap();
        let key: [u8; 32] = std::array::from_fn(|at| (at * 37 + 5) as u8);
        let mut needles = Needles::default();
        needles.add(&key);
        let written = [
            key.to_vec(),
            hex(&key).into_bytes(),
            hex(&key).to_uppercase().into_bytes(),
            base64::engine::general_purpose::STANDARD.encode([&b"x"[..], &key].concat()).into_bytes(),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([&b"xy"[..], &key].concat()).into_bytes(),
        ];
        for (number, form) in written.iter().enumerate() {
            for at in [0, 1, CHUNK - 40, CHUNK - 16, CHUNK - 1, CHUNK, 2 * CHUNK + 7] {
                let folder = dir.path().join(format!("deep/{number}-{at}"));
                std::fs::create_dir_all(&folder).unwrap();
                let mut bytes = vec![0xa5; at];
                bytes.extend_from_slice(form);
                bytes.resize(3 * CHUNK, 0x5a);
                std::fs::write(folder.join("file"), &bytes).unwrap();
                let mut report = AuditReport::default();
                scan(&folder, &needles, &mut report);
                assert_eq!(report.wrong, 1, "form {number} at {at}");
                std::fs::remove_dir_all(&folder).unwrap();
            }
        }
        let mut report = AuditReport::default();
        std::fs::write(dir.path().join("noise"), vec![7; 100_000]).unwrap();
        scan(dir.path(), &needles, &mut report);
        assert_eq!((report.wrong, report.searched_bytes), (0, 100_000));
        assert!(needles.finds_itself(&[3; 64]));
    }

    #[test]
    fn compressed_files_are_looked_into_or_are_findings() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let key: [u8; 32] = std::array::from_fn(|at| (at * 37 + 5) as u8);
        let mut needles = Needles::default();
        needles.add(&key);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&[&[b'x'; 100_000][..], hex(&key).as_bytes(), &[b'y'; 100_000]].concat()).unwrap();
        let gzip = gzip.finish().unwrap();
        assert!(!needles.is_in(&gzip), "it is hidden");
        let dump = |version: u8, level: &[u8]| [&b"PGDMP"[..], &[1, version, 0, 4, 8, 1], level, b" 2026-11-21"].concat();
        let cases: [(&str, Vec<u8>, Option<&str>); 10] = [
            ("log.gz", gzip.clone(), Some("holds bytes")),
            ("two members", [&gzip_of(b"nothing"), &gzip[..]].concat(), Some("holds bytes")),
            ("cut short", gzip[..gzip.len() / 2].to_vec(), Some("compressed")),
            ("zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 0], Some("compressed")),
            ("nothing in it", gzip_of(b"nothing"), None),
            ("dump, packed", dump(14, &[1, 1, 0, 0, 0]), Some("compressed")),
            ("dump, open", dump(14, &[0, 0, 0, 0, 0]), None),
            ("later dump, packed", dump(16, &[1]), Some("compressed")),
            ("later dump, open", dump(16, &[0]), None),
            ("empty", Vec::new(), None),
        ];
        for (name, content, finding) in cases {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            let mut report = AuditReport::default();
            scan(&file, &needles, &mut report);
            assert_eq!(report.wrong, i64::from(finding.is_some()), "{name}: {:?}", report.findings);
            assert!(finding.is_none_or(|words| report.findings[0].contains(words)), "{name}: {:?}", report.findings);
        }
    }

    fn gzip_of(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }
}
