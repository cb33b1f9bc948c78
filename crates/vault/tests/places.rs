//! Files that are overwritten where they lie: a link is not one, another disk is not theirs, and one that was moved away is missed.

use std::os::unix::fs::symlink;
use std::path::Path;

use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::ports::Rng;
use usufruct_vault::escrow::{EscrowFile, EscrowPlace as _, OfficerFile};
use usufruct_vault::keeper::{Keeper, KeeperFile, Share};
use usufruct_vault::roots::{Disk, FileRoots, Root, RootSlots as _};
use usufruct_vault::{Epoch, Key, Result};

struct Fixed;

impl Rng for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        for (number, chunk) in bytes.chunks_mut(32).enumerate() {
            chunk.copy_from_slice(&sha256(&[number as u8]).0[..chunk.len()]);
        }
    }
}

type Open = fn(&Path) -> Result<()>;

/// Each file that is overwritten in place: its name, and how it is made or opened.
const FILES: [(&str, Open, Open); 4] = [
    (
        "root",
        |folder| FileRoots::create(folder, &Root { epoch: Epoch(0), secret: Key::random(&Fixed) }, Disk::Any).map(drop),
        |folder| FileRoots::open(folder, Disk::Any).map(drop),
    ),
    ("shares", |folder| KeeperFile::open(folder, Disk::Any).map(drop), |folder| KeeperFile::open(folder, Disk::Any).map(drop)),
    ("escrow", |folder| EscrowFile::open(folder, Disk::Any).map(drop), |folder| EscrowFile::open(folder, Disk::Any).map(drop)),
    (
        "key",
        |folder| OfficerFile::create(folder, "chief", 3, Disk::Any, &Fixed).map(drop),
        |folder| OfficerFile::open(folder, Disk::Any).map(drop),
    ),
];

#[test]
fn a_link_in_the_place_of_a_file_is_refused() {
    for (name, make, open) in FILES {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make(folder.path()).unwrap();
        let (file, elsewhere) = (folder.path().join(name), other.path().join(name));
        std::fs::copy(&file, &elsewhere).unwrap();
        std::fs::remove_file(&file).unwrap();
        symlink(&elsewhere, &file).unwrap();
        let before = std::fs::read(&elsewhere).unwrap();
        let error = open(folder.path()).expect_err(name).to_string();
        assert!(error.contains("is a symbolic link"), "{name}: {error}");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), before, "{name}");
        // Nor is one taken that leads nowhere.
        std::fs::remove_file(&elsewhere).unwrap();
        let error = open(folder.path()).expect_err(name).to_string();
        assert!(error.contains("is a symbolic link") && !elsewhere.exists(), "{name}: {error}");
    }
}

#[test]
fn a_secret_is_not_written_through_a_link_that_waits_for_it() {
    for (name, make, _) in [&FILES[0], &FILES[3]] {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let caught = other.path().join("caught");
        symlink(&caught, folder.path().join(format!("{name}.new"))).unwrap();
        let outcome = make(folder.path());
        assert!(!caught.exists(), "{name} was written elsewhere");
        assert!(outcome.expect_err(name).to_string().contains("is a symbolic link"));
    }
}

#[test]
fn a_file_that_was_moved_away_is_missed() {
    let moved = |name: &str, folder: &Path| {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        (aside.join(name), aside)
    };
    let dir = tempfile::tempdir().unwrap();
    let is_missed = |error: usufruct_vault::Error| {
        let said = error.to_string();
        assert!(said.contains("not where it was opened"), "{said}");
    };

    let folder = dir.path().join("city");
    let first = Root { epoch: Epoch(0), secret: Key::random(&Fixed) };
    let roots = FileRoots::create(&folder, &first, Disk::Any).unwrap();
    let (file, aside) = moved("root", &folder);
    let before = std::fs::read(&file).unwrap();
    is_missed(roots.put(&Root { epoch: Epoch(1), secret: Key::random(&Fixed) }, &Fixed).unwrap_err());
    is_missed(roots.keep_only(Epoch(0)).unwrap_err());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    std::fs::rename(aside, &folder).unwrap();
    roots.put(&Root { epoch: Epoch(1), secret: Key::random(&Fixed) }, &Fixed).expect("it is back");

    let folder = dir.path().join("safe");
    let escrow = EscrowFile::open(&folder, Disk::Any).unwrap();
    assert!(escrow.is_there());
    let (file, _) = moved("escrow", &folder);
    assert!(!escrow.is_there());
    is_missed(escrow.write(0, &[7; 4_096]).unwrap_err());
    is_missed(escrow.read().unwrap_err());
    assert!(std::fs::read(&file).unwrap().iter().all(|byte| *byte == 0));
    // Another file in its place is not the one that was opened.
    drop(EscrowFile::open(&folder, Disk::Any).unwrap());
    is_missed(escrow.write(0, &[7; 4_096]).unwrap_err());
    assert!(!escrow.is_there());

    let folder = dir.path().join("keeper");
    let file = KeeperFile::open(&folder, Disk::Any).unwrap();
    let keeper = Keeper::new("city.test/log", "court", &[1; 32], Vec::new(), 2, file).unwrap();
    moved("shares", &folder);
    is_missed(keeper.prepare("city.test/log", Epoch(0), Share { x: 1, y: [7; 32] }, Digest([7; 32])).unwrap_err());
}
