//! The running server: listeners, the thread that does what the clock asks for, and an orderly end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use usufruct_app::store::db;
use usufruct_app::{App, Error};
use usufruct_core::ports::random;
use usufruct_web::console::Console;
use usufruct_web::{Outbound, Settings, Site};

use crate::backup_mark::BackupKey;
use crate::certificate_cards::listener::CardListener;
use crate::certificate_cards::{self, CertificateCards};
use crate::connections::{self, Places, Plain};
use crate::data_dir::{ConsoleFile, DataDir};
use crate::failure::Failure;
use crate::memory::{self, Swap};
use crate::nightly::Nightly;
use crate::{backup, clock};

/// What is served, and where.
pub struct Serving {
    pub dir: DataDir,
    pub app: Arc<App>,
    pub settings: Settings,
    /// Whether proofs of possession have to carry a nonce of the pass.
    pub dpop_nonce: bool,
    pub listener: TcpListener,
    /// Further sites in the same process: the sample relying parties of the demo.
    pub beside: Vec<(TcpListener, Router)>,
    /// Mirrors to which the log is brought.
    pub mirrors: Vec<String>,
    /// Certificate cards as a way in.
    pub certificate_cards: Option<CertificateCards>,
    /// What is done each night.
    pub nightly: Option<Nightly>,
    /// Printed once everything listens.
    pub greeting: String,
}

/// Takes a port.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|error| {
        Failure::impossible(format!("{address} cannot be listened on: {error}."), "Choose another address with --listen.")
    })
}

/// Serves until the process is told to stop or nothing can be trusted any more.
pub fn run(serving: Serving) -> Result<(), Failure> {
    let broken = |error: std::io::Error| {
        Failure::impossible(format!("The server cannot run: {error}."), "Check the limits of the system.")
    };
    let Serving { dir, app, settings, dpop_nonce, listener, beside, mirrors, certificate_cards: cards, nightly, greeting } =
        serving;
    let address = listener.local_addr().map_err(broken)?;
    let outbound = Outbound::new(&settings.issuer).map_err(Failure::of)?;
    let mut site = Site::new(Arc::clone(&app), settings).map_err(Failure::of)?;
    if dpop_nonce {
        site = site.with_dpop_nonces();
    }
    if let Some(table) = &cards {
        site = site.with_card_place(table.place()?);
    }
    let site = Arc::new(site);
    app.publish_verifier(&usufruct_web::verifier_files()).map_err(Failure::of)?;
    let backups = match &nightly {
        Some(table) => Some((table.backups.clone(), BackupKey::of(app.house())?)),
        None => None,
    };
    let upkeep = Arc::new(Upkeep::new(Arc::clone(&app), backups));
    let token = URL_SAFE_NO_PAD.encode(random::<32>(app.rng()));
    let finisher = Arc::clone(&upkeep);
    let console = Arc::new(Console { token: token.clone(), finish: Box::new(move || finisher.all()) });
    let router = usufruct_web::router(Arc::clone(&site)).layer(Extension(console));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(broken)?;
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    crate::mirrors::start(Arc::clone(&app), mirrors, stopped.clone())?;
    if app.config().vault.keepers.is_some() {
        crate::keeper::upkeep::start(Arc::clone(&app), stopped.clone())?;
    }
    if let Some(table) = nightly {
        crate::nightly::start(Arc::clone(&app), dir.path(), table, stopped.clone())?;
    }
    let card_listener = match cards {
        None => None,
        Some(table) => {
            let listener = TcpListener::bind(table.listen).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
            let listener = listener.map_err(|error| {
                Failure::impossible(
                    format!("{} cannot be listened on for certificate cards: {error}.", table.listen),
                    "Choose another address under `listen` in [certificate_cards].",
                )
            })?;
            certificate_cards::watch::start(Arc::clone(&app), table, dir.path().to_owned(), stopped.clone())?;
            Some(listener)
        }
    };
    // Once more, for what the set-up has opened since the process began.
    let protection = memory::protect();
    dir.note_memory(protection)?;
    if memory::swap() == Swap::Open {
        tracing::warn!(
            locked = protection.is_locked,
            "there is swap that is neither in memory nor encrypted; `usufruct doctor` says what to do"
        );
    }
    let outcome = runtime.block_on(async {
        // Before anybody can know that this process serves: whoever does may end it at once.
        watch_signals(Arc::clone(&stop)).map_err(broken)?;
        // Before anything answers: who meets a server that does must find the way to its console. Until then callers wait, for the
        // port is taken already.
        dir.open_console(&ConsoleFile { url: format!("http://{}", local(address)), token })?;
        let (mut servers, places) = (tokio::task::JoinSet::new(), Places::of_process());
        if let Some(listener) = card_listener {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
            let (welcome, router) = (CardListener(Arc::clone(&app)), usufruct_web::card_router(Arc::clone(&site)));
            servers.spawn(connections::serve(listener, welcome, router, Arc::clone(&places), told(stopped.clone())));
        }
        for (listener, router) in std::iter::once((listener, router)).chain(beside) {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
            servers.spawn(connections::serve(listener, Plain, router, Arc::clone(&places), told(stopped.clone())));
        }
        let keeper = upkeep.start(Arc::clone(&stop)).map_err(broken)?;
        tokio::spawn(clock::watch(Arc::clone(&site), stopped.clone()));
        tokio::spawn(crate::messages::run(site, outbound, stopped.clone()));
        println!("{greeting}");
        told(stopped.clone()).await;
        let orderly = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, orderly).await.is_err() {
            tracing::warn!("requests still under way were cut off");
        }
        Ok::<_, Failure>(keeper)
    });
    dir.close_console();
    let keeper = outcome?;
    upkeep.stop();
    let fatal = keeper.join().unwrap_or_else(|_| Some("The upkeep thread broke down. Report this as a defect.".to_owned()));
    runtime.shutdown_timeout(PATIENCE);
    match fatal {
        Some(error) => Err(Failure::of(error)),
        None => Ok(app.publish_log()?),
    }
}

/// Ends the process in order on SIGTERM and SIGINT.
pub fn watch_signals(stop: Arc<watch::Sender<bool>>) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signal, stop) = (signal(kind)?, Arc::clone(&stop));
        tokio::spawn(async move {
            if signal.recv().await.is_some() {
                tracing::info!("stopping");
                let _ = stop.send(true);
            }
        });
    }
    Ok(())
}

/// Until the process is told to stop.
pub async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await.map(drop);
}

/// The address by which this machine reaches a listener.
fn local(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// What has to be done again and again.
struct Upkeep {
    app: Arc<App>,
    /// Where the backups are kept that the pass makes itself, and the key of their marks.
    backups: Option<(PathBuf, BackupKey)>,
    /// Endings are finished by one thread at a time.
    ticking: Mutex<()>,
    stopped: AtomicBool,
    sleeping: Mutex<()>,
    wake: Condvar,
}

impl Upkeep {
    fn new(app: Arc<App>, backups: Option<(PathBuf, BackupKey)>) -> Self {
        Self {
            app,
            backups,
            ticking: Mutex::new(()),
            stopped: AtomicBool::new(false),
            sleeping: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Starts the thread. It answers with the error that ended it, if one did.
    fn start(self: &Arc<Self>, stop: Arc<watch::Sender<bool>>) -> std::io::Result<thread::JoinHandle<Option<String>>> {
        let upkeep = Arc::clone(self);
        self.app.leave_publishing_to_upkeep();
        thread::Builder::new().name("upkeep".to_owned()).spawn(move || {
            let fatal = upkeep.run();
            let _ = stop.send(true);
            fatal
        })
    }

    fn run(&self) -> Option<String> {
        let (mut ticked, mut swept, mut collected, mut purged, mut looked) = (None, None, None, None, None);
        while !self.stopped.load(Ordering::SeqCst) {
            let now = clock::stopwatch();
            let due = |last: Option<std::time::Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
            let mut outcomes = Vec::new();
            if due(ticked, TICK) {
                ticked = Some(now);
                outcomes.push(("tick", self.all()));
            } else {
                outcomes.push(("publish log", self.log()));
            }
            if due(swept, SWEEP) {
                swept = Some(now);
                outcomes.push(("sweep", self.app.sweep().map(drop)));
                outcomes.push(("note altered deletions", self.app.note_altered_deletions().map(drop)));
                outcomes.push(("note missed deletions", self.app.note_missed_deletions().map(drop)));
                outcomes.push(("publish tallies", self.app.run_tallies().map(drop)));
                outcomes.push(("publish tallies of cases", self.app.run_case_tallies().map(drop)));
                outcomes.push(("release brakes", self.app.release_brakes().map(drop)));
            }
            if due(looked, LOOK) {
                looked = Some(now);
                outcomes.push(("say what the brake stopped", self.app.say_stoppages().map(drop)));
                outcomes.push(("look at sources", self.app.run_sources().map(drop)));
                outcomes.push(("look after breaches", self.app.run_breaches().map(drop)));
            }
            if due(collected, COLLECT) {
                collected = Some(now);
                outcomes.push(("collect partial tiles", self.app.collect_log().map(drop)));
            }
            if due(purged, PURGE) {
                purged = Some(now);
                outcomes.push(("purge ciphertext", self.purge()));
            }
            for (job, outcome) in outcomes {
                let Err(error) = outcome else { continue };
                if is_fatal(&error) {
                    tracing::error!(job, %error, "nothing can be trusted any more, stopping");
                    return Some(error.to_string());
                }
                tracing::warn!(job, %error, "will be tried again");
            }
            let guard = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.stopped.load(Ordering::SeqCst) {
                let _unused = self.wake.wait_timeout(guard, PAUSE);
            }
        }
        None
    }

    fn stop(&self) {
        let _guard = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopped.store(true, Ordering::SeqCst);
        self.wake.notify_all();
    }

    /// Sunsets, unfinished erasures and the log.
    fn all(&self) -> Result<(), Error> {
        let _guard = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        self.app.tick()
    }

    /// The ciphertext whose date has come. Without backups of its own the pass knows no older copy, and the date is the certificate's.
    fn purge(&self) -> Result<(), Error> {
        let oldest = self.backups.as_ref().and_then(|(folder, key)| backup::oldest(folder, key));
        let done = self.app.run_purges(oldest)?;
        if done > 0 {
            tracing::info!(erasures = done, "ciphertext purged");
        }
        Ok(())
    }

    /// The log, when its time has come.
    fn log(&self) -> Result<(), Error> {
        if self.app.is_publication_due()? { self.app.publish_log() } else { Ok(()) }
    }
}

/// Whether going on could do harm.
fn is_fatal(error: &Error) -> bool {
    use usufruct_app::{log, vault};
    matches!(
        error,
        Error::Corrupt { .. }
            | Error::Store(db::Error::Fatal { .. } | db::Error::Closed {} | db::Error::Superseded {})
            | Error::Log(
                log::Error::ClockBack { .. }
                    | log::Error::Conflict { .. }
                    | log::Error::Contradiction { .. }
                    | log::Error::Fatal { .. }
                    | log::Error::Moved
            )
            | Error::Vault(vault::Error::Damaged { .. } | vault::Error::Stopped)
    )
}

/// How long requests under way may take when the server stops.
const PATIENCE: Duration = Duration::from_secs(10);
const COLLECT: Duration = Duration::from_secs(60);
/// A missing number is public within a minute: the grace of a source, this, and the time until the log is published.
const LOOK: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
/// On PostgreSQL a purge writes whole tables anew, so it is not done for each erasure.
const PURGE: Duration = Duration::from_secs(6 * 60 * 60);
const SWEEP: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(2);
