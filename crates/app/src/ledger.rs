//! Where events and statements get their place in the log, inside the transaction that stores them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use usufruct_core::delay::Week;
use usufruct_core::event::{Event, Kind, commitment, leaf};
use usufruct_core::logged::{Logged, Recorder};
use usufruct_core::matter::OpenedMatter;
use usufruct_core::ports::{Rng, random};
use usufruct_core::tally::Day;
use usufruct_log::{Hash, leaf_hash};
use usufruct_store::db::{self, Connection, Group, Tx};
use usufruct_store::{audit_copies, leaves, lines, log_head};
use usufruct_vault::{Keyring, hpke};

use crate::Error;
use crate::books::{Books, COPY_INFO, Counted};
use crate::receipt::Commit;

/// The log head while a batch of transactions runs: the next leaf number and the last event of each resident touched.
pub(crate) struct Head {
    /// The mark of this process in the row of the head.
    holder: [u8; 16],
    begin: u64,
    size: u64,
    job_size: u64,
    /// The running commit and the hashes of its leaves so far.
    commit: Arc<Commit>,
    leaf_hashes: Vec<Hash>,
    chains: HashMap<u64, Chain>,
    /// What `chains` held before the running job, to go back to when the job fails.
    undo: Vec<(u64, Option<Chain>)>,
    /// What is counted with the lines.
    pub books: Books,
}

/// The end of one resident's chain of events.
#[derive(Clone, Copy)]
struct Chain {
    next: u64,
    last: Option<[u8; 32]>,
    /// Whether a line of this process has bound her delayed lines.
    is_anchored: bool,
}

/// Chains held in memory before all of them are dropped and read again when needed: about 64 MB.
const MOST_CHAINS: usize = 1_000_000;

/// An event that got its place. It becomes [`Logged`] when its transaction is durable.
pub(crate) struct Placed {
    event: Event,
    matter: Option<OpenedMatter>,
    opening: [u8; 32],
    tag: [u8; 32],
    index: u64,
    commit: Arc<Commit>,
}

impl Head {
    pub fn new(holder: [u8; 16]) -> Self {
        Self {
            holder,
            begin: 0,
            size: 0,
            job_size: 0,
            commit: Arc::default(),
            leaf_hashes: Vec::new(),
            chains: HashMap::new(),
            undo: Vec::new(),
            books: Books::default(),
        }
    }
}

impl Head {
    fn add(&mut self, connection: &mut dyn Connection, leaf: &[u8]) -> Result<(), db::Error> {
        leaves::insert(connection, self.size, leaf)?;
        self.leaf_hashes.push(leaf_hash(leaf));
        self.size += 1;
        Ok(())
    }

    /// The end of a resident's own chain.
    fn chain(&self, connection: &mut dyn Connection, resident: u64) -> Result<Chain, db::Error> {
        match self.chains.get(&resident) {
            Some(chain) => Ok(*chain),
            None => Ok(Chain::after(lines::last(connection, resident)?, 0)),
        }
    }

    fn keep(&mut self, resident: u64, chain: Chain) {
        let before = self.chains.insert(resident, chain);
        self.undo.push((resident, before));
    }
}

impl Chain {
    /// The end of a chain with this last event, or with none and then this first number.
    fn after(last: Option<(u64, [u8; 32])>, first: u64) -> Self {
        Self { next: last.map_or(first, |(n, _)| n + 1), last: last.map(|(_, commitment)| commitment), is_anchored: false }
    }
}

impl Group for Head {
    fn begin(&mut self, connection: &mut dyn Connection) -> Result<(), db::Error> {
        self.books.begin();
        if self.chains.len() > MOST_CHAINS {
            self.chains.clear();
        }
        let size = log_head::lock(connection, &self.holder)?;
        if size != self.begin.max(self.size) {
            // Another node wrote since our last batch.
            self.chains.clear();
            self.books.forget();
        }
        (self.begin, self.size, self.job_size) = (size, size, size);
        (self.commit, self.leaf_hashes) = (Commit::new(size), Vec::new());
        self.undo.clear();
        Ok(())
    }

    fn savepoint(&mut self) {
        self.job_size = self.size;
        self.undo.clear();
        self.books.savepoint();
    }

    fn rollback(&mut self) {
        self.size = self.job_size;
        self.leaf_hashes.truncate((self.size - self.begin) as usize);
        for (resident, before) in self.undo.drain(..).rev() {
            match before {
                Some(chain) => self.chains.insert(resident, chain),
                None => self.chains.remove(&resident),
            };
        }
        self.books.rollback();
    }

    fn before_commit(&mut self, connection: &mut dyn Connection) -> Result<(), db::Error> {
        self.books.write(connection)?;
        self.commit.close(std::mem::take(&mut self.leaf_hashes));
        if self.size == self.begin || log_head::advance(connection, self.begin, self.size)? {
            Ok(())
        } else {
            Err(db::Error::Contended { attempts: 1 })
        }
    }

    fn committed(&mut self) {}

    fn aborted(&mut self) {
        self.size = self.begin;
        self.chains.clear();
        self.undo.clear();
        self.books.forget();
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Gives `event` its number in the resident's chain and its leaf in the log, and stores its sealed line.
///
/// `n` and `prev` of the event are set here: in her own chain, or where its `n` lies in a week, at the end of the chain of that week. One leaf
/// row, one line row, four short hashes and one seal. The first line of hers in a process that is no notice also binds her delayed lines, for up to 2,300 short
/// hashes more. Whether she has any has no part in that.
pub(crate) fn place(tx: &mut Tx<'_>, keyring: &Keyring, mut event: Event, rng: &dyn Rng) -> Result<Placed, Error> {
    // Notices go to many at once, of a breach or of a use that rests on law, and after an erasure there are no keys.
    let is_notice = event.kind == Kind::Breach || event.kind == Kind::Consent && event.service.is_none();
    let binds = !is_notice && event.kind != Kind::Erasure;
    if binds && Week::of_number(event.n).is_none() {
        let resident = keyring.resident();
        let (head, connection) = tx.group_and_connection::<Head>()?;
        let chain = head.chain(connection, resident)?;
        if !chain.is_anchored {
            event.anchor = keyring.delay_seed(Week::of(event.at)).map(|seed| *seed);
            head.keep(resident, Chain { is_anchored: true, ..chain });
        }
    }
    place_counted(tx, keyring, event, None, None, rng)
}

/// As [`place`], and counts the event under its mandate, with a number of its source and a copy for the auditor. What the event is about is kept
/// with its line where the event closes that.
pub(crate) fn place_counted(
    tx: &mut Tx<'_>,
    keyring: &Keyring,
    mut event: Event,
    counted: Option<&Counted>,
    matter: Option<&OpenedMatter>,
    rng: &dyn Rng,
) -> Result<Placed, Error> {
    let resident = keyring.resident();
    let (head, connection) = tx.group_and_connection::<Head>()?;
    let week = Week::of_number(event.n);
    let chain = match week {
        Some(week) => Chain::after(lines::last_of_week(connection, resident, week)?, week.first_number()),
        None => head.chain(connection, resident)?,
    };
    let index = head.size;
    event.n = chain.next;
    event.prev = chain.last;
    if let Some(counted) = counted {
        head.books.enter(connection, &mut event, counted)?;
    }
    let encoded = event.encode();
    let opening: [u8; 32] = random(rng);
    let commitment = commitment(&opening, &encoded);
    let tag = keyring.tag(event.n);
    head.add(connection, &leaf(&commitment, &tag))?;
    let sealed = keyring.seal_line(event.n, &[&opening[..], &encoded].concat(), rng);
    if let Some((counted, key)) = counted.and_then(|counted| Some((counted, counted.audit_key.as_ref()?)))
        && let Some(day) = Day::of(event.at)
    {
        let copy = [&index.to_be_bytes()[..], &opening, &encoded].concat();
        let seq = head.books.next_copy(connection, counted.mandate)?;
        audit_copies::insert(connection, counted.mandate, day.number(), seq, &hpke::seal(key, COPY_INFO, &[], &copy, rng))?;
    }
    let sealed_matter = matter.map(|matter| keyring.seal_matter(event.n, &matter.encode(), rng));
    lines::insert(connection, resident, &lines::Line { n: event.n, index, sealed, matter: sealed_matter }, &commitment)?;
    if week.is_none() {
        head.keep(resident, Chain { next: event.n + 1, last: Some(commitment), ..chain });
    }
    Ok(Placed { event, matter: matter.cloned(), opening, tag, index, commit: Arc::clone(&head.commit) })
}

/// Adds a leaf that is no resident's, a public statement or filler, and tells its number.
pub(crate) fn place_leaf(tx: &mut Tx<'_>, leaf: &[u8]) -> Result<u64, Error> {
    let (head, connection) = tx.group_and_connection::<Head>()?;
    let index = head.size;
    head.add(connection, leaf)?;
    Ok(index)
}

/// Forgets the chain of a resident whose lines were deleted.
pub(crate) fn forget_chain(tx: &mut Tx<'_>, resident: u64) -> Result<(), Error> {
    let head = tx.group::<Head>()?;
    let before = head.chains.remove(&resident);
    head.undo.push((resident, before));
    Ok(())
}

impl Placed {
    /// Whether what it is about was permitted, also by the brake.
    pub fn is_permitted(&self) -> bool {
        self.event.kind != Kind::Refusal
    }

    /// Leaf number of the event, once its transaction is durable.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// States that the event's transaction is durable, and hands over the commit that its receipt is made of.
    pub fn logged(self, recorder: &Arc<Recorder>) -> (Logged, Arc<Commit>) {
        (recorder.record(self.event, self.opening, self.tag, self.index).with_matter(self.matter), self.commit)
    }
}
