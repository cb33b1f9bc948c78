//! The key tree as one sealed file per epoch and a root in a slot that is overwritten in place.
//!
//! `keys.<epoch>` holds every live key, sealed under the root of that epoch ([`records`]); `root` holds that root
//! ([`slot`]). An insert appends one record. An erasure writes all that stays under a fresh root into the file of the next
//! epoch, and then, in this order: that file is durable; the new root is durable, which is the commit point; the old root
//! is zeros, durably; the old file is removed. So old copies of key files are worthless, and so is every copy of the whole
//! folder but the newest.
//!
//! After a crash, opening finds the old epoch or the new one, wipes the root of the other before it serves anything, and
//! removes the rest. What it cannot explain it refuses.

mod records;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use usufruct_core::ports::Rng;

use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::tree::{Epoch, Erased, Key, KeyId, KeyTree, SlotClass, commit_root};
use records::{ALIGN, RECORD_MAX, header, record, record_len};
use slot::{Root, Slots};

/// A key tree in a folder (class E0). All keys are in memory; the folder is for the next start.
pub struct KeyFile {
    folder: PathBuf,
    live: RwLock<Live>,
    writer: Mutex<Writer>,
    hook: Hook,
}

/// What readers see.
struct Live {
    keys: Keys,
    epoch: Epoch,
}

/// What the one writer holds.
struct Writer {
    slots: Slots,
    root: Root,
    file: File,
    end: u64,
    /// Set while a write is under way, and for good when one failed.
    stopped: bool,
}

/// Called after every step that changes the disk, so that a test can end the process there.
type Hook = Box<dyn Fn(Step) + Send + Sync>;

/// A step that changed the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Appended,
    AppendDurable,
    FileWritten,
    FileDurable,
    RootDurable,
    OldRootWiped,
    OldFileRemoved,
    LoserWiped,
    TailCut,
    StrayRemoved,
}

impl KeyTree for KeyFile {
    fn get(&self, id: KeyId) -> Result<Option<Key>> {
        Ok(self.live().keys.get(id).map(Key::copy))
    }

    fn insert(&self, keys: &[(KeyId, Key)], rng: &dyn Rng) -> Result<()> {
        let mut writer = self.writer()?;
        self.live().keys.check_insert(keys)?;
        if keys.is_empty() {
            return Ok(());
        }
        // Two records could be half there after a crash, so a batch must fit one; it holds a hundred million keys.
        assert!(keys.len() <= RECORD_MAX, "a batch of keys fits one record");
        writer.stopped = true;
        let record = record(&writer.root, writer.end, keys.iter().map(|(id, key)| (*id, key)), rng);
        writer.file.write_all_at(&record, writer.end).map_err(Error::io("append keys"))?;
        (self.hook)(Step::Appended);
        writer.file.sync_data().map_err(Error::io("append keys"))?;
        (self.hook)(Step::AppendDurable);
        writer.end += record.len() as u64;
        self.live_mut().keys.insert(keys);
        writer.stopped = false;
        Ok(())
    }

    fn erase(&self, ids: &[KeyId], replace: &[(KeyId, Key)], rng: &dyn Rng) -> Result<Erased> {
        let mut writer = self.writer()?;
        let handles = self.live().keys.check_erase(ids, replace)?;
        let root = Root { epoch: Epoch(writer.root.epoch.0 + 1), secret: Key::random(rng) };
        writer.stopped = true;
        let (file, end) = self.write_next(&root, ids, replace, rng)?;
        writer.slots.write(&root)?;
        (self.hook)(Step::RootDurable);
        {
            let mut live = self.live_mut();
            live.keys.erase(ids, replace);
            live.epoch = root.epoch;
        }
        let old = std::mem::replace(&mut writer.root, root);
        (writer.file, writer.end) = (file, end);
        writer.slots.wipe_all_but(writer.root.epoch)?;
        (self.hook)(Step::OldRootWiped);
        self.remove(&file_name(old.epoch))?;
        (self.hook)(Step::OldFileRemoved);
        writer.stopped = false;
        Ok(Erased {
            before: old.epoch,
            after: writer.root.epoch,
            root_before: commit_root(&old.secret, old.epoch),
            root_after: commit_root(&writer.root.secret, writer.root.epoch),
            handles,
        })
    }

    fn epoch(&self) -> Epoch {
        self.live().epoch
    }

    fn class(&self) -> SlotClass {
        SlotClass::E0
    }
}

impl KeyFile {
    /// Makes an empty key store in `folder`, which is made too if need be, and opens it.
    pub fn create(folder: &Path, rng: &dyn Rng) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        if fs::exists(folder.join(slot::NAME)).map_err(Error::io("look into its folder"))? {
            return Err(Error::FolderTaken);
        }
        let root = Root { epoch: Epoch(0), secret: Key::random(rng) };
        let file = new_file(&folder.join(file_name(root.epoch)))?;
        file.write_all_at(&header(&root, ALIGN as u64), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(folder))
            .map_err(Error::io("write the key file"))?;
        Slots::create(folder, &root)?;
        Self::open(folder)
    }

    /// Opens the key store in `folder` and brings to an end what a crash interrupted.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_with(folder, Box::new(|_| ()))
    }

    fn open_with(folder: &Path, hook: Hook) -> Result<Self> {
        let slots = Slots::open(folder)?;
        let (root, keys, file, end) = newest(folder, slots.roots()?)?;
        slots.wipe_all_but(root.epoch)?;
        hook(Step::LoserWiped);
        let torn = file.metadata().map_err(Error::io("read the key file"))?.len() > end;
        if torn {
            file.set_len(end).and_then(|()| file.sync_all()).map_err(Error::io("cut the torn end of the key file"))?;
            hook(Step::TailCut);
        }
        let live = RwLock::new(Live { keys, epoch: root.epoch });
        let writer = Mutex::new(Writer { slots, root, file, end, stopped: false });
        let store = Self { folder: folder.to_owned(), live, writer, hook };
        store.remove_strays()?;
        Ok(store)
    }

    /// Writes all keys that stay into the file of the next epoch. When this returns, the file is durable.
    fn write_next(&self, root: &Root, ids: &[KeyId], replace: &[(KeyId, Key)], rng: &dyn Rng) -> Result<(File, u64)> {
        let gone: HashSet<KeyId> = ids.iter().copied().chain(replace.iter().map(|(id, _)| *id)).collect();
        let live = self.live();
        let mut keys: Vec<(KeyId, &Key)> = live.keys.iter().filter(|(id, _)| !gone.contains(id)).collect();
        keys.extend(replace.iter().map(|(id, key)| (*id, key)));
        let base_len = ALIGN + keys.chunks(BASE_RECORD).map(|keys| record_len(keys.len())).sum::<usize>();
        let file = new_file(&self.folder.join(file_name(root.epoch)))?;
        let mut end = 0;
        let mut append = |bytes: &[u8]| {
            let written = file.write_all_at(bytes, end).map_err(Error::io("write the key file of the next epoch"));
            end += bytes.len() as u64;
            written
        };
        append(&header(root, base_len as u64))?;
        let mut position = ALIGN as u64;
        for keys in keys.chunks(BASE_RECORD) {
            append(&record(root, position, keys.iter().copied(), rng))?;
            position += record_len(keys.len()) as u64;
        }
        drop(live);
        (self.hook)(Step::FileWritten);
        file.sync_all().and_then(|()| sync_folder(&self.folder)).map_err(Error::io("write the key file of the next epoch"))?;
        (self.hook)(Step::FileDurable);
        Ok((file, end))
    }

    /// Removes key files of other epochs. Their roots are gone, so this frees space and nothing else.
    fn remove_strays(&self) -> Result<()> {
        let own = file_name(self.epoch());
        for entry in fs::read_dir(&self.folder).map_err(Error::io("list its folder"))? {
            let name = entry.map_err(Error::io("list its folder"))?.file_name();
            let name = name.to_string_lossy();
            if (name.starts_with(FILE_PREFIX) && *name != own) || name == "root.new" {
                self.remove(&name)?;
                (self.hook)(Step::StrayRemoved);
            }
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.folder.join(name)).and_then(|()| sync_folder(&self.folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove an old key file", source: error })
            }
            _ => Ok(()),
        }
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.stopped { Err(Error::Stopped) } else { Ok(writer) }
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the roots there are, the newest whose key file is whole, with its keys, its file and where that ends.
fn newest(folder: &Path, roots: Vec<Root>) -> Result<(Root, Keys, File, u64)> {
    let mut outcome = Err(Error::Damaged { what: "there is no root" });
    for root in roots {
        outcome = load(folder, &root).map(|(keys, file, end)| (root, keys, file, end));
        match &outcome {
            Err(Error::Damaged { .. }) => (),
            _ => break,
        }
    }
    outcome
}

fn load(folder: &Path, root: &Root) -> Result<(Keys, File, u64)> {
    let path = folder.join(file_name(root.epoch));
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Damaged { what: "the key file of the root's epoch is missing" });
        }
        Err(source) => return Err(Error::Io { action: "open the key file", source }),
    };
    let bytes = fs::read(&path).map_err(Error::io("read the key file"))?;
    let mut keys = Keys::default();
    let end = records::read(&bytes, root, |id, key| match keys.put(id, key) {
        true => Ok(()),
        false => Err(Error::Damaged { what: "a key stands in the key file twice" }),
    })?;
    Ok((keys, file, end))
}

fn new_file(path: &Path) -> Result<File> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path);
    options.map_err(Error::io("make a key file"))
}

/// Makes new and removed names durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn file_name(epoch: Epoch) -> String {
    format!("{FILE_PREFIX}{}", epoch.0)
}

const FILE_PREFIX: &str = "keys.";
/// Keys in one record of the base, about 2.7 MB.
const BASE_RECORD: usize = 65_536;
