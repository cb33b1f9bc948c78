//! `usufruct rotate`: a key is replaced, and what it opens stays.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::access::Access;
use crate::failure::Failure;

/// Replace the root of the key tree, or the key of one resident. What the keys open stays as it is.
///
/// Both work while the server runs, and destroy the old root. A copy of it opens only the pages of the key tree that were copied too, and
/// a copy of the resident's key only her keyring of that time. Who has both has the keys in them, which stay. No certificate is
/// published: nothing was erased.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct rotate root --data-dir pass
  usufruct rotate resident 4503599627370495 --data-dir pass")]
pub struct Rotate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Root(Root),
    Resident(Resident),
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
            What::Root(root) => {
                Access::open(&root.data_dir)?.rotate(None)?;
                println!("The key tree has a new root, and the old one is destroyed.");
            }
            What::Resident(Resident { resident, data_dir }) => {
                Access::open(&data_dir)?.rotate(Some(resident))?;
                println!("She has a new key, and the old one is destroyed. Everything she lends stays lent.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
