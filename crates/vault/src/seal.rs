//! Sealed blocks and footprint lines.
//!
//! A lent block hangs on two parents, one that withdrawal kills and one that sunset kills (design.md section 7). Everything
//! sealed here is a 16-byte salt in clear and then ciphertext; the salt makes the key unique, so the nonce is zero.

use usufruct_core::delay::{self, Week};
use usufruct_core::hash::hmac_sha256;
use usufruct_core::id::BlockId;
use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use crate::aead::{expand, open, pad, seal, unpad};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::tree::Key;

/// The common secret of everything one resident lends under one mandate: HMAC of `K_m` under `G_rm`. Only the vault makes
/// one, and it gives none away.
pub(crate) struct Shared(Key);

impl Shared {
    /// Joins the two parents.
    pub(crate) fn of(loan: &Key, mandate_key: &Key) -> Self {
        Self(Key::from_bytes(hmac_sha256(loan.bytes(), &[mandate_key.bytes()])))
    }

    pub(crate) fn seal(&self, resident: u64, mandate: u64, block: &BlockId, plain: &[u8], rng: &dyn Rng) -> Vec<u8> {
        self.seal_by(&[], resident, mandate, block, plain, rng)
    }

    pub(crate) fn open(&self, resident: u64, mandate: u64, block: &BlockId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.open_by(&[], resident, mandate, block, sealed)
    }

    /// Seals what somebody else gave than the resident, so that it opens only where the same name stands beside it.
    pub(crate) fn seal_by(
        &self,
        giver: &[u8],
        resident: u64,
        mandate: u64,
        block: &BlockId,
        plain: &[u8],
        rng: &dyn Rng,
    ) -> Vec<u8> {
        let salt: [u8; SALT_LEN] = random(rng);
        seal(&self.dek(resident, mandate, block, &salt), giver, &salt, &pad(plain, STEP))
    }

    pub(crate) fn open_by(
        &self,
        giver: &[u8],
        resident: u64,
        mandate: u64,
        block: &BlockId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let (salt, sealed) = split(sealed)?;
        unpad(&open(&self.dek(resident, mandate, block, salt), giver, sealed)?)
    }

    /// The data key of one sealed block: everything it belongs to goes into it, so a block opens in its own place only.
    fn dek(&self, resident: u64, mandate: u64, block: &BlockId, salt: &[u8; SALT_LEN]) -> Key {
        let block = block.as_str().as_bytes();
        expand(
            &self.0,
            &[
                b"usufruct/dek/v1",
                &resident.to_be_bytes(),
                &mandate.to_be_bytes(),
                &length(block),
                block,
                &VERSION.to_be_bytes(),
                salt,
            ],
        )
    }
}

/// Seals the resident's own copy of a block, which no mandate opens.
pub(crate) fn seal_own(keyring: &Keyring, block: &BlockId, plain: &[u8], rng: &dyn Rng) -> Vec<u8> {
    let salt: [u8; SALT_LEN] = random(rng);
    seal(&own_key(keyring, block, &salt), &[], &salt, &pad(plain, STEP))
}

pub(crate) fn open_own(keyring: &Keyring, block: &BlockId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (salt, sealed) = split(sealed)?;
    unpad(&open(&own_key(keyring, block, salt), &[], sealed)?)
}

/// A part of a line that is sealed by itself.
#[derive(Clone, Copy)]
pub(crate) enum LinePart {
    /// What opens its commitment, and the event.
    Body,
    /// What the event is about, where it does not say so itself.
    Matter,
}

/// Seals a part of the resident's footprint line number `n`.
pub(crate) fn seal_line(keyring: &Keyring, part: LinePart, n: u64, body: &[u8], rng: &dyn Rng) -> Vec<u8> {
    let salt: [u8; SALT_LEN] = random(rng);
    seal(&line_key(keyring, part, n, &salt), &line_place(keyring, n), &salt, &pad(body, STEP))
}

pub(crate) fn open_line(keyring: &Keyring, part: LinePart, n: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (salt, sealed) = split(sealed)?;
    unpad(&open(&line_key(keyring, part, n, salt), &line_place(keyring, n), sealed)?)
}

fn own_key(keyring: &Keyring, block: &BlockId, salt: &[u8; SALT_LEN]) -> Key {
    let block = block.as_str().as_bytes();
    let resident = keyring.resident().to_be_bytes();
    expand(keyring.own_key(), &[b"usufruct/own/v1", &resident, &length(block), block, &VERSION.to_be_bytes(), salt])
}

fn line_key(keyring: &Keyring, part: LinePart, n: u64, salt: &[u8; SALT_LEN]) -> Key {
    let label: &[u8] = match part {
        LinePart::Body => b"usufruct/line/v1",
        LinePart::Matter => b"usufruct/line-matter/v1",
    };
    let delayed = Week::of_number(n).and_then(|week| keyring.delay_seed(week));
    let delayed = delayed.map(|seed| Key::from_bytes(delay::line_key(keyring.footprint_key().bytes(), &seed)));
    expand(delayed.as_ref().unwrap_or(keyring.footprint_key()), &[label, &n.to_be_bytes(), salt])
}

fn line_place(keyring: &Keyring, n: u64) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&keyring.resident().to_be_bytes());
    place[8..].copy_from_slice(&n.to_be_bytes());
    place
}

fn split(sealed: &[u8]) -> Result<(&[u8; SALT_LEN], &[u8])> {
    sealed.split_first_chunk::<SALT_LEN>().ok_or(Error::Unreadable)
}

fn length(block: &[u8]) -> [u8; 2] {
    // INVARIANT: the id of a block has at most 64 characters.
    u16::try_from(block.len()).expect("the id of a block is short").to_be_bytes()
}

const SALT_LEN: usize = 16;
/// Sealed blocks and lines differ in length by multiples of this.
const STEP: usize = 64;
/// Version of the sealed form.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;
    use crate::tree::{KeyId, commit_key};
    use proptest::prelude::*;
    use usufruct_core::hash::unhex;

    fn block(name: &str) -> BlockId {
        name.parse().unwrap()
    }

    #[test]
    fn vectors() {
        let text = include_str!("../../../vectors/vault/sealed.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let bytes = |field: &str| unhex(case[field].as_str().unwrap()).unwrap();
            let number = |field: &str| case[field].as_str().unwrap().parse::<u64>().unwrap();
            let (resident, mandate, n) = (number("resident"), number("mandate"), number("n"));
            let resident_key = Key::from_slice(&bytes("resident_key")).unwrap();
            let mandate_key = Key::from_slice(&bytes("mandate_key")).unwrap();
            let name = block(case["block"].as_str().unwrap());
            let keyring = Keyring::open(&bytes("keyring"), &resident_key, resident).unwrap();
            assert_eq!(*keyring.encode(), bytes("keyring_content"));
            let shared = Shared::of(keyring.loan(mandate).unwrap(), &mandate_key);
            assert_eq!(*shared.open(resident, mandate, &name, &bytes("lent")).unwrap(), bytes("plain"));
            assert_eq!(*open_own(&keyring, &name, &bytes("own")).unwrap(), bytes("plain"));
            assert_eq!(*open_line(&keyring, LinePart::Body, n, &bytes("line")).unwrap(), bytes("line_body"));
            assert_eq!(keyring.tag(n)[..], bytes("event_tag"));
            let commitments = [
                ("resident_key_commitment", commit_key(KeyId::Resident(resident), &resident_key)),
                ("mandate_key_commitment", commit_key(KeyId::Mandate(mandate), &mandate_key)),
            ];
            for (field, digest) in commitments {
                assert_eq!(digest.0[..], bytes(field), "{field}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_block_opens_in_its_own_place_only(r in any::<u64>(), m in any::<u64>(), plain in prop::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
            let rng = Seeded::new(seed);
            let (loan, key) = (Key::random(&rng), Key::random(&rng));
            let shared = Shared::of(&loan, &key);
            let name = block("blk_name");
            let sealed = shared.seal(r, m, &name, &plain, &rng);
            prop_assert_eq!(sealed.len() % STEP, 32);
            prop_assert_eq!(&*shared.open(r, m, &name, &sealed).unwrap(), &plain);
            prop_assert!(shared.open(r ^ 1, m, &name, &sealed).is_err());
            prop_assert!(shared.open(r, m ^ 1, &name, &sealed).is_err());
            prop_assert!(shared.open(r, m, &block("blk_names"), &sealed).is_err());
            prop_assert!(Shared::of(&Key::random(&rng), &key).open(r, m, &name, &sealed).is_err());
            prop_assert!(Shared::of(&loan, &Key::random(&rng)).open(r, m, &name, &sealed).is_err());
            prop_assert!(shared.seal(r, m, &name, &plain, &rng) != sealed);
            prop_assert!(shared.open_by(b"agc_parks", r, m, &name, &sealed).is_err());
            let given = shared.seal_by(b"agc_library", r, m, &name, &plain, &rng);
            prop_assert_eq!(&*shared.open_by(b"agc_library", r, m, &name, &given).unwrap(), &plain);
            prop_assert!(shared.open_by(b"agc_parks", r, m, &name, &given).is_err());
            prop_assert!(shared.open(r, m, &name, &given).is_err());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let rng = Seeded::new(1);
            let keyring = Keyring::fresh(4, &Key::random(&rng), &rng);
            prop_assert!(open_own(&keyring, &block("blk_name"), &bytes).is_err());
            prop_assert!(open_line(&keyring, LinePart::Body, 0, &bytes).is_err());
        }
    }

    #[test]
    fn own_copies_and_lines_open_in_their_own_place_only() {
        let rng = Seeded::new(1);
        let key = Key::random(&rng);
        let (mine, hers) = (Keyring::fresh(4, &key, &rng), Keyring::fresh(5, &key, &rng));
        let own = seal_own(&mine, &block("blk_name"), b"Lin", &rng);
        assert_eq!(&*open_own(&mine, &block("blk_name"), &own).unwrap(), b"Lin");
        assert!(open_own(&mine, &block("blk_address"), &own).is_err());
        assert!(open_own(&hers, &block("blk_name"), &own).is_err());
        let line = seal_line(&mine, LinePart::Body, 7, b"looked at", &rng);
        assert_eq!(&*open_line(&mine, LinePart::Body, 7, &line).unwrap(), b"looked at");
        assert!(open_line(&mine, LinePart::Body, 8, &line).is_err());
        assert!(open_line(&hers, LinePart::Body, 7, &line).is_err());
        assert!(open_own(&mine, &block("blk_name"), &line).is_err());
        assert!(open_line(&mine, LinePart::Matter, 7, &line).is_err());
        let matter = seal_line(&mine, LinePart::Matter, 7, b"of a will", &rng);
        assert_eq!(&*open_line(&mine, LinePart::Matter, 7, &matter).unwrap(), b"of a will");
        assert!(open_line(&mine, LinePart::Matter, 8, &matter).is_err());
        assert!(open_line(&mine, LinePart::Body, 7, &matter).is_err());
    }
}
