//! The house's own keys and folders: what a data directory holds beside the database.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use usufruct_core::ports::{Rng, random};
use usufruct_core::statement::Signer;
use zeroize::Zeroizing;

use crate::Error;

/// A data directory: `keys/` (signing keys), `vault/` (the key tree), `log/` (tiles and checkpoint), `usufruct.db`.
pub struct House {
    dir: PathBuf,
}

impl House {
    /// Opens the data directory `dir`, making it and its parts where they are missing. Only the owner may read it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        for part in ["keys", "log"] {
            let part = dir.join(part);
            if !part.exists() {
                let make = || {
                    fs::DirBuilder::new().recursive(true).mode(0o700).create(&part)?;
                    // The names of new folders must be as durable as what is written into them.
                    fs::File::open(dir)?.sync_all()?;
                    fs::File::open(dir.join(".."))?.sync_all()
                };
                make().map_err(|error| house(&part, &error))?;
            }
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// The folder of the key tree.
    pub fn vault_dir(&self) -> PathBuf {
        self.dir.join("vault")
    }

    /// The folder that is served under `/log`.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The embedded database.
    pub fn database_url(&self) -> String {
        format!("sqlite:{}", self.dir.join("usufruct.db").display())
    }

    /// Databases that restorations put aside, with the rows that they had then.
    pub fn set_aside(&self) -> Result<Vec<PathBuf>, Error> {
        let read = || fs::read_dir(&self.dir)?.collect::<std::io::Result<Vec<_>>>();
        let entries = read().map_err(|error| house(&self.dir, &error))?;
        let is_aside = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("usufruct.db.before-");
        let mut aside: Vec<PathBuf> = entries.iter().filter(|entry| is_aside(entry)).map(fs::DirEntry::path).collect();
        aside.sort();
        Ok(aside)
    }

    /// The data directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The 32-byte seed `name`, made on first use.
    pub fn seed(&self, name: &str, rng: &dyn Rng) -> Result<Zeroizing<[u8; 32]>, Error> {
        let bytes = self.secret(&format!("{name}.seed"), || random::<32>(rng).to_vec())?;
        let seed: [u8; 32] =
            bytes.as_slice().try_into().map_err(|_| Error::House { what: format!("{name}.seed has not 32 bytes") })?;
        Ok(Zeroizing::new(seed))
    }

    /// Refuses if one of these seeds is not there: whoever is known by a key must not get another one unnoticed.
    pub fn require_seeds(&self, names: &[&str]) -> Result<(), Error> {
        let is_missing = |name: &&&str| !self.dir.join("keys").join(format!("{name}.seed")).exists();
        names.iter().find(is_missing).map_or(Ok(()), |name| {
            Err(Error::refused(
                &format!("The signing key keys/{name}.seed is not in {}.", self.dir.display()),
                "Put the folder `keys` back from a backup; a key made anew would be another key.",
            ))
        })
    }

    /// The secret file `name` of the folder `keys`, made by `make` on first use.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let path = self.dir.join("keys").join(name);
        match fs::read(&path) {
            Ok(bytes) => return Ok(Zeroizing::new(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(house(&path, &error)),
        }
        let bytes = Zeroizing::new(make());
        let write = || {
            // A crash must leave a whole key or none, so the file gets its name only when it is durable.
            let fresh = path.with_extension("fresh");
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(self.dir.join("keys"))?.sync_all()
        };
        write().map_err(|error: std::io::Error| house(&path, &error))?;
        Ok(bytes)
    }

    /// Names of the secret files of the folder `keys` that begin so.
    pub fn secrets(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let folder = self.dir.join("keys");
        let read = || -> std::io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name.starts_with(prefix) && !name.ends_with(".fresh") {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        read().map_err(|error| house(&folder, &error))
    }

    /// Removes a secret file that is of no use any more.
    pub fn forget_secret(&self, name: &str) -> Result<(), Error> {
        let path = self.dir.join("keys").join(name);
        fs::remove_file(&path).map_err(|error| house(&path, &error))
    }

    /// The signer for key `key` of `agency`, its seed made on first use.
    pub fn signer(&self, agency: &usufruct_core::id::AgencyId, key: &str, rng: &dyn Rng) -> Result<Signer, Error> {
        let seed = self.seed(&format!("{agency}.{key}"), rng)?;
        Signer::new(agency.clone(), key, &seed)
            .ok_or_else(|| Error::House { what: format!("the seed of {agency}.{key} is refused") })
    }
}

fn house(path: &Path, error: &std::io::Error) -> Error {
    Error::House { what: format!("{}: {error}", path.display()) }
}
