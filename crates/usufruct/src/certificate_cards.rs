//! Certificate cards as a second way in: the table of the set-up, its files, and the listener where cards are shown.

pub mod listener;
pub mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use usufruct_app::{CardDoor, CardIssuers};
use usufruct_core::Text;
use usufruct_web::CardPlace;

use crate::failure::Failure;

/// The table `[certificate_cards]` of the set-up. Paths that are not absolute begin in the data directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateCards {
    /// Where cards are shown. TLS ends here and not at a web server in front.
    pub listen: SocketAddr,
    /// How browsers reach it: `https`, host and port, without a slash at the end.
    pub origin: String,
    /// The server's own chain, PEM.
    pub certificate: PathBuf,
    /// The key of its first certificate, PEM.
    pub key: PathBuf,
    /// The certificates of those whose cards are taken, PEM or DER.
    pub issuers: PathBuf,
    /// Their lists of revoked certificates, PEM or DER; at least one for each issuer.
    pub revoked: Vec<PathBuf>,
    /// What residents call the cards.
    pub name: Text,
}

impl CertificateCards {
    /// How residents find the listener.
    pub fn place(&self) -> Result<CardPlace, Failure> {
        let has_path =
            self.origin.strip_prefix("https://").is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', ' ']));
        if has_path {
            return Err(Failure::refused(
                format!("The origin {} of certificate cards is not https, a host and a port.", self.origin),
                "Write it as https://cards.pass.example.org:8443 in [certificate_cards].",
            ));
        }
        Ok(CardPlace { origin: self.origin.clone(), name: self.name.clone() })
    }

    /// Opens the door with what the files hold now.
    pub fn door(&self, dir: &Path) -> Result<CardDoor, Failure> {
        let (chain, key) = (read(dir, &self.certificate)?, zeroize::Zeroizing::new(read(dir, &self.key)?));
        Ok(CardDoor::new(self.issuers(dir)?, &chain, &key)?)
    }

    fn issuers(&self, dir: &Path) -> Result<CardIssuers, Failure> {
        let lists = self.revoked.iter().map(|path| read(dir, path)).collect::<Result<Vec<_>, _>>()?;
        Ok(CardIssuers::read(&read(dir, &self.issuers)?, &lists)?)
    }

    /// All files that are read.
    fn files<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
        [&self.certificate, &self.key, &self.issuers].into_iter().chain(&self.revoked).map(move |path| dir.join(path))
    }
}

fn read(dir: &Path, path: &Path) -> Result<Vec<u8>, Failure> {
    let path = dir.join(path);
    std::fs::read(&path).map_err(|error| Failure::file(&path, &error))
}
