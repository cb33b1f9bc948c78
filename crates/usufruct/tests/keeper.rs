//! The root with three keepers, each a program of its own: founding, losing one or two, sleeping, coming back from an old copy,
//! being replaced, and strangers at the door.

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::store::{Store, on_every_store};
use crate::common::{fails, ok};
use crate::insider::{Insider, now};
use crate::town::{NAMES, ORIGIN, Town};
use crate::visitor::Visitor;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::vault::Epoch;
use usufruct_app::vault::hpke::PrivateKey;
use usufruct_app::vault::keeper::{Facts, SEALED, Share};
use usufruct_core::Digest;
use usufruct_core::statement::{Statement, StatementKind};

/// A service whose pseudonyms need two keepers.
const GARDEN: &str = "agency = \"agc_information\"\nname = { en = \"Garden\", zh-Hant = \"花園\" }\nsector = \"garden\"\nprofile = \"oidc\"\n\
    pseudonym_mode = \"two_keeper\"\nredirect_uris = [\"https://garden.example/back\"]\nchannels = [\"web\"]\n\
    alternatives = [{ en = \"Come by.\", zh-Hant = \"親自前往。\" }]\nhelp = { en = \"Flowers.\", zh-Hant = \"花。\" }\n";

/// A page of the pass.
fn page(url: &str, path: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\naccept-language: en\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

on_every_store!(
    a_city_is_founded_with_keepers_and_its_certificates_show_them,
    losing_one_keeper_costs_nothing_and_losing_two_stops_erasures,
    a_keeper_that_sleeps_holds_nobody_up,
    a_keeper_restored_from_an_old_copy_refuses_until_it_knows_and_destroys_what_is_over,
    a_keeper_is_replaced_by_the_ceremony,
    a_pass_with_its_root_in_a_file_goes_to_keepers,
    a_keeper_holds_the_second_key_of_pseudonyms,
);

fn a_city_is_founded_with_keepers_and_its_certificates_show_them(store: &Store) {
    let town = Town::founded("keepers-founded", store);
    let pass = town.at("pass");
    assert!(!Path::new(&format!("{pass}/vault/root")).exists(), "the city has no root of its own");
    town.enrol();
    town.erase();
    let (server, _) = town.serve();
    town.erase();
    town.enrol();
    let status = town.status();
    assert!(status.contains("3 of 3 answer; 3 have their share, and 2 bring the root back"), "{status}");
    for name in NAMES {
        let row = town.row(name);
        assert_eq!((&row[1][..], &row[4][..]), ("yes", "yes"), "{status}");
        assert_eq!(row[2], row[3], "it holds what it is at, and nothing else: {status}");
    }
    // A keeper may see the counters of the others.
    let keepers = ok(&["keeper", "status", "--data-dir", &town.at("court"), "--roster", &town.at("keepers.toml")]);
    assert!(keepers.contains("3 of 3 answer") && !keepers.contains("forged"), "{keepers}");
    let doctor = ok(&["doctor", "--data-dir", &pass]);
    assert!(doctor.contains("3 keepers (class E3); 3 have their share"), "{doctor}");
    assert!(doctor.contains("names the keepers of the set-up"), "{doctor}");
    assert!(server.stop());

    let certificates = town.certificates();
    assert_eq!(certificates.len(), 2);
    for certificate in &certificates {
        let said = ok(&["verify", "certificate", &certificate.id, "--log", &pass]);
        assert!(said.contains("class E3") && said.contains("verified"), "{said}");
        assert!(certificate.body["keepers"].as_array().unwrap().len() >= 2);
    }
    // Nothing secret goes into a backup.
    ok(&["backup", "--data-dir", &pass, "--to", &town.at("backups")]);

    // The terms are what is the case, or they are refused.
    let [_, head, _, protection] = town.officials();
    let publish = |text: &str, code: i32| {
        let file = town.folder.write("terms.toml", text);
        let output = common::run(&["publish", "vault", &file, "--key", &head, "--key", &protection, "--data-dir", &pass]);
        assert_eq!(output.status.code(), Some(code), "{}{}", common::out(&output), common::err(&output));
        common::err(&output)
    };
    assert!(publish("slot_class = \"E0\"\nthreshold = 0\nkeepers = []\nbackup_days = 35\n", 1).contains("slot of class E3"));
    assert!(publish("threshold = 3\nbackup_days = 35\n", 1).contains("2 keepers bring the root back"));
    publish("backup_days = 7\n", 0);
    assert!(ok(&["doctor", "--data-dir", &pass]).contains("names the keepers of the set-up"));
}

fn losing_one_keeper_costs_nothing_and_losing_two_stops_erasures(store: &Store) {
    let mut town = Town::founded("keepers-lost", store);
    let (server, _) = town.serve();
    town.take("court").kill();
    town.erase();
    town.enrol();
    let doctor = ok(&["doctor", "--data-dir", &town.at("pass")]);
    assert!(doctor.contains("See to court"), "{doctor}");

    town.take("archive").kill();
    let said = town.cannot_erase();
    assert!(said.contains("Too few keepers"), "{said}");
    fails(&["keeper", "status", "--data-dir", &town.at("pass")], 1);
    assert!(fails(&["doctor", "--data-dir", &town.at("pass")], 1).contains("Nothing can be erased"));

    // They come back, and what was asked for is done without being asked again.
    town.certified(1);
    town.start("archive");
    town.certified(2);
    town.enrol();
    // The one that slept through it is brought its share.
    town.start("court");
    let epoch = town.row("office")[2].clone();
    town.wait("court", |row| row[2] == epoch && row[3] == epoch && row[4] == "yes");
    // As does one that lost all it held but its keys.
    town.stop("archive");
    fs::remove_dir_all(town.at("archive/vault")).unwrap();
    town.start("archive");
    town.wait("archive", |row| row[2] == epoch && row[3] == epoch);
    town.take("office").kill();
    town.erase();
    assert!(server.stop());
    // Two are enough for a start, and one is not.
    town.erase();
    town.stop("archive");
    let said = town.cannot_erase();
    assert!(said.contains("keepers that are needed") && said.contains("archive"), "{said}");
    town.start("archive");
    town.wait("archive", |row| row[4] == "yes");
    town.erase();
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn a_keeper_that_sleeps_holds_nobody_up(store: &Store) {
    let town = Town::founded("keepers-slow", store);
    let (server, url) = town.serve();
    town.erase();
    let court = &town.keepers.iter().find(|(name, _)| name == "court").unwrap().1;
    court.signal("STOP");
    let begun = Instant::now();
    town.erase();
    town.enrol();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    town.certified(2);
    let (signed, said) = town.newest_certificate();
    assert_eq!(signed, ["archive", "office"]);
    assert!(said.contains("2 of 3 keepers have signed") && said.contains("court (court) has not signed"), "{said}");
    let id = town.certificates().pop().unwrap().id;
    let shown = page(&url, &format!("/register/certificates/{id}"));
    assert!(shown.contains("data-testid=\"keepers-silent\"") && shown.contains("\"silent\":1"), "{shown}");
    court.signal("CONT");
    let epoch = town.row("office")[2].clone();
    town.wait("court", |row| row[2] == epoch && row[3] == epoch);
    // What it signs now is added to the certificate that it slept through.
    let is_signed = || town.newest_certificate().0 == ["archive", "office", "court"];
    for _ in 0..120 {
        if is_signed() {
            break;
        }
        thread::sleep(Duration::from_millis(250));
    }
    assert!(is_signed(), "{:?}", town.newest_certificate());
    let (_, said) = town.newest_certificate();
    assert!(said.contains("revision 2") && !said.contains("of 3 keepers have signed"), "{said}");
    assert!(said.contains("court (court) has signed"), "{said}");
    let shown = page(&url, &format!("/register/certificates/{id}"));
    assert!(!shown.contains("keepers-silent") && shown.contains("\"silent\":null"), "{shown}");
    assert!(server.stop());
    // Also a start does not hang on it.
    court.signal("STOP");
    town.erase();
    court.signal("CONT");
}

fn a_keeper_restored_from_an_old_copy_refuses_until_it_knows_and_destroys_what_is_over(store: &Store) {
    let mut town = Town::founded("keepers-restored", store);
    town.erase();
    town.stop("court");
    let copied = Command::new("cp").args(["-a", &town.at("court"), &town.at("court-old")]).status().unwrap();
    assert!(copied.success());
    town.start("court");
    town.erase();
    town.erase();
    let epoch = town.row("office")[2].clone();
    let put_back = |town: &mut Town| {
        town.stop("court");
        fs::remove_dir_all(town.at("court")).unwrap();
        assert!(Command::new("cp").args(["-a", &town.at("court-old"), &town.at("court")]).status().unwrap().success());
    };
    put_back(&mut town);
    // Alone it knows nothing, and gives nothing away.
    town.stop("office");
    town.stop("archive");
    town.start("court");
    let row = town.row("court");
    assert_eq!(row[4], "no", "{row:?}");
    assert_ne!(row[2], epoch);
    let said = town.cannot_erase();
    assert!(said.contains("keepers that are needed"), "{said}");
    // One other might lie: it is believed enough to withhold what may be over, and not enough to destroy it.
    town.start("office");
    town.wait("court", |row| row[4] == "told" && row[5] == epoch);
    assert_ne!(town.row("court")[3], "nothing");
    fails(&["keeper", "status", "--data-dir", &town.at("pass")], 1);
    // Two cannot both be the one that may.
    town.start("archive");
    town.wait("court", |row| row[2] == epoch && row[3] == "nothing" && row[4] == "yes");
    town.wait("archive", |row| row[4] == "yes");
    town.erase();
    let row = town.row("court");
    assert_eq!(row[2], row[3], "it takes part again");
}

fn a_keeper_is_replaced_by_the_ceremony(store: &Store) {
    let mut town = Town::founded("keepers-replaced", store);
    town.enrol();
    town.erase();
    // The court burns down, with its folder.
    town.take("court").kill();
    town.erase();
    town.enter("university");
    let roster = ok(&[
        "keeper",
        "roster",
        "--from",
        &town.at("keepers.toml"),
        "--replace",
        "court",
        "--entry",
        &town.at("university.toml"),
    ]);
    town.folder.write("new.toml", &roster);
    for name in ["office", "archive"] {
        town.stop(name);
        town.start_with(name, "new.toml");
    }
    town.start_with("university", "new.toml");
    for name in ["office", "archive"] {
        // The city still has the old roster, in which these two are the same.
        town.wait(name, |row| row[4] == "yes");
    }
    let before = town.row("office")[2].parse::<u64>().unwrap();
    let keys = town.officials();
    let mut replace: Vec<String> = ["keeper", "replace", "--data-dir"].map(str::to_owned).into();
    replace.extend([town.at("pass"), "--roster".to_owned(), town.at("new.toml")]);
    let one: Vec<&str> = replace.iter().map(String::as_str).chain(keys[..2].iter().map(String::as_str)).collect();
    assert!(fails(&one, 1).contains("roles"), "one official alone replaces nobody");
    let both: Vec<&str> = replace.iter().chain(&keys).map(String::as_str).collect();
    let said = ok(&both);
    assert!(said.contains("university keeps"), "{said}");
    let row = town.row("university");
    assert!(row[2].parse::<u64>().unwrap() > before, "{row:?}");
    assert_eq!(row[2], row[3]);
    assert!(fails(&both, 1).contains("does not differ"), "twice is not possible");

    // The new one counts: with one of the others lost everything goes on, and certificates hold from outside.
    town.take("office").kill();
    town.erase();
    for certificate in town.certificates() {
        ok(&["verify", "certificate", &certificate.id, "--log", &town.at("pass")]);
    }
    // The lost one comes back with what it had. Nobody listens to it, and it cannot learn that it is not an old copy.
    town.start("court");
    let said = ok(&["keeper", "status", "--data-dir", &town.at("pass")]);
    assert!(!said.contains("court"), "{said}");
}

fn a_pass_with_its_root_in_a_file_goes_to_keepers(store: &Store) {
    let mut town = Town::new("keepers-adopt", store);
    let pass = town.at("pass");
    town.init(&[]);
    town.enrol();
    town.erase();
    assert!(town.certificates().iter().all(|certificate| certificate.body["slot_class"] == "E0"));
    let keys = town.officials();
    let mut adopt: Vec<String> = ["keeper", "adopt", "--data-dir"].map(str::to_owned).into();
    adopt.extend([pass.clone(), "--roster".to_owned(), town.at("keepers.toml")]);
    adopt.extend(keys);
    let adopt: Vec<&str> = adopt.iter().map(String::as_str).collect();
    town.stop("archive");
    assert!(fails(&adopt, 1).contains("keepers that are needed"), "all must be there");
    town.erase();
    town.start("archive");
    let said = ok(&adopt);
    assert!(said.contains("3 keepers hold the root"), "{said}");
    assert!(!Path::new(&format!("{pass}/vault/root")).exists());
    assert!(fails(&adopt, 1).contains("not in a file"));
    town.enrol();
    town.erase();
    let last = town.certificates().pop().unwrap();
    assert_eq!(last.body["slot_class"], "E3");
    for certificate in town.certificates() {
        ok(&["verify", "certificate", &certificate.id, "--log", &pass]);
    }
}

#[test]
fn strangers_and_garbage_are_refused_and_change_nothing() {
    let store = Store::sqlite();
    let town = Town::founded("keepers-strangers", &store);
    town.erase();
    let (port, before) = (town.port("court"), town.row("court"));
    let city = Visitor::of(&town.at("pass"));
    let standing = city.post(port, "/standing", b"{}").unwrap();
    let epoch = standing.1["counter"].as_u64().unwrap();

    // Without TLS, without a certificate, with one that nobody knows, with the certificate of another without its key.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"POST /standing HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{said:?}");
    assert!(Visitor { own: None, version: &rustls::version::TLS13 }.post(port, "/standing", b"{}").is_none());
    town.enter("stranger");
    assert!(Visitor::of(&town.at("stranger")).post(port, "/standing", b"{}").is_none());
    let (certificate, _) = city.own.clone().unwrap();
    let (_, key) = Visitor::of(&town.at("stranger")).own.unwrap();
    let thief = Visitor { own: Some((certificate, key)), version: &rustls::version::TLS13 };
    assert!(thief.post(port, "/standing", b"{}").is_none());
    let old = Visitor { version: &rustls::version::TLS12, ..Visitor::of(&town.at("pass")) };
    assert!(old.post(port, "/standing", b"{}").is_none(), "TLS 1.3 only");

    // Each has its questions, and no others.
    let keeper = Visitor::of(&town.at("office"));
    let own = PrivateKey::from_bytes([3; 32]);
    let key = URL_SAFE_NO_PAD.encode(own.public().bytes());
    let ask = |epoch: u64, key: &str| json!({ "vault": ORIGIN, "epoch": epoch, "key": key }).to_string();
    let share = ask(epoch, &key);
    let nonce = json!({ "nonce": "00".repeat(16) }).to_string();
    for (path, body) in [
        ("/standing", "{}"),
        ("/key", "{}"),
        ("/share", &share),
        ("/keep-only", &share),
        ("/keep-from", &share),
        ("/prepare", &share),
    ] {
        let (status, answer) = keeper.post(port, path, body.as_bytes()).unwrap();
        assert_eq!((status, answer["why"].is_string()), (403, true), "{path}");
    }
    assert_eq!(city.post(port, "/counter", nonce.as_bytes()).unwrap().0, 403);
    let (status, told) = keeper.post(port, "/counter", nonce.as_bytes()).unwrap();
    assert_eq!((status, told["counter"].as_u64().unwrap()), (200, epoch));
    let (status, given) = city.post(port, "/share", share.as_bytes()).unwrap();
    assert_eq!((status, given["x"].as_u64().unwrap()), (200, 2));
    assert_eq!(URL_SAFE_NO_PAD.decode(given["sealed"].as_str().unwrap()).unwrap().len(), SEALED);

    let sealed = URL_SAFE_NO_PAD.encode([7; SEALED]);
    let prepare = |change: &dyn Fn(&mut Value)| {
        let mut body =
            json!({ "vault": ORIGIN, "epoch": epoch + 1, "x": 2, "key": key, "sealed": sealed, "check": "00".repeat(32) });
        change(&mut body);
        body.to_string()
    };
    let garbage: [(&str, String, u16); 20] = [
        ("/prepare", String::new(), 400),
        ("/prepare", "[]".to_owned(), 400),
        ("/prepare", "\u{0}\u{0}".to_owned(), 400),
        ("/prepare", prepare(&|body| body["x"] = json!(0)), 400),
        ("/prepare", prepare(&|body| body["x"] = json!(256)), 400),
        ("/prepare", prepare(&|body| body["epoch"] = json!(-1)), 400),
        ("/prepare", prepare(&|body| body["epoch"] = json!("1")), 400),
        ("/prepare", prepare(&|body| body["sealed"] = json!("AAAA")), 400),
        ("/prepare", prepare(&|body| body["key"] = json!("AAAA")), 400),
        ("/prepare", prepare(&|body| body["share"] = json!(URL_SAFE_NO_PAD.encode([7; 32]))), 400),
        ("/key", json!({ "key": key }).to_string(), 400),
        ("/prepare", prepare(&|body| body["check"] = json!("00")), 400),
        ("/prepare", prepare(&|body| body["more"] = json!(1)), 400),
        ("/prepare", prepare(&|_| ()), 409),
        ("/keep-only", json!({ "vault": ORIGIN, "epoch": 0 }).to_string(), 400),
        ("/keep-only", json!({ "vault": ORIGIN, "epoch": 0, "check": "00".repeat(32) }).to_string(), 409),
        ("/share", ask(epoch + 9, &key), 409),
        ("/share", ask(epoch, &URL_SAFE_NO_PAD.encode([0; 32])), 400),
        ("/counter", "{}".to_owned(), 403),
        ("/nothing", "{}".to_owned(), 404),
    ];
    for (path, body, expected) in &garbage {
        let (status, answer) = city.post(port, path, body.as_bytes()).unwrap();
        assert_eq!((status, answer["why"].is_string()), (*expected, true), "{path} {body} {answer}");
        assert!(!answer.to_string().contains(&sealed), "what was sent is never said again");
    }
    // What is sealed to a key of the keeper is refused for what it says, and the key is gone with it.
    let (zeros, share) = (Digest([0; 32]), Share { x: 2, y: [7; 32] });
    let facts = |vault, epoch| Facts { vault, epoch: Epoch(epoch), x: 2, check: &zeros };
    let put = |facts: &Facts<'_>, change: &dyn Fn(&mut Value)| {
        let (status, answer) = city.prepare(port, &share, facts, change).unwrap();
        (status, answer["why"].as_str().unwrap_or_default().to_owned())
    };
    let said = put(&facts("other.example/log", epoch + 1), &|_| ());
    assert!(said.0 == 409 && said.1.contains("another key tree"), "{said:?}");
    let said = put(&facts(ORIGIN, 0), &|_| ());
    assert!(said.0 == 409 && said.1.contains("is destroyed"), "{said:?}");
    let changes: [&dyn Fn(&mut Value); 4] = [
        &|body| body["epoch"] = json!(epoch + 2),
        &|body| body["x"] = json!(3),
        &|body| body["check"] = json!("01".repeat(32)),
        &|body| body["sealed"] = json!(sealed),
    ];
    for change in changes {
        let said = put(&facts(ORIGIN, epoch + 1), change);
        assert!(said.0 == 400 && said.1.contains("does not open with its key"), "{said:?}");
    }
    let kept = RefCell::new(Value::Null);
    put(&facts(ORIGIN, 0), &|body| *kept.borrow_mut() = body.clone());
    let (status, answer) = city.post(port, "/prepare", kept.take().to_string().as_bytes()).unwrap();
    assert!(status == 409 && answer["why"].as_str().unwrap().contains("was used already"), "{answer}");
    let (status, answer) = city.post(port, "/prepare", &vec![b'1'; 100_000]).unwrap();
    assert_eq!((status, answer), (413, json!({ "why": "the question is too long" })));
    let mut get = city.connect(port).unwrap();
    get.write_all(b"GET /standing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    let _ = get.read_to_string(&mut said);
    assert!(said.contains("405") && said.contains(r#"{"why":"every call is a POST"}"#), "{said}");
    // Whoever has the city's key does not end the city with one word to each keeper.
    for (change, why) in
        [(0, "it has signed for its share"), (2, "no other keeper says that it is so far"), (1 << 62, "no other keeper")]
    {
        let (status, answer) = put(&facts(ORIGIN, epoch + change), &|_| ());
        assert_eq!(status, 409);
        assert!(answer.contains(why), "{answer}");
    }
    for path in ["/keep-only", "/keep-from"] {
        let order = json!({ "vault": ORIGIN, "epoch": epoch, "check": "00".repeat(32) }).to_string();
        let (status, answer) = city.post(port, path, order.as_bytes()).unwrap();
        assert_eq!(status, 409);
        assert!(answer["why"].as_str().unwrap().contains("not of the root that the order names"), "{answer}");
        let body = json!({ "vault": ORIGIN, "epoch": 9_000_000_000_000_000_000_u64, "check": "00".repeat(32) }).to_string();
        let (status, answer) = city.post(port, path, body.as_bytes()).unwrap();
        assert_eq!(status, 409);
        assert!(answer["why"].as_str().unwrap().contains("it holds no share of epoch 9000000000000000000"), "{answer}");
    }
    assert_eq!(keeper.post(port, "/counter", br#"{"nonce":"00"}"#).unwrap().0, 400);
    assert_eq!(town.row("court"), before, "nothing was changed");

    // A question that is too long is answered also to one that goes on writing, wherever it goes; one without end is cut off.
    let piece = [b'1'; 50_000];
    for (path, expected) in [("/prepare", 413), ("/sectors", 413), ("/nothing", 413)] {
        let answer = city.post_slowly(port, path, &[&piece[..]; 20], Duration::from_millis(20));
        assert_eq!(answer.map(|(status, _)| status), Some(expected), "{path}");
    }
    let mut endless = city.connect(port).unwrap();
    endless.write_all(b"POST /prepare HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n").unwrap();
    let written = (0..1_000).take_while(|_| endless.write_all(&piece).is_ok()).count();
    assert!(written < 1_000, "it is read without end");

    // Whoever says half of it and sleeps is cut off, and holds nobody up meanwhile.
    let mut slow = city.connect(port).unwrap();
    slow.write_all(b"POST /standing HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").unwrap();
    town.erase();
    let mut said = String::new();
    let _ = slow.read_to_string(&mut said);
    assert!(said.contains("408"), "{said}");
}

fn a_keeper_holds_the_second_key_of_pseudonyms(store: &Store) {
    let town = Town::founded("keepers-pseudonyms", store);
    let (pass, setup) = (town.at("pass"), town.at("pass/usufruct.toml"));
    let (file, officials) = (town.folder.write("garden.toml", GARDEN), town.officials());
    let mut publish = vec!["publish", "service", &file, "--data-dir", &pass];
    publish.extend(officials.iter().map(String::as_str));
    // Nobody holds the second key yet, and then somebody who is not in the roster.
    assert!(fails(&publish, 1).contains("need a second keeper"));
    let plain = fs::read_to_string(&setup).unwrap();
    let naming = |keeper: &str| plain.replacen("[vault]\n", &format!("[vault]\npseudonym_keeper = \"{keeper}\"\n"), 1);
    fs::write(&setup, naming("nobody")).unwrap();
    assert!(fails(&publish, 1).contains("names no keeper nobody"));
    fs::write(&setup, naming("court")).unwrap();
    ok(&publish);
    let keys = |keeper: &str| -> Vec<String> {
        let names = fs::read_dir(town.at(&format!("{keeper}/sectors"))).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with("sector-")).collect()
    };
    let [key] = &keys("court")[..] else { panic!("{:?}", keys("court")) };
    assert!(keys("office").is_empty() && keys("archive").is_empty());
    let stored = fs::read(town.at(&format!("court/sectors/{key}"))).unwrap();
    assert_eq!((&stored[..8], stored.len()), (&b"UFSECTOR"[..], 512));

    // The city may have pseudonyms made; the other keepers may not, and nobody for another city.
    let sector: u64 = key["sector-".len()..].parse().unwrap();
    let question = |act: u8, vault: &str, blocks: usize| {
        let head = [&[act, u8::try_from(vault.len()).unwrap()], vault.as_bytes(), &sector.to_be_bytes()[..]].concat();
        [head, vec![7; 16 * blocks]].concat()
    };
    let (city, keeper, port) = (Visitor::of(&pass), Visitor::of(&town.at("office")), town.port("court"));
    let status = |visitor: &Visitor, body: &[u8]| visitor.post(port, "/sectors", body).unwrap().0;
    assert_eq!(status(&city, &question(2, ORIGIN, 10_000)), 200);
    assert_eq!(status(&city, &question(2, ORIGIN, 10_001)), 400);
    assert_eq!(status(&city, &question(2, "other.example/log", 1)), 409);
    assert_eq!(status(&city, &question(9, ORIGIN, 1)), 400);
    assert_eq!(status(&city, b"{}"), 400);
    for act in 1..=4 {
        assert_eq!(status(&keeper, &question(act, ORIGIN, usize::from(act == 2 || act == 3))), 403);
    }
    assert_eq!(fs::read(town.at(&format!("court/sectors/{key}"))).unwrap(), stored, "nothing was changed");
    assert_eq!(status(&city, &question(4, ORIGIN, 0)), 200);
    assert_eq!(fs::read(town.at(&format!("court/sectors/{key}"))).unwrap(), vec![0; 512]);
    assert_eq!(status(&city, &question(3, ORIGIN, 1)), 410);
    assert_eq!(status(&city, &question(1, ORIGIN, 0)), 410, "what ended stays ended");
}

#[test]
fn a_city_with_its_root_in_a_file_may_have_a_second_keeper_too() {
    let store = Store::sqlite();
    let mut town = Town::new("keepers-second", &store);
    town.init(&[]);
    let (pass, setup) = (town.at("pass"), town.at("pass/usufruct.toml"));
    fs::copy(town.at("keepers.toml"), format!("{pass}/keepers.toml")).unwrap();
    let plain = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, plain.replacen("[vault]\n", "[vault]\npseudonym_keeper = \"court\"\n", 1)).unwrap();
    let (file, officials) = (town.folder.write("garden.toml", GARDEN), town.officials());
    let signed = |words: &[&str]| {
        let officials = officials.iter().map(String::as_str);
        ok(&words.iter().copied().chain(officials).chain(["--data-dir", &pass]).collect::<Vec<_>>())
    };
    signed(&["publish", "service", &file]);
    let names = fs::read_dir(town.at("court/sectors")).unwrap().map(|entry| entry.unwrap().path());
    let [key] = &names.filter(|path| path.display().to_string().contains("sector-")).collect::<Vec<_>>()[..] else {
        panic!("one key")
    };
    assert!(ok(&["doctor", "--data-dir", &pass]).contains("court holds the second key of pseudonyms, and answers"));
    town.stop("court");
    assert!(fails(&["doctor", "--data-dir", &pass], 1).contains("Nobody signs in"));

    // The service closes while the keeper is away. The city's key goes at once, the keeper's when it is back.
    let reasons = ["--reason-en", "Open to all.", "--reason-zh", "開放。"];
    let said = signed(&[&["service", "close", "svc_garden"], &reasons[..]].concat());
    assert!(said.contains("the key of the pseudonyms of `garden` is destroyed"), "{said}");
    let (server, _) = town.serve();
    town.certified(1);
    assert!(fs::read(key).unwrap().iter().any(|byte| *byte != 0));
    town.start("court");
    for _ in 0..120 {
        if fs::read(key).unwrap() == vec![0; 512] {
            break;
        }
        thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(fs::read(key).unwrap(), vec![0; 512]);
    assert!(server.stop());
}

#[test]
fn a_certificate_with_forged_signatures_of_keepers_is_refused() {
    let store = Store::sqlite();
    let town = Town::founded("keepers-forged", &store);
    town.erase();
    town.erase();
    let city = Insider::of(&town.at("pass"));
    let is_certificate =
        |leaf: &Vec<u8>| Statement::from_leaf(leaf).is_ok_and(|statement| statement.kind == StatementKind::Certificate);
    let at = city.leaves.iter().rposition(is_certificate).unwrap();
    let first = Statement::from_leaf(&city.leaves[city.find(StatementKind::Certificate, "E3")]).unwrap();
    let honest = Statement::from_leaf(&city.leaves[at]).unwrap();
    assert_ne!(first.id, honest.id);
    let (before, one) = (honest.body["epoch_before"].clone(), honest.body["keepers"][0].clone());
    let earlier = first.body["keepers"].as_array().unwrap().clone();
    let log = town.at("log");
    let verify = ["verify", "certificate", &honest.id, "--log", &log];
    city.publish(&log, &city.leaves, now());
    assert!(ok(&verify).contains("class E3"));
    let publish = |change: &dyn Fn(&mut Value)| {
        let mut body = honest.body.clone();
        body["keepers"].as_array_mut().unwrap().iter_mut().for_each(change);
        let leaves = &city.leaves[..at];
        let forged = city.statement(leaves, StatementKind::Certificate, &honest.id, body, &["automation"]);
        city.publish(&log, &[leaves, &[forged]].concat(), now());
    };
    publish(&|_| ());
    ok(&verify);
    let other = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change<'_>); 6] = [
        ("signed by another key", &|signed| {
            let text = |field: &str| signed[field].as_str().unwrap().to_owned();
            let number = |field: &str| signed[field].as_u64().unwrap();
            let (vault, name) = (text("vault"), text("keeper"));
            let made = usufruct_core::keeper::Destroyed::sign(&vault, &name, number("epoch"), number("at"), &other);
            *signed = json!(made);
        }),
        // These signatures are genuine; they are about another epoch, or all of one keeper.
        ("of the erasure before", &|signed| {
            let own = earlier.iter().find(|statement| statement["keeper"] == signed["keeper"]);
            *signed = own.unwrap_or(&earlier[0]).clone();
        }),
        ("of one keeper for all", &|signed| *signed = one.clone()),
        ("about an earlier epoch", &|signed| signed["epoch"] = before.clone()),
        ("in another's name", &|signed| signed["keeper"] = json!("office")),
        ("at another time", &|signed| signed["at"] = json!(1)),
    ];
    for (what, change) in cases {
        publish(change);
        let said = fails(&verify, 1);
        assert!(said.contains("broken") && said.contains("Too few keepers"), "{what}: {said}");
    }
}

#[test]
fn a_roster_that_does_not_fit_starts_nothing() {
    let store = Store::sqlite();
    let mut town = Town::new("keepers-roster", &store);
    town.stop("court");
    let text = fs::read_to_string(town.at("keepers.toml")).unwrap();
    let changed = |from: &str, to: &str| town.folder.write("other.toml", &text.replace(from, to));
    let init = |roster: &str| {
        let dir = town.at("pass");
        let names = ["--operator-name", "City", "--operator-name-zh", "市", "--origin", ORIGIN, "--data-dir", &dir];
        fails(&[&["init", "--keepers", roster], &names[..]].concat(), 1)
    };
    assert!(init(&changed(ORIGIN, "other.example/log")).contains("The roster is about other.example/log"));
    assert!(init(&changed("threshold = 2", "threshold = 1")).contains("threshold"));
    ok(&["keeper", "city", "--data-dir", &town.at("elsewhere"), "--origin", ORIGIN]);
    let dir = town.at("elsewhere");
    let names = ["--operator-name", "City", "--operator-name-zh", "市", "--origin", ORIGIN, "--data-dir", &dir];
    let said = fails(&[&["init", "--keepers", &town.at("keepers.toml")], &names[..]].concat(), 1);
    assert!(said.contains("certificate of the city"), "{said}");
    let serve = |roster: &str| fails(&["keeper", "serve", "--data-dir", &town.at("court"), "--roster", roster], 1);
    assert!(serve(&changed("\"court\"", "\"other\"")).contains("does not name court"));
    assert!(fails(&["keeper", "init", "--data-dir", &town.at("court"), "--name", "x", "--vault", ORIGIN], 1).contains("already"));
    // All must be there when a city is founded.
    let names = ["--operator-name", "City", "--operator-name-zh", "市", "--origin", ORIGIN, "--data-dir", &town.at("pass")]
        .map(str::to_owned);
    let mut init = vec!["init".to_owned(), "--keepers".to_owned(), town.at("keepers.toml")];
    init.extend(names);
    let init: Vec<&str> = init.iter().map(String::as_str).collect();
    assert!(fails(&init, 1).contains("Only 2 of 3 keepers"));
    town.start("court");
    ok(&init);
}

#[test]
fn the_key_by_which_keepers_know_the_city_is_replaced() {
    let store = Store::sqlite();
    let mut town = Town::founded("keepers-city-key", &store);
    town.erase();
    let thief = Visitor::of(&town.at("pass"));
    assert_eq!(thief.post(town.port("court"), "/standing", b"{}").unwrap().0, 200);
    for name in ["keeper-tls.seed", "keeper-tls.cert"] {
        fs::rename(town.at(&format!("pass/keys/{name}")), town.at(name)).unwrap();
    }
    let city = ok(&["keeper", "city", "--data-dir", &town.at("pass"), "--origin", ORIGIN]);
    town.folder.write("city.toml", &city);
    let entries = NAMES.map(|name| town.at(&format!("{name}.toml")));
    let [office, court, archive] = &entries;
    let city = town.at("city.toml");
    let roster = ["keeper", "roster", "--vault", ORIGIN, "--threshold", "2", "--city", &city, "--entry", office];
    let roster = ok(&[&roster[..], &["--entry", court, "--entry", archive]].concat());
    town.folder.write("keepers.toml", &roster);
    fs::write(town.at("pass/keepers.toml"), &roster).unwrap();
    for name in NAMES {
        town.stop(name);
        town.start(name);
    }
    for name in NAMES {
        town.wait(name, |row| row[4] == "yes");
        assert!(thief.post(town.port(name), "/standing", b"{}").is_none(), "{name} does not know the old key");
    }
    ok(&["rotate", "root", "--data-dir", &town.at("pass")]);
    town.erase();
    let row = town.row("court");
    assert_eq!(row[2], row[3]);
}

/// Somebody has the city's key and begins an epoch of its own with every keeper. The server says so, and goes on from memory.
#[test]
fn a_running_city_outlives_a_thief_of_its_key() {
    let store = Store::sqlite();
    let mut town = Town::founded("keepers-thief", &store);
    town.enrol();
    town.erase();
    let epoch: u64 = town.row("court")[2].parse().unwrap();
    let thief = Visitor::of(&town.at("pass"));
    let digest = Digest([0xab; 32]);
    let check = "ab".repeat(32);
    let prepare = |port: u16, epoch: u64, place: usize| {
        let x = u8::try_from(place + 1).unwrap();
        let facts = Facts { vault: ORIGIN, epoch: Epoch(epoch), x, check: &digest };
        thief.prepare(port, &Share { x, y: [7; 32] }, &facts, &|_| ()).unwrap().0
    };
    let order = |epoch: u64| json!({ "vault": ORIGIN, "epoch": epoch, "check": check }).to_string().into_bytes();

    // One call to each, with the server stopped: refused, or no more than something beside what counts.
    for (x, name) in NAMES.iter().enumerate() {
        let port = town.port(name);
        for (epoch, status) in [(epoch, 409), (epoch + 1, 200), (epoch + 2, 409), (u64::MAX, 409)] {
            assert_eq!(prepare(port, epoch, x), status, "{name} {epoch}");
        }
    }
    town.erase();
    let epoch = epoch + 1;
    let (server, _) = town.serve();
    for name in NAMES {
        town.wait(name, |row| row[2] == epoch.to_string() && row[3] == row[2]);
    }

    // Two calls to each end a stopped city. This one runs.
    for (x, name) in NAMES.iter().enumerate() {
        let port = town.port(name);
        assert_eq!(prepare(port, epoch + 1, x), 200);
        assert_eq!(thief.post(port, "/keep-from", &order(epoch + 1)).unwrap().0, 200);
    }
    let doctor = fails(&["doctor", "--data-dir", &town.at("pass")], 1);
    assert!(doctor.contains("at an epoch that this pass has not reached: office, court, archive"), "{doctor}");
    let said = town.cannot_erase();
    assert!(said.contains("Too few keepers"), "{said}");
    // The keepers begin again with nothing but their keys, and the server brings them their shares.
    for name in NAMES {
        town.stop(name);
        fs::remove_dir_all(town.at(&format!("{name}/vault"))).unwrap();
    }
    NAMES.iter().for_each(|name| town.start(name));
    for name in NAMES {
        town.wait(name, |row| row[2] == row[3] && row[2].parse::<u64>().is_ok_and(|at| at >= epoch));
    }
    // What could not be erased is erased without being asked again.
    town.certified(3);
    let doctor = ok(&["doctor", "--data-dir", &town.at("pass")]);
    assert!(!doctor.contains("has not reached"), "{doctor}");
    assert!(server.stop());
    town.erase();
}
