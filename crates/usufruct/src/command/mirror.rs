//! `usufruct mirror`: holds whole copies of other people's logs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::sync::watch;
use usufruct_app::House;
use usufruct_app::log::mirror::{LocalMirror, Mirror as Core, upload};
use usufruct_app::log::witness::FolderState;
use usufruct_app::log::witnessing::origin_hash;
use usufruct_app::log::{self, Folder, Note, Source, VerifierKey, checkpoint};
use usufruct_web::{MirrorSite, mirror_router};

use crate::clock::SystemClock;
use crate::command::witness::{SEEDS, cosigners, known_logs};
use crate::connections::{self, Places, Plain};
use crate::failure::Failure;
use crate::public_log::PublicLog;
use crate::server;

/// Hold whole copies of other people's logs, so that no operator can make one disappear.
///
/// A mirror proves every entry before it stores it, cosigns what it holds, and serves it. A log may bring its entries to
/// it, or it follows the log by itself.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct mirror init --data-dir mirror --name mirror.example.org
  usufruct mirror serve --data-dir mirror --logs logs.policy --follow https://pass.example.org")]
pub struct Mirror {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(Init),
    Serve(Serve),
}

/// Make the keys of a new mirror and print them as lines for a policy.
#[derive(Debug, Args)]
struct Init {
    /// Where keys, state and copies are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Its name for ever: a host you keep and a path, without scheme.
    #[arg(long, value_name = "NAME")]
    name: String,
}

/// Take in, hold and serve copies until told to stop.
#[derive(Debug, Args)]
struct Serve {
    /// Where keys, state and copies are kept. Never put back an older copy of its folder `state`.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The logs it holds: a file with lines `log <vkey>`, as in a tlog-policy.
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8091")]
    listen: SocketAddr,
    /// The address of a log to fetch by itself; may be given again.
    #[arg(long, value_name = "URL")]
    follow: Vec<String>,
    /// How often to look at the logs it follows, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
}

type Site = MirrorSite<Folder, FolderState>;

impl Mirror {
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
                format!("There is a mirror in {} already.", self.data_dir.display()),
                "Serve it with `usufruct mirror serve`, or choose another directory.",
            ));
        }
        let house = House::open(&self.data_dir)?;
        let cosigners = cosigners(&house, &self.name)?;
        // Written last: a directory without it is no mirror yet.
        std::fs::write(&file, format!("{}\n", self.name)).map_err(|error| Failure::file(&file, &error))?;
        for (number, cosigner) in cosigners.iter().enumerate() {
            println!("witness {}-{} {}", self.name, number + 1, cosigner.verifier_key());
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Serve {
    fn run(self) -> Result<ExitCode, Failure> {
        let name = std::fs::read_to_string(self.data_dir.join(NAME)).map_err(|_| {
            Failure::refused(
                format!("There is no mirror in {}.", self.data_dir.display()),
                "Make it with `usufruct mirror init`.",
            )
        })?;
        let house = House::open(&self.data_dir)?;
        house.require_seeds(&SEEDS)?;
        let state = FolderState::open(self.data_dir.join("state"))?;
        let mut logs: Vec<(String, Vec<VerifierKey>, Folder)> = Vec::new();
        for (origin, key) in known_logs(&self.logs)? {
            match logs.iter_mut().find(|(known, _, _)| *known == origin) {
                Some((_, keys, _)) => keys.push(key),
                None => {
                    let folder = Folder::hold(self.data_dir.join("copies").join(origin_hash(&origin)))?;
                    logs.push((origin, vec![key], folder));
                }
            }
        }
        let keys: Vec<VerifierKey> = logs.iter().flat_map(|(_, keys, _)| keys.clone()).collect();
        let (stop, stopped) = watch::channel(false);
        let (stop, fatal) = (Arc::new(stop), Arc::<Mutex<Option<Failure>>>::default());
        let broken = {
            let (stop, fatal) = (Arc::clone(&stop), Arc::clone(&fatal));
            move |error: log::Error| {
                fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Failure::of(error));
                let _ = stop.send(true);
            }
        };
        let mirror = Core::open(logs, cosigners(&house, name.trim())?, state)?;
        let site = Arc::new(MirrorSite::new(mirror, Arc::new(SystemClock), PATIENCE, broken));
        for url in &self.follow {
            follow(Arc::clone(&site), url.clone(), keys.clone(), Duration::from_secs(self.every), stopped.clone())?;
        }
        collect(Arc::clone(&site), stopped.clone())?;
        let listener = server::listen(self.listen)?;
        let failed = |error: std::io::Error| {
            Failure::impossible(format!("The mirror cannot run: {error}."), "Check the limits of the system.")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            server::watch_signals(Arc::clone(&stop)).map_err(failed)?;
            println!("{} mirrors on {address}. Stop with Ctrl+C.", name.trim());
            connections::serve(listener, Plain, mirror_router(site), Places::of_process(), server::told(stopped)).await;
            Ok::<_, Failure>(())
        })?;
        let fatal = fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        fatal.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

/// Fetches a log again and again, on a thread of its own.
fn follow(
    site: Arc<Site>,
    url: String,
    keys: Vec<VerifierKey>,
    every: Duration,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    repeat("follow", every, stopped, move || {
        if let Err(failure) = fetch(&site, &url, &keys) {
            tracing::warn!(url, %failure, "this log could not be fetched");
        }
    })
}

/// Removes partial tiles that nobody needs any more, on a thread of its own.
fn collect(site: Arc<Site>, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    repeat("collect", COLLECT_EVERY, stopped, move || match site.mirror.collect(site.now()) {
        Ok(0) => {}
        Ok(removed) => tracing::debug!(removed, "partial tiles were collected"),
        Err(error @ log::Error::Fatal { .. }) => site.give_up(error),
        Err(error) => tracing::warn!(%error, "partial tiles could not be collected"),
    })
}

fn repeat(
    name: &str,
    every: Duration,
    mut stopped: watch::Receiver<bool>,
    mut work: impl FnMut() + Send + 'static,
) -> Result<(), Failure> {
    let run = move || {
        while !*stopped.borrow_and_update() {
            work();
            thread::sleep(every);
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| Failure::impossible(format!("No thread could be started: {error}."), "Check the limits of the system."))
}

/// Brings the log behind a URL to the mirror, if there is more of it than is held.
fn fetch(site: &Site, url: &str, keys: &[VerifierKey]) -> Result<(), Failure> {
    let source = PublicLog::open(url)?;
    let bytes = Source::fetch(&source, checkpoint::PATH)?.unwrap_or_default();
    let note = Note::parse(&bytes)?;
    let public: log::Checkpoint = note.text().parse()?;
    let held = site.mirror.sizes().find(|(origin, _)| *origin == public.origin()).map(|(_, size)| size);
    if held.is_none()
        || !keys.iter().any(|key| note.signatures().iter().any(|line| (line.name(), line.id()) == (key.name(), key.id())))
    {
        return Err(Failure::refused(
            format!("{url} is none of the logs of this mirror."),
            "Add it to the file given by --logs.",
        ));
    }
    if held.is_some_and(|held| held >= public.size() && held > 0) {
        return Ok(());
    }
    let own: Vec<VerifierKey> = site.mirror.keys().cloned().collect();
    match upload(&source, &note, "local", &own, &LocalMirror { mirror: &site.mirror, now: site.now() }) {
        Ok(_) => {
            tracing::info!(url, size = public.size(), "the copy has grown");
            Ok(())
        }
        Err(
            error @ (log::Error::ClockBack { .. }
            | log::Error::Conflict { .. }
            | log::Error::Contradiction { .. }
            | log::Error::Fatal { .. }
            | log::Error::Moved),
        ) => {
            let failure = Failure::of(&error);
            site.give_up(error);
            Err(failure)
        }
        Err(error) => Err(error.into()),
    }
}

const COLLECT_EVERY: Duration = Duration::from_secs(60);
/// How long the next part of an upload may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The file that holds the name, and that makes a directory a mirror's.
const NAME: &str = "name";
