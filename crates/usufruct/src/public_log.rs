//! A log seen from outside: its files from a folder, a bucket, over HTTP or from a mirror, and the register that its statements make.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE};
use reqwest::{Client, StatusCode};
use tokio::runtime::Runtime;
use usufruct_app::log::witnessing::origin_hash;
use usufruct_app::log::{self, Checkpoint, Objects, Reader, Source, VerifierKey, checkpoint};
use usufruct_core::register::Register;
use usufruct_core::statement::Statement;

use crate::data_dir;
use crate::failure::Failure;

/// Where a log is read.
pub enum PublicLog {
    Bucket(Arc<dyn Objects>),
    Folder(PathBuf),
    Web(Web),
}

/// A log behind a URL.
pub struct Web {
    client: Client,
    /// Prefix of the log, without a slash at its end.
    prefix: String,
    runtime: Runtime,
}

impl PublicLog {
    /// Opens `place`: a URL or a folder, of the site (or data directory) or of the log in it. Of a data directory whose log
    /// is kept in a bucket, the bucket is read.
    pub fn open(place: &str) -> Result<Self, Failure> {
        Self::open_for(place, None)
    }

    /// As [`PublicLog::open`]; with the name of the log, `place` may also be a mirror that holds many
    /// (tlog-mirror: `<prefix>/<hex SHA-256 of the origin>/`).
    pub fn open_for(place: &str, origin: Option<&str>) -> Result<Self, Failure> {
        let mut log = match place.contains("://") {
            true => Self::Web(Web::open(place)?),
            false => match data_dir::bucket(Path::new(place))? {
                Some(bucket) => Self::Bucket(bucket),
                None => Self::Folder(PathBuf::from(place)),
            },
        };
        if log.has_checkpoint()? {
            return Ok(log);
        }
        for below in std::iter::once("log".to_owned()).chain(origin.map(origin_hash)) {
            log.descend(&below);
            if log.has_checkpoint()? {
                return Ok(log);
            }
            log.ascend(&below);
        }
        Err(Failure::impossible(
            format!("There is no log at {place}: neither /checkpoint nor /log/checkpoint is there."),
            "Give the address of the site or of the log, or a folder with a copy of it; for a mirror also the key, with --vkey.",
        ))
    }

    /// The log of a data directory, wherever its files are kept.
    pub fn in_data_dir(path: &Path) -> Result<Self, Failure> {
        Ok(match data_dir::bucket(path)? {
            Some(bucket) => Self::Bucket(bucket),
            None => Self::Folder(path.join("log")),
        })
    }

    /// The key that the log itself says it signs with. To be believed at most once.
    pub fn own_key(&self) -> Result<Option<VerifierKey>, Failure> {
        let Some(bytes) = self.fetch("vkey").map_err(unreachable)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        text.trim().parse().map(Some).map_err(|error| Failure::of(error).into_impossible())
    }

    /// The newest checkpoint, believed under the key that the log names itself.
    pub fn newest(&self) -> Result<Checkpoint, Failure> {
        let key = self
            .own_key()?
            .ok_or_else(|| Failure::impossible("The log names no key.", "Check it with `usufruct verify --vkey KEY` first."))?;
        Ok(checkpoint::fetch(self, key.name(), &[&key.verifier()?])?.0)
    }

    /// Waits until so many leaves are public, and not for long: without witnesses that may take hours, and commands have to work then too.
    pub fn await_size(&self, size: u64) -> Result<(), Failure> {
        for _ in 0..LOOKS {
            if self.newest()?.size() >= size {
                return Ok(());
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        Ok(())
    }

    /// The register of the log, believed under the key it names itself. For commands that only read.
    pub fn register(&self) -> Result<Register, Failure> {
        let head = self.newest()?;
        let mut register = Register::default();
        Reader::new(self, head).entries(0, |index, entry| {
            if let Ok(statement) = Statement::from_leaf(entry) {
                // What is unlawful is no part of the register; `verify` reports it.
                let _ = register.apply(&statement, index);
            }
            Ok(())
        })?;
        Ok(register)
    }

    /// The bytes `[from, to)` of a file, or all there are of them. A server that sends the whole file instead is understood.
    pub fn fetch_range(&self, path: &str, from: u64, to: u64) -> log::Result<Option<Vec<u8>>> {
        match self {
            Self::Bucket(objects) => Ok(Objects::fetch(objects, path)?.map(|bytes| part(&bytes, from, to))),
            Self::Folder(folder) => match read_range(&folder.join(path), from, to) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(source) => Err(log::Error::Io { path: folder.join(path).display().to_string(), source }),
            },
            Self::Web(web) => web.fetch(&format!("{}/{path}", web.prefix), Some((from, to))),
        }
    }

    /// A file of the site that the log belongs to; `None` for a folder, a mirror, or a log that stands alone.
    pub fn fetch_of_site(&self, path: &str) -> log::Result<Option<Vec<u8>>> {
        let Self::Web(web) = self else { return Ok(None) };
        let Some(site) = web.prefix.strip_suffix("/log") else { return Ok(None) };
        web.fetch(&format!("{site}/{path}"), None)
    }

    /// Whether it is read over the network, and so is the log itself rather than a copy of it.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Web(_))
    }

    fn has_checkpoint(&self) -> Result<bool, Failure> {
        Ok(self.fetch(checkpoint::PATH).map_err(unreachable)?.is_some())
    }

    fn descend(&mut self, below: &str) {
        match self {
            Self::Bucket(_) => {}
            Self::Folder(folder) => folder.push(below),
            Self::Web(web) => web.prefix = format!("{}/{below}", web.prefix),
        }
    }

    fn ascend(&mut self, below: &str) {
        match self {
            Self::Bucket(_) => {}
            Self::Folder(folder) => drop(folder.pop()),
            Self::Web(web) => web.prefix.truncate(web.prefix.len() - below.len() - 1),
        }
    }
}

impl Source for PublicLog {
    fn fetch(&self, path: &str) -> log::Result<Option<Vec<u8>>> {
        match self {
            Self::Bucket(objects) => Objects::fetch(objects, path),
            Self::Folder(folder) => match fs::read(folder.join(path)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(source) => Err(log::Error::Io { path: folder.join(path).display().to_string(), source }),
            },
            Self::Web(web) => web.fetch(&format!("{}/{path}", web.prefix), None),
        }
    }
}

impl Web {
    fn open(url: &str) -> Result<Self, Failure> {
        let setup = |error: &dyn std::fmt::Display| {
            Failure::impossible(format!("No connection can be made: {error}."), "Check the address.")
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| setup(&error))?;
        let client = Client::builder().timeout(TIMEOUT).user_agent(AGENT).build().map_err(|error| setup(&error))?;
        Ok(Self { client, prefix: url.trim_end_matches('/').to_owned(), runtime })
    }

    fn fetch(&self, url: &str, range: Option<(u64, u64)>) -> log::Result<Option<Vec<u8>>> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.runtime.block_on(get(&self.client, url, range)) {
                Ok(answer) => return answer.map(|answer| answer.open(range)).transpose(),
                Err(error) => last = Some(error),
            }
        }
        let why = last.map(|error| error.without_url().to_string()).unwrap_or_default();
        Err(log::Error::outside("the web", format!("{url}: {why}")))
    }
}

/// A file as it was sent.
struct Answer {
    is_part: bool,
    is_gzip: bool,
    bytes: Vec<u8>,
}

impl Answer {
    /// The bytes that were asked for. Bundles may come compressed even to those who did not ask for it (tlog-tiles).
    fn open(self, range: Option<(u64, u64)>) -> log::Result<Vec<u8>> {
        let mut bytes = self.bytes;
        if self.is_gzip {
            let mut unpacked = Vec::new();
            let limit = LARGEST_FILE as u64 + 1;
            MultiGzDecoder::new(bytes.as_slice())
                .take(limit)
                .read_to_end(&mut unpacked)
                .map_err(|_| log::Error::Malformed { what: "file", why: "it is not the gzip it says it is".to_owned() })?;
            bytes = unpacked;
        }
        if bytes.len() > LARGEST_FILE {
            return Err(log::Error::TooLarge { what: "file", limit: LARGEST_FILE });
        }
        if let Some((from, to)) = range.filter(|_| !self.is_part) {
            let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            bytes = bytes[place(from)..place(to.max(from))].to_vec();
        }
        Ok(bytes)
    }
}

async fn get(client: &Client, url: &str, range: Option<(u64, u64)>) -> Result<Option<Answer>, reqwest::Error> {
    let request = match range {
        Some((from, to)) => client.get(url).header(RANGE, format!("bytes={from}-{}", to.saturating_sub(1))),
        None => client.get(url).header(ACCEPT_ENCODING, "gzip"),
    };
    let mut answer = request.send().await?;
    match answer.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        // There is a file, and nothing of what was asked for is in it.
        StatusCode::RANGE_NOT_SATISFIABLE if range.is_some() => {
            return Ok(Some(Answer { is_part: true, is_gzip: false, bytes: Vec::new() }));
        }
        _ => answer.error_for_status_ref()?,
    };
    let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
    let is_gzip = answer.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes() == b"gzip");
    let mut bytes = Vec::new();
    while bytes.len() <= LARGEST_FILE
        && let Some(chunk) = answer.chunk().await?
    {
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(Answer { is_part, is_gzip, bytes }))
}

fn read_range(path: &Path, from: u64, to: u64) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes `[from, to)`, or all there are of them.
fn part(bytes: &[u8], from: u64, to: u64) -> Vec<u8> {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(at(from)..at(to)).unwrap_or_default().to_vec()
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Whether an error says nothing about the log, only that it could not be read.
pub fn is_outside(error: &log::Error) -> bool {
    matches!(error, log::Error::Io { .. } | log::Error::Outside { .. })
}

fn unreachable(error: log::Error) -> Failure {
    Failure::of(error).into_impossible()
}

const AGENT: &str = concat!("usufruct/", env!("CARGO_PKG_VERSION"));
const ATTEMPTS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// A bundle of 256 entries of 64 KiB, and some.
const LARGEST_FILE: usize = 256 * (65_536 + 2) + 1_024;
/// How often it is looked whether the log is as long as that: five seconds in all.
const LOOKS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(30);
