//! A data directory: who holds it, how it is set up, and how to reach the server that runs on it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::num::NonZeroU16;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use usufruct_app::log::Objects;
use usufruct_app::{App, Config, Error, EscrowSetup, House, Open, VaultSetup, log};
use usufruct_core::id::AgencyId;
use usufruct_core::ports::Clock;
use usufruct_core::service::Profile;

use crate::bucket::{self, Bucket};
use crate::certificate_cards::CertificateCards;
use crate::chance::SystemRng;
use crate::courier::MailTable;
use crate::failure::Failure;
use crate::memory::Protection;
use crate::network::Network;
use crate::nightly::Nightly;
use crate::root::{self, RootKind, RootSetup, TokenTable};

/// A data directory that this process holds alone, until it is dropped.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// How a pass is set up: the file `usufruct.toml` of its data directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The log's name, a URL without scheme. Never changes.
    pub origin: String,
    /// The agency that runs the pass. Never changes.
    pub operator: AgencyId,
    /// Address of the database; without it, the one in the data directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub database: Option<String>,
    /// Mirrors to which the log is brought, by their submission prefixes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub mirrors: Vec<String>,
    /// A bucket for the public files of the log; without it, the folder `log` of the data directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Bucket>,
    /// Where the keys of the data are kept; without it, in the folder `vault` of the data directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vault: Option<VaultTable>,
    /// How services may speak to the provider.
    #[serde(skip_serializing_if = "ProviderTable::is_default", default)]
    pub provider: ProviderTable,
    /// What is done each night; nothing without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nightly: Option<Nightly>,
    /// Where letters are put that say that a message is there; none are written without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mail: Option<MailTable>,
    /// Certificate cards as a way in; none without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate_cards: Option<CertificateCards>,
}

/// The table `[provider]` of the set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderTable {
    /// `fapi2`, and `oidc` for software off the shelf, which signs in and gets no data.
    pub profiles: Vec<Profile>,
    /// Whether proofs of possession have to carry a nonce of the pass. They have to for a while in any case when the clock jumps.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dpop_nonce: bool,
}

impl Default for ProviderTable {
    fn default() -> Self {
        Self { profiles: vec![Profile::Fapi2, Profile::Oidc], dpop_nonce: false }
    }
}

impl ProviderTable {
    /// Whether services of this profile are served.
    pub fn allows(&self, profile: Profile) -> bool {
        self.profiles.contains(&profile)
    }

    /// Refuses a list of profiles that a server cannot keep to: what residents share goes to services of the profile fapi2 alone.
    fn check(&self, file: &Path) -> Result<(), Failure> {
        if self.allows(Profile::Fapi2) {
            return Ok(());
        }
        Err(Failure::refused(
            format!("`profiles` in {} does not name fapi2, so no service could be served.", file.display()),
            "Write [\"fapi2\"] or [\"fapi2\", \"oidc\"], or leave it out for both.",
        ))
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The table `[vault]` of the set-up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultTable {
    pub pages: PagesPlace,
    /// Where the root of the key tree lies.
    #[serde(skip_serializing_if = "is_file")]
    pub root: RootKind,
    /// Whether the root may be kept on a disk that keeps old copies of what is overwritten. For demonstrations only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any_disk: bool,
    /// The keeper of the roster that holds the second key of pseudonyms that have two; none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pseudonym_keeper: Option<String>,
    /// The token, where the root lies in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenTable>,
    /// The escrow of the root with officers; none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escrow: Option<EscrowTable>,
}

/// The table `[vault.escrow]` of the set-up. The terms of the vault have to say the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscrowTable {
    /// Holds the escrow; best on another disk than the root, and one that overwrites in place.
    pub folder: PathBuf,
    /// So many officers bring the root back.
    pub threshold: u8,
    /// Length of a period in days.
    pub period_days: NonZeroU16,
}

/// Where the sealed pages of the key tree are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum PagesPlace {
    /// A file in the data directory.
    #[default]
    File,
    /// A table of the database.
    Database,
}

impl VaultTable {
    /// What suits a pass with this database: pages go where the data is.
    pub fn of(database: Option<&str>) -> Self {
        let pages = if database.is_some() { PagesPlace::Database } else { PagesPlace::File };
        Self { pages, ..Self::default() }
    }
}

impl Setup {
    /// Where the keys of the data are kept. With `USUFRUCT_ANY_DISK` in the environment any disk will do, for trials in containers.
    pub fn vault(&self) -> VaultSetup {
        let table = self.vault.clone().unwrap_or_default();
        let any_disk = table.any_disk || any_disk();
        let escrow = table.escrow.map(|escrow| EscrowSetup {
            vault: self.origin.clone(),
            folder: escrow.folder,
            threshold: escrow.threshold,
            period_days: escrow.period_days.get().into(),
        });
        VaultSetup { pages_in_database: table.pages == PagesPlace::Database, any_disk, escrow, keepers: None }
    }

    /// Where the root of the key tree lies.
    pub fn root(&self) -> RootKind {
        self.vault.as_ref().map_or(RootKind::File, |table| table.root)
    }
}

/// How a running server is reached by commands on the same machine: the file `console.json`.
#[derive(Serialize, Deserialize)]
pub struct ConsoleFile {
    pub url: String,
    pub token: String,
}

/// What the demo keeps about itself: the file `demo.json`. Its presence marks a directory as a demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoFile {
    pub stage: Stage,
    /// Persona by word of its link. A real pass keeps no such list.
    pub personas: Vec<(String, u64)>,
}

/// How far a demo came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Loading,
    Ready,
}

impl DataDir {
    /// Takes the directory for this process alone, making it if it is not there.
    pub fn hold(path: &Path) -> Result<Self, Failure> {
        Self::try_hold(path)?.ok_or_else(|| {
            Failure::refused(
                format!("Another process is using the data directory {}.", path.display()),
                "Stop that process first, or choose another directory with --data-dir.",
            )
        })
    }

    /// As [`DataDir::hold`]; `None` when another process has it.
    pub fn try_hold(path: &Path) -> Result<Option<Self>, Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| Failure::file(path, &error))?;
        let file = path.join(LOCK);
        let failed = |error: &std::io::Error| Failure::file(&file, error);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => {
                let dir = Self { path: path.to_owned(), _lock: lock };
                // A server that was killed could not remove it.
                dir.close_console();
                Ok(Some(dir))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(&error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes how the pass is set up.
    pub fn set_up(&self, setup: &Setup) -> Result<(), Failure> {
        let text = toml::to_string(setup).map_err(|error| {
            Failure::impossible(format!("The set-up cannot be written: {error}."), "Report this as a defect.")
        })?;
        write(&self.path.join(SETUP), format!("# How this pass is set up. Origin and operator never change.\n{text}").as_bytes())
    }

    /// Opens the pass.
    pub fn open(&self, setup: &Setup, clock: Arc<dyn Clock>) -> Result<Arc<App>, Failure> {
        self.open_with(setup, root::place(&self.path, setup)?, clock)
    }

    /// Opens the pass with its root in another place than the set-up says.
    pub fn open_with(&self, setup: &Setup, root: RootSetup, clock: Arc<dyn Clock>) -> Result<Arc<App>, Failure> {
        if let Some(verb) = self.unfinished() {
            return Err(Failure::refused(
                format!(
                    "`usufruct {verb}` was interrupted on {}, and what is there now is neither old nor new.",
                    self.path.display()
                ),
                format!("Run `usufruct {verb}` again, to its end."),
            ));
        }
        self.open_anyhow(setup, root, clock)
    }

    /// Opens the pass for the change that has begun on it ([`DataDir::begin`]), and for nobody else.
    pub fn open_begun(&self, setup: &Setup, clock: Arc<dyn Clock>) -> Result<Arc<App>, Failure> {
        self.open_anyhow(setup, root::place(&self.path, setup)?, clock)
    }

    fn open_anyhow(&self, setup: &Setup, root: RootSetup, clock: Arc<dyn Clock>) -> Result<Arc<App>, Failure> {
        let config = Config {
            origin: setup.origin.clone(),
            database: setup.database.clone(),
            operator: setup.operator.clone(),
            vault: VaultSetup { keepers: root.keepers, ..setup.vault() },
        };
        let transport: Arc<dyn log::Transport> = Arc::new(Network::new()?);
        let open = Open {
            config,
            house: House::open(&self.path)?,
            clock,
            rng: Arc::new(SystemRng),
            root: root.place,
            objects: setup.log.as_ref().map(|bucket| bucket::open(bucket, bucket::environment())).transpose()?,
            second_hand: root::second_hand(&self.path, setup)?,
            transport: Some(transport),
        };
        let app = App::open(open).map_err(|error| match error {
            Error::Log(log::Error::Unsigned | log::Error::WrongSignature { .. }) => Failure::refused(
                "The log in the database is not signed by the key in this data directory.",
                "Give the database and the data directory that belong together; a new pass needs an empty database.",
            ),
            other => other.into(),
        })?;
        // The verifier keys lie beside the tiles, so that the files can be checked or served by themselves.
        for (name, keys) in
            [("vkey", vec![app.log_vkey()]), ("vkeys", app.log_vkeys()), ("receipt-vkey", vec![app.receipt_vkey()])]
        {
            let lines = format!("{}\n", keys.join("\n")).into_bytes();
            if Objects::fetch(app.log_objects(), name)?.as_ref() != Some(&lines) {
                app.log_objects().replace(name, &lines)?;
            }
        }
        Ok(Arc::new(app))
    }

    /// Keeps everybody from opening the pass until [`DataDir::finish`]: a change of it has begun that leaves it in no state to
    /// be served before it is done.
    pub fn begin(&self, verb: &str) -> Result<(), Failure> {
        write(&self.path.join(UNFINISHED), verb.as_bytes())
    }

    /// The change that [`DataDir::begin`] announced is done.
    pub fn finish(&self) -> Result<(), Failure> {
        let path = self.path.join(UNFINISHED);
        fs::remove_file(&path).map_err(|error| Failure::file(&path, &error))
    }

    /// The verb that was begun on this directory and not finished.
    pub fn unfinished(&self) -> Option<String> {
        fs::read_to_string(self.path.join(UNFINISHED)).ok()
    }

    /// Writes how commands reach the server that this process is.
    pub fn open_console(&self, console: &ConsoleFile) -> Result<(), Failure> {
        write_json(&self.path.join(CONSOLE), console)
    }

    /// Writes what could be done for the memory of the server that this process is, for `usufruct doctor`, which is another process.
    pub fn note_memory(&self, protection: Protection) -> Result<(), Failure> {
        write_json(&self.path.join(MEMORY), &MemoryFile { process: std::process::id(), protection })
    }

    /// Removes what [`DataDir::open_console`] and [`DataDir::note_memory`] wrote.
    pub fn close_console(&self) {
        for name in [CONSOLE, MEMORY] {
            let _ = fs::remove_file(self.path.join(name));
        }
    }

    pub fn write_demo(&self, demo: &DemoFile) -> Result<(), Failure> {
        write_json(&self.path.join(DEMO), demo)
    }
}

/// Whether the environment says that any disk will do, for trials in containers.
pub fn any_disk() -> bool {
    std::env::var_os("USUFRUCT_ANY_DISK").is_some()
}

/// How the pass in this directory is set up.
pub fn setup(path: &Path) -> Result<Setup, Failure> {
    let file = path.join(SETUP);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::refused(
                format!("There is no pass in {}.", path.display()),
                "Make one with `usufruct init`, or look at one with `usufruct demo`.",
            ));
        }
        Err(error) => return Err(Failure::file(&file, &error)),
    };
    let setup: Setup = toml::from_str(&text).map_err(|error| {
        Failure::refused(format!("{} cannot be understood: {}.", file.display(), error.message()), "Restore it from a copy.")
    })?;
    setup.provider.check(&file)?;
    setup.nightly.as_ref().map_or(Ok(()), Nightly::check)?;
    Ok(setup)
}

/// The bucket of the pass in this directory; `None` when its log is in the folder `log`, or when there is no pass yet.
pub fn bucket(path: &Path) -> Result<Option<Arc<dyn Objects>>, Failure> {
    let bucket = setup(path).ok().and_then(|setup| setup.log);
    bucket.map(|bucket| bucket::read(&bucket, bucket::environment())).transpose()
}

/// What the demo keeps about itself; `None` when the directory is no demo.
pub fn demo(path: &Path) -> Result<Option<DemoFile>, Failure> {
    read_json(&path.join(DEMO))
}

/// How to reach the server that runs on this directory.
pub fn console(path: &Path) -> Result<Option<ConsoleFile>, Failure> {
    read_json(&path.join(CONSOLE))
}

/// What could be done for the memory of the server that runs on this directory; `None` when none does.
pub fn memory(path: &Path) -> Result<Option<Protection>, Failure> {
    let noted: Option<MemoryFile> = read_json(&path.join(MEMORY))?;
    // One that was killed could not remove it.
    let lives = |noted: &MemoryFile| Path::new(&format!("/proc/{}", noted.process)).exists();
    Ok(noted.filter(lives).map(|noted| noted.protection))
}

/// The file `memory.json`.
#[derive(Serialize, Deserialize)]
struct MemoryFile {
    process: u32,
    protection: Protection,
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let fresh = path.with_extension("fresh");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&fresh, path)).map_err(failed)
}

fn is_file(root: &RootKind) -> bool {
    *root == RootKind::File
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| {
        Failure::impossible(format!("{} cannot be written: {error}.", path.display()), "Report this as a defect.")
    })?;
    write(path, &bytes)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| Failure::refused(format!("{} cannot be understood.", path.display()), "Delete it and start again.")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

const CONSOLE: &str = "console.json";
const DEMO: &str = "demo.json";
const LOCK: &str = "lock";
const MEMORY: &str = "memory.json";
const SETUP: &str = "usufruct.toml";
const UNFINISHED: &str = "unfinished";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_profiles_that_serves_nobody_is_refused() {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let with = |table: &str| {
            let text = format!("origin = \"city.test/log\"\noperator = \"agc_information\"\n{table}");
            fs::write(dir.path().join(SETUP), text).unwrap_or_else(|error| panic!("{error}"));
            setup(dir.path())
        };
        for table in ["[provider]\nprofiles = []\n", "[provider]\nprofiles = [\"oidc\"]\n"] {
            let failure = with(table).err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(failure.contains("does not name fapi2"), "{table}: {failure}");
        }
        for table in
            ["", "[provider]\n", "[provider]\nprofiles = [\"fapi2\"]\n", "[provider]\nprofiles = [\"fapi2\", \"oidc\"]\n"]
        {
            assert!(with(table).is_ok(), "{table}");
        }
    }
}
