//! Somebody has the key by which keepers know the city, and says what the city could say: what one call cannot do, what two can, and
//! how a city that runs notices it and goes on.

use std::collections::BTreeMap;

use crate::town;
use crate::town::{NAMES, NOW, Order, Seeded, Town, Tree, VAULT, insert, lives, resident, seeded};
use usufruct_core::Digest;
use usufruct_vault::keeper::shamir::split;
use usufruct_vault::keeper::{Keeper, Share, commit_root};
use usufruct_vault::roots::{Link, RootSlots as _};
use usufruct_vault::{Epoch, Error, Key, KeyTree as _, Result};

/// A root of the thief's own, as the shares of it that the keepers would get.
struct Forged {
    epoch: Epoch,
    check: Digest,
    shares: Vec<Share>,
}

impl Forged {
    fn new(epoch: u64, rng: &Seeded) -> Self {
        let (epoch, root) = (Epoch(epoch), Key::random(rng));
        Self { epoch, check: commit_root(VAULT, epoch, &root), shares: split(&root, 2, 3, rng) }
    }

    fn prepare(&self, town: &Town, number: usize) -> Result<()> {
        Link::prepare(&*town.machines[number], VAULT, self.epoch, self.shares[number].copy(), self.check)
    }

    fn order(&self, town: &Town, number: usize) -> Result<()> {
        Link::keep_from(&*town.machines[number], VAULT, self.epoch, &self.check).map(drop)
    }
}

/// A city at epoch 2, in which residents 3 to 5 live.
fn settled() -> (Town, Seeded, Tree) {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..6).unwrap();
    for number in [1, 2] {
        tree.erase(&[resident(number)], &[], &rng).unwrap();
    }
    town.compare();
    (town, rng, tree)
}

fn says<T>(outcome: Result<T>, why: &str) {
    let error = outcome.err().expect(why).to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_share_alone_never_takes_the_place_of_one_that_counts() {
    let (town, rng, tree) = settled();
    drop(tree);
    let before: Vec<_> = (0..3).map(|number| (town.files(number), town.standing(number).held)).collect();
    for (number, known) in before.iter().enumerate() {
        says(Forged::new(2, &rng).prepare(&town, number), "it has signed for its share of epoch 2, and takes no other");
        let (mut share, check) = Link::share(&*town.machines[number], VAULT, Epoch(2)).unwrap();
        let again = |share: &Share| Link::prepare(&*town.machines[number], VAULT, Epoch(2), share.copy(), check);
        again(&share).unwrap();
        share.y[5] ^= 1;
        says(again(&share), "it has signed for its share of epoch 2, and takes no other");
        says(Forged::new(1, &rng).prepare(&town, number), "epoch 1 is destroyed");
        for epoch in [4, 5, 1 << 60, u64::MAX] {
            says(Forged::new(epoch, &rng).prepare(&town, number), "no other keeper says that it is so far");
        }
        assert_eq!((town.files(number), town.standing(number).held), *known, "nothing was written");
    }
    // What may follow is taken, and lies beside what counts, also when it is said to all of them and is the share of a whole root.
    let next = Forged::new(3, &rng);
    for (number, (files, held)) in before.iter().enumerate() {
        next.prepare(&town, number).unwrap();
        Forged::new(3, &rng).prepare(&town, number).unwrap();
        next.prepare(&town, number).unwrap();
        assert_eq!(town.files(number)["shares"][..2048], files["shares"][..2048], "the half of what counts");
        assert_eq!(town.standing(number).held, [&held[..], &[(Epoch(3), next.check)]].concat());
    }
    let tree = town.open().expect("the city starts");
    assert_eq!((lives(&tree), town.holders(Epoch(3))), (vec![3, 4, 5], 0));
    let erased = tree.erase(&[resident(3)], &[], &rng).unwrap();
    assert_eq!((erased.after.epoch, town.holders(Epoch(3))), (Epoch(3), 3));
    drop(tree);
    assert_eq!(lives(&town.open().unwrap()), [4, 5]);
}

#[test]
fn a_share_that_comes_between_a_root_and_its_order_is_not_signed_for() {
    let (town, rng, tree) = settled();
    drop(tree);
    // The city is about to erase: its root is put, and then the thief speaks to all of them.
    let roots = town.roots();
    roots.roots().unwrap();
    let root = usufruct_vault::roots::Root { epoch: Epoch(3), secret: Key::random(&rng) };
    let check = commit_root(VAULT, root.epoch, &root.secret);
    roots.put(&root, &rng).unwrap();
    let forged = Forged::new(3, &rng);
    for number in 0..3 {
        forged.prepare(&town, number).unwrap();
    }
    roots.keep_only(Epoch(3)).unwrap();
    for number in 0..3 {
        assert_eq!(town.standing(number).held, [(Epoch(3), check)], "the order names the root, and it is brought again");
    }
    assert_eq!(roots.statements(Epoch(3)).unwrap().len(), 3);
}

#[test]
fn an_order_that_names_another_root_destroys_nothing() {
    let (town, rng, tree) = settled();
    let forged = Forged::new(2, &rng);
    for number in 0..3 {
        let before = (town.files(number), town.standing(number));
        let orders: [Order; 2] = [Keeper::keep_only, Keeper::keep_from];
        for order in orders {
            let keeper = town.machines[number].keeper.lock().unwrap();
            let outcome = order(keeper.as_ref().unwrap(), VAULT, Epoch(2), &forged.check, NOW);
            says(outcome, "its share of epoch 2 is not of the root that the order names");
        }
        assert_eq!((town.files(number), town.standing(number)), before);
    }
    tree.erase(&[resident(3)], &[], &rng).unwrap();
}

#[test]
fn one_that_slept_is_brought_far_if_another_keeper_says_so() {
    let (town, rng, tree) = settled();
    town.net.down.lock().unwrap()[0] = true;
    for number in [3, 4] {
        tree.erase(&[resident(number)], &[], &rng).unwrap();
    }
    // It wakes, and hears nobody but the city.
    *town.net.down.lock().unwrap() = [false, true, true];
    assert_eq!(tree.roots().heal().unwrap(), 0);
    assert_eq!(town.standing(0).held.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [Epoch(2)]);
    // One that it hears is enough, and the third may be lost.
    *town.net.down.lock().unwrap() = [false, false, true];
    assert_eq!(tree.roots().heal().unwrap(), 2);
    assert_eq!((town.standing(0).counter, town.holders(Epoch(4))), (Epoch(4), 3));
    drop(tree);
    assert_eq!(lives(&town.open().expect("the two bring it back")), [5]);
}

#[test]
fn what_counts_and_was_not_signed_for_yet_is_not_overwritten_by_what_comes_after_the_next() {
    let (town, rng, tree) = settled();
    // The first keeper gets its share of epoch 3 and does not hear the order; the last one is lost.
    town.net.down.lock().unwrap()[2] = true;
    let calls = |number: usize| town.machines[number].calls.load(std::sync::atomic::Ordering::SeqCst);
    *town.machines[0].fault.lock().unwrap() = Some((calls(0) + 1, town::Fault::Down));
    assert!(tree.erase(&[resident(3)], &[], &rng).is_err(), "one signature is not enough");
    let check = town.standing(1).held[0].1;
    *town.net.down.lock().unwrap() = [false, false, true];
    let held = town.standing(0).held;
    assert_eq!((town.standing(0).counter, held.last()), (Epoch(2), Some(&(Epoch(3), check))));
    says(Forged::new(4, &rng).prepare(&town, 0), "its share of epoch 3 would be overwritten");
    assert_eq!(town.standing(0).held, held);
    // The city brings it up to date before it brings the next one.
    *town.machines[0].fault.lock().unwrap() = None;
    let erased = tree.erase(&[resident(4)], &[], &rng).unwrap();
    assert_eq!((town.standing(0).counter, town.standing(1).counter), (erased.after.epoch, erased.after.epoch));
}

#[test]
fn a_keeper_that_stops_between_two_writes_keeps_what_counts() {
    let (town, rng, tree) = settled();
    let before = town.files(0);
    assert_eq!(before["counter"], format!("2 signed {}\n", usufruct_core::hash::hex(&town.standing(0).held[0].1.0)).as_bytes());
    let next = Forged::new(3, &rng);
    next.prepare(&town, 0).unwrap();
    let both = town.files(0);
    next.order(&town, 0).unwrap();
    let after = town.files(0);
    let with = |files: &BTreeMap<String, Vec<u8>>, shares: Vec<u8>| {
        let mut files = files.clone();
        files.insert("shares".to_owned(), shares);
        files
    };
    // While the next share is written, anything may stand in its half: what counts is as it was.
    for torn in [1, 60, 100, 2047] {
        let shares = [&both["shares"][..2048], &both["shares"][2048..2048 + torn], &before["shares"][2048 + torn..]].concat();
        town.put_back(0, &with(&before, shares));
        let held = town.standing(0).held;
        assert_eq!(held[0].0, Epoch(2), "{torn}");
        says(Forged::new(2, &rng).prepare(&town, 0), "it has signed for its share of epoch 2");
        next.prepare(&town, 0).unwrap();
        assert_eq!(town.files(0)["shares"], both["shares"], "{torn}");
    }
    // The old share is overwritten, and the counter not yet raised. The order is repeated.
    for torn in [0, 60, 2048] {
        let shares = [&vec![0; torn][..], &both["shares"][torn..2048], &both["shares"][2048..]].concat();
        town.put_back(0, &with(&both, shares));
        assert_eq!(town.standing(0).counter, Epoch(2));
        next.prepare(&town, 0).unwrap();
        next.order(&town, 0).unwrap();
        assert_eq!(town.files(0), after, "{torn}");
    }
    // A counter that was written before it said what was signed for is read, and the next order completes it.
    town.put_back(0, &{
        let mut files = before.clone();
        files.insert("counter".to_owned(), b"2\n".to_vec());
        files
    });
    assert_eq!(town.standing(0).counter, Epoch(2));
    tree.roots().keep_only(Epoch(2)).unwrap();
    assert_eq!(town.files(0), before);
    // One that cannot be read is no reason to begin at 0.
    for text in ["2 signed", "2 signed 00", "2 kept 00", "two", ""] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("counter"), text).unwrap();
        let opened = usufruct_vault::keeper::KeeperFile::open(folder.path(), usufruct_vault::roots::Disk::Any);
        assert!(matches!(opened, Err(Error::Damaged { .. })), "{text}");
    }
}

#[test]
fn two_calls_to_each_end_a_stopped_city_and_one_that_runs_says_so_and_goes_on() {
    let (town, rng, tree) = settled();
    tree.heal().unwrap();
    let forged = Forged::new(3, &rng);
    // One keeper alone: the city says which, erases with the others, and the next epoch is everybody's again.
    forged.prepare(&town, 1).unwrap();
    forged.order(&town, 1).unwrap();
    let error = tree.heal().unwrap_err();
    assert!(matches!(&error, Error::Ahead { name, epoch: 3 } if name == NAMES[1]), "{error}");
    tree.erase(&[resident(3)], &[], &rng).unwrap();
    assert!(tree.heal().is_ok(), "it is at no later epoch than the city any more");
    assert_ne!(town.standing(1).held, town.standing(0).held);
    tree.erase(&[], &[], &rng).unwrap();
    assert_eq!(town.standing(1).held, town.standing(0).held);
    assert_eq!(lives(&town.open().unwrap()), [4, 5]);

    // All of them: nothing can be erased, and nothing is lost as long as the server runs.
    let forged = Forged::new(5, &rng);
    for number in 0..3 {
        forged.prepare(&town, number).unwrap();
        forged.order(&town, number).unwrap();
    }
    assert!(matches!(tree.heal(), Err(Error::Ahead { epoch: 5, .. })));
    let error = tree.erase(&[resident(4)], &[], &rng).unwrap_err();
    assert!(error.to_string().contains("it has signed for its share of epoch 5, and takes no other"), "{error}");
    assert!(town.open().is_err(), "a stopped one would not start any more");
    assert_eq!(lives(&tree), [4, 5]);
    // Keepers that begin again with an empty folder are brought their shares.
    for number in 0..3 {
        town.put_back(number, &BTreeMap::new());
    }
    tree.heal().unwrap();
    assert_eq!(lives(&town.open().unwrap()), [4, 5]);
    tree.erase(&[resident(4)], &[], &rng).unwrap();
    drop(tree);
    assert_eq!(lives(&town.open().unwrap()), [5]);
}
