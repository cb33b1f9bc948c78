//! `usufruct service`: list and close services.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_core::certificate::Certificate;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service;

use crate::command::mandate::Place;
use crate::command::step;
use crate::failure::Failure;

/// List and close services: those to whom residents are known by pseudonyms.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct service list --register http://localhost:8080
  usufruct service close svc_library --key head.json --data-dir pass \\
      --reason-en 'The library has its own cards again.' --reason-zh '圖書館恢復自行核發借閱證。'")]
pub struct Service {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Close(Close),
    List(List),
}

/// Close a service: it gets nothing any more, and the key of its pseudonyms is destroyed if no other service shares them.
///
/// This cannot be undone. What the service still holds then leads to nobody.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct service close svc_library --key head.json --data-dir pass \\
      --reason-en 'The library has its own cards again.' --reason-zh '圖書館恢復自行核發借閱證。'")]
struct Close {
    /// The service's id.
    id: ServiceId,
    #[command(flatten)]
    step: step::Taken,
}

/// List the services of a register, each with its state and its pseudonym domain.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct service list --data-dir pass
  usufruct service list --register https://pass.example.org")]
struct List {
    #[command(flatten)]
    place: Place,
}

impl Service {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Close(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
        }
    }
}

impl Close {
    fn run(self) -> Result<ExitCode, Failure> {
        let access = self.step.take(self.id.as_str(), State::Closed, |register| {
            let entry = find(register, &self.id)?;
            if entry.state.is_over() {
                return Err(Failure::refused(format!("`{}` is closed already.", self.id), "Nothing needs to be done."));
            }
            Ok(entry.into())
        })?;
        let register = access.register()?;
        let domain = &find(&register, &self.id)?.body.sector;
        let left = register.services_beside(&find(&register, &self.id)?.body).filter(|other| !other.state.is_over()).count();
        match certificate(&register, domain) {
            Some(certificate) => println!(
                "{} is closed, and the key of the pseudonyms of `{domain}` is destroyed; the certificate is {}.",
                self.id, certificate.id
            ),
            None if left > 0 => {
                println!("{} is closed. The pseudonyms of `{domain}` live on with {left} other services.", self.id)
            }
            None => println!(
                "{} is closed. The key of the pseudonyms of `{domain}` will be destroyed within seconds; see `usufruct service list`.",
                self.id
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let register = self
            .place
            .register()?
            .ok_or_else(|| Failure::impossible("No register is named.", "Name one with --data-dir or --register."))?;
        for (id, entry) in &register.services {
            let last = match certificate(&register, &entry.body.sector) {
                Some(certificate) => format!("certificate {}", certificate.id),
                None => entry.body.name.en.clone(),
            };
            println!("{:<28} {:<10} {:<20} {}  {last}", id.as_str(), entry.state.code(), entry.body.sector, entry.body.agency);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn find<'a>(register: &'a Register, id: &ServiceId) -> Result<&'a Entry<service::Service>, Failure> {
    let entry = register.services.get(id);
    entry.ok_or_else(|| Failure::refused(format!("There is no service `{id}`."), "See `usufruct service list`."))
}

/// The certificate about the end of a pseudonym domain.
fn certificate<'a>(register: &'a Register, domain: &str) -> Option<&'a Entry<Certificate>> {
    register.certificates.values().find(|entry| entry.body.sector.as_deref() == Some(domain))
}
