//! The process ends at every step of an erasure that changes a disk, on real files and in both databases: before it, in the
//! middle, after it, and in the start that follows. What comes back is the old epoch or the new one, and with one root.
//!
//! The vault tests the same page by page on a disk of its own (`crates/vault/src/keytree/tests/crashes.rs`).

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::keeper::Destroyed;
use usufruct_store::db::{Connection, Options};
use usufruct_store::{MIGRATIONS, key_epochs};
use usufruct_vault::{Epoch, Key, KeyId, SlotClass, commit_key};

use super::*;

#[test]
fn an_erasure_on_files_is_done_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    end_everywhere(&database(&format!("sqlite:{}", dir.path().join("pass.db").display())), Where::InFile);
}

#[test]
fn an_erasure_in_sqlite_is_done_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    end_everywhere(&database(&format!("sqlite:{}", dir.path().join("pass.db").display())), Where::InDatabase);
}

#[test]
fn an_erasure_in_postgresql_is_done_or_not_at_all() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let schema = format!("key_tree_{}", std::process::id());
    let admin = Db::open(&base, &Options::default()).unwrap();
    let script = |sql: String| admin.transaction("schema", move |tx| tx.script(&sql)).unwrap();
    script(format!("-- schema_make\nCREATE SCHEMA {schema}"));
    let separator = if base.contains('?') { '&' } else { '?' };
    end_everywhere(&database(&format!("{base}{separator}options=-csearch_path%3D{schema}")), Where::InDatabase);
    script(format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE"));
}

type Model = BTreeMap<KeyId, Digest>;
type Tree = PageTree<Box<dyn Pages>, Box<dyn RootSlots>>;

/// Ends an erasure at every step in every way, and looks at what comes back.
fn end_everywhere(db: &Db, pages: Where) {
    let (mut kept, mut done, mut two_roots) = (0, 0, 0);
    for end in 1.. {
        for tear in [Tear::Before, Tear::Half, Tear::After] {
            let place = Place::found(db, pages);
            let old = place.model();
            let steps = Arc::new(Steps::default());
            let tree = place.open(&steps).unwrap();
            steps.end(end, tear);
            let outcome = tree.erase(&GONE, &[(REPLACED, fresh_key(9))], &Count::new(5));
            drop(tree);
            two_roots += usize::from(place.roots() == 2);
            let is_whole = steps.taken() < end;
            assert!(outcome.is_err() || place.reached() == Epoch(1), "what is acknowledged is noted, {end} {tear:?}");
            assert!(
                place.reached() == Epoch(0) || place.roots() == 1,
                "nothing is noted while an older root is there, {end} {tear:?}"
            );
            // The start ends at each of its own steps too.
            for again in 1.. {
                steps.end(again, tear);
                if place.open(&steps).is_ok() && steps.taken() < again {
                    break;
                }
            }
            let found = place.model();
            assert_eq!(place.roots(), 1, "one root survives a start, {end} {tear:?}");
            let mut new = old.clone();
            new.retain(|id, _| !GONE.contains(id));
            new.insert(REPLACED, commit_key(REPLACED, &fresh_key(9)));
            assert!(found == old || found == new, "neither the old epoch nor the new one, {end} {tear:?}");
            assert!(outcome.is_err() || found == new, "what was acknowledged holds, {end} {tear:?}");
            assert_eq!(place.reached(), Epoch(u64::from(found == new)), "the start notes what it found, {end} {tear:?}");
            kept += usize::from(found == old);
            done += usize::from(found == new);
            if is_whole {
                assert!(outcome.is_ok() && end > 4, "write, put, destroy, remove: {end}");
                assert!(kept > 2 && done > 2 && two_roots > 0, "{kept} {done} {two_roots}");
                return;
            }
        }
    }
}

/// Where the pages are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    InDatabase,
    InFile,
}

/// A tree on a disk: its pages in files or in a database, its root in a file, and in the database how far it has come.
struct Place {
    dir: tempfile::TempDir,
    db: Db,
    place: Where,
}

impl Place {
    /// A fresh one, with keys.
    fn found(db: &Db, place: Where) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), db: db.clone(), place };
        let clear = |tx: &mut usufruct_store::db::Tx<'_>| {
            key_pages::clear(tx)?;
            tx.execute("-- key_epoch_clear\nDELETE FROM key_epochs", &[])
        };
        db.transaction("clear", clear).unwrap();
        let rng = Count::new(1);
        let first = PageTree::<PageFile, FileRoots>::first_root(&rng);
        let roots = FileRoots::create(place.dir.path(), &first, Disk::Any).unwrap();
        let tree = PageTree::create(place.pages(), roots, &rng).unwrap();
        let keys: Vec<_> = ids().into_iter().map(|id| (id, Key::random(&rng))).collect();
        tree.insert(&keys, &rng).unwrap();
        place
    }

    fn pages(&self) -> Box<dyn Pages> {
        match self.place {
            Where::InFile => Box::new(PageFile::open(self.dir.path()).unwrap()),
            Where::InDatabase => Box::new(DatabasePages(self.db.clone())),
        }
    }

    fn reached(&self) -> Epoch {
        Epoch(self.db.read(key_epochs::reached).unwrap())
    }

    fn open(&self, steps: &Arc<Steps>) -> usufruct_vault::Result<Tree> {
        let roots = FileRoots::open(self.dir.path(), Disk::Any)?;
        let slots = self.dir.path().join("root");
        let pages = Stopping { inner: self.pages(), steps: Arc::clone(steps), slots: slots.clone() };
        self.start(Box::new(pages), Box::new(Stopping { inner: roots, steps: Arc::clone(steps), slots }))
    }

    /// As a city starts: what is older than the note is refused.
    fn start(&self, pages: Box<dyn Pages>, roots: Box<dyn RootSlots>) -> usufruct_vault::Result<Tree> {
        let chosen = PageTree::choose(&pages, &roots, self.reached())?;
        let noted: Box<dyn RootSlots> = Box::new(NotedRoots { inner: roots, db: self.db.clone() });
        PageTree::start(pages, noted, chosen)
    }

    /// The keys that live, by an undisturbed start.
    fn model(&self) -> Model {
        let roots = FileRoots::open(self.dir.path(), Disk::Any).unwrap();
        let tree = self.start(self.pages(), Box::new(roots)).unwrap();
        let live = ids().into_iter().filter_map(|id| Some((id, commit_key(id, &tree.get(id).unwrap()?))));
        let live: Model = live.collect();
        assert_eq!(tree.count(), live.len() as u64);
        live
    }

    /// How many roots can be had.
    fn roots(&self) -> usize {
        FileRoots::open(self.dir.path(), Disk::Any).unwrap().roots().unwrap().len()
    }
}

/// Counts what changes a disk, and ends the process there.
#[derive(Default)]
struct Steps {
    taken: AtomicUsize,
    /// 0 is never.
    end: AtomicUsize,
    tear: std::sync::Mutex<Tear>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tear {
    #[default]
    Before,
    Half,
    After,
}

impl Steps {
    fn end(&self, end: usize, tear: Tear) {
        self.taken.store(0, Ordering::SeqCst);
        self.end.store(end, Ordering::SeqCst);
        *self.tear.lock().unwrap() = tear;
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// One step; `half` is what it leaves when the process ends in the middle of it.
    fn step(
        &self,
        all: impl FnOnce() -> usufruct_vault::Result<()>,
        half: impl FnOnce() -> usufruct_vault::Result<()>,
    ) -> usufruct_vault::Result<()> {
        let (taken, end) = (self.taken.fetch_add(1, Ordering::SeqCst) + 1, self.end.load(Ordering::SeqCst));
        if end == 0 || taken < end {
            return all();
        }
        match (taken == end, *self.tear.lock().unwrap()) {
            (true, Tear::Half) => half()?,
            (true, Tear::After) => all()?,
            _ => {}
        }
        Err(VaultError::Stopped)
    }
}

/// Passes on what is asked, up to the step at which the process ends.
struct Stopping<T> {
    inner: T,
    steps: Arc<Steps>,
    slots: PathBuf,
}

impl<P: Pages> Pages for Stopping<P> {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> usufruct_vault::Result<()>) -> usufruct_vault::Result<()> {
        self.inner.each(show)
    }

    fn read(&self, id: PageId) -> usufruct_vault::Result<Option<Box<Page>>> {
        self.inner.read(id)
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> usufruct_vault::Result<()> {
        self.steps.step(|| self.inner.write(pages), || self.inner.write(&pages[..pages.len() / 2]))
    }

    fn free(&self, ids: &[PageId]) -> usufruct_vault::Result<()> {
        self.steps.step(|| self.inner.free(ids), || self.inner.free(&ids[..ids.len() / 2]))
    }
}

impl RootSlots for Stopping<FileRoots> {
    fn class(&self) -> SlotClass {
        self.inner.class()
    }

    fn roots(&self) -> usufruct_vault::Result<Vec<Root>> {
        self.inner.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> usufruct_vault::Result<()> {
        self.steps.step(
            || self.inner.put(root, rng),
            || {
                self.inner.put(root, rng)?;
                damage(&self.slots, root.epoch);
                Ok(())
            },
        )
    }

    fn keep_only(&self, epoch: Epoch) -> usufruct_vault::Result<()> {
        self.steps.step(
            || self.inner.keep_only(epoch),
            || {
                damage(&self.slots, Epoch(epoch.0 + 1));
                Ok(())
            },
        )
    }

    fn statements(&self, epoch: Epoch) -> usufruct_vault::Result<Vec<Destroyed>> {
        self.inner.statements(epoch)
    }

    fn heal(&self) -> usufruct_vault::Result<()> {
        self.inner.heal()
    }
}

/// Leaves of the half of an epoch what a write leaves that did not come to its end.
fn damage(slots: &Path, epoch: Epoch) {
    let file = std::fs::OpenOptions::new().write(true).open(slots).unwrap();
    file.write_all_at(&[0; 32], epoch.0 % 2 * 2_048 + 40).unwrap();
}

/// Different bytes at every call, the same for the same seed.
struct Count(u64, AtomicU64);

impl Count {
    fn new(seed: u64) -> Self {
        Self(seed, AtomicU64::new(0))
    }
}

impl Rng for Count {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = sha256(&[self.0.to_be_bytes(), self.1.fetch_add(1, Ordering::SeqCst).to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

fn database(url: &str) -> Db {
    let db = Db::open(url, &Options::default()).unwrap();
    db.migrate(MIGRATIONS).unwrap();
    db
}

fn fresh_key(seed: u64) -> Key {
    Key::random(&Count::new(seed))
}

fn ids() -> Vec<KeyId> {
    let residents = [0, 1, 126, 127, 400, 16_130].map(KeyId::Resident);
    residents.into_iter().chain([0, 5].map(KeyId::Mandate)).chain([KeyId::Sector(1)]).collect()
}

const GONE: [KeyId; 2] = [KeyId::Resident(127), KeyId::Mandate(5)];
const REPLACED: KeyId = KeyId::Resident(1);
