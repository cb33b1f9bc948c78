//! A hostile administrator keeps everything: main file and write-ahead log of SQLite, the file of pages, archive and base
//! backups of PostgreSQL, from before, between and after withdrawal, erasure, sunset and the end of a month. Then he takes the
//! root of today, looks for the bytes of the keys that were destroyed, and tries every key he gets on everything he has.
//!
//! Some commits of the key tree are broken off, at each of their writes, and what they left behind he keeps as well.
//!
//! He must open what lives, and nothing else. With the roots of those days he opens all of it, which shows that he can.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::attacker;
use crate::attacker::{Key, MANDATES, MONTHS, RESIDENTS, Root, Sealed, open_all, pages_in, pages_of, plunder, roots, search};
use crate::broken;
use crate::broken::Tear;
use crate::cluster::Cluster;
use crate::common;
use crate::common::{City, SeededRng, block, library_card, mandate, service};
use serde_json::json;
use usufruct_app::store::db::{Connection, Db, Options};
use usufruct_app::store::{blocks, keyrings};
use usufruct_app::vault::Vault;
use usufruct_app::vault::keytree::{PageFile, PageTree};
use usufruct_app::vault::roots::{Disk, FileRoots};
use usufruct_core::id::MandateId;
use usufruct_core::time::DAY;

/// The residents of the story and the numbers of the mandates.
struct People {
    /// Withdraws the library card.
    ada: u64,
    /// Is erased.
    ben: u64,
    /// Lives on.
    cho: u64,
    card: u64,
    short: u64,
}

/// What the administrator has of one time. The root of that time is known to the test alone.
struct Copy {
    pages: BTreeSet<Vec<u8>>,
    sealed: Sealed,
    roots: Vec<Root>,
}

#[test]
fn nothing_erased_opens_from_files_of_sqlite_of_any_time() {
    let (dir, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, kept) = (dir.path(), kept.path());
    // Held open, so that no connection is the last one and no checkpoint is made on its leaving.
    let held = Db::open(&format!("sqlite:{}", dir.join("usufruct.db").display()), &Options::default()).unwrap();
    let people = settle(&City::found(dir, None));
    begin_months(dir, &held, &people);
    let mut copies = vec![copy_files(dir, &kept.join("0"))];
    copies.extend(break_off(dir, &kept.join("broken"), &held, &people));
    {
        let city = City::open(dir, None, "2026-01-02T00:00:00Z", 2);
        for (name, act) in (1..).zip(ACTS) {
            act(&city, &people);
            copies.push(copy_files(dir, &kept.join(name.to_string())));
        }
    }
    end_month(dir, &held, &people);
    copies.push(copy_files(dir, &kept.join("9")));
    let wal = std::fs::metadata(kept.join("9/usufruct.db-wal")).unwrap().len();
    assert!(wal > 100_000, "the write-ahead log was never emptied: {wal} bytes");

    let loot = plunder(&copies[0].pages, &copies[0].roots);
    assert!(loot.keys.contains_key(&(MONTHS, people.card * 1_200 + 70)));
    let (gone, old_roots) = judge(&copies, &people);
    assert!(loot.keys[&(MONTHS, people.card * 1_200 + 70)].is_subset(&gone), "a month's key is among the destroyed");
    // What is never copied is the root slot; the test keeps it to know what to look for.
    let slots: Vec<PathBuf> = (0..4).map(|name| kept.join(format!("{name}/root"))).collect();
    let all = gone.union(&old_roots).copied().collect();
    assert_eq!(search(&slots, &all).1, slots.iter().cloned().collect(), "the search finds what is there");
    slots.iter().for_each(|slot| std::fs::remove_file(slot).unwrap());
    let (bytes, found) = search(&[dir.to_owned(), kept.to_owned()], &all);
    assert!(bytes > 1_000_000, "{bytes}");
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn nothing_erased_opens_from_archives_and_base_backups_of_postgresql() {
    let (dir, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = dir.path();
    let Some(cluster) = Cluster::found(home.path()) else {
        eprintln!("skipped: PostgreSQL is not installed");
        return;
    };
    let url = cluster.url();
    let city = City::found(dir, Some(&url));
    let first = cluster.base_backup("before");
    let people = settle(&city);
    let slot = |name: &str| {
        cluster.mark(name);
        (name.to_owned(), roots(&std::fs::read(dir.join("vault/root")).unwrap()))
    };
    let mut times = vec![slot("settled")];
    for (name, act) in ["withdrawn", "erased", "ended"].into_iter().zip(ACTS) {
        act(&city, &people);
        times.push(slot(name));
    }
    let last = cluster.base_backup("after");
    let now = times.last().unwrap().1.clone();

    // The first base backup with the archived log, brought to each moment; the last one as it is.
    let mut copies = Vec::new();
    for (name, roots) in &times {
        let recovered = cluster.recover(&first, name);
        let db = Db::open(&recovered.url(), &Options { readers: 1, queue: 1 }).unwrap();
        copies.push(Copy { pages: pages_of(&db), sealed: Sealed::read(&db), roots: roots.clone() });
        if name == "settled" {
            // The product's own drill says the same of the old rows under the keys of today.
            let drilled = city.app.restore_drill(&db, city.app.now(), 100).unwrap();
            assert_eq!((drilled.sampled, drilled.closed, drilled.wrong), (13, 2, 0), "{:?}", drilled.findings);
        }
    }
    let live = Db::open(&url, &Options { readers: 1, queue: 1 }).unwrap();
    copies.push(Copy { pages: pages_of(&live), sealed: Sealed::read(&live), roots: now });
    let (gone, old_roots) = judge(&copies, &people);
    let all = gone.union(&old_roots).copied().collect();
    assert!([&first, &last, &cluster.archive()].iter().all(|place| place.starts_with(home.path())));
    let (bytes, found) = search(&[home.path().to_owned(), dir.to_owned()], &all);
    assert!(bytes > 100_000_000, "{bytes}");
    assert_eq!(found, BTreeSet::new());
    // A base backup does not hide what is written in clear.
    let planted: Key = std::array::from_fn(|at| at as u8 * 7 + 1);
    let hex = usufruct_core::hash::hex(&planted);
    let plant = format!("-- plant\nINSERT INTO codes_planted VALUES (decode('{hex}', 'hex'))");
    live.transaction("plant", |tx| tx.script("-- plant\nCREATE TABLE codes_planted (key BYTEA)")).unwrap();
    live.transaction("plant", move |tx| tx.script(&plant)).unwrap();
    cluster.mark("planted");
    assert!(!search(&[cluster.archive()], &BTreeSet::from([planted])).1.is_empty(), "the search finds what is there");
    // Nor does it hide what PostgreSQL compressed with what is around it.
    let packed: Key = usufruct_core::hash::sha256(b"another one").0;
    let hex = usufruct_core::hash::hex(&packed);
    let plant = format!(
        "-- pack\nINSERT INTO codes_planted VALUES (decode(repeat('00ff', 3000) || '{hex}' || repeat('00ff', 3000), 'hex'))"
    );
    live.transaction("pack", move |tx| tx.script(&plant)).unwrap();
    let later = cluster.base_backup("packed");
    assert!(!search(&[later.join("base")], &BTreeSet::from([packed])).1.is_empty(), "the search looks into long values");
    // The server does not start on what was brought back: its pages are older than the root.
    drop(city);
    let recovered = cluster.recover_again(&times[0].0);
    let error = City::try_open(dir, Some(&recovered.url()), "2026-01-20T00:00:00Z", 7, None).map(drop).unwrap_err();
    assert!(error.to_string().contains("older than it"), "{error}");
}

/// Whoever kept any key of a synthetic resident is found by the canary scan: the administrator takes all he can get while she lives.
#[test]
fn the_canary_scan_searches_for_every_key_that_opened_something() {
    let (dir, kept, leaks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let city = City::found(dir.path(), None);
    let mut canaries = city.app.enrol_canaries(1).unwrap();
    let copy = copy_files(dir.path(), &kept.path().join("0"));
    let loot = plunder(&copy.pages, &copy.roots);
    let opened = open_all(&copy.sealed, &loot);
    assert_eq!((&opened.sealed, opened.sealed.lent.len()), (&copy.sealed, 1), "she lends a block, and all of hers opens");
    let hers: BTreeSet<Key> =
        loot.keys.iter().filter(|((segment, _), _)| *segment == RESIDENTS).flat_map(|(_, keys)| keys.clone()).collect();
    let roots = copy.roots.iter().map(|root| root.secret);
    let destroyed: Vec<Key> = hers.into_iter().chain(opened.inside).chain(roots).collect();
    // K_r, three keys of her own, one of a grant, and the root.
    assert_eq!(destroyed.len(), 6);
    for (number, key) in destroyed.iter().enumerate() {
        std::fs::write(leaks.path().join(number.to_string()), [&[7; 100][..], key, &[9; 100]].concat()).unwrap();
    }
    let report = city.app.scan_canaries(&mut canaries, None, &[dir.path().to_owned(), leaks.path().to_owned()]).unwrap();
    assert_eq!(report.wrong, 6, "each file is a finding: {:?}", report.findings);
}

/// What happens, in order.
const ACTS: [fn(&City, &People); 3] = [
    |city, people| drop(city.app.withdraw(people.ada, &mandate()).unwrap()),
    |city, people| drop(city.app.delete_resident(people.ben).unwrap()),
    |city, _| {
        city.clock.advance(15 * DAY);
        assert_eq!(city.app.run_sunsets().unwrap().ended, [short()]);
    },
];

/// Residents who lend under two mandates, one of which ends soon, and uses of it.
fn settle(city: &City) -> People {
    let mut soon = library_card();
    soon["sunset_at"] = json!("2026-01-10T00:00:00Z");
    city.publish_mandate(short().as_str(), soon);
    city.enrol(10);
    let [ada, ben, cho] = [(); 3].map(|()| {
        let (resident, subject) = city.cardholder();
        city.app.consent_at_counter(resident, &service(), &short(), &[]).unwrap();
        city.app.release(&city.request(&subject)).unwrap();
        resident
    });
    let number = |id: &MandateId| city.app.register().mandates[id].number;
    People { ada, ben, cho, card: number(&mandate()), short: number(&short()) }
}

/// Judges what is open to somebody who has all copies and the root of the last one. Answers the keys that were destroyed, and
/// the roots.
fn judge(copies: &[Copy], people: &People) -> (BTreeSet<Key>, BTreeSet<Key>) {
    let (first, now) = (&copies[0], copies.last().unwrap());
    let pages: BTreeSet<Vec<u8>> = copies.iter().flat_map(|copy| copy.pages.iter().cloned()).collect();
    let sealed = copies.iter().fold(Sealed::default(), |all, copy| all.and(&copy.sealed));

    // With the roots of their times all of it opens: what follows is no blindness.
    let every_root: Vec<Root> = copies.iter().flat_map(|copy| copy.roots.iter().cloned()).collect();
    let all_loot = plunder(&pages, &every_root);
    let all = open_all(&sealed, &all_loot);
    assert_eq!(all.sealed, sealed, "with every root everything opens");
    let then = open_all(&first.sealed, &plunder(&first.pages, &first.roots));
    assert_eq!(then.sealed, first.sealed, "with its own root an old copy opens");
    for resident in [people.ada, people.ben, people.cho] {
        let hers = first.sealed.of(resident);
        assert!(hers.own.len() == 2 && hers.lent.len() >= 2 && hers.lines.len() >= 3, "there is something to open");
    }

    // With the root of today: what lives.
    assert_eq!(now.roots.len(), 1, "one root is left");
    let loot = plunder(&pages, &now.roots);
    assert!(loot.keys == plunder(&now.pages, &now.roots).keys, "old pages add no key");
    let opened = open_all(&sealed, &loot);
    assert_eq!(opened.sealed.of(people.ben), Sealed::default(), "of who was erased nothing opens");
    assert!(!loot.keys.contains_key(&(RESIDENTS, people.ben)) && !loot.keys.contains_key(&(MANDATES, people.short)));
    let (before, after) = (first.sealed.of(people.ada), opened.sealed.of(people.ada));
    assert!(before.keyrings.is_disjoint(&after.keyrings), "no keyring from before a withdrawal opens");
    assert!(after.lent.is_empty(), "what she lent is closed, under the one mandate as under the other");
    assert_eq!((after.own, after.keyrings.len()), (before.own, 1), "her own data stays hers");
    assert!(opened.sealed.lent.iter().all(|(_, mandate, _)| *mandate == people.card), "nothing under the mandate that ended");
    assert!(opened.sealed.lent.iter().any(|(resident, ..)| *resident == people.cho), "what lives opens");
    assert_eq!(opened.sealed.keyrings, now.sealed.keyrings, "the keyrings of today, and none besides");
    assert_eq!(opened.sealed.lent, now.sealed.lent);
    assert_eq!(opened.sealed.own, now.sealed.own);

    let known = |loot: &attacker::Loot, inside: &BTreeSet<Key>| loot.all().union(inside).copied().collect::<BTreeSet<Key>>();
    let (ever, today) = (known(&all_loot, &all.inside), known(&loot, &opened.inside));
    let gone: BTreeSet<Key> = ever.difference(&today).copied().collect();
    let old = |segment: u32, number: u64| all_loot.keys[&(segment, number)].iter().any(|key| gone.contains(key));
    assert!(old(RESIDENTS, people.ada) && old(RESIDENTS, people.ben) && old(MANDATES, people.short));
    let old_roots = every_root.iter().map(|root| root.secret).filter(|secret| *secret != now.roots[0].secret).collect();
    (gone, old_roots)
}

/// Takes the files as they lie there while the server runs.
fn copy_files(dir: &Path, to: &Path) -> Copy {
    std::fs::create_dir_all(to.join("read")).unwrap();
    for (file, name) in
        [("usufruct.db", "usufruct.db"), ("usufruct.db-wal", "usufruct.db-wal"), ("vault/pages", "pages"), ("vault/root", "root")]
    {
        std::fs::copy(dir.join(file), to.join(name)).unwrap();
    }
    // Read in another copy, for reading empties a write-ahead log.
    for name in ["usufruct.db", "usufruct.db-wal"] {
        std::fs::copy(to.join(name), to.join("read").join(name)).unwrap();
    }
    let db = Db::open(&format!("sqlite:{}", to.join("read/usufruct.db").display()), &Options::default()).unwrap();
    let (pages, slots) = (pages_in(&to.join("pages")), std::fs::read(to.join("root")).unwrap());
    Copy { pages, sealed: Sealed::read(&db), roots: roots(&slots) }
}

/// Something of cho is kept for two months, which the vault does without the pass around it.
fn begin_months(dir: &Path, db: &Db, people: &People) {
    let vault = open_vault(dir, 11);
    [70, 71].iter().for_each(|month| keep_for_a_month(&vault, db, people, *month));
}

fn keep_for_a_month(vault: &Vault, db: &Db, people: &People, month: u16) {
    let rng = SeededRng::new(12_000 + u64::from(month));
    let sealed: Vec<Vec<u8>> =
        db.read(|conn| keyrings::candidates(conn, people.cho)).unwrap().into_iter().map(|(_, sealed)| sealed).collect();
    let keyring = vault.keyring(people.cho, &sealed).unwrap();
    vault.create_month_key(people.card, month, rng.as_ref()).unwrap();
    let lent = vault
        .seal_deposit(&keyring, people.card, month, &block("name"), &common::LIBRARY.parse().unwrap(), b"Cho", rng.as_ref())
        .unwrap();
    let row = (people.cho, people.card, 9_900 + u64::from(month), lent);
    db.transaction("lend for a month", move |tx| blocks::put_lent(tx, std::slice::from_ref(&row))).unwrap();
}

/// The end of a month is broken off at each write, with the page torn or whole, and finished after a start. Answers what the administrator
/// has of the moments before and after.
fn break_off(dir: &Path, kept: &Path, db: &Db, people: &People) -> Vec<Copy> {
    std::fs::create_dir_all(kept).unwrap();
    let (mut copies, mut outcomes) = (Vec::new(), BTreeSet::new());
    for (month, tear) in (100..).zip([Tear::Half, Tear::Whole].into_iter().cycle()) {
        let step = i64::from(month - 100) / 2 + 1;
        keep_for_a_month(&open_vault(dir, u64::from(month)), db, people, month);
        let copy = |name: &str| {
            let file = kept.join(format!("{month}-{name}"));
            std::fs::copy(dir.join("vault/pages"), &file).unwrap();
            let slots = std::fs::read(dir.join("vault/root")).unwrap();
            Copy { pages: pages_in(&file), sealed: Sealed::read(db), roots: roots(&slots) }
        };
        copies.push(copy("before"));
        let is_whole = broken::end_month(&dir.join("vault"), people.card, month, step, tear);
        copies.push(copy("broken"));
        // After the start either the old epoch counts or the new one; then it is finished.
        let (vault, rng) = (open_vault(dir, 1_000 + u64::from(month)), SeededRng::new(2_000 + u64::from(month)));
        outcomes.insert(vault.month_commitment(people.card, month).unwrap().is_some());
        vault.end_months(people.card, &[month], rng.as_ref()).unwrap();
        let sql = format!("-- month_end\nDELETE FROM lent_blocks WHERE block = {}", 9_900 + u64::from(month));
        db.transaction("end month", move |tx| tx.execute(&sql, &[])).unwrap();
        if is_whole {
            break;
        }
    }
    assert_eq!(outcomes.len(), 2, "some were broken off before they counted, some after");
    assert!(copies.iter().any(|copy| copy.roots.len() == 2), "one was broken off between the roots");
    let is_torn = |page: &Vec<u8>| page[..16] != [0; 16] && page[2_048..].iter().all(|byte| *byte == 0);
    let torn = copies.iter().filter(|copy| copy.pages.iter().any(is_torn)).count();
    assert!(torn >= 2, "the page of keys was torn, and the top page: {torn}");
    copies
}

/// The first month is over: its key goes, and its row.
fn end_month(dir: &Path, db: &Db, people: &People) {
    open_vault(dir, 13).end_months(people.card, &[70], SeededRng::new(14).as_ref()).unwrap();
    db.transaction("end month", |tx| tx.execute("-- month_end\nDELETE FROM lent_blocks WHERE block = 9970", &[])).unwrap();
}

fn open_vault(dir: &Path, seed: u64) -> Vault {
    let (folder, rng) = (dir.join("vault"), SeededRng::new(seed));
    let tree = PageTree::open(PageFile::open(&folder).unwrap(), FileRoots::open(&folder, Disk::Any).unwrap()).unwrap();
    let (_, gate) = usufruct_core::logged::pair(rng.as_ref());
    Vault::new(Box::new(tree), gate, rng.as_ref()).unwrap()
}

fn short() -> MandateId {
    "mdt_short".parse().unwrap()
}
