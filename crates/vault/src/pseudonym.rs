//! Pairwise pseudonyms: the AES-256 permutation of an erasable random seed under a random key per sector
//! (design.md section 7, identity-provider.md 6.1).
//!
//! No type holds a seed and a subject together, and no function takes one and gives the other but these two directions.

use std::fmt;
use std::str::FromStr;

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::hash::hmac_sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::Error;
use crate::tree::Key;

/// A resident as one sector knows her: 16 bytes, written as 22 characters of base64url. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject([u8; 16]);

/// The 112 random bits behind all pseudonyms of one resident.
#[derive(Zeroize, ZeroizeOnDrop)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Seed([u8; 14]);

/// `K_s`, ready to permute. One block only, and only here, is electronic code book correct: inputs are distinct by make.
pub(crate) struct Sector(Aes256);

impl Sector {
    pub(crate) fn new(key: &Key) -> Self {
        Self(Aes256::new(key.bytes().into()))
    }

    /// The pseudonyms of many seeds in their generations, in order.
    pub(crate) fn subjects<'a>(&self, seeds: impl Iterator<Item = (&'a Seed, u16)>) -> Vec<Subject> {
        let mut blocks: Vec<Block<Aes256>> = seeds.map(|(seed, generation)| input(seed, generation).into()).collect();
        self.0.encrypt_blocks(&mut blocks);
        blocks.into_iter().map(|block| Subject(block.into())).collect()
    }

    pub(crate) fn subject(&self, seed: &Seed, generation: u16) -> Subject {
        let mut block = input(seed, generation).into();
        self.0.encrypt_block(&mut block);
        Subject(block.into())
    }

    /// The way back. Foreign bytes give noise, which no seed index knows.
    pub(crate) fn reverse(&self, subject: &Subject) -> (Seed, u16) {
        let mut block: Block<Aes256> = subject.0.into();
        self.0.decrypt_block(&mut block);
        let mut seed = Seed([0; 14]);
        seed.0.copy_from_slice(&block[..14]);
        let generation = u16::from_be_bytes([block[14], block[15]]);
        block.as_mut_slice().zeroize();
        (seed, generation)
    }
}

/// The name under which a resident is found by her seed (erasure.md 2.3).
pub(crate) fn seed_index(key: &Key, seed: &Seed) -> [u8; 32] {
    hmac_sha256(key.bytes(), &[b"usufruct/seed/v1", &seed.0])
}

fn input(seed: &Seed, generation: u16) -> [u8; 16] {
    let mut input = [0; 16];
    input[..14].copy_from_slice(&seed.0);
    input[14..].copy_from_slice(&generation.to_be_bytes());
    input
}

impl Seed {
    pub(crate) const fn from_bytes(bytes: [u8; 14]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 14] {
        &self.0
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
    use crate::testing::Seeded;
    use proptest::prelude::*;
    use std::collections::HashSet;
    use usufruct_core::hash::{hex, unhex};
    use usufruct_core::ports::random;

    #[test]
    fn vectors() {
        let text = include_str!("../../../vectors/vault/pseudonyms.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let bytes = |value: &serde_json::Value| unhex(value.as_str().unwrap()).unwrap();
        for case in vectors["subjects"].as_array().unwrap() {
            let sector = Sector::new(&Key::from_slice(&bytes(&case["sector_key"])).unwrap());
            let seed = Seed(bytes(&case["seed"]).try_into().unwrap());
            let generation = u16::try_from(case["generation"].as_u64().unwrap()).unwrap();
            let subject: Subject = case["subject"].as_str().unwrap().parse().unwrap();
            assert!(sector.subject(&seed, generation) == subject, "{case}");
            assert_eq!(subject.to_string(), case["subject"].as_str().unwrap());
            assert!(sector.reverse(&subject) == (seed, generation), "{case}");
            let index = Key::from_slice(&bytes(&case["index_key"])).unwrap();
            assert_eq!(hex(&seed_index(&index, &sector.reverse(&subject).0)), case["seed_index"].as_str().unwrap());
        }
        for text in vectors["refused"].as_array().unwrap() {
            assert!(text.as_str().unwrap().parse::<Subject>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bijection(key in any::<[u8; 32]>(), seed in any::<[u8; 14]>(), generation in any::<u16>(), subject in any::<[u8; 16]>()) {
            let sector = Sector::new(&Key::from_bytes(key));
            prop_assert!(sector.reverse(&sector.subject(&Seed(seed), generation)) == (Seed(seed), generation));
            let (seed, generation) = sector.reverse(&Subject(subject));
            prop_assert_eq!(sector.subject(&seed, generation), Subject(subject));
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

    #[test]
    fn a_million_pseudonyms_differ_over_sectors_and_generations() {
        let rng = Seeded::new(1);
        let seeds: Vec<Seed> = (0..1_000).map(|_| Seed(random(&rng))).collect();
        let mut seen = HashSet::new();
        for _ in 0..10 {
            let sector = Sector::new(&Key::random(&rng));
            for generation in 0..100 {
                let subjects = sector.subjects(seeds.iter().map(|seed| (seed, generation)));
                assert!(subjects[17] == sector.subject(&seeds[17], generation));
                seen.extend(subjects);
            }
        }
        assert_eq!(seen.len(), 1_000_000);
        assert!(seeds.iter().all(|seed| !seen.iter().take(1_000).any(|subject| subject.0.starts_with(&seed.0))));
    }
}
