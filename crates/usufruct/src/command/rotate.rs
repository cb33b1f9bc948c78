//! `usufruct rotate`: a key is replaced, and what it opens stays.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_core::Text;
use usufruct_core::id::{BreachId, MandateId, ServiceId};

use crate::access::Access;
use crate::failure::Failure;

/// Replace the root of the key tree, the key of one resident, or the key of a mandate. What the keys open stays as it is. Or replace all
/// pseudonyms of a service.
///
/// All work while the server runs, and destroy the old root. A copy of it opens only the pages of the key tree that were copied too, and
/// a copy of the resident's key only her keyring of that time. Who has both has the keys in them, which stay. No certificate is
/// published: nothing was erased. Only the key of a mandate that is replaced gets one, since the register knows that key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct rotate root --data-dir pass
  usufruct rotate resident 4503599627370495 --data-dir pass
  usufruct rotate mandate mdt_library-card --data-dir pass
  usufruct rotate service svc_library --data-dir pass --reason-en 'A list got out.' --reason-zh '名單外洩。'")]
pub struct Rotate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Mandate(Mandate),
    Root(Root),
    Resident(Resident),
    Service(Service),
}

/// Replace the key of a mandate. Everything that is lent under it is sealed again for the new key first, and opens all the time.
///
/// It takes as long as that sealing takes. Interrupted, it goes on by itself while the server runs, or when it is run again. Then the old key is
/// destroyed and certified. Keys of months stay, since they end by themselves. What is on loan in a
/// backup from before is sealed again when it is put back.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct rotate mandate mdt_library-card --data-dir pass")]
struct Mandate {
    /// Its id.
    #[arg(value_name = "MANDATE")]
    mandate: MandateId,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Replace every pseudonym by which a service, and the others of its domain, know residents.
///
/// The old ones lead to nobody from the statement on, and while the walk over all residents goes on nothing is answered about any pseudonym of
/// the domain. Tokens, codes and authorizations there end; residents sign in again, and their consents stay. The services that they
/// authorized are told which pseudonym takes the place of which. Interrupted, it goes on by itself while the server runs, or when it is run again.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct rotate service svc_library --breach brc_lost-laptop --data-dir pass \\
      --reason-en 'A list got out.' --reason-zh '名單外洩。'")]
struct Service {
    /// Its id.
    #[arg(value_name = "SERVICE")]
    service: ServiceId,
    /// The breach for which it is done.
    #[arg(long, value_name = "BREACH")]
    breach: Option<BreachId>,
    /// Why, in English.
    #[arg(long, value_name = "TEXT")]
    reason_en: String,
    /// Why, in traditional Chinese.
    #[arg(long, value_name = "TEXT")]
    reason_zh: String,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Replace the root: all keepers of it get new shares.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct rotate root --data-dir pass")]
struct Root {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Replace the key of a resident. Her data, consents and pseudonyms stay.
///
/// A backup from before opens for her only if the live database is there when it is put back. Interrupted, it is run again.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct rotate resident 4503599627370495 --data-dir pass")]
struct Resident {
    /// Her file number.
    #[arg(value_name = "RESIDENT")]
    resident: u64,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Rotate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.what {
            What::Mandate(Mandate { mandate, data_dir }) => {
                let rotated = Access::open(&data_dir)?.rotate_mandate(&mandate)?;
                println!("{mandate} has a new key, for which {} copies on loan were sealed again.", rotated.sealed);
                if rotated.closed > 0 {
                    println!("{} copies opened under no key, before as after.", rotated.closed);
                }
                println!("The old key is destroyed; see certificate {}.", rotated.certificate);
            }
            What::Root(root) => {
                Access::open(&root.data_dir)?.rotate(None)?;
                println!("The key tree has a new root, and the old one is destroyed.");
            }
            What::Service(service) => {
                let reason = Text::new(&service.reason_en, &service.reason_zh);
                let access = Access::open(&service.data_dir)?;
                let rotated = access.rotate_service(&service.service, service.breach.as_ref(), &reason)?;
                let services: Vec<&str> = rotated.services.iter().map(|id| id.as_str()).collect();
                println!("{} residents have other pseudonyms at {}.", rotated.residents, services.join(", "));
                println!("The old ones lead to nobody; see {}.", rotated.rotation);
            }
            What::Resident(Resident { resident, data_dir }) => {
                Access::open(&data_dir)?.rotate(Some(resident))?;
                println!("She has a new key, and the old one is destroyed. Everything she lends stays lent.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
