//! Three witnesses for the demo. In a real city they belong to three institutions on machines of their own; here they
//! share the process, so that everything can be seen at work on one computer.

use std::future::pending;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use axum::Router;
use serde_json::json;
use usufruct_app::log::VerifierKey;
use usufruct_app::log::witness::{FolderState, Witness};
use usufruct_app::{App, House, Publication};
use usufruct_core::statement::StatementKind;
use usufruct_web::{WitnessSite, witness_router};

use super::city::City;
use super::past::Offices;
use crate::chance::SystemRng;
use crate::clock::SystemClock;
use crate::command::witness::cosigners;
use crate::compose;
use crate::connections::{self, Places, Plain};
use crate::failure::Failure;

/// Names of the three, after the host they share.
const NAMES: [&str; 3] = ["oversight", "university", "neighbour"];

/// The keys of the demo's log, once it has been opened before.
pub fn log_keys(dir: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(dir.join("log/vkeys")).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// Starts the three on a thread of their own, which ends with the process.
pub fn start(dir: &Path, log_keys: &[String], listener: TcpListener) -> Result<(), Failure> {
    let known: Vec<VerifierKey> = log_keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?;
    let known = known.into_iter().map(|key| (key.name().to_owned(), key));
    let mut router = Router::new();
    for name in NAMES {
        let (house, full_name) = of(dir, name)?;
        let state = FolderState::open(house.dir().join("state"))?;
        let witness = Witness::new(known.clone(), cosigners(&house, &full_name)?, state)?;
        let site = WitnessSite::new(witness, Arc::new(SystemClock), |_| {});
        router = router.nest(&format!("/{name}"), witness_router(Arc::new(site)));
    }
    let broken = |error: std::io::Error| {
        Failure::impossible(format!("The witnesses cannot run: {error}."), "Check the limits of the system.")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let serve = move || {
        runtime.block_on(async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => connections::serve(listener, Plain, router, Places::of_process(), pending()).await,
                Err(error) => tracing::error!(%error, "the witnesses of the demo cannot run"),
            }
        });
    };
    thread::Builder::new().name("witnesses".to_owned()).spawn(serve).map(drop).map_err(broken)
}

/// Publishes the terms of the log, or their next revision, when they are not what the register says.
pub fn publish_terms(app: &App, city: &City, port: u16) -> Result<(), Failure> {
    let mut policy = String::new();
    for name in NAMES {
        let (house, full_name) = of(app.house().dir(), name)?;
        for (kind, cosigner) in ["ed25519", "ml-dsa"].iter().zip(cosigners(&house, &full_name)?) {
            policy += &format!("witness {name}-{kind} {} http://localhost:{port}/{name}\n", cosigner.verifier_key());
        }
        // A browser without ML-DSA can still see that the quorum is met.
        policy += &format!("group {name} any {name}-ed25519 {name}-ml-dsa\n");
    }
    policy += &format!("group two-of-three 2 {}\nquorum two-of-three", NAMES.join(" "));
    publish_vault_terms(app, city)?;
    let register = app.register();
    if register.log.as_ref().is_some_and(|entry| entry.body.policy == policy) {
        return Ok(());
    }
    let body = json!({
        "policy": policy, "merge_delay_seconds": 60, "checkpoint_seconds": 10, "filler": { "events": 2, "seconds": 1 }, "fail_open": false,
    });
    let keys = compose::LogKeys { origin: app.config().origin.clone(), vkeys: app.log_vkeys(), receipt_vkey: app.receipt_vkey() };
    let offices = Offices::open(city, app.house(), &SystemRng)?;
    let signers = offices.of(&city.head.operator)?;
    let body = compose::log_terms(body, &keys);
    let statement = compose::object(&register, StatementKind::Log, "log_terms", body, &signers, app.now())?;
    Ok(app.publish(&Publication { statements: vec![statement] }).map(drop)?)
}

/// Publishes where the root of the key tree lies, once.
fn publish_vault_terms(app: &App, city: &City) -> Result<(), Failure> {
    let register = app.register();
    if register.vault.is_some() {
        return Ok(());
    }
    let (_, class) = app.vault_state();
    let body = json!({
        "vault": app.config().origin, "slot_class": class.to_string(), "threshold": 0, "backup_days": 35,
    });
    let offices = Offices::open(city, app.house(), &SystemRng)?;
    let signers = offices.of(&city.head.operator)?;
    let statement = compose::object(&register, StatementKind::Vault, "vlt_terms", body, &signers, app.now())?;
    Ok(app.publish(&Publication { statements: vec![statement] }).map(drop)?)
}

/// The house of a witness below the demo's own, and its name.
fn of(dir: &Path, name: &str) -> Result<(House, String), Failure> {
    let path = dir.join("witnesses").join(name);
    Ok((House::open(&path)?, format!("localhost/{name}")))
}
