//! Where the root of the key tree lies, and whether those who have it answer.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use usufruct_app::store::db::Db;
use usufruct_app::store::key_epochs;
use usufruct_app::vault::Error as VaultError;
use usufruct_app::vault::keeper::Standing;
use usufruct_app::vault::roots::{FileRoots, Link as _};

use super::{Line, disk, vault};
use crate::chance::chance;
use crate::compose;
use crate::data_dir::Setup;
use crate::failure::Failure;
use crate::keeper::link;
use crate::keeper::roster::Roster;
use crate::keeper::standings::holders;
use crate::public_log::PublicLog;
use crate::root::{self, RootKind};

/// The lines about the root.
pub fn lines(dir: &Path, setup: &Setup) -> Vec<Line> {
    let mut lines = match setup.root() {
        RootKind::File => vec![vault(dir), disk(dir)],
        RootKind::Keepers => keepers(dir, setup).unwrap_or_else(|failure| vec![Line::fail("root", failure.to_string())]),
        RootKind::Token => vec![token(dir, setup).unwrap_or_else(|failure| Line::fail("root", failure.to_string()))],
    };
    let second = setup.vault.as_ref().and_then(|table| table.pseudonym_keeper.as_ref());
    lines
        .extend(second.map(|name| {
            second_keeper(dir, setup, name).unwrap_or_else(|failure| Line::fail(SECOND_KEEPER, failure.to_string()))
        }));
    lines
}

/// Whether the root in the file is older than the database notes. One in a token or with keepers tells its epoch to the server only.
pub fn set_back(dir: &Path, setup: &Setup, db: &Db) -> Option<Line> {
    let newest = (setup.root() == RootKind::File).then(|| FileRoots::epochs(&dir.join("vault")).ok()).flatten()?.first()?.0;
    let reached = db.read(key_epochs::reached).ok()?;
    (newest < reached).then(|| {
        let words = format!("The root is of epoch {newest}, and the database notes that epoch {reached} was reached.");
        Line::fail("vault", format!("{words} It was set back to an old copy; bring the newest one from a live replica."))
    })
}

/// Keepers at an epoch that the database does not note. An erasure under way has a few of them one epoch ahead; once as many are as end
/// the old root, it is noted within a moment.
pub fn ahead(dir: &Path, setup: &Setup, db: &Db) -> Option<Line> {
    let (roster, standings) = (setup.root() == RootKind::Keepers).then(|| standings(dir, setup).ok()).flatten()?;
    let names = || {
        let reached = db.read(key_epochs::reached).ok()?;
        let counters = standings.iter().map(|standing| standing.as_ref().map_or(0, |standing| standing.counter.0));
        let ahead: Vec<_> = roster.keepers.iter().zip(counters).filter(|(_, counter)| *counter > reached).collect();
        let is_far = ahead.iter().any(|(_, counter)| *counter > reached + 1);
        let is_many = ahead.len() > roster.keepers.len() - roster.threshold;
        (is_far || is_many).then(|| ahead.iter().map(|(entry, _)| entry.name.as_str()).collect::<Vec<_>>().join(", "))
    };
    names()?;
    thread::sleep(MOMENT);
    let words = format!("Keepers are at an epoch that this pass has not reached: {}.", names()?);
    let why = "They lie, or somebody else has keys/keeper-tls.seed, or a server ended in the middle of an erasure, which its next start finishes.";
    let advice =
        "A server that runs has the root in memory: do not stop it before you have read `The city's key` in docs/operations.md.";
    Some(Line::fail("keepers", format!("{words} {why} {advice}")))
}

/// Where the keepers of the set-up stand, in the order of the roster; `None` for those that do not answer.
fn standings(dir: &Path, setup: &Setup) -> Result<(Roster, Vec<Option<Standing>>), Failure> {
    let roster = root::keepers(dir, setup)?;
    let identity = root::belongs(dir, &setup.origin, &roster)?;
    let lines = link::lines(&roster, &identity, &chance())?;
    let standings = thread::scope(|scope| {
        let calls: Vec<_> = lines.iter().map(Arc::clone).map(|line| scope.spawn(move || line.standing().ok())).collect();
        calls.into_iter().map(|call| call.join().ok().flatten()).collect()
    });
    Ok((roster, standings))
}

/// How long a note in the database may take.
const MOMENT: Duration = Duration::from_secs(1);

/// Whether the second keeper of pseudonyms answers.
fn second_keeper(dir: &Path, setup: &Setup, name: &str) -> Result<Line, Failure> {
    let roster = root::keepers(dir, setup)?;
    let lines = link::lines(&roster, &root::belongs(dir, &setup.origin, &roster)?, &chance())?;
    let line = lines.iter().find(|line| line.name() == name).ok_or_else(|| root::no_second_keeper(name))?;
    Ok(match line.standing() {
        Ok(_) => Line::ok(SECOND_KEEPER, format!("{name} holds the second key of pseudonyms, and answers.")),
        Err(error) => Line::fail(
            SECOND_KEEPER,
            format!("Nobody signs in to a service whose pseudonyms have two keepers, and nothing is released to it. {error}"),
        ),
    })
}

const SECOND_KEEPER: &str = "second keeper";

fn keepers(dir: &Path, setup: &Setup) -> Result<Vec<Line>, Failure> {
    let (roster, standings) = standings(dir, setup)?;
    Ok(vec![counted(&roster, &standings), terms(dir, setup, &roster)])
}

/// Whether enough keepers answer and hold a share of the newest root.
fn counted(roster: &Roster, standings: &[Option<Standing>]) -> Line {
    let holds = holders(standings);
    let missing: Vec<&str> =
        roster.keepers.iter().zip(&holds).filter(|(_, holds)| !**holds).map(|(entry, _)| entry.name.as_str()).collect();
    let (all, holders) = (standings.len(), standings.len() - missing.len());
    let words =
        format!("The root is with {all} keepers (class E3); {holders} have their share, {} bring it back.", roster.threshold);
    match (missing.is_empty(), holders >= roster.threshold) {
        (true, _) => Line::ok("root", words),
        (false, true) => Line::warn("root", format!("{words} See to {}.", missing.join(", "))),
        (false, false) => {
            Line::fail("root", format!("{words} Nothing can be erased, and no server starts: see to {}.", missing.join(", ")))
        }
    }
}

/// Whether the register says about the keepers what the roster says.
fn terms(dir: &Path, setup: &Setup, roster: &Roster) -> Line {
    let register = match PublicLog::in_data_dir(dir).and_then(|log| log.register()) {
        Ok(register) => register,
        Err(failure) => return Line::fail("vault terms", failure.to_string()),
    };
    match register.vault.as_ref().map(|entry| compose::states(&entry.body, &setup.origin, roster)) {
        Some(true) => Line::ok("vault terms", "The register names the keepers of the set-up."),
        Some(false) => Line::fail(
            "vault terms",
            "The register names other keepers than the set-up, so no erasure can be certified. Publish the terms anew.",
        ),
        None => {
            Line::fail("vault terms", "The register names no keepers, so nobody can check them. Publish the terms of the vault.")
        }
    }
}

fn token(dir: &Path, setup: &Setup) -> Result<Line, Failure> {
    let place = root::place(dir, setup)?.place;
    let opened = place.map(|place| place.open()).transpose().map(Option::flatten);
    Ok(match opened.and_then(|roots| roots.map(|roots| Ok((roots.roots()?.len(), roots.class()))).transpose()) {
        Ok(Some((_, class))) => Line::ok("root", format!("A key of the token opens it (class {class}).")),
        Ok(None) => {
            Line::fail("root", "The wrapped root is not in vault/token. Without it no data opens; bring the folder back.")
        }
        Err(VaultError::Locked) => Line::ok("root", "It is in the token, and a server has it open."),
        Err(error) => Line::fail("root", error.to_string()),
    })
}
