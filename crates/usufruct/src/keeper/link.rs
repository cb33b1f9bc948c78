//! The way to a keeper over the network. Calls block, each with a limit in time, so that a keeper that sleeps holds nobody up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use usufruct_app::vault::keeper::{Bound, Facts, OneTimeKey, Share, Standing};
use usufruct_app::vault::roots::{KeeperRoots, Link, Seat};
use usufruct_app::vault::second_hand::Call;
use usufruct_app::vault::{Epoch, Error, Result};
use usufruct_core::Digest;
use usufruct_core::hash::hex;
use usufruct_core::keeper::{Counter, Destroyed};
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::roster::{Entry, Roster};
use super::tls::Identity;
use super::wire::{self, Asked, Fixed, Given, Nothing, OfEpoch, OneTime, Order, Prepare, Refusal, Stands, place};
use crate::clock;
use crate::failure::Failure;
use crate::monitor::outlet::plain;

/// The line to one keeper, with connections that stay open.
pub struct Line {
    name: String,
    url: String,
    client: Client,
    runtime: Arc<Runtime>,
    /// For the keys under which shares travel.
    rng: Arc<dyn Rng>,
    /// When it last let a call run out.
    silent_since: Mutex<Option<Instant>>,
}

/// The lines to all keepers of a roster, in its order.
pub fn lines(roster: &Roster, identity: &Identity, rng: &Arc<dyn Rng>) -> Result<Vec<Arc<Line>>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = Arc::new(runtime.map_err(|error| unconnected(&error))?);
    let line = |entry| Line::new(entry, identity, Arc::clone(&runtime), Arc::clone(rng)).map(Arc::new);
    roster.keepers.iter().map(line).collect()
}

/// The keepers of a roster as slots of the root.
pub fn roots(roster: &Roster, lines: &[Arc<Line>]) -> Result<KeeperRoots<Arc<Line>>> {
    let seat = |(entry, line): (&Entry, &Arc<Line>)| Seat {
        name: entry.name.clone(),
        public: entry.public.clone(),
        link: Arc::clone(line),
    };
    KeeperRoots::new(&roster.vault, roster.threshold, roster.keepers.iter().zip(lines).map(seat).collect())
}

impl Line {
    fn new(entry: &Entry, identity: &Identity, runtime: Arc<Runtime>, rng: Arc<dyn Rng>) -> Result<Self, Failure> {
        let client = Client::builder()
            .tls_backend_preconfigured(identity.client(&entry.certificate)?)
            .https_only(true)
            .http1_only()
            .no_proxy()
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .user_agent(concat!("usufruct/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unconnected(&error))?;
        Ok(Self { name: entry.name.clone(), url: entry.url.clone(), client, runtime, rng, silent_since: Mutex::default() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks as another keeper where it stands. The answer is not checked here. Somebody waits for an answer to a call of
    /// theirs meanwhile, so it takes less time than any call of the city.
    pub fn counter(&self, nonce: &[u8; 16]) -> Result<Counter> {
        self.call_within(PEER, wire::COUNTER, &Asked { nonce: hex(nonce) })
    }

    fn call<T: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> Result<T> {
        self.call_within(TOTAL, path, question)
    }

    fn call_within<T: DeserializeOwned>(&self, limit: Duration, path: &str, question: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(question).map_err(|_| self.failed("the question could not be written"))?;
        let bytes = self.exchange(limit, path, Bytes::from(body), LARGEST)?;
        serde_json::from_slice(&bytes).map_err(|_| self.failed("its answer cannot be understood"))
    }

    /// The answer to a question, of which no more than `most` bytes are read.
    fn exchange(&self, limit: Duration, path: &str, body: Bytes, most: usize) -> Result<Zeroizing<Vec<u8>>> {
        if self.silent_since().is_some_and(|since| clock::stopwatch().duration_since(since) < PAUSE) {
            return Err(self.failed("it let a call run out a moment ago and is not asked again yet"));
        }
        let answer = self.runtime.block_on(self.send(limit, path, body, most));
        let (status, bytes) = answer.map_err(|error| {
            if error.is_timeout() {
                *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::stopwatch());
                return self.failed("it did not answer in time");
            }
            self.failed(&reason(&error))
        })?;
        *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if status.is_success() {
            return Ok(bytes);
        }
        if status == reqwest::StatusCode::GONE {
            return Err(Error::NoKey { noun: "sector" });
        }
        let why = serde_json::from_slice::<Refusal>(&bytes).map_or_else(|_| format!("it answered {status}"), |said| said.why);
        Err(self.failed(&plain(&why).chars().take(MOST_WORDS).collect::<String>()))
    }

    async fn send(
        &self,
        limit: Duration,
        path: &str,
        body: Bytes,
        most: usize,
    ) -> reqwest::Result<(reqwest::StatusCode, Zeroizing<Vec<u8>>)> {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json").body(body);
        let mut answer = request.timeout(limit).send().await?;
        // Never moved while it grows: pseudonyms may be in it.
        let mut bytes = Zeroizing::new(Vec::with_capacity(most));
        while let Some(chunk) = answer.chunk().await? {
            let room = most - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok((answer.status(), bytes))
    }

    fn silent_since(&self) -> Option<Instant> {
        *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, why: &str) -> Error {
        Error::Keeper { name: self.name.clone(), why: why.to_owned() }
    }
}

impl Call for Line {
    fn call(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut answer = self.exchange(TOTAL, wire::SECTORS, Bytes::copy_from_slice(request), wire::SECTORS_LIMIT)?;
        Ok(std::mem::take(&mut *answer))
    }
}

impl Link for Line {
    fn standing(&self) -> Result<Standing> {
        self.call::<Stands>(wire::STANDING, &Nothing {}).map(Standing::from)
    }

    fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()> {
        let x = place(&share).ok_or_else(|| self.failed("the share for it lies where the root does"))?;
        let key = self.call::<OneTime>(wire::KEY, &Nothing {})?.key;
        let to = key.key().ok_or_else(|| self.failed("the key that it gave is none that a share can be sealed to"))?;
        let facts = Facts { vault, epoch, x: share.x, check: &check };
        let sealed = Fixed(Bound::ToKeeper.seal(&to, &facts, &share, &*self.rng));
        let question = Prepare { vault: vault.to_owned(), epoch: epoch.0, x, key, sealed, check };
        self.call::<Nothing>(wire::PREPARE, &question).map(drop)
    }

    fn keep_only(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        self.call(wire::KEEP_ONLY, &Order { vault: vault.to_owned(), epoch: epoch.0, check: *check })
    }

    fn keep_from(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        self.call(wire::KEEP_FROM, &Order { vault: vault.to_owned(), epoch: epoch.0, check: *check })
    }

    fn share(&self, vault: &str, epoch: Epoch) -> Result<(Share, Digest)> {
        let private = OneTimeKey::random(&*self.rng);
        let key = Fixed(*private.public().bytes());
        let given: Given = self.call(wire::SHARE, &OfEpoch { vault: vault.to_owned(), epoch: epoch.0, key })?;
        let facts = Facts { vault, epoch, x: given.x.get(), check: &given.check };
        let share = Bound::ToCity.open(private, &facts, &given.sealed.0);
        let share = share.map_err(|_| self.failed("the share that it gave does not open with the key that was sent for it"))?;
        Ok((share, given.check))
    }
}

/// What is at the bottom of an error of the network.
fn reason(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn unconnected(error: &dyn std::fmt::Display) -> Failure {
    Failure::impossible(format!("No connection can be made: {error}."), "Check the limits of the system.")
}

const CONNECT: Duration = Duration::from_secs(1);
/// How long one call may take.
const TOTAL: Duration = Duration::from_secs(3);
/// How long another keeper may take to say where it stands.
const PEER: Duration = Duration::from_secs(1);
/// How long a keeper that let a call run out is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a question or an answer.
const LARGEST: usize = 8_192;
const MOST_WORDS: usize = 300;
