//! Services and certificates.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::certificate::{Cause, Certificate, Recipient};
use usufruct_core::erasure::ErasureState;
use usufruct_core::id::{CertificateId, MandateId, ServiceId};
use usufruct_core::key::KeyOf;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;
use usufruct_core::uncertified::Uncertified;
use usufruct_core::vault_terms::Silence;

use super::keys::{self, ShownKey, Standing as KeyStanding};
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage {
    page: Page,
    services: Vec<ShownService>,
}

#[derive(Template)]
#[template(path = "service.html")]
struct ServicePage {
    page: Page,
    service: ShownService,
    /// Other services that know residents by the same pseudonym.
    sector: Vec<Link>,
    keys: Vec<ShownKey>,
}

struct ShownService {
    entry: Entry<Service>,
    agency: Link,
    mandates: Vec<Link>,
}

#[derive(Template)]
#[template(path = "certificates.html")]
struct CertificatesPage {
    page: Page,
    certificates: Vec<ShownCertificate>,
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    page: Page,
    certificate: ShownCertificate,
    /// The destroyed keys of a mandate or a pseudonym domain; empty for those of residents, which are published nowhere else.
    keys: Vec<ShownKey>,
    has_keepers: bool,
    /// Keepers of its time that have not signed.
    silence: Option<Silence>,
    /// What the verifier in the browser checks, safe inside a script element.
    payload: String,
    issuer: String,
    vkey: String,
}

#[derive(Template)]
#[template(path = "uncertified.html")]
struct UncertifiedPage {
    page: Page,
    entry: Entry<Uncertified>,
}

struct ShownCertificate {
    entry: Entry<Certificate>,
    mandate: Option<Link>,
    /// When no ciphertext was left of it, by its own word or by that of a statement about many.
    purged_at: Option<Time>,
    /// How far the erasure has come, and when.
    state: ErasureState,
    steps: [(ErasureState, Option<Time>); 5],
    /// Services that were told to delete, and what they said.
    recipients: Vec<(Link, Recipient)>,
}

pub(super) async fn services(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let open = register.services.values().filter(|entry| entry.state != Stage::Draft);
    let services = open.map(|entry| shown_service(&register, &page, entry)).collect();
    show(&ServicesPage { page, services })
}

pub(super) async fn services_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().services)
}

pub(super) async fn service(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<ServiceId>().ok().and_then(|id| register.services.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("service"))?;
    let others = register.services.values().filter(|other| other.body.sector == entry.body.sector && other.id != entry.id);
    let sector = others.map(|other| Link::service(&page, other)).collect();
    let service = shown_service(&register, &page, entry);
    let keys = keys::shown(&register, &page, |key| key.of == KeyOf::Sector(entry.body.sector.clone()));
    Ok(show(&ServicePage { page, service, sector, keys }))
}

pub(super) async fn certificates(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let mut certificates: Vec<_> =
        register.certificates.values().map(|entry| shown_certificate(&register, &page, entry, site.app.now())).collect();
    certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.entry.index));
    show(&CertificatesPage { page, certificates })
}

pub(super) async fn certificates_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().certificates)
}

/// How far each erasure has come that is certified, with the day of each step.
pub(super) async fn erasures_json(State(site): State<Arc<Site>>) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let erasures = register.certificates.values().map(|entry| {
        let erasure = register.erasure(entry);
        json!({ "certificate": entry.id, "state": erasure.state(now), "steps": erasure, "purged_at": register.purged_at(entry) })
    });
    open_json(&erasures.collect::<Vec<_>>())
}

pub(super) async fn certificate(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<CertificateId>().ok().and_then(|id| register.certificates.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let Some(entry) = find(&id) else { return uncertified(&register, page, &id) };
    let certificate = shown_certificate(&register, &page, entry, site.app.now());
    // Those of its time: who keeps the root now may not have kept it then.
    let terms = register.vault_terms_at(entry.number);
    let body = &entry.body;
    let silence = terms.and_then(|(_, terms)| terms.silence(body.epoch_after, &body.keepers));
    let keys = keys::shown(&register, &page, |key| entry.body.key_commitments.contains(&key.commitment));
    let mandate = body.mandate.as_ref().and_then(|mandate| mandate.parse().ok());
    let ends = register.ends(body.cause, mandate.as_ref(), body.sector.as_deref());
    let operator = register.operator().map(|operator| operator.history.iter().map(|step| step.index).collect::<Vec<_>>());
    let payload = json!({
        "origin": site.app.config().origin,
        "vkey": site.app.log_vkey(),
        "policy": register.log.as_ref().map(|entry| format!("{}\n", entry.body.policy.trim_end())),
        "checkpointUrl": "/log/checkpoint",
        "id": entry.id,
        "index": entry.index,
        "first": entry.number,
        "operator": operator,
        "keys": keys.iter().map(|key| key.index).collect::<Vec<_>>(),
        "ends": ends.iter().map(|step| step.index).filter(|index| *index < entry.number).collect::<Vec<_>>(),
        "terms": terms.map(|(leaf, _)| leaf),
        "silent": silence.map(|silence| silence.all - silence.signed),
    });
    Ok(show(&CertificatePage {
        page,
        certificate,
        keys,
        has_keepers: terms.is_some_and(|(_, terms)| !terms.keepers.is_empty()),
        silence,
        payload: payload.to_string().replace('<', "\\u003c"),
        issuer: site.settings.issuer.clone(),
        vkey: site.app.log_vkey(),
    }))
}

/// The page in the place of a certificate that there cannot be.
fn uncertified(register: &Register, page: Page, id: &str) -> Result<Response, Fault> {
    let find = |id: &str| id.parse::<CertificateId>().ok().and_then(|id| register.uncertified.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(id).ok_or_else(|| Fault::not_found("certificate"))?.clone();
    Ok(show(&UncertifiedPage { page, entry }))
}

fn shown_service(register: &Register, page: &Page, entry: &Entry<Service>) -> ShownService {
    ShownService {
        agency: Link::agency(register, page, &entry.body.agency),
        mandates: mandates(register, page, &entry.body.mandates),
        entry: entry.clone(),
    }
}

fn shown_certificate(register: &Register, page: &Page, entry: &Entry<Certificate>, now: Time) -> ShownCertificate {
    let erasure = register.erasure(entry);
    let mandate = entry.body.mandate.as_ref().and_then(|id| register.mandates.get(&id.parse().ok()?));
    let recipients = entry
        .body
        .recipients
        .iter()
        .filter_map(|recipient| Some((Link::service(page, register.services.get(&recipient.service)?), recipient.clone())));
    ShownCertificate {
        mandate: mandate.map(|mandate| Link::mandate(page, mandate)),
        recipients: recipients.collect(),
        purged_at: register.purged_at(entry),
        state: erasure.state(now),
        steps: erasure.steps(),
        entry: entry.clone(),
    }
}

fn mandates(register: &Register, page: &Page, ids: &[MandateId]) -> Vec<Link> {
    ids.iter().filter_map(|id| register.mandates.get(id)).map(|entry| Link::mandate(page, entry)).collect()
}
