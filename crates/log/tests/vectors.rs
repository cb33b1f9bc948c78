//! The golden files in `vectors/tlog`, made by others.

use std::fs;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use usufruct_log::merkle::{verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion};
use usufruct_log::{
    Checkpoint, Ed25519Signer, Hash, Memory, MemoryHead, Note, Objects, Publisher, Reader, Result, Source, VerifierKey,
    checkpoint, empty_root, leaf_hash,
};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/tlog")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn cases<T: for<'a> Deserialize<'a>>(kind: &str) -> Vec<(String, T)> {
    let files = files_below(&vectors().join("merkle").join(kind));
    files.iter().map(|file| (file.display().to_string(), serde_json::from_slice(&fs::read(file).unwrap()).unwrap())).collect()
}

/// A hash as the vectors spell it. The words "don't care" stand for any hash and are padded; other lengths are no hash.
fn hash(text: &str) -> Option<Hash> {
    let mut bytes = STANDARD.decode(text).unwrap();
    if bytes.starts_with(b"don't care") {
        bytes.resize(32, 0);
    }
    Hash::from_slice(&bytes)
}

fn hashes(texts: &Option<Vec<String>>) -> Option<Vec<Hash>> {
    texts.iter().flatten().map(|text| hash(text)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    #[serde(default)]
    tree_size: u64,
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    #[serde(default)]
    size1: u64,
    #[serde(default)]
    size2: u64,
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(default)]
    size: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

/// Runs all cases of one kind. A value that is no hash is refused before the verifier sees it.
fn run<T>(cases: Vec<(String, T)>, expected: usize, verify: impl Fn(&T) -> Option<Result<()>>, want_err: impl Fn(&T) -> bool) {
    assert_eq!(cases.len(), expected);
    for (name, case) in &cases {
        let holds = matches!(verify(case), Some(Ok(())));
        assert_eq!(holds, !want_err(case), "{name}");
    }
}

#[test]
fn inclusion_proofs() {
    let verify = |case: &Inclusion| {
        let (leaf, root, proof) = (hash(&case.leaf_hash)?, hash(&case.root)?, hashes(&case.proof)?);
        Some(verify_inclusion(case.leaf_idx, case.tree_size, &leaf, &proof, &root))
    };
    run(cases("inclusion"), 98, verify, |case| case.want_err);
}

#[test]
fn consistency_proofs() {
    let verify = |case: &Consistency| {
        let (one, two, proof) = (hash(&case.root1)?, hash(&case.root2)?, hashes(&case.proof)?);
        Some(verify_consistency(case.size1, case.size2, &proof, &one, &two))
    };
    run(cases("consistency"), 98, verify, |case| case.want_err);
}

#[test]
fn subtree_inclusion_proofs() {
    let verify = |case: &Inclusion| {
        let (leaf, root, proof) = (hash(&case.leaf_hash)?, hash(&case.root)?, hashes(&case.proof)?);
        Some(verify_subtree_inclusion(case.leaf_idx, case.start, case.end, &leaf, &proof, &root))
    };
    run(cases("subtreeinclusion"), 204, verify, |case| case.want_err);
}

#[test]
fn subtree_consistency_proofs() {
    let verify = |case: &Consistency| {
        let (one, two, proof) = (hash(&case.root1)?, hash(&case.root2)?, hashes(&case.proof)?);
        Some(verify_subtree_consistency(case.start, case.end, case.size, &proof, &one, &two))
    };
    run(cases("subtreeconsistency"), 118, verify, |case| case.want_err);
}

#[test]
fn signed_notes() {
    #[derive(Deserialize)]
    struct Case {
        name: String,
        vkey: String,
        note: String,
    }
    let cases: Vec<Case> = serde_json::from_slice(&fs::read(vectors().join("notes/ed25519-notes.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let key: VerifierKey = case.vkey.parse().unwrap();
        assert_eq!(key.to_string(), case.vkey);
        let verifier = key.verifier().unwrap();
        let note = Note::open(case.note.as_bytes(), &[&verifier]).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(note.to_string(), case.note);
        for position in 0..note.text().len() {
            let mut damaged = case.note.clone().into_bytes();
            damaged[position] ^= 1;
            assert!(Note::open(&damaged, &[&verifier]).is_err(), "{} at {position}", case.name);
        }
    }
}

/// What the test log of Tessera consists of.
const WORDS: &str = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten";

/// The test log of Tessera, with the checkpoint of one size as the current one.
struct Tessera(PathBuf);

impl Source for Tessera {
    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(fs::read(self.0.join(path)).ok())
    }
}

#[test]
fn the_test_log_of_tessera_verifies_at_all_sizes() {
    let words: Vec<&[u8]> = WORDS.split(' ').map(str::as_bytes).collect();
    let key: VerifierKey = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx".parse().unwrap();
    let verifier = key.verifier().unwrap();
    let source = Tessera(vectors().join("tessera-log"));
    let head_at = |size: usize| -> Checkpoint {
        let note = fs::read(source.0.join(format!("checkpoint.{size}"))).unwrap();
        checkpoint::open(&note, "example.com/log/testdata", &[&verifier]).unwrap().0
    };
    assert_eq!(*head_at(0).root(), empty_root());
    for size in 0..=words.len() {
        let head = head_at(size);
        assert_eq!(head.size(), size as u64);
        let reader = Reader::new(&source, head);
        let mut entries = Vec::new();
        reader
            .entries(0, |index, entry| {
                entries.push((index, entry.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(entries, (0..).zip(words[..size].iter().map(|word| word.to_vec())).collect::<Vec<_>>());
        for (index, word) in (0..).zip(&words[..size]) {
            assert_eq!(reader.entry(index).unwrap(), *word);
            assert!(reader.inclusion(index, &leaf_hash(b"another word")).is_err());
        }
        assert!(reader.entry(size as u64).is_err());
        for older in 0..=size {
            reader.consistency(&head_at(older)).unwrap();
        }
    }
    let current = checkpoint::fetch(&source, "example.com/log/testdata", &[&verifier]).unwrap().0;
    assert_eq!(current.size(), 15);
}

#[test]
fn a_publisher_writes_the_same_files_as_tessera() {
    let signer = Ed25519Signer::from_seed("example.com/log/testdata", &[1; 32]).unwrap();
    let objects = Memory::default();
    let mut publisher =
        Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], "example.com/log/testdata", None).unwrap();
    let source = Tessera(vectors().join("tessera-log"));
    publisher.publish([], 1).unwrap();
    for (index, word) in (0..).zip(WORDS.split(' ')) {
        let head = publisher.publish([(index, word.into())], 1).unwrap();
        let theirs = source.fetch(&format!("checkpoint.{}", index + 1)).unwrap().unwrap();
        assert_eq!(Note::parse(&head.note).unwrap().text(), Note::parse(&theirs).unwrap().text());
    }
    let paths = objects.paths();
    assert_eq!(paths.len(), 31);
    for path in paths.iter().filter(|path| *path != checkpoint::PATH) {
        assert_eq!(Objects::fetch(&objects, path).unwrap(), source.fetch(path).unwrap(), "{path}");
    }
}
