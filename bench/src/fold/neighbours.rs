//! What stands beside a mandate in a grown city: an agreement about every other one, and breaches that can still do harm.

use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::{DAY, SECOND};
use usufruct_core::{Digest, Time};

use crate::city::{STEPS, first_day, mandate_body, mandate_id, notice_body, service_body, service_id, signer, text};

/// A mandate with which a library lets a park have data, and a vendor of its own.
pub const SHARED: &str = "mdt_shared";
/// The service of the park, and that of the vendor.
pub const OF_THE_PARK: &str = "svc_park";
pub const OF_THE_VENDOR: &str = "svc_cloud";
const LIBRARY: &str = "agc_library";
const PARK: &str = "agc_parks";
const VENDOR: &str = "agc_cloud";
const CONTRACT: &str = "ctr_cloud";
/// So many breaches are open and about something else.
pub const BREACHES: usize = 1_000;
/// Leaf numbers begin beyond those of the replay.
const FIRST_LEAF: u64 = 1 << 40;

/// A register to which statements are added, a second after each other.
pub struct Neighbours {
    pub register: Register,
    at: Time,
    leaf: u64,
}

impl Neighbours {
    /// A register with the mandate that is shared and its two services.
    pub fn new(register: Register) -> Self {
        let at = register.last_at().max(first_day().plus(31 * DAY));
        let mut neighbours = Self { register, at, leaf: FIRST_LEAF };
        neighbours.share();
        neighbours
    }

    fn share(&mut self) {
        let mut body = mandate_body();
        body["operations"].as_array_mut().expect("a list").push(json!("disclose"));
        body["recipients"] = json!([{"agency": LIBRARY, "why": text("It keeps the card.")}, {"agency": PARK, "why": text("It lets readers in.")},
            {"agency": VENDOR, "contract": CONTRACT, "why": text("It prints the card.")}]);
        let mandate = self.say(StatementKind::Mandate, SHARED, LIBRARY, body, &[LIBRARY]);
        self.say(StatementKind::Notice, "ntc_shared", LIBRARY, notice_body(SHARED, mandate), &[LIBRARY]);
        let contract = self.say(StatementKind::Contract, CONTRACT, LIBRARY, contract_body(), &[LIBRARY]);
        let steps = ["draft", "checked_agency", "checked_city", "signed", "active"];
        for pair in steps.windows(2) {
            self.step(CONTRACT, contract, (pair[0], pair[1]), &[LIBRARY]);
        }
        for (service, agency) in [(OF_THE_PARK, PARK), (OF_THE_VENDOR, VENDOR)] {
            let body = service_body(agency, &service[4..], &[SHARED.to_owned()]);
            let revision = self.say(StatementKind::Service, service, agency, body, &[agency]);
            self.step(service, revision, ("draft", "active"), &[agency]);
        }
        for step in STEPS {
            self.step(SHARED, mandate, step, &[LIBRARY]);
        }
    }

    /// One agreement in force about each mandate, and about the shared one.
    pub fn agree(&mut self, mandates: usize) {
        let about = (0..mandates).map(mandate_id).chain([SHARED.to_owned()]);
        let begins = self.at.plus(20 * DAY);
        let agreed: Vec<_> = about
            .map(|mandate| {
                let id = format!("agr_{}", &mandate[4..]);
                let hash = self.say(StatementKind::Agreement, &id, LIBRARY, agreement_body(&mandate, begins), &[LIBRARY, PARK]);
                for step in [("draft", "consulted"), ("consulted", "published")] {
                    self.step(&id, hash, step, &[LIBRARY, PARK]);
                }
                (id, hash)
            })
            .collect();
        self.at = self.at.max(begins);
        for (id, hash) in agreed {
            self.step(&id, hash, ("published", "active"), &[LIBRARY, PARK]);
        }
    }

    /// Breaches about other mandates, of which nobody knows yet what they are.
    pub fn breach(&mut self, mandates: usize) {
        for n in 0..BREACHES {
            let body = json!({"body": LIBRARY, "cause": "loss", "state": "suspected", "kinds": ["confidentiality"], "threat_actor": "nobody",
                "reporter": "staff", "title": text("Lost laptop"), "facts": text("A laptop was left in a train."),
                "first_signal_at": self.at.to_string(), "from": first_day().to_string(), "mandates": [mandate_id(n % mandates)],
                "blocks": ["blk_name"], "clocks": []});
            self.say(StatementKind::Breach, &format!("brc_b{n}"), LIBRARY, body, &[LIBRARY]);
        }
    }

    /// The next statement, approved by two people of each of these bodies. Answers its hash.
    fn say(&mut self, kind: StatementKind, id: &str, by: &str, body: Value, approving: &[&str]) -> Digest {
        self.at = self.at.plus(SECOND);
        let by = by.parse().expect("an agency");
        let mut statement =
            Statement { kind, id: id.to_owned(), rev: 1, prev: None, at: self.at, by, body, approvals: Vec::new() };
        for agency in approving {
            for key in ["head", "privacy"] {
                statement.approve(signer(agency, key)).expect("an approval");
            }
        }
        self.register.apply(&statement, self.leaf).unwrap_or_else(|problems| panic!("{id}: {problems:?}"));
        self.leaf += 1;
        statement.hash().expect("a hash")
    }

    fn step(&mut self, object: &str, revision: Digest, (from, to): (&str, &str), approving: &[&str]) {
        let body =
            json!({"object": object, "revision": revision.to_string(), "from": from, "to": to, "reason": text("The next step.")});
        self.say(StatementKind::StatusChange, &format!("sta_{}", self.leaf), approving[0], body, approving);
    }
}

fn contract_body() -> Value {
    let end = first_day().plus(400 * DAY).to_string();
    let value = |block: &str| json!({"block": block, "why": text("It stands on the card.")});
    json!({"controller": LIBRARY, "vendor": VENDOR, "mandates": [SHARED], "scope": text("Prints cards."), "from": first_day().to_string(),
        "until": end, "capability_evidence": [{"kind": "ISO 27001", "issuer": "An auditor", "expires": end}],
        "measures": [text("Encryption at rest.")], "data_locations": ["TW"], "breach_first_ping_hours": 1, "breach_report_hours": 72,
        "check_every": "P90D", "next_check_due": first_day().plus(90 * DAY).to_string(), "penalty": text("One million."),
        "no_own_purpose": true, "delete_within_days": 30, "value_blocks": [value("blk_name"), value("blk_age")]})
}

fn agreement_body(mandate: &str, begins: Time) -> Value {
    let end = begins.plus(200 * DAY);
    json!({"title": text("Readers in the garden"), "parties": [LIBRARY, PARK], "purpose": text("Readers enter free."),
        "legal_gateway": {"instrument": text("Culture ordinance"), "article": "9", "url": "https://law.example/9"},
        "mandates": [mandate], "blocks": ["blk_name", "blk_age"],
        "transfers": [{"from": service_id(0), "to": OF_THE_PARK, "why": text("Readers enter the garden.")}], "frequency": text("Once a day"), "estimated_persons": 1000,
        "safeguards": [text("Both log each transfer.")],
        "due_diligence": [{"title": text("Report"), "sha256": sha256(b"report").to_string()}],
        "commercial_firewall": text("No company sees it."), "impact_assessment": "https://library.example/assessment",
        "summary": text("The garden learns who is a reader."), "oversight_body": "agc_oversight",
        "in_force_from": begins.to_string(), "sunset_at": end.to_string(), "review_due": end.plus(-DAY).to_string()})
}
