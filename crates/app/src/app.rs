//! The pass: what is open while a server runs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use arc_swap::ArcSwapOption;
use usufruct_core::id::{AgencyId, CertificateId};
use usufruct_core::logged::Recorder;
use usufruct_core::ports::{Clock, Rng, random};
use usufruct_core::register::Register;
use usufruct_core::replay::{Refused, Replay, Why};
use usufruct_core::statement::Signer;
use usufruct_core::{Digest, Time};
use usufruct_log::{
    Checkpoint, Cosigner, Ed25519Signer, Folder, MlDsaCosigner, Note, Objects, ReceiptSigner, Signer as LogSigner, Transport,
    VerifierKey, checkpoint,
};
use usufruct_store::db::{Db, Options};
use usufruct_store::{MIGRATIONS, keyrings, leaves, log_head};
use usufruct_vault::second_hand::SecondHand;
use usufruct_vault::{Keyring, Vault};

use crate::case_tallies::CasesOpen;
use crate::courier::Courier;
use crate::dates::Closed;
use crate::ledger::Head;
use crate::log_publisher::{Announced, LogPublisher};
use crate::pin_memory::PinMemory;
use crate::spread::SPREAD;
use crate::tag_index::Segments;
use crate::withhold::withheld;
use crate::{CardDoor, Error, House, RootPlace, VaultSetup, key_tree};

/// How a pass is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The log's name, a URL without scheme, as `localhost/linhai`.
    pub origin: String,
    /// Address of the database; `None` for the one in the data directory.
    pub database: Option<String>,
    /// The agency that runs the pass.
    pub operator: AgencyId,
    /// Where the keys of the data are kept.
    pub vault: VaultSetup,
}

/// What [`App::open`] needs.
pub struct Open {
    pub config: Config,
    pub house: House,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// Where the root of the key tree lies; `None` for the file in the data directory.
    pub root: Option<Box<dyn RootPlace>>,
    /// Where the public files of the log are kept; `None` for the folder in the data directory.
    pub objects: Option<Arc<dyn Objects>>,
    /// Who holds the second keys of pseudonym sectors that have two; `None` where no sector does.
    pub second_hand: Option<Arc<dyn SecondHand>>,
    /// How the log reaches its witnesses and mirrors; `None` for a process that publishes no checkpoint that needs them.
    pub transport: Option<Arc<dyn Transport>>,
}

/// A running pass. Every use case is a method; all of them may be called from many threads.
pub struct App {
    pub(crate) config: Config,
    pub(crate) house: House,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) db: Db,
    /// The mark of this process in the row of the head.
    holder: [u8; 16],
    pub(crate) vault: Arc<Vault>,
    pub(crate) closed: Arc<Closed>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) receipt_signer: ReceiptSigner,
    log_key: VerifierKey,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) log_publisher: Mutex<LogPublisher>,
    pub(crate) announced: Mutex<Announced>,
    pub(crate) announcing: Condvar,
    pub(crate) segments: Segments,
    /// Where the next collection of partial tiles begins.
    pub(crate) collecting: Mutex<Option<String>>,
    /// The last notice to delete that was looked at for alterations.
    pub(crate) looked_at: Mutex<String>,
    pub(crate) upkeep_publishes: AtomicBool,
    /// Within how many microseconds services hear of what happens to residents.
    pub(crate) spread: AtomicI64,
    pub(crate) automation: Signer,
    pub(crate) register: Arc<RwLock<(u64, Arc<Register>)>>,
    /// Counts up inside the transaction of every statement, so that a decision made before it is not acted on after it.
    pub(crate) register_version: Arc<AtomicU64>,
    /// From which day on cases are counted.
    pub(crate) cases_open: Arc<CasesOpen>,
    /// Where certificate cards are shown; none where they are not taken.
    pub(crate) card_door: ArcSwapOption<CardDoor>,
    /// Who brings letters out of the house; nobody where they wait.
    pub(crate) courier: ArcSwapOption<Box<dyn Courier>>,
    publishing: Mutex<()>,
    certifying: Mutex<()>,
    /// How far this process has come with the replacement of a mandate's key, or with what follows its destruction, by the certificate of the
    /// erasure: the last resident. Not by mandate, or what one erasure came to would count for the next, if another process finished the first.
    rotating: Mutex<BTreeMap<CertificateId, Option<u64>>>,
    /// Pseudonym domains whose pseudonyms are all being replaced.
    pub(crate) rotating_sectors: RwLock<BTreeSet<u64>>,
    resident_locks: Vec<Mutex<()>>,
    pub(crate) pin_memory: PinMemory,
    /// Commitments to officers whose words are known to be kept.
    known_officers: Mutex<HashSet<[u8; 32]>>,
}

/// Name of the operator's key that acts by the clock: it can end and withhold power, never give it.
pub(crate) const AUTOMATION: &str = "automation";

impl App {
    /// Opens the pass: migrates the database, opens the vault, replays the register from the log's statements.
    pub fn open(open: Open) -> Result<Self, Error> {
        let Open { config, house, clock, rng, root, objects, second_hand, transport } = open;
        let url = config.database.clone().unwrap_or_else(|| house.database_url());
        let db = Db::open(&url, &Options::default())?;
        db.migrate(MIGRATIONS)?;
        let objects = match objects {
            Some(objects) => objects,
            None => Arc::new(Folder::hold(house.log_dir())?),
        };
        refuse_older_than_log(&db, objects.as_ref())?;
        let holder: [u8; 16] = random(rng.as_ref());
        db.transaction("take log head", move |tx| {
            log_head::ensure(tx)?;
            log_head::take(tx, &holder)
        })?;
        db.set_group(Box::new(Head::new(holder)));
        let is_new = db.read(|conn| log_head::size(conn))? == 0;
        if !is_new {
            house.require_seeds(&["log", "log-ml-dsa", "receipt", &format!("{}.{AUTOMATION}", config.operator)])?;
        }
        let (recorder, gate) = usufruct_core::logged::pair(rng.as_ref());
        let register = replay(&db)?;
        let tree = key_tree::open(&config.vault, root, &house, &db, (!is_new).then_some(&register), rng.as_ref())?;
        let closed = Arc::new(Closed::default());
        let (noted, watch) = (Arc::clone(&closed), Arc::clone(&clock));
        let mut vault = Vault::new(tree, gate, rng.as_ref())?.with_watch(move |epoch| noted.note(epoch, watch.now()));
        if let Some(hand) = second_hand {
            vault = vault.with_second_hand(hand);
        }
        let log_signer = Ed25519Signer::from_seed(&config.origin, &*house.seed("log", rng.as_ref())?)?;
        let post_quantum = MlDsaCosigner::from_seed(&config.origin, &*house.seed("log-ml-dsa", rng.as_ref())?)?;
        let keys = vec![log_signer.verifier_key().clone(), post_quantum.verifier_key().clone()];
        let log_key = log_signer.verifier_key().clone();
        let receipt_signer = ReceiptSigner::from_seed(&config.origin, &*house.seed("receipt", rng.as_ref())?)?;
        let signers: Vec<Box<dyn LogSigner + Send + Sync>> = vec![Box::new(log_signer), Box::new(post_quantum)];
        let log_publisher = LogPublisher::open(&db, Arc::clone(&objects), signers, keys, transport, &config.origin)?;
        let announced = log_publisher.announced()?;
        let automation = house.signer(&config.operator, AUTOMATION, rng.as_ref())?;
        let app = Self {
            config,
            house,
            clock,
            rng,
            db,
            holder,
            vault: Arc::new(vault),
            closed,
            recorder: Arc::new(recorder),
            receipt_signer,
            log_key,
            objects,
            log_publisher: Mutex::new(log_publisher),
            announced: Mutex::new(announced),
            announcing: Condvar::new(),
            segments: Segments::default(),
            collecting: Mutex::default(),
            looked_at: Mutex::default(),
            upkeep_publishes: AtomicBool::new(false),
            spread: AtomicI64::new(SPREAD),
            automation,
            register: Arc::new(RwLock::new((0, Arc::new(Register::default())))),
            register_version: Arc::new(AtomicU64::new(0)),
            cases_open: Arc::new(CasesOpen::new()),
            card_door: ArcSwapOption::empty(),
            courier: ArcSwapOption::empty(),
            publishing: Mutex::new(()),
            certifying: Mutex::new(()),
            rotating: Mutex::default(),
            rotating_sectors: RwLock::default(),
            resident_locks: (0..64).map(|_| Mutex::new(())).collect(),
            pin_memory: PinMemory::new(),
            known_officers: Mutex::default(),
        };
        app.make_keys(&register)?;
        app.set_register(register);
        app.mark_rotating_sectors()?;
        app.mark_old_rows()?;
        app.mark_old_cases()?;
        app.date_orders()?;
        app.ask_witnesses_at_start()?;
        app.publish_keys()?;
        Ok(app)
    }

    /// The public facts about the key tree, and where its root is kept.
    pub fn vault_state(&self) -> (usufruct_vault::State, usufruct_vault::SlotClass) {
        (self.vault.state(), self.vault.class())
    }

    /// Whether the key with this commitment is in the key tree.
    pub fn key_lives(&self, commitment: &Digest) -> bool {
        let (state, proofs) = self.vault.proofs(std::slice::from_ref(commitment));
        proofs.first().and_then(|proof| proof.check(commitment, &state.root)) == Some(true)
    }

    /// The commitment of a resident's key, for her alone: the certificate of her next withdrawal, or of her deletion, has to name it.
    pub fn resident_key(&self, resident: u64) -> Result<Option<Digest>, Error> {
        Ok(self.vault.resident_commitment(resident)?)
    }

    /// Gives the root back to keepers who should hold a share of it and do not. Called now and then.
    pub fn heal_root(&self) -> Result<(), Error> {
        Ok(self.vault.heal_root()?)
    }

    /// Refuses when another process has become the one that writes. Every write finds that out by itself; this is for what only shows, since it comes
    /// from the register that this process has read.
    pub fn require_head(&self) -> Result<(), Error> {
        let holder = self.holder;
        Ok(self.db.read(move |conn| log_head::require(conn, &holder))?)
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The source of randomness.
    pub fn rng(&self) -> &dyn Rng {
        self.rng.as_ref()
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data directory.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// The store, for reports and tests.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The register as it is now.
    pub fn register(&self) -> Arc<Register> {
        self.versioned_register().1
    }

    /// The verifier key of the log's checkpoints (signed-note vkey).
    pub fn log_vkey(&self) -> String {
        self.log_key.to_string()
    }

    /// The verifier key of receipts (signed-note vkey).
    pub fn receipt_vkey(&self) -> String {
        self.receipt_signer.verifier_key().to_string()
    }

    /// The public files of the log, which are served under `/log`.
    pub fn log_objects(&self) -> &Arc<dyn Objects> {
        &self.objects
    }

    /// The register and its version, for decisions that must still hold when they are written down.
    pub(crate) fn versioned_register(&self) -> (u64, Arc<Register>) {
        let guard = self.register.read().unwrap_or_else(PoisonError::into_inner);
        (guard.0, Arc::clone(&guard.1))
    }

    /// Puts a new register in place of the old. Call it with the publishing lock held, or before anything runs.
    pub(crate) fn set_register(&self, register: Register) {
        // First, so that nobody decides by a register that the vault does not follow yet.
        self.vault.withhold(withheld(&register));
        let mut guard = self.register.write().unwrap_or_else(PoisonError::into_inner);
        *guard = (self.register_version.load(Ordering::SeqCst), Arc::new(register));
    }

    /// Marks the present register as current although a statement failed.
    pub(crate) fn keep_register(&self) {
        let mut guard = self.register.write().unwrap_or_else(PoisonError::into_inner);
        guard.0 = self.register_version.load(Ordering::SeqCst);
    }

    pub(crate) fn known_officers(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known_officers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One statement is published at a time.
    pub(crate) fn publishing(&self) -> MutexGuard<'_, ()> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One writes certificates at a time, from the look at the key tree until they are published.
    pub(crate) fn certifying(&self) -> MutexGuard<'_, ()> {
        self.certifying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One replaces keys of mandates at a time. Answers how far each has come in this process.
    pub(crate) fn rotating(&self) -> MutexGuard<'_, BTreeMap<CertificateId, Option<u64>>> {
        self.rotating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, or nothing while somebody does.
    pub(crate) fn try_rotating(&self) -> Option<MutexGuard<'_, BTreeMap<CertificateId, Option<u64>>>> {
        match self.rotating.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// One change of a resident's keyring at a time.
    pub(crate) fn lock_resident(&self, resident: u64) -> MutexGuard<'_, ()> {
        let lock = &self.resident_locks[(resident % 64) as usize];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every change of a keyring that has begun is done.
    pub(crate) fn wait_for_residents(&self) {
        drop(self.lock_residents(0..self.resident_locks.len() as u64));
    }

    /// The same for many residents. Always taken in one order, so that two callers cannot wait for each other.
    pub(crate) fn lock_residents(&self, residents: impl Iterator<Item = u64>) -> Vec<MutexGuard<'_, ()>> {
        let places: BTreeSet<usize> = residents.map(|resident| (resident % 64) as usize).collect();
        places.into_iter().map(|place| self.resident_locks[place].lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    /// Opens a resident's keyring.
    pub(crate) fn keyring(&self, resident: u64) -> Result<Keyring, Error> {
        let candidates = self.db.read(|conn| keyrings::candidates(conn, resident))?;
        self.open_keyring(resident, &candidates)
    }

    pub(crate) fn open_keyring(&self, resident: u64, candidates: &[(i64, Vec<u8>)]) -> Result<Keyring, Error> {
        let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
        Ok(self.vault.keyring(resident, &sealed)?)
    }
}

/// Refuses a database with fewer leaves than the public checkpoint, before anything is made or changed. What residents ended
/// since that database was copied would stand again in it.
fn refuse_older_than_log(db: &Db, objects: &dyn Objects) -> Result<(), Error> {
    let Some(note) = objects.fetch(checkpoint::PATH)? else { return Ok(()) };
    let public: Checkpoint = Note::parse(&note)?.text().parse()?;
    let size = db.read(|conn| log_head::size(conn))?;
    if size >= public.size() {
        return Ok(());
    }
    let remedy = match size {
        0 => "If it was lost, bring it back with `usufruct restore`; a new pass needs a place for its log where no other log is.",
        _ => "Bring it up to date with `usufruct restore`, which sees to it that nothing comes back that has ended since.",
    };
    let what = format!("The database is older than the log: it has {size} leaves, and the public checkpoint {}.", public.size());
    Err(Error::refused(&what, remedy))
}

/// The register that the statements in a database give.
pub fn replay(db: &Db) -> Result<Register, Error> {
    let mut replay = Replay::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let (mut from, mut size) = (0, FIRST_STATEMENTS);
    loop {
        let part = db.read(|conn| leaves::statements(conn, from, size))?;
        let Some((last, _)) = part.last() else { break };
        from = last + 1;
        refuse(replay.push(&part))?;
        size = MORE_STATEMENTS;
    }
    let (register, refused) = replay.finish();
    refuse(refused)?;
    Ok(register)
}

/// The first bodies name the keys by which all that follows is signed, so a replay begins with few statements.
const FIRST_STATEMENTS: usize = 32;
const MORE_STATEMENTS: usize = 2_000;

/// A database that holds a statement which its register does not take is not to be trusted.
fn refuse(refused: Vec<Refused>) -> Result<(), Error> {
    let Some(Refused { index, why }) = refused.into_iter().next() else { return Ok(()) };
    Err(match why {
        Why::Malformed(error) => corrupt(index, error),
        Why::Unlawful(problems) => corrupt(index, problems.first().map(ToString::to_string).unwrap_or_default()),
    })
}

fn corrupt(index: u64, what: impl std::fmt::Display) -> Error {
    Error::Corrupt { what: format!("leaf {index}: {what}") }
}
