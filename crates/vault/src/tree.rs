//! The key tree as everybody else sees it: ids in, 32-byte keys out, and an erasure that replaces the root.

use std::fmt;

use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::ports::{Rng, random};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::Result;

/// Keeps keys so that an erased one stays erased, whatever copies of the storage exist.
pub trait KeyTree: Send + Sync {
    /// The key, or `None` when it was erased or never made.
    fn get(&self, id: KeyId) -> Result<Option<Key>>;

    /// Adds new keys, all or none, and returns when they are durable. An id that has a key already is refused.
    fn insert(&self, keys: &[(KeyId, Key)], rng: &dyn Rng) -> Result<()>;

    /// Destroys the keys of `ids`, puts the keys of `replace` in the place of theirs, and destroys the root. Returns when
    /// the old root is gone.
    ///
    /// An id in `ids` without a key is no mistake: the epoch advances all the same, so a job that crashed after the
    /// commit runs again and gets two roots to print. An id in `replace` must have a key; what was erased stays erased.
    fn erase(&self, ids: &[KeyId], replace: &[(KeyId, Key)], rng: &dyn Rng) -> Result<Erased>;

    /// How many erasures there were.
    fn epoch(&self) -> Epoch;

    /// What kind of place the root is kept in.
    fn class(&self) -> SlotClass;
}

/// Names a key. Only its commitment ever leaves the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyId {
    House(HouseKey),
    /// `K_m`; a mandate with monthly retention has one number per month.
    Mandate(u64),
    /// `K_r`.
    Resident(u64),
    /// `K_s`.
    Sector(u64),
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

/// The public facts of an erasure, for the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    pub before: Epoch,
    pub after: Epoch,
    pub root_before: Digest,
    pub root_after: Digest,
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

/// The public commitment of a root.
pub fn commit_root(root: &Key, epoch: Epoch) -> Digest {
    let mut bytes = [0; 16 + 32 + 8];
    bytes[..16].copy_from_slice(b"usufruct/root/v1");
    bytes[16..48].copy_from_slice(&root.0);
    bytes[48..].copy_from_slice(&epoch.0.to_be_bytes());
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

impl KeyId {
    /// Length of the encoded id.
    pub(crate) const LEN: usize = 9;

    /// The id as bytes: its kind and its number.
    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let (kind, number) = match self {
            Self::Resident(number) => (1, number),
            Self::Mandate(number) => (2, number),
            Self::Sector(number) => (3, number),
            Self::House(HouseKey::SeedIndex) => (4, 1),
            Self::House(HouseKey::Session) => (4, 2),
        };
        let mut bytes = [kind; Self::LEN];
        bytes[1..].copy_from_slice(&u64::to_be_bytes(number));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, number) = bytes.split_first()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        match (kind, number) {
            (1, _) => Some(Self::Resident(number)),
            (2, _) => Some(Self::Mandate(number)),
            (3, _) => Some(Self::Sector(number)),
            (4, 1) => Some(Self::House(HouseKey::SeedIndex)),
            (4, 2) => Some(Self::House(HouseKey::Session)),
            _ => None,
        }
    }

    /// What the key belongs to, for messages; the number stays out of them.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::House(_) => "house",
            Self::Mandate(_) => "mandate",
            Self::Resident(_) => "resident",
            Self::Sector(_) => "sector",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form() {
        let ids = [
            KeyId::Resident(u64::MAX),
            KeyId::Mandate(0),
            KeyId::Sector(7),
            KeyId::House(HouseKey::SeedIndex),
            KeyId::House(HouseKey::Session),
        ];
        for id in ids {
            assert_eq!(KeyId::decode(&id.encode()), Some(id));
        }
        assert_eq!(KeyId::decode(&[4, 0, 0, 0, 0, 0, 0, 0, 3]), None);
        assert_eq!(KeyId::decode(&[5, 0, 0, 0, 0, 0, 0, 0, 1]), None);
        assert_eq!(KeyId::decode(&[1, 2]), None);
    }
}
