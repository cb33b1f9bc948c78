//! A place of the root that takes an hour to destroy an old one, and at times does not do it at all.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use usufruct_app::vault::roots::{Root, RootSlots};
use usufruct_app::vault::{Epoch, Error as VaultError, Result as VaultResult, SlotClass};
use usufruct_app::{App, Config, Error, House, Open, RootPlace};
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::time::HOUR;

use crate::common::{OPERATOR, SeededRng, SetClock, vault_setup};

struct SlowPlace {
    file: Box<dyn RootPlace>,
    clock: Arc<SetClock>,
    is_away: Arc<AtomicBool>,
}

struct SlowRoots {
    file: Box<dyn RootSlots>,
    clock: Arc<SetClock>,
    is_away: Arc<AtomicBool>,
}

impl RootPlace for SlowPlace {
    fn open(&self) -> VaultResult<Option<Box<dyn RootSlots>>> {
        Ok(self.file.open()?.map(|file| self.around(file)))
    }

    fn create(&self, first: &Root, rng: &dyn Rng) -> VaultResult<Box<dyn RootSlots>> {
        Ok(self.around(self.file.create(first, rng)?))
    }
}

impl SlowPlace {
    fn around(&self, file: Box<dyn RootSlots>) -> Box<dyn RootSlots> {
        Box::new(SlowRoots { file, clock: Arc::clone(&self.clock), is_away: Arc::clone(&self.is_away) })
    }
}

impl RootSlots for SlowRoots {
    fn class(&self) -> SlotClass {
        self.file.class()
    }

    fn roots(&self) -> VaultResult<Vec<Root>> {
        self.file.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> VaultResult<()> {
        self.file.put(root, rng)
    }

    fn keep_only(&self, epoch: Epoch) -> VaultResult<()> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(VaultError::Keeper { name: "archive".into(), why: "it is away".into() });
        }
        self.clock.advance(HOUR);
        self.file.keep_only(epoch)
    }

    fn statements(&self, epoch: Epoch) -> VaultResult<Vec<Destroyed>> {
        self.file.statements(epoch)
    }

    fn heal(&self) -> VaultResult<()> {
        self.file.heal()
    }
}

/// The pass in `dir` over such a root, its clock, and whether the root is away.
pub fn open(dir: &Path, url: Option<&str>) -> (App, Arc<SetClock>, Arc<AtomicBool>) {
    let (app, clock, is_away) = try_open(dir, url, "2026-02-01T00:00:00Z");
    (app.unwrap(), clock, is_away)
}

/// The same at a time of its own, if it starts.
pub fn try_open(dir: &Path, url: Option<&str>, at: &str) -> (Result<App, Error>, Arc<SetClock>, Arc<AtomicBool>) {
    let (clock, is_away) = (SetClock::new(at), Arc::new(AtomicBool::new(false)));
    let (house, vault) = (House::open(dir).unwrap(), vault_setup(url));
    let place = SlowPlace { file: Box::new(vault.file(&house)), clock: Arc::clone(&clock), is_away: Arc::clone(&is_away) };
    let config =
        Config { origin: "city.test/log".into(), database: url.map(str::to_owned), operator: OPERATOR.parse().unwrap(), vault };
    let ports = (Arc::clone(&clock) as Arc<dyn Clock>, SeededRng::new(5));
    let app = App::open(Open {
        config,
        house,
        clock: ports.0,
        rng: ports.1,
        root: Some(Box::new(place)),
        objects: None,
        second_hand: None,
        transport: None,
    });
    (app, clock, is_away)
}
