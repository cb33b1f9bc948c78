//! Publish the log: tiles and a signed checkpoint over what is committed, co-signed as the terms of the log ask for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use usufruct_core::event::filler_leaf;
use usufruct_core::log_terms::LogTerms;
use usufruct_core::ports::random;
use usufruct_core::statement;
use usufruct_log::witnessing::{Witnessed, Witnessing};
use usufruct_log::{
    Checkpoint, Collected, Head, LeafSource, Note, Objects, Policy, Publisher, SignedHead, Signer, TileHashes, TlogProof,
    Transport, VerifierKey, checkpoint, proof,
};
use usufruct_store::db::{self, Db};
use usufruct_store::leaves;
use usufruct_store::log_head::{self, Published};

use crate::ledger::place_leaf;
use crate::{App, Error};

/// Leaves integrated in one step.
const BATCH: usize = 10_000;

/// The most filler leaves that are added at once, after a pause of the whole server.
const MOST_FILLER: u64 = 10_000;

/// How long a partial tile is kept for slow clients, and how many tiles are looked at in one go.
const KEEP_PARTIALS_SECONDS: u64 = 86_400;
const COLLECTED_AT_ONCE: usize = 2_000;

/// How long a release waits for the log that its mandate asks for.
const GATE_PATIENCE: Duration = Duration::from_secs(15);

/// The one writer of the public files, and what it knows of the public checkpoint.
pub(crate) struct LogPublisher {
    publisher: Publisher<Arc<dyn Objects>, HeadRow>,
    keys: Vec<VerifierKey>,
    transport: Option<Arc<dyn Transport>>,
    /// With the leaf of the terms they come from.
    witnessing: Option<(u64, Witnessing<Arc<dyn Transport>>)>,
    /// When filler was last seen to, in seconds since 1970 UTC.
    filled_at: Option<u64>,
}

/// How far the public has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Leaves under the public checkpoint.
    pub size: u64,
    /// Leaves under the last checkpoint that the witnesses of the terms have signed.
    pub witnessed: u64,
    /// When the public checkpoint was written, in seconds since 1970 UTC.
    pub at: u64,
}

/// The signed head, in its row of the database and so apart from the tiles.
pub struct HeadRow(Db);

/// The leaves that are committed.
pub(crate) struct CommittedLeaves {
    db: Db,
    size: u64,
}

impl LogPublisher {
    /// Opens the log: head, tiles, public checkpoint and leaves must agree.
    pub fn open(
        db: &Db,
        objects: Arc<dyn Objects>,
        signers: Vec<Box<dyn Signer + Send + Sync>>,
        keys: Vec<VerifierKey>,
        transport: Option<Arc<dyn Transport>>,
        origin: &str,
    ) -> Result<Self, Error> {
        let leaves = CommittedLeaves::new(db)?;
        let publisher = Publisher::open(objects, HeadRow::new(db), signers, origin, Some(&leaves))?;
        Ok(Self { publisher, keys, transport, witnessing: None, filled_at: None })
    }

    /// What is public now, as the files say.
    pub fn announced(&self) -> Result<Announced, Error> {
        let Some(note) = self.publisher.objects().fetch(checkpoint::PATH)? else { return Ok(Announced::default()) };
        let public: Checkpoint = Note::parse(&note)?.text().parse()?;
        Ok(Announced { size: public.size(), ..Announced::default() })
    }

    /// The witnesses of the terms; `None` when the terms ask for none.
    fn witnessing(
        &mut self,
        terms: Option<(u64, &LogTerms)>,
        origin: &str,
    ) -> Result<Option<&Witnessing<Arc<dyn Transport>>>, Error> {
        let Some((index, terms)) = terms else { return Ok(None) };
        if self.witnessing.as_ref().is_none_or(|(known, _)| *known != index) {
            let policy = policy(terms)?;
            if policy.witnesses().is_empty() {
                return Ok(None);
            }
            let Some(transport) = &self.transport else {
                return Err(Error::refused(
                    "The terms of the log name witnesses, but this process has no network.",
                    "Run it as `usufruct serve`.",
                ));
            };
            self.witnessing = Some((index, Witnessing::new(origin, self.keys.clone(), policy, Arc::clone(transport))));
        }
        Ok(self.witnessing.as_ref().map(|(_, witnessing)| witnessing))
    }
}

impl App {
    /// Adds filler where the terms ask for it, integrates what is committed, signs, asks the witnesses, and publishes the
    /// checkpoint. When too few witnesses answer, the last public checkpoint stays and the next call tries again.
    pub fn publish_log(&self) -> Result<(), Error> {
        let mut log = self.lock_log();
        let now = self.seconds();
        let register = self.register();
        let terms = register.log.as_ref().map(|entry| (entry.index, &entry.body));
        self.reload_if_stopped(&mut log)?;
        if let Some((_, terms)) = terms {
            self.fill(&mut log, terms, now)?;
        }
        loop {
            let from = log.publisher.size()?;
            let new = self.db.read(|conn| leaves::range(conn, from, BATCH))?;
            let is_full = new.len() == BATCH;
            log.publisher.commit(new, now)?;
            if !is_full {
                break;
            }
        }
        self.announce(&mut log, terms, now)
    }

    /// Whether there is something to publish at this moment: new leaves, a filler interval that is over, cosignatures that
    /// have grown old.
    pub fn is_publication_due(&self) -> Result<bool, Error> {
        let announced = self.announced();
        let now = self.seconds();
        let register = self.register();
        if let Some(terms) = register.log.as_ref().map(|entry| &entry.body) {
            if terms.filler.events > 0 {
                // A fixed beat, so that not even the moment of a checkpoint tells whether there was anything to publish.
                let filled_at = self.lock_log().filled_at;
                return Ok(filled_at.is_none_or(|at| now >= at + terms.filler.seconds.unsigned_abs()));
            }
            if now >= announced.at + terms.checkpoint_seconds.unsigned_abs() {
                return Ok(true);
            }
        }
        Ok(self.db.read(|conn| log_head::size(conn))? > announced.size)
    }

    /// Removes partial tiles that have been superseded for a day, below what the witnesses have signed (or, where the
    /// terms name none, below what is public). Each call goes on where the last one ended.
    pub fn collect_log(&self) -> Result<Collected, Error> {
        let announced = self.announced();
        let has_witnesses = match self.register().log.as_ref() {
            Some(entry) => !policy(&entry.body)?.witnesses().is_empty(),
            None => false,
        };
        let below = if has_witnesses { announced.witnessed } else { announced.size };
        let mut from = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.seconds();
        let collected =
            usufruct_log::collect(&self.objects, from.as_deref(), below, now, KEEP_PARTIALS_SECONDS, COLLECTED_AT_ONCE)?;
        from.clone_from(&collected.next);
        Ok(collected)
    }

    /// From now on another thread publishes in time, so that releases can wait for the next beat of the log.
    pub fn leave_publishing_to_upkeep(&self) {
        self.upkeep_publishes.store(true, Ordering::SeqCst);
    }

    /// How far the public has been told.
    pub fn announced(&self) -> Announced {
        *self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many leaves the public checkpoint covers.
    pub fn published_size(&self) -> u64 {
        self.announced().size
    }

    /// How many leaves are committed, public or not.
    pub fn committed_size(&self) -> Result<u64, Error> {
        Ok(self.db.read(|conn| log_head::size(conn))?)
    }

    /// The public checkpoint; `None` before there is one.
    pub fn public_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let Some(note) = self.objects.fetch(checkpoint::PATH)? else { return Ok(None) };
        Ok(Some(Note::parse(&note)?.text().parse()?))
    }

    /// The proof of leaf `index` under the public checkpoint (C2SP tlog-proof), or `None` until one covers it.
    pub fn log_proof(&self, index: u64, extra: Option<Vec<u8>>) -> Result<Option<TlogProof>, Error> {
        let Some(note) = self.objects.fetch(checkpoint::PATH)? else { return Ok(None) };
        let note = Note::parse(&note)?;
        let public: Checkpoint = note.text().parse()?;
        if index >= public.size() {
            return Ok(None);
        }
        let hashes = proof::inclusion(&TileHashes::new(&self.objects, public.size()), index, public.size())?;
        Ok(Some(TlogProof { index, hashes, checkpoint: note, extra }))
    }

    /// Returns when the public checkpoint covers leaf `index`; with `witnessed`, when the witnesses have signed it.
    pub(crate) fn publish_log_beyond(&self, index: u64, witnessed: bool) -> Result<(), Error> {
        let is_covered = |announced: &Announced| if witnessed { announced.witnessed > index } else { announced.size > index };
        // With filler, checkpoints keep their beat: one out of turn would tell that a gated use has just happened.
        let has_beat = self.register().log.as_ref().is_some_and(|entry| entry.body.filler.events > 0);
        let waits = has_beat && self.upkeep_publishes.load(Ordering::SeqCst);
        if !waits && !is_covered(&self.announced()) {
            self.publish_log()?;
        }
        let patience = if waits { GATE_PATIENCE } else { Duration::ZERO };
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.announcing.wait_timeout_while(announced, patience, |announced| !is_covered(announced));
        let (announced, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if is_covered(&announced) {
            return Ok(());
        }
        Err(Error::Unpublished)
    }

    /// Asks the witnesses at the start. One that has seen more than there is here is reason enough not to start.
    pub(crate) fn ask_witnesses_at_start(&self) -> Result<(), Error> {
        let mut log = self.lock_log();
        let now = self.seconds();
        let register = self.register();
        let terms = register.log.as_ref().map(|entry| (entry.index, &entry.body));
        let head = log.publisher.head()?.cloned();
        let objects = Arc::clone(&self.objects);
        let (Some(head), Some(witnessing)) = (head, log.witnessing(terms, &self.config.origin)?) else { return Ok(()) };
        let witnessed = witnessing.ask(&objects, &head, now)?;
        for (witness, error) in witnessed.late {
            if let usufruct_log::Error::Ahead { .. } = error {
                return Err(error.into());
            }
            tracing::warn!(witness, %error, "this witness did not answer at the start");
        }
        Ok(())
    }

    /// Checks the terms against this log before they join the register.
    pub(crate) fn check_terms(&self, terms: &LogTerms) -> Result<(), Error> {
        let wrong =
            |what: &str| Error::refused(&format!("The terms do not fit this log: {what}."), "Correct them and sign again.");
        policy(terms)?;
        if terms.origin != self.config.origin {
            return Err(wrong("the origin is another one"));
        }
        let keys = self.lock_log().keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        if terms.vkeys != keys || terms.receipt_vkey != self.receipt_vkey() {
            return Err(wrong("the keys are not the ones that sign"));
        }
        Ok(())
    }

    /// The verifier keys of the log's checkpoints (signed-note vkeys), the Ed25519 key first.
    pub fn log_vkeys(&self) -> Vec<String> {
        self.lock_log().keys.iter().map(ToString::to_string).collect()
    }

    /// Puts random leaves among the events until the interval has as many as the terms declare.
    fn fill(&self, log: &mut LogPublisher, terms: &LogTerms, now: u64) -> Result<(), Error> {
        if terms.filler.events == 0 {
            return Ok(());
        }
        let seconds = terms.filler.seconds.unsigned_abs();
        let intervals = log.filled_at.map_or(1, |at| now.saturating_sub(at) / seconds);
        if intervals == 0 {
            return Ok(());
        }
        let from = log.publisher.size()?;
        let declared = (intervals * terms.filler.events.unsigned_abs()).min(MOST_FILLER);
        let new = self.db.read(|conn| leaves::range(conn, from, BATCH))?;
        let real = new.iter().filter(|(_, leaf)| !leaf.starts_with(&statement::LEAF_PREFIX)).count() as u64;
        let missing: Vec<_> = (real..declared).map(|_| filler_leaf(&random(self.rng()))).collect();
        if !missing.is_empty() {
            self.db.transaction("fill log", move |tx| {
                missing.iter().try_for_each(|leaf| place_leaf(tx, leaf).map(drop))?;
                Ok::<_, Error>(())
            })?;
        }
        // What is left of an interval counts for the next one, or a late look would stretch them all.
        log.filled_at = Some(log.filled_at.map_or(now, |at| at + intervals * seconds));
        Ok(())
    }

    /// Shows the head to the public, once the witnesses that the terms ask for have signed it.
    fn announce(&self, log: &mut LogPublisher, terms: Option<(u64, &LogTerms)>, now: u64) -> Result<(), Error> {
        let Some(mut head) = log.publisher.head()?.cloned() else { return Ok(()) };
        let mut announced = self.announced();
        let refresh = terms.is_some_and(|(_, terms)| now >= announced.at + terms.checkpoint_seconds.unsigned_abs());
        let objects = Arc::clone(&self.objects);
        let is_new = head.size > announced.size || !log.publisher.is_announced()?;
        if refresh && !is_new {
            head = log.publisher.renew(now)?;
        }
        let note = match log.witnessing(terms, &self.config.origin)? {
            _ if !is_new && !refresh => return Ok(()),
            None => head.note.clone(),
            Some(witnessing) => {
                let Witnessed { note, is_met, late } = witnessing.ask(&objects, &head, now)?;
                for (witness, error) in late {
                    tracing::warn!(witness, %error, "this witness is late");
                }
                if is_met {
                    announced.witnessed = head.size;
                } else if !terms.is_some_and(|(_, terms)| terms.fail_open) {
                    tracing::warn!(size = head.size, "too few witnesses have signed, so the checkpoint is not public yet");
                    return Ok(());
                }
                note.to_string().into_bytes()
            }
        };
        log.publisher.announce(&note)?;
        (announced.size, announced.at) = (head.size, now);
        *self.announced.lock().unwrap_or_else(PoisonError::into_inner) = announced;
        self.announcing.notify_all();
        Ok(())
    }

    fn reload_if_stopped(&self, log: &mut LogPublisher) -> Result<(), Error> {
        match log.publisher.size() {
            Err(usufruct_log::Error::Stopped) => Ok(log.publisher.reload(Some(&CommittedLeaves::new(&self.db)?))?),
            other => Ok(other.map(drop)?),
        }
    }

    fn lock_log(&self) -> MutexGuard<'_, LogPublisher> {
        self.log_publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now, in seconds since 1970 UTC.
    fn seconds(&self) -> u64 {
        self.now().micros().max(0).unsigned_abs() / 1_000_000
    }
}

fn policy(terms: &LogTerms) -> Result<Policy, Error> {
    Ok(format!("{}\n", terms.policy).parse()?)
}

impl HeadRow {
    pub(crate) fn new(db: &Db) -> Self {
        Self(db.clone())
    }
}

impl Head for HeadRow {
    fn load(&self) -> usufruct_log::Result<Option<SignedHead>> {
        let published = self.0.read(|conn| log_head::published(conn)).map_err(external)?;
        Ok(published.map(|Published { size, root, time, note }| SignedHead { size, root: usufruct_log::Hash(root), time, note }))
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> usufruct_log::Result<bool> {
        let old = old.map(|old| old.size);
        let new = Published { size: new.size, root: new.root.0, time: new.time, note: new.note.clone() };
        self.0.transaction("publish checkpoint", move |tx| log_head::publish(tx, old, &new)).map_err(external)
    }
}

impl CommittedLeaves {
    pub fn new(db: &Db) -> Result<Self, Error> {
        Ok(Self { db: db.clone(), size: db.read(|conn| log_head::size(conn))? })
    }
}

impl LeafSource for CommittedLeaves {
    fn leaves(&self, from: u64, limit: usize) -> usufruct_log::Result<Vec<Vec<u8>>> {
        let leaves = self.db.read(|conn| leaves::range(conn, from, limit)).map_err(external)?;
        Ok(leaves.into_iter().map(|(_, data)| data).collect())
    }

    fn size(&self) -> u64 {
        self.size
    }
}

fn external(error: db::Error) -> usufruct_log::Error {
    match error {
        db::Error::Superseded {} => usufruct_log::Error::Moved,
        db::Error::Fatal { .. } => {
            usufruct_log::Error::Fatal { path: "the database".to_owned(), source: std::io::Error::other(error) }
        }
        other => usufruct_log::Error::outside("the store", other),
    }
}
