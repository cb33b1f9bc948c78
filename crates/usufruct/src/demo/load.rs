//! Loads the demo city: its past through the real use cases, with the clock moved, then its many residents.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::{App, Error, House, Publication, ReleaseRequest};
use usufruct_core::Time;
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::id::ServiceId;
use usufruct_core::mandate::{GateLevel, Necessity};

use super::city::{City, PastConsent, PastUse};
use super::past::{self, Happening, Offices};
use super::{cases, people};
use crate::chance::{SystemRng, p256_pkcs8};
use crate::clock::{self, DemoClock};
use crate::failure::Failure;
use crate::{compose, progress};

/// Where the two sample services live.
#[derive(Clone, Debug)]
pub struct SamplePorts {
    /// Ports as the city's files write them, and as they are.
    pub moved: Vec<(u16, u16)>,
}

/// The residents of the story, by the word of their link.
pub type Personas = Vec<(String, u64)>;

/// Publishes the city and lives through its past. Answers the personas' numbers.
pub fn past(app: &App, city: &City, clock: &DemoClock, ports: &SamplePorts, now: Time) -> Result<Personas, Failure> {
    let offices = Offices::open(city, app.house(), &SystemRng)?;
    let services = services(city, app.house(), ports)?;
    let told = past::tell(city, &offices, app.house(), &SystemRng, &services, now)?;
    let bar = progress::bar(told.len() as u64, "events of the past");
    let mut personas: Vec<u64> = Vec::new();
    for (at, happening) in &told {
        clock.forward(*at);
        match happening {
            Happening::Answer { persona, mandate, answer } => {
                cases::answer(app, (&offices, &city.head.log.origin), personas[*persona], mandate, answer)?;
            }
            Happening::Case { persona, case } => cases::file(app, personas[*persona], case)?,
            Happening::Consent { persona, consent } => agree(app, personas[*persona], consent)?,
            Happening::EnrolPersonas => {
                let new: Vec<_> = city.personas.iter().map(|persona| people::persona(city, persona, now)).collect();
                personas = app.enrol(&new)?.iter().map(|enrolled| enrolled.resident).collect();
            }
            Happening::Publish(statements) => {
                app.publish(&Publication { statements: statements.clone() }).map_err(|error| about(statements, error))?;
            }
            Happening::Sunsets => drop(app.run_sunsets()?),
            Happening::Use { persona, used } => use_data(app, personas[*persona], used)?,
        }
        bar.inc(1);
    }
    clock.release();
    app.publish_log()?;
    bar.finish_and_clear();
    Ok(city.personas.iter().map(|persona| persona.key()).zip(personas).collect())
}

/// Enrols `count` invented residents and says how many per second.
pub fn crowd(app: &App, city: &City, count: u64, now: Time) -> Result<f64, Failure> {
    let bar = progress::bar(count, "residents");
    let begun = clock::stopwatch();
    let next = AtomicU64::new(0);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS) {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                    if from >= count || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                        return;
                    }
                    let to = count.min(from + CHUNK);
                    let new: Vec<_> = (from..to).map(|number| people::resident(city, number, now)).collect();
                    match app.enrol(&new) {
                        Ok(_) => bar.inc(to - from),
                        Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error.into()),
        None => Ok(count as f64 / begun.elapsed().as_secs_f64().max(1e-3)),
    }
}

/// Publishes new revisions of services whose return addresses are on other ports than before.
pub fn move_samples(app: &App, city: &City, ports: &SamplePorts) -> Result<(), Failure> {
    let offices = Offices::open(city, app.house(), &SystemRng)?;
    let register = app.register();
    for (id, body) in services(city, app.house(), ports)? {
        let Some(entry) = id.parse::<ServiceId>().ok().and_then(|id| register.services.get(&id)) else { continue };
        let wanted: Vec<&str> = body["redirect_uris"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if entry.body.redirect_uris != wanted {
            let statements = compose::service(&register, &id, body, &offices.of(&entry.body.agency)?, app.now(), &SystemRng)?;
            app.publish(&Publication { statements })?;
        }
    }
    Ok(())
}

/// The key pair by which a service proves itself, made on first use (PKCS #8).
pub fn service_key(house: &House, service: &str) -> Result<Vec<u8>, Failure> {
    let failed = || Failure::impossible("No key pair could be made.", "Check the machine.");
    let fresh = p256_pkcs8().ok_or_else(failed)?;
    Ok(house.secret(&format!("{service}.p8"), || fresh)?.to_vec())
}

/// The services of the city with their public keys, on the right ports.
pub fn services(city: &City, house: &House, ports: &SamplePorts) -> Result<Vec<(String, Value)>, Failure> {
    let mut services = Vec::with_capacity(city.services.len());
    for (id, body) in &city.services {
        let mut body = body.clone();
        for field in ["redirect_uris", "post_logout_redirect_uris"] {
            for uri in body[field].as_array_mut().into_iter().flatten() {
                if let Some(text) = uri.as_str() {
                    *uri = on_port(text, ports).into();
                }
            }
        }
        body["jwks"] = json!([jwk(&service_key(house, id.as_str())?)?]);
        // A field that is absent must not become null.
        if let Some(members) = body.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        services.push((id.to_string(), body));
    }
    Ok(services)
}

fn on_port(uri: &str, ports: &SamplePorts) -> String {
    for (written, real) in &ports.moved {
        if let Some(rest) = uri.strip_prefix(&format!("http://localhost:{written}/")) {
            return format!("http://localhost:{real}/{rest}");
        }
    }
    uri.to_owned()
}

/// The public half of a key pair as a JSON web key; its id is its thumbprint (RFC 7638).
fn jwk(pkcs8: &[u8]) -> Result<Value, Failure> {
    let unusable =
        || Failure::impossible("The key file of a service cannot be used.", "Delete the demo's directory and start again.");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| unusable())?;
    let point = pair.public_key().as_ref();
    let (x, y) = (point.get(1..33).ok_or_else(unusable)?, point.get(33..65).ok_or_else(unusable)?);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let thumbprint = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
    Ok(json!({ "kid": URL_SAFE_NO_PAD.encode(thumbprint.0), "kty": "EC", "crv": "P-256", "x": x, "y": y }))
}

/// A persona agrees to a mandate and to everything that is optional in it.
fn agree(app: &App, resident: u64, consent: &PastConsent) -> Result<(), Failure> {
    let register = app.register();
    let mandate = register.mandates.get(&consent.mandate).ok_or_else(|| unknown(consent.mandate.as_str()))?;
    let optional: Vec<_> = mandate
        .body
        .blocks
        .iter()
        .filter(|asked| asked.necessity == Necessity::Optional)
        .map(|asked| asked.block.clone())
        .collect();
    let (service, _) = register
        .services
        .iter()
        .find(|(_, service)| service.body.mandates.contains(&consent.mandate))
        .ok_or_else(|| unknown(consent.mandate.as_str()))?;
    app.consent_at_counter(resident, service, &consent.mandate, &optional)
        .map_err(|error| story(consent.mandate.as_str(), &error))?;
    Ok(())
}

/// A service uses a persona's data, or is refused as the story says.
fn use_data(app: &App, resident: u64, used: &PastUse) -> Result<(), Failure> {
    let register = app.register();
    let mandate = register.mandates.get(&used.mandate).ok_or_else(|| unknown(used.mandate.as_str()))?;
    let form = |block| mandate.body.asked(block).map_or(Form::Value, |asked| asked.form);
    let request = ReleaseRequest {
        service: used.service.clone(),
        mandate: used.mandate.clone(),
        subject: app.subject(resident, &used.service)?,
        blocks: used.blocks.iter().map(|block| (block.clone(), form(block))).collect(),
        reason: used.reason.clone(),
        actor: None,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: None,
    };
    let name = format!("{} of {} ({} days ago)", used.reason, used.mandate, used.days_ago);
    match (app.release(&request), used.refused) {
        (Ok(_), false) | (Err(Error::Unpermitted(_)), true) => Ok(()),
        // The past has no witnesses, so data does not leave; the line, which is what a past is made of, stands in the log.
        (Err(Error::Unpublished), false) if mandate.body.gate == GateLevel::Witnessed => Ok(()),
        (Ok(_), true) => Err(Failure::refused(format!("{name} should be refused and was not."), "Correct people/personas.toml.")),
        (Err(error), _) => Err(story(&name, &error)),
    }
}

fn about(statements: &[usufruct_core::statement::Statement], error: Error) -> Failure {
    let ids: Vec<String> = statements.iter().map(|statement| format!("{:?} {}", statement.kind, statement.id)).collect();
    let failure = Failure::from(error);
    Failure::refused(format!("{} cannot be published. {failure}", ids.join(", ")), "Correct the city's files.")
}

fn story(what: &str, error: &Error) -> Failure {
    Failure::refused(format!("The story does not work out at {what}: {error}"), "Correct people/personas.toml.")
}

fn unknown(id: &str) -> Failure {
    Failure::refused(format!("The city has nothing under the name `{id}`, or no service for it."), "Add it or correct the name.")
}

/// The counts of mandates by state, for the closing line of the loader.
pub fn states(app: &App) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for mandate in app.register().mandates.values() {
        *states.entry(mandate.state.code()).or_default() += 1;
    }
    states
}

/// Residents enrolled in one commit of the key tree and one transaction.
const CHUNK: u64 = 2_000;
/// Sealing is work for the processor, the commits go one after the other: more threads only wait.
const MOST_THREADS: usize = 4;
