//! A log on a real disk against what disks and operators do: torn writes, flipped bits, single failing calls, two
//! instances, a clock set back, yesterday's folders.
//!
//! With `USUFRUCT_FAULTS=all` every byte of every file is torn and flipped; otherwise only some bytes of the large files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use usufruct_log::{
    Checkpoint, Ed25519Signer, Error, FileHead, Folder, Head, Memory, MemoryHead, MlDsaCosigner, Objects, Part, Publisher,
    Reader, Result, SignedHead, Signer, Stored, Verifier, checkpoint,
};

const ORIGIN: &str = "example.org/faults";
const SIZES: [u64; 4] = [0, 3, 256, 300];

fn signers() -> Vec<Box<dyn Signer + Send + Sync>> {
    vec![Box::new(ed25519()), Box::new(MlDsaCosigner::from_seed(ORIGIN, &[2; 32]).unwrap())]
}

fn ed25519() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn leaf(index: u64) -> Vec<u8> {
    (index as u32).to_be_bytes().to_vec()
}

fn grow<O: Objects, H: Head>(publisher: &mut Publisher<O, H>, size: u64, time: u64) -> Result<SignedHead> {
    let from = publisher.size()?;
    publisher.publish((from..size).map(|index| (index, leaf(index))), time)
}

/// A log on disk, with every checkpoint that it has published.
struct Log {
    folder: tempfile::TempDir,
    published: Vec<SignedHead>,
}

impl Log {
    fn new(sizes: &[u64]) -> Self {
        let mut log = Self { folder: tempfile::tempdir().unwrap(), published: Vec::new() };
        let mut publisher = log.open().unwrap();
        for size in sizes {
            log.published.push(grow(&mut publisher, *size, 7).unwrap());
        }
        log
    }

    fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    fn head(&self) -> PathBuf {
        self.folder.path().join("head")
    }

    fn open(&self) -> Result<Publisher<Folder, FileHead>> {
        Publisher::open(Folder::open(self.objects())?, FileHead::open(self.head())?, signers(), ORIGIN, None)
    }

    /// What a client does who has kept every checkpoint: verify the public one with all keys of the log, read every entry
    /// at every size, and prove that the log only grew.
    fn check(&self) -> Result<()> {
        let objects = Folder::open(self.objects())?;
        let keys = signers();
        let verifiers: Vec<&dyn Verifier> = keys.iter().map(|key| &**key as &dyn Verifier).collect();
        let (public, note) = checkpoint::fetch(&objects, ORIGIN, &verifiers)?;
        if note.verified_by(&verifiers)?.len() < verifiers.len() {
            return Err(Error::Unsigned);
        }
        let last = self.published.last().unwrap();
        assert_eq!((public.size(), public.root()), (last.size, &last.root));
        for head in &self.published {
            let older = Checkpoint::new(ORIGIN, head.size, head.root)?;
            Reader::new(&objects, public.clone()).consistency(&older)?;
            let mut next = 0;
            Reader::new(&objects, older).entries(0, |index, entry| {
                assert_eq!((index, entry), (next, leaf(index).as_slice()));
                next += 1;
                Ok(())
            })?;
            assert_eq!(next, head.size);
        }
        Ok(())
    }

    /// All files that the log has written, except the empty lock.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().unwrap() != "lock" {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

/// Stored files may be read-only, which is no protection against a disk.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Positions in a file of so many bytes: all of them, or some of a large one, among them the first and the last.
fn positions(length: usize) -> Vec<usize> {
    let all = length <= 512 || std::env::var("USUFRUCT_FAULTS").is_ok_and(|faults| faults == "all");
    let stride = if all { 1 } else { length / 97 };
    (0..length).step_by(stride).chain(length.checked_sub(1)).collect()
}

/// Damages every file in turn. The next start or a full check has to find it.
fn every_damage_is_found(damage: impl Fn(&[u8], usize) -> Vec<u8>) {
    let log = Log::new(&SIZES);
    log.check().unwrap();
    let files = log.files();
    assert_eq!(files.len(), 9, "{:?}", files.keys());
    let mut damaged = 0;
    for (path, bytes) in &files {
        for position in positions(bytes.len()) {
            let bad = damage(bytes, position);
            if bad == *bytes {
                continue;
            }
            overwrite(path, &bad);
            let found = log.open().is_err() || log.check().is_err();
            assert!(found, "{} was accepted with damage at byte {position}", path.display());
            damaged += 1;
        }
        overwrite(path, bytes);
        log.open().unwrap();
        log.check().unwrap();
    }
    assert!(damaged > 900, "{damaged}");
}

#[test]
fn a_file_cut_off_at_any_byte_is_found() {
    every_damage_is_found(|bytes, position| bytes[..position].to_vec());
}

#[test]
fn a_file_with_zeroes_from_any_byte_is_found() {
    every_damage_is_found(|bytes, position| [&bytes[..position], &vec![0; bytes.len() - position]].concat());
}

#[test]
fn a_file_with_zeroes_up_to_any_byte_is_found() {
    every_damage_is_found(|bytes, position| [&vec![0; position + 1], &bytes[position + 1..]].concat());
}

#[test]
fn a_flipped_bit_in_any_byte_is_found() {
    every_damage_is_found(|bytes, position| {
        let mut flipped = bytes.to_vec();
        flipped[position] ^= 1 << (position % 8);
        flipped
    });
}

#[test]
fn a_file_with_a_byte_more_is_found() {
    let log = Log::new(&SIZES);
    for (path, bytes) in log.files() {
        overwrite(&path, &[bytes.as_slice(), b"\n"].concat());
        assert!(log.open().is_err() || log.check().is_err(), "{}", path.display());
        overwrite(&path, &bytes);
    }
}

/// The public checkpoint is rewritten whenever a start finds that it lacks a signature of the head, or start-up refuses.
#[test]
fn a_checkpoint_that_lost_a_signature_is_published_again() {
    let log = Log::new(&SIZES);
    let path = log.objects().join(checkpoint::PATH);
    let whole = fs::read(&path).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    for line in text.lines().filter(|line| line.starts_with('\u{2014}')) {
        overwrite(&path, text.replace(&format!("{line}\n"), "").as_bytes());
        assert!(log.check().is_err());
        match log.open() {
            Err(_) => overwrite(&path, &whole),
            Ok(mut publisher) => drop(publisher.publish([], 7).unwrap()),
        }
        log.check().unwrap();
    }
}

// Single faults, after which the process lives on.

/// Objects or a head of which one call, and only that one, fails: before it had its effect, or after.
struct Once<'a, T> {
    inner: &'a T,
    left: &'a AtomicI64,
    after: bool,
}

impl<T> Once<'_, T> {
    fn run<R>(&self, operation: impl FnOnce() -> Result<R>) -> Result<R> {
        let fault = || Err(Error::Io { path: "the disk".to_owned(), source: std::io::Error::from_raw_os_error(5) });
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            0 if self.after => operation().and_then(|_| fault()),
            0 => fault(),
            _ => operation(),
        }
    }
}

impl<T: Objects> Objects for Once<'_, T> {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.run(|| self.inner.put(path, bytes))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.run(|| self.inner.replace(path, bytes))
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.run(|| self.inner.fetch(path))
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        self.run(|| self.inner.list(below, after, limit))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.run(|| self.inner.remove(path))
    }
}

impl<T: Head> Head for Once<'_, T> {
    fn load(&self) -> Result<Option<SignedHead>> {
        self.run(|| self.inner.load())
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        self.run(|| self.inner.swap(old, new))
    }
}

#[test]
fn one_failing_call_stops_the_publisher_until_it_has_read_everything_anew() {
    for after in [false, true] {
        let mut faults = 0;
        for call in 0.. {
            let (objects, head) = (Memory::default(), MemoryHead::default());
            let left = AtomicI64::new(i64::MAX);
            let mut publisher = Publisher::open(
                Once { inner: &objects, left: &left, after },
                Once { inner: &head, left: &left, after },
                signers(),
                ORIGIN,
                None,
            )
            .unwrap();
            grow(&mut publisher, 200, 7).unwrap();
            left.store(call, Ordering::Relaxed);
            let mut acknowledged = 200;
            let mut failed = None;
            for size in [300, 513] {
                match grow(&mut publisher, size, 7) {
                    Ok(head) => acknowledged = head.size,
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() {
                    break;
                }
            }
            let Some(error) = failed else { break };
            faults += 1;
            assert!(matches!(error, Error::Io { .. }), "{error}");
            // A failed announcement leaves the head where it is; a failed commit leaves nothing certain.
            let reached = head.load().unwrap().unwrap().size;
            assert!(reached >= acknowledged);
            assert!(matches!(grow(&mut publisher, 600, 7), Err(Error::Stopped)), "it went on after call {call} failed");
            let public = checkpoint::fetch(&objects, ORIGIN, &[&ed25519()]).unwrap().0;
            assert!(public.size() >= acknowledged);
            Reader::new(&objects, public.clone()).entries(0, |_, _| Ok(())).unwrap();
            publisher.reload(None).unwrap();
            grow(&mut publisher, 600, 7).unwrap();
            let later = checkpoint::fetch(&objects, ORIGIN, &[&ed25519()]).unwrap().0;
            Reader::new(&objects, later.clone()).consistency(&public).unwrap();
            Reader::new(&objects, later).entries(0, |_, _| Ok(())).unwrap();
        }
        assert!(faults > 20, "{faults}");
    }
}

// Operators.

#[test]
fn the_second_of_two_instances_refuses() {
    let log = Log::new(&[3]);
    let one = log.open().unwrap();
    let refused = log.open().err().unwrap();
    assert!(matches!(refused, Error::Held { .. }), "{refused}");
    assert!(refused.to_string().contains(&log.head().display().to_string()), "{refused}");
    drop(one);
    log.open().unwrap();
}

#[test]
fn a_clock_set_back_signs_nothing_even_after_a_restart() {
    let log = Log::new(&[3]);
    let mut publisher = log.open().unwrap();
    grow(&mut publisher, 4, 1_790_000_000).unwrap();
    drop(publisher);
    let before = log.files();
    let refused = grow(&mut log.open().unwrap(), 5, 1_789_999_999).unwrap_err();
    assert!(matches!(refused, Error::ClockBack { last: 1_790_000_000, now: 1_789_999_999 }), "{refused}");
    assert_eq!(log.files(), before);
    grow(&mut log.open().unwrap(), 5, 1_790_000_000).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { assert!(fs::copy(&path, &target).is_ok()) }
    }
}

/// Replaces a folder of the log by its copy.
fn restore(backup: &Path, folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    copy(backup, folder);
}

#[test]
fn yesterdays_folders_are_refused_and_named() {
    // Right edges with and without partial tiles, yesterday and today.
    for (yesterday, today) in [(3, 9), (3, 300), (256, 300), (256, 512), (300, 512), (0, 1), (65_536, 65_537)] {
        let log = Log::new(&[yesterday]);
        let backup = tempfile::tempdir().unwrap();
        let (old_objects, old_head) = (backup.path().join("objects"), backup.path().join("head"));
        copy(&log.objects(), &old_objects);
        copy(&log.head(), &old_head);
        grow(&mut log.open().unwrap(), today, 7).unwrap();
        let new_objects = backup.path().join("new objects");
        copy(&log.objects(), &new_objects);

        restore(&old_objects, &log.objects());
        let refused = log.open().err().unwrap();
        match &refused {
            Error::Missing { path } => assert!(path.starts_with("tile/"), "{refused}"),
            Error::Contradiction { one: Part::Head, other: Part::Tiles, .. } => {}
            _ => panic!("{yesterday} to {today}, objects rolled back: {refused}"),
        }

        restore(&new_objects, &log.objects());
        log.open().unwrap();
        restore(&old_head, &log.head());
        let refused = log.open().err().unwrap();
        match &refused {
            Error::Contradiction { one: Part::Head, other: Part::Checkpoint, detail, .. } => {
                assert!(detail.contains(&format!("the head has {yesterday} leaves, the checkpoint {today}")), "{refused}");
            }
            _ => panic!("{yesterday} to {today}, head rolled back: {refused}"),
        }

        fs::remove_dir_all(log.head()).unwrap();
        let refused = log.open().err().unwrap();
        assert!(matches!(refused, Error::Contradiction { one: Part::Head, other: Part::Checkpoint, .. }), "{refused}");
    }
}
