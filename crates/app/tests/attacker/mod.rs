//! The hostile administrator. He has every file of every time, knows the code, and tries every key he gets on everything.
//!
//! He is written from `docs/protocol/erasure.md`, with AES-256-GCM, HKDF and HMAC alone: nothing that the vault refuses to do
//! stands in his way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use usufruct_app::Needles;
use usufruct_app::store::db::{Db, Row};

pub type Key = [u8; 32];
/// Everything in a page but its front and its tag.
type Cells = Vec<Key>;

/// Segments of the tree, as the form of the pages numbers them.
pub const RESIDENTS: u32 = 0;
pub const MANDATES: u32 = 1;
pub const MONTHS: u32 = 2;

/// What a root slot held at some time.
#[derive(Clone)]
pub struct Root {
    pub epoch: u64,
    pub secret: Key,
}

/// The keys that pages and roots give.
#[derive(Default)]
pub struct Loot {
    /// By segment and number.
    pub keys: BTreeMap<(u32, u64), BTreeSet<Key>>,
    /// Keys of pages.
    pub pages: BTreeSet<Key>,
}

/// What a database holds about residents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Resident and keyring.
    pub keyrings: BTreeSet<(u64, Vec<u8>)>,
    /// Resident and her own copy of a block.
    pub own: BTreeSet<(u64, Vec<u8>)>,
    /// Resident, mandate and what is lent.
    pub lent: BTreeSet<(u64, u64, Vec<u8>)>,
    /// Resident, number and footprint line.
    pub lines: BTreeSet<(u64, u64, Vec<u8>)>,
}

/// What he opened, and the keys he found in it.
#[derive(Default)]
pub struct Opened {
    pub sealed: Sealed,
    pub inside: BTreeSet<Key>,
}

/// The roots in a slot file: two halves, each `"UFROOT01" | epoch | root | SHA-256`.
pub fn roots(slots: &[u8]) -> Vec<Root> {
    let halves = slots.chunks(2_048).filter(|half| half.starts_with(b"UFROOT01"));
    halves.map(|half| Root { epoch: number(&half[8..16]), secret: half[16..48].try_into().unwrap() }).collect()
}

/// Every key that these pages give with these roots. He does not keep to the form of the tree: any key is tried on any page,
/// until nothing new opens.
pub fn plunder(pages: &BTreeSet<Vec<u8>>, roots: &[Root]) -> Loot {
    let (mut loot, mut waiting): (Loot, Vec<Key>) = Default::default();
    for page in pages.iter().filter(|page| level(page) == u32::MAX) {
        // A secret that outlived its epoch would open the pages of the epochs before.
        for (root, epoch) in roots.iter().flat_map(|root| (0..=root.epoch).map(move |epoch| (root, epoch))) {
            let key = expand(&root.secret, &[b"usufruct/keytree-top/v1", &epoch.to_be_bytes(), &page[4..16]]);
            let Some(cells) = open_page(page, &key) else { continue };
            loot.pages.insert(key);
            waiting.extend(cells.iter().take(6).filter(|cell| **cell != [0; 32]));
        }
    }
    while let Some(key) = waiting.pop() {
        if !loot.pages.insert(key) {
            continue;
        }
        for page in pages {
            let Some(cells) = open_page(page, &key) else { continue };
            for (cell, inside) in (0..).zip(cells).filter(|(_, inside)| *inside != [0; 32]) {
                match level(page) & 0xff {
                    0 => drop(loot.keys.entry((level(page) >> 8, number(&page[4..12]) * 127 + cell)).or_default().insert(inside)),
                    _ => waiting.push(inside),
                }
            }
        }
    }
    loot
}

/// Every resident's data that these keys open, each tried on everything.
pub fn open_all(sealed: &Sealed, loot: &Loot) -> Opened {
    let (mut opened, keys) = (Opened::default(), loot.all());
    let mut rings = Vec::new();
    for (resident, keyring) in &sealed.keyrings {
        let ring = keys.iter().find_map(|key| {
            let key = expand(key, &[b"usufruct/keyring/v1", &keyring[..24]]);
            Ring::read(&open(&key, &resident.to_be_bytes(), &keyring[24..])?)
        });
        let Some(ring) = ring else { continue };
        opened.sealed.keyrings.insert((*resident, keyring.clone()));
        opened.inside.extend(ring.loans.iter().chain([&ring.own, &ring.tag, &ring.footprint]));
        rings.push(ring);
    }
    let under = |key: &Key, label: &[u8], numbers: &[u64], block: &str, salted: &[u8]| {
        let mut info = label.to_vec();
        numbers.iter().for_each(|number| info.extend(number.to_be_bytes()));
        info.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        let info = [&info, block.as_bytes(), &1_u32.to_be_bytes(), &salted[..16]].concat();
        let key = expand(key, &[&info]);
        GIVERS.iter().any(|giver| open(&key, giver.as_bytes(), &salted[16..]).is_some())
    };
    for (resident, block) in &sealed.own {
        let opens = |ring: &Ring| BLOCKS.iter().any(|name| under(&ring.own, b"usufruct/own/v1", &[*resident], name, block));
        if rings.iter().any(opens) {
            opened.sealed.own.insert((*resident, block.clone()));
        }
    }
    let loans: BTreeSet<Key> = rings.iter().flat_map(|ring| ring.loans.iter().copied()).collect();
    let parents: Vec<Key> = loans.iter().flat_map(|loan| keys.iter().map(|key| mac(loan, key))).collect();
    for (resident, mandate, block) in &sealed.lent {
        let opens =
            |shared: &Key| BLOCKS.iter().any(|name| under(shared, b"usufruct/dek/v1", &[*resident, *mandate], name, block));
        if parents.iter().any(opens) {
            opened.sealed.lent.insert((*resident, *mandate, block.clone()));
        }
    }
    for (resident, n, line) in &sealed.lines {
        let place = [resident.to_be_bytes(), n.to_be_bytes()].concat();
        let opens = |ring: &Ring| {
            let key = expand(&ring.footprint, &[b"usufruct/line/v1", &n.to_be_bytes(), &line[..16]]);
            open(&key, &place, &line[16..]).is_some()
        };
        if rings.iter().any(opens) {
            opened.sealed.lines.insert((*resident, *n, line.clone()));
        }
    }
    opened
}

impl Loot {
    /// All keys together.
    pub fn all(&self) -> BTreeSet<Key> {
        self.keys.values().flatten().chain(&self.pages).copied().collect()
    }
}

impl Sealed {
    /// Reads it from a database.
    pub fn read(db: &Db) -> Self {
        let rows = |sql: &'static str| db.read(|conn| conn.query(sql, &[])).unwrap();
        let n = |row: &Row, at: usize| row.integer(at).unwrap().cast_unsigned();
        let bytes = |row: &Row, at: usize| row.bytes(at).unwrap().to_vec();
        Self {
            keyrings: rows("-- spy_keyrings\nSELECT resident, sealed FROM keyrings")
                .iter()
                .map(|row| (n(row, 0), bytes(row, 1)))
                .collect(),
            own: rows("-- spy_own\nSELECT resident, sealed FROM own_blocks")
                .iter()
                .map(|row| (n(row, 0), bytes(row, 1)))
                .collect(),
            lent: rows("-- spy_lent\nSELECT resident, mandate, sealed FROM lent_blocks")
                .iter()
                .map(|row| (n(row, 0), n(row, 1), bytes(row, 2)))
                .collect(),
            lines: rows("-- spy_lines\nSELECT resident, n, sealed FROM lines")
                .iter()
                .map(|row| (n(row, 0), n(row, 1), bytes(row, 2)))
                .collect(),
        }
    }

    /// Everything in either.
    pub fn and(mut self, other: &Self) -> Self {
        self.keyrings.extend(other.keyrings.iter().cloned());
        self.own.extend(other.own.iter().cloned());
        self.lent.extend(other.lent.iter().cloned());
        self.lines.extend(other.lines.iter().cloned());
        self
    }

    /// What is about this resident.
    pub fn of(&self, resident: u64) -> Self {
        Self {
            keyrings: self.keyrings.iter().filter(|row| row.0 == resident).cloned().collect(),
            own: self.own.iter().filter(|row| row.0 == resident).cloned().collect(),
            lent: self.lent.iter().filter(|row| row.0 == resident).cloned().collect(),
            lines: self.lines.iter().filter(|row| row.0 == resident).cloned().collect(),
        }
    }
}

/// Files in which one of these keys stands, in any form that the canary scan looks for.
pub fn search(places: &[PathBuf], keys: &BTreeSet<Key>) -> (u64, BTreeSet<PathBuf>) {
    let halves: Vec<&[u8; 16]> = keys.iter().map(|key| key.first_chunk().unwrap()).collect();
    let needles = Needles::of(halves.into_iter());
    let (mut bytes, mut found) = (0, BTreeSet::new());
    let mut waiting = places.to_vec();
    while let Some(place) = waiting.pop() {
        if place.is_dir() {
            waiting.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        // A server that runs may have removed it.
        let Ok(content) = std::fs::read(&place) else { continue };
        bytes += content.len() as u64;
        // Most of a write-ahead log is room that was never used.
        let is_used = |part: &[u8]| part != &ZEROS[..part.len()];
        let parts = (0..content.len()).step_by(PART).map(|at| &content[at..content.len().min(at + PART + WINDOW - 1)]);
        if parts.filter(|part| is_used(part)).any(|part| needles.is_in(part)) {
            found.insert(place);
        }
    }
    (bytes, found)
}

/// The pages in a file of them. Room that was given back has lost its front, and its page is in an older copy.
pub fn pages_in(file: &Path) -> BTreeSet<Vec<u8>> {
    std::fs::read(file).unwrap().chunks_exact(4_096).map(<[u8]>::to_vec).collect()
}

/// The pages in a database.
pub fn pages_of(db: &Db) -> BTreeSet<Vec<u8>> {
    let rows = db.read(|conn| conn.query("-- spy_pages\nSELECT data FROM key_pages", &[])).unwrap();
    rows.iter().map(|row| row.bytes(0).unwrap().to_vec()).collect()
}

/// What is in a keyring.
struct Ring {
    own: Key,
    tag: Key,
    footprint: Key,
    loans: Vec<Key>,
}

impl Ring {
    fn read(padded: &[u8]) -> Option<Self> {
        let mut cbor = minicbor::Decoder::new(&padded[4..]);
        cbor.map().ok()?;
        let mut ring = Self { own: [0; 32], tag: [0; 32], footprint: [0; 32], loans: Vec::new() };
        for _ in 0..7 {
            match cbor.u8().ok()? {
                2 => ring.own = cbor.bytes().ok()?.try_into().ok()?,
                3 => ring.tag = cbor.bytes().ok()?.try_into().ok()?,
                4 => ring.footprint = cbor.bytes().ok()?.try_into().ok()?,
                6 => {
                    for _ in 0..cbor.array().ok()?? {
                        cbor.array().ok()?;
                        cbor.u64().ok()?;
                        cbor.u16().ok()?;
                        ring.loans.push(cbor.bytes().ok()?.try_into().ok()?);
                    }
                }
                _ => cbor.skip().ok()?,
            }
        }
        Some(ring)
    }
}

fn open_page(page: &[u8], key: &Key) -> Option<Cells> {
    let cells = open(key, &page[..16], &page[16..])?;
    Some(cells.as_chunks().0.to_vec())
}

fn level(page: &[u8]) -> u32 {
    u32::from_be_bytes(page[..4].try_into().unwrap())
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn open(key: &Key, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = sealed.to_vec();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let len = cipher.open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::from(aad), &mut buffer).ok()?.len();
    buffer.truncate(len);
    Some(buffer)
}

fn expand(key: &Key, info: &[&[u8]]) -> Key {
    let mut out = [0; 32];
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key);
    prk.expand(info, hkdf::HKDF_SHA256).unwrap().fill(&mut out).unwrap();
    out
}

fn mac(key: &Key, message: &Key) -> Key {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().try_into().unwrap()
}

/// The blocks of the small city.
const BLOCKS: [&str; 2] = ["blk_name", "blk_district"];
/// Whose name stands beside what is sealed: nobody's, or that of the body that deposited it.
const GIVERS: [&str; 2] = ["", "agc_library"];
/// How much is compared at once.
const WINDOW: usize = 16;
/// Bytes looked at together.
const PART: usize = 8_192;
const ZEROS: [u8; PART + WINDOW] = [0; PART + WINDOW];
