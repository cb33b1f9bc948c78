//! A sandbox for developers: the demo's library signs for services that run on the visitor's own machine.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::{App, Publication};
use usufruct_core::Text;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::random;
use usufruct_core::status::Grounds;
use usufruct_web::{Sandbox, Unregistered};

use super::past::Offices;
use crate::chance::SystemRng;
use crate::compose::{self, Signers, Step};
use crate::failure::Failure;

/// Registers services like the sample library, under its mandates. When there are as many as there may be, the oldest one is closed.
pub fn sandbox(app: &Arc<App>, offices: Offices, library: &'static str) -> Sandbox {
    // One at a time, so that no two visitors close the same service.
    let (app, turn) = (Arc::clone(app), Mutex::new(()));
    Arc::new(move |jwk, redirect_uri| {
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked(jwk, redirect_uri)?;
        let registered = register(&app, &offices, library, &asked);
        registered.map_err(|failure| Unregistered::Unlawful(failure.to_string()))
    })
}

/// What a visitor registers.
struct Asked<'a> {
    key: Value,
    redirect_uri: &'a str,
}

fn asked<'a>(jwk: &str, redirect_uri: &'a str) -> Result<Asked<'a>, Unregistered> {
    let local = reqwest::Url::parse(redirect_uri).ok().filter(|uri| {
        uri.scheme() == "http" && matches!(uri.host_str(), Some("localhost" | "127.0.0.1")) && uri.fragment().is_none()
    });
    if local.is_none() {
        return Err(Unregistered::Elsewhere);
    }
    let mut key: Value = serde_json::from_str(jwk).map_err(|_| Unregistered::NoJson)?;
    if let Some(members) = key.as_object_mut() {
        // What tools add to a public key and the register has no field for.
        members.retain(|name, _| !matches!(name.as_str(), "alg" | "use" | "key_ops" | "ext"));
        members.entry("kid").or_insert_with(|| json!("sandbox"));
    }
    Ok(Asked { key, redirect_uri })
}

fn register(app: &App, offices: &Offices, library: &str, asked: &Asked<'_>) -> Result<ServiceId, Failure> {
    let register = app.register();
    let like = library.parse().ok().and_then(|id: ServiceId| register.services.get(&id)).ok_or_else(|| {
        Failure::refused("This city has no sample library.", "Use a city that has one, as examples/taipei-like.")
    })?;
    let name = URL_SAFE_NO_PAD.encode(random::<6>(&SystemRng)).to_lowercase().replace(['-', '_'], "0");
    let id = format!("{PREFIX}{name}");
    let body = json!({
        "agency": like.body.agency,
        "name": { "en": "Sandbox", "zh-Hant": "沙盒" },
        "sector": id,
        "redirect_uris": [asked.redirect_uri],
        "channels": ["web", "counter"],
        "alternatives": like.body.alternatives,
        "mandates": like.body.mandates,
        "jwks": [asked.key],
        "help": { "en": "A service that somebody tries out on this machine.", "zh-Hant": "有人在此電腦上試用的服務。" },
    });
    let statements = compose::service(&register, &id, body, &offices.of(&like.body.agency)?, app.now(), &SystemRng)?;
    app.publish(&Publication { statements })?;
    make_room(app, &offices.of(&like.body.agency)?)?;
    id.parse().map_err(|_| Failure::impossible("The name of the service is malformed.", "Report this as a defect."))
}

/// Closes the oldest services of the sandbox beyond those that there may be.
fn make_room(app: &App, signers: &Signers<'_>) -> Result<(), Failure> {
    let register = app.register();
    let mut open: Vec<_> = register
        .services
        .values()
        .filter(|entry| entry.id.starts_with(PREFIX) && matches!(entry.state, State::Active | State::Suspended))
        .collect();
    open.sort_by_key(|entry| entry.number);
    for oldest in open.iter().take(open.len().saturating_sub(MOST)) {
        let step = Step {
            object: &oldest.id,
            revision: oldest.hash,
            from: oldest.state,
            to: State::Closed,
            reason: Text::new("Newer services of the sandbox took its place.", "沙盒中較新的服務取代了它。"),
            grounds: Grounds::default(),
        };
        let closed = compose::step(&step, signers, app.now(), &SystemRng)?;
        app.publish(&Publication { statements: vec![closed] })?;
    }
    Ok(())
}

const PREFIX: &str = "svc_sandbox-";
/// Services that are open at once.
const MOST: usize = 100;
