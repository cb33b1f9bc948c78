//! The log of a city: its terms, its filler, its witnesses, and what happens when a disk is set back.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common;
use crate::common::{City, OPERATOR, library_card};
use serde_json::{Value, json};
use usufruct_app::log::{
    self, Checkpoint, CosignatureVerifier, Cosigner, Ed25519Cosigner, Error as LogError, Hash, MlDsaCosigner, Note, Policy,
    Response, Transport, VerifierKey, checkpoint, leaf_hash, merkle,
};
use usufruct_app::store::leaves;
use usufruct_app::{Error, Publication};
use usufruct_core::statement::{LEAF_PREFIX, StatementKind};
use usufruct_core::time::SECOND;

const ORIGIN: &str = "city.test/log";

/// Witnesses by address, each with two keys, and the tree it stands at.
struct Network(Mutex<Vec<Place>>);

struct Place {
    url: &'static str,
    cosigners: Vec<Box<dyn Cosigner>>,
    size: u64,
    root: Hash,
    note: String,
    answers: bool,
    shows: bool,
}

impl Network {
    fn new(urls: &[&'static str]) -> Arc<Self> {
        let places = urls.iter().zip(1..).map(|(url, seed)| Place {
            url,
            cosigners: vec![
                Box::new(Ed25519Cosigner::from_seed(url, &[seed; 32]).unwrap()),
                Box::new(MlDsaCosigner::from_seed(url, &[seed + 100; 32]).unwrap()),
            ],
            size: 0,
            root: log::empty_root(),
            note: String::new(),
            answers: true,
            shows: true,
        });
        Arc::new(Self(Mutex::new(places.collect())))
    }

    fn with<T>(&self, url: &str, work: impl FnOnce(&mut Place) -> T) -> T {
        work(self.0.lock().unwrap().iter_mut().find(|place| place.url == url).unwrap())
    }

    /// Any `quorum` of them, by either key.
    fn policy(&self, quorum: usize) -> String {
        let places = self.0.lock().unwrap();
        let mut text = String::new();
        for (number, place) in places.iter().enumerate() {
            for (kind, cosigner) in place.cosigners.iter().enumerate() {
                text += &format!("witness w{number}-{kind} {} http://{}\n", cosigner.verifier_key(), place.url);
            }
            text += &format!("group w{number} all w{number}-0 w{number}-1\n");
        }
        let members: Vec<_> = (0..places.len()).map(|number| format!("w{number}")).collect();
        format!("{text}group enough {quorum} {}\nquorum enough", members.join(" "))
    }
}

impl Transport for Network {
    fn post(&self, url: &str, _: &str, body: &[u8]) -> log::Result<Response> {
        let url = url.strip_prefix("http://").unwrap().strip_suffix("/add-checkpoint").unwrap();
        let body = std::str::from_utf8(body).unwrap();
        self.with(url, |place| {
            if !place.answers {
                return Err(LogError::outside("the network", "no answer"));
            }
            let (head, note) = body.split_once("\n\n").unwrap();
            let mut lines = head.lines();
            let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
            let proof: Vec<Hash> = lines.map(|line| Hash::from_base64(line).unwrap()).collect();
            let checkpoint: Checkpoint = Note::parse(note.as_bytes()).unwrap().text().parse().unwrap();
            let answer =
                |status, body: String| Ok(Response { status, content_type: "text/plain".into(), body: body.into_bytes() });
            if old != place.size {
                return answer(409, format!("{}\n", place.size));
            }
            let is_consistent = match (old, old == checkpoint.size()) {
                (_, true) => place.root == *checkpoint.root() && proof.is_empty(),
                (0, _) => proof.is_empty(),
                _ => merkle::verify_consistency(old, checkpoint.size(), &proof, &place.root, checkpoint.root()).is_ok(),
            };
            if !is_consistent {
                return answer(422, String::new());
            }
            (place.size, place.root, place.note) = (checkpoint.size(), *checkpoint.root(), note.to_owned());
            let lines =
                place.cosigners.iter().map(|cosigner| format!("{}\n", cosigner.cosign(&checkpoint, 1_767_225_600).unwrap()));
            answer(200, lines.collect())
        })
    }

    fn get(&self, url: &str) -> log::Result<Response> {
        let (url, _) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        self.with(url, |place| {
            let status = if place.shows { 200 } else { 404 };
            Ok(Response { status, content_type: String::new(), body: place.note.clone().into_bytes() })
        })
    }
}

fn terms(city: &City, policy: &str, filler: i64) -> Value {
    json!({"origin": ORIGIN, "vkeys": city.app.log_vkeys(), "receipt_vkey": city.app.receipt_vkey(), "policy": policy,
        "merge_delay_seconds": 60, "checkpoint_seconds": 10, "filler": {"events": filler, "seconds": 2}, "fail_open": false})
}

fn public(city: &City) -> (Checkpoint, Note) {
    let key: VerifierKey = city.app.log_vkey().parse().unwrap();
    checkpoint::fetch(&**city.app.log_objects(), ORIGIN, &[&key.verifier().unwrap()]).unwrap()
}

fn event_leaves(city: &City) -> usize {
    let all = city.app.db().read(|conn| leaves::range(conn, 0, 100_000)).unwrap();
    all.iter().filter(|(_, leaf)| !leaf.starts_with(&LEAF_PREFIX)).count()
}

fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    common::on_postgres(name, test);
}

#[test]
fn checkpoints_carry_both_signatures_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let city = City::found(dir.path(), None);
    city.app.publish_log().unwrap();
    let (_, note) = public(&city);
    let keys: Vec<VerifierKey> = city.app.log_vkeys().iter().map(|key| key.parse().unwrap()).collect();
    let verifiers: Vec<_> = keys.iter().map(|key| key.any_verifier().unwrap()).collect();
    assert_eq!(verifiers.len(), 2);
    for verifier in &verifiers {
        assert_eq!(note.verified_by(&[&**verifier]).unwrap().len(), 1);
    }
}

#[test]
fn filler_hides_how_little_happened() {
    on_both("filler", |dir, url| {
        let city = City::found(dir, url);
        let (_, subject) = city.cardholder();
        city.app.publish_log().unwrap();
        city.publish(StatementKind::Log, "log_city", OPERATOR, terms(&city, "quorum none", 6));
        city.app.publish_log().unwrap();
        let before = (event_leaves(&city), city.app.published_size());

        // Nothing, two uses, and more than the filler in one interval each.
        let mut growth = Vec::new();
        for uses in [0, 2, 6, 9] {
            city.clock.advance(2 * SECOND);
            assert!(city.app.is_publication_due().unwrap());
            let public = city.app.published_size();
            for _ in 0..uses {
                city.app.release(&city.request(&subject)).unwrap();
            }
            city.app.publish_log().unwrap();
            assert!(!city.app.is_publication_due().unwrap(), "the beat is fixed");
            growth.push(city.app.published_size() - public);
        }
        assert_eq!(growth, [6, 6, 6, 9]);
        assert_eq!(event_leaves(&city), before.0 + 27);
        let leaves = city.app.db().read(|conn| leaves::range(conn, before.1, 100)).unwrap();
        assert!(leaves.iter().all(|(_, leaf)| leaf.len() == 66 && leaf.starts_with(&[1, 2])));
        // A pause of three intervals is made up for.
        city.clock.advance(6 * SECOND);
        city.app.publish_log().unwrap();
        assert_eq!(event_leaves(&city), before.0 + 27 + 18);
    });
}

#[test]
fn terms_that_do_not_fit_the_log_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let city = City::found(dir.path(), None);
    let spoil = |field: &str, value: Value| {
        let mut body = terms(&city, "quorum none", 0);
        body[field] = value;
        let by = OPERATOR.parse().unwrap();
        let mut statement = city.app.statement(StatementKind::Log, "log_city", &by, body, city.app.now());
        city.signer(OPERATOR).iter().for_each(|signer| statement.approve(signer).unwrap());
        city.app.publish(&Publication { statements: vec![statement] })
    };
    let stranger = Ed25519Cosigner::from_seed(ORIGIN, &[9; 32]).unwrap().verifier_key().to_string();
    assert!(matches!(spoil("vkeys", json!([stranger])), Err(Error::Refused { .. })));
    assert!(matches!(spoil("receipt_vkey", json!(stranger)), Err(Error::Refused { .. })));
    assert!(matches!(spoil("origin", json!("other.test/log")), Err(Error::Refused { .. })));
    assert!(matches!(spoil("policy", json!("quorum nobody")), Err(Error::Log(LogError::Malformed { .. }))));
    assert!(spoil("merge_delay_seconds", json!(30)).is_ok());
}

#[test]
fn no_checkpoint_is_public_without_its_witnesses() {
    on_both("witnesses", |dir, url| {
        let network = Network::new(&["one.test", "two.test", "three.test"]);
        let city = City::found_with(dir, url, Some(network.clone()));
        let policy = network.policy(2);
        city.publish(StatementKind::Log, "log_city", OPERATOR, terms(&city, &policy, 0));
        city.app.publish_log().unwrap();
        let (first, note) = public(&city);
        let parsed: Policy = format!("log {}\n{policy}\n", city.app.log_vkey()).parse().unwrap();
        parsed.check(note.to_string().as_bytes(), Some(ORIGIN)).unwrap();
        assert_eq!(city.app.announced().witnessed, first.size());

        // One of three may be away; two may not.
        network.with("one.test", |place| place.answers = false);
        let (_, subject) = city.cardholder();
        city.app.publish_log().unwrap();
        let (second, _) = public(&city);
        assert!(second.size() > first.size());
        network.with("two.test", |place| place.answers = false);
        city.app.release(&city.request(&subject)).unwrap();
        city.app.publish_log().unwrap();
        assert_eq!(public(&city).0, second, "the last good checkpoint stays");
        assert!(city.app.log_proof(second.size(), None).unwrap().is_none());
        network.with("one.test", |place| place.answers = true);
        city.clock.advance(120 * SECOND);
        city.app.publish_log().unwrap();
        let (third, note) = public(&city);
        assert_eq!(third.size(), second.size() + 1);
        parsed.check(note.to_string().as_bytes(), Some(ORIGIN)).unwrap();

        // The proof of the new leaf stands by itself, under the policy.
        let proof = city.app.log_proof(second.size(), None).unwrap().unwrap();
        let leaf = city.app.db().read(|conn| leaves::range(conn, second.size(), 1)).unwrap().remove(0).1;
        let (head, _) = parsed.check(proof.checkpoint.to_string().as_bytes(), Some(ORIGIN)).unwrap();
        merkle::verify_inclusion(proof.index, head.size(), &leaf_hash(&leaf), &proof.hashes, head.root()).unwrap();

        // Without anything new the cosignatures are renewed.
        assert!(!city.app.is_publication_due().unwrap());
        city.clock.advance(11 * SECOND);
        assert!(city.app.is_publication_due().unwrap());
    });
}

#[test]
fn a_mandate_may_wait_for_the_witnesses() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new(&["one.test"]);
    let city = City::found_with(dir.path(), None, Some(network.clone()));
    let mut body = library_card();
    body["gate"] = json!("witnessed");
    city.publish_mandate("mdt_short", body);
    let resident = city.enrol(1)[0];
    let short = "mdt_short".parse().unwrap();
    city.app.consent_at_counter(resident, &common::service(), &short, &[]).unwrap();
    let subject = city.app.subject(resident, &common::service()).unwrap();
    let mut request = city.request(&subject);
    request.mandate = short;
    assert!(matches!(city.app.release(&request), Err(Error::Unpublished)), "no witness is named yet");
    city.publish(StatementKind::Log, "log_city", OPERATOR, terms(&city, &network.policy(1), 0));
    let released = city.app.release(&request).unwrap();
    assert!(city.app.announced().witnessed > released.index);
    network.with("one.test", |place| place.answers = false);
    city.clock.advance(SECOND);
    assert!(matches!(city.app.release(&request), Err(Error::Unpublished)));
}

#[test]
fn yesterdays_disk_does_not_start() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let network = Network::new(&["one.test", "two.test"]);
    {
        let city = City::found_with(dir.path(), None, Some(network.clone()));
        city.publish(StatementKind::Log, "log_city", OPERATOR, terms(&city, &network.policy(1), 0));
        city.app.publish_log().unwrap();
    }
    copy_dir(dir.path(), copy.path());
    {
        let city = City::try_open(dir.path(), None, "2026-01-02T00:00:00Z", 2, Some(network.clone())).unwrap();
        city.cardholder();
        city.app.publish_log().unwrap();
    }
    let again = |dir: &Path| City::try_open(dir, None, "2026-01-03T00:00:00Z", 3, Some(network.clone())).map(drop);
    again(dir.path()).unwrap();
    let error = again(copy.path()).unwrap_err();
    assert!(matches!(&error, Error::Log(LogError::Contradiction { .. })), "{error}");
    assert!(error.to_string().contains("one.test") || error.to_string().contains("two.test"), "{error}");
    // A witness that cannot show what it says it has seen is reason enough at the start.
    for url in ["one.test", "two.test"] {
        network.with(url, |place| place.shows = false);
    }
    let error = again(copy.path()).unwrap_err();
    assert!(matches!(&error, Error::Log(LogError::Ahead { .. })), "{error}");
}

#[test]
fn a_city_without_one_of_its_keys_does_not_start_with_another_one() {
    on_both("keys", |dir, url| {
        drop(City::found(dir, url));
        for name in ["log", "log-ml-dsa", "receipt", &format!("{OPERATOR}.automation")] {
            let (file, aside) = (dir.join(format!("keys/{name}.seed")), dir.join("aside"));
            std::fs::rename(&file, &aside).unwrap();
            let error = City::try_open(dir, url, "2026-01-02T00:00:00Z", 2, None).map(drop).unwrap_err();
            assert!(error.to_string().contains(&format!("keys/{name}.seed")), "{error}");
            assert!(!file.exists(), "{name}");
            std::fs::rename(&aside, &file).unwrap();
        }
        City::open(dir, url, "2026-01-02T00:00:00Z", 2).app.publish_log().unwrap();
    });
}

#[test]
fn a_second_process_takes_over_and_the_first_one_stops() {
    on_both("second", |dir, url| {
        let city = City::found(dir, url);
        let (_, subject) = city.cardholder();
        let embedded = format!("sqlite:{}", dir.join("usufruct.db").display());
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir, copy.path());
        let second = City::open(copy.path(), Some(url.unwrap_or(&embedded)), "2026-01-02T00:00:00Z", 2);
        let error = city.app.release(&city.request(&subject)).map(drop).unwrap_err();
        assert!(matches!(error, Error::Store(usufruct_app::store::db::Error::Superseded {})), "{error}");
        assert!(city.app.publish_log().is_err());
        second.app.release(&second.request(&subject)).unwrap();
        second.app.publish_log().unwrap();
    });
}

#[test]
fn a_clock_set_back_stops_the_signing() {
    let dir = tempfile::tempdir().unwrap();
    let city = City::found(dir.path(), None);
    city.cardholder();
    city.app.publish_log().unwrap();
    city.clock.advance(-60 * SECOND);
    city.enrol(1);
    assert!(matches!(city.app.publish_log(), Err(Error::Log(LogError::ClockBack { .. }))));
    city.clock.advance(60 * SECOND);
    city.app.publish_log().unwrap();
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_network_of_these_tests_is_an_honest_witness() {
    let network = Network::new(&["one.test"]);
    let signer = log::Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let note = Checkpoint::new(ORIGIN, 0, log::empty_root()).unwrap().sign(&[&signer], 1).unwrap();
    let answer = network.post("http://one.test/add-checkpoint", "", format!("old 0\n\n{note}").as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    let key = network.with("one.test", |place| place.cosigners[0].verifier_key().clone());
    let mut cosigned = note;
    for line in String::from_utf8(answer.body).unwrap().lines() {
        cosigned.add(log::NoteSignature::parse(line).unwrap()).unwrap();
    }
    assert_eq!(cosigned.verified_by(&[&CosignatureVerifier::new(key).unwrap()]).unwrap().len(), 1);
}
