//! Publishes a log to a folder, with this crate alone: no database, no server.
//!
//! ```text
//! publish OBJECTS HEAD [--entries FILE] [--time SECONDS] SIZE...
//! ```
//!
//! Grows the log to each SIZE in turn and prints `acknowledged SIZE` once every entry below it is durable and covered by the
//! public checkpoint. Any web server can serve the folder OBJECTS as a tlog-tiles log. The folder HEAD holds the signed head
//! and is best on another disk. Sizes that the log already has are passed over, so that the same command continues after
//! an interruption.
//!
//! The entries are the lines of FILE, or made up: 66 bytes that look random. Either way the entry at an index is the same
//! every time, as the crate asks: what was staged before an interruption is staged again with the same bytes.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use usufruct_log::{Ed25519Signer, Error, FileHead, Folder, LeafSource, MlDsaCosigner, Publisher, Result, Signer, leaf_hash};

const ORIGIN: &str = "example.org/publish";

/// A real log keeps its seeds secret. This one is an example, and everybody may sign in its name.
const SEED: [u8; 32] = [7; 32];

const USAGE: &str = "Usage: publish OBJECTS HEAD [--entries FILE] [--time SECONDS] SIZE...";

fn main() -> ExitCode {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // After any error of a commit the state of the disk is uncertain. The process ends; the next start reads
        // everything anew.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { objects, head, entries, time, sizes }: Arguments) -> Result<()> {
    let ed25519 = Ed25519Signer::from_seed(ORIGIN, &SEED)?;
    let ml_dsa = MlDsaCosigner::from_seed(ORIGIN, &SEED)?;
    say(&format!("vkey {}", ed25519.verifier_key()))?;
    let signers: Vec<Box<dyn Signer + Send + Sync>> = vec![Box::new(ed25519), Box::new(ml_dsa)];

    let entries = Entries::read(entries)?;
    let head = FileHead::open(head)?;
    let mut publisher = Publisher::open(Folder::hold(objects)?, head, signers, ORIGIN, Some(&entries))?;
    say(&format!("opened {}", publisher.size()?))?;

    for size in sizes {
        let from = publisher.size()?;
        if publisher.head()?.is_some() && publisher.is_announced()? && size <= from {
            continue;
        }
        let new = (from..size).map(|index| Ok((index, entries.at(index)?))).collect::<Result<Vec<_>>>()?;
        let head = publisher.publish(new, time.unwrap_or_else(now))?;
        say(&format!("acknowledged {}", head.size))?;
    }
    Ok(())
}

/// Where the entries come from.
enum Entries {
    Lines(Vec<Vec<u8>>),
    MadeUp,
}

impl Entries {
    fn read(file: Option<String>) -> Result<Self> {
        let Some(file) = file else { return Ok(Self::MadeUp) };
        let text = std::fs::read(&file).map_err(|source| Error::Io { path: file, source })?;
        Ok(Self::Lines(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()))
    }

    fn at(&self, index: u64) -> Result<Vec<u8>> {
        match self {
            Self::MadeUp => Ok(made_up(index)),
            Self::Lines(lines) => {
                let line = usize::try_from(index).ok().and_then(|index| lines.get(index));
                line.cloned().ok_or_else(|| Error::outside("the entries file", format!("it has no line {index}")))
            }
        }
    }
}

impl LeafSource for Entries {
    fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>> {
        (from..self.size()).take(limit).map(|index| self.at(index)).collect()
    }

    fn size(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.len() as u64,
            Self::MadeUp => u64::MAX,
        }
    }
}

fn made_up(index: u64) -> Vec<u8> {
    let noise = |what: &str| leaf_hash(format!("{what} {index}").as_bytes()).0;
    [[1, 2].as_slice(), &noise("first half"), &noise("second half")].concat()
}

/// Prints a line at once. Whoever reads it may rely on it.
fn say(line: &str) -> Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|source| Error::Io { path: "standard output".to_owned(), source })
}

#[expect(clippy::disallowed_methods, reason = "a program has to take the time from somewhere")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

struct Arguments {
    objects: String,
    head: String,
    entries: Option<String>,
    time: Option<u64>,
    sizes: Vec<u64>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut arguments = Self { objects: words.next()?, head: words.next()?, entries: None, time: None, sizes: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--entries" => arguments.entries = Some(words.next()?),
                "--time" => arguments.time = Some(words.next()?.parse().ok()?),
                size => arguments.sizes.push(size.parse().ok()?),
            }
        }
        Some(arguments)
    }
}
