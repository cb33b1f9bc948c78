//! Pseudonyms on one core: against the bare block cipher of this machine, and against the transcryption of PEP (crate libpep), which
//! does more, since its converter sees nothing, and costs more.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use libpep::prelude::{
    ElGamalEncryptable, EncryptionContext, Pseudonym, PseudonymizationDomain, PseudonymizationSecret, RekeyingSecret,
    Transcryptor, encrypt, make_global_keys, make_session_keys, transcrypt,
};
use usufruct_app::vault::roots::Disk;
use usufruct_app::vault::second_hand::{SecondHand, SectorKeys};
use usufruct_app::vault::{Keyring, Seeds, Subject, Vault, Way};
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::ServiceId;
use usufruct_core::logged::{Logged, Recorder, pair};
use usufruct_core::service::PseudonymMode;
use usufruct_core::{Digest, Time};

use crate::{SystemRng, now, residents};

/// Measures and prints.
pub fn print(dir: &Path) {
    let bare = bare(true);
    let rows = [
        ("bare AES-256 of the crate `aes`, encrypted by 1,024", bare),
        ("the same, decrypted", self::bare(false)),
        ("permutation in place by 1,024, as a second keeper does it", permutation(dir)),
    ];
    println!("| what | a second and core | bare AES is faster by |\n|---|---:|---:|");
    let row = |(name, rate): (&str, f64)| println!("| {name} | {rate:.0} | {:.2} |", bare / rate);
    rows.into_iter().for_each(row);
    let house = House::new(dir);
    let made = house.made(LARGE);
    row(("`Vault::subjects` by 1,024, seeds gathered before", house.made(SMALL)));
    row(("`Vault::subjects` by 10,000, seeds gathered before", made));
    row(("`Seeds::of` 10,000 keyrings, and dropped", house.gathered()));
    row(("both by 1,024", house.gathered_and_made(SMALL)));
    row(("both by 10,000", house.gathered_and_made(LARGE)));
    row(("both by 10,000, for ten sectors' worth of pseudonyms", house.made_ten_times(LARGE)));
    row(("`Vault::resolve_many` by 10,000, with the HMAC of the index", house.resolved()));
    row(("`Vault::convert` by 10,000, each checked against its logged event", house.converted()));
    let pep = transcryption();
    row(("libpep, transcryption of one pseudonym", pep));
    println!("\nAgainst the aims:");
    println!("- 300 million pseudonyms/s and core: {:.2} (permutation {:.2})", made / 300e6, rows[2].1 / 300e6);
    println!("- the bare AES of this machine: permutation {:.2}, `Vault::subjects` {:.2}", rows[2].1 / bare, made / bare);
    println!(
        "- `Vault::subjects` is faster than libpep by {:.0}, `Vault::convert` by {:.0}",
        made / pep,
        house.converted() / pep
    );
}

/// Blocks that begin with a line of the cache, as the widest instructions like them best.
#[repr(align(64))]
struct Aligned<B>([B; SMALL]);

/// Blocks of the crate `aes` a second, in place.
fn bare(forward: bool) -> f64 {
    let cipher = Aes256::new(&[7; 32].into());
    let mut blocks = Aligned([Block::<Aes256>::default(); SMALL]);
    per_second(SMALL, || match forward {
        true => cipher.encrypt_blocks(black_box(&mut blocks.0)),
        false => cipher.decrypt_blocks(black_box(&mut blocks.0)),
    })
}

fn permutation(dir: &Path) -> f64 {
    let keys = SectorKeys::open(&dir.join("sectors"), Disk::Any, Arc::new(SystemRng)).expect("the folder is ours");
    keys.create(1).expect("it is new");
    let mut blocks = Aligned([[7; 16]; SMALL]);
    per_second(SMALL, || keys.permute(1, black_box(&mut blocks.0)).expect("the key lives"))
}

/// A vault with two sectors and residents whose keyrings are open.
struct House {
    vault: Vault,
    recorder: Recorder,
    keyrings: Vec<Keyring>,
    services: [ServiceId; 2],
}

impl House {
    fn new(dir: &Path) -> Self {
        let tree = residents::create(&dir.join("pseudonyms"));
        let (recorder, gate) = pair(&SystemRng);
        let vault = Vault::new(Box::new(tree), gate, &SystemRng).expect("the tree is whole");
        for sector in SECTORS {
            vault.create_sector_key(sector, PseudonymMode::Single, &SystemRng).expect("the tree is whole");
        }
        let enrolled = vault.enrol_many(LARGE, &SystemRng).expect("the tree is whole");
        let keyrings = enrolled.iter().map(|one| vault.keyring(one.resident, &[&one.keyring]).expect("it was just sealed"));
        let keyrings = keyrings.collect();
        let services = ["svc_library", "svc_parks"].map(|id| id.parse().expect("an id"));
        Self { vault, recorder, keyrings, services }
    }

    fn seeds(&self, count: usize) -> Seeds {
        Seeds::of(&self.keyrings[..count].iter().collect::<Vec<_>>())
    }

    fn subjects(&self, seeds: &Seeds) -> Vec<Subject> {
        self.vault.subjects(SECTORS[0], seeds).expect("the key lives")
    }

    fn made(&self, count: usize) -> f64 {
        let seeds = self.seeds(count);
        per_second(count, || drop(black_box(self.subjects(black_box(&seeds)))))
    }

    fn gathered(&self) -> f64 {
        let keyrings: Vec<&Keyring> = self.keyrings.iter().collect();
        per_second(LARGE, || drop(black_box(Seeds::of(black_box(&keyrings)))))
    }

    fn gathered_and_made(&self, count: usize) -> f64 {
        let keyrings: Vec<&Keyring> = self.keyrings[..count].iter().collect();
        per_second(count, || drop(black_box(self.subjects(&Seeds::of(black_box(&keyrings))))))
    }

    fn made_ten_times(&self, count: usize) -> f64 {
        let keyrings: Vec<&Keyring> = self.keyrings[..count].iter().collect();
        per_second(10 * count, || {
            let seeds = Seeds::of(black_box(&keyrings));
            (0..10).for_each(|_| drop(black_box(self.subjects(black_box(&seeds)))));
        })
    }

    fn resolved(&self) -> f64 {
        let subjects = self.subjects(&self.seeds(LARGE));
        per_second(LARGE, || drop(black_box(self.vault.resolve_many(SECTORS[0], black_box(&subjects)).expect("the key lives"))))
    }

    fn converted(&self) -> f64 {
        let subjects = self.subjects(&self.seeds(LARGE));
        let [from, to] = &self.services;
        let event = Event {
            kind: Kind::Conversion,
            n: 0,
            prev: None,
            at: Time::default(),
            anchor: None,
            mandate: Some(MANDATE),
            service: Some(from.clone()),
            blocks: Vec::new(),
            reason: "garden".to_owned(),
            actor: None,
            batch: None,
            clause: None,
            detail: Some(to.to_string()),
            until: None,
            other: None,
            source: None,
            closed: None,
            foreign: None,
        };
        let record = |keyring: &Keyring| self.recorder.record(event.clone(), [7; 32], keyring.tag(0), 0);
        let logged: Vec<Logged> = self.keyrings.iter().map(record).collect();
        let conversions: Vec<(&Logged, &Keyring)> = logged.iter().zip(&self.keyrings).collect();
        let way = Way { mandate: (0, MANDATE), from: (from, SECTORS[0]), to: (to, SECTORS[1]) };
        per_second(LARGE, || {
            let converted = self.vault.convert(&way, &subjects, &conversions).expect("the keys live");
            assert!(converted.iter().all(Result::is_ok));
        })
    }
}

/// One transcryptor turns pseudonyms of one domain into those of another, without seeing them.
fn transcryption() -> f64 {
    let mut rng = rand::rng();
    let (_, secret) = make_global_keys(&mut rng);
    let transcryptor = Transcryptor::new(PseudonymizationSecret::from(vec![7; 32]), RekeyingSecret::from(vec![8; 32]));
    let (library, parks) = (PseudonymizationDomain::from("library"), PseudonymizationDomain::from("parks"));
    let (here, there) = (EncryptionContext::from("library"), EncryptionContext::from("parks"));
    let keys = make_session_keys(&secret, &here, transcryptor.rekeying_secret());
    let info = transcryptor.transcryption_info(&library, &parks, &here, &there);
    let encrypted: Vec<_> = (0..100).map(|_| encrypt(&Pseudonym::random(&mut rng), &keys.public(), &mut rng)).collect();
    let public = keys.public();
    per_second(encrypted.len(), || {
        for one in &encrypted {
            black_box(transcrypt(one, &info, &public, &mut rng));
        }
    })
}

/// How many a second, when `step` does `count` at once: the best of five spells, so that what else the machine does counts least.
fn per_second(count: usize, mut step: impl FnMut()) -> f64 {
    step();
    let spell = |_| {
        let begun = now();
        let mut steps = 0;
        while begun.elapsed().as_secs_f64() < 0.4 {
            step();
            steps += 1;
        }
        f64::from(steps) * count as f64 / begun.elapsed().as_secs_f64()
    };
    (0..5).map(spell).fold(0.0, f64::max)
}

const SECTORS: [u64; 2] = [1, 2];
const MANDATE: Digest = Digest([3; 32]);
const SMALL: usize = 1_024;
const LARGE: usize = 10_000;
