//! Appending through the database: each entry a job of its own, its place and receipt known once it is durable, and a
//! checkpoint over all of them every second.

use std::any::Any;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use usufruct_log::{Ed25519Signer, Folder, Hash, MemoryHead, MlDsaCosigner, Publisher, ReceiptSigner, SignedPromise, leaf_hash};
use usufruct_store::db::{self, Connection, Db, Group, Options, Pending};
use usufruct_store::{MIGRATIONS, leaves, log_head};

use crate::{now, own};

const ORIGIN: &str = "bench.example/log";
const HOLDER: [u8; 16] = [1; 16];

/// What is appended, and how much a second.
struct Load {
    name: &'static str,
    /// Bytes an entry.
    size: usize,
    /// As much as is possible unless told.
    pace: Option<f64>,
}

/// Entries handed over and not yet answered.
const IN_FLIGHT: usize = 4_096;

/// Measures each size of entry. Answers the event leaves a second.
pub fn rows(dir: &Path, span: Duration) -> f64 {
    println!(
        "| appended | entries/s | receipt p50 ms | p99 ms | public p50 ms | p99 ms | entries per sync | bytes written per entry |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let loads = [
        Load { name: "66-byte events", size: 66, pace: None },
        Load { name: "66-byte events, 100,000/s", size: 66, pace: Some(100_000.0) },
        Load { name: "66-byte events, 10,000/s", size: 66, pace: Some(10_000.0) },
        Load { name: "200 bytes", size: 200, pace: None },
        Load { name: "1,000 bytes", size: 1_000, pace: None },
    ];
    let [event, ..] = loads.map(|load| {
        let folder = tempfile::tempdir_in(dir).expect("a folder");
        row(folder.path(), &load, span)
    });
    println!();
    event
}

fn row(dir: &Path, load: &Load, span: Duration) -> f64 {
    let name = load.name;
    let db = Db::open(&format!("sqlite:{}", dir.join("log.db").display()), &Options::default()).expect("a database");
    db.migrate(MIGRATIONS).expect("the tables");
    db.transaction("begin", |tx| {
        log_head::ensure(tx)?;
        log_head::take(tx, &HOLDER)
    })
    .expect("a head");
    db.set_group(Box::new(Sequence::default()));
    let receipts = ReceiptSigner::from_seed(ORIGIN, &[3; 32]).expect("a key");
    let stop = AtomicBool::new(false);
    // When each checkpoint became public, and its size.
    let public: Mutex<Vec<(u64, Instant)>> = Mutex::default();
    let (commits, written, begin) = (db.counters().commits, own("io", "write_bytes"), now());
    let (submitted, latencies) = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(dir, &db, &stop, &public));
        let answer = append(&db, &receipts, load, span);
        stop.store(true, Ordering::SeqCst);
        publisher.join().expect("the publisher");
        answer
    });
    let seconds = begin.elapsed().as_secs_f64();
    let entries = submitted.len() as f64;
    let public = public.into_inner().expect("checkpoints");
    let mut delays: Vec<f64> = Vec::new();
    let mut checkpoint = public.iter().peekable();
    for (index, at) in submitted.iter().enumerate().step_by(64) {
        while checkpoint.peek().is_some_and(|(size, _)| *size <= index as u64) {
            checkpoint.next();
        }
        delays.extend(checkpoint.peek().map(|(_, shown)| shown.duration_since(*at).as_secs_f64() * 1_000.0));
    }
    let rate = entries / span.as_secs_f64();
    println!(
        "| {name} | {rate:.0} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} |",
        quantile(latencies.clone(), 0.5),
        quantile(latencies, 0.99),
        quantile(delays.clone(), 0.5),
        quantile(delays, 0.99),
        entries / (db.counters().commits - commits) as f64,
        (own("io", "write_bytes") - written) as f64 / entries,
    );
    eprintln!("{name}: {entries} entries in {seconds:.1} s with the last checkpoint");
    rate
}

/// An entry on its way: its place and the commit it belongs to.
type Appended = Pending<(u64, Arc<Commit>), db::Error>;

/// Hands over entries until the time is up. Answers when each was handed over, and how long its receipt took in ms.
fn append(db: &Db, receipts: &ReceiptSigner, load: &Load, span: Duration) -> (Vec<Instant>, Vec<f64>) {
    let begin = now();
    let mut waiting: VecDeque<(Instant, Appended)> = VecDeque::new();
    let (mut submitted, mut latencies) = (Vec::new(), Vec::new());
    let mut sent = 0u64;
    while begin.elapsed() < span || !waiting.is_empty() {
        let due = load.pace.map_or(f64::MAX, |pace| begin.elapsed().as_secs_f64() * pace);
        if waiting.is_empty() && sent as f64 >= due {
            std::thread::sleep(Duration::from_micros(200));
        }
        while waiting.len() < IN_FLIGHT && (sent as f64) < due && begin.elapsed() < span {
            let entry = entry(sent, load.size);
            sent += 1;
            let pending = db.submit("append", move |tx| {
                let (sequence, connection) = tx.group_and_connection::<Sequence>()?;
                sequence.add(connection, &entry)
            });
            waiting.push_back((now(), pending));
        }
        // The receipts of a quarter are made while the rest waits.
        for _ in 0..IN_FLIGHT / 4 {
            let Some((at, pending)) = waiting.pop_front() else { break };
            let (index, commit) = pending.wait().expect("a durable entry");
            let receipt = commit.promise(receipts).receipt(index).expect("a receipt").to_string();
            assert!(receipt.len() > 100);
            latencies.push(at.elapsed().as_secs_f64() * 1_000.0);
            if submitted.len() <= index as usize {
                submitted.resize(index as usize + 1, at);
            }
            submitted[index as usize] = at;
        }
    }
    (submitted, latencies)
}

/// Publishes a checkpoint every second, and a last one at the end.
fn publish(dir: &Path, db: &Db, stop: &AtomicBool, public: &Mutex<Vec<(u64, Instant)>>) {
    let objects = Folder::open(dir.join("tiles")).expect("a folder");
    let signers = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).and_then(|ed| {
        let signers: Vec<Box<dyn usufruct_log::Signer + Send + Sync>> =
            vec![Box::new(ed), Box::new(MlDsaCosigner::from_seed(ORIGIN, &[2; 32])?)];
        Ok(signers)
    });
    let mut publisher =
        Publisher::open(objects, MemoryHead::default(), signers.expect("keys"), ORIGIN, None).expect("a publisher");
    let mut due = now();
    loop {
        let is_last = stop.load(Ordering::SeqCst);
        loop {
            let from = publisher.size().expect("a size");
            let new = db.read(|conn| leaves::range(conn, from, 10_000)).expect("leaves");
            let is_full = new.len() == 10_000;
            publisher.commit(new, 1).expect("a head");
            if !is_full {
                break;
            }
        }
        let head = publisher.publish([], 1).expect("a checkpoint");
        public.lock().expect("checkpoints").push((head.size, now()));
        if is_last {
            return;
        }
        due += Duration::from_secs(1);
        while now() < due && !stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn entry(number: u64, size: usize) -> Vec<u8> {
    // Random bytes cannot be told from these, for what is measured, and cost no time to make.
    let mut entry = vec![0xa5; size];
    entry[..2].copy_from_slice(&[1, 2]);
    entry[2..10].copy_from_slice(&number.to_be_bytes());
    entry
}

fn quantile(mut values: Vec<f64>, at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * at) as usize).copied().unwrap_or(0.0)
}

/// What became durable together.
#[derive(Default)]
struct Commit {
    start: u64,
    leaf_hashes: OnceLock<Vec<Hash>>,
    promise: OnceLock<SignedPromise>,
}

impl Commit {
    fn promise(&self, signer: &ReceiptSigner) -> &SignedPromise {
        self.promise.get_or_init(|| {
            let hashes = self.leaf_hashes.get().cloned().unwrap_or_default();
            signer.sign(self.start, hashes, 1, 60).expect("a promise")
        })
    }
}

/// Gives entries their places.
#[derive(Default)]
struct Sequence {
    begin: u64,
    size: u64,
    job: u64,
    commit: Arc<Commit>,
    leaf_hashes: Vec<Hash>,
}

impl Sequence {
    fn add(&mut self, connection: &mut dyn Connection, entry: &[u8]) -> Result<(u64, Arc<Commit>), db::Error> {
        leaves::insert(connection, self.size, entry)?;
        self.leaf_hashes.push(leaf_hash(entry));
        self.size += 1;
        Ok((self.size - 1, Arc::clone(&self.commit)))
    }
}

impl Group for Sequence {
    fn begin(&mut self, connection: &mut dyn Connection) -> Result<(), db::Error> {
        let size = log_head::lock(connection, &HOLDER)?;
        (self.begin, self.size, self.job) = (size, size, size);
        self.leaf_hashes.clear();
        self.commit = Arc::new(Commit { start: size, ..Commit::default() });
        Ok(())
    }

    fn savepoint(&mut self) {
        self.job = self.size;
    }

    fn rollback(&mut self) {
        self.size = self.job;
        self.leaf_hashes.truncate((self.size - self.begin) as usize);
    }

    fn before_commit(&mut self, connection: &mut dyn Connection) -> Result<(), db::Error> {
        let _ = self.commit.leaf_hashes.set(std::mem::take(&mut self.leaf_hashes));
        log_head::advance(connection, self.begin, self.size).map(drop)
    }

    fn committed(&mut self) {}

    fn aborted(&mut self) {
        self.size = self.begin;
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
