//! Where the root of a city's key tree lies: in the file, in a token, or with keepers, as the set-up says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use usufruct_app::vault::roots::{MovingRoots, Root, RootSlots};
use usufruct_app::vault::second_hand::{Remote, SecondHand};
use usufruct_app::vault::{Error, Result};
use usufruct_app::{FilePlace, House, KeeperSetup, RootPlace};
use usufruct_core::ports::Rng;

use crate::chance::{SystemRng, chance};
use crate::data_dir::{Setup, VaultTable};
use crate::failure::Failure;
use crate::keeper::link::{self, Line};
use crate::keeper::roster::{self, Roster};
use crate::keeper::tls::Identity;

/// The kind of place: `root` in the table `[vault]` of the set-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKind {
    /// A file in the data directory (class E0).
    #[default]
    File,
    /// Keepers on machines of their own (class E3).
    Keepers,
    /// A key of a PKCS#11 token (class E1).
    Token,
}

/// Which token: the table `[vault.token]` of the set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenTable {
    /// The token's PKCS#11 library.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// A file with the PIN and nothing else.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pin_file: Option<PathBuf>,
    /// An environment variable with the PIN.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pin_env: Option<String>,
}

/// The root as the app wants it.
pub struct RootSetup {
    /// `None` for the file.
    pub place: Option<Box<dyn RootPlace>>,
    /// What the city has to publish about its keepers.
    pub keepers: Option<KeeperSetup>,
}

/// The root of the pass in `dir`.
pub fn place(dir: &Path, setup: &Setup) -> Result<RootSetup, Failure> {
    let table = setup.vault.clone().unwrap_or_default();
    match table.root {
        RootKind::File => Ok(RootSetup { place: None, keepers: None }),
        RootKind::Keepers => of_keepers(dir, &keepers(dir, setup)?),
        RootKind::Token => Ok(RootSetup { place: Some(of_token(dir, setup, &table)?), keepers: None }),
    }
}

/// The root with the keepers of this roster.
pub fn of_keepers(dir: &Path, roster: &Roster) -> Result<RootSetup, Failure> {
    let place = KeeperPlace::new(dir, roster)?;
    Ok(RootSetup { place: Some(Box::new(place)), keepers: Some(roster.public_facts()) })
}

/// The root on its way from the file to the keepers of this roster.
pub fn moving(dir: &Path, setup: &Setup, roster: &Roster) -> Result<RootSetup, Failure> {
    let place = MovingPlace { from: setup.vault().file(&House::open(dir)?), to: KeeperPlace::new(dir, roster)? };
    Ok(RootSetup { place: Some(Box::new(place)), keepers: Some(roster.public_facts()) })
}

/// The roster of the pass in `dir`, which must be about this pass and name its certificate.
pub fn keepers(dir: &Path, setup: &Setup) -> Result<Roster, Failure> {
    let roster = Roster::read(&dir.join(roster::FILE))?;
    belongs(dir, &setup.origin, &roster)?;
    Ok(roster)
}

/// The way to the second keeper of pseudonyms, if the set-up names one.
pub fn second_hand(dir: &Path, setup: &Setup) -> Result<Option<Arc<dyn SecondHand>>, Failure> {
    let Some(name) = setup.vault.as_ref().and_then(|table| table.pseudonym_keeper.as_ref()) else { return Ok(None) };
    let roster = keepers(dir, setup)?;
    let identity = belongs(dir, &setup.origin, &roster)?;
    let line = link::lines(&roster, &identity, &chance())?.into_iter().find(|line| line.name() == name);
    let line = line.ok_or_else(|| no_second_keeper(name))?;
    Ok(Some(Arc::new(Remote::new(&setup.origin, line).map_err(Failure::of)?)))
}

/// The set-up names a second keeper that nobody knows.
pub fn no_second_keeper(name: &str) -> Failure {
    Failure::refused(
        format!("The roster names no keeper {name}, which is to hold the second key of pseudonyms."),
        "Correct `pseudonym_keeper` under `[vault]` in the set-up.",
    )
}

/// The own certificate, if the roster is about the pass in `dir`.
pub fn belongs(dir: &Path, origin: &str, roster: &Roster) -> Result<Identity, Failure> {
    if roster.vault != origin {
        return Err(Failure::refused(
            format!("The roster is about {}, and this pass is {origin}.", roster.vault),
            "Give the roster of this pass.",
        ));
    }
    let identity = Identity::open(&House::open(dir)?, origin, &SystemRng)?;
    if identity.certificate() != roster.city.certificate {
        return Err(Failure::refused(
            "The certificate of the city in the roster is not the one in its data directory.",
            "Print it again with `usufruct keeper city`, and put the roster together with that.",
        ));
    }
    Ok(identity)
}

/// Keepers as the app opens them.
struct KeeperPlace {
    roster: Roster,
    lines: Vec<Arc<Line>>,
}

impl KeeperPlace {
    fn new(dir: &Path, roster: &Roster) -> Result<Self, Failure> {
        let identity = belongs(dir, &roster.vault, roster)?;
        Ok(Self { roster: roster.clone(), lines: link::lines(roster, &identity, &chance())? })
    }
}

impl RootPlace for KeeperPlace {
    fn open(&self) -> Result<Option<Box<dyn RootSlots>>> {
        let roots = link::roots(&self.roster, &self.lines)?;
        Ok(if roots.is_founded()? { Some(Box::new(roots)) } else { None })
    }

    fn create(&self, first: &Root, rng: &dyn Rng) -> Result<Box<dyn RootSlots>> {
        let roots = link::roots(&self.roster, &self.lines)?;
        roots.put(first, rng)?;
        roots.keep_only(first.epoch)?;
        Ok(Box::new(roots))
    }
}

struct MovingPlace {
    from: FilePlace,
    to: KeeperPlace,
}

impl RootPlace for MovingPlace {
    fn open(&self) -> Result<Option<Box<dyn RootSlots>>> {
        let Some(from) = self.from.open()? else { return Ok(None) };
        let to = link::roots(&self.to.roster, &self.to.lines)?;
        // A keeper that is not there now could have a share of a root that nobody expects.
        to.is_founded()?;
        Ok(Some(Box::new(MovingRoots::open(from, Box::new(to), &SystemRng)?)))
    }

    fn create(&self, _first: &Root, _rng: &dyn Rng) -> Result<Box<dyn RootSlots>> {
        Err(Error::Damaged { what: "there is no root that could be moved" })
    }
}

#[cfg(feature = "pkcs11")]
pub use token::of_token;

#[cfg(not(feature = "pkcs11"))]
fn of_token(_dir: &Path, _setup: &Setup, _table: &VaultTable) -> Result<Box<dyn RootPlace>, Failure> {
    Err(Failure::impossible("This program was built without PKCS#11.", "Build it with the feature `pkcs11`."))
}

#[cfg(feature = "pkcs11")]
mod token {
    use usufruct_app::vault::roots::{Disk, Pin, TokenPlace, TokenRoots};

    use super::*;

    /// The token of the set-up.
    pub fn of_token(dir: &Path, setup: &Setup, table: &VaultTable) -> Result<Box<dyn RootPlace>, Failure> {
        let token = table.token.as_ref().ok_or_else(|| {
            Failure::refused("The set-up names no token.", "Write module, label and pin_file under [vault.token].")
        })?;
        let place = TokenPlace {
            module: token.module.clone(),
            token: token.label.clone(),
            vault: setup.origin.clone(),
            folder: dir.join("vault/token"),
        };
        let disk = if setup.vault().any_disk { Disk::Any } else { Disk::InPlace };
        Ok(Box::new(InToken { place, disk, pin: token.clone() }))
    }

    /// A token as the app opens it.
    struct InToken {
        place: TokenPlace,
        disk: Disk,
        pin: TokenTable,
    }

    impl InToken {
        fn pin(&self) -> Result<Pin> {
            match (&self.pin.pin_file, &self.pin.pin_env) {
                (Some(path), None) => Pin::from_file(path),
                (None, Some(name)) => Pin::from_env(name),
                _ => Err(Error::Pin {
                    place: "the set-up".to_owned(),
                    why: "one of pin_file and pin_env must say where it is".to_owned(),
                }),
            }
        }
    }

    impl RootPlace for InToken {
        fn open(&self) -> Result<Option<Box<dyn RootSlots>>> {
            let entries = std::fs::read_dir(&self.place.folder).into_iter().flatten().flatten();
            let is_wrapped = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("wrapped-");
            if !entries.into_iter().any(is_wrapped) {
                return Ok(None);
            }
            Ok(Some(Box::new(TokenRoots::open(self.place.clone(), self.pin()?, self.disk)?)))
        }

        fn create(&self, first: &Root, rng: &dyn Rng) -> Result<Box<dyn RootSlots>> {
            Ok(Box::new(TokenRoots::create(self.place.clone(), self.pin()?, first, self.disk, rng)?))
        }
    }
}
