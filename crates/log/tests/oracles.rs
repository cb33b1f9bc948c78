//! Other people's implementations of the same formats as judges of ours: `ct-merkle`, `tlog_tiles` and `signed_note`.
//! What we make they take, what they make we take, and what is damaged finds the same verdict.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;
use signed_note::{Signer as _, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{TileReader, tlog};
use usufruct_log::merkle::{verify_consistency, verify_inclusion};
use usufruct_log::tile::Kind;
use usufruct_log::{
    Checkpoint, Ed25519Signer, Frontier, Hash, Memory, MemoryHead, Note, Objects, Publisher, Signer, Tile, VerifierKey,
    checkpoint, empty_root, leaf_hash, node_hash, proof,
};

const ORIGIN: &str = "example.org/log";

fn leaf(index: u64) -> Vec<u8> {
    index.to_be_bytes()[..(index % 9) as usize].to_vec()
}

/// The same leaves in three trees.
struct Trees {
    hashes: Vec<Hash>,
    theirs: MemoryBackedTree<Sha256, Vec<u8>>,
    stored: Stored,
}

/// The hashes of `tlog_tiles` in its own order of storage.
#[derive(Default)]
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl proof::HashReader for Trees {
    fn read(&self, level: u32, index: u64) -> usufruct_log::Result<Hash> {
        let mut frontier = Frontier::new();
        self.hashes[(index << level) as usize..((index + 1) << level) as usize].iter().for_each(|hash| frontier.append(*hash));
        Ok(frontier.root())
    }
}

impl Trees {
    fn of(size: u64) -> Self {
        let mut trees = Self { hashes: Vec::new(), theirs: MemoryBackedTree::new(), stored: Stored::default() };
        for index in 0..size {
            trees.hashes.push(leaf_hash(&leaf(index)));
            trees.theirs.push(leaf(index));
            let hashes = tlog::stored_hashes(index, &leaf(index), &trees.stored).unwrap();
            trees.stored.0.extend(hashes);
        }
        trees
    }

    fn root(&self, size: u64) -> Hash {
        proof::root(self, size).unwrap()
    }
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn tlog_hashes(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().map(|hash| tlog::Hash(hash.0)).collect()
}

fn their_root(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(root.0.into(), size)
}

/// The verdicts on an inclusion proof: ours, of `ct-merkle`, of `tlog_tiles`.
fn inclusion_verdicts(index: u64, size: u64, entry: &[u8], path: &[Hash], root: &Hash) -> [bool; 3] {
    let ct = their_root(root, size).verify_inclusion(&entry, index, &InclusionProof::from_bytes(bytes(path)));
    let tiles = tlog::check_record(&tlog_hashes(path), size, tlog::Hash(root.0), index, tlog::record_hash(entry));
    [verify_inclusion(index, size, &leaf_hash(entry), path, root).is_ok(), ct.is_ok(), tiles.is_ok()]
}

/// The same for a consistency proof.
fn consistency_verdicts(old: u64, new: u64, path: &[Hash], old_root: &Hash, new_root: &Hash) -> [bool; 3] {
    let ct = ConsistencyProof::try_from_bytes(bytes(path))
        .and_then(|path| their_root(new_root, new).verify_consistency(&their_root(old_root, old), &path));
    let tiles = tlog::check_tree(&tlog_hashes(path), new, tlog::Hash(new_root.0), old, tlog::Hash(old_root.0));
    [verify_consistency(old, new, path, old_root, new_root).is_ok(), ct.is_ok(), tiles.is_ok()]
}

#[test]
fn all_proofs_of_small_trees_are_the_same_byte_for_byte() {
    let most = 33;
    let trees = Trees::of(most);
    for size in 1..=most {
        let prefix = Trees::of(size);
        let root = trees.root(size);
        assert_eq!(prefix.theirs.root().as_bytes().as_slice(), root.0);
        assert_eq!(tlog::tree_hash(size, &trees.stored).unwrap().0, root.0);
        for index in 0..size {
            let path = proof::inclusion(&trees, index, size).unwrap();
            assert_eq!(prefix.theirs.prove_inclusion(index as usize).as_bytes(), bytes(&path));
            assert_eq!(tlog::prove_record(size, index, &trees.stored).unwrap(), tlog_hashes(&path));
            assert_eq!(inclusion_verdicts(index, size, &leaf(index), &path, &root), [true; 3]);
        }
        for old in 1..=size {
            let path = proof::consistency(&trees, old, size).unwrap();
            assert_eq!(prefix.theirs.prove_consistency((size - old) as usize).as_bytes(), bytes(&path));
            assert_eq!(tlog::prove_tree(size, old, &trees.stored).unwrap(), tlog_hashes(&path));
            assert_eq!(consistency_verdicts(old, size, &path, &trees.root(old), &root), [true; 3]);
        }
    }
    assert_eq!(tlog::tree_hash(0, &trees.stored).unwrap().0, empty_root().0);
}

fn three_hundred() -> &'static Trees {
    static TREES: OnceLock<Trees> = OnceLock::new();
    TREES.get_or_init(|| Trees::of(300))
}

#[derive(Debug, Clone)]
enum Damage {
    Drop(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index),
    None,
    Repeat(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        at().prop_map(Damage::Drop),
        (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        at().prop_map(Damage::Insert),
        Just(Damage::None),
        at().prop_map(Damage::Repeat),
        (at(), at()).prop_map(|(one, two)| Damage::Swap(one, two)),
    ]
}

impl Damage {
    fn apply(&self, path: &mut Vec<Hash>) {
        let length = path.len();
        match self {
            Self::Insert(at) => path.insert(at.index(length + 1), empty_root()),
            _ if length == 0 => {}
            Self::Drop(at) => drop(path.remove(at.index(length))),
            Self::Flip(at, bit) => path[at.index(length)].0[usize::from(bit / 8)] ^= 1 << (bit % 8),
            Self::None => {}
            Self::Repeat(at) => path.insert(at.index(length), path[at.index(length)]),
            Self::Swap(one, two) => path.swap(one.index(length), two.index(length)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_inclusion_proofs_find_one_verdict(
        size in 1u64..=300, index: prop::sample::Index, claimed in 0u64..310, claimed_size in 1u64..=310, damage in damage(), honest in 0..4u8,
    ) {
        let trees = three_hundred();
        let index = index.index(size as usize) as u64;
        let mut path = proof::inclusion(trees, index, size).unwrap();
        damage.apply(&mut path);
        // Half of the time the position is the right one, half of the time the size is.
        let (claimed, claimed_size) = (if honest & 1 == 0 { index } else { claimed }, if honest & 2 == 0 { size } else { claimed_size });
        let [ours, ct, tiles] = inclusion_verdicts(claimed, claimed_size, &leaf(index), &path, &trees.root(size));
        prop_assert_eq!((ours, ours), (ct, tiles));
        if let (Damage::None, 0) = (&damage, honest) {
            prop_assert!(ours);
        }
    }

    #[test]
    fn damaged_consistency_proofs_find_one_verdict(
        new in 1u64..=300, old: prop::sample::Index, claimed in 1u64..310, claimed_new in 1u64..=310, damage in damage(), honest in 0..4u8,
    ) {
        let trees = three_hundred();
        let old = old.index(new as usize) as u64 + 1;
        let mut path = proof::consistency(trees, old, new).unwrap();
        damage.apply(&mut path);
        let (claimed, claimed_new) = (if honest & 1 == 0 { old } else { claimed }, if honest & 2 == 0 { new } else { claimed_new });
        let [ours, ct, tiles] = consistency_verdicts(claimed, claimed_new, &path, &trees.root(old), &trees.root(new));
        prop_assert_eq!((ours, ours), (ct, tiles));
        if let (Damage::None, 0) = (&damage, honest) {
            prop_assert!(ours);
        }
    }
}

/// Any two published sizes are consistent, and every entry is provable in every later size: all of them, for all sizes.
#[test]
fn every_published_size_agrees_with_every_later_one() {
    let (objects, head) = (Memory::default(), MemoryHead::default());
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let key = signer.verifier_key().verifier().unwrap();
    let mut publisher = Publisher::open(&objects, head, vec![Box::new(signer)], ORIGIN, None).unwrap();
    let sizes = [1, 2, 3, 7, 31, 255, 256, 257, 300, 511, 513];
    let mut roots = Vec::new();
    for size in sizes {
        let from = publisher.size().unwrap();
        publisher.publish((from..size).map(|index| (index, leaf(index))), 1).unwrap();
        let (current, _) = checkpoint::fetch(&objects, ORIGIN, &[&key]).unwrap();
        roots.push(*current.root());
        let hashes = usufruct_log::TileHashes::new(&objects, size);
        for (old, old_root) in sizes.iter().zip(&roots) {
            let path = proof::consistency(&hashes, *old, size).unwrap();
            assert_eq!(consistency_verdicts(*old, size, &path, old_root, current.root()), [true; 3], "{old} to {size}");
        }
        for index in 0..size {
            let path = proof::inclusion(&hashes, index, size).unwrap();
            assert_eq!(inclusion_verdicts(index, size, &leaf(index), &path, current.root()), [true; 3], "{index} in {size}");
        }
    }
}

/// A published log as `tlog_tiles` reads it, without any partial tile that a full one has replaced.
struct Served<'a> {
    objects: &'a Memory,
    deleted: BTreeSet<String>,
}

impl TileReader for Served<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let bytes = (!self.deleted.contains(&path)).then(|| Objects::fetch(self.objects, &path).unwrap()).flatten();
            let full = || Objects::fetch(self.objects, &path[..path.find(".p/")?]).unwrap();
            let mut bytes = bytes.or_else(full).unwrap_or_else(|| panic!("{path} is not served"));
            bytes.truncate(tile.width() as usize * 32);
            bytes
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn a_published_log_is_read_by_the_other_reader_at_all_sizes() {
    let objects = Memory::default();
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let mut publisher = Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], ORIGIN, None).unwrap();
    let sizes = [1, 255, 256, 257, 65_536, 70_000];
    let mut heads = Vec::new();
    for size in sizes {
        let from = publisher.size().unwrap();
        let head = publisher.publish((from..size).map(|index| (index, leaf(index))), 1).unwrap();
        heads.push((size, head.root));
    }
    let partials = objects.paths().into_iter().filter(|path| {
        let full = path.split_once(".p/").map(|(full, _)| full);
        full.is_some_and(|full| objects.paths().contains(full))
    });
    let served = Served { deleted: partials.collect(), objects: &objects };
    assert_eq!(served.deleted.len(), 7);
    for (size, root) in &heads {
        let reader = tlog_tiles::TileHashReader::new(*size, tlog::Hash(root.0), &served);
        assert_eq!(tlog::tree_hash(*size, &reader).unwrap().0, root.0);
        for index in [0, size / 2, size - 1] {
            let path = tlog::prove_record(*size, index, &reader).unwrap();
            let ours: Vec<Hash> = path.iter().map(|hash| Hash(hash.0)).collect();
            verify_inclusion(index, *size, &leaf_hash(&leaf(index)), &ours, root).unwrap();
        }
        for (old, old_root) in heads.iter().filter(|(old, _)| old <= size) {
            let path = tlog::prove_tree(*size, *old, &reader).unwrap();
            let ours: Vec<Hash> = path.iter().map(|hash| Hash(hash.0)).collect();
            verify_consistency(*old, *size, &ours, old_root, root).unwrap();
        }
    }
}

/// Our spelling of a path of theirs: they name the height and call bundles data.
fn our_path(tile: &tlog_tiles::Tile) -> String {
    tile.path().replacen("tile/8/data/", "tile/entries/", 1).replacen("tile/8/", "tile/", 1)
}

/// Reads our spelling with their parser.
fn their_tile(path: &str) -> Option<tlog_tiles::Tile> {
    let path = match path.strip_prefix("tile/entries/") {
        Some(rest) => format!("tile/8/data/{rest}"),
        None => format!("tile/8/{}", path.strip_prefix("tile/")?),
    };
    tlog_tiles::Tile::from_path(&path).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn tiles_have_one_path(level in 0u8..=63, entries: bool, index: u64, shift in 0u32..64, width in 1u16..=256) {
        let index = index >> shift;
        let kind = if entries { Kind::Entries } else { Kind::Hashes(level) };
        let ours = Tile::new(kind, index, width).unwrap();
        let theirs = tlog_tiles::Tile::new(8, if entries { 0 } else { level }, index, width.into(), entries);
        prop_assert_eq!(ours.to_string(), our_path(&theirs));
        prop_assert_eq!(their_tile(&ours.to_string()), Some(theirs));
    }

    // Their parser panics at a level of 64 and at a width of 0.
    #[test]
    fn paths_find_one_verdict(path in "tile/(entries|[0-9]|[0-5][0-9]|6[0-3])/(x[0-9]{3}/){0,2}x?[0-9]{2,3}(\\.p/0?[1-9][0-9]{0,2}|/[0-9]{1,3})?") {
        prop_assert_eq!(path.parse::<Tile>().is_ok(), their_tile(&path).is_some());
    }

    #[test]
    fn the_tiles_of_a_size_are_the_same(size in 1u64..1 << 40) {
        let theirs: BTreeSet<String> = tlog_tiles::Tile::new_tiles(8, size - 1, size).iter().map(our_path).collect();
        let level = |level| Tile::at(Kind::Hashes(level), (size - 1) >> (8 * (u32::from(level) + 1)), size);
        // A level has a new hash only where a tile below has just become full.
        let grown = (0..8).take_while(|level| size.is_multiple_of(1 << (8 * level)));
        let ours: BTreeSet<String> = grown.filter_map(|grown| level(grown).map(|tile| tile.to_string())).collect();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn hashes_are_the_same(left: [u8; 32], right: [u8; 32], data in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(leaf_hash(&data).0, tlog::record_hash(&data).0);
        prop_assert_eq!(node_hash(&Hash(left), &Hash(right)).0, tlog::node_hash(tlog::Hash(left), tlog::Hash(right)).0);
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Delete(prop::sample::Index),
    Insert(prop::sample::Index, char),
    None,
    Replace(prop::sample::Index, char),
}

/// Edits by characters that mean something in these formats.
fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    let character =
        || prop::sample::select("\n\n\0\t\r +=/0123456789AZaz\u{2014}\u{a0}\u{7f}\u{85}\u{2028}é".chars().collect::<Vec<_>>());
    prop_oneof![
        at().prop_map(Edit::Delete),
        (at(), character()).prop_map(|(at, character)| Edit::Insert(at, character)),
        Just(Edit::None),
        (at(), character()).prop_map(|(at, character)| Edit::Replace(at, character)),
    ]
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for edit in edits {
        match edit {
            Edit::Insert(at, character) => text.insert(at.index(text.len() + 1), *character),
            _ if text.is_empty() => {}
            Edit::Delete(at) => drop(text.remove(at.index(text.len()))),
            Edit::None => {}
            Edit::Replace(at, character) => {
                let at = at.index(text.len());
                text[at] = *character;
            }
        }
    }
    text.into_iter().collect()
}

fn their_note(note: &str, verifier: StandardVerifier) -> bool {
    let known = VerifierList::new(vec![Box::new(verifier)]);
    signed_note::Note::from_bytes(note.as_bytes()).is_ok_and(|note| note.verify(&known).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn checkpoints_find_one_verdict(
        origin in "[a-z.]{1,20}", size: u64, shift in 0u32..64, root: [u8; 32], extensions in prop::collection::vec("[ -~]{1,10}", 0..3),
        edits in prop::collection::vec(edit(), 1..3),
    ) {
        let ours = Checkpoint::with_extensions(&origin, size >> shift, Hash(root), extensions.clone()).unwrap();
        let lines: String = extensions.iter().map(|line| format!("{line}\n")).collect();
        let theirs = tlog_tiles::Checkpoint::new(&origin, size >> shift, tlog::Hash(root), &lines).unwrap();
        prop_assert_eq!(ours.to_string().into_bytes(), theirs.to_bytes());
        let text = edited(&ours.to_string(), &edits);
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes());
        match text.parse::<Checkpoint>() {
            Ok(ours) => {
                let theirs = theirs.unwrap();
                prop_assert_eq!((ours.origin(), ours.size(), ours.root().0), (theirs.origin(), theirs.size(), theirs.hash().0));
                let lines: String = ours.extensions().iter().map(|line| format!("{line}\n")).collect();
                prop_assert_eq!(theirs.extension(), lines);
            }
            // They leave control characters to the note around the checkpoint.
            Err(_) => prop_assert!(theirs.is_err() || text.contains(|character| character < ' ' && character != '\n'), "{:?}", text),
        }
    }

    #[test]
    fn notes_find_one_verdict(
        name in "[a-zé./]{1,20}", seed: [u8; 32], text in "([ -~é]{0,20}\n){1,4}", strangers in 0u8..3, edits in prop::collection::vec(edit(), 1..3),
    ) {
        let ours = Ed25519Signer::from_seed(&name, &seed).unwrap();
        let vkey = ours.verifier_key().to_string();
        let theirs = StandardVerifier::new(&vkey).unwrap();
        let stranger = Ed25519Signer::from_seed("stranger.example", &[1; 32]).unwrap();
        let mut signers: Vec<&dyn Signer> = vec![&ours];
        signers.extend((0..strangers).map(|_| &stranger as &dyn Signer));
        let note = Note::sign(text, &signers, 0).unwrap().to_string();
        let note = edited(&note, &edits);
        prop_assert_eq!(Note::open(note.as_bytes(), &[&ours]).is_ok(), their_note(&note, theirs), "{:?}", note);
        prop_assert_eq!(Note::parse(note.as_bytes()).is_ok(), signed_note::Note::from_bytes(note.as_bytes()).is_ok(), "{:?}", note);
        if let Ok(parsed) = Note::parse(note.as_bytes()) {
            prop_assert_eq!(parsed.to_string(), note);
        }
    }

    #[test]
    fn what_they_sign_we_open(name in "[a-zé./]{1,20}", seed: [u8; 32], text in "([ -~é]{0,20}\n){1,4}") {
        let key = VerifierKey::new(&name, usufruct_log::SignatureType::Ed25519, Ed25519Signer::from_seed(&name, &seed).unwrap().verifier_key().key()).unwrap();
        let secret = format!("PRIVATE+KEY+{name}+{:08x}+{}", key.id(), STANDARD.encode([&[1], &seed[..]].concat()));
        let theirs = StandardSigner::new(&secret).unwrap();
        prop_assert_eq!((theirs.name(), theirs.key_id()), (key.name(), key.id()));
        let mut note = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
        note.add_sigs(&[&theirs]).unwrap();
        let opened = Note::open(&note.to_bytes(), &[&key.verifier().unwrap()]).unwrap();
        prop_assert_eq!(opened.text(), text);
        prop_assert_eq!(opened.to_string().into_bytes(), note.to_bytes());
    }

    #[test]
    fn keys_find_one_verdict(name in "[a-zé./]{1,20}", seed: [u8; 32], edits in prop::collection::vec(edit(), 1..3)) {
        let vkey = edited(&Ed25519Signer::from_seed(&name, &seed).unwrap().verifier_key().to_string(), &edits);
        let ours = vkey.parse::<VerifierKey>().and_then(|key| key.verifier());
        let theirs = StandardVerifier::new(&vkey);
        // They take key ids in any spelling of a number.
        let is_lower = vkey.split('+').nth(1).is_some_and(|id| id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok() && is_lower);
    }
}
