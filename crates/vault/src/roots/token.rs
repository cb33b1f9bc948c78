//! Class E1: a PKCS#11 token has one key for each epoch, and what it wraps is the root of that epoch (erasure.md 1.4).
//!
//! The wrapped root lies in a small file, which opens under the token's key only. So the root is destroyed with that key,
//! whatever copies of the file there are. A module that says it destroyed a key may still have it (SoftHSM issue 903: the
//! handle goes first, and when the file cannot be removed the key is back at the next start). Therefore every visit to the
//! token begins with a fresh start of the module and ends with its end, and after destroying there is another visit that
//! searches.
//!
//! | in the file | bytes |
//! |---|---|
//! | `"UFTOKEN1"`, epoch, id of the token's key | 8, 8, 16 |
//! | 1 and nonce (AES-GCM on the token), or 2 and salt (AES-CBC on the token) | 1 + 12, or 1 + 32 |
//! | root and tag | 48 |
//! | SHA-256 of all that | 32 |
//!
//! In the second way the token encrypts the salt, and what comes out is the key that seals the root. It is for tokens that do
//! not know GCM, and better than AES key wrap: the root is never an object on the token that may be read back.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Refused, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use super::{Disk, Root, RootSlots, check_disk};
use crate::aead;
use crate::disk::open_in_place;
use crate::error::{Error, Result};
use crate::tree::{Epoch, Key, SlotClass};

/// The keys of one vault on a token, and the folder with the wrapped roots, which is locked against other processes.
pub struct TokenRoots {
    place: TokenPlace,
    pin: Pin,
    class: SlotClass,
    way: Way,
    /// Where the wrapped roots may lie; anywhere, if the token itself destroys its keys.
    disk: Disk,
    _lock: File,
}

/// Which keys on which token, and where the wrapped roots lie.
#[derive(Clone, Debug)]
pub struct TokenPlace {
    /// The token's PKCS#11 library.
    pub module: PathBuf,
    /// The token's label, which no other token of the module may have.
    pub token: String,
    /// Stands in the labels of the keys, so that several vaults can share a token.
    pub vault: String,
    /// Gets the wrapped roots.
    pub folder: PathBuf,
}

/// The PIN of a token's user. Overwritten when dropped; has no `Debug` and no `Clone`.
pub struct Pin(AuthPin);

impl TokenRoots {
    /// Makes the key of the first root on the token and wraps it. `folder` is made too if need be. Refuses a token that has
    /// keys of this vault already: they may be all that opens another tree.
    pub fn create(place: TokenPlace, pin: Pin, first: &Root, disk: Disk, rng: &dyn Rng) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&place.folder).map_err(Error::io("make its folder"))?;
        let roots = Self::lock(place, pin, disk)?;
        if !roots.files()?.is_empty() {
            return Err(Error::FolderTaken);
        }
        if !roots.visit(|visit| visit.keys())?.is_empty() {
            return Err(Error::TokenTaken { token: roots.place.token, vault: roots.place.vault });
        }
        roots.put(first, rng).inspect_err(|_| {
            // What is left of a failed start would be taken for another tree at the next.
            let _ = roots.visit(|visit| {
                for key in &visit.keys()? {
                    let _ = visit.destroy(key);
                }
                Ok(())
            });
        })?;
        Ok(roots)
    }

    /// Opens the folder of a vault whose keys are on the token.
    pub fn open(place: TokenPlace, pin: Pin, disk: Disk) -> Result<Self> {
        Self::lock(place, pin, disk)
    }

    fn lock(place: TokenPlace, pin: Pin, disk: Disk) -> Result<Self> {
        let lock = File::open(&place.folder).map_err(Error::io("open the folder of the wrapped roots"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { action: "lock the folder of the wrapped roots", source });
            }
        }
        let mut roots = Self { place, pin, class: SlotClass::E0, way: Way::Gcm, disk: Disk::Any, _lock: lock };
        (roots.class, roots.way) = roots.visit(|visit| Ok((visit.class()?, visit.way()?)))?;
        if roots.class == SlotClass::E0 {
            // A token in software has its keys in files as well, so all that can be claimed is what is overwritten here.
            check_disk(&roots.place.folder, disk)?;
            roots.disk = disk;
        }
        Ok(roots)
    }

    /// Starts the module, logs in, does something, and ends the module again.
    fn visit<T>(&self, act: impl FnOnce(&Visit<'_>) -> Result<T>) -> Result<T> {
        // A module knows one state for the whole process. It is never unloaded: not all survive that.
        static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.get(&self.place.module) {
            Some(module) => module.clone(),
            None => {
                let module = Pkcs11::new(&self.place.module).map_err(self.refused("load its module"))?;
                modules.entry(self.place.module.clone()).or_insert(module).clone()
            }
        };
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(self.refused("start its module"))?;
        let done = self.log_in(&module).and_then(|visit| {
            let done = act(&visit)?;
            visit.session.close().map_err(self.refused("close the session"))?;
            Ok(done)
        });
        let ended = module.finalize().map_err(self.refused("end its module"));
        done.and_then(|done| ended.map(|()| done))
    }

    fn log_in<'a>(&'a self, module: &'a Pkcs11) -> Result<Visit<'a>> {
        let name = || self.place.token.clone();
        let mut found = Vec::new();
        for slot in module.get_slots_with_token().map_err(self.refused("list the slots"))? {
            let info = module.get_token_info(slot).map_err(self.refused("say what it is"))?;
            if info.token_initialized() && info.label() == self.place.token {
                found.push((slot, info));
            }
        }
        let [(slot, info)] = &found[..] else { return Err(Error::NoToken { token: name(), found: found.len() }) };
        if info.user_pin_locked() {
            return Err(Error::TokenPin { token: name(), why: "it is locked" });
        }
        if info.user_pin_final_try() {
            // A service that is started again and again must not be what locks the token.
            return Err(Error::TokenPin { token: name(), why: "only one more try is left, so it was not tried" });
        }
        let session = module.open_rw_session(*slot).map_err(self.refused("open a session"))?;
        session.login(UserType::User, Some(&self.pin.0)).map_err(|error| match error {
            Refused::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _) => {
                Error::TokenPin { token: name(), why: "it is not the right one" }
            }
            Refused::Pkcs11(RvError::PinLocked, _) => Error::TokenPin { token: name(), why: "it is locked" },
            other => self.refused("log in")(other),
        })?;
        Ok(Visit { roots: self, module, slot: *slot, session })
    }

    /// The name of the file for an epoch.
    fn path(&self, epoch: Epoch) -> PathBuf {
        self.place.folder.join(format!("{PREFIX}{}", epoch.0))
    }

    /// The files of wrapped roots: what their names say they are, whole or not.
    fn files(&self) -> Result<Vec<(Epoch, PathBuf)>> {
        let mut files = Vec::new();
        let mut list = || -> io::Result<()> {
            for entry in std::fs::read_dir(&self.place.folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|number| number.parse().ok());
                if let Some(number) = number {
                    files.push((Epoch(number), entry.path()));
                }
            }
            Ok(())
        };
        list().map_err(Error::io("list the wrapped roots"))?;
        Ok(files)
    }

    fn read(path: &Path) -> Result<Option<Wrapped>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Wrapped::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read a wrapped root")(error)),
        }
    }

    /// Puts the file of a wrapped root in its place, whole or not at all.
    fn write(&self, wrapped: &Wrapped) -> Result<()> {
        let (draft, action) = (self.place.folder.join("wrapped.new"), "write the wrapped root");
        let options = &mut OpenOptions::new();
        let file = open_in_place(&draft, options.write(true).create(true).truncate(true), self.disk, action)?;
        let write = || -> io::Result<()> {
            file.write_all_at(&wrapped.encode(), 0)?;
            file.sync_all()?;
            std::fs::rename(&draft, self.path(wrapped.epoch))?;
            File::open(&self.place.folder)?.sync_all()
        };
        write().map_err(Error::io(action))
    }

    /// Overwrites the files of all other epochs, and removes them. For a token of hardware they are worthless by then; one in
    /// software keeps its keys in files that it only unlinks, and there this is what class E0 claims.
    fn wipe(&self, epoch: Epoch) -> Result<()> {
        let wipe = |path: &Path, file: &File| -> io::Result<()> {
            let zeros = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
            let mut back = vec![1; zeros.len()];
            file.write_all_at(&zeros, 0)?;
            file.sync_data()?;
            file.read_exact_at(&mut back, 0)?;
            if back != zeros {
                return Err(io::Error::other("the old wrapped root is still there"));
            }
            std::fs::remove_file(path)
        };
        for (of, path) in self.files()? {
            if of != epoch {
                let action = "overwrite an old wrapped root";
                let file = open_in_place(&path, OpenOptions::new().read(true).write(true), self.disk, action)?;
                wipe(&path, &file).map_err(Error::io(action))?;
            }
        }
        File::open(&self.place.folder).and_then(|folder| folder.sync_all()).map_err(Error::io("make its folder durable"))
    }

    fn refused(&self, action: &'static str) -> impl Fn(Refused) -> Error + '_ {
        move |error| Error::Token { token: self.place.token.clone(), action, why: answer(&error) }
    }
}

impl RootSlots for TokenRoots {
    fn class(&self) -> SlotClass {
        self.class
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let mut wrapped = Vec::new();
        for (epoch, path) in self.files()? {
            wrapped.extend(Self::read(&path)?.filter(|wrapped| wrapped.epoch == epoch));
        }
        let (mut roots, keys) = self.visit(|visit| {
            let (keys, mut roots) = (visit.keys()?, Vec::new());
            for wrapped in &wrapped {
                if let Some(key) = keys.iter().find(|key| key.is_of(wrapped)) {
                    visit.check(key)?;
                    roots.push(Root { epoch: wrapped.epoch, secret: visit.unwrap(key, wrapped)? });
                }
            }
            Ok((roots, keys.len()))
        })?;
        if roots.is_empty() {
            let what = match (wrapped.len(), keys) {
                (0, 0) => "there is no root, neither in the folder nor on the token",
                (0, _) => "the token has keys of this vault, but no root that they wrap is in the folder",
                _ => "the token has no key for the wrapped roots in the folder",
            };
            return Err(Error::Damaged { what });
        }
        roots.sort_by_key(|root| std::cmp::Reverse(root.epoch));
        Ok(roots)
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        self.visit(|visit| {
            for key in visit.keys()?.iter().filter(|key| key.epoch == root.epoch) {
                visit.destroy(key).map_err(self.refused("destroy a key"))?;
            }
            let key = visit.make(root.epoch, random(rng))?;
            visit.check(&key)?;
            self.write(&visit.wrap(&key, root, rng)?)?;
            // The root before is destroyed next, so it must be certain that this one can be had.
            let wrapped = Self::read(&self.path(root.epoch))?.filter(|wrapped| key.is_of(wrapped));
            let back = visit.unwrap(&key, &wrapped.ok_or(Error::Damaged { what: "the wrapped root was not written" })?)?;
            if equal(back.bytes(), root.secret.bytes()) {
                Ok(())
            } else {
                Err(Error::Damaged { what: "the token does not bring back the root that it wrapped" })
            }
        })
    }

    /// Destroys all keys of the vault but the one that wraps the root of `epoch`, and then searches for them after a fresh
    /// start of the module.
    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        let kept = Self::read(&self.path(epoch))?.filter(|wrapped| wrapped.epoch == epoch);
        let kept = kept.ok_or(Error::Damaged { what: "the wrapped root that is to stay is not in the folder" })?;
        let others = |visit: &Visit<'_>| {
            let keys = visit.keys()?;
            match keys.iter().any(|key| key.is_of(&kept)) {
                true => Ok(keys.into_iter().filter(|key| !key.is_of(&kept)).collect::<Vec<_>>()),
                false => Err(Error::Damaged { what: "the token has no key for the root that is to stay" }),
            }
        };
        // What the token answers does not count; what it lists at the next visit does.
        let tried = self.visit(|visit| Ok(others(visit)?.iter().map(|key| visit.destroy(key)).collect::<Vec<_>>()))?;
        self.wipe(epoch)?;
        if tried.is_empty() {
            return Ok(());
        }
        match self.visit(|visit| Ok(others(visit)?.len()))? {
            0 => Ok(()),
            count => Err(Error::TokenKept {
                token: self.place.token.clone(),
                count,
                why: tried.iter().find_map(|tried| tried.as_ref().err()).map_or("it said that it did".to_owned(), answer),
            }),
        }
    }

    fn statements(&self, _epoch: Epoch) -> Result<Vec<Destroyed>> {
        Ok(Vec::new())
    }

    fn heal(&self) -> Result<()> {
        Ok(())
    }
}

/// A session on the token, between a start and an end of its module.
struct Visit<'a> {
    roots: &'a TokenRoots,
    module: &'a Pkcs11,
    slot: Slot,
    session: Session,
}

/// A key of this vault on the token.
struct TokenKey {
    epoch: Epoch,
    id: Vec<u8>,
    handle: ObjectHandle,
}

impl Visit<'_> {
    /// E1 when the module says that its slot is hardware. What it says of itself is all there is to go by.
    fn class(&self) -> Result<SlotClass> {
        let refused = || self.roots.refused("say what it is");
        let token = self.module.get_token_info(self.slot).map_err(refused())?;
        let slot = self.module.get_slot_info(self.slot).map_err(refused())?;
        let is_soft = token.manufacturer_id().contains("SoftHSM") || !slot.hardware_slot();
        Ok(if is_soft { SlotClass::E0 } else { SlotClass::E1 })
    }

    /// How this token can wrap.
    fn way(&self) -> Result<Way> {
        let refused = || self.roots.refused("say what it can do");
        let known = self.module.get_mechanism_list(self.slot).map_err(refused())?;
        for (way, mechanism) in [(Way::Gcm, MechanismType::AES_GCM), (Way::Cbc, MechanismType::AES_CBC)] {
            if known.contains(&mechanism) {
                let info = self.module.get_mechanism_info(self.slot, mechanism).map_err(refused())?;
                if info.encrypt() && (way == Way::Cbc || info.decrypt()) {
                    return Ok(way);
                }
            }
        }
        Err(Error::Token {
            token: self.roots.place.token.clone(),
            action: "encrypt",
            why: "it offers neither AES-GCM nor AES-CBC".to_owned(),
        })
    }

    /// The keys of this vault that the token lists now.
    fn keys(&self) -> Result<Vec<TokenKey>> {
        let refused = || self.roots.refused("list its keys");
        let all = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true)];
        let mut keys = Vec::new();
        for handle in self.session.find_objects(&all).map_err(refused())? {
            let wanted = [AttributeType::Label, AttributeType::Id];
            let attributes = self.session.get_attributes(handle, &wanted).map_err(refused())?;
            let (mut epoch, mut id) = (None, Vec::new());
            for attribute in attributes {
                match attribute {
                    Attribute::Label(label) => epoch = self.epoch(&label),
                    Attribute::Id(bytes) => id = bytes,
                    _ => {}
                }
            }
            keys.extend(epoch.map(|epoch| TokenKey { epoch, id, handle }));
        }
        Ok(keys)
    }

    /// A key for an epoch, made on the token, which never lets it out.
    fn make(&self, epoch: Epoch, id: [u8; ID]) -> Result<TokenKey> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Label(self.label(epoch).into_bytes()),
            Attribute::Id(id.to_vec()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ];
        let handle = self.session.generate_key(&Mechanism::AesKeyGen, &template).map_err(self.roots.refused("make a key"))?;
        Ok(TokenKey { epoch, id: id.to_vec(), handle })
    }

    /// Refuses a key that was not made on the token, or that could ever leave it: somebody may have it.
    fn check(&self, key: &TokenKey) -> Result<()> {
        let wanted = [AttributeType::Local, AttributeType::AlwaysSensitive, AttributeType::NeverExtractable];
        let found = self.session.get_attributes(key.handle, &wanted).map_err(self.roots.refused("describe its key"))?;
        let is_closed = [Attribute::Local(true), Attribute::AlwaysSensitive(true), Attribute::NeverExtractable(true)]
            .iter()
            .all(|attribute| found.contains(attribute));
        if is_closed { Ok(()) } else { Err(Error::TokenOpen { token: self.roots.place.token.clone() }) }
    }

    fn destroy(&self, key: &TokenKey) -> Result<(), Refused> {
        self.session.destroy_object(key.handle)
    }

    fn wrap(&self, key: &TokenKey, root: &Root, rng: &dyn Rng) -> Result<Wrapped> {
        let aad = self.label(key.epoch);
        let (seed, sealed) = match self.roots.way {
            Way::Gcm => {
                // Each key seals one message only, so the nonce may be zero; some tokens want zeros and put in their own.
                let mut nonce = [0; NONCE];
                let params = GcmParams::new(&mut nonce, aad.as_bytes(), TAG_BITS.into());
                let mechanism = Mechanism::AesGcm(params.map_err(self.roots.refused("wrap the root"))?);
                let sealed = self.session.encrypt(&mechanism, key.handle, root.secret.bytes());
                (nonce.to_vec(), sealed.map_err(self.roots.refused("wrap the root"))?)
            }
            Way::Cbc => {
                let salt: [u8; SALT] = random(rng);
                let sealed = aead::seal(&self.derive(key, &salt)?, aad.as_bytes(), &[], root.secret.bytes());
                (salt.to_vec(), sealed)
            }
        };
        let id = key.id.clone();
        Ok(Wrapped { epoch: root.epoch, id, way: self.roots.way, seed, sealed })
    }

    fn unwrap(&self, key: &TokenKey, wrapped: &Wrapped) -> Result<Key> {
        let aad = self.label(key.epoch);
        let plain = match wrapped.way {
            Way::Gcm => {
                let mut nonce = wrapped.seed.clone();
                let params = GcmParams::new(&mut nonce, aad.as_bytes(), TAG_BITS.into());
                let mechanism = Mechanism::AesGcm(params.map_err(self.roots.refused("unwrap the root"))?);
                let plain = self.session.decrypt(&mechanism, key.handle, &wrapped.sealed);
                Zeroizing::new(plain.map_err(self.roots.refused("unwrap the root"))?)
            }
            Way::Cbc => aead::open(&self.derive(key, &wrapped.seed)?, aad.as_bytes(), &wrapped.sealed)?,
        };
        Key::from_slice(&plain).ok_or(Error::Damaged { what: "the wrapped root has not the length of a root" })
    }

    /// What the token makes of a salt: nobody can make it again without the token's key.
    fn derive(&self, key: &TokenKey, salt: &[u8]) -> Result<Key> {
        let made = self.session.encrypt(&Mechanism::AesCbc([0; 16]), key.handle, salt);
        let made = Zeroizing::new(made.map_err(self.roots.refused("derive the key for the root"))?);
        Key::from_slice(&made).ok_or(Error::Damaged { what: "the token's cipher has not the length of its salt" })
    }

    fn label(&self, epoch: Epoch) -> String {
        format!("usufruct/{}/{}", self.roots.place.vault, epoch.0)
    }

    /// The epoch in a label, if it is one of this vault's.
    fn epoch(&self, label: &[u8]) -> Option<Epoch> {
        let number = std::str::from_utf8(label).ok()?.rsplit('/').next()?.parse().ok().map(Epoch)?;
        (self.label(number).as_bytes() == label).then_some(number)
    }
}

impl TokenKey {
    fn is_of(&self, wrapped: &Wrapped) -> bool {
        self.epoch == wrapped.epoch && self.id == wrapped.id
    }
}

/// How a root is wrapped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The token encrypts a salt to the key that seals the root.
    Cbc,
    /// The token seals the root.
    Gcm,
}

/// What is in a file.
struct Wrapped {
    epoch: Epoch,
    /// Of the token's key.
    id: Vec<u8>,
    way: Way,
    /// Nonce or salt.
    seed: Vec<u8>,
    /// Root and tag.
    sealed: Vec<u8>,
}

impl Wrapped {
    fn encode(&self) -> Vec<u8> {
        let mut bytes =
            [&MAGIC[..], &self.epoch.0.to_be_bytes(), &self.id, &[self.way.number()], &self.seed, &self.sealed].concat();
        bytes.extend_from_slice(&sha256(&bytes).0);
        bytes
    }

    /// `None` for anything that is not whole.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, sum) = bytes.split_last_chunk::<32>()?;
        if sha256(content).0 != *sum {
            return None;
        }
        let (magic, rest) = content.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<ID>()?;
        let (number, rest) = rest.split_first()?;
        let way = [Way::Cbc, Way::Gcm].into_iter().find(|way| way.number() == *number)?;
        let (seed, sealed) = rest.split_at_checked(if way == Way::Gcm { NONCE } else { SALT })?;
        let epoch = Epoch(u64::from_be_bytes(*epoch));
        (magic == MAGIC).then(|| Self { epoch, id: id.to_vec(), way, seed: seed.to_vec(), sealed: sealed.to_vec() })
    }
}

impl Way {
    const fn number(self) -> u8 {
        match self {
            Self::Gcm => 1,
            Self::Cbc => 2,
        }
    }
}

impl Pin {
    /// The PIN in a file of its own. A file that everybody can read is refused.
    pub fn from_file(path: &Path) -> Result<Self> {
        let place = || path.display().to_string();
        let unreadable = |error: io::Error| Error::Pin { place: place(), why: error.to_string() };
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(Error::Pin { place: place(), why: "everybody may read it".to_owned() });
        }
        Self::new(&Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?), place)
    }

    /// The PIN in an environment variable, which other processes of the same user can read.
    pub fn from_env(name: &str) -> Result<Self> {
        // The error of `std::env::var` would carry what is in the variable.
        match std::env::var(name) {
            Ok(text) => Self::new(&Zeroizing::new(text), || name.to_owned()),
            Err(_) => Err(Error::Pin { place: name.to_owned(), why: "no such variable with text in it is set".to_owned() }),
        }
    }

    fn new(text: &str, place: impl Fn() -> String) -> Result<Self> {
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(Error::Pin { place: place(), why: "it is empty".to_owned() }),
            pin => Ok(Self(AuthPin::from(pin))),
        }
    }
}

/// What a token answered, for messages: the function and the code, not the paragraph the standard has for it.
fn answer(refused: &Refused) -> String {
    match refused {
        Refused::Pkcs11(code, function) => format!("C_{function:?} answered {code:?}"),
        other => other.to_string(),
    }
}

/// What the names of the files of wrapped roots begin with; the epoch follows.
const PREFIX: &str = "wrapped-";
const MAGIC: &[u8; 8] = b"UFTOKEN1";
/// Length of a key's id.
const ID: usize = 16;
const NONCE: usize = 12;
const SALT: usize = 32;
const TAG_BITS: u64 = 128;
