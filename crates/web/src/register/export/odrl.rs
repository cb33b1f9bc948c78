//! A mandate as rules in the Open Digital Rights Language (W3C Recommendation ODRL 2.2, 15 February 2018).

use serde_json::{Value, json};
use usufruct_core::mandate::{Basis, Fetch, Mandate};
use usufruct_core::register::{Entry, Register};

use super::dpv::{moment, party, words};

/// An offer where residents are asked, and a set of rules where a law asks instead of them.
pub(super) fn policy(register: &Register, issuer: &str, entry: &Entry<Mandate>) -> Value {
    let body = &entry.body;
    let page = format!("{issuer}/register/mandates/{}", entry.id);
    let people =
        json!({ "@type": "PartyCollection", "uid": format!("{page}#subjects"), "dct:description": words(&body.subjects) });
    let assignees: Vec<Value> = body.recipients.iter().map(|recipient| party(issuer, &recipient.agency)).collect();
    let targets = || body.blocks.iter().map(|asked| (format!("{issuer}/register/blocks/{}", asked.block), asked));
    let permissions: Vec<Value> = targets()
        .map(|(uid, asked)| {
            json!({
                "target": { "@type": "AssetCollection", "uid": uid, "dct:description": words(&asked.reason) },
                "assigner": people,
                "assignee": assignees,
                "action": "use",
                "constraint": constraints(body),
                "duty": duties(body),
            })
        })
        .collect();
    let mut policy = json!({
        "@context": ["http://www.w3.org/ns/odrl.jsonld", {
            "dct": "http://purl.org/dc/terms/",
            "dpv": "https://w3id.org/dpv#",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        }],
        "@type": if body.legal_basis.code == Basis::Consent { "Offer" } else { "Set" },
        "uid": format!("{page}#{}", entry.hash),
        "dct:title": words(&body.title),
        "permission": permissions,
    });
    if !body.purpose.commercial {
        policy["prohibition"] = targets()
            .map(|(uid, _)| json!({ "target": uid, "assigner": people, "assignee": assignees, "action": "commercialize" }))
            .collect();
    }
    if let Some(notice) = register.notice(entry) {
        policy["dct:description"] = words(&notice.body.short);
    }
    policy
}

fn constraints(body: &Mandate) -> Vec<Value> {
    let one =
        |left: &str, operator: &str, right: Value| json!({ "leftOperand": left, "operator": operator, "rightOperand": right });
    let from = match body.fetch {
        Fetch::OnceAfter { after } => after.max(body.starts_at),
        Fetch::Once | Fetch::Periodic => body.starts_at,
    };
    let mut all = vec![
        one("purpose", "eq", json!({ "@id": body.purpose.dpv })),
        one("dateTime", "gteq", moment(&from.to_string())),
        one("dateTime", "lt", moment(&body.sunset_at.to_string())),
        one("spatial", "isAnyOf", json!(body.locations)),
    ];
    match body.fetch {
        Fetch::Once | Fetch::OnceAfter { .. } => all.push(one("count", "lteq", json!(1))),
        // So many in every such time, and not in all.
        Fetch::Periodic => all.push(json!({ "and": { "@list": [
            one("count", "lteq", json!(body.rate_cap.uses)),
            one("timeInterval", "eq", duration(&body.rate_cap.per)),
        ] } })),
    }
    all
}

/// To delete in time, and to tell the resident.
fn duties(body: &Mandate) -> Vec<Value> {
    let elapsed = json!({ "leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": duration(&body.retention.duration) });
    vec![
        json!({ "action": "delete", "constraint": [elapsed], "dct:description": words(&body.retention.from_event) }),
        json!({ "action": "inform" }),
    ]
}

fn duration(duration: &str) -> Value {
    json!({ "@value": duration, "@type": "xsd:duration" })
}
