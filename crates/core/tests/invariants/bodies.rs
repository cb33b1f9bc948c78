//! What is said in the random histories: bodies of mandates, contracts and breaches, lawful but for what a history changes in them.

use serde_json::{Value, json};
use usufruct_core::breach::{Breach, BreachState, ClockAnswer};
use usufruct_core::handles::{leaf, set_root};
use usufruct_core::lawpack::SHIPPED;
use usufruct_core::time::{DAY, HOUR};
use usufruct_core::{Digest, Text, Time};

use crate::common::{City, certificate_body, day, emergency_body, library_card, outbreak, school_meals, text, whole_contract};
use crate::history::{BODIES, CARD, CONTRACT, JOINED, LIBRARY, MEALS};

/// What a revision of a mandate says otherwise than the lawful one.
#[derive(Clone, Debug)]
pub struct Shape {
    pub is_emergency: bool,
    pub is_commercial: bool,
    pub controller: Option<usize>,
    pub also_receives: Option<usize>,
    /// On which day of the tests it ends.
    pub ends: Option<i64>,
}

pub fn contract(is_whole: bool, gives_values: bool, days: i64) -> Value {
    let mut body = whole_contract();
    body["until"] = json!(day(days).to_string());
    if !gives_values {
        body.as_object_mut().unwrap().remove("value_blocks");
    }
    if !is_whole {
        body["clauses"].as_array_mut().unwrap().pop();
    }
    body
}

pub fn mandate(id: &str, shape: &Shape) -> Value {
    let mut body = match id {
        CARD => library_card(),
        MEALS => school_meals(),
        JOINED => joined(),
        _ => outbreak(),
    };
    if shape.is_emergency {
        body["kind"] = json!("emergency");
        body["emergency"] = emergency_body();
        body["sunset_at"] = json!(day(119).to_string());
        body.as_object_mut().unwrap().remove("continues");
    }
    body["purpose"]["commercial"] = json!(shape.is_commercial);
    if let Some(controller) = shape.controller {
        body["controller"] = json!(BODIES[controller]);
    }
    if let Some(receives) = shape.also_receives {
        let mut recipient = json!({"agency": BODIES[receives], "why": text("It asked.")});
        if BODIES[receives] == "agc_cloud" {
            recipient["contract"] = json!(CONTRACT);
        }
        let others = body["recipients"].as_array_mut().unwrap();
        others.retain(|other| other["agency"] != BODIES[receives]);
        others.push(recipient);
    }
    if let Some(ends) = shape.ends {
        body["sunset_at"] = json!(day(ends).to_string());
    }
    body
}

/// A lost laptop, at the vendor where it has a level, with the clocks that the laws and the contract demand.
pub fn breach(city: &City, severity: Option<i64>) -> Value {
    let mut body = json!({"body": LIBRARY, "state": "detected", "cause": "loss", "kinds": ["confidentiality"], "threat_actor": "nobody",
        "reporter": "staff", "title": text("Lost laptop"), "facts": text("A laptop was left in a train."),
        "first_signal_at": city.now.plus(-HOUR).to_string(), "aware_at": city.now.to_string(), "from": day(0).to_string(),
        "mandates": [CARD], "blocks": ["blk_name"]});
    if let Some(severity) = severity {
        (body["severity"], body["contract"]) = (json!(severity), json!(CONTRACT));
    }
    json!(city.register.with_clocks(Breach::read(&body).unwrap(), None, city.now))
}

/// The breach after its next step: where several can follow, the first or the last of them. What the step needs is said with it.
pub fn next_of_breach(city: &City, mut breach: Breach, is_worse: bool) -> Value {
    let next = if is_worse { breach.state.next().next() } else { breach.state.next().last() };
    breach.state = next.unwrap_or(breach.state);
    breach.until = breach.until.or((!breach.state.does_harm()).then_some(city.now));
    if breach.state == BreachState::Mitigated {
        breach.measures = Some(Text::new("It was erased.", "已抹除。"));
    }
    if breach.state == BreachState::Closed {
        (breach.closed_at, breach.lessons) = (Some(city.now), Some(Text::new("Learned.", "已改進。")));
        let reason = Some(Text::new("It was not needed.", "無須辦理。"));
        let answer = ClockAnswer { at: city.now, proof: None, reason };
        breach.clocks.iter_mut().for_each(|clock| clock.answer = Some(clock.answer.clone().unwrap_or_else(|| answer.clone())));
    }
    json!(city.register.with_clocks(breach, None, city.now))
}

/// The readers of the library, joined with those who enter the park.
pub fn joined() -> Value {
    let mut body = library_card();
    body["title"] = text("Readers in the garden");
    body["fetch"] = json!({"when": "periodic"});
    body["recipients"] =
        json!([{"agency": LIBRARY, "why": text("It lends.")}, {"agency": "agc_parks", "why": text("It opens.")}]);
    body["conversions"] = json!([{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter.")}]);
    body
}

/// The emergency mandate `of`, which goes on for so many days from now.
pub fn continued(of: &str, now: Time, is_reviewed: bool, is_named: bool, days: i64) -> Value {
    let mut body = outbreak();
    (body["starts_at"], body["sunset_at"]) = (json!(now.to_string()), json!(now.plus(days * DAY).to_string()));
    body["emergency"]["disparity_audit_due"] = body["sunset_at"].clone();
    if is_named {
        body["continues"] = json!(of);
    }
    if is_reviewed {
        body["review"] = json!({"at": now.to_string(), "finding": text("It goes on.")});
    }
    body
}

/// A certificate of the keys of a mandate, of which those in `stay` are left.
pub fn certificate(mandate: &str, keys: &[Digest], stay: &[Digest], at: Time) -> Value {
    let mut all = [keys, stay].concat();
    all.sort_unstable();
    let root = |bucket: &[Digest]| json!(set_root(0, bucket.len() as u64, &leaf(bucket)));
    let proof = |bucket: &[Digest]| json!({"count": bucket.len(), "bucket": bucket, "path": []});
    let mut body = certificate_body(mandate, at);
    body["key_commitments"] = json!(keys);
    (body["tree_root_before"], body["tree_root_after"]) = (root(&all), root(stay));
    body["inclusion"] = keys.iter().map(|_| proof(&all)).collect();
    body["absence"] = keys.iter().map(|_| proof(stay)).collect();
    body
}

/// How many laws there are for the city.
pub const LAWS: usize = 3;

/// A law of the city: one that asks for no assessment, one that asks for it before a mandate begins where data is joined, a machine decides or it is
/// an emergency, or the one that ships.
pub fn law(which: usize) -> Value {
    let (_, pack) = SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap();
    let mut body: Value = toml::from_str(pack).unwrap();
    body["valid_from"] = json!(day(0).to_string());
    match which {
        0 => drop(body.as_object_mut().unwrap().remove("assessed_when")),
        1 => {
            let listed = ["automated", "matching", "emergency"].map(|trigger| json!({"trigger": trigger, "article": "Rule 7"}));
            body["assessed_when"] = json!(listed);
        }
        _ => {}
    }
    body
}
