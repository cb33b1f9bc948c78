//! An insider: has all keys of a city and can sign any log he likes.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use usufruct_app::House;
use usufruct_app::log::{
    Ed25519Signer, Folder, MemoryHead, MlDsaCosigner, Note, Publisher, Reader, ReceiptSigner, Signer, checkpoint, leaf_hash,
};
use usufruct_core::Time;
use usufruct_core::event::{self, tag_prefix};
use usufruct_core::hash::sha256;
use usufruct_core::id::AgencyId;
use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};

pub const OPERATOR: &str = "agc_information";

pub struct Insider {
    house: House,
    pub origin: String,
    /// The honest leaves.
    pub leaves: Vec<Vec<u8>>,
}

/// Every key is there already.
struct NoChance;

impl Rng for NoChance {
    fn fill(&self, _: &mut [u8]) {
        panic!("a key is missing");
    }
}

impl Insider {
    /// Takes the keys and the leaves of the city in `dir`.
    pub fn of(dir: &str) -> Self {
        let house = House::open(Path::new(dir)).unwrap();
        let vkey: usufruct_app::log::VerifierKey =
            fs::read_to_string(house.log_dir().join("vkey")).unwrap().trim().parse().unwrap();
        let objects = Folder::open(house.log_dir()).unwrap();
        let (head, _) = checkpoint::fetch(&objects, vkey.name(), &[&vkey.verifier().unwrap()]).unwrap();
        let mut leaves = Vec::new();
        Reader::new(&objects, head)
            .entries(0, |_, leaf| {
                leaves.push(leaf.to_vec());
                Ok(())
            })
            .unwrap();
        Self { house, origin: vkey.name().to_owned(), leaves }
    }

    /// Makes `folder` a log of these leaves, signed at this time in seconds, with a right tag index.
    pub fn publish(&self, folder: &str, leaves: &[Vec<u8>], at: u64) -> Note {
        let path = Path::new(folder);
        // Only the log: a state or a complaint beside it stays.
        for part in ["tile", "tags", "checkpoint", "lock"] {
            let part = path.join(part);
            let _ = fs::remove_dir_all(&part);
            let _ = fs::remove_file(&part);
        }
        let objects = Folder::open(path).unwrap();
        let mut publisher = Publisher::open(objects, MemoryHead::default(), self.signers(), &self.origin, None).unwrap();
        let head = publisher.publish((0..).zip(leaves.iter().cloned()), at).unwrap();
        for (number, segment) in leaves.chunks(65_536).enumerate() {
            let bytes: Vec<u8> = segment.iter().flat_map(|leaf| tag_prefix(leaf)).collect();
            fs::create_dir_all(path.join("tags")).unwrap();
            fs::write(path.join(format!("tags/{number:03}")), bytes).unwrap();
        }
        fs::copy(self.house.log_dir().join("vkey"), path.join("vkey")).unwrap();
        fs::copy(self.house.log_dir().join("receipt-vkey"), path.join("receipt-vkey")).unwrap();
        Note::parse(&head.note).unwrap()
    }

    fn signers(&self) -> Vec<Box<dyn Signer + Send + Sync>> {
        let seed = |name: &str| *self.house.seed(name, &NoChance).unwrap();
        vec![
            Box::new(Ed25519Signer::from_seed(&self.origin, &seed("log")).unwrap()),
            Box::new(MlDsaCosigner::from_seed(&self.origin, &seed("log-ml-dsa")).unwrap()),
        ]
    }

    /// The keys of the log as text: Ed25519 first.
    pub fn vkeys(&self) -> Vec<String> {
        fs::read_to_string(self.house.log_dir().join("vkeys")).unwrap().lines().map(str::to_owned).collect()
    }

    pub fn receipts(&self) -> ReceiptSigner {
        ReceiptSigner::from_seed(&self.origin, &self.house.seed("receipt", &NoChance).unwrap()).unwrap()
    }

    /// A receipt for one leaf.
    pub fn receipt(&self, index: u64, leaf: &[u8], time_s: u64, mmd_seconds: u64) -> String {
        let promise = self.receipts().sign(index, vec![leaf_hash(leaf)], time_s * 1_000_000, mmd_seconds).unwrap();
        promise.receipt(index).unwrap().to_string()
    }

    /// The register that leaves make, as far as they are lawful.
    pub fn register(&self, leaves: &[Vec<u8>]) -> Register {
        let mut register = Register::default();
        for (index, leaf) in (0..).zip(leaves) {
            if let Ok(statement) = Statement::from_leaf(leaf) {
                register.apply(&statement, index).unwrap();
            }
        }
        register
    }

    /// Terms of the log that two officials have signed, to stand after these leaves.
    pub fn terms(&self, leaves: &[Vec<u8>], change: Value) -> Vec<u8> {
        let mut body = json!({
            "origin": self.origin, "vkeys": self.vkeys(),
            "receipt_vkey": fs::read_to_string(self.house.log_dir().join("receipt-vkey")).unwrap().trim(),
            "policy": "quorum none", "merge_delay_seconds": 60, "checkpoint_seconds": 10, "filler": { "events": 0, "seconds": 1 },
            "fail_open": false,
        });
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        self.statement(leaves, StatementKind::Log, "log_terms", body, &["head", "data-protection"])
    }

    /// A statement of the operator, signed by these of its keys, to stand after these leaves.
    pub fn statement(&self, leaves: &[Vec<u8>], kind: StatementKind, id: &str, body: Value, keys: &[&str]) -> Vec<u8> {
        let register = self.register(leaves);
        let (rev, prev) = register.next_revision(kind, id);
        let by: AgencyId = OPERATOR.parse().unwrap();
        // To the microsecond: what it states about the same second must not be still to come.
        let at = Time::from_micros(i64::try_from(since_1970().as_micros()).unwrap()).max(register.last_at());
        let mut statement = Statement { kind, id: id.to_owned(), rev, prev, at, by: by.clone(), body, approvals: vec![] };
        for key in keys {
            statement.approve(&self.house.signer(&by, key, &NoChance).unwrap()).unwrap();
        }
        statement.leaf().unwrap()
    }

    /// The index of the first leaf that holds this statement kind and these words.
    pub fn find(&self, kind: StatementKind, words: &str) -> usize {
        let is_it = |leaf: &Vec<u8>| {
            Statement::from_leaf(leaf).is_ok_and(|statement| statement.kind == kind)
                && String::from_utf8_lossy(leaf).contains(words)
        };
        self.leaves.iter().position(is_it).unwrap()
    }
}

/// Serves a folder as the plainest of web servers does: no ranges, and bundles always compressed.
pub fn serve(folder: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let root = Path::new(folder).to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut request, mut line) = (String::new(), String::new());
            reader.read_line(&mut request).unwrap_or(0);
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
            let (status, mut body) = match fs::read(root.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let mut encoding = "";
            if path.contains("tile/entries") {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&body).unwrap();
                body = encoder.finish().unwrap();
                encoding = "content-encoding: gzip\r\n";
            }
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{encoding}content-length: {}\r\n\r\n", body.len());
            let mut stream = reader.into_inner();
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

/// An event leaf that nobody can open.
pub fn noise(n: u64) -> Vec<u8> {
    let half = |word: &str| sha256(format!("{word} {n}").as_bytes()).0;
    event::leaf(&half("commitment"), &half("tag")).to_vec()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    since_1970().as_secs()
}

#[expect(clippy::disallowed_methods, reason = "the program under test reads the same clock")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
