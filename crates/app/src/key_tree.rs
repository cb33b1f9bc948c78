//! Opens the key tree of a city: its pages in a file or in the database, its root where the set-up says.

mod reached;

use std::path::PathBuf;

use usufruct_core::keeper::Destroyed;
use usufruct_core::logged::pair;
use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_store::db::Db;
use usufruct_store::key_pages;
use usufruct_vault::keytree::{Chosen, PAGE, Page, PageFile, PageId, PageTree, Pages};
use usufruct_vault::roots::{Disk, FileRoots, Root, RootSlots};
use usufruct_vault::{Epoch, Error as VaultError, KeyTree, SlotClass, Vault};

use crate::app::replay;
use crate::{Error, EscrowSetup, House};
use reached::NotedRoots;
pub(crate) use reached::Reached;

/// Where the key tree is kept.
#[derive(Clone, Debug, Default)]
pub struct VaultSetup {
    /// Pages in the database instead of the file `vault/pages`.
    pub pages_in_database: bool,
    /// Whether the root may be kept on any disk, also on one that keeps old copies of what is overwritten.
    pub any_disk: bool,
    /// The escrow of the root with officers, if there is one.
    pub escrow: Option<EscrowSetup>,
    /// Who keeps the root, where keepers do. What the city publishes about it must say the same.
    pub keepers: Option<KeeperSetup>,
}

/// The keepers of the root by their public facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperSetup {
    /// So many bring the root back.
    pub threshold: usize,
    /// Names and public keys, base64url.
    pub keepers: Vec<(String, String)>,
}

/// Where the root of a city's key tree lies.
pub trait RootPlace {
    /// Opens the slots; `None` if no root was ever put there.
    fn open(&self) -> usufruct_vault::Result<Option<Box<dyn RootSlots>>>;

    /// Makes the slots with the first root, at the first start of a city.
    fn create(&self, first: &Root, rng: &dyn Rng) -> usufruct_vault::Result<Box<dyn RootSlots>>;
}

/// Opens the tree, or makes it on the first start of a city, which has no statements in its register.
///
/// A city that has a log had a tree; if that is not there it is not made anew, since all residents' data would be lost
/// without a word. Nothing is destroyed, and nothing put in escrow, before it is certain that the tree may be opened.
pub(crate) fn open(
    setup: &VaultSetup,
    place: Option<Box<dyn RootPlace>>,
    house: &House,
    db: &Db,
    register: Option<&Register>,
    rng: &dyn Rng,
) -> Result<Box<dyn KeyTree>, Error> {
    let pages = pages(setup, house, db)?;
    let place = place.unwrap_or_else(|| Box::new(setup.file(house)));
    let roots = match place.open()? {
        Some(roots) => roots,
        None if register.is_none() => place.create(&PageTree::<PageFile, FileRoots>::first_root(rng), rng)?,
        None => return Err(no_root(house)),
    };
    let guarded = |roots: Box<dyn RootSlots>| {
        let terms = register.and_then(|register| register.vault.as_ref()).map(|entry| &entry.body);
        let roots = match &setup.escrow {
            Some(escrow) => escrow.around(roots, terms, disk(setup), rng)?,
            None => roots,
        };
        Ok::<_, Error>(Box::new(NotedRoots { inner: roots, db: db.clone() }) as Box<dyn RootSlots>)
    };
    let Some(register) = register else {
        // A tree with erasures behind it has pages somewhere.
        let is_first = is_empty(&pages)? && roots.roots()?.iter().all(|root| root.epoch.0 == 0);
        let roots = guarded(roots)?;
        return match is_first {
            true => Ok(Box::new(PageTree::create(pages, roots, rng)?)),
            false => Ok(Box::new(PageTree::open(pages, roots)?)),
        };
    };
    let chosen = choose(&pages, &roots, Reached::of(register, db)?)?;
    Ok(Box::new(PageTree::start(pages, guarded(roots)?, chosen)?))
}

/// Reads the tree, and refuses one that was set back.
fn choose<P: Pages, R: RootSlots>(pages: &P, roots: &R, reached: Reached) -> Result<Chosen, Error> {
    PageTree::choose(pages, roots, reached.floor()).map_err(|error| match error {
        VaultError::SetBack { epoch, .. } => reached.refuse_older(epoch).err().unwrap_or(Error::Vault(error)),
        other => Error::Vault(other),
    })
}

fn is_empty(pages: &dyn Pages) -> Result<bool, Error> {
    let mut is_empty = true;
    let seen = pages.each(&mut |_, _| {
        is_empty = false;
        Err(VaultError::Stopped)
    });
    if is_empty {
        seen?;
    }
    Ok(is_empty)
}

/// The keys as they are now, to be looked at: neither the pages nor the root are changed.
pub(crate) fn look(
    setup: &VaultSetup,
    place: Option<Box<dyn RootPlace>>,
    house: &House,
    db: &Db,
    rng: &dyn Rng,
) -> Result<Vault, Error> {
    let place = place.unwrap_or_else(|| Box::new(setup.file(house)));
    let roots = Untouched(place.open()?.ok_or_else(|| no_root(house))?);
    let pages = Untouched(pages(setup, house, db)?);
    let chosen = choose(&pages, &roots, Reached::of(&replay(db)?, db)?)?;
    let tree = PageTree::start(pages, roots, chosen)?;
    // Nothing that is looked at in this way is ever released.
    let (_, gate) = pair(rng);
    Ok(Vault::new(Box::new(tree), gate, rng)?)
}

fn no_root(house: &House) -> Error {
    Error::refused(
        &format!("The root of the key tree of {} is not where the set-up says.", house.dir().display()),
        "Without it no data opens; start from a live replica, or let the keepers bring it back.",
    )
}

/// The place of the pages.
pub(crate) fn pages(setup: &VaultSetup, house: &House, db: &Db) -> Result<Box<dyn Pages>, Error> {
    Ok(match setup.pages_in_database {
        true => Box::new(DatabasePages(db.clone())),
        false => Box::new(PageFile::open(&house.vault_dir())?),
    })
}

/// The disks that a root may lie on.
pub(crate) fn disk(setup: &VaultSetup) -> Disk {
    if setup.any_disk { Disk::Any } else { Disk::InPlace }
}

impl VaultSetup {
    /// The file of class E0 in the data directory.
    pub fn file(&self, house: &House) -> FilePlace {
        FilePlace { dir: house.vault_dir(), disk: disk(self) }
    }
}

/// The root in a file.
pub struct FilePlace {
    dir: PathBuf,
    disk: Disk,
}

impl RootPlace for FilePlace {
    fn open(&self) -> usufruct_vault::Result<Option<Box<dyn RootSlots>>> {
        if !self.dir.join("root").exists() {
            return Ok(None);
        }
        Ok(Some(Box::new(FileRoots::open(&self.dir, self.disk)?)))
    }

    fn create(&self, first: &Root, _rng: &dyn Rng) -> usufruct_vault::Result<Box<dyn RootSlots>> {
        Ok(Box::new(FileRoots::create(&self.dir, first, self.disk)?))
    }
}

/// Pages or roots that are read and left as they are.
struct Untouched<T>(T);

impl<P: Pages> Pages for Untouched<P> {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> usufruct_vault::Result<()>) -> usufruct_vault::Result<()> {
        self.0.each(show)
    }

    fn read(&self, id: PageId) -> usufruct_vault::Result<Option<Box<Page>>> {
        self.0.read(id)
    }

    fn write(&self, _pages: &[(PageId, Box<Page>)]) -> usufruct_vault::Result<()> {
        Ok(())
    }

    fn free(&self, _ids: &[PageId]) -> usufruct_vault::Result<()> {
        Ok(())
    }
}

impl<R: RootSlots> RootSlots for Untouched<R> {
    fn class(&self) -> SlotClass {
        self.0.class()
    }

    fn roots(&self) -> usufruct_vault::Result<Vec<Root>> {
        self.0.roots()
    }

    fn put(&self, _root: &Root, _rng: &dyn Rng) -> usufruct_vault::Result<()> {
        Ok(())
    }

    fn keep_only(&self, _epoch: Epoch) -> usufruct_vault::Result<()> {
        Ok(())
    }

    fn statements(&self, epoch: Epoch) -> usufruct_vault::Result<Vec<Destroyed>> {
        self.0.statements(epoch)
    }

    fn heal(&self) -> usufruct_vault::Result<()> {
        Ok(())
    }
}

/// Pages in a table of the city's database.
struct DatabasePages(Db);

impl Pages for DatabasePages {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> usufruct_vault::Result<()>) -> usufruct_vault::Result<()> {
        let mut after = None;
        loop {
            let batch = self.0.read_aside(|conn| key_pages::list(conn, after, BATCH)).map_err(outside)?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            after = Some(*last);
            for ((level, index, version), data) in &batch {
                let page: &Page = data.as_slice().try_into().map_err(|_| wrong_length())?;
                let id = PageId::of(page);
                if id != (PageId { level: *level, index: *index, version: *version }) {
                    return Err(VaultError::Damaged { what: "a page in the database stands under another name" });
                }
                show(id, page)?;
            }
        }
    }

    fn read(&self, id: PageId) -> usufruct_vault::Result<Option<Box<Page>>> {
        let data = self.0.read_aside(|conn| key_pages::find(conn, row(id))).map_err(outside)?;
        data.map(|data| <[u8; PAGE]>::try_from(data).map(Box::new).map_err(|_| wrong_length())).transpose()
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> usufruct_vault::Result<()> {
        let pages: Vec<_> = pages.iter().map(|(id, page)| (row(*id), page.to_vec())).collect();
        self.0.transaction("write key pages", move |tx| key_pages::insert(tx, &pages)).map_err(outside)
    }

    fn free(&self, ids: &[PageId]) -> usufruct_vault::Result<()> {
        let ids: Vec<_> = ids.iter().copied().map(row).collect();
        self.0.transaction("free key pages", move |tx| key_pages::delete(tx, &ids)).map_err(outside)
    }
}

fn row(id: PageId) -> key_pages::Id {
    (id.level, id.index, id.version)
}

fn wrong_length() -> VaultError {
    VaultError::Damaged { what: "a page in the database has another length" }
}

fn outside(error: usufruct_store::db::Error) -> VaultError {
    VaultError::Io { action: "reach its pages in the database", source: std::io::Error::other(error) }
}

/// Pages read at once.
const BATCH: usize = 256;

#[cfg(test)]
mod tests;
