//! `usufruct serve`: the pass of a real city.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Deserialize;
use usufruct_core::service::Profile;
use usufruct_web::Settings;

use crate::clock::SystemClock;
use crate::courier::FolderCourier;
use crate::data_dir::{self, DataDir};
use crate::failure::Failure;
use crate::server::{self, Serving};

/// Serve a pass that was made with `usufruct init`.
///
/// Ends in order on SIGTERM and SIGINT. Put a web server with TLS in front of it. While it runs, other commands on the
/// same data directory go through it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct serve --data-dir /var/lib/usufruct --listen 127.0.0.1:8080 --issuer https://pass.example.org
  usufruct serve --data-dir pass --config pass.toml
  usufruct serve --data-dir pass --issuer http://localhost:8080 --database postgres://usufruct@localhost/usufruct

A configuration file may hold listen, issuer and database, as in
  issuer = \"https://pass.example.org\"
What is given on the command line wins.")]
pub struct Serve {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Where to listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The address that browsers use: scheme, host and port, without a slash at the end.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A PostgreSQL database instead of the embedded one, as postgres://user@host/name.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A TOML file with these settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    issuer: Option<String>,
    database: Option<String>,
}

impl Serve {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let file = self.file()?;
        let listen = self.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let issuer = self.issuer.or(file.issuer).ok_or_else(|| {
            Failure::impossible(
                "The address that browsers use is not given.",
                "Give it with --issuer, as https://pass.example.org.",
            )
        })?;
        if data_dir::demo(&self.data_dir)?.is_some() {
            return Err(Failure::refused(
                format!("{} holds a demo, whose residents anybody can be signed in as.", self.data_dir.display()),
                "Run it with `usufruct demo`, or make a real pass elsewhere with `usufruct init`.",
            ));
        }
        let mut setup = data_dir::setup(&self.data_dir)?;
        setup.database = self.database.or(file.database).or(setup.database);
        let dir = DataDir::hold(&self.data_dir)?;
        let listener = server::listen(listen)?;
        let app = dir.open(&setup, Arc::new(SystemClock))?;
        if let Some(table) = setup.mail {
            app.set_courier(Box::new(FolderCourier::new(table, &issuer)));
        }
        let greeting = format!("Serving {} on {listen} as {issuer}. Stop with Ctrl+C.", setup.origin);
        let settings = Settings { issuer, allows_oidc: setup.provider.allows(Profile::Oidc), demo: None };
        server::run(Serving {
            dir,
            app,
            settings,
            dpop_nonce: setup.provider.dpop_nonce,
            listener,
            beside: Vec::new(),
            mirrors: setup.mirrors,
            nightly: setup.nightly,
            certificate_cards: setup.certificate_cards,
            greeting,
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn file(&self) -> Result<File, Failure> {
        let Some(path) = &self.config else { return Ok(File::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        toml::from_str(&text).map_err(|error| {
            Failure::impossible(
                format!("{} cannot be understood: {}.", path.display(), error.message()),
                "It may hold listen, issuer and database.",
            )
        })
    }
}
