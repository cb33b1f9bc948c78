//! What stays in the memory of keepers and of the city when an epoch is over: nothing of its root. Somebody reads the memory of the
//! running programs, as root on the machine can, and looks for the shares that the keepers held and for the roots behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::common::ok;
use crate::common::store::Store;
use crate::town::{NAMES, Town};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_app::vault::keeper::Share;
use usufruct_app::vault::keeper::shamir::at;
use usufruct_core::hash::hex;

/// Epoch, place and share of each half that is not wiped.
fn shares(town: &Town<'_>, name: &str) -> Vec<(u64, u8, [u8; 32])> {
    let file = fs::read(town.at(&format!("{name}/vault/shares"))).unwrap();
    let halves = file.chunks_exact(2048).filter(|half| half.starts_with(b"UFSHARE1"));
    let read = |half: &[u8]| (u64::from_be_bytes(half[8..16].try_into().unwrap()), half[16], half[56..88].try_into().unwrap());
    halves.map(read).collect()
}

/// The memory that a program may write to, part after part; `None` where it may not be read.
fn memory(id: u32) -> Option<Vec<Vec<u8>>> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).ok()?;
    let file = File::open(format!("/proc/{id}/mem")).ok()?;
    let mut parts = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Of what goes away meanwhile nothing is there to be found.
        if file.read_exact_at(&mut bytes, start).is_ok() {
            parts.push(bytes);
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// Which of the secrets stand there, and in which form. Half of one is enough to be told of: an allocator writes over the front of what
/// was freed.
fn found<'a>(memory: &[Vec<u8>], secrets: &'a [(String, [u8; 32])]) -> BTreeSet<(&'a str, &'static str)> {
    let mut needles = Vec::new();
    for (name, secret) in secrets {
        let (text, digits) = (URL_SAFE_NO_PAD.encode(secret).into_bytes(), hex(secret).into_bytes());
        needles.extend([
            (secret[..16].to_vec(), (&name[..], "first half")),
            (secret[16..].to_vec(), (&name[..], "second half")),
            (text[..20].to_vec(), (&name[..], "first half, base64url")),
            (text[23..].to_vec(), (&name[..], "second half, base64url")),
            (digits[..32].to_vec(), (&name[..], "first half, hexadecimal")),
            (digits[32..].to_vec(), (&name[..], "second half, hexadecimal")),
        ]);
    }
    let begin = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let mut by_begin: Vec<Vec<usize>> = vec![Vec::new(); 1 << 16];
    for (number, (needle, _)) in needles.iter().enumerate() {
        by_begin[begin(needle)].push(number);
    }
    let mut found = BTreeSet::new();
    for part in memory {
        // Most pages were never written to.
        for page in (0..part.len()).step_by(4_096).filter(|page| part[*page..page + 4_096] != [0; 4_096]) {
            for at in page..(page + 4_096).min(part.len() - 1) {
                for number in &by_begin[begin(&part[at..])] {
                    let (needle, what) = &needles[*number];
                    if part[at..].starts_with(needle) {
                        found.insert(*what);
                    }
                }
            }
        }
    }
    found
}

/// Begins a new epoch, with the server that runs.
fn rotate(town: &Town<'_>) {
    let said = ok(&["rotate", "root", "--data-dir", &town.at("pass")]);
    assert!(said.contains("new root"), "{said}");
}

#[test]
fn nothing_of_a_root_stays_in_memory_when_its_epoch_is_over() {
    let store = Store::sqlite();
    let town = Town::founded("keepers-memory", &store);
    town.enrol();
    let (server, _) = town.serve();
    let mut held: BTreeMap<u64, BTreeMap<&str, (u8, [u8; 32])>> = BTreeMap::new();
    for round in 0..6 {
        if round > 0 {
            rotate(&town);
        }
        for name in NAMES {
            for (epoch, x, share) in shares(&town, name) {
                held.entry(epoch).or_default().insert(name, (x, share));
            }
        }
    }
    let now = *held.keys().next_back().unwrap();
    assert!(held.len() >= 6, "{:?}", held.keys());
    let of_root = |epoch: u64| format!("root of epoch {epoch}.");
    let of_share = |epoch: u64, name: &str| format!("share of epoch {epoch}. at {name}");
    let mut secrets = Vec::new();
    for (epoch, shares) in &held {
        let points: Vec<Share> = shares.values().take(2).map(|(x, y)| Share { x: *x, y: *y }).collect();
        assert_eq!(points.len(), 2);
        secrets.push((of_root(*epoch), at(&points, 0).y));
        secrets.extend(shares.iter().map(|(name, (_, share))| (of_share(*epoch, name), *share)));
    }

    let mut left = Vec::new();
    let keepers = town.keepers.iter().map(|(name, keeper)| (&name[..], keeper.id(), of_share(now, name)));
    for (program, id, living) in keepers.chain([("city", server.id(), of_root(now))]) {
        let Some(memory) = memory(id) else {
            eprintln!("skipped: the memory of another process may not be read here");
            return;
        };
        let found = found(&memory, &secrets);
        for form in ["first half", "second half"] {
            assert!(
                found.contains(&(&living[..], form)),
                "{program} has what counts in memory, so the search finds it: {found:?}"
            );
        }
        let over = found.into_iter().filter(|(name, _)| !name.contains(&format!("epoch {now}.")));
        left.extend(over.map(|(name, form)| format!("{program}: {name}, {form}")));
    }
    assert!(left.is_empty(), "{left:#?}");
    assert!(server.stop());
}
