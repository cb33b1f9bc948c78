//! Searches files for the bytes of keys, without disturbing a database that this process has open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use zeroize::Zeroize;

use super::AuditReport;
use super::needles::{Needles, WINDOW};

/// Searches a file, a disk, or everything below a folder. Links are followed. A place that is not there is a finding.
pub(super) fn scan(place: &Path, needles: &Needles, report: &mut AuditReport) {
    match std::fs::metadata(place).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_dir() || kind.is_file() || kind.is_block_device() => {
            scan_below(place, needles, &mut Searched::default(), report);
        }
        Ok(_) => report.find("A place to search is neither a folder nor a file nor a disk, so it was not searched."),
        Err(_) => report.find("A place to search is not there or may not be looked at, so it was not searched."),
    }
}

fn scan_below(place: &Path, needles: &Needles, searched: &mut Searched, report: &mut AuditReport) {
    let unreadable = |report: &mut AuditReport| report.find("Something could not be read, so it was not searched.");
    let metadata = match std::fs::metadata(place) {
        Ok(metadata) => metadata,
        // A file may go while everything is read; a link that leads nowhere stays.
        Err(_) if std::fs::symlink_metadata(place).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) => return,
        Err(_) => return report.find("A link leads nowhere, so what it names was not searched."),
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        // Links can lead around in a circle.
        if !searched.folders.insert(inode(&metadata)) {
            return;
        }
        let Ok(entries) = std::fs::read_dir(place) else { return unreadable(report) };
        for entry in entries {
            match entry {
                Ok(entry) => scan_below(&entry.path(), needles, searched, report),
                Err(_) => unreadable(report),
            }
        }
    } else if kind.is_file() || kind.is_block_device() {
        match scan_file(place, needles, searched) {
            Ok(Scanned { bytes, is_found, is_packed }) => {
                report.searched_bytes += bytes;
                if is_found {
                    report.find("A file holds bytes of a destroyed key.");
                }
                if is_packed {
                    report.find("A file is compressed in a form that cannot be looked into. Unpack it and search again.");
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => unreadable(report),
        }
    }
    // Sockets, pipes and terminals keep nothing.
}

/// What was seen of a file.
struct Scanned {
    bytes: i64,
    is_found: bool,
    /// It is compressed, so that a key in it would not be seen.
    is_packed: bool,
}

/// Searches a file, and what is in it if it is compressed with gzip, as logs are.
fn scan_file(path: &Path, needles: &Needles, searched: &mut Searched) -> std::io::Result<Scanned> {
    let inode = inode(&std::fs::metadata(path)?);
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = held.get(&inode).and_then(|files| files.first()) {
        return scan_content(file, needles);
    }
    drop(held);
    scan_content(searched.add(File::open(path)?)?, needles)
}

fn scan_content(mut file: &File, needles: &Needles) -> std::io::Result<Scanned> {
    let mut front = Vec::with_capacity(FRONT);
    file.seek(SeekFrom::Start(0))?;
    file.take(FRONT as u64).read_to_end(&mut front)?;
    file.seek(SeekFrom::Start(0))?;
    let (bytes, is_found) = scan_stream(file, needles)?;
    if !front.starts_with(GZIP) {
        return Ok(Scanned { bytes, is_found, is_packed: is_packed(&front) });
    }
    // What only begins like gzip, or was cut short, has been searched as far as it goes.
    file.seek(SeekFrom::Start(0))?;
    match scan_stream(MultiGzDecoder::new(BufReader::new(file)), needles) {
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
        kept = end.min(WINDOW);
        buffer.copy_within(end - kept..end, 0);
    }
}

type Inode = (u64, u64);

/// Files that this process has open elsewhere and that were searched. They stay open for as long as it lives: closing any
/// descriptor of a file drops every lock that the process has on it, and another process would then take the database for
/// unused, cut its shared memory and bring this one down (fcntl(2); sqlite.org/howtocorrupt.html 2.2).
static HELD: Mutex<BTreeMap<Inode, Vec<File>>> = Mutex::new(BTreeMap::new());

/// Files that were searched and are not closed yet.
#[derive(Default)]
struct Searched {
    files: Vec<(Inode, File)>,
    /// Folders that were entered.
    folders: BTreeSet<Inode>,
}

impl Searched {
    fn add(&mut self, file: File) -> std::io::Result<&File> {
        if self.files.len() == OPEN_AT_ONCE {
            self.settle();
        }
        let inode = inode(&file.metadata()?);
        self.files.push((inode, file));
        Ok(&self.files[self.files.len() - 1].1)
    }

    /// Closes those that nothing else in this process has open, and keeps the others for good.
    ///
    /// What the process has open is listed here, once for many files, and not before they are searched: SQLite may have opened one of
    /// them meanwhile, as when it makes its write-ahead log anew. A file that is closed was listed with no descriptor but our own,
    /// immediately before.
    fn settle(&mut self) {
        let open = count(open_inodes());
        let own = count(self.files.iter().map(|(inode, _)| *inode));
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        for (inode, file) in self.files.drain(..) {
            // One that is not listed at all means that the list cannot be had.
            if open.get(&inode) != own.get(&inode) {
                held.entry(inode).or_default().push(file);
            }
        }
    }
}

impl Drop for Searched {
    fn drop(&mut self) {
        self.settle();
    }
}

fn count(inodes: impl Iterator<Item = Inode>) -> BTreeMap<Inode, usize> {
    let mut counts = BTreeMap::new();
    inodes.for_each(|inode| *counts.entry(inode).or_default() += 1);
    counts
}

/// The file of every descriptor that this process has.
fn open_inodes() -> impl Iterator<Item = Inode> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::metadata(entry.path()).ok()).map(|metadata| inode(&metadata))
}

fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

/// Files that are open at once at most, of those that are searched.
const OPEN_AT_ONCE: usize = 64;
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
    use std::path::PathBuf;

    use usufruct_core::hash::hex;

    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_stands_and_however_it_is_written() {
        use base64::Engine as _;
        let dir = tempfile::tempdir().unwrap();
        let key: [u8; 32] = std::array::from_fn(|at| (at * 37 + 5) as u8);
        let needles = of(&key);
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
    fn files_that_are_open_elsewhere_stay_open_and_all_others_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let places: Vec<_> = (0..2 * OPEN_AT_ONCE + 3).map(|number| dir.path().join(format!("{number:03}"))).collect();
        places.iter().for_each(|place| std::fs::write(place, [7; 100]).unwrap());
        std::fs::hard_link(&places[1], dir.path().join("second name")).unwrap();
        let descriptors = |place: &Path| {
            let wanted = inode(&std::fs::metadata(place).unwrap());
            open_inodes().filter(|inode| *inode == wanted).count()
        };
        let mut report = AuditReport::default();
        let mut searched = Searched::default();
        let early = File::open(&places[0]).unwrap();
        scan_below(dir.path(), &Needles::of([].into_iter()), &mut searched, &mut report);
        // Somebody opens one after it was searched and before it is closed.
        let is_waiting = |place: &&PathBuf| {
            let wanted = inode(&std::fs::metadata(place).unwrap());
            searched.files.iter().any(|(inode, _)| *inode == wanted)
        };
        let late = places[2..].iter().find(is_waiting).unwrap();
        let opened = File::open(late).unwrap();
        drop(searched);
        for place in &places {
            let expected = if [&places[0], late].contains(&place) { 2 } else { 0 };
            assert_eq!(descriptors(place), expected, "{}", place.display());
        }
        assert_eq!((report.searched_bytes, report.wrong), ((places.len() as i64 + 1) * 100, 0));
        // What is kept is searched again without one more.
        scan(dir.path(), &Needles::of([].into_iter()), &mut report);
        drop((early, opened));
        assert_eq!((descriptors(&places[0]), descriptors(late)), (1, 1));
    }

    #[test]
    fn what_is_named_is_searched_or_is_a_finding() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let key: [u8; 32] = std::array::from_fn(|at| (at * 37 + 5) as u8);
        let needles = of(&key);
        std::fs::create_dir_all(at("elsewhere/deep")).unwrap();
        std::fs::write(at("elsewhere/deep/file"), key).unwrap();
        for (folder, target) in [("linked folder", "elsewhere"), ("linked file", "elsewhere/deep/file"), ("nowhere", "gone")] {
            std::fs::create_dir(at(folder)).unwrap();
            symlink(at(target), at(folder).join("link")).unwrap();
        }
        symlink(at("elsewhere"), at("link")).unwrap();
        std::fs::create_dir(at("circle")).unwrap();
        symlink(at("circle"), at("circle/again")).unwrap();
        std::fs::write(at("circle/file"), [7; 100]).unwrap();
        let cases = [
            (at("linked folder"), Some("holds bytes"), 32),
            (at("linked file"), Some("holds bytes"), 32),
            (at("link"), Some("holds bytes"), 32),
            (at("nowhere"), Some("leads nowhere"), 0),
            (at("mistyped"), Some("is not there"), 0),
            (PathBuf::from("/dev/null"), Some("neither a folder"), 0),
            (at("circle"), None, 100),
        ];
        for (place, finding, bytes) in cases {
            let mut report = AuditReport::default();
            scan(&place, &needles, &mut report);
            assert_eq!((report.wrong, report.searched_bytes), (i64::from(finding.is_some()), bytes), "{}", place.display());
            assert!(finding.is_none_or(|words| report.findings[0].contains(words)), "{:?}", report.findings);
        }
    }

    #[test]
    fn compressed_files_are_looked_into_or_are_findings() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let key: [u8; 32] = std::array::from_fn(|at| (at * 37 + 5) as u8);
        let needles = of(&key);
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

    fn of(key: &[u8; 32]) -> Needles {
        Needles::of([key.first_chunk().unwrap()].into_iter())
    }

    fn gzip_of(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }
}
