//! `usufruct keeper serve`: answers the city, and the other keepers when they start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;
use usufruct_app::House;
use usufruct_app::vault::keeper::{Keeper, KeeperFile as State, OneTimeKeys, public_of};
use usufruct_app::vault::roots::Disk;
use usufruct_app::vault::scrub;
use usufruct_app::vault::second_hand::SectorKeys;

use super::{KeeperFile, SEED};
use crate::chance::{SystemRng, chance};
use crate::clock::SystemClock;
use crate::connections::{self, Places};
use crate::data_dir;
use crate::failure::Failure;
use crate::keeper::link;
use crate::keeper::listener::KeeperListener;
use crate::keeper::peers::Peers;
use crate::keeper::roster::{self, Roster};
use crate::keeper::site::{KeeperSite, router};
use crate::keeper::tls::Identity;
use crate::server;

/// Answer the city and the other keepers until told to stop.
///
/// Only those answer and are answered whose certificates stand in the roster. After a start and before it gives out a share the
/// keeper asks the others where they stand. It gives none out while nobody answers, and none of an epoch that one of them says is
/// over; once n - t + 1 of them say so, it destroys its share.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct keeper serve --data-dir keeper --roster keepers.toml --listen 0.0.0.0:8443")]
pub struct Serve {
    /// Where keys and shares are kept. Never put back an older copy of it, and leave it out of every backup.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The roster [default: keepers.toml in the data directory]. It is read once, at the start.
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

impl Serve {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let file = KeeperFile::read(&self.data_dir)?;
        let house = House::open(&self.data_dir)?;
        house.require_seeds(&[SEED])?;
        let identity = Identity::open(&house, &file.name, &SystemRng)?;
        let roster = Roster::read(&self.roster.unwrap_or_else(|| self.data_dir.join(roster::FILE)))?;
        let seed = house.seed(SEED, &SystemRng)?;
        stands_in(&roster, &file, &public_of(&seed).map_err(Failure::of)?, &identity)?;
        let disk = if data_dir::any_disk() { Disk::Any } else { Disk::InPlace };
        let state = State::open(&house.vault_dir(), disk).map_err(Failure::of)?;
        let others = roster.keepers.iter().filter(|entry| entry.name != file.name);
        let peers = others.map(|entry| (entry.name.clone(), entry.public.clone())).collect();
        let keeper = Keeper::new(&roster.vault, &file.name, &seed, peers, roster.threshold, state).map_err(Failure::of)?;
        let sectors = SectorKeys::open(&house.dir().join("sectors"), disk, Arc::new(SystemRng)).map_err(Failure::of)?;
        let lines = link::lines(&roster, &identity, &chance())?.into_iter().filter(|line| line.name() != file.name).collect();
        let (keys, clock, rng) = (OneTimeKeys::default(), Arc::new(SystemClock), chance());
        let site = Arc::new(KeeperSite { keeper, keys, sectors, peers: Peers::new(lines), clock, rng });
        // The share that was read at the start.
        scrub();
        serve(&file.name, &site, roster, &identity, self.listen)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Refuses a roster in which this keeper does not stand as it is.
fn stands_in(roster: &Roster, file: &KeeperFile, public: &str, identity: &Identity) -> Result<(), Failure> {
    let own = roster.keepers.iter().find(|entry| entry.name == file.name);
    let is_right = own.is_some_and(|entry| entry.public == public && entry.certificate == identity.certificate());
    if roster.vault == file.vault && is_right {
        return Ok(());
    }
    Err(Failure::refused(
        format!("The roster does not name {} with its keys as a keeper of {}.", file.name, file.vault),
        "Put it together with the entry that `usufruct keeper init` printed.",
    ))
}

fn serve(name: &str, site: &Arc<KeeperSite>, roster: Roster, identity: &Identity, address: SocketAddr) -> Result<(), Failure> {
    let broken = |error: std::io::Error| {
        Failure::impossible(format!("The keeper cannot run: {error}."), "Check the limits of the system.")
    };
    let callers = roster.keepers.iter().map(|entry| entry.certificate.clone()).chain([roster.city.certificate.clone()]);
    let config = identity.server(callers)?;
    let listener = server::listen(address)?;
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(broken)?;
    let asking = Arc::clone(site);
    let settle = move || asking.peers.settle(&asking.keeper, &asking.keys, &*asking.rng);
    thread::Builder::new().name("compare".to_owned()).spawn(settle).map_err(broken)?;
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
        let address = listener.local_addr().map_err(broken)?;
        server::watch_signals(Arc::new(stop)).map_err(broken)?;
        println!("{name} keeps on {address}. Stop with Ctrl+C.");
        let (welcome, router) = (KeeperListener::new(config, roster), router(Arc::clone(site)));
        connections::serve(listener, welcome, router, Places::of_process(), server::told(stopped)).await;
        Ok::<_, Failure>(())
    });
    runtime.shutdown_timeout(PATIENCE);
    served
}

/// How long calls under way may take when the keeper stops.
const PATIENCE: Duration = Duration::from_secs(5);
