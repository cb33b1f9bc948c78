//! Vault: the one door to residents' keys, and through it to their data and their pseudonyms.
//!
//! The vault stores nothing but keys. Sealed keyrings, blocks and lines go in and out as bytes; the caller keeps them.

mod canary;
mod carried;
mod convert;
mod erase;
mod month;
mod notice;
mod open;
mod rotate;
mod withhold;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use usufruct_core::Digest;
use usufruct_core::handles::HandleProof;
use usufruct_core::hash::hmac_sha256;
use usufruct_core::id::BlockId;
use usufruct_core::keeper::Destroyed;
use usufruct_core::logged::Gate;
use usufruct_core::ports::Rng;
use usufruct_core::service::PseudonymMode;
use zeroize::Zeroizing;

use canary::Canary;

use crate::error::{Error, Result};
use crate::escrow::Appointment;
use crate::keyring::Keyring;
use crate::pseudonym::{Permutation, Sector, Seeds, Subject, seed_index};
use crate::seal;
use crate::second_hand::{self, Second, SecondHand};
use crate::tree::{Epoch, Erased, HouseKey, Key, KeyId, KeyTree, SlotClass, State, commit_key};

pub use convert::Way;
pub use erase::Withdrawal;
pub use rotate::Again;
pub use withhold::Withheld;

/// The key tree behind its door.
pub struct Vault {
    tree: Box<dyn KeyTree>,
    gate: Gate,
    /// Held while keys are destroyed, so that what was checked before still holds at the commit.
    erasing: Mutex<()>,
    second_hand: Option<Arc<dyn SecondHand>>,
    /// Called with each epoch from which on the keys that go in it open nothing here.
    watch: Option<Watch>,
    /// Synthetic residents, of whom traces are kept while they live, to be searched for afterwards.
    canaries: Mutex<BTreeMap<u64, Canary>>,
    /// How the pseudonyms of each sector are made. A sector that is not here has none, so that none is made in a wrong way.
    sectors: RwLock<BTreeMap<u64, KnownSector>>,
    /// When the keys of which mandates open nothing. `None` until the vault was told.
    withheld: RwLock<Option<BTreeMap<u64, Vec<Withheld>>>>,
}

/// Whoever wants to know when keys are closed.
type Watch = Box<dyn Fn(Epoch) + Send + Sync>;

/// A sector since this process learned of it.
struct KnownSector {
    mode: PseudonymMode,
    /// `K_s`, ready to permute, from the first use of it until it is destroyed or replaced.
    own: Option<Arc<Permutation>>,
}

/// A resident the vault has a key for now. The caller stores the keyring and the seed index, then she exists.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolled {
    pub resident: u64,
    /// The sealed keyring.
    pub keyring: Vec<u8>,
    /// The name under which [`Vault::resolve`] finds her. Unique.
    pub seed_index: [u8; 32],
    /// The public commitment of her key.
    pub key_commitment: Digest,
}

impl Vault {
    /// A vault over `tree` that believes the recorder `gate` belongs to. Makes the house keys if they are missing. Nothing that is lent opens before
    /// [`Vault::withhold`] was called.
    pub fn new(tree: Box<dyn KeyTree>, gate: Gate, rng: &dyn Rng) -> Result<Self> {
        let vault = Self {
            tree,
            gate,
            erasing: Mutex::new(()),
            second_hand: None,
            watch: None,
            canaries: Mutex::default(),
            sectors: RwLock::default(),
            withheld: RwLock::default(),
        };
        for key in [HouseKey::SeedIndex, HouseKey::Session] {
            vault.ensure(KeyId::House(key), rng)?;
        }
        Ok(vault)
    }

    /// The same vault with a second keeper for the sectors that have two.
    pub fn with_second_hand(self, hand: Arc<dyn SecondHand>) -> Self {
        Self { second_hand: Some(hand), ..self }
    }

    /// The same vault, which tells `watch` at every destruction of keys from which epoch on they open nothing here: at that moment, and
    /// before the root is destroyed under which they lived.
    pub fn with_watch(self, watch: impl Fn(Epoch) + Send + Sync + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// Whether there can be sectors with two keepers.
    pub fn has_second_hand(&self) -> bool {
        self.second_hand.is_some()
    }

    /// Makes the keys of a new resident.
    pub fn enrol(&self, rng: &dyn Rng) -> Result<Enrolled> {
        let mut enrolled = self.enrol_many(1, rng)?;
        // INVARIANT: one in, one out.
        Ok(enrolled.remove(0))
    }

    /// Makes the keys of `count` new residents in one durable commit, and gives them their numbers. A crash before the
    /// caller has stored them leaves keys nobody knows of.
    pub fn enrol_many(&self, count: usize, rng: &dyn Rng) -> Result<Vec<Enrolled>> {
        let first = self.tree.reserve(count as u64);
        let index_key = self.key(KeyId::House(HouseKey::SeedIndex))?;
        let mut keys = Vec::with_capacity(count);
        let mut enrolled = Vec::with_capacity(count);
        for resident in first..first + count as u64 {
            let key = Key::random(rng);
            let keyring = Keyring::fresh(resident, &key, rng);
            enrolled.push(Enrolled {
                resident,
                keyring: keyring.seal(&key, rng),
                seed_index: seed_index(&index_key, keyring.seed()),
                key_commitment: keyring.opened_with(),
            });
            keys.push((KeyId::Resident(resident), key));
        }
        self.tree.insert(&keys, rng)?;
        Ok(enrolled)
    }

    /// Opens a resident's keyring. Give all sealed ones there are, newest first: after a crash in the middle of a
    /// withdrawal there are two, and the one that opens is the one that holds.
    pub fn keyring(&self, resident: u64, sealed: &[impl AsRef<[u8]>]) -> Result<Keyring> {
        let key = self.key(KeyId::Resident(resident))?;
        for candidate in sealed {
            match Keyring::open(candidate.as_ref(), &key, resident) {
                Err(Error::Unreadable) => (),
                outcome => return outcome,
            }
        }
        Err(Error::Unreadable)
    }

    /// Seals a keyring again after a loan or a generation was added. Refused when the resident's key was replaced since
    /// the keyring was opened, for it may hold what was withdrawn meanwhile.
    pub fn seal_keyring(&self, keyring: &Keyring, rng: &dyn Rng) -> Result<Vec<u8>> {
        Ok(keyring.seal(&self.current_key(keyring)?, rng))
    }

    /// Makes the key of a mandate, unless there is one. Answers its public commitment.
    pub fn create_mandate_key(&self, mandate: u64, rng: &dyn Rng) -> Result<Digest> {
        self.ensure(KeyId::Mandate(mandate), rng)
    }

    /// Makes the key of a sector, unless there is one, and says how its pseudonyms are made. To be called for every sector
    /// after each start. Answers the public commitment of the house's key.
    ///
    /// The second keeper is asked for a new key only when the house's key is new too: one that has lost its key must not get
    /// another one unnoticed, under which everybody would be somebody else. For the same reason the house notes what that key makes of
    /// a known block, and believes no answer by another one.
    pub fn create_sector_key(&self, sector: u64, mode: PseudonymMode, rng: &dyn Rng) -> Result<Digest> {
        let id = KeyId::Sector(sector);
        if mode == PseudonymMode::TwoKeeper && self.tree.get(id)?.is_none() {
            self.hand()?.create(sector)?;
        }
        let commitment = self.ensure(id, rng)?;
        if mode == PseudonymMode::TwoKeeper {
            self.note_second(sector, rng)?;
        }
        let mut sectors = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
        sectors.entry(sector).and_modify(|known| known.mode = mode).or_insert(KnownSector { mode, own: None });
        Ok(commitment)
    }

    /// Whether all is there that the pseudonyms of a sector are made by, or [`Vault::create_sector_key`] has to be called again once
    /// the second keeper is back.
    pub fn is_sector_made(&self, sector: u64, mode: PseudonymMode) -> Result<bool> {
        let has = |id| Ok::<_, Error>(self.tree.get(id)?.is_some());
        Ok(has(KeyId::Sector(sector))? && (mode == PseudonymMode::Single || has(KeyId::Second(sector))?))
    }

    /// Whether pseudonyms of a sector can be made now: asks its second keeper, if it has one.
    pub fn stands(&self, sector: u64) -> Result<()> {
        self.sector(sector)?.stands()
    }

    fn note_second(&self, sector: u64, rng: &dyn Rng) -> Result<()> {
        let id = KeyId::Second(sector);
        if self.tree.get(id)?.is_some() {
            return Ok(());
        }
        match self.hand().and_then(|hand| Second::look(hand.as_ref(), sector)) {
            Ok(noted) => match self.tree.insert(&[(id, noted)], rng) {
                Err(Error::Exists { .. }) => Ok(()),
                outcome => outcome,
            },
            // Nobody is known in this sector until it is back.
            Err(Error::Keeper { .. } | Error::NoSecondHand | Error::NoKey { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The resident as `sector` knows her.
    pub fn subject(&self, sector: u64, keyring: &Keyring) -> Result<Subject> {
        let generation = keyring.generation(sector);
        let sector = self.sector(sector)?;
        sector.whole(sector.half(keyring.seed(), generation))
    }

    /// Many residents as `sector` knows them, in order.
    pub fn subjects(&self, sector: u64, seeds: &Seeds) -> Result<Vec<Subject>> {
        self.sector(sector)?.subjects(sector, seeds)
    }

    /// The way back from a pseudonym: the seed index to look up, and the generation, which must be the current one or the
    /// pseudonym is an abandoned one. Foreign bytes give an index nobody has. Every call but the holder's own is a logged use.
    pub fn resolve(&self, sector: u64, subject: &Subject) -> Result<([u8; 32], u16)> {
        // INVARIANT: one in, one out.
        Ok(self.resolve_many(sector, &[*subject])?.remove(0))
    }

    /// [`Vault::resolve`] for many, in order.
    pub fn resolve_many(&self, sector: u64, subjects: &[Subject]) -> Result<Vec<([u8; 32], u16)>> {
        let seeds = self.sector(sector)?.reverse(subjects)?;
        let index_key = self.key(KeyId::House(HouseKey::SeedIndex))?;
        Ok(seeds.into_iter().map(|(seed, generation)| (seed_index(&index_key, &seed), generation)).collect())
    }

    /// Seals the resident's own copy of a block.
    pub fn seal_own(&self, keyring: &Keyring, block: &BlockId, plain: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
        self.current_key(keyring)?;
        Ok(seal::seal_own(keyring, block, plain, rng))
    }

    /// Opens the resident's own copy of a block, for her and nobody else.
    pub fn open_own(&self, keyring: &Keyring, block: &BlockId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        seal::open_own(keyring, block, sealed)
    }

    /// HMAC-SHA-256 under the house's session key: marks sessions and cookies so that only this house makes them.
    pub fn session_mark(&self, parts: &[&[u8]]) -> Result<[u8; 32]> {
        Ok(hmac_sha256(self.key(KeyId::House(HouseKey::Session))?.bytes(), parts))
    }

    /// The public commitment of a mandate's key, or `None` when there is none.
    pub fn mandate_commitment(&self, mandate: u64) -> Result<Option<Digest>> {
        self.commitment(KeyId::Mandate(mandate))
    }

    /// The public commitment of the key that is to take the place of a mandate's, or `None` while none is staged.
    pub fn next_mandate_commitment(&self, mandate: u64) -> Result<Option<Digest>> {
        self.commitment(KeyId::NextMandate(mandate))
    }

    /// The public commitment of the house's key of a sector, or `None` when there is none.
    pub fn sector_commitment(&self, sector: u64) -> Result<Option<Digest>> {
        self.commitment(KeyId::Sector(sector))
    }

    /// The public commitment of a resident's key, or `None` when there is none.
    pub fn resident_commitment(&self, resident: u64) -> Result<Option<Digest>> {
        self.commitment(KeyId::Resident(resident))
    }

    /// The public facts about the key tree now.
    pub fn state(&self) -> State {
        self.tree.state()
    }

    /// For each commitment the proof that its key lives, or that it does not, under one state of the tree.
    pub fn proofs(&self, handles: &[Digest]) -> (State, Vec<HandleProof>) {
        self.tree.proofs(handles)
    }

    /// What the keepers of the root have signed about the roots before the current one; empty without keepers.
    pub fn statements(&self) -> Result<Vec<Destroyed>> {
        self.tree.statements()
    }

    /// Whom the root is in escrow with as well; `None` without an escrow.
    pub fn escrow(&self) -> Option<Appointment> {
        self.tree.escrow()
    }

    /// Whether the escrow is still where it was opened. Without an escrow nothing is missing.
    pub fn escrow_is_there(&self) -> bool {
        self.tree.escrow_is_there()
    }

    /// Gives the root back to keepers who should hold a share of it and do not.
    pub fn heal_root(&self) -> Result<()> {
        self.tree.heal()
    }

    /// What kind of place the root is kept in; the certificate prints it.
    pub fn class(&self) -> SlotClass {
        self.tree.class()
    }

    fn sector(&self, sector: u64) -> Result<Sector> {
        let unknown = || Error::NoKey { noun: "sector" };
        let (mode, own) = {
            let sectors = self.sectors.read().unwrap_or_else(PoisonError::into_inner);
            sectors.get(&sector).map(|known| (known.mode, known.own.clone())).ok_or_else(unknown)?
        };
        let own = match own {
            Some(own) => own,
            None => {
                // Under one lock with the note of it, so that no key is noted after it was destroyed.
                let mut sectors = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
                let own = Arc::new(Permutation::new(&self.key(KeyId::Sector(sector))?));
                sectors.get_mut(&sector).ok_or_else(unknown)?.own = Some(Arc::clone(&own));
                own
            }
        };
        match mode {
            PseudonymMode::Single => Ok(Sector::new(own)),
            PseudonymMode::TwoKeeper => {
                let hand = Arc::clone(self.hand()?);
                let noted = self.tree.get(KeyId::Second(sector))?.ok_or_else(second_hand::unknown)?;
                Ok(Sector::shared(own, Second::new(hand, sector, noted)))
            }
        }
    }

    /// Drops what is ready of a sector's key. To be called when the key was destroyed or replaced, before anybody is told.
    fn forget_sector(&self, sector: u64) {
        let mut sectors = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sectors.get_mut(&sector) {
            known.own = None;
        }
    }

    fn hand(&self) -> Result<&Arc<dyn SecondHand>> {
        self.second_hand.as_ref().ok_or(Error::NoSecondHand)
    }

    fn key(&self, id: KeyId) -> Result<Key> {
        self.tree.get(id)?.ok_or(Error::NoKey { noun: id.noun() })
    }

    /// The resident's key, if it is still the one that opened the keyring.
    fn current_key(&self, keyring: &Keyring) -> Result<Key> {
        let id = KeyId::Resident(keyring.resident());
        let key = self.key(id)?;
        if commit_key(id, &key) == keyring.opened_with() { Ok(key) } else { Err(Error::Stale) }
    }

    fn commitment(&self, id: KeyId) -> Result<Option<Digest>> {
        Ok(self.tree.get(id)?.map(|key| commit_key(id, &key)))
    }

    /// Makes a key unless it is there, and answers its commitment.
    fn ensure(&self, id: KeyId, rng: &dyn Rng) -> Result<Digest> {
        if let Some(key) = self.tree.get(id)? {
            return Ok(commit_key(id, &key));
        }
        let key = Key::random(rng);
        let commitment = commit_key(id, &key);
        match self.tree.insert(&[(id, key)], rng) {
            // Somebody else made it in between.
            Err(Error::Exists { .. }) => Ok(commit_key(id, &self.key(id)?)),
            outcome => outcome.map(|()| commitment),
        }
    }

    /// Destroys and replaces keys. Call it with the lock of [`Vault::erasing`].
    fn destroy(&self, ids: &[KeyId], replace: &[(KeyId, Key)], rng: &dyn Rng) -> Result<Erased> {
        self.destroy_and(ids, replace, &|| {}, rng)
    }

    /// The same, and `forget` drops what is ready of the keys elsewhere, at the moment from which on they open nothing here.
    fn destroy_and(&self, ids: &[KeyId], replace: &[(KeyId, Key)], forget: &dyn Fn(), rng: &dyn Rng) -> Result<Erased> {
        let mut closed = |epoch| {
            forget();
            self.watch.iter().for_each(|watch| watch(epoch));
        };
        self.tree.erase_watched(ids, replace, &mut closed, rng)
    }

    fn erasing(&self) -> MutexGuard<'_, ()> {
        self.erasing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
