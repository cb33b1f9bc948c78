//! A city whose statements are made one after the other, without a register: what comes next follows from the count.

use std::sync::LazyLock;

use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::time::{DAY, SECOND};
use usufruct_core::{Digest, Time};

/// Mandates that one service works under.
pub const MANDATES_A_SERVICE: usize = 10;
const AGENCIES: [(&str, &str); 5] = [
    ("agc_operator", "operator"),
    ("agc_oversight", "oversight"),
    ("agc_library", "agency"),
    ("agc_parks", "agency"),
    ("agc_cloud", "vendor"),
];
const KEYS: [(&str, &str); 3] = [("head", "head"), ("privacy", "data-protection"), ("automation", "automation")];
/// The steps that bring a mandate into force.
pub const STEPS: [(&str, &str); 4] =
    [("draft", "consulted"), ("consulted", "approved"), ("approved", "published"), ("published", "active")];

/// Makes the statements of the city in their order.
pub struct Maker {
    founding: Vec<(StatementKind, &'static str, Value)>,
    mandates: usize,
    /// The present revision of each mandate.
    hashes: Vec<Digest>,
    next: usize,
}

impl Maker {
    pub fn new(mandates: usize) -> Self {
        Self { founding: founding(), mandates, hashes: Vec::with_capacity(mandates), next: 0 }
    }

    /// The statement after the last one.
    pub fn make(&mut self) -> Statement {
        let n = self.next;
        self.next += 1;
        if let Some((kind, id, body)) = self.founding.get(n) {
            return signed(*kind, id, "agc_operator", body.clone(), n, &["head", "privacy"]);
        }
        let n_mandate = n - self.founding.len();
        let each = 2 + STEPS.len();
        if n_mandate < self.mandates * each {
            return self.founded(n, n_mandate / each, n_mandate % each);
        }
        let services = self.mandates.div_ceil(MANDATES_A_SERVICE);
        let n_service = n_mandate - self.mandates * each;
        if n_service < services * 2 {
            return self.service(n, n_service / 2, n_service % 2 == 1);
        }
        let n_step = n_service - services * 2;
        let (mandate, is_suspension) = (n_step % self.mandates, (n_step / self.mandates).is_multiple_of(2));
        let hash = self.hashes[mandate];
        if is_suspension {
            step(n, &mandate_id(mandate), hash, ("active", "suspended"), "agc_operator", &["automation"])
        } else {
            step(n, &mandate_id(mandate), hash, ("suspended", "active"), "agc_library", &["head", "privacy"])
        }
    }

    /// One of the statements that bring a mandate into force.
    fn founded(&mut self, n: usize, mandate: usize, stage: usize) -> Statement {
        let id = mandate_id(mandate);
        if stage == 0 {
            let statement = signed(StatementKind::Mandate, &id, "agc_library", mandate_body(), n, &["head", "privacy"]);
            self.hashes.push(statement.hash().expect("a hash"));
            return statement;
        }
        let hash = self.hashes[mandate];
        if stage == 1 {
            let body = notice_body(&id, hash);
            return signed(StatementKind::Notice, &format!("ntc_n{mandate}"), "agc_library", body, n, &["head"]);
        }
        step(n, &id, hash, STEPS[stage - 2], "agc_library", &["head", "privacy"])
    }

    fn service(&self, n: usize, service: usize, is_activation: bool) -> Statement {
        let id = service_id(service);
        let first = service * MANDATES_A_SERVICE;
        let mandates: Vec<_> = (first..self.mandates.min(first + MANDATES_A_SERVICE)).map(mandate_id).collect();
        let body = service_body("agc_library", &format!("loans-{service}"), &mandates);
        if !is_activation {
            return signed(StatementKind::Service, &id, "agc_library", body, n, &["head", "privacy"]);
        }
        // The revision that is activated is the statement before this one.
        let revision = signed(StatementKind::Service, &id, "agc_library", body, n - 1, &[]).hash().expect("a hash");
        step(n, &id, revision, ("draft", "active"), "agc_library", &["head", "privacy"])
    }
}

pub fn mandate_id(mandate: usize) -> String {
    format!("mdt_m{mandate}")
}

pub fn service_id(service: usize) -> String {
    format!("svc_s{service}")
}

/// 2026-01-01T00:00:00Z.
pub fn first_day() -> Time {
    Time::from_micros(1_767_225_600_000_000)
}

/// When the statement `n` is made: a second after the other, once people had time to comment.
fn at(n: usize) -> Time {
    first_day().plus(30 * DAY + n as i64 * SECOND)
}

fn founding() -> Vec<(StatementKind, &'static str, Value)> {
    let agencies = AGENCIES.map(|(id, kind)| (StatementKind::Agency, id, agency_body(id, kind)));
    let blocks = ["blk_name", "blk_age"].map(|id| {
        let body = json!({"name": text(id), "category": "pd:Identifying", "sensitivity": "ordinary", "source_agency": "agc_library",
            "forms_allowed": ["token", "predicate", "value"], "correctable": true});
        (StatementKind::DataBlock, id, body)
    });
    agencies.into_iter().chain(blocks).collect()
}

fn step(n: usize, object: &str, revision: Digest, (from, to): (&str, &str), by: &str, keys: &[&str]) -> Statement {
    let body =
        json!({"object": object, "revision": revision.to_string(), "from": from, "to": to, "reason": text("The next step.")});
    signed(StatementKind::StatusChange, &format!("sta_{n}"), by, body, n, keys)
}

fn signed(kind: StatementKind, id: &str, by: &str, body: Value, n: usize, keys: &[&str]) -> Statement {
    let by_id = by.parse().expect("an agency");
    let mut statement =
        Statement { kind, id: id.to_owned(), rev: 1, prev: None, at: at(n), by: by_id, body, approvals: Vec::new() };
    for key in keys {
        statement.approve(signer(by, key)).expect("an approval");
    }
    statement
}

pub fn signer(agency: &str, key: &str) -> &'static Signer {
    static SIGNERS: LazyLock<Vec<Signer>> = LazyLock::new(|| {
        let made = |agency: &str, key: &str| {
            let seed = sha256(format!("seed of {agency}/{key}").as_bytes());
            Signer::new(agency.parse().expect("an agency"), key, &seed.0).expect("a key")
        };
        AGENCIES.iter().flat_map(|(agency, _)| KEYS.iter().map(|(key, _)| made(agency, key))).collect()
    });
    SIGNERS.iter().find(|signer| signer.agency().as_str() == agency && signer.key() == key).expect("a signer")
}

fn agency_body(id: &str, kind: &str) -> Value {
    let key = |(key, role): &(&str, &str)| json!({"id": key, "role": role, "public": signer(id, key).public()});
    let keys: Vec<_> = KEYS.iter().map(key).collect();
    json!({"legal_name": text(id), "kind": kind, "contact": "1999", "protection_officer": "privacy office",
        "security_officer": "security office", "jurisdiction": "TW", "signing_keys": keys})
}

pub fn notice_body(mandate: &str, hash: Digest) -> Value {
    json!({"mandate": mandate, "mandate_hash": hash.to_string(), "line": text("For your library card"),
        "short": text("We print a card. We call books back."), "manner": text("By computer."),
        "rights": text("You may see, correct and withdraw."), "effect_of_refusal": text("Ask at the counter instead.")})
}

pub fn service_body(agency: &str, sector: &str, mandates: &[String]) -> Value {
    json!({"agency": agency, "name": text("Loans"), "sector": sector, "redirect_uris": ["https://library.example/back"],
        "channels": ["web", "counter"], "alternatives": [text("Come to the counter.")], "mandates": mandates,
        "help": text("Borrow books.")})
}

pub fn mandate_body() -> Value {
    let asked =
        |block: &str| json!({"block": block, "necessity": "required", "form": "value", "reason": text("It is on the card.")});
    json!({"title": text("Library card"), "controller": "agc_library", "kind": "ordinary", "operations": ["collect", "decide", "match", "store"],
        "mode": "store", "bulk_limit": 1, "locations": ["TW"], "starts_at": first_day().plus(30 * DAY).to_string(),
        "sunset_at": first_day().plus(330 * DAY).to_string(), "automated_decision": "support", "algorithm_url": "https://library.example/algorithm", "gate": "durable",
        "impact_assessment": "https://library.example/impact", "oversight_body": "agc_oversight",
        "purpose": {"dpv": "dpv:ServiceProvision", "local_code": "TW-095", "commercial": false,
            "sentence": text("To lend books to residents and to call them back.")},
        "legal_basis": {"code": "consent", "article": "15(2)", "url": "https://law.example/pdpa/15",
            "instrument": text("Personal Data Protection Act")},
        "subjects": text("Residents who ask for a library card."), "blocks": [asked("blk_name"), asked("blk_age")],
        "fetch": {"when": "periodic"}, "rate_cap": {"uses": 3, "per": "P30D"},
        "recipients": [{"agency": "agc_library", "why": text("It keeps the card.")}],
        "retention": {"duration": "P30D", "from_event": text("the last loan")},
        "reasons": [{"code": "new-card", "text": text("You asked for a card.")}, {"code": "reminder", "text": text("A book is due.")}],
        "consultation": {"from": first_day().to_string(), "to": first_day().plus(20 * DAY).to_string(),
            "summary": text("Forty people wrote. Most wanted shorter retention, and got it.")}})
}

pub fn text(en: &str) -> Value {
    json!({"en": en, "zh-Hant": format!("{en}（中文）")})
}
