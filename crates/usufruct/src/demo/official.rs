//! The demo's library takes visitors' passkeys into its entry of the register, and proposes something for them to approve.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::{App, Publication};
use usufruct_core::id::{AgencyId, MandateId};
use usufruct_core::lifecycle::State;
use usufruct_core::ports::random;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::MINUTE;
use usufruct_web::DemoDesk;

use super::past::Offices;
use crate::chance::SystemRng;
use crate::compose;
use crate::failure::Failure;

/// What visitors can have done for them: the operator and the body sign with the demo's own keys.
pub fn desk(app: &Arc<App>, offices: Offices, body: &AgencyId) -> DemoDesk {
    let offices = Arc::new(Mutex::new(offices));
    let (entering, body_of) = ((Arc::clone(app), Arc::clone(&offices)), body.clone());
    let (proposing, speaker) = (Arc::clone(app), body.clone());
    DemoDesk {
        body: body.clone(),
        enter: Arc::new(move |entry| {
            // One at a time, so that no revision is lost.
            let offices = entering.1.lock().unwrap_or_else(PoisonError::into_inner);
            enter(&entering.0, &offices, &body_of, entry).map_err(|failure| failure.to_string())
        }),
        propose: Arc::new(move || propose(&proposing, &speaker).map_err(|failure| failure.to_string())),
    }
}

/// Publishes the next revision of a body with one passkey more. Beyond [`MOST`] the oldest one goes.
fn enter(app: &App, offices: &Offices, body: &AgencyId, entry: &str) -> Result<(), Failure> {
    let table: Value =
        toml::from_str(entry).map_err(|_| Failure::refused("This is no entry of a key.", "Paste what the page shows, whole."))?;
    let [key] = table["signing_keys"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(Failure::refused("This is not the entry of one key.", "Paste what the page shows, whole."));
    };
    if key["webauthn"].is_null() {
        return Err(Failure::refused("This is no passkey.", "Make one on the page of officials."));
    }
    let register = app.register();
    let present = register.agencies.get(body).ok_or_else(|| {
        Failure::refused("This city has no sample library.", "Use a city that has one, as examples/taipei-like.")
    })?;
    let mut next = json!(present.body);
    if let Some(keys) = next["signing_keys"].as_array_mut() {
        keys.retain(|known| known["id"] != key["id"] || known["webauthn"].is_null());
        keys.push(key.clone());
        let of_visitors = keys.iter().filter(|known| !known["webauthn"].is_null()).count();
        if let Some(oldest) = keys.iter().position(|known| !known["webauthn"].is_null()).filter(|_| of_visitors > MOST) {
            keys.remove(oldest);
        }
    }
    let operator = register.operator().and_then(|operator| operator.id.parse().ok());
    let operator: AgencyId = operator.ok_or_else(|| Failure::refused("There is no operator.", "Found the city first."))?;
    let signers = [offices.of(&operator)?, offices.of(body)?].concat();
    let statement = compose::object(&register, StatementKind::Agency, body.as_str(), next, &signers, app.now())?;
    app.publish(&Publication { statements: vec![statement] })?;
    Ok(())
}

/// Proposes the draft of a mandate like an active one of the body, under a name of its own and two minutes ahead: what becomes active has been
/// open for comments first. Answers the id of the proposal.
fn propose(app: &App, body: &AgencyId) -> Result<String, Failure> {
    let register = app.register();
    let like = register.mandates.values().find(|entry| entry.body.controller == *body && entry.state == State::Active);
    let like = like.ok_or_else(|| {
        Failure::refused("The body has no active mandate to copy.", "Use a city that has one, as examples/taipei-like.")
    })?;
    let mut text = json!(like.body);
    text["title"]["en"] = json!(format!("{} (demo)", like.body.title.en));
    let name = URL_SAFE_NO_PAD.encode(random::<6>(&SystemRng)).to_lowercase().replace(['-', '_'], "0");
    let id: MandateId = format!("mdt_demo-{name}")
        .parse()
        .map_err(|_| Failure::impossible("The name of the mandate is malformed.", "Report this as a defect."))?;
    let stand_in = compose::stand_in(body, &SystemRng)?;
    let at = app.now().plus(2 * MINUTE);
    let draft = compose::object(&register, StatementKind::Mandate, id.as_str(), text, &[&stand_in], at)?;
    Ok(app.propose(vec![compose::proposed(draft)])?)
}

/// Passkeys of visitors in the entry at once.
const MOST: usize = 20;
