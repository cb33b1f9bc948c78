//! `usufruct restore-log`: the log of a pass from a mirror.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use usufruct_app::log::{Folder, Objects};
use usufruct_app::{Config, House, rebuild_log, restore_log};

use crate::chance::SystemRng;
use crate::clock::SystemClock;
use crate::data_dir::{self, DataDir};
use crate::failure::Failure;
use crate::public_log::PublicLog;

/// Bring back what is missing of the log, from a mirror or another copy, or its files from the leaves in the database.
///
/// Leaves, head and files that were lost or deleted come back, each verified under the log's own key. What is still here
/// is compared and never overwritten. Sealed footprint lines are not in the log: they must come from a backup.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct restore-log --data-dir pass --from https://mirror.example.org/7e1a23ff…
  usufruct restore-log --data-dir pass --from ./a-copy-of-the-log
  usufruct restore-log --data-dir pass                 only files are lost, the leaves are in the database")]
pub struct RestoreLog {
    /// The data directory. No server may run on it.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The copy: the address of the log at a mirror, or a folder. Without it the files are made anew from the leaves.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

impl RestoreLog {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        let dir = DataDir::hold(&self.data_dir)?;
        let copy = self.from.as_deref().map(PublicLog::open).transpose()?;
        let house = House::open(dir.path())?;
        let objects: Arc<dyn Objects> = match data_dir::bucket(dir.path())? {
            Some(bucket) => bucket,
            None => Arc::new(Folder::hold(house.log_dir())?),
        };
        let config = Config { origin: setup.origin.clone(), database: setup.database.clone(), operator: setup.operator.clone() };
        let done = match &copy {
            Some(copy) => {
                let restored = restore_log(&config, &house, &objects, copy, &SystemRng)?;
                format!(
                    "The copy has {} leaves. {} leaves and {} files were missing here and are back; the log has {} leaves now.",
                    restored.copied, restored.leaves, restored.files, restored.size
                )
            }
            None => {
                let files = rebuild_log(&config, &house, &objects, &SystemRng)?;
                format!("{files} files were missing or damaged here and are back.")
            }
        };
        drop(objects);
        // Opening checks that head, leaves and files agree, and what the witnesses have seen.
        dir.open(&setup, Arc::new(SystemClock))?.publish_log()?;
        println!("{done}");
        Ok(ExitCode::SUCCESS)
    }
}
