//! Any list of the register as linked data: each object with its title, its revision and where its statement stands.

use serde_json::{Value, json};
use usufruct_core::register::{Outline, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::text::{Language, Text};

use super::dpv::{category, moment, words};
use crate::page::Page;
use crate::register::Link;

/// These objects as one document. `issuer` is the address under which the register stands.
pub(super) fn document(register: &Register, issuer: &str, outlines: &[Outline<'_>]) -> Value {
    let pages = [Language::English, Language::TraditionalChinese].map(Page::plain);
    let nodes: Vec<Value> = outlines.iter().map(|outline| node(register, issuer, &pages, outline)).collect();
    json!({
        "@context": {
            "dct": "http://purl.org/dc/terms/",
            "dpv": "https://w3id.org/dpv#",
            "pd": "https://w3id.org/dpv/pd#",
            "schema": "https://schema.org/",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@graph": nodes,
    })
}

fn node(register: &Register, issuer: &str, pages: &[Page; 2], outline: &Outline<'_>) -> Value {
    let [english, chinese] = pages.each_ref().map(|page| Link::object(register, page, outline.kind, outline.id));
    let issued = outline.history.first().map_or(outline.since, |step| step.at);
    json!({
        "@id": format!("{issuer}{}", english.to),
        "@type": types(register, outline),
        "dct:title": words(&Text::new(&english.words, &chinese.words)),
        "dct:identifier": format!("sha256:{}", outline.hash),
        "dct:hasVersion": outline.rev.to_string(),
        "dct:issued": moment(&issued.to_string()),
        "dct:modified": moment(&outline.since.to_string()),
        "dct:source": { "@id": format!("{issuer}/register/statements/{}.json", outline.index) },
        "dct:provenance": { "@id": format!("{issuer}/log/proof/{}.tlog-proof", outline.index) },
        "schema:creativeWorkStatus": outline.state.code(),
    })
}

/// What vocabularies have a word for; all else is a document.
fn types(register: &Register, outline: &Outline<'_>) -> Vec<String> {
    let word = match outline.kind {
        StatementKind::Agency => "dpv:LegalEntity",
        StatementKind::Agreement => "dpv:Agreement",
        StatementKind::Contract => "dpv:Contract",
        StatementKind::Lawpack => "schema:Legislation",
        StatementKind::Meeting => "schema:Event",
        StatementKind::Notice => "dpv:LayeredNotice",
        StatementKind::Service => "schema:GovernmentService",
        StatementKind::DataBlock => {
            let block =
                outline.id.parse().ok().and_then(|id| Some((register.blocks.get(&id)?.body.forms_allowed.iter().max()?, id)));
            return block.map_or_else(Vec::new, |(form, id)| category(register, &id, *form));
        }
        _ => "schema:DigitalDocument",
    };
    vec![word.to_owned()]
}
