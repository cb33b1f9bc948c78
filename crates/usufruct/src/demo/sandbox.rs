//! A sandbox for developers: the demo's library signs for services that run on the visitor's own machine.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::{App, Publication};
use usufruct_core::id::ServiceId;
use usufruct_core::ports::random;
use usufruct_web::Sandbox;

use super::past::Offices;
use crate::chance::SystemRng;
use crate::compose;
use crate::failure::Failure;

/// Registers services like the sample library, under its mandates.
pub fn sandbox(app: &Arc<App>, offices: Offices, library: &'static str) -> Sandbox {
    let app = Arc::clone(app);
    Arc::new(move |jwk, redirect_uri| register(&app, &offices, library, jwk, redirect_uri).map_err(|failure| failure.to_string()))
}

fn register(app: &App, offices: &Offices, library: &str, jwk: &str, redirect_uri: &str) -> Result<ServiceId, Failure> {
    let local = reqwest::Url::parse(redirect_uri).ok().filter(|uri| {
        uri.scheme() == "http" && matches!(uri.host_str(), Some("localhost" | "127.0.0.1")) && uri.fragment().is_none()
    });
    if local.is_none() {
        return Err(Failure::refused(
            "The address to return to is not on this machine.",
            "Give one that begins with http://localhost: and your port.",
        ));
    }
    let mut key: Value = serde_json::from_str(jwk).map_err(|_| {
        Failure::refused("The key is no JSON.", "Export the public key of your pair as a JWK and paste it whole.")
    })?;
    if let Some(members) = key.as_object_mut() {
        // What tools add to a public key and the register has no field for.
        members.retain(|name, _| !matches!(name.as_str(), "alg" | "use" | "key_ops" | "ext"));
        members.entry("kid").or_insert_with(|| json!("sandbox"));
    }
    let register = app.register();
    if register.services.keys().filter(|id| id.as_str().starts_with(PREFIX)).count() >= MOST {
        return Err(Failure::refused("The sandbox is full.", "Start the demo anew with --start-over."));
    }
    let like = library.parse().ok().and_then(|id: ServiceId| register.services.get(&id)).ok_or_else(|| {
        Failure::refused("This city has no sample library.", "Use a city that has one, as examples/taipei-like.")
    })?;
    let name = URL_SAFE_NO_PAD.encode(random::<6>(&SystemRng)).to_lowercase().replace(['-', '_'], "0");
    let id = format!("{PREFIX}{name}");
    let body = json!({
        "agency": like.body.agency,
        "name": { "en": "Sandbox", "zh-Hant": "沙盒" },
        "sector": id,
        "redirect_uris": [redirect_uri],
        "channels": ["web", "counter"],
        "alternatives": like.body.alternatives,
        "mandates": like.body.mandates,
        "jwks": [key],
        "help": { "en": "A service that somebody tries out on this machine.", "zh-Hant": "有人在此電腦上試用的服務。" },
    });
    let statements = compose::service(&register, &id, body, &offices.of(&like.body.agency)?, app.now(), &SystemRng)?;
    app.publish(&Publication { statements })?;
    id.parse().map_err(|_| Failure::impossible("The name of the service is malformed.", "Report this as a defect."))
}

const PREFIX: &str = "svc_sandbox-";
const MOST: usize = 100;
