//! Found a pass anew whose root of the key tree is lost, with nobody left who has it. What was sealed opens no more, so its rows
//! go; the log, its statements and the register stay.

use std::fs;

use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_store::db::{Db, Options};
use usufruct_store::tables::{self, Source};
use usufruct_store::{MIGRATIONS, erasures, key_epochs, residents};
use usufruct_vault::keytree::PageTree;
use usufruct_vault::roots::{FileRoots, Root};
use usufruct_vault::{Epoch, Key};

use crate::app::replay;
use crate::key_tree::{disk, pages};
use crate::{Config, Error, House};

/// A pass after its new foundation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refounded {
    /// Residents whose rows are gone.
    pub residents: i64,
    /// The first epoch of the new key tree: no certificate names it or a later one.
    pub first_epoch: u64,
}

/// Makes a new key tree with its root in the file of the data directory, and removes every row that hangs on a key of the old
/// one. Can be repeated after a crash. Whoever calls it has made sure that the root is lost, and that nobody opens the pass before
/// it is done.
pub fn refound(config: &Config, house: &House, rng: &dyn Rng) -> Result<Refounded, Error> {
    let folder = house.vault_dir();
    house.require_seeds(&["log", "log-ml-dsa", "receipt"])?;
    let (db, register) = open(config, house)?;
    let residents = db.read(|conn| residents::count(conn))?;
    db.transaction("forget what is lost", |tx| {
        let mut lost = tables::ALL.iter().filter(|table| table.source != Source::Log && !KEPT.contains(&table.name));
        lost.try_for_each(|table| table.clear(tx).map(drop))?;
        erasures::forget_residents(tx)
    })?;
    // Freed room is overwritten, and this empties the write-ahead log beside it.
    db.checkpoint()?;
    let first_epoch = first_epoch(&db, &register)?;
    if !config.vault.pages_in_database {
        remove(&folder.join("pages"))?;
    }
    remove(&folder.join("root"))?;
    let root = Root { epoch: Epoch(first_epoch), secret: Key::random(rng) };
    let roots = FileRoots::create(&folder, &root, disk(&config.vault))?;
    PageTree::create(pages(&config.vault, house, &db)?, roots, rng)?;
    Ok(Refounded { residents, first_epoch })
}

/// The register of a pass that cannot be opened, with its database.
fn open(config: &Config, house: &House) -> Result<(Db, Register), Error> {
    let url = config.database.clone().unwrap_or_else(|| house.database_url());
    let db = Db::open(&url, &Options::default())?;
    db.migrate(MIGRATIONS)?;
    let register = replay(&db)?;
    if register.operator().is_none() {
        return Err(Error::refused(
            "There is no pass in the database.",
            "Bring the database and the log back with `usufruct restore` or `usufruct restore-log` first.",
        ));
    }
    Ok((db, register))
}

/// The register of a pass that cannot be opened, and the epoch that it would begin with again.
pub fn before_refounding(config: &Config, house: &House) -> Result<(Register, u64), Error> {
    let (db, register) = open(config, house)?;
    let first = first_epoch(&db, &register)?;
    Ok((register, first))
}

/// The first epoch after all that certificates and published keys name, after an earlier loss, and after what the database notes.
fn first_epoch(db: &Db, register: &Register) -> Result<u64, Error> {
    let certified = register.certificates.values().flat_map(|entry| [entry.body.epoch_before, entry.body.epoch_after]);
    let lost = register.vault.as_ref().and_then(|entry| entry.body.lost_before);
    let published = register.keys.values().map(|entry| entry.body.epoch);
    let public = certified.chain(published).chain(lost).max().unwrap_or(0).unsigned_abs();
    Ok(public.max(db.read(key_epochs::reached)?) + 1)
}

/// What stays beside the log: which erasures were proven, and how far the lost tree had come.
const KEPT: [&str; 2] = ["erasures", "key_epochs"];

fn remove(path: &std::path::Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::House { what: format!("{}: {error}", path.display()) })
        }
        _ => Ok(()),
    }
}
