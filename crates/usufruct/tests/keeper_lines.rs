//! The lines to the keepers break: what goes out to any of them, from the city or from another keeper, is lost, or its answer is, or
//! nothing comes back in time. Nobody says here which messages there are. The bytes are closed to the relay in between, so it counts
//! whatever is sent after an answer, the handshakes included.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Folder, Server, ok};

const ORIGIN: &str = "pass.example.org/log";
const NAMES: [&str; 3] = ["office", "court", "archive"];

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It does not arrive, and the line breaks.
    Lost,
    /// It arrives, and the line breaks before the answer does.
    Unanswered,
    /// It arrives, and nothing comes back over a line that stays open.
    Silent,
}

/// Stands in front of a keeper.
#[derive(Default)]
struct Relay {
    /// How many messages came.
    messages: AtomicUsize,
    fault: Mutex<Option<(usize, Fault)>>,
    /// How many went wrong.
    broken: AtomicUsize,
}

impl Relay {
    /// Begins to pass on what comes to `from` to the port `to`.
    fn start(from: TcpListener, to: u16) -> Arc<Self> {
        let relay = Arc::new(Self::default());
        let own = Arc::clone(&relay);
        thread::spawn(move || {
            for caller in from.incoming().flatten() {
                let Ok(keeper) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let relay = Arc::clone(&own);
                thread::spawn(move || relay.pass_on(caller, keeper));
            }
        });
        relay
    }

    fn pass_on(&self, mut caller: TcpStream, mut keeper: TcpStream) {
        let is_answered = Arc::new(AtomicBool::new(true));
        let mute = Arc::new(Mutex::new(None::<Fault>));
        let (mut back_to, mut back_from) = (caller.try_clone().unwrap(), keeper.try_clone().unwrap());
        let (answered, muted) = (Arc::clone(&is_answered), Arc::clone(&mute));
        thread::spawn(move || {
            let mut bytes = [0; 16_384];
            while let Ok(count) = back_from.read(&mut bytes)
                && count > 0
            {
                answered.store(true, Ordering::SeqCst);
                match *muted.lock().unwrap() {
                    Some(Fault::Silent) => continue,
                    Some(_) => break,
                    None => {}
                }
                if back_to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _ = back_to.shutdown(Shutdown::Both);
            let _ = back_from.shutdown(Shutdown::Both);
        });
        let mut bytes = [0; 16_384];
        while let Ok(count) = caller.read(&mut bytes)
            && count > 0
        {
            if is_answered.swap(false, Ordering::SeqCst) {
                let number = self.messages.fetch_add(1, Ordering::SeqCst);
                let fault = self.fault.lock().unwrap().filter(|(at, _)| *at == number).map(|(_, fault)| fault);
                if let Some(fault) = fault {
                    self.broken.fetch_add(1, Ordering::SeqCst);
                    if fault == Fault::Lost {
                        break;
                    }
                    *mute.lock().unwrap() = Some(fault);
                }
            }
            if keeper.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = caller.shutdown(Shutdown::Both);
        let _ = keeper.shutdown(Shutdown::Both);
    }

    fn begin(&self, fault: Option<(usize, Fault)>) {
        self.messages.store(0, Ordering::SeqCst);
        *self.fault.lock().unwrap() = fault;
    }
}

/// A city whose three keepers stand behind relays.
struct Town {
    folder: Folder,
    relays: Vec<Arc<Relay>>,
    _keepers: Vec<Server>,
}

impl Town {
    fn founded(name: &str) -> Self {
        let folder = Folder::new(name);
        let pass = folder.at("pass");
        folder.write("city.toml", &ok(&["keeper", "city", "--data-dir", &pass, "--origin", ORIGIN]));
        let mut roster = ["keeper", "roster", "--vault", ORIGIN, "--threshold", "2", "--city"].map(str::to_owned).to_vec();
        roster.push(folder.at("city.toml"));
        let (mut relays, mut ports) = (Vec::new(), Vec::new());
        for name in NAMES {
            let (front, (listener, port)) = (free_port(), free_port());
            let url = format!("https://127.0.0.1:{}", front.1);
            let init = ["keeper", "init", "--data-dir", &folder.at(name), "--name", name, "--vault", ORIGIN, "--url", &url];
            let entry = folder.write(&format!("{name}.toml"), &ok(&init));
            roster.extend(["--entry".to_owned(), entry]);
            drop(listener);
            relays.push(Relay::start(front.0, port));
            ports.push(port);
        }
        let roster: Vec<&str> = roster.iter().map(String::as_str).collect();
        let roster = folder.write("keepers.toml", &ok(&roster));
        let serve = |(name, port): (&str, &u16)| {
            let listen = format!("127.0.0.1:{port}");
            Server::start_printing(&["keeper", "serve", "--data-dir", &folder.at(name), "--roster", &roster, "--listen", &listen])
                .0
        };
        let keepers = NAMES.into_iter().zip(&ports).map(serve).collect();
        let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
        ok(&[&["init", "--data-dir", &pass, "--origin", ORIGIN, "--keepers", &roster], &operator[..]].concat());
        Self { folder, relays, _keepers: keepers }
    }

    /// A start and a new epoch.
    fn rotate(&self) {
        let said = ok(&["rotate", "root", "--data-dir", &self.folder.at("pass")]);
        assert!(said.contains("the old one is destroyed"), "{said}");
    }

    /// The epoch that all three keepers are at, each with its share of it and no other.
    fn epoch(&self) -> u64 {
        let said = ok(&["keeper", "status", "--data-dir", &self.folder.at("pass")]);
        let row = |name: &str| -> Vec<String> {
            let line = said.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{said}"));
            line.split_whitespace().map(str::to_owned).collect()
        };
        let rows = NAMES.map(row);
        assert!(rows.iter().all(|row| row[2] == row[3] && row[2] == rows[0][2]), "{said}");
        rows[0][2].parse().unwrap()
    }
}

/// A port that stays free until it is used, held; the system gives those from 32,768 on to whoever asks for any.
fn free_port() -> (TcpListener, u16) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let held = || {
        let number = std::process::id().wrapping_mul(41).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (number % 20_000) as u16;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|listener| (listener, port))
    };
    std::iter::repeat_with(held).flatten().next().unwrap()
}

#[test]
fn a_start_and_a_new_epoch_survive_any_one_message_that_goes_wrong() {
    let town = Town::founded("keeper-lines");
    town.rotate();
    let begin = || town.relays.iter().for_each(|relay| relay.begin(None));
    begin();
    town.rotate();
    let counts: Vec<usize> = town.relays.iter().map(|relay| relay.messages.load(Ordering::SeqCst)).collect();
    assert!(counts.iter().all(|count| *count >= 6), "{counts:?}");
    let mut epoch = town.epoch();
    let mut tried = 0;
    for (keeper, count) in counts.into_iter().enumerate() {
        for number in 0..count {
            for fault in [Fault::Lost, Fault::Unanswered, Fault::Silent] {
                // Waiting for one that is silent takes its time, and the three are alike.
                if fault == Fault::Silent && keeper != 1 {
                    continue;
                }
                begin();
                town.relays[keeper].begin(Some((number, fault)));
                // One keeper is no reason to stop.
                town.rotate();
                begin();
                tried += 1;
                // All three are there again, and the next epoch finds them so.
                town.rotate();
                let next = town.epoch();
                assert!(next >= epoch + 2, "message {number} to {}: {fault:?}: {epoch}, then {next}", NAMES[keeper]);
                epoch = next;
                // A keeper that is asked too soon after a silence is left alone by the others for a while.
                if fault == Fault::Silent {
                    thread::sleep(Duration::from_secs(5));
                }
            }
        }
    }
    let broken: usize = town.relays.iter().map(|relay| relay.broken.load(Ordering::SeqCst)).sum();
    assert!(broken * 10 >= tried * 9, "{broken} of {tried} messages went wrong");
}
