//! `usufruct restore-log`: the log of a pass from a mirror.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use usufruct_app::log::{Folder, Objects, VerifierKey};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::{Config, House, Restored, RestoredDatabase, Settled, rebuild_log, restore_log};

use crate::chance::SystemRng;
use crate::clock::{self, SystemClock};
use crate::command::restore;
use crate::data_dir::{self, DataDir, Setup};
use crate::failure::Failure;
use crate::public_log::PublicLog;
use crate::root;

/// Bring back what is missing of the log, from a mirror or another copy, or its files from the leaves in the database.
///
/// Leaves, head and files that were lost or deleted come back, each verified under the log's own key. What is still here
/// is compared and never overwritten. The signing keys must be here. Sealed footprint lines are not in the log: they must
/// come from a backup.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct restore-log --data-dir pass --from https://mirror.example.org
  usufruct restore-log --data-dir pass --from ./a-copy-of-the-log
  usufruct restore-log --data-dir pass                 only files are lost, the leaves are in the database")]
pub struct RestoreLog {
    /// The data directory. No server may run on it.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The copy: the address of a mirror, of the log at a mirror, or a folder. Without it the files are made anew from the
    /// leaves.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The key that the log is known by, as in its `vkey`. Without it, the key in the data directory is believed.
    #[arg(long, value_name = "KEY", requires = "from")]
    vkey: Option<VerifierKey>,
}

impl RestoreLog {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        let dir = DataDir::hold(&self.data_dir)?;
        let copy = self.from.as_deref().map(|from| PublicLog::open_for(from, Some(&setup.origin))).transpose()?;
        let house = House::open(dir.path())?;
        let objects: Arc<dyn Objects> = match data_dir::bucket(dir.path())? {
            Some(bucket) => bucket,
            None => Arc::new(Folder::hold(house.log_dir())?),
        };
        let config = Config {
            origin: setup.origin.clone(),
            database: setup.database.clone(),
            operator: setup.operator.clone(),
            vault: setup.vault(),
        };
        let done = match &copy {
            Some(copy) => {
                let restored = restore_log(&config, &house, &objects, copy, self.vkey.as_ref(), &SystemRng)?;
                format!("{}{}", describe(&restored), settle(&setup, &config, &house)?)
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

/// A database that is older than the leaves that were brought is settled as one that comes from a backup, or what ended since
/// would stand again. Says what was done.
fn settle(setup: &Setup, config: &Config, house: &House) -> Result<String, Failure> {
    let url = config.database.clone().unwrap_or_else(|| house.database_url());
    let db = Db::open(&url, &Options::default()).map_err(Failure::of)?;
    let settle = |has_live| {
        let root = root::place(house.dir(), setup)?.place;
        let restored = RestoredDatabase { config, house, root, db: &db, has_live };
        Ok::<_, Failure>(restored.settle(clock::now(), &SystemRng)?)
    };
    let settled = settle(true)?;
    if settled == Settled::default() {
        return Ok(String::new());
    }
    settle(false)?;
    Ok(format!("\nThe database was older than the log. {}", restore::describe(&settled)))
}

fn describe(restored: &Restored) -> String {
    let Restored { copied, leaves, files, size, sealed, lines } = restored;
    let mut text = format!(
        "The copy has {copied} leaves. {leaves} leaves and {files} files were missing here and are back; the log has {size} leaves now."
    );
    if lines < sealed {
        text += &format!(
            "\nOf {sealed} sealed leaves {lines} have a footprint line here. The others are filler, or of residents who were erased, or \
             their lines were lost; those are not in the log and come back only from a backup of the database, and their numbers are \
             not used again."
        );
    }
    text
}
