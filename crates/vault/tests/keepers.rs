//! The root with three keepers: two lost ones, restored ones, lying ones, and one that is replaced. That one is lost or slow at a
//! message is in `keeper_faults.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::town;
use crate::town::{NAMES, NOW, Town, Tree, VAULT, insert, lives, resident, seeded};
use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_vault::keeper::{Keeper, Share};
use usufruct_vault::keytree::PageTree;
use usufruct_vault::roots::{Disk, FileRoots, KeeperRoots, Link, MovingRoots, RootSlots, Seat};
use usufruct_vault::{Epoch, Error, Key, KeyTree, SlotClass};

/// That it was refused, and why.
fn says<T>(outcome: usufruct_vault::Result<T>, why: &str) {
    let error = outcome.err().expect(why).to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn two_keepers_lost_stop_erasures_and_lose_nothing() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    for lost in [[true, true, false], [false, true, true], [true, false, true]] {
        let before = lives(&tree);
        *town.net.down.lock().unwrap() = lost;
        let error = tree.erase(&[resident(before[0])], &[], &rng).unwrap_err();
        assert!(matches!(error, Error::TooFewKeepers { needed: 2, .. }), "{error}");
        assert!(NAMES.iter().any(|name| error.to_string().contains(name)), "{error}");
        assert_eq!(lives(&tree), before, "readers go on");
        assert!(insert(&tree, &rng, 18..19).is_err(), "nothing is written while a root may be there that does not count");
        assert!(town.open().is_err());
        *town.net.down.lock().unwrap() = [false; 3];
        tree.erase(&[resident(before[0])], &[], &rng).unwrap();
        assert_eq!(lives(&tree), before[1..]);
        assert_eq!(town.holders(tree.state().epoch), 3);
    }
    assert_eq!(tree.class(), SlotClass::E3);
}

#[test]
fn a_keeper_restored_from_an_old_copy_gives_nothing_away() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    let old: Vec<_> = (0..3).map(|number| town.files(number)).collect();
    let old_pages = Arc::clone(&town.pages);
    for number in 1..4 {
        tree.erase(&[resident(number)], &[], &rng).unwrap();
    }
    drop((tree, old_pages));
    // One, and then two at once: the third is honest and answers them.
    for restored in [&[0][..], &[0, 1]] {
        for number in restored {
            town.put_back(*number, &old[*number]);
            let keeper = town.machines[*number].keeper.lock().unwrap();
            let error = keeper.as_ref().unwrap().share(VAULT, Epoch(0), &[0; 16], &[]).map(drop).unwrap_err();
            assert!(error.to_string().contains("may be an old copy"), "{error}");
        }
        town.compare();
        if restored.len() == 2 {
            // Each hears it from one alone, who might lie: it destroys nothing, and gives nothing.
            assert_eq!(town.holders(Epoch(0)), 2);
            for number in restored {
                let error = Link::share(&*town.machines[*number], VAULT, Epoch(0)).map(drop).unwrap_err();
                assert!(error.to_string().contains("archive says that it is at epoch 3"), "{error}");
            }
            assert!(town.open().is_err(), "two of three are lost, and so is the root");
            continue;
        }
        assert_eq!(town.holders(Epoch(0)), 0, "what is over is destroyed at once");
        for number in restored {
            let keeper = town.machines[*number].keeper.lock().unwrap();
            let keeper = keeper.as_ref().unwrap();
            assert_eq!(keeper.standing().counter, Epoch(3));
            says(keeper.share(VAULT, Epoch(0), &[0; 16], &[]), "no other keeper says where it stands");
            let check = Digest([0; 32]);
            says(keeper.keep_only(VAULT, Epoch(2), &check, NOW), "it stands at epoch 3 and never goes back to 2");
            says(keeper.keep_from(VAULT, Epoch(2), &check, NOW), "it stands at epoch 3 and never goes back to 2");
            let old = Share { x: 1, y: [0; 32] };
            says(keeper.prepare(VAULT, Epoch(2), old, Digest([0; 32])), "epoch 2 is destroyed, and it stands at 3");
        }
        let tree = town.open().expect("the other two bring the root back");
        tree.roots().heal().unwrap();
        assert_eq!(town.holders(Epoch(3)), 3);
    }
}

#[test]
fn of_two_roots_that_are_no_neighbours_the_older_one_goes_at_the_start() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    let old: Vec<_> = (0..3).map(|number| town.files(number)).collect();
    for number in 1..4 {
        tree.erase(&[resident(number)], &[], &rng).unwrap();
    }
    drop(tree);
    // Two keepers get back the half of epoch 0, beside that of epoch 3, and the counter of then. Nobody is left to tell them better:
    // the third one is away while they compare.
    let both = |number: usize| {
        let mut files = town.files(number);
        let shares = [&old[number]["shares"][..2048], &files["shares"][2048..]].concat();
        files.insert("shares".to_owned(), shares);
        match old[number].get("counter") {
            Some(counter) => files.insert("counter".to_owned(), counter.clone()),
            None => files.remove("counter"),
        };
        files
    };
    for number in [0, 1] {
        town.put_back(number, &both(number));
    }
    *town.machines[2].keeper.lock().unwrap() = None;
    town.compare();
    let alive = || [Epoch(0), Epoch(3)].map(|epoch| town.holders(epoch));
    assert_eq!(alive(), [2, 2]);
    assert_eq!(town.roots().roots().unwrap().iter().map(|root| root.epoch).collect::<Vec<_>>(), [Epoch(3), Epoch(0)]);
    let tree = town.open().unwrap();
    assert_eq!((alive(), tree.state().epoch), ([0, 2], Epoch(3)));
    assert_eq!(lives(&tree), (4..10).collect::<Vec<_>>());
    drop(tree);
    for number in [0, 1] {
        let keeper = town.machines[number].keeper.lock().unwrap();
        assert_eq!(keeper.as_ref().unwrap().standing().counter, Epoch(3));
        drop(keeper);
        town.put_back(number, &both(number));
    }
    // With the third keeper there they hear of it before the city asks.
    town.machines[2].start();
    town.compare();
    assert_eq!(town.roots().roots().unwrap().iter().map(|root| root.epoch).collect::<Vec<_>>(), [Epoch(3)]);
    town.open().unwrap();
    assert_eq!(alive(), [0, 3]);
}

#[test]
fn a_keeper_is_replaced() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    town.put_back(1, &BTreeMap::new());
    assert_eq!(town.holders(Epoch(1)), 2);
    assert_eq!(tree.roots().heal().unwrap(), 3);
    assert_eq!(town.holders(Epoch(1)), 3);
    // Any two of them do now, the new one among them.
    for lost in 0..3 {
        town.net.down.lock().unwrap()[lost] = true;
        town.compare();
        assert_eq!(lives(&town.open().unwrap()), (2..10).collect::<Vec<_>>());
        *town.net.down.lock().unwrap() = [false; 3];
    }
}

#[test]
fn a_share_of_a_root_that_never_counted_is_replaced() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..4).unwrap();
    let late = || {
        let share = Share { x: 3, y: [7; 32] };
        town.machines[2].keeper.lock().unwrap().as_ref().unwrap().prepare(VAULT, Epoch(1), share, Digest([7; 32]))
    };
    // A call that was given up long ago arrives at last: before the order, which is then about another root than it holds.
    town.net.down.lock().unwrap()[2] = true;
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    town.net.down.lock().unwrap()[2] = false;
    late().unwrap();
    assert_eq!(tree.roots().heal().unwrap(), 3);
    assert_eq!(town.standing(2).counter, Epoch(1));
    // After it, nothing is taken in the place of what was signed for.
    says(late(), "it has signed for its share of epoch 1, and takes no other");
    drop(tree);
    town.net.down.lock().unwrap()[0] = true;
    assert_eq!(lives(&town.open().expect("the other two are enough")), [2, 3]);
}

#[test]
fn a_place_where_a_root_was_is_told_from_an_empty_one() {
    let (town, rng) = (Town::new(), seeded(3));
    let is_founded = || town.roots().is_founded();
    assert!(!is_founded().unwrap());
    town.net.down.lock().unwrap()[1] = true;
    assert!(matches!(is_founded(), Err(Error::TooFewKeepers { done: 2, needed: 3, .. })), "one that is silent may hold one");
    *town.net.down.lock().unwrap() = [false; 3];
    // What a founding left that one keeper alone heard of is no root.
    let stray = Share { x: 1, y: [7; 32] };
    town.machines[0].keeper.lock().unwrap().as_ref().unwrap().prepare(VAULT, Epoch(0), stray, Digest([7; 32])).unwrap();
    assert!(!is_founded().unwrap());
    let tree = town.create(&rng);
    assert!(is_founded().unwrap());
    insert(&tree, &rng, 1..3).unwrap();
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    *town.net.down.lock().unwrap() = [true, true, false];
    assert!(is_founded().unwrap(), "the counter of one says it");
}

#[test]
fn a_root_moves_from_a_file_to_keepers() {
    let (town, rng) = (Town::new(), seeded(3));
    let folder = tempfile::tempdir().unwrap();
    let first = Tree::first_root(&rng);
    drop(FileRoots::create(folder.path(), &first, Disk::Any).unwrap());
    let file = || FileRoots::open(folder.path(), Disk::Any).unwrap();
    let tree = PageTree::create(Arc::clone(&town.pages), file(), &rng).unwrap();
    tree.insert(&[(resident(1), Key::random(&rng)), (resident(2), Key::random(&rng))], &rng).unwrap();
    drop(tree);
    let moving = || {
        let moving = MovingRoots::open(Box::new(file()), Box::new(town.roots()), &rng)?;
        PageTree::open(Arc::clone(&town.pages), moving)
    };
    // Too few keepers: it stays where it is.
    *town.net.down.lock().unwrap() = [true, true, false];
    assert!(moving().is_err());
    *town.net.down.lock().unwrap() = [false; 3];
    assert_eq!(file().roots().unwrap().len(), 1);
    let tree = moving().unwrap();
    assert_eq!(tree.class(), SlotClass::E3);
    tree.erase(&[], &[], &rng).unwrap();
    drop(tree);
    assert!(file().roots().is_err(), "the file holds nothing any more");
    assert_eq!(town.holders(Epoch(1)), 3);
    // Again, as after a crash before the set-up was written.
    drop(moving().unwrap());
    assert_eq!(lives(&town.open().unwrap()), [1, 2]);
}

#[test]
fn lies_are_noticed() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..4).unwrap();
    drop(tree);
    let keeper = |number: usize| town.machines[number].keeper.lock().unwrap();
    // A request for another tree.
    for order in [Keeper::keep_only, Keeper::keep_from] {
        let check = Digest([0; 32]);
        says(
            order(keeper(0).as_ref().unwrap(), "other.test/log", Epoch(0), &check, NOW),
            "it keeps the root of another key tree",
        );
    }
    let given = keeper(0).as_ref().unwrap().share("other.test/log", Epoch(0), &[0; 16], &[]);
    says(given, "it keeps the root of another key tree");
    // A keeper whose share was changed is left out, and the others are enough.
    let change = |number: usize| {
        let mut files = town.files(number);
        let shares = files.get_mut("shares").unwrap();
        shares[60] ^= 1;
        let sum = sha256(&shares[..88]);
        shares[88..120].copy_from_slice(&sum.0);
        town.put_back(number, &files);
    };
    change(2);
    assert_eq!(lives(&town.open().unwrap()), [1, 2, 3]);
    // Two of them leave nothing that fits.
    change(1);
    assert!(town.open().err().unwrap().to_string().contains("do not fit together"));

    // A signature by another key.
    let seats = (0..3)
        .map(|number| Seat {
            name: NAMES[number].to_owned(),
            public: town.machines[(number + 1) % 3].public(),
            link: Arc::clone(&town.machines[number]),
        })
        .collect();
    change(1);
    let roots = KeeperRoots::new(VAULT, 2, seats).unwrap();
    let error = roots.keep_only(Epoch(0)).unwrap_err();
    assert!(error.to_string().contains("not by its key"), "{error}");

    // Answers to another question, by a stranger, or about another tree do not make a keeper fresh.
    let files = town.files(0);
    town.put_back(0, &files);
    let nonce = [7; 16];
    let good = keeper(1).as_ref().unwrap().tell_counter(&nonce);
    let mut raised = good.clone();
    raised.counter = 99;
    let other_nonce = keeper(1).as_ref().unwrap().tell_counter(&[0; 16]);
    let own = keeper(0).as_ref().unwrap().tell_counter(&nonce);
    let mut stranger = good.clone();
    stranger.keeper = "stranger".to_owned();
    assert_eq!(keeper(0).as_ref().unwrap().compare(&nonce, &[raised, other_nonce, own, stranger]).unwrap(), 0);
    assert!(!keeper(0).as_ref().unwrap().standing().is_fresh);
    assert_eq!(keeper(0).as_ref().unwrap().compare(&nonce, &[good]).unwrap(), 1);
    assert!(keeper(0).as_ref().unwrap().standing().is_fresh);
}

#[test]
fn a_liar_at_the_start_destroys_nothing_and_raises_nobody() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..4).unwrap();
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    drop(tree);
    *town.net.liar.lock().unwrap() = Some((2, 1 << 60));
    for number in [1, 0, 1] {
        town.put_back(number, &town.files(number));
        town.machines[number].compare();
    }
    for number in [0, 1] {
        let standing = town.standing(number);
        assert_eq!((standing.counter, standing.told), (Epoch(1), Epoch(1 << 60)), "one keeper's word raises no counter");
        assert_eq!(standing.held.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [Epoch(1)], "nor does it destroy a share");
    }
    // They cannot tell a lie from the truth, so they give nothing as long as they hear it, and say who says it.
    let error = town.open().err().unwrap().to_string();
    assert!(error.contains("archive says that it is at epoch 1152921504606846976"), "{error}");
    assert_eq!(town.standing(0).counter, Epoch(1));
    // Once it is dropped from the roster, or says what is so, everything is as it was.
    *town.net.liar.lock().unwrap() = None;
    let tree = town.open().expect("nothing is lost");
    assert_eq!(lives(&tree), [2, 3]);
    tree.erase(&[resident(2)], &[], &rng).unwrap();
    assert_eq!(town.holders(Epoch(2)), 3);
}

#[test]
fn a_liar_stops_neither_erasures_nor_healing_nor_certificates() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..6).unwrap();
    for (liar, name_of_liar) in NAMES.into_iter().enumerate() {
        for lie in [0, 1, 1 << 60] {
            *town.net.liar.lock().unwrap() = Some((liar, lie));
            town.compare();
            let id = Key::random(&rng);
            tree.insert(&[(resident(19), id)], &rng).unwrap();
            let erased = tree.erase(&[resident(19)], &[], &rng).unwrap();
            let epoch = erased.after.epoch;
            let signed = tree.statements().unwrap();
            let names: Vec<&str> = signed.iter().map(|signed| &*signed.keeper).collect();
            let honest: Vec<&str> = ["archive", "city", "court"].into_iter().filter(|name| *name != name_of_liar).collect();
            assert!(signed.iter().all(|signed| signed.epoch == epoch.0), "what stands in a certificate is what was asked");
            assert_eq!(names.iter().filter(|name| **name != name_of_liar).copied().collect::<Vec<_>>(), honest);
            // An honest one that lost everything is healed beside the liar.
            let other = (liar + 1) % 3;
            town.put_back(other, &BTreeMap::new());
            tree.roots().heal().unwrap();
            assert_eq!(town.standing(other).held.iter().map(|(held, _)| *held).collect::<Vec<_>>(), [epoch]);
            assert_eq!(town.standing(other).counter, epoch);
            // So is the liar, once it is none.
            *town.net.liar.lock().unwrap() = None;
            tree.roots().heal().unwrap();
            assert_eq!(town.holders(epoch), 3);
        }
    }
    drop(tree);
    assert_eq!(lives(&town.open().unwrap()), (1..6).collect::<Vec<_>>());
}

#[test]
fn one_that_slept_gives_nothing_of_the_old_root_while_it_hears_one_that_did_not() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..4).unwrap();
    town.compare();
    let old = town.files(0);
    // The archive sleeps through an erasure, and was fresh before.
    town.net.down.lock().unwrap()[2] = true;
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    drop(tree);
    *town.net.down.lock().unwrap() = [false; 3];
    assert!(town.standing(2).is_fresh);
    // The first keeper is dishonest, and puts its old share back.
    town.put_back(0, &old);
    *town.machines[0].keeper.lock().unwrap() = None;
    let error = Link::share(&*town.machines[2], VAULT, Epoch(0)).map(drop).unwrap_err();
    assert!(error.to_string().contains("court says that it is at epoch 1"), "{error}");
    // Also when the one that told it is cut off afterwards.
    town.net.down.lock().unwrap()[1] = true;
    town.machines[0].start();
    let error = Link::share(&*town.machines[2], VAULT, Epoch(0)).map(drop).unwrap_err();
    assert!(error.to_string().contains("court says that it is at epoch 1"), "{error}");
    // And a share is given to nobody while no other keeper answers.
    *town.net.down.lock().unwrap() = [true, false, true];
    let error = Link::share(&*town.machines[1], VAULT, Epoch(1)).map(drop).unwrap_err();
    assert!(error.to_string().contains("no other keeper says where it stands"), "{error}");
}

#[test]
fn one_that_slept_through_the_end_alone_is_told_of_it() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..4).unwrap();
    let before = town.files(2);
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    // It has both shares, as when it got the new one and heard no more.
    let mut both = town.files(2);
    both.insert("shares".to_owned(), [&before["shares"][..2048], &both["shares"][2048..]].concat());
    both.remove("counter");
    town.put_back(2, &both);
    assert_eq!(town.standing(2).held.len(), 2);
    tree.roots().heal().unwrap();
    assert_eq!((town.holders(Epoch(0)), town.standing(2).counter), (0, Epoch(1)));
}

#[test]
fn too_few_keepers_are_no_keepers() {
    let town = Town::new();
    let seats = |count: usize| {
        town.machines.iter().take(count).map(|machine| Seat {
            name: NAMES[machine.number].to_owned(),
            public: machine.public(),
            link: Arc::clone(machine),
        })
    };
    for (threshold, count) in [(0, 3), (1, 3), (1, 1), (3, 2), (4, 3)] {
        assert!(KeeperRoots::new(VAULT, threshold, seats(count).collect()).is_err(), "{threshold} of {count}");
    }
    assert!(KeeperRoots::new(VAULT, 2, seats(2).collect()).is_ok());
}

#[test]
fn an_order_about_an_epoch_that_a_keeper_was_not_given_destroys_nothing() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    tree.erase(&[resident(1)], &[], &rng).unwrap();
    // Somebody has the key by which keepers know the city, and says one word to each of them.
    for number in 0..3 {
        let before = (town.files(number), town.standing(number));
        for order in [Keeper::keep_only, Keeper::keep_from] {
            for epoch in [2, 9_000_000_000_000_000_000, u64::MAX] {
                let keeper = town.machines[number].keeper.lock().unwrap();
                let check = Digest([0; 32]);
                let error = order(keeper.as_ref().unwrap(), VAULT, Epoch(epoch), &check, NOW).unwrap_err().to_string();
                assert!(error.contains(&format!("it holds no share of epoch {epoch}")), "{error}");
            }
        }
        assert_eq!((town.files(number), town.standing(number)), before, "nothing is overwritten, and no counter raised");
    }
    tree.erase(&[resident(2)], &[], &rng).unwrap();
    drop(tree);
    assert_eq!(lives(&town.open().unwrap()), (3..10).collect::<Vec<_>>());
}

#[test]
fn a_keeper_that_missed_its_share_gets_it_with_the_order_that_ends_the_old_one() {
    let (town, rng) = (Town::new(), seeded(3));
    let tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    for (erased, missing) in (1..4).zip(0..3) {
        // The share is lost on its way; the next call arrives.
        let machine = &town.machines[missing];
        let calls = machine.calls.load(std::sync::atomic::Ordering::SeqCst);
        *machine.fault.lock().unwrap() = Some((calls, town::Fault::Lost));
        let epoch = tree.erase(&[resident(erased)], &[], &rng).unwrap().after.epoch;
        assert_eq!((town.holders(epoch), town.standing(missing).counter), (3, epoch));
        assert_eq!(tree.statements().unwrap().len(), 3, "it has signed with the others");
        assert_eq!(town.recoverable().into_iter().collect::<Vec<_>>(), [epoch]);
    }
}
