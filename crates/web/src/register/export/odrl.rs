//! A mandate as rules in the Open Digital Rights Language (W3C Recommendation ODRL 2.2, 15 February 2018).

use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, ServiceId};
use usufruct_core::mandate::{Basis, Fetch, Mandate};
use usufruct_core::register::{Entry, Register};

use super::dpv::{moment, party, words};

/// What one resident agreed to, and how the agreement is named.
pub(crate) struct Agreed<'a> {
    pub uid: String,
    /// The mandate as it read when she agreed.
    pub mandate: &'a Entry<Mandate>,
    /// Where she agreed, and how she is known there.
    pub service: &'a ServiceId,
    pub subject: &'a str,
    pub blocks: &'a [(BlockId, Form)],
    pub at: Time,
    pub until: Time,
    /// Address of the notice that she was shown, and its hash.
    pub notice: Option<(String, String)>,
}

/// What she agreed to as an agreement between her and whoever answers for the data.
pub(crate) fn agreement(issuer: &str, agreed: &Agreed<'_>) -> Value {
    let body = &agreed.mandate.body;
    let she = json!({ "@type": "Party", "uid": format!("{issuer}/register/services/{}#{}", agreed.service, agreed.subject) });
    let controller = party(issuer, &body.controller);
    let targets = || {
        agreed.blocks.iter().map(|(block, form)| {
            let reason = body.asked(block).map(|asked| words(&asked.reason));
            json!({ "@type": "Asset", "uid": format!("{issuer}/register/blocks/{block}"), "dct:format": form, "dct:description": reason })
        })
    };
    let mut limits = constraints(body);
    limits.retain(|limit| (limit["leftOperand"].as_str(), limit["operator"].as_str()) != (Some("dateTime"), Some("lt")));
    limits.push(json!({ "leftOperand": "dateTime", "operator": "lt", "rightOperand": moment(&agreed.until.to_string()) }));
    let permissions: Vec<Value> = targets()
        .map(|target| {
            json!({ "target": target, "assigner": she, "assignee": controller, "action": "use", "constraint": limits, "duty": duties(body) })
        })
        .collect();
    let mut policy = json!({
        "@context": context(),
        "@type": "Agreement",
        "uid": agreed.uid,
        "dct:title": words(&body.title),
        "dct:issued": moment(&agreed.at.to_string()),
        "dct:source": format!("{issuer}/register/mandates/{}#{}", agreed.mandate.id, agreed.mandate.hash),
        "assigner": she,
        "assignee": controller,
        "permission": permissions,
    });
    if let Some((address, hash)) = &agreed.notice {
        policy["dpv:hasNotice"] = json!({ "@id": address, "dct:identifier": hash });
    }
    if !body.purpose.commercial {
        policy["prohibition"] = targets()
            .map(|target| json!({ "target": target["uid"], "assigner": she, "assignee": controller, "action": "commercialize" }))
            .collect();
    }
    policy
}

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
        "@context": context(),
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

fn context() -> Value {
    json!(["http://www.w3.org/ns/odrl.jsonld", {
        "dct": "http://purl.org/dc/terms/",
        "dpv": "https://w3id.org/dpv#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }])
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
