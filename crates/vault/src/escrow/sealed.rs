//! A root in shares, each sealed to one officer.
//!
//! ```text
//! "UFESCRW1" | suite 6 | period u32 | epoch u64 | threshold u8 | officers u8 | name length u8 | name of the vault | check 32
//! | for each officer: public key 32, encapsulated key 32, share 32, tag 16 | zeros | SHA-256 of all that 32       4,096 bytes
//! ```
//! `suite` is that of [`crate::hpke`]; `check` the commitment to the root. Each seal has the bytes up to `check` and the number
//! of its officer as additional data, so that a share of another vault, epoch or officer never passes for this one.

use usufruct_core::Digest;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::MOST_OFFICERS;
use crate::error::{Error, Result};
use crate::hpke::{self, OVERHEAD, PrivateKey, PublicKey, SUITE};
use crate::keeper::commit_root;
use crate::keeper::shamir::{Share, split};
use crate::roots::Root;
use crate::tree::Epoch;

/// A sealed root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Name of the key tree.
    pub vault: String,
    pub epoch: Epoch,
    /// The period whose keys open it.
    pub period: u32,
    pub threshold: u8,
    /// Commitment to the root.
    pub check: Digest,
    shares: Vec<(PublicKey, [u8; SHARE])>,
}

/// The sealed roots in the bytes of a whole escrow, highest epoch first, whoever may open them. None at all is an error.
pub fn sealed_roots(bytes: &[u8]) -> Result<Vec<Sealed>> {
    if bytes.len() != 2 * HALF {
        return Err(Error::Escrow { what: "it does not have 8,192 bytes" });
    }
    let (mut roots, mut torn) = (Vec::new(), None);
    for half in bytes.chunks(HALF) {
        match Sealed::parse(half) {
            Ok(sealed) => roots.extend(sealed),
            // A crash tears one half at most.
            Err(error) => torn = Some(error),
        }
    }
    roots.sort_by_key(|sealed| std::cmp::Reverse(sealed.epoch));
    match roots.is_empty() {
        true => Err(torn.unwrap_or(Error::Escrow { what: "there is no root in it" })),
        false => Ok(roots),
    }
}

impl Sealed {
    pub(super) fn seal(vault: &str, root: &Root, period: u32, threshold: u8, keys: &[PublicKey], rng: &dyn Rng) -> Self {
        let check = commit_root(vault, root.epoch, &root.secret);
        let mut sealed = Self { vault: vault.to_owned(), epoch: root.epoch, period, threshold, check, shares: Vec::new() };
        // INVARIANT: there are at most 16 officers.
        let count = u8::try_from(keys.len()).expect("there are at most 16 officers");
        let header = sealed.header(count);
        for (key, share) in keys.iter().zip(split(&root.secret, threshold, count, rng)) {
            let bytes = hpke::seal(key, INFO, &[&header[..], &[share.x]].concat(), &share.y, rng);
            // INVARIANT: a seal is longer than its plaintext by OVERHEAD.
            sealed.shares.push((*key, bytes.try_into().expect("a sealed share has its length")));
        }
        sealed
    }

    /// The sealed root in one half; `None` when it is wiped.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let wrong = |what| Error::Escrow { what };
        let whole: &[u8; HALF] = bytes.try_into().map_err(|_| wrong("a half does not have 4,096 bytes"))?;
        if whole.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let (content, sum) = whole.split_at(HALF - 32);
        let mut rest = Reader(content);
        if rest.take(8)? != MAGIC {
            return Err(wrong("it is not the escrow of a root"));
        }
        if !equal(sum, &sha256(content).0) {
            return Err(wrong("its checksum is wrong, so it was torn or changed"));
        }
        if rest.take(6)? != SUITE {
            return Err(wrong("it is sealed in a way that this version does not know"));
        }
        let period = u32::from_be_bytes(rest.array()?);
        let epoch = Epoch(u64::from_be_bytes(rest.array()?));
        let [threshold, count, name_len] = rest.array()?;
        let name = std::str::from_utf8(rest.take(name_len.into())?).map_err(|_| wrong("the name of the vault is no text"))?;
        let check = Digest(rest.array()?);
        if threshold < 2 || count < threshold || usize::from(count) > MOST_OFFICERS {
            return Err(wrong("the number of officers and how many are needed do not fit"));
        }
        let mut sealed = Self { vault: name.to_owned(), epoch, period, threshold, check, shares: Vec::new() };
        for _ in 0..count {
            let key = PublicKey::new(rest.array()?).ok_or(wrong("a public key in it is none"))?;
            sealed.shares.push((key, rest.array()?));
        }
        match rest.0.iter().all(|byte| *byte == 0) {
            true => Ok(Some(sealed)),
            false => Err(wrong("there is something behind the last share")),
        }
    }

    /// As it is stored.
    pub fn encode(&self) -> [u8; HALF] {
        // INVARIANT: there are at most 16 officers.
        let mut bytes = self.header(u8::try_from(self.shares.len()).expect("there are at most 16 officers"));
        for (key, share) in &self.shares {
            bytes.extend_from_slice(key.bytes());
            bytes.extend_from_slice(share);
        }
        let mut half = [0; HALF];
        half[..bytes.len()].copy_from_slice(&bytes);
        let sum = sha256(&half[..HALF - 32]);
        half[HALF - 32..].copy_from_slice(&sum.0);
        half
    }

    /// The keys it is sealed to, in the order of the officers.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.shares.iter().map(|(key, _)| key)
    }

    /// The share that is sealed to the public half of `key`.
    pub(super) fn open(&self, key: &PrivateKey) -> Result<Share> {
        let public = key.public();
        let place = self.keys().position(|key| *key == public);
        let place = place.ok_or(Error::Escrow { what: "no share in it is sealed to the key of this officer" })?;
        // INVARIANT: there are at most 16 officers.
        let x = u8::try_from(place + 1).expect("there are at most 16 officers");
        let header = self.header(self.shares.len() as u8);
        let y = hpke::open(key, INFO, &[&header[..], &[x]].concat(), &self.shares[place].1)?;
        let y = Zeroizing::new(<[u8; 32]>::try_from(&y[..]).map_err(|_| Error::Unreadable)?);
        Ok(Share { x, y: *y })
    }

    fn header(&self, count: u8) -> Vec<u8> {
        // INVARIANT: the name of a vault is that of its log, which has at most 255 bytes.
        let name_len = u8::try_from(self.vault.len()).expect("the name of a vault has at most 255 bytes");
        [
            &MAGIC[..],
            &SUITE,
            &self.period.to_be_bytes(),
            &self.epoch.0.to_be_bytes(),
            &[self.threshold, count, name_len],
            self.vault.as_bytes(),
            &self.check.0,
        ]
        .concat()
    }
}

/// Takes bytes off the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len).ok_or(Error::Escrow { what: "it ends too early" })?;
        self.0 = rest;
        Ok(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        // INVARIANT: as many bytes are taken as the array has.
        Ok(self.take(N)?.try_into().expect("the bytes have the length that was asked for"))
    }
}

/// Length of one half of the escrow.
pub const HALF: usize = 4_096;
const MAGIC: &[u8; 8] = b"UFESCRW1";
const INFO: &[u8] = b"usufruct/escrow/v1";
/// Length of a sealed share.
pub(super) const SHARE: usize = 32 + OVERHEAD;
