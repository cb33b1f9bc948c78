//! A witness as a program: killed under load, started twice, fed with garbage, its disk taken away, its clock set back.

use std::fs;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::common::noise::{Http, Noise};
use crate::common::{Folder, Server, err, fails, ok, program};
use usufruct_app::log::witnessing::origin_hash;
use usufruct_app::log::{Checkpoint, Note, Response, Transport, VerifierKey};

/// A witness of the log of noise.
struct Place {
    folder: Folder,
    dir: String,
    logs: String,
    keys: Vec<VerifierKey>,
}

impl Place {
    fn new(name: &str, log: &Noise) -> Self {
        let folder = Folder::new(name);
        let (dir, logs) = (folder.at("witness"), folder.write("logs.policy", &format!("log {}\n", log.key)));
        let printed = ok(&["witness", "init", "--data-dir", &dir, "--name", "witness.example"]);
        let keys = printed.lines().map(|line| line.split(' ').nth(2).unwrap().parse().unwrap()).collect();
        Self { folder, dir, logs, keys }
    }

    fn serve(&self) -> [&str; 8] {
        ["witness", "serve", "--data-dir", &self.dir, "--logs", &self.logs, "--listen", "127.0.0.1:0"]
    }

    fn start(&self) -> (Server, String) {
        Server::start_printing(&self.serve())
    }

    fn state(&self, log: &Noise) -> String {
        format!("{}/state/{}.checkpoint", self.dir, origin_hash(log.key.name()))
    }

    /// The lines of the answer are cosignatures by both keys on this checkpoint.
    fn check(&self, answer: &Response, note: &Note) {
        let signed = format!("{note}{}", String::from_utf8(answer.body.clone()).unwrap());
        let signed = Note::parse(signed.as_bytes()).unwrap();
        for key in &self.keys {
            assert_eq!(signed.verified_by(&[&*key.any_verifier().unwrap()]).unwrap().len(), 1, "{key}");
        }
    }
}

fn add(http: &Http, address: &str, body: &[u8]) -> Option<Response> {
    http.post(&format!("{address}/add-checkpoint"), "text/plain", body).ok()
}

/// The size of the latest checkpoint that the witness shows.
fn latest(http: &Http, address: &str, log: &Noise) -> u64 {
    let answer = http.get(&format!("{address}/{}/checkpoint", origin_hash(log.key.name()))).unwrap();
    if answer.status == 404 {
        return 0;
    }
    assert_eq!(answer.status, 200);
    Note::parse(&answer.body).unwrap().text().parse::<Checkpoint>().unwrap().size()
}

#[test]
fn killed_under_load_with_two_histories_at_once_it_has_signed_one() {
    const STEP: u64 = 5;
    let histories = [Noise::new(), Noise::of_history(1)];
    let place = Place::new("killed-witness", &histories[0]);
    let notes: Vec<Vec<Note>> = histories.iter().map(|log| (1..=600).map(|step| log.grow(step * STEP)).collect()).collect();
    let acknowledged: Mutex<Vec<(usize, u64)>> = Mutex::default();
    let most = || acknowledged.lock().unwrap().iter().map(|(_, size)| *size).max().unwrap_or(0);
    let http = Http::new();
    for round in 0..12 {
        let (server, address) = place.start();
        assert!(latest(&http, &address, &histories[0]) >= most(), "what was answered is remembered");
        let (pause, place, before) = (Duration::from_millis(60 + 11 * round), &place, acknowledged.lock().unwrap().len());
        let acknowledged = &acknowledged;
        thread::scope(|scope| {
            for client in 0..4 {
                let (address, notes, log) = (&address, &notes[client % 2], &histories[client % 2]);
                scope.spawn(move || {
                    let (http, mut old) = (Http::new(), 0);
                    while let Some(note) = notes.get((old / STEP) as usize) {
                        let size = old + STEP;
                        let Some(answer) = add(&http, address, &log.request(old, size, note)) else { return };
                        match answer.status {
                            200 => {
                                place.check(&answer, note);
                                acknowledged.lock().unwrap().push((client % 2, size));
                                old = size;
                            }
                            409 => old = String::from_utf8(answer.body).unwrap().trim().parse().unwrap(),
                            // The other history was first, and goes on.
                            422 => thread::sleep(Duration::from_millis(2)),
                            status => panic!("{status}"),
                        }
                    }
                });
            }
            thread::sleep(pause);
            // A slow machine gets as far as a fast one before it is killed.
            let enough = before + 5;
            for _ in 0..500 {
                if acknowledged.lock().unwrap().len() >= enough {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            server.kill();
        });
    }
    let mut acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    assert!(acknowledged.iter().all(|(history, _)| *history == acknowledged[0].0), "two histories were signed");
    acknowledged.sort_unstable();
    acknowledged.dedup();
    let count = acknowledged.len();
    assert_eq!(acknowledged.iter().map(|(_, size)| size).collect::<std::collections::BTreeSet<_>>().len(), count);
}

#[test]
fn garbage_gets_a_status_and_changes_nothing() {
    let log = Noise::new();
    let place = Place::new("garbage-witness", &log);
    let (_server, address) = place.start();
    let http = Http::new();
    let small = log.grow(300);
    let request = log.request(0, 300, &small);
    let large = vec![b'0'; 300_000];
    let bodies: [(&[u8], u16); 9] = [
        (b"", 400),
        (b"\n", 400),
        (b"old x\n\n", 400),
        (&[0xff; 100], 400),
        (&request[..request.len() / 2], 403),
        (&large, 413),
        (b"old 0\n\nother.example/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 o AAAAAAAA\n", 404),
        (b"old 18446744073709551616\n\nnoise.example/log\n1\n", 400),
        (b"old 01\n\nnoise.example/log\n1\n", 400),
    ];
    for (body, status) in bodies {
        let answer = add(&http, &address, body).unwrap();
        assert_eq!(answer.status, status, "{:?} {:?}", String::from_utf8_lossy(&body[..body.len().min(60)]), answer.body);
    }
    for (path, status) in
        [("/", 200), ("/add-checkpoint", 405), ("/nothing", 404), ("/../keys/witness.seed", 404), ("/x/checkpoint", 404)]
    {
        let answer = http.get(&format!("{address}{path}")).unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    for (path, status) in [("/sign-subtree", 400), ("/", 405), ("/nothing", 404)] {
        assert_eq!(http.post(&format!("{address}{path}"), "text/plain", b"x").unwrap().status, status, "{path}");
    }
    assert!(!fs::exists(place.state(&log)).unwrap());
    let answer = add(&http, &address, &request).unwrap();
    assert_eq!(answer.status, 200);
    place.check(&answer, &small);
    assert_eq!(latest(&http, &address, &log), 300);
}

#[test]
fn one_process_holds_a_witness_and_only_with_its_keys_and_an_undamaged_state() {
    let log = Noise::new();
    let place = Place::new("held-witness", &log);
    fails(&["witness", "init", "--data-dir", &place.dir, "--name", "witness.example"], 1);
    let (server, address) = place.start();
    assert!(fails(&place.serve(), 1).contains("Another process holds"));
    let http = Http::new();
    assert_eq!(add(&http, &address, &log.request(0, 9, &log.grow(9))).unwrap().status, 200);
    assert!(server.stop());

    for name in ["witness.seed", "witness-ml-dsa.seed"] {
        let (file, aside) = (format!("{}/keys/{name}", place.dir), place.folder.at("aside"));
        fs::rename(&file, &aside).unwrap();
        assert!(fails(&place.serve(), 1).contains(name));
        assert!(!fs::exists(&file).unwrap(), "a key made anew would be another witness");
        fs::rename(&aside, &file).unwrap();
    }

    let state = place.state(&log);
    let good = fs::read(&state).unwrap();
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        fs::write(&state, &good[..cut]).unwrap();
        let said = fails(&place.serve(), 1);
        assert!(said.contains(&origin_hash(log.key.name())), "cut at {cut}: {said}");
    }
    // One bit of the size, and the name of another log.
    for (from, to) in [("\n9\n", "\n8\n"), ("noise.example", "other.example")] {
        fs::write(&state, String::from_utf8(good.clone()).unwrap().replace(from, to)).unwrap();
        assert!(fails(&place.serve(), 1).contains("damaged"), "{to}");
    }
    fs::write(&state, &good).unwrap();
    let (_server, address) = place.start();
    assert_eq!(latest(&http, &address, &log), 9);
}

/// Starts the witness, makes something wrong with its folder, and asks it to sign. Answers what it says when it ends.
fn ends(place: &Place, request: &[u8], spoil: impl FnOnce()) -> String {
    let mut child = program().args(place.serve()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let address = line.split(" on ").nth(1).and_then(|rest| rest.split(". ").next()).unwrap();
    spoil();
    let answer = add(&Http::new(), &format!("http://{address}"), request);
    assert!(answer.is_none_or(|answer| answer.status == 500), "nothing was signed");
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    err(&output)
}

#[test]
fn without_its_disk_and_with_an_old_clock_it_signs_nothing_and_ends() {
    let log = Noise::new();
    let place = Place::new("spoilt-witness", &log);
    let http = Http::new();
    let (server, address) = place.start();
    assert_eq!(add(&http, &address, &log.request(0, 9, &log.grow(9))).unwrap().status, 200);
    assert!(server.stop());
    let request = log.request(9, 20, &log.grow(20));

    let (folder, aside) = (format!("{}/state", place.dir), place.folder.at("aside"));
    let said = ends(&place, &request, || fs::rename(&folder, &aside).unwrap());
    assert!(said.contains("state") && said.contains("No such file"), "{said}");
    fs::rename(&aside, &folder).unwrap();

    // It has signed later than the clock says now.
    let state = place.state(&log);
    let good = fs::read_to_string(&state).unwrap();
    let (_, note) = good.split_once("\n\n").unwrap();
    fs::write(&state, format!("4000000000\n\n{note}")).unwrap();
    let said = ends(&place, &request, || {});
    assert!(said.contains("clock"), "{said}");
    fs::write(&state, &good).unwrap();

    let (_server, address) = place.start();
    assert_eq!(latest(&http, &address, &log), 9);
    assert_eq!(add(&http, &address, &request).unwrap().status, 200);
}

#[test]
fn a_list_of_logs_that_was_read_again_counts_at_once() {
    let log = Noise::new();
    let place = Place::new("list-witness", &log);
    let request = log.request(0, 9, &log.grow(9));
    let stranger = "log other.example+b1d07e6e+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    fails(&["witness", "serve", "--data-dir", &place.dir, "--logs", &place.folder.at("nothing")], 2);
    place.folder.write("logs.policy", "# none yet\n");
    assert!(fails(&place.serve(), 1).contains("names no log"));
    place.folder.write("logs.policy", &format!("{stranger}\n"));
    assert!(!program().args(place.serve()).output().unwrap().status.success(), "a key of a small order is none");
    place.folder.write("logs.policy", &format!("# origin other.example/log\nlog {}\n", log.key));
    let (server, address) = place.start();
    let http = Http::new();
    assert_eq!(add(&http, &address, &request).unwrap().status, 404);
    for text in ["garbage\n".to_owned(), format!("log {}\n", log.key)] {
        place.folder.write("logs.policy", &text);
        server.signal("HUP");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(add(&http, &address, &request).unwrap().status, 200);
}
