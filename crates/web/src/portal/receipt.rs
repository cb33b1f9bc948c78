//! Receipts of what the resident agreed to and withdrew, and of what she was told where she has no choice, signed, for her alone: the fields of
//! ISO/IEC TS 27560:2023 in the words of the Data Privacy Vocabulary. What she agreed to is there in the words of ODRL too.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use usufruct_app::{App, Error, Footprint, FootprintLine};
use usufruct_core::Time;
use usufruct_core::event::{self, Event, Form, Kind};
use usufruct_core::grant::GrantKind;
use usufruct_core::hash::{hex, sha256};
use usufruct_core::id::{AgencyId, BlockId, GrantId, MandateId, ServiceId};
use usufruct_core::mandate::{Basis, Mandate, Necessity};
use usufruct_core::register::{Entry, Register};
use usufruct_core::rotation::Rotation;
use usufruct_core::service::Service;
use usufruct_core::time::duration_between;
use usufruct_core::wording::Wording;

use crate::Site;
use crate::fault::Fault;
use crate::page::Page;
use crate::register::export::{Agreed, agreement, basis, category, parties};
use crate::session::Resident;
use crate::site::blocking;

/// What a receipt is made of.
struct Facts {
    event: Event,
    /// Leaf number in the log.
    index: u64,
    /// The leaf as it stands there.
    leaf: Vec<u8>,
    grant: GrantId,
    /// What is lent, or was until she withdrew.
    blocks: Vec<(BlockId, Form)>,
    /// The mandate as it read when she decided.
    agreed: Entry<Mandate>,
    /// How the service knows her; `None` once she is known to it otherwise, and where no service took part.
    subject: Option<String>,
}

/// The receipt of line `n` as a token (RFC 7515) of the type `consent-receipt+jwt`, signed with a key of `/oidc/jwks`.
pub(crate) async fn token(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Path(n): Path<u64>,
) -> Result<Response, Fault> {
    let receipt = receipt(&site, &page, session.resident, n).await?;
    let signed = site.provider_keys.sign(TYPE, &receipt).ok_or_else(Fault::internal)?;
    let name = format!("attachment; filename=\"receipt-{n}.jwt\"");
    let headers =
        [(CONTENT_TYPE, "application/jwt".to_owned()), (CACHE_CONTROL, "no-store".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, signed).into_response())
}

/// The same to be read, unsigned.
pub(crate) async fn readable(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Path(n): Path<u64>,
) -> Result<Response, Fault> {
    let receipt = receipt(&site, &page, session.resident, n).await?;
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(receipt)).into_response())
}

/// What she agreed to on line `n`, as an ODRL agreement, for her alone. Of anything but an agreement there is none.
pub(crate) async fn agreed(
    State(site): State<Arc<Site>>,
    Resident(session): Resident,
    Path(n): Path<u64>,
) -> Result<Response, Fault> {
    let facts = blocking(&site, move |app| facts(app, session.resident, n)).await?;
    let Some(Facts { event, leaf, agreed: mandate, subject, .. }) = facts.filter(is_agreement) else {
        return Err(Fault::not_found("agreement"));
    };
    let Some(service) = &event.service else { return Err(Fault::not_found("agreement")) };
    let leaf_hash = leaf_hash(&leaf);
    let document = agreement(
        &site.settings.issuer,
        &Agreed {
            uid: format!("urn:sha256:{leaf_hash}#agreement"),
            mandate: &mandate,
            service,
            subject: subject.as_deref().unwrap_or(&leaf_hash),
            blocks: &event.blocks,
            at: event.at,
            until: event.until.unwrap_or(mandate.body.sunset_at),
            notice: notice(&site, &site.app.register(), &mandate),
        },
    );
    let headers = [(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "application/ld+json")];
    Ok((headers, document.to_string()).into_response())
}

/// Whether she agreed, and was not told of something that a law allows without her.
fn is_agreement(facts: &Facts) -> bool {
    facts.event.kind == Kind::Consent && facts.agreed.body.legal_basis.code == Basis::Consent
}

/// Where the notice of a revision stands for ever, and its hash.
fn notice(site: &Site, register: &Register, mandate: &Entry<Mandate>) -> Option<(String, String)> {
    let notice = register.notice(mandate)?;
    Some((format!("{}/register/mandates/{}/notices/{}", site.settings.issuer, mandate.id, mandate.rev), notice.hash.to_string()))
}

async fn receipt(site: &Arc<Site>, page: &Page, resident: u64, n: u64) -> Result<Value, Fault> {
    let facts = blocking(site, move |app| facts(app, resident, n)).await?.ok_or_else(|| Fault::not_found("receipt"))?;
    let register = site.app.register();
    Ok(written(site, page, &register, &facts))
}

/// What line `n` says, if it is about something that the resident decided at a service, or was told because a law or an order asks for it.
fn facts(app: &App, resident: u64, n: u64) -> Result<Option<Facts>, Error> {
    let footprint = app.footprint(resident)?;
    let register = app.register();
    let Some((line, event)) = footprint.lines.iter().find_map(|line| Some((line, line.event.clone()?)).filter(|_| line.n == n))
    else {
        return Ok(None);
    };
    let is_hers = match event.kind {
        Kind::Consent => true,
        Kind::Withdrawal => event.service.is_some(),
        _ => false,
    };
    let (Some(hash), true) = (event.mandate, is_hers) else { return Ok(None) };
    let Some(agreed) = app.mandate_revision(&hash)? else { return Ok(None) };
    let Some(grant) = app.grants(resident)?.into_iter().find(|stored| stored.mandate == agreed.number) else { return Ok(None) };
    // A receipt of before a withdrawal must not say how the service knows her after it.
    let is_renewed = |service: &ServiceId| {
        footprint.lines.iter().any(|later| later.n >= n && renews(&register, later, service))
            || is_rotated(&register, service, event.at)
    };
    let subject = match &event.service {
        Some(service) if !is_renewed(service) => known_as(app, resident, service)?,
        _ => None,
    };
    let leaf = leaf(&footprint, line);
    let blocks =
        if event.kind == Kind::Withdrawal { lent_before(&register, &footprint, line, &agreed) } else { event.blocks.clone() };
    Ok(Some(Facts { index: line.index, leaf, grant: grant.id, blocks, agreed, subject, event }))
}

/// What she lent when she withdrew: what her agreement before that names.
fn lent_before(
    register: &Register,
    footprint: &Footprint,
    line: &FootprintLine,
    agreed: &Entry<Mandate>,
) -> Vec<(BlockId, Form)> {
    let earlier = footprint.lines.iter().rev().filter(|earlier| earlier.n < line.n).filter_map(|earlier| earlier.event.as_ref());
    let is_hers = |event: &&Event| {
        let of = event.mandate.and_then(|hash| register.revision(&hash));
        event.kind == Kind::Consent && of.is_some_and(|(mandate, _)| mandate.id == agreed.id)
    };
    earlier.into_iter().find(is_hers).map(|event| event.blocks.clone()).unwrap_or_default()
}

/// How the service knows her; `None` where it is not active, so that nobody is known there.
fn known_as(app: &App, resident: u64, service: &ServiceId) -> Result<Option<String>, Error> {
    match app.subject(resident, service) {
        Ok(subject) => Ok(Some(subject)),
        Err(Error::Unknown { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the service knows her otherwise since this line, or may. A withdrawal names one service under its mandate and gives her another
/// pseudonym in the domains of all.
fn renews(register: &Register, line: &FootprintLine, service: &ServiceId) -> bool {
    let Some(event) = &line.event else { return true };
    let shares = |other: &ServiceId| shares_domain(register, other, service);
    match event.kind {
        Kind::Withdrawal => {
            let left = event.mandate.and_then(|hash| register.revision(&hash)).map(|(mandate, _)| mandate.id.as_str());
            let is_under = |mandates: &[MandateId]| mandates.iter().any(|id| left.is_none_or(|left| id.as_str() == left));
            // What was revised since may have been under it then.
            let is_left = |entry: &Entry<Service>| entry.index > line.index || is_under(&entry.body.mandates);
            event.service.as_ref().is_none_or(shares) || register.services.iter().any(|(id, entry)| is_left(entry) && shares(id))
        }
        Kind::Status => event.reason == REPLACED && event.service.as_ref().is_none_or(shares),
        _ => false,
    }
}

/// Whether all pseudonyms in the domain of the service were replaced since, whether or not a line tells her so.
fn is_rotated(register: &Register, service: &ServiceId, since: Time) -> bool {
    let is_there = |rotation: &Rotation| rotation.services.iter().any(|other| shares_domain(register, other, service));
    register.rotations.values().any(|entry| entry.since >= since && is_there(&entry.body))
}

fn shares_domain(register: &Register, one: &ServiceId, other: &ServiceId) -> bool {
    let sector = |id: &ServiceId| register.services.get(id).map(|entry| &entry.body.sector);
    sector(one) == sector(other)
}

fn leaf(footprint: &Footprint, line: &FootprintLine) -> Vec<u8> {
    let commitment = event::commitment(&line.opening, &line.encoded);
    event::leaf(&commitment, &event::tag(&footprint.tag_key, line.n)).to_vec()
}

fn written(site: &Site, page: &Page, register: &Register, facts: &Facts) -> Value {
    let Facts { event, index, leaf, grant, blocks, agreed: entry, subject } = facts;
    let issuer = &site.settings.issuer;
    let leaf_hash = leaf_hash(leaf);
    let (words, notice) = (register.notice(entry), notice(site, register, entry));
    let (kind, state) = decided(event);
    let order = entry.body.legal_basis.order.as_ref().filter(|_| event.reason == GrantKind::Ordered.code());
    let until = event.until.unwrap_or(entry.body.sunset_at);
    let page_of_mandate = format!("{issuer}/register/mandates/{}", entry.id);
    json!({
        "iss": issuer,
        "iat": event.at.seconds(),
        "schema_version": "ISO/IEC TS 27560:2023",
        "profile": "dpv-27560:receipt-record",
        "record_id": grant,
        "receipt_id": format!("urn:sha256:{leaf_hash}"),
        "pii_principal_id": subject.clone().unwrap_or_else(|| format!("urn:sha256:{leaf_hash}#principal")),
        "processing": [{
            "privacy_notice": notice.as_ref().map_or(&page_of_mandate, |(address, _)| address),
            "privacy_notice_hash": notice.as_ref().map(|(_, hash)| hash),
            "privacy_notice_text_hash": words.map(|notice| Wording::of(&entry.body, &notice.body).hash()),
            "privacy_notice_now": page_of_mandate,
            "language": page.language.tag(),
            "purposes": [{
                "purpose": page.text(&entry.body.purpose.sentence),
                "purpose_type": entry.body.purpose.dpv,
                "lawful_basis": basis(entry.body.legal_basis.code),
                "lawful_basis_source": entry.body.legal_basis.url,
                "service": event.service,
                "pii_information": blocks.iter().map(|(id, form)| datum(page, register, &entry.body, id, *form)).collect::<Vec<_>>(),
                "collection_method": "from the resident's pass, for each use logged before",
                "processing_method": words.map(|notice| page.text(&notice.body.manner)),
                "storage_locations": entry.body.locations,
                "processing_locations": entry.body.locations,
                "retention_period": entry.body.retention.duration,
                "retention_from": page.text(&entry.body.retention.from_event),
                "withdrawal_method": event.service.is_some().then(|| format!("{issuer}/me/consents")),
                "order": order.map(|order| json!({
                    "by": page.text(&order.by),
                    "reference": order.reference,
                    "at": order.at.to_string(),
                    "why": page.text(&order.why),
                })),
                "privacy_rights": words.map(|notice| page.text(&notice.body.rights)),
                "impact_assessment": entry.body.impact_assessment,
                "authority_party": entry.body.oversight_body,
                "jurisdiction": register.agencies.get(&entry.body.controller).map(|agency| &agency.body.jurisdiction),
                "pii_controllers": [entry.body.controller],
                "recipient_third_parties": entry.body.recipients.iter().map(|recipient| json!({
                    "party_id": recipient.agency,
                    "contract": recipient.contract,
                })).collect::<Vec<_>>(),
            }],
        }],
        "parties": parties(register, &entry.body).iter().filter_map(|(id, part)| party(page, register, id, part)).collect::<Vec<_>>(),
        "event": [{
            "event_time": event.at.to_string(),
            "validity_duration": duration_between(event.at, until),
            "valid_until": until.to_string(),
            "entity_id": entry.body.controller,
            "event_type": kind,
            "event_state": state,
        }],
        "mandate": { "id": entry.id, "revision": entry.rev, "hash": entry.hash },
        "log": { "origin": site.app.config().origin, "index": index, "leaf_hash": leaf_hash },
    })
}

/// What sort of decision it was and what came of it. The vocabulary has words for consents alone, so what nobody asked her has words of ours.
fn decided(event: &Event) -> (&'static str, &'static str) {
    match GrantKind::from_code(&event.reason) {
        Some(GrantKind::Notified) => ("urn:usufruct:grant:notified", "urn:usufruct:grant:no-choice"),
        Some(GrantKind::Ordered) => ("urn:usufruct:grant:ordered", "urn:usufruct:grant:no-choice"),
        _ if event.kind == Kind::Withdrawal => ("dpv:ExplicitlyExpressedConsent", "dpv:ConsentWithdrawn"),
        _ => ("dpv:ExplicitlyExpressedConsent", "dpv:ConsentGiven"),
    }
}

fn leaf_hash(leaf: &[u8]) -> String {
    hex(&sha256(&[&[0][..], leaf].concat()).0)
}

fn datum(page: &Page, register: &Register, mandate: &Mandate, id: &BlockId, form: Form) -> Value {
    let asked = mandate.blocks.iter().find(|asked| asked.block == *id);
    json!({
        "pii_attribute_id": id,
        "pii_name": register.blocks.get(id).map(|block| page.text(&block.body.name)),
        "pii_type": category(register, id, form),
        "pii_form": form,
        "pii_optional": asked.is_some_and(|asked| asked.necessity == Necessity::Optional),
    })
}

fn party(page: &Page, register: &Register, id: &AgencyId, part: &str) -> Option<Value> {
    let body = &register.agencies.get(id)?.body;
    Some(json!({
        "party_id": id,
        "party_name": page.text(&body.legal_name),
        "party_type": body.kind,
        "party_role": part,
        "party_address": body.contact,
        "party_contact": body.protection_officer,
    }))
}

/// Reason of the line of a service whose pseudonyms were replaced.
const REPLACED: &str = "pseudonym-replaced";
/// The media type of a receipt, without `application/`.
const TYPE: &str = "consent-receipt+jwt";
