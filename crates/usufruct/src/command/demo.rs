//! `usufruct demo`: a whole city on one machine, to click through.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use usufruct_app::App;
use usufruct_core::id::ServiceId;
use usufruct_core::mandate::Necessity;
use usufruct_core::ports::Clock;
use usufruct_web::sample::{self, SampleKind, SampleSettings};
use usufruct_web::{DemoSettings, Persona, Settings};

use crate::chance::SystemRng;
use crate::clock::{self, DemoClock, SystemClock};
use crate::data_dir::{self, DataDir, DemoFile, ProviderTable, Setup, Stage, VaultTable};
use crate::demo::city::City;
use crate::demo::load::{self, SamplePorts};
use crate::demo::past::Offices;
use crate::demo::{official, sandbox, witnesses};
use crate::failure::Failure;
use crate::server::{self, Serving};

/// Run a demo city: agencies, mandates, invented residents with a past, and two sample services.
///
/// The first start fills the data directory: seconds for ten thousand residents, minutes and several gigabytes for a
/// million. Later starts only serve it.
///
/// Residents can be signed in by a link, which no real pass offers; so a demo directory is never served by `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct demo
  usufruct demo --residents 500 --listen 127.0.0.1:9000
  usufruct demo --residents 2400000 --data-dir /srv/big-demo
  usufruct demo --city examples/my-city --data-dir my-city-demo
  usufruct demo --start-over")]
pub struct Demo {
    /// How many invented residents there are beside the five of the story.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    residents: u64,
    /// Where the demo keeps everything. Delete it when you are done.
    #[arg(long, value_name = "DIR", default_value = "usufruct-demo")]
    data_dir: PathBuf,
    /// Where to listen. The two sample services and the witnesses take the next three ports.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The address that browsers use [default: http://localhost and the port].
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A folder with a city of your own, laid out like examples/taipei-like.
    #[arg(long, value_name = "DIR")]
    city: Option<PathBuf>,
    /// A PostgreSQL database instead of the embedded one, as postgres://user@host/name.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Delete the demo in the data directory first and make it anew.
    #[arg(long)]
    start_over: bool,
    /// Fill the data directory and stop, without serving.
    #[arg(long)]
    load_only: bool,
}

/// Ports of the samples in the city's files.
const WRITTEN_PORTS: [u16; 2] = [8081, 8082];
/// The services that the samples play.
const SAMPLES: [&str; 2] = ["svc_library", "svc_festival"];

impl Demo {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let ports = self.ports()?;
        // Ports are taken first: nobody wants to hear after a long wait that one is in use.
        let listeners = if self.load_only {
            Vec::new()
        } else {
            let addresses =
                [self.listen.port(), ports[0], ports[1], ports[2]].map(|port| SocketAddr::new(self.listen.ip(), port));
            addresses.into_iter().map(server::listen).collect::<Result<Vec<_>, _>>()?
        };
        let [library_port, festival_port, witness_port] = ports;
        let sample_ports = SamplePorts { moved: WRITTEN_PORTS.into_iter().zip(ports).collect() };
        let dir = DataDir::hold(&self.data_dir)?;
        if self.start_over {
            clear(dir.path())?;
        }
        let mut listeners = listeners;
        let mut witness_listener = listeners.pop();
        // The log asks its witnesses as soon as it is opened.
        if let Some(keys) = witnesses::log_keys(dir.path())
            && let Some(listener) = witness_listener.take()
        {
            witnesses::start(dir.path(), &keys, listener)?;
        }
        let clock = Arc::new(DemoClock::released());
        let now = clock.now();
        let city = City::read(self.city.as_deref(), now)?;
        let (app, demo) = match data_dir::demo(dir.path())? {
            Some(demo) if demo.stage == Stage::Ready => {
                let app = dir.open(&data_dir::setup(dir.path())?, clock)?;
                load::move_samples(&app, &city, &sample_ports)?;
                (app, demo)
            }
            Some(_) => {
                return Err(Failure::refused(
                    format!("The demo in {} was not loaded to the end.", dir.path().display()),
                    "Delete the directory, or run the same command with --start-over.",
                ));
            }
            None => self.load(&dir, &city, &clock, &sample_ports)?,
        };
        if let Some(listener) = witness_listener {
            witnesses::start(dir.path(), &app.log_vkeys(), listener)?;
        }
        if !self.load_only {
            witnesses::publish_terms(&app, &city, witness_port)?;
        }
        let [library, festival] = [library_port, festival_port].map(|port| format!("http://localhost:{port}"));
        let issuer = self.issuer.clone().unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()));
        let mut listeners = listeners.into_iter();
        let Some(listener) = listeners.next() else { return Ok(ExitCode::SUCCESS) };
        let urls = [library, festival];
        let greeting = greeting(&city, &demo, &issuer, &urls);
        let mut sites = Vec::new();
        for ((listener, service), url) in listeners.zip(SAMPLES).zip(&urls) {
            sites.push((listener, sample(&app, service, &issuer, url)?));
        }
        let offices = Offices::open(&city, app.house(), &SystemRng)?;
        let sandbox = sandbox::sandbox(&app, offices, SAMPLES[0]);
        let library =
            SAMPLES[0].parse().ok().and_then(|id: ServiceId| Some(app.register().services.get(&id)?.body.agency.clone()));
        let offices = Offices::open(&city, app.house(), &SystemRng)?;
        let desk = library.map(|library| official::desk(&app, offices, &library));
        let settings = Settings {
            issuer,
            allows_oidc: true,
            demo: Some(DemoSettings {
                personas: personas(&city, &demo),
                sample_urls: urls.to_vec(),
                sandbox: Some(sandbox),
                desk,
            }),
        };
        server::run(Serving {
            dir,
            app,
            settings,
            dpop_nonce: false,
            listener,
            beside: sites,
            mirrors: Vec::new(),
            certificate_cards: None,
            nightly: None,
            greeting,
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// The ports of the two samples and of the witnesses.
    fn ports(&self) -> Result<[u16; 3], Failure> {
        match self.listen.port() {
            first @ 1..=65_532 => Ok([first + 1, first + 2, first + 3]),
            _ => Err(Failure::impossible("The demo needs four ports in a row.", "Choose a port from 1 to 65532 with --listen.")),
        }
    }

    fn load(
        &self,
        dir: &DataDir,
        city: &City,
        clock: &Arc<DemoClock>,
        ports: &SamplePorts,
    ) -> Result<(Arc<App>, DemoFile), Failure> {
        if data_dir::setup(dir.path()).is_ok() {
            return Err(Failure::refused(
                format!("{} holds a real pass and no demo.", dir.path().display()),
                "Choose another directory with --data-dir.",
            ));
        }
        // From here on a crash leaves a directory that says of itself that it is not whole.
        dir.write_demo(&DemoFile { stage: Stage::Loading, personas: Vec::new() })?;
        let setup = Setup {
            origin: city.head.log.origin.clone(),
            operator: city.head.operator.clone(),
            database: self.database.clone(),
            mirrors: Vec::new(),
            log: None,
            provider: ProviderTable::default(),
            certificate_cards: None,
            nightly: None,
            mail: None,
            vault: Some(VaultTable { any_disk: true, ..VaultTable::of(self.database.as_deref()) }),
        };
        dir.set_up(&setup)?;
        let app = dir.open(&setup, Arc::clone(clock) as Arc<dyn Clock>)?;
        let now = clock::now();
        let begun = clock::stopwatch();
        let personas = load::past(&app, city, clock, ports, now)?;
        let register = app.register();
        eprintln!(
            "{}: {} mandates ({}), {} services, {} agencies, {} leaves in the log; {:.1} s",
            city.head.name.en,
            register.mandates.len(),
            load::states(&app).iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", "),
            register.services.len(),
            register.agencies.len(),
            app.published_size(),
            begun.elapsed().as_secs_f64(),
        );
        if self.residents > 0 {
            let rate = load::crowd(&app, city, self.residents, now)?;
            eprintln!("{} residents enrolled, {rate:.0} a second", self.residents);
        }
        let demo = DemoFile { stage: Stage::Ready, personas };
        dir.write_demo(&demo)?;
        Ok((app, demo))
    }
}

/// Deletes a demo, and only a demo.
fn clear(path: &Path) -> Result<(), Failure> {
    if data_dir::demo(path)?.is_none() {
        return if data_dir::setup(path).is_ok() {
            Err(Failure::refused(
                format!("{} holds a real pass and no demo.", path.display()),
                "Choose another directory with --data-dir.",
            ))
        } else {
            Ok(())
        };
    }
    let failed = |error: std::io::Error| Failure::file(path, &error);
    // The marker goes last, so that a crash on the way leaves a directory that still counts as a demo.
    let mut last = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        match entry.file_name().to_str() {
            Some("lock") => {}
            Some("demo.json") => last.push(entry.path()),
            _ if entry.path().is_dir() => fs::remove_dir_all(entry.path()).map_err(failed)?,
            _ => fs::remove_file(entry.path()).map_err(failed)?,
        }
    }
    last.into_iter().try_for_each(|path| fs::remove_file(path).map_err(failed))
}

/// A sample relying party: it asks for the required blocks of its first mandate, with the mandate's first reason.
fn sample(app: &App, service: &str, issuer: &str, own_url: &str) -> Result<axum::Router, Failure> {
    let missing = || Failure::impossible(format!("The city has no sample service {service}."), "Add it to the city's services.");
    let register = app.register();
    let id: ServiceId = service.parse().map_err(|_| missing())?;
    let entry = register.services.get(&id).ok_or_else(missing)?;
    let mandate = entry.body.mandates.first().and_then(|id| register.mandates.get_key_value(id)).ok_or_else(missing)?;
    let required = mandate.1.body.blocks.iter().filter(|asked| asked.necessity == Necessity::Required);
    let settings = SampleSettings {
        kind: if service == SAMPLES[0] { SampleKind::Library } else { SampleKind::Festival },
        mandate: mandate.0.clone(),
        blocks: required.map(|asked| (asked.block.clone(), asked.form)).collect(),
        reason: mandate.1.body.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default(),
        key_pkcs8: load::service_key(app.house(), service)?,
        kid: entry.body.jwks.first().map(|key| key.kid.clone()).unwrap_or_default(),
        own_url: own_url.to_owned(),
        issuer: issuer.to_owned(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        service: id,
    };
    sample::router(settings).map_err(|message| Failure::impossible(message, "Start the demo again."))
}

fn personas(city: &City, demo: &DemoFile) -> Vec<Persona> {
    let known = |key: &String| city.personas.iter().find(|persona| persona.key() == *key);
    let shown = |(key, resident): &(String, u64)| {
        let persona = known(key)?;
        let name = format!("{} {}", persona.name.zh_hant, persona.name.en);
        Some(Persona { key: key.clone(), resident: *resident, name, story: persona.story.clone() })
    };
    demo.personas.iter().filter_map(shown).collect()
}

fn greeting(city: &City, demo: &DemoFile, issuer: &str, samples: &[String; 2]) -> String {
    let first = demo.personas.first().map(|(key, _)| key.as_str()).unwrap_or_default();
    let [library, festival] = samples;
    format!(
        "\n  {} · {}   demo / 示範\n\n\
         \x20 Sign in as a resident   以市民身分登入    {issuer}/demo/sign-in/{first}\n\
         \x20 Public register         公開登記          {issuer}/register\n\
         \x20 Sample: City Library    範例：圖書館      {library}/\n\
         \x20 Sample: Festival        範例：購物節      {festival}/\n\
         \x20 The log, its witnesses  日誌與見證者      {issuer}/register/log\n\n\
         \x20 Stop with Ctrl+C. 按 Ctrl+C 停止。\n",
        city.head.name.en, city.head.name.zh_hant
    )
}
