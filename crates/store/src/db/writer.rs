//! The one writer: takes the jobs that wait, runs each behind its own savepoint, commits once, answers all.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use super::answer::{Answer, Awaited, place};
use super::driver::{Driver, Failure};
use super::{Connected, Connection, Error, Row, Value};

/// The most jobs that share one commit.
const BATCH_JOBS: usize = 1_024;

/// How long a batch takes up further waiting jobs.
const BATCH_TIME: Duration = Duration::from_millis(5);

/// How often a batch is run when other transactions get in its way.
const ATTEMPTS: u32 = 12;
/// From how many jobs in a batch on the writer pauses for more, and how long each time.
const CROWD: usize = 4;
const LINGER: Duration = Duration::from_micros(100);
/// How often the writer pauses in one batch at most.
const MOST_PAUSES: u32 = 10;

/// A transaction, as a job sees it. The first statement that fails ends the job on both databases: later ones get the
/// same error, and the job's changes are taken back even if it answers `Ok`.
pub struct Tx<'a> {
    guarded: Guarded<'a>,
    group: Option<&'a mut dyn Group>,
}

/// State that all jobs of a batch share and that is written once for all of them, such as the head of a log.
///
/// Calls come in this order: `begin`, then for each job `savepoint` and, when the job failed, `rollback`; then
/// `before_commit`, and either `committed` or, at any point after `begin`, `aborted`. After `aborted` the same jobs may
/// be run again from `begin`.
pub trait Group: Send {
    /// The batch begins: read and lock what is shared. On PostgreSQL lock by writing
    /// (`UPDATE head SET size = size RETURNING size`), so that another node waits here and not at its commit.
    fn begin(&mut self, connection: &mut dyn Connection) -> Result<(), Error>;

    /// A job begins: remember where it starts.
    fn savepoint(&mut self);

    /// The job failed: go back to where it started.
    fn rollback(&mut self);

    /// All jobs have run: write what is shared.
    fn before_commit(&mut self, connection: &mut dyn Connection) -> Result<(), Error>;

    /// The batch is durable.
    fn committed(&mut self);

    /// The batch left nothing, or (when a connection broke during the commit) nobody knows what: forget all of it.
    fn aborted(&mut self);

    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// A job that has been handed over and not yet answered. Wait for it on a thread that may block, or await it.
#[must_use = "the outcome of a transaction is known only after waiting for it"]
pub struct Pending<T, E> {
    awaited: Awaited<Result<T, E>>,
}

/// What the writer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Durable commits, each for one or more jobs.
    pub commits: u64,
    /// Jobs answered after a durable commit, including those that failed by themselves.
    pub jobs: u64,
    /// Batches that were run again because another transaction got in the way.
    pub retries: u64,
}

impl<'a> Tx<'a> {
    /// The shared state installed with [`super::Db::set_group`].
    pub fn group<T: Group + 'static>(&mut self) -> Result<&mut T, Error> {
        self.group_and_connection().map(|(group, _)| group)
    }

    /// The shared state and the connection, for using both at once.
    pub fn group_and_connection<T: Group + 'static>(&mut self) -> Result<(&mut T, &mut dyn Connection), Error> {
        let group = self.group.as_mut().and_then(|group| group.as_any_mut().downcast_mut());
        let group = group
            .ok_or_else(|| Error::Refused { statement: "group".to_owned(), detail: "no such group is installed".to_owned() })?;
        Ok((group, &mut self.guarded))
    }
}

impl Connection for Tx<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        self.guarded.execute(sql, params)
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<u64, Error> {
        self.guarded.execute_many(sql, rows)
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        self.guarded.query(sql, params)
    }

    fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error> {
        self.guarded.query_one(sql, params)
    }

    fn script(&mut self, sql: &str) -> Result<(), Error> {
        self.guarded.script(sql)
    }
}

impl<T, E: From<Error>> Pending<T, E> {
    /// Waits until the job is durable, or has failed.
    pub fn wait(self) -> Result<T, E> {
        self.awaited.wait().unwrap_or_else(unanswered)
    }

    /// What nobody had to be asked for: it is refused already.
    pub fn refused(error: E) -> Self {
        let (answer, awaited) = place();
        answer.send(Err(error));
        Self { awaited }
    }
}

impl<T, E: From<Error>> Future for Pending<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.awaited.poll(context).map(|answer| answer.unwrap_or_else(unanswered))
    }
}

/// The writer answers every job it takes; when it is gone, nobody knows how far it came.
fn unanswered<T, E: From<Error>>() -> Result<T, E> {
    Err(Error::Unknown {}.into())
}

/// Tables that a checkpoint makes lose what was deleted from them.
type Tables = &'static [&'static str];

/// What waits in the writer's queue.
pub(super) enum Message {
    Checkpoint { tables: Tables, answer: mpsc::SyncSender<Result<(), Error>> },
    Job(Box<dyn Job>),
}

impl Message {
    pub(super) fn job<T, E, F>(name: &'static str, run: F) -> (Self, Pending<T, E>)
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, awaited) = place();
        let job = Work { name, run, outcome: None, answer };
        (Self::Job(Box::new(job)), Pending { awaited })
    }
}

/// A job without its types.
pub(super) trait Job: Send {
    fn name(&self) -> &'static str;

    /// Runs the job, keeps what it answers, and says whether its changes stay.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;

    /// Tells the caller: what the job answered, or why the batch failed.
    fn answer(self: Box<Self>, batch: Result<(), Error>);
}

struct Work<T, E, F> {
    name: &'static str,
    run: F,
    outcome: Option<Result<T, E>>,
    answer: Answer<Result<T, E>>,
}

impl<T, E, F> Job for Work<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let outcome =
            catch_unwind(AssertUnwindSafe(|| (self.run)(tx))).unwrap_or_else(|_| Err(Error::Panicked { name: self.name }.into()));
        let outcome = match (outcome, tx.guarded.failed.take()) {
            (Ok(_), Some(error)) => Err(error.into()),
            (outcome, _) => outcome,
        };
        let stays = outcome.is_ok();
        self.outcome = Some(outcome);
        stays
    }

    fn answer(self: Box<Self>, batch: Result<(), Error>) {
        let outcome = match (batch, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::Unknown {}.into()),
            (Err(error), _) => Err(error.into()),
        };
        self.answer.send(outcome);
    }
}

/// A connection that stops at the first statement that fails.
struct Guarded<'a> {
    connection: &'a mut dyn Connection,
    failed: Option<Error>,
}

impl Guarded<'_> {
    fn run<T>(&mut self, statement: impl FnOnce(&mut dyn Connection) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = statement(self.connection);
        self.failed = outcome.as_ref().err().cloned();
        outcome
    }
}

impl Connection for Guarded<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        self.run(|connection| connection.execute(sql, params))
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<u64, Error> {
        self.run(|connection| connection.execute_many(sql, rows))
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        self.run(|connection| connection.query(sql, params))
    }

    fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error> {
        self.run(|connection| connection.query_one(sql, params))
    }

    fn script(&mut self, sql: &str) -> Result<(), Error> {
        self.run(|connection| connection.script(sql))
    }
}

/// The writer's thread.
pub(super) struct Writer {
    queue: mpsc::Receiver<Message>,
    driver: Connected,
    group: Arc<Mutex<Option<Box<dyn Group>>>>,
    counting: Arc<Counting>,
    /// Taken from the queue while a batch was filling, to be done after it.
    checkpoint: Option<(Tables, mpsc::SyncSender<Result<(), Error>>)>,
    fatal: Option<Error>,
    /// How many jobs the last batch had.
    last_jobs: usize,
    /// How often the running batch has paused for more.
    pauses: u32,
}

impl Writer {
    pub(super) fn new(
        queue: mpsc::Receiver<Message>,
        driver: Connected,
        group: Arc<Mutex<Option<Box<dyn Group>>>>,
        counting: Arc<Counting>,
    ) -> Self {
        Self { queue, driver, group, counting, checkpoint: None, fatal: None, last_jobs: 0, pauses: 0 }
    }

    pub(super) fn run(mut self) {
        while let Ok(message) = self.queue.recv() {
            match message {
                Message::Checkpoint { tables, answer } => self.checkpoint = Some((tables, answer)),
                Message::Job(job) => self.batch(job),
            }
            if let Some((tables, answer)) = self.checkpoint.take() {
                let outcome = self.fatal.clone().map_or_else(|| self.driver.checkpoint(tables), Err);
                let _ = answer.send(outcome);
            }
        }
    }

    fn batch(&mut self, first: Box<dyn Job>) {
        if let Some(fatal) = &self.fatal {
            return first.answer(Err(fatal.clone()));
        }
        let mut jobs = vec![first];
        self.pauses = 0;
        let outcome = self.attempts(&mut jobs);
        self.last_jobs = jobs.len();
        tracing::debug!(jobs = jobs.len(), committed = outcome.is_ok(), "batch");
        if outcome.is_ok() {
            self.counting.commits.fetch_add(1, Ordering::Relaxed);
            self.counting.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        }
        for job in jobs {
            tracing::debug!(name = job.name(), "transaction");
            job.answer(outcome.clone());
        }
    }

    fn attempts(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), Error> {
        let group = Arc::clone(&self.group);
        let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
        for attempt in 1..=ATTEMPTS {
            match self.attempt(jobs, group.as_deref_mut(), attempt == 1) {
                Ok(()) => return Ok(()),
                Err(Failure::Aborted(error)) => return Err(error),
                Err(Failure::Fatal(error)) => {
                    tracing::error!("{error}");
                    self.fatal = Some(error.clone());
                    return Err(error);
                }
                Err(Failure::Retry) => {
                    self.counting.retries.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(1 << attempt.min(6)) / 2);
                }
                Err(Failure::Unknown) => return Err(Error::Unknown {}),
            }
        }
        Err(Error::Contended { attempts: ATTEMPTS })
    }

    /// Runs the jobs in one transaction, and while `filling`, takes up further ones that wait.
    fn attempt(
        &mut self,
        jobs: &mut Vec<Box<dyn Job>>,
        mut group: Option<&mut (dyn Group + 'static)>,
        filling: bool,
    ) -> Result<(), Failure> {
        self.driver.begin()?;
        let outcome = self.fill(jobs, group.as_deref_mut(), filling).and_then(|()| self.driver.commit());
        if outcome.is_err() {
            self.driver.rollback();
        }
        let told = group.map_or(Ok(()), |group| {
            guard(|| {
                if outcome.is_ok() {
                    group.committed()
                } else {
                    group.aborted()
                }
                Ok(())
            })
        });
        match told {
            Err(error) if outcome.is_ok() => Err(Failure::Fatal(error)),
            _ => outcome,
        }
    }

    fn fill(
        &mut self,
        jobs: &mut Vec<Box<dyn Job>>,
        mut group: Option<&mut (dyn Group + 'static)>,
        filling: bool,
    ) -> Result<(), Failure> {
        let started = monotonic();
        if let Some(group) = group.as_deref_mut() {
            self.hook(|connection| group.begin(connection))?;
        }
        let mut next = 0;
        loop {
            if next == jobs.len() && !(filling && next < BATCH_JOBS && started.elapsed() < BATCH_TIME && self.take(jobs)) {
                break;
            }
            self.run_one(jobs[next].as_mut(), group.as_deref_mut())?;
            next += 1;
        }
        if let Some(group) = group {
            self.hook(|connection| group.before_commit(connection))?;
        }
        Ok(())
    }

    /// Takes up one more waiting job, if there is one.
    fn take(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> bool {
        if self.checkpoint.is_some() {
            return false;
        }
        // Under load a short pause lets callers gather, so that more share the next disk sync. The pause is a sleep and not a
        // wait on the queue, or every single arrival would wake this thread. Somebody alone never waits.
        let crowded = jobs.len().max(self.last_jobs) >= CROWD;
        let message = match self.queue.try_recv() {
            Err(mpsc::TryRecvError::Empty) if crowded && self.pauses < MOST_PAUSES => {
                self.pauses += 1;
                thread::sleep(LINGER);
                self.queue.try_recv().ok()
            }
            other => other.ok(),
        };
        match message {
            Some(Message::Checkpoint { tables, answer }) => {
                self.checkpoint = Some((tables, answer));
                false
            }
            Some(Message::Job(job)) => {
                jobs.push(job);
                true
            }
            None => false,
        }
    }

    fn run_one(&mut self, job: &mut dyn Job, mut group: Option<&mut (dyn Group + 'static)>) -> Result<(), Failure> {
        self.driver.savepoint()?;
        if let Some(group) = group.as_deref_mut() {
            guard(|| {
                group.savepoint();
                Ok(())
            })
            .map_err(Failure::Aborted)?;
        }
        let guarded = Guarded { connection: as_connection(self.driver.as_mut()), failed: None };
        // A reborrow by hand: the compiler does not shorten the lifetime inside an `Option`.
        let lent = group.as_mut().map(|group| &mut **group as &mut dyn Group);
        let stays = job.run(&mut Tx { guarded, group: lent });
        if let Some(failure) = self.driver.failure() {
            return Err(failure);
        }
        if stays {
            return self.driver.release();
        }
        self.driver.rollback_savepoint()?;
        if let Some(group) = group {
            guard(|| {
                group.rollback();
                Ok(())
            })
            .map_err(Failure::Aborted)?;
        }
        Ok(())
    }

    /// Calls the group with a connection; whatever it answers, a statement that failed ends the batch.
    fn hook(&mut self, call: impl FnOnce(&mut dyn Connection) -> Result<(), Error>) -> Result<(), Failure> {
        let mut guarded = Guarded { connection: as_connection(self.driver.as_mut()), failed: None };
        let outcome = guard(|| call(&mut guarded));
        let failed = guarded.failed.take();
        if let Some(failure) = self.driver.failure() {
            return Err(failure);
        }
        outcome.and(failed.map_or(Ok(()), Err)).map_err(Failure::Aborted)
    }
}

fn as_connection(driver: &mut dyn Driver) -> &mut dyn Connection {
    driver
}

/// A panic in a group must not end the writer.
fn guard(call: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(Error::Panicked { name: "group" }))
}

#[expect(clippy::disallowed_methods, reason = "bounds how long a batch fills; never reaches data or decisions")]
fn monotonic() -> Instant {
    Instant::now()
}

#[derive(Default)]
pub(super) struct Counting {
    commits: AtomicU64,
    jobs: AtomicU64,
    retries: AtomicU64,
}

impl Counting {
    pub(super) fn read(&self) -> Counters {
        Counters {
            commits: self.commits.load(Ordering::Relaxed),
            jobs: self.jobs.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// A driver without a database, whose commits end as listed and then succeed.
    struct Scripted(Vec<Failure>);

    impl Connection for Scripted {
        fn execute(&mut self, _: &str, _: &[Value]) -> Result<u64, Error> {
            Ok(1)
        }

        fn execute_many(&mut self, _: &str, rows: &[Vec<Value>]) -> Result<u64, Error> {
            Ok(rows.len() as u64)
        }

        fn query(&mut self, _: &str, _: &[Value]) -> Result<Vec<Row>, Error> {
            Ok(Vec::new())
        }

        fn query_one(&mut self, _: &str, _: &[Value]) -> Result<Option<Row>, Error> {
            Ok(None)
        }

        fn script(&mut self, _: &str) -> Result<(), Error> {
            Ok(())
        }
    }

    impl Driver for Scripted {
        fn ready(&mut self) -> Result<(), Error> {
            Ok(())
        }

        fn begin(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        fn begin_snapshot(&mut self) -> Result<(), Error> {
            Ok(())
        }

        fn savepoint(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        fn release(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        fn rollback_savepoint(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        fn commit(&mut self) -> Result<(), Failure> {
            self.0.pop().map_or(Ok(()), Err)
        }

        fn rollback(&mut self) {}

        fn failure(&mut self) -> Option<Failure> {
            None
        }

        fn checkpoint(&mut self, _: &[&str]) -> Result<(), Error> {
            Ok(())
        }
    }

    /// Notes the calls it gets, a letter for each.
    struct Diary(Arc<Mutex<String>>);

    impl Diary {
        fn note(&self, call: char) {
            self.0.lock().unwrap().push(call);
        }
    }

    impl Group for Diary {
        fn begin(&mut self, _: &mut dyn Connection) -> Result<(), Error> {
            self.note('b');
            Ok(())
        }

        fn savepoint(&mut self) {
            self.note('s');
        }

        fn rollback(&mut self) {
            self.note('r');
        }

        fn before_commit(&mut self, _: &mut dyn Connection) -> Result<(), Error> {
            self.note('w');
            Ok(())
        }

        fn committed(&mut self) {
            self.note('c');
        }

        fn aborted(&mut self) {
            self.note('a');
        }

        fn as_any_mut(&mut self) -> &mut dyn Any {
            self
        }
    }

    /// Hands three jobs, of which the second fails, to a writer that waits for them, and returns the outcomes, the group's
    /// diary, and how often the jobs were run.
    fn outcomes(mut commits: Vec<Failure>) -> (Vec<Result<u32, Error>>, String, u32) {
        commits.reverse();
        let diary = Arc::new(Mutex::new(String::new()));
        let group: Box<dyn Group> = Box::new(Diary(Arc::clone(&diary)));
        let (queue, waiting) = mpsc::sync_channel(8);
        let runs = Arc::new(AtomicU32::new(0));
        let pending: Vec<_> = (0..3)
            .map(|number| {
                let runs = Arc::clone(&runs);
                let (message, pending) = Message::job("test", move |_| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    if number == 1 { Err(Error::Busy {}) } else { Ok(number) }
                });
                queue.send(message).unwrap();
                pending
            })
            .collect();
        let (late, later) = Message::job("late", |_| Ok::<_, Error>(9));
        let (checkpoint, _answer) = mpsc::sync_channel(1);
        queue.send(Message::Checkpoint { tables: &[], answer: checkpoint }).unwrap();
        queue.send(late).unwrap();
        drop(queue);
        let driver = Box::new(Scripted(commits));
        Writer::new(waiting, driver, Arc::new(Mutex::new(Some(group))), Arc::default()).run();
        let outcomes = pending.into_iter().chain([later]).map(Pending::wait).collect();
        let diary = diary.lock().unwrap().clone();
        (outcomes, diary, runs.load(Ordering::Relaxed))
    }

    #[test]
    fn jobs_that_wait_share_a_commit_and_a_checkpoint_ends_the_batch() {
        let expected = vec![Ok(0), Err(Error::Busy {}), Ok(2), Ok(9)];
        assert_eq!(outcomes(vec![]), (expected, "bssrswcbswc".to_owned(), 3));
    }

    #[test]
    fn jobs_are_run_again_when_another_transaction_got_in_the_way() {
        let expected = vec![Ok(0), Err(Error::Busy {}), Ok(2), Ok(9)];
        assert_eq!(outcomes(vec![Failure::Retry]), (expected, "bssrswabssrswcbswc".to_owned(), 6));
    }

    #[test]
    fn running_again_has_a_bound() {
        let (outcomes, _, runs) = outcomes(vec![Failure::Retry; ATTEMPTS as usize]);
        let contended = Err(Error::Contended { attempts: ATTEMPTS });
        assert_eq!(outcomes, [contended.clone(), contended.clone(), contended, Ok(9)]);
        assert_eq!(runs, 3 * ATTEMPTS);
    }

    #[test]
    fn after_a_fatal_commit_every_job_is_refused() {
        let fatal = Error::Fatal { detail: "test".to_owned() };
        let (outcomes, diary, runs) = outcomes(vec![Failure::Fatal(fatal.clone())]);
        assert_eq!(outcomes, vec![Err(fatal); 4]);
        assert_eq!((diary.as_str(), runs), ("bssrswa", 3));
    }

    #[test]
    fn an_unknown_commit_is_told_to_every_job_of_its_batch_only() {
        let (outcomes, diary, runs) = outcomes(vec![Failure::Unknown]);
        assert_eq!(outcomes, [Err(Error::Unknown {}), Err(Error::Unknown {}), Err(Error::Unknown {}), Ok(9)]);
        assert_eq!((diary.as_str(), runs), ("bssrswabswc", 3));
    }
}
