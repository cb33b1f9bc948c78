//! The key tree as everybody else sees it: ids in, 32-byte keys out, and an erasure that replaces the root.

use std::fmt;

use usufruct_core::Digest;
use usufruct_core::handles::HandleProof;
use usufruct_core::hash::sha256;
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::{Rng, random};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::Result;
use crate::escrow::Appointment;

/// Keeps keys so that an erased one stays erased, whatever copies of the storage exist.
pub trait KeyTree: Send + Sync {
    /// The key, or `None` when it was erased or never made.
    fn get(&self, id: KeyId) -> Result<Option<Key>>;

    /// Numbers for `count` new residents, the first of them; they are given to nobody else while the process lives.
    fn reserve(&self, count: u64) -> u64;

    /// Adds new keys, all or none, and returns when they are durable. An id that has a key already is refused.
    fn insert(&self, keys: &[(KeyId, Key)], rng: &dyn Rng) -> Result<()>;

    /// Destroys the keys of `ids`, puts the keys of `replace` in the place of theirs, and destroys the root. Returns when
    /// the old root is gone.
    ///
    /// An id in `ids` without a key is no mistake: the epoch advances all the same, so a job that crashed after the
    /// commit can run again. An id in `replace` must have a key; what was erased stays erased.
    fn erase(&self, ids: &[KeyId], replace: &[(KeyId, Key)], rng: &dyn Rng) -> Result<Erased> {
        self.erase_watched(ids, replace, &mut |_| {}, rng)
    }

    /// The same, and `closed` is called when the running system opens nothing under the keys any more: the new epoch counts from then
    /// on, and the old root is about to be destroyed. What follows may fail, and then the old root is still there.
    fn erase_watched(
        &self,
        ids: &[KeyId],
        replace: &[(KeyId, Key)],
        closed: &mut dyn FnMut(Epoch),
        rng: &dyn Rng,
    ) -> Result<Erased>;

    /// What a search for the present root looks for once it is destroyed.
    fn root_trace(&self) -> Trace;

    /// The public facts about the tree now.
    fn state(&self) -> State;

    /// For each commitment ([`commit_key`]) the proof that its key lives, or that it does not, under one state.
    fn proofs(&self, handles: &[Digest]) -> (State, Vec<HandleProof>);

    /// What kind of place the root is kept in.
    fn class(&self) -> SlotClass;

    /// What those who destroyed the root of the epoch before this one have signed.
    fn statements(&self) -> Result<Vec<Destroyed>>;

    /// Whom the root is in escrow with as well; `None` without an escrow.
    fn escrow(&self) -> Option<Appointment>;

    /// Whether the escrow is still where it was opened.
    fn escrow_is_there(&self) -> bool;

    /// Gives the root back to those who should hold it and do not. Called now and then.
    fn heal(&self) -> Result<()>;
}

/// Names a key. Only its commitment ever leaves the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyId {
    House(HouseKey),
    /// `K_m`.
    Mandate(u64),
    /// `K_m` of a mandate that keeps what it gets for months: one for each, counted from January 2020.
    Month {
        mandate: u64,
        month: u16,
    },
    /// `K_m` that is to take the place of a mandate's own. Its commitment is the one it has there.
    NextMandate(u64),
    /// `K_r`.
    Resident(u64),
    /// `K_s`.
    Sector(u64),
    /// No key, but what the second keeper's key of a sector makes of a known block, forwards and backwards.
    Second(u64),
}

/// Keys the house has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HouseKey {
    /// `K_idx`: finds the resident of a seed (erasure.md 2.3).
    SeedIndex,
    /// Marks sessions and cookies.
    Session,
}

/// 32 secret random bytes. Overwritten when dropped; has no `Debug` and no `Clone`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

/// The first half of a key, by which it is found wherever it was left. The other half cannot be had from it, so it opens nothing.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Trace([u8; Self::LEN]);

/// Counts erasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What kind of place the root is kept in, and so how much its destruction proves (erasure.md 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotClass {
    /// A file overwritten in place.
    E0,
    /// A PKCS#11 token.
    E1,
    /// A TPM.
    E2,
    /// Several keepers, each with a share.
    E3,
}

/// The public facts about a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub epoch: Epoch,
    /// Root of the set of the commitments of all live keys ([`usufruct_core::handles`]).
    pub root: Digest,
    /// How many keys live.
    pub count: u64,
}

/// The public facts of an erasure, for the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    pub before: State,
    pub after: State,
    /// Commitments ([`commit_key`]) of the destroyed keys, replaced ones included, in the order asked for.
    pub handles: Vec<Digest>,
}

/// The public commitment of a key (erasure.md 1.5): label, the nine bytes of the id, and the key, hashed. A key found later
/// can be shown to be one that was to be destroyed.
pub fn commit_key(id: KeyId, key: &Key) -> Digest {
    let mut bytes = [0; 14 + KeyId::LEN + 32];
    bytes[..14].copy_from_slice(b"usufruct/kc/v1");
    bytes[14..14 + KeyId::LEN].copy_from_slice(&id.encode());
    bytes[14 + KeyId::LEN..].copy_from_slice(&key.0);
    let digest = sha256(&bytes);
    bytes.zeroize();
    digest
}

impl Key {
    /// A fresh key.
    pub fn random(rng: &dyn Rng) -> Self {
        Self(random(rng))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key in `bytes`, which must be 32.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second copy, where the key really lives twice.
    pub(crate) const fn copy(&self) -> Self {
        Self(self.0)
    }
}

impl Trace {
    /// Half of a key.
    pub const LEN: usize = 16;

    pub(crate) fn of(key: &Key) -> Self {
        let mut half = [0; Self::LEN];
        half.copy_from_slice(&key.0[..Self::LEN]);
        Self(half)
    }

    /// What to look for.
    pub const fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl KeyId {
    /// Length of the encoded id.
    pub(crate) const LEN: usize = 9;

    /// The id as bytes: its kind and its number.
    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let (kind, number) = match self {
            Self::Resident(number) => (1, number),
            Self::Mandate(number) | Self::NextMandate(number) => (2, number),
            Self::Sector(number) => (3, number),
            Self::House(HouseKey::SeedIndex) => (4, 1),
            Self::House(HouseKey::Session) => (4, 2),
            Self::Second(number) => (6, number),
            Self::Month { mandate, month } => (5, (mandate << 16) | u64::from(month)),
        };
        let mut bytes = [kind; Self::LEN];
        bytes[1..].copy_from_slice(&u64::to_be_bytes(number));
        bytes
    }

    /// What the key belongs to, for messages; the number stays out of them.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::House(_) => "house",
            Self::Mandate(_) | Self::NextMandate(_) => "mandate",
            Self::Month { .. } => "month",
            Self::Resident(_) => "resident",
            Self::Sector(_) | Self::Second(_) => "sector",
        }
    }
}

impl fmt::Display for SlotClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::E0 => "E0",
            Self::E1 => "E1",
            Self::E2 => "E2",
            Self::E3 => "E3",
        })
    }
}
