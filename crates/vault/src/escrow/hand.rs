//! A share on its way from an officer to where the root is recovered, sealed to a key that exists for this recovery only: a share
//! in clear would outlive the officer's key on whatever carried it.
//!
//! ```text
//! base64url of    "UFSHARE2" | suite 6 | period u32 | epoch u64 | threshold u8 | number u8 | name length u8 | name of the vault
//!                 | check 32 | encapsulated key 32, share 32, tag 16 | SHA-256 of all that 32
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::Digest;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::sealed::{Reader, SHARE};
use super::{OfficerFile, Sealed};
use crate::error::{Error, Result};
use crate::hpke::{self, PublicKey, SUITE};
use crate::keeper::commit_root;
use crate::keeper::shamir::{Share, join};
use crate::roots::{Root, choices};
use crate::tree::Epoch;

/// A share sealed to where the root is recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedShare {
    /// Name of the key tree.
    pub vault: String,
    pub epoch: Epoch,
    pub period: u32,
    pub threshold: u8,
    /// Of the officer.
    pub number: u8,
    check: Digest,
    sealed: [u8; SHARE],
}

/// Brings a root of `vault` back from shares that officers handed over to the key in `own`. More shares than are needed make up
/// for wrong ones among them.
pub fn recover(vault: &str, shares: &[HandedShare], own: &OfficerFile) -> Result<Root> {
    let first = shares.first().ok_or(Error::TooFewOfficers { given: 0, needed: 2 })?;
    if shares.iter().any(|share| share.vault != vault) {
        return Err(Error::Escrow { what: "a share belongs to another key tree" });
    }
    let same = |share: &HandedShare| (share.epoch, share.period, share.threshold, share.check);
    if shares.iter().any(|share| same(share) != same(first)) {
        return Err(Error::Escrow { what: "the shares are of different roots; let all officers open the same file" });
    }
    let mut numbers: Vec<u8> = shares.iter().map(|share| share.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let threshold = usize::from(first.threshold);
    if numbers.len() < shares.len() {
        return Err(Error::Escrow { what: "the share of one officer is given twice" });
    }
    if shares.len() < threshold {
        return Err(Error::TooFewOfficers { given: shares.len(), needed: threshold });
    }
    let opened: Vec<Share> = shares.iter().map(|share| share.open(own)).collect::<Result<_>>()?;
    for chosen in choices(opened.len(), threshold) {
        let some: Vec<Share> = chosen.iter().map(|place| opened[*place].copy()).collect();
        let secret = join(&some);
        if commit_root(vault, first.epoch, &secret) == first.check {
            return Ok(Root { epoch: first.epoch, secret });
        }
    }
    Err(Error::Escrow { what: "the shares do not fit together; have another officer open hers too" })
}

impl HandedShare {
    pub(super) fn seal(from: &Sealed, share: &Share, to: &PublicKey, rng: &dyn Rng) -> Self {
        let mut handed = Self {
            vault: from.vault.clone(),
            epoch: from.epoch,
            period: from.period,
            threshold: from.threshold,
            number: share.x,
            check: from.check,
            sealed: [0; SHARE],
        };
        let bytes = hpke::seal(to, INFO, &handed.header(), &share.y, rng);
        handed.sealed.copy_from_slice(&bytes);
        handed
    }

    /// One line of text.
    pub fn encode(&self) -> String {
        let mut bytes = [&self.header()[..], &self.sealed].concat();
        bytes.extend_from_slice(&sha256(&bytes).0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What [`HandedShare::encode`] wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what| Error::Escrow { what };
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| wrong("a share is not one line of base64url"))?;
        let (content, sum) = bytes.split_last_chunk::<32>().ok_or(wrong("a share ends too early"))?;
        let mut rest = Reader(content);
        if rest.take(8)? != MAGIC {
            return Err(wrong("this is not the share of an officer"));
        }
        if !equal(sum, &sha256(content).0) {
            return Err(wrong("the checksum of a share is wrong, so it was cut or changed"));
        }
        if rest.take(6)? != SUITE {
            return Err(wrong("it is sealed in a way that this version does not know"));
        }
        let period = u32::from_be_bytes(rest.array()?);
        let epoch = Epoch(u64::from_be_bytes(rest.array()?));
        let [threshold, number, name_len] = rest.array()?;
        let name = std::str::from_utf8(rest.take(name_len.into())?).map_err(|_| wrong("the name of the vault is no text"))?;
        let (check, sealed) = (Digest(rest.array()?), rest.array()?);
        if threshold < 2 || number == 0 || !rest.0.is_empty() {
            return Err(wrong("the numbers in a share do not fit"));
        }
        Ok(Self { vault: name.to_owned(), epoch, period, threshold, number, check, sealed })
    }

    fn open(&self, own: &OfficerFile) -> Result<Share> {
        let y = hpke::open(own.key(), INFO, &self.header(), &self.sealed)
            .map_err(|_| Error::Escrow { what: "a share is not sealed to the key of this recovery" })?;
        let y = Zeroizing::new(<[u8; 32]>::try_from(&y[..]).map_err(|_| Error::Unreadable)?);
        Ok(Share { x: self.number, y: *y })
    }

    fn header(&self) -> Vec<u8> {
        [
            &MAGIC[..],
            &SUITE,
            &self.period.to_be_bytes(),
            &self.epoch.0.to_be_bytes(),
            &[self.threshold, self.number, self.vault.len() as u8],
            self.vault.as_bytes(),
            &self.check.0,
        ]
        .concat()
    }
}

const MAGIC: &[u8; 8] = b"UFSHARE2";
const INFO: &[u8] = b"usufruct/escrow-recovery/v1";
