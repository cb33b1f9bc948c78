//! The command line as a whole: one variant for each verb, one file for each variant.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::command::{
    agreement, audit, backup, breach, camera, card, case, completions, contract, deletions, demo, doctor, enrol, escrow,
    footprint, guardian, init, invite, keeper, key, letters, mandate, migrate, mirror, proposal, publish, recover, refound,
    restore, restore_log, rotate, serve, service, verify, witness,
};
use crate::failure::Failure;

/// The pass of a city, in which residents see and control every use of their data.
///
/// No use without a published mandate; the log first, the data second; services know tokens, not people.
#[derive(Debug, Parser)]
#[command(name = "usufruct", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  usufruct demo                                    a whole city on this machine, in your browser
  usufruct verify http://localhost:8080            check its log from outside
  usufruct init --data-dir pass --origin pass.example.org/log --operator-name 'City of X' --operator-name-zh 'X 市'
  usufruct serve --data-dir pass --listen 127.0.0.1:8080 --issuer https://pass.example.org
  usufruct mandate new > library-card.toml         begin a mandate from a commented template

Exit codes: 0 fine, 1 refused or findings, 2 could not be done or misused.";

#[derive(Debug, Subcommand)]
enum Verb {
    Demo(demo::Demo),
    Audit(audit::Audit),
    Breach(breach::Breach),
    Backup(backup::Backup),
    Restore(restore::Restore),
    RestoreLog(restore_log::RestoreLog),
    Refound(refound::Refound),
    Rotate(rotate::Rotate),
    Serve(serve::Serve),
    Init(init::Init),
    Migrate(migrate::Migrate),
    Mirror(mirror::Mirror),
    Mandate(mandate::Mandate),
    Proposal(proposal::Proposal),
    Publish(publish::Publish),
    Contract(contract::Contract),
    Agreement(agreement::Agreement),
    Camera(camera::Camera),
    Service(service::Service),
    Keeper(keeper::Keeper),
    Key(key::Key),
    Letters(letters::Letters),
    Enrol(enrol::Enrol),
    Escrow(escrow::Escrow),
    Footprint(footprint::Footprint),
    Guardian(guardian::Guardian),
    Invite(invite::Invite),
    Recover(recover::Recover),
    Card(card::Card),
    Case(case::Case),
    Deletions(deletions::Deletions),
    Verify(verify::Verify),
    Witness(witness::Witness),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Agreement(verb) => verb.run(),
            Verb::Audit(verb) => verb.run(),
            Verb::Backup(verb) => verb.run(),
            Verb::Breach(verb) => verb.run(),
            Verb::Camera(verb) => verb.run(),
            Verb::Card(verb) => verb.run(),
            Verb::Case(verb) => verb.run(),
            Verb::Completions(verb) => verb.run(),
            Verb::Contract(verb) => verb.run(),
            Verb::Deletions(verb) => verb.run(),
            Verb::Demo(verb) => verb.run(),
            Verb::Doctor(verb) => verb.run(),
            Verb::Enrol(verb) => verb.run(),
            Verb::Escrow(verb) => verb.run(),
            Verb::Footprint(verb) => verb.run(),
            Verb::Guardian(verb) => verb.run(),
            Verb::Init(verb) => verb.run(),
            Verb::Invite(verb) => verb.run(),
            Verb::Keeper(verb) => verb.run(),
            Verb::Key(verb) => verb.run(),
            Verb::Letters(verb) => verb.run(),
            Verb::Mandate(verb) => verb.run(),
            Verb::Migrate(verb) => verb.run(),
            Verb::Mirror(verb) => verb.run(),
            Verb::Proposal(verb) => verb.run(),
            Verb::Publish(verb) => verb.run(),
            Verb::Recover(verb) => verb.run(),
            Verb::Refound(verb) => verb.run(),
            Verb::Restore(verb) => verb.run(),
            Verb::RestoreLog(verb) => verb.run(),
            Verb::Rotate(verb) => verb.run(),
            Verb::Serve(verb) => verb.run(),
            Verb::Service(verb) => verb.run(),
            Verb::Verify(verb) => verb.run(),
            Verb::Witness(verb) => verb.run(),
        }
    }
}

/// Messages for operators go to standard error, as much of them as `RUST_LOG` asks for. The library for tokens is heard only where that
/// names it: each mechanism of a token that it has no name for is an error to it, and what fails comes back from the call.
pub fn start_tracing() {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|words| !words.trim().is_empty());
    let asked = asked.and_then(|words| EnvFilter::try_new(format!("cryptoki=off,{words}")).ok());
    let filter = asked.unwrap_or_else(|| EnvFilter::new("cryptoki=off,info,tokio_postgres=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}
