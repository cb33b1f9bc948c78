//! A town with three keepers on machines of their own, and a network on which a call can go wrong.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use aws_lc_rs::signature::Ed25519KeyPair;

use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::keeper::{Counter, Destroyed};
use usufruct_core::ports::Rng;
use usufruct_vault::keeper::shamir::join;
use usufruct_vault::keeper::{Keeper, KeeperFile, Share, Standing, commit_root, public_of};
use usufruct_vault::keytree::{MemoryPages, PageTree};
use usufruct_vault::roots::{Disk, FileRoots, KeeperRoots, Link, RootSlots, Seat};
use usufruct_vault::{Epoch, Error, Key, KeyId, KeyTree, Result};

pub const VAULT: &str = "city.test/log";
pub const NAMES: [&str; 3] = ["city", "court", "archive"];
pub const NOW: u64 = 1_790_000_000;

pub struct Seeded(u64, AtomicU64);

impl Rng for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.1.fetch_add(1, Ordering::Relaxed);
            let block = sha256(&[self.0.to_be_bytes(), count.to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

pub fn seeded(seed: u64) -> Seeded {
    Seeded(seed, AtomicU64::new(0))
}

/// What happens to a call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not arrive.
    Lost,
    /// It is done, and the answer does not arrive.
    Unanswered,
    /// This and all later calls to the same keeper are lost.
    Down,
    /// It is done, and neither its answer arrives nor any later call.
    Last,
    /// The keeper is slow beyond every limit: whoever called has given up, and it is done after so many further calls to the keeper.
    Late(usize),
}

/// A call that has not arrived yet.
type Call = Box<dyn FnOnce(&Keeper) + Send>;

/// A word of the city that destroys.
pub type Order = fn(&Keeper, &str, Epoch, &Digest, u64) -> Result<Destroyed>;

/// A keeper on a machine of its own, and the network to it.
pub struct Machine {
    pub number: usize,
    pub folder: PathBuf,
    pub keeper: Mutex<Option<Keeper>>,
    pub net: Arc<Net>,
    /// How many calls went to it.
    pub calls: AtomicUsize,
    /// Which call goes wrong.
    pub fault: Mutex<Option<(usize, Fault)>>,
    /// Calls on their way, each with how many others it lets pass.
    late: Mutex<Vec<(usize, Call)>>,
    /// What it has signed, whether that arrived or not.
    pub signed: Arc<Mutex<Vec<Destroyed>>>,
    /// How often it was replaced by another keeper in its place.
    pub replaced: AtomicUsize,
}

/// The network of all keepers.
#[derive(Default)]
pub struct Net {
    pub down: Mutex<[bool; 3]>,
    /// Those that hear each other, also when the city does not hear them.
    pub machines: Mutex<Vec<Weak<Machine>>>,
    /// The keeper that lies, and the counter it signs.
    pub liar: Mutex<Option<(usize, u64)>>,
    pub nonces: AtomicU64,
}

pub struct Town {
    pub dir: tempfile::TempDir,
    pub machines: Vec<Arc<Machine>>,
    pub net: Arc<Net>,
    pub pages: Arc<MemoryPages>,
}

pub type Tree = PageTree<Arc<MemoryPages>, KeeperRoots<Arc<Machine>>>;

impl Machine {
    fn seed(&self) -> [u8; 32] {
        [(self.number + 1 + 3 * self.replaced.load(Ordering::SeqCst)) as u8; 32]
    }

    pub fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.seed()).unwrap()
    }

    pub fn public(&self) -> String {
        public_of(&self.seed()).unwrap()
    }

    pub fn start(&self) {
        let machines: Vec<_> = self.net.machines.lock().unwrap().iter().filter_map(Weak::upgrade).collect();
        let others = machines.iter().filter(|other| other.number != self.number);
        let peers = others.map(|other| (NAMES[other.number].to_owned(), other.public())).collect();
        let file = KeeperFile::open(&self.folder, Disk::Any).unwrap();
        *self.keeper.lock().unwrap() = Some(Keeper::new(VAULT, NAMES[self.number], &self.seed(), peers, 2, file).unwrap());
    }

    /// A nonce, and what the other keepers that run say to it.
    fn ask_peers(&self) -> ([u8; 16], Vec<Counter>) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.net.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let machines: Vec<_> = self.net.machines.lock().unwrap().iter().filter_map(Weak::upgrade).collect();
        let others = machines.iter().filter(|other| other.number != self.number);
        (nonce, others.filter_map(|other| other.tell(&nonce)).collect())
    }

    fn tell(&self, nonce: &[u8; 16]) -> Option<Counter> {
        if self.net.down.lock().unwrap()[self.number] {
            return None;
        }
        if let Some((number, lie)) = *self.net.liar.lock().unwrap()
            && number == self.number
        {
            return Some(Counter::sign(VAULT, NAMES[number], lie, nonce, &self.pair()));
        }
        Some(self.keeper.lock().unwrap().as_ref()?.tell_counter(nonce))
    }

    pub fn compare(&self) {
        let (nonce, answers) = self.ask_peers();
        if let Some(keeper) = self.keeper.lock().unwrap().as_ref() {
            keeper.compare(&nonce, &answers).unwrap();
        }
    }

    fn is_lying(&self) -> Option<u64> {
        self.net.liar.lock().unwrap().filter(|(number, _)| *number == self.number).map(|(_, lie)| lie)
    }

    fn call<T>(&self, work: impl Fn(&Keeper) -> Result<T> + Send + 'static) -> Result<T> {
        let lost = || Error::Keeper { name: NAMES[self.number].to_owned(), why: "it does not answer".to_owned() };
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault.lock().unwrap().filter(|(at, _)| *at == call).map(|(_, fault)| fault);
        match fault {
            Some(Fault::Down) => self.net.down.lock().unwrap()[self.number] = true,
            Some(Fault::Late(others)) => {
                self.late.lock().unwrap().push((others, Box::new(move |keeper| drop(work(keeper)))));
                return Err(lost());
            }
            _ => {}
        }
        if fault == Some(Fault::Lost) || self.net.down.lock().unwrap()[self.number] {
            return Err(lost());
        }
        let outcome = work(self.keeper.lock().unwrap().as_ref().ok_or_else(lost)?);
        self.arrive(1);
        match fault {
            Some(Fault::Last) => {
                self.net.down.lock().unwrap()[self.number] = true;
                Err(lost())
            }
            Some(Fault::Unanswered) => Err(lost()),
            _ => outcome,
        }
    }

    /// Lets calls arrive that let no more than so many others pass.
    pub fn arrive(&self, passed: usize) {
        let mut late = self.late.lock().unwrap();
        late.iter_mut().for_each(|(others, _)| *others = others.saturating_sub(passed));
        let due: Vec<Call> = late.extract_if(.., |(others, _)| *others == 0).map(|(_, call)| call).collect();
        let keeper = self.keeper.lock().unwrap();
        due.into_iter().for_each(|call| call(keeper.as_ref().expect("it runs")));
    }

    fn sign(&self, what: Order, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        if let Some(lie) = self.is_lying() {
            return Ok(Destroyed::sign(vault, NAMES[self.number], lie, NOW, &self.pair()));
        }
        let (vault, check, signed) = (vault.to_owned(), *check, Arc::clone(&self.signed));
        self.call(move |keeper| {
            let said = what(keeper, &vault, epoch, &check, NOW)?;
            signed.lock().unwrap().push(said.clone());
            Ok(said)
        })
    }
}

impl Link for Machine {
    fn standing(&self) -> Result<Standing> {
        if let Some(lie) = self.is_lying() {
            return Ok(Standing {
                counter: Epoch(lie),
                held: vec![(Epoch(lie), Digest([1; 32]))],
                is_fresh: true,
                told: Epoch(0),
            });
        }
        self.call(|keeper| Ok(keeper.standing()))
    }

    fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()> {
        if self.is_lying().is_some() {
            return Ok(());
        }
        let (nonce, answers) = self.ask_peers();
        let vault = vault.to_owned();
        self.call(move |keeper| {
            if keeper.is_leap(epoch) {
                keeper.compare(&nonce, &answers)?;
            }
            keeper.prepare(&vault, epoch, share.copy(), check)
        })
    }

    fn keep_only(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        self.sign(Keeper::keep_only, vault, epoch, check)
    }

    fn keep_from(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        self.sign(Keeper::keep_from, vault, epoch, check)
    }

    fn share(&self, vault: &str, epoch: Epoch) -> Result<(Share, Digest)> {
        if self.is_lying().is_some() {
            return Ok((Share { x: self.number as u8 + 1, y: [9; 32] }, Digest([1; 32])));
        }
        let (nonce, answers) = self.ask_peers();
        let vault = vault.to_owned();
        self.call(move |keeper| keeper.share(&vault, epoch, &nonce, &answers))
    }
}

impl Town {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let net = Arc::new(Net::default());
        let machines: Vec<_> = (0..3)
            .map(|number| {
                let folder = dir.path().join(NAMES[number]);
                Arc::new(Machine {
                    number,
                    folder,
                    keeper: Mutex::default(),
                    net: Arc::clone(&net),
                    calls: AtomicUsize::default(),
                    fault: Mutex::default(),
                    late: Mutex::default(),
                    signed: Arc::default(),
                    replaced: AtomicUsize::default(),
                })
            })
            .collect();
        *net.machines.lock().unwrap() = machines.iter().map(Arc::downgrade).collect();
        let town = Self { dir, machines, net, pages: Arc::default() };
        town.machines.iter().for_each(|machine| machine.start());
        town
    }

    pub fn roots(&self) -> KeeperRoots<Arc<Machine>> {
        let seat = |machine: &Arc<Machine>| Seat {
            name: NAMES[machine.number].to_owned(),
            public: machine.public(),
            link: Arc::clone(machine),
        };
        KeeperRoots::new(VAULT, 2, self.machines.iter().map(seat).collect()).unwrap()
    }

    pub fn create(&self, rng: &Seeded) -> Tree {
        let roots = self.roots();
        roots.put(&Tree::first_root(rng), rng).unwrap();
        roots.keep_only(Epoch(0)).unwrap();
        PageTree::create(Arc::clone(&self.pages), roots, rng).unwrap()
    }

    pub fn open(&self) -> Result<Tree> {
        PageTree::open(Arc::clone(&self.pages), self.roots())
    }

    /// Lets keepers that have started ask the others where they stand.
    pub fn compare(&self) {
        self.machines.iter().for_each(|machine| machine.compare());
    }

    pub fn standing(&self, number: usize) -> Standing {
        self.machines[number].keeper.lock().unwrap().as_ref().unwrap().standing()
    }

    /// How many keepers hold a share of an epoch.
    pub fn holders(&self, epoch: Epoch) -> usize {
        let holds = |machine: &&Arc<Machine>| {
            let keeper = machine.keeper.lock().unwrap();
            keeper.as_ref().is_some_and(|keeper| keeper.standing().held.iter().any(|(held, _)| *held == epoch))
        };
        self.machines.iter().filter(holds).count()
    }

    /// The epochs whose root somebody can bring back who has the disks of all keepers and that of the city.
    pub fn recoverable(&self) -> BTreeSet<Epoch> {
        let mut shares: BTreeMap<Epoch, Vec<(Share, Digest)>> = BTreeMap::new();
        for machine in &self.machines {
            let file = std::fs::read(machine.folder.join("shares")).unwrap();
            for half in file.chunks(2048).filter(|half| half.starts_with(b"UFSHARE1")) {
                let epoch = Epoch(u64::from_be_bytes(half[8..16].try_into().unwrap()));
                let share = Share { x: half[16], y: half[56..88].try_into().unwrap() };
                shares.entry(epoch).or_default().push((share, Digest(half[24..56].try_into().unwrap())));
            }
        }
        let opens = |epoch: Epoch, held: &[(Share, Digest)]| {
            let pairs = held.iter().flat_map(|one| held.iter().map(move |other| (one, other)));
            let mut pairs = pairs.filter(|(one, other)| one.0.x < other.0.x);
            pairs.any(|(one, other)| commit_root(VAULT, epoch, &join(&[one.0.copy(), other.0.copy()])) == one.1)
        };
        let kept = shares.iter().filter(|(epoch, held)| opens(**epoch, held)).map(|(epoch, _)| *epoch);
        kept.chain(FileRoots::epochs(self.dir.path()).unwrap_or_default()).collect()
    }

    pub fn files(&self, number: usize) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(&self.machines[number].folder).unwrap();
        entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect()
    }

    /// Ends a keeper, puts these files in the place of its own, and starts it.
    pub fn put_back(&self, number: usize, files: &BTreeMap<String, Vec<u8>>) {
        let machine = &self.machines[number];
        *machine.keeper.lock().unwrap() = None;
        let _ = std::fs::remove_dir_all(&machine.folder);
        std::fs::create_dir_all(&machine.folder).unwrap();
        for (name, bytes) in files {
            std::fs::write(machine.folder.join(name), bytes).unwrap();
        }
        machine.start();
    }
}

pub fn resident(number: u64) -> KeyId {
    KeyId::Resident(number)
}

pub fn insert(tree: &Tree, rng: &Seeded, numbers: std::ops::Range<u64>) -> Result<()> {
    let keys: Vec<_> = numbers.map(|number| (resident(number), Key::random(rng))).collect();
    tree.insert(&keys, rng)
}

pub fn lives(tree: &impl KeyTree) -> Vec<u64> {
    (1..20).filter(|number| tree.get(resident(*number)).unwrap().is_some()).collect()
}
