//! The key tree: a 127-ary tree of sealed pages over a root that is destroyed and replaced at every erasure.
//!
//! Two kinds of commits change it. One that only adds keys writes the pages from those keys up to the top page, which stays
//! under the root of the epoch. One that destroys keys does the same under a fresh root, and then destroys the old one. In
//! both every page that is written has a fresh key, and no page is overwritten before the commit is durable.
//!
//! | step of an erasure | a crash after it finds |
//! |---|---|
//! | new pages written | the old epoch; the new pages open under no root there is, and are removed |
//! | new root put beside the old one | the new epoch; the old root is destroyed before anything is served |
//! | old root destroyed | the new epoch |
//! | old pages removed | the new epoch |
//!
//! What an attacker can open who has every page that was ever written and the current root: the live keys, and no other one.
//! The argument is that of Reardon, Ritzdorf, Basin and Capkun (CCS 2013), and `tests/attacker.rs` plays the attacker.

mod draft;
mod file;
mod live;
mod open;
mod page;
mod pages;
mod place;
mod top;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use usufruct_core::Digest;
use usufruct_core::handles::HandleProof;
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;

use crate::error::{Error, Result};
use crate::escrow::Appointment;
use crate::roots::{MemoryRoots, Root, RootSlots};
use crate::scrub::scrub;
use crate::tree::{Epoch, Erased, Key, KeyId, KeyTree, SlotClass, State, Trace, commit_key};
use draft::{Changes, Draft};
use live::Live;
use place::place;
use top::Top;

pub use file::PageFile;
pub use page::{FANOUT, PAGE, Page, PageId};
pub use pages::{MemoryPages, Pages};

/// A key tree over some pages and some root slots. One process has it open.
pub struct PageTree<P, R> {
    pages: P,
    roots: R,
    live: RwLock<Live>,
    writer: Mutex<Writer>,
    /// The number that the next resident gets.
    next: AtomicU64,
}

/// A tree that was read under the root that counts, with nothing changed yet. Nothing else may open it until it is started.
pub struct Chosen {
    root: Box<Root>,
    tree: open::Found,
}

struct Writer {
    /// In a place of its own, so that no copy stays where the tree was moved from.
    root: Box<Root>,
    version: u32,
    duty: Duty,
}

/// What has to happen before the next commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    Nothing,
    /// Another root than that of the epoch may be in the slots, and has to be destroyed.
    Destroy,
    /// A write of pages failed. What is stored is known only after a new start.
    Stop,
}

impl<P: Pages, R: RootSlots> PageTree<P, R> {
    /// The root of a new tree, to be put into its slots before [`PageTree::create`].
    pub fn first_root(rng: &dyn Rng) -> Root {
        Root { epoch: Epoch(0), secret: Key::random(rng) }
    }

    /// Makes an empty tree under the root in the slots, and opens it. Refuses pages that hold a tree already.
    pub fn create(pages: P, roots: R, rng: &dyn Rng) -> Result<Self> {
        pages.each(&mut |_, _| Err(Error::FolderTaken))?;
        let all = roots.roots()?;
        let root = all.first().ok_or(Error::Damaged { what: "there is no root" })?;
        pages.write(&[Top::empty().seal(0, root, rng)])?;
        drop(all);
        Self::open(pages, roots)
    }

    /// Opens a tree, and brings to an end what a crash interrupted: every root but that of the epoch is destroyed before
    /// this returns.
    pub fn open(pages: P, roots: R) -> Result<Self> {
        let chosen = Self::choose(&pages, &roots, Epoch(0))?;
        Self::start(pages, roots, chosen)
    }

    /// Reads a tree and decides which of the roots in the slots counts. One of an epoch before `reached` was set back, and is refused.
    /// Nothing is changed by it, so a start that is refused has destroyed nothing.
    pub fn choose(pages: &P, roots: &R, reached: Epoch) -> Result<Chosen> {
        let mut found = roots.roots()?;
        let (place, tree) = open::open(pages, &found)?;
        let root = Box::new(found.swap_remove(place));
        match root.epoch < reached {
            true => Err(Error::SetBack { epoch: root.epoch.0, reached: reached.0 }),
            false => Ok(Chosen { root, tree }),
        }
    }

    /// Opens the tree that was chosen from these pages and these slots.
    pub fn start(pages: P, roots: R, Chosen { root, tree }: Chosen) -> Result<Self> {
        roots.keep_only(root.epoch)?;
        pages.free(&tree.strays)?;
        let next = AtomicU64::new(tree.live.top.next);
        let writer = Writer { root, version: tree.version, duty: Duty::Nothing };
        scrub();
        Ok(Self { pages, roots, live: RwLock::new(tree.live), writer: Mutex::new(writer), next })
    }

    /// Whether the pages open under this root, all of them. Changes nothing.
    pub fn check(pages: &P, root: &Root) -> Result<()> {
        open::open(pages, &[root.copy()]).map(drop)
    }

    /// How many keys live.
    pub fn count(&self) -> u64 {
        self.live().handles.count()
    }

    /// Where the pages are.
    pub fn pages(&self) -> &P {
        &self.pages
    }

    /// Where the root is.
    pub fn roots(&self) -> &R {
        &self.roots
    }

    /// Adds keys. A copy of the root stays on the stack.
    fn add(&self, keys: &[(KeyId, Key)], rng: &dyn Rng) -> Result<()> {
        let mut writer = self.writer()?;
        let mut changes = Changes::new();
        for (id, key) in keys {
            let (segment, number) = place(*id);
            let is_new = changes.insert((segment, number), Some(key)).is_none();
            if !is_new || self.live().key(&self.pages, segment, number)?.is_some() {
                return Err(Error::Exists { noun: id.noun() });
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let root = writer.root.copy();
        let (draft, top_id) = self.write(&mut writer, &changes, &root, false, rng)?;
        self.pages.free(&self.apply(draft, top_id, root.epoch))
    }

    /// Does an erasure. Copies of both roots stay on the stack.
    fn destroy(&self, ids: &[KeyId], replace: &[(KeyId, Key)], closed: &mut dyn FnMut(Epoch), rng: &dyn Rng) -> Result<Erased> {
        let mut writer = self.writer()?;
        let (mut changes, mut handles) = (Changes::new(), Vec::with_capacity(ids.len() + replace.len()));
        for (id, key) in ids.iter().map(|id| (*id, None)).chain(replace.iter().map(|(id, key)| (*id, Some(key)))) {
            let (segment, number) = place(id);
            match (changes.contains_key(&(segment, number)), key) {
                (true, None) => continue,
                (true, Some(_)) => return Err(Error::Exists { noun: id.noun() }),
                _ => {}
            }
            match self.live().key(&self.pages, segment, number)? {
                Some(old) => handles.push(commit_key(id, &old)),
                None if key.is_some() => return Err(Error::NoKey { noun: id.noun() }),
                None => continue,
            }
            changes.insert((segment, number), key);
        }
        let before = self.state();
        let root = Box::new(Root { epoch: Epoch(writer.root.epoch.0 + 1), secret: Key::random(rng) });
        let (draft, top_id) = self.write(&mut writer, &changes, &root, true, rng)?;
        if let Err(error) = self.roots.put(&root, rng) {
            // Whether it arrived is not known. The epoch that is served is the old one, so the new root must go.
            writer.duty = Duty::Destroy;
            let ids: Vec<_> = draft.pages.iter().map(|(id, _)| *id).chain([top_id]).collect();
            if self.roots.keep_only(writer.root.epoch).is_ok() {
                writer.duty = Duty::Nothing;
                self.pages.free(&ids)?;
            }
            return Err(error);
        }
        let epoch = root.epoch;
        // From here on the new epoch counts, whatever happens; an old root that is still there is owed.
        (writer.root, writer.duty) = (root, Duty::Destroy);
        let old = self.apply(draft, top_id, epoch);
        closed(epoch);
        self.roots.keep_only(epoch)?;
        writer.duty = Duty::Nothing;
        // As long as the old root is there, so is what it opens.
        self.pages.free(&old)?;
        Ok(Erased { before, after: self.state(), handles })
    }

    /// Commits changes under `root`. The pages are durable when it returns, and readers see them once they are applied.
    fn write(
        &self,
        writer: &mut Writer,
        changes: &Changes<'_>,
        root: &Root,
        is_erasure: bool,
        rng: &dyn Rng,
    ) -> Result<(Draft, PageId)> {
        let version = writer.version.wrapping_add(1);
        let draft = Draft::of(&self.live(), &self.pages, changes, version, rng)?;
        let (top_id, top) = draft.top.seal(version, root, rng);
        (writer.version, writer.duty) = (version, Duty::Stop);
        if is_erasure {
            // The root that opens it is not there yet, so that all may be written in one go.
            let mut all = draft.pages.clone();
            all.push((top_id, top));
            self.pages.write(&all)?;
        } else {
            self.pages.write(&draft.pages)?;
            self.pages.write(&[(top_id, top)])?;
        }
        writer.duty = Duty::Nothing;
        Ok((draft, top_id))
    }

    /// Shows readers a commit. Answers the pages it replaced, which may be removed.
    fn apply(&self, draft: Draft, top_id: PageId, epoch: Epoch) -> Vec<PageId> {
        let mut live = self.live_mut();
        let old = draft.apply(&mut live);
        (live.top_id, live.epoch) = (top_id, epoch);
        old
    }

    /// The writer, once it has done what it owes.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.duty {
            Duty::Nothing => {}
            Duty::Destroy => {
                self.roots.keep_only(writer.root.epoch)?;
                writer.duty = Duty::Nothing;
            }
            Duty::Stop => return Err(Error::Stopped),
        }
        Ok(writer)
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Pages, R: RootSlots> KeyTree for PageTree<P, R> {
    fn get(&self, id: KeyId) -> Result<Option<Key>> {
        let (segment, number) = place(id);
        self.live().key(&self.pages, segment, number)
    }

    fn reserve(&self, count: u64) -> u64 {
        self.next.fetch_add(count, Ordering::Relaxed)
    }

    fn insert(&self, keys: &[(KeyId, Key)], rng: &dyn Rng) -> Result<()> {
        let outcome = self.add(keys, rng);
        scrub();
        outcome
    }

    fn erase_watched(
        &self,
        ids: &[KeyId],
        replace: &[(KeyId, Key)],
        closed: &mut dyn FnMut(Epoch),
        rng: &dyn Rng,
    ) -> Result<Erased> {
        let outcome = self.destroy(ids, replace, closed, rng);
        scrub();
        outcome
    }

    fn root_trace(&self) -> Trace {
        Trace::of(&self.writer.lock().unwrap_or_else(PoisonError::into_inner).root.secret)
    }

    fn state(&self) -> State {
        let live = self.live();
        State { epoch: live.epoch, root: live.handles.root(), count: live.handles.count() }
    }

    fn proofs(&self, handles: &[Digest]) -> (State, Vec<HandleProof>) {
        let live = self.live();
        let state = State { epoch: live.epoch, root: live.handles.root(), count: live.handles.count() };
        (state, handles.iter().map(|handle| live.handles.proof(handle)).collect())
    }

    fn class(&self) -> SlotClass {
        self.roots.class()
    }

    fn statements(&self) -> Result<Vec<Destroyed>> {
        let epoch = self.live().epoch;
        self.roots.statements(epoch)
    }

    fn escrow(&self) -> Option<Appointment> {
        self.roots.escrow()
    }

    fn escrow_is_there(&self) -> bool {
        self.roots.escrow_is_there()
    }

    fn heal(&self) -> Result<()> {
        self.roots.heal()
    }
}

impl PageTree<MemoryPages, MemoryRoots> {
    /// An empty tree that lives and dies with the process, for tests and demonstrations.
    pub fn in_memory(rng: &dyn Rng) -> Result<Self> {
        Self::create(MemoryPages::default(), MemoryRoots::new(Self::first_root(rng)), rng)
    }
}

#[cfg(test)]
mod tests;
