//! `usufruct witness`: cosigns the checkpoints of other people's logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use usufruct_app::House;
use usufruct_app::log::witness::{FolderState, Witness as Core};
use usufruct_app::log::{Cosigner, Ed25519Cosigner, MlDsaCosigner, Policy, VerifierKey};
use usufruct_web::{WitnessSite, witness_router};

use crate::chance::SystemRng;
use crate::clock::SystemClock;
use crate::connections::{self, Places, Plain};
use crate::failure::Failure;
use crate::server;

/// Be a witness: see to it that a log shows everybody the same history.
///
/// A witness remembers the largest checkpoint of each log it knows and cosigns only what extends it. It stores no entries.
/// Run it where the operator of the log has no say.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct witness init --data-dir witness --name witness.example.org
  usufruct witness serve --data-dir witness --logs logs.policy --listen 127.0.0.1:8090")]
pub struct Witness {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(Init),
    Serve(Serve),
}

/// Make the keys of a new witness and print them as lines for a policy.
#[derive(Debug, Args)]
struct Init {
    /// Where keys and state are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Its name for ever: a host you keep and a path, without scheme.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The address that logs will use, for the printed lines.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Answer logs until told to stop. SIGHUP reads the list of logs again.
#[derive(Debug, Args)]
struct Serve {
    /// Where keys and state are kept. Never put back an older copy of it.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The logs it knows: a file with lines `log <vkey>`, as in a tlog-policy. The name of a key is the origin, unless a
    /// line `# origin <name>` stands before it.
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
}

impl Witness {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Init(init) => init.run(),
            Verb::Serve(serve) => serve.run(),
        }
    }
}

impl Init {
    fn run(self) -> Result<ExitCode, Failure> {
        let file = self.data_dir.join(NAME);
        if file.exists() {
            return Err(Failure::refused(
                format!("There is a witness in {} already.", self.data_dir.display()),
                "Serve it with `usufruct witness serve`, or choose another directory.",
            ));
        }
        let house = House::open(&self.data_dir)?;
        let cosigners = cosigners(&house, &self.name)?;
        // Written last: a directory without it is no witness yet.
        std::fs::write(&file, format!("{}\n", self.name)).map_err(|error| Failure::file(&file, &error))?;
        let url = self.url.map(|url| format!(" {url}")).unwrap_or_default();
        for (number, cosigner) in cosigners.iter().enumerate() {
            println!("witness {}-{} {}{url}", self.name, number + 1, cosigner.verifier_key());
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Serve {
    fn run(self) -> Result<ExitCode, Failure> {
        let name = std::fs::read_to_string(self.data_dir.join(NAME)).map_err(|_| {
            Failure::refused(
                format!("There is no witness in {}.", self.data_dir.display()),
                "Make it with `usufruct witness init`.",
            )
        })?;
        let house = House::open(&self.data_dir)?;
        house.require_seeds(&SEEDS)?;
        let state = Arc::new(FolderState::open(self.data_dir.join("state"))?);
        let make = || -> Result<Core<Arc<FolderState>>, Failure> {
            Ok(Core::new(known_logs(&self.logs)?, cosigners(&house, name.trim())?, Arc::clone(&state))?)
        };
        let (stop, stopped) = watch::channel(false);
        let fatal: Arc<Mutex<Option<Failure>>> = Arc::default();
        let stop = Arc::new(stop);
        let site = {
            let (stop, fatal) = (Arc::clone(&stop), Arc::clone(&fatal));
            Arc::new(WitnessSite::new(make()?, Arc::new(SystemClock), move |error| {
                fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Failure::of(error));
                let _ = stop.send(true);
            }))
        };
        let listener = server::listen(self.listen)?;
        let broken = |error: std::io::Error| {
            Failure::impossible(format!("The witness cannot run: {error}."), "Check the limits of the system.")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(broken)?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
            let address = listener.local_addr().map_err(broken)?;
            server::watch_signals(Arc::clone(&stop)).map_err(broken)?;
            let router = witness_router(Arc::clone(&site));
            println!("{} witnesses on {address}. Stop with Ctrl+C.", name.trim());
            let mut hangup = signal(SignalKind::hangup()).map_err(broken)?;
            let serving = connections::serve(listener, Plain, router, Places::of_process(), server::told(stopped));
            tokio::pin!(serving);
            loop {
                tokio::select! {
                    () = &mut serving => break Ok::<_, Failure>(()),
                    _ = hangup.recv() => match make() {
                        Ok(witness) => { site.reload(witness); tracing::info!("the list of logs was read again"); }
                        Err(failure) => tracing::warn!(%failure, "the old list of logs stays"),
                    },
                }
            }
        })?;
        let fatal = fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        fatal.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

/// The two keys of a witness, made on first use.
pub fn cosigners(house: &House, name: &str) -> Result<Vec<Box<dyn Cosigner>>, Failure> {
    Ok(vec![
        Box::new(Ed25519Cosigner::from_seed(name, &*house.seed(SEEDS[0], &SystemRng)?)?),
        Box::new(MlDsaCosigner::from_seed(name, &*house.seed(SEEDS[1], &SystemRng)?)?),
    ])
}

/// The logs of a file, as pairs of origin and key.
pub fn known_logs(file: &Path) -> Result<Vec<(String, VerifierKey)>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
    let mut origin = None;
    let mut known = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix("# origin ") {
            origin = Some(name.trim().to_owned());
        } else if line.trim_start().starts_with("log ") {
            let policy: Policy = format!("{line}\nquorum none\n").parse()?;
            for log in policy.logs() {
                known.push((origin.take().unwrap_or_else(|| log.key.name().to_owned()), log.key.clone()));
            }
        }
    }
    if known.is_empty() {
        return Err(Failure::refused(
            format!("{} names no log.", file.display()),
            "Write a line `log <vkey>` for each key of each log.",
        ));
    }
    Ok(known)
}

/// The names of the two keys, Ed25519 and ML-DSA.
pub const SEEDS: [&str; 2] = ["witness", "witness-ml-dsa"];
/// The file that holds the name, and that makes a directory a witness's.
const NAME: &str = "name";
