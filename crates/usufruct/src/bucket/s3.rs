//! Objects over the S3 protocol, where every write is conditional: nothing is ever overwritten unseen.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use usufruct_app::log::objects::check_path;
use usufruct_app::log::{Error, Objects, Result, Stored, checkpoint};

use super::Bucket;
use crate::failure::Failure;

/// A bucket, or what is below a prefix of one. Calls block; many threads may call at once.
///
/// The service must keep to `If-None-Match: *` and `If-Match` on PUT.
pub struct S3 {
    store: Store,
    checkpoint: Mutex<Known>,
    runtime: Option<Runtime>,
}

/// What this process knows of the checkpoint. Only over the known version it writes the next one, so that a second writer is
/// noticed.
#[derive(Clone, Default)]
struct Known {
    /// The version that this process wrote last, or found when it opened the bucket; `None` if there was none.
    version: Option<UpdateVersion>,
    /// Written since then, but the answer got lost: any of them may be there.
    unanswered: Vec<Vec<u8>>,
}

#[derive(Clone)]
struct Store {
    inner: Arc<dyn ObjectStore>,
    prefix: String,
}

impl S3 {
    /// Opens a bucket and looks for the checkpoint in it, so that wrong keys are noticed at once.
    pub fn connect(bucket: &Bucket, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Failure> {
        let (name, prefix) = bucket.parts()?;
        let failed = |error: &dyn std::fmt::Display| {
            Failure::impossible(
                format!("The bucket {} cannot be used: {error}.", bucket.bucket),
                "Check its address, its region and the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        };
        let is_http = bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new().with_timeout(TOTAL).with_connect_timeout(CONNECT).with_allow_http(is_http);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: TOTAL, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
        for (key, value) in environment {
            if key.starts_with("AWS_")
                && let Ok(key) = key.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
            {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.with_bucket_name(name).build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let store = Store { inner: Arc::new(store.map_err(|error| failed(&error))?), prefix: prefix.to_owned() };
        let s3 = Self { store, checkpoint: Mutex::default(), runtime: Some(runtime.map_err(|error| failed(&error))?) };
        let found = s3.run(|store| async move { store.version(checkpoint::PATH).await }).map_err(|error| failed(&error))?;
        s3.known().version = found;
        Ok(s3)
    }

    /// Asks the service for two things that it must refuse. One that does not keep to conditions would let two writers
    /// overwrite each other.
    pub fn check_conditions(&self) -> Result<(), Failure> {
        let refused = self.run(|store| async move {
            use object_store::Error::{AlreadyExists, Precondition};
            match store.write(PROBE, b"It is kept.\n".to_vec(), PutMode::Create).await {
                Ok(_) | Err(AlreadyExists { .. }) => {}
                Err(error) => return Err(outside(error)),
            }
            let other = UpdateVersion { e_tag: Some("\"another\"".to_owned()), version: None };
            for mode in [PutMode::Create, PutMode::Update(other)] {
                match store.write(PROBE, b"It is not kept.\n".to_vec(), mode).await {
                    Err(AlreadyExists { .. } | Precondition { .. }) => {}
                    Ok(_) => return Ok(false),
                    Err(error) => return Err(outside(error)),
                }
            }
            Ok(true)
        });
        match refused {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::refused(
                "The service of the bucket overwrites objects although it was asked not to, so nothing would notice a second writer.",
                "Use a service that keeps to If-None-Match and If-Match on PUT.",
            )),
            Err(error) => Err(Failure::of(error)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a future on a runtime of its own, whatever thread asks.
    fn run<T, F, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        W: FnOnce(Store) -> F,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        let work = work(self.store.clone());
        let Some(runtime) = &self.runtime else { return Err(stopped()) };
        runtime.spawn(async move { sender.send(work.await) });
        receiver.recv().map_err(|_| stopped())?
    }
}

impl Objects for S3 {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.put_all(&[(path.to_owned(), bytes.to_vec())])
    }

    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        objects.iter().try_for_each(|(path, _)| check_path(path))?;
        let mut waiting: VecDeque<_> = objects.to_vec().into();
        self.run(|store| async move {
            let mut under_way = JoinSet::new();
            loop {
                while under_way.len() < AT_ONCE
                    && let Some((path, bytes)) = waiting.pop_front()
                {
                    let store = store.clone();
                    under_way.spawn(async move { store.create(&path, bytes).await });
                }
                match under_way.join_next().await {
                    None => return Ok(()),
                    Some(done) => done.map_err(outside)??,
                }
            }
        })
    }

    /// Over the checkpoint only the version that this process knows is written: [`Error::Moved`] if there is another one.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        let (own, bytes) = (path.to_owned(), bytes.to_vec());
        if path != checkpoint::PATH {
            return self.run(|store| async move {
                let known = Known { version: store.version(&own).await?, unanswered: Vec::new() };
                store.replace(&own, bytes, known).await.map(drop)
            });
        }
        let mut known = self.known();
        let before = known.clone();
        if known.unanswered.len() < MOST_UNANSWERED {
            known.unanswered.push(bytes.clone());
        }
        let version = self.run(|store| async move { store.replace(&own, bytes, before).await })?;
        *known = Known { version: Some(version), unanswered: Vec::new() };
        Ok(())
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        check_path(path)?;
        let path = path.to_owned();
        Ok(self.run(|store| async move { store.fetch(&path).await })?.map(|(bytes, _)| bytes))
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        check_path(below)?;
        let (below, after) = (below.to_owned(), after.map(str::to_owned));
        self.run(|store| async move {
            let folder = store.at(&below);
            let found = match after {
                Some(after) => store.inner.list_with_offset(Some(&folder), &store.at(&after)),
                None => store.inner.list(Some(&folder)),
            };
            let all: Vec<_> = found.take(limit).try_collect().await.map_err(outside)?;
            let path =
                |found: &Path| found.as_ref().strip_prefix(&store.prefix).map(|path| path.trim_start_matches('/').to_owned());
            let stored = all.iter().filter_map(|meta| {
                Some(Stored { path: path(&meta.location)?, time: u64::try_from(meta.last_modified.timestamp()).unwrap_or(0) })
            });
            Ok(stored.collect())
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.remove_all(&[path.to_owned()])
    }

    fn remove_all(&self, paths: &[String]) -> Result<()> {
        paths.iter().try_for_each(|path| check_path(path))?;
        if paths.is_empty() {
            return Ok(());
        }
        let paths = paths.to_vec();
        self.run(|store| async move {
            let all: Vec<_> = paths.iter().map(|path| Ok(store.at(path))).collect();
            let mut done = store.inner.delete_stream(futures_util::stream::iter(all).boxed());
            while let Some(one) = done.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(outside(error)),
                }
            }
            Ok(())
        })
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // Unlike the runtime's own end, this may happen on a thread that serves requests.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store {
    fn at(&self, path: &str) -> Path {
        if self.prefix.is_empty() { Path::from(path) } else { Path::from(format!("{}/{path}", self.prefix)) }
    }

    /// Writes an object that is not there yet. One that is there must have the same bytes.
    async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        match self.write(path, bytes.clone(), PutMode::Create).await {
            Ok(_) => Ok(()),
            // Perhaps it was this very call, whose first answer got lost.
            Err(object_store::Error::AlreadyExists { .. }) => match self.fetch(path).await? {
                Some((stored, _)) if stored == bytes => Ok(()),
                Some(_) => Err(Error::Conflict { path: path.to_owned() }),
                None => Err(Error::Missing { path: path.to_owned() }),
            },
            Err(error) => Err(outside(error)),
        }
    }

    /// Writes an object over the version that is known, or over one that was this process's own.
    async fn replace(&self, path: &str, bytes: Vec<u8>, known: Known) -> Result<UpdateVersion> {
        let mut mode = known.version.map_or(PutMode::Create, PutMode::Update);
        for _ in 0..=RETRIES {
            match self.write(path, bytes.clone(), mode).await {
                Ok(version) => return Ok(version),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
                Err(error) => return Err(outside(error)),
            }
            match self.fetch(path).await? {
                Some((stored, version)) if stored == bytes => return Ok(version),
                Some((stored, version)) if known.unanswered.contains(&stored) => mode = PutMode::Update(version),
                _ => break,
            }
        }
        Err(Error::Moved)
    }

    async fn write(&self, path: &str, bytes: Vec<u8>, mode: PutMode) -> Result<UpdateVersion, object_store::Error> {
        // For buckets that serve the log to the public themselves.
        let (kind, cache) = match path.starts_with("tile/") || path.starts_with("tags/") {
            true => ("application/octet-stream", "public, max-age=604800, immutable"),
            false => ("text/plain; charset=utf-8", "no-store"),
        };
        let attributes = Attributes::from_iter([(Attribute::ContentType, kind), (Attribute::CacheControl, cache)]);
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        self.inner.put_opts(&self.at(path), bytes.into(), options).await.map(UpdateVersion::from)
    }

    async fn fetch(&self, path: &str) -> Result<Option<(Vec<u8>, UpdateVersion)>> {
        let found = match self.inner.get(&self.at(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(outside(error)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        Ok(Some((found.bytes().await.map_err(outside)?.to_vec(), version)))
    }

    async fn version(&self, path: &str) -> Result<Option<UpdateVersion>> {
        match self.inner.head(&self.at(path)).await {
            Ok(meta) => Ok(Some(UpdateVersion { e_tag: meta.e_tag, version: meta.version })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(outside(error)),
        }
    }
}

fn outside(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::outside("the bucket", error)
}

fn stopped() -> Error {
    Error::outside("the bucket", "its thread has ended")
}

/// Requests under way at the same time.
const AT_ONCE: usize = 16;
const CONNECT: Duration = Duration::from_secs(2);
/// A store that stays silent for longer is looked after by somebody.
const MOST_UNANSWERED: usize = 100;
/// The object that [`S3::check_conditions`] asks about.
const PROBE: &str = "conditions";
const RETRIES: usize = 3;
const TOTAL: Duration = Duration::from_secs(10);
