//! Keyring: what one resident's data hangs on. It is stored anywhere, sealed under the resident's key `K_r` in the tree, so
//! an old copy is dead as soon as `K_r` is replaced (erasure.md 1.4).

use usufruct_core::Digest;
use usufruct_core::delay::{self, Week};
use usufruct_core::event;
use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use crate::aead::{expand, open, pad, seal, unpad};
use crate::error::{Error, Result};
use crate::pseudonym::Seed;
use crate::seal::{LinePart, open_line, seal_line};
use crate::tree::{Key, KeyId, commit_key};

/// The keys of one resident. Has no `Debug` and no `Clone`; everything in it is overwritten when it is dropped.
pub struct Keyring {
    resident: u64,
    /// Commitment of the `K_r` this keyring was opened with: a keyring that outlived its key must not be sealed again.
    opened_with: Digest,
    names: Names,
    own_key: Key,
    tag_key: Key,
    footprint_key: Key,
    /// How many loans there ever were; numbers the next one, so a withdrawn one need not be remembered.
    lent: u16,
    /// In the order of the mandates.
    loans: Vec<Loan>,
}

/// What pseudonyms are made of, in one line of the processor's cache: batches read nothing else of many keyrings.
#[repr(align(64))]
struct Names {
    seed: Seed,
    /// Generation of the pseudonym, for sectors where it is not 0, in the order of the sectors.
    sectors: Vec<(u64, u16)>,
}

/// `G_rm`: one of the two parents of the keys for what this resident lends under one mandate.
struct Loan {
    mandate: u64,
    generation: u16,
    // In a box, so that a growing list leaves no copies of keys behind.
    key: Box<Key>,
}

impl Keyring {
    /// A new resident's keyring, not yet under any key.
    pub(crate) fn fresh(resident: u64, key: &Key, rng: &dyn Rng) -> Self {
        Self {
            resident,
            opened_with: commit_key(KeyId::Resident(resident), key),
            names: Names { seed: Seed::from_bytes(random(rng)), sectors: Vec::new() },
            own_key: Key::random(rng),
            tag_key: Key::random(rng),
            footprint_key: Key::random(rng),
            lent: 0,
            loans: Vec::new(),
        }
    }

    /// Opens a keyring sealed under the resident's key.
    pub(crate) fn open(sealed: &[u8], key: &Key, resident: u64) -> Result<Self> {
        let (salt, sealed) = sealed.split_first_chunk::<SALT_LEN>().ok_or(Error::Unreadable)?;
        let padded = open(&expand(key, &[LABEL, salt]), &resident.to_be_bytes(), sealed)?;
        let keyring = Self::decode(&unpad(&padded)?, resident, commit_key(KeyId::Resident(resident), key));
        keyring.ok_or(Error::Malformed { what: "a keyring" })
    }

    /// The keyring sealed under `key`: 24 bytes of salt, then ciphertext whose length
    /// grows in steps of five or six loans.
    pub(crate) fn seal(&self, key: &Key, rng: &dyn Rng) -> Vec<u8> {
        let salt: [u8; SALT_LEN] = random(rng);
        seal(&expand(key, &[LABEL, &salt]), &self.resident.to_be_bytes(), &salt, &pad(&self.encode(), STEP))
    }

    /// Lets data be lent under `mandate`, unless it is already. Answers the generation of the loan, which only ever grows.
    pub fn lend(&mut self, mandate: u64, rng: &dyn Rng) -> Result<u16> {
        let place = match self.loans.binary_search_by_key(&mandate, |loan| loan.mandate) {
            Ok(place) => return Ok(self.loans[place].generation),
            Err(place) => place,
        };
        let generation = self.lent;
        self.lent = generation.checked_add(1).ok_or(Error::Exhausted { noun: "loan" })?;
        self.loans.insert(place, Loan { mandate, generation, key: Box::new(Key::random(rng)) });
        Ok(generation)
    }

    /// Ends the loan under `mandate`; whether there was one. The loan is gone for whoever reads what is sealed from then on; old copies lose it
    /// when the vault replaces the resident's key.
    pub fn withdraw(&mut self, mandate: u64) -> bool {
        match self.loans.binary_search_by_key(&mandate, |loan| loan.mandate) {
            Ok(place) => {
                self.loans.remove(place);
                true
            }
            Err(_) => false,
        }
    }

    /// Whether data is lent under `mandate`.
    pub fn lends(&self, mandate: u64) -> bool {
        self.loan(mandate).is_ok()
    }

    /// The mandates data is lent under, in ascending order.
    pub fn mandates(&self) -> impl Iterator<Item = u64> {
        self.loans.iter().map(|loan| loan.mandate)
    }

    /// The generation of the pseudonym in `sector`.
    pub fn generation(&self, sector: u64) -> u16 {
        self.names.sectors.iter().find(|(known, _)| *known == sector).map_or(0, |(_, generation)| *generation)
    }

    /// The sectors where her pseudonym is not of generation 0, and which it is there, in ascending order.
    pub(crate) fn generations(&self) -> &[(u64, u16)] {
        &self.names.sectors
    }

    /// Gives the resident a new pseudonym in `sector`, which nobody outside can link to the old one.
    pub fn next_generation(&mut self, sector: u64) -> Result<u16> {
        let generation = self.generation(sector).checked_add(1).ok_or(Error::Exhausted { noun: "pseudonym" })?;
        match self.names.sectors.binary_search_by_key(&sector, |(known, _)| *known) {
            Ok(place) => self.names.sectors[place].1 = generation,
            Err(place) => self.names.sectors.insert(place, (sector, generation)),
        }
        Ok(generation)
    }

    /// The number of the resident.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// `T`: the mark of the resident's event number `n` in the log. For a number of a week that is up to 2,300 hashes more.
    pub fn tag(&self, n: u64) -> [u8; 32] {
        match Week::of_number(n).and_then(|week| self.delay_seed(week)) {
            Some(seed) => event::tag(&delay::tag_key(&seed), n),
            None => event::tag(self.tag_key.bytes(), n),
        }
    }

    /// The seed of the resident's delayed lines for a week: for her eyes, and only once that week has begun. `None` after the last one. It hangs on
    /// her own key, so every keyring has it, and it dies with that.
    pub fn delay_seed(&self, week: Week) -> Option<Zeroizing<[u8; 32]>> {
        let last = expand(&self.own_key, &[b"usufruct/delay-chain/v1", &self.resident.to_be_bytes()]);
        delay::seed_of(week, delay::LAST, last.bytes()).map(Zeroizing::new)
    }

    /// The keys of the marks of delayed lines, of `from` and the weeks after it up to `to`.
    pub fn delayed_tag_keys(&self, from: Week, to: Week) -> Vec<(Week, Zeroizing<[u8; 32]>)> {
        let to = to.min(delay::LAST);
        let Some(mut seed) = self.delay_seed(to) else { return Vec::new() };
        let mut keys = Vec::new();
        for week in (from.0..=to.0).rev() {
            keys.push((Week(week), Zeroizing::new(delay::tag_key(&seed))));
            *seed = delay::seed_before(&seed);
        }
        keys.reverse();
        keys
    }

    /// The key of the marks, which the resident's browser needs to find her events in the log. For her eyes only.
    pub fn tag_key(&self) -> &[u8; 32] {
        self.tag_key.bytes()
    }

    /// The footprint key, as her own devices keep it: the key of the marks, then the one that opens her lines. For her browser only.
    pub fn footprint_keys(&self) -> Zeroizing<[u8; FOOTPRINT_KEYS_LEN]> {
        let mut key = Zeroizing::new([0; FOOTPRINT_KEYS_LEN]);
        key[..32].copy_from_slice(self.tag_key.bytes());
        key[32..].copy_from_slice(self.footprint_key.bytes());
        key
    }

    /// Seals the body of the resident's footprint line number `n`.
    pub fn seal_line(&self, n: u64, body: &[u8], rng: &dyn Rng) -> Vec<u8> {
        seal_line(self, LinePart::Body, n, body, rng)
    }

    /// Seals what line number `n` is about, apart from the line, under the same key: the one dies with the other.
    pub fn seal_matter(&self, n: u64, matter: &[u8], rng: &dyn Rng) -> Vec<u8> {
        seal_line(self, LinePart::Matter, n, matter, rng)
    }

    /// Opens what a line is about. Whether it may be shown to the resident the line says.
    pub fn open_matter(&self, n: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        open_line(self, LinePart::Matter, n, sealed)
    }

    /// Opens a footprint line, for the resident and nobody else.
    pub fn open_line(&self, n: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        open_line(self, LinePart::Body, n, sealed)
    }

    pub(crate) fn opened_with(&self) -> Digest {
        self.opened_with
    }

    pub(crate) fn seed(&self) -> &Seed {
        &self.names.seed
    }

    pub(crate) fn own_key(&self) -> &Key {
        &self.own_key
    }

    pub(crate) fn footprint_key(&self) -> &Key {
        &self.footprint_key
    }

    /// Every key in it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        [&self.own_key, &self.tag_key, &self.footprint_key].into_iter().chain(self.loans.iter().map(|loan| &*loan.key))
    }

    pub(crate) fn loan(&self, mandate: u64) -> Result<&Key> {
        let place = self.loans.binary_search_by_key(&mandate, |loan| loan.mandate).map_err(|_| Error::NoLoan)?;
        Ok(&self.loans[place].key)
    }

    /// Deterministic CBOR: a map from field number to value, lists in ascending order of their first column.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Large enough never to grow: growing would leave keys behind in freed memory.
        let capacity = 160 + 64 * self.loans.len() + 16 * self.names.sectors.len();
        let mut cbor = minicbor::Encoder::new(Vec::with_capacity(capacity));
        (|| {
            cbor.map(8)?;
            cbor.u8(0)?.u8(VERSION)?;
            cbor.u8(1)?.bytes(self.names.seed.bytes())?;
            cbor.u8(2)?.bytes(self.own_key.bytes())?;
            cbor.u8(3)?.bytes(self.tag_key.bytes())?;
            cbor.u8(4)?.bytes(self.footprint_key.bytes())?;
            cbor.u8(5)?.u16(self.lent)?;
            cbor.u8(6)?.array(self.loans.len() as u64)?;
            for loan in &self.loans {
                cbor.array(3)?.u64(loan.mandate)?.u16(loan.generation)?.bytes(loan.key.bytes())?;
            }
            cbor.u8(7)?.array(self.names.sectors.len() as u64)?;
            for (sector, generation) in &self.names.sectors {
                cbor.array(2)?.u64(*sector)?.u16(*generation)?;
            }
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })()
        // INVARIANT: writing to a Vec cannot fail.
        .expect("a keyring can be written to memory");
        Zeroizing::new(cbor.into_writer())
    }

    /// Reads the one deterministic form and nothing else.
    fn decode(bytes: &[u8], resident: u64, opened_with: Digest) -> Option<Self> {
        let mut cbor = minicbor::Decoder::new(bytes);
        let field = |cbor: &mut minicbor::Decoder<'_>, number| (cbor.u8().ok()? == number).then_some(());
        if cbor.map().ok()?? != 8 {
            return None;
        }
        field(&mut cbor, 0)?;
        if cbor.u8().ok()? != VERSION {
            return None;
        }
        field(&mut cbor, 1)?;
        let seed = Seed::from_bytes(cbor.bytes().ok()?.try_into().ok()?);
        field(&mut cbor, 2)?;
        let own_key = Key::from_slice(cbor.bytes().ok()?)?;
        field(&mut cbor, 3)?;
        let tag_key = Key::from_slice(cbor.bytes().ok()?)?;
        field(&mut cbor, 4)?;
        let footprint_key = Key::from_slice(cbor.bytes().ok()?)?;
        field(&mut cbor, 5)?;
        let lent = cbor.u16().ok()?;
        field(&mut cbor, 6)?;
        let mut loans = Vec::new();
        for _ in 0..cbor.array().ok()?? {
            cbor.array().ok()?.filter(|len| *len == 3)?;
            let (mandate, generation) = (cbor.u64().ok()?, cbor.u16().ok()?);
            loans.push(Loan { mandate, generation, key: Box::new(Key::from_slice(cbor.bytes().ok()?)?) });
        }
        field(&mut cbor, 7)?;
        let mut sectors = Vec::new();
        for _ in 0..cbor.array().ok()?? {
            cbor.array().ok()?.filter(|len| *len == 2)?;
            sectors.push((cbor.u64().ok()?, cbor.u16().ok()?));
        }
        let sorted = loans.is_sorted_by(|a, b| a.mandate < b.mandate) && sectors.is_sorted_by(|a, b| a.0 < b.0);
        let keyring =
            Self { resident, opened_with, names: Names { seed, sectors }, own_key, tag_key, footprint_key, lent, loans };
        (sorted && *keyring.encode() == bytes).then_some(keyring)
    }
}

/// Bytes of the two keys of a footprint.
pub const FOOTPRINT_KEYS_LEN: usize = 64;
const LABEL: &[u8] = b"usufruct/keyring/v1";
const SALT_LEN: usize = 24;
/// Sealed keyrings differ in length by multiples of this.
const STEP: usize = 256;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aead::TAG_LEN;
    use crate::testing::Seeded;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(loans in prop::collection::btree_set(any::<u64>(), 0..30), sectors in prop::collection::vec(0u64..5, 0..20), seed in any::<u64>()) {
            let rng = Seeded::new(seed);
            let (key, other) = (Key::random(&rng), Key::random(&rng));
            let mut keyring = Keyring::fresh(9, &key, &rng);
            for mandate in loans.iter().rev() {
                keyring.lend(*mandate, &rng).unwrap();
            }
            for sector in sectors {
                keyring.next_generation(sector).unwrap();
            }
            let sealed = keyring.seal(&key, &rng);
            prop_assert_eq!((sealed.len() - SALT_LEN - TAG_LEN) % STEP, 0);
            let again = Keyring::open(&sealed, &key, 9).unwrap();
            prop_assert_eq!(&*again.encode(), &*keyring.encode());
            prop_assert!(again.mandates().eq(loans));
            prop_assert!(Keyring::open(&sealed, &other, 9).is_err());
            prop_assert!(Keyring::open(&sealed, &key, 8).is_err());
        }

        #[test]
        fn garbage_is_no_keyring(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Keyring::decode(&bytes, 0, Digest([0; 32])).is_none());
        }
    }

    #[test]
    fn changed_bytes_decode_to_another_keyring_or_none() {
        let rng = Seeded::new(1);
        let key = Key::random(&rng);
        let mut keyring = Keyring::fresh(9, &key, &rng);
        keyring.lend(5, &rng).unwrap();
        let bytes = keyring.encode().to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Some(other) = Keyring::decode(&changed, 9, Digest([0; 32])) {
                assert!(*other.encode() == changed);
            }
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Keyring::decode(&longer, 9, Digest([0; 32])).is_none());
    }

    #[test]
    fn a_loan_given_again_is_another_loan() {
        let rng = Seeded::new(1);
        let key = Key::random(&rng);
        let mut keyring = Keyring::fresh(9, &key, &rng);
        assert_eq!(keyring.lend(5, &rng).unwrap(), 0);
        assert_eq!(keyring.lend(6, &rng).unwrap(), 1);
        assert_eq!(keyring.lend(5, &rng).unwrap(), 0);
        let before = *keyring.loan(5).unwrap().bytes();
        assert!(keyring.withdraw(5));
        assert!(!keyring.withdraw(5));
        assert!(!keyring.lends(5) && keyring.lends(6));
        assert_eq!(keyring.lend(5, &rng).unwrap(), 2);
        assert_ne!(*keyring.loan(5).unwrap().bytes(), before);
    }

    #[test]
    fn generations_end_before_they_repeat() {
        let rng = Seeded::new(1);
        let mut keyring = Keyring::fresh(9, &Key::random(&rng), &rng);
        for expected in 1..=u16::MAX {
            assert_eq!(keyring.next_generation(3).unwrap(), expected);
        }
        assert!(matches!(keyring.next_generation(3), Err(Error::Exhausted { .. })));
        assert_eq!((keyring.generation(3), keyring.generation(4)), (u16::MAX, 0));
    }
}
