//! Trust policies: what is read, what is refused, and which checkpoints hold under them.

use std::collections::BTreeSet;

use crate::support::{ORIGIN, checkpoint};
use proptest::prelude::*;
use usufruct_log::{
    Checkpoint, Cosigner, Ed25519Cosigner, Ed25519Signer, Error, MlDsaCosigner, Note, NoteSignature, Policy, Signer, TlogProof,
    Verifier, VerifierKey, leaf_hash,
};

fn log_key() -> String {
    log().verifier_key().to_string()
}

fn log() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn witness(number: u8) -> Ed25519Cosigner {
    Ed25519Cosigner::from_seed(&format!("w{number}.example"), &[100 + number; 32]).unwrap()
}

fn witness_key(number: u8) -> String {
    witness(number).verifier_key().to_string()
}

fn seeded(name: &str, seed: u16) -> VerifierKey {
    let [high, low] = seed.to_be_bytes();
    let mut bytes = [0; 32];
    (bytes[0], bytes[1]) = (high, low);
    Ed25519Cosigner::from_seed(name, &bytes).unwrap().verifier_key().clone()
}

fn read(policy: &str) -> Policy {
    policy.parse().unwrap_or_else(|error| panic!("{error}\n{policy}"))
}

fn is_met(policy: &Policy, cosigned: &[&str]) -> bool {
    policy.is_met(&|witness| cosigned.contains(&witness.name.as_str()))
}

/// The example of the specification, with keys.
fn example() -> String {
    let mut text = format!("# a comment\nlog {} https://log.example/\n\n", log_key());
    for (number, name) in (1..).zip(["X1", "X2", "X3", "Y1", "Y2", "Y3"]) {
        text.push_str(&format!("witness {name} {}\n", witness_key(number)));
    }
    text + "group X-witnesses 2 X1 X2 X3\n\tgroup  Y-witnesses any Y1\tY2 Y3 \n \t\ngroup X-and-Y all X-witnesses Y-witnesses\n \
            # another\nquorum X-and-Y\n"
}

#[test]
fn the_example_of_the_specification_means_what_it_says() {
    let policy = read(&example());
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://log.example/"));
    assert_eq!(policy.logs()[0].key.name(), ORIGIN);
    assert_eq!(policy.witnesses()[4].name, "Y2");
    for (cosigned, met) in [
        (&["X1", "X2", "Y1"][..], true),
        (&["X1", "X3", "Y3"], true),
        (&["X1", "X2", "X3", "Y1", "Y2", "Y3"], true),
        (&["X1", "X2", "X3"], false),
        (&["X1", "Y1", "Y2", "Y3"], false),
        (&[], false),
    ] {
        assert_eq!(is_met(&policy, cosigned), met, "{cosigned:?}");
    }
    let printed = policy.to_string();
    assert_eq!(read(&printed), policy);
    assert_eq!(read(&printed).to_string(), printed);
    assert!(printed.ends_with(
        "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses 1 Y1 Y2 Y3\ngroup X-and-Y 2 X-witnesses Y-witnesses\nquorum X-and-Y\n"
    ));
}

#[test]
fn the_smallest_policies_are_read() {
    assert!(is_met(&read("quorum none\n"), &[]));
    assert_eq!(read("\n# only this\n\tquorum\tnone\t\n"), read("quorum none\n"));
    assert!("quorum none".parse::<Policy>().is_err());
}

#[test]
fn malformed_policies_are_refused() {
    let (log, one, two) = (log_key(), witness_key(1), witness_key(2));
    let w = format!("witness a {one}\nwitness b {two}\n");
    let ecdsa = VerifierKey::new("e", usufruct_log::SignatureType::Other(2), &[1; 91]).unwrap();
    let other_name = seeded("a", 7).to_string();
    let same_key = seeded("b", 7).to_string();
    let plain = Ed25519Signer::from_seed("c", &[8; 32]).unwrap().verifier_key().to_string();
    let renamed = Ed25519Signer::from_seed("d", &[8; 32]).unwrap().verifier_key().to_string();
    for bad in [
        String::new(),
        "\n".to_owned(),
        "quorum\n".to_owned(),
        "quorum none none\n".to_owned(),
        "quorum none\nquorum none\n".to_owned(),
        "quorum a\n".to_owned(),
        "Quorum none\n".to_owned(),
        "quorum none\r\n".to_owned(),
        "quorum none\n\0\n".to_owned(),
        "quorum none\n#\x7f\n".to_owned(),
        "quorum\u{b}none\n".to_owned(),
        "quorum\u{a0}none\n".to_owned(),
        format!("quorum a\n{w}"),
        format!("{w}quorum c\n"),
        w.clone(),
        format!("{w}timeout 3\nquorum none\n"),
        "log\nquorum none\n".to_owned(),
        "log key\nquorum none\n".to_owned(),
        format!("log {log} url more\nquorum none\n"),
        format!("log {log}\nlog {log}\nquorum none\n"),
        format!("log {plain}\nlog {renamed}\nquorum none\n"),
        format!("log {ecdsa}\nquorum none\n"),
        format!("log {}\nquorum none\n", log.replacen("log.example", "log+example", 1)),
        "witness a\nquorum none\n".to_owned(),
        format!("witness {one}\nquorum none\n"),
        format!("witness a {one} url more\nquorum none\n"),
        format!("witness none {one}\nquorum none\n"),
        format!("witness a {plain}\nquorum none\n"),
        format!("witness a {ecdsa}\nquorum none\n"),
        format!("witness a {one}\nwitness a {two}\nquorum none\n"),
        format!("witness a {one}\nwitness b {one}\nquorum none\n"),
        format!("witness a {other_name}\nwitness b {same_key}\nquorum none\n"),
        format!("{w}group g all\nquorum g\n"),
        format!("{w}group g\nquorum none\n"),
        format!("{w}group g 0 a b\nquorum g\n"),
        format!("{w}group g 3 a b\nquorum g\n"),
        format!("{w}group g -1 a b\nquorum g\n"),
        format!("{w}group g +1 a b\nquorum g\n"),
        format!("{w}group g 01 a b\nquorum g\n"),
        format!("{w}group g ALL a b\nquorum g\n"),
        format!("{w}group g 18446744073709551617 a b\nquorum g\n"),
        format!("{w}group g all a a\nquorum g\n"),
        format!("{w}group g all a c\nquorum g\n"),
        format!("{w}group g all a none\nquorum g\n"),
        format!("{w}group g all g\nquorum g\n"),
        format!("{w}group g all a\ngroup h all a b\nquorum h\n"),
        format!("{w}group g all a\ngroup h all g\ngroup i all g\nquorum h\n"),
        format!("{w}group a all b\nquorum none\n"),
        format!("{w}group none all b\nquorum none\n"),
        format!("{w}group g all h\ngroup h all a\nquorum g\n"),
    ] {
        assert!(bad.parse::<Policy>().is_err(), "{bad:?}");
    }
    let error = format!("{w}group g 3 a b\nquorum g\n").parse::<Policy>().unwrap_err().to_string();
    assert!(error.contains("line 3: the threshold"), "{error}");
}

#[test]
fn names_are_octets_and_keywords_are_names_like_any_other() {
    let (one, two) = (witness_key(1), witness_key(2));
    // A Kelvin sign is no K, and a name need not be UTF-8.
    let policy = read(&format!("witness K {one}\nwitness \u{212a} {two}\ngroup all all K \u{212a}\nquorum all\n"));
    assert!(is_met(&policy, &["K", "\u{212a}"]) && !is_met(&policy, &["K"]));
    let latin = [
        format!("witness caf\0 {one} https://caf\0.example/\nwitness caf\x01 {two}\ngroup quorum any caf\0 caf\x01\n").as_bytes(),
        b"# \xff\xfe \x80\nquorum quorum\n",
    ]
    .concat();
    let latin: Vec<u8> = latin.iter().map(|octet| if *octet < 2 { 0xe9 + octet } else { *octet }).collect();
    let policy = Policy::parse(&latin).unwrap();
    assert_eq!(policy.witnesses()[0].name, r"caf\xe9");
    assert_eq!(policy.witnesses()[0].url.as_deref(), Some(r"https://caf\xe9.example/"));
    assert!(is_met(&policy, &[r"caf\xea"]) && !is_met(&policy, &[]));
    assert_eq!(read(&policy.to_string()), policy);
    // What would be shown alike is not told apart, and refused.
    let alike = [format!("witness \\xe9 {one}\nwitness ").as_bytes(), b"\xe9 ", two.as_bytes(), b"\nquorum none\n"].concat();
    assert!(Policy::parse(&alike).is_err());
    let referred = [format!("witness \\xe9 {one}\nquorum ").as_bytes(), b"\xe9\n"].concat();
    assert!(Policy::parse(&referred).is_err());
}

#[test]
fn many_of_each_are_read_and_absurdly_many_are_not() {
    let many = |count: u16, groups: u16| {
        let mut text = String::new();
        for number in 0..count {
            let key =
                VerifierKey::new(&format!("l{number}.example"), usufruct_log::SignatureType::Ed25519, seeded("x", number).key());
            text.push_str(&format!("log {}\n", key.unwrap()));
        }
        for number in 0..count {
            text.push_str(&format!("witness w{number} {}\n", seeded("x", 1000 + number)));
        }
        for number in 0..groups {
            let inner = if number == 0 { String::new() } else { format!(" g{}", number - 1) };
            text.push_str(&format!("group g{number} any w{number}{inner}\n"));
        }
        text + &format!("quorum g{}\n", groups - 1)
    };
    for count in [32, 256] {
        let policy = read(&many(count, count));
        assert_eq!((policy.logs().len(), policy.witnesses().len()), (count.into(), count.into()));
        assert!(is_met(&policy, &["w0"]) && !is_met(&policy, &["w999"]));
        assert_eq!(read(&policy.to_string()), policy);
    }
    assert!(many(257, 32).parse::<Policy>().is_err());
    assert!(matches!(format!("#{}\nquorum none\n", "a".repeat(1_000_000)).parse::<Policy>(), Err(Error::TooLarge { .. })));
    assert!(format!("group g all{}\nquorum g\n", " a".repeat(400_000)).parse::<Policy>().is_err());
}

/// A checkpoint by the log and these witnesses.
fn signed(size: u64, witnesses: &[u8]) -> Note {
    let checkpoint = checkpoint(size);
    let mut note = checkpoint.sign(&[&log()], 0).unwrap();
    for number in witnesses {
        note.add(witness(*number).cosign(&checkpoint, 1_790_000_000).unwrap()).unwrap();
    }
    note
}

#[test]
fn checkpoints_are_checked_under_a_policy() {
    let policy = read(&example());
    let check = |note: &Note, origin| policy.check(note.to_string().as_bytes(), origin);
    let good = signed(5, &[1, 2, 4]);
    assert_eq!(check(&good, None).unwrap(), (checkpoint(5), good.clone()));
    assert!(check(&good, Some(ORIGIN)).is_ok());
    assert!(check(&good, Some("log.example")).is_err());
    assert!(matches!(check(&signed(5, &[1, 2]), None), Err(Error::Unwitnessed)));
    assert!(matches!(check(&signed(5, &[]), None), Err(Error::Unwitnessed)));

    // A listed witness that is wrong refuses, even where the others are enough; a stranger does not.
    let mut with_wrong = good.clone();
    with_wrong.add(signed(6, &[3]).signatures()[1].clone()).unwrap();
    assert!(matches!(check(&with_wrong, None), Err(Error::WrongSignature { .. })));
    assert!(matches!(policy.is_met_by(&with_wrong), Err(Error::WrongSignature { .. })));
    let mut with_stranger = good.clone();
    with_stranger.add(signed(6, &[9]).signatures()[1].clone()).unwrap();
    assert!(check(&with_stranger, None).is_ok());

    // The same witness twice is one witness.
    let mut twice = signed(5, &[1, 4]);
    twice.add(good.signatures()[1].clone()).unwrap();
    assert!(matches!(check(&twice, None), Err(Error::Unwitnessed)));

    // Witnesses alone are no log, and another log's key is not this one's.
    let unsigned = checkpoint(5).sign(&[&witness(1), &witness(2), &witness(4)], 1_790_000_000).unwrap();
    assert!(policy.is_met_by(&unsigned).unwrap());
    assert!(matches!(check(&unsigned, None), Err(Error::Unsigned)));
    let foreign = Checkpoint::new("other.example", 5, leaf_hash(b"")).unwrap().sign(&[&log()], 0).unwrap();
    let accepting = read(&format!("log {}\nquorum none\n", log_key()));
    assert!(matches!(accepting.check(foreign.to_string().as_bytes(), None), Err(Error::Unsigned)));
    assert!(accepting.check(signed(5, &[]).to_string().as_bytes(), None).is_ok());
    let no_log = read("quorum none\n");
    assert!(matches!(no_log.check(good.to_string().as_bytes(), None), Err(Error::Unsigned)));
    assert!(no_log.is_met_by(&good).unwrap());
}

#[test]
fn a_wrong_signature_of_another_listed_log_refuses() {
    let other = Ed25519Signer::from_seed("other.example", &[5; 32]).unwrap();
    let policy = read(&format!("log {}\nlog {}\nquorum none\n", log_key(), other.verifier_key()));
    let mut note = signed(5, &[]);
    note.add(NoteSignature::new(other.name(), other.id(), vec![0; 64]).unwrap()).unwrap();
    assert!(matches!(policy.check(note.to_string().as_bytes(), None), Err(Error::WrongSignature { .. })));
    let mut note = signed(5, &[]);
    note.add(NoteSignature::new(other.name(), other.id(), other.sign(note.text(), 0).unwrap()).unwrap()).unwrap();
    policy.check(note.to_string().as_bytes(), Some(ORIGIN)).unwrap();
}

#[test]
fn a_log_and_a_witness_may_both_sign_with_ml_dsa() {
    let log = MlDsaCosigner::from_seed(ORIGIN, &[11; 32]).unwrap();
    let witness = MlDsaCosigner::from_seed("w.example", &[12; 32]).unwrap();
    let text = format!("log {}\nwitness w {}\nquorum w\n", log.verifier_key(), witness.verifier_key());
    let policy = read(&text);
    assert_eq!(policy.to_string(), text);
    let mut note = checkpoint(7).sign(&[&log], 1_790_000_000).unwrap();
    assert!(matches!(policy.check(note.to_string().as_bytes(), None), Err(Error::Unwitnessed)));
    note.add(witness.cosign(&checkpoint(7), 1_790_000_001).unwrap()).unwrap();
    policy.check(note.to_string().as_bytes(), Some(ORIGIN)).unwrap();
}

#[test]
fn proofs_are_checked_under_a_policy() {
    let leaf = leaf_hash(b"the only entry");
    let checkpoint = Checkpoint::new(ORIGIN, 1, leaf).unwrap();
    let mut note = checkpoint.sign(&[&log()], 0).unwrap();
    note.add(witness(1).cosign(&checkpoint, 1).unwrap()).unwrap();
    let proof = TlogProof { index: 0, hashes: Vec::new(), checkpoint: note, extra: None };
    let policy = |quorum: &str| {
        read(&format!("log {}\nwitness a {}\nwitness b {}\nquorum {quorum}\n", log_key(), witness_key(1), witness_key(2)))
    };
    assert_eq!(proof.check(&leaf, &policy("a"), None).unwrap(), checkpoint);
    assert!(matches!(proof.check(&leaf, &policy("b"), None), Err(Error::Unwitnessed)));
    assert!(matches!(proof.check(&leaf_hash(b"another"), &policy("a"), None), Err(Error::Proof { .. })));
    assert!(proof.check(&leaf, &policy("a"), Some("other.example")).is_err());
}

/// A policy of groups within groups, as text, and what its quorum means by a definition of its own.
#[derive(Debug, Clone)]
enum Rule {
    Witness(usize),
    AtLeast(usize, Vec<Rule>),
}

impl Rule {
    fn holds(&self, cosigned: &BTreeSet<usize>) -> bool {
        match self {
            Self::Witness(number) => cosigned.contains(number),
            Self::AtLeast(threshold, members) => members.iter().filter(|member| member.holds(cosigned)).count() >= *threshold,
        }
    }

    /// Writes the lines that the rule needs, and returns its name.
    fn write(&self, lines: &mut String, groups: &mut usize) -> String {
        match self {
            Self::Witness(number) => format!("w{number}"),
            Self::AtLeast(threshold, members) => {
                let names: Vec<String> = members.iter().map(|member| member.write(lines, groups)).collect();
                *groups += 1;
                lines.push_str(&format!("group g{groups} {threshold} {}\n", names.join(" ")));
                format!("g{groups}")
            }
        }
    }
}

/// Rules whose witnesses are numbered in order, so that none is named twice.
fn rule() -> impl Strategy<Value = (Rule, usize)> {
    let shape = Just(Rule::Witness(0)).prop_recursive(3, 12, 4, |inner| {
        (prop::collection::vec(inner, 1..4), any::<prop::sample::Index>())
            .prop_map(|(members, threshold)| Rule::AtLeast(threshold.index(members.len()) + 1, members))
    });
    shape.prop_map(|mut rule| {
        let mut count = 0;
        number(&mut rule, &mut count);
        (rule, count)
    })
}

fn number(rule: &mut Rule, count: &mut usize) {
    match rule {
        Rule::Witness(own) => {
            *own = *count;
            *count += 1;
        }
        Rule::AtLeast(_, members) => members.iter_mut().for_each(|member| number(member, count)),
    }
}

proptest! {
    #[test]
    fn quorums_mean_what_their_definition_says((rule, count) in rule(), cosigned in prop::collection::btree_set(0usize..40, 0..40)) {
        let mut text: String =
            (0..count).map(|number| format!("witness w{number} {}\n", seeded("x", number.try_into().unwrap()))).collect();
        let quorum = rule.write(&mut text, &mut 0);
        text.push_str(&format!("quorum {quorum}\n"));
        let policy = read(&text);
        prop_assert_eq!(policy.to_string(), text);
        let met = policy.is_met(&|witness| cosigned.contains(&witness.name[1..].parse().unwrap()));
        prop_assert_eq!(met, rule.holds(&cosigned));
    }

    #[test]
    fn damaged_policies_do_not_panic_and_what_is_read_prints_and_reads_back(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut text = example().into_bytes();
        for (position, byte) in edits {
            let at = position.index(text.len());
            text[at] = byte;
        }
        if let Ok(policy) = Policy::parse(&text) {
            prop_assert_eq!(read(&policy.to_string()), policy);
        }
    }
}
