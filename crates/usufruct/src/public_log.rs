//! A log seen from outside: its files from a folder or over HTTP, and the register that its statements make.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::runtime::Runtime;
use usufruct_app::log::{self, Reader, Source, VerifierKey, checkpoint};
use usufruct_core::register::Register;
use usufruct_core::statement::Statement;

use crate::failure::Failure;

/// Where a log is read.
pub enum PublicLog {
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
    /// Opens `place`: a URL or a folder, of the site (or data directory) or of the log in it.
    pub fn open(place: &str) -> Result<Self, Failure> {
        let log = if place.contains("://") { Self::Web(Web::open(place)?) } else { Self::Folder(PathBuf::from(place)) };
        if log.has_checkpoint()? {
            return Ok(log);
        }
        let below = match log {
            Self::Folder(folder) => Self::Folder(folder.join("log")),
            Self::Web(web) => Self::Web(Web { prefix: format!("{}/log", web.prefix), ..web }),
        };
        if below.has_checkpoint()? {
            return Ok(below);
        }
        Err(Failure::impossible(
            format!("There is no log at {place}: neither /checkpoint nor /log/checkpoint is there."),
            "Give the address of the site or of the log, or a folder with a copy of it.",
        ))
    }

    /// The log in a data directory.
    pub fn in_data_dir(path: &Path) -> Self {
        Self::Folder(path.join("log"))
    }

    /// The key that the log itself says it signs with. To be believed at most once.
    pub fn own_key(&self) -> Result<Option<VerifierKey>, Failure> {
        let Some(bytes) = self.fetch("vkey").map_err(unreachable)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        text.trim().parse().map(Some).map_err(|error| Failure::of(error).into_impossible())
    }

    /// The register of the log, believed under the key it names itself. For commands that only read.
    pub fn register(&self) -> Result<Register, Failure> {
        let key = self
            .own_key()?
            .ok_or_else(|| Failure::impossible("The log names no key.", "Check it with `usufruct verify --vkey KEY` first."))?;
        let (head, _) = checkpoint::fetch(self, key.name(), &[&key.verifier()?])?;
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

    fn has_checkpoint(&self) -> Result<bool, Failure> {
        Ok(self.fetch(checkpoint::PATH).map_err(unreachable)?.is_some())
    }
}

impl Source for PublicLog {
    fn fetch(&self, path: &str) -> log::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(folder) => match fs::read(folder.join(path)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                    Ok(None)
                }
                Err(source) => Err(log::Error::Io { path: folder.join(path).display().to_string(), source }),
            },
            Self::Web(web) => web.fetch(path),
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

    fn fetch(&self, path: &str) -> log::Result<Option<Vec<u8>>> {
        let url = format!("{}/{path}", self.prefix);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.runtime.block_on(get(&self.client, &url)) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        let why = last.map(|error| error.without_url().to_string()).unwrap_or_default();
        Err(log::Error::outside("the web", format!("{url}: {why}")))
    }
}

async fn get(client: &Client, url: &str) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut answer = client.get(url).send().await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    answer.error_for_status_ref()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_FILE {
            // No file of a log is that large, so this is none.
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

fn unreachable(error: log::Error) -> Failure {
    Failure::of(error).into_impossible()
}

const AGENT: &str = concat!("usufruct/", env!("CARGO_PKG_VERSION"));
const ATTEMPTS: usize = 3;
/// A bundle of 256 entries of 64 KiB, and some.
const LARGEST_FILE: usize = 256 * (65_536 + 2) + 1_024;
const TIMEOUT: Duration = Duration::from_secs(30);
