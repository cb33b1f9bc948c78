//! How the tree grows, on a real file.

use super::{Model, check, insert};
use crate::error::Error;
use crate::keytree::{PageFile, PageTree};
use crate::roots::{Disk, FileRoots, RootSlots};
use crate::testing::{Folder, Seeded};
use crate::tree::{Epoch, KeyId, KeyTree};

type Tree = PageTree<PageFile, FileRoots>;

fn create(folder: &Folder, rng: &Seeded) -> Tree {
    let roots = FileRoots::create(folder.path(), &Tree::first_root(rng), Disk::Any).unwrap();
    PageTree::create(PageFile::open(folder.path()).unwrap(), roots, rng).unwrap()
}

fn open(folder: &Folder) -> Result<Tree, Error> {
    PageTree::open(PageFile::open(folder.path())?, FileRoots::open(folder.path(), Disk::Any)?)
}

fn pages(folder: &Folder) -> u64 {
    std::fs::metadata(folder.path().join("pages")).unwrap().len() / 4096
}

#[test]
fn residents_one_by_one_and_in_crowds() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let mut tree = create(&folder, &rng);
    let mut model = Model::new();
    for count in [1, 1, 125, 1, 1, 200, 15_799, 1, 1, 1, 33_000, 5] {
        let first = tree.reserve(count);
        let ids: Vec<KeyId> = (first..first + count).map(KeyId::Resident).collect();
        insert(&tree, &mut model, &ids, &rng);
        assert!(matches!(tree.insert(&[(ids[0], crate::Key::random(&rng))], &rng), Err(Error::Exists { noun: "resident" })));
        drop(tree);
        tree = open(&folder).unwrap();
        assert_eq!(tree.count(), model.len() as u64);
    }
    check(&tree, &model, &[KeyId::Resident(0), KeyId::Resident(model.len() as u64 + 1), KeyId::Resident(u64::MAX)]);
    assert_eq!(tree.reserve(1), model.len() as u64 + 1, "numbers are never used again");
    // Every third resident goes, all in one commit, and the room is used again.
    let gone: Vec<KeyId> = model.keys().copied().step_by(3).collect();
    let size = pages(&folder);
    tree.erase(&gone, &[], &rng).unwrap();
    model.retain(|id, _| !gone.contains(id));
    check(&tree, &model, &gone);
    let grown = pages(&folder);
    assert!(grown > size);
    for id in model.keys().copied().take(20).collect::<Vec<_>>() {
        tree.erase(&[id], &[], &rng).unwrap();
        model.remove(&id);
    }
    assert_eq!(pages(&folder), grown, "pages that were replaced give their room back");
    drop(tree);
    check(&open(&folder).unwrap(), &model, &gone);
}

#[test]
fn a_city_takes_the_bytes_it_should() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let tree = create(&folder, &rng);
    for _ in 0..20 {
        let first = tree.reserve(5_000);
        insert(&tree, &mut Model::new(), &(first..first + 5_000).map(KeyId::Resident).collect::<Vec<_>>(), &rng);
    }
    drop(tree);
    let bytes = pages(&folder) as f64 * 4096. / 100_000.;
    // A batch is written beside what it replaces, which costs some pages once.
    assert!(bytes < 37., "{bytes} bytes per resident");
}

#[test]
fn one_process_holds_the_tree_and_none_makes_it_twice() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let tree = create(&folder, &rng);
    assert!(matches!(PageFile::open(folder.path()), Err(Error::Locked)));
    assert!(matches!(FileRoots::open(folder.path(), Disk::Any), Err(Error::Locked)));
    assert!(matches!(FileRoots::create(folder.path(), &Tree::first_root(&rng), Disk::Any), Err(Error::FolderTaken)));
    drop(tree);
    let roots = FileRoots::open(folder.path(), Disk::Any).unwrap();
    assert_eq!(roots.roots().unwrap().len(), 1);
    assert!(matches!(PageTree::create(PageFile::open(folder.path()).unwrap(), roots, &rng), Err(Error::FolderTaken)));
}

#[test]
fn a_root_set_back_is_refused() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let tree = create(&folder, &rng);
    insert(&tree, &mut Model::new(), &[KeyId::Mandate(1), KeyId::Mandate(2)], &rng);
    let path = folder.path().join("root");
    let old = std::fs::read(&path).unwrap();
    tree.erase(&[KeyId::Mandate(1)], &[], &rng).unwrap();
    drop(tree);
    let current = std::fs::read(&path).unwrap();
    std::fs::write(&path, &old).unwrap();
    assert!(matches!(open(&folder), Err(Error::Damaged { .. })));
    // Two roots alive: the older one goes before anything is served.
    let both: Vec<u8> = old.iter().zip(&current).map(|(old, new)| old | new).collect();
    std::fs::write(&path, &both).unwrap();
    assert_eq!(open(&folder).unwrap().count(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), current);
    for at in 0..80 {
        let mut bad = current.clone();
        let half = if current[..2048].iter().all(|byte| *byte == 0) { 2048 } else { 0 };
        bad[half + at] ^= 4;
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(open(&folder), Err(Error::Damaged { .. })), "{at}");
    }
}

#[test]
fn of_two_roots_that_are_no_neighbours_the_older_one_goes_at_the_start() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let (tree, mut model) = (create(&folder, &rng), Model::new());
    let ids: Vec<KeyId> = (0..6).map(KeyId::Resident).collect();
    insert(&tree, &mut model, &ids, &rng);
    let (root, pages) = (folder.path().join("root"), folder.path().join("pages"));
    let (old_root, old_pages) = (std::fs::read(&root).unwrap(), std::fs::read(&pages).unwrap());
    for id in &ids[..3] {
        tree.erase(&[*id], &[], &rng).unwrap();
        model.remove(id);
    }
    drop(tree);
    let (current, current_pages) = (std::fs::read(&root).unwrap(), std::fs::read(&pages).unwrap());
    // Epoch 0 stands in one half, epoch 3 in the other.
    let both = [&old_root[..2048], &current[2048..]].concat();
    let epochs = || FileRoots::epochs(folder.path()).unwrap();
    std::fs::write(&root, &both).unwrap();
    assert_eq!(epochs(), [Epoch(3), Epoch(0)]);
    let tree = open(&folder).unwrap();
    assert_eq!((epochs(), tree.state().epoch), (vec![Epoch(3)], Epoch(3)));
    assert_eq!(std::fs::read(&root).unwrap(), current);
    check(&tree, &model, &ids);
    drop(tree);
    // With the pages of then the old root would bring back what was erased, and the newer one would be what goes.
    std::fs::write(&root, &both).unwrap();
    std::fs::write(&pages, &old_pages).unwrap();
    assert!(matches!(open(&folder), Err(Error::Damaged { .. })));
    assert_eq!(epochs(), [Epoch(3), Epoch(0)], "the root that counts is not what was destroyed");
    // With its own pages the newer root still opens, and the older one goes.
    std::fs::write(&pages, &current_pages).unwrap();
    check(&open(&folder).unwrap(), &model, &ids);
    assert_eq!(std::fs::read(&root).unwrap(), current);
}
