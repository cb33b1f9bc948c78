//! Pairwise pseudonyms: the AES-256 permutation of an erasable random seed under a random key per sector
//! (design.md section 7, identity-provider.md 6.1).
//!
//! No type holds a seed and a subject together, and no function takes one and gives the other but these two directions. A seed
//! cannot be shown, copied or written, and leaves this crate in no form but sealed in a keyring or closed in [`Seeds`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aes::Aes256;
use aes::cipher::array::Array;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::hash::hmac_sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing, optimization_barrier};

use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::second_hand::Second;
use crate::tree::Key;

/// A resident as one sector knows her: 16 bytes, written as 22 characters of base64url. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject([u8; 16]);

/// The 112 random bits behind all pseudonyms of one resident, kept as the input of generation 0 so that many are gathered fast.
#[derive(Zeroize, ZeroizeOnDrop)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Seed([u8; 16]);

/// What the pseudonyms of many residents are made of, gathered from their keyrings once for as many sectors as it takes. Nothing
/// can be read from it, and like a [`Keyring`] it has no `Debug`, no `Clone` and no written form; it is overwritten when it is dropped.
pub struct Seeds {
    /// The inputs of generation 0, in the order of the keyrings.
    inputs: Inputs,
    /// By sector: which of them are of a later generation there, in ascending order.
    later: BTreeMap<u64, Vec<(usize, u16)>>,
}

/// Secret blocks in a row. Overwritten in one go when they are dropped, which the compiler is kept from leaving out.
struct Inputs(Box<[[u8; 16]]>);

impl Drop for Inputs {
    fn drop(&mut self) {
        self.0.fill([0; 16]);
        optimization_barrier(&*self.0);
    }
}

impl ZeroizeOnDrop for Inputs {}

/// All that makes and reads the pseudonyms of a sector: `K_s`, and where a second keeper takes part, the way to its key.
pub(crate) struct Sector {
    own: Arc<Permutation>,
    second: Option<Second>,
}

/// A key, ready to permute. One block only, and only here, is electronic code book correct: inputs are distinct by make.
pub(crate) struct Permutation(Aes256);

impl Seeds {
    /// The seeds of these residents, in order. What they withdraw or delete later does not show in it, so it is for one batch.
    pub fn of(keyrings: &[&Keyring]) -> Self {
        let mut later: BTreeMap<u64, Vec<(usize, u16)>> = BTreeMap::new();
        let gather = |(place, keyring): (usize, &&Keyring)| {
            for (sector, generation) in keyring.generations() {
                later.entry(*sector).or_default().push((place, *generation));
            }
            keyring.seed().0
        };
        // The length is known from the start: growing would leave seeds behind in freed memory.
        Self { inputs: Inputs(keyrings.iter().enumerate().map(gather).collect()), later }
    }

    /// How many residents it is about.
    pub fn len(&self) -> usize {
        self.inputs.0.len()
    }

    /// Whether it is about nobody.
    pub fn is_empty(&self) -> bool {
        self.inputs.0.is_empty()
    }
}

impl Sector {
    pub(crate) fn new(own: Arc<Permutation>) -> Self {
        Self { own, second: None }
    }

    /// A sector whose pseudonyms go through the key of a second keeper too.
    pub(crate) fn shared(own: Arc<Permutation>, second: Second) -> Self {
        Self { own, second: Some(second) }
    }

    /// Whether its second keeper answers now, if it has one.
    pub(crate) fn stands(&self) -> Result<()> {
        self.second.as_ref().map_or(Ok(()), Second::stands)
    }

    /// The pseudonyms of many seeds in their generations in the sector `number`, in order.
    pub(crate) fn subjects(&self, number: u64, seeds: &Seeds) -> Result<Vec<Subject>> {
        let mut later = seeds.later.get(&number).map(Vec::as_slice).unwrap_or_default();
        let mut blocks = Vec::with_capacity(seeds.len());
        // A stride at a time, so that what was just written is still near when it is permuted.
        for stride in seeds.inputs.0.chunks(STRIDE) {
            let begin = blocks.len();
            blocks.extend_from_slice(stride);
            let (here, beyond) = later.split_at(later.partition_point(|(place, _)| *place < blocks.len()));
            for (place, generation) in here {
                blocks[*place] = with_generation(blocks[*place], *generation);
            }
            later = beyond;
            self.own.permute(&mut blocks[begin..]);
        }
        if let Some(second) = &self.second {
            second.permute(&mut blocks)?;
        }
        Ok(blocks.into_iter().map(Subject).collect())
    }

    /// One pseudonym as far as the house's own key gets: all the way, unless there is a second keeper.
    pub(crate) fn half(&self, seed: &Seed, generation: u16) -> [u8; 16] {
        let mut block = [input(seed, generation)];
        self.own.permute(&mut block);
        block[0]
    }

    /// The rest of the way from [`Sector::half`].
    pub(crate) fn whole(&self, half: [u8; 16]) -> Result<Subject> {
        let mut block = [half];
        if let Some(second) = &self.second {
            second.permute(&mut block)?;
        }
        Ok(Subject(block[0]))
    }

    /// The way back, in order. Foreign bytes give noise, which no seed index knows.
    pub(crate) fn reverse(&self, subjects: &[Subject]) -> Result<Vec<(Seed, u16)>> {
        let mut blocks = Zeroizing::new(subjects.iter().map(|subject| subject.0).collect::<Vec<_>>());
        if let Some(second) = &self.second {
            second.reverse(&mut blocks)?;
        }
        self.own.reverse(&mut blocks);
        Ok(blocks.iter().map(output).collect())
    }
}

impl Permutation {
    pub(crate) fn new(key: &Key) -> Self {
        Self(Aes256::new(key.bytes().into()))
    }

    pub(crate) fn permute(&self, blocks: &mut [[u8; 16]]) {
        self.0.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
    }

    pub(crate) fn reverse(&self, blocks: &mut [[u8; 16]]) {
        self.0.decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
    }
}

/// The name under which a resident is found by her seed (erasure.md 2.3).
pub(crate) fn seed_index(key: &Key, seed: &Seed) -> [u8; 32] {
    hmac_sha256(key.bytes(), &[b"usufruct/seed/v1", seed.bytes()])
}

fn input(seed: &Seed, generation: u16) -> [u8; 16] {
    with_generation(seed.0, generation)
}

fn with_generation(mut input: [u8; 16], generation: u16) -> [u8; 16] {
    input[14..].copy_from_slice(&generation.to_be_bytes());
    input
}

fn output(block: &[u8; 16]) -> (Seed, u16) {
    (Seed(with_generation(*block, 0)), u16::from_be_bytes([block[14], block[15]]))
}

/// Blocks permuted at once: 4 kB.
const STRIDE: usize = 256;

impl Seed {
    pub(crate) fn from_bytes(bytes: [u8; 14]) -> Self {
        let mut seed = Self([0; 16]);
        seed.0[..14].copy_from_slice(&bytes);
        seed
    }

    pub(crate) fn bytes(&self) -> &[u8; 14] {
        // INVARIANT: 14 of 16 bytes are there.
        self.0.first_chunk().expect("16 bytes begin with 14")
    }
}

impl Subject {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        // INVARIANT: 16 bytes are 22 characters.
        URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).expect("16 bytes are 22 characters");
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

impl FromStr for Subject {
    type Err = Error;

    /// Reads the one written form: 22 characters, no padding, no stray bits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::NotSubject)?;
        bytes.try_into().map(Self).map_err(|_| Error::NotSubject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::second_hand::SecondHand;
    use crate::testing::Seeded;
    use proptest::prelude::*;
    use std::collections::HashSet;
    use usufruct_core::hash::{hex, unhex};

    fn sector(key: &Key) -> Sector {
        Sector::new(Arc::new(Permutation::new(key)))
    }

    fn one(sector: &Sector, seed: &Seed, generation: u16) -> Subject {
        sector.whole(sector.half(seed, generation)).unwrap()
    }

    fn back(sector: &Sector, subject: &Subject) -> (Seed, u16) {
        sector.reverse(&[*subject]).unwrap().remove(0)
    }

    fn shared(own: Arc<Permutation>, second: Permutation) -> Sector {
        let hand = Arc::new(Fixed(second));
        let noted = Second::look(hand.as_ref(), 7).unwrap();
        Sector::shared(own, Second::new(hand, 7, noted))
    }

    /// A second keeper with a key that is known.
    struct Fixed(Permutation);

    impl SecondHand for Fixed {
        fn create(&self, _: u64) -> Result<()> {
            Ok(())
        }

        fn permute(&self, _: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
            self.0.permute(blocks);
            Ok(())
        }

        fn reverse(&self, _: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
            self.0.reverse(blocks);
            Ok(())
        }

        fn destroy(&self, _: u64) -> Result<()> {
            Ok(())
        }
    }

    /// Does not compile once one of these types has one of these traits: then there are two ways to read the call.
    macro_rules! assert_never {
        ($($kind:ty),+: $trait:path) => {{
            trait Either<Way> {
                fn never() {}
            }
            struct Has;
            impl<T: ?Sized> Either<()> for T {}
            impl<T: ?Sized + $trait> Either<Has> for T {}
            $(<$kind as Either<_>>::never();)+
        }};
    }

    #[test]
    fn a_seed_is_neither_shown_nor_copied_nor_written() {
        assert_never!(Seed, Seeds, Sector, Key, Keyring: fmt::Debug);
        assert_never!(Seed, Seeds, Sector, Key, Keyring: fmt::Display);
        assert_never!(Seed, Seeds, Sector, Key, Keyring: Clone);
        assert_never!(Seed, Seeds, Sector, Key, Keyring: serde::Serialize);
        assert_never!(Seed, Seeds, Sector, Key, Keyring: Into<Vec<u8>>);
        assert_never!(Seed, Seeds, Sector, Key, Keyring: AsRef<[u8]>);
        // A pseudonym is written by its name only, and shown by nothing.
        assert_never!(Subject: serde::Serialize);
        assert_eq!(format!("{:?}", Subject([7; 16])), "Subject(…)");
    }

    #[test]
    fn vectors() {
        let text = include_str!("../../../vectors/vault/pseudonyms.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let bytes = |value: &serde_json::Value| unhex(value.as_str().unwrap()).unwrap();
        for case in vectors["subjects"].as_array().unwrap() {
            let sector = sector(&Key::from_slice(&bytes(&case["sector_key"])).unwrap());
            let seed = Seed::from_bytes(bytes(&case["seed"]).try_into().unwrap());
            let generation = u16::try_from(case["generation"].as_u64().unwrap()).unwrap();
            let subject: Subject = case["subject"].as_str().unwrap().parse().unwrap();
            assert!(one(&sector, &seed, generation) == subject, "{case}");
            assert_eq!(subject.to_string(), case["subject"].as_str().unwrap());
            assert!(back(&sector, &subject) == (seed, generation), "{case}");
            let index = Key::from_slice(&bytes(&case["index_key"])).unwrap();
            assert_eq!(hex(&seed_index(&index, &back(&sector, &subject).0)), case["seed_index"].as_str().unwrap());
        }
        for case in vectors["two_keepers"].as_array().unwrap() {
            let [first, second] = ["sector_key", "second_key"].map(|name| Key::from_slice(&bytes(&case[name])).unwrap());
            let own = Arc::new(Permutation::new(&first));
            let sector = shared(own, Permutation::new(&second));
            let seed = Seed::from_bytes(bytes(&case["seed"]).try_into().unwrap());
            let generation = u16::try_from(case["generation"].as_u64().unwrap()).unwrap();
            let subject: Subject = case["subject"].as_str().unwrap().parse().unwrap();
            assert!(one(&sector, &seed, generation) == subject, "{case}");
            assert!(back(&sector, &subject) == (seed, generation), "{case}");
            let seed = Seed::from_bytes(bytes(&case["seed"]).try_into().unwrap());
            let between = sector.half(&seed, generation);
            assert_eq!(hex(&between), case["between"].as_str().unwrap());
            assert!(one(&self::sector(&first), &seed, generation) == Subject(between));
            assert!(sector.whole(between).unwrap() == subject);
        }
        for text in vectors["refused"].as_array().unwrap() {
            assert!(text.as_str().unwrap().parse::<Subject>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bijection(key in any::<[u8; 32]>(), seed in any::<[u8; 14]>(), generation in any::<u16>(), subject in any::<[u8; 16]>()) {
            let sector = sector(&Key::from_bytes(key));
            prop_assert!(back(&sector, &one(&sector, &Seed::from_bytes(seed), generation)) == (Seed::from_bytes(seed), generation));
            let (seed, generation) = back(&sector, &Subject(subject));
            prop_assert_eq!(one(&sector, &seed, generation), Subject(subject));
        }

        #[test]
        fn one_written_form(bytes in any::<[u8; 16]>(), text in "[A-Za-z0-9_-]{22}") {
            let written = Subject(bytes).to_string();
            prop_assert_eq!(written.len(), 22);
            prop_assert_eq!(written.parse::<Subject>().unwrap(), Subject(bytes));
            if let Ok(subject) = text.parse::<Subject>() {
                prop_assert_eq!(subject.to_string(), text);
            }
        }
    }

    /// Residents of whom every third has moved on in sector 7, each once more than the one before.
    fn residents(count: usize, rng: &Seeded) -> Vec<Keyring> {
        let key = Key::random(rng);
        let keyring = |number: usize| {
            let mut keyring = Keyring::fresh(number as u64, &key, rng);
            for _ in 0..if number.is_multiple_of(3) { number % 50 } else { 0 } {
                keyring.next_generation(7).unwrap();
            }
            keyring
        };
        (0..count).map(keyring).collect()
    }

    #[test]
    fn many_at_once_are_what_each_is_alone() {
        let rng = Seeded::new(1);
        let keyrings = residents(2 * STRIDE + 17, &rng);
        let (own, second) = (Arc::new(Permutation::new(&Key::random(&rng))), Permutation::new(&Key::random(&rng)));
        let sectors = [Sector::new(Arc::clone(&own)), shared(own, second)];
        for count in [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, keyrings.len()] {
            let seeds = Seeds::of(&keyrings[..count].iter().collect::<Vec<_>>());
            assert_eq!((seeds.len(), seeds.is_empty()), (count, count == 0));
            for (sector, number) in sectors.iter().flat_map(|sector| [(sector, 7), (sector, 8)]) {
                let alone = |keyring: &Keyring| one(sector, keyring.seed(), keyring.generation(number));
                assert!(sector.subjects(number, &seeds).unwrap() == keyrings[..count].iter().map(alone).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_million_pseudonyms_differ_over_sectors_and_generations() {
        let rng = Seeded::new(1);
        let keyrings = residents(1_000, &rng);
        let seeds: Vec<&Seed> = keyrings.iter().map(Keyring::seed).collect();
        let mut seen = HashSet::new();
        for _ in 0..10 {
            let sector = sector(&Key::random(&rng));
            for generation in 0..100 {
                seen.extend(seeds.iter().map(|seed| one(&sector, seed, generation)));
            }
        }
        assert_eq!(seen.len(), 1_000_000);
        assert!(seeds.iter().all(|seed| !seen.iter().take(1_000).any(|subject| subject.0.starts_with(seed.bytes()))));
    }
}
