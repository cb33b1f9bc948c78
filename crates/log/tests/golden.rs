//! Vectors of our own for formats that have none: `vectors/tlog/{cosignature,policy,proof}.json`. Each test states what it
//! expects, sees that the code agrees, and fails when the file says anything else.

use std::collections::BTreeMap;

use crate::support::{ORIGIN, golden, hex, read, to_hex, vectors};
use serde_json::{Value, json};
use usufruct_log::proof::{self, HashReader};
use usufruct_log::{
    Checkpoint, Cosigner, Ed25519Cosigner, Ed25519Signer, Error, Frontier, Hash, MlDsaCosigner, Note, NoteSignature, Policy,
    Result, TlogProof, VerifierKey, cosignature, empty_root, leaf_hash, merkle,
};

const TIME: u64 = 1_790_000_000;
const SIZE: u64 = 7;

fn log() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

/// Everybody who cosigns in these files: the log itself by ML-DSA-44, three witnesses, and one that nobody lists.
fn cosigners() -> BTreeMap<&'static str, Box<dyn Cosigner>> {
    BTreeMap::from([
        ("log", Box::new(MlDsaCosigner::from_seed(ORIGIN, &[2; 32]).unwrap()) as Box<dyn Cosigner>),
        ("one", Box::new(Ed25519Cosigner::from_seed("one.example/witness", &[3; 32]).unwrap())),
        ("two", Box::new(MlDsaCosigner::from_seed("two.example/witness", &[4; 32]).unwrap())),
        ("three", Box::new(Ed25519Cosigner::from_seed("three.example/witness", &[5; 32]).unwrap())),
        ("stranger", Box::new(Ed25519Cosigner::from_seed("stranger.example", &[6; 32]).unwrap())),
    ])
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// The leaves of the log in these files.
struct Leaves;

impl HashReader for Leaves {
    fn read(&self, level: u32, index: u64) -> Result<Hash> {
        let mut frontier = Frontier::new();
        (index << level..(index + 1) << level).for_each(|leaf| frontier.append(leaf_hash(&entry(leaf))));
        Ok(frontier.root())
    }
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new(ORIGIN, size, proof::root(&Leaves, size).unwrap()).unwrap()
}

/// Lines that cannot be made twice, since ML-DSA signatures are hedged: they come out of the golden file again. Whoever
/// writes the files anew needs `--test-threads=1`, so that `cosignatures` is the first.
struct Lines(BTreeMap<(String, String), String>);

impl Lines {
    fn stored() -> Self {
        let mut lines = BTreeMap::new();
        if vectors().join("cosignature.json").exists() {
            let file = read("cosignature.json");
            for case in file["checkpoints"].as_array().into_iter().chain(file["subtrees"].as_array()).flatten() {
                if case["outcome"] == "valid" {
                    let text = |field: &str| case[field].as_str().unwrap().to_owned();
                    lines.insert((text("vkey"), text("message_hex")), text("line"));
                }
            }
        }
        Self(lines)
    }

    /// The line of a cosigner over a message, as it is stored, or made by `make`.
    fn line(&self, cosigner: &dyn Cosigner, message: &[u8], make: impl Fn() -> NoteSignature) -> NoteSignature {
        let key = (cosigner.verifier_key().to_string(), to_hex(message));
        self.0.get(&key).map_or_else(make, |line| NoteSignature::parse(line).unwrap())
    }

    fn checkpoint(&self, cosigner: &dyn Cosigner, checkpoint: &Checkpoint, time: u64) -> NoteSignature {
        let message = message(cosigner.verifier_key(), checkpoint, time);
        self.line(cosigner, &message, || cosigner.cosign(checkpoint, time).unwrap())
    }

    /// The checkpoint of this size by the log's Ed25519 key, and these cosigners.
    fn note(&self, size: u64, names: &[&str]) -> Note {
        let cosigners = cosigners();
        let mut note = checkpoint(size).sign(&[&log()], 0).unwrap();
        for name in names {
            note.add(self.checkpoint(&*cosigners[name], &checkpoint(size), TIME)).unwrap();
        }
        note
    }
}

fn message(key: &VerifierKey, checkpoint: &Checkpoint, time: u64) -> Vec<u8> {
    if u8::from(key.kind()) == 0x04 {
        return cosignature::checkpoint_message(&checkpoint.to_string(), time).into_bytes();
    }
    cosignature::subtree_message(key.name(), time, checkpoint.origin(), 0, checkpoint.size(), checkpoint.root()).unwrap()
}

fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "valid",
        Err(Error::Unsigned) => "unsigned",
        Err(Error::Unwitnessed) => "unwitnessed",
        Err(Error::WrongSignature { .. }) => "wrong signature",
        Err(Error::Proof { .. }) => "wrong proof",
        Err(_) => "malformed",
    }
}

/// The line with its signature, without the key id, changed.
fn changed(line: &NoteSignature, change: impl Fn(&mut Vec<u8>)) -> NoteSignature {
    let mut bytes = line.bytes().to_vec();
    change(&mut bytes);
    NoteSignature::new(line.name(), line.id(), bytes).unwrap()
}

#[test]
fn cosignatures() {
    let (lines, cosigners) = (Lines::stored(), cosigners());
    let mut checkpoints = Vec::new();
    let mut case =
        |name: String, key: &VerifierKey, text: &str, line: &NoteSignature, message: Option<Vec<u8>>, expected: &str| {
            let note = format!("{text}\n{line}\n");
            let verifier = key.any_verifier().unwrap();
            assert_eq!(outcome(&Note::open(note.as_bytes(), &[&*verifier])), expected, "{name}");
            checkpoints.push(json!({
                "name": name, "vkey": key.to_string(), "text": text, "line": line.to_string(),
                "message_hex": message.map(|message| to_hex(&message)), "outcome": expected,
            }));
        };
    for who in ["one", "two", "log"] {
        let cosigner = &*cosigners[who];
        let key = cosigner.verifier_key();
        let kind = format!("{who}, type {:#04x}", u8::from(key.kind()));
        let is_ed25519 = u8::from(key.kind()) == 0x04;
        for (what, checkpoint, time) in [
            ("the empty tree", Checkpoint::new(ORIGIN, 0, empty_root()).unwrap(), TIME),
            ("a tree of one", checkpoint(1), TIME),
            ("a tree of seven", checkpoint(SIZE), TIME),
            ("an origin that is no address", Checkpoint::new("Ö, 日本 + more", SIZE, empty_root()).unwrap(), 1),
            ("an origin of 255 bytes", Checkpoint::new(&"o".repeat(255), SIZE, empty_root()).unwrap(), TIME),
            ("the largest tree at the last time", Checkpoint::new(ORIGIN, u64::MAX, empty_root()).unwrap(), (1 << 63) - 1),
            ("no time", checkpoint(SIZE), 0),
        ] {
            let line = lines.checkpoint(cosigner, &checkpoint, time);
            let signed = message(key, &checkpoint, time);
            case(format!("{kind}: {what}"), key, &checkpoint.to_string(), &line, Some(signed), "valid");
        }
        let text = checkpoint(SIZE).to_string();
        let line = lines.checkpoint(cosigner, &checkpoint(SIZE), TIME);
        let wrong = [
            ("a later time", text.clone(), changed(&line, |bytes| bytes[7] ^= 1)),
            ("a time beyond 2^63 - 1", text.clone(), changed(&line, |bytes| bytes[0] ^= 0x80)),
            ("a flipped bit", text.clone(), changed(&line, |bytes| *bytes.last_mut().unwrap() ^= 1)),
            ("a byte too many", text.clone(), changed(&line, |bytes| bytes.push(0))),
            ("a byte too few", text.clone(), changed(&line, |bytes| bytes.truncate(bytes.len() - 1))),
            ("no signature after the time", text.clone(), changed(&line, |bytes| bytes.truncate(8))),
            ("half a time", text.clone(), changed(&line, |bytes| bytes.truncate(4))),
            ("another size", checkpoint(SIZE - 1).to_string(), line.clone()),
            ("another origin", text.replacen("log.example", "log.example.org", 1), line.clone()),
            ("a text that is no checkpoint", "text\n".to_owned(), line.clone()),
        ];
        for (what, text, line) in wrong {
            case(format!("{kind}: {what}"), key, &text, &line, None, "wrong signature");
        }
        let extended = format!("{text}extension\n");
        let expected = if is_ed25519 { "wrong signature" } else { "valid" };
        let signed = (!is_ed25519).then(|| message(key, &checkpoint(SIZE), TIME));
        case(format!("{kind}: an extension line that was added later"), key, &extended, &line, signed, expected);
        let renamed = NoteSignature::new("another.example", line.id(), line.bytes().to_vec()).unwrap();
        case(format!("{kind}: another name with the same key id"), key, &text, &renamed, None, "unsigned");
        let other = NoteSignature::new(line.name(), line.id() ^ 1, line.bytes().to_vec()).unwrap();
        case(format!("{kind}: the same name with another key id"), key, &text, &other, None, "unsigned");
    }
    // A signature over a time that no line may carry, and one over the text alone.
    let one = cosigners["one"].verifier_key();
    let raw = Ed25519Signer::from_seed("one.example/witness", &[3; 32]).unwrap();
    let text = checkpoint(SIZE).to_string();
    for (what, time, signed) in [
        ("signed, but with a time beyond 2^63 - 1", 1 << 63, cosignature::checkpoint_message(&text, 1 << 63)),
        ("signed, but without the two lines", TIME, text.clone()),
        ("signed, but with a zero before the time", TIME, format!("cosignature/v1\ntime 0{TIME}\n{text}")),
    ] {
        let bytes = [&u64::to_be_bytes(time)[..], &usufruct_log::Signer::sign(&raw, &signed, 0).unwrap()].concat();
        let line = NoteSignature::new(one.name(), one.id(), bytes).unwrap();
        case(format!("one, type 0x04: {what}"), one, &text, &line, None, "wrong signature");
    }

    let described: Vec<Value> = [("log", 2), ("one", 3), ("two", 4), ("three", 5), ("stranger", 6)]
        .map(|(who, seed)| json!({"name": who, "seed_hex": to_hex(&[seed; 32]), "vkey": cosigners[who].verifier_key().to_string()}))
        .to_vec();
    let value = json!({
        "description": "c2sp.org/tlog-cosignature, types 0x04 and 0x06. `text` and `line` make a signed note; message_hex is what the line signs, where it signs anything. Outcomes: valid; wrong signature (a known key, so the note is refused); unsigned (no known key).",
        "cosigners": described,
        "checkpoints": checkpoints,
        "subtrees": subtrees(&lines),
    });
    golden("cosignature.json", &value);
}

fn subtrees(lines: &Lines) -> Vec<Value> {
    let cosigners = cosigners();
    let two = &*cosigners["two"];
    let (key, root) = (two.verifier_key(), leaf_hash(b"a subtree"));
    let made = |start, end| {
        let message = cosignature::subtree_message(key.name(), 0, ORIGIN, start, end, &root).unwrap();
        let line = lines.line(two, &message, || two.cosign_subtree(ORIGIN, start, end, &root).unwrap().unwrap());
        (line, to_hex(&message))
    };
    let (right, _) = made(256, 512);
    let mut cases: Vec<_> = [(0, 8), (256, 512), (256, 300), (7, 8), (1 << 62, 1 << 63)]
        .map(|(start, end)| {
            (format!("[{start}, {end})"), ORIGIN, start, end, Some(made(start, end).1), made(start, end).0, "valid")
        })
        .to_vec();
    let renamed = NoteSignature::new("another.example", right.id(), right.bytes().to_vec()).unwrap();
    for (what, origin, start, end, line, expected) in [
        ("another start", ORIGIN, 0, 512, right.clone(), "wrong signature"),
        ("another end", ORIGIN, 256, 511, right.clone(), "wrong signature"),
        ("another origin", "log.example", 256, 512, right.clone(), "wrong signature"),
        ("a range that is no subtree", ORIGIN, 255, 512, right.clone(), "malformed"),
        ("an empty range", ORIGIN, 256, 256, right.clone(), "malformed"),
        ("a time, and not from the start", ORIGIN, 256, 512, changed(&right, |bytes| bytes[7] = 1), "malformed"),
        ("another name", ORIGIN, 256, 512, renamed, "unsigned"),
    ] {
        cases.push((what.to_owned(), origin, start, end, None, line, expected));
    }
    let mut values = Vec::new();
    for (name, origin, start, end, message, line, expected) in cases {
        let result = cosignature::verify_subtree(key, origin, start, end, &root, &line);
        assert_eq!(outcome(&result), expected, "{name}");
        values.push(json!({
            "name": name, "vkey": key.to_string(), "origin": origin, "start": start.to_string(), "end": end.to_string(),
            "root": root.to_string(), "line": line.to_string(), "message_hex": message, "outcome": expected,
        }));
    }
    values
}

/// Two logs' keys, three witnesses, and a quorum of two where `two`, who signs with ML-DSA-44, is one.
fn policy(quorum: &str) -> String {
    let cosigners = cosigners();
    let mut text = format!("log {}\nlog {}\n", log().verifier_key(), cosigners["log"].verifier_key());
    for name in ["one", "two", "three"] {
        text.push_str(&format!("witness {name} {}\n", cosigners[name].verifier_key()));
    }
    format!("{text}group ones any one three\ngroup both all ones two\nquorum {quorum}\n")
}

#[test]
fn policies() {
    let lines = Lines::stored();
    let cosigners = cosigners();
    let key = |name: &str| cosigners[name].verifier_key().to_string();
    let w = format!("witness a {}\nwitness b {} https://b.example/\n", key("one"), key("three"));
    let mut read_cases = Vec::new();
    for (name, text, met, unmet) in [
        ("no quorum and nothing else", "quorum none\n".to_owned(), vec![vec![]], vec![]),
        ("one witness", format!("{w}quorum b\n"), vec![vec!["b"], vec!["a", "b"]], vec![vec![], vec!["a"]]),
        ("all", format!("{w}group g all a b\nquorum g\n"), vec![vec!["a", "b"]], vec![vec!["a"], vec!["b"]]),
        ("any", format!("{w}group g any a b\nquorum g\n"), vec![vec!["a"], vec!["b"]], vec![vec![]]),
        ("a number", format!("{w}group g 2 a b\nquorum g\n"), vec![vec!["a", "b"]], vec![vec!["a"], vec!["b"]]),
        (
            "groups in groups",
            policy("both"),
            vec![vec!["one", "two"], vec!["two", "three"]],
            vec![vec!["one", "three"], vec!["two"]],
        ),
        ("a quorum that leaves groups unused", policy("one"), vec![vec!["one"]], vec![vec!["two", "three"]]),
        ("white space and comments", format!("# c\n\n \t\n\t# \u{e9}\n{w}\tquorum \t none \n# end\n"), vec![vec![]], vec![]),
        ("definitions after the quorum", format!("{w}quorum a\ngroup g all a b\n"), vec![vec!["a"]], vec![vec!["b"]]),
        (
            "keywords as names",
            format!("witness all {}\ngroup quorum any all\nquorum quorum\n", key("one")),
            vec![vec!["all"]],
            vec![vec![]],
        ),
        (
            "names that look alike",
            format!("witness K {}\nwitness \u{212a} {}\nquorum K\n", key("one"), key("three")),
            vec![vec!["K"]],
            vec![vec!["\u{212a}"]],
        ),
    ] {
        let parsed: Policy = text.parse().unwrap();
        for (sets, expected) in [(&met, true), (&unmet, false)] {
            sets.iter()
                .for_each(|set| assert_eq!(parsed.is_met(&|witness| set.contains(&witness.name.as_str())), expected, "{name}"));
        }
        assert_eq!(parsed.to_string().parse::<Policy>().unwrap(), parsed);
        read_cases.push(
            json!({"name": name, "policy": text, "valid": true, "printed": parsed.to_string(), "met": met, "unmet": unmet}),
        );
    }
    let renamed =
        VerifierKey::new("renamed.example", cosigners["one"].verifier_key().kind(), cosigners["one"].verifier_key().key());
    for (name, text) in [
        ("no quorum line", w.clone()),
        ("two quorum lines", "quorum none\nquorum none\n".to_owned()),
        ("no newline at the end", "quorum none".to_owned()),
        ("a carriage return", "quorum none\r\n".to_owned()),
        ("a delete character", "# \u{7f}\nquorum none\n".to_owned()),
        ("a quorum that is not defined", format!("{w}quorum c\n")),
        ("a quorum that is defined later", format!("quorum a\n{w}")),
        ("a keyword that is unknown", format!("{w}threshold 2\nquorum none\n")),
        ("a keyword in capitals", "QUORUM none\n".to_owned()),
        ("a name twice", format!("{w}group a all b\nquorum none\n")),
        ("a witness named none", format!("witness none {}\nquorum none\n", key("one"))),
        ("none as a member", format!("{w}group g all a none\nquorum g\n")),
        ("a key twice", format!("{w}witness c {}\nquorum none\n", key("one"))),
        ("a key twice, under another name", format!("{w}witness c {}\nquorum none\n", renamed.unwrap())),
        ("a log's key twice", format!("log {0}\nlog {0}\nquorum none\n", log().verifier_key())),
        ("a witness with a plain key", format!("witness a {}\nquorum none\n", log().verifier_key())),
        ("a key id that is not the key's", format!("{w}quorum none\n").replacen("+", "+0", 1)),
        ("a member twice in one group", format!("{w}group g all a a\nquorum g\n")),
        ("a member of two groups", format!("{w}group g all a\ngroup h all a b\nquorum h\n")),
        ("a group within itself", format!("{w}group g all a g\nquorum g\n")),
        ("a group that is defined later", format!("{w}group g all h\ngroup h all a\nquorum g\n")),
        ("a group without members", format!("{w}group g any\nquorum none\n")),
        ("zero of two", format!("{w}group g 0 a b\nquorum g\n")),
        ("three of two", format!("{w}group g 3 a b\nquorum g\n")),
        ("a word too many", format!("witness a {} https://a.example/ more\nquorum none\n", key("one"))),
    ] {
        assert!(text.parse::<Policy>().is_err(), "{name}");
        read_cases.push(json!({"name": name, "policy": text, "valid": false}));
    }

    let text = policy("both");
    let parsed: Policy = text.parse().unwrap();
    let good = lines.note(SIZE, &["log", "one", "two"]);
    let with = |line: NoteSignature| {
        let mut note = good.clone();
        note.add(line).unwrap();
        note
    };
    let only_mldsa = format!("{}\n{}\n{}\n", good.text(), good.signatures()[1], good.signatures()[3]);
    let only_witnesses = format!("{}\n{}\n{}\n", good.text(), good.signatures()[2], good.signatures()[3]);
    let other = lines.checkpoint(&*cosigners["three"], &checkpoint(SIZE - 1), TIME);
    let strange = lines.checkpoint(&*cosigners["stranger"], &checkpoint(SIZE - 1), TIME);
    let foreign = Checkpoint::new("other.example", SIZE, *checkpoint(SIZE).root()).unwrap();
    let mut check_cases = Vec::new();
    for (name, note, origin, expected) in [
        ("signed and witnessed", good.to_string(), None, "valid"),
        ("for the expected origin", good.to_string(), Some(ORIGIN), "valid"),
        ("for another origin", good.to_string(), Some("other.example"), "malformed"),
        ("by the log's Ed25519 key alone", lines.note(SIZE, &["two", "three"]).to_string(), None, "valid"),
        ("by ML-DSA-44 alone, and too few", only_mldsa, None, "unwitnessed"),
        ("by witnesses alone", only_witnesses, None, "unsigned"),
        ("too few witnesses", lines.note(SIZE, &["log", "one", "three"]).to_string(), None, "unwitnessed"),
        ("one witness twice", lines.note(SIZE, &["two", "two"]).to_string(), None, "unwitnessed"),
        ("a listed witness is wrong", with(other).to_string(), None, "wrong signature"),
        ("a stranger is wrong", with(strange).to_string(), None, "valid"),
        ("a listed log signs for another origin", foreign.sign(&[&log()], 0).unwrap().to_string(), None, "unsigned"),
        ("no signature at all", good.text().to_owned(), None, "malformed"),
    ] {
        assert_eq!(outcome(&parsed.check(note.as_bytes(), origin)), expected, "{name}");
        check_cases.push(json!({"name": name, "note": note, "origin": origin, "outcome": expected}));
    }
    let value = json!({
        "description": "c2sp.org/tlog-policy. `met` and `unmet` are sets of witnesses, by name, that do and do not make the quorum; `printed` is our own spelling of the same policy. `checks` are signed checkpoints under the policy `check_policy`, for the origin where one is given.",
        "policies": read_cases,
        "check_policy": text,
        "checks": check_cases,
    });
    golden("policy.json", &value);
}

#[test]
fn proofs() {
    let lines = Lines::stored();
    let text = policy("both");
    let parsed: Policy = text.parse().unwrap();
    let good = lines.note(SIZE, &["log", "one", "two"]);
    let made = |index: u64| TlogProof {
        index,
        hashes: proof::inclusion(&Leaves, index, SIZE).unwrap(),
        checkpoint: good.clone(),
        extra: (index % 2 == 1).then(|| b"opening".to_vec()),
    };
    let mut cases = Vec::new();
    for index in 0..SIZE {
        cases.push((format!("entry {index} of {SIZE}"), index, made(index).to_string(), "valid"));
    }
    let single = TlogProof { index: 0, hashes: Vec::new(), checkpoint: lines.note(1, &["one", "two"]), extra: Some(Vec::new()) };
    cases.push(("the only entry, and empty extra data".to_owned(), 0, single.to_string(), "valid"));
    let (file, extra, hash) = (made(2).to_string(), made(3).to_string(), made(2).hashes[0].to_string());
    let few = TlogProof { checkpoint: lines.note(SIZE, &["log", "one"]), ..made(2) };
    let short = TlogProof { hashes: made(2).hashes[1..].to_vec(), ..made(2) };
    let long = TlogProof { hashes: [made(2).hashes, vec![empty_root()]].concat(), ..made(2) };
    for (name, index, file, expected) in [
        ("the proof of another entry", 3, file.clone(), "wrong proof"),
        ("an index that is not the proof's", 2, file.replacen("index 2", "index 3", 1), "wrong proof"),
        ("an index beyond the tree", 2, file.replacen("index 2", "index 7", 1), "wrong proof"),
        ("a hash too few", 2, short.to_string(), "wrong proof"),
        ("a hash too many", 2, long.to_string(), "wrong proof"),
        ("too few witnesses", 2, few.to_string(), "unwitnessed"),
        ("a checkpoint that was changed", 2, file.replacen("\n7\n", "\n8\n", 1), "wrong signature"),
        ("other extra data, which nothing covers", 3, extra.replacen("extra b3BlbmluZw==", "extra b3BlbmVk", 1), "valid"),
        ("another first line", 2, file.replacen("@v1", "@v2", 1), "malformed"),
        ("an index with a leading zero", 2, file.replacen("index 2", "index 02", 1), "malformed"),
        ("no index", 2, file.replacen("index 2\n", "", 1), "malformed"),
        ("an index without a number", 2, file.replacen("index 2\n", "index \n", 1), "malformed"),
        ("extra data that are not base64", 3, extra.replacen("extra b3Bl", "extra b3B!", 1), "malformed"),
        (
            "extra data after the index",
            3,
            extra.replacen("extra b3BlbmluZw==\nindex 3\n", "index 3\nextra b3BlbmluZw==\n", 1),
            "malformed",
        ),
        ("extra data twice", 3, extra.replacen("index 3\n", "extra b3BlbmluZw==\nindex 3\n", 1), "malformed"),
        ("a hash that is cut", 2, file.replacen(&hash, &hash[..40], 1), "malformed"),
        ("no empty line before the checkpoint", 2, file.replacen("\n\n", "\n", 1), "malformed"),
        ("carriage returns", 2, file.replace('\n', "\r\n"), "malformed"),
        ("no checkpoint", 2, file.split_once("\n\n").unwrap().0.to_owned() + "\n\n", "malformed"),
        ("nothing", 2, String::new(), "malformed"),
    ] {
        cases.push((name.to_owned(), index, file, expected));
    }
    let mut values = Vec::new();
    for (name, index, file, expected) in cases {
        let leaf = leaf_hash(&entry(index));
        let parsed_file = file.parse::<TlogProof>();
        if let Ok(proof) = &parsed_file {
            assert_eq!(proof.to_string(), file, "{name}");
        }
        let result = parsed_file.and_then(|proof| proof.check(&leaf, &parsed, Some(ORIGIN)));
        assert_eq!(outcome(&result), expected, "{name}");
        values.push(json!({
            "name": name, "entry": String::from_utf8(entry(index)).unwrap(), "leaf_hash": leaf.to_string(), "proof": file, "outcome": expected,
        }));
    }
    let value = json!({
        "description": "c2sp.org/tlog-proof, each file to be checked for the entry under the policy and the origin. An outcome of `malformed` may be found in the proof or in its checkpoint.",
        "origin": ORIGIN,
        "policy": text,
        "proofs": values,
    });
    golden("proof.json", &value);
}

#[test]
fn the_tree_behind_these_files_is_one() {
    for size in 1..=SIZE {
        let path = proof::consistency(&Leaves, size, SIZE).unwrap();
        merkle::verify_consistency(size, SIZE, &path, checkpoint(size).root(), checkpoint(SIZE).root()).unwrap();
    }
    assert_eq!(hex(&to_hex(b"\x00\xff")), b"\x00\xff");
}
