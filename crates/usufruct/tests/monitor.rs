//! The monitor against an insider: what he does to a log, and the code it is found under.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Folder, Server, err, fails, ok, out, program, run};
use crate::insider;
use crate::insider::{Insider, noise, now};
use serde_json::{Value, json};
use usufruct_app::log::witnessing::origin_hash;
use usufruct_app::log::{Cosigner, Ed25519Cosigner, Note, NoteSignature};
use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;

fn city(folder: &Folder) -> Insider {
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "5", "--data-dir", &dir, "--load-only"]);
    Insider::of(&dir)
}

/// Looks once, and answers the exit code and the codes of what is open.
fn look(log: &str, state: &str, more: &[&str]) -> (i32, Vec<String>) {
    let output = run(&[&["verify", log, "--state", state, "--json"], more].concat());
    let lines: Vec<Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let open = lines.iter().filter(|line| line["severity"] != "info" && line["cleared"] != true);
    let code = output.status.code().unwrap();
    assert!(code != 2, "{}", err(&output));
    (code, open.map(|line| line["code"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn what_an_insider_does_to_the_history_is_found() {
    let folder = Folder::new("history");
    let city = city(&folder);
    let log = folder.at("log");
    let honest = &city.leaves;
    let size = honest.len();
    let cases: [(&str, Vec<Vec<u8>>, &str); 5] = [
        ("a line is deleted", [&honest[..size - 9], &honest[size - 8..]].concat(), "log-shrank"),
        ("a line is replaced", [&honest[..size - 9], &[noise(1)], &honest[size - 8..]].concat(), "log-forked"),
        ("a line is deleted and others follow", [&honest[..60], &honest[61..], &[noise(1), noise(2)]].concat(), "log-forked"),
        ("two lines change places", swapped(honest, size - 3, size - 2), "log-forked"),
        ("it is set back", honest[..size - 1].to_vec(), "log-shrank"),
    ];
    for (number, (what, leaves, code)) in cases.iter().enumerate() {
        let state = folder.at(&format!("state-{number}.json"));
        city.publish(&log, honest, now());
        assert_eq!(look(&log, &state, &[]), (0, vec![]), "{what}");
        city.publish(&log, leaves, now());
        assert_eq!(look(&log, &state, &[]), (1, vec![(*code).to_owned()]), "{what}");
        let kept: Vec<_> = fs::read_dir(folder.at(&format!("state-{number}.evidence"))).unwrap().collect();
        assert_eq!(kept.len(), 2, "both checkpoints: {what}");
        for file in kept {
            Note::parse(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        }
        // Back on the honest path a fork stays proven; a log that shrank has grown again.
        city.publish(&log, &[honest.as_slice(), &[noise(3)]].concat(), now());
        let (after, open) = look(&log, &state, &[]);
        assert_eq!((after, open.is_empty()), if *code == "log-forked" { (1, false) } else { (0, true) }, "{what}");
    }
}

#[test]
fn what_an_insider_writes_into_the_log_is_found() {
    let folder = Folder::new("leaves");
    let city = city(&folder);
    let log = folder.at("log");
    let honest = &city.leaves;
    let certificate = city.find(StatementKind::Certificate, "\"cause\":\"sunset\"");
    let sunset = city.find(StatementKind::StatusChange, "\"to\":\"sunset\"");
    let mut broken = honest[3].clone();
    broken[40] ^= 1;
    let with = |leaf: Vec<u8>| [honest.as_slice(), &[leaf]].concat();
    let key = city.find(StatementKind::Key, "\"mandate\":\"mdt_library-card\"");
    let cases: [(&str, Vec<Vec<u8>>, &str); 9] = [
        ("neither statement nor event", with(b"hello".to_vec()), "leaf-unknown"),
        ("an event of 67 bytes", with([noise(1), vec![0]].concat()), "leaf-unknown"),
        ("no canonical JSON", with(b"\x01\x01{ }".to_vec()), "statement-malformed"),
        ("a statement that stands there already", with(honest[3].clone()), "statement-unlawful"),
        ("a byte of a statement is changed", with(broken), "statement-unlawful"),
        ("two statements change places", swapped(honest, 0, 1), "statement-unlawful"),
        ("no certificate", honest[..certificate].to_vec(), "certificate-overdue"),
        ("a key kept back", [&honest[..key], &honest[key + 1..]].concat(), "key-unpublished"),
        ("no sunset", honest[..sunset].to_vec(), "sunset-overdue"),
    ];
    for (number, (what, leaves, code)) in cases.iter().enumerate() {
        city.publish(&log, leaves, now());
        let state = folder.at(&format!("state-{number}.json"));
        let (exit, open) = look(&log, &state, &[]);
        assert!(exit == 1 && open.contains(&(*code).to_owned()), "{what}: {open:?}");
        assert_eq!(look(&log, &state, &[]).1, open, "it stays: {what}");
    }
}

#[test]
fn what_an_insider_does_to_the_files_is_found() {
    let folder = Folder::new("files");
    let city = city(&folder);
    let (log, state) = (folder.at("log"), folder.at("state.json"));
    city.publish(&log, &city.leaves, now());
    assert_eq!(look(&log, &state, &[]), (0, vec![]));
    let last = format!("{:03}.p/{}", city.leaves.len() / 256, city.leaves.len() % 256);
    for (file, code) in [
        (format!("tile/entries/{last}"), "tile-wrong"),
        (format!("tile/0/{last}"), "tile-wrong"),
        ("tags/000".to_owned(), "tag-index-wrong"),
        ("checkpoint".to_owned(), "checkpoint-unsigned"),
    ] {
        let path = Path::new(&log).join(&file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        // In a checkpoint this is a digit of its size.
        let at = if file == "checkpoint" { city.origin.len() + 1 } else { whole.len() - 1 };
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(look(&log, &state, &[]), (1, vec![code.to_owned()]), "{file}");
        fs::remove_file(&path).unwrap();
        if file.starts_with("tile") {
            assert_eq!(look(&log, &state, &[]), (1, vec!["tile-missing".to_owned()]), "{file}");
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(look(&log, &state, &[]), (0, vec![]), "{file}");
    }
    // A log by another hand.
    let other = Folder::new("other");
    let stranger = self::city(&other);
    stranger.publish(&log, &stranger.leaves, now());
    assert_eq!(look(&log, &state, &[]).1, ["checkpoint-unsigned"]);
    assert_eq!(look(&log, &state, &["--vkey", &stranger.vkeys()[0]]).0, 1, "another key than before");
}

#[test]
fn a_mirror_is_found_by_its_prefix_and_the_key() {
    let folder = Folder::new("prefix");
    let city = city(&folder);
    let copy = folder.at(&format!("mirror/{}", origin_hash(&city.origin)));
    fs::create_dir_all(&copy).unwrap();
    city.publish(&copy, &city.leaves, now());
    let (mirror, state, key) = (folder.at("mirror"), folder.at("state.json"), &city.vkeys()[0]);
    fails(&["verify", &mirror, "--state", &state], 2);
    ok(&["verify", "log", &mirror, "--state", &state, "--vkey", key]);
    let policy = folder.write("policy", &format!("log {key}\nquorum none\n"));
    ok(&["verify", &mirror, "--state", &state, "--policy", &policy]);
}

#[test]
fn witnesses_and_keys_are_those_that_are_declared() {
    let folder = Folder::new("witnesses");
    let city = city(&folder);
    let (log, state) = (folder.at("log"), folder.at("state.json"));
    let witness = |n: u8| Ed25519Cosigner::from_seed(&format!("witness-{n}.example"), &[n; 32]).unwrap();
    let policy = (1..=3).map(|n| format!("witness w{n} {}\n", witness(n).verifier_key())).collect::<String>()
        + "group two 2 w1 w2 w3\nquorum two";
    let leaves = [city.leaves.as_slice(), &[city.terms(&city.leaves, json!({ "policy": policy, "fail_open": false }))]].concat();
    let note = city.publish(&log, &leaves, now());
    assert_eq!(look(&log, &state, &[]), (1, words(&["quorum-missing", "witness-late", "witness-late", "witness-late"])));

    let cosigned = |note: &Note, witnesses: &[u8], at: u64| {
        let mut note = note.clone();
        for n in witnesses {
            note.add(witness(*n).cosign(&note.text().parse().unwrap(), at).unwrap()).unwrap();
        }
        fs::write(Path::new(&log).join("checkpoint"), note.to_string()).unwrap();
        note
    };
    cosigned(&note, &[1, 3], now());
    assert_eq!(look(&log, &state, &[]), (0, words(&["witness-late"])));
    cosigned(&note, &[1, 2, 3], now() + 1_000);
    assert_eq!(look(&log, &state, &[]), (0, words(&["clock-off", "clock-off", "clock-off"])));
    let mut forged = cosigned(&note, &[1, 2], now());
    forged.add(NoteSignature::new("witness-3.example", witness(3).verifier_key().id(), vec![7; 72]).unwrap()).unwrap();
    fs::write(Path::new(&log).join("checkpoint"), forged.to_string()).unwrap();
    assert_eq!(look(&log, &state, &[]), (1, words(&["cosignature-wrong"])));

    // One's own policy is stricter than that of the log.
    cosigned(&note, &[1, 2], now());
    let own = folder.write("own.policy", &format!("witness mine {}\nquorum mine\n", witness(3).verifier_key()));
    assert_eq!(look(&log, &state, &["--policy", &own]), (1, words(&["quorum-missing", "witness-late"])));
    assert_eq!(look(&log, &state, &[]), (0, words(&["witness-late"])));

    // A declared key that does not sign, and one that signs and is not declared.
    let terms = city.terms(&leaves, json!({ "vkeys": [city.vkeys()[1]], "policy": "quorum none" }));
    let leaves = [leaves.as_slice(), &[terms]].concat();
    let note = city.publish(&log, &leaves, now());
    assert_eq!(look(&log, &state, &[]), (1, words(&["key-undeclared"])));
    let text = note.to_string();
    let line = text.lines().filter(|line| line.starts_with('\u{2014}')).nth(1).unwrap();
    fs::write(Path::new(&log).join("checkpoint"), text.replace(&format!("{line}\n"), "")).unwrap();
    assert_eq!(look(&log, &state, &[]), (1, words(&["key-undeclared", "signature-missing"])));
}

#[test]
fn a_log_that_is_watched_is_reported_as_it_changes() {
    let folder = Folder::new("follow");
    let city = city(&folder);
    let (log, state) = (folder.at("log"), folder.at("state.json"));
    let (hook, posts) = webhook();
    let terms = json!({ "checkpoint_seconds": 1, "filler": { "events": 5, "seconds": 1 } });
    let mut leaves = [city.leaves.as_slice(), &[city.terms(&city.leaves, terms)]].concat();
    let late = ["--late", "60"];
    city.publish(&log, &leaves, now() - 50);
    let mut watch = Watch::start(&log, &state, &[&late[..], &["--webhook", &hook]].concat());
    watch.wait("info", "terms");
    // Fifty seconds without filler.
    leaves.push(noise(1));
    city.publish(&log, &leaves, now());
    watch.wait("finding", "filler-short");
    // The log goes away for a while.
    let aside = folder.at("aside");
    fs::rename(&log, &aside).unwrap();
    watch.wait("warning", "log-unreachable");
    fs::rename(&aside, &log).unwrap();
    watch.wait("cleared", "log-unreachable");
    // Nobody signs any more.
    city.publish(&log, &leaves, now() - 100);
    watch.wait("finding", "checkpoint-stale");
    city.publish(&log, &leaves, now());
    watch.wait("cleared", "checkpoint-stale");
    // Another history.
    let forked = [&leaves[..leaves.len() - 1], &[noise(2), noise(3)]].concat();
    city.publish(&log, &forked, now());
    let fork = watch.wait("finding", "log-forked");
    assert_eq!(fork["evidence"].as_array().unwrap().len(), 2);
    city.publish(&log, &[forked.as_slice(), &[noise(4)]].concat(), now());
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(watch.stop(), 1);

    let posted = |code: &str, cleared: bool| {
        let posts = posts.lock().unwrap();
        posts.iter().filter(|post| post["code"] == code && post["cleared"].as_bool().unwrap_or(false) == cleared).count()
    };
    assert_eq!((posted("log-forked", false), posted("checkpoint-stale", false), posted("checkpoint-stale", true)), (1, 1, 1));
    assert_eq!(posts.lock().unwrap().iter().filter(|post| post["severity"] == "warning").count(), 0);

    // A new process knows what was reported.
    let mut again = Watch::start(&log, &state, &[&late[..], &["--webhook", &hook]].concat());
    again.wait("info", "still-open");
    again.wait("info", "checkpoint");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(again.stop(), 1);
    assert_eq!(posted("log-forked", false), 1, "reported once");

    // With another memory it starts at a finding of its own, and may end there.
    city.publish(&log, &[leaves.as_slice(), &[b"hello".to_vec()]].concat(), now());
    let fresh = folder.at("fresh.json");
    fails(&["verify", &log, "--state", &fresh, "--follow", "--interval", "1", "--until-finding", "--late", "60"], 1);
}

#[test]
fn a_running_city_has_nothing_to_hide() {
    let folder = Folder::new("running");
    let dir = folder.at("demo");
    let port = free_ports();
    let (server, url) =
        Server::start(&["demo", "--residents", "5", "--data-dir", &dir, "--listen", &format!("127.0.0.1:{port}")], &dir);
    let state = folder.at("state.json");
    let mut watch = Watch::start(&url, &state, &[]);
    // The first look may come before the terms are public.
    let mut terms = watch.wait("info", "terms");
    if terms["message"].as_str().unwrap().contains("declares nothing") {
        terms = watch.wait("info", "terms");
    }
    assert!(terms["message"].as_str().unwrap().contains("2 event leaves every 1 s"), "{terms}");
    thread::sleep(Duration::from_secs(12));
    assert_eq!(watch.stop(), 0);
    let report = ok(&["verify", &url, "--state", &state]);
    assert!(report.contains("are unchanged") && !report.contains("tag-index-absent"), "{report}");
    assert!(server.stop());
    fails(&["verify", &url, "--state", &state], 2);
}

#[test]
fn a_site_that_serves_another_verifier_is_found() {
    let folder = Folder::new("site");
    let city = city(&folder);
    let (site, state) = (folder.at("site"), folder.at("state.json"));
    let file = |text: &str| json!({ "path": "/verifier/index.js", "sha256": sha256(text.as_bytes()) });
    let release =
        city.statement(&city.leaves, StatementKind::Verifier, "ver_one", json!({ "files": [file("honest")] }), &["automation"]);
    city.publish(&folder.at("site/log"), &[city.leaves.as_slice(), &[release]].concat(), now());
    fs::create_dir_all(folder.at("site/verifier")).unwrap();
    fs::write(folder.at("site/verifier/index.js"), "honest").unwrap();
    let url = insider::serve(&site);
    assert_eq!(look(&url, &state, &[]), (0, vec![]));
    fs::write(folder.at("site/verifier/index.js"), "another").unwrap();
    assert_eq!(look(&url, &state, &[]), (1, words(&["verifier-differs"])));
    fs::write(folder.at("site/verifier/index.js"), "honest").unwrap();
    assert_eq!(look(&url, &state, &[]), (0, vec![]));
}

#[test]
fn two_do_not_watch_with_one_memory() {
    let folder = Folder::new("memory");
    let city = city(&folder);
    let (log, state) = (folder.at("log"), folder.at("state.json"));
    city.publish(&log, &city.leaves, now());
    let mut watch = Watch::start(&log, &state, &[]);
    watch.wait("info", "terms");
    assert!(fails(&["verify", &log, "--state", &state], 2).contains("Another process"));
    assert_eq!(watch.stop(), 0);
    // Killed at any moment it leaves a memory that can be read.
    for pause in [0, 30, 60, 90, 150] {
        city.publish(&log, &[city.leaves.as_slice(), &[noise(pause)]].concat(), now());
        let watch = Watch::start(&log, &folder.at("killed.json"), &[]);
        thread::sleep(Duration::from_millis(pause));
        drop(watch);
    }
    look(&log, &folder.at("killed.json"), &[]);
    city.publish(&log, &city.leaves, now());
    ok(&["verify", &log, "--state", &state]);
    fs::write(&state, "{}").unwrap();
    fails(&["verify", &log, "--state", &state], 2);
}

/// A monitor that runs, and its lines.
struct Watch {
    child: Child,
    lines: std::sync::mpsc::Receiver<Value>,
}

impl Watch {
    fn start(log: &str, state: &str, more: &[&str]) -> Self {
        let arguments = ["verify", log, "--state", state, "--follow", "--interval", "1", "--json"];
        let mut child = program().args(arguments).args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    /// Reads on until there is a line of this severity (or that says `cleared`) and code.
    fn wait(&mut self, severity: &str, code: &str) -> Value {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|_| panic!("no {severity} {code} among {seen:#?}"));
            let weight = if line["cleared"] == true { "cleared" } else { line["severity"].as_str().unwrap() };
            if (weight, &line["code"]) == (severity, &json!(code)) {
                return line;
            }
            seen.push(line);
        }
    }

    /// Stops it as an operator would, and answers its exit code.
    fn stop(mut self) -> i32 {
        std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A webhook that refuses every first attempt, and what it took.
fn webhook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let posts = Arc::clone(&taken);
    thread::spawn(move || {
        let mut refused = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let post: Value = serde_json::from_slice(&body).unwrap();
            let status = if refused.contains(&post["id"]) { "204 No Content" } else { "503 Busy" };
            let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            reader.into_inner().write_all(answer.as_bytes()).unwrap();
            if status.starts_with("204") {
                posts.lock().unwrap().push(post);
            } else {
                refused.push(post["id"].clone());
            }
        }
    });
    (url, taken)
}

/// The first of four ports in a row that are free now.
fn free_ports() -> u16 {
    (20_000u16..60_000)
        .step_by(7)
        .map(|first| first + (std::process::id() % 5_000) as u16)
        .find(|first| (*first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .unwrap()
}

fn swapped(leaves: &[Vec<u8>], one: usize, other: usize) -> Vec<Vec<u8>> {
    let mut leaves = leaves.to_vec();
    leaves.swap(one, other);
    leaves
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
