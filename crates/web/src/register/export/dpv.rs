//! Mandates in the words of the Data Privacy Vocabulary 2.3 (W3C Community Group report, 28 February 2026).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use usufruct_core::Text;
use usufruct_core::agency::AgencyKind;
use usufruct_core::block::Sensitivity;
use usufruct_core::event::Form;
use usufruct_core::id::{AgencyId, BlockId};
use usufruct_core::mandate::{Basis, Mandate, Necessity, Operation};
use usufruct_core::register::{Entry, Register};

/// These mandates as one document. `issuer` is the address under which the register stands.
pub(super) fn document<'a>(register: &Register, issuer: &str, mandates: impl IntoIterator<Item = &'a Entry<Mandate>>) -> Value {
    let mandates: Vec<&Entry<Mandate>> = mandates.into_iter().collect();
    let bodies: BTreeSet<&AgencyId> = mandates.iter().flat_map(|entry| bodies(&entry.body)).collect();
    let processes = mandates.iter().map(|entry| process(register, issuer, entry));
    let entities = bodies.into_iter().filter_map(|id| entity(register, issuer, id));
    json!({ "@context": context(), "@graph": processes.chain(entities).collect::<Vec<_>>() })
}

fn context() -> Value {
    json!({
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "dpv": "https://w3id.org/dpv#",
        "pd": "https://w3id.org/dpv/pd#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

fn process(register: &Register, issuer: &str, entry: &Entry<Mandate>) -> Value {
    let body = &entry.body;
    let page = format!("{issuer}/register/mandates/{}", entry.id);
    let (vendors, recipients): (Vec<_>, Vec<_>) =
        body.recipients.iter().map(|recipient| &recipient.agency).partition(|id| is_vendor(register, id));
    let mut process = json!({
        "@id": page,
        "@type": "dpv:Process",
        "dct:title": words(&body.title),
        "dct:identifier": format!("sha256:{}", entry.hash),
        "dct:hasVersion": entry.rev.to_string(),
        "dct:temporal": {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": moment(&body.starts_at.to_string()),
            "dcat:endDate": moment(&body.sunset_at.to_string()),
        },
        "dpv:hasPurpose": {
            "@type": body.purpose.dpv,
            "rdfs:label": words(&body.purpose.sentence),
            "skos:notation": body.purpose.local_code,
        },
        "dpv:hasLegalBasis": {
            "@type": basis(body.legal_basis.code),
            "rdfs:label": words(&body.legal_basis.instrument),
            "dct:bibliographicCitation": body.legal_basis.article,
            "dct:source": { "@id": body.legal_basis.url },
        },
        "dpv:hasDataSubject": { "@type": "dpv:DataSubject", "rdfs:label": words(&body.subjects) },
        "dpv:hasPersonalData": body.blocks.iter().map(|asked| json!({
            "@id": format!("{issuer}/register/blocks/{}", asked.block),
            "@type": category(register, &asked.block, asked.form),
            "rdfs:label": register.blocks.get(&asked.block).map(|block| words(&block.body.name)),
            "dpv:hasNecessity": { "@id": match asked.necessity {
                Necessity::Optional => "dpv:Optional",
                Necessity::Required => "dpv:Required",
            } },
            "dct:description": words(&asked.reason),
        })).collect::<Vec<_>>(),
        "dpv:hasProcessing": body.operations.iter().map(|operation| json!({ "@id": operation_term(*operation) })).collect::<Vec<_>>(),
        "dpv:hasDataController": party(issuer, &body.controller),
        "dpv:hasDataProcessor": vendors.into_iter().map(|id| party(issuer, id)).collect::<Vec<_>>(),
        "dpv:hasRecipient": recipients.into_iter().map(|id| party(issuer, id)).collect::<Vec<_>>(),
        "dpv:hasLocation": body.locations,
        "dpv:hasStorageCondition": {
            "@type": "dpv:StorageDuration",
            "rdfs:label": words(&body.retention.from_event),
            "dpv:hasDuration": { "@value": body.retention.duration, "@type": "xsd:duration" },
        },
    });
    if let Some(notice) = register.notice(entry) {
        process["dpv:hasNotice"] = json!({
            "@id": format!("{page}#notice"),
            "@type": "dpv:LayeredNotice",
            "dct:identifier": format!("sha256:{}", notice.hash),
            "dct:description": words(&notice.body.line),
        });
    }
    if let Some(assessment) = &body.impact_assessment {
        process["dct:references"] = json!({ "@id": assessment });
    }
    process
}

/// A body and how it is reached.
fn entity(register: &Register, issuer: &str, id: &AgencyId) -> Option<Value> {
    let body = &register.agencies.get(id)?.body;
    Some(json!({
        "@id": format!("{issuer}/register/agencies#{id}"),
        "@type": "dpv:LegalEntity",
        "dpv:hasName": words(&body.legal_name),
        "dpv:hasContact": body.contact,
    }))
}

/// Everybody a mandate gives data to, with who answers for it.
fn bodies(mandate: &Mandate) -> impl Iterator<Item = &AgencyId> {
    std::iter::once(&mandate.controller).chain(mandate.recipients.iter().map(|recipient| &recipient.agency))
}

/// Those bodies as the parties of a record (ISO/IEC TS 27560:2023, 6.4), each with its part.
pub(crate) fn parties(register: &Register, mandate: &Mandate) -> Vec<(AgencyId, &'static str)> {
    let part = |id: &AgencyId| if is_vendor(register, id) { "dpv:DataProcessor" } else { "dpv:Recipient" };
    let mut parties = vec![(mandate.controller.clone(), "dpv:DataController")];
    let others = mandate.recipients.iter().filter(|recipient| recipient.agency != mandate.controller);
    parties.extend(others.map(|recipient| (recipient.agency.clone(), part(&recipient.agency))));
    parties
}

pub(super) fn party(issuer: &str, id: &AgencyId) -> Value {
    json!({ "@id": format!("{issuer}/register/agencies#{id}") })
}

/// A text in both languages.
pub(in crate::register) fn words(text: &Text) -> Value {
    json!([{ "@value": text.en, "@language": "en" }, { "@value": text.zh_hant, "@language": "zh-Hant" }])
}

pub(in crate::register) fn moment(time: &str) -> Value {
    json!({ "@value": time, "@type": "xsd:dateTime" })
}

pub(super) fn is_vendor(register: &Register, id: &AgencyId) -> bool {
    register.agencies.get(id).is_some_and(|agency| agency.body.kind == AgencyKind::Vendor)
}

/// What sort of data a block is in this form.
pub(crate) fn category(register: &Register, block: &BlockId, form: Form) -> Vec<String> {
    let Some(entry) = register.blocks.get(block) else { return vec!["dpv:PersonalData".to_owned()] };
    let sensitivity = match entry.body.sensitivity {
        Sensitivity::Ordinary => "dpv:PersonalData",
        Sensitivity::Sensitive => "dpv:SensitivePersonalData",
        Sensitivity::Special => "dpv:SpecialCategoryPersonalData",
    };
    let form = match form {
        Form::Token => Some("dpv:PseudonymisedData"),
        Form::Predicate => Some("dpv:DerivedPersonalData"),
        Form::Value => None,
    };
    [Some(entry.body.category.as_str()), Some(sensitivity), form].into_iter().flatten().map(str::to_owned).collect()
}

pub(crate) fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Consent => "dpv:Consent",
        Basis::LegalObligation => "dpv:LegalObligation",
        Basis::PublicTask => "dpv:PublicInterest",
        Basis::VitalInterest => "dpv:VitalInterest",
    }
}

fn operation_term(operation: Operation) -> &'static str {
    match operation {
        Operation::Collect => "dpv:Collect",
        Operation::Decide => "dpv:Assess",
        Operation::Deposit => "dpv:Record",
        Operation::Disclose => "dpv:Disclose",
        Operation::Match => "dpv:Match",
        Operation::Statistics => "dpv:Aggregate",
        Operation::Store => "dpv:Store",
    }
}
